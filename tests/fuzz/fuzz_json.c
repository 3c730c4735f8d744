/* The pass before jansson: whatever it lets through, jansson must parse, walk and free without trouble. */
#include <stdint.h>
#include <stdlib.h>

#include "core/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_error err = { 0 };
	struct bg_slice text = { (const char *)data, size };
	struct bg_buf out;
	json_t *root;
	char *again;

	if (bg_json_object(text, BG_R_BAD_CLAIMS, &root, &err) == 0) {
		if ((again = json_dumps(root, JSON_COMPACT)) == NULL)
			abort();
		free(again);
		json_decref(root);
	} else if (err.reason == BG_R_OK || root != NULL)
		abort();
	bg_buf_init(&out, 6 * size + 2);
	bg_json_put_string(&out, text);
	if (out.failed)
		abort();
	for (size_t i = 0; i < out.len; i++)
		if (out.data[i] < 0x20 || out.data[i] > 0x7e || strchr("<>&'", out.data[i]) != NULL)
			abort();	/* SR-83 */
	bg_buf_clear(&out);
	return 0;
}
