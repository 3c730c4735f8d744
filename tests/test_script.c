#include "cgi/script.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define WORDS	8

static struct bg_test_dir dir;
static char self[PATH_MAX];	/* this program, which is the wrapper here */

/* @ at the beginning of a word is the test's directory, % this program. */
static const char *
expand(const char *text, char out[2 * PATH_MAX])
{
	const char *at = strpbrk(text, "@%");

	if (at == NULL)
		bg_format(out, 2 * PATH_MAX, "%s", text);
	else
		bg_format(out, 2 * PATH_MAX, "%.*s%s%s", (int)(at - text), text, *at == '@' ? dir.path : self, at + 1);
	return out;
}

static void
make(const char *name, const char *text, mode_t mode)
{
	char filled[2 * PATH_MAX];

	expand(text, filled);
	bg_test_file_write(&dir, name, filled, strlen(filled));
	ck_assert_int_eq(chmod(bg_test_file(&dir, name), mode), 0);
}

static void
make_dir(const char *name, mode_t mode)
{
	ck_assert_int_eq(mkdir(bg_test_file(&dir, name), 0700), 0);
	ck_assert_int_eq(chmod(dir.file, mode), 0);
}

static void
make_link(const char *to, const char *name)
{
	ck_assert_int_eq(symlink(to, bg_test_file(&dir, name)), 0);
}

static void
setup(void)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ck_assert_int_gt(n, 0);
	self[n] = '\0';
	umask(022);
	bg_test_dir_make(&dir);
	make_dir("cgi", 0755);
	make_dir("cgi/sub", 0755);
	make_dir("cgi/open", 0777);
	make_dir("cgi2", 0755);
	make("cgi/app", "#!/bin/sh\n", 0755);
	make("cgi/sub/app", "binary", 0711);
	make("cgi/open/app", "", 0755);
	make("cgi2/app", "", 0755);
	make("cgi/plain", "", 0644);
	make("cgi/group", "", 0775);
	make("cgi/others", "", 0757);
	make("cgi/loop", "#!%\n", 0755);
	make("cgi/loop-twice", "#! % %\n", 0755);
	make_link(self, "self");
	make("cgi/loop-relative", "#!../self\n", 0755);
	make("cgi/relative", "#!% perl\n", 0755);
	make("cgi/perl", "#! \t%  /usr/bin/perl   -T -w \nbody\n", 0755);
	make("cgi/sh", "#!% /bin/sh", 0755);
	make("cgi/nobody", "", 0755);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(bg_test_file(&dir, "cgi/nobody"), 65534, 65534), 0);
	make_link("app", "cgi/link");
	make_link("../cgi2", "cgi/out");
	make_link("sub", "cgi/in");
	make_link("cgi", "cgi-link");
	make_link(self, "cgi/wrapper");
	ck_assert_int_eq(mkfifo(bg_test_file(&dir, "cgi/fifo"), 0755), 0);
}

static int
drop(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static void
teardown(void)
{
	ck_assert_int_eq(nftw(dir.path, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#define ACTION(file, info)	{ "SCRIPT_FILENAME=%", "PATH_TRANSLATED=@/cgi" file info, "REDIRECT_STATUS=200",	\
	"REDIRECT_URL=/u" file info, "PATH_INFO=/u" file info, "DOCUMENT_ROOT=@/www" }
#define GUARDED(file)		{ "SCRIPT_FILENAME=@/cgi" file }
#define ROOT			"@/cgi"

enum result { OPENED, MISSING, REFUSED };

static const struct {
	const char *name, *script, *root, *argv[WORDS], *env[WORDS];
	enum result result;
	const char *path;	/* of what was opened, or a word of why not */
	const char *words;	/* what is left of argv, with "|" between; NULL: nothing */
	const char *settings;	/* the same */
} rows[] = {
	/* by the configuration, whatever else is said */
	{ "configured", "@/cgi/app", NULL, { "w" }, { NULL }, OPENED, "@/cgi/app", NULL, NULL },
	{ "words of a query stay words", "@/cgi/app", NULL, { "w", "@/cgi/sub/app", "-c" }, { NULL }, OPENED, "@/cgi/app", "@/cgi/sub/app|-c",
	    NULL },
	{ "SCRIPT_FILENAME is put right", "@/cgi/app", ROOT, { "w" }, { "SCRIPT_FILENAME=%", "PATH_INFO=/x" }, OPENED, "@/cgi/app", NULL,
	    "SCRIPT_FILENAME=@/cgi/app" },
	{ "but not where it is another", "@/cgi/app", NULL, { "w" }, { "SCRIPT_FILENAME=@/cgi/plain" }, OPENED, "@/cgi/app", NULL, NULL },
	{ "argv and environment do not choose", "@/cgi/app", ROOT, { "w", "@/cgi/sub/app" }, { "SCRIPT_FILENAME=@/cgi/sub/app",
	    "PATH_TRANSLATED=@/cgi/sub/app" }, OPENED, "@/cgi/app", "@/cgi/sub/app", NULL },
	{ "configured and not there", "@/cgi/none", NULL, { "w" }, { NULL }, MISSING, "No such file", NULL, NULL },
	{ "nor its directory", "@/none/app", NULL, { "w" }, { NULL }, MISSING, "No such file", NULL, NULL },
	{ "a slash behind", "@/cgi/app/", ROOT, { "w" }, { NULL }, MISSING, "not a directory", NULL, NULL },
	{ "no argv at all", "@/cgi/app", NULL, { NULL }, { NULL }, OPENED, "@/cgi/app", NULL, NULL },
	{ "by way of a link to the directory", "@/cgi-link/app", NULL, { "w" }, { NULL }, OPENED, "@/cgi-link/app", NULL, NULL },

	/* what may not run (SR-88) */
	{ "a link", "@/cgi/link", NULL, { "w" }, { NULL }, REFUSED, "symbolic link", NULL, NULL },
	{ "not executable", "@/cgi/plain", NULL, { "w" }, { NULL }, REFUSED, "not executable", NULL, NULL },
	{ "writable by its group", "@/cgi/group", NULL, { "w" }, { NULL }, REFUSED, "its group or by others", NULL, NULL },
	{ "writable by others", "@/cgi/others", NULL, { "w" }, { NULL }, REFUSED, "its group or by others", NULL, NULL },
	{ "in a directory writable by others", "@/cgi/open/app", NULL, { "w" }, { NULL }, REFUSED, "the directory", NULL, NULL },
	{ "the same below a root", "@/cgi/open/app", ROOT, { "w" }, { NULL }, REFUSED, "the directory", NULL, NULL },
	{ "a fifo", "@/cgi/fifo", NULL, { "w" }, { NULL }, REFUSED, "not a regular file", NULL, NULL },
	{ "a directory", "@/cgi/sub", ROOT, { "w" }, { NULL }, REFUSED, "is a directory", NULL, NULL },
	{ "the wrapper", "%", NULL, { "w" }, { NULL }, REFUSED, "this program itself", NULL, NULL },
	{ "the wrapper by a link", "@/cgi/wrapper", NULL, { "w" }, { NULL }, REFUSED, "symbolic link", NULL, NULL },
	{ "a script that names the wrapper alone", "@/cgi/loop", NULL, { "w" }, { NULL }, REFUSED, "no interpreter", NULL, NULL },
	{ "a script that names it twice", "@/cgi/loop-twice", NULL, { "w" }, { NULL }, REFUSED, "twice", NULL, NULL },
	{ "one that names it from its own directory", "@/cgi/loop-relative", NULL, { "w" }, { NULL }, REFUSED, "no interpreter", NULL, NULL },
	{ "an interpreter without its path", "@/cgi/relative", NULL, { "w" }, { NULL }, REFUSED, "no interpreter", NULL, NULL },

	/* below the root and nowhere else */
	{ "nothing is set", NULL, NULL, { "w", "@/cgi/app" }, GUARDED("/app"), REFUSED, "neither script nor script_root", NULL, NULL },
	{ "below", "@/cgi/sub/app", "@/cgi/", { "w" }, { NULL }, OPENED, "@/cgi/sub/app", NULL, NULL },
	{ "beside", "@/cgi2/app", ROOT, { "w" }, { NULL }, REFUSED, "not below script_root", NULL, NULL },
	{ "above by dots", "@/cgi/../cgi2/app", ROOT, { "w" }, { NULL }, REFUSED, "\"..\"", NULL, NULL },
	{ "dots that stay below", "@/cgi/sub/../app", ROOT, { "w" }, { NULL }, REFUSED, "\"..\"", NULL, NULL },
	{ "one dot and slashes", "@/cgi//./sub//app", ROOT, { "w" }, { NULL }, OPENED, "@/cgi/sub/app", NULL, NULL },
	{ "out by a link", "@/cgi/out/app", ROOT, { "w" }, { NULL }, REFUSED, "symbolic link", NULL, NULL },
	{ "a link that stays below", "@/cgi/in/app", ROOT, { "w" }, { NULL }, REFUSED, "symbolic link", NULL, NULL },
	{ "the root may be a link", "@/cgi-link/app", "@/cgi-link", { "w" }, { NULL }, OPENED, "@/cgi-link/app", NULL, NULL },
	{ "a root with slashes and dots", "@/cgi/sub/app", "@/.//cgi/.//sub/.", { "w" }, { NULL }, OPENED, "@/cgi/sub/app", NULL, NULL },
	{ "beside such a one", "@/cgi2/app", "@/./cgi/.", { "w" }, { NULL }, REFUSED, "not below", NULL, NULL },
	{ "above such a one", "@/cgi/../cgi2/app", "@/./cgi/.", { "w" }, { NULL }, REFUSED, "\"..\"", NULL, NULL },
	{ "a path with such a root", "@/.//cgi/./app", ROOT, { "w" }, { NULL }, OPENED, "@/cgi/app", NULL, NULL },
	{ "a file beside the root that begins as it does", "@/cgi", "@/cg", { "w" }, { NULL }, REFUSED, "not below", NULL, NULL },
	{ "a root that is not there", "@/none/app", "@/none", { "w" }, { NULL }, MISSING, "No such file", NULL, NULL },
	{ "the root itself", "@/cgi/", ROOT, { "w" }, { NULL }, REFUSED, "is a directory", NULL, NULL },
	{ "relative", "cgi/app", NULL, { "w" }, { NULL }, REFUSED, "not below", NULL, NULL },

	/* argv: lighttpd's cgi.assign, a #! line */
	{ "cgi.assign", NULL, ROOT, { "w", "@/cgi/app" }, GUARDED("/app"), OPENED, "@/cgi/app", NULL, NULL },
	{ "with words behind it", NULL, ROOT, { "w", "@/cgi/app", "a", "-b" }, GUARDED("/app"), OPENED, "@/cgi/app", "a|-b", NULL },
	{ "behind the rest of a line", NULL, ROOT, { "w", "/bin/sh", "@/cgi/sh", "a" }, GUARDED("/sh"), OPENED, "@/cgi/sh", "a", NULL },
	{ "by its name alone (busybox httpd)", NULL, ROOT, { "w", "app" }, GUARDED("/app"), OPENED, "@/cgi/app", NULL, NULL },
	{ "the same behind the rest of a line", NULL, ROOT, { "w", "/bin/sh", "sh", "a" }, GUARDED("/sh"), OPENED, "@/cgi/sh", "a", NULL },
	{ "another name", NULL, ROOT, { "w", "sh" }, GUARDED("/app"), REFUSED, "not what", NULL, NULL },
	{ "the end of a name", NULL, ROOT, { "w", "pp" }, GUARDED("/app"), REFUSED, "not what", NULL, NULL },
	{ "more than a name", NULL, ROOT, { "w", "sub/app" }, GUARDED("/sub/app"), REFUSED, "not what", NULL, NULL },
	{ "no name", NULL, ROOT, { "w", "" }, GUARDED("/"), REFUSED, "not what", NULL, NULL },
	{ "third", NULL, ROOT, { "w", "a", "b", "@/cgi/app" }, GUARDED("/app"), REFUSED, "not what", NULL, NULL },
	{ "not there", NULL, ROOT, { "w", "@/cgi/none" }, GUARDED("/none"), MISSING, "No such file", NULL, NULL },
	{ "with path info", NULL, ROOT, { "w", "@/cgi/app/x" }, GUARDED("/app/x"), MISSING, "not a directory", NULL, NULL },
	{ "without SCRIPT_FILENAME", NULL, ROOT, { "w", "@/cgi/app" }, { NULL }, REFUSED, "no SCRIPT_FILENAME", NULL, NULL },
	{ "a word of a query", NULL, ROOT, { "w", "@/cgi/app" }, { "SCRIPT_FILENAME=%" }, REFUSED, "no PATH_TRANSLATED", NULL, NULL },
	{ "the same with path info", NULL, ROOT, { "w", "@/cgi/app" }, { "SCRIPT_FILENAME=%", "PATH_INFO=/x", "PATH_TRANSLATED=@/cgi/app" },
	    REFUSED, "its own URL", NULL, NULL },
	{ "another word", NULL, ROOT, { "w", "@/cgi/app" }, GUARDED("/sub/app"), REFUSED, "not what", NULL, NULL },
	{ "no argv", NULL, ROOT, { NULL }, GUARDED("/app"), REFUSED, "not what", NULL, NULL },
	{ "an interpreter chosen by a query", NULL, ROOT, { "w", "@/cgi/sub/app", "%" }, { "SCRIPT_FILENAME=%" }, REFUSED, "no PATH_TRANSLATED",
	    NULL, NULL },
	{ "PATH_TRANSLATED does not choose here", NULL, ROOT, { "w", "@/cgi/app" }, { "SCRIPT_FILENAME=@/cgi/app", "REDIRECT_STATUS=200",
	    "REDIRECT_URL=/x", "PATH_INFO=/x", "PATH_TRANSLATED=@/cgi/sub/app" }, OPENED, "@/cgi/app", NULL, NULL },

	/* PATH_TRANSLATED: Apache's Action */
	{ "Action", NULL, ROOT, { "w" }, ACTION("/app", ""), OPENED, "@/cgi/app", NULL,
	    "SCRIPT_FILENAME=@/cgi/app|SCRIPT_NAME=/u/app|-PATH_INFO|-PATH_TRANSLATED" },
	{ "with path info", NULL, ROOT, { "w" }, ACTION("/sub/app", "/a/b/"), OPENED, "@/cgi/sub/app", NULL,
	    "SCRIPT_FILENAME=@/cgi/sub/app|SCRIPT_NAME=/u/sub/app|PATH_INFO=/a/b/|PATH_TRANSLATED=@/www/a/b/" },
	{ "slashes that Apache made one of", NULL, ROOT, { "w" }, { "SCRIPT_FILENAME=%", "PATH_TRANSLATED=@/cgi/app/a", "REDIRECT_STATUS=200",
	    "REDIRECT_URL=/u//app///a", "PATH_INFO=/u/app/a", "DOCUMENT_ROOT=@/www" }, OPENED, "@/cgi/app", NULL,
	    "SCRIPT_FILENAME=@/cgi/app|SCRIPT_NAME=/u/app|PATH_INFO=/a|PATH_TRANSLATED=@/www/a" },
	{ "a slash more is another path", NULL, ROOT, { "w" }, { "SCRIPT_FILENAME=%", "PATH_TRANSLATED=@/cgi/app", "REDIRECT_STATUS=200",
	    "REDIRECT_URL=/u/app/", "PATH_INFO=/u/app" }, REFUSED, "its own URL", NULL, NULL },
	{ "words of a query do not choose", NULL, ROOT, { "w", "@/cgi/sub/app", "-x" }, ACTION("/app", ""), OPENED, "@/cgi/app",
	    "@/cgi/sub/app|-x", "SCRIPT_FILENAME=@/cgi/app|SCRIPT_NAME=/u/app|-PATH_INFO|-PATH_TRANSLATED" },
	{ "dots in path info are its own", NULL, ROOT, { "w" }, ACTION("/app", "/../x"), OPENED, "@/cgi/app", NULL,
	    "SCRIPT_FILENAME=@/cgi/app|SCRIPT_NAME=/u/app|PATH_INFO=/../x|PATH_TRANSLATED=@/www/../x" },
	{ "not there", NULL, ROOT, { "w" }, ACTION("/none", ""), MISSING, "No such file", NULL, NULL },
	{ "out of the root", NULL, ROOT, { "w" }, ACTION("/../cgi2/app", ""), REFUSED, "\"..\"", NULL, NULL },
	{ "asked for by its own URL", NULL, ROOT, { "w" }, { "SCRIPT_FILENAME=%", "PATH_TRANSLATED=@/cgi/app", "PATH_INFO=/cgi/app" },
	    REFUSED, "its own URL", NULL, NULL },
	{ "the same after some redirect", NULL, ROOT, { "w" }, { "SCRIPT_FILENAME=%", "PATH_TRANSLATED=@/cgi/app", "PATH_INFO=/cgi/app",
	    "REDIRECT_STATUS=404", "REDIRECT_URL=/elsewhere" }, REFUSED, "its own URL", NULL, NULL },
	{ "without a status", NULL, ROOT, { "w" }, { "SCRIPT_FILENAME=%", "PATH_TRANSLATED=@/cgi/app", "PATH_INFO=/cgi/app",
	    "REDIRECT_URL=/cgi/app" }, REFUSED, "its own URL", NULL, NULL },
	{ "a header tells nothing", NULL, ROOT, { "w" }, { "SCRIPT_FILENAME=%", "PATH_TRANSLATED=@/cgi/app", "PATH_INFO=/cgi/app",
	    "HTTP_REDIRECT_STATUS=200", "HTTP_REDIRECT_URL=/cgi/app" }, REFUSED, "its own URL", NULL, NULL },
	{ "empty variables", NULL, ROOT, { "w" }, { "SCRIPT_FILENAME=", "PATH_TRANSLATED=", "PATH_INFO=", "REDIRECT_URL=", "REDIRECT_STATUS=" },
	    REFUSED, "not what", NULL, NULL },
};

static void
put_setting(struct bg_buf *out, const struct bg_setting *setting)
{
	bg_buf_put_format(out, "%s%s%s", out->len > 0 ? "|" : "", setting->value.ptr != NULL ? "" : "-", setting->name);
	if (setting->value.ptr != NULL) {
		bg_buf_put_char(out, '=');
		bg_buf_put(out, setting->value);
	}
}

/* Several words with "@" in each. */
static const char *
expand_all(const char *text, struct bg_buf *out)
{
	struct bg_slice all;

	bg_buf_init(out, 64 * 1024);
	for (; text != NULL && *text != '\0'; text++)
		if (*text == '@')
			bg_buf_put_str(out, dir.path);
		else
			bg_buf_put_char(out, *text);
	ck_assert_int_eq(bg_buf_finish(out, &all, NULL), 0);
	return all.ptr;
}

START_TEST(only_the_script_that_a_call_is_for_is_opened)	/* SR-88 */
{
	char script[2 * PATH_MAX], root[2 * PATH_MAX], texts[2 * WORDS][2 * PATH_MAX], want[2 * PATH_MAX];
	struct bg_script_options options = { .script = NULL };
	char *argv[WORDS + 1] = { NULL }, *env[WORDS + 1] = { NULL };
	struct bg_buf said, wanted;
	struct bg_error err = { 0 };
	struct bg_script out;
	struct bg_slice text;
	struct stat st, file;
	bool missing;
	int rc;

	if (rows[_i].script != NULL)
		options.script = expand(rows[_i].script, script);
	if (rows[_i].root != NULL)
		options.root = expand(rows[_i].root, root);
	for (size_t i = 0; i < WORDS && rows[_i].argv[i] != NULL; i++)
		argv[i] = (char *)(uintptr_t)expand(rows[_i].argv[i], texts[i]);
	for (size_t i = 0; i < WORDS && rows[_i].env[i] != NULL; i++)
		env[i] = (char *)(uintptr_t)expand(rows[_i].env[i], texts[WORDS + i]);

	rc = bg_script_open(&options, argv, env, &out, &missing, &err);
	ck_assert_msg((rc == 0) == (rows[_i].result == OPENED), "%s: %d, %s", rows[_i].name, rc, err.detail);
	ck_assert_msg(missing == (rows[_i].result == MISSING), "%s: missing %d, %s", rows[_i].name, missing, err.detail);
	expand(rows[_i].path, want);
	if (rc != 0) {
		ck_assert_int_eq(err.reason, BG_R_INTERNAL);
		ck_assert_msg(strstr(err.detail, want) != NULL, "%s: %s", rows[_i].name, err.detail);
		bg_script_clear(&out);
		return;
	}
	ck_assert_str_eq(out.path, want);
	ck_assert_int_eq(fstat(out.fd, &st), 0);
	ck_assert_int_eq(stat(want, &file), 0);
	ck_assert(st.st_ino == file.st_ino && st.st_dev == file.st_dev);
	ck_assert_int_eq(fcntl(out.fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(out.dir, F_GETFD), FD_CLOEXEC);

	bg_buf_init(&said, 64 * 1024);
	for (size_t i = 0; out.words[i] != NULL; i++)
		bg_buf_put_format(&said, "%s%s", i > 0 ? "|" : "", out.words[i]);
	ck_assert_int_eq(bg_buf_finish(&said, &text, NULL), 0);
	ck_assert_str_eq(text.ptr, expand_all(rows[_i].words, &wanted));
	bg_buf_clear(&wanted);
	bg_buf_reset(&said);
	for (size_t i = 0; i < out.n_settings; i++)
		put_setting(&said, &out.settings[i]);
	ck_assert_int_eq(bg_buf_finish(&said, &text, NULL), 0);
	ck_assert_str_eq(text.ptr, expand_all(rows[_i].settings, &wanted));
	bg_buf_clear(&wanted);
	bg_buf_clear(&said);
	bg_script_clear(&out);
}
END_TEST

static const struct { const char *file; bool is_text; const char *interpreter, *argument; } lines[] = {
	{ "app", true, NULL, NULL },
	{ "sub/app", false, NULL, NULL },
	{ "perl", true, "/usr/bin/perl", "-T -w" },	/* one argument, as the kernel has it */
	{ "sh", true, "/bin/sh", NULL },
};

START_TEST(a_line_that_names_the_wrapper_names_the_interpreter)
{
	char path[2 * PATH_MAX];
	struct bg_script_options options = { .script = path };
	char *none[] = { NULL };
	struct bg_error err = { 0 };
	struct bg_script out;
	bool missing;

	bg_format(path, sizeof(path), "%s/cgi/%s", dir.path, lines[_i].file);
	ck_reason(bg_script_open(&options, none, none, &out, &missing, &err), err, BG_R_OK, lines[_i].file);
	ck_assert_int_eq(out.is_text, lines[_i].is_text);
	ck_assert_pstr_eq(out.interpreter, lines[_i].interpreter);
	ck_assert_pstr_eq(out.argument, lines[_i].argument);
	bg_script_clear(&out);
}
END_TEST

START_TEST(somebody_elses_script_is_not_run)	/* SR-88 */
{
	char path[2 * PATH_MAX];
	struct bg_script_options options = { .script = path };
	char *none[] = { NULL };
	struct bg_error err = { 0 };
	struct bg_script out;
	bool missing;

	if (geteuid() != 0)
		return;		/* only root can give a file away */
	bg_format(path, sizeof(path), "%s/cgi/nobody", dir.path);
	ck_reason(bg_script_open(&options, none, none, &out, &missing, &err), err, BG_R_INTERNAL, "nobody's");
	ck_assert_ptr_nonnull(strstr(err.detail, "belongs to another user"));
	ck_assert(!missing);
	bg_script_clear(&out);

	/* nor one in a directory that somebody else can put another one into */
	ck_assert_int_eq(chown(bg_test_file(&dir, "cgi2"), 65534, 65534), 0);
	bg_format(path, sizeof(path), "%s/cgi2/app", dir.path);
	bg_error_clear(&err);
	ck_reason(bg_script_open(&options, none, none, &out, &missing, &err), err, BG_R_INTERNAL, "nobody's directory");
	ck_assert_ptr_nonnull(strstr(err.detail, "the directory"));
	bg_script_clear(&out);
}
END_TEST

/* As where one server runs the programs of several users, all as itself. */
START_TEST(one_more_owner_may_be_said)	/* SR-88 */
{
	static const struct { const char *name; uid_t root, sub, file, owner; bool runs; } owners[] = {
		{ "all of it is theirs", 4711, 4711, 4711, 4711, true },
		{ "of theirs, root's", 0, 4711, 0, 4711, true },
		{ "of root's, theirs", 4711, 0, 4711, 4711, true },
		{ "nobody was named", 4711, 4711, 4711, 0, false },
		{ "another one was named", 4711, 4711, 4711, 4712, false },
		{ "another one's file", 4711, 4711, 4712, 4711, false },
		{ "another one's directory", 4711, 4712, 4711, 4711, false },
		{ "another one's root", 4712, 4711, 4711, 4711, false },
	};
	char path[2 * PATH_MAX], root[2 * PATH_MAX];
	struct bg_script_options options = { .script = path, .root = root };
	char *none[] = { NULL };

	if (geteuid() != 0)
		return;		/* only root can give a file away */
	bg_format(root, sizeof(root), "%s/cgi", dir.path);
	bg_format(path, sizeof(path), "%s/cgi/sub/app", dir.path);
	for (int i = 0; i < N(owners); i++) {
		struct bg_error err = { 0 };
		struct bg_script out;
		bool missing;

		options.owner = owners[i].owner;
		ck_assert_int_eq(chown(bg_test_file(&dir, "cgi"), owners[i].root, 0), 0);
		ck_assert_int_eq(chown(bg_test_file(&dir, "cgi/sub"), owners[i].sub, 0), 0);
		ck_assert_int_eq(chown(bg_test_file(&dir, "cgi/sub/app"), owners[i].file, 0), 0);
		ck_assert_int_eq(chmod(dir.file, 0755), 0);
		ck_reason(bg_script_open(&options, none, none, &out, &missing, &err), err, owners[i].runs ? BG_R_OK : BG_R_INTERNAL,
		    owners[i].name);
		bg_script_clear(&out);
		/* whoever it is of, nobody else writes to it */
		ck_assert_int_eq(chmod(dir.file, 0775), 0);
		ck_reason(bg_script_open(&options, none, none, &out, &missing, &err), err, BG_R_INTERNAL, owners[i].name);
		bg_script_clear(&out);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("script");
	TCase *tc = tcase_create("script");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, only_the_script_that_a_call_is_for_is_opened, 0, N(rows));
	tcase_add_loop_test(tc, a_line_that_names_the_wrapper_names_the_interpreter, 0, N(lines));
	tcase_add_test(tc, somebody_elses_script_is_not_run);
	tcase_add_test(tc, one_more_owner_may_be_said);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
