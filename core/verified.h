#ifndef BG_CORE_VERIFIED_H
#define BG_CORE_VERIFIED_H

#include <stdint.h>

#include "core/jwk.h"
#include "core/secret.h"
#include "core/token.h"

/*
 * Tokens whose signature was found good lately, so that it need not be checked on every request.  Kept is the outcome of
 * signature and parsing alone: which key judged, and the token taken apart.  Whatever can change between two requests
 * (the clock, the key set, the configuration, the request) is no part of it and is for the caller to check each time (SR-41).
 *
 * A token is known by the SHA-256 of its compact form, compared in full; the compact form itself is not kept.
 * All functions but new and free may be called from any thread.
 */
struct bg_verified;

/*
 * Room for so many tokens (at least 1), of which as many are kept parsed as take so many bytes.  A token whose parsed form
 * was dropped is still known, since the signature is what costs most.  Those used least lately go first.
 * Returns -1 with BG_R_NO_MEMORY.
 */
int  bg_verified_new(struct bg_verified **out, size_t max_tokens, size_t max_bytes, struct bg_error *err) BG_MUST_CHECK;
void bg_verified_free(struct bg_verified *cache);	/* tokens that others still hold live on; NULL is fine */

struct bg_verified_hit {
	struct bg_token *token;		/* the caller's own: bg_token_unref; NULL: it must be parsed again */
	char             key[BG_THUMBPRINT_LEN + 1];	/* thumbprint of the key that found the signature good */
};

/* False, and *out cleared, for a token that is not known.  cache may be NULL, which knows none. */
bool bg_verified_find(struct bg_verified *cache, const unsigned char digest[BG_SHA256_LEN], struct bg_verified_hit *out);

/*
 * Remember a token that the key with this thumbprint has found good.  It must have been through bg_token_settle, as it will
 * be read by all threads; the cache takes a reference of its own.  What is known of it already is replaced.
 */
void bg_verified_put(struct bg_verified *cache, const unsigned char digest[BG_SHA256_LEN], struct bg_token *token,
    const char key[BG_THUMBPRINT_LEN + 1]);

struct bg_verified_status {
	size_t tokens;		/* known */
	size_t parsed;		/* of them, with their parsed form */
	size_t bytes;		/* that these take */
	uint64_t hits;		/* bg_verified_find that found one, parsed or not */
	uint64_t misses;	/* that found none: a new token, or one that is no good */
	uint64_t evictions;	/* tokens that are no longer known because another one needed the room */
};
void bg_verified_status(struct bg_verified *cache, struct bg_verified_status *out);

/* Go on counting where another cache stands, which this one, empty yet, is put in the place of.  Either may be NULL. */
void bg_verified_count_on(struct bg_verified *cache, struct bg_verified *old);

#endif
