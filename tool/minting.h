#ifndef BG_TOOL_MINTING_H
#define BG_TOOL_MINTING_H

#include "tool/issuer.h"
#include "tool/tool.h"

/*
 * What the things have in common that "mint" makes, a file each: mint_token.c, mint_proof.c, and for keys and key sets mint.c.
 * Where an int comes back it is an exit code of sysexits(3), the reason said, unless it is said otherwise.
 */

int bg_verb_mint_token(int argc, char **argv);
int bg_verb_mint_proof(int argc, char **argv);

extern const char bg_minting_usage[];

/* ---- values of options ------------------------------------------------------------------------------------------- */

bool bg_minting_number(const char *text, int64_t *out);	/* a whole number and nothing else (SR-53) */
bool bg_minting_time(const char *text, int64_t *out);	/* seconds of "30s" or "-1h": a unit is always wanted (SR-54) */
int bg_minting_text(const char *option, const char *text, const char **out) BG_MUST_CHECK;	/* UTF-8, borrowed */
int bg_minting_alg(const char *name, const struct bg_issuer_alg **out) BG_MUST_CHECK;		/* of -a */

/* All of a file, or of standard input for "-", into text, which comes empty; more than its ceiling is an error. */
int bg_minting_read(const char *path, struct bg_buf *text) BG_MUST_CHECK;

int bg_minting_no_memory(const char *what);	/* says so; always returns EX_OSERR */

/* ---- keys -------------------------------------------------------------------------------------------------------- */

/* The key in a file, to sign by alg, or by its usual algorithm where that is NULL.  *out is the caller's: bg_issuer_key_free. */
int bg_minting_key(const char *path, const struct bg_issuer_alg *alg, struct bg_issuer_key **out) BG_MUST_CHECK;

/*
 * Its public half as bg_issuer_key_jwk has it, with a remark where bearergate will not accept it: such keys are made to be
 * refused, and whoever did not mean to should know.  path is for messages; *out is the caller's: json_decref.
 */
int bg_minting_jwk(const struct bg_issuer_key *key, const char *path, const char *kid, json_t **out) BG_MUST_CHECK;

/* ---- a token or a proof ------------------------------------------------------------------------------------------ */

/* What was asked of either. */
struct bg_minting {
	const struct bg_issuer_alg *alg;	/* NULL: the key's usual one */
	const char *key;		/* path; NULL: not said */
	int64_t     now;		/* seconds since the epoch */
	json_t     *claims;		/* what overrides the claims and the header we make; null takes a member out */
	json_t     *header;
};

void bg_minting_init(struct bg_minting *minting);
void bg_minting_clear(struct bg_minting *minting);

/* Numbers of long options: those bg_minting_option takes beside -a and -k, and where the others begin. */
enum { BG_MINTING_CLAIM = 256, BG_MINTING_CLAIMS, BG_MINTING_HEADER, BG_MINTING_NOW, BG_MINTING_OTHERS };

/* Take the option that getopt_long has just returned. */
int bg_minting_option(int c, struct bg_minting *minting) BG_MUST_CHECK;

/*
 * Read the command line of "mint WHAT" with longopts, handing each option to take.  *done is true where it was --help, which has
 * been answered.
 */
int bg_minting_options(const char *what, int argc, char **argv, const struct option *longopts, int (*take)(int c, void *order),
    void *order, bool *done) BG_MUST_CHECK;

/* Is there something for this claim, if only null: somebody wants it bad? */
bool bg_minting_says(const struct bg_minting *minting, const char *claim);

/* Put a member where text is not NULL.  Returns 0, or -1 without memory. */
int bg_minting_put_text(json_t *object, const char *name, const char *text) BG_MUST_CHECK;

/* Put a time, so many seconds from now. */
int bg_minting_put_time(json_t *claims, const char *name, int64_t now, int64_t plus) BG_MUST_CHECK;

int bg_minting_put_jti(json_t *claims) BG_MUST_CHECK;	/* a random one */

/* Put what was asked for over header and claims, sign that and print it as a line. */
int bg_minting_print(const struct bg_minting *minting, const struct bg_issuer_key *key, json_t *header,
    json_t *claims) BG_MUST_CHECK;

#endif
