#ifndef BG_CORE_TOKEN_H
#define BG_CORE_TOKEN_H

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
	json_t         *header;
	json_t         *payload;
	char           *storage;
};

/*
 * Take apart a compact JWS: at most BG_TOKEN_MAX bytes, exactly two dots, strict base64url, header and payload JSON
 * objects, alg a string, kid and typ strings where present, no crit and no b64 at all (SR-3, SR-4, SR-20, SR-31).
 * The compact form is borrowed and must outlive the token; *out belongs to the caller: bg_token_free.
 * Returns -1 with BG_R_TOKEN_TOO_LARGE, BG_R_TOKEN_ENCRYPTED (five parts, SR-8), BG_R_BAD_TOKEN, BG_R_BAD_HEADER,
 * BG_R_CRITICAL_HEADER, BG_R_BAD_CLAIMS or BG_R_NO_MEMORY.
 *
 * RFC 7515 sections 3, 4 and 5.2.
 */
int bg_token_parse(struct bg_slice compact, struct bg_token **out, struct bg_error *err) BG_MUST_CHECK;

void bg_token_free(struct bg_token *token);

#endif
