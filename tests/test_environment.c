#include "cgi/environment.h"

#include <stdio.h>

#include "core/limits.h"
#include "tests/support/run.h"

#define MANY	10000

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
		bool stays = pass ? incoming[_i].stays_with_credentials : incoming[_i].stays;
		struct bg_environment environment;
		struct bg_error err = { 0 };
		char *env[4] = { NULL };

		/* twice, since a shell or library may take either */
		env[0] = env[2] = (char *)(uintptr_t)incoming[_i].var;
		env[1] = (char *)(uintptr_t)"HOME=/";
		ck_reason(bg_environment_make(env, &exports, pass, variables, settings, N(settings), &environment, &err), err, BG_R_OK,
		    incoming[_i].var);
		assert_ours(environment.vars, stays ? 3 : 1);
		ck_assert_str_eq(environment.vars[stays ? 1 : 0], "HOME=/");
		if (stays)
			ck_assert(environment.vars[0] == incoming[_i].var && environment.vars[2] == incoming[_i].var);
		bg_environment_clear(&environment);
	}
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
static const struct { const char *name, *env[4], *want[4]; enum bg_reason reason; bool otherwise; } readings[] = {
	{ "no variable", { NULL }, { NULL }, BG_R_OK, false },
	{ "not redirected", { "BEARERGATE_SCOPE=a", "X=y" }, { "BEARERGATE_SCOPE=a", "X=y" }, BG_R_OK, false },
	{ "redirected", { "REDIRECT_BEARERGATE_SCOPE=a" }, { "BEARERGATE_SCOPE=a" }, BG_R_OK, false },
	{ "redirected twice", { "REDIRECT_REDIRECT_BEARERGATE_AUTH=none" }, { NULL }, BG_R_OK, false },
	{ "redirected twice, and once", { "REDIRECT_REDIRECT_BEARERGATE_AUTH=none", "REDIRECT_BEARERGATE_AUTH=optional" },
	    { "BEARERGATE_AUTH=optional" }, BG_R_OK, false },
	{ "otherwise than by Action", { "REDIRECT_BEARERGATE_AUTH=none", "BEARERGATE_SCOPE=a" }, { "BEARERGATE_SCOPE=a" }, BG_R_OK, true },
	{ "otherwise, and not redirected", { "BEARERGATE_AUTH=none" }, { "BEARERGATE_AUTH=none" }, BG_R_OK, true },
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
	for (size_t i = 0; vars != NULL && i < 4; i++) {
		ck_assert((vars[i] == NULL) == (readings[_i].want[i] == NULL));
		if (vars[i] == NULL)
			break;
		ck_assert_str_eq(vars[i], readings[_i].want[i]);
	}
	free(vars);
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

int
main(void)
{
	Suite *suite = suite_create("environment");
	TCase *tc = tcase_create("environment");

	tcase_add_loop_test(tc, a_script_gets_no_variable_of_ours_from_outside, 0, N(incoming));
	tcase_add_test(tc, an_environment_may_be_large);
	tcase_add_test(tc, what_does_not_fit_is_no_environment);
	tcase_add_loop_test(tc, what_the_protected_place_demands_survives_its_redirect_and_nothing_else_does, 0, N(readings));
	tcase_add_test(tc, what_is_for_the_configuration_is_no_demand);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
