/* A compact token and its claims, as any client can send them: core/token.c, core/claims.c, core/export.c. */
#include <stdint.h>
#include <stdlib.h>

#include "core/export.h"
#include "core/limits.h"
#include "core/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_export list[] = {
		{ .claim = (char[]){ "aud" }, .name = (char[]){ "CLAIM_AUD" }, .join = (char[]){ " " } },
		{ .claim = (char[]){ "/org_id/a/0" }, .name = (char[]){ "ORG" }, .encoding = BG_ENCODING_BASE64URL },
		{ .claim = (char[]){ "scope" }, .name = (char[]){ "CLAIM_SCOPE" } },
	};
	const struct bg_exports exports = { .exports = list, .n_exports = 3, .user_claim = (char[]){ "sub" }, .json = true };
	struct bg_error err = { 0 };
	struct bg_claims claims;
	struct bg_token *token;
	struct bg_buf out;

	bg_log_open(2, BG_LOG_ERROR);
	if (bg_token_parse((struct bg_slice){ (const char *)data, size }, &token, &err) != 0) {
		if (err.reason == BG_R_OK || token != NULL)
			abort();	/* a refusal has a reason and leaves nothing */
		return 0;
	}
	if (token->signing_input.ptr != (const char *)data || token->signing_input.len >= size || token->signature.len == 0)
		abort();
	bg_buf_init(&out, BG_ANSWER_MAX);
	if (bg_claims_read(token, &claims, &err) == 0 && bg_export(&exports, BG_SCHEME_BEARER, &claims, &out, &err) == 0)
		for (size_t i = 0; i < out.len; i++)
			if (out.data[i] != '\0' && (out.data[i] < 0x20 || out.data[i] > 0x7e))
				abort();	/* SR-82 */
	bg_buf_clear(&out);
	bg_token_unref(token);
	return 0;
}
