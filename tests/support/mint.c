#include "tests/support/mint.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/b64url.h"

static const char *const files[BG_MINT_KEYS] = {
	[BG_MINT_KEY_A] = "rsa-2048-a.pem",
	[BG_MINT_KEY_B] = "rsa-2048-b.pem",
	[BG_MINT_KEY_LONG] = "rsa-3072.pem",
	[BG_MINT_KEY_SHORT] = "rsa-1024.pem",
};

static struct bg_issuer_key *keys[BG_MINT_KEYS];

static _Noreturn void
end(const char *what, const char *detail)
{
	(void)fprintf(stderr, "tests/support/mint.c: %s: %s\n", what, detail);
	abort();
}

static void
forget(void)
{
	for (size_t i = 0; i < BG_MINT_KEYS; i++) {
		bg_issuer_key_free(keys[i]);
		keys[i] = NULL;
	}
}

const struct bg_issuer_key *
bg_mint_key(enum bg_mint_key which)
{
	const char *srcdir = getenv("srcdir");
	struct bg_error err = { 0 };
	static bool registered;
	char path[4096];

	if (keys[which] != NULL)
		return keys[which];
	if (!registered) {
		registered = true;
		atexit(forget);		/* so that leak checkers stay quiet */
	}
	bg_format(path, sizeof(path), "%s/tests/support/keys/%s", srcdir != NULL ? srcdir : ".", files[which]);
	if (bg_issuer_key_load(path, &keys[which], &err) != 0)
		end(path, err.detail);
	return keys[which];
}

const char *
bg_mint_kid(enum bg_mint_key which)
{
	return bg_issuer_key_kid(bg_mint_key(which));
}

char *
bg_mint_jwks(const enum bg_mint_key *which, size_t n)
{
	json_t *set = json_object(), *list = json_array(), *jwk;
	struct bg_error err = { 0 };
	char *text;

	for (size_t i = 0; i < n; i++) {
		if (bg_issuer_key_jwk(bg_mint_key(which[i]), NULL, &jwk, &err) != 0)
			end("JWK", err.detail);
		json_array_append_new(list, jwk);
	}
	json_object_set_new(set, "keys", list);
	if ((text = json_dumps(set, JSON_COMPACT)) == NULL)
		end("JWK Set", "no memory");
	json_decref(set);
	return text;
}

char *
bg_mint_token(enum bg_mint_key which, const char *header, const char *claims)
{
	const struct bg_issuer_key *key = bg_mint_key(which);
	struct bg_error err = { 0 };
	struct bg_buf token;
	char usual[256];

	if (header == NULL) {
		bg_format(usual, sizeof(usual), "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
		    bg_issuer_key_alg(key), bg_issuer_key_kid(key));
		header = usual;
	}
	bg_buf_init(&token, BG_MINTED_MAX);
	if (bg_issuer_sign(key, bg_slice_str(header), bg_slice_str(claims), &token, &err) != 0)
		end("token", err.detail);
	return token.data;	/* moved to the caller; terminated by bg_issuer_sign */
}

char *
bg_mint_token_forged(enum bg_mint_key which, const char *header, const char *claims)
{
	char *token = bg_mint_token(which, header, claims);
	char *at = strrchr(token, '.') + 1;

	/* not the last one, whose low bits are no part of the signature */
	*at = *at == 'A' ? 'B' : 'A';
	return token;
}

char *
bg_mint_compact(struct bg_slice header, struct bg_slice payload, struct bg_slice signature)
{
	const struct bg_slice part[3] = { header, payload, signature };
	struct bg_error err = { 0 };
	struct bg_slice out;
	struct bg_buf token;

	bg_buf_init(&token, BG_MINTED_MAX);
	for (size_t i = 0; i < 3; i++) {
		char *at = bg_buf_extend(&token, BG_B64URL_ENCODED(part[i].len));

		if (at != NULL && part[i].len > 0)
			bg_b64url_encode(at, (const unsigned char *)part[i].ptr, part[i].len);
		if (i < 2)
			bg_buf_put_char(&token, '.');
	}
	if (bg_buf_finish(&token, &out, &err) != 0)
		end("token", err.detail);
	return token.data;	/* moved to the caller */
}
