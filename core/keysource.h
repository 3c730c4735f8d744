#ifndef BG_CORE_KEYSOURCE_H
#define BG_CORE_KEYSOURCE_H

#include "core/clock.h"
#include "core/discovery.h"
#include "core/fetch.h"
#include "core/jwks.h"
#include "core/keyrecord.h"

/* Where the keys of one issuer come from: discovery, a jwks_uri or a file.  All text is borrowed and outlives the source. */
struct bg_keysource_options {
	const char              *issuer;	/* for discovery, and for the log */
	const char              *jwks_uri;	/* NULL: by discovery */
	const char              *jwks_file;	/* NULL: by https */
	const struct bg_fetcher *fetcher;	/* for https; may be NULL with jwks_file */
	int64_t                  fetch_timeout;	/* seconds, for one document */
	const int               *cancel;	/* as in struct bg_fetch_request */
	int64_t                  cache_ttl_min;	/* seconds; bounds of what Cache-Control says */
	int64_t                  cache_ttl_max;
};

/* What is remembered from one time to the next, beside the record.  Starts as { 0 }. */
struct bg_keysource_memory {
	enum bg_discovery_place place;		/* where the discovery document was, to be asked first */
	int64_t                 discovered_until;	/* monotonic milliseconds till which record.jwks_uri need not be asked for */
};

/*
 * Bring the key set that is valid now.  last is what was brought the last time (its text empty when nothing was), with
 * which the issuer is asked conditionally where it gave an ETag.  On success next, which was initialised, has the set of
 * now, which may be that of last confirmed, and *keys is the same read, the caller's own.  took is the milliseconds it
 * took, also on failure.
 * Returns -1 with BG_R_FETCH_FAILED, BG_R_BAD_DISCOVERY, BG_R_BAD_JWKS, BG_R_BAD_JWK or BG_R_NO_MEMORY.
 *
 * A jwks_uri that discovery names may be on a loopback, private or link-local address only where the issuer itself is on
 * one, or on the very host and port of the issuer (SR-52); one that was configured, anywhere.
 */
int bg_keysource_bring(const struct bg_keysource_options *options, struct bg_keysource_memory *memory, struct bg_now now,
    const struct bg_keyrecord *last, struct bg_keyrecord *next, struct bg_jwks **keys, int64_t *took,
    struct bg_error *err) BG_MUST_CHECK;

#endif
