#ifndef BG_CORE_DISCOVERY_H
#define BG_CORE_DISCOVERY_H

#include "core/json.h"

/* Where the discovery document of an issuer is.  OpenID Connect Discovery 1.0 section 4. */
void bg_discovery_url(struct bg_slice issuer, struct bg_buf *url);

/*
 * Read jwks_uri out of a discovery document and put it into jwks_uri.  The document's issuer must be the issuer we
 * asked, byte for byte (SR-46), and jwks_uri an https URL.  Returns -1 with BG_R_BAD_DISCOVERY.
 *
 * OpenID Connect Discovery 1.0 sections 3 and 4.3.
 */
int bg_discovery_read(struct bg_slice document, struct bg_slice issuer, struct bg_buf *jwks_uri,
    struct bg_error *err) BG_MUST_CHECK;

#endif
