#include "core/replay.h"

bool
bg_replay_has_redis(void)
{
	return false;
}

int
bg_replay_redis_new(const struct bg_redis *redis, int64_t leeway, struct bg_replay **out, struct bg_error *err)
{
	(void)redis, (void)leeway;
	*out = NULL;
	return bg_fail(err, BG_R_INTERNAL, "a store in Redis is not built in");
}
