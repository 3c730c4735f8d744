#include "cgi/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/run.h"

#define ME	1001
#define DAEMON	1002
#define OTHER	1003
#define NONE	BG_TRUST_NOBODY

/*
 * A way of up to three directories and the socket at its end, /a/b/s where nothing else is said; links stand beside it.  Each row
 * begins with directories of root's that only root may write to.
 */
static const struct {
	const char *name;
	uid_t       peer, named;
	uid_t       a, b;		/* whose the directories are */
	mode_t      root, a_mode, b_mode;
	const char *path;
	enum bg_reason want;
	const char *detail;
} ways[] = {
	{ "root's daemon in root's directory", 0, NONE, 0, 0, 0755, 0755, 0755, "/a/b/s", BG_R_OK, "" },
	{ "our own in ours", ME, NONE, 0, ME, 0755, 0755, 0700, "/a/b/s", BG_R_OK, "" },
	{ "root's in ours", 0, NONE, 0, ME, 0755, 0755, 0700, "/a/b/s", BG_R_OK, "" },
	{ "a user's in a directory of his that root made", DAEMON, NONE, 0, DAEMON, 0755, 0755, 0750, "/a/b/s", BG_R_OK, "" },
	{ "and in one of root's", DAEMON, NONE, 0, 0, 0755, 0755, 0755, "/a/b/s", BG_R_OK, "" },
	{ "root's in another user's directory", 0, NONE, 0, OTHER, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON,
	    "unix:/a/b/s: /a/b belongs to user 1003, who could answer in the daemon's place; user 0 listens" },
	{ "a user's below another user's", DAEMON, NONE, OTHER, DAEMON, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "/a belongs to user 1003" },
	{ "somebody's in the daemon's directory", OTHER, NONE, 0, DAEMON, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "/a/b belongs to user 1002" },
	{ "a directory that its group may write to", 0, NONE, 0, 0, 0755, 0755, 0775, "/a/b/s", BG_R_NO_DAEMON, "its group may write to /a/b," },
	{ "one above it", 0, NONE, 0, 0, 0755, 02775, 0755, "/a/b/s", BG_R_NO_DAEMON, "its group may write to /a," },
	{ "the root itself", 0, NONE, 0, 0, 0775, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "its group may write to /," },
	{ "a directory that everybody may write to", 0, NONE, 0, 0, 0755, 0755, 0757, "/a/b/s", BG_R_NO_DAEMON, "everybody may write to /a/b," },
	{ "one above it", ME, NONE, 0, ME, 0755, 0777, 0755, "/a/b/s", BG_R_NO_DAEMON, "everybody may write to /a," },
	{ "as /tmp, root's below it", 0, NONE, 0, 0, 0755, 01777, 0755, "/a/b/s", BG_R_OK, "" },
	{ "ours below it", ME, NONE, 0, ME, 0755, 01777, 0755, "/a/b/s", BG_R_OK, "" },
	{ "anybody's below it", DAEMON, NONE, 0, DAEMON, 0755, 01777, 0755, "/a/b/s", BG_R_NO_DAEMON, "everybody may make directories in /a," },
	{ "with slashes behind slashes", 0, NONE, 0, 0, 0755, 0775, 0755, "//a///b/s", BG_R_NO_DAEMON, "its group may write to //a," },
	{ "back and forth", 0, NONE, 0, OTHER, 0755, 0755, 0755, "/a/b/../s", BG_R_NO_DAEMON, "/a/b belongs to user 1003" },

	{ "he who was named, wherever he listens", DAEMON, DAEMON, OTHER, 0, 0777, 0755, 0775, "/a/b/s", BG_R_OK, "" },
	{ "root, who may have become him since", 0, DAEMON, 0, DAEMON, 0755, 0755, 0755, "/a/b/s", BG_R_OK, "" },
	{ "root, where others could have put what root listens on", 0, DAEMON, 0, OTHER, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "user 1003" },
	{ "root who was named, too", 0, 0, 0, OTHER, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "user 1003" },
	{ "another one than was named", OTHER, DAEMON, 0, 0, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON,
	    "unix:/a/b/s: user 1003 listens, and daemon_user is 1002" },
	{ "we, where another was named", ME, DAEMON, 0, ME, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "user 1001 listens, and" },

	{ "by a link of root's", 0, NONE, 0, 0, 0755, 0755, 0755, "/good/s", BG_R_OK, "" },
	{ "by a link to where others may write", 0, NONE, 0, OTHER, 0755, 0755, 0755, "/good/s", BG_R_NO_DAEMON, "/a/b belongs to user 1003" },
	{ "by a link in such a place", 0, NONE, OTHER, 0, 0755, 0755, 0755, "/a/out/s", BG_R_NO_DAEMON, "/a belongs to user 1003" },
	{ "by a link to a link in such a place", 0, NONE, OTHER, 0, 0755, 0755, 0755, "/twice/s", BG_R_NO_DAEMON, "/a belongs to user 1003" },
	{ "the socket is a link", 0, NONE, 0, OTHER, 0755, 0755, 0755, "/sock", BG_R_NO_DAEMON, "/a/b belongs to user 1003" },
	{ "the socket is a link to a good one", 0, NONE, 0, 0, 0755, 0755, 0755, "/sock", BG_R_OK, "" },
	{ "links in a circle", 0, NONE, 0, 0, 0755, 0755, 0755, "/round/s", BG_R_NO_DAEMON, "too many links" },
	{ "a link to what is not there", 0, NONE, 0, 0, 0755, 0755, 0755, "/gone/s", BG_R_NO_DAEMON, "/nowhere: No such file" },
	{ "a socket that has gone", 0, NONE, 0, 0, 0755, 0755, 0755, "/a/b/none", BG_R_NO_DAEMON, "No such file" },
	{ "no path", 0, NONE, 0, 0, 0755, 0755, 0755, "a/b/s", BG_R_NO_DAEMON, "no path that can be looked at" },
};

static char dir[512];

static void
make(const char *name, uid_t uid, mode_t mode)
{
	ck_assert_msg((mkdir(name, 0700) == 0 || errno == EEXIST) && chown(name, uid, 0) == 0 && chmod(name, mode) == 0, "%s: %s", name,
	    strerror(errno));
}

/* Each test is a process of its own, whose root may be another one. */
static void
make_world(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/bearergate-test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
remove_world(void)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static void
make_link(const char *target, const char *name)
{
	ck_assert_msg(symlink(target, name) == 0 || errno == EEXIST, "%s: %s", name, strerror(errno));
}

static void
make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

START_TEST(only_what_nobody_else_could_have_put_there_is_the_daemon)
{
	int before = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct bg_error err = { 0 };

	ck_assert(before >= 0 && chroot(dir) == 0 && chdir("/") == 0);
	make("/", 0, ways[_i].root);
	make("/a", ways[_i].a, ways[_i].a_mode);
	make("/a/b", ways[_i].b, ways[_i].b_mode);
	make_link("a/b", "/good");
	make_link("../a/b", "/a/out");
	make_link("/a/out", "/twice");
	make_link("/a/b/s", "/sock");
	make_link("round", "/round");
	make_link("nowhere", "/gone");
	make_file("/a/s");	/* whatever it is: that is not looked at */
	make_file("/a/b/s");
	rc = bg_trust_socket(ways[_i].path, ways[_i].peer, ME, ways[_i].named, &err);
	ck_assert(fchdir(before) == 0 && chroot(".") == 0);	/* sanitizers want to see more at the end */
	close(before);
	ck_reason(rc, err, ways[_i].want, ways[_i].name);
	ck_assert_msg(strstr(err.detail, ways[_i].detail) != NULL, "%s: %s", ways[_i].name, err.detail);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("trust");
	TCase *tc = tcase_create("trust");

	if (geteuid() != 0) {
		puts("SKIP: needs root, to give directories away and to have a root of its own");
		return 77;
	}
	tcase_add_unchecked_fixture(tc, make_world, remove_world);
	tcase_add_loop_test(tc, only_what_nobody_else_could_have_put_there_is_the_daemon, 0, N(ways));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
