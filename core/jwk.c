#include "core/jwk.h"

#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "core/b64url.h"
#include "core/limits.h"
#include "core/secret.h"

#define RSA_EXPONENT_BITS_MAX	33	/* SR-10: a longer one only makes verifying slow */

/* A Base64urlUInt member as a number, new for the caller.  RFC 7518 section 2. */
static int
read_number(const json_t *object, const char *name, BIGNUM **out, struct bg_error *err)
{
	struct bg_slice text = bg_json_string(json_object_get(object, name));
	unsigned char bytes[BG_RSA_BITS_MAX / 8 + 1];	/* one more: some issuers put a zero in front */
	long n;

	*out = NULL;
	if (text.ptr == NULL)
		return bg_fail(err, BG_R_BAD_JWK, "%s is %s, not a string", name, bg_json_type_name(json_object_get(object, name)));
	if (BG_B64URL_DECODED(text.len) > sizeof(bytes))
		return bg_fail(err, BG_R_BAD_JWK, "%s is too long", name);
	if ((n = bg_b64url_decode(bytes, text)) <= 0)
		return bg_fail(err, BG_R_BAD_JWK, "%s is not base64url", name);
	if ((*out = BN_bin2bn(bytes, (int)n, NULL)) == NULL)
		return bg_fail_openssl(err, BG_R_NO_MEMORY, name);
	return 0;
}

/* The public key of n and e, for OpenSSL.  *pkey is new. */
static int
rsa_pkey(const BIGNUM *n, const BIGNUM *e, EVP_PKEY **pkey, struct bg_error *err)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	int rc = -1;

	if (build == NULL || ctx == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
	    (params = OSSL_PARAM_BLD_to_param(build)) == NULL)
		bg_fail_openssl(err, BG_R_NO_MEMORY, "RSA key");
	else if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		bg_fail_openssl(err, BG_R_BAD_JWK, "RSA key");
	else
		rc = 0;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_BLD_free(build);
	return rc;
}

/* RFC 7518 section 6.3.1. */
static int
read_rsa(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	BIGNUM *n = NULL, *e = NULL;
	int rc = -1, bits;

	if (read_number(object, "n", &n, err) != 0 || read_number(object, "e", &e, err) != 0)
		goto out;
	bits = BN_num_bits(n);
	if (bits < BG_RSA_BITS_MIN || bits > BG_RSA_BITS_MAX) {
		bg_fail(err, BG_R_BAD_JWK, "RSA key of %d bits, from %d to %d are accepted", bits, BG_RSA_BITS_MIN, BG_RSA_BITS_MAX);
		goto out;
	}
	if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > RSA_EXPONENT_BITS_MAX) {
		bg_fail(err, BG_R_BAD_JWK, "RSA exponent even, 1, or over %d bits", RSA_EXPONENT_BITS_MAX);
		goto out;
	}
	if (rsa_pkey(n, e, &key->pkey, err) != 0)
		goto out;
	key->kty = BG_KTY_RSA;
	key->size = ((size_t)bits + 7) / 8;
	rc = 0;
out:
	BN_free(n);
	BN_free(e);
	return rc;
}

static const struct {
	struct bg_slice name;
	int           (*read)(const json_t *object, struct bg_jwk *key, struct bg_error *err);
} types[] = {
	{ BG_SLICE_INIT("RSA"), read_rsa },
};

/* use, key_ops and alg say what a key is for: not for anything but verifying (SR-12).  RFC 7517 sections 4.2 to 4.4. */
static int
read_purpose(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	const json_t *use = json_object_get(object, "use"), *ops = json_object_get(object, "key_ops"),
	    *alg = json_object_get(object, "alg"), *op;
	bool verifies = ops == NULL;
	size_t i;

	if (use != NULL && !bg_slice_equal(bg_json_string(use), BG_SLICE("sig")))
		return bg_fail(err, BG_R_BAD_JWK, "use is not \"sig\"");
	json_array_foreach(ops, i, op)
		verifies |= bg_slice_equal(bg_json_string(op), BG_SLICE("verify"));
	if (!verifies)
		return bg_fail(err, BG_R_BAD_JWK, "key_ops has no \"verify\"");
	if (alg != NULL && ((key->alg = bg_alg_find(bg_json_string(alg))) == NULL || key->alg->kty != key->kty))
		return bg_fail(err, BG_R_BAD_JWK, "alg \"%.*s\" is not for verifying with this type of key",
		    BG_SLICE_ARG(bg_json_string(alg)));
	return 0;
}

static int
read_kid(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	const json_t *kid = json_object_get(object, "kid");

	if (kid == NULL)
		return 0;
	if (!json_is_string(kid) || json_string_length(kid) > BG_KID_MAX)
		return bg_fail(err, BG_R_BAD_JWK, "kid is no string of at most %d bytes", BG_KID_MAX);
	if ((key->kid = strdup(json_string_value(kid))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "kid");
	return 0;
}

int
bg_jwk_parse(const json_t *object, struct bg_jwk **out, struct bg_error *err)
{
	struct bg_slice kty = bg_json_string(json_object_get(object, "kty"));
	struct bg_jwk *key;
	size_t i;

	*out = NULL;
	for (i = 0; i < sizeof(types) / sizeof(types[0]) && !bg_slice_equal(types[i].name, kty); i++)
		continue;
	if (i == sizeof(types) / sizeof(types[0]))
		return bg_fail(err, BG_R_BAD_JWK, "kty \"%.*s\" is not known", BG_SLICE_ARG(kty));
	if ((key = calloc(1, sizeof(*key))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "key");
	if (types[i].read(object, key, err) != 0 || read_purpose(object, key, err) != 0 || read_kid(object, key, err) != 0) {
		bg_jwk_free(key);
		return -1;
	}
	*out = key;
	return 0;
}

void
bg_jwk_free(struct bg_jwk *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key->kid);
	free(key);
}

/* Put a number of the key as Base64urlUInt. */
static int
put_number(struct bg_buf *buf, const struct bg_jwk *key, const char *param, struct bg_error *err)
{
	unsigned char bytes[BG_RSA_BITS_MAX / 8];
	BIGNUM *bn = NULL;
	char *at;
	int n;

	if (EVP_PKEY_get_bn_param(key->pkey, param, &bn) != 1 || (n = BN_num_bytes(bn)) > (int)sizeof(bytes)) {
		BN_free(bn);
		return bg_fail_openssl(err, BG_R_INTERNAL, "key parameter");
	}
	BN_bn2bin(bn, bytes);
	BN_free(bn);
	if ((at = bg_buf_extend(buf, BG_B64URL_ENCODED((size_t)n))) != NULL)
		bg_b64url_encode(at, bytes, (size_t)n);
	return 0;
}

int
bg_jwk_thumbprint(const struct bg_jwk *key, char out[BG_THUMBPRINT_LEN + 1], struct bg_error *err)
{
	unsigned char hash[BG_SHA256_LEN];
	struct bg_slice text;
	struct bg_buf buf;
	int rc = -1;

	bg_buf_init(&buf, 2 * BG_RSA_BITS_MAX / 8);
	/* RFC 7638 section 3.2: the required members in the order of their names, no white space. */
	bg_buf_put_str(&buf, "{\"e\":\"");
	if (put_number(&buf, key, OSSL_PKEY_PARAM_RSA_E, err) != 0)
		goto out;
	bg_buf_put_str(&buf, "\",\"kty\":\"RSA\",\"n\":\"");
	if (put_number(&buf, key, OSSL_PKEY_PARAM_RSA_N, err) != 0)
		goto out;
	bg_buf_put_str(&buf, "\"}");
	if (bg_buf_finish(&buf, &text, err) != 0 || bg_sha256(text, hash, err) != 0)
		goto out;
	bg_b64url_encode(out, hash, sizeof(hash));
	out[BG_THUMBPRINT_LEN] = '\0';
	rc = 0;
out:
	bg_buf_clear(&buf);
	return rc;
}
