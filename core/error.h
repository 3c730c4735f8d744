#ifndef BG_CORE_ERROR_H
#define BG_CORE_ERROR_H

#include "core/slice.h"

#define BG_DETAIL_MAX	384	/* bytes of detail, with the terminator; more is cut */

/* All that can be wrong: one row each in core/reasons.def.  BG_R_OK is zero and means "nothing yet". */
enum bg_reason {
#define BG_REASON(name, code, oauth, status, text)	BG_R_##name,
#include "core/reasons.def"
#undef BG_REASON
	BG_R_COUNT
};

/* The OAuth error codes we give: RFC 6750 section 3.1, RFC 9449 sections 7.1 and 9, RFC 6749 section 4.1.2.1. */
enum bg_oauth {
	BG_OAUTH_NONE,			/* the challenge carries no error */
	BG_OAUTH_INVALID_REQUEST,
	BG_OAUTH_INVALID_TOKEN,
	BG_OAUTH_INSUFFICIENT_SCOPE,
	BG_OAUTH_INVALID_DPOP_PROOF,
	BG_OAUTH_USE_DPOP_NONCE,
	BG_OAUTH_UNAVAILABLE,
	BG_OAUTH_INTERNAL,
};

/*
 * Why something failed: the reason decides what the client is told, the detail is for the operator alone and may
 * hold text from strangers (bg_log_text escapes it).  Starts as { 0 }.
 */
struct bg_error {
	enum bg_reason reason;
	char           detail[BG_DETAIL_MAX];
};

/*
 * Note a failure and return -1, so that "return bg_fail(...)" is one line.  The first failure noted is the one kept.
 * err may be NULL.
 */
int bg_fail(struct bg_error *err, enum bg_reason reason, const char *fmt, ...) BG_PRINTF(3, 4);

/*
 * As bg_fail, with OpenSSL's queue of errors added to the detail and emptied; the reason is BG_R_NO_MEMORY where OpenSSL
 * was short of memory on this thread since the last time.  In core/secret.c, where OpenSSL is.
 */
int bg_fail_openssl(struct bg_error *err, enum bg_reason reason, const char *what);

void bg_error_clear(struct bg_error *err);

/* The row of core/reasons.def.  An unknown reason answers as BG_R_INTERNAL does. */
const char   *bg_reason_name(enum bg_reason reason);	/* stable code for logs: "expired" */
enum bg_oauth bg_reason_oauth(enum bg_reason reason);
int           bg_reason_status(enum bg_reason reason);	/* HTTP status */
const char   *bg_reason_text(enum bg_reason reason);	/* fixed text for the client (SR-86) */

#endif
