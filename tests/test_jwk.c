#include "core/jwk.h"

#include "core/b64url.h"
#include "core/limits.h"
#include "core/secret.h"
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

/* The same modulus less one. */
#define RFC7638_N_EVEN	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXj" \
			"BZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs" \
			"8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G" \
			"_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgg"

/* Keys of RFC 7515 appendices A.3 and A.4 and of RFC 8037 appendix A.2. */
#define X256	"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y256	"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define X521	"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk"
#define Y521	"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"
#define ED	"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ZERO32	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* The prime and the generator of P-256.  SEC 2 section 2.4.2. */
#define P256_P	"_____wAAAAEAAAAAAAAAAAAAAAD_______________8"
#define P256_GX	"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY"
#define P256_Y0	"ZkhceA4vg9ckM71dhKBrtlQcKvMdrocXKL-FahdPk_Q"	/* at x 0: the root of b */
#define P256_GY	"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"

#define EC(crv, x, y, rest)	"{\"kty\":\"EC\",\"crv\":\"" crv "\",\"x\":\"" x "\",\"y\":\"" y "\"" rest "}"
#define OKP(crv, x, rest)	"{\"kty\":\"OKP\",\"crv\":\"" crv "\",\"x\":\"" x "\"" rest "}"

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
	{ "modulus even", "{\"kty\":\"RSA\",\"n\":\"" RFC7638_N_EVEN "\",\"e\":\"AQAB\"}", BG_R_BAD_JWK },
	{ "alg PS512 on an RSA key", RSA("\"e\":\"AQAB\",\"alg\":\"PS512\""), BG_R_OK },
	{ "alg ES256 on an RSA key", RSA("\"e\":\"AQAB\",\"alg\":\"ES256\""), BG_R_BAD_JWK },	/* SR-12 */

	{ "P-256", EC("P-256", X256, Y256, ""), BG_R_OK },
	{ "P-521", EC("P-521", X521, Y521, ""), BG_R_OK },
	{ "P-256, its generator", EC("P-256", P256_GX, P256_GY, ""), BG_R_OK },
	{ "P-256, use sig, key_ops verify, alg ES256", EC("P-256", X256, Y256, ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"alg\":\"ES256\""), BG_R_OK },
	{ "P-256, use enc", EC("P-256", X256, Y256, ",\"use\":\"enc\""), BG_R_BAD_JWK },				/* SR-12 */
	{ "P-256, key_ops deriveKey", EC("P-256", X256, Y256, ",\"key_ops\":[\"deriveKey\"]"), BG_R_BAD_JWK },
	{ "P-256, key_ops sign alone", EC("P-256", X256, Y256, ",\"key_ops\":[\"sign\"]"), BG_R_BAD_JWK },
	{ "P-256, alg of another curve", EC("P-256", X256, Y256, ",\"alg\":\"ES384\""), BG_R_BAD_JWK },		/* SR-12 */
	{ "P-521, alg of another curve", EC("P-521", X521, Y521, ",\"alg\":\"ES256\""), BG_R_BAD_JWK },
	{ "P-256, alg of another type", EC("P-256", X256, Y256, ",\"alg\":\"RS256\""), BG_R_BAD_JWK },
	{ "P-256, alg HS256", EC("P-256", X256, Y256, ",\"alg\":\"HS256\""), BG_R_BAD_JWK },			/* SR-1 */
	{ "P-256, alg ECDH-ES", EC("P-256", X256, Y256, ",\"alg\":\"ECDH-ES\""), BG_R_BAD_JWK },
	{ "secp256k1", EC("secp256k1", X256, Y256, ""), BG_R_BAD_JWK },						/* SR-10 */
	{ "P-224", EC("P-224", X256, Y256, ""), BG_R_BAD_JWK },
	{ "P-192", EC("P-192", X256, Y256, ""), BG_R_BAD_JWK },
	{ "prime256v1, which is P-256 elsewhere", EC("prime256v1", X256, Y256, ""), BG_R_BAD_JWK },
	{ "p-256", EC("p-256", X256, Y256, ""), BG_R_BAD_JWK },
	{ "crv empty", EC("", X256, Y256, ""), BG_R_BAD_JWK },
	{ "Ed25519 under EC", EC("Ed25519", X256, Y256, ""), BG_R_BAD_JWK },
	{ "P-256 said to be P-384", EC("P-384", X256, Y256, ""), BG_R_BAD_JWK },
	{ "P-256 said to be P-521", EC("P-521", X256, Y256, ""), BG_R_BAD_JWK },
	{ "P-521 said to be P-256", EC("P-256", X521, Y521, ""), BG_R_BAD_JWK },
	{ "crv missing", "{\"kty\":\"EC\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"}", BG_R_BAD_JWK },
	{ "crv a number", "{\"kty\":\"EC\",\"crv\":256,\"x\":\"" X256 "\",\"y\":\"" Y256 "\"}", BG_R_BAD_JWK },
	{ "x missing", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"" Y256 "\"}", BG_R_BAD_JWK },
	{ "y missing", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\"}", BG_R_BAD_JWK },
	{ "y a number", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":1}", BG_R_BAD_JWK },
	{ "y a boolean, as compressed points had it", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":true}", BG_R_BAD_JWK },
	{ "x empty", EC("P-256", "", Y256, ""), BG_R_BAD_JWK },
	{ "x and y empty, the point at infinity", EC("P-256", "", "", ""), BG_R_BAD_JWK },
	{ "x a byte short", EC("P-256", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA", Y256, ""), BG_R_BAD_JWK },	/* RFC 7518 section 6.2.1.2 */
	{ "y a byte short", EC("P-256", X256, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5Q", ""), BG_R_BAD_JWK },
	{ "x a byte long", EC("P-256", X256 "A", Y256, ""), BG_R_BAD_JWK },
	{ "y a byte long", EC("P-256", X256, Y256 "A", ""), BG_R_BAD_JWK },
	{ "x with a zero in front", EC("P-256", "AH_Nzidw9sRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF", Y256, ""), BG_R_BAD_JWK },
	{ "x padded", EC("P-256", X256 "=", Y256, ""), BG_R_BAD_JWK },						/* SR-31 */
	{ "y in base64", EC("P-256", X256, "x/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0", ""), BG_R_BAD_JWK },
	{ "y with a space", EC("P-256", X256, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a ", ""), BG_R_BAD_JWK },
	{ "y with bits left over", EC("P-256", X256, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1", ""), BG_R_BAD_JWK },
	{ "x and y swapped: not on the curve", EC("P-256", Y256, X256, ""), BG_R_BAD_JWK },			/* CVE-2015-7940 and such */
	{ "a bit of y changed: not on the curve", EC("P-256", X256, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5aw", ""), BG_R_BAD_JWK },
	{ "x and y zero", EC("P-256", ZERO32, ZERO32, ""), BG_R_BAD_JWK },
	{ "x the prime", EC("P-256", P256_P, Y256, ""), BG_R_BAD_JWK },
	{ "x zero, which is on the curve", EC("P-256", ZERO32, P256_Y0, ""), BG_R_OK },
	{ "the prime instead of that zero, another spelling of one key", EC("P-256", P256_P, P256_Y0, ""), BG_R_BAD_JWK },
	{ "all ones", EC("P-256", "__________________________________________8", "__________________________________________8", ""), BG_R_BAD_JWK },

	{ "Ed25519", OKP("Ed25519", ED, ""), BG_R_OK },
	{ "Ed25519, use sig, key_ops verify, alg EdDSA", OKP("Ed25519", ED, ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"alg\":\"EdDSA\""), BG_R_OK },
	{ "Ed25519, use enc", OKP("Ed25519", ED, ",\"use\":\"enc\""), BG_R_BAD_JWK },				/* SR-12 */
	{ "Ed25519, key_ops sign alone", OKP("Ed25519", ED, ",\"key_ops\":[\"sign\"]"), BG_R_BAD_JWK },
	{ "Ed25519, alg of another type", OKP("Ed25519", ED, ",\"alg\":\"ES256\""), BG_R_BAD_JWK },
	{ "Ed448", OKP("Ed448", ED, ""), BG_R_BAD_JWK },
	{ "X25519", OKP("X25519", ED, ""), BG_R_BAD_JWK },							/* RFC 8037 section 3.2: not for signing */
	{ "X448", OKP("X448", ED, ""), BG_R_BAD_JWK },
	{ "ed25519", OKP("ed25519", ED, ""), BG_R_BAD_JWK },
	{ "P-256 under OKP", OKP("P-256", ED, ""), BG_R_BAD_JWK },
	{ "OKP without crv", "{\"kty\":\"OKP\",\"x\":\"" ED "\"}", BG_R_BAD_JWK },
	{ "OKP without x", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", BG_R_BAD_JWK },
	{ "OKP, x of 31 bytes", OKP("Ed25519", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ", ""), BG_R_BAD_JWK },
	{ "OKP, x of 33 bytes", OKP("Ed25519", ED "A", ""), BG_R_BAD_JWK },
	{ "OKP, x padded", OKP("Ed25519", ED "=", ""), BG_R_BAD_JWK },						/* SR-31 */
	{ "OKP, x empty", OKP("Ed25519", "", ""), BG_R_BAD_JWK },
	{ "OKP, x a number", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":1}", BG_R_BAD_JWK },
	{ "OKP, x zero", OKP("Ed25519", ZERO32, ""), BG_R_BAD_JWK },						/* more in test_alg.c */

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

/* A refusal has to be for the reason its name says, or half the table above would prove nothing. */
static const struct { const char *name, *text, *words; } details[] = {
	{ "unknown curve", EC("secp256k1", X256, Y256, ""), "crv \"secp256k1\" is not known" },
	{ "unknown curve of OKP", OKP("Ed448", ED, ""), "crv \"Ed448\" is not known" },
	{ "no curve", "{\"kty\":\"OKP\",\"x\":\"" ED "\"}", "crv \"\" is not known" },
	{ "short", EC("P-256", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA", Y256, ""), "a coordinate of P-256 has 32 bytes" },
	{ "long", EC("P-256", X256, Y256 "A", ""), "y is too long" },
	{ "padded", EC("P-256", X256 "=", Y256, ""), "x is too long" },
	{ "not base64url", EC("P-256", X256, "x/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0", ""), "y is not base64url" },
	{ "missing", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\"}", "y is nothing, not a string" },
	{ "not on the curve", EC("P-256", Y256, X256, ""), "EC: " },
	{ "zero", EC("P-256", ZERO32, ZERO32, ""), "EC: " },
	{ "alg of another curve", EC("P-256", X256, Y256, ",\"alg\":\"ES384\""), "alg \"ES384\" is not for verifying with this type" },
	{ "use", OKP("Ed25519", ED, ",\"use\":\"enc\""), "use is not \"sig\"" },
	{ "key_ops", OKP("Ed25519", ED, ",\"key_ops\":[\"sign\"]"), "key_ops has no \"verify\"" },
	{ "OKP short", OKP("Ed25519", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ", ""), "x of Ed25519 has 32 bytes" },
	{ "even modulus", "{\"kty\":\"RSA\",\"n\":\"" RFC7638_N_EVEN "\",\"e\":\"AQAB\"}", "modulus even" },
};

START_TEST(the_log_learns_what_is_wrong_with_a_key)
{
	struct bg_error err = { 0 };
	struct bg_jwk *key = parse(details[_i].text, &err);

	ck_assert_ptr_null(key);
	ck_assert_msg(strstr(err.detail, details[_i].words) != NULL, "%s: %s", details[_i].name, err.detail);
}
END_TEST

START_TEST(a_coordinate_is_as_long_as_the_field)	/* RFC 7518 section 6.2.1.2; SR-6 */
{
	static const struct { enum bg_mint_key key; size_t len; } curves[] = {
		{ BG_MINT_KEY_P256, 32 }, { BG_MINT_KEY_P384, 48 }, { BG_MINT_KEY_P521, 66 }, { BG_MINT_KEY_ED25519, 32 },
	};
	static const char *const members[] = { "x", "y" };

	for (int m = 0; m < (curves[_i].key == BG_MINT_KEY_ED25519 ? 1 : 2); m++)
		for (size_t len = 0; len < 2 * curves[_i].len + 2; len++) {
			json_t *object = bg_mint_jwk(curves[_i].key, NULL, NULL);
			unsigned char bytes[256] = { 0 };
			char text[BG_B64URL_ENCODED(sizeof(bytes))];
			struct bg_error err = { 0 };
			struct bg_jwk *key;

			/* the good value, cut or with zeros behind it */
			ck_assert_int_eq(bg_b64url_decode(bytes, bg_json_string(json_object_get(object, members[m]))), (long)curves[_i].len);
			bg_b64url_encode(text, bytes, len);
			json_object_set_new(object, members[m], json_stringn(text, BG_B64URL_ENCODED(len)));
			ck_reason(bg_jwk_parse(object, &key, &err), err, len == curves[_i].len ? BG_R_OK : BG_R_BAD_JWK, members[m]);
			bg_jwk_free(key);
			json_decref(object);
		}
}
END_TEST

START_TEST(the_thumbprint_is_of_the_members_that_make_the_key)	/* RFC 7638 section 3.2, RFC 8037 section 2 */
{
	static const enum bg_mint_key of[] = { BG_MINT_KEY_LONG, BG_MINT_KEY_P256, BG_MINT_KEY_P384, BG_MINT_KEY_P521, BG_MINT_KEY_ED25519 };
	static const char *const needed[] = { "crv", "e", "kty", "n", "x", "y" };
	json_t *object = bg_mint_jwk(of[_i], NULL, "any"), *bare = json_object();
	char thumbprint[BG_THUMBPRINT_LEN + 1], want[BG_THUMBPRINT_LEN + 1] = "";
	unsigned char hash[BG_SHA256_LEN];
	struct bg_error err = { 0 };
	struct bg_jwk *key;
	char *text;

	for (int i = 0; i < N(needed); i++)
		if (json_object_get(object, needed[i]) != NULL)
			json_object_set(bare, needed[i], json_object_get(object, needed[i]));
	text = json_dumps(bare, JSON_COMPACT | JSON_SORT_KEYS);	/* by jansson, not by us */
	ck_assert_int_eq(bg_sha256(bg_slice_str(text), hash, &err), 0);
	bg_b64url_encode(want, hash, sizeof(hash));
	ck_assert_int_eq(bg_jwk_parse(object, &key, &err), 0);
	ck_reason(bg_jwk_thumbprint(key, thumbprint, &err), err, BG_R_OK, text);
	ck_assert_str_eq(thumbprint, want);
	key->has_point = false;		/* by OpenSSL, as of keys from PEM */
	ck_reason(bg_jwk_thumbprint(key, thumbprint, &err), err, BG_R_OK, text);
	ck_assert_str_eq(thumbprint, want);
	bg_jwk_free(key);
	free(text);
	json_decref(bare);
	json_decref(object);
}
END_TEST

static const struct { enum bg_mint_key key; enum bg_reason want; size_t size; } lengths[] = {
	{ BG_MINT_KEY_SHORT, BG_R_BAD_JWK, 0 },		/* SR-10 */
	{ BG_MINT_KEY_A, BG_R_OK, 256 },
	{ BG_MINT_KEY_LONG, BG_R_OK, 384 },
	{ BG_MINT_KEY_P256, BG_R_OK, 64 },
	{ BG_MINT_KEY_P384, BG_R_OK, 96 },
	{ BG_MINT_KEY_P521, BG_R_OK, 132 },
	{ BG_MINT_KEY_ED25519, BG_R_OK, 64 },
};

START_TEST(a_key_knows_how_long_its_signatures_are)	/* SR-6; a short modulus has none: SR-10 */
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

		memset(n, 0xff, sizeof(n));	/* odd, as it has to be */
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
	tcase_add_loop_test(tc, the_log_learns_what_is_wrong_with_a_key, 0, N(details));
	tcase_add_loop_test(tc, a_coordinate_is_as_long_as_the_field, 0, 4);
	tcase_add_loop_test(tc, the_thumbprint_is_of_the_members_that_make_the_key, 0, 5);
	tcase_add_loop_test(tc, a_key_knows_how_long_its_signatures_are, 0, N(lengths));
	tcase_add_test(tc, the_length_of_a_modulus_is_bounded_above);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
