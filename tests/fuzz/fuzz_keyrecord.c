/* What may stand on a damaged disk: a record of keys.  core/keyrecord.c. */
#include <stdint.h>
#include <stdlib.h>

#include "core/keyrecord.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bg_keyrecord_owner owner = { "https://issuer.example/", "" };
	struct bg_slice bytes = { (const char *)data, size }, again;
	struct bg_keyrecord record;
	struct bg_error err = { 0 };
	struct bg_buf out;

	bg_keyrecord_init(&record);
	bg_buf_init(&out, 2 * BG_FETCH_MAX);
	if (bg_keyrecord_read(bytes, &owner, &record, &err) == 0) {
		/* what is taken is what would be written, byte for byte */
		bg_keyrecord_write(&record, &owner, &out);
		if (bg_buf_finish(&out, &again, NULL) != 0 || !bg_slice_equal(bytes, again))
			abort();
	} else if (err.reason != BG_R_BAD_CACHE || record.text.len != 0 || record.fetched != 0)
		abort();
	bg_buf_clear(&out);
	bg_keyrecord_clear(&record);
	return 0;
}
