#include "fetch/sandbox.h"

#include <sys/socket.h>

#include "core/filter.h"

#define TYPE_MASK	0xfU	/* of the second argument of socket(2): without SOCK_CLOEXEC and SOCK_NONBLOCK */

/* What a download needs beside that which any program of ours does. */
static const struct bg_filter_call connections[] = {
	BG_FILTER_ALL("connect"), BG_FILTER_ALL("recvmmsg"), BG_FILTER_ALL("sendmmsg"), BG_FILTER_ALL("setsockopt"),
	BG_FILTER_ALL("socketpair"),
	{ "socket", 2, { BG_FILTER_IS(0, AF_INET),  BG_FILTER_BITS(1, TYPE_MASK, SOCK_STREAM) } },
	{ "socket", 2, { BG_FILTER_IS(0, AF_INET),  BG_FILTER_BITS(1, TYPE_MASK, SOCK_DGRAM) } },
	{ "socket", 2, { BG_FILTER_IS(0, AF_INET6), BG_FILTER_BITS(1, TYPE_MASK, SOCK_STREAM) } },
	{ "socket", 2, { BG_FILTER_IS(0, AF_INET6), BG_FILTER_BITS(1, TYPE_MASK, SOCK_DGRAM) } },
};

int
bg_sandbox_enter(void)
{
	const struct bg_filter_calls list = { connections, sizeof(connections) / sizeof(connections[0]) };

	return bg_filter_load(&list, 1);
}
