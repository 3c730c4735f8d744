#include "cgi/part.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
has_regex(const struct bg_conf_rule *rule)
{
	if (rule->kind == BG_RULE_MATCHES)
		return true;
	for (size_t i = 0; i < rule->n_rules; i++)
		if (has_regex(&rule->rules[i]))
			return true;
	return false;
}

bool
bg_part_is_lean(const struct bg_conf *conf)
{
	if (conf->replay != NULL)
		return false;
	for (size_t i = 0; i < conf->n_policies; i++)
		if (has_regex(&conf->policies[i].rule))
			return false;
	for (size_t i = 0; i < conf->n_locations; i++)
		if (has_regex(&conf->locations[i].rule))
			return false;
	return true;
}

int
bg_part_load(const char *path, const struct bg_part **out, struct bg_error *err)
{
	const struct bg_part *part;
	struct stat st;
	void *handle;

	*out = NULL;
	if (stat(path, &st) != 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: %m", path);
	if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: must be a file of this user or root that nobody else may write to", path);
	/* Lazily, as far as the libraries let it be: our own files are linked to be bound at once. */
	if ((handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL)) == NULL)
		return bg_fail(err, BG_R_INTERNAL, "%s", dlerror());
	if ((part = dlsym(handle, BG_PART_NAME)) == NULL || strcmp(part->build, bg_part_build) != 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: of another build than this program, which was perhaps copied before an update",
		    path);
	*out = part;
	return 0;
}
