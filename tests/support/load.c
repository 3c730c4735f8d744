#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/support/mint.h"
#include "tests/support/records.h"

/*
 * Load for an authorizer, as web servers make it: a connection for each request in role Authorizer, from several
 * clients at once, and every answer judged.  Requests take turns through the sources of tokens: files, which may be
 * replaced by rename meanwhile, and tokens with kids that no issuer knows.  Each source has the statuses that are right
 * for it; 000 stands for no answer: nobody listens, reset, cut, too late, or without a Status.
 *
 * It ends by itself: after so many requests or seconds, at the latest after RUN_MAX, and on SIGTERM or SIGINT at once,
 * leaving out what is not answered yet.  Then it prints one JSON object in one line.  Latencies are of requests that
 * were answered, from the connect to the end of the answer, to 1 %.  Exit status: 0, or 1 when an answer was wrong.
 * Tokens are never printed.  When the first request has been counted, a line on standard error says so.
 */

#define SOURCES_MAX	16
#define CLIENTS_MAX	256
#define RUN_MAX		3600			/* seconds, whatever was asked for */
#define REQUESTS_MAX	100000000L
#define RATE_MAX	100000			/* requests in a second */
#define TIMEOUT_MAX	60000			/* milliseconds */
#define TOKEN_MAX	(64 * 1024)		/* more than an authorizer takes, to see it refused */
#define LOOK_MS		50			/* between looks at a token file */
#define RETRY_MS	10			/* between attempts to connect */
#define FULL_MS		1			/* the same where the listener's queue is full */
#define CALM_MS		1			/* behind no answer, so that nobody listening is no reason to spin */
#define LATE_NS		(10 * NS_OF_MS)		/* a request that begins so much later than its turn is late */
#define BUCKETS		2048
#define STATUSES	1000
#define WRONG_MAX	5			/* wrong answers that are reported */
#define BODY_MAX	500			/* bytes of such an answer */
#define NS_OF_MS	INT64_C(1000000)
#define NS_OF_S		INT64_C(1000000000)

static const struct option long_options[] = {
	{ "socket",        required_argument, NULL, 's' },
	{ "seconds",       required_argument, NULL, 'S' },
	{ "requests",      required_argument, NULL, 'n' },
	{ "clients",       required_argument, NULL, 'c' },
	{ "rate",          required_argument, NULL, 'r' },
	{ "uri",           required_argument, NULL, 'u' },
	{ "timeout",       required_argument, NULL, 't' },
	{ "retry-refused", no_argument,       NULL, 'R' },
	{ "token-file",    required_argument, NULL, 'f' },
	{ "random-kids",   required_argument, NULL, 'k' },
	{ "audience",      required_argument, NULL, 'a' },
	{ "expect",        required_argument, NULL, 'e' },
	{ NULL,            0,                 NULL, 0 },
};

struct source {
	/* Set before the threads start, read only after. */
	const char *name;
	const char *path;		/* of the token file; NULL: random kids */
	const char *issuer;		/* of random kids */
	bool        right[STATUSES];
	bool        expects;		/* right was said; else it is 200 */

	pthread_mutex_t lock;		/* guards the members below */
	char        token[TOKEN_MAX + 1];
	struct stat seen;		/* the file that token is from */
	int64_t     next_look;		/* monotonic milliseconds */
	uint64_t    by_status[STATUSES];
	uint64_t    wrong;
	uint64_t    took[BUCKETS];	/* answered requests by their time, see bounds */
	int64_t     max_us;
};

struct wrong {
	char        at[40];		/* RFC 3339 */
	const char *source;
	int         status;
	char        body[BODY_MAX + 1];
	char        why[128];		/* where there was no answer */
};

struct load {
	/* Set before the threads start, read only after. */
	struct bg_rec_address address;
	const char *uri;
	const char *audience;
	long        requests, seconds, clients, rate;	/* 0: not said */
	long        timeout;		/* milliseconds */
	bool        retry_refused;
	struct source *sources;
	int         n_sources;
	int64_t     start, end;		/* monotonic nanoseconds */
	int         stop;		/* an eventfd, readable when all is to end at once */

	atomic_long next;		/* the number of the next request */
	atomic_long late;
	atomic_long running;		/* threads */
	atomic_bool counted;		/* some request has been */

	pthread_mutex_t lock;		/* guards the members below */
	struct wrong wrong[WRONG_MAX];
	int         n_wrong;
};

/* What became of one request. */
struct outcome {
	int             status;		/* 0: no answer */
	bool            stopped;	/* it was left alone because all ends: not to be counted */
	struct bg_slice body;		/* borrowed from the client */
	char            why[128];
};

struct client {
	struct load    *load;
	pthread_t       thread;
	char            token[TOKEN_MAX + 1];
	struct bg_buf   pairs, request, raw, out;
};

/* bounds[i] is where bucket i begins, in microseconds: each 1 % above the one before, and at least 1. */
static int64_t bounds[BUCKETS + 1];

static int
usage(void)
{
	fputs("usage: load --socket unix:PATH|127.0.0.1:PORT --seconds N|--requests N [--clients N] [--rate N]\n"
	    "    [--uri /PATH] [--timeout MS] [--retry-refused] [--audience AUD]\n"
	    "    (--token-file FILE|--random-kids ISSUER [--expect STATUS,...]) ...\n", stderr);
	return EX_USAGE;
}

static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(EX_OSERR);
}

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_OF_S + now.tv_nsec;
}

/* ---- waiting: always until a time, and never longer than until all is to end ---- */

enum wait { READY, TIME, STOP };

static enum wait
wait_for(const struct load *load, int fd, short events, int64_t until)
{
	struct pollfd fds[2] = { { .fd = load->stop, .events = POLLIN }, { .fd = fd, .events = events } };
	int n;

	do {
		int64_t left = until - now_ns();
		struct timespec ts = { .tv_sec = left / NS_OF_S, .tv_nsec = left % NS_OF_S };

		if (left <= 0)
			ts = (struct timespec){ 0 };
		n = ppoll(fds, fd != -1 ? 2 : 1, &ts, NULL);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		die("ppoll");
	return fds[0].revents != 0 ? STOP : n > 0 ? READY : TIME;
}

static enum wait
wait_until(const struct load *load, int64_t until)
{
	return wait_for(load, -1, 0, until);
}

/* ---- tokens ---- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Read the token file; on failure the token stays what it was, and errno is set. */
static bool
read_token(struct source *source)
{
	char text[TOKEN_MAX + 2];
	struct stat seen;
	ssize_t n = -1;
	int fd;

	if ((fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return false;
	if (fstat(fd, &seen) == 0)
		n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n == -1)
		return false;
	text[n] = '\0';
	text[strcspn(text, " \t\r\n")] = '\0';
	if (text[0] == '\0' || n > TOKEN_MAX) {
		errno = n > TOKEN_MAX ? EFBIG : EINVAL;
		return false;
	}
	memcpy(source->token, text, strlen(text) + 1);
	source->seen = seen;
	return true;
}

static void
copy_token(struct source *source, char token[TOKEN_MAX + 1])
{
	int64_t now = bg_clock_mono_ms();
	struct stat seen;

	pthread_mutex_lock(&source->lock);
	if (now >= source->next_look) {
		source->next_look = now + LOOK_MS;
		if (stat(source->path, &seen) == 0 && !same_file(&seen, &source->seen))
			(void)read_token(source);
	}
	memcpy(token, source->token, strlen(source->token) + 1);
	pthread_mutex_unlock(&source->lock);
}

/* A token as this issuer could have made it, but for a key that it does not have. */
static void
make_token(const struct load *load, const struct source *source, char token[TOKEN_MAX + 1])
{
	unsigned char kid[12], signature[256];
	char hex[2 * sizeof(kid) + 1], header[128], claims[1024], *made;
	int64_t now = bg_clock_wall();

	if (RAND_bytes(kid, sizeof(kid)) != 1 || RAND_bytes(signature, sizeof(signature)) != 1)
		die("random bytes");
	for (size_t i = 0; i < sizeof(kid); i++)
		bg_format(hex + 2 * i, 3, "%02x", (unsigned)kid[i]);
	bg_format(header, sizeof(header), "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", hex);
	bg_format(claims, sizeof(claims),
	    "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"load\",\"iat\":%" PRId64 ",\"exp\":%" PRId64 "}", source->issuer,
	    load->audience, now, now + 3600);
	made = bg_mint_compact(bg_slice_str(header), bg_slice_str(claims),
	    (struct bg_slice){ (const char *)signature, sizeof(signature) });
	bg_format(token, TOKEN_MAX + 1, "%s", made);
	free(made);
}

/* ---- one request ---- */

static void
build_request(struct client *client)
{
	const char *uri = client->load->uri, *query = strchr(uri, '?');
	struct bg_buf *pairs = &client->pairs;

	bg_buf_reset(pairs);
	bg_rec_pair(pairs, BG_SLICE("REQUEST_METHOD"), BG_SLICE("GET"));
	bg_rec_pair(pairs, BG_SLICE("REQUEST_URI"), bg_slice_str(uri));
	bg_rec_pair(pairs, BG_SLICE("QUERY_STRING"), bg_slice_str(query != NULL ? query + 1 : ""));
	bg_rec_pair(pairs, BG_SLICE("SERVER_PROTOCOL"), BG_SLICE("HTTP/1.1"));
	bg_rec_pair(pairs, BG_SLICE("SERVER_NAME"), BG_SLICE("localhost"));
	bg_rec_pair(pairs, BG_SLICE("SERVER_PORT"), BG_SLICE("80"));
	bg_rec_pair(pairs, BG_SLICE("REMOTE_ADDR"), BG_SLICE("127.0.0.1"));
	bg_rec_pair(pairs, BG_SLICE("HTTP_HOST"), BG_SLICE("localhost"));
	bg_buf_reset(&client->out);
	bg_buf_put_format(&client->out, "Bearer %s", client->token);
	bg_rec_pair(pairs, BG_SLICE("HTTP_AUTHORIZATION"), (struct bg_slice){ client->out.data, client->out.len });
	bg_buf_reset(&client->request);
	bg_rec_begin(&client->request, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(&client->request, 1, (struct bg_slice){ pairs->data, pairs->len }, 65535, 0);
	if (pairs->failed || client->out.failed || client->request.failed)
		die("a request");
}

static void no_answer(struct outcome *out, const char *fmt, ...) BG_PRINTF(2, 3);

static void
no_answer(struct outcome *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	bg_vformat(out->why, sizeof(out->why), fmt, ap);
	va_end(ap);
}

/* After a wait that was not READY. */
static void
waited(struct outcome *out, enum wait wait, const char *where)
{
	out->stopped = wait == STOP;
	no_answer(out, "too late: %s", where);
}

/* A connection before the deadline, or -1 and why not. */
static int
reach(const struct load *load, int64_t until, struct outcome *out)
{
	for (;;) {
		int fd = socket(load->address.to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
		socklen_t len = sizeof(error);
		enum wait wait = READY;

		if (fd == -1)
			die("socket");
		if (connect(fd, &load->address.to.any, load->address.len) != 0)
			error = errno;
		if (error == EINPROGRESS && (wait = wait_for(load, fd, POLLOUT, until)) == READY &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
			die("SO_ERROR");
		if (error == 0)
			return fd;
		close(fd);
		if (error == EAGAIN)
			wait = wait_until(load, now_ns() + FULL_MS * NS_OF_MS);
		else if (load->retry_refused && (error == ECONNREFUSED || error == ENOENT))
			wait = wait_until(load, now_ns() + RETRY_MS * NS_OF_MS);
		else if (wait == READY) {
			no_answer(out, "connect: %s", strerror(error));
			return -1;
		}
		if (wait == STOP || now_ns() >= until) {
			waited(out, wait, "connect");
			return -1;
		}
	}
}

static bool
send_request(const struct client *client, int fd, int64_t until, struct outcome *out)
{
	struct bg_slice rest = { client->request.data, client->request.len };

	while (rest.len > 0) {
		ssize_t n = send(fd, rest.ptr, rest.len, MSG_NOSIGNAL);
		enum wait wait;

		if (n > 0)
			rest = bg_slice_skip(rest, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR) {
			no_answer(out, "send: %s", strerror(errno));
			return false;
		} else if ((wait = wait_for(client->load, fd, POLLOUT, until)) != READY) {
			waited(out, wait, "send");
			return false;
		}
	}
	return true;
}

/*
 * Take the records that are whole off raw, from *at on.  Returns 1 when the answer has ended, 0 when more is to come,
 * and -1 when it is none.  FastCGI 1.0 sections 3.3 and 5.5.
 */
static int
take_records(struct client *client, size_t *at)
{
	for (;;) {
		const unsigned char *header = (const unsigned char *)client->raw.data + *at;
		size_t content, whole;

		if (client->raw.len - *at < 8)
			return 0;
		content = (size_t)header[4] << 8 | header[5];
		whole = 8 + content + header[6];
		if (header[0] != 1 || header[2] != 0 || header[3] != 1)
			return -1;
		if (client->raw.len - *at < whole)
			return 0;
		if (header[1] == BG_REC_STDOUT)
			bg_buf_put(&client->out, (struct bg_slice){ (const char *)header + 8, content });
		else if (header[1] == BG_REC_END_REQUEST)
			return content == 8 && header[8 + 4] == 0 ? 1 : -1;
		else if (header[1] != BG_REC_STDERR)
			return -1;
		*at += whole;
	}
}

static bool
read_answer(struct client *client, int fd, int64_t until, struct outcome *out)
{
	size_t at = 0;
	int rc = 0;

	bg_buf_reset(&client->raw);
	bg_buf_reset(&client->out);
	while (rc == 0) {
		enum wait wait = wait_for(client->load, fd, POLLIN, until);
		char bytes[4096];
		ssize_t n;

		if (wait != READY) {
			waited(out, wait, "answer");
			return false;
		}
		if ((n = recv(fd, bytes, sizeof(bytes), 0)) == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) {
			no_answer(out, "recv: %s", n == 0 ? "the end, before END_REQUEST" : strerror(errno));
			return false;
		}
		bg_buf_put(&client->raw, (struct bg_slice){ bytes, (size_t)n });
		if (client->raw.failed)
			break;
		rc = take_records(client, &at);
	}
	if (rc != 1 || client->out.failed) {
		no_answer(out, "no answer of FastCGI");
		return false;
	}
	return true;
}

/* The Status and the body of what the authorizer said. */
static void
read_status(struct client *client, struct outcome *out)
{
	out->status = bg_rec_status(&client->out, &out->body);
	if (out->status == 0)
		no_answer(out, "an answer without Status");
}

static void
request(struct client *client, int64_t until, struct outcome *out)
{
	int fd;

	*out = (struct outcome){ 0 };
	build_request(client);
	if ((fd = reach(client->load, until, out)) == -1)
		return;
	if (send_request(client, fd, until, out) && read_answer(client, fd, until, out))
		read_status(client, out);
	close(fd);
}

/* ---- counting ---- */

static void
make_bounds(void)
{
	for (size_t i = 1; i <= BUCKETS; i++)
		bounds[i] = bounds[i - 1] + (bounds[i - 1] >= 100 ? bounds[i - 1] / 100 : 1);
}

static size_t
bucket_of(int64_t us)
{
	size_t low = 0, high = BUCKETS;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (bounds[middle] <= us)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The time that so many of a hundred answered requests did not exceed, in microseconds. */
static int64_t
percentile(const struct source *source, unsigned percent)
{
	uint64_t all = 0, below = 0;

	for (size_t i = 0; i < BUCKETS; i++)
		all += source->took[i];
	if (all == 0)
		return 0;
	for (size_t i = 0; i < BUCKETS; i++)
		if ((below += source->took[i]) * 100 >= all * percent)
			return bounds[i + 1] < source->max_us ? bounds[i + 1] : source->max_us;
	return source->max_us;
}

static void
remember_wrong(struct client *client, const struct source *source, const struct outcome *out)
{
	struct load *load = client->load;
	size_t len = strlen(client->token), tail = len < 16 ? len : 16;
	struct timespec now;
	struct wrong *wrong;
	struct tm tm;

	pthread_mutex_lock(&load->lock);
	if (load->n_wrong < WRONG_MAX) {
		wrong = &load->wrong[load->n_wrong++];
		*wrong = (struct wrong){ .source = source->name, .status = out->status };
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		strftime(wrong->at, sizeof(wrong->at), "%Y-%m-%dT%H:%M:%S", &tm);
		bg_format(wrong->at + strlen(wrong->at), sizeof(wrong->at) - strlen(wrong->at), ".%03ldZ",
		    (long)(now.tv_nsec / NS_OF_MS));
		bg_format(wrong->why, sizeof(wrong->why), "%s", out->why);
		if (out->body.len > 0 && memmem(out->body.ptr, out->body.len, client->token + len - tail, tail) != NULL)
			bg_format(wrong->body, sizeof(wrong->body), "(with the token in it)");
		else if (out->body.len > 0)
			bg_format(wrong->body, sizeof(wrong->body), "%s", out->body.ptr);
		for (char *c = wrong->body; *c != '\0'; c++)
			if ((*c < ' ' || *c > '~') && *c != '\n')
				*c = '?';
	}
	pthread_mutex_unlock(&load->lock);
}

static void
count(struct client *client, struct source *source, const struct outcome *out, int64_t ns)
{
	bool wrong = !source->right[out->status];
	int64_t us = ns / 1000;

	pthread_mutex_lock(&source->lock);
	source->by_status[out->status]++;
	source->wrong += wrong;
	if (out->status != 0) {
		source->took[bucket_of(us)]++;
		if (us > source->max_us)
			source->max_us = us;
	}
	pthread_mutex_unlock(&source->lock);
	if (wrong)
		remember_wrong(client, source, out);
	if (!atomic_exchange(&client->load->counted, true))
		fprintf(stderr, "load: it has begun\n");
}

static void *
client_main(void *arg)
{
	struct client *client = arg;
	struct load *load = client->load;

	for (;;) {
		long number = atomic_fetch_add(&load->next, 1);
		int64_t due = load->rate > 0 ? load->start + number * NS_OF_S / load->rate : 0, begin;
		struct source *source = &load->sources[number % load->n_sources];
		struct outcome out;

		if (load->requests > 0 && number >= load->requests)
			break;
		/* Asked even when there is nothing to wait for: this is where all ends. */
		if (due >= load->end || wait_until(load, due) == STOP || (begin = now_ns()) >= load->end)
			break;
		if (load->rate > 0 && begin - due > LATE_NS)
			atomic_fetch_add(&load->late, 1);
		if (source->path != NULL)
			copy_token(source, client->token);
		else
			make_token(load, source, client->token);
		begin = now_ns();
		request(client, begin + load->timeout * NS_OF_MS, &out);
		if (out.stopped)
			break;
		count(client, source, &out, now_ns() - begin);
		if (out.status == 0 && load->rate == 0)
			(void)wait_until(load, now_ns() + CALM_MS * NS_OF_MS);
	}
	bg_buf_clear(&client->pairs);
	bg_buf_clear(&client->request);
	bg_buf_clear(&client->raw);
	bg_buf_clear(&client->out);
	if (atomic_fetch_sub(&load->running, 1) == 1)
		kill(getpid(), SIGUSR1);
	return NULL;
}

/* ---- the report ---- */

static json_t *
statuses_json(const uint64_t by_status[STATUSES])
{
	json_t *object = json_object();
	char name[8];

	for (int i = 0; i < STATUSES; i++)
		if (by_status[i] > 0) {
			bg_format(name, sizeof(name), "%03d", i);
			json_object_set_new(object, name, json_integer((json_int_t)by_status[i]));
		}
	return object;
}

/* Returns the number of wrong answers. */
static uint64_t
report(const struct load *load, int64_t ns)
{
	double seconds = ns > 0 ? (double)ns / (double)NS_OF_S : 1e-9;
	json_t *root, *sources = json_array(), *first = json_array();
	uint64_t by_status[STATUSES] = { 0 }, all = 0, wrong = 0;

	for (int i = 0; i < load->n_sources; i++) {
		const struct source *source = &load->sources[i];
		uint64_t n = 0;

		for (int s = 0; s < STATUSES; s++) {
			n += source->by_status[s];
			by_status[s] += source->by_status[s];
		}
		all += n;
		wrong += source->wrong;
		json_array_append_new(sources, json_pack("{s:s, s:I, s:I, s:o, s:I, s:I, s:I, s:f}", "source", source->name,
		    "count", (json_int_t)n, "wrong", (json_int_t)source->wrong, "by_status", statuses_json(source->by_status),
		    "p50_us", (json_int_t)percentile(source, 50), "p99_us", (json_int_t)percentile(source, 99),
		    "max_us", (json_int_t)source->max_us, "rate", (double)n / seconds));
	}
	for (int i = 0; i < load->n_wrong; i++) {
		const struct wrong *w = &load->wrong[i];
		char status[8];

		bg_format(status, sizeof(status), "%03d", w->status);
		json_array_append_new(first, json_pack("{s:s, s:s, s:s, s:s, s:s}", "at", w->at, "source", w->source,
		    "status", status, "body", w->body, "why", w->why));
	}
	root = json_pack("{s:I, s:I, s:f, s:f, s:I, s:o, s:o, s:o}", "requests", (json_int_t)all, "wrong", (json_int_t)wrong,
	    "seconds", seconds, "rate", (double)all / seconds, "late", (json_int_t)atomic_load(&load->late),
	    "by_status", statuses_json(by_status), "sources", sources, "first_wrong", first);
	if (root == NULL || json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) != 0 || putchar('\n') == EOF ||
	    fflush(stdout) != 0)
		die("the report");
	json_decref(root);
	return wrong;
}

/* ---- the command line ---- */

static bool
read_number(const char *text, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= min && *out <= max;
}

/* Three digits each, with commas between. */
static bool
read_statuses(const char *text, struct source *source)
{
	for (;; text += 4) {
		if (strspn(text, "0123456789") != 3)
			return false;
		source->right[atoi(text)] = true;
		if (text[3] != ',') {
			source->expects = true;
			return text[3] == '\0';
		}
	}
}

/* What can stand in a JSON string as it is, and leaves room for the rest of the claims. */
static bool
plain(const char *text)
{
	return text[0] != '\0' && strlen(text) < 300 && strpbrk(text, "\"\\\n") == NULL;
}

static struct source *
add_source(struct load *load)
{
	struct source *source = &load->sources[load->n_sources];

	if (load->n_sources == SOURCES_MAX)
		return NULL;
	load->n_sources++;
	if (pthread_mutex_init(&source->lock, NULL) != 0)
		die("a lock");
	return source;
}

static bool
take_option(struct load *load, int option, const char *arg, struct source **source)
{
	switch (option) {
	case 's':
		return bg_rec_parse_address(arg, &load->address);
	case 'S':
		return read_number(arg, 1, RUN_MAX, &load->seconds);
	case 'n':
		return read_number(arg, 1, REQUESTS_MAX, &load->requests);
	case 'c':
		return read_number(arg, 1, CLIENTS_MAX, &load->clients);
	case 'r':
		return read_number(arg, 1, RATE_MAX, &load->rate);
	case 't':
		return read_number(arg, 1, TIMEOUT_MAX, &load->timeout);
	case 'u':
		load->uri = arg;
		return arg[0] == '/' && strlen(arg) < 4096;
	case 'R':
		load->retry_refused = true;
		return true;
	case 'a':
		load->audience = arg;
		return plain(arg);
	case 'f':
		if ((*source = add_source(load)) == NULL)
			return false;
		(*source)->name = (*source)->path = arg;
		return true;
	case 'k':
		if ((*source = add_source(load)) == NULL)
			return false;
		(*source)->name = "random-kids";
		(*source)->issuer = arg;
		return plain(arg);
	case 'e':
		return *source != NULL && read_statuses(arg, *source);
	default:
		return false;
	}
}

static void
run(struct load *load)
{
	struct client *clients = calloc((size_t)load->clients, sizeof(*clients));
	sigset_t ends;
	int received;

	if (clients == NULL || (load->stop = eventfd(0, EFD_CLOEXEC)) == -1 || pthread_mutex_init(&load->lock, NULL) != 0)
		die("starting");
	/* Blocked before the first thread, so that a signal waits for us even when it comes at once. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	load->start = now_ns();
	load->end = load->start + (load->seconds > 0 ? load->seconds : RUN_MAX) * NS_OF_S;
	/* Should all else fail. */
	alarm((unsigned)((load->end - load->start) / NS_OF_S + load->timeout / 1000 + 30));
	atomic_store(&load->running, load->clients);
	for (long i = 0; i < load->clients; i++) {
		clients[i].load = load;
		bg_buf_init(&clients[i].pairs, BG_REC_MAX);
		bg_buf_init(&clients[i].request, BG_REC_MAX);
		bg_buf_init(&clients[i].raw, BG_REC_MAX);
		bg_buf_init(&clients[i].out, BG_REC_MAX);
		if ((errno = pthread_create(&clients[i].thread, NULL, client_main, &clients[i])) != 0)
			die("a thread");
	}
	/* The last of the threads says so with SIGUSR1. */
	if (sigwait(&ends, &received) != 0 || (received != SIGUSR1 && eventfd_write(load->stop, 1) != 0))
		die("ending");
	for (long i = 0; i < load->clients; i++)
		pthread_join(clients[i].thread, NULL);
	free(clients);
	close(load->stop);
}

int
main(int argc, char *argv[])
{
	static struct source sources[SOURCES_MAX];
	struct load load = {
		.uri = "/", .audience = "https://api.example.com", .clients = 1, .timeout = 5000, .sources = sources,
	};
	struct source *source = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(&load, option, optarg, &source))
			return usage();
	if (optind != argc || load.address.len == 0 || load.n_sources == 0 || (load.seconds == 0 && load.requests == 0))
		return usage();
	for (int i = 0; i < load.n_sources; i++) {
		if (!sources[i].expects)
			sources[i].right[200] = true;
		if (sources[i].path != NULL && !read_token(&sources[i])) {
			fprintf(stderr, "load: %s: %s\n", sources[i].path, strerror(errno));
			return EX_NOINPUT;
		}
	}
	make_bounds();
	run(&load);
	return report(&load, now_ns() - load.start) > 0 ? 1 : 0;
}
