#ifndef BG_CORE_CLAIMS_H
#define BG_CORE_CLAIMS_H

#include <stdint.h>

#include "core/issuer.h"
#include "core/token.h"

/* The claims we judge by, typed.  Borrowed from the token's payload. */
struct bg_claims {
	const json_t   *all;		/* the payload */
	struct bg_slice iss;
	struct bg_slice sub;		/* ptr NULL when the token names none (RFC 9068 wants it, machines lack it) */
	const json_t   *aud;		/* string or array of strings, NULL when absent */
	const json_t   *scope;		/* string of words or array of strings, NULL when absent */
	struct bg_slice typ;		/* of the header; ptr NULL when absent */
	const json_t   *cnf;		/* object, NULL when absent: the token is bound (RFC 7800) */
	int64_t         exp;		/* seconds since the epoch; a fraction counts as the second it ends in */
	int64_t         iat;
	int64_t         nbf;
	bool            has_nbf;
};

/*
 * Read the claims of a token.  exp and iat must be there; every claim read here must have the type it should have
 * (SR-25, SR-26).  Returns -1 with BG_R_BAD_CLAIMS.
 *
 * RFC 7519 section 4.1, RFC 9068 section 2.2, RFC 8693 section 4.2.
 */
int bg_claims_read(const struct bg_token *token, struct bg_claims *out, struct bg_error *err) BG_MUST_CHECK;

/*
 * Check the time claims of an access token against a clock reading.
 *
 * now is in seconds since the epoch, leeway in seconds; both are at least zero.
 * Returns 0 inside the validity window.  Otherwise returns -1 and sets err to
 * BG_R_EXPIRED or BG_R_NOT_YET_VALID.  Keeps no reference to claims.
 *
 * RFC 7519 sections 4.1.4, 4.1.5 and 4.1.6.
 */
int bg_claims_check_time(const struct bg_claims *claims, int64_t now, int64_t leeway,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Was this token made for us, and as an access token?  iss is compared once more, byte for byte; typ must be what the
 * issuer's require_typ says, if it says so; one of the issuer's audiences must be in aud (SR-40, SR-42, SR-44).  An ID
 * token that was sent instead, which has another audience and claims only ID tokens have, gets a reason of its own; where
 * any audience will do, one that has a hash of what came with it is refused all the same.
 * Returns -1 with BG_R_WRONG_ISSUER, BG_R_WRONG_TYPE, BG_R_ID_TOKEN or BG_R_WRONG_AUDIENCE.
 *
 * RFC 7519 sections 4.1.1, 4.1.3 and 5.1, RFC 9068 section 4, OpenID Connect Core 1.0 section 2.
 */
int bg_claims_check_issuer(const struct bg_claims *claims, const struct bg_issuer *issuer,
    struct bg_error *err) BG_MUST_CHECK;

#endif
