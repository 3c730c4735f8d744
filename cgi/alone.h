#ifndef BG_CGI_ALONE_H
#define BG_CGI_ALONE_H

#include "core/gate.h"

/*
 * Deciding without a daemon and without threads, for one request and then never again.  Nothing is read that the request does
 * not need: keys only once there is a token of their issuer, the replay store only for a proof.
 */
struct bg_alone {
	const char *cache_dir;		/* where the processes of the machine share key sets; NULL: jwks_file alone can be used */
	int64_t     fetch_timeout;	/* seconds */
	int64_t     refresh_cooldown;	/* seconds between two fetches for one issuer, whatever causes them (SR-50) */
};

/*
 * Make a gate that was built, and not started, fit for one request: its replay store is opened when there is something to
 * spend.  forgets: this store would be gone with the process; then a proof is a fault of the configuration, and never passes.
 * Returns -1 with BG_R_NO_MEMORY.
 */
int bg_alone_prepare(struct bg_gate *gate, bool forgets, struct bg_error *err) BG_MUST_CHECK;

/*
 * As bg_gate_decide.  The keys of the token's issuer are taken from its file, or from cache_dir.  They are fetched first, by
 * this process and while the request waits, where there are none that may serve, where the token's key is not among them, or
 * where they are due: one process at a time, and only when the last fetch for that issuer, by any process here, was longer ago
 * than the cooldown.  Without a cache_dir that it can write to, and nobody else but root, nothing is fetched:
 * nobody would know when it was last.
 */
void bg_alone_decide(const struct bg_gate *gate, const struct bg_alone *alone, const struct bg_request *request,
    struct bg_decision *out);

#endif
