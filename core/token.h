#ifndef BG_CORE_TOKEN_H
#define BG_CORE_TOKEN_H

#include <stdatomic.h>

#include "core/json.h"

/*
 * A compact JWS taken apart.  Nothing in it is to be believed before bg_signature_check has passed; iss is looked at
 * before that only to choose which issuer's keys may judge it.
 */
struct bg_token {
	struct bg_slice signing_input;	/* header "." payload, borrowed from the compact form */
	struct bg_slice signature;	/* decoded; in storage */
	struct bg_slice alg;		/* the three are borrowed from header; typ and kid may have ptr NULL */
	struct bg_slice kid;
	struct bg_slice typ;
	json_t         *header;		/* in a pool, not to be counted; so is payload */
	json_t         *payload;
	struct bg_json_pool *header_pool;
	struct bg_json_pool *payload_pool;
	char           *storage;
	size_t          bytes;		/* that it takes, about; 0 until it is settled */
	atomic_uint     owners;
};

/*
 * Take apart a compact JWS: at most BG_TOKEN_MAX bytes, exactly two dots, strict base64url, header and payload JSON
 * objects, alg a string, kid and typ strings where present, no crit and no b64 at all (SR-3, SR-4, SR-20, SR-31).
 * The compact form is borrowed and must outlive the token; *out belongs to the caller: bg_token_unref.
 * Returns -1 with BG_R_TOKEN_TOO_LARGE, BG_R_TOKEN_ENCRYPTED (five parts, SR-8), BG_R_BAD_TOKEN, BG_R_BAD_HEADER,
 * BG_R_CRITICAL_HEADER, BG_R_BAD_CLAIMS or BG_R_NO_MEMORY.
 *
 * RFC 7515 sections 3, 4 and 5.2.
 */
int bg_token_parse(struct bg_slice compact, struct bg_token **out, struct bg_error *err) BG_MUST_CHECK;

/*
 * Make a token that was judged fit to be kept: it borrows nothing of the compact form any more, and has neither header nor
 * signature, which have served.  alg, kid, typ and payload stay.  Not for a token that others have seen.
 * Returns -1 with BG_R_NO_MEMORY, the token then as it was.
 */
int bg_token_settle(struct bg_token *token, struct bg_error *err) BG_MUST_CHECK;

/*
 * A settled token is never changed, so threads share it by counting.  It is counted as a whole: nobody counts the values in it
 * (jansson's json_incref), and the last owner alone takes them down.
 */
struct bg_token *bg_token_ref(struct bg_token *token);	/* one more owner; returns token */
void bg_token_unref(struct bg_token *token);		/* NULL is fine */

#endif
