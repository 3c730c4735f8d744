/*
 * A request target, as any client can send it: core/path.c.  What comes out is a path that no server reads in two ways:
 * read once more it stays as it is, and every file system finds by it what every other one finds (SR-70, SR-71).
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/path.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The path written so that decoding gives back its bytes. */
static void
encode(struct bg_slice path, struct bg_buf *out)
{
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/')
			bg_buf_put_char(out, '/');
		else
			bg_buf_put_format(out, "%%%02x", (unsigned char)path.ptr[i]);
}

static void
check_clean(struct bg_slice path)
{
	size_t start = 1;

	MUST(path.len > 0 && path.ptr[0] == '/');
	for (size_t i = 0; i < path.len; i++)
		MUST((unsigned char)path.ptr[i] >= 0x20 && path.ptr[i] != 0x7f && path.ptr[i] != '\\' && path.ptr[i] != ';');
	for (size_t i = 1; i <= path.len; i++) {
		if (i < path.len && path.ptr[i] != '/')
			continue;
		MUST(i > start || i == path.len);	/* no empty segment but at the end */
		MUST(!(i - start == 1 && path.ptr[start] == '.'));
		MUST(!(i - start == 2 && path.ptr[start] == '.' && path.ptr[start + 1] == '.'));
		start = i + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_slice uri = { (const char *)data, size }, path, text;
	struct bg_buf first, again, spelt, query;

	bg_buf_init(&first, BG_URI_MAX);
	bg_buf_init(&again, BG_URI_MAX);
	bg_buf_init(&query, 2 * BG_URI_MAX);
	bg_buf_init(&spelt, 4 * BG_URI_MAX);
	if (bg_path_normalise(uri, &first) == NULL) {
		MUST(bg_buf_finish(&first, &path, NULL) == 0);
		check_clean(path);
		encode(path, &spelt);
		MUST(bg_buf_finish(&spelt, &text, NULL) == 0);
		MUST(bg_path_normalise(text, &again) == NULL);
		MUST(again.len == path.len && memcmp(again.data, path.ptr, path.len) == 0);
		/* nothing behind a "?" has a say (SR-71) */
		if (size < BG_URI_MAX) {
			bg_buf_put(&query, uri);
			bg_buf_put_str(&query, memchr(data, '?', size) != NULL ? "/../x#%" : "?/../x#%");
			bg_buf_reset(&again);
			MUST(bg_buf_finish(&query, &text, NULL) == 0);
			MUST(bg_path_normalise(text, &again) == NULL);
			MUST(again.len == path.len && memcmp(again.data, path.ptr, path.len) == 0);
		}
		MUST(bg_path_is_below(path, BG_SLICE("/")));
		MUST(bg_path_is_below(path, path));
		/* below a location is below each one above it */
		MUST(!bg_path_is_below(path, BG_SLICE("/a/b")) || bg_path_is_below(path, BG_SLICE("/a/")));
	}
	bg_buf_clear(&first);
	bg_buf_clear(&again);
	bg_buf_clear(&spelt);
	bg_buf_clear(&query);
	return 0;
}
