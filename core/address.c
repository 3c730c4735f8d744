#include "core/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* The first bits of an address, and what an address that begins with them is; NULL: public. */
struct prefix {
	unsigned char bytes[12];
	unsigned      bits;
	const char   *words;
};

/* The first row that fits counts; what no row fits is public. */
static const struct prefix v4_prefixes[] = {
	{ { 0 },             8, "a reserved address" },		/* RFC 1122 section 3.2.1.3; 0.0.0.0 has words of its own */
	{ { 10 },            8, "a private address" },		/* RFC 1918 section 3 */
	{ { 100, 64 },      10, "a shared address" },		/* RFC 6598 section 7 */
	{ { 127 },           8, "a loopback address" },		/* RFC 1122 section 3.2.1.3 */
	{ { 169, 254 },     16, "a link-local address" },	/* RFC 3927 section 2.1 */
	{ { 172, 16 },      12, "a private address" },		/* RFC 1918 section 3 */
	{ { 192, 0, 0 },    24, "a reserved address" },		/* RFC 6890 section 2.1 */
	{ { 192, 0, 2 },    24, "a reserved address" },		/* RFC 5737 section 3 */
	{ { 192, 88, 99 },  24, "a reserved address" },		/* RFC 7526 section 4 */
	{ { 192, 168 },     16, "a private address" },		/* RFC 1918 section 3 */
	{ { 198, 18 },      15, "a reserved address" },		/* RFC 2544 appendix C */
	{ { 198, 51, 100 }, 24, "a reserved address" },		/* RFC 5737 section 3 */
	{ { 203, 0, 113 },  24, "a reserved address" },		/* RFC 5737 section 3 */
	{ { 224 },           4, "a multicast address" },	/* RFC 5771 section 3 */
	{ { 240 },           4, "a reserved address" },		/* RFC 1112 section 4; 255.255.255.255 too */
};

/* The first row that fits counts; what no row fits is reserved. */
static const struct prefix v6_prefixes[] = {
	{ { 0x20, 0x01 },             23, "a reserved address" },	/* RFC 2928; Teredo is in it, RFC 4380 */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, "a reserved address" },	/* RFC 3849 */
	{ { 0x3f, 0xff },             20, "a reserved address" },	/* RFC 9637 */
	{ { 0x20 },                    3, NULL },			/* RFC 4291 section 2.4, global unicast so far */
	{ { 0xfc },                    7, "a private address" },	/* RFC 4193 section 3.1 */
	{ { 0xfe, 0x80 },             10, "a link-local address" },	/* RFC 4291 section 2.5.6 */
	{ { 0xfe, 0xc0 },             10, "a private address" },	/* RFC 3879: site-local, long ago */
	{ { 0xff },                    8, "a multicast address" },	/* RFC 4291 section 2.7 */
};

/* IPv6 addresses that lead to the IPv4 address within them. */
static const struct {
	unsigned char bytes[12];
	unsigned      bits;
	unsigned      at;	/* where the IPv4 address begins */
} carriers[] = {
	{ { [10] = 0xff, [11] = 0xff },         96, 12 },	/* RFC 4291 section 2.5.5.2, mapped */
	{ { 0 },                                96, 12 },	/* RFC 4291 section 2.5.5.1, compatible */
	{ { 0x20, 0x02 },                       16, 2 },	/* RFC 3056 section 2, 6to4 */
	{ { 0x00, 0x64, 0xff, 0x9b },           96, 12 },	/* RFC 6052 section 2.1 */
};

#define N(table)	(sizeof(table) / sizeof((table)[0]))

static bool
begins(const unsigned char *address, const unsigned char *bytes, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(address, bytes, whole) == 0 &&
	    (rest == 0 || (address[whole] ^ bytes[whole]) >> (8 - rest) == 0);
}

static const char *
v4_not_public(const unsigned char address[4])
{
	if (memcmp(address, "\0\0\0\0", 4) == 0)
		return "the unspecified address";
	for (size_t i = 0; i < N(v4_prefixes); i++)
		if (begins(address, v4_prefixes[i].bytes, v4_prefixes[i].bits))
			return v4_prefixes[i].words;
	return NULL;
}

static const char *
v6_not_public(const unsigned char address[16])
{
	static const unsigned char zeros[15];

	if (memcmp(address, zeros, 15) == 0 && address[15] <= 1)	/* RFC 4291 sections 2.5.2 and 2.5.3 */
		return address[15] == 0 ? "the unspecified address" : "a loopback address";
	for (size_t i = 0; i < N(carriers); i++)
		if (begins(address, carriers[i].bytes, carriers[i].bits))
			return v4_not_public(address + carriers[i].at);
	for (size_t i = 0; i < N(v6_prefixes); i++)
		if (begins(address, v6_prefixes[i].bytes, v6_prefixes[i].bits))
			return v6_prefixes[i].words;
	return "a reserved address";
}

const char *
bg_address_not_public(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (address->sa_family) {
	case AF_INET:
		memcpy(&v4, address, sizeof(v4));
		return v4_not_public((const unsigned char *)&v4.sin_addr);
	case AF_INET6:
		memcpy(&v6, address, sizeof(v6));
		return v6_not_public(v6.sin6_addr.s6_addr);
	default:
		return "an address of an unknown kind";
	}
}

const char *
bg_address_host_not_public(struct bg_slice host)
{
	const struct bg_slice localhost = BG_SLICE_INIT("localhost");
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];
	struct bg_slice end = host;

	if (host.len < sizeof(text)) {
		if (host.len > 0)
			memcpy(text, host.ptr, host.len);
		text[host.len] = '\0';
		if (inet_pton(AF_INET, text, address) == 1)
			return v4_not_public(address);
		if (inet_pton(AF_INET6, text, address) == 1)
			return v6_not_public(address);
	}
	if (end.len > localhost.len)
		end = bg_slice_skip(end, end.len - localhost.len);
	if (bg_slice_equal_nocase(end, localhost) && (end.len == host.len || end.ptr[-1] == '.'))
		return "a name for loopback addresses";
	return NULL;
}
