#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "core/jwk.h"

static int
prepare(const struct bg_alg *alg, const struct bg_jwk *key, EVP_MD_CTX *ctx)
{
	EVP_PKEY_CTX *pctx;		/* belongs to ctx */

	return EVP_DigestVerifyInit_ex(ctx, &pctx, alg->digest, NULL, NULL, key->pkey, NULL) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1;
}

/* The salt is as long as the digest, no shorter and no longer: RFC 7518 section 3.5. */
static int
prepare_pss(const struct bg_alg *alg, const struct bg_jwk *key, EVP_MD_CTX *ctx)
{
	EVP_PKEY_CTX *pctx;		/* belongs to ctx */

	return EVP_DigestVerifyInit_ex(ctx, &pctx, alg->digest, NULL, NULL, key->pkey, NULL) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static int
verify(const struct bg_alg *alg, const struct bg_jwk *key, bg_jwk_prepare *how, struct bg_slice input,
    struct bg_slice signature, struct bg_error *err)
{
	EVP_MD_CTX *ctx = NULL;
	int rc = -1;

	if (!bg_jwk_fits(key, alg))
		return bg_fail(err, BG_R_BAD_ALGORITHM, "the key is not for %.*s", BG_SLICE_ARG(alg->name));
	/* RFC 8017 sections 8.1.2 and 8.2.2, step 1: no padding, no cutting. */
	if (signature.len != key->size)
		return bg_fail(err, BG_R_BAD_SIGNATURE, "%zu bytes, a signature of this key has %zu", signature.len, key->size);
	if ((ctx = bg_jwk_context(key, alg, how)) == NULL)
		bg_fail_openssl(err, BG_R_INTERNAL, "preparing to verify");
	else if (EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
	    (const unsigned char *)input.ptr, input.len) != 1)
		bg_fail_openssl(err, BG_R_BAD_SIGNATURE, "verify");
	else
		rc = 0;
	EVP_MD_CTX_free(ctx);
	return rc;
}

int
bg_rsa_verify(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input, struct bg_slice signature,
    struct bg_error *err)
{
	return verify(alg, key, prepare, input, signature, err);
}

int
bg_rsa_pss_verify(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input, struct bg_slice signature,
    struct bg_error *err)
{
	return verify(alg, key, prepare_pss, input, signature, err);
}
