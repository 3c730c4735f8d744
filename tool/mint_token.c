#include <stdlib.h>
#include <sysexits.h>

#include "core/certificate.h"
#include "core/secret.h"
#include "tool/minting.h"

#define LIFETIME	3600		/* seconds a token lasts where nothing else was said */

enum {
	OPT_ISS = BG_MINTING_OTHERS, OPT_AUD, OPT_SUB, OPT_SCOPE, OPT_EXPIRES, OPT_NOT_BEFORE, OPT_KID, OPT_DPOP_KEY,
	OPT_CLIENT_CERT
};

/* What was asked of a token. */
struct order {
	struct bg_minting common;
	const char *iss;
	json_t     *aud;		/* array */
	const char *sub;
	const char *scope;
	const char *kid;
	const char *dpop_key;		/* path of the key the token is bound to, */
	const char *client_cert;	/* of the certificate; NULL: not bound to one */
	int64_t     expires;		/* seconds from now */
	int64_t     not_before;		/* seconds from now */
	bool        has_not_before;
};

static int
add_audience(struct order *order, const char *text)
{
	const char *aud;
	int rc = bg_minting_text("--aud", text, &aud);

	if (rc != EX_OK)
		return rc;
	return json_array_append_new(order->aud, json_string(aud)) == 0 ? EX_OK : bg_minting_no_memory("claims");
}

/* The first certificate of a file, and nothing around it; *out lies in text. */
static int
find_certificate(const char *path, struct bg_buf *text, struct bg_slice *out)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
	const char *from, *until;
	int rc;

	if ((rc = bg_minting_read(path, text)) != EX_OK)
		return rc;
	if ((from = memmem(text->data, text->len, begin, strlen(begin))) == NULL ||
	    (until = memmem(from, text->len - (size_t)(from - text->data), end, strlen(end))) == NULL) {
		bg_verb_say("%s: no certificate in PEM", path);
		return EX_DATAERR;
	}
	*out = (struct bg_slice){ from, (size_t)(until - from) + strlen(end) };
	return EX_OK;
}

/* RFC 8705 section 3.1. */
static int
put_certificate(const char *path, json_t *cnf)
{
	char thumbprint[BG_THUMBPRINT_LEN + 1];
	struct bg_error err = { 0 };
	struct bg_slice certificate;
	struct bg_buf text;
	int rc;

	bg_buf_init(&text, BG_PEM_MAX);
	if ((rc = find_certificate(path, &text, &certificate)) != EX_OK)
		goto out;
	if (bg_certificate_thumbprint(certificate, thumbprint, &err) != 0) {
		bg_verb_say("%s: %s", path, err.detail);
		rc = err.reason == BG_R_BAD_VARIABLE ? EX_DATAERR : EX_OSERR;
	} else if (bg_minting_put_text(cnf, "x5t#S256", thumbprint) != 0)
		rc = bg_minting_no_memory("claims");
out:
	if (text.data != NULL)
		bg_secret_wipe(text.data, text.cap);	/* the key may be in the same file */
	bg_buf_clear(&text);
	return rc;
}

/* RFC 9449 section 6.1. */
static int
put_key(const char *path, json_t *cnf)
{
	struct bg_issuer_key *key = NULL;
	json_t *jwk = NULL;
	int rc;

	if ((rc = bg_minting_key(path, NULL, &key)) == EX_OK && (rc = bg_minting_jwk(key, path, NULL, &jwk)) == EX_OK &&
	    bg_minting_put_text(cnf, "jkt", bg_issuer_key_kid(key)) != 0)
		rc = bg_minting_no_memory("claims");
	json_decref(jwk);
	bg_issuer_key_free(key);
	return rc;
}

/* What the token is bound to, if anything.  RFC 7800 section 3.1. */
static int
put_binding(const struct order *order, json_t *claims)
{
	json_t *cnf = json_object();
	int rc = EX_OK;

	if ((order->dpop_key == NULL || (rc = put_key(order->dpop_key, cnf)) == EX_OK) &&
	    (order->client_cert == NULL || (rc = put_certificate(order->client_cert, cnf)) == EX_OK) &&
	    json_object_size(cnf) > 0 && json_object_set(claims, "cnf", cnf) != 0)
		rc = bg_minting_no_memory("claims");
	json_decref(cnf);
	return rc;
}

/* RFC 9068 section 2.2; what was not given is left out. */
static int
make_claims(const struct order *order, json_t *claims)
{
	json_t *aud = json_array_size(order->aud) == 1 ? json_array_get(order->aud, 0) : order->aud;
	int rc;

	if (bg_minting_put_text(claims, "iss", order->iss) != 0 || bg_minting_put_text(claims, "sub", order->sub) != 0 ||
	    (json_array_size(order->aud) > 0 && json_object_set(claims, "aud", aud) != 0) ||
	    bg_minting_put_text(claims, "scope", order->scope) != 0)
		return bg_minting_no_memory("claims");
	if ((rc = bg_minting_put_time(claims, "iat", order->common.now, 0)) != EX_OK ||
	    (rc = bg_minting_put_time(claims, "exp", order->common.now, order->expires)) != EX_OK)
		return rc;
	if (order->has_not_before && (rc = bg_minting_put_time(claims, "nbf", order->common.now, order->not_before)) != EX_OK)
		return rc;
	if ((rc = bg_minting_put_jti(claims)) != EX_OK)
		return rc;
	return put_binding(order, claims);
}

/* RFC 9068 section 2.1. */
static int
make_header(const struct order *order, const struct bg_issuer_key *key, json_t *header)
{
	if (bg_minting_put_text(header, "alg", bg_issuer_key_alg(key)) != 0 || bg_minting_put_text(header, "typ", "at+jwt") != 0 ||
	    bg_minting_put_text(header, "kid", order->kid != NULL ? order->kid : bg_issuer_key_kid(key)) != 0)
		return bg_minting_no_memory("header");
	return EX_OK;
}

static int
make_token(const struct order *order)
{
	json_t *header = json_object(), *claims = json_object(), *jwk = NULL;
	struct bg_issuer_key *key = NULL;
	int rc;

	if ((rc = bg_minting_key(order->common.key, order->common.alg, &key)) != EX_OK ||
	    (rc = bg_minting_jwk(key, order->common.key, NULL, &jwk)) != EX_OK ||
	    (rc = make_header(order, key, header)) != EX_OK || (rc = make_claims(order, claims)) != EX_OK)
		goto out;
	rc = bg_minting_print(&order->common, key, header, claims);
out:
	bg_issuer_key_free(key);
	json_decref(jwk);
	json_decref(header);
	json_decref(claims);
	return rc;
}

static int
read_option(int c, void *arg)
{
	struct order *order = arg;

	switch (c) {
	case OPT_ISS:
		return bg_minting_text("--iss", optarg, &order->iss);
	case OPT_AUD:
		return add_audience(order, optarg);
	case OPT_SUB:
		return bg_minting_text("--sub", optarg, &order->sub);
	case OPT_SCOPE:
		return bg_minting_text("--scope", optarg, &order->scope);
	case OPT_EXPIRES:
		if (!bg_minting_time(optarg, &order->expires))
			return bg_verb_usage("--expires: \"%s\" is no time such as 30s, 5m, 1h, 7d or -1h", optarg);
		return EX_OK;
	case OPT_NOT_BEFORE:
		if (!bg_minting_time(optarg, &order->not_before))
			return bg_verb_usage("--not-before: \"%s\" is no time such as 30s, 5m, 1h, 7d or -1h", optarg);
		order->has_not_before = true;
		return EX_OK;
	case OPT_KID:
		return bg_minting_text("--kid", optarg, &order->kid);
	case OPT_DPOP_KEY:
		order->dpop_key = optarg;
		return EX_OK;
	case OPT_CLIENT_CERT:
		order->client_cert = optarg;
		return EX_OK;
	default:
		return bg_minting_option(c, &order->common);
	}
}

/* A token without iss or aud is of use only as a bad example, and then somebody says so. */
static int
check_order(const struct order *order)
{
	if (order->common.key == NULL)
		return bg_verb_usage("mint token needs -k: the key that signs");
	if (order->iss == NULL && !bg_minting_says(&order->common, "iss"))
		return bg_verb_usage("mint token needs --iss, or --claim iss=null for a token without it");
	if (json_array_size(order->aud) == 0 && !bg_minting_says(&order->common, "aud"))
		return bg_verb_usage("mint token needs --aud, or --claim aud=null for a token without it");
	return EX_OK;
}

int
bg_verb_mint_token(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "alg",         required_argument, NULL, 'a' },
		{ "key",         required_argument, NULL, 'k' },
		{ "iss",         required_argument, NULL, OPT_ISS },
		{ "aud",         required_argument, NULL, OPT_AUD },
		{ "sub",         required_argument, NULL, OPT_SUB },
		{ "scope",       required_argument, NULL, OPT_SCOPE },
		{ "expires",     required_argument, NULL, OPT_EXPIRES },
		{ "not-before",  required_argument, NULL, OPT_NOT_BEFORE },
		{ "claim",       required_argument, NULL, BG_MINTING_CLAIM },
		{ "claims",      required_argument, NULL, BG_MINTING_CLAIMS },
		{ "header",      required_argument, NULL, BG_MINTING_HEADER },
		{ "kid",         required_argument, NULL, OPT_KID },
		{ "now",         required_argument, NULL, BG_MINTING_NOW },
		{ "dpop-key",    required_argument, NULL, OPT_DPOP_KEY },
		{ "client-cert", required_argument, NULL, OPT_CLIENT_CERT },
		{ "help",        no_argument,       NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct order order = { .aud = json_array(), .expires = LIFETIME };
	bool done;
	int rc;

	bg_minting_init(&order.common);
	rc = bg_minting_options("token", argc, argv, longopts, read_option, &order, &done);
	if (rc == EX_OK && !done && (rc = check_order(&order)) == EX_OK)
		rc = make_token(&order);
	bg_minting_clear(&order.common);
	json_decref(order.aud);
	return rc;
}
