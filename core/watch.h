#ifndef BG_CORE_WATCH_H
#define BG_CORE_WATCH_H

#include "core/error.h"

/*
 * Has a file changed?  Its directory is watched by inotify, so that a file that is replaced by rename, or comes and goes,
 * is noticed as well as one written in place, and that of the file a symbolic link leads to; where the system cannot tell
 * (network file systems, no inotify), the caller asks now and then.  Of one thread at a time.
 */
struct bg_watch;

/* path is borrowed; the file need not be there.  Returns -1 with BG_R_NO_MEMORY. */
int bg_watch_new(struct bg_watch **out, const char *path, struct bg_error *err) BG_MUST_CHECK;
void bg_watch_free(struct bg_watch *watch);		/* NULL is fine */

/* A descriptor that becomes readable when it is worth asking, or -1: ask every few seconds.  May change with bg_watch_changed. */
int bg_watch_fd(const struct bg_watch *watch);

/*
 * Is the file another one, or of another size, time or mode, than the last time this was asked?  True at the first time.
 * Makes the descriptor unreadable until there is more to ask about.
 */
bool bg_watch_changed(struct bg_watch *watch);

#endif
