#ifndef BG_CORE_REDIS_H
#define BG_CORE_REDIS_H

#include "core/replay.h"

/*
 * Connections to one Redis or Valkey: how to get in, and commands with their answers, everything under a deadline.  hiredis
 * knows the protocol; sockets and TLS are our own, since it has no deadlines and Debian 12's no TLS.
 *
 * Deadlines are of bg_clock_mono_ms().  What fails is BG_R_STORE_DOWN unless said otherwise, with the server's name in the
 * detail, and its own words escaped and cut; the password is never in there (SR-85).
 */
struct bg_redis_server;		/* the same for all threads; nothing of it changes after start */
struct bg_redis_conn;		/* for one thread at a time */

#define BG_REDIS_ARGS_MAX	6
#define BG_REDIS_COMMANDS_MAX	4	/* of one call */

/* Arguments may hold any bytes: they are counted, never quoted (SR-55).  Those behind the last one have ptr NULL. */
struct bg_redis_command {
	struct bg_slice args[BG_REDIS_ARGS_MAX];
};

enum bg_redis_kind { BG_REDIS_NIL, BG_REDIS_STATUS, BG_REDIS_STRING, BG_REDIS_INTEGER, BG_REDIS_ERROR };

/* Arrays are never asked for and count as nonsense. */
struct bg_redis_reply {
	enum bg_redis_kind kind;
	size_t             len;
	char               text[];	/* of all but NIL and INTEGER; terminated, and may hold zero bytes */
};

/* how is copied.  Returns -1 with BG_R_NO_MEMORY, or BG_R_INTERNAL where how makes no sense. */
int bg_redis_server_new(const struct bg_redis *how, struct bg_redis_server **out, struct bg_error *err) BG_MUST_CHECK;
void bg_redis_server_free(struct bg_redis_server *server);	/* after its connections; NULL is fine */

/* Load the authorities for TLS.  Once, before the first connection. */
int bg_redis_server_start(struct bg_redis_server *server, struct bg_error *err) BG_MUST_CHECK;

const char *bg_redis_server_name(const struct bg_redis_server *server);	/* for people: "host:port"; borrowed */
bool bg_redis_server_is(const struct bg_redis_server *server, const struct bg_redis_server *other);	/* the same, and database */
int64_t bg_redis_server_timeout(const struct bg_redis_server *server);	/* milliseconds */

/*
 * Connect, with TLS, AUTH and SELECT as far as they are wanted.  *out is the caller's and borrows from server.
 * TLS is 1.2 or later, and the certificate must be good and for that host: there is no way around that.
 */
int bg_redis_connect(struct bg_redis_server *server, int64_t deadline, struct bg_redis_conn **out,
    struct bg_error *err) BG_MUST_CHECK;
void bg_redis_close(struct bg_redis_conn *conn);	/* NULL is fine */

/* Is it still open, and silent, as one that nobody is using must be?  Asks the system, not the server. */
bool bg_redis_is_idle(struct bg_redis_conn *conn);

/*
 * Send n commands at once and take n answers, borrowed from conn until the next call.  An answer that is an error is no
 * failure here: see bg_redis_refused.  After a failure the connection is good for nothing but bg_redis_close, and
 * what the server has done is not known.
 */
int bg_redis_call(struct bg_redis_conn *conn, const struct bg_redis_command *commands, size_t n, int64_t deadline,
    const struct bg_redis_reply *replies[], struct bg_error *err) BG_MUST_CHECK;

/* Is reply an error?  Then notes it, BG_R_STORE_FULL for want of memory there, with the command's name. */
bool bg_redis_refused(const struct bg_redis_conn *conn, const char *command, const struct bg_redis_reply *reply,
    struct bg_error *err);

#endif
