#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/replay.h"
#include "core/secret.h"
#include "fcgi/activation.h"
#include "fcgi/broker.h"
#include "fcgi/decider.h"
#include "fcgi/figures.h"
#include "fcgi/listener.h"
#include "fcgi/notify.h"
#include "fcgi/privileges.h"
#include "fcgi/sandbox.h"
#include "fcgi/snapshot.h"
#include "fcgi/supervisor.h"

#define NAME		"bearergate-fcgi"
#define LISTENERS_MAX	64		/* addresses; nobody needs as many */
#define THREADS_MAX	1024
#define DESCRIPTORS	16384		/* as many as all these can need, where the system allows it */
#define WAITING_MAX	4096		/* connections without a whole request: more than any server opens at once (SR-22) */
#define PARKED_MAX	1024		/* requests that wait for keys; each holds a descriptor and what it was asked with */
#define GRACE_MS	8000		/* for a worker that was told to end, which needs 5 seconds at most */
#define ASK_MS		20000		/* between two questions to a worker whether it is well */
#define SILENCE_MS	60000		/* that a worker may leave such questions unanswered */
#define STUCK_MS	130000	/* that all its threads may be at one thing each: none may wait for Redis so long, see replay_timeout */
#define RELOAD_MS	30000		/* for a worker to take up a configuration: much less than a manager waits for a reload */
#define GLANCE_MS	20		/* between two tries to take an address */
#define TAKEN_MS	1000		/* for how long it may be that of a daemon that was killed, whose worker is dying */
#define REPORT_MAX	(64 * 1024)
#define TEXT_MAX	(64 * 1024 * 1024)	/* of a configuration that was read, with all defaults and variables written out */

extern char **environ;

struct options {
	struct bg_conf_sources sources;
	const char *listen[LISTENERS_MAX];
	size_t      n_listen;
	int         threads;		/* 0: as the configuration says */
	const char *fetch;
	bool        test;
	bool        verbose;
	bool        no_sandbox;
};

/* What was said at the start and cannot change while we serve. */
struct fixed {
	struct bg_buf listen;		/* in one line, to be compared */
	struct bg_buf whose;		/* socket files and processes: options of bearergate.conf(5), to be compared */
	int           threads;
};

/* All that is given back at the end, in the order in which it is made. */
struct daemon {
	struct options         options;
	sigset_t               signals;		/* those that the supervisor takes */
	int                    stderr_log;	/* standard error, for the log; -1 there is none */
	struct bg_notify       notify;
	int64_t                watchdog;	/* milliseconds between two words that all is well; 0: nobody waits for any */
	struct bg_activation   activation;
	bool                   shared;		/* others may have the socket on descriptor 0 too; once we listen: it is served */
	struct bg_broker       broker;		/* by which gates fetch keys; of use in the worker alone */
	struct bg_snapshot    *current;		/* the last good configuration; nothing of it runs but in the worker */
	struct fixed           fixed;
	bool                   sandboxed;	/* workers live by these rules, of the first configuration, until we end */
	struct bg_sandbox_rules sandbox;
	char                   sandbox_words[BG_SANDBOX_WORDS];
	struct bg_figures      figures;
	struct bg_listener     listeners[LISTENERS_MAX];
	size_t                 n_listeners;
	struct bg_snapshot    *next;		/* during a reload: what is to become the current one; NULL: it was not good */
	int                    next_log;	/* and where the log goes by it; -1 where it stays */
};

/* What is wrong with us goes to standard error until we serve, to the log from then on.  Of the first thread of each process. */
static bool serving;

static int complain(int code, const char *fmt, ...) BG_PRINTF(2, 3);

/* One line about why we do not start, or do not reload; returns the exit code, for "return complain(...)". */
static int
complain(int code, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	bg_vformat(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (serving)
		bg_log(BG_LOG_ERROR, "%s", line);
	else
		fprintf(stderr, NAME ": %s\n", line);
	return code;
}

static int
help(void)
{
	puts("usage: " NAME " [-tv] [-c file] [--env-file file] [-F program] [-l address] ...\n"
	     "           [-n number]\n"
	     "FastCGI authorizer for bearer tokens.\n"
	     "\n"
	     "  -c FILE, --config FILE    read the configuration from FILE\n"
	     "      --env-file FILE       read AUTH0_DOMAIN and AUTH0_AUDIENCE from FILE\n"
	     "  -l ADDRESS, --listen ADDRESS\n"
	     "                            listen on unix:PATH or on a loopback HOST:PORT;\n"
	     "                            several times for several addresses\n"
	     "  -n NUMBER, --threads NUMBER\n"
	     "                            threads that decide\n"
	     "  -F PATH, --fetch PATH     program that fetches keys, " LIBEXECDIR "/bearergate-fetch\n"
	     "  -t, --test                test the configuration and exit\n"
	     "  -v, --verbose             log what only developers want to know\n"
	     "      --no-sandbox          keep the worker from nothing: for debuggers\n"
	     "      --help, --version     print this, or versions, and exit\n"
	     "\n"
	     "Without -l it serves what the configuration lists, or a socket that listens on\n"
	     "descriptor 0.  See " NAME "(8).");
	return EX_OK;
}

static int
version(void)
{
	char sandbox[BG_SANDBOX_WORDS];

	bg_sandbox_describe(sandbox);
	/* libfcgi does not tell its version. */
	printf(NAME " " PACKAGE_VERSION "\n%s\njansson %s\nreplay stores:%s%s%s\nsandbox: %s\n", bg_secret_openssl_version(),
	    jansson_version_str(), bg_replay_has_lmdb() ? " lmdb" : "", bg_replay_has_redis() ? " redis" : "",
	    !bg_replay_has_lmdb() && !bg_replay_has_redis() ? " none" : "", sandbox);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static bool
read_number(const char *text, int max, int *out)
{
	int n = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || (n = n * 10 + (*text - '0')) > max)
			return false;
	}
	*out = n;
	return true;
}

/* Returns -1 to go on, or an exit code. */
static int
read_options(int argc, char **argv, struct options *out)
{
	enum { ENV_FILE = 256, HELP, NO_SANDBOX, VERSION };
	static const struct option longs[] = {
		{ "config",   required_argument, NULL, 'c' },
		{ "env-file", required_argument, NULL, ENV_FILE },
		{ "fetch",    required_argument, NULL, 'F' },
		{ "help",     no_argument,       NULL, HELP },
		{ "listen",   required_argument, NULL, 'l' },
		{ "no-sandbox", no_argument,     NULL, NO_SANDBOX },
		{ "test",     no_argument,       NULL, 't' },
		{ "threads",  required_argument, NULL, 'n' },
		{ "verbose",  no_argument,       NULL, 'v' },
		{ "version",  no_argument,       NULL, VERSION },
		{ NULL, 0, NULL, 0 }
	};
	static char name[] = NAME;
	int c;

	*out = (struct options){ .fetch = LIBEXECDIR "/bearergate-fetch", .sources.environ = environ };
	argv[0] = name;		/* in front of what getopt_long says */
	while ((c = getopt_long(argc, argv, "c:F:l:n:tv", longs, NULL)) != -1)
		switch (c) {
		case 'c':
			out->sources.file = optarg;
			break;
		case ENV_FILE:
			out->sources.env_file = optarg;
			break;
		case 'F':
			if (optarg[0] != '/')
				return complain(EX_USAGE, "--fetch %s: not an absolute path", optarg);
			out->fetch = optarg;
			break;
		case 'l':
			if (out->n_listen == LISTENERS_MAX)
				return complain(EX_USAGE, "more than %d addresses to listen on", LISTENERS_MAX);
			out->listen[out->n_listen++] = optarg;
			break;
		case 'n':
			if (!read_number(optarg, THREADS_MAX, &out->threads) || out->threads == 0)
				return complain(EX_USAGE, "--threads %s: not a number from 1 to %d", optarg, THREADS_MAX);
			break;
		case 't':
			out->test = true;
			break;
		case 'v':
			out->verbose = true;
			break;
		case NO_SANDBOX:
			out->no_sandbox = true;
			break;
		case HELP:
			return help();
		case VERSION:
			return version();
		default:
			return EX_USAGE;	/* getopt_long has said what */
		}
	if (optind < argc)
		return complain(EX_USAGE, "surplus argument: %s", argv[optind]);
	return -1;
}

/* Each line of the report on its own.  While we serve, remarks on a configuration that is good are warnings. */
static void
print_report(const struct bg_buf *report, bool good)
{
	struct bg_slice rest = { report->data, report->len };

	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t n = end != NULL ? (size_t)(end - rest.ptr) : rest.len;

		if (n > 0 && serving)
			bg_log(good ? BG_LOG_WARNING : BG_LOG_ERROR, "%.*s", (int)n, rest.ptr);
		else if (n > 0)
			fprintf(stderr, NAME ": %.*s\n", (int)n, rest.ptr);
		rest = bg_slice_skip(rest, end != NULL ? n + 1 : n);
	}
}

/* The addresses to listen on: -l counts, else what the configuration lists.  *n is 0 when neither says any. */
static const char *const *
addresses(const struct options *options, const struct bg_conf *conf, size_t *n)
{
	*n = options->n_listen > 0 ? options->n_listen : conf->n_listen;
	return options->n_listen > 0 ? options->listen : (const char *const *)conf->listen;
}

/* What is wrong with an address is wrong on the command line or in the configuration. */
static int
fail_address(const struct options *options, int code, const struct bg_error *err)
{
	return complain(code == EX_USAGE && options->n_listen == 0 ? EX_CONFIG : code, "%s", err->detail);
}

/* Those that we have keep their modes when the list of those who may connect is another one. */
static int
check_listeners(const struct daemon *daemon, const struct bg_peers *peers)
{
	for (size_t i = 0; i < daemon->n_listeners; i++) {
		const struct bg_listener *listener = &daemon->listeners[i];

		if (bg_listener_is_open(listener, bg_peers_ask_who(peers)) && !listener->may_hide)
			return complain(EX_CONFIG, "%s: until the next start nothing but listen_allowed_clients keeps every user of this "
			    "machine from asking for decisions; those who may were expected in it, and no \"unix\"", listener->name);
	}
	return 0;
}

/* As far as they can be tested without taking them. */
static int
check_addresses(const struct daemon *daemon, const struct bg_snapshot *snapshot)
{
	const struct options *options = &daemon->options;
	const struct bg_conf *conf = snapshot->conf;
	struct bg_listener_rules rules;
	struct bg_error err = { 0 };
	const char *const *list;
	size_t n;
	int code;

	if ((code = bg_listener_rules_read(conf, &snapshot->peers, &rules, &err)) != 0)
		return complain(code, "%s", err.detail);
	list = addresses(options, conf, &n);
	if (n > LISTENERS_MAX)
		return complain(EX_CONFIG, "more than %d addresses to listen on", LISTENERS_MAX);
	for (size_t i = 0; i < n; i++)
		if ((code = bg_listener_check(list[i], &rules, &err)) != 0)
			return fail_address(options, code, &err);
	return check_listeners(daemon, &snapshot->peers);
}

/*
 * lighttpd (max-procs), mod_fcgid and spawn-fcgi (-F) start several of us for one socket on descriptor 0, and nothing tells us
 * whether they did.  A store that is private to a process would then let a DPoP proof pass once in each (SR-63).  So there is
 * none: proofs are refused, and all other requests decided as usual.  What a reload says of addresses changes nothing in that.
 */
static void
forgo_private_store(const struct daemon *daemon, bool remarks, struct bg_snapshot *snapshot)
{
	const struct bg_conf *conf = snapshot->conf;
	size_t n;

	(void)addresses(&daemon->options, conf, &n);
	if (!daemon->shared || (n > 0 && daemon->n_listeners == 0) || conf->replay != NULL || conf->dpop == BG_DPOP_DISABLED)
		return;
	bg_dpop_forgo(&snapshot->gate->dpop, "processes that a server starts for one socket must remember DPoP proofs in one "
	    "place; replay = \"lmdb:/PATH\" was expected");
	if (remarks)
		complain(EX_OK, "DPoP proofs are refused: others may serve the socket on descriptor 0 as well, and must share what proofs "
		    "were used; replay = \"lmdb:/PATH\", or redis://, was expected, or dpop = \"disabled\"");
}

/* What workers are kept in, as long as we live. */
static int
plan_sandbox(struct daemon *daemon)
{
	struct bg_error err = { 0 };

	daemon->figures.sandbox = daemon->sandbox_words;
	if (daemon->options.no_sandbox) {
		bg_format(daemon->sandbox_words, sizeof(daemon->sandbox_words), "off (--no-sandbox)");
		return 0;
	}
	bg_sandbox_describe(daemon->sandbox_words);
	daemon->sandboxed = daemon->figures.sandboxed = !bg_sandbox_is_none();
	if (bg_sandbox_rules_set(&daemon->sandbox, daemon->current->conf, &err) != 0)
		return complain(EX_OSERR, "%s", err.detail);
	return 0;
}

/* Can the worker do what this configuration is about to ask of it? */
static int
check_sandbox(const struct daemon *daemon, const struct bg_conf *conf)
{
	struct bg_sandbox_rules wanted;
	struct bg_error err = { 0 };
	int rc;

	if (!daemon->sandboxed)
		return 0;
	if ((rc = bg_sandbox_rules_set(&wanted, conf, &err)) == 0) {
		rc = bg_sandbox_has(&daemon->sandbox, &wanted, &err);
		bg_sandbox_rules_clear(&wanted);
	}
	return rc == 0 ? 0 : complain(err.reason == BG_R_NO_MEMORY ? EX_OSERR : EX_CONFIG, "%s", err.detail);
}

/* The configuration, and the gate made of it; nothing of it runs yet.  Of a good one remarks are printed where they are wanted. */
static int
configure(struct daemon *daemon, bool remarks, struct bg_snapshot **out)
{
	const struct options *options = &daemon->options;
	struct bg_buf report;
	int code;

	bg_buf_init(&report, REPORT_MAX);
	code = bg_snapshot_new(out, &options->sources, &daemon->broker.base, &report);
	if (code != 0 || remarks)
		print_report(&report, code == 0);
	if (code != 0 && report.len == 0)
		complain(code, "the configuration cannot be read");
	bg_buf_clear(&report);
	if (code != 0)
		return code;
	if (options->threads > 0)
		(*out)->conf->threads = options->threads;
	forgo_private_store(daemon, remarks, *out);
	if ((code = check_addresses(daemon, *out)) != 0 || (code = check_sandbox(daemon, (*out)->conf)) != 0) {
		bg_snapshot_free(*out);
		*out = NULL;
	}
	return code;
}

static enum bg_log_level
level_of(const struct options *options, const struct bg_conf *conf)
{
	return options->verbose ? BG_LOG_DEBUG : conf->log_level;
}

static bool
logs_to_file(const struct bg_conf *conf)
{
	return conf->log[0] == '/';
}

/* A descriptor for where this configuration has the log. */
static int
log_descriptor(const struct daemon *daemon, const struct bg_conf *conf, struct bg_error *err)
{
	struct bg_log_syslog to;
	int fd;

	if (logs_to_file(conf))
		return bg_log_file(conf->log, err);
	if (bg_log_is_syslog(conf->log) && bg_log_syslog_parse(conf->log, &to) == NULL)
		return bg_log_syslog(&to, NAME, err);
	if ((fd = fcntl(daemon->stderr_log, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)) == -1)
		return bg_fail(err, BG_R_INTERNAL, "standard error: %s", strerror(errno));
	return fd;
}

/* What of the log can be changed without a failure. */
static void
set_log(const struct options *options, const struct bg_conf *conf)
{
	bg_log_set_level(level_of(options, conf));
	bg_log_set_format(conf->log_format);
	bg_decision_log_set(conf->log_decisions, (unsigned)conf->log_rate);
}

/* Send the log where the configuration says. */
static int
open_log(const struct daemon *daemon, const struct bg_conf *conf)
{
	struct bg_error err = { 0 };
	int fd = log_descriptor(daemon, conf, &err);

	if (fd == -1)
		return complain(EX_CANTCREAT, "%s", err.detail);
	if (err.reason != BG_R_OK)
		complain(EX_OK, "%s", err.detail);
	bg_log_open(fd, level_of(&daemon->options, conf));
	set_log(&daemon->options, conf);
	return 0;
}

/* What of this configuration would count at the next start alone. */
static void
read_fixed(const struct options *options, const struct bg_conf *conf, struct fixed *out)
{
	const char *const names[] = { conf->listen_owner, conf->listen_group, conf->user, conf->group };
	const char *const *list;
	size_t n;

	list = addresses(options, conf, &n);
	bg_buf_init(&out->listen, REPORT_MAX);
	for (size_t i = 0; i < n; i++) {
		bg_buf_put_str(&out->listen, i == 0 ? "" : ", ");
		bg_log_text(&out->listen, bg_slice_str(list[i]));
	}
	bg_buf_put_char(&out->listen, '\0');
	bg_buf_init(&out->whose, REPORT_MAX);
	bg_buf_put_format(&out->whose, "%d %04o", conf->listen_backlog, (unsigned)conf->listen_mode);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		bg_buf_put_format(&out->whose, " %s", names[i] != NULL ? names[i] : "-");
	bg_buf_put_char(&out->whose, '\0');
	out->threads = bg_conf_threads(conf);
}

/* A daemon that was killed leaves a worker that dies with it, but not in the same moment. */
static int
open_listener(const char *address, const struct bg_listener_rules *rules, struct bg_listener *out, struct bg_error *err)
{
	static const struct timespec glance = { .tv_nsec = GLANCE_MS * 1000000L };
	int64_t until = bg_clock_mono_ms() + TAKEN_MS;
	int code;

	while ((code = bg_listener_open(address, rules, out, err)) == EX_UNAVAILABLE && bg_clock_mono_ms() < until) {
		nanosleep(&glance, NULL);
		bg_error_clear(err);
	}
	return code;
}

static int
open_listeners(const struct options *options, const struct bg_snapshot *snapshot, struct daemon *daemon)
{
	const struct bg_conf *conf = snapshot->conf;
	struct bg_listener_rules rules;
	struct bg_error err = { 0 };
	const char *const *list;
	int code, null;
	size_t n;

	if ((code = bg_listener_rules_read(conf, &snapshot->peers, &rules, &err)) != 0)
		return complain(code, "%s", err.detail);
	list = addresses(options, conf, &n);
	if (daemon->activation.n > 0) {
		code = bg_activation_take(&daemon->activation, list, n, &rules, daemon->listeners, &daemon->n_listeners, &err);
		return code != 0 ? fail_address(options, code, &err) : 0;
	}
	if (n == 0 && !bg_listener_is_one(STDIN_FILENO))
		return complain(EX_USAGE, "nowhere to listen: give -l ADDRESS, or a socket that listens on descriptor 0");
	if (n == 0) {
		if ((code = bg_listener_adopt(STDIN_FILENO, "descriptor 0", &rules, &daemon->listeners[0], &err)) != 0)
			return complain(code, "%s", err.detail);
		daemon->n_listeners = 1;
		/* We have our copy; what we run shall not have the socket for its standard input. */
		if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 || dup2(null, STDIN_FILENO) == -1)
			return complain(EX_OSFILE, "/dev/null: %s", strerror(errno));
		close(null);
		return 0;
	}
	daemon->shared = false;
	for (; daemon->n_listeners < n; daemon->n_listeners++)
		if ((code = open_listener(list[daemon->n_listeners], &rules, &daemon->listeners[daemon->n_listeners],
		    &err)) != 0)
			return fail_address(options, code, &err);
	return 0;
}

/*
 * Take as many descriptors as we may need and are allowed, and share them out.  Requests that wait for keys get a quarter of
 * what there is at most, so that strangers with kids they made up never keep others from being accepted (SR-51); connections
 * without a whole request get half, so that silent ones never keep us from a reload, a fetch or the log (SR-22).
 */
static void
take_descriptors(size_t *max_parked, size_t *max_waiting)
{
	struct rlimit limit;

	*max_parked = 0;
	*max_waiting = 1;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < DESCRIPTORS) {
		limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
			return;
	}
	*max_parked = limit.rlim_cur / 4 < PARKED_MAX ? (size_t)limit.rlim_cur / 4 : PARKED_MAX;
	if (limit.rlim_cur >= 4)
		*max_waiting = limit.rlim_cur / 2 < WAITING_MAX ? (size_t)limit.rlim_cur / 2 : WAITING_MAX;
}

/* What a configuration says, to be compared.  Of what stands in other files their names count. */
static int
fingerprint(const struct bg_conf *conf, unsigned char out[BG_SHA256_LEN])
{
	struct bg_error err = { 0 };
	struct bg_slice bytes;
	struct bg_buf text;
	int rc = -1;

	bg_buf_init(&text, TEXT_MAX);
	bg_conf_print(conf, &text);
	if (bg_buf_finish(&text, &bytes, &err) != 0 || bg_sha256(bytes, out, &err) != 0)
		complain(EX_OSERR, "comparing configurations: %s", err.detail);
	else
		rc = 0;
	bg_buf_clear(&text);
	return rc;
}

/* The worker. */

/*
 * Reading the configuration once more, in the worker: the supervisor has found it good, and leaves remarks to us.  It must be
 * the same one: of it the next worker is made, and which proofs may have been spent is told by it.
 */
static int
configure_anew(void *arg, struct bg_snapshot **out)
{
	const struct daemon *daemon = arg;
	unsigned char ours[BG_SHA256_LEN];
	int code;

	serving = true;
	if ((code = configure(arg, true, out)) != 0)
		return code;
	if (fingerprint((*out)->conf, ours) != 0)
		code = EX_OSERR;
	else if (memcmp(ours, daemon->figures.events->next, sizeof(ours)) != 0)
		code = complain(EX_TEMPFAIL, "the configuration was changed while it was read; SIGHUP has it read once more");
	if (code != 0) {
		bg_snapshot_free(*out);
		*out = NULL;
	}
	return code;
}

static void
set_log_anew(void *arg, const struct bg_conf *conf, int log)
{
	const struct daemon *daemon = arg;
	struct bg_log_syslog to;

	/* opened by the supervisor, which we have it from */
	if (log != -1 && bg_log_is_syslog(conf->log) && bg_log_syslog_parse(conf->log, &to) == NULL &&
	    !bg_log_syslog_adopt(log, &to, NAME))
		bg_log(BG_LOG_ERROR, "what the supervisor opened for %s is no socket", conf->log);
	set_log(&daemon->options, conf);
}

/* The last thing that may fail for want of powers: from here on there are few (SR-90). */
static int
enter_sandbox(const struct daemon *daemon)
{
	struct bg_error err = { 0 };

	if (daemon->options.no_sandbox) {
		bg_log(BG_LOG_WARNING, "--no-sandbox: whoever takes over the worker may do all that its user may");
		return 0;
	}
	if (bg_sandbox_worker(&daemon->sandbox, &err) != 0)
		return complain(EX_OSERR, "the worker's sandbox: %s; --no-sandbox does without", err.detail);
	if (daemon->sandboxed)
		bg_log(BG_LOG_INFO, "the worker's sandbox: %s", daemon->sandbox_words);
	else
		bg_log(BG_LOG_WARNING, "the worker has no sandbox: neither was libseccomp there when this program was built, nor has the "
		    "kernel landlock");
	return 0;
}

/* Called in the new process. */
static int
work(void *arg, bool first, int channel)
{
	struct daemon *daemon = arg;
	struct bg_decider_options options = {
		.first = daemon->current,
		.n_listeners = daemon->n_listeners,
		.channel = channel,
		.stuck_limit = STUCK_MS,
		.figures = &daemon->figures,
		.arg = daemon,
		.configure = configure_anew,
		.set_log = set_log_anew,
	};
	struct bg_error err = { 0 };
	int fds[LISTENERS_MAX], code;

	for (size_t i = 0; i < daemon->n_listeners; i++)
		fds[i] = daemon->listeners[i].fd;
	options.listeners = fds;
	take_descriptors(&options.max_parked, &options.max_waiting);
	daemon->notify = (struct bg_notify){ .len = 0 };	/* the first process speaks for all */
	daemon->broker.channel = channel;
	if (!first)
		bg_gate_take_over_spent(daemon->current->gate, daemon->current->gate, bg_clock_now());

	/*
	 * When the supervisor dies, so do we, before anybody can take its place: an old worker beside a new one would be two that
	 * know nothing of each other's proofs.  After the change of user, which makes the kernel forget it.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != (pid_t)daemon->figures.pid)
		return EX_OSERR;
	if ((code = enter_sandbox(daemon)) != 0)
		return code;
	if ((code = bg_decider_run(&options, &err)) != 0)
		complain(code, "%s", err.detail);
	return code;
}

/*
 * Called in the new process.  During a reload the worker may have put the next configuration in force already: nothing is
 * fetched by authorities or a proxy that it has taken away, and new issuers not without those that it has added.
 */
static void
fetch(void *arg, const struct bg_fetch_wanted *wanted, int fd)
{
	const struct daemon *daemon = arg;
	const struct bg_conf *conf = daemon->next != NULL ? daemon->next->conf : daemon->current->conf;
	struct bg_fetch_helper helper;

	bg_log_open(STDERR_FILENO, level_of(&daemon->options, conf));	/* what it was is closed here */
	bg_fetch_helper_init(&helper, &(struct bg_fetch_helper_options){ .program = daemon->options.fetch,
	    .ca_file = conf->ca_file, .ca_dir = conf->ca_dir, .proxy = conf->proxy });
	bg_broker_answer(wanted, &helper.base, fd);
}

/* The supervisor. */

/*
 * The signals we heed are read by the supervisor, so they are blocked here, before the first other process, which they mean
 * nothing to, and before libfcgi, which puts handlers of its own on SIGTERM, SIGUSR1 and SIGPIPE where it finds none.
 */
static void
take_signals(sigset_t *out)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigemptyset(out);
	sigaddset(out, SIGHUP);
	sigaddset(out, SIGINT);
	sigaddset(out, SIGQUIT);
	sigaddset(out, SIGTERM);
	sigaddset(out, SIGUSR1);
	sigaddset(out, SIGUSR2);
	sigaddset(out, SIGCHLD);
	sigprocmask(SIG_BLOCK, out, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);	/* a log as large as a file may be is like a disk that is full */
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);	/* ignored, it would take our children's ends away */
}

/* A descriptor for where the log goes by the new configuration; -1 where it stays.  It may be a file that cannot be opened. */
static int
prepare_log(const struct daemon *daemon, const struct bg_conf *old, const struct bg_conf *new, int *out)
{
	struct bg_error err = { 0 };

	*out = -1;
	if (strcmp(old->log, new->log) == 0)
		return 0;
	if ((*out = log_descriptor(daemon, new, &err)) != -1) {
		if (err.reason != BG_R_OK)
			bg_log(BG_LOG_WARNING, "%s", err.detail);
		return 0;
	}
	return complain(EX_CANTCREAT, "%s", err.detail);
}

/* What is served, which may have been said by nobody but whoever handed the sockets over. */
static void
warn_of_listen(const struct daemon *daemon)
{
	struct bg_buf served;

	bg_buf_init(&served, REPORT_MAX);
	for (size_t i = 0; i < daemon->n_listeners; i++) {
		bg_buf_put_str(&served, i == 0 ? "" : ", ");
		bg_log_text(&served, bg_slice_str(daemon->listeners[i].name));
	}
	bg_buf_put_char(&served, '\0');
	bg_log(BG_LOG_WARNING, "listen: what it says now takes effect at the next start; until then it is %s",
	    served.failed ? "as it was" : served.data);
	bg_buf_clear(&served);
}

static void
warn_of_fixed(const struct daemon *daemon, const struct bg_conf *conf)
{
	struct fixed new;

	read_fixed(&daemon->options, conf, &new);
	if (new.listen.failed || strcmp(new.listen.data, daemon->fixed.listen.data) != 0)
		warn_of_listen(daemon);
	if (new.whose.failed || strcmp(new.whose.data, daemon->fixed.whose.data) != 0)
		bg_log(BG_LOG_WARNING, "listen_owner, listen_group, listen_mode, listen_backlog, user and group: what they say now takes "
		    "effect at the next start");
	if (new.threads != daemon->fixed.threads)
		bg_log(BG_LOG_WARNING, "threads: %d takes effect at the next start; until then there are %d", new.threads,
		    daemon->fixed.threads);
	bg_buf_clear(&new.listen);
	bg_buf_clear(&new.whose);
}

static void
warn_of_open(const struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->n_listeners; i++)
		if (bg_listener_is_open(&daemon->listeners[i], bg_peers_ask_who(&daemon->current->peers)))
			bg_log(BG_LOG_WARNING, "%s: every user of this machine may write to the file, and so ask for decisions; whoever "
			    "makes it should give it mode 0660", daemon->listeners[i].name);
}

static void
meet_worker(void *arg, bool first, uint64_t restarts)
{
	struct daemon *daemon = arg;

	atomic_store(&daemon->figures.events->restarts, restarts);
	if (restarts > 0)
		atomic_store(&daemon->figures.events->restarted, bg_clock_wall());
	if (!first) {
		bg_log(BG_LOG_WARNING, "another worker serves, restarts=%" PRIu64, restarts);
		return;
	}
	serving = true;
	for (size_t i = 0; i < daemon->n_listeners; i++)
		bg_log(BG_LOG_INFO, "listening on %s", daemon->listeners[i].name);
	warn_of_open(daemon);
	bg_notify_send(&daemon->notify, "READY=1\nSTATUS=Deciding");
}

/* Is what the configuration says now good, as far as can be told without putting it in force? */
static bool
prepare(void *arg, int *log)
{
	struct daemon *daemon = arg;

	*log = -1;
	bg_notify_send(&daemon->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=Reading the configuration anew",
	    bg_clock_mono_us());
	if (configure(daemon, false, &daemon->next) != 0)
		return false;
	if (fingerprint(daemon->next->conf, daemon->figures.events->next) != 0 ||
	    prepare_log(daemon, daemon->current->conf, daemon->next->conf, &daemon->next_log) != 0) {
		bg_snapshot_free(daemon->next);
		daemon->next = NULL;
		return false;
	}
	*log = daemon->next_log;
	return true;
}

/* From now on workers are made of this one, whatever becomes of the file. */
static void
take_next(struct daemon *daemon)
{
	warn_of_fixed(daemon, daemon->next->conf);	/* by the level and in the place of before, as all that was said of it */
	if (daemon->next_log != -1)
		bg_log_switch(daemon->next_log);
	daemon->next_log = -1;		/* moved */
	set_log(&daemon->options, daemon->next->conf);
	bg_gate_take_over_spent(daemon->next->gate, daemon->current->gate, bg_clock_now());
	bg_snapshot_free(daemon->current);
	daemon->current = daemon->next;
	daemon->next = NULL;		/* moved */
	warn_of_open(daemon);
}

static void
settle(void *arg, bool in_force)
{
	struct daemon *daemon = arg;
	struct bg_events *events = daemon->figures.events;

	if (in_force) {
		take_next(daemon);
		atomic_fetch_add(&events->reloads, 1);
		atomic_store(&events->reloaded, bg_clock_wall());
		bg_log(BG_LOG_INFO, "the configuration was read anew and is in force");
		bg_notify_send(&daemon->notify, "READY=1\nSTATUS=Deciding");
		return;
	}
	/* The worker may have died in the moment between putting it in force and saying so. */
	if (daemon->next != NULL)
		bg_gate_take_over_spent(daemon->current->gate, daemon->next->gate, bg_clock_now());
	bg_snapshot_free(daemon->next);
	daemon->next = NULL;
	if (daemon->next_log != -1)
		close(daemon->next_log);
	daemon->next_log = -1;
	atomic_fetch_add(&events->failed_reloads, 1);
	atomic_store(&events->reload_failed, bg_clock_wall());
	bg_log(BG_LOG_ERROR, "the configuration was not changed: the one from before stays in force");
	bg_notify_send(&daemon->notify, "READY=1\nSTATUS=Deciding by the configuration from before the last reload, "
	    "which failed; the log says why");
}

/* The worker gets the descriptor: it may not be able to open the file itself. */
static int
reopen_log(void *arg)
{
	const struct daemon *daemon = arg;
	const struct bg_conf *conf = daemon->current->conf;
	struct bg_error err = { 0 };
	int fd, copy;

	if (!logs_to_file(conf)) {
		bg_log(BG_LOG_DEBUG, "the log is no file, and is not opened anew");
		return -1;
	}
	if ((fd = bg_log_file(conf->log, &err)) == -1 || (copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)) == -1) {
		bg_log(BG_LOG_ERROR, "%s; the log goes on where it was", fd == -1 ? err.detail : strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	bg_log_switch(fd);
	bg_log(BG_LOG_INFO, "the log was opened anew");
	return copy;
}

static void
be_well(void *arg)
{
	const struct daemon *daemon = arg;

	bg_notify_send(&daemon->notify, "WATCHDOG=1");
}

static void
begin_to_end(void *arg, int sig)
{
	const struct daemon *daemon = arg;

	bg_log(BG_LOG_INFO, "ending after signal %d", sig);
	bg_notify_send(&daemon->notify, "STOPPING=1\nSTATUS=Finishing the requests under way");
}

static const struct bg_supervisor_hooks hooks = { work, fetch, meet_worker, prepare, settle, reopen_log, be_well, begin_to_end };

/*
 * Be whom the configuration says, and open the log, which is nothing for root to open, see bg_privileges_make_log.  The
 * configuration is then read again, as that user: what he cannot read is better told now than at a reload, and where proofs
 * are remembered depends on what he can write to.
 */
static int
give_up_privileges(struct daemon *daemon)
{
	const bool surplus = bg_privileges_are_surplus(daemon->current->conf);
	struct bg_snapshot *first;
	struct bg_error err = { 0 };
	int code;

	if ((code = bg_privileges_drop(daemon->current->conf, &err)) != 0)
		return complain(code, "%s", err.detail);
	if (surplus && (code = bg_privileges_look(daemon->current->conf, &err)) != 0)
		return complain(code, "%s", err.detail);
	if ((code = open_log(daemon, daemon->current->conf)) != 0)
		return code;
	if (geteuid() == 0)
		bg_log(BG_LOG_WARNING, "this is root, and no user says whom to become: whoever found a fault in it would be root too; see "
		    "user in bearergate.conf(5)");
	if (!surplus)
		return 0;
	bg_log(BG_LOG_INFO, "this is user %u, group %u from here on", (unsigned)geteuid(), (unsigned)getegid());
	if ((code = configure(daemon, true, &first)) != 0)
		return complain(code, "this is what user %u has to say to it, whom it is to be read by after SIGHUP", (unsigned)geteuid());
	bg_snapshot_free(daemon->current);
	daemon->current = first;	/* moved */
	return 0;
}

/* Everything up to the end of serving. */
static int
run(struct daemon *daemon)
{
	const struct options *options = &daemon->options;
	struct bg_supervisor_options supervisor = { .hooks = &hooks, .arg = daemon, .signals = daemon->signals,
	    .watchdog = daemon->watchdog, .grace = GRACE_MS, .reload_limit = RELOAD_MS };
	struct bg_error err = { 0 };
	int code;

	if (!options->no_sandbox) {	/* a debugger stops whom it looks at */
		supervisor.ask_every = ASK_MS;
		supervisor.silence_limit = SILENCE_MS;
	}
	if ((code = configure(daemon, true, &daemon->current)) != 0)
		return code;
	if (options->test)
		return complain(EX_OK, "configuration OK");
	if (bg_figures_init(&daemon->figures, &err) != 0)
		return complain(EX_OSERR, "%s", err.detail);
	read_fixed(options, daemon->current->conf, &daemon->fixed);
	if (daemon->fixed.listen.failed || daemon->fixed.whose.failed)
		return complain(EX_OSERR, "no memory for the addresses to listen on");
	if ((code = bg_privileges_check(daemon->current->conf, &err)) != 0)
		return complain(code, "%s", err.detail);
	bg_privileges_make_log(daemon->current->conf);
	if ((code = open_listeners(options, daemon->current, daemon)) != 0 || (code = give_up_privileges(daemon)) != 0 ||
	    (code = plan_sandbox(daemon)) != 0)
		return code;
	return bg_supervisor_run(&supervisor);
}

/* Give back all that run has left, as far as it came. */
static void
clean_up(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->n_listeners; i++)
		bg_listener_close(&daemon->listeners[i]);
	daemon->n_listeners = 0;
	if (daemon->next_log != -1)
		close(daemon->next_log);
	bg_snapshot_free(daemon->next);
	bg_snapshot_free(daemon->current);
	bg_buf_clear(&daemon->fixed.listen);
	bg_buf_clear(&daemon->fixed.whose);
	bg_sandbox_rules_clear(&daemon->sandbox);
	bg_figures_clear(&daemon->figures);
	bg_activation_clear(&daemon->activation);
}

/* Tokens and keys stay out of core files and out of reach of debuggers (SR-85). */
static void
keep_memory_private(void)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
}

/* A umask says what others may do.  What it takes from the owner, too, would be taken from us: files of ours are opened anew. */
static void
keep_files_ours(void)
{
	(void)umask(umask(077) & 077);
}

/*
 * glibc gives each thread a heap of its own, and what is remembered of tokens for long lies scattered among what each of
 * them had at most at one time: a million requests made 20 MiB of 17.  One heap stays as it is, and small blocks come
 * from the threads' own lists anyway, those of tokens among them (CHUNK in core/json.c); where there are many processors,
 * eight share one.
 */
static void
keep_memory_small(void)
{
#ifdef M_ARENA_MAX
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	mallopt(M_ARENA_MAX, processors > 0 && processors < 8192 ? 1 + (int)(processors - 1) / 8 : 1);
#endif
}

/* Descriptors 0 to 2 must be something, or a socket could end up where the log goes. */
static bool
hold_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Who wants to know how we are; nobody whom we run is to speak for us. */
static void
meet_manager(struct daemon *daemon)
{
	struct bg_error err = { 0 };

	if (bg_notify_init(&daemon->notify, getenv("NOTIFY_SOCKET"), &err) != 0)
		complain(EX_OK, "NOTIFY_SOCKET: %s; nobody is notified", err.detail);
	if (daemon->notify.len > 0)
		daemon->watchdog = bg_notify_watchdog(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), (long)getpid());
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* The sockets that we were handed; nobody whom we run is to look for them. */
static int
meet_sockets(struct daemon *daemon)
{
	struct bg_error err = { 0 };
	int rc = bg_activation_read(&daemon->activation, BG_ACTIVATION_FIRST, getpid(), getenv("LISTEN_PID"), getenv("LISTEN_FDS"),
	    getenv("LISTEN_FDNAMES"), LISTENERS_MAX, &err);

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return rc == 0 ? 0 : complain(EX_USAGE, "%s", err.detail);
}

int
main(int argc, char **argv)
{
	struct daemon daemon = { .next_log = -1 };
	int code;

	if (!hold_standard_descriptors())
		return complain(EX_OSFILE, "/dev/null: %s", strerror(errno));
	if ((code = meet_sockets(&daemon)) != 0)	/* before any of ours has a number that might be one of theirs */
		return code;
	daemon.shared = daemon.activation.n == 0 && bg_listener_is_one(STDIN_FILENO);
	daemon.stderr_log = bg_log_stderr();
	bg_log_journal(getenv("JOURNAL_STREAM"));
	keep_memory_private();
	keep_memory_small();
	keep_files_ours();
	if ((code = read_options(argc, argv, &daemon.options)) != -1)
		return code;
	bg_broker_init(&daemon.broker);
	meet_manager(&daemon);
	take_signals(&daemon.signals);
	if (bg_json_start() != 0)
		return complain(EX_OSERR, "the system gives no random numbers");
	if (bg_secret_start() != 0)
		return complain(EX_SOFTWARE, "OpenSSL does not take our allocator");
	code = run(&daemon);
	clean_up(&daemon);
	return code;
}
