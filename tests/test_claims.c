#include "core/claims.h"

#include <stdint.h>

#include "tests/support/run.h"

static const struct { const char *name; int64_t exp, nbf, iat, now, leeway; enum bg_reason want; } times[] = {
	{ "the second before exp", 1000, 0, 0, 999, 0, BG_R_OK },
	{ "exp itself", 1000, 0, 0, 1000, 0, BG_R_EXPIRED },			/* RFC 7519 section 4.1.4 */
	{ "exp at the far end", INT64_MAX, 0, 0, 1000, 0, BG_R_OK },
	{ "exp zero", 0, 0, 0, 1000, 0, BG_R_EXPIRED },
	{ "the last second of the leeway", 1000, 0, 0, 1029, 30, BG_R_OK },
	{ "the second after it", 1000, 0, 0, 1030, 30, BG_R_EXPIRED },
	{ "nbf itself", 2000, 1000, 0, 1000, 0, BG_R_OK },			/* RFC 7519 section 4.1.5 */
	{ "the second before nbf", 2000, 1000, 0, 999, 0, BG_R_NOT_YET_VALID },
	{ "before nbf, with leeway", 2000, 1000, 0, 970, 30, BG_R_OK },
	{ "before that", 2000, 1000, 0, 969, 30, BG_R_NOT_YET_VALID },
	{ "nbf at the far end", INT64_MAX, INT64_MAX, 0, 1000, 300, BG_R_NOT_YET_VALID },
	{ "iat in the future", 2000, 0, 1001, 1000, 0, BG_R_NOT_YET_VALID },	/* RFC 7519 section 4.1.6 */
	{ "iat within the leeway", 2000, 0, 1030, 1000, 30, BG_R_OK },
	{ "iat long ago", 2000, 0, 1, 1000, 0, BG_R_OK },			/* no age limit: users.md row 9 */
};

START_TEST(a_token_is_good_from_nbf_until_before_exp)
{
	struct bg_claims claims = { .exp = times[_i].exp, .nbf = times[_i].nbf, .iat = times[_i].iat, .has_nbf = true };
	struct bg_error err = { 0 };
	int rc = bg_claims_check_time(&claims, times[_i].now, times[_i].leeway, &err);

	ck_reason(rc, err, times[_i].want, times[_i].name);
}
END_TEST

/* Every claim we read, as each of the seven types of JSON (SR-26): B says which of them are right. */
static const char *const types[] = { "\"x\"", "1", "1.5", "true", "null", "[\"x\"]", "{}" };
static const struct { const char *claim; bool right[7]; } typed[] = {
	{ "iss",   { true, false, false, false, false, false, false } },
	{ "sub",   { true, false, false, false, false, false, false } },
	{ "aud",   { true, false, false, false, false, true, false } },
	{ "scope", { true, false, false, false, false, true, false } },
	{ "exp",   { false, true, true, false, false, false, false } },
	{ "nbf",   { false, true, true, false, false, false, false } },
	{ "iat",   { false, true, true, false, false, false, false } },
	{ "cnf",   { false, false, false, false, false, false, true } },
};

static int
read_claims(const char *text, struct bg_token *token, struct bg_claims *claims, struct bg_error *err)
{
	*token = (struct bg_token){ .payload = json_loads(text, 0, NULL) };
	ck_assert_ptr_nonnull(token->payload);
	return bg_claims_read(token, claims, err);
}

START_TEST(a_claim_of_the_wrong_type_is_refused)	/* SR-26 */
{
	for (size_t i = 0; i < 7; i++) {
		struct bg_claims claims;
		struct bg_error err = { 0 };
		struct bg_token token;
		char text[256];
		int rc;

		bg_format(text, sizeof(text), "{%s%s\"%s\":%s}", strcmp(typed[_i].claim, "exp") != 0 ? "\"exp\":9," : "",
		    strcmp(typed[_i].claim, "iat") != 0 ? "\"iat\":9," : "", typed[_i].claim, types[i]);
		rc = read_claims(text, &token, &claims, &err);
		ck_reason(rc, err, typed[_i].right[i] ? BG_R_OK : BG_R_BAD_CLAIMS, text);
		json_decref(token.payload);
	}
}
END_TEST

static const struct { const char *text; int64_t exp; enum bg_reason want; } dates[] = {
	{ "1", 1, BG_R_OK }, { "0", 0, BG_R_OK }, { "1.0", 1, BG_R_OK }, { "1e3", 1000, BG_R_OK },
	{ "1.25", 2, BG_R_OK }, { "0.000001", 1, BG_R_OK },
	{ "2147483648", INT64_C(2147483648), BG_R_OK },			/* the year 2038 */
	{ "253402300800", INT64_C(253402300800), BG_R_OK },		/* the year 10000 */
	{ "9007199254740992", INT64_C(9007199254740992), BG_R_OK },
	{ "9007199254740994", 0, BG_R_BAD_CLAIMS }, { "1e300", 0, BG_R_BAD_CLAIMS },
	{ "9223372036854775807", 0, BG_R_BAD_CLAIMS }, { "-1", 0, BG_R_BAD_CLAIMS }, { "-0.5", 0, BG_R_BAD_CLAIMS },
};

START_TEST(a_numeric_date_is_whole_seconds_rounded_up)	/* SR-25 */
{
	struct bg_claims claims;
	struct bg_error err = { 0 };
	struct bg_token token;
	char text[64];
	int rc;

	bg_format(text, sizeof(text), "{\"iat\":0,\"exp\":%s}", dates[_i].text);
	rc = read_claims(text, &token, &claims, &err);
	ck_reason(rc, err, dates[_i].want, dates[_i].text);
	if (rc == 0)
		ck_assert_int_eq(claims.exp, dates[_i].exp);
	json_decref(token.payload);
}
END_TEST

START_TEST(a_token_without_exp_or_iat_is_refused)	/* SR-41, RFC 9068 section 2.2 */
{
	static const char *const texts[] = { "{}", "{\"iat\":1}", "{\"exp\":1}" };

	for (size_t i = 0; i < 3; i++) {
		struct bg_claims claims;
		struct bg_error err = { 0 };
		struct bg_token token;
		int rc = read_claims(texts[i], &token, &claims, &err);

		ck_reason(rc, err, BG_R_BAD_CLAIMS, texts[i]);
		json_decref(token.payload);
	}
}
END_TEST

static char *one[] = { (char[]){ "https://api.example" } };
static char *two[] = { (char[]){ "https://api.example" }, (char[]){ "other" } };

static const struct { const char *name, *aud; char **want_aud; size_t n; bool any; enum bg_reason want; } audiences[] = {
	{ "a string", "\"https://api.example\"", one, 1, false, BG_R_OK },
	{ "an array of one", "[\"https://api.example\"]", one, 1, false, BG_R_OK },
	{ "the last of an array", "[\"a\",\"b\",\"https://api.example\"]", one, 1, false, BG_R_OK },
	{ "the second of ours", "\"other\"", two, 2, false, BG_R_OK },
	{ "another", "\"https://other.example\"", one, 1, false, BG_R_WRONG_AUDIENCE },
	{ "with a slash more", "\"https://api.example/\"", one, 1, false, BG_R_WRONG_AUDIENCE },
	{ "a prefix", "\"https://api\"", one, 1, false, BG_R_WRONG_AUDIENCE },
	{ "another case", "\"https://API.example\"", one, 1, false, BG_R_WRONG_AUDIENCE },
	{ "two in one string", "\"https://api.example other\"", two, 2, false, BG_R_WRONG_AUDIENCE },
	{ "an empty array", "[]", one, 1, false, BG_R_WRONG_AUDIENCE },		/* SR-44 */
	{ "an empty string", "\"\"", one, 1, false, BG_R_WRONG_AUDIENCE },
	{ "none", NULL, one, 1, false, BG_R_WRONG_AUDIENCE },
	{ "none of ours configured", "\"x\"", NULL, 0, false, BG_R_WRONG_AUDIENCE },	/* zero denies */
	{ "any, written out", "\"x\"", NULL, 0, true, BG_R_OK },			/* SR-40 */
	{ "any, and none there", NULL, NULL, 0, true, BG_R_OK },
};

START_TEST(one_of_our_audiences_must_be_among_those_of_the_token)
{
	struct bg_issuer issuer = { .name = (char[]){ "https://i/" }, .audiences = audiences[_i].want_aud,
		.n_audiences = audiences[_i].n, .any_audience = audiences[_i].any };
	struct bg_claims claims;
	struct bg_error err = { 0 };
	struct bg_token token;
	char text[256];
	int rc;

	bg_format(text, sizeof(text), "{\"iss\":\"https://i/\",\"exp\":1,\"iat\":1%s%s}", audiences[_i].aud != NULL ? ",\"aud\":" : "",
	    audiences[_i].aud != NULL ? audiences[_i].aud : "");
	ck_assert_int_eq(read_claims(text, &token, &claims, &err), 0);
	rc = bg_claims_check_issuer(&claims, &issuer, &err);
	ck_reason(rc, err, audiences[_i].want, audiences[_i].name);
	json_decref(token.payload);
}
END_TEST

START_TEST(an_audience_array_is_bounded)	/* SR-44 */
{
	static const struct { int n; const char *tail; enum bg_reason want; } rows[] = {
		{ 999, "\"x\"", BG_R_OK }, { 1000, "\"x\"", BG_R_BAD_CLAIMS }, { 3, "1", BG_R_BAD_CLAIMS },
		{ 3, "null", BG_R_BAD_CLAIMS }, { 3, "[\"x\"]", BG_R_BAD_CLAIMS },
	};

	for (int r = 0; r < N(rows); r++) {
		struct bg_claims claims;
		struct bg_error err = { 0 };
		struct bg_token token;
		struct bg_slice text;
		struct bg_buf buf;
		int rc;

		bg_buf_init(&buf, 100000);
		bg_buf_put_str(&buf, "{\"exp\":1,\"iat\":1,\"aud\":[");
		for (int i = 0; i < rows[r].n; i++)
			bg_buf_put_str(&buf, "\"a\",");
		bg_buf_put_format(&buf, "%s]}", rows[r].tail);
		ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
		rc = read_claims(text.ptr, &token, &claims, &err);
		ck_reason(rc, err, rows[r].want, rows[r].tail);
		json_decref(token.payload);
		bg_buf_clear(&buf);
	}
}
END_TEST

static const struct { const char *require, *typ; enum bg_reason want; } typs[] = {
	{ NULL, NULL, BG_R_OK }, { NULL, "anything", BG_R_OK },
	{ "at+jwt", "at+jwt", BG_R_OK }, { "at+jwt", "AT+JWT", BG_R_OK }, { "at+jwt", "application/at+jwt", BG_R_OK },	/* RFC 7515 section 4.1.9 */
	{ "at+jwt", "Application/AT+jwt", BG_R_OK }, { "application/at+jwt", "at+jwt", BG_R_OK },
	{ "application/at+jwt", "application/at+jwt", BG_R_OK },
	{ "at+jwt", NULL, BG_R_WRONG_TYPE }, { "at+jwt", "", BG_R_WRONG_TYPE }, { "at+jwt", "JWT", BG_R_WRONG_TYPE },	/* RFC 9068 section 4 */
	{ "at+jwt", "dpop+jwt", BG_R_WRONG_TYPE }, { "at+jwt", "logout+jwt", BG_R_WRONG_TYPE }, { "at+jwt", "at+jwt ", BG_R_WRONG_TYPE },
	{ "at+jwt", "text/at+jwt", BG_R_WRONG_TYPE }, { "at+jwt", "application/", BG_R_WRONG_TYPE },
	{ "at+jwt", "application/application/at+jwt", BG_R_WRONG_TYPE }, { "at+jwt", "xat+jwt", BG_R_WRONG_TYPE },
	{ "JWT", "jwt", BG_R_OK }, { "JWT", "at+jwt", BG_R_WRONG_TYPE },
};

START_TEST(a_type_that_is_required_is_there)	/* RFC 9068 section 4 */
{
	struct bg_issuer issuer = { .name = (char[]){ "i" }, .any_audience = true, .require_typ = (char *)(uintptr_t)typs[_i].require };
	struct bg_claims claims = { .iss = BG_SLICE("i"), .typ = bg_slice_str(typs[_i].typ) };
	struct bg_error err = { 0 };

	ck_reason(bg_claims_check_issuer(&claims, &issuer, &err), err, typs[_i].want, typs[_i].typ);
}
END_TEST

/* The usual mistakes get a word of their own: issue 3, item 8; sdk-parity.md section 7.2. */
static const struct { const char *name, *claims, *typ; bool any; enum bg_reason want; const char *detail; } mistakes[] = {
	{ "an ID token by its nonce", "\"aud\":\"client\",\"nonce\":\"n\"", NULL, false, BG_R_ID_TOKEN, "aud \"client\" is a client" },
	{ "an ID token by at_hash", "\"aud\":[\"client\"],\"at_hash\":\"h\"", NULL, false, BG_R_ID_TOKEN,
	    "ask for the audience \"https://api.example\"" },
	{ "an ID token by c_hash", "\"aud\":\"client\",\"c_hash\":\"h\"", NULL, false, BG_R_ID_TOKEN, "an ID token" },
	{ "an ID token by s_hash", "\"aud\":\"client\",\"s_hash\":\"h\"", NULL, false, BG_R_ID_TOKEN, "an ID token" },
	{ "a nonce, and our audience", "\"aud\":\"https://api.example\",\"nonce\":\"n\"", NULL, false, BG_R_OK, "" },
	{ "another audience and no nonce", "\"aud\":\"client\"", NULL, false, BG_R_WRONG_AUDIENCE, "expected \"https://api.example\"" },
	{ "a slash too many", "\"aud\":\"https://api.example/\"", NULL, false, BG_R_WRONG_AUDIENCE, "differ by the slash" },
	{ "a slash too many in an array", "\"aud\":[\"https://api.example/\"]", NULL, false, BG_R_WRONG_AUDIENCE, "differ by the slash" },
	{ "two slashes too many", "\"aud\":\"https://api.example//\"", NULL, false, BG_R_WRONG_AUDIENCE, "expected" },
	{ "no audience", "\"x\":1", NULL, false, BG_R_WRONG_AUDIENCE, "aud is missing" },
	/* where any audience will do, nothing but its hashes tells an ID token */
	{ "any audience, a hash", "\"aud\":\"client\",\"at_hash\":\"h\"", NULL, true, BG_R_ID_TOKEN, "an ID token" },
	{ "any audience, a nonce alone", "\"aud\":\"client\",\"nonce\":\"n\"", NULL, true, BG_R_OK, "" },
	{ "any audience, a hash, said to be an access token", "\"at_hash\":\"h\"", "at+jwt", true, BG_R_OK, "" },
	{ "any audience", "\"aud\":\"client\"", NULL, true, BG_R_OK, "" },
};

START_TEST(a_usual_mistake_is_called_by_its_name)
{
	struct bg_issuer issuer = { .name = (char[]){ "i" }, .audiences = one, .n_audiences = 1, .any_audience = mistakes[_i].any };
	struct bg_claims claims;
	struct bg_error err = { 0 };
	struct bg_token token;
	char text[256];

	bg_format(text, sizeof(text), "{\"iss\":\"i\",\"exp\":1,\"iat\":1,%s}", mistakes[_i].claims);
	ck_assert_int_eq(read_claims(text, &token, &claims, &err), 0);
	claims.typ = bg_slice_str(mistakes[_i].typ);
	ck_reason(bg_claims_check_issuer(&claims, &issuer, &err), err, mistakes[_i].want, mistakes[_i].name);
	ck_assert_msg(strstr(err.detail, mistakes[_i].detail) != NULL, "%s: %s", mistakes[_i].name, err.detail);
	json_decref(token.payload);
}
END_TEST

START_TEST(an_issuer_is_checked_once_more)	/* SR-42 */
{
	static const char *const others[] = { "", "I", "i/", "ii", "x" };
	struct bg_issuer issuer = { .name = (char[]){ "i" }, .any_audience = true };

	for (int i = 0; i < N(others); i++) {
		struct bg_claims claims = { .iss = bg_slice_str(others[i]) };
		struct bg_error err = { 0 };

		ck_reason(bg_claims_check_issuer(&claims, &issuer, &err), err, BG_R_WRONG_ISSUER, others[i]);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("claims");
	TCase *tc = tcase_create("claims");

	tcase_add_loop_test(tc, a_token_is_good_from_nbf_until_before_exp, 0, N(times));
	tcase_add_loop_test(tc, a_claim_of_the_wrong_type_is_refused, 0, N(typed));
	tcase_add_loop_test(tc, a_numeric_date_is_whole_seconds_rounded_up, 0, N(dates));
	tcase_add_test(tc, a_token_without_exp_or_iat_is_refused);
	tcase_add_loop_test(tc, one_of_our_audiences_must_be_among_those_of_the_token, 0, N(audiences));
	tcase_add_test(tc, an_audience_array_is_bounded);
	tcase_add_loop_test(tc, a_type_that_is_required_is_there, 0, N(typs));
	tcase_add_loop_test(tc, a_usual_mistake_is_called_by_its_name, 0, N(mistakes));
	tcase_add_test(tc, an_issuer_is_checked_once_more);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
