#ifndef BG_CORE_ADDRESS_H
#define BG_CORE_ADDRESS_H

#include <sys/socket.h>

#include "core/slice.h"

/*
 * What keeps an address from being one on the public Internet.  Returns static words that say what it is, as in
 * "a loopback address", or NULL when it is public.  What is neither IPv4 nor IPv6 is not public.  An IPv6 address that
 * carries an IPv4 address is what that one is.
 *
 * SR-52; the IANA registries of special-purpose addresses, RFC 6890, and RFC 4291 sections 2.4 and 2.5.
 */
const char *bg_address_not_public(const struct sockaddr *address);

/*
 * The same of the host of a URL as it is written there, an IPv6 address without its brackets.  A name is asked nobody
 * about: but for "localhost" and what ends in it (RFC 6761 section 6.3), returns NULL for it.
 */
const char *bg_address_host_not_public(struct bg_slice host);

#endif
