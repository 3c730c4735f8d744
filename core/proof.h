#ifndef BG_CORE_PROOF_H
#define BG_CORE_PROOF_H

#include "core/claims.h"

/*
 * A token that says it is bound to a key (cnf) passes only with the proof of that key, and never as a plain Bearer
 * token (SR-62).  Proofs are not understood yet, so every bound token is refused with BG_R_NO_PROOF.
 *
 * RFC 9449 section 7.1, RFC 8705 section 3, RFC 7800 section 3.1.
 */
int bg_proof_check(const struct bg_claims *claims, struct bg_error *err) BG_MUST_CHECK;

#endif
