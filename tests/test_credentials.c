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

/* RFC 9449 sections 4.3 check 1 and 7.1; the SDK's modes. */
static const struct {
	const char       *name;
	const char       *authorization;
	const char       *dpop;
	enum bg_dpop_mode mode;
	enum bg_scheme    scheme;
	enum bg_reason    want;
} schemes[] = {
	{ "Bearer, allowed",            "Bearer abc", NULL,    BG_DPOP_ALLOWED,  BG_SCHEME_BEARER, BG_R_OK },
	{ "Bearer, required",           "Bearer abc", NULL,    BG_DPOP_REQUIRED, BG_SCHEME_NONE,   BG_R_OTHER_SCHEME },
	{ "Bearer, required, proof",    "Bearer abc", "x.y.z", BG_DPOP_REQUIRED, BG_SCHEME_NONE,   BG_R_OTHER_SCHEME },
	{ "Bearer, disabled",           "Bearer abc", NULL,    BG_DPOP_DISABLED, BG_SCHEME_BEARER, BG_R_OK },
	{ "Bearer with a proof",        "Bearer abc", "x.y.z", BG_DPOP_ALLOWED,  BG_SCHEME_BEARER, BG_R_PROOF_WITH_BEARER },
	{ "Bearer, disabled, proof",    "Bearer abc", "x.y.z", BG_DPOP_DISABLED, BG_SCHEME_BEARER, BG_R_OK },
	{ "Bearer with an empty one",   "Bearer abc", "",      BG_DPOP_ALLOWED,  BG_SCHEME_BEARER, BG_R_OK },
	{ "DPoP, allowed",              "DPoP abc",   "x.y.z", BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_OK },
	{ "DPoP, required",             "DPoP abc",   "x.y.z", BG_DPOP_REQUIRED, BG_SCHEME_DPOP,   BG_R_OK },
	{ "DPoP, in another case",      "dPOP abc",   "x.y.z", BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_OK },
	{ "DPoP, disabled",             "DPoP abc",   "x.y.z", BG_DPOP_DISABLED, BG_SCHEME_NONE,   BG_R_OTHER_SCHEME },
	{ "DPoP without a proof",       "DPoP abc",   NULL,    BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_MISSING_PROOF },
	{ "DPoP with an empty one",     "DPoP abc",   "",      BG_DPOP_REQUIRED, BG_SCHEME_DPOP,   BG_R_MISSING_PROOF },
	{ "DPoP without a token",       "DPoP",       "x.y.z", BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_BAD_CREDENTIALS },
	{ "two tokens, joined",         "DPoP a, DPoP b", "x.y.z", BG_DPOP_ALLOWED, BG_SCHEME_DPOP, BG_R_TWO_TOKENS },
	{ "two proofs, joined",         "DPoP abc",   "x.y.z, x.y.z", BG_DPOP_ALLOWED, BG_SCHEME_DPOP, BG_R_TWO_PROOFS },	/* SR-67 */
	{ "two proofs, joined tightly", "DPoP abc",   "x.y.z,x.y.z", BG_DPOP_ALLOWED, BG_SCHEME_DPOP, BG_R_TWO_PROOFS },
	{ "a proof and an empty one",   "DPoP abc",   "x.y.z, ", BG_DPOP_ALLOWED, BG_SCHEME_DPOP,   BG_R_TWO_PROOFS },
	{ "a proof and no token",       NULL,         "x.y.z", BG_DPOP_ALLOWED,  BG_SCHEME_NONE,   BG_R_NO_TOKEN },
	{ "Basic",                      "Basic abc",  "x.y.z", BG_DPOP_ALLOWED,  BG_SCHEME_NONE,   BG_R_OTHER_SCHEME },
};

START_TEST(the_scheme_and_its_proof_belong_together)
{
	struct bg_request request = { .authorization = bg_slice_str(schemes[_i].authorization), .dpop = bg_slice_str(schemes[_i].dpop) };
	bool proof = schemes[_i].want == BG_R_OK && schemes[_i].scheme == BG_SCHEME_DPOP;
	struct bg_credentials cred = { .proof = BG_SLICE_INIT("left over") };
	struct bg_error err = { 0 };

	ck_reason(bg_credentials_find(&request, schemes[_i].mode, &cred, &err), err, schemes[_i].want, schemes[_i].name);
	ck_assert_msg(cred.scheme == schemes[_i].scheme, "%s: %d", schemes[_i].name, cred.scheme);
	ck_assert_msg(bg_slice_equal(cred.proof, bg_slice_str(proof ? schemes[_i].dpop : NULL)), "%s", schemes[_i].name);
	/* twice, it is two for whoever looks at it at all (SR-67) */
	request.two_dpops = true;
	bg_error_clear(&err);
	if (bg_credentials_find(&request, schemes[_i].mode, &cred, &err) == 0)
		ck_assert_int_eq(cred.scheme, BG_SCHEME_BEARER);
	ck_assert_msg(!proof || err.reason == BG_R_TWO_PROOFS, "%s: %s", schemes[_i].name, bg_reason_name(err.reason));
	ck_assert_ptr_null(cred.proof.ptr);
}
END_TEST

START_TEST(every_byte_of_a_token_is_looked_at)	/* RFC 6750 section 2.1 */
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
	char value[] = "Bearer aaaaaaaaaaaaaaaaaaaa";

	for (size_t at = strlen("Bearer "); at < strlen(value) - 1; at++) {
		for (int c = 1; c < 256; c++) {
			struct bg_request request = { .authorization = { value, strlen(value) } };
			struct bg_credentials cred;
			bool want = strchr(good, c) != NULL;

			if ((c == ' ' && at == strlen("Bearer ")) || c == ',')
				continue;	/* white space before it; a list, which is another reason */
			value[at] = (char)c;
			ck_assert_msg((bg_credentials_find(&request, BG_DPOP_DISABLED, &cred, NULL) == 0) == want, "byte %#x at %zu",
			    (unsigned)c, at);
		}
		value[at] = 'a';
	}
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
	tcase_add_loop_test(tc, the_scheme_and_its_proof_belong_together, 0, N(schemes));
	tcase_add_test(tc, every_byte_of_a_token_is_looked_at);
	tcase_add_test(tc, a_zero_byte_is_no_part_of_a_token);
	tcase_add_test(tc, two_headers_are_refused_even_when_one_is_good);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
