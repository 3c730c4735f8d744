#ifndef BG_FCGI_STATUS_H
#define BG_FCGI_STATUS_H

#include "core/keystore.h"
#include "fcgi/counters.h"

/*
 * How the daemon is, as plain data, for pages: filled in by fcgi/figures.c, or by a test.  All text is borrowed.  There is
 * nothing secret in it, and no page makes anything of it but text for people: whatever came from outside, an issuer's error
 * or the name in a document, is escaped (SR-85).
 */
struct bg_status {
	int64_t     now;		/* all moments are seconds since the epoch, and 0 where there is none */
	int64_t     started;
	int64_t     uptime;		/* seconds, by a clock that nobody sets */
	const char *version;		/* of the program */
	const char *build;		/* of what it runs with */
	long        pid;		/* of the daemon, which is the supervisor */
	long        worker;		/* of the process that decides; descriptors, memory and processor below are its own */

	const char *sandbox;		/* what the worker is kept in: "seccomp, landlock ABI 5", "off (--no-sandbox)" */
	bool        sandboxed;		/* is it kept in anything? */

	struct bg_counts counts;

	/* bg_keystore_status of each issuer, in the order of the configuration */
	struct bg_keystore_status *issuers;
	size_t      n_issuers;

	const char *dpop;		/* "allowed", "required", "disabled" */
	const char *replay;		/* the kind of store: "lmdb", "redis", "rediss", "private", "none" */
	bool        nonces;

	size_t      tokens, max_tokens;	/* whose signature is known to be good; a maximum of 0: none is remembered */
	size_t      token_bytes;	/* that their parsed forms take */
	uint64_t    token_hits, token_misses, token_evictions;	/* struct bg_verified_status */
	size_t      threads;
	size_t      parked, max_parked;	/* requests that wait for keys */
	size_t      waiting, max_waiting;	/* connections whose request is not whole yet */
	uint64_t    troubles;		/* connections that were closed without an answer, or not accepted */
	uint64_t    strangers;		/* connections that listen_allowed_clients was against */
	int64_t     descriptors, max_descriptors;	/* -1: not known, as below */
	int64_t     resident;		/* bytes */
	int64_t     cpu_ms;
	uint64_t    restarts;		/* of the worker, because the one before died */
	int64_t     restarted;		/* when the last one was */
	uint64_t    reloads, failed_reloads;
	int64_t     reloaded;		/* when the last one was that took effect */
	int64_t     reload_failed;	/* when the last one was that did not */
};

/* Does every issuer have keys? */
bool bg_status_is_ready(const struct bg_status *status);

/*
 * Pages, put into out.  n is how many of the issuers they have room for; they say how many were left out.  What does not fit
 * makes out fail.  The one for Prometheus is of the text format, version 0.0.4, and has for each issuer at most what is
 * finite: no client can make it longer.
 */
void bg_status_put_ready(const struct bg_status *status, size_t n, struct bg_buf *out);
void bg_status_put_text(const struct bg_status *status, size_t n, struct bg_buf *out);
void bg_status_put_json(const struct bg_status *status, size_t n, struct bg_buf *out);
void bg_status_put_metrics(const struct bg_status *status, size_t n, struct bg_buf *out);
void bg_status_put_html(const struct bg_status *status, size_t n, struct bg_buf *out);	/* status_html.c */

/* What they have in common. */
uint64_t bg_status_allowed(const struct bg_status *status);
uint64_t bg_status_refused(const struct bg_status *status);
extern const char *const bg_passed_names[BG_PASSED_KINDS];	/* "bearer", "dpop", "anonymous" */
extern const char *const bg_outcome_names[BG_OUTCOMES];		/* "allowed", "refused", "failed" */
void bg_status_put_time(struct bg_buf *out, int64_t at);	/* "2026-11-26T17:22:01Z" */
void bg_status_put_moment(struct bg_buf *out, int64_t at, int64_t now);	/* "2026-11-26T17:22:01Z, 3m ago"; "never" for 0 */

#endif
