#include "cgi/part.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/lib-names.h>
#endif

#define FD_PATH_SIZE	32	/* "/proc/self/fd/N" */

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

/* What this process runs as its own code. */
static int
check_trust(const char *path, const struct stat *st, struct bg_error *err)
{
	if (S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return 0;
	return bg_fail(err, BG_R_INTERNAL, "%s: must be a file of this user or root that nobody else may write to", path);
}

int
bg_part_check_program(const char *path, struct bg_error *err)
{
	struct stat st;

	return stat(path, &st) == 0 ? check_trust(path, &st, err) : 0;
}

/* Open a part that can be trusted. */
static int
open_part(const char *path, int *fd, struct bg_error *err)
{
	struct stat st;

	/* without blocking: opening a pipe would wait for who writes to it */
	if ((*fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) == -1 || fstat(*fd, &st) != 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: %m", path);
	return check_trust(path, &st, err);
}

/*
 * How to load it: lazily, as far as the libraries let it be: our own files are linked to be bound at once.
 *
 * The names that libcrypto wants bound, 4,700 of them, are all its own; glibc looks for each in this program and its libraries
 * first, unless it is told that what is loaded prefers itself, which spares a seventh of all instructions.  That is not for a
 * process with another allocator than libc's (preloaded, or a sanitizer's), since what one side allocates the other one frees.
 */
static int
how_to_load(void)
{
	int how = RTLD_LAZY | RTLD_LOCAL;
#ifdef __GLIBC__
	void *libc = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);

	if (libc != NULL && dlsym(libc, "free") == (void *)(uintptr_t)free)
		how |= RTLD_DEEPBIND;
#endif
	return how;
}

int
bg_part_load(const char *path, const struct bg_part **out, struct bg_error *err)
{
	const struct bg_part *part;
	char name[FD_PATH_SIZE];
	void *handle = NULL;
	int fd = -1;

	*out = NULL;
	if (open_part(path, &fd, err) == 0) {
		/* What is loaded is what was looked at, whatever the name means by now. */
		bg_format(name, sizeof(name), "/proc/self/fd/%d", fd);
		if ((handle = dlopen(name, how_to_load())) == NULL)
			bg_fail(err, BG_R_INTERNAL, "%s: %s", path, dlerror());
	}
	if (fd != -1)
		close(fd);
	if (handle == NULL)
		return -1;
	if ((part = dlsym(handle, BG_PART_NAME)) == NULL || strcmp(part->build, bg_part_build) != 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: of another build than this program, which was perhaps copied before an update",
		    path);
	*out = part;
	return 0;
}
