#include "core/keystore.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/limits.h"
#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define ISSUER		"https://issuer.example/"
#define DISCOVERY	"{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/jwks\"}"
#define T0		INT64_C(1000000)	/* a reading of the monotonic clock, milliseconds */
#define AT(ms)		((struct bg_now){ .wall = WALL + ((ms) - T0) / 1000, .mono_ms = (ms) })
#define WALL		INT64_C(1700000000)	/* what clocks on walls show at T0 */
#define NO_KID		((struct bg_slice){ NULL, 0 })

/* An issuer that answers as told and counts how often its key set was asked for. */
struct script {
	struct bg_fetcher base;
	const char       *discovery;	/* NULL: down */
	char             *jwks;		/* NULL: down */
	int64_t           max_age;
	atomic_int        asked;
	pthread_mutex_t   gate;		/* held by a test to let a fetch hang */
};

static int
scripted_get(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	struct script *script = (struct script *)(uintptr_t)self;
	bool jwks = strcmp(request->location, "https://keys.example/jwks") == 0;
	const char *answer;

	ck_assert_int_eq(request->timeout, 5);
	if (!jwks)
		ck_assert_str_eq(request->location, ISSUER ".well-known/openid-configuration");
	else
		atomic_fetch_add(&script->asked, 1);
	pthread_mutex_lock(&script->gate);
	answer = jwks ? script->jwks : script->discovery;
	pthread_mutex_unlock(&script->gate);
	if (answer == NULL)
		return bg_fail(err, BG_R_FETCH_FAILED, "down");
	bg_buf_put_str(body, answer);
	meta->max_age = script->max_age;
	return 0;
}

static char *
jwks_of(enum bg_mint_key key)
{
	return bg_mint_jwks(&key, 1);
}

static void
setup(struct script *script, struct bg_keystore **store)
{
	struct bg_keystore_options options = { .issuer = ISSUER, .fetch_timeout = 5, .cache_ttl_min = 60,
		.cache_ttl_max = 600, .refresh_cooldown = 30, .max_waiters = 8, .fetcher = &script->base };

	bg_log_open(2, BG_LOG_ERROR);
	*script = (struct script){ .base = { scripted_get }, .discovery = DISCOVERY, .jwks = jwks_of(BG_MINT_KEY_A),
		.max_age = -1, .gate = PTHREAD_MUTEX_INITIALIZER };
	ck_assert_int_eq(bg_keystore_new(store, &options, NULL), 0);
}

static void
teardown(struct script *script, struct bg_keystore *store)
{
	bg_keystore_free(store);
	free(script->jwks);
}

/* Does the store answer with the key of that name? */
static bool
knows(struct bg_keystore *store, enum bg_mint_key key, int64_t now)
{
	struct bg_jwks *set;
	bool known;

	if (bg_keystore_keys(store, bg_slice_str(bg_mint_kid(key)), now, &set, NULL) != 0)
		return false;
	known = bg_jwks_has_kid(set, bg_slice_str(bg_mint_kid(key)));
	bg_jwks_unref(set);
	return known;
}

static void
serve(struct script *script, enum bg_mint_key key)
{
	free(script->jwks);
	script->jwks = jwks_of(key);
}

START_TEST(no_keys_is_a_503_and_never_an_answer)	/* SR-45 */
{
	struct bg_error err = { 0 };
	struct bg_keystore *store;
	struct script script;
	struct bg_jwks *set;

	setup(&script, &store);
	ck_reason(bg_keystore_keys(store, NO_KID, T0, &set, &err), err, BG_R_NO_KEYS, "before the first fetch");
	ck_assert_ptr_null(set);
	script.discovery = NULL;
	bg_keystore_step(store, AT(T0));
	bg_error_clear(&err);
	ck_reason(bg_keystore_keys(store, NO_KID, T0, &set, &err), err, BG_R_NO_KEYS, "issuer down");
	ck_assert_int_eq(bg_reason_status(err.reason), 503);
	ck_assert_int_ge(bg_keystore_retry_after(store, T0), 1);
	teardown(&script, store);
}
END_TEST

START_TEST(an_issuer_that_comes_up_late_is_found)	/* SR-45 */
{
	struct bg_keystore *store;
	struct script script;
	int64_t wait, last = 0, now = T0;

	setup(&script, &store);
	script.discovery = NULL;
	for (int i = 0; i < 12; i++) {
		wait = bg_keystore_step(store, AT(now));
		ck_assert_msg(wait >= 1000 && wait <= 75000, "try %d: next in %" PRId64 " ms", i, wait);
		ck_assert(wait >= last || last >= 60000);	/* backs off, up to a minute and a quarter of it */
		last = wait;
		now += wait;
	}
	script.discovery = DISCOVERY;
	ck_assert(!knows(store, BG_MINT_KEY_A, now));
	bg_keystore_step(store, AT(now));
	ck_assert(knows(store, BG_MINT_KEY_A, now));
	teardown(&script, store);
}
END_TEST

static const struct { const char *name; int64_t max_age, kept; } lifetimes[] = {
	{ "not said", -1, 600 }, { "fifteen seconds, as Auth0 says", 15, 60 }, { "none", 0, 60 },
	{ "within the bounds", 100, 100 }, { "a year", 31536000, 600 }, { "the far end", INT64_MAX, 600 },
};

START_TEST(a_set_lives_as_long_as_the_issuer_says_within_bounds)
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	script.max_age = lifetimes[_i].max_age;
	ck_assert_int_eq(bg_keystore_step(store, AT(T0)), lifetimes[_i].kept * 1000);
	ck_assert_int_eq(bg_keystore_step(store, AT(T0 + lifetimes[_i].kept * 1000 - 1)), 1);
	ck_assert_int_eq(script.asked, 1);
	bg_keystore_step(store, AT(T0 + lifetimes[_i].kept * 1000));
	ck_assert_int_eq(script.asked, 2);
	teardown(&script, store);
}
END_TEST

START_TEST(a_bad_answer_never_replaces_a_good_set)
{
	static const char *const answers[] = { "", "{}", "{\"keys\":[]}", "<html>", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}" };
	struct bg_keystore *store;
	struct script script;
	int64_t now = T0;

	setup(&script, &store);
	now += bg_keystore_step(store, AT(now));
	for (int i = 0; i < N(answers); i++) {
		free(script.jwks);
		script.jwks = strdup(answers[i]);
		now += bg_keystore_step(store, AT(now));
		ck_assert_msg(knows(store, BG_MINT_KEY_A, now), "%s", answers[i]);
	}
	script.discovery = NULL;
	now += bg_keystore_step(store, AT(now));
	ck_assert(knows(store, BG_MINT_KEY_A, now));
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + INT64_C(23) * 3600 * 1000));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + INT64_C(24) * 3600 * 1000));	/* stale for a day at most */
	teardown(&script, store);
}
END_TEST

START_TEST(a_document_of_another_issuer_is_not_followed)	/* SR-46 */
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	script.discovery = "{\"issuer\":\"https://evil.example/\",\"jwks_uri\":\"https://keys.example/jwks\"}";
	bg_keystore_step(store, AT(T0));
	ck_assert_int_eq(script.asked, 0);
	ck_assert(!knows(store, BG_MINT_KEY_A, T0));
	teardown(&script, store);
}
END_TEST

START_TEST(unknown_kids_cause_one_fetch_per_cooldown)	/* SR-50 */
{
	struct bg_keystore *store;
	struct script script;
	struct bg_jwks *set;

	setup(&script, &store);
	bg_keystore_step(store, AT(T0));
	ck_assert_int_eq(script.asked, 1);
	for (int64_t now = T0; now < T0 + 59000; now += 10) {
		char kid[32];

		bg_format(kid, sizeof(kid), "made-up-%" PRId64, now);
		ck_assert_int_eq(bg_keystore_keys(store, bg_slice_str(kid), now, &set, NULL), 0);
		bg_jwks_unref(set);
		bg_keystore_step(store, AT(now));
	}
	ck_assert_int_eq(script.asked, 2);	/* at 30 s; the next one would be at 60 s */
	teardown(&script, store);
}
END_TEST

START_TEST(a_rotated_key_is_found_after_the_cooldown)	/* users.md row 1 */
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	bg_keystore_step(store, AT(T0));
	serve(&script, BG_MINT_KEY_B);
	ck_assert(!knows(store, BG_MINT_KEY_B, T0 + 29999));
	ck_assert_int_gt(bg_keystore_step(store, AT(T0 + 29999)), 1);
	ck_assert(!knows(store, BG_MINT_KEY_B, T0 + 30000));	/* this call asks for the fetch */
	bg_keystore_step(store, AT(T0 + 30000));
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 30000));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 30000));	/* withdrawn is refused */
	teardown(&script, store);
}
END_TEST

static void *
ask_first_key(void *arg)
{
	/* now is that of the store's own thread: the monotonic clock, here far before any next fetch */
	return knows(arg, BG_MINT_KEY_A, 0) ? arg : NULL;
}

START_TEST(all_who_wait_share_the_first_fetch)
{
	struct bg_keystore *store;
	struct script script;
	pthread_t threads[6];

	setup(&script, &store);
	pthread_mutex_lock(&script.gate);	/* the issuer hangs */
	ck_assert_int_eq(bg_keystore_start(store, NULL), 0);
	for (int i = 0; i < N(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_first_key, store), 0);
	pthread_mutex_unlock(&script.gate);
	for (int i = 0; i < N(threads); i++) {
		void *found;

		pthread_join(threads[i], &found);
		ck_assert_ptr_eq(found, store);
	}
	ck_assert_int_eq(script.asked, 1);
	teardown(&script, store);
}
END_TEST

START_TEST(a_known_kid_is_not_delayed_by_an_issuer_that_hangs)	/* SR-51 */
{
	struct bg_keystore *store;
	struct script script;
	struct bg_jwks *set;

	setup(&script, &store);
	bg_keystore_step(store, AT(T0));
	pthread_mutex_lock(&script.gate);
	ck_assert_int_eq(bg_keystore_start(store, NULL), 0);
	/* this test would hang here, and so fail, if the answer waited for the fetch */
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + 600000));
	ck_assert_int_eq(bg_keystore_keys(store, NO_KID, T0 + 600000, &set, NULL), 0);
	bg_jwks_unref(set);
	pthread_mutex_unlock(&script.gate);
	teardown(&script, store);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("keystore");
	TCase *tc = tcase_create("keystore");

	tcase_add_test(tc, no_keys_is_a_503_and_never_an_answer);
	tcase_add_test(tc, an_issuer_that_comes_up_late_is_found);
	tcase_add_loop_test(tc, a_set_lives_as_long_as_the_issuer_says_within_bounds, 0, N(lifetimes));
	tcase_add_test(tc, a_bad_answer_never_replaces_a_good_set);
	tcase_add_test(tc, a_document_of_another_issuer_is_not_followed);
	tcase_add_test(tc, unknown_kids_cause_one_fetch_per_cooldown);
	tcase_add_test(tc, a_rotated_key_is_found_after_the_cooldown);
	tcase_add_test(tc, all_who_wait_share_the_first_fetch);
	tcase_add_test(tc, a_known_kid_is_not_delayed_by_an_issuer_that_hangs);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
