#include "fcgi/authorizer.h"

#include "cgi/metavars.h"
#include "cgi/reply.h"
#include "core/export.h"

typedef int write_reply(const struct bg_response *response, struct bg_buf *out, struct bg_error *err);

static int
no_reply(const struct bg_response *response, struct bg_buf *out, struct bg_error *err)
{
	(void)response, (void)out;
	return bg_fail(err, BG_R_INTERNAL, "a role that is not served");
}

/*
 * The form of an answer.  It is looked for before anything can be wrong with the variables, so that a refusal for that has it
 * too; whether the variable is a good one, cgi/metavars.c says.  env may be NULL.
 */
static write_reply *
form(enum bg_role role, char *const *env)
{
	if (role == BG_ROLE_AUTHORIZER)
		return bg_reply_authorizer;
	if (role != BG_ROLE_RESPONDER)
		return no_reply;
	for (; env != NULL && *env != NULL; env++)
		if (strcmp(*env, "BEARERGATE_ANSWER=client") == 0)
			return bg_reply_client;
	return bg_reply_responder;
}

static int
write_out(const struct bg_gate *gate, const struct bg_decision *decision, write_reply *reply, struct bg_buf *out, int *status,
    struct bg_error *err)
{
	struct bg_response response;
	int rc;

	bg_response_init(&response);
	bg_response_make(gate, decision, &response);
	*status = response.status;
	if (decision->verdict == BG_ALLOW && response.status != 200)
		rc = bg_fail(err, BG_R_INTERNAL, "the variables of an allowed request could not be made");
	else if (decision->verdict == BG_ALLOW && reply == bg_reply_client && !decision->anonymous &&
	    bg_export_missing(&gate->exports, &decision->claims, &response.variables, err) != 0)
		rc = -1;
	else
		rc = reply(&response, out, err);
	bg_response_clear(&response);
	return rc;
}

/* Answer a decision, write it to the log, and clear it. */
static int
deliver(const struct bg_gate *gate, struct bg_decision *decision, const struct bg_request *request, write_reply *reply,
    struct bg_buf *out, struct bg_answered *answered)
{
	struct bg_error err = { 0 };
	int rc, status;

	if ((rc = write_out(gate, decision, reply, out, &status, &err)) != 0) {
		/* Too much for one answer, or no memory: a plain denial is small. */
		bg_decision_deny(decision, &err);
		rc = write_out(gate, decision, reply, out, &status, &err);
	}
	if (rc != 0)
		status = 0;
	bg_decision_log(decision, request, status);
	if (answered != NULL)
		*answered = (struct bg_answered){ .allowed = decision->verdict == BG_ALLOW, .anonymous = decision->anonymous,
		    .scheme = decision->scheme, .reason = bg_decision_reason(decision), .status = status };
	bg_decision_clear(decision);
	return rc;
}

int
bg_authorizer_answer(const struct bg_gate *gate, struct bg_now now, enum bg_role role, char *const *env, bool last,
    struct bg_buf *out, struct bg_answered *answered)
{
	struct bg_decision decision = { .verdict = BG_DENY };
	struct bg_error err = { 0 };
	struct bg_request request;

	bg_buf_reset(out);
	if (bg_metavars_read(env, &request, &err) == 0)
		bg_gate_decide(gate, &request, now, &decision);
	else
		bg_decision_deny(&decision, &err);
	if (!last && bg_decision_reason(&decision) == BG_R_KEYS_PENDING) {
		bg_decision_clear(&decision);
		return BG_AUTHORIZER_LATER;
	}
	return deliver(gate, &decision, &request, form(role, env), out, answered);
}

int
bg_authorizer_refuse(const struct bg_gate *gate, enum bg_role role, const struct bg_error *why, struct bg_buf *out,
    struct bg_answered *answered)
{
	struct bg_decision decision = { .verdict = BG_DENY };
	static const struct bg_request nothing;

	bg_buf_reset(out);
	bg_decision_deny(&decision, why);
	return deliver(gate, &decision, &nothing, form(role, NULL), out, answered);
}
