/*
 * Any claims as variables: core/export.c.  Nothing but printable ASCII leaves, no value makes a name of its own, and what
 * was percent-encoded decodes to what the token said (SR-80 to SR-82).
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/export.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/log.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bg_export list[] = {
	{ .claim = (char[]){ "a" }, .name = (char[]){ "A" } },
	{ .claim = (char[]){ "a" }, .name = (char[]){ "JOINED" }, .join = (char[]){ ", " } },
	{ .claim = (char[]){ "a" }, .name = (char[]){ "BASE64URL" }, .encoding = BG_ENCODING_BASE64URL },
	{ .claim = (char[]){ "/a/0/b" }, .name = (char[]){ "DEEP" }, .join = (char[]){ "\n" } },
};
static const struct bg_exports exports = { .exports = list, .n_exports = 4, .user_claim = (char[]){ "sub" }, .json = true };

static bool
is_known(struct bg_slice name)
{
	static const char *const more[] = { "REMOTE_USER", "AUTH_TYPE", "CLAIMS_JSON" };

	for (size_t i = 0; i < exports.n_exports; i++)
		if (bg_slice_equal(name, bg_slice_str(list[i].name)))
			return true;
	for (size_t i = 0; i < 3; i++)
		if (bg_slice_equal(name, bg_slice_str(more[i])))
			return true;
	return false;
}

/* RFC 3986 section 2.1, by another hand than the encoder's. */
static struct bg_slice
decode(struct bg_slice value, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] == '%') {
			char digits[3] = { value.ptr[i + 1], value.ptr[i + 2], '\0' };

			out[n++] = (char)strtol(digits, NULL, 16);
			i += 2;
		} else
			out[n++] = value.ptr[i];
	return (struct bg_slice){ out, n };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char plain[BG_EXPORT_VALUE_MAX];
	struct bg_claims claims = { 0 };
	struct bg_slice rest, name, value, want;
	struct bg_error err = { 0 };
	json_t *root;
	struct bg_buf out;

	bg_log_open(-1, BG_LOG_ERROR);
	if (bg_json_object((struct bg_slice){ (const char *)data, size }, BG_R_BAD_CLAIMS, &root, &err) != 0)
		return 0;
	claims.all = root;
	bg_buf_init(&out, BG_ANSWER_MAX);
	if (bg_export(&exports, BG_SCHEME_BEARER, &claims, &out, &err) == 0) {
		rest = (struct bg_slice){ out.data, out.len };
		while (bg_export_next(&rest, &name, &value)) {
			MUST(is_known(name));
			MUST(value.len <= BG_EXPORT_VALUE_MAX);
			for (size_t i = 0; i < value.len; i++)
				MUST(value.ptr[i] >= 0x20 && value.ptr[i] <= 0x7e);
			MUST(value.len == 0 || (value.ptr[0] != ' ' && value.ptr[value.len - 1] != ' '));
			want = bg_json_string(json_object_get(root, "a"));
			if (bg_slice_equal(name, BG_SLICE("A")) && want.ptr != NULL)
				MUST(bg_slice_equal(decode(value, plain), want));
		}
		MUST(rest.len == 0);
	} else
		MUST(err.reason == BG_R_INTERNAL || err.reason == BG_R_NO_MEMORY);
	bg_buf_clear(&out);
	json_decref(root);
	return 0;
}
