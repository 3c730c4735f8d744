/* What an operator may put into a file of keys.  core/jwks.c, core/jwk.c. */
#include <stdint.h>
#include <stdlib.h>

#include "core/jwks.h"
#include "core/limits.h"
#include "core/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_slice text = { (const char *)data, size };
	struct bg_error err = { 0 };
	struct bg_jwks *set;

	bg_log_open(2, BG_LOG_ERROR);
	if (bg_jwks_parse_file(text, "fuzz", &set, &err) != 0) {
		if (err.reason == BG_R_OK || set != NULL)
			abort();
		return 0;
	}
	if (bg_jwks_count(set) == 0 || bg_jwks_count(set) > BG_JWKS_KEYS_MAX)
		abort();
	for (size_t i = 0; i < bg_jwks_count(set); i++) {
		char thumbprint[BG_THUMBPRINT_LEN + 1];

		if (bg_jwk_thumbprint(bg_jwks_get(set, i), thumbprint, NULL) != 0)
			abort();
	}
	bg_jwks_unref(set);
	return 0;
}
