#include <check.h>
#include <stdlib.h>

#include "core/discovery.h"
#include "core/limits.h"

#define N(table)	(int)(sizeof(table) / sizeof((table)[0]))
#define ISSUER		"https://issuer.example/"
#define JWKS		"\"jwks_uri\":\"https://issuer.example/keys\""

static const struct { const char *issuer, *url, *oauth; } places[] = {
	/* OpenID Connect Discovery 1.0 section 4.1: a terminating slash goes, a path stays. */
	/* RFC 8414 section 3.1: the same slash goes, and the path comes last. */
	{ "https://tenant.eu.auth0.com/", "https://tenant.eu.auth0.com/.well-known/openid-configuration",
	    "https://tenant.eu.auth0.com/.well-known/oauth-authorization-server" },
	{ "https://accounts.example", "https://accounts.example/.well-known/openid-configuration",
	    "https://accounts.example/.well-known/oauth-authorization-server" },
	{ "https://idp.example/realms/x", "https://idp.example/realms/x/.well-known/openid-configuration",
	    "https://idp.example/.well-known/oauth-authorization-server/realms/x" },
	{ "https://idp.example/realms/x/", "https://idp.example/realms/x/.well-known/openid-configuration",
	    "https://idp.example/.well-known/oauth-authorization-server/realms/x" },
	{ "https://idp.example:8443", "https://idp.example:8443/.well-known/openid-configuration",
	    "https://idp.example:8443/.well-known/oauth-authorization-server" },
	{ "https://[2001:db8::1]/a", "https://[2001:db8::1]/a/.well-known/openid-configuration",
	    "https://[2001:db8::1]/.well-known/oauth-authorization-server/a" },
};

START_TEST(the_document_is_at_one_of_two_well_known_places)
{
	struct bg_error err = { .reason = BG_R_OK };
	struct bg_slice text;
	struct bg_buf url;

	bg_buf_init(&url, BG_URL_MAX);
	bg_discovery_url(bg_slice_str(places[_i].issuer), BG_DISCOVERY_OPENID, &url);
	ck_assert_int_eq(bg_buf_finish(&url, &text, &err), 0);
	ck_assert_str_eq(text.ptr, places[_i].url);
	bg_buf_reset(&url);
	bg_discovery_url(bg_slice_str(places[_i].issuer), BG_DISCOVERY_OAUTH, &url);
	ck_assert_int_eq(bg_buf_finish(&url, &text, &err), 0);
	ck_assert_str_eq(text.ptr, places[_i].oauth);
	bg_buf_clear(&url);
}
END_TEST

static int
read_text(struct bg_slice text, const char *issuer, struct bg_buf *uri, struct bg_error *err)
{
	*err = (struct bg_error){ .reason = BG_R_OK };
	return bg_discovery_read(text, bg_slice_str(issuer), uri, err);
}

static const struct { const char *name, *issuer, *text, *uri; } good[] = {
	{ "the two members we need", ISSUER, "{\"issuer\":\"" ISSUER "\"," JWKS "}", "https://issuer.example/keys" },
	{ "among others", ISSUER, "{\"response_types_supported\":[\"code\"],\"issuer\":\"" ISSUER "\"," JWKS ",\"x\":null}",
	    "https://issuer.example/keys" },
	{ "keys on another host", ISSUER,	/* design.md section 5 */
	    "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example:8443/a?b=c\"}", "https://keys.example:8443/a?b=c" },
	{ "escaped slashes", ISSUER,		/* as some issuers write JSON; RFC 8259 section 7 */
	    "{\"issuer\":\"https:\\/\\/issuer.example\\/\",\"jwks_uri\":\"https:\\/\\/issuer.example\\/keys\"}",
	    "https://issuer.example/keys" },
	{ "without a slash on both sides", "https://issuer.example", "{\"issuer\":\"https://issuer.example\"," JWKS "}",
	    "https://issuer.example/keys" },
};

START_TEST(jwks_uri_is_taken_from_the_document_of_our_issuer)
{
	struct bg_slice text;
	struct bg_error err;
	struct bg_buf uri;

	bg_buf_init(&uri, BG_URL_MAX);
	bg_buf_put_str(&uri, "what was there before");
	ck_assert_msg(read_text(bg_slice_str(good[_i].text), good[_i].issuer, &uri, &err) == 0, "%s: %s", good[_i].name,
	    err.detail);
	ck_assert_int_eq(bg_buf_finish(&uri, &text, &err), 0);
	ck_assert_str_eq(text.ptr, good[_i].uri);
	bg_buf_clear(&uri);
}
END_TEST

static const struct { const char *name, *text, *words; } bad[] = {
	{ "nothing", "", "JSON" },
	{ "no JSON", "<html>", "JSON" },
	{ "cut off", "{\"issuer\":\"" ISSUER "\"," JWKS, "JSON" },
	{ "an array", "[]", "an object was expected, not an array" },				/* SR-27 */
	{ "text behind", "{\"issuer\":\"" ISSUER "\"," JWKS "}{}", "JSON" },
	{ "issuer twice", "{\"issuer\":\"" ISSUER "\",\"issuer\":\"" ISSUER "\"," JWKS "}", "JSON" },	/* SR-27 */
	{ "no issuer", "{" JWKS "}", "the discovery document has no issuer" },
	{ "issuer is a number", "{\"issuer\":1," JWKS "}", "issuer in the discovery document is a number, not a string" },
	{ "issuer is null", "{\"issuer\":null," JWKS "}", "issuer in the discovery document is null, not a string" },
	{ "issuer is an array", "{\"issuer\":[\"" ISSUER "\"]," JWKS "}", "issuer in the discovery document is an array" },

	/* SR-42, SR-46: byte for byte. */
	{ "another issuer", "{\"issuer\":\"https://evil.example/\"," JWKS "}",
	    "issuer is \"https://evil.example/\", expected \"" ISSUER "\"" },
	{ "slash missing", "{\"issuer\":\"https://issuer.example\"," JWKS "}",
	    "issuer is \"https://issuer.example\", expected \"" ISSUER "\": one has a slash at its end" },	/* SR-43 */
	{ "slash too many", "{\"issuer\":\"" ISSUER "/\"," JWKS "}", "one has a slash at its end" },
	{ "longer", "{\"issuer\":\"" ISSUER "x\"," JWKS "}", "issuer is \"" ISSUER "x\", expected \"" ISSUER "\"" },
	{ "shorter", "{\"issuer\":\"https://issuer.exampl\"," JWKS "}", "issuer is \"https://issuer.exampl\"" },
	{ "other case", "{\"issuer\":\"https://Issuer.example/\"," JWKS "}", "issuer is \"https://Issuer.example/\"" },
	{ "empty issuer", "{\"issuer\":\"\"," JWKS "}", "issuer is \"\", expected" },
	{ "a zero byte", "{\"issuer\":\"" ISSUER "\\u0000\"," JWKS "}", "" },
	{ "a look-alike", "{\"issuer\":\"https://issuer.ex\\u0430mple/\"," JWKS "}", "expected \"" ISSUER "\"" },

	{ "no jwks_uri", "{\"issuer\":\"" ISSUER "\"}", "the discovery document has no jwks_uri" },
	{ "jwks_uri is an object", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":{}}",
	    "jwks_uri in the discovery document is an object, not a string" },
	{ "jwks_uri is true", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":true}", "jwks_uri in the discovery document is true" },
	{ "jwks_uri over http", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://issuer.example/keys\"}",
	    "jwks_uri \"http://issuer.example/keys\" begins with http://" },			/* SR-52 */
	{ "jwks_uri is a file", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"file:///etc/passwd\"}",
	    "jwks_uri \"file:///etc/passwd\" does not begin with https://" },			/* SR-52 */
	{ "jwks_uri is relative", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"/keys\"}", "jwks_uri \"/keys\" does not begin" },
	{ "jwks_uri is empty", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"\"}", "jwks_uri \"\" is empty" },
	{ "jwks_uri with credentials", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://a:b@issuer.example/\"}",
	    "has credentials in it" },
	{ "jwks_uri with a line break", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://issuer.example/\\nx\"}",
	    "has white space in it" },
};

START_TEST(a_bad_document_is_refused_with_what_is_wrong_in_it)
{
	struct bg_error err;
	struct bg_buf uri;

	bg_buf_init(&uri, BG_URL_MAX);
	ck_assert_int_eq(read_text(bg_slice_str(bad[_i].text), ISSUER, &uri, &err), -1);
	ck_assert_msg(err.reason == BG_R_BAD_DISCOVERY, "%s: %s", bad[_i].name, bg_reason_name(err.reason));
	ck_assert_msg(strstr(err.detail, bad[_i].words) != NULL, "%s: \"%s\" is not in: %s", bad[_i].name, bad[_i].words,
	    err.detail);
	ck_assert_uint_eq(uri.len, 0);
	bg_buf_clear(&uri);
}
END_TEST

START_TEST(jwks_uri_above_the_callers_ceiling_is_refused)
{
	struct bg_error err;
	struct bg_buf uri;

	bg_buf_init(&uri, 10);
	ck_assert_int_eq(read_text(bg_slice_str(good[0].text), ISSUER, &uri, &err), -1);
	ck_assert_int_eq(err.reason, BG_R_BAD_DISCOVERY);
	ck_assert_str_eq(err.detail, "jwks_uri is longer than 10 bytes");
	bg_buf_clear(&uri);
}
END_TEST

/* SR-24: every beginning of a good document, whatever byte it ends with. */
START_TEST(no_part_of_a_document_passes_for_the_whole)
{
	size_t len = strlen(good[1].text);

	for (size_t n = 0; n < len; n++) {
		char *part = malloc(n + 1);	/* of its own, so that a byte too far is seen under ASan */
		struct bg_error err;
		struct bg_buf uri;

		ck_assert_ptr_nonnull(part);
		memcpy(part, good[1].text, n);
		part = realloc(part, n > 0 ? n : 1);
		ck_assert_ptr_nonnull(part);
		bg_buf_init(&uri, BG_URL_MAX);
		ck_assert_int_eq(read_text((struct bg_slice){ part, n }, ISSUER, &uri, &err), -1);
		ck_assert_int_eq(err.reason, BG_R_BAD_DISCOVERY);
		bg_buf_clear(&uri);
		free(part);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("discovery");
	TCase *tc = tcase_create("discovery");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, the_document_is_at_one_of_two_well_known_places, 0, N(places));
	tcase_add_loop_test(tc, jwks_uri_is_taken_from_the_document_of_our_issuer, 0, N(good));
	tcase_add_loop_test(tc, a_bad_document_is_refused_with_what_is_wrong_in_it, 0, N(bad));
	tcase_add_test(tc, jwks_uri_above_the_callers_ceiling_is_refused);
	tcase_add_test(tc, no_part_of_a_document_passes_for_the_whole);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
