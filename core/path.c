#include "core/path.h"

#include "core/request.h"

/* Take one character of a path, decoded; -1 when it is one that servers read differently, with the words in *why. */
static int
next_char(struct bg_slice *rest, const char **why)
{
	int c = (unsigned char)rest->ptr[0], high, low;
	bool encoded = c == '%';

	*rest = bg_slice_skip(*rest, 1);
	if (encoded) {
		if (rest->len < 2 || (high = bg_hex_digit(rest->ptr[0])) < 0 || (low = bg_hex_digit(rest->ptr[1])) < 0) {
			*why = "a percent sign without two digits";
			return -1;
		}
		*rest = bg_slice_skip(*rest, 2);
		c = high << 4 | low;
	}
	if (encoded && c == '/')
		*why = "an encoded slash";
	else if (c == '\\')
		*why = "a backslash";
	else if (c == ';')
		*why = "a semicolon";
	else if (c < 0x20 || c == 0x7f)
		*why = "a control character";
	else
		return c;
	return -1;
}

/* Close the segment that began at start: nothing for ".", one segment less for "..". */
static const char *
end_segment(struct bg_buf *path, size_t start, bool empty_before)
{
	struct bg_slice segment = { path->data + start, path->len - start };

	if (bg_slice_equal(segment, BG_SLICE(".")))
		path->len = start;
	else if (bg_slice_equal(segment, BG_SLICE(".."))) {
		if (start == 1)
			return "dot segments that lead above the root";
		if (empty_before)
			return "\"..\" behind an empty segment";
		path->len = start - 1;
		while (path->data[path->len - 1] != '/')
			path->len--;
	}
	return NULL;
}

const char *
bg_path_normalise(struct bg_slice uri, struct bg_buf *path)
{
	struct bg_request request = { .uri = uri };
	struct bg_slice rest = bg_request_path(&request);
	const char *why = NULL;
	bool empty = false;	/* has there been an empty segment? */
	size_t start;

	/*
	 * "*" of OPTIONS and the authority of CONNECT are no paths; the empty path of an absolute form is "/".  Apache leaves
	 * out a REQUEST_URI that is too long for it: what is not there is not "/".
	 */
	if (rest.len > 0 ? rest.ptr[0] != '/' : !bg_request_is_absolute(&request))
		return "no beginning, or is missing";
	if (rest.ptr + rest.len < uri.ptr + uri.len && rest.ptr[rest.len] == '#')
		return "a fragment";
	bg_buf_put_char(path, '/');
	start = path->len;
	if (rest.len > 0)
		rest = bg_slice_skip(rest, 1);
	while (rest.len > 0 && !path->failed) {
		if (rest.ptr[0] == '/') {
			empty |= path->len == start;
			if ((why = end_segment(path, start, empty)) != NULL)
				return why;
			rest = bg_slice_skip(rest, 1);
			if (path->data[path->len - 1] != '/')
				bg_buf_put_char(path, '/');
			start = path->len;
		} else {
			int c = next_char(&rest, &why);

			if (c < 0)
				return why;
			bg_buf_put_char(path, (char)c);
		}
	}
	if (path->failed)
		return "too long";
	return end_segment(path, start, empty);
}

bool
bg_path_is_below(struct bg_slice path, struct bg_slice location)
{
	while (location.len > 0 && location.ptr[location.len - 1] == '/')
		location.len--;
	return bg_slice_starts(path, location) && (path.len == location.len || path.ptr[location.len] == '/');
}
