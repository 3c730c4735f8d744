#include "cgi/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define FD_PATH_SIZE	32	/* "/dev/fd/N" */

static size_t
count(char *const *words)
{
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	return n;
}

/* A descriptor that an interpreter, or a format of the kernel's binfmt_misc, opens by its name has to be there then. */
static void
keep_open(int fd)
{
	(void)fcntl(fd, F_SETFD, 0);
}

void
bg_launch(const struct bg_script *script, char *const *vars, struct bg_error *err)
{
	const char **argv = calloc(count(script->words) + 4, sizeof(*argv));
	char name[FD_PATH_SIZE];
	size_t n = 0;

	if (argv == NULL) {
		bg_fail(err, BG_R_NO_MEMORY, "arguments");
		return;
	}
	if (fchdir(script->dir) != 0) {
		bg_fail(err, BG_R_INTERNAL, "%s: cannot enter its directory: %m", script->path);
		free(argv);
		return;
	}
	if (script->interpreter != NULL) {
		bg_format(name, sizeof(name), "/dev/fd/%d", script->fd);
		argv[n++] = script->interpreter;
		if (script->argument != NULL)
			argv[n++] = script->argument;
		argv[n++] = name;
	} else
		argv[n++] = script->path;
	memcpy(argv + n, script->words, count(script->words) * sizeof(*argv));
	if (script->is_text)
		keep_open(script->fd);
	/* execve is declared with char pointers out of history; it changes none of them. */
	if (script->interpreter != NULL)
		(void)execve(script->interpreter, (char *const *)(uintptr_t)argv, vars);
	else {
		(void)fexecve(script->fd, (char *const *)(uintptr_t)argv, vars);
		/* A script after all, whose interpreter cannot read it; or which names this program, and would go round for ever. */
		if (errno == ENOENT && script->unreadable) {
			bg_fail(err, BG_R_INTERNAL, "%s: cannot be read, which all but a compiled program has to be", script->path);
			free(argv);
			return;
		}
		if (errno == ENOENT && !script->is_text) {
			keep_open(script->fd);
			(void)fexecve(script->fd, (char *const *)(uintptr_t)argv, vars);
		}
	}
	bg_fail(err, BG_R_INTERNAL, "%s: cannot be executed%s%s: %m", script->path,
	    script->interpreter != NULL ? " by " : "", script->interpreter != NULL ? script->interpreter : "");
	free(argv);
}
