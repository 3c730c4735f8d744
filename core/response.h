#ifndef BG_CORE_RESPONSE_H
#define BG_CORE_RESPONSE_H

#include "core/gate.h"

/* What the client, or the server for an allow, is to get.  No front end decides anything any more. */
struct bg_response {
	int           status;		/* HTTP status: 200 for an allow, 4xx or 5xx for a denial, never 0 */
	struct bg_buf challenge;	/* WWW-Authenticate; empty when there is none */
	int64_t       retry_after;	/* seconds; 0 when there is none */
	char          nonce[BG_NONCE_LEN + 1];	/* DPoP-Nonce, for an allow too; empty when there is none */
	struct bg_buf body;		/* JSON; empty for an allow */
	struct bg_buf variables;	/* of an allow: pairs for bg_export_next; empty for a denial */
};

void bg_response_init(struct bg_response *response);
void bg_response_reset(struct bg_response *response);	/* as after init */
void bg_response_clear(struct bg_response *response);

/*
 * A decision as status, challenge, body and variables.  Cannot fail: when anything does not fit, it becomes a plain
 * denial with status 500.
 *
 * RFC 6750 section 3, RFC 9110 section 11.6.1.
 */
void bg_response_make(const struct bg_gate *gate, const struct bg_decision *decision, struct bg_response *out);

/* A denial outside of any gate, for a fault of ours, of the configuration or of a neighbour: status and body alone. */
void bg_response_fault(struct bg_response *out, enum bg_reason reason);

/* The error code as the client reads it; static.  Does a challenge name it? */
const char *bg_oauth_code(enum bg_oauth oauth);
bool bg_oauth_in_challenge(enum bg_oauth oauth);

/* The body that users of the SDK know; holds nothing that came from the request (SR-83, SR-86). */
void bg_response_put_body(struct bg_buf *out, enum bg_oauth oauth, enum bg_reason reason);

#endif
