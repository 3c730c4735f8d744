#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "core/jwk.h"

#define NUMBER_MAX	66	/* bytes of r or s: P-521 */

/* The order of each curve, as long as one half of a signature.  FIPS 186-4 appendix D.1.2, SEC 2 section 2. */
static const struct curve {
	enum bg_kty   kty;
	size_t        len;
	unsigned char order[NUMBER_MAX];
} curves[] = {
	{ BG_KTY_P256, 32, {
		0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 } },
	{ BG_KTY_P384, 48, {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
		0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73 } },
	{ BG_KTY_P521, 66, {
		0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09,
		0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38,
		0x64, 0x09 } },
};

static const struct curve *
curve_of(enum bg_kty kty)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].kty == kty)
			return &curves[i];
	return NULL;
}

/* 1 to order - 1.  Both are big-endian and equally long, so bytes compare as numbers do (SR-7). */
static bool
in_range(const struct curve *curve, const unsigned char *number)
{
	static const unsigned char zero[NUMBER_MAX];

	return memcmp(number, zero, curve->len) != 0 && memcmp(number, curve->order, curve->len) < 0;
}

/* R and S, as RFC 7518 section 3.4 puts them one behind the other, as the DER that OpenSSL reads; OPENSSL_free. */
static int
to_der(const struct curve *curve, const unsigned char *raw, unsigned char **der, struct bg_error *err)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, (int)curve->len, NULL);
	BIGNUM *s = BN_bin2bn(raw + curve->len, (int)curve->len, NULL);
	int len = -1;

	*der = NULL;
	if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;		/* moved to sig */
		len = i2d_ECDSA_SIG(sig, der);
	}
	if (len <= 0)
		bg_fail_openssl(err, BG_R_NO_MEMORY, "signature");
	BN_free(s);
	BN_free(r);
	ECDSA_SIG_free(sig);
	return len;
}

static int
prepare(const struct bg_alg *alg, const struct bg_jwk *key, EVP_MD_CTX *ctx)
{
	return EVP_DigestVerifyInit_ex(ctx, NULL, alg->digest, NULL, NULL, key->pkey, NULL);
}

int
bg_ecdsa_verify(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input, struct bg_slice signature,
    struct bg_error *err)
{
	const struct curve *curve = curve_of(key->kty);
	const unsigned char *raw = (const unsigned char *)signature.ptr;
	unsigned char *der = NULL;
	EVP_MD_CTX *ctx = NULL;
	int rc = -1, len;

	if (!bg_jwk_fits(key, alg))
		return bg_fail(err, BG_R_BAD_ALGORITHM, "the key is not for %.*s", BG_SLICE_ARG(alg->name));
	if (curve == NULL)
		return bg_fail(err, BG_R_INTERNAL, "no curve for this key");
	if (signature.len != 2 * curve->len)
		return bg_fail(err, BG_R_BAD_SIGNATURE, "%zu bytes, %.*s has %zu", signature.len, BG_SLICE_ARG(alg->name), 2 * curve->len);
	if (!in_range(curve, raw) || !in_range(curve, raw + curve->len))
		return bg_fail(err, BG_R_BAD_SIGNATURE, "r or s is zero or not below the order of the curve");
	if ((len = to_der(curve, raw, &der, err)) <= 0)
		return -1;
	if ((ctx = bg_jwk_context(key, alg, prepare)) == NULL)
		bg_fail_openssl(err, BG_R_INTERNAL, "preparing to verify");
	else if (EVP_DigestVerify(ctx, der, (size_t)len, (const unsigned char *)input.ptr, input.len) != 1)
		bg_fail_openssl(err, BG_R_BAD_SIGNATURE, "verify");
	else
		rc = 0;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	return rc;
}
