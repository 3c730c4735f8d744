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
	    "unix:/a/b/s: /a/b belongs to user 1003, who could answer in the daemon's place, unless it is the daemon's, which daemon_user could say;" },
	{ "a user's below another user's", DAEMON, NONE, OTHER, DAEMON, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "/a belongs to user 1003" },
	{ "somebody's in the daemon's directory", OTHER, NONE, 0, DAEMON, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "/a/b belongs to user 1002" },
	{ "a directory that its group may write to", 0, NONE, 0, 0, 0755, 0755, 0775, "/a/b/s", BG_R_NO_DAEMON, "its group may write to /a/b," },
	{ "one above it", 0, NONE, 0, 0, 0755, 02775, 0755, "/a/b/s", BG_R_NO_DAEMON, "its group may write to /a," },
	{ "the root itself", 0, NONE, 0, 0, 0775, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "its group may write to /," },
	{ "a directory that everybody may write to", 0, NONE, 0, 0, 0755, 0755, 0757, "/a/b/s", BG_R_NO_DAEMON, "everybody may write to /a/b," },
	{ "one above it", ME, NONE, 0, ME, 0755, 0777, 0755, "/a/b/s", BG_R_NO_DAEMON, "everybody may write to /a," },
	{ "as /tmp, root's below it", 0, NONE, 0, 0, 0755, 01777, 0755, "/a/b/s", BG_R_OK, "" },
	{ "ours below it", ME, NONE, 0, ME, 0755, 01777, 0755, "/a/b/s", BG_R_OK, "" },
	{ "anybody's below it", DAEMON, NONE, 0, DAEMON, 0755, 01777, 0755, "/a/b/s", BG_R_NO_DAEMON,
	    "everybody may make directories in /a, and could answer in the daemon's place; user 1002 listens, whom daemon_user could name" },
	{ "with slashes behind slashes", 0, NONE, 0, 0, 0755, 0775, 0755, "//a///b/s", BG_R_NO_DAEMON, "its group may write to //a," },
	{ "back and forth", 0, NONE, 0, OTHER, 0755, 0755, 0755, "/a/b/../s", BG_R_NO_DAEMON, "/a/b belongs to user 1003" },

	{ "he who was named, wherever he listens", DAEMON, DAEMON, OTHER, 0, 0777, 0755, 0775, "/a/b/s", BG_R_OK, "" },
	{ "root, who may have become him since", 0, DAEMON, 0, DAEMON, 0755, 0755, 0755, "/a/b/s", BG_R_OK, "" },
	{ "root, where others could have put what root listens on", 0, DAEMON, 0, OTHER, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON, "user 1003" },
	{ "root who was named, too", 0, 0, 0, OTHER, 0755, 0755, 0755, "/a/b/s", BG_R_NO_DAEMON,
	    "user 1003, who could answer in the daemon's place, unless it is the daemon's, which daemon_user could say; root listens" },
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

/* The same world, for a program: the sticky bit and links' own directories count as well. */
static const struct {
	const char *name;
	uid_t       self, other;
	uid_t       a, b;
	mode_t      root, a_mode, b_mode;
	const char *path, *detail;	/* NULL: nobody else could have put another one there */
} names[] = {
	{ "root's", ME, 0, 0, 0, 0755, 0755, 0755, "/a/b/s", NULL },
	{ "ours", ME, 0, ME, ME, 0755, 0711, 0700, "/a/b/s", NULL },
	{ "theirs who may own scripts", ME, OTHER, OTHER, ME, 0755, 0755, 0755, "/a/b/s", NULL },
	{ "somebody else's above it", ME, 0, OTHER, ME, 0755, 0755, 0755, "/a/b/s", "/a/b/s: /a belongs to user 1003" },
	{ "somebody else's that it is in", ME, DAEMON, ME, OTHER, 0755, 0755, 0755, "/a/b/s", "/a/b/s: /a/b belongs to user 1003" },
	{ "its group's", ME, 0, ME, ME, 0755, 0775, 0755, "/a/b/s", "/a/b/s: /a may be written to by its group" },
	{ "everybody's", ME, 0, ME, ME, 0755, 0755, 0757, "/a/b/s", "/a/b/s: /a/b may be written to by its group" },
	{ "as /tmp", ME, 0, 0, ME, 0755, 01777, 0755, "/a/b/s", "/a/b/s: /a may be written to" },
	{ "a group's sticky one", ME, 0, 0, ME, 0755, 01775, 0755, "/a/b/s", "/a/b/s: /a may be written to" },
	{ "the root itself", ME, 0, 0, 0, 0775, 0755, 0755, "/a/b/s", "/a/b/s: / may be written to" },
	{ "by a link of root's", ME, 0, 0, 0, 0755, 0755, 0755, "/good/s", NULL },
	{ "by a link to where others may write", ME, 0, 0, OTHER, 0755, 0755, 0755, "/good/s", "/good/s: /a/b belongs to user 1003" },
	{ "by a link in such a place", ME, 0, OTHER, 0, 0755, 0755, 0755, "/a/out/s", "/a belongs to user 1003" },
	{ "by a link there and back", ME, 0, 0, 0, 0755, 01777, 0755, "/twice/../s", "/a may be written to" },
	{ "links in a circle", ME, 0, 0, 0, 0755, 0755, 0755, "/round/s", "too many links" },
	{ "gone", ME, 0, 0, 0, 0755, 0755, 0755, "/a/b/none", "/a/b/none: /a/b/none: No such file" },
	{ "no path", ME, 0, 0, 0, 0755, 0755, 0755, "a/b/s", "no path that can be looked at" },
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

/* Until leave, /a/b/s below the test's directory as the root. */
static int
enter(mode_t root, uid_t a, mode_t a_mode, uid_t b, mode_t b_mode)
{
	int before = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert(before >= 0 && chroot(dir) == 0 && chdir("/") == 0);
	make("/", 0, root);
	make("/a", a, a_mode);
	make("/a/b", b, b_mode);
	make_link("a/b", "/good");
	make_link("../a/b", "/a/out");
	make_link("/a/out", "/twice");
	make_link("/a/b/s", "/sock");
	make_link("round", "/round");
	make_link("nowhere", "/gone");
	make_file("/a/s");	/* whatever it is: that is not looked at */
	make_file("/a/b/s");
	return before;
}

static void
leave(int before)
{
	ck_assert(fchdir(before) == 0 && chroot(".") == 0);	/* sanitizers want to see more at the end */
	close(before);
}

START_TEST(only_what_nobody_else_could_have_put_there_is_the_daemon)
{
	int before = enter(ways[_i].root, ways[_i].a, ways[_i].a_mode, ways[_i].b, ways[_i].b_mode), rc;
	struct bg_error err = { 0 };

	rc = bg_trust_socket(ways[_i].path, ways[_i].peer, ME, ways[_i].named, &err);
	leave(before);
	ck_reason(rc, err, ways[_i].want, ways[_i].name);
	ck_assert_msg(strstr(err.detail, ways[_i].detail) != NULL, "%s: %s", ways[_i].name, err.detail);
}
END_TEST

START_TEST(a_name_is_good_where_nobody_else_could_exchange_what_has_it)	/* SR-88 */
{
	int before = enter(names[_i].root, names[_i].a, names[_i].a_mode, names[_i].b, names[_i].b_mode), rc;
	struct bg_error err = { 0 };

	rc = bg_trust_name(names[_i].path, names[_i].self, names[_i].other, &err);
	leave(before);
	ck_reason(rc, err, names[_i].detail == NULL ? BG_R_OK : BG_R_INTERNAL, names[_i].name);
	ck_assert_msg(names[_i].detail == NULL || strstr(err.detail, names[_i].detail) != NULL, "%s: %s", names[_i].name, err.detail);
}
END_TEST

/* What they say is not where they lead, and their directories become another's with a number of a process. */
START_TEST(links_of_proc_are_not_followed)
{
	struct bg_error err = { 0 };

	ck_reason(bg_trust_name("/proc/self/root/etc/passwd", 0, 0, &err), err, BG_R_INTERNAL, "a program");
	ck_assert_ptr_nonnull(strstr(err.detail, "one of /proc"));
	bg_error_clear(&err);
	ck_reason(bg_trust_socket("/proc/1/root/etc/passwd", 0, 0, BG_TRUST_NOBODY, &err), err, BG_R_NO_DAEMON, "a socket");
	ck_assert_ptr_nonnull(strstr(err.detail, "one of /proc"));
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
	tcase_add_loop_test(tc, a_name_is_good_where_nobody_else_could_exchange_what_has_it, 0, N(names));
	tcase_add_test(tc, links_of_proc_are_not_followed);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
