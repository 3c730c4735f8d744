#ifndef BG_TESTS_SUPPORT_SPEND_H
#define BG_TESTS_SUPPORT_SPEND_H

#include <pthread.h>

#include <check.h>

#include "core/replay.h"

/*
 * What both replay stores must do, as a table of spendings one after the other.  Names are fingerprints: the first byte of
 * 32 equal ones, for the proof with some more in front so that no two tests of one Redis meet.
 */

#define SPEND_LIFE	INT64_C(60000)
#define SPEND_LEEWAY	30

struct bg_test_spend {
	const char    *name;
	char           proof, request, call;	/* call 0: not by call */
	int64_t        at;			/* milliseconds after the first */
	int64_t        life;			/* 0: SPEND_LIFE */
	enum bg_reason want;
};

static const struct bg_test_spend bg_test_spends[] = {
	{ "spent for the first time",                   'a', 'r', 0,   0,     0,   BG_R_OK },
	{ "by another request",                         'a', 's', 0,   0,     0,   BG_R_PROOF_SPENT },	/* SR-63 */
	{ "by the same request",                        'a', 'r', 0,   1,     0,   BG_R_OK },
	{ "a clock read a little earlier",              'a', 'r', 0,   -3,    0,   BG_R_OK },
	{ "another proof by the same request",          'b', 'r', 0,   2,     0,   BG_R_OK },
	{ "by another request, within the grace",       'a', 's', 0,   4000,  0,   BG_R_PROOF_SPENT },
	{ "the end of the grace",                       'a', 'r', 0,   BG_REPLAY_GRACE_MS, 0, BG_R_OK },
	{ "after the grace, which no call has drawn out", 'a', 'r', 0, BG_REPLAY_GRACE_MS + 1, 0, BG_R_PROOF_SPENT },
	{ "long after the grace",                       'a', 'r', 0,   50000, 0,   BG_R_PROOF_SPENT },
	{ "the first call",                             'c', 'r', 'x', 100,   0,   BG_R_OK },
	{ "the same call again",                        'c', 'r', 'x', 101,   0,   BG_R_PROOF_SPENT },
	{ "another call",                               'c', 'r', 'y', 102,   0,   BG_R_OK },
	{ "that one again",                             'c', 'r', 'y', 103,   0,   BG_R_PROOF_SPENT },
	{ "a refused call has left nothing: a third",   'c', 'r', 'z', 104,   0,   BG_R_OK },
	{ "a call of another request",                  'c', 's', 'v', 105,   0,   BG_R_PROOF_SPENT },
	{ "the same call for the right request",        'c', 'r', 'v', 106,   0,   BG_R_OK },
	{ "a call after the grace",                     'c', 'r', 'w', 5200,  0,   BG_R_PROOF_SPENT },
	{ "the same call for another proof",            'd', 'r', 'x', 107,   0,   BG_R_OK },
};

/* A spending as a row says, with the row's proof told from those of other runs by salt. */
static inline struct bg_spending
bg_test_spending(const struct bg_test_spend *row, int64_t iat, uint64_t salt)
{
	struct bg_spending spending = { .by_call = row->call != 0, .iat = iat,
		.life_ms = row->life != 0 ? row->life : SPEND_LIFE };

	memset(spending.proof, row->proof, sizeof(spending.proof));
	memcpy(spending.proof, &salt, sizeof(salt));
	memset(spending.request, row->request, sizeof(spending.request));
	memset(spending.call, row->call, sizeof(spending.call));
	return spending;
}

/* What a test's own way of spending comes to. */
typedef enum bg_reason bg_test_spender(struct bg_replay *replay, const struct bg_test_spend *row);

struct bg_test_runner {
	struct bg_replay  *replay;
	bg_test_spender   *spend;
	pthread_barrier_t *start;
	char               request;
	enum bg_reason     got;
};

static inline void *
bg_test_run_one(void *arg)
{
	struct bg_test_runner *runner = arg;
	struct bg_test_spend row = { .proof = 'p', .request = runner->request };

	pthread_barrier_wait(runner->start);
	runner->got = runner->spend(runner->replay, &row);
	return NULL;
}

/* n threads, at most 64, spend one proof in one moment, each for a request of its own, in two stores in turn; counts how that ends. */
static inline void
bg_test_spend_at_once(struct bg_replay *const replays[2], int n, bg_test_spender *spend, unsigned counts[BG_R_COUNT])
{
	struct bg_test_runner runners[64];
	pthread_barrier_t start;
	pthread_t threads[64];

	memset(counts, 0, BG_R_COUNT * sizeof(counts[0]));
	pthread_barrier_init(&start, NULL, (unsigned)n);
	for (int i = 0; i < n; i++) {
		runners[i] = (struct bg_test_runner){ replays[i % 2], spend, &start, (char)(i + 1), BG_R_OK };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, bg_test_run_one, &runners[i]), 0);
	}
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		counts[runners[i].got]++;
	}
	pthread_barrier_destroy(&start);
}

#endif
