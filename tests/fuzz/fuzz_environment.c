/*
 * An environment as any server and client may make it: cgi/environment.c and cgi/metavars.c.  The first byte says how we were
 * called, what follows are strings, each up to a zero byte.  What a script gets has nothing of ours that is not from us (SR-80), and
 * no demand is lost or found twice.
 */
#include <stdint.h>
#include <stdlib.h>

#include "cgi/environment.h"
#include "cgi/metavars.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)
#define VARS_MAX	256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char claim[] = "ROLES";
static struct bg_export rows[] = { { .name = claim } };
static const struct bg_exports exports = { .exports = rows, .n_exports = 1 };

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static size_t
name_len(const char *var)
{
	return strcspn(var, "=");
}

static bool
is_among(char *const *vars, const char *var)
{
	for (; *vars != NULL; vars++)
		if (*vars == var)
			return true;
	return false;
}

/* A name as another server or language may have spelt it: in the way of RFC 3875 section 4.1.18, and without REDIRECT_. */
static void
spell(const char *var, char out[64])
{
	size_t len = name_len(var), n = 0;

	for (size_t i = 0; i < len && n < 63; i++) {
		char c = var[i];

		c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
		out[n++] = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
		out[n] = '\0';
		if (n == 9 && strcmp(out, "REDIRECT_") == 0)
			n = 0;
	}
	out[n] = '\0';
}

static void
check_read(char *const *env, bool by_action)
{
	struct bg_error err = { 0 };
	struct bg_request request;
	char **vars;

	if (bg_environment_read(env, by_action, &vars, &err) != 0) {
		MUST(err.reason == BG_R_BAD_VARIABLE && vars == NULL);
		return;
	}
	for (char **var = vars; *var != NULL; var++) {
		bool whole = is_among(env, *var);

		/* what is cut is one of ours behind one REDIRECT_, and only where Action is at work */
		MUST(whole || (by_action && begins(*var, "BEARERGATE_") && begins(*var - 9, "REDIRECT_")));
		MUST(!begins(*var, "REDIRECT_BEARERGATE_") || strchr(*var, '=') == NULL);
		for (char **other = var + 1; *other != NULL && begins(*var, "BEARERGATE_") && strchr(*var, '=') != NULL; other++)
			MUST(name_len(*other) != name_len(*var) || strncmp(*other, *var, name_len(*var) + 1) != 0);
	}
	/* nothing that counts is lost */
	for (; *env != NULL; env++)
		if (begins(*env, "BEARERGATE_") && strchr(*env, '=') != NULL) {
			char name[64];

			if (name_len(*env) >= sizeof(name))
				continue;
			memcpy(name, *env, name_len(*env));
			name[name_len(*env)] = '\0';
			MUST(strcmp(bg_environment_get(vars, name), *env + name_len(*env) + 1) == 0);
		}
	if (bg_metavars_read(vars, &request, &err) != 0)
		MUST(err.reason == BG_R_BAD_VARIABLE || err.reason == BG_R_BAD_REQUEST);
	bg_environment_drop_config(vars);
	MUST(bg_environment_get(vars, "BEARERGATE_CONFIG") == NULL && bg_environment_get(vars, "BEARERGATE_CA_FILE") == NULL);
	free(vars);
}

static void
check_made(char *const *env, bool pass)
{
	static const char made[] = "CLAIM_SUB\0bob\0ROLES\0";
	static const struct bg_setting settings[] = { { "SCRIPT_NAME", { "/app", 4 } }, { "PATH_INFO", { NULL, 0 } } };
	struct bg_environment out;
	char spelt[64];
	size_t n = 0;

	MUST(bg_environment_make(env, &exports, pass, (struct bg_slice){ made, sizeof(made) }, settings, 2, &out, NULL) == 0);
	for (; out.vars[n] != NULL; n++) {
		if (!is_among(env, out.vars[n]))
			continue;
		MUST(name_len(out.vars[n]) > 0 && strchr(out.vars[n], '=') != NULL);
		spell(out.vars[n], spelt);
		MUST(!begins(spelt, "CLAIM_") && strcmp(spelt, "CLAIMS_JSON") != 0 && strcmp(spelt, "REMOTE_USER") != 0 &&
		    strcmp(spelt, "AUTH_TYPE") != 0 && strcmp(spelt, "ROLES") != 0 && !begins(spelt, "BEARERGATE_"));
		MUST(!begins(out.vars[n], "HTTP_PROXY=") && !begins(out.vars[n], "SCRIPT_NAME=") && !begins(out.vars[n], "PATH_INFO="));
		MUST(pass || (!begins(out.vars[n], "HTTP_AUTHORIZATION=") && !begins(out.vars[n], "HTTP_DPOP=")));
	}
	MUST(n >= 3 && strcmp(out.vars[n - 3], "CLAIM_SUB=bob") == 0 && strcmp(out.vars[n - 2], "ROLES=") == 0 &&
	    strcmp(out.vars[n - 1], "SCRIPT_NAME=/app") == 0);
	bg_environment_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *env[VARS_MAX + 1], *at;
	size_t n = 0;

	MUST(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	for (at = text + 1; size > 0 && at < text + size && n < VARS_MAX; at += strlen(at) + 1)
		env[n++] = at;
	env[n] = NULL;
	check_read(env, size > 0 && (data[0] & 1) != 0);
	check_made(env, size > 0 && (data[0] & 2) != 0);
	free(text);
	return 0;
}
