#include "fcgi/activation.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/buf.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define PID	4711
#define FIRST	40	/* 3 is Check's */

static const struct bg_listener_rules rules = { .owner = (uid_t)-1, .group = (gid_t)-1, .mode = 0660, .backlog = 16,
    .want_unix = true, .want_tcp = true };

static struct bg_test_dir dir;
static char first[256], tcp[64];	/* addresses of the sockets that make_sockets made */

/* FIRST and the next descriptor are sockets that listen, on a file and on TCP. */
static void
make_sockets(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(in);
	int fd;

	bg_test_dir_make(&dir);
	bg_format(un.sun_path, sizeof(un.sun_path), "%s", bg_test_file(&dir, "s"));
	bg_format(first, sizeof(first), "unix:%s", un.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	ck_assert_int_eq(chmod(un.sun_path, 0660), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(dup2(fd, FIRST), FIRST);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	bg_format(tcp, sizeof(tcp), "127.0.0.1:%u", ntohs(in.sin_port));
	ck_assert_int_eq(dup2(fd, FIRST + 1), FIRST + 1);
	close(fd);
}

static void
remove_sockets(void)
{
	bg_test_dir_remove(&dir);
}

/* What the variables mean; a number of -1: they are wrong. */
static const struct { const char *pid, *fds; long n; } variables[] = {
	{ "4711", "2", 2 },
	{ "4711", "1", 1 },
	{ "4711", "0", 0 },
	{ NULL,   "2", 0 },
	{ NULL,   NULL, 0 },
	{ "4712", "2", 0 },		/* meant for another process */
	{ "4712", "x", 0 },
	{ "",     "2", 0 },
	{ "-4711", "2", 0 },
	{ "4711 ", "2", 0 },
	{ "99999999999999999999999999", "2", 0 },
	{ "4711", NULL, -1 },
	{ "4711", "", -1 },
	{ "4711", "-1", -1 },
	{ "4711", "2x", -1 },
	{ "4711", "65", -1 },		/* one more than is served */
	{ "4711", "2147483647", -1 },
	{ "4711", "18446744073709551617", -1 },
	{ "4711", "3", -1 },		/* there is no such descriptor */
};
START_TEST(variables_count_when_they_name_this_process)
{
	struct bg_activation activation;
	struct bg_error err = { 0 };
	int rc = bg_activation_read(&activation, FIRST, PID, variables[_i].pid, variables[_i].fds, NULL, 64, &err);

	ck_assert_int_eq(rc, variables[_i].n < 0 ? -1 : 0);
	ck_assert_uint_eq(activation.n, variables[_i].n < 0 ? 0 : (size_t)variables[_i].n);
	ck_assert_msg(rc == 0 || strncmp(err.detail, "LISTEN_FDS", 10) == 0, "%s", err.detail);
	if (variables[_i].n >= 0)
		for (int i = 0; i < 2; i++)
			ck_assert_msg(((fcntl(FIRST + i, F_GETFD) & FD_CLOEXEC) != 0) == (i < variables[_i].n), "descriptor %d", FIRST + i);
	bg_activation_clear(&activation);
}
END_TEST

static const struct { const char *names, *first, *second; } labels[] = {
	{ "web:admin", "web", "admin" },
	{ ":", "", "" },
	{ NULL, "descriptor 40", "descriptor 41" },
	{ "web", "descriptor 40", "descriptor 41" },		/* one too few */
	{ "a:b:c", "descriptor 40", "descriptor 41" },
	{ "we b:admin", "descriptor 40", "descriptor 41" },	/* nothing for a log */
	{ "web\n:admin", "descriptor 40", "descriptor 41" },
	{ "unknown:an-exceedingly-long-name-of-one", "unknown", "an-exceedingly-long-name" },
};
START_TEST(sockets_are_taken_over_with_their_names)
{
	const char *const addresses[] = { tcp, first };
	struct bg_activation activation;
	struct bg_listener listeners[2];
	struct bg_error err = { 0 };
	char want[512];
	size_t n;

	ck_assert_int_eq(bg_activation_read(&activation, FIRST, PID, "4711", "2", labels[_i].names, 64, &err), 0);
	ck_assert_msg(bg_activation_take(&activation, addresses, 2, &rules, listeners, &n, &err) == 0, "%s", err.detail);
	ck_assert_uint_eq(n, 2);
	for (int i = 0; i < 2; i++) {
		bg_format(want, sizeof(want), "%s (from the service manager: %s)", i == 0 ? first : tcp,
		    i == 0 ? labels[_i].first : labels[_i].second);
		ck_assert_str_eq(listeners[i].name, want);
		ck_assert_int_ne(fcntl(listeners[i].fd, F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_ne(fcntl(listeners[i].fd, F_GETFD) & FD_CLOEXEC, 0);
		ck_assert_int_eq(fcntl(FIRST + i, F_GETFD), listeners[i].fd == FIRST + i ? FD_CLOEXEC : -1);
		ck_assert(!bg_listener_is_open(&listeners[i], false));
	}
	bg_listener_close(&listeners[0]);
	bg_listener_close(&listeners[1]);
	ck_assert_int_eq(access(first + 5, F_OK), 0);	/* the file is the service manager's */
	bg_activation_clear(&activation);
}
END_TEST

START_TEST(an_address_that_was_not_handed_over_is_an_error)
{
	const char *addresses[] = { first, "127.0.0.1:1" };
	struct bg_activation activation;
	struct bg_listener listeners[2];
	struct bg_error err = { 0 };
	size_t n;

	ck_assert_int_eq(bg_activation_read(&activation, FIRST, PID, "4711", "2", NULL, 64, &err), 0);
	ck_assert_int_eq(bg_activation_take(&activation, addresses, 2, &rules, listeners, &n, &err), EX_USAGE);
	ck_assert_msg(strncmp(err.detail, "127.0.0.1:1: not among", 22) == 0, "%s", err.detail);
	while (n > 0)
		bg_listener_close(&listeners[--n]);
	bg_activation_clear(&activation);
}
END_TEST

/* A socket of Accept=yes, one for datagrams, and a file. */
START_TEST(what_does_not_listen_is_refused)
{
	struct bg_activation activation;
	struct bg_listener listeners[2];
	struct bg_error err = { 0 };
	int pair[2] = { -1, -1 };
	size_t n;

	if (_i < 2)
		ck_assert_int_eq(socketpair(AF_UNIX, _i == 0 ? SOCK_STREAM : SOCK_DGRAM, 0, pair), 0);
	else
		pair[0] = open("/dev/null", O_RDONLY);
	ck_assert_int_eq(dup2(pair[0], FIRST + 1), FIRST + 1);
	ck_assert_int_eq(bg_activation_read(&activation, FIRST, PID, "4711", "2", "a:b", 64, &err), 0);
	ck_assert_int_eq(bg_activation_take(&activation, NULL, 0, &rules, listeners, &n, &err), EX_USAGE);
	ck_assert_str_eq(err.detail, "from the service manager: b: not a stream socket that listens");
	ck_assert_uint_eq(n, 1);
	bg_listener_close(&listeners[0]);
	bg_activation_clear(&activation);
}
END_TEST

/* SR-89: a name without a file has no mode, and systemd gives files mode 0666. */
START_TEST(a_socket_for_everybody_is_refused_or_told)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct bg_listener_rules asking = rules;
	struct bg_activation activation;
	struct bg_listener listeners[2];
	struct bg_error err = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t n;

	bg_format(un.sun_path + 1, sizeof(un.sun_path) - 1, "bg-%ld", (long)getpid());
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    strlen(un.sun_path + 1))), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(dup2(fd, FIRST + 1), FIRST + 1);
	ck_assert_int_eq(chmod(first + 5, 0666), 0);
	asking.ask_who = _i == 1;
	ck_assert_int_eq(bg_activation_read(&activation, FIRST, PID, "4711", "2", NULL, 64, &err), 0);
	ck_assert_int_eq(bg_activation_take(&activation, NULL, 0, &asking, listeners, &n, &err), _i == 1 ? 0 : EX_USAGE);
	ck_assert(bg_listener_is_open(&listeners[0], asking.ask_who) == (_i == 0) && listeners[0].may_hide);
	if (_i == 0)
		ck_assert_msg(strstr(err.detail, un.sun_path + 1) != NULL && strstr(err.detail, "a name without a file") != NULL,
		    "%s", err.detail);
	else
		ck_assert_msg(strncmp(listeners[1].name, "unix:@bg-", 9) == 0 && !listeners[1].may_hide &&
		    bg_listener_is_open(&listeners[1], false), "%s", listeners[1].name);	/* as after a reload without the list */
	while (n > 0)
		bg_listener_close(&listeners[--n]);
	bg_activation_clear(&activation);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("activation");
	TCase *tc = tcase_create("activation");

	tcase_add_checked_fixture(tc, make_sockets, remove_sockets);
	tcase_add_loop_test(tc, variables_count_when_they_name_this_process, 0, N(variables));
	tcase_add_loop_test(tc, sockets_are_taken_over_with_their_names, 0, N(labels));
	tcase_add_test(tc, an_address_that_was_not_handed_over_is_an_error);
	tcase_add_loop_test(tc, what_does_not_listen_is_refused, 0, 3);
	tcase_add_loop_test(tc, a_socket_for_everybody_is_refused_or_told, 0, 2);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
