#ifndef BG_TOOL_ISSUER_H
#define BG_TOOL_ISSUER_H

#include <sys/types.h>

#include "core/jwk.h"

/*
 * The issuer's half: keys that sign, and tokens.  Only "bearergate mint" and the tests have it; no program that
 * decides links it, so none of them can make what it is there to judge.
 */

/* One algorithm tokens can be made with.  What has no row in issuer.c does not exist. */
struct bg_issuer_alg;

/* One private key, with the algorithm it signs by.  Never changed after it was made. */
struct bg_issuer_key;

#define BG_ISSUER_ALGS	"RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519"	/* all there are, for messages */
#define BG_PEM_MAX	(64 * 1024)		/* bytes of a key file; RSA 8192 needs under 7 KiB */
#define BG_MINTED_MAX	(4 * 1024 * 1024)	/* bytes of one token: far more than a server takes, to see it refused */

const struct bg_issuer_alg *bg_issuer_alg_find(struct bg_slice name);	/* borrowed; NULL when there is no such row */

/*
 * Make a private key.  bits is the length of an RSA modulus, 0 for the usual one, and 0 for every other type.  *out
 * belongs to the caller: bg_issuer_key_free.
 * Returns -1 with BG_R_BAD_JWK when there are no keys of that length, or BG_R_INTERNAL or BG_R_NO_MEMORY.
 */
int bg_issuer_key_make(const struct bg_issuer_alg *alg, unsigned bits, struct bg_issuer_key **out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Read a private key from PEM: PKCS#8, or the older form of its type; not behind a passphrase.  Its type
 * and curve decide the algorithm: RS256, ES256, ES384, ES512 or EdDSA.  Text before and after the key is passed over.  *out belongs to the caller: bg_issuer_key_free.
 * Returns -1 with BG_R_BAD_JWK and what is wrong with it, or BG_R_NO_MEMORY.
 *
 * RFC 7468 section 10, RFC 5208.
 */
int bg_issuer_key_parse(struct bg_slice pem, struct bg_issuer_key **out, struct bg_error *err) BG_MUST_CHECK;

/* The same from a file of at most BG_PEM_MAX bytes; -1 with BG_R_FETCH_FAILED when that cannot be read. */
int bg_issuer_key_load(const char *path, struct bg_issuer_key **out, struct bg_error *err) BG_MUST_CHECK;

/* Read any kind of file, pipes too, to its end.  Returns the bytes read, at most size, or -1 with errno. */
ssize_t bg_issuer_read_all(int fd, char *dst, size_t size) BG_MUST_CHECK;

/*
 * The same private key, to sign by another of the algorithms of its type: an RSA key fits six.  Both keys live on their
 * own; *out belongs to the caller: bg_issuer_key_free.
 * Returns -1 with BG_R_BAD_ALGORITHM when alg is for another type or curve, or BG_R_INTERNAL or BG_R_NO_MEMORY.
 */
int bg_issuer_key_as(const struct bg_issuer_key *key, const struct bg_issuer_alg *alg, struct bg_issuer_key **out,
    struct bg_error *err) BG_MUST_CHECK;

/* NULL is fine. */
void bg_issuer_key_free(struct bg_issuer_key *key);

/* Both borrowed from key: "RS256", and the thumbprint of RFC 7638, which names the key where nothing else does. */
const char *bg_issuer_key_alg(const struct bg_issuer_key *key);
const char *bg_issuer_key_kid(const struct bg_issuer_key *key);

/*
 * Put the private key into pem as PKCS#8, in one piece, so that the caller can wipe it with bg_secret_wipe.  pem comes
 * empty.  Returns -1 with BG_R_INTERNAL.
 */
int bg_issuer_key_pem(const struct bg_issuer_key *key, struct bg_buf *pem, struct bg_error *err) BG_MUST_CHECK;

/*
 * The public half as a JWK: kty, use, alg, kid and the members of its type.  kid is UTF-8; NULL stands for the
 * thumbprint.  *out belongs to the caller: json_decref.  Returns -1 with BG_R_INTERNAL or BG_R_NO_MEMORY.
 *
 * RFC 7517 section 4, RFC 7518 sections 6.2.1 and 6.3.1, RFC 8037 section 2.
 */
int bg_issuer_key_jwk(const struct bg_issuer_key *key, const char *kid, json_t **out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * The public half as a proof of possession carries it: kty and the members of its type, nothing else.  *out belongs to the
 * caller: json_decref.  Returns -1 with BG_R_INTERNAL or BG_R_NO_MEMORY.
 *
 * RFC 9449 section 4.2.
 */
int bg_issuer_key_bare_jwk(const struct bg_issuer_key *key, json_t **out, struct bg_error *err) BG_MUST_CHECK;

/*
 * The SHA-256 of bytes in base64url, terminated: what a proof says of a token as ath.
 * Returns -1 with BG_R_INTERNAL or BG_R_NO_MEMORY.
 *
 * RFC 9449 section 4.2.
 */
int bg_issuer_hash(struct bg_slice bytes, char out[BG_THUMBPRINT_LEN + 1], struct bg_error *err) BG_MUST_CHECK;

/*
 * Make a compact JWS of any header and any payload, good or bad: nothing in them is looked at, and the signature is by
 * key, with its own algorithm, over just what stands in the token.  token is reset first; at its ceiling this returns
 * -1 with BG_R_INTERNAL, as it does when OpenSSL cannot.
 *
 * RFC 7515 sections 3.1 and 5.1, RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1.
 */
int bg_issuer_sign(const struct bg_issuer_key *key, struct bg_slice header, struct bg_slice payload,
    struct bg_buf *token, struct bg_error *err) BG_MUST_CHECK;

#endif
