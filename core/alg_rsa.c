#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "core/jwk.h"

int
bg_rsa_verify(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input, struct bg_slice signature,
    struct bg_error *err)
{
	EVP_MD_CTX *ctx = NULL;
	EVP_PKEY_CTX *pctx;		/* belongs to ctx */
	int rc = -1;

	/* RFC 8017 section 8.2.2 step 1: no padding, no cutting. */
	if (signature.len != key->size)
		return bg_fail(err, BG_R_BAD_SIGNATURE, "%zu bytes, a signature of this key has %zu", signature.len, key->size);
	if ((ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestVerifyInit_ex(ctx, &pctx, alg->digest, NULL, NULL, key->pkey, NULL) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) != 1)
		bg_fail_openssl(err, BG_R_INTERNAL, "preparing to verify");
	else if (EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
	    (const unsigned char *)input.ptr, input.len) != 1)
		bg_fail_openssl(err, BG_R_BAD_SIGNATURE, "verify");
	else
		rc = 0;
	EVP_MD_CTX_free(ctx);
	return rc;
}
