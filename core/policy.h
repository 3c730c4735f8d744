#ifndef BG_CORE_POLICY_H
#define BG_CORE_POLICY_H

#include "core/claims.h"
#include "core/request.h"
#include "core/rule.h"

/* policy "NAME" { ... }: a rule by name.  const after start-up. */
struct bg_policy {
	char          *name;
	struct bg_rule rule;
};

/* location "PATH" { ... }: what requests below a path must meet.  const after start-up. */
struct bg_location {
	char                    *path;		/* normalised, see core/path.h */
	char                   **methods;	/* none: all of them */
	size_t                   n_methods;
	bool                     says_auth;	/* auth was given */
	enum bg_auth             auth;
	const struct bg_policy **policies;	/* borrowed from the gate */
	size_t                   n_policies;
	struct bg_rule           rule;		/* its own conditions */
};

/* All rules of a gate. */
struct bg_policies {
	struct bg_policy   *policies;
	size_t              n_policies;
	struct bg_location *locations;
	size_t              n_locations;
	bool                preflight;		/* true CORS preflights pass */
};

/*
 * What is demanded of one request, from the variables its server set, from the place itself, and from the location that takes it in (the
 * longest path, among those that name its method or none; GET stands for HEAD where nobody names that).  Demands add
 * up and never cancel: the stricter auth of the two counts, and where any scope, permission or policy is demanded,
 * auth is required.  So it is where a location with a longer path was passed over because it names other methods.
 */
struct bg_demand {
	enum bg_auth              auth;
	const struct bg_request  *request;	/* whose want_ members are demands too */
	const struct bg_location *location;	/* NULL: none takes it in */
};

/*
 * Find what is demanded of request.  Returns -1 with BG_R_BAD_REQUEST when there are locations and the path is one
 * that servers could read differently, or with BG_R_BAD_VARIABLE for a policy that does not exist.
 */
int bg_policy_find(const struct bg_policies *policies, const struct bg_request *request, struct bg_demand *out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * A CORS preflight that may pass?  OPTIONS with one Origin and one Access-Control-Request-Method, and, as browsers send
 * it, without credentials.  Fetch standard sections 3.2.2 and 4.8.
 */
bool bg_policy_is_preflight(const struct bg_policies *policies, const struct bg_request *request);

/*
 * Has the token what the demand asks for?  Returns -1 with BG_R_NO_SCOPE, BG_R_CLAIM_RULE or BG_R_BAD_VARIABLE.
 *
 * RFC 6750 section 3.1, RFC 6749 section 3.3.
 */
int bg_policy_check(const struct bg_policies *policies, const struct bg_demand *demand, const struct bg_claims *claims,
    struct bg_error *err) BG_MUST_CHECK;

/* The scopes that demand asks for, for the challenge of a 403; space-separated, each once. */
void bg_policy_put_scopes(const struct bg_policies *policies, const struct bg_demand *demand, struct bg_buf *out);

void bg_policies_clear(struct bg_policies *policies);

#endif
