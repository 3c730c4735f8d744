#include "core/policy.h"

#include <stdint.h>

#include "tests/support/run.h"

#define S(text)	{ .ptr = (text), .len = sizeof(text) - 1 }

static char *read_scope[] = { (char[]){ "read" } }, *write_scope[] = { (char[]){ "write" } }, *admin[] = { (char[]){ "admin" } };
static char *get[] = { (char[]){ "GET" } }, *get_post[] = { (char[]){ "GET" }, (char[]){ "POST" } }, *post[] = { (char[]){ "POST" } };
static char *head[] = { (char[]){ "HEAD" } };
static struct bg_rule reads[] = { { .kind = BG_RULE_SCOPE, .values = read_scope, .n_values = 1 } };
static struct bg_rule writes[] = { { .kind = BG_RULE_SCOPE, .values = write_scope, .n_values = 1 } };
static struct bg_rule admins[] = { { .kind = BG_RULE_CONTAINS, .claim = (char[]){ "roles" }, .values = admin, .n_values = 1 } };

#define NOTHING		{ .kind = BG_RULE_ALL }
#define RULES(list)	{ .kind = BG_RULE_ALL, .rules = (list), .n_rules = 1 }
#define PATH(text)	.path = (char[]){ text }
#define AUTH(which)	.says_auth = true, .auth = (which)

static struct bg_policy named[] = {
	{ .name = (char[]){ "readers" }, .rule = RULES(reads) },
	{ .name = (char[]){ "admins" }, .rule = RULES(admins) },
	{ .name = (char[]){ "anybody" }, .rule = NOTHING },
};
static const struct bg_policy *use_readers[] = { &named[0] }, *use_anybody[] = { &named[2] };

static struct bg_location locations[] = {
	{ PATH("/"), AUTH(BG_AUTH_NONE), .rule = NOTHING },
	{ PATH("/api"), .rule = NOTHING },
	{ PATH("/api/public"), AUTH(BG_AUTH_NONE), .rule = NOTHING },
	{ PATH("/api/maybe"), AUTH(BG_AUTH_OPTIONAL), .rule = NOTHING },
	{ PATH("/api/private"), AUTH(BG_AUTH_REQUIRED), .rule = RULES(reads) },
	{ PATH("/api/private/admin"), .rule = RULES(admins) },
	{ PATH("/said/both"), AUTH(BG_AUTH_NONE), .rule = RULES(reads) },
	{ PATH("/said/policy"), AUTH(BG_AUTH_OPTIONAL), .policies = use_readers, .n_policies = 1, .rule = NOTHING },
	{ PATH("/said/empty-policy"), AUTH(BG_AUTH_NONE), .policies = use_anybody, .n_policies = 1, .rule = NOTHING },
	{ PATH("/half-made"), AUTH(BG_AUTH_NONE) },
	{ PATH("/docs"), .methods = get, .n_methods = 1, AUTH(BG_AUTH_NONE), .rule = NOTHING },
	{ PATH("/docs"), .methods = post, .n_methods = 1, .rule = RULES(writes) },
	{ PATH("/forms"), .rule = RULES(reads) },
	{ PATH("/forms"), .methods = post, .n_methods = 1, .rule = RULES(writes) },
	{ PATH("/open"), AUTH(BG_AUTH_NONE), .rule = NOTHING },
	{ PATH("/open/data"), .methods = get_post, .n_methods = 2, .rule = RULES(reads) },
	{ PATH("/slash/"), .rule = RULES(reads) },
	{ PATH("/heads"), .methods = get, .n_methods = 1, AUTH(BG_AUTH_NONE), .rule = NOTHING },
	{ PATH("/heads"), .methods = head, .n_methods = 1, .rule = RULES(reads) },
};
static const struct bg_policies policies = { .policies = named, .n_policies = N(named), .locations = locations,
	.n_locations = N(locations) };
static const struct bg_policies no_locations = { .policies = named, .n_policies = N(named) };

/* location: the index above, -1: none. */
static const struct { const char *method, *uri; int location; enum bg_auth auth; } places[] = {
	{ "GET", "/", 0, BG_AUTH_NONE }, { "GET", "/x", 0, BG_AUTH_NONE }, { "GET", "/apix", 0, BG_AUTH_NONE },
	{ "GET", "/api", 1, BG_AUTH_REQUIRED }, { "GET", "/api/x", 1, BG_AUTH_REQUIRED },
	{ "GET", "/api/public", 2, BG_AUTH_NONE }, { "GET", "/api/public/a/b?c", 2, BG_AUTH_NONE },
	{ "GET", "/api/publicity", 1, BG_AUTH_REQUIRED },
	{ "GET", "/api/maybe", 3, BG_AUTH_OPTIONAL },
	{ "GET", "/api/private/x", 4, BG_AUTH_REQUIRED }, { "GET", "/api/private/admin/x", 5, BG_AUTH_REQUIRED },
	/* SR-70: every way to spell it, interop.md section 2.4 */
	{ "GET", "/api//private/f", 4, BG_AUTH_REQUIRED }, { "GET", "/api/./private/f", 4, BG_AUTH_REQUIRED },
	{ "GET", "/api/public/../private/f", 4, BG_AUTH_REQUIRED }, { "GET", "/api/public/%2e%2e/private/f", 4, BG_AUTH_REQUIRED },
	{ "GET", "/api/%70rivate/f", 4, BG_AUTH_REQUIRED }, { "GET", "//api/private/f", 4, BG_AUTH_REQUIRED },
	{ "GET", "http://other.example/api/private/f", 4, BG_AUTH_REQUIRED }, { "GET", "/api/private", 4, BG_AUTH_REQUIRED },
	{ "GET", "/api/private?/../public", 4, BG_AUTH_REQUIRED }, { "GET", "/slash", 16, BG_AUTH_REQUIRED },
	{ "GET", "/slash/x", 16, BG_AUTH_REQUIRED },
	/* a demand makes it required, whatever auth says */
	{ "GET", "/said/both", 6, BG_AUTH_REQUIRED }, { "GET", "/said/policy", 7, BG_AUTH_REQUIRED },
	{ "GET", "/said/empty-policy", 8, BG_AUTH_REQUIRED }, { "GET", "/half-made", 9, BG_AUTH_REQUIRED },
	/* by method; GET is HEAD too (RFC 9110 section 9.3.2), and no other spelling of it */
	{ "GET", "/docs", 10, BG_AUTH_NONE }, { "HEAD", "/docs", 10, BG_AUTH_NONE }, { "POST", "/docs", 11, BG_AUTH_REQUIRED },
	{ "GETX", "/docs", 0, BG_AUTH_REQUIRED }, { "PUT", "/docs", 0, BG_AUTH_REQUIRED },
	{ "GET", "/heads", 17, BG_AUTH_NONE }, { "HEAD", "/heads", 18, BG_AUTH_REQUIRED },	/* said by name */
	{ "GET", "/forms", 12, BG_AUTH_REQUIRED }, { "POST", "/forms", 13, BG_AUTH_REQUIRED }, { "PUT", "/forms", 12, BG_AUTH_REQUIRED },
	{ "GET", "/open/data", 15, BG_AUTH_REQUIRED }, { "HEAD", "/open/data", 15, BG_AUTH_REQUIRED },
	{ "GET", "/open/x", 14, BG_AUTH_NONE },
	/* a method nobody names does not lead to the farther location that lets everything through */
	{ "FOO", "/open/data", 14, BG_AUTH_REQUIRED }, { "M-SEARCH", "/open/data/x", 14, BG_AUTH_REQUIRED },
};

START_TEST(the_longest_location_takes_a_request_in)	/* SR-70 */
{
	struct bg_request request = { .method = bg_slice_str(places[_i].method), .uri = bg_slice_str(places[_i].uri) };
	struct bg_error err = { 0 };
	struct bg_demand demand;

	ck_reason(bg_policy_find(&policies, &request, &demand, &err), err, BG_R_OK, places[_i].uri);
	ck_assert_msg(demand.location == &locations[places[_i].location], "%s: %s", places[_i].uri,
	    demand.location != NULL ? demand.location->path : "none");
	ck_assert_msg(demand.auth == places[_i].auth, "%s %s: auth %d", places[_i].method, places[_i].uri, (int)demand.auth);
}
END_TEST

START_TEST(an_ambiguous_path_is_refused_where_there_are_locations)	/* SR-70 */
{
	static const char *const uris[] = { "/api/private%2ff", "/api/public/..%2fprivate/f", "/api/private;a=b/f", "/api/f;x",
		"/api/private/f%00", "/api\\private", "/api/public/%5c..%5cprivate", "/api/public/%", "/../api", "*", "", "api/public",
		"/api/private//../public/x", "/api/public/#/../../private", "x?://h/api/public" };

	for (int i = 0; i < N(uris); i++) {
		/* not even auth = "none" of the server's own makes it good */
		struct bg_request request = { .method = S("GET"), .uri = bg_slice_str(uris[i]), .says_auth = true, .auth = BG_AUTH_NONE };
		struct bg_error err = { 0 };
		struct bg_demand demand;

		ck_reason(bg_policy_find(&policies, &request, &demand, &err), err, BG_R_BAD_REQUEST, uris[i]);
		ck_assert_int_eq(demand.auth, BG_AUTH_REQUIRED);
		bg_error_clear(&err);
		ck_reason(bg_policy_find(&no_locations, &request, &demand, &err), err, BG_R_OK, uris[i]);
	}
}
END_TEST

/* Programs take "post" for POST, so it must not lead past the location that names POST.  RFC 9110 section 9.1. */
START_TEST(a_method_not_in_capitals_is_refused_where_there_are_locations)
{
	static const char *const methods[] = { "get", "Get", "pOST", "post", "", "GET ", "G\xc3\x89T", "GET,POST" };

	for (int i = 0; i < N(methods); i++) {
		struct bg_request request = { .method = bg_slice_str(methods[i]), .uri = S("/docs"), .says_auth = true,
			.auth = BG_AUTH_NONE };
		struct bg_error err = { 0 };
		struct bg_demand demand;

		ck_reason(bg_policy_find(&policies, &request, &demand, &err), err, BG_R_BAD_REQUEST, methods[i]);
		ck_assert_int_eq(demand.auth, BG_AUTH_REQUIRED);
		bg_error_clear(&err);
		ck_reason(bg_policy_find(&no_locations, &request, &demand, &err), err, BG_R_OK, methods[i]);
	}
}
END_TEST

START_TEST(a_location_for_other_methods_is_not_opened_by_the_server_either)
{
	char *only_post[] = { (char[]){ "POST" } };
	struct bg_location one = { PATH("/a"), .methods = only_post, .n_methods = 1, .says_auth = true, .rule = NOTHING };
	struct bg_policies set = { .locations = &one, .n_locations = 1 };
	struct bg_request request = { .method = S("FOO"), .uri = S("/a/x"), .says_auth = true, .auth = BG_AUTH_NONE };
	struct bg_demand demand;

	ck_assert_int_eq(bg_policy_find(&set, &request, &demand, NULL), 0);
	ck_assert_int_eq(demand.auth, BG_AUTH_REQUIRED);
	request.uri = BG_SLICE("/b");
	ck_assert_int_eq(bg_policy_find(&set, &request, &demand, NULL), 0);
	ck_assert_int_eq(demand.auth, BG_AUTH_NONE);
}
END_TEST

/* What location and variable say together: the stricter of the two, in every pair. */
START_TEST(the_stricter_of_two_auths_counts)
{
	for (int here = -1; here < 3; here++)
		for (int there = -1; there < 3; there++) {
			struct bg_location one = { PATH("/"), .says_auth = here >= 0, .auth = (enum bg_auth)(here >= 0 ? here : 0),
				.rule = NOTHING };
			struct bg_policies set = { .locations = &one, .n_locations = 1 };
			struct bg_request request = { .method = S("GET"), .uri = S("/x"), .says_auth = there >= 0,
				.auth = (enum bg_auth)(there >= 0 ? there : 0) };
			int want = here < 0 && there < 0 ? 0 : here < 0 ? there : there < 0 ? here : here < there ? here : there;
			struct bg_demand demand;

			ck_assert_int_eq(bg_policy_find(&set, &request, &demand, NULL), 0);
			ck_assert_msg((int)demand.auth == want, "%d and %d: %d", here, there, (int)demand.auth);
		}
}
END_TEST

START_TEST(any_demand_makes_a_token_required)
{
	static const struct bg_request requests[] = {
		{ .want_scope = S("a") }, { .want_any_scope = S("a") }, { .want_permission = S("a") }, { .want_policy = S("anybody") },
		{ .want_scope = S(" a ") },
	};
	static const struct bg_request empty[] = { { .want_scope = S("") }, { .want_any_scope = S("  ") }, { .want_policy = S("") }, { .want_scope = { NULL, 0 } } };
	struct bg_demand demand;

	for (int i = 0; i < N(requests); i++)
		for (int auth = 1; auth < 3; auth++) {
			struct bg_request request = requests[i];

			request.says_auth = true;
			request.auth = (enum bg_auth)auth;
			request.method = BG_SLICE("GET");
			request.uri = BG_SLICE("/api/public");
			ck_assert_int_eq(bg_policy_find(&policies, &request, &demand, NULL), 0);
			ck_assert_msg(demand.auth == BG_AUTH_REQUIRED, "%d", i);
		}
	for (int i = 0; i < N(empty); i++) {
		struct bg_request request = empty[i];

		request.says_auth = true;
		request.auth = BG_AUTH_OPTIONAL;
		ck_assert_int_eq(bg_policy_find(&no_locations, &request, &demand, NULL), 0);
		ck_assert_int_eq(demand.auth, BG_AUTH_OPTIONAL);
	}
}
END_TEST

START_TEST(an_unknown_policy_is_a_refusal)
{
	static const char *const names[] = { "reader", "readersx", "Readers", "readers,admins", "readers nobody", "nobody readers" };

	for (int i = 0; i < N(names); i++) {
		/* also where nothing would be judged: a name that is dropped is a demand that is dropped */
		struct bg_request request = { .want_policy = bg_slice_str(names[i]), .says_auth = true, .auth = BG_AUTH_NONE };
		struct bg_error err = { 0 };
		struct bg_demand demand;

		ck_reason(bg_policy_find(&no_locations, &request, &demand, &err), err, BG_R_BAD_VARIABLE, names[i]);
		ck_assert_int_eq(demand.auth, BG_AUTH_REQUIRED);
	}
}
END_TEST

static const struct {
	const char    *name;
	const char    *uri, *scope, *any_scope, *permission, *policy, *claims;
	enum bg_reason want;
	const char    *scopes;		/* of the challenge */
} judged[] = {
	{ "nothing is wanted", "/x", "", "", "", "", "{}", BG_R_OK, "" },
	{ "location", "/api/private", "", "", "", "", "{\"scope\":\"read\"}", BG_R_OK, "read" },
	{ "location not met", "/api/private", "", "", "", "", "{\"scope\":\"write\"}", BG_R_NO_SCOPE, "read" },
	{ "the nearer location alone", "/api/private/admin", "", "", "", "", "{\"roles\":\"admin\"}", BG_R_OK, "" },
	{ "the farther one does not count", "/api/private/admin", "", "", "", "", "{\"scope\":\"read\"}", BG_R_CLAIM_RULE, "" },
	{ "location and variable add up", "/api/private", "write", "", "", "", "{\"scope\":\"read write\"}", BG_R_OK, "write read" },
	{ "the variable does not cancel", "/api/private", "write", "", "", "", "{\"scope\":\"write\"}", BG_R_NO_SCOPE, "write read" },
	{ "the location does not cancel", "/api/private", "write", "", "", "", "{\"scope\":\"read\"}", BG_R_NO_SCOPE, "write read" },
	{ "policy and location add up", "/api/private", "", "", "", "admins", "{\"roles\":[\"admin\"]}", BG_R_NO_SCOPE, "read" },
	{ "policies add up", "/x", "", "", "", "readers admins", "{\"scope\":\"read\",\"roles\":[\"admin\"]}", BG_R_OK, "read" },
	{ "the first policy not met", "/x", "", "", "", "readers admins", "{\"roles\":[\"admin\"]}", BG_R_NO_SCOPE, "read" },
	{ "the last policy not met", "/x", "", "", "", "readers admins", "{\"scope\":\"read\"}", BG_R_CLAIM_RULE, "read" },
	{ "the same policy twice", "/x", "", "", "", " readers  readers ", "{\"scope\":\"read\"}", BG_R_OK, "read" },
	{ "a policy of a location", "/said/policy", "", "", "", "", "{}", BG_R_NO_SCOPE, "read" },
	{ "a half-made location lets nothing pass", "/half-made", "", "", "", "", "{\"scope\":\"read\"}", BG_R_CLAIM_RULE, "" },
	{ "any scope", "/x", "", "a read", "", "", "{\"scope\":\"read\"}", BG_R_OK, "a read" },
	{ "any scope and scope", "/x", "a", "a read", "", "", "{\"scope\":\"read\"}", BG_R_NO_SCOPE, "a read" },
	{ "scope, not any scope", "/x", "a", "b c", "", "", "{\"scope\":\"a\"}", BG_R_NO_SCOPE, "a b c" },
	{ "permission", "/x", "", "", "p q", "", "{\"permissions\":[\"q\",\"p\"]}", BG_R_OK, "" },
	{ "permission missing", "/x", "", "", "p q", "", "{\"permissions\":[\"p\"],\"scope\":\"q\"}", BG_R_NO_PERMISSION, "" },
	{ "permission and scope", "/x", "a", "", "p", "", "{\"permissions\":[\"p\"]}", BG_R_NO_SCOPE, "a" },
	{ "one letter each", "/x", "a b c", "", "", "", "{\"scope\":\"c b a\"}", BG_R_OK, "a b c" },
	{ "the last of three", "/x", "a b c", "", "", "", "{\"scope\":\"a b\"}", BG_R_NO_SCOPE, "a b c" },
	{ "spaces around", "/x", "  a   b ", "", "", "", "{\"scope\":\"b a\"}", BG_R_OK, "a b" },
};

START_TEST(demands_add_up_and_never_cancel)	/* design section 2 */
{
	struct bg_request request = { .method = S("GET"), .uri = bg_slice_str(judged[_i].uri), .want_scope = bg_slice_str(judged[_i].scope),
		.want_any_scope = bg_slice_str(judged[_i].any_scope), .want_permission = bg_slice_str(judged[_i].permission),
		.want_policy = bg_slice_str(judged[_i].policy) };
	struct bg_claims claims = { .all = json_loads(judged[_i].claims, 0, NULL) };
	struct bg_error err = { 0 };
	struct bg_demand demand;
	struct bg_slice text;
	struct bg_buf scopes;

	claims.scope = json_object_get(claims.all, "scope");
	ck_reason(bg_policy_find(&policies, &request, &demand, &err), err, BG_R_OK, judged[_i].name);
	ck_reason(bg_policy_check(&policies, &demand, &claims, &err), err, judged[_i].want, judged[_i].name);
	bg_buf_init(&scopes, 100);
	bg_policy_put_scopes(&policies, &demand, &scopes);
	ck_assert_int_eq(bg_buf_finish(&scopes, &text, NULL), 0);
	ck_assert_str_eq(text.ptr, judged[_i].scopes);
	bg_buf_clear(&scopes);
	json_decref((json_t *)(uintptr_t)claims.all);
}
END_TEST

/* tests/test_narrow.c has what such a rule may say. */
START_TEST(what_the_place_demands_is_one_rule_more)
{
	static const struct bg_rule wanted = RULES(writes), never = { .kind = BG_RULE_NEVER };
	struct bg_request request = { .method = S("GET"), .uri = S("/"), .want_rule = &wanted, .says_auth = true, .auth = BG_AUTH_NONE };
	struct bg_claims claims = { .all = json_pack("{s:s}", "scope", "write") };
	struct bg_error err = { 0 };
	struct bg_demand demand;

	ck_reason(bg_policy_find(&policies, &request, &demand, &err), err, BG_R_OK, "find");
	ck_assert_int_eq(demand.auth, BG_AUTH_REQUIRED);	/* though server and location say none */
	ck_reason(bg_policy_check(&policies, &demand, &claims, &err), err, BG_R_NO_SCOPE, "no scope");
	claims.scope = json_object_get(claims.all, "scope");
	bg_error_clear(&err);
	ck_reason(bg_policy_check(&policies, &demand, &claims, &err), err, BG_R_OK, "met");
	request.want_rule = &never;	/* half-made */
	ck_assert_int_eq(bg_policy_find(&policies, &request, &demand, &err), 0);
	ck_assert_int_eq(demand.auth, BG_AUTH_REQUIRED);
	ck_reason(bg_policy_check(&policies, &demand, &claims, &err), err, BG_R_CLAIM_RULE, "never");
	json_decref((json_t *)(uintptr_t)claims.all);
}
END_TEST

START_TEST(a_policy_that_vanished_is_no_permission)
{
	struct bg_request request = { .want_policy = S("readers") };
	struct bg_demand demand = { .request = &request };
	struct bg_claims claims = { .all = json_object() };
	struct bg_policies none = { 0 };
	struct bg_error err = { 0 };

	ck_reason(bg_policy_check(&none, &demand, &claims, &err), err, BG_R_BAD_VARIABLE, "vanished");
	json_decref((json_t *)(uintptr_t)claims.all);
}
END_TEST

static const struct { const char *name; struct bg_request request; bool preflight; } preflights[] = {
	{ "a true one", { .method = S("OPTIONS"), .origin = S("https://app.example"), .preflight_method = S("PUT") }, true },
	{ "of a sandboxed page", { .method = S("OPTIONS"), .origin = S("null"), .preflight_method = S("X-OWN") }, true },
	{ "a plain OPTIONS", { .method = S("OPTIONS") }, false },
	{ "no Origin", { .method = S("OPTIONS"), .preflight_method = S("PUT") }, false },
	{ "an empty Origin", { .method = S("OPTIONS"), .origin = S(""), .preflight_method = S("PUT") }, false },
	{ "no method asked for", { .method = S("OPTIONS"), .origin = S("https://app.example") }, false },
	{ "an empty method asked for", { .method = S("OPTIONS"), .origin = S("https://a"), .preflight_method = S("") }, false },
	{ "another method", { .method = S("GET"), .origin = S("https://app.example"), .preflight_method = S("PUT") }, false },
	{ "small letters", { .method = S("options"), .origin = S("https://app.example"), .preflight_method = S("PUT") }, false },
	{ "a longer method", { .method = S("OPTIONSX"), .origin = S("https://app.example"), .preflight_method = S("PUT") }, false },
	{ "two Origins", { .method = S("OPTIONS"), .origin = S("https://a, https://b"), .preflight_method = S("PUT") }, false },	/* SR-73 */
	{ "two methods asked for", { .method = S("OPTIONS"), .origin = S("https://a"), .preflight_method = S("GET, PUT") }, false },
	{ "an Origin that is none", { .method = S("OPTIONS"), .origin = S("x"), .preflight_method = S("PUT") }, false },
	{ "an Origin in Latin", { .method = S("OPTIONS"), .origin = S("https://\xe4"), .preflight_method = S("PUT") }, false },
	{ "with credentials", { .method = S("OPTIONS"), .origin = S("https://a"), .preflight_method = S("PUT"),
	    .authorization = S("Bearer x") }, false },
	{ "nothing at all", { .method = { NULL, 0 } }, false },
};

START_TEST(only_a_true_preflight_is_one)	/* SR-72; Fetch standard section 3.2.2 */
{
	struct bg_policies on = { .preflight = true }, off = { .preflight = false };

	ck_assert_msg(bg_policy_is_preflight(&on, &preflights[_i].request) == preflights[_i].preflight, "%s", preflights[_i].name);
	ck_assert_msg(!bg_policy_is_preflight(&off, &preflights[_i].request), "%s", preflights[_i].name);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("policy");

	tcase_add_loop_test(tc, the_longest_location_takes_a_request_in, 0, N(places));
	tcase_add_test(tc, an_ambiguous_path_is_refused_where_there_are_locations);
	tcase_add_test(tc, a_method_not_in_capitals_is_refused_where_there_are_locations);
	tcase_add_test(tc, a_location_for_other_methods_is_not_opened_by_the_server_either);
	tcase_add_test(tc, the_stricter_of_two_auths_counts);
	tcase_add_test(tc, any_demand_makes_a_token_required);
	tcase_add_test(tc, an_unknown_policy_is_a_refusal);
	tcase_add_loop_test(tc, demands_add_up_and_never_cancel, 0, N(judged));
	tcase_add_test(tc, what_the_place_demands_is_one_rule_more);
	tcase_add_test(tc, a_policy_that_vanished_is_no_permission);
	tcase_add_loop_test(tc, only_a_true_preflight_is_one, 0, N(preflights));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
