#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/internal.h"
#include "core/nonce.h"
#include "core/secret.h"

/* The only names that are looked at, in the environment and in an env file. */
static const char *const names[BG_ENV_COUNT] = {
	[BG_ENV_DOMAIN]   = "AUTH0_DOMAIN",
	[BG_ENV_AUDIENCE] = "AUTH0_AUDIENCE",
	[BG_ENV_CA_FILE]  = "BEARERGATE_CA_FILE",
	[BG_ENV_CONFIG]   = "BEARERGATE_CONFIG",
};

const char *
bg_env_name(enum bg_env var)
{
	return names[var];
}

/* The value of the first variable of that name, as getenv(3) finds it; NULL when there is none. */
static const char *
find(char *const *envp, struct bg_slice name)
{
	for (; envp != NULL && *envp != NULL; envp++)
		if (strncmp(*envp, name.ptr, name.len) == 0 && (*envp)[name.len] == '=')
			return *envp + name.len + 1;
	return NULL;
}

bool
bg_env_has(char *const *envp, struct bg_slice name)
{
	return find(envp, name) != NULL;
}

/* Open a file without waiting for the other end of a pipe that may bear its name. */
static int
open_file(const char *path, const char **wrong)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*wrong = NULL;
	if (fd < 0 || fstat(fd, &st) != 0)
		*wrong = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		*wrong = "it is a directory";
	else if (!S_ISREG(st.st_mode))
		*wrong = "it is not a regular file";
	if (*wrong != NULL) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

const char *
bg_file_wrong(const char *path)
{
	const char *wrong;
	int fd = open_file(path, &wrong);

	if (fd >= 0)
		close(fd);
	return wrong;
}

const char *
bg_directory_wrong(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return strerror(errno);
	close(fd);
	return NULL;
}

/* Who could have written this could have written the configuration.  Words on what is wrong, NULL when nothing is. */
static const char *
guard_wrong(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return "cannot be looked at";
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return "belongs to another user than this one, and not to root";
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "may be written to by its group or by others, \"chmod go-w\" mends that";
	return NULL;
}

/* Room for a file, and for the byte that it does not have: only what is none, or grows meanwhile, gets all that is allowed. */
static size_t
room_for(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < BG_CONF_FILE_MAX ?
	    (size_t)st.st_size + 1 : BG_CONF_FILE_MAX + 1;
}

int
bg_file_read_open(int fd, const char *path, struct bg_buf *text, struct bg_buf *report)
{
	struct bg_slice all;
	size_t room = room_for(fd);
	ssize_t n;
	char *at;

	bg_buf_init(text, BG_CONF_FILE_MAX + 1);
	do {
		if (text->len > BG_CONF_FILE_MAX) {
			bg_report(report, path, "is larger than %d KiB: is it a configuration at all?", BG_CONF_FILE_MAX / 1024);
			return EX_CONFIG;
		}
		if (text->len >= room)
			room = BG_CONF_FILE_MAX + 1;
		if ((at = bg_buf_extend(text, room - text->len)) == NULL)
			return bg_report_memory(report);
		n = read(fd, at, (size_t)(text->data + text->len - at));
		if (n < 0 && errno != EINTR) {
			bg_report(report, path, "cannot be read: %s", strerror(errno));
			return EX_NOINPUT;
		}
		text->len = (size_t)(at - text->data) + (n > 0 ? (size_t)n : 0);
	} while (n != 0);
	return bg_buf_finish(text, &all, NULL) == 0 ? 0 : bg_report_memory(report);
}

int
bg_file_read(const char *path, bool guarded, struct bg_buf *text, struct bg_buf *report)
{
	const char *wrong = NULL;
	int fd, rc = EX_CONFIG;

	bg_buf_init(text, 0);
	if (*path == '\0') {
		bg_report(report, "configuration", "the name of a file is empty");
		return EX_NOINPUT;
	}
	if ((fd = open_file(path, &wrong)) < 0) {
		bg_report(report, path, "cannot be read: %s", wrong);
		return EX_NOINPUT;
	}
	if (guarded && (wrong = guard_wrong(fd)) != NULL)
		bg_report(report, path, "%s", wrong);
	else
		rc = bg_file_read_open(fd, path, text, report);
	close(fd);
	return rc;
}

/* Text of ASCII, perhaps of several lines: base64, hexadecimal digits, a phrase. */
static bool
is_text(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((bytes[i] < 0x20 || bytes[i] > 0x7e) && bytes[i] != '\t' && bytes[i] != '\r' && bytes[i] != '\n')
			return false;
	return true;
}

/* How many of len bytes are the secret.  Random bytes may end as a line does, so those of a key are left alone. */
static size_t
secret_len(const char *bytes, size_t len, enum bg_type type)
{
	if (type == BG_KEY_FILE && !is_text(bytes, len))
		return len;
	if (len > 0 && bytes[len - 1] == '\n') {
		len--;
		if (len > 0 && bytes[len - 1] == '\r')
			len--;
	}
	return len;
}

static const char *
secret_wrong(const char *bytes, size_t len, enum bg_type type)
{
	if (type == BG_KEY_FILE)
		return len < BG_NONCE_KEY_MIN ? "is too small, at least 32 bytes are needed" : NULL;
	if (len == 0)
		return "holds no password";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f)
			return "holds a control character or several lines";
	return len > BG_CONF_VALUE_MAX ? "is too large for a password" : NULL;
}

/* What is wrong with whose the file is and who may read it. */
static const char *
owner_wrong(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return "cannot be looked at";
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return "belongs to another user than this one, and not to root";
	return (st.st_mode & S_IRWXO) != 0 ? "is open to others than its owner and group, \"chmod o=\" mends that" : NULL;
}

int
bg_secret_read(const char *path, enum bg_type type, char **out, size_t *len, struct bg_buf *words)
{
	char bytes[BG_SECRET_FILE_MAX + 1];
	const char *wrong = NULL;
	size_t have = 0;
	ssize_t n = 1;
	int fd;

	*out = NULL;
	*len = 0;
	if ((fd = open_file(path, &wrong)) == -1) {
		bg_buf_put_format(words, "cannot be read: %s", wrong);
		return -1;
	}
	wrong = owner_wrong(fd);
	while (wrong == NULL && n != 0 && have < sizeof(bytes)) {
		if ((n = read(fd, bytes + have, sizeof(bytes) - have)) > 0)
			have += (size_t)n;
		else if (n < 0 && errno != EINTR)
			wrong = "cannot be read to its end";
	}
	close(fd);
	if (wrong == NULL && have > BG_SECRET_FILE_MAX)
		wrong = "is too large, at most 4096 bytes are allowed";
	if (wrong == NULL) {
		*len = secret_len(bytes, have, type);
		wrong = secret_wrong(bytes, *len, type);
	}
	if (wrong == NULL && (*out = calloc(1, *len + 1)) == NULL)
		wrong = "cannot be read, there is no memory";
	if (wrong != NULL)
		bg_buf_put_str(words, wrong);
	else
		memcpy(*out, bytes, *len);
	bg_secret_wipe(bytes, sizeof(bytes));
	return wrong == NULL ? 0 : -1;
}

/* A reader of the .env form: what is left of the text, and where we are. */
struct reader {
	const char     *file;
	struct bg_slice rest;
	int             line;
	struct bg_buf  *report;
};

static int
complain(const struct reader *in, int line, const char *what)
{
	bg_report_line(in->report, in->file, line, "%s; NAME=value was expected", what);
	return EX_CONFIG;
}

static bool
is_name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static void
skip_blanks(struct reader *in)
{
	while (in->rest.len > 0 && (in->rest.ptr[0] == ' ' || in->rest.ptr[0] == '\t'))
		in->rest = bg_slice_skip(in->rest, 1);
}

static char
peek(const struct reader *in)
{
	return in->rest.len > 0 ? in->rest.ptr[0] : '\n';
}

/*
 * What follows an opening quote, into value, up to the closing one.  It may go on over several lines, since keys do in
 * the files of other programs.  ours: the value is for us, so what we would read differently from others is refused.
 */
static int
read_quoted(struct reader *in, bool ours, struct bg_buf *value)
{
	char quote = in->rest.ptr[0];
	int begin = in->line;

	for (in->rest = bg_slice_skip(in->rest, 1); in->rest.len > 0; in->rest = bg_slice_skip(in->rest, 1)) {
		char c = in->rest.ptr[0];

		if (c == quote) {
			in->rest = bg_slice_skip(in->rest, 1);
			return 0;
		}
		if (c == '\n')
			in->line++;
		if (quote == '"' && c == '\\' && in->rest.len > 1) {
			in->rest = bg_slice_skip(in->rest, 1);
			c = in->rest.ptr[0];
			if (c == '\n')
				in->line++;
			if (ours && strchr("\"\\$", c) == NULL)
				return complain(in, in->line, "a backslash before something else than \" \\ or $");
		} else if (ours && quote == '"' && c == '$')
			return complain(in, in->line, "\"$\" stands for nothing here, write \"\\$\" or single quotes");
		bg_buf_put_char(value, c);
	}
	return complain(in, begin, "a quote that is never closed");
}

/* A value without quotes: to the end of the line, or to a comment behind a blank. */
static int
read_bare(struct reader *in, bool ours, struct bg_buf *value)
{
	size_t n = 0, end = 0;	/* end: behind the last character that is no blank */

	while (n < in->rest.len && in->rest.ptr[n] != '\n') {
		char c = in->rest.ptr[n];
		bool blank = c == ' ' || c == '\t' || c == '\r';

		if (c == '#' && n > end)
			break;
		if (ours && (c == '\'' || c == '"' || c == '$' || c == '\\'))
			return complain(in, in->line, "a quote, \"$\" or backslash in a value without quotes");
		n++;
		if (!blank)
			end = n;
	}
	if (end > 0 && (in->rest.ptr[0] == ' ' || in->rest.ptr[0] == '\t'))
		return complain(in, in->line, "a blank behind \"=\"");
	bg_buf_put(value, (struct bg_slice){ in->rest.ptr, end });
	in->rest = bg_slice_skip(in->rest, n);
	return 0;
}

/* One NAME=value, from the first character of the line that is no blank. */
static int
read_assignment(struct reader *in, struct bg_said env[BG_ENV_COUNT])
{
	struct bg_slice name, text;
	struct bg_said *said = NULL;
	struct bg_buf value;
	char *at = NULL;
	int line = in->line, rc;
	size_t n = 0;

	if (bg_slice_starts(in->rest, BG_SLICE("export ")) || bg_slice_starts(in->rest, BG_SLICE("export\t"))) {
		in->rest = bg_slice_skip(in->rest, strlen("export "));
		skip_blanks(in);
	}
	while (n < in->rest.len && is_name_char(in->rest.ptr[n], n == 0))
		n++;
	name = (struct bg_slice){ in->rest.ptr, n };
	in->rest = bg_slice_skip(in->rest, n);
	if (n == 0)
		return complain(in, line, "no name of a variable");
	if (peek(in) == ' ' || peek(in) == '\t')
		return complain(in, line, "a blank behind the name");
	if (peek(in) != '=')
		return complain(in, line, "no \"=\" behind the name");
	in->rest = bg_slice_skip(in->rest, 1);

	for (size_t i = 0; i < BG_ENV_COUNT; i++)
		if (bg_slice_equal(name, bg_slice_str(names[i])))
			said = &env[i];

	bg_buf_init(&value, BG_CONF_FILE_MAX);
	if (peek(in) == '"' || peek(in) == '\'')
		rc = read_quoted(in, said != NULL, &value);
	else
		rc = read_bare(in, said != NULL, &value);
	if (rc != 0)
		goto out;
	skip_blanks(in);
	if (peek(in) == '\r')
		in->rest = bg_slice_skip(in->rest, 1);
	if (peek(in) != '\n' && peek(in) != '#') {
		rc = complain(in, in->line, "something behind the closing quote");
		goto out;
	}
	if (said == NULL)
		goto out;		/* not ours: such files are shared with applications */
	if (said->n > 0) {
		bg_report_line(in->report, in->file, line, "%.*s stands at %s already", BG_SLICE_ARG(name), said->at);
		rc = EX_CONFIG;
		goto out;
	}
	if ((at = bg_at(in->file, line)) == NULL || bg_buf_finish(&value, &text, NULL) != 0 ||
	    bg_said_add(said, text.ptr, at) != 0)
		rc = bg_report_memory(in->report);
out:
	bg_buf_clear(&value);
	free(at);
	return rc;
}

/* Every line is blank, a comment or an assignment. */
static int
read_env_file(const char *file, bool guarded, struct bg_said env[BG_ENV_COUNT], struct bg_buf *report)
{
	struct reader in = { .file = file, .line = 1, .report = report };
	struct bg_buf text;
	int rc;

	if ((rc = bg_file_read(file, guarded, &text, report)) != 0)
		goto out;
	in.rest = (struct bg_slice){ text.data, text.len };
	for (size_t i = 0, line = 1; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c == '\n')
			line++;
		else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
			rc = complain(&in, (int)line, "a control character");
			goto out;
		}
	}
	while (rc == 0 && in.rest.len > 0) {
		skip_blanks(&in);
		if (peek(&in) == '\r')
			in.rest = bg_slice_skip(in.rest, 1);
		if (peek(&in) != '\n' && peek(&in) != '#' && (rc = read_assignment(&in, env)) != 0)
			break;
		while (peek(&in) != '\n')	/* nothing is left but a comment */
			in.rest = bg_slice_skip(in.rest, 1);
		if (in.rest.len > 0) {
			in.rest = bg_slice_skip(in.rest, 1);
			in.line++;
		}
	}
out:
	bg_buf_clear(&text);
	return rc;
}

int
bg_env_read(const struct bg_conf_sources *from, struct bg_said env[BG_ENV_COUNT], struct bg_buf *report)
{
	int rc;

	if (from->env_file != NULL && (rc = read_env_file(from->env_file, from->guarded, env, report)) != 0)
		return rc;
	for (size_t i = 0; i < BG_ENV_COUNT; i++) {
		const char *value = find(from->environ, bg_slice_str(names[i]));

		if (value == NULL)
			continue;
		if (env[i].n > 0 && strcmp(env[i].text[0], value) != 0)
			bg_report(report, env[i].at, "remark: %s is not used, the environment has another value", names[i]);
		bg_said_clear(&env[i]);
		if (bg_said_add(&env[i], value, "environment") != 0)
			return bg_report_memory(report);
	}
	return 0;
}
