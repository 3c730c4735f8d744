#include "core/export.h"

#include <stdlib.h>

#include "core/b64url.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/rule.h"

/*
 * Printable ASCII alone; "%" is encoded too, so that decoding gives back what was in the token.  So is a space at
 * either end, because servers trim it: " admin" must not arrive as "admin".
 */
static void
put_percent(struct bg_buf *out, struct bg_slice value)
{
	size_t plain = 0;	/* from where on nothing was written yet, since it goes out as it is */

	if (value.len > 0 && bg_slice_is_printable(value) && value.ptr[0] != ' ' && value.ptr[value.len - 1] != ' ' &&
	    memchr(value.ptr, '%', value.len) == NULL) {
		bg_buf_put(out, value);
		return;
	}
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if ((c > 0x20 && c < 0x7f && c != '%') || (c == ' ' && i > 0 && i + 1 < value.len))
			continue;
		bg_buf_put(out, (struct bg_slice){ value.ptr + plain, i - plain });
		bg_buf_put_format(out, "%%%02X", c);
		plain = i + 1;
	}
	bg_buf_put(out, (struct bg_slice){ value.ptr + plain, value.len - plain });
}

static void
put_variable(struct bg_buf *out, const char *name, struct bg_slice value, enum bg_encoding encoding)
{
	size_t start = out->len, name_len = strlen(name), len;
	char *at;

	bg_buf_put(out, (struct bg_slice){ name, name_len + 1 });
	if (encoding != BG_ENCODING_BASE64URL)
		put_percent(out, value);
	else if ((at = bg_buf_extend(out, BG_B64URL_ENCODED(value.len))) != NULL)
		bg_b64url_encode(at, (const unsigned char *)value.ptr, value.len);
	len = out->len - start - name_len - 1;
	if (!out->failed && len > BG_EXPORT_VALUE_MAX) {
		bg_log(BG_LOG_ERROR, "export=%s is too long: %zu bytes, servers take %d; it must not be exported, or the token be smaller",
		    name, len, BG_EXPORT_VALUE_MAX);
		out->failed = true;
	}
	bg_buf_put(out, (struct bg_slice){ "", 1 });
}

#define SIMPLE_MAX	512	/* bytes; times, audiences, permissions */

/* Put bytes behind the *n that stand in room; false: it is full. */
static bool
add(char room[SIMPLE_MAX], size_t *n, const char *bytes, size_t len)
{
	if (len > SIMPLE_MAX - *n)
		return false;
	memcpy(room + *n, bytes, len);
	*n += len;
	return true;
}

static bool
add_integer(char room[SIMPLE_MAX], size_t *n, json_int_t value)
{
	unsigned long long rest = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
	char digits[24], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		*--at = '-';
	return add(room, n, at, (size_t)(digits + sizeof(digits) - at));
}

/* What nearly all claims are that are no strings, an integer or an array of plain strings, as json_dumps writes it. */
static bool
add_simple(char room[SIMPLE_MAX], size_t *n, const json_t *value)
{
	const json_t *entry;
	size_t i;

	if (json_is_integer(value))
		return add_integer(room, n, json_integer_value(value));
	if (!json_is_array(value) || !add(room, n, "[", 1))
		return false;
	json_array_foreach(value, i, entry) {
		struct bg_slice text = bg_json_string(entry);

		if (text.ptr == NULL || !bg_slice_is_printable(text) || memchr(text.ptr, '"', text.len) != NULL ||
		    memchr(text.ptr, '\\', text.len) != NULL || (i > 0 && !add(room, n, ",", 1)) || !add(room, n, "\"", 1) ||
		    !add(room, n, text.ptr, text.len) || !add(room, n, "\"", 1))
			return false;
	}
	return add(room, n, "]", 1);
}

/*
 * A value as text: a string as it is, all else as compact JSON.  It may stand in room; *made is to be freed; -1: no memory.
 * json_dumps takes four times as long as all else there is to do for a variable.
 */
static int
text_of(const json_t *value, char room[SIMPLE_MAX], struct bg_slice *text, char **made, struct bg_error *err)
{
	size_t n = 0;

	*made = NULL;
	*text = bg_json_string(value);
	if (text->ptr != NULL)
		return 0;
	if (add_simple(room, &n, value)) {
		*text = (struct bg_slice){ room, n };
		return 0;
	}
	/* never deeper than BG_JSON_DEPTH_MAX: the pre-scan saw to that (SR-28) */
	if ((*made = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "export");
	*text = bg_slice_str(*made);
	return 0;
}

/*
 * An array of plain values as one text.  A value that holds the separator would look like two, so there is no joining.
 * Returns 1 when it was joined, 0 when it cannot be, -1 when there was no memory.
 */
static int
join(const json_t *array, const char *separator, struct bg_buf *out)
{
	char room[SIMPLE_MAX];
	struct bg_slice text;
	const json_t *entry;
	char *made;
	size_t i;

	if (!json_is_array(array))
		return 0;
	json_array_foreach(array, i, entry) {
		if (json_is_array(entry) || json_is_object(entry))
			return 0;
		if (text_of(entry, room, &text, &made, NULL) != 0)
			return -1;
		if (memmem(text.ptr, text.len, separator, strlen(separator)) != NULL) {
			free(made);
			return 0;
		}
		if (i > 0)
			bg_buf_put_str(out, separator);
		bg_buf_put(out, text);
		free(made);
	}
	return out->no_memory ? -1 : !out->failed;
}

static int
put_claim(struct bg_buf *out, const struct bg_export *how, const json_t *value, struct bg_error *err)
{
	char room[SIMPLE_MAX];
	struct bg_slice text;
	struct bg_buf joined;
	char *made = NULL;
	int rc;

	bg_buf_init(&joined, BG_EXPORT_VALUE_MAX);
	/* never as JSON for want of memory alone: the program behind would take it for another value */
	if ((rc = how->join != NULL ? join(value, how->join, &joined) : 0) < 0)
		bg_fail(err, BG_R_NO_MEMORY, "export");
	else if (rc > 0) {
		rc = 0;
		put_variable(out, how->name,
		    (struct bg_slice){ joined.data != NULL ? joined.data : "", joined.len }, how->encoding);
	} else if ((rc = text_of(value, room, &text, &made, err)) == 0)
		put_variable(out, how->name, text, how->encoding);
	free(made);
	bg_buf_clear(&joined);
	return rc;
}

static void
put_anonymous(const struct bg_exports *exports, struct bg_buf *out)
{
	put_variable(out, "REMOTE_USER", BG_SLICE(""), BG_ENCODING_PERCENT);
	put_variable(out, "AUTH_TYPE", BG_SLICE(""), BG_ENCODING_PERCENT);
	for (size_t i = 0; i < exports->n_exports; i++)
		put_variable(out, exports->exports[i].name, BG_SLICE(""), BG_ENCODING_PERCENT);
	if (exports->json)
		put_variable(out, "CLAIMS_JSON", BG_SLICE(""), BG_ENCODING_PERCENT);
}

/* Only a plain value can. */
static bool
names_somebody(const json_t *value)
{
	return json_is_string(value) || json_is_number(value);
}

int
bg_export(const struct bg_exports *exports, enum bg_scheme scheme, const struct bg_claims *claims, struct bg_buf *out,
    struct bg_error *err)
{
	struct bg_export user = { .name = (char[]){ "REMOTE_USER" } }, json = { .name = (char[]){ "CLAIMS_JSON" } };
	const json_t *value;
	struct bg_slice all;

	if (claims == NULL) {
		put_anonymous(exports, out);
		return bg_buf_finish(out, &all, err);
	}
	value = exports->user_claim != NULL ? bg_claims_find(claims, exports->user_claim) : NULL;
	if (names_somebody(value) && put_claim(out, &user, value, err) != 0)
		return -1;
	put_variable(out, "AUTH_TYPE", scheme == BG_SCHEME_DPOP ? BG_SLICE("DPoP") : BG_SLICE("Bearer"), BG_ENCODING_PERCENT);
	for (size_t i = 0; i < exports->n_exports; i++) {
		value = bg_claims_find(claims, exports->exports[i].claim);
		if (value != NULL && put_claim(out, &exports->exports[i], value, err) != 0)
			return -1;
	}
	if (exports->json && put_claim(out, &json, claims->all, err) != 0)
		return -1;
	return bg_buf_finish(out, &all, err);
}

int
bg_export_missing(const struct bg_exports *exports, const struct bg_claims *claims, struct bg_buf *out, struct bg_error *err)
{
	const json_t *user = exports->user_claim != NULL ? bg_claims_find(claims, exports->user_claim) : NULL;
	struct bg_slice all;

	if (!names_somebody(user))
		put_variable(out, "REMOTE_USER", BG_SLICE(""), BG_ENCODING_PERCENT);
	for (size_t i = 0; i < exports->n_exports; i++)
		if (bg_claims_find(claims, exports->exports[i].claim) == NULL)
			put_variable(out, exports->exports[i].name, BG_SLICE(""), BG_ENCODING_PERCENT);
	return bg_buf_finish(out, &all, err);
}

void
bg_exports_clear(struct bg_exports *exports)
{
	for (size_t i = 0; i < exports->n_exports; i++) {
		free(exports->exports[i].claim);
		free(exports->exports[i].name);
		free(exports->exports[i].join);
	}
	free(exports->exports);
	free(exports->user_claim);
	*exports = (struct bg_exports){ 0 };
}
