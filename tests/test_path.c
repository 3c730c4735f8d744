#include "core/path.h"

#include "core/limits.h"
#include "tests/support/run.h"

/* path NULL: refused, and said is a word of the words. */
static const struct { const char *uri, *path, *said; } paths[] = {
	{ "/", "/", NULL }, { "/a", "/a", NULL }, { "/a/", "/a/", NULL }, { "/a/b.c", "/a/b.c", NULL },
	/* SR-71: neither query nor host has a say */
	{ "/a?b=/../c", "/a", NULL }, { "/a?", "/a", NULL }, { "/?/a", "/", NULL }, { "/a?b#c", "/a", NULL },
	{ "/a?%", "/a", NULL }, { "/a?b;c%2f%5c", "/a", NULL },
	{ "http://other.example/api/private/f", "/api/private/f", NULL },	/* interop.md section 2.4 */
	{ "HTTP://h/a", "/a", NULL }, { "http://h", "/", NULL }, { "http://h/", "/", NULL }, { "http://h?/a", "/", NULL },
	{ "http://h:80//a", "/a", NULL }, { "a+b-c.1://h/a", "/a", NULL },
	/* SR-70: one path, however it is spelt; the first rows of the table in interop.md section 2.4 */
	{ "/api//private/f", "/api/private/f", NULL }, { "/api/./private/f", "/api/private/f", NULL },
	{ "/api/public/../private/f", "/api/private/f", NULL }, { "/api/public/%2e%2e/private/f", "/api/private/f", NULL },
	{ "/api/public/.%2E/private/f", "/api/private/f", NULL }, { "/api/public/%2e./private/f", "/api/private/f", NULL },
	{ "/api/%70rivate/f", "/api/private/f", NULL }, { "/%61pi/%70%72%69%76%61%74%65/f", "/api/private/f", NULL },
	{ "//api//private//f", "/api/private/f", NULL }, { "////", "/", NULL }, { "/.", "/", NULL }, { "/./", "/", NULL },
	{ "/a/.", "/a/", NULL }, { "/a/..", "/", NULL }, { "/a/b/..", "/a/", NULL }, { "/a/b/../", "/a/", NULL },
	{ "/a/b/c/../../d", "/a/d", NULL }, { "/a/./../b", "/b", NULL }, { "/a/...", "/a/...", NULL }, { "/a/..b", "/a/..b", NULL },
	{ "/a/.b", "/a/.b", NULL }, { "/a/%2e", "/a/", NULL }, { "/%2e%2e%2e", "/...", NULL },
	/* not ours to change: servers find no file there */
	{ "/api/Private/f", "/api/Private/f", NULL }, { "/api/private./f", "/api/private./f", NULL },
	{ "/api/private/f.", "/api/private/f.", NULL }, { "/api/private/f%20", "/api/private/f ", NULL },
	{ "/api/private/f/", "/api/private/f/", NULL }, { "/api/private/%ff", "/api/private/\xff", NULL },
	{ "/a%3Fb", "/a?b", NULL }, { "/a%23b", "/a#b", NULL }, { "/a+b", "/a+b", NULL }, { "/\xc3\x96", "/\xc3\x96", NULL },
	/* decoded once, so what was encoded twice stays encoded */
	{ "/a/%252e%252e/b", "/a/%2e%2e/b", NULL }, { "/a%252fb", "/a%2fb", NULL }, { "/%25", "/%", NULL },
	/* what two servers read differently */
	{ "/api/private%2ff", NULL, "encoded slash" }, { "/api/public/..%2fprivate/f", NULL, "encoded slash" },
	{ "/api/public%2F..%2Fprivate/f", NULL, "encoded slash" }, { "%2fapi", NULL, "beginning" },
	{ "/api/private\\f", NULL, "backslash" }, { "/api/public/..\\private", NULL, "backslash" },
	{ "/api/private%5cf", NULL, "backslash" }, { "/api/private%5Cf", NULL, "backslash" },
	{ "/api/private;a=b/f", NULL, "semicolon" }, { "/api/f;x", NULL, "semicolon" }, { "/a/..;/b", NULL, "semicolon" },
	{ "/api/private%3bx", NULL, "semicolon" }, { "/api/private%3Bx", NULL, "semicolon" },
	{ "/api/private/f%00", NULL, "control" }, { "/a%0ab", NULL, "control" }, { "/a%0d%0ab", NULL, "control" },
	{ "/a%1f", NULL, "control" }, { "/a%7f", NULL, "control" }, { "/a\tb", NULL, "control" }, { "/a\x7f", NULL, "control" },
	{ "/a%", NULL, "percent" }, { "/a%4", NULL, "percent" }, { "/a%zz", NULL, "percent" }, { "/a%4g", NULL, "percent" },
	{ "/a%u0041", NULL, "percent" }, { "/a%4?1", NULL, "percent" }, { "/%%41", NULL, "percent" },
	{ "/..", NULL, "above the root" }, { "/../a", NULL, "above the root" }, { "/%2e%2e/a", NULL, "above the root" },
	{ "/a/../../b", NULL, "above the root" }, { "/a/../..", NULL, "above the root" }, { "/./..", NULL, "above the root" },
	/* a server that merges slashes takes back "private", one that does not the empty segment */
	{ "/api/private//../public/f", NULL, "empty segment" }, { "/private//b/../../public/f", NULL, "empty segment" },
	{ "/private//./../public/f", NULL, "empty segment" }, { "/private//.%2e/public/f", NULL, "empty segment" },
	{ "//a/..", NULL, "empty segment" },
	/* Caddy takes "#" for a character like any other, lighttpd and nginx for an end */
	{ "/api/private/f#frag", NULL, "fragment" }, { "/api/public/#/../../private/f", NULL, "fragment" },
	{ "/#", NULL, "fragment" }, { "http://h#x", NULL, "fragment" },
	/* no paths */
	{ "", NULL, "missing" }, { "*", NULL, "beginning" }, { "?a", NULL, "missing" }, { "#", NULL, "missing" },
	{ "a", NULL, "beginning" }, { "h:443", NULL, "beginning" }, { "://h/a", NULL, "beginning" },
	{ "x?a=http://h/api/public", NULL, "beginning" }, { "x y://h/api/public", NULL, "beginning" },
	{ "1a://h/api/public", NULL, "beginning" }, { "http:/a", NULL, "beginning" }, { "..", NULL, "beginning" },
};

START_TEST(a_path_is_the_one_that_is_served_or_none)
{
	struct bg_slice path;
	struct bg_buf buf;
	const char *why;

	bg_buf_init(&buf, BG_URI_MAX);
	why = bg_path_normalise(bg_slice_str(paths[_i].uri), &buf);
	if (paths[_i].path == NULL)
		ck_assert_msg(why != NULL && strstr(why, paths[_i].said) != NULL, "%s: %s, wanted %s", paths[_i].uri,
		    why != NULL ? why : "no refusal", paths[_i].said);
	else {
		ck_assert_msg(why == NULL, "%s: %s", paths[_i].uri, why);
		ck_assert_int_eq(bg_buf_finish(&buf, &path, NULL), 0);
		ck_assert_msg(bg_slice_equal(path, bg_slice_str(paths[_i].path)), "%s: %s", paths[_i].uri, path.ptr);
	}
	bg_buf_clear(&buf);
}
END_TEST

/* Every byte, plain and encoded: it stands in the path as it is, or is a refusal, and both spellings agree but for "/". */
START_TEST(a_byte_means_the_same_however_it_is_written)	/* SR-70, RFC 3986 section 6.2.2.2 */
{
	for (unsigned c = 0; c < 256; c++) {
		char plain[] = { '/', 'a', (char)c, 'b' }, encoded[8], decoded[4] = { '/', 'a', (char)c, 'b' };
		struct bg_buf one, two;
		const char *why_one, *why_two;

		bg_format(encoded, sizeof(encoded), "/a%%%02xb", c);
		bg_buf_init(&one, 100);
		bg_buf_init(&two, 100);
		why_one = bg_path_normalise((struct bg_slice){ plain, 4 }, &one);
		why_two = bg_path_normalise(bg_slice_str(encoded), &two);
		if (c == '/' || c == '\\' || c == ';' || c < 0x20 || c == 0x7f)
			ck_assert_msg(why_two != NULL, "%s", encoded);
		else
			ck_assert_msg(why_two == NULL && two.len == 4 && memcmp(two.data, decoded, 4) == 0, "%s", encoded);
		if (c != '/' && c != '%' && c != '?' && c != '#')
			ck_assert_msg((why_one == NULL) == (why_two == NULL), "%s", encoded);
		bg_buf_clear(&one);
		bg_buf_clear(&two);
	}
}
END_TEST

START_TEST(a_path_that_does_not_fit_is_refused)
{
	struct bg_buf buf;
	const char *why;

	bg_buf_init(&buf, 4);
	ck_assert_ptr_null(bg_path_normalise(BG_SLICE("/abc"), &buf));
	bg_buf_reset(&buf);
	why = bg_path_normalise(BG_SLICE("/abcd"), &buf);
	ck_assert_ptr_nonnull(why);
	ck_assert_str_eq(why, "too long");
	bg_buf_clear(&buf);
	bg_buf_init(&buf, 0);
	ck_assert_ptr_nonnull(bg_path_normalise(BG_SLICE("/"), &buf));
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_path_that_is_missing_is_not_the_root)	/* SR-23; interop.md section 2.10: Apache leaves out what is too long */
{
	struct bg_buf buf;

	bg_buf_init(&buf, 100);
	ck_assert_ptr_nonnull(bg_path_normalise((struct bg_slice){ NULL, 0 }, &buf));
	ck_assert_uint_eq(buf.len, 0);
	bg_buf_clear(&buf);
}
END_TEST

static const struct { const char *path, *location; bool below; } places[] = {
	{ "/api", "/api", true }, { "/api/", "/api", true }, { "/api/x", "/api", true }, { "/api/x/y", "/api/x", true },
	{ "/apix", "/api", false }, { "/ap", "/api", false }, { "/", "/api", false }, { "/API", "/api", false },
	{ "/x/api", "/api", false }, { "/api.", "/api", false }, { "/api-2", "/api", false }, { "/api x", "/api", false },
	{ "/", "/", true }, { "/a", "/", true },
	/* with a slash at its end it is the same location: no request slips between "/api" and "/api/" */
	{ "/api", "/api/", true }, { "/api/", "/api/", true }, { "/api/x", "/api/", true }, { "/apix", "/api/", false },
	{ "/a", "", true },
};

START_TEST(a_location_takes_in_whole_segments)	/* SR-48 for paths, SR-71 */
{
	ck_assert_msg(bg_path_is_below(bg_slice_str(places[_i].path), bg_slice_str(places[_i].location)) == places[_i].below,
	    "%s below %s", places[_i].path, places[_i].location);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("path");
	TCase *tc = tcase_create("path");

	tcase_add_loop_test(tc, a_path_is_the_one_that_is_served_or_none, 0, N(paths));
	tcase_add_test(tc, a_byte_means_the_same_however_it_is_written);
	tcase_add_test(tc, a_path_that_does_not_fit_is_refused);
	tcase_add_test(tc, a_path_that_is_missing_is_not_the_root);
	tcase_add_loop_test(tc, a_location_takes_in_whole_segments, 0, N(places));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
