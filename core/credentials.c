#include "core/credentials.h"

/* b64token: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".  RFC 6750 section 2.1. */
static bool
is_b64token(struct bg_slice s)
{
	size_t i = 0;

	for (; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		    c == '.' || c == '_' || c == '~' || c == '+' || c == '/'))
			break;
	}
	if (i == 0)
		return false;
	while (i < s.len && s.ptr[i] == '=')
		i++;
	return i == s.len;
}

int
bg_credentials_find(const struct bg_request *request, struct bg_credentials *out, struct bg_error *err)
{
	struct bg_slice value = request->authorization, scheme = { value.ptr, 0 };

	*out = (struct bg_credentials){ { NULL, 0 } };
	if (request->two_authorizations)
		return bg_fail(err, BG_R_TWO_TOKENS, "the Authorization header came more than once");
	while (value.len > 0 && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
		value.len--;
	if (value.len == 0)
		return bg_fail(err, BG_R_NO_TOKEN, value.ptr == NULL ?
		    "no Authorization header; if one was sent, the server dropped it (Apache: add CGIPassAuth On)" : "the Authorization header is empty");

	while (scheme.len < value.len && value.ptr[scheme.len] != ' ')
		scheme.len++;
	if (!bg_slice_equal_nocase(scheme, BG_SLICE("Bearer")))
		return bg_fail(err, BG_R_OTHER_SCHEME, "scheme \"%.*s\", expected Bearer", scheme.len > 16 ? 16 : (int)scheme.len,
		    scheme.ptr);
	value = bg_slice_skip(value, scheme.len);
	while (value.len > 0 && value.ptr[0] == ' ')
		value = bg_slice_skip(value, 1);
	/* Servers join two headers with a comma, which no token holds (SR-73). */
	if (memchr(value.ptr, ',', value.len) != NULL)
		return bg_fail(err, BG_R_TWO_TOKENS, "the Authorization header holds a list");
	if (!is_b64token(value))
		return bg_fail(err, BG_R_BAD_CREDENTIALS, "%s", value.len == 0 ? "Bearer without a token" :
		    "characters that no token has");
	out->token = value;
	return 0;
}
