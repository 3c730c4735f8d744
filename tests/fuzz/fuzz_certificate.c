/* What a server hands in as the client's certificate.  core/certificate.c. */
#include <stdint.h>
#include <stdlib.h>

#include "core/certificate.h"
#include "core/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char thumbprint[BG_THUMBPRINT_LEN + 1];
	struct bg_error err = { 0 };

	if (bg_certificate_thumbprint((struct bg_slice){ (const char *)data, size }, thumbprint, &err) != 0) {
		if (err.reason != BG_R_BAD_VARIABLE || err.detail[0] == '\0' || thumbprint[0] != '\0')
			abort();
		return 0;
	}
	if (err.reason != BG_R_OK || size > BG_CERTIFICATE_MAX || strlen(thumbprint) != BG_THUMBPRINT_LEN)
		abort();
	for (size_t i = 0; i < BG_THUMBPRINT_LEN; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", thumbprint[i]) == NULL)
			abort();
	return 0;
}
