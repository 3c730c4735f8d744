#include "core/forwarded.h"

#include "core/buf.h"
#include "core/limits.h"
#include "tests/support/run.h"

/* said NULL: taken, and what comes out has this many bits. */
static const struct { const char *text; unsigned bits; const char *said; } networks[] = {
	{ "10.0.0.0/8", 104, NULL }, { "192.0.2.1", 128, NULL }, { "192.0.2.1/32", 128, NULL }, { "0.0.0.0/0", 96, NULL },
	{ "192.0.2.128/25", 121, NULL }, { "2001:db8::/32", 32, NULL }, { "::1", 128, NULL }, { "::1/128", 128, NULL },
	{ "::/0", 0, NULL },
	{ "::ffff:10.0.0.0/104", 104, NULL }, { "::ffff:0:0/96", 96, NULL }, { "2001:DB8::8000/113", 113, NULL },
	{ "10.0.0.1/8", 0, "bits in its address" }, { "2001:db8::1/64", 0, "bits in its address" }, { "10.0.0.0/33", 0, "0 to 32" },
	{ "192.0.2.128/24", 0, "bits in its address" }, { "0.0.0.1/0", 0, "bits in its address" }, { "::/129", 0, "0 to 128" },
	{ "10.0.0.0/", 0, "0 to 32" }, { "10.0.0.0/08", 0, "0 to 32" }, { "10.0.0.0/ 8", 0, "0 to 32" },
	{ "10.0.0.0/+8", 0, "0 to 32" },
	{ "10.0.0.0/-1", 0, "0 to 32" }, { "10.0.0.0/8/8", 0, "0 to 32" }, { "10.0.0.0/255.0.0.0", 0, "0 to 32" },
	{ "::/4294967296", 0, "0 to 128" },
	{ "10.0.0.0/8 ", 0, "0 to 32" }, { "", 0, "no IPv4" }, { "/8", 0, "no IPv4" }, { "10", 0, "no IPv4" },
	{ "10.0.0", 0, "no IPv4" },
	{ "10.0.0.0.0", 0, "no IPv4" }, { "010.0.0.0/8", 0, "no IPv4" }, { "0x0a.0.0.0", 0, "no IPv4" },
	{ "256.0.0.1", 0, "no IPv4" },
	{ "[::1]", 0, "no IPv4" }, { "fe80::1%eth0", 0, "no IPv4" }, { " 10.0.0.0/8", 0, "no IPv4" }, { "localhost", 0, "no IPv4" },
	{ "unix:", 0, "no IPv4" }, { "*", 0, "no IPv4" }, { "1:2:3:4:5:6:7:8:9", 0, "no IPv4" },
};

START_TEST(a_network_is_an_address_and_perhaps_bits)	/* RFC 4632 section 3.1, RFC 4291 section 2.3 */
{
	struct bg_network network;
	const char *wrong = bg_network_parse(bg_slice_str(networks[_i].text), &network);

	if (networks[_i].said != NULL)
		ck_assert_msg(wrong != NULL && strstr(wrong, networks[_i].said) != NULL, "%s: %s", networks[_i].text, wrong);
	else {
		ck_assert_msg(wrong == NULL, "%s: %s", networks[_i].text, wrong);
		ck_assert_uint_eq(network.bits, networks[_i].bits);
	}
}
END_TEST

#define MAX_NETWORKS	4

/* "unix" and "all" beside networks; the struct and its rows are the caller's. */
static void
make_proxies(const char *text, struct bg_proxies *out, struct bg_network rows[MAX_NETWORKS])
{
	struct bg_slice rest = bg_slice_str(text), word;

	*out = (struct bg_proxies){ .networks = rows };
	while (bg_slice_word(&rest, &word))
		if (bg_slice_equal(word, BG_SLICE("unix")))
			out->unix_socket = true;
		else if (bg_slice_equal(word, BG_SLICE("all")))
			out->all = true;
		else {
			ck_assert_uint_lt(out->n_networks, MAX_NETWORKS);
			ck_assert_ptr_null(bg_network_parse(word, &rows[out->n_networks++]));
		}
}

static const struct { const char *proxies, *peer; bool trusted; } peers[] = {
	{ "", "10.0.0.1", false }, { "", "unix:", false }, { "", "", false }, { "", NULL, false }, { "", "::", false },
	{ "", "0.0.0.0", false },
	{ "10.0.0.0/8", "10.0.0.0", true }, { "10.0.0.0/8", "10.255.255.255", true }, { "10.0.0.0/8", "11.0.0.0", false },
	{ "10.0.0.0/8", "9.255.255.255", false }, { "192.0.2.128/25", "192.0.2.127", false },
	{ "192.0.2.128/25", "192.0.2.128", true },
	{ "192.0.2.1", "192.0.2.1", true }, { "192.0.2.1", "192.0.2.2", false }, { "10.0.0.0/8 192.0.2.1", "192.0.2.1", true },
	/* an IPv4 address is the same, as a socket for both kinds shows it: RFC 4291 section 2.5.5.2 */
	{ "10.0.0.0/8", "::ffff:10.0.0.1", true }, { "10.0.0.0/8", "::ffff:a00:1", true }, { "10.0.0.0/8", "::10.0.0.1", false },
	{ "::ffff:10.0.0.0/104", "10.1.2.3", true }, { "::ffff:10.0.0.0/104", "11.1.2.3", false },
	{ "0.0.0.0/0", "203.0.113.9", true },
	{ "0.0.0.0/0", "::1", false }, { "0.0.0.0/0", "2001:db8::1", false }, { "::/0", "2001:db8::1", true },
	{ "::/0", "::1", true },
	{ "::/0", "10.0.0.1", false }, { "::/0", "::ffff:10.0.0.1", false }, { "::/80", "10.0.0.1", false },
	{ "::ffff:0:0/96", "10.0.0.1", true },
	{ "2001:db8::/33", "2001:db8:7fff::1", true }, { "2001:db8::/33", "2001:db8:8000::1", false }, { "::1", "::1", true },
	{ "::1", "0:0:0:0:0:0:0:1", true }, { "::1", "127.0.0.1", false },
	{ "unix", "unix:", true }, { "unix", "", false }, { "unix", NULL, false }, { "unix", "unix", false },
	{ "unix", "unix:/tmp/x", false },
	{ "unix", "127.0.0.1", false }, { "0.0.0.0/0 ::/0", "unix:", false }, { "0.0.0.0/0 ::/0", "", false },
	{ "10.0.0.0/8", "10.0.0.1 ", false }, { "10.0.0.0/8", "10.0.0.1:80", false }, { "10.0.0.0/8", "10.0.0.1, 1.2.3.4", false },
	{ "10.0.0.0/8", "010.0.0.1", false }, { "10.0.0.0/8", "10.1", false }, { "fe80::/10", "fe80::1%eth0", false },
	{ "::1", "[::1]", false },
	{ "all", "203.0.113.9", true }, { "all", "unix:", true }, { "all", "", true },
};

START_TEST(a_peer_is_trusted_by_its_address_alone)	/* SR-68 */
{
	struct bg_network rows[MAX_NETWORKS];
	struct bg_proxies proxies;

	make_proxies(peers[_i].proxies, &proxies, rows);
	ck_assert_msg(bg_proxies_trust(&proxies, bg_slice_str(peers[_i].peer)) == peers[_i].trusted, "%s, %s", peers[_i].proxies,
	    peers[_i].peer);
}
END_TEST

START_TEST(a_zero_byte_makes_no_other_address)
{
	struct bg_network rows[MAX_NETWORKS], network;
	struct bg_proxies proxies;

	make_proxies("10.0.0.0/8", &proxies, rows);
	ck_assert(!bg_proxies_trust(&proxies, BG_SLICE("10.0.0.1\0")));
	ck_assert(!bg_proxies_trust(&proxies, BG_SLICE("10.0.0.1\0x")));
	ck_assert_ptr_nonnull(bg_network_parse(BG_SLICE("10.0.0.1\0"), &network));
}
END_TEST

#define OURS	"10.0.0.0/8 2001:db8::/32"

/* The peer is 10.0.0.1 where no other is said. */
static const struct {
	const char    *name;
	const char    *proxies;
	const char    *peer;
	const char    *x_for, *x_proto, *x_host, *x_prefix, *forwarded;
	const char    *proto, *host, *prefix;	/* wanted */
	enum bg_reason want;
} rows[] = {
	/* SR-68 */
	{ "nobody is trusted", "", .x_for = "1.2.3.4", .x_proto = "https", .x_host = "h", .x_prefix = "/p", .forwarded = "host=g" },
	{ "a stranger", OURS, .peer = "192.0.2.1", .x_for = "10.0.0.1", .x_proto = "https", .x_host = "h", .x_prefix = "/p",
	  .forwarded = "host=g" },
	{ "a stranger's rubbish", OURS, .peer = "192.0.2.1", .x_for = ",", .x_proto = "gopher", .x_host = "", .x_prefix = "..",
	  .forwarded = "=;\"" },
	{ "a stranger who names a proxy as where he is", OURS, .peer = "192.0.2.1", .x_for = "10.0.0.1, 10.0.0.1", .x_host = "h" },
	{ "a server that does not say who asks", OURS, .peer = "", .x_for = "1.2.3.4", .x_proto = "https", .x_host = "h" },
	{ "one proxy", OURS, .x_for = "1.2.3.4", .x_proto = "https", .x_host = "h", .x_prefix = "/p", .proto = "https", .host = "h",
	  .prefix = "/p" },
	{ "one proxy that says nothing", OURS, .peer = NULL },
	{ "a proxy on a Unix socket", "unix", .peer = "unix:", .x_for = "1.2.3.4", .x_proto = "https", .x_host = "h",
	  .proto = "https", .host = "h" },
	{ "only the scheme", OURS, .x_proto = "https", .proto = "https" },
	/* what a client wrote stands to the left of what the peer wrote */
	{ "a client's host before the proxy's", OURS, .x_for = "1.2.3.4", .x_proto = "http, https", .x_host = "evil, h",
	  .proto = "https", .host = "h" },
	{ "a client that says it is a proxy", OURS, .x_for = "10.0.0.9, 1.2.3.4", .x_proto = "http, https", .x_host = "evil, h",
	  .x_prefix = "/e, /p", .proto = "https", .host = "h", .prefix = "/p" },
	{ "two hosts, and nobody said who asked", OURS, .x_proto = "http, https", .x_host = "evil, h", .proto = "https",
	  .host = "h" },
	{ "two proxies", OURS, .x_for = "1.2.3.4, 10.0.0.2", .x_proto = "https, http", .x_host = "h, inner", .x_prefix = "/p, /q",
	  .proto = "https", .host = "h", .prefix = "/p" },
	{ "two proxies and a client's host", OURS, .x_for = "1.2.3.4, 10.0.0.2", .x_proto = "x, https, http",
	  .x_host = "evil, h, inner", .proto = "https", .host = "h" },
	{ "two proxies, of which one says the scheme", OURS, .x_for = "1.2.3.4, 10.0.0.2", .x_proto = "https", .x_host = "h, inner",
	  .proto = "https", .host = "h" },
	{ "three proxies, one by IPv6", OURS, .x_for = "1.2.3.4, 2001:db8::2, 10.0.0.2", .x_proto = "https, http, http",
	  .x_host = "h, b, a", .proto = "https", .host = "h" },
	{ "all are proxies", OURS, .x_for = "10.0.0.3, 10.0.0.2", .x_host = "h, inner", .host = "h" },
	{ "a stranger between", OURS, .x_for = "10.0.0.9, 9.9.9.9, 10.0.0.2", .x_host = "evil, h, inner", .host = "h" },
	{ "everybody is trusted", "all", .peer = "192.0.2.1", .x_for = "1.2.3.4, 5.6.7.8", .x_proto = "https, http",
	  .x_host = "h, b, a", .x_prefix = "/p, /q", .proto = "https", .host = "h", .prefix = "/p" },
	{ "everybody is trusted, and nobody said who asked", "all", .peer = "192.0.2.1", .x_host = "h, b, a", .host = "h" },
	/* how a proxy writes an address */
	{ "with a port", OURS, .x_for = "1.2.3.4:567, 10.0.0.2:80", .x_host = "h, inner", .host = "h" },
	{ "IPv6 in brackets", OURS, .x_for = "1.2.3.4, [2001:db8::2]", .x_host = "h, inner", .host = "h" },
	{ "IPv6 with a port", OURS, .x_for = "1.2.3.4, [2001:db8::2]:567", .x_host = "h, inner", .host = "h" },
	{ "IPv4 in IPv6", OURS, .x_for = "1.2.3.4, ::ffff:10.0.0.2", .x_host = "h, inner", .host = "h" },
	{ "a Unix socket of a proxy", "unix", .peer = "unix:", .x_for = "1.2.3.4, unix:", .x_host = "h, inner", .host = "h" },
	{ "a port that is none", OURS, .x_for = "1.2.3.4, 10.0.0.2:x", .x_host = "evil, h", .host = "h" },
	{ "a port that is too long", OURS, .x_for = "1.2.3.4, 10.0.0.2:123456", .x_host = "evil, h", .host = "h" },
	{ "an empty port", OURS, .x_for = "1.2.3.4, 10.0.0.2:", .x_host = "evil, h", .host = "h" },
	{ "IPv4 in brackets", OURS, .x_for = "1.2.3.4, [10.0.0.2]", .x_host = "evil, h", .host = "h" },
	{ "brackets with more behind", OURS, .x_for = "1.2.3.4, [2001:db8::2]x", .x_host = "evil, h", .host = "h" },
	{ "a bracket that is left open", OURS, .x_for = "1.2.3.4, [2001:db8::2", .x_host = "evil, h", .host = "h" },
	{ "an unknown one", OURS, .x_for = "10.0.0.9, unknown", .x_host = "evil, h", .host = "h" },
	{ "a word", OURS, .x_for = "10.0.0.9, x y", .x_host = "evil, h", .host = "h" },
	/* SR-69, RFC 9110 section 5.6.1 */
	{ "empty headers", OURS, .x_for = "", .x_proto = "", .x_host = "", .x_prefix = "", .forwarded = "" },
	{ "commas alone", OURS, .x_for = ",", .x_proto = " , ", .x_host = ",,,", .x_prefix = ",", .forwarded = ", ," },
	{ "a leading comma", OURS, .x_for = ",1.2.3.4", .x_proto = ",https", .x_host = ",a", .x_prefix = ",/p",
	  .forwarded = ",proto=https;host=a", .proto = "https", .host = "a", .prefix = "/p" },
	{ "a trailing comma", OURS, .x_for = "1.2.3.4,", .x_proto = "https,", .x_host = "a, ,", .x_prefix = "/p,",
	  .forwarded = "proto=https;host=a,", .proto = "https", .host = "a", .prefix = "/p" },
	{ "empty ones do not count as hops", OURS, .x_for = "1.2.3.4,,, 10.0.0.2,", .x_proto = "x,,https,,,http",
	  .x_host = ",b,,h,,\t,inner", .proto = "https", .host = "h" },
	{ "white space", OURS, .x_for = " 1.2.3.4 ,\t10.0.0.2\t", .x_proto = "\thttps , http", .x_host = " h\t, inner ",
	  .x_prefix = "\t /p ", .proto = "https", .host = "h", .prefix = "/p" },
	{ "a host in quotes is not taken apart", OURS, .x_host = "\"a,b\"", .host = "b\"" },	/* public.c refuses it */
	/* schemes */
	{ "capitals", OURS, .x_proto = "HTTPS", .proto = "HTTPS" },
	{ "another scheme", OURS, .x_proto = "gopher", .want = BG_R_BAD_FORWARDED },
	{ "a scheme with more", OURS, .x_proto = "https://evil", .want = BG_R_BAD_FORWARDED },
	{ "a scheme in quotes", OURS, .x_proto = "\"https\"", .want = BG_R_BAD_FORWARDED },
	{ "a WebSocket's handshake is HTTP", OURS, .x_proto = "wss", .x_host = "h", .proto = "https", .host = "h" },	/* RFC 6455 section 3 */
	{ "an open one", OURS, .forwarded = "proto=WS;host=h", .proto = "http", .host = "h" },
	{ "another scheme, by Forwarded", OURS, .forwarded = "proto=ftp", .want = BG_R_BAD_FORWARDED },
	{ "another scheme that does not count", OURS, .x_proto = "wss, https", .proto = "https" },
	/* prefixes */
	{ "a prefix that is no path", OURS, .x_prefix = "p", .want = BG_R_BAD_FORWARDED },
	{ "a prefix that leads back", OURS, .x_prefix = "/p/%2e./q", .want = BG_R_BAD_FORWARDED },
	{ "a prefix with a query", OURS, .x_prefix = "/p?", .want = BG_R_BAD_FORWARDED },
	{ "a prefix that is a host", OURS, .x_prefix = "@evil/", .want = BG_R_BAD_FORWARDED },
	/* RFC 7239 sections 4 to 7 */
	{ "Forwarded", OURS, .forwarded = "for=1.2.3.4;proto=https;host=h;by=10.0.0.1", .proto = "https", .host = "h" },
	{ "names without case", OURS, .forwarded = "For=1.2.3.4;PROTO=HTTPS;hOsT=H", .proto = "HTTPS", .host = "H" },
	{ "quotes", OURS, .forwarded = "for=\"1.2.3.4\";host=\"h:8443\";proto=\"https\"", .proto = "https", .host = "h:8443" },
	{ "a parameter nobody knows", OURS, .forwarded = "secret=\"a;b,c=\\\"d\";host=h", .host = "h" },
	{ "white space around semicolons", OURS, .forwarded = " for=1.2.3.4 ;\thost=h ; proto=https ", .proto = "https",
	  .host = "h" },
	{ "empty parameters", OURS, .forwarded = ";host=h;;proto=https;", .proto = "https", .host = "h" },
	{ "a host that is empty", OURS, .forwarded = "host=\"\";proto=\"\"" },
	{ "two elements, one proxy", OURS, .forwarded = "for=10.0.0.9;host=evil, for=1.2.3.4;host=h", .host = "h" },
	{ "two elements, two proxies", OURS, .forwarded = "for=1.2.3.4;host=h, for=10.0.0.2;host=inner", .host = "h" },
	{ "two proxies, one by IPv6", OURS, .forwarded = "host=h,for=\"[2001:db8::1]:4711\";host=inner", .host = "h" },
	{ "a made-up port", OURS, .forwarded = "host=h,for=\"[2001:db8::1]:_a.B-9\";host=inner", .host = "h" },
	{ "all are proxies, by Forwarded", OURS, .forwarded = "for=10.0.0.9;host=h,for=10.0.0.2;host=inner", .host = "h" },
	{ "a hidden one", OURS, .forwarded = "for=10.0.0.9;host=evil,for=_hidden;host=h", .host = "h" },
	{ "an unknown one, by Forwarded", OURS, .forwarded = "for=10.0.0.9;host=evil,for=unknown;host=h", .host = "h" },
	{ "an element that does not say for whom", OURS, .forwarded = "for=10.0.0.9;host=evil,host=h", .host = "h" },
	{ "an element that says nothing", OURS, .forwarded = "for=10.0.0.9;host=evil,;" },
	{ "an address with a backslash in it", OURS, .forwarded = "host=evil,for=\"10\\.0.0.2\";host=h", .host = "h" },
	{ "everybody is trusted, by Forwarded", "all", .peer = "", .forwarded = "host=h,host=b,for=1.2.3.4;host=c", .host = "h" },
	{ "a proxy that does not say what its own proxy says", OURS, .forwarded = "for=1.2.3.4,for=10.0.0.2;host=inner" },
	{ "a host with a backslash", OURS, .forwarded = "host=\"a\\b\"", .want = BG_R_BAD_FORWARDED },
	{ "a scheme with a backslash", OURS, .forwarded = "proto=\"h\\ttps\"", .want = BG_R_BAD_FORWARDED },
	{ "a parameter twice", OURS, .forwarded = "host=a;host=a", .want = BG_R_BAD_FORWARDED },
	{ "a parameter twice, once in capitals", OURS, .forwarded = "for=1.2.3.4;FOR=10.0.0.2", .want = BG_R_BAD_FORWARDED },
	{ "a parameter twice, once empty", OURS, .forwarded = "host=\"\";host=a", .want = BG_R_BAD_FORWARDED },
	{ "by twice", OURS, .forwarded = "by=a;by=b", .want = BG_R_BAD_FORWARDED },
	{ "IPv6 without quotes", OURS, .forwarded = "for=[2001:db8::1]", .want = BG_R_BAD_FORWARDED },
	{ "a port without quotes", OURS, .forwarded = "host=h:8443", .want = BG_R_BAD_FORWARDED },
	{ "an open quote", OURS, .forwarded = "host=\"a", .want = BG_R_BAD_FORWARDED },
	{ "an open quote before the proxy's element", OURS, .forwarded = "host=evil;for=\", for=1.2.3.4;host=h",
	  .want = BG_R_BAD_FORWARDED },
	{ "an open quote that the proxy's closes", OURS, .forwarded = "host=evil;for=\", for=\"1.2.3.4\";host=h",
	  .want = BG_R_BAD_FORWARDED },
	{ "a backslash at the end", OURS, .forwarded = "for=\"a\\", .want = BG_R_BAD_FORWARDED },
	{ "an escaped quote at the end", OURS, .forwarded = "for=\"a\\\"", .want = BG_R_BAD_FORWARDED },
	{ "a control character in quotes", OURS, .forwarded = "for=\"a\x01\"", .want = BG_R_BAD_FORWARDED },
	{ "an escaped line end", OURS, .forwarded = "for=\"a\\\n\"", .want = BG_R_BAD_FORWARDED },
	{ "no value", OURS, .forwarded = "host=", .want = BG_R_BAD_FORWARDED },
	{ "no equals sign", OURS, .forwarded = "host", .want = BG_R_BAD_FORWARDED },
	{ "no name", OURS, .forwarded = "=h", .want = BG_R_BAD_FORWARDED },
	{ "spaces around the equals sign", OURS, .forwarded = "host = h", .want = BG_R_BAD_FORWARDED },
	{ "two values", OURS, .forwarded = "host=h g", .want = BG_R_BAD_FORWARDED },
	{ "more behind a quote", OURS, .forwarded = "host=\"h\"g", .want = BG_R_BAD_FORWARDED },
	{ "a byte above ASCII", OURS, .forwarded = "host=\xc3\xbc", .want = BG_R_BAD_FORWARDED },
	/* both */
	{ "both say the same", OURS, .x_for = "1.2.3.4", .x_proto = "https", .x_host = "H", .x_prefix = "/p",
	  .forwarded = "for=1.2.3.4;proto=HTTPS;host=h", .proto = "https", .host = "H", .prefix = "/p" },
	{ "one says what the other does not", OURS, .x_proto = "https", .forwarded = "host=h", .proto = "https", .host = "h" },
	{ "two hosts", OURS, .x_host = "h", .forwarded = "host=g", .want = BG_R_BAD_FORWARDED },
	{ "two schemes", OURS, .x_proto = "https", .forwarded = "proto=http", .want = BG_R_BAD_FORWARDED },
	{ "an empty one contradicts nobody", OURS, .x_proto = "https", .x_host = "h", .forwarded = "host=\"\"", .proto = "https",
	  .host = "h" },
};

static void
check_said(struct bg_slice said, const char *want, const char *what, const char *name)
{
	ck_assert_msg(bg_slice_equal(said, bg_slice_str(want)) && (said.ptr == NULL) == (want == NULL), 
	    "%s: %s is \"%.*s\", wanted %s", name, what, BG_SLICE_ARG(said), want != NULL ? want : "nothing");
}

START_TEST(proxies_of_ours_say_what_the_client_asked)	/* SR-68, SR-69 */
{
	struct bg_network networks_of_ours[MAX_NETWORKS];
	struct bg_proxies proxies;
	struct bg_request request = {
		.remote_addr = bg_slice_str(rows[_i].peer != NULL ? rows[_i].peer : "10.0.0.1"),
		.forwarded = bg_slice_str(rows[_i].forwarded), .x_forwarded_for = bg_slice_str(rows[_i].x_for),
		.x_forwarded_proto = bg_slice_str(rows[_i].x_proto), .x_forwarded_host = bg_slice_str(rows[_i].x_host),
		.x_forwarded_prefix = bg_slice_str(rows[_i].x_prefix),
	};
	struct bg_forwarded said = { .host = BG_SLICE("left") };
	struct bg_error err = { 0 };

	make_proxies(rows[_i].proxies, &proxies, networks_of_ours);
	ck_reason(bg_forwarded_find(&proxies, &request, &said, &err), err, rows[_i].want, rows[_i].name);
	check_said(said.proto, rows[_i].proto, "proto", rows[_i].name);
	check_said(said.host, rows[_i].host, "host", rows[_i].name);
	check_said(said.prefix, rows[_i].prefix, "prefix", rows[_i].name);
}
END_TEST

START_TEST(a_header_that_came_twice_is_refused_of_a_proxy_alone)	/* SR-68 */
{
	struct bg_network networks_of_ours[MAX_NETWORKS];
	struct bg_proxies proxies;
	struct bg_request request = { .remote_addr = BG_SLICE("10.0.0.1"), .repeated_forwarded = true };
	struct bg_forwarded said;
	struct bg_error err = { 0 };

	make_proxies(OURS, &proxies, networks_of_ours);
	ck_reason(bg_forwarded_find(&proxies, &request, &said, &err), err, BG_R_BAD_FORWARDED, "of a proxy");
	bg_error_clear(&err);
	request.remote_addr = BG_SLICE("192.0.2.1");
	ck_reason(bg_forwarded_find(&proxies, &request, &said, &err), err, BG_R_OK, "of a stranger");
	ck_assert_ptr_null(said.host.ptr);
}
END_TEST

/* 100 hops pass, 101 are refused, in each of the headers; empty ones are none. */
START_TEST(a_list_has_a_ceiling)	/* SR-69 */
{
	static const struct { size_t member; const char *entry; } headers[] = {
		{ offsetof(struct bg_request, x_forwarded_for), "10.0.0.2," },
		{ offsetof(struct bg_request, x_forwarded_proto), "https ,, " },
		{ offsetof(struct bg_request, x_forwarded_host), "h," },
		{ offsetof(struct bg_request, x_forwarded_prefix), "/p ,\t," },
		{ offsetof(struct bg_request, forwarded), "for=10.0.0.2;host=h , ," },
	};
	struct bg_network networks_of_ours[MAX_NETWORKS];
	struct bg_proxies proxies;

	make_proxies(OURS, &proxies, networks_of_ours);
	for (int h = 0; h < N(headers); h++)
		for (int n = BG_FORWARDED_MAX; n <= BG_FORWARDED_MAX + 1; n++) {
			struct bg_request request = { .remote_addr = BG_SLICE("10.0.0.1") };
			struct bg_error err = { 0 };
			struct bg_forwarded said;
			struct bg_slice text;
			struct bg_buf buf;

			bg_buf_init(&buf, 10000);
			for (int i = 0; i < n; i++)
				bg_buf_put_str(&buf, headers[h].entry);
			ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
			memcpy((char *)&request + headers[h].member, &text, sizeof(text));
			ck_reason(bg_forwarded_find(&proxies, &request, &said, &err), err,
			    n > BG_FORWARDED_MAX ? BG_R_BAD_FORWARDED : BG_R_OK, headers[h].entry);
			bg_buf_clear(&buf);
		}
}
END_TEST

START_TEST(a_hundred_hops_lead_to_the_first)	/* SR-69 */
{
	struct bg_network networks_of_ours[MAX_NETWORKS];
	struct bg_proxies proxies;
	struct bg_request request = { .remote_addr = BG_SLICE("10.0.0.1") };
	struct bg_error err = { 0 };
	struct bg_forwarded said;
	struct bg_buf seen, hosts;

	make_proxies(OURS, &proxies, networks_of_ours);
	bg_buf_init(&seen, 10000);
	bg_buf_init(&hosts, 10000);
	for (int i = 0; i < BG_FORWARDED_MAX; i++) {
		bg_buf_put_format(&seen, "%s10.0.0.%d", i > 0 ? ", " : "", i);
		bg_buf_put_format(&hosts, "%sh%d", i > 0 ? ", " : "", i);
	}
	ck_assert_int_eq(bg_buf_finish(&seen, &request.x_forwarded_for, NULL), 0);
	ck_assert_int_eq(bg_buf_finish(&hosts, &request.x_forwarded_host, NULL), 0);
	ck_reason(bg_forwarded_find(&proxies, &request, &said, &err), err, BG_R_OK, "a hundred");
	check_said(said.host, "h0", "host", "a hundred");
	bg_buf_clear(&seen);
	bg_buf_clear(&hosts);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("forwarded");
	TCase *tc = tcase_create("forwarded");

	tcase_add_loop_test(tc, a_network_is_an_address_and_perhaps_bits, 0, N(networks));
	tcase_add_loop_test(tc, a_peer_is_trusted_by_its_address_alone, 0, N(peers));
	tcase_add_test(tc, a_zero_byte_makes_no_other_address);
	tcase_add_loop_test(tc, proxies_of_ours_say_what_the_client_asked, 0, N(rows));
	tcase_add_test(tc, a_header_that_came_twice_is_refused_of_a_proxy_alone);
	tcase_add_test(tc, a_list_has_a_ceiling);
	tcase_add_test(tc, a_hundred_hops_lead_to_the_first);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
