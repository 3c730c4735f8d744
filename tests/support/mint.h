#ifndef BG_TESTS_SUPPORT_MINT_H
#define BG_TESTS_SUPPORT_MINT_H

#include "tool/issuer.h"

/* The fixed keys of tests/support/keys, which are public and of no use outside tests. */
enum bg_mint_key {
	BG_MINT_KEY_A,		/* the issuer's: RSA 2048 */
	BG_MINT_KEY_B,		/* somebody else's, or the issuer's next one: RSA 2048 */
	BG_MINT_KEY_LONG,	/* RSA 3072 */
	BG_MINT_KEY_SHORT,	/* RSA 1024: to be refused (SR-10) */
	BG_MINT_KEY_P256,	/* the issuer's, for ES256 */
	BG_MINT_KEY_P384,	/* for ES384 */
	BG_MINT_KEY_P521,	/* for ES512 */
	BG_MINT_KEY_ED25519,	/* for EdDSA */
	BG_MINT_KEYS
};

/*
 * What fails here is a fault of the test, so it ends the program with a line on stderr.  Text is the caller's to free,
 * keys are borrowed and live as long as the program.  The files are looked for below srcdir of the environment, which
 * automake sets, else below the working directory.
 */
const struct bg_issuer_key *bg_mint_key(enum bg_mint_key which);

/* The same key to sign by the algorithm of this name; NULL for its usual one.  Of RSA: PS256, RS512 and so on. */
const struct bg_issuer_key *bg_mint_key_as(enum bg_mint_key which, const char *alg);
const char *bg_mint_kid(enum bg_mint_key which);	/* borrowed: the thumbprint, under which bg_mint_jwks lists it */

/* A key set with the first n of which, in that order. */
char *bg_mint_jwks(const enum bg_mint_key *which, size_t n);

/* The public half of a key, with "alg" as given and no such member for NULL, with this kid and none for NULL. */
json_t *bg_mint_jwk(enum bg_mint_key which, const char *alg, const char *kid);

/*
 * A token signed by a key over any header and claims at all: both are taken as they are, JSON or not.  A NULL header
 * stands for {"alg":...,"typ":"at+jwt","kid":...} of that key.
 */
char *bg_mint_token(enum bg_mint_key which, const char *header, const char *claims);

/* The same, signed by the algorithm of this name, whatever the header says; NULL for the key's usual one. */
char *bg_mint_token_as(enum bg_mint_key which, const char *alg, const char *header, const char *claims);

/* The same with the first character of the signature changed. */
char *bg_mint_token_forged(enum bg_mint_key which, const char *header, const char *claims);

/* Borrowed: the thumbprint, as a token that is bound to the key has it in cnf. */
const char *bg_mint_jkt(enum bg_mint_key which);

/* What a proof says unless told otherwise. */
#define BG_MINT_HTM	"GET"
#define BG_MINT_HTU	"https://api.example/api/private"
#define BG_MINT_IAT	1700000000	/* seconds since the epoch */

/*
 * A DPoP proof by a key, signed by the algorithm of this name; NULL for the key's usual one.  Its header has typ, alg and the
 * key as jwk; its claims a jti of its own, htm, htu and iat as above.  header_members and claims_members are JSON objects, or
 * NULL: their members go over these, and null takes one away.  RFC 9449 section 4.2.
 */
char *bg_mint_proof(enum bg_mint_key which, const char *alg, const char *header_members, const char *claims_members);

/* The ath of a proof that goes with this token.  RFC 9449 section 4.2. */
char *bg_mint_ath(const char *token);

/* Three parts in base64url with dots between and nothing signed: for signatures that are empty, cut or of no kind. */
char *bg_mint_compact(struct bg_slice header, struct bg_slice payload, struct bg_slice signature);

#endif
