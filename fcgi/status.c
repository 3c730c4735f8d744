#include "fcgi/status.h"

#include <inttypes.h>
#include <time.h>

#include "core/json.h"
#include "core/log.h"

const char *const bg_passed_names[BG_PASSED_KINDS] = { "bearer", "dpop", "anonymous" };
const char *const bg_outcome_names[BG_OUTCOMES] = { "allowed", "refused", "failed" };

bool
bg_status_is_ready(const struct bg_status *status)
{
	for (size_t i = 0; i < status->n_issuers; i++)
		if (status->issuers[i].keys == NULL)
			return false;
	return status->n_issuers > 0;
}

static uint64_t
sum(const uint64_t *figures, size_t n)
{
	uint64_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += figures[i];
	return all;
}

uint64_t
bg_status_allowed(const struct bg_status *status)
{
	return sum(status->counts.passed, BG_PASSED_KINDS);
}

uint64_t
bg_status_refused(const struct bg_status *status)
{
	return sum(status->counts.refused, BG_R_COUNT);
}

static size_t
keys_of(const struct bg_keystore_status *issuer)
{
	return issuer->keys != NULL ? bg_jwks_count(issuer->keys) : 0;
}

void
bg_status_put_time(struct bg_buf *out, int64_t at)
{
	time_t t = (time_t)at;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	bg_buf_put_str(out, text);
}

void
bg_status_put_moment(struct bg_buf *out, int64_t at, int64_t now)
{
	if (at == 0) {
		bg_buf_put_str(out, "never");
		return;
	}
	bg_status_put_time(out, at);
	bg_buf_put_str(out, at > now ? ", in " : ", ");
	bg_buf_put_span(out, at > now ? at - now : now - at);
	bg_buf_put_str(out, at > now ? "" : " ago");
}

/* The plain pages. */

static void
put_left_out(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	if (n < status->n_issuers)
		bg_buf_put_format(out, "%zu more issuers have no room here\n", status->n_issuers - n);
}

void
bg_status_put_ready(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	if (bg_status_is_ready(status)) {
		bg_buf_put_str(out, "ready\n");
		return;
	}
	bg_buf_put_str(out, "not ready\n");
	for (size_t i = 0; i < n; i++) {
		const struct bg_keystore_status *issuer = &status->issuers[i];

		if (issuer->keys != NULL)
			continue;
		bg_buf_put_str(out, "no keys of ");
		bg_log_text(out, bg_slice_str(issuer->issuer));
		if (issuer->failed != 0) {
			bg_buf_put_str(out, ": ");
			bg_log_text(out, bg_slice_str(issuer->error));
		}
		bg_buf_put_char(out, '\n');
	}
	put_left_out(status, n, out);
}

static void
put_issuer_text(const struct bg_status *status, const struct bg_keystore_status *issuer, struct bg_buf *out)
{
	bg_buf_put_str(out, "issuer           ");
	bg_log_text(out, bg_slice_str(issuer->issuer));
	bg_buf_put_format(out, "\n  keys           %s, %zu%s\n  source         ", bg_keystore_state(issuer), keys_of(issuer),
	    issuer->keys != NULL && issuer->from_disk ? ", from cache_dir" : "");
	bg_log_text(out, bg_slice_str(bg_keystore_location(issuer)));
	bg_buf_put_str(out, "\n  fetched        ");
	bg_status_put_moment(out, issuer->fetched, status->now);
	bg_buf_put_str(out, "\n  next           ");
	bg_status_put_moment(out, issuer->next, status->now);
	if (issuer->keys != NULL) {
		bg_buf_put_str(out, "\n  serves until   ");
		bg_status_put_moment(out, issuer->serves_until, status->now);
	}
	if (issuer->failed != 0) {
		bg_buf_put_format(out, "\n  failures       %u, the last one ", issuer->failures);
		bg_status_put_moment(out, issuer->failed, status->now);
		bg_buf_put_str(out, ": ");
		bg_log_text(out, bg_slice_str(issuer->error));
	}
	bg_buf_put_char(out, '\n');
}

void
bg_status_put_text(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	bg_buf_put_format(out, "bearergate-fcgi  %s, %s, process %ld\nstate            %s\nstarted          ", status->version,
	    status->build, status->pid, bg_status_is_ready(status) ? "ready" : "not ready: an issuer has no keys");
	bg_status_put_moment(out, status->started, status->now);
	bg_buf_put_format(out, "\nworker           process %ld\nsandbox          %s\nrestarts         %" PRIu64 ", ", status->worker,
	    status->sandbox, status->restarts);
	bg_status_put_moment(out, status->restarted, status->now);
	bg_buf_put_format(out, "\nreloads          %" PRIu64 ", ", status->reloads);
	bg_status_put_moment(out, status->reloaded, status->now);
	bg_buf_put_format(out, "\nfailed reloads   %" PRIu64 ", ", status->failed_reloads);
	bg_status_put_moment(out, status->reload_failed, status->now);
	bg_buf_put_format(out, "\nthreads          %zu\nparked           %zu of %zu requests\nwaiting          %zu of %zu connections\n"
	    "troubles         %" PRIu64 " connections\nstrangers        %" PRIu64 " connections\n", status->threads, status->parked, status->max_parked, status->waiting,
	    status->max_waiting, status->troubles, status->strangers);
	bg_buf_put_format(out, "descriptors      %" PRId64 " of %" PRId64 "\nmemory           %" PRId64 " KiB\n"
	    "processor        %" PRId64 " ms\n", status->descriptors, status->max_descriptors, status->resident / 1024,
	    status->cpu_ms);
	bg_buf_put_format(out, "dpop             %s, replay store %s, nonces %s\n", status->dpop, status->replay,
	    status->nonces ? "required" : "off");
	bg_buf_put_format(out, "known tokens     %zu of %zu, %zu KiB\n", status->tokens, status->max_tokens, status->token_bytes / 1024);
	bg_buf_put_format(out, "  looked for     %" PRIu64 " found, %" PRIu64 " not, %" PRIu64 " pushed out\n", status->token_hits,
	    status->token_misses, status->token_evictions);
	bg_buf_put_format(out, "\nallowed          %" PRIu64 "\n", bg_status_allowed(status));
	for (size_t i = 0; i < BG_PASSED_KINDS; i++)
		bg_buf_put_format(out, "  %-14s %" PRIu64 "\n", bg_passed_names[i], status->counts.passed[i]);
	bg_buf_put_format(out, "refused          %" PRIu64 "\n", bg_status_refused(status));
	for (size_t i = 0; i < BG_R_COUNT; i++)
		if (status->counts.refused[i] > 0)
			bg_buf_put_format(out, "  %-14s %" PRIu64 "\n", bg_reason_name((enum bg_reason)i),
			    status->counts.refused[i]);
	bg_buf_put_str(out, "answers\n");
	for (size_t i = 0; i < BG_COUNTED_STATUSES - 1; i++)
		bg_buf_put_format(out, "  %-14d %" PRIu64 "\n", bg_counted_statuses[i], status->counts.status[i]);
	bg_buf_put_format(out, "  %-14s %" PRIu64 "\n\n", "none", status->counts.status[BG_COUNTED_STATUSES - 1]);
	for (size_t i = 0; i < n; i++)
		put_issuer_text(status, &status->issuers[i], out);
	put_left_out(status, n, out);
}

/* JSON. */

static void
put_member(struct bg_buf *out, const char *name, int64_t value)
{
	bg_buf_put_format(out, ",\"%s\":%" PRId64, name, value);
}

/* A moment or a figure that is not known is not there. */
static void
put_known(struct bg_buf *out, const char *name, int64_t value, int64_t unknown)
{
	if (value != unknown)
		put_member(out, name, value);
}

static void
put_string(struct bg_buf *out, const char *name, const char *value)
{
	bg_buf_put_format(out, ",\"%s\":", name);
	bg_json_put_string(out, bg_slice_str(value));
}

/* Objects are begun here with a member, so that all others can have their comma in front. */
static void
put_issuer_json(const struct bg_keystore_status *issuer, struct bg_buf *out)
{
	bg_buf_put_format(out, "{\"keys\":%zu", keys_of(issuer));
	put_string(out, "issuer", issuer->issuer);
	put_string(out, "state", bg_keystore_state(issuer));
	put_string(out, "location", bg_keystore_location(issuer));
	bg_buf_put_format(out, ",\"from_disk\":%s", issuer->from_disk ? "true" : "false");
	put_known(out, "fetched", issuer->fetched, 0);
	put_known(out, "next", issuer->next, 0);
	if (issuer->keys != NULL)
		put_member(out, "serves_until", issuer->serves_until);
	put_member(out, "failures", issuer->failures);
	if (issuer->failed != 0) {
		put_member(out, "failed", issuer->failed);
		put_string(out, "error", issuer->error);
	}
	bg_buf_put_char(out, '}');
}

static void
put_decisions_json(const struct bg_counts *counts, struct bg_buf *out)
{
	const char *comma = "";

	bg_buf_put_str(out, ",\"allowed\":{");
	for (size_t i = 0; i < BG_PASSED_KINDS; i++)
		bg_buf_put_format(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", bg_passed_names[i], counts->passed[i]);
	bg_buf_put_str(out, "},\"refused\":{");
	for (size_t i = 0; i < BG_R_COUNT; i++)
		if (counts->refused[i] > 0) {
			bg_buf_put_format(out, "%s\"%s\":%" PRIu64, comma, bg_reason_name((enum bg_reason)i), counts->refused[i]);
			comma = ",";
		}
	bg_buf_put_str(out, "},\"answers\":{");
	for (size_t i = 0; i < BG_COUNTED_STATUSES - 1; i++)
		bg_buf_put_format(out, "\"%d\":%" PRIu64 ",", bg_counted_statuses[i], counts->status[i]);
	bg_buf_put_format(out, "\"none\":%" PRIu64 "},\"recent\":{\"seconds\":%d", counts->status[BG_COUNTED_STATUSES - 1],
	    BG_RECENT_SECONDS);
	for (size_t i = 0; i < BG_OUTCOMES; i++) {
		bg_buf_put_format(out, ",\"%s\":[", bg_outcome_names[i]);
		for (size_t slot = 0; slot < BG_RECENT_SLOTS; slot++)
			bg_buf_put_format(out, "%s%" PRIu64, slot > 0 ? "," : "", counts->recent[i][slot]);
		bg_buf_put_char(out, ']');
	}
	bg_buf_put_char(out, '}');
}

void
bg_status_put_json(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	bg_buf_put_format(out, "{\"ready\":%s", bg_status_is_ready(status) ? "true" : "false");
	put_string(out, "version", status->version);
	put_string(out, "build", status->build);
	put_member(out, "pid", status->pid);
	put_member(out, "worker", status->worker);
	put_string(out, "sandbox", status->sandbox);
	put_member(out, "now", status->now);
	put_member(out, "started", status->started);
	put_member(out, "uptime", status->uptime);
	put_member(out, "restarts", (int64_t)status->restarts);
	put_known(out, "restarted", status->restarted, 0);
	put_member(out, "reloads", (int64_t)status->reloads);
	put_known(out, "reloaded", status->reloaded, 0);
	put_member(out, "failed_reloads", (int64_t)status->failed_reloads);
	put_known(out, "reload_failed", status->reload_failed, 0);
	put_member(out, "threads", (int64_t)status->threads);
	put_member(out, "parked", (int64_t)status->parked);
	put_member(out, "max_parked", (int64_t)status->max_parked);
	put_member(out, "waiting", (int64_t)status->waiting);
	put_member(out, "max_waiting", (int64_t)status->max_waiting);
	put_member(out, "troubles", (int64_t)status->troubles);
	put_member(out, "strangers", (int64_t)status->strangers);
	put_known(out, "descriptors", status->descriptors, -1);
	put_known(out, "max_descriptors", status->max_descriptors, -1);
	put_known(out, "resident_bytes", status->resident, -1);
	put_known(out, "cpu_ms", status->cpu_ms, -1);
	put_member(out, "tokens", (int64_t)status->tokens);
	put_member(out, "max_tokens", (int64_t)status->max_tokens);
	put_member(out, "token_bytes", (int64_t)status->token_bytes);
	put_member(out, "token_hits", (int64_t)status->token_hits);
	put_member(out, "token_misses", (int64_t)status->token_misses);
	put_member(out, "token_evictions", (int64_t)status->token_evictions);
	put_string(out, "dpop", status->dpop);
	put_string(out, "replay", status->replay);
	bg_buf_put_format(out, ",\"nonces\":%s", status->nonces ? "true" : "false");
	put_decisions_json(&status->counts, out);
	bg_buf_put_str(out, ",\"issuers\":[");
	for (size_t i = 0; i < n; i++) {
		bg_buf_put_str(out, i > 0 ? "," : "");
		put_issuer_json(&status->issuers[i], out);
	}
	bg_buf_put_format(out, "],\"issuers_left_out\":%zu}\n", status->n_issuers - n);
}

/* Prometheus: text format, version 0.0.4.  A family is its HELP and TYPE and then all its samples. */

static void
put_family(struct bg_buf *out, const char *name, const char *type, const char *help)
{
	bg_buf_put_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put_sample(struct bg_buf *out, const char *name, const char *type, const char *help, int64_t value)
{
	put_family(out, name, type, help);
	bg_buf_put_format(out, "%s %" PRId64 "\n", name, value);
}

/* A label's value: backslash, quote and line end escaped; whatever is not printable ASCII becomes "?". */
static void
put_label(struct bg_buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			bg_buf_put_char(out, '\\');
		bg_buf_put_char(out, *text >= 0x20 && *text < 0x7f ? *text : '?');
	}
}

/* Figures of issuers, a family each. */
static int64_t
have_keys(const struct bg_keystore_status *issuer)
{
	return issuer->keys != NULL;
}

static int64_t
count_keys(const struct bg_keystore_status *issuer)
{
	return (int64_t)keys_of(issuer);
}

static int64_t
fetched_at(const struct bg_keystore_status *issuer)
{
	return issuer->fetched;
}

static int64_t
next_at(const struct bg_keystore_status *issuer)
{
	return issuer->next;
}

static int64_t
serves_until(const struct bg_keystore_status *issuer)
{
	return issuer->keys != NULL ? issuer->serves_until : 0;
}

static int64_t
count_failures(const struct bg_keystore_status *issuer)
{
	return issuer->failures;
}

static const struct {
	const char *name, *help;
	int64_t   (*value)(const struct bg_keystore_status *issuer);
} of_issuers[] = {
	{ "bearergate_issuer_ready", "Whether there are keys of this issuer that may serve.", have_keys },
	{ "bearergate_issuer_keys", "Keys in the set of this issuer.", count_keys },
	{ "bearergate_issuer_fetched_timestamp_seconds", "When the issuer last said that this is its set; 0: never.", fetched_at },
	{ "bearergate_issuer_next_fetch_timestamp_seconds", "When the issuer is asked next.", next_at },
	{ "bearergate_issuer_serves_until_timestamp_seconds", "Until when the set serves if the issuer does not answer.",
	    serves_until },
	{ "bearergate_issuer_fetch_failures", "Fetches in a row that failed.", count_failures },
};

static void
put_decision_metrics(const struct bg_counts *counts, struct bg_buf *out)
{
	put_family(out, "bearergate_allowed_total", "counter", "Requests that were let in, by how the token came.");
	for (size_t i = 0; i < BG_PASSED_KINDS; i++)
		bg_buf_put_format(out, "bearergate_allowed_total{scheme=\"%s\"} %" PRIu64 "\n", bg_passed_names[i],
		    counts->passed[i]);
	/* All reasons from the start, so that the first refusal is an increase and no new series. */
	put_family(out, "bearergate_refused_total", "counter", "Requests that were refused, by reason.");
	for (size_t i = BG_R_OK + 1; i < BG_R_COUNT; i++)
		bg_buf_put_format(out, "bearergate_refused_total{reason=\"%s\"} %" PRIu64 "\n", bg_reason_name((enum bg_reason)i),
		    counts->refused[i]);
	put_family(out, "bearergate_answers_total", "counter", "Decisions by the status of the answer; none: it could not be written.");
	for (size_t i = 0; i < BG_COUNTED_STATUSES - 1; i++)
		bg_buf_put_format(out, "bearergate_answers_total{status=\"%d\"} %" PRIu64 "\n", bg_counted_statuses[i],
		    counts->status[i]);
	bg_buf_put_format(out, "bearergate_answers_total{status=\"none\"} %" PRIu64 "\n", counts->status[BG_COUNTED_STATUSES - 1]);
}

static void
put_issuer_metrics(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	put_sample(out, "bearergate_ready", "gauge", "Whether every issuer has keys.", bg_status_is_ready(status));
	put_sample(out, "bearergate_issuers", "gauge", "Issuers in the configuration.", (int64_t)status->n_issuers);
	put_sample(out, "bearergate_issuers_left_out", "gauge", "Issuers that have no room among these metrics.",
	    (int64_t)(status->n_issuers - n));
	for (size_t f = 0; n > 0 && f < sizeof(of_issuers) / sizeof(of_issuers[0]); f++) {
		put_family(out, of_issuers[f].name, "gauge", of_issuers[f].help);
		for (size_t i = 0; i < n; i++) {
			bg_buf_put_format(out, "%s{issuer=\"", of_issuers[f].name);
			put_label(out, status->issuers[i].issuer);
			bg_buf_put_format(out, "\"} %" PRId64 "\n", of_issuers[f].value(&status->issuers[i]));
		}
	}
}

void
bg_status_put_metrics(const struct bg_status *status, size_t n, struct bg_buf *out)
{
	put_family(out, "bearergate_build_info", "gauge", "The program's version.");
	bg_buf_put_str(out, "bearergate_build_info{version=\"");
	put_label(out, status->version);
	bg_buf_put_str(out, "\",dpop=\"");
	put_label(out, status->dpop);
	bg_buf_put_str(out, "\",replay=\"");
	put_label(out, status->replay);
	bg_buf_put_str(out, "\"} 1\n");
	put_decision_metrics(&status->counts, out);
	put_issuer_metrics(status, n, out);
	put_sample(out, "bearergate_known_tokens", "gauge", "Tokens whose signature is known to be good.", (int64_t)status->tokens);
	put_sample(out, "bearergate_known_tokens_limit", "gauge", "How many such tokens are remembered at most.",
	    (int64_t)status->max_tokens);
	put_sample(out, "bearergate_known_tokens_bytes", "gauge", "Memory that their parsed forms take.",
	    (int64_t)status->token_bytes);
	put_sample(out, "bearergate_token_cache_hits_total", "counter", "Tokens that were looked for among them and found.",
	    (int64_t)status->token_hits);
	put_sample(out, "bearergate_token_cache_misses_total", "counter", "Tokens that were looked for and not found: new, or no good.",
	    (int64_t)status->token_misses);
	put_sample(out, "bearergate_token_cache_evictions_total", "counter", "Tokens that made room for others.",
	    (int64_t)status->token_evictions);
	put_sample(out, "bearergate_threads", "gauge", "Threads that decide.", (int64_t)status->threads);
	put_sample(out, "bearergate_parked_requests", "gauge", "Requests that wait for keys.", (int64_t)status->parked);
	put_sample(out, "bearergate_parked_requests_limit", "gauge", "How many requests may wait for keys.",
	    (int64_t)status->max_parked);
	put_sample(out, "bearergate_waiting_connections", "gauge", "Connections whose request is not whole yet.",
	    (int64_t)status->waiting);
	put_sample(out, "bearergate_connection_troubles_total", "counter",
	    "Connections that were closed without an answer or could not be accepted.", (int64_t)status->troubles);
	put_sample(out, "bearergate_worker_restarts_total", "counter", "Workers that were started because the one before died.",
	    (int64_t)status->restarts);
	put_sample(out, "bearergate_strangers_total", "counter", "Connections from peers that listen_allowed_clients does not name.",
	    (int64_t)status->strangers);
	put_sample(out, "bearergate_worker_sandboxed", "gauge", "1 where the worker is kept in a sandbox, else 0.", status->sandboxed);
	put_sample(out, "bearergate_reloads_total", "counter", "Reloads that took effect.", (int64_t)status->reloads);
	put_sample(out, "bearergate_failed_reloads_total", "counter", "Reloads that changed nothing, for an error.",
	    (int64_t)status->failed_reloads);
	put_sample(out, "bearergate_last_reload_timestamp_seconds", "gauge",
	    "When the configuration that is in force was read.", status->reloaded != 0 ? status->reloaded : status->started);
	put_sample(out, "process_start_time_seconds", "gauge", "When the daemon began.", status->started);
	/* Names and units that Prometheus has for every process. */
	if (status->descriptors >= 0)
		put_sample(out, "process_open_fds", "gauge", "Open descriptors of the worker.", status->descriptors);
	if (status->max_descriptors >= 0)
		put_sample(out, "process_max_fds", "gauge", "Descriptors that the worker may have open.", status->max_descriptors);
	if (status->resident >= 0)
		put_sample(out, "process_resident_memory_bytes", "gauge", "Resident memory of the worker.", status->resident);
	if (status->cpu_ms >= 0) {
		put_family(out, "process_cpu_seconds_total", "counter", "Processor time of the worker, user and system.");
		bg_buf_put_format(out, "process_cpu_seconds_total %" PRId64 ".%03" PRId64 "\n", status->cpu_ms / 1000,
		    status->cpu_ms % 1000);
	}
}
