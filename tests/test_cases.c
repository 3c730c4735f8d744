/*
 * Whole decisions, from variables to answer, told by files: tests/cases/README says how a case is written.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgi/environment.h"
#include "cgi/metavars.h"
#include "cgi/reply.h"
#include "conf/conf.h"
#include "core/clock.h"
#include "core/limits.h"
#include "fcgi/authorizer.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define ISSUER		"https://issuer.example/"
#define AUDIENCE	"https://api.example"
#define NOW		INT64_C(1700000000)
#define MAX_CASES	2000
#define MAX_ENV		64

static const char default_conf[] = "issuer \"" ISSUER "\" {\n"
    "  audience  = { \"" AUDIENCE "\" }\n"
    "  jwks_file = \"@JWKS@\"\n"
    "}\n";

static char *names[MAX_CASES];
static int n_names;
static int64_t usual_now = NOW;		/* what tokens and proofs are minted for, unless they say otherwise */

static const char *
cases_dir(void)
{
	static char dir[1024];
	const char *srcdir = getenv("srcdir");

	bg_format(dir, sizeof(dir), "%s/tests/cases", srcdir != NULL ? srcdir : ".");
	return dir;
}

static enum bg_mint_key
key_named(const char *name)
{
	static const char *const keys[BG_MINT_KEYS] = { "a", "b", "long", "short", "p256", "p384", "p521", "ed25519" };

	for (int i = 0; i < BG_MINT_KEYS; i++)
		if (strcmp(keys[i], name) == 0)
			return (enum bg_mint_key)i;
	ck_abort_msg("no key \"%s\"", name);
	return BG_MINT_KEYS;
}

/* Write text into a new file of dir, with jwks for every @JWKS@ in it; the path is the caller's to free. */
static char *
write_file(const char *dir, const char *name, const char *text, const char *jwks)
{
	char path[1024];
	const char *at;
	FILE *file;

	bg_format(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	for (; jwks != NULL && (at = strstr(text, "@JWKS@")) != NULL; text = at + strlen("@JWKS@"))
		fprintf(file, "%.*s%s", (int)(at - text), text, jwks);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	return strdup(path);
}

/* The members of changes put over those of base; null takes one away.  RFC 7396. */
static char *
merged(json_t *base, const json_t *changes)
{
	const char *name;
	json_t *value;
	char *text;

	json_object_foreach((json_t *)(uintptr_t)changes, name, value) {
		if (json_is_null(value))
			json_object_del(base, name);
		else
			json_object_set(base, name, value);
	}
	text = json_dumps(base, JSON_COMPACT);
	json_decref(base);
	return text;
}

static char *
make_token(const json_t *recipe)
{
	const char *compact = json_string_value(json_object_get(recipe, "compact"));
	const char *key_name = json_string_value(json_object_get(recipe, "key"));
	const char *raw_header = json_string_value(json_object_get(recipe, "raw_header"));
	const char *raw_claims = json_string_value(json_object_get(recipe, "raw_claims"));
	const char *signature = json_string_value(json_object_get(recipe, "signature"));
	const char *alg = json_string_value(json_object_get(recipe, "alg"));
	const char *bound = json_string_value(json_object_get(recipe, "bound"));
	enum bg_mint_key key = key_named(key_name != NULL ? key_name : "a");
	char *header, *claims, *token;
	json_t *usual = NULL;

	if (compact != NULL)
		return strdup(compact);
	header = raw_header != NULL ? strdup(raw_header) : merged(json_pack("{s:s,s:s,s:s}", "alg", alg != NULL ? alg : "RS256", "typ", "at+jwt",
	    "kid", bg_mint_kid(key)), json_object_get(recipe, "header"));
	if (bound != NULL)	/* RFC 7800: the claims may say it otherwise */
		usual = json_pack("{s:{s:s}}", "cnf", "jkt", bg_mint_jkt(key_named(bound)));
	claims = raw_claims != NULL ? strdup(raw_claims) : merged(json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:O*}", "iss", ISSUER, "sub", "user-1",
	    "aud", AUDIENCE, "iat", (json_int_t)usual_now - 60, "exp", (json_int_t)usual_now + 3600, "scope", "read:messages",
	    "cnf", json_object_get(usual, "cnf")), json_object_get(recipe, "claims"));
	json_decref(usual);
	if (signature != NULL)
		token = bg_mint_compact(bg_slice_str(header), bg_slice_str(claims), bg_slice_str(signature));
	else if (json_is_true(json_object_get(recipe, "forged")))
		token = bg_mint_token_forged(key, header, claims);
	else
		token = bg_mint_token_as(key, alg, header, claims);
	free(claims);
	free(header);
	return token;
}

/* A proof for that token; NULL where the case has none. */
static char *
make_proof(const json_t *recipe, const char *token)
{
	const char *compact = json_string_value(json_object_get(recipe, "compact"));
	const char *key_name = json_string_value(json_object_get(recipe, "key"));
	const char *alg = json_string_value(json_object_get(recipe, "alg"));
	char ath[BG_THUMBPRINT_LEN + 1], *header, *claims, *proof, *at;
	json_t *changes;

	if (recipe == NULL)
		return NULL;
	if (compact != NULL)
		return strdup(compact);
	changes = json_object();
	ck_assert_int_eq(bg_issuer_hash(bg_slice_str(token), ath, NULL), 0);
	header = json_dumps(json_object_get(recipe, "header"), JSON_COMPACT);	/* NULL where there is none */
	json_object_set_new(changes, "ath", json_string(ath));
	json_object_set_new(changes, "iat", json_integer((json_int_t)usual_now));
	json_object_update(changes, json_object_get(recipe, "claims"));
	claims = json_dumps(changes, JSON_COMPACT);
	proof = bg_mint_proof(key_named(key_name != NULL ? key_name : "p256"), alg, header, claims);
	if (json_is_true(json_object_get(recipe, "forged"))) {
		at = strrchr(proof, '.') + 1;
		*at = *at == 'A' ? 'B' : 'A';
	}
	free(claims);
	free(header);
	json_decref(changes);
	return proof;
}

/* text with {token} and {proof} in it replaced; the caller's to free. */
static char *
make_variable(const char *text, const char *token, const char *proof)
{
	struct bg_slice out;
	struct bg_buf buf;

	bg_buf_init(&buf, 1 << 20);
	while (*text != '\0') {
		if (strncmp(text, "{token}", strlen("{token}")) == 0) {
			bg_buf_put_str(&buf, token);
			text += strlen("{token}");
		} else if (strncmp(text, "{proof}", strlen("{proof}")) == 0) {
			ck_assert_ptr_nonnull(proof);
			bg_buf_put_str(&buf, proof);
			text += strlen("{proof}");
		} else
			bg_buf_put_char(&buf, *text++);
	}
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	return buf.data;
}

/* Does the case say something about this variable itself, if only that it is missing ("NAME" without "=")? */
static bool
is_named(const json_t *own, const char *variable)
{
	size_t len = strcspn(variable, "="), i;
	const json_t *one;

	json_array_foreach(own, i, one)
		if (strcspn(json_string_value(one), "=") == len && strncmp(json_string_value(one), variable, len) == 0)
			return true;
	return false;
}

/* The variables of the request: the base ones, those of a proof, the Authorization header, and those of the case. */
static void
make_env(const json_t *root, const char *token, const char *proof, char *env[MAX_ENV + 1])
{
	const json_t *authorization = json_object_get(root, "authorization"), *own = json_object_get(root, "env"), *one;
	static const char *const base[] = { "REQUEST_METHOD=GET", "REQUEST_URI=/api/private", "REMOTE_ADDR=192.0.2.1" };
	static const char *const bound[] = { "REQUEST_SCHEME=https", "HTTP_HOST=api.example", "REMOTE_PORT=4711", "HTTP_DPOP={proof}" };
	size_t n = 0, i;
	char *header;

	for (i = 0; i < sizeof(base) / sizeof(base[0]); i++)
		if (!is_named(own, base[i]))
			env[n++] = strdup(base[i]);
	for (i = 0; proof != NULL && i < sizeof(bound) / sizeof(bound[0]); i++)
		if (!is_named(own, bound[i]))
			env[n++] = make_variable(bound[i], token, proof);
	if (authorization == NULL || json_is_string(authorization)) {
		header = make_variable(authorization != NULL ? json_string_value(authorization) :
		    proof != NULL ? "DPoP {token}" : "Bearer {token}", token, proof);
		env[n] = malloc(strlen(header) + sizeof("HTTP_AUTHORIZATION="));
		sprintf(env[n++], "HTTP_AUTHORIZATION=%s", header);
		free(header);
	}
	json_array_foreach(own, i, one) {
		ck_assert_uint_lt(n, MAX_ENV);
		if (strchr(json_string_value(one), '=') != NULL)
			env[n++] = make_variable(json_string_value(one), token, proof);
	}
	env[n] = NULL;
}

/* A store that says what the case says: it stands in for one that others see, and is asked for each role anew. */
static struct { struct bg_replay replay; enum bg_reason says; } store;

static int
store_spend(struct bg_replay *replay, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	(void)replay, (void)spending, (void)now;
	*retry_after = bg_reason_status(store.says) == 503 ? 9 : 0;
	return store.says == BG_R_OK ? 0 : bg_fail(err, store.says, "the store of the test");
}

static void
store_free(struct bg_replay *replay)
{
	(void)replay;
}

static void
use_store(struct bg_gate *gate, const char *says)
{
	store.replay = (struct bg_replay){ .spend = store_spend, .free = store_free };
	store.says = BG_R_OK;
	for (int i = 1; says != NULL && i < BG_R_COUNT; i++)
		if (strcmp(bg_reason_name((enum bg_reason)i), says) == 0)
			store.says = (enum bg_reason)i;
	ck_assert_msg(says == NULL || store.says != BG_R_OK, "no reason \"%s\"", says);
	bg_replay_free(gate->dpop.replay);
	gate->dpop.replay = &store.replay;
}

static struct bg_gate *
make_gate(const json_t *root, const char *dir, const char *more, struct bg_conf **conf)
{
	const char *text = json_string_value(json_object_get(root, "conf"));
	const json_t *listed = json_object_get(root, "keys"), *one;
	enum bg_mint_key keys[BG_MINT_KEYS] = { BG_MINT_KEY_A };
	struct bg_conf_sources from = { 0 };
	struct bg_error err = { 0 };
	char *jwks, *jwks_file, *file, *all;
	struct bg_gate *gate;
	struct bg_buf report;
	size_t n = 1, i;

	json_array_foreach(listed, i, one)
		keys[i] = key_named(json_string_value(one));
	if (listed != NULL)
		n = json_array_size(listed);
	jwks = bg_mint_jwks(keys, n);
	jwks_file = write_file(dir, "jwks.json", jwks, NULL);
	if (text == NULL)
		text = default_conf;
	all = malloc(strlen(text) + strlen(more) + 2);
	sprintf(all, "%s\n%s", text, more);
	from.file = file = write_file(dir, "conf", all, jwks_file);
	free(all);
	bg_buf_init(&report, 10000);
	ck_assert_msg(bg_conf_load(conf, &from, &report) == 0, "%.*s", (int)report.len, report.data);
	ck_reason(bg_conf_build(*conf, NULL, &gate, &err), err, BG_R_OK, "build");
	for (i = 0; i < gate->n_issuers; i++)
		bg_keystore_step(gate->issuers[i].keys, (struct bg_now){ .mono_ms = 0 });
	bg_buf_clear(&report);
	free(file);
	free(jwks_file);
	free(jwks);
	return gate;
}

static void
check_answer(const char *name, const json_t *expect, const struct bg_decision *decision, struct bg_buf *answer)
{
	const char *reason = json_string_value(json_object_get(expect, "reason")), *at;
	bool allow = strcmp(reason, "ok") == 0;
	const json_t *one, *lines = json_object_get(expect, "answer"), *absent = json_object_get(expect, "absent");
	const json_t *detail = json_object_get(expect, "detail");
	int number = allow ? 200 : bg_reason_status(decision->error.reason);
	struct bg_slice text;
	char status[32];
	size_t i;

	ck_assert_int_eq(bg_buf_finish(answer, &text, NULL), 0);
	ck_assert_msg((decision->verdict == BG_ALLOW) == allow && strcmp(bg_reason_name(bg_decision_reason(decision)), reason) == 0,
	    "%s: %s (%s), wanted %s", name, bg_reason_name(bg_decision_reason(decision)), decision->error.detail, reason);
	if (json_is_integer(json_object_get(expect, "status")))		/* where the configuration has a say in it */
		number = (int)json_integer_value(json_object_get(expect, "status"));
	bg_format(status, sizeof(status), "Status: %d ", number);
	ck_assert_msg(strncmp(text.ptr, status, strlen(status)) == 0, "%s: %s", name, text.ptr);
	/* what a grant is made of never stands in a denial, and no token in any answer */
	ck_assert_msg(allow || strstr(text.ptr, "Variable-") == NULL, "%s: %s", name, text.ptr);
	ck_assert_msg(strstr(text.ptr, "eyJ") == NULL, "%s: %s", name, text.ptr);
	json_array_foreach(lines, i, one) {
		at = strstr(text.ptr, json_string_value(one));
		ck_assert_msg(at != NULL && (at == text.ptr || at[-1] == '\n'), "%s: no line %s in\n%s", name, json_string_value(one),
		    text.ptr);
	}
	json_array_foreach(absent, i, one)
		ck_assert_msg(strstr(text.ptr, json_string_value(one)) == NULL, "%s: %s in\n%s", name, json_string_value(one), text.ptr);
	if (detail != NULL)
		ck_assert_msg(strstr(decision->error.detail, json_string_value(detail)) != NULL, "%s: %s", name, decision->error.detail);
}

/* A line of text that begins with name and goes on with the value. */
static bool
has_line(const char *text, const char *name, struct bg_slice value)
{
	struct bg_slice line;
	struct bg_buf buf;
	const char *at;
	bool has;

	bg_buf_init(&buf, BG_ANSWER_MAX);
	bg_buf_put_format(&buf, "\r\n%s: ", name);
	bg_buf_put(&buf, value);
	bg_buf_put_str(&buf, "\r\n");
	ck_assert_int_eq(bg_buf_finish(&buf, &line, NULL), 0);
	at = strcasestr(text, line.ptr);
	has = at != NULL;
	bg_buf_clear(&buf);
	return has;
}

/*
 * The same answer in the other role: 200, 401 or 403, and nothing said or left out that the first one has or has not; or
 * the status that the case says, where this role cannot allow what the other one does.
 */
static void
check_responder(const char *name, const json_t *expect, const struct bg_buf *answer, struct bg_buf *responder)
{
	const char *body = strstr(answer->data, "\r\n\r\n") + 4, *line, *end, *colon;
	int status, told, variables = 0, claims = 0;
	struct bg_slice text;
	char header[200];

	ck_assert_int_eq(bg_buf_finish(responder, &text, NULL), 0);
	ck_assert_int_eq(sscanf(answer->data, "Status: %d ", &status), 1);
	ck_assert_int_eq(sscanf(text.ptr, "Status: %d ", &told), 1);
	if (json_is_integer(json_object_get(expect, "responder"))) {
		bg_format(header, sizeof(header), "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(expect, "responder")));
		ck_assert_msg(told == 403 && has_line(text.ptr, "X-Bearergate-Status", bg_slice_str(header)), "%s: %s", name, text.ptr);
		ck_assert_ptr_null(strstr(text.ptr, "X-Auth-"));
		return;
	}
	ck_assert_msg(told == (status == 200 ? 200 : status == 400 || status == 401 ? 401 : 403), "%s: %d as %d", name, status, told);
	for (line = answer->data; line + 2 < body; line = end + 2) {
		end = strstr(line, "\r\n");
		colon = strchr(line, ':');
		if (strncmp(line, "Status: ", 8) == 0)
			continue;
		bg_format(header, sizeof(header), "%.*s", (int)(colon - line), line);
		if (strncmp(line, "Variable-", 9) == 0) {
			variables++;
			bg_format(header, sizeof(header), "X-Auth-%.*s", (int)(colon - line - 9),
			    strncmp(line, "Variable-AUTH_TYPE:", 19) == 0 ? "TYPE:" : line + 9);
			if (strncmp(line, "Variable-AUTH_TYPE:", 19) == 0)
				header[strlen("X-Auth-TYPE")] = '\0';
			for (char *c = header; *c != '\0'; c++)
				if (*c == '_')
					*c = '-';
		}
		ck_assert_msg(has_line(text.ptr, header, (struct bg_slice){ colon + 2, (size_t)(end - colon - 2) }), "%s: no %s in\n%s",
		    name, header, text.ptr);
	}
	for (line = text.ptr; (line = strstr(line, "\r\nX-Auth-")) != NULL; line++)
		claims++;
	ck_assert_msg(claims == variables, "%s: %d claims, %d variables", name, claims, variables);
	if (status != 200)
		ck_assert_msg(has_line(text.ptr, "X-Bearergate-Body", bg_slice_str(body)), "%s: %s", name, text.ptr);
}

/* A misspelt member of a case would test nothing. */
static void
check_members(const char *name, const json_t *object, const char *const *known)
{
	const char *member;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, member, value) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, member) != 0)
			k++;
		ck_assert_msg(*k != NULL, "%s: member \"%s\" is not known", name, member);
	}
}

static void
decide(const struct bg_gate *gate, struct bg_now now, char *const *env, struct bg_request *request, struct bg_decision *out)
{
	struct bg_error err = { 0 };

	*out = (struct bg_decision){ 0 };
	if (bg_metavars_read(env, request, &err) == 0)
		bg_gate_decide(gate, request, now, out);
	else
		bg_decision_deny(out, &err);
}

/* With a cache of tokens, empty and then knowing this one, all ends as it does without one: reason, detail, every byte. */
static void
check_cached(const char *name, struct bg_gate *gate, struct bg_now now, char *const *env, const struct bg_decision *plain,
    const struct bg_buf *answer)
{
	struct bg_verified_status status;
	struct bg_decision decision;
	struct bg_request request;
	struct bg_buf again;

	bg_buf_init(&again, BG_ANSWER_MAX);
	ck_assert_int_eq(bg_verified_new(&gate->verified, 10, BG_VERIFIED_BYTES_MAX, NULL), 0);
	for (int i = 0; i < 3; i++) {
		decide(gate, now, env, &request, &decision);
		ck_assert_msg(decision.verdict == plain->verdict && decision.error.reason == plain->error.reason &&
		    strcmp(decision.error.detail, plain->error.detail) == 0 && decision.retry_after == plain->retry_after,
		    "%s, use %d of a cached token: %s (%s)", name, i + 1, bg_reason_name(decision.error.reason), decision.error.detail);
		bg_verified_status(gate->verified, &status);
		ck_assert_msg(status.tokens == status.parsed && (status.tokens == 1 || plain->verdict != BG_ALLOW || plain->anonymous),
		    "%s: %zu tokens are known", name, status.tokens);
		bg_decision_clear(&decision);
		ck_assert_int_eq(bg_authorizer_answer(gate, now, BG_ROLE_AUTHORIZER, env, true, &again, NULL), 0);
		ck_assert_msg(again.len == answer->len && memcmp(again.data, answer->data, again.len) == 0, "%s: %.*s", name,
		    (int)again.len, again.data);
	}
	bg_buf_clear(&again);
}

/*
 * The third form, of bearergate-cgi: the same status, headers and body, and for an allow the same variables in the script's
 * environment and nothing else of ours there.
 */
static void
check_wrapper(const char *name, const struct bg_gate *gate, const struct bg_conf *conf, char *const *env,
    const struct bg_decision *decision, const struct bg_buf *answer)
{
	const char *body = strstr(answer->data, "\r\n\r\n") + 4, *line, *end;
	struct bg_environment environment = { .vars = NULL };
	int variables = 0, ours = 0, headers = 0;
	struct bg_cgi_form form = { .head = false };
	struct bg_error err = { 0 };
	struct bg_response response;
	struct bg_slice text = { NULL, 0 };
	struct bg_buf reply;

	bg_response_init(&response);
	bg_buf_init(&reply, BG_ANSWER_MAX);
	bg_response_make(gate, decision, &response);
	ck_assert_int_eq(bg_reply_cgi(&response, form, &reply, &err), response.status == 200 ? -1 : 0);
	if (response.status == 200)
		ck_assert_int_eq(bg_environment_make(env, &gate->exports, conf->pass_credentials,
		    (struct bg_slice){ response.variables.data, response.variables.len }, NULL, 0, &environment, &err), 0);
	else
		ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
	for (line = answer->data; line + 2 < body; line = end + 2) {
		end = strstr(line, "\r\n");
		if (response.status != 200) {
			headers++;
			ck_assert_msg(memmem(text.ptr, text.len, line, (size_t)(end + 2 - line)) != NULL, "%s: no %.*s in\n%s", name,
			    (int)(end - line), line, text.ptr);
		}
		if (strncmp(line, "Variable-", 9) == 0) {
			const char *colon = strchr(line, ':');
			size_t len = (size_t)(colon - line - 9), value_len = (size_t)(end - colon - 2);
			const char *value;
			char variable[200];

			variables++;
			bg_format(variable, sizeof(variable), "%.*s", (int)len, line + 9);
			value = bg_environment_get(environment.vars, variable);
			ck_assert_msg(value != NULL && strlen(value) == value_len && memcmp(value, colon + 2, value_len) == 0,
			    "%s: %s is %s, not %.*s", name, variable, value, (int)value_len, colon + 2);
		}
	}
	for (char **var = environment.vars; var != NULL && *var != NULL; var++) {
		ck_assert_msg(strncmp(*var, "BEARERGATE_", 11) != 0, "%s: %s", name, *var);
		ck_assert_msg(conf->pass_credentials || strstr(*var, "eyJ") == NULL ||
		    (strstr(*var, "HTTP_AUTHORIZATION=") == NULL && strstr(*var, "HTTP_DPOP=") == NULL), "%s: %s", name, *var);
		ours += strncmp(*var, "CLAIM", 5) == 0 || strncmp(*var, "REMOTE_USER=", 12) == 0 || strncmp(*var, "AUTH_TYPE=", 10) == 0;
	}
	/* by an export's own name there may be more */
	ck_assert_msg(ours <= variables, "%s: %d of %d variables are not ours", name, ours - variables, ours);
	if (response.status != 200) {
		for (line = text.ptr; strncmp(line, "\r\n", 2) != 0; line = strstr(line, "\r\n") + 2)
			headers--;
		ck_assert_msg(headers == 0, "%s: %d headers are not the same:\n%s", name, headers, text.ptr);
		ck_assert_str_eq(line + 2, body);
	}
	bg_environment_clear(&environment);
	bg_buf_clear(&reply);
	bg_response_clear(&response);
}

/* Numbers that are near the usual time, or times that only a clock of the test's can show. */
static bool
has_times(const json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT);
	bool has = json_object_get(root, "now") != NULL;

	for (const char *at = text; !has && *at != '\0'; at++)
		has = (strncmp(at, "1699", 4) == 0 || strncmp(at, "1700", 4) == 0) && strspn(at, "0123456789") == 10;
	free(text);
	return has;
}

/* Run the program, as a server would, with its output and its log in files; returns its exit status. */
static int
run_program(const char *program, const char *dir, char *const *env)
{
	char out[1100], log[1100], *argv[] = { strdup(program), NULL };
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	bg_format(out, sizeof(out), "%s/out", dir);
	bg_format(log, sizeof(log), "%s/log", dir);
	ck_assert_int_eq(posix_spawn_file_actions_init(&actions), 0);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(posix_spawn(&pid, program, &actions, NULL, argv, env), 0);
	posix_spawn_file_actions_destroy(&actions);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	free(argv[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The whole of a file, which may have zero bytes in it, terminated. */
static char *
read_all(const char *dir, const char *name, size_t *len)
{
	char path[1100], *text = calloc(1, 2 * BG_ANSWER_MAX);
	FILE *file;

	bg_format(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	*len = fread(text, 1, 2 * BG_ANSWER_MAX - 1, file);
	fclose(file);
	return text;
}

/* Header by header and then the body; of what has the time in it, the names. */
static void
check_same_reply(const char *name, const char *got, const char *want)
{
	const char *ends[2];

	while (strncmp(want, "\r\n", 2) != 0) {
		size_t len;

		ends[0] = strstr(got, "\r\n");
		ends[1] = strstr(want, "\r\n");
		ck_assert_msg(ends[0] != NULL, "%s: the answer ends where there should be %s", name, want);
		len = (size_t)(ends[1] - want);
		if (strncmp(want, "DPoP-Nonce: ", 12) == 0 || strncmp(want, "Retry-After: ", 13) == 0)
			len = 12;
		else
			ck_assert_msg(ends[0] - got == ends[1] - want, "%s: %.*s, not %.*s", name, (int)(ends[0] - got), got, (int)len, want);
		ck_assert_msg(memcmp(got, want, len) == 0, "%s: %.*s, not %.*s", name, (int)(ends[0] - got), got, (int)len, want);
		got = ends[0] + 2;
		want = ends[1] + 2;
	}
	ck_assert_str_eq(got, want);
}

/*
 * The program itself, for now as the clock has it: cases that name times stay with those above.  It has to come to the same
 * reason, and to the same answer, or to a script with the same variables.
 */
static void
check_program(const char *name, const json_t *root, const char *dir)
{
	const char *program = getenv("BG_CGI"), *method, *said = json_string_value(json_object_get(root, "conf")), *wanted, *at;
	char more[3000], variable[1200], *env[MAX_ENV + 2], **vars, *token, *proof, *out, *log;
	const json_t *proof_recipe = json_object_get(root, "proof");
	struct bg_decision decision = { .verdict = BG_DENY };
	struct bg_slice variables, text, key, value;
	struct bg_now now = bg_clock_now();
	struct bg_error err = { 0 };
	struct bg_response response;
	struct bg_conf *conf = NULL;
	struct bg_request request;
	size_t out_len, log_len, n;
	struct bg_gate *gate;
	struct bg_buf reply;
	int status;

	if (program == NULL || has_times(root) || json_object_get(root, "store") != NULL ||
	    (proof_recipe != NULL && !bg_replay_has_lmdb()))
		return;
	bg_format(more, sizeof(more), "script = \"%s/script\"\n", dir);
	if (proof_recipe != NULL && (said == NULL || strstr(said, "replay") == NULL))
		bg_format(more + strlen(more), sizeof(more) - strlen(more), "replay = \"lmdb:%s/replay\"\n", dir);
	usual_now = now.wall;
	gate = make_gate(root, dir, more, &conf);
	token = make_token(json_object_get(root, "token"));
	proof = make_proof(proof_recipe, token);
	make_env(root, token, proof, env);
	usual_now = NOW;
	use_store(gate, NULL);
	bg_verified_free(gate->verified);
	gate->verified = NULL;

	bg_response_init(&response);
	bg_buf_init(&reply, BG_ANSWER_MAX);
	if (bg_environment_read(env, false, &vars, &err) != 0)
		bg_decision_deny(&decision, &err);
	else
		decide(gate, now, vars, &request, &decision);
	bg_response_make(gate, &decision, &response);
	wanted = json_string_value(json_object_get(json_object_get(root, "expect"), "reason"));
	ck_assert_msg(strcmp(bg_reason_name(bg_decision_reason(&decision)), wanted) == 0, "%s: %s (%s), wanted %s", name,
	    bg_reason_name(bg_decision_reason(&decision)), decision.error.detail, wanted);

	for (n = 0; env[n] != NULL; n++)
		;
	bg_format(variable, sizeof(variable), "BEARERGATE_CONFIG=%s/conf", dir);
	env[n] = strdup(variable);
	env[n + 1] = NULL;
	status = run_program(program, dir, env);
	out = read_all(dir, "out", &out_len);
	log = read_all(dir, "log", &log_len);
	ck_assert_msg(status == 0, "%s: exit status %d\n%s", name, status, log);
	/* an allow that cannot be said is a fault */
	bg_format(variable, sizeof(variable), "reason=%s ", decision.verdict == BG_ALLOW && response.status != 200 ? "internal" : wanted);
	ck_assert_msg(strstr(log, variable) != NULL, "%s: no %s in\n%s", name, variable, log);
	/* SR-85; of a header that holds a second one, some letters are shown */
	ck_assert_msg(strlen(token) < 20 || strstr(log, token + strlen(token) - 20) == NULL, "%s: a token in the log\n%s", name, log);
	ck_assert_msg(proof == NULL || strlen(proof) < 20 || strstr(log, proof + strlen(proof) - 20) == NULL,
	    "%s: a proof in the log\n%s", name, log);
	if (response.status != 200) {
		method = bg_environment_get(env, "REQUEST_METHOD");
		ck_assert_int_eq(bg_reply_cgi(&response, (struct bg_cgi_form){ .head = method != NULL && strcmp(method, "HEAD") == 0 },
		    &reply, &err), 0);
		ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
		check_same_reply(name, out, text.ptr);
	} else {
		ck_assert_msg(strncmp(out, "script\n", 7) == 0, "%s: %s", name, out);
		variables = (struct bg_slice){ response.variables.data, response.variables.len };
		while (bg_export_next(&variables, &key, &value)) {
			bg_buf_reset(&reply);
			bg_buf_put_char(&reply, '\0');
			bg_buf_put(&reply, key);
			bg_buf_put_char(&reply, '=');
			bg_buf_put(&reply, value);
			bg_buf_put_char(&reply, '\0');
			ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
			out[6] = '\0';
			at = memmem(out, out_len, text.ptr, text.len);
			ck_assert_msg(at != NULL, "%s: the script has no %s", name, text.ptr + 1);
		}
	}
	free(out);
	free(log);
	bg_buf_clear(&reply);
	bg_response_clear(&response);
	bg_decision_clear(&decision);
	free(vars);
	for (char **e = env; *e != NULL; e++)
		free(*e);
	free(proof);
	free(token);
	bg_gate_free(gate);
	bg_conf_free(conf);
}

static int
drop(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

START_TEST(a_case_ends_as_it_says)
{
	static const char *const members[] = { "why", "env", "authorization", "token", "proof", "store", "keys", "conf", "now", "expect", NULL };
	static const char *const token_members[] = { "key", "header", "claims", "raw_header", "raw_claims", "signature", "forged",
		"compact", "alg", "bound", NULL };
	static const char *const proof_members[] = { "key", "header", "claims", "forged", "compact", "alg", NULL };
	static const char *const expect_members[] = { "reason", "status", "responder", "answer", "absent", "detail", NULL };
	const char *tmp = getenv("TMPDIR");
	char path[1400], dir[1024], *env[MAX_ENV + 1], *token, *proof;
	struct bg_now now = { .wall = NOW };
	struct bg_decision decision;
	struct bg_conf *conf = NULL;
	struct bg_request request;
	struct bg_gate *gate;
	struct bg_buf answer, responder;
	json_error_t parse;
	json_t *root;

	bg_format(path, sizeof(path), "%s/%s/case.json", cases_dir(), names[_i]);
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &parse);
	ck_assert_msg(root != NULL, "%s:%d: %s", path, parse.line, parse.text);
	check_members(names[_i], root, members);
	check_members(names[_i], json_object_get(root, "token"), token_members);
	check_members(names[_i], json_object_get(root, "proof"), proof_members);
	check_members(names[_i], json_object_get(root, "expect"), expect_members);
	ck_assert(json_is_string(json_object_get(root, "why")));
	if (json_object_get(root, "now") != NULL)
		now.wall = json_integer_value(json_object_get(root, "now"));

	bg_format(dir, sizeof(dir), "%s/bg-case-XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	bg_log_open(STDERR_FILENO, BG_LOG_ERROR);
	gate = make_gate(root, dir, "", &conf);
	token = make_token(json_object_get(root, "token"));
	proof = make_proof(json_object_get(root, "proof"), token);
	make_env(root, token, proof, env);
	use_store(gate, json_string_value(json_object_get(root, "store")));

	/* the decision for its reason, then the same once more as the daemon does it, for its answer */
	bg_verified_free(gate->verified);
	gate->verified = NULL;
	decide(gate, now, env, &request, &decision);
	bg_buf_init(&answer, BG_ANSWER_MAX);
	bg_log_open(-1, BG_LOG_ERROR);
	ck_assert_int_eq(bg_authorizer_answer(gate, now, BG_ROLE_AUTHORIZER, env, true, &answer, NULL), 0);
	check_answer(names[_i], json_object_get(root, "expect"), &decision, &answer);
	bg_buf_init(&responder, BG_ANSWER_MAX);
	ck_assert_int_eq(bg_authorizer_answer(gate, now, BG_ROLE_RESPONDER, env, true, &responder, NULL), 0);
	check_responder(names[_i], json_object_get(root, "expect"), &answer, &responder);
	check_cached(names[_i], gate, now, env, &decision, &answer);
	bg_verified_free(gate->verified);
	gate->verified = NULL;
	check_wrapper(names[_i], gate, conf, env, &decision, &answer);

	bg_decision_clear(&decision);
	bg_buf_clear(&answer);
	bg_buf_clear(&responder);
	for (char **e = env; *e != NULL; e++)
		free(*e);
	free(proof);
	free(token);
	bg_gate_free(gate);
	bg_conf_free(conf);

	free(write_file(dir, "script", "#!/bin/sh\necho script\nexec /bin/cat /proc/self/environ\n", NULL));
	bg_format(path, sizeof(path), "%s/script", dir);
	ck_assert_int_eq(chmod(path, 0700), 0);
	bg_format(path, sizeof(path), "%s/replay", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	check_program(names[_i], root, dir);
	json_decref(root);
	ck_assert_int_eq(nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
main(void)
{
	Suite *suite = suite_create("cases");
	TCase *tc = tcase_create("cases");
	DIR *dir = opendir(cases_dir());
	struct dirent *entry;
	int status;

	umask(022);		/* the program wants its files to be nobody else's to write */
	if (dir == NULL || bg_json_start() != 0)
		return EXIT_FAILURE;
	while ((entry = readdir(dir)) != NULL && n_names < MAX_CASES)
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "README") != 0)
			names[n_names++] = strdup(entry->d_name);
	closedir(dir);
	qsort(names, (size_t)n_names, sizeof(names[0]), by_name);
	tcase_set_timeout(tc, 120);	/* a machine at work may need long to start a program */
	tcase_add_loop_test(tc, a_case_ends_as_it_says, 0, n_names);
	suite_add_tcase(suite, tc);
	status = n_names > 0 ? bg_test_run(suite) : EXIT_FAILURE;
	while (n_names > 0)
		free(names[--n_names]);
	return status;
}
