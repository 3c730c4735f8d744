#include "core/regex.h"

#include "tests/support/run.h"

static const struct { const char *pattern, *text; bool matches; } cases[] = {
	{ "org_eu", "org_eu", true }, { "org_.*", "org_eu", true }, { "[a-z]+@example\\.com", "me@example.com", true },
	{ "", "", true }, { "a|b", "a", true }, { "a|b", "b", true }, { "\xc3\x96.", "\xc3\x96\xc3\xb6", true }, { "(?i)admin", "ADMIN", true },
	/* SR-47: never a part of a value */
	{ "admin", "administrator", false }, { "admin", "superadmin", false }, { "admin", "not admin", false },
	{ "a|b", "ax", false }, { "a|b", "xb", false }, { "[a-z]+@example\\.com", "me@evil.org@example.com", false },
	{ "[a-z]+@example\\.com", "me@example.com.evil.org", false }, { "", "x", false },
	/* a line feed is a character like any other, whatever the pattern asks for */
	{ "admin", "admin\n", false }, { "admin$", "admin\n", false }, { "^admin$", "admin\n", false }, { "admin", "\nadmin", false },
	{ "(?m)^admin$", "x\nadmin\ny", false }, { "(?m)^admin$", "admin\n", false }, { ".*admin", "x\nadmin", false },
	{ "admin\\Z", "admin\n", false }, { "a(*ACCEPT)b", "ax", false }, { "(?=admin).", "admin", false },
	{ "user-\\d+", "user-1 or 2", false }, { "user.1", "user-11", false },
};

/* A group takes a step for each turn; values of some thousand characters are no attack. */
START_TEST(a_long_value_matches_too)
{
	static const char *const patterns[] = { "([a-z]|[0-9])+", "([a-z]+:[a-z]+ ?)+" };
	static const char *const units[] = { "abcd7", "read:messages " };
	struct bg_error err = { 0 };
	struct bg_regex *regex;

	for (int i = 0; i < N(patterns); i++) {
		struct bg_slice text;
		struct bg_buf buf;

		bg_buf_init(&buf, 10000);
		while (buf.len < 4000)
			bg_buf_put_str(&buf, units[i]);
		ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
		ck_reason(bg_regex_new(&regex, bg_slice_str(patterns[i]), &err), err, BG_R_OK, patterns[i]);
		ck_assert_msg(bg_regex_matches(regex, text) == 1, "%s", patterns[i]);
		bg_regex_free(regex);
		bg_buf_clear(&buf);
	}
}
END_TEST

START_TEST(a_pattern_matches_a_whole_value)	/* SR-47, SR-71 */
{
	struct bg_error err = { 0 };
	struct bg_regex *regex;

	ck_reason(bg_regex_new(&regex, bg_slice_str(cases[_i].pattern), &err), err, BG_R_OK, cases[_i].pattern);
	ck_assert_msg(bg_regex_matches(regex, bg_slice_str(cases[_i].text)) == cases[_i].matches, "%s against %s", cases[_i].pattern,
	    cases[_i].text);
	bg_regex_free(regex);
}
END_TEST

static const struct { const char *pattern, *said; } broken[] = {
	{ "(", "missing closing parenthesis at character" }, { "[a", "at character 3" }, { "a**b(", "" }, { "*", "at character" },
	{ "\\C", "\\C" }, { "\xff", "UTF-8" }, { "(?<n>a)(?<n>b)", "" },
};

START_TEST(a_broken_pattern_is_refused_with_its_place)
{
	struct bg_error err = { 0 };
	struct bg_regex *regex;

	ck_reason(bg_regex_new(&regex, bg_slice_str(broken[_i].pattern), &err), err, BG_R_BAD_VARIABLE, broken[_i].pattern);
	ck_assert_ptr_null(regex);
	ck_assert_msg(strstr(err.detail, broken[_i].said) != NULL, "%s: %s", broken[_i].pattern, err.detail);
}
END_TEST

START_TEST(a_match_that_needs_too_much_work_is_none)	/* issue 3: limits; the claim is a stranger's */
{
	static const char *const patterns[] = { "(a+)+b?c", "(a|a)*c", "(.*)*x(.*)*y", "(?R)?c" };
	char text[4001];
	struct bg_error err = { 0 };
	struct bg_regex *regex;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < N(patterns); i++) {
		if (i == 3) {	/* recursion without end is refused at the start, or ends at the limit */
			if (bg_regex_new(&regex, bg_slice_str(patterns[i]), &err) != 0)
				continue;
		} else
			ck_reason(bg_regex_new(&regex, bg_slice_str(patterns[i]), &err), err, BG_R_OK, patterns[i]);
		ck_assert_msg(!bg_regex_matches(regex, bg_slice_str(text)), "%s", patterns[i]);
		bg_regex_free(regex);
	}
}
END_TEST

/* It would match in the end, by its second half, after some millions of steps: more than there are, fewer than PCRE2's own limit. */
START_TEST(a_match_ends_at_our_limit_whatever_the_pattern_says)
{
	static const char *const patterns[] = { "(a+)+[^a]|a*", "(*LIMIT_MATCH=4000000000)(a+)+[^a]|a*" };
	struct bg_error err = { 0 };
	struct bg_regex *regex;
	char text[20];

	memset(text, 'a', sizeof(text));
	for (int i = 0; i < N(patterns); i++) {
		ck_reason(bg_regex_new(&regex, bg_slice_str(patterns[i]), &err), err, BG_R_OK, patterns[i]);
		ck_assert(bg_regex_matches(regex, (struct bg_slice){ text, 8 }));
		ck_assert_msg(!bg_regex_matches(regex, (struct bg_slice){ text, sizeof(text) }), "%s", patterns[i]);
		bg_regex_free(regex);
	}
}
END_TEST

START_TEST(text_that_is_no_utf8_matches_nothing)	/* SR-23 */
{
	static const struct bg_slice texts[] = { BG_SLICE_INIT("\xff"), BG_SLICE_INIT("a\xc3"), BG_SLICE_INIT("\xed\xa0\x80") };
	struct bg_error err = { 0 };
	struct bg_regex *regex;

	ck_reason(bg_regex_new(&regex, BG_SLICE("(?s).*"), &err), err, BG_R_OK, "any");
	for (int i = 0; i < N(texts); i++)
		ck_assert(!bg_regex_matches(regex, texts[i]));
	ck_assert(bg_regex_matches(regex, (struct bg_slice){ "a\0b", 3 }));
	ck_assert(bg_regex_matches(regex, (struct bg_slice){ NULL, 0 }));
	bg_regex_free(regex);
	bg_regex_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("regex");
	TCase *tc = tcase_create("regex");

	tcase_add_loop_test(tc, a_pattern_matches_a_whole_value, 0, N(cases));
	tcase_add_loop_test(tc, a_broken_pattern_is_refused_with_its_place, 0, N(broken));
	tcase_add_test(tc, a_match_that_needs_too_much_work_is_none);
	tcase_add_test(tc, a_match_ends_at_our_limit_whatever_the_pattern_says);
	tcase_add_test(tc, text_that_is_no_utf8_matches_nothing);
	tcase_add_test(tc, a_long_value_matches_too);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
