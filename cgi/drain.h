#ifndef BG_CGI_DRAIN_H
#define BG_CGI_DRAIN_H

#include <stdint.h>

/*
 * Read the body of a request that is refused, and forget it: mod_cgid and fcgiwrap spoil an answer that comes before its
 * body was read (interop section 4.3).  content_length is what CONTENT_LENGTH says, NULL where it does not: never more than
 * that is read, since some servers hand in the client's connection itself.  transfer_encoding is the header of that name: a body
 * in chunks, of which mod_cgid does not say how long it is, is read to its end.  Never more than BG_DRAIN_MAX bytes are read or for
 * longer than BG_DRAIN_MS.  Returns how many bytes were read.
 *
 * RFC 3875 section 4.2.
 */
int64_t bg_drain(int fd, const char *content_length, const char *transfer_encoding);

#endif
