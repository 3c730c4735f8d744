#ifndef BG_CGI_ASK_H
#define BG_CGI_ASK_H

#include <sys/types.h>

#include "core/response.h"

/*
 * Put a request into the form in which bearergate-fcgi is asked about it: FastCGI, role AUTHORIZER, with those variables of env
 * that matter for a decision (bg_metavars_matters), so that neither cookies nor what a server has in its environment leave
 * this process.  out was initialised and is the caller's.  Returns -1 with BG_R_BAD_REQUEST where it is more than the daemon
 * reads, which only the client's part of it can be, or BG_R_NO_MEMORY.
 *
 * FastCGI 1.0 sections 3.3, 3.4, 5.1, 5.2 and 6.3.
 */
int bg_ask_request(char *const *env, struct bg_buf *out, struct bg_error *err) BG_MUST_CHECK;

/*
 * Ask the daemon whose socket is at path, and wait no longer than timeout seconds for its whole answer, see bg_answer_read.
 * Nothing is sent to one that bg_trust_socket does not trust; user is who shall listen there, or BG_TRUST_NOBODY.
 * Returns 0 with an answer in response, which was initialised: an allow where its status is 200.  Otherwise -1, response a denial,
 * with BG_R_NO_DAEMON and what was wrong, or as bg_ask_request.
 */
int bg_ask(const char *path, uid_t user, int64_t timeout, char *const *env, const struct bg_exports *exports,
    struct bg_response *response, struct bg_error *err) BG_MUST_CHECK;

#endif
