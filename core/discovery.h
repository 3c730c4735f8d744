#ifndef BG_CORE_DISCOVERY_H
#define BG_CORE_DISCOVERY_H

#include "core/json.h"

/* The places where an issuer may have its discovery document, in the order in which they are asked. */
enum bg_discovery_place {
	BG_DISCOVERY_OPENID,	/* behind the issuer's path: OpenID Connect Discovery 1.0 section 4 */
	BG_DISCOVERY_OAUTH,	/* between host and path: RFC 8414 section 3.1 */
	BG_DISCOVERY_PLACES
};
void bg_discovery_url(struct bg_slice issuer, enum bg_discovery_place place, struct bg_buf *url);

/*
 * Read jwks_uri out of a discovery document and put it into jwks_uri.  The document's issuer must be the issuer we
 * asked, byte for byte (SR-46), and jwks_uri an https URL.  Returns -1 with BG_R_BAD_DISCOVERY.
 *
 * OpenID Connect Discovery 1.0 sections 3 and 4.3, RFC 8414 sections 2 and 3.3.
 */
int bg_discovery_read(struct bg_slice document, struct bg_slice issuer, struct bg_buf *jwks_uri,
    struct bg_error *err) BG_MUST_CHECK;

#endif
