#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/gate.h"
#include "core/log.h"
#include "core/secret.h"
#include "tests/bench/bench.h"
#include "tests/support/mint.h"

/*
 * What it costs to remember DPoP proofs: proofs judged per second by the whole road of a request, with the LMDB store and
 * with one that remembers nothing, in turns, by one thread and by several; and the size of the store's file under a steady
 * load of proofs that expire.  The goal: at least 0.7 with LMDB.
 *
 *	bench_proof		for 1, 2 and 4 threads the medians and the median ratio; then the file
 */

#define ISSUER		"https://issuer.example/"
#define NOW		INT64_C(1700000000)
#define ROUNDS		11
#define PER_ROUND	3000	/* proofs of a round, each of them spent once */
#define MAX_THREADS	4
#define LIVE		20000	/* proofs that are alive in the last part */
#define STEADY		300000

static const struct bg_alg *rs256[1], *es256[1];
static char issuer_name[] = ISSUER, audience_text[] = "https://api.example", *audience = audience_text, realm[] = "api";
static struct bg_issuer issuer = { .name = issuer_name, .audiences = &audience, .n_audiences = 1, .algs = rs256, .n_algs = 1 };
static struct bg_gate gate = { .issuers = &issuer, .n_issuers = 1, .leeway = 30, .answers = { .realm = realm },
	.dpop = { .mode = BG_DPOP_ALLOWED, .algs = es256, .n_algs = 1, .iat_offset = 300, .iat_leeway = 30 } };
static char *proofs[PER_ROUND], *header, jwks[4096];
static int64_t mono_ms;

static _Noreturn void
end(const char *what)
{
	(void)fprintf(stderr, "bench_proof: %s\n", what);
	exit(EXIT_FAILURE);
}

static int
hand_out(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self, (void)request, (void)err;
	meta->max_age = 600;
	bg_buf_put_str(body, jwks);
	return 0;
}

static int
forget(struct bg_replay *replay, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after, struct bg_error *err)
{
	(void)replay, (void)spending, (void)now, (void)retry_after, (void)err;
	return 0;
}

static struct bg_replay nothing = { .spend = forget };

static struct bg_now
clock_at(int64_t ms)
{
	return (struct bg_now){ .wall = NOW + ms / 1000, .wall_ms = NOW * 1000 + ms, .mono_ms = mono_ms + ms };
}

static struct bg_replay *
open_store(const char *path, size_t max)
{
	struct bg_replay *store;
	struct bg_error err = { 0 };

	if (bg_replay_lmdb_new(path, max, 30, &store, &err) != 0 || store->open(store, clock_at(-2000), &err) != 0)
		end(err.detail);
	return store;
}

static void
start(void)
{
	static const struct bg_fetcher fetcher = { hand_out };
	static const enum bg_mint_key a[] = { BG_MINT_KEY_A };
	const struct bg_keystore_options options = { .source = { .issuer = ISSUER, .jwks_uri = "https://keys.example/", .fetcher = &fetcher,
		.fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600 }, .stale_if_error = 86400, .refresh_cooldown = 30 };
	char claims[600], *text, *token, *ath;

	if (bg_json_start() != 0 || bg_secret_start() != 0)
		end("cannot start");
	bg_log_open(2, BG_LOG_ERROR);
	mono_ms = bg_clock_mono_ms();
	rs256[0] = bg_alg_find(BG_SLICE("RS256"));
	es256[0] = bg_alg_find(BG_SLICE("ES256"));
	text = bg_mint_jwks(a, 1);
	bg_format(jwks, sizeof(jwks), "%s", text);
	free(text);
	if (bg_keystore_new(&issuer.keys, &options, NULL) != 0)
		end("no key store");
	bg_keystore_step(issuer.keys, (struct bg_now){ .mono_ms = 0 });
	bg_format(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"sub\":\"auth0|5f7c8ec7c33c6c004bbafe82\",\"aud\":\"https://api.example\","
	    "\"iat\":%d,\"exp\":%d,\"scope\":\"openid profile read:messages\",\"cnf\":{\"jkt\":\"%s\"}}", (int)NOW - 60, (int)NOW + 86400,
	    bg_mint_jkt(BG_MINT_KEY_P256));
	token = bg_mint_token(BG_MINT_KEY_A, NULL, claims);
	ath = bg_mint_ath(token);
	if ((header = malloc(strlen(token) + sizeof("DPoP "))) == NULL)
		end("no memory");
	sprintf(header, "DPoP %s", token);
	for (int i = 0; i < PER_ROUND; i++) {
		bg_format(claims, sizeof(claims), "{\"jti\":\"%08d-6c1f-4d3e-9a51-9a1f0c5e7d21\",\"iat\":%d,\"ath\":\"%s\"}", i, (int)NOW, ath);
		proofs[i] = bg_mint_proof(BG_MINT_KEY_P256, NULL, NULL, claims);
	}
	free(ath);
	free(token);
}

struct part { pthread_t thread; int from, to; };

static void *
judge(void *arg)
{
	const struct part *part = arg;
	const struct bg_now now = clock_at(0);
	struct bg_request request = { .method = BG_SLICE(BG_MINT_HTM), .uri = BG_SLICE("/api/private"), .scheme = BG_SLICE("https"),
		.host = BG_SLICE("api.example"), .remote_addr = BG_SLICE("192.0.2.1"), .remote_port = BG_SLICE("4711") };

	request.authorization = bg_slice_str(header);
	for (int i = part->from; i < part->to; i++) {
		struct bg_decision decision;

		request.dpop = bg_slice_str(proofs[i]);
		bg_gate_decide(&gate, &request, now, &decision);
		if (decision.verdict != BG_ALLOW)
			end(decision.error.detail);
		bg_decision_clear(&decision);
	}
	return NULL;
}

/* Proofs per second. */
static double
measure(int threads)
{
	struct part parts[MAX_THREADS];
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < threads; i++) {
		parts[i] = (struct part){ .from = PER_ROUND * i / threads, .to = PER_ROUND * (i + 1) / threads };
		if (pthread_create(&parts[i].thread, NULL, judge, &parts[i]) != 0)
			end("no thread");
	}
	for (int i = 0; i < threads; i++)
		pthread_join(parts[i].thread, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return PER_ROUND / ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
}

static void
report(int threads)
{
	double with[ROUNDS], without[ROUNDS], ratio[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		struct bg_replay *store = open_store(NULL, 1000000);	/* a new one, in which nothing is spent yet */

		/* in turns, and the first one in turns too, so that what else the machine does meets both */
		gate.dpop.replay = i % 2 == 0 ? store : &nothing;
		*(i % 2 == 0 ? &with[i] : &without[i]) = measure(threads);
		gate.dpop.replay = i % 2 == 0 ? &nothing : store;
		*(i % 2 == 0 ? &without[i] : &with[i]) = measure(threads);
		ratio[i] = with[i] / without[i];
		bg_replay_free(store);
	}
	(void)printf("%-10d %10.0f %10.0f %8.3f\n", threads, bg_bench_median(with, ROUNDS), bg_bench_median(without, ROUNDS), bg_bench_median(ratio, ROUNDS));
}

/* A store's file under a load whose proofs expire: the store alone, with time handed in. */
static void
steady(void)
{
	char path[] = "/tmp/bench_proof.XXXXXX", command[64], line[64] = "";
	struct bg_spending spending = { .by_call = true, .iat = NOW, .life_ms = LIVE };
	struct bg_replay *store;
	struct bg_error err = { 0 };
	int64_t retry_after;
	FILE *size;

	if (mkdtemp(path) == NULL)
		end("no directory");
	store = open_store(path, (size_t)2 * LIVE);
	(void)printf("\nproofs spent, one each millisecond, %d of them alive: KiB on disk\n", LIVE);
	for (int i = 1; i <= STEADY; i++) {
		memcpy(spending.request, &i, sizeof(i));
		if (bg_sha256((struct bg_slice){ (const char *)&i, sizeof(i) }, spending.proof, &err) != 0)
			end(err.detail);
		spending.iat = NOW + i / 1000 + 3600;	/* well after any loss */
		if (store->spend(store, &spending, clock_at(i), &retry_after, &err) != 0)
			end(err.detail);
		if (i % (STEADY / 6) != 0)
			continue;
		bg_format(command, sizeof(command), "du -sk %s", path);
		if ((size = popen(command, "r")) == NULL || fgets(line, sizeof(line), size) == NULL)
			end("du");
		pclose(size);
		(void)printf("%-10d %10.*s\n", i, (int)strcspn(line, "\t"), line);
	}
	bg_replay_free(store);
	bg_format(command, sizeof(command), "rm -r %s", path);
	if (system(command) != 0)
		end("rm");
}

int
main(void)
{
	start();
	(void)printf("DPoP proofs per second, the whole decision, median of %d rounds\n%-10s %10s %10s %8s\n", ROUNDS, "threads", "LMDB",
	    "no store", "ratio");
	for (int threads = 1; threads <= MAX_THREADS; threads *= 2)
		report(threads);
	steady();
	for (int i = 0; i < PER_ROUND; i++)
		free(proofs[i]);
	free(header);
	bg_keystore_free(issuer.keys);
	return EXIT_SUCCESS;
}
