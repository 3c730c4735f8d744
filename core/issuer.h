#ifndef BG_CORE_ISSUER_H
#define BG_CORE_ISSUER_H

#include "core/alg.h"
#include "core/keystore.h"

/* An issuer we believe: its name, what its tokens may look like, and where its keys are.  const after start-up. */
struct bg_issuer {
	char                 *name;		/* what iss must be, byte for byte (SR-42) */
	char                **audiences;	/* any one of them must be in aud */
	size_t                n_audiences;
	bool                  any_audience;	/* audience = "none" was written out (SR-40) */
	const struct bg_alg **algs;		/* the allow-list (SR-1) */
	size_t                n_algs;
	char                 *require_typ;	/* what typ must be, "at+jwt"; NULL: anything (RFC 9068 section 4) */
	char                **sites;		/* hosts for which this issuer speaks; none: for those no site names */
	size_t                n_sites;
	struct bg_keystore   *keys;
};

#endif
