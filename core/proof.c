#include "core/proof.h"

int
bg_proof_check(const struct bg_claims *claims, struct bg_error *err)
{
	if (claims->cnf != NULL)
		return bg_fail(err, BG_R_NO_PROOF, "the token is bound (cnf) and no kind of proof is understood yet");
	return 0;
}
