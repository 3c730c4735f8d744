#ifndef BG_CGI_REPLY_H
#define BG_CGI_REPLY_H

#include "core/response.h"

/*
 * Write response as the answer of a FastCGI Authorizer: "Status:" first on every path, then headers, an empty line
 * and, for a denial, the body.  An allow carries one "Variable-NAME: value" header for each variable.  A denial also
 * carries X-Bearergate-Status, by which a server can tell it from the protected program's own answers.
 * out is reset first.  Returns -1 with BG_R_INTERNAL, out empty, when it does not fit: the caller must then end the
 * connection without an answer.
 *
 * FastCGI 1.0 section 6.3, RFC 3875 section 6.2.
 */
int bg_reply_authorizer(const struct bg_response *response, struct bg_buf *out, struct bg_error *err) BG_MUST_CHECK;

/*
 * Write response as the answer of a FastCGI Responder, for servers that ask in a sub-request of their own: nginx with
 * auth_request lets in for 200, knows 401 and 403 beside it, takes anything else for an error, and never hands on a
 * body.  So an allow is 200, a denial with 401 or 400 is 401, any other 403, and what the client is to get is in headers:
 *
 *  - an allow has one "X-Auth-Name: value" for each variable, its name in capitalised words: X-Auth-Claim-Org-Id for
 *    CLAIM_ORG_ID, X-Auth-Remote-User, and X-Auth-Type for AUTH_TYPE;
 *  - a denial has X-Bearergate-Status, which is the real status, X-Bearergate-Body, which is the body as it is, and
 *    WWW-Authenticate, DPoP-Nonce and Retry-After where they belong.  The body stands behind the head as well;
 *  - an allow too has DPoP-Nonce where the client should use a newer one (RFC 9449 section 8.2).
 *
 * Neither may be stored by a cache.  As bg_reply_authorizer otherwise; but nothing is allowed without all its variables:
 * one that was left out for its length does not fit, nor does a head above BG_RESPONDER_HEAD_MAX.
 *
 * FastCGI 1.0 section 6.2, RFC 3875 section 6.2.
 */
int bg_reply_responder(const struct bg_response *response, struct bg_buf *out, struct bg_error *err) BG_MUST_CHECK;

/*
 * The same for a server that hands on to the client whatever is not 2xx, as it is: Caddy with forward_auth.  An allow is as for
 * bg_reply_responder, with the same limits, and needs bg_export_missing before, since Caddy makes the name of a variable of its
 * own of a header that is not there; a denial has its real status and its body, as bg_reply_authorizer writes it, and is
 * never below 400, so that it can neither let anybody in nor send anybody on.
 */
int bg_reply_client(const struct bg_response *response, struct bg_buf *out, struct bg_error *err) BG_MUST_CHECK;

/* May this stand in a header?  No header of ours may end before we end it, whatever came in (SR-82): printable ASCII alone. */
bool bg_reply_is_safe(struct bg_slice text);

/* How the server wants the answer of a CGI program. */
struct bg_cgi_form {
	bool head;	/* the method is HEAD: no body.  RFC 3875 section 4.3.3 */
	bool nph;	/* as it goes to the client, with a status line.  RFC 3875 section 5 */
};

/*
 * Write a denial as the answer of a CGI program: "Status:" first, headers, an empty line, and the body.  In the other form a
 * status line comes before it and Content-Length behind, and "Status:" stays, since some servers drop such a line.
 * out is reset first.  Returns -1 with BG_R_INTERNAL, out empty, when it does not fit, or for what is no denial: an allowed
 * request is answered by its script.
 *
 * RFC 3875 section 6.2.
 */
int bg_reply_cgi(const struct bg_response *response, struct bg_cgi_form form, struct bg_buf *out,
    struct bg_error *err) BG_MUST_CHECK;

#endif
