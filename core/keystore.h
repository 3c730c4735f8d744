#ifndef BG_CORE_KEYSTORE_H
#define BG_CORE_KEYSTORE_H

#include <stdint.h>

#include "core/clock.h"
#include "core/fetch.h"
#include "core/jwks.h"

/* Where the keys of one issuer come from, and how often.  All text is borrowed and outlives the store. */
struct bg_keystore_options {
	const char              *issuer;		/* for discovery, and for the log */
	const char              *jwks_uri;		/* NULL: by discovery */
	const char              *jwks_file;		/* NULL: by https */
	const struct bg_fetcher *fetcher;		/* for https; may be NULL with jwks_file */
	int64_t                  fetch_timeout;		/* seconds, for one document and for a decision that waits */
	int64_t                  cache_ttl_min;		/* seconds; bounds of what Cache-Control says */
	int64_t                  cache_ttl_max;
	int64_t                  refresh_cooldown;	/* seconds between two fetches that strangers can cause (SR-50) */
	unsigned                 max_waiters;		/* decisions that may wait at once; the others answer with what there is */
};

/* The current keys of one issuer.  All functions but new and free may be called from any thread. */
struct bg_keystore;

int bg_keystore_new(struct bg_keystore **out, const struct bg_keystore_options *options,
    struct bg_error *err) BG_MUST_CHECK;
void bg_keystore_free(struct bg_keystore *store);	/* stops its thread first; NULL is fine */

/*
 * Fetch now if it is due and nobody else is at it.  Returns the milliseconds until it wants to be called again,
 * at least 1.  A fetch that fails keeps the keys there are and is written to the log.
 * The clock is a number handed in, so a test calls this at any time of day without waiting.
 */
int64_t bg_keystore_step(struct bg_keystore *store, struct bg_now now);

/* Start a thread that does nothing but call bg_keystore_step when it is due.  Returns -1 with BG_R_INTERNAL. */
int bg_keystore_start(struct bg_keystore *store, struct bg_error *err) BG_MUST_CHECK;

/*
 * The keys for a token with this kid (ptr NULL: it has none).  With the kid known, or a refresh not allowed yet,
 * answers at once with the set there is.  Where it is unknown, asks for one refresh, shared by all who wait, and
 * answers with the set after it, which may still not know the kid.  With no set at all it waits as long as a fetch is
 * under way, at most fetch_timeout.  At most max_waiters wait at once, so that an issuer that hangs never holds all
 * threads (SR-51), and nobody when the store has no thread.
 * *out is the caller's own reference.  Returns -1 with BG_R_NO_KEYS when there is no set (SR-45).
 */
int bg_keystore_keys(struct bg_keystore *store, struct bg_slice kid, int64_t now, struct bg_jwks **out,
    struct bg_error *err) BG_MUST_CHECK;

/* Seconds after which asking again makes sense; for Retry-After.  At least 1. */
int64_t bg_keystore_retry_after(struct bg_keystore *store, int64_t now);

#endif
