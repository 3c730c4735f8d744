#ifndef BG_CORE_JWKS_H
#define BG_CORE_JWKS_H

#include "core/jwk.h"

/* A key set: never changed after it was made, shared by counting. */
struct bg_jwks;

/*
 * Read a JWK Set.  A key that cannot be used is skipped with a line in the log and does not spoil the others; a set
 * without one usable key, with more than BG_JWKS_KEYS_MAX entries, or that is no JWK Set at all is refused with
 * BG_R_BAD_JWKS.  source names it in the log.  *out belongs to the caller: bg_jwks_unref.
 *
 * RFC 7517 section 5.
 */
int bg_jwks_parse(struct bg_slice text, const char *source, struct bg_jwks **out, struct bg_error *err) BG_MUST_CHECK;

/*
 * The same for what an operator puts into a file: a JWK Set, or public keys and certificates in PEM, which judge tokens of
 * any kid (bg_jwk_read_pem).  A PEM file with one block that cannot be used is refused as a whole, as is one with more
 * than BG_PEM_KEYS_MAX: it was written by hand, and is to be put right by hand.
 */
int bg_jwks_parse_file(struct bg_slice text, const char *source, struct bg_jwks **out, struct bg_error *err) BG_MUST_CHECK;

struct bg_jwks *bg_jwks_ref(struct bg_jwks *set);	/* one more owner; returns set */
void bg_jwks_unref(struct bg_jwks *set);		/* NULL is fine */
size_t bg_jwks_count(const struct bg_jwks *set);
const struct bg_jwk *bg_jwks_get(const struct bg_jwks *set, size_t i);	/* borrowed; i below bg_jwks_count */
bool bg_jwks_has_kid(const struct bg_jwks *set, struct bg_slice kid);

/*
 * Walk the keys that fit: the type and algorithm of alg and, where kid is there (ptr not NULL), that very kid (SR-12:
 * several keys of one kid are all tried).  Without kid, the one key that fits, and none when several do.
 * Start with after NULL; returns NULL at the end.  Borrowed from set.
 */
const struct bg_jwk *bg_jwks_next(const struct bg_jwks *set, const struct bg_jwk *after, struct bg_slice kid,
    const struct bg_alg *alg);

#endif
