#include "cgi/part.h"

#include "cgi/alone.h"
#include "cgi/metavars.h"
#include "cgi/narrow.h"
#include "core/json.h"
#include "core/log.h"
#include "core/secret.h"

extern const struct bg_part bg_part __attribute__((visibility("default")));

/* What a decision is made by.  Cleared memory can be cleared. */
struct means {
	struct bg_fetch_helper fetcher;
	struct bg_gate        *gate;
	struct bg_rule         narrow;	/* of the file beside the script */
	bool                   narrowed;
};

static int
make(const struct bg_part_call *call, struct means *means, struct bg_error *err)
{
	struct bg_conf *conf = call->conf;
	struct bg_log_syslog to;

	if (call->syslog && (bg_log_syslog_parse(conf->log, &to) != NULL || !bg_log_syslog_adopt(call->log_fd, &to, BG_PART_IDENT)))
		return bg_fail(err, BG_R_INTERNAL, "the log is no socket");
	bg_log_open(call->log_fd, conf->log_level);	/* this part has a log of its own */
	bg_log_set_format(conf->log_format);
	bg_decision_log_set(conf->log_decisions, 0);	/* one decision makes no flood */
	bg_fetch_helper_init(&means->fetcher, &(struct bg_fetch_helper_options){ .program = call->fetch, .ca_file = conf->ca_file,
	    .ca_dir = conf->ca_dir, .proxy = conf->proxy });
	if (bg_json_start() != 0 || (bg_part_is_lean(conf) ? bg_secret_start_lean() : bg_secret_start()) != 0)
		return bg_fail(err, BG_R_INTERNAL, "no randomness, or a library that is at work already");
	conf->token_cache = 0;	/* no second token comes this way */
	if (bg_conf_build(conf, &means->fetcher.base, &means->gate, err) != 0)
		return -1;
	if (bg_alone_prepare(means->gate, conf->replay == NULL, err) != 0)
		return -1;
	means->narrowed = call->demands != -1 &&
	    bg_narrow_rule(call->demands, call->demands_path, conf, means->gate, &means->narrow, call->unusable) == 0;
	return 0;
}

static int
read_request(const struct bg_part_call *call, const struct means *means, struct bg_request *out, struct bg_error *err)
{
	if (bg_metavars_read(call->env, out, err) != 0)
		return -1;
	if (means->gate->policies.n_locations > 0 && bg_environment_has_decoded_uri(call->env))
		return bg_fail(err, BG_R_BAD_REQUEST, "the server decoded the path, and \"%%\" or \"?\" in it would be read once more");
	out->want_rule = means->narrowed ? &means->narrow : NULL;
	return 0;
}

static bool
decide(const struct bg_part_call *call, struct bg_response *response)
{
	struct bg_alone alone = {
		.cache_dir = call->conf->cache_dir,
		.fetch_timeout = call->conf->fetch_timeout,
		.refresh_cooldown = call->conf->refresh_cooldown,
	};
	struct bg_decision decision = { .verdict = BG_DENY };
	struct means means = { .gate = NULL };
	struct bg_error err = { 0 };
	struct bg_request request = { 0 };
	bool allow;

	if (make(call, &means, &err) != 0 || read_request(call, &means, &request, &err) != 0)
		bg_decision_deny(&decision, &err);
	else
		bg_alone_decide(means.gate, &alone, &request, &decision);
	if (means.gate != NULL)
		bg_response_make(means.gate, &decision, response);
	else
		bg_response_fault(response, bg_decision_reason(&decision));
	allow = decision.verdict == BG_ALLOW && response->status == 200;
	if (decision.verdict == BG_ALLOW && !allow) {
		bg_fail(&err, BG_R_INTERNAL, "the variables of an allowed request could not be made");
		bg_decision_deny(&decision, &err);
	}
	bg_decision_log(&decision, &request, response->status);
	bg_decision_clear(&decision);
	bg_rule_clear(&means.narrow);	/* before the gate, which it borrows from */
	bg_gate_free(means.gate);	/* with whatever the replay store has open, which is nothing for a script */
	return allow;
}

const struct bg_part bg_part = { .decide = decide, .build =
#include "cgi/build.inc"
};
