#include "tool/issuer.h"

#include <stdlib.h>

#include <check.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core/b64url.h"
#include "core/jwks.h"
#include "core/limits.h"
#include "core/secret.h"
#include "core/token.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define CLAIMS	"{\"iss\":\"https://id.example/\",\"exp\":2000000000}"

static const int bits[BG_MINT_KEYS] = {
	[BG_MINT_KEY_A] = 2048, [BG_MINT_KEY_B] = 2048, [BG_MINT_KEY_LONG] = 3072, [BG_MINT_KEY_SHORT] = 1024,
};

/* A public key of n and e of a JWK, by OpenSSL alone. */
static EVP_PKEY *
public_key(const json_t *jwk)
{
	unsigned char n[1024], e[8];
	long n_len = bg_b64url_decode(n, bg_json_string(json_object_get(jwk, "n")));
	long e_len = bg_b64url_decode(e, bg_json_string(json_object_get(jwk, "e")));
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;

	ck_assert_int_gt(n_len, 0);
	ck_assert_int_ne(n[0], 0);	/* RFC 7518 section 2: no leading zero */
	ck_assert_int_eq(e_len, 3);
	/* OSSL_PARAM wants numbers in the machine's order */
	for (long i = 0; i < n_len / 2; i++) {
		unsigned char c = n[i];

		n[i] = n[n_len - 1 - i];
		n[n_len - 1 - i] = c;
	}
	ck_assert_mem_eq(e, "\1\0\1", 3);	/* 65537, the same in both orders */

	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, (size_t)n_len),
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, (size_t)e_len),
		OSSL_PARAM_construct_end()
	};

	ck_assert_int_eq(EVP_PKEY_fromdata_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

START_TEST(openssl_verifies_a_token_with_n_and_e_of_its_jwk)	/* RFC 7515 section 5.1, RFC 7518 section 3.3 */
{
	char *compact = bg_mint_token((enum bg_mint_key)_i, NULL, CLAIMS);
	char *dot = strrchr(compact, '.');
	struct bg_error err = { 0 };
	unsigned char signature[1024];
	long len = bg_b64url_decode(signature, bg_slice_str(dot + 1));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey;
	json_t *jwk;

	ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key((enum bg_mint_key)_i), NULL, &jwk, &err), 0);
	pkey = public_key(jwk);
	ck_assert_int_eq(EVP_PKEY_get_bits(pkey), bits[_i]);
	ck_assert_int_eq(len, bits[_i] / 8);
	ck_assert_int_eq(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL), 1);
	ck_assert_int_eq(EVP_DigestVerify(ctx, signature, (size_t)len, (unsigned char *)compact,
	    (size_t)(dot - compact)), 1);
	/* and not one that is a byte shorter, lest the above hold for anything */
	ck_assert_int_eq(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL), 1);
	ck_assert_int_ne(EVP_DigestVerify(ctx, signature, (size_t)len, (unsigned char *)compact,
	    (size_t)(dot - compact) - 1), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	json_decref(jwk);
	free(compact);
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

START_TEST(a_jwk_has_the_public_members_and_no_private_one)	/* RFC 7517 section 4, RFC 7518 section 6.3.1 */
{
	static const char *const members[] = { "kty", "use", "alg", "kid", "n", "e" };
	struct bg_error err = { 0 };
	json_t *jwk;

	ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key(BG_MINT_KEY_A), NULL, &jwk, &err), 0);
	ck_assert_uint_eq(json_object_size(jwk), 6);
	for (size_t i = 0; i < 6; i++)
		ck_assert_msg(json_is_string(json_object_get(jwk, members[i])), "%s", members[i]);
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "kty")), "RSA");
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "use")), "sig");
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "alg")), "RS256");
	ck_assert_str_eq(json_string_value(json_object_get(jwk, "e")), "AQAB");
	json_decref(jwk);
}
END_TEST

START_TEST(a_key_is_named_by_its_thumbprint_unless_told_otherwise)	/* RFC 7638 section 3 */
{
	const struct bg_issuer_key *key = bg_mint_key((enum bg_mint_key)_i);
	char text[2048], want[BG_THUMBPRINT_LEN + 1] = "";
	unsigned char hash[BG_SHA256_LEN];
	struct bg_error err = { 0 };
	json_t *jwk;
	size_t len;

	ck_assert_int_eq(bg_issuer_key_jwk(key, NULL, &jwk, &err), 0);
	len = bg_format(text, sizeof(text), "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}",
	    json_string_value(json_object_get(jwk, "e")), json_string_value(json_object_get(jwk, "n")));
	ck_assert_int_eq(bg_sha256((struct bg_slice){ text, len }, hash, &err), 0);
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
	struct bg_issuer_key *made, *read;
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf pem;

	ck_assert_msg(bg_issuer_key_make(bg_issuer_alg_find(BG_SLICE("RS256")), 0, &made, &err) == 0, "%s", err.detail);
	bg_buf_init(&pem, BG_PEM_MAX);
	ck_assert_int_eq(bg_issuer_key_pem(made, &pem, &err), 0);
	ck_assert_int_eq(bg_buf_finish(&pem, &text, &err), 0);
	ck_assert(bg_slice_starts(text, BG_SLICE("-----BEGIN PRIVATE KEY-----\n")));	/* RFC 7468 section 10 */
	ck_assert_msg(bg_issuer_key_parse(text, &read, &err) == 0, "%s", err.detail);
	ck_assert_str_eq(bg_issuer_key_kid(read), bg_issuer_key_kid(made));
	ck_assert_str_eq(bg_issuer_key_alg(read), "RS256");
	ck_assert_str_ne(bg_issuer_key_kid(made), bg_mint_kid(BG_MINT_KEY_A));
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

START_TEST(an_algorithm_without_a_row_does_not_exist)	/* SR-1, SR-3 */
{
	static const char *const names[] = { "", "none", "None", "rs256", "RS256 ", "RS25", "HS256", "RS512" };

	for (int i = 0; i < N(names); i++)
		ck_assert_msg(bg_issuer_alg_find(bg_slice_str(names[i])) == NULL, "%s", names[i]);
	ck_assert_ptr_null(bg_issuer_alg_find((struct bg_slice){ NULL, 0 }));
	ck_assert_ptr_nonnull(bg_issuer_alg_find(BG_SLICE("RS256")));
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
	char *pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), PKCS8);

	refused(pem, strlen(pem), "key of type EC");
	free(pem);
	pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), PKCS8);
	refused(pem, strlen(pem), "key of type ED25519");
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
	tcase_add_loop_test(tc, openssl_verifies_a_token_with_n_and_e_of_its_jwk, 0, BG_MINT_KEYS);
	tcase_add_test(tc, core_accepts_a_token_under_its_own_key_and_no_other);
	tcase_add_test(tc, core_reads_back_the_header_and_claims_that_were_signed);
	tcase_add_loop_test(tc, anything_is_signed_as_it_stands, 0, 3);
	tcase_add_test(tc, a_token_over_its_ceiling_is_an_error_and_not_half_a_token);
	tcase_add_test(tc, a_compact_form_can_be_made_of_any_three_parts);
	suite_add_tcase(suite, tc);

	tc = tcase_create("public half");
	tcase_add_test(tc, a_jwk_has_the_public_members_and_no_private_one);
	tcase_add_loop_test(tc, a_key_is_named_by_its_thumbprint_unless_told_otherwise, 0, BG_MINT_KEYS);
	tcase_add_test(tc, a_key_set_holds_the_keys_that_may_be_used);
	suite_add_tcase(suite, tc);

	tc = tcase_create("private keys");
	tcase_set_timeout(tc, 60);	/* making keys takes as long as the dice want */
	tcase_add_test(tc, a_made_key_survives_being_written_and_read);
	tcase_add_loop_test(tc, only_keys_of_a_sane_length_are_made, 0, N(lengths));
	tcase_add_test(tc, an_algorithm_without_a_row_does_not_exist);
	tcase_add_test(tc, what_is_no_private_key_is_refused);
	tcase_add_test(tc, a_key_behind_a_passphrase_is_refused_without_asking_for_it);
	tcase_add_test(tc, a_key_no_algorithm_is_for_is_refused);
	tcase_add_test(tc, the_older_form_and_text_around_a_key_are_read);
	tcase_add_test(tc, a_key_file_that_cannot_be_read_is_told_from_one_that_is_no_key);
	suite_add_tcase(suite, tc);

	return bg_test_run(suite);
}
