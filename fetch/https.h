#ifndef BG_FETCH_HTTPS_H
#define BG_FETCH_HTTPS_H

#include <stdint.h>

#include "core/buf.h"
#include "core/limits.h"

/* The exit code, beside those of sysexits(3), for a server that has answered: it does not offer this document. */
#define BG_HTTPS_MISSING	1

struct bg_https_request {
	const char *url;	/* https; bg_url_wrong has seen it */
	const char *ca_file;	/* PEM, instead of the system's authorities; NULL for those */
	const char *ca_dir;	/* the same as a directory with hashed names; both may be given, then both count */
	const char *proxy;	/* bg_url_proxy_wrong has seen it; NULL: the server is asked directly */
	const char *etag;	/* bg_etag_good has seen it; NULL: there is no copy that might be confirmed */
	int64_t     timeout;	/* seconds for everything together, name and TLS included; at least 1 */
	bool        public_only;	/* nobody is asked who has not a public address (core/address.h); through a proxy,
					 * what the URL says is all that is looked at */
};

struct bg_https_answer {
	int64_t max_age;	/* seconds it may be kept, counted from now; -1: the issuer did not say */
	bool    not_modified;	/* there is no body: the copy with that etag is good */
	bool    private_peer;	/* who answered has not a public address */
	char    etag[BG_ETAG_MAX + 1];	/* that of the body; "" when it has none */
};

/*
 * Bring one document.  Server certificate and host name are always verified, by TLS 1.2 or later; no redirect is
 * followed, no proxy but that of the request asked, no cookie or password sent, and only status 200 is an answer, or 304
 * where an etag was given.  body gets the document, up to the ceiling it was born with, answer what came with it.
 * Returns 0, or the exit code that fits, BG_HTTPS_MISSING or one of sysexits(3), with BG_R_FETCH_FAILED and one line
 * of detail, which may hold bytes from the issuer; body is then undefined.
 * To be called once, with SIGPIPE ignored: it starts libcurl and ends it.
 *
 * SR-52, SR-53, SR-87; RFC 9110, RFC 9111 section 4.2.
 */
int bg_https_get(const struct bg_https_request *request, struct bg_buf *body, struct bg_https_answer *answer,
    struct bg_error *err) BG_MUST_CHECK;

/* libcurl and what it brings, with their versions; static. */
const char *bg_https_version(void);

#endif
