#ifndef BG_CORE_CREDENTIALS_H
#define BG_CORE_CREDENTIALS_H

#include "core/error.h"
#include "core/request.h"

struct bg_credentials {
	struct bg_slice token;		/* borrowed from the request */
};

/*
 * Find the one token a request carries, by "Authorization: Bearer" alone.  An empty Authorization header counts as
 * none: Apache's SetEnvIf makes one where the client sent nothing.
 * Returns -1 with BG_R_NO_TOKEN, BG_R_OTHER_SCHEME, BG_R_TWO_TOKENS or BG_R_BAD_CREDENTIALS.
 *
 * RFC 6750 section 2.1, RFC 9110 section 11.6.2.
 */
int bg_credentials_find(const struct bg_request *request, struct bg_credentials *out,
    struct bg_error *err) BG_MUST_CHECK;

#endif
