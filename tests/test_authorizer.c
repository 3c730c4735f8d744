#include "fcgi/authorizer.h"

#include "core/limits.h"
#include "core/log.h"
#include "tests/support/run.h"

static char realm[] = "test";
static const struct bg_gate gate = { .answers = { .realm = realm, .missing_status = 401 } };
static const struct bg_now now = { .wall = 1700000000, .mono_ms = 1 };

static int
answer(const char *variable, size_t max, struct bg_buf *out)
{
	char method[] = "REQUEST_METHOD=GET", other[256];
	char *const env[] = { method, other, NULL };

	bg_format(other, sizeof(other), "%s", variable);
	bg_log_open(-1, BG_LOG_ERROR);
	bg_buf_init(out, max);
	bg_buf_put_str(out, "left over");
	return bg_authorizer_answer(&gate, now, env, true, out);
}

static const struct {
	const char *variable, *status;
} denials[] = {
	{ "REQUEST_URI=/",                            "Status: 401 " },
	{ "HTTP_AUTHORIZATION=Bearer",                "Status: 400 " },
	{ "HTTP_AUTHORIZATION=Bearer a.b.c",          "Status: 401 " },
	{ "BEARERGATE_NO_SUCH=1",                     "Status: 500 " },
	{ "BEARERGATE_SCOPE=\"",                      "Status: 500 " },
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

/* With no room for the challenge the plain 500 goes out; with no room for that, nothing at all. */
START_TEST(an_answer_that_does_not_fit_is_500_or_nothing_but_never_cut)
{
	size_t whole, nothing = 0, plain = 0;
	struct bg_buf out;

	ck_assert_int_eq(answer("HTTP_AUTHORIZATION=Bearer a.b.c", BG_ANSWER_MAX, &out), 0);
	whole = out.len;
	bg_buf_clear(&out);
	for (size_t max = 0; max <= whole; max++) {
		int rc = answer("HTTP_AUTHORIZATION=Bearer a.b.c", max, &out);

		if (rc != 0) {
			ck_assert_int_eq(rc, -1);
			ck_assert_uint_eq(out.len, 0);
			nothing++;
		} else {
			ck_assert(max == whole || strncmp(out.data, "Status: 500 ", 12) == 0);
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
	tcase_add_test(tc, an_answer_that_does_not_fit_is_500_or_nothing_but_never_cut);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
