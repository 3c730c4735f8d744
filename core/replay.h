#ifndef BG_CORE_REPLAY_H
#define BG_CORE_REPLAY_H

#include "core/clock.h"
#include "core/error.h"
#include "core/secret.h"

/* A DPoP proof about to be spent.  Everything is fixed in length, so that no text of a stranger reaches a store (SR-55). */
struct bg_spending {
	unsigned char proof[BG_SHA256_LEN];	/* of jkt, jti, htm and htu (SR-63) */
	unsigned char request[BG_SHA256_LEN];	/* of the client request that brings it */
	unsigned char call[BG_SHA256_LEN];	/* of this call of the server's, made for that request */
	bool          by_call;	/* the server gave no request id: the same call again is another request */
	int64_t       iat;	/* when the proof was made, by its own words; seconds since the epoch */
	int64_t       life_ms;	/* it must be remembered for so long from now on; above 0 */
};

/* How long after a proof was spent further calls for the same client request pass, in milliseconds. */
#define BG_REPLAY_GRACE_MS	5000

/*
 * "Spend this once": an interface, implemented by replay_lmdb.c and replay_redis.c.  To be made before the threads start;
 * spend may be called by any number of threads at once, and of processes and machines that share the store.
 */
struct bg_replay {
	/*
	 * Go on with what old knows, for a reload: true when all of it is known here too, since both are the same directory or
	 * server, or old was private and is shared from now on.  old may be of any kind, and at work.  To be called before open.
	 */
	bool (*take_over)(struct bg_replay *replay, const struct bg_replay *old);

	/*
	 * Make the store ready: LMDB opens its file; Redis is greeted, for as long as one spending may take, and need not be up.
	 * Nothing was created or asked before this.  To be
	 * called once, before spend.  Returns -1 with BG_R_STORE_DOWN and what an operator must know, or BG_R_NO_MEMORY.
	 */
	int  (*open)(struct bg_replay *replay, struct bg_now now, struct bg_error *err);

	/*
	 * One atomic step: note that the proof is spent, unless it was.  Returns 0 when it had not been spent, or was spent by
	 * the same client request at most BG_REPLAY_GRACE_MS ago, and, by_call, not by the same call.  Otherwise returns -1:
	 *
	 *  BG_R_PROOF_SPENT  by another request, or too long ago;
	 *  BG_R_STORE_DOWN   the store cannot answer, or not in time: nothing is known of the proof;
	 *  BG_R_STORE_FULL   it cannot take another one before some have expired: live ones are never given up (SR-65);
	 *  BG_R_STORE_YOUNG  the store may have lost what it knew since this proof was made;
	 *  BG_R_NO_MEMORY, BG_R_INTERNAL.
	 *
	 * For the middle three *retry_after is set, in seconds, above 0.
	 */
	int  (*spend)(struct bg_replay *replay, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
	    struct bg_error *err);

	void (*free)(struct bg_replay *replay);
};

/*
 * The embedded store: one LMDB environment in the directory path, made at need, which must be ours (or root's) and
 * writable for us alone.  Processes of one machine share it, and it is kept over restarts; two stores of one process with
 * one path share one environment.  With path NULL it is a private one that nobody else sees and that is gone with the process;
 * so what was spent before it was opened is refused with BG_R_STORE_YOUNG, as far as clients' clocks are not ahead.
 *
 * What it holds belongs to one boot of the machine: LMDB is not told to wait for the disk.  A store of another boot, or one
 * that is no store any more, is thrown away with a line in the log, and every proof that could have been in it is then
 * refused with BG_R_STORE_YOUNG: those with an iat not later than leeway seconds after the loss.  A store made where none was
 * lost counts as lost at the boot of the machine.
 *
 * max_proofs is how many it holds at most.  *out belongs to the caller: bg_replay_free.  path is copied.
 * Returns -1 with BG_R_NO_MEMORY, or BG_R_INTERNAL where LMDB was left out at configure time.
 *
 * SR-63, SR-64, SR-65, SR-91.
 */
int bg_replay_lmdb_new(const char *path, size_t max_proofs, int64_t leeway, struct bg_replay **out,
    struct bg_error *err) BG_MUST_CHECK;

/* Where a Redis or Valkey is, and how to get in.  All borrowed, NULL where not said. */
struct bg_redis {
	const char *host;		/* a name or address, without brackets; NULL with path */
	const char *path;		/* of its socket; NULL with host */
	int         port;
	int         database;
	bool        tls;
	const char *user;
	const char *password;
	const char *ca_file;		/* for tls; both NULL: the system's authorities */
	const char *ca_dir;
	int64_t     timeout_ms;		/* for one spending, connecting and all */
};

/*
 * The store for many machines.  Connections are kept, as many as threads ask at once.  After a failure one thread at a
 * time tries again, the others are answered BG_R_STORE_DOWN at once, so that a Redis that hangs holds nobody up for longer
 * than timeout_ms.  A server that was started anew counts as lost at the moment it was first seen, see bg_replay_lmdb_new,
 * whatever it says it has kept.  redis is copied.
 * Returns -1 with BG_R_NO_MEMORY, or BG_R_INTERNAL where hiredis was left out at configure time.
 *
 * SR-55, SR-63, SR-64.
 */
int bg_replay_redis_new(const struct bg_redis *redis, int64_t leeway, struct bg_replay **out,
    struct bg_error *err) BG_MUST_CHECK;

/* Where the files of a private LMDB store are made, before they lose their names; NULL without LMDB.  Of the environment. */
const char *bg_replay_private_dir(void);

/* Which of them this program was built with. */
bool bg_replay_has_lmdb(void);
bool bg_replay_has_redis(void);

static inline void
bg_replay_free(struct bg_replay *replay)
{
	if (replay != NULL)
		replay->free(replay);
}

#endif
