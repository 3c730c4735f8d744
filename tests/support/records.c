#include "tests/support/records.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MS	20000

static void
fault(const char *what)
{
	fprintf(stderr, "tests/support/records.c: %s: %s\n", what, strerror(errno));
	abort();
}

void
bg_rec_put(struct bg_buf *out, unsigned type, unsigned id, struct bg_slice content, unsigned padding)
{
	const unsigned header[8] = {
		1, type, id >> 8, id & 0xff, (unsigned)content.len >> 8, (unsigned)content.len & 0xff, padding, 0,
	};

	for (size_t i = 0; i < 8; i++)
		bg_buf_put_char(out, (char)header[i]);
	bg_buf_put(out, content);
	while (padding-- > 0)
		bg_buf_put_char(out, 'p');
}

void
bg_rec_begin(struct bg_buf *out, unsigned id, unsigned role, unsigned flags)
{
	const char body[8] = { (char)(role >> 8), (char)role, (char)flags };

	bg_rec_put(out, BG_REC_BEGIN_REQUEST, id, (struct bg_slice){ body, sizeof(body) }, 0);
}

static void
put_length(struct bg_buf *pairs, uint32_t n, bool is_long)
{
	if (is_long) {
		bg_buf_put_char(pairs, (char)(n >> 24 | 0x80));
		bg_buf_put_char(pairs, (char)(n >> 16));
		bg_buf_put_char(pairs, (char)(n >> 8));
	}
	bg_buf_put_char(pairs, (char)n);
}

void
bg_rec_pair(struct bg_buf *pairs, struct bg_slice name, struct bg_slice value)
{
	put_length(pairs, (uint32_t)name.len, name.len > 127);
	put_length(pairs, (uint32_t)value.len, value.len > 127);
	bg_buf_put(pairs, name);
	bg_buf_put(pairs, value);
}

void
bg_rec_lengths(struct bg_buf *pairs, uint32_t name, uint32_t value)
{
	put_length(pairs, name, true);
	put_length(pairs, value, true);
}

void
bg_rec_params(struct bg_buf *out, unsigned id, struct bg_slice pairs, size_t piece, unsigned padding)
{
	while (pairs.len > 0) {
		size_t n = pairs.len < piece ? pairs.len : piece;

		bg_rec_put(out, BG_REC_PARAMS, id, (struct bg_slice){ pairs.ptr, n }, padding);
		pairs = bg_slice_skip(pairs, n);
	}
	bg_rec_put(out, BG_REC_PARAMS, id, BG_SLICE(""), padding);
}

void
bg_rec_request(struct bg_buf *out, const char *uri)
{
	bg_rec_request_as(out, BG_REC_AUTHORIZER, uri);
}

void
bg_rec_request_as(struct bg_buf *out, unsigned role, const char *uri)
{
	struct bg_buf pairs;

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_METHOD"), BG_SLICE("GET"));
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), bg_slice_str(uri));
	bg_rec_pair(&pairs, BG_SLICE("QUERY_STRING"), BG_SLICE(""));
	bg_rec_begin(out, 1, role, 0);
	bg_rec_params(out, 1, (struct bg_slice){ pairs.data, pairs.len }, 65535, 0);
	if (role == BG_REC_RESPONDER)
		bg_rec_put(out, BG_REC_STDIN, 1, BG_SLICE(""), 0);
	bg_buf_clear(&pairs);
}

/* ---- requests that must not be answered ---- */

#define BEGIN		"\1\1\0\1\0\10\0\0" "\0\2\0\0\0\0\0\0"
#define ROLE(role)	"\1\1\0\1\0\10\0\0" "\0" role "\0\0\0\0\0\0"
#define PARAMS(len)	"\1\4\0\1\0" len "\0\0"
#define END		PARAMS("\0")
#define STDIN		"\1\5\0\1\0\0\0\0"
#define BYTES(lit)	NULL, lit, sizeof(lit) - 1

static void
put_get_values(struct bg_buf *out, int names)
{
	struct bg_buf pairs;

	bg_buf_init(&pairs, BG_REC_MAX);
	for (int i = 0; i < names; i++)
		bg_rec_pair(&pairs, i % 3 == 0 ? BG_SLICE("FCGI_MAX_CONNS") : i % 3 == 1 ? BG_SLICE("FCGI_MAX_REQS") :
		    BG_SLICE("FCGI_MPXS_CONNS"), BG_SLICE(""));
	bg_rec_put(out, BG_REC_GET_VALUES, 0, (struct bg_slice){ pairs.data, pairs.len }, 0);
	bg_buf_clear(&pairs);
}

static void
make_get_values_1(struct bg_buf *out)
{
	put_get_values(out, 1);
}

static void
make_get_values_2(struct bg_buf *out)
{
	put_get_values(out, 2);
}

static void
make_get_values_3(struct bg_buf *out)
{
	put_get_values(out, 3);
}

static void
make_get_values_6(struct bg_buf *out)
{
	put_get_values(out, 6);
}

static void
make_get_values_inside(struct bg_buf *out)
{
	bg_rec_begin(out, 1, BG_REC_AUTHORIZER, 0);
	put_get_values(out, 6);
	bg_buf_put(out, BG_SLICE(END));
}

/* One pair with these lengths, and some bytes of it. */
static void
put_lengths_request(struct bg_buf *out, uint32_t name, uint32_t value)
{
	struct bg_buf pairs;

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_rec_lengths(&pairs, name, value);
	bg_buf_put(&pairs, BG_SLICE("AAAAAAAA"));
	bg_rec_begin(out, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(out, 1, (struct bg_slice){ pairs.data, pairs.len }, 65535, 0);
	bg_buf_clear(&pairs);
}

static void
make_name_7fffffff(struct bg_buf *out)
{
	put_lengths_request(out, 0x7fffffff, 0x7fffffff);
}

static void
make_7ffffffe_5(struct bg_buf *out)
{
	put_lengths_request(out, 0x7ffffffe, 5);
}

static void
make_40000000_twice(struct bg_buf *out)
{
	put_lengths_request(out, 0x40000000, 0x40000000);
}

static void
make_name_7fffff00(struct bg_buf *out)
{
	put_lengths_request(out, 0x7fffff00, 0);
}

static void
make_value_7fffff00(struct bg_buf *out)
{
	put_lengths_request(out, 1, 0x7fffff00);
}

/* Parameters of len bytes in all, every one of a good form, in records of so many bytes. */
static void
put_bulk(struct bg_buf *out, size_t n_pairs, size_t value_len, size_t piece, unsigned padding)
{
	struct bg_buf pairs, value;

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&value, BG_REC_MAX);
	while (value.len < value_len)
		bg_buf_put_char(&value, 'v');
	for (size_t i = 0; i < n_pairs; i++)
		bg_rec_pair(&pairs, BG_SLICE("NAME"), (struct bg_slice){ value.data, value.len });
	bg_rec_begin(out, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(out, 1, (struct bg_slice){ pairs.data, pairs.len }, piece, padding);
	bg_buf_clear(&pairs);
	bg_buf_clear(&value);
}

static void
make_200000_bytes(struct bg_buf *out)
{
	put_bulk(out, 200, 1000, 16384, 0);
}

static void
make_5000_params(struct bg_buf *out)
{
	put_bulk(out, 5000, 1, 65535, 0);
}

static void
make_crumbs(struct bg_buf *out)
{
	put_bulk(out, 10, 200, 1, 255);
}

const struct bg_rec_bad bg_rec_bad[] = {
	{ "version 2",                        "version 1",     BYTES("\2\1\0\1\0\10\0\0" "\0\2\0\0\0\0\0\0" END) },
	{ "version 0 behind BEGIN",           "version 1",     BYTES(BEGIN "\0\4\0\1\0\0\0\0") },
	{ "an HTTP request",                  "version 1",     BYTES("GET / HTTP/1.0\r\n\r\n") },
	{ "PARAMS first",                     "BEGIN_REQUEST", BYTES(END) },
	{ "GET_VALUES with one name",         "BEGIN_REQUEST", make_get_values_1, NULL, 0 },
	{ "GET_VALUES with two names",        "BEGIN_REQUEST", make_get_values_2, NULL, 0 },
	{ "GET_VALUES with three names",      "BEGIN_REQUEST", make_get_values_3, NULL, 0 },
	{ "GET_VALUES with six names",        "BEGIN_REQUEST", make_get_values_6, NULL, 0 },
	{ "an unknown management record",     "BEGIN_REQUEST", BYTES("\1\143\0\0\0\0\0\0") },
	{ "one with content",                 "BEGIN_REQUEST", BYTES("\1\143\0\0\0\4\0\0" "AAAA") },
	{ "one in the middle",                "than PARAMS",   BYTES(BEGIN "\1\143\0\0\0\0\0\0" END) },
	{ "ABORT first",                      "BEGIN_REQUEST", BYTES("\1\2\0\1\0\0\0\0") },
	{ "request id 0",                     "id 0",          BYTES("\1\1\0\0\0\10\0\0" "\0\2\0\0\0\0\0\0" END) },
	{ "BEGIN of 7 bytes",                 "length",        BYTES("\1\1\0\1\0\7\0\0" "\0\2\0\0\0\0\0" END) },
	{ "BEGIN of 16 bytes",                "length",        BYTES("\1\1\0\1\0\20\0\0" "\0\2\0\0\0\0\0\0" "01234567" END) },
	{ "BEGIN with padding",               "length",        BYTES("\1\1\0\1\0\10\10\0" "\0\2\0\0\0\0\0\0" "01234567" END) },
	{ "a Responder's body",               "with a body",   BYTES(ROLE("\1") END "\1\5\0\1\0\1\0\0" "b" "\1\5\0\1\0\0\0\0") },
	{ "a Responder's body of 256 bytes, cut", "with a body", BYTES(ROLE("\1") END "\1\5\0\1\1\0\0\0" "b") },
	{ "a Responder's STDIN before the end of PARAMS", "than PARAMS", BYTES(ROLE("\1") PARAMS("\4") "\1\1AB" STDIN END) },
	{ "PARAMS behind a Responder's",      "than STDIN",    BYTES(ROLE("\1") END PARAMS("\4") "\1\1AB" END STDIN) },
	{ "ABORT behind a Responder's PARAMS", "than STDIN",   BYTES(ROLE("\1") END "\1\2\0\1\0\0\0\0") },
	{ "DATA behind a Responder's PARAMS", "than STDIN",    BYTES(ROLE("\1") END "\1\10\0\1\0\0\0\0" STDIN) },
	{ "GET_VALUES behind a Responder's PARAMS", "than STDIN", BYTES(ROLE("\1") END "\1\11\0\0\0\0\0\0" STDIN) },
	{ "STDIN of another request",         "another request", BYTES(ROLE("\1") END "\1\5\0\2\0\0\0\0") },
	{ "STDIN with id 0",                  "id 0",          BYTES(ROLE("\1") END "\1\5\0\0\0\0\0\0") },
	{ "STDIN of version 2",               "version 1",     BYTES(ROLE("\1") END "\2\5\0\1\0\0\0\0") },
	{ "role Filter",                      "Filter",        BYTES(ROLE("\3") END) },
	{ "role 0",                           "unknown role",  BYTES(ROLE("\0") END) },
	{ "role 4",                           "unknown role",  BYTES(ROLE("\4") END) },
	{ "role 257",                         "unknown role",  BYTES("\1\1\0\1\0\10\0\0" "\1\1\0\0\0\0\0\0" END STDIN) },
	{ "role 258",                         "unknown role",  BYTES("\1\1\0\1\0\10\0\0" "\1\2\0\0\0\0\0\0" END) },
	{ "STDIN before the end of PARAMS",   "than PARAMS",   BYTES(BEGIN PARAMS("\4") "\1\1AB" "\1\5\0\1\0\0\0\0" END) },
	{ "ABORT in the middle",              "than PARAMS",   BYTES(BEGIN PARAMS("\4") "\1\1AB" "\1\2\0\1\0\0\0\0" END) },
	{ "a second BEGIN",                   "than PARAMS",   BYTES(BEGIN BEGIN END) },
	{ "a BEGIN of another request",       "than PARAMS",   BYTES(BEGIN "\1\1\0\2\0\10\0\0" "\0\2\0\0\0\0\0\0" END) },
	{ "GET_VALUES in the middle",         "than PARAMS",   make_get_values_inside, NULL, 0 },
	{ "PARAMS of another request",        "another request", BYTES(BEGIN "\1\4\0\2\0\0\0\0" END) },
	{ "PARAMS with id 0",                 "id 0",          BYTES(BEGIN "\1\4\0\0\0\0\0\0" END) },
	{ "lengths of 0x7fffffff",            "too long",      make_name_7fffffff, NULL, 0 },
	{ "lengths of 0x7ffffffe and 5",      "too long",      make_7ffffffe_5, NULL, 0 },
	{ "lengths of 0x40000000 twice",      "too long",      make_40000000_twice, NULL, 0 },
	{ "a value of 0x7fffff00",            "too long",      make_value_7fffff00, NULL, 0 },
	{ "a name of 0x7fffff00",             "too long",      make_name_7fffff00, NULL, 0 },
	{ "200,000 bytes of parameters",      "too many bytes", make_200000_bytes, NULL, 0 },
	{ "parameters in padded crumbs",      "too many bytes", make_crumbs, NULL, 0 },
	{ "5,000 parameters",                 "too many parameters", make_5000_params, NULL, 0 },
	{ "an empty name",                    "without a name", BYTES(BEGIN PARAMS("\3") "\0\1B" END) },
	{ "an empty name, its length in four bytes", "without a name", BYTES(BEGIN PARAMS("\6") "\200\0\0\0\1B" END) },
	{ "NUL in a name",                    "NUL",           BYTES(BEGIN PARAMS("\5") "\2\1A\0B" END) },
	{ "\"=\" in a name",                  "NUL or \"=\"",  BYTES(BEGIN PARAMS("\6") "\3\1A=B" "C" END) },
	{ "NUL in a value",                   "NUL",           BYTES(BEGIN PARAMS("\5") "\1\2A\0B" END) },
	{ "the end after a name's length",    "inside a pair", BYTES(BEGIN PARAMS("\1") "\1" END) },
	{ "the end inside a length",          "inside a pair", BYTES(BEGIN PARAMS("\2") "\200\0" END) },
	{ "the end inside a name",            "inside a pair", BYTES(BEGIN PARAMS("\4") "\3\0AB" END) },
	{ "the end inside a value",           "inside a pair", BYTES(BEGIN PARAMS("\4") "\1\5AB" END) },
};
const int bg_rec_n_bad = sizeof(bg_rec_bad) / sizeof(bg_rec_bad[0]);

void
bg_rec_make_bad(int i, struct bg_buf *out)
{
	if (bg_rec_bad[i].make != NULL)
		bg_rec_bad[i].make(out);
	else
		bg_buf_put(out, (struct bg_slice){ bg_rec_bad[i].bytes, bg_rec_bad[i].len });
}

/* ---- a client ---- */

bool
bg_rec_parse_address(const char *text, struct bg_rec_address *out)
{
	const char *colon = strrchr(text, ':');
	char host[64], *end;
	long port;

	memset(out, 0, sizeof(*out));
	if (strncmp(text, "unix:", 5) == 0) {
		out->to.un.sun_family = AF_UNIX;
		out->len = sizeof(out->to.un);
		return text[5] != '\0' && bg_format(out->to.un.sun_path, sizeof(out->to.un.sun_path), "%s", text + 5) ==
		    strlen(text + 5);
	}
	if (colon == NULL)
		return false;
	port = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end != '\0' || port < 1 || port > 65535)
		return false;
	bg_format(host, sizeof(host), "%.*s", (int)(colon - text), text);
	out->to.in.sin_family = AF_INET;
	out->to.in.sin_port = htons((uint16_t)port);
	out->len = sizeof(out->to.in);
	return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &out->to.in.sin_addr) == 1 &&
	    ntohl(out->to.in.sin_addr.s_addr) >> 24 == 127;
}

int
bg_rec_connect(const char *address)
{
	struct bg_rec_address at;
	int fd = -1;

	errno = EINVAL;
	if (!bg_rec_parse_address(address, &at) || (fd = socket(at.to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    connect(fd, &at.to.any, at.len) != 0)
		fault(address);
	return fd;
}

bool
bg_rec_send(int fd, struct bg_slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = bg_slice_skip(bytes, (size_t)n);
	}
	return true;
}

/* A record that is cut or foreign leaves the answer not whole. */
void
bg_rec_parse_answer(struct bg_slice all, struct bg_rec_answer *out)
{
	*out = (struct bg_rec_answer){ .bytes = all.len };
	bg_buf_init(&out->out, BG_REC_MAX);
	while (all.len >= 8) {
		const unsigned char *header = (const unsigned char *)all.ptr;
		size_t content = (size_t)header[4] << 8 | header[5], padding = header[6];

		if (header[0] != 1 || header[2] != 0 || header[3] != 1 || all.len < 8 + content + padding)
			return;
		if (header[1] == BG_REC_STDOUT) {
			bg_buf_put(&out->out, (struct bg_slice){ all.ptr + 8, content });
			out->stdout_records += content > 0;
		}
		if (header[1] == BG_REC_END_REQUEST)
			out->whole = content == 8 && header[8 + 4] == 0 && all.len == 8 + content + padding;
		all = bg_slice_skip(all, 8 + content + padding);
	}
}

void
bg_rec_read(int fd, struct bg_rec_answer *out)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct bg_buf all;
	char bytes[4096];
	ssize_t n;

	bg_buf_init(&all, BG_REC_MAX);
	do {
		if (poll(&ready, 1, READ_MS) != 1)
			fault("the peer neither answers nor closes");
		if ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
			bg_buf_put(&all, (struct bg_slice){ bytes, (size_t)n });
	} while (n > 0);
	bg_rec_parse_answer((struct bg_slice){ all.data, all.len }, out);
	out->reset = n < 0;
	bg_buf_clear(&all);
}

void
bg_rec_answer_clear(struct bg_rec_answer *answer)
{
	bg_buf_clear(&answer->out);
}

int
bg_rec_status(struct bg_buf *out, struct bg_slice *body)
{
	const char *line, *next;
	int status = 0;

	bg_buf_put_char(out, '\0');
	if (out->failed)
		fault("an answer");
	for (line = out->data; *line != '\0' && *line != '\r' && *line != '\n'; line = next) {
		next = strchr(line, '\n');
		next = next != NULL ? next + 1 : line + strlen(line);
		if (strncasecmp(line, "Status:", 7) == 0 && status == 0) {
			const char *digits = line + 7 + strspn(line + 7, " ");

			if (strspn(digits, "0123456789") == 3)
				status = atoi(digits);
		}
	}
	line += *line == '\r';
	line += *line == '\n';
	*body = bg_slice_str(line);
	return status;
}
