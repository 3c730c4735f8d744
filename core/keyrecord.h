#ifndef BG_CORE_KEYRECORD_H
#define BG_CORE_KEYRECORD_H

#include <stdint.h>

#include "core/buf.h"
#include "core/limits.h"

/*
 * What is known of one issuer's keys: the set as it came, from where and when, and what went wrong since.  A store has one
 * in memory, and one on disk for the next start and for the other processes of the machine.
 */
struct bg_keyrecord {
	struct bg_buf text;			/* the key set; empty: there is none yet */
	char    jwks_uri[BG_URL_MAX + 1];	/* where it came from; "" for a file of ours */
	bool    private_peer;			/* the issuer was on a loopback, private or link-local address */
	char    etag[BG_ETAG_MAX + 1];		/* "": none */
	int64_t fetched;			/* wall clock, in milliseconds: when it was asked for, and the issuer said that
						   this is its set; 0: never */
	int64_t lifetime;			/* seconds from then for which it need not be asked */
	int64_t failed;				/* wall clock: the last failure since then; 0: none */
	char    error[BG_DETAIL_MAX];		/* and what it was */
};

void bg_keyrecord_init(struct bg_keyrecord *record);
void bg_keyrecord_clear(struct bg_keyrecord *record);

/* Whose it is: written into the record, and looked for there.  source is the jwks_uri of the configuration, or "". */
struct bg_keyrecord_owner {
	const char *issuer;
	const char *source;
};

/* Put it as the bytes of a file: lines "name: value", an empty line, the set.  Text in it is escaped or refused. */
void bg_keyrecord_write(const struct bg_keyrecord *record, const struct bg_keyrecord_owner *owner, struct bg_buf *out);

/*
 * Read it back into record, which was initialised.  Nothing but what bg_keyrecord_write writes is taken: anything missing,
 * twice, unknown, out of bounds, cut off or changed since, and a record of another owner, is BG_R_BAD_CACHE, record then
 * cleared.
 */
int bg_keyrecord_read(struct bg_slice bytes, const struct bg_keyrecord_owner *owner, struct bg_keyrecord *record,
    struct bg_error *err) BG_MUST_CHECK;

#endif
