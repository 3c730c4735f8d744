#ifndef BG_CORE_BUF_H
#define BG_CORE_BUF_H

#include <stdarg.h>
#include <stdint.h>

#include "core/error.h"

/*
 * Bytes being built, up to a ceiling set at birth.  A buffer that failed (ceiling or memory) stays failed and takes
 * nothing more, so a writer writes everything and asks once, with bg_buf_finish.  The storage is on the heap and
 * grows; the struct is the caller's.
 */
struct bg_buf {
	char   *data;
	size_t  len;
	size_t  cap;
	size_t  max;	/* bytes it may ever hold, without the terminator */
	bool    failed;
	bool    no_memory;	/* it failed for want of memory, not at the ceiling */
};

void bg_buf_init(struct bg_buf *buf, size_t max);
void bg_buf_clear(struct bg_buf *buf);	/* gives the storage back; the buffer is then as after init */
void bg_buf_reset(struct bg_buf *buf);	/* empty and no longer failed; keeps the storage */

void bg_buf_put(struct bg_buf *buf, struct bg_slice bytes);
void bg_buf_put_str(struct bg_buf *buf, const char *str);
void bg_buf_put_char(struct bg_buf *buf, char c);
void bg_buf_put_format(struct bg_buf *buf, const char *fmt, ...) BG_PRINTF(2, 3);

/* As a quoted-string; what may not stand in one becomes "?".  RFC 9110 section 5.6.4. */
void bg_buf_put_quoted(struct bg_buf *buf, struct bg_slice bytes);

/* A span of time for people: its two largest units, "2d3h", "5m"; seconds is at least 0. */
void bg_buf_put_span(struct bg_buf *buf, int64_t seconds);

/* Make room for n more bytes and return where they go (uninitialised, len already counts them), or NULL: failed. */
char *bg_buf_extend(struct bg_buf *buf, size_t n);

/*
 * What was built, terminated for those who need it and borrowed from buf until it changes.  Returns -1 and
 * BG_R_INTERNAL when anything did not fit, BG_R_NO_MEMORY when there was no memory for it.
 */
int bg_buf_finish(struct bg_buf *buf, struct bg_slice *out, struct bg_error *err) BG_MUST_CHECK;

/*
 * snprintf that cannot be misread: writes at most size bytes with the terminator, cuts what does not fit, and
 * returns how many bytes stand there, without the terminator (SR-32).  size is at least 1.
 */
size_t bg_format(char *dst, size_t size, const char *fmt, ...) BG_PRINTF(3, 4);
size_t bg_vformat(char *dst, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

#endif
