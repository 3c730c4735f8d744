#include "core/response.h"

#include "core/json.h"
#include "core/limits.h"

/* Apart from core/response.c: what an answer needs that no gate has to do with. */

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

const char *
bg_oauth_code(enum bg_oauth oauth)
{
	return errors[oauth].code;
}

bool
bg_oauth_in_challenge(enum bg_oauth oauth)
{
	return errors[oauth].in_challenge;
}

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

void
bg_response_reset(struct bg_response *response)
{
	response->status = 500;
	bg_buf_reset(&response->challenge);
	bg_buf_reset(&response->body);
	bg_buf_reset(&response->variables);
	response->retry_after = 0;
	response->nonce[0] = '\0';
}

void
bg_response_put_body(struct bg_buf *out, enum bg_oauth oauth, enum bg_reason reason)
{
	bg_buf_put_str(out, "{\"detail\":{\"error\":");
	bg_json_put_string(out, bg_slice_str(bg_oauth_code(oauth)));
	bg_buf_put_str(out, ",\"error_description\":");
	bg_json_put_string(out, bg_slice_str(bg_reason_text(reason)));
	bg_buf_put_str(out, "}}");
}

void
bg_response_fault(struct bg_response *out, enum bg_reason reason)
{
	bg_response_reset(out);
	out->status = bg_reason_status(reason);
	out->retry_after = out->status == 503 ? 1 : 0;
	bg_response_put_body(&out->body, bg_reason_oauth(reason), reason);
}
