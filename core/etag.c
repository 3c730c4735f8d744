#include "core/etag.h"

#include "core/limits.h"

bool
bg_etag_good(struct bg_slice text)
{
	if (text.len > BG_ETAG_MAX)
		return false;
	if (bg_slice_starts(text, BG_SLICE("W/")))
		text = bg_slice_skip(text, 2);
	if (text.len < 2 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"')
		return false;
	for (size_t i = 1; i < text.len - 1; i++)
		if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f || text.ptr[i] == '"')	/* a signed char is below, too */
			return false;
	return true;
}
