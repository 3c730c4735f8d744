/*
 * page empty|busy|many|hostile json|html: the page /status of a daemon that is made up, as the daemon would answer it, for
 * tests/e2e/browser.sh: what takes a real one an hour, a hundred issuers, or an issuer that is hostile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "core/limits.h"
#include "fcgi/page.h"
#include "tests/support/fixed.h"

#define NOW		1764177721	/* 2025-11-26T17:22:01Z */
#define ISSUERS_MAX	60

/* Markup in an element, in an attribute, in a style, and what no page may load. */
#define EVIL	"</span></title><script>document.title='taken'</script><img src=//evil.example/x onerror=\"document.title=1\">" \
    "'\"><style>*{display:none}</style>&lt;&#60;\n\x01\xff"

static struct bg_keystore_status issuers[ISSUERS_MAX];
static char names[ISSUERS_MAX][128];
static struct bg_jwks *keys;

static void
add_issuer(struct bg_status *status, const char *name, unsigned failures, bool has_keys, const char *error)
{
	struct bg_keystore_status *issuer = &issuers[status->n_issuers++];

	*issuer = (struct bg_keystore_status){ .issuer = name, .keys = has_keys ? keys : NULL,
	    .fetched = has_keys ? NOW - 200 : 0, .next = NOW + 400, .serves_until = NOW + 86400,
	    .failures = failures, .failed = failures > 0 ? NOW - 5 : 0 };
	bg_format(issuer->jwks_uri, sizeof(issuer->jwks_uri), "%skeys", name);
	bg_format(issuer->error, sizeof(issuer->error), "%s", error);
}

/* A day with a peak, refusals all along, and a store that was down for a few minutes. */
static void
add_decisions(struct bg_counts *counts, uint64_t times)
{
	for (uint64_t i = 0; i < BG_RECENT_SLOTS; i++) {
		counts->recent[BG_OUTCOME_ALLOWED][i] = (200 + (i * i * 7 + i * 31) % 90 + (i > 60 && i < 80 ? 300 : 0)) * times;
		counts->recent[BG_OUTCOME_REFUSED][i] = (i % 7 == 0 ? 45 : i % 3) * times;
		counts->recent[BG_OUTCOME_FAILED][i] = i > 95 && i < 102 ? 30 * times : 0;
	}
	counts->passed[BG_PASSED_BEARER] = 18446744073709551u;
	counts->passed[BG_PASSED_DPOP] = 1234567;
	counts->passed[BG_PASSED_ANONYMOUS] = 3;
	for (int i = BG_R_OK + 1; i < BG_R_COUNT; i++)
		counts->refused[i] = (uint64_t)i * (uint64_t)i * 1001 * times;
	counts->status[0] = 18446744073709551u;
}

static void
set_scene(const char *scene, struct bg_status *status)
{
	*status = (struct bg_status){ .now = NOW, .started = NOW - 3 * 86400 - 3600, .uptime = 3 * 86400 + 3600, .version = "0.1.0",
	    .build = "OpenSSL 3.0.17 1 Jul 2025", .pid = 4194301, .worker = 4194302, .sandbox = "seccomp, landlock ABI 7",
	    .sandboxed = true, .issuers = issuers, .dpop = "allowed", .replay = "lmdb", .max_tokens = 10000, .threads = 4,
	    .max_parked = 1024, .max_waiting = 4096, .descriptors = 12, .max_descriptors = 16384, .resident = 5 * 1024 * 1024,
	    .cpu_ms = 57 };
	if (strcmp(scene, "empty") == 0) {
		status->started = NOW;
		status->uptime = 0;
		add_issuer(status, "https://tenant.eu.auth0.com/", 0, false, "");
		return;
	}
	status->tokens = 9876;
	status->token_bytes = 31415926;
	status->token_hits = 1234567890;
	status->token_misses = 987654;
	status->token_evictions = 54321;
	status->parked = 17;
	status->waiting = 250;
	status->troubles = 12345678;
	status->strangers = 5;
	status->cpu_ms = 123456789;
	status->resident = 1234567890;
	status->restarts = 2;
	status->restarted = NOW - 7200;
	status->reloads = 1234;
	status->reloaded = NOW - 60;
	status->failed_reloads = 1;
	status->reload_failed = NOW - 90000;
	status->nonces = true;
	add_issuer(status, "https://tenant.eu.auth0.com/", 0, true, "");
	if (strcmp(scene, "hostile") == 0) {
		add_issuer(status, EVIL, 3, false, EVIL);
		status->sandboxed = false;
		status->sandbox = "off (--no-sandbox)";
	} else {
		add_issuer(status, "https://keycloak.a-department-with-a-very-long-name.intranet.example.org:8443/auth/realms/"
		    "customers-of-the-northern-region", 2, true, "HTTP status 502");
		add_issuer(status, "https://login.example/", 12, false, "connecting to login.example port 443: Connection refused");
	}
	if (strcmp(scene, "many") == 0)
		while (status->n_issuers < ISSUERS_MAX) {
			bg_format(names[status->n_issuers], sizeof(names[0]), "https://tenant-%zu.example/", status->n_issuers);
			add_issuer(status, names[status->n_issuers], status->n_issuers % 10 == 0, true, "HTTP status 500");
		}
	add_decisions(&status->counts, strcmp(scene, "many") == 0 ? 30000000 : 1);
}

int
main(int argc, char **argv)
{
	static char query[] = "QUERY_STRING=json";
	static char method[] = "REQUEST_METHOD=GET";
	char *env[] = { method, query, NULL };
	struct bg_error err = { 0 };
	struct bg_status status;
	struct bg_buf out;
	int code = EX_OK;

	if (argc != 3 || strlen(argv[2]) != 4)
		return EX_USAGE;
	memcpy(query + sizeof("QUERY_STRING=") - 1, argv[2], 4);
	if (bg_jwks_parse(BG_SLICE("{\"keys\":[" BG_FIXED_EC_JWK "," BG_FIXED_ED_JWK "]}"), "a test", &keys, &err) != 0)
		return EX_SOFTWARE;
	set_scene(argv[1], &status);
	bg_buf_init(&out, BG_ANSWER_MAX);
	if (bg_page_answer(BG_PAGE_STATUS, env, &status, &out) != 0 || fwrite(out.data, 1, out.len, stdout) != out.len ||
	    fflush(stdout) != 0)
		code = EX_SOFTWARE;
	bg_buf_clear(&out);
	bg_jwks_unref(keys);
	return code;
}
