#ifndef BG_CGI_METAVARS_H
#define BG_CGI_METAVARS_H

#include "core/error.h"
#include "core/request.h"

/*
 * Make a request out of CGI meta-variables, given as "NAME=value" strings up to a NULL, as in envp or FCGX_ParamArray.
 * Everything is borrowed from env.  Any variable may be missing, empty, repeated or odd (SR-23):
 *
 *  - Authorization is HTTP_AUTHORIZATION or REDIRECT_HTTP_AUTHORIZATION, to any depth of REDIRECT_; two that differ,
 *    or the first of them twice, are two tokens (SR-73).
 *  - HTTP_DPOP twice, equal or not, is two proofs (SR-67), and what proxies say, twice, is repeated_forwarded.  Of any other
 *    name the first counts.
 *  - A scheme that neither REQUEST_SCHEME nor BEARERGATE_SCHEME says is https where HTTPS is "on" or "1".
 *  - A BEARERGATE_ variable that is unknown, repeated or malformed makes the request unanswerable: returns -1 with
 *    BG_R_BAD_VARIABLE; the caller denies with that error.  BG_R_BAD_REQUEST where it passes on what the client wrote:
 *    method, host, request target.  *out then has what a line of the log says of the request, as the server shows it,
 *    and nothing else.
 *
 * RFC 3875 section 4.1.
 */
int bg_metavars_read(char *const *env, struct bg_request *out, struct bg_error *err) BG_MUST_CHECK;

/* Take "NAME=value" apart; false where there is no "=": that is no variable.  Both are borrowed from var. */
bool bg_metavars_split(const char *var, struct bg_slice *name, struct bg_slice *value);

/* Does bg_metavars_read look at variables of this name?  Those that begin with BEARERGATE_ all matter, known or not. */
bool bg_metavars_matters(struct bg_slice name);

#endif
