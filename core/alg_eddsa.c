#include <openssl/evp.h>

#include "core/jwk.h"

#define ED25519_SIGNATURE	64	/* bytes; RFC 8032 section 5.1.6 */

int
bg_eddsa_verify(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input, struct bg_slice signature,
    struct bg_error *err)
{
	EVP_MD_CTX *ctx = NULL;
	int rc = -1;

	if (!bg_jwk_fits(key, alg))
		return bg_fail(err, BG_R_BAD_ALGORITHM, "the key is not for %.*s", BG_SLICE_ARG(alg->name));
	if (signature.len != ED25519_SIGNATURE)
		return bg_fail(err, BG_R_BAD_SIGNATURE, "%zu bytes, %.*s has %d", signature.len, BG_SLICE_ARG(alg->name),
		    ED25519_SIGNATURE);
	if ((ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestVerifyInit_ex(ctx, NULL, alg->digest, NULL, NULL, key->pkey, NULL) != 1)
		bg_fail_openssl(err, BG_R_INTERNAL, "preparing to verify");
	else if (EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
	    (const unsigned char *)input.ptr, input.len) != 1)
		bg_fail_openssl(err, BG_R_BAD_SIGNATURE, "verify");
	else
		rc = 0;
	EVP_MD_CTX_free(ctx);
	return rc;
}
