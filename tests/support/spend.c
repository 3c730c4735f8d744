#include <errno.h>
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
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "core/b64url.h"
#include "core/clock.h"
#include "tests/support/records.h"
#include "tool/issuer.h"

/*
 * DPoP proofs sent more than once, to one authorizer or to several that share a store, each time as another client request
 * (REMOTE_PORT): no proof may ever be allowed twice (SR-63).
 *
 *  once    in each round a new proof, by all clients in the same moment: all of their requests are there but for the last
 *          byte, then those bytes are sent.  Exactly one of them must be allowed.
 *  replay  a steady load.  Each proof is sent, at once again, and after a random delay once more, perhaps beyond a failure
 *          that the test makes meanwhile.  At most one of the three may be allowed; what else is right is for the test to
 *          say, by the report.
 *
 * It ends by itself, at the latest after RUN_MAX, and "replay" at SIGTERM too.  Then it prints one JSON object in one line.
 * Exit status: 0, or 1 when a proof was allowed more than once or, by "once", not at all.  Answers are counted by status and
 * description, as in "400 the DPoP proof was used before"; 000 stands for no answer.  Neither tokens nor proofs are printed.
 */

#define SOCKETS_MAX	8
#define CLIENTS_MAX	256
#define ROUNDS_MAX	100000
#define SECONDS_MAX	600
#define RATE_MAX	5000			/* new proofs in a second */
#define DELAY_MIN	100			/* milliseconds */
#define DELAY_MAX	60000
#define RUN_MAX		900			/* seconds, whatever was asked for */
#define TIMEOUT_MS	60000			/* for an answer */
#define TOKEN_MAX	(16 * 1024)
#define TEXT_MAX	(32 * 1024)		/* bytes of a proof, and of what it is made from */
#define KINDS		48			/* of answers */
#define KIND_SIZE	120
#define BUCKET_MS	100
#define REST_MS		20			/* looks at whether all is to end, and rests where nobody listens */
#define FULL_MS		1			/* between attempts where the listener's queue is full */
#define PORT_FIRST	1024
#define PORTS		60000
#define NS_OF_MS	INT64_C(1000000)

static const struct option long_options[] = {
	{ "socket",     required_argument, NULL, 's' },
	{ "key",        required_argument, NULL, 'k' },
	{ "token-file", required_argument, NULL, 'f' },
	{ "url",        required_argument, NULL, 'u' },
	{ "clients",    required_argument, NULL, 'c' },
	{ "age",        required_argument, NULL, 'a' },
	{ "rounds",     required_argument, NULL, 'n' },
	{ "seconds",    required_argument, NULL, 'S' },
	{ "rate",       required_argument, NULL, 'r' },
	{ "delay",      required_argument, NULL, 'd' },
	{ NULL,         0,                 NULL, 0 },
};

/* The three times a proof is sent. */
enum turn { FIRST, AGAIN, LATE, TURNS };
static const char *const turn_names[TURNS] = { "first", "again", "late" };

struct proof {
	_Atomic(char *) text;		/* made by whoever needs it first */
	atomic_int      allows;
	atomic_bool     known;		/* the first two have been answered */
};

struct event {
	int64_t at;			/* milliseconds after the start */
	size_t  proof;
	bool    is_late;		/* the third time; else the first, and the second behind it */
};

struct spend {
	/* Set before the threads start, read only after. */
	struct bg_rec_address address[SOCKETS_MAX];
	long        n_sockets;
	struct bg_issuer_key *key;
	const char *key_path, *token_path, *url, *uri, *host;
	size_t      host_len;
	char        token[TOKEN_MAX + 1];
	char        ath[BG_THUMBPRINT_LEN + 1];
	char       *header;		/* of proofs, JSON */
	long        clients, age, rounds, seconds, rate, delay;		/* 0: not said */
	int64_t     start;		/* monotonic milliseconds */
	struct proof *proofs;
	struct event *events;		/* by time */
	size_t      n_proofs, n_events, n_buckets;

	atomic_size_t next_event;
	atomic_uint   next_port;

	pthread_mutex_t lock;		/* guards the members below */
	char        kind[KINDS][KIND_SIZE];	/* of answers; those behind the first empty one do not exist */
	uint64_t    count[KINDS][TURNS];
	int64_t     max_us[KINDS];
	uint32_t  (*bucket)[KINDS][TURNS];	/* answers by when they came */
};

/* What one request came to. */
struct answer {
	int  status;			/* 0: none */
	char kind[KIND_SIZE];
};

static atomic_bool ending;

static int
usage(void)
{
	fputs("usage: spend once|replay --socket unix:PATH|127.0.0.1:PORT ... --key FILE --token-file FILE --url URL\n"
	    "    [--clients N] [--age SECONDS] (--rounds N | --seconds N --rate N [--delay MS])\n", stderr);
	return EX_USAGE;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "spend: %s: %s\n", what, why);
	exit(EX_OSERR);
}

static void
rest_ms(long ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_OF_MS };

	(void)nanosleep(&ts, NULL);
}

/* ---- proofs and requests ---- */

/* A new proof, the caller's to free.  RFC 9449 section 4.2. */
static char *
make_proof(const struct spend *spend)
{
	char jti[2 * 16 + 1], claims[4096];
	struct bg_error err = { 0 };
	unsigned char bytes[16];
	struct bg_slice text;
	struct bg_buf proof;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		die("jti", "no random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		bg_format(jti + 2 * i, 3, "%02x", (unsigned)bytes[i]);
	bg_format(claims, sizeof(claims), "{\"jti\":\"%s\",\"htm\":\"GET\",\"htu\":\"%s\",\"ath\":\"%s\",\"iat\":%" PRId64 "}", jti,
	    spend->url, spend->ath, bg_clock_wall() - spend->age);
	bg_buf_init(&proof, TEXT_MAX);
	if (bg_issuer_sign(spend->key, bg_slice_str(spend->header), bg_slice_str(claims), &proof, &err) != 0 ||
	    bg_buf_finish(&proof, &text, &err) != 0)
		die("a proof", err.detail);
	return proof.data;		/* moved to the caller */
}

/* The whole request as yet another client's: no two of one proof have the same port. */
static void
put_request(struct spend *spend, const char *proof, struct bg_buf *out)
{
	struct bg_buf pairs, text;

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&text, BG_REC_MAX);
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_METHOD"), BG_SLICE("GET"));
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), bg_slice_str(spend->uri));
	bg_rec_pair(&pairs, BG_SLICE("QUERY_STRING"), BG_SLICE(""));
	bg_rec_pair(&pairs, BG_SLICE("SERVER_PROTOCOL"), BG_SLICE("HTTP/1.1"));
	bg_rec_pair(&pairs, BG_SLICE("HTTPS"), BG_SLICE("on"));
	bg_rec_pair(&pairs, BG_SLICE("HTTP_HOST"), (struct bg_slice){ spend->host, spend->host_len });
	bg_rec_pair(&pairs, BG_SLICE("REMOTE_ADDR"), BG_SLICE("127.0.0.1"));
	bg_buf_put_format(&text, "%u", PORT_FIRST + atomic_fetch_add(&spend->next_port, 1) % PORTS);
	bg_rec_pair(&pairs, BG_SLICE("REMOTE_PORT"), (struct bg_slice){ text.data, text.len });
	bg_buf_reset(&text);
	bg_buf_put_format(&text, "DPoP %s", spend->token);
	bg_rec_pair(&pairs, BG_SLICE("HTTP_AUTHORIZATION"), (struct bg_slice){ text.data, text.len });
	bg_rec_pair(&pairs, BG_SLICE("HTTP_DPOP"), bg_slice_str(proof));
	bg_buf_reset(out);
	bg_rec_begin(out, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(out, 1, (struct bg_slice){ pairs.data, pairs.len }, 65535, 0);
	if (pairs.failed || text.failed || out->failed)
		die("a request", "too long, or no memory");
	bg_buf_clear(&text);
	bg_buf_clear(&pairs);
}

static void
no_answer(struct answer *out, const char *what, const char *why)
{
	out->status = 0;
	bg_format(out->kind, sizeof(out->kind), "000 %s: %s", what, why);
}

/* A connection whose calls return after TIMEOUT_MS at the latest, or -1 and why not. */
static int
reach(const struct bg_rec_address *address, struct answer *out)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_MS / 1000 };
	int64_t until = bg_clock_mono_ms() + TIMEOUT_MS;
	int fd, error;

	for (;;) {
		if ((fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
		    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0 ||
		    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0)
			die("socket", strerror(errno));
		if (connect(fd, &address->to.any, address->len) == 0)
			return fd;
		error = errno;
		close(fd);
		if ((error != EAGAIN && error != EINTR) || bg_clock_mono_ms() >= until)
			break;
		rest_ms(FULL_MS);
	}
	no_answer(out, "connect", strerror(error));
	return -1;
}

/* All until the peer closes; it gives up when that takes too long. */
static void
read_answer(int fd, struct answer *out)
{
	static const char label[] = "\"error_description\":\"";
	struct bg_rec_answer answer;
	const char *words;
	struct bg_slice body;
	struct bg_buf all;
	char bytes[4096];
	ssize_t n;

	bg_buf_init(&all, BG_REC_MAX);
	do {
		if ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
			bg_buf_put(&all, (struct bg_slice){ bytes, (size_t)n });
	} while (n > 0 || (n == -1 && errno == EINTR));
	if (n < 0)
		no_answer(out, "recv", errno == EAGAIN ? "too late" : strerror(errno));
	else {
		bg_rec_parse_answer((struct bg_slice){ all.data, all.len }, &answer);
		out->status = bg_rec_status(&answer.out, &body);
		if (!answer.whole || answer.out.failed || out->status == 0)
			no_answer(out, "recv", all.len == 0 ? "the end, before anything" : "no whole answer");
		else {
			words = strstr(body.ptr, label);
			words = words != NULL ? words + sizeof(label) - 1 : "";
			bg_format(out->kind, sizeof(out->kind), "%03d%s%.*s", out->status, *words != '\0' ? " " : "",
			    (int)strcspn(words, "\""), words);
		}
		bg_rec_answer_clear(&answer);
	}
	bg_buf_clear(&all);
}

static size_t
kind_of(struct spend *spend, const char *name)
{
	size_t i;

	for (i = 0; i < KINDS && spend->kind[i][0] != '\0'; i++)
		if (strcmp(spend->kind[i], name) == 0)
			return i;
	if (i == KINDS)
		die("an answer", "there are too many kinds of them");
	bg_format(spend->kind[i], KIND_SIZE, "%s", name);
	return i;
}

static void
count(struct spend *spend, const struct answer *answer, enum turn turn, int64_t us)
{
	int64_t ms = bg_clock_mono_ms() - spend->start;
	size_t kind;

	pthread_mutex_lock(&spend->lock);
	kind = kind_of(spend, answer->kind);
	spend->count[kind][turn]++;
	if (us > spend->max_us[kind])
		spend->max_us[kind] = us;
	if (spend->bucket != NULL && ms / BUCKET_MS < (int64_t)spend->n_buckets)
		spend->bucket[ms / BUCKET_MS][kind][turn]++;
	pthread_mutex_unlock(&spend->lock);
}

/* ---- once ---- */

/* How many of the clients were allowed. */
static int
play_round(struct spend *spend, long round)
{
	char *proof = make_proof(spend);
	struct answer answer;
	int fd[CLIENTS_MAX], allowed = 0;
	char last[CLIENTS_MAX];
	struct bg_buf request;

	bg_buf_init(&request, BG_REC_MAX);
	for (long i = 0; i < spend->clients; i++) {
		/* the first byte of all goes to another authorizer in each round */
		if ((fd[i] = reach(&spend->address[(i + round) % spend->n_sockets], &answer)) == -1)
			die("a client", answer.kind);
		put_request(spend, proof, &request);
		last[i] = request.data[request.len - 1];
		if (!bg_rec_send(fd[i], (struct bg_slice){ request.data, request.len - 1 }))
			die("a client", "the authorizer has gone");
	}
	for (long i = 0; i < spend->clients; i++)
		if (!bg_rec_send(fd[i], (struct bg_slice){ &last[i], 1 }))
			die("a client", "the authorizer has gone");
	for (long i = 0; i < spend->clients; i++) {
		read_answer(fd[i], &answer);
		close(fd[i]);
		allowed += answer.status == 200;
		count(spend, &answer, FIRST, 0);
	}
	bg_buf_clear(&request);
	free(proof);
	return allowed;
}

static json_t *
kinds_json(const struct spend *spend, enum turn turn)
{
	json_t *object = json_object();

	for (size_t i = 0; i < KINDS && spend->kind[i][0] != '\0'; i++)
		if (spend->count[i][turn] > 0)
			json_object_set_new(object, spend->kind[i], json_integer((json_int_t)spend->count[i][turn]));
	return object;
}

static void
print(json_t *root)
{
	if (root == NULL || json_dumpf(root, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF || fflush(stdout) != 0)
		die("the report", strerror(errno));
	json_decref(root);
}

static int
once(struct spend *spend)
{
	json_int_t n[3] = { 0 };	/* rounds in which nobody, one and more were allowed */

	for (long i = 0; i < spend->rounds; i++) {
		int allowed = play_round(spend, i);

		n[allowed < 2 ? allowed : 2]++;
	}
	print(json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "rounds", (json_int_t)spend->rounds, "clients",
	    (json_int_t)spend->clients, "none", n[0], "one", n[1], "more", n[2], "answers", kinds_json(spend, FIRST)));
	return n[1] == spend->rounds ? 0 : 1;
}

/* ---- replay ---- */

static int
by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static void
plan(struct spend *spend)
{
	spend->n_proofs = (size_t)(spend->seconds * spend->rate);
	spend->n_events = 2 * spend->n_proofs;
	/* what comes after the last of them is not in any bucket, only in the sums */
	spend->n_buckets = (size_t)((spend->seconds * 1000 + spend->delay + 2 * TIMEOUT_MS) / BUCKET_MS);
	spend->proofs = calloc(spend->n_proofs, sizeof(*spend->proofs));
	spend->events = calloc(spend->n_events, sizeof(*spend->events));
	spend->bucket = calloc(spend->n_buckets, sizeof(*spend->bucket));
	if (spend->proofs == NULL || spend->events == NULL || spend->bucket == NULL)
		die("starting", strerror(ENOMEM));
	for (size_t i = 0; i < spend->n_proofs; i++) {
		int64_t at = (int64_t)i * 1000 / spend->rate;
		uint32_t random;

		if (RAND_bytes((unsigned char *)&random, sizeof(random)) != 1)
			die("a delay", "no random bytes");
		spend->events[2 * i] = (struct event){ .at = at, .proof = i };
		spend->events[2 * i + 1] = (struct event){ .at = at + DELAY_MIN + random % (spend->delay + 1), .proof = i,
		    .is_late = true };
	}
	qsort(spend->events, spend->n_events, sizeof(*spend->events), by_time);
}

/* The text of a proof, borrowed: whoever comes first makes it. */
static const char *
text_of(const struct spend *spend, struct proof *proof)
{
	char *text = atomic_load(&proof->text), *made;

	if (text != NULL)
		return text;
	made = make_proof(spend);
	if (atomic_compare_exchange_strong(&proof->text, &text, made))
		return made;
	free(made);
	return text;
}

static void
send_proof(struct spend *spend, struct proof *proof, enum turn turn, size_t socket, struct bg_buf *request)
{
	int64_t begun = bg_clock_mono_us();
	struct answer answer;
	int fd;

	put_request(spend, text_of(spend, proof), request);
	if ((fd = reach(&spend->address[socket % (size_t)spend->n_sockets], &answer)) != -1) {
		/* When the peer has gone it may have answered before. */
		(void)bg_rec_send(fd, (struct bg_slice){ request->data, request->len });
		read_answer(fd, &answer);
		close(fd);
	}
	if (answer.status == 200)
		atomic_fetch_add(&proof->allows, 1);
	count(spend, &answer, turn, bg_clock_mono_us() - begun);
	if (answer.status == 0)
		rest_ms(REST_MS);
}

static void *
client_main(void *arg)
{
	struct spend *spend = arg;
	struct bg_buf request;

	bg_buf_init(&request, BG_REC_MAX);
	for (;;) {
		size_t number = atomic_fetch_add(&spend->next_event, 1);
		const struct event *event = &spend->events[number];
		struct proof *proof;
		int64_t left;

		if (number >= spend->n_events)
			break;
		while (!atomic_load(&ending) && (left = event->at - (bg_clock_mono_ms() - spend->start)) > 0)
			rest_ms(left < REST_MS ? (long)left : REST_MS);
		if (atomic_load(&ending))
			break;
		proof = &spend->proofs[event->proof];
		if (event->is_late) {
			/* by a client that took its turn before, and may have been held up since */
			while (!atomic_load(&proof->known) && !atomic_load(&ending))
				rest_ms(1);
			if (!atomic_load(&proof->known))
				break;
			send_proof(spend, proof, LATE, number, &request);
		} else {
			send_proof(spend, proof, FIRST, event->proof, &request);
			send_proof(spend, proof, AGAIN, event->proof + 1, &request);
			atomic_store(&proof->known, true);
		}
	}
	bg_buf_clear(&request);
	return NULL;
}

static json_t *
buckets_json(const struct spend *spend)
{
	json_t *array = json_array();

	for (size_t b = 0; b < spend->n_buckets; b++) {
		json_t *object = json_object();

		for (enum turn turn = FIRST; turn < TURNS; turn++) {
			json_int_t by_status[4] = { 0 };
			const char *names[4] = { "200", "400", "503", "000" };
			json_t *statuses = json_object();
			json_int_t others = 0;

			for (size_t i = 0; i < KINDS && spend->kind[i][0] != '\0'; i++) {
				json_int_t *n = &others;

				for (size_t s = 0; s < 4; s++)
					if (strncmp(spend->kind[i], names[s], 3) == 0)
						n = &by_status[s];
				*n += spend->bucket[b][i][turn];
			}
			for (size_t s = 0; s < 4; s++)
				if (by_status[s] > 0)
					json_object_set_new(statuses, names[s], json_integer(by_status[s]));
			if (others > 0)
				json_object_set_new(statuses, "other", json_integer(others));
			if (json_object_size(statuses) > 0)
				json_object_set_new(object, turn_names[turn], statuses);
			else
				json_decref(statuses);
		}
		if (json_object_size(object) > 0) {
			json_object_set_new(object, "ms", json_integer((json_int_t)b * BUCKET_MS));
			json_array_append_new(array, object);
		} else
			json_decref(object);
	}
	return array;
}

static json_t *
slowest_json(const struct spend *spend)
{
	json_t *object = json_object();

	for (size_t i = 0; i < KINDS && spend->kind[i][0] != '\0'; i++)
		json_object_set_new(object, spend->kind[i], json_integer(spend->max_us[i] / 1000));
	return object;
}

static void
end(int signo)
{
	(void)signo;
	atomic_store(&ending, true);
}

static int
replay(struct spend *spend)
{
	json_int_t n[3] = { 0 };	/* proofs that were sent, by whether none, one or more were allowed */
	pthread_t thread[CLIENTS_MAX];
	struct timespec now;
	int64_t began;

	plan(spend);
	signal(SIGTERM, end);
	signal(SIGINT, end);
	clock_gettime(CLOCK_REALTIME, &now);
	began = now.tv_sec * 1000 + now.tv_nsec / NS_OF_MS;
	spend->start = bg_clock_mono_ms();
	for (long i = 0; i < spend->clients; i++)
		if ((errno = pthread_create(&thread[i], NULL, client_main, spend)) != 0)
			die("a thread", strerror(errno));
	for (long i = 0; i < spend->clients; i++)
		pthread_join(thread[i], NULL);
	for (size_t i = 0; i < spend->n_proofs; i++) {
		int allows = atomic_load(&spend->proofs[i].allows);
		char *text = atomic_load(&spend->proofs[i].text);

		if (text != NULL)
			n[allows < 2 ? allows : 2]++;
		free(text);
	}
	print(json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "began", (json_int_t)began,
	    "proofs", n[0] + n[1] + n[2], "none", n[0], "one", n[1], "more", n[2], "first", kinds_json(spend, FIRST),
	    "again", kinds_json(spend, AGAIN), "late", kinds_json(spend, LATE), "max_ms", slowest_json(spend),
	    "buckets", buckets_json(spend)));
	free(spend->bucket);
	free(spend->events);
	free(spend->proofs);
	return n[2] == 0 ? 0 : 1;
}

/* ---- the command line ---- */

static bool
read_number(const char *text, long min, long max, long *out)
{
	char *end_of;

	errno = 0;
	*out = strtol(text, &end_of, 10);
	return errno == 0 && end_of != text && *end_of == '\0' && *out >= min && *out <= max;
}

/* Host and path of what the proofs are for; it stands in JSON as it is. */
static bool
read_url(struct spend *spend, const char *url)
{
	if (strncmp(url, "https://", 8) != 0 || strlen(url) > 1000 || strpbrk(url, "\"\\?# ") != NULL)
		return false;
	spend->url = url;
	spend->host = url + 8;
	spend->host_len = strcspn(spend->host, "/");
	spend->uri = spend->host + spend->host_len;
	return spend->host_len > 0 && *spend->uri == '/';
}

static bool
take_option(struct spend *spend, int option, const char *arg)
{
	switch (option) {
	case 's':
		return spend->n_sockets < SOCKETS_MAX && bg_rec_parse_address(arg, &spend->address[spend->n_sockets++]);
	case 'k':
		spend->key_path = arg;
		return true;
	case 'f':
		spend->token_path = arg;
		return true;
	case 'u':
		return read_url(spend, arg);
	case 'c':
		return read_number(arg, 1, CLIENTS_MAX, &spend->clients);
	case 'a':
		return read_number(arg, -3600, 3600, &spend->age);
	case 'n':
		return read_number(arg, 1, ROUNDS_MAX, &spend->rounds);
	case 'S':
		return read_number(arg, 1, SECONDS_MAX, &spend->seconds);
	case 'r':
		return read_number(arg, 1, RATE_MAX, &spend->rate);
	case 'd':
		return read_number(arg, 0, DELAY_MAX, &spend->delay);
	default:
		return false;
	}
}

static void
read_files(struct spend *spend)
{
	struct bg_error err = { 0 };
	json_t *jwk = NULL, *header;
	FILE *file;
	size_t n;

	if ((file = fopen(spend->token_path, "re")) == NULL)
		die(spend->token_path, strerror(errno));
	n = fread(spend->token, 1, sizeof(spend->token) - 1, file);
	fclose(file);
	spend->token[n] = '\0';
	spend->token[strcspn(spend->token, " \t\r\n")] = '\0';
	if (bg_issuer_key_load(spend->key_path, &spend->key, &err) != 0 || bg_issuer_key_bare_jwk(spend->key, &jwk, &err) != 0 ||
	    bg_issuer_hash(bg_slice_str(spend->token), spend->ath, &err) != 0)
		die(spend->key_path, err.detail);
	if ((header = json_pack("{s:s, s:s, s:o}", "typ", "dpop+jwt", "alg", bg_issuer_key_alg(spend->key), "jwk", jwk)) == NULL ||
	    (spend->header = json_dumps(header, JSON_COMPACT)) == NULL)
		die("a header", strerror(ENOMEM));
	json_decref(header);
}

int
main(int argc, char *argv[])
{
	static struct spend spend = { .clients = 64 };
	bool is_once = argc > 1 && strcmp(argv[1], "once") == 0, is_replay = argc > 1 && strcmp(argv[1], "replay") == 0;
	int option, code;

	if (!is_once && !is_replay)
		return usage();
	optind = 2;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(&spend, option, optarg))
			return usage();
	if (optind != argc || spend.n_sockets == 0 || spend.key_path == NULL || spend.token_path == NULL || spend.url == NULL ||
	    (is_once && spend.rounds == 0) || (is_replay && (spend.seconds == 0 || spend.rate == 0)))
		return usage();
	read_files(&spend);
	if (pthread_mutex_init(&spend.lock, NULL) != 0)
		die("starting", "no lock");
	alarm(RUN_MAX);
	code = is_once ? once(&spend) : replay(&spend);
	free(spend.header);
	bg_issuer_key_free(spend.key);
	return code;
}
