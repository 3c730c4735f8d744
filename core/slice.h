#ifndef BG_CORE_SLICE_H
#define BG_CORE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BG_MUST_CHECK	__attribute__((warn_unused_result))
#define BG_PRINTF(f, a)	__attribute__((format(printf, f, a)))

/*
 * Bytes that belong to someone else: not terminated, perhaps with a zero byte inside.  A slice with ptr == NULL
 * means "not there", which is something else than a slice of length zero, "there and empty".
 */
struct bg_slice {
	const char *ptr;
	size_t      len;	/* bytes */
};

#define BG_SLICE(lit)		((struct bg_slice){ (lit), sizeof(lit) - 1 })
#define BG_SLICE_INIT(lit)	{ (lit), sizeof(lit) - 1 }

/* For "%.*s" in text for the log.  Never for parsing: it stops at a zero byte. */
#define BG_SLICE_ARG(s)		(int)((s).len > 120 ? 120 : (s).len), ((s).ptr != NULL ? (s).ptr : "")

/* The whole of a terminated string, which may be NULL; borrowed. */
static inline struct bg_slice
bg_slice_str(const char *str)
{
	return (struct bg_slice){ str, str != NULL ? strlen(str) : 0 };
}

/* Byte for byte.  Not for secrets: its time tells where two differ (bg_secret_equal in core/secret.h). */
static inline bool
bg_slice_equal(struct bg_slice a, struct bg_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Byte for byte, but A-Z as a-z.  ASCII alone, in every locale: header and scheme names. */
static inline bool
bg_slice_equal_nocase(struct bg_slice a, struct bg_slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned char x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];

		x = x >= 'A' && x <= 'Z' ? (unsigned char)(x | 0x20) : x;
		y = y >= 'A' && y <= 'Z' ? (unsigned char)(y | 0x20) : y;
		if (x != y)
			return false;
	}
	return true;
}

static inline bool
bg_slice_starts(struct bg_slice s, struct bg_slice prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Printable ASCII alone, from space to "~"?  Eight bytes at a time, since each answer asks it of all it says. */
static inline bool
bg_slice_is_printable(struct bg_slice s)
{
	const uint64_t each = UINT64_MAX / 255, high = 0x80 * each;
	size_t i = 0;

	for (; s.len - i >= sizeof(each); i += sizeof(each)) {
		uint64_t w, del;

		memcpy(&w, s.ptr + i, sizeof(w));
		del = w ^ 0x7f * each;
		/* the high bit of a byte of its own, or one that goes over when 0x20 is taken away, or 1 from 0 */
		if (((w | (w - 0x20 * each) | (del - each)) & high) != 0)
			return false;
	}
	for (; i < s.len; i++)
		if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e)
			return false;
	return true;
}

/* s without its first n bytes; n is at most s.len. */
static inline struct bg_slice
bg_slice_skip(struct bg_slice s, size_t n)
{
	return (struct bg_slice){ s.ptr + n, s.len - n };
}

/* Digits alone, as a number.  Returns false, with *out 0, for anything else, nothing at all, and what may be larger than fits. */
static inline bool
bg_slice_decimal(struct bg_slice s, int64_t *out)
{
	int64_t n = 0;

	*out = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9' || n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (s.ptr[i] - '0');
	}
	*out = n;
	return s.len > 0;
}

/* What a hexadecimal digit stands for, in either case; -1 for any other character. */
static inline int
bg_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Take the next word off rest, words being separated by any number of spaces.  Returns false when there is none left.
 * Scope and permission lists, RFC 6749 section 3.3.
 */
static inline bool
bg_slice_word(struct bg_slice *rest, struct bg_slice *word)
{
	size_t n = 0;

	while (rest->len > 0 && rest->ptr[0] == ' ')
		*rest = bg_slice_skip(*rest, 1);
	while (n < rest->len && rest->ptr[n] != ' ')
		n++;
	*word = (struct bg_slice){ rest->ptr, n };
	if (n > 0)
		*rest = bg_slice_skip(*rest, n);
	return n > 0;
}

#endif
