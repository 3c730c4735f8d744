#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgi/alone.h"
#include "cgi/drain.h"
#include "cgi/launch.h"
#include "cgi/metavars.h"
#include "cgi/reply.h"
#include "conf/conf.h"
#include "core/io.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/secret.h"

#define CONFIGURATION	"bearergate.conf"
#define FETCH		"bearergate-fetch"
#define REPORT_MAX	(64 * 1024)
#define LINE_MAX_LEN	4000
#define LINK_MAX_LEN	4095	/* of /proc/self/exe */
#define NOT_FOUND	"{\"detail\":{\"error\":\"not_found\",\"error_description\":\"there is no such program here\"}}"

extern char **environ;	/* POSIX leaves this line to the program */

/* One call of this program.  Cleared memory can be cleared. */
struct call {
	char *const *argv;
	char       **env;	/* see bg_environment_read; its strings are the process's own */
	struct bg_conf *conf;
	char        *beside;	/* the directory of this program, with a slash behind */
	char        *fetch;	/* the program that fetches */
	struct bg_fetch_helper fetcher;
	struct bg_gate *gate;
};

/* An answer of ours instead of the script's.  Returns the exit status. */
static int
answer(const struct bg_response *response)
{
	const char *method = bg_environment_get(environ, "REQUEST_METHOD"), *file = bg_environment_get(environ, "SCRIPT_FILENAME");
	const char *base = file != NULL ? strrchr(file, '/') : NULL;
	struct bg_cgi_form form = {
		.head = method != NULL && strcmp(method, "HEAD") == 0,
		.nph = base != NULL && strncmp(base, "/nph-", strlen("/nph-")) == 0,
	};
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf out;
	int rc = EXIT_FAILURE;

	bg_buf_init(&out, BG_ANSWER_MAX);
	(void)bg_drain(STDIN_FILENO, bg_environment_get(environ, "CONTENT_LENGTH"));
	if (bg_reply_cgi(response, form, &out, &err) != 0 || bg_buf_finish(&out, &text, &err) != 0)
		bg_log(BG_LOG_ERROR, "no answer could be made: %s", err.detail);
	else if (bg_write_all(STDOUT_FILENO, text) == 0)
		rc = EXIT_SUCCESS;
	bg_buf_clear(&out);
	return rc;
}

/* Deny for a reason outside of any gate: a fault of ours or of the configuration. */
static int
answer_fault(enum bg_reason reason)
{
	struct bg_decision decision = { .verdict = BG_DENY, .error = { .reason = reason } };
	struct bg_gate none = { .answers = { .realm = NULL } };
	struct bg_response response;
	int rc;

	bg_response_init(&response);
	bg_response_make(&none, &decision, &response);
	rc = answer(&response);
	bg_response_clear(&response);
	return rc;
}

/* A decision that there was no gate for, in the form of bg_decision_log. */
static int
fail(const struct bg_error *err)
{
	struct bg_decision decision = { .verdict = BG_DENY, .error = *err };
	struct bg_request request = { .uri = bg_slice_str(bg_environment_get(environ, "REQUEST_URI")) };

	bg_decision_log(&decision, &request, bg_reason_status(err->reason));
	return answer_fault(err->reason);
}

/* What was found wrong with an allowed request's script. */
static int
answer_script(const struct bg_error *err, bool missing)
{
	int status = missing ? 404 : bg_reason_status(err->reason), rc;
	struct bg_response response;
	struct bg_slice text;
	struct bg_buf line;

	bg_buf_init(&line, LINE_MAX_LEN);
	bg_log_text(&line, bg_slice_str(err->detail));
	if (bg_buf_finish(&line, &text, NULL) == 0)
		bg_log(missing ? BG_LOG_INFO : BG_LOG_ERROR, "script=%s status=%d detail=%s", missing ? "missing" : "refused", status,
		    text.ptr);
	bg_buf_clear(&line);
	if (!missing)
		return answer_fault(err->reason);
	bg_response_init(&response);
	response.status = status;
	bg_buf_put_str(&response.body, NOT_FOUND);
	rc = answer(&response);
	bg_response_clear(&response);
	return rc;
}

/* Is there a file, or something else, of this name?  What cannot be looked at is there: never go on to another one. */
static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static int
find_self(struct call *call, struct bg_error *err)
{
	char self[LINK_MAX_LEN + 1];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));

	if (n <= 0 || n == (ssize_t)sizeof(self))
		return bg_fail(err, BG_R_INTERNAL, "/proc/self/exe: cannot tell where this program is");
	while (n > 0 && self[n - 1] != '/')
		n--;
	if ((call->beside = strndup(self, (size_t)n)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "path");
	return 0;
}

/* A file beside this program, or else that of the installation, there or not; owned. */
static int
find(const struct call *call, const char *name, const char *installed, char **out, struct bg_error *err)
{
	size_t size = strlen(call->beside) + strlen(name) + 1;

	if ((*out = malloc(size)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "path");
	bg_format(*out, size, "%s%s", call->beside, name);
	if (is_there(*out))
		return 0;
	free(*out);
	if ((*out = strdup(installed)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "path");
	return 0;
}

/* What the configuration's reader had to say, line by line. */
static void
log_report(enum bg_log_level level, struct bg_buf *report)
{
	struct bg_slice text;
	char *line, *end;

	if (bg_buf_finish(report, &text, NULL) != 0)
		return;
	for (line = report->data; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		bg_log(level, "configuration: %s", line);
	}
}

/* A file is the daemon's, and standard error the server's; syslogd takes lines from everybody.  Where it is away, the server has them. */
static void
use_syslog(const struct bg_conf *conf)
{
	struct bg_error err = { 0 };
	struct bg_log_syslog to;
	int fd;

	if (!bg_log_is_syslog(conf->log) || bg_log_syslog_parse(conf->log, &to) != NULL)
		return;
	if ((fd = bg_log_syslog(&to, "bearergate-cgi", &err)) != -1 && err.reason == BG_R_OK)
		bg_log_open(fd, conf->log_level);
	else
		bg_log(BG_LOG_WARNING, "%s", err.detail);
	if (fd != -1 && err.reason != BG_R_OK)
		close(fd);
}

static int
configure(struct call *call, struct bg_error *err)
{
	struct bg_conf_sources from = { .environ = call->env, .guarded = true };
	char *found = NULL;
	struct bg_buf report;
	int rc = -1;

	bg_buf_init(&report, REPORT_MAX);
	if (find_self(call, err) != 0 || find(call, FETCH, LIBEXECDIR "/" FETCH, &call->fetch, err) != 0 ||
	    find(call, CONFIGURATION, SYSCONFDIR "/" CONFIGURATION, &found, err) != 0)
		goto out;
	if ((from.file = bg_environment_get(call->env, "BEARERGATE_CONFIG")) == NULL && is_there(found))
		from.file = found;
	if (bg_conf_load(&call->conf, &from, &report) != 0) {
		log_report(BG_LOG_ERROR, &report);
		bg_fail(err, BG_R_INTERNAL, "the configuration cannot be used");
		goto out;
	}
	use_syslog(call->conf);
	bg_log_set_level(call->conf->log_level);
	bg_log_set_format(call->conf->log_format);
	bg_decision_log_set(call->conf->log_decisions, 0);	/* one decision makes no flood */
	log_report(BG_LOG_DEBUG, &report);	/* remarks: "bearergate check" makes them too, and not for every request */
	bg_fetch_helper_init(&call->fetcher, &(struct bg_fetch_helper_options){ .program = call->fetch,
	    .ca_file = call->conf->ca_file, .ca_dir = call->conf->ca_dir, .proxy = call->conf->proxy });
	call->conf->token_cache = 0;	/* no second token comes this way */
	if (bg_conf_build(call->conf, &call->fetcher.base, &call->gate, err) == 0)
		rc = bg_alone_prepare(call->gate, call->conf->replay == NULL, err);
out:
	free(found);
	bg_buf_clear(&report);
	return rc;
}

/* Decide, log, and for a denial answer; *response has the variables of an allow. */
static bool
decide(const struct call *call, struct bg_response *response)
{
	struct bg_alone alone = {
		.cache_dir = call->conf->cache_dir,
		.fetch_timeout = call->conf->fetch_timeout,
		.refresh_cooldown = call->conf->refresh_cooldown,
	};
	struct bg_decision decision = { .verdict = BG_DENY };
	struct bg_error err = { 0 };
	struct bg_request request;
	bool allow;

	if (bg_metavars_read(call->env, &request, &err) == 0)
		bg_alone_decide(call->gate, &alone, &request, &decision);
	else
		bg_decision_deny(&decision, &err);
	bg_response_make(call->gate, &decision, response);
	allow = decision.verdict == BG_ALLOW && response->status == 200;
	if (decision.verdict == BG_ALLOW && !allow) {
		bg_fail(&err, BG_R_INTERNAL, "the variables of an allowed request could not be made");
		bg_decision_deny(&decision, &err);
	}
	bg_decision_log(&decision, &request, response->status);
	bg_decision_clear(&decision);
	return allow;
}

/* An allowed request becomes its script, unless that cannot be: then there is an answer, and the exit status. */
static int
hand_over(struct call *call, struct bg_slice variables)
{
	struct bg_script_options options = { .script = call->conf->script, .root = call->conf->script_root };
	struct bg_environment environment = { .vars = NULL };
	struct bg_error err = { 0 };
	struct bg_script script;
	bool missing = false;

	if (bg_script_open(&options, call->argv, environ, &script, &missing, &err) == 0 &&
	    bg_environment_make(environ, &call->gate->exports, call->conf->pass_credentials, variables, script.settings,
	    script.n_settings, &environment, &err) == 0) {
		/* with whatever the replay store has open, which is nothing for the script */
		bg_gate_free(call->gate);
		call->gate = NULL;
		bg_launch(&script, environment.vars, &err);	/* comes back with a reason, or not at all */
	}
	bg_environment_clear(&environment);
	bg_script_clear(&script);
	return answer_script(&err, missing);
}

static int
serve(struct call *call)
{
	struct bg_response response;
	struct bg_error err = { 0 };
	int rc;

	if (bg_json_start() != 0 || bg_secret_start() != 0) {
		bg_fail(&err, BG_R_INTERNAL, "no randomness, or a library that is at work already");
		return fail(&err);
	}
	if (bg_environment_read(environ, bg_script_by_action(environ), &call->env, &err) != 0 || configure(call, &err) != 0)
		return fail(&err);
	bg_environment_drop_config(call->env);
	bg_response_init(&response);
	if (decide(call, &response))
		rc = hand_over(call, (struct bg_slice){ response.variables.data, response.variables.len });
	else
		rc = answer(&response);
	bg_response_clear(&response);
	return rc;
}

/* Descriptors that we open must not be taken for standard ones, by the log above all. */
static bool
has_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

/* No options: words of a command line may be a client's (interop section 4.1). */
int
main(int argc, char **argv)
{
	struct call call = { .argv = argv };
	int rc;

	(void)argc;
	if (!has_standard_descriptors())
		return EXIT_FAILURE;
	(void)prctl(PR_SET_DUMPABLE, 0);	/* SR-85; of the script it is set anew */
	bg_log_open(STDERR_FILENO, BG_LOG_INFO);
	rc = serve(&call);
	bg_gate_free(call.gate);
	bg_conf_free(call.conf);	/* after the gate, which borrows from it */
	free(call.fetch);
	free(call.beside);
	free(call.env);
	return rc;
}
