#include <stdlib.h>

#include "core/regex.h"
#include "core/replay.h"

/*
 * In the lean part, in the place of core/regex.c, core/replay_lmdb.c and core/replay_redis.c: nothing here ever says yes.  A
 * configuration that needs one of them is given to the other part, see bg_part_is_lean.
 */

int
bg_regex_new(struct bg_regex **out, struct bg_slice pattern, struct bg_error *err)
{
	(void)pattern;
	*out = NULL;
	return bg_fail(err, BG_R_INTERNAL, "regular expressions are not in this part of the program");
}

void
bg_regex_free(struct bg_regex *regex)
{
	(void)regex;
}

int
bg_regex_matches(const struct bg_regex *regex, struct bg_slice text)
{
	(void)regex, (void)text;
	return 0;
}

static int
store_open(struct bg_replay *replay, struct bg_now now, struct bg_error *err)
{
	(void)replay, (void)now;
	return bg_fail(err, BG_R_INTERNAL, "no replay store is in this part of the program");
}

static int
store_spend(struct bg_replay *replay, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	(void)spending;
	*retry_after = 0;
	return store_open(replay, now, err);
}

static bool
store_take_over(struct bg_replay *replay, const struct bg_replay *old)
{
	(void)replay, (void)old;
	return false;
}

static void
store_free(struct bg_replay *replay)
{
	free(replay);
}

/* A private store, which bg_alone_prepare forbids anyway: made, so that there is a gate, and good for nothing. */
int
bg_replay_lmdb_new(const char *path, size_t max_proofs, int64_t leeway, struct bg_replay **out, struct bg_error *err)
{
	(void)max_proofs, (void)leeway;
	*out = NULL;
	if (path != NULL)
		return store_open(NULL, (struct bg_now){ 0 }, err);
	if ((*out = malloc(sizeof(**out))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "replay store");
	**out = (struct bg_replay){ .take_over = store_take_over, .open = store_open, .spend = store_spend, .free = store_free };
	return 0;
}

int
bg_replay_redis_new(const struct bg_redis *redis, int64_t leeway, struct bg_replay **out, struct bg_error *err)
{
	(void)redis, (void)leeway;
	*out = NULL;
	return store_open(NULL, (struct bg_now){ 0 }, err);
}

bool
bg_replay_has_lmdb(void)
{
	return false;
}

bool
bg_replay_has_redis(void)
{
	return false;
}
