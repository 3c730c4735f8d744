#include "core/export.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/log.h"

/* What a protected program sees unless told otherwise; CLAIM_ goes in front.  RFC 9068 section 2.2, RFC 7519 section 4.1. */
static const struct {
	const char *claim;
	const char *name;
} defaults[] = {
	{ "iss", "CLAIM_ISS" },
	{ "sub", "CLAIM_SUB" },
	{ "aud", "CLAIM_AUD" },
	{ "exp", "CLAIM_EXP" },
	{ "iat", "CLAIM_IAT" },
	{ "nbf", "CLAIM_NBF" },
	{ "jti", "CLAIM_JTI" },
	{ "scope", "CLAIM_SCOPE" },
	{ "permissions", "CLAIM_PERMISSIONS" },
	{ "azp", "CLAIM_AZP" },
	{ "client_id", "CLAIM_CLIENT_ID" },
	{ "org_id", "CLAIM_ORG_ID" },
};

/*
 * Printable ASCII alone; "%" is encoded too, so that decoding gives back what was in the token.  So is a space at
 * either end, because servers trim it: " admin" must not arrive as "admin".
 */
static void
put_encoded(struct bg_buf *out, struct bg_slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '%') {
			if (c == ' ' && i > 0 && i + 1 < value.len)
				bg_buf_put_char(out, ' ');
			else
				bg_buf_put_format(out, "%%%02X", c);
		} else
			bg_buf_put_char(out, (char)c);
	}
}

static void
put_variable(struct bg_buf *out, const char *name, struct bg_slice value)
{
	size_t start = out->len, name_len = strlen(name);

	bg_buf_put(out, (struct bg_slice){ name, name_len + 1 });
	put_encoded(out, value);
	if (!out->failed && out->len - start - name_len - 1 > BG_EXPORT_VALUE_MAX) {
		bg_log(BG_LOG_WARNING, "export=%s left out: %zu bytes, servers take %d", name,
		    out->len - start - name_len - 1, BG_EXPORT_VALUE_MAX);
		out->len = start;
		return;
	}
	bg_buf_put(out, (struct bg_slice){ "", 1 });
}

static int
put_claim(struct bg_buf *out, const char *name, const json_t *value, struct bg_error *err)
{
	char number[24];
	char *text;

	if (json_is_string(value)) {
		put_variable(out, name, bg_json_string(value));
		return 0;
	}
	if (json_is_integer(value)) {
		struct bg_slice digits = { number, 0 };

		digits.len = bg_format(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		put_variable(out, name, digits);
		return 0;
	}
	/* never deeper than BG_JSON_DEPTH_MAX: the pre-scan saw to that (SR-28) */
	if ((text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "export %s", name);
	put_variable(out, name, bg_slice_str(text));
	free(text);
	return 0;
}

int
bg_export(const struct bg_claims *claims, struct bg_buf *out, struct bg_error *err)
{
	struct bg_slice all;

	if (claims->sub.ptr != NULL)
		put_variable(out, "REMOTE_USER", claims->sub);
	put_variable(out, "AUTH_TYPE", BG_SLICE("Bearer"));
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		const json_t *value = json_object_get(claims->all, defaults[i].claim);

		if (value != NULL && put_claim(out, defaults[i].name, value, err) != 0)
			return -1;
	}
	return bg_buf_finish(out, &all, err);
}

bool
bg_export_next(struct bg_slice *rest, struct bg_slice *name, struct bg_slice *value)
{
	const char *end;

	if (rest->len == 0 || (end = memchr(rest->ptr, '\0', rest->len)) == NULL)
		return false;
	*name = (struct bg_slice){ rest->ptr, (size_t)(end - rest->ptr) };
	*rest = bg_slice_skip(*rest, name->len + 1);
	if ((end = memchr(rest->ptr, '\0', rest->len)) == NULL)
		return false;
	*value = (struct bg_slice){ rest->ptr, (size_t)(end - rest->ptr) };
	*rest = bg_slice_skip(*rest, value->len + 1);
	return true;
}
