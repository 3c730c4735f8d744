#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
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
#include "fcgi/listener.h"
#include "fcgi/worker.h"

#define NAME		"bearergate-fcgi"
#define LISTENERS_MAX	64		/* addresses; nobody needs as many */
#define THREADS_MAX	1024
#define WAITING_MAX	4096		/* connections without a whole request: more than any server opens at once (SR-22) */
#define DEADLINE_MS	5000		/* from accept to a whole request; a server sends it at once (SR-22) */
#define DESCRIPTORS	16384		/* as many as all these can need, where the system allows it */
#define PARKED_MAX	1024		/* requests that wait for keys; each holds a descriptor and what it was asked with */
#define GRACE_MS	5000		/* for requests under way, after SIGTERM */
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

/* All that is given back at the end, in the order in which it is made. */
struct daemon {
	struct bg_conf        *conf;
	struct bg_fetch_helper fetcher;
	struct bg_gate        *gate;
	struct bg_listener     listeners[LISTENERS_MAX];
	size_t                 n_listeners;
	struct bg_worker      *worker;
	pthread_mutex_t        lock;		/* guards to_wake, and holds the worker's end back while it is woken */
	struct bg_worker      *to_wake;
};

static int complain(int code, const char *fmt, ...) BG_PRINTF(2, 3);

/* One line about why we do not start; returns the exit code, for "return complain(...)". */
static int
complain(int code, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	bg_vformat(line, sizeof(line), fmt, ap);
	va_end(ap);
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

/* Each line of the report goes to stderr under our name. */
static void
print_report(const struct bg_buf *report)
{
	struct bg_slice rest = { report->data, report->len };

	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t n = end != NULL ? (size_t)(end - rest.ptr) : rest.len;

		if (n > 0)
			fprintf(stderr, NAME ": %.*s\n", (int)n, rest.ptr);
		rest = bg_slice_skip(rest, end != NULL ? n + 1 : n);
	}
}

/* The configuration, and the gate made of it; nothing of it runs yet. */
static int
configure(const struct options *options, struct daemon *daemon)
{
	struct bg_error err = { 0 };
	struct bg_buf report;
	int code;

	bg_buf_init(&report, REPORT_MAX);
	code = bg_conf_load(&daemon->conf, &options->sources, &report);
	print_report(&report);
	if (code != 0 && report.len == 0)
		complain(code, "the configuration cannot be read");
	bg_buf_clear(&report);
	if (code != 0)
		return code;
	if (options->threads > 0)
		daemon->conf->threads = options->threads;
	bg_fetch_helper_init(&daemon->fetcher, &(struct bg_fetch_helper_options){ .program = options->fetch,
	    .ca_file = daemon->conf->ca_file, .ca_dir = daemon->conf->ca_dir, .proxy = daemon->conf->proxy });
	if (bg_conf_build(daemon->conf, &daemon->fetcher.base, &daemon->gate, &err) != 0)
		return complain(err.reason == BG_R_NO_MEMORY ? EX_OSERR : EX_CONFIG, "%s", err.detail);
	return 0;
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

/* Send the log where the configuration says. */
static int
open_log(const struct options *options, const struct bg_conf *conf)
{
	struct bg_error err = { 0 };
	int fd = STDERR_FILENO;

	if (strcmp(conf->log, "stderr") != 0 && (fd = bg_log_file(conf->log, &err)) == -1)
		return complain(EX_CANTCREAT, "%s", err.detail);
	bg_log_open(fd, options->verbose ? BG_LOG_DEBUG : conf->log_level);
	return 0;
}

static int
open_listeners(const struct options *options, struct daemon *daemon)
{
	struct bg_error err = { 0 };
	const char *const *list;
	int code, null;
	size_t n;

	list = addresses(options, daemon->conf, &n);
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

/* Called by the worker's threads. */
static int
answer(void *arg, char *const *env, bool last, struct bg_buf *out)
{
	const struct bg_gate *gate = arg;
	int rc = bg_authorizer_answer(gate, bg_clock_now(), env, last, out);

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
start_threads(struct daemon *daemon)
{
	struct bg_error err = { 0 };
	struct bg_worker_options worker = {
		.n_listeners = daemon->n_listeners,
		.threads = bg_conf_threads(daemon->conf),
		.max_waiting = WAITING_MAX,
		.deadline = DEADLINE_MS,
		.max_parked = take_descriptors(),
		.patience = daemon->conf->fetch_timeout * 1000,
		.answer = answer,
		.arg = daemon->gate,
	};
	int fds[LISTENERS_MAX];

	for (size_t i = 0; i < daemon->n_listeners; i++)
		fds[i] = daemon->listeners[i].fd;
	worker.listeners = fds;
	if (bg_gate_start(daemon->gate, keys_changed, daemon, &err) != 0 ||
	    bg_worker_start(&daemon->worker, &worker, &err) != 0)
		return complain(EX_OSERR, "%s", err.detail);
	tell(daemon, daemon->worker);
	return 0;
}

/*
 * The signals that end us are taken by sigwait in the main thread alone, so they are blocked here, before the first
 * other thread and before libfcgi, which puts handlers of its own on SIGTERM and SIGPIPE where it finds none.
 */
static void
take_signals(sigset_t *ending)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigemptyset(ending);
	sigaddset(ending, SIGHUP);
	sigaddset(ending, SIGINT);
	sigaddset(ending, SIGTERM);
	pthread_sigmask(SIG_BLOCK, ending, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

/* Serve until a signal says to end. */
static int
serve(struct daemon *daemon, const sigset_t *ending)
{
	int sig = 0;

	for (size_t i = 0; i < daemon->n_listeners; i++)
		bg_log(BG_LOG_INFO, "listening on %s", daemon->listeners[i].name);
	while (sigwait(ending, &sig) != 0)
		continue;
	bg_log(BG_LOG_INFO, "ending after signal %d", sig);
	tell(daemon, NULL);
	if (bg_worker_stop(daemon->worker, GRACE_MS))
		return EX_OK;
	/* A thread that did not end still uses the gate: nothing more can be given back than what outlives us. */
	bg_log(BG_LOG_WARNING, "a request did not end in %d seconds and is cut off", GRACE_MS / 1000);
	for (size_t i = 0; i < daemon->n_listeners; i++)
		bg_listener_close(&daemon->listeners[i]);
	_exit(EX_OK);
}

/* Tokens and keys stay out of core files and out of reach of debuggers (SR-85). */
static void
keep_memory_private(void)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
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

int
main(int argc, char **argv)
{
	struct daemon daemon = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct options options;
	sigset_t ending;
	int code;

	if (!hold_standard_descriptors())
		return EX_OSFILE;
	keep_memory_private();
	if ((code = read_options(argc, argv, &options)) != -1)
		return code;
	take_signals(&ending);
	if (bg_json_start() != 0)
		return complain(EX_OSERR, "the system gives no random numbers");
	if (bg_secret_start() != 0)
		return complain(EX_SOFTWARE, "OpenSSL does not take our allocator");
	if ((code = configure(&options, &daemon)) != 0 || (code = check_addresses(&options, daemon.conf)) != 0)
		goto out;
	if (options.test) {
		complain(EX_OK, "configuration OK");
		goto out;
	}
	if ((code = open_log(&options, daemon.conf)) != 0 || (code = open_listeners(&options, &daemon)) != 0 ||
	    (code = start_threads(&daemon)) != 0)
		goto out;
	code = serve(&daemon, &ending);
out:
	for (size_t i = 0; i < daemon.n_listeners; i++)
		bg_listener_close(&daemon.listeners[i]);
	bg_gate_free(daemon.gate);
	bg_conf_free(daemon.conf);
	return code;
}
