#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "tool/tool.h"

extern char **environ;	/* POSIX leaves this line to the program */

#define TEXT_MAX	(4 * 1024 * 1024)	/* bytes printed: a hundred keys of each of a few thousand issuers */

static const char usage[] =
    "usage: bearergate keys [-r] [--json] [-c FILE] [--env-file FILE] [-F PROGRAM]\n"
    "\n"
    "Shows the keys of each issuer as they are on disk, in cache_dir or jwks_file:\n"
    "where they are from, how old they are, when they are fetched again and what\n"
    "went wrong since.\n"
    "\n"
    "  -r, --refresh        fetch them now, and leave them in cache_dir for the daemon\n"
    "      --json           print JSON\n"
    "  -c, --config FILE    the configuration (default: BEARERGATE_CONFIG)\n"
    "      --env-file FILE  variables such as AUTH0_DOMAIN, in .env form\n"
    "  -F, --fetch PROGRAM  the program that fetches\n"
    "                       (default: " LIBEXECDIR "/bearergate-fetch)\n";

enum { OPT_ENV_FILE = 256, OPT_JSON };

static const struct option longopts[] = {
	{ "config",   required_argument, NULL, 'c' },
	{ "env-file", required_argument, NULL, OPT_ENV_FILE },
	{ "fetch",    required_argument, NULL, 'F' },
	{ "help",     no_argument,       NULL, 'h' },
	{ "json",     no_argument,       NULL, OPT_JSON },
	{ "refresh",  no_argument,       NULL, 'r' },
	{ NULL, 0, NULL, 0 }
};

struct options {
	struct bg_conf_sources from;
	const char *fetch;
	bool        refresh;
	bool        json;
};

/*
 * The cache belongs to the user who decides.  Root, who asks on that user's behalf, becomes that user, so that what is
 * written is that user's too, and what somebody else could have put there is not believed.
 */
static int
become_owner(const char *dir)
{
	const struct passwd *user;
	struct stat st;

	if (geteuid() != 0 || dir == NULL || stat(dir, &st) != 0 || st.st_uid == 0)
		return 0;
	user = getpwuid(st.st_uid);
	if ((user != NULL ? initgroups(user->pw_name, user->pw_gid) : setgroups(0, NULL)) != 0 ||
	    setgid(user != NULL ? user->pw_gid : st.st_gid) != 0 || setuid(st.st_uid) != 0) {
		bg_verb_say("%s: cannot become its owner: %s", dir, strerror(errno));
		return EX_NOPERM;
	}
	return 0;
}

static const char *
source_of(const struct bg_conf_issuer *issuer)
{
	return issuer->jwks_file != NULL ? "jwks_file" : issuer->jwks_uri != NULL ? "jwks_uri" : "discovery";
}

static const char *
alg_of(const struct bg_jwk *key)
{
	return key->alg != NULL ? key->alg->name.ptr : "any";
}

/* A moment, and how far it is from now. */
static void
put_moment(struct bg_buf *out, int64_t at, int64_t now)
{
	time_t t = (time_t)at;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	bg_buf_put_format(out, "%s, %s", text, at > now ? "in " : "");
	bg_buf_put_span(out, at > now ? at - now : now - at);
	bg_buf_put_str(out, at > now ? "" : " ago");
}

static void
put_key(struct bg_buf *out, const struct bg_jwk *key)
{
	struct bg_slice text;
	struct bg_buf type;

	bg_buf_init(&type, 64);
	bg_jwk_describe(key, &type);
	if (bg_buf_finish(&type, &text, NULL) == 0)
		bg_buf_put_format(out, "  %-12s %-6s ", text.ptr, alg_of(key));
	bg_buf_clear(&type);
	if (key->any_kid)
		bg_buf_put_str(out, "any, ");
	if (key->kid != NULL)
		bg_log_text(out, bg_slice_str(key->kid));
	else
		bg_buf_put_char(out, '-');
	bg_buf_put_char(out, '\n');
}

static void
put_text(struct bg_buf *out, const struct bg_conf_issuer *issuer, const struct bg_keystore_status *status, bool cached,
    int64_t now)
{
	bg_buf_put_format(out, "%s\n", issuer->name);
	bg_buf_put_format(out, "  state    %s%s\n", bg_keystore_state(status),
	    status->keys != NULL && status->from_disk ? ", from cache_dir" : "");
	bg_buf_put_format(out, "  source   %s%s%s\n", source_of(issuer), bg_keystore_location(status)[0] != '\0' ? ", " : "",
	    bg_keystore_location(status));
	if (status->fetched != 0) {
		bg_buf_put_str(out, "  fetched  ");
		put_moment(out, status->fetched, now);
		bg_buf_put_char(out, '\n');
	} else
		bg_buf_put_format(out, "  fetched  %s; --refresh asks the issuer\n", cached ? "never, as far as cache_dir tells" :
		    "not known, since cache_dir is not used");
	if (status->keys != NULL) {
		bg_buf_put_str(out, "  next     ");
		put_moment(out, status->next, now);
		bg_buf_put_str(out, "\n  serves   until ");
		put_moment(out, status->serves_until, now);
		bg_buf_put_char(out, '\n');
	}
	if (status->failed != 0) {
		bg_buf_put_str(out, "  failed   ");
		put_moment(out, status->failed, now);
		bg_buf_put_str(out, ": ");
		bg_log_text(out, bg_slice_str(status->error));
		bg_buf_put_char(out, '\n');
	}
	if (status->keys != NULL) {
		bg_buf_put_str(out, "  TYPE         ALG    KID\n");
		for (size_t i = 0; i < bg_jwks_count(status->keys); i++)
			put_key(out, bg_jwks_get(status->keys, i));
	}
	bg_buf_put_char(out, '\n');
}

static json_t *
json_of_key(const struct bg_jwk *key)
{
	char thumbprint[BG_THUMBPRINT_LEN + 1] = "";
	struct bg_slice text;
	struct bg_buf type;
	json_t *object;

	bg_buf_init(&type, 64);
	bg_jwk_describe(key, &type);
	if (bg_buf_finish(&type, &text, NULL) != 0)
		text = BG_SLICE("");
	if (bg_jwk_thumbprint(key, thumbprint, NULL) != 0)
		thumbprint[0] = '\0';
	object = json_pack("{s:s?, s:b, s:s, s:s?, s:s}", "kid", key->kid, "any_kid", key->any_kid, "type", text.ptr,
	    "alg", key->alg != NULL ? key->alg->name.ptr : NULL, "thumbprint", thumbprint);
	bg_buf_clear(&type);
	return object;
}

/* NULL without memory. */
static json_t *
json_of(const struct bg_conf_issuer *issuer, const struct bg_keystore_status *status)
{
	json_t *keys = json_array(), *object;

	for (size_t i = 0; status->keys != NULL && i < bg_jwks_count(status->keys); i++)
		if (json_array_append_new(keys, json_of_key(bg_jwks_get(status->keys, i))) != 0) {
			json_decref(keys);
			return NULL;
		}
	object = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "issuer", issuer->name, "state", bg_keystore_state(status), "source",
	    source_of(issuer), "location", bg_keystore_location(status), "from_disk", status->from_disk, "keys", keys);
	if (object == NULL)
		return NULL;
	if ((status->fetched != 0 && json_object_set_new(object, "fetched", json_integer(status->fetched)) != 0) ||
	    (status->keys != NULL && (json_object_set_new(object, "next", json_integer(status->next)) != 0 ||
	    json_object_set_new(object, "serves_until", json_integer(status->serves_until)) != 0)) ||
	    (status->failed != 0 && (json_object_set_new(object, "failed", json_integer(status->failed)) != 0 ||
	    json_object_set_new(object, "error", json_string(status->error)) != 0))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* Look at one issuer's store, and print it in one form or the other.  Returns whether all is well with it. */
static bool
show(const struct options *options, const struct bg_conf *conf, size_t i, struct bg_keystore *store, struct bg_buf *out,
    json_t *list, bool *no_memory)
{
	const struct bg_conf_issuer *issuer = &conf->issuers[i];
	struct bg_now now = bg_clock_now();
	struct bg_keystore_status status;
	json_t *object;
	bool good;

	bg_keystore_restore(store, now);
	if (options->refresh)
		bg_keystore_want(store);
	if (options->refresh || issuer->jwks_file != NULL)
		(void)bg_keystore_step(store, now);
	bg_keystore_status(store, now, &status);
	good = status.keys != NULL && !(options->refresh && status.failures > 0);
	if (!options->json)
		put_text(out, issuer, &status, conf->cache_dir != NULL, now.wall);
	else if ((object = json_of(issuer, &status)) == NULL || json_array_append_new(list, object) != 0)
		*no_memory = true;
	bg_keystore_status_clear(&status);
	return good;
}

static int
show_all(const struct options *options, const struct bg_conf *conf, const struct bg_gate *gate)
{
	json_t *list = json_array();
	bool good = true, no_memory = list == NULL;
	struct bg_slice text;
	struct bg_buf out;
	char *dump;
	int rc;

	bg_buf_init(&out, TEXT_MAX);
	for (size_t i = 0; i < conf->n_issuers; i++)
		good = show(options, conf, i, gate->issuers[i].keys, &out, list, &no_memory) && good;
	if (options->json && !no_memory && (dump = json_dumps(list, JSON_INDENT(2))) != NULL) {
		bg_buf_put_format(&out, "%s\n", dump);
		free(dump);
	} else if (options->json)
		no_memory = true;
	if (no_memory || bg_buf_finish(&out, &text, NULL) != 0) {
		bg_verb_say("no memory");
		rc = EX_OSERR;
	} else if ((rc = bg_verb_print(text)) == EX_OK && !good)
		rc = EX_UNAVAILABLE;
	bg_buf_clear(&out);
	json_decref(list);
	return rc;
}

static int
keys(const struct options *options)
{
	struct bg_fetch_helper fetcher;
	struct bg_error err = { 0 };
	struct bg_conf *conf = NULL;
	struct bg_gate *gate = NULL;
	int rc;

	if ((rc = bg_verb_load(&conf, &options->from)) != EX_OK || (rc = become_owner(conf->cache_dir)) != 0)
		goto out;
	bg_fetch_helper_init(&fetcher, &(struct bg_fetch_helper_options){ .program = options->fetch, .ca_file = conf->ca_file,
	    .ca_dir = conf->ca_dir, .proxy = conf->proxy });
	if (bg_conf_build(conf, &fetcher.base, &gate, &err) != 0) {
		bg_verb_say("%s", err.detail);
		rc = err.reason == BG_R_NO_MEMORY ? EX_OSERR : EX_CONFIG;
		goto out;
	}
	bg_log_open(STDERR_FILENO, BG_LOG_WARNING);
	rc = show_all(options, conf, gate);
out:
	bg_gate_free(gate);	/* before conf, from which it borrows */
	bg_conf_free(conf);
	return rc;
}

int
bg_verb_keys(int argc, char **argv)
{
	struct options options = { .from = { .environ = environ }, .fetch = LIBEXECDIR "/bearergate-fetch" };
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:F:hr", longopts, NULL)) != -1)
		switch (c) {
		case 'c':
			options.from.file = optarg;
			break;
		case OPT_ENV_FILE:
			options.from.env_file = optarg;
			break;
		case 'F':
			if (optarg[0] != '/')
				return bg_verb_usage("--fetch %s is not an absolute path", optarg);
			options.fetch = optarg;
			break;
		case OPT_JSON:
			options.json = true;
			break;
		case 'r':
			options.refresh = true;
			break;
		case 'h':
			return bg_verb_print(bg_slice_str(usage));
		default:
			return bg_verb_bad_option(c, argv, longopts);
		}
	if (optind < argc)
		return bg_verb_usage("keys takes no \"%s\"; a configuration is named with -c", argv[optind]);
	return keys(&options);
}
