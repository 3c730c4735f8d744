#include "core/b64url.h"

#include "tests/support/run.h"

static const struct {
	const char *text;
	const char *bytes;	/* NULL: refused */
	size_t      len;
} cases[] = {
	/* RFC 4648 section 10, without the padding */
	{ "", "", 0 }, { "Zg", "f", 1 }, { "Zm8", "fo", 2 }, { "Zm9v", "foo", 3 }, { "Zm9vYg", "foob", 4 },
	{ "Zm9vYmE", "fooba", 5 }, { "Zm9vYmFy", "foobar", 6 },
	/* RFC 7515 appendix C */
	{ "A-z_4ME", "\x03\xec\xff\xe0\xc1", 5 },
	/* SR-31: one value, one spelling */
	{ "Zg==", NULL, 0 }, { "Zm8=", NULL, 0 }, { "Zh", NULL, 0 }, { "Zm9", NULL, 0 }, { "Z", NULL, 0 },
	{ "Zm9vY", NULL, 0 }, { "A+z/4ME", NULL, 0 }, { "Zm 9v", NULL, 0 }, { "Zm9v\n", NULL, 0 }, { "Zm.v", NULL, 0 },
	{ "Zm9v\xc3\xa4", NULL, 0 },
};

START_TEST(decoding_takes_one_spelling_only)
{
	struct bg_slice text = bg_slice_str(cases[_i].text);
	unsigned char out[32];
	long n = bg_b64url_decode(out, text);

	if (cases[_i].bytes == NULL)
		ck_assert_msg(n == -1, "%s: decoded", cases[_i].text);
	else {
		ck_assert_int_eq(n, (long)cases[_i].len);
		ck_assert_uint_eq(BG_B64URL_DECODED(text.len), cases[_i].len);
		ck_assert_mem_eq(out, cases[_i].bytes, cases[_i].len);
	}
}
END_TEST

START_TEST(a_zero_byte_in_the_text_is_refused)	/* SR-31 */
{
	unsigned char out[4];

	ck_assert_int_eq(bg_b64url_decode(out, (struct bg_slice){ "Zm\0v", 4 }), -1);
}
END_TEST

START_TEST(every_byte_string_comes_back_from_its_encoding)
{
	unsigned char in[67] = { 0 }, out[67];
	char text[BG_B64URL_ENCODED(67)];

	for (size_t len = 0; len <= sizeof(in); len++) {
		for (size_t i = 0; i < len; i++)
			in[i] = (unsigned char)(i * 151 + len * 7);
		bg_b64url_encode(text, in, len);
		ck_assert_int_eq(bg_b64url_decode(out, (struct bg_slice){ text, BG_B64URL_ENCODED(len) }), (long)len);
		ck_assert_mem_eq(in, out, len);
	}
}
END_TEST

START_TEST(only_zero_trailing_bits_decode)	/* SR-31: of the 64 last characters, 4 (or 16) are right */
{
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	int two = 0, three = 0;
	unsigned char out[3];

	for (size_t i = 0; i < 64; i++) {
		char a[2] = { 'A', all[i] }, b[3] = { 'A', 'A', all[i] };

		two += bg_b64url_decode(out, (struct bg_slice){ a, 2 }) == 1;
		three += bg_b64url_decode(out, (struct bg_slice){ b, 3 }) == 2;
	}
	ck_assert_int_eq(two, 4);
	ck_assert_int_eq(three, 16);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("b64url");
	TCase *tc = tcase_create("b64url");

	tcase_add_loop_test(tc, decoding_takes_one_spelling_only, 0, N(cases));
	tcase_add_test(tc, a_zero_byte_in_the_text_is_refused);
	tcase_add_test(tc, every_byte_string_comes_back_from_its_encoding);
	tcase_add_test(tc, only_zero_trailing_bits_decode);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
