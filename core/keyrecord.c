#include "core/keyrecord.h"

#include <inttypes.h>

#include "core/secret.h"
#include "core/url.h"

#define FORMAT		"bearergate-keys 1"
#define LINE_MAX_LEN	(BG_URL_MAX + 64)
#define TIME_MAX	INT64_C(253402300799)	/* the last second of the year 9999 */
#define TIME_MAX_MS	(TIME_MAX * 1000)

void
bg_keyrecord_init(struct bg_keyrecord *record)
{
	*record = (struct bg_keyrecord){ .private_peer = false };
	bg_buf_init(&record->text, BG_FETCH_MAX);
}

void
bg_keyrecord_clear(struct bg_keyrecord *record)
{
	bg_buf_clear(&record->text);
	bg_keyrecord_init(record);
}

/* The lines in the order in which they stand; those that may be missing do not stand there when they say nothing. */
enum line { ISSUER, SOURCE, JWKS_URI, ADDRESS, ETAG, FETCHED, LIFETIME, FAILED, ERROR, LENGTH, DIGEST, LINES };

static const struct { const char *name; bool optional; } lines[LINES] = {
	[ISSUER]   = { "issuer", false },
	[SOURCE]   = { "source", true },
	[JWKS_URI] = { "jwks_uri", true },
	[ADDRESS]  = { "address", true },
	[ETAG]     = { "etag", true },
	[FETCHED]  = { "fetched", false },
	[LIFETIME] = { "lifetime", false },
	[FAILED]   = { "failed", true },
	[ERROR]    = { "error", true },
	[LENGTH]   = { "length", false },
	[DIGEST]   = { "sha256", false },
};

static void
put_text(struct bg_buf *out, enum line line, const char *text)
{
	if (text[0] == '\0')
		return;
	bg_buf_put_format(out, "%s: ", lines[line].name);
	for (; *text != '\0'; text++)	/* an error may hold what the issuer said */
		bg_buf_put_char(out, *text >= 0x20 && *text < 0x7f ? *text : '?');
	bg_buf_put_char(out, '\n');
}

static void
put_number(struct bg_buf *out, enum line line, int64_t n)
{
	bg_buf_put_format(out, "%s: %" PRId64 "\n", lines[line].name, n);
}

static void
put_hex(const unsigned char hash[BG_SHA256_LEN], char out[2 * BG_SHA256_LEN + 1])
{
	for (size_t i = 0; i < BG_SHA256_LEN; i++)
		bg_format(out + 2 * i, 3, "%02x", hash[i]);
}

void
bg_keyrecord_write(const struct bg_keyrecord *record, const struct bg_keyrecord_owner *owner, struct bg_buf *out)
{
	struct bg_slice text = { record->text.data, record->text.len };
	char digest[2 * BG_SHA256_LEN + 1];
	unsigned char hash[BG_SHA256_LEN];

	if (bg_sha256(text, hash, NULL) != 0) {
		out->failed = true;
		return;
	}
	put_hex(hash, digest);
	bg_buf_put_str(out, FORMAT "\n");
	put_text(out, ISSUER, owner->issuer);
	put_text(out, SOURCE, owner->source);
	put_text(out, JWKS_URI, record->jwks_uri);
	put_text(out, ADDRESS, record->private_peer ? "private" : "");
	put_text(out, ETAG, record->etag);
	put_number(out, FETCHED, record->fetched);
	put_number(out, LIFETIME, record->lifetime);
	if (record->failed != 0) {
		put_number(out, FAILED, record->failed);
		put_text(out, ERROR, record->error);
	}
	put_number(out, LENGTH, (int64_t)text.len);
	put_text(out, DIGEST, digest);
	bg_buf_put_char(out, '\n');
	bg_buf_put(out, text);
}

/* The next line off rest, without its end; false when there is none that ends in time. */
static bool
next_line(struct bg_slice *rest, struct bg_slice *line)
{
	size_t limit = rest->len < LINE_MAX_LEN ? rest->len : LINE_MAX_LEN;
	const char *end = limit > 0 ? memchr(rest->ptr, '\n', limit) : NULL;

	if (end == NULL)
		return false;
	*line = (struct bg_slice){ rest->ptr, (size_t)(end - rest->ptr) };
	*rest = bg_slice_skip(*rest, line->len + 1);
	return true;
}

static bool
read_number(struct bg_slice text, int64_t max, int64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9' || *out > max / 10)
			return false;
		*out = *out * 10 + (text.ptr[i] - '0');
	}
	return text.len > 0 && text.len <= 19 && *out <= max && (text.len == 1 || text.ptr[0] != '0');
}

/* Printable ASCII that fits. */
static bool
read_text(struct bg_slice text, char *out, size_t size)
{
	if (text.len >= size)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x20 || text.ptr[i] >= 0x7f)
			return false;
	if (text.len > 0)
		memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

/* All the lines into values, ptr NULL for what is not there. */
static const char *
read_lines(struct bg_slice *rest, struct bg_slice values[LINES])
{
	struct bg_slice line;
	size_t next = 0;

	if (!next_line(rest, &line) || !bg_slice_equal(line, BG_SLICE(FORMAT)))
		return "it does not begin with \"" FORMAT "\"";
	for (;;) {
		size_t len;

		if (!next_line(rest, &line))
			return "its head has no end";
		if (line.len == 0)
			break;
		for (;; next++) {
			if (next == LINES)
				return "a line of its head is unknown or not in its place";
			len = strlen(lines[next].name);
			if (line.len > len + 2 && memcmp(line.ptr, lines[next].name, len) == 0 &&
			    memcmp(line.ptr + len, ": ", 2) == 0)
				break;
			if (!lines[next].optional)
				return "a line of its head is missing or not in its place";
		}
		values[next++] = bg_slice_skip(line, len + 2);
	}
	return next == LINES ? NULL : "a line of its head is missing";
}

static const char *
read_values(const struct bg_slice values[LINES], const struct bg_keyrecord_owner *owner, struct bg_keyrecord *record)
{
	if (!bg_slice_equal(values[ISSUER], bg_slice_str(owner->issuer)) ||
	    !bg_slice_equal(values[SOURCE], bg_slice_str(owner->source)))
		return "it is of another issuer";
	if (!read_text(values[JWKS_URI], record->jwks_uri, sizeof(record->jwks_uri)) ||
	    (values[JWKS_URI].ptr != NULL && bg_url_wrong(values[JWKS_URI], true) != NULL))
		return "its jwks_uri is none";
	if (values[ADDRESS].ptr != NULL && !bg_slice_equal(values[ADDRESS], BG_SLICE("private")))
		return "its address is of no known kind";
	record->private_peer = values[ADDRESS].ptr != NULL;
	if (!read_text(values[ETAG], record->etag, sizeof(record->etag)))
		return "its etag is none";
	if (!read_number(values[FETCHED], TIME_MAX_MS, &record->fetched) ||
	    !read_number(values[LIFETIME], TIME_MAX, &record->lifetime) ||
	    (values[FAILED].ptr != NULL && !read_number(values[FAILED], TIME_MAX, &record->failed)))
		return "a time in it is none";
	if (!read_text(values[ERROR], record->error, sizeof(record->error)))
		return "its error is too long";
	if ((record->failed != 0) != (values[FAILED].ptr != NULL) || (values[ERROR].ptr != NULL && record->failed == 0))
		return "it has an error without a time";
	return NULL;
}

static const char *
read_body(const struct bg_slice values[LINES], struct bg_slice body, struct bg_keyrecord *record)
{
	char digest[2 * BG_SHA256_LEN + 1];
	unsigned char hash[BG_SHA256_LEN];
	int64_t length;

	if (!read_number(values[LENGTH], BG_FETCH_MAX, &length) || (size_t)length != body.len)
		return "it is not as long as it says";
	if (bg_sha256(body, hash, NULL) != 0)
		return "its digest cannot be made";
	put_hex(hash, digest);
	if (!bg_slice_equal(values[DIGEST], bg_slice_str(digest)))
		return "it was changed: its digest is another";
	if ((record->fetched != 0) != (body.len > 0))
		return "it has a time without a set, or a set without a time";
	bg_buf_put(&record->text, body);
	return record->text.failed ? "there is no memory for it" : NULL;
}

int
bg_keyrecord_read(struct bg_slice bytes, const struct bg_keyrecord_owner *owner, struct bg_keyrecord *record,
    struct bg_error *err)
{
	struct bg_slice values[LINES] = { { NULL, 0 } };
	const char *wrong;

	bg_keyrecord_clear(record);
	if ((wrong = read_lines(&bytes, values)) == NULL && (wrong = read_values(values, owner, record)) == NULL)
		wrong = read_body(values, bytes, record);
	if (wrong == NULL)
		return 0;
	bg_keyrecord_clear(record);
	return bg_fail(err, BG_R_BAD_CACHE, "%s", wrong);
}
