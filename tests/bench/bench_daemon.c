#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/secret.h"
#include "tests/bench/bench.h"
#include "tests/bench/cpu.h"
#include "tests/support/mint.h"
#include "tests/support/records.h"

/*
 * The daemon over a unix socket and over TCP against the floor (floor.c), in turns, so that what else the machine does meets
 * all: requests per second, CPU of its processes for each, and how long a client waits.  Then its memory, and how that grows
 * over a million requests.
 *
 *	bench_daemon DAEMON FLOOR [speed|memory]
 *
 * BG_LONG=N in the environment: another number of requests at the end; 0 for none.
 *
 * "repeated" is one token again and again; "new" is tokens that are not remembered, as many as come round before the same
 * one comes again being more than the cache holds; "10 % bad" is the repeated token with every tenth one forged, each in
 * another way; "DPoP" has one token, a new proof for each request, and the store of this machine.
 */

#define ISSUER		"https://tenant.us.auth0.com/"
#define ROUNDS		25
#define PER_ROUND	1000
#define CLIENTS_MAX	8
#define POOL		2500	/* tokens that come round as new ones */
#define NEW_CACHE	1000
#define CACHED		10000
#define REQUESTS	1000000L	/* for which the memory is watched */
#define PORTION		20000L	/* of requests between looks at the memory */
#define PROOFS		(ROUNDS * PER_ROUND)
#define PROOFS_AHEAD	300	/* seconds: a store refuses proofs that are older than itself, and these are made before it */

static const char claims_format[] = "{\"iss\":\"" ISSUER "\",\"sub\":\"auth0|%024d\",\"aud\":[\"https://api.example\","
    "\"https://tenant.us.auth0.com/userinfo\"],\"iat\":%" PRId64 ",\"exp\":%" PRId64 ",\"azp\":\"my_client_id\","
    "\"scope\":\"openid profile read:messages\",\"permissions\":[\"read:messages\",\"write:messages\"]%s}";

/* Whole requests, which are asked in turns. */
struct requests {
	struct bg_buf *list;
	bool          *bad;		/* a refusal is right */
	size_t         n;
	atomic_size_t  next;
};

struct server {
	const char *name;
	char        address[200];
	struct bg_rec_address where;
	pid_t       pid;		/* 0: not running */
};

struct round {
	double rate;			/* requests per second */
	double cpu;			/* microseconds of the server for one */
	double p50, p99;		/* microseconds */
};

enum subject { FLOOR, FLOOR_VERIFY, REPEATED, NEW, MIXED, DPOP, SUBJECTS };
static const char *const names[] = { "floor", "floor + EVP", "repeated", "new", "10 % bad", "DPoP" };
static const enum subject against[] = { FLOOR, FLOOR, FLOOR, FLOOR_VERIFY, FLOOR, FLOOR };
static const char *const goals[] = { "", "", "0.95", "0.85", "", "" };

static struct server servers[4];	/* floor, floor that verifies, the daemon, the daemon with a small cache */
static char dir[] = "/tmp/bg-bench-XXXXXX", *jwks, *one_token;
static const char *daemon_path, *floor_path;
static struct requests repeated, fresh, mixed, dpop, many;
static struct round rounds[SUBJECTS][ROUNDS];

static bool
is_tcp(const struct server *server)
{
	return strncmp(server->address, "unix:", strlen("unix:")) != 0;
}

static void
remove_socket(const struct server *server)
{
	if (!is_tcp(server))
		unlink(server->address + strlen("unix:"));
}

static void
clean_up(void)
{
	char path[200];
	static const char *const files[] = { "jwks.json", "conf", "small.conf" };

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		if (servers[i].pid > 0) {
			kill(servers[i].pid, SIGKILL);
			waitpid(servers[i].pid, NULL, 0);
			servers[i].pid = 0;
			remove_socket(&servers[i]);
		}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		bg_format(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

static _Noreturn void
end(const char *what)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&once);	/* for good: of several clients, one alone may take the servers down */
	(void)fprintf(stderr, "bench_daemon: %s\n", what);
	exit(EXIT_FAILURE);
}

/* ---- servers --------------------------------------------------------------------------------------------------- */

static void
write_file(const char *name, const char *text)
{
	char path[200];
	FILE *file;

	bg_format(path, sizeof(path), "%s/%s", dir, name);
	if ((file = fopen(path, "w")) == NULL || fputs(text, file) == EOF || fclose(file) != 0)
		end(path);
}

static void
write_conf(const char *name, int token_cache)
{
	char text[1000];

	bg_format(text, sizeof(text), "issuer \"" ISSUER "\" {\n  audience = \"https://api.example\"\n  jwks_file = \"%s/jwks.json\"\n"
	    "  algorithms = { RS256, EdDSA }\n}\ncache_dir = none\nlog_level = \"error\"\ntoken_cache = %d\ndpop_iat_leeway = \"%ds\"\n",
	    dir, token_cache, PROOFS_AHEAD);
	write_file(name, text);
}

/* Start a program, with this name for its socket, and wait until it takes connections. */
static void
start(struct server *server, const char *name, const char *const *argv)
{
	int fd = -1;

	server->name = name;
	if ((server->pid = fork()) == 0) {
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	for (int i = 0; server->pid > 0 && i < 1000; i++) {
		if ((fd = socket(server->where.to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
			end("socket");
		if (connect(fd, &server->where.to.any, server->where.len) == 0)
			break;
		close(fd);
		fd = -1;
		if (waitpid(server->pid, NULL, WNOHANG) != 0)
			break;
		usleep(10000);
	}
	if (fd == -1)
		end(argv[0]);
	close(fd);
}

static void
stop(struct server *server)
{
	kill(server->pid, SIGTERM);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
	remove_socket(server);
}

static void
start_floor(struct server *server, int threads, bool verifies)
{
	char number[16];
	const char *address = is_tcp(server) ? server->address : server->address + strlen("unix:");
	const char *argv[] = { floor_path, address, number, verifies ? one_token : NULL, jwks, NULL };

	bg_format(number, sizeof(number), "%d", threads);
	start(server, "floor", argv);
}

static void
start_daemon(struct server *server, int threads, const char *conf)
{
	char number[16], path[200];
	const char *argv[] = { daemon_path, "-c", path, "-l", server->address, "-n", number, NULL };

	bg_format(number, sizeof(number), "%d", threads);
	bg_format(path, sizeof(path), "%s/%s", dir, conf);
	start(server, "daemon", argv);
}

/* KiB of all its processes; what they share counts for each of them. */
static long
resident(const struct server *server)
{
	long pids[BG_BENCH_PROCESSES_MAX], sum = 0;
	size_t n = bg_bench_tree(server->pid, pids);

	for (size_t i = 0; i < n; i++) {
		char path[64], line[200];
		long kib = -1;
		FILE *status;

		bg_format(path, sizeof(path), "/proc/%ld/status", pids[i]);
		if ((status = fopen(path, "r")) == NULL)
			continue;
		while (kib == -1 && fgets(line, sizeof(line), status) != NULL)
			(void)sscanf(line, "VmRSS: %ld kB", &kib);
		(void)fclose(status);
		sum += kib > 0 ? kib : 0;
	}
	return sum;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

static void
make_room(struct requests *requests, size_t n)
{
	requests->list = calloc(n, sizeof(*requests->list));
	requests->bad = calloc(n, sizeof(*requests->bad));
	if (requests->list == NULL || requests->bad == NULL)
		end("no memory");
}

/* One as lighttpd sends it.  proof NULL: by Bearer. */
static void
add_request(struct requests *requests, const char *token, const char *proof, bool bad)
{
	struct bg_buf pairs, header, *out = &requests->list[requests->n];

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&header, BG_REC_MAX);
	bg_buf_init(out, BG_REC_MAX);
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_METHOD"), BG_SLICE("GET"));
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), BG_SLICE("/api/private"));
	bg_rec_pair(&pairs, BG_SLICE("QUERY_STRING"), BG_SLICE(""));
	bg_rec_pair(&pairs, BG_SLICE("SERVER_PROTOCOL"), BG_SLICE("HTTP/1.1"));
	bg_rec_pair(&pairs, BG_SLICE("SERVER_SOFTWARE"), BG_SLICE("lighttpd/1.4.69"));
	bg_rec_pair(&pairs, BG_SLICE("GATEWAY_INTERFACE"), BG_SLICE("CGI/1.1"));
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_SCHEME"), BG_SLICE("https"));
	bg_rec_pair(&pairs, BG_SLICE("HTTPS"), BG_SLICE("on"));
	bg_rec_pair(&pairs, BG_SLICE("DOCUMENT_ROOT"), BG_SLICE("/var/www/html"));
	bg_rec_pair(&pairs, BG_SLICE("SERVER_NAME"), BG_SLICE("api.example"));
	bg_rec_pair(&pairs, BG_SLICE("SERVER_PORT"), BG_SLICE("443"));
	bg_rec_pair(&pairs, BG_SLICE("SERVER_ADDR"), BG_SLICE("192.0.2.80"));
	bg_rec_pair(&pairs, BG_SLICE("REMOTE_ADDR"), BG_SLICE("192.0.2.1"));
	bg_rec_pair(&pairs, BG_SLICE("REMOTE_PORT"), BG_SLICE("4711"));
	bg_rec_pair(&pairs, BG_SLICE("HTTP_HOST"), BG_SLICE("api.example"));
	bg_rec_pair(&pairs, BG_SLICE("HTTP_USER_AGENT"), BG_SLICE("bench_daemon"));
	bg_rec_pair(&pairs, BG_SLICE("HTTP_ACCEPT"), BG_SLICE("*/*"));
	bg_buf_put_format(&header, "%s %s", proof != NULL ? "DPoP" : "Bearer", token);
	bg_rec_pair(&pairs, BG_SLICE("HTTP_AUTHORIZATION"), (struct bg_slice){ header.data, header.len });
	if (proof != NULL)
		bg_rec_pair(&pairs, BG_SLICE("HTTP_DPOP"), bg_slice_str(proof));
	bg_rec_begin(out, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(out, 1, (struct bg_slice){ pairs.data, pairs.len }, 65535, 0);
	if (out->failed)
		end("no memory");
	bg_buf_clear(&pairs);
	bg_buf_clear(&header);
	requests->bad[requests->n++] = bad;
}

static char *
token_of(enum bg_mint_key key, int number, const char *more)
{
	char claims[1000];
	int64_t now = bg_clock_wall();

	bg_format(claims, sizeof(claims), claims_format, number, now - 60, now + 86400, more);
	return bg_mint_token(key, NULL, claims);
}

static void
make_bound(void)
{
	char cnf[100], claims[300], *token, *ath, *proof;
	int64_t now = bg_clock_wall();

	bg_format(cnf, sizeof(cnf), ",\"cnf\":{\"jkt\":\"%s\"}", bg_mint_jkt(BG_MINT_KEY_P256));
	now += PROOFS_AHEAD - 60;
	token = token_of(BG_MINT_KEY_A, 0, cnf);
	ath = bg_mint_ath(token);
	make_room(&dpop, PROOFS);
	for (int i = 0; i < PROOFS; i++) {
		bg_format(claims, sizeof(claims), "{\"jti\":\"%08d-6c1f-4d3e-9a51-9a1f0c5e7d21\",\"iat\":%" PRId64 ",\"ath\":\"%s\"}", i, now,
		    ath);
		proof = bg_mint_proof(BG_MINT_KEY_P256, NULL, NULL, claims);
		add_request(&dpop, token, proof, false);
		free(proof);
	}
	free(ath);
	free(token);
}

static void
make_requests(void)
{
	char *token, *at;

	one_token = token_of(BG_MINT_KEY_A, 0, "");
	make_room(&repeated, 1);
	add_request(&repeated, one_token, NULL, false);
	make_room(&fresh, POOL);
	for (int i = 0; i < POOL; i++) {
		token = token_of(BG_MINT_KEY_A, i, "");
		add_request(&fresh, token, NULL, false);
		free(token);
	}
	make_room(&mixed, 1000);
	for (int i = 0; i < 1000; i++) {
		token = strdup(one_token);
		at = strrchr(token, '.') + 1 + i / 10;
		if (i % 10 == 9)
			*at = *at == 'A' ? 'B' : 'A';
		add_request(&mixed, token, NULL, i % 10 == 9);
		free(token);
	}
	make_bound();
	make_room(&many, CACHED);
	for (int i = 0; i < CACHED; i++) {
		token = token_of(BG_MINT_KEY_ED25519, i, "");	/* faster to make, and as large when it is parsed */
		add_request(&many, token, NULL, false);
		free(token);
	}
}

/* ---- load ------------------------------------------------------------------------------------------------------ */

struct run {
	const struct server *server;
	struct requests *requests;
	atomic_long      left;
	double          *took;		/* microseconds */
	atomic_size_t    n_took;
};

/* A connection, the request, and the answer up to the end of the connection: false for a wrong one. */
static bool
ask(const struct server *server, const struct bg_buf *request, bool bad)
{
	const char *want = bad ? "Status: 401 " : "Status: 200 ";
	char answer[16 * 1024];
	size_t len = 0;
	ssize_t n;
	int fd;

	for (;;) {
		if ((fd = socket(server->where.to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
			end("socket");
		if (connect(fd, &server->where.to.any, server->where.len) == 0)
			break;
		close(fd);
		if (errno != EAGAIN && errno != EINTR)
			end("connect");
		sched_yield();
	}
	if (send(fd, request->data, request->len, MSG_NOSIGNAL) != (ssize_t)request->len)
		end("send");
	while (len < sizeof(answer) && (n = recv(fd, answer + len, sizeof(answer) - len, 0)) > 0)
		len += (size_t)n;
	close(fd);
	if (memmem(answer, len, want, strlen(want)) != NULL)
		return true;
	(void)fprintf(stderr, "%s: %zu bytes: %.*s\n", server->address, len, len > 8 ? (int)len - 8 : 0, answer + 8);
	return false;
}

static void *
client(void *arg)
{
	struct run *run = arg;

	while (atomic_fetch_sub(&run->left, 1) > 0) {
		size_t i = atomic_fetch_add(&run->requests->next, 1) % run->requests->n;
		double from = bg_bench_now_us();

		if (!ask(run->server, &run->requests->list[i], run->requests->bad[i]))
			end("a wrong answer");
		run->took[atomic_fetch_add(&run->n_took, 1)] = bg_bench_now_us() - from;
	}
	return NULL;
}

static struct round
load(const struct server *server, struct requests *requests, int clients, long n)
{
	struct run run = { .server = server, .requests = requests };
	pthread_t threads[CLIENTS_MAX];
	double from, cpu;
	struct round out;

	atomic_init(&run.left, n);
	if ((run.took = malloc((size_t)n * sizeof(*run.took))) == NULL)
		end("no memory");
	cpu = bg_bench_cpu(server->pid);
	from = bg_bench_now_us();
	for (int i = 0; i < clients; i++)
		if (pthread_create(&threads[i], NULL, client, &run) != 0)
			end("no thread");
	for (int i = 0; i < clients; i++)
		pthread_join(threads[i], NULL);
	out.rate = (double)n / (bg_bench_now_us() - from) * 1e6;
	out.cpu = (bg_bench_cpu(server->pid) - cpu) / 1e3 / (double)n;
	out.p50 = bg_bench_median(run.took, (size_t)n);
	out.p99 = run.took[n * 99 / 100];
	free(run.took);
	return out;
}

/* ---- tables ---------------------------------------------------------------------------------------------------- */

enum figure { RATE, CPU, P50, P99 };

static double
figure_of(const struct round *round, enum figure figure)
{
	switch (figure) {
	case RATE: return round->rate;
	case CPU:  return round->cpu;
	case P50:  return round->p50;
	case P99:  break;
	}
	return round->p99;
}

static double
median_of(enum subject subject, enum figure figure)
{
	double values[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		values[i] = figure_of(&rounds[subject][i], figure);
	return bg_bench_median(values, ROUNDS);
}

/* The rate against that of another, and the CPU beyond that of another, round by round. */
static double
ratio_of(enum subject subject, enum subject other)
{
	double values[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		values[i] = rounds[subject][i].rate / rounds[other][i].rate;
	return bg_bench_median(values, ROUNDS);
}

static double
beyond(enum subject subject, enum subject other)
{
	double values[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		values[i] = rounds[subject][i].cpu - rounds[other][i].cpu;
	return bg_bench_median(values, ROUNDS);
}

static void
run_rounds(int clients)
{
	static struct requests *const requests[] = { &repeated, &repeated, &repeated, &fresh, &mixed, &dpop };
	static const int at[] = { 0, 1, 2, 3, 2, 2 };

	for (int i = -1; i < ROUNDS; i++)
		for (int s = 0; s < SUBJECTS; s++) {
			/* the first round is for warming up, and each subject is the first one at times */
			enum subject subject = (enum subject)((s + i + 1) % SUBJECTS);

			if (i < 0 && subject != DPOP)
				(void)load(&servers[at[subject]], requests[subject], clients, PER_ROUND);
			else if (i >= 0)
				rounds[subject][i] = load(&servers[at[subject]], requests[subject], clients, PER_ROUND);
		}
}

static void
table(int threads, int clients)
{
	(void)printf("%s, %d threads, %d clients, %d rounds of %d requests; medians\n", is_tcp(&servers[0]) ? "TCP" : "unix socket",
	    threads, clients, ROUNDS, PER_ROUND);
	(void)printf("%-12s %10s %8s %6s %10s %10s %8s %8s\n", "", "req/s", "ratio", "goal", "cpu us", "beyond us", "p50 us", "p99 us");
	for (int s = 0; s < SUBJECTS; s++) {
		enum subject subject = (enum subject)s;

		(void)printf("%-12s %10.0f %8.3f %6s %10.2f %10.2f %8.0f %8.0f\n", names[s], median_of(subject, RATE),
		    ratio_of(subject, against[s]), goals[s], median_of(subject, CPU), beyond(subject, FLOOR), median_of(subject, P50),
		    median_of(subject, P99));
	}
	(void)printf("\n");
	(void)fflush(stdout);
}

/* A port nobody listens on just now. */
static unsigned
free_port(void)
{
	struct bg_rec_address at = { .len = sizeof(at.to.in) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.to.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd == -1 || bind(fd, &at.to.any, at.len) != 0 || getsockname(fd, &at.to.any, &at.len) != 0)
		end("a port");
	close(fd);
	return ntohs(at.to.in.sin_port);
}

static void
choose_addresses(bool tcp)
{
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		struct server *server = &servers[i];

		if (tcp)
			bg_format(server->address, sizeof(server->address), "127.0.0.1:%u", free_port());
		else
			bg_format(server->address, sizeof(server->address), "unix:%s/%zu.sock", dir, i);
		if (!bg_rec_parse_address(server->address, &server->where))
			end("address");
	}
}

static void
speed(bool tcp)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	choose_addresses(tcp);
	for (int threads = 1; threads <= (processors > 4 ? processors : 4); threads *= 2) {
		int clients = threads * 2 < CLIENTS_MAX ? threads * 2 : CLIENTS_MAX;

		atomic_store(&dpop.next, 0);
		start_floor(&servers[0], threads, false);
		start_floor(&servers[1], threads, true);
		start_daemon(&servers[2], threads, "conf");
		start_daemon(&servers[3], threads, "small.conf");
		run_rounds(clients);
		table(threads, clients);
		for (int i = 0; i < 4; i++)
			stop(&servers[i]);
	}
}

static void
memory(void)
{
	static const int steps[] = { 0, 1000, CACHED };
	const char *longer = getenv("BG_LONG");
	long n = longer != NULL ? strtol(longer, NULL, 10) : REQUESTS, done = 0;

	choose_addresses(false);
	start_daemon(&servers[2], 4, "conf");
	(void)printf("Tokens remembered, and KiB resident; goal for %d: under %d\n", CACHED, 24 * 1024);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (; done < steps[i]; done++)
			if (!ask(&servers[2], &many.list[done], false))
				end("a wrong answer");
		(void)printf("%-10d %10ld\n", steps[i], resident(&servers[2]));
	}
	atomic_store(&many.next, 0);
	(void)load(&servers[2], &many, 4, CACHED);
	(void)printf("%-10s %10ld\n", "used again", resident(&servers[2]));
	if (n > 0)
		(void)printf("\nRequests, and KiB resident; goal: no growth after the first 50000\n");
	for (done = 0; done < n; done += PORTION) {
		(void)load(&servers[2], &repeated, 4, PORTION / 2);
		(void)load(&servers[2], &many, 4, PORTION / 5);
		(void)load(&servers[2], &fresh, 4, PORTION / 5);
		(void)load(&servers[2], &mixed, 4, PORTION / 10);
		if (done < 100000 || (done / PORTION) % 5 == 4)
			(void)printf("%-10ld %10ld\n", done + PORTION, resident(&servers[2]));
		(void)fflush(stdout);
	}
	stop(&servers[2]);
}

int
main(int argc, char **argv)
{
	static const enum bg_mint_key keys[] = { BG_MINT_KEY_A, BG_MINT_KEY_ED25519 };

	const char *only = argc == 4 ? argv[3] : "";

	if (argc < 3 || argc > 4 || bg_json_start() != 0 || bg_secret_start() != 0)
		end("usage: bench_daemon DAEMON FLOOR [speed|memory]");
	bg_log_open(2, BG_LOG_ERROR);
	daemon_path = argv[1];
	floor_path = argv[2];
	if (mkdtemp(dir) == NULL)
		end("no directory");
	(void)atexit(clean_up);
	jwks = bg_mint_jwks(keys, 2);
	write_file("jwks.json", jwks);
	write_conf("conf", CACHED);
	write_conf("small.conf", NEW_CACHE);
	make_requests();
	if (strcmp(only, "memory") != 0) {
		(void)printf("The daemon against an authorizer that does nothing (\"new\": against one that only verifies).\n"
		    "cpu is the server's for one request, beyond is that beyond the floor; goal for repeated: under 3\n\n");
		speed(false);
		speed(true);
	}
	if (strcmp(only, "speed") != 0)
		memory();
	return EXIT_SUCCESS;
}
