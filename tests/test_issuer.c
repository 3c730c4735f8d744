#include "tool/issuer.h"

#include <stdlib.h>

#include <check.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/b64url.h"
#include "core/jwks.h"
#include "core/limits.h"
#include "core/secret.h"
#include "core/token.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define CLAIMS	"{\"iss\":\"https://id.example/\",\"exp\":2000000000}"

/* What the keys are, and what a signature by them is. */
static const struct { const char *type, *alg, *digest; int bits; long signature; } facts[BG_MINT_KEYS] = {
	[BG_MINT_KEY_A]       = { "RSA", "RS256", "SHA256", 2048, 256 },
	[BG_MINT_KEY_B]       = { "RSA", "RS256", "SHA256", 2048, 256 },
	[BG_MINT_KEY_LONG]    = { "RSA", "RS256", "SHA256", 3072, 384 },
	[BG_MINT_KEY_SHORT]   = { "RSA", "RS256", "SHA256", 1024, 128 },
	[BG_MINT_KEY_P256]    = { "EC", "ES256", "SHA256", 256, 64 },
	[BG_MINT_KEY_P384]    = { "EC", "ES384", "SHA384", 384, 96 },
	[BG_MINT_KEY_P521]    = { "EC", "ES512", "SHA512", 521, 132 },
	[BG_MINT_KEY_ED25519] = { "OKP", "EdDSA", NULL, 256, 64 },
};

/* A member in base64url, of exactly len bytes where that is not 0.  Returns how many. */
static long
member(const json_t *jwk, const char *name, unsigned char *dst, long len)
{
	long n = bg_b64url_decode(dst, bg_json_string(json_object_get(jwk, name)));

	ck_assert_int_gt(n, 0);
	ck_assert_msg(len == 0 || n == len, "%s has %ld bytes", name, n);
	return n;
}

/* OSSL_PARAM wants numbers in the machine's order. */
static void
turn(unsigned char *bytes, long len)
{
	for (long i = 0; i < len / 2; i++) {
		unsigned char c = bytes[i];

		bytes[i] = bytes[len - 1 - i];
		bytes[len - 1 - i] = c;
	}
}

/* The public key of a JWK by OpenSSL alone. */
static EVP_PKEY *
public_key(const json_t *jwk, enum bg_mint_key which)
{
	unsigned char n[1024], e[8], point[1 + 2 * 66] = { 4 };
	bool is_rsa = strcmp(facts[which].type, "RSA") == 0;
	OSSL_PARAM params[3] = { OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END };
	char curve[16];
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *pkey = NULL;
	long len;

	if (strcmp(facts[which].type, "OKP") == 0) {
		ck_assert_str_eq(json_string_value(json_object_get(jwk, "crv")), "Ed25519");
		member(jwk, "x", n, 32);	/* RFC 8037 section 2 */
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, n, 32);
	}
	if (is_rsa) {
		len = member(jwk, "n", n, 0);
		ck_assert_int_ne(n[0], 0);	/* RFC 7518 section 2: no leading zero */
		turn(n, len);
		member(jwk, "e", e, 3);
		ck_assert_mem_eq(e, "\1\0\1", 3);	/* 65537, the same in both orders */
		params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, (size_t)len);
		params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, 3);
	} else {
		len = facts[which].signature / 2;	/* RFC 7518 section 6.2.1.2: as long as the field */
		member(jwk, "x", point + 1, len);
		member(jwk, "y", point + 1 + len, len);
		bg_format(curve, sizeof(curve), "%s", json_string_value(json_object_get(jwk, "crv")));
		params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
		params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, (size_t)(1 + 2 * len));
	}
	ctx = EVP_PKEY_CTX_new_from_name(NULL, facts[which].type, NULL);
	ck_assert_int_eq(EVP_PKEY_fromdata_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* r and s as OpenSSL wants them; returns the length.  RFC 7518 section 3.4 is the way there. */
static long
to_der(unsigned char *signature, long len)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *at = signature;

	ECDSA_SIG_set0(sig, BN_bin2bn(signature, (int)len / 2, NULL), BN_bin2bn(signature + len / 2, (int)len / 2, NULL));
	len = i2d_ECDSA_SIG(sig, &at);
	ECDSA_SIG_free(sig);
	return len;
}

static int
openssl_verify(EVP_PKEY *pkey, const char *digest, bool pss, const unsigned char *signature, long len, const char *text,
    size_t text_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int rc;

	ck_assert_int_eq(EVP_DigestVerifyInit_ex(ctx, &pctx, digest, NULL, NULL, pkey, NULL), 1);
	if (pss) {
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, EVP_MD_get_size(EVP_get_digestbyname(digest))), 1);
	}
	rc = EVP_DigestVerify(ctx, signature, (size_t)len, (const unsigned char *)text, text_len);
	EVP_MD_CTX_free(ctx);
	return rc;
}

START_TEST(openssl_verifies_a_token_with_the_members_of_its_jwk)	/* RFC 7515 section 5.1, RFC 7518 section 3 */
{
	enum bg_mint_key which = (enum bg_mint_key)_i;
	char *compact = bg_mint_token(which, NULL, CLAIMS);
	char *dot = strrchr(compact, '.');
	size_t input = (size_t)(dot - compact);
	struct bg_error err = { 0 };
	unsigned char signature[1024];
	long len = bg_b64url_decode(signature, bg_slice_str(dot + 1));
	EVP_PKEY *pkey;
	json_t *jwk;

	ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key(which), NULL, &jwk, &err), 0);
	ck_assert_ptr_nonnull(pkey = public_key(jwk, which));
	ck_assert_int_eq(EVP_PKEY_get_bits(pkey), facts[_i].bits);
	ck_assert_int_eq(len, facts[_i].signature);
	if (strcmp(facts[_i].type, "EC") == 0)
		len = to_der(signature, len);
	ck_assert_int_eq(openssl_verify(pkey, facts[_i].digest, false, signature, len, compact, input), 1);
	/* and not one that is a byte shorter, lest the above hold for anything */
	ck_assert_int_ne(openssl_verify(pkey, facts[_i].digest, false, signature, len, compact, input - 1), 1);
	EVP_PKEY_free(pkey);
	json_decref(jwk);
	free(compact);
}
END_TEST

static const struct { const char *name, *digest; bool pss; } rsa_algs[] = {
	{ "RS256", "SHA256", false }, { "RS384", "SHA384", false }, { "RS512", "SHA512", false },
	{ "PS256", "SHA256", true }, { "PS384", "SHA384", true }, { "PS512", "SHA512", true },
};

START_TEST(an_rsa_key_signs_by_any_of_six_algorithms)	/* RFC 7518 sections 3.3 and 3.5 */
{
	char *compact = bg_mint_token_as(BG_MINT_KEY_A, rsa_algs[_i].name, NULL, CLAIMS);
	const char *dot = strrchr(compact, '.');
	json_t *jwk = bg_mint_jwk(BG_MINT_KEY_A, NULL, NULL);
	EVP_PKEY *pkey = public_key(jwk, BG_MINT_KEY_A);
	struct bg_error err = { 0 };
	unsigned char signature[1024];
	long len = bg_b64url_decode(signature, bg_slice_str(dot + 1));
	struct bg_token *token;

	ck_assert_int_eq(len, 256);
	for (int i = 0; i < N(rsa_algs); i++)
		ck_assert_int_eq(openssl_verify(pkey, rsa_algs[i].digest, rsa_algs[i].pss, signature, len, compact,
		    (size_t)(dot - compact)) == 1, i == _i);
	ck_assert_int_eq(bg_token_parse(bg_slice_str(compact), &token, &err), 0);
	ck_assert(bg_slice_equal(token->alg, bg_slice_str(rsa_algs[_i].name)));
	bg_token_free(token);
	EVP_PKEY_free(pkey);
	json_decref(jwk);
	free(compact);
}
END_TEST

START_TEST(a_key_signs_by_no_algorithm_of_another_type)	/* SR-1 */
{
	static const char *const names[] = { "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
		"Ed25519" };

	for (int i = 0; i < N(names); i++) {
		const struct bg_issuer_key *key = bg_mint_key((enum bg_mint_key)_i);
		bool fits = strcmp(facts[_i].type, "RSA") == 0 ? i < 6 :
		    strcmp(names[i], facts[_i].alg) == 0 || (_i == BG_MINT_KEY_ED25519 && i == N(names) - 1);	/* RFC 9864 */
		struct bg_issuer_key *other = NULL;
		struct bg_error err = { 0 };
		json_t *jwk;

		ck_reason(bg_issuer_key_as(key, bg_issuer_alg_find(bg_slice_str(names[i])), &other, &err), err,
		    fits ? BG_R_OK : BG_R_BAD_ALGORITHM, names[i]);
		ck_assert_int_eq(other != NULL, fits);
		if (!fits)
			continue;
		ck_assert_str_eq(bg_issuer_key_alg(other), names[i]);
		ck_assert_str_eq(bg_issuer_key_kid(other), bg_issuer_key_kid(key));	/* the same key still */
		ck_assert_str_eq(bg_issuer_key_alg(key), facts[_i].alg);
		ck_assert_int_eq(bg_issuer_key_jwk(other, NULL, &jwk, &err), 0);
		ck_assert_str_eq(json_string_value(json_object_get(jwk, "alg")), names[i]);
		json_decref(jwk);
		bg_issuer_key_free(other);
	}
}
END_TEST

START_TEST(a_key_too_short_for_its_digest_signs_nothing)	/* RFC 8017 section 9.1.1 step 3 */
{
	struct bg_issuer_key *key;
	struct bg_error err = { 0 };
	struct bg_buf token;

	ck_assert_int_eq(bg_issuer_key_as(bg_mint_key(BG_MINT_KEY_SHORT), bg_issuer_alg_find(BG_SLICE("PS512")), &key, &err), 0);
	bg_buf_init(&token, BG_MINTED_MAX);
	ck_reason(bg_issuer_sign(key, BG_SLICE("{}"), BG_SLICE("{}"), &token, &err), err, BG_R_INTERNAL, "PS512 by 1024 bits");
	bg_buf_clear(&token);
	bg_issuer_key_free(key);
}
END_TEST

/* What core makes of a token, judged with the key set of one key. */
static enum bg_reason
verdict(const char *compact, enum bg_mint_key which)
{
	const struct bg_alg *alg = bg_alg_find(BG_SLICE("RS256"));
	char *text = bg_mint_jwks(&which, 1);
	struct bg_error err = { 0 };
	const struct bg_jwk *key;
	struct bg_token *token;
	struct bg_jwks *set;

	ck_assert_msg(bg_jwks_parse(bg_slice_str(text), "test", &set, &err) == 0, "%s", err.detail);
	ck_assert_msg(bg_token_parse(bg_slice_str(compact), &token, &err) == 0, "%s", err.detail);
	key = bg_jwks_next(set, NULL, bg_slice_str(bg_mint_kid(which)), alg);
	ck_assert_ptr_nonnull(key);
	if (alg->verify(alg, key, token->signing_input, token->signature, &err) == 0)
		ck_assert_int_eq(err.reason, BG_R_OK);
	bg_token_free(token);
	bg_jwks_unref(set);
	free(text);
	return err.reason;
}

START_TEST(core_accepts_a_token_under_its_own_key_and_no_other)
{
	char *token = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS);
	char *forged = bg_mint_token_forged(BG_MINT_KEY_A, NULL, CLAIMS);

	ck_assert_int_eq(verdict(token, BG_MINT_KEY_A), BG_R_OK);
	ck_assert_int_eq(verdict(token, BG_MINT_KEY_B), BG_R_BAD_SIGNATURE);
	ck_assert_int_eq(verdict(token, BG_MINT_KEY_LONG), BG_R_BAD_SIGNATURE);
	ck_assert_int_eq(verdict(forged, BG_MINT_KEY_A), BG_R_BAD_SIGNATURE);
	free(token);
	free(forged);
}
END_TEST

START_TEST(core_reads_back_the_header_and_claims_that_were_signed)
{
	char *compact = bg_mint_token(BG_MINT_KEY_B, NULL, CLAIMS);
	struct bg_error err = { 0 };
	struct bg_token *token;

	ck_assert_msg(bg_token_parse(bg_slice_str(compact), &token, &err) == 0, "%s", err.detail);
	ck_assert(bg_slice_equal(token->alg, BG_SLICE("RS256")));
	ck_assert(bg_slice_equal(token->typ, BG_SLICE("at+jwt")));	/* RFC 9068 section 2.1 */
	ck_assert(bg_slice_equal(token->kid, bg_slice_str(bg_mint_kid(BG_MINT_KEY_B))));
	ck_assert_str_eq(json_string_value(json_object_get(token->payload, "iss")), "https://id.example/");
	ck_assert_int_eq(json_integer_value(json_object_get(token->payload, "exp")), 2000000000);
	bg_token_free(token);
	free(compact);
}
END_TEST

START_TEST(anything_is_signed_as_it_stands)	/* every bad token can be made, and only what is meant to be bad is */
{
	static const struct { const char *header, *payload, *input; } rows[] = {
		{ "",                "",     ".." },
		{ "{",               "\xff", "ew._w." },
		{ "{\"alg\":\"none\"}", "{}", "eyJhbGciOiJub25lIn0.e30." },	/* RFC 7519 section 6.1 has this header */
	};
	const struct bg_issuer_key *key = bg_mint_key(BG_MINT_KEY_A);
	struct bg_error err = { 0 };
	struct bg_buf token;
	size_t len = strlen(rows[_i].input);

	bg_buf_init(&token, BG_MINTED_MAX);
	bg_buf_put_str(&token, "left over");
	ck_assert_int_eq(bg_issuer_sign(key, bg_slice_str(rows[_i].header), bg_slice_str(rows[_i].payload), &token, &err),
	    0);
	ck_assert_uint_eq(token.len, len + BG_B64URL_ENCODED(256));
	ck_assert_int_eq(strncmp(token.data, rows[_i].input, len), 0);
	bg_buf_clear(&token);
}
END_TEST

START_TEST(a_token_over_its_ceiling_is_an_error_and_not_half_a_token)
{
	struct bg_error err = { 0 };
	struct bg_buf token;

	/* room for the signing input, not for the signature */
	bg_buf_init(&token, 40);
	ck_assert_int_eq(bg_issuer_sign(bg_mint_key(BG_MINT_KEY_A), BG_SLICE("{}"), BG_SLICE("{}"), &token, &err), -1);
	ck_assert_int_eq(err.reason, BG_R_INTERNAL);
	bg_buf_clear(&token);

	/* not even for that */
	bg_error_clear(&err);
	bg_buf_init(&token, 4);
	ck_assert_int_eq(bg_issuer_sign(bg_mint_key(BG_MINT_KEY_A), BG_SLICE("{}"), BG_SLICE("{}"), &token, &err), -1);
	ck_assert_int_eq(err.reason, BG_R_INTERNAL);
	bg_buf_clear(&token);
}
END_TEST

START_TEST(a_jwk_has_the_public_members_and_no_private_one)	/* RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2 */
{
	static const char *const rsa[] = { "e", "n" }, *const ec[] = { "crv", "x", "y" }, *const okp[] = { "crv", "x" };
	const char *type = facts[_i].type;
	const char *const *members = strcmp(type, "RSA") == 0 ? rsa : strcmp(type, "EC") == 0 ? ec : okp;
	size_t n = members == ec ? 3 : 2;
	struct bg_error err = { 0 };
	json_t *jwk;

	ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key((enum bg_mint_key)_i), NULL, &jwk, &err), 0);
	ck_assert_uint_eq(json_object_size(jwk), 4 + n);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(json_is_string(json_object_get(jwk, members[i])), "%s", members[i]);
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "kty")), type);
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "use")), "sig");
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "alg")), facts[_i].alg);
	ck_assert(json_is_string(json_object_get(jwk, "kid")));
	json_decref(jwk);
}
END_TEST

START_TEST(a_proof_carries_its_key_and_verifies_by_it)	/* RFC 9449 sections 4.2 and 4.3 */
{
	enum bg_mint_key which = (enum bg_mint_key)_i;
	char *proof = bg_mint_proof(which, NULL, NULL, NULL), *dot = strrchr(proof, '.');
	char head[4096];
	unsigned char signature[BG_SIGNATURE_MAX];
	json_t *header, *jwk;
	EVP_PKEY *pkey;
	long len;

	len = bg_b64url_decode((unsigned char *)head, (struct bg_slice){ proof, strcspn(proof, ".") });
	ck_assert_int_gt(len, 0);
	header = json_loadb(head, (size_t)len, 0, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(header, "typ")), "dpop+jwt");
	ck_assert_str_eq(json_string_value(json_object_get(header, "alg")), facts[which].alg);
	ck_assert_uint_eq(json_object_size(header), 3);
	ck_assert_ptr_nonnull(jwk = json_object_get(header, "jwk"));
	ck_assert_uint_eq(json_object_size(jwk), strcmp(facts[which].type, "EC") == 0 ? 4 : 3);	/* and no private member */
	pkey = public_key(jwk, which);
	len = bg_b64url_decode(signature, bg_slice_str(dot + 1));
	ck_assert_int_eq(len, facts[which].signature);
	if (strcmp(facts[which].type, "EC") == 0)
		len = to_der(signature, len);
	ck_assert_int_eq(openssl_verify(pkey, facts[which].digest, false, signature, len, proof, (size_t)(dot - proof)), 1);
	EVP_PKEY_free(pkey);
	json_decref(header);
	free(proof);
}
END_TEST

START_TEST(the_members_of_a_proof_can_be_others)
{
	char *proof = bg_mint_proof(BG_MINT_KEY_A, "PS256", "{\"typ\":\"jwt\",\"jwk\":null}", "{\"htm\":\"POST\",\"jti\":null,\"nonce\":\"n\"}");
	char *other = bg_mint_proof(BG_MINT_KEY_A, "PS256", NULL, NULL), *again = bg_mint_proof(BG_MINT_KEY_A, "PS256", NULL, NULL);
	const char *body = strchr(proof, '.') + 1;
	unsigned char text[4096];
	long len;

	len = bg_b64url_decode(text, (struct bg_slice){ proof, (size_t)(body - 1 - proof) });
	text[len] = '\0';
	ck_assert_str_eq((char *)text, "{\"typ\":\"jwt\",\"alg\":\"PS256\"}");
	len = bg_b64url_decode(text, (struct bg_slice){ body, strcspn(body, ".") });
	text[len] = '\0';
	ck_assert_str_eq((char *)text, "{\"htm\":\"POST\",\"htu\":\"" BG_MINT_HTU "\",\"iat\":1700000000,\"nonce\":\"n\"}");
	body = strchr(other, '.') + 1;
	ck_assert_int_ne(strncmp(body, strchr(again, '.') + 1, strcspn(body, ".")), 0);	/* each has a jti of its own */
	free(again);
	free(other);
	free(proof);
}
END_TEST

START_TEST(what_a_proof_says_of_a_token_is_its_hash)	/* RFC 9449 section 7.1: the example's token and ath */
{
	char *ath = bg_mint_ath("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");

	ck_assert_str_eq(ath, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
	ck_assert_str_eq(bg_mint_jkt(BG_MINT_KEY_P256), bg_mint_kid(BG_MINT_KEY_P256));
	free(ath);
}
END_TEST

START_TEST(a_key_is_named_by_its_thumbprint_unless_told_otherwise)	/* RFC 7638 section 3 */
{
	const struct bg_issuer_key *key = bg_mint_key((enum bg_mint_key)_i);
	static const char *const others[] = { "alg", "kid", "use" };
	char want[BG_THUMBPRINT_LEN + 1] = "", *text;
	unsigned char hash[BG_SHA256_LEN];
	struct bg_error err = { 0 };
	json_t *jwk, *bare;

	ck_assert_int_eq(bg_issuer_key_jwk(key, NULL, &jwk, &err), 0);
	bare = json_copy(jwk);
	for (int i = 0; i < N(others); i++)
		json_object_del(bare, others[i]);
	text = json_dumps(bare, JSON_COMPACT | JSON_SORT_KEYS);
	ck_assert_int_eq(bg_sha256(bg_slice_str(text), hash, &err), 0);
	free(text);
	json_decref(bare);
	bg_b64url_encode(want, hash, sizeof(hash));
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "kid")), want);
	ck_assert_str_eq(bg_issuer_key_kid(key), want);
	json_decref(jwk);

	ck_assert_int_eq(bg_issuer_key_jwk(key, "summer", &jwk, &err), 0);
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "kid")), "summer");
	json_decref(jwk);
	ck_assert_int_eq(bg_issuer_key_jwk(key, "\xff", &jwk, &err), -1);
	ck_assert_int_eq(err.reason, BG_R_INTERNAL);
	ck_assert_ptr_null(jwk);
}
END_TEST

START_TEST(a_key_set_holds_the_keys_that_may_be_used)
{
	static const enum bg_mint_key all[] = { BG_MINT_KEY_SHORT, BG_MINT_KEY_A, BG_MINT_KEY_LONG };
	char *text = bg_mint_jwks(all, 3);
	struct bg_error err = { 0 };
	struct bg_jwks *set;

	ck_assert_int_eq(bg_jwks_parse(bg_slice_str(text), "test", &set, &err), 0);
	ck_assert_uint_eq(bg_jwks_count(set), 2);
	ck_assert(bg_jwks_has_kid(set, bg_slice_str(bg_mint_kid(BG_MINT_KEY_A))));
	ck_assert(bg_jwks_has_kid(set, bg_slice_str(bg_mint_kid(BG_MINT_KEY_LONG))));
	ck_assert(!bg_jwks_has_kid(set, bg_slice_str(bg_mint_kid(BG_MINT_KEY_SHORT))));	/* SR-10 */
	ck_assert(!bg_jwks_has_kid(set, bg_slice_str(bg_mint_kid(BG_MINT_KEY_B))));
	bg_jwks_unref(set);
	free(text);
}
END_TEST

START_TEST(a_made_key_survives_being_written_and_read)
{
	const char *alg = facts[_i].alg;
	struct bg_issuer_key *made, *read;
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf pem;

	ck_assert_msg(bg_issuer_key_make(bg_issuer_alg_find(bg_slice_str(alg)), 0, &made, &err) == 0, "%s", err.detail);
	bg_buf_init(&pem, BG_PEM_MAX);
	ck_assert_int_eq(bg_issuer_key_pem(made, &pem, &err), 0);
	ck_assert_int_eq(bg_buf_finish(&pem, &text, &err), 0);
	ck_assert(bg_slice_starts(text, BG_SLICE("-----BEGIN PRIVATE KEY-----\n")));	/* RFC 7468 section 10 */
	ck_assert_msg(bg_issuer_key_parse(text, &read, &err) == 0, "%s", err.detail);
	ck_assert_str_eq(bg_issuer_key_kid(read), bg_issuer_key_kid(made));
	ck_assert_str_eq(bg_issuer_key_alg(read), alg);
	ck_assert_str_ne(bg_issuer_key_kid(made), bg_mint_kid((enum bg_mint_key)_i));
	bg_issuer_key_free(made);
	bg_issuer_key_free(read);
	bg_buf_clear(&pem);
}
END_TEST

static const struct { unsigned bits; bool made; } lengths[] = {
	{ 1, false }, { 511, false }, { 512, true }, { 1024, true }, { 8193, false }, { 1000000, false },
};

START_TEST(only_keys_of_a_sane_length_are_made)
{
	struct bg_issuer_key *key = NULL;
	struct bg_error err = { 0 };

	ck_reason(bg_issuer_key_make(bg_issuer_alg_find(BG_SLICE("RS256")), lengths[_i].bits, &key, &err), err,
	    lengths[_i].made ? BG_R_OK : BG_R_BAD_JWK, "key");
	ck_assert_int_eq(key != NULL, lengths[_i].made);
	bg_issuer_key_free(key);
}
END_TEST

START_TEST(only_rsa_keys_come_in_lengths)
{
	static const char *const algs[] = { "ES256", "ES384", "ES512", "EdDSA" };

	for (int i = 0; i < N(algs); i++) {
		struct bg_issuer_key *key = NULL;
		struct bg_error err = { 0 };

		ck_reason(bg_issuer_key_make(bg_issuer_alg_find(bg_slice_str(algs[i])), 256, &key, &err), err, BG_R_BAD_JWK, algs[i]);
		ck_assert_ptr_nonnull(strstr(err.detail, algs[i]));
		ck_assert_ptr_null(key);
	}
}
END_TEST

START_TEST(an_algorithm_without_a_row_does_not_exist)	/* SR-1, SR-3 */
{
	static const char *const names[] = { "", "none", "None", "rs256", "RS256 ", "RS25", "HS256", "ES256K", "ES521", "Ed448" };

	for (int i = 0; i < N(names); i++)
		ck_assert_msg(bg_issuer_alg_find(bg_slice_str(names[i])) == NULL, "%s", names[i]);
	ck_assert_ptr_null(bg_issuer_alg_find((struct bg_slice){ NULL, 0 }));
	/* and what the messages promise is there */
	for (struct bg_slice rest = BG_SLICE(BG_ISSUER_ALGS), name; bg_slice_word(&rest, &name);)
		ck_assert_msg(bg_issuer_alg_find(name) != NULL, "%.*s", BG_SLICE_ARG(name));
}
END_TEST

/* PEM of a key by OpenSSL; the caller frees it. */
enum form { PKCS8, ENCRYPTED, PUBLIC, TRADITIONAL };

static char *
pem_of(EVP_PKEY *pkey, enum form form)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;
	int ok = 0;

	ck_assert_ptr_nonnull(pkey);
	switch (form) {
	case PKCS8:
		ok = PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
		break;
	case ENCRYPTED:
		ok = PEM_write_bio_PKCS8PrivateKey(bio, pkey, EVP_aes_128_cbc(), "summer", 6, NULL, NULL);
		break;
	case PUBLIC:
		ok = PEM_write_bio_PUBKEY(bio, pkey);
		break;
	case TRADITIONAL:
		ok = PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL);
		break;
	}
	ck_assert_int_eq(ok, 1);
	len = BIO_get_mem_data(bio, &data);
	ck_assert_ptr_nonnull(text = strndup(data, (size_t)len));
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return text;
}

static void
refused(const char *pem, size_t len, const char *why)
{
	struct bg_issuer_key *key = NULL;
	struct bg_error err = { 0 };

	ck_assert_int_eq(bg_issuer_key_parse((struct bg_slice){ pem, len }, &key, &err), -1);
	ck_assert_ptr_null(key);
	ck_assert_int_eq(err.reason, BG_R_BAD_JWK);
	ck_assert_msg(strstr(err.detail, why) != NULL, "\"%s\" does not say \"%s\"", err.detail, why);
}

START_TEST(what_is_no_private_key_is_refused)
{
	static char large[BG_PEM_MAX + 1];
	char *pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), PUBLIC);

	refused(pem, strlen(pem), "no private key in PEM");
	free(pem);
	refused(NULL, 0, "no private key in PEM");
	refused("", 0, "no private key in PEM");
	refused("hello", 5, "no private key in PEM");
	refused("-----BEGIN PRIVATE KEY-----\n", 28, "no private key in PEM");
	refused("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 59, "no private key in PEM");
	refused(large, sizeof(large), "more than 65536 bytes");

	pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), PKCS8);
	refused(pem, strlen(pem) / 2, "no private key in PEM");
	free(pem);
}
END_TEST

START_TEST(a_key_behind_a_passphrase_is_refused_without_asking_for_it)
{
	char *pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), ENCRYPTED);

	refused(pem, strlen(pem), "behind a passphrase");
	free(pem);
}
END_TEST

START_TEST(a_key_no_algorithm_is_for_is_refused)
{
	static const char *const curves[] = { "secp256k1", "P-224", "P-192", "brainpoolP256r1" };
	char *pem;

	for (int i = 0; i < N(curves); i++) {
		pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[i]), PKCS8);
		refused(pem, strlen(pem), "key of type EC on this curve; there is RS256");
		free(pem);
	}
	pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), PKCS8);
	refused(pem, strlen(pem), "key of type ED448");
	free(pem);
	pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), PKCS8);
	refused(pem, strlen(pem), "key of type X25519");
	free(pem);
}
END_TEST

START_TEST(the_older_form_of_an_ec_key_is_read)	/* RFC 5915 */
{
	char *pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), TRADITIONAL);
	struct bg_issuer_key *key = NULL;
	struct bg_error err = { 0 };

	ck_assert_ptr_nonnull(strstr(pem, "BEGIN EC PRIVATE KEY"));
	ck_assert_msg(bg_issuer_key_parse(bg_slice_str(pem), &key, &err) == 0, "%s", err.detail);
	ck_assert_str_eq(bg_issuer_key_alg(key), "ES384");
	bg_issuer_key_free(key);
	free(pem);
}
END_TEST

START_TEST(the_older_form_and_text_around_a_key_are_read)
{
	char *pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), TRADITIONAL);
	struct bg_issuer_key *key = NULL;
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf buf;

	bg_buf_init(&buf, BG_PEM_MAX);
	bg_buf_put_format(&buf, "# the key of June\n%sand no more\n", pem);
	ck_assert_int_eq(bg_buf_finish(&buf, &text, &err), 0);
	ck_assert_ptr_nonnull(strstr(text.ptr, "BEGIN RSA PRIVATE KEY"));
	ck_assert_msg(bg_issuer_key_parse(text, &key, &err) == 0, "%s", err.detail);
	ck_assert_str_eq(bg_issuer_key_alg(key), "RS256");
	bg_issuer_key_free(key);
	bg_buf_clear(&buf);
	free(pem);
}
END_TEST

static void
unloadable(const char *path, enum bg_reason reason, const char *why)
{
	struct bg_issuer_key *key = NULL;
	struct bg_error err = { 0 };

	ck_assert_int_eq(bg_issuer_key_load(path, &key, &err), -1);
	ck_assert_ptr_null(key);
	ck_assert_int_eq(err.reason, reason);
	ck_assert_msg(strstr(err.detail, why) != NULL, "\"%s\" does not say \"%s\"", err.detail, why);
}

START_TEST(a_key_file_that_cannot_be_read_is_told_from_one_that_is_no_key)
{
	unloadable("/nonexistent/key.pem", BG_R_FETCH_FAILED, "No such file");
	unloadable("", BG_R_FETCH_FAILED, "No such file");
	unloadable("/", BG_R_FETCH_FAILED, "directory");
	unloadable("/dev/null", BG_R_BAD_JWK, "no private key in PEM");
	unloadable("/dev/zero", BG_R_BAD_JWK, "more than 65536 bytes");	/* and does not read on for ever */
}
END_TEST

START_TEST(a_compact_form_can_be_made_of_any_three_parts)	/* RFC 7519 section 6.1: the unsecured one */
{
	char *token = bg_mint_compact(BG_SLICE("{\"alg\":\"none\"}"), BG_SLICE("{}"), BG_SLICE(""));

	ck_assert_str_eq(token, "eyJhbGciOiJub25lIn0.e30.");
	free(token);
	token = bg_mint_compact(BG_SLICE(""), BG_SLICE("\0"), BG_SLICE("\xff\xff\xff"));
	ck_assert_str_eq(token, ".AA.____");
	free(token);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("issuer");
	TCase *tc;

	tc = tcase_create("tokens");
	tcase_add_loop_test(tc, openssl_verifies_a_token_with_the_members_of_its_jwk, 0, BG_MINT_KEYS);
	tcase_add_loop_test(tc, an_rsa_key_signs_by_any_of_six_algorithms, 0, N(rsa_algs));
	tcase_add_loop_test(tc, a_key_signs_by_no_algorithm_of_another_type, 0, BG_MINT_KEYS);
	tcase_add_test(tc, a_key_too_short_for_its_digest_signs_nothing);
	tcase_add_test(tc, core_accepts_a_token_under_its_own_key_and_no_other);
	tcase_add_test(tc, core_reads_back_the_header_and_claims_that_were_signed);
	tcase_add_loop_test(tc, anything_is_signed_as_it_stands, 0, 3);
	tcase_add_test(tc, a_token_over_its_ceiling_is_an_error_and_not_half_a_token);
	tcase_add_test(tc, a_compact_form_can_be_made_of_any_three_parts);
	suite_add_tcase(suite, tc);

	tc = tcase_create("public half");
	tcase_add_loop_test(tc, a_jwk_has_the_public_members_and_no_private_one, 0, BG_MINT_KEYS);
	tcase_add_loop_test(tc, a_proof_carries_its_key_and_verifies_by_it, 0, BG_MINT_KEYS);
	tcase_add_test(tc, the_members_of_a_proof_can_be_others);
	tcase_add_test(tc, what_a_proof_says_of_a_token_is_its_hash);
	tcase_add_loop_test(tc, a_key_is_named_by_its_thumbprint_unless_told_otherwise, 0, BG_MINT_KEYS);
	tcase_add_test(tc, a_key_set_holds_the_keys_that_may_be_used);
	suite_add_tcase(suite, tc);

	tc = tcase_create("private keys");
	tcase_set_timeout(tc, 60);	/* making keys takes as long as the dice want */
	tcase_add_loop_test(tc, a_made_key_survives_being_written_and_read, BG_MINT_KEY_SHORT, BG_MINT_KEYS);	/* each type once */
	tcase_add_loop_test(tc, only_keys_of_a_sane_length_are_made, 0, N(lengths));
	tcase_add_test(tc, only_rsa_keys_come_in_lengths);
	tcase_add_test(tc, an_algorithm_without_a_row_does_not_exist);
	tcase_add_test(tc, what_is_no_private_key_is_refused);
	tcase_add_test(tc, a_key_behind_a_passphrase_is_refused_without_asking_for_it);
	tcase_add_test(tc, a_key_no_algorithm_is_for_is_refused);
	tcase_add_test(tc, the_older_form_of_an_ec_key_is_read);
	tcase_add_test(tc, the_older_form_and_text_around_a_key_are_read);
	tcase_add_test(tc, a_key_file_that_cannot_be_read_is_told_from_one_that_is_no_key);
	suite_add_tcase(suite, tc);

	return bg_test_run(suite);
}
