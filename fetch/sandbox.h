#ifndef BG_FETCH_SANDBOX_H
#define BG_FETCH_SANDBOX_H

#include "core/slice.h"

/*
 * From now on, and for every thread to come, the kernel takes only the system calls that one download needs: no program
 * is run, no process made or traced, no file written, renamed or removed, no socket listens, no identity changes.
 * Whatever else is tried fails with EPERM.  Returns 0, or -1 with errno.  To be called with one thread.
 *
 * SR-90.
 */
int bg_sandbox_enter(void) BG_MUST_CHECK;

#endif
