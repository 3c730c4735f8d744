#include "core/response.h"

#include "cgi/reply.h"
#include "core/limits.h"
#include "tests/support/run.h"

static const struct bg_gate gate = { .realm = (char[]){ "api" } };

START_TEST(a_decision_nobody_made_is_a_500)	/* zero denies */
{
	struct bg_decision decision = { 0 };
	struct bg_request request = { 0 };
	struct bg_response response;

	bg_response_init(&response);
	ck_assert_int_eq(response.status, 500);
	bg_response_make(&gate, &request, &decision, &response);
	ck_assert_int_eq(response.status, 500);
	ck_assert_uint_eq(response.challenge.len, 0);
	ck_assert_str_eq(response.body.data, "{\"detail\":{\"error\":\"internal_server_error\",\"error_description\":\"internal error\"}}");
	bg_response_clear(&response);
}
END_TEST

/* Every reason there is, whoever adds one: never a status that any server takes for a grant, never a body it misreads. */
START_TEST(every_reason_is_a_full_denial)
{
	struct bg_decision decision = { .error = { .reason = (enum bg_reason)_i } };
	struct bg_request request = { .want_scope = BG_SLICE("read:messages") };
	struct bg_response response;
	struct bg_slice text;
	struct bg_buf reply;
	char status[64];

	bg_response_init(&response);
	bg_buf_init(&reply, BG_ANSWER_MAX);
	bg_response_make(&gate, &request, &decision, &response);	/* BG_R_OK among them: nobody gave a reason */
	ck_assert_msg(response.status >= 400 && response.status <= 599, "%s: %d", bg_reason_name((enum bg_reason)_i), response.status);
	ck_assert_int_eq(response.status, bg_reason_status((enum bg_reason)_i));
	ck_assert_uint_eq(response.variables.len, 0);
	ck_assert_int_eq(response.body.data[0], '{');	/* SR-83: Apache takes "/" or "http:" for a redirect */
	ck_assert_ptr_null(strpbrk(response.body.data, "<>&'"));
	ck_assert_int_eq(response.challenge.len > 0, response.status < 500);
	if (response.status == 401 || response.status == 403 || response.status == 400)
		ck_assert_int_eq(strncmp(response.challenge.data, "Bearer realm=\"api\"", 18), 0);
	ck_assert_int_eq(response.status == 403, response.challenge.len > 0 && strstr(response.challenge.data, "scope=\"read:messages\"") != NULL);
	ck_assert_int_eq(bg_reply_authorizer(&response, &reply, NULL), 0);
	ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
	bg_format(status, sizeof(status), "Status: %d ", response.status);
	ck_assert_int_eq(strncmp(text.ptr, status, strlen(status)), 0);
	ck_assert_ptr_nonnull(strstr(text.ptr, "\r\n\r\n{"));
	ck_assert_ptr_nonnull(strstr(text.ptr, "\r\nCache-Control: no-store\r\n"));
	ck_assert_ptr_null(strstr(text.ptr, "Variable-"));
	bg_buf_clear(&reply);
	bg_response_clear(&response);
}
END_TEST

START_TEST(a_code_is_stable_and_its_own)	/* users.md row 5 */
{
	for (int i = 0; i < BG_R_COUNT; i++)
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(bg_reason_name((enum bg_reason)i), bg_reason_name((enum bg_reason)j));
	ck_assert_str_eq(bg_reason_name(BG_R_EXPIRED), "expired");
	ck_assert_str_eq(bg_reason_name((enum bg_reason)9999), "internal");
	ck_assert_int_eq(bg_reason_status((enum bg_reason)9999), 500);
}
END_TEST

static const struct { enum bg_reason reason; const char *challenge, *body; } answers[] = {
	/* RFC 6750 section 3.1: nothing sent, nothing said */
	{ BG_R_NO_TOKEN, "Bearer realm=\"api\"",
	    "{\"detail\":{\"error\":\"invalid_request\",\"error_description\":\"no access token was sent\"}}" },
	{ BG_R_OTHER_SCHEME, "Bearer realm=\"api\"",
	    "{\"detail\":{\"error\":\"invalid_request\",\"error_description\":\"this authentication scheme is not accepted here\"}}" },
	{ BG_R_TWO_TOKENS, "Bearer realm=\"api\", error=\"invalid_request\", error_description=\"more than one token was sent\"",
	    "{\"detail\":{\"error\":\"invalid_request\",\"error_description\":\"more than one token was sent\"}}" },
	{ BG_R_EXPIRED, "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"the token has expired\"",
	    "{\"detail\":{\"error\":\"invalid_token\",\"error_description\":\"the token has expired\"}}" },
	{ BG_R_NO_SCOPE, "Bearer realm=\"api\", error=\"insufficient_scope\", error_description=\"a required scope is missing\", "
	    "scope=\"read:messages\"",
	    "{\"detail\":{\"error\":\"insufficient_scope\",\"error_description\":\"a required scope is missing\"}}" },
	{ BG_R_NO_KEYS, "", "{\"detail\":{\"error\":\"temporarily_unavailable\",\"error_description\":"
	    "\"the keys of the issuer cannot be had at the moment\"}}" },
};

START_TEST(the_answer_is_the_one_of_the_table)	/* RFC 6750 section 3, RFC 9110 section 11.6.1 */
{
	struct bg_decision decision = { .error = { .reason = answers[_i].reason }, .retry_after = 7 };
	struct bg_request request = { .want_scope = BG_SLICE("read:messages") };
	struct bg_response response;

	bg_response_init(&response);
	bg_response_make(&gate, &request, &decision, &response);
	ck_assert_str_eq(response.challenge.data, answers[_i].challenge);
	ck_assert_str_eq(response.body.data, answers[_i].body);
	ck_assert_int_eq(response.retry_after, 7);
	bg_response_clear(&response);
}
END_TEST

START_TEST(an_answer_that_does_not_fit_is_still_a_denial)
{
	char realm[3000];
	struct bg_gate long_gate = { .realm = realm };
	struct bg_decision decision = { .error = { .reason = BG_R_EXPIRED } };
	struct bg_request request = { 0 };
	struct bg_response response;

	memset(realm, 'x', sizeof(realm));
	realm[sizeof(realm) - 1] = '\0';
	bg_response_init(&response);
	bg_response_make(&long_gate, &request, &decision, &response);
	ck_assert_int_eq(response.status, 500);
	ck_assert_uint_eq(response.challenge.len, 0);
	ck_assert_int_eq(response.body.data[0], '{');
	bg_response_clear(&response);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("response");
	TCase *tc = tcase_create("response");

	tcase_add_test(tc, a_decision_nobody_made_is_a_500);
	tcase_add_loop_test(tc, every_reason_is_a_full_denial, 0, BG_R_COUNT);
	tcase_add_test(tc, a_code_is_stable_and_its_own);
	tcase_add_loop_test(tc, the_answer_is_the_one_of_the_table, 0, N(answers));
	tcase_add_test(tc, an_answer_that_does_not_fit_is_still_a_denial);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
