#include "core/credentials.h"

#include "tests/support/run.h"

/* RFC 6750 section 2.1 unless said otherwise. */
static const struct {
	const char    *name;
	const char    *value;	/* NULL: no header */
	const char    *token;
	enum bg_reason want;
} cases[] = {
	{ "a token", "Bearer abc.def.ghi", "abc.def.ghi", BG_R_OK },
	{ "every character a token may have", "Bearer aZ09-._~+/==", "aZ09-._~+/==", BG_R_OK },
	{ "the scheme in small letters", "bearer t", "t", BG_R_OK },		/* RFC 9110 section 11.1 */
	{ "the scheme in capitals", "BEARER t", "t", BG_R_OK },
	{ "more than one space", "Bearer   t", "t", BG_R_OK },
	{ "white space at the end", "Bearer t \t", "t", BG_R_OK },
	{ "no header", NULL, NULL, BG_R_NO_TOKEN },
	{ "an empty header", "", NULL, BG_R_NO_TOKEN },			/* what Apache's SetEnvIf makes of none */
	{ "white space alone", " \t ", NULL, BG_R_NO_TOKEN },
	{ "the scheme alone", "Bearer", NULL, BG_R_BAD_CREDENTIALS },
	{ "the scheme and spaces", "Bearer   ", NULL, BG_R_BAD_CREDENTIALS },
	{ "another scheme", "Basic dXNlcjpwdw==", NULL, BG_R_OTHER_SCHEME },
	{ "a scheme not served yet", "DPoP abc", NULL, BG_R_OTHER_SCHEME },
	{ "a longer scheme", "Bearerx abc", NULL, BG_R_OTHER_SCHEME },
	{ "no scheme", "abc.def.ghi", NULL, BG_R_OTHER_SCHEME },
	{ "a space in front", " Bearer abc", NULL, BG_R_OTHER_SCHEME },
	{ "a tab for a space", "Bearer\tabc", NULL, BG_R_OTHER_SCHEME },
	{ "two headers joined by the server", "Bearer a, Bearer b", NULL, BG_R_TWO_TOKENS },	/* SR-73 */
	{ "two tokens", "Bearer a,b", NULL, BG_R_TWO_TOKENS },
	{ "two words", "Bearer a b", NULL, BG_R_BAD_CREDENTIALS },
	{ "equals in the middle", "Bearer a=b", NULL, BG_R_BAD_CREDENTIALS },
	{ "equals alone", "Bearer ==", NULL, BG_R_BAD_CREDENTIALS },
	{ "quotes", "Bearer \"abc\"", NULL, BG_R_BAD_CREDENTIALS },
	{ "a line feed", "Bearer a\nb", NULL, BG_R_BAD_CREDENTIALS },
	{ "a byte above ASCII", "Bearer a\xff", NULL, BG_R_BAD_CREDENTIALS },
};

START_TEST(one_bearer_token_is_found_or_the_reason_why_not)
{
	struct bg_request request = { .authorization = bg_slice_str(cases[_i].value) };
	struct bg_credentials cred = { .token = BG_SLICE_INIT("left over") };
	struct bg_error err = { 0 };
	int rc = bg_credentials_find(&request, BG_DPOP_DISABLED, &cred, &err);

	ck_reason(rc, err, cases[_i].want, cases[_i].name);
	ck_assert_msg(bg_slice_equal(cred.token, bg_slice_str(cases[_i].token)), "%s", cases[_i].name);
}
END_TEST

START_TEST(a_zero_byte_is_no_part_of_a_token)	/* SR-23 */
{
	struct bg_request request = { .authorization = BG_SLICE("Bearer a\0b") };
	struct bg_credentials cred;
	struct bg_error err = { 0 };

	ck_reason(bg_credentials_find(&request, BG_DPOP_DISABLED, &cred, &err), err, BG_R_BAD_CREDENTIALS, "NUL");
}
END_TEST

START_TEST(two_headers_are_refused_even_when_one_is_good)	/* SR-73 */
{
	struct bg_request request = { .authorization = BG_SLICE("Bearer a"), .two_authorizations = true };
	struct bg_credentials cred;
	struct bg_error err = { 0 };

	ck_reason(bg_credentials_find(&request, BG_DPOP_DISABLED, &cred, &err), err, BG_R_TWO_TOKENS, "two headers");
	ck_assert_ptr_null(cred.token.ptr);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("credentials");
	TCase *tc = tcase_create("credentials");

	tcase_add_loop_test(tc, one_bearer_token_is_found_or_the_reason_why_not, 0, N(cases));
	tcase_add_test(tc, a_zero_byte_is_no_part_of_a_token);
	tcase_add_test(tc, two_headers_are_refused_even_when_one_is_good);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
