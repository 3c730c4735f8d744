#ifndef BG_CGI_NARROW_H
#define BG_CGI_NARROW_H

#include "cgi/environment.h"
#include "conf/conf.h"

/*
 * What the file beside a script demands, SCRIPT.bearergate, which bg_script_open_beside has opened as fd and which is at path.  It
 * adds to what the server and the configuration demand, and can take nothing away.  One that cannot be used is BG_R_INTERNAL, with
 * path and line in the detail, or BG_R_NO_MEMORY: then the script must not run.
 */
#define BG_NARROW_SUFFIX	".bearergate"

/*
 * For whoever decides: one rule more that a token has to meet.  out borrows from gate and is the caller's to clear in any case,
 * bg_rule_clear; after a failure no token meets it.
 */
int bg_narrow_rule(int fd, const char *path, const struct bg_conf *conf, const struct bg_gate *gate, struct bg_rule *out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * For whoever has the daemon decide: the environment with the variables that say so.  Scopes, permissions and policies, which are
 * the daemon's, join those that env has; what no variable can say is refused: blocks, and any_scope where env has one.
 * *out and text, which is initialised here, are the caller's to free in any case; strings are borrowed from both.  narrow_ask.c
 */
int bg_narrow_variables(int fd, const char *path, char *const *env, struct bg_buf *text, char ***out,
    struct bg_error *err) BG_MUST_CHECK;

/* A line of a report that is to be told as an error; rc is that of what wrote it. */
int bg_narrow_fail(struct bg_buf *report, int rc, const char *path, struct bg_error *err);

#endif
