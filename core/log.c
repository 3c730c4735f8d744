#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN	4096	/* PIPE_BUF: up to here a write to a pipe is not mixed with others */
#define TEXT_MAX	512	/* of one value from outside */

static const char *const names[] = { "error", "warning", "info", "debug" };

/* How journal and syslogd call the levels; syslog(3). */
static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* syslog(3), without that of the kernel. */
static const struct { const char *name; int facility; } facilities[] = {
	{ "auth", LOG_AUTH },     { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON },     { "daemon", LOG_DAEMON },
	{ "ftp", LOG_FTP },       { "lpr", LOG_LPR },           { "mail", LOG_MAIL },     { "news", LOG_NEWS },
	{ "user", LOG_USER },     { "uucp", LOG_UUCP },         { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 },
	{ "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 },     { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
};

/* What a descriptor is. */
enum { JOURNAL = 1, SOCKET = 2, WAITS = 4, SYSLOG = 8 };	/* WAITS: a write could wait, unless there is room */

static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_kind;
static atomic_int log_level = BG_LOG_INFO;
static atomic_int log_format = BG_LOG_TEXT;
static atomic_ulong lost;		/* lines that were not written and have not been told of */
static atomic_uint torn;		/* lines of which only the beginning was written; 0: the next one begins a line */

static pthread_mutex_t room = PTHREAD_MUTEX_INITIALIZER;	/* held from looking for room to having written, of WAITS */

/* Where lines for syslogd go; guarded by room. */
struct syslogd {
	struct sockaddr_un to;
	int                facility;
	const char        *ident;
};
static struct syslogd syslogd;

/* What bg_log_syslog has made last, until it is switched to: the main thread's. */
static struct { struct syslogd syslogd; dev_t dev; ino_t ino; bool is; } made;

/* Of JOURNAL_STREAM; set before the first thread. */
static bool has_journal;
static dev_t journal_device;
static ino_t journal_inode;

static int
kind_of(int fd)
{
	struct stat st;
	int kind = 0;

	if (fstat(fd, &st) != 0)
		return 0;
	if (has_journal && st.st_dev == journal_device && st.st_ino == journal_inode)
		kind |= JOURNAL;
	if (S_ISSOCK(st.st_mode) && made.is && st.st_dev == made.dev && st.st_ino == made.ino) {
		pthread_mutex_lock(&room);
		syslogd = made.syslogd;
		pthread_mutex_unlock(&room);
		kind |= SOCKET | SYSLOG;
	} else if (S_ISSOCK(st.st_mode))
		kind |= SOCKET;
	else if ((S_ISFIFO(st.st_mode) || isatty(fd)) && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0)
		kind |= WAITS;
	return kind;
}

void
bg_log_journal(const char *stream)
{
	unsigned long long device, inode;
	char surplus;

	has_journal = stream != NULL && sscanf(stream, "%llu:%llu%c", &device, &inode, &surplus) == 2;
	if (has_journal) {
		journal_device = (dev_t)device;
		journal_inode = (ino_t)inode;
	}
}

void
bg_log_open(int fd, enum bg_log_level level)
{
	atomic_store(&log_fd, fd);
	atomic_store(&log_kind, kind_of(fd));
	atomic_store(&log_level, (int)level);
	atomic_store(&lost, 0);
	atomic_store(&torn, 0);
}

int
bg_log_stderr(void)
{
	struct stat st;
	int fd = -1;

	/* The flags of a pipe that we were lent are everybody's who writes there: only one of our own may be made not to wait. */
	if (fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return fd > STDERR_FILENO ? fd : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
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

bool
bg_log_is_syslog(const char *text)
{
	return strncmp(text, "syslog", 6) == 0 && (text[6] == '\0' || text[6] == ':');
}

const char *
bg_log_syslog_parse(const char *text, struct bg_log_syslog *out)
{
	const char *rest = text + strlen("syslog");
	struct bg_slice name;
	size_t i = 0;

	*out = (struct bg_log_syslog){ .facility = LOG_DAEMON, .path = "/dev/log" };
	if (*rest == ':' && rest[1] != '/') {
		name = bg_slice_str(rest + 1);
		if (memchr(name.ptr, ':', name.len) != NULL)
			name.len = (size_t)((const char *)memchr(name.ptr, ':', name.len) - name.ptr);
		while (i < sizeof(facilities) / sizeof(facilities[0]) && !bg_slice_equal(name, bg_slice_str(facilities[i].name)))
			i++;
		if (i == sizeof(facilities) / sizeof(facilities[0]))
			return "has an unknown facility";
		out->facility = facilities[i].facility;
		rest = name.ptr + name.len;
	}
	if (*rest == '\0')
		return NULL;
	if (rest[1] != '/')
		return "has something else than an absolute path behind its facility";
	if (strlen(rest + 1) >= sizeof(out->path))
		return "has a path that is too long for a socket";
	bg_format(out->path, sizeof(out->path), "%s", rest + 1);
	return NULL;
}

bool
bg_log_syslog_adopt(int fd, const struct bg_log_syslog *to, const char *ident)
{
	struct syslogd next = { .to.sun_family = AF_UNIX, .facility = to->facility, .ident = ident };
	struct stat st;

	_Static_assert(sizeof(next.to.sun_path) == sizeof(to->path), "a path that fits is one of a socket");
	memcpy(next.to.sun_path, to->path, sizeof(next.to.sun_path));
	if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	made.syslogd = next;
	made.dev = st.st_dev;
	made.ino = st.st_ino;
	made.is = true;
	return true;
}

/*
 * Lines are sent to the address, not to the connection: that finds a syslogd that was started anew.  It is connected for the
 * sake of a thread that took it for a file when it was switched to just now.
 */
int
bg_log_syslog(const struct bg_log_syslog *to, const char *ident, struct bg_error *err)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1 || !bg_log_syslog_adopt(fd, to, ident)) {
		if (fd != -1)
			close(fd);
		return bg_fail(err, BG_R_INTERNAL, "log %s: %s", to->path, strerror(errno));
	}
	tzset();	/* while we may still read files */
	if (connect(fd, (const struct sockaddr *)&made.syslogd.to, sizeof(made.syslogd.to)) != 0)
		bg_fail(err, BG_R_INTERNAL, "log %s: %s; lines are lost until syslogd is there", to->path, strerror(errno));
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

	int kind = kind_of(fd);

	/* Before, where writing could wait, after, where it could not any more: no line in between is one to wait for. */
	if ((kind & (SOCKET | WAITS)) != 0)
		atomic_store(&log_kind, kind);
	if (ours <= STDERR_FILENO)
		atomic_store(&log_fd, fd);
	else {
		while (dup3(fd, ours, O_CLOEXEC) == -1 && (errno == EINTR || errno == EBUSY))
			continue;
		close(fd);
	}
	atomic_store(&log_kind, kind);
	atomic_store(&torn, 0);
}

void
bg_log_set_format(enum bg_log_format format)
{
	atomic_store(&log_format, (int)format);
}

enum bg_log_format
bg_log_format_now(void)
{
	return (enum bg_log_format)atomic_load(&log_format);
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

enum bg_log_level
bg_log_wanted(enum bg_log_level level)
{
	int most = atomic_load(&log_level);

	return (int)level <= most ? level : (enum bg_log_level)most;
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

static ssize_t
write_some(int fd, int kind, const char *bytes, size_t n)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };

	if ((kind & SOCKET) != 0) {
		ssize_t w = send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		/* switched just now, and no socket any more */
		return w == -1 && errno == ENOTSOCK ? write(fd, bytes, n) : w;
	}
#ifdef RWF_NOWAIT
	/*
	 * Whoever gave us a pipe may write there too, a server with all its workers, and take the room that poll(2) has seen.  That is
	 * for the kernel to see to where it can: for pipes without a name, since Linux 6.5.
	 */
	if ((kind & WAITS) != 0) {
		struct iovec line = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
		ssize_t w = pwritev2(fd, &line, 1, -1, RWF_NOWAIT);

		if (w >= 0 || errno == EAGAIN || errno == EINTR)
			return w;
	}
#endif
	/* A pipe with room for anything has room for PIPE_BUF bytes. */
	if ((kind & WAITS) != 0 && poll(&writable, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, bytes, n);
}

/* A datagram, without a line's end: all of it goes, or nothing. */
static bool
put_syslog(const char *line, size_t n)
{
	int fd = atomic_load(&log_fd);
	ssize_t w;

	pthread_mutex_lock(&room);
	do
		w = sendto(fd, line, n - 1, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&syslogd.to, sizeof(syslogd.to));
	while (w == -1 && errno == EINTR);
	pthread_mutex_unlock(&room);
	if (w == -1 && errno == ENOTSOCK)	/* switched just now */
		return write(fd, line, n) == (ssize_t)n;
	return w == (ssize_t)n - 1;
}

static size_t
write_all(int kind, const char *bytes, size_t n)
{
	size_t sent = 0;

	while (sent < n) {
		ssize_t w = write_some(atomic_load(&log_fd), kind, bytes + sent, n - sent);

		if (w > 0)
			sent += (size_t)w;
		else if (w == 0 || errno != EINTR)
			break;		/* no log is no reason to stop deciding */
	}
	return sent;
}

/* A disk or a socket had room for the beginning of a line alone: what comes next is not to be taken for its end. */
static bool
end_torn(int kind)
{
	unsigned seen = atomic_load(&torn);

	if (seen == 0)
		return true;
	if (write_all(kind, "\n", 1) != 1)
		return false;
	(void)atomic_compare_exchange_strong(&torn, &seen, 0);	/* else another one was torn; an empty line is no harm */
	return true;
}

static bool
put(int kind, const char *line, size_t n)
{
	size_t sent = 0;

	if ((kind & SYSLOG) != 0)
		return put_syslog(line, n);

	if ((kind & WAITS) != 0)
		pthread_mutex_lock(&room);
	if (end_torn(kind))
		sent = write_all(kind, line, n);
	if (sent > 0 && sent < n)
		atomic_fetch_add(&torn, 1);
	if ((kind & WAITS) != 0)
		pthread_mutex_unlock(&room);
	return sent == n;
}

/* "<30>Nov 26 17:22:01 bearergate-fcgi[4711]: ", RFC 3164 section 4.1. */
static size_t
put_syslog_head(char *line, const struct timespec *now, enum bg_log_level level)
{
	struct syslogd to;
	char time[32] = "";
	struct tm tm;

	pthread_mutex_lock(&room);
	to = syslogd;
	pthread_mutex_unlock(&room);
	if (localtime_r(&now->tv_sec, &tm) != NULL)
		(void)strftime(time, sizeof(time), "%b %e %H:%M:%S", &tm);
	return bg_format(line, LINE_MAX_LEN, "<%d>%s %s[%ld]: ", to.facility | priorities[level], time, to.ident, (long)getpid());
}

/* A line, terminated with room for its end, in a buffer of LINE_MAX_LEN. */
static size_t
begin_line(char *line, int kind, enum bg_log_format format, enum bg_log_level level)
{
	char time[32] = "";
	struct timespec now;
	struct tm tm;
	size_t n = 0;

	line[0] = '\0';
	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) != NULL)
		(void)strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if ((kind & SYSLOG) != 0)
		n = put_syslog_head(line, &now, level);
	else if ((kind & JOURNAL) != 0)
		n = bg_format(line, LINE_MAX_LEN, "<%d>", priorities[level]);
	if (format == BG_LOG_JSON)
		return n + bg_format(line + n, LINE_MAX_LEN - n, "{\"time\":\"%s\",\"level\":\"%s\",", time, names[level]);
	if ((kind & (JOURNAL | SYSLOG)) == 0)
		n += bg_format(line + n, LINE_MAX_LEN - n, "%s ", time);
	return n + bg_format(line + n, LINE_MAX_LEN - n, "%s ", names[level]);
}

/* Our own text as the value of "message", cut where it does not fit. */
static size_t
put_message(char *line, size_t n, const char *text)
{
	n += bg_format(line + n, LINE_MAX_LEN - n, "\"message\":\"");
	for (; *text != '\0' && n < LINE_MAX_LEN - 16; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			line[n++] = '\\';
			line[n++] = (char)c;
		} else if (c >= 0x20 && c < 0x7f)
			line[n++] = (char)c;
		else
			n += bg_format(line + n, LINE_MAX_LEN - n, c < 0x80 ? "\\u%04x" : "\\ufffd", c);
	}
	return n + bg_format(line + n, LINE_MAX_LEN - n, "\"}");
}

/* One line of text; or, members, what stands in an object. */
static bool
put_line(enum bg_log_level level, const char *text, bool members)
{
	enum bg_log_format format = members ? BG_LOG_JSON : bg_log_format_now();
	int kind = atomic_load(&log_kind);
	char line[LINE_MAX_LEN];
	size_t n = begin_line(line, kind, format, level);

	if (members && strlen(text) < sizeof(line) - n - 2)
		n += bg_format(line + n, sizeof(line) - n, "%s}", text);
	else if (members)
		n = put_message(line, n, "a line was too long");
	else if (format == BG_LOG_JSON)
		n = put_message(line, n, text);
	else
		n += bg_format(line + n, sizeof(line) - n, "%s", text);
	line[n++] = '\n';	/* where the terminator stood */
	return put(kind, line, n);
}

static void
emit(enum bg_log_level level, const char *text, bool members)
{
	unsigned long missed = atomic_exchange(&lost, 0);
	char line[128];

	if (missed > 0) {
		bg_format(line, sizeof(line), "%lu lines of the log were lost: it was not read in time, or not at all, or the disk is "
		    "full", missed);
		if (put_line(BG_LOG_WARNING, line, false))
			missed = 0;
	}
	if (missed > 0 || !put_line(level, text, members))
		atomic_fetch_add(&lost, missed + 1);
}

void
bg_log(enum bg_log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_LEN];
	va_list ap;

	if (!bg_log_wants(level))
		return;
	va_start(ap, fmt);
	bg_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(level, text, false);
}

void
bg_log_members(enum bg_log_level level, struct bg_slice members)
{
	char text[LINE_MAX_LEN];

	if (!bg_log_wants(level))
		return;
	if (members.len >= sizeof(text))
		members = BG_SLICE("\"message\":\"a line was too long\"");
	memcpy(text, members.ptr, members.len);
	text[members.len] = '\0';
	emit(level, text, true);
}

/* Counted from one, so that memory that was cleared is no second of any time. */
static uint32_t
second_of(int64_t mono_ms)
{
	return (uint32_t)(mono_ms / 1000) + 1;
}

bool
bg_log_may(struct bg_log_limit *limit, unsigned rate, int64_t mono_ms, unsigned *left_out)
{
	unsigned long long old = atomic_load(&limit->second), new;
	uint32_t second = second_of(mono_ms);

	*left_out = 0;
	if (rate == 0)
		return true;
	do {
		if (old >> 32 == second && (old & UINT32_MAX) >= rate) {
			atomic_fetch_add(&limit->left_out, 1);
			return false;
		}
		new = old >> 32 == second ? old + 1 : (unsigned long long)second << 32 | 1;
	} while (!atomic_compare_exchange_weak(&limit->second, &old, new));
	if ((new & UINT32_MAX) == 1)
		*left_out = atomic_exchange(&limit->left_out, 0);
	return true;
}

unsigned
bg_log_left_out(struct bg_log_limit *limit, int64_t mono_ms)
{
	if (atomic_load(&limit->left_out) == 0 || atomic_load(&limit->second) >> 32 == second_of(mono_ms))
		return 0;
	return atomic_exchange(&limit->left_out, 0);
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
