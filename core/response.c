#include "core/response.h"

#include "core/limits.h"

/*
 * The error codes as the client reads them, in the challenge and in the body.  Where nothing was sent the challenge has
 * none (RFC 6750 section 3.1), while the body keeps the form that users of the SDK know.
 */
static const struct {
	const char *code;
	bool        in_challenge;	/* there is a challenge, and it names the error */
} errors[] = {
	[BG_OAUTH_NONE]               = { "invalid_request",         false },
	[BG_OAUTH_INVALID_REQUEST]    = { "invalid_request",         true },
	[BG_OAUTH_INVALID_TOKEN]      = { "invalid_token",           true },
	[BG_OAUTH_INSUFFICIENT_SCOPE] = { "insufficient_scope",      true },
	[BG_OAUTH_INVALID_DPOP_PROOF] = { "invalid_dpop_proof",      true },
	[BG_OAUTH_USE_DPOP_NONCE]     = { "use_dpop_nonce",          true },
	[BG_OAUTH_UNAVAILABLE]        = { "temporarily_unavailable", false },
	[BG_OAUTH_INTERNAL]           = { "internal_server_error",   false },
};

void
bg_response_init(struct bg_response *response)
{
	*response = (struct bg_response){ .status = 500 };
	bg_buf_init(&response->challenge, BG_CHALLENGE_MAX);
	bg_buf_init(&response->body, BG_BODY_MAX);
	bg_buf_init(&response->variables, BG_ANSWER_MAX);
}

void
bg_response_clear(struct bg_response *response)
{
	bg_buf_clear(&response->challenge);
	bg_buf_clear(&response->body);
	bg_buf_clear(&response->variables);
}

/* RFC 6750 section 3; RFC 9110 section 11.2. */
static void
put_challenge(struct bg_buf *out, const struct bg_gate *gate, const struct bg_decision *decision, enum bg_oauth oauth,
    enum bg_reason reason)
{
	struct bg_slice scope;
	struct bg_buf scopes;

	bg_buf_put_str(out, "Bearer realm=");
	bg_buf_put_quoted(out, bg_slice_str(gate->answers.realm));
	if (!errors[oauth].in_challenge)
		return;
	bg_buf_put_str(out, ", error=");
	bg_buf_put_quoted(out, bg_slice_str(errors[oauth].code));
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

/* The body that users of the SDK know; holds nothing that came from the request (SR-83, SR-86). */
static void
put_body(struct bg_buf *out, enum bg_oauth oauth, enum bg_reason reason)
{
	bg_buf_put_str(out, "{\"detail\":{\"error\":");
	bg_json_put_string(out, bg_slice_str(errors[oauth].code));
	bg_buf_put_str(out, ",\"error_description\":");
	bg_json_put_string(out, bg_slice_str(bg_reason_text(reason)));
	bg_buf_put_str(out, "}}");
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
	if (!answers->auth0)
		return status;
	if (reason == BG_R_OTHER_SCHEME)
		return 400;
	if (*oauth == BG_OAUTH_UNAVAILABLE) {
		*oauth = BG_OAUTH_INVALID_TOKEN;
		*challenge = true;
		return 401;
	}
	*challenge = status < 500 && status != 403;
	return status;
}

static void
reset(struct bg_response *out)
{
	bg_buf_reset(&out->challenge);
	bg_buf_reset(&out->body);
	bg_buf_reset(&out->variables);
	out->left_out = false;
	out->retry_after = 0;
}

static void
deny(const struct bg_gate *gate, const struct bg_decision *decision, enum bg_reason reason, struct bg_response *out)
{
	enum bg_oauth oauth;
	bool challenge;

	reset(out);
	out->status = status_of(&gate->answers, reason, &oauth, &challenge);
	if (challenge)
		put_challenge(&out->challenge, gate, decision, oauth, reason);
	if (out->status == 503)
		out->retry_after = decision->retry_after;
	put_body(&out->body, oauth, reason);
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
		reset(out);
		out->status = 200;
		if (bg_export(&gate->exports, decision->anonymous ? NULL : &decision->claims, &out->variables, &out->left_out, NULL) == 0 &&
		    complete(out))
			return;
		deny(gate, decision, BG_R_INTERNAL, out);
	} else
		deny(gate, decision, bg_decision_reason(decision), out);
	/* Without a challenge a 500 is still an answer; what is left of it is made of constants. */
	if (!complete(out)) {
		deny(gate, decision, BG_R_INTERNAL, out);
		bg_buf_reset(&out->challenge);
	}
}
