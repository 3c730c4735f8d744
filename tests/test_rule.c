#include "core/rule.h"

#include "core/regex.h"
#include "tests/support/run.h"

#define MAX_VALUES	3

/* A payload as claims, without the checks of bg_claims_read: a rule must stand on its own. */
static struct bg_claims
claims_of(const char *payload)
{
	struct bg_claims claims = { .all = json_loads(payload, 0, NULL) };

	ck_assert_msg(claims.all != NULL, "%s", payload);
	claims.scope = json_object_get(claims.all, "scope");
	return claims;
}

static void
forget(struct bg_claims *claims)
{
	json_decref((json_t *)(uintptr_t)claims->all);
}

/* The words of values, a word a value; the last member of the rule to be freed by nobody. */
static struct bg_rule
rule_of(enum bg_rule_kind kind, const char *claim, const char *const values[MAX_VALUES + 1], char *store[MAX_VALUES])
{
	struct bg_rule rule = { .kind = kind, .claim = (char *)(uintptr_t)claim, .values = store };

	for (; rule.n_values < MAX_VALUES && values[rule.n_values] != NULL; rule.n_values++)
		store[rule.n_values] = (char *)(uintptr_t)values[rule.n_values];
	return rule;
}

static const struct {
	const char       *name;
	enum bg_rule_kind kind;
	const char       *claim, *values[MAX_VALUES + 1], *payload;
	enum bg_reason    want;
} cases[] = {
	{ "a scope", BG_RULE_SCOPE, NULL, { "r" }, "{\"scope\":\"r w\"}", BG_R_OK },
	{ "two scopes", BG_RULE_SCOPE, NULL, { "w", "r" }, "{\"scope\":\"r  w\"}", BG_R_OK },
	{ "scopes as an array", BG_RULE_SCOPE, NULL, { "w", "r" }, "{\"scope\":[\"r\",\"w\"]}", BG_R_OK },
	{ "one of two missing", BG_RULE_SCOPE, NULL, { "r", "x" }, "{\"scope\":\"r w\"}", BG_R_NO_SCOPE },
	{ "part of a word", BG_RULE_SCOPE, NULL, { "read" }, "{\"scope\":\"read:messages\"}", BG_R_NO_SCOPE },
	{ "the word is part", BG_RULE_SCOPE, NULL, { "read:messages" }, "{\"scope\":\"read\"}", BG_R_NO_SCOPE },
	{ "another case", BG_RULE_SCOPE, NULL, { "read" }, "{\"scope\":\"READ\"}", BG_R_NO_SCOPE },
	{ "a list with commas", BG_RULE_SCOPE, NULL, { "r" }, "{\"scope\":\"r,w\"}", BG_R_NO_SCOPE },
	{ "separated by a tab", BG_RULE_SCOPE, NULL, { "r" }, "{\"scope\":\"r\\tw\"}", BG_R_NO_SCOPE },	/* RFC 6749 section 3.3 */
	{ "two words in one value", BG_RULE_SCOPE, NULL, { "r w" }, "{\"scope\":\"r w\"}", BG_R_NO_SCOPE },
	{ "two words in one entry", BG_RULE_SCOPE, NULL, { "r" }, "{\"scope\":[\"r w\"]}", BG_R_NO_SCOPE },
	{ "no scope", BG_RULE_SCOPE, NULL, { "r" }, "{}", BG_R_NO_SCOPE },
	{ "an empty scope", BG_RULE_SCOPE, NULL, { "r" }, "{\"scope\":\"\"}", BG_R_NO_SCOPE },
	{ "an empty word", BG_RULE_SCOPE, NULL, { "" }, "{\"scope\":\"a  b\"}", BG_R_NO_SCOPE },
	{ "an object", BG_RULE_SCOPE, NULL, { "r" }, "{\"scope\":{\"r\":true}}", BG_R_NO_SCOPE },
	{ "a rule that names none", BG_RULE_SCOPE, NULL, { NULL }, "{\"scope\":\"r\"}", BG_R_NO_SCOPE },
	{ "scope in scp", BG_RULE_SCOPE, NULL, { "r" }, "{\"scp\":\"r\"}", BG_R_NO_SCOPE },

	{ "one of the scopes", BG_RULE_ANY_SCOPE, NULL, { "x", "w" }, "{\"scope\":\"r w\"}", BG_R_OK },
	{ "none of the scopes", BG_RULE_ANY_SCOPE, NULL, { "x", "y" }, "{\"scope\":\"r w\"}", BG_R_NO_SCOPE },
	{ "any of no scope", BG_RULE_ANY_SCOPE, NULL, { "x" }, "{}", BG_R_NO_SCOPE },
	{ "any of none named", BG_RULE_ANY_SCOPE, NULL, { NULL }, "{\"scope\":\"r\"}", BG_R_NO_SCOPE },

	{ "a permission", BG_RULE_PERMISSION, NULL, { "p" }, "{\"permissions\":[\"p\",\"q\"]}", BG_R_OK },
	{ "permissions", BG_RULE_PERMISSION, NULL, { "q", "p" }, "{\"permissions\":[\"p\",\"q\"]}", BG_R_OK },
	{ "permissions in a string", BG_RULE_PERMISSION, NULL, { "q" }, "{\"permissions\":\"p q\"}", BG_R_OK },
	{ "one permission missing", BG_RULE_PERMISSION, NULL, { "p", "x" }, "{\"permissions\":[\"p\"]}", BG_R_NO_PERMISSION },
	{ "a permission among the scopes", BG_RULE_PERMISSION, NULL, { "p" }, "{\"scope\":\"p\"}", BG_R_NO_PERMISSION },
	{ "a scope among the permissions", BG_RULE_SCOPE, NULL, { "p" }, "{\"permissions\":[\"p\"]}", BG_R_NO_SCOPE },
	{ "permissions in a list in a list", BG_RULE_PERMISSION, NULL, { "p" }, "{\"permissions\":[[\"p\"]]}", BG_R_NO_PERMISSION },
	{ "a permission as a member", BG_RULE_PERMISSION, NULL, { "p" }, "{\"permissions\":{\"p\":true}}", BG_R_NO_PERMISSION },
	{ "permissions that are true", BG_RULE_PERMISSION, NULL, { "true" }, "{\"permissions\":true}", BG_R_NO_PERMISSION },
	{ "no permission named", BG_RULE_PERMISSION, NULL, { NULL }, "{\"permissions\":[\"p\"]}", BG_R_NO_PERMISSION },

	{ "equal", BG_RULE_EQUALS, "o", { "x" }, "{\"o\":\"x\"}", BG_R_OK },
	{ "equal to one of two", BG_RULE_EQUALS, "o", { "y", "x" }, "{\"o\":\"x\"}", BG_R_OK },
	{ "equal numbers", BG_RULE_EQUALS, "o", { "42" }, "{\"o\":42}", BG_R_OK },
	{ "equal negative numbers", BG_RULE_EQUALS, "o", { "-1" }, "{\"o\":-1}", BG_R_OK },
	{ "equal fractions", BG_RULE_EQUALS, "o", { "1.5" }, "{\"o\":1.5}", BG_R_OK },
	{ "equal truths", BG_RULE_EQUALS, "o", { "true" }, "{\"o\":true}", BG_R_OK },
	{ "equal and empty", BG_RULE_EQUALS, "o", { "" }, "{\"o\":\"\"}", BG_R_OK },
	{ "a whole number is no fraction", BG_RULE_EQUALS, "o", { "1" }, "{\"o\":1.0}", BG_R_CLAIM_RULE },
	{ "false is not true", BG_RULE_EQUALS, "o", { "true" }, "{\"o\":false}", BG_R_CLAIM_RULE },
	{ "true is not 1", BG_RULE_EQUALS, "o", { "1" }, "{\"o\":true}", BG_R_CLAIM_RULE },
	{ "null is not the word", BG_RULE_EQUALS, "o", { "null" }, "{\"o\":null}", BG_R_CLAIM_RULE },
	{ "null is not empty", BG_RULE_EQUALS, "o", { "" }, "{\"o\":null}", BG_R_CLAIM_RULE },
	{ "missing is not empty", BG_RULE_EQUALS, "o", { "" }, "{}", BG_R_CLAIM_RULE },
	{ "an empty array is not empty", BG_RULE_EQUALS, "o", { "" }, "{\"o\":[]}", BG_R_CLAIM_RULE },
	{ "an object is not empty", BG_RULE_EQUALS, "o", { "" }, "{\"o\":{}}", BG_R_CLAIM_RULE },
	{ "an array that holds it", BG_RULE_EQUALS, "o", { "x" }, "{\"o\":[\"x\"]}", BG_R_CLAIM_RULE },
	{ "a prefix", BG_RULE_EQUALS, "o", { "x" }, "{\"o\":\"xy\"}", BG_R_CLAIM_RULE },			/* SR-47 */
	{ "a suffix", BG_RULE_EQUALS, "o", { "example.com" }, "{\"o\":\"evil-example.com\"}", BG_R_CLAIM_RULE },	/* SR-48 */
	{ "another case of letters", BG_RULE_EQUALS, "o", { "x" }, "{\"o\":\"X\"}", BG_R_CLAIM_RULE },
	{ "a word of it", BG_RULE_EQUALS, "o", { "x" }, "{\"o\":\"x y\"}", BG_R_CLAIM_RULE },
	{ "a space behind", BG_RULE_EQUALS, "o", { "x" }, "{\"o\":\"x \"}", BG_R_CLAIM_RULE },
	{ "equal to nothing named", BG_RULE_EQUALS, "o", { NULL }, "{\"o\":\"x\"}", BG_R_CLAIM_RULE },
	{ "a claim of another name", BG_RULE_EQUALS, "o", { "x" }, "{\"O\":\"x\"}", BG_R_CLAIM_RULE },

	{ "contained", BG_RULE_CONTAINS, "o", { "x", "y" }, "{\"o\":[\"y\",\"z\",\"x\"]}", BG_R_OK },
	{ "a single value contains itself", BG_RULE_CONTAINS, "o", { "x" }, "{\"o\":\"x\"}", BG_R_OK },
	{ "a number in an array", BG_RULE_CONTAINS, "o", { "7" }, "{\"o\":[7]}", BG_R_OK },
	{ "one not contained", BG_RULE_CONTAINS, "o", { "x", "w" }, "{\"o\":[\"x\"]}", BG_R_CLAIM_RULE },
	{ "contained in a word", BG_RULE_CONTAINS, "o", { "admin" }, "{\"o\":\"administrator\"}", BG_R_CLAIM_RULE },
	{ "contained in an entry", BG_RULE_CONTAINS, "o", { "admin" }, "{\"o\":[\"superadmin\"]}", BG_R_CLAIM_RULE },
	{ "contained deeper down", BG_RULE_CONTAINS, "o", { "x" }, "{\"o\":[[\"x\"],{\"x\":\"x\"}]}", BG_R_CLAIM_RULE },
	{ "contained as a member", BG_RULE_CONTAINS, "o", { "x" }, "{\"o\":{\"x\":true}}", BG_R_CLAIM_RULE },
	{ "contained in nothing", BG_RULE_CONTAINS, "o", { "x" }, "{}", BG_R_CLAIM_RULE },
	{ "contained in an empty array", BG_RULE_CONTAINS, "o", { "x" }, "{\"o\":[]}", BG_R_CLAIM_RULE },
	{ "nothing to contain", BG_RULE_CONTAINS, "o", { NULL }, "{\"o\":[\"x\"]}", BG_R_CLAIM_RULE },

	{ "any of", BG_RULE_ANY_OF, "o", { "w", "x" }, "{\"o\":[\"x\"]}", BG_R_OK },
	{ "any of, a single value", BG_RULE_ANY_OF, "o", { "w", "x" }, "{\"o\":\"x\"}", BG_R_OK },
	{ "none of", BG_RULE_ANY_OF, "o", { "w", "x" }, "{\"o\":[\"y\"]}", BG_R_CLAIM_RULE },
	{ "any of nothing", BG_RULE_ANY_OF, "o", { NULL }, "{\"o\":[\"y\"]}", BG_R_CLAIM_RULE },
	{ "any of, missing", BG_RULE_ANY_OF, "o", { "x" }, "{}", BG_R_CLAIM_RULE },

	{ "present", BG_RULE_PRESENT, "o", { NULL }, "{\"o\":false}", BG_R_OK },
	{ "present and empty", BG_RULE_PRESENT, "o", { NULL }, "{\"o\":\"\"}", BG_R_OK },
	{ "present but null", BG_RULE_PRESENT, "o", { NULL }, "{\"o\":null}", BG_R_CLAIM_RULE },
	{ "not present", BG_RULE_PRESENT, "o", { NULL }, "{}", BG_R_CLAIM_RULE },
	{ "absent", BG_RULE_ABSENT, "o", { NULL }, "{}", BG_R_OK },
	{ "absent: null", BG_RULE_ABSENT, "o", { NULL }, "{\"o\":null}", BG_R_OK },
	{ "not absent: false", BG_RULE_ABSENT, "o", { NULL }, "{\"o\":false}", BG_R_CLAIM_RULE },
	{ "not absent: empty", BG_RULE_ABSENT, "o", { NULL }, "{\"o\":[]}", BG_R_CLAIM_RULE },
	{ "absent behind a pointer", BG_RULE_ABSENT, "/o/x", { NULL }, "{\"o\":{\"y\":1}}", BG_R_OK },
	{ "a malformed pointer finds nothing", BG_RULE_ABSENT, "/o~2", { NULL }, "{}", BG_R_CLAIM_RULE },

	/* half-made rules let nothing pass */
	{ "never", BG_RULE_NEVER, "o", { "x" }, "{\"o\":\"x\"}", BG_R_CLAIM_RULE },
	{ "a kind that does not exist", (enum bg_rule_kind)99, "o", { "x" }, "{\"o\":\"x\"}", BG_R_CLAIM_RULE },
	{ "absent without its claim", BG_RULE_ABSENT, NULL, { NULL }, "{}", BG_R_CLAIM_RULE },
	{ "present without its claim", BG_RULE_PRESENT, NULL, { NULL }, "{}", BG_R_CLAIM_RULE },
	{ "equals without its claim", BG_RULE_EQUALS, NULL, { "x" }, "{\"o\":\"x\"}", BG_R_CLAIM_RULE },
	{ "matches without its expression", BG_RULE_MATCHES, "o", { "x" }, "{\"o\":\"x\"}", BG_R_CLAIM_RULE },
	{ "a policy that is not there", BG_RULE_REF, NULL, { NULL }, "{}", BG_R_CLAIM_RULE },
	{ "any of no rules", BG_RULE_ANY, NULL, { NULL }, "{}", BG_R_CLAIM_RULE },
	{ "all of no rules", BG_RULE_ALL, NULL, { NULL }, "{}", BG_R_OK },
};

START_TEST(a_rule_is_met_or_names_what_is_missing)
{
	struct bg_claims claims = claims_of(cases[_i].payload);
	char *store[MAX_VALUES];
	struct bg_rule rule = rule_of(cases[_i].kind, cases[_i].claim, cases[_i].values, store);
	struct bg_error err = { 0 };

	ck_reason(bg_rule_check(&rule, &claims, &err), err, cases[_i].want, cases[_i].name);
	ck_assert_msg((cases[_i].want == BG_R_OK) == (err.detail[0] == '\0'), "%s: %s", cases[_i].name, err.detail);
	forget(&claims);
}
END_TEST

/* A claim as every type of JSON against the same rules: B says which of them meet it (SR-26). */
static const char *const types[] = { "\"x\"", "1", "1.5", "true", "null", "[\"x\"]", "{\"x\":\"x\"}" };
static const struct { enum bg_rule_kind kind; bool met[7]; } typed[] = {
	{ BG_RULE_EQUALS,   { true, false, false, false, false, false, false } },
	{ BG_RULE_CONTAINS, { true, false, false, false, false, true, false } },
	{ BG_RULE_ANY_OF,   { true, false, false, false, false, true, false } },
	{ BG_RULE_MATCHES,  { true, false, false, false, false, true, false } },
	{ BG_RULE_PRESENT,  { true, true, true, true, false, true, true } },
	{ BG_RULE_ABSENT,   { false, false, false, false, true, false, false } },
	{ BG_RULE_SCOPE,    { true, false, false, false, false, true, false } },
	{ BG_RULE_ANY_SCOPE, { true, false, false, false, false, true, false } },
	{ BG_RULE_PERMISSION, { true, false, false, false, false, true, false } },
};

START_TEST(a_claim_of_another_type_meets_no_rule)	/* SR-26 */
{
	const char *const values[MAX_VALUES + 1] = { "x" };
	struct bg_error err = { 0 };
	struct bg_regex *regex;

	ck_reason(bg_regex_new(&regex, BG_SLICE("x"), &err), err, BG_R_OK, "x");
	for (size_t i = 0; i < 7; i++) {
		char payload[128], *store[MAX_VALUES];
		struct bg_rule rule = rule_of(typed[_i].kind, "o", values, store);
		struct bg_claims claims;

		bg_format(payload, sizeof(payload), "{\"o\":%s,\"scope\":%s,\"permissions\":%s}", types[i], types[i], types[i]);
		claims = claims_of(payload);
		rule.regex = regex;
		ck_assert_msg((bg_rule_check(&rule, &claims, NULL) == 0) == typed[_i].met[i], "kind %d: %s", (int)typed[_i].kind, types[i]);
		forget(&claims);
	}
	bg_regex_free(regex);
}
END_TEST

static const struct { const char *pattern, *payload; enum bg_reason want; } matching[] = {
	{ "org_[a-z]+", "{\"o\":\"org_eu\"}", BG_R_OK }, { "org_[a-z]+", "{\"o\":[\"x\",\"org_eu\"]}", BG_R_OK },
	{ "[0-9]+", "{\"o\":42}", BG_R_OK }, { "true", "{\"o\":true}", BG_R_OK },
	{ "org_[a-z]+", "{\"o\":\"xorg_eu\"}", BG_R_CLAIM_RULE }, { "org_[a-z]+", "{\"o\":\"org_eu2\"}", BG_R_CLAIM_RULE },	/* SR-47 */
	{ "org_[a-z]+", "{\"o\":\"org_eu\\n\"}", BG_R_CLAIM_RULE }, { ".*", "{\"o\":\"a\\u0000b\"}", BG_R_OK },
	{ "a", "{\"o\":\"a\\u0000b\"}", BG_R_CLAIM_RULE }, { ".*", "{}", BG_R_CLAIM_RULE }, { ".*", "{\"o\":null}", BG_R_CLAIM_RULE },
	{ ".*", "{\"o\":[]}", BG_R_CLAIM_RULE }, { ".*", "{\"o\":{}}", BG_R_CLAIM_RULE }, { ".*", "{\"o\":[null,[],{}]}", BG_R_CLAIM_RULE },
};

START_TEST(an_expression_matches_a_whole_value)
{
	struct bg_claims claims = { .all = json_loads(matching[_i].payload, JSON_ALLOW_NUL, NULL) };
	struct bg_rule rule = { .kind = BG_RULE_MATCHES, .claim = (char[]){ "o" } };
	struct bg_error err = { 0 };

	ck_reason(bg_regex_new(&rule.regex, bg_slice_str(matching[_i].pattern), &err), err, BG_R_OK, matching[_i].pattern);
	ck_reason(bg_rule_check(&rule, &claims, &err), err, matching[_i].want, matching[_i].payload);
	bg_regex_free(rule.regex);
	forget(&claims);
}
END_TEST

#define NESTED	"{\"realm_access\":{\"roles\":[\"user\",\"admin\"]},\"https://e.example/roles\":[\"x\"],\"a/b\":\"s\",\"m~n\":\"t\"," \
		"\"\":\"e\",\"list\":[[\"deep\"],{\"k\":\"v\"}],\"%25\":\"p\",\"0\":\"zero\"}"

static const struct { const char *name, *found; } pointers[] = {
	{ "/realm_access/roles/1", "\"admin\"" }, { "/realm_access/roles/0", "\"user\"" }, { "https://e.example/roles", "[\"x\"]" },
	{ "/https:~1~1e.example~1roles/0", "\"x\"" }, { "a/b", "\"s\"" }, { "/a~1b", "\"s\"" }, { "m~n", "\"t\"" }, { "/m~0n", "\"t\"" },
	{ "/", "\"e\"" }, { "", "\"e\"" }, { "/list/0/0", "\"deep\"" }, { "/list/1/k", "\"v\"" }, { "/%25", "\"p\"" }, { "/0", "\"zero\"" },
	{ "realm_access/roles", NULL }, { "/realm_access/roles/2", NULL }, { "/realm_access/roles/-", NULL },
	{ "/realm_access/roles/-1", NULL }, { "/realm_access/roles/01", NULL }, { "/realm_access/roles/1.0", NULL },	/* RFC 6901 section 4 */
	{ "/realm_access/roles/ 1", NULL }, { "/realm_access/roles/18446744073709551617", NULL }, { "/realm_access/roles/", NULL },
	{ "/realm_access/roles/1/", NULL }, { "/realm_access/roles/admin", NULL }, { "/realm_access", "{\"roles\":[\"user\",\"admin\"]}" },
	{ "/realm_access/", NULL }, { "//realm_access", NULL }, { "/m~n", NULL }, { "/m~2n", NULL }, { "/m~", NULL }, { "/a/b", NULL },
	{ "/a~1b/0", NULL }, { "/list/0/0/0", NULL }, { "#/a~1b", NULL }, { "/A~1b", NULL },
};

START_TEST(a_name_or_pointer_leads_to_a_claim)	/* RFC 6901 */
{
	struct bg_claims claims = claims_of(NESTED);
	const json_t *found = bg_claims_find(&claims, pointers[_i].name);
	json_t *want = pointers[_i].found != NULL ? json_loads(pointers[_i].found, JSON_DECODE_ANY, NULL) : NULL;

	ck_assert_msg((found == NULL) == (want == NULL) && (found == NULL || json_equal(found, want)), "%s", pointers[_i].name);
	json_decref(want);
	forget(&claims);
}
END_TEST

START_TEST(a_malformed_pointer_is_no_name)	/* RFC 6901 section 3 */
{
	static const struct { const char *name; bool wrong; } rows[] = {
		{ "/a", false }, { "/a~0~1/b", false }, { "/", false }, { "a~2", false }, { "https://e.example/~x", false },
		{ "/a~", true }, { "/a~2", true }, { "/a/b~", true }, { "/a~/b", true },
	};
	char name[300];

	for (int i = 0; i < N(rows); i++)
		ck_assert_msg((bg_claims_name_wrong(rows[i].name) != NULL) == rows[i].wrong, "%s", rows[i].name);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[256] = '\0';
	ck_assert_ptr_null(bg_claims_name_wrong(name));
	name[256] = 'x';
	name[257] = '\0';
	ck_assert_ptr_nonnull(bg_claims_name_wrong(name));
}
END_TEST

/* Two leaves, met or not, under ALL and ANY: what the tree says is what logic says. */
START_TEST(all_is_and_and_any_is_or)
{
	struct bg_claims claims = claims_of("{\"a\":1}");

	for (int bits = 0; bits < 4; bits++) {
		struct bg_rule leaves[2] = {
			{ .kind = BG_RULE_PRESENT, .claim = bits & 1 ? (char[]){ "a" } : (char[]){ "b" } },
			{ .kind = BG_RULE_PRESENT, .claim = bits & 2 ? (char[]){ "a" } : (char[]){ "b" } },
		};
		struct bg_rule all = { .kind = BG_RULE_ALL, .rules = leaves, .n_rules = 2 };
		struct bg_rule any = { .kind = BG_RULE_ANY, .rules = leaves, .n_rules = 2 };
		struct bg_rule ref_all = { .kind = BG_RULE_REF, .ref = &all }, ref_any = { .kind = BG_RULE_REF, .ref = &any };
		struct bg_rule mixed[2] = { ref_all, ref_any };
		struct bg_rule both = { .kind = BG_RULE_ALL, .rules = mixed, .n_rules = 2 };
		struct bg_rule either = { .kind = BG_RULE_ANY, .rules = mixed, .n_rules = 2 };
		struct bg_error err = { 0 };

		ck_assert_int_eq(bg_rule_check(&all, &claims, NULL) == 0, bits == 3);
		ck_assert_int_eq(bg_rule_check(&any, &claims, NULL) == 0, bits != 0);
		ck_assert_int_eq(bg_rule_check(&ref_all, &claims, NULL) == 0, bits == 3);
		ck_assert_int_eq(bg_rule_check(&both, &claims, NULL) == 0, bits == 3);
		ck_assert_int_eq(bg_rule_check(&either, &claims, NULL) == 0, bits != 0);
		/* an alternative that was met leaves no trace of those that were not */
		if (bits != 0) {
			ck_reason(bg_rule_check(&any, &claims, &err), err, BG_R_OK, "any");
		} else {
			ck_reason(bg_rule_check(&any, &claims, &err), err, BG_R_CLAIM_RULE, "any");
			ck_assert_ptr_nonnull(strstr(err.detail, "none of 2 alternatives; the first: b is missing"));
		}
	}
	forget(&claims);
}
END_TEST

START_TEST(a_refusal_says_what_was_found_and_wanted)	/* issue 3, item 8 */
{
	static const struct { enum bg_rule_kind kind; const char *claim, *values[MAX_VALUES + 1], *detail; } rows[] = {
		{ BG_RULE_SCOPE, NULL, { "x" }, "scope is \"r w\", wanted \"x\"" },
		{ BG_RULE_ANY_SCOPE, NULL, { "x", "y" }, "scope is \"r w\", wanted one of \"x\"" },
		{ BG_RULE_PERMISSION, NULL, { "x" }, "permissions is missing, wanted \"x\"" },
		{ BG_RULE_EQUALS, "o", { "a" }, "o is [\"eu\"], wanted \"a\"" },
		{ BG_RULE_EQUALS, "o", { "a", "b" }, "o is [\"eu\"], wanted one of \"a\"" },
		{ BG_RULE_CONTAINS, "/o", { "eu", "us" }, "/o is [\"eu\"], wanted \"us\"" },
		{ BG_RULE_PRESENT, "n", { NULL }, "n is missing, wanted \"any value\"" },
		{ BG_RULE_ABSENT, "o", { NULL }, "o is [\"eu\"], wanted \"no value\"" },
	};
	struct bg_claims claims = claims_of("{\"scope\":\"r w\",\"o\":[\"eu\"]}");

	for (int i = 0; i < N(rows); i++) {
		char *store[MAX_VALUES];
		struct bg_rule rule = rule_of(rows[i].kind, rows[i].claim, rows[i].values, store);
		struct bg_error err = { 0 };

		ck_assert_int_eq(bg_rule_check(&rule, &claims, &err), -1);
		ck_assert_str_eq(err.detail, rows[i].detail);
	}
	forget(&claims);
}
END_TEST

START_TEST(only_a_rule_of_nothing_demands_nothing)
{
	struct bg_rule nothing = { .kind = BG_RULE_ALL }, never = { 0 }, any = { .kind = BG_RULE_ANY };
	struct bg_rule scope = { .kind = BG_RULE_SCOPE }, ref = { .kind = BG_RULE_REF, .ref = &nothing }, no_ref = { .kind = BG_RULE_REF };
	struct bg_rule inner[] = { nothing, ref }, outer = { .kind = BG_RULE_ALL, .rules = inner, .n_rules = 2 };

	ck_assert(!bg_rule_demands(&nothing));
	ck_assert(!bg_rule_demands(&ref));
	ck_assert(!bg_rule_demands(&outer));
	ck_assert(bg_rule_demands(&never));
	ck_assert(bg_rule_demands(&any));
	ck_assert(bg_rule_demands(&scope));
	ck_assert(bg_rule_demands(&no_ref));
	inner[0] = any;
	ck_assert(bg_rule_demands(&outer));
}
END_TEST

START_TEST(scopes_of_a_tree_are_listed_once_each)	/* RFC 6750 section 3 */
{
	char *first[] = { (char[]){ "a" }, (char[]){ "b" } }, *second[] = { (char[]){ "b" }, (char[]){ "ab" } };
	char *third[] = { (char[]){ "secret" } };
	struct bg_rule named = { .kind = BG_RULE_ANY_SCOPE, .values = second, .n_values = 2 };
	struct bg_rule leaves[] = {
		{ .kind = BG_RULE_SCOPE, .values = first, .n_values = 2 }, { .kind = BG_RULE_REF, .ref = &named }, { .kind = BG_RULE_REF },
		{ .kind = BG_RULE_PERMISSION, .values = third, .n_values = 1 },
		{ .kind = BG_RULE_EQUALS, .claim = (char[]){ "c" }, .values = third, .n_values = 1 },
	};
	struct bg_rule tree = { .kind = BG_RULE_ANY, .rules = leaves, .n_rules = N(leaves) };
	struct bg_slice text;
	struct bg_buf out;

	bg_buf_init(&out, 100);
	bg_rule_put_scopes(&tree, &out);
	ck_assert_int_eq(bg_buf_finish(&out, &text, NULL), 0);
	ck_assert_str_eq(text.ptr, "a b ab");
	bg_buf_clear(&out);
}
END_TEST

START_TEST(a_rule_that_was_cleared_lets_nothing_pass)
{
	struct bg_rule rule = { .kind = BG_RULE_ALL };
	struct bg_claims claims = claims_of("{}");
	struct bg_error err = { 0 };

	rule.rules = calloc(1, sizeof(*rule.rules));
	rule.n_rules = 1;
	rule.rules[0] = (struct bg_rule){ .kind = BG_RULE_MATCHES, .claim = strdup("o"), .values = calloc(1, sizeof(char *)), .n_values = 1 };
	rule.rules[0].values[0] = strdup("x");
	ck_assert_int_eq(bg_regex_new(&rule.rules[0].regex, BG_SLICE("x"), NULL), 0);
	bg_rule_clear(&rule);
	ck_reason(bg_rule_check(&rule, &claims, &err), err, BG_R_CLAIM_RULE, "cleared");
	forget(&claims);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rule");
	TCase *tc = tcase_create("rule");

	tcase_add_loop_test(tc, a_rule_is_met_or_names_what_is_missing, 0, N(cases));
	tcase_add_loop_test(tc, a_claim_of_another_type_meets_no_rule, 0, N(typed));
	tcase_add_loop_test(tc, an_expression_matches_a_whole_value, 0, N(matching));
	tcase_add_loop_test(tc, a_name_or_pointer_leads_to_a_claim, 0, N(pointers));
	tcase_add_test(tc, a_malformed_pointer_is_no_name);
	tcase_add_test(tc, all_is_and_and_any_is_or);
	tcase_add_test(tc, a_refusal_says_what_was_found_and_wanted);
	tcase_add_test(tc, only_a_rule_of_nothing_demands_nothing);
	tcase_add_test(tc, scopes_of_a_tree_are_listed_once_each);
	tcase_add_test(tc, a_rule_that_was_cleared_lets_nothing_pass);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
