#ifndef BG_CGI_SCRIPT_H
#define BG_CGI_SCRIPT_H

#include <sys/types.h>

#include "cgi/environment.h"

/* What the configuration says of the script to run. */
struct bg_script_options {
	const char *script;	/* this one; NULL: the server says which */
	const char *root;	/* nothing that is not below this directory; NULL: nothing but script */
	uid_t       owner;	/* to whom it may belong, too; 0: to this user and root alone */
};

#define BG_SCRIPT_SETTINGS	4

/* A script that may run, opened once: what is run is what was looked at, whatever others do to its name (SR-88). */
struct bg_script {
	int             fd;		/* close-on-exec; of a text open for reading, else O_PATH; -1: none */
	int             dir;		/* the directory it is in, the same */
	char           *path;		/* absolute */
	uid_t           owner;		/* to whom it and its directories may belong, too; 0: to nobody else */
	bool            is_text;	/* it begins with "#!" */
	bool            unreadable;	/* whether it does is not known: a compiled program may be like that, and nothing else */
	char           *interpreter;	/* where its "#!" line names this wrapper: what is to run it; else NULL */
	char           *argument;	/* and an argument for that; or NULL */
	char *const    *words;		/* what else was in argv: for the script, as the server gave it; borrowed */
	struct bg_setting settings[BG_SCRIPT_SETTINGS];	/* variables that described the wrapper, put right for the script */
	size_t          n_settings;
	char           *translated;	/* what one of them points to */
};

/*
 * Find and open the script that a call is for.  Which one, by how this program was called:
 *
 *  - options->script, whatever else is said;
 *  - where SCRIPT_FILENAME is this program itself, as with Apache's Action: PATH_TRANSLATED, of which what stands behind the
 *    script is path info.  Only in a request that was redirected here, which REDIRECT_STATUS, and REDIRECT_URL equal to
 *    PATH_INFO, tell: no client can reach another program, or skip its demands, by naming this one's URL;
 *  - SCRIPT_FILENAME where it, or its last part, stands in argv too: first, as with lighttpd's cgi.assign, or second, behind
 *    the rest of a "#!" line that names this program.
 *
 * So nothing that a server made of a query string can choose (SR-88).  Links below the root are not followed, nor is "..".
 * Script, root and directories between them must belong to this user, to root or to options->owner, and be writable for nobody
 * else, as suexec has it; the script is a regular file that this user may execute, and not this program.
 *
 * env and argv are borrowed by out, which is the caller's to clear in any case.  Returns -1 with BG_R_INTERNAL and *missing
 * false for what may not be run, or true where there is no such file; or with BG_R_NO_MEMORY.
 */
int bg_script_open(const struct bg_script_options *options, char *const *argv, char *const *env, struct bg_script *out,
    bool *missing, struct bg_error *err) BG_MUST_CHECK;

/*
 * Open the file beside a script that has its name and suffix behind it, in the directory where the script was opened and never
 * as a link.  It must be a regular file of this user, of root or of the script's owner, and nobody else's to write.  *fd is its
 * descriptor, the caller's to close, or -1 where there is none; *path, of which that holds too, says where it is in any case.
 * Returns -1 with BG_R_INTERNAL, or BG_R_NO_MEMORY; *fd is then -1, but never for want of a look.
 */
int bg_script_open_beside(const struct bg_script *script, const char *suffix, int *fd, char **path,
    struct bg_error *err) BG_MUST_CHECK;

void bg_script_clear(struct bg_script *script);

/*
 * The first line of a script, as Linux reads it: "#!", what is to run, and one argument.  What stands behind the word that is
 * to run is taken apart once more, for scripts that name this program there, and behind it their interpreter.
 */
#define BG_SCRIPT_LINE_MAX	255

struct bg_script_line {
	char  text[BG_SCRIPT_LINE_MAX + 1];	/* the words below are in it; "": there is none */
	char *program;
	char *interpreter;
	char *argument;		/* without blanks at its ends */
};

/* bytes: the beginning of a file, of which no more than BG_SCRIPT_LINE_MAX counts.  False: it has no such line. */
bool bg_script_line_read(struct bg_slice bytes, struct bg_script_line *out);

/*
 * Was this program called by Apache's Action, or in the same way: does SCRIPT_FILENAME name it, in a request that was redirected
 * here from the very path that PATH_INFO has?
 */
bool bg_script_by_action(char *const *env);

#endif
