#ifndef BG_FCGI_BROKER_H
#define BG_FCGI_BROKER_H

#include "fcgi/channel.h"

/*
 * The fetcher of the worker, which opens no connection and runs no program: it asks the supervisor, with a pipe for the
 * answer.  The supervisor lets a process of its own run bearergate-fetch and write into the pipe what came of it; when the
 * worker closes its end, because it is told to end or is dead, that process gives up.
 */
struct bg_broker {
	struct bg_fetcher base;
	int               channel;	/* to the supervisor; -1: there is none yet, and every fetch fails */
};
void bg_broker_init(struct bg_broker *self);

/* Answer a request that bg_message_parse found good, by this fetcher, into fd: a pipe's end, see bg_broker_may_write. */
void bg_broker_answer(const struct bg_fetch_wanted *wanted, const struct bg_fetcher *fetcher, int fd);

/* Is this the end of a pipe that can be written to, and nothing else? */
bool bg_broker_may_write(int fd);

/*
 * The answer as bytes: what came (rc 0), with body and meta, or what went wrong.  Goes into out, whose ceiling should be
 * BG_BROKER_ANSWER_MAX; a body longer than max makes it a failure.
 */
void bg_broker_put(struct bg_buf *out, int rc, const struct bg_buf *body, const struct bg_fetch_meta *meta,
    const struct bg_error *err);

/*
 * Read all of an answer, as a fetcher's get returns it.  What is not exactly of the form, or does not fit the request, is
 * BG_R_FETCH_FAILED.  A pure function.
 */
int  bg_broker_read(struct bg_slice answer, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err) BG_MUST_CHECK;

#define BG_BROKER_HEAD_MAX	1024	/* bytes in front of the document */
#define BG_BROKER_ANSWER_MAX	(BG_BROKER_HEAD_MAX + BG_FETCH_MAX)

#endif
