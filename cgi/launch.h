#ifndef BG_CGI_LAUNCH_H
#define BG_CGI_LAUNCH_H

#include "cgi/script.h"

/*
 * Become the script: in its own directory, with these variables, its standard descriptors, signals, limits and everything
 * else as they are.  Returns only where that fails, with BG_R_INTERNAL or BG_R_NO_MEMORY in err.
 *
 * It is executed by its name where nobody but root, this user and the one to whom scripts may belong could have put something
 * else there since it was opened (see bg_trust_name), and it still stands there; then $0 and argv[0] are its path, and no
 * descriptor is left in it.  Else it is executed by its descriptor: a compiled program still gets its path as argv[0], but a
 * script with a "#!" line is opened by its interpreter by the name /dev/fd/N, since its own may mean another file by now; that
 * is its $0, and N stays open in it.  The log has why, at level debug.
 */
void bg_launch(const struct bg_script *script, char *const *vars, struct bg_error *err);

#endif
