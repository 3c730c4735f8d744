#include <fcntl.h>
#include <stdio.h>

#include "cgi/environment.h"
#include "cgi/script.h"
#include "core/b64url.h"
#include "core/certificate.h"
#include "core/discovery.h"
#include "core/gate.h"
#include "core/keyrecord.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/regex.h"
#include "core/secret.h"
#include "fcgi/authorizer.h"
#include "tests/support/fixed.h"
#include "tests/support/mint.h"
#include "tests/support/oom.h"
#include "tests/support/run.h"

/*
 * Every allocation on a road is made to fail in turn, alone and with all that follow, until a run gets through without.
 * Memory that is short is our trouble: it may make a 500 or 503 of an answer, never an allow, another allow, or a
 * refusal that blames the client; and what was taken is given back.
 */

#define ISSUER		"https://issuer.example/"
#define PEM		"-----BEGIN PUBLIC KEY-----\n"							\
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEG8GRu3db0s9xoFb6t7MxHplvPxPK\n"			\
	"e+ZNjAB5ADCtiJm0LoVVhGO029hJ17DfNBjeRVq9exfDdNaItxdAb9w9tA==\n-----END PUBLIC KEY-----\n"	/* p256.pem's */
#define KEPT		48		/* blocks OpenSSL may keep more: three for each place in a thread's queue of errors */
#define ENOUGH		20000		/* more allocations than any road here has: a loop that does not end has a fault */

static const struct bg_now now = { .wall = 1700000060, .mono_ms = 1000 };
static char *jwks;			/* what the issuer hands out */
static char *tokens[16], *proofs[4];

static const char certificate[] = ":"
    "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwE"
    "bXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGG"
    "WvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa"
    "KlLR50Q2DmFfQj1L+SY=:";

/* ---- the gate -------------------------------------------------------------------------------------------------- */

#define TEXT(s)		((char[]){ s })
#define TEXTS(...)	.values = (char *[]){ __VA_ARGS__ }, .n_values = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *)

static struct bg_rule conditions[] = {
	{ .kind = BG_RULE_SCOPE, TEXTS(TEXT("read:messages"), TEXT("openid")) },
	{ .kind = BG_RULE_PERMISSION, TEXTS(TEXT("read:all")) },
	{ .kind = BG_RULE_MATCHES, .claim = TEXT("org_id"), TEXTS(TEXT("org_[a-z]+")) },
	{ .kind = BG_RULE_EQUALS, .claim = TEXT("level"), TEXTS(TEXT("7"), TEXT("8")) },
	{ .kind = BG_RULE_EQUALS, .claim = TEXT("ratio"), TEXTS(TEXT("0.5")) },
	{ .kind = BG_RULE_CONTAINS, .claim = TEXT("/realm_access/roles"), TEXTS(TEXT("1"), TEXT("admin")) },
};
static struct bg_rule alternatives[] = {
	{ .kind = BG_RULE_EQUALS, .claim = TEXT("level"), TEXTS(TEXT("9")) },
	{ .kind = BG_RULE_MATCHES, .claim = TEXT("groups"), TEXTS(TEXT("(staff|crew)-[0-9]{1,4}")) },
};
static struct bg_rule impossible[] = {
	{ .kind = BG_RULE_MATCHES, .claim = TEXT("org_id"), TEXTS(TEXT("com_.*")) },
	{ .kind = BG_RULE_EQUALS, .claim = TEXT("level"), TEXTS(TEXT("9")) },
};

static struct bg_policy policies[] = {
	{ TEXT("staff"), { .kind = BG_RULE_ALL, .rules = conditions, .n_rules = N(conditions) } },
	{ TEXT("either"), { .kind = BG_RULE_ANY, .rules = alternatives, .n_rules = N(alternatives) } },
	{ TEXT("neither"), { .kind = BG_RULE_ANY, .rules = impossible, .n_rules = N(impossible) } },
	{ TEXT("writers"), { .kind = BG_RULE_SCOPE, TEXTS(TEXT("write:messages"), TEXT("delete:messages")) } },
	{ TEXT("owners"), { .kind = BG_RULE_PERMISSION, TEXTS(TEXT("own:all")) } },
	{ TEXT("seven"), { .kind = BG_RULE_EQUALS, .claim = TEXT("level"), TEXTS(TEXT("7")) } },
};

static struct bg_location locations[] = {
	{ .path = TEXT("/staff"), .policies = (const struct bg_policy *[]){ &policies[0], &policies[1] }, .n_policies = 2,
	  .rule = { .kind = BG_RULE_ALL, .rules = &(struct bg_rule){ .kind = BG_RULE_REF, .ref = &policies[5].rule }, .n_rules = 1 } },
	{ .path = TEXT("/public"), .says_auth = true, .auth = BG_AUTH_NONE, .rule = { .kind = BG_RULE_ALL } },
	{ .path = TEXT("/maybe"), .says_auth = true, .auth = BG_AUTH_OPTIONAL, .rule = { .kind = BG_RULE_ALL } },
};

static struct bg_export exports[] = {
	{ .claim = TEXT("sub"), .name = TEXT("CLAIM_SUB") },
	{ .claim = TEXT("aud"), .name = TEXT("CLAIM_AUD") },
	{ .claim = TEXT("exp"), .name = TEXT("CLAIM_EXP") },
	{ .claim = TEXT("ratio"), .name = TEXT("CLAIM_RATIO") },
	{ .claim = TEXT("/realm_access/roles"), .name = TEXT("ROLES"), .join = TEXT("|") },
	{ .claim = TEXT("permissions"), .name = TEXT("PERMISSIONS"), .join = TEXT(",") },
	{ .claim = TEXT("name"), .name = TEXT("NAME"), .encoding = BG_ENCODING_BASE64URL },
	{ .claim = TEXT("realm_access"), .name = TEXT("REALM") },
};

static char heard[] = ISSUER, silent[] = "https://silent.example/";
static char *audience = TEXT("https://api.example");
static struct bg_issuer issuers[2];
static const struct bg_alg *algs[3];
static const struct bg_alg *proof_algs[3];
static unsigned char nonce_key[BG_NONCE_KEY_MIN] = "nonces";

/* The stores have tests of their own. */
static int
spend(struct bg_replay *self, const struct bg_spending *spending, struct bg_now when, int64_t *retry_after, struct bg_error *err)
{
	(void)self, (void)spending, (void)when, (void)retry_after, (void)err;
	return 0;
}

static struct bg_replay replay = { .spend = spend };
static struct bg_gate gate = {
	.issuers = issuers, .n_issuers = N(issuers), .leeway = 30,
	.policies = { policies, N(policies), locations, N(locations), .preflight = true },
	.exports = { exports, N(exports), .user_claim = TEXT("sub"), .json = true },
	.dpop = { .mode = BG_DPOP_ALLOWED, .algs = proof_algs, .n_algs = 3, .iat_offset = 300, .iat_leeway = 30,
		.nonces = { .key = nonce_key, .key_len = sizeof(nonce_key), .window = 300 }, .replay = &replay },
	.answers = { .realm = TEXT("api"), .missing_status = 401 },
};

static int
hand_out(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self;
	meta->max_age = 60;
	bg_buf_put_str(body, strstr(request->location, "/.well-known/") != NULL ?
	    "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/set\"}" : jwks);
	return body->failed ? bg_fail(err, BG_R_FETCH_FAILED, "no memory") : 0;
}

static const struct bg_fetcher fetcher = { hand_out };
static const struct bg_keystore_options from_issuer = { .source = { .issuer = ISSUER, .fetcher = &fetcher,
		.fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600 }, .stale_if_error = 86400, .refresh_cooldown = 30 };

static struct bg_regex *
regex(const char *pattern)
{
	struct bg_regex *made;

	ck_assert_int_eq(bg_regex_new(&made, bg_slice_str(pattern), NULL), 0);
	return made;
}

#define CLAIMS(aud, exp, more)	"{\"iss\":\"" ISSUER "\",\"sub\":\"auth0|5f7c\",\"aud\":\"" aud "\",\"iat\":1700000000,"	\
	"\"exp\":" exp ",\"scope\":\"openid read:messages\"" more "}"
#define ALL_OF_IT	",\"permissions\":[\"read:all\",\"x\"],\"org_id\":\"org_eu\",\"level\":7,\"ratio\":0.5,"		\
	"\"groups\":[\"guests\",\"crew-12\"],\"name\":\"Cem \\u00d6zdemir\","							\
	"\"realm_access\":{\"roles\":[1,2.5,true,\"admin\",\"a long name for a role, so that the joined text needs a "		\
	"second and a third block of memory: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"	\
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]}"

enum { GOOD, FORGED, STRANGER, OTHER_API, OLD, NO_EXP, HEADER, PAYLOAD, NOBODY, ELSEWHERE, EC, EC_FORGED, ED, ED_FORGED, BOUND, BOUND_CERT };

static char *
forged(const char *token)
{
	char *copy = strdup(token), *at = strrchr(copy, '.') + 10;

	*at = *at == 'A' ? 'B' : 'A';
	return copy;
}

/* Tokens bound to a key and to a certificate, and proofs for the first. */
static void
bound_tokens(void)
{
	char cnf[200], nonce[BG_NONCE_LEN + 1], thumbprint[BG_THUMBPRINT_LEN + 1], claims[400], *ath;
	struct { enum bg_mint_key key; const char *path, *nonce; } rows[] = {
		{ BG_MINT_KEY_P256, "mine/1", nonce }, { BG_MINT_KEY_A, "plain", nonce }, { BG_MINT_KEY_P256, "plain", NULL },
		{ BG_MINT_KEY_P256, "plain", "x" },
	};

	bg_format(cnf, sizeof(cnf), ",\"cnf\":{\"jkt\":\"%s\"}", bg_mint_jkt(BG_MINT_KEY_P256));
	bg_format(claims, sizeof(claims), CLAIMS("https://api.example", "1700086400", "%s"), cnf);
	tokens[BOUND] = bg_mint_token(BG_MINT_KEY_A, NULL, claims);
	ck_assert_int_eq(bg_certificate_thumbprint(bg_slice_str(certificate), thumbprint, NULL), 0);
	bg_format(cnf, sizeof(cnf), ",\"cnf\":{\"x5t#S256\":\"%s\"}", thumbprint);
	bg_format(claims, sizeof(claims), CLAIMS("https://api.example", "1700086400", "%s"), cnf);
	tokens[BOUND_CERT] = bg_mint_token(BG_MINT_KEY_A, NULL, claims);
	ck_assert_int_eq(bg_nonce_make(&gate.dpop.nonces, now.wall, nonce, NULL), 0);
	ath = bg_mint_ath(tokens[BOUND]);
	for (int i = 0; i < N(rows); i++) {
		bg_format(claims, sizeof(claims), "{\"htu\":\"https://api.example/%s\",\"ath\":\"%s\"%s%s%s}", rows[i].path, ath,
		    rows[i].nonce != NULL ? ",\"nonce\":\"" : "", rows[i].nonce != NULL ? rows[i].nonce : "", rows[i].nonce != NULL ? "\"" : "");
		proofs[i] = bg_mint_proof(rows[i].key, NULL, NULL, claims);
	}
	free(ath);
}

static void
setup(void)
{
	static const enum bg_mint_key a[] = { BG_MINT_KEY_A };
	char *rsa = bg_mint_jwks(a, 1);

	/* the list of one, with two more at its end */
	jwks = malloc(strlen(rsa) + sizeof(BG_FIXED_EC_JWK BG_FIXED_ED_JWK) + 8);
	sprintf(jwks, "%.*s," BG_FIXED_EC_JWK "," BG_FIXED_ED_JWK "]}", (int)strlen(rsa) - 2, rsa);
	free(rsa);

	tokens[GOOD] = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS("https://api.example", "1700086400", ALL_OF_IT));
	tokens[FORGED] = bg_mint_token_forged(BG_MINT_KEY_A, NULL, CLAIMS("https://api.example", "1700086400", ALL_OF_IT));
	tokens[STRANGER] = bg_mint_token(BG_MINT_KEY_B, NULL, CLAIMS("https://api.example", "1700086400", ""));
	tokens[OTHER_API] = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS("https://other.example", "1700086400", ""));
	tokens[OLD] = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS("https://api.example", "1700000001", ""));
	tokens[NO_EXP] = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS("https://api.example", "null", ""));
	tokens[HEADER] = bg_mint_token(BG_MINT_KEY_A, "{\"alg\":\"RS256\",\"alg\":\"RS256\"}", "{}");
	tokens[PAYLOAD] = bg_mint_token(BG_MINT_KEY_A, NULL, "{\"iss\":\"" ISSUER "\",\"aud\":[1,2}");
	tokens[NOBODY] = bg_mint_token(BG_MINT_KEY_A, NULL, "{\"iss\":\"https://nobody.example/\"}");
	tokens[ELSEWHERE] = bg_mint_token(BG_MINT_KEY_A, NULL, "{\"iss\":\"https://silent.example/\"}");
	tokens[EC] = strdup(BG_FIXED_EC_TOKEN);
	tokens[EC_FORGED] = forged(BG_FIXED_EC_TOKEN);
	tokens[ED] = strdup(BG_FIXED_ED_TOKEN);
	tokens[ED_FORGED] = forged(BG_FIXED_ED_TOKEN);

	proof_algs[0] = bg_alg_find(BG_SLICE("ES256"));
	proof_algs[1] = bg_alg_find(BG_SLICE("RS256"));
	proof_algs[2] = bg_alg_find(BG_SLICE("EdDSA"));
	bound_tokens();

	conditions[2].regex = regex("org_[a-z]+");
	alternatives[1].regex = regex("(staff|crew)-[0-9]{1,4}");
	impossible[0].regex = regex("com_.*");

	algs[0] = bg_alg_find(BG_SLICE("RS256"));
	algs[1] = bg_alg_find(BG_SLICE("ES256"));
	algs[2] = bg_alg_find(BG_SLICE("EdDSA"));
	issuers[0] = (struct bg_issuer){ .name = heard, .audiences = &audience, .n_audiences = 1,
		.algs = algs, .n_algs = N(algs) };
	issuers[1] = issuers[0];
	issuers[1].name = silent;
	ck_assert_int_eq(bg_keystore_new(&issuers[0].keys, &from_issuer, NULL), 0);
	ck_assert_int_eq(bg_keystore_new(&issuers[1].keys, &from_issuer, NULL), 0);
	bg_keystore_step(issuers[0].keys, (struct bg_now){ .mono_ms = 0 });	/* the second one never hears from its issuer */
}

static void
teardown(void)
{
	bg_keystore_free(issuers[0].keys);
	bg_keystore_free(issuers[1].keys);
	bg_regex_free(conditions[2].regex);
	bg_regex_free(alternatives[1].regex);
	bg_regex_free(impossible[0].regex);
	for (int i = 0; i < N(proofs); i++) {
		free(proofs[i]);
		proofs[i] = NULL;
	}
	for (int i = 0; i < N(tokens); i++) {
		free(tokens[i]);
		tokens[i] = NULL;
	}
	free(jwks);
}

/* ---- answers --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int         token;		/* -1: none */
	const char *uri;
	const char *variable;		/* one more, or NULL */
	int         status;
	unsigned    least;		/* allocations there must be at least, or this test tests nothing */
} requests[] = {
	{ "allowed", GOOD, "/plain", NULL, 200, 40 },
	{ "allowed, with policies of a location", GOOD, "/staff/1", "BEARERGATE_SCOPE=openid", 200, 40 },
	{ "allowed, with policies by name", GOOD, "/plain", "BEARERGATE_POLICY=staff either", 200, 40 },
	{ "allowed, ES256", EC, "/plain", "BEARERGATE_SCOPE=profile", 200, 15 },
	{ "allowed, EdDSA", ED, "/plain", "BEARERGATE_ANY_SCOPE=x profile", 200, 15 },
	{ "public", -1, "/public/a", NULL, 200, 3 },
	{ "optional, without a token", -1, "/maybe", NULL, 200, 3 },
	{ "optional, with one", GOOD, "/maybe", NULL, 200, 40 },
	{ "optional, with a forged one", FORGED, "/maybe", NULL, 401, 15 },
	{ "no token", -1, "/plain", NULL, 401, 3 },
	{ "another path than it seems", GOOD, "/public/%2e%2e%2fplain", NULL, 400, 3 },
	{ "a forged signature, RS256", FORGED, "/plain", NULL, 401, 15 },
	{ "a forged signature, ES256", EC_FORGED, "/plain", NULL, 401, 15 },
	{ "a forged signature, EdDSA", ED_FORGED, "/plain", NULL, 401, 10 },
	{ "an unknown key", STRANGER, "/plain", NULL, 401, 10 },
	{ "another audience", OTHER_API, "/plain", NULL, 401, 15 },
	{ "expired", OLD, "/plain", NULL, 401, 15 },
	{ "exp is null", NO_EXP, "/plain", NULL, 401, 15 },
	{ "a header that says alg twice", HEADER, "/plain", NULL, 401, 4 },
	{ "a payload that is no JSON", PAYLOAD, "/plain", NULL, 401, 10 },
	{ "another issuer", NOBODY, "/plain", NULL, 401, 10 },
	{ "an issuer without keys", ELSEWHERE, "/plain", NULL, 503, 10 },
	{ "scopes missing", GOOD, "/plain", "BEARERGATE_SCOPE=openid admin:all other:more", 403, 15 },
	{ "scopes of a policy missing", GOOD, "/plain", "BEARERGATE_POLICY=writers", 403, 15 },
	{ "permission missing", GOOD, "/plain", "BEARERGATE_POLICY=owners", 403, 15 },
	{ "claim rules not met", GOOD, "/plain", "BEARERGATE_POLICY=neither", 403, 15 },
	{ "a policy that does not exist", GOOD, "/plain", "BEARERGATE_POLICY=nope", 500, 3 },
	{ "DPoP, ES256", BOUND, "/mine/1", "HTTP_DPOP={0}", 200, 40 },
	{ "DPoP, by another key", BOUND, "/plain", "HTTP_DPOP={1}", 401, 40 },
	{ "DPoP, without a nonce", BOUND, "/plain", "HTTP_DPOP={2}", 401, 40 },
	{ "DPoP, for another URL", BOUND, "/public/../other", "HTTP_DPOP={0}", 400, 40 },
	{ "DPoP, with an old nonce", BOUND, "/plain", "HTTP_DPOP={3}", 401, 40 },
	{ "bound, as Bearer", BOUND, "/plain", NULL, 401, 15 },
	{ "a client certificate", BOUND_CERT, "/plain", "SSL_CLIENT_CERT={cert}", 200, 40 },
	{ "a variable that does not exist", GOOD, "/plain", "BEARERGATE_SCOPES=x", 500, 3 },
};

static void
ask(int i, enum bg_role role, struct bg_buf *out, int *rc)
{
	static char authorization[BG_TOKEN_MAX], uri[256], variable[BG_TOKEN_MAX];
	char *env[] = { TEXT("REQUEST_METHOD=GET"), TEXT("HTTP_HOST=api.example"), TEXT("REMOTE_ADDR=192.0.2.1"),
		TEXT("REQUEST_SCHEME=https"), uri, NULL, NULL, NULL };
	const char *in = requests[i].variable != NULL ? strchr(requests[i].variable, '{') : NULL;
	size_t n = 5;

	bg_format(uri, sizeof(uri), "REQUEST_URI=%s", requests[i].uri);
	if (requests[i].token >= 0) {
		bg_format(authorization, sizeof(authorization), "HTTP_AUTHORIZATION=%s %s",
		    in != NULL && strncmp(requests[i].variable, "HTTP_DPOP", 9) == 0 ? "DPoP" : "Bearer", tokens[requests[i].token]);
		env[n++] = authorization;
	}
	if (requests[i].variable != NULL) {
		bg_format(variable, sizeof(variable), "%.*s%s", in != NULL ? (int)(in - requests[i].variable) : 256, requests[i].variable,
		    in == NULL ? "" : in[1] == 'c' ? certificate : proofs[in[1] - '0']);
		env[n++] = variable;
	}
	*rc = bg_authorizer_answer(&gate, now, role, env, true, out, NULL);
}

static int
status_of(const struct bg_buf *out)
{
	const char *real = out->len > 0 ? strstr(out->data, "\r\nX-Bearergate-Status: ") : NULL;
	int status = 0;

	if (real != NULL)
		return sscanf(real, "\r\nX-Bearergate-Status: %d\r\n", &status) == 1 ? status : 0;
	return out->len > 0 && sscanf(out->data, "Status: %d ", &status) == 1 ? status : 0;
}

/*
 * The right answer, or a 500 or 503 that is whole: lines that end as they should, an empty one, and a body that ends,
 * or none where there was no memory even for that; or nothing at all, with which the connection is closed.
 */
static void
check_answer(const char *name, unsigned long n, int rc, const struct bg_buf *out, const struct bg_buf *right)
{
	const char *body;

	if (rc != 0) {
		ck_assert_msg(rc == -1 && out->len == 0, "%s, %lu: rc %d with %zu bytes", name, n, rc, out->len);
		return;
	}
	if (out->len == right->len && memcmp(out->data, right->data, right->len) == 0)
		return;
	/* an allow with a variable less, another refusal of the client, or half an answer */
	ck_assert_msg(status_of(out) >= 500, "%s, allocation %lu: instead of\n%.300s\n\nthere came\n%.300s", name, n, right->data,
	    out->data);
	ck_assert_msg((body = strstr(out->data, "\r\n\r\n")) != NULL && (body[4] == '\0' ||
	    (strncmp(body + 4, "{\"detail\":{", 11) == 0 && strcmp(out->data + out->len - 2, "}}") == 0)), "%s, allocation %lu: not whole: %s", name, n, out->data);
	ck_assert_msg(strncmp(out->data, "Status: 2", 9) != 0 && strstr(out->data, "Variable-") == NULL &&
	    strstr(out->data, "X-Auth-") == NULL, "%s, allocation %lu: %s", name, n, out->data);
}

START_TEST(an_answer_for_want_of_memory_is_never_an_allow_and_never_blames_the_client)
{
	int i = _i / 4, rc;
	enum bg_role role = _i % 4 < 2 ? BG_ROLE_AUTHORIZER : BG_ROLE_RESPONDER;
	bool all_after = _i % 2 != 0;
	unsigned long n, failed;
	struct bg_buf right, out;
	long before, openssl;

	bg_buf_init(&right, BG_ANSWER_MAX);
	bg_buf_init(&out, BG_ANSWER_MAX);
	ask(i, role, &right, &rc);
	ck_assert_msg(rc == 0 && status_of(&right) == requests[i].status, "%s: %d, %s", requests[i].name, rc, right.data);
	ask(i, role, &right, &rc);		/* once more, now that OpenSSL has all it keeps */
	before = bg_oom_live();
	openssl = bg_oom_live_openssl();
	for (n = 1; n < ENOUGH; n++) {
		bg_oom_arm(n, all_after);
		ask(i, role, &out, &rc);
		failed = bg_oom_disarm();
		check_answer(requests[i].name, n, rc, &out, &right);
		bg_buf_clear(&out);
		ck_assert_msg(bg_oom_live() == before, "%s, allocation %lu: %ld blocks left over", requests[i].name, n,
		    bg_oom_live() - before);
		if (failed == 0)
			break;
	}
	ck_assert_msg(n < ENOUGH && n > requests[i].least, "%s: %lu allocations", requests[i].name, n);
	/* nothing stays behind: the next client is served as the first one was */
	ask(i, role, &out, &rc);
	ck_assert_msg(rc == 0 && out.len == right.len && memcmp(out.data, right.data, right.len) == 0, "%s, afterwards: %s",
	    requests[i].name, out.data);
	ck_assert_msg(bg_oom_live_openssl() <= openssl + KEPT, "%s: OpenSSL keeps %ld blocks more", requests[i].name,
	    bg_oom_live_openssl() - openssl);
	bg_buf_clear(&out);
	bg_buf_clear(&right);
}
END_TEST

/* With a cache of tokens that is empty, or knows the token, or knows it without its parsed form: never another answer. */
START_TEST(a_cache_that_lacked_memory_answers_as_before)
{
	int i = _i / 6, state = _i / 2 % 3, rc;
	bool all_after = _i % 2 != 0;
	struct bg_buf right, out;
	unsigned long n, failed;
	long before;

	bg_buf_init(&right, BG_ANSWER_MAX);
	bg_buf_init(&out, BG_ANSWER_MAX);
	ask(i, BG_ROLE_AUTHORIZER, &right, &rc);
	ask(i, BG_ROLE_AUTHORIZER, &right, &rc);
	ck_assert_msg(rc == 0 && status_of(&right) == requests[i].status, "%s: %d, %s", requests[i].name, rc, right.data);
	before = bg_oom_live();
	for (n = 1; n < ENOUGH; n++) {
		ck_assert_int_eq(bg_verified_new(&gate.verified, 4, state == 2 ? 1 : 100000, NULL), 0);
		if (state > 0)
			ask(i, BG_ROLE_AUTHORIZER, &out, &rc);
		bg_oom_arm(n, all_after);
		ask(i, BG_ROLE_AUTHORIZER, &out, &rc);
		failed = bg_oom_disarm();
		check_answer(requests[i].name, n, rc, &out, &right);
		/* whatever was remembered of it meanwhile, the next answer is the right one */
		ask(i, BG_ROLE_AUTHORIZER, &out, &rc);
		ck_assert_msg(rc == 0 && out.len == right.len && memcmp(out.data, right.data, right.len) == 0, "%s, %lu, afterwards: %s",
		    requests[i].name, n, out.data);
		bg_buf_clear(&out);
		bg_verified_free(gate.verified);
		gate.verified = NULL;
		ck_assert_msg(bg_oom_live() == before, "%s, allocation %lu: %ld blocks left over", requests[i].name, n,
		    bg_oom_live() - before);
		if (failed == 0)
			break;
	}
	ck_assert_uint_lt(n, ENOUGH);
	bg_buf_clear(&right);
}
END_TEST

START_TEST(a_cache_is_made_whole_or_not_at_all)
{
	struct bg_error err = { 0 };
	struct bg_verified *cache;
	long before = bg_oom_live();
	unsigned long n;
	int rc = -1;

	for (n = 1; rc != 0; n++) {
		bg_oom_arm(n, false);
		rc = bg_verified_new(&cache, 5000, 1000, &err);
		(void)bg_oom_disarm();
		ck_assert((cache != NULL) == (rc == 0) && (rc == 0 || err.reason == BG_R_NO_MEMORY));
		bg_error_clear(&err);
	}
	bg_verified_free(cache);
	ck_assert_uint_gt(n, 30);
	ck_assert_int_eq(bg_oom_live(), before);
}
END_TEST

/* ---- what is read ---------------------------------------------------------------------------------------------- */

/*
 * What was read and is half there, or NULL.  Check allocates whenever it asserts, so what is seen while allocations fail
 * is kept here until they do not.
 */
static const char *half;

static void
expect(bool holds, const char *what)
{
	if (!holds && half == NULL)
		half = what;
}

/* Read one thing and give it back: 0 when the whole of it was there, -1 with err. */
typedef int reading(struct bg_error *err);

static int
read_jwks(struct bg_error *err)
{
	struct bg_jwks *set = NULL;
	int rc = bg_jwks_parse(bg_slice_str(jwks), "https://keys.example/set", &set, err);

	expect((rc == 0) == (set != NULL), "a set and a failure, or neither");
	if (rc == 0)
		expect(bg_jwks_count(set) == 3, "keys went missing");
	bg_jwks_unref(set);
	return rc;
}

static int
read_jwk(size_t which, struct bg_error *err)
{
	struct bg_slice text = bg_slice_str(jwks);
	char thumbprint[BG_THUMBPRINT_LEN + 1];
	struct bg_jwk *key = NULL;
	json_t *root;
	int rc;

	if (bg_json_object(text, BG_R_BAD_JWKS, &root, err) != 0)
		return -1;
	rc = bg_jwk_parse(json_array_get(json_object_get(root, "keys"), which), &key, err);
	expect((rc == 0) == (key != NULL), "a key and a failure, or neither");
	if (rc == 0) {
		expect(key->pkey != NULL && key->kid != NULL, "a key without its parts");
		rc = bg_jwk_thumbprint(key, thumbprint, err);
	}
	bg_jwk_free(key);
	json_decref(root);
	return rc;
}

static int
read_rsa(struct bg_error *err)
{
	return read_jwk(0, err);
}

static int
read_ec(struct bg_error *err)
{
	return read_jwk(1, err);
}

static int
read_okp(struct bg_error *err)
{
	return read_jwk(2, err);
}

static int
read_token(struct bg_error *err)
{
	struct bg_token *token = NULL;
	int rc = bg_token_parse(bg_slice_str(tokens[GOOD]), &token, err);

	expect((rc == 0) == (token != NULL), "a token and a failure, or neither");
	if (rc == 0)
		expect(json_object_size(token->payload) == 13, "claims went missing");
	bg_token_unref(token);
	return rc;
}

/* For all ways in which core/json.c takes memory: many chunks, blocks that have one of their own, and what is given back. */
static int
read_long_token(struct bg_error *err)
{
	static char text[20000], compact[30000];
	struct bg_token *token = NULL;
	size_t n, at;
	int rc;

	n = bg_format(text, sizeof(text), "{\"long\":\"%01200d\",\"list\":[", 7);
	for (int i = 0; i < 200; i++)
		n += bg_format(text + n, sizeof(text) - n, "%s\"%d\"", i > 0 ? "," : "", i);
	n += bg_format(text + n, sizeof(text) - n, "]");
	for (int i = 0; i < 40; i++)
		n += bg_format(text + n, sizeof(text) - n, ",\"name%d\":\"%.*s\"", i, 10 + 5 * i, text + 20);
	n += bg_format(text + n, sizeof(text) - n, "}");
	at = bg_format(compact, sizeof(compact), "eyJhbGciOiJSUzI1NiJ9.");
	bg_b64url_encode(compact + at, (const unsigned char *)text, n);
	bg_format(compact + at + BG_B64URL_ENCODED(n), 10, ".AAAA");
	rc = bg_token_parse(bg_slice_str(compact), &token, err);
	expect((rc == 0) == (token != NULL), "a token and a failure, or neither");
	if (rc == 0)
		expect(json_object_size(token->payload) == 42 && json_array_size(json_object_get(token->payload, "list")) == 200 &&
		    strlen(json_string_value(json_object_get(token->payload, "name39"))) == 205, "claims went missing");
	bg_token_unref(token);
	return rc;
}

static int
read_discovery(struct bg_error *err)
{
	struct bg_slice text;
	struct bg_buf uri;
	int rc;

	bg_buf_init(&uri, BG_URL_MAX);
	rc = bg_discovery_read(BG_SLICE("{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/set\",\"x\":[1,\"y\"]}"),
	    BG_SLICE(ISSUER), &uri, err);
	if (rc == 0 && (rc = bg_buf_finish(&uri, &text, err)) == 0)
		expect(strcmp(text.ptr, "https://keys.example/set") == 0, "another jwks_uri");
	bg_buf_clear(&uri);
	return rc;
}

static int
read_pem(struct bg_error *err)
{
	struct bg_jwks *set = NULL;
	int rc = bg_jwks_parse_file(BG_SLICE(PEM), "test", &set, err);

	expect((rc == 0) == (set != NULL), "a set and a failure, or neither");
	if (rc == 0)
		expect(bg_jwks_count(set) == 1 && bg_jwks_has_kid(set, BG_SLICE("x")), "the key went missing");
	bg_jwks_unref(set);
	return rc;
}

/* A record is written and read back as a whole, or not at all. */
static int
read_record(struct bg_error *err)
{
	static const struct bg_keyrecord_owner owner = { ISSUER, "" };
	struct bg_keyrecord record, back;
	struct bg_slice bytes;
	struct bg_buf out;
	int rc = -1;

	bg_keyrecord_init(&record);
	bg_keyrecord_init(&back);
	bg_buf_init(&out, 4096);
	bg_buf_put_str(&record.text, "{}");
	record.fetched = 1;
	if (record.text.failed) {
		bg_fail(err, BG_R_NO_MEMORY, "text");
		goto out;
	}
	bg_keyrecord_write(&record, &owner, &out);
	if (bg_buf_finish(&out, &bytes, err) != 0)
		goto out;
	rc = bg_keyrecord_read(bytes, &owner, &back, err);
	expect((rc == 0) == (back.text.len == 2), "a set and a failure, or neither");
out:
	bg_buf_clear(&out);
	bg_keyrecord_clear(&record);
	bg_keyrecord_clear(&back);
	return rc;
}

static int
read_regex(struct bg_error *err)
{
	struct bg_regex *made = NULL;
	int rc = bg_regex_new(&made, BG_SLICE("((a|b|c){1,40}x?)+[[:alpha:]\\p{Lu}]*(?<name>d(e(f)))\\k<name>"), err);

	expect((rc == 0) == (made != NULL), "a pattern and a failure, or neither");
	bg_regex_free(made);
	return rc;
}

/* The one of RFC 8705 appendix A: its thumbprint or none. */
static int
read_certificate(struct bg_error *err)
{
	char thumbprint[BG_THUMBPRINT_LEN + 1];
	int rc = bg_certificate_thumbprint(bg_slice_str(certificate), thumbprint, err);

	expect(strcmp(thumbprint, rc == 0 ? "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" : "") == 0, "another thumbprint");
	return rc;
}

/* A store that has had no keys has the whole set after a step, or none and says so; it never has a part of one. */
static int
step_first(struct bg_error *err)
{
	struct bg_keystore *store = NULL;
	struct bg_jwks *set = NULL;
	int rc = bg_keystore_new(&store, &from_issuer, err);

	expect((rc == 0) == (store != NULL), "a store and a failure, or neither");
	if (rc != 0)
		return -1;
	expect(bg_keystore_step(store, (struct bg_now){ .mono_ms = 0 }) >= 1, "no wait");
	rc = bg_keystore_keys(store, (struct bg_slice){ NULL, 0 }, 1, &set, err);
	if (rc == 0)
		expect(bg_jwks_count(set) == 3, "keys went missing");
	else
		expect(err->reason == BG_R_NO_KEYS, "no keys for another reason");	/* a 503: SR-45 */
	bg_jwks_unref(set);
	bg_keystore_free(store);
	return rc;
}

/* One that has keys has them after it too, however it went. */
static int
step_again(struct bg_error *err)
{
	static int64_t at;
	struct bg_jwks *set = NULL;
	int rc;

	at += 100000;		/* past the last one's lifetime, and all of them together within a day */
	(void)bg_keystore_step(issuers[0].keys, (struct bg_now){ .mono_ms = at });
	rc = bg_keystore_keys(issuers[0].keys, BG_SLICE("ec"), at, &set, err);
	expect(rc == 0, "the keys there were are gone");
	expect(rc != 0 || bg_jwks_count(set) == 3, "keys went missing");
	bg_jwks_unref(set);
	return 0;
}

/* What a wrapper hands over: all of it or nothing. */
static int
read_environment(struct bg_error *err)
{
	static char role[] = "ROLES";
	struct bg_export row = { .name = role };
	struct bg_exports ours = { .exports = &row, .n_exports = 1 };
	struct bg_setting setting = { "PATH_INFO", BG_SLICE_INIT("/more") };
	char *env[] = { TEXT("CLAIM_SUB=x"), TEXT("REDIRECT_BEARERGATE_SCOPE=a"), TEXT("PATH=/bin"), NULL };
	struct bg_environment environment = { .vars = NULL };
	char **vars = NULL;
	int rc = -1;

	if (bg_environment_read(env, true, &vars, err) == 0)
		rc = bg_environment_make(env, &ours, false, BG_SLICE("CLAIM_SUB\0bob\0ROLES\0\0"), &setting, 1, &environment, err);
	expect((rc == 0) == (environment.vars != NULL), "variables and a failure, or neither");
	if (rc == 0)
		expect(strcmp(environment.vars[0], "PATH=/bin") == 0 && strcmp(environment.vars[1], "CLAIM_SUB=bob") == 0, "others");
	bg_environment_clear(&environment);
	free(vars);
	return rc;
}

static int
read_script(struct bg_error *err)
{
	struct bg_script_options options = { .script = NULL, .root = "/usr" };
	char *argv[] = { TEXT("wrapper"), NULL };
	char *env[] = { TEXT("SCRIPT_FILENAME=/proc/self/exe"), TEXT("PATH_TRANSLATED=/usr/bin/env/a/b"), TEXT("PATH_INFO=/u/env/a/b"),
		TEXT("REDIRECT_URL=/u/env/a/b"), TEXT("REDIRECT_STATUS=200"), TEXT("DOCUMENT_ROOT=/srv"), NULL };
	struct bg_script script;
	bool missing;
	int rc = bg_script_open(&options, argv, env, &script, &missing, err);

	expect(!missing, "want of memory became a file that is not there");
	if (rc == 0)
		expect(strcmp(script.path, "/usr/bin/env") == 0 && script.n_settings == 4, "another script");
	bg_script_clear(&script);
	return rc;
}

static const struct { const char *name; reading *read; unsigned least; } readings[] = {
	{ "an environment", read_environment, 3 },
	{ "a script", read_script, 2 },
	{ "a key set", read_jwks, 100 },
	{ "an RSA key", read_rsa, 100 },
	{ "an EC key", read_ec, 100 },
	{ "an Ed25519 key", read_okp, 100 },
	{ "a token", read_token, 5 },
	{ "a token with more and longer claims", read_long_token, 20 },
	{ "a discovery document", read_discovery, 10 },
	{ "a key in PEM", read_pem, 30 },
	{ "a client certificate", read_certificate, 30 },
	{ "a record of keys", read_record, 3 },
	{ "a pattern", read_regex, 3 },
	{ "a key store without keys", step_first, 100 },
	{ "a key store with keys", step_again, 100 },
};

START_TEST(what_is_read_for_want_of_memory_is_whole_or_not_there_and_memory_is_the_reason)
{
	int i = _i / 2, rc;
	bool all_after = _i % 2 != 0;
	unsigned long n, failed;
	struct bg_error err = { 0 };
	long before, openssl;

	ck_reason(readings[i].read(&err), err, BG_R_OK, readings[i].name);
	ck_reason(readings[i].read(&err), err, BG_R_OK, readings[i].name);
	ck_assert_msg(half == NULL, "%s: %s", readings[i].name, half);
	before = bg_oom_live();
	openssl = bg_oom_live_openssl();
	for (n = 1; n < ENOUGH; n++) {
		bg_error_clear(&err);
		bg_oom_arm(n, all_after);
		rc = readings[i].read(&err);
		failed = bg_oom_disarm();
		ck_assert_msg(half == NULL, "%s, allocation %lu: %s", readings[i].name, n, half);
		ck_assert_msg(rc == 0 ? err.reason == BG_R_OK : rc == -1 && bg_reason_status(err.reason) >= 500 &&
		    err.reason != BG_R_BAD_JWKS && err.reason != BG_R_BAD_JWK && err.reason != BG_R_BAD_DISCOVERY &&
		    err.reason != BG_R_BAD_VARIABLE, "%s, allocation %lu: rc %d, %s: %s", readings[i].name, n, rc,
		    bg_reason_name(err.reason), err.detail);
		ck_assert_msg(bg_oom_live() == before, "%s, allocation %lu: %ld blocks left over", readings[i].name, n,
		    bg_oom_live() - before);
		if (failed == 0)
			break;
	}
	ck_assert_msg(n < ENOUGH && n > readings[i].least, "%s: %lu allocations", readings[i].name, n);
	bg_error_clear(&err);
	ck_reason(readings[i].read(&err), err, BG_R_OK, readings[i].name);
	ck_assert_msg(bg_oom_live_openssl() <= openssl + KEPT, "%s: OpenSSL keeps %ld blocks more", readings[i].name,
	    bg_oom_live_openssl() - openssl);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("oom");
	TCase *tc = tcase_create("oom");
	int null;

	/* the lines are made, and their allocations fail too; nobody needs to read them */
	if (bg_json_start() != 0 || bg_secret_start() != 0 || (null = open("/dev/null", O_WRONLY | O_CLOEXEC)) == -1)
		return EXIT_FAILURE;
	bg_oom_start();
	bg_log_open(null, BG_LOG_DEBUG);
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, an_answer_for_want_of_memory_is_never_an_allow_and_never_blames_the_client, 0, 4 * N(requests));
	tcase_add_loop_test(tc, a_cache_that_lacked_memory_answers_as_before, 0, 6 * N(requests));
	tcase_add_test(tc, a_cache_is_made_whole_or_not_at_all);
	tcase_add_loop_test(tc, what_is_read_for_want_of_memory_is_whole_or_not_there_and_memory_is_the_reason, 0, 2 * N(readings));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
