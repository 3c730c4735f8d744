#ifndef BG_CORE_KIDMEMORY_H
#define BG_CORE_KIDMEMORY_H

#include <stdint.h>

#include "core/slice.h"

#define BG_KIDMEMORY_SETS	128
#define BG_KIDMEMORY_WAYS	4

/*
 * The kids for which the issuer was asked lately, so that a client with a token of nobody's key does not make us ask for it
 * again and again (SR-50).  Of bounded size: strangers with many kids push others out, whom the cooldown then has to hold
 * back.  For a short time only: who guesses a kid that is still to come must not lock it out for long.
 * Cleared memory remembers nothing.  The storage and the lock are the caller's; times are in milliseconds.
 */
struct bg_kidmemory {
	struct bg_kidmemory_entry {
		unsigned char tag[16];	/* of the SHA-256 of the kid */
		int64_t       until;
	} entries[BG_KIDMEMORY_SETS][BG_KIDMEMORY_WAYS];
};

bool bg_kidmemory_has(const struct bg_kidmemory *memory, struct bg_slice kid, int64_t now);
void bg_kidmemory_put(struct bg_kidmemory *memory, struct bg_slice kid, int64_t now, int64_t until);

#endif
