#ifndef BG_FCGI_SUPERVISOR_H
#define BG_FCGI_SUPERVISOR_H

#include <signal.h>

#include "fcgi/channel.h"

/*
 * The first process: it has the listening sockets, starts the worker and starts it again when it dies, lets keys be fetched,
 * and takes the signals.  It has one thread, reads nothing that strangers send, and waits for nobody.
 */

/* What a program has to say to each event.  Called by the first process unless said otherwise; none may wait for anything. */
struct bg_supervisor_hooks {
	/*
	 * Be the worker, in a process of its own, which ends with what is returned, an exit code.  Everything of the supervisor
	 * but what the program itself has opened is closed.  first: there was none before, which may have answered requests.
	 */
	int  (*work)(void *arg, bool first, int channel);

	/* Answer this fetch into fd, in a process of its own, which has no descriptors but that and the standard ones. */
	void (*fetch)(void *arg, const struct bg_fetch_wanted *wanted, int fd);

	/* The worker serves: the first one that does, or one that was started because the one before died. */
	void (*serving)(void *arg, bool first, uint64_t restarts);

	/*
	 * SIGHUP: read the configuration anew.  Returns whether it is good; then *log is a descriptor for where the log goes by
	 * it, lent to be sent to the worker, or -1 where it stays.  Is followed by settle before the next.
	 */
	bool (*prepare)(void *arg, int *log);
	void (*settle)(void *arg, bool in_force);	/* what was prepared is in force, or is not to be; or was not good */

	/*
	 * SIGUSR1: open the log anew, not during a reload.  Returns its descriptor, to be sent to the worker and closed; -1: it
	 * stays where it was.
	 */
	int  (*reopen)(void *arg);

	void (*well)(void *arg);	/* the worker has said so, or there is none that could; only with a watchdog */

	void (*stopping)(void *arg, int sig);		/* the worker is about to be told to finish */
};

struct bg_supervisor_options {
	const struct bg_supervisor_hooks *hooks;
	void    *arg;
	sigset_t signals;	/* those below, which are blocked: HUP, INT, QUIT, TERM, USR1, USR2, CHLD */
	int64_t  watchdog;	/* milliseconds between two words that the worker is well; 0: nobody waits for any */

	/*
	 * Milliseconds between two questions whether the worker is well, unless watchdog asks more often; 0: it is asked for
	 * watchdog alone.  A worker that serves and leaves questions unanswered for so many milliseconds is killed: silence_limit,
	 * 0: never.  Each question counts for the time between two, however late it comes: it is no fault of the worker's where
	 * nobody ran, since the machine slept or the whole daemon was stopped.  Nor does a reload count, which has its own limit.
	 */
	int64_t  ask_every, silence_limit;
	int64_t  grace;		/* milliseconds: a worker that was told to finish and has not ended by then is killed */

	/*
	 * Milliseconds: a worker that was told of a new configuration and has not said by then what came of it is killed.  It is
	 * no fault of the configuration, which prepare has found good: the next worker begins with it.
	 */
	int64_t  reload_limit;
};

/* Serve until a signal says to end.  Returns an exit code: that of the first worker, if it ends with one before it serves. */
int bg_supervisor_run(const struct bg_supervisor_options *options);

/*
 * How long to wait before the next worker is started, in milliseconds.  One that ends after it has served for a while, or
 * the first one that does not, is replaced at once; then the wait doubles with each that ends before its time.  failures
 * starts at 0 and is how many of those there were in a row.  A pure function.
 */
int64_t bg_supervisor_wait(unsigned *failures, int64_t served_ms);

#define BG_SUPERVISOR_GOOD_MS	10000	/* served for so long, a worker has done its duty */
#define BG_SUPERVISOR_FIRST_MS	500
#define BG_SUPERVISOR_WAIT_MAX	30000

/* The names of our processes for ps(1); the first one keeps its own. */
#define BG_WORKER_NAME	"bearergate-work"
#define BG_FETCHER_NAME	"bearergate-keys"

#endif
