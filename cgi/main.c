#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgi/ask.h"
#include "cgi/drain.h"
#include "cgi/launch.h"
#include "cgi/narrow.h"
#include "cgi/part.h"
#include "cgi/reply.h"
#include "core/io.h"
#include "core/limits.h"
#include "core/line.h"

#define CONFIGURATION	"bearergate.conf"
#define FETCH		"bearergate-fetch"
#define REPORT_MAX	(64 * 1024)
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
	struct bg_exports exports;	/* names alone, borrowed from conf: what is ours to set */
	int          log_fd;	/* where the log goes; -1: nowhere */
	bool         syslog;	/* that is syslogd */
	struct bg_script script;
	bool         can_run;		/* there is one that may run, as far as is known */
	bool         missing;		/* there is none because there is no such file */
	struct bg_error no_script;	/* why there is none */
	struct bg_launch_signals signals;	/* how they were when we began */
	int          demands;	/* the file that says what the script demands; -1: none */
	char        *demands_path;
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
	(void)bg_drain(STDIN_FILENO, bg_environment_get(environ, "CONTENT_LENGTH"),
	    bg_environment_get(environ, "HTTP_TRANSFER_ENCODING"));
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
	struct bg_response response;
	int rc;

	bg_response_init(&response);
	bg_response_fault(&response, reason);
	rc = answer(&response);
	bg_response_clear(&response);
	return rc;
}

/* A decision that there was no gate for, in the form of bg_decision_log. */
static int
fail(const struct bg_error *err)
{
	enum bg_reason reason = err->reason != BG_R_OK ? err->reason : BG_R_INTERNAL;
	enum bg_log_level level = bg_reason_status(reason) >= 500 ? BG_LOG_ERROR : BG_LOG_INFO;
	const char *uri = bg_environment_get(environ, "REQUEST_URI");
	struct bg_line line;

	bg_line_init(&line);
	bg_line_word(&line, "decision", "deny");
	bg_line_word(&line, "reason", bg_reason_name(reason));
	bg_line_number(&line, "status", (unsigned)bg_reason_status(reason));
	if (uri != NULL)
		bg_line_text(&line, "path", (struct bg_slice){ uri, strcspn(uri, "?") });
	bg_line_text(&line, "detail", bg_slice_str(err->detail));
	if (!bg_line_write(&line, level))
		bg_log(level, "decision=deny reason=%s status=%d", bg_reason_name(reason), bg_reason_status(reason));
	bg_line_clear(&line);
	return answer_fault(reason);
}

/* What was found wrong with an allowed request's script. */
static int
answer_script(const struct bg_error *err, bool missing)
{
	int status = missing ? 404 : bg_reason_status(err->reason), rc;
	struct bg_response response;
	struct bg_line line;

	bg_line_init(&line);
	bg_line_word(&line, "script", missing ? "missing" : "refused");
	bg_line_number(&line, "status", (unsigned)status);
	bg_line_text(&line, "detail", bg_slice_str(err->detail));
	(void)bg_line_write(&line, missing ? BG_LOG_INFO : BG_LOG_ERROR);
	bg_line_clear(&line);
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

/* The names that are ours alone, borrowed from the configuration; the array is the caller's to free. */
static int
name_exports(const struct bg_conf *conf, struct bg_exports *out, struct bg_error *err)
{
	if (conf->n_exports > 0 && (out->exports = calloc(conf->n_exports, sizeof(*out->exports))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "exports");
	for (; out->n_exports < conf->n_exports; out->n_exports++)
		out->exports[out->n_exports].name = conf->exports[out->n_exports].as;
	return 0;
}

/* The part that decides, beside this program or installed.  A file beside the script may have regular expressions in it. */
static int
load_part(struct call *call, const struct bg_part **part, struct bg_error *err)
{
	bool lean = bg_part_is_lean(call->conf) && call->demands == -1;
	char *path = NULL;
	int rc = -1;

	if (find(call, FETCH, LIBEXECDIR "/" FETCH, &call->fetch, err) == 0 && bg_part_check_program(call->fetch, err) == 0 &&
	    find(call, lean ? BG_PART_LEAN : BG_PART_WHOLE, lean ? LIBEXECDIR "/" BG_PART_LEAN : LIBEXECDIR "/" BG_PART_WHOLE,
	    &path, err) == 0)
		rc = bg_part_load(path, part, err);
	free(path);
	return rc;
}

/*
 * A file is the daemon's, and standard error the server's; syslogd takes lines from everybody.  Where it is away, the server has
 * them.
 */
static void
use_syslog(struct call *call)
{
	const struct bg_conf *conf = call->conf;
	struct bg_error err = { 0 };
	struct bg_log_syslog to;
	int fd;

	if (!bg_log_is_syslog(conf->log) || bg_log_syslog_parse(conf->log, &to) != NULL)
		return;
	if ((fd = bg_log_syslog(&to, BG_PART_IDENT, &err)) != -1 && err.reason == BG_R_OK) {
		bg_log_open(fd, conf->log_level);
		call->log_fd = fd;
		call->syslog = true;
	} else
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
	if (find_self(call, err) != 0 || find(call, CONFIGURATION, SYSCONFDIR "/" CONFIGURATION, &found, err) != 0)
		goto out;
	if ((from.file = bg_environment_get(call->env, "BEARERGATE_CONFIG")) == NULL && is_there(found))
		from.file = found;
	if (bg_conf_load(&call->conf, &from, &report) != 0) {
		log_report(BG_LOG_ERROR, &report);
		bg_fail(err, BG_R_INTERNAL, "the configuration cannot be used");
		goto out;
	}
	use_syslog(call);
	bg_log_set_level(call->conf->log_level);
	bg_log_set_format(call->conf->log_format);
	log_report(BG_LOG_DEBUG, &report);	/* remarks: "bearergate check" makes them too, and not for every request */
	rc = name_exports(call->conf, &call->exports, err);
out:
	free(found);
	bg_buf_clear(&report);
	return rc;
}

/*
 * Find the script, and the file that says what it demands itself.  That it cannot run is told to those alone who might have run
 * it, so whether there is one, and why not, is kept until it is decided who may.
 */
static void
find_script(struct call *call)
{
	struct bg_script_options options = { .script = call->conf->script, .root = call->conf->script_root,
		.owner = call->conf->script_uid };

	call->can_run =
	    bg_script_open(&options, call->argv, environ, &call->script, &call->missing, &call->no_script) == 0 &&
	    bg_script_open_beside(&call->script, BG_NARROW_SUFFIX, &call->demands, &call->demands_path, &call->no_script) == 0;
}

/* An allowed request becomes its script, unless that cannot be: then there is an answer, and the exit status. */
static int
hand_over(struct call *call, struct bg_slice variables)
{
	const struct bg_script *script = &call->script;
	struct bg_environment environment = { .vars = NULL };
	struct bg_error err = { 0 };

	if (!call->can_run)
		return answer_script(&call->no_script, call->missing);
	if (bg_environment_make(environ, &call->exports, call->conf->pass_credentials, variables, script->settings,
	    script->n_settings, &environment, &err) == 0)
		bg_launch(script, environment.vars, &call->signals, &err);	/* comes back with a reason, or not at all */
	bg_environment_clear(&environment);
	return answer_script(&err, false);
}

/* Have the daemon decide, with what the file beside the script demands. */
static int
ask(struct call *call, struct bg_response *response, struct bg_error *err)
{
	char **env = NULL;
	struct bg_buf text;
	int rc;

	if (bg_environment_has_decoded_uri(call->env))	/* it may have locations */
		return bg_fail(err, BG_R_BAD_REQUEST, "the server decoded the path, and \"%%\" or \"?\" in it would be read once more");
	bg_buf_init(&text, 0);
	if (call->demands != -1 &&
	    bg_narrow_variables(call->demands, call->demands_path, call->env, &text, &env, &call->no_script) != 0)
		call->can_run = false;
	rc = bg_ask(call->conf->daemon + strlen("unix:"), call->conf->daemon_uid, call->conf->daemon_timeout,
	    env != NULL ? env : call->env, &call->exports, response, err);
	free(env);
	bg_buf_clear(&text);
	return rc;
}

/*
 * Decide, or have the daemon decide; either writes the decision to its log.  Returns -1 where nobody could; else 0, with an allow
 * where the status of response is 200, which then has the variables.
 */
static int
decide(struct call *call, struct bg_response *response, struct bg_error *err)
{
	struct bg_part_call what = { .conf = call->conf, .env = call->env, .log_fd = call->log_fd,
		.syslog = call->syslog, .demands = call->demands,
		.demands_path = call->demands_path, .unusable = &call->no_script };
	const struct bg_part *part;
	bool allow;

	if (call->conf->daemon != NULL)
		return ask(call, response, err);
	if (load_part(call, &part, err) != 0)
		return -1;
	what.fetch = call->fetch;
	allow = part->decide(&what, response);
	if (call->no_script.reason != BG_R_OK)
		call->can_run = false;
	return !allow && response->status == 200 ? bg_fail(err, BG_R_INTERNAL, "a denial without a status") : 0;
}

static int
serve(struct call *call)
{
	struct bg_response response;
	struct bg_error err = { 0 };
	int rc;

	if (bg_environment_read(environ, bg_script_by_action(environ), &call->env, &err) != 0 || configure(call, &err) != 0)
		return fail(&err);
	bg_environment_drop_config(call->env);
	find_script(call);
	bg_response_init(&response);
	if (decide(call, &response, &err) != 0)
		rc = fail(&err);
	else if (response.status == 200)
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

/* mini-httpd makes one of standard error and the answer: what the log says is not for the client.  A terminal is somebody's own. */
static bool
is_answer(int fd)
{
	struct stat st, out;

	return fstat(fd, &st) == 0 && fstat(STDOUT_FILENO, &out) == 0 && st.st_dev == out.st_dev && st.st_ino == out.st_ino &&
	    !S_ISCHR(st.st_mode);
}

/* No options: words of a command line may be a client's (interop section 4.1). */
int
main(int argc, char **argv)
{
	struct call call = { .argv = argv, .script = { .fd = -1, .dir = -1 }, .demands = -1 };
	int rc;

	(void)argc;
	if (!has_standard_descriptors())
		return EXIT_FAILURE;
	bg_launch_hold_signals(&call.signals);
	(void)prctl(PR_SET_DUMPABLE, 0);	/* SR-85; of the script it is set anew */
	call.log_fd = is_answer(STDERR_FILENO) ? -1 : STDERR_FILENO;
	bg_log_open(call.log_fd, BG_LOG_INFO);
	rc = serve(&call);
	bg_script_clear(&call.script);
	if (call.demands != -1)
		close(call.demands);
	free(call.demands_path);
	free(call.exports.exports);
	bg_conf_free(call.conf);
	free(call.fetch);
	free(call.beside);
	free(call.env);
	return rc;
}
