#include "core/etag.h"

#include "core/limits.h"
#include "tests/support/run.h"

#define X16	"0123456789abcdef"
#define X64	X16 X16 X16 X16

/* RFC 9110 section 8.8.3 */
static const struct { const char *text; bool want; } tags[] = {
	{ "\"xyzzy\"", true },
	{ "W/\"xyzzy\"", true },
	{ "\"\"", true },
	{ "W/\"\"", true },
	{ "\"!#[\\]~,'\"", true },	/* a backslash is a character like any other */
	{ "\"" X64 X64 X64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\"", true },	/* 256 */
	{ "\"" X64 X64 X64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\"", false },
	{ "", false },
	{ "\"", false },
	{ "W/\"", false },
	{ "W/", false },
	{ "*", false },
	{ "xyzzy", false },
	{ "\"xyzzy", false },
	{ "xyzzy\"", false },
	{ "w/\"xyzzy\"", false },
	{ "W\"xyzzy\"", false },
	{ "W/ \"xyzzy\"", false },
	{ "\"a\"b\"", false },
	{ "\"a\", \"b\"", false },
	{ "\"a b\"", false },
	{ "\"a\tb\"", false },
	{ "\"a\"\r\nX: y\"", false },
	{ "\"a\nb\"", false },
	{ "\"\x7f\"", false },
	{ "\"\xc3\xa4\"", false },	/* obs-text */
	{ " \"a\"", false },
	{ "\"a\" ", false },
};

START_TEST(an_entity_tag_is_one_in_its_quotes)
{
	ck_assert_msg(bg_etag_good(bg_slice_str(tags[_i].text)) == tags[_i].want, "%s", tags[_i].text);
}
END_TEST

START_TEST(a_zero_byte_makes_no_entity_tag)
{
	ck_assert(!bg_etag_good(BG_SLICE("\"a\0b\"")));
	ck_assert(!bg_etag_good((struct bg_slice){ NULL, 0 }));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("etag");
	TCase *tc = tcase_create("etag");

	tcase_add_loop_test(tc, an_entity_tag_is_one_in_its_quotes, 0, N(tags));
	tcase_add_test(tc, a_zero_byte_makes_no_entity_tag);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
