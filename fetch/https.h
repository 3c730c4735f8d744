#ifndef BG_FETCH_HTTPS_H
#define BG_FETCH_HTTPS_H

#include <stdint.h>

#include "core/buf.h"

struct bg_https_request {
	const char *url;	/* https; bg_url_wrong has seen it */
	const char *ca_file;	/* PEM, instead of the system's authorities; NULL for those */
	int64_t     timeout;	/* seconds for everything together, name and TLS included; at least 1 */
};

/*
 * Bring one document.  Server certificate and host name are always verified, by TLS 1.2 or later; no redirect is
 * followed, no proxy asked, no cookie or password sent, and only status 200 is an answer.  body gets the document, up
 * to the ceiling it was born with, max_age the seconds it may be kept, -1 when the issuer did not say.
 * Returns 0, or the exit code of sysexits(3) that fits, with BG_R_FETCH_FAILED and one line of detail, which may hold
 * bytes from the issuer; body is then undefined.
 * To be called once, with SIGPIPE ignored: it starts libcurl and ends it.
 *
 * SR-52, SR-53, SR-87; RFC 9110, RFC 9111 section 4.2.
 */
int bg_https_get(const struct bg_https_request *request, struct bg_buf *body, int64_t *max_age,
    struct bg_error *err) BG_MUST_CHECK;

#endif
