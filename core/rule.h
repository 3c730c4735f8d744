#ifndef BG_CORE_RULE_H
#define BG_CORE_RULE_H

#include "core/claims.h"

/*
 * What a token must say to pass: a tree of conditions, plain data that conf/build.c makes and that never changes while
 * threads run.  Cleared memory is a rule of no known kind, which no token meets.
 */
enum bg_rule_kind {
	BG_RULE_NEVER = 0,
	BG_RULE_ALL,		/* every one of rules; true when there are none */
	BG_RULE_ANY,		/* at least one of rules; false when there are none */
	BG_RULE_SCOPE,		/* every one of values is a word of scope; false, as all below, when there are no values */
	BG_RULE_ANY_SCOPE,	/* at least one of values is */
	BG_RULE_PERMISSION,	/* every one of values is an entry of permissions */
	BG_RULE_EQUALS,		/* the claim is one value, and it is one of values */
	BG_RULE_CONTAINS,	/* every one of values is the claim, or an entry of it where it is an array */
	BG_RULE_ANY_OF,		/* at least one of values is */
	BG_RULE_MATCHES,	/* the claim, or an entry of it, matches regex from end to end (SR-47) */
	BG_RULE_PRESENT,	/* the claim is there, and not null */
	BG_RULE_ABSENT,		/* it is not; false for a pointer that is malformed */
	BG_RULE_REF,		/* ref is met: a policy named inside another rule */
};

struct bg_rule {
	enum bg_rule_kind  kind;
	char              *claim;	/* a name, or a JSON Pointer where it begins with "/" (RFC 6901) */
	char             **values;
	size_t             n_values;
	struct bg_regex   *regex;
	struct bg_rule    *rules;	/* of ALL and ANY */
	size_t             n_rules;
	const struct bg_rule *ref;	/* borrowed; of REF */
};

/*
 * Does the token meet the rule?  Values are compared byte for byte; a number, true or false in the token compares as
 * its JSON text.  Returns 0, or -1 with BG_R_NO_SCOPE, BG_R_NO_PERMISSION or BG_R_CLAIM_RULE, and in the detail what
 * was wanted and what was found.
 */
int bg_rule_check(const struct bg_rule *rule, const struct bg_claims *claims, struct bg_error *err) BG_MUST_CHECK;

/* Does it ask for anything?  Only ALL of nothing, or of such, does not. */
bool bg_rule_demands(const struct bg_rule *rule);

/* Put every scope the rule asks for into out, for the challenge of a 403.  RFC 6750 section 3. */
void bg_rule_put_scopes(const struct bg_rule *rule, struct bg_buf *out);

/* Add one scope to a space-separated list, unless it is there. */
void bg_scopes_put(struct bg_buf *out, struct bg_slice scope);

/* Give back what a rule owns, not the rule itself. */
void bg_rule_clear(struct bg_rule *rule);

/*
 * The claim called name: a member of the payload, or what the JSON Pointer leads to.  NULL when there is none, or the
 * pointer is malformed.  Borrowed from claims.  RFC 6901.
 */
const json_t *bg_claims_find(const struct bg_claims *claims, const char *name);

/* Why no claim can have this name, in static words: it begins with "/" and is no JSON Pointer.  NULL: it can be one. */
const char *bg_claims_name_wrong(const char *name);

#endif
