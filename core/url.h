#ifndef BG_CORE_URL_H
#define BG_CORE_URL_H

#include "core/buf.h"

/*
 * The https URLs we are configured with or that an issuer names: an issuer, a jwks_uri.  Returns NULL when url is
 * one we may ask: https, a host (name, IPv4, or IPv6 in brackets), perhaps a port, a path; no credentials, no
 * fragment, no white space, at most BG_URL_MAX bytes, and a query only where the caller allows it.  Otherwise a few
 * static words on what is wrong with it, to be put behind the name of the option.
 *
 * RFC 3986 section 3; RFC 8414 section 2 for issuers (no query, no fragment).
 */
const char *bg_url_wrong(struct bg_slice url, bool query_allowed);

/*
 * The issuer of a domain as Auth0 writes it: "tenant.eu.auth0.com" gives "https://tenant.eu.auth0.com/".  A leading
 * https://, capitals in the host and one trailing slash are put right, with *remark set to static words that say so
 * (NULL otherwise).  http://, a path, a query, credentials or an empty domain are refused: returns the static words on
 * what is wrong, NULL when issuer was written.
 *
 * SR-43: the one place where an issuer is normalised; a token's iss is compared as it came.
 */
const char *bg_url_issuer_of_domain(struct bg_slice domain, struct bg_buf *issuer, const char **remark);

/* The host of a URL that bg_url_wrong found nothing wrong with, without port and brackets; borrowed from url. */
struct bg_slice bg_url_host(struct bg_slice url);

/*
 * The URL of a proxy to ask by the CONNECT method: http://HOST:PORT and nothing else, in particular no credentials.
 * Returns NULL, or static words on what is wrong with it as bg_url_wrong does.
 *
 * SR-87; RFC 9110 section 9.3.6.
 */
const char *bg_url_proxy_wrong(struct bg_slice url);

#endif
