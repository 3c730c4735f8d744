#ifndef BG_CORE_FORWARDED_H
#define BG_CORE_FORWARDED_H

#include "core/error.h"
#include "core/request.h"

/* An IPv4 or IPv6 network; IPv4 as ::ffff:0:0/96 has it.  One with less than 96 bits takes in IPv6 addresses alone. */
struct bg_network {
	unsigned char address[16];
	unsigned      bits;		/* of 128 that count */
};

/* Which peers of the server are proxies of ours.  Cleared memory trusts nobody. */
struct bg_proxies {
	struct bg_network *networks;	/* owned by whoever owns the struct */
	size_t             n_networks;
	bool               unix_socket;	/* peers on a Unix socket, which servers call "unix:" */
	bool               all;		/* every peer: trust_proxy = true */
};

/*
 * An address, or a network as ADDRESS/BITS, with no bit set that does not count.  Returns NULL, or static words on what
 * is wrong with it.
 */
const char *bg_network_parse(struct bg_slice text, struct bg_network *out);

/* Does it hold this address?  As in the struct, one of IPv4 is written ::ffff:0:0/96. */
bool bg_network_has(const struct bg_network *network, const unsigned char address[16]);

/* Is the peer with this address, as REMOTE_ADDR writes it, one of them? */
bool bg_proxies_trust(const struct bg_proxies *proxies, struct bg_slice remote_addr);

/* What the first proxy of ours was asked; ptr NULL where none says so.  Borrowed from the request. */
struct bg_forwarded {
	struct bg_slice proto;		/* http or https, in any case; ws and wss, of a WebSocket's handshake, are these */
	struct bg_slice host;
	struct bg_slice prefix;		/* a path that it took away */
};

/*
 * What the proxies in front of the server say of the client's request, by Forwarded and X-Forwarded-For, -Proto, -Host and
 * -Prefix.  *out is all NULL when the peer is no trusted proxy.  Otherwise, since each proxy adds to the right, the lists
 * are read from there: as long as the address a proxy saw is a trusted proxy too, the entry to its left counts, and where a
 * list is shorter than that, its first entry.  Where Forwarded and X-Forwarded- both say something, they must say the same.
 * Empty entries count as not there.  Returns -1 with BG_R_BAD_FORWARDED for lists that are malformed, longer than
 * BG_FORWARDED_MAX entries, contradict each other or came twice.
 *
 * SR-68, SR-69; RFC 7239 sections 4 to 7, RFC 9110 section 5.6.1.
 */
int bg_forwarded_find(const struct bg_proxies *proxies, const struct bg_request *request, struct bg_forwarded *out,
    struct bg_error *err) BG_MUST_CHECK;

#endif
