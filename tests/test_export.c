#include "core/export.h"

#include "core/limits.h"
#include "core/log.h"
#include "tests/support/run.h"

/* The variables of a payload as "NAME=value\n" lines in buf. */
static void
export_of(const char *payload, struct bg_buf *lines, int want)
{
	struct bg_token token = { .payload = json_loads(payload, 0, NULL) };
	struct bg_slice rest, name, value;
	struct bg_claims claims;
	struct bg_buf out;

	ck_assert_msg(token.payload != NULL, "%s", payload);
	ck_assert_msg(bg_claims_read(&token, &claims, NULL) == 0, "%s", payload);
	bg_buf_init(&out, BG_ANSWER_MAX);
	bg_buf_init(lines, 2 * BG_ANSWER_MAX);
	ck_assert_int_eq(bg_export(&claims, &out, NULL), want);
	rest = (struct bg_slice){ out.data, want == 0 ? out.len : 0 };
	while (bg_export_next(&rest, &name, &value)) {
		bg_buf_put(lines, name);
		bg_buf_put_char(lines, '=');
		bg_buf_put(lines, value);
		bg_buf_put_char(lines, '\n');
	}
	ck_assert_uint_eq(rest.len, 0);
	ck_assert_int_eq(bg_buf_finish(lines, &rest, NULL), 0);
	bg_buf_clear(&out);
	json_decref(token.payload);
}

#define TIMES		"\"exp\":2,\"iat\":1"
#define TIMES_OUT	"CLAIM_EXP=2\nCLAIM_IAT=1\n"

static const struct { const char *name, *payload, *lines; } cases[] = {
	{ "no sub: no user", "{" TIMES "}", "AUTH_TYPE=Bearer\n" TIMES_OUT },
	{ "sub is the user", "{\"sub\":\"me\"," TIMES "}", "REMOTE_USER=me\nAUTH_TYPE=Bearer\nCLAIM_SUB=me\n" TIMES_OUT },
	{ "the default list", "{\"iss\":\"i\",\"sub\":\"s\",\"aud\":\"a\",\"exp\":2,\"iat\":1,\"nbf\":1,\"jti\":\"j\",\"scope\":\"x y\","
	    "\"permissions\":[\"p\",\"q\"],\"azp\":\"z\",\"client_id\":\"c\",\"org_id\":\"o\",\"other\":\"no\",\"PATH\":\"/evil\"}",
	    "REMOTE_USER=s\nAUTH_TYPE=Bearer\nCLAIM_ISS=i\nCLAIM_SUB=s\nCLAIM_AUD=a\nCLAIM_EXP=2\nCLAIM_IAT=1\nCLAIM_NBF=1\n"
	    "CLAIM_JTI=j\nCLAIM_SCOPE=x y\nCLAIM_PERMISSIONS=[\"p\",\"q\"]\nCLAIM_AZP=z\nCLAIM_CLIENT_ID=c\nCLAIM_ORG_ID=o\n" },
	{ "an array as compact JSON", "{\"aud\":[\"a\", \"b\"]," TIMES "}", "AUTH_TYPE=Bearer\nCLAIM_AUD=[\"a\",\"b\"]\n" TIMES_OUT },
	{ "a line feed makes no header", "{\"sub\":\"a\\r\\nStatus: 200\"," TIMES "}",
	    "REMOTE_USER=a%0D%0AStatus: 200\nAUTH_TYPE=Bearer\nCLAIM_SUB=a%0D%0AStatus: 200\n" TIMES_OUT },	/* SR-82 */
	{ "names beyond ASCII", "{\"sub\":\"Cem \xc3\x96zdemir\"," TIMES "}",
	    "REMOTE_USER=Cem %C3%96zdemir\nAUTH_TYPE=Bearer\nCLAIM_SUB=Cem %C3%96zdemir\n" TIMES_OUT },	/* SR-82 */
	{ "a percent sign stays unambiguous", "{\"sub\":\"100%0A\"," TIMES "}",
	    "REMOTE_USER=100%250A\nAUTH_TYPE=Bearer\nCLAIM_SUB=100%250A\n" TIMES_OUT },
	{ "spaces at the ends survive trimming", "{\"sub\":\" admin \"," TIMES "}",
	    "REMOTE_USER=%20admin%20\nAUTH_TYPE=Bearer\nCLAIM_SUB=%20admin%20\n" TIMES_OUT },
	{ "one space", "{\"sub\":\" \"," TIMES "}", "REMOTE_USER=%20\nAUTH_TYPE=Bearer\nCLAIM_SUB=%20\n" TIMES_OUT },
	{ "tab, escape and delete", "{\"sub\":\"\\t\\u001b\\u007f\"," TIMES "}",
	    "REMOTE_USER=%09%1B%7F\nAUTH_TYPE=Bearer\nCLAIM_SUB=%09%1B%7F\n" TIMES_OUT },
	{ "an empty sub", "{\"sub\":\"\"," TIMES "}", "REMOTE_USER=\nAUTH_TYPE=Bearer\nCLAIM_SUB=\n" TIMES_OUT },
	{ "other types", "{\"jti\":null,\"azp\":true,\"client_id\":1.5,\"org_id\":{\"a\":\"\xc3\x96\\n\"}," TIMES "}",
	    "AUTH_TYPE=Bearer\n" TIMES_OUT "CLAIM_JTI=null\nCLAIM_AZP=true\nCLAIM_CLIENT_ID=1.5\n"
	    "CLAIM_ORG_ID={\"a\":\"\\u00D6\\n\"}\n" },
};

START_TEST(claims_become_variables_of_printable_ascii)
{
	struct bg_buf lines;

	export_of(cases[_i].payload, &lines, 0);
	ck_assert_msg(strcmp(lines.data, cases[_i].lines) == 0, "%s:\n%s", cases[_i].name, lines.data);
	bg_buf_clear(&lines);
}
END_TEST

START_TEST(every_control_character_is_encoded)	/* SR-82 */
{
	for (unsigned c = 1; c < 0x80; c++) {
		char payload[128];
		struct bg_buf lines;
		char *at;

		bg_format(payload, sizeof(payload), "{\"jti\":\"a\\u%04xb\"," TIMES "}", c);
		export_of(payload, &lines, 0);
		for (at = lines.data; *at != '\0'; at++)
			ck_assert_msg(*at == '\n' || (*at >= 0x20 && *at < 0x7f), "U+%04x left as it was", c);
		ck_assert_ptr_nonnull(strstr(lines.data, "CLAIM_JTI=a"));
		bg_buf_clear(&lines);
	}
}
END_TEST

START_TEST(what_no_server_takes_is_left_out)
{
	for (int more = 0; more < 2; more++) {
		struct bg_buf payload, lines;
		struct bg_slice text;

		bg_log_open(2, BG_LOG_ERROR);
		bg_buf_init(&payload, 20000);
		bg_buf_put_str(&payload, "{\"jti\":\"");
		for (int i = 0; i < BG_EXPORT_VALUE_MAX + more; i++)
			bg_buf_put_char(&payload, 'x');
		bg_buf_put_str(&payload, "\"," TIMES "}");
		ck_assert_int_eq(bg_buf_finish(&payload, &text, NULL), 0);
		export_of(text.ptr, &lines, 0);
		ck_assert((strstr(lines.data, "CLAIM_JTI=") == NULL) == (more == 1));
		ck_assert_ptr_nonnull(strstr(lines.data, TIMES_OUT));
		bg_buf_clear(&lines);
		bg_buf_clear(&payload);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("export");
	TCase *tc = tcase_create("export");

	tcase_add_loop_test(tc, claims_become_variables_of_printable_ascii, 0, N(cases));
	tcase_add_test(tc, every_control_character_is_encoded);
	tcase_add_test(tc, what_no_server_takes_is_left_out);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
