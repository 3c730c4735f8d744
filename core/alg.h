#ifndef BG_CORE_ALG_H
#define BG_CORE_ALG_H

#include "core/error.h"

/* Type and, where the type has curves, curve of a key.  RFC 7518 section 6, RFC 8037 section 2. */
enum bg_kty { BG_KTY_RSA = 1, BG_KTY_P256, BG_KTY_P384, BG_KTY_P521, BG_KTY_ED25519 };

struct bg_alg;
struct bg_jwk;

/*
 * 0 when signature is key's over input; -1 with BG_R_BAD_SIGNATURE, with BG_R_BAD_ALGORITHM when the key is of another
 * type or for another algorithm (bg_jwk_fits), or BG_R_INTERNAL or BG_R_NO_MEMORY when OpenSSL cannot.
 */
typedef int bg_verify(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input,
    struct bg_slice signature, struct bg_error *err);

/* One signature algorithm.  What has no row here does not exist: that is how "none" and HS256 are refused (SR-1, SR-3). */
struct bg_alg {
	struct bg_slice name;
	enum bg_kty     kty;		/* the only type of key, and curve, it may be used with */
	const char     *digest;		/* OpenSSL's name; NULL where the algorithm has its own */
	bg_verify      *verify;
};

const struct bg_alg *bg_alg_find(struct bg_slice name);	/* borrowed; NULL when there is no such row */

/*
 * The families.  Each refuses a signature of any other length than its own before it looks inside (SR-6).
 * alg_rsa.c: RFC 7518 sections 3.3 and 3.5, RFC 8017 sections 8.1.2 and 8.2.2.
 * alg_ecdsa.c: RFC 7518 section 3.4.  alg_eddsa.c: RFC 8037 section 3.1.
 */
bg_verify bg_rsa_verify, bg_rsa_pss_verify, bg_ecdsa_verify, bg_eddsa_verify;

#endif
