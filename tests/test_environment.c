#include "cgi/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "cgi/metavars.h"
#include "core/limits.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define MANY	10000
#define LONGEST	(128 * 1024 - 1)	/* of one string, as far as Linux hands it to a program */

static char claim[] = "ROLES", more[] = "X_LEVEL";
static struct bg_export rows[] = { { .name = claim }, { .name = more } };
static const struct bg_exports exports = { .exports = rows, .n_exports = 2 };

/* What bg_export would have made: CLAIM_SUB=bob and an empty ROLES. */
static const char made[] = "CLAIM_SUB\0bob\0ROLES\0";
static const struct bg_slice variables = { made, sizeof(made) };	/* with the zero byte of an empty value */

/* Does the script keep a variable that came from outside? */
static const struct { const char *var; bool stays, stays_with_credentials; } incoming[] = {
	/* SR-80: what only we may say, in all spellings */
	{ "CLAIM_SUB=x", false, false },
	{ "CLAIM_=x", false, false },
	{ "CLAIM_EVIL=x", false, false },
	{ "claim_sub=x", false, false },
	{ "Claim-Sub=x", false, false },
	{ "CLAIM.SUB=x", false, false },
	{ "CLAIMS_JSON={}", false, false },
	{ "claims_json={}", false, false },
	{ "REMOTE_USER=x", false, false },
	{ "Remote-User=x", false, false },
	{ "AUTH_TYPE=x", false, false },
	{ "ROLES=x", false, false },
	{ "roles=x", false, false },
	{ "X_LEVEL=x", false, false },
	{ "X-Level=x", false, false },
	{ "BEARERGATE_AUTH=none", false, false },
	{ "BEARERGATE_CONFIG=/x", false, false },
	{ "BEARERGATE_=x", false, false },
	{ "REDIRECT_CLAIM_SUB=x", false, false },
	{ "REDIRECT_REDIRECT_REMOTE_USER=x", false, false },
	{ "REDIRECT_REDIRECT_REDIRECT_ROLES=x", false, false },
	{ "redirect_redirect_claim_sub=x", false, false },
	{ "REDIRECT_BEARERGATE_SCOPE=x", false, false },
	{ "CLAIM_SUB=", false, false },
	{ "REMOTE_USER==", false, false },
	/* SR-87 */
	{ "HTTP_PROXY=http://evil.example", false, false },
	{ "REDIRECT_HTTP_PROXY=http://evil.example", false, false },
	{ "http_proxy=http://proxy.example", true, true },	/* of the system, not of a client */
	/* credentials */
	{ "HTTP_AUTHORIZATION=Bearer x", false, true },
	{ "REDIRECT_HTTP_AUTHORIZATION=Bearer x", false, true },
	{ "REDIRECT_REDIRECT_HTTP_AUTHORIZATION=Bearer x", false, true },
	{ "HTTP_DPOP=x", false, true },
	{ "REDIRECT_HTTP_DPOP=x", false, true },
	/* a setting */
	{ "SCRIPT_NAME=/wrapper", false, false },
	{ "PATH_TRANSLATED=/x", false, false },
	/* no variables */
	{ "", false, false },
	{ "CLAIM_SUB", false, false },
	{ "NOTHING", false, false },
	{ "=x", false, false },
	{ "==", false, false },
	/* and what is not ours */
	{ "CLAIM=x", true, true },
	{ "CLAIMS=x", true, true },
	{ "XCLAIM_SUB=x", true, true },
	{ "ROLE=x", true, true },
	{ "ROLES_=x", true, true },
	{ "REMOTE_USERNAME=x", true, true },
	{ "REMOTE_ADDR=127.0.0.1", true, true },
	{ "BEARERGATE=x", true, true },
	{ "HTTP_CLAIM_SUB=x", true, true },	/* a header, and known for one */
	{ "HTTP_REMOTE_USER=x", true, true },
	{ "HTTP_AUTHORIZATION_X=x", true, true },
	{ "REDIRECT_STATUS=200", true, true },
	{ "REDIRECT_=x", true, true },
	{ "SCRIPT_NAMES=x", true, true },
	{ "PATH=/usr/bin", true, true },
	{ "X=a=b=c", true, true },
	{ "EMPTY=", true, true },
	{ "\xff\x01=\xff\r\n", true, true },	/* SR-23 */
};

static const struct bg_setting settings[] = {
	{ "SCRIPT_NAME", { "/app", 4 } },
	{ "PATH_TRANSLATED", { NULL, 0 } },
};

static size_t
count(char *const *vars)
{
	size_t n = 0;

	while (vars[n] != NULL)
		n++;
	return n;
}

/* Are these the last variables: ours, after all that came in? */
static void
assert_ours(char *const *vars, size_t n_before)
{
	ck_assert_uint_eq(count(vars), n_before + 3);
	ck_assert_str_eq(vars[n_before], "CLAIM_SUB=bob");
	ck_assert_str_eq(vars[n_before + 1], "ROLES=");
	ck_assert_str_eq(vars[n_before + 2], "SCRIPT_NAME=/app");
}

START_TEST(a_script_gets_no_variable_of_ours_from_outside)	/* SR-80, SR-84, SR-87 */
{
	for (int pass = 0; pass <= 1; pass++) {
		bool stays = pass ? incoming[_i].stays_with_credentials : incoming[_i].stays, again = stays;
		struct bg_slice name, value;
		struct bg_environment environment;
		struct bg_error err = { 0 };
		char *env[4] = { NULL };

		/* twice, since a shell or library may take either */
		env[0] = env[2] = (char *)(uintptr_t)incoming[_i].var;
		env[1] = (char *)(uintptr_t)"HOME=/";
		ck_reason(bg_environment_make(env, &exports, pass, variables, settings, N(settings), &environment, &err), err, BG_R_OK,
		    incoming[_i].var);
		if (bg_metavars_split(incoming[_i].var, &name, &value) && bg_metavars_matters(name))
			again = false;
		assert_ours(environment.vars, 1 + (size_t)stays + (size_t)again);
		ck_assert_str_eq(environment.vars[stays ? 1 : 0], "HOME=/");
		if (stays)
			ck_assert(environment.vars[0] == incoming[_i].var);
		if (again)
			ck_assert(environment.vars[2] == incoming[_i].var);
		bg_environment_clear(&environment);
	}
}
END_TEST

/* The request that the script sees is the one that was let in: getenv(3) and Perl take the first, a shell and Python the last. */
START_TEST(what_was_decided_by_is_what_the_script_sees)	/* SR-23 */
{
	static const char *const env[] = { "REQUEST_METHOD=GET", "HTTP_X_COLOUR=red", "REQUEST_METHOD=DELETE", "HTTP_HOST=a", "REQUEST_URI=/a",
		"HTTP_X_COLOUR=blue", "REQUEST_URI=/b", "HTTP_HOST=b", "REQUEST_METHOD=GET", "REQUEST_METHODS=x", NULL };
	static const char *const want[] = { "REQUEST_METHOD=GET", "HTTP_X_COLOUR=red", "HTTP_HOST=a", "REQUEST_URI=/a", "HTTP_X_COLOUR=blue",
		"REQUEST_METHODS=x" };
	struct bg_environment environment;
	struct bg_error err = { 0 };

	ck_reason(bg_environment_make((char *const *)(uintptr_t)env, &exports, false, variables, settings, N(settings), &environment, &err),
	    err, BG_R_OK, "twice");
	assert_ours(environment.vars, N(want));
	for (int i = 0; i < N(want); i++)
		ck_assert_str_eq(environment.vars[i], want[i]);
	bg_environment_clear(&environment);
}
END_TEST

START_TEST(an_environment_may_be_large)
{
	char **env = calloc(MANY + 3, sizeof(*env)), *names = calloc(MANY, 32), *value = malloc(1024 * 1024 + 16);
	struct bg_environment environment;
	struct bg_error err = { 0 };
	char **vars;

	ck_assert(env != NULL && names != NULL && value != NULL);
	for (size_t i = 0; i < MANY; i++) {
		env[i] = names + 32 * i;
		bg_format(env[i], 32, "%s%zu=x", i % 2 == 0 ? "CLAIM_" : "HTTP_X_", i);
	}
	memset(value, 'v', 1024 * 1024);
	memcpy(value, "LONG=", 5);
	value[1024 * 1024] = '\0';
	env[MANY] = value;
	env[MANY + 1] = (char *)(uintptr_t)"REDIRECT_BEARERGATE_SCOPE=a b";
	ck_reason(bg_environment_make(env, &exports, false, variables, settings, N(settings), &environment, &err), err, BG_R_OK, "large");
	assert_ours(environment.vars, MANY / 2 + 1);
	ck_assert_ptr_eq(environment.vars[MANY / 2], value);
	bg_environment_clear(&environment);

	ck_reason(bg_environment_read(env, true, &vars, &err), err, BG_R_OK, "large");
	ck_assert_uint_eq(count(vars), MANY + 2);
	ck_assert_str_eq(bg_environment_get(vars, "BEARERGATE_SCOPE"), "a b");
	free(vars);
	free(env);
	free(names);
	free(value);
}
END_TEST

START_TEST(what_does_not_fit_is_no_environment)
{
	struct bg_setting large = { "SCRIPT_NAME", { NULL, 16 * 1024 * 1024 } };
	struct bg_environment environment;
	struct bg_error err = { 0 };
	char *env[] = { NULL }, *text = calloc(1, large.value.len);

	ck_assert_ptr_nonnull(text);
	large.value.ptr = text;
	ck_reason(bg_environment_make(env, &exports, false, variables, &large, 1, &environment, &err), err, BG_R_INTERNAL, "large");
	ck_assert_ptr_null(environment.vars);
	bg_environment_clear(&environment);
	free(text);
}
END_TEST

/* Apache's Action: what was set for the guarded place arrives with REDIRECT_ (interop section 4.1). */
static const struct { const char *name, *env[5], *want[5]; enum bg_reason reason; bool otherwise; } readings[] = {
	{ "no variable", { NULL }, { NULL }, BG_R_OK, false },
	{ "not redirected", { "BEARERGATE_SCOPE=a", "X=y" }, { "BEARERGATE_SCOPE=a", "X=y" }, BG_R_OK, false },
	{ "redirected", { "REDIRECT_BEARERGATE_SCOPE=a" }, { "BEARERGATE_SCOPE=a" }, BG_R_OK, false },
	{ "redirected twice", { "REDIRECT_REDIRECT_BEARERGATE_AUTH=none" }, { NULL }, BG_R_OK, false },
	{ "redirected twice, and once", { "REDIRECT_REDIRECT_BEARERGATE_AUTH=none", "REDIRECT_BEARERGATE_AUTH=optional" },
	    { "BEARERGATE_AUTH=optional" }, BG_R_OK, false },
	{ "otherwise than by Action", { "REDIRECT_BEARERGATE_AUTH=none", "BEARERGATE_SCOPE=a" }, { "BEARERGATE_SCOPE=a" }, BG_R_OK, true },
	{ "otherwise, and not redirected", { "BEARERGATE_AUTH=none" }, { "BEARERGATE_AUTH=none" }, BG_R_OK, true },
	{ "otherwise, with a demand", { "REDIRECT_STATUS=200", "REDIRECT_BEARERGATE_SCOPE=a" }, { NULL }, BG_R_BAD_VARIABLE, true },
	{ "and another one here", { "REDIRECT_BEARERGATE_POLICY=a", "REDIRECT_STATUS=200", "BEARERGATE_POLICY=b" }, { NULL },
	    BG_R_BAD_VARIABLE, true },
	{ "and the same here", { "REDIRECT_STATUS=200", "REDIRECT_BEARERGATE_SCOPE=a", "BEARERGATE_SCOPE=a" },
	    { "REDIRECT_STATUS=200", "BEARERGATE_SCOPE=a" }, BG_R_OK, true },
	{ "of nothing", { "REDIRECT_STATUS=200", "REDIRECT_BEARERGATE_PERMISSION=", "REDIRECT_BEARERGATE_AUTH=none" },
	    { "REDIRECT_STATUS=200" }, BG_R_OK, true },
	{ "twice, with a demand at first", { "REDIRECT_REDIRECT_STATUS=200", "REDIRECT_STATUS=200",
	    "REDIRECT_REDIRECT_BEARERGATE_SCOPE=a" }, { NULL }, BG_R_BAD_VARIABLE, true },
	{ "the same, by Action in the end", { "REDIRECT_REDIRECT_STATUS=200", "REDIRECT_STATUS=200",
	    "REDIRECT_REDIRECT_BEARERGATE_SCOPE=a" }, { NULL }, BG_R_BAD_VARIABLE, false },
	{ "and again on the way", { "REDIRECT_REDIRECT_STATUS=200", "REDIRECT_STATUS=200", "REDIRECT_REDIRECT_BEARERGATE_SCOPE=a",
	    "REDIRECT_BEARERGATE_SCOPE=a" }, { "REDIRECT_REDIRECT_STATUS=200", "REDIRECT_STATUS=200", "BEARERGATE_SCOPE=a" }, BG_R_OK,
	    false },
	{ "to an ErrorDocument, and on", { "REDIRECT_REDIRECT_STATUS=403", "REDIRECT_STATUS=200",
	    "REDIRECT_REDIRECT_BEARERGATE_SCOPE=a" }, { "REDIRECT_REDIRECT_STATUS=403", "REDIRECT_STATUS=200" }, BG_R_OK, true },
	{ "to an ErrorDocument", { "REDIRECT_STATUS=404", "REDIRECT_BEARERGATE_ANY_SCOPE=a" }, { "REDIRECT_STATUS=404" }, BG_R_OK, true },
	{ "before and after", { "REDIRECT_BEARERGATE_SCOPE=a", "BEARERGATE_SCOPE=a" }, { "BEARERGATE_SCOPE=a" }, BG_R_OK, false },
	{ "another before", { "REDIRECT_BEARERGATE_SCOPE=a", "BEARERGATE_SCOPE=b" }, { NULL }, BG_R_BAD_VARIABLE, false },
	{ "an empty one after", { "REDIRECT_BEARERGATE_SCOPE=a", "BEARERGATE_SCOPE=" }, { NULL }, BG_R_BAD_VARIABLE, false },
	{ "two", { "BEARERGATE_CONFIG=/a", "BEARERGATE_CONFIG=/b" }, { NULL }, BG_R_BAD_VARIABLE, false },
	{ "an unknown one", { "REDIRECT_BEARERGATE_SCOPES=a" }, { "BEARERGATE_SCOPES=a" }, BG_R_OK, false },	/* refused later */
	{ "others stay", { "REDIRECT_URL=/x", "REDIRECT_HTTP_AUTHORIZATION=y" }, { "REDIRECT_URL=/x", "REDIRECT_HTTP_AUTHORIZATION=y" },
	    BG_R_OK, false },
	{ "a header is none", { "HTTP_BEARERGATE_AUTH=none", "HTTP_REDIRECT_BEARERGATE_AUTH=none" },
	    { "HTTP_BEARERGATE_AUTH=none", "HTTP_REDIRECT_BEARERGATE_AUTH=none" }, BG_R_OK, false },
	{ "no variables", { "", "BEARERGATE_AUTH", "REDIRECT_" }, { "", "BEARERGATE_AUTH", "REDIRECT_" }, BG_R_OK, false },
};

START_TEST(what_the_protected_place_demands_survives_its_redirect_and_nothing_else_does)	/* SR-72 */
{
	struct bg_error err = { 0 };
	char **vars;

	ck_reason(bg_environment_read((char *const *)(uintptr_t)readings[_i].env, !readings[_i].otherwise, &vars, &err), err, readings[_i].reason, readings[_i].name);
	ck_assert((vars != NULL) == (readings[_i].reason == BG_R_OK));
	for (size_t i = 0; vars != NULL && i < 5; i++) {
		ck_assert((vars[i] == NULL) == (readings[_i].want[i] == NULL));
		if (vars[i] == NULL)
			break;
		ck_assert_str_eq(vars[i], readings[_i].want[i]);
	}
	free(vars);
}
END_TEST

static const struct { const char *name, *env[4]; bool decoded; } uris[] = {
	{ "as it came", { "REQUEST_URI=/app/%70ublic", "SCRIPT_NAME=/app", "PATH_INFO=/public" }, false },
	{ "decoded, and the same", { "REQUEST_URI=/app/public?%20", "SCRIPT_NAME=/app", "PATH_INFO=/public" }, false },
	{ "decoded", { "REQUEST_URI=/app/%70ublic", "SCRIPT_NAME=/app", "PATH_INFO=/%70ublic" }, true },
	{ "decoded, with a query", { "REQUEST_URI=/app/%70ublic?x", "SCRIPT_NAME=/app", "PATH_INFO=/%70ublic" }, true },
	{ "in the script's name", { "REQUEST_URI=/%61pp", "SCRIPT_NAME=/%61pp", "PATH_INFO=" }, true },
	{ "without PATH_INFO", { "REQUEST_URI=/%61pp", "SCRIPT_NAME=/%61pp" }, true },
	{ "another script", { "REQUEST_URI=/%61pp", "SCRIPT_NAME=/other", "PATH_INFO=" }, false },
	{ "no script's name", { "REQUEST_URI=/%61pp" }, false },
	{ "no path", { "SCRIPT_NAME=/%61pp" }, false },
	{ "a question mark", { "REQUEST_URI=/app/public?x/secret", "SCRIPT_NAME=/app", "PATH_INFO=/public?x/secret" }, true },
	{ "and a query", { "REQUEST_URI=/app/public?x?a=b", "SCRIPT_NAME=/app", "PATH_INFO=/public?x" }, true },
	{ "and more that was decoded", { "REQUEST_URI=/app/%70ublic?x", "SCRIPT_NAME=/app", "PATH_INFO=/%70ublic?x" }, true },
	{ "in the script's name, too", { "REQUEST_URI=/app?x", "SCRIPT_NAME=/app?x" }, true },
	{ "a question mark as it came", { "REQUEST_URI=/app/public%3Fx?a", "SCRIPT_NAME=/app", "PATH_INFO=/public?x" }, false },
	{ "a query like it", { "REQUEST_URI=/app/public?x?a=b", "SCRIPT_NAME=/app", "PATH_INFO=/public" }, false },
	{ "ours counts instead", { "REQUEST_URI=/%61pp", "SCRIPT_NAME=/%61pp", "PATH_INFO=", "BEARERGATE_URI=/app" }, false },
};

START_TEST(a_path_that_the_server_has_decoded_is_known_for_it)	/* SR-70 */
{
	char *env[5] = { NULL };

	memcpy(env, uris[_i].env, sizeof(uris[_i].env));
	ck_assert_msg(bg_environment_has_decoded_uri(env) == uris[_i].decoded, "%s", uris[_i].name);
}
END_TEST

START_TEST(what_is_for_the_configuration_is_no_demand)
{
	char a[] = "BEARERGATE_CONFIG=/x", b[] = "BEARERGATE_CA_FILE=/x", c[] = "BEARERGATE_CONFIGS=/x", d[] = "A=b";
	char *env[] = { a, d, b, c, NULL };

	bg_environment_drop_config(env);
	ck_assert_str_eq(env[0], "A=b");
	ck_assert_str_eq(env[1], "BEARERGATE_CONFIGS=/x");
	ck_assert_ptr_null(env[2]);
	ck_assert_str_eq(bg_environment_get(env, "A"), "b");
	ck_assert_ptr_null(bg_environment_get(env, "BEARERGATE_CONFIG"));
}
END_TEST

/* The same through the program itself (SR-23): whatever a server hands in, there is one answer, or the script. */
enum outcome { SCRIPT, REFUSED, EITHER };

static struct bg_test_dir dir;
static char config[2100];	/* the variable that names the configuration */

static void
setup(void)
{
	const enum bg_mint_key key = BG_MINT_KEY_A;
	char *jwks = bg_mint_jwks(&key, 1), text[8000];

	umask(022);
	bg_test_dir_make(&dir);
	bg_test_file_write(&dir, "jwks.json", jwks, strlen(jwks));
	free(jwks);
	bg_format(text, sizeof(text), "issuer \"https://issuer.example/\" { audience = \"a\" jwks_file = \"%s/jwks.json\" }\n"
	    "script = \"%s/script\"\nlocation \"/open\" { auth = \"none\" }\n", dir.path, dir.path);
	bg_test_file_write(&dir, "conf", text, strlen(text));
	bg_format(config, sizeof(config), "BEARERGATE_CONFIG=%s", dir.file);
	bg_format(text, sizeof(text), "#!/bin/sh\necho script\nexec /bin/cat /proc/self/environ\n");
	bg_test_file_write(&dir, "script", text, strlen(text));
	ck_assert_int_eq(chmod(dir.file, 0755), 0);
}

static void
teardown(void)
{
	bg_test_dir_remove(&dir);
}

/* What the program answers to env, terminated; NULL where the system would not even start it. */
static char *
answer_of(char **env, size_t *len)
{
	char *program = getenv("BG_CGI"), out[2100], *argv[] = { program, NULL }, *text;
	posix_spawn_file_actions_t actions;
	int status, rc;
	struct stat st;
	FILE *file;
	pid_t pid;

	bg_format(out, sizeof(out), "%s/out", dir.path);
	ck_assert_int_eq(posix_spawn_file_actions_init(&actions), 0);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	rc = posix_spawn(&pid, program, &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0) {
		ck_assert_int_eq(rc, E2BIG);
		return NULL;
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with %x", (unsigned)status);
	file = fopen(out, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	*len = fread(text, 1, (size_t)st.st_size, file);
	fclose(file);
	return text;
}

static const struct { const char *name, *env[8]; enum outcome outcome; } handed_in[] = {
	{ "no variable at all", { NULL }, REFUSED },
	{ "the path of an open place", { "REQUEST_METHOD=GET", "REQUEST_URI=/open" }, SCRIPT },
	{ "and of another one behind", { "REQUEST_METHOD=GET", "REQUEST_URI=/private", "REQUEST_URI=/open" }, REFUSED },
	{ "a name alone", { "REQUEST_METHOD=GET", "REQUEST_URI", "REQUEST_URI=/open", "X", "CLAIM_SUB" }, SCRIPT },
	{ "no names", { "REQUEST_METHOD=GET", "REQUEST_URI=/open", "", "=", "==x", "=CLAIM_SUB=x" }, SCRIPT },
	{ "empty values", { "REQUEST_METHOD=", "REQUEST_URI=", "HTTP_HOST=", "HTTP_AUTHORIZATION=", "HTTP_DPOP=", "CONTENT_LENGTH=",
	    "REMOTE_ADDR=" }, REFUSED },
	{ "bytes", { "REQUEST_METHOD=GET", "REQUEST_URI=/open?\xff\r\n", "HTTP_X=\x01\x02", "\xfe\xff=\r\n\r\n" }, SCRIPT },
	{ "bytes in a path", { "REQUEST_METHOD=GET", "REQUEST_URI=/open/\r\n" }, REFUSED },
	{ "a path decoded by the server, and again", { "REQUEST_METHOD=GET", "REQUEST_URI=/%6fpen", "SCRIPT_NAME=/%6fpen", "PATH_INFO=" },
	    REFUSED },
	{ "a demand without a name", { "REQUEST_METHOD=GET", "REQUEST_URI=/open", "BEARERGATE_=" }, REFUSED },
	{ "a demand without a value", { "REQUEST_METHOD=GET", "REQUEST_URI=/open", "BEARERGATE_SCOPE" }, SCRIPT },	/* it is no variable */
	{ "two demands", { "REQUEST_METHOD=GET", "REQUEST_URI=/open", "BEARERGATE_AUTH=none", "BEARERGATE_AUTH=required" }, REFUSED },
	{ "a method in small letters", { "REQUEST_METHOD=get", "REQUEST_URI=/open" }, REFUSED },
	{ "a length that is none", { "REQUEST_METHOD=GET", "REQUEST_URI=/private", "CONTENT_LENGTH=-1" }, REFUSED },
	{ "a length beyond all numbers", { "REQUEST_METHOD=GET", "REQUEST_URI=/private", "CONTENT_LENGTH=99999999999999999999999" }, REFUSED },
	{ "spoofed", { "REQUEST_METHOD=GET", "REQUEST_URI=/open", "CLAIM_EVIL=x", "claim-evil=x", "REMOTE_USER=x", "ROLES=x",
	    "REDIRECT_CLAIM_EVIL=x", "AUTH_TYPE=x" }, SCRIPT },
};

static void
assert_outcome(const char *name, char **env, enum outcome outcome)
{
	size_t len = 0;
	char *text = answer_of(env, &len);

	if (text == NULL)
		return;
	if (strncmp(text, "script\n", 7) == 0) {
		ck_assert_msg(outcome != REFUSED, "%s: the script ran", name);
		for (const char *at = text + 7; at < text + len; at += strlen(at) + 1) {
			/* ours are empty, since nobody has shown a token, and there once (SR-84) */
			ck_assert_msg(strncasecmp(at, "claim", 5) != 0 || at[strlen(at) - 1] == '=', "%s: %s", name, at);
			ck_assert_msg(strstr(at, "EVIL") == NULL && strncmp(at, "BEARERGATE_", 11) != 0, "%s: %s", name, at);
			ck_assert_msg(strncmp(at, "REMOTE_USER=", 12) != 0 || at[12] == '\0', "%s: %s", name, at);
		}
	} else {
		ck_assert_msg(outcome != SCRIPT, "%s: %s", name, text);
		ck_assert_msg(strncmp(text, "Status: 4", 9) == 0 || strncmp(text, "Status: 500 ", 12) == 0, "%s: %s", name, text);
		ck_assert_msg(strstr(text, "\r\n\r\n{\"detail\"") != NULL && text[len - 1] == '}', "%s: %s", name, text);
	}
	free(text);
}

START_TEST(any_environment_is_answered_by_the_program)	/* SR-23 */
{
	char *env[10] = { config };

	if (getenv("BG_CGI") == NULL)
		return;		/* automake names it */
	for (size_t i = 0; i < 8 && handed_in[_i].env[i] != NULL; i++)
		env[i + 1] = (char *)(uintptr_t)handed_in[_i].env[i];
	assert_outcome(handed_in[_i].name, env, handed_in[_i].outcome);
}
END_TEST

START_TEST(any_size_of_environment_is_answered_by_the_program)	/* SR-23 */
{
	static const char *const longs[] = { "X", "HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_DPOP", "REQUEST_METHOD", "HTTP_HOST",
		"CLAIM_SUB", "BEARERGATE_SCOPE", "CONTENT_LENGTH", "SCRIPT_FILENAME" };
	char **env = calloc(MANY + 5, sizeof(*env)), *names_of = calloc(MANY, 32), *value = malloc(LONGEST + 1);
	char path[] = "REQUEST_URI=/open", method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/private";

	if (getenv("BG_CGI") != NULL) {
		env[0] = config;
		env[1] = path;
		env[2] = method;
		for (size_t i = 0; i < MANY; i++) {
			env[i + 3] = names_of + 32 * i;
			bg_format(env[i + 3], 32, "%s%zu=x", i % 2 == 0 ? "CLAIM_EVIL_" : "HTTP_X_", i);
		}
		assert_outcome("10,000 variables", env, SCRIPT);
		env[1] = uri;
		assert_outcome("10,000 variables and no token", env, REFUSED);

		/* the longest value that a program can be given, under each name; by a token it is none */
		memset(env, 0, (MANY + 5) * sizeof(*env));
		env[0] = config;
		env[3] = value;
		for (int i = 0; i < N(longs); i++) {
			memset(value, 'v', LONGEST);
			value[LONGEST] = '\0';
			memcpy(value, longs[i], strlen(longs[i]));
			value[strlen(longs[i])] = '=';
			env[1] = strcmp(longs[i], "REQUEST_METHOD") == 0 ? path : method;
			env[2] = uri;
			assert_outcome(longs[i], env, REFUSED);
		}
		/* as much as there can be: with ours on top it may be too much for the script, and then that is the answer */
		memcpy(value, "X=", 2);
		env[1] = method;
		env[2] = path;
		for (int n = 1; n < 40; n++) {
			env[n + 2] = value;
			assert_outcome("full", env, EITHER);
		}
	}
	free(env);
	free(names_of);
	free(value);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("environment");
	TCase *tc = tcase_create("environment");

	tcase_add_loop_test(tc, a_script_gets_no_variable_of_ours_from_outside, 0, N(incoming));
	tcase_add_test(tc, what_was_decided_by_is_what_the_script_sees);
	tcase_add_test(tc, an_environment_may_be_large);
	tcase_add_test(tc, what_does_not_fit_is_no_environment);
	tcase_add_loop_test(tc, what_the_protected_place_demands_survives_its_redirect_and_nothing_else_does, 0, N(readings));
	tcase_add_loop_test(tc, a_path_that_the_server_has_decoded_is_known_for_it, 0, N(uris));
	tcase_add_test(tc, what_is_for_the_configuration_is_no_demand);
	suite_add_tcase(suite, tc);
	tc = tcase_create("program");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, any_environment_is_answered_by_the_program, 0, N(handed_in));
	tcase_add_test(tc, any_size_of_environment_is_answered_by_the_program);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
