#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN	4096	/* PIPE_BUF: up to here a write to a pipe is not mixed with others */
#define TEXT_MAX	512	/* of one value from outside */

static const char *const names[] = { "error", "warning", "info", "debug" };

static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_level = BG_LOG_INFO;

void
bg_log_open(int fd, enum bg_log_level level)
{
	atomic_store(&log_fd, fd);
	atomic_store(&log_level, (int)level);
}

int
bg_log_file(const char *path, struct bg_error *err)
{
	/* O_NONBLOCK, so that a pipe without a reader is an error and no wait. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	struct stat st;

	if (fd == -1)
		return bg_fail(err, BG_R_INTERNAL, "log %s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))) {
		close(fd);
		return bg_fail(err, BG_R_INTERNAL, "log %s: neither a file nor a device", path);
	}
	return fd;
}

/*
 * A thread may be about to write to the descriptor that it has read here.  So the number of ours stays, and dup3 puts
 * something else behind it in one step; and the first time, when the number is one that we were lent, it stays open.
 */
void
bg_log_switch(int fd)
{
	int ours = atomic_load(&log_fd);

	if (ours <= STDERR_FILENO) {
		atomic_store(&log_fd, fd);
		return;
	}
	while (dup3(fd, ours, O_CLOEXEC) == -1 && (errno == EINTR || errno == EBUSY))
		continue;
	close(fd);
}

void
bg_log_set_level(enum bg_log_level level)
{
	atomic_store(&log_level, (int)level);
}

bool
bg_log_wants(enum bg_log_level level)
{
	return (int)level <= atomic_load(&log_level);
}

bool
bg_log_level_parse(struct bg_slice name, enum bg_log_level *out)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bg_slice_equal(name, bg_slice_str(names[i]))) {
			*out = (enum bg_log_level)i;
			return true;
		}
	return false;
}

void
bg_log(enum bg_log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	struct timespec now;
	struct tm tm;
	size_t n, sent = 0;
	va_list ap;

	if (!bg_log_wants(level))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, 32, "%Y-%m-%dT%H:%M:%SZ ", &tm);
	n += bg_format(line + n, sizeof(line) - n, "%s ", names[level]);
	va_start(ap, fmt);
	n += bg_vformat(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	line[n++] = '\n';	/* where the terminator stood */
	while (sent < n) {
		ssize_t w = write(atomic_load(&log_fd), line + sent, n - sent);

		if (w > 0)
			sent += (size_t)w;
		else if (w == 0 || errno != EINTR)
			return;		/* no log is no reason to stop deciding */
	}
}

void
bg_log_text(struct bg_buf *line, struct bg_slice text)
{
	size_t n = text.len < TEXT_MAX ? text.len : TEXT_MAX;

	bg_buf_put_char(line, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			bg_buf_put_format(line, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			bg_buf_put_char(line, (char)c);
		else
			bg_buf_put_format(line, "\\x%02x", c);
	}
	bg_buf_put_str(line, n < text.len ? "...\"" : "\"");
}
