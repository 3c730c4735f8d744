#include "core/alg.h"

/* RFC 7518 section 3.1; the last two are one algorithm by two names, RFC 8037 section 3.1 and RFC 9864 section 2.2. */
static const struct bg_alg algs[] = {
	{ BG_SLICE_INIT("RS256"), BG_KTY_RSA,     "SHA256", bg_rsa_verify },
	{ BG_SLICE_INIT("RS384"), BG_KTY_RSA,     "SHA384", bg_rsa_verify },
	{ BG_SLICE_INIT("RS512"), BG_KTY_RSA,     "SHA512", bg_rsa_verify },
	{ BG_SLICE_INIT("PS256"), BG_KTY_RSA,     "SHA256", bg_rsa_pss_verify },
	{ BG_SLICE_INIT("PS384"), BG_KTY_RSA,     "SHA384", bg_rsa_pss_verify },
	{ BG_SLICE_INIT("PS512"), BG_KTY_RSA,     "SHA512", bg_rsa_pss_verify },
	{ BG_SLICE_INIT("ES256"), BG_KTY_P256,    "SHA256", bg_ecdsa_verify },
	{ BG_SLICE_INIT("ES384"), BG_KTY_P384,    "SHA384", bg_ecdsa_verify },
	{ BG_SLICE_INIT("ES512"), BG_KTY_P521,    "SHA512", bg_ecdsa_verify },
	{ BG_SLICE_INIT("EdDSA"), BG_KTY_ED25519, NULL,     bg_eddsa_verify },
	{ BG_SLICE_INIT("Ed25519"), BG_KTY_ED25519, NULL,   bg_eddsa_verify },
};

const struct bg_alg *
bg_alg_find(struct bg_slice name)
{
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++)
		if (bg_slice_equal(algs[i].name, name))
			return &algs[i];
	return NULL;
}
