#include "tool/minting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/b64url.h"
#include "core/clock.h"

#define JTI_BYTES	16		/* as random as a UUID, and more */
#define JSON_FLAGS	(JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)	/* bad values may be made, but seen to be made */

bool
bg_minting_number(const char *text, int64_t *out)
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

int
bg_minting_no_memory(const char *what)
{
	bg_verb_say("no memory for the %s", what);
	return EX_OSERR;
}

bool
bg_minting_time(const char *text, int64_t *out)
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
	if (!bg_minting_number(digits, &n))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].unit == text[len - 1])
			return !__builtin_mul_overflow(n, units[i].seconds, out);
	return false;
}

int
bg_minting_text(const char *option, const char *text, const char **out)
{
	if (!is_utf8(text))
		return bg_verb_usage("%s: not UTF-8", option);
	*out = text;
	return EX_OK;
}

int
bg_minting_alg(const char *name, const struct bg_issuer_alg **out)
{
	if ((*out = bg_issuer_alg_find(bg_slice_str(name))) == NULL)
		return bg_verb_usage("-a: no algorithm \"%s\" here; there is " BG_ISSUER_ALGS, name);
	return EX_OK;
}

int
bg_minting_read(const char *path, struct bg_buf *text)
{
	bool is_stdin = strcmp(path, "-") == 0;
	const char *name = is_stdin ? "standard input" : path;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc = EX_NOINPUT;
	size_t max = text->max;
	ssize_t len = -1;
	char *at = NULL;

	text->max++;	/* one byte more tells a file that is too long */
	if (fd < 0)
		bg_verb_say("%s: %s", name, strerror(errno));
	else if ((at = bg_buf_extend(text, max + 1)) == NULL)
		rc = bg_minting_no_memory(name);
	else if ((len = bg_issuer_read_all(fd, at, max + 1)) < 0)
		bg_verb_say("%s: %s", name, strerror(errno));
	else if ((size_t)len > max) {
		bg_verb_say("%s: more than %zu bytes", name, max);
		rc = EX_DATAERR;
	} else
		rc = EX_OK;
	text->len = rc == EX_OK ? (size_t)len : 0;
	text->max = max;
	if (fd >= 0 && !is_stdin)
		close(fd);
	return rc;
}

int
bg_minting_key(const char *path, const struct bg_issuer_alg *alg, struct bg_issuer_key **out)
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

static void
remark_on_jwk(const char *path, const json_t *jwk)
{
	struct bg_error err = { 0 };
	struct bg_jwk *key = NULL;

	if (bg_jwk_parse(jwk, &key, &err) != 0)
		bg_verb_say("%s: remark: bearergate will not accept this key: %s", path, err.detail);
	bg_jwk_free(key);
}

int
bg_minting_jwk(const struct bg_issuer_key *key, const char *path, const char *kid, json_t **out)
{
	struct bg_error err = { 0 };

	if (bg_issuer_key_jwk(key, kid, out, &err) != 0) {
		bg_verb_say("%s: %s", path, err.detail);
		return EX_SOFTWARE;
	}
	remark_on_jwk(path, *out);
	return EX_OK;
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
		rc = bg_minting_no_memory("claims");
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
		rc = bg_minting_no_memory("claims");
	json_decref(value);
	free(name);
	return rc;
}

void
bg_minting_init(struct bg_minting *minting)
{
	*minting = (struct bg_minting){ .now = bg_clock_wall(), .claims = json_object(), .header = json_object() };
}

void
bg_minting_clear(struct bg_minting *minting)
{
	json_decref(minting->claims);
	json_decref(minting->header);
}

int
bg_minting_option(int c, struct bg_minting *minting)
{
	switch (c) {
	case 'a':
		return bg_minting_alg(optarg, &minting->alg);
	case 'k':
		minting->key = optarg;
		return EX_OK;
	case BG_MINTING_CLAIM:
		return add_claim(minting->claims, optarg);
	case BG_MINTING_CLAIMS:
		return add_object(minting->claims, "--claims", optarg);
	case BG_MINTING_HEADER:
		return add_object(minting->header, "--header", optarg);
	case BG_MINTING_NOW:
		if (!bg_minting_number(optarg, &minting->now))
			return bg_verb_usage("--now: \"%s\" is no number of seconds since the epoch", optarg);
		return EX_OK;
	default:
		return EX_SOFTWARE;	/* no option of longopts comes here */
	}
}

int
bg_minting_options(const char *what, int argc, char **argv, const struct option *longopts, int (*take)(int c, void *order),
    void *order, bool *done)
{
	int c, rc = EX_OK;

	*done = false;
	while (rc == EX_OK && (c = getopt_long(argc, argv, ":a:k:h", longopts, NULL)) != -1) {
		if (c == 'h') {
			*done = true;
			return bg_verb_print(bg_slice_str(bg_minting_usage));
		}
		rc = c == ':' || c == '?' ? bg_verb_bad_option(c, argv, longopts) : take(c, order);
	}
	if (rc == EX_OK && optind < argc)
		rc = bg_verb_usage("mint %s takes no \"%s\"", what, argv[optind]);
	return rc;
}

bool
bg_minting_says(const struct bg_minting *minting, const char *claim)
{
	return json_object_get(minting->claims, claim) != NULL;
}

int
bg_minting_put_text(json_t *object, const char *name, const char *text)
{
	return text == NULL ? 0 : json_object_set_new(object, name, json_string(text));
}

int
bg_minting_put_time(json_t *claims, const char *name, int64_t now, int64_t plus)
{
	int64_t at;

	if (__builtin_add_overflow(now, plus, &at))
		return bg_verb_usage("%s is further away than a token can say", name);
	return json_object_set_new(claims, name, json_integer(at)) == 0 ? EX_OK : bg_minting_no_memory("claims");
}

int
bg_minting_put_jti(json_t *claims)
{
	unsigned char bytes[JTI_BYTES];
	char text[BG_B64URL_ENCODED(JTI_BYTES)];

	if (getentropy(bytes, sizeof(bytes)) != 0) {
		bg_verb_say("random numbers: %s", strerror(errno));
		return EX_OSERR;
	}
	bg_b64url_encode(text, bytes, sizeof(bytes));
	return json_object_set_new(claims, "jti", json_stringn(text, sizeof(text))) == 0 ? EX_OK : bg_minting_no_memory("claims");
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

int
bg_minting_print(const struct bg_minting *minting, const struct bg_issuer_key *key, json_t *header, json_t *claims)
{
	char *head = NULL, *body = NULL;
	struct bg_error err = { 0 };
	struct bg_buf token;
	struct bg_slice text;
	int rc = EX_SOFTWARE;

	bg_buf_init(&token, BG_MINTED_MAX);
	if (put_over(header, minting->header) != 0 || put_over(claims, minting->claims) != 0 ||
	    (head = json_dumps(header, JSON_COMPACT)) == NULL || (body = json_dumps(claims, JSON_COMPACT)) == NULL) {
		rc = bg_minting_no_memory("token");
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
