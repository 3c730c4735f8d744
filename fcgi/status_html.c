#include "fcgi/status.h"

#include <inttypes.h>

#define TEXT_MAX	512	/* of one value from outside */
#define CHART_HEIGHT	1000	/* units of the chart's own; a slot is one unit wide */
#define BAR_MIN		12	/* what is not nothing can be seen */
#define BARS_HEIGHT	(CHART_HEIGHT - BG_OUTCOMES * BAR_MIN)	/* the scale's; above is room for those that are raised */
#define REASONS_MAX	12	/* rows; the rarer ones are one row, and are in the text and in JSON */
#define CARDS_MAX	6	/* more issuers than these are rows of a table, those that are well */

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#16202b;--dim:#566270;--line:#dfe4ea;"
    "--track:#e9edf2;--allowed:#1f7ae0;--refused:#c27a00;--failed:#c9252a;--good:#14804a;--warn:#8f5300}"
    "@media(prefers-color-scheme:dark){:root{--bg:#10151b;--card:#18202a;--ink:#e8edf3;--dim:#98a5b3;--line:#2a3542;"
    "--track:#2b3848;--allowed:#5aa5f5;--refused:#f0ac3a;--failed:#ff7570;--good:#4cc38a;--warn:#f0ac3a}}*{"
    "box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"
    "'Segoe UI',Roboto,sans-serif;font-variant-numeric:tabular-nums}main{max-width:66rem;margin:0 auto;"
    "padding:1.25rem}header{display:flex;flex-wrap:wrap;gap:.3rem .9rem;align-items:center;margin-bottom:1rem}h1{"
    "font-size:1.25rem;margin:0}h2{font-size:.95rem;margin:0 0 .7rem}h3{font-size:.95rem;margin:0;"
    "overflow-wrap:anywhere}p{margin:0}.dim{color:var(--dim)}h2 .dim{font-weight:400}.pill{border:1px solid;"
    "border-radius:1rem;padding:0 .7rem;font-weight:600;font-size:.85rem;white-space:nowrap}.good{color:var(--good)}"
    ".failing{color:var(--warn)}.none{color:var(--failed)}.notes{list-style:none;margin:0 0 1rem;padding:0}.notes li{"
    "background:var(--card);border:1px solid var(--line);border-left:.3rem solid currentColor;border-radius:.4rem;"
    "padding:.4rem .8rem;margin-bottom:.4rem}.notes span{color:var(--ink)}.tiles{display:grid;"
    "grid-template-columns:repeat(3,minmax(0,1fr));gap:1rem}.cards{display:grid;"
    "grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem;align-items:start}.three{"
    "grid-template-columns:repeat(auto-fit,minmax(min(100%,18rem),1fr))}.tiles,.cards,section{margin-bottom:1rem}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem;min-width:0}"
    ".cards>.card{margin:0}.tile b{display:block;font-size:1.7rem;line-height:1.2;font-weight:650;"
    "overflow-wrap:anywhere}.tile span,.tile small{color:var(--dim);font-size:.85rem}.key:before{content:'';"
    "display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.4em;background:currentColor}.a{"
    "color:var(--allowed)}.f{color:var(--failed)}.d{color:var(--refused)}.plot{display:grid;"
    "grid-template-columns:auto minmax(0,1fr);gap:.3rem .6rem;position:relative}.y{display:flex;"
    "flex-direction:column;justify-content:space-between;text-align:right;line-height:1;margin:-.4rem 0}.y,.x{"
    "color:var(--dim);font-size:.8rem}.x{grid-column:2;display:flex;justify-content:space-between}.nothing{"
    "position:absolute;left:0;right:0;top:4rem;text-align:center}svg{display:block;width:100%;height:9rem;"
    "overflow:visible}path{fill:currentColor}.grid{fill:none;stroke:var(--line);vector-effect:non-scaling-stroke}"
    ".hit{fill:none;pointer-events:all}.hit rect:hover{fill:var(--ink);fill-opacity:.12}table{width:100%;"
    "border-collapse:collapse}td,th{padding:.22rem 0;text-align:left;vertical-align:top;font-weight:400}th{"
    "color:var(--dim);padding-right:1rem}td.n{text-align:right;width:1%;padding-left:.8rem;white-space:nowrap}th{"
    "white-space:nowrap}.three th{white-space:normal;width:48%}.bars td{width:60%}.bars td.n{width:1%}.at{"
    "color:var(--dim);white-space:nowrap;font-size:.85rem}.bar{background:var(--track);border-radius:.3rem;"
    "height:.5rem;margin-top:.5rem;overflow:hidden}.bar i{display:block;height:100%;border-radius:.3rem;"
    "background:currentColor;min-width:2px}td .bar{margin-top:.45rem}.err{overflow-wrap:anywhere;margin-top:.6rem;"
    "font-size:.85rem}.list td,.list th{padding:.22rem .8rem .22rem 0}.list td{white-space:nowrap}"
    ".list tr>:last-child{padding-right:0}.list tbody th{color:inherit;white-space:normal;overflow-wrap:anywhere}"
    ".top{display:flex;gap:.8rem;justify-content:space-between;align-items:start;margin-bottom:.5rem}footer{"
    "color:var(--dim);font-size:.85rem;overflow-wrap:anywhere}@media(max-width:30rem){main{padding:.75rem}.tiles{"
    "grid-template-columns:1fr;gap:.5rem}.tile{padding:.5rem 1rem;display:flex;align-items:baseline;gap:.4rem}"
    ".tile b{order:1;margin-left:auto;font-size:1.2rem;text-align:right}.wide{display:none}}";

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
	bg_buf_put_str(out, "</b><small>in the last hour</small></div>");
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

/* The top of the scale: a round number not below the highest bar, and with a round half. */
static uint64_t
scale_of(const struct bg_status *status)
{
	static const uint64_t steps[] = { 2, 4, 6, 8 };
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
	unsigned height = (unsigned)((double)value / (double)scale * BARS_HEIGHT);

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
	uint64_t scale = scale_of(status), allowed = recent(status, BG_OUTCOME_ALLOWED), refused = recent(status, BG_OUTCOME_REFUSED),
	    failed = recent(status, BG_OUTCOME_FAILED);

	bg_buf_put_str(out, "<section class=\"card\" aria-labelledby=\"chart\"><h2 id=\"chart\">Decisions in each half-minute</h2>"
	    "<div class=\"plot\"><div class=\"y\" aria-hidden=\"true\"><span>");
	put_number(out, scale);
	bg_buf_put_str(out, "</span><span>");
	if (scale > 1)
		put_number(out, scale / 2);
	bg_buf_put_format(out, "</span><span>0</span></div><svg viewBox=\"0 %d %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
	    "aria-label=\"Decisions in the last hour: %" PRIu64 " allowed, %" PRIu64 " refused, %" PRIu64 " failed\">"
	    "<path class=\"grid\" d=\"M0 %dh%dM0 %dh%dM0 %dh%d\"/>", CHART_HEIGHT - BARS_HEIGHT, BG_RECENT_SLOTS, BARS_HEIGHT, allowed,
	    refused, failed, CHART_HEIGHT - BARS_HEIGHT, BG_RECENT_SLOTS, CHART_HEIGHT - BARS_HEIGHT / 2, BG_RECENT_SLOTS,
	    CHART_HEIGHT, BG_RECENT_SLOTS);
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
	bg_buf_put_format(out, "</g></svg>%s<div class=\"x\" aria-hidden=\"true\"><span>1 hour ago</span><span>30 minutes ago</span>"
	    "<span>now</span></div></div></section>", allowed + refused + failed > 0 ? "" :
	    "<p class=\"nothing dim\">No decisions in the last hour.</p>");
}

/* Lists with bars. */

static void
put_row(struct bg_buf *out, const char *class, const char *name, uint64_t value, uint64_t highest)
{
	unsigned percent = highest > 0 ? (unsigned)((double)value / (double)highest * 100) : 0;

	bg_buf_put_format(out, "<tr><th scope=\"row\">%s<td><div class=\"bar %s\">", name, class);
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
	uint64_t highest = 0, rest = bg_status_refused(status);

	bg_buf_put_str(out, "<section class=\"card\" aria-labelledby=\"reasons\"><h2 id=\"reasons\">Reasons of refusal since the "
	    "start</h2>");
	if (rest == 0) {
		bg_buf_put_str(out, "<p class=\"dim\">Nobody was refused.</p></section>");
		return;
	}
	bg_buf_put_str(out, "<table class=\"bars\" aria-labelledby=\"reasons\">");
	for (size_t row = 0; row < REASONS_MAX; row++) {
		size_t best = BG_R_COUNT;

		for (size_t i = 0; i < BG_R_COUNT; i++)
			if (!shown[i] && status->counts.refused[i] > 0 &&
			    (best == BG_R_COUNT || status->counts.refused[i] > status->counts.refused[best]))
				best = i;
		if (best == BG_R_COUNT)
			break;
		shown[best] = true;
		rest -= status->counts.refused[best];
		if (row == 0)
			highest = status->counts.refused[best];
		put_row(out, bg_reason_status((enum bg_reason)best) >= 500 ? "f" : "d", bg_reason_name((enum bg_reason)best),
		    status->counts.refused[best], highest);
	}
	if (rest > 0) {
		bg_buf_put_str(out, "<tr><th scope=\"row\">all others<td><td class=\"n\">");
		put_number(out, rest);
		bg_buf_put_str(out, "</tr>");
	}
	bg_buf_put_str(out, "</table></section>");
}

static void
put_allowed(const struct bg_status *status, struct bg_buf *out)
{
	static const char *const names[BG_PASSED_KINDS] = { "Bearer", "DPoP", "no token" };
	uint64_t all = bg_status_allowed(status);

	bg_buf_put_str(out, "<section class=\"card\" aria-labelledby=\"allowed\"><h2 id=\"allowed\">Allowed since the start</h2>"
	    "<table class=\"bars\" aria-labelledby=\"allowed\">");
	for (size_t i = 0; i < BG_PASSED_KINDS; i++)
		put_row(out, "a", names[i], status->counts.passed[i], all);
	bg_buf_put_str(out, "</table></section>");
}

/* Rows of a name and a value. */

static void
begin_row(struct bg_buf *out, const char *name, bool warns)
{
	bg_buf_put_format(out, "<tr%s><th scope=\"row\">%s<td>", warns ? " class=\"failing\"" : "", name);
}

/* How long ago is what people ask for; the time itself is for their logs. */
static void
put_moment(const struct bg_status *status, int64_t at, struct bg_buf *out)
{
	int64_t now = status->now;

	if (at == 0) {
		bg_buf_put_str(out, "never");
		return;
	}
	bg_buf_put_str(out, at > now ? "in " : "");
	bg_buf_put_span(out, at > now ? at - now : now - at);
	bg_buf_put_format(out, "%s <span class=\"at\">", at > now ? "" : " ago");
	bg_status_put_time(out, at);
	bg_buf_put_str(out, "</span>");
}

static void
put_moment_row(const struct bg_status *status, const char *name, int64_t at, struct bg_buf *out)
{
	begin_row(out, name, false);
	put_moment(status, at, out);
	bg_buf_put_str(out, "</tr>");
}

/* How often, and when for the last time. */
static void
put_events(const struct bg_status *status, const char *name, uint64_t n, int64_t last, bool warns, struct bg_buf *out)
{
	begin_row(out, name, warns && n > 0);
	put_number(out, n);
	if (n > 0) {
		bg_buf_put_str(out, ", the last one ");
		put_moment(status, last, out);
	}
	bg_buf_put_str(out, "</tr>");
}

/* Issuers. */

/* How far a set is through its life, until the issuer is asked again. */
static void
put_age(const struct bg_status *status, const struct bg_keystore_status *issuer, struct bg_buf *out)
{
	int64_t life = issuer->next - issuer->fetched, age = status->now - issuer->fetched;
	int percent;

	if (issuer->keys == NULL || issuer->fetched == 0 || life <= 0 || age < 0)
		return;
	percent = age >= life ? 100 : (int)((double)age / (double)life * 100);
	bg_buf_put_format(out, "<div class=\"bar %s\" role=\"img\" aria-label=\"%d%% of the time until the next fetch\" "
	    "title=\"%d%% of the time until the next fetch\"><i style=\"width:%d%%\"></i></div>", bg_keystore_state(issuer), percent,
	    percent, percent);
}

/* When the issuer is asked next: what is past is due. */
static void
put_next(const struct bg_status *status, const struct bg_keystore_status *issuer, bool whole, struct bg_buf *out)
{
	if (issuer->next <= status->now)
		bg_buf_put_str(out, "due");
	else if (whole)
		put_moment(status, issuer->next, out);
	else {
		bg_buf_put_str(out, "in ");
		bg_buf_put_span(out, issuer->next - status->now);
	}
	bg_buf_put_str(out, "</tr>");
}

static void
put_issuer(const struct bg_status *status, const struct bg_keystore_status *issuer, struct bg_buf *out)
{
	const char *state = bg_keystore_state(issuer);

	bg_buf_put_str(out, "<div class=\"card\"><div class=\"top\"><h3 class=\"name\">");
	put_text(out, issuer->issuer);
	bg_buf_put_format(out, "</h3><span class=\"pill %s\">", state);
	if (issuer->keys == NULL)
		bg_buf_put_str(out, "no keys");
	else
		bg_buf_put_format(out, "%zu key%s%s", bg_jwks_count(issuer->keys), bg_jwks_count(issuer->keys) == 1 ? "" : "s",
		    issuer->failed != 0 ? ", failing" : "");
	bg_buf_put_str(out, "</span></div><table aria-label=\"");
	put_text(out, issuer->issuer);
	bg_buf_put_str(out, "\">");
	put_moment_row(status, "fetched", issuer->fetched, out);
	begin_row(out, "next fetch", false);
	put_next(status, issuer, true, out);
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

static bool
is_well(const struct bg_keystore_status *issuer)
{
	return issuer->keys != NULL && issuer->failed == 0;
}

/* Those that are well, a row each. */
static void
put_issuer_list(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	bg_buf_put_str(out, "<div class=\"card\"><table class=\"list\" aria-label=\"Issuers that are well\"><thead><tr>"
	    "<th scope=\"col\">issuer<th scope=\"col\">keys<th scope=\"col\" class=\"wide\">fetched<th scope=\"col\">next fetch</tr>"
	    "</thead><tbody>");
	for (size_t i = 0; i < n; i++) {
		const struct bg_keystore_status *issuer = &status->issuers[i];

		if (!is_well(issuer))
			continue;
		bg_buf_put_str(out, "<tr><th scope=\"row\" class=\"name\">");
		put_text(out, issuer->issuer);
		bg_buf_put_format(out, "<td class=\"good\">%zu<td class=\"wide\">", bg_jwks_count(issuer->keys));
		put_moment(status, issuer->fetched, out);
		bg_buf_put_str(out, "<td>");
		put_next(status, issuer, false, out);
	}
	bg_buf_put_str(out, "</tbody></table></div>");
}

static size_t
count_issuers(const struct bg_status *status, size_t n, bool (*is)(const struct bg_keystore_status *issuer))
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += is(&status->issuers[i]);
	return found;
}

static bool
is_without_keys(const struct bg_keystore_status *issuer)
{
	return issuer->keys == NULL;
}

/* First those without keys, then those that fail: what somebody came to see is not below a hundred that are well. */
static void
put_issuers(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	static const char *const order[] = { "none", "failing", "good" };
	size_t well = count_issuers(status, n, is_well);
	bool list = n > CARDS_MAX && well > 1;

	bg_buf_put_format(out, "<section aria-labelledby=\"issuers\"><h2 id=\"issuers\">Issuers <span class=\"dim\">%zu of %zu well"
	    "</span></h2>", count_issuers(status, status->n_issuers, is_well), status->n_issuers);
	if (!list || well < n) {
		bg_buf_put_str(out, "<div class=\"cards\">");
		for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
			for (size_t i = 0; i < n; i++)
				if (strcmp(bg_keystore_state(&status->issuers[i]), order[k]) == 0 &&
				    !(list && is_well(&status->issuers[i])))
					put_issuer(status, &status->issuers[i], out);
		bg_buf_put_str(out, "</div>");
	}
	if (list)
		put_issuer_list(status, n, out);
	if (n < status->n_issuers)
		bg_buf_put_format(out, "<p class=\"dim\">%zu more issuers have no room here</p>", status->n_issuers - n);
	bg_buf_put_str(out, "</section>");
}

/* The daemon itself. */

static void
put_share(struct bg_buf *out, const char *name, int64_t value, int64_t of, const char *what)
{
	if (value < 0)
		return;
	begin_row(out, name, false);
	put_number(out, (uint64_t)value);
	if (of >= 0) {
		bg_buf_put_str(out, " of ");
		put_number(out, (uint64_t)of);
	}
	bg_buf_put_format(out, "%s%s</tr>", *what != '\0' ? " " : "", what);
}

static void
put_bytes(struct bg_buf *out, const char *name, int64_t bytes)
{
	const int64_t mib = 1024 * 1024;

	put_share(out, name, bytes < 10 * mib ? bytes / 1024 : bytes / mib, -1, bytes < 10 * mib ? "KiB" : "MiB");
}

static void
begin_card(struct bg_buf *out, const char *id, const char *title)
{
	bg_buf_put_format(out, "<section class=\"card\" aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2><table aria-labelledby=\"%s\">", id,
	    id, title, id);
}

static void
end_card(struct bg_buf *out)
{
	bg_buf_put_str(out, "</table></section>");
}

static void
put_text_row(struct bg_buf *out, const char *name, const char *value, bool warns)
{
	begin_row(out, name, warns);
	put_text(out, value);
	bg_buf_put_str(out, "</tr>");
}

static void
put_daemon(const struct bg_status *status, struct bg_buf *out)
{
	begin_card(out, "daemon", "Daemon");
	put_moment_row(status, "started", status->started, out);
	put_events(status, "worker restarts", status->restarts, status->restarted, true, out);
	put_events(status, "reloads", status->reloads, status->reloaded, false, out);
	put_events(status, "failed reloads", status->failed_reloads, status->reload_failed, true, out);
	put_text_row(out, "sandbox", status->sandbox, !status->sandboxed);
	put_share(out, "threads", (int64_t)status->threads, -1, "");
	put_bytes(out, "memory", status->resident);
	if (status->cpu_ms >= 0) {
		begin_row(out, "processor time", false);
		if (status->cpu_ms < 10000)
			bg_buf_put_format(out, "%" PRId64 " ms</tr>", status->cpu_ms);
		else {
			bg_buf_put_span(out, status->cpu_ms / 1000);
			bg_buf_put_str(out, "</tr>");
		}
	}
	end_card(out);
}

static void
put_load(const struct bg_status *status, struct bg_buf *out)
{
	begin_card(out, "load", "Requests and connections");
	put_share(out, "waiting for keys", (int64_t)status->parked, (int64_t)status->max_parked, "requests");
	put_share(out, "not whole yet", (int64_t)status->waiting, (int64_t)status->max_waiting, "connections");
	put_share(out, "closed without an answer", (int64_t)status->troubles, -1, "");
	put_share(out, "from those who may not ask", (int64_t)status->strangers, -1, "");
	put_share(out, "descriptors", status->descriptors, status->max_descriptors, "open");
	end_card(out);
}

static void
put_caches(const struct bg_status *status, struct bg_buf *out)
{
	uint64_t looked = status->token_hits + status->token_misses;

	begin_card(out, "caches", "Tokens and proofs");
	put_share(out, "tokens remembered", (int64_t)status->tokens, (int64_t)status->max_tokens, "");
	put_bytes(out, "in memory of", (int64_t)status->token_bytes);
	put_share(out, "looked for", (int64_t)looked, -1, "times");
	if (looked > 0)
		put_share(out, "found", (int64_t)((double)status->token_hits / (double)looked * 100), -1, "%");
	put_share(out, "pushed out", (int64_t)status->token_evictions, -1, "");
	put_text_row(out, "DPoP", status->dpop, false);
	put_text_row(out, "nonces", status->nonces ? "required" : "off", false);
	put_text_row(out, "replay store", status->replay, false);
	end_card(out);
}

/* What somebody has to know or do, before anything else. */
static void
put_notes(const struct bg_status *status, struct bg_buf *out)
{
	size_t without = count_issuers(status, status->n_issuers, is_without_keys);
	size_t failing = status->n_issuers - without - count_issuers(status, status->n_issuers, is_well);
	bool stale = status->failed_reloads > 0 && status->reload_failed > status->reloaded;

	if (without + failing == 0 && !stale && status->sandboxed)
		return;
	bg_buf_put_str(out, "<ul class=\"notes\">");
	if (without > 0)
		bg_buf_put_format(out, "<li class=\"none\"><span>%zu issuer%s no keys yet, or none any more: %s tokens are answered with "
		    "503.</span></li>", without, without == 1 ? " has" : "s have", without == 1 ? "its" : "their");
	if (failing > 0)
		bg_buf_put_format(out, "<li class=\"failing\"><span>The keys of %zu issuer%s could not be fetched anew; those from before "
		    "serve.</span></li>", failing, failing == 1 ? "" : "s");
	if (stale)
		bg_buf_put_str(out, "<li class=\"failing\"><span>The last reload failed: the configuration from before is in force, and "
		    "the log says why.</span></li>");
	if (!status->sandboxed)
		bg_buf_put_str(out, "<li class=\"failing\"><span>The worker has no sandbox.</span></li>");
	bg_buf_put_str(out, "</ul>");
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
	bg_buf_put_str(out, "</span></header>\n");
	put_notes(status, out);
	bg_buf_put_str(out, "<div class=\"tiles\">");
	put_tile(out, "a", "allowed", recent(status, BG_OUTCOME_ALLOWED));
	put_tile(out, "d", "refused", recent(status, BG_OUTCOME_REFUSED));
	put_tile(out, "f", "failed", recent(status, BG_OUTCOME_FAILED));
	bg_buf_put_str(out, "</div>\n");
	put_chart(status, out);
	bg_buf_put_str(out, "\n<div class=\"cards\">");
	put_reasons(status, out);
	put_allowed(status, out);
	bg_buf_put_str(out, "</div>\n");
	put_issuers(status, n, out);
	bg_buf_put_str(out, "\n<div class=\"cards three\">");
	put_daemon(status, out);
	put_load(status, out);
	put_caches(status, out);
	bg_buf_put_str(out, "</div>\n<footer>");
	put_text(out, status->version);
	bg_buf_put_str(out, ", ");
	put_text(out, status->build);
	bg_buf_put_format(out, ", process %ld, worker %ld; made at ", status->pid, status->worker);
	bg_status_put_time(out, status->now);
	bg_buf_put_str(out, "</footer></main></body></html>\n");
}
