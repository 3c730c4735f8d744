#include "core/decision.h"

#include <stdatomic.h>

#include "core/clock.h"
#include "core/line.h"

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

/* What goes into the log. */
static atomic_bool denials_only;
static atomic_uint rate;		/* lines about denials of one reason in a second; 0: any number */
static struct bg_log_limit limits[BG_R_COUNT];

void
bg_decision_log_set(bool denials, unsigned lines)
{
	atomic_store(&denials_only, denials);
	atomic_store(&rate, lines);
}

static void
put_verdict(struct bg_line *line, const struct bg_decision *decision, int status)
{
	bg_line_word(line, "decision", decision->verdict == BG_ALLOW ? "allow" : "deny");
	bg_line_word(line, "reason", bg_reason_name(bg_decision_reason(decision)));
	bg_line_number(line, "status", (unsigned)status);
}

static void
put_rest(struct bg_line *line, const struct bg_decision *decision, const struct bg_request *request)
{
	char fingerprint[sizeof("sha256:") + BG_FINGERPRINT_LEN] = "sha256:";
	bool allow = decision->verdict == BG_ALLOW;

	if (allow && decision->anonymous)
		bg_line_word(line, "anonymous", "yes");
	if (decision->scheme == BG_SCHEME_DPOP)
		bg_line_word(line, "scheme", "DPoP");
	if (decision->token != NULL) {
		bg_line_text(line, "iss", bg_json_string(json_object_get(decision->token->payload, "iss")));
		bg_line_text(line, "kid", decision->token->kid);
	}
	if (decision->compact.ptr != NULL) {
		if (decision->hashed)
			bg_secret_fingerprint_of(decision->digest, fingerprint + strlen("sha256:"));
		else
			bg_secret_fingerprint(decision->compact, fingerprint + strlen("sha256:"));
		bg_line_word(line, "token", fingerprint);
	}
	bg_line_text(line, "method", request->method);
	bg_line_text(line, "path", bg_request_path(request));
	bg_line_text(line, "client", request->remote_addr);
	bg_line_text(line, "id", request->request_id);
	if (!allow)
		bg_line_text(line, "detail", bg_slice_str(decision->error.detail));
}

/* How many lines about denials of this reason were not written. */
static void
say_left_out(struct bg_line *line, enum bg_reason reason, unsigned n)
{
	bg_line_word(line, "decision", "deny");
	bg_line_word(line, "reason", bg_reason_name(reason));
	bg_line_number(line, "left_out", n);
	bg_line_text(line, "detail", BG_SLICE("so many lines like this were not written, since there were too many in a second"));
	if (!bg_line_write(line, BG_LOG_WARNING))
		bg_log(BG_LOG_WARNING, "reason=%s left_out=%u", bg_reason_name(reason), n);
}

void
bg_decision_log(const struct bg_decision *decision, const struct bg_request *request, int status)
{
	bool allow = decision->verdict == BG_ALLOW;
	enum bg_reason reason = bg_decision_reason(decision);
	/* A fault of ours or of the configuration is something an operator must see at any level. */
	enum bg_log_level level = status >= 500 || status == 0 ? BG_LOG_ERROR : BG_LOG_INFO;
	unsigned lines = atomic_load(&rate), left_out = 0;
	struct bg_line line;

	if (!bg_log_wants(level) || (allow && atomic_load(&denials_only)))
		return;
	if (!allow && lines > 0 && reason < BG_R_COUNT && !bg_log_may(&limits[reason], lines, bg_clock_mono_ms(), &left_out))
		return;
	bg_line_init(&line);
	if (left_out > 0)
		say_left_out(&line, reason, left_out);
	put_verdict(&line, decision, status);
	put_rest(&line, decision, request);
	if (!bg_line_write(&line, level)) {
		/* No memory, or more text than a line takes: no decision goes unsaid, whatever a stranger sends. */
		put_verdict(&line, decision, status);
		bg_line_text(&line, "detail", BG_SLICE("the rest could not be written"));
		if (!bg_line_write(&line, level))
			bg_log(level, "decision=%s reason=%s status=%d detail=\"the rest could not be written\"",
			    allow ? "allow" : "deny", bg_reason_name(reason), status);
	}
	bg_line_clear(&line);
}

void
bg_decision_log_flush(int64_t mono_ms)
{
	struct bg_line line;
	unsigned n;

	bg_line_init(&line);
	for (size_t i = 0; i < BG_R_COUNT; i++)
		if ((n = bg_log_left_out(&limits[i], mono_ms)) > 0)
			say_left_out(&line, (enum bg_reason)i, n);
	bg_line_clear(&line);
}
