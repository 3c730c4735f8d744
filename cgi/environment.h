#ifndef BG_CGI_ENVIRONMENT_H
#define BG_CGI_ENVIRONMENT_H

#include "core/export.h"

/*
 * The environment of a wrapper: what it says to us, and what of it the script gets.  Environments are "NAME=value" strings up
 * to a NULL, as in envp; a string without "=" or without a name is no variable.
 */

/*
 * All variables of env, but for BEARERGATE_ names with REDIRECT_ in front: so Apache hands on what was set for the place that a
 * request was redirected from.  With Action that is the protected place, and by_action says that it is: then one REDIRECT_ is
 * taken off, and the variable counts.  Any other is dropped: what a public place says, whose ErrorDocument is a script of ours,
 * must not open that.  But a demand must not be lost: where the request was redirected with status 200, scopes, permissions and
 * policies that were demanded there, or before that, and are not here are BG_R_BAD_VARIABLE.  What is then there twice with
 * one value is there once; with two values, nobody knows what is demanded: BG_R_BAD_VARIABLE.  BG_R_NO_MEMORY otherwise.  *out is the caller's to free, its strings are borrowed from env; NULL after
 * a failure.
 */
int bg_environment_read(char *const *env, bool by_action, char ***out, struct bg_error *err) BG_MUST_CHECK;

/* Drop the two BEARERGATE_ variables that are for the configuration alone, and no demands. */
void bg_environment_drop_config(char **env);

const char *bg_environment_get(char *const *env, const char *name);	/* the first of that name, borrowed; NULL: none */

/*
 * Has the server put a REQUEST_URI there that it had decoded, as busybox httpd does?  It is then SCRIPT_NAME and PATH_INFO byte by
 * byte; a "%" in it is one that the client wrote as "%25", and a "?" in those two one that it wrote as "%3F": whoever decodes
 * the path once more, or ends it there, reads another one.  BEARERGATE_URI takes its place.
 */
bool bg_environment_has_decoded_uri(char *const *env);

/* A variable to be set, or, with value.ptr NULL, to be taken away. */
struct bg_setting {
	const char     *name;
	struct bg_slice value;
};

/* What a script gets.  Cleared memory can be cleared. */
struct bg_environment {
	char        **vars;	/* as for execve(2); borrowed from the environment it was made of, or from text */
	struct bg_buf text;
};

/*
 * The environment of an allowed script.  Out of env are taken, all copies of them, and with REDIRECT_ in front to any depth:
 *
 *  - what only we may say: CLAIM_*, CLAIMS_JSON, REMOTE_USER, AUTH_TYPE, every name that exports has, BEARERGATE_*; in small
 *    letters too, and with any other character for "_" (SR-80, SR-84);
 *  - HTTP_PROXY, which programs take for theirs (SR-87);
 *  - HTTP_AUTHORIZATION and HTTP_DPOP, unless pass_credentials;
 *  - the names in settings, n_settings of them;
 *  - strings that are no variables;
 *  - of what requests are decided by (bg_metavars_matters), all copies but the first, which is the one that was: a shell or Python
 *    takes the last.
 *
 * Then variables, as bg_export made them, and settings are added.  All else stays as it is and where it is.
 * out is the caller's to clear in any case.  Returns -1 with BG_R_NO_MEMORY, or BG_R_INTERNAL where it is too much.
 */
int bg_environment_make(char *const *env, const struct bg_exports *exports, bool pass_credentials, struct bg_slice variables,
    const struct bg_setting *settings, size_t n_settings, struct bg_environment *out, struct bg_error *err) BG_MUST_CHECK;

void bg_environment_clear(struct bg_environment *environment);

#endif
