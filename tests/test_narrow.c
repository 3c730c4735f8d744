#include "cgi/narrow.h"

#include <fcntl.h>
#include <stdint.h>

#include "cgi/script.h"

#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define WIDE	"domain = \"issuer.example\" audience = \"a\"\n"			\
	"policy \"readers\" { scope = { \"read\" } }\n"				\
	"policy \"staff\" { any { scope = { \"staff\" } claim \"role\" { equals = { \"admin\" } } } }\n"	\
	"location \"/public\" { auth = \"none\" }\n"

static struct bg_test_dir dir;
static struct bg_conf *conf;
static struct bg_gate *gate;
static struct bg_script script;

static int
never(const struct bg_fetcher *fetcher, const struct bg_fetch_request *request, struct bg_buf *body, struct bg_fetch_meta *meta,
    struct bg_error *err)
{
	(void)fetcher, (void)request, (void)body, (void)meta;
	return bg_fail(err, BG_R_FETCH_FAILED, "not in this test");
}

static void
setup(void)
{
	static const struct bg_fetcher fetcher = { never };
	static char path[2048], config[2048];
	struct bg_script_options options = { .script = path };
	struct bg_conf_sources from = { .file = config, .environ = (char *[]){ NULL } };
	char *none[] = { NULL };
	struct bg_error err = { 0 };
	struct bg_buf report;
	bool missing;

	bg_test_dir_make(&dir);
	bg_test_file_write(&dir, "conf", WIDE, strlen(WIDE));
	bg_format(config, sizeof(config), "%s", dir.file);
	bg_test_file_write(&dir, "app", "#!/bin/sh\n", 10);
	bg_format(path, sizeof(path), "%s", dir.file);
	ck_assert_int_eq(chmod(path, 0755), 0);
	bg_buf_init(&report, 4096);
	ck_assert_int_eq(bg_conf_load(&conf, &from, &report), 0);
	bg_buf_clear(&report);
	ck_reason(bg_conf_build(conf, &fetcher, &gate, &err), err, BG_R_OK, "gate");
	ck_reason(bg_script_open(&options, none, none, &script, &missing, &err), err, BG_R_OK, "script");
}

static void
teardown(void)
{
	bg_script_clear(&script);
	bg_gate_free(gate);
	bg_conf_free(conf);
	bg_test_dir_remove(&dir);
}

/* As the program does it: opened, then read. */
static int
narrow_read(bool *found, struct bg_rule *out, struct bg_error *err)
{
	char *path = NULL;
	int fd, rc = -1;

	*found = false;
	*out = (struct bg_rule){ .kind = BG_RULE_NEVER };
	if (bg_script_open_beside(&script, BG_NARROW_SUFFIX, &fd, &path, err) == 0)
		rc = fd == -1 ? 0 : bg_narrow_rule(fd, path, conf, gate, out, err);
	*found = rc == 0 && fd != -1;
	if (fd != -1)
		close(fd);
	free(path);
	return rc;
}

static void
put(const char *text, size_t len, mode_t mode)
{
	bg_test_file_write(&dir, "app" BG_NARROW_SUFFIX, text, len);
	ck_assert_int_eq(chmod(dir.file, mode), 0);
}

static const struct {
	const char    *name, *file, *claims;
	enum bg_reason want;
	const char    *scopes;	/* of the challenge */
} rows[] = {
	{ "its scope", "scope = { \"write\" }", "{\"scope\":\"write\"}", BG_R_OK, "write" },
	{ "its scope is missing", "scope = { \"write\" }", "{\"scope\":\"read\"}", BG_R_NO_SCOPE, "write" },
	{ "all of them", "scope = { \"write\", \"read\" }", "{\"scope\":\"write\"}", BG_R_NO_SCOPE, "write read" },
	{ "one of them", "any_scope = { \"write\", \"read\" }", "{\"scope\":\"read\"}", BG_R_OK, "write read" },
	{ "none of them", "any_scope = { \"write\", \"read\" }", "{\"scope\":\"x\"}", BG_R_NO_SCOPE, "write read" },
	{ "a permission", "permission = { \"p\" }", "{\"permissions\":[\"p\"]}", BG_R_OK, "" },
	{ "a permission is missing", "permission = { \"p\" }", "{\"permissions\":[\"q\"]}", BG_R_NO_PERMISSION, "" },
	{ "a policy of the configuration", "policy = { \"readers\" }", "{\"scope\":\"read\"}", BG_R_OK, "read" },
	{ "which is not met", "policy = { \"readers\" }", "{\"scope\":\"write\"}", BG_R_NO_SCOPE, "read" },
	{ "two policies", "policy = { \"readers\", \"staff\" }", "{\"scope\":\"read\",\"role\":\"guest\"}", BG_R_NO_SCOPE, "read staff" },
	{ "a claim", "claim \"role\" { equals = { \"admin\" } }", "{\"role\":\"admin\"}", BG_R_OK, "" },
	{ "a claim that is another", "claim \"role\" { equals = { \"admin\" } }", "{\"role\":\"guest\"}", BG_R_CLAIM_RULE, "" },
	{ "any of two", "any { scope = { \"s\" } claim \"role\" { matches = \"a.*\" } }", "{\"role\":\"admin\"}", BG_R_OK, "s" },
	{ "neither of two", "any { scope = { \"s\" } claim \"role\" { matches = \"a.*\" } }", "{\"role\":\"guest\"}", BG_R_NO_SCOPE, "s" },
	{ "all that it says adds up", "# comment\nscope = { \"write\" }\n/* and */ claim \"role\" { present = true }\n",
	    "{\"scope\":\"write\"}", BG_R_CLAIM_RULE, "write" },
	{ "dollars", "claim \"price\" { equals = { \"\\${HOME}\" } }", "{\"price\":\"${HOME}\"}", BG_R_OK, "" },
};

START_TEST(a_file_beside_a_script_demands_more)
{
	/* what would let everybody in demands a token here, whoever says it */
	struct bg_request request = { .method = BG_SLICE("GET"), .uri = BG_SLICE("/public/app"), .says_auth = true,
		.auth = BG_AUTH_NONE };
	struct bg_claims claims = { .all = json_loads(rows[_i].claims, 0, NULL) };
	struct bg_error err = { 0 };
	struct bg_demand demand;
	struct bg_rule rule;
	struct bg_slice text;
	struct bg_buf scopes;
	bool found;

	put(rows[_i].file, strlen(rows[_i].file), 0644);
	ck_reason(narrow_read(&found, &rule, &err), err, BG_R_OK, rows[_i].name);
	ck_assert(found);
	ck_reason(bg_policy_find(&gate->policies, &request, &demand, &err), err, BG_R_OK, rows[_i].name);
	ck_assert_int_eq(demand.auth, BG_AUTH_NONE);
	request.want_rule = &rule;
	ck_reason(bg_policy_find(&gate->policies, &request, &demand, &err), err, BG_R_OK, rows[_i].name);
	ck_assert_int_eq(demand.auth, BG_AUTH_REQUIRED);
	claims.scope = json_object_get(claims.all, "scope");
	ck_reason(bg_policy_check(&gate->policies, &demand, &claims, &err), err, rows[_i].want, rows[_i].name);
	bg_buf_init(&scopes, 100);
	bg_policy_put_scopes(&gate->policies, &demand, &scopes);
	ck_assert_int_eq(bg_buf_finish(&scopes, &text, NULL), 0);
	ck_assert_str_eq(text.ptr, rows[_i].scopes);

	/* it cancels nothing that is demanded elsewhere */
	if (rows[_i].want == BG_R_OK) {
		request.want_scope = BG_SLICE("more");
		ck_assert_int_eq(bg_policy_find(&gate->policies, &request, &demand, &err), 0);
		ck_reason(bg_policy_check(&gate->policies, &demand, &claims, &err), err, BG_R_NO_SCOPE, rows[_i].name);
	}
	bg_buf_clear(&scopes);
	bg_rule_clear(&rule);
	json_decref((json_t *)(uintptr_t)claims.all);
}
END_TEST

#define FILE_SAYS	"app" BG_NARROW_SUFFIX ":"

static const struct { const char *file; const char *words; } bad[] = {
	{ "", "has no condition" },
	{ "# nothing\n", "has no condition" },
	{ "scope = { }", FILE_SAYS "1: an empty list" },
	{ "\nauth = \"none\"", FILE_SAYS "2: unknown option \"auth\"; a file beside a script says what a policy block may say" },
	{ "scpoe = { \"a\" }", FILE_SAYS "1: unknown option \"scpoe\"; did you mean \"scope\"?" },
	{ "scope = { \"a\" }\nmethods = { \"GET\" }", FILE_SAYS "2: unknown option \"methods\"" },
	{ "scope = { \"a\" }\nscript_root = \"/\"", FILE_SAYS "2: unknown option" },
	{ "scope = { \"a\" }\naudience = \"none\"", FILE_SAYS "2: unknown option" },
	{ "scope = { \"a\" }\nissuer \"https://evil.example/\" { audience = \"none\" }", FILE_SAYS "2: unknown option \"issuer\"" },
	{ "location \"/\" { auth = \"none\" }", FILE_SAYS "1: unknown option \"location\"" },
	{ "policy \"own\" { scope = { \"a\" } }", FILE_SAYS "1: no \"=\" behind" },
	{ "export \"x\" { }", FILE_SAYS "1: unknown option \"export\"" },
	{ "policy = { \"reader\" }", FILE_SAYS "1: policy \"reader\" is not known; did you mean \"readers\"?" },
	{ "any { policy = { \"none\" } }", FILE_SAYS "1: policy \"none\" is not known" },
	{ "any { }", FILE_SAYS "1: any has no condition" },
	{ "claim \"x\" { }", FILE_SAYS "1: claim \"x\" has no condition" },
	{ "claim \"x\" { matches = \"(\" }", FILE_SAYS "1: matches" },
	{ "scope = { \"a b\" }", FILE_SAYS "1: scope" },
	{ "scope = { \"a\"", FILE_SAYS "1: this \"{\" is never closed" },
	{ "scope = { \"a\" } scope = { \"b\" }", FILE_SAYS "1: scope is given twice" },
	{ "scope = { \"${HTTP_X_SCOPE}\" }", FILE_SAYS "1: \"${\" in a file beside a script" },
	{ "scope = { \"${HTTP_X_SCOPE:-a}\" }", FILE_SAYS "1: \"${\" in a file beside a script" },
	{ "scope = { '${HTTP_X_SCOPE}' }", FILE_SAYS "1: \"${\" in a file beside a script" },
	{ "include(\"/etc/passwd\")", FILE_SAYS "1: unexpected \"(\"" },
	{ "\x7f" "ELF", FILE_SAYS "1: unexpected byte" },
};

static void
assert_unusable(const char *name, const char *words)
{
	struct bg_error err = { 0 };
	struct bg_rule rule;
	bool found = true;
	struct bg_claims claims = { .all = json_object() };

	ck_reason(narrow_read(&found, &rule, &err), err, BG_R_INTERNAL, name);
	ck_assert_msg(strstr(err.detail, words) != NULL && strchr(err.detail, '\n') == NULL, "%s: %s", name, err.detail);
	ck_assert_msg(strstr(err.detail, dir.path) != NULL, "%s: %s", name, err.detail);
	ck_assert(!found);
	ck_assert_int_eq(bg_rule_check(&rule, &claims, &err), -1);
	bg_rule_clear(&rule);
	json_decref((json_t *)(uintptr_t)claims.all);
}

START_TEST(a_file_that_says_anything_else_is_refused_with_file_and_line)
{
	put(bad[_i].file, strlen(bad[_i].file), 0644);
	assert_unusable(bad[_i].file, bad[_i].words);
}
END_TEST

START_TEST(a_zero_byte_ends_nothing)
{
	put("scope = { \"a\" }\n\0auth", 21, 0644);
	assert_unusable("zero", FILE_SAYS "2: unexpected byte 0x00");
}
END_TEST

START_TEST(a_file_is_its_owners_alone_to_write)	/* SR-88 */
{
	static const struct { mode_t mode; const char *words; } modes[] = {
		{ 0600, NULL }, { 0444, NULL }, { 0664, "its group or by others" }, { 0646, "its group or by others" },
	};
	struct bg_error err = { 0 };
	struct bg_rule rule;
	bool found;

	for (int i = 0; i < N(modes); i++) {
		put("scope = { \"a\" }", 15, modes[i].mode);
		if (modes[i].words != NULL) {
			assert_unusable(modes[i].words, modes[i].words);
			continue;
		}
		ck_reason(narrow_read(&found, &rule, &err), err, BG_R_OK, "mode");
		ck_assert(found);
		bg_rule_clear(&rule);
	}
	if (geteuid() != 0)
		return;		/* only root can give a file away */
	put("scope = { \"a\" }", 15, 0644);
	ck_assert_int_eq(chown(dir.file, 65534, 65534), 0);
	assert_unusable("nobody's", "belongs to another user than this one, root and the script's owner");
	/* of the script's owner it may be; that such a script may run is another matter */
	ck_assert_int_eq(chown(bg_test_file(&dir, "app"), 65534, 65534), 0);
	ck_reason(narrow_read(&found, &rule, &err), err, BG_R_OK, "the script's owner's");
	ck_assert(found);
	bg_rule_clear(&rule);
}
END_TEST

START_TEST(what_is_no_file_of_its_own_is_refused)	/* SR-88 */
{
	struct bg_error err = { 0 };
	struct bg_rule rule;
	bool found = true;

	ck_reason(narrow_read(&found, &rule, &err), err, BG_R_OK, "none");
	ck_assert(!found);
	bg_rule_clear(&rule);
	bg_test_file_write(&dir, "other", "scope = { \"a\" }", 15);
	ck_assert_int_eq(symlink("other", bg_test_file(&dir, "app" BG_NARROW_SUFFIX)), 0);
	assert_unusable("a link", "is a symbolic link");
	ck_assert_int_eq(unlink(dir.file), 0);
	ck_assert_int_eq(symlink("nowhere", bg_test_file(&dir, "app" BG_NARROW_SUFFIX)), 0);
	assert_unusable("a link to nowhere", "is a symbolic link");
	ck_assert_int_eq(unlink(dir.file), 0);
	ck_assert_int_eq(mkfifo(dir.file, 0644), 0);
	assert_unusable("a pipe", "is not a regular file");
	ck_assert_int_eq(unlink(dir.file), 0);
	ck_assert_int_eq(mkdir(dir.file, 0755), 0);
	assert_unusable("a directory", "is not a regular file");
	ck_assert_int_eq(rmdir(bg_test_file(&dir, "app" BG_NARROW_SUFFIX)), 0);
	if (geteuid() != 0) {	/* root reads everything */
		put("scope = { \"a\" }", 15, 0);
		assert_unusable("closed", "Permission denied");
	}
}
END_TEST

START_TEST(it_is_looked_for_where_the_script_was_opened)	/* SR-88 */
{
	char before[2048], after[2100];
	struct bg_error err = { 0 };
	struct bg_rule rule;
	bool found;

	put("scope = { \"a\" }", 15, 0644);
	bg_format(before, sizeof(before), "%s", dir.path);
	bg_format(after, sizeof(after), "%s.moved", dir.path);
	ck_assert_int_eq(rename(before, after), 0);
	ck_assert_int_eq(mkdir(before, 0755), 0);
	ck_reason(narrow_read(&found, &rule, &err), err, BG_R_OK, "moved");
	ck_assert(found);
	bg_rule_clear(&rule);
	ck_assert_int_eq(rmdir(before), 0);
	ck_assert_int_eq(rename(after, before), 0);
}
END_TEST

/* For the daemon the same is said by variables, which join those of the server. */
static const struct { const char *name, *file, *env[4], *want[4], *words; } told[] = {
	{ "a scope", "scope = { \"a\", \"b\" }", { "X=y" }, { "X=y", "BEARERGATE_SCOPE= a b" }, NULL },
	{ "beside the server's", "scope = { \"a\" }", { "BEARERGATE_SCOPE=s", "X=y" }, { "X=y", "BEARERGATE_SCOPE=s a" }, NULL },
	{ "a permission and a policy", "permission = { \"p\" }\npolicy = { \"of-the-daemon\" }", { "BEARERGATE_POLICY=q" },
	    { "BEARERGATE_POLICY=q of-the-daemon", "BEARERGATE_PERMISSION= p" }, NULL },
	{ "one of some scopes", "any_scope = { \"a\", \"b\" }", { "BEARERGATE_SCOPE=s" }, { "BEARERGATE_SCOPE=s", "BEARERGATE_ANY_SCOPE= a b" },
	    NULL },
	{ "of others, the server wants one", "any_scope = { \"a\" }", { "BEARERGATE_ANY_SCOPE=s" }, { NULL }, "can be told" },
	{ "a claim", "claim \"x\" { present = true }", { NULL }, { NULL }, "can be told" },
	{ "a claim beside a scope", "scope = { \"a\" } claim \"x\" { present = true }", { NULL }, { NULL }, "can be told" },
	{ "a choice", "any { scope = { \"a\" } permission = { \"b\" } }", { NULL }, { NULL }, "can be told" },
	{ "a mistake", "\nauth = none", { NULL }, { NULL }, FILE_SAYS "2: unknown option" },
	{ "nothing", "", { NULL }, { NULL }, "has no condition" },
};

START_TEST(a_daemon_is_told_by_variables)
{
	struct bg_error err = { 0 };
	struct bg_buf text;
	char *path, **vars;
	int fd;

	put(told[_i].file, strlen(told[_i].file), 0644);
	ck_reason(bg_script_open_beside(&script, BG_NARROW_SUFFIX, &fd, &path, &err), err, BG_R_OK, told[_i].name);
	ck_reason(bg_narrow_variables(fd, path, (char *const *)(uintptr_t)told[_i].env, &text, &vars, &err), err,
	    told[_i].words == NULL ? BG_R_OK : BG_R_INTERNAL, told[_i].name);
	if (told[_i].words != NULL)
		ck_assert_msg(strstr(err.detail, told[_i].words) != NULL && vars == NULL, "%s: %s", told[_i].name, err.detail);
	for (size_t i = 0; vars != NULL && i < 4; i++) {
		ck_assert_pstr_eq(vars[i], told[_i].want[i]);
		if (vars[i] == NULL)
			break;
	}
	close(fd);
	free(path);
	free(vars);
	bg_buf_clear(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("narrow");
	TCase *tc = tcase_create("narrow");

	umask(022);
	if (bg_json_start() != 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_file_beside_a_script_demands_more, 0, N(rows));
	tcase_add_loop_test(tc, a_file_that_says_anything_else_is_refused_with_file_and_line, 0, N(bad));
	tcase_add_loop_test(tc, a_daemon_is_told_by_variables, 0, N(told));
	tcase_add_test(tc, a_zero_byte_ends_nothing);
	tcase_add_test(tc, a_file_is_its_owners_alone_to_write);
	tcase_add_test(tc, what_is_no_file_of_its_own_is_refused);
	tcase_add_test(tc, it_is_looked_for_where_the_script_was_opened);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
