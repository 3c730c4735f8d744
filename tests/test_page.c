#include "fcgi/page.h"

#include "core/limits.h"
#include "tests/support/run.h"

#define URI	"REQUEST_URI=/_bearergate/status"
#define NAME	"SCRIPT_NAME=/_bearergate/status"
#define PAGE	"BEARERGATE_PAGE=status"
#define GET	"REQUEST_METHOD=GET"

/* env ends at the first NULL. */
static const struct { const char *name; enum bg_role role; enum bg_page page; enum bg_reason why; const char *env[6]; } rows[] = {
	{ "no such variable", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_OK, { URI, NAME } },
	{ "no such variable, for an authorizer", BG_ROLE_AUTHORIZER, BG_PAGE_NONE, BG_R_OK, { URI, NAME } },
	{ "a header of a client", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_OK, { URI, NAME, "HTTP_BEARERGATE_PAGE=status" } },
	{ "the client's path and query", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_OK,
	    { "REQUEST_URI=/status?BEARERGATE_PAGE=status", "SCRIPT_NAME=/status", "QUERY_STRING=BEARERGATE_PAGE=status" } },
	{ "a longer name is for others to refuse", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_OK, { URI, NAME, "BEARERGATE_PAGES=status" } },
	{ "ping", BG_ROLE_RESPONDER, BG_PAGE_PING, BG_R_OK, { URI, NAME, "BEARERGATE_PAGE=ping" } },
	{ "ready", BG_ROLE_RESPONDER, BG_PAGE_READY, BG_R_OK, { URI, NAME, "BEARERGATE_PAGE=ready" } },
	{ "status", BG_ROLE_RESPONDER, BG_PAGE_STATUS, BG_R_OK, { URI, NAME, "BEARERGATE_PAGE=status" } },
	{ "metrics", BG_ROLE_RESPONDER, BG_PAGE_METRICS, BG_R_OK, { URI, NAME, "BEARERGATE_PAGE=metrics" } },
	{ "with a query", BG_ROLE_RESPONDER, BG_PAGE_STATUS, BG_R_OK, { URI "?json", NAME, PAGE, "QUERY_STRING=json" } },
	{ "with a path behind the script", BG_ROLE_RESPONDER, BG_PAGE_STATUS, BG_R_OK,
	    { URI, "SCRIPT_NAME=/_bearergate", "PATH_INFO=/status", PAGE } },

	{ "an unknown page", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, "BEARERGATE_PAGE=stats" } },
	{ "no page", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, "BEARERGATE_PAGE=" } },
	{ "another case", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, "BEARERGATE_PAGE=Status" } },
	{ "two pages", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, PAGE, "BEARERGATE_PAGE=ping" } },
	{ "the same page twice", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, PAGE, PAGE } },

	/* 200 would be a grant. */
	{ "the Authorizer role", BG_ROLE_AUTHORIZER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, PAGE } },
	{ "no role", BG_ROLE_NONE, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, PAGE } },
	{ "beside a demand", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, PAGE, "BEARERGATE_SCOPE=read" } },
	{ "beside an empty demand", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, PAGE, "BEARERGATE_SCOPE=" } },
	{ "beside what bearergate_params hands in", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { "BEARERGATE_URI=/_bearergate/status", URI, NAME, PAGE } },
	{ "beside a demand that an internal redirect has renamed", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { URI, NAME, PAGE, "REDIRECT_REDIRECT_BEARERGATE_SCOPE=read" } },
	{ "a page that an internal redirect has renamed is none", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_OK,
	    { URI, NAME, "REDIRECT_BEARERGATE_PAGE=status" } },
	{ "beside a variable nobody knows", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, NAME, PAGE, "BEARERGATE_X=1" } },
	{ "a sub-request", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { "REQUEST_URI=/api/private", NAME, PAGE } },
	{ "a sub-request for a path that ends like the page's", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { "REQUEST_URI=/api/_bearergate/status", NAME, PAGE } },
	{ "a sub-request for a path that begins like the page's", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { "REQUEST_URI=/_bearergate/status/../../api", NAME, PAGE } },
	{ "a sub-request with the page in its query", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { "REQUEST_URI=/api?/_bearergate/status", NAME, PAGE } },
	{ "a path that is written in another way", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { "REQUEST_URI=/_bearergate/st%61tus", NAME, PAGE } },
	{ "forward_auth, about the page's own path", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { URI, NAME, PAGE, "HTTP_X_FORWARDED_URI=/_bearergate/status" } },
	{ "forward_auth that names the method alone", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE,
	    { URI, NAME, PAGE, "HTTP_X_FORWARDED_METHOD=" } },
	{ "behind a proxy", BG_ROLE_RESPONDER, BG_PAGE_STATUS, BG_R_OK,
	    { URI, NAME, PAGE, "HTTP_X_FORWARDED_FOR=192.0.2.1", "HTTP_X_FORWARDED_PROTO=https" } },
	{ "no REQUEST_URI", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { NAME, PAGE } },
	{ "no SCRIPT_NAME", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, PAGE } },
	{ "neither", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { PAGE } },
	{ "both empty", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { "REQUEST_URI=", "SCRIPT_NAME=", PAGE } },
	{ "a query alone", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { "REQUEST_URI=?json", "SCRIPT_NAME=", PAGE } },
	{ "PATH_INFO alone", BG_ROLE_RESPONDER, BG_PAGE_NONE, BG_R_BAD_VARIABLE, { URI, "PATH_INFO=/_bearergate/status", PAGE } },
};
START_TEST(there_is_a_page_only_where_nothing_looks_like_a_question)
{
	struct bg_error err = { 0 };
	enum bg_page page;

	ck_reason(bg_page_wanted(rows[_i].role, (char *const *)rows[_i].env, &page, &err), err, rows[_i].why, rows[_i].name);
	ck_assert_msg(page == rows[_i].page, "%s: %s", rows[_i].name, bg_page_name(page));
}
END_TEST

static struct bg_keystore_status issuers[3000];
static const struct bg_status good = { .version = "1", .build = "b", .sandbox = "none", .dpop = "allowed", .replay = "lmdb" };

/* The whole answer; borrowed from out. */
static const char *
answer(enum bg_page page, const char *const *env, const struct bg_status *status, struct bg_buf *out)
{
	struct bg_slice text;

	bg_buf_init(out, BG_ANSWER_MAX);
	bg_buf_put_str(out, "left over");
	ck_assert_int_eq(bg_page_answer(page, (char *const *)env, status, out), 0);
	ck_assert_int_eq(bg_buf_finish(out, &text, NULL), 0);
	ck_assert_uint_eq(strlen(text.ptr), text.len);
	return text.ptr;
}

static const struct { const char *name; enum bg_page page; const char *begins, *contains, *env[4]; } forms[] = {
	{ "ping", BG_PAGE_PING, "Status: 200 OK\r\n", "\r\n\r\npong\n", { GET } },
	{ "ready, without any issuer", BG_PAGE_READY, "Status: 503 Service Unavailable\r\n", "\r\n\r\nnot ready\n", { GET } },
	{ "text, where nobody says more", BG_PAGE_STATUS, "Status: 200 ", "\r\nContent-Type: text/plain; charset=utf-8\r\n", { GET } },
	{ "HTML for a browser", BG_PAGE_STATUS, "Status: 200 ", "\r\nContent-Type: text/html; charset=utf-8\r\n",
	    { GET, "HTTP_ACCEPT=application/xhtml+xml,Text/HTML;q=0.9" } },
	{ "with what it may load: nothing", BG_PAGE_STATUS, "Status: 200 ", "\r\nContent-Security-Policy: default-src 'none'; ",
	    { GET, "QUERY_STRING=html" } },
	{ "text for a browser that asks for it", BG_PAGE_STATUS, "Status: 200 ", "\r\nContent-Type: text/plain",
	    { GET, "HTTP_ACCEPT=text/html", "QUERY_STRING=text" } },
	{ "JSON", BG_PAGE_STATUS, "Status: 200 ", "\r\nContent-Type: application/json\r\n", { GET, "QUERY_STRING=json" } },
	{ "an unknown query is none", BG_PAGE_STATUS, "Status: 200 ", "\r\nContent-Type: text/plain", { GET, "QUERY_STRING=xml" } },
	{ "metrics", BG_PAGE_METRICS, "Status: 200 ", "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n", { GET } },
	{ "metrics have one form", BG_PAGE_METRICS, "Status: 200 ", "text/plain; version=0.0.4", { GET, "QUERY_STRING=json" } },
	{ "HEAD", BG_PAGE_PING, "Status: 200 ", "pong", { "REQUEST_METHOD=HEAD" } },
	{ "POST", BG_PAGE_PING, "Status: 405 ", "\r\nAllow: GET, HEAD\r\n", { "REQUEST_METHOD=POST" } },
	{ "no method", BG_PAGE_STATUS, "Status: 405 ", "only GET", { "QUERY_STRING=json" } },
};
START_TEST(a_page_comes_in_the_form_that_was_asked_for)
{
	struct bg_buf out;
	const char *text = answer(forms[_i].page, forms[_i].env, &good, &out);

	ck_assert_msg(strncmp(text, forms[_i].begins, strlen(forms[_i].begins)) == 0, "%s: %s", forms[_i].name, text);
	ck_assert_msg(strstr(text, forms[_i].contains) != NULL, "%s: %s", forms[_i].name, text);
	ck_assert_msg(strstr(text, "\r\nCache-Control: no-store\r\n") != NULL, "%s: %s", forms[_i].name, text);
	bg_buf_clear(&out);
}
END_TEST

/* More issuers than fit: as many as there is room for, and a word about the others.  Never half an answer. */
static const struct { enum bg_page page; const char *query, *word; } crowded[] = {
	{ BG_PAGE_READY, "QUERY_STRING=", " more issuers have no room here\n" },
	{ BG_PAGE_STATUS, "QUERY_STRING=text", " more issuers have no room here\n" },
	{ BG_PAGE_STATUS, "QUERY_STRING=json", "\"issuers_left_out\":2" },
	{ BG_PAGE_STATUS, "QUERY_STRING=html", " more issuers have no room here" },
	{ BG_PAGE_METRICS, "QUERY_STRING=", "bearergate_issuers_left_out 2" },
};
START_TEST(a_page_with_too_many_issuers_says_that_some_are_left_out)
{
	const char *env[] = { GET, crowded[_i].query, NULL };
	struct bg_status status = good;
	struct bg_buf out;
	const char *text;

	for (int i = 0; i < N(issuers); i++)
		issuers[i].issuer = "https://issuer.example/of/no/great/length/but/long/enough/to/need/some/room";
	status.issuers = issuers;
	status.n_issuers = (size_t)N(issuers);
	text = answer(crowded[_i].page, env, &status, &out);
	ck_assert_msg(strstr(text, crowded[_i].word) != NULL, "%s", text);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(a_page_is_whole_or_not_there)
{
	const char *env[] = { GET, "QUERY_STRING=json", NULL };
	struct bg_buf out;
	size_t whole;

	(void)answer(BG_PAGE_STATUS, env, &good, &out);
	whole = out.len;
	bg_buf_clear(&out);
	for (size_t max = 0; max < whole; max += 7) {
		bg_buf_init(&out, max);
		ck_assert_int_eq(bg_page_answer(BG_PAGE_STATUS, (char *const *)env, &good, &out), -1);
		ck_assert_uint_eq(out.len, 0);
		bg_buf_clear(&out);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("page");
	TCase *tc = tcase_create("page");

	tcase_add_loop_test(tc, there_is_a_page_only_where_nothing_looks_like_a_question, 0, N(rows));
	tcase_add_loop_test(tc, a_page_comes_in_the_form_that_was_asked_for, 0, N(forms));
	tcase_add_loop_test(tc, a_page_with_too_many_issuers_says_that_some_are_left_out, 0, N(crowded));
	tcase_add_test(tc, a_page_is_whole_or_not_there);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
