#include "core/gate.h"

#include <stdlib.h>

#include "core/credentials.h"
#include "core/policy.h"
#include "core/proof.h"
#include "core/signature.h"

void
bg_gate_decide(const struct bg_gate *gate, const struct bg_request *request, struct bg_now now,
    struct bg_decision *out)
{
	const struct bg_issuer *issuer = NULL;
	struct bg_credentials cred;
	struct bg_claims claims;
	struct bg_error err = { 0 };

	*out = (struct bg_decision){ .verdict = BG_DENY };
	if (bg_credentials_find(request, &cred, &err) == 0 &&
	    (out->compact = cred.token, bg_token_parse(cred.token, &out->token, &err)) == 0 &&
	    bg_signature_issuer(gate->issuers, gate->n_issuers, out->token, &issuer, &err) == 0 &&
	    bg_signature_check(issuer, out->token, now.mono_ms, &err) == 0 &&
	    bg_claims_read(out->token, &claims, &err) == 0 &&
	    bg_claims_check_issuer(&claims, issuer, &err) == 0 &&
	    bg_claims_check_time(&claims, now.wall, gate->leeway, &err) == 0 &&
	    bg_proof_check(&claims, &err) == 0 &&
	    bg_policy_check(request, &claims, &err) == 0)
		bg_decision_allow(out, &claims);
	else {
		bg_decision_deny(out, &err);
		if (bg_reason_status(err.reason) == 503 && issuer != NULL)
			out->retry_after = bg_keystore_retry_after(issuer->keys, now.mono_ms);
	}
}

int
bg_gate_start(const struct bg_gate *gate, struct bg_error *err)
{
	for (size_t i = 0; i < gate->n_issuers; i++)
		if (bg_keystore_start(gate->issuers[i].keys, err) != 0)
			return -1;
	return 0;
}

void
bg_gate_free(struct bg_gate *gate)
{
	if (gate == NULL)
		return;
	for (size_t i = 0; i < gate->n_issuers; i++) {
		struct bg_issuer *issuer = &gate->issuers[i];

		bg_keystore_free(issuer->keys);
		for (size_t j = 0; j < issuer->n_audiences; j++)
			free(issuer->audiences[j]);
		free(issuer->audiences);
		free(issuer->algs);
		free(issuer->name);
	}
	free(gate->issuers);
	free(gate->realm);
	free(gate);
}
