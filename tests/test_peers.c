#include "fcgi/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "tests/support/run.h"

#define LIST_MAX	4
#define NOBODY		3999999999u	/* a number that no account has */

/* Entries of listen_allowed_clients and who comes by TCP; the list ends with NULL. */
static const struct { const char *list[LIST_MAX]; const char *peer; bool may; } addresses[] = {
	{ { NULL },                        "127.0.0.1",          true },
	{ { NULL },                        "127.255.0.1",        true },
	{ { NULL },                        "::1",                true },
	{ { NULL },                        "::ffff:127.0.0.1",   true },
	{ { NULL },                        "10.0.0.1",           false },	/* SR-89 */
	{ { NULL },                        "128.0.0.1",          false },
	{ { NULL },                        "0.0.0.0",            false },
	{ { NULL },                        "::",                 false },
	{ { NULL },                        "::2",                false },
	{ { NULL },                        "::ffff:10.0.0.1",    false },
	{ { NULL },                        "::127.0.0.1",        false },
	{ { "10.0.0.0/8" },                "10.255.255.255",     true },
	{ { "10.0.0.0/8" },                "::ffff:10.1.2.3",    true },		/* a socket for both kinds */
	{ { "10.0.0.0/8" },                "11.0.0.0",           false },
	{ { "10.0.0.0/8" },                "9.255.255.255",      false },
	{ { "10.0.0.0/8" },                "127.0.0.1",          false },	/* nobody but those in the list */
	{ { "10.0.0.7" },                  "10.0.0.7",           true },
	{ { "10.0.0.7" },                  "10.0.0.6",           false },
	{ { "::/0" },                      "2001:db8::1",        true },
	{ { "::/0" },                      "10.0.0.1",           false },	/* who wrote it thought of IPv6 */
	{ { "::/0" },                      "::ffff:10.0.0.1",    false },
	{ { "2001:db8::/32", "192.0.2.0/24" }, "2001:db8:ffff::", true },
	{ { "2001:db8::/32", "192.0.2.0/24" }, "192.0.2.255",    true },
	{ { "2001:db8::/32", "192.0.2.0/24" }, "2001:db9::",     false },
	{ { "0.0.0.0/0" },                 "203.0.113.9",        true },
	{ { "0.0.0.0/0" },                 "2001:db8::1",        false },
	{ { "unix" },                      "127.0.0.1",          false },
	{ { "user:0", "group:0" },         "127.0.0.1",          false },
};

static void
init(struct bg_peers *peers, const char *const *list)
{
	struct bg_error err = { 0 };
	size_t n = 0;

	while (n < LIST_MAX && list[n] != NULL)
		n++;
	ck_assert_msg(bg_peers_init(peers, (char *const *)list, n, &err) == 0, "%s", err.detail);
}

/* SR-89. */
START_TEST(by_tcp_come_those_whose_address_is_listed_or_from_loopback_where_none_is)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	char who[BG_PEERS_WHO_MAX] = "";
	struct sockaddr *address = (struct sockaddr *)&v6;
	struct bg_peers peers;
	bool may;

	if (inet_pton(AF_INET, addresses[_i].peer, &v4.sin_addr) == 1)
		address = (struct sockaddr *)&v4;
	else
		ck_assert_int_eq(inet_pton(AF_INET6, addresses[_i].peer, &v6.sin6_addr), 1);
	init(&peers, addresses[_i].list);
	may = bg_peers_admit(&peers, -1, address, who, sizeof(who));
	ck_assert_msg(may == addresses[_i].may, "%s of %s", addresses[_i].peer, addresses[_i].list[0]);
	ck_assert_msg((who[0] == '\0') == may, "%s", who);
	if (!may)	/* one of IPv4 is told as such */
		ck_assert_str_eq(who, addresses[_i].peer + (strncmp(addresses[_i].peer, "::ffff:", 7) == 0 ? 7 : 0));
	bg_peers_clear(&peers);
	ck_assert(!bg_peers_admit(&peers, -1, address, who, sizeof(who)));	/* nobody any more */
}
END_TEST

static const struct sockaddr on_file = { .sa_family = AF_UNIX };

/* Lists with "%u", our user, and "%g", our group. */
static const struct { const char *list[LIST_MAX]; bool may; } accounts[] = {
	{ { NULL }, true },			/* the file's mode decides */
	{ { "unix" }, true },
	{ { "unix", "user:3999999999" }, true },
	{ { "user:%u" }, true },
	{ { "group:%g" }, true },
	{ { "user:3999999999", "group:%g" }, true },
	{ { "user:3999999999", "group:3999999999" }, false },
	{ { "user:%g1" }, false },
	{ { "10.0.0.0/8" }, false },
};
START_TEST(on_a_socket_file_come_those_whose_user_or_group_is_listed)
{
	char texts[LIST_MAX][64], want[64], who[BG_PEERS_WHO_MAX] = "";
	const char *list[LIST_MAX] = { NULL };
	struct bg_peers peers;
	int fds[2];
	bool may;

	for (int i = 0; i < LIST_MAX && accounts[_i].list[i] != NULL; i++) {
		const char *form = accounts[_i].list[i], *percent = strchr(form, '%');

		bg_format(texts[i], sizeof(texts[i]), "%s", form);
		if (percent != NULL)
			bg_format(texts[i] + (percent - form), sizeof(texts[i]) - (size_t)(percent - form), "%u%s",
			    percent[1] == 'u' ? (unsigned)geteuid() : (unsigned)getegid(), percent + 2);
		list[i] = texts[i];
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	init(&peers, list);
	may = bg_peers_admit(&peers, fds[0], &on_file, who, sizeof(who));
	ck_assert_msg(may == accounts[_i].may, "%d: %s", _i, who);
	bg_format(want, sizeof(want), "process %ld of user %u, group %u", (long)getpid(), geteuid(), getegid());
	ck_assert_str_eq(who, may ? "" : want);
	bg_peers_clear(&peers);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* SO_PEERCRED is about connect(2): a child that is somebody else goes on with what it was given.  For root alone. */
START_TEST(who_connected_counts_not_who_has_the_connection_now)
{
	const char *list[LIST_MAX] = { "user:0" };
	char who[BG_PEERS_WHO_MAX];
	struct bg_peers peers;
	int fds[2], status;
	pid_t pid;

	if (geteuid() != 0)
		return;
	init(&peers, list);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	if ((pid = fork()) == 0) {
		int own[2];

		if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0 || !bg_peers_admit(&peers, fds[0], &on_file, who, sizeof(who)) ||
		    socketpair(AF_UNIX, SOCK_STREAM, 0, own) != 0)
			_exit(1);
		_exit(bg_peers_admit(&peers, own[0], &on_file, who, sizeof(who)) ? 2 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	bg_peers_clear(&peers);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(what_the_system_does_not_tell_is_refused)
{
	const char *list[LIST_MAX] = { "user:0", "10.0.0.0/8" };
	const struct sockaddr other = { .sa_family = AF_PACKET };
	char who[BG_PEERS_WHO_MAX] = "";
	struct bg_peers peers, none = { 0 };

	init(&peers, list);
	ck_assert(!bg_peers_admit(&peers, -1, &on_file, who, sizeof(who)));
	ck_assert_str_eq(who, "a process that the system does not tell");
	ck_assert(!bg_peers_admit(&peers, -1, &other, who, sizeof(who)));
	ck_assert(!bg_peers_admit(&none, -1, &other, who, sizeof(who)));
	bg_peers_clear(&peers);
}
END_TEST

START_TEST(what_is_good_no_more_is_told)
{
	static const char *const lists[] = { "user:no-such-user-here", "group:no-such-group-here", "nonsense" };

	for (int i = 0; i < N(lists); i++) {
		struct bg_error err = { 0 };
		struct bg_peers peers;

		ck_assert_int_eq(bg_peers_init(&peers, (char *const *)&lists[i], 1, &err), -1);
		ck_assert_msg(strstr(err.detail, lists[i]) != NULL, "%s", err.detail);
		bg_peers_clear(&peers);
	}
}
END_TEST

static const struct { const char *list[LIST_MAX]; bool unix_socket, tcp, networks; } kinds[] = {
	{ { NULL }, true, true, false },
	{ { "unix" }, true, false, false },
	{ { "user:0" }, true, false, false },
	{ { "group:0" }, true, false, false },
	{ { "10.0.0.1" }, false, true, true },
	{ { "group:0", "10.0.0.1" }, true, true, true },
};
START_TEST(a_list_says_which_sockets_are_of_use)
{
	struct bg_peers peers;

	init(&peers, kinds[_i].list);
	ck_assert(bg_peers_want_unix(&peers) == kinds[_i].unix_socket);
	ck_assert(bg_peers_want_tcp(&peers) == kinds[_i].tcp);
	ck_assert(bg_peers_have_networks(&peers) == kinds[_i].networks);
	bg_peers_clear(&peers);
	ck_assert(!bg_peers_want_unix(&peers) && !bg_peers_want_tcp(&peers) && !bg_peers_have_networks(&peers));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("peers");
	TCase *tc = tcase_create("peers");

	tcase_add_loop_test(tc, by_tcp_come_those_whose_address_is_listed_or_from_loopback_where_none_is, 0, N(addresses));
	tcase_add_loop_test(tc, on_a_socket_file_come_those_whose_user_or_group_is_listed, 0, N(accounts));
	tcase_add_test(tc, who_connected_counts_not_who_has_the_connection_now);
	tcase_add_test(tc, what_the_system_does_not_tell_is_refused);
	tcase_add_test(tc, what_is_good_no_more_is_told);
	tcase_add_loop_test(tc, a_list_says_which_sockets_are_of_use, 0, N(kinds));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
