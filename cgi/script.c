#include "cgi/script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"

#define FD_PATH_SIZE	32	/* "/proc/self/fd/N" */

/* How a call says which script it is for. */
enum call { BY_CONFIGURATION, BY_PATH_TRANSLATED, BY_ARGV };

static const char *
trust_wrong(const struct stat *st, uid_t owner)
{
	if (st->st_uid != geteuid() && st->st_uid != 0 && st->st_uid != owner)
		return owner == 0 ? "belongs to another user than this one, and not to root" :
		    "belongs to another user than this one, and neither to root nor to script_owner";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "may be written to by its group or by others";
	return NULL;
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool
is_file(const char *path, const struct stat *file)
{
	struct stat st;

	return stat(path, &st) == 0 && is_same(&st, file);
}

/* Byte for byte, but for slashes behind slashes, which Apache leaves in one of the two. */
static bool
is_same_path(const char *a, const char *b)
{
	while (*a == *b && *a != '\0') {
		if (*a == '/') {
			a += strspn(a, "/");
			b += strspn(b, "/");
		} else {
			a++;
			b++;
		}
	}
	return *a == *b;
}

/* With its own URL a client could choose: the path that is behind it must be the one that was asked for. */
static bool
is_redirected(char *const *env)
{
	const char *info = bg_environment_get(env, "PATH_INFO"), *url = bg_environment_get(env, "REDIRECT_URL");

	return bg_environment_get(env, "REDIRECT_STATUS") != NULL && url != NULL && info != NULL && is_same_path(url, info);
}

bool
bg_script_by_action(char *const *env)
{
	const char *filename = bg_environment_get(env, "SCRIPT_FILENAME");
	struct stat self;

	return filename != NULL && stat("/proc/self/exe", &self) == 0 && is_file(filename, &self) && is_redirected(env);
}

/* A path, or the last part of it, of which busybox httpd makes the word. */
static bool
is_word_for(const char *word, const char *filename)
{
	const char *base = strrchr(filename, '/');

	return strcmp(word, filename) == 0 || (base != NULL && base[1] != '\0' && strcmp(word, base + 1) == 0);
}

/* SCRIPT_FILENAME as one of the words: 1 or 2, or 0 when it is neither. */
static int
word_of(char *const *argv, const char *filename)
{
	for (int i = 1; i <= 2 && argv[i - 1] != NULL && argv[i] != NULL; i++)
		if (is_word_for(argv[i], filename))
			return i;
	return 0;
}

/* Which path, and how we know. */
static int
choose(const struct bg_script_options *options, char *const *argv, char *const *env, const struct stat *self,
    struct bg_script *out, enum call *call, const char **path, struct bg_error *err)
{
	const char *filename = bg_environment_get(env, "SCRIPT_FILENAME"), *translated = bg_environment_get(env, "PATH_TRANSLATED");
	int word;

	out->words = argv[0] != NULL ? argv + 1 : argv;
	if ((*path = options->script) != NULL) {
		*call = BY_CONFIGURATION;
		return 0;
	}
	if (options->root == NULL)
		return bg_fail(err, BG_R_INTERNAL, "neither script nor script_root is set: nothing may be run");
	if (filename == NULL)
		return bg_fail(err, BG_R_INTERNAL, "the server does not say what to run: no SCRIPT_FILENAME");
	if (is_file(filename, self)) {
		if (translated == NULL)
			return bg_fail(err, BG_R_INTERNAL, "the server does not say what to run: no PATH_TRANSLATED, and no script is set");
		if (!is_redirected(env))
			return bg_fail(err, BG_R_INTERNAL, "this program was asked for by its own URL, and not by way of what it protects");
		*call = BY_PATH_TRANSLATED;
		*path = translated;
		return 0;
	}
	if ((word = word_of(argv, filename)) == 0)
		return bg_fail(err, BG_R_INTERNAL, "SCRIPT_FILENAME \"%.100s\" is not what this program was called with", filename);
	out->words = argv + word + 1;
	*call = BY_ARGV;
	*path = filename;
	return 0;
}

/* Move to the next part of a path, over slashes and parts that are a dot.  Its length; 0: there is none. */
static size_t
next_part(const char **path)
{
	for (;;) {
		size_t len;

		*path += strspn(*path, "/");
		len = strcspn(*path, "/");
		if (len != 1 || **path != '.')
			return len;
		++*path;
	}
}

/* What of path is below the directory root, part by part; NULL when it is not there.  Both are absolute. */
static const char *
below(const char *path, const char *root)
{
	for (;;) {
		const char *rest = path;
		size_t len = next_part(&root);

		if (len == 0)
			return *rest == '/' ? rest : NULL;
		if (next_part(&path) != len || memcmp(path, root, len) != 0)
			return NULL;
		path += len;
		root += len;
	}
}

/* A path without slashes behind slashes, and dots; out has room for it, and "/" for the root. */
static void
put_normal(const char *path, char *out)
{
	char *at = out;
	size_t len;

	for (; (len = next_part(&path)) > 0; path += len) {
		*at++ = '/';
		memcpy(at, path, len);
		at += len;
	}
	if (at == out)
		*at++ = '/';
	*at = '\0';
}

/* Open a directory that stays open as out->dir. */
static int
enter(struct bg_script *out, int fd, uid_t owner, struct bg_error *err)
{
	const char *wrong;
	struct stat st;

	if (out->dir != -1)
		close(out->dir);
	out->dir = fd;
	if (fstat(fd, &st) != 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: %m", out->path);
	if ((wrong = trust_wrong(&st, owner)) != NULL)
		return bg_fail(err, BG_R_INTERNAL, "the directory %s %s", out->path, wrong);
	return 0;
}

/*
 * Open the next part of the path in out->dir, len bytes at name; out->path, for which there is room, grows by it.  *st is
 * what it is.  Returns the descriptor, or -1.
 */
static int
open_next(struct bg_script *out, const char *name, size_t len, struct stat *st, bool *missing, struct bg_error *err)
{
	size_t at = strlen(out->path);
	int fd;

	if (len == 2 && memcmp(name, "..", 2) == 0)
		return bg_fail(err, BG_R_INTERNAL, "\"..\" below %s", out->path);
	if (at == 0 || out->path[at - 1] != '/')
		out->path[at++] = '/';
	memcpy(out->path + at, name, len);
	out->path[at + len] = '\0';
	if ((fd = openat(out->dir, out->path + at, O_PATH | O_NOFOLLOW | O_CLOEXEC)) == -1 || fstat(fd, st) != 0) {
		*missing = errno == ENOENT || errno == ENAMETOOLONG;
		bg_fail(err, BG_R_INTERNAL, "%s: %m", out->path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	return fd;
}

/*
 * Walk from root to the first part of rest that is no directory.  Every part is opened in the one before and never as a link,
 * so that no name can lead out.  *rest is moved behind it.
 */
static int
walk(const char *root, uid_t owner, const char **rest, struct bg_script *out, struct stat *st, bool *missing, struct bg_error *err)
{
	int fd;

	if ((out->path = calloc(1, strlen(root) + strlen(*rest) + 2)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "path");
	put_normal(root, out->path);
	if ((fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1) {
		*missing = errno == ENOENT || errno == ENOTDIR;
		return bg_fail(err, BG_R_INTERNAL, "%s: %m", root);
	}
	if (enter(out, fd, owner, err) != 0)
		return -1;
	for (;;) {
		size_t len;

		if ((len = next_part(rest)) == 0)
			return bg_fail(err, BG_R_INTERNAL, "%s is a directory", out->path);
		if ((fd = open_next(out, *rest, len, st, missing, err)) == -1)
			return -1;
		*rest += len;
		if (!S_ISDIR(st->st_mode)) {
			out->fd = fd;
			return 0;
		}
		if (enter(out, fd, owner, err) != 0)
			return -1;
	}
}

/* Where an interpreter is what the kernel is asked to run, nobody else looks. */
static bool
may_execute(int fd)
{
	char path[FD_PATH_SIZE];

	bg_format(path, sizeof(path), "/proc/self/fd/%d", fd);
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static int
check_file(const struct bg_script *script, uid_t owner, const struct stat *st, const struct stat *self, struct bg_error *err)
{
	const char *wrong = NULL;

	if (S_ISLNK(st->st_mode))
		wrong = "is a symbolic link";
	else if (!S_ISREG(st->st_mode))
		wrong = "is not a regular file";
	else if (is_same(st, self))
		wrong = "is this program itself";
	else if ((wrong = trust_wrong(st, owner)) == NULL && (st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
		wrong = "is not executable";
	else if (wrong == NULL && !may_execute(script->fd))
		wrong = "may not be executed by this user, or is on a file system whose files are not";
	return wrong == NULL ? 0 : bg_fail(err, BG_R_INTERNAL, "%s %s", script->path, wrong);
}

/* Take a word off text, which is cut there. */
static char *
next_word(char **text)
{
	char *word = *text + strspn(*text, " \t");

	*text = word + strcspn(word, " \t");
	if (**text != '\0')
		*(*text)++ = '\0';
	return word;
}

bool
bg_script_line_read(struct bg_slice bytes, struct bg_script_line *out)
{
	char *text;

	if (!bg_slice_starts(bytes, BG_SLICE("#!")))
		return false;
	if (bytes.len > BG_SCRIPT_LINE_MAX)
		bytes.len = BG_SCRIPT_LINE_MAX;
	memcpy(out->text, bytes.ptr, bytes.len);
	out->text[bytes.len] = '\0';
	text = out->text + strlen("#!");
	text[strcspn(text, "\n")] = '\0';
	out->program = next_word(&text);
	out->interpreter = next_word(&text);
	out->argument = text + strspn(text, " \t");
	for (size_t len = strlen(out->argument); len > 0 && strchr(" \t", out->argument[len - 1]) != NULL; len--)
		out->argument[len - 1] = '\0';
	return true;
}

/*
 * The first line of a file; false when it has none that begins with "#!".  Such a file is open for reading from then on, at its
 * beginning: Perl takes the number in /dev/fd/N and reads from that, others open the name.
 */
static bool
read_line(int *fd, struct bg_script_line *line, bool *unreadable)
{
	char path[FD_PATH_SIZE], bytes[BG_SCRIPT_LINE_MAX];
	ssize_t n;
	int file;

	bg_format(path, sizeof(path), "/proc/self/fd/%d", *fd);
	if ((*unreadable = (file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1))
		return false;		/* what can only be executed is no text: bg_launch sees to that */
	n = pread(file, bytes, sizeof(bytes), 0);
	if (n < 0 || !bg_script_line_read((struct bg_slice){ bytes, (size_t)n }, line)) {
		close(file);
		return false;
	}
	close(*fd);
	*fd = file;
	return true;
}

/* What a line names, seen from the directory where it will run. */
static bool
is_named(const struct bg_script *script, const char *name, const struct stat *file)
{
	struct stat st;

	return fstatat(script->dir, name, &st, 0) == 0 && is_same(&st, file);
}

/* A "#!" line that names this program would have it run for ever: then what stands behind is to run the script. */
static int
look_at_line(struct bg_script *out, const struct stat *self, struct bg_error *err)
{
	struct bg_script_line line;

	if (!(out->is_text = read_line(&out->fd, &line, &out->unreadable)))
		return 0;
	if (!is_named(out, line.program, self))
		return 0;
	if (line.interpreter[0] != '/')
		return bg_fail(err, BG_R_INTERNAL, "the first line of %s names this program and no interpreter, by an absolute path, behind it",
		    out->path);
	if (is_named(out, line.interpreter, self))
		return bg_fail(err, BG_R_INTERNAL, "the first line of %s names this program twice", out->path);
	if ((out->interpreter = strdup(line.interpreter)) == NULL ||
	    (line.argument[0] != '\0' && (out->argument = strdup(line.argument)) == NULL))
		return bg_fail(err, BG_R_NO_MEMORY, "interpreter");
	return 0;
}

static void
set(struct bg_script *out, const char *name, struct bg_slice value)
{
	out->settings[out->n_settings++] = (struct bg_setting){ name, value };
}

/* Variables that describe the wrapper describe the script from now on, as if the server had run it itself. */
static int
put_right(struct bg_script *out, enum call call, const char *rest, char *const *env, const struct stat *self,
    struct bg_error *err)
{
	const char *filename = bg_environment_get(env, "SCRIPT_FILENAME"), *root = bg_environment_get(env, "DOCUMENT_ROOT");
	const char *info = bg_environment_get(env, "PATH_INFO");
	size_t len = info != NULL ? strlen(info) : 0, tail = strlen(rest);

	if (filename != NULL && is_file(filename, self))
		set(out, "SCRIPT_FILENAME", bg_slice_str(out->path));
	if (call != BY_PATH_TRANSLATED || info == NULL || len < tail || strcmp(info + len - tail, rest) != 0)
		return 0;
	set(out, "SCRIPT_NAME", (struct bg_slice){ info, len - tail });
	set(out, "PATH_INFO", bg_slice_str(tail > 0 ? rest : NULL));
	if (tail == 0 || root == NULL) {
		set(out, "PATH_TRANSLATED", (struct bg_slice){ NULL, 0 });
		return 0;
	}
	if ((out->translated = calloc(1, strlen(root) + tail + 1)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "path");
	strcpy(out->translated, root);
	strcat(out->translated, rest);
	set(out, "PATH_TRANSLATED", bg_slice_str(out->translated));
	return 0;
}

int
bg_script_open(const struct bg_script_options *options, char *const *argv, char *const *env, struct bg_script *out,
    bool *missing, struct bg_error *err)
{
	enum call call = BY_ARGV;
	const char *path = NULL, *rest = NULL;
	struct stat self, st;
	char *root = NULL;
	int rc = -1;

	*missing = false;
	*out = (struct bg_script){ .fd = -1, .dir = -1, .owner = options->owner };
	if (stat("/proc/self/exe", &self) != 0)
		return bg_fail(err, BG_R_INTERNAL, "/proc/self/exe: %m");
	if (choose(options, argv, env, &self, out, &call, &path, err) != 0)
		return -1;
	rest = options->root != NULL ? below(path, options->root) : strrchr(path, '/');
	if (path[0] != '/' || rest == NULL)
		return bg_fail(err, BG_R_INTERNAL, "\"%.200s\" is not below script_root, \"%.100s\"", path,
		    options->root != NULL ? options->root : "/");
	if (options->root != NULL)
		root = strdup(options->root);
	else
		root = rest > path ? strndup(path, (size_t)(rest - path)) : strdup("/");
	if (root == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "path");
	if (walk(root, options->owner, &rest, out, &st, missing, err) != 0 ||
	    check_file(out, options->owner, &st, &self, err) != 0)
		goto out;
	if (*rest != '\0' && call != BY_PATH_TRANSLATED) {
		*missing = true;
		bg_fail(err, BG_R_INTERNAL, "%s is not a directory", out->path);
		goto out;
	}
	if (look_at_line(out, &self, err) == 0 && put_right(out, call, rest, env, &self, err) == 0)
		rc = 0;
out:
	free(root);
	return rc;
}

int
bg_script_open_beside(const struct bg_script *script, const char *suffix, int *fd, char **path, struct bg_error *err)
{
	size_t size = strlen(script->path) + strlen(suffix) + 1;
	const char *wrong = NULL;
	struct stat st, owner;
	int file;

	*fd = -1;
	if ((*path = malloc(size)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "path");
	bg_format(*path, size, "%s%s", script->path, suffix);
	/* without blocking: opening a pipe would wait for who writes to it */
	file = openat(script->dir, strrchr(*path, '/') + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file == -1 && (errno == ENOENT || errno == ENAMETOOLONG))
		return 0;		/* nor can there be one of a name so long */
	if (file == -1)
		return errno == ELOOP ? bg_fail(err, BG_R_INTERNAL, "%s is a symbolic link", *path) :
		    bg_fail(err, BG_R_INTERNAL, "%s: %m", *path);
	if (fstat(file, &st) != 0 || fstat(script->fd, &owner) != 0)
		wrong = "cannot be looked at";
	else if (!S_ISREG(st.st_mode))
		wrong = "is not a regular file";
	else if (st.st_uid != owner.st_uid && st.st_uid != geteuid() && st.st_uid != 0)
		wrong = "belongs to another user than this one, root and the script's owner";
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		wrong = "may be written to by its group or by others";
	if (wrong != NULL) {
		close(file);
		return bg_fail(err, BG_R_INTERNAL, "%s %s", *path, wrong);
	}
	*fd = file;
	return 0;
}

void
bg_script_clear(struct bg_script *script)
{
	if (script->fd != -1)
		close(script->fd);
	if (script->dir != -1)
		close(script->dir);
	free(script->path);
	free(script->interpreter);
	free(script->argument);
	free(script->translated);
	*script = (struct bg_script){ .fd = -1, .dir = -1 };
}
