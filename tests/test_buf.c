#include "core/buf.h"

#include <stdint.h>

#include "tests/support/run.h"

START_TEST(what_is_put_comes_out_in_order)
{
	struct bg_error err = { 0 };
	struct bg_slice out;
	struct bg_buf buf;

	bg_buf_init(&buf, 64);
	bg_buf_put(&buf, BG_SLICE("one "));
	bg_buf_put_str(&buf, "two ");
	bg_buf_put_format(&buf, "%d ", 3);
	bg_buf_put_char(&buf, '4');
	ck_assert_int_eq(bg_buf_finish(&buf, &out, &err), 0);
	ck_assert_str_eq(out.ptr, "one two 3 4");
	ck_assert_uint_eq(out.len, 11);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_buffer_fails_at_its_ceiling_and_stays_failed)
{
	struct bg_error err = { 0 };
	struct bg_slice out;
	struct bg_buf buf;

	bg_buf_init(&buf, 4);
	bg_buf_put_str(&buf, "1234");
	ck_assert_int_eq(bg_buf_finish(&buf, &out, &err), 0);
	bg_buf_put_char(&buf, '5');
	ck_assert_int_eq(bg_buf_finish(&buf, &out, &err), -1);
	ck_assert_int_eq(err.reason, BG_R_INTERNAL);
	ck_assert_ptr_null(out.ptr);
	bg_buf_put_str(&buf, "");	/* fits, but too late */
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), -1);
	bg_buf_reset(&buf);
	bg_buf_put_format(&buf, "%s", "abcd");
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	ck_assert_str_eq(out.ptr, "abcd");
	bg_buf_put_format(&buf, "%s", "e");
	ck_assert(buf.failed);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_length_that_would_wrap_fails)
{
	struct bg_buf buf;

	bg_buf_init(&buf, 100);
	bg_buf_put_str(&buf, "x");
	ck_assert_ptr_null(bg_buf_extend(&buf, SIZE_MAX));
	ck_assert(buf.failed);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_quoted_string_cannot_be_left)	/* RFC 9110 section 5.6.4, SR-86 */
{
	struct bg_slice out;
	struct bg_buf buf;

	bg_buf_init(&buf, 64);
	bg_buf_put_quoted(&buf, BG_SLICE("a\"b\\c\r\nd\0e\x7f\xff"));
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	ck_assert_str_eq(out.ptr, "\"a\\\"b\\\\c??d?e??\"");
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_cut_format_tells_how_much_stands_there)	/* SR-32 */
{
	char dst[5] = "xxxx";

	ck_assert_uint_eq(bg_format(dst, sizeof(dst), "%s", "123456789"), 4);
	ck_assert_str_eq(dst, "1234");
	ck_assert_uint_eq(bg_format(dst, sizeof(dst), "%s", "12"), 2);
	ck_assert_str_eq(dst, "12");
	ck_assert_uint_eq(bg_format(dst, 1, "%s", "12"), 0);
	ck_assert_str_eq(dst, "");
}
END_TEST

static const struct { int64_t seconds; const char *text; } spans[] = {
	{ 0, "0s" }, { 59, "59s" }, { 60, "1m" }, { 61, "1m1s" }, { 3600, "1h" }, { 3601, "1h" }, { 3660, "1h1m" },
	{ 86399, "23h59m" }, { 86400, "1d" }, { 90000, "1d1h" }, { 172800 + 59, "2d" },
};

START_TEST(a_span_has_its_two_largest_units)
{
	struct bg_slice text;
	struct bg_buf buf;

	bg_buf_init(&buf, 100);
	bg_buf_put_span(&buf, spans[_i].seconds);
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	ck_assert_str_eq(text.ptr, spans[_i].text);
	bg_buf_clear(&buf);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tc = tcase_create("buf");

	tcase_add_loop_test(tc, a_span_has_its_two_largest_units, 0, N(spans));
	tcase_add_test(tc, what_is_put_comes_out_in_order);
	tcase_add_test(tc, a_buffer_fails_at_its_ceiling_and_stays_failed);
	tcase_add_test(tc, a_length_that_would_wrap_fails);
	tcase_add_test(tc, a_quoted_string_cannot_be_left);
	tcase_add_test(tc, a_cut_format_tells_how_much_stands_there);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
