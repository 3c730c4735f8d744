/* How libFuzzer changes the inputs of fuzz_records: half of the time as records, else as bytes. */
#include "tests/support/records_mutate.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct bg_dice dice = { seed };

	if (bg_dice_roll(&dice, 2) == 0)
		return LLVMFuzzerMutate(data, size, max);
	for (unsigned n = bg_dice_roll(&dice, 4) + 1; n > 0; n--)
		size = bg_rec_mutate(data, size, max, &dice);
	return size;
}
