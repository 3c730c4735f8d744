#include "core/htu.h"

#include <arpa/inet.h>

#include "core/limits.h"
#include "core/request.h"

/* RFC 9110 sections 4.2.1 and 4.2.2. */
static const struct scheme {
	struct bg_slice name;
	struct bg_slice port;	/* what no port means */
} schemes[] = {
	{ BG_SLICE_INIT("http"), BG_SLICE_INIT("80") },
	{ BG_SLICE_INIT("https"), BG_SLICE_INIT("443") },
};

enum part { HOST, PATH };

static bool
is_upper(unsigned char c)
{
	return c >= 'A' && c <= 'Z';
}

/* RFC 3986 section 2.3. */
static bool
is_unreserved(unsigned char c)
{
	return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

static const struct scheme *
find_scheme(struct bg_slice name)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (bg_slice_equal_nocase(name, schemes[i].name))
			return &schemes[i];
	return NULL;
}

/* The scheme of an absolute URL, taken off with its "://"; NULL when it is none of ours. */
static const struct scheme *
take_scheme(struct bg_slice *rest)
{
	const struct scheme *scheme;
	size_t n = 0;

	while (n < rest->len && rest->ptr[n] != ':')
		n++;
	if ((scheme = find_scheme((struct bg_slice){ rest->ptr, n })) == NULL ||
	    !bg_slice_starts(bg_slice_skip(*rest, n), BG_SLICE("://")))
		return NULL;
	*rest = bg_slice_skip(*rest, n + strlen("://"));
	return scheme;
}

/* What of rest stands before the path, or before query and fragment; taken off. */
static struct bg_slice
take_until(struct bg_slice *rest, bool path)
{
	struct bg_slice taken = { rest->ptr, 0 };

	while (taken.len < rest->len && rest->ptr[taken.len] != '?' && rest->ptr[taken.len] != '#' &&
	    !(path && rest->ptr[taken.len] == '/'))
		taken.len++;
	if (taken.len > 0)
		*rest = bg_slice_skip(*rest, taken.len);
	return taken;
}

/*
 * Percent-encodings are whole, and what is not encoded may stand there.  A host has unreserved characters alone: no name of
 * a host has others, and with a comma it would be a list.
 */
static const char *
text_wrong(struct bg_slice text, enum part part)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '%') {
			if (text.len - i < 3 || bg_hex_digit(text.ptr[i + 1]) < 0 || bg_hex_digit(text.ptr[i + 2]) < 0)
				return "has a \"%\" in it without two hexadecimal digits";
			i += 2;
		} else if (c <= 0x20 || c == 0x7f)
			return "has a space or a control character in it";
		else if (part == HOST && c < 0x80 && !is_unreserved(c))
			return "has a character in it that no host may have";
		else if (c == '?' || c == '#')
			return "has a query or a fragment";
	}
	return NULL;
}

/* Text with nothing wrong in it, in the normal form.  RFC 3986 sections 6.2.2.1 and 6.2.2.2. */
static void
put_text(struct bg_slice text, enum part part, struct bg_buf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	while (text.len > 0) {
		unsigned char c = (unsigned char)text.ptr[0];
		bool encode = c >= 0x80;
		size_t n = 1;

		if (c == '%') {
			c = (unsigned char)(bg_hex_digit(text.ptr[1]) << 4 | bg_hex_digit(text.ptr[2]));
			encode = !is_unreserved(c);
			n = 3;
		}
		if (encode)
			bg_buf_put(out, (struct bg_slice){ (char[]){ '%', digits[c >> 4], digits[c & 15] }, 3 });
		else
			bg_buf_put_char(out, (char)(part == HOST && is_upper(c) ? c | 0x20 : c));
		text = bg_slice_skip(text, n);
	}
}

/* An IPv6 address in brackets: inet_ntop writes the one spelling of RFC 5952.  Knows no zones and no IPvFuture. */
static const char *
put_ipv6(struct bg_slice host, struct bg_buf *out)
{
	char text[INET6_ADDRSTRLEN];
	struct bg_slice inner = { host.ptr + 1, host.len - 2 };
	struct in6_addr address;

	if (host.len < 2 || host.ptr[host.len - 1] != ']' || inner.len >= sizeof(text))
		return "has a malformed IPv6 address";
	memcpy(text, inner.ptr, inner.len);
	text[inner.len] = '\0';
	if (strlen(text) != inner.len || inet_pton(AF_INET6, text, &address) != 1 ||
	    inet_ntop(AF_INET6, &address, text, sizeof(text)) == NULL)
		return "has a malformed IPv6 address";
	bg_buf_put_char(out, '[');
	bg_buf_put_str(out, text);
	bg_buf_put_char(out, ']');
	return NULL;
}

static const char *
put_host(struct bg_slice host, struct bg_buf *out)
{
	size_t start = out->len;
	const char *wrong;

	if (host.len == 0)
		return "has no host";
	if (host.ptr[0] == '[')
		return put_ipv6(host, out);
	if ((wrong = text_wrong(host, HOST)) != NULL)
		return wrong;
	put_text(host, HOST, out);
	return out->len - start <= BG_HOST_MAX ? NULL : "has a host that is too long";
}

/* Without leading zeros: nobody writes them, and so a port has one spelling.  Empty is the scheme's own. */
static bool
is_port(struct bg_slice port)
{
	unsigned long n = 0;

	if (port.len > 5 || (port.len > 0 && port.ptr[0] == '0'))
		return false;
	for (size_t i = 0; i < port.len; i++) {
		if (port.ptr[i] < '0' || port.ptr[i] > '9')
			return false;
		n = n * 10 + (unsigned long)(port.ptr[i] - '0');
	}
	return n <= 65535;
}

/* Host and perhaps port, and nothing else: user information ends in "@", which no host has.  RFC 3986 section 3.2. */
static const char *
put_authority(const struct scheme *scheme, struct bg_slice authority, struct bg_buf *out)
{
	struct bg_slice host = { authority.ptr, 0 }, port = { NULL, 0 };
	bool brackets = authority.len > 0 && authority.ptr[0] == '[';
	const char *wrong;

	while (host.len < authority.len && (brackets || authority.ptr[host.len] != ':')) {
		brackets &= authority.ptr[host.len] != ']';
		host.len++;
	}
	if (host.len < authority.len)
		port = bg_slice_skip(authority, host.len + 1);
	if ((wrong = put_host(host, out)) != NULL)
		return wrong;
	if (!is_port(port))
		return "has a bad port";
	if (port.len > 0 && !bg_slice_equal(port, scheme->port)) {
		bg_buf_put_char(out, ':');
		bg_buf_put(out, port);
	}
	return NULL;
}

static struct bg_slice
first_segment(struct bg_slice path)
{
	const char *slash = path.len > 0 ? memchr(path.ptr, '/', path.len) : NULL;

	return slash != NULL ? (struct bg_slice){ path.ptr, (size_t)(slash - path.ptr) } : path;
}

/* 1 for the segment ".", 2 for "..", however they are encoded; else 0. */
static size_t
dots(struct bg_slice segment)
{
	size_t n = 0;

	while (segment.len > 0) {
		if (segment.ptr[0] == '.')
			segment = bg_slice_skip(segment, 1);
		else if (segment.len >= 3 && bg_slice_equal_nocase((struct bg_slice){ segment.ptr, 3 }, BG_SLICE("%2e")))
			segment = bg_slice_skip(segment, 3);
		else
			return 0;
		n++;
	}
	return n <= 2 ? n : 0;
}

/* A path with nothing wrong in it; empty, it is "/".  RFC 3986 sections 5.2.4 and 6.2.3. */
static void
put_path(struct bg_slice path, struct bg_buf *out)
{
	size_t root;
	bool last;

	bg_buf_put_char(out, '/');
	root = out->len;
	if (path.len > 0)
		path = bg_slice_skip(path, 1);
	do {
		struct bg_slice segment = first_segment(path);

		last = segment.len == path.len;
		switch (dots(segment)) {
		case 1:
			break;
		case 2:
			if (out->len > root)	/* above the root there is nothing to take back */
				out->len--;
			while (out->len > root && out->data[out->len - 1] != '/')
				out->len--;
			break;
		default:
			put_text(segment, PATH, out);
			if (!last)
				bg_buf_put_char(out, '/');
		}
		if (!last)
			path = bg_slice_skip(path, segment.len + 1);
	} while (!last && !out->failed);
}

/* The normal form that began at start is one that would be taken again. */
static const char *
too_long(const struct bg_buf *out, size_t start)
{
	return out->failed || out->len - start > BG_URI_MAX ? "is too long" : NULL;
}

static void
put_scheme(const struct scheme *scheme, struct bg_buf *out)
{
	bg_buf_put(out, scheme->name);
	bg_buf_put_str(out, "://");
}

const char *
bg_htu_normalise(struct bg_slice url, struct bg_buf *out)
{
	size_t start = out->len;
	const struct scheme *scheme;
	struct bg_slice rest = url, authority, path;
	const char *wrong;

	if (url.len > BG_URI_MAX)
		return "is too long";
	if ((scheme = take_scheme(&rest)) == NULL)
		return "does not begin with http:// or https://";
	authority = take_until(&rest, true);
	path = take_until(&rest, false);
	put_scheme(scheme, out);
	if ((wrong = put_authority(scheme, authority, out)) != NULL || (wrong = text_wrong(path, PATH)) != NULL)
		return wrong;
	put_path(path, out);
	return too_long(out, start);
}

const char *
bg_htu_prefix_wrong(struct bg_slice prefix)
{
	struct bg_slice segment;
	const char *wrong;

	if (prefix.len == 0)
		return NULL;
	if (prefix.len > BG_URI_MAX)
		return "is too long";
	if (prefix.ptr[0] != '/')
		return "does not begin with \"/\"";
	if ((wrong = text_wrong(prefix, PATH)) != NULL)
		return wrong;
	do {
		prefix = bg_slice_skip(prefix, 1);
		segment = first_segment(prefix);
		if (dots(segment) == 2)
			return "has \"..\" in it";
		prefix = bg_slice_skip(prefix, segment.len);
	} while (prefix.len > 0);
	return NULL;
}

/* The path of a request target, with nothing wrong in it.  RFC 9112 sections 3.2.1 and 3.2.2. */
static const char *
target_path(struct bg_slice target, struct bg_slice *path)
{
	struct bg_request request = { .uri = target };
	struct bg_slice rest = target;

	if (target.len > BG_URI_MAX)
		return "is too long";
	*path = bg_request_path(&request);
	if (path->len > 0 ? path->ptr[0] != '/' : !bg_request_is_absolute(&request))
		return "is no path";
	if (target.ptr[0] != '/' && take_scheme(&rest) == NULL)
		return "has another scheme than http or https";
	/* no target has a fragment, and what a server makes of one differs: core/path.c */
	if (path->ptr + path->len < target.ptr + target.len && path->ptr[path->len] == '#')
		return "has a query or a fragment";
	return text_wrong(*path, PATH);
}

const char *
bg_htu_build(struct bg_slice scheme, struct bg_slice authority, struct bg_slice prefix, struct bg_slice target,
    struct bg_buf *out, bool *host_wrong)
{
	size_t start = out->len, root;
	const struct scheme *known = find_scheme(scheme);
	struct bg_slice path;
	const char *wrong;

	*host_wrong = false;
	if (known == NULL)
		return "has another scheme than http or https";
	put_scheme(known, out);
	if ((wrong = put_authority(known, authority, out)) != NULL) {
		*host_wrong = true;
		return wrong;
	}
	if ((wrong = bg_htu_prefix_wrong(prefix)) != NULL || (wrong = target_path(target, &path)) != NULL)
		return wrong;
	root = out->len;
	if (prefix.len > 0)
		put_path(prefix, out);
	while (out->len > root && out->data[out->len - 1] == '/')
		out->len--;
	put_path(path, out);	/* its dot segments do not lead out of the prefix */
	return too_long(out, start);
}
