#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/conf.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/secret.h"
#include "fcgi/authorizer.h"
#include "fcgi/figures.h"
#include "fcgi/listener.h"
#include "fcgi/notify.h"
#include "fcgi/page.h"
#include "fcgi/snapshot.h"
#include "fcgi/worker.h"

#define NAME		"bearergate-fcgi"
#define LISTENERS_MAX	64		/* addresses; nobody needs as many */
#define THREADS_MAX	1024
#define WAITING_MAX	4096		/* connections without a whole request: more than any server opens at once (SR-22) */
#define DEADLINE_MS	5000		/* from accept to a whole request; a server sends it at once (SR-22) */
#define DESCRIPTORS	16384		/* as many as all these can need, where the system allows it */
#define PARKED_MAX	1024		/* requests that wait for keys; each holds a descriptor and what it was asked with */
#define GRACE_MS	5000		/* for requests under way, after SIGTERM */
#define GLANCE_MS	20		/* between two looks for another signal meanwhile */
#define FLUSH_S		5		/* between two looks for lines of the log that were left out and not told of */
#define REPORT_MAX	(64 * 1024)

extern char **environ;

struct options {
	struct bg_conf_sources sources;
	const char *listen[LISTENERS_MAX];
	size_t      n_listen;
	int         threads;		/* 0: as the configuration says */
	const char *fetch;
	bool        test;
	bool        verbose;
};

/* What was said at the start and cannot change while we serve. */
struct fixed {
	struct bg_buf listen;		/* in one line, to be compared and told */
	int           threads;
};

/* All that is given back at the end, in the order in which it is made. */
struct daemon {
	struct options         options;
	sigset_t               signals;		/* those that are taken by sigwait */
	int                    stderr_log;	/* standard error, for the log; -1 there is none */
	struct bg_notify       notify;
	struct bg_snapshots   *snapshots;
	struct fixed           fixed;
	struct bg_listener     listeners[LISTENERS_MAX];
	size_t                 n_listeners;
	struct bg_worker      *worker;
	struct bg_figures      figures;
	pthread_mutex_t        lock;		/* guards to_wake, and holds the worker's end back while it is woken */
	struct bg_worker      *to_wake;
};

/* What is wrong with us goes to standard error until we serve, to the log from then on.  Of the main thread. */
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
	     "      --help, --version     print this, or versions, and exit\n"
	     "\n"
	     "Without -l it serves what the configuration lists, or a socket that listens on\n"
	     "descriptor 0.  See " NAME "(8).");
	return EX_OK;
}

static int
version(void)
{
	/* libfcgi does not tell its version. */
	printf(NAME " " PACKAGE_VERSION " (%s, jansson %s)\n", bg_secret_openssl_version(), jansson_version_str());
	return EX_OK;
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
	enum { ENV_FILE = 256, HELP, VERSION };
	static const struct option longs[] = {
		{ "config",   required_argument, NULL, 'c' },
		{ "env-file", required_argument, NULL, ENV_FILE },
		{ "fetch",    required_argument, NULL, 'F' },
		{ "help",     no_argument,       NULL, HELP },
		{ "listen",   required_argument, NULL, 'l' },
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

/* As far as they can be tested without taking them. */
static int
check_addresses(const struct options *options, const struct bg_conf *conf)
{
	struct bg_error err = { 0 };
	const char *const *list;
	size_t n;
	int code;

	list = addresses(options, conf, &n);
	if (n > LISTENERS_MAX)
		return complain(EX_CONFIG, "more than %d addresses to listen on", LISTENERS_MAX);
	for (size_t i = 0; i < n; i++)
		if ((code = bg_listener_check(list[i], &err)) != 0)
			return fail_address(options, code, &err);
	return 0;
}

/* The configuration, and the gate made of it; nothing of it runs yet. */
static int
configure(const struct options *options, struct bg_snapshot **out)
{
	struct bg_buf report;
	int code;

	bg_buf_init(&report, REPORT_MAX);
	code = bg_snapshot_new(out, &options->sources, options->fetch, &report);
	print_report(&report, code == 0);
	if (code != 0 && report.len == 0)
		complain(code, "the configuration cannot be read");
	bg_buf_clear(&report);
	if (code != 0)
		return code;
	if (options->threads > 0)
		(*out)->conf->threads = options->threads;
	if ((code = check_addresses(options, (*out)->conf)) != 0) {
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
	return strcmp(conf->log, "stderr") != 0;
}

/* A descriptor for where this configuration has the log. */
static int
log_descriptor(const struct daemon *daemon, const struct bg_conf *conf, struct bg_error *err)
{
	int fd;

	if (logs_to_file(conf))
		return bg_log_file(conf->log, err);
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
	bg_log_open(fd, level_of(&daemon->options, conf));
	set_log(&daemon->options, conf);
	return 0;
}

/* What of this configuration would count at the next start alone. */
static void
read_fixed(const struct options *options, const struct bg_conf *conf, struct fixed *out)
{
	const char *const *list;
	size_t n;

	list = addresses(options, conf, &n);
	bg_buf_init(&out->listen, REPORT_MAX);
	for (size_t i = 0; i < n; i++) {
		bg_buf_put_str(&out->listen, i == 0 ? "" : ", ");
		bg_log_text(&out->listen, bg_slice_str(list[i]));
	}
	bg_buf_put_char(&out->listen, '\0');
	out->threads = bg_conf_threads(conf);
}

static int
open_listeners(const struct options *options, const struct bg_conf *conf, struct daemon *daemon)
{
	struct bg_error err = { 0 };
	const char *const *list;
	int code, null;
	size_t n;

	list = addresses(options, conf, &n);
	if (n == 0 && !bg_listener_is_one(STDIN_FILENO))
		return complain(EX_USAGE, "nowhere to listen: give -l ADDRESS, or a socket that listens on descriptor 0");
	if (n == 0) {
		if ((code = bg_listener_adopt(STDIN_FILENO, &daemon->listeners[0], &err)) != 0)
			return complain(code, "%s", err.detail);
		daemon->n_listeners = 1;
		/* We have our copy; what we run shall not have the socket for its standard input. */
		if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 || dup2(null, STDIN_FILENO) == -1)
			return complain(EX_OSFILE, "/dev/null: %s", strerror(errno));
		close(null);
		return 0;
	}
	for (; daemon->n_listeners < n; daemon->n_listeners++)
		if ((code = bg_listener_open(list[daemon->n_listeners], &daemon->listeners[daemon->n_listeners], &err)) != 0)
			return fail_address(options, code, &err);
	return 0;
}

/* A page about how we are.  The worker lives as long as its threads, of which we are one; while it ends it is not shown. */
static int
show(struct daemon *daemon, enum bg_page page, const struct bg_snapshot *snapshot, char *const *env, struct bg_buf *out)
{
	struct bg_error err = { 0 };
	struct bg_worker *worker;
	struct bg_status status;
	int rc = -1;

	pthread_mutex_lock(&daemon->lock);
	worker = daemon->to_wake;
	pthread_mutex_unlock(&daemon->lock);
	if (bg_figures_read(&daemon->figures, snapshot, worker, &status, &err) == 0)
		rc = bg_page_answer(page, env, &status, out);
	bg_figures_release(&status);
	if (rc == 0)
		bg_log(BG_LOG_DEBUG, "the page %s was shown", bg_page_name(page));
	else
		bg_log(BG_LOG_ERROR, "no memory for the page %s", bg_page_name(page));
	return rc;
}

/*
 * Called by the worker's threads.  Every try is made from beginning to end by one snapshot, the one that is in force when
 * it begins; nothing that a reload took away decides anything that begins after it.  That goes for requests that were
 * parked too: all that was said of them yet is that it is too early to say, and the new gate, which has taken over the keys
 * and the fetches under way, says more.  Were they to finish under the old one, a token of an issuer that was removed could
 * be let in seconds after the reload; so it ends as wrong_issuer, with its line in the log.
 */
static int
answer(void *arg, enum bg_role role, char *const *env, bool last, struct bg_buf *out)
{
	struct daemon *daemon = arg;
	struct bg_snapshot *snapshot = bg_snapshots_take(daemon->snapshots);
	struct bg_answered answered = { 0 };
	struct bg_now now = bg_clock_now();
	struct bg_error err = { 0 };
	enum bg_page page;
	int rc;

	if (bg_page_wanted(role, env, &page, &err) != 0)
		rc = bg_authorizer_refuse(snapshot->gate, role, &err, out, &answered);
	else if (page == BG_PAGE_NONE)
		rc = bg_authorizer_answer(snapshot->gate, now, role, env, last, out, &answered);
	else
		rc = show(daemon, page, snapshot, env, out);
	bg_snapshots_give_back(daemon->snapshots, snapshot);
	if (page == BG_PAGE_NONE && rc != BG_AUTHORIZER_LATER)
		bg_counters_add(daemon->figures.counters, &answered, now.mono_ms);
	return rc == BG_AUTHORIZER_LATER ? BG_WORKER_LATER : rc;
}

/* Called by the threads of the key stores, which are there before the worker and after it. */
static void
keys_changed(void *arg)
{
	struct daemon *daemon = arg;

	pthread_mutex_lock(&daemon->lock);
	if (daemon->to_wake != NULL)
		bg_worker_wake(daemon->to_wake);
	pthread_mutex_unlock(&daemon->lock);
}

/* From now on the worker, or nobody for NULL, is told when keys have changed. */
static void
tell(struct daemon *daemon, struct bg_worker *worker)
{
	pthread_mutex_lock(&daemon->lock);
	daemon->to_wake = worker;
	if (worker != NULL)
		bg_worker_wake(worker);		/* of what has changed while nobody was told */
	pthread_mutex_unlock(&daemon->lock);
}

/*
 * Take as many descriptors as we may need and are allowed, and say how many requests may wait for keys: a quarter of what
 * there is at most, so that strangers with kids they made up never keep others from being accepted (SR-51).
 */
static size_t
take_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < DESCRIPTORS) {
		limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
			return 0;
	}
	return limit.rlim_cur / 4 < PARKED_MAX ? (size_t)limit.rlim_cur / 4 : PARKED_MAX;
}

static int
start_threads(struct daemon *daemon, const struct bg_snapshot *snapshot)
{
	struct bg_error err = { 0 };
	struct bg_worker_options worker = {
		.n_listeners = daemon->n_listeners,
		.threads = bg_conf_threads(snapshot->conf),
		.max_waiting = WAITING_MAX,
		.deadline = DEADLINE_MS,
		.max_parked = take_descriptors(),
		.patience = snapshot->conf->fetch_timeout * 1000,
		.answer = answer,
		.arg = daemon,
	};
	int fds[LISTENERS_MAX];

	for (size_t i = 0; i < daemon->n_listeners; i++)
		fds[i] = daemon->listeners[i].fd;
	worker.listeners = fds;
	if (bg_gate_start(snapshot->gate, keys_changed, daemon, &err) != 0)
		return complain(EX_OSERR, "%s", err.detail);
	if (bg_worker_start(&daemon->worker, &worker, &err) != 0)
		_exit(complain(EX_OSERR, "%s", err.detail));	/* one of its threads may be at a request, and use the gate */
	tell(daemon, daemon->worker);
	return 0;
}

/*
 * The signals we heed are taken by sigwait in the main thread alone, so they are blocked here, before the first
 * other thread and before libfcgi, which puts handlers of its own on SIGTERM, SIGUSR1 and SIGPIPE where it finds none.
 */
static void
take_signals(sigset_t *out)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigemptyset(out);
	sigaddset(out, SIGHUP);
	sigaddset(out, SIGINT);
	sigaddset(out, SIGTERM);
	sigaddset(out, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, out, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

/* A descriptor for where the log goes by the new configuration; -1 where it stays.  It may be a file that cannot be opened. */
static int
prepare_log(const struct daemon *daemon, const struct bg_conf *old, const struct bg_conf *new, int *out)
{
	struct bg_error err = { 0 };

	*out = -1;
	if (strcmp(old->log, new->log) == 0 || (*out = log_descriptor(daemon, new, &err)) != -1)
		return 0;
	return complain(EX_CANTCREAT, "%s", err.detail);
}

static void
warn_of_fixed(const struct daemon *daemon, const struct bg_conf *conf)
{
	struct fixed new;

	read_fixed(&daemon->options, conf, &new);
	if (new.listen.failed || strcmp(new.listen.data, daemon->fixed.listen.data) != 0)
		bg_log(BG_LOG_WARNING, "listen: what it says now takes effect at the next start; until then it is %s",
		    daemon->fixed.listen.data);
	if (new.threads != daemon->fixed.threads)
		bg_log(BG_LOG_WARNING, "threads: %d takes effect at the next start; until then there are %d", new.threads,
		    daemon->fixed.threads);
	bg_buf_clear(&new.listen);
}

/*
 * Put what the configuration says now in force: all of it, or nothing and a code of sysexits(3), with the reason in the
 * log.  What can fail comes first.  The parked requests are tried again by it, and answered by it.
 */
static int
change(struct daemon *daemon)
{
	struct bg_snapshot *old = bg_snapshots_take(daemon->snapshots), *new = NULL;
	struct bg_error err = { 0 };
	int code, log = -1;

	if ((code = configure(&daemon->options, &new)) != 0 || (code = prepare_log(daemon, old->conf, new->conf, &log)) != 0)
		goto out;
	if (bg_gate_take_over(new->gate, old->gate, bg_clock_now(), &err) != 0 ||
	    bg_gate_start(new->gate, keys_changed, daemon, &err) != 0) {
		code = complain(EX_OSERR, "%s", err.detail);
		goto out;
	}
	warn_of_fixed(daemon, new->conf);
	set_log(&daemon->options, new->conf);
	if (log != -1) {
		bg_log(BG_LOG_INFO, "from here on the log goes to %s", new->conf->log);
		bg_log_switch(log);
		log = -1;		/* moved */
	}
	bg_worker_set_patience(daemon->worker, new->conf->fetch_timeout * 1000);
	bg_snapshots_replace(daemon->snapshots, new);
	new = NULL;			/* moved */
	bg_worker_wake(daemon->worker);
out:
	if (log != -1)
		close(log);
	bg_snapshots_give_back(daemon->snapshots, new);
	bg_snapshots_give_back(daemon->snapshots, old);
	return code;
}

static void
reload(struct daemon *daemon)
{
	bg_notify_send(&daemon->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=Reading the configuration anew",
	    bg_clock_mono_us());
	if (change(daemon) == 0) {
		atomic_fetch_add(&daemon->figures.reloads, 1);
		atomic_store(&daemon->figures.reloaded, bg_clock_wall());
		bg_log(BG_LOG_INFO, "the configuration was read anew and is in force");
		bg_notify_send(&daemon->notify, "READY=1\nSTATUS=Deciding");
	} else {
		atomic_fetch_add(&daemon->figures.failed_reloads, 1);
		atomic_store(&daemon->figures.reload_failed, bg_clock_wall());
		bg_log(BG_LOG_ERROR, "the configuration was not changed: the one from before stays in force");
		bg_notify_send(&daemon->notify, "READY=1\nSTATUS=Deciding by the configuration from before the last reload, "
		    "which failed; the log says why");
	}
}

static void
reopen_log(const struct daemon *daemon)
{
	struct bg_snapshot *snapshot = bg_snapshots_take(daemon->snapshots);
	struct bg_error err = { 0 };
	int fd;

	if (!logs_to_file(snapshot->conf))
		bg_log(BG_LOG_DEBUG, "the log is standard error, which is not opened anew");
	else if ((fd = bg_log_file(snapshot->conf->log, &err)) == -1)
		bg_log(BG_LOG_ERROR, "%s; the log goes on where it was", err.detail);
	else {
		bg_log_switch(fd);
		bg_log(BG_LOG_INFO, "the log was opened anew");
	}
	bg_snapshots_give_back(daemon->snapshots, snapshot);
}

/* Somebody still uses the gate: nothing more can be given back than what outlives us. */
static void
cut_off(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->n_listeners; i++)
		bg_listener_close(&daemon->listeners[i]);
	_exit(EX_OK);
}

/* While we end: to reload makes no sense any more, and who says twice that we are to end means at once. */
static void
heed_haste(struct daemon *daemon)
{
	static const struct timespec now;
	int sig;

	while ((sig = sigtimedwait(&daemon->signals, NULL, &now)) > 0) {
		if (sig == SIGHUP || sig == SIGUSR1)
			continue;
		bg_log(BG_LOG_WARNING, "ending at once after signal %d", sig);
		cut_off(daemon);
	}
}

/* Let requests under way finish. */
static void
drain(struct daemon *daemon)
{
	int64_t end = bg_clock_mono_ms() + GRACE_MS;

	tell(daemon, NULL);
	while (!bg_worker_stop(daemon->worker, GLANCE_MS)) {
		heed_haste(daemon);
		if (bg_clock_mono_ms() >= end) {
			bg_log(BG_LOG_WARNING, "a request did not end in %d seconds and is cut off", GRACE_MS / 1000);
			cut_off(daemon);
		}
	}
}

/* Serve until a signal says to end. */
static int
serve(struct daemon *daemon)
{
	const struct timespec while_idle = { .tv_sec = FLUSH_S };
	int sig = 0;

	serving = true;
	for (size_t i = 0; i < daemon->n_listeners; i++)
		bg_log(BG_LOG_INFO, "listening on %s", daemon->listeners[i].name);
	bg_notify_send(&daemon->notify, "READY=1\nSTATUS=Deciding");
	while (sig != SIGINT && sig != SIGTERM) {
		if ((sig = sigtimedwait(&daemon->signals, NULL, &while_idle)) == -1)
			bg_decision_log_flush(bg_clock_mono_ms());
		else if (sig == SIGHUP)
			reload(daemon);
		else if (sig == SIGUSR1)
			reopen_log(daemon);
	}
	bg_log(BG_LOG_INFO, "ending after signal %d", sig);
	bg_notify_send(&daemon->notify, "STOPPING=1\nSTATUS=Finishing the requests under way");
	drain(daemon);
	bg_decision_log_flush(INT64_MAX);
	return EX_OK;
}

/* Everything up to the end of serving. */
static int
run(struct daemon *daemon)
{
	const struct options *options = &daemon->options;
	struct bg_snapshot *first = NULL;
	struct bg_error err = { 0 };
	int code;

	if ((code = configure(options, &first)) != 0)
		return code;
	if (options->test) {
		bg_snapshot_free(first);
		return complain(EX_OK, "configuration OK");
	}
	if (bg_figures_init(&daemon->figures, &err) != 0 || bg_snapshots_new(&daemon->snapshots, &err) != 0) {
		bg_snapshot_free(first);
		return complain(EX_OSERR, "%s", err.detail);
	}
	bg_snapshots_replace(daemon->snapshots, first);		/* which is there until the end of start_threads at least */
	read_fixed(options, first->conf, &daemon->fixed);
	if (daemon->fixed.listen.failed)
		return complain(EX_OSERR, "no memory for the addresses to listen on");
	if ((code = open_log(daemon, first->conf)) != 0 || (code = open_listeners(options, first->conf, daemon)) != 0 ||
	    (code = start_threads(daemon, first)) != 0)
		return code;
	return serve(daemon);
}

/* Give back all that run has left, as far as it came. */
static void
clean_up(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->n_listeners; i++)
		bg_listener_close(&daemon->listeners[i]);
	daemon->n_listeners = 0;
	if (daemon->snapshots != NULL) {
		bg_snapshots_replace(daemon->snapshots, NULL);
		/* their threads may be in the middle of a fetch */
		while (!bg_snapshots_wait(daemon->snapshots, GLANCE_MS))
			heed_haste(daemon);
		bg_snapshots_free(daemon->snapshots);
	}
	bg_buf_clear(&daemon->fixed.listen);
	bg_figures_clear(&daemon->figures);
}

/* Tokens and keys stay out of core files and out of reach of debuggers (SR-85). */
static void
keep_memory_private(void)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
}

/*
 * glibc gives each thread a heap of its own, and what is remembered of tokens for long lies scattered among what each of
 * them had at most at one time: a million requests made 20 MiB of 17.  One heap stays as it is, and small blocks come
 * from the threads' own lists anyway; where there are many processors, eight share one.  Its price: of 20,000 new tokens
 * that four threads of two processors take apart, some thousand wait for the heap for a moment, and none of known ones.
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
	unsetenv("NOTIFY_SOCKET");
}

int
main(int argc, char **argv)
{
	struct daemon daemon = { .lock = PTHREAD_MUTEX_INITIALIZER };
	int code;

	if (!hold_standard_descriptors())
		return EX_OSFILE;
	daemon.stderr_log = bg_log_stderr();
	bg_log_journal(getenv("JOURNAL_STREAM"));
	keep_memory_private();
	keep_memory_small();
	if ((code = read_options(argc, argv, &daemon.options)) != -1)
		return code;
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
