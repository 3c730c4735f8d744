/* What an issuer can send: a key set and a discovery document.  core/jwks.c, core/jwk.c, core/discovery.c. */
#include <stdint.h>
#include <stdlib.h>

#include "core/discovery.h"
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
	struct bg_buf uri;

	bg_log_open(2, BG_LOG_ERROR);
	if (bg_jwks_parse(text, "fuzz", &set, &err) == 0) {
		if (bg_jwks_count(set) == 0)
			abort();	/* a set without a key is no set (SR-45) */
		bg_jwks_unref(set);
	} else if (err.reason == BG_R_OK || set != NULL)
		abort();

	bg_error_clear(&err);
	bg_buf_init(&uri, BG_URL_MAX);
	if (bg_discovery_read(text, BG_SLICE("https://issuer.example/"), &uri, &err) == 0) {
		if (uri.len < 9 || memcmp(uri.data, "https://", 8) != 0)
			abort();	/* SR-46 */
	} else if (err.reason == BG_R_OK)
		abort();
	bg_buf_clear(&uri);
	return 0;
}
