#ifndef BG_CGI_LAUNCH_H
#define BG_CGI_LAUNCH_H

#include "cgi/script.h"

/*
 * Become the script: in its own directory, with these variables, its standard descriptors, signals, limits and everything
 * else as they are.  Returns only where that fails, with BG_R_INTERNAL or BG_R_NO_MEMORY in err.
 *
 * A program gets its path as argv[0].  A script with a "#!" line is opened by its interpreter by the name /dev/fd/N, since
 * its own may mean another file by now; that is its $0, and N stays open in it.
 */
void bg_launch(const struct bg_script *script, char *const *vars, struct bg_error *err);

#endif
