#include "cgi/alone.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/keycache.h"
#include "core/log.h"

#define SUFFIX		".asked"
#define LOCK_REST_MS	20
#define PATH_BYTES_MAX	(16 * 1024)

/* A replay store that is opened by whoever first spends. */
struct late {
	struct bg_replay  base;
	struct bg_replay *store;
	bool              is_open;
	bool              forgets;
};

static int
late_open(struct bg_replay *base, struct bg_now now, struct bg_error *err)
{
	(void)base, (void)now, (void)err;
	return 0;
}

static int
late_spend(struct bg_replay *base, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	struct late *late = (struct late *)base;

	*retry_after = 0;
	if (late->forgets)
		return bg_fail(err, BG_R_INTERNAL, "a program that ends with its request cannot remember DPoP proofs by itself; "
		    "replay = \"lmdb:/PATH\" was expected");
	if (!late->is_open && late->store->open(late->store, now, err) != 0) {
		*retry_after = 1;
		return -1;
	}
	late->is_open = true;
	return late->store->spend(late->store, spending, now, retry_after, err);
}

static void
late_free(struct bg_replay *base)
{
	struct late *late = (struct late *)base;

	bg_replay_free(late->store);
	free(late);
}

int
bg_alone_prepare(struct bg_gate *gate, bool forgets, struct bg_error *err)
{
	struct late *late;

	if (gate->dpop.replay == NULL)
		return 0;
	if ((late = calloc(1, sizeof(*late))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "replay store");
	late->base = (struct bg_replay){ .open = late_open, .spend = late_spend, .free = late_free };
	late->store = gate->dpop.replay;
	late->forgets = forgets;
	gate->dpop.replay = &late->base;	/* moved into late, and late to the gate */
	return 0;
}

/* The issuer that a refused token names, if it is one of ours; borrowed. */
static const struct bg_issuer *
issuer_of(const struct bg_gate *gate, const struct bg_decision *decision)
{
	struct bg_slice iss;

	if (decision->token == NULL)
		return NULL;
	iss = bg_json_string(json_object_get(decision->token->payload, "iss"));
	for (size_t i = 0; i < gate->n_issuers; i++)
		if (bg_slice_equal(bg_slice_str(gate->issuers[i].name), iss))
			return &gate->issuers[i];
	return NULL;
}

/* What is in the way of a fetch, of which nobody would learn otherwise. */
static void
tell(const struct bg_issuer *issuer, const char *detail)
{
	struct bg_slice text;
	struct bg_buf line;

	bg_buf_init(&line, PATH_BYTES_MAX);
	bg_log_text(&line, bg_slice_str(issuer->name));
	bg_buf_put_str(&line, " detail=");
	bg_log_text(&line, bg_slice_str(detail));
	if (bg_buf_finish(&line, &text, NULL) == 0)
		bg_log(BG_LOG_WARNING, "keys=%s", text.ptr);
	bg_buf_clear(&line);
}

/*
 * Open the file path in a directory that nobody else can write to: a name there that was linked to another file of ours would
 * have that written to.  Returns -1 with BG_R_BAD_CACHE.
 */
static int
open_file(const char *dir, const char *path, struct bg_error *err)
{
	int parent = bg_keycache_open(dir, err), fd;
	struct stat st;

	if (parent == -1)
		return -1;
	fd = openat(parent, strrchr(path, '/') + 1, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1)
		bg_fail(err, BG_R_BAD_CACHE, "%s: %m; keys are fetched only where they can be kept", path);
	close(parent);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		bg_keycache_keep_open(fd);
		return fd;
	}
	close(fd);
	return bg_fail(err, BG_R_BAD_CACHE, "%s: is not a regular file; keys are fetched only where that tells when they were last", path);
}

/* The file that tells when an issuer was last asked: by its time, once it is not empty.  -1 with a line in the log. */
static int
open_asked(const struct bg_alone *alone, const struct bg_issuer *issuer)
{
	struct bg_keyrecord_owner owner = { .issuer = issuer->name, .source = "" };
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf path;
	int fd = -1;

	bg_buf_init(&path, PATH_BYTES_MAX);
	if (alone->cache_dir == NULL)
		bg_fail(&err, BG_R_BAD_CACHE, "keys are fetched only where there is a cache_dir to keep them in");
	else if (bg_keycache_path(alone->cache_dir, &owner, &path, &err) == 0) {
		bg_buf_put_str(&path, SUFFIX);
		if (bg_buf_finish(&path, &text, &err) == 0)
			fd = open_file(alone->cache_dir, text.ptr, &err);
	}
	if (fd == -1)
		tell(issuer, err.detail);
	bg_buf_clear(&path);
	return fd;
}

/* Be the only one at it; wait for that up to so many milliseconds. */
static bool
lock(int fd, int64_t ms)
{
	int64_t end = bg_clock_mono_ms() + ms;

	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EINTR && errno != EWOULDBLOCK)
			return false;
		if (bg_clock_mono_ms() >= end)
			return false;
		(void)poll(NULL, 0, LOCK_REST_MS);
	}
	return true;
}

/* May the issuer be asked now?  A time that is yet to come is of a clock that was set back. */
static bool
may_ask(int fd, int64_t cooldown)
{
	int64_t now = bg_clock_wall();
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	return st.st_size == 0 || st.st_mtime > now || now - st.st_mtime >= cooldown;
}

/* Fetch.  Whoever started us may ignore the end of children, and then nobody learns how bearergate-fetch ended. */
static void
fetch(struct bg_keystore *store)
{
	struct sigaction standard = { .sa_handler = SIG_DFL }, before;
	bool changed = sigaction(SIGCHLD, &standard, &before) == 0;

	bg_keystore_want(store);
	(void)bg_keystore_step(store, bg_clock_now());
	if (changed)
		(void)sigaction(SIGCHLD, &before, NULL);
}

/*
 * Write down that the issuer is asked now.  By our clock, by which it is looked at: that of a file system may be a server's, and
 * an hour ahead or behind, when everybody could have the issuer asked again at once (SR-50).
 */
static bool
note(int fd)
{
	struct timespec now = { .tv_sec = (time_t)bg_clock_wall() };

	if (pwrite(fd, "\n", 1, 0) != 1)
		return false;
	(void)futimens(fd, (struct timespec[]){ now, now });	/* which some file systems cannot: then by theirs */
	return true;
}

/*
 * Ask the issuer, whose file is open as fd.  That it was asked counts whatever becomes of this process, so it is written down
 * first.  But some servers end us when the client goes away, and for that it needs no good token: then nobody could ask again
 * before refresh_cooldown, by when the next such client has come (SR-51).  So an end waits, no longer than the fetch takes.
 */
static void
ask_issuer(int fd, const struct bg_issuer *issuer)
{
	sigset_t ends, before;
	struct bg_error err = { 0 };
	bool blocked;

	sigemptyset(&ends);
	sigaddset(&ends, SIGHUP);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	blocked = sigprocmask(SIG_BLOCK, &ends, &before) == 0;
	if (note(fd))
		fetch(issuer->keys);
	else {
		bg_fail(&err, BG_R_BAD_CACHE, "that they are fetched now cannot be written down: %m; and so they are not");
		tell(issuer, err.detail);
	}
	if (blocked)
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
}

/*
 * Fetch the keys of an issuer, if nobody has lately; needed: this request cannot be allowed without, so wait for those who
 * are at it.  Then there may be more keys than before.
 */
static void
refresh(const struct bg_alone *alone, const struct bg_issuer *issuer, bool needed)
{
	/* of discovery document and key set, one after the other */
	int64_t patience = needed ? (2 * alone->fetch_timeout + 1) * 1000 : 0;
	int fd = open_asked(alone, issuer);

	if (fd == -1)
		return;
	if (lock(fd, patience)) {
		if (may_ask(fd, alone->refresh_cooldown))
			ask_issuer(fd, issuer);
		else
			bg_keystore_restore(issuer->keys, bg_clock_now());
	} else if (needed)
		tell(issuer, "another process fetches them, or keeps the file that tells when they were last fetched, and for too long");
	close(fd);
}

/*
 * What is there already: the file of keys, or the record that some process left.  That there was one is news to a daemon;
 * here it would be a line for every request.
 */
static void
load(const struct bg_issuer *issuer, struct bg_keystore_status *status)
{
	bool quiet = bg_log_wants(BG_LOG_INFO) && !bg_log_wants(BG_LOG_DEBUG);
	struct bg_now now = bg_clock_now();

	if (quiet)
		bg_log_set_level(BG_LOG_WARNING);
	bg_keystore_restore(issuer->keys, now);
	bg_keystore_status(issuer->keys, now, status);
	if (status->file != NULL) {
		(void)bg_keystore_step(issuer->keys, now);
		bg_keystore_status_clear(status);
		bg_keystore_status(issuer->keys, now, status);
	}
	if (quiet)
		bg_log_set_level(BG_LOG_INFO);
}

void
bg_alone_decide(const struct bg_gate *gate, const struct bg_alone *alone, const struct bg_request *request,
    struct bg_decision *out)
{
	const struct bg_issuer *issuer;
	struct bg_keystore_status status;
	bool from_file, has_keys;

	bg_gate_decide(gate, request, bg_clock_now(), out);
	if (bg_decision_reason(out) != BG_R_NO_KEYS || (issuer = issuer_of(gate, out)) == NULL)
		return;
	load(issuer, &status);
	from_file = status.file != NULL;
	has_keys = status.keys != NULL;
	if (!from_file && has_keys && status.next <= bg_clock_wall())
		refresh(alone, issuer, false);
	bg_keystore_status_clear(&status);
	if (!from_file && !has_keys)
		refresh(alone, issuer, true);
	bg_decision_clear(out);
	bg_gate_decide(gate, request, bg_clock_now(), out);
	if (from_file || !has_keys || bg_decision_reason(out) != BG_R_UNKNOWN_KEY)
		return;
	/* The issuer may have changed its keys since. */
	refresh(alone, issuer, true);
	bg_decision_clear(out);
	bg_gate_decide(gate, request, bg_clock_now(), out);
}
