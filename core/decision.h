#ifndef BG_CORE_DECISION_H
#define BG_CORE_DECISION_H

#include "core/claims.h"
#include "core/credentials.h"
#include "core/nonce.h"
#include "core/policy.h"
#include "core/request.h"
#include "core/secret.h"

enum bg_verdict { BG_DENY = 0, BG_ALLOW = 1 };	/* denial is the zero value */

/* What the gate found.  Cleared memory is a denial without a reason, which is answered as an internal error. */
struct bg_decision {
	enum bg_verdict  verdict;
	struct bg_error  error;		/* the one reason of a denial */
	enum bg_scheme   scheme;	/* by which the token came, as far as that is known */
	struct bg_slice  compact;	/* the token as it was sent, for its fingerprint; borrowed from the request */
	bool             hashed;	/* digest is that of compact */
	unsigned char    digest[BG_SHA256_LEN];
	struct bg_token *token;		/* a reference of its own; NULL when none was read.  Of a denial: for the log, not to be believed */
	struct bg_demand demand;	/* what the request had to meet; borrowed from request and gate */
	bool             anonymous;	/* of an allow: no token was needed, and there is no identity */
	struct bg_claims claims;	/* of any other allow: the identity to hand on; borrowed from token */
	int64_t          retry_after;	/* seconds, for a 503; 0 otherwise */
	char             nonce[BG_NONCE_LEN + 1];	/* for the client's next proof; empty when it needs none */
};

/* The only two ways to an allow. */
void bg_decision_allow(struct bg_decision *decision, const struct bg_claims *claims);
void bg_decision_allow_anonymous(struct bg_decision *decision);

/* A front end that cannot even build the request denies with this. */
void bg_decision_deny(struct bg_decision *decision, const struct bg_error *err);
/* The reason of a denial.  One that nobody gave a reason is a fault of ours: BG_R_INTERNAL. */
enum bg_reason bg_decision_reason(const struct bg_decision *decision);

void bg_decision_clear(struct bg_decision *decision);

/*
 * The one line in the log: verdict, reason, the status that was answered (0: the connection was closed), issuer, the token's
 * fingerprint, path, detail; never the token.  In JSON, where the log is, the same as members of one object.
 */
void bg_decision_log(const struct bg_decision *decision, const struct bg_request *request, int status);

/*
 * Which of these lines are written: those of allows too, or of denials alone; and of denials for one reason at most so many
 * in a second, 0 for any number, which is where this begins.  Those left out are counted, and the next line that is
 * written about this reason comes after one with their number.  bg_decision_log_flush writes that of all reasons whose second is
 * over; mono_ms is bg_clock_mono_ms(), or INT64_MAX at the end.  From any thread.
 */
void bg_decision_log_set(bool denials_only, unsigned rate);
void bg_decision_log_flush(int64_t mono_ms);

#endif
