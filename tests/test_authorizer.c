#include "fcgi/authorizer.h"

#include "core/limits.h"
#include "core/log.h"
#include "tests/support/run.h"

static char realm[] = "test";
static const struct bg_gate gate = { .dpop = { .mode = BG_DPOP_DISABLED }, .answers = { .realm = realm, .missing_status = 401 } };
static const struct bg_now now = { .wall = 1700000000, .mono_ms = 1 };

static int
answer_as(enum bg_role role, const char *variable, size_t max, struct bg_buf *out)
{
	char method[] = "REQUEST_METHOD=GET", other[256];
	char *const env[] = { method, other, NULL };

	bg_format(other, sizeof(other), "%s", variable);
	bg_log_open(-1, BG_LOG_ERROR);
	bg_buf_init(out, max);
	bg_buf_put_str(out, "left over");
	return bg_authorizer_answer(&gate, now, role, env, true, out, NULL);
}

static int
answer(const char *variable, size_t max, struct bg_buf *out)
{
	return answer_as(BG_ROLE_AUTHORIZER, variable, max, out);
}

static const struct {
	const char *variable, *status, *responder, *real;
} denials[] = {
	{ "REQUEST_URI=/",                            "Status: 401 ", "Status: 401 ", "\r\nX-Bearergate-Status: 401\r\n" },
	{ "HTTP_AUTHORIZATION=Bearer",                "Status: 400 ", "Status: 401 ", "\r\nX-Bearergate-Status: 400\r\n" },
	{ "HTTP_AUTHORIZATION=Bearer a.b.c",          "Status: 401 ", "Status: 401 ", "\r\nX-Bearergate-Status: 401\r\n" },
	{ "BEARERGATE_NO_SUCH=1",                     "Status: 500 ", "Status: 403 ", "\r\nX-Bearergate-Status: 500\r\n" },
	{ "BEARERGATE_SCOPE=\"",                      "Status: 500 ", "Status: 403 ", "\r\nX-Bearergate-Status: 500\r\n" },
};
START_TEST(every_denial_begins_with_its_status)
{
	struct bg_buf out;

	ck_assert_int_eq(answer(denials[_i].variable, BG_ANSWER_MAX, &out), 0);
	ck_assert_msg(strncmp(out.data, denials[_i].status, strlen(denials[_i].status)) == 0, "%s: %.*s",
	    denials[_i].variable, (int)out.len, out.data);
	bg_buf_clear(&out);
}
END_TEST

/* nginx knows 401 and 403 and takes all else for an error: what the real status is stands in a header. */
START_TEST(a_denial_in_the_responder_role_says_the_real_status_in_a_header)
{
	struct bg_buf out;
	struct bg_slice text;

	ck_assert_int_eq(answer_as(BG_ROLE_RESPONDER, denials[_i].variable, BG_ANSWER_MAX, &out), 0);
	ck_assert_int_eq(bg_buf_finish(&out, &text, NULL), 0);
	ck_assert_msg(strncmp(text.ptr, denials[_i].responder, strlen(denials[_i].responder)) == 0, "%s: %s",
	    denials[_i].variable, text.ptr);
	ck_assert_msg(strstr(text.ptr, denials[_i].real) != NULL, "%s: %s", denials[_i].variable, text.ptr);
	bg_buf_clear(&out);
}
END_TEST

/* A variable that is wrong, too, is answered in the form that was asked for; in the Authorizer role there is one form alone. */
START_TEST(a_denial_for_the_client_has_the_real_status)
{
	static const enum bg_role both[] = { BG_ROLE_AUTHORIZER, BG_ROLE_RESPONDER };
	const char *env[] = { denials[_i].variable, "BEARERGATE_ANSWER=client", NULL };
	struct bg_answered answered = { 0 };
	struct bg_buf out;

	for (int i = 0; i < N(both); i++) {
		bg_buf_init(&out, BG_ANSWER_MAX);
		ck_assert_int_eq(bg_authorizer_answer(&gate, now, both[i], (char *const *)(uintptr_t)env, true, &out, &answered), 0);
		ck_assert_msg(strncmp(out.data, denials[_i].status, strlen(denials[_i].status)) == 0, "%s: %.*s",
		    denials[_i].variable, (int)out.len, out.data);
		ck_assert(!answered.allowed);
		bg_buf_clear(&out);
	}
}
END_TEST

/* Whatever the gate says: without a role there is no form that could be an allow somewhere. */
START_TEST(without_a_role_there_is_no_answer)
{
	struct bg_buf out;

	ck_assert_int_eq(answer_as(BG_ROLE_NONE, "BEARERGATE_AUTH=none", BG_ANSWER_MAX, &out), -1);
	ck_assert_uint_eq(out.len, 0);
	bg_buf_clear(&out);
}
END_TEST

/* With no room for the challenge the plain 500 goes out; with no room for that, nothing at all. */
static const struct { enum bg_role role; const char *plain; } roles[] = {
	{ BG_ROLE_AUTHORIZER, "Status: 500 " }, { BG_ROLE_RESPONDER, "Status: 403 " },
};
START_TEST(an_answer_that_does_not_fit_is_500_or_nothing_but_never_cut)
{
	size_t whole, nothing = 0, plain = 0;
	struct bg_buf out;

	ck_assert_int_eq(answer_as(roles[_i].role, "HTTP_AUTHORIZATION=Bearer a.b.c", BG_ANSWER_MAX, &out), 0);
	whole = out.len;
	bg_buf_clear(&out);
	for (size_t max = 0; max <= whole; max++) {
		int rc = answer_as(roles[_i].role, "HTTP_AUTHORIZATION=Bearer a.b.c", max, &out);

		if (rc != 0) {
			ck_assert_int_eq(rc, -1);
			ck_assert_uint_eq(out.len, 0);
			nothing++;
		} else {
			ck_assert(max == whole || strncmp(out.data, roles[_i].plain, 12) == 0);
			ck_assert_int_eq(memcmp(out.data + out.len - 2, "}}", 2), 0);
			plain += max < whole;
		}
		bg_buf_clear(&out);
	}
	ck_assert_uint_gt(nothing, 0);
	ck_assert_uint_gt(plain, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("authorizer");
	TCase *tc = tcase_create("answer");

	tcase_add_loop_test(tc, every_denial_begins_with_its_status, 0, N(denials));
	tcase_add_loop_test(tc, a_denial_for_the_client_has_the_real_status, 0, N(denials));
	tcase_add_loop_test(tc, a_denial_in_the_responder_role_says_the_real_status_in_a_header, 0, N(denials));
	tcase_add_test(tc, without_a_role_there_is_no_answer);
	tcase_add_loop_test(tc, an_answer_that_does_not_fit_is_500_or_nothing_but_never_cut, 0, N(roles));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
