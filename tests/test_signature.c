#include "core/signature.h"

#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define ISSUER	"https://issuer.example/"

static char *issuer_name = (char[]){ ISSUER };

/* One issuer that trusts key A by RS256; its keys come in through a fetcher that hands out a text. */
struct fixture {
	struct bg_fetcher    fetcher;
	char                *jwks;
	const struct bg_alg *algs[1];
	struct bg_issuer     issuer;
};

static struct fixture *current;		/* fetchers get no argument of ours; tests run one at a time */

static int
hand_out(const struct bg_fetcher *self, const char *location, int64_t timeout, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self, (void)location, (void)timeout, (void)err;
	meta->max_age = 600;
	bg_buf_put_str(body, current->jwks);
	return 0;
}

static void
setup(struct fixture *f, char *jwks)
{
	struct bg_keystore_options options = { .issuer = ISSUER, .jwks_uri = "https://keys.example/", .fetcher = &f->fetcher,
		.fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600, .refresh_cooldown = 30 };

	bg_log_open(2, BG_LOG_ERROR);
	*f = (struct fixture){ .fetcher = { hand_out }, .jwks = jwks, .algs = { bg_alg_find(BG_SLICE("RS256")) } };
	f->issuer = (struct bg_issuer){ .name = issuer_name, .algs = f->algs, .n_algs = 1 };
	current = f;
	ck_assert_int_eq(bg_keystore_new(&f->issuer.keys, &options, NULL), 0);
	bg_keystore_step(f->issuer.keys, 0);
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

	if (bg_token_parse(compact, &token, err) == 0 && bg_signature_issuer(&f->issuer, 1, token, &issuer, err) == 0)
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

START_TEST(every_byte_counts)	/* SR-5: each byte of header, payload and signature changed in turn is refused */
{
	char *token = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS);
	struct bg_error err = { 0 };
	struct fixture f;
	size_t len = strlen(token), tried = 0;

	setup(&f, jwks_a());
	ck_reason(check(&f, bg_slice_str(token), &err), err, BG_R_OK, "as it was minted");
	for (size_t i = 0; i < len; i++) {
		for (int bit = 0; bit < 8; bit++) {
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
	ck_assert_uint_eq(tried, len * 8);
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
	tcase_add_test(tc, every_byte_counts);
	tcase_add_loop_test(tc, the_issuers_list_and_the_key_choose_how_to_verify, 0, N(headers));
	tcase_add_test(tc, two_keys_with_one_kid_are_both_tried);
	tcase_add_test(tc, an_issuer_without_algorithms_accepts_nothing);
	tcase_add_loop_test(tc, an_issuer_is_compared_byte_for_byte, 0, N(issuers));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
