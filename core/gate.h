#ifndef BG_CORE_GATE_H
#define BG_CORE_GATE_H

#include "core/clock.h"
#include "core/decision.h"
#include "core/export.h"
#include "core/issuer.h"
#include "core/policy.h"
#include "core/proof.h"
#include "core/verified.h"

/* How refusals are worded. */
struct bg_answers {
	char *realm;		/* of the challenge */
	int   missing_status;	/* where no token was sent: 401, or 400 as the SDK has it */
	int   dpop_error_status;	/* where a proof is wrong: 401, as RFC 9449 has it, else 400 */
	bool  auth0;		/* answers as Auth0's SDK gives them, where it differs: compat = "auth0" */
};

/* All that a decision needs to know.  Built by conf/build.c, const while threads run, taken down by bg_gate_free. */
struct bg_gate {
	struct bg_issuer *issuers;
	size_t            n_issuers;
	struct bg_dpop    dpop;
	struct bg_verified *verified;	/* tokens whose signature was found good lately; NULL: none is remembered */
	int64_t           leeway;	/* seconds, for exp, nbf and iat */
	struct bg_policies policies;
	struct bg_exports exports;
	struct bg_answers answers;
};

/*
 * The whole road of one request.  *out is always filled in and is the caller's to clear; its token and claims borrow
 * from request.  Anything unforeseen is a denial.
 */
void bg_gate_decide(const struct bg_gate *gate, const struct bg_request *request, struct bg_now now,
    struct bg_decision *out);

/*
 * Take up the keys of another gate's issuers, see bg_keystore_take_over, and what its replay store knows; that one may be at work.
 * Where that is not known any more, proofs made before are refused for a while (struct bg_dpop, not_before).  To be called before
 * bg_gate_start.  Returns -1 with BG_R_NO_MEMORY.
 */
int  bg_gate_take_over(struct bg_gate *gate, const struct bg_gate *old, struct bg_now now,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * The part of that which is about proofs, for a gate that takes the place of old in another process, perhaps a copy of old
 * itself: nothing of either need be open, and what old had in memory alone is lost.  What gate refused before it still refuses.
 */
void bg_gate_take_over_spent(struct bg_gate *gate, const struct bg_gate *old, struct bg_now now);

/*
 * Open the replay store, take up what keys there are on disk, and start the threads of the key stores, see
 * bg_keystore_start.  A denial of BG_R_KEYS_PENDING is then worth deciding again when changed was called.
 */
int  bg_gate_start(const struct bg_gate *gate, void (*changed)(void *arg), void *arg, struct bg_error *err) BG_MUST_CHECK;
void bg_gate_stop(const struct bg_gate *gate);	/* has the threads of the key stores end, and does not wait for them */
void bg_gate_free(struct bg_gate *gate);	/* waits for these threads, as long as a fetch may take; NULL is fine */

#endif
