/* What "bearergate doctor" understands of HTTP: URLs, and answers however they come. */
#include "tool/http.h"

#include "tests/support/run.h"

static const struct {
	const char *url, *wrong;	/* a word of what is wrong; NULL: nothing */
	bool        tls, numeric;
	const char *host, *port, *authority, *path;
} urls[] = {
	{ "http://a.example/x/y",        NULL, false, false, "a.example", "80",   "a.example",      "/x/y" },
	{ "https://a.example",           NULL, true,  false, "a.example", "443",  "a.example",      "/" },
	{ "http://127.0.0.1:8080/",      NULL, false, true,  "127.0.0.1", "8080", "127.0.0.1:8080", "/" },
	{ "https://[::1]:8443/a%2fb",    NULL, true,  true,  "::1",       "8443", "[::1]:8443",     "/a%2fb" },
	{ "https://[::1]/",              NULL, true,  true,  "::1",       "443",  "[::1]",          "/" },
	{ "http://a.example:65535/",     NULL, false, false, "a.example", "65535", "a.example:65535", "/" },
	{ "",                            "neither",    false, false, NULL, NULL, NULL, NULL },
	{ "HTTP://a.example/",           "neither",    false, false, NULL, NULL, NULL, NULL },
	{ "ftp://a.example/",            "neither",    false, false, NULL, NULL, NULL, NULL },
	{ "http:///x",                   "no host",    false, false, NULL, NULL, NULL, NULL },
	{ "http://:80/x",                "no host",    false, false, NULL, NULL, NULL, NULL },
	{ "http://u:p@a.example/",       "credential", false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example/?q",         "query",      false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example/#f",         "fragment",   false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example?q",          "query",      false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example:0/",         "port",       false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example:65536/",     "port",       false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example:123456/",    "port",       false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example:/",          "port",       false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example:+80/",       "port",       false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example:80x/",       "port",       false, false, NULL, NULL, NULL, NULL },
	{ "http://[::1/",                "bracket",    false, false, NULL, NULL, NULL, NULL },
	{ "http://[a.example]/",         "bracket",    false, false, NULL, NULL, NULL, NULL },
	{ "http://[::1]x/",              "between",    false, false, NULL, NULL, NULL, NULL },
	{ "http://::1/",                 "no host",    false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example/a b",        "encoded",    false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example/\r\nX: y",   "encoded",    false, false, NULL, NULL, NULL, NULL },
	{ "http://a.example/\xc3\xa9",   "encoded",    false, false, NULL, NULL, NULL, NULL },
};

START_TEST(a_url_is_taken_apart_or_refused)
{
	struct bg_http_url url;
	const char *wrong = bg_http_url_parse(urls[_i].url, &url);

	if (urls[_i].wrong != NULL) {
		ck_assert_msg(wrong != NULL && strstr(wrong, urls[_i].wrong) != NULL, "%s: %s", urls[_i].url, wrong);
		return;
	}
	ck_assert_msg(wrong == NULL, "%s: %s", urls[_i].url, wrong);
	ck_assert_int_eq(url.tls, urls[_i].tls);
	ck_assert_int_eq(url.numeric, urls[_i].numeric);
	ck_assert_str_eq(url.host, urls[_i].host);
	ck_assert_str_eq(url.port, urls[_i].port);
	ck_assert_str_eq(url.authority, urls[_i].authority);
	ck_assert_str_eq(url.path, urls[_i].path);
}
END_TEST

START_TEST(a_url_that_is_too_long_is_refused)
{
	char text[BG_URL_MAX + 2], host[BG_HOST_MAX + 16] = "http://";
	struct bg_http_url url;

	memset(text, 'a', sizeof(text));
	memcpy(text, "http://a/", 9);
	text[BG_URL_MAX - 1] = '\0';
	ck_assert_ptr_null(bg_http_url_parse(text, &url));
	text[BG_URL_MAX - 1] = 'a';
	text[BG_URL_MAX] = '\0';
	ck_assert_ptr_nonnull(bg_http_url_parse(text, &url));
	memset(host + 7, 'a', BG_HOST_MAX);
	ck_assert_ptr_null(bg_http_url_parse(host, &url));
	host[7 + BG_HOST_MAX] = 'a';
	ck_assert_ptr_nonnull(bg_http_url_parse(host, &url));
}
END_TEST

#define OK_LINE	"HTTP/1.1 200 OK\r\n"

static const struct {
	const char        *name, *raw;
	bool               bodiless, ended;
	enum bg_http_state want;
	int                status;
	const char        *body;
} answers[] = {
	{ "nothing yet",                    "",                                            false, false, BG_HTTP_MORE, 0, "" },
	{ "nothing at all",                 "",                                            false, true,  BG_HTTP_BROKEN, 0, "" },
	{ "half a status line",             "HTTP/1.1 20",                                 false, false, BG_HTTP_MORE, 0, "" },
	{ "half a head",                    OK_LINE "A: b\r\n",                            false, false, BG_HTTP_MORE, 0, "" },
	{ "half a head and the end",        OK_LINE "A: b\r\n",                            false, true,  BG_HTTP_BROKEN, 0, "" },
	{ "a body by its length",           OK_LINE "Content-Length: 3\r\n\r\nabc",        false, false, BG_HTTP_DONE, 200, "abc" },
	{ "no byte more than that",         OK_LINE "content-length: 3\r\n\r\nabcd",       false, false, BG_HTTP_DONE, 200, "abc" },
	{ "a part of a body",               OK_LINE "Content-Length: 3\r\n\r\nab",         false, false, BG_HTTP_MORE, 200, "ab" },
	{ "a body that was cut",            OK_LINE "Content-Length: 3\r\n\r\nab",         false, true,  BG_HTTP_DONE, 200, "ab" },
	{ "an empty body",                  OK_LINE "Content-Length: 0\r\n\r\n",           false, false, BG_HTTP_DONE, 200, "" },
	{ "a body until the end",           OK_LINE "\r\nabc",                             false, false, BG_HTTP_MORE, 200, "abc" },
	{ "and the end",                    OK_LINE "\r\nabc",                             false, true,  BG_HTTP_DONE, 200, "abc" },
	{ "an answer to HEAD",              OK_LINE "Content-Length: 3\r\n\r\n",           true,  false, BG_HTTP_DONE, 200, "" },
	{ "204 has no body",                "HTTP/1.1 204 No\r\n\r\n",                     false, false, BG_HTTP_DONE, 204, "" },
	{ "304 has no body",                "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", false, false, BG_HTTP_DONE, 304, "" },
	{ "chunks",                         OK_LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
	    false, false, BG_HTTP_DONE, 200, "abcde" },
	{ "chunks in hexadecimal",          OK_LINE "transfer-encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
	    false, false, BG_HTTP_DONE, 200, "0123456789" },
	{ "half a chunk",                   OK_LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nab", false, false, BG_HTTP_MORE, 200,
	    "ab" },
	{ "half a size",                    OK_LINE "Transfer-Encoding: chunked\r\n\r\n3", false, false, BG_HTTP_MORE, 200, "" },
	{ "a chunk without a size",         OK_LINE "Transfer-Encoding: chunked\r\n\r\nx\r\n", false, false, BG_HTTP_BROKEN, 0,
	    "" },
	{ "a chunk longer than it says",    OK_LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", false, false,
	    BG_HTTP_BROKEN, 0,
	    "abc" },
	{ "a chunk of a size that overflows", OK_LINE "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\na", false, false,
	    BG_HTTP_BROKEN, 0, "" },
	{ "a length that is no number",     OK_LINE "Content-Length: 3x\r\n\r\nabc",       false, true,  BG_HTTP_DONE, 200, "abc" },
	{ "100 is passed over",             "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
	    false, false, BG_HTTP_DONE, 401, "" },
	{ "and waited behind",              "HTTP/1.1 100 Continue\r\n\r\n",               false, false, BG_HTTP_MORE, 0, "" },
	{ "100 alone is no answer",         "HTTP/1.1 100 Continue\r\n\r\n",               false, true,  BG_HTTP_BROKEN, 0, "" },
	{ "lines that end with LF alone",   "HTTP/1.1 403 No\nContent-Length: 1\n\na",     false, false, BG_HTTP_DONE, 403, "a" },
	{ "HTTP/1.0",                       "HTTP/1.0 200 OK\r\n\r\n",                     false, true,  BG_HTTP_DONE, 200, "" },
	{ "no reason",                      "HTTP/1.1 200\r\n\r\n",                        false, true,  BG_HTTP_DONE, 200, "" },
	{ "HTTP/2",                         "HTTP/2 200 OK\r\n\r\n",                       false, true,  BG_HTTP_BROKEN, 0, "" },
	{ "another protocol",               "220 mail\r\n",                                false, false, BG_HTTP_BROKEN, 0, "" },
	{ "a status of two digits",         "HTTP/1.1 20 OK\r\n\r\n",                      false, true,  BG_HTTP_BROKEN, 0, "" },
	{ "a status of four",               "HTTP/1.1 2000 OK\r\n\r\n",                    false, true,  BG_HTTP_BROKEN, 0, "" },
	{ "a status below 100",             "HTTP/1.1 099 OK\r\n\r\n",                     false, true,  BG_HTTP_BROKEN, 0, "" },
};

START_TEST(an_answer_is_read)
{
	struct bg_http_answer answer;

	bg_http_answer_init(&answer);
	bg_buf_put_str(&answer.raw, answers[_i].raw);
	ck_assert_msg(bg_http_answer_read(&answer, answers[_i].bodiless, answers[_i].ended) == answers[_i].want, "%s",
	    answers[_i].name);
	ck_assert_msg(answer.status == answers[_i].status || answers[_i].want == BG_HTTP_MORE, "%s: %d", answers[_i].name,
	    answer.status);
	ck_assert_msg(bg_slice_equal((struct bg_slice){ answer.body.data, answer.body.len }, bg_slice_str(answers[_i].body)), "%s",
	    answers[_i].name);
	bg_http_answer_clear(&answer);
}
END_TEST

START_TEST(an_answer_is_the_same_however_it_is_cut)
{
	struct bg_http_answer answer;
	const char *raw = answers[_i].raw;
	enum bg_http_state state = BG_HTTP_MORE;

	bg_http_answer_init(&answer);
	for (size_t n = 0; n < strlen(raw) && state == BG_HTTP_MORE; n++) {
		bg_buf_put_char(&answer.raw, raw[n]);
		state = bg_http_answer_read(&answer, answers[_i].bodiless, false);
	}
	if (state == BG_HTTP_MORE && answers[_i].ended)
		state = bg_http_answer_read(&answer, answers[_i].bodiless, true);
	ck_assert_msg(state == answers[_i].want, "%s", answers[_i].name);
	ck_assert_msg(answer.status == answers[_i].status || state == BG_HTTP_MORE, "%s", answers[_i].name);
	bg_http_answer_clear(&answer);
}
END_TEST

START_TEST(a_head_and_a_body_have_their_ceilings)
{
	struct bg_http_answer answer;

	bg_http_answer_init(&answer);
	bg_buf_put_str(&answer.raw, OK_LINE "A: ");
	while (answer.raw.len <= BG_HTTP_HEAD_MAX)
		bg_buf_put_char(&answer.raw, 'x');
	ck_assert_int_eq(bg_http_answer_read(&answer, false, false), BG_HTTP_MORE);
	bg_buf_put_str(&answer.raw, "xxxxxxxxxxxxxxxxxxxxxxxx");
	ck_assert_int_eq(bg_http_answer_read(&answer, false, false), BG_HTTP_BROKEN);
	bg_http_answer_clear(&answer);

	bg_http_answer_init(&answer);
	bg_buf_put_str(&answer.raw, OK_LINE "\r\n");
	for (size_t i = 0; i < BG_HTTP_BODY_MAX + 10; i++)
		bg_buf_put_char(&answer.raw, 'x');
	ck_assert_int_eq(bg_http_answer_read(&answer, false, false), BG_HTTP_DONE);
	ck_assert_uint_eq(answer.body.len, BG_HTTP_BODY_MAX);
	ck_assert(!answer.body.failed);
	bg_http_answer_clear(&answer);
}
END_TEST

START_TEST(headers_are_found_by_name)
{
	struct bg_http_answer answer;

	bg_http_answer_init(&answer);
	bg_buf_put_str(&answer.raw, OK_LINE "A:  one \t\r\nno header\r\nwww-authenticate: x\r\nWWW-Authenticate:y\r\nAB: "
	    "two\r\nE:\r\n\r\nA: body");
	ck_assert_int_eq(bg_http_answer_read(&answer, false, true), BG_HTTP_DONE);
	ck_assert(bg_slice_equal(bg_http_header(&answer, BG_SLICE("a"), 0), BG_SLICE("one")));
	ck_assert_ptr_null(bg_http_header(&answer, BG_SLICE("A"), 1).ptr);
	ck_assert(bg_slice_equal(bg_http_header(&answer, BG_SLICE("WWW-Authenticate"), 0), BG_SLICE("x")));
	ck_assert(bg_slice_equal(bg_http_header(&answer, BG_SLICE("WWW-Authenticate"), 1), BG_SLICE("y")));
	ck_assert(bg_http_header(&answer, BG_SLICE("E"), 0).ptr != NULL && bg_http_header(&answer, BG_SLICE("E"), 0).len == 0);
	ck_assert_ptr_null(bg_http_header(&answer, BG_SLICE("no header"), 0).ptr);
	bg_http_answer_clear(&answer);
	ck_assert_ptr_null(bg_http_header(&answer, BG_SLICE("A"), 0).ptr);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http");
	TCase *tcase = tcase_create("http");

	tcase_add_loop_test(tcase, a_url_is_taken_apart_or_refused, 0, N(urls));
	tcase_add_test(tcase, a_url_that_is_too_long_is_refused);
	tcase_add_loop_test(tcase, an_answer_is_read, 0, N(answers));
	tcase_add_loop_test(tcase, an_answer_is_the_same_however_it_is_cut, 0, N(answers));
	tcase_add_test(tcase, a_head_and_a_body_have_their_ceilings);
	tcase_add_test(tcase, headers_are_found_by_name);
	suite_add_tcase(suite, tcase);
	return bg_test_run(suite);
}
