#include "core/gate.h"

#include <stdint.h>
#include <stdio.h>

#include "core/b64url.h"
#include "core/log.h"
#include "core/response.h"
#include "core/signature.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define NOW	1000
#define S(text)	{ .ptr = (text), .len = sizeof(text) - 1 }

/* Issuers whose keys are handed out by a fetcher: key A for every URL but the second one's, which has key B. */
static int
hand_out(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	enum bg_mint_key key = strstr(request->location, "b.example") != NULL ? BG_MINT_KEY_B : BG_MINT_KEY_A;
	char *jwks;

	(void)self;
	if (strstr(request->location, "down.example") != NULL)
		return bg_fail(err, BG_R_FETCH_FAILED, "down");
	jwks = bg_mint_jwks(&key, 1);
	meta->max_age = 600;
	bg_buf_put_str(body, jwks);
	free(jwks);
	return 0;
}

static const struct bg_fetcher fetcher = { hand_out };
static char *audiences[] = { (char[]){ "api" } };

static struct bg_issuer
issuer_of(char *name, char **sites, size_t n_sites, const struct bg_alg **algs)
{
	struct bg_keystore_options options = { .source = { .issuer = name, .jwks_uri = name, .fetcher = &fetcher,
		.fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600 }, .stale_if_error = 86400, .refresh_cooldown = 30 };
	struct bg_issuer issuer = { .name = name, .audiences = audiences, .n_audiences = 1, .algs = algs, .n_algs = 1,
		.sites = sites, .n_sites = n_sites };

	ck_assert_int_eq(bg_keystore_new(&issuer.keys, &options, NULL), 0);
	bg_keystore_step(issuer.keys, (struct bg_now){ .mono_ms = 0 });
	return issuer;
}

static char *brand1[] = { (char[]){ "brand1.example" } }, *brand2[] = { (char[]){ "brand2.example" }, (char[]){ "[2001:db8::1]" } };
static const struct bg_alg *algs[1];
static char names[][24] = { "https://a.example/", "https://b.example/", "https://c.example/", "https://down.example/" };
static struct bg_issuer issuers[4];
static struct bg_export exports[] = {
	{ .claim = (char[]){ "sub" }, .name = (char[]){ "CLAIM_SUB" } }, { .claim = (char[]){ "/a/b" }, .name = (char[]){ "DEEP" } },
};
static char *read_scope[] = { (char[]){ "read" } };
static struct bg_rule reads[] = { { .kind = BG_RULE_SCOPE, .values = read_scope, .n_values = 1 } };
static struct bg_location locations[] = {
	{ .path = (char[]){ "/api" }, .rule = { .kind = BG_RULE_ALL } },
	{ .path = (char[]){ "/api/public" }, .says_auth = true, .auth = BG_AUTH_NONE, .rule = { .kind = BG_RULE_ALL } },
	{ .path = (char[]){ "/api/maybe" }, .says_auth = true, .auth = BG_AUTH_OPTIONAL, .rule = { .kind = BG_RULE_ALL } },
	{ .path = (char[]){ "/api/read" }, .says_auth = true, .auth = BG_AUTH_OPTIONAL,
	    .rule = { .kind = BG_RULE_ALL, .rules = reads, .n_rules = 1 } },
};
static struct bg_gate gate = {
	.issuers = issuers, .policies = { .locations = locations, .n_locations = N(locations), .preflight = true },
	.exports = { .exports = exports, .n_exports = N(exports), .user_claim = (char[]){ "sub" }, .json = true },
	.dpop = { .mode = BG_DPOP_DISABLED },
	.answers = { .realm = (char[]){ "api" }, .missing_status = 401 },
};

static void
setup(void)
{
	bg_log_open(-1, BG_LOG_ERROR);
	algs[0] = bg_alg_find(BG_SLICE("RS256"));
	issuers[0] = issuer_of(names[0], NULL, 0, algs);
	issuers[1] = issuer_of(names[1], brand1, 1, algs);
	issuers[2] = issuer_of(names[2], brand2, 2, algs);
	issuers[3] = issuer_of(names[3], NULL, 0, algs);
	gate.n_issuers = 4;
}

static void
teardown(void)
{
	for (size_t i = 0; i < gate.n_issuers; i++)
		bg_keystore_free(issuers[i].keys);
}

/* "Bearer " and a token of iss, signed by key; the caller's to free. */
static char *
header_of(enum bg_mint_key key, const char *iss, int64_t exp, const char *more)
{
	char claims[300], *token, *header;

	bg_format(claims, sizeof(claims), "{\"iss\":\"%s\",\"sub\":\"me\",\"aud\":\"api\",\"iat\":1,\"exp\":%d%s}", iss, (int)exp, more);
	token = bg_mint_token(key, NULL, claims);
	header = malloc(strlen(token) + sizeof("Bearer "));
	ck_assert_ptr_nonnull(header);
	sprintf(header, "Bearer %s", token);
	free(token);
	return header;
}

enum sent { NOTHING, EMPTY, BLANK, GOOD, EXPIRED, FORGED, BASIC, GARBAGE };

static char *
header_sent(enum sent sent)
{
	char *header;

	switch (sent) {
	case NOTHING: return NULL;
	case EMPTY:   return strdup("");
	case BLANK:   return strdup(" \t ");
	case GOOD:    return header_of(BG_MINT_KEY_A, "https://a.example/", NOW + 60, "");
	case EXPIRED: return header_of(BG_MINT_KEY_A, "https://a.example/", NOW - 60, "");
	case BASIC:   return strdup("Basic dXNlcjpwdw==");
	case GARBAGE: return strdup("Bearer x");
	case FORGED:
		header = header_of(BG_MINT_KEY_A, "https://a.example/", NOW + 60, "");
		*(strrchr(header, '.') + 1) ^= 1;
		return header;
	}
	return NULL;
}

/* What each header comes to under each auth: the reason, and for an allow whether somebody is known. */
static const struct { enum sent sent; const char *uri; enum bg_reason want; bool anonymous; } modes[] = {
	{ NOTHING, "/api", BG_R_NO_TOKEN, false }, { GOOD, "/api", BG_R_OK, false }, { EXPIRED, "/api", BG_R_EXPIRED, false },
	{ FORGED, "/api", BG_R_BAD_SIGNATURE, false }, { BASIC, "/api", BG_R_OTHER_SCHEME, false },
	{ NOTHING, "/elsewhere", BG_R_NO_TOKEN, false }, { GOOD, "/elsewhere", BG_R_OK, false },
	/* optional: nothing sent passes, and nothing else that is not good */
	{ NOTHING, "/api/maybe", BG_R_OK, true }, { EMPTY, "/api/maybe", BG_R_OK, true }, { BLANK, "/api/maybe", BG_R_OK, true },
	{ GOOD, "/api/maybe", BG_R_OK, false }, { EXPIRED, "/api/maybe", BG_R_EXPIRED, false },
	{ FORGED, "/api/maybe", BG_R_BAD_SIGNATURE, false }, { BASIC, "/api/maybe", BG_R_OTHER_SCHEME, false },
	{ GARBAGE, "/api/maybe", BG_R_BAD_TOKEN, false },
	/* none: nobody is known, whatever was sent */
	{ NOTHING, "/api/public", BG_R_OK, true }, { GOOD, "/api/public", BG_R_OK, true }, { EXPIRED, "/api/public", BG_R_OK, true },
	{ FORGED, "/api/public", BG_R_OK, true }, { GARBAGE, "/api/public", BG_R_OK, true },
	/* a demand beside optional */
	{ NOTHING, "/api/read", BG_R_NO_TOKEN, false }, { GOOD, "/api/read", BG_R_NO_SCOPE, false },
	/* SR-70: no way round */
	{ NOTHING, "/api/public/../x", BG_R_NO_TOKEN, false }, { NOTHING, "/api/public/%2e%2e/x", BG_R_NO_TOKEN, false },
	{ NOTHING, "/api/public/..%2fx", BG_R_BAD_REQUEST, false }, { NOTHING, "/api/public;/../x", BG_R_BAD_REQUEST, false },
	{ NOTHING, "/api/publicx", BG_R_NO_TOKEN, false }, { NOTHING, "/api?/api/public", BG_R_NO_TOKEN, false },
	{ NOTHING, "/api//public", BG_R_OK, true }, { NOTHING, "/api/x//../public", BG_R_BAD_REQUEST, false },
	{ NOTHING, "", BG_R_BAD_REQUEST, false },
};

START_TEST(auth_says_who_passes_without_a_token)
{
	char *header = header_sent(modes[_i].sent);
	struct bg_request request = { .method = S("GET"), .uri = bg_slice_str(modes[_i].uri),
		.host = S("other.example"), .authorization = bg_slice_str(header) };
	struct bg_now now = { .wall = NOW };
	struct bg_decision decision;
	struct bg_response response;
	struct bg_slice rest, name, value;
	int pairs = 0;

	bg_gate_decide(&gate, &request, now, &decision);
	ck_assert_msg((decision.verdict == BG_ALLOW) == (modes[_i].want == BG_R_OK) && decision.error.reason == modes[_i].want,
	    "%s: %s (%s)", modes[_i].uri, bg_reason_name(decision.error.reason), decision.error.detail);
	ck_assert_msg(decision.anonymous == modes[_i].anonymous, "%s", modes[_i].uri);
	bg_response_init(&response);
	bg_response_make(&gate, &decision, &response);
	if (decision.anonymous) {
		/* SR-84: every name there is, and each of them empty */
		rest = (struct bg_slice){ response.variables.data, response.variables.len };
		for (; bg_export_next(&rest, &name, &value); pairs++)
			ck_assert_msg(value.len == 0, "%s: %.*s", modes[_i].uri, (int)name.len, name.ptr);
		ck_assert_int_eq(pairs, 5);
		ck_assert_ptr_null(decision.claims.all);
		ck_assert_ptr_null(decision.token);
	}
	bg_response_clear(&response);
	bg_decision_clear(&decision);
	free(header);
}
END_TEST

START_TEST(two_headers_are_refused_where_a_token_is_optional)	/* SR-73 */
{
	struct bg_request request = { .method = S("GET"), .uri = S("/api/maybe"), .two_authorizations = true };
	struct bg_now now = { .wall = NOW };
	struct bg_decision decision;

	bg_gate_decide(&gate, &request, now, &decision);
	ck_assert_int_eq(decision.verdict, BG_DENY);
	ck_assert_int_eq(decision.error.reason, BG_R_TWO_TOKENS);
	bg_decision_clear(&decision);
}
END_TEST

START_TEST(a_true_preflight_passes_and_a_plain_options_does_not)
{
	static const struct { struct bg_request request; enum bg_reason want; } rows[] = {
		{ { .method = S("OPTIONS"), .uri = S("/api"), .origin = S("https://app.example"), .preflight_method = S("PUT") }, BG_R_OK },
		{ { .method = S("OPTIONS"), .uri = S("/api/read"), .origin = S("https://app.example"), .preflight_method = S("PUT") }, BG_R_OK },
		{ { .method = S("OPTIONS"), .uri = S("/api") }, BG_R_NO_TOKEN },
		{ { .method = S("OPTIONS"), .uri = S("/api"), .origin = S("https://app.example") }, BG_R_NO_TOKEN },
		{ { .method = S("GET"), .uri = S("/api"), .origin = S("https://app.example"), .preflight_method = S("PUT") }, BG_R_NO_TOKEN },
		{ { .method = S("OPTIONS"), .uri = S("/api"), .origin = S("https://app.example"), .preflight_method = S("PUT"),
		    .authorization = S("Bearer x") }, BG_R_BAD_TOKEN },
		{ { .method = S("OPTIONS"), .uri = S("/api/%2f"), .origin = S("https://app.example"), .preflight_method = S("PUT") },
		    BG_R_BAD_REQUEST },
		{ { .method = S("OPTIONS"), .uri = S("/api"), .origin = S("https://app.example"), .preflight_method = S("PUT"),
		    .want_policy = S("nobody") }, BG_R_BAD_VARIABLE },
	};
	struct bg_now now = { .wall = NOW };

	for (int i = 0; i < N(rows); i++) {
		struct bg_decision decision;

		bg_gate_decide(&gate, &rows[i].request, now, &decision);
		ck_assert_msg(decision.error.reason == rows[i].want && (decision.verdict == BG_ALLOW) == (rows[i].want == BG_R_OK), "%d: %s", i,
		    bg_reason_name(decision.error.reason));
		ck_assert_int_eq(decision.anonymous, rows[i].want == BG_R_OK);
		bg_decision_clear(&decision);
	}
}
END_TEST

/* a speaks for every host that is no one's site, b for brand1, c for brand2; b's key is B. */
static const struct { const char *host, *iss; enum bg_mint_key key; enum bg_reason want; const char *detail; } sites[] = {
	{ "other.example", "https://a.example/", BG_MINT_KEY_A, BG_R_OK, "" },
	{ "brand1.example", "https://b.example/", BG_MINT_KEY_B, BG_R_OK, "" },
	{ "BRAND1.Example", "https://b.example/", BG_MINT_KEY_B, BG_R_OK, "" },
	{ "brand1.example:8443", "https://b.example/", BG_MINT_KEY_B, BG_R_OK, "" },
	{ "brand1.example.", "https://b.example/", BG_MINT_KEY_B, BG_R_OK, "" },
	{ "brand1.example.:80", "https://b.example/", BG_MINT_KEY_B, BG_R_OK, "" },
	{ "brand1.example:", "https://b.example/", BG_MINT_KEY_B, BG_R_OK, "" },
	{ "brand2.example", "https://c.example/", BG_MINT_KEY_A, BG_R_OK, "" },
	{ "[2001:db8::1]", "https://c.example/", BG_MINT_KEY_A, BG_R_OK, "" },
	{ "[2001:DB8::1]:443", "https://c.example/", BG_MINT_KEY_A, BG_R_OK, "" },
	/* a site believes its own issuers alone, and they are believed there alone */
	{ "brand1.example", "https://a.example/", BG_MINT_KEY_A, BG_R_WRONG_ISSUER, "expected \"https://b.example/\"" },
	{ "brand1.example:80", "https://a.example/", BG_MINT_KEY_A, BG_R_WRONG_ISSUER, "expected" },
	{ "brand1.example", "https://c.example/", BG_MINT_KEY_A, BG_R_WRONG_ISSUER, "expected" },
	{ "brand2.example", "https://b.example/", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "expected" },
	{ "other.example", "https://b.example/", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "expected" },
	/* a host that is none does not fall out of its site among the issuers of no site */
	{ NULL, "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	{ NULL, "https://b.example/", BG_MINT_KEY_B, BG_R_BAD_REQUEST, "no host name" },
	{ "", "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	{ ":80", "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	{ "brand1.example..", "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	{ "brand1.example:8x", "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	{ " brand1.example", "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	{ "brand1%2eexample", "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	{ "brand1.example,other.example", "https://a.example/", BG_MINT_KEY_A, BG_R_BAD_REQUEST, "no host name" },
	/* SR-48: whole names */
	{ "evil-brand1.example", "https://b.example/", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "expected" },
	{ "www.brand1.example", "https://b.example/", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "expected" },
	{ "brand1.example.evil", "https://b.example/", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "expected" },
	{ "brand1.exampl", "https://b.example/", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "expected" },
	{ "brand1.example/", "https://b.example/", BG_MINT_KEY_B, BG_R_BAD_REQUEST, "no host name" },
	{ "brand1.example:80:80", "https://b.example/", BG_MINT_KEY_B, BG_R_BAD_REQUEST, "no host name" },
	{ "x@brand1.example", "https://b.example/", BG_MINT_KEY_B, BG_R_BAD_REQUEST, "no host name" },
	/* the issuer is told by its name, the key by the issuer */
	{ "brand1.example", "https://b.example/", BG_MINT_KEY_A, BG_R_UNKNOWN_KEY, "kid" },
	{ "other.example", "https://a.example/", BG_MINT_KEY_B, BG_R_UNKNOWN_KEY, "kid" },
	{ "other.example", "https://a.example", BG_MINT_KEY_A, BG_R_WRONG_ISSUER, "slash" },			/* SR-43 */
	{ "brand1.example", "https://b.example", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "slash" },
	{ "other.example", "https://b.example", BG_MINT_KEY_B, BG_R_WRONG_ISSUER, "another tenant" },
	{ "other.example", "https://down.example/", BG_MINT_KEY_A, BG_R_NO_KEYS, "" },			/* SR-45 */
};

START_TEST(a_site_believes_its_own_issuers)	/* SR-42, SR-46, SR-48 */
{
	char *header = header_of(sites[_i].key, sites[_i].iss, NOW + 60, "");
	struct bg_request request = { .method = S("GET"), .uri = S("/x"), .host = bg_slice_str(sites[_i].host),
		.authorization = bg_slice_str(header) };
	struct bg_now now = { .wall = NOW };
	struct bg_decision decision;

	bg_gate_decide(&gate, &request, now, &decision);
	ck_assert_msg(decision.error.reason == sites[_i].want && (decision.verdict == BG_ALLOW) == (sites[_i].want == BG_R_OK),
	    "%s, %s: %s (%s)", sites[_i].host, sites[_i].iss, bg_reason_name(decision.error.reason), decision.error.detail);
	ck_assert_msg(strstr(decision.error.detail, sites[_i].detail) != NULL, "%s", decision.error.detail);
	ck_assert_int_eq(decision.retry_after > 0, sites[_i].want == BG_R_NO_KEYS);
	bg_decision_clear(&decision);
	free(header);
}
END_TEST

START_TEST(an_issuer_that_differs_by_a_slash_hides_no_other)	/* SR-43 */
{
	struct bg_issuer two[] = { { .name = (char[]){ "https://a.example/" } }, { .name = (char[]){ "https://a.example" } } };
	struct bg_token token = { .payload = json_pack("{s:s}", "iss", "https://a.example") };
	const struct bg_issuer *found;
	struct bg_error err = { 0 };

	ck_reason(bg_signature_issuer(two, 2, BG_SLICE("x"), &token, &found, &err), err, BG_R_OK, "the second");
	ck_assert_ptr_eq(found, &two[1]);
	json_decref(token.payload);
}
END_TEST

START_TEST(where_all_issuers_have_sites_other_hosts_have_none)
{
	struct bg_issuer one = { .name = (char[]){ "https://b.example/" }, .sites = brand1, .n_sites = 1 };
	struct bg_token token = { .payload = json_pack("{s:s}", "iss", "https://b.example/") };
	const struct bg_issuer *found;
	struct bg_error err = { 0 };

	ck_reason(bg_signature_issuer(&one, 1, BG_SLICE("x"), &token, &found, &err), err, BG_R_WRONG_ISSUER, "no site");
	ck_assert_ptr_null(found);
	ck_assert_ptr_nonnull(strstr(err.detail, "no issuer is configured for host \"x\""));
	json_decref(token.payload);
}
END_TEST

/* A store that counts, and says what it is told to. */
static struct counting { struct bg_replay replay; enum bg_reason says; int asked; } counting;

static int
count_spending(struct bg_replay *replay, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	(void)replay, (void)spending, (void)now;
	counting.asked++;
	*retry_after = bg_reason_status(counting.says) == 503 ? 9 : 0;
	return counting.says == BG_R_OK ? 0 : bg_fail(err, counting.says, "as told");
}

/* Only a request that would be let in otherwise costs its proof.  SR-63, SR-65; RFC 9449 section 11.1. */
static const struct {
	const char    *name, *uri, *token_more, *proof;
	enum bg_reason says, want;
	int            asked;
	bool           nonces, nonce;
} spent[] = {
	{ "good", "/api", "", "{}", BG_R_OK, BG_R_OK, 1, false, false },
	{ "used before", "/api", "", "{}", BG_R_PROOF_SPENT, BG_R_PROOF_SPENT, 1, false, false },
	{ "no store", "/api", "", "{}", BG_R_STORE_DOWN, BG_R_STORE_DOWN, 1, false, false },
	{ "refused by policy", "/api/read", "", "{\"htu\":\"http://h.example/api/read\"}", BG_R_OK, BG_R_NO_SCOPE, 0, false, false },
	{ "a proof for another method", "/api", "", "{\"htm\":\"PUT\"}", BG_R_OK, BG_R_PROOF_METHOD, 0, false, false },
	{ "public", "/api/public", "", "{}", BG_R_OK, BG_R_OK, 0, false, false },
	{ "optional", "/api/maybe", "", "{\"htu\":\"http://h.example/api/maybe\"}", BG_R_OK, BG_R_OK, 1, false, false },
	{ "optional, and wrong", "/api/maybe", "", "{}", BG_R_OK, BG_R_PROOF_URL, 0, false, false },
	{ "without the nonce that is wanted", "/api", "", "{}", BG_R_OK, BG_R_NO_NONCE, 0, true, true },
	{ "with one that is none", "/api", "", "{\"nonce\":\"x\"}", BG_R_OK, BG_R_OLD_NONCE, 0, true, true },
	{ "with the one of now", "/api", "", "{\"nonce\":\"NOW\"}", BG_R_OK, BG_R_OK, 1, true, false },
	{ "with the one before", "/api", "", "{\"nonce\":\"OLD\"}", BG_R_OK, BG_R_OK, 1, true, true },
	{ "with the one before, refused", "/api", "", "{\"nonce\":\"OLD\"}", BG_R_PROOF_SPENT, BG_R_PROOF_SPENT, 1, true, false },
};

START_TEST(a_proof_is_spent_last)
{
	static unsigned char key[BG_NONCE_KEY_MIN] = "key";
	const struct bg_alg *es256[] = { bg_alg_find(BG_SLICE("ES256")) };
	char claims[400], cnf[100], nonce[BG_NONCE_LEN + 1], ath[64] = "", *header, *proof, *at;
	unsigned char hash[BG_SHA256_LEN];
	struct bg_gate own = gate;
	struct bg_decision decision;
	struct bg_request request = { .method = S("GET"), .uri = bg_slice_str(spent[_i].uri), .host = S("h.example") };
	json_t *base, *more;

	own.dpop = (struct bg_dpop){ .mode = BG_DPOP_ALLOWED, .algs = es256, .n_algs = 1, .iat_offset = 300, .iat_leeway = 30,
		.replay = &counting.replay };
	counting = (struct counting){ .replay = { .spend = count_spending }, .says = spent[_i].says };
	if (spent[_i].nonces)
		own.dpop.nonces = (struct bg_nonces){ .key = key, .key_len = sizeof(key), .window = 100 };
	bg_format(cnf, sizeof(cnf), ",\"cnf\":{\"jkt\":\"%s\"}%s", bg_mint_jkt(BG_MINT_KEY_P256), spent[_i].token_more);
	header = header_of(BG_MINT_KEY_A, "https://a.example/", NOW + 60, cnf);
	memcpy(header, "DPoP   ", 7);
	ck_assert_int_eq(bg_sha256(bg_slice_str(header + 7), hash, NULL), 0);
	bg_b64url_encode(ath, hash, sizeof(hash));
	bg_format(claims, sizeof(claims), "{\"jti\":\"j\",\"htm\":\"GET\",\"htu\":\"http://h.example/api\",\"iat\":%d,\"ath\":\"%s\"}", NOW, ath);
	base = json_loads(claims, 0, NULL);
	bg_format(claims, sizeof(claims), "%s", spent[_i].proof);
	if ((at = strstr(claims, "NOW")) != NULL || (at = strstr(claims, "OLD")) != NULL) {
		ck_assert_int_eq(bg_nonce_make(&own.dpop.nonces, *at == 'N' ? NOW : NOW - 100, nonce, NULL), 0);
		bg_format(claims, sizeof(claims), "{\"nonce\":\"%s\"}", nonce);
	}
	more = json_loads(claims, 0, NULL);
	json_object_update(base, more);
	at = json_dumps(base, 0);
	proof = bg_mint_proof(BG_MINT_KEY_P256, NULL, NULL, at);
	request.authorization = bg_slice_str(header);
	request.dpop = bg_slice_str(proof);

	bg_gate_decide(&own, &request, (struct bg_now){ .wall = NOW }, &decision);
	ck_assert_msg(decision.error.reason == spent[_i].want && (decision.verdict == BG_ALLOW) == (spent[_i].want == BG_R_OK), "%s: %s (%s)",
	    spent[_i].name, bg_reason_name(decision.error.reason), decision.error.detail);
	ck_assert_msg(counting.asked == spent[_i].asked, "%s: asked %d times", spent[_i].name, counting.asked);
	ck_assert_int_eq(decision.retry_after, bg_reason_status(spent[_i].want) == 503 ? 9 : 0);
	ck_assert_msg((decision.nonce[0] != '\0') == spent[_i].nonce, "%s: nonce \"%s\"", spent[_i].name, decision.nonce);
	if (spent[_i].nonce) {
		ck_assert_int_eq(bg_nonce_make(&own.dpop.nonces, NOW, nonce, NULL), 0);
		ck_assert_str_eq(decision.nonce, nonce);
	}
	ck_assert_int_eq(decision.scheme, strcmp(spent[_i].name, "public") == 0 ? BG_SCHEME_NONE : BG_SCHEME_DPOP);
	bg_decision_clear(&decision);
	free(proof);
	free(at);
	json_decref(more);
	json_decref(base);
	free(header);
}
END_TEST

static const struct bg_replay *took, *took_from;

static bool
take_all(struct bg_replay *replay, const struct bg_replay *old)
{
	took = replay;
	took_from = old;
	return true;
}

static bool
take_nothing(struct bg_replay *replay, const struct bg_replay *old)
{
	(void)replay, (void)old;
	return false;
}

/* Else a reload would forget what was spent, and a proof would pass twice.  SR-63. */
START_TEST(a_reload_hands_the_replay_store_on)
{
	struct bg_replay before = { .take_over = take_all }, same = { .take_over = take_all }, other = { .take_over = take_nothing };
	const struct { const char *name; struct bg_dpop old, new; int64_t not_before; } rows[] = {
		{ "the same store", { .replay = &before, .iat_offset = 300, .iat_leeway = 30 },
		    { .replay = &same, .iat_offset = 300, .iat_leeway = 30 }, 0 },
		{ "the same, after another one", { .replay = &before, .iat_offset = 300, .iat_leeway = 30, .not_before = 777 },
		    { .replay = &same, .iat_offset = 300, .iat_leeway = 30 }, 777 },
		{ "another store", { .replay = &before, .iat_offset = 300, .iat_leeway = 30 },
		    { .replay = &other, .iat_offset = 300, .iat_leeway = 30 }, NOW + 30 },
		{ "another, less leeway", { .replay = &before, .iat_offset = 300, .iat_leeway = 30 },
		    { .replay = &other, .iat_offset = 300, .iat_leeway = 5 }, NOW + 30 },
		{ "shorter lives", { .replay = &before, .iat_offset = 300, .iat_leeway = 30 },
		    { .replay = &same, .iat_offset = 10, .iat_leeway = 0 }, 0 },
		{ "a longer offset", { .replay = &before, .iat_offset = 300, .iat_leeway = 30 },
		    { .replay = &same, .iat_offset = 301, .iat_leeway = 30 }, NOW + 30 },
		{ "a longer leeway", { .replay = &before, .iat_offset = 300, .iat_leeway = 30 },
		    { .replay = &same, .iat_offset = 300, .iat_leeway = 31 }, NOW + 31 },
		{ "DPoP was off", { .mode = BG_DPOP_DISABLED }, { .replay = &same, .iat_offset = 300, .iat_leeway = 30 }, NOW + 30 },
		{ "DPoP is off now", { .replay = &before, .iat_offset = 300, .iat_leeway = 30 }, { .mode = BG_DPOP_DISABLED }, 0 },
	};

	for (int i = 0; i < N(rows); i++) {
		struct bg_gate old = { .dpop = rows[i].old }, new = { .dpop = rows[i].new };
		bool asked = rows[i].new.replay == &same && rows[i].old.replay != NULL;

		took = took_from = NULL;
		ck_assert_int_eq(bg_gate_take_over(&new, &old, (struct bg_now){ .wall = NOW }, NULL), 0);
		ck_assert_msg(new.dpop.not_before == rows[i].not_before, "%s: %d", rows[i].name, (int)new.dpop.not_before);
		ck_assert_msg(took == (asked ? &same : NULL) && took_from == (asked ? &before : NULL), "%s", rows[i].name);

		/* the same between processes, and nothing that was refused is let in by it */
		for (int64_t own = 0; own <= NOW + 1000; own += NOW + 1000) {
			new.dpop = rows[i].new;
			new.dpop.not_before = own;
			bg_gate_take_over_spent(&new, &old, (struct bg_now){ .wall = NOW });
			ck_assert_msg(new.dpop.not_before == (own > rows[i].not_before ? own : rows[i].not_before), "%s: %d",
			    rows[i].name, (int)new.dpop.not_before);
		}
	}
}
END_TEST

START_TEST(a_gate_that_was_only_cleared_denies)
{
	char *header = header_sent(GOOD);
	struct bg_request requests[] = { { .authorization = bg_slice_str(header) }, { .uri = S("/") },
		{ .method = S("OPTIONS"), .origin = S("https://a"), .preflight_method = S("PUT") } };
	static const enum bg_reason want[] = { BG_R_OTHER_SCHEME, BG_R_NO_TOKEN, BG_R_NO_TOKEN };	/* the scheme, of DPoP alone */
	struct bg_gate cleared = { 0 };
	struct bg_now now = { .wall = NOW };

	for (int i = 0; i < N(requests); i++) {
		struct bg_decision decision;

		bg_gate_decide(&cleared, &requests[i], now, &decision);
		ck_assert_int_eq(decision.verdict, BG_DENY);
		ck_assert_int_eq(decision.error.reason, want[i]);
		bg_decision_clear(&decision);
	}
	free(header);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("gate");
	TCase *tc = tcase_create("gate");

	if (bg_json_start() != 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, auth_says_who_passes_without_a_token, 0, N(modes));
	tcase_add_test(tc, two_headers_are_refused_where_a_token_is_optional);
	tcase_add_test(tc, a_true_preflight_passes_and_a_plain_options_does_not);
	tcase_add_loop_test(tc, a_site_believes_its_own_issuers, 0, N(sites));
	tcase_add_test(tc, an_issuer_that_differs_by_a_slash_hides_no_other);
	tcase_add_test(tc, where_all_issuers_have_sites_other_hosts_have_none);
	tcase_add_loop_test(tc, a_proof_is_spent_last, 0, N(spent));
	tcase_add_test(tc, a_reload_hands_the_replay_store_on);
	tcase_add_test(tc, a_gate_that_was_only_cleared_denies);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
