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

#endif
