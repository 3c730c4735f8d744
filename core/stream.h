#ifndef BG_CORE_STREAM_H
#define BG_CORE_STREAM_H

#include <stdint.h>
#include <sys/socket.h>

#include "core/error.h"

/*
 * The client's end of one connection, with TLS or without, everything under a deadline of bg_clock_mono_ms().  The one place
 * where our own programs speak TLS; libcurl has its own.  TLS is 1.2 or later, and the certificate must be good and for
 * the host that was meant: there is no way around that.
 */

struct bg_tls;		/* authorities; the same for all threads and connections, and nothing of it changes after start */

struct bg_stream {
	const char    *name;		/* of the other end, for details; the caller's, and stays */
	enum bg_reason reason;		/* of all failures but want of memory */
	int            fd;		/* -1: none */
	struct ssl_st *tls;		/* NULL: none */
	const char    *alpn;		/* the protocol to ask for with TLS, as "h2"; NULL, as after init: none.  RFC 7301 */
};

/*
 * Authorities of a file, a directory, or, where both are NULL, the system's.  name is for details.
 * *out is the caller's: bg_tls_free.  Returns -1 with reason.
 */
int bg_tls_new(const char *name, enum bg_reason reason, const char *ca_file, const char *ca_dir, struct bg_tls **out,
    struct bg_error *err) BG_MUST_CHECK;
void bg_tls_free(struct bg_tls *tls);	/* after its streams; NULL is fine */

/* Storage is the caller's, and must not move until bg_stream_close. */
void bg_stream_init(struct bg_stream *stream, const char *name, enum bg_reason reason);

/* Connect to one address.  After a failure the stream is as after init, and another address can be tried. */
int bg_stream_connect(struct bg_stream *stream, const struct sockaddr *address, socklen_t len, int64_t deadline,
    struct bg_error *err) BG_MUST_CHECK;

/* From here on TLS, with a server whose certificate must be for host: an address where numeric, else a name. */
int bg_stream_start_tls(struct bg_stream *stream, const struct bg_tls *tls, const char *host, bool numeric, int64_t deadline,
    struct bg_error *err) BG_MUST_CHECK;

int bg_stream_send(struct bg_stream *stream, struct bg_slice bytes, int64_t deadline, struct bg_error *err) BG_MUST_CHECK;

/* At least one byte, at most size, of which *len tells how many; or a failure, which the end of the connection is too. */
int bg_stream_receive(struct bg_stream *stream, char *bytes, size_t size, int64_t deadline, size_t *len,
    struct bg_error *err) BG_MUST_CHECK;

/* Is it still open, and silent?  Asks the system, not the other end. */
bool bg_stream_is_idle(struct bg_stream *stream);

void bg_stream_close(struct bg_stream *stream);		/* as after init then; also one that never was connected */

#endif
