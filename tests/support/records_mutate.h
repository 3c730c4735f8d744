#ifndef BG_TESTS_SUPPORT_RECORDS_MUTATE_H
#define BG_TESTS_SUPPORT_RECORDS_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* Numbers that the same seed makes again; a seed of 0 is one like any other. */
struct bg_dice {
	uint64_t state;
};
uint32_t bg_dice_roll(struct bg_dice *dice, uint32_t sides);	/* 0 to sides - 1; sides is not 0 */

/*
 * Change bytes that may be FastCGI records in one way that keeps most of them records: one is repeated, dropped, cut in two,
 * joined to the next, moved, padded, or gets another type, id, version or content; lengths of names and values are written
 * anew; now and then a byte changes blindly.  data has room for max bytes.  Returns the new size, at most max.
 */
size_t bg_rec_mutate(uint8_t *data, size_t size, size_t max, struct bg_dice *dice);

#endif
