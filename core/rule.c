#include "core/rule.h"

#include <stdlib.h>

#include "core/regex.h"

/* A longer name, or part of a pointer, is no claim of any issuer. */
#define NAME_MAX_LEN	256

/* One reference token of a JSON Pointer as it is meant: ~1 is "/", ~0 is "~".  RFC 6901 section 4. */
static bool
unescape(struct bg_slice token, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < token.len; i++) {
		char c = token.ptr[i];

		if (c == '~') {
			if (++i == token.len || (token.ptr[i] != '0' && token.ptr[i] != '1'))
				return false;
			c = token.ptr[i] == '0' ? '~' : '/';
		}
		if (n + 1 >= size)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
}

/* Digits without a leading zero.  RFC 6901 section 4. */
static const json_t *
array_entry(const json_t *array, const char *index)
{
	size_t i = 0;

	if (index[0] == '\0' || (index[0] == '0' && index[1] != '\0') || strlen(index) > 6)
		return NULL;
	for (; *index != '\0'; index++) {
		if (*index < '0' || *index > '9')
			return NULL;
		i = i * 10 + (size_t)(*index - '0');
	}
	return json_array_get(array, i);
}

const json_t *
bg_claims_find(const struct bg_claims *claims, const char *name)
{
	struct bg_slice rest = { name, strlen(name) };
	const json_t *at = claims->all;
	char token[NAME_MAX_LEN];

	if (name[0] != '/')
		return json_object_get(at, name);
	while (rest.len > 0 && at != NULL) {
		size_t n = 1;

		while (n < rest.len && rest.ptr[n] != '/')
			n++;
		if (!unescape((struct bg_slice){ rest.ptr + 1, n - 1 }, token, sizeof(token)))
			return NULL;
		at = json_is_array(at) ? array_entry(at, token) : json_object_get(at, token);
		rest = bg_slice_skip(rest, n);
	}
	return at;
}

const char *
bg_claims_name_wrong(const char *name)
{
	struct bg_slice rest = { name, strlen(name) };
	char token[NAME_MAX_LEN];

	while (rest.len > 0 && rest.ptr[0] == '/') {
		size_t n = 1;

		while (n < rest.len && rest.ptr[n] != '/')
			n++;
		if (!unescape((struct bg_slice){ rest.ptr + 1, n - 1 }, token, sizeof(token)))
			return "is no JSON Pointer";
		rest = bg_slice_skip(rest, n);
	}
	return NULL;
}

/* A single value as text: strings as they are, numbers, true and false as JSON.  ptr NULL for the other types. */
static struct bg_slice
text_of(const json_t *value, char number[32])
{
	if (json_is_string(value))
		return bg_json_string(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? BG_SLICE("true") : BG_SLICE("false");
	if (json_is_number(value)) {
		size_t n = json_dumpb(value, number, 32, JSON_ENCODE_ANY | JSON_COMPACT);

		if (n > 0 && n <= 32)
			return (struct bg_slice){ number, n };
	}
	return (struct bg_slice){ NULL, 0 };
}

static bool
value_is(const json_t *value, const char *want)
{
	char number[32];
	struct bg_slice text = text_of(value, number);

	return text.ptr != NULL && bg_slice_equal(text, bg_slice_str(want));
}

/* The claim is want, or an array with want in it. */
static bool
holds(const json_t *claim, const char *want)
{
	const json_t *entry;
	size_t i;

	if (!json_is_array(claim))
		return value_is(claim, want);
	json_array_foreach(claim, i, entry)
		if (value_is(entry, want))
			return true;
	return false;
}

/* 1, 0, or -1 as bg_regex_matches has them. */
static int
matches(const json_t *claim, const struct bg_regex *regex)
{
	const json_t *entry;
	char number[32];
	struct bg_slice text;
	int found = 0, rc;
	size_t i;

	if (!json_is_array(claim)) {
		text = text_of(claim, number);
		return text.ptr != NULL ? bg_regex_matches(regex, text) : 0;
	}
	json_array_foreach(claim, i, entry) {
		text = text_of(entry, number);
		rc = text.ptr != NULL ? bg_regex_matches(regex, text) : 0;
		if (rc > 0)
			return 1;
		if (rc < 0)
			found = -1;
	}
	return found;
}

/* A word of a space-separated string, or an entry of an array: issuers write scope both ways. */
static bool
has_word(const json_t *list, const char *want)
{
	struct bg_slice rest = bg_json_string(list), word;

	if (!json_is_string(list))
		return json_is_array(list) && holds(list, want);
	while (bg_slice_word(&rest, &word))
		if (bg_slice_equal(word, bg_slice_str(want)))
			return true;
	return false;
}

typedef bool has_value(const json_t *claim, const char *want);

static const char *
first_missing(const struct bg_rule *rule, const json_t *claim, has_value *has)
{
	for (size_t i = 0; i < rule->n_values; i++)
		if (!has(claim, rule->values[i]))
			return rule->values[i];
	return rule->n_values > 0 ? NULL : "";	/* a rule that names nothing is a mistake, not a permission */
}

static bool
has_one(const struct bg_rule *rule, const json_t *claim, has_value *has)
{
	for (size_t i = 0; i < rule->n_values; i++)
		if (has(claim, rule->values[i]))
			return true;
	return false;
}

static int
fail(struct bg_error *err, enum bg_reason reason, const char *name, const json_t *claim, const char *how, const char *want)
{
	char *text = claim != NULL ? json_dumps(claim, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	/* A number that could not be written out compared as nothing: that is no fault of the token. */
	(void)bg_fail(err, bg_json_no_memory() ? BG_R_NO_MEMORY : reason, "%s is %.120s, wanted%s \"%s\"", name,
	    text != NULL ? text : claim != NULL ? "not written out" : "missing", how, want);
	free(text);
	return -1;
}

static int
check_any(const struct bg_rule *rule, const struct bg_claims *claims, struct bg_error *err)
{
	struct bg_error first = { 0 }, why;

	for (size_t i = 0; i < rule->n_rules; i++) {
		why = (struct bg_error){ 0 };
		if (bg_rule_check(&rule->rules[i], claims, &why) == 0)
			return 0;
		if (i == 0 || why.reason == BG_R_NO_MEMORY)
			first = why;
	}
	return bg_fail(err, first.reason != BG_R_OK ? first.reason : BG_R_CLAIM_RULE, "none of %zu alternatives; the first: %s",
	    rule->n_rules, first.detail);
}

static bool
needs_claim(enum bg_rule_kind kind)
{
	return kind == BG_RULE_EQUALS || kind == BG_RULE_CONTAINS || kind == BG_RULE_ANY_OF || kind == BG_RULE_MATCHES ||
	    kind == BG_RULE_PRESENT || kind == BG_RULE_ABSENT;
}

int
bg_rule_check(const struct bg_rule *rule, const struct bg_claims *claims, struct bg_error *err)
{
	const json_t *claim = rule->claim != NULL ? bg_claims_find(claims, rule->claim) : NULL;
	const json_t *permissions = json_object_get(claims->all, "permissions");
	const char *missing;
	int found;

	if (needs_claim(rule->kind) && rule->claim == NULL)
		return bg_fail(err, BG_R_CLAIM_RULE, "a rule without its claim");
	switch (rule->kind) {
	case BG_RULE_ALL:
		for (size_t i = 0; i < rule->n_rules; i++)
			if (bg_rule_check(&rule->rules[i], claims, err) != 0)
				return -1;
		return 0;
	case BG_RULE_ANY:
		return check_any(rule, claims, err);
	case BG_RULE_REF:
		if (rule->ref == NULL)
			break;
		return bg_rule_check(rule->ref, claims, err);
	case BG_RULE_SCOPE:
		missing = first_missing(rule, claims->scope, has_word);
		return missing == NULL ? 0 : fail(err, BG_R_NO_SCOPE, "scope", claims->scope, "", missing);
	case BG_RULE_ANY_SCOPE:
		return has_one(rule, claims->scope, has_word) ? 0 :
		    fail(err, BG_R_NO_SCOPE, "scope", claims->scope, " one of", rule->n_values > 0 ? rule->values[0] : "");
	case BG_RULE_PERMISSION:
		missing = first_missing(rule, permissions, has_word);
		return missing == NULL ? 0 : fail(err, BG_R_NO_PERMISSION, "permissions", permissions, "", missing);
	case BG_RULE_EQUALS:
		return has_one(rule, claim, value_is) ? 0 :
		    fail(err, BG_R_CLAIM_RULE, rule->claim, claim, rule->n_values > 1 ? " one of" : "",
		    rule->n_values > 0 ? rule->values[0] : "");
	case BG_RULE_CONTAINS:
		missing = first_missing(rule, claim, holds);
		return missing == NULL ? 0 : fail(err, BG_R_CLAIM_RULE, rule->claim, claim, "", missing);
	case BG_RULE_ANY_OF:
		return has_one(rule, claim, holds) ? 0 :
		    fail(err, BG_R_CLAIM_RULE, rule->claim, claim, " one of", rule->n_values > 0 ? rule->values[0] : "");
	case BG_RULE_MATCHES:
		found = rule->regex != NULL ? matches(claim, rule->regex) : 0;
		if (found < 0)
			return bg_fail(err, BG_R_NO_MEMORY, "%s", rule->claim);
		return found > 0 ? 0 :
		    fail(err, BG_R_CLAIM_RULE, rule->claim, claim, " a match of", rule->n_values > 0 ? rule->values[0] : "");
	case BG_RULE_PRESENT:
		return claim != NULL && !json_is_null(claim) ? 0 : fail(err, BG_R_CLAIM_RULE, rule->claim, NULL, "", "any value");
	case BG_RULE_ABSENT:
		/* nothing is found behind a malformed pointer, whatever the token says */
		return (claim == NULL || json_is_null(claim)) && bg_claims_name_wrong(rule->claim) == NULL ? 0 :
		    fail(err, BG_R_CLAIM_RULE, rule->claim, claim, "", "no value");
	case BG_RULE_NEVER:
		break;
	}
	return bg_fail(err, BG_R_CLAIM_RULE, "a rule that nothing meets");
}

bool
bg_rule_demands(const struct bg_rule *rule)
{
	if (rule->kind == BG_RULE_REF)
		return rule->ref == NULL || bg_rule_demands(rule->ref);
	if (rule->kind != BG_RULE_ALL)
		return true;
	for (size_t i = 0; i < rule->n_rules; i++)
		if (bg_rule_demands(&rule->rules[i]))
			return true;
	return false;
}

void
bg_rule_put_scopes(const struct bg_rule *rule, struct bg_buf *out)
{
	if (rule->kind == BG_RULE_REF && rule->ref != NULL)
		bg_rule_put_scopes(rule->ref, out);
	for (size_t i = 0; (rule->kind == BG_RULE_SCOPE || rule->kind == BG_RULE_ANY_SCOPE) && i < rule->n_values; i++)
		bg_scopes_put(out, bg_slice_str(rule->values[i]));
	for (size_t i = 0; i < rule->n_rules; i++)
		bg_rule_put_scopes(&rule->rules[i], out);
}

void
bg_scopes_put(struct bg_buf *out, struct bg_slice scope)
{
	struct bg_slice there = { out->data, out->len }, word;

	while (bg_slice_word(&there, &word))
		if (bg_slice_equal(word, scope))
			return;
	if (out->len > 0)
		bg_buf_put_char(out, ' ');
	bg_buf_put(out, scope);
}

void
bg_rule_clear(struct bg_rule *rule)
{
	for (size_t i = 0; i < rule->n_values; i++)
		free(rule->values[i]);
	for (size_t i = 0; i < rule->n_rules; i++)
		bg_rule_clear(&rule->rules[i]);
	free(rule->values);
	free(rule->rules);
	free(rule->claim);
	bg_regex_free(rule->regex);
	*rule = (struct bg_rule){ .kind = BG_RULE_NEVER };
}
