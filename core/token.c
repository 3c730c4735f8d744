#include "core/token.h"

#include <stdlib.h>

#include "core/b64url.h"
#include "core/limits.h"

/* Find the two dots in one pass; anything else than two is no compact JWS (SR-20). */
static int
split_segments(struct bg_slice compact, struct bg_slice seg[3], struct bg_error *err)
{
	struct bg_slice rest = compact;
	size_t dots = 0;
	const char *dot;

	while (rest.len > 0 && (dot = memchr(rest.ptr, '.', rest.len)) != NULL) {
		if (dots < 2)
			seg[dots] = (struct bg_slice){ rest.ptr, (size_t)(dot - rest.ptr) };
		dots++;
		rest = bg_slice_skip(rest, (size_t)(dot - rest.ptr) + 1);
	}
	if (dots == 4)
		return bg_fail(err, BG_R_TOKEN_ENCRYPTED, "five parts: a JWE, RFC 7516; the issuer must not encrypt access tokens");
	if (dots != 2)
		return bg_fail(err, BG_R_BAD_TOKEN, "%zu %s instead of three%s", dots + 1, dots == 0 ? "part" : "parts",
		    dots == 0 ? ": an opaque token? Ask the issuer for one with the audience of this API" : "");
	seg[2] = rest;
	return 0;
}

/* Decode one segment into *at and move *at behind it. */
static int
decode(struct bg_slice segment, const char *what, char **at, struct bg_slice *out, struct bg_error *err)
{
	long n = bg_b64url_decode((unsigned char *)*at, segment);

	if (n < 0)
		return bg_fail(err, BG_R_BAD_TOKEN, "the %s is not base64url", what);
	*out = (struct bg_slice){ *at, (size_t)n };
	*at += n;
	return 0;
}

/* A member that must be a string where it is there. */
static int
read_string(const json_t *header, const char *name, struct bg_slice *out, struct bg_error *err)
{
	const json_t *value = json_object_get(header, name);

	*out = bg_json_string(value);
	if (value != NULL && out->ptr == NULL)
		return bg_fail(err, BG_R_BAD_HEADER, "%s is %s, not a string", name, bg_json_type_name(value));
	return 0;
}

/* What the header says, and that it asks for nothing we do not do.  RFC 7515 section 4.1. */
static int
read_header(struct bg_token *token, struct bg_error *err)
{
	if (json_object_get(token->header, "crit") != NULL || json_object_get(token->header, "b64") != NULL)
		return bg_fail(err, BG_R_CRITICAL_HEADER, "the header has crit or b64");
	if (read_string(token->header, "alg", &token->alg, err) != 0 ||
	    read_string(token->header, "kid", &token->kid, err) != 0 ||
	    read_string(token->header, "typ", &token->typ, err) != 0)
		return -1;
	if (token->alg.ptr == NULL)
		return bg_fail(err, BG_R_BAD_HEADER, "no alg");
	if (token->kid.len > BG_KID_MAX)
		return bg_fail(err, BG_R_BAD_HEADER, "kid of %zu bytes, at most %d", token->kid.len, BG_KID_MAX);
	return 0;
}

int
bg_token_parse(struct bg_slice compact, struct bg_token **out, struct bg_error *err)
{
	struct bg_slice seg[3], header, payload;
	struct bg_token *token = NULL;
	int rc = -1;
	char *at;

	*out = NULL;
	if (compact.len > BG_TOKEN_MAX)
		return bg_fail(err, BG_R_TOKEN_TOO_LARGE, "%zu bytes, at most %d", compact.len, BG_TOKEN_MAX);
	if (split_segments(compact, seg, err) != 0)
		return -1;
	if (BG_B64URL_DECODED(seg[0].len) > BG_TOKEN_HEADER_MAX)
		return bg_fail(err, BG_R_TOKEN_TOO_LARGE, "header over %d bytes", BG_TOKEN_HEADER_MAX);
	if (seg[2].len == 0)
		return bg_fail(err, BG_R_BAD_TOKEN, "no signature");
	if (BG_B64URL_DECODED(seg[2].len) > BG_SIGNATURE_MAX)
		return bg_fail(err, BG_R_BAD_TOKEN, "signature over %d bytes", BG_SIGNATURE_MAX);

	if ((token = calloc(1, sizeof(*token))) == NULL || (token->storage = malloc(compact.len)) == NULL) {
		bg_fail(err, BG_R_NO_MEMORY, "token");
		goto out;
	}
	atomic_init(&token->owners, 1);
	token->signing_input = (struct bg_slice){ compact.ptr, seg[0].len + 1 + seg[1].len };
	at = token->storage;
	if (decode(seg[0], "header", &at, &header, err) != 0 || decode(seg[1], "payload", &at, &payload, err) != 0 ||
	    decode(seg[2], "signature", &at, &token->signature, err) != 0 ||
	    bg_json_object_pooled(header, BG_R_BAD_HEADER, &token->header, &token->header_pool, err) != 0 ||
	    read_header(token, err) != 0 ||
	    bg_json_object_pooled(payload, BG_R_BAD_CLAIMS, &token->payload, &token->payload_pool, err) != 0)
		goto out;
	*out = token;
	token = NULL;		/* moved to the caller */
	rc = 0;
out:
	bg_token_unref(token);
	return rc;
}

/* Copy text to *at and move *at behind it. */
static struct bg_slice
move_text(struct bg_slice text, char **at)
{
	struct bg_slice moved = { text.ptr != NULL ? *at : NULL, text.len };

	if (text.len > 0)
		memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return moved;
}

int
bg_token_settle(struct bg_token *token, struct bg_error *err)
{
	size_t len = token->alg.len + token->kid.len + token->typ.len;
	char *storage = malloc(len + 1), *at = storage;

	if (storage == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "token");
	token->alg = move_text(token->alg, &at);
	token->kid = move_text(token->kid, &at);
	token->typ = move_text(token->typ, &at);
	token->signing_input = token->signature = (struct bg_slice){ NULL, 0 };
	bg_json_pool_free(token->header_pool);
	token->header_pool = NULL;
	token->header = NULL;
	free(token->storage);
	token->storage = storage;
	token->bytes = sizeof(*token) + len + 1 + bg_json_pool_bytes(token->payload_pool);
	return 0;
}

struct bg_token *
bg_token_ref(struct bg_token *token)
{
	atomic_fetch_add(&token->owners, 1);
	return token;
}

void
bg_token_unref(struct bg_token *token)
{
	if (token == NULL || atomic_fetch_sub(&token->owners, 1) > 1)
		return;
	bg_json_pool_free(token->header_pool);
	bg_json_pool_free(token->payload_pool);
	free(token->storage);
	free(token);
}
