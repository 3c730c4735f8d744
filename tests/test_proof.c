#include "core/proof.h"

#include <stdio.h>

#include "core/b64url.h"
#include "core/jwk.h"
#include "core/limits.h"
#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define NOW	INT64_C(1700000000)
#define TOKEN	"the.access.token"
#define HTU	"https://api.example/messages"

static char ath[BG_B64URL_ENCODED(BG_SHA256_LEN) + 1];
static const struct bg_alg *algs[8];
static struct bg_dpop dpop = { .mode = BG_DPOP_ALLOWED, .algs = algs, .iat_offset = 300, .iat_leeway = 30 };
static const struct bg_request request = {
	.method = BG_SLICE_INIT("GET"), .uri = BG_SLICE_INIT("/messages?page=2"), .scheme = BG_SLICE_INIT("https"),
	.host = BG_SLICE_INIT("api.example"), .remote_addr = BG_SLICE_INIT("192.0.2.1"), .remote_port = BG_SLICE_INIT("4711"),
};

static void
setup(void)
{
	static const char *const names[] = { "ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA", "Ed25519" };
	unsigned char hash[BG_SHA256_LEN];

	bg_log_open(-1, BG_LOG_ERROR);
	ck_assert_int_eq(bg_sha256(BG_SLICE(TOKEN), hash, NULL), 0);
	bg_b64url_encode(ath, hash, sizeof(hash));
	for (size_t i = 0; i < N(names); i++)
		ck_assert_ptr_nonnull(algs[i] = bg_alg_find(bg_slice_str(names[i])));
	dpop.n_algs = N(names);
	dpop.nonces = (struct bg_nonces){ .key = NULL };
	dpop.mode = BG_DPOP_ALLOWED;
}

/* Members put over those of a proof that is good; null takes one away. */
static char *
proof_of(enum bg_mint_key key, const char *alg, const char *header, const char *claims)
{
	char usual[400], *all, *proof;
	json_t *base, *more;

	bg_format(usual, sizeof(usual), "{\"jti\":\"id-1\",\"htm\":\"GET\",\"htu\":\"%s\",\"iat\":%d,\"ath\":\"%s\"}", HTU, (int)NOW, ath);
	base = json_loads(usual, 0, NULL);
	more = json_loads(claims != NULL ? claims : "{}", 0, NULL);
	ck_assert_msg(base != NULL && more != NULL, "%s", claims);
	json_object_update(base, more);
	all = json_dumps(base, JSON_COMPACT);
	proof = bg_mint_proof(key, alg, header, all);
	free(all);
	json_decref(more);
	json_decref(base);
	return proof;
}

static json_t *
cnf_of(const char *name, const char *thumbprint)
{
	return json_pack("{s:{s:s}}", "cnf", name, thumbprint);
}

static int
check(const struct bg_request *of, enum bg_scheme scheme, const char *proof, const json_t *all, struct bg_proof *out,
    struct bg_error *err)
{
	struct bg_credentials cred = { .scheme = scheme, .token = BG_SLICE_INIT(TOKEN), .proof = bg_slice_str(proof) };
	struct bg_claims claims = { .all = all, .cnf = json_object_get(all, "cnf") };

	*out = (struct bg_proof){ .spend = true };
	return bg_proof_check(&dpop, of, &cred, &claims, (struct bg_now){ .wall = NOW }, out, err);
}

/* RFC 9449 section 4.3: a row for each way each check can fail, and what must pass. */
static const struct {
	const char      *name;
	enum bg_mint_key key;
	const char      *alg;
	const char      *header;
	const char      *claims;
	enum bg_reason   want;
	const char      *detail;
} cases[] = {
	{ "as it should be", BG_MINT_KEY_P256, NULL, NULL, NULL, BG_R_OK, NULL },
	{ "by ES384", BG_MINT_KEY_P384, NULL, NULL, NULL, BG_R_OK, NULL },
	{ "by ES512", BG_MINT_KEY_P521, NULL, NULL, NULL, BG_R_OK, NULL },
	{ "by RS256", BG_MINT_KEY_A, NULL, NULL, NULL, BG_R_OK, NULL },		/* jkt of RSA: RFC 7638 section 3.2 */
	{ "by PS256", BG_MINT_KEY_A, "PS256", NULL, NULL, BG_R_OK, NULL },
	{ "by EdDSA", BG_MINT_KEY_ED25519, NULL, NULL, NULL, BG_R_OK, NULL },	/* jkt of OKP: RFC 8037 section 2 */
	{ "by Ed25519", BG_MINT_KEY_ED25519, "Ed25519", NULL, NULL, BG_R_OK, NULL },	/* RFC 9864 section 2.2 */

	/* check 2: well-formed */
	{ "payload that is no object", BG_MINT_KEY_P256, NULL, NULL, "[]", BG_R_BAD_PROOF, NULL },
	{ "crit", BG_MINT_KEY_P256, NULL, "{\"crit\":[\"exp\"]}", NULL, BG_R_BAD_PROOF, "crit" },	/* SR-4 */

	/* check 3: all claims */
	{ "no jti", BG_MINT_KEY_P256, NULL, NULL, "{\"jti\":null}", BG_R_BAD_PROOF, "jti" },
	{ "an empty jti", BG_MINT_KEY_P256, NULL, NULL, "{\"jti\":\"\"}", BG_R_BAD_PROOF, "jti" },
	{ "a jti that is a number", BG_MINT_KEY_P256, NULL, NULL, "{\"jti\":1}", BG_R_BAD_PROOF, "jti" },	/* SR-26 */
	{ "no htm", BG_MINT_KEY_P256, NULL, NULL, "{\"htm\":null}", BG_R_BAD_PROOF, "htm" },
	{ "an htm that is a list", BG_MINT_KEY_P256, NULL, NULL, "{\"htm\":[\"GET\"]}", BG_R_BAD_PROOF, "htm" },
	{ "no htu", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":null}", BG_R_BAD_PROOF, "htu" },
	{ "no iat", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":null}", BG_R_BAD_PROOF, "iat" },
	{ "an iat that is a string", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":\"1700000000\"}", BG_R_BAD_PROOF, "iat" },
	{ "an iat that is no time", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":1e300}", BG_R_BAD_PROOF, "iat" },	/* SR-25 */
	{ "an iat below zero", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":-1}", BG_R_BAD_PROOF, "iat" },
	{ "no ath", BG_MINT_KEY_P256, NULL, NULL, "{\"ath\":null}", BG_R_BAD_PROOF, "ath" },
	{ "a nonce that is a number", BG_MINT_KEY_P256, NULL, NULL, "{\"nonce\":1}", BG_R_BAD_PROOF, "nonce" },
	{ "a nonce nobody asked for", BG_MINT_KEY_P256, NULL, NULL, "{\"nonce\":\"x\"}", BG_R_OK, NULL },
	{ "claims nobody knows", BG_MINT_KEY_P256, NULL, NULL, "{\"exp\":1,\"aud\":\"x\"}", BG_R_OK, NULL },

	/* check 4: typ */
	{ "no typ", BG_MINT_KEY_P256, NULL, "{\"typ\":null}", NULL, BG_R_BAD_PROOF, "typ" },
	{ "typ JWT", BG_MINT_KEY_P256, NULL, "{\"typ\":\"JWT\"}", NULL, BG_R_BAD_PROOF, "typ \"JWT\"" },
	{ "an access token for a proof", BG_MINT_KEY_P256, NULL, "{\"typ\":\"at+jwt\"}", NULL, BG_R_BAD_PROOF, "typ" },
	{ "typ in capitals", BG_MINT_KEY_P256, NULL, "{\"typ\":\"DPOP+JWT\"}", NULL, BG_R_OK, NULL },	/* RFC 7515 section 4.1.9 */

	/* check 5: alg */
	{ "alg none", BG_MINT_KEY_P256, NULL, "{\"alg\":\"none\"}", NULL, BG_R_PROOF_ALGORITHM, "none" },	/* SR-3 */
	{ "alg HS256", BG_MINT_KEY_P256, NULL, "{\"alg\":\"HS256\"}", NULL, BG_R_PROOF_ALGORITHM, "HS256" },	/* SR-1 */
	{ "an alg that is not on", BG_MINT_KEY_A, "RS384", NULL, NULL, BG_R_PROOF_ALGORITHM, "RS384" },
	{ "no alg", BG_MINT_KEY_P256, NULL, "{\"alg\":null}", NULL, BG_R_BAD_PROOF, "alg" },
	{ "the alg of another type of key", BG_MINT_KEY_P256, NULL, "{\"alg\":\"RS256\"}", NULL, BG_R_PROOF_KEY, "RS256" },	/* SR-1 */

	/* checks 6 and 7: jwk, public */
	{ "no jwk", BG_MINT_KEY_P256, NULL, "{\"jwk\":null}", NULL, BG_R_PROOF_KEY, "jwk" },
	{ "a jwk that is a string", BG_MINT_KEY_P256, NULL, "{\"jwk\":\"x\"}", NULL, BG_R_PROOF_KEY, "jwk" },
	{ "a jwk of no type", BG_MINT_KEY_P256, NULL, "{\"jwk\":{}}", NULL, BG_R_PROOF_KEY, "kty" },
	{ "a shared key", BG_MINT_KEY_P256, NULL, "{\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", NULL, BG_R_PROOF_KEY, "\"k\"" },	/* SR-61 */
	{ "kid alone names no key", BG_MINT_KEY_P256, NULL, "{\"jwk\":null,\"kid\":\"x\"}", NULL, BG_R_PROOF_KEY, "jwk" },	/* SR-11 */

	/* check 8: htm, with case */
	{ "another method", BG_MINT_KEY_P256, NULL, NULL, "{\"htm\":\"POST\"}", BG_R_PROOF_METHOD, "POST" },
	{ "the method in small letters", BG_MINT_KEY_P256, NULL, NULL, "{\"htm\":\"get\"}", BG_R_PROOF_METHOD, "get" },
	{ "no method", BG_MINT_KEY_P256, NULL, NULL, "{\"htm\":\"\"}", BG_R_PROOF_METHOD, NULL },

	/* check 9: htu; tests/test_htu.c has the normal form */
	{ "another path", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"https://api.example/Messages\"}", BG_R_PROOF_URL, "/Messages" },
	{ "another host", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"https://api.example.org/messages\"}", BG_R_PROOF_URL, "api.example.org" },
	{ "another scheme", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"http://api.example/messages\"}", BG_R_PROOF_URL, "http://" },
	{ "another port", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"https://api.example:444/messages\"}", BG_R_PROOF_URL, ":444" },
	{ "no URL", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"/messages\"}", BG_R_PROOF_URL, "/messages" },
	{ "an empty htu", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"\"}", BG_R_PROOF_URL, NULL },
	{ "with a query and fragment of its own", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"https://api.example/messages?a#b\"}", BG_R_OK, NULL },
	{ "another spelling", BG_MINT_KEY_P256, NULL, NULL, "{\"htu\":\"HTTPS://API.example:443/a/../%6Dessages\"}", BG_R_OK, NULL },

	/* check 11: iat */
	{ "as old as may be", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":1699999700}", BG_R_OK, NULL },
	{ "a second older", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":1699999699}", BG_R_PROOF_TIME, "1699999699" },
	{ "half a second older", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":1699999699.5}", BG_R_PROOF_TIME, NULL },
	{ "as far ahead as may be", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":1700000030}", BG_R_OK, NULL },
	{ "a second further", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":1700000031}", BG_R_PROOF_TIME, "1700000031" },
	{ "at the far end", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":9007199254740992}", BG_R_PROOF_TIME, NULL },
	{ "at the beginning", BG_MINT_KEY_P256, NULL, NULL, "{\"iat\":0}", BG_R_PROOF_TIME, NULL },

	/* check 12: ath */
	{ "the ath of another token", BG_MINT_KEY_P256, NULL, NULL, "{\"ath\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}",
	    BG_R_PROOF_TOKEN, "47DEQpj8" },
	{ "an empty ath", BG_MINT_KEY_P256, NULL, NULL, "{\"ath\":\"\"}", BG_R_PROOF_TOKEN, NULL },
};

START_TEST(a_proof_meets_every_check_or_says_which_it_does_not)
{
	char *proof = proof_of(cases[_i].key, cases[_i].alg, cases[_i].header, cases[_i].claims);
	json_t *all = cnf_of("jkt", bg_mint_jkt(cases[_i].key));
	struct bg_error err = { 0 };
	struct bg_proof out;

	if (cases[_i].claims != NULL && strcmp(cases[_i].claims, "[]") == 0) {
		free(proof);
		proof = bg_mint_token(cases[_i].key, "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\"}", "[]");
	}
	ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &out, &err), err, cases[_i].want, cases[_i].name);
	ck_assert_msg(out.spend == (cases[_i].want == BG_R_OK), "%s", cases[_i].name);
	if (cases[_i].detail != NULL)
		ck_assert_msg(strstr(err.detail, cases[_i].detail) != NULL, "%s: %s", cases[_i].name, err.detail);
	json_decref(all);
	free(proof);
}
END_TEST

/* RFC 9449 section 4.3 check 7, RFC 7518 section 6: whatever the type of the key. */
static const char *const private_members[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

START_TEST(a_proof_with_any_private_member_in_its_key_is_refused)	/* SR-61 */
{
	static const enum bg_mint_key keys[] = { BG_MINT_KEY_P256, BG_MINT_KEY_A, BG_MINT_KEY_ED25519 };
	enum bg_mint_key key = keys[_i / N(private_members)];
	const char *member = private_members[_i % N(private_members)];
	static const char *const values[] = { "\"AQAB\"", "\"\"", "null", "7", "[]" };

	for (int i = 0; i < N(values); i++) {
		json_t *jwk = bg_mint_jwk(key, NULL, NULL), *all = cnf_of("jkt", bg_mint_jkt(key));
		struct bg_error err = { 0 };
		struct bg_proof out;
		char *header, *proof;
		json_t *wrapped;

		json_object_set_new(jwk, member, json_loads(values[i], JSON_DECODE_ANY, NULL));
		wrapped = json_pack("{s:o}", "jwk", jwk);
		header = json_dumps(wrapped, JSON_COMPACT);
		proof = proof_of(key, NULL, header, NULL);
		ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &out, &err), err, BG_R_PROOF_KEY, member);
		ck_assert_ptr_nonnull(strstr(err.detail, member));
		free(proof);
		free(header);
		json_decref(wrapped);
		json_decref(all);
	}
}
END_TEST

START_TEST(a_proof_with_any_byte_changed_is_refused)	/* SR-5; RFC 9449 section 4.3 check 6 */
{
	char *proof = proof_of(BG_MINT_KEY_P256, NULL, NULL, NULL);
	json_t *all = cnf_of("jkt", bg_mint_jkt(BG_MINT_KEY_P256));

	for (char *at = proof; *at != '\0'; at++) {
		struct bg_error err = { 0 };
		struct bg_proof out;
		char was = *at;

		*at = was == 'A' ? 'B' : was == '.' ? 'A' : 'A';
		ck_assert_msg(check(&request, BG_SCHEME_DPOP, proof, all, &out, &err) != 0 && err.reason != BG_R_OK, "byte %d", (int)(at - proof));
		ck_assert(!out.spend);
		*at = was;
	}
	json_decref(all);
	free(proof);
}
END_TEST

START_TEST(a_proof_by_another_key_than_the_one_it_shows_is_refused)
{
	json_t *all = cnf_of("jkt", bg_mint_jkt(BG_MINT_KEY_A)), *wrapped = json_pack("{s:o}", "jwk", bg_mint_jwk(BG_MINT_KEY_A, NULL, NULL));
	char *header = json_dumps(wrapped, JSON_COMPACT), *proof = proof_of(BG_MINT_KEY_B, NULL, header, NULL);
	struct bg_error err = { 0 };
	struct bg_proof out;

	ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &out, &err), err, BG_R_PROOF_SIGNATURE, "B shows A");
	free(proof);
	free(header);
	json_decref(wrapped);
	json_decref(all);
}
END_TEST

/* What a token says of its binding, by which scheme it came, and what the gate's mode is. */
static const struct {
	const char       *name;
	const char       *claims;	/* JKT stands for the thumbprint of P-256 */
	enum bg_scheme    scheme;
	enum bg_dpop_mode mode;
	enum bg_reason    want;
} bindings[] = {
	{ "free, as Bearer",             "{}", BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_OK },
	{ "free, as DPoP",               "{}", BG_SCHEME_DPOP, BG_DPOP_ALLOWED, BG_R_NOT_BOUND },
	{ "bound, as DPoP",              "{\"cnf\":{\"jkt\":\"JKT\"}}", BG_SCHEME_DPOP, BG_DPOP_ALLOWED, BG_R_OK },
	{ "bound, as DPoP, which must",  "{\"cnf\":{\"jkt\":\"JKT\"}}", BG_SCHEME_DPOP, BG_DPOP_REQUIRED, BG_R_OK },
	{ "bound, as Bearer",            "{\"cnf\":{\"jkt\":\"JKT\"}}", BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_NO_PROOF },	/* SR-62 */
	{ "bound, as Bearer, DPoP off",  "{\"cnf\":{\"jkt\":\"JKT\"}}", BG_SCHEME_BEARER, BG_DPOP_DISABLED, BG_R_NO_PROOF },	/* SR-62 */
	{ "bound, as nothing",           "{\"cnf\":{\"jkt\":\"JKT\"}}", BG_SCHEME_NONE, BG_DPOP_ALLOWED, BG_R_NO_PROOF },
	{ "free, as nothing",            "{}", BG_SCHEME_NONE, BG_DPOP_ALLOWED, BG_R_NOT_BOUND },
	{ "members beside jkt",          "{\"cnf\":{\"jkt\":\"JKT\",\"kid\":\"x\",\"more\":{}}}", BG_SCHEME_DPOP, BG_DPOP_ALLOWED, BG_R_OK },	/* SR-66 */
	{ "bound to another key",        "{\"cnf\":{\"jkt\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}}", BG_SCHEME_DPOP,
	    BG_DPOP_ALLOWED, BG_R_WRONG_BINDING },
	{ "jkt too short",               "{\"cnf\":{\"jkt\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuF\"}}", BG_SCHEME_DPOP,
	    BG_DPOP_ALLOWED, BG_R_BAD_CLAIMS },								/* SR-66 */
	{ "jkt too long",                "{\"cnf\":{\"jkt\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFUA\"}}", BG_SCHEME_DPOP,
	    BG_DPOP_ALLOWED, BG_R_BAD_CLAIMS },
	{ "jkt padded",                  "{\"cnf\":{\"jkt\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuF=\"}}", BG_SCHEME_DPOP,
	    BG_DPOP_ALLOWED, BG_R_BAD_CLAIMS },
	{ "an empty jkt",                "{\"cnf\":{\"jkt\":\"\"}}", BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_BAD_CLAIMS },
	{ "jkt null",                    "{\"cnf\":{\"jkt\":null}}", BG_SCHEME_BEARER, BG_DPOP_DISABLED, BG_R_BAD_CLAIMS },	/* SR-26, SR-62 */
	{ "jkt a number",                "{\"cnf\":{\"jkt\":1}}", BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_BAD_CLAIMS },
	{ "an empty cnf",                "{\"cnf\":{}}", BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_NO_PROOF },
	{ "an empty cnf, DPoP off",      "{\"cnf\":{}}", BG_SCHEME_BEARER, BG_DPOP_DISABLED, BG_R_NO_PROOF },
	{ "an empty cnf, as DPoP",       "{\"cnf\":{}}", BG_SCHEME_DPOP, BG_DPOP_ALLOWED, BG_R_NO_PROOF },
	{ "a binding nobody knows",      "{\"cnf\":{\"jwk\":{}}}", BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_NO_PROOF },	/* RFC 7800 section 3.1 */
	{ "a certificate, which is not there", "{\"cnf\":{\"x5t#S256\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}}",
	    BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_NO_PROOF },						/* SR-62; RFC 8705 section 3 */
	{ "the same, DPoP off",          "{\"cnf\":{\"x5t#S256\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}}",
	    BG_SCHEME_BEARER, BG_DPOP_DISABLED, BG_R_NO_PROOF },
	{ "the same, as DPoP",           "{\"cnf\":{\"x5t#S256\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}}",
	    BG_SCHEME_DPOP, BG_DPOP_ALLOWED, BG_R_NOT_BOUND },
	{ "both, and only the proof",    "{\"cnf\":{\"jkt\":\"JKT\",\"x5t#S256\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}}",
	    BG_SCHEME_DPOP, BG_DPOP_ALLOWED, BG_R_NO_PROOF },
	{ "x5t#S256 of another form",    "{\"cnf\":{\"x5t#S256\":\"AAAA\"}}", BG_SCHEME_BEARER, BG_DPOP_ALLOWED, BG_R_BAD_CLAIMS },
};

START_TEST(a_bound_token_passes_with_its_proof_alone)	/* SR-62 */
{
	char text[400], *at, *proof = proof_of(BG_MINT_KEY_P256, NULL, NULL, NULL);
	struct bg_error err = { 0 };
	struct bg_proof out;
	json_t *all;

	bg_format(text, sizeof(text), "%s", bindings[_i].claims);
	if ((at = strstr(text, "JKT")) != NULL)
		bg_format(text, sizeof(text), "%.*s%s%s", (int)(at - text), bindings[_i].claims, bg_mint_jkt(BG_MINT_KEY_P256),
		    bindings[_i].claims + (at - text) + 3);
	ck_assert_ptr_nonnull(all = json_loads(text, 0, NULL));
	dpop.mode = bindings[_i].mode;
	ck_reason(check(&request, bindings[_i].scheme, proof, all, &out, &err), err, bindings[_i].want, bindings[_i].name);
	ck_assert_int_eq(out.spend, bindings[_i].want == BG_R_OK && bindings[_i].scheme == BG_SCHEME_DPOP);
	json_decref(all);
	free(proof);
}
END_TEST

START_TEST(a_nonce_is_asked_for_last_and_must_be_ours)	/* RFC 9449 section 4.3 check 10, section 9 */
{
	static unsigned char key[BG_NONCE_KEY_MIN] = "nonces";
	char nonce[BG_NONCE_LEN + 1], claims[100], *proof;
	json_t *all = cnf_of("jkt", bg_mint_jkt(BG_MINT_KEY_P256));
	struct bg_proof out;
	static const struct {
		const char    *claims;
		int64_t        made;	/* for N in claims */
		enum bg_reason want;
		bool           old;
	} rows[] = {
		{ "{}", 0, BG_R_NO_NONCE, false },
		{ "{\"nonce\":\"x\"}", 0, BG_R_OLD_NONCE, false },
		{ "{\"nonce\":\"N\"}", NOW, BG_R_OK, false },
		{ "{\"nonce\":\"N\"}", NOW - 300, BG_R_OK, true },
		{ "{\"nonce\":\"N\"}", NOW - 600, BG_R_OLD_NONCE, false },
		{ "{\"htm\":\"PUT\"}", 0, BG_R_PROOF_METHOD, false },
		{ "{\"ath\":\"\"}", 0, BG_R_PROOF_TOKEN, false },
		{ "{\"iat\":1,\"nonce\":\"N\"}", NOW, BG_R_PROOF_TIME, false },
	};

	dpop.nonces = (struct bg_nonces){ .key = key, .key_len = sizeof(key), .window = 300 };
	for (int i = 0; i < N(rows); i++) {
		struct bg_error err = { 0 };
		const char *at = strstr(rows[i].claims, "\"N\"");

		ck_assert_int_eq(bg_nonce_make(&dpop.nonces, rows[i].made, nonce, &err), 0);
		bg_format(claims, sizeof(claims), "%.*s%s%s", at != NULL ? (int)(at + 1 - rows[i].claims) : (int)strlen(rows[i].claims),
		    rows[i].claims, at != NULL ? nonce : "", at != NULL ? at + 2 : "");
		proof = proof_of(BG_MINT_KEY_P256, NULL, NULL, claims);
		ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &out, &err), err, rows[i].want, rows[i].claims);
		ck_assert_msg(out.old_nonce == rows[i].old && out.spend == (rows[i].want == BG_R_OK), "%s", rows[i].claims);
		free(proof);
	}
	json_decref(all);
}
END_TEST

/* What is remembered is the proof; what tells requests apart is all the server says of them.  SR-63. */
static const struct {
	const char       *name;
	const char       *claims;
	struct bg_request request;	/* what differs from the usual one, by method, uri, host, remote_port, request_id, call */
	bool              proof, from, call;	/* the same as of the usual one? */
	bool              by_call;
} spendings[] = {
	{ "the same", NULL, { .method = BG_SLICE_INIT("GET") }, true, true, true, true },
	{ "another jti", "{\"jti\":\"id-2\"}", { .method = BG_SLICE_INIT("GET") }, false, true, true, true },
	{ "another iat", "{\"iat\":1699999990}", { .method = BG_SLICE_INIT("GET") }, true, true, true, true },
	{ "another spelling of htu", "{\"htu\":\"https://API.example/messages?x\"}", { .method = BG_SLICE_INIT("GET") }, true, true, true, true },
	{ "another method", "{\"htm\":\"PUT\"}", { .method = BG_SLICE_INIT("PUT") }, false, false, true, true },
	{ "another path", "{\"htu\":\"https://api.example/other\"}", { .method = BG_SLICE_INIT("GET"), .uri = BG_SLICE_INIT("/other") },
	    false, false, true, true },
	{ "another query", NULL, { .method = BG_SLICE_INIT("GET"), .uri = BG_SLICE_INIT("/messages?page=3") }, true, false, true, true },
	{ "another connection", NULL, { .method = BG_SLICE_INIT("GET"), .remote_port = BG_SLICE_INIT("4712") }, true, false, true, true },
	{ "another host, where public_url says what clients see", NULL, { .method = BG_SLICE_INIT("GET"), .host = BG_SLICE_INIT("other.example") },
	    true, false, true, true },
	{ "a request id", NULL, { .method = BG_SLICE_INIT("GET"), .request_id = BG_SLICE_INIT("r1") }, true, false, true, false },
	{ "an empty request id", NULL, { .method = BG_SLICE_INIT("GET"), .request_id = BG_SLICE_INIT("") }, true, false, true, true },
	{ "a sub-request", NULL, { .method = BG_SLICE_INIT("GET"), .call = { [BG_CALL_INCLUDED] = BG_SLICE_INIT("INCLUDED") } },
	    true, true, false, true },
	{ "an internal redirect", NULL, { .method = BG_SLICE_INIT("GET"), .call = { [BG_CALL_REDIRECT_URL] = BG_SLICE_INIT("/a") } },
	    true, true, false, true },
	{ "another provider", NULL, { .method = BG_SLICE_INIT("GET"), .call = { [BG_CALL_ROLE] = BG_SLICE_INIT("AUTHORIZER") } },
	    true, true, false, true },
};

/* Else whoever learns a jti could spend it before its author does.  SR-63. */
START_TEST(one_jti_by_two_keys_is_two_proofs)
{
	static const enum bg_mint_key keys[] = { BG_MINT_KEY_P256, BG_MINT_KEY_ED25519 };
	struct bg_error err = { 0 };
	struct bg_proof out[2];

	for (int i = 0; i < 2; i++) {
		char *proof = proof_of(keys[i], NULL, NULL, NULL);
		json_t *all = cnf_of("jkt", bg_mint_jkt(keys[i]));

		ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &out[i], &err), err, BG_R_OK, "a good one");
		json_decref(all);
		free(proof);
	}
	ck_assert(memcmp(out[0].spending.proof, out[1].spending.proof, BG_SHA256_LEN) != 0);
}
END_TEST

START_TEST(a_proof_is_remembered_with_the_request_that_brings_it)
{
	char *usual = proof_of(BG_MINT_KEY_P256, NULL, NULL, NULL), *other = proof_of(BG_MINT_KEY_P256, NULL, NULL, spendings[_i].claims);
	json_t *all = cnf_of("jkt", bg_mint_jkt(BG_MINT_KEY_P256));
	struct bg_request changed = request;
	struct bg_error err = { 0 };
	struct bg_proof a, b;
	char url[] = "https://api.example";

	changed.method = spendings[_i].request.method;
	if (spendings[_i].request.uri.ptr != NULL)
		changed.uri = spendings[_i].request.uri;
	if (spendings[_i].request.remote_port.ptr != NULL)
		changed.remote_port = spendings[_i].request.remote_port;
	if (spendings[_i].request.host.ptr != NULL)
		changed.host = spendings[_i].request.host;
	changed.request_id = spendings[_i].request.request_id;
	memcpy(changed.call, spendings[_i].request.call, sizeof(changed.call));
	dpop.public.url = url;
	ck_reason(check(&request, BG_SCHEME_DPOP, usual, all, &a, &err), err, BG_R_OK, "usual");
	ck_reason(check(&changed, BG_SCHEME_DPOP, other, all, &b, &err), err, BG_R_OK, spendings[_i].name);
	dpop.public.url = NULL;
	ck_assert_msg((memcmp(a.spending.proof, b.spending.proof, BG_SHA256_LEN) == 0) == spendings[_i].proof, "%s", spendings[_i].name);
	ck_assert_msg((memcmp(a.spending.request, b.spending.request, BG_SHA256_LEN) == 0) == spendings[_i].from, "%s", spendings[_i].name);
	ck_assert_msg((memcmp(a.spending.call, b.spending.call, BG_SHA256_LEN) == 0) == spendings[_i].call, "%s", spendings[_i].name);
	ck_assert_msg(b.spending.by_call == spendings[_i].by_call, "%s", spendings[_i].name);
	json_decref(all);
	free(other);
	free(usual);
}
END_TEST

START_TEST(each_variable_of_a_call_tells_it_from_others)	/* SR-63; interop.md section 2.9 */
{
	char *proof = proof_of(BG_MINT_KEY_P256, NULL, NULL, NULL);
	json_t *all = cnf_of("jkt", bg_mint_jkt(BG_MINT_KEY_P256));
	struct bg_error err = { 0 };
	struct bg_proof a, b;

	ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &a, &err), err, BG_R_OK, "usual");
	for (int i = 0; i < BG_CALL_VARIABLES; i++) {
		struct bg_request changed = request;

		changed.call[i] = BG_SLICE("x");
		ck_reason(check(&changed, BG_SCHEME_DPOP, proof, all, &b, &err), err, BG_R_OK, "changed");
		ck_assert_msg(memcmp(a.spending.call, b.spending.call, BG_SHA256_LEN) != 0, "variable %d", i);
		ck_assert(memcmp(a.spending.request, b.spending.request, BG_SHA256_LEN) == 0);
	}
	json_decref(all);
	free(proof);
}
END_TEST

START_TEST(a_jti_has_so_many_bytes_at_most)
{
	json_t *all = cnf_of("jkt", bg_mint_jkt(BG_MINT_KEY_P256));
	struct bg_error err = { 0 };
	struct bg_proof out;

	for (int more = 0; more < 2; more++) {
		char claims[BG_JTI_MAX + 20], *proof;

		bg_format(claims, sizeof(claims), "{\"jti\":\"%0*d\"}", BG_JTI_MAX + more, 0);
		proof = proof_of(BG_MINT_KEY_P256, NULL, NULL, claims);
		ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &out, &err), err, more == 0 ? BG_R_OK : BG_R_BAD_PROOF, claims);
		free(proof);
	}
	json_decref(all);
}
END_TEST

START_TEST(a_proof_is_remembered_as_long_as_it_could_pass)	/* SR-63: life = offset + leeway + margin */
{
	static const struct { const char *claims; int64_t iat, life; } rows[] = {
		{ "{}", NOW, 340 },
		{ "{\"iat\":1699999700}", NOW - 300, 40 },
		{ "{\"iat\":1700000030}", NOW + 30, 370 },
	};
	json_t *all = cnf_of("jkt", bg_mint_jkt(BG_MINT_KEY_P256));

	for (int i = 0; i < N(rows); i++) {
		char *proof = proof_of(BG_MINT_KEY_P256, NULL, NULL, rows[i].claims);
		struct bg_error err = { 0 };
		struct bg_proof out;

		ck_reason(check(&request, BG_SCHEME_DPOP, proof, all, &out, &err), err, BG_R_OK, rows[i].claims);
		ck_assert_int_eq(out.spending.iat, rows[i].iat);
		ck_assert_int_eq(out.spending.life_ms, rows[i].life * 1000);
		ck_assert_int_gt(out.spending.life_ms, BG_REPLAY_GRACE_MS);
		free(proof);
	}
	json_decref(all);
}
END_TEST

struct store { struct bg_replay replay; enum bg_reason reason; int spent; };

static int
store_spend(struct bg_replay *replay, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after, struct bg_error *err)
{
	struct store *store = (struct store *)(void *)replay;

	(void)spending, (void)now;
	store->spent++;
	if (store->reason == BG_R_OK)
		return 0;
	*retry_after = 7;
	return bg_fail(err, store->reason, "the store says so");
}

/* SR-65. */
START_TEST(a_store_that_cannot_answer_denies_unless_told_otherwise)
{
	static const struct { enum bg_reason says, closed, open; } rows[] = {
		{ BG_R_OK, BG_R_OK, BG_R_OK },
		{ BG_R_PROOF_SPENT, BG_R_PROOF_SPENT, BG_R_PROOF_SPENT },
		{ BG_R_STORE_DOWN, BG_R_STORE_DOWN, BG_R_OK },
		{ BG_R_STORE_FULL, BG_R_STORE_FULL, BG_R_OK },
		{ BG_R_STORE_YOUNG, BG_R_STORE_YOUNG, BG_R_OK },
		{ BG_R_NO_MEMORY, BG_R_NO_MEMORY, BG_R_NO_MEMORY },
	};
	struct bg_proof proof = { .spend = true, .spending = { .iat = NOW } };

	for (int i = 0; i < N(rows) * 2; i++) {
		struct store store = { .replay = { .spend = store_spend }, .reason = rows[i / 2].says };
		struct bg_dpop with = { .replay = &store.replay, .replay_fail_open = i % 2 == 1 };
		struct bg_error err = { 0 };
		int64_t retry_after = -1;

		ck_reason(bg_proof_spend(&with, &proof, (struct bg_now){ .wall = NOW }, &retry_after, &err), err,
		    i % 2 == 1 ? rows[i / 2].open : rows[i / 2].closed, bg_reason_name(rows[i / 2].says));
		ck_assert_int_eq(store.spent, 1);
		ck_assert_int_eq(retry_after, rows[i / 2].says == BG_R_OK ? 0 : 7);
	}
}
END_TEST

START_TEST(a_proof_from_before_the_store_changed_is_not_let_in)	/* SR-63 */
{
	static const struct { int64_t iat, not_before; enum bg_reason want; int64_t wait; } rows[] = {
		{ NOW, 0, BG_R_OK, 0 }, { NOW, NOW - 1, BG_R_OK, 0 }, { NOW, NOW, BG_R_STORE_YOUNG, 1 },
		{ NOW - 100, NOW - 50, BG_R_STORE_YOUNG, 1 }, { NOW, NOW + 30, BG_R_STORE_YOUNG, 31 }, { NOW + 31, NOW + 30, BG_R_OK, 0 },
	};

	for (int i = 0; i < N(rows); i++) {
		struct store store = { .replay = { .spend = store_spend }, .reason = BG_R_OK };
		struct bg_dpop with = { .replay = &store.replay, .not_before = rows[i].not_before };
		struct bg_proof proof = { .spend = true, .spending = { .iat = rows[i].iat } };
		struct bg_error err = { 0 };
		int64_t retry_after = -1;

		ck_reason(bg_proof_spend(&with, &proof, (struct bg_now){ .wall = NOW }, &retry_after, &err), err, rows[i].want, "");
		ck_assert_int_eq(retry_after, rows[i].wait);
		ck_assert_int_eq(store.spent, rows[i].want == BG_R_OK);
	}
}
END_TEST

START_TEST(what_is_no_proof_is_not_spent_and_no_store_is_no_allow)
{
	struct bg_proof none = { .spend = false }, one = { .spend = true, .spending = { .iat = NOW } };
	struct bg_dpop without = { .mode = BG_DPOP_ALLOWED };
	struct bg_error err = { 0 };
	int64_t retry_after;

	ck_reason(bg_proof_spend(&without, &none, (struct bg_now){ .wall = NOW }, &retry_after, &err), err, BG_R_OK, "Bearer");
	ck_reason(bg_proof_spend(&without, &one, (struct bg_now){ .wall = NOW }, &retry_after, &err), err, BG_R_INTERNAL, "no store");
}
END_TEST

static void
store_free(struct bg_replay *replay)
{
	((struct store *)replay)->reason = BG_R_STORE_DOWN;	/* for the test to see */
}

START_TEST(a_store_that_was_forgone_takes_no_proof_even_where_errors_let_in)	/* SR-63, SR-64 */
{
	struct store store = { .replay = { .spend = store_spend, .free = store_free }, .reason = BG_R_OK };
	struct bg_dpop mine = { .mode = BG_DPOP_ALLOWED, .replay = &store.replay, .replay_fail_open = true };
	struct bg_proof none = { .spend = false }, one = { .spend = true, .spending = { .iat = NOW } };
	struct bg_error err = { 0 };
	int64_t retry_after;

	bg_dpop_forgo(&mine, "others share it");
	ck_assert_int_eq(store.reason, BG_R_STORE_DOWN);
	ck_reason(bg_proof_spend(&mine, &none, (struct bg_now){ .wall = NOW }, &retry_after, &err), err, BG_R_OK, "Bearer");
	ck_reason(bg_proof_spend(&mine, &one, (struct bg_now){ .wall = NOW }, &retry_after, &err), err, BG_R_INTERNAL, "a proof");
	ck_assert_str_eq(err.detail, "others share it");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("proof");
	TCase *tc = tcase_create("proof");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, a_proof_meets_every_check_or_says_which_it_does_not, 0, N(cases));
	tcase_add_loop_test(tc, a_proof_with_any_private_member_in_its_key_is_refused, 0, 3 * N(private_members));
	tcase_add_test(tc, a_proof_with_any_byte_changed_is_refused);
	tcase_add_test(tc, a_proof_by_another_key_than_the_one_it_shows_is_refused);
	tcase_add_loop_test(tc, a_bound_token_passes_with_its_proof_alone, 0, N(bindings));
	tcase_add_test(tc, a_nonce_is_asked_for_last_and_must_be_ours);
	tcase_add_test(tc, one_jti_by_two_keys_is_two_proofs);
	tcase_add_loop_test(tc, a_proof_is_remembered_with_the_request_that_brings_it, 0, N(spendings));
	tcase_add_test(tc, each_variable_of_a_call_tells_it_from_others);
	tcase_add_test(tc, a_jti_has_so_many_bytes_at_most);
	tcase_add_test(tc, a_proof_is_remembered_as_long_as_it_could_pass);
	tcase_add_test(tc, a_store_that_cannot_answer_denies_unless_told_otherwise);
	tcase_add_test(tc, a_proof_from_before_the_store_changed_is_not_let_in);
	tcase_add_test(tc, what_is_no_proof_is_not_spent_and_no_store_is_no_allow);
	tcase_add_test(tc, a_store_that_was_forgone_takes_no_proof_even_where_errors_let_in);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
