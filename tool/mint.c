#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/b64url.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/jwk.h"
#include "core/limits.h"
#include "core/secret.h"
#include "tool/issuer.h"
#include "tool/tool.h"

#define JTI_BYTES	16		/* as random as a UUID, and more */
#define LIFETIME	3600		/* seconds a token lasts where nothing else was said */
#define JSON_FLAGS	(JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)	/* bad values may be made, but seen to be made */

static const char usage[] =
    "usage: bearergate mint key [-f] [-a ALG] [-b BITS] -o KEY.pem\n"
    "       bearergate mint jwks [-a ALG] [-o FILE] [--kid KID] KEY.pem...\n"
    "       bearergate mint token -k KEY.pem [-a ALG] --iss URL --aud AUDIENCE [options]\n"
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
    "  --now SECONDS       since the epoch, instead of the clock\n";

enum {
	OPT_ISS = 256, OPT_AUD, OPT_SUB, OPT_SCOPE, OPT_EXPIRES, OPT_NOT_BEFORE, OPT_CLAIM, OPT_CLAIMS, OPT_HEADER, OPT_KID,
	OPT_NOW
};

/* A whole number and nothing else (SR-53). */
static bool
parse_number(const char *text, int64_t *out)
{
	char *end;
	long long n;

	if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
		return false;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return false;
	*out = n;
	return true;
}

/* All that goes into JSON is UTF-8.  RFC 8259 section 8.1. */
static bool
is_utf8(const char *text)
{
	json_t *value = json_string(text);
	bool is = value != NULL;

	json_decref(value);
	return is;
}

static int
no_memory(const char *what)
{
	bg_verb_say("no memory for the %s", what);
	return EX_OSERR;
}

/* Seconds of "30s" or "-1h": a unit is always wanted (SR-54). */
static bool
parse_time(const char *text, int64_t *out)
{
	static const struct { char unit; int64_t seconds; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	};
	char digits[24];
	size_t len = strlen(text);
	int64_t n;

	if (len < 2 || len > sizeof(digits))
		return false;
	bg_format(digits, sizeof(digits), "%.*s", (int)(len - 1), text);
	if (!parse_number(digits, &n))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].unit == text[len - 1])
			return !__builtin_mul_overflow(n, units[i].seconds, out);
	return false;
}

/*
 * Make path hold text with this mode, whole or not at all.  Without replace a file that is there stays, also when it
 * came between our looking and our writing.  Returns an exit code, the reason said.
 */
static int
write_file(const char *path, struct bg_slice text, mode_t mode, bool replace)
{
	char tmp[PATH_MAX];
	bool made = false;
	struct stat st;
	int fd = -1, rc = EX_CANTCREAT;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		bg_verb_say("%s: it is there and no regular file", path);
		return rc;
	}
	if (strlen(path) + sizeof(".XXXXXX") > sizeof(tmp)) {
		bg_verb_say("%s: %s", path, strerror(ENAMETOOLONG));
		return rc;
	}
	bg_format(tmp, sizeof(tmp), "%s.XXXXXX", path);
	if ((fd = mkstemp(tmp)) < 0)	/* mode 0600 from the start */
		goto out;
	made = true;
	if (bg_write_all(fd, text) != 0 || fchmod(fd, mode) != 0 || fsync(fd) != 0)
		goto out;
	if (replace ? rename(tmp, path) != 0 : link(tmp, path) != 0)
		goto out;
	made = !replace;	/* a link leaves the first name to be taken away */
	rc = EX_OK;
out:
	if (rc != EX_OK && errno == EEXIST)
		bg_verb_say("%s: it is there already; -f replaces it", path);
	else if (rc != EX_OK)
		bg_verb_say("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (made)
		(void)unlink(tmp);
	return rc;
}

/* -a.  Returns an exit code, the reason said. */
static int
read_alg(const char *name, const struct bg_issuer_alg **out)
{
	if ((*out = bg_issuer_alg_find(bg_slice_str(name))) == NULL)
		return bg_verb_usage("-a: no algorithm \"%s\" here; there is " BG_ISSUER_ALGS, name);
	return EX_OK;
}

/* The key in a file, to sign by alg, or by its usual algorithm where that is NULL. */
static int
load_key(const char *path, const struct bg_issuer_alg *alg, struct bg_issuer_key **out)
{
	struct bg_issuer_key *usual = NULL;
	struct bg_error err = { 0 };
	int rc;

	if ((rc = bg_issuer_key_load(path, alg != NULL ? &usual : out, &err)) == 0 && alg != NULL)
		rc = bg_issuer_key_as(usual, alg, out, &err);
	bg_issuer_key_free(usual);
	if (rc == 0)
		return EX_OK;
	bg_verb_say("%s: %s", path, err.detail);
	return err.reason == BG_R_FETCH_FAILED ? EX_NOINPUT :
	    err.reason == BG_R_BAD_JWK || err.reason == BG_R_BAD_ALGORITHM ? EX_DATAERR : EX_OSERR;
}

/* Such keys are made to be refused; whoever did not mean to should know. */
static void
remark_on_jwk(const char *path, const json_t *jwk)
{
	struct bg_error err = { 0 };
	struct bg_jwk *key = NULL;

	if (bg_jwk_parse(jwk, &key, &err) != 0)
		bg_verb_say("%s: remark: bearergate will not accept this key: %s", path, err.detail);
	bg_jwk_free(key);
}

/* The public half of a key, with its remark. */
static int
make_jwk(const struct bg_issuer_key *key, const char *path, const char *kid, json_t **out)
{
	struct bg_error err = { 0 };

	if (bg_issuer_key_jwk(key, kid, out, &err) != 0) {
		bg_verb_say("%s: %s", path, err.detail);
		return EX_SOFTWARE;
	}
	remark_on_jwk(path, *out);
	return EX_OK;
}

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
	if ((rc = make_jwk(key, path, NULL, &jwk)) != EX_OK)
		goto out;
	rc = write_file(path, text, 0600, replace);
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
			if ((rc = read_alg(optarg, &alg)) != EX_OK)
				return rc;
			break;
		case 'b':
			if (!parse_number(optarg, &bits) || bits < 1 || bits > INT_MAX)
				return bg_verb_usage("-b: \"%s\" is no number of bits", optarg);
			break;
		case 'f':
			replace = true;
			break;
		case 'o':
			path = optarg;
			break;
		case 'h':
			return bg_verb_print(bg_slice_str(usage));
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
		rc = write_file(path, text, 0644, true);	/* public, and made again whenever the keys change */
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

	if ((rc = load_key(path, alg, &key)) == EX_OK && (rc = make_jwk(key, path, kid, &jwk)) == EX_OK &&
	    json_array_append(list, jwk) != 0)
		rc = no_memory("key set");
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
			if ((rc = read_alg(optarg, &alg)) != EX_OK)
				return rc;
			break;
		case OPT_KID:
			kid = optarg;
			break;
		case 'o':
			path = optarg;
			break;
		case 'h':
			return bg_verb_print(bg_slice_str(usage));
		default:
			return bg_verb_bad_option(c, argv, longopts);
		}
	if (optind == argc)
		return bg_verb_usage("mint jwks needs at least one key file");
	if (path != NULL && path[0] == '\0')
		return bg_verb_usage("-o: the name of the file is empty");
	if (kid != NULL && !is_utf8(kid))
		return bg_verb_usage("--kid: not UTF-8");
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

/* What was asked of a token. */
struct order {
	const struct bg_issuer_alg *alg;	/* NULL: the key's usual one */
	const char *key;		/* path */
	const char *iss;
	json_t     *aud;		/* array */
	const char *sub;
	const char *scope;
	const char *kid;
	int64_t     now;		/* seconds since the epoch */
	int64_t     expires;		/* seconds from now */
	int64_t     not_before;		/* seconds from now */
	bool        has_not_before;
	json_t     *claims;		/* what overrides the claims and the header we make; null takes a member out */
	json_t     *header;
};

/* The text of an option, borrowed. */
static int
read_text(const char *option, const char *text, const char **out)
{
	if (!is_utf8(text))
		return bg_verb_usage("%s: not UTF-8", option);
	*out = text;
	return EX_OK;
}

static int
add_audience(struct order *order, const char *text)
{
	if (!is_utf8(text))
		return bg_verb_usage("--aud: not UTF-8");
	return json_array_append_new(order->aud, json_string(text)) == 0 ? EX_OK : no_memory("claims");
}

/* An object whose members override; of several, the later wins. */
static int
add_object(json_t *over, const char *option, const char *text)
{
	json_error_t where;
	json_t *object = json_loads(text, JSON_FLAGS, &where);
	int rc = EX_OK;

	if (object == NULL)
		rc = bg_verb_usage("%s: JSON: %s at byte %d", option, where.text, where.position);
	else if (!json_is_object(object))
		rc = bg_verb_usage("%s: an object was expected, not %s", option, bg_json_type_name(object));
	else if (json_object_update(over, object) != 0)
		rc = no_memory("claims");
	json_decref(object);
	return rc;
}

/*
 * NAME=VALUE.  A value that is JSON counts as JSON and any other as a string, except that what begins like an object,
 * an array or a string must be one: a slip in it should not make a token that looks right.
 */
static int
add_claim(json_t *over, const char *text)
{
	const char *equals = strchr(text, '=');
	json_error_t where;
	json_t *value;
	char *name;
	int rc = EX_OK;

	if (equals == NULL || equals == text)
		return bg_verb_usage("--claim: NAME=VALUE was expected");
	if (!is_utf8(text))
		return bg_verb_usage("--claim: not UTF-8");
	if ((value = json_loads(equals + 1, JSON_FLAGS | JSON_DECODE_ANY, &where)) == NULL) {
		if (equals[1] != '\0' && strchr("{[\"", equals[1]) != NULL)
			return bg_verb_usage("--claim: JSON: %s at byte %d of the value", where.text, where.position);
		value = json_string(equals + 1);
	}
	if ((name = strndup(text, (size_t)(equals - text))) == NULL || json_object_set(over, name, value) != 0)
		rc = no_memory("claims");
	json_decref(value);
	free(name);
	return rc;
}

static int
put_over(json_t *made, const json_t *over)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)over, name, value) {
		if (json_is_null(value))
			(void)json_object_del(made, name);	/* it need not be there */
		else if (json_object_set(made, name, value) != 0)
			return -1;
	}
	return 0;
}

static int
put_time(json_t *claims, const char *name, int64_t now, int64_t plus)
{
	int64_t at;

	if (__builtin_add_overflow(now, plus, &at))
		return bg_verb_usage("%s is further away than a token can say", name);
	return json_object_set_new(claims, name, json_integer(at)) == 0 ? EX_OK : no_memory("claims");
}

static int
put_jti(json_t *claims)
{
	unsigned char bytes[JTI_BYTES];
	char text[BG_B64URL_ENCODED(JTI_BYTES)];

	if (getentropy(bytes, sizeof(bytes)) != 0) {
		bg_verb_say("random numbers: %s", strerror(errno));
		return EX_OSERR;
	}
	bg_b64url_encode(text, bytes, sizeof(bytes));
	return json_object_set_new(claims, "jti", json_stringn(text, sizeof(text))) == 0 ? EX_OK : no_memory("claims");
}

static int
put_text(json_t *object, const char *name, const char *text)
{
	return text == NULL ? 0 : json_object_set_new(object, name, json_string(text));
}

/* RFC 9068 section 2.2; what was not given is left out. */
static int
make_claims(const struct order *order, json_t *claims)
{
	json_t *aud = json_array_size(order->aud) == 1 ? json_array_get(order->aud, 0) : order->aud;
	int rc;

	if (put_text(claims, "iss", order->iss) != 0 || put_text(claims, "sub", order->sub) != 0 ||
	    (json_array_size(order->aud) > 0 && json_object_set(claims, "aud", aud) != 0) ||
	    put_text(claims, "scope", order->scope) != 0)
		return no_memory("claims");
	if ((rc = put_time(claims, "iat", order->now, 0)) != EX_OK ||
	    (rc = put_time(claims, "exp", order->now, order->expires)) != EX_OK)
		return rc;
	if (order->has_not_before && (rc = put_time(claims, "nbf", order->now, order->not_before)) != EX_OK)
		return rc;
	if ((rc = put_jti(claims)) != EX_OK)
		return rc;
	return put_over(claims, order->claims) == 0 ? EX_OK : no_memory("claims");
}

/* RFC 9068 section 2.1. */
static int
make_header(const struct order *order, const struct bg_issuer_key *key, json_t *header)
{
	if (put_text(header, "alg", bg_issuer_key_alg(key)) != 0 || put_text(header, "typ", "at+jwt") != 0 ||
	    put_text(header, "kid", order->kid != NULL ? order->kid : bg_issuer_key_kid(key)) != 0 ||
	    put_over(header, order->header) != 0)
		return no_memory("header");
	return EX_OK;
}

static int
print_token(const struct bg_issuer_key *key, const json_t *header, const json_t *claims)
{
	char *head = json_dumps(header, JSON_COMPACT), *body = json_dumps(claims, JSON_COMPACT);
	struct bg_error err = { 0 };
	struct bg_buf token;
	struct bg_slice text;
	int rc = EX_SOFTWARE;

	bg_buf_init(&token, BG_MINTED_MAX);
	if (head == NULL || body == NULL) {
		rc = no_memory("token");
		goto out;
	}
	if (bg_issuer_sign(key, bg_slice_str(head), bg_slice_str(body), &token, &err) != 0)
		goto fail;
	bg_buf_put_char(&token, '\n');
	if (bg_buf_finish(&token, &text, &err) != 0)
		goto fail;
	rc = bg_verb_print(text);
	goto out;
fail:
	bg_verb_say("%s", err.detail);
out:
	bg_buf_clear(&token);
	free(head);
	free(body);
	return rc;
}

static int
make_token(const struct order *order)
{
	json_t *header = json_object(), *claims = json_object(), *jwk = NULL;
	struct bg_issuer_key *key = NULL;
	int rc;

	if ((rc = load_key(order->key, order->alg, &key)) != EX_OK || (rc = make_jwk(key, order->key, NULL, &jwk)) != EX_OK ||
	    (rc = make_header(order, key, header)) != EX_OK || (rc = make_claims(order, claims)) != EX_OK)
		goto out;
	rc = print_token(key, header, claims);
out:
	bg_issuer_key_free(key);
	json_decref(jwk);
	json_decref(header);
	json_decref(claims);
	return rc;
}

static int
read_token_option(int c, struct order *order)
{
	switch (c) {
	case 'a':
		return read_alg(optarg, &order->alg);
	case 'k':
		order->key = optarg;
		return EX_OK;
	case OPT_ISS:
		return read_text("--iss", optarg, &order->iss);
	case OPT_AUD:
		return add_audience(order, optarg);
	case OPT_SUB:
		return read_text("--sub", optarg, &order->sub);
	case OPT_SCOPE:
		return read_text("--scope", optarg, &order->scope);
	case OPT_EXPIRES:
		if (!parse_time(optarg, &order->expires))
			return bg_verb_usage("--expires: \"%s\" is no time such as 30s, 5m, 1h, 7d or -1h", optarg);
		return EX_OK;
	case OPT_NOT_BEFORE:
		if (!parse_time(optarg, &order->not_before))
			return bg_verb_usage("--not-before: \"%s\" is no time such as 30s, 5m, 1h, 7d or -1h", optarg);
		order->has_not_before = true;
		return EX_OK;
	case OPT_CLAIM:
		return add_claim(order->claims, optarg);
	case OPT_CLAIMS:
		return add_object(order->claims, "--claims", optarg);
	case OPT_HEADER:
		return add_object(order->header, "--header", optarg);
	case OPT_KID:
		return read_text("--kid", optarg, &order->kid);
	case OPT_NOW:
		if (!parse_number(optarg, &order->now))
			return bg_verb_usage("--now: \"%s\" is no number of seconds since the epoch", optarg);
		return EX_OK;
	default:
		return EX_SOFTWARE;	/* no option of longopts comes here */
	}
}

/* A token without iss or aud is of use only as a bad example, and then somebody says so. */
static int
check_order(const struct order *order)
{
	if (order->key == NULL)
		return bg_verb_usage("mint token needs -k: the key that signs");
	if (order->iss == NULL && json_object_get(order->claims, "iss") == NULL)
		return bg_verb_usage("mint token needs --iss, or --claim iss=null for a token without it");
	if (json_array_size(order->aud) == 0 && json_object_get(order->claims, "aud") == NULL)
		return bg_verb_usage("mint token needs --aud, or --claim aud=null for a token without it");
	return EX_OK;
}

static int
mint_token(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "alg",        required_argument, NULL, 'a' },
		{ "key",        required_argument, NULL, 'k' },
		{ "iss",        required_argument, NULL, OPT_ISS },
		{ "aud",        required_argument, NULL, OPT_AUD },
		{ "sub",        required_argument, NULL, OPT_SUB },
		{ "scope",      required_argument, NULL, OPT_SCOPE },
		{ "expires",    required_argument, NULL, OPT_EXPIRES },
		{ "not-before", required_argument, NULL, OPT_NOT_BEFORE },
		{ "claim",      required_argument, NULL, OPT_CLAIM },
		{ "claims",     required_argument, NULL, OPT_CLAIMS },
		{ "header",     required_argument, NULL, OPT_HEADER },
		{ "kid",        required_argument, NULL, OPT_KID },
		{ "now",        required_argument, NULL, OPT_NOW },
		{ "help",       no_argument,       NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct order order = {
		.aud = json_array(), .claims = json_object(), .header = json_object(),
		.now = bg_clock_wall(), .expires = LIFETIME,
	};
	int c, rc = EX_OK;

	while (rc == EX_OK && (c = getopt_long(argc, argv, ":a:k:h", longopts, NULL)) != -1) {
		if (c == 'h') {
			rc = bg_verb_print(bg_slice_str(usage));
			goto out;
		}
		rc = c == ':' || c == '?' ? bg_verb_bad_option(c, argv, longopts) : read_token_option(c, &order);
	}
	if (rc == EX_OK && optind < argc)
		rc = bg_verb_usage("mint token takes no \"%s\"", argv[optind]);
	if (rc == EX_OK && (rc = check_order(&order)) == EX_OK)
		rc = make_token(&order);
out:
	json_decref(order.aud);
	json_decref(order.claims);
	json_decref(order.header);
	return rc;
}

static const struct {
	const char *name;
	int       (*run)(int argc, char **argv);
} things[] = {
	{ "key",   mint_key },
	{ "jwks",  mint_jwks },
	{ "token", mint_token },
};

int
bg_verb_mint(int argc, char **argv)
{
	opterr = 0;
	if (argc < 2)
		return bg_verb_usage("mint needs to know what: key, jwks or token");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return bg_verb_print(bg_slice_str(usage));
	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		if (strcmp(argv[1], things[i].name) == 0)
			return things[i].run(argc - 1, argv + 1);
	if (argv[1][0] == '-')
		return bg_verb_usage("mint: unknown option %.*s; key, jwks or token comes first",
		    (int)strcspn(argv[1], "="), argv[1]);
	return bg_verb_usage("mint makes no \"%s\", but key, jwks or token", argv[1]);
}
