#ifndef BG_FCGI_DECIDER_H
#define BG_FCGI_DECIDER_H

#include "fcgi/figures.h"

/* The worker process: all that decides, from the first thread to the last. */
struct bg_decider_options {
	struct bg_snapshot *first;	/* what decisions are made by until a reload; moved, also where it fails */
	const int          *listeners;	/* descriptors, see struct bg_worker_options */
	size_t              n_listeners;
	size_t              max_parked;	/* requests that may wait for keys at once */
	size_t              max_waiting;	/* connections that may wait for the rest of their requests */
	int                 channel;	/* to the supervisor */
	int64_t             stuck_limit;	/* milliseconds that all threads may be at one thing each before that is not well */
	struct bg_figures  *figures;
	void               *arg;	/* of the functions below, which are called by the main thread */

	/* Read the configuration anew, for a reload.  Returns 0 and a snapshot, or a code of sysexits(3) with the reason in the log. */
	int  (*configure)(void *arg, struct bg_snapshot **out);
	/* What of the log can be changed without a failure.  log is the descriptor that it is about to be switched to, or -1. */
	void (*set_log)(void *arg, const struct bg_conf *conf, int log);
};

/*
 * Decide until the supervisor says to end or is gone.  SIGINT, SIGQUIT and SIGTERM, which are blocked, end it likewise.  To be called with
 * one thread.  Returns an exit code; err says why where it could not start.  May end the process by _exit(2) instead, when
 * somebody still uses what would have to be freed.
 */
int bg_decider_run(const struct bg_decider_options *options, struct bg_error *err);

#endif
