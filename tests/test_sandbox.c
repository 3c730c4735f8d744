#include "fetch/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config.h"
#include "core/filter.h"
#include "tests/support/probes.h"
#include "tests/support/run.h"

/*
 * SR-90: a probe for each thing that a download does not need, and must not be able to do.  Whether what is allowed is
 * enough is shown by tests/test_https.c, with the program itself.
 */

#define things	bg_probe_things
#define say	bg_probe_said

static int open_w(void) { return say(open(things.path, O_WRONLY)); }
static int open_rw(void) { return say(open(things.path, O_RDWR | O_CLOEXEC)); }
static int open_creat(void) { return say(open(things.absent, O_RDONLY | O_CREAT, 0600)); }
static int do_unlink(void) { return say(unlink(things.path)); }
static int do_unlinkat(void) { return say(unlinkat(AT_FDCWD, things.path, 0)); }
static int do_rename(void) { return say(rename(things.path, things.path)); }
static int do_mkdir(void) { return say(mkdir(things.path, 0700)); }
static int do_accept(void) { return say(accept(things.listening, NULL, NULL)); }
static int do_accept4(void) { return say(accept4(things.listening, NULL, NULL, SOCK_CLOEXEC)); }
static int sock_unix(void) { return say(socket(AF_UNIX, SOCK_STREAM, 0)); }

static const struct bg_probe probes[] = {
	{ "open for writing", open_w, false, 0 },
	{ "open for both", open_rw, false, 0 },
	{ "open, creating", open_creat, false, 0 },
	{ "unlink", do_unlink, false, 0 },
	{ "unlinkat", do_unlinkat, false, 0 },
	{ "rename", do_rename, false, 0 },
	{ "mkdir", do_mkdir, false, 0 },
	{ "accept", do_accept, false, 0 },
	{ "accept4", do_accept4, false, 0 },
	{ "a socket of the system's", sock_unix, false, 0 },
};

#ifdef BG_SECCOMP

static void
refuses(const struct bg_probe *probe)
{
	int behind = bg_probe_try(probe->probe, bg_sandbox_enter), before;

	ck_assert_msg(behind == EPERM, "%s: %s", probe->name, strerror(behind));
	before = bg_probe_try(probe->probe, NULL);
	ck_assert_msg(probe->always || before != EPERM, "%s is refused without us", probe->name);
}

START_TEST(what_no_program_of_ours_does_is_refused)
{
	refuses(&bg_probes[_i]);
}
END_TEST

START_TEST(what_a_download_does_not_need_is_refused)
{
	refuses(&probes[_i]);
}
END_TEST

static int
do_clone3(void)
{
	return say(syscall(SYS_clone3, NULL, 0));
}

/* The C library falls back to clone only for this. */
START_TEST(clone3_is_not_there)
{
	ck_assert_int_eq(bg_probe_try(do_clone3, bg_sandbox_enter), ENOSYS);
}
END_TEST

static int
clone_bare_thread(void)
{
	/* What is no thread of ours is refused before its other arguments are looked at. */
	return say(syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER, NULL, NULL, NULL, 0));
}

START_TEST(a_thread_is_made_in_no_other_namespace)
{
	ck_assert_int_eq(bg_probe_try(clone_bare_thread, bg_sandbox_enter), EPERM);
	ck_assert_int_eq(bg_probe_try(clone_bare_thread, NULL), EINVAL);
}
END_TEST

static int
do_read(void)
{
	char byte;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	return say(fd == -1 ? -1 : (int)read(fd, &byte, 1));
}

START_TEST(what_it_needs_is_there)
{
	ck_assert_int_eq(bg_probe_try(bg_probe_thread, bg_sandbox_enter), 0);
	ck_assert_int_eq(bg_probe_try(do_read, bg_sandbox_enter), 0);
	ck_assert_int_eq(bg_probe_try(bg_probe_fork_in_thread, bg_sandbox_enter), EPERM);
	ck_assert_int_eq(bg_probe_try(bg_probe_abort, bg_sandbox_enter), SIGABRT);
}
END_TEST

#else

START_TEST(without_a_filter_all_is_as_before)
{
	ck_assert_str_eq(bg_filter_kind, "none");
	ck_assert_int_ne(bg_probe_try(probes[_i].probe, bg_sandbox_enter), BG_PROBE_LOST);
}
END_TEST

#endif

int
main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, bg_probes_set_up, bg_probes_tear_down);
#ifdef BG_SECCOMP
	tcase_add_loop_test(tc, what_no_program_of_ours_does_is_refused, 0, (int)bg_n_probes);
	tcase_add_loop_test(tc, what_a_download_does_not_need_is_refused, 0, N(probes));
	tcase_add_test(tc, clone3_is_not_there);
	tcase_add_test(tc, a_thread_is_made_in_no_other_namespace);
	tcase_add_test(tc, what_it_needs_is_there);
#else
	tcase_add_loop_test(tc, without_a_filter_all_is_as_before, 0, N(probes));
#endif
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
