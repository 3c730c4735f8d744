#include "core/decision.h"

#include "core/log.h"

#define LINE_MAX_LEN	4000

void
bg_decision_allow(struct bg_decision *decision, const struct bg_claims *claims)
{
	decision->claims = *claims;
	decision->verdict = BG_ALLOW;
}

void
bg_decision_allow_anonymous(struct bg_decision *decision)
{
	decision->anonymous = true;
	decision->verdict = BG_ALLOW;
}

void
bg_decision_deny(struct bg_decision *decision, const struct bg_error *err)
{
	decision->verdict = BG_DENY;
	decision->error = *err;
}

enum bg_reason
bg_decision_reason(const struct bg_decision *decision)
{
	if (decision->verdict != BG_ALLOW && decision->error.reason == BG_R_OK)
		return BG_R_INTERNAL;
	return decision->error.reason;
}

void
bg_decision_clear(struct bg_decision *decision)
{
	bg_token_unref(decision->token);
	*decision = (struct bg_decision){ .verdict = BG_DENY };
}

static void
put_text(struct bg_buf *line, const char *key, struct bg_slice text)
{
	if (text.ptr == NULL)
		return;
	bg_buf_put_format(line, " %s=", key);
	bg_log_text(line, text);
}

void
bg_decision_log(const struct bg_decision *decision, const struct bg_request *request, int status)
{
	bool allow = decision->verdict == BG_ALLOW;
	char fingerprint[BG_FINGERPRINT_LEN + 1];
	struct bg_slice text;
	struct bg_buf line;
	enum bg_reason reason = bg_decision_reason(decision);
	/* A fault of ours or of the configuration is something an operator must see at any level. */
	enum bg_log_level level = status >= 500 || status == 0 ? BG_LOG_ERROR : BG_LOG_INFO;

	if (!bg_log_wants(level))
		return;
	bg_buf_init(&line, LINE_MAX_LEN);
	bg_buf_put_format(&line, "decision=%s reason=%s status=%d", allow ? "allow" : "deny",
	    bg_reason_name(reason), status);
	if (allow && decision->anonymous)
		bg_buf_put_str(&line, " anonymous=yes");
	if (decision->scheme == BG_SCHEME_DPOP)
		bg_buf_put_str(&line, " scheme=DPoP");
	if (decision->token != NULL) {
		put_text(&line, "iss", bg_json_string(json_object_get(decision->token->payload, "iss")));
		put_text(&line, "kid", decision->token->kid);
	}
	if (decision->compact.ptr != NULL) {
		if (decision->hashed)
			bg_secret_fingerprint_of(decision->digest, fingerprint);
		else
			bg_secret_fingerprint(decision->compact, fingerprint);
		bg_buf_put_format(&line, " token=sha256:%s", fingerprint);
	}
	put_text(&line, "method", request->method);
	put_text(&line, "path", bg_request_path(request));
	put_text(&line, "client", request->remote_addr);
	put_text(&line, "id", request->request_id);
	if (!allow)
		put_text(&line, "detail", bg_slice_str(decision->error.detail));
	if (bg_buf_finish(&line, &text, NULL) == 0)
		bg_log(level, "%s", text.ptr);
	else	/* no memory, or more text than a line takes: no decision goes unsaid, whatever a stranger sends */
		bg_log(level, "decision=%s reason=%s status=%d detail=\"the rest could not be written\"", allow ? "allow" : "deny",
		    bg_reason_name(reason), status);
	bg_buf_clear(&line);
}
