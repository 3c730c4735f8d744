#ifndef BG_FCGI_AUTHORIZER_H
#define BG_FCGI_AUTHORIZER_H

#include "core/buf.h"
#include "core/gate.h"
#include "fcgi/counters.h"
#include "fcgi/records.h"

/*
 * One request, without a socket: read the parameters, decide, write the decision to the log, and put the whole answer
 * into out in the form of the role, its "Status:" first.  The role says nothing about the decision, nor does
 * BEARERGATE_ANSWER=client, by which a Responder answers with what the client is to get (bg_reply_client).  env is "NAME=value"
 * strings up to a NULL; out is the caller's, its ceiling large enough for a denial (BG_ANSWER_MAX).
 * Whatever goes wrong on the way becomes a denial.  Returns -1, out empty, when not even that can be written; the
 * connection must then be closed without an answer, which every server takes as an error.
 * Unless last is said, it returns BG_AUTHORIZER_LATER, out empty and nothing logged, for a request whose keys are being
 * fetched: it is then to be asked again when the keys have changed (bg_gate_start), and in the end with last, which
 * answers 503.
 * Otherwise *answered is what has been decided and how it was answered; it may be NULL.
 *
 * FastCGI 1.0 sections 6.2 and 6.3.
 */
#define BG_AUTHORIZER_LATER	1
int bg_authorizer_answer(const struct bg_gate *gate, struct bg_now now, enum bg_role role, char *const *env, bool last,
    struct bg_buf *out, struct bg_answered *answered) BG_MUST_CHECK;

/* As an answer to a request that was refused for this reason before anybody looked for a token in it. */
int bg_authorizer_refuse(const struct bg_gate *gate, enum bg_role role, const struct bg_error *why, struct bg_buf *out,
    struct bg_answered *answered) BG_MUST_CHECK;

#endif
