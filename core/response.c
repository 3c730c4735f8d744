#include "core/response.h"

#include "core/limits.h"

/* What is wrong, and what is missing: the parameters of the scheme that was used.  RFC 6750 section 3. */
static void
put_error(struct bg_buf *out, const struct bg_gate *gate, const struct bg_decision *decision, enum bg_oauth oauth,
    enum bg_reason reason, const char *separator)
{
	struct bg_slice scope;
	struct bg_buf scopes;

	bg_buf_put_format(out, "%serror=", separator);
	bg_buf_put_quoted(out, bg_slice_str(bg_oauth_code(oauth)));
	bg_buf_put_str(out, ", error_description=");
	bg_buf_put_quoted(out, bg_slice_str(bg_reason_text(reason)));
	if (oauth != BG_OAUTH_INSUFFICIENT_SCOPE)
		return;
	bg_buf_init(&scopes, BG_CHALLENGE_MAX);
	bg_policy_put_scopes(&gate->policies, &decision->demand, &scopes);
	if (bg_buf_finish(&scopes, &scope, NULL) == 0 && scope.len > 0) {
		bg_buf_put_str(out, ", scope=");
		bg_buf_put_quoted(out, scope);
	}
	out->failed |= scopes.no_memory;	/* a refusal says all of it, or is a 500 */
	bg_buf_clear(&scopes);
}

/*
 * A challenge for each scheme that is on, as the SDK has them; the one that was used says what is wrong, and where none was,
 * the first.  RFC 6750 section 3, RFC 9449 section 7.1, RFC 9110 sections 11.2 and 11.6.1.
 */
static void
put_challenge(struct bg_buf *out, const struct bg_gate *gate, const struct bg_decision *decision, enum bg_oauth oauth,
    enum bg_reason reason)
{
	bool bearer = gate->dpop.mode != BG_DPOP_REQUIRED, dpop = gate->dpop.mode != BG_DPOP_DISABLED;
	bool by_dpop = dpop && (!bearer || decision->scheme == BG_SCHEME_DPOP);

	if (bearer) {
		bg_buf_put_str(out, "Bearer realm=");
		bg_buf_put_quoted(out, bg_slice_str(gate->answers.realm));
		if (bg_oauth_in_challenge(oauth) && !by_dpop)
			put_error(out, gate, decision, oauth, reason, ", ");
	}
	if (!dpop)
		return;
	bg_buf_put_str(out, bearer ? ", DPoP " : "DPoP ");
	if (bg_oauth_in_challenge(oauth) && by_dpop) {
		put_error(out, gate, decision, oauth, reason, "");
		bg_buf_put_str(out, ", ");
	}
	bg_buf_put_str(out, "algs=\"");	/* names of algorithms need no escapes */
	for (size_t i = 0; i < gate->dpop.n_algs; i++) {
		bg_buf_put_str(out, i > 0 ? " " : "");
		bg_buf_put(out, gate->dpop.algs[i]->name);
	}
	bg_buf_put_char(out, '"');
}

/* The SDK has no replay store: a proof that nobody can judge does not make the token invalid. */
static bool
is_store(enum bg_reason reason)
{
	return reason == BG_R_STORE_DOWN || reason == BG_R_STORE_FULL || reason == BG_R_STORE_YOUNG;
}

/*
 * The status, and what OAuth error and challenge go with it: the table's, but for what the configuration says about
 * missing tokens, and for where Auth0's SDK differs: a wrong scheme is a bad request, keys that cannot be had make the
 * token invalid, and a 403 comes without a challenge.
 */
static int
status_of(const struct bg_answers *answers, enum bg_reason reason, enum bg_oauth *oauth, bool *challenge)
{
	int status = bg_reason_status(reason);

	*oauth = bg_reason_oauth(reason);
	*challenge = status < 500;
	if (reason == BG_R_NO_TOKEN && answers->missing_status == 400)
		return 400;
	if (*oauth == BG_OAUTH_INVALID_DPOP_PROOF && answers->dpop_error_status == 401)
		return 401;
	if (!answers->auth0)
		return status;
	if (reason == BG_R_OTHER_SCHEME)
		return 400;
	if (*oauth == BG_OAUTH_UNAVAILABLE && !is_store(reason)) {
		*oauth = BG_OAUTH_INVALID_TOKEN;
		*challenge = true;
		return 401;
	}
	*challenge = status < 500 && status != 403;
	return status;
}

static void
deny(const struct bg_gate *gate, const struct bg_decision *decision, enum bg_reason reason, struct bg_response *out)
{
	enum bg_oauth oauth;
	bool challenge;

	bg_response_reset(out);
	out->status = status_of(&gate->answers, reason, &oauth, &challenge);
	if (challenge)
		put_challenge(&out->challenge, gate, decision, oauth, reason);
	if (out->status == 503)
		out->retry_after = decision->retry_after;
	memcpy(out->nonce, decision->nonce, sizeof(out->nonce));
	bg_response_put_body(&out->body, oauth, reason);
}

static bool
complete(struct bg_response *out)
{
	struct bg_slice text;

	return bg_buf_finish(&out->challenge, &text, NULL) == 0 && bg_buf_finish(&out->body, &text, NULL) == 0 &&
	    bg_buf_finish(&out->variables, &text, NULL) == 0;
}

void
bg_response_make(const struct bg_gate *gate, const struct bg_decision *decision, struct bg_response *out)
{
	if (decision->verdict == BG_ALLOW) {
		bg_response_reset(out);
		out->status = 200;
		memcpy(out->nonce, decision->nonce, sizeof(out->nonce));
		if (bg_export(&gate->exports, decision->scheme, decision->anonymous ? NULL : &decision->claims, &out->variables,
		    NULL) == 0)
			return;		/* nobody reads challenge and body of this */
		deny(gate, decision, BG_R_INTERNAL, out);
	} else
		deny(gate, decision, bg_decision_reason(decision), out);
	/* Without a challenge a 500 is still an answer; what is left of it is made of constants. */
	if (!complete(out)) {
		deny(gate, decision, BG_R_INTERNAL, out);
		bg_buf_reset(&out->challenge);
	}
}
