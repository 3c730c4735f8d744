/* The ten algorithms, from the row to OpenSSL and back.  What an issuer makes of them is in test_signature.c. */
#include "core/alg.h"

#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/b64url.h"
#include "core/jwks.h"
#include "core/limits.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

static const struct row {
	const char      *name;
	enum bg_mint_key key;
	size_t           len;		/* bytes of a signature */
	const char      *digest;
	bool             pss;
} rows[] = {
	{ "RS256", BG_MINT_KEY_A,       256, "SHA256", false },	/* RFC 7518 section 3.3 */
	{ "RS384", BG_MINT_KEY_A,       256, "SHA384", false },
	{ "RS512", BG_MINT_KEY_A,       256, "SHA512", false },
	{ "PS256", BG_MINT_KEY_A,       256, "SHA256", true },	/* RFC 7518 section 3.5 */
	{ "PS384", BG_MINT_KEY_A,       256, "SHA384", true },
	{ "PS512", BG_MINT_KEY_A,       256, "SHA512", true },
	{ "ES256", BG_MINT_KEY_P256,    64,  "SHA256", false },	/* RFC 7518 section 3.4 */
	{ "ES384", BG_MINT_KEY_P384,    96,  "SHA384", false },
	{ "ES512", BG_MINT_KEY_P521,    132, "SHA512", false },
	{ "EdDSA", BG_MINT_KEY_ED25519, 64,  NULL,     false },	/* RFC 8037 section 3.1 */
	{ "Ed25519", BG_MINT_KEY_ED25519, 64, NULL,    false },	/* RFC 9864 section 2.2 */
};

enum { FIRST_PSS = 3, FIRST_ES = 6, EDDSA = 9 };

/* Something signed: text "." and the signature, decoded, in room for more than it needs. */
struct signed_text {
	char            *compact;
	struct bg_slice  input;
	unsigned char    signature[2 * BG_SIGNATURE_MAX];
	size_t           len;
};

static const struct bg_alg *
alg_of(const struct row *row)
{
	const struct bg_alg *alg = bg_alg_find(bg_slice_str(row->name));

	ck_assert_msg(alg != NULL, "%s", row->name);
	return alg;
}

/* The public half, with "alg" as given, as it is in a set: what it keeps from one signature must change none after it. */
static struct bg_jwk *
key_of(enum bg_mint_key which, const char *alg)
{
	json_t *object = bg_mint_jwk(which, alg, "k");
	struct bg_error err = { 0 };
	struct bg_jwk *key;

	ck_reason(bg_jwk_parse(object, &key, &err), err, BG_R_OK, "key");
	ck_assert_int_eq(bg_jwk_keep(key, NULL), 0);
	json_decref(object);
	return key;
}

static struct signed_text
sign(const struct row *row, const char *claims)
{
	struct signed_text text = { .compact = bg_mint_token_as(row->key, row->name, NULL, claims) };
	const char *dot = strrchr(text.compact, '.');
	long n = bg_b64url_decode(text.signature, bg_slice_str(dot + 1));

	ck_assert_int_gt(n, 0);
	text.len = (size_t)n;
	text.input = (struct bg_slice){ text.compact, (size_t)(dot - text.compact) };
	return text;
}

static struct bg_slice
bytes(const void *ptr, size_t len)
{
	return (struct bg_slice){ ptr, len };
}

/* Verify, wanting a reason and, where words is not NULL, these words of the detail. */
static void
judge(const struct row *row, const struct bg_jwk *key, struct bg_slice input, struct bg_slice signature, enum bg_reason want,
    const char *words, const char *what)
{
	const struct bg_alg *alg = alg_of(row);
	struct bg_error err = { 0 };
	char name[128];

	bg_format(name, sizeof(name), "%s: %s", row->name, what);
	ck_reason(alg->verify(alg, key, input, signature, &err), err, want, name);
	ck_assert_msg(words == NULL || strstr(err.detail, words) != NULL, "%s: \"%s\" does not say \"%s\"", name, err.detail,
	    words != NULL ? words : "");
}

/* The private key as OpenSSL has it, for what tool/issuer.c would never make; EVP_PKEY_free. */
static EVP_PKEY *
private_key(enum bg_mint_key which)
{
	struct bg_buf pem;
	EVP_PKEY *pkey;
	BIO *bio;

	bg_buf_init(&pem, BG_PEM_MAX);
	ck_assert_int_eq(bg_issuer_key_pem(bg_mint_key(which), &pem, NULL), 0);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	ck_assert_ptr_nonnull(pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL));
	BIO_free(bio);
	bg_buf_clear(&pem);
	return pkey;
}

START_TEST(there_are_ten_algorithms_one_of_them_by_two_names_and_no_other)	/* SR-1, SR-3; RFC 7518 section 3.1 */
{
	static const char *const others[] = { "", "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS1", "RS2561", "RS25",
		"rs256", "RS256 ", " RS256", "ES256K", "ES521", "es256", "Ed448", "eddsa", "EDDSA", "PS1", "A128KW", "dir" };

	for (int i = 0; i < N(rows); i++)
		ck_assert(bg_slice_equal(alg_of(&rows[i])->name, bg_slice_str(rows[i].name)));
	for (int i = 0; i < N(others); i++)
		ck_assert_msg(bg_alg_find(bg_slice_str(others[i])) == NULL, "%s", others[i]);
	ck_assert_ptr_null(bg_alg_find(BG_SLICE("RS256\0")));
	ck_assert_ptr_null(bg_alg_find(BG_SLICE("none\0")));
	ck_assert_ptr_null(bg_alg_find((struct bg_slice){ NULL, 0 }));
}
END_TEST

START_TEST(a_good_signature_is_accepted)
{
	const struct row *row = &rows[_i];
	struct signed_text text = sign(row, "{}");
	struct bg_jwk *open = key_of(row->key, NULL), *bound = key_of(row->key, row->name);

	ck_assert_uint_eq(text.len, row->len);
	ck_assert_uint_eq(open->size, row->len);
	judge(row, open, text.input, bytes(text.signature, text.len), BG_R_OK, NULL, "a key for any algorithm of its type");
	judge(row, bound, text.input, bytes(text.signature, text.len), BG_R_OK, NULL, "a key for this algorithm");
	bg_jwk_free(open);
	bg_jwk_free(bound);
	free(text.compact);
}
END_TEST

/* Verify a good and a bad signature of each row of this key, one row after the other and back, so many times. */
static void
verify_in_turns(const struct bg_jwk *key, const struct signed_text *texts, int times)
{
	for (int i = 0; i < times; i++)
		for (size_t r = 0; r < N(rows); r++) {
			struct signed_text bad = texts[r];

			if (!bg_jwk_fits(key, alg_of(&rows[r])))
				continue;
			bad.signature[bad.len / 2] ^= 1;
			judge(&rows[r], key, texts[r].input, bytes(texts[r].signature, texts[r].len), BG_R_OK, NULL, "good");
			judge(&rows[r], key, texts[r].input, bytes(bad.signature, bad.len), BG_R_BAD_SIGNATURE, NULL, "bad");
			judge(&rows[r], key, texts[r].input, bytes(texts[r].signature, texts[r].len), BG_R_OK, NULL, "good behind it");
		}
}

struct turns {
	const struct bg_jwk      *key;
	const struct signed_text *texts;
};

static void *
take_turns(void *arg)
{
	const struct turns *turns = arg;

	verify_in_turns(turns->key, turns->texts, 40);
	return NULL;
}

/* With and without a shelf, one algorithm after the other on one RSA key, and by several threads at once. */
START_TEST(what_a_key_keeps_is_for_one_algorithm_and_one_thread)
{
	static const enum bg_mint_key which[] = { BG_MINT_KEY_A, BG_MINT_KEY_P256, BG_MINT_KEY_ED25519 };
	struct bg_jwk *key = key_of(which[_i], NULL), bare = *key;
	struct signed_text texts[N(rows)];
	struct turns turns = { key, texts };
	pthread_t threads[4];

	for (size_t r = 0; r < N(rows); r++)
		texts[r] = sign(&rows[r], "{\"sub\":\"a\"}");
	bare.shelf = NULL;
	verify_in_turns(&bare, texts, 2);
	verify_in_turns(key, texts, 3);
	for (size_t i = 0; i < N(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, &turns), 0);
	for (size_t i = 0; i < N(threads); i++)
		pthread_join(threads[i], NULL);
	for (size_t r = 0; r < N(rows); r++)
		free(texts[r].compact);
	bg_jwk_free(key);
}
END_TEST

START_TEST(every_byte_of_text_and_signature_counts)	/* SR-5 */
{
	const struct row *row = &rows[_i];
	struct signed_text text = sign(row, "{\"iss\":\"i\"}");
	struct bg_jwk *key = key_of(row->key, NULL);
	char what[64];

	for (size_t i = 0; i < text.input.len; i++) {
		bg_format(what, sizeof(what), "byte %zu of the text", i);
		text.compact[i] = (char)(text.compact[i] ^ (1 << i % 8));
		judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, NULL, what);
		text.compact[i] = (char)(text.compact[i] ^ (1 << i % 8));
	}
	for (size_t i = 0; i < text.len; i++) {
		bg_format(what, sizeof(what), "byte %zu of the signature", i);
		text.signature[i] = (unsigned char)(text.signature[i] ^ (1 << i % 8));
		judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, NULL, what);
		text.signature[i] = (unsigned char)(text.signature[i] ^ (1 << i % 8));
	}
	judge(row, key, bytes(text.input.ptr, text.input.len - 1), bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, NULL, "cut");
	judge(row, key, bytes("", 0), bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, NULL, "no text");
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_OK, NULL, "as it was");
	bg_jwk_free(key);
	free(text.compact);
}
END_TEST

START_TEST(another_length_is_refused_before_the_signature_is_looked_into)	/* SR-6; RFC 7518 section 3.4, RFC 8017 section 8 */
{
	const struct row *row = &rows[_i];
	struct signed_text text = sign(row, "{}");
	const size_t lens[] = { 0, 1, text.len / 2, text.len - 1, text.len + 1, text.len + 2, 2 * text.len, BG_SIGNATURE_MAX,
		sizeof(text.signature) };
	struct bg_jwk *key = key_of(row->key, NULL);
	unsigned char zero[1 + BG_SIGNATURE_MAX] = { 0 };

	for (int i = 0; i < N(lens); i++)
		judge(row, key, text.input, bytes(text.signature, lens[i]), BG_R_BAD_SIGNATURE, " bytes, ", "a good one and zeros");
	memcpy(text.signature + text.len, text.signature, text.len);
	judge(row, key, text.input, bytes(text.signature, 2 * text.len), BG_R_BAD_SIGNATURE, " bytes, ", "twice the good one");
	memcpy(zero + 1, text.signature, text.len);
	judge(row, key, text.input, bytes(zero, 1 + text.len), BG_R_BAD_SIGNATURE, " bytes, ", "a zero in front");
	judge(row, key, text.input, (struct bg_slice){ NULL, 0 }, BG_R_BAD_SIGNATURE, " bytes, ", "none at all");
	bg_jwk_free(key);
	free(text.compact);
}
END_TEST

START_TEST(a_key_serves_only_what_it_is_for)	/* SR-1, SR-12: every pair of key and algorithm */
{
	const struct row *signer = &rows[_i];
	struct signed_text text = sign(signer, "{}");

	for (int i = 0; i < N(rows); i++) {
		struct bg_jwk *open = key_of(rows[i].key, NULL), *bound = key_of(rows[i].key, rows[i].name);
		bool fits = rows[i].key == signer->key;

		ck_assert_int_eq(bg_jwk_fits(open, alg_of(signer)), fits);
		ck_assert_int_eq(bg_jwk_fits(bound, alg_of(signer)), i == _i);
		judge(signer, open, text.input, bytes(text.signature, text.len), fits ? BG_R_OK : BG_R_BAD_ALGORITHM, NULL, rows[i].name);
		judge(signer, bound, text.input, bytes(text.signature, text.len), i == _i ? BG_R_OK : BG_R_BAD_ALGORITHM, NULL,
		    rows[i].name);
		/* and the signature of one algorithm is none of another: digests and paddings are not guessed */
		if (fits && i != _i && signer->key != BG_MINT_KEY_ED25519)	/* whose two names are one algorithm, RFC 9864 */
			judge(&rows[i], open, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", signer->name);
		bg_jwk_free(open);
		bg_jwk_free(bound);
	}
	free(text.compact);
}
END_TEST

/* ---- RSA --------------------------------------------------------------------------------------------------------- */

/* Sign by hand: padding, salt length and digest of the mask as asked.  Returns the length. */
static size_t
sign_rsa(const struct row *row, EVP_PKEY *pkey, int padding, int salt, const char *mgf, struct bg_slice input, unsigned char *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	size_t len = BG_SIGNATURE_MAX;

	ck_assert_int_eq(EVP_DigestSignInit_ex(ctx, &pctx, row->digest, NULL, NULL, pkey, NULL), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(pctx, padding), 1);
	if (padding == RSA_PKCS1_PSS_PADDING) {
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt), 1);
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_mgf1_md_name(pctx, mgf, NULL), 1);
	}
	ck_assert_int_eq(EVP_DigestSign(ctx, out, &len, (const unsigned char *)input.ptr, input.len), 1);
	EVP_MD_CTX_free(ctx);
	return len;
}

START_TEST(the_salt_is_as_long_as_the_digest)	/* RFC 7518 section 3.5 */
{
	const struct row *row = &rows[_i];
	const int hash = EVP_MD_get_size(EVP_get_digestbyname(row->digest));
	const struct { int salt; const char *mgf; enum bg_reason want; } salts[] = {
		{ hash, row->digest, BG_R_OK },
		{ 0, row->digest, BG_R_BAD_SIGNATURE },
		{ 1, row->digest, BG_R_BAD_SIGNATURE },
		{ 20, row->digest, BG_R_BAD_SIGNATURE },	/* what RFC 8017 appendix A.2.3 has where nothing is said */
		{ hash - 1, row->digest, BG_R_BAD_SIGNATURE },
		{ hash + 1, row->digest, BG_R_BAD_SIGNATURE },
		{ RSA_PSS_SALTLEN_MAX, row->digest, BG_R_BAD_SIGNATURE },
		{ hash, "SHA1", BG_R_BAD_SIGNATURE },		/* the mask is by the same digest */
	};
	EVP_PKEY *pkey = private_key(row->key);
	struct signed_text text = sign(row, "{}");
	struct bg_jwk *key = key_of(row->key, NULL);

	for (int i = 0; i < N(salts); i++) {
		char what[64];

		bg_format(what, sizeof(what), "salt %d, mask by %s", salts[i].salt, salts[i].mgf);
		text.len = sign_rsa(row, pkey, RSA_PKCS1_PSS_PADDING, salts[i].salt, salts[i].mgf, text.input, text.signature);
		judge(row, key, text.input, bytes(text.signature, text.len), salts[i].want, NULL, what);
	}
	text.len = sign_rsa(row, pkey, RSA_PKCS1_PADDING, 0, NULL, text.input, text.signature);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "PKCS #1 v1.5");
	bg_jwk_free(key);
	EVP_PKEY_free(pkey);
	free(text.compact);
}
END_TEST

START_TEST(a_pss_signature_is_none_of_pkcs1)	/* and neither is one that does not name its digest: RFC 8017 section 9.2 */
{
	const struct row *row = &rows[_i];
	EVP_PKEY *pkey = private_key(row->key);
	struct signed_text text = sign(row, "{}");
	struct bg_jwk *key = key_of(row->key, NULL);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	unsigned char hash[EVP_MAX_MD_SIZE];
	size_t hash_len;

	text.len = sign_rsa(row, pkey, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST, row->digest, text.input, text.signature);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "PSS");

	ck_assert_int_eq(EVP_Q_digest(NULL, row->digest, NULL, text.input.ptr, text.input.len, hash, &hash_len), 1);
	text.len = BG_SIGNATURE_MAX;
	ck_assert_int_eq(EVP_PKEY_sign_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	ck_assert_int_eq(EVP_PKEY_sign(ctx, text.signature, &text.len, hash, hash_len), 1);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "the bare digest");
	EVP_PKEY_CTX_free(ctx);
	bg_jwk_free(key);
	EVP_PKEY_free(pkey);
	free(text.compact);
}
END_TEST

START_TEST(a_signature_has_one_spelling_under_rsa)	/* RFC 8017 section 5.2.2 step 1: below the modulus */
{
	const struct row *row = &rows[_i];
	struct bg_jwk *key = key_of(row->key, NULL);
	BIGNUM *n = NULL, *s = BN_new();
	bool fits = false;

	ck_assert_int_eq(EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	for (int i = 0; i < 200 && !fits; i++) {	/* s + n has to fit into as many bytes, which it does for every second s or so */
		struct signed_text text;
		char claims[32];

		bg_format(claims, sizeof(claims), "{\"iat\":%d}", i);
		text = sign(row, claims);
		BN_bin2bn(text.signature, (int)text.len, s);
		BN_add(s, s, n);
		if ((fits = BN_num_bytes(s) <= (int)text.len)) {
			judge(row, key, text.input, bytes(text.signature, text.len), BG_R_OK, NULL, "s");
			BN_bn2binpad(s, text.signature, (int)text.len);
			judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "s + n");
		}
		free(text.compact);
	}
	ck_assert(fits);
	BN_free(n);
	BN_free(s);
	bg_jwk_free(key);
}
END_TEST

START_TEST(numbers_that_are_no_signature_are_refused_under_rsa)
{
	const struct row *row = &rows[_i];
	struct signed_text text = sign(row, "{}");
	struct bg_jwk *key = key_of(row->key, NULL);
	BIGNUM *n = NULL;

	ck_assert_int_eq(EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	memset(text.signature, 0, text.len);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "0");
	text.signature[text.len - 1] = 1;
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "1");
	memset(text.signature, 0xff, text.len);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "all ones");
	BN_bn2binpad(n, text.signature, (int)text.len);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "n");
	BN_sub_word(n, 1);
	BN_bn2binpad(n, text.signature, (int)text.len);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "n - 1");
	BN_free(n);
	bg_jwk_free(key);
	free(text.compact);
}
END_TEST

/* ---- ECDSA ------------------------------------------------------------------------------------------------------- */

START_TEST(r_and_s_are_between_zero_and_the_order)	/* SR-7, seen to by us and not by OpenSSL alone */
{
	static const char range[] = "not below the order", verify[] = "verify";
	const struct row *row = &rows[_i];
	struct signed_text text = sign(row, "{}");
	struct bg_jwk *key = key_of(row->key, NULL);
	size_t half = row->len / 2;
	BIGNUM *order = NULL, *bad = BN_new(), *was = BN_new();
	unsigned char kept[BG_SIGNATURE_MAX];

	ck_assert_int_eq(EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_EC_ORDER, &order), 1);	/* not from our own table */
	memcpy(kept, text.signature, row->len);
	for (int which = 0; which < 2; which++) {	/* r, then s */
		unsigned char *at = text.signature + (size_t)which * half;
		struct bg_slice signature = bytes(text.signature, text.len);

		memset(at, 0, half);
		judge(row, key, text.input, signature, BG_R_BAD_SIGNATURE, range, "0");
		at[half - 1] = 1;
		judge(row, key, text.input, signature, BG_R_BAD_SIGNATURE, verify, "1");
		memset(at, 0xff, half);
		judge(row, key, text.input, signature, BG_R_BAD_SIGNATURE, range, "all ones");
		for (int more = -1; more <= 1; more++) {
			BN_copy(bad, order);
			ck_assert_int_eq(more < 0 ? BN_sub_word(bad, 1) : BN_add_word(bad, (BN_ULONG)more), 1);
			ck_assert_int_gt(BN_bn2binpad(bad, at, (int)half), 0);
			judge(row, key, text.input, signature, BG_R_BAD_SIGNATURE, more < 0 ? verify : range, "about the order");
		}
		/* P-521 leaves seven bits: the same number plus the order would verify if it were reduced first */
		BN_bin2bn(kept + (size_t)which * half, (int)half, was);
		BN_add(bad, was, order);
		if (BN_num_bytes(bad) <= (int)half) {
			BN_bn2binpad(bad, at, (int)half);
			judge(row, key, text.input, signature, BG_R_BAD_SIGNATURE, range, "itself plus the order");
		} else
			ck_assert_msg(row->key != BG_MINT_KEY_P521, "P-521 has room");
		memcpy(text.signature, kept, row->len);
	}
	memset(text.signature, 0, row->len);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, range, "r and s zero: CVE-2022-21449");
	BN_free(order);
	BN_free(bad);
	BN_free(was);
	bg_jwk_free(key);
	free(text.compact);
}
END_TEST

START_TEST(r_and_s_stand_bare_and_in_this_order)	/* RFC 7518 section 3.4: no DER */
{
	const struct row *row = &rows[_i];
	struct signed_text text = sign(row, "{}");
	struct bg_jwk *key = key_of(row->key, NULL);
	size_t half = row->len / 2;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL, swapped[BG_SIGNATURE_MAX];
	int len;

	ECDSA_SIG_set0(sig, BN_bin2bn(text.signature, (int)half, NULL), BN_bin2bn(text.signature + half, (int)half, NULL));
	ck_assert_int_gt(len = i2d_ECDSA_SIG(sig, &der), 0);
	judge(row, key, text.input, bytes(der, (size_t)len), BG_R_BAD_SIGNATURE, " bytes, ", "DER");
	judge(row, key, text.input, bytes(der, row->len), BG_R_BAD_SIGNATURE, NULL, "DER cut to the length");
	memcpy(swapped, text.signature + half, half);
	memcpy(swapped + half, text.signature, half);
	judge(row, key, text.input, bytes(swapped, row->len), BG_R_BAD_SIGNATURE, "verify", "s before r");
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	bg_jwk_free(key);
	free(text.compact);
}
END_TEST

START_TEST(numbers_with_zeros_in_front_keep_their_length)	/* one in 128 signatures has such an r or s */
{
	const struct row *row = &rows[_i];
	struct bg_jwk *key = key_of(row->key, NULL);
	size_t half = row->len / 2;
	int short_ones = 0;

	for (int i = 0; i < 3000 && short_ones < 2; i++) {
		struct signed_text text = sign(row, "{}");	/* another every time: ECDSA draws a number */
		/* the top byte of P-521 has but one bit, so look at the one behind it */
		size_t first = row->key == BG_MINT_KEY_P521 ? 1 : 0;

		ck_assert_uint_eq(text.len, row->len);
		if ((text.signature[first] == 0 && text.signature[0] == 0) ||
		    (text.signature[half + first] == 0 && text.signature[half] == 0)) {
			short_ones++;
			judge(row, key, text.input, bytes(text.signature, text.len), BG_R_OK, NULL, "a short number");
		}
		free(text.compact);
	}
	ck_assert_int_eq(short_ones, 2);
	bg_jwk_free(key);
}
END_TEST

/* ---- Ed25519 ----------------------------------------------------------------------------------------------------- */

/* 2^252 + 27742317777372353535851937790883648493, little-endian.  RFC 8032 section 5.1. */
static const unsigned char ed25519_order[32] = {
	0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10 };

START_TEST(s_is_below_the_order_of_ed25519)	/* RFC 8032 section 5.1.7 step 1: or a signature had several spellings */
{
	const struct row *row = &rows[EDDSA];
	struct signed_text text = sign(row, "{}");
	struct bg_jwk *key = key_of(row->key, NULL);
	unsigned carry = 0;

	for (size_t i = 0; i < 32; i++) {
		carry += text.signature[32 + i] + ed25519_order[i];
		text.signature[32 + i] = (unsigned char)carry;
		carry >>= 8;
	}
	ck_assert_uint_eq(carry, 0);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "S + L");
	memset(text.signature, 0, text.len);
	judge(row, key, text.input, bytes(text.signature, text.len), BG_R_BAD_SIGNATURE, "verify", "all zeros");
	bg_jwk_free(key);
	free(text.compact);
}
END_TEST

/* The y of the points whose order divides 8, and two that are these plus the prime.  Each with either sign of x. */
static const unsigned char weak_points[][32] = {
	{ 0 },
	{ 1 },
	{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
	  0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
	{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
	  0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
};

/*
 * Does the signature that nobody's key made, R the neutral point and S zero, verify under this key for one of some texts?
 * One text in as many as the order of the key has points does.
 */
static bool
anybody_can_sign(const unsigned char x[32])
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, 32);
	const unsigned char forged[64] = { 1 };
	bool verifies = false;

	ck_assert_ptr_nonnull(pkey);
	for (unsigned char text = 0; text < 128 && !verifies; text++) {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();

		ck_assert_int_eq(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey), 1);
		verifies = EVP_DigestVerify(ctx, forged, sizeof(forged), &text, 1) == 1;
		EVP_MD_CTX_free(ctx);
	}
	EVP_PKEY_free(pkey);
	return verifies;
}

START_TEST(a_key_under_which_anybody_can_sign_is_refused)	/* SR-10: a key of zeros is one */
{
	unsigned char x[32];

	memcpy(x, weak_points[_i], sizeof(x));
	for (int sign_of_x = 0; sign_of_x < 2; sign_of_x++) {
		char text[BG_B64URL_ENCODED(32)];
		struct bg_error err = { 0 };
		struct bg_jwk *key;
		json_t *object;

		ck_assert_msg(anybody_can_sign(x), "row %d is not weak", _i);
		bg_b64url_encode(text, x, sizeof(x));
		object = json_pack("{s:s,s:s,s:s%}", "kty", "OKP", "crv", "Ed25519", "x", text, sizeof(text));
		ck_reason(bg_jwk_parse(object, &key, &err), err, BG_R_BAD_JWK, "weak");
		ck_assert_ptr_nonnull(strstr(err.detail, "anybody can sign"));
		json_decref(object);
		x[31] |= 0x80;
	}
}
END_TEST

START_TEST(a_usual_key_is_not_one_anybody_can_sign_by)	/* the other half of the proof */
{
	struct bg_jwk *key = key_of(BG_MINT_KEY_ED25519, NULL);
	unsigned char x[32];
	size_t len = sizeof(x);

	ck_assert_int_eq(EVP_PKEY_get_raw_public_key(key->pkey, x, &len), 1);
	ck_assert(!anybody_can_sign(x));
	bg_jwk_free(key);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("alg");
	TCase *tc;

	tc = tcase_create("all");
	tcase_set_timeout(tc, 60);	/* sanitizers are slow */
	tcase_add_test(tc, there_are_ten_algorithms_one_of_them_by_two_names_and_no_other);
	tcase_add_loop_test(tc, a_good_signature_is_accepted, 0, N(rows));
	tcase_add_loop_test(tc, what_a_key_keeps_is_for_one_algorithm_and_one_thread, 0, 3);
	tcase_add_loop_test(tc, every_byte_of_text_and_signature_counts, 0, N(rows));
	tcase_add_loop_test(tc, another_length_is_refused_before_the_signature_is_looked_into, 0, N(rows));
	tcase_add_loop_test(tc, a_key_serves_only_what_it_is_for, 0, N(rows));
	suite_add_tcase(suite, tc);

	tc = tcase_create("RSA");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_salt_is_as_long_as_the_digest, FIRST_PSS, FIRST_ES);
	tcase_add_loop_test(tc, a_pss_signature_is_none_of_pkcs1, 0, FIRST_PSS);
	tcase_add_loop_test(tc, a_signature_has_one_spelling_under_rsa, 0, FIRST_ES);
	tcase_add_loop_test(tc, numbers_that_are_no_signature_are_refused_under_rsa, 0, FIRST_ES);
	suite_add_tcase(suite, tc);

	tc = tcase_create("ECDSA");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, r_and_s_are_between_zero_and_the_order, FIRST_ES, EDDSA);
	tcase_add_loop_test(tc, r_and_s_stand_bare_and_in_this_order, FIRST_ES, EDDSA);
	tcase_add_loop_test(tc, numbers_with_zeros_in_front_keep_their_length, FIRST_ES, EDDSA);
	suite_add_tcase(suite, tc);

	tc = tcase_create("Ed25519");
	tcase_add_test(tc, s_is_below_the_order_of_ed25519);
	tcase_add_loop_test(tc, a_key_under_which_anybody_can_sign_is_refused, 0, N(weak_points));
	tcase_add_test(tc, a_usual_key_is_not_one_anybody_can_sign_by);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
