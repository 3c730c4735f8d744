#ifndef BG_CORE_REQUEST_H
#define BG_CORE_REQUEST_H

#include "core/slice.h"

/* Does a request need a token?  Stricter ones are smaller, and the strictest is the zero value. */
enum bg_auth { BG_AUTH_REQUIRED = 0, BG_AUTH_OPTIONAL, BG_AUTH_NONE };

/*
 * A server may ask several times for one client request: for sub-requests, internal redirects, several providers.  Where
 * it gives the request no id, those calls differ in one of these at least, while the same client's next request begins with a
 * call that was there before.  So nothing may stand here that a client chooses: with another HTTP version, or a header that
 * the server finds another file by, the same request would be a new call.
 */
enum bg_call {
	BG_CALL_INCLUDED = 0,	/* Apache's SERVER_PROTOCOL, where it is INCLUDED: a sub-request, which the client did not write */
	BG_CALL_FILE,		/* SCRIPT_FILENAME of a sub-request; of all others not set */
	BG_CALL_REDIRECT_URL,	/* from where an internal redirect came */
	BG_CALL_ROLE,		/* FCGI_APACHE_ROLE */
	BG_CALL_VARIABLES,	/* how many these are */
};

struct bg_rule;

/*
 * A client's request in neutral words, as a front end makes it out of what its server handed in (cgi/metavars.c).
 * All slices are borrowed and outlive the decision.  Cleared memory is a request that says nothing at all.
 */
struct bg_request {
	struct bg_slice method;		/* as the client sent it, case kept */
	struct bg_slice uri;		/* the request target, raw, with its query */
	struct bg_slice scheme;		/* as the server says it; ptr NULL: not said */
	struct bg_slice host;		/* Host header */
	struct bg_slice remote_addr;	/* of who speaks to the server: the client, or a proxy */
	struct bg_slice remote_port;
	struct bg_slice request_id;	/* names the client's request, the same in all calls made for it */
	struct bg_slice call[BG_CALL_VARIABLES];	/* what tells these calls apart, see there */
	struct bg_slice authorization;	/* the Authorization header's value; ptr NULL when there is none */
	bool            two_authorizations;	/* two that differ, or one sent twice (SR-73) */
	struct bg_slice dpop;		/* the DPoP header's value; ptr NULL when there is none */
	bool            two_dpops;	/* it was sent twice (SR-67) */
	struct bg_slice client_cert;	/* of the TLS client, as the server puts it in SSL_CLIENT_CERT */

	/* What proxies say of the client's request; to be believed of a trusted proxy alone (SR-68). */
	struct bg_slice forwarded;
	struct bg_slice x_forwarded_for;
	struct bg_slice x_forwarded_proto;
	struct bg_slice x_forwarded_host;
	struct bg_slice x_forwarded_prefix;
	bool            repeated_forwarded;	/* one of these came twice */

	struct bg_slice origin;		/* Origin and Access-Control-Request-Method, for preflights */
	struct bg_slice preflight_method;

	/* What the server's configuration demands of this request; lists are space-separated, ptr NULL: not said. */
	struct bg_slice want_scope;	/* all needed */
	struct bg_slice want_any_scope;	/* one is enough */
	struct bg_slice want_permission;	/* all needed */
	struct bg_slice want_policy;	/* names of policies; they add up */
	const struct bg_rule *want_rule;	/* what the place itself demands beside all that; NULL: nothing */
	bool            says_auth;	/* auth was said */
	enum bg_auth    auth;
};

/* The path of the request target: without query, fragment, and scheme and host of an absolute form (SR-71).  As it came. */
struct bg_slice bg_request_path(const struct bg_request *request);

/* Is the request target in absolute form, "http://host/path"?  RFC 9112 section 3.2.2. */
bool bg_request_is_absolute(const struct bg_request *request);

#endif
