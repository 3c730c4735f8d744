#include "cgi/reply.h"

#include "core/export.h"
#include "core/limits.h"
#include "tests/support/run.h"

typedef int reply(const struct bg_response *response, struct bg_buf *out, struct bg_error *err);

/* The reply to a response with these parts; variables are pairs name, value up to NULL. */
static int
reply_by(reply *by, int status, const char *challenge, int64_t retry_after, const char *const *variables, struct bg_buf *out,
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
	rc = by(&response, out, err);
	bg_response_clear(&response);
	return rc;
}

static int
reply_to(int status, const char *challenge, int64_t retry_after, const char *const *variables, struct bg_buf *out,
    struct bg_error *err)
{
	return reply_by(bg_reply_authorizer, status, challenge, retry_after, variables, out, err);
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

/* RFC 3875 sections 5 and 6.2.  nginx drops a status line, so that "Status:" has to be there too (interop section 4.5). */
#define UNAUTHORIZED	"Status: 401 Unauthorized\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 401\r\n"	\
	"Cache-Control: no-store\r\nContent-Type: application/json\r\n"
static const struct { int status; struct bg_cgi_form form; const char *text; } cgi_denials[] = {
	{ 401, { false, false }, UNAUTHORIZED "\r\n{}" },
	{ 401, { true, false }, UNAUTHORIZED "\r\n" },
	{ 401, { false, true }, "HTTP/1.1 401 Unauthorized\r\n" UNAUTHORIZED "Content-Length: 2\r\nConnection: close\r\n\r\n{}" },
	{ 401, { true, true }, "HTTP/1.1 401 Unauthorized\r\n" UNAUTHORIZED "Content-Length: 2\r\nConnection: close\r\n\r\n" },
	{ 404, { false, false }, "Status: 404 Not Found\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 404\r\n" DENIED },
	{ 200, { false, false }, NULL },	/* an allow is the script's to answer */
	{ 0, { false, false }, NULL },
	{ 302, { false, false }, NULL },
	{ 1000, { false, false }, NULL },
};

START_TEST(a_cgi_program_answers_a_denial_and_nothing_else)
{
	struct bg_response response;
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	bg_response_init(&response);
	response.status = cgi_denials[_i].status;
	bg_buf_put_str(&response.challenge, "Bearer x");
	bg_buf_put_str(&response.body, "{}");
	ck_reason(bg_reply_cgi(&response, cgi_denials[_i].form, &out, &err), err, cgi_denials[_i].text != NULL ? BG_R_OK : BG_R_INTERNAL,
	    "denial");
	if (cgi_denials[_i].text != NULL)
		ck_assert_str_eq(out.data, cgi_denials[_i].text);
	else
		ck_assert_uint_eq(out.len, 0);
	bg_response_clear(&response);
	bg_buf_clear(&out);
}
END_TEST

/* nginx's auth_request: 200, 401 and 403 are all it knows, and headers all it hands on (interop 3.D). */
#define BODY	"X-Bearergate-Body: {}\r\n"
static const struct { int status; const char *challenge; int64_t retry_after; const char *text; } responder_denials[] = {
	{ 401, "Bearer realm=\"api\"", 0, "Status: 401 Unauthorized\r\n" BODY
	    "WWW-Authenticate: Bearer realm=\"api\"\r\nX-Bearergate-Status: 401\r\n" DENIED },
	{ 400, "Bearer x", 0, "Status: 401 Unauthorized\r\n" BODY
	    "WWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 400\r\n" DENIED },
	{ 403, "Bearer x", 0, "Status: 403 Forbidden\r\n" BODY
	    "WWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 403\r\n" DENIED },
	{ 503, "", 12, "Status: 403 Forbidden\r\n" BODY "Retry-After: 12\r\nX-Bearergate-Status: 503\r\n" DENIED },
	{ 500, "", 0, "Status: 403 Forbidden\r\n" BODY "X-Bearergate-Status: 500\r\n" DENIED },
	{ 0, "", 0, "Status: 403 Forbidden\r\n" BODY "X-Bearergate-Status: 0\r\n" DENIED },
	{ 204, "", 0, "Status: 403 Forbidden\r\n" BODY "X-Bearergate-Status: 204\r\n" DENIED },	/* any 2xx lets in */
};

START_TEST(a_responders_denial_is_401_or_403_with_the_rest_in_headers)
{
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_reason(reply_by(bg_reply_responder, responder_denials[_i].status, responder_denials[_i].challenge,
	    responder_denials[_i].retry_after, NULL, &out, &err), err, BG_R_OK, "denial");
	ck_assert_str_eq(out.data, responder_denials[_i].text);
	bg_buf_clear(&out);
}
END_TEST

/* Caddy's forward_auth: whatever is not 2xx goes to the client as it is (interop 3.E). */
static const struct { int status; const char *text; } client_denials[] = {
	{ 401, "Status: 401 Unauthorized\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 401\r\n" DENIED },
	{ 400, "Status: 400 Bad Request\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 400\r\n" DENIED },
	{ 403, "Status: 403 Forbidden\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 403\r\n" DENIED },
	{ 503, "Status: 503 Service Unavailable\r\nWWW-Authenticate: Bearer x\r\nX-Bearergate-Status: 503\r\n" DENIED },
	/* what lets in, is no answer yet, or is none at all */
	{ 0, NULL }, { 100, NULL }, { 201, NULL }, { 204, NULL }, { 299, NULL }, { 302, NULL }, { 399, NULL }, { 600, NULL },
};

START_TEST(a_denial_for_the_client_has_its_real_status_and_never_lets_in)
{
	const char *text = client_denials[_i].text;
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_reason(reply_by(bg_reply_client, client_denials[_i].status, "Bearer x", 0, NULL, &out, &err), err,
	    text != NULL ? BG_R_OK : BG_R_INTERNAL, "denial");
	if (text != NULL)
		ck_assert_str_eq(out.data, text);
	else
		ck_assert_uint_eq(out.len, 0);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(an_allow_is_the_same_for_all_responders)
{
	const char *variables[] = { "AUTH_TYPE", "Bearer", "CLAIM_SUB", "alice", NULL };
	struct bg_error err = { 0 };
	struct bg_buf one, other;

	bg_buf_init(&one, BG_ANSWER_MAX);
	bg_buf_init(&other, BG_ANSWER_MAX);
	ck_reason(reply_by(bg_reply_responder, 200, "", 0, variables, &one, &err), err, BG_R_OK, "allow");
	ck_reason(reply_by(bg_reply_client, 200, "", 0, variables, &other, &err), err, BG_R_OK, "allow");
	ck_assert_str_eq(one.data, other.data);
	bg_buf_clear(&one);
	bg_buf_clear(&other);
}
END_TEST

START_TEST(a_responders_allow_carries_claims_as_headers)
{
	static const char *const variables[] = { "REMOTE_USER", "me", "AUTH_TYPE", "Bearer", "CLAIM_ORG_ID", "a b", "CLAIM_SUB", "",
		"CLAIMS_JSON", "{}", "ROLES", "x", "A_1B__C", "y", "CLAIM_", "z", NULL };
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_reason(reply_by(bg_reply_responder, 200, "", 0, variables, &out, &err), err, BG_R_OK, "allow");
	ck_assert_str_eq(out.data, "Status: 200 OK\r\nX-Auth-Remote-User: me\r\nX-Auth-Type: Bearer\r\n"
	    "X-Auth-Claim-Org-Id: a b\r\nX-Auth-Claim-Sub: \r\nX-Auth-Claims-Json: {}\r\nX-Auth-Roles: x\r\n"
	    "X-Auth-A-1b--C: y\r\nX-Auth-Claim-: z\r\nCache-Control: no-store\r\n\r\n");
	bg_buf_clear(&out);
}
END_TEST

/* nginx reads the head into one fastcgi_buffer: never an allow without its claims. */
START_TEST(a_responders_claims_all_fit_or_there_is_no_allow)
{
	static char value[BG_RESPONDER_HEAD_MAX + 1];
	const char *const variables[] = { "CLAIM_A", value, NULL };
	size_t rest = strlen("Status: 200 OK\r\nX-Auth-Claim-A: \r\nCache-Control: no-store\r\n\r\n");
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	memset(value, 'a', BG_RESPONDER_HEAD_MAX - rest);
	ck_reason(reply_by(bg_reply_responder, 200, "", 0, variables, &out, &err), err, BG_R_OK, "the most");
	ck_assert_uint_eq(out.len, BG_RESPONDER_HEAD_MAX);
	value[BG_RESPONDER_HEAD_MAX - rest] = 'a';
	ck_reason(reply_by(bg_reply_responder, 200, "", 0, variables, &out, &err), err, BG_R_INTERNAL, "one more");
	ck_assert_uint_eq(out.len, 0);
	ck_assert_ptr_nonnull(strstr(err.detail, "8185 bytes"));
	bg_buf_clear(&out);
}
END_TEST

/* The largest denial there can be still fits what nginx has without being told: one page of 4 KiB, less a record's header. */
START_TEST(a_responders_denial_with_everything_in_it_fits)
{
	static char challenge[BG_CHALLENGE_MAX];
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_buf_init(&out, BG_ANSWER_MAX);
	memset(challenge, 'c', sizeof(challenge) - 1);
	ck_reason(reply_by(bg_reply_responder, 403, challenge, INT64_MAX, NULL, &out, &err), err, BG_R_OK, "denial");
	ck_assert_uint_lt(out.len, 4096 - 8 - 512);	/* and a body of 512 bytes; real ones have under 200 */
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
	ck_reason(reply_by(bg_reply_responder, unsafe[_i].status, unsafe[_i].challenge, 0, unsafe[_i].variable, &out, &err), err,
	    BG_R_INTERNAL, unsafe[_i].name);
	ck_assert_uint_eq(out.len, 0);
	bg_buf_clear(&out);
}
END_TEST

START_TEST(one_byte_of_any_place_spoils_a_header)	/* SR-82 */
{
	char text[20];

	for (size_t at = 0; at < sizeof(text); at++)
		for (int c = 0; c < 256; c++) {
			memset(text, c % 2 == 0 ? ' ' : '~', sizeof(text));
			text[at] = (char)c;
			for (size_t len = at + 1; len <= sizeof(text); len++)
				ck_assert_msg(bg_reply_is_safe((struct bg_slice){ text, len }) == (c >= 0x20 && c <= 0x7e),
				    "byte %#x at %zu of %zu", (unsigned)c, at, len);
		}
	ck_assert(bg_reply_is_safe((struct bg_slice){ NULL, 0 }));
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

	tcase_add_loop_test(tc, a_cgi_program_answers_a_denial_and_nothing_else, 0, N(cgi_denials));
	tcase_add_loop_test(tc, a_denial_states_its_status_first, 0, N(denials));
	tcase_add_test(tc, an_allow_carries_variables_and_no_body);
	tcase_add_loop_test(tc, a_responders_denial_is_401_or_403_with_the_rest_in_headers, 0, N(responder_denials));
	tcase_add_loop_test(tc, a_denial_for_the_client_has_its_real_status_and_never_lets_in, 0, N(client_denials));
	tcase_add_test(tc, an_allow_is_the_same_for_all_responders);
	tcase_add_test(tc, a_responders_allow_carries_claims_as_headers);
	tcase_add_test(tc, a_responders_claims_all_fit_or_there_is_no_allow);
	tcase_add_test(tc, a_responders_denial_with_everything_in_it_fits);
	tcase_add_loop_test(tc, what_would_make_a_header_of_its_own_is_never_sent, 0, N(unsafe));
	tcase_add_test(tc, one_byte_of_any_place_spoils_a_header);
	tcase_add_test(tc, a_reply_that_does_not_fit_is_no_reply);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
