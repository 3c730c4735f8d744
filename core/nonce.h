#ifndef BG_CORE_NONCE_H
#define BG_CORE_NONCE_H

#include <stdint.h>

#include "core/error.h"

#define BG_NONCE_KEY_MIN	32	/* bytes */
#define BG_NONCE_LEN		43	/* characters */

/*
 * Nonces for DPoP proofs that nobody has to remember: an HMAC over the time window they are made in.  Whoever has the key
 * makes and knows the same ones.  Cleared memory wants none.
 */
struct bg_nonces {
	unsigned char *key;		/* NULL: no nonces are wanted */
	size_t         key_len;
	int64_t        window;		/* seconds, above 0 */
};

/* The nonce of the window that now, seconds since the epoch, is in.  Returns -1 with BG_R_INTERNAL or BG_R_NO_MEMORY. */
int bg_nonce_make(const struct bg_nonces *nonces, int64_t now, char out[BG_NONCE_LEN + 1], struct bg_error *err) BG_MUST_CHECK;

/*
 * Is this a nonce of the window now is in, of the one before, or (the clock of another machine may be ahead) the one after?
 * *current says whether it is of the first.  Returns -1 with BG_R_NO_NONCE when nonce has ptr NULL, else BG_R_OLD_NONCE; or
 * as above.
 *
 * RFC 9449 sections 8 and 9; SR-9.
 */
int bg_nonce_check(const struct bg_nonces *nonces, struct bg_slice nonce, int64_t now, bool *current,
    struct bg_error *err) BG_MUST_CHECK;

void bg_nonces_clear(struct bg_nonces *nonces);	/* wipes the key */

#endif
