#include "core/nonce.h"

#include <stdlib.h>

#include "core/b64url.h"
#include "core/buf.h"
#include "core/secret.h"

_Static_assert(BG_NONCE_LEN == BG_B64URL_ENCODED(BG_SHA256_LEN), "a nonce is a SHA-256 in base64url");

/* What the key is used for beside nothing else, so that no other HMAC by the same key is ever a nonce. */
static const char purpose[] = "bearergate DPoP nonce ";

static int
make(const struct bg_nonces *nonces, int64_t window, char out[BG_NONCE_LEN + 1], struct bg_error *err)
{
	unsigned char mac[BG_SHA256_LEN];
	char text[sizeof(purpose) + 24];
	struct bg_slice message = { text, bg_format(text, sizeof(text), "%s%lld", purpose, (long long)window) };

	out[0] = '\0';
	if (nonces->key == NULL || nonces->window <= 0)
		return bg_fail(err, BG_R_INTERNAL, "nonces without a key or a window");
	if (bg_hmac_sha256((struct bg_slice){ (const char *)nonces->key, nonces->key_len }, message, mac, err) != 0)
		return -1;
	bg_b64url_encode(out, mac, sizeof(mac));
	out[BG_NONCE_LEN] = '\0';
	return 0;
}

int
bg_nonce_make(const struct bg_nonces *nonces, int64_t now, char out[BG_NONCE_LEN + 1], struct bg_error *err)
{
	return make(nonces, nonces->window > 0 ? now / nonces->window : 0, out, err);
}

int
bg_nonce_check(const struct bg_nonces *nonces, struct bg_slice nonce, int64_t now, bool *current, struct bg_error *err)
{
	static const int windows[] = { 0, -1, 1 };
	char known[BG_NONCE_LEN + 1];

	*current = false;
	if (nonce.ptr == NULL)
		return bg_fail(err, BG_R_NO_NONCE, "proof: no nonce");
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		if (make(nonces, nonces->window > 0 ? now / nonces->window + windows[i] : 0, known, err) != 0)
			return -1;
		if (bg_secret_equal(nonce, bg_slice_str(known))) {
			*current = windows[i] == 0;
			return 0;
		}
	}
	return bg_fail(err, BG_R_OLD_NONCE, "proof: the nonce is none of ours, or too old");
}

void
bg_nonces_clear(struct bg_nonces *nonces)
{
	if (nonces->key != NULL)
		bg_secret_wipe(nonces->key, nonces->key_len);
	free(nonces->key);
	*nonces = (struct bg_nonces){ .key = NULL };
}
