#include "core/jwks.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/limits.h"
#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

/* A set of the public halves of keys, each under the kid beside it (NULL: none at all); with what append holds. */
struct entry { enum bg_mint_key key; const char *kid; };

static struct bg_jwks *
set_of(const struct entry *entries, size_t n)
{
	json_t *root = json_pack("{s:[]}", "keys"), *object;
	struct bg_error err = { 0 };
	struct bg_jwks *set;
	char *text;

	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key(entries[i].key), entries[i].kid, &object, &err), 0);
		if (entries[i].kid == NULL)
			json_object_del(object, "kid");
		json_array_append_new(json_object_get(root, "keys"), object);
	}
	text = json_dumps(root, 0);
	ck_reason(bg_jwks_parse(bg_slice_str(text), "test", &set, &err), err, BG_R_OK, "set");
	free(text);
	json_decref(root);
	return set;
}

static const struct { const char *name, *text; enum bg_reason want; } bad[] = {
	{ "no keys member", "{}", BG_R_BAD_JWKS },
	{ "keys an object", "{\"keys\":{}}", BG_R_BAD_JWKS },		/* SR-27 */
	{ "keys empty", "{\"keys\":[]}", BG_R_BAD_JWKS },
	{ "no usable key", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AQAB\"},1,null,[]]}", BG_R_BAD_JWKS },
	{ "an array", "[]", BG_R_BAD_JWKS },
	{ "no JSON", "<html>", BG_R_BAD_JWKS },
	{ "nothing", "", BG_R_BAD_JWKS },
};

START_TEST(a_set_that_is_none_is_refused)
{
	struct bg_error err = { 0 };
	struct bg_jwks *set;

	ck_reason(bg_jwks_parse(bg_slice_str(bad[_i].text), "test", &set, &err), err, bad[_i].want, bad[_i].name);
	ck_assert_ptr_null(set);
}
END_TEST

START_TEST(a_set_has_at_most_100_keys)	/* SR-52 */
{
	static const enum bg_mint_key a[] = { BG_MINT_KEY_A };
	char *one = bg_mint_jwks(a, 1);
	json_t *root = json_loads(one, 0, NULL), *keys = json_object_get(root, "keys");

	while (json_array_size(keys) < BG_JWKS_KEYS_MAX)
		json_array_append(keys, json_array_get(keys, 0));
	for (int more = 0; more < 2; more++) {
		char *text = json_dumps(root, 0);
		struct bg_error err = { 0 };
		struct bg_jwks *set;

		ck_reason(bg_jwks_parse(bg_slice_str(text), "test", &set, &err), err, more == 0 ? BG_R_OK : BG_R_BAD_JWKS, "count");
		bg_jwks_unref(set);
		free(text);
		json_array_append(keys, json_array_get(keys, 0));
	}
	json_decref(root);
	free(one);
}
END_TEST

START_TEST(a_key_that_cannot_be_used_does_not_spoil_the_others)
{
	static const struct entry entries[] = { { BG_MINT_KEY_SHORT, "short" }, { BG_MINT_KEY_A, "a" }, { BG_MINT_KEY_B, "b" } };
	struct bg_jwks *set = set_of(entries, 3);

	ck_assert_uint_eq(bg_jwks_count(set), 2);
	ck_assert(!bg_jwks_has_kid(set, BG_SLICE("short")));
	ck_assert(bg_jwks_has_kid(set, BG_SLICE("a")));
	ck_assert(bg_jwks_has_kid(set, BG_SLICE("b")));
	bg_jwks_unref(set);
}
END_TEST

static size_t
count_fitting_alg(const struct bg_jwks *set, struct bg_slice kid, const char *name)
{
	const struct bg_alg *alg = bg_alg_find(bg_slice_str(name));
	const struct bg_jwk *key = NULL;
	size_t n = 0;

	while ((key = bg_jwks_next(set, key, kid, alg)) != NULL)
		n++;
	return n;
}

static size_t
count_fitting(const struct bg_jwks *set, struct bg_slice kid)
{
	return count_fitting_alg(set, kid, "RS256");
}

START_TEST(every_key_of_a_kid_is_walked_once)	/* SR-12 */
{
	static const struct entry entries[] = {
		{ BG_MINT_KEY_A, "x" }, { BG_MINT_KEY_LONG, "y" }, { BG_MINT_KEY_B, "x" }, { BG_MINT_KEY_LONG, NULL },
	};
	struct bg_jwks *set = set_of(entries, 4);

	ck_assert_uint_eq(count_fitting(set, BG_SLICE("x")), 2);
	ck_assert_uint_eq(count_fitting(set, BG_SLICE("y")), 1);
	ck_assert_uint_eq(count_fitting(set, BG_SLICE("X")), 0);
	ck_assert_uint_eq(count_fitting(set, BG_SLICE("")), 0);
	ck_assert_uint_eq(count_fitting(set, (struct bg_slice){ NULL, 0 }), 0);	/* four could be meant */
	bg_jwks_unref(set);
}
END_TEST

START_TEST(without_a_kid_the_only_key_that_fits_is_meant)
{
	static const struct entry entries[] = { { BG_MINT_KEY_A, "x" } };
	struct bg_jwks *set = set_of(entries, 1);

	ck_assert_uint_eq(count_fitting(set, (struct bg_slice){ NULL, 0 }), 1);
	bg_jwks_unref(set);
}
END_TEST

START_TEST(the_keys_of_other_types_are_passed_over)	/* SR-12: one kid for all, and none at all */
{
	static const struct entry entries[] = {
		{ BG_MINT_KEY_P256, "x" }, { BG_MINT_KEY_A, "x" }, { BG_MINT_KEY_ED25519, "x" }, { BG_MINT_KEY_P521, "x" },
	};
	static const struct { const char *alg; size_t n; } fitting[] = {
		{ "RS256", 1 }, { "PS256", 0 }, { "RS512", 0 },		/* the RSA key says alg RS256 */
		{ "ES256", 1 }, { "ES384", 0 }, { "ES512", 1 }, { "EdDSA", 1 },
	};
	struct bg_jwks *set = set_of(entries, 4);

	ck_assert_uint_eq(bg_jwks_count(set), 4);
	for (int i = 0; i < N(fitting); i++) {
		ck_assert_msg(count_fitting_alg(set, BG_SLICE("x"), fitting[i].alg) == fitting[i].n, "%s", fitting[i].alg);
		ck_assert_msg(count_fitting_alg(set, (struct bg_slice){ NULL, 0 }, fitting[i].alg) == fitting[i].n, "%s", fitting[i].alg);
		ck_assert_uint_eq(count_fitting_alg(set, BG_SLICE("y"), fitting[i].alg), 0);
	}
	bg_jwks_unref(set);
}
END_TEST

/* Keys in PEM. */

enum block { PUBLIC, RSA_PUBLIC, CERTIFICATE, PRIVATE };

/* Put a fixed key into text as such a block; by OpenSSL alone, so that a mistake of ours does not hide. */
static void
put_block(struct bg_buf *text, const char *file, enum block block)
{
	const char *srcdir = getenv("srcdir");
	BIO *out = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	EVP_PKEY *pkey;
	char path[4096], *data;
	FILE *in;
	long len;

	bg_format(path, sizeof(path), "%s/tests/support/keys/%s.pem", srcdir != NULL ? srcdir : ".", file);
	ck_assert_ptr_nonnull(in = fopen(path, "re"));
	ck_assert_ptr_nonnull(pkey = PEM_read_PrivateKey(in, NULL, NULL, NULL));
	fclose(in);
	switch (block) {
	case PUBLIC:
		ck_assert_int_eq(PEM_write_bio_PUBKEY(out, pkey), 1);
		break;
	case RSA_PUBLIC:
		ck_assert_int_gt(len = i2d_PublicKey(pkey, &der), 0);
		ck_assert_int_gt(PEM_write_bio(out, PEM_STRING_RSA_PUBLIC, "", der, len), 0);
		OPENSSL_free(der);
		break;
	case PRIVATE:
		ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL), 1);
		break;
	case CERTIFICATE: {
		X509 *cert = X509_new();

		ck_assert_int_eq(X509_set_version(cert, X509_VERSION_3), 1);
		ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(cert), -7200));
		ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(cert), -3600));	/* over: nobody asks */
		ck_assert_int_eq(X509_set_pubkey(cert, pkey), 1);
		ck_assert_int_ne(X509_sign(cert, pkey, strcmp(file, "ed25519") == 0 ? NULL : EVP_sha256()), 0);
		ck_assert_int_eq(PEM_write_bio_X509(out, cert), 1);
		X509_free(cert);
		break;
	}
	}
	len = BIO_get_mem_data(out, &data);
	bg_buf_put(text, (struct bg_slice){ data, (size_t)len });
	EVP_PKEY_free(pkey);
	BIO_free(out);
}

static const struct { const char *name, *file; enum bg_mint_key key; enum block block; const char *alg; } pems[] = {
	{ "RSA", "rsa-2048-a", BG_MINT_KEY_A, PUBLIC, "RS256" },
	{ "RSA, for PSS too", "rsa-2048-a", BG_MINT_KEY_A, PUBLIC, "PS512" },
	{ "RSA in its older form", "rsa-2048-a", BG_MINT_KEY_A, RSA_PUBLIC, "RS256" },
	{ "RSA in a certificate that has run out", "rsa-2048-a", BG_MINT_KEY_A, CERTIFICATE, "RS384" },
	{ "P-256", "p256", BG_MINT_KEY_P256, PUBLIC, "ES256" },
	{ "P-384", "p384", BG_MINT_KEY_P384, PUBLIC, "ES384" },
	{ "P-521 in a certificate", "p521", BG_MINT_KEY_P521, CERTIFICATE, "ES512" },
	{ "Ed25519", "ed25519", BG_MINT_KEY_ED25519, PUBLIC, "EdDSA" },
};

START_TEST(a_key_in_pem_judges_tokens_of_any_kid)
{
	struct bg_error err = { 0 };
	const struct bg_jwk *key;
	struct bg_slice text;
	struct bg_jwks *set;
	struct bg_buf buf;

	bg_buf_init(&buf, BG_PEM_MAX);
	bg_buf_put_str(&buf, "Text before it, as openssl x509 -text has it: {\n");
	put_block(&buf, pems[_i].file, pems[_i].block);
	bg_buf_put_str(&buf, "and behind it\n");
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	ck_reason(bg_jwks_parse_file(text, "test", &set, &err), err, BG_R_OK, pems[_i].name);
	ck_assert_uint_eq(bg_jwks_count(set), 1);
	ck_assert_str_eq(bg_jwks_get(set, 0)->kid, bg_mint_kid(pems[_i].key));	/* the thumbprint of the same key */
	ck_assert(bg_jwks_has_kid(set, BG_SLICE("any")));
	key = bg_jwks_next(set, NULL, BG_SLICE("any"), bg_alg_find(bg_slice_str(pems[_i].alg)));
	ck_assert_ptr_eq(key, bg_jwks_get(set, 0));
	ck_assert_ptr_null(bg_jwks_next(set, key, BG_SLICE("any"), bg_alg_find(bg_slice_str(pems[_i].alg))));
	/* but none of another type */
	ck_assert_ptr_null(bg_jwks_next(set, NULL, BG_SLICE("any"), bg_alg_find(bg_slice_str(pems[_i].key == BG_MINT_KEY_A ? "ES256" : "RS256"))));
	bg_jwks_unref(set);
	/* the issuer's answer is no place for it */
	ck_reason(bg_jwks_parse(text, "test", &set, &err), err, BG_R_BAD_JWKS, "from the issuer");
	ck_assert_ptr_null(set);
	bg_buf_clear(&buf);
}
END_TEST

static const struct { const char *name, *file; enum block block; const char *more; enum bg_reason want; const char *words; } bad_pems[] = {
	{ "a private key", "rsa-2048-a", PRIVATE, "", BG_R_BAD_JWK, "private key" },
	{ "a short RSA key", "rsa-1024", PUBLIC, "", BG_R_BAD_JWK, "1024 bits" },	/* SR-10 */
	{ "a good key and rubbish", "p256", PUBLIC, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", BG_R_BAD_JWK, "" },
	{ "a good key and half of another", "p256", PUBLIC, "-----BEGIN PUBLIC KEY-----\nAAAA\n", BG_R_BAD_JWK, "no end" },
	{ "something else", "p256", PUBLIC, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", BG_R_BAD_JWK, "neither a public key" },
	{ "another end", "p256", PUBLIC, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END CERTIFICATE-----\n", BG_R_BAD_JWK, "" },
};

START_TEST(a_file_in_pem_is_good_as_a_whole_or_not_at_all)
{
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_jwks *set;
	struct bg_buf buf;

	bg_buf_init(&buf, BG_PEM_MAX);
	put_block(&buf, bad_pems[_i].file, bad_pems[_i].block);
	bg_buf_put_str(&buf, bad_pems[_i].more);
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	ck_reason(bg_jwks_parse_file(text, "test", &set, &err), err, bad_pems[_i].want, bad_pems[_i].name);
	ck_assert_msg(strstr(err.detail, bad_pems[_i].words) != NULL, "%s: %s", bad_pems[_i].name, err.detail);
	ck_assert_ptr_null(set);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_file_in_pem_has_few_keys)	/* each is tried on every token */
{
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_jwks *set;
	struct bg_buf buf;

	bg_buf_init(&buf, BG_PEM_MAX);
	for (int i = 0; i < BG_PEM_KEYS_MAX; i++)
		put_block(&buf, "p256", PUBLIC);
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	ck_reason(bg_jwks_parse_file(text, "test", &set, &err), err, BG_R_OK, "eight");
	bg_jwks_unref(set);
	put_block(&buf, "p256", PUBLIC);
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	ck_reason(bg_jwks_parse_file(text, "test", &set, &err), err, BG_R_BAD_JWKS, "nine");
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_file_may_be_a_key_set_too)
{
	static const enum bg_mint_key a[] = { BG_MINT_KEY_A };
	char *jwks = bg_mint_jwks(a, 1);
	struct bg_error err = { 0 };
	struct bg_jwks *set;

	ck_reason(bg_jwks_parse_file(bg_slice_str(jwks), "test", &set, &err), err, BG_R_OK, "a set");
	ck_assert(bg_jwks_has_kid(set, bg_slice_str(bg_mint_kid(BG_MINT_KEY_A))));
	ck_assert(!bg_jwks_has_kid(set, BG_SLICE("any")));
	bg_jwks_unref(set);
	free(jwks);
	ck_reason(bg_jwks_parse_file(BG_SLICE(""), "test", &set, &err), err, BG_R_BAD_JWKS, "nothing");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("jwks");
	TCase *tc = tcase_create("jwks");

	tcase_add_loop_test(tc, a_set_that_is_none_is_refused, 0, N(bad));
	tcase_add_test(tc, a_set_has_at_most_100_keys);
	tcase_add_test(tc, a_key_that_cannot_be_used_does_not_spoil_the_others);
	tcase_add_test(tc, every_key_of_a_kid_is_walked_once);
	tcase_add_test(tc, the_keys_of_other_types_are_passed_over);
	tcase_add_test(tc, without_a_kid_the_only_key_that_fits_is_meant);
	tcase_add_loop_test(tc, a_key_in_pem_judges_tokens_of_any_kid, 0, N(pems));
	tcase_add_loop_test(tc, a_file_in_pem_is_good_as_a_whole_or_not_at_all, 0, N(bad_pems));
	tcase_add_test(tc, a_file_in_pem_has_few_keys);
	tcase_add_test(tc, a_file_may_be_a_key_set_too);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
