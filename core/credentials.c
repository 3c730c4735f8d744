#include "core/credentials.h"

/* ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/": a table, since each request asks it a thousand times. */
static const bool in_b64token[256] = {
	['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1,
	['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1,
	['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1,
	['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
	['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
	['y'] = 1, ['z'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
	['8'] = 1, ['9'] = 1, ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['+'] = 1, ['/'] = 1,
};

/* b64token: 1*( those ) *"=".  RFC 6750 section 2.1. */
static bool
is_b64token(struct bg_slice s)
{
	size_t i = 0;

	for (; s.len - i >= 8; i += 8) {
		const unsigned char *c = (const unsigned char *)s.ptr + i;

		/* one question for eight of them; which one it was is asked below */
		if (!(in_b64token[c[0]] & in_b64token[c[1]] & in_b64token[c[2]] & in_b64token[c[3]] &
		    in_b64token[c[4]] & in_b64token[c[5]] & in_b64token[c[6]] & in_b64token[c[7]]))
			break;
	}
	while (i < s.len && in_b64token[(unsigned char)s.ptr[i]])
		i++;
	if (i == 0)
		return false;
	while (i < s.len && s.ptr[i] == '=')
		i++;
	return i == s.len;
}

/* Which schemes are accepted, for details. */
static const char *
schemes(enum bg_dpop_mode mode)
{
	switch (mode) {
	case BG_DPOP_DISABLED:
		return "Bearer";
	case BG_DPOP_ALLOWED:
		return "Bearer or DPoP";
	case BG_DPOP_REQUIRED:
		break;
	}
	return "DPoP";
}

static enum bg_scheme
scheme_named(struct bg_slice name, enum bg_dpop_mode mode)
{
	if (mode != BG_DPOP_REQUIRED && bg_slice_equal_nocase(name, BG_SLICE("Bearer")))
		return BG_SCHEME_BEARER;
	if (mode != BG_DPOP_DISABLED && bg_slice_equal_nocase(name, BG_SLICE("DPoP")))
		return BG_SCHEME_DPOP;
	return BG_SCHEME_NONE;
}

/* The DPoP header: one with the scheme of that name, none with Bearer.  Where DPoP is off, nobody looks. */
static int
find_proof(const struct bg_request *request, enum bg_dpop_mode mode, struct bg_credentials *out, struct bg_error *err)
{
	struct bg_slice proof = request->dpop;

	if (mode == BG_DPOP_DISABLED)
		return 0;
	if (out->scheme == BG_SCHEME_BEARER) {
		if (proof.len > 0)
			return bg_fail(err, BG_R_PROOF_WITH_BEARER, "scheme Bearer with a DPoP header");
		return 0;
	}
	if (request->two_dpops)
		return bg_fail(err, BG_R_TWO_PROOFS, "the DPoP header came more than once");
	if (proof.len == 0)
		return bg_fail(err, BG_R_MISSING_PROOF, "scheme DPoP without a DPoP header");
	/* Servers join two headers with a comma, which no proof holds (SR-67). */
	if (memchr(proof.ptr, ',', proof.len) != NULL)
		return bg_fail(err, BG_R_TWO_PROOFS, "the DPoP header holds a list");
	out->proof = proof;
	return 0;
}

int
bg_credentials_find(const struct bg_request *request, enum bg_dpop_mode mode, struct bg_credentials *out,
    struct bg_error *err)
{
	struct bg_slice value = request->authorization, scheme = { value.ptr, 0 };

	*out = (struct bg_credentials){ .scheme = BG_SCHEME_NONE };
	if (request->two_authorizations)
		return bg_fail(err, BG_R_TWO_TOKENS, "the Authorization header came more than once");
	while (value.len > 0 && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
		value.len--;
	if (value.len == 0)
		return bg_fail(err, BG_R_NO_TOKEN, value.ptr == NULL ?
		    "no Authorization header; if one was sent, the server dropped it (Apache: add CGIPassAuth On)" : "the Authorization header is empty");

	while (scheme.len < value.len && value.ptr[scheme.len] != ' ')
		scheme.len++;
	out->scheme = scheme_named(scheme, mode);
	if (out->scheme == BG_SCHEME_NONE && scheme.len == value.len)	/* it may be the secret itself (SR-85) */
		return bg_fail(err, BG_R_OTHER_SCHEME, "one word, expected %s with a token behind it", schemes(mode));
	if (out->scheme == BG_SCHEME_NONE)
		return bg_fail(err, BG_R_OTHER_SCHEME, "scheme \"%.*s\", expected %s", scheme.len > 16 ? 16 : (int)scheme.len,
		    scheme.ptr, schemes(mode));
	value = bg_slice_skip(value, scheme.len);
	while (value.len > 0 && value.ptr[0] == ' ')
		value = bg_slice_skip(value, 1);
	/* Servers join two headers with a comma, which no token holds (SR-73). */
	if (memchr(value.ptr, ',', value.len) != NULL)
		return bg_fail(err, BG_R_TWO_TOKENS, "the Authorization header holds a list");
	if (!is_b64token(value))
		return bg_fail(err, BG_R_BAD_CREDENTIALS, "%s", value.len == 0 ? "a scheme without a token" :
		    "characters that no token has");
	out->token = value;
	return find_proof(request, mode, out, err);
}
