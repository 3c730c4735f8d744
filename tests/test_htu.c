#include "core/htu.h"

#include "core/limits.h"
#include "tests/support/run.h"

/* want NULL: refused, and said is in the words. */
static const struct { const char *url, *want, *said; } urls[] = {
	/* RFC 3986 section 6.2.2.1: scheme and host without case, the path with it; section 6.2.3: the empty path */
	{ "https://app.example/a", "https://app.example/a", NULL }, { "HTTPS://App.EXAMPLE/A", "https://app.example/A", NULL },
	{ "hTTp://h", "http://h/", NULL }, { "http://h/", "http://h/", NULL }, { "https://h?q", "https://h/", NULL },
	{ "https://h#f", "https://h/", NULL },
	/* RFC 9449 section 4.3 check 9: query and fragment are ignored, whatever is in them */
	{ "https://h/a?b=c#d", "https://h/a", NULL }, { "https://h/a#d?b", "https://h/a", NULL },
	{ "https://h/a?", "https://h/a", NULL },
	{ "https://h/a?/../b@c %", "https://h/a", NULL }, { "https://h?@x/..", "https://h/", NULL },
	/* RFC 3986 sections 3.2.3 and 6.2.3 */
	{ "https://h:443/", "https://h/", NULL }, { "http://h:80/", "http://h/", NULL }, { "https://h:/", "https://h/", NULL },
	{ "https://h:80/", "https://h:80/", NULL }, { "http://h:443/", "http://h:443/", NULL },
	{ "https://h:1", "https://h:1/", NULL },
	{ "https://h:65535/", "https://h:65535/", NULL }, { "https://h:65536/", NULL, "bad port" },
	{ "https://h:0/", NULL, "bad port" },
	{ "https://h:0443/", NULL, "bad port" }, { "https://h:00000443/", NULL, "bad port" },
	{ "https://h:99999999999999999999/", NULL, "bad port" },
	{ "https://h:4a/", NULL, "bad port" }, { "https://h:-1/", NULL, "bad port" }, { "https://h:+1/", NULL, "bad port" },
	{ "https://h: 1/", NULL, "bad port" }, { "https://h:1:2/", NULL, "bad port" }, { "https://h:%34/", NULL, "bad port" },
	/* RFC 3986 section 3.2.2 */
	{ "https://a-b_c.d~9./", "https://a-b_c.d~9./", NULL }, { "https://192.0.2.1:8443/", "https://192.0.2.1:8443/", NULL },
	{ "https://%41%7e.example/", "https://a~.example/", NULL },
	{ "https://b\xc3\xbc" "cher.example/", "https://b%C3%BCcher.example/", NULL },
	{ "https://b%c3%bccher.example/", "https://b%C3%BCcher.example/", NULL },
	{ "https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/", NULL },
	{ "https://a%2fb/", "https://a%2Fb/", NULL }, { "https://a%00/", "https://a%00/", NULL },
	{ "https:///a", NULL, "no host" }, { "https://", NULL, "no host" }, { "https://:443/", NULL, "no host" },
	{ "https://?h/", NULL, "no host" },
	{ "https://u@h/", NULL, "no host may have" }, { "https://u:p@h/", NULL, "bad port" },
	{ "https://@h/", NULL, "no host may have" },
	{ "https://good.example\\@evil.example/", NULL, "no host may have" }, { "https://a,b/", NULL, "no host may have" },
	{ "https://a!b/", NULL, "no host may have" }, { "https://a*b/", NULL, "no host may have" },
	{ "https://a b/", NULL, "space" },
	{ "https://a\tb/", NULL, "space" }, { "https://a\x7f/", NULL, "space" }, { "https://a%/", NULL, "hexadecimal" },
	{ "https://a%4/", NULL, "hexadecimal" }, { "https://a%zz/", NULL, "hexadecimal" },
	/* RFC 5952 section 4 */
	{ "https://[::1]/", "https://[::1]/", NULL }, { "https://[::1]:443/", "https://[::1]/", NULL },
	{ "https://[::1]:444/", "https://[::1]:444/", NULL },
	{ "https://[2001:DB8:0:0:0:0:0:1]/", "https://[2001:db8::1]/", NULL },
	{ "https://[2001:0db8::0001]/", "https://[2001:db8::1]/", NULL },
	{ "https://[2001:db8:0:1:1:1:1:1]/", "https://[2001:db8:0:1:1:1:1:1]/", NULL },
	{ "https://[2001:0:0:1:0:0:0:1]/", "https://[2001:0:0:1::1]/", NULL },
	{ "https://[2001:db8:0:0:1:0:0:1]/", "https://[2001:db8::1:0:0:1]/", NULL },
	{ "https://[::ffff:c000:201]/", "https://[::ffff:192.0.2.1]/", NULL },
	{ "https://[fe80::1%25eth0]/", NULL, "IPv6" }, { "https://[fe80::1%eth0]/", NULL, "IPv6" },
	{ "https://[v1.x]/", NULL, "IPv6" },
	{ "https://[1.2.3.4]/", NULL, "IPv6" }, { "https://[]/", NULL, "IPv6" }, { "https://[/", NULL, "IPv6" },
	{ "https://[::1/", NULL, "IPv6" },
	{ "https://[::1]x/", NULL, "IPv6" }, { "https://[::1]x:443/", NULL, "IPv6" }, { "https://[::1]]/", NULL, "IPv6" },
	{ "https://::1/", NULL, "no host" },
	{ "https://[::1]@h/", NULL, "IPv6" }, { "https://[:::1]/", NULL, "IPv6" },
	/* RFC 3986 section 6.2.2.2: what need not be encoded is not, what must be is, in capitals; "/" and "%" stay encoded */
	{ "https://h/%7euser/%41%2d%5F", "https://h/~user/A-_", NULL }, { "https://h/a%2fb%25%3f", "https://h/a%2Fb%25%3F", NULL },
	{ "https://h/%e2%82%ac", "https://h/%E2%82%AC", NULL }, { "https://h/\xe2\x82\xac", "https://h/%E2%82%AC", NULL },
	{ "https://h/%25%32%65", "https://h/%252e", NULL }, { "https://h/%00%20", "https://h/%00%20", NULL },
	{ "https://h/!$&'()*+,;=:@\"<>[]\\^`{|}", "https://h/!$&'()*+,;=:@\"<>[]\\^`{|}", NULL },
	{ "https://h/%", NULL, "hexadecimal" }, { "https://h/%4", NULL, "hexadecimal" }, { "https://h/%4g", NULL, "hexadecimal" },
	{ "https://h/%%41", NULL, "hexadecimal" }, { "https://h/%4?1", NULL, "hexadecimal" }, { "https://h/a b", NULL, "space" },
	{ "https://h/a\n", NULL, "space" }, { "https://h/a\x7f", NULL, "space" }, { "https://h/a\x01", NULL, "space" },
	/* RFC 3986 section 5.2.4; empty segments are segments */
	{ "https://h/a/b/c/./../../g", "https://h/a/g", NULL }, { "https://h/..", "https://h/", NULL },
	{ "https://h/../../a", "https://h/a", NULL },
	{ "https://h/.", "https://h/", NULL }, { "https://h/a/.", "https://h/a/", NULL }, { "https://h/a/..", "https://h/", NULL },
	{ "https://h/a/b/..", "https://h/a/", NULL }, { "https://h/a/b/../", "https://h/a/", NULL },
	{ "https://h/a/%2e%2E/b", "https://h/b", NULL },
	{ "https://h/a/.%2e/b", "https://h/b", NULL }, { "https://h/a/%2e/b", "https://h/a/b", NULL },
	{ "https://h/a/.../b", "https://h/a/.../b", NULL },
	{ "https://h/a/..b/.c/d../e.", "https://h/a/..b/.c/d../e.", NULL }, { "https://h//a//b/", "https://h//a//b/", NULL },
	{ "https://h//", "https://h//", NULL }, { "https://h/a//../b", "https://h/a/b", NULL },
	{ "https://h//..", "https://h/", NULL },
	{ "https://h/a/%252e%252e/b", "https://h/a/%252e%252e/b", NULL }, { "https://h/a%2f../b", "https://h/a%2F../b", NULL },
	{ "https://h/%2e%2", NULL, "hexadecimal" },
	/* no URL of ours */
	{ "", NULL, "does not begin" }, { "/a", NULL, "does not begin" }, { "//h/a", NULL, "does not begin" },
	{ "h/a", NULL, "does not begin" },
	{ "ftp://h/a", NULL, "does not begin" }, { "httpss://h/a", NULL, "does not begin" },
	{ "https:/h/a", NULL, "does not begin" },
	{ "https:h/a", NULL, "does not begin" }, { "https", NULL, "does not begin" }, { "https:", NULL, "does not begin" },
	{ "https:\\\\h/a", NULL, "does not begin" }, { " https://h/a", NULL, "does not begin" },
	{ "://h/a", NULL, "does not begin" },
	{ "javascript:https://h/", NULL, "does not begin" },
};

static void
check_words(const char *wrong, const char *said, const char *name)
{
	ck_assert_msg(wrong != NULL && strstr(wrong, said) != NULL, "%s: %s, wanted %s", name,
	    wrong != NULL ? wrong : "no refusal", said);
}

static void
check_form(struct bg_buf *buf, const char *wrong, const char *want, const char *name)
{
	struct bg_slice form;

	ck_assert_msg(wrong == NULL, "%s: %s", name, wrong);
	ck_assert_int_eq(bg_buf_finish(buf, &form, NULL), 0);
	ck_assert_msg(bg_slice_equal(form, bg_slice_str(want)), "%s: %s, wanted %s", name, form.ptr, want);
}

START_TEST(a_url_has_one_normal_form_or_none)
{
	struct bg_buf buf, again;
	const char *wrong;

	bg_buf_init(&buf, BG_URI_MAX);
	bg_buf_init(&again, BG_URI_MAX);
	wrong = bg_htu_normalise(bg_slice_str(urls[_i].url), &buf);
	if (urls[_i].want == NULL)
		check_words(wrong, urls[_i].said, urls[_i].url);
	else {
		check_form(&buf, wrong, urls[_i].want, urls[_i].url);
		check_form(&again, bg_htu_normalise(bg_slice_str(urls[_i].want), &again), urls[_i].want, "once more");
	}
	bg_buf_clear(&buf);
	bg_buf_clear(&again);
}
END_TEST

START_TEST(a_zero_byte_ends_nothing)	/* SR-60: an htu is JSON and may hold "\u0000" */
{
	static const struct bg_slice rows[] = { BG_SLICE_INIT("https://h\0.evil/"), BG_SLICE_INIT("https://h/a\0b"),
		BG_SLICE_INIT("https://[::1\0]/"), BG_SLICE_INIT("https://h:44\0/"), BG_SLICE_INIT("https\0://h/"),
		BG_SLICE_INIT("https://h\0") };

	for (int i = 0; i < N(rows); i++) {
		struct bg_buf buf;

		bg_buf_init(&buf, BG_URI_MAX);
		ck_assert_msg(bg_htu_normalise(rows[i], &buf) != NULL, "row %d", i);
		bg_buf_clear(&buf);
	}
}
END_TEST

START_TEST(what_stands_in_the_buffer_stays)
{
	struct bg_buf buf;

	bg_buf_init(&buf, 100);
	bg_buf_put_str(&buf, "x/y/");
	check_form(&buf, bg_htu_normalise(BG_SLICE("http://h/../.."), &buf), "x/y/http://h/", "behind other text");
	bg_buf_clear(&buf);
}
END_TEST

static char *
repeat(const char *head, char c, size_t n, const char *tail)
{
	char *text = malloc(strlen(head) + n + strlen(tail) + 1);

	ck_assert_ptr_nonnull(text);
	strcpy(text, head);
	memset(text + strlen(head), c, n);
	strcpy(text + strlen(head) + n, tail);
	return text;
}

START_TEST(a_url_has_a_ceiling)
{
	static const struct { const char *head; char c; size_t n; const char *tail, *said; } rows[] = {
		{ "http://h/", 'a', BG_URI_MAX - 9, "", NULL },
		{ "http://h/", 'a', BG_URI_MAX - 8, "", "too long" },
		{ "http://h/?", 'a', BG_URI_MAX - 10, "", NULL },
		{ "http://h/?", 'a', BG_URI_MAX - 9, "", "too long" },
		{ "http://h/", '\xff', BG_URI_MAX / 3 - 3, "", NULL },	/* three bytes each in the normal form */
		{ "http://h/", '\xff', BG_URI_MAX / 3, "", "too long" },
		{ "http://", 'a', BG_HOST_MAX, "/", NULL },
		{ "http://", 'a', BG_HOST_MAX + 1, "/", "too long" },
		{ "http://", '\xff', BG_HOST_MAX / 3 + 1, "/", "too long" },
		{ "http://h/", '/', BG_URI_MAX - 9, "", NULL },
		{ "http://[", ':', 1000, "]/", "IPv6" },
		{ "http://h:", '0', 1000, "/", "bad port" },
	};

	for (int i = 0; i < N(rows); i++) {
		char *url = repeat(rows[i].head, rows[i].c, rows[i].n, rows[i].tail);
		struct bg_buf buf;
		const char *wrong;

		bg_buf_init(&buf, 4 * BG_URI_MAX);
		wrong = bg_htu_normalise(bg_slice_str(url), &buf);
		if (rows[i].said != NULL)
			check_words(wrong, rows[i].said, rows[i].head);
		else
			ck_assert_msg(wrong == NULL && buf.len <= BG_URI_MAX, "%d: %s", i, wrong);
		bg_buf_clear(&buf);
		free(url);
	}
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_the_buffer_says_so)
{
	struct bg_buf buf;

	for (size_t max = 0; max < strlen("https://h/b/c"); max++) {
		bool host_wrong = true;

		bg_buf_init(&buf, max);
		check_words(bg_htu_normalise(BG_SLICE("https://h/a/../b/c"), &buf), "too long", "normalise");
		ck_assert(buf.failed && !buf.no_memory);
		bg_buf_reset(&buf);
		check_words(bg_htu_build(BG_SLICE("https"), BG_SLICE("h"), BG_SLICE("/b/"), BG_SLICE("/a/../c"), &buf, &host_wrong),
		    "too long", "build");
		ck_assert(buf.failed && !host_wrong);
		bg_buf_clear(&buf);
	}
	bg_buf_init(&buf, strlen("https://h/b/c"));
	check_form(&buf, bg_htu_normalise(BG_SLICE("https://h/b/c"), &buf), "https://h/b/c", "just");
	bg_buf_clear(&buf);
}
END_TEST

enum blame { NONE, HOST, OTHER };

static const struct { const char *scheme, *authority, *prefix, *target, *want; enum blame blame; } parts[] = {
	{ "https", "App.Example", NULL, "/a?b", "https://app.example/a", NONE },
	{ "HTTPS", "h:443", NULL, "/", "https://h/", NONE },
	{ "http", "h:443", NULL, "/", "http://h:443/", NONE }, { "http", "h:", NULL, "/", "http://h/", NONE },
	{ "https", "[::0:1]:8443", NULL, "/", "https://[::1]:8443/", NONE },
	/* SR-60: no Host makes another path of the URL, another host, or no query of a path */
	{ "https", "good/path?", NULL, "/evil", NULL, HOST }, { "https", "good/path#", NULL, "/evil", NULL, HOST },
	{ "https", "good/", NULL, "/evil", NULL, HOST }, { "https", "good?", NULL, "/evil", NULL, HOST },
	{ "https", "good#", NULL, "/evil", NULL, HOST },
	{ "https", "good\\", NULL, "/evil", NULL, HOST }, { "https", "u@good", NULL, "/", NULL, HOST },
	{ "https", "good@", NULL, "/", NULL, HOST },
	{ "https", "good:1/path?", NULL, "/", NULL, HOST }, { "https", "good:443@evil", NULL, "/", NULL, HOST },
	{ "https", "//good", NULL, "/", NULL, HOST }, { "https", "https://good", NULL, "/", NULL, HOST },
	{ "https", "good, evil", NULL, "/", NULL, HOST }, { "https", "good,evil", NULL, "/", NULL, HOST },
	{ "https", "good evil", NULL, "/", NULL, HOST },
	{ "https", " good", NULL, "/", NULL, HOST }, { "https", "good\r\nX: y", NULL, "/", NULL, HOST },
	{ "https", "", NULL, "/", NULL, HOST },
	{ "https", NULL, NULL, "/", NULL, HOST }, { "https", "good%", NULL, "/", NULL, HOST },
	{ "https", "good%2", NULL, "F/", NULL, HOST },
	{ "https", "[::1", NULL, "]/", NULL, HOST }, { "https", "h:44", NULL, "3/", NULL, OTHER },
	{ "https", "h:99999", NULL, "/", NULL, HOST },
	{ "https", "good%2Fpath%3F", NULL, "/a", "https://good%2Fpath%3F/a", NONE },
	{ "https", "h", NULL, "@evil/", NULL, OTHER }, { "https", "h", NULL, ".evil/", NULL, OTHER },
	{ "https", "h", NULL, "%2fa", NULL, OTHER },
	/* RFC 9112 section 3.2 */
	{ "https", "h", NULL, "http://other.example/a?b", "https://h/a", NONE },
	{ "https", "h", NULL, "HTTPS://u@other", "https://h/", NONE },
	{ "https", "h", NULL, "http://other?b", "https://h/", NONE }, { "https", "h", NULL, "ftp://h/a", NULL, OTHER },
	{ "https", "h", NULL, "*", NULL, OTHER }, { "https", "h", NULL, "h:443", NULL, OTHER },
	{ "https", "h", NULL, "", NULL, OTHER },
	{ "https", "h", NULL, NULL, NULL, OTHER }, { "https", "h", NULL, "?a", NULL, OTHER },
	{ "https", "h", NULL, "a", NULL, OTHER },
	{ "https", "h", NULL, "/a#b", NULL, OTHER }, { "https", "h", NULL, "#", NULL, OTHER },
	{ "https", "h", NULL, "/a?b#c", "https://h/a", NONE },
	{ "https", "h", NULL, "http://h#/a", NULL, OTHER }, { "https", "h", NULL, "/a b", NULL, OTHER },
	{ "https", "h", NULL, "/a\nb", NULL, OTHER },
	{ "https", "h", NULL, "/%zz", NULL, OTHER }, { "https", "h", NULL, "//evil/a", "https://h//evil/a", NONE },
	{ "https", "h", NULL, "/a/../%7eb", "https://h/~b", NONE }, { "https", "h", NULL, "/a://b", "https://h/a://b", NONE },
	/* a path that a proxy took away, and public_url's own */
	{ "https", "h", "", "/a", "https://h/a", NONE }, { "https", "h", "/", "/a", "https://h/a", NONE },
	{ "https", "h", "/p", "/a", "https://h/p/a", NONE },
	{ "https", "h", "/p/", "/a", "https://h/p/a", NONE }, { "https", "h", "/p//", "/", "https://h/p/", NONE },
	{ "https", "h", "//", "/", "https://h/", NONE },
	{ "https", "h", "/p/.", "/a", "https://h/p/a", NONE }, { "https", "h", "/p/q", "//a", "https://h/p/q//a", NONE },
	{ "https", "h", "/%7ep", "/a", "https://h/~p/a", NONE }, { "https", "h", "/p", "http://h", "https://h/p/", NONE },
	{ "https", "h", "/p/q", "/../../a", "https://h/p/q/a", NONE }, { "https", "h", "/p", "/..", "https://h/p/", NONE },
	{ "https", "h", "p", "/a", NULL, OTHER }, { "https", "h", "/p/..", "/a", NULL, OTHER },
	{ "https", "h", "/p/../q", "/a", NULL, OTHER },
	{ "https", "h", "/p/%2e%2E/q", "/a", NULL, OTHER }, { "https", "h", "/..", "/a", NULL, OTHER },
	{ "https", "h", "/p?", "/a", NULL, OTHER },
	{ "https", "h", "/p#", "/a", NULL, OTHER }, { "https", "h", "/p%", "/a", NULL, OTHER },
	{ "https", "h", "/p%2", "5/a", NULL, OTHER },
	{ "https", "h", "/p q", "/a", NULL, OTHER }, { "https", "h", "http://evil/", "/a", NULL, OTHER },
	{ "https", "h", "@evil", "/a", NULL, OTHER },
	{ "https", "h", ":1", "/a", NULL, OTHER }, { "https", "h", "/..p/.q.", "/a", "https://h/..p/.q./a", NONE },
	/* schemes */
	{ "ftp", "h", NULL, "/", NULL, OTHER }, { "", "h", NULL, "/", NULL, OTHER }, { NULL, "h", NULL, "/", NULL, OTHER },
	{ "https://", "h", NULL, "/", NULL, OTHER }, { "http,https", "h", NULL, "/", NULL, OTHER },
	{ "https ", "h", NULL, "/", NULL, OTHER },
};

START_TEST(each_part_is_held_to_its_grammar)	/* SR-60 */
{
	struct bg_buf buf;
	bool host_wrong = true;
	const char *wrong;
	char name[256];

	bg_format(name, sizeof(name), "%s, %s, %s, %s", parts[_i].scheme != NULL ? parts[_i].scheme : "-",
	    parts[_i].authority != NULL ? parts[_i].authority : "-", parts[_i].prefix != NULL ? parts[_i].prefix : "-",
	    parts[_i].target != NULL ? parts[_i].target : "-");
	bg_buf_init(&buf, BG_URI_MAX);
	wrong = bg_htu_build(bg_slice_str(parts[_i].scheme), bg_slice_str(parts[_i].authority), bg_slice_str(parts[_i].prefix),
	    bg_slice_str(parts[_i].target), &buf, &host_wrong);
	if (parts[_i].want == NULL)
		ck_assert_msg(wrong != NULL, "%s", name);
	else
		check_form(&buf, wrong, parts[_i].want, name);
	ck_assert_msg(host_wrong == (parts[_i].blame == HOST), "%s: %s", name, wrong);
	ck_assert_msg((wrong != NULL) == (parts[_i].blame != NONE), "%s", name);
	bg_buf_clear(&buf);
}
END_TEST

/* Every byte in every part: no URL gets a byte in it that a URL must not have, and no host one that ends a host. */
START_TEST(no_byte_gets_where_it_does_not_belong)	/* SR-60 */
{
	for (unsigned c = 0; c < 256; c++) {
		char host[] = { 'a', (char)c, 'b' }, target[] = { '/', 'a', (char)c, 'b' };
		struct bg_slice none = { NULL, 0 }, hosts = { host, 3 }, targets = { target, 4 }, form;
		struct bg_buf buf;
		bool host_wrong;

		bg_buf_init(&buf, 100);
		if (bg_htu_build(BG_SLICE("http"), hosts, none, BG_SLICE("/x"), &buf, &host_wrong) == NULL) {
			ck_assert_msg((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c != 0 && strchr("-._~", (int)c) != NULL) || c >= 0x80, "%u", c);
		} else
			ck_assert(host_wrong);
		bg_buf_reset(&buf);
		if (bg_htu_build(BG_SLICE("http"), BG_SLICE("h"), none, targets, &buf, &host_wrong) == NULL) {
			ck_assert_int_eq(bg_buf_finish(&buf, &form, NULL), 0);
			for (size_t i = 0; i < form.len; i++)
				ck_assert_msg(form.ptr[i] > 0x20 && form.ptr[i] < 0x7f && form.ptr[i] != '?' && form.ptr[i] != '#',
				    "%u", c);
		} else
			ck_assert_msg(c <= 0x20 || c == 0x7f || c == '%' || c == '#', "%u", c);
		bg_buf_clear(&buf);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("htu");
	TCase *tc = tcase_create("htu");

	tcase_add_loop_test(tc, a_url_has_one_normal_form_or_none, 0, N(urls));
	tcase_add_test(tc, a_zero_byte_ends_nothing);
	tcase_add_test(tc, what_stands_in_the_buffer_stays);
	tcase_add_test(tc, a_url_has_a_ceiling);
	tcase_add_test(tc, what_does_not_fit_is_refused_and_the_buffer_says_so);
	tcase_add_loop_test(tc, each_part_is_held_to_its_grammar, 0, N(parts));
	tcase_add_test(tc, no_byte_gets_where_it_does_not_belong);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
