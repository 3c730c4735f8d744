#include "fcgi/authorizer.h"

#include "cgi/metavars.h"
#include "cgi/reply.h"

static int
reply(enum bg_role role, const struct bg_response *response, struct bg_buf *out, struct bg_error *err)
{
	switch (role) {
	case BG_ROLE_AUTHORIZER:
		return bg_reply_authorizer(response, out, err);
	case BG_ROLE_RESPONDER:
		return bg_reply_responder(response, out, err);
	case BG_ROLE_NONE:
		break;
	}
	return bg_fail(err, BG_R_INTERNAL, "a role that is not served");
}

static int
write_out(const struct bg_gate *gate, const struct bg_decision *decision, enum bg_role role, struct bg_buf *out, int *status,
    struct bg_error *err)
{
	struct bg_response response;
	int rc;

	bg_response_init(&response);
	bg_response_make(gate, decision, &response);
	*status = response.status;
	if (decision->verdict == BG_ALLOW && response.status != 200)
		rc = bg_fail(err, BG_R_INTERNAL, "the variables of an allowed request could not be made");
	else
		rc = reply(role, &response, out, err);
	bg_response_clear(&response);
	return rc;
}

/* Answer a decision, write it to the log, and clear it. */
static int
deliver(const struct bg_gate *gate, struct bg_decision *decision, const struct bg_request *request, enum bg_role role,
    struct bg_buf *out, struct bg_answered *answered)
{
	struct bg_error err = { 0 };
	int rc, status;

	if ((rc = write_out(gate, decision, role, out, &status, &err)) != 0) {
		/* Too much for one answer, or no memory: a plain denial is small. */
		bg_decision_deny(decision, &err);
		rc = write_out(gate, decision, role, out, &status, &err);
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
	return deliver(gate, &decision, &request, role, out, answered);
}

int
bg_authorizer_refuse(const struct bg_gate *gate, enum bg_role role, const struct bg_error *why, struct bg_buf *out,
    struct bg_answered *answered)
{
	struct bg_decision decision = { .verdict = BG_DENY };
	static const struct bg_request nothing;

	bg_buf_reset(out);
	bg_decision_deny(&decision, why);
	return deliver(gate, &decision, &nothing, role, out, answered);
}
