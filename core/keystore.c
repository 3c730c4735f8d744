#include "core/keystore.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "core/clock.h"
#include "core/discovery.h"
#include "core/limits.h"
#include "core/log.h"

#define SECOND		INT64_C(1000)		/* times in here are milliseconds of the monotonic clock */
#define STALE_IF_ERROR	(24 * 3600 * SECOND)	/* how long the last good set serves while the issuer does not answer */
#define BACKOFF_MAX	(60 * SECOND)		/* between two tries of our own */

struct bg_keystore {
	struct bg_keystore_options options;	/* set before the threads start, read only after */
	pthread_t       thread;
	bool            has_thread;

	pthread_mutex_t lock;		/* guards the members below; never held while fetching */
	pthread_cond_t  wake;		/* a fetch is wanted now, or the end has come */
	pthread_cond_t  fetched;	/* a fetch has ended, well or not */
	struct bg_jwks *keys;		/* the snapshot in use; the store holds one reference */
	int64_t         good_until;	/* keys may serve till then */
	int64_t         next_fetch;	/* no fetch begins before this */
	int64_t         last_fetch;	/* when the last one began: strangers wait for refresh_cooldown from here */
	unsigned        failures;	/* in a row */
	uint64_t        fetches;	/* ended ones; waiters watch it move */
	unsigned        waiters;
	bool            fetching;
	bool            stop;
};

int
bg_keystore_new(struct bg_keystore **out, const struct bg_keystore_options *options, struct bg_error *err)
{
	struct bg_keystore *store = calloc(1, sizeof(*store));
	pthread_condattr_t attr;

	*out = NULL;
	if (store == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "key store");
	store->options = *options;
	store->last_fetch = INT64_MIN / 2;
	pthread_mutex_init(&store->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &attr);
	pthread_cond_init(&store->fetched, &attr);
	pthread_condattr_destroy(&attr);
	*out = store;
	return 0;
}

void
bg_keystore_free(struct bg_keystore *store)
{
	if (store == NULL)
		return;
	if (store->has_thread) {
		pthread_mutex_lock(&store->lock);
		store->stop = true;
		pthread_cond_signal(&store->wake);
		pthread_mutex_unlock(&store->lock);
		pthread_join(store->thread, NULL);
	}
	bg_jwks_unref(store->keys);
	pthread_cond_destroy(&store->fetched);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

/* Bring the key set from where it is.  Runs without the lock. */
static int
fetch_keys(const struct bg_keystore_options *options, struct bg_jwks **out, int64_t *max_age, struct bg_error *err)
{
	const struct bg_fetcher *fetcher = options->jwks_file != NULL ? &bg_fetch_file : options->fetcher;
	const char *source = options->jwks_file != NULL ? options->jwks_file : options->jwks_uri;
	struct bg_fetch_request request = { .timeout = options->fetch_timeout };
	struct bg_fetch_meta meta = { .max_age = -1 };
	struct bg_slice text, location;
	struct bg_buf url, body;
	int rc = -1;

	*out = NULL;
	*max_age = -1;
	bg_buf_init(&url, BG_URL_MAX);
	bg_buf_init(&body, BG_FETCH_MAX);
	if (source == NULL) {
		bg_discovery_url(bg_slice_str(options->issuer), &url);
		if (bg_buf_finish(&url, &location, err) != 0)
			goto out;
		request.location = location.ptr;
		if (fetcher->get(fetcher, &request, &body, &meta, err) != 0 ||
		    bg_buf_finish(&body, &text, err) != 0)
			goto out;
		bg_buf_reset(&url);
		if (bg_discovery_read(text, bg_slice_str(options->issuer), &url, err) != 0 ||
		    bg_buf_finish(&url, &location, err) != 0)
			goto out;
		source = location.ptr;
		bg_buf_reset(&body);
	}
	request.location = source;
	if (fetcher->get(fetcher, &request, &body, &meta, err) != 0 ||
	    bg_buf_finish(&body, &text, err) != 0 || bg_jwks_parse(text, source, out, err) != 0)
		goto out;
	*max_age = meta.max_age;
	rc = 0;
out:
	bg_buf_clear(&body);
	bg_buf_clear(&url);
	return rc;
}

/* Milliseconds a good set is kept before the next fetch. */
static int64_t
lifetime(const struct bg_keystore_options *options, int64_t max_age)
{
	if (options->jwks_file != NULL)
		return max_age * SECOND;	/* ours to read as often as we like */
	if (max_age < 0 || max_age > options->cache_ttl_max)
		max_age = options->cache_ttl_max;
	return (max_age < options->cache_ttl_min ? options->cache_ttl_min : max_age) * SECOND;
}

/* 1, 2, 4 seconds and so on, with up to a quarter more, so that many machines do not come back in step. */
static int64_t
backoff(const struct bg_keystore *store)
{
	unsigned doublings = store->failures < 7 ? store->failures - 1 : 6;
	int64_t wait = SECOND << doublings;
	uint16_t jitter;

	if (wait > BACKOFF_MAX)
		wait = BACKOFF_MAX;
	if (getrandom(&jitter, sizeof(jitter), 0) != (ssize_t)sizeof(jitter))
		jitter = 0;
	return wait + jitter % (wait / 4);
}

static void
log_outcome(const struct bg_keystore_options *options, const struct bg_jwks *keys, int64_t wait, const struct bg_error *why)
{
	struct bg_slice text;
	struct bg_buf line;

	bg_buf_init(&line, 2048);
	bg_buf_put_str(&line, "keys=");
	bg_log_text(&line, bg_slice_str(options->issuer));
	if (keys != NULL)
		bg_buf_put_format(&line, " fetched=%zu", bg_jwks_count(keys));
	else {
		bg_buf_put_format(&line, " reason=%s", bg_reason_name(why->reason));
		bg_buf_put_str(&line, " detail=");
		bg_log_text(&line, bg_slice_str(why->detail));
	}
	bg_buf_put_format(&line, " next=%" PRId64 "s", (wait + SECOND - 1) / SECOND);
	if (bg_buf_finish(&line, &text, NULL) == 0)
		bg_log(keys != NULL ? BG_LOG_DEBUG : BG_LOG_WARNING, "%s", text.ptr);
	bg_buf_clear(&line);
}

static void
drop_stale(struct bg_keystore *store, int64_t now)
{
	if (store->keys != NULL && now >= store->good_until) {
		bg_jwks_unref(store->keys);
		store->keys = NULL;
	}
}

int64_t
bg_keystore_step(struct bg_keystore *store, struct bg_now reading)
{
	int64_t now = reading.mono_ms;
	struct bg_jwks *keys = NULL, *old = NULL;
	struct bg_error why = { 0 };
	int64_t wait, max_age;

	pthread_mutex_lock(&store->lock);
	drop_stale(store, now);
	if (store->fetching || now < store->next_fetch) {
		wait = store->fetching ? SECOND : store->next_fetch - now;
		pthread_mutex_unlock(&store->lock);
		return wait;
	}
	store->fetching = true;
	store->last_fetch = now;
	pthread_mutex_unlock(&store->lock);

	(void)fetch_keys(&store->options, &keys, &max_age, &why);	/* its failure is keys == NULL */

	pthread_mutex_lock(&store->lock);
	store->fetching = false;
	store->fetches++;
	if (keys != NULL) {
		old = store->keys;
		store->keys = bg_jwks_ref(keys);
		store->good_until = now + STALE_IF_ERROR;
		store->failures = 0;
		wait = lifetime(&store->options, max_age);
	} else {
		store->failures++;
		wait = backoff(store);
	}
	store->next_fetch = now + wait;
	pthread_cond_broadcast(&store->fetched);
	pthread_mutex_unlock(&store->lock);

	log_outcome(&store->options, keys, wait, &why);
	bg_jwks_unref(old);
	bg_jwks_unref(keys);
	return wait;
}

static struct timespec
mono_after(int64_t ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(ms / SECOND);
	ts.tv_nsec += (long)(ms % SECOND) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

static void *
run(void *arg)
{
	struct bg_keystore *store = arg;

	pthread_mutex_lock(&store->lock);
	while (!store->stop) {
		/* next_fetch may have been moved nearer since the last step: so it is read here, under the lock */
		int64_t due = store->next_fetch - bg_clock_mono_ms();

		if (due > 0) {
			struct timespec until = mono_after(due);

			pthread_cond_timedwait(&store->wake, &store->lock, &until);
			continue;
		}
		pthread_mutex_unlock(&store->lock);
		(void)bg_keystore_step(store, bg_clock_now());
		pthread_mutex_lock(&store->lock);
	}
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

int
bg_keystore_start(struct bg_keystore *store, struct bg_error *err)
{
	sigset_t all, before;
	int rc;

	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&store->thread, NULL, run, store);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return bg_fail(err, BG_R_INTERNAL, "no thread for the keys of %s: %s", store->options.issuer, strerror(rc));
	store->has_thread = true;
	return 0;
}

/* Wait, with the lock, until the fetch under way or due has ended, but no longer than fetch_timeout. */
static void
await_fetch(struct bg_keystore *store)
{
	struct timespec until = mono_after(store->options.fetch_timeout * SECOND);
	uint64_t seen = store->fetches;

	if (!store->has_thread || store->waiters >= store->options.max_waiters)
		return;
	store->waiters++;
	while (store->fetches == seen && !store->stop)
		if (pthread_cond_timedwait(&store->fetched, &store->lock, &until) == ETIMEDOUT)
			break;
	store->waiters--;
}

int
bg_keystore_keys(struct bg_keystore *store, struct bg_slice kid, int64_t now, struct bg_jwks **out, struct bg_error *err)
{
	int rc = -1;

	*out = NULL;
	pthread_mutex_lock(&store->lock);
	drop_stale(store, now);
	if (store->keys != NULL && kid.ptr != NULL && !bg_jwks_has_kid(store->keys, kid) && !store->fetching &&
	    now - store->last_fetch >= store->options.refresh_cooldown * SECOND) {
		/* One fetch for all who ask; the next one is a cooldown away whatever comes of it (SR-50). */
		store->next_fetch = now;
		store->last_fetch = now;
		pthread_cond_signal(&store->wake);
		await_fetch(store);
	} else if ((store->keys == NULL && (store->fetching || now >= store->next_fetch)) ||
	    (store->keys != NULL && kid.ptr != NULL && store->fetching && !bg_jwks_has_kid(store->keys, kid)))
		await_fetch(store);
	if (store->keys != NULL) {
		*out = bg_jwks_ref(store->keys);
		rc = 0;
	} else
		bg_fail(err, BG_R_NO_KEYS, "no keys of %s yet, %u fetches failed", store->options.issuer, store->failures);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

int64_t
bg_keystore_retry_after(struct bg_keystore *store, int64_t now)
{
	int64_t wait;

	pthread_mutex_lock(&store->lock);
	wait = store->next_fetch - now;
	pthread_mutex_unlock(&store->lock);
	return wait < SECOND ? 1 : (wait + SECOND - 1) / SECOND;
}
