#ifndef BG_CORE_KEYSTORE_H
#define BG_CORE_KEYSTORE_H

#include "core/keysource.h"

/* How the keys of one issuer are kept.  All text is borrowed and outlives the store. */
struct bg_keystore_options {
	struct bg_keysource_options source;
	const char *cache_dir;		/* where good sets are kept for the next start; NULL: nowhere */
	int64_t     stale_if_error;	/* seconds that a set serves beyond its lifetime while the issuer does not answer */
	int64_t     refresh_cooldown;	/* seconds between two fetches that strangers can cause (SR-50) */
};

/*
 * The current keys of one issuer.  Those who ask (keys, retry_after, status, want, stop) may do so from any thread; new, free,
 * take_over, restore, start and step are for one alone, which is the store's own once it has one.
 */
struct bg_keystore;

int bg_keystore_new(struct bg_keystore **out, const struct bg_keystore_options *options,
    struct bg_error *err) BG_MUST_CHECK;
void bg_keystore_stop(struct bg_keystore *store);	/* has its thread end, a fetch under way too, and does not wait for it */
void bg_keystore_free(struct bg_keystore *store);	/* stops its thread first, and waits for its end; NULL is fine */

/*
 * Take up from another store, which may be at work, what it has: its set, with the age it has there, when it will be
 * fetched next, and for what kids the issuer was asked lately, so that no reload makes strangers' kids count anew (SR-50).
 * The bounds are the new store's own: a set that may not serve by them does not.  What the old store is fetching just now,
 * or has failed to fetch, the new one fetches at once; a file is read again before this returns, so that no key that was
 * taken out of it comes back.  Of another issuer or another source nothing is taken.
 * To be called first, before bg_keystore_restore.  Returns 0, or -1 with BG_R_NO_MEMORY and nothing taken.
 */
int bg_keystore_take_over(struct bg_keystore *store, struct bg_keystore *old, struct bg_now now,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Take up the set that is on disk, if there is one that may be believed and may still serve.  To be called before the
 * store has a thread.  What is wrong with the disk is written to the log and is no failure: the issuer will be asked.
 */
void bg_keystore_restore(struct bg_keystore *store, struct bg_now now);

/*
 * Fetch now if it is due and nobody else is at it.  Returns the milliseconds until it wants to be called again, at least
 * 1.  A fetch that fails keeps the keys there are and is written to the log.  Where another process has fetched lately and
 * left its set on disk, that one is taken up instead.
 * The clock is a number handed in, so a test calls this at any time of day without waiting.
 */
int64_t bg_keystore_step(struct bg_keystore *store, struct bg_now now);

/* Make the next step fetch from the source itself, whenever it is. */
void bg_keystore_want(struct bg_keystore *store);

/*
 * Start a thread that steps when it is due, and takes up what changes on disk, in the file of keys or in the cache, when it
 * changes.  changed, which may be NULL, is called with arg by that thread after each fetch and each look, well or not:
 * then it is worth asking again for keys that were pending.  Returns -1 with BG_R_INTERNAL or BG_R_NO_MEMORY.
 */
int bg_keystore_start(struct bg_keystore *store, void (*changed)(void *arg), void *arg,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * The keys for a token with this kid (ptr NULL: it has none), at once and in any case without waiting.  now is
 * bg_clock_mono_ms().  *out is the caller's own reference.  Returns 0 with the set there is, which may not know the kid; or
 * -1 with
 *
 * BG_R_KEYS_PENDING  a fetch that may bring the key is under way or has just been asked for.  For an unknown kid one is
 *                    asked for at most once per refresh_cooldown whoever asks, and not again for a kid of a little while
 *                    ago (SR-50).  Never of a store without a thread.
 * BG_R_NO_KEYS       there is no set that may serve (SR-45), or it does not know the kid while the issuer cannot be asked:
 *                    the last fetch failed.
 */
int bg_keystore_keys(struct bg_keystore *store, struct bg_slice kid, int64_t now, struct bg_jwks **out,
    struct bg_error *err) BG_MUST_CHECK;

/* Seconds after which asking again makes sense; for Retry-After.  At least 1. */
int64_t bg_keystore_retry_after(struct bg_keystore *store, int64_t now);

/* One reading of a store, for people.  Times are of the wall clock, 0 where there is none. */
struct bg_keystore_status {
	struct bg_jwks *keys;		/* a reference, or NULL: there is no set that may serve */
	const char *issuer;		/* borrowed, as are file and cache_dir */
	const char *file;		/* jwks_file, or NULL */
	char     jwks_uri[BG_URL_MAX + 1];	/* where the set is from, or would be; "" when it is not known yet */
	bool     from_disk;		/* it was left on disk, by this program earlier or by another process */
	int64_t  fetched;		/* when the issuer last said that this is its set */
	int64_t  next;			/* when it will be asked again; what is past is due */
	int64_t  serves_until;		/* if it does not answer until then, nothing is let in any more */
	unsigned failures;		/* in a row */
	int64_t  failed;		/* the last failure since the set was fetched */
	char     error[BG_DETAIL_MAX];
};
void bg_keystore_status(struct bg_keystore *store, struct bg_now now, struct bg_keystore_status *out);
void bg_keystore_status_clear(struct bg_keystore_status *status);

/* For people: how the set is, "good", "failing" (it serves, and could not be refreshed) or "none"; and where it is from. */
const char *bg_keystore_state(const struct bg_keystore_status *status);
const char *bg_keystore_location(const struct bg_keystore_status *status);	/* borrowed; "" when it is not known yet */

#endif
