#include "cgi/answer.h"

#include "cgi/reply.h"
#include "core/limits.h"
#include "tests/support/records.h"
#include "tests/support/run.h"

#define ALLOW	"Status: 200 OK\r\nVariable-REMOTE_USER: bob\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_SUB: bob\r\n\r\n"
#define TAIL	"Cache-Control: no-store\r\nContent-Type: application/json\r\n\r\n{}"
#define DENY	"Status: 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"api\"\r\nX-Bearergate-Status: 401\r\n" TAIL
#define DONE	"\0\0\0\0\0\0\0\0"

#define OUT(text)	{ BG_REC_STDOUT, 1, text, sizeof(text) - 1, 0 }
#define PADDED(text)	{ BG_REC_STDOUT, 1, text, sizeof(text) - 1, 7 }
#define EOS		{ BG_REC_STDOUT, 1, "", 0, 0 }
#define END(content)	{ BG_REC_END_REQUEST, 1, content, sizeof(content) - 1, 0 }

static struct bg_export roles = { .name = (char[]){ "ROLES" } };
static const struct bg_exports exports = { .exports = &roles, .n_exports = 1 };

struct record {
	unsigned    type, id;
	const char *content;
	size_t      len;
	unsigned    padding;
};

static void
put_records(const struct record *records, struct bg_buf *out)
{
	bg_buf_init(out, BG_REC_MAX);
	for (; records->type != 0; records++)
		bg_rec_put(out, records->type, records->id, (struct bg_slice){ records->content, records->len }, records->padding);
}

/* Records by themselves: FastCGI 1.0 sections 3.3 and 5.5. */
static const struct {
	const char    *name;
	struct record  records[6];
	enum bg_answer want;
	const char    *why;	/* part of it */
} rows[] = {
	{ "an allow", { OUT(ALLOW), EOS, END(DONE) }, BG_ANSWER_WHOLE, NULL },
	{ "with padding", { PADDED(ALLOW), { BG_REC_STDOUT, 1, "", 0, 5 }, { BG_REC_END_REQUEST, 1, DONE, 8, 3 } }, BG_ANSWER_WHOLE, NULL },
	{ "in two records", { OUT("Status: 2"), OUT("00 OK\r\nVariable-AUTH_TYPE: \r\n\r\n"), EOS, END(DONE) }, BG_ANSWER_WHOLE, NULL },
	{ "a denial", { OUT(DENY), EOS, END(DONE) }, BG_ANSWER_WHOLE, NULL },
	{ "nothing", { { 0 } }, BG_ANSWER_MORE, NULL },
	{ "an allow, its end outstanding", { OUT(ALLOW) }, BG_ANSWER_MORE, NULL },
	{ "an allow, END_REQUEST outstanding", { OUT(ALLOW), EOS }, BG_ANSWER_MORE, NULL },
	{ "an empty END_REQUEST", { END(DONE) }, BG_ANSWER_BAD, "before its answer" },	/* a grant in lighttpd */
	{ "an empty answer", { EOS, END(DONE) }, BG_ANSWER_BAD, "does not begin with its status" },
	{ "no end of STDOUT", { OUT(ALLOW), END(DONE) }, BG_ANSWER_BAD, "before its answer" },
	{ "STDOUT behind its end", { EOS, OUT(ALLOW), EOS, END(DONE) }, BG_ANSWER_BAD, "behind its end" },
	{ "two ends of STDOUT", { OUT(ALLOW), EOS, EOS, END(DONE) }, BG_ANSWER_BAD, "behind its end" },
	{ "something behind END_REQUEST", { OUT(ALLOW), EOS, END(DONE), EOS }, BG_ANSWER_BAD, "behind the end" },
	{ "two END_REQUESTs", { OUT(ALLOW), EOS, END(DONE), END(DONE) }, BG_ANSWER_BAD, "behind the end" },
	{ "another id", { { BG_REC_STDOUT, 2, ALLOW, sizeof(ALLOW) - 1, 0 }, EOS, END(DONE) }, BG_ANSWER_BAD, "another request" },
	{ "id 256 + 1", { { BG_REC_STDOUT, 257, ALLOW, sizeof(ALLOW) - 1, 0 }, EOS, END(DONE) }, BG_ANSWER_BAD, "another request" },
	{ "id 0", { { BG_REC_STDOUT, 0, ALLOW, sizeof(ALLOW) - 1, 0 }, EOS, END(DONE) }, BG_ANSWER_BAD, "another request" },
	{ "the end of another id", { OUT(ALLOW), EOS, { BG_REC_END_REQUEST, 2, DONE, 8, 0 } }, BG_ANSWER_BAD, "another request" },
	{ "standard error", { { BG_REC_STDERR, 1, "x", 1, 0 }, OUT(ALLOW), EOS, END(DONE) }, BG_ANSWER_BAD, "standard error" },
	{ "an empty one of it", { OUT(ALLOW), EOS, { BG_REC_STDERR, 1, "", 0, 0 }, END(DONE) }, BG_ANSWER_BAD, "standard error" },
	{ "a record of a server", { { BG_REC_PARAMS, 1, "", 0, 0 } }, BG_ANSWER_BAD, "none of an answer" },
	{ "a management record", { { 10, 0, "", 0, 0 } }, BG_ANSWER_BAD, "none of an answer" },
	{ "an application's status of 1", { OUT(ALLOW), EOS, END("\0\0\0\1\0\0\0\0") }, BG_ANSWER_BAD, "application's status" },
	{ "one of 2^31", { OUT(ALLOW), EOS, END("\200\0\0\0\0\0\0\0") }, BG_ANSWER_BAD, "application's status" },
	{ "CANT_MPX_CONN", { OUT(ALLOW), EOS, END("\0\0\0\0\1\0\0\0") }, BG_ANSWER_BAD, "not completed" },
	{ "OVERLOADED", { OUT(ALLOW), EOS, END("\0\0\0\0\2\0\0\0") }, BG_ANSWER_BAD, "not completed" },
	{ "UNKNOWN_ROLE", { EOS, END("\0\0\0\0\3\0\0\0") }, BG_ANSWER_BAD, "not completed" },
	{ "an END_REQUEST without content", { OUT(ALLOW), EOS, { BG_REC_END_REQUEST, 1, "", 0, 0 } }, BG_ANSWER_BAD, "wrong length" },
	{ "one of seven bytes", { OUT(ALLOW), EOS, { BG_REC_END_REQUEST, 1, DONE, 7, 0 } }, BG_ANSWER_BAD, "wrong length" },
};

static enum bg_answer
read_bytes(struct bg_slice bytes, struct bg_response *response, const char **why)
{
	/* in memory of its very size, for the sanitizer */
	char *exact = malloc(bytes.len > 0 ? bytes.len : 1);
	enum bg_answer got;

	ck_assert_ptr_nonnull(exact);
	if (bytes.len > 0)
		memcpy(exact, bytes.ptr, bytes.len);
	got = bg_answer_read((struct bg_slice){ exact, bytes.len }, &exports, response, why);
	free(exact);
	ck_assert((got == BG_ANSWER_BAD) == (*why != NULL));
	if (got != BG_ANSWER_WHOLE)
		ck_assert(response->status == 500 && response->variables.len == 0 && response->body.len == 0);
	return got;
}

START_TEST(only_a_whole_answer_counts)
{
	struct bg_response response;
	const char *why;
	struct bg_buf bytes;

	bg_response_init(&response);
	put_records(rows[_i].records, &bytes);
	ck_assert_msg(read_bytes((struct bg_slice){ bytes.data, bytes.len }, &response, &why) == rows[_i].want, "%s: %s", rows[_i].name,
	    why != NULL ? why : "good");
	if (rows[_i].why != NULL)
		ck_assert_msg(strstr(why, rows[_i].why) != NULL, "%s: %s", rows[_i].name, why);
	/* and no beginning of anything is an allow: SR-21 in the other direction */
	for (size_t i = 0; i < bytes.len; i++)
		ck_assert(read_bytes((struct bg_slice){ bytes.data, i }, &response, &why) != BG_ANSWER_WHOLE ||
		    rows[_i].want == BG_ANSWER_BAD);
	bg_buf_clear(&bytes);
	bg_response_clear(&response);
}
END_TEST

/* The text of an answer that is whole.  wanted 0: bad. */
static const struct { const char *name, *text; int wanted; } texts[] = {
	{ "allow", ALLOW, 200 },
	{ "no phrase", "Status: 200\r\nVariable-AUTH_TYPE: DPoP\r\n\r\n", 200 },
	{ "empty values", "Status: 200 OK\r\nVariable-REMOTE_USER: \r\nVariable-AUTH_TYPE: \r\nVariable-CLAIM_SUB: \r\n\r\n", 200 },
	{ "a name of an export block", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-ROLES: a b\r\n\r\n", 200 },
	{ "all claims", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIMS_JSON: {\"a\":\"b: c\"}\r\n\r\n", 200 },
	{ "no status", "Variable-AUTH_TYPE: Bearer\r\n\r\n", 0 },	/* an allow in lighttpd */
	{ "no headers", "\r\n", 0 },
	{ "status second", "Variable-AUTH_TYPE: Bearer\r\nStatus: 200 OK\r\n\r\n", 0 },
	{ "status twice", "Status: 200 OK\r\nStatus: 401 x\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n", 0 },
	{ "a status line", "HTTP/1.1 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n", 0 },
	{ "small letters", "status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n", 0 },
	{ "two digits", "Status: 20\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n", 0 },
	{ "four digits", "Status: 2000\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n", 0 },
	{ "a sign", "Status: +20\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n", 0 },
	{ "201", "Status: 201 Created\r\nVariable-AUTH_TYPE: Bearer\r\n\r\n", 0 },
	{ "204", "Status: 204 No Content\r\n\r\n", 0 },
	{ "302", "Status: 302 Found\r\nLocation: /\r\n\r\n", 0 },
	{ "no AUTH_TYPE", "Status: 200 OK\r\nVariable-REMOTE_USER: bob\r\n\r\n", 0 },
	{ "nothing but 200", "Status: 200 OK\r\n\r\n", 0 },
	{ "cut off in the headers", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\n", 0 },
	{ "cut off in a name", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVari", 0 },
	{ "LF alone", "Status: 200 OK\nVariable-AUTH_TYPE: Bearer\n\n", 0 },
	{ "a body", ALLOW "x", 0 },
	{ "a Responder's allow", "Status: 200 OK\r\nX-Auth-Type: Bearer\r\nX-Auth-Claim-Sub: bob\r\nCache-Control: no-store\r\n\r\n", 0 },
	{ "a page", "Status: 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", 0 },
	{ "PATH", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-PATH: /tmp\r\n\r\n", 0 },
	{ "LD_PRELOAD", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-LD_PRELOAD: /tmp/x.so\r\n\r\n", 0 },
	{ "HTTP_X", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-HTTP_X: 1\r\n\r\n", 0 },
	{ "BEARERGATE_AUTH", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-BEARERGATE_AUTH: none\r\n\r\n", 0 },
	{ "a name nobody said", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-GROUPS: a\r\n\r\n", 0 },
	{ "the beginning of one", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-ROLE: a\r\n\r\n", 0 },
	{ "small letters in a claim", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_sub: a\r\n\r\n", 0 },
	{ "= in a claim", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_A=B: a\r\n\r\n", 0 },
	{ "no name", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-: a\r\n\r\n", 0 },
	{ "a variable twice", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-AUTH_TYPE: DPoP\r\n\r\n", 0 },
	{ "no space behind the colon", "Status: 200 OK\r\nVariable-AUTH_TYPE:Bearer\r\n\r\n", 0 },
	{ "a continued line", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\n x: y\r\n\r\n", 0 },
	{ "a byte above ASCII", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_SUB: \xc3\xa9\r\n\r\n", 0 },
	{ "a control character", "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_SUB: a\rb\r\n\r\n", 0 },
	{ "denial", DENY, 401 },
	{ "nonce", "Status: 401 Unauthorized\r\nDPoP-Nonce: abc\r\nX-Bearergate-Status: 401\r\n" TAIL, 401 },
	{ "unavailable", "Status: 503 x\r\nRetry-After: 12\r\nX-Bearergate-Status: 503\r\n" TAIL, 503 },
	{ "two statuses", "Status: 401 Unauthorized\r\nX-Bearergate-Status: 403\r\n" TAIL, 0 },
	{ "somebody else's denial", "Status: 401 Unauthorized\r\nContent-Type: text/html\r\n\r\nno", 0 },
	{ "with a cookie", "Status: 401 Unauthorized\r\nSet-Cookie: a=b\r\nX-Bearergate-Status: 401\r\n" TAIL, 0 },
	{ "a header twice", "Status: 401 x\r\nX-Bearergate-Status: 401\r\nX-Bearergate-Status: 401\r\n" TAIL, 0 },
	{ "a nonce that is too long", "Status: 401 x\r\nDPoP-Nonce: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nX-Bearergate-Status: 401\r\n"
	    TAIL, 0 },
	{ "a wait that is none", "Status: 503 x\r\nRetry-After: soon\r\nX-Bearergate-Status: 503\r\n" TAIL, 0 },
	{ "404", "Status: 404 Not Found\r\nX-Bearergate-Status: 404\r\n" TAIL, 0 },
	{ "a variable of a denial", "Status: 401 x\r\nVariable-AUTH_TYPE: Bearer\r\nX-Bearergate-Status: 401\r\n" TAIL, 0 },
	{ "an odd body", "Status: 401 x\r\nX-Bearergate-Status: 401\r\n" TAIL "\n", 0 },
};

static enum bg_answer
read_text(struct bg_slice text, struct bg_response *response, const char **why)
{
	enum bg_answer got;
	struct bg_buf bytes;

	bg_buf_init(&bytes, BG_REC_MAX);
	for (size_t n; text.len > 0; text = bg_slice_skip(text, n)) {
		n = text.len < 60000 ? text.len : 60000;
		bg_rec_put(&bytes, BG_REC_STDOUT, 1, (struct bg_slice){ text.ptr, n }, 0);
	}
	bg_rec_put(&bytes, BG_REC_STDOUT, 1, BG_SLICE(""), 0);
	bg_rec_put(&bytes, BG_REC_END_REQUEST, 1, (struct bg_slice){ DONE, 8 }, 0);
	got = read_bytes((struct bg_slice){ bytes.data, bytes.len }, response, why);
	bg_buf_clear(&bytes);
	return got;
}

START_TEST(only_the_daemon_s_own_words_count)
{
	struct bg_response response;
	const char *why;
	enum bg_answer got;

	bg_response_init(&response);
	got = read_text(bg_slice_str(texts[_i].text), &response, &why);
	ck_assert_msg((got == BG_ANSWER_WHOLE) == (texts[_i].wanted != 0) && got != BG_ANSWER_MORE, "%s: %s", texts[_i].name,
	    why != NULL ? why : "good");
	if (texts[_i].wanted != 0)
		ck_assert_msg(response.status == texts[_i].wanted, "%s: %d", texts[_i].name, response.status);
	bg_response_clear(&response);
}
END_TEST

START_TEST(what_the_daemon_writes_is_read_as_it_was)
{
	static const char pairs[] = "REMOTE_USER\0bob\0AUTH_TYPE\0DPoP\0CLAIM_AUD\0[\"a\",\"b\"]\0ROLES\0\0";
	struct bg_response said, read;
	struct bg_error err = { 0 };
	struct bg_buf text;
	const char *why;

	bg_response_init(&said);
	bg_response_init(&read);
	bg_buf_init(&text, BG_ANSWER_MAX);
	said.status = 200;
	bg_buf_put(&said.variables, (struct bg_slice){ pairs, sizeof(pairs) - 1 });
	ck_reason(bg_reply_authorizer(&said, &text, &err), err, BG_R_OK, "allow");
	ck_assert_int_eq(read_text((struct bg_slice){ text.data, text.len }, &read, &why), BG_ANSWER_WHOLE);
	ck_assert_int_eq(read.status, 200);
	ck_assert(bg_slice_equal((struct bg_slice){ read.variables.data, read.variables.len }, (struct bg_slice){ pairs, sizeof(pairs) - 1 }));

	bg_response_reset(&said);
	said.status = 401;
	said.retry_after = 7;
	bg_format(said.nonce, sizeof(said.nonce), "%043d", 5);
	bg_buf_put_str(&said.challenge, "DPoP error=\"use_dpop_nonce\", algs=\"ES256\"");
	bg_buf_put_str(&said.body, "{\"detail\":{}}");
	ck_reason(bg_reply_authorizer(&said, &text, &err), err, BG_R_OK, "denial");
	ck_assert_int_eq(read_text((struct bg_slice){ text.data, text.len }, &read, &why), BG_ANSWER_WHOLE);
	ck_assert(read.status == 401 && read.retry_after == 7 && read.variables.len == 0);
	ck_assert_str_eq(read.nonce, said.nonce);
	ck_assert(bg_slice_equal((struct bg_slice){ read.challenge.data, read.challenge.len }, (struct bg_slice){ said.challenge.data, said.challenge.len }));
	ck_assert(bg_slice_equal((struct bg_slice){ read.body.data, read.body.len }, BG_SLICE("{\"detail\":{}}")));
	bg_response_clear(&said);
	bg_response_clear(&read);
	bg_buf_clear(&text);
}
END_TEST

START_TEST(an_answer_has_a_ceiling)
{
	struct bg_response response;
	struct bg_buf text;
	const char *why;

	bg_response_init(&response);
	bg_buf_init(&text, BG_REC_MAX);
	bg_buf_put_str(&text, "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_SUB: ");
	while (text.len < BG_ANSWER_MAX - 4)
		bg_buf_put_char(&text, 'a');
	bg_buf_put_str(&text, "\r\n\r\n");
	ck_assert_int_eq(read_text((struct bg_slice){ text.data, text.len }, &response, &why), BG_ANSWER_WHOLE);
	bg_buf_reset(&text);
	bg_buf_put_str(&text, "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_SUB: ");
	while (text.len < BG_ANSWER_MAX - 3)
		bg_buf_put_char(&text, 'a');
	bg_buf_put_str(&text, "\r\n\r\n");
	ck_assert_int_eq(read_text((struct bg_slice){ text.data, text.len }, &response, &why), BG_ANSWER_BAD);
	ck_assert_ptr_nonnull(strstr(why, "too large"));
	bg_buf_clear(&text);
	bg_response_clear(&response);
}
END_TEST

START_TEST(variables_have_a_ceiling)
{
	struct bg_response response;
	struct bg_buf text;
	const char *why;

	bg_response_init(&response);
	for (int n = BG_EXPORT_MAX + 3; n <= BG_EXPORT_MAX + 4; n++) {
		bg_buf_init(&text, BG_REC_MAX);
		bg_buf_put_str(&text, "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\n");
		for (int i = 1; i < n; i++)
			bg_buf_put_format(&text, "Variable-CLAIM_%d: a\r\n", i);
		bg_buf_put_str(&text, "\r\n");
		ck_assert_int_eq(read_text((struct bg_slice){ text.data, text.len }, &response, &why),
		    n == BG_EXPORT_MAX + 3 ? BG_ANSWER_WHOLE : BG_ANSWER_BAD);
		bg_buf_clear(&text);
	}
	bg_response_clear(&response);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("answer");
	TCase *tc = tcase_create("answer");

	tcase_add_loop_test(tc, only_a_whole_answer_counts, 0, N(rows));
	tcase_add_loop_test(tc, only_the_daemon_s_own_words_count, 0, N(texts));
	tcase_add_test(tc, what_the_daemon_writes_is_read_as_it_was);
	tcase_add_test(tc, an_answer_has_a_ceiling);
	tcase_add_test(tc, variables_have_a_ceiling);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
