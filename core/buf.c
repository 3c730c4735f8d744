#include "core/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAP	256	/* most headers and log lines fit */

void
bg_buf_init(struct bg_buf *buf, size_t max)
{
	*buf = (struct bg_buf){ .max = max };
}

void
bg_buf_clear(struct bg_buf *buf)
{
	free(buf->data);
	bg_buf_init(buf, buf->max);
}

void
bg_buf_reset(struct bg_buf *buf)
{
	buf->len = 0;
	buf->failed = buf->no_memory = false;
}

/* Room for n more bytes and a terminator. */
static bool
reserve(struct bg_buf *buf, size_t n)
{
	size_t want, cap;
	char *data;

	if (buf->failed || buf->len > buf->max || n > buf->max - buf->len || buf->max == SIZE_MAX) {
		buf->failed = true;
		return false;
	}
	want = buf->len + n + 1;
	if (want <= buf->cap)
		return true;
	cap = buf->cap > 0 ? buf->cap : FIRST_CAP;
	while (cap < want)
		cap = cap > SIZE_MAX / 2 ? want : cap * 2;
	if ((data = realloc(buf->data, cap)) == NULL) {
		buf->failed = buf->no_memory = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

char *
bg_buf_extend(struct bg_buf *buf, size_t n)
{
	char *at;

	if (!reserve(buf, n))
		return NULL;
	at = buf->data + buf->len;
	buf->len += n;
	return at;
}

void
bg_buf_put(struct bg_buf *buf, struct bg_slice bytes)
{
	char *at = bg_buf_extend(buf, bytes.len);

	if (at != NULL && bytes.len > 0)
		memcpy(at, bytes.ptr, bytes.len);
}

void
bg_buf_put_str(struct bg_buf *buf, const char *str)
{
	bg_buf_put(buf, bg_slice_str(str));
}

void
bg_buf_put_char(struct bg_buf *buf, char c)
{
	bg_buf_put(buf, (struct bg_slice){ &c, 1 });
}

void
bg_buf_put_format(struct bg_buf *buf, const char *fmt, ...)
{
	size_t room = buf->cap - buf->len;	/* 0 before the first byte; else there is one for the terminator */
	va_list ap, again;
	int need;

	va_start(ap, fmt);
	va_copy(again, ap);
	need = vsnprintf(room > 0 ? buf->data + buf->len : NULL, room, fmt, ap);
	va_end(ap);
	/* reserve leaves room for the terminator that vsnprintf writes */
	if (need < 0 || !reserve(buf, (size_t)need))
		buf->failed = true;
	else if ((size_t)need < room)
		buf->len += (size_t)need;
	else {
		(void)vsnprintf(buf->data + buf->len, (size_t)need + 1, fmt, again);
		buf->len += (size_t)need;
	}
	va_end(again);
}

void
bg_buf_put_quoted(struct bg_buf *buf, struct bg_slice bytes)
{
	bg_buf_put_char(buf, '"');
	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.ptr[i];

		if (c == '"' || c == '\\')
			bg_buf_put_char(buf, '\\');
		bg_buf_put_char(buf, c >= 0x20 && c < 0x7f ? c : '?');
	}
	bg_buf_put_char(buf, '"');
}

int
bg_buf_finish(struct bg_buf *buf, struct bg_slice *out, struct bg_error *err)
{
	*out = (struct bg_slice){ NULL, 0 };
	if (!reserve(buf, 0))
		return buf->no_memory ? bg_fail(err, BG_R_NO_MEMORY, "text") :
		    bg_fail(err, BG_R_INTERNAL, "more than %zu bytes", buf->max);
	buf->data[buf->len] = '\0';
	*out = (struct bg_slice){ buf->data, buf->len };
	return 0;
}

size_t
bg_vformat(char *dst, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(dst, size, fmt, ap);

	if (n < 0) {
		dst[0] = '\0';
		return 0;
	}
	return (size_t)n < size ? (size_t)n : size - 1;
}

size_t
bg_format(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = bg_vformat(dst, size, fmt, ap);
	va_end(ap);
	return n;
}

void
bg_buf_put_span(struct bg_buf *buf, int64_t seconds)
{
	static const struct { char letter; int64_t seconds; } units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	const size_t n = sizeof(units) / sizeof(units[0]);
	size_t i = 0;

	while (i < n - 1 && seconds < units[i].seconds)
		i++;
	bg_buf_put_format(buf, "%" PRId64 "%c", seconds / units[i].seconds, units[i].letter);
	if (i < n - 1 && seconds % units[i].seconds / units[i + 1].seconds > 0)
		bg_buf_put_format(buf, "%" PRId64 "%c", seconds % units[i].seconds / units[i + 1].seconds, units[i + 1].letter);
}
