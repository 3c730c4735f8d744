#include "core/keystore.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/keycache.h"
#include "core/kidmemory.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/secret.h"
#include "core/watch.h"

#define SECOND		INT64_C(1000)		/* times in here are milliseconds of the monotonic clock unless called wall */
#define BACKOFF_MAX	(60 * SECOND)		/* between two tries of our own */
#define AHEAD_MAX	(60 * SECOND)		/* a refresh comes at most so long before the end of a lifetime */
#define WATCH_MS	(5 * SECOND)		/* between two looks at a file where the system does not tell of changes */
#define KID_COOLDOWNS	2			/* cooldowns for which one kid is not asked for again */
#define FUTURE_MAX	(300 * SECOND)		/* by which the clock may have been set back; beyond, a set is not believed */
#define OVERDUE		(2 * SECOND)		/* a thread that is awake and has its share of a processor is never so late */
#define FOR_EVER	(INT64_MAX / 4)

struct bg_keystore {
	struct bg_keystore_options options;	/* set before the threads start, read only after */
	struct bg_keyrecord_owner  owner;
	pthread_t       thread;
	void          (*changed)(void *arg);
	void           *changed_arg;
	struct bg_watch *watch;			/* the thread's own: on jwks_file, or on the record in the cache; or NULL */
	char           *record_path;
	int             bell;			/* an eventfd that wakes the thread */
	int             end;			/* another one, that ends a fetch: readable when the thread is to end */

	/* Of whoever has set fetching, without the lock. */
	struct bg_keysource_memory memory;
	char            disk_error[BG_DETAIL_MAX];	/* what was last written to the log about the cache, so as not to repeat it */

	pthread_mutex_t lock;			/* guards the members below; never held while fetching */
	struct bg_keyrecord record;		/* whoever has set fetching reads it without the lock, since nobody else changes it */
	struct bg_jwks *keys;			/* the snapshot in use; the store holds one reference */
	bool            from_disk;
	int64_t         good_until;		/* keys may serve till then */
	int64_t         next_fetch;		/* no fetch begins before this */
	int64_t         last_asked;		/* when a kid last caused a fetch: strangers wait for refresh_cooldown from here */
	bool            wanted;			/* the next fetch is to ask the source itself, not the disk */
	unsigned        failures;		/* in a row */
	struct bg_kidmemory kids;
	bool            fetching;
	bool            has_thread;
	bool            stop;
};

int
bg_keystore_new(struct bg_keystore **out, const struct bg_keystore_options *options, struct bg_error *err)
{
	struct bg_keystore *store = calloc(1, sizeof(*store));

	*out = NULL;
	if (store == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "key store");
	store->options = *options;
	store->owner.issuer = options->source.issuer;
	store->owner.source = options->source.jwks_uri != NULL ? options->source.jwks_uri : "";
	if (options->source.jwks_file != NULL)
		store->options.cache_dir = NULL;	/* it is on disk already */
	store->last_asked = -FOR_EVER;
	store->bell = store->end = -1;
	bg_keyrecord_init(&store->record);
	pthread_mutex_init(&store->lock, NULL);
	*out = store;
	return 0;
}

/* It is worth asking again. */
static void
tell(const struct bg_keystore *store)
{
	if (store->changed != NULL)
		store->changed(store->changed_arg);
}

/* Wake the thread, if there is one. */
static void
ring(const struct bg_keystore *store)
{
	if (store->bell != -1)
		(void)eventfd_write(store->bell, 1);
}

void
bg_keystore_stop(struct bg_keystore *store)
{
	pthread_mutex_lock(&store->lock);
	store->stop = true;
	pthread_mutex_unlock(&store->lock);
	ring(store);
	if (store->end != -1)
		(void)eventfd_write(store->end, 1);
}

void
bg_keystore_free(struct bg_keystore *store)
{
	if (store == NULL)
		return;
	if (store->has_thread) {
		bg_keystore_stop(store);
		pthread_join(store->thread, NULL);
	}
	if (store->bell != -1)
		close(store->bell);
	if (store->end != -1)
		close(store->end);
	bg_watch_free(store->watch);
	free(store->record_path);
	bg_jwks_unref(store->keys);
	bg_keyrecord_clear(&store->record);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

/* A number below max, at random; 0 is as good when the system has none. */
static int64_t
jitter(int64_t max)
{
	uint32_t n;

	if (max < 1 || getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		return 0;
	return n % max;
}

/*
 * Milliseconds from a good fetch to the next: somewhat before the lifetime ends, so that nothing is ever served beyond it
 * for want of a refresh in time, and not at one time on many machines.
 */
static int64_t
until_refresh(int64_t lifetime)
{
	int64_t ahead = lifetime * SECOND / 10;

	if (ahead > AHEAD_MAX)
		ahead = AHEAD_MAX;
	return lifetime * SECOND - ahead - jitter(ahead / 2);
}

/* 1, 2, 4 seconds and so on, with up to a quarter more, so that many machines do not come back in step. */
static int64_t
backoff(unsigned failures)
{
	int64_t wait = SECOND << (failures < 7 ? failures - 1 : 6);

	if (wait > BACKOFF_MAX)
		wait = BACKOFF_MAX;
	return wait + jitter(wait / 4);
}

/* A set came and was adopted: from its source, or from the disk.  fetching is ours. */
static void
log_set(const struct bg_keystore *store, const struct bg_jwks *keys, const char *how, enum bg_log_level level, int64_t wait)
{
	const char *file = store->options.source.jwks_file;
	struct bg_slice text;
	struct bg_buf line;

	if (!bg_log_wants(level))
		return;
	bg_buf_init(&line, 4096);
	bg_buf_put_str(&line, "keys=");
	bg_log_text(&line, bg_slice_str(store->options.source.issuer));
	bg_buf_put_format(&line, " %s=%zu from=", how, bg_jwks_count(keys));
	bg_log_text(&line, bg_slice_str(file != NULL ? file : store->record.jwks_uri));
	bg_buf_put_format(&line, " next=%" PRId64 "s", (wait + SECOND - 1) / SECOND);
	if (bg_buf_finish(&line, &text, NULL) == 0)
		bg_log(level, "%s", text.ptr);
	bg_buf_clear(&line);
}

/* Something failed; next is the milliseconds until it is tried again, -1 where that is no matter of time. */
static void
log_failure(const struct bg_keystore *store, const struct bg_error *why, int64_t next)
{
	struct bg_slice text;
	struct bg_buf line;

	bg_buf_init(&line, 4096);
	bg_buf_put_str(&line, "keys=");
	bg_log_text(&line, bg_slice_str(store->options.source.issuer));
	bg_buf_put_format(&line, " reason=%s detail=", bg_reason_name(why->reason));
	bg_log_text(&line, bg_slice_str(why->detail));
	if (next >= 0)
		bg_buf_put_format(&line, " next=%" PRId64 "s", (next + SECOND - 1) / SECOND);
	if (bg_buf_finish(&line, &text, NULL) == 0)
		bg_log(BG_LOG_WARNING, "%s", text.ptr);
	bg_buf_clear(&line);
}

/* The cache cannot be used: said when it begins, or becomes another trouble, not at every refresh. */
static void
log_disk(struct bg_keystore *store, const struct bg_error *why)
{
	if (strcmp(store->disk_error, why->detail) == 0)
		return;
	bg_format(store->disk_error, sizeof(store->disk_error), "%s", why->detail);
	log_failure(store, why, -1);
}

static void
drop_stale(struct bg_keystore *store, int64_t now)
{
	if (store->keys != NULL && now >= store->good_until) {
		bg_jwks_unref(store->keys);
		store->keys = NULL;
	}
}

/*
 * Take a set into use.  Takes keys, and leaves in record what was there before.  The lock is held.  Returns whether the
 * set is another one.
 */
static bool
adopt(struct bg_keystore *store, struct bg_now now, struct bg_keyrecord *record, struct bg_jwks *keys, bool from_disk)
{
	int64_t age = now.wall_ms > record->fetched ? now.wall_ms - record->fetched : 0, wait = until_refresh(record->lifetime);
	struct bg_slice old = { store->record.text.data, store->record.text.len }, new = { record->text.data, record->text.len };
	bool other = store->keys == NULL || !bg_slice_equal(old, new);
	struct bg_keyrecord before = store->record;

	bg_jwks_unref(store->keys);
	store->keys = keys;
	store->record = *record;
	*record = before;
	store->from_disk = from_disk;
	store->good_until = now.mono_ms + (store->record.lifetime + store->options.stale_if_error) * SECOND - age;
	store->next_fetch = now.mono_ms + (wait > age ? wait - age : 0);
	return other;
}

/* Was it fetched after what we have?  Of two in one millisecond, the one on disk was: ours went there at once. */
static bool
is_newer(const struct bg_keystore *store, const struct bg_keyrecord *record)
{
	struct bg_slice ours = { store->record.text.data, store->record.text.len };
	struct bg_slice theirs = { record->text.data, record->text.len };

	return record->fetched > store->record.fetched ||
	    (record->fetched == store->record.fetched && !bg_slice_equal(ours, theirs));
}

/*
 * The set on disk, if it was fetched later than what we have, and may serve: *keys is then the caller's.  With fresh, it
 * must need no refresh either.  What cannot be believed is written to the log.  Only while fetching is ours, or before
 * there is a thread.
 */
static bool
read_disk(struct bg_keystore *store, struct bg_now now, bool fresh, struct bg_keyrecord *record, struct bg_jwks **keys)
{
	const struct bg_keystore_options *options = &store->options;
	struct bg_error why = { 0 };
	struct bg_slice text;
	int64_t age;

	*keys = NULL;
	if (options->cache_dir == NULL)
		return false;
	if (bg_keycache_read(options->cache_dir, &store->owner, record, &why) != 0)
		goto unusable;
	age = now.wall_ms - record->fetched;
	if (!is_newer(store, record) || (fresh && age >= until_refresh(record->lifetime)))
		return false;
	/* The clock was set back.  What then seems to be newer may be older: it is better than nothing, but than nothing only. */
	if (age < 0 && store->keys != NULL)
		return false;
	if (age < -FUTURE_MAX) {
		bg_fail(&why, BG_R_BAD_CACHE, "the set on disk is from the future; a clock is or was wrong");
		goto unusable;
	}
	/* Bounds may have been another's, or have been changed. */
	if (record->lifetime > options->source.cache_ttl_max)
		record->lifetime = options->source.cache_ttl_max;
	if (age >= (record->lifetime + options->stale_if_error) * SECOND) {
		bg_fail(&why, BG_R_BAD_CACHE, "the set on disk is too old to serve");
		goto unusable;
	}
	if (bg_buf_finish(&record->text, &text, &why) != 0 || bg_jwks_parse(text, record->jwks_uri, keys, &why) != 0)
		goto unusable;
	return true;
unusable:
	log_disk(store, &why);
	return false;
}

static void
write_disk(struct bg_keystore *store, struct bg_keycache_stamp before, int64_t now)
{
	struct bg_error why = { 0 };

	if (store->options.cache_dir == NULL)
		return;
	tell(store);		/* the disk may be slow, or locked, and nobody is to wait for it */
	if (bg_keycache_write(store->options.cache_dir, &store->owner, &store->record, before, now, &why) == 0)
		store->disk_error[0] = '\0';
	else
		log_disk(store, &why);
}

/* Take up what is on disk if it is newer.  Only while fetching is ours, or before there is a thread. */
static bool
take_from_disk(struct bg_keystore *store, struct bg_now now, bool fresh)
{
	struct bg_keyrecord record;
	struct bg_jwks *keys;
	int64_t wait = 0;
	bool other = false, taken;

	bg_keyrecord_init(&record);
	taken = read_disk(store, now, fresh, &record, &keys);
	if (taken) {
		pthread_mutex_lock(&store->lock);
		other = adopt(store, now, &record, keys, true);
		store->failures = 0;
		wait = store->next_fetch - now.mono_ms;
		keys = bg_jwks_ref(store->keys);
		pthread_mutex_unlock(&store->lock);
		log_set(store, keys, "taken_from_disk", other ? BG_LOG_INFO : BG_LOG_DEBUG, wait);
		bg_jwks_unref(keys);
	} else if (record.failed > store->record.failed && record.fetched == store->record.fetched) {
		/* nothing to take up but what went wrong, which people want to see */
		pthread_mutex_lock(&store->lock);
		store->record.failed = record.failed;
		bg_format(store->record.error, sizeof(store->record.error), "%s", record.error);
		pthread_mutex_unlock(&store->lock);
	}
	bg_keyrecord_clear(&record);
	return taken;
}

void
bg_keystore_restore(struct bg_keystore *store, struct bg_now now)
{
	(void)take_from_disk(store, now, false);
}

/* The fetch failed; what there is stays.  The lock is held.  Returns the milliseconds until the next. */
static int64_t
settle_failure(struct bg_keystore *store, struct bg_now now, int64_t took, const struct bg_error *why)
{
	int64_t wait;

	store->failures++;
	wait = took + backoff(store->failures);
	store->next_fetch = now.mono_ms + wait;
	store->record.failed = now.wall;
	bg_format(store->record.error, sizeof(store->record.error), "%s", why->detail);
	for (char *p = store->record.error; *p != '\0'; p++)	/* for a file, a terminal and JSON; it may be the issuer's words */
		if (*p < 0x20 || *p >= 0x7f)
			*p = '?';
	return wait;
}

/* Fetch from the source.  fetching is ours. */
static void
fetch(struct bg_keystore *store, struct bg_now now)
{
	struct bg_keyrecord next;
	struct bg_jwks *keys = NULL;
	struct bg_error why = { 0 };
	int64_t took = 0, wait;
	bool other = false, stop = false;
	struct bg_keycache_stamp before = { 0 };

	if (store->options.cache_dir != NULL)
		before = bg_keycache_stamp(store->options.cache_dir, &store->owner);
	bg_keyrecord_init(&next);
	if (bg_keysource_bring(&store->options.source, &store->memory, now, &store->record, &next, &keys, &took, &why) == 0) {
		pthread_mutex_lock(&store->lock);
		other = adopt(store, now, &next, bg_jwks_ref(keys), false);
		other = other || store->failures > 0;
		store->failures = 0;
		wait = store->next_fetch - now.mono_ms;
		pthread_mutex_unlock(&store->lock);
		log_set(store, keys, "fetched", other ? BG_LOG_INFO : BG_LOG_DEBUG, wait);
	} else {
		pthread_mutex_lock(&store->lock);
		stop = store->stop;
		wait = settle_failure(store, now, took, &why);
		pthread_mutex_unlock(&store->lock);
		if (!stop)	/* else it was ended by us, which is no failure to be told or kept */
			log_failure(store, &why, wait - took);
	}
	if (!stop)
		write_disk(store, before, now.wall_ms);
	bg_jwks_unref(keys);
	bg_keyrecord_clear(&next);
}

int64_t
bg_keystore_step(struct bg_keystore *store, struct bg_now now)
{
	int64_t wait;
	bool wanted;

	pthread_mutex_lock(&store->lock);
	drop_stale(store, now.mono_ms);
	if (store->fetching || now.mono_ms < store->next_fetch) {
		wait = store->fetching ? SECOND : store->next_fetch - now.mono_ms;
		pthread_mutex_unlock(&store->lock);
		return wait;
	}
	store->fetching = true;
	wanted = store->wanted;
	store->wanted = false;
	pthread_mutex_unlock(&store->lock);

	if (wanted || !take_from_disk(store, now, true))
		fetch(store, now);

	pthread_mutex_lock(&store->lock);
	store->fetching = false;
	if (store->wanted)
		store->next_fetch = -FOR_EVER;	/* asked for meanwhile */
	wait = store->next_fetch - now.mono_ms;
	pthread_mutex_unlock(&store->lock);
	tell(store);
	return wait < 1 ? 1 : wait;
}

/* The next step is to fetch from the source itself, at once.  The lock is held. */
static void
want(struct bg_keystore *store)
{
	store->wanted = true;
	store->next_fetch = -FOR_EVER;
	ring(store);
}

void
bg_keystore_want(struct bg_keystore *store)
{
	pthread_mutex_lock(&store->lock);
	want(store);
	pthread_mutex_unlock(&store->lock);
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_source(const struct bg_keystore *a, const struct bg_keystore *b)
{
	return strcmp(a->owner.issuer, b->owner.issuer) == 0 && strcmp(a->owner.source, b->owner.source) == 0 &&
	    same_text(a->options.source.jwks_file, b->options.source.jwks_file);
}

/* A copy with a text of its own, into a record that was initialised. */
static int
copy_record(struct bg_keyrecord *record, const struct bg_keyrecord *from, struct bg_error *err)
{
	struct bg_buf text = record->text;

	*record = *from;
	record->text = text;
	bg_buf_put(&record->text, (struct bg_slice){ from->text.data, from->text.len });
	return record->text.failed ? bg_fail(err, BG_R_NO_MEMORY, "keys of %s", from->jwks_uri) : 0;
}

int
bg_keystore_take_over(struct bg_keystore *store, struct bg_keystore *old, struct bg_now now, struct bg_error *err)
{
	const struct bg_keystore_options *options = &store->options;
	int64_t fetched;	/* of the monotonic clock, so that it does not matter whether the other was set */

	if (!same_source(store, old))
		return 0;
	pthread_mutex_lock(&old->lock);
	if (copy_record(&store->record, &old->record, err) != 0) {
		pthread_mutex_unlock(&old->lock);
		bg_keyrecord_clear(&store->record);
		return -1;
	}
	if (old->keys != NULL)
		store->keys = bg_jwks_ref(old->keys);
	store->from_disk = old->from_disk;
	store->next_fetch = old->next_fetch;
	store->last_asked = old->last_asked;
	store->failures = old->failures;
	store->kids = old->kids;
	store->wanted = old->fetching || old->wanted;
	if (!old->fetching)
		store->memory = old->memory;
	fetched = old->good_until - (old->record.lifetime + old->options.stale_if_error) * SECOND;
	pthread_mutex_unlock(&old->lock);

	if (store->record.lifetime > options->source.cache_ttl_max) {
		store->record.lifetime = options->source.cache_ttl_max;
		store->next_fetch = fetched + until_refresh(store->record.lifetime);
	}
	store->good_until = fetched + (store->record.lifetime + options->stale_if_error) * SECOND;
	if (store->failures > 0 || store->wanted)
		store->next_fetch = -FOR_EVER;
	if (options->source.jwks_file != NULL) {
		want(store);
		(void)bg_keystore_step(store, now);
		want(store);		/* of the thread too, which watches the file from then on */
	}
	return 0;
}

/* Something was written to the file of keys, or into the cache. */
static void
look_at_disk(struct bg_keystore *store)
{
	if (!bg_watch_changed(store->watch))
		return;
	if (store->options.source.jwks_file != NULL) {
		bg_keystore_want(store);
		return;
	}
	pthread_mutex_lock(&store->lock);
	store->fetching = true;		/* we are the only thread that steps, so nobody else is at it */
	pthread_mutex_unlock(&store->lock);
	(void)take_from_disk(store, bg_clock_now(), false);
	pthread_mutex_lock(&store->lock);
	store->fetching = false;
	pthread_mutex_unlock(&store->lock);
	tell(store);			/* taken or not: whoever asked meanwhile was told to wait */
}

/* The thread: it steps when it is due, and looks when something happens. */
static void *
run(void *arg)
{
	struct bg_keystore *store = arg;
	bool watched = store->watch != NULL;
	int64_t wait = 0;

	for (;;) {
		struct bg_now now;
		struct pollfd fds[2] = {
			{ .fd = store->bell, .events = POLLIN },
			{ .fd = watched ? bg_watch_fd(store->watch) : -1, .events = POLLIN },
		};
		eventfd_t rung;
		bool stop;

		if (watched && fds[1].fd == -1 && wait > WATCH_MS)
			wait = WATCH_MS;
		(void)poll(fds, 2, wait > INT32_MAX ? INT32_MAX : (int)wait);
		if ((fds[0].revents & POLLIN) != 0)
			(void)eventfd_read(store->bell, &rung);
		pthread_mutex_lock(&store->lock);
		stop = store->stop;
		pthread_mutex_unlock(&store->lock);
		if (stop)
			return NULL;
		if (watched && (fds[1].fd == -1 || fds[1].revents != 0))
			look_at_disk(store);
		now = bg_clock_now();
		wait = bg_keystore_step(store, now) - (bg_clock_mono_ms() - now.mono_ms);	/* a fetch takes its time */
		if (wait < 0)
			wait = 0;
	}
}

/* What the thread is to watch; a cache that cannot be watched is no reason not to start. */
static int
make_watch(struct bg_keystore *store, struct bg_error *err)
{
	const struct bg_keystore_options *options = &store->options;
	struct bg_slice path;
	struct bg_buf buf;
	int rc = -1;

	if (options->source.jwks_file != NULL)
		rc = bg_watch_new(&store->watch, options->source.jwks_file, err);
	else if (options->cache_dir == NULL)
		rc = 0;
	else {
		bg_buf_init(&buf, BG_URL_MAX);
		if (bg_keycache_path(options->cache_dir, &store->owner, &buf, err) == 0 && bg_buf_finish(&buf, &path, err) == 0 &&
		    ((store->record_path = strdup(path.ptr)) != NULL || bg_fail(err, BG_R_NO_MEMORY, "path") == 0))
			rc = bg_watch_new(&store->watch, store->record_path, err);
		bg_buf_clear(&buf);
	}
	if (store->watch != NULL)
		(void)bg_watch_changed(store->watch);	/* what there is now is looked at anyway */
	return rc;
}

int
bg_keystore_start(struct bg_keystore *store, void (*changed)(void *arg), void *arg, struct bg_error *err)
{
	sigset_t all, before;
	int rc;

	store->changed = changed;
	store->changed_arg = arg;
	if (make_watch(store, err) != 0)
		return -1;
	if ((store->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1 ||
	    (store->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		return bg_fail(err, BG_R_INTERNAL, "eventfd: %m");
	store->options.source.cancel = &store->end;
	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	store->has_thread = true;
	rc = pthread_create(&store->thread, NULL, run, store);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		store->has_thread = false;
		return bg_fail(err, BG_R_INTERNAL, "no thread for the keys of %s: %s", store->options.source.issuer, strerror(rc));
	}
	return 0;
}

/*
 * Ask for a fetch because of this kid, if it may cause one: one fetch for all who ask, the next one a cooldown away
 * whatever comes of it (SR-50).  The lock is held.
 */
static bool
may_ask(struct bg_keystore *store, struct bg_slice kid, int64_t now)
{
	int64_t cooldown = store->options.refresh_cooldown * SECOND;

	if (store->options.source.jwks_file != NULL)
		return false;		/* we know when it changes */
	if (now - store->last_asked < cooldown || bg_kidmemory_has(&store->kids, kid, now))
		return false;
	store->last_asked = now;
	bg_kidmemory_put(&store->kids, kid, now, now + KID_COOLDOWNS * cooldown);
	want(store);
	return true;
}

/* Why there is no key of this kid; OK: because the issuer has none.  The lock is held. */
static enum bg_reason
why_unknown(struct bg_keystore *store, struct bg_slice kid, int64_t now)
{
	bool due = store->fetching || store->wanted || (store->keys == NULL && now >= store->next_fetch);

	if (!due && store->keys != NULL)
		due = may_ask(store, kid, now);
	/* What was begun for others brings the same for us.  Without a thread nobody would bring it. */
	if (due && store->has_thread)
		return BG_R_KEYS_PENDING;
	if (store->keys == NULL || (store->failures > 0 && store->options.source.jwks_file == NULL))
		return BG_R_NO_KEYS;
	return BG_R_OK;
}

int
bg_keystore_keys(struct bg_keystore *store, struct bg_slice kid, int64_t now, struct bg_jwks **out, struct bg_error *err)
{
	enum bg_reason why = BG_R_OK;

	*out = NULL;
	pthread_mutex_lock(&store->lock);
	drop_stale(store, now);
	/* Overdue: the machine was suspended, and what the thread waits by was not told. */
	if (now - store->next_fetch > OVERDUE && !store->fetching)
		ring(store);
	if (store->keys == NULL || (kid.ptr != NULL && !bg_jwks_has_kid(store->keys, kid)))
		why = why_unknown(store, kid, now);
	if (why == BG_R_OK)
		*out = bg_jwks_ref(store->keys);
	else if (why == BG_R_KEYS_PENDING)
		bg_fail(err, why, "the keys of %s are being fetched", store->options.source.issuer);
	else if (store->keys != NULL)
		bg_fail(err, why, "kid \"%.*s\" is not among the keys of %s, which does not answer: %s", BG_SLICE_ARG(kid),
		    store->options.source.issuer, store->record.error);
	else if (store->failures > 0)
		bg_fail(err, why, "no keys of %s, %u fetches failed: %s", store->options.source.issuer, store->failures,
		    store->record.error);
	else if (store->record.failed != 0)	/* of another process, which has left word of it */
		bg_fail(err, why, "no keys of %s, the last fetch failed: %s", store->options.source.issuer, store->record.error);
	else
		bg_fail(err, why, "no keys of %s yet", store->options.source.issuer);
	pthread_mutex_unlock(&store->lock);
	return *out != NULL ? 0 : -1;
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

void
bg_keystore_status(struct bg_keystore *store, struct bg_now now, struct bg_keystore_status *out)
{
	const struct bg_keyrecord *record = &store->record;

	*out = (struct bg_keystore_status){ .issuer = store->options.source.issuer, .file = store->options.source.jwks_file };
	pthread_mutex_lock(&store->lock);
	drop_stale(store, now.mono_ms);
	if (store->keys != NULL) {
		out->keys = bg_jwks_ref(store->keys);
		out->serves_until = now.wall + (store->good_until - now.mono_ms) / SECOND;
	}
	bg_format(out->jwks_uri, sizeof(out->jwks_uri), "%s",
	    record->jwks_uri[0] != '\0' ? record->jwks_uri : store->owner.source);
	out->from_disk = store->from_disk;
	out->fetched = record->fetched / SECOND;
	out->next = store->next_fetch > now.mono_ms ? now.wall + (store->next_fetch - now.mono_ms) / SECOND : now.wall;
	out->failures = store->failures;
	out->failed = record->failed;
	bg_format(out->error, sizeof(out->error), "%s", record->error);
	pthread_mutex_unlock(&store->lock);
}

void
bg_keystore_status_clear(struct bg_keystore_status *status)
{
	bg_jwks_unref(status->keys);
	*status = (struct bg_keystore_status){ .keys = NULL };
}

const char *
bg_keystore_state(const struct bg_keystore_status *status)
{
	if (status->keys == NULL)
		return "none";
	return status->failed != 0 ? "failing" : "good";
}

const char *
bg_keystore_location(const struct bg_keystore_status *status)
{
	return status->file != NULL ? status->file : status->jwks_uri;
}
