#ifndef BG_FCGI_FIGURES_H
#define BG_FCGI_FIGURES_H

#include <stdatomic.h>

#include "core/secret.h"
#include "fcgi/snapshot.h"
#include "fcgi/status.h"
#include "fcgi/worker.h"

/*
 * What has happened to the daemon: only the supervisor changes it and the worker's pages show it.  Atomic, so that it needs no
 * lock, and in memory that they share, so that it outlives each worker.  The worker may be taken over, so there is nothing here
 * that anybody relies on.
 */
struct bg_events {
	atomic_ullong reloads, failed_reloads, restarts;
	atomic_llong  reloaded, reload_failed, restarted;	/* wall clock; 0: never */
	unsigned char next[BG_SHA256_LEN];	/* of what the worker is told to read; it does not change until it has said what came of it */
};

/* Set before any other process or thread is there. */
struct bg_figures {
	struct bg_counters *counters;		/* owned */
	struct bg_events   *events;		/* owned */
	int64_t             started;		/* wall clock */
	int64_t             started_mono;	/* bg_clock_mono_ms() */
	long                pid;		/* of the supervisor */
	const char         *sandbox;		/* what the worker is kept in, in words */
	bool                sandboxed;		/* is it kept in anything? */
};

int  bg_figures_init(struct bg_figures *figures, struct bg_error *err) BG_MUST_CHECK;
void bg_figures_clear(struct bg_figures *figures);

/*
 * Fill in *out by what the daemon is just now.  Asks each key store, and the system about this process.  worker may be NULL.
 * out borrows from snapshot and is the caller's, for bg_figures_release.  Returns -1 with BG_R_NO_MEMORY.
 */
int  bg_figures_read(const struct bg_figures *figures, const struct bg_snapshot *snapshot, struct bg_worker *worker,
    struct bg_status *out, struct bg_error *err) BG_MUST_CHECK;
void bg_figures_release(struct bg_status *status);

#endif
