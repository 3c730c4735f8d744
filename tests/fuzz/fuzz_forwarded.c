/*
 * What proxies, and clients in their name, say in Forwarded and X-Forwarded-: core/forwarded.h.  What comes out is a part of
 * what came in; and whatever a client writes, it has no say about what the proxy next to us wrote behind it (SR-68, SR-69).
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/forwarded.h"
#include "core/htu.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)
#define ROOM		(128 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes up to the next line end: no header may have one, so nothing is lost by it. */
static struct bg_slice
take_line(struct bg_slice *rest)
{
	const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
	struct bg_slice line = { rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len };

	*rest = end != NULL ? bg_slice_skip(*rest, line.len + 1) : (struct bg_slice){ NULL, 0 };
	return line;
}

static bool
is_part(struct bg_slice part, struct bg_slice whole)
{
	return part.len > 0 && part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static void
check_said(const struct bg_request *request, const struct bg_forwarded *said)
{
	if (said->proto.ptr != NULL) {
		MUST(is_part(said->proto, request->x_forwarded_proto) || is_part(said->proto, request->forwarded));
		MUST(bg_slice_equal_nocase(said->proto, BG_SLICE("http")) || bg_slice_equal_nocase(said->proto, BG_SLICE("https")));
	}
	if (said->host.ptr != NULL)
		MUST(is_part(said->host, request->x_forwarded_host) || is_part(said->host, request->forwarded));
	if (said->prefix.ptr != NULL)
		MUST(is_part(said->prefix, request->x_forwarded_prefix) && bg_htu_prefix_wrong(said->prefix) == NULL);
}

static bool
says_nothing(const struct bg_forwarded *said)
{
	return said->proto.ptr == NULL && said->host.ptr == NULL && said->prefix.ptr == NULL;
}

/* A header of a client with what a proxy puts behind. */
static struct bg_slice
append(struct bg_buf *buf, struct bg_slice header, const char *more)
{
	struct bg_slice whole = { NULL, 0 };

	bg_buf_init(buf, ROOM);
	bg_buf_put(buf, header);
	if (header.len > 0)
		bg_buf_put_str(buf, ", ");
	bg_buf_put_str(buf, more);
	MUST(bg_buf_finish(buf, &whole, NULL) == 0);
	return whole;
}

/* The peer is a proxy of ours that saw a stranger: what it appended counts, or nothing does. */
static void
check_last_word(const struct bg_proxies *proxies, const struct bg_request *client)
{
	static const char *const elements[] = { "for=192.0.2.1;proto=https;host=good.example",
		"for=\"192.0.2.1:80\";host=\"good.example\";proto=https", "host=\"good.example\";proto=\"https\"" };
	struct bg_request request = *client;
	struct bg_forwarded said;
	struct bg_buf bufs[4], buf;

	request.remote_addr = BG_SLICE("10.0.0.1");
	request.x_forwarded_for = append(&bufs[0], client->x_forwarded_for, "192.0.2.1");
	request.x_forwarded_proto = append(&bufs[1], client->x_forwarded_proto, "https");
	request.x_forwarded_host = append(&bufs[2], client->x_forwarded_host, "good.example");
	request.x_forwarded_prefix = append(&bufs[3], client->x_forwarded_prefix, "/p");
	request.forwarded = (struct bg_slice){ NULL, 0 };
	if (bg_forwarded_find(proxies, &request, &said, NULL) == 0) {
		MUST(bg_slice_equal(said.proto, BG_SLICE("https")) && bg_slice_equal(said.host, BG_SLICE("good.example")));
		MUST(bg_slice_equal(said.prefix, BG_SLICE("/p")));
	}
	request.x_forwarded_for = request.x_forwarded_proto = request.forwarded;
	request.x_forwarded_host = request.x_forwarded_prefix = request.forwarded;
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
		request.forwarded = append(&buf, client->forwarded, elements[i]);
		if (bg_forwarded_find(proxies, &request, &said, NULL) == 0)
			MUST(bg_slice_equal(said.proto, BG_SLICE("https")) && bg_slice_equal(said.host, BG_SLICE("good.example")));
		bg_buf_clear(&buf);
	}
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		bg_buf_clear(&bufs[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_slice rest = { (const char *)data, size }, network;
	struct bg_network networks[2];
	struct bg_proxies proxies = { .networks = networks, .n_networks = 1 };
	struct bg_request request = { 0 };
	struct bg_forwarded said;
	struct bg_error err = { 0 };
	unsigned char how;

	if (size == 0 || size > ROOM / 2)
		return 0;
	how = data[0];
	rest = bg_slice_skip(rest, 1);
	MUST(bg_network_parse(BG_SLICE("10.0.0.0/8"), &networks[0]) == NULL);
	request.remote_addr = take_line(&rest);
	request.x_forwarded_for = take_line(&rest);
	request.x_forwarded_proto = take_line(&rest);
	request.x_forwarded_host = take_line(&rest);
	request.x_forwarded_prefix = take_line(&rest);
	request.forwarded = take_line(&rest);
	network = take_line(&rest);
	check_last_word(&proxies, &request);

	/* now with a network, a socket or everybody, as the first byte says */
	if (bg_network_parse(network, &networks[1]) == NULL) {
		MUST(networks[1].bits <= 128);
		proxies.n_networks++;
	}
	proxies.unix_socket = (how & 1) != 0;
	proxies.all = (how & 2) != 0;
	request.repeated_forwarded = (how & 4) != 0;
	if (bg_forwarded_find(&proxies, &request, &said, &err) != 0) {
		MUST(err.reason == BG_R_BAD_FORWARDED && bg_proxies_trust(&proxies, request.remote_addr));
		MUST(says_nothing(&said));
	} else {
		MUST(err.reason == BG_R_OK);
		check_said(&request, &said);
		MUST(says_nothing(&said) || bg_proxies_trust(&proxies, request.remote_addr));
	}
	return 0;
}
