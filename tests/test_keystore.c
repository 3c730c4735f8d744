#include "core/keystore.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <time.h>

#include "core/keycache.h"
#include "core/keycache.h"
#include "core/limits.h"
#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define ISSUER		"https://issuer.example/"
#define DISCOVERY	"{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/jwks\"}"
#define T0		INT64_C(1000000)	/* a reading of the monotonic clock, milliseconds */
#define AT(ms)		((struct bg_now){ .wall = WALL + ((ms) - T0) / 1000, .wall_ms = WALL * 1000 + (ms) - T0,	\
	.mono_ms = (ms) })
#define WALL		INT64_C(1700000000)	/* what clocks on walls show at T0 */
#define NO_KID		((struct bg_slice){ NULL, 0 })

/* An issuer that answers as told and counts what it was asked for. */
struct script {
	struct bg_fetcher base;
	const char       *discovery;	/* NULL: down */
	bool              oauth_place;	/* the document is where RFC 8414 says, and nowhere else */
	char             *jwks;		/* NULL: down */
	const char       *etag;		/* NULL: none is given */
	bool              confirms_anything;	/* "not modified" to whoever asks */
	bool              private_peer;
	atomic_bool       wants_public;	/* of the last request for the set */
	int64_t           max_age;
	int               slow;		/* milliseconds for each answer */
	_Atomic int64_t   asked_at;	/* the last time that it was asked for anything, bg_clock_mono_ms() */
	atomic_int        discovered, asked, confirmed;
	pthread_mutex_t   gate;		/* held by a test to let a fetch hang */
	struct bg_keystore_options options;
	sem_t             changed;	/* posted whenever the store says so */
};

static int
scripted_get(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	struct script *script = (struct script *)(uintptr_t)self;
	bool jwks = strstr(request->location, "/.well-known/") == NULL, openid;
	const char *answer;

	ck_assert_int_eq(request->timeout, 5);
	atomic_store(&script->asked_at, bg_clock_mono_ms());
	(void)poll(NULL, 0, script->slow);
	meta->took_ms = script->slow;
	if (jwks) {
		atomic_fetch_add(&script->asked, 1);
		script->wants_public = request->public_only;
	} else {
		openid = strcmp(request->location, ISSUER ".well-known/openid-configuration") == 0;
		atomic_fetch_add(&script->discovered, 1);
		ck_assert(openid || strcmp(request->location, ISSUER ".well-known/oauth-authorization-server") == 0);
		if (script->oauth_place == openid) {
			meta->missing = true;
			return bg_fail(err, BG_R_FETCH_FAILED, "status 404");
		}
		meta->private_peer = script->private_peer;
	}
	pthread_mutex_lock(&script->gate);
	answer = jwks ? script->jwks : script->discovery;
	pthread_mutex_unlock(&script->gate);
	if (answer == NULL)
		return bg_fail(err, BG_R_FETCH_FAILED, "down");
	meta->max_age = script->max_age;
	if (jwks && script->etag != NULL)
		bg_format(meta->etag, sizeof(meta->etag), "%s", script->etag);
	if (jwks && script->confirms_anything) {
		meta->not_modified = true;
		return 0;
	}
	if (request->etag != NULL && script->etag != NULL && strcmp(request->etag, script->etag) == 0) {
		atomic_fetch_add(&script->confirmed, 1);
		meta->not_modified = true;
		return 0;
	}
	bg_buf_put_str(body, answer);
	return 0;
}

static char *
jwks_of(enum bg_mint_key key)
{
	return bg_mint_jwks(&key, 1);
}

/* options are those of script, so that a test may change them before it makes a store. */
static void
prepare(struct script *script)
{
	bg_log_open(2, BG_LOG_ERROR);
	*script = (struct script){ .base = { scripted_get }, .discovery = DISCOVERY, .jwks = jwks_of(BG_MINT_KEY_A),
		.max_age = -1, .gate = PTHREAD_MUTEX_INITIALIZER,
		.options = { .source = { .issuer = ISSUER, .fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600 },
		.refresh_cooldown = 30, .stale_if_error = 86400 } };
	script->options.source.fetcher = &script->base;
	ck_assert_int_eq(sem_init(&script->changed, 0, 0), 0);
}

static struct bg_keystore *
make_store(struct script *script)
{
	struct bg_keystore *store;

	ck_assert_int_eq(bg_keystore_new(&store, &script->options, NULL), 0);
	return store;
}

static void
setup(struct script *script, struct bg_keystore **store)
{
	prepare(script);
	*store = make_store(script);
}

static void
teardown(struct script *script, struct bg_keystore *store)
{
	bg_keystore_free(store);
	sem_destroy(&script->changed);
	free(script->jwks);
}

/* The reason why the store has no key of this kid; OK: it has. */
static enum bg_reason
lookup(struct bg_keystore *store, const char *kid, int64_t now)
{
	struct bg_error err = { 0 };
	struct bg_jwks *set;
	bool known;

	if (bg_keystore_keys(store, bg_slice_str(kid), now, &set, &err) != 0) {
		ck_assert_ptr_null(set);
		return err.reason;
	}
	known = bg_jwks_has_kid(set, bg_slice_str(kid));
	bg_jwks_unref(set);
	return known ? BG_R_OK : BG_R_UNKNOWN_KEY;
}

/* Does the store answer with the key of that name? */
static bool
knows(struct bg_keystore *store, enum bg_mint_key key, int64_t now)
{
	return lookup(store, bg_mint_kid(key), now) == BG_R_OK;
}

/* What went wrong last; borrowed until the next call. */
static const char *
status_error(struct bg_keystore *store)
{
	static char error[BG_DETAIL_MAX];
	struct bg_keystore_status status;

	bg_keystore_status(store, AT(T0), &status);
	bg_format(error, sizeof(error), "%s", status.error);
	bg_keystore_status_clear(&status);
	return error;
}

static void
serve(struct script *script, enum bg_mint_key key)
{
	free(script->jwks);
	script->jwks = jwks_of(key);
}

static void
on_change(void *arg)
{
	sem_post(&((struct script *)arg)->changed);
}

static void
start_thread(struct script *script, struct bg_keystore *store)
{
	ck_assert_int_eq(bg_keystore_start(store, on_change, script, NULL), 0);
}

static void
await_change(struct script *script)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 40;
	while (sem_timedwait(&script->changed, &until) != 0)
		ck_assert_int_eq(errno, EINTR);
}

/* Wait until the store, which has a thread, answers so. */
static void
await(struct script *script, struct bg_keystore *store, enum bg_mint_key key, enum bg_reason want)
{
	while (lookup(store, bg_mint_kid(key), bg_clock_mono_ms()) != want)
		await_change(script);
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
	int64_t wait;

	setup(&script, &store);
	script.max_age = lifetimes[_i].max_age;
	wait = bg_keystore_step(store, AT(T0));
	/* ahead of its end: by a tenth and up to half as much again */
	ck_assert_msg(wait <= lifetimes[_i].kept * 900 && wait >= lifetimes[_i].kept * 850, "%s: %" PRId64, lifetimes[_i].name, wait);
	ck_assert_int_eq(bg_keystore_step(store, AT(T0 + wait - 1)), 1);
	ck_assert_int_eq(script.asked, 1);
	bg_keystore_step(store, AT(T0 + wait));
	ck_assert_int_eq(script.asked, 2);
	teardown(&script, store);
}
END_TEST

START_TEST(refreshes_of_many_machines_do_not_keep_step)
{
	int64_t least = INT64_MAX, most = 0;

	for (int i = 0; i < 32; i++) {
		struct bg_keystore *store;
		struct script script;
		int64_t wait;

		setup(&script, &store);
		wait = bg_keystore_step(store, AT(T0));
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
		teardown(&script, store);
	}
	ck_assert_int_gt(most - least, 1000);	/* of thirty seconds' room; once in 10^45 runs they all fall together */
}
END_TEST

START_TEST(a_refresh_is_conditional_where_the_issuer_gives_an_etag)
{
	struct bg_keystore *store;
	struct script script;
	int64_t now = T0;

	setup(&script, &store);
	script.etag = "\"one\"";
	now += bg_keystore_step(store, AT(now));
	ck_assert_int_eq(script.confirmed, 0);
	now += bg_keystore_step(store, AT(now));
	ck_assert_int_eq(script.confirmed, 1);
	ck_assert(knows(store, BG_MINT_KEY_A, now));
	/* confirmed is as good as fetched: it serves for as long again */
	script.discovery = NULL;
	free(script.jwks);
	script.jwks = NULL;
	ck_assert(knows(store, BG_MINT_KEY_A, now + 86400 * INT64_C(1000)));
	/* another set has another tag, and is taken whole */
	script.discovery = DISCOVERY;
	script.jwks = jwks_of(BG_MINT_KEY_B);
	script.etag = "W/\"two\"";
	now += bg_keystore_step(store, AT(now));
	ck_assert_int_eq(script.confirmed, 1);
	ck_assert(knows(store, BG_MINT_KEY_B, now));
	ck_assert(!knows(store, BG_MINT_KEY_A, now));
	teardown(&script, store);
}
END_TEST

START_TEST(a_tag_belongs_to_the_place_that_gave_it)
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	script.etag = "\"one\"";
	bg_keystore_step(store, AT(T0));
	script.discovery = "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/elsewhere\"}";
	serve(&script, BG_MINT_KEY_B);		/* with the same tag */
	bg_keystore_step(store, AT(T0 + 600000));
	ck_assert_int_eq(script.confirmed, 0);
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 600000));
	teardown(&script, store);
}
END_TEST

START_TEST(what_was_not_there_is_not_confirmed)
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	script.confirms_anything = true;
	bg_keystore_step(store, AT(T0));
	ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_A), T0), BG_R_NO_KEYS);
	ck_assert_str_eq(status_error(store), "https://keys.example/jwks: confirmed what was not there");
	teardown(&script, store);
}
END_TEST

START_TEST(a_confirmation_without_a_lifetime_leaves_that_of_the_set)	/* RFC 9111 section 4.3.4 */
{
	struct bg_keystore *store;
	struct script script;
	int64_t wait;

	setup(&script, &store);
	script.etag = "\"a\"";
	script.max_age = 120;
	wait = bg_keystore_step(store, AT(T0));
	script.max_age = -1;
	wait = bg_keystore_step(store, AT(T0 + wait));
	ck_assert_int_eq(script.confirmed, 1);
	ck_assert_int_le(wait, 120000);
	teardown(&script, store);
}
END_TEST

START_TEST(a_confirmation_of_a_set_that_grew_stale_brings_it_back)
{
	struct bg_keystore *store;
	struct script script;
	int64_t now = T0;

	setup(&script, &store);
	script.etag = "\"one\"";
	bg_keystore_step(store, AT(now));
	now += 700000 + 86400 * INT64_C(1000);
	ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_A), now), BG_R_NO_KEYS);
	bg_keystore_step(store, AT(now));
	ck_assert_int_eq(script.confirmed, 1);
	ck_assert(knows(store, BG_MINT_KEY_A, now));
	teardown(&script, store);
}
END_TEST

START_TEST(the_document_is_found_where_rfc_8414_has_it)
{
	struct bg_keystore *store;
	struct script script;
	int64_t now = T0;

	setup(&script, &store);
	script.oauth_place = true;
	bg_keystore_step(store, AT(now));
	ck_assert(knows(store, BG_MINT_KEY_A, now));
	ck_assert_int_eq(script.discovered, 2);
	bg_keystore_step(store, AT(now + 600000));	/* and is asked for there first from then on */
	ck_assert_int_eq(script.discovered, 3);
	/* down is not missing: the other place is not asked, and the set that is there stays */
	script.discovery = NULL;
	bg_keystore_step(store, AT(now + 1200000));
	ck_assert_int_eq(script.discovered, 4);
	ck_assert(knows(store, BG_MINT_KEY_A, now + 1200000));
	teardown(&script, store);
}
END_TEST

START_TEST(the_place_of_the_set_is_looked_up_anew_when_it_fails_there)
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	bg_keystore_step(store, AT(T0));
	ck_assert_int_eq(script.discovered, 1);
	bg_keystore_want(store);
	bg_keystore_step(store, AT(T0 + 1000));
	ck_assert_int_eq(script.discovered, 1);		/* within the life of the document */
	free(script.jwks);
	script.jwks = NULL;
	bg_keystore_want(store);
	bg_keystore_step(store, AT(T0 + 2000));
	ck_assert_int_eq(script.discovered, 1);
	script.jwks = jwks_of(BG_MINT_KEY_B);
	bg_keystore_want(store);
	bg_keystore_step(store, AT(T0 + 3000));
	ck_assert_int_eq(script.discovered, 2);
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 3000));
	teardown(&script, store);
}
END_TEST

/* SR-52: who may send us to an address that is not for everybody. */
static const struct { const char *name, *discovery, *uri; bool private_peer, public_only; } addresses[] = {
	{ "another host", DISCOVERY, NULL, false, true },
	{ "another host, of an issuer on a private address itself", DISCOVERY, NULL, true, false },
	{ "the issuer's own", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" ISSUER "keys\"}", NULL, false, false },
	{ "the issuer's own on another port", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://issuer.example:22/keys\"}",
	    NULL, false, true },
	{ "a host that begins like the issuer's", "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://issuer.example.evil.example/\"}",
	    NULL, false, true },
	{ "what the operator said", NULL, "https://10.0.0.1/keys", false, false },
};

START_TEST(only_a_private_issuer_names_a_private_place)	/* SR-52 */
{
	struct bg_keystore *store;
	struct script script;

	prepare(&script);
	script.discovery = addresses[_i].discovery;
	script.private_peer = addresses[_i].private_peer;
	script.options.source.jwks_uri = addresses[_i].uri;
	script.wants_public = !addresses[_i].public_only;
	store = make_store(&script);
	bg_keystore_step(store, AT(T0));
	ck_assert_int_eq(script.asked, 1);
	ck_assert_msg(script.wants_public == addresses[_i].public_only, "%s", addresses[_i].name);
	/* remembered with the place itself */
	script.wants_public = !addresses[_i].public_only;
	bg_keystore_want(store);
	bg_keystore_step(store, AT(T0 + 1000));
	ck_assert_msg(script.wants_public == addresses[_i].public_only, "%s, again", addresses[_i].name);
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
	/* it serves for its lifetime and stale_if_error beyond that, and not a millisecond longer; RFC 5861 section 4 */
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + (600 + 86400) * INT64_C(1000) - 1));
	ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_A), T0 + (600 + 86400) * INT64_C(1000)), BG_R_NO_KEYS);
	script.discovery = DISCOVERY;
	serve(&script, BG_MINT_KEY_A);
	bg_keystore_step(store, AT(T0 + (600 + 86400) * INT64_C(1000)));
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + (600 + 86400) * INT64_C(1000)));	/* back by itself */
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

	setup(&script, &store);
	bg_keystore_step(store, AT(T0));
	ck_assert_int_eq(script.asked, 1);
	for (int64_t now = T0; now < T0 + 59000; now += 10) {
		char kid[32];

		bg_format(kid, sizeof(kid), "made-up-%" PRId64, now);
		ck_assert_int_eq(lookup(store, kid, now), BG_R_UNKNOWN_KEY);
		bg_keystore_step(store, AT(now));
	}
	ck_assert_int_eq(script.asked, 3);	/* at once, and at 30 s; the next one would be at 60 s */
	teardown(&script, store);
}
END_TEST

START_TEST(one_unknown_kid_is_not_asked_for_again_and_again)	/* SR-50 */
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	bg_keystore_step(store, AT(T0));
	for (int64_t now = T0; now < T0 + 119000; now += 100) {
		ck_assert_int_eq(lookup(store, "made-up", now), BG_R_UNKNOWN_KEY);
		bg_keystore_step(store, AT(now));
	}
	ck_assert_int_eq(script.asked, 3);	/* at once, and at 60 s: two cooldowns */
	/* others are not held back by it for longer than the cooldown */
	ck_assert_int_eq(lookup(store, "another", T0 + 119000), BG_R_UNKNOWN_KEY);
	bg_keystore_step(store, AT(T0 + 119000));
	ck_assert_int_eq(script.asked, 4);
	teardown(&script, store);
}
END_TEST

START_TEST(a_rotated_key_is_found_at_its_first_token)	/* users.md row 1 */
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	bg_keystore_step(store, AT(T0));
	serve(&script, BG_MINT_KEY_B);
	ck_assert(!knows(store, BG_MINT_KEY_B, T0 + 1));	/* this call asks for the fetch */
	bg_keystore_step(store, AT(T0 + 1));
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 1));
	ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_A), T0 + 1), BG_R_UNKNOWN_KEY);	/* withdrawn is refused (SR-41) */
	/* the next rotation is found a cooldown later, and not before */
	serve(&script, BG_MINT_KEY_A);
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 30000));
	bg_keystore_step(store, AT(T0 + 30000));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 30001));
	bg_keystore_step(store, AT(T0 + 30001));
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + 30001));
	teardown(&script, store);
}
END_TEST

START_TEST(an_unknown_kid_is_no_fault_of_the_token_while_the_issuer_is_down)
{
	struct bg_keystore *store;
	struct script script;
	int64_t now = T0;

	setup(&script, &store);
	now += bg_keystore_step(store, AT(now));
	free(script.jwks);
	script.jwks = NULL;
	now += bg_keystore_step(store, AT(now));
	ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_B), now), BG_R_NO_KEYS);	/* a 503, to be tried again */
	ck_assert(knows(store, BG_MINT_KEY_A, now));
	script.jwks = jwks_of(BG_MINT_KEY_A);
	bg_keystore_step(store, AT(now));
	ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_B), now), BG_R_UNKNOWN_KEY);	/* it was asked, and has none */
	teardown(&script, store);
}
END_TEST

START_TEST(all_who_wait_share_the_first_fetch)
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	pthread_mutex_lock(&script.gate);	/* the issuer hangs */
	start_thread(&script, store);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_A), bg_clock_mono_ms()), BG_R_KEYS_PENDING);
	pthread_mutex_unlock(&script.gate);
	await(&script, store, BG_MINT_KEY_A, BG_R_OK);
	ck_assert_int_eq(script.asked, 1);
	teardown(&script, store);
}
END_TEST

START_TEST(all_who_wait_for_a_new_kid_share_one_fetch)	/* SR-50 */
{
	struct bg_keystore *store;
	struct script script;

	setup(&script, &store);
	start_thread(&script, store);
	await(&script, store, BG_MINT_KEY_A, BG_R_OK);
	serve(&script, BG_MINT_KEY_B);
	pthread_mutex_lock(&script.gate);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_B), bg_clock_mono_ms()), BG_R_KEYS_PENDING);
	pthread_mutex_unlock(&script.gate);
	await(&script, store, BG_MINT_KEY_B, BG_R_OK);
	ck_assert_int_eq(script.asked, 2);
	teardown(&script, store);
}
END_TEST

START_TEST(a_known_kid_is_not_delayed_by_an_issuer_that_hangs)	/* SR-51 */
{
	struct bg_keystore *store;
	struct script script;
	struct bg_jwks *set;

	setup(&script, &store);
	start_thread(&script, store);
	await(&script, store, BG_MINT_KEY_A, BG_R_OK);
	pthread_mutex_lock(&script.gate);
	ck_assert_int_eq(lookup(store, "made-up", bg_clock_mono_ms()), BG_R_KEYS_PENDING);
	/* this test would hang here, and so fail, if the answer waited for the fetch */
	ck_assert(knows(store, BG_MINT_KEY_A, bg_clock_mono_ms()));
	ck_assert_int_eq(bg_keystore_keys(store, NO_KID, bg_clock_mono_ms(), &set, NULL), 0);
	bg_jwks_unref(set);
	pthread_mutex_unlock(&script.gate);
	teardown(&script, store);
}
END_TEST

START_TEST(the_time_that_a_failure_took_is_not_slept_again)
{
	struct bg_keystore *store;
	struct script script;
	int64_t failed;

	setup(&script, &store);
	script.discovery = NULL;
	script.slow = 10000;
	start_thread(&script, store);
	await_change(&script);
	failed = bg_clock_mono_ms();
	/* it comes back in a second and a quarter; until it does, whoever asks is told to wait for it */
	await_change(&script);
	ck_assert_int_ge(script.discovered, 2);
	ck_assert_int_le(atomic_load(&script.asked_at) - failed, 9000);
	teardown(&script, store);
}
END_TEST

/* The set on disk. */

static void
on_disk(struct script *script, struct bg_test_dir *dir)
{
	prepare(script);
	bg_test_dir_make(dir);
	script->options.cache_dir = dir->path;
}

/* Fetch once and end, so that a set of this moment is on disk. */
static void
leave_on_disk(struct script *script, int64_t at)
{
	struct bg_keystore *store = make_store(script);

	bg_keystore_want(store);
	bg_keystore_step(store, AT(at));
	bg_keystore_free(store);
}

START_TEST(a_restart_begins_with_the_set_on_disk)	/* users.md row 2 */
{
	struct bg_keystore_status status;
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;

	on_disk(&script, &dir);
	leave_on_disk(&script, T0);
	ck_assert_int_eq(script.asked, 1);
	script.discovery = NULL;		/* and now the issuer is down */
	store = make_store(&script);
	bg_keystore_restore(store, AT(T0 + 1000000));
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + 1000000));
	bg_keystore_status(store, AT(T0 + 1000000), &status);
	ck_assert(status.from_disk);
	ck_assert_int_eq(status.fetched, WALL);
	ck_assert_int_eq(status.serves_until, WALL + 600 + 86400);
	ck_assert_str_eq(status.jwks_uri, "https://keys.example/jwks");
	ck_assert_uint_eq(bg_jwks_count(status.keys), 1);
	bg_keystore_status_clear(&status);
	/* its age counts from the fetch, not from the restart */
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + (600 + 86400) * INT64_C(1000) - 1));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + (600 + 86400) * INT64_C(1000)));
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_fresh_set_on_disk_is_not_fetched_again)
{
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;
	int64_t wait;

	on_disk(&script, &dir);
	leave_on_disk(&script, T0);
	store = make_store(&script);
	bg_keystore_restore(store, AT(T0 + 100000));
	wait = bg_keystore_step(store, AT(T0 + 100000));
	ck_assert_int_eq(script.asked, 1);
	ck_assert_int_le(wait, 440000);		/* what is left of its life */
	/* when it is due it is asked for conditionally, if it came with a tag */
	bg_keystore_step(store, AT(T0 + 100000 + wait));
	ck_assert_int_eq(script.asked, 2);
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_set_that_another_process_fetched_is_taken_up)
{
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;

	on_disk(&script, &dir);
	store = make_store(&script);
	bg_keystore_step(store, AT(T0));
	serve(&script, BG_MINT_KEY_B);
	leave_on_disk(&script, T0 + 590000);
	ck_assert_int_eq(script.asked, 2);
	bg_keystore_step(store, AT(T0 + 600000));
	ck_assert_int_eq(script.asked, 2);
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 600000));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 600000));
	/* who asks for the source itself gets it */
	bg_keystore_want(store);
	bg_keystore_step(store, AT(T0 + 600001));
	ck_assert_int_eq(script.asked, 3);
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_failure_on_disk_does_not_hide_the_set)
{
	struct bg_keystore_status status;
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;

	on_disk(&script, &dir);
	store = make_store(&script);
	bg_keystore_step(store, AT(T0));
	script.discovery = NULL;
	bg_keystore_step(store, AT(T0 + 600000));
	bg_keystore_free(store);
	store = make_store(&script);
	bg_keystore_restore(store, AT(T0 + 601000));
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + 601000));
	bg_keystore_status(store, AT(T0 + 601000), &status);
	ck_assert_int_eq(status.failed, WALL + 600);
	ck_assert_str_eq(status.error, "down");
	bg_keystore_status_clear(&status);
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_set_on_disk_that_is_too_old_or_from_the_future_is_not_used)
{
	static const int64_t ages[] = { (600 + 86400) * INT64_C(1000), INT64_C(-301000) };

	for (int i = 0; i < N(ages); i++) {
		struct bg_keystore *store;
		struct bg_test_dir dir;
		struct script script;

		on_disk(&script, &dir);
		leave_on_disk(&script, T0);
		store = make_store(&script);
		bg_log_open(2, BG_LOG_ERROR);
		bg_keystore_restore(store, AT(T0 + ages[i]));
		ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_A), T0 + ages[i]), BG_R_NO_KEYS);
		teardown(&script, store);
		bg_test_dir_remove(&dir);
	}
}
END_TEST

START_TEST(a_set_from_before_the_clock_was_set_back_does_not_come_again)	/* SR-41 */
{
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;

	on_disk(&script, &dir);
	leave_on_disk(&script, T0 + 100000);
	store = make_store(&script);
	serve(&script, BG_MINT_KEY_B);		/* A was withdrawn; the clock is 100 seconds back */
	bg_keystore_want(store);
	bg_keystore_step(store, AT(T0));
	ck_assert(knows(store, BG_MINT_KEY_B, T0));
	/* as if another process, with the clock of before, wrote what it had */
	serve(&script, BG_MINT_KEY_A);
	leave_on_disk(&script, T0 + 100000);
	serve(&script, BG_MINT_KEY_B);
	bg_keystore_restore(store, AT(T0 + 50000));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 50000));
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

static bool
is_on_disk(const struct bg_test_dir *dir)
{
	static const struct bg_keyrecord_owner owner = { ISSUER, "" };
	struct bg_keyrecord record;
	bool there;

	bg_keyrecord_init(&record);
	there = bg_keycache_read(dir->path, &owner, &record, NULL) == 0 && record.fetched != 0;
	bg_keyrecord_clear(&record);
	return there;
}

START_TEST(of_two_sets_of_one_millisecond_the_one_on_disk_is_taken)	/* SR-41 */
{
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;

	on_disk(&script, &dir);
	store = make_store(&script);
	bg_keystore_step(store, AT(T0));
	serve(&script, BG_MINT_KEY_B);
	leave_on_disk(&script, T0);		/* another process, whose fetch began when ours was written */
	bg_keystore_restore(store, AT(T0));
	ck_assert(knows(store, BG_MINT_KEY_B, T0));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0));
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_running_store_takes_up_what_comes_on_disk)
{
	struct bg_keystore *store, *other;
	struct bg_test_dir dir;
	struct script script;

	on_disk(&script, &dir);
	store = make_store(&script);
	start_thread(&script, store);
	await(&script, store, BG_MINT_KEY_A, BG_R_OK);
	while (!is_on_disk(&dir))		/* it is told of its own record, too */
		await_change(&script);
	/* "bearergate keys --refresh", say, after a key was withdrawn, and perhaps within the same second */
	serve(&script, BG_MINT_KEY_B);
	other = make_store(&script);
	bg_keystore_want(other);
	bg_keystore_step(other, bg_clock_now());
	bg_keystore_free(other);
	/* nobody asks for a kid it does not know, so that all it learns is from the disk; the withdrawn one is refused (SR-41) */
	while (knows(store, BG_MINT_KEY_A, bg_clock_mono_ms()))
		await_change(&script);
	ck_assert(knows(store, BG_MINT_KEY_B, bg_clock_mono_ms()));
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_set_from_the_future_does_not_keep_its_place_on_disk)
{
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;

	on_disk(&script, &dir);
	bg_log_open(2, BG_LOG_ERROR);
	leave_on_disk(&script, T0 + 3600000);	/* the clock was an hour fast */
	script.discovery = NULL;
	leave_on_disk(&script, T0);		/* a failure is no reason to throw a set away */
	store = make_store(&script);
	bg_keystore_restore(store, AT(T0 + 3600000));
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + 3600000));
	bg_keystore_free(store);

	script.discovery = DISCOVERY;
	serve(&script, BG_MINT_KEY_B);
	leave_on_disk(&script, T0);
	store = make_store(&script);
	bg_keystore_restore(store, AT(T0 + 1000));
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 1000));
	/* nor is the withdrawn key back when that hour has come */
	bg_keystore_step(store, AT(T0 + 3601000));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 3601000));
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_look_at_the_disk_wakes_whoever_was_told_to_wait_meanwhile)
{
	char path[2048];
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;
	struct bg_slice text;
	struct bg_buf buf;

	on_disk(&script, &dir);
	store = make_store(&script);
	start_thread(&script, store);
	await(&script, store, BG_MINT_KEY_A, BG_R_OK);
	bg_buf_init(&buf, sizeof(path));
	ck_assert_int_eq(bg_keycache_path(dir.path, &(struct bg_keyrecord_owner){ ISSUER, "" }, &buf, NULL), 0);
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	snprintf(path, sizeof(path), "%s", text.ptr);
	bg_buf_clear(&buf);
	while (access(path, F_OK) != 0)
		(void)poll(NULL, 0, 5);
	(void)poll(NULL, 0, 200);
	while (sem_trywait(&script.changed) == 0)
		continue;
	ck_assert_int_eq(chmod(path, 0600), 0);		/* the same set */
	await_change(&script);
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

static int log_ends[2];
static atomic_int told, given_up_at;	/* how often whoever waits was told to ask again, and by which time the disk was given up */

/* In the store's thread. */
static void
on_change_and_the_log(void *arg)
{
	int times = atomic_fetch_add(&told, 1) + 1;
	char text[4096] = "";

	if (read(log_ends[0], text, sizeof(text) - 1) > 0 && strstr(text, "another process keeps it") != NULL)
		atomic_store(&given_up_at, times);
	on_change(arg);
}

START_TEST(nobody_waits_for_the_disk)
{
	char path[2048];
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;
	int fd;

	on_disk(&script, &dir);
	bg_format(path, sizeof(path), "%s/lock", dir.path);
	ck_assert_int_ne(fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), -1);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);	/* for which writing waits a second, and says so */
	ck_assert_int_eq(pipe2(log_ends, O_CLOEXEC | O_NONBLOCK), 0);
	bg_log_open(log_ends[1], BG_LOG_WARNING);
	store = make_store(&script);
	ck_assert_int_eq(bg_keystore_start(store, on_change_and_the_log, &script, NULL), 0);
	await_change(&script);
	ck_assert(knows(store, BG_MINT_KEY_A, bg_clock_mono_ms()));
	while (atomic_load(&given_up_at) == 0)
		await_change(&script);
	ck_assert_int_gt(atomic_load(&given_up_at), 1);
	teardown(&script, store);
	bg_log_open(STDERR_FILENO, BG_LOG_ERROR);
	close(log_ends[0]);
	close(log_ends[1]);
	close(fd);
	bg_test_dir_remove(&dir);
}
END_TEST

/* Keys from a file of ours. */

START_TEST(a_file_of_keys_is_read_again_when_it_changes)
{
	struct bg_keystore *store;
	struct bg_test_dir dir;
	struct script script;
	char path[2048], next[2048];

	prepare(&script);
	bg_test_dir_make(&dir);
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, "keys.json"));
	snprintf(next, sizeof(next), "%s", bg_test_file(&dir, "next.json"));
	bg_test_file_write(&dir, "keys.json", script.jwks, strlen(script.jwks));
	script.options.source.jwks_file = path;
	store = make_store(&script);
	start_thread(&script, store);
	await(&script, store, BG_MINT_KEY_A, BG_R_OK);

	serve(&script, BG_MINT_KEY_B);		/* by rename */
	bg_test_file_write(&dir, "next.json", script.jwks, strlen(script.jwks));
	ck_assert_int_eq(rename(next, path), 0);
	await(&script, store, BG_MINT_KEY_B, BG_R_OK);
	await(&script, store, BG_MINT_KEY_A, BG_R_UNKNOWN_KEY);

	serve(&script, BG_MINT_KEY_P256);	/* in place */
	bg_test_file_write(&dir, "keys.json", script.jwks, strlen(script.jwks));
	await(&script, store, BG_MINT_KEY_P256, BG_R_OK);

	bg_test_file_write(&dir, "keys.json", "{}", 2);	/* broken: the good one stays */
	await_change(&script);
	ck_assert(knows(store, BG_MINT_KEY_P256, bg_clock_mono_ms()));
	ck_assert_int_eq(unlink(path), 0);	/* gone: the same */
	await_change(&script);
	ck_assert(knows(store, BG_MINT_KEY_P256, bg_clock_mono_ms()));

	serve(&script, BG_MINT_KEY_A);		/* back */
	bg_test_file_write(&dir, "keys.json", script.jwks, strlen(script.jwks));
	await(&script, store, BG_MINT_KEY_A, BG_R_OK);
	ck_assert_int_eq(script.asked, 0);
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

/* A store that takes over from another one. */
static struct bg_keystore *
successor(struct script *script, struct bg_keystore *old, int64_t now)
{
	struct bg_keystore *store = make_store(script);

	ck_assert_int_eq(bg_keystore_take_over(store, old, AT(now), NULL), 0);
	return store;
}

START_TEST(a_store_takes_over_the_keys_of_another_and_their_age)
{
	struct bg_keystore_status before, after;
	struct bg_keystore *old, *store;
	struct script script;
	int64_t wait;

	setup(&script, &old);
	script.etag = "\"1\"";
	wait = bg_keystore_step(old, AT(T0));
	script.discovery = NULL;		/* and now the issuer is down */
	store = successor(&script, old, T0 + 100000);
	bg_keystore_status(old, AT(T0 + 100000), &before);
	bg_keystore_status(store, AT(T0 + 100000), &after);
	ck_assert_ptr_eq(after.keys, before.keys);
	ck_assert_str_eq(after.jwks_uri, "https://keys.example/jwks");
	ck_assert_int_eq(after.fetched, before.fetched);
	ck_assert_int_eq(after.next, before.next);
	ck_assert_int_eq(after.serves_until, before.serves_until);
	bg_keystore_status_clear(&before);
	bg_keystore_status_clear(&after);
	bg_keystore_free(old);

	ck_assert(knows(store, BG_MINT_KEY_A, T0 + 100000));
	ck_assert_int_eq(bg_keystore_step(store, AT(T0 + 100000)), wait - 100000);
	ck_assert_int_eq(script.asked, 1);	/* nobody asks before it is due */
	script.discovery = DISCOVERY;
	bg_keystore_step(store, AT(T0 + wait));
	ck_assert_int_eq(script.asked, 2);
	ck_assert_int_eq(script.confirmed, 1);	/* conditionally, as the old one would have */
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + wait + (600 + 86400) * INT64_C(1000) - 1));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + wait + (600 + 86400) * INT64_C(1000)));
	teardown(&script, store);
}
END_TEST

static const struct { const char *name, *issuer, *uri, *file; } others[] = {
	{ "another issuer",   "https://other.example/", NULL,                         NULL },
	{ "another jwks_uri", ISSUER,                   "https://other.example/jwks", NULL },
	{ "a file",           ISSUER,                   NULL,                         "/nonexistent/keys" },
};

START_TEST(keys_of_another_issuer_or_source_are_not_taken_over)	/* SR-46 */
{
	struct bg_keystore *old, *store;
	struct script script;

	setup(&script, &old);
	bg_keystore_step(old, AT(T0));
	script.options.source.issuer = others[_i].issuer;
	script.options.source.jwks_uri = others[_i].uri;
	script.options.source.jwks_file = others[_i].file;
	store = successor(&script, old, T0);
	ck_assert_msg(!knows(store, BG_MINT_KEY_A, T0), "%s", others[_i].name);
	bg_keystore_free(old);
	teardown(&script, store);
}
END_TEST

START_TEST(what_is_taken_over_obeys_the_bounds_of_now)
{
	struct bg_keystore *old, *store;
	struct script script;

	setup(&script, &old);
	bg_keystore_step(old, AT(T0));
	script.options.source.cache_ttl_max = 100;
	script.options.stale_if_error = 200;
	store = successor(&script, old, T0 + 50000);
	ck_assert_int_le(bg_keystore_step(store, AT(T0 + 50000)), 50000);
	ck_assert(knows(store, BG_MINT_KEY_A, T0 + 300000 - 1));
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 300000));
	bg_keystore_free(store);
	store = successor(&script, old, T0 + 300000);
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 300000));
	ck_assert(knows(old, BG_MINT_KEY_A, T0 + 300000));
	bg_keystore_free(old);
	teardown(&script, store);
}
END_TEST

START_TEST(unknown_kids_stay_known_as_such_when_a_store_takes_over)	/* SR-50 */
{
	struct bg_keystore *old, *store;
	struct script script;
	int64_t now;

	setup(&script, &old);
	start_thread(&script, old);
	await(&script, old, BG_MINT_KEY_A, BG_R_OK);
	while (lookup(old, "nobody's", bg_clock_mono_ms()) == BG_R_KEYS_PENDING)
		await_change(&script);
	ck_assert_int_eq(script.asked, 2);
	now = bg_clock_mono_ms();
	store = successor(&script, old, now);
	bg_keystore_free(old);
	start_thread(&script, store);
	ck_assert_int_eq(lookup(store, "nobody's", now), BG_R_UNKNOWN_KEY);
	ck_assert_int_eq(lookup(store, "another", now), BG_R_UNKNOWN_KEY);
	ck_assert_int_eq(lookup(store, "nobody's", now + 31000), BG_R_UNKNOWN_KEY);
	ck_assert_int_eq(script.asked, 2);
	ck_assert_int_eq(lookup(store, "another", now + 31000), BG_R_KEYS_PENDING);
	teardown(&script, store);
}
END_TEST

START_TEST(what_the_old_store_was_fetching_the_new_one_fetches)
{
	struct bg_keystore *old, *store;
	struct script script;

	setup(&script, &old);
	start_thread(&script, old);
	await(&script, old, BG_MINT_KEY_A, BG_R_OK);
	pthread_mutex_lock(&script.gate);	/* the issuer hangs, in the middle of a rotation */
	serve(&script, BG_MINT_KEY_B);
	ck_assert_int_eq(lookup(old, bg_mint_kid(BG_MINT_KEY_B), bg_clock_mono_ms()), BG_R_KEYS_PENDING);
	while (atomic_load(&script.asked) < 2)
		sched_yield();
	store = successor(&script, old, bg_clock_mono_ms());
	start_thread(&script, store);
	/* its token is neither refused nor does it wait in vain, and the known key is as good as ever */
	ck_assert_int_eq(lookup(store, bg_mint_kid(BG_MINT_KEY_B), bg_clock_mono_ms()), BG_R_KEYS_PENDING);
	ck_assert(knows(store, BG_MINT_KEY_A, bg_clock_mono_ms()));
	bg_keystore_stop(old);			/* does not wait */
	pthread_mutex_unlock(&script.gate);
	bg_keystore_free(old);
	await(&script, store, BG_MINT_KEY_B, BG_R_OK);
	ck_assert_int_eq(script.asked, 3);
	teardown(&script, store);
}
END_TEST

START_TEST(a_store_that_takes_over_a_failure_tries_at_once)
{
	struct bg_keystore *old, *store;
	struct script script;

	setup(&script, &old);
	bg_keystore_step(old, AT(T0));
	script.discovery = NULL;
	free(script.jwks);
	script.jwks = NULL;
	bg_keystore_want(old);
	bg_keystore_step(old, AT(T0 + 1000));
	ck_assert_int_eq(script.asked, 2);
	store = successor(&script, old, T0 + 1000);
	/* the token of an unknown key may be good: so much is known */
	ck_assert_int_eq(lookup(store, "unknown", T0 + 1000), BG_R_NO_KEYS);
	ck_assert_str_eq(status_error(store), "down");
	bg_keystore_free(store);
	store = successor(&script, old, T0 + 1000);
	script.discovery = DISCOVERY;
	serve(&script, BG_MINT_KEY_B);
	bg_keystore_step(store, AT(T0 + 1000));
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 1000));
	bg_keystore_free(old);
	teardown(&script, store);
}
END_TEST

START_TEST(a_file_is_read_again_when_a_store_takes_over)	/* SR-41 */
{
	struct bg_keystore *old, *store;
	struct bg_test_dir dir;
	struct script script;
	char path[2048];

	prepare(&script);
	bg_test_dir_make(&dir);
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, "keys.json"));
	bg_test_file_write(&dir, "keys.json", script.jwks, strlen(script.jwks));
	script.options.source.jwks_file = path;
	old = make_store(&script);
	bg_keystore_step(old, AT(T0));
	ck_assert(knows(old, BG_MINT_KEY_A, T0));
	serve(&script, BG_MINT_KEY_B);
	bg_test_file_write(&dir, "keys.json", script.jwks, strlen(script.jwks));
	store = successor(&script, old, T0 + 1000);
	ck_assert(!knows(store, BG_MINT_KEY_A, T0 + 1000));
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 1000));
	bg_keystore_free(old);

	bg_test_file_write(&dir, "keys.json", "{}", 2);	/* broken: the good one stays */
	old = store;
	store = successor(&script, old, T0 + 2000);
	ck_assert(knows(store, BG_MINT_KEY_B, T0 + 2000));
	bg_keystore_free(old);
	teardown(&script, store);
	bg_test_dir_remove(&dir);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("keystore");
	TCase *tc = tcase_create("keystore");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, no_keys_is_a_503_and_never_an_answer);
	tcase_add_test(tc, an_issuer_that_comes_up_late_is_found);
	tcase_add_loop_test(tc, a_set_lives_as_long_as_the_issuer_says_within_bounds, 0, N(lifetimes));
	tcase_add_test(tc, refreshes_of_many_machines_do_not_keep_step);
	tcase_add_test(tc, a_bad_answer_never_replaces_a_good_set);
	tcase_add_test(tc, a_refresh_is_conditional_where_the_issuer_gives_an_etag);
	tcase_add_test(tc, a_tag_belongs_to_the_place_that_gave_it);
	tcase_add_test(tc, what_was_not_there_is_not_confirmed);
	tcase_add_test(tc, a_confirmation_without_a_lifetime_leaves_that_of_the_set);
	tcase_add_test(tc, a_confirmation_of_a_set_that_grew_stale_brings_it_back);
	tcase_add_test(tc, a_document_of_another_issuer_is_not_followed);
	tcase_add_test(tc, the_document_is_found_where_rfc_8414_has_it);
	tcase_add_test(tc, the_place_of_the_set_is_looked_up_anew_when_it_fails_there);
	tcase_add_loop_test(tc, only_a_private_issuer_names_a_private_place, 0, N(addresses));
	tcase_add_test(tc, unknown_kids_cause_one_fetch_per_cooldown);
	tcase_add_test(tc, one_unknown_kid_is_not_asked_for_again_and_again);
	tcase_add_test(tc, a_rotated_key_is_found_at_its_first_token);
	tcase_add_test(tc, an_unknown_kid_is_no_fault_of_the_token_while_the_issuer_is_down);
	tcase_add_test(tc, all_who_wait_share_the_first_fetch);
	tcase_add_test(tc, all_who_wait_for_a_new_kid_share_one_fetch);
	tcase_add_test(tc, a_known_kid_is_not_delayed_by_an_issuer_that_hangs);
	tcase_add_test(tc, the_time_that_a_failure_took_is_not_slept_again);
	tcase_add_test(tc, a_restart_begins_with_the_set_on_disk);
	tcase_add_test(tc, a_fresh_set_on_disk_is_not_fetched_again);
	tcase_add_test(tc, a_set_that_another_process_fetched_is_taken_up);
	tcase_add_test(tc, a_failure_on_disk_does_not_hide_the_set);
	tcase_add_test(tc, a_set_on_disk_that_is_too_old_or_from_the_future_is_not_used);
	tcase_add_test(tc, a_set_from_before_the_clock_was_set_back_does_not_come_again);
	tcase_add_test(tc, of_two_sets_of_one_millisecond_the_one_on_disk_is_taken);
	tcase_add_test(tc, a_running_store_takes_up_what_comes_on_disk);
	tcase_add_test(tc, a_set_from_the_future_does_not_keep_its_place_on_disk);
	tcase_add_test(tc, a_look_at_the_disk_wakes_whoever_was_told_to_wait_meanwhile);
	tcase_add_test(tc, nobody_waits_for_the_disk);
	tcase_add_test(tc, a_file_of_keys_is_read_again_when_it_changes);
	tcase_add_test(tc, a_store_takes_over_the_keys_of_another_and_their_age);
	tcase_add_loop_test(tc, keys_of_another_issuer_or_source_are_not_taken_over, 0, N(others));
	tcase_add_test(tc, what_is_taken_over_obeys_the_bounds_of_now);
	tcase_add_test(tc, unknown_kids_stay_known_as_such_when_a_store_takes_over);
	tcase_add_test(tc, what_the_old_store_was_fetching_the_new_one_fetches);
	tcase_add_test(tc, a_store_that_takes_over_a_failure_tries_at_once);
	tcase_add_test(tc, a_file_is_read_again_when_a_store_takes_over);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
