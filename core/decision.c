#include "core/decision.h"

#include <stdatomic.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"

#define LINE_MAX_LEN	4000
#define TEXT_MAX	512	/* of one value from outside, as in bg_log_text */

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

/* A line being made, as text or as the members of a JSON object. */
struct line {
	struct bg_buf buf;
	bool          json;
};

static void
put_key(struct line *line, const char *key)
{
	if (line->buf.len > 0)
		bg_buf_put_char(&line->buf, line->json ? ',' : ' ');
	bg_buf_put_format(&line->buf, line->json ? "\"%s\":" : "%s=", key);
}

/* A word of ours. */
static void
put_word(struct line *line, const char *key, const char *word)
{
	put_key(line, key);
	bg_buf_put_format(&line->buf, line->json ? "\"%s\"" : "%s", word);
}

static void
put_number(struct line *line, const char *key, unsigned number)
{
	put_key(line, key);
	bg_buf_put_format(&line->buf, "%u", number);
}

static void
put_text(struct line *line, const char *key, struct bg_slice text)
{
	if (text.ptr == NULL)
		return;
	put_key(line, key);
	if (!line->json)
		bg_log_text(&line->buf, text);
	else if (text.len <= TEXT_MAX)
		bg_json_put_string(&line->buf, text);
	else	/* cut, and seen to be */
		bg_json_put_string(&line->buf, (struct bg_slice){ text.ptr, TEXT_MAX });
}

static void
put_verdict(struct line *line, const struct bg_decision *decision, int status)
{
	put_word(line, "decision", decision->verdict == BG_ALLOW ? "allow" : "deny");
	put_word(line, "reason", bg_reason_name(bg_decision_reason(decision)));
	put_number(line, "status", (unsigned)status);
}

static void
put_rest(struct line *line, const struct bg_decision *decision, const struct bg_request *request)
{
	char fingerprint[sizeof("sha256:") + BG_FINGERPRINT_LEN] = "sha256:";
	bool allow = decision->verdict == BG_ALLOW;

	if (allow && decision->anonymous)
		put_word(line, "anonymous", "yes");
	if (decision->scheme == BG_SCHEME_DPOP)
		put_word(line, "scheme", "DPoP");
	if (decision->token != NULL) {
		put_text(line, "iss", bg_json_string(json_object_get(decision->token->payload, "iss")));
		put_text(line, "kid", decision->token->kid);
	}
	if (decision->compact.ptr != NULL) {
		if (decision->hashed)
			bg_secret_fingerprint_of(decision->digest, fingerprint + strlen("sha256:"));
		else
			bg_secret_fingerprint(decision->compact, fingerprint + strlen("sha256:"));
		put_word(line, "token", fingerprint);
	}
	put_text(line, "method", request->method);
	put_text(line, "path", bg_request_path(request));
	put_text(line, "client", request->remote_addr);
	put_text(line, "id", request->request_id);
	if (!allow)
		put_text(line, "detail", bg_slice_str(decision->error.detail));
}

/* To the log, and begun anew.  False: it does not fit, or there is no memory. */
static bool
write_line(struct line *line, enum bg_log_level level)
{
	struct bg_slice text;
	bool good = bg_buf_finish(&line->buf, &text, NULL) == 0;

	if (good && line->json)
		bg_log_members(level, text);
	else if (good)
		bg_log(level, "%s", text.ptr);
	bg_buf_reset(&line->buf);
	return good;
}

/* How many lines about denials of this reason were not written. */
static void
say_left_out(struct line *line, enum bg_reason reason, unsigned n)
{
	put_word(line, "decision", "deny");
	put_word(line, "reason", bg_reason_name(reason));
	put_number(line, "left_out", n);
	put_text(line, "detail", BG_SLICE("so many lines like this were not written, since there were too many in a second"));
	if (!write_line(line, BG_LOG_WARNING))
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
	struct line line;

	if (!bg_log_wants(level) || (allow && atomic_load(&denials_only)))
		return;
	if (!allow && lines > 0 && reason < BG_R_COUNT && !bg_log_may(&limits[reason], lines, bg_clock_mono_ms(), &left_out))
		return;
	line.json = bg_log_format_now() == BG_LOG_JSON;
	bg_buf_init(&line.buf, LINE_MAX_LEN);
	if (left_out > 0)
		say_left_out(&line, reason, left_out);
	put_verdict(&line, decision, status);
	put_rest(&line, decision, request);
	if (!write_line(&line, level)) {
		/* No memory, or more text than a line takes: no decision goes unsaid, whatever a stranger sends. */
		put_verdict(&line, decision, status);
		put_text(&line, "detail", BG_SLICE("the rest could not be written"));
		if (!write_line(&line, level))
			bg_log(level, "decision=%s reason=%s status=%d detail=\"the rest could not be written\"",
			    allow ? "allow" : "deny", bg_reason_name(reason), status);
	}
	bg_buf_clear(&line.buf);
}

void
bg_decision_log_flush(int64_t mono_ms)
{
	struct line line = { .json = bg_log_format_now() == BG_LOG_JSON };
	unsigned n;

	bg_buf_init(&line.buf, LINE_MAX_LEN);
	for (size_t i = 0; i < BG_R_COUNT; i++)
		if ((n = bg_log_left_out(&limits[i], mono_ms)) > 0)
			say_left_out(&line, (enum bg_reason)i, n);
	bg_buf_clear(&line.buf);
}
