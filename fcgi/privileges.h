#ifndef BG_FCGI_PRIVILEGES_H
#define BG_FCGI_PRIVILEGES_H

#include "conf/conf.h"

/*
 * Options user and group.  All of these return 0, or what fits of sysexits(3), BG_R_INTERNAL and the sentence to print:
 * EX_NOPERM for what this process may not, EX_CONFIG for a user who is gone since conf was checked, EX_OSERR for the rest.
 */

/* Is there anything to give up: are we root, and are to be somebody else? */
bool bg_privileges_are_surplus(const struct bg_conf *conf);

/* Could this process be whom the configuration says?  Nothing is changed. */
int bg_privileges_check(const struct bg_conf *conf, struct bg_error *err) BG_MUST_CHECK;

/*
 * As root: make the file of the log for the user, where there is none, so that he can open it.  root does not open one that is
 * there: where the directory is his, it may be a link to what root alone may write to.  What goes wrong is left to whoever opens it.
 */
void bg_privileges_make_log(const struct bg_conf *conf);

/*
 * Be that user, with his groups and without any capability, in all threads and for ever: it is tried whether there is a way
 * back.  After an error this process is nobody who should serve.  Where there is nothing to give up, nothing comes of it.
 */
int bg_privileges_drop(const struct bg_conf *conf, struct bg_error *err) BG_MUST_CHECK;

/*
 * After that: can we use what is written later, that is the log once more, and the copies of keys?  What is read later is
 * seen by reading the configuration again.
 */
int bg_privileges_look(const struct bg_conf *conf, struct bg_error *err) BG_MUST_CHECK;

#endif
