#ifndef BG_CORE_FILTER_H
#define BG_CORE_FILTER_H

#include <stdint.h>

#include "core/slice.h"

/*
 * A filter of system calls: what a program of ours may ask of the kernel.  What is not on its list fails with EPERM, and
 * nothing else happens to the program: a library that asks for more than it did when the list was made gets an error, as it
 * does from a file that it may not read, and the error is told like any other.
 *
 * SR-90.
 */

/* By what the kernel is told: "seccomp"; or "none" where this was built without it, and all may be done. */
extern const char bg_filter_kind[];

/* One call that may be made, with such arguments alone.  Of several rows for one call, one must fit. */
struct bg_filter_call {
	const char *name;	/* as in syscalls(2); what this machine does not have needs no rule */
	unsigned    n;		/* of the arguments below; 0: whatever the arguments are */
	struct { unsigned index; uint64_t mask, value; } args[2];	/* argument & mask == value */
};
#define BG_FILTER_IS(i, v)		{ (i), UINT64_MAX, (v) }
#define BG_FILTER_BITS(i, m, v)		{ (i), (m), (v) }
#define BG_FILTER_ALL(s)		{ .name = (s) }

struct bg_filter_calls {
	const struct bg_filter_call *calls;
	size_t n;
};

/*
 * From now on, and for every thread to come, only these calls are taken, and those that any program of ours with threads may
 * make: memory, which can be written or run but not both; threads, no processes; clocks; files opened for reading, and
 * reading and writing what is open.  To be called with one thread.  Returns 0, or -1 with errno.
 */
int bg_filter_load(const struct bg_filter_calls *lists, size_t n) BG_MUST_CHECK;

#endif
