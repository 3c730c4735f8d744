#include "core/url.h"

#include <arpa/inet.h>

#include "core/limits.h"

#define HOST_MAX	253	/* RFC 1035 section 3.1, as text */
#define LABEL_MAX	63	/* RFC 1035 section 2.3.4 */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
has(struct bg_slice s, char c)
{
	return s.len > 0 && memchr(s.ptr, c, s.len) != NULL;
}

static bool
starts_nocase(struct bg_slice s, struct bg_slice prefix)
{
	return s.len >= prefix.len && bg_slice_equal_nocase((struct bg_slice){ s.ptr, prefix.len }, prefix);
}

/* The bytes a URI is made of.  RFC 3986 appendix A, collected. */
static const char *
bytes_wrong(struct bg_slice url)
{
	for (size_t i = 0; i < url.len; i++) {
		char c = url.ptr[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			return "has white space in it";
		if (c <= 0x20 || c >= 0x7f)	/* where char is signed, all above 0x7f is negative */
			return "has a byte in it that is not printable ASCII";
		if (c == '%' && (url.len - i < 3 || bg_hex_digit(url.ptr[i + 1]) < 0 || bg_hex_digit(url.ptr[i + 2]) < 0))
			return "has a \"%\" in it without two hexadecimal digits";
		if (c != '%' && !is_digit(c) && !is_alpha(c) && strchr("-._~:/?#[]@!$&'()*+,;=", c) == NULL)
			return "has a character in it that no URL may have";
	}
	return NULL;
}

/* An IP address in the one spelling that everybody reads alike. */
static bool
is_address(int family, struct bg_slice text)
{
	unsigned char addr[sizeof(struct in6_addr)];
	char copy[INET6_ADDRSTRLEN];

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return inet_pton(family, copy, addr) == 1;
}

/*
 * A name, an IPv4 address, or an IPv6 address in brackets; len is at least 1.  A name whose last label is a number would
 * be read as an address by some ("127.1", "0x7f000001") and as a name by others, so it must be a plain IPv4 address.
 *
 * RFC 3986 section 3.2.2, RFC 1123 section 2.1.
 */
static bool
is_host(struct bg_slice host)
{
	bool digits = true;
	size_t label = 0;	/* where the current one begins */

	if (host.ptr[0] == '[')
		return host.len > 2 && host.ptr[host.len - 1] == ']' &&
		    is_address(AF_INET6, (struct bg_slice){ host.ptr + 1, host.len - 2 });
	if (host.len > HOST_MAX)
		return false;
	for (size_t i = 0; i <= host.len; i++) {
		char c = i < host.len ? host.ptr[i] : '.';

		if (c == '.') {
			if (i == label || i - label > LABEL_MAX || host.ptr[label] == '-' || host.ptr[i - 1] == '-')
				return false;
			if (i < host.len) {
				label = i + 1;
				digits = true;
			}
		} else if (!is_digit(c)) {
			if (!is_alpha(c) && c != '-' && c != '_')	/* the underscore: names inside container networks */
				return false;
			digits = false;
		}
	}
	if (digits || starts_nocase(bg_slice_skip(host, label), BG_SLICE("0x")))
		return is_address(AF_INET, host);
	return true;
}

/* Where the port of an authority begins, behind its colon; 0: it has none. */
static size_t
port_at(struct bg_slice authority)
{
	size_t colon;

	/* the last colon, but not one between the brackets of an IPv6 address */
	for (colon = authority.len; colon > 0 && authority.ptr[colon - 1] != ':' && authority.ptr[colon - 1] != ']'; colon--)
		;
	return colon > 0 && authority.ptr[colon - 1] == ':' ? colon : 0;
}

/* The authority that rest begins with. */
static struct bg_slice
take_authority(struct bg_slice rest)
{
	size_t n = 0;

	while (n < rest.len && strchr("/?#", rest.ptr[n]) == NULL)
		n++;
	return (struct bg_slice){ rest.ptr, n };
}

/* Host and perhaps port.  RFC 3986 section 3.2. */
static const char *
authority_wrong(struct bg_slice authority)
{
	struct bg_slice host = authority;
	long port = 0;
	size_t colon;

	if (has(authority, '@'))
		return "has credentials in it";
	if ((colon = port_at(authority)) > 0) {
		host.len = colon - 1;
		if (colon == authority.len || authority.len - colon > 5)
			return "has a bad port";
		for (size_t i = colon; i < authority.len; i++) {
			if (!is_digit(authority.ptr[i]))
				return "has a bad port";
			port = port * 10 + (authority.ptr[i] - '0');
		}
		if (port < 1 || port > 65535)
			return "has a bad port";
	}
	if (host.len == 0)
		return "has no host";
	return is_host(host) ? NULL : "has a malformed host";
}

/* What is wrong with any URL, whatever its scheme. */
static const char *
text_wrong(struct bg_slice url)
{
	if (url.len == 0)
		return "is empty";
	return url.len > BG_URL_MAX ? "is too long for a URL" : bytes_wrong(url);
}

const char *
bg_url_wrong(struct bg_slice url, bool query_allowed)
{
	struct bg_slice rest = url, authority;
	const char *wrong;

	if ((wrong = text_wrong(url)) != NULL)
		return wrong;
	if (starts_nocase(url, BG_SLICE("http://")))
		return "begins with http://, and keys must not come over an open line";
	if (!bg_slice_starts(url, BG_SLICE("https://")))
		return "does not begin with https://";
	rest = bg_slice_skip(rest, strlen("https://"));
	authority = take_authority(rest);
	rest = bg_slice_skip(rest, authority.len);
	if ((wrong = authority_wrong(authority)) != NULL)
		return wrong;
	if (has(rest, '#'))
		return "has a fragment";
	if (!query_allowed && has(rest, '?'))
		return "has a query";
	if (has(rest, '[') || has(rest, ']'))	/* RFC 3986 section 3.2.2: for addresses alone */
		return "has a character in it that no URL may have";
	return NULL;
}

struct bg_slice
bg_url_host(struct bg_slice url)
{
	struct bg_slice host = take_authority(bg_slice_skip(url, strlen("https://")));
	size_t port = port_at(host);

	if (port > 0)
		host.len = port - 1;
	if (host.len > 2 && host.ptr[0] == '[')
		host = (struct bg_slice){ host.ptr + 1, host.len - 2 };
	return host;
}

const char *
bg_url_proxy_wrong(struct bg_slice url)
{
	struct bg_slice rest, authority;
	const char *wrong;

	if ((wrong = text_wrong(url)) != NULL)
		return wrong;
	if (!bg_slice_starts(url, BG_SLICE("http://")))
		return "does not begin with http://, and no other proxies are known here";
	rest = bg_slice_skip(url, strlen("http://"));
	authority = take_authority(rest);
	if ((wrong = authority_wrong(authority)) != NULL)
		return wrong;
	if (authority.len < rest.len)
		return "has more behind its host and port";
	return port_at(authority) > 0 ? NULL : "has no port";
}

const char *
bg_url_issuer_of_domain(struct bg_slice domain, struct bg_buf *issuer, const char **remark)
{
	/* by what was put right: scheme 1, capitals 2, slash 4 */
	static const char *const remarks[] = {
		NULL,
		"is written with https://; the bare domain was taken",
		"is written with capitals; they were made small",
		"is written with https:// and capitals; the bare domain in small letters was taken",
		"is written with a slash at its end; the bare domain was taken",
		"is written with https:// and a slash at its end; the bare domain was taken",
		"is written with capitals and a slash at its end; the bare domain in small letters was taken",
		"is written with https://, capitals and a slash at its end; the bare domain in small letters was taken",
	};
	struct bg_slice host = domain;
	const char *wrong, *slash;
	unsigned put_right = 0;

	*remark = NULL;
	if (domain.len == 0)
		return "is empty";
	if (domain.len > BG_URL_MAX)
		return "is too long for a domain";
	if ((wrong = bytes_wrong(domain)) != NULL)
		return wrong;
	if (starts_nocase(host, BG_SLICE("https://"))) {
		host = bg_slice_skip(host, strlen("https://"));
		put_right |= 1;
	} else if (starts_nocase(host, BG_SLICE("http://")))
		return "begins with http://, and keys must not come over an open line";
	if (host.len > 0 && host.ptr[host.len - 1] == '/') {
		host.len--;
		put_right |= 4;
	}
	if (has(host, '?'))
		return "has a query";
	if (has(host, '#'))
		return "has a fragment";
	if (has(host, '@'))
		return "has credentials in it";
	if ((slash = host.len > 0 ? memchr(host.ptr, '/', host.len) : NULL) != NULL)
		return slash > host.ptr && slash[-1] == ':' ? "begins with another scheme than https" : "has a path";
	if ((wrong = authority_wrong(host)) != NULL)
		return wrong;

	bg_buf_put_str(issuer, "https://");
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];

		if (c >= 'A' && c <= 'Z') {
			c = (char)(c - 'A' + 'a');
			put_right |= 2;
		}
		bg_buf_put_char(issuer, c);
	}
	bg_buf_put_char(issuer, '/');
	*remark = remarks[put_right];
	return NULL;
}
