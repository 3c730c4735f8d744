/* What "bearergate doctor" makes of an answer. */
#include "tool/diagnosis.h"

#include "tests/support/run.h"

#define BODY	"{\"detail\":{\"error\":\"invalid_request\",\"error_description\":\"x\"}}"
#define ASKED	"WWW-Authenticate: Bearer realm=\"api\", DPoP algs=\"ES256\"\r\n"
#define REFUSED	"WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_token\", error_description=\"x\"\r\n"

static const struct {
	const char     *name, *raw;
	enum bg_outcome want;
	const char     *said;
} outcomes[] = {
	{ "nothing",                  "",                                          BG_OUTCOME_SILENT,    "no answer" },
	{ "200",                      "HTTP/1.1 200 OK\r\n\r\n",                   BG_OUTCOME_LET_IN,    "200" },
	{ "206",                      "HTTP/1.1 206 x\r\n\r\n",                    BG_OUTCOME_LET_IN,    "206" },
	{ "200 with a challenge",     "HTTP/1.1 200 OK\r\n" ASKED "\r\n",          BG_OUTCOME_LET_IN,    "200" },
	{ "302",                      "HTTP/1.1 302 x\r\n" ASKED "\r\n",           BG_OUTCOME_SENT_ON,   "302" },
	{ "our question for a token", "HTTP/1.1 401 x\r\n" ASKED "\r\n" BODY,      BG_OUTCOME_ASKED,
	    "401, as without a token" },
	{ "the same in two lines",    "HTTP/1.1 401 x\r\nWWW-Authenticate: Negotiate\r\n" ASKED "\r\n", BG_OUTCOME_ASKED,
	    "401, as without a token" },
	{ "DPoP alone",               "HTTP/1.1 401 x\r\nWWW-Authenticate: DPoP algs=\"ES256\"\r\n\r\n", BG_OUTCOME_ASKED,
	    "401, as without a token" },
	{ "an error of the token",    "HTTP/1.1 401 x\r\n" REFUSED "\r\n",         BG_OUTCOME_REFUSED,   "401 invalid_token" },
	{ "an error of the request",  "HTTP/1.1 400 x\r\nWWW-Authenticate: Bearer realm=\"a\", error=\"invalid_request\"\r\n\r\n",
	    BG_OUTCOME_REFUSED, "400 invalid_request" },
	{ "an error beside DPoP",     "HTTP/1.1 400 x\r\nWWW-Authenticate: Bearer realm=\"a\", DPoP error=\"invalid_dpop_proof\", "
	    "algs=\"ES256\"\r\n\r\n", BG_OUTCOME_REFUSED, "400 invalid_dpop_proof" },
	{ "a missing proof",          "HTTP/1.1 400 x\r\nWWW-Authenticate: DPoP error=\"invalid_request\", "
	    "error_description=\"the DPoP header is missing\", algs=\"ES256\"\r\n\r\n", BG_OUTCOME_NO_PROOF,
	    "400 invalid_request" },
	{ "a missing scope",          "HTTP/1.1 403 x\r\nWWW-Authenticate: Bearer realm=\"a\", "
	    "error=\"insufficient_scope\"\r\n\r\n",
	    BG_OUTCOME_NO_SCOPE, "403 insufficient_scope" },
	{ "an error without its end", "HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer realm=\"a\", error=\"inv\r\n\r\n",
	    BG_OUTCOME_REFUSED, "401" },
	{ "an error of odd bytes",    "HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer realm=\"a\", error=\"\033[31m\"\r\n\r\n",
	    BG_OUTCOME_REFUSED, "401" },
	{ "another's login",          "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\r\n", BG_OUTCOME_LOGIN,
	    "401, not of bearergate" },
	{ "401 without a challenge",  "HTTP/1.1 401 x\r\n\r\n" BODY,               BG_OUTCOME_LOGIN,     "401, not of bearergate" },
	{ "another's 403",            "HTTP/1.1 403 x\r\n\r\n",                    BG_OUTCOME_FORBIDDEN, "403, not of bearergate" },
	{ "404",                      "HTTP/1.1 404 x\r\n\r\n",                    BG_OUTCOME_MISSING,   "404, not of bearergate" },
	{ "another's 400",            "HTTP/1.1 400 x\r\n\r\n",                    BG_OUTCOME_TOO_LONG,  "400, not of bearergate" },
	{ "431",                      "HTTP/1.1 431 x\r\n\r\n",                    BG_OUTCOME_TOO_LONG,  "431, not of bearergate" },
	{ "405",                      "HTTP/1.1 405 x\r\n\r\n",                    BG_OUTCOME_OTHER,     "405, not of bearergate" },
	{ "our 503",                  "HTTP/1.1 503 x\r\n\r\n" BODY,               BG_OUTCOME_NO_KEYS,   "503, temporarily "
	    "unavailable" },
	{ "another's 503",            "HTTP/1.1 503 x\r\n\r\nbusy",                BG_OUTCOME_BROKEN,    "503" },
	{ "500",                      "HTTP/1.1 500 x\r\n" REFUSED "\r\n" BODY,    BG_OUTCOME_BROKEN,    "500 invalid_token" },
};

static void
read_answer(struct bg_http_answer *answer, const char *raw)
{
	bg_http_answer_init(answer);
	bg_buf_put_str(&answer->raw, raw);
	ck_assert_int_eq(bg_http_answer_read(answer, false, true), raw[0] != '\0' ? BG_HTTP_DONE : BG_HTTP_BROKEN);
}

START_TEST(an_answer_is_told_by_what_it_means)
{
	struct bg_http_answer answer;
	enum bg_outcome outcome;
	char said[100];

	read_answer(&answer, outcomes[_i].raw);
	outcome = bg_outcome_of(&answer);
	ck_assert_msg(outcome == outcomes[_i].want, "%s: %d, not %d", outcomes[_i].name, outcome, outcomes[_i].want);
	bg_outcome_describe(outcome, &answer, said, sizeof(said));
	ck_assert_msg(strcmp(said, outcomes[_i].said) == 0, "%s: \"%s\"", outcomes[_i].name, said);
	bg_http_answer_clear(&answer);
}
END_TEST

static const struct { const char *raw; enum bg_outcome want; } bodies[] = {
	{ "HTTP/1.1 401 x\r\nContent-Type: application/json\r\n\r\n" BODY,                   BG_OUTCOME_OUR_BODY },
	{ "HTTP/1.1 401 x\r\nContent-Type: application/json; charset=utf-8\r\n\r\n" BODY,    BG_OUTCOME_OUR_BODY },
	{ "HTTP/1.1 401 x\r\nContent-Type: text/html\r\n\r\n" BODY,                          BG_OUTCOME_OUR_TEXT },
	{ "HTTP/1.1 401 x\r\n\r\n" BODY,                                                     BG_OUTCOME_OUR_TEXT },
	{ "HTTP/1.1 401 x\r\nContent-Type: text/html\r\n\r\n<html>" BODY,                    BG_OUTCOME_NO_BODY },
	{ "HTTP/1.1 401 x\r\nContent-Type: application/json\r\n\r\n{}",                      BG_OUTCOME_NO_BODY },
	{ "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n",                                     BG_OUTCOME_NO_BODY },
};

START_TEST(the_body_of_a_refusal_is_told_from_another)
{
	struct bg_http_answer answer;

	read_answer(&answer, bodies[_i].raw);
	ck_assert_int_eq(bg_outcome_of_body(&answer), bodies[_i].want);
	bg_http_answer_clear(&answer);
}
END_TEST

static const struct { const char *raw; enum bg_outcome status, leak; } closer[] = {
	{ "HTTP/1.1 400 x\r\nX-Bearergate-Status: 400\r\n\r\n", BG_OUTCOME_REFUSED, BG_OUTCOME_LET_IN },
	{ "HTTP/1.1 401 x\r\nX-Bearergate-Status: 400\r\n\r\n", BG_OUTCOME_MASKED, BG_OUTCOME_LET_IN },
	{ "HTTP/1.1 400 x\r\nX-Bearergate-Status: 4000\r\n\r\n", BG_OUTCOME_MASKED, BG_OUTCOME_LET_IN },
	{ "HTTP/1.1 400 x\r\n\r\n", BG_OUTCOME_REFUSED, BG_OUTCOME_LET_IN },
	{ "HTTP/1.1 200 x\r\nvariable-auth_type: Bearer\r\n\r\n", BG_OUTCOME_REFUSED, BG_OUTCOME_LEAKED },
};

START_TEST(what_the_client_sees_beside_the_outcome)
{
	struct bg_http_answer answer;

	read_answer(&answer, closer[_i].raw);
	ck_assert_int_eq(bg_outcome_of_status(&answer), closer[_i].status);
	ck_assert_int_eq(bg_outcome_of_leak(&answer), closer[_i].leak);
	bg_http_answer_clear(&answer);
}
END_TEST

static const struct { const char *name, *raw; enum bg_outcome want; } forgeries[] = {
	{ "shown in the body",        "HTTP/1.1 200 x\r\n\r\nsub=MARK",                     BG_OUTCOME_BELIEVED },
	{ "shown in a header",        "HTTP/1.1 200 x\r\nX-User: MARK\r\n\r\n",             BG_OUTCOME_BELIEVED },
	{ "cut by chunks",            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nMA\r\n2\r\nRK\r\n0\r\n\r\n",
	    BG_OUTCOME_BELIEVED },
	{ "with all other headers",   "HTTP/1.1 200 x\r\n\r\nMARK CONTROL",                 BG_OUTCOME_SHOWN },
	{ "the others alone",         "HTTP/1.1 200 x\r\n\r\nCONTROL",                      BG_OUTCOME_LET_IN },
	{ "not shown",                "HTTP/1.1 200 x\r\n\r\nsub=alice MAR",                BG_OUTCOME_LET_IN },
	{ "a refusal that shows it",  "HTTP/1.1 404 x\r\n\r\nMARK",                         BG_OUTCOME_MISSING },
};

START_TEST(what_was_forged_is_found)
{
	struct bg_http_answer answer;

	read_answer(&answer, forgeries[_i].raw);
	ck_assert_msg(bg_outcome_of_forgery(&answer, BG_SLICE("MARK"), BG_SLICE("CONTROL")) == forgeries[_i].want, "%s",
	    forgeries[_i].name);
	bg_http_answer_clear(&answer);
}
END_TEST

static const struct {
	enum bg_canary  canary;
	enum bg_server  server;
	enum bg_outcome outcome;
	enum bg_finding want;
	const char     *words;		/* of the advice; NULL: there is none */
} findings[] = {
	{ BG_CANARY_NO_TOKEN, BG_SERVER_UNKNOWN, BG_OUTCOME_ASKED, BG_FINDING_OK, NULL },
	{ BG_CANARY_NO_TOKEN, BG_SERVER_APACHE, BG_OUTCOME_ASKED, BG_FINDING_OK, NULL },
	{ BG_CANARY_NO_TOKEN, BG_SERVER_APACHE, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "\"Require "
	    "bearergate\"" },	/* interop.md 3.A */
	{ BG_CANARY_NO_TOKEN, BG_SERVER_APACHE, BG_OUTCOME_FORBIDDEN, BG_FINDING_FAULT, "\"Require bearergate\"" },
	{ BG_CANARY_NO_TOKEN, BG_SERVER_APACHE, BG_OUTCOME_LOGIN, BG_FINDING_FAULT, "\"RequireBasicAuth Off\"" },
	{ BG_CANARY_NO_TOKEN, BG_SERVER_LIGHTTPD, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "before mod_cgi" },		/* 3.C */
	{ BG_CANARY_NO_TOKEN, BG_SERVER_LIGHTTPD, BG_OUTCOME_MISSING, BG_FINDING_FAULT, "\"check-local\" => \"disable\"" },
	{ BG_CANARY_NO_TOKEN, BG_SERVER_NGINX, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "auth_request" },		/* 3.D */
	{ BG_CANARY_NO_TOKEN, BG_SERVER_UNKNOWN, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "nobody is asked" },
	{ BG_CANARY_NO_TOKEN, BG_SERVER_NGINX, BG_OUTCOME_BROKEN, BG_FINDING_FAULT, "is bearergate-fcgi running" },	/* 2.11 */
	{ BG_CANARY_BODY, BG_SERVER_NGINX, BG_OUTCOME_NO_BODY, BG_FINDING_FAULT, "error_page 401" },		/* 2.7 */
	{ BG_CANARY_BODY, BG_SERVER_APACHE, BG_OUTCOME_NO_BODY, BG_FINDING_REMARK, "FcgidAccessCheckerAuthoritative On" },
	{ BG_CANARY_BODY, BG_SERVER_APACHE, BG_OUTCOME_OUR_TEXT, BG_FINDING_REMARK, "Header always set Content-Type" },
	{ BG_CANARY_BODY, BG_SERVER_LIGHTTPD, BG_OUTCOME_OUR_BODY, BG_FINDING_OK, NULL },
	{ BG_CANARY_BAD_TOKEN, BG_SERVER_APACHE, BG_OUTCOME_ASKED, BG_FINDING_FAULT, "\"CGIPassAuth On\"" },	/* 2.3 */
	{ BG_CANARY_BAD_TOKEN, BG_SERVER_NGINX, BG_OUTCOME_ASKED, BG_FINDING_FAULT, "fastcgi_pass_request_headers" },
	{ BG_CANARY_BAD_TOKEN, BG_SERVER_UNKNOWN, BG_OUTCOME_ASKED, BG_FINDING_FAULT, "does not reach the authorizer" },
	{ BG_CANARY_BAD_TOKEN, BG_SERVER_UNKNOWN, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "was let in" },
	{ BG_CANARY_BAD_TOKEN, BG_SERVER_UNKNOWN, BG_OUTCOME_REFUSED, BG_FINDING_OK, NULL },
	{ BG_CANARY_DPOP, BG_SERVER_UNKNOWN, BG_OUTCOME_NO_PROOF, BG_FINDING_FAULT, "the DPoP header does not reach" },
	{ BG_CANARY_GOOD_TOKEN, BG_SERVER_UNKNOWN, BG_OUTCOME_NO_SCOPE, BG_FINDING_FAULT, "demands more" },
	{ BG_CANARY_GOOD_TOKEN, BG_SERVER_UNKNOWN, BG_OUTCOME_MISSING, BG_FINDING_REMARK, "nothing is here" },
	{ BG_CANARY_FORGED, BG_SERVER_UNKNOWN, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "made up" },
	{ BG_CANARY_FORGED_GOOD, BG_SERVER_NGINX, BG_OUTCOME_BELIEVED, BG_FINDING_FAULT, "proxy_pass_request_headers off" },
	{ BG_CANARY_FORGED_GOOD, BG_SERVER_NGINX, BG_OUTCOME_SHOWN, BG_FINDING_REMARK, "every header" },
	{ BG_CANARY_TWO_HEADERS, BG_SERVER_UNKNOWN, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "two Authorization headers" },	/* SR-73 */
	{ BG_CANARY_BOUND, BG_SERVER_NGINX, BG_OUTCOME_REFUSED, BG_FINDING_FAULT, "_HOST $host:$server_port" },
	{ BG_CANARY_BOUND, BG_SERVER_CADDY, BG_OUTCOME_REFUSED, BG_FINDING_FAULT, "{http.request.orig_method}" },
	{ BG_CANARY_BOUND, BG_SERVER_APACHE, BG_OUTCOME_BROKEN, BG_FINDING_FAULT, "replay = \"lmdb:/PATH\"" },
	{ BG_CANARY_BOUND_AGAIN, BG_SERVER_APACHE, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "share no replay store" },	/* SR-63 */
	{ BG_CANARY_BOUND_METHOD, BG_SERVER_CADDY, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "BEARERGATE_METHOD" },		/* 3.E */
	{ BG_CANARY_BOUND_BARE, BG_SERVER_NGINX, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "without it" },			/* SR-62 */
	{ BG_CANARY_NO_TOKEN, BG_SERVER_CADDY, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "forward_auth" },		/* 3.E */
	{ BG_CANARY_FORGED_GOOD, BG_SERVER_CADDY, BG_OUTCOME_BELIEVED, BG_FINDING_FAULT, "request_header -X-Auth-*" },
	{ BG_CANARY_STATUS, BG_SERVER_CADDY, BG_OUTCOME_MASKED, BG_FINDING_FAULT, "BEARERGATE_ANSWER client" },
	{ BG_CANARY_STATUS, BG_SERVER_APACHE, BG_OUTCOME_MASKED, BG_FINDING_REMARK, "ErrorDocument 401" },		/* 2.7 */
	{ BG_CANARY_STATUS, BG_SERVER_APACHE, BG_OUTCOME_REFUSED, BG_FINDING_OK, NULL },
	{ BG_CANARY_LEAK, BG_SERVER_APACHE, BG_OUTCOME_LEAKED, BG_FINDING_REMARK, "hide-claims.lua" },		/* 3.B */
	{ BG_CANARY_BODY, BG_SERVER_APACHE, BG_OUTCOME_SERVED, BG_FINDING_FAULT, "FcgidAccessCheckerAuthoritative On" },	/* 2.11 */
	{ BG_CANARY_BELOW, BG_SERVER_APACHE, BG_OUTCOME_SERVED, BG_FINDING_FAULT, "FcgidAccessCheckerAuthoritative On" },
	{ BG_CANARY_LONG, BG_SERVER_NGINX, BG_OUTCOME_TOO_LONG, BG_FINDING_REMARK, "large_client_header_buffers" },	/* 2.10 */
	{ BG_CANARY_LONG, BG_SERVER_APACHE, BG_OUTCOME_TOO_LONG, BG_FINDING_REMARK, "LimitRequestFieldSize" },
	{ BG_CANARY_LONG, BG_SERVER_APACHE, BG_OUTCOME_ASKED, BG_FINDING_FAULT, "dropped" },
	{ BG_CANARY_METHOD, BG_SERVER_APACHE, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "<LimitExcept>" },
	{ BG_CANARY_METHOD, BG_SERVER_UNKNOWN, BG_OUTCOME_OTHER, BG_FINDING_REMARK, "by itself" },
	{ BG_CANARY_PATH, BG_SERVER_UNKNOWN, BG_OUTCOME_LET_IN, BG_FINDING_FAULT, "not guarded" },		/* 2.4 */
	{ BG_CANARY_PATH, BG_SERVER_UNKNOWN, BG_OUTCOME_MISSING, BG_FINDING_OK, NULL },
	{ BG_CANARY_PATH, BG_SERVER_UNKNOWN, BG_OUTCOME_TOO_LONG, BG_FINDING_OK, NULL },
	{ BG_CANARY_BELOW, BG_SERVER_LIGHTTPD, BG_OUTCOME_MISSING, BG_FINDING_FAULT, "\"check-local\" => \"disable\"" },
	{ BG_CANARY_HTTP2, BG_SERVER_LIGHTTPD, BG_OUTCOME_HTTP2, BG_FINDING_FAULT, "\"server.h2proto\" => \"disable\"" },
	{ BG_CANARY_HTTP2, BG_SERVER_LIGHTTPD, BG_OUTCOME_HTTP1, BG_FINDING_OK, NULL },
	{ BG_CANARY_HTTP2, BG_SERVER_NGINX, BG_OUTCOME_HTTP2, BG_FINDING_OK, NULL },
	{ BG_CANARY_BELOW, BG_SERVER_NGINX, BG_OUTCOME_MISSING, BG_FINDING_REMARK, "this very path" },
};

START_TEST(the_directive_that_is_missing_is_named)
{
	struct bg_diagnosis found = bg_diagnose(findings[_i].canary, findings[_i].server, findings[_i].outcome);

	ck_assert_msg(found.finding == findings[_i].want, "row %d: %d", _i, found.finding);
	ck_assert_msg((found.advice != NULL) == (findings[_i].words != NULL), "row %d: %s", _i, found.advice);
	if (found.advice != NULL)
		ck_assert_msg(strstr(found.advice, findings[_i].words) != NULL, "row %d: %s", _i, found.advice);
}
END_TEST

/* The rule that no row may break: what is let in without a good token is a fault, whatever the server; so is silence. */
START_TEST(nothing_that_is_let_in_is_well)
{
	for (int canary = 0; canary < BG_CANARIES; canary++) {
		ck_assert_ptr_nonnull(bg_canary_wanted((enum bg_canary)canary));
		for (int server = 0; server < BG_SERVERS; server++) {
			struct bg_diagnosis in = bg_diagnose((enum bg_canary)canary, (enum bg_server)server, BG_OUTCOME_LET_IN);
			struct bg_diagnosis silent = bg_diagnose((enum bg_canary)canary, (enum bg_server)server, BG_OUTCOME_SILENT);
			bool may = canary == BG_CANARY_GOOD_TOKEN || canary == BG_CANARY_FORGED_GOOD ||
			    canary == BG_CANARY_LEAK || canary == BG_CANARY_BOUND;

			if (canary == BG_CANARY_BODY)
				continue;	/* is about the body of an answer that was judged before */
			ck_assert_msg((in.finding == BG_FINDING_FAULT) != may, "canary %d, server %d", canary, server);
			ck_assert_msg(silent.finding == BG_FINDING_FAULT, "canary %d, server %d", canary, server);
			for (int outcome = 0; outcome < BG_OUTCOMES; outcome++) {
				struct bg_diagnosis any = bg_diagnose((enum bg_canary)canary, (enum bg_server)server,
				    (enum bg_outcome)outcome);

				ck_assert_msg(any.finding == BG_FINDING_OK || any.advice != NULL, "canary %d, outcome %d", canary,
				    outcome);
			}
		}
	}
}
END_TEST

START_TEST(a_server_is_known_by_its_header)
{
	ck_assert_int_eq(bg_server_find(BG_SLICE("Apache/2.4.62 (Debian)")), BG_SERVER_APACHE);
	ck_assert_int_eq(bg_server_find(BG_SLICE("lighttpd/1.4.69")), BG_SERVER_LIGHTTPD);
	ck_assert_int_eq(bg_server_find(BG_SLICE("nginx")), BG_SERVER_NGINX);
	ck_assert_int_eq(bg_server_find(BG_SLICE("Caddy")), BG_SERVER_CADDY);
	ck_assert_int_eq(bg_server_find(BG_SLICE("Hiawatha")), BG_SERVER_UNKNOWN);
	ck_assert_int_eq(bg_server_find((struct bg_slice){ 0 }), BG_SERVER_UNKNOWN);
	ck_assert_str_eq(bg_server_name(BG_SERVER_NGINX), "nginx");
	ck_assert_str_eq(bg_server_name(BG_SERVER_UNKNOWN), "unknown");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("diagnosis");
	TCase *tcase = tcase_create("diagnosis");

	tcase_add_loop_test(tcase, an_answer_is_told_by_what_it_means, 0, N(outcomes));
	tcase_add_loop_test(tcase, the_body_of_a_refusal_is_told_from_another, 0, N(bodies));
	tcase_add_loop_test(tcase, what_the_client_sees_beside_the_outcome, 0, N(closer));
	tcase_add_loop_test(tcase, what_was_forged_is_found, 0, N(forgeries));
	tcase_add_loop_test(tcase, the_directive_that_is_missing_is_named, 0, N(findings));
	tcase_add_test(tcase, nothing_that_is_let_in_is_well);
	tcase_add_test(tcase, a_server_is_known_by_its_header);
	suite_add_tcase(suite, tcase);
	return bg_test_run(suite);
}
