#include "fcgi/status.h"

#include <ctype.h>

#include "core/json.h"
#include "core/limits.h"
#include "tests/support/fixed.h"
#include "tests/support/run.h"

#define NOW	1764177721	/* 2025-11-26T17:22:01Z */

/* What a hostile issuer, file or error could bring. */
#define EVIL	"<script>alert('1')</script>&\"\\\n\r\x01\x7f\xff} 1\n# TYPE x y"

static struct bg_keystore_status issuers[] = {
	{ .issuer = "https://good.example/", .jwks_uri = "https://good.example/keys", .fetched = NOW - 90, .next = NOW + 30,
	    .serves_until = NOW + 86400 },
	{ .issuer = "https://bad.example/" EVIL, .file = "/etc/keys/" EVIL, .failures = 3, .failed = NOW - 5, .next = NOW + 60,
	    .error = EVIL },
};
static struct bg_status status;

static void
set_up(void)
{
	struct bg_error err = { 0 };

	ck_reason(bg_jwks_parse(BG_SLICE("{\"keys\":[" BG_FIXED_EC_JWK "]}"), "a test", &issuers[0].keys, &err), err, BG_R_OK, "keys");
	status = (struct bg_status){ .now = NOW, .started = NOW - 3 * 86400 - 3600, .uptime = 3 * 86400 + 3600, .version = "0.1.0",
	    .build = "OpenSSL 3", .pid = 42, .worker = 43, .sandbox = "seccomp, landlock ABI 5",
	    .sandboxed = true, .issuers = issuers, .n_issuers = 2, .dpop = "allowed", .replay = "lmdb",
	    .tokens = 3, .max_tokens = 10, .token_bytes = 2048, .token_hits = 500, .token_misses = 20, .token_evictions = 7,
	    .threads = 4, .parked = 1, .max_parked = 1024, .waiting = 2, .max_waiting = 4096, .troubles = 7, .strangers = 5,
	    .descriptors = 12,
	    .max_descriptors = 16384, .resident = 5 * 1024 * 1024, .cpu_ms = 1007, .reloads = 2, .reloaded = NOW - 60,
	    .failed_reloads = 1, .reload_failed = NOW - 30, .restarts = 5, .restarted = NOW - 90 };
	status.counts.passed[BG_PASSED_BEARER] = 100;
	status.counts.passed[BG_PASSED_DPOP] = 20;
	status.counts.refused[BG_R_EXPIRED] = 3;
	status.counts.refused[BG_R_NO_KEYS] = 1;
	status.counts.status[0] = 120;
	for (int i = 0; i < BG_RECENT_SLOTS; i++)
		status.counts.recent[BG_OUTCOME_ALLOWED][i] = (uint64_t)i;
}

static void
tear_down(void)
{
	bg_jwks_unref(issuers[0].keys);
	issuers[0].keys = NULL;
}

static const char *
written(void (*put)(const struct bg_status *, size_t, struct bg_buf *), struct bg_buf *out)
{
	struct bg_slice text;

	bg_buf_init(out, BG_ANSWER_MAX);
	put(&status, status.n_issuers, out);
	ck_assert_int_eq(bg_buf_finish(out, &text, NULL), 0);
	ck_assert_uint_eq(strlen(text.ptr), text.len);
	return text.ptr;
}

static void
has(const char *text, const char *words)
{
	ck_assert_msg(strstr(text, words) != NULL, "no \"%s\" in:\n%.3000s", words, text);	/* Check takes no more */
}

START_TEST(ready_means_that_every_issuer_has_keys)
{
	struct bg_buf out;
	const char *text;

	ck_assert(!bg_status_is_ready(&status));
	text = written(bg_status_put_ready, &out);
	has(text, "not ready\nno keys of \"https://bad.example/");
	ck_assert_ptr_null(strstr(text, "good.example"));
	bg_buf_clear(&out);
	status.n_issuers = 1;
	ck_assert(bg_status_is_ready(&status));
	ck_assert_str_eq(written(bg_status_put_ready, &out), "ready\n");
	bg_buf_clear(&out);
	status.n_issuers = 0;
	ck_assert(!bg_status_is_ready(&status));
}
END_TEST

START_TEST(text_is_for_people)
{
	struct bg_buf out;
	const char *text = written(bg_status_put_text, &out);

	has(text, "state            not ready");
	has(text, "allowed          120\n  bearer         100\n  dpop           20\n");
	has(text, "refused          4\n");
	has(text, "  expired        3\n");
	has(text, "  keys           good, 1\n");
	has(text, "  fetched        2025-11-26T17:20:31Z, 1m30s ago\n");
	has(text, "  next           2025-11-26T17:22:31Z, in 30s\n");
	has(text, "  failures       3, the last one ");
	has(text, "replay store lmdb");
	has(text, "known tokens     3 of 10, 2 KiB\n");
	has(text, "restarts         5, 2025-11-26T17:20:31Z, 1m30s ago\n");
	has(text, "worker           process 43\n");
	has(text, "  looked for     500 found, 20 not, 7 pushed out\n");
	has(text, "troubles         7 connections\nstrangers        5 connections\n");
	has(text, "sandbox          seccomp, landlock ABI 5\n");
	has(text, "reloads          2, 2025-11-26T17:21:01Z, 1m ago\n");
	bg_buf_clear(&out);
}
END_TEST

/* SR-85: what strangers wrote is text and nothing else. */
static void (*const plain[])(const struct bg_status *, size_t, struct bg_buf *) = {
	bg_status_put_ready, bg_status_put_text, bg_status_put_json, bg_status_put_metrics, bg_status_put_html,
};
START_TEST(no_byte_of_strangers_is_more_than_a_letter)
{
	struct bg_buf out;
	const char *text = written(plain[_i], &out);

	for (const char *p = text; *p != '\0'; p++)
		ck_assert_msg(*p == '\n' || (*p >= 0x20 && *p < 0x7f), "byte %02x", (unsigned char)*p);
	ck_assert_msg(strstr(text, "\n# TYPE x y") == NULL && strstr(text, "\n} 1") == NULL, "%s", text);
	if (plain[_i] == bg_status_put_html || plain[_i] == bg_status_put_json)
		ck_assert_msg(strstr(text, "<script") == NULL && strstr(text, "('1')") == NULL, "%s", text);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(json_can_be_read)
{
	json_t *root = NULL, *list;
	struct bg_error err = { 0 };
	struct bg_buf out;
	const char *text = written(bg_status_put_json, &out);

	ck_reason(bg_json_object(bg_slice_str(text), BG_R_INTERNAL, &root, &err), err, BG_R_OK, text);
	ck_assert(json_is_false(json_object_get(root, "ready")));
	ck_assert_str_eq(json_string_value(json_object_get(root, "sandbox")), "seccomp, landlock ABI 5");
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(root, "allowed"), "dpop")), 20);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(root, "refused"), "expired")), 3);
	ck_assert_int_eq(json_object_size(json_object_get(root, "refused")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(root, "answers"), "200")), 120);
	list = json_object_get(json_object_get(root, "recent"), "allowed");
	ck_assert_int_eq(json_array_size(list), BG_RECENT_SLOTS);
	ck_assert_int_eq(json_integer_value(json_array_get(list, 7)), 7);
	list = json_object_get(root, "issuers");
	ck_assert_int_eq(json_array_size(list), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "state")), "good");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "serves_until")), NOW + 86400);
	ck_assert_ptr_null(json_object_get(json_array_get(list, 0), "error"));
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "state")), "none");
	ck_assert_ptr_null(json_object_get(json_array_get(list, 1), "serves_until"));
	json_decref(root);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(what_is_not_known_is_not_said)
{
	struct bg_buf out;
	const char *text;

	status.descriptors = status.max_descriptors = status.resident = status.cpu_ms = -1;
	status.reloaded = status.reload_failed = 0;
	text = written(bg_status_put_json, &out);
	ck_assert_msg(strstr(text, "descriptors") == NULL && strstr(text, "resident") == NULL && strstr(text, "cpu_ms") == NULL &&
	    strstr(text, "reloaded") == NULL && strstr(text, "-1") == NULL, "%s", text);
	bg_buf_clear(&out);
	text = written(bg_status_put_metrics, &out);
	ck_assert_msg(strstr(text, "_fds") == NULL && strstr(text, "resident") == NULL && strstr(text, "cpu") == NULL, "%s", text);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(a_worker_without_a_sandbox_is_shown)
{
	struct bg_buf out;

	has(written(bg_status_put_html, &out), "<tr><th scope=\"row\">sandbox<td>seccomp, landlock ABI 5</tr>");
	bg_buf_clear(&out);
	status.sandbox = "off (--no-sandbox)";
	status.sandboxed = false;
	has(written(bg_status_put_html, &out), "<tr class=\"failing\"><th scope=\"row\">sandbox<td>off (--no-sandbox)</tr>");
	bg_buf_clear(&out);
	has(written(bg_status_put_metrics, &out), "\nbearergate_worker_sandboxed 0\n");
	bg_buf_clear(&out);
}
END_TEST

/* Every element that is begun ends, in order; void ones and those that may be left open in HTML are few. */
START_TEST(html_is_whole_and_loads_nothing)
{
	static const char *const open_ones[] = { "meta", "!DOCTYPE", "path", "th", "td" };
	char stack[32][16];
	struct bg_buf out;
	const char *text;
	int depth = 0;

	for (int i = 0; i < BG_RECENT_SLOTS; i++)
		for (int k = 0; k < BG_OUTCOMES; k++)
			status.counts.recent[k][i] = UINT32_MAX;	/* the widest numbers there can be: it still fits */
	text = written(bg_status_put_html, &out);
	for (const char *p = strchr(text, '<'); p != NULL; p = strchr(p, '<')) {
		bool ends = *++p == '/', open = false;
		char name[16];

		p += ends;
		bg_format(name, sizeof(name), "%.*s", (int)strcspn(p, " />\n"), p);
		for (int i = 0; i < N(open_ones); i++)
			open = open || strcmp(name, open_ones[i]) == 0;
		if (ends)
			ck_assert_msg(depth > 0 && strcmp(stack[--depth], name) == 0, "</%s> ends another one", name);
		else if (!open) {
			ck_assert_int_lt(depth, N(stack));
			bg_format(stack[depth++], sizeof(stack[0]), "%s", name);
		}
	}
	ck_assert_int_eq(depth, 0);
	ck_assert_msg(strstr(text, "src=") == NULL && strstr(text, "href=") == NULL && strstr(text, "url(") == NULL &&
	    strstr(text, "@import") == NULL && strstr(text, "<link") == NULL, "%s", text);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(the_chart_has_a_round_scale_and_shows_what_is_small)
{
	static const struct { uint64_t highest; const char *scale; } scales[] = {
		{ 0, "1</span><span></span>" }, { 1, "1</span><span></span>" }, { 2, "2</span><span>1</span>" },
		{ 3, "4</span><span>2</span>" }, { 6, "6</span><span>3</span>" }, { 7, "8</span><span>4</span>" },
		{ 9, "10</span><span>5</span>" }, { 10, "10</span><span>5</span>" }, { 11, "20</span><span>10</span>" },
		{ 51, "60</span><span>30</span>" }, { 100, "100</span><span>50</span>" },
		{ 999999, "1,000,000</span><span>500,000</span>" }, { UINT32_MAX, "6,000,000,000</span><span>3,000,000,000</span>" },
	};
	char words[128];
	struct bg_buf out;

	for (int i = 0; i < N(scales); i++) {
		memset(status.counts.recent, 0, sizeof(status.counts.recent));
		status.counts.recent[BG_OUTCOME_ALLOWED][5] = scales[i].highest;
		bg_format(words, sizeof(words), "<div class=\"y\" aria-hidden=\"true\"><span>%s", scales[i].scale);
		has(written(bg_status_put_html, &out), words);
		bg_buf_clear(&out);
	}
	status.counts.recent[BG_OUTCOME_FAILED][5] = 1;
	has(written(bg_status_put_html, &out), "<path class=\"f\" d=\"M5.1 ");
	bg_buf_clear(&out);
}
END_TEST

/*
 * A strict reader of the exposition format, version 0.0.4, with what "promtool check metrics" finds fault with: a family is
 * one HELP, one TYPE and its samples, one after the other; counters end with _total and nothing else does; no series twice.
 */
struct reader {
	const char *at;
	char family[128];
	bool counter;
	char families[64][128];
	int  n_families;
	char series[400][256];
	int  n_series;
};

static bool
is_name(const char *text, size_t len, bool colon)
{
	for (size_t i = 0; i < len; i++)
		if (!isalpha((unsigned char)text[i]) && text[i] != '_' && !(colon && text[i] == ':') &&
		    !(i > 0 && isdigit((unsigned char)text[i])))
			return false;
	return len > 0;
}

static void
read_comment(struct reader *reader, const char *line, size_t len)
{
	const char *help = "# HELP ", *type = "# TYPE ";
	size_t n;

	if (strncmp(line, help, 7) == 0) {
		n = strcspn(line + 7, " \n");
		ck_assert_msg(is_name(line + 7, n, true) && 7 + n + 1 < len, "no name or no help: %.*s", (int)len, line);
		bg_format(reader->family, sizeof(reader->family), "%.*s", (int)n, line + 7);
		for (int i = 0; i < reader->n_families; i++)
			ck_assert_msg(strcmp(reader->families[i], reader->family) != 0, "%s comes twice", reader->family);
		bg_format(reader->families[reader->n_families++], 128, "%s", reader->family);
		return;
	}
	ck_assert_msg(strncmp(line, type, 7) == 0, "neither HELP nor TYPE: %.*s", (int)len, line);
	n = strlen(reader->family);
	ck_assert_msg(strncmp(line + 7, reader->family, n) == 0 && line[7 + n] == ' ', "TYPE without its HELP: %.*s", (int)len, line);
	reader->counter = len == 7 + n + 1 + 7 && strncmp(line + 7 + n + 1, "counter", 7) == 0;
	ck_assert_msg(reader->counter || (len == 7 + n + 1 + 5 && strncmp(line + 7 + n + 1, "gauge", 5) == 0), "another type: %.*s",
	    (int)len, line);
	ck_assert_msg(reader->counter == (n > 6 && strcmp(reader->family + n - 6, "_total") == 0), "%s: counters end with _total",
	    reader->family);
}

static void
read_sample(struct reader *reader, const char *line, size_t len)
{
	const char *p = line, *end = line + len;
	size_t n = strlen(reader->family);
	char *rest;

	ck_assert_msg(n > 0 && strncmp(line, reader->family, n) == 0, "a sample of no family: %.*s", (int)len, line);
	p += n;
	if (*p == '{') {
		do {
			size_t name = strcspn(++p, "=\n");

			ck_assert_msg(is_name(p, name, false) && p[name + 1] == '"', "no label: %.*s", (int)len, line);
			for (p += name + 2; *p != '"' && p < end; p++)
				if (*p == '\\') {
					p++;
					ck_assert_msg(*p == '\\' || *p == '"' || *p == 'n', "an escape: %.*s", (int)len, line);
				}
			ck_assert_msg(*p == '"', "a label does not end: %.*s", (int)len, line);
			p++;
		} while (*p == ',');
		ck_assert_msg(*p == '}', "labels do not end: %.*s", (int)len, line);
		p++;
	}
	for (int i = 0; i < reader->n_series; i++)
		ck_assert_msg(strlen(reader->series[i]) != (size_t)(p - line) || strncmp(reader->series[i], line, (size_t)(p - line)) != 0,
		    "twice: %s", reader->series[i]);
	ck_assert_int_lt(reader->n_series, 400);
	bg_format(reader->series[reader->n_series++], 256, "%.*s", (int)(p - line), line);
	ck_assert_msg(*p == ' ' && isdigit((unsigned char)p[1]), "no value: %.*s", (int)len, line);
	(void)strtod(p + 1, &rest);
	ck_assert_msg(rest == end, "something behind the value: %.*s", (int)len, line);
}

START_TEST(metrics_are_of_the_exposition_format)
{
	static struct reader reader;
	struct bg_buf out;

	reader = (struct reader){ .at = written(bg_status_put_metrics, &out) };
	while (*reader.at != '\0') {
		size_t len = strcspn(reader.at, "\n");

		ck_assert_msg(reader.at[len] == '\n' && len > 0, "the last line, or an empty one");
		if (*reader.at == '#')
			read_comment(&reader, reader.at, len);
		else
			read_sample(&reader, reader.at, len);
		reader.at += len + 1;
	}
	ck_assert_int_gt(reader.n_families, 20);
	ck_assert_int_gt(reader.n_series, BG_R_COUNT);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(metrics_have_figures_of_everything)
{
	struct bg_buf out;
	const char *text = written(bg_status_put_metrics, &out);

	has(text, "\nbearergate_allowed_total{scheme=\"dpop\"} 20\n");
	has(text, "\nbearergate_refused_total{reason=\"expired\"} 3\n");
	has(text, "\nbearergate_refused_total{reason=\"bad_signature\"} 0\n");
	has(text, "\nbearergate_answers_total{status=\"200\"} 120\n");
	has(text, "\nbearergate_ready 0\n");
	has(text, "\nbearergate_known_tokens 3\n");
	has(text, "\nbearergate_worker_restarts_total 5\n");
	has(text, "\nbearergate_token_cache_hits_total 500\n");
	has(text, "\nbearergate_token_cache_misses_total 20\n");
	has(text, "\nbearergate_token_cache_evictions_total 7\n");
	has(text, "\nbearergate_worker_sandboxed 1\n");
	has(text, "\nbearergate_issuer_ready{issuer=\"https://good.example/\"} 1\n");
	has(text, "\nbearergate_issuer_fetch_failures{issuer=\"https://bad.example/");
	has(text, "\nprocess_cpu_seconds_total 1.007\n");
	has(text, "\nbearergate_build_info{version=\"0.1.0\",dpop=\"allowed\",replay=\"lmdb\"} 1\n");
	bg_buf_clear(&out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("status");
	TCase *tc = tcase_create("status");

	if (bg_json_start() != 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, ready_means_that_every_issuer_has_keys);
	tcase_add_test(tc, text_is_for_people);
	tcase_add_loop_test(tc, no_byte_of_strangers_is_more_than_a_letter, 0, N(plain));
	tcase_add_test(tc, json_can_be_read);
	tcase_add_test(tc, what_is_not_known_is_not_said);
	tcase_add_test(tc, a_worker_without_a_sandbox_is_shown);
	tcase_add_test(tc, html_is_whole_and_loads_nothing);
	tcase_add_test(tc, the_chart_has_a_round_scale_and_shows_what_is_small);
	tcase_add_test(tc, metrics_are_of_the_exposition_format);
	tcase_add_test(tc, metrics_have_figures_of_everything);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
