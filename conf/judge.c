#include "conf/internal.h"
#include "core/alg.h"
#include "core/regex.h"

bool
bg_judge_algorithm(struct bg_slice name)
{
	return bg_alg_find(name) != NULL;
}

int
bg_judge_regex(struct bg_slice pattern, struct bg_error *err)
{
	struct bg_regex *regex;

	if (bg_regex_new(&regex, pattern, err) != 0)
		return -1;
	bg_regex_free(regex);
	return 0;
}

bool
bg_judge_lmdb(void)
{
	return bg_replay_has_lmdb();
}

bool
bg_judge_redis(void)
{
	return bg_replay_has_redis();
}
