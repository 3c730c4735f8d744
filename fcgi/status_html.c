#include "fcgi/status.h"

#include <inttypes.h>

#define TEXT_MAX	512	/* of one value from outside */
#define CHART_HEIGHT	1000	/* units of the chart's own; a slot is one unit wide */
#define BAR_MIN		12	/* what is not nothing can be seen */
#define REASONS_MAX	12	/* rows; the rarer ones are in the text and in JSON */

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#16202b;--dim:#5b6875;--line:#dfe4ea;--track:#e9edf2;"
    "--allowed:#1f7ae0;--refused:#d98a00;--failed:#d3302f;--good:#14804a;--warn:#9a5b00}"
    "@media(prefers-color-scheme:dark){:root{--bg:#10151b;--card:#18202a;--ink:#e8edf3;--dim:#98a5b3;--line:#2a3542;--track:#243040;"
    "--allowed:#5aa5f5;--refused:#f0ac3a;--failed:#ff6b66;--good:#4cc38a;--warn:#f0ac3a}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',"
    "Roboto,sans-serif;font-variant-numeric:tabular-nums}main{max-width:62rem;margin:0 auto;padding:1.25rem}"
    "header{display:flex;flex-wrap:wrap;gap:.3rem .9rem;align-items:center;margin-bottom:1rem}h1{font-size:1.25rem;margin:0}"
    "h2{font-size:.95rem;margin:0 0 .7rem}p{margin:0}.dim{color:var(--dim)}"
    ".pill{border:1px solid;border-radius:1rem;padding:0 .7rem;font-weight:600;font-size:.85rem;white-space:nowrap}"
    ".good{color:var(--good)}.failing{color:var(--warn)}.none{color:var(--failed)}"
    ".tiles{display:grid;grid-template-columns:repeat(3,1fr);gap:1rem}.cards{display:grid;grid-template-columns:repeat(auto-fit,"
    "minmax(min(100%,22rem),1fr));gap:1rem}.tiles,.cards,section{margin-bottom:1rem}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem;min-width:0}.cards>.card{margin:0}"
    ".tile b{display:block;font-size:1.7rem;line-height:1.2;font-weight:650}.tile span{color:var(--dim);font-size:.85rem}"
    ".key:before{content:'';display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.4em;background:currentColor}"
    ".a{color:var(--allowed)}.f{color:var(--failed)}.d{color:var(--refused)}"
    "svg{display:block;width:100%;height:9rem;border-bottom:1px solid var(--line)}path{fill:currentColor}"
    ".hit{fill:none;pointer-events:all}.hit rect:hover{fill:var(--ink);fill-opacity:.08}"
    ".axis{display:flex;justify-content:space-between;color:var(--dim);font-size:.8rem}"
    "table{width:100%;border-collapse:collapse}td,th{padding:.22rem 0;text-align:left;vertical-align:top;font-weight:400}"
    "th{color:var(--dim);padding-right:1rem;white-space:nowrap}td.n{text-align:right;width:1%;padding-left:.8rem}"
    ".bars td{width:60%}.bars td.n{width:1%}.bar{background:var(--track);border-radius:.3rem;height:.5rem;margin-top:.5rem}"
    ".bar i{display:block;height:100%;border-radius:.3rem;background:currentColor;min-width:2px}td .bar{margin-top:.45rem}"
    ".name{overflow-wrap:anywhere;font-weight:600}.err{overflow-wrap:anywhere;margin-top:.6rem;font-size:.85rem}"
    ".top{display:flex;gap:.8rem;justify-content:space-between;align-items:start;margin-bottom:.5rem}"
    "footer{color:var(--dim);font-size:.85rem;overflow-wrap:anywhere}@media(max-width:30rem){main{padding:.75rem}.tiles{gap:.5rem}"
    ".tile{padding:.7rem}.tile b{font-size:1.3rem}}";

/* Text from outside, in an element or an attribute's quotes: markup escaped, and what is not printable ASCII shown as bytes. */
static void
put_text(struct bg_buf *out, const char *text)
{
	for (size_t i = 0; text[i] != '\0'; i++) {
		unsigned char c = (unsigned char)text[i];

		if (i == TEXT_MAX) {
			bg_buf_put_str(out, "...");
			return;
		}
		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			bg_buf_put_format(out, "&#%d;", c);
		else if (c >= 0x20 && c < 0x7f)
			bg_buf_put_char(out, (char)c);
		else
			bg_buf_put_format(out, "\\x%02x", c);
	}
}

/* 1234567 as 1,234,567. */
static void
put_number(struct bg_buf *out, uint64_t number)
{
	char digits[32];
	size_t n = bg_format(digits, sizeof(digits), "%" PRIu64, number);

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			bg_buf_put_char(out, ',');
		bg_buf_put_char(out, digits[i]);
	}
}

static uint64_t
recent(const struct bg_status *status, enum bg_outcome outcome)
{
	uint64_t all = 0;

	for (size_t i = 0; i < BG_RECENT_SLOTS; i++)
		all += status->counts.recent[outcome][i];
	return all;
}

/* The legend of the chart too: the colour of a series stands by its name. */
static void
put_tile(struct bg_buf *out, const char *class, const char *title, uint64_t in_hour)
{
	bg_buf_put_format(out, "<div class=\"card tile\"><i class=\"key %s\"></i><span>%s</span><b>", class, title);
	put_number(out, in_hour);
	bg_buf_put_str(out, "</b><span>in the last hour</span></div>");
}

/* The chart: stacked bars, one for each half-minute. */

static uint64_t
at_slot(const struct bg_status *status, size_t slot)
{
	uint64_t all = 0;

	for (size_t i = 0; i < BG_OUTCOMES; i++)
		all += status->counts.recent[i][slot];
	return all;
}

/* The top of the scale: a round number not below the highest bar. */
static uint64_t
scale_of(const struct bg_status *status)
{
	static const uint64_t steps[] = { 2, 5 };
	uint64_t highest = 1, unit = 1;

	for (size_t slot = 0; slot < BG_RECENT_SLOTS; slot++)
		if (at_slot(status, slot) > highest)
			highest = at_slot(status, slot);
	while (unit * 10 < highest)
		unit *= 10;
	if (highest <= unit)
		return unit;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (highest <= unit * steps[i])
			return unit * steps[i];
	return unit * 10;
}

static unsigned
height_of(uint64_t value, uint64_t scale)
{
	unsigned height = (unsigned)((double)value / (double)scale * (CHART_HEIGHT - BG_OUTCOMES * BAR_MIN));

	return value > 0 && height < BAR_MIN ? BAR_MIN : height;
}

static void
put_series(const struct bg_status *status, enum bg_outcome outcome, uint64_t scale, const char *class, struct bg_buf *out)
{
	bg_buf_put_format(out, "<path class=\"%s\" d=\"", class);
	for (size_t slot = 0; slot < BG_RECENT_SLOTS; slot++) {
		unsigned below = 0, height = height_of(status->counts.recent[outcome][slot], scale);

		for (size_t i = 0; i < (size_t)outcome; i++)
			below += height_of(status->counts.recent[i][slot], scale);
		if (height > 0)
			bg_buf_put_format(out, "M%zu.1 %uh.8v-%uh-.8z", slot, CHART_HEIGHT - below, height);
	}
	bg_buf_put_str(out, "\"/>");
}

static void
put_chart(const struct bg_status *status, struct bg_buf *out)
{
	static const char *const classes[BG_OUTCOMES] = { "a", "d", "f" };
	uint64_t scale = scale_of(status);

	bg_buf_put_str(out, "<section class=\"card\"><h2>Decisions in each half-minute</h2><div class=\"axis\"><span>");
	put_number(out, scale);
	bg_buf_put_format(out, "</span></div><svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Decisions in "
	    "the last hour: %" PRIu64 " allowed, %" PRIu64 " refused, %" PRIu64 " failed\">", BG_RECENT_SLOTS, CHART_HEIGHT,
	    recent(status, BG_OUTCOME_ALLOWED), recent(status, BG_OUTCOME_REFUSED), recent(status, BG_OUTCOME_FAILED));
	for (size_t i = 0; i < BG_OUTCOMES; i++)
		put_series(status, (enum bg_outcome)i, scale, classes[i], out);
	bg_buf_put_str(out, "<g class=\"hit\">");
	for (size_t slot = 0; slot < BG_RECENT_SLOTS; slot++) {
		if (at_slot(status, slot) == 0)
			continue;
		bg_buf_put_format(out, "<rect x=\"%zu\" width=\"1\" height=\"%d\"><title>", slot, CHART_HEIGHT);
		bg_buf_put_span(out, (int64_t)(BG_RECENT_SLOTS - 1 - slot) * BG_RECENT_SECONDS);
		bg_buf_put_format(out, " ago: %" PRIu64 " allowed, %" PRIu64 " refused, %" PRIu64 " failed</title></rect>",
		    status->counts.recent[BG_OUTCOME_ALLOWED][slot], status->counts.recent[BG_OUTCOME_REFUSED][slot],
		    status->counts.recent[BG_OUTCOME_FAILED][slot]);
	}
	bg_buf_put_str(out, "</g></svg><div class=\"axis\"><span>1 hour ago</span><span>30 minutes</span><span>now</span></div></section>");
}

/* Lists with bars. */

static void
put_row(struct bg_buf *out, const char *class, const char *name, uint64_t value, uint64_t highest)
{
	unsigned percent = highest > 0 ? (unsigned)((double)value / (double)highest * 100) : 0;

	bg_buf_put_format(out, "<tr><th>%s<td><div class=\"bar %s\">", name, class);
	if (value > 0)		/* the least bar can be seen: nothing has none */
		bg_buf_put_format(out, "<i style=\"width:%u%%\"></i>", percent);
	bg_buf_put_str(out, "</div><td class=\"n\">");
	put_number(out, value);
	bg_buf_put_str(out, "</tr>");
}

/* The most frequent ones, most frequent first. */
static void
put_reasons(const struct bg_status *status, struct bg_buf *out)
{
	bool shown[BG_R_COUNT] = { false };
	uint64_t highest = 0;

	bg_buf_put_str(out, "<section class=\"card\"><h2>Reasons of refusal since the start</h2>");
	if (bg_status_refused(status) == 0) {
		bg_buf_put_str(out, "<p class=\"dim\">Nobody was refused.</p></section>");
		return;
	}
	bg_buf_put_str(out, "<table class=\"bars\">");
	for (size_t row = 0; row < REASONS_MAX; row++) {
		size_t best = BG_R_COUNT;

		for (size_t i = 0; i < BG_R_COUNT; i++)
			if (!shown[i] && status->counts.refused[i] > 0 &&
			    (best == BG_R_COUNT || status->counts.refused[i] > status->counts.refused[best]))
				best = i;
		if (best == BG_R_COUNT)
			break;
		shown[best] = true;
		if (row == 0)
			highest = status->counts.refused[best];
		put_row(out, bg_reason_status((enum bg_reason)best) >= 500 ? "f" : "d", bg_reason_name((enum bg_reason)best),
		    status->counts.refused[best], highest);
	}
	bg_buf_put_str(out, "</table></section>");
}

static void
put_allowed(const struct bg_status *status, struct bg_buf *out)
{
	static const char *const names[BG_PASSED_KINDS] = { "Bearer", "DPoP", "no token" };
	uint64_t all = bg_status_allowed(status);

	bg_buf_put_str(out, "<section class=\"card\"><h2>Allowed since the start</h2><table class=\"bars\">");
	for (size_t i = 0; i < BG_PASSED_KINDS; i++)
		put_row(out, "a", names[i], status->counts.passed[i], all);
	bg_buf_put_str(out, "</table></section>");
}

/* Issuers. */

static void
put_moment_row(const struct bg_status *status, const char *name, int64_t at, struct bg_buf *out)
{
	bg_buf_put_format(out, "<tr><th>%s<td>", name);
	bg_status_put_moment(out, at, status->now);
	bg_buf_put_str(out, "</tr>");
}

/* How far a set is through its life, until the issuer is asked again. */
static void
put_age(const struct bg_status *status, const struct bg_keystore_status *issuer, struct bg_buf *out)
{
	int64_t life = issuer->next - issuer->fetched, age = status->now - issuer->fetched;

	if (issuer->keys == NULL || issuer->fetched == 0 || life <= 0 || age < 0)
		return;
	bg_buf_put_format(out, "<div class=\"bar %s\" title=\"age of the keys, of their time until the next fetch\">"
	    "<i style=\"width:%d%%\"></i></div>", bg_keystore_state(issuer), age >= life ? 100 : (int)((double)age / (double)life * 100));
}

static void
put_issuer(const struct bg_status *status, const struct bg_keystore_status *issuer, struct bg_buf *out)
{
	const char *state = bg_keystore_state(issuer);

	bg_buf_put_str(out, "<div class=\"card\"><div class=\"top\"><span class=\"name\">");
	put_text(out, issuer->issuer);
	bg_buf_put_format(out, "</span><span class=\"pill %s\">", state);
	if (issuer->keys == NULL)
		bg_buf_put_str(out, "no keys");
	else
		bg_buf_put_format(out, "%zu key%s%s", bg_jwks_count(issuer->keys), bg_jwks_count(issuer->keys) == 1 ? "" : "s",
		    issuer->failed != 0 ? ", failing" : "");
	bg_buf_put_str(out, "</span></div><table>");
	put_moment_row(status, "fetched", issuer->fetched, out);
	put_moment_row(status, "next fetch", issuer->next, out);
	if (issuer->keys != NULL)
		put_moment_row(status, "serves until", issuer->serves_until, out);
	bg_buf_put_str(out, "</table>");
	put_age(status, issuer, out);
	if (issuer->failed != 0) {
		bg_buf_put_format(out, "<p class=\"err %s\">%u failed, the last one ", state, issuer->failures);
		bg_buf_put_span(out, status->now > issuer->failed ? status->now - issuer->failed : 0);
		bg_buf_put_str(out, " ago: ");
		put_text(out, issuer->error);
		bg_buf_put_str(out, "</p>");
	}
	bg_buf_put_str(out, "</div>");
}

/* The daemon itself. */

static void
put_share(struct bg_buf *out, const char *name, int64_t value, int64_t of, const char *what)
{
	if (value < 0)
		return;
	bg_buf_put_format(out, "<tr><th>%s<td>", name);
	put_number(out, (uint64_t)value);
	if (of >= 0) {
		bg_buf_put_str(out, " of ");
		put_number(out, (uint64_t)of);
	}
	bg_buf_put_format(out, " %s</tr>", what);
}

static void
put_daemon(const struct bg_status *status, struct bg_buf *out)
{
	bg_buf_put_str(out, "<div class=\"cards\"><section class=\"card\"><h2>Daemon</h2><table>");
	put_moment_row(status, "started", status->started, out);
	if (status->restarts > 0) {
		bg_buf_put_format(out, "<tr class=\"failing\"><th>restarts of the worker<td>%" PRIu64 ", ", status->restarts);
		bg_status_put_moment(out, status->restarted, status->now);
		bg_buf_put_str(out, "</tr>");
	}
	bg_buf_put_format(out, "<tr><th>reloads<td>%" PRIu64, status->reloads);
	if (status->reloads > 0) {
		bg_buf_put_str(out, ", ");
		bg_status_put_moment(out, status->reloaded, status->now);
	}
	bg_buf_put_str(out, "</tr>");
	if (status->failed_reloads > 0) {
		bg_buf_put_format(out, "<tr class=\"failing\"><th>failed reloads<td>%" PRIu64 ", ", status->failed_reloads);
		bg_status_put_moment(out, status->reload_failed, status->now);
		bg_buf_put_str(out, "</tr>");
	}
	bg_buf_put_format(out, "<tr%s><th>sandbox<td>%s</tr>", status->sandboxed ? "" : " class=\"failing\"", status->sandbox);
	bg_buf_put_format(out, "<tr><th>DPoP<td>%s, nonces %s</tr><tr><th>replay store<td>%s</tr></table></section>"
	    "<section class=\"card\"><h2>Load</h2><table>", status->dpop, status->nonces ? "required" : "off", status->replay);
	put_share(out, "parked", (int64_t)status->parked, (int64_t)status->max_parked, "requests");
	put_share(out, "waiting", (int64_t)status->waiting, (int64_t)status->max_waiting, "connections");
	put_share(out, "troubles", (int64_t)status->troubles, -1, "connections");
	put_share(out, "strangers", (int64_t)status->strangers, -1, "connections");
	put_share(out, "known tokens", (int64_t)status->tokens, (int64_t)status->max_tokens, "");
	put_share(out, "looked for", (int64_t)status->token_hits, (int64_t)(status->token_hits + status->token_misses), "found");
	put_share(out, "pushed out", (int64_t)status->token_evictions, -1, "tokens");
	put_share(out, "descriptors", status->descriptors, status->max_descriptors, "open");
	put_share(out, "threads", (int64_t)status->threads, -1, "");
	put_share(out, "memory", status->resident < 0 ? -1 : status->resident / 1024, -1, "KiB");
	put_share(out, "processor", status->cpu_ms, -1, "ms");
	bg_buf_put_str(out, "</table></section></div>");
}

void
bg_status_put_html(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	bool ready = bg_status_is_ready(status);

	bg_buf_put_format(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>bearergate: %s</title>"
	    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><style>",
	    ready ? "ready" : "not ready");
	bg_buf_put_str(out, style);
	bg_buf_put_format(out, "</style></head>\n<body><main><header><h1>bearergate-fcgi</h1><span class=\"pill %s\">%s</span>"
	    "<span class=\"dim\">up ", ready ? "good" : "none", ready ? "ready" : "not ready");
	bg_buf_put_span(out, status->uptime);
	bg_buf_put_str(out, "</span></header>\n<div class=\"tiles\">");
	put_tile(out, "a", "allowed", recent(status, BG_OUTCOME_ALLOWED));
	put_tile(out, "d", "refused", recent(status, BG_OUTCOME_REFUSED));
	put_tile(out, "f", "failed", recent(status, BG_OUTCOME_FAILED));
	bg_buf_put_str(out, "</div>\n");
	put_chart(status, out);
	bg_buf_put_str(out, "\n<div class=\"cards\">");
	put_reasons(status, out);
	put_allowed(status, out);
	bg_buf_put_str(out, "</div>\n<h2>Issuers</h2><div class=\"cards\">");
	for (size_t i = 0; i < n; i++)
		put_issuer(status, &status->issuers[i], out);
	bg_buf_put_str(out, "</div>");
	if (n < status->n_issuers)
		bg_buf_put_format(out, "<p class=\"dim\">%zu more issuers have no room here</p>", status->n_issuers - n);
	bg_buf_put_char(out, '\n');
	put_daemon(status, out);
	bg_buf_put_str(out, "\n<footer>");
	put_text(out, status->version);
	bg_buf_put_str(out, ", ");
	put_text(out, status->build);
	bg_buf_put_format(out, ", process %ld; made at ", status->pid);
	bg_status_put_time(out, status->now);
	bg_buf_put_str(out, "</footer></main></body></html>\n");
}
