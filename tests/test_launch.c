#include "cgi/launch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define OUTPUT	4096

static struct bg_test_dir dir;
static char path[PATH_MAX];	/* of the script, @/cgi/app */

/* What becomes of the script's name between the look at it and its execution. */
enum meanwhile { NOTHING, REPLACED, GONE, LINKED, DIRECTORY_REPLACED, ABOVE_OPENED, ABOVE_STICKY };

static const struct {
	const char *name;
	enum meanwhile meanwhile;
	const char *text;	/* of the script, % for this program */
	const char *says;	/* % for its path, # for /dev/fd/N */
} cases[] = {
	{ "nothing", NOTHING, "#!/bin/sh\necho old \"$0\" \"$@\"\n", "old % a b" },
	{ "another file in its place", REPLACED, "#!/bin/sh\necho old \"$0\" \"$@\"\n", "old # a b" },
	{ "no file in its place", GONE, "#!/bin/sh\necho old \"$0\"\n", "old #" },
	{ "a link to it in its place", LINKED, "#!/bin/sh\necho old \"$0\"\n", "old #" },
	{ "another directory", DIRECTORY_REPLACED, "#!/bin/sh\necho old \"$0\"\n", "old #" },
	{ "its group may write to a directory above", ABOVE_OPENED, "#!/bin/sh\necho old \"$0\"\n", "old #" },
	{ "so may everybody, by the sticky bit", ABOVE_STICKY, "#!/bin/sh\necho old \"$0\"\n", "old #" },
	{ "the line names the wrapper, and nothing", NOTHING, "#!% /bin/sh\necho old \"$0\" \"$@\"\n", "old % a b" },
	{ "the same, and another file", REPLACED, "#!% /bin/sh -e\necho old \"$0\" \"$@\"\n", "old # a b" },
};

/* No directory above may be anybody else's, or nothing had a name: /tmp will not do. */
static bool
is_ours_alone(const char *at)
{
	char way[PATH_MAX];
	struct stat st;

	if (realpath(at, way) == NULL || access(way, W_OK) != 0)
		return false;
	for (;;) {
		char *slash = strrchr(way, '/');

		if (stat(way, &st) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022) != 0)
			return false;
		if (way[1] == '\0')
			return true;
		slash[slash == way] = '\0';
	}
}

static bool
find_base(void)
{
	const char *tmp = getenv("TMPDIR"), *home = getenv("HOME");
	const char *bases[] = { tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp", ".", home != NULL ? home : "/", "/srv", "/var/lib", "/run" };
	char base[PATH_MAX];

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		if (is_ours_alone(bases[i]) && realpath(bases[i], base) != NULL)
			return setenv("TMPDIR", base, 1) == 0;
	return false;
}

static void
write_script(const char *name, const char *text)
{
	char filled[2 * PATH_MAX], self[PATH_MAX] = "";
	const char *at = strchr(text, '%');

	ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	if (at != NULL)
		bg_format(filled, sizeof(filled), "%.*s%s%s", (int)(at - text), text, self, at + 1);
	else
		bg_format(filled, sizeof(filled), "%s", text);
	bg_test_file_write(&dir, name, filled, strlen(filled));
	ck_assert_int_eq(chmod(bg_test_file(&dir, name), 0755), 0);
}

static void
make_dir(const char *name)
{
	ck_assert_int_eq(mkdir(bg_test_file(&dir, name), 0755), 0);
}

static void
setup(void)
{
	umask(022);
	bg_test_dir_make(&dir);
	make_dir("above");
	make_dir("above/cgi");
	make_dir("above/new");
	write_script("above/new/app", "#!/bin/sh\necho NEW \"$0\"\n");
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, "above/cgi/app"));
}

static void
teardown(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir.path);
	ck_assert_int_eq(system(command), 0);
}

static void
move(const char *from, const char *to)
{
	char old[PATH_MAX];

	snprintf(old, sizeof(old), "%s", bg_test_file(&dir, from));
	ck_assert_int_eq(rename(old, bg_test_file(&dir, to)), 0);
}

static void
happen(enum meanwhile what)
{
	switch (what) {
	case NOTHING:
		break;
	case REPLACED:
		move("above/new/app", "above/cgi/app");
		break;
	case GONE:
		ck_assert_int_eq(unlink(path), 0);
		break;
	case LINKED:
		move("above/cgi/app", "above/cgi/other");
		ck_assert_int_eq(symlink("other", path), 0);
		break;
	case DIRECTORY_REPLACED:
		move("above/cgi", "above/old");
		move("above/new", "above/cgi");
		break;
	case ABOVE_OPENED:
		ck_assert_int_eq(chmod(bg_test_file(&dir, "above"), 0775), 0);
		break;
	case ABOVE_STICKY:
		ck_assert_int_eq(chmod(bg_test_file(&dir, "above"), 01777), 0);
		break;
	}
}

/* The first line of what the script says, in out. */
static void
run(const struct bg_script *script, const char *name, char out[OUTPUT])
{
	int ends[2], status;
	pid_t pid;
	FILE *file;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_ge((pid = fork()), 0);
	if (pid == 0) {
		char *none[] = { NULL };
		struct bg_launch_signals before;
		struct bg_error err = { 0 };

		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		bg_launch_hold_signals(&before);
		bg_launch(script, none, &before, &err);
		dprintf(STDOUT_FILENO, "%s\n", err.detail);
		_exit(1);
	}
	close(ends[1]);
	ck_assert_ptr_nonnull(file = fdopen(ends[0], "r"));
	if (fgets(out, OUTPUT, file) == NULL)
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	fclose(file);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "%s: %d, %s", name, status, out);
}

START_TEST(what_was_opened_is_run_by_the_name_it_still_has)	/* SR-88 */
{
	struct bg_script_options options = { .script = path };
	char *words[] = { (char[]){ "w" }, (char[]){ "a" }, (char[]){ "b" }, NULL }, *bare[] = { NULL };
	char **argv = strchr(cases[_i].says, 'a') != NULL ? words : bare, *none[] = { NULL };
	char out[OUTPUT], want[2 * PATH_MAX];
	const char *at = strpbrk(cases[_i].says, "%#");
	struct bg_error err = { 0 };
	struct bg_script script;
	bool missing;

	write_script("above/cgi/app", cases[_i].text);
	ck_reason(bg_script_open(&options, argv, none, &script, &missing, &err), err, BG_R_OK, cases[_i].name);
	happen(cases[_i].meanwhile);
	run(&script, cases[_i].name, out);
	if (*at == '%')
		bg_format(want, sizeof(want), "%.*s%s%s", (int)(at - cases[_i].says), cases[_i].says, path, at + 1);
	else
		bg_format(want, sizeof(want), "%.*s/dev/fd/%d%s", (int)(at - cases[_i].says), cases[_i].says, script.fd, at + 1);
	ck_assert_msg(strcmp(out, want) == 0, "%s: \"%s\", wanted \"%s\"", cases[_i].name, out, want);
	bg_script_clear(&script);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("launch");
	TCase *tc = tcase_create("launch");

	if (!find_base()) {
		puts("SKIP: no directory to which nobody else may write, up to the root");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_was_opened_is_run_by_the_name_it_still_has, 0, N(cases));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
