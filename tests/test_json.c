#include "core/json.h"

#include "core/limits.h"
#include "tests/support/run.h"

/* A text of n times unit between head and tail, the caller's to free. */
static char *
repeat(const char *head, const char *unit, size_t n, const char *tail)
{
	struct bg_slice out;
	struct bg_buf buf;

	bg_buf_init(&buf, 1 << 20);
	bg_buf_put_str(&buf, head);
	while (n-- > 0)
		bg_buf_put_str(&buf, unit);
	bg_buf_put_str(&buf, tail);
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	return buf.data;
}

static const struct {
	const char *name, *text;
	size_t      len;	/* 0: strlen */
	bool        good;
} shapes[] = {
	{ "an object", "{\"a\":1}", 0, true },
	{ "an empty object", "{}", 0, true },
	{ "white space around", " {} \n", 0, true },
	{ "an array", "[1]", 0, false },			/* SR-27 */
	{ "a string", "\"a\"", 0, false },
	{ "a number", "1", 0, false },
	{ "null", "null", 0, false },
	{ "nothing", "", 0, false },
	{ "two objects", "{}{}", 0, false },
	{ "a name twice", "{\"a\":1,\"a\":2}", 0, false },	/* SR-27 */
	{ "a name twice further down", "{\"x\":{\"a\":1,\"a\":1}}", 0, false },
	{ "a name twice, one spelt with an escape", "{\"a\":1,\"\\u0061\":2}", 0, false },
	{ "NUL escaped in a string", "{\"a\":\"\\u0000\"}", 0, false },
	{ "NUL after the object", "{}\0", 3, false },
	{ "NUL inside a string", "{\"a\":\"\0\"}", 9, false },
	{ "no UTF-8", "{\"a\":\"\xff\"}", 0, false },
	{ "an overlong form", "{\"a\":\"\xc0\xaf\"}", 0, false },
	{ "half a surrogate pair", "{\"a\":\"\\ud800\"}", 0, false },
	{ "a bare word", "{\"a\":NaN}", 0, false },
	{ "a comment", "{/*x*/}", 0, false },
	{ "a trailing comma", "{\"a\":1,}", 0, false },
	{ "an open string", "{\"a", 0, false },
	{ "an open string ending in a backslash", "{\"a\\", 0, false },
	{ "an integer no int64 holds", "{\"a\":9223372036854775808}", 0, false },
	{ "a real no double holds", "{\"a\":1e999}", 0, false },
};

START_TEST(only_one_whole_object_is_taken)
{
	struct bg_slice text = { shapes[_i].text, shapes[_i].len > 0 ? shapes[_i].len : strlen(shapes[_i].text) };
	struct bg_error err = { 0 };
	json_t *root;
	int rc = bg_json_object(text, BG_R_BAD_HEADER, &root, &err);

	ck_reason(rc, err, shapes[_i].good ? BG_R_OK : BG_R_BAD_HEADER, shapes[_i].name);
	ck_assert((root != NULL) == shapes[_i].good);
	json_decref(root);
}
END_TEST

static const struct {
	const char *name, *head, *unit, *tail;
	size_t      n;
	bool        good;
} sizes[] = {
	{ "as deep as allowed", "{\"a\":", "[", "", BG_JSON_DEPTH_MAX - 1, true },	/* SR-28 */
	{ "one deeper", "{\"a\":", "[", "", BG_JSON_DEPTH_MAX, false },
	{ "100,000 deep", "{\"a\":", "[", "", 100000, false },
	{ "brackets in a string do not nest", "{\"a\":\"", "[", "\"}", 1000, true },
	{ "a quote escaped does not end a string", "{\"a\":\"\\\"", "[", "\"}", 1000, true },
	{ "a number as long as allowed", "{\"a\":", "1", "}", BG_JSON_NUMBER_MAX, true },	/* SR-30 */
	{ "a number one longer", "{\"a\":", "1", "}", BG_JSON_NUMBER_MAX + 1, false },
	{ "a fraction of the same length", "{\"a\":0.", "1", "}", BG_JSON_NUMBER_MAX, false },
	{ "an exponent of the same length", "{\"a\":1e-", "0", "}", BG_JSON_NUMBER_MAX, false },
	{ "digits in a string", "{\"a\":\"", "1", "\"}", 1000, true },
	{ "many numbers", "{\"a\":[", "1,", "1]}", 1000, true },
};

/* Objects of many sizes: strings of every length around those of blocks and chunks, tables that grow, deep ones. */
START_TEST(an_object_in_a_pool_is_the_same_object)
{
	struct bg_error err = { 0 };
	struct bg_json_pool *pool;
	json_t *pooled, *plain;
	struct bg_slice text;
	struct bg_buf buf;

	bg_buf_init(&buf, 1 << 20);
	bg_buf_put_str(&buf, "{\"list\":[");
	for (int i = 0; i < _i; i++)
		bg_buf_put_format(&buf, "%s{\"a%d\":[%d,\"%0*d\"]}", i > 0 ? "," : "", i, i, 1 + i, i);
	bg_buf_put_str(&buf, "]");
	for (int i = 0; i < _i * 2; i++)
		bg_buf_put_format(&buf, ",\"%0*d\":\"%0*d\"", 1 + i, i, 1 + 7 * i, i);
	bg_buf_put_str(&buf, "}");
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	ck_assert_int_eq(bg_json_object(text, BG_R_BAD_CLAIMS, &plain, &err), 0);
	ck_assert_int_eq(bg_json_object_pooled(text, BG_R_BAD_CLAIMS, &pooled, &pool, &err), 0);
	ck_assert(json_equal(plain, pooled));
	/* seven times the text, as a rule: what jansson gives back on its way is not kept */
	ck_assert_uint_lt(bg_json_pool_bytes(pool), 2048 + 12 * text.len);
	bg_json_pool_free(pool);
	json_decref(plain);

	/* and of one that is no JSON nothing is left: AddressSanitizer would tell */
	text.len--;
	ck_reason(bg_json_object_pooled(text, BG_R_BAD_CLAIMS, &pooled, &pool, &err), err, BG_R_BAD_CLAIMS, "cut");
	ck_assert(pooled == NULL && pool == NULL);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(the_prescan_bounds_depth_and_numbers)
{
	char *text = repeat(sizes[_i].head, sizes[_i].unit, sizes[_i].n, sizes[_i].tail);
	const char *why = NULL;
	int rc = bg_json_prescan(bg_slice_str(text), &why);

	ck_assert_msg((rc == 0) == sizes[_i].good, "%s: %d", sizes[_i].name, rc);
	ck_assert((why == NULL) == sizes[_i].good);
	free(text);
}
END_TEST

START_TEST(the_prescan_bounds_members)	/* SR-29 */
{
	const char *why = NULL;
	char *text = repeat("{\"x\":{", "\"a\":0,", BG_JSON_MEMBERS_MAX - 1, "\"b\":0}}");

	ck_assert_int_eq(bg_json_prescan(bg_slice_str(text), &why), 0);
	free(text);
	text = repeat("{\"x\":{", "\"a\":0,", BG_JSON_MEMBERS_MAX, "\"b\":0}}");
	ck_assert_int_eq(bg_json_prescan(bg_slice_str(text), &why), -1);
	free(text);
	/* each object has its own count */
	text = repeat("{\"x\":[", "{\"a\":0},", 1000, "0]}");
	ck_assert_int_eq(bg_json_prescan(bg_slice_str(text), &why), 0);
	free(text);
}
END_TEST

static const struct { const char *in, *out; } strings[] = {
	{ "plain", "\"plain\"" },
	{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
	{ "<script>&'", "\"\\u003cscript\\u003e\\u0026\\u0027\"" },	/* SR-83 */
	{ "\r\n\t\x01\x7f", "\"\\u000d\\u000a\\u0009\\u0001\\u007f\"" },
	{ "\xc3\x96zdemir", "\"\\u00d6zdemir\"" },
	{ "\xf0\x9f\x94\x91", "\"\\ud83d\\udd11\"" },
	{ "\xff\xc0\xaf\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ "cut \xe2\x82", "\"cut \\ufffd\\ufffd\"" },
};

START_TEST(a_string_is_written_so_that_html_and_logs_stay_whole)
{
	struct bg_slice out;
	struct bg_buf buf;

	bg_buf_init(&buf, 256);
	bg_json_put_string(&buf, bg_slice_str(strings[_i].in));
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	ck_assert_str_eq(out.ptr, strings[_i].out);
	bg_buf_clear(&buf);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("json");
	TCase *tc = tcase_create("json");

	if (bg_json_start() != 0)
		return EXIT_FAILURE;
	tcase_add_loop_test(tc, only_one_whole_object_is_taken, 0, N(shapes));
	tcase_add_loop_test(tc, an_object_in_a_pool_is_the_same_object, 0, 60);
	tcase_add_loop_test(tc, the_prescan_bounds_depth_and_numbers, 0, N(sizes));
	tcase_add_test(tc, the_prescan_bounds_members);
	tcase_add_loop_test(tc, a_string_is_written_so_that_html_and_logs_stay_whole, 0, N(strings));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
