#include "fcgi/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/buf.h"
#include "fcgi/records.h"
#include "tests/support/run.h"

static char dir[64];		/* short, or a path in it would not fit into a socket address */
static char address[256];	/* unix:dir/s */
static const char *path;

static void
make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL || strlen(tmp) > 40)
		tmp = "/tmp";
	bg_format(dir, sizeof(dir), "%s/bg-XXXXXX", tmp);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	bg_format(address, sizeof(address), "unix:%s/s", dir);
	path = address + strlen("unix:");
}

static void
remove_dir(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);	/* nothing else was left there */
}

/* Connect to what has this name; 0 or errno. */
static int
try_connect(const char *name)
{
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
	} to = { .un = { .sun_family = AF_UNIX } };
	socklen_t len = sizeof(to.un);
	int fd, error = 0;

	if (strncmp(name, "unix:", 5) == 0)
		bg_format(to.un.sun_path, sizeof(to.un.sun_path), "%s", name + 5);
	else {
		to.in.sin_family = AF_INET;
		to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		to.in.sin_port = htons((uint16_t)atoi(strrchr(name, ':') + 1));
		len = sizeof(to.in);
	}
	fd = socket(to.any.sa_family, SOCK_STREAM, 0);
	ck_assert_int_ne(fd, -1);
	if (connect(fd, &to.any, len) != 0)
		error = errno;
	close(fd);
	return error;
}

/* What a configuration that says nothing of sockets means. */
static const struct bg_listener_rules rules = { .owner = (uid_t)-1, .group = (gid_t)-1, .mode = 0660, .backlog = 64,
    .lock_limit = 20000, .want_unix = true, .want_tcp = true };

static void
expect_open(const char *where, struct bg_listener *out)
{
	struct bg_error err = { 0 };
	int code = bg_listener_open(where, &rules, out, &err);

	ck_assert_msg(code == 0, "%s: %d, %s", where, code, err.detail);
}

static void
expect_refusal(const char *where, int want, const char *words)
{
	struct bg_error err = { 0 };
	struct bg_listener listener;
	int code = bg_listener_open(where, &rules, &listener, &err);

	ck_assert_msg(code == want && strstr(err.detail, words) != NULL, "%s: %d, %s", where, code, err.detail);
	ck_assert_msg(strncmp(err.detail, where, strlen(where)) == 0, "does not name \"%s\": %s", where, err.detail);
	ck_assert_int_eq(err.reason, BG_R_INTERNAL);
	ck_assert_int_eq(listener.fd, -1);
	ck_assert_ptr_null(listener.path);
	bg_listener_close(&listener);	/* is fine */
}

static const struct {
	const char *address;
	const char *words;	/* NULL: it is one */
} forms[] = {
	{ "127.0.0.1:9009", NULL },
	{ "127.0.0.1:0", NULL },
	{ "127.1.2.3:65535", NULL },
	{ "localhost:9009", NULL },
	{ "[::1]:9009", NULL },
	{ "unix:/run/x.sock", NULL },
	{ "unix:x", NULL },
	{ "unix:a:b", NULL },
	{ "", "not an address" },
	{ ":", "not an address" },
	{ ":9009", "not an address" },
	{ "9009", "not an address" },
	{ "127.0.0.1", "not an address" },
	{ "/run/x.sock", "unix:PATH" },
	{ "unix:", "path is missing" },
	{ "127.0.0.1:", "port" },
	{ "127.0.0.1:65536", "port" },
	{ "127.0.0.1:999999999999999999999", "port" },
	{ "127.0.0.1:-1", "port" },
	{ "127.0.0.1:+1", "port" },
	{ "127.0.0.1: 1", "port" },
	{ "127.0.0.1:0x10", "port" },
	{ "127.0.0.1:http", "port" },
	{ "app.example:9009", "in numbers" },
	{ "localhost.:9009", "in numbers" },
	{ "127.1:9009", "in numbers" },
	{ "0x7f000001:9009", "in numbers" },
	{ "::1:9009", "in numbers" },
	{ "[::1:9009", "in numbers" },
	{ "[]:9009", "in numbers" },
	{ "[:9009", "in numbers" },
	{ "]:9009", "in numbers" },
	{ "[127.0.0.1]:9009", "in numbers" },
	{ "1111111111111111111111111111111111111111111111111111111111111111:9009", "in numbers" },
	{ "0.0.0.0:9009", "not a loopback address" },		/* SR-89 */
	{ "128.0.0.1:9009", "not a loopback address" },
	{ "10.0.0.1:9009", "not a loopback address" },
	{ "[::]:9009", "not a loopback address" },
	{ "[::2]:9009", "not a loopback address" },
	{ "[::ffff:127.0.0.1]:9009", "not a loopback address" },
};
START_TEST(an_address_has_one_of_two_forms_and_is_loopback)
{
	struct bg_error err = { 0 };
	int code = bg_listener_check(forms[_i].address, &rules, &err);

	if (forms[_i].words == NULL)
		ck_assert_msg(code == 0, "%s: %s", forms[_i].address, err.detail);
	else {
		ck_assert_msg(code == EX_USAGE && strstr(err.detail, forms[_i].words) != NULL, "\"%s\": %d, %s",
		    forms[_i].address, code, err.detail);
		expect_refusal(forms[_i].address, EX_USAGE, forms[_i].words);
	}
}
END_TEST

static const mode_t masks[] = { 0, 022, 077, 0777 };
/* SR-89. */
START_TEST(a_socket_file_is_for_owner_and_group_whatever_the_umask)
{
	mode_t before = umask(masks[_i]);
	struct bg_listener listener;
	struct stat st;

	expect_open(address, &listener);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_msg((st.st_mode & 07777) == 0660, "mode %o", st.st_mode & 07777);
	ck_assert_uint_eq(umask(before), masks[_i]);
	ck_assert_str_eq(listener.name, address);
	ck_assert_int_eq(try_connect(address), 0);
	bg_listener_close(&listener);
	ck_assert_int_eq(listener.fd, -1);
	ck_assert_int_eq(try_connect(address), ENOENT);
}
END_TEST

static const mode_t modes[] = { 0600, 0660, 0666, 0777, 0220 };
START_TEST(a_socket_file_has_the_mode_that_was_said)
{
	struct bg_listener_rules said = rules;
	struct bg_listener listener;
	struct bg_error err = { 0 };
	mode_t before = umask(077);
	struct stat st;

	said.mode = modes[_i];
	ck_assert_msg(bg_listener_open(address, &said, &listener, &err) == 0, "%s", err.detail);
	umask(before);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_msg((st.st_mode & 07777) == modes[_i], "mode %o", st.st_mode & 07777);
	bg_listener_close(&listener);
}
END_TEST

/* To give a file away takes root; anybody may try, and is told. */
START_TEST(a_socket_file_has_the_owner_that_was_said_or_there_is_none)
{
	struct bg_listener_rules said = rules;
	struct bg_listener listener;
	struct bg_error err = { 0 };
	struct stat st;
	int code;

	said.owner = 3999999999u;
	said.group = 3999999998u;
	code = bg_listener_open(address, &said, &listener, &err);
	if (geteuid() != 0) {
		ck_assert_int_eq(code, EX_CANTCREAT);
		ck_assert_msg(strstr(err.detail, "listen_owner") != NULL, "%s", err.detail);
		ck_assert_int_eq(lstat(path, &st), -1);
		return;
	}
	ck_assert_msg(code == 0, "%s", err.detail);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(st.st_uid == said.owner && st.st_gid == said.group && (st.st_mode & 07777) == 0660);
	ck_assert_int_eq(try_connect(address), 0);
	bg_listener_close(&listener);
	ck_assert_int_eq(try_connect(address), ENOENT);
}
END_TEST

START_TEST(so_many_connections_wait_to_be_accepted)
{
	struct bg_listener_rules said = rules;
	struct bg_listener listener;
	struct bg_error err = { 0 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fds[8], n = 0;

	said.backlog = 2;
	ck_assert_msg(bg_listener_open(address, &said, &listener, &err) == 0, "%s", err.detail);
	bg_format(un.sun_path, sizeof(un.sun_path), "%s", path);
	for (bool full = false; !full && n < N(fds); n++) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		full = connect(fds[n], (struct sockaddr *)&un, sizeof(un)) != 0;
	}
	ck_assert_int_eq(n, 2 + 1 + 1);		/* Linux takes one more, and refuses the next */
	while (n-- > 0)
		close(fds[n]);
	bg_listener_close(&listener);
}
END_TEST

/* Who may connect, and what then is an address to listen on.  SR-89. */
static const struct { const char *list[2]; const char *address; const char *words; } lists[] = {
	{ { "10.0.0.0/8" },             "0.0.0.0:9009",   NULL },
	{ { "10.0.0.0/8" },             "192.0.2.1:9009", NULL },
	{ { "10.0.0.0/8" },             "[::]:9009",      NULL },
	{ { "10.0.0.0/8" },             "127.0.0.1:9009", NULL },
	{ { "10.0.0.0/8" },             "unix:/run/x",    "names nobody who connects to a socket file" },
	{ { "10.0.0.0/8", "unix" },     "unix:/run/x",    NULL },
	{ { "user:0" },                 "unix:/run/x",    NULL },
	{ { "user:0" },                 "127.0.0.1:9009", "has no address" },
	{ { "user:0" },                 "0.0.0.0:9009",   "not a loopback address" },
	{ { "unix" },                   "0.0.0.0:9009",   "not a loopback address" },
	{ { NULL },                     "192.0.2.1:9009", "not a loopback address" },
	{ { "10.0.0.0/8" },             "x.example:9009", "in numbers" },
};
START_TEST(a_list_of_peers_opens_addresses_beyond_loopback)
{
	size_t n = lists[_i].list[0] == NULL ? 0 : lists[_i].list[1] == NULL ? 1 : 2;
	struct bg_conf conf = { .listen_mode = 0600, .listen_backlog = 5 };
	struct bg_listener_rules said;
	struct bg_error err = { 0 };
	struct bg_peers peers;
	int code;

	ck_assert_int_eq(bg_peers_init(&peers, (char *const *)lists[_i].list, n, &err), 0);
	ck_assert_int_eq(bg_listener_rules_read(&conf, &peers, &said, &err), 0);
	ck_assert(said.mode == 0600 && said.backlog == 5 && said.owner == (uid_t)-1 && said.group == (gid_t)-1);
	code = bg_listener_check(lists[_i].address, &said, &err);
	ck_assert_msg(code == (lists[_i].words == NULL ? 0 : EX_USAGE) &&
	    (lists[_i].words == NULL || strstr(err.detail, lists[_i].words) != NULL), "%s: %d, %s", lists[_i].address, code, err.detail);
	bg_peers_clear(&peers);
}
END_TEST

/* What is not said is taken from user and group, where there is something to give up.  root is the one that is known here. */
static const struct { const char *owner, *group, *user, *own_group; uid_t uid; gid_t gid; bool for_root; } owners[] = {
	{ NULL,   NULL, NULL,         NULL, (uid_t)-1, (gid_t)-1, false },
	{ "root", NULL, NULL,         NULL, 0, (gid_t)-1, false },
	{ NULL,   "7",  NULL,         NULL, (uid_t)-1, 7, false },
	{ NULL,   NULL, "3999999999", "8",  3999999999u, 8, true },
	{ "9",    NULL, "3999999999", "8",  9, 8, true },
	{ NULL,   "7",  "3999999999", "8",  3999999999u, 7, true },
	{ NULL,   NULL, "root",       NULL, 0, 0, true },
};
START_TEST(a_socket_belongs_to_whom_the_configuration_says)
{
	struct bg_conf conf = { .listen_owner = (char *)owners[_i].owner, .listen_group = (char *)owners[_i].group,
	    .user = (char *)owners[_i].user, .group = (char *)owners[_i].own_group };
	const struct bg_peers peers = { 0 };
	struct bg_listener_rules said;
	struct bg_error err = { 0 };

	ck_assert_msg(bg_listener_rules_read(&conf, &peers, &said, &err) == 0, "%s", err.detail);
	if (owners[_i].for_root && geteuid() != 0)
		return;
	ck_assert_msg(said.owner == owners[_i].uid && said.group == owners[_i].gid, "%u %u", said.owner, said.group);
}
END_TEST

START_TEST(a_listening_socket_never_blocks_and_is_not_handed_down)
{
	static const char *const where[] = { NULL, "127.0.0.1:0" };
	struct bg_listener listener;

	expect_open(where[_i] != NULL ? where[_i] : address, &listener);
	ck_assert_int_ne(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(accept(listener.fd, NULL, NULL), -1);
	ck_assert(errno == EAGAIN || errno == EWOULDBLOCK);
	bg_listener_close(&listener);
}
END_TEST

START_TEST(a_socket_that_nobody_listens_on_any_more_is_replaced)
{
	struct bg_listener dead, listener;

	expect_open(address, &dead);
	close(dead.fd);		/* as the kernel does when a process is killed: the file stays */
	dead.fd = -1;
	ck_assert_int_eq(try_connect(address), ECONNREFUSED);
	expect_open(address, &listener);
	ck_assert_int_eq(try_connect(address), 0);
	free(dead.path);
	bg_listener_close(&listener);
}
END_TEST

/* A daemon that starts: says what came of it as one byte, and serves until the others have said so too. */
static _Noreturn void
start_with_others(atomic_int *ready, int starters, int result, int end)
{
	struct bg_listener listener;
	struct bg_error err = { 0 };
	char said;

	atomic_fetch_add(ready, 1);
	while (atomic_load(ready) < starters)	/* all at once, or as nearly so as can be */
		continue;
	said = (char)bg_listener_open(address, &rules, &listener, &err);
	if (said == EX_UNAVAILABLE && strstr(err.detail, "another program listens on it") == NULL)
		said = EX_SOFTWARE;
	_exit(write(result, &said, 1) == 1 && read(end, &said, 1) == 0 ? 0 : 1);
}

/* Its file is left behind by each, and is what the next ones find. */
START_TEST(of_several_that_start_at_once_one_serves)
{
	enum { STARTERS = 2, ROUNDS = 400 };
	atomic_int *ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct bg_listener dead;

	ck_assert_ptr_ne(ready, MAP_FAILED);
	expect_open(address, &dead);
	close(dead.fd);
	free(dead.path);
	for (int round = 0; round < ROUNDS; round++) {
		int result[2], end[2], serve = 0, refused = 0;
		char said;

		ck_assert(pipe(result) == 0 && pipe(end) == 0);
		atomic_store(ready, 0);
		for (int i = 0; i < STARTERS; i++) {
			pid_t pid = fork();

			ck_assert_int_ne(pid, -1);
			if (pid == 0) {
				close(end[1]);
				start_with_others(ready, STARTERS, result[1], end[0]);
			}
		}
		close(result[1]);
		for (int i = 0; i < STARTERS && read(result[0], &said, 1) == 1; i++) {
			serve += said == 0;
			refused += said == EX_UNAVAILABLE;
		}
		ck_assert_msg(serve == 1 && refused == STARTERS - 1, "round %d: %d serve, %d are refused", round, serve, refused);
		ck_assert_int_eq(try_connect(address), 0);
		close(end[1]);
		for (int i = 0, status; i < STARTERS; i++)
			ck_assert(wait(&status) != -1 && status == 0);
		close(result[0]);
		close(end[0]);
	}
	munmap(ready, sizeof(*ready));
}
END_TEST

/* Whoever may read the directory may lock it; and in one that we may not read we can still make a socket. */
START_TEST(a_directory_that_cannot_be_locked_keeps_nobody_from_starting)
{
	struct bg_listener_rules said = rules;
	struct bg_listener listener;
	struct bg_error err = { 0 };
	int other = open(dir, O_RDONLY | O_DIRECTORY);

	said.lock_limit = 1;
	ck_assert(other != -1 && flock(other, LOCK_EX) == 0);
	ck_assert_msg(bg_listener_open(address, &said, &listener, &err) == 0, "%s", err.detail);
	ck_assert_int_eq(try_connect(address), 0);
	bg_listener_close(&listener);
	close(other);
	ck_assert_int_eq(chmod(dir, 0300), 0);	/* root may read it all the same, which is the case above without others */
	expect_open(address, &listener);
	ck_assert_int_eq(try_connect(address), 0);
	bg_listener_close(&listener);
	ck_assert_int_eq(chmod(dir, 0700), 0);
}
END_TEST

/* Or those who begin afterwards would wait for it for nothing. */
START_TEST(the_directory_is_free_again_whatever_came_of_it)
{
	static const int codes[] = { 0, EX_UNAVAILABLE };
	struct bg_listener listeners[2];
	int other = open(dir, O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(bg_listener_open(address, &rules, &listeners[i], NULL), codes[i]);
		ck_assert_int_eq(flock(other, LOCK_EX | LOCK_NB), 0);
		ck_assert_int_eq(flock(other, LOCK_UN), 0);
	}
	close(other);
	bg_listener_close(&listeners[0]);
}
END_TEST

/* The other one is there before ours goes, so that it cannot have the number of ours. */
START_TEST(a_socket_that_took_our_place_survives_our_end)
{
	struct bg_listener ours, other;
	char beside[128];

	expect_open(address, &ours);
	bg_format(beside, sizeof(beside), "unix:%s/other", dir);
	expect_open(beside, &other);
	ck_assert_int_eq(rename(other.path, path), 0);
	bg_listener_close(&ours);
	ck_assert_int_eq(try_connect(address), 0);
	bg_listener_close(&other);	/* its file has moved, which is fine */
}
END_TEST

START_TEST(what_is_no_socket_any_more_survives_our_end)
{
	struct bg_listener listener;
	int fd;

	expect_open(address, &listener);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_ne(fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600), -1);	/* perhaps with the number of ours */
	close(fd);
	bg_listener_close(&listener);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_socket_that_somebody_listens_on_is_left_alone)
{
	struct bg_listener listener;

	expect_open(address, &listener);
	expect_refusal(address, EX_UNAVAILABLE, "another program listens");
	ck_assert_int_eq(try_connect(address), 0);
	/* With its queue full as well: connect then says EAGAIN. */
	ck_assert_int_eq(listen(listener.fd, 0), 0);
	while (true) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		bg_format(un.sun_path, sizeof(un.sun_path), "%s", path);
		if (connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0) {
			ck_assert_int_eq(errno, EAGAIN);
			close(fd);
			break;
		}
	}
	expect_refusal(address, EX_UNAVAILABLE, "another program listens");
	bg_listener_close(&listener);
}
END_TEST

START_TEST(what_is_no_socket_is_never_removed)
{
	char target[128];
	struct stat st;
	int fd;

	ck_assert_int_ne(fd = open(path, O_CREAT | O_WRONLY, 0600), -1);
	close(fd);
	expect_refusal(address, EX_CANTCREAT, "not a socket");
	ck_assert(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
	ck_assert_int_eq(unlink(path), 0);

	ck_assert_int_eq(mkdir(path, 0700), 0);
	expect_refusal(address, EX_CANTCREAT, "not a socket");
	ck_assert_int_eq(rmdir(path), 0);

	/* Not even a link to a socket that is dead. */
	bg_format(target, sizeof(target), "%s/none", dir);
	ck_assert_int_eq(symlink(target, path), 0);
	expect_refusal(address, EX_CANTCREAT, "not a socket");
	ck_assert(lstat(path, &st) == 0 && S_ISLNK(st.st_mode));
}
END_TEST

START_TEST(a_path_that_fits_is_taken_and_one_more_byte_is_refused)
{
	char where[256] = "unix:";
	struct bg_listener listener;

	bg_format(where + 5, sizeof(where) - 5, "%s/", dir);
	while (strlen(where + 5) < sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
		strcat(where, "x");
	expect_open(where, &listener);
	ck_assert_str_eq(listener.name, where);
	ck_assert_int_eq(try_connect(where), 0);
	bg_listener_close(&listener);
	strcat(where, "x");
	expect_refusal(where, EX_USAGE, "at most 107");
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_reported)
{
	char where[128];

	bg_format(where, sizeof(where), "unix:%s/none/s", dir);
	expect_refusal(where, EX_CANTCREAT, "No such file");
}
END_TEST

START_TEST(port_0_is_chosen_by_the_system_and_told)
{
	struct bg_listener listener;
	int room = 0;
	socklen_t len = sizeof(room);

	expect_open("127.0.0.1:0", &listener);
	ck_assert_int_eq(strncmp(listener.name, "127.0.0.1:", 10), 0);
	ck_assert_int_gt(atoi(listener.name + 10), 0);
	ck_assert_int_eq(try_connect(listener.name), 0);
	ck_assert_ptr_null(listener.path);
	/* A whole request can wait there unread. */
	ck_assert_int_eq(getsockopt(listener.fd, SOL_SOCKET, SO_RCVBUF, &room, &len), 0);
	ck_assert_int_ge(room, BG_RECORDS_MAX);
	/* A second daemon does not get the same port. */
	expect_refusal(listener.name, EX_UNAVAILABLE, "cannot take the address");
	ck_assert_int_eq(try_connect(listener.name), 0);
	bg_listener_close(&listener);
}
END_TEST

START_TEST(localhost_is_127_0_0_1)
{
	struct bg_listener listener;

	expect_open("localhost:0", &listener);
	ck_assert_int_eq(strncmp(listener.name, "127.0.0.1:", 10), 0);
	bg_listener_close(&listener);
}
END_TEST

START_TEST(an_ipv6_address_is_told_in_brackets)
{
	struct bg_listener listener;
	struct bg_error err = { 0 };

	/* A machine may have no IPv6 at all; then it must be said so. */
	if (bg_listener_open("[::1]:0", &rules, &listener, &err) != 0) {
		ck_assert_msg(strncmp(err.detail, "[::1]:0: ", 9) == 0, "%s", err.detail);
		return;
	}
	ck_assert_int_eq(strncmp(listener.name, "[::1]:", 6), 0);
	ck_assert_int_gt(atoi(listener.name + 6), 0);
	bg_listener_close(&listener);
}
END_TEST

static int
listen_at(int family, const struct sockaddr *at, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, at, len), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

START_TEST(a_parents_socket_is_taken_over_and_left_to_it)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct bg_listener listener;
	struct bg_error err = { 0 };
	char want[256];
	int fd;

	bg_format(un.sun_path, sizeof(un.sun_path), "%s", path);
	fd = listen_at(AF_UNIX, (struct sockaddr *)&un, sizeof(un));
	ck_assert(bg_listener_is_one(fd));
	ck_assert_msg(bg_listener_adopt(fd, "descriptor x", &rules, &listener, &err) == 0, "%s", err.detail);
	bg_format(want, sizeof(want), "%s (descriptor x)", address);
	ck_assert_str_eq(listener.name, want);
	ck_assert_int_ne(listener.fd, fd);
	ck_assert_int_ne(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC, 0);
	bg_listener_close(&listener);
	/* Neither removed nor shut down: the parent goes on with it. */
	ck_assert_int_eq(try_connect(address), 0);
	close(fd);
}
END_TEST

START_TEST(a_descriptor_that_does_not_listen_is_not_taken_over)
{
	struct bg_listener listener;
	struct bg_error err = { 0 };
	int fds[4];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(pipe(fds + 2), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert(!bg_listener_is_one(fds[i]));
		bg_error_clear(&err);
		ck_assert_int_eq(bg_listener_adopt(fds[i], "x", &rules, &listener, &err), EX_USAGE);
		ck_assert_msg(strstr(err.detail, "not a stream socket that listens") != NULL, "%s", err.detail);
		ck_assert_int_eq(listener.fd, -1);
		close(fds[i]);
	}
	ck_assert(!bg_listener_is_one(-1));
}
END_TEST

/* SR-89. */
START_TEST(a_parents_socket_that_others_can_reach_is_refused)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_ANY) } };
	struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct bg_listener listener;
	struct bg_error err = { 0 };
	int fd;

	fd = listen_at(AF_INET, (struct sockaddr *)&any, sizeof(any));
	ck_assert_int_eq(bg_listener_adopt(fd, "x", &rules, &listener, &err), EX_USAGE);
	ck_assert_msg(strstr(err.detail, "not a loopback address") != NULL, "%s", err.detail);
	close(fd);
	fd = listen_at(AF_INET, (struct sockaddr *)&loopback, sizeof(loopback));
	ck_assert_int_eq(bg_listener_adopt(fd, "x", &rules, &listener, &err), 0);
	bg_listener_close(&listener);
	close(fd);
}
END_TEST

/* SR-89: a reload may take away the list that has kept everybody out. */
START_TEST(a_socket_knows_whether_its_mode_keeps_anybody_out)
{
	struct bg_listener_rules asks = rules;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct bg_listener listener;
	struct bg_error err = { 0 };
	int fd;

	expect_open(address, &listener);
	ck_assert(!bg_listener_is_open(&listener, false));
	bg_listener_close(&listener);
	asks.ask_who = true;
	asks.mode = 0666;
	ck_assert_msg(bg_listener_open(address, &asks, &listener, &err) == 0, "%s", err.detail);
	ck_assert(!bg_listener_is_open(&listener, true));
	ck_assert(bg_listener_is_open(&listener, false) && !listener.may_hide);
	bg_listener_close(&listener);

	bg_format(un.sun_path, sizeof(un.sun_path), "%s", path);
	fd = listen_at(AF_UNIX, (struct sockaddr *)&un, sizeof(un));
	for (int others = 0; others <= 2; others += 2) {
		ck_assert_int_eq(chmod(path, 0660 + (mode_t)others), 0);
		ck_assert_msg(bg_listener_adopt(fd, "x", &rules, &listener, &err) == 0, "%s", err.detail);
		ck_assert(bg_listener_is_open(&listener, false) == (others != 0) && listener.may_hide == (others != 0));
		ck_assert(!bg_listener_is_open(&listener, true));
		bg_listener_close(&listener);
	}
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("listener");
	TCase *tc = tcase_create("listener");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_loop_test(tc, an_address_has_one_of_two_forms_and_is_loopback, 0, N(forms));
	tcase_add_loop_test(tc, a_socket_file_is_for_owner_and_group_whatever_the_umask, 0, N(masks));
	tcase_add_loop_test(tc, a_socket_file_has_the_mode_that_was_said, 0, N(modes));
	tcase_add_test(tc, a_socket_file_has_the_owner_that_was_said_or_there_is_none);
	tcase_add_test(tc, so_many_connections_wait_to_be_accepted);
	tcase_add_loop_test(tc, a_list_of_peers_opens_addresses_beyond_loopback, 0, N(lists));
	tcase_add_loop_test(tc, a_socket_belongs_to_whom_the_configuration_says, 0, N(owners));
	tcase_add_loop_test(tc, a_listening_socket_never_blocks_and_is_not_handed_down, 0, 2);
	tcase_add_test(tc, a_socket_that_nobody_listens_on_any_more_is_replaced);
	tcase_add_test(tc, of_several_that_start_at_once_one_serves);
	tcase_add_test(tc, a_directory_that_cannot_be_locked_keeps_nobody_from_starting);
	tcase_add_test(tc, the_directory_is_free_again_whatever_came_of_it);
	tcase_add_test(tc, a_socket_that_took_our_place_survives_our_end);
	tcase_add_test(tc, what_is_no_socket_any_more_survives_our_end);
	tcase_add_test(tc, a_socket_that_somebody_listens_on_is_left_alone);
	tcase_add_test(tc, what_is_no_socket_is_never_removed);
	tcase_add_test(tc, a_path_that_fits_is_taken_and_one_more_byte_is_refused);
	tcase_add_test(tc, a_directory_that_is_not_there_is_reported);
	tcase_add_test(tc, port_0_is_chosen_by_the_system_and_told);
	tcase_add_test(tc, localhost_is_127_0_0_1);
	tcase_add_test(tc, an_ipv6_address_is_told_in_brackets);
	tcase_add_test(tc, a_parents_socket_is_taken_over_and_left_to_it);
	tcase_add_test(tc, a_descriptor_that_does_not_listen_is_not_taken_over);
	tcase_add_test(tc, a_parents_socket_that_others_can_reach_is_refused);
	tcase_add_test(tc, a_socket_knows_whether_its_mode_keeps_anybody_out);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
