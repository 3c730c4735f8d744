#include "core/redis.h"

#include "config.h"

#ifdef BG_HIREDIS
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/log.h"

/*
 * Keys, all of fixed form (SR-55):
 *
 *  bearergate:HEX            a proof that was spent: by which request and when; expires with the proof's life
 *  bearergate:HEX            a call made for a request, HEX being a digest of proof, request and call; expires with the grace
 *  bearergate:since:RUN_ID   when a server was first seen since its start.  Never expires: it is asked for with every proof,
 *                            and where it has gone, proofs may have gone too.  One for each start of a server stays behind.
 */
#define PREFIX		"bearergate:"
#define KEY_SIZE	(sizeof(PREFIX) + 2 * BG_SHA256_LEN)
#define RUN_ID_MAX	64	/* Redis and Valkey have 40 hexadecimal digits */
#define SINCE_SIZE	(sizeof(PREFIX "since:") + RUN_ID_MAX)
#define SPENT_LEN	(BG_SHA256_LEN + 8)	/* the request's fingerprint; milliseconds since the epoch, the highest byte first */

#define PAUSE_MS	1000	/* between two tries of a store that is down */
#define CALL_LIFE_MS	(2 * BG_REPLAY_GRACE_MS)	/* the machines' clocks may be a little apart */
#define RETRY_DOWN	2	/* seconds */
#define RETRY_FULL	5

/* One that is connected, and knows which server it has reached. */
struct link {
	struct link          *next;	/* of those that nobody uses; guarded by the store's lock */
	struct bg_redis_conn *conn;
	char                  since[SINCE_SIZE];	/* the key */
};

struct store {
	struct bg_replay base;
	struct bg_redis_server *server;	/* set before the threads start */
	int64_t          leeway;
	bool             opened;

	pthread_mutex_t  lock;		/* guards the members below; never held while speaking */
	struct link     *idle;
	bool             down;		/* the last one who asked had no answer */
	bool             trying;	/* somebody tries whether it is up again */
	int64_t          try_at;	/* nobody tries before this; monotonic milliseconds */
	char             why[BG_DETAIL_MAX];
};

static struct bg_slice
bytes_of(const void *bytes, size_t len)
{
	return (struct bg_slice){ bytes, len };
}

static void
key_of(const unsigned char hash[BG_SHA256_LEN], char key[KEY_SIZE])
{
	size_t n = bg_format(key, KEY_SIZE, PREFIX);

	for (size_t i = 0; i < BG_SHA256_LEN; i++)
		n += bg_format(key + n, KEY_SIZE - n, "%02x", hash[i]);
}

static int
call_key(const struct bg_spending *spending, char key[KEY_SIZE], struct bg_error *err)
{
	unsigned char all[3 * BG_SHA256_LEN], hash[BG_SHA256_LEN];

	memcpy(all, spending->proof, BG_SHA256_LEN);
	memcpy(all + BG_SHA256_LEN, spending->request, BG_SHA256_LEN);
	memcpy(all + 2 * BG_SHA256_LEN, spending->call, BG_SHA256_LEN);
	if (bg_sha256(bytes_of(all, sizeof(all)), hash, err) != 0)
		return -1;
	key_of(hash, key);
	return 0;
}

static void
spent_of(const struct bg_spending *spending, int64_t now, char spent[SPENT_LEN])
{
	memcpy(spent, spending->request, BG_SHA256_LEN);
	for (int i = 0; i < 8; i++)
		spent[BG_SHA256_LEN + i] = (char)((uint64_t)now >> (56 - 8 * i));
}

/* Was it spent by this request, and a moment ago? */
static bool
is_ours(const struct bg_redis_reply *spent, const struct bg_spending *spending, int64_t now)
{
	uint64_t at = 0;
	int64_t age;

	if (spent->kind != BG_REDIS_STRING || spent->len != SPENT_LEN ||
	    !bg_secret_equal(bytes_of(spent->text, BG_SHA256_LEN), bytes_of(spending->request, BG_SHA256_LEN)))
		return false;
	for (int i = 0; i < 8; i++)
		at = at << 8 | (unsigned char)spent->text[BG_SHA256_LEN + i];
	/* Machines and threads read the clock at their own time, so it may be a little less than nothing. */
	return !__builtin_sub_overflow(now, (int64_t)at, &age) && age <= BG_REPLAY_GRACE_MS && age >= -BG_REPLAY_GRACE_MS;
}

/* ---- one connection --------------------------------------------------------------------------------------------- */

static void
link_free(struct link *link)
{
	if (link == NULL)
		return;
	bg_redis_close(link->conn);
	free(link);
}

/* The value of a line "name:value" of INFO; ptr NULL when there is none. */
static struct bg_slice
info_line(const struct bg_redis_reply *info, const char *name)
{
	struct bg_slice rest = { info->text, info->len };
	size_t len = strlen(name);

	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		struct bg_slice line = { rest.ptr, end != NULL ? (size_t)(end - rest.ptr) : rest.len };

		rest = bg_slice_skip(rest, line.len + (end != NULL ? 1 : 0));
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len > len && memcmp(line.ptr, name, len) == 0 && line.ptr[len] == ':')
			return bg_slice_skip(line, len + 1);
	}
	return (struct bg_slice){ NULL, 0 };
}

/*
 * Which server is this, and will it keep what it is given?  One that was started anew has another run_id.  One that throws
 * keys away when its memory is used up would make spent proofs unspent (SR-65).
 */
static int
meet(struct store *store, struct link *link, int64_t deadline, struct bg_error *err)
{
	const struct bg_redis_command command = { { BG_SLICE("INFO") } };
	const char *name = bg_redis_server_name(store->server);
	const struct bg_redis_reply *info;
	struct bg_slice id, memory, policy;

	if (bg_redis_call(link->conn, &command, 1, deadline, &info, err) != 0 || bg_redis_refused(link->conn, "INFO", info, err))
		return -1;
	id = info_line(info, "run_id");
	if (info->kind != BG_REDIS_STRING || id.len == 0 || id.len > RUN_ID_MAX)
		return bg_fail(err, BG_R_STORE_DOWN, "redis %s: INFO has no run_id: is that a Redis?", name);
	for (size_t i = 0; i < id.len; i++)
		if ((id.ptr[i] < '0' || id.ptr[i] > '9') && (id.ptr[i] < 'a' || id.ptr[i] > 'f'))
			return bg_fail(err, BG_R_STORE_DOWN, "redis %s: INFO has no run_id: is that a Redis?", name);
	bg_format(link->since, sizeof(link->since), PREFIX "since:%.*s", (int)id.len, id.ptr);
	memory = info_line(info, "maxmemory");
	policy = info_line(info, "maxmemory_policy");
	if (memory.ptr != NULL && !bg_slice_equal(memory, BG_SLICE("0")) && policy.ptr != NULL &&
	    !bg_slice_equal(policy, BG_SLICE("noeviction")))
		return bg_fail(err, BG_R_STORE_DOWN, "redis %s: maxmemory-policy must be noeviction, or it may forget proofs that were "
		    "spent", name);
	return 0;
}

static int
link_new(struct store *store, int64_t deadline, struct link **out, struct bg_error *err)
{
	struct link *link = calloc(1, sizeof(*link));

	*out = NULL;
	if (link == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "redis");
	if (bg_redis_connect(store->server, deadline, &link->conn, err) != 0 || meet(store, link, deadline, err) != 0) {
		link_free(link);
		return -1;
	}
	*out = link;
	return 0;
}

/* Milliseconds since the epoch; false when the reply is none of ours. */
static bool
read_since(const struct bg_redis_reply *reply, int64_t *since)
{
	*since = 0;
	if (reply->kind != BG_REDIS_STRING || reply->len == 0 || reply->len > 18)
		return false;
	for (size_t i = 0; i < reply->len; i++) {
		if (reply->text[i] < '0' || reply->text[i] > '9')
			return false;
		*since = *since * 10 + (reply->text[i] - '0');
	}
	return true;
}

/* A server that is seen for the first time since its start, or has forgotten that it was: this is its moment. */
static int
first_seen(struct link *link, const char *name, struct bg_now now, int64_t deadline, int64_t *since, struct bg_error *err)
{
	const struct bg_redis_reply *replies[2];
	char ms[24];

	bg_format(ms, sizeof(ms), "%" PRId64, now.wall_ms);
	if (bg_redis_call(link->conn, (const struct bg_redis_command[]){
	    { { BG_SLICE("SET"), bg_slice_str(link->since), bg_slice_str(ms), BG_SLICE("NX") } },
	    { { BG_SLICE("GET"), bg_slice_str(link->since) } } }, 2, deadline, replies, err) != 0 ||
	    bg_redis_refused(link->conn, "SET", replies[0], err) || bg_redis_refused(link->conn, "GET", replies[1], err))
		return -1;
	if (!read_since(replies[1], since))
		return bg_fail(err, BG_R_STORE_DOWN, "redis %s: %s is not as we have set it", name, link->since);
	return 0;
}

/* ---- spending --------------------------------------------------------------------------------------------------- */

/* Was the server, or what it knew, lost since that proof was made? */
static int
check_age(struct store *store, const struct bg_spending *spending, int64_t since, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	int64_t lost = since / 1000 + 1;	/* the machines' clocks may be a little apart */

	if (spending->iat - store->leeway > lost)
		return 0;
	*retry_after = lost + store->leeway + 1 - now.wall;
	*retry_after = *retry_after > 1 ? *retry_after : 1;
	return bg_fail(err, BG_R_STORE_YOUNG, "redis %s: started too lately to know whether a proof with iat %" PRId64 " was spent",
	    bg_redis_server_name(store->server), spending->iat);
}

static bool
is_set(const struct bg_redis_reply *reply)
{
	return reply->kind == BG_REDIS_STATUS && bg_slice_equal((struct bg_slice){ reply->text, reply->len }, BG_SLICE("OK"));
}

/*
 * All in one go.  The moment since when the server knows is asked for behind the proof: where all keys were deleted in
 * between, or before, that one is missing too, or is a later one.  *usable is false where the connection is not any more.
 */
static int
ask(struct store *store, struct link *link, const struct bg_spending *spending, struct bg_now now, int64_t deadline,
    bool *usable, int64_t *retry_after, struct bg_error *err)
{
	char key[KEY_SIZE], call[KEY_SIZE], spent[SPENT_LEN], life[24], call_life[24];
	const struct bg_redis_reply *replies[BG_REDIS_COMMANDS_MAX], *since_reply;
	struct bg_redis_command commands[BG_REDIS_COMMANDS_MAX] = { 0 };
	bool noted, ours, fresh_call;
	int64_t since = 0;
	size_t n = 0;

	*usable = false;
	key_of(spending->proof, key);
	spent_of(spending, now.wall_ms, spent);
	bg_format(life, sizeof(life), "%" PRId64, spending->life_ms);
	bg_format(call_life, sizeof(call_life), "%d", CALL_LIFE_MS);
	commands[n++] = (struct bg_redis_command){ { BG_SLICE("SET"), bg_slice_str(key), bytes_of(spent, sizeof(spent)),
		BG_SLICE("NX"), BG_SLICE("PX"), bg_slice_str(life) } };
	commands[n++] = (struct bg_redis_command){ { BG_SLICE("GET"), bg_slice_str(key) } };
	commands[n++] = (struct bg_redis_command){ { BG_SLICE("GET"), bg_slice_str(link->since) } };
	if (spending->by_call) {
		if (call_key(spending, call, err) != 0)
			return -1;
		commands[n++] = (struct bg_redis_command){ { BG_SLICE("SET"), bg_slice_str(call), BG_SLICE("1"), BG_SLICE("NX"),
			BG_SLICE("PX"), bg_slice_str(call_life) } };
	}
	if (bg_redis_call(link->conn, commands, n, deadline, replies, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (bg_redis_refused(link->conn, i == 0 || i == 3 ? "SET" : "GET", replies[i], err)) {
			*usable = err != NULL && err->reason == BG_R_STORE_FULL;
			return -1;
		}
	noted = is_set(replies[0]);
	ours = noted || (replies[0]->kind == BG_REDIS_NIL && is_ours(replies[1], spending, now.wall_ms));
	fresh_call = !spending->by_call || is_set(replies[3]);
	since_reply = replies[2];
	if (since_reply->kind == BG_REDIS_NIL) {
		if (first_seen(link, bg_redis_server_name(store->server), now, deadline, &since, err) != 0)
			return -1;
	} else if (!read_since(since_reply, &since))
		return bg_fail(err, BG_R_STORE_DOWN, "redis %s: %s is not as we have set it", bg_redis_server_name(store->server),
		    link->since);
	*usable = true;
	if (check_age(store, spending, since, now, retry_after, err) != 0)
		return -1;
	return ours && fresh_call ? 0 : bg_fail(err, BG_R_PROOF_SPENT, "spent before");
}

/* A connection that nobody uses and that is still good, or a new one. */
static int
get_link(struct store *store, int64_t deadline, struct link **out, struct bg_error *err)
{
	struct link *link;

	for (;;) {
		pthread_mutex_lock(&store->lock);
		if ((link = store->idle) != NULL)
			store->idle = link->next;
		pthread_mutex_unlock(&store->lock);
		if (link == NULL)
			return link_new(store, deadline, out, err);
		if (bg_redis_is_idle(link->conn)) {
			*out = link;
			return 0;
		}
		link_free(link);
	}
}

/* May this thread ask?  After a failure one does, and the others have its answer. */
static bool
may_ask(struct store *store, struct bg_now now, bool *probing, struct bg_error *err)
{
	bool may = true;

	*probing = false;
	pthread_mutex_lock(&store->lock);
	if (store->down) {
		may = *probing = !store->trying && now.mono_ms >= store->try_at;
		if (may)
			store->trying = true;
		else
			bg_fail(err, BG_R_STORE_DOWN, "not asked again yet: %s", store->why);
	}
	pthread_mutex_unlock(&store->lock);
	return may;
}

/* Note how it went.  The connection goes back to where others find it, or is closed with all others. */
static void
settle(struct store *store, struct link *link, bool probing, bool failed, int64_t now, const char *why)
{
	struct link *drop = NULL, *next;

	pthread_mutex_lock(&store->lock);
	if (probing)
		store->trying = false;
	if (failed) {
		store->down = true;
		store->try_at = now + PAUSE_MS;
		bg_format(store->why, sizeof(store->why), "%s", why);
		drop = store->idle;
		store->idle = NULL;
	} else if (link != NULL) {
		store->down = false;
		link->next = store->idle;
		store->idle = link;
	}
	pthread_mutex_unlock(&store->lock);
	if (failed)
		link_free(link);
	for (; drop != NULL; drop = next) {
		next = drop->next;
		link_free(drop);
	}
}

static int
store_spend(struct bg_replay *base, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	struct store *store = (struct store *)base;
	int64_t begun = bg_clock_mono_ms(), deadline;
	bool probing, usable = false, failed;
	struct bg_error why = { 0 };
	struct link *link = NULL;
	int rc = -1;

	*retry_after = 0;
	if (!store->opened || spending->life_ms <= 0 || spending->life_ms > BG_REPLAY_LIFE_MAX_MS)
		return bg_fail(err, BG_R_INTERNAL, "replay store: not open, or a proof with a life of %" PRId64 " ms",
		    spending->life_ms);
	deadline = begun + bg_redis_server_timeout(store->server);
	if (may_ask(store, now, &probing, &why)) {
		if (get_link(store, deadline, &link, &why) == 0)
			rc = ask(store, link, spending, now, deadline, &usable, retry_after, &why);
		failed = why.reason == BG_R_STORE_DOWN;
		if (link != NULL && !usable && !failed) {	/* no fault of the server's */
			link_free(link);
			link = NULL;
		}
		settle(store, link, probing, failed, now.mono_ms + (bg_clock_mono_ms() - begun), why.detail);
	}
	if (rc == 0)
		return 0;
	if (why.reason == BG_R_STORE_DOWN)
		*retry_after = RETRY_DOWN;
	else if (why.reason == BG_R_STORE_FULL)
		*retry_after = RETRY_FULL;
	return bg_fail(err, why.reason, "%s", why.detail);
}

/*
 * Meet the server before the first proof comes: a server that is new to us, or started anew, is young from now on and not from
 * then, and an operator reads at once what is wrong.  Nothing depends on it.
 */
static void
greet(struct store *store, struct bg_now now)
{
	int64_t begun = bg_clock_mono_ms(), deadline = begun + bg_redis_server_timeout(store->server), since;
	struct bg_error why = { 0 };
	struct link *link = NULL;

	if (link_new(store, deadline, &link, &why) == 0 &&
	    first_seen(link, bg_redis_server_name(store->server), now, deadline, &since, &why) == 0) {
		settle(store, link, false, false, now.mono_ms, "");
		return;
	}
	link_free(link);
	bg_log(BG_LOG_WARNING, "replay store: not there yet: %s", why.detail);
}

static bool
store_take_over(struct bg_replay *base, const struct bg_replay *old)
{
	const struct store *store = (const struct store *)base, *from = (const struct store *)old;

	return old->spend == store_spend && bg_redis_server_is(store->server, from->server);
}

static int
store_open(struct bg_replay *base, struct bg_now now, struct bg_error *err)
{
	struct store *store = (struct store *)base;

	if (bg_redis_server_start(store->server, err) != 0)
		return -1;
	store->opened = true;
	greet(store, now);
	return 0;
}

static void
store_free(struct bg_replay *base)
{
	struct store *store = (struct store *)base;
	struct link *next;

	for (struct link *link = store->idle; link != NULL; link = next) {
		next = link->next;
		link_free(link);
	}
	bg_redis_server_free(store->server);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

int
bg_replay_redis_new(const struct bg_redis *redis, int64_t leeway, struct bg_replay **out, struct bg_error *err)
{
	struct store *store = calloc(1, sizeof(*store));

	*out = NULL;
	if (store == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "replay store");
	if (bg_redis_server_new(redis, &store->server, err) != 0) {
		free(store);
		return -1;
	}
	pthread_mutex_init(&store->lock, NULL);
	store->base = (struct bg_replay){ .take_over = store_take_over, .open = store_open, .spend = store_spend, .free = store_free };
	store->leeway = leeway;
	*out = &store->base;
	return 0;
}

bool
bg_replay_has_redis(void)
{
	return true;
}
#else
int
bg_replay_redis_new(const struct bg_redis *redis, int64_t leeway, struct bg_replay **out, struct bg_error *err)
{
	(void)redis, (void)leeway;
	*out = NULL;
	return bg_fail(err, BG_R_INTERNAL, "this program was built without hiredis: the replay store redis: is not in it");
}

bool
bg_replay_has_redis(void)
{
	return false;
}
#endif
