#ifndef BG_CORE_HTU_H
#define BG_CORE_HTU_H

#include "core/buf.h"

/*
 * The normal form of the URL of a request, in which htu and the request's own URL are compared byte for byte: scheme and host
 * in lower case, IPv6 as RFC 5952 writes it, no default port, empty path as "/", dot segments removed, percent-encodings
 * in upper case and only where needed (unreserved characters decoded, what is not ASCII encoded), query and fragment left
 * out.  Nothing else is changed: the path keeps its case, its empty segments and its encoded slashes, and an
 * internationalised host stays as it arrives.
 *
 * RFC 3986 sections 3.2.2, 5.2.4 and 6.2.2, RFC 9449 section 4.3 check 9.
 */

/*
 * The normal form of an absolute http or https URL, as in a proof's htu, put behind what is in out.  Returns NULL, or
 * static words on what is wrong with it (another scheme, user information, a bad host, port or percent-encoding,
 * control characters, more than BG_URI_MAX bytes); out then holds rubbish.  Where it did not fit into out, out says so:
 * it failed, perhaps for want of memory.
 */
const char *bg_htu_normalise(struct bg_slice url, struct bg_buf *out);

/*
 * The normal form of a URL that comes in parts: scheme "http" or "https" in any case; authority as a Host header
 * has it; prefix a path to put before the target's, or empty; target a request target, in origin or absolute form,
 * of which the path alone is taken.  Returns NULL or static words, as above; *host_wrong says that they are about authority.
 *
 * SR-60: each part is held to its grammar before a URL is made of them.
 */
const char *bg_htu_build(struct bg_slice scheme, struct bg_slice authority, struct bg_slice prefix, struct bg_slice target,
    struct bg_buf *out, bool *host_wrong);

/* What bg_htu_build would find wrong with a prefix: it is no path, or leads back by "..".  NULL or static words. */
const char *bg_htu_prefix_wrong(struct bg_slice prefix);

#endif
