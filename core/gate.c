#include "core/gate.h"

#include <stdlib.h>

#include "core/credentials.h"
#include "core/signature.h"

/* Take a token apart, find its issuer and check its signature; by is the thumbprint of the key. */
static int
verify(const struct bg_gate *gate, const struct bg_request *request, struct bg_now now, struct bg_decision *out,
    const struct bg_issuer **issuer, char *by, struct bg_error *err)
{
	if (bg_token_parse(out->compact, &out->token, err) != 0 ||
	    bg_signature_issuer(gate->issuers, gate->n_issuers, request->host, out->token, issuer, err) != 0)
		return -1;
	return bg_signature_check(*issuer, out->token, now.mono_ms, by, err);
}

/*
 * The same for a token that is known.  The host says anew which issuers count, and the key that found the signature good
 * must still be one of that issuer's (SR-41); where it is not, *known becomes false, and the token is one like any other.
 */
static int
recall(const struct bg_gate *gate, const struct bg_request *request, struct bg_now now, struct bg_decision *out,
    const struct bg_issuer **issuer, const struct bg_verified_hit *hit, bool *known, struct bg_error *err)
{
	out->token = hit->token;
	if (out->token == NULL && bg_token_parse(out->compact, &out->token, err) != 0)
		return -1;
	if (bg_signature_issuer(gate->issuers, gate->n_issuers, request->host, out->token, issuer, err) != 0 ||
	    bg_signature_recall(*issuer, out->token, now.mono_ms, hit->key, known, err) != 0)
		return -1;
	if (!*known) {
		bg_token_unref(out->token);
		out->token = NULL;
	}
	return 0;
}

/*
 * A token with its issuer, the signature good: by what is remembered of it, or by checking.  news: it is worth remembering,
 * by is the thumbprint of its key, and it is settled.
 */
static int
find_token(const struct bg_gate *gate, const struct bg_request *request, struct bg_now now, struct bg_decision *out,
    const struct bg_issuer **issuer, char *by, bool *news, struct bg_error *err)
{
	struct bg_verified_hit hit;
	bool known = false;

	*news = false;
	if (gate->verified != NULL)
		out->hashed = bg_sha256(out->compact, out->digest, NULL) == 0;	/* want of memory: as if it were new */
	if (out->hashed && bg_verified_find(gate->verified, out->digest, &hit)) {
		if (recall(gate, request, now, out, issuer, &hit, &known, err) != 0)
			return -1;
		memcpy(by, hit.key, sizeof(hit.key));
		if (known && hit.token != NULL)
			return 0;
	}
	if (!known && verify(gate, request, now, out, issuer, by, err) != 0)
		return -1;
	*news = out->hashed && bg_token_settle(out->token, NULL) == 0;
	return 0;
}

/* The road of a request that needs a token, or brought one.  *issuer is set as far as it was found. */
static int
judge(const struct bg_gate *gate, const struct bg_request *request, struct bg_now now, struct bg_decision *out,
    const struct bg_issuer **issuer, struct bg_claims *claims, struct bg_proof *proof, struct bg_error *err)
{
	char by[BG_THUMBPRINT_LEN + 1];
	struct bg_credentials cred;
	bool news;
	int rc;

	*issuer = NULL;
	bg_json_begin();
	rc = bg_credentials_find(request, gate->dpop.mode, &cred, err);
	out->scheme = cred.scheme;
	if (rc != 0)
		return -1;
	out->compact = cred.token;
	if (find_token(gate, request, now, out, issuer, by, &news, err) != 0 ||
	    bg_claims_read(out->token, claims, err) != 0 ||
	    bg_claims_check_issuer(claims, *issuer, err) != 0 ||
	    bg_claims_check_time(claims, now.wall, gate->leeway, err) != 0)
		return -1;
	/* Only here, so that of a token that is not for us, or no longer, none pushes out one that is. */
	if (news)
		bg_verified_put(gate->verified, out->digest, out->token, by);
	cred.digest = out->hashed ? out->digest : NULL;
	if (bg_proof_check(&gate->dpop, request, &cred, claims, now, proof, err) != 0 ||
	    bg_policy_check(&gate->policies, &out->demand, claims, err) != 0 ||
	    bg_proof_spend(&gate->dpop, proof, now, &out->retry_after, err) != 0)
		return -1;
	return 0;
}

/* Does the client need a nonce for its next proof?  RFC 9449 sections 9 and 8.2. */
static bool
wants_nonce(const struct bg_decision *decision, const struct bg_proof *proof)
{
	if (decision->verdict == BG_ALLOW)
		return proof->old_nonce;
	return bg_reason_oauth(decision->error.reason) == BG_OAUTH_USE_DPOP_NONCE;
}

void
bg_gate_decide(const struct bg_gate *gate, const struct bg_request *request, struct bg_now now,
    struct bg_decision *out)
{
	const struct bg_issuer *issuer = NULL;
	struct bg_proof proof = { .spend = false };
	struct bg_claims claims;
	struct bg_error err = { 0 };

	*out = (struct bg_decision){ .verdict = BG_DENY };
	if (bg_policy_find(&gate->policies, request, &out->demand, &err) != 0)
		bg_decision_deny(out, &err);
	else if (bg_policy_is_preflight(&gate->policies, request) || out->demand.auth == BG_AUTH_NONE)
		bg_decision_allow_anonymous(out);
	else if (judge(gate, request, now, out, &issuer, &claims, &proof, &err) == 0)
		bg_decision_allow(out, &claims);
	else if (err.reason == BG_R_NO_TOKEN && out->demand.auth == BG_AUTH_OPTIONAL)
		bg_decision_allow_anonymous(out);
	else {
		bg_decision_deny(out, &err);
		if (bg_reason_status(err.reason) == 503 && out->retry_after == 0 && issuer != NULL)
			out->retry_after = bg_keystore_retry_after(issuer->keys, now.mono_ms);
	}
	/* Without its nonce, the answer that asks for one would be a riddle. */
	bg_error_clear(&err);
	if (wants_nonce(out, &proof) && bg_nonce_make(&gate->dpop.nonces, now.wall, out->nonce, &err) != 0)
		bg_decision_deny(out, &err);
}

/*
 * What was spent must stay spent.  Where the store is another one, or proofs live longer than they were remembered for, those
 * that may have been spent are refused until none of them is good any more (SR-63).
 */
static void
take_over_spent(struct bg_dpop *dpop, const struct bg_dpop *old, struct bg_now now)
{
	int64_t latest = now.wall + (old->iat_leeway > dpop->iat_leeway ? old->iat_leeway : dpop->iat_leeway);
	bool known;

	if (dpop->replay == NULL)
		return;
	known = old->replay != NULL && dpop->replay->take_over(dpop->replay, old->replay) &&
	    dpop->iat_offset <= old->iat_offset && dpop->iat_leeway <= old->iat_leeway;
	dpop->not_before = known ? old->not_before : latest;
}

void
bg_gate_take_over_spent(struct bg_gate *gate, const struct bg_gate *old, struct bg_now now)
{
	int64_t before = gate->dpop.not_before;

	take_over_spent(&gate->dpop, &old->dpop, now);
	if (gate->dpop.not_before < before)
		gate->dpop.not_before = before;
}

int
bg_gate_take_over(struct bg_gate *gate, const struct bg_gate *old, struct bg_now now, struct bg_error *err)
{
	take_over_spent(&gate->dpop, &old->dpop, now);
	bg_verified_count_on(gate->verified, old->verified);
	/* No store takes anything from one of another issuer, and no gate has two of one. */
	for (size_t i = 0; i < gate->n_issuers; i++)
		for (size_t j = 0; j < old->n_issuers; j++)
			if (bg_keystore_take_over(gate->issuers[i].keys, old->issuers[j].keys, now, err) != 0)
				return -1;
	return 0;
}

int
bg_gate_start(const struct bg_gate *gate, void (*changed)(void *arg), void *arg, struct bg_error *err)
{
	struct bg_replay *replay = gate->dpop.replay;

	if (replay != NULL && replay->open(replay, bg_clock_now(), err) != 0)
		return -1;
	for (size_t i = 0; i < gate->n_issuers; i++) {
		bg_keystore_restore(gate->issuers[i].keys, bg_clock_now());
		if (bg_keystore_start(gate->issuers[i].keys, changed, arg, err) != 0)
			return -1;
	}
	return 0;
}

static void
free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

void
bg_gate_stop(const struct bg_gate *gate)
{
	for (size_t i = 0; i < gate->n_issuers; i++)
		if (gate->issuers[i].keys != NULL)
			bg_keystore_stop(gate->issuers[i].keys);
}

void
bg_gate_free(struct bg_gate *gate)
{
	if (gate == NULL)
		return;
	bg_gate_stop(gate);		/* all before the first is waited for */
	for (size_t i = 0; i < gate->n_issuers; i++) {
		struct bg_issuer *issuer = &gate->issuers[i];

		bg_keystore_free(issuer->keys);
		free_texts(issuer->audiences, issuer->n_audiences);
		free_texts(issuer->sites, issuer->n_sites);
		free(issuer->algs);
		free(issuer->require_typ);
		free(issuer->name);
	}
	free(gate->issuers);
	bg_policies_clear(&gate->policies);
	bg_exports_clear(&gate->exports);
	bg_dpop_clear(&gate->dpop);
	bg_verified_free(gate->verified);
	free(gate->answers.realm);
	free(gate);
}
