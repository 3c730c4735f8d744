/* An Authorization header: core/credentials.c.  What is found is one token of RFC 6750 section 2.1, and all of it. */
#include <stdint.h>
#include <stdlib.h>

#include "core/credentials.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* By whatever mode: a proof goes with the scheme DPoP and with nothing else, and holds no list.  RFC 9449 section 7.1, SR-67. */
static void
try_modes(const char *text, size_t size)
{
	static const enum bg_dpop_mode modes[] = { BG_DPOP_REQUIRED, BG_DPOP_ALLOWED, BG_DPOP_DISABLED };
	const char *nul = memchr(text, '\0', size);
	struct bg_request request = { .authorization = { text, nul != NULL ? (size_t)(nul - text) : size } };

	if (nul != NULL)
		request.dpop = (struct bg_slice){ nul + 1, size - (size_t)(nul + 1 - text) };
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct bg_credentials found;
		struct bg_error err = { 0 };

		if (bg_credentials_find(&request, modes[i], &found, &err) != 0) {
			MUST(err.reason != BG_R_OK && found.proof.ptr == NULL);
			continue;
		}
		MUST(found.token.len > 0 && (found.scheme == BG_SCHEME_BEARER || found.scheme == BG_SCHEME_DPOP));
		MUST(found.scheme == BG_SCHEME_BEARER ? modes[i] != BG_DPOP_REQUIRED : modes[i] != BG_DPOP_DISABLED);
		MUST((found.proof.len > 0) == (found.scheme == BG_SCHEME_DPOP));
		MUST(found.proof.ptr == NULL || memchr(found.proof.ptr, ',', found.proof.len) == NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct bg_request request = { .authorization = { text, size } };
	struct bg_credentials found;
	struct bg_error err = { 0 };
	size_t end;

	try_modes(text, size);
	if (bg_credentials_find(&request, BG_DPOP_DISABLED, &found, &err) == 0) {
		MUST(err.reason == BG_R_OK && found.token.len > 0);
		MUST(found.token.ptr > text + 6 && found.token.ptr + found.token.len <= text + size);
		MUST(bg_slice_equal_nocase((struct bg_slice){ text, 7 }, BG_SLICE("Bearer ")));
		for (size_t i = 7; text + i < found.token.ptr; i++)
			MUST(text[i] == ' ');
		for (size_t i = 0; i < found.token.len; i++)
			MUST(found.token.ptr[i] > 0x20 && found.token.ptr[i] < 0x7f && strchr(",;\"\\<>", found.token.ptr[i]) == NULL);
		end = (size_t)(found.token.ptr - text) + found.token.len;
		for (; end < size; end++)
			MUST(text[end] == ' ' || text[end] == '\t');
		/* twice it is none (SR-73) */
		request.two_authorizations = true;
		MUST(bg_credentials_find(&request, BG_DPOP_DISABLED, &found, &err) != 0 && err.reason == BG_R_TWO_TOKENS);
	} else
		MUST(err.reason == BG_R_NO_TOKEN || err.reason == BG_R_OTHER_SCHEME || err.reason == BG_R_TWO_TOKENS ||
		    err.reason == BG_R_BAD_CREDENTIALS);
	/* what an optional location lets through as "nothing sent" holds nothing */
	if (err.reason == BG_R_NO_TOKEN)
		for (size_t i = 0; i < size; i++)
			MUST(text[i] == ' ' || text[i] == '\t');
	return 0;
}
