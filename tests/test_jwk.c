#include "core/jwk.h"

#include "core/b64url.h"
#include "core/limits.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

/* The key of RFC 7638 section 3.1. */
#define RFC7638_N	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZC" \
			"iFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgn" \
			"Yb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw" \
			"0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

static struct bg_jwk *
parse(const char *text, struct bg_error *err)
{
	json_t *object = json_loads(text, JSON_DECODE_ANY, NULL);
	struct bg_jwk *key;
	int rc;

	ck_assert_ptr_nonnull(object);
	rc = bg_jwk_parse(object, &key, err);
	ck_assert((rc == 0) == (key != NULL));
	json_decref(object);
	return key;
}

START_TEST(the_thumbprint_of_the_rfc_comes_out)	/* RFC 7638 section 3.1 */
{
	struct bg_error err = { 0 };
	struct bg_jwk *key = parse("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}", &err);
	char thumbprint[BG_THUMBPRINT_LEN + 1];

	ck_reason(key != NULL ? 0 : -1, err, BG_R_OK, "RFC 7638");
	ck_assert_str_eq(key->kid, "2011-04-29");
	ck_assert_uint_eq(key->size, 256);
	ck_reason(bg_jwk_thumbprint(key, thumbprint, &err), err, BG_R_OK, "thumbprint");
	ck_assert_str_eq(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	bg_jwk_free(key);
}
END_TEST

#define RSA(rest)	"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\"," rest "}"

static const struct {
	const char    *name, *text;
	enum bg_reason want;
} keys[] = {
	{ "the least", RSA("\"e\":\"AQAB\""), BG_R_OK },
	{ "use sig", RSA("\"e\":\"AQAB\",\"use\":\"sig\""), BG_R_OK },
	{ "use enc", RSA("\"e\":\"AQAB\",\"use\":\"enc\""), BG_R_BAD_JWK },			/* SR-12 */
	{ "use a number", RSA("\"e\":\"AQAB\",\"use\":1"), BG_R_BAD_JWK },
	{ "key_ops verify", RSA("\"e\":\"AQAB\",\"key_ops\":[\"verify\"]"), BG_R_OK },
	{ "key_ops sign and verify", RSA("\"e\":\"AQAB\",\"key_ops\":[\"sign\",\"verify\"]"), BG_R_OK },
	{ "key_ops encrypt", RSA("\"e\":\"AQAB\",\"key_ops\":[\"encrypt\"]"), BG_R_BAD_JWK },	/* SR-12 */
	{ "key_ops empty", RSA("\"e\":\"AQAB\",\"key_ops\":[]"), BG_R_BAD_JWK },
	{ "key_ops a string", RSA("\"e\":\"AQAB\",\"key_ops\":\"verify\""), BG_R_BAD_JWK },
	{ "alg RS256", RSA("\"e\":\"AQAB\",\"alg\":\"RS256\""), BG_R_OK },
	{ "alg for encryption", RSA("\"e\":\"AQAB\",\"alg\":\"RSA-OAEP\""), BG_R_BAD_JWK },	/* SR-12 */
	{ "alg HS256 on an RSA key", RSA("\"e\":\"AQAB\",\"alg\":\"HS256\""), BG_R_BAD_JWK },	/* SR-1 */
	{ "alg none", RSA("\"e\":\"AQAB\",\"alg\":\"none\""), BG_R_BAD_JWK },
	{ "alg a number", RSA("\"e\":\"AQAB\",\"alg\":1"), BG_R_BAD_JWK },
	{ "exponent 3", RSA("\"e\":\"Aw\""), BG_R_OK },
	{ "exponent 1", RSA("\"e\":\"AQ\""), BG_R_BAD_JWK },					/* SR-10 */
	{ "exponent 0", RSA("\"e\":\"AA\""), BG_R_BAD_JWK },
	{ "exponent even", RSA("\"e\":\"AQAC\""), BG_R_BAD_JWK },
	{ "exponent of 33 bits", RSA("\"e\":\"AQAAAAE\""), BG_R_OK },
	{ "exponent of 34 bits", RSA("\"e\":\"AgAAAAE\""), BG_R_BAD_JWK },			/* SR-10 */
	{ "exponent padded", RSA("\"e\":\"AQAB=\""), BG_R_BAD_JWK },				/* SR-31 */
	{ "exponent missing", "{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\"}", BG_R_BAD_JWK },
	{ "exponent empty", RSA("\"e\":\"\""), BG_R_BAD_JWK },
	{ "modulus missing", "{\"kty\":\"RSA\",\"e\":\"AQAB\"}", BG_R_BAD_JWK },
	{ "modulus a number", "{\"kty\":\"RSA\",\"n\":5,\"e\":\"AQAB\"}", BG_R_BAD_JWK },
	{ "modulus tiny", "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", BG_R_BAD_JWK },	/* SR-10 */
	{ "modulus with a zero in front", "{\"kty\":\"RSA\",\"n\":\"ANL8e2oKHmxnEErrj4iyV2abTfZ53a0Jm1xKbNmogBW1oTO_C4VseHG23wALVU_Os8"
	    "LtUSu2jxRcboQ0dS-rUqHPwSRAj3m1ikV4wWQohVeJ96JJ44TLLZ-uLWf9lvuSbBmOB3OZ_cgVwK8Jfd5are_0TecOgn9IeEMkOb_uuWBo0EdPxQ1tkL86"
	    "mN-vEEDInALWkqs7PCiWYJ2G_XO3dM4HQGR87uqjEL0S-YWo659Z_dQmzqWyEg9PKjS8q3ZLfmxU1oQCOLzEBYelnmbtHzOJRXdjXEcK91z5LCDR2kPhv8Q"
	    "Z4iKm8NC7NYxeOPnLBQrq_pBIFPGsGqScyp6gyoM\",\"e\":\"AQAB\"}", BG_R_OK },
	{ "kid empty", RSA("\"e\":\"AQAB\",\"kid\":\"\""), BG_R_OK },
	{ "kid a number", RSA("\"e\":\"AQAB\",\"kid\":1"), BG_R_BAD_JWK },
	{ "kty unknown", "{\"kty\":\"oct\",\"k\":\"AQAB\"}", BG_R_BAD_JWK },			/* SR-1, SR-2 */
	{ "kty in another case", "{\"kty\":\"rsa\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\"}", BG_R_BAD_JWK },
	{ "kty missing", "{}", BG_R_BAD_JWK },
	{ "no object", "[]", BG_R_BAD_JWK },
	{ "null", "null", BG_R_BAD_JWK },
};

START_TEST(a_key_is_fit_for_verifying_or_refused)
{
	struct bg_error err = { 0 };
	struct bg_jwk *key = parse(keys[_i].text, &err);

	ck_reason(key != NULL ? 0 : -1, err, keys[_i].want, keys[_i].name);
	bg_jwk_free(key);
}
END_TEST

static const struct { enum bg_mint_key key; enum bg_reason want; size_t size; } lengths[] = {
	{ BG_MINT_KEY_SHORT, BG_R_BAD_JWK, 0 },		/* SR-10 */
	{ BG_MINT_KEY_A, BG_R_OK, 256 },
	{ BG_MINT_KEY_LONG, BG_R_OK, 384 },
};

START_TEST(the_length_of_a_modulus_is_bounded_below)
{
	struct bg_error err = { 0 };
	struct bg_jwk *key;
	json_t *object;

	ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key(lengths[_i].key), NULL, &object, &err), 0);
	ck_reason(bg_jwk_parse(object, &key, &err), err, lengths[_i].want, "length");
	if (key != NULL)
		ck_assert_uint_eq(key->size, lengths[_i].size);
	bg_jwk_free(key);
	json_decref(object);
}
END_TEST

START_TEST(the_length_of_a_modulus_is_bounded_above)	/* SR-10 */
{
	for (int more = 0; more < 2; more++) {
		unsigned char n[BG_RSA_BITS_MAX / 8 + 1];
		size_t len = BG_RSA_BITS_MAX / 8 + (size_t)more;
		char text[2 * sizeof(n)];
		struct bg_error err = { 0 };
		struct bg_jwk *key;
		json_t *object;

		memset(n, 0xff, sizeof(n));
		bg_b64url_encode(text, n, len);
		object = json_pack("{s:s,s:s%,s:s}", "kty", "RSA", "n", text, BG_B64URL_ENCODED(len), "e", "AQAB");
		ck_assert_ptr_nonnull(object);
		ck_reason(bg_jwk_parse(object, &key, &err), err, more == 0 ? BG_R_OK : BG_R_BAD_JWK, "length");
		bg_jwk_free(key);
		json_decref(object);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("jwk");
	TCase *tc = tcase_create("jwk");

	tcase_add_test(tc, the_thumbprint_of_the_rfc_comes_out);
	tcase_add_loop_test(tc, a_key_is_fit_for_verifying_or_refused, 0, N(keys));
	tcase_add_loop_test(tc, the_length_of_a_modulus_is_bounded_below, 0, N(lengths));
	tcase_add_test(tc, the_length_of_a_modulus_is_bounded_above);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
