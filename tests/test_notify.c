#include "fcgi/notify.h"

#include <stddef.h>
#include <sys/time.h>

#include "core/log.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

/* A socket such as systemd has, on a path or, for a name with "@", without one. */
static int
listen_on(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 10 };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_uint_lt(n, sizeof(at.sun_path));
	memcpy(at.sun_path, name, n);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] != '@'))), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

START_TEST(what_is_sent_arrives_as_one_message)
{
	struct bg_notify notify;
	struct bg_test_dir dir;
	char name[100], got[600];
	ssize_t n;
	int fd;

	bg_test_dir_make(&dir);
	if (_i == 0)
		bg_format(name, sizeof(name), "%s", bg_test_file(&dir, "notify"));
	else
		bg_format(name, sizeof(name), "@bearergate-test-%ld", (long)getpid());
	fd = listen_on(name);
	ck_assert_int_eq(bg_notify_init(&notify, name, NULL), 0);
	bg_notify_send(&notify, "READY=%d\nSTATUS=%s", 1, "well");
	ck_assert_int_gt(n = recv(fd, got, sizeof(got) - 1, 0), 0);
	got[n] = '\0';
	ck_assert_str_eq(got, "READY=1\nSTATUS=well");
	close(fd);
	bg_test_dir_remove(&dir);
}
END_TEST

static char too_long[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
static const char *const bad[] = { "relative", "/", "@", "vsock:2:1", too_long };

START_TEST(an_address_that_is_none_notifies_nobody)
{
	struct bg_error err = { 0 };
	struct bg_notify notify;

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[0] = '/';
	ck_reason(bg_notify_init(&notify, bad[_i], &err), err, BG_R_INTERNAL, bad[_i]);
	ck_assert_uint_eq(notify.len, 0);
	bg_notify_send(&notify, "READY=1");
}
END_TEST

START_TEST(nobody_is_notified_where_nobody_asks)
{
	struct bg_notify notify;

	ck_assert_int_eq(bg_notify_init(&notify, NULL, NULL), 0);
	ck_assert_uint_eq(notify.len, 0);
	ck_assert_int_eq(bg_notify_init(&notify, "", NULL), 0);
	ck_assert_uint_eq(notify.len, 0);
}
END_TEST

START_TEST(what_cannot_be_sent_is_in_the_log)
{
	struct bg_notify notify;
	char line[512];
	int says[2];
	ssize_t n;

	ck_assert_int_eq(pipe(says), 0);
	bg_log_open(says[1], BG_LOG_WARNING);
	ck_assert_int_eq(bg_notify_init(&notify, "/nonexistent/socket", NULL), 0);
	bg_notify_send(&notify, "READY=1");
	ck_assert_int_gt(n = read(says[0], line, sizeof(line) - 1), 0);
	line[n] = '\0';
	ck_assert_str_eq(line + 20, " warning cannot tell the service manager how we are: No such file or directory\n");
	close(says[0]);
	close(says[1]);
}
END_TEST

static const struct { const char *name, *usec, *pid; int64_t want; } watchdogs[] = {
	{ "nothing is said", NULL, NULL, 0 },
	{ "a minute, for whoever is there", "60000000", NULL, 20000 },
	{ "a minute, for us", "60000000", "17", 20000 },
	{ "a minute, for somebody else", "60000000", "18", 0 },
	{ "for nobody with a number", "60000000", "17x", 0 },
	{ "for nobody", "60000000", "", 0 },
	{ "for us, but no time", NULL, "17", 0 },
	{ "no time at all", "0", NULL, 0 },
	{ "less than can be kept", "1", NULL, 1 },
	{ "no number", "6e7", NULL, 0 },
	{ "below zero", "-1", NULL, 0 },
	{ "a number that is none of ours", "99999999999999999999", NULL, 0 },
};

START_TEST(a_watchdog_is_told_three_times_as_often_as_it_waits)
{
	int64_t got = bg_notify_watchdog(watchdogs[_i].usec, watchdogs[_i].pid, 17);

	ck_assert_msg(got == watchdogs[_i].want, "%s: %ld", watchdogs[_i].name, (long)got);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("notify");
	TCase *tc = tcase_create("notify");

	tcase_add_loop_test(tc, what_is_sent_arrives_as_one_message, 0, 2);
	tcase_add_loop_test(tc, a_watchdog_is_told_three_times_as_often_as_it_waits, 0, N(watchdogs));
	tcase_add_loop_test(tc, an_address_that_is_none_notifies_nobody, 0, N(bad));
	tcase_add_test(tc, nobody_is_notified_where_nobody_asks);
	tcase_add_test(tc, what_cannot_be_sent_is_in_the_log);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
