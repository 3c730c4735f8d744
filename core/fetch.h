#ifndef BG_CORE_FETCH_H
#define BG_CORE_FETCH_H

#include <stdint.h>

#include "core/buf.h"

/* What came with a document, beside its text. */
struct bg_fetch_meta {
	int64_t max_age;	/* seconds it may be kept, -1 when the issuer did not say (RFC 9111 section 5.2.2.1) */
};

/*
 * "Bring me this": the one thing core asks of the network.  get puts the document at location (an https URL, or a
 * path for the file fetcher) into body, whose ceiling was set by the caller, and fills meta.  It gives up after
 * timeout seconds.  Returns 0, or -1 with BG_R_FETCH_FAILED and a detail that says what went wrong, body then undefined.
 * Called from one thread at a time for each key store; several stores may call at once.
 */
struct bg_fetcher {
	int (*get)(const struct bg_fetcher *self, const char *location, int64_t timeout, struct bg_buf *body,
	    struct bg_fetch_meta *meta, struct bg_error *err);
};

/*
 * By running the program bearergate-fetch (fetch_helper.c).  program and ca_file are borrowed and outlive it;
 * ca_file may be NULL for the system's authorities.
 */
struct bg_fetch_helper {
	struct bg_fetcher base;
	const char       *program;	/* absolute path */
	const char       *ca_file;
};
void bg_fetch_helper_init(struct bg_fetch_helper *self, const char *program, const char *ca_file);

/* From a file, with a lifetime of a few seconds, so that a changed file is noticed (fetch_file.c). */
extern const struct bg_fetcher bg_fetch_file;

#endif
