#ifndef BG_CORE_REQUEST_H
#define BG_CORE_REQUEST_H

#include "core/slice.h"

/*
 * A client's request in neutral words, as a front end makes it out of what its server handed in (cgi/metavars.c).
 * All slices are borrowed and outlive the decision.  Cleared memory is a request that says nothing at all.
 */
struct bg_request {
	struct bg_slice method;		/* as the client sent it, case kept */
	struct bg_slice uri;		/* the request target, raw, with its query */
	struct bg_slice host;		/* Host header */
	struct bg_slice remote_addr;
	struct bg_slice request_id;
	struct bg_slice authorization;	/* the Authorization header's value; ptr NULL when there is none */
	bool            two_authorizations;	/* two that differ, or one sent twice (SR-73) */

	/* What the server's configuration demands of this request. */
	struct bg_slice want_scope;	/* space-separated, all needed */
};

/* The path of the request target: without query, without scheme and host of an absolute form (SR-71).  For logs. */
struct bg_slice bg_request_path(const struct bg_request *request);

#endif
