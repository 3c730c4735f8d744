#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "core/limits.h"
#include "core/secret.h"
#include "tool/minting.h"

#define OPT_KID		256

const char bg_minting_usage[] =
    "usage: bearergate mint key [-f] [-a ALG] [-b BITS] -o KEY.pem\n"
    "       bearergate mint jwks [-a ALG] [-o FILE] [--kid KID] KEY.pem...\n"
    "       bearergate mint token -k KEY.pem [-a ALG] --iss URL --aud AUDIENCE [options]\n"
    "       bearergate mint proof -k KEY.pem [-a ALG] --method METHOD --url URL [options]\n"
    "\n"
    "key: a new private key, in a file that only its owner can read\n"
    "  -a, --alg ALG       the algorithm it is for (default RS256), one of\n"
    "                      " BG_ISSUER_ALGS "\n"
    "  -b, --bits BITS     length of an RSA key (default 2048)\n"
    "  -f, --force         replace a file that is there\n"
    "  -o, --output FILE   where it goes\n"
    "\n"
    "jwks: the key set that verifies what these keys sign\n"
    "  -a, --alg ALG       the algorithm they are for (default: RS256, ES256, ES384, ES512 or EdDSA by the key)\n"
    "  --kid KID           name of the one key (default: its RFC 7638 thumbprint)\n"
    "  -o, --output FILE   where it goes (default: standard output)\n"
    "\n"
    "token: one access token, signed\n"
    "  -a, --alg ALG       the algorithm to sign by (default: as for jwks)\n"
    "  -k, --key FILE      the key that signs\n"
    "  --iss URL           the issuer\n"
    "  --aud AUDIENCE      an audience; may be repeated\n"
    "  --sub SUBJECT       the subject\n"
    "  --scope \"A B\"       the scopes\n"
    "  --expires TIME      how long from now it lasts, as 30s, 5m, 1h or 7d, or -1h for one that is over (default 1h)\n"
    "  --not-before TIME   how long from now until it begins\n"
    "  --claim NAME=VALUE  one more claim, or another value; VALUE is JSON, or else a string\n"
    "  --claims JSON       the same for several, as an object; null takes a claim out\n"
    "  --header JSON       the same for the header\n"
    "  --kid KID           kid of the header (default: the key's RFC 7638 thumbprint)\n"
    "  --dpop-key FILE     bind it to this key: it passes with a proof by that alone\n"
    "  --client-cert FILE  bind it to this TLS client certificate\n"
    "  --now SECONDS       since the epoch, instead of the clock\n"
    "\n"
    "proof, or --dpop: a DPoP proof for one request, for its DPoP header\n"
    "  -a, --alg ALG       as for a token\n"
    "  -k, --key FILE      the client's key, which signs and is in the proof\n"
    "  --method METHOD     the method of the request\n"
    "  --url URL           its URL; query and fragment are left out\n"
    "  --token TOKEN       the token it is sent with; other users can see it in the list of processes\n"
    "  --token-file FILE   the same from a file, - for standard input\n"
    "  --nonce NONCE       the nonce the server gave\n"
    "  --jti JTI           its name (default: random)\n"
    "  --iat TIME          how long from now it was made, as -30s or 5m\n"
    "  --claim, --claims, --header, --now as for a token\n";

static int
save_key(const struct bg_issuer_key *key, const char *path, bool replace)
{
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf pem;
	json_t *jwk = NULL;
	int rc = EX_SOFTWARE;

	bg_buf_init(&pem, BG_PEM_MAX);
	if (bg_issuer_key_pem(key, &pem, &err) != 0 || bg_buf_finish(&pem, &text, &err) != 0) {
		bg_verb_say("%s: %s", path, err.detail);
		goto out;
	}
	if ((rc = bg_minting_jwk(key, path, NULL, &jwk)) != EX_OK)
		goto out;
	rc = bg_verb_write(path, text, 0600, replace);
out:
	if (pem.data != NULL)
		bg_secret_wipe(pem.data, pem.cap);
	bg_buf_clear(&pem);
	json_decref(jwk);
	return rc;
}

static int
mint_key(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "alg",    required_argument, NULL, 'a' },
		{ "bits",   required_argument, NULL, 'b' },
		{ "force",  no_argument,       NULL, 'f' },
		{ "output", required_argument, NULL, 'o' },
		{ "help",   no_argument,       NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const struct bg_issuer_alg *alg = bg_issuer_alg_find(BG_SLICE("RS256"));
	struct bg_issuer_key *key = NULL;
	struct bg_error err = { 0 };
	const char *path = NULL;
	bool replace = false;
	int64_t bits = 0;
	int c, rc;

	while ((c = getopt_long(argc, argv, ":a:b:fo:h", longopts, NULL)) != -1)
		switch (c) {
		case 'a':
			if ((rc = bg_minting_alg(optarg, &alg)) != EX_OK)
				return rc;
			break;
		case 'b':
			if (!bg_minting_number(optarg, &bits) || bits < 1 || bits > INT_MAX)
				return bg_verb_usage("-b: \"%s\" is no number of bits", optarg);
			break;
		case 'f':
			replace = true;
			break;
		case 'o':
			path = optarg;
			break;
		case 'h':
			return bg_verb_print(bg_slice_str(bg_minting_usage));
		default:
			return bg_verb_bad_option(c, argv, longopts);
		}
	if (optind < argc)
		return bg_verb_usage("mint key takes no \"%s\"; the file is named with -o", argv[optind]);
	if (path == NULL || path[0] == '\0')
		return bg_verb_usage("mint key needs -o: where the key goes");
	if (bg_issuer_key_make(alg, (unsigned)bits, &key, &err) != 0) {
		if (err.reason == BG_R_BAD_JWK)
			return bg_verb_usage("-b: %s", err.detail);
		bg_verb_say("%s", err.detail);
		return EX_SOFTWARE;
	}
	rc = save_key(key, path, replace);
	bg_issuer_key_free(key);
	return rc;
}

static int
write_jwks(const json_t *set, const char *path)
{
	char *json = json_dumps(set, JSON_INDENT(2));
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf buf;
	int rc = EX_SOFTWARE;

	bg_buf_init(&buf, BG_FETCH_MAX);	/* nobody here reads a longer one */
	bg_buf_put_format(&buf, "%s\n", json != NULL ? json : "");
	if (json == NULL || bg_buf_finish(&buf, &text, &err) != 0)
		bg_verb_say("the key set: %s", json != NULL ? err.detail : "no memory");
	else if (path == NULL)
		rc = bg_verb_print(text);
	else
		rc = bg_verb_write(path, text, 0644, true);	/* public, and made again whenever the keys change */
	bg_buf_clear(&buf);
	free(json);
	return rc;
}

static int
add_jwk(json_t *list, const char *path, const struct bg_issuer_alg *alg, const char *kid)
{
	struct bg_issuer_key *key = NULL;
	json_t *jwk = NULL;
	int rc;

	if ((rc = bg_minting_key(path, alg, &key)) == EX_OK && (rc = bg_minting_jwk(key, path, kid, &jwk)) == EX_OK &&
	    json_array_append(list, jwk) != 0)
		rc = bg_minting_no_memory("key set");
	json_decref(jwk);
	bg_issuer_key_free(key);
	return rc;
}

static int
mint_jwks(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "alg",    required_argument, NULL, 'a' },
		{ "kid",    required_argument, NULL, OPT_KID },
		{ "output", required_argument, NULL, 'o' },
		{ "help",   no_argument,       NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const struct bg_issuer_alg *alg = NULL;
	const char *path = NULL, *kid = NULL;
	json_t *list = NULL, *set = NULL;
	int c, rc = EX_OK;

	while ((c = getopt_long(argc, argv, ":a:o:h", longopts, NULL)) != -1)
		switch (c) {
		case 'a':
			if ((rc = bg_minting_alg(optarg, &alg)) != EX_OK)
				return rc;
			break;
		case OPT_KID:
			if ((rc = bg_minting_text("--kid", optarg, &kid)) != EX_OK)
				return rc;
			break;
		case 'o':
			path = optarg;
			break;
		case 'h':
			return bg_verb_print(bg_slice_str(bg_minting_usage));
		default:
			return bg_verb_bad_option(c, argv, longopts);
		}
	if (optind == argc)
		return bg_verb_usage("mint jwks needs at least one key file");
	if (path != NULL && path[0] == '\0')
		return bg_verb_usage("-o: the name of the file is empty");
	if (kid != NULL && argc - optind > 1)
		return bg_verb_usage("--kid names one key, and there are %d", argc - optind);
	set = json_pack("{s:[]}", "keys");
	list = json_object_get(set, "keys");
	for (int i = optind; i < argc && rc == EX_OK; i++)
		rc = add_jwk(list, argv[i], alg, kid);
	if (rc == EX_OK)
		rc = write_jwks(set, path);
	json_decref(set);
	return rc;
}

static const struct {
	const char *name;
	int       (*run)(int argc, char **argv);
} things[] = {
	{ "key",    mint_key },
	{ "jwks",   mint_jwks },
	{ "token",  bg_verb_mint_token },
	{ "proof",  bg_verb_mint_proof },
	{ "--dpop", bg_verb_mint_proof },
};

int
bg_verb_mint(int argc, char **argv)
{
	opterr = 0;
	if (argc < 2)
		return bg_verb_usage("mint needs to know what: key, jwks, token or proof");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return bg_verb_print(bg_slice_str(bg_minting_usage));
	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		if (strcmp(argv[1], things[i].name) == 0)
			return things[i].run(argc - 1, argv + 1);
	if (argv[1][0] == '-')
		return bg_verb_usage("mint: unknown option %.*s; key, jwks, token or proof comes first",
		    (int)strcspn(argv[1], "="), argv[1]);
	return bg_verb_usage("mint makes no \"%s\", but key, jwks, token or proof", argv[1]);
}
