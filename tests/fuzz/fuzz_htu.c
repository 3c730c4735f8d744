/*
 * A URL as a proof has it, and the parts of one as a client and proxies send them: core/htu.h.  The normal form is its own
 * normal form, holds no byte that would make it another URL for someone else, and no part has a say about another (SR-60).
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/htu.h"
#include "core/limits.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes up to the next line end: no part may have one, so nothing is lost by it. */
static struct bg_slice
take_line(struct bg_slice *rest)
{
	const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
	struct bg_slice line = { rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len };

	*rest = end != NULL ? bg_slice_skip(*rest, line.len + 1) : (struct bg_slice){ NULL, 0 };
	return line;
}

/* Returns where the path begins. */
static size_t
check_form(struct bg_slice form)
{
	size_t path = bg_slice_starts(form, BG_SLICE("https://")) ? 8 : 7, segment;

	MUST(form.len > path && form.len <= BG_URI_MAX);
	MUST(path == 8 || bg_slice_starts(form, BG_SLICE("http://")));
	for (size_t i = 0; i < form.len; i++)
		MUST(form.ptr[i] > 0x20 && form.ptr[i] < 0x7f && form.ptr[i] != '?' && form.ptr[i] != '#');
	MUST(form.ptr[path] != '/' && form.ptr[path] != ':');
	while (path < form.len && form.ptr[path] != '/') {
		MUST(strchr("@,\\", form.ptr[path]) == NULL);
		path++;
	}
	MUST(path < form.len);
	segment = path + 1;
	for (size_t i = segment; i <= form.len; i++)
		if (i == form.len || form.ptr[i] == '/') {
			MUST(!(i - segment == 1 && form.ptr[segment] == '.'));
			MUST(!(i - segment == 2 && form.ptr[segment] == '.' && form.ptr[segment + 1] == '.'));
			segment = i + 1;
		}
	return path;
}

static void
check_again(struct bg_slice form)
{
	struct bg_buf again;

	bg_buf_init(&again, BG_URI_MAX);
	MUST(bg_htu_normalise(form, &again) == NULL);
	MUST(again.len == form.len && memcmp(again.data, form.ptr, form.len) == 0);
	bg_buf_clear(&again);
}

static void
check_url(struct bg_slice url)
{
	struct bg_slice form;
	struct bg_buf out;

	bg_buf_init(&out, 4 * BG_URI_MAX);
	if (bg_htu_normalise(url, &out) == NULL) {
		MUST(bg_buf_finish(&out, &form, NULL) == 0);
		check_form(form);
		check_again(form);
	}
	bg_buf_clear(&out);
}

static void
check_parts(struct bg_slice scheme, struct bg_slice authority, struct bg_slice prefix, struct bg_slice target)
{
	struct bg_slice form, bare;
	struct bg_buf out, other;
	bool host_wrong;
	size_t path;

	bg_buf_init(&out, 4 * BG_URI_MAX);
	bg_buf_init(&other, 4 * BG_URI_MAX);
	if (bg_htu_build(scheme, authority, prefix, target, &out, &host_wrong) == NULL) {
		MUST(!host_wrong && bg_htu_prefix_wrong(prefix) == NULL);
		MUST(bg_buf_finish(&out, &form, NULL) == 0);
		path = check_form(form);
		check_again(form);
		/* without prefix and target it is the same server, and the prefix stands before whatever the target is */
		MUST(bg_htu_build(scheme, authority, prefix, BG_SLICE("/"), &other, &host_wrong) == NULL);
		MUST(bg_buf_finish(&other, &bare, NULL) == 0);
		MUST(bg_slice_starts(form, bare));
		bg_buf_reset(&other);
		MUST(bg_htu_build(scheme, authority, (struct bg_slice){ NULL, 0 }, BG_SLICE("/"), &other, &host_wrong) == NULL);
		MUST(bg_buf_finish(&other, &bare, NULL) == 0);
		MUST(bare.len == path + 1 && bg_slice_starts(form, bare));
	} else if (host_wrong) {
		/* then it is so whatever the rest says */
		bg_buf_reset(&other);
		MUST(bg_htu_build(scheme, authority, (struct bg_slice){ NULL, 0 }, BG_SLICE("/"), &other, &host_wrong) != NULL);
		MUST(host_wrong);
	}
	bg_buf_clear(&out);
	bg_buf_clear(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_slice rest = { (const char *)data, size }, scheme, authority, prefix;

	check_url(rest);
	scheme = take_line(&rest);
	check_url(scheme);
	authority = take_line(&rest);
	prefix = take_line(&rest);
	check_parts(scheme, authority, prefix, rest);
	return 0;
}
