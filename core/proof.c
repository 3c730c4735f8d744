#include "core/proof.h"

#include <stdlib.h>

int
bg_proof_check(const struct bg_dpop *dpop, const struct bg_request *request, const struct bg_credentials *cred,
    const struct bg_claims *claims, struct bg_now now, struct bg_proof *out, struct bg_error *err)
{
	(void)dpop;
	(void)request;
	(void)now;
	*out = (struct bg_proof){ .spend = false };
	if (claims->cnf != NULL || cred->scheme != BG_SCHEME_BEARER)
		return bg_fail(err, BG_R_NO_PROOF, "the token is bound (cnf) and no kind of proof is understood yet");
	return 0;
}

void
bg_dpop_clear(struct bg_dpop *dpop)
{
	free(dpop->algs);
	bg_replay_free(dpop->replay);
	*dpop = (struct bg_dpop){ .mode = BG_DPOP_REQUIRED };
}
