#include <stdlib.h>
#include <sys/un.h>

#include "conf/internal.h"
#include "core/htu.h"
#include "core/url.h"

#define REDIS_PORT	6379	/* registered with IANA */
#define DATABASE_DIGITS	5
#define DATABASE_MAX	65535	/* Redis has 16 unless it is told otherwise */
#define SOCKET_PATH_MAX	(sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

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
