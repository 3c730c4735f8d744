#include "core/b64url.h"

/* Value of a character of the URL alphabet, or -1.  RFC 4648 table 2. */
static const signed char values[256] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	-1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, 63,
	-1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

long
bg_b64url_decode(unsigned char *dst, struct bg_slice text)
{
	const unsigned char *in = (const unsigned char *)text.ptr;
	unsigned char *out = dst;
	size_t i;
	int a, b, c, d;

	for (i = 0; i + 4 <= text.len; i += 4) {
		a = values[in[i]];
		b = values[in[i + 1]];
		c = values[in[i + 2]];
		d = values[in[i + 3]];
		if ((a | b | c | d) < 0)
			return -1;
		*out++ = (unsigned char)(a << 2 | b >> 4);
		*out++ = (unsigned char)((b & 15) << 4 | c >> 2);
		*out++ = (unsigned char)((c & 3) << 6 | d);
	}
	switch (text.len - i) {
	case 0:
		break;
	case 2:
		a = values[in[i]];
		b = values[in[i + 1]];
		if ((a | b) < 0 || (b & 15) != 0)
			return -1;
		*out++ = (unsigned char)(a << 2 | b >> 4);
		break;
	case 3:
		a = values[in[i]];
		b = values[in[i + 1]];
		c = values[in[i + 2]];
		if ((a | b | c) < 0 || (c & 3) != 0)
			return -1;
		*out++ = (unsigned char)(a << 2 | b >> 4);
		*out++ = (unsigned char)((b & 15) << 4 | c >> 2);
		break;
	default:
		return -1;	/* a single character is six bits: no byte */
	}
	return (long)(out - dst);
}

void
bg_b64url_encode(char *dst, const unsigned char *src, size_t len)
{
	for (; len >= 3; len -= 3, src += 3) {
		*dst++ = letters[src[0] >> 2];
		*dst++ = letters[(src[0] & 3) << 4 | src[1] >> 4];
		*dst++ = letters[(src[1] & 15) << 2 | src[2] >> 6];
		*dst++ = letters[src[2] & 63];
	}
	if (len > 0) {
		*dst++ = letters[src[0] >> 2];
		if (len == 1)
			*dst = letters[(src[0] & 3) << 4];
		else {
			*dst++ = letters[(src[0] & 3) << 4 | src[1] >> 4];
			*dst = letters[(src[1] & 15) << 2];
		}
	}
}
