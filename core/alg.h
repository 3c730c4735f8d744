#ifndef BG_CORE_ALG_H
#define BG_CORE_ALG_H

#include "core/error.h"

enum bg_kty { BG_KTY_RSA = 1 };

struct bg_jwk;

/* One signature algorithm.  What has no row here does not exist: that is how "none" and HS256 are refused (SR-1, SR-3). */
struct bg_alg {
	struct bg_slice name;
	enum bg_kty     kty;		/* the only type of key it may be used with */
	const char     *digest;		/* OpenSSL's name */
	/* 0 when signature is key's over input; -1 with BG_R_BAD_SIGNATURE, or BG_R_INTERNAL when OpenSSL cannot. */
	int           (*verify)(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input,
	                    struct bg_slice signature, struct bg_error *err);
};

const struct bg_alg *bg_alg_find(struct bg_slice name);	/* borrowed; NULL when there is no such row */

/* The families: alg_rsa.c.  RFC 7518 section 3.3. */
int bg_rsa_verify(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input,
    struct bg_slice signature, struct bg_error *err) BG_MUST_CHECK;

#endif
