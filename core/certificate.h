#ifndef BG_CORE_CERTIFICATE_H
#define BG_CORE_CERTIFICATE_H

#include "core/jwk.h"

/*
 * The SHA-256 thumbprint, base64url and terminated, of the client certificate that a server hands in: as PEM (Apache,
 * lighttpd; of several the first, which is the client's), as PEM whose lines were joined or indented, as URL-escaped PEM
 * (nginx's $ssl_client_escaped_cert) or as an RFC 9440 byte sequence between colons.  It must be one X.509 certificate and
 * nothing before it; the server has seen to it that the client holds its key.
 * Returns -1 with BG_R_BAD_VARIABLE, or BG_R_NO_MEMORY.
 *
 * RFC 8705 section 3.1, RFC 9440 section 2.1.
 */
int bg_certificate_thumbprint(struct bg_slice value, char out[BG_THUMBPRINT_LEN + 1], struct bg_error *err) BG_MUST_CHECK;

#endif
