#include <fcntl.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/internal.h"
#include "core/htu.h"
#include "core/secret.h"
#include "core/url.h"

#define REDIS_PORT	6379	/* registered with IANA */
#define DATABASE_DIGITS	5
#define DATABASE_MAX	65535	/* Redis has 16 unless it is told otherwise */
#define SOCKET_PATH_MAX	(sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

/* What an option of replay is for. */
enum need { LMDB, REDIS, REDIS_TLS };

static const struct { const char *prefix; bool redis, tls, path; } forms[] = {
	{ "lmdb:",       false, false, true },
	{ "redis://",    true,  false, false },
	{ "rediss://",   true,  true,  false },
	{ "redis+unix:", true,  false, true },
};
#define N_FORMS	(sizeof(forms) / sizeof(forms[0]))

static const char *
path_wrong(const char *path, bool redis)
{
	if (path[0] != '/')
		return "has a relative path, which depends on where the program was started";
	if (path[1] == '\0')
		return "has no path but the root of all";
	if (path[1] == '/')	/* no host belongs there, and two spellings of one path would be two stores to those that compare */
		return "has more than one slash before its path";
	return redis && strlen(path) > SOCKET_PATH_MAX ? "has a path too long for a socket" : NULL;
}

/* A user's name, as it goes to Redis: nothing in it is encoded. */
static const char *
user_wrong(const char *user)
{
	if (*user == '\0')
		return "has an empty user in it";
	for (const char *p = user; *p != '\0'; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("%/?#[]@", *p) != NULL)
			return "has a character in its user that none may have";
	return NULL;
}

/* "/" and the number of a database, or nothing; text is what stands behind the authority. */
static const char *
database_wrong(const char *text, int *database)
{
	size_t n;

	if (*text == '\0' || strcmp(text, "/") == 0)
		return NULL;
	n = strspn(text + 1, "0123456789");
	if (n == 0)
		return "has a path that is no number of a database";
	if (text[1 + n] != '\0')
		return "has something behind the number of its database";
	if (n > DATABASE_DIGITS || atoi(text + 1) > DATABASE_MAX)
		return "has a number of a database that is too large";
	*database = atoi(text + 1);
	return NULL;
}

/* HOST[:PORT], cut up in place.  The grammar is that of other URLs. */
static const char *
server_wrong(char *server, struct bg_store *out)
{
	const char *wrong;
	struct bg_buf url;
	struct bg_slice text;
	char *colon;

	bg_buf_init(&url, BG_CONF_VALUE_MAX + sizeof("https:///"));
	bg_buf_put_format(&url, "https://%s/", server);
	wrong = bg_buf_finish(&url, &text, NULL) == 0 ? bg_url_wrong(text, false) : "is too long";
	bg_buf_clear(&url);
	if (wrong != NULL)
		return wrong;
	out->port = REDIS_PORT;
	if ((colon = strrchr(server, ':')) != NULL && strchr(colon, ']') == NULL) {
		out->port = atoi(colon + 1);
		*colon = '\0';
	}
	if (*server == '[') {
		server[strlen(server) - 1] = '\0';
		server++;
	}
	out->host = server;
	return NULL;
}

/* [USER@]HOST[:PORT][/DATABASE].  What may be a password is looked for first, since it can hold any character. */
static const char *
address_wrong(char *text, struct bg_store *out)
{
	char *at = strrchr(text, '@'), *slash;
	const char *wrong;

	if (at != NULL) {
		*at = '\0';
		if (strchr(text, ':') != NULL)
			return "has a password in it, which belongs in the file that replay_password_file names";
		if ((wrong = user_wrong(text)) != NULL)
			return wrong;
		out->user = text;
		text = at + 1;
	}
	if (strchr(text, '?') != NULL)
		return "has a query";
	if (strchr(text, '#') != NULL)
		return "has a fragment";
	if ((slash = strchr(text, '/')) != NULL) {
		if ((wrong = database_wrong(slash, &out->database)) != NULL)
			return wrong;
		*slash = '\0';
	}
	return server_wrong(text, out);
}

const char *
bg_store_parse(const char *text, struct bg_store *out)
{
	const char *wrong;
	char *rest;

	*out = (struct bg_store){ 0 };
	for (size_t i = 0; i < N_FORMS; i++) {
		if (!bg_slice_starts(bg_slice_str(text), bg_slice_str(forms[i].prefix)))
			continue;
		out->redis = forms[i].redis;
		out->tls = forms[i].tls;
		if ((out->text = strdup(text)) == NULL)
			return "cannot be read, there is no memory";
		rest = out->text + strlen(forms[i].prefix);
		if (!forms[i].path)
			return address_wrong(rest, out);
		if ((wrong = path_wrong(rest, forms[i].redis)) == NULL)
			out->path = rest;
		return wrong;
	}
	return "is no store that is known here";
}

void
bg_store_clear(struct bg_store *store)
{
	free(store->text);
	*store = (struct bg_store){ 0 };
}

enum bg_conf_store
bg_conf_store(const struct bg_conf *conf, const char **path)
{
	*path = NULL;
	if (conf->dpop == BG_DPOP_DISABLED)
		return BG_STORE_NONE;
	for (size_t i = 0; conf->replay != NULL && i < N_FORMS; i++) {
		if (!bg_slice_starts(bg_slice_str(conf->replay), bg_slice_str(forms[i].prefix)))
			continue;
		if (!forms[i].path)
			return BG_STORE_REDIS;
		*path = conf->replay + strlen(forms[i].prefix);
		return forms[i].redis ? BG_STORE_REDIS_SOCKET : BG_STORE_LMDB;
	}
	return BG_STORE_PRIVATE;
}

const char *
bg_public_url_parse(const char *text, struct bg_buf *url)
{
	const char *host = strstr(text, "://"), *wrong;

	if (host != NULL && memchr(host + 3, '@', strcspn(host + 3, "/")) != NULL)
		return "has credentials in it";
	/* they would be left out in silence */
	if (strchr(text, '?') != NULL)
		return "has a query";
	if (strchr(text, '#') != NULL)
		return "has a fragment";
	if ((wrong = bg_htu_normalise(bg_slice_str(text), url)) != NULL)
		return wrong;
	while (url->len > 0 && url->data[url->len - 1] == '/')	/* a request's path begins with one */
		url->len--;
	return NULL;
}

static const char *
name_of(enum bg_opt opt)
{
	return bg_options[opt].name;
}

/* dpop, or the two names that Auth0's SDK has for it.  requirements/sdk-parity.md section 7.1. */
static int
settle_mode(struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	const struct bg_said *enabled = &top[BG_OPT_SHORT_dpop_enabled], *required = &top[BG_OPT_SHORT_dpop_required];
	const struct bg_said *mode = &top[BG_OPT_TOP_dpop], *one = enabled->n > 0 ? enabled : required;
	bool on = enabled->n == 0 || strcmp(enabled->text[0], "true") == 0;
	bool only = required->n > 0 && strcmp(required->text[0], "true") == 0;

	if (one->n == 0)
		return 0;
	if (mode->n > 0) {
		bg_report(report, one->at, "%s beside dpop, which stands at %s; one of the two was expected",
		    name_of(one == enabled ? BG_OPT_SHORT_dpop_enabled : BG_OPT_SHORT_dpop_required), mode->at);
		return EX_CONFIG;
	}
	if (only && !on) {
		bg_report(report, required->at, "dpop_required is true and dpop_enabled, at %s, is false; "
		    "what is required was expected to be enabled", enabled->at);
		return EX_CONFIG;
	}
	conf->dpop = !on ? BG_DPOP_DISABLED : only ? BG_DPOP_REQUIRED : BG_DPOP_ALLOWED;
	return 0;
}

static int
settle_public(struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	const struct bg_said *proxies = &top[BG_OPT_TOP_trusted_proxies], *all = &top[BG_OPT_TOP_trust_proxy];
	struct bg_slice text;
	struct bg_buf url;
	char *normal = NULL;

	if (conf->public_url != NULL) {
		bg_buf_init(&url, BG_URI_MAX);
		if (bg_public_url_parse(conf->public_url, &url) == NULL && bg_buf_finish(&url, &text, NULL) == 0)
			normal = strdup(text.ptr);
		bg_buf_clear(&url);
		if (normal == NULL)
			return bg_report_memory(report);	/* it was good when it was read */
		free(conf->public_url);
		conf->public_url = normal;
	}
	if (conf->trust_proxy && proxies->n > 0) {
		bg_report(report, all->at, "trust_proxy is true, so trusted_proxies, at %s, would mean nothing; "
		    "one of the two was expected", proxies->at);
		return EX_CONFIG;
	}
	return 0;
}

/* Read a file whose contents were good when its option was read, but may have changed since. */
static int
read_again(const char *path, enum bg_opt opt, const struct bg_said *said, char **out, size_t *len, struct bg_buf *report)
{
	struct bg_buf words;
	struct bg_slice text;
	int rc = 0;

	bg_buf_init(&words, BG_DETAIL_MAX);
	if (bg_secret_read(path, bg_options[opt].type, out, len, &words) != 0) {
		bg_report(report, said->at, "%s %s", name_of(opt), bg_buf_finish(&words, &text, NULL) == 0 ? text.ptr : "is wrong");
		rc = EX_CONFIG;
	}
	bg_buf_clear(&words);
	return rc;
}

static int
settle_nonces(struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	char *key;
	int rc;

	if (!conf->dpop_nonce)
		return 0;
	if (conf->dpop_nonce_key_file == NULL) {
		bg_report(report, top[BG_OPT_TOP_dpop_nonce].at, "dpop_nonce \"required\" has no key to make nonces with; "
		    "dpop_nonce_key_file was expected");
		return EX_CONFIG;
	}
	if ((rc = read_again(conf->dpop_nonce_key_file, BG_OPT_TOP_dpop_nonce_key_file, &top[BG_OPT_TOP_dpop_nonce_key_file],
	    &key, &conf->nonce_key_len, report)) != 0)
		return rc;
	conf->nonce_key = (unsigned char *)key;
	return 0;
}

/* Where nobody named a store: the directory of the installation, or the memory of this process. */
static int
settle_default_store(struct bg_conf *conf, const char *source, struct bg_buf *report)
{
	if (!bg_judge_lmdb()) {
		bg_report(report, source, "DPoP proofs that were used cannot be remembered, since this program was built without "
		    "LMDB; %sdpop = \"disabled\" was expected", bg_judge_redis() ? "replay = \"redis://HOST\" or " : "");
		return EX_CONFIG;
	}
	if (bg_directory_wrong(STATEDIR) != NULL || faccessat(AT_FDCWD, STATEDIR, W_OK | X_OK, AT_EACCESS) != 0) {
		bg_report(report, source, "remark: DPoP proofs that were used are remembered by this process alone, until it ends; "
		    "a directory %s that it may write to, or replay = \"lmdb:/PATH\", changes that", STATEDIR);
		return 0;
	}
	return (conf->replay = strdup("lmdb:" STATEDIR "/replay")) != NULL ? 0 : bg_report_memory(report);
}

/* Options that mean something with certain stores alone. */
static int
check_needs(const struct bg_store *store, bool store_said, const struct bg_said *top, struct bg_buf *report)
{
	static const struct { enum bg_opt opt; enum need need; bool may_be_idle; } needs[] = {
		{ BG_OPT_TOP_replay_password,      REDIS,     false },
		{ BG_OPT_TOP_replay_password_file, REDIS,     false },
		{ BG_OPT_TOP_replay_ca_file,       REDIS_TLS, false },
		{ BG_OPT_TOP_replay_ca_dir,        REDIS_TLS, false },
		{ BG_OPT_TOP_replay_timeout,       REDIS,     true },
		{ BG_OPT_TOP_replay_max_proofs,    LMDB,      true },
	};
	static const struct { const char *name, *words; } stores[] = {
		[LMDB]      = { "LMDB",           "lmdb:/PATH" },
		[REDIS]     = { "Redis",          "redis://HOST" },
		[REDIS_TLS] = { "Redis over TLS", "rediss://HOST" },
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		const struct bg_said *said = &top[needs[i].opt];

		if (needs[i].need == LMDB ? !store->redis : store_said && store->redis && (needs[i].need == REDIS || store->tls))
			continue;
		if (bg_said_is_default(&bg_options[needs[i].opt], said))
			continue;
		if (needs[i].may_be_idle) {
			bg_report(report, said->at, "remark: %s has no effect, it is for %s alone", name_of(needs[i].opt),
			    stores[needs[i].need].name);
			continue;
		}
		bg_report(report, said->at, "%s is for %s alone; replay = \"%s\" was expected", name_of(needs[i].opt),
		    stores[needs[i].need].name, stores[needs[i].need].words);
		return EX_CONFIG;
	}
	return 0;
}

static int
settle_store(struct bg_conf *conf, const struct bg_said *top, const char *source, struct bg_buf *report)
{
	const struct bg_said *replay = &top[BG_OPT_TOP_replay], *password = &top[BG_OPT_TOP_replay_password],
	    *file = &top[BG_OPT_TOP_replay_password_file];
	struct bg_store store = { 0 };
	size_t len;
	int rc;

	if (conf->replay != NULL && bg_store_parse(conf->replay, &store) != NULL) {
		rc = bg_report_memory(report);	/* it was good when it was read */
		goto out;
	}
	if ((rc = check_needs(&store, conf->replay != NULL, top, report)) != 0)
		goto out;
	rc = EX_CONFIG;
	if (password->n > 0 && file->n > 0) {
		bg_report(report, file->at, "replay_password_file beside replay_password, which stands at %s; "
		    "one of the two was expected", password->at);
		goto out;
	}
	if (store.user != NULL && password->n == 0 && file->n == 0) {
		bg_report(report, replay->at, "replay names a user and no password is given; replay_password_file was expected");
		goto out;
	}
	if (conf->replay_password_file != NULL && (rc = read_again(conf->replay_password_file,
	    BG_OPT_TOP_replay_password_file, file, &conf->replay_password, &len, report)) != 0)
		goto out;
	rc = 0;
	if (conf->replay == NULL && conf->dpop != BG_DPOP_DISABLED)
		rc = settle_default_store(conf, source, report);
out:
	bg_store_clear(&store);
	return rc;
}

/* What was said and means nothing, or more than its author may think. */
static void
put_remarks(const struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	static const enum bg_opt of_dpop[] = {
		BG_OPT_TOP_dpop_algorithms, BG_OPT_TOP_dpop_iat_offset, BG_OPT_TOP_dpop_iat_leeway, BG_OPT_TOP_dpop_error_status,
		BG_OPT_TOP_dpop_nonce, BG_OPT_TOP_dpop_nonce_key_file, BG_OPT_TOP_dpop_nonce_window, BG_OPT_TOP_public_url,
		BG_OPT_TOP_trusted_proxies, BG_OPT_TOP_trust_proxy, BG_OPT_TOP_replay, BG_OPT_TOP_replay_password,
		BG_OPT_TOP_replay_password_file, BG_OPT_TOP_replay_ca_file, BG_OPT_TOP_replay_ca_dir, BG_OPT_TOP_replay_timeout,
		BG_OPT_TOP_replay_max_proofs, BG_OPT_TOP_replay_on_error,
	};
	static const enum bg_opt of_nonces[] = { BG_OPT_TOP_dpop_nonce_key_file, BG_OPT_TOP_dpop_nonce_window };

	if (conf->dpop == BG_DPOP_DISABLED) {
		for (size_t i = 0; i < sizeof(of_dpop) / sizeof(of_dpop[0]); i++)
			if (!bg_said_is_default(&bg_options[of_dpop[i]], &top[of_dpop[i]]))
				bg_report(report, top[of_dpop[i]].at, "remark: %s has no effect, DPoP is disabled", name_of(of_dpop[i]));
		return;
	}
	for (size_t i = 0; i < sizeof(of_nonces) / sizeof(of_nonces[0]) && !conf->dpop_nonce; i++)
		if (!bg_said_is_default(&bg_options[of_nonces[i]], &top[of_nonces[i]]))
			bg_report(report, top[of_nonces[i]].at, "remark: %s has no effect, dpop_nonce is \"off\"",
			    name_of(of_nonces[i]));
	if (conf->trust_proxy)
		bg_report(report, top[BG_OPT_TOP_trust_proxy].at, "remark: trust_proxy lets every client that reaches the server "
		    "itself choose the URL its DPoP proof is held to; trusted_proxies names those that may say it");
	if (conf->replay_on_error)
		bg_report(report, top[BG_OPT_TOP_replay_on_error].at, "remark: replay_on_error \"allow\" lets a DPoP proof be used "
		    "again while the store cannot answer");
}

int
bg_bound_settle(struct bg_conf *conf, const struct bg_said *top, const char *source, struct bg_buf *report)
{
	int rc;

	if ((rc = settle_mode(conf, top, report)) != 0 || (rc = settle_public(conf, top, report)) != 0 ||
	    (rc = settle_nonces(conf, top, report)) != 0 || (rc = settle_store(conf, top, source, report)) != 0)
		return rc;
	put_remarks(conf, top, report);
	return 0;
}
