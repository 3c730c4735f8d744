#ifndef BG_CORE_SECRET_H
#define BG_CORE_SECRET_H

#include "core/error.h"

#define BG_SHA256_LEN		32	/* bytes */
#define BG_FINGERPRINT_LEN	8	/* hexadecimal digits */

/*
 * Once, before the first thread and before anything else uses OpenSSL: lets bg_fail_openssl tell want of memory from
 * signatures and keys that are wrong.  Returns -1 when it is too late for that.
 */
int bg_secret_start(void);

/*
 * The same for a program that ends with its one request, in half of OpenSSL's time to start: without the names of its errors,
 * without tables of algorithms that are found by older ways than ours, and without its configuration file, unless OPENSSL_CONF
 * in the environment names one.  Not for TLS.
 */
int bg_secret_start_lean(void);

/* The version of the OpenSSL this program runs with; static. */
const char *bg_secret_openssl_version(void);

/* Returns -1 when OpenSSL cannot (BG_R_INTERNAL, BG_R_NO_MEMORY). */
int bg_sha256(struct bg_slice bytes, unsigned char out[BG_SHA256_LEN], struct bg_error *err) BG_MUST_CHECK;

/* HMAC, RFC 2104.  Returns -1 as above. */
int bg_hmac_sha256(struct bg_slice key, struct bg_slice bytes, unsigned char out[BG_SHA256_LEN],
    struct bg_error *err) BG_MUST_CHECK;

/*
 * How a log names a token without giving it away: the first digits of its SHA-256, terminated.  "-" when there is
 * nothing to name or the digest fails.
 */
void bg_secret_fingerprint(struct bg_slice token, char out[BG_FINGERPRINT_LEN + 1]);

/* The same of a token whose SHA-256 is known. */
void bg_secret_fingerprint_of(const unsigned char hash[BG_SHA256_LEN], char out[BG_FINGERPRINT_LEN + 1]);

/* Equality in a time that depends on the lengths alone (SR-9). */
bool bg_secret_equal(struct bg_slice a, struct bg_slice b);

/* Overwrite in a way no optimiser removes. */
void bg_secret_wipe(void *mem, size_t len);

#endif
