#include "tests/support/mint.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/b64url.h"

static const char *const files[BG_MINT_KEYS] = {
	[BG_MINT_KEY_A] = "rsa-2048-a.pem",
	[BG_MINT_KEY_B] = "rsa-2048-b.pem",
	[BG_MINT_KEY_LONG] = "rsa-3072.pem",
	[BG_MINT_KEY_SHORT] = "rsa-1024.pem",
	[BG_MINT_KEY_P256] = "p256.pem",
	[BG_MINT_KEY_P384] = "p384.pem",
	[BG_MINT_KEY_P521] = "p521.pem",
	[BG_MINT_KEY_ED25519] = "ed25519.pem",
};

static struct bg_issuer_key *keys[BG_MINT_KEYS];

/* The keys that sign by another algorithm than their usual one, as they were asked for: there are five for each RSA key. */
static struct bg_issuer_key *others[5 * BG_MINT_KEYS];
static enum bg_mint_key others_of[5 * BG_MINT_KEYS];
static size_t n_others;

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
	while (n_others > 0)
		bg_issuer_key_free(others[--n_others]);
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

const struct bg_issuer_key *
bg_mint_key_as(enum bg_mint_key which, const char *alg)
{
	const struct bg_issuer_key *key = bg_mint_key(which);
	const struct bg_issuer_alg *row;
	struct bg_error err = { 0 };

	if (alg == NULL || strcmp(bg_issuer_key_alg(key), alg) == 0)
		return key;
	for (size_t i = 0; i < n_others; i++)
		if (others_of[i] == which && strcmp(bg_issuer_key_alg(others[i]), alg) == 0)
			return others[i];
	if ((row = bg_issuer_alg_find(bg_slice_str(alg))) == NULL)
		end(alg, "no such algorithm");
	if (n_others == sizeof(others) / sizeof(others[0]))
		end(alg, "too many keys");
	if (bg_issuer_key_as(key, row, &others[n_others], &err) != 0)
		end(files[which], err.detail);
	others_of[n_others] = which;
	return others[n_others++];
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

json_t *
bg_mint_jwk(enum bg_mint_key which, const char *alg, const char *kid)
{
	struct bg_error err = { 0 };
	json_t *jwk;

	if (bg_issuer_key_jwk(bg_mint_key(which), kid, &jwk, &err) != 0)
		end("JWK", err.detail);
	if (alg == NULL ? json_object_del(jwk, "alg") != 0 : json_object_set_new(jwk, "alg", json_string(alg)) != 0)
		end("JWK", "alg");
	if (kid == NULL && json_object_del(jwk, "kid") != 0)
		end("JWK", "kid");
	return jwk;
}

char *
bg_mint_token(enum bg_mint_key which, const char *header, const char *claims)
{
	return bg_mint_token_as(which, NULL, header, claims);
}

char *
bg_mint_token_as(enum bg_mint_key which, const char *alg, const char *header, const char *claims)
{
	const struct bg_issuer_key *key = bg_mint_key_as(which, alg);
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

const char *
bg_mint_jkt(enum bg_mint_key which)
{
	return bg_mint_kid(which);
}

/* An object with the members of text put over its own, as text; takes object over. */
static char *
put_over(json_t *object, const char *text)
{
	json_t *members = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL) : json_object(), *value;
	const char *name;
	char *json;

	if (object == NULL || !json_is_object(members))
		end("proof", text != NULL ? text : "no memory");
	json_object_foreach(members, name, value) {
		if (json_is_null(value))
			(void)json_object_del(object, name);	/* it need not be there */
		else if (json_object_set(object, name, value) != 0)
			end("proof", name);
	}
	if ((json = json_dumps(object, JSON_COMPACT)) == NULL)
		end("proof", "no memory");
	json_decref(members);
	json_decref(object);
	return json;
}

char *
bg_mint_proof(enum bg_mint_key which, const char *alg, const char *header_members, const char *claims_members)
{
	const struct bg_issuer_key *key = bg_mint_key_as(which, alg);
	char jti[BG_B64URL_ENCODED(16)], *header, *claims, *proof;
	struct bg_error err = { 0 };
	unsigned char bytes[16];
	json_t *jwk;

	if (bg_issuer_key_bare_jwk(key, &jwk, &err) != 0)
		end("JWK", err.detail);
	if (getentropy(bytes, sizeof(bytes)) != 0)	/* not counted: tests share stores with their other processes */
		end("jti", "no random numbers");
	bg_b64url_encode(jti, bytes, sizeof(bytes));
	header = put_over(json_pack("{s:s, s:s, s:o}", "typ", "dpop+jwt", "alg", bg_issuer_key_alg(key), "jwk", jwk), header_members);
	claims = put_over(json_pack("{s:s%, s:s, s:s, s:i}", "jti", jti, sizeof(jti), "htm", BG_MINT_HTM, "htu", BG_MINT_HTU,
	    "iat", BG_MINT_IAT), claims_members);
	proof = bg_mint_token_as(which, alg, header, claims);
	free(claims);
	free(header);
	return proof;
}

char *
bg_mint_ath(const char *token)
{
	char *ath = malloc(BG_THUMBPRINT_LEN + 1);
	struct bg_error err = { 0 };

	if (ath == NULL || bg_issuer_hash(bg_slice_str(token), ath, &err) != 0)
		end("ath", err.detail);
	return ath;
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
