#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/support/records.h"
#include "tests/support/records_mutate.h"

/*
 * Peers that an authorizer must survive: requests that were good once, changed record by record, from many connections at
 * once, in crumbs, cut, reset, or never read.  With --crowd it keeps so many silent connections, and a tenth as many with
 * half a request, all the while.  In between others send good requests, which must be answered.
 *
 * Of what comes back: an answer is whole, with a Status in front and an end behind, or there is none at all; and 200 is for
 * those that sent the token, or asked for a page.  The same seed makes the same bytes.  Exit status: 0, or 1 with what was
 * wrong, and the bytes that led to it.
 */

#define SLOTS		64
#define BYTES_MAX	BG_REC_MAX
#define MUTATIONS_MAX	6
#define HONEST_EVERY	25		/* peers; then one with a good request has its turn */
#define PATIENCE	20		/* looks for an answer, before a peer says that it will send no more */
#define END_MS		20000		/* by then an end must have come, as nothing more could */
#define CROWD_MAX	15000
#define OLDEST		1000		/* of the crowd, that are counted for themselves */
#define SHOWN_MAX	2048		/* bytes of a request that are shown */
#define TOKEN_MAX	(16 * 1024)

enum manner { READ, HALF_CLOSE, CLOSE, RESET, DEAF, MANNERS };

struct peer {
	int           fd;		/* -1: the slot is empty */
	enum manner   manner;
	bool          may_pass;
	uint8_t      *bytes;		/* BYTES_MAX */
	size_t        size, sent, until;
	unsigned      looks;
	struct bg_buf got;
};

static struct {
	const char    *address;
	char           token[TOKEN_MAX + 1];
	struct bg_dice dice;
	struct peer    peers[SLOTS];
	int            crowd[CROWD_MAX];
	long           n_crowd, n_peers, n_answers, n_allowed, n_silent, n_honest;
} all;

static _Noreturn void
fault(const char *what, const struct peer *peer)
{
	(void)fprintf(stderr, "assail: %s\n", what);
	for (size_t i = 0; peer != NULL && i < peer->sent && i < SHOWN_MAX; i++)
		(void)fprintf(stderr, "%02x", peer->bytes[i]);
	(void)fprintf(stderr, "\n");
	exit(EXIT_FAILURE);
}

static uint32_t
roll(uint32_t sides)
{
	return bg_dice_roll(&all.dice, sides);
}

static void
put_request(struct bg_buf *out, unsigned role, const char *authorization, const char *page)
{
	struct bg_buf pairs;

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_METHOD"), BG_SLICE("GET"));
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), BG_SLICE("/api/private"));
	bg_rec_pair(&pairs, BG_SLICE("SCRIPT_NAME"), BG_SLICE("/api/private"));
	bg_rec_pair(&pairs, BG_SLICE("HTTP_HOST"), BG_SLICE("localhost"));
	if (authorization != NULL)
		bg_rec_pair(&pairs, BG_SLICE("HTTP_AUTHORIZATION"), bg_slice_str(authorization));
	if (page != NULL)
		bg_rec_pair(&pairs, BG_SLICE("BEARERGATE_PAGE"), bg_slice_str(page));
	bg_rec_begin(out, 1, role, roll(2));
	bg_rec_params(out, 1, (struct bg_slice){ pairs.data, pairs.len }, roll(2) == 0 ? 65535 : 1 + roll(200), roll(3) * 7);
	if (role == BG_REC_RESPONDER)
		bg_rec_put(out, BG_REC_STDIN, 1, BG_SLICE(""), 0);
	bg_buf_clear(&pairs);
}

/* What a peer begins with: a good request, one without a right to pass, a page, or one of those that are bad already. */
static void
put_base(struct bg_buf *out, bool *may_pass)
{
	static const char *const pages[] = { "ping", "ready", "status", "metrics", "none" };
	unsigned role = roll(3) == 0 ? BG_REC_RESPONDER : BG_REC_AUTHORIZER;
	char authorization[sizeof(all.token) + 16];

	bg_format(authorization, sizeof(authorization), "Bearer %s", all.token);
	*may_pass = false;
	switch (roll(5)) {
	case 0:
		*may_pass = true;
		put_request(out, role, authorization, NULL);
		break;
	case 1:
		*may_pass = true;
		put_request(out, BG_REC_RESPONDER, NULL, pages[roll(sizeof(pages) / sizeof(pages[0]))]);
		break;
	case 2:		/* signed by nobody, and no change of a byte makes it good again */
		memset(authorization + strlen(authorization) - 40, 'A', 20);
		put_request(out, role, authorization, NULL);
		break;
	case 3:
		put_request(out, role, roll(2) == 0 ? NULL : "Bearer a.b.c", NULL);
		break;
	default:
		bg_rec_make_bad((int)roll((uint32_t)bg_rec_n_bad), out);
		break;
	}
}

static void
open_peer(struct peer *peer)
{
	struct bg_buf base;

	bg_buf_init(&base, BYTES_MAX);
	put_base(&base, &peer->may_pass);
	if (base.failed)
		fault("no memory", NULL);
	memcpy(peer->bytes, base.data, base.len);
	peer->size = base.len;
	bg_buf_clear(&base);
	for (uint32_t n = roll(MUTATIONS_MAX + 1); n > 0; n--)
		peer->size = bg_rec_mutate(peer->bytes, peer->size, BYTES_MAX, &all.dice);
	peer->manner = (enum manner)(roll(2) == 0 ? READ : roll(MANNERS));
	peer->until = peer->manner == READ || peer->size == 0 ? peer->size : roll((uint32_t)peer->size + 1);
	peer->sent = 0;
	peer->looks = 0;
	bg_buf_init(&peer->got, BG_REC_MAX);
	peer->fd = bg_rec_connect(all.address);
	if (fcntl(peer->fd, F_SETFL, O_NONBLOCK) != 0)
		fault("fcntl", NULL);
	all.n_peers++;
}

static void
end_peer(struct peer *peer)
{
	if (peer->manner == RESET)
		(void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(peer->fd);
	peer->fd = -1;
	bg_buf_clear(&peer->got);
}

/* Is this one whole answer?  Records of one request, STDOUT with a Status, and the end, which says that all was done. */
static int
status_of(const struct peer *peer, bool reset)
{
	struct bg_buf bytes = peer->got;
	struct bg_rec_answer answer;
	struct bg_slice body;
	int status;

	if (bytes.len == 0)
		return 0;
	if (bytes.len >= 8)		/* the id is whatever the request's was */
		for (size_t at = 0; at + 8 <= bytes.len; ) {
			size_t content = (size_t)(unsigned char)bytes.data[at + 4] << 8 | (unsigned char)bytes.data[at + 5];

			bytes.data[at + 2] = 0;
			bytes.data[at + 3] = 1;
			at += 8 + content + (unsigned char)bytes.data[at + 6];
		}
	bg_rec_parse_answer((struct bg_slice){ bytes.data, bytes.len }, &answer);
	if (!answer.whole && !reset)
		fault("an answer that is not whole", peer);
	status = bg_rec_status(&answer.out, &body);
	if (status == 0 && answer.whole)
		fault("an end without a Status, which lighttpd takes for a grant", peer);
	bg_rec_answer_clear(&answer);
	return status;
}

/* The connection has ended: judge what came, and forget the peer. */
static void
judge(struct peer *peer, bool reset)
{
	int status = status_of(peer, reset);

	if (status == 200 && !peer->may_pass)
		fault("let in without a token", peer);
	all.n_answers += status != 0;
	all.n_allowed += status == 200;
	all.n_silent += status == 0;
	peer->manner = CLOSE;
	end_peer(peer);
}

/* Look for an answer; a peer that has looked often enough says that it will send no more, and then the end must come. */
static void
look(struct peer *peer)
{
	struct pollfd ready = { .fd = peer->fd, .events = POLLIN };
	char bytes[4096];
	ssize_t n;

	if (++peer->looks == PATIENCE)
		shutdown(peer->fd, SHUT_WR);
	do {
		if (peer->looks >= PATIENCE && poll(&ready, 1, END_MS) != 1)
			fault("a connection that does not end", peer);
		n = recv(peer->fd, bytes, sizeof(bytes), 0);
		if (n > 0)
			bg_buf_put(&peer->got, (struct bg_slice){ bytes, (size_t)n });
	} while (n > 0 || (n == -1 && errno == EINTR));
	if (n == 0)
		judge(peer, false);
	else if (errno != EAGAIN)
		judge(peer, true);
}

static void
step(struct peer *peer)
{
	size_t rest = peer->until - peer->sent;
	ssize_t n;

	if (rest > 0 && peer->looks == 0) {
		n = send(peer->fd, peer->bytes + peer->sent, roll(3) == 0 ? 1 + roll((uint32_t)rest) : rest, MSG_NOSIGNAL);
		if (n > 0)
			peer->sent += (size_t)n;
		else if (errno != EAGAIN || roll(PATIENCE) == 0)	/* refused, or there is no room for more */
			peer->until = peer->sent;
		return;
	}
	switch (peer->manner) {
	case HALF_CLOSE:
		peer->looks = peer->looks < PATIENCE ? PATIENCE - 1 : peer->looks;
		look(peer);
		return;
	case READ:
		look(peer);
		return;
	case DEAF:
		if (++peer->looks < PATIENCE)
			return;
		break;
	case CLOSE:
	case RESET:
	case MANNERS:
		break;
	}
	end_peer(peer);
}

/* A good request, and one that is not, whatever the others do. */
static void
be_honest(void)
{
	for (int good = 0; good < 2; good++) {
		struct bg_rec_answer got;
		struct bg_buf bytes;
		struct bg_slice body;
		char authorization[sizeof(all.token) + 16];
		int fd = bg_rec_connect(all.address), status;

		bg_format(authorization, sizeof(authorization), "Bearer %s%s", all.token, good ? "" : "A");
		bg_buf_init(&bytes, BG_REC_MAX);
		put_request(&bytes, BG_REC_AUTHORIZER, authorization, NULL);
		if (!bg_rec_send(fd, (struct bg_slice){ bytes.data, bytes.len }))
			fault("a good request cannot be sent", NULL);
		bg_rec_read(fd, &got);
		status = bg_rec_status(&got.out, &body);
		if (!got.whole || status != (good ? 200 : 401))
			fault(good ? "a good request is not let in" : "a bad token is not refused", NULL);
		bg_rec_answer_clear(&got);
		bg_buf_clear(&bytes);
		close(fd);
	}
	all.n_honest++;
}

/* Connections that stay as they are, every eleventh with half a request, and good requests in between. */
static void
gather(long n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < (rlim_t)n + 200)
		fault("not as many descriptors are allowed", NULL);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		fault("descriptors", NULL);
	for (; all.n_crowd < n; all.n_crowd++) {
		int fd = all.crowd[all.n_crowd] = bg_rec_connect(all.address);

		if (all.n_crowd % 11 == 10)
			(void)bg_rec_send(fd, BG_SLICE("\1\1\0\1\0\10\0\0\0\2\0\0\0\0\0\0\1\4\0\1\0\50\0\0\15\7REQ"));
		if (all.n_crowd % 500 == 499)
			be_honest();
	}
}

/* How many of the first n of the crowd have been closed by now.  A reset is an end too: half a request was never read. */
static long
closed(long n)
{
	long ends = 0;
	ssize_t n_read;
	char byte;

	for (long i = 0; i < n; i++)
		ends += (n_read = recv(all.crowd[i], &byte, 1, MSG_DONTWAIT)) == 0 || (n_read == -1 && errno == ECONNRESET);
	return ends;
}

static long
number(const char *text, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < 0 || n > max) {
		(void)fprintf(stderr, "assail: %s: no number from 0 to %ld\n", text, max);
		exit(EX_USAGE);
	}
	return n;
}

static void
read_token(const char *path)
{
	FILE *file = fopen(path, "r");

	if (file == NULL || fgets(all.token, sizeof(all.token), file) == NULL)
		fault(path, NULL);
	(void)fclose(file);
	all.token[strcspn(all.token, " \r\n")] = '\0';
	if (strlen(all.token) < 100)
		fault("no token in the file", NULL);
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' }, { "token-file", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 'S' }, { "peers", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 't' }, { "crowd", required_argument, NULL, 'c' }, { NULL, 0, NULL, 0 },
	};
	long peers = 0, seconds = 0, crowd = 0, seed = 0;
	int64_t end;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 's': all.address = optarg; break;
		case 'f': read_token(optarg); break;
		case 'S': seed = number(optarg, INT32_MAX); break;
		case 'n': peers = number(optarg, INT32_MAX); break;
		case 't': seconds = number(optarg, 3600); break;
		case 'c': crowd = number(optarg, CROWD_MAX); break;
		default: return EX_USAGE;
		}
	if (all.address == NULL || all.token[0] == '\0' || optind < argc) {
		(void)fputs("usage: assail --socket ADDRESS --token-file FILE [--peers N] [--seconds N] [--seed N] [--crowd N]\n", stderr);
		return EX_USAGE;
	}
	all.dice.state = (uint64_t)seed;
	for (int i = 0; i < SLOTS; i++) {
		all.peers[i].fd = -1;
		if ((all.peers[i].bytes = malloc(BYTES_MAX)) == NULL)
			fault("no memory", NULL);
	}
	gather(crowd);
	end = bg_clock_mono_ms() + seconds * 1000;
	while (all.n_peers < peers || bg_clock_mono_ms() < end) {
		struct peer *peer = &all.peers[roll(SLOTS)];

		if (peer->fd != -1)
			step(peer);
		else {
			open_peer(peer);
			if (all.n_peers % HONEST_EVERY == 0)
				be_honest();
		}
	}
	be_honest();
	for (int i = 0; i < SLOTS; i++) {
		if (all.peers[i].fd != -1)
			end_peer(&all.peers[i]);
		free(all.peers[i].bytes);
	}
	(void)printf("{\"seed\":%ld,\"crowd\":%ld,\"closed\":%ld,\"oldest\":%ld,\"peers\":%ld,\"answers\":%ld,\"allowed\":%ld,"
	    "\"silent\":%ld,\"honest\":%ld}\n", seed, all.n_crowd, closed(all.n_crowd),
	    closed(all.n_crowd < OLDEST ? all.n_crowd : OLDEST), all.n_peers, all.n_answers, all.n_allowed, all.n_silent,
	    all.n_honest);
	return EXIT_SUCCESS;
}
