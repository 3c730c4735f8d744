#ifndef BG_CGI_LAUNCH_H
#define BG_CGI_LAUNCH_H

#include <signal.h>

#include "cgi/script.h"

/*
 * What becomes of the signals that a write sends to who writes where nobody reads, or more to a file than RLIMIT_FSIZE lets
 * it.  A line of the log must not end this process, in whose place there may be a script that writes nothing there.
 */
struct bg_launch_signals {
	struct sigaction pipe, size;	/* SIGPIPE, SIGXFSZ */
};

/* Ignore both from now on; before is how they were. */
void bg_launch_hold_signals(struct bg_launch_signals *before);

/*
 * Become the script: in its own directory, with these variables, both signals as they were before, and its standard
 * descriptors, other signals, limits and everything else as they are.  Returns only where that fails, with BG_R_INTERNAL or
 * BG_R_NO_MEMORY in err, and holds both signals again.
 *
 * It is executed by its name where nobody but root, this user and the one to whom scripts may belong could have put something
 * else there since it was opened (see bg_trust_name), and it still stands there; then $0 and argv[0] are its path, and no
 * descriptor is left in it.  Else it is executed by its descriptor: a compiled program still gets its path as argv[0], but a
 * script with a "#!" line is opened by its interpreter by the name /dev/fd/N, since its own may mean another file by now; that
 * is its $0, and N stays open in it.  The log has why, at level debug.
 */
void bg_launch(const struct bg_script *script, char *const *vars, const struct bg_launch_signals *before, struct bg_error *err);

#endif
