/*
 * Any claims against one rule of every kind: core/rule.c, core/regex.c.  ALL and ANY say what their parts say together, a
 * reason comes with every refusal, and a token that says nothing meets no rule that asks for something.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/regex.h"
#include "core/rule.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)
#define LEAVES		10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *values[] = { (char[]){ "admin" }, (char[]){ "1" } };
static struct bg_rule leaves[LEAVES] = {
	{ .kind = BG_RULE_SCOPE, .values = values, .n_values = 2 },
	{ .kind = BG_RULE_ANY_SCOPE, .values = values, .n_values = 2 },
	{ .kind = BG_RULE_PERMISSION, .values = values, .n_values = 1 },
	{ .kind = BG_RULE_EQUALS, .claim = (char[]){ "a" }, .values = values, .n_values = 2 },
	{ .kind = BG_RULE_CONTAINS, .claim = (char[]){ "a" }, .values = values, .n_values = 2 },
	{ .kind = BG_RULE_ANY_OF, .claim = (char[]){ "/a/b/0" }, .values = values, .n_values = 2 },
	{ .kind = BG_RULE_MATCHES, .claim = (char[]){ "a" }, .values = values, .n_values = 1 },
	{ .kind = BG_RULE_PRESENT, .claim = (char[]){ "/a~1b/~0" } },
	{ .kind = BG_RULE_NEVER },
	{ .kind = BG_RULE_ABSENT, .claim = (char[]){ "a" } },	/* the last one: what says nothing meets it */
};

static bool
met(const struct bg_rule *rule, const struct bg_claims *claims)
{
	struct bg_error err = { 0 };
	bool yes = bg_rule_check(rule, claims, &err) == 0;

	MUST(yes == (err.reason == BG_R_OK));
	MUST(yes || bg_reason_status(err.reason) == 403);
	return yes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_rule all = { .kind = BG_RULE_ALL, .rules = leaves }, any = { .kind = BG_RULE_ANY, .rules = leaves }, ref;
	struct bg_error err = { 0 };
	struct bg_token token = { 0 };
	struct bg_claims claims;
	struct bg_slice text;
	struct bg_buf scopes;
	bool every = true, one = false;

	if (leaves[6].regex == NULL)
		MUST(bg_regex_new(&leaves[6].regex, BG_SLICE("(a|ad)*(min)?\\d{0,9}"), &err) == 0);
	if (bg_json_object((struct bg_slice){ (const char *)data, size }, BG_R_BAD_CLAIMS, &token.payload, &err) != 0)
		return 0;
	if (bg_claims_read(&token, &claims, &err) != 0)		/* rules must stand on their own */
		claims = (struct bg_claims){ .all = token.payload, .scope = json_object_get(token.payload, "scope") };
	for (size_t i = 0; i < LEAVES; i++) {
		bool yes = met(&leaves[i], &claims);

		every = every && yes;
		one = one || yes;
		all.n_rules = any.n_rules = i + 1;
		MUST(met(&all, &claims) == every);
		MUST(met(&any, &claims) == one);
		ref = (struct bg_rule){ .kind = BG_RULE_REF, .ref = i % 2 == 0 ? &all : &any };
		MUST(met(&ref, &claims) == (i % 2 == 0 ? every : one));
		MUST(bg_rule_demands(&leaves[i]));
		if (json_object_size(claims.all) == 0)
			MUST(yes == (i == LEAVES - 1));
	}
	MUST(!met(&leaves[8], &claims));
	MUST(met(&leaves[9], &claims) != (json_object_get(claims.all, "a") != NULL && !json_is_null(json_object_get(claims.all, "a"))));
	MUST(!met(&leaves[4], &claims) || met(&(struct bg_rule){ .kind = BG_RULE_ANY_OF, .claim = leaves[4].claim, .values = values,
	    .n_values = 2 }, &claims));			/* all of them are one of them */
	bg_buf_init(&scopes, BG_CHALLENGE_MAX);
	bg_rule_put_scopes(&all, &scopes);
	MUST(bg_buf_finish(&scopes, &text, NULL) == 0 && bg_slice_equal(text, BG_SLICE("admin 1")));
	bg_buf_clear(&scopes);
	json_decref(token.payload);
	return 0;
}
