#include "cgi/metavars.h"

#include <stdint.h>

#include "core/buf.h"
#include "tests/support/run.h"

#define MAX_ENV	6

static const struct {
	const char    *name;
	const char    *env[MAX_ENV + 1];
	const char    *authorization;
	bool           two;
	enum bg_reason want;
} cases[] = {
	{ "nothing at all", { NULL }, NULL, false, BG_R_OK },
	{ "the header", { "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "the header, empty", { "HTTP_AUTHORIZATION=" }, "", false, BG_R_OK },
	{ "after a redirect", { "REDIRECT_HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },	/* users.md row 3 */
	{ "after three", { "REDIRECT_REDIRECT_REDIRECT_HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "before and after, equal", { "REDIRECT_HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "before and after, different", { "REDIRECT_HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer b" }, "Bearer a", true, BG_R_OK },
	{ "an empty one before", { "HTTP_AUTHORIZATION=", "REDIRECT_HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "an empty one after", { "HTTP_AUTHORIZATION=Bearer a", "REDIRECT_HTTP_AUTHORIZATION=" }, "Bearer a", false, BG_R_OK },
	{ "twice", { "HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer b" }, "Bearer a", true, BG_R_OK },	/* SR-73 */
	{ "twice the same", { "HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", true, BG_R_OK },
	{ "twice, once empty", { "HTTP_AUTHORIZATION=", "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "another header", { "HTTP_X_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION_X=Bearer a" }, NULL, false, BG_R_OK },
	{ "in small letters", { "http_authorization=Bearer a" }, NULL, false, BG_R_OK },
	{ "no equals sign", { "HTTP_AUTHORIZATION", "BEARERGATE_SCOPE", "=", "" }, NULL, false, BG_R_OK },	/* SR-23 */
	{ "a scope", { "BEARERGATE_SCOPE=read:a write:b" }, NULL, false, BG_R_OK },
	{ "a scope, empty", { "BEARERGATE_SCOPE=" }, NULL, false, BG_R_OK },
	{ "a scope, twice", { "BEARERGATE_SCOPE=a", "BEARERGATE_SCOPE=a" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a scope with a quote", { "BEARERGATE_SCOPE=a\"b" }, NULL, false, BG_R_BAD_VARIABLE },	/* RFC 6749 section 3.3 */
	{ "a scope with a line feed", { "BEARERGATE_SCOPE=a\nb" }, NULL, false, BG_R_BAD_VARIABLE },	/* SR-23 */
	{ "a scope with a byte above ASCII", { "BEARERGATE_SCOPE=a\xff" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a variable nobody knows", { "BEARERGATE_SCOPES=a" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a variable of a later version", { "HTTP_AUTHORIZATION=Bearer a", "BEARERGATE_POLICY=admins" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "the prefix alone", { "BEARERGATE_=" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a client's header of that name", { "HTTP_BEARERGATE_SCOPE=a" }, NULL, false, BG_R_OK },
};

START_TEST(meta_variables_become_a_request)
{
	struct bg_error err = { 0 };
	struct bg_request request;
	struct bg_slice want = bg_slice_str(cases[_i].authorization);

	ck_reason(bg_metavars_read((char *const *)(uintptr_t)cases[_i].env, &request, &err), err, cases[_i].want, cases[_i].name);
	ck_assert_msg(bg_slice_equal(request.authorization, want) && (request.authorization.ptr == NULL) == (want.ptr == NULL),
	    "%s", cases[_i].name);
	ck_assert_msg(request.two_authorizations == cases[_i].two, "%s", cases[_i].name);
}
END_TEST

START_TEST(each_variable_goes_to_its_member)
{
	const char *env[] = { "REQUEST_METHOD=POST", "REQUEST_URI=/a?b", "HTTP_HOST=h:1", "REMOTE_ADDR=::1", "UNIQUE_ID=u",
		"BEARERGATE_SCOPE=s", NULL };
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)env, &request, NULL), 0);
	ck_assert(bg_slice_equal(request.method, BG_SLICE("POST")));
	ck_assert(bg_slice_equal(request.uri, BG_SLICE("/a?b")));
	ck_assert(bg_slice_equal(request.host, BG_SLICE("h:1")));
	ck_assert(bg_slice_equal(request.remote_addr, BG_SLICE("::1")));
	ck_assert(bg_slice_equal(request.request_id, BG_SLICE("u")));
	ck_assert(bg_slice_equal(request.want_scope, BG_SLICE("s")));
}
END_TEST

/* SR-23: every name we read, missing, empty, repeated, or holding the bytes a value should not hold. */
START_TEST(no_value_of_a_variable_upsets_us)
{
	static const char *const names[] = { "REQUEST_METHOD", "REQUEST_URI", "HTTP_HOST", "REMOTE_ADDR", "UNIQUE_ID",
		"HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION" };
	static const char *const values[] = { "", "\r\nX: y", "\x01\x7f\xff", "%00", "=", "a=b=c", "\xc3\x28" };

	for (int n = 0; n < N(names); n++)
		for (int v = 0; v < N(values); v++) {
			char one[128];
			char *env[] = { one, one, NULL };
			struct bg_request request;

			bg_format(one, sizeof(one), "%s=%s", names[n], values[v]);
			ck_assert_int_eq(bg_metavars_read(env, &request, NULL), 0);
			ck_assert(request.want_scope.ptr == NULL);
		}
}
END_TEST

static const struct { const char *uri, *path; } paths[] = {
	{ "/a/b?c", "/a/b" }, { "/a#b", "/a" }, { "/", "/" }, { "", "" }, { "*", "*" },
	{ "http://other.example/a?b", "/a" }, { "http://other.example", "" }, { "http://other.example?x", "" },
	{ "/a?http://b/c", "/a" }, { "://", "" }, { "/a%3Fb", "/a%3Fb" },
};

START_TEST(a_path_has_neither_query_nor_host)	/* SR-71 */
{
	struct bg_request request = { .uri = bg_slice_str(paths[_i].uri) };

	ck_assert_msg(bg_slice_equal(bg_request_path(&request), bg_slice_str(paths[_i].path)), "%s", paths[_i].uri);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("metavars");
	TCase *tc = tcase_create("metavars");

	tcase_add_loop_test(tc, meta_variables_become_a_request, 0, N(cases));
	tcase_add_test(tc, each_variable_goes_to_its_member);
	tcase_add_test(tc, no_value_of_a_variable_upsets_us);
	tcase_add_loop_test(tc, a_path_has_neither_query_nor_host, 0, N(paths));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
