#ifndef BG_CORE_PROOF_H
#define BG_CORE_PROOF_H

#include "core/claims.h"
#include "core/credentials.h"
#include "core/nonce.h"
#include "core/public.h"
#include "core/replay.h"

/* What is asked of bound tokens and their proofs.  const after start-up; cleared memory accepts no proof at all. */
struct bg_dpop {
	enum bg_dpop_mode     mode;
	const struct bg_alg **algs;	/* that a proof may be signed by */
	size_t                n_algs;
	int64_t               iat_offset;	/* seconds: a proof may be so old */
	int64_t               iat_leeway;	/* seconds: it may be so far ahead of our clock */
	struct bg_public      public;
	struct bg_nonces      nonces;
	struct bg_replay     *replay;	/* owned; NULL where mode is BG_DPOP_DISABLED, or for no_store */
	bool                  replay_fail_open;	/* replay_on_error = "allow" */
	const char           *no_store;	/* why replay is NULL where there should be one; static; NULL: it is a fault of ours */
	int64_t               not_before;	/* proofs with this iat or an earlier one may have been spent and be forgotten */
};

/* What is left to do for a proof that is good: to spend it. */
struct bg_proof {
	bool               spend;	/* there was one */
	bool               old_nonce;	/* its nonce is good, but the client should have a newer one */
	struct bg_spending spending;
};

/*
 * A token that says it is bound to a key (cnf) passes only with the proof of that key, and never as a plain Bearer token,
 * whatever the mode (SR-62): by jkt with a DPoP proof, to which all checks of RFC 9449 section 4.3 are made; by x5t#S256 with
 * the TLS client certificate that the server hands in; with both by both; by anything else not at all.  A token without cnf
 * does not pass by the DPoP scheme.  The proof is not spent yet, see bg_proof_spend.
 * Returns -1 with one of the reasons in that part of core/reasons.def, BG_R_BAD_VARIABLE, BG_R_NO_MEMORY or BG_R_INTERNAL.
 *
 * RFC 9449 sections 4.3 and 7.1, RFC 8705 section 3, RFC 7800 section 3.1.
 */
int bg_proof_check(const struct bg_dpop *dpop, const struct bg_request *request, const struct bg_credentials *cred,
    const struct bg_claims *claims, struct bg_now now, struct bg_proof *out, struct bg_error *err) BG_MUST_CHECK;

/*
 * Spend it: the last step before an allow, so that a request that is refused for anything else costs the store nothing.
 * Returns -1 as struct bg_replay says, *retry_after with it; BG_R_STORE_YOUNG also for what stands in not_before.
 *
 * RFC 9449 section 11.1; SR-63, SR-65.
 */
int bg_proof_spend(const struct bg_dpop *dpop, const struct bg_proof *proof, struct bg_now now, int64_t *retry_after,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Give the store back and have none: every proof that is good otherwise is then refused as a fault of the configuration, by
 * these words, which are static.  For a store that others than those who share it would have to know.
 */
void bg_dpop_forgo(struct bg_dpop *dpop, const char *why);

void bg_dpop_clear(struct bg_dpop *dpop);

#endif
