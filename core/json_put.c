#include "core/json.h"

#include <stdint.h>

/* Apart from core/json.c, since it needs no jansson: a program that writes JSON alone does without. */

/* The code point at the start of text and its length in bytes; U+FFFD and 1 for what is no UTF-8.  RFC 3629 section 4. */
static uint32_t
utf8_next(struct bg_slice text, size_t *len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)text.ptr[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	uint32_t point;

	*len = 1;
	if (n == 1)
		return c;
	if (n == 0 || n > text.len)
		return 0xfffd;
	point = c & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)text.ptr[i] & 0xc0) != 0x80)
			return 0xfffd;
		point = point << 6 | ((unsigned char)text.ptr[i] & 0x3fu);
	}
	if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return 0xfffd;
	*len = n;
	return point;
}

void
bg_json_put_string(struct bg_buf *buf, struct bg_slice text)
{
	size_t len;

	bg_buf_put_char(buf, '"');
	for (; text.len > 0; text = bg_slice_skip(text, len)) {
		uint32_t c = utf8_next(text, &len);

		if (c == '"' || c == '\\')
			bg_buf_put_format(buf, "\\%c", (char)c);
		else if (c >= 0x20 && c < 0x7f && c != '<' && c != '>' && c != '&' && c != '\'')
			bg_buf_put_char(buf, (char)c);
		else if (c < 0x10000)
			bg_buf_put_format(buf, "\\u%04x", (unsigned)c);
		else
			bg_buf_put_format(buf, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
			    (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
	}
	bg_buf_put_char(buf, '"');
}
