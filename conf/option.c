#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "conf/internal.h"
#include "core/account.h"
#include "core/limits.h"
#include "core/path.h"
#include "core/url.h"

/* Where the value of an option goes: by section, and for lists the member that counts as well. */
#define MEMBER_TOP(name)		offsetof(struct bg_conf, name)
#define MEMBER_ISSUER(name)		offsetof(struct bg_conf_issuer, name)
#define MEMBER_LOCATION(name)		offsetof(struct bg_conf_location, name)
#define MEMBER_SITE_domains		0	/* as issuers */
#define MEMBER_SITE_issuers		offsetof(struct bg_conf_site, issuers)
#define MEMBER_SITE_audience		0	/* of those issuers */
#define MEMBER_SITE(name)		MEMBER_SITE_##name
#define MEMBER_EXPORT(name)		offsetof(struct bg_conf_export, name)
#define MEMBER_SHORT(name)		0
#define MEMBER_POLICY(name)		0
#define MEMBER_CLAIM(name)		0
#define COUNT_ONE(section, name)	0
#define COUNT_LIST(section, name)	COUNT_##section(name)
#define COUNT_TOP(name)			offsetof(struct bg_conf, n_##name)
#define COUNT_ISSUER(name)		offsetof(struct bg_conf_issuer, n_##name)
#define COUNT_LOCATION(name)		offsetof(struct bg_conf_location, n_##name)
#define COUNT_SITE_domains		0
#define COUNT_SITE_issuers		offsetof(struct bg_conf_site, n_issuers)
#define COUNT_SITE_audience		0
#define COUNT_SITE(name)		COUNT_SITE_##name
#define COUNT_SHORT(name)		0
#define COUNT_POLICY(name)		0
#define COUNT_CLAIM(name)		0

const struct bg_option bg_options[BG_OPT_COUNT] = {
#define BG_OPTION(section, name, shape, type, unit, def, min, max, help)			\
	{ BG_##section, #name, BG_##shape, BG_##type, unit, def, min, max, help,		\
	    MEMBER_##section(name), COUNT_##shape(section, name) },
#include "conf/options.def"
#undef BG_OPTION
};

/* What is expected of each type. */
static const char *const expected[] = {
	[BG_DOMAIN]    = "a domain such as \"tenant.eu.auth0.com\"",
	[BG_AUDIENCE]  = "the identifier of an API, or \"none\" alone to accept tokens for anyone,",
	[BG_ALGORITHM] = "a signature algorithm such as \"RS256\"",
	[BG_URL]       = "an https URL",
	[BG_PROXY]     = "a proxy such as \"http://proxy.example:3128\"",
	[BG_PATH]      = "the absolute path of a file",
	[BG_DIRECTORY] = "the absolute path of a directory",
	[BG_CACHE_DIR] = "the absolute path of a directory, or \"none\",",
	[BG_PROGRAM]   = "the absolute path of a program",
	[BG_LOG]       = "stderr, syslog, \"syslog:FACILITY\" or the absolute path of a file",
	[BG_TEXT]      = "printable ASCII text",
	[BG_DURATION]  = "a number with its unit, such as \"30s\" (s, m, h or d),",
	[BG_COUNT]     = "a whole number",
	[BG_ADDRESS]   = "an address such as \"unix:/run/bearergate/authorizer.sock\" or \"127.0.0.1:9009\"",
	[BG_SOCKET]    = "a socket such as \"unix:/run/bearergate/authorizer.sock\"",
	[BG_USER]      = "the name or number of a user",
	[BG_GROUP]     = "the name or number of a group",
	[BG_MODE]      = "a mode in octal such as \"0660\"",
	[BG_PEER]      = "\"user:NAME\", \"group:NAME\", \"unix\", an address, or a network such as \"10.0.0.0/8\",",
	[BG_LEVEL]     = "error, warning, info or debug",
	[BG_FORMAT]    = "text or json",
	[BG_DECISIONS] = "all or denials",
	[BG_TYP]       = "a media type without \"application/\", such as \"at+jwt\",",
	[BG_DPOP]      = "allowed, required or disabled",
	[BG_NONCE]     = "off or required",
	[BG_ON_ERROR]  = "deny or allow",
	[BG_PUBLIC_URL] = "an http or https URL such as \"https://api.example.com\"",
	[BG_NETWORK]   = "an address, a network such as \"10.0.0.0/8\", or \"unix\"",
	[BG_REPLAY]    = "\"lmdb:/PATH\", \"redis://[USER@]HOST[:PORT][/DATABASE]\", the same with rediss, or \"redis+unix:/PATH\",",
	[BG_SECRET]    = "a password",
	[BG_KEY_FILE]  = "the absolute path of a file with 32 to 4096 bytes that only its owner and group can read",
	[BG_PASSWORD_FILE] = "the absolute path of a file with a password that only its owner and group can read",
	[BG_BOOL]      = "true or false",
	[BG_COMPAT]    = "none or auth0",
	[BG_AUTH]      = "required, optional or none",
	[BG_ENCODING]  = "percent or base64url",
	[BG_SCOPE]     = "a name such as \"read:messages\", one each,",
	[BG_VALUE]     = "a value",
	[BG_REGEX]     = "a regular expression for the whole value",
	[BG_METHOD]    = "a method such as \"GET\"",
	[BG_VARIABLE]  = "the name of a variable such as \"ROLES\"",
	[BG_ISSUER_NAME]   = "an https URL, exactly as in the iss claim,",
	[BG_POLICY_NAME]   = "a name without spaces such as \"messages\"",
	[BG_CLAIM_NAME]    = "a claim such as \"org_id\", or the JSON Pointer of one such as \"/realm_access/roles\",",
	[BG_LOCATION_PATH] = "a path such as \"/api/messages\"",
	[BG_SITE_HOST]     = "a host such as \"api.example.com\"",
};

/* The words of the types that have few.  The first of each is what memory means that was only cleared. */
static const struct { enum bg_type type; const char *name; int value; } few[] = {
	{ BG_DPOP,     "required",  BG_DPOP_REQUIRED },
	{ BG_DPOP,     "allowed",   BG_DPOP_ALLOWED },
	{ BG_DPOP,     "disabled",  BG_DPOP_DISABLED },
	{ BG_NONCE,    "off",       false },
	{ BG_NONCE,    "required",  true },
	{ BG_ON_ERROR, "deny",      false },
	{ BG_ON_ERROR, "allow",     true },
	{ BG_BOOL,     "false",     false },
	{ BG_BOOL,     "true",      true },
	{ BG_FORMAT,   "text",      BG_LOG_TEXT },
	{ BG_FORMAT,   "json",      BG_LOG_JSON },
	{ BG_DECISIONS, "all",      false },
	{ BG_DECISIONS, "denials",  true },
	{ BG_COMPAT,   "none",      BG_COMPAT_NONE },
	{ BG_COMPAT,   "auth0",     BG_COMPAT_AUTH0 },
	{ BG_AUTH,     "required",  BG_AUTH_REQUIRED },
	{ BG_AUTH,     "optional",  BG_AUTH_OPTIONAL },
	{ BG_AUTH,     "none",      BG_AUTH_NONE },
	{ BG_ENCODING, "percent",   BG_ENCODING_PERCENT },
	{ BG_ENCODING, "base64url", BG_ENCODING_BASE64URL },
};
#define N_FEW	(sizeof(few) / sizeof(few[0]))
/* In descending order, so that the first without remainder is the largest. */
static const struct { char letter; int64_t seconds; } units[] = {
	{ 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 },
};
#define N_UNITS	(sizeof(units) / sizeof(units[0]))

const struct bg_option *
bg_option_find(enum bg_section section, const char *name)
{
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == section && strcmp(bg_options[i].name, name) == 0)
			return &bg_options[i];
	return NULL;
}

const char *
bg_word_name(enum bg_type type, int value)
{
	for (size_t i = 0; i < N_FEW; i++)
		if (few[i].type == type && few[i].value == value)
			return few[i].name;
	return "";
}

/* The value of a word; false when the type has no such word. */
static bool
word_value(enum bg_type type, const char *name, int *value)
{
	for (size_t i = 0; i < N_FEW; i++)
		if (few[i].type == type && strcmp(few[i].name, name) == 0) {
			*value = few[i].value;
			return true;
		}
	return false;
}

void
bg_put_duration(struct bg_buf *buf, int64_t seconds)
{
	size_t i = 0;

	while (i < N_UNITS - 1 && (seconds == 0 || seconds % units[i].seconds != 0))
		i++;
	bg_buf_put_format(buf, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

/* The digits at the beginning of text, and where they end; NULL and words when there are none or too many. */
static const char *
read_digits(const char *text, int64_t *out, const char **wrong)
{
	const char *p = text;

	*out = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (*out > (INT64_MAX - (*p - '0')) / 10) {
			*wrong = "is too large";
			return NULL;
		}
		*out = *out * 10 + (*p - '0');
	}
	if (p == text) {
		*wrong = *text == '-' && text[1] >= '0' && text[1] <= '9' ? "is negative" : "is no number";
		return NULL;
	}
	return p;
}

/* SR-53, SR-54: a whole number, one unit, nothing else. */
static const char *
duration_wrong(const char *text, int64_t *seconds)
{
	const char *wrong = NULL, *end = read_digits(text, seconds, &wrong);
	size_t i = 0;

	if (end == NULL)
		return wrong;
	if (*end == '\0')
		return "has no unit";
	while (i < N_UNITS && units[i].letter != *end)
		i++;
	if (i == N_UNITS)
		return "has an unknown unit";
	if (end[1] != '\0')
		return "has something behind its unit";
	if (*seconds > INT64_MAX / units[i].seconds)
		return "is too large";
	*seconds *= units[i].seconds;
	return NULL;
}

static const char *
count_wrong(const char *text, int64_t *count)
{
	const char *wrong = NULL, *end = read_digits(text, count, &wrong);

	if (end == NULL)
		return wrong;
	return *end != '\0' ? "has something behind the number" : NULL;
}

/* HS* and none are refused for what they are, not for being unknown (SR-1, SR-3). */
static const char *
algorithm_wrong(struct bg_slice name)
{
	static const struct bg_slice shared[] = {
		BG_SLICE_INIT("HS256"), BG_SLICE_INIT("HS384"), BG_SLICE_INIT("HS512"),
	};

	if (bg_slice_equal_nocase(name, BG_SLICE("none")))
		return "means tokens without a signature, which anyone can write; it is never accepted";
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (bg_slice_equal_nocase(name, shared[i]))
			return "signs with a shared secret, so whoever can check a token can forge one; it is never accepted";
	return !bg_judge_algorithm(name) ? "is no algorithm that is known here" : NULL;
}

/* Printable ASCII up to a length. */
static const char *
text_wrong(const char *text, size_t max)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			return "has a byte in it that is not printable ASCII";
	return strlen(text) > max ? "is too long" : NULL;
}

/* Words put together in a buffer, which keeps them. */
static const char *
finish_words(struct bg_buf *words)
{
	struct bg_slice text;

	return bg_buf_finish(words, &text, NULL) == 0 ? text.ptr : "is wrong";
}

static const char *
path_wrong(const char *path, const char *(*look)(const char *path), struct bg_buf *words)
{
	const char *wrong;

	if (path[0] != '/')
		return "is relative, which depends on where the program was started";
	if ((wrong = look(path)) == NULL)
		return NULL;
	bg_buf_put_format(words, "cannot be read: %s", wrong);
	return finish_words(words);
}

/* What tells whom to believe: a key set, authorities. */
static const char *
trusted_wrong(const char *path, const char *(*look)(const char *path), struct bg_buf *words)
{
	const char *wrong = path_wrong(path, look, words);
	struct stat st;

	if (wrong != NULL)
		return wrong;
	if (stat(path, &st) != 0)
		return "has gone while it was looked at";
	return (st.st_mode & S_IWOTH) != 0 ? "may be written to by everybody, \"chmod o-w\" mends that" : NULL;
}

/* Not opened here: who tests a configuration may be another user than who writes the log, or runs the program. */
static const char *
file_wrong(const char *path)
{
	if (path[0] != '/')
		return "is relative, which depends on where the program was started";
	return bg_directory_wrong(path) == NULL ? "is a directory" : NULL;
}

/* Who takes a port while the daemon is away would decide in its place, so it is a file, in a directory with an owner. */
static const char *
socket_wrong(const char *text)
{
	const char *path = text + strlen("unix:");

	if (!bg_slice_starts(bg_slice_str(text), BG_SLICE("unix:")))
		return "is no socket file; a port could be taken by anybody while the daemon is away";
	if (path[0] != '/')
		return "has a relative path, which depends on where the program was started";
	return strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path) ? "has a path too long for a socket" : NULL;
}

static const char *
log_wrong(const char *text)
{
	struct bg_log_syslog to;

	if (strcmp(text, "stderr") == 0)
		return NULL;
	return bg_log_is_syslog(text) ? bg_log_syslog_parse(text, &to) : file_wrong(text);
}

/* A number within the bounds of its option: none is cut to fit. */
static const char *
range_wrong(const struct bg_option *option, int64_t n, struct bg_buf *words)
{
	bool low = n < option->min;

	if (!low && n <= option->max)
		return NULL;
	bg_buf_put_str(words, low ? "is too small, at least " : "is too large, at most ");
	if (option->type == BG_DURATION)
		bg_put_duration(words, low ? option->min : option->max);
	else
		bg_buf_put_format(words, "%lld", (long long)(low ? option->min : option->max));
	bg_buf_put_str(words, " is allowed");
	return finish_words(words);
}

/* Words of visible ASCII, without those in except. */
static const char *
visible_wrong(const char *text, const char *except)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == ' ')
			return "has a space in it";
		if ((unsigned char)*p < 0x21 || (unsigned char)*p > 0x7e)
			return "has a byte in it that is not printable ASCII";
		if (strchr(except, *p) != NULL)
			return "has a character in it that none may have";
	}
	return NULL;
}

/* RFC 7515 section 4.1.9, RFC 6838 section 4.2. */
static const char *
typ_wrong(const char *text)
{
	if (bg_slice_starts(bg_slice_str(text), BG_SLICE("application/")))
		return "begins with \"application/\", which is the same without";
	return visible_wrong(text, "\"(),/:;<=>?@[\\]{}");
}

/* Methods are compared with case, and all there are have capitals; "get" would leave GET alone.  RFC 9110 section 9.1. */
static const char *
method_wrong(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (!(*p >= 'A' && *p <= 'Z') && (p == text || !((*p >= '0' && *p <= '9') || *p == '-' || *p == '_')))
			return *p >= 'a' && *p <= 'z' ? "has small letters" : "is no method";
	return NULL;
}

/* Longer parts of a pointer lead nowhere, see bg_claims_find. */
#define POINTER_PART_MAX	255

/* RFC 6901 section 3. */
static const char *
claim_wrong(const char *text)
{
	size_t n = 0;

	if (text[0] == ' ' || text[strlen(text) - 1] == ' ')
		return "begins or ends with a space";
	for (const char *p = text; text[0] == '/' && *p != '\0'; p++) {
		if (*p == '~' && p[1] != '0' && p[1] != '1')
			return "has a \"~\" in it that is neither ~0, for \"~\", nor ~1, for \"/\"";
		n = *p == '/' ? 0 : n + 1;
		if (n > POINTER_PART_MAX)
			return "has a part that is too long";
	}
	return NULL;
}

static const char *
regex_wrong(struct bg_slice pattern, struct bg_buf *words)
{
	struct bg_error err = { 0 };

	if (bg_judge_regex(pattern, &err) == 0)
		return NULL;
	bg_buf_put_format(words, "cannot be compiled: %s", err.detail);
	return finish_words(words);
}

/* A path as requests are compared with it, which is the only form that can ever match. */
static const char *
location_wrong(struct bg_slice path, struct bg_buf *words)
{
	struct bg_buf normal;
	struct bg_slice form;
	const char *wrong = NULL;

	if (path.ptr[0] != '/')
		return "does not begin with a slash";
	if (memchr(path.ptr, '?', path.len) != NULL)
		return "has a query";
	if (memchr(path.ptr, '#', path.len) != NULL)
		return "has a fragment";
	if (memchr(path.ptr, '*', path.len) != NULL)
		return "has a wildcard; it takes in all below it as it is";
	bg_buf_init(&normal, BG_CONF_VALUE_MAX);
	if ((wrong = bg_path_normalise(path, &normal)) != NULL)
		bg_buf_put_format(words, "has %s, so no request will match", wrong);
	else if (bg_buf_finish(&normal, &form, NULL) != 0)
		bg_buf_put_str(words, "is wrong");
	else if (!bg_slice_equal(form, path) && strpbrk(form.ptr, "%?#*") != NULL)
		bg_buf_put_str(words, "has an encoded character that no location can have");
	else if (!bg_slice_equal(form, path)) {
		bg_buf_put_str(words, "is not in its normal form, ");
		bg_log_text(words, form);
	}
	bg_buf_clear(&normal);
	return words->len > 0 ? finish_words(words) : NULL;
}

/* LMDB's directory, which is made at need.  Whether it can be is seen by whoever opens it, perhaps another user. */
static const char *
store_directory_wrong(const char *path)
{
	char around[BG_CONF_VALUE_MAX + 1];
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? NULL : "is for a directory, and there is something else of that name";
	if (errno == ENOTDIR)
		return "is in something that is no directory";
	bg_format(around, sizeof(around), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (errno == ENOENT && around[0] != '\0' && stat(around, &st) != 0 && errno == ENOENT)
		return "is in a directory that is not there";
	return NULL;
}

static const char *
replay_wrong(const char *text)
{
	struct bg_store store;
	const char *wrong = bg_store_parse(text, &store);

	if (wrong == NULL && store.redis && !bg_judge_redis())
		wrong = "is for Redis, and this program was built without hiredis";
	else if (wrong == NULL && !store.redis)
		wrong = bg_judge_lmdb() ? store_directory_wrong(store.path) :
		    "is for LMDB, and this program was built without it";
	bg_store_clear(&store);
	return wrong;
}

static const char *
public_url_wrong(const char *text)
{
	const char *wrong;
	struct bg_buf url;

	bg_buf_init(&url, BG_URI_MAX);
	wrong = bg_public_url_parse(text, &url);
	bg_buf_clear(&url);
	return wrong;
}

static const char *
network_wrong(struct bg_slice text)
{
	struct bg_network network;

	return bg_slice_equal(text, BG_SLICE("unix")) ? NULL : bg_network_parse(text, &network);
}

static const char *
user_wrong(const char *text)
{
	struct bg_user user;

	return bg_account_user(text, &user);
}

static const char *
group_wrong(const char *text)
{
	gid_t gid;

	return bg_account_group(text, &gid);
}

/* Permission bits in octal, with or without a 0 in front.  unix(7): whoever connects must be able to write to the file. */
static const char *
mode_wrong(const char *text, int *mode)
{
	size_t len = strlen(text);

	*mode = 0;
	if (text[strspn(text, "01234567")] != '\0' || len < 3 || len > 4 || (len == 4 && text[0] != '0'))
		return "is none";
	for (const char *p = text; *p != '\0'; p++)
		*mode = *mode * 8 + (*p - '0');
	return (*mode & 0222) == 0 ? "lets nobody write to the socket, which one must to connect" : NULL;
}

/* One who may connect; see fcgi/peers.h, which reads it again. */
static const char *
peer_wrong(struct bg_slice text)
{
	if (bg_slice_starts(text, BG_SLICE("user:")))
		return text.len == 5 ? "has no user behind its colon" : user_wrong(text.ptr + 5);
	if (bg_slice_starts(text, BG_SLICE("group:")))
		return text.len == 6 ? "has no group behind its colon" : group_wrong(text.ptr + 6);
	return network_wrong(text);
}

static const char *
secret_file_wrong(const char *path, enum bg_type type, struct bg_buf *words)
{
	char *secret;
	size_t len;

	if (path[0] != '/')
		return "is relative, which depends on where the program was started";
	if (bg_secret_read(path, type, &secret, &len, words) != 0)
		return finish_words(words);
	bg_secret_free(secret, len);
	return NULL;
}

/* A host without port: the Host header is compared with it so.  RFC 3986 section 3.2.2. */
static const char *
site_wrong(const char *host, struct bg_buf *words, const char **remark)
{
	size_t len = strlen(host);
	const char *wrong;
	struct bg_slice url;

	if (strstr(host, "://") != NULL)
		return "has a scheme in it";
	if (strpbrk(host, "/?#") != NULL)
		return "has a path in it";
	if (strchr(host, '*') != NULL)
		return "has a wildcard in it; hosts are compared as a whole";
	if (host[len - 1] == '.')
		return "ends with a dot";
	if (strchr(host, ':') != NULL && host[len - 1] != ']')
		return "has a port in it";
	bg_buf_put_format(words, "https://%s/", host);
	if (bg_buf_finish(words, &url, NULL) != 0)
		return "is wrong";
	if ((wrong = bg_url_wrong(url, false)) == NULL)
		for (const char *p = host; *p != '\0'; p++)
			if (*p >= 'A' && *p <= 'Z')
				*remark = "is written with capitals; they were made small";
	return wrong;
}

/* What is wrong with a value that is not empty; words is room for a text of its own, remark for what was put right. */
static const char *
value_wrong(const struct bg_option *option, const char *text, struct bg_buf *words, const char **remark)
{
	struct bg_slice value = bg_slice_str(text);
	const char *wrong = NULL;
	enum bg_log_level level;
	int64_t n = 0;
	int word, mode;

	switch (option->type) {
	case BG_DOMAIN:
		return bg_url_issuer_of_domain(value, words, remark);
	case BG_AUDIENCE:
		if (text[0] == ' ' || text[value.len - 1] == ' ')
			return "begins or ends with a space";
		return NULL;
	case BG_ALGORITHM:
		return algorithm_wrong(value);
	case BG_URL:
		return bg_url_wrong(value, true);
	case BG_PROXY:
		return bg_url_proxy_wrong(value);
	case BG_PATH:
		return trusted_wrong(text, bg_file_wrong, words);
	case BG_CACHE_DIR:
		if (strcmp(text, "none") == 0)
			return NULL;
		return path_wrong(text, bg_directory_wrong, words);
	case BG_DIRECTORY:
		return trusted_wrong(text, bg_directory_wrong, words);
	case BG_PROGRAM:
		return file_wrong(text);
	case BG_LOG:
		return log_wrong(text);
	case BG_TEXT:
		return text_wrong(text, BG_CONF_TEXT_MAX);
	case BG_DURATION:
		if ((wrong = duration_wrong(text, &n)) != NULL)
			return wrong;
		return range_wrong(option, n, words);
	case BG_COUNT:
		if ((wrong = count_wrong(text, &n)) != NULL)
			return wrong;
		return range_wrong(option, n, words);
	case BG_ADDRESS:
		return NULL;		/* whoever listens knows what it can listen on */
	case BG_SOCKET:
		return socket_wrong(text);
	case BG_USER:
		return user_wrong(text);
	case BG_GROUP:
		return group_wrong(text);
	case BG_MODE:
		return mode_wrong(text, &mode);
	case BG_PEER:
		return peer_wrong(value);
	case BG_LEVEL:
		return bg_log_level_parse(value, &level) ? NULL : "is no level";
	case BG_TYP:
		return typ_wrong(text);
	case BG_PUBLIC_URL:
		return public_url_wrong(text);
	case BG_NETWORK:
		return network_wrong(value);
	case BG_REPLAY:
		return replay_wrong(text);
	case BG_SECRET:
		return strcmp(text, BG_CONF_MASK) == 0 ? "is what is printed instead of a password" : NULL;
	case BG_KEY_FILE:
	case BG_PASSWORD_FILE:
		return secret_file_wrong(text, option->type, words);
	case BG_DPOP:
	case BG_NONCE:
	case BG_ON_ERROR:
	case BG_FORMAT:
	case BG_DECISIONS:
	case BG_BOOL:
	case BG_COMPAT:
	case BG_AUTH:
	case BG_ENCODING:
		return word_value(option->type, text, &word) ? NULL : "is unknown";
	case BG_SCOPE:		/* RFC 6749 section 3.3 */
		return visible_wrong(text, "\"\\");
	case BG_VALUE:
		return NULL;
	case BG_REGEX:
		return regex_wrong(value, words);
	case BG_METHOD:
		return method_wrong(text);
	case BG_VARIABLE:
		return bg_export_name_wrong(text);
	case BG_ISSUER_NAME:
		return bg_url_wrong(value, false);
	case BG_POLICY_NAME:	/* a word of BEARERGATE_POLICY */
		return visible_wrong(text, "\"\\");
	case BG_CLAIM_NAME:
		return claim_wrong(text);
	case BG_LOCATION_PATH:
		return location_wrong(value, words);
	case BG_SITE_HOST:
		return site_wrong(text, words, remark);
	case BG_TYPE_COUNT:
		break;
	}
	return "is of no known type";
}

/* What is wrong with any value, whatever it is for. */
static const char *
bytes_wrong(const char *text)
{
	if (strlen(text) > BG_CONF_VALUE_MAX)
		return "is too long";
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return "has a control character in it";
	return NULL;
}

int
bg_option_check(const struct bg_option *option, const char *name, const char *text, const char *at,
    struct bg_buf *report)
{
	const char *wrong, *remark = NULL;
	struct bg_buf words;

	if (*text == '\0') {
		bg_report(report, at, "%s is empty; %s was expected", name, expected[option->type]);
		return EX_CONFIG;
	}
	bg_buf_init(&words, BG_URL_MAX + sizeof("https:///"));
	if ((wrong = bytes_wrong(text)) == NULL)
		wrong = value_wrong(option, text, &words, &remark);
	if (wrong != NULL && (option->type == BG_SECRET || option->type == BG_REPLAY))	/* SR-85: the second may hold a password */
		bg_report(report, at, "%s %s; %s was expected", name, wrong, expected[option->type]);
	else if (wrong != NULL) {
		bg_report_value(report, at, "", name, text, wrong);
		bg_buf_put_format(report, "; %s was expected\n", expected[option->type]);
	} else if (remark != NULL) {
		bg_report_value(report, at, "remark: ", name, text, remark);
		bg_buf_put_char(report, '\n');
	}
	bg_buf_clear(&words);
	return wrong != NULL ? EX_CONFIG : 0;
}

int
bg_list_copy(const struct bg_said *said, const char *def, char ***list, size_t *n)
{
	size_t count = said->n > 0 ? said->n : 1;

	if ((*list = calloc(count, sizeof(**list))) == NULL)
		return -1;
	for (*n = 0; *n < count; ++*n)
		if (((*list)[*n] = strdup(said->n > 0 ? said->text[*n] : def)) == NULL)
			return -1;
	return 0;
}

void
bg_list_free(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

int
bg_option_store(const struct bg_option *option, const struct bg_said *said, void *base, struct bg_buf *report)
{
	void *member = (char *)base + option->offset;
	const char *text = said->n > 0 ? said->text[0] : option->def;
	int64_t n = 0;
	int word = 0;

	if (*text == '\0')
		return 0;		/* no default either */
	if (option->shape == BG_LIST) {
		size_t *count = (size_t *)(void *)((char *)base + option->offset_n);

		return bg_list_copy(said, option->def, member, count) == 0 ? 0 : bg_report_memory(report);
	}
	switch (option->type) {
	case BG_DURATION:
		(void)duration_wrong(text, &n);
		*(int64_t *)member = n;
		return 0;
	case BG_COUNT:
		(void)count_wrong(text, &n);
		*(int *)member = (int)n;
		return 0;
	case BG_MODE:
		(void)mode_wrong(text, member);
		return 0;
	case BG_LEVEL:
		(void)bg_log_level_parse(bg_slice_str(text), member);
		return 0;
	case BG_BOOL:
	case BG_NONCE:
	case BG_ON_ERROR:
	case BG_DECISIONS:
		(void)word_value(option->type, text, &word);
		*(bool *)member = word != 0;
		return 0;
	case BG_FORMAT:
		(void)word_value(option->type, text, &word);
		*(enum bg_log_format *)member = (enum bg_log_format)word;
		return 0;
	case BG_DPOP:
		(void)word_value(option->type, text, &word);
		*(enum bg_dpop_mode *)member = (enum bg_dpop_mode)word;
		return 0;
	case BG_COMPAT:
		(void)word_value(option->type, text, &word);
		*(enum bg_compat *)member = (enum bg_compat)word;
		return 0;
	case BG_AUTH:
		(void)word_value(option->type, text, &word);
		*(enum bg_auth *)member = (enum bg_auth)word;
		return 0;
	case BG_ENCODING:
		(void)word_value(option->type, text, &word);
		*(enum bg_encoding *)member = (enum bg_encoding)word;
		return 0;
	default:
		return (*(char **)member = strdup(text)) != NULL ? 0 : bg_report_memory(report);
	}
}

bool
bg_said_is_default(const struct bg_option *option, const struct bg_said *said)
{
	int64_t a = 0, b = 0;

	if (said->n == 0)
		return true;
	if (said->n > 1 || option->def[0] == '\0')
		return false;
	if (option->type == BG_DURATION)	/* may be said in another unit */
		return duration_wrong(said->text[0], &a) == NULL && duration_wrong(option->def, &b) == NULL && a == b;
	if (option->type == BG_COUNT)
		return count_wrong(said->text[0], &a) == NULL && count_wrong(option->def, &b) == NULL && a == b;
	return strcmp(said->text[0], option->def) == 0;
}
