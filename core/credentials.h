#ifndef BG_CORE_CREDENTIALS_H
#define BG_CORE_CREDENTIALS_H

#include "core/error.h"
#include "core/request.h"

/* The two schemes of Authorization that carry an access token. */
enum bg_scheme { BG_SCHEME_NONE = 0, BG_SCHEME_BEARER, BG_SCHEME_DPOP };

/* Which of them are on: DPoP alone, both, or Bearer alone.  The strictest is the zero value. */
enum bg_dpop_mode { BG_DPOP_REQUIRED = 0, BG_DPOP_ALLOWED, BG_DPOP_DISABLED };

struct bg_credentials {
	enum bg_scheme  scheme;		/* as far as it is known, in a refusal too; NONE where it is another or none */
	struct bg_slice token;		/* borrowed from the request */
	struct bg_slice proof;		/* of BG_SCHEME_DPOP: the DPoP header's value */
	const unsigned char *digest;	/* SHA-256 of token, where somebody has made it already; NULL otherwise */
};

/*
 * Find the one token a request carries, by "Authorization: Bearer", or "DPoP" with one DPoP header, as mode has it.  An
 * empty Authorization header counts as none: Apache's SetEnvIf makes one where the client sent nothing.
 * Returns -1 with BG_R_NO_TOKEN, BG_R_OTHER_SCHEME, BG_R_TWO_TOKENS, BG_R_BAD_CREDENTIALS, BG_R_MISSING_PROOF, BG_R_TWO_PROOFS
 * (SR-67), or BG_R_PROOF_WITH_BEARER where DPoP is on.
 *
 * RFC 6750 section 2.1, RFC 9449 sections 4.3 and 7.1, RFC 9110 section 11.6.2.
 */
int bg_credentials_find(const struct bg_request *request, enum bg_dpop_mode mode, struct bg_credentials *out,
    struct bg_error *err) BG_MUST_CHECK;

#endif
