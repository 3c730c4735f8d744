#ifndef BG_CORE_CLOCK_H
#define BG_CORE_CLOCK_H

#include <stdint.h>

/* The only three places that ask the system for the time; everything else is handed a number. */
int64_t bg_clock_wall(void);	/* seconds since the epoch, for what tokens say */
/* milliseconds of a clock that never jumps and goes on in suspend, for lifetimes and deadlines */
int64_t bg_clock_mono_ms(void);
int64_t bg_clock_mono_us(void);	/* microseconds of CLOCK_MONOTONIC, for those who compare it with their own reading */

/* The time of one decision or one refresh, read once and handed on. */
struct bg_now {
	int64_t wall;		/* bg_clock_wall() */
	int64_t wall_ms;	/* the same in milliseconds */
	int64_t mono_ms;	/* bg_clock_mono_ms() */
};
struct bg_now bg_clock_now(void);

#endif
