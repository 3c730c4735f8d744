#include "cgi/environment.h"

#include <stdlib.h>

#include "cgi/metavars.h"
#include "core/limits.h"

#define REDIRECT	"REDIRECT_"
#define OURS		"BEARERGATE_"

/* What we set: variables, and a few paths and names that came in as such. */
#define TEXT_MAX	(BG_ANSWER_MAX + 8 * BG_URI_MAX)

/* What no script gets from outside.  loose: however it is spelt; others are a server's, which spells them in one way. */
static const struct {
	struct bg_slice name;
	bool            begins;		/* and whatever begins so */
	bool            loose;
	bool            credential;	/* but with pass_credentials */
} ours[] = {
	{ BG_SLICE_INIT("CLAIM_"), true, true, false },
	{ BG_SLICE_INIT("CLAIMS_JSON"), false, true, false },
	{ BG_SLICE_INIT("REMOTE_USER"), false, true, false },
	{ BG_SLICE_INIT("AUTH_TYPE"), false, true, false },
	{ BG_SLICE_INIT(OURS), true, true, false },
	{ BG_SLICE_INIT("HTTP_PROXY"), false, false, false },
	{ BG_SLICE_INIT("HTTP_AUTHORIZATION"), false, false, true },
	{ BG_SLICE_INIT("HTTP_DPOP"), false, false, true },
};

static size_t
count(char *const *env)
{
	size_t n = 0;

	while (env[n] != NULL)
		n++;
	return n;
}

/* The name of a variable; of length 0 where it is none. */
static struct bg_slice
name_of(const char *var)
{
	const char *eq = strchr(var, '=');

	return (struct bg_slice){ var, eq != NULL ? (size_t)(eq - var) : 0 };
}

/* Is this, which stood behind a REDIRECT_ that does not count, a demand that nothing here repeats? */
static bool
is_lost(char *const *env, const char *var, bool by_action)
{
	static const struct bg_slice demands[] = { BG_SLICE_INIT(OURS "SCOPE"), BG_SLICE_INIT(OURS "ANY_SCOPE"),
		BG_SLICE_INIT(OURS "PERMISSION"), BG_SLICE_INIT(OURS "POLICY") };

	for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++)
		if (bg_slice_equal(name_of(var), demands[i]) && var[demands[i].len + 1] != '\0') {
			for (; *env != NULL; env++)
				if (strcmp(*env, var) == 0 ||
				    (by_action && strncmp(*env, REDIRECT, strlen(REDIRECT)) == 0 && strcmp(*env + strlen(REDIRECT), var) == 0))
					return false;
			return true;
		}
	return false;
}

/* Was the request sent on so many times, the last ones, and not to an ErrorDocument, a redirect to which has the error's status? */
static bool
is_sent_on(char *const *env, int redirects)
{
	static const struct bg_slice good = BG_SLICE_INIT("STATUS=200");
	int found = 0;

	for (; *env != NULL; env++) {
		struct bg_slice var = bg_slice_str(*env);
		int n = 0;

		for (; bg_slice_starts(var, BG_SLICE(REDIRECT)); n++)
			var = bg_slice_skip(var, strlen(REDIRECT));
		found += n >= 1 && n <= redirects && bg_slice_equal(var, good);
	}
	return found >= redirects;
}

int
bg_environment_read(char *const *env, bool by_action, char ***out, struct bg_error *err)
{
	char **vars = calloc(count(env) + 1, sizeof(*vars));
	char *const *all = env;
	size_t n = 0;

	*out = NULL;
	if (vars == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "environment");
	for (; *env != NULL; env++) {
		struct bg_slice name = name_of(*env);
		int redirects = 0;
		bool again = false;

		for (; bg_slice_starts(name, BG_SLICE(REDIRECT)); redirects++)
			name = bg_slice_skip(name, strlen(REDIRECT));
		if (!bg_slice_starts(name, BG_SLICE(OURS))) {
			vars[n++] = *env;
			continue;
		}
		if (redirects > (by_action ? 1 : 0) && is_lost(all, name.ptr, by_action) && is_sent_on(all, redirects)) {
			free(vars);
			return bg_fail(err, BG_R_BAD_VARIABLE, "the server redirected the request from a place with a %.*s that this one has not, "
			    "and not by Action, whose PATH_INFO is REDIRECT_URL", BG_SLICE_ARG(name));
		}
		if (redirects > (by_action ? 1 : 0))
			continue;
		for (size_t i = 0; i < n && !again; i++) {
			if (!bg_slice_equal(name_of(vars[i]), name))
				continue;
			again = true;
			if (strcmp(vars[i], name.ptr) != 0) {
				free(vars);
				return bg_fail(err, BG_R_BAD_VARIABLE, "%.*s came twice, with two values", BG_SLICE_ARG(name));
			}
		}
		if (!again)
			vars[n++] = *env + (name.ptr - *env);
	}
	*out = vars;
	return 0;
}

void
bg_environment_drop_config(char **env)
{
	char **to = env;

	for (; *env != NULL; env++) {
		struct bg_slice name = name_of(*env);

		if (!bg_slice_equal(name, BG_SLICE(OURS "CONFIG")) && !bg_slice_equal(name, BG_SLICE(OURS "CA_FILE")))
			*to++ = *env;
	}
	*to = NULL;
}

const char *
bg_environment_get(char *const *env, const char *name)
{
	struct bg_slice wanted = bg_slice_str(name);

	for (; *env != NULL; env++)
		if (strncmp(*env, name, wanted.len) == 0 && (*env)[wanted.len] == '=')
			return *env + wanted.len + 1;
	return NULL;
}

/* Does text begin with name, and then go on with info? */
static bool
is_put_together(struct bg_slice text, const char *name, const char *info)
{
	return bg_slice_starts(text, bg_slice_str(name)) && bg_slice_starts(bg_slice_skip(text, strlen(name)), bg_slice_str(info));
}

bool
bg_environment_has_decoded_uri(char *const *env)
{
	const char *uri = bg_environment_get(env, "REQUEST_URI"), *name = bg_environment_get(env, "SCRIPT_NAME");
	const char *info = bg_environment_get(env, "PATH_INFO");
	struct bg_slice path = bg_slice_str(uri);
	const char *query;

	if (uri == NULL || name == NULL || bg_environment_get(env, "BEARERGATE_URI") != NULL)
		return false;
	if (info == NULL)
		info = "";
	if ((query = strchr(uri, '?')) != NULL)
		path.len = (size_t)(query - uri);
	/* What stands in both as it is was decoded before: a "?" in it is none that ends the path. */
	if (is_put_together(bg_slice_str(uri), name, info) && (strchr(name, '?') != NULL || strchr(info, '?') != NULL))
		return true;
	return memchr(path.ptr, '%', path.len) != NULL && is_put_together(path, name, info) && path.len == strlen(name) + strlen(info);
}

/* As servers make a variable of a header: capitals, and "_" for all that is neither letter nor digit. */
static char
fold(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

static bool
starts(struct bg_slice name, struct bg_slice with, bool loose)
{
	if (name.len < with.len)
		return false;
	for (size_t i = 0; i < with.len; i++)
		if ((loose ? fold(name.ptr[i]) : name.ptr[i]) != with.ptr[i])
			return false;
	return true;
}

static bool
is_named(struct bg_slice name, struct bg_slice wanted, bool loose)
{
	return name.len == wanted.len && starts(name, wanted, loose);
}

/* May the script have a variable of this name from outside? */
static bool
may_have(struct bg_slice name, const struct bg_exports *exports, bool pass_credentials, const struct bg_setting *settings,
    size_t n_settings)
{
	if (name.len == 0)
		return false;
	for (size_t i = 0; i < n_settings; i++)
		if (bg_slice_equal(name, bg_slice_str(settings[i].name)))
			return false;
	while (starts(name, BG_SLICE(REDIRECT), true))
		name = bg_slice_skip(name, strlen(REDIRECT));
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!(ours[i].credential && pass_credentials) && (ours[i].begins ? starts(name, ours[i].name, ours[i].loose) :
		    is_named(name, ours[i].name, ours[i].loose)))
			return false;
	for (size_t i = 0; i < exports->n_exports; i++)
		if (is_named(name, bg_slice_str(exports->exports[i].name), true))
			return false;
	return true;
}

/* Is a variable of this name among these n? */
static bool
is_among(char *const *vars, size_t n, struct bg_slice name)
{
	for (size_t i = 0; i < n; i++)
		if (strncmp(vars[i], name.ptr, name.len) == 0 && vars[i][name.len] == '=')
			return true;
	return false;
}

static void
put_variable(struct bg_buf *text, struct bg_slice name, struct bg_slice value, size_t *n)
{
	bg_buf_put(text, name);
	bg_buf_put_char(text, '=');
	bg_buf_put(text, value);
	bg_buf_put_char(text, '\0');
	++*n;
}

int
bg_environment_make(char *const *env, const struct bg_exports *exports, bool pass_credentials, struct bg_slice variables,
    const struct bg_setting *settings, size_t n_settings, struct bg_environment *out, struct bg_error *err)
{
	struct bg_slice name, value, text;
	size_t n_new = 0, n = 0;
	char *at;

	*out = (struct bg_environment){ .vars = NULL };
	bg_buf_init(&out->text, TEXT_MAX);
	while (bg_export_next(&variables, &name, &value))
		put_variable(&out->text, name, value, &n_new);
	for (size_t i = 0; i < n_settings; i++)
		if (settings[i].value.ptr != NULL)
			put_variable(&out->text, bg_slice_str(settings[i].name), settings[i].value, &n_new);
	if (bg_buf_finish(&out->text, &text, err) != 0)
		return -1;
	if ((out->vars = calloc(count(env) + n_new + 1, sizeof(*out->vars))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "environment");
	for (; *env != NULL; env++) {
		name = name_of(*env);
		if (may_have(name, exports, pass_credentials, settings, n_settings) &&
		    !(bg_metavars_matters(name) && is_among(out->vars, n, name)))
			out->vars[n++] = *env;
	}
	/* Only now: the text has stopped moving. */
	for (at = out->text.data; n_new > 0; n_new--, at += strlen(at) + 1)
		out->vars[n++] = at;
	return 0;
}

void
bg_environment_clear(struct bg_environment *environment)
{
	free(environment->vars);
	bg_buf_clear(&environment->text);
	environment->vars = NULL;
}
