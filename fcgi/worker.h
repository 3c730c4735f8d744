#ifndef BG_FCGI_WORKER_H
#define BG_FCGI_WORKER_H

#include <stdint.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "fcgi/records.h"

#define BG_WORKER_LATER	1	/* beside 0 and -1: the answer cannot be given yet */

struct bg_worker_options {
	const int *listeners;		/* descriptors that listen, O_NONBLOCK set; borrowed, closed by no one here */
	size_t     n_listeners;
	int        threads;		/* at least 1 */
	size_t     max_waiting;		/* connections whose request is not whole yet; beyond, the oldest is closed */
	int64_t    deadline;		/* milliseconds from accept until the request is whole */
	size_t     max_parked;		/* requests that may wait for something at once; beyond, they are answered as they are */
	int64_t    patience;		/* milliseconds a request may be parked, from its first try; above 0 if any may */

	/*
	 * Put the answer to one request into out, which is empty and has a ceiling of BG_ANSWER_MAX.  role is what the
	 * server asked in, never BG_ROLE_NONE; env ends with NULL and is good until the return.  Returns 0 with the answer
	 * in out, or BG_WORKER_LATER where it cannot be given yet and it is worth asking again, perhaps in another thread,
	 * when bg_worker_wake was called; out then does not count.  That is for last false only: a request is not asked about again after last was true.  Anything else, or an empty or
	 * failed out, ends the connection without an answer, which every server takes as an error.  Called from all threads
	 * at once; should never wait, since the thread waits too.
	 */
	int      (*answer)(void *arg, enum bg_role role, char *const *env, bool last, struct bg_buf *out);
	void      *arg;			/* borrowed, of admit too */

	/*
	 * May the peer of this connection ask?  As bg_peers_admit; NULL: everybody may.  Nothing that one who may not has
	 * sent is looked at.
	 */
	bool     (*admit)(void *arg, int fd, const struct sockaddr *address, char *who, size_t size);
};

/* Threads that answer the requests that come in on some sockets. */
struct bg_worker;

/*
 * Start the threads; they take no signals.  SIGPIPE must be ignored or handled by now: libfcgi writes without
 * MSG_NOSIGNAL.  libfcgi puts handlers of its own on SIGTERM, SIGUSR1 and SIGPIPE where there are none yet, so handlers
 * that are wanted must be there before the first call too.  options is copied, what it points to is borrowed until
 * bg_worker_stop.  Returns -1 with BG_R_INTERNAL or BG_R_NO_MEMORY.
 */
int bg_worker_start(struct bg_worker **out, const struct bg_worker_options *options, struct bg_error *err) BG_MUST_CHECK;

/*
 * Something has changed: every parked request is tried again, soon, by the threads.  So is one that is being tried right
 * now, should that try say BG_WORKER_LATER.  From any thread, from inside answer too, at any time between start and
 * stop; never waits.
 */
void bg_worker_wake(struct bg_worker *worker);

/* Another patience, for requests that come from now on; above 0.  From any thread, between start and stop. */
void bg_worker_set_patience(struct bg_worker *worker, int64_t patience);

/* How busy it is.  From any thread, between start and stop, from inside answer too. */
struct bg_worker_figures {
	size_t   threads;
	size_t   parked, max_parked;	/* requests that wait for a wake */
	size_t   waiting, max_waiting;	/* connections whose request is not whole yet */
	uint64_t troubles;		/* connections closed without an answer or not accepted, in all; scans and checks do not count */
	uint64_t strangers;		/* connections closed because their peer may not ask, in all */
};
void bg_worker_read(struct bg_worker *worker, struct bg_worker_figures *out);

/*
 * Has any of its threads been free, or gone on from what it had in hand, since the last call?  False again and again: they are all
 * stuck.  From one thread alone, between start and stop.
 */
bool bg_worker_moves(struct bg_worker *worker);

/*
 * Accept nothing more, let requests under way finish within grace milliseconds, those that are parked with a last try at
 * once, close what is still waiting, and free the worker.  Returns false when some request did not finish: its thread
 * then still uses the worker and all that was lent to it, so that nothing may be freed; call again to wait some more, or
 * leave by _exit(2).  NULL is fine.
 */
bool bg_worker_stop(struct bg_worker *worker, int64_t grace) BG_MUST_CHECK;

#endif
