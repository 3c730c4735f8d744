#include "core/alg.h"

/* RFC 7518 section 3.1. */
static const struct bg_alg algs[] = {
	{ BG_SLICE_INIT("RS256"), BG_KTY_RSA, "SHA256", bg_rsa_verify },
};

const struct bg_alg *
bg_alg_find(struct bg_slice name)
{
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++)
		if (bg_slice_equal(algs[i].name, name))
			return &algs[i];
	return NULL;
}
