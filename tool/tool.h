#ifndef BG_TOOL_TOOL_H
#define BG_TOOL_TOOL_H

#include <getopt.h>
#include <sys/types.h>

#include "conf/conf.h"

/* The verbs, a file each.  argv[0] is the verb; what comes back is an exit code of sysexits(3), the reason said. */
int bg_verb_check(int argc, char **argv);
int bg_verb_doctor(int argc, char **argv);
int bg_verb_init(int argc, char **argv);
int bg_verb_keys(int argc, char **argv);
int bg_verb_mint(int argc, char **argv);

/* What verbs share; in main.c. */

/* One line on stderr, for the operator. */
void bg_verb_say(const char *fmt, ...) BG_PRINTF(1, 2);

/* The same with a word on where help is; always returns EX_USAGE. */
int bg_verb_usage(const char *fmt, ...) BG_PRINTF(1, 2);

/*
 * Say what getopt_long did not like when it returned c, ':' or '?'.  opterr must be 0 and the short options begin with
 * ":".  Never repeats a value, which may be a secret.  Always returns EX_USAGE.
 */
int bg_verb_bad_option(int c, char *const *argv, const struct option *longopts);

/* Load the configuration and say what is to be said about it, remarks too.  *out is the caller's: bg_conf_free. */
int bg_verb_load(struct bg_conf **out, const struct bg_conf_sources *from) BG_MUST_CHECK;

/* Print text on stdout and see that it arrived: returns EX_OK, or says why not and returns EX_IOERR. */
int bg_verb_print(struct bg_slice text) BG_MUST_CHECK;

/*
 * Make path hold text with this mode, whole or not at all.  Without replace a file that is there stays, also when it
 * came between our looking and our writing.  Returns an exit code, the reason said.
 */
int bg_verb_write(const char *path, struct bg_slice text, mode_t mode, bool replace) BG_MUST_CHECK;

#endif
