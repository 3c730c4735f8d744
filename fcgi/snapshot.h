#ifndef BG_FCGI_SNAPSHOT_H
#define BG_FCGI_SNAPSHOT_H

#include "conf/conf.h"
#include "fcgi/peers.h"

/* What decisions are made by at one time: a configuration, and the gate made of it.  const while others see it. */
struct bg_snapshot {
	struct bg_conf     *conf;
	struct bg_gate     *gate;
	struct bg_peers     peers;	/* listen_allowed_clients */
	size_t              users;	/* of struct bg_snapshots, and guarded by its lock */
	struct bg_snapshot *next;	/* the same */
};

/*
 * Read a configuration, see bg_conf_load, and make the gate of it; nothing of it runs yet.  fetcher is borrowed,
 * and brings keys.  Returns 0 and a snapshot that has one user, the caller; or a code of sysexits(3), *out then NULL.
 */
int  bg_snapshot_new(struct bg_snapshot **out, const struct bg_conf_sources *from, const struct bg_fetcher *fetcher,
    struct bg_buf *report) BG_MUST_CHECK;
void bg_snapshot_free(struct bg_snapshot *snapshot);	/* of one that nobody else has seen; NULL is fine */

/*
 * The snapshot in force, and a thread of its own that takes down those that have lost their last user: that means to
 * wait for fetches under way, which no request and no signal shall do.  All functions may be called from any thread.
 */
struct bg_snapshots;

int  bg_snapshots_new(struct bg_snapshots **out, struct bg_error *err) BG_MUST_CHECK;

/* The one in force, with the caller as another user until bg_snapshots_give_back; NULL: there is none. */
struct bg_snapshot *bg_snapshots_take(struct bg_snapshots *all);
void bg_snapshots_give_back(struct bg_snapshots *all, struct bg_snapshot *snapshot);	/* NULL is fine */

/* Put this one in force, and be no longer its user; the one before is given back.  NULL: none from now on. */
void bg_snapshots_replace(struct bg_snapshots *all, struct bg_snapshot *next);

/* Wait for at most so many milliseconds until none is left that has lost its last user; returns whether that is so. */
bool bg_snapshots_wait(struct bg_snapshots *all, int64_t ms);

/* Wait until all have been taken down.  None may be in force, and nobody may have one any more.  NULL is fine. */
void bg_snapshots_free(struct bg_snapshots *all);

#endif
