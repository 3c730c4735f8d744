#ifndef BG_CORE_B64URL_H
#define BG_CORE_B64URL_H

#include "core/slice.h"

#define BG_B64URL_DECODED(len)	((len) / 4 * 3 + (len) % 4 * 6 / 8)	/* bytes that len characters stand for */
#define BG_B64URL_ENCODED(len)	(((len) * 8 + 5) / 6)			/* characters that len bytes need */

/*
 * Decode text into dst, which has room for BG_B64URL_DECODED(text.len) bytes and may not overlap text.  Strict: the
 * URL alphabet alone, no padding, no white space, no impossible length, unused bits zero; so one value has one
 * spelling (SR-31).  Returns the number of bytes, or -1 with dst undefined.
 *
 * RFC 7515 section 2, RFC 4648 sections 3.5 and 5.
 */
long bg_b64url_decode(unsigned char *dst, struct bg_slice text) BG_MUST_CHECK;

/* Encode len bytes into dst, which has room for BG_B64URL_ENCODED(len) characters; no terminator is written. */
void bg_b64url_encode(char *dst, const unsigned char *src, size_t len);

#endif
