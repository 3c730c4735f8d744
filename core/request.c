#include "core/request.h"

struct bg_slice
bg_request_path(const struct bg_request *request)
{
	struct bg_slice path = request->uri;
	const char *end;

	/* Apache keeps the absolute form; authority ends at the first slash.  RFC 9112 section 3.2.2. */
	if (path.len > 0 && path.ptr[0] != '/' && (end = memmem(path.ptr, path.len, "://", 3)) != NULL) {
		path = bg_slice_skip(path, (size_t)(end - path.ptr) + 3);
		while (path.len > 0 && path.ptr[0] != '/' && path.ptr[0] != '?' && path.ptr[0] != '#')
			path = bg_slice_skip(path, 1);
	}
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '?' || path.ptr[i] == '#')
			path.len = i;
	return path;
}
