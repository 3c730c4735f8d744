#ifndef BG_CORE_PATH_H
#define BG_CORE_PATH_H

#include "core/buf.h"

/*
 * The path a server will serve for a request target: percent-decoded once, slashes merged, dot segments resolved,
 * without query.  A path that two servers could read differently is refused: an encoded slash or backslash, a backslash,
 * NUL or another control character, ";", a fragment (Caddy takes "#" for a character like any other), a percent sign not
 * followed by two hexadecimal digits, ".." above the root, or ".." behind an empty segment (taken back is the empty one,
 * or the one before where the server merges slashes).  So is a target that is missing or no path at all (SR-70, SR-71).
 * Returns NULL when path was written (it begins with "/"), else static words on what the path has.
 *
 * RFC 3986 sections 2.1, 5.2.4 and 6.2.2.
 */
const char *bg_path_normalise(struct bg_slice uri, struct bg_buf *path);

/* Does a location take in this path?  Whole segments: "/api", or "/api/", takes in "/api" and "/api/x", not "/apix". */
bool bg_path_is_below(struct bg_slice path, struct bg_slice location);

#endif
