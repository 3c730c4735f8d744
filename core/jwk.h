#ifndef BG_CORE_JWK_H
#define BG_CORE_JWK_H

#include "core/alg.h"
#include "core/buf.h"
#include "core/json.h"

#define BG_THUMBPRINT_LEN	43	/* characters: base64url of SHA-256 */
#define BG_COORDINATE_MAX	66	/* bytes: P-521 */

struct bg_jwk_shelf;
struct evp_md_ctx_st;	/* OpenSSL's EVP_MD_CTX */

/* One public key, never changed after it was made.  RFC 7517 section 4. */
struct bg_jwk {
	enum bg_kty          kty;
	char                *kid;	/* NULL when the key has none */
	bool                 any_kid;	/* it judges tokens of every kid: it came without a name, from a PEM file */
	const struct bg_alg *alg;	/* NULL when the key leaves it open */
	struct evp_pkey_st  *pkey;	/* OpenSSL's EVP_PKEY */
	size_t               size;	/* bytes of a signature by this key */
	unsigned char        point[2 * BG_COORDINATE_MAX];	/* of an EC key: x and y, one behind the other */
	bool                 has_point;	/* else pkey alone has it */
	char                 thumbprint[BG_THUMBPRINT_LEN + 1];	/* of a key in a set, else empty: which key it is, in any set */
	struct bg_jwk_shelf *shelf;	/* what bg_jwk_context keeps; NULL where nothing is kept */
};

/*
 * Make a verification key of a JWK.  Its use, key_ops and alg must allow verifying (SR-12); RSA moduli that are even or
 * outside BG_RSA_BITS_MIN..BG_RSA_BITS_MAX, exponents that are even, below 3 or over 33 bits, points that are not on
 * their curve, and the few points of Ed25519 under which anybody can sign are refused (SR-10).
 * Private members are not looked at.  *out belongs to the caller: bg_jwk_free.
 * Returns -1 with BG_R_BAD_JWK and what is wrong with it, or BG_R_NO_MEMORY.
 *
 * RFC 7517 section 4, RFC 7518 sections 6.2.1 and 6.3.1, RFC 8037 section 2.
 */
int bg_jwk_parse(const json_t *object, struct bg_jwk **out, struct bg_error *err) BG_MUST_CHECK;

/*
 * Take the next block off a PEM text, a public key or a certificate, and make a verification key of the key in it, held
 * to what bg_jwk_parse asks.  It has no name in PEM, so it gets its thumbprint for a kid and judges tokens of any kid.  The
 * dates of a certificate are not looked at: whoever names the file trusts the key.
 * *out is NULL at the end of the text, else the caller's: bg_jwk_free.  Returns -1 with BG_R_BAD_JWK, for a private key
 * too, or BG_R_NO_MEMORY; *rest is then behind the block.
 *
 * RFC 7468 sections 5 and 13.
 */
int bg_jwk_read_pem(struct bg_slice *rest, struct bg_jwk **out, struct bg_error *err) BG_MUST_CHECK;

/* Type and size or curve, for people: "RSA 2048", "EC P-256", "OKP Ed25519". */
void bg_jwk_describe(const struct bg_jwk *key, struct bg_buf *out);

/* May this key verify by this algorithm?  Type, curve and the key's own alg say so (SR-1, SR-12). */
bool bg_jwk_fits(const struct bg_jwk *key, const struct bg_alg *alg);

/*
 * Keep the next context that bg_jwk_context makes for this key: worth its memory, a kilobyte or two, for a key that is
 * used again.  Before other threads see the key.  Returns -1 with BG_R_NO_MEMORY.
 */
int bg_jwk_keep(struct bg_jwk *key, struct bg_error *err) BG_MUST_CHECK;

/* Ready a new context to verify by this key: 1, else OpenSSL's queue of errors says why not. */
typedef int bg_jwk_prepare(const struct bg_alg *alg, const struct bg_jwk *key, struct evp_md_ctx_st *ctx);

/*
 * A context in which prepare has been, to verify one signature by this key and algorithm: the caller's own, EVP_MD_CTX_free.
 * Which prepare it is must depend on alg alone.  NULL: OpenSSL's queue says why.  From any thread.
 */
struct evp_md_ctx_st *bg_jwk_context(const struct bg_jwk *key, const struct bg_alg *alg, bg_jwk_prepare *prepare);

/* NULL is fine. */
void bg_jwk_free(struct bg_jwk *key);

/* The SHA-256 thumbprint of a key, terminated.  RFC 7638 section 3. */
int bg_jwk_thumbprint(const struct bg_jwk *key, char out[BG_THUMBPRINT_LEN + 1], struct bg_error *err) BG_MUST_CHECK;

#endif
