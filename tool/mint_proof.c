#include <stdlib.h>
#include <strings.h>
#include <sysexits.h>

#include "core/secret.h"
#include "tool/minting.h"

enum {
	OPT_METHOD = BG_MINTING_OTHERS, OPT_URL, OPT_TOKEN, OPT_TOKEN_FILE, OPT_NONCE, OPT_JTI, OPT_IAT
};

/* What was asked of a proof. */
struct order {
	struct bg_minting common;
	const char *method;
	const char *url;
	const char *token;
	const char *token_file;		/* path; at most one of the two is not NULL */
	const char *nonce;
	const char *jti;
	int64_t     iat;		/* seconds from now */
};

/* A slip here should not make a proof that looks right: RFC 9110 section 4.2. */
static int
read_url(const char *text, const char **out)
{
	if (strncasecmp(text, "https://", 8) != 0 && strncasecmp(text, "http://", 7) != 0)
		return bg_verb_usage("--url: an http or https URL was expected; --claim htu=VALUE makes any other");
	return bg_minting_text("--url", text, out);
}

/* The URL without its query and fragment.  RFC 9449 section 4.2. */
static int
put_htu(json_t *claims, const char *url)
{
	return url == NULL ? 0 : json_object_set_new(claims, "htu", json_stringn(url, strcspn(url, "?#")));
}

/* What is wrong with a token, or NULL: one that was copied with its scheme or a line end too many has another hash. */
static const char *
token_fault(struct bg_slice token)
{
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] <= ' ' || token.ptr[i] > '~')
			return "a token has no white space and nothing but ASCII in it";
	return token.len == 0 ? "there is no token" : NULL;
}

static int
put_hash(json_t *claims, struct bg_slice token)
{
	char ath[BG_THUMBPRINT_LEN + 1];
	struct bg_error err = { 0 };

	if (bg_issuer_hash(token, ath, &err) != 0) {
		bg_verb_say("%s", err.detail);
		return EX_SOFTWARE;
	}
	return bg_minting_put_text(claims, "ath", ath) == 0 ? EX_OK : bg_minting_no_memory("claims");
}

/* The token of a file is its one line. */
static int
put_hash_of_file(json_t *claims, const char *path)
{
	struct bg_slice token;
	const char *fault;
	struct bg_buf text;
	int rc;

	bg_buf_init(&text, BG_MINTED_MAX);
	if ((rc = bg_minting_read(path, &text)) != EX_OK)
		goto out;
	token = (struct bg_slice){ text.data, text.len };
	if (token.len > 0 && token.ptr[token.len - 1] == '\n')
		token.len--;
	if (token.len > 0 && token.ptr[token.len - 1] == '\r')
		token.len--;
	if ((fault = token_fault(token)) == NULL)
		rc = put_hash(claims, token);
	else {
		bg_verb_say("%s: %s", path, fault);
		rc = EX_DATAERR;
	}
out:
	if (text.data != NULL)
		bg_secret_wipe(text.data, text.cap);
	bg_buf_clear(&text);
	return rc;
}

/* RFC 9449 section 4.2; what was not given is left out. */
static int
make_claims(const struct order *order, json_t *claims)
{
	int rc;

	if ((rc = order->jti == NULL ? bg_minting_put_jti(claims) : EX_OK) != EX_OK)
		return rc;
	if (bg_minting_put_text(claims, "jti", order->jti) != 0 || bg_minting_put_text(claims, "htm", order->method) != 0 ||
	    put_htu(claims, order->url) != 0)
		return bg_minting_no_memory("claims");
	if ((rc = bg_minting_put_time(claims, "iat", order->common.now, order->iat)) != EX_OK)
		return rc;
	if (order->token != NULL && (rc = put_hash(claims, bg_slice_str(order->token))) != EX_OK)
		return rc;
	if (order->token_file != NULL && (rc = put_hash_of_file(claims, order->token_file)) != EX_OK)
		return rc;
	return bg_minting_put_text(claims, "nonce", order->nonce) == 0 ? EX_OK : bg_minting_no_memory("claims");
}

/* RFC 9449 section 4.2. */
static int
make_header(const struct bg_issuer_key *key, json_t *header)
{
	struct bg_error err = { 0 };
	json_t *jwk = NULL;

	if (bg_issuer_key_bare_jwk(key, &jwk, &err) != 0) {
		bg_verb_say("%s", err.detail);
		return EX_SOFTWARE;
	}
	if (bg_minting_put_text(header, "typ", "dpop+jwt") != 0 ||
	    bg_minting_put_text(header, "alg", bg_issuer_key_alg(key)) != 0 || json_object_set(header, "jwk", jwk) != 0) {
		json_decref(jwk);
		return bg_minting_no_memory("header");
	}
	json_decref(jwk);
	return EX_OK;
}

static int
make_proof(const struct order *order)
{
	json_t *header = json_object(), *claims = json_object(), *remarked = NULL;
	struct bg_issuer_key *key = NULL;
	int rc;

	if ((rc = bg_minting_key(order->common.key, order->common.alg, &key)) != EX_OK ||
	    (rc = bg_minting_jwk(key, order->common.key, NULL, &remarked)) != EX_OK ||
	    (rc = make_header(key, header)) != EX_OK || (rc = make_claims(order, claims)) != EX_OK)
		goto out;
	rc = bg_minting_print(&order->common, key, header, claims);
out:
	bg_issuer_key_free(key);
	json_decref(remarked);
	json_decref(header);
	json_decref(claims);
	return rc;
}

static int
read_option(int c, void *arg)
{
	struct order *order = arg;
	const char *fault;

	switch (c) {
	case OPT_METHOD:
		return bg_minting_text("--method", optarg, &order->method);
	case OPT_URL:
		return read_url(optarg, &order->url);
	case OPT_TOKEN:
		order->token = optarg;
		fault = token_fault(bg_slice_str(optarg));
		return fault == NULL ? EX_OK : bg_verb_usage("--token: %s", fault);
	case OPT_TOKEN_FILE:
		order->token_file = optarg;
		return EX_OK;
	case OPT_NONCE:
		return bg_minting_text("--nonce", optarg, &order->nonce);
	case OPT_JTI:
		return bg_minting_text("--jti", optarg, &order->jti);
	case OPT_IAT:
		if (!bg_minting_time(optarg, &order->iat))
			return bg_verb_usage("--iat: \"%s\" is no time such as 30s, 5m, 1h, 7d or -1h", optarg);
		return EX_OK;
	default:
		return bg_minting_option(c, &order->common);
	}
}

/* A proof without htm or htu is of use only as a bad example, and then somebody says so. */
static int
check_order(const struct order *order)
{
	if (order->common.key == NULL)
		return bg_verb_usage("mint proof needs -k: the client's key, which signs");
	if (order->method == NULL && !bg_minting_says(&order->common, "htm"))
		return bg_verb_usage("mint proof needs --method, or --claim htm=null for a proof without it");
	if (order->url == NULL && !bg_minting_says(&order->common, "htu"))
		return bg_verb_usage("mint proof needs --url, or --claim htu=null for a proof without it");
	if (order->token != NULL && order->token_file != NULL)
		return bg_verb_usage("--token and --token-file: a proof goes with one token");
	return EX_OK;
}

int
bg_verb_mint_proof(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "alg",        required_argument, NULL, 'a' },
		{ "key",        required_argument, NULL, 'k' },
		{ "method",     required_argument, NULL, OPT_METHOD },
		{ "url",        required_argument, NULL, OPT_URL },
		{ "token",      required_argument, NULL, OPT_TOKEN },
		{ "token-file", required_argument, NULL, OPT_TOKEN_FILE },
		{ "nonce",      required_argument, NULL, OPT_NONCE },
		{ "jti",        required_argument, NULL, OPT_JTI },
		{ "iat",        required_argument, NULL, OPT_IAT },
		{ "claim",      required_argument, NULL, BG_MINTING_CLAIM },
		{ "claims",     required_argument, NULL, BG_MINTING_CLAIMS },
		{ "header",     required_argument, NULL, BG_MINTING_HEADER },
		{ "now",        required_argument, NULL, BG_MINTING_NOW },
		{ "help",       no_argument,       NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct order order = { .iat = 0 };
	bool done;
	int rc;

	bg_minting_init(&order.common);
	rc = bg_minting_options("proof", argc, argv, longopts, read_option, &order, &done);
	if (rc == EX_OK && !done && (rc = check_order(&order)) == EX_OK)
		rc = make_proof(&order);
	bg_minting_clear(&order.common);
	return rc;
}
