#include "cgi/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgi/trust.h"
#include "core/line.h"

#define FD_PATH_SIZE	32	/* "/dev/fd/N" */

static void
change(int signal, const struct sigaction *action, struct sigaction *before)
{
	(void)sigaction(signal, action, before);	/* which fails for no signal there is */
}

void
bg_launch_hold_signals(struct bg_launch_signals *before)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	change(SIGPIPE, &ignore, &before->pipe);
	change(SIGXFSZ, &ignore, &before->size);
}

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

/*
 * Is the name as good as the descriptor?  Who may still exchange what stands there could have written to the script as well.
 * What cannot be read is a compiled program or nothing, which only the kernel can tell, and that by the descriptor alone.
 */
static int
check_name(const struct bg_script *script, struct bg_error *why)
{
	struct stat opened, named;

	if (script->unreadable)
		return bg_fail(why, BG_R_INTERNAL, "%s: cannot be read", script->path);
	if (bg_trust_name(script->path, geteuid(), script->owner, why) != 0)
		return -1;
	if (fstat(script->fd, &opened) != 0 || lstat(script->path, &named) != 0)
		return bg_fail(why, BG_R_INTERNAL, "%s: %m", script->path);
	if (opened.st_dev != named.st_dev || opened.st_ino != named.st_ino)
		return bg_fail(why, BG_R_INTERNAL, "%s: another file stands there by now", script->path);
	return 0;
}

static void
tell(const struct bg_error *why)
{
	struct bg_line line;

	bg_line_init(&line);
	bg_line_word(&line, "script", "by-descriptor");
	bg_line_text(&line, "detail", bg_slice_str(why->detail));
	(void)bg_line_write(&line, BG_LOG_DEBUG);
	bg_line_clear(&line);
}

/* Execute what was opened, whatever stands at its name.  Returns with errno where that fails. */
static void
execute_descriptor(const struct bg_script *script, char *const *argv, char *const *vars)
{
	if (script->is_text)
		keep_open(script->fd);
	(void)fexecve(script->fd, argv, vars);
	/* A format whose interpreter, which binfmt_misc knows, opens the name. */
	if (errno == ENOENT && !script->is_text && !script->unreadable) {
		keep_open(script->fd);
		(void)fexecve(script->fd, argv, vars);
	}
}

void
bg_launch(const struct bg_script *script, char *const *vars, const struct bg_launch_signals *before, struct bg_error *err)
{
	const char **argv = calloc(count(script->words) + 4, sizeof(*argv));
	struct bg_launch_signals ours;
	struct bg_error why = { 0 };
	char name[FD_PATH_SIZE];
	char *const *words;
	bool by_name;
	int failure;
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
	bg_format(name, sizeof(name), "/dev/fd/%d", script->fd);
	if (!(by_name = check_name(script, &why) == 0))
		tell(&why);
	if (script->interpreter != NULL) {
		argv[n++] = script->interpreter;
		if (script->argument != NULL)
			argv[n++] = script->argument;
	}
	argv[n++] = script->interpreter != NULL && !by_name ? name : script->path;
	memcpy(argv + n, script->words, count(script->words) * sizeof(*argv));
	/* execve is declared with char pointers out of history; it changes none of them. */
	words = (char *const *)(uintptr_t)argv;
	change(SIGPIPE, &before->pipe, NULL);
	change(SIGXFSZ, &before->size, NULL);
	if (script->interpreter != NULL) {
		if (!by_name)
			keep_open(script->fd);
		(void)execve(script->interpreter, words, vars);
	} else if (by_name)
		(void)execve(script->path, words, vars);
	else
		execute_descriptor(script, words, vars);
	failure = errno;
	bg_launch_hold_signals(&ours);
	errno = failure;
	/* A script after all, whose interpreter cannot read it; or which names this program, and would go round for ever. */
	if (errno == ENOENT && script->unreadable)
		bg_fail(err, BG_R_INTERNAL, "%s: cannot be read, which all but a compiled program has to be", script->path);
	else
		bg_fail(err, BG_R_INTERNAL, "%s: cannot be executed%s%s: %m", script->path,
		    script->interpreter != NULL ? " by " : "", script->interpreter != NULL ? script->interpreter : "");
	free(argv);
}
