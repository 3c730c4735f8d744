#ifndef BG_CORE_SIGNATURE_H
#define BG_CORE_SIGNATURE_H

#include "core/issuer.h"
#include "core/token.h"

/*
 * Which of the issuers a token claims to be from, among those that speak for host (the Host header; port, case and a dot
 * at the end do not count).  An issuer with sites speaks for those alone, compared as whole names (SR-48); one without,
 * for every host that is no one's site.  Known before anything of it is believed and before anything is fetched
 * (SR-52).  Borrowed from issuers.  Returns -1 with BG_R_BAD_CLAIMS (iss missing or no string), BG_R_WRONG_ISSUER, or, where any
 * issuer has sites, BG_R_BAD_REQUEST for a host that is missing or malformed.
 *
 * RFC 8725 section 3.8.
 */
int bg_signature_issuer(const struct bg_issuer *issuers, size_t n, struct bg_slice host,
    const struct bg_token *token, const struct bg_issuer **out, struct bg_error *err) BG_MUST_CHECK;

/*
 * Is the signature one of this issuer's keys over this token?  The algorithm must be on the issuer's list and fit the
 * key; the header only says which of them it was (SR-1).  now is bg_clock_mono_ms().  by, which may be NULL, is given the
 * thumbprint of the key.
 * Returns -1 with BG_R_BAD_ALGORITHM, BG_R_NO_KEYS, BG_R_KEYS_PENDING, BG_R_UNKNOWN_KEY, BG_R_BAD_SIGNATURE or BG_R_INTERNAL.
 *
 * RFC 7515 section 5.2, RFC 8725 sections 3.1 and 3.2.
 */
int bg_signature_check(const struct bg_issuer *issuer, const struct bg_token *token, int64_t now, char *by,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * The same for a token whose signature the key with the thumbprint by has found good before: would this very key still judge
 * it?  *stands is true when the algorithm is on the issuer's list and the key is, for this token, in the issuer's set; then
 * bg_signature_check would find the signature good.  False says nothing, and it must be asked.  The signature is not needed.
 * Returns -1 as bg_signature_check does when there are no keys that may serve, with BG_R_NO_KEYS or BG_R_KEYS_PENDING (SR-45).
 */
int bg_signature_recall(const struct bg_issuer *issuer, const struct bg_token *token, int64_t now, const char *by, bool *stands,
    struct bg_error *err) BG_MUST_CHECK;

#endif
