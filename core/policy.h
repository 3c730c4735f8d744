#ifndef BG_CORE_POLICY_H
#define BG_CORE_POLICY_H

#include "core/claims.h"
#include "core/request.h"

/*
 * Has the token what this request demands?  All scopes of want_scope must be in the scope claim.
 * Returns -1 with BG_R_NO_SCOPE.
 *
 * RFC 6750 section 3.1, RFC 6749 section 3.3.
 */
int bg_policy_check(const struct bg_request *request, const struct bg_claims *claims,
    struct bg_error *err) BG_MUST_CHECK;

#endif
