#include "core/export.h"

#include <stdint.h>

#include "core/b64url.h"
#include "core/limits.h"
#include "core/log.h"
#include "tests/support/run.h"

/* What is exported unless told otherwise, as conf/build.c makes it. */
static struct bg_export list[16];
static struct bg_exports exports = { .exports = list, .user_claim = (char[]){ "sub" } };
static char names[16][32];

static void
make_exports(void)
{
	for (size_t i = 0; bg_export_defaults[i] != NULL; i++) {
		struct bg_slice name;
		struct bg_buf buf;

		bg_buf_init(&buf, sizeof(names[0]) - 1);
		bg_export_name(bg_export_defaults[i], &buf);
		ck_assert_int_eq(bg_buf_finish(&buf, &name, NULL), 0);
		bg_format(names[i], sizeof(names[i]), "%s", name.ptr);
		bg_buf_clear(&buf);
		list[i] = (struct bg_export){ .claim = (char *)(uintptr_t)bg_export_defaults[i], .name = names[i] };
		exports.n_exports = i + 1;
	}
}

/* The variables of a payload as "NAME=value\n" lines in buf. */
static void
export_of(const char *payload, struct bg_buf *lines, int want)
{
	struct bg_token token = { .payload = json_loads(payload, 0, NULL) };
	struct bg_slice rest, name, value;
	struct bg_claims claims;
	struct bg_buf out;

	make_exports();
	ck_assert_msg(token.payload != NULL, "%s", payload);
	ck_assert_msg(bg_claims_read(&token, &claims, NULL) == 0, "%s", payload);
	bg_buf_init(&out, BG_ANSWER_MAX);
	bg_buf_init(lines, 2 * BG_ANSWER_MAX);
	ck_assert_int_eq(bg_export(&exports, BG_SCHEME_BEARER, &claims, &out, NULL), want);
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

START_TEST(auth_type_is_the_scheme_that_was_used)
{
	struct bg_exports none = { .user_claim = NULL };
	json_t *all = json_object();
	struct bg_claims claims = { .all = all };
	struct bg_slice rest, name, value;
	struct bg_buf out;

	bg_buf_init(&out, 100);
	ck_assert_int_eq(bg_export(&none, _i == 0 ? BG_SCHEME_BEARER : BG_SCHEME_DPOP, &claims, &out, NULL), 0);
	rest = (struct bg_slice){ out.data, out.len };
	ck_assert(bg_export_next(&rest, &name, &value) && bg_slice_equal(name, BG_SLICE("AUTH_TYPE")));
	ck_assert(bg_slice_equal(value, _i == 0 ? BG_SLICE("Bearer") : BG_SLICE("DPoP")));
	bg_buf_clear(&out);
	json_decref(all);
}
END_TEST

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

START_TEST(what_no_server_takes_is_no_allow)
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
		export_of(text.ptr, &lines, more == 1 ? -1 : 0);
		ck_assert(more == 1 || strstr(lines.data, "CLAIM_JTI=xxx") != NULL);
		bg_buf_clear(&lines);
		bg_buf_clear(&payload);
	}
}
END_TEST

static const struct { const char *claim, *variable; } variables[] = {
	{ "sub", "CLAIM_SUB" }, { "org_id", "CLAIM_ORG_ID" }, { "/realm_access/roles", "CLAIM_ROLES" }, { "x-y.z", "CLAIM_X_Y_Z" },
	{ "https://e.example/roles", "CLAIM_HTTPS___E_EXAMPLE_ROLES" }, { "/a~1b", "CLAIM_A_1B" }, { "R\xc3\xb6le", "CLAIM_R__LE" },
	{ "a\r\nb", "CLAIM_A__B" }, { "9", "CLAIM_9" }, { "", "CLAIM_" }, { "/", "CLAIM_" }, { "a b=c:", "CLAIM_A_B_C_" },
};

START_TEST(a_claim_makes_a_name_of_capitals_and_digits)	/* SR-80 */
{
	struct bg_slice name;
	struct bg_buf buf;

	bg_buf_init(&buf, 256);
	bg_export_name(variables[_i].claim, &buf);
	ck_assert_int_eq(bg_buf_finish(&buf, &name, NULL), 0);
	ck_assert_str_eq(name.ptr, variables[_i].variable);
	ck_assert_msg(bg_export_name_wrong(name.ptr) == NULL, "%s", name.ptr);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_variable_cannot_take_the_name_of_another_thing)	/* SR-80, SR-81 */
{
	static const char *const good[] = { "ROLES", "CLAIM_SUB", "X", "A1", "_X", "ORG_ID", "HTTP", "USER_ID", "PATROL", "ENVIRONMENT", "LANGUAGE" };
	static const char *const bad[] = { "", "1A", "roles", "Roles", "A-B", "A B", "A=B", "A\nB", "A:", "R\xc3\x96LE", "HTTP_X", "HTTP_HOST",
		"HTTP_AUTHORIZATION", "HTTP_PROXY", "HTTPS", "REDIRECT_X", "REDIRECT_HTTP_X", "BEARERGATE_SCOPE", "SSL_CLIENT_CERT",
		"CONTENT_LENGTH", "CONTENT_TYPE", "PATH", "PATH_INFO", "PATH_TRANSLATED", "QUERY_STRING", "REMOTE_USER", "REMOTE_ADDR",
		"REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME", "SCRIPT_FILENAME", "SERVER_NAME", "SERVER_PROTOCOL", "GATEWAY_INTERFACE",
		"AUTH_TYPE", "DOCUMENT_ROOT", "CONTEXT_PREFIX", "CLAIMS_JSON", "FCGI_ROLE", "UNIQUE_ID", "LD_PRELOAD", "LD_LIBRARY_PATH",
		"DYLD_INSERT_LIBRARIES", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "PS4", "PERL5OPT", "PERL5LIB", "PYTHONPATH", "RUBYOPT",
		"NODE_OPTIONS", "PHPRC", "PHP_VALUE", "LUA_PATH", "TZ", "HOME", "TMPDIR", "LANG", "LC_ALL", "USER", "SHELL", "GCONV_PATH",
		"MALLOC_CHECK_", "GLIBC_TUNABLES", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "OPENSSL_CONF", "SSLKEYLOGFILE", "CURL_CA_BUNDLE",
		"GIT_SSH_COMMAND", "CLASSPATH", "JAVA_TOOL_OPTIONS", "NLSPATH", "HOSTALIASES", "RES_OPTIONS" };
	char name[130];

	for (int i = 0; i < N(good); i++)
		ck_assert_msg(bg_export_name_wrong(good[i]) == NULL, "%s: %s", good[i], bg_export_name_wrong(good[i]));
	for (int i = 0; i < N(bad); i++)
		ck_assert_msg(bg_export_name_wrong(bad[i]) != NULL, "%s", bad[i]);
	memset(name, 'X', sizeof(name));
	name[128] = '\0';
	ck_assert_ptr_null(bg_export_name_wrong(name));
	name[128] = 'X';
	name[129] = '\0';
	ck_assert_ptr_nonnull(bg_export_name_wrong(name));
}
END_TEST

static const struct { const char *name; struct bg_exports exports; const char *payload, *lines; } ways[] = {
#define ONE(...)	{ .exports = (struct bg_export[]){ { __VA_ARGS__ } }, .n_exports = 1 }
#define CLAIM(text)	.claim = (char[]){ text }, .name = (char[]){ "X" }
	{ "nothing said", { .json = false }, "{\"sub\":\"s\"}", "AUTH_TYPE=Bearer\n" },
	{ "missing", ONE(CLAIM("x")), "{}", "AUTH_TYPE=Bearer\n" },
	{ "joined", ONE(CLAIM("x"), .join = (char[]){ " " }), "{\"x\":[\"a\",\"b\"]}", "AUTH_TYPE=Bearer\nX=a b\n" },
	{ "joined by a word", ONE(CLAIM("x"), .join = (char[]){ ", " }), "{\"x\":[\"a\",\"b\",1,true]}", "AUTH_TYPE=Bearer\nX=a, b, 1, true\n" },
	{ "joined, one", ONE(CLAIM("x"), .join = (char[]){ " " }), "{\"x\":[\"a\"]}", "AUTH_TYPE=Bearer\nX=a\n" },
	{ "joined, none", ONE(CLAIM("x"), .join = (char[]){ " " }), "{\"x\":[]}", "AUTH_TYPE=Bearer\nX=\n" },
	{ "joined, but a string", ONE(CLAIM("x"), .join = (char[]){ "," }), "{\"x\":\"a\"}", "AUTH_TYPE=Bearer\nX=a\n" },
	/* an entry that holds the separator would be two */
	{ "not joined: the separator within", ONE(CLAIM("x"), .join = (char[]){ " " }), "{\"x\":[\"user\",\"not admin\"]}",
	    "AUTH_TYPE=Bearer\nX=[\"user\",\"not admin\"]\n" },
	{ "not joined: an array within", ONE(CLAIM("x"), .join = (char[]){ " " }), "{\"x\":[\"a\",[\"b\"]]}",
	    "AUTH_TYPE=Bearer\nX=[\"a\",[\"b\"]]\n" },
	{ "not joined: an object", ONE(CLAIM("x"), .join = (char[]){ " " }), "{\"x\":{\"a\":1}}", "AUTH_TYPE=Bearer\nX={\"a\":1}\n" },
	{ "joined and encoded", ONE(CLAIM("x"), .join = (char[]){ "\n" }), "{\"x\":[\"a\",\"b\\r\"]}", "AUTH_TYPE=Bearer\nX=a%0Ab%0D\n" },	/* SR-82 */
	{ "by pointer", ONE(CLAIM("/r/roles/0")), "{\"r\":{\"roles\":[\"admin\"]}}", "AUTH_TYPE=Bearer\nX=admin\n" },
	{ "by pointer, nothing there", ONE(CLAIM("/r/roles/1")), "{\"r\":{\"roles\":[\"admin\"]}}", "AUTH_TYPE=Bearer\n" },
	{ "by the name of a URL", ONE(CLAIM("https://e.example/x")), "{\"https://e.example/x\":\"v\"}", "AUTH_TYPE=Bearer\nX=v\n" },
	{ "base64url", ONE(CLAIM("x"), .encoding = BG_ENCODING_BASE64URL), "{\"x\":\"Cem \xc3\x96zdemir\"}", "AUTH_TYPE=Bearer\nX=Q2VtIMOWemRlbWly\n" },
	{ "base64url of nothing", ONE(CLAIM("x"), .encoding = BG_ENCODING_BASE64URL), "{\"x\":\"\"}", "AUTH_TYPE=Bearer\nX=\n" },
	{ "base64url of an array", ONE(CLAIM("x"), .encoding = BG_ENCODING_BASE64URL), "{\"x\":[1]}", "AUTH_TYPE=Bearer\nX=WzFd\n" },
	{ "base64url, joined", ONE(CLAIM("x"), .encoding = BG_ENCODING_BASE64URL, .join = (char[]){ " " }), "{\"x\":[\"a\",\"b\"]}",
	    "AUTH_TYPE=Bearer\nX=YSBi\n" },
	{ "a user by another claim", { .user_claim = (char[]){ "email" } }, "{\"sub\":\"s\",\"email\":\"m@x\"}", "REMOTE_USER=m@x\nAUTH_TYPE=Bearer\n" },
	{ "a user by pointer", { .user_claim = (char[]){ "/act/sub" } }, "{\"act\":{\"sub\":\"robot\"}}", "REMOTE_USER=robot\nAUTH_TYPE=Bearer\n" },
	{ "a user that is a number", { .user_claim = (char[]){ "uid" } }, "{\"uid\":1000}", "REMOTE_USER=1000\nAUTH_TYPE=Bearer\n" },
	{ "a user that is missing", { .user_claim = (char[]){ "email" } }, "{\"sub\":\"s\"}", "AUTH_TYPE=Bearer\n" },
	{ "a user that is an array", { .user_claim = (char[]){ "email" } }, "{\"email\":[\"admin\"]}", "AUTH_TYPE=Bearer\n" },
	{ "a user that is true", { .user_claim = (char[]){ "email" } }, "{\"email\":true}", "AUTH_TYPE=Bearer\n" },
	{ "a user that is null", { .user_claim = (char[]){ "email" } }, "{\"email\":null}", "AUTH_TYPE=Bearer\n" },
	{ "all claims", { .json = true }, "{\"a\":\"\xc3\x96\\n%\",\"b\":[1]}",
	    "AUTH_TYPE=Bearer\nCLAIMS_JSON={\"a\":\"\\u00D6\\n%25\",\"b\":[1]}\n" },
#undef ONE
#undef CLAIM
};

START_TEST(a_claim_goes_out_the_way_the_export_says)
{
	struct bg_claims claims = { .all = json_loads(ways[_i].payload, 0, NULL) };
	struct bg_slice rest, name, value, text;
	struct bg_buf out, lines;

	ck_assert_msg(claims.all != NULL, "%s", ways[_i].payload);
	bg_buf_init(&out, BG_ANSWER_MAX);
	bg_buf_init(&lines, BG_ANSWER_MAX);
	ck_assert_int_eq(bg_export(&ways[_i].exports, BG_SCHEME_BEARER, &claims, &out, NULL), 0);
	rest = (struct bg_slice){ out.data, out.len };
	while (bg_export_next(&rest, &name, &value)) {
		bg_buf_put(&lines, name);
		bg_buf_put_char(&lines, '=');
		bg_buf_put(&lines, value);
		bg_buf_put_char(&lines, '\n');
	}
	ck_assert_int_eq(bg_buf_finish(&lines, &text, NULL), 0);
	ck_assert_msg(strcmp(text.ptr, ways[_i].lines) == 0, "%s:\n%s", ways[_i].name, text.ptr);
	bg_buf_clear(&lines);
	bg_buf_clear(&out);
	json_decref((json_t *)(uintptr_t)claims.all);
}
END_TEST

/* What export.c writes by itself is what json_dumps writes: the program behind must not see a value change its form. */
static const char *const values[] = { "0", "-1", "9223372036854775807", "-9223372036854775808", "[]", "[\"\"]", "[\"a\",\"b c\"]",
	"[\"a\\\"b\"]", "[\"a\\\\b\"]", "[\"a/b\"]", "[\"\\u007f\"]", "[\"\\n\"]", "[\"\\u00d6\"]", "[\"a\",1]", "[1,\"a\"]", "[[\"a\"],\"b\"]",
	"[{}]", "[null]", "{}", "{\"b\":[\"a\"],\"a\":1}", "true", "-1.5e300" };

START_TEST(a_value_has_the_text_that_jansson_writes)
{
	struct bg_export one = { .claim = (char[]){ "x" }, .name = (char[]){ "X" }, .encoding = BG_ENCODING_BASE64URL };
	struct bg_exports only = { .exports = &one, .n_exports = 1 };
	char entry[600] = "", expected[1000];
	struct bg_slice rest, name, value;
	json_t *all, *x;
	struct bg_buf out;
	char *text;

	/* behind the table, arrays about as long as the room there is */
	if (_i >= N(values))
		memset(entry, 'x', (size_t)(500 + _i - N(values)));
	x = _i < N(values) ? json_loads(values[_i], JSON_DECODE_ANY, NULL) : json_pack("[s]", entry);
	ck_assert_ptr_nonnull(x);
	all = json_pack("{s:o}", "x", x);
	text = json_dumps(x, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_assert_int_eq(bg_export(&only, BG_SCHEME_BEARER, &(struct bg_claims){ .all = all }, &out, NULL), 0);
	rest = (struct bg_slice){ out.data, out.len };
	ck_assert(bg_export_next(&rest, &name, &value) && bg_export_next(&rest, &name, &value));
	bg_b64url_encode(expected, (const unsigned char *)text, strlen(text));
	expected[BG_B64URL_ENCODED(strlen(text))] = '\0';
	ck_assert_msg(bg_slice_equal(value, bg_slice_str(expected)), "%s: %.*s", text, BG_SLICE_ARG(value));
	bg_buf_clear(&out);
	free(text);
	json_decref(all);
}
END_TEST

START_TEST(nobody_is_known_by_any_name)	/* SR-84 */
{
	static const char lines[] = "REMOTE_USER\0\0AUTH_TYPE\0\0CLAIM_ISS\0\0";
	static const char end[] = "CLAIM_ORG_ID\0\0CLAIMS_JSON\0";
	struct bg_exports all;
	struct bg_buf out;

	make_exports();
	all = exports;
	all.json = true;
	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_assert_int_eq(bg_export(&all, BG_SCHEME_BEARER, NULL, &out, NULL), 0);
	ck_assert_uint_gt(out.len, sizeof(lines) + sizeof(end));
	ck_assert_int_eq(memcmp(out.data, lines, sizeof(lines) - 1), 0);
	ck_assert_int_eq(memcmp(out.data + out.len - sizeof(end), end, sizeof(end)), 0);
	bg_buf_clear(&out);
}
END_TEST

/* For a server that makes something of its own of a header that is not there (interop 3.E). */
static const struct { const char *name, *payload; int found; } partly[] = {
	{ "no claim", "{}", 1 },	/* AUTH_TYPE alone */
	{ "a user", "{\"sub\":\"alice\"}", 3 },
	{ "a user who is no plain value", "{\"sub\":[\"alice\"],\"jti\":null}", 3 },
	{ "an empty claim is there", "{\"sub\":\"\",\"org_id\":\"x\"}", 4 },
};

START_TEST(with_what_is_missing_every_name_is_there_once)
{
	struct bg_claims claims = { .all = json_loads(partly[_i].payload, 0, NULL) };
	struct bg_slice rest, name, value;
	struct bg_buf out;
	size_t found = 0;

	make_exports();
	bg_buf_init(&out, BG_ANSWER_MAX);
	ck_assert_int_eq(bg_export(&exports, BG_SCHEME_BEARER, &claims, &out, NULL), 0);
	rest = (struct bg_slice){ out.data, out.len };
	while (bg_export_next(&rest, &name, &value))
		found++;
	ck_assert_msg(found == (size_t)partly[_i].found, "%s: %zu", partly[_i].name, found);
	ck_assert_int_eq(bg_export_missing(&exports, &claims, &out, NULL), 0);
	rest = (struct bg_slice){ out.data, out.len };
	for (size_t i = 0; bg_export_next(&rest, &name, &value); i++) {
		struct bg_slice others = rest, other, ignored;

		ck_assert_msg(i < found || value.len == 0, "%s: %.*s", partly[_i].name, BG_SLICE_ARG(name));
		while (bg_export_next(&others, &other, &ignored))
			ck_assert_msg(!bg_slice_equal(name, other), "%s: %.*s twice", partly[_i].name, BG_SLICE_ARG(name));
		found += i >= found;
	}
	ck_assert_uint_eq(found, exports.n_exports + 2);
	bg_buf_clear(&out);
	bg_buf_init(&out, 8);
	ck_assert_int_eq(bg_export_missing(&exports, &claims, &out, NULL), -1);
	bg_buf_clear(&out);
	json_decref((json_t *)(uintptr_t)claims.all);
}
END_TEST

START_TEST(an_answer_that_is_full_is_a_failure)
{
	struct bg_claims claims = { .all = json_pack("{s:s,s:s}", "sub", "somebody", "jti", "something") };
	struct bg_error err = { 0 };
	struct bg_buf out;

	make_exports();
	for (size_t max = 0; max < 80; max++) {
		bg_buf_init(&out, max);
		bg_error_clear(&err);
		if (bg_export(&exports, BG_SCHEME_BEARER, &claims, &out, &err) == 0)
			ck_assert_uint_ge(max, 70);
		else
			ck_assert_int_eq(err.reason, BG_R_INTERNAL);
		bg_buf_clear(&out);
	}
	json_decref((json_t *)(uintptr_t)claims.all);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("export");
	TCase *tc = tcase_create("export");

	tcase_add_loop_test(tc, auth_type_is_the_scheme_that_was_used, 0, 2);
	tcase_add_loop_test(tc, claims_become_variables_of_printable_ascii, 0, N(cases));
	tcase_add_test(tc, every_control_character_is_encoded);
	tcase_add_test(tc, what_no_server_takes_is_no_allow);
	tcase_add_loop_test(tc, a_claim_makes_a_name_of_capitals_and_digits, 0, N(variables));
	tcase_add_test(tc, a_variable_cannot_take_the_name_of_another_thing);
	tcase_add_loop_test(tc, a_value_has_the_text_that_jansson_writes, 0, N(values) + 20);
	tcase_add_loop_test(tc, a_claim_goes_out_the_way_the_export_says, 0, N(ways));
	tcase_add_test(tc, nobody_is_known_by_any_name);
	tcase_add_loop_test(tc, with_what_is_missing_every_name_is_there_once, 0, N(partly));
	tcase_add_test(tc, an_answer_that_is_full_is_a_failure);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
