#ifndef BG_CORE_REQUEST_H
#define BG_CORE_REQUEST_H

#include "core/slice.h"

/* Does a request need a token?  Stricter ones are smaller, and the strictest is the zero value. */
enum bg_auth { BG_AUTH_REQUIRED = 0, BG_AUTH_OPTIONAL, BG_AUTH_NONE };

/*
 * A client's request in neutral words, as a front end makes it out of what its server handed in (cgi/metavars.c).
 * All slices are borrowed and outlive the decision.  Cleared memory is a request that says nothing at all.
 */
struct bg_request {
	struct bg_slice method;		/* as the client sent it, case kept */
	struct bg_slice uri;		/* the request target, raw, with its query */
	struct bg_slice scheme;		/* as the server says it; ptr NULL: not said */
	struct bg_slice host;		/* Host header */
	struct bg_slice remote_addr;
	struct bg_slice request_id;
	struct bg_slice authorization;	/* the Authorization header's value; ptr NULL when there is none */
	bool            two_authorizations;	/* two that differ, or one sent twice (SR-73) */

	struct bg_slice origin;		/* Origin and Access-Control-Request-Method, for preflights */
	struct bg_slice preflight_method;

	/* What the server's configuration demands of this request; lists are space-separated, ptr NULL: not said. */
	struct bg_slice want_scope;	/* all needed */
	struct bg_slice want_any_scope;	/* one is enough */
	struct bg_slice want_permission;	/* all needed */
	struct bg_slice want_policy;	/* names of policies; they add up */
	bool            says_auth;	/* auth was said */
	enum bg_auth    auth;
};

/* The path of the request target: without query, fragment, and scheme and host of an absolute form (SR-71).  As it came. */
struct bg_slice bg_request_path(const struct bg_request *request);

/* Is the request target in absolute form, "http://host/path"?  RFC 9112 section 3.2.2. */
bool bg_request_is_absolute(const struct bg_request *request);

#endif
