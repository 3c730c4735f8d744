#include "cgi/reply.h"

#include "core/export.h"
#include "core/limits.h"
#include "tests/support/run.h"

/* The reply to a response with these parts; variables are pairs name, value up to NULL. */
static int
reply_to(int status, const char *challenge, int64_t retry_after, const char *const *variables, struct bg_buf *out,
    struct bg_error *err)
{
	struct bg_response response;
	int rc;

	bg_response_init(&response);
	response.status = status;
	response.retry_after = retry_after;
	bg_buf_put_str(&response.challenge, challenge);
	if (status != 200)
		bg_buf_put_str(&response.body, "{}");
	for (; variables != NULL && *variables != NULL; variables++)
		bg_buf_put(&response.variables, (struct bg_slice){ *variables, strlen(*variables) + 1 });
	rc = bg_reply_authorizer(&response, out, err);
	bg_response_clear(&response);
	return rc;
}

#define DENIED	"Cache-Control: no-store\r\nContent-Type: application/json\r\n\r\n{}"

static const struct { int status; const char *challenge; int64_t retry_after; const char *text; } denials[] = {
	{ 401, "Bearer realm=\"api\"", 0,
	    "Status: 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"api\"\r\nX-Bearergate-Status: 401\r\n" DENIED },
	{ 400, "Bearer x", 0, "Status: 400 Bad Request\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 400\r\n" DENIED },
	{ 403, "Bearer x", 0, "Status: 403 Forbidden\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 403\r\n" DENIED },
	{ 503, "", 12, "Status: 503 Service Unavailable\r\nRetry-After: 12\r\nX-Bearergate-Status: 503\r\n" DENIED },
	{ 500, "", 0, "Status: 500 Internal Server Error\r\nX-Bearergate-Status: 500\r\n" DENIED },
	{ 0, "", 0, "Status: 0 Internal Server Error\r\nX-Bearergate-Status: 0\r\n" DENIED },
};

START_TEST(a_denial_states_its_status_first)	/* interop: an answer without Status is a grant everywhere */
{
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_reason(reply_to(denials[_i].status, denials[_i].challenge, denials[_i].retry_after, NULL, &out, &err), err, BG_R_OK, "denial");
	ck_assert_str_eq(out.data, denials[_i].text);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(an_allow_carries_variables_and_no_body)	/* FastCGI 1.0 section 6.3 */
{
	static const char *const variables[] = { "REMOTE_USER", "me", "CLAIM_SCOPE", "a b", "EMPTY", "", NULL };
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_reason(reply_to(200, "", 0, variables, &out, &err), err, BG_R_OK, "allow");
	ck_assert_str_eq(out.data, "Status: 200 OK\r\nVariable-REMOTE_USER: me\r\nVariable-CLAIM_SCOPE: a b\r\n"
	    "Variable-EMPTY: \r\n\r\n");
	bg_buf_clear(&out);
}
END_TEST

static const struct { const char *name, *variable[3], *challenge; int status; } unsafe[] = {
	{ "CRLF in a value", { "A", "x\r\nStatus: 200", NULL }, "", 200 },	/* SR-82 */
	{ "LF in a value", { "A", "x\ny", NULL }, "", 200 },
	{ "a byte above ASCII", { "A", "x\xff", NULL }, "", 200 },
	{ "CR in a name", { "A\r", "x", NULL }, "", 200 },
	{ "LF in the challenge", { NULL }, "Bearer\nX: y", 401 },
};

START_TEST(what_would_make_a_header_of_its_own_is_never_sent)	/* SR-82: even if an earlier stage forgot */
{
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_reason(reply_to(unsafe[_i].status, unsafe[_i].challenge, 0, unsafe[_i].variable, &out, &err), err, BG_R_INTERNAL,
	    unsafe[_i].name);
	ck_assert_uint_eq(out.len, 0);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(a_reply_that_does_not_fit_is_no_reply)
{
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, 40);
	ck_reason(reply_to(401, "Bearer realm=\"api\"", 0, NULL, &out, &err), err, BG_R_INTERNAL, "too long");
	ck_assert_uint_eq(out.len, 0);
	bg_buf_clear(&out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("reply");
	TCase *tc = tcase_create("reply");

	tcase_add_loop_test(tc, a_denial_states_its_status_first, 0, N(denials));
	tcase_add_test(tc, an_allow_carries_variables_and_no_body);
	tcase_add_loop_test(tc, what_would_make_a_header_of_its_own_is_never_sent, 0, N(unsafe));
	tcase_add_test(tc, a_reply_that_does_not_fit_is_no_reply);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
