#ifndef BG_FCGI_PAGE_H
#define BG_FCGI_PAGE_H

#include "core/error.h"
#include "fcgi/records.h"
#include "fcgi/status.h"

/* What BEARERGATE_PAGE can ask for. */
enum bg_page { BG_PAGE_NONE = 0, BG_PAGE_PING, BG_PAGE_READY, BG_PAGE_STATUS, BG_PAGE_METRICS };

/*
 * Does the server's configuration ask for a page here, and may there be one?  *out is BG_PAGE_NONE where BEARERGATE_PAGE is
 * not set: the request is one to be decided.
 *
 * A page is answered with 200, which a server that asks about a request takes for an allow.  So where BEARERGATE_PAGE is
 * set and anything at all lets the request look like a question, there is neither a page nor an allow.  There is a page only
 *
 *  - in the Responder role,
 *  - with no other variable that begins with BEARERGATE_,
 *  - where the path of REQUEST_URI is, byte for byte, SCRIPT_NAME followed by PATH_INFO: the client itself has asked for
 *    this very location.  In a sub-request of nginx the first is the client's path, the second the location's,
 *  - without X-Forwarded-Method and X-Forwarded-Uri, by which forward_auth of Caddy hands in the request that it asks about.
 *
 * Returns -1 with BG_R_BAD_VARIABLE otherwise, and for a value that names no page; the caller denies with that error.
 * env is "NAME=value" strings up to a NULL.
 */
int bg_page_wanted(enum bg_role role, char *const *env, enum bg_page *out, struct bg_error *err) BG_MUST_CHECK;

/*
 * The page as a whole answer, its "Status:" first.  env says which form of a status page is wanted: QUERY_STRING "json",
 * "html" or "text", else HTML where HTTP_ACCEPT has text/html, and text where not.  Any method but GET and HEAD is answered
 * 405.  Where not all issuers fit on a page it has fewer, and says so.  Returns -1, out empty, where it cannot be written.
 *
 * FastCGI 1.0 section 6.2, RFC 3875 section 6.2.
 */
int bg_page_answer(enum bg_page page, char *const *env, const struct bg_status *status, struct bg_buf *out) BG_MUST_CHECK;

const char *bg_page_name(enum bg_page page);	/* "status"; for logs and metrics */

#endif
