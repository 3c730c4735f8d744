#include "core/forwarded.h"

#include <arpa/inet.h>

#include "core/htu.h"
#include "core/limits.h"

#define V4_BITS	96	/* what stands before an IPv4 address: ::ffff:0:0/96 */

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };	/* RFC 4291 section 2.5.5.2 */

/* A list as a header has it, from the client to us; no entry is empty.  Of Forwarded, one member of each element. */
struct list {
	struct bg_slice entries[BG_FORWARDED_MAX];
	size_t          n;
};

/* ---- addresses -------------------------------------------------------------------------------------------------- */

static bool
is_v4(const unsigned char address[16])
{
	return memcmp(address, v4_prefix, sizeof(v4_prefix)) == 0;
}

/* IPv4, or IPv6 without brackets and zone.  RFC 4291 section 2.2. */
static bool
parse_address(struct bg_slice text, unsigned char address[16])
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (strlen(copy) != text.len)
		return false;
	if (inet_pton(AF_INET6, copy, address) == 1)
		return true;
	memcpy(address, v4_prefix, sizeof(v4_prefix));
	return inet_pton(AF_INET, copy, address + sizeof(v4_prefix)) == 1;
}

/* A number up to max, as we write it. */
static bool
parse_bits(struct bg_slice text, unsigned max, unsigned *bits)
{
	*bits = 0;
	if (text.len == 0 || text.len > 3 || (text.len > 1 && text.ptr[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		*bits = *bits * 10 + (unsigned)(text.ptr[i] - '0');
	}
	return *bits <= max;
}

/* The first bits of two addresses agree. */
static bool
agree(const unsigned char a[16], const unsigned char b[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

const char *
bg_network_parse(struct bg_slice text, struct bg_network *out)
{
	const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
	struct bg_slice address = text;
	unsigned before, bits;

	*out = (struct bg_network){ .bits = 128 };
	if (slash != NULL)
		address.len = (size_t)(slash - text.ptr);
	if (!parse_address(address, out->address))
		return "is no IPv4 or IPv6 address";
	before = memchr(address.ptr, ':', address.len) == NULL ? V4_BITS : 0;
	if (slash != NULL) {
		if (!parse_bits(bg_slice_skip(text, address.len + 1), 128 - before, &bits))
			return before > 0 ? "has no number from 0 to 32 behind its slash" :
			    "has no number from 0 to 128 behind its slash";
		out->bits = before + bits;
	}
	for (unsigned i = out->bits; i < 128; i++)
		if ((out->address[i / 8] >> (7 - i % 8) & 1) != 0)
			return "has bits in its address that its number of bits leaves out";
	return NULL;
}

/* A network of IPv6 takes in no IPv4 address, though "::/0" would by its bits: who wrote it thought of IPv6. */
bool
bg_network_has(const struct bg_network *network, const unsigned char address[16])
{
	return agree(network->address, address, network->bits) && (network->bits >= V4_BITS || !is_v4(address));
}

bool
bg_proxies_trust(const struct bg_proxies *proxies, struct bg_slice remote_addr)
{
	unsigned char address[16];

	if (proxies->all)
		return true;
	if (bg_slice_equal(remote_addr, BG_SLICE("unix:")))
		return proxies->unix_socket;
	if (!parse_address(remote_addr, address))
		return false;
	for (size_t i = 0; i < proxies->n_networks; i++)
		if (bg_network_has(&proxies->networks[i], address))
			return true;
	return false;
}

/* 1 to 5 digits, or a made-up one that begins with "_".  RFC 7239 section 6. */
static bool
is_port(struct bg_slice port)
{
	bool made_up = port.len > 1 && port.ptr[0] == '_';

	for (size_t i = 0; i < port.len; i++) {
		char c = port.ptr[i];

		if (!(c >= '0' && c <= '9') && !(made_up && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '.' || c == '_' || c == '-')))
			return false;
	}
	return made_up || (port.len >= 1 && port.len <= 5);
}

/* The address of ADDRESS:PORT, [ADDRESS] or [ADDRESS]:PORT; empty when it is none of these. */
static struct bg_slice
without_port(struct bg_slice node)
{
	const struct bg_slice none = { NULL, 0 };
	char end = node.len > 0 && node.ptr[0] == '[' ? ']' : ':';
	const char *at = node.len > 0 ? memchr(node.ptr, end, node.len) : NULL;
	struct bg_slice address, rest;

	if (at == NULL)
		return none;
	address = (struct bg_slice){ node.ptr, (size_t)(at - node.ptr) };
	rest = bg_slice_skip(node, address.len);
	if (end == ']') {
		address = bg_slice_skip(address, 1);
		rest = bg_slice_skip(rest, 1);
		if (address.len == 0 || memchr(address.ptr, ':', address.len) == NULL)	/* brackets are for IPv6 */
			return none;
	}
	if (rest.len > 0 && (rest.ptr[0] != ':' || !is_port(bg_slice_skip(rest, 1))))
		return none;
	return address;
}

/* Is whom a proxy saw a proxy of ours?  Who hides, or is spelt in a way nobody knows, is not. */
static bool
trusts_node(const struct bg_proxies *proxies, struct bg_slice node)
{
	return bg_proxies_trust(proxies, node) || bg_proxies_trust(proxies, without_port(node));
}

/*
 * How many entries from the right are by proxies that only talked to other proxies of ours.  The peer wrote the last entry,
 * of whom it saw; if that is a proxy of ours too, the entry to its left is to be believed, and so on.
 */
static size_t
count_hops(const struct bg_proxies *proxies, const struct list *seen)
{
	size_t n = 0;

	if (proxies->all)
		return BG_FORWARDED_MAX;
	while (n < seen->n && trusts_node(proxies, seen->entries[seen->n - 1 - n]))
		n++;
	return n;
}

/* The entry so many hops from the right, or the first; ptr NULL in an empty list. */
static struct bg_slice
pick(const struct list *list, size_t hops)
{
	if (list->n == 0)
		return (struct bg_slice){ NULL, 0 };
	return list->entries[hops < list->n ? list->n - 1 - hops : 0];
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void
skip_space(struct bg_slice *rest)
{
	while (rest->len > 0 && is_space(rest->ptr[0]))
		*rest = bg_slice_skip(*rest, 1);
}

static bool
take_char(struct bg_slice *rest, char c)
{
	if (rest->len == 0 || rest->ptr[0] != c)
		return false;
	*rest = bg_slice_skip(*rest, 1);
	return true;
}

/* A token; empty when there is none.  RFC 9110 section 5.6.2. */
static struct bg_slice
take_token(struct bg_slice *rest)
{
	struct bg_slice token = { rest->ptr, 0 };

	while (rest->len > 0 && rest->ptr[0] > 0x20 && rest->ptr[0] < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", rest->ptr[0]) == NULL) {
		*rest = bg_slice_skip(*rest, 1);
		token.len++;
	}
	return token;
}

/* The inside of a quoted-string, whose opening quote is gone; *escaped: with backslashes in it.  RFC 9110 section 5.6.4. */
static bool
take_quoted(struct bg_slice *rest, struct bg_slice *inside, bool *escaped)
{
	*inside = (struct bg_slice){ rest->ptr, 0 };
	*escaped = false;
	while (rest->len > 0 && rest->ptr[0] != '"') {
		size_t n = rest->ptr[0] == '\\' ? 2 : 1;

		if (n > rest->len)
			return false;
		for (size_t i = 0; i < n; i++) {
			unsigned char c = (unsigned char)rest->ptr[i];

			if ((c < 0x20 && c != '\t') || c == 0x7f)
				return false;
		}
		*escaped |= n == 2;
		*rest = bg_slice_skip(*rest, n);
		inside->len += n;
	}
	return take_char(rest, '"');
}

/* ---- X-Forwarded- ------------------------------------------------------------------------------------------------- */

static int
too_many(const char *name, struct bg_error *err)
{
	return bg_fail(err, BG_R_BAD_FORWARDED, "%s has more than %d entries", name, BG_FORWARDED_MAX);
}

static int
split(const char *name, struct bg_slice text, struct list *out, struct bg_error *err)
{
	out->n = 0;
	while (text.len > 0) {
		const char *comma = memchr(text.ptr, ',', text.len);
		struct bg_slice entry = { text.ptr, comma != NULL ? (size_t)(comma - text.ptr) : text.len };

		text = bg_slice_skip(text, comma != NULL ? entry.len + 1 : entry.len);
		skip_space(&entry);
		while (entry.len > 0 && is_space(entry.ptr[entry.len - 1]))
			entry.len--;
		if (entry.len == 0)	/* RFC 9110 section 5.6.1.2 */
			continue;
		if (out->n == BG_FORWARDED_MAX)
			return too_many(name, err);
		out->entries[out->n++] = entry;
	}
	return 0;
}

static int
find_x_forwarded(const struct bg_proxies *proxies, const struct bg_request *request, struct bg_forwarded *out, struct bg_error *err)
{
	const struct {
		const char      *name;
		struct bg_slice  value;
		struct bg_slice *found;
	} headers[] = {
		{ "X-Forwarded-Proto", request->x_forwarded_proto, &out->proto },
		{ "X-Forwarded-Host", request->x_forwarded_host, &out->host },
		{ "X-Forwarded-Prefix", request->x_forwarded_prefix, &out->prefix },
	};
	struct list list;
	const char *wrong;
	size_t hops;

	if (split("X-Forwarded-For", request->x_forwarded_for, &list, err) != 0)
		return -1;
	hops = count_hops(proxies, &list);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (split(headers[i].name, headers[i].value, &list, err) != 0)
			return -1;
		*headers[i].found = pick(&list, hops);
	}
	if ((wrong = bg_htu_prefix_wrong(out->prefix)) != NULL)
		return bg_fail(err, BG_R_BAD_FORWARDED, "X-Forwarded-Prefix \"%.*s\" %s", BG_SLICE_ARG(out->prefix), wrong);
	return 0;
}

/* ---- Forwarded ------------------------------------------------------------------------------------------------------ */

/* The lists that matter; the same element at the same place in each, ptr NULL where it does not say this. */
struct elements {
	struct list seen;	/* for */
	struct list proto;
	struct list host;
};

/* What one element says. */
struct element {
	struct bg_slice seen;
	struct bg_slice proto;
	struct bg_slice host;
	struct bg_slice by;	/* only so that it is not said twice */
};

/* NAME=VALUE of one element.  RFC 7239 section 4. */
static const char *
take_pair(struct bg_slice *rest, struct element *element)
{
	const struct {
		struct bg_slice  name;
		struct bg_slice *value;
		bool             plain;		/* what it says is used as it stands, so nothing may be escaped in it */
	} parameters[] = {
		{ BG_SLICE("for"), &element->seen, false },
		{ BG_SLICE("proto"), &element->proto, true },
		{ BG_SLICE("host"), &element->host, true },
		{ BG_SLICE("by"), &element->by, false },
	};
	struct bg_slice name = take_token(rest), value;
	bool escaped = false;

	if (name.len == 0 || !take_char(rest, '='))
		return "has a parameter that is none";
	if (take_char(rest, '"')) {
		if (!take_quoted(rest, &value, &escaped))
			return "has a quoted text without an end, or with control characters";
	} else if ((value = take_token(rest)).len == 0)
		return "has a parameter without a value";
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		if (!bg_slice_equal_nocase(name, parameters[i].name))
			continue;
		if (parameters[i].value->ptr != NULL)
			return "has a parameter twice in one element";
		if (parameters[i].plain && escaped)
			return "has a backslash in a proto or host";
		*parameters[i].value = value;
	}
	return NULL;
}

/* Up to the comma behind it, or the end.  RFC 7239 leaves no room around ";", but some proxies do. */
static const char *
take_element(struct bg_slice *rest, struct element *element)
{
	const char *wrong;

	*element = (struct element){ 0 };
	do {
		skip_space(rest);
		if (rest->len > 0 && rest->ptr[0] != ';' && rest->ptr[0] != ',' && (wrong = take_pair(rest, element)) != NULL)
			return wrong;
		skip_space(rest);
	} while (take_char(rest, ';'));
	return rest->len == 0 || rest->ptr[0] == ',' ? NULL : "has something behind a value";
}

static int
read_elements(struct bg_slice text, struct elements *out, struct bg_error *err)
{
	struct bg_slice rest = text;
	size_t n = 0;

	out->seen.n = out->proto.n = out->host.n = 0;
	for (;;) {
		struct element element;
		const char *wrong;

		while (rest.len > 0 && (is_space(rest.ptr[0]) || rest.ptr[0] == ','))	/* RFC 9110 section 5.6.1.2 */
			rest = bg_slice_skip(rest, 1);
		if (rest.len == 0)
			break;
		if ((wrong = take_element(&rest, &element)) != NULL)
			return bg_fail(err, BG_R_BAD_FORWARDED, "Forwarded \"%.*s\" %s", BG_SLICE_ARG(text), wrong);
		if (n == BG_FORWARDED_MAX)
			return too_many("Forwarded", err);
		out->seen.entries[n] = element.seen;
		out->proto.entries[n] = element.proto;
		out->host.entries[n] = element.host;
		n++;
	}
	out->seen.n = out->proto.n = out->host.n = n;
	return 0;
}

static int
find_forwarded(const struct bg_proxies *proxies, const struct bg_request *request, struct bg_forwarded *out, struct bg_error *err)
{
	struct elements elements;
	size_t hops;

	if (read_elements(request->forwarded, &elements, err) != 0)
		return -1;
	hops = count_hops(proxies, &elements.seen);
	out->proto = pick(&elements.proto, hops);
	out->host = pick(&elements.host, hops);
	return 0;
}

/* ---- both ------------------------------------------------------------------------------------------------------------- */

/* What both say is the same, and what one of them says counts. */
static int
merge(struct bg_slice *mine, struct bg_slice other, const char *what, struct bg_error *err)
{
	if (mine->len > 0 && other.len > 0 && !bg_slice_equal_nocase(*mine, other))
		return bg_fail(err, BG_R_BAD_FORWARDED, "X-Forwarded- says %s \"%.*s\", Forwarded \"%.*s\"", what,
		    BG_SLICE_ARG(*mine), BG_SLICE_ARG(other));
	if (mine->len == 0)
		*mine = other.len > 0 ? other : (struct bg_slice){ NULL, 0 };
	return 0;
}

int
bg_forwarded_find(const struct bg_proxies *proxies, const struct bg_request *request, struct bg_forwarded *out,
    struct bg_error *err)
{
	struct bg_forwarded found = { 0 }, standard = { 0 };

	*out = (struct bg_forwarded){ 0 };
	if (!bg_proxies_trust(proxies, request->remote_addr))
		return 0;
	if (request->repeated_forwarded)
		return bg_fail(err, BG_R_BAD_FORWARDED, "Forwarded or an X-Forwarded- header came twice");
	if (find_x_forwarded(proxies, request, &found, err) != 0 || find_forwarded(proxies, request, &standard, err) != 0 ||
	    merge(&found.proto, standard.proto, "proto", err) != 0 || merge(&found.host, standard.host, "host", err) != 0)
		return -1;
	/* What proxies say of a WebSocket's handshake, which is HTTP.  RFC 6455 section 3. */
	if (bg_slice_equal_nocase(found.proto, BG_SLICE("ws")))
		found.proto = BG_SLICE("http");
	else if (bg_slice_equal_nocase(found.proto, BG_SLICE("wss")))
		found.proto = BG_SLICE("https");
	if (found.proto.len > 0 && !bg_slice_equal_nocase(found.proto, BG_SLICE("http")) &&
	    !bg_slice_equal_nocase(found.proto, BG_SLICE("https")))
		return bg_fail(err, BG_R_BAD_FORWARDED, "the scheme \"%.*s\" of a proxy is neither http nor https",
		    BG_SLICE_ARG(found.proto));
	*out = found;
	return 0;
}
