#include "core/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define ISSUER	"https://issuer.example/"

static char *issuer_name = (char[]){ ISSUER };

/* Every algorithm with a key of the issuer's. */
static const struct { const char *name; enum bg_mint_key key; } algs[] = {
	{ "RS256", BG_MINT_KEY_A }, { "RS384", BG_MINT_KEY_A }, { "RS512", BG_MINT_KEY_A },
	{ "PS256", BG_MINT_KEY_A }, { "PS384", BG_MINT_KEY_A }, { "PS512", BG_MINT_KEY_A },
	{ "ES256", BG_MINT_KEY_P256 }, { "ES384", BG_MINT_KEY_P384 }, { "ES512", BG_MINT_KEY_P521 },
	{ "EdDSA", BG_MINT_KEY_ED25519 },
	{ "Ed25519", BG_MINT_KEY_ED25519 },
};

/* One issuer that trusts RS256 unless told otherwise; its keys come in through a fetcher that hands out a text. */
struct fixture {
	struct bg_fetcher    fetcher;
	char                *jwks;
	const struct bg_alg *algs[sizeof(algs) / sizeof(algs[0])];
	struct bg_issuer     issuer;
};

static struct fixture *current;		/* fetchers get no argument of ours; tests run one at a time */

static int
hand_out(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self, (void)request, (void)err;
	meta->max_age = 600;
	bg_buf_put_str(body, current->jwks);
	return 0;
}

static void
setup(struct fixture *f, char *jwks)
{
	struct bg_keystore_options options = { .source = { .issuer = ISSUER, .jwks_uri = "https://keys.example/", .fetcher = &f->fetcher,
		.fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600 }, .stale_if_error = 86400, .refresh_cooldown = 30 };

	bg_log_open(2, BG_LOG_ERROR);
	*f = (struct fixture){ .fetcher = { hand_out }, .jwks = jwks, .algs = { bg_alg_find(BG_SLICE("RS256")) } };
	f->issuer = (struct bg_issuer){ .name = issuer_name, .algs = f->algs, .n_algs = 1 };
	current = f;
	ck_assert_int_eq(bg_keystore_new(&f->issuer.keys, &options, NULL), 0);
	bg_keystore_step(f->issuer.keys, (struct bg_now){ .mono_ms = 0 });
}

/* Put one more algorithm on the issuer's list. */
static void
allow(struct fixture *f, const char *alg)
{
	f->algs[f->issuer.n_algs] = bg_alg_find(bg_slice_str(alg));
	ck_assert_ptr_nonnull(f->algs[f->issuer.n_algs++]);
}

static void
teardown(struct fixture *f)
{
	bg_keystore_free(f->issuer.keys);
	free(f->jwks);
}

static int
check(const struct fixture *f, struct bg_slice compact, struct bg_error *err)
{
	const struct bg_issuer *issuer;
	struct bg_token *token;
	int rc = -1;

	if (bg_token_parse(compact, &token, err) == 0 && bg_signature_issuer(&f->issuer, 1, BG_SLICE("api.example"), token, &issuer, err) == 0)
		rc = bg_signature_check(issuer, token, 0, err);
	bg_token_free(token);
	return rc;
}

#define CLAIMS	"{\"iss\":\"" ISSUER "\",\"sub\":\"me\"}"

static char *
jwks_a(void)
{
	static const enum bg_mint_key a[] = { BG_MINT_KEY_A };

	return bg_mint_jwks(a, 1);
}

/* A key set of one object, which it takes. */
static char *
jwks_of(json_t *jwk)
{
	json_t *set = json_pack("{s:[o]}", "keys", jwk);
	char *text = json_dumps(set, JSON_COMPACT);

	ck_assert_ptr_nonnull(text);
	json_decref(set);
	return text;
}

/* A key set with a key of each kind, all of one kid, and none said to be for some algorithm alone. */
static char *
jwks_of_all_kinds(void)
{
	static const enum bg_mint_key kinds[] = { BG_MINT_KEY_P521, BG_MINT_KEY_A, BG_MINT_KEY_P256, BG_MINT_KEY_ED25519,
		BG_MINT_KEY_P384 };
	json_t *set = json_pack("{s:[]}", "keys");
	char *text;

	for (int i = 0; i < N(kinds); i++)
		json_array_append_new(json_object_get(set, "keys"), bg_mint_jwk(kinds[i], NULL, "same"));
	ck_assert_ptr_nonnull(text = json_dumps(set, JSON_COMPACT));
	json_decref(set);
	return text;
}

/* A token signed by one algorithm whose header names another, and with a kid or, for NULL, without. */
static char *
mint(enum bg_mint_key key, const char *alg, const char *header_alg, const char *kid)
{
	char header[256];

	if (kid != NULL)
		bg_format(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\"}", header_alg, kid);
	else
		bg_format(header, sizeof(header), "{\"alg\":\"%s\"}", header_alg);
	return bg_mint_token_as(key, alg, header, CLAIMS);
}

START_TEST(every_byte_counts)	/* SR-5: each byte of header, payload and signature changed in turn is refused */
{
	char *token = bg_mint_token_as(algs[_i].key, algs[_i].name, NULL, CLAIMS);
	struct bg_error err = { 0 };
	struct fixture f;
	size_t len = strlen(token), tried = 0;

	setup(&f, jwks_of(bg_mint_jwk(algs[_i].key, algs[_i].name, bg_mint_kid(algs[_i].key))));
	f.issuer.n_algs = 0;
	allow(&f, algs[_i].name);
	ck_reason(check(&f, bg_slice_str(token), &err), err, BG_R_OK, "as it was minted");
	for (size_t i = 0; i < len; i++) {
		for (int bit = 0; bit < 8; bit += algs[_i].key == BG_MINT_KEY_A ? 1 : 3) {	/* the curves are slow */
			char was = token[i];

			token[i] = (char)(was ^ (1 << bit));
			bg_error_clear(&err);
			ck_assert_msg(check(&f, (struct bg_slice){ token, len }, &err) == -1, "byte %zu, bit %d", i, bit);
			ck_assert_int_ne(err.reason, BG_R_OK);
			ck_assert_int_ne(err.reason, BG_R_INTERNAL);
			token[i] = was;
			tried++;
		}
	}
	ck_assert_uint_eq(tried, len * (algs[_i].key == BG_MINT_KEY_A ? 8 : 3));
	free(token);
	teardown(&f);
}
END_TEST

#define WITH_ALG(alg)	"{\"alg\":\"" alg "\"}"

static const struct { const char *name, *header; enum bg_mint_key key; enum bg_reason want; } headers[] = {
	{ "the algorithm there is", NULL, BG_MINT_KEY_A, BG_R_OK },
	{ "no kid, one key", WITH_ALG("RS256"), BG_MINT_KEY_A, BG_R_OK },
	{ "none", WITH_ALG("none"), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },		/* SR-3 */
	{ "None", WITH_ALG("None"), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },
	{ "NONE", WITH_ALG("NONE"), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },
	{ "empty", WITH_ALG(""), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },
	{ "in small letters", WITH_ALG("rs256"), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },
	{ "with a space", WITH_ALG("RS256 "), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },
	{ "with a NUL's escape", WITH_ALG("RS256\\u0020"), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },
	{ "HS256", WITH_ALG("HS256"), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },		/* SR-1 */
	{ "one not on the list", WITH_ALG("PS256"), BG_MINT_KEY_A, BG_R_BAD_ALGORITHM },
	{ "another key, its own kid", NULL, BG_MINT_KEY_B, BG_R_UNKNOWN_KEY },
	{ "another key, no kid", WITH_ALG("RS256"), BG_MINT_KEY_B, BG_R_BAD_SIGNATURE },
	{ "a longer key", WITH_ALG("RS256"), BG_MINT_KEY_LONG, BG_R_BAD_SIGNATURE },	/* SR-6: length first */
	{ "an unknown kid", "{\"alg\":\"RS256\",\"kid\":\"../../etc/passwd\"}", BG_MINT_KEY_A, BG_R_UNKNOWN_KEY },	/* SR-13 */
	{ "an empty kid", "{\"alg\":\"RS256\",\"kid\":\"\"}", BG_MINT_KEY_A, BG_R_UNKNOWN_KEY },
	{ "its own key in the header", "{\"alg\":\"RS256\",\"jwk\":{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}}", BG_MINT_KEY_B,
	    BG_R_BAD_SIGNATURE },							/* SR-11 */
};

START_TEST(the_issuers_list_and_the_key_choose_how_to_verify)
{
	char *token = bg_mint_token(headers[_i].key, headers[_i].header, CLAIMS);
	struct bg_error err = { 0 };
	struct fixture f;

	setup(&f, jwks_a());
	ck_reason(check(&f, bg_slice_str(token), &err), err, headers[_i].want, headers[_i].name);
	free(token);
	teardown(&f);
}
END_TEST

START_TEST(the_list_of_the_issuer_decides_whatever_keys_there_are)	/* SR-1 */
{
	struct fixture f;

	setup(&f, jwks_of_all_kinds());
	f.issuer.n_algs = 0;
	allow(&f, algs[_i].name);	/* one row on the list, every row asked for */
	for (int i = 0; i < N(algs); i++) {
		char *token = mint(algs[i].key, algs[i].name, algs[i].name, "same");
		struct bg_error err = { 0 };

		ck_reason(check(&f, bg_slice_str(token), &err), err, i == _i ? BG_R_OK : BG_R_BAD_ALGORITHM, algs[i].name);
		free(token);
	}
	teardown(&f);
}
END_TEST

START_TEST(a_header_cannot_talk_a_key_into_another_algorithm)	/* SR-1: every pair of what signed and what is claimed */
{
	struct fixture f;

	setup(&f, jwks_of(bg_mint_jwk(algs[_i].key, NULL, "same")));
	f.issuer.n_algs = 0;
	for (int i = 0; i < N(algs); i++)
		allow(&f, algs[i].name);
	for (int i = 0; i < N(algs); i++) {
		char *token = mint(algs[_i].key, algs[_i].name, algs[i].name, "same");
		bool same = i == _i || (algs[i].key == algs[_i].key && algs[i].key == BG_MINT_KEY_ED25519);	/* RFC 9864: two names */
		enum bg_reason want = same ? BG_R_OK : algs[i].key == algs[_i].key ? BG_R_BAD_SIGNATURE : BG_R_UNKNOWN_KEY;
		struct bg_error err = { 0 };

		ck_reason(check(&f, bg_slice_str(token), &err), err, want, algs[i].name);
		free(token);
	}
	teardown(&f);
}
END_TEST

START_TEST(a_key_for_one_algorithm_is_not_used_for_another)	/* SR-12 */
{
	struct fixture f;

	setup(&f, jwks_of(bg_mint_jwk(algs[_i].key, algs[_i].name, "same")));
	f.issuer.n_algs = 0;
	for (int i = 0; i < N(algs); i++)
		allow(&f, algs[i].name);
	for (int i = 0; i < N(algs); i++) {
		char *token = mint(algs[i].key, algs[i].name, algs[i].name, "same");
		struct bg_error err = { 0 };

		ck_reason(check(&f, bg_slice_str(token), &err), err, i == _i ? BG_R_OK : BG_R_UNKNOWN_KEY, algs[i].name);
		free(token);
	}
	teardown(&f);
}
END_TEST

START_TEST(keys_of_several_types_may_share_a_kid)	/* SR-12; with no kid at all, the type alone tells which is meant */
{
	static const char *const kids[] = { "same", NULL };
	struct fixture f;

	setup(&f, jwks_of_all_kinds());
	f.issuer.n_algs = 0;
	for (int i = 0; i < N(algs); i++)
		allow(&f, algs[i].name);
	for (int i = 0; i < N(algs); i++)
		for (int k = 0; k < N(kids); k++) {
			char *token = mint(algs[i].key, algs[i].name, algs[i].name, kids[k]);
			struct bg_error err = { 0 };

			ck_reason(check(&f, bg_slice_str(token), &err), err, BG_R_OK, algs[i].name);
			free(token);
		}
	teardown(&f);
}
END_TEST

/* What people have taken for the secret of HS256 that lies open: CVE-2022-29217, CVE-2026-44699. */
static const struct { const char *name; enum bg_mint_key key; enum { PEM, DER, JWK, NOTHING } form; } secrets[] = {
	{ "the public key of RSA as PEM", BG_MINT_KEY_A, PEM },
	{ "as DER", BG_MINT_KEY_A, DER },
	{ "as JWK", BG_MINT_KEY_A, JWK },
	{ "nothing", BG_MINT_KEY_A, NOTHING },
	{ "the public key of P-256 as PEM", BG_MINT_KEY_P256, PEM },
	{ "the public key of Ed25519 as PEM", BG_MINT_KEY_ED25519, PEM },
};

static char *
public_text(int i, size_t *len)
{
	json_t *jwk = bg_mint_jwk(secrets[i].key, NULL, NULL);
	char *text = NULL, *data;
	struct bg_jwk *key;
	BIO *bio;

	if (secrets[i].form == JWK)
		text = json_dumps(jwk, JSON_COMPACT);
	else if (secrets[i].form == NOTHING)
		text = strdup("");
	else {
		ck_assert_int_eq(bg_jwk_parse(jwk, &key, NULL), 0);
		bio = BIO_new(BIO_s_mem());
		ck_assert_int_eq(secrets[i].form == PEM ? PEM_write_bio_PUBKEY(bio, key->pkey) : i2d_PUBKEY_bio(bio, key->pkey), 1);
		*len = (size_t)BIO_get_mem_data(bio, &data);
		ck_assert_ptr_nonnull(text = malloc(*len));
		memcpy(text, data, *len);
		BIO_free(bio);
		bg_jwk_free(key);
		json_decref(jwk);
		return text;
	}
	*len = strlen(text);
	json_decref(jwk);
	return text;
}

START_TEST(a_public_key_is_no_secret)	/* SR-1, SR-2 */
{
	static const struct { const char *name; const EVP_MD *(*digest)(void); } hs[] = {
		{ "HS256", EVP_sha256 }, { "HS384", EVP_sha384 }, { "HS512", EVP_sha512 }, { "RS256", EVP_sha256 },
	};
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len;
	struct fixture f;
	size_t len;
	char *secret = public_text(_i, &len);

	setup(&f, jwks_of(bg_mint_jwk(secrets[_i].key, NULL, "same")));
	f.issuer.n_algs = 0;
	for (int i = 0; i < N(algs); i++)
		allow(&f, algs[i].name);
	for (int i = 0; i < N(hs); i++) {
		struct bg_error err = { 0 };
		char header[64], *unsigned_token, *token;
		enum bg_reason want = i < 3 ? BG_R_BAD_ALGORITHM : secrets[_i].key == BG_MINT_KEY_A ? BG_R_BAD_SIGNATURE : BG_R_UNKNOWN_KEY;

		bg_format(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"same\"}", hs[i].name);
		unsigned_token = bg_mint_compact(bg_slice_str(header), BG_SLICE(CLAIMS), BG_SLICE(""));
		ck_assert_ptr_nonnull(HMAC(hs[i].digest(), secret, (int)len, (unsigned char *)unsigned_token, strlen(unsigned_token) - 1,
		    mac, &mac_len));
		token = bg_mint_compact(bg_slice_str(header), BG_SLICE(CLAIMS), (struct bg_slice){ (char *)mac, mac_len });
		ck_reason(check(&f, bg_slice_str(token), &err), err, want, secrets[_i].name);
		free(unsigned_token);
		free(token);
	}
	free(secret);
	teardown(&f);
}
END_TEST

START_TEST(two_keys_with_one_kid_are_both_tried)	/* SR-12 */
{
	static const enum bg_mint_key signers[] = { BG_MINT_KEY_A, BG_MINT_KEY_B, BG_MINT_KEY_LONG };
	static const enum bg_reason want[] = { BG_R_OK, BG_R_OK, BG_R_BAD_SIGNATURE };
	json_t *root = json_pack("{s:[]}", "keys"), *object;
	struct fixture f;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key(signers[i]), "same", &object, NULL), 0);
		json_array_append_new(json_object_get(root, "keys"), object);
	}
	setup(&f, json_dumps(root, 0));
	for (int i = 0; i < 3; i++) {
		char *token = bg_mint_token(signers[i], "{\"alg\":\"RS256\",\"kid\":\"same\"}", CLAIMS);
		struct bg_error err = { 0 };

		ck_reason(check(&f, bg_slice_str(token), &err), err, want[i], "same kid");
		free(token);
	}
	json_decref(root);
	teardown(&f);
}
END_TEST

START_TEST(an_issuer_without_algorithms_accepts_nothing)	/* zero denies */
{
	char *token = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS);
	struct bg_error err = { 0 };
	struct fixture f;

	setup(&f, jwks_a());
	f.issuer.n_algs = 0;
	ck_reason(check(&f, bg_slice_str(token), &err), err, BG_R_BAD_ALGORITHM, "no algorithms");
	free(token);
	teardown(&f);
}
END_TEST

static const struct { const char *name, *claims; enum bg_reason want; const char *hint; } issuers[] = {
	{ "ours", CLAIMS, BG_R_OK, NULL },
	{ "the slash missing", "{\"iss\":\"https://issuer.example\"}", BG_R_WRONG_ISSUER, "slash" },	/* SR-43 */
	{ "a slash more", "{\"iss\":\"https://issuer.example//\"}", BG_R_WRONG_ISSUER, "slash" },
	{ "a prefix", "{\"iss\":\"https://issuer\"}", BG_R_WRONG_ISSUER, "expected" },			/* SR-42 */
	{ "a suffix", "{\"iss\":\"https://issuer.example/x\"}", BG_R_WRONG_ISSUER, "expected" },
	{ "one character", "{\"iss\":\"https://issuer.examplf/\"}", BG_R_WRONG_ISSUER, "expected" },
	{ "another case", "{\"iss\":\"https://Issuer.example/\"}", BG_R_WRONG_ISSUER, "expected" },
	{ "a look-alike", "{\"iss\":\"https://\xd1\x96ssuer.example/\"}", BG_R_WRONG_ISSUER, "expected" },
	{ "http", "{\"iss\":\"http://issuer.example/\"}", BG_R_WRONG_ISSUER, "expected" },
	{ "empty", "{\"iss\":\"\"}", BG_R_WRONG_ISSUER, "expected" },
	{ "missing", "{}", BG_R_BAD_CLAIMS, "nothing" },
	{ "null", "{\"iss\":null}", BG_R_BAD_CLAIMS, "null" },						/* SR-26 */
	{ "an array with ours", "{\"iss\":[\"" ISSUER "\"]}", BG_R_BAD_CLAIMS, "an array" },
};

START_TEST(an_issuer_is_compared_byte_for_byte)	/* SR-42 */
{
	char *token = bg_mint_token(BG_MINT_KEY_A, NULL, issuers[_i].claims);
	struct bg_error err = { 0 };
	struct fixture f;

	setup(&f, jwks_a());
	ck_reason(check(&f, bg_slice_str(token), &err), err, issuers[_i].want, issuers[_i].name);
	if (issuers[_i].hint != NULL)
		ck_assert_msg(strstr(err.detail, issuers[_i].hint) != NULL, "%s: %s", issuers[_i].name, err.detail);
	free(token);
	teardown(&f);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("signature");
	TCase *tc = tcase_create("signature");

	tcase_set_timeout(tc, 60);	/* sanitizers are slow */
	tcase_add_loop_test(tc, every_byte_counts, 0, N(algs));
	tcase_add_loop_test(tc, the_issuers_list_and_the_key_choose_how_to_verify, 0, N(headers));
	tcase_add_loop_test(tc, the_list_of_the_issuer_decides_whatever_keys_there_are, 0, N(algs));
	tcase_add_loop_test(tc, a_header_cannot_talk_a_key_into_another_algorithm, 0, N(algs));
	tcase_add_loop_test(tc, a_key_for_one_algorithm_is_not_used_for_another, 0, N(algs));
	tcase_add_test(tc, keys_of_several_types_may_share_a_kid);
	tcase_add_loop_test(tc, a_public_key_is_no_secret, 0, N(secrets));
	tcase_add_test(tc, two_keys_with_one_kid_are_both_tried);
	tcase_add_test(tc, an_issuer_without_algorithms_accepts_nothing);
	tcase_add_loop_test(tc, an_issuer_is_compared_byte_for_byte, 0, N(issuers));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
