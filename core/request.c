#include "core/request.h"

/* The length of "http://" or the like at the start of an absolute form; 0 when this is none.  RFC 3986 section 3.1. */
static size_t
scheme_len(struct bg_slice uri)
{
	size_t n = 0;

	while (n < uri.len && ((uri.ptr[n] >= 'a' && uri.ptr[n] <= 'z') || (uri.ptr[n] >= 'A' && uri.ptr[n] <= 'Z') ||
	    (n > 0 && ((uri.ptr[n] >= '0' && uri.ptr[n] <= '9') || uri.ptr[n] == '+' || uri.ptr[n] == '-' || uri.ptr[n] == '.'))))
		n++;
	return n > 0 && bg_slice_starts(bg_slice_skip(uri, n), BG_SLICE("://")) ? n + 3 : 0;
}

bool
bg_request_is_absolute(const struct bg_request *request)
{
	return scheme_len(request->uri) > 0;
}

struct bg_slice
bg_request_path(const struct bg_request *request)
{
	struct bg_slice path = request->uri;
	size_t n = scheme_len(path);

	/* Apache keeps the absolute form; authority ends at the first slash.  RFC 9112 section 3.2.2. */
	if (n > 0) {
		path = bg_slice_skip(path, n);
		while (path.len > 0 && path.ptr[0] != '/' && path.ptr[0] != '?' && path.ptr[0] != '#')
			path = bg_slice_skip(path, 1);
	}
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '?' || path.ptr[i] == '#')
			path.len = i;
	return path;
}
