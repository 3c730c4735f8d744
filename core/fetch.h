#ifndef BG_CORE_FETCH_H
#define BG_CORE_FETCH_H

#include <stdint.h>

#include "core/buf.h"
#include "core/limits.h"

/* What is wanted. */
struct bg_fetch_request {
	const char *location;		/* an https URL, or a path for the file fetcher */
	int64_t     timeout;		/* seconds for all of it */
	const char *etag;		/* that of the copy there is, which may then be confirmed instead; NULL: there is none */
	bool        public_only;	/* no server on a loopback, private or link-local address is asked (SR-52) */
	const int  *cancel;		/* a descriptor that becomes readable when it is to be given up; NULL: there is none */
};

/* What came with a document, beside its text. */
struct bg_fetch_meta {
	int64_t max_age;		/* seconds it may be kept, -1: the issuer did not say (RFC 9111 section 5.2.2.1) */
	bool    not_modified;		/* there is no body: the copy with that etag is good (RFC 9110 section 15.4.5) */
	bool    missing;		/* beside a failure: the server answered that it has no such document */
	bool    private_peer;		/* the server is on a loopback, private or link-local address */
	int64_t took_ms;		/* how long it took, also beside a failure */
	char    etag[BG_ETAG_MAX + 1];	/* "" when it has none (RFC 9110 section 8.8.3) */
};

/*
 * "Bring me this": the one thing core asks of the network.  get puts the document into body, whose ceiling was set by
 * the caller, and fills meta.  Returns 0, or -1 with BG_R_FETCH_FAILED and a detail that says what went wrong, body then
 * undefined.  Called from one thread at a time for each key store; several stores may call at once.
 */
struct bg_fetcher {
	int (*get)(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
	    struct bg_fetch_meta *meta, struct bg_error *err);
};

/* By running the program bearergate-fetch (fetch_helper.c).  The strings are borrowed and outlive the fetcher. */
struct bg_fetch_helper_options {
	const char *program;	/* absolute path */
	const char *ca_file;	/* authorities to trust, in PEM form; NULL: none there */
	const char *ca_dir;	/* the same in a directory; NULL: none there.  Without either, those of the system */
	const char *proxy;	/* http://HOST:PORT (bg_url_proxy_wrong); NULL: issuers are asked directly */
};
struct bg_fetch_helper {
	struct bg_fetcher              base;
	struct bg_fetch_helper_options options;
};
void bg_fetch_helper_init(struct bg_fetch_helper *self, const struct bg_fetch_helper_options *options);

/* From a file; that it changed, somebody else has to notice (core/watch.h).  fetch_file.c. */
extern const struct bg_fetcher bg_fetch_file;

#endif
