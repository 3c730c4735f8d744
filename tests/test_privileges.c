#include "fcgi/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/tmp.h"

/* Numbers that no account has. */
#define UID	"3999999999"
#define GID	"3999999998"

static struct bg_test_dir dir;
static char log_file[2048], nowhere[] = "stderr";

static void
make_dir(void)
{
	bg_test_dir_make(&dir);
	bg_format(log_file, sizeof(log_file), "%s", bg_test_file(&dir, "log"));
	bg_log_open(STDERR_FILENO, BG_LOG_ERROR);
}

static void
remove_dir(void)
{
	bg_test_dir_remove(&dir);
}

static struct bg_conf
conf_of(const char *user, const char *group)
{
	return (struct bg_conf){ .user = (char *)user, .group = (char *)group, .log = nowhere };
}

/* What a process of its own, since there is no way back, makes of something; its exit code. */
static int
in_child(int (*run)(const struct bg_conf *conf), const struct bg_conf *conf)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(run(conf));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "status %d", status);
	return WEXITSTATUS(status);
}

static int
be_numbers(const struct bg_conf *conf)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	struct bg_error err = { 0 };
	uid_t uid[3];
	gid_t gid[3], groups[8];
	int n;

	prctl(PR_SET_DUMPABLE, 1);
	if (bg_privileges_drop(conf, &err) != 0)
		return 1;
	if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0)
		return 2;
	for (int i = 0; i < 3; i++)
		if (uid[i] != 3999999999u || gid[i] != 3999999998u)
			return 3;
	if ((n = getgroups(8, groups)) != 1 || groups[0] != 3999999998u)
		return 4;
	if (setuid(0) == 0 || setgid(0) == 0 || seteuid(0) == 0)
		return 5;
	if (syscall(SYS_capget, &header, caps) != 0 || caps[0].permitted != 0 || caps[0].effective != 0 ||
	    caps[0].inheritable != 0 || caps[1].permitted != 0)
		return 6;
	if (prctl(PR_GET_DUMPABLE) != 0)		/* SR-85 */
		return 7;
	return bg_privileges_are_surplus(conf) || bg_privileges_check(conf, &err) != 0 || bg_privileges_drop(conf, &err) != 0 ? 8 : 0;
}

/* These take root to be seen. */
START_TEST(root_becomes_another_for_ever)
{
	struct bg_conf conf = conf_of(UID, GID);

	if (geteuid() != 0)
		return;
	ck_assert(bg_privileges_are_surplus(&conf));
	ck_assert_int_eq(in_child(be_numbers, &conf), 0);
	ck_assert_int_eq(geteuid(), 0);
}
END_TEST

/* A parent that keeps root's capabilities over a change of user: they would be a way back. */
static int
be_numbers_with_securebits(const struct bg_conf *conf)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS) != 0)
		return 0;	/* this root has no such right */
	return be_numbers(conf);
}

START_TEST(capabilities_that_outlive_a_change_of_user_go_too)
{
	struct bg_conf conf = conf_of(UID, GID);

	if (geteuid() == 0)
		ck_assert_int_eq(in_child(be_numbers_with_securebits, &conf), 0);
}
END_TEST

/* Without the right to become another user it is no use being root. */
static int
drop_without_setuid(const struct bg_conf *conf)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	struct bg_error err = { 0 };

	if (syscall(SYS_capget, &header, caps) != 0)
		return 1;
	caps[0].effective &= ~(1u << CAP_SETUID);
	caps[0].permitted &= ~(1u << CAP_SETUID);
	if (syscall(SYS_capset, &header, caps) != 0)
		return 2;
	return bg_privileges_drop(conf, &err) == EX_NOPERM && strstr(err.detail, "cannot become it") != NULL ? 0 : 3;
}

START_TEST(a_root_that_may_not_become_another_is_told)
{
	struct bg_conf conf = conf_of(UID, GID);
#ifdef __SANITIZE_THREAD__
	const bool alone = false;	/* it has a thread of its own, which keeps the right; the C library ends us over the difference */
#else
	const bool alone = true;
#endif

	if (alone && geteuid() == 0)
		ck_assert_int_eq(in_child(drop_without_setuid, &conf), 0);
}
END_TEST

static int
check_as_numbers(const struct bg_conf *conf)
{
	struct bg_error err = { 0 };

	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(3999999998u) != 0 || setuid(3999999999u) != 0))
		return 1;
	return bg_privileges_drop(conf, &err);
}

/* Of a process that is no root: either root is, or we are. */
static const struct { const char *user, *group; int want; } others[] = {
	{ NULL,         NULL,         0 },
	{ "0",          NULL,         EX_NOPERM },
	{ "root",       NULL,         EX_NOPERM },
	{ "3999999997", GID,          EX_NOPERM },
	{ "3999999997", NULL,         EX_CONFIG },	/* whose group? */
	{ UID,          GID,          0 },
	{ UID,          "3999999997", EX_NOPERM },
	{ UID,          "root",       EX_NOPERM },
	{ "no-such-user-here", NULL,  EX_CONFIG },
	{ UID, "no-such-group-here",  EX_CONFIG },
};
START_TEST(others_than_root_can_only_be_themselves)
{
	struct bg_conf conf = conf_of(others[_i].user, others[_i].group);

	if (geteuid() == 0)
		ck_assert_int_eq(in_child(check_as_numbers, &conf), others[_i].want);
}
END_TEST

START_TEST(root_is_nobody_to_become)
{
	struct bg_conf conf = conf_of("0", NULL);
	struct bg_error err = { 0 };
	int code = bg_privileges_check(&conf, &err);

	ck_assert_int_eq(code, geteuid() == 0 ? EX_CONFIG : EX_NOPERM);
}
END_TEST

START_TEST(a_log_is_made_for_whom_it_becomes_and_one_that_is_there_stays)
{
	struct bg_conf conf = conf_of(UID, GID);
	struct stat st;

	if (geteuid() != 0)
		return;
	conf.log = log_file;
	bg_privileges_make_log(&conf);
	ck_assert_int_eq(stat(log_file, &st), 0);
	ck_assert(st.st_uid == 3999999999u && st.st_gid == 3999999998u && (st.st_mode & 07777) == 0640);
	ck_assert_int_eq(chown(log_file, 1, 2), 0);
	bg_privileges_make_log(&conf);
	ck_assert_int_eq(stat(log_file, &st), 0);
	ck_assert(st.st_uid == 1 && st.st_gid == 2);
	/* Nor is a link followed. */
	ck_assert_int_eq(unlink(log_file), 0);
	ck_assert_int_eq(symlink(bg_test_file(&dir, "elsewhere"), log_file), 0);
	bg_privileges_make_log(&conf);
	ck_assert_int_eq(stat(bg_test_file(&dir, "elsewhere"), &st), -1);
}
END_TEST

static int
look_as_numbers(const struct bg_conf *conf)
{
	struct bg_error err = { 0 };

	if (bg_privileges_drop(conf, &err) != 0)
		return 1;
	return bg_privileges_look(conf, &err);
}

START_TEST(what_cannot_be_written_later_is_told)
{
	struct bg_conf conf = conf_of(UID, GID);
	char cache[2048], key[2048];

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(dir.path, 0755), 0);
	ck_assert_int_eq(in_child(look_as_numbers, &conf), 0);
	conf.log = log_file;
	ck_assert_int_eq(in_child(look_as_numbers, &conf), EX_NOPERM);	/* neither is there nor can be made */
	bg_privileges_make_log(&conf);
	ck_assert_int_eq(in_child(look_as_numbers, &conf), 0);
	ck_assert_int_eq(chown(log_file, 0, 0), 0);
	ck_assert_int_eq(in_child(look_as_numbers, &conf), EX_NOPERM);
	conf.log = nowhere;

	bg_format(cache, sizeof(cache), "%s", bg_test_file(&dir, "cache"));
	bg_format(key, sizeof(key), "%s/cache/lock", dir.path);
	ck_assert_int_eq(mkdir(cache, 0755), 0);
	conf.cache_dir = cache;
	ck_assert_int_eq(in_child(look_as_numbers, &conf), EX_NOPERM);
	ck_assert_int_eq(chown(cache, 3999999999u, 3999999998u), 0);
	ck_assert_int_eq(in_child(look_as_numbers, &conf), 0);
	close(open(key, O_CREAT | O_WRONLY, 0600));	/* root's, from a start without user */
	ck_assert_int_eq(in_child(look_as_numbers, &conf), EX_NOPERM);
	ck_assert_int_eq(chmod(key, 0644), 0);
	ck_assert_int_eq(in_child(look_as_numbers, &conf), 0);
	ck_assert_int_eq(unlink(key), 0);
	ck_assert_int_eq(rmdir(cache), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("privileges");
	TCase *tc = tcase_create("privileges");

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, root_becomes_another_for_ever);
	tcase_add_test(tc, capabilities_that_outlive_a_change_of_user_go_too);
	tcase_add_test(tc, a_root_that_may_not_become_another_is_told);
	tcase_add_loop_test(tc, others_than_root_can_only_be_themselves, 0, N(others));
	tcase_add_test(tc, root_is_nobody_to_become);
	tcase_add_test(tc, a_log_is_made_for_whom_it_becomes_and_one_that_is_there_stays);
	tcase_add_test(tc, what_cannot_be_written_later_is_told);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
