#ifndef BG_CORE_ETAG_H
#define BG_CORE_ETAG_H

#include "core/slice.h"

/*
 * Is this an entity tag that we keep and hand back?  As in "\"abc\"" or "W/\"abc\"", printable ASCII, at most
 * BG_ETAG_MAX bytes with its quotes.
 *
 * RFC 9110 section 8.8.3, without obs-text.
 */
bool bg_etag_good(struct bg_slice text);

#endif
