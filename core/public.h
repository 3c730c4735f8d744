#ifndef BG_CORE_PUBLIC_H
#define BG_CORE_PUBLIC_H

#include "core/buf.h"
#include "core/forwarded.h"

/* How clients see this server.  const after start-up. */
struct bg_public {
	char             *url;		/* public_url, an absolute URL perhaps with a path to put before; NULL: not said */
	struct bg_proxies proxies;	/* whose headers count */
};

/*
 * The URL the client asked for, in the normal form of core/htu.h, without query: public_url and the path of the request target;
 * else what trusted proxies say (core/forwarded.h), and for what they do not say the server's own scheme and Host.  A server
 * that says no scheme speaks http.
 * Returns -1 with BG_R_BAD_HOST when no host is known or it is malformed (SR-60), BG_R_BAD_FORWARDED, BG_R_BAD_REQUEST
 * for a request target that is no path, BG_R_BAD_VARIABLE for a scheme of the server that is neither http nor https,
 * BG_R_INTERNAL for a public_url that conf/ would have refused, or BG_R_NO_MEMORY.
 *
 * RFC 9110 section 7.1, RFC 9449 section 4.3 check 9.
 */
int bg_public_url(const struct bg_public *public, const struct bg_request *request, struct bg_buf *out,
    struct bg_error *err) BG_MUST_CHECK;

void bg_public_clear(struct bg_public *public);

#endif
