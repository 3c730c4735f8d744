#include "core/response.h"

#include "core/export.h"
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
put_challenge(struct bg_buf *out, const char *realm, enum bg_reason reason, struct bg_slice scope)
{
	enum bg_oauth oauth = bg_reason_oauth(reason);

	bg_buf_put_str(out, "Bearer realm=");
	bg_buf_put_quoted(out, bg_slice_str(realm));
	if (!errors[oauth].in_challenge)
		return;
	bg_buf_put_str(out, ", error=");
	bg_buf_put_quoted(out, bg_slice_str(errors[oauth].code));
	bg_buf_put_str(out, ", error_description=");
	bg_buf_put_quoted(out, bg_slice_str(bg_reason_text(reason)));
	if (oauth == BG_OAUTH_INSUFFICIENT_SCOPE && scope.len > 0) {
		bg_buf_put_str(out, ", scope=");
		bg_buf_put_quoted(out, scope);
	}
}

/* The body that users of the SDK know; holds nothing that came from the request (SR-83, SR-86). */
static void
put_body(struct bg_buf *out, enum bg_reason reason)
{
	bg_buf_put_str(out, "{\"detail\":{\"error\":");
	bg_json_put_string(out, bg_slice_str(errors[bg_reason_oauth(reason)].code));
	bg_buf_put_str(out, ",\"error_description\":");
	bg_json_put_string(out, bg_slice_str(bg_reason_text(reason)));
	bg_buf_put_str(out, "}}");
}

static void
deny(const struct bg_gate *gate, enum bg_reason reason, int64_t retry_after, struct bg_slice scope,
    struct bg_response *out)
{
	int status = bg_reason_status(reason);

	bg_buf_reset(&out->challenge);
	bg_buf_reset(&out->body);
	bg_buf_reset(&out->variables);
	out->status = status;
	out->retry_after = retry_after;
	if (status < 500)
		put_challenge(&out->challenge, gate->realm, reason, scope);
	put_body(&out->body, reason);
}

static bool
complete(struct bg_response *out)
{
	struct bg_slice text;

	return bg_buf_finish(&out->challenge, &text, NULL) == 0 && bg_buf_finish(&out->body, &text, NULL) == 0 &&
	    bg_buf_finish(&out->variables, &text, NULL) == 0;
}

void
bg_response_make(const struct bg_gate *gate, const struct bg_request *request, const struct bg_decision *decision,
    struct bg_response *out)
{
	if (decision->verdict == BG_ALLOW) {
		bg_buf_reset(&out->challenge);
		bg_buf_reset(&out->body);
		bg_buf_reset(&out->variables);
		out->status = 200;
		out->retry_after = 0;
		if (bg_export(&decision->claims, &out->variables, NULL) == 0 && complete(out))
			return;
		deny(gate, BG_R_INTERNAL, 0, BG_SLICE(""), out);
	} else
		deny(gate, bg_decision_reason(decision), decision->retry_after, request->want_scope, out);
	/* Without a challenge a 500 is still an answer; what is left of it is made of constants. */
	if (!complete(out)) {
		deny(gate, BG_R_INTERNAL, 0, BG_SLICE(""), out);
		out->challenge.len = 0;
	}
}
