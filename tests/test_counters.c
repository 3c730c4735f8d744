#include "fcgi/counters.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/run.h"

#define MINUTE	60000
#define THREADS	24	/* more than there are places to count in */
#define EACH	20000

static const struct {
	const char *name;
	struct bg_answered answered;
	int passed;			/* which of them is 1; -1: none */
	enum bg_reason refused;		/* OK: none */
	int status;
	enum bg_outcome outcome;
} rows[] = {
	{ "an allow by Bearer", { .allowed = true, .scheme = BG_SCHEME_BEARER, .status = 200 }, BG_PASSED_BEARER, BG_R_OK, 200,
	    BG_OUTCOME_ALLOWED },
	{ "an allow by DPoP", { .allowed = true, .scheme = BG_SCHEME_DPOP, .status = 200 }, BG_PASSED_DPOP, BG_R_OK, 200,
	    BG_OUTCOME_ALLOWED },
	{ "an allow without a token", { .allowed = true, .anonymous = true, .status = 200 }, BG_PASSED_ANONYMOUS, BG_R_OK, 200,
	    BG_OUTCOME_ALLOWED },
	{ "an expired token", { .reason = BG_R_EXPIRED, .scheme = BG_SCHEME_BEARER, .status = 401 }, -1, BG_R_EXPIRED, 401,
	    BG_OUTCOME_REFUSED },
	{ "keys that cannot be had", { .reason = BG_R_NO_KEYS, .status = 503 }, -1, BG_R_NO_KEYS, 503, BG_OUTCOME_FAILED },
	{ "an answer that could not be written", { .reason = BG_R_NO_MEMORY, .status = 0 }, -1, BG_R_NO_MEMORY, 0, BG_OUTCOME_FAILED },
	{ "a status nobody thought of", { .reason = BG_R_EXPIRED, .status = 418 }, -1, BG_R_EXPIRED, 0, BG_OUTCOME_REFUSED },
	{ "cleared memory", { 0 }, -1, BG_R_INTERNAL, 0, BG_OUTCOME_FAILED },
	{ "a reason beyond the table", { .reason = BG_R_COUNT, .status = 500 }, -1, BG_R_INTERNAL, 500, BG_OUTCOME_FAILED },
};
START_TEST(a_decision_counts_once_by_what_it_was)
{
	struct bg_counters *counters;
	struct bg_error err = { 0 };
	struct bg_counts counts;

	ck_reason(bg_counters_new(&counters, &err), err, BG_R_OK, rows[_i].name);
	bg_counters_add(counters, &rows[_i].answered, MINUTE);
	bg_counters_read(counters, MINUTE, &counts);
	for (int i = 0; i < BG_PASSED_KINDS; i++)
		ck_assert_msg(counts.passed[i] == (i == rows[_i].passed), "%s: passed %d", rows[_i].name, i);
	for (int i = 0; i < BG_R_COUNT; i++)
		ck_assert_msg(counts.refused[i] == (i == (int)rows[_i].refused && i != BG_R_OK), "%s: reason %d", rows[_i].name, i);
	for (int i = 0; i < BG_COUNTED_STATUSES; i++)
		ck_assert_msg(counts.status[i] == (bg_counted_statuses[i] == rows[_i].status), "%s: status %d", rows[_i].name,
		    bg_counted_statuses[i]);
	for (int i = 0; i < BG_OUTCOMES; i++)
		for (int slot = 0; slot < BG_RECENT_SLOTS; slot++)
			ck_assert_msg(counts.recent[i][slot] == (i == (int)rows[_i].outcome && slot == BG_RECENT_SLOTS - 1),
			    "%s: slot %d of outcome %d", rows[_i].name, slot, i);
	bg_counters_free(counters);
}
END_TEST

/* When a decision was made and when the chart is drawn, in slots, and where it stands by then; -1: nowhere any more. */
static const struct { const char *name; int64_t made, drawn; int slot; } moments[] = {
	{ "at once",                                     7, 7, BG_RECENT_SLOTS - 1 },
	{ "half a minute later",                         7, 8, BG_RECENT_SLOTS - 2 },
	{ "in the last slot of the hour",                7, 7 + BG_RECENT_SLOTS - 1, 0 },
	{ "an hour later, in the place it was counted",  7, 7 + BG_RECENT_SLOTS, -1 },
	{ "days later",                                  7, 7 + 100 * BG_RECENT_SLOTS, -1 },
	{ "in the first half-minute of the machine",     0, 0, BG_RECENT_SLOTS - 1 },
	{ "soon after the machine has begun",            0, 3, BG_RECENT_SLOTS - 4 },
};
START_TEST(the_chart_moves_on_by_half_minutes)
{
	const struct bg_answered answered = { .allowed = true, .status = 200 };
	struct bg_counters *counters;
	struct bg_error err = { 0 };
	struct bg_counts counts;

	ck_reason(bg_counters_new(&counters, &err), err, BG_R_OK, moments[_i].name);
	bg_counters_add(counters, &answered, moments[_i].made * BG_RECENT_SECONDS * 1000);
	bg_counters_read(counters, moments[_i].drawn * BG_RECENT_SECONDS * 1000 + 29999, &counts);
	for (int slot = 0; slot < BG_RECENT_SLOTS; slot++)
		ck_assert_msg(counts.recent[BG_OUTCOME_ALLOWED][slot] == (slot == moments[_i].slot), "%s: slot %d",
		    moments[_i].name, slot);
	bg_counters_free(counters);
}
END_TEST

START_TEST(a_slot_begins_anew_after_an_hour)
{
	const struct bg_answered answered = { .allowed = true, .status = 200 };
	const int64_t hour = (int64_t)BG_RECENT_SLOTS * BG_RECENT_SECONDS * 1000;
	struct bg_counters *counters;
	struct bg_error err = { 0 };
	struct bg_counts counts;

	ck_reason(bg_counters_new(&counters, &err), err, BG_R_OK, "new");
	for (int i = 0; i < 5; i++)
		bg_counters_add(counters, &answered, 1000);
	bg_counters_add(counters, &answered, 1000 + hour);
	bg_counters_read(counters, 1000 + hour, &counts);
	ck_assert_uint_eq(counts.recent[BG_OUTCOME_ALLOWED][BG_RECENT_SLOTS - 1], 1);
	ck_assert_uint_eq(counts.passed[BG_PASSED_BEARER], 6);
	bg_counters_free(counters);
}
END_TEST

static void *
count(void *arg)
{
	struct bg_answered answered = { .allowed = true, .scheme = BG_SCHEME_BEARER, .status = 200 };

	for (int i = 0; i < EACH; i++)
		bg_counters_add(arg, &answered, (int64_t)(i / 100) * BG_RECENT_SECONDS * 10);
	return NULL;
}

START_TEST(no_decision_is_lost_whoever_counts_beside)
{
	struct bg_counters *counters;
	struct bg_error err = { 0 };
	struct bg_counts counts;
	pthread_t threads[THREADS];
	uint64_t recent = 0;

	ck_reason(bg_counters_new(&counters, &err), err, BG_R_OK, "new");
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count, counters), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	bg_counters_read(counters, 199 * BG_RECENT_SECONDS * 10, &counts);
	ck_assert_uint_eq(counts.passed[BG_PASSED_BEARER], (uint64_t)THREADS * EACH);
	ck_assert_uint_eq(counts.status[0], (uint64_t)THREADS * EACH);
	for (int slot = 0; slot < BG_RECENT_SLOTS; slot++)
		recent += counts.recent[BG_OUTCOME_ALLOWED][slot];
	ck_assert_uint_eq(recent, (uint64_t)THREADS * EACH);
	bg_counters_free(counters);
}
END_TEST

/* A worker counts, and dies; the next one goes on from there. */
START_TEST(what_a_process_counted_outlives_it)
{
	struct bg_counters *counters;
	struct bg_error err = { 0 };
	struct bg_counts counts;
	pid_t pid;

	ck_reason(bg_counters_new(&counters, &err), err, BG_R_OK, "new");
	for (int i = 0; i < 3; i++) {
		if ((pid = fork()) == 0) {
			bg_counters_add(counters, &rows[0].answered, MINUTE);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	bg_counters_read(counters, MINUTE, &counts);
	ck_assert_uint_eq(counts.passed[rows[0].passed], 3);
	bg_counters_free(counters);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("counters");
	TCase *tc = tcase_create("counters");

	tcase_add_loop_test(tc, a_decision_counts_once_by_what_it_was, 0, N(rows));
	tcase_add_loop_test(tc, the_chart_moves_on_by_half_minutes, 0, N(moments));
	tcase_add_test(tc, a_slot_begins_anew_after_an_hour);
	tcase_add_test(tc, no_decision_is_lost_whoever_counts_beside);
	tcase_add_test(tc, what_a_process_counted_outlives_it);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
