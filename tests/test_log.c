#undef _FORTIFY_SOURCE		/* it has a poll of its own, and so have we */
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "core/decision.h"
#include "core/json.h"
#include "core/secret.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define LINE_BYTES	5000	/* more than a line has */

/* A syslogd: a socket for datagrams in a directory of its own. */
static struct bg_test_dir syslog_dir;

static int
open_syslogd(struct bg_log_syslog *to)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	bg_format(un.sun_path, sizeof(un.sun_path), "%s", bg_test_file(&syslog_dir, "log"));
	unlink(un.sun_path);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	bg_format(to->path, sizeof(to->path), "%s", un.sun_path);
	return fd;
}

/* The next line it has got, without the time and the process number of its head; "": none. */
static const char *
next_line(int fd)
{
	static char text[8192], line[8192];
	char *behind, *month, pid[32];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n == -1)
		return "";
	text[n] = '\0';
	ck_assert_ptr_null(strchr(text, '\n'));
	ck_assert_ptr_nonnull(month = strchr(text, '>') + 1);
	ck_assert_msg(month[3] == ' ' && month[6] == ' ' && month[9] == ':' && month[12] == ':' && month[15] == ' ', "%s", text);
	bg_format(pid, sizeof(pid), "[%ld]: ", (long)getpid());
	ck_assert_ptr_nonnull(behind = strstr(month + 16, pid));
	bg_format(line, sizeof(line), "%.*s%.*s %s", (int)(month - text), text, (int)(behind - month - 16), month + 16,
	    behind + strlen(pid));
	return line;
}

static void
use_syslogd(const struct bg_log_syslog *to, bool listens)
{
	struct bg_error err = { 0 };
	int fd = bg_log_syslog(to, "ident", &err);

	ck_assert_msg(fd != -1 && (err.reason == BG_R_OK) == listens, "%s", err.detail);
	bg_log_open(fd, BG_LOG_DEBUG);
}

static const struct { const char *text; int facility; const char *path; const char *wrong; } syslogs[] = {
	{ "syslog",                 LOG_DAEMON, "/dev/log", NULL },
	{ "syslog:daemon",          LOG_DAEMON, "/dev/log", NULL },
	{ "syslog:local7",          LOG_LOCAL7, "/dev/log", NULL },
	{ "syslog:authpriv:/x",     LOG_AUTHPRIV, "/x", NULL },
	{ "syslog:/x/y:z",          LOG_DAEMON, "/x/y:z", NULL },
	{ "syslog:",                0, NULL, "facility" },
	{ "syslog::/x",             0, NULL, "facility" },
	{ "syslog:kern",            0, NULL, "facility" },
	{ "syslog:LOCAL0",          0, NULL, "facility" },
	{ "syslog:local",           0, NULL, "facility" },
	{ "syslog:local00",         0, NULL, "facility" },
	{ "syslog:daemon:",         0, NULL, "absolute path" },
	{ "syslog:daemon:x",        0, NULL, "absolute path" },
	{ "syslog:daemon:daemon",   0, NULL, "absolute path" },
};
START_TEST(syslog_has_a_facility_and_a_path)
{
	struct bg_log_syslog to;
	const char *wrong;

	ck_assert(bg_log_is_syslog(syslogs[_i].text));
	wrong = bg_log_syslog_parse(syslogs[_i].text, &to);
	ck_assert_msg((wrong == NULL) == (syslogs[_i].wrong == NULL), "%s: %s", syslogs[_i].text, wrong);
	if (wrong != NULL)
		ck_assert_ptr_nonnull(strstr(wrong, syslogs[_i].wrong));
	else {
		ck_assert_int_eq(to.facility, syslogs[_i].facility);
		ck_assert_str_eq(to.path, syslogs[_i].path);
	}
	ck_assert(!bg_log_is_syslog("syslogd") && !bg_log_is_syslog("/syslog") && !bg_log_is_syslog(""));
}
END_TEST

START_TEST(a_path_that_no_socket_can_have_is_refused)
{
	char text[256] = "syslog:/";
	struct bg_log_syslog to;

	while (strlen(text) < strlen("syslog:") + BG_LOG_SYSLOG_PATH_MAX - 1)
		strcat(text, "x");
	ck_assert_ptr_null(bg_log_syslog_parse(text, &to));
	strcat(text, "x");
	ck_assert_ptr_nonnull(bg_log_syslog_parse(text, &to));
}
END_TEST

/* RFC 3164 section 4.1, and the priorities of syslog(3): facility * 8 + severity. */
START_TEST(syslogd_gets_a_datagram_for_each_line)
{
	struct bg_log_syslog to = { .facility = LOG_LOCAL1 };
	char text[LINE_BYTES];
	int fd;

	bg_test_dir_make(&syslog_dir);
	fd = open_syslogd(&to);
	use_syslogd(&to, true);
	bg_log(BG_LOG_ERROR, "one");
	bg_log(BG_LOG_WARNING, "two");
	bg_log(BG_LOG_INFO, "three");
	bg_log(BG_LOG_DEBUG, "four");
	ck_assert_str_eq(next_line(fd), "<139>ident error one");
	ck_assert_str_eq(next_line(fd), "<140>ident warning two");
	ck_assert_str_eq(next_line(fd), "<142>ident info three");
	ck_assert_str_eq(next_line(fd), "<143>ident debug four");
	bg_log_set_format(BG_LOG_JSON);
	bg_log_members(BG_LOG_INFO, BG_SLICE("\"a\":1"));
	bg_log_set_format(BG_LOG_TEXT);
	ck_assert(strncmp(next_line(fd), "<142>ident {\"time\":\"", 20) == 0);
	/* A line that is cut is still one, and whole. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	bg_log(BG_LOG_INFO, "%s", text);
	ck_assert_int_eq(strncmp(next_line(fd), "<142>ident info xxx", 19), 0);
	bg_log(BG_LOG_INFO, "after");
	ck_assert_str_eq(next_line(fd), "<142>ident info after");
	close(fd);
	bg_test_dir_remove(&syslog_dir);
}
END_TEST

START_TEST(a_syslogd_that_is_started_anew_is_found_again)
{
	struct bg_log_syslog to = { .facility = LOG_DAEMON };
	int fd;

	bg_test_dir_make(&syslog_dir);
	bg_format(to.path, sizeof(to.path), "%s", bg_test_file(&syslog_dir, "log"));
	use_syslogd(&to, false);	/* it comes later */
	bg_log(BG_LOG_INFO, "to nobody");
	fd = open_syslogd(&to);
	bg_log(BG_LOG_INFO, "first");
	ck_assert_ptr_nonnull(strstr(next_line(fd), "<28>ident warning 1 lines of the log were lost"));
	ck_assert_str_eq(next_line(fd), "<30>ident info first");
	close(fd);			/* its file stays, as a killed one leaves it */
	bg_log(BG_LOG_INFO, "to nobody");
	bg_log(BG_LOG_INFO, "to nobody");
	fd = open_syslogd(&to);
	bg_log(BG_LOG_INFO, "second");
	ck_assert_ptr_nonnull(strstr(next_line(fd), "<28>ident warning 2 lines of the log were lost"));
	ck_assert_str_eq(next_line(fd), "<30>ident info second");
	close(fd);
	bg_test_dir_remove(&syslog_dir);
}
END_TEST

START_TEST(a_syslogd_that_does_not_read_makes_nobody_wait)
{
	struct bg_log_syslog to = { .facility = LOG_DAEMON };
	unsigned long told = 0, n = 0;
	const char *line, *lost;
	int fd;

	bg_test_dir_make(&syslog_dir);
	fd = open_syslogd(&to);
	use_syslogd(&to, true);
	for (int i = 0; i < 5000; i++)		/* more than net.unix.max_dgram_qlen is anywhere */
		bg_log(BG_LOG_INFO, "a line");
	while (*(line = next_line(fd)) != '\0') {
		ck_assert_str_eq(line, "<30>ident info a line");
		n++;
	}
	ck_assert(n > 0 && n < 5000);
	bg_log(BG_LOG_INFO, "a line");
	ck_assert_ptr_nonnull(lost = strstr(line = next_line(fd), " warning "));
	told = strtoul(lost + strlen(" warning "), NULL, 10);
	ck_assert_uint_eq(n + told, 5000);
	ck_assert_str_eq(next_line(fd), "<30>ident info a line");
	close(fd);
	bg_test_dir_remove(&syslog_dir);
}
END_TEST

/* Send the log into a pipe and read what one call wrote. */
static int log_pipe[2];

static void
open_log(enum bg_log_level level)
{
	ck_assert_int_eq(pipe(log_pipe), 0);
	bg_log_open(log_pipe[1], level);
}

static char *
logged(void)
{
	static char text[8192];
	ssize_t n;

	close(log_pipe[1]);
	n = read(log_pipe[0], text, sizeof(text) - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(log_pipe[0]);
	return text;
}

START_TEST(a_line_has_time_and_level_in_front)
{
	char *line;

	open_log(BG_LOG_INFO);
	bg_log(BG_LOG_WARNING, "n=%d", 7);
	line = logged();
	ck_assert_int_eq(line[4], '-');
	ck_assert_int_eq(line[19], 'Z');
	ck_assert_str_eq(line + 20, " warning n=7\n");
}
END_TEST

START_TEST(a_level_shows_itself_and_those_before_it)
{
	open_log(BG_LOG_WARNING);
	bg_log(BG_LOG_INFO, "info");
	bg_log(BG_LOG_DEBUG, "debug");
	ck_assert(bg_log_wants(BG_LOG_ERROR) && bg_log_wants(BG_LOG_WARNING) && !bg_log_wants(BG_LOG_INFO));
	ck_assert_int_eq(bg_log_wanted(BG_LOG_INFO), BG_LOG_WARNING);
	ck_assert_int_eq(bg_log_wanted(BG_LOG_ERROR), BG_LOG_ERROR);
	ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(a_line_too_long_is_cut_and_still_a_line)
{
	char *line;

	open_log(BG_LOG_INFO);
	bg_log(BG_LOG_INFO, "%05000d", 1);
	line = logged();
	ck_assert_uint_eq(strlen(line), 4096);
	ck_assert_ptr_eq(strchr(line, '\n'), line + 4095);
}
END_TEST

static size_t
lines_in(const char *path, const char *words)
{
	FILE *file = fopen(path, "re");
	char line[8192];
	size_t n = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		ck_assert_msg(strstr(line, words) != NULL && strchr(line, '\n') != NULL, "torn: %s", line);
		n++;
	}
	fclose(file);
	return n;
}

static void
switch_to(const char *path)
{
	struct bg_error err = { 0 };
	int fd = bg_log_file(path, &err);

	ck_assert_msg(fd != -1, "%s", err.detail);
	bg_log_switch(fd);
}

static atomic_bool writing;

static void *
write_lines(void *arg)
{
	atomic_size_t *written = arg;

	while (atomic_load(&writing)) {
		bg_log(BG_LOG_INFO, "a line that stays whole");
		atomic_fetch_add(written, 1);
	}
	return NULL;
}

START_TEST(a_file_that_is_switched_while_others_write_loses_no_line)
{
	struct bg_test_dir dir;
	char files[3][2048];
	pthread_t threads[4];
	atomic_size_t written = 0;
	size_t found = 0;
	struct stat st;

	bg_test_dir_make(&dir);
	for (int i = 0; i < 3; i++)
		bg_format(files[i], sizeof(files[i]), "%s/log.%d", dir.path, i);
	bg_log_open(STDERR_FILENO, BG_LOG_INFO);
	switch_to(files[0]);
	atomic_store(&writing, true);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &written), 0);
	for (int i = 1; i <= 200; i++) {
		size_t before = atomic_load(&written);

		while (atomic_load(&written) == before)
			sched_yield();
		switch_to(files[i % 3]);
	}
	atomic_store(&writing, false);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	bg_log_open(STDERR_FILENO, BG_LOG_INFO);
	for (int i = 0; i < 3; i++)
		found += lines_in(files[i], " info a line that stays whole");
	ck_assert_uint_eq(found, atomic_load(&written));
	ck_assert_int_eq(stat(files[0], &st), 0);
	ck_assert_int_eq(st.st_mode & 0137, 0);
	bg_test_dir_remove(&dir);
}
END_TEST

/* A thread that has read the number and not written yet must not find it closed, or somebody else's. */
static atomic_size_t datagrams, datagrams_lost;	/* lines that came, and that were told of as lost */

static void *
read_datagrams(void *arg)
{
	char text[8192];
	ssize_t n;

	while ((n = recv(*(const int *)arg, text, sizeof(text) - 1, 0)) > 0) {
		text[n] = '\0';
		if (strcmp(text, "end") == 0)
			break;
		if (strstr(text, " lines of the log were lost") != NULL)
			atomic_fetch_add(&datagrams_lost, strtoul(strstr(text, " warning ") + strlen(" warning "), NULL, 10));
		else if (strstr(text, "a line that stays whole") != NULL)
			atomic_fetch_add(&datagrams, 1);
	}
	return NULL;
}

static void
send_end(const struct bg_log_syslog *to)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	bg_format(un.sun_path, sizeof(un.sun_path), "%s", to->path);
	ck_assert_int_eq(sendto(fd, "end", 3, 0, (struct sockaddr *)&un, sizeof(un)), 3);
	close(fd);
}

/* A reload, while threads write: every line is in one of the two, in the form of one of them. */
START_TEST(a_log_that_is_switched_to_syslogd_and_back_loses_no_line)
{
	struct bg_log_syslog to = { .facility = LOG_DAEMON };
	atomic_size_t written = 0;
	struct bg_error err = { 0 };
	struct bg_test_dir dir;
	size_t n = 0, lost = 0;
	char file[2048], line[8192];
	pthread_t threads[2], reader;
	FILE *lines;
	int fd;

	bg_test_dir_make(&syslog_dir);
	bg_test_dir_make(&dir);
	bg_format(file, sizeof(file), "%s", bg_test_file(&dir, "file"));
	fd = open_syslogd(&to);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	bg_log_open(bg_log_file(file, &err), BG_LOG_INFO);
	atomic_store(&writing, true);
	atomic_store(&datagrams, 0);
	ck_assert_int_eq(pthread_create(&reader, NULL, read_datagrams, &fd), 0);
	for (int i = 0; i < N(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &written), 0);
	for (int i = 0; i < 50; i++) {
		size_t seen = atomic_load(&written);

		if (i % 2 == 1)
			switch_to(file);
		else {
			int log = bg_log_syslog(&to, "ident", &err);

			ck_assert_int_ne(log, -1);
			bg_log_switch(log);
		}
		while (atomic_load(&written) < seen + 20)
			sched_yield();
	}
	atomic_store(&writing, false);
	for (int i = 0; i < N(threads); i++)
		pthread_join(threads[i], NULL);
	bg_log(BG_LOG_INFO, "a line that stays whole");	/* to the file; tells of what was lost */
	send_end(&to);
	pthread_join(reader, NULL);
	ck_assert_ptr_nonnull(lines = fopen(file, "re"));
	while (fgets(line, sizeof(line), lines) != NULL) {
		const char *words = strstr(line, " lines of the log were lost");

		ck_assert_ptr_nonnull(strchr(line, '\n'));
		if (words != NULL)
			lost += strtoul(strstr(line, " warning ") + strlen(" warning "), NULL, 10);
		else {
			ck_assert_msg(strstr(line, "a line that stays whole") != NULL, "%s", line);
			n++;
		}
	}
	fclose(lines);
	ck_assert_uint_eq(n + lost + atomic_load(&datagrams) + atomic_load(&datagrams_lost), atomic_load(&written) + 1);
	close(fd);
	bg_test_dir_remove(&syslog_dir);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(the_descriptor_of_the_log_keeps_its_number)
{
	struct bg_test_dir dir;
	struct stat at, file;
	int first, second;

	bg_test_dir_make(&dir);
	bg_log_open(STDERR_FILENO, BG_LOG_INFO);
	ck_assert_int_ne(first = bg_log_file(bg_test_file(&dir, "first"), NULL), -1);
	bg_log_switch(first);
	ck_assert_int_ne(second = bg_log_file(bg_test_file(&dir, "second"), NULL), -1);
	bg_log_switch(second);
	ck_assert_int_eq(stat(bg_test_file(&dir, "second"), &file), 0);
	ck_assert_int_eq(fstat(first, &at), 0);
	ck_assert(at.st_dev == file.st_dev && at.st_ino == file.st_ino);
	ck_assert_int_eq(fcntl(second, F_GETFD), -1);
	ck_assert_int_eq(fcntl(first, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFD), 0);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_log_is_a_file_or_a_device_and_never_waits)
{
	struct bg_error err = { 0 };
	struct bg_test_dir dir;
	int pipe_end;

	bg_test_dir_make(&dir);
	ck_assert_int_eq(mkfifo(bg_test_file(&dir, "pipe"), 0600), 0);
	ck_assert_int_eq(bg_log_file(bg_test_file(&dir, "pipe"), &err), -1);
	ck_assert_ptr_nonnull(strstr(err.detail, "/pipe: "));
	ck_assert_int_ne(pipe_end = open(bg_test_file(&dir, "pipe"), O_RDONLY | O_NONBLOCK | O_CLOEXEC), -1);
	ck_assert_int_eq(bg_log_file(bg_test_file(&dir, "pipe"), NULL), -1);
	close(pipe_end);
	ck_assert_int_eq(bg_log_file(dir.path, NULL), -1);
	ck_assert_int_eq(bg_log_file("/nonexistent/log", NULL), -1);
	switch_to("/dev/null");
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_level_changes_at_once)
{
	open_log(BG_LOG_ERROR);
	bg_log(BG_LOG_INFO, "before");
	bg_log_set_level(BG_LOG_INFO);
	bg_log(BG_LOG_INFO, "after");
	ck_assert_str_eq(logged() + 20, " info after\n");
}
END_TEST

static json_t *
logged_object(void)
{
	json_t *object = json_loads(logged(), JSON_REJECT_DUPLICATES, NULL);

	ck_assert_ptr_nonnull(object);
	return object;
}

static const char *
member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

START_TEST(json_has_an_object_in_each_line)
{
	json_t *object;

	open_log(BG_LOG_INFO);
	bg_log_set_format(BG_LOG_JSON);
	bg_log(BG_LOG_WARNING, "a \"quoted\" \\ %s", "\x01\xff\n");
	object = logged_object();
	ck_assert_str_eq(member(object, "level"), "warning");
	ck_assert_str_eq(member(object, "message"), "a \"quoted\" \\ \x01\xef\xbf\xbd\n");
	ck_assert_uint_eq(strlen(member(object, "time")), 20);
	ck_assert_uint_eq(json_object_size(object), 3);
	json_decref(object);
}
END_TEST

/* Plain text, text whose every byte is longer in JSON, and members: whole objects all, in lines of 4 KiB at most. */
START_TEST(json_that_is_too_long_is_cut_and_still_json)
{
	static const char bytes[] = { 'x', '"', '\x01' };
	char text[5000];

	memset(text, bytes[_i], sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	open_log(BG_LOG_INFO);
	bg_log_set_format(BG_LOG_JSON);
	bg_log(BG_LOG_INFO, "%s", text);
	json_decref(logged_object());
	open_log(BG_LOG_INFO);
	bg_log_members(BG_LOG_INFO, bg_slice_str(text));
	json_decref(logged_object());
	open_log(BG_LOG_INFO);
	bg_log_members(BG_LOG_INFO, (struct bg_slice){ text, 4070 });
	json_decref(logged_object());
}
END_TEST

static const struct { const char *name; int priority; enum bg_log_level level; } priorities[] = {
	{ "error", 3, BG_LOG_ERROR }, { "warning", 4, BG_LOG_WARNING }, { "info", 6, BG_LOG_INFO }, { "debug", 7, BG_LOG_DEBUG },
};
START_TEST(a_line_to_the_journal_begins_with_its_priority)	/* sd-daemon(3) */
{
	char stream[64], want[64];
	struct stat st;

	open_log(BG_LOG_DEBUG);
	ck_assert_int_eq(fstat(log_pipe[1], &st), 0);
	bg_format(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	bg_log_journal(stream);
	bg_log_open(log_pipe[1], BG_LOG_DEBUG);
	bg_log(priorities[_i].level, "text");
	bg_format(want, sizeof(want), "<%d>%s text\n", priorities[_i].priority, priorities[_i].name);
	ck_assert_str_eq(logged(), want);
}
END_TEST

static const char *const other_streams[] = { "", "1", "1:2", "x:y", "-", "1:2:3", ":", NULL };
START_TEST(another_stream_is_no_journal)
{
	bg_log_journal(other_streams[_i]);
	open_log(BG_LOG_INFO);
	bg_log(BG_LOG_INFO, "text");
	ck_assert_str_eq(logged() + 20, " info text\n");
}
END_TEST

START_TEST(a_log_that_is_switched_away_from_the_journal_loses_its_priorities)
{
	struct bg_test_dir dir;
	char stream[64];
	struct stat st;

	bg_test_dir_make(&dir);
	open_log(BG_LOG_INFO);
	ck_assert_int_eq(fstat(log_pipe[1], &st), 0);
	bg_format(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	bg_log_journal(stream);
	bg_log_open(log_pipe[1], BG_LOG_INFO);
	switch_to(bg_test_file(&dir, "log"));
	bg_log(BG_LOG_INFO, "text");
	ck_assert_uint_eq(lines_in(bg_test_file(&dir, "log"), "Z info text"), 1);
	bg_test_dir_remove(&dir);
}
END_TEST

/* Each kind of descriptor that a reader can let fill up.  Without care the test would never end. */
static void
make_pipe(int ends[2])
{
	ck_assert_int_eq(pipe(ends), 0);
}

static void
make_sockets(int ends[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void
make_own_stderr(int ends[2])
{
	int own;

	make_pipe(ends);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_gt(own = bg_log_stderr(), STDERR_FILENO);
	ck_assert_int_ne(fcntl(own, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);	/* theirs stays as it was */
	close(ends[1]);
	ends[1] = own;
}

static void (*const make_ends[])(int ends[2]) = { make_pipe, make_sockets, make_own_stderr };

START_TEST(a_reader_that_does_not_read_makes_nobody_wait)
{
	char text[4096], all[8192];
	struct pollfd readable;
	size_t lost = 0, whole = 0;
	int ends[2];
	FILE *reader;
	char *at;

	make_ends[_i](ends);
	readable = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	bg_log_open(ends[1], BG_LOG_INFO);
	for (int i = 0; i < 2000; i++)
		bg_log(BG_LOG_INFO, "%01000d", 7);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	while (poll(&readable, 1, 0) == 1 && read(ends[0], all, sizeof(all)) > 0)
		continue;
	bg_log(BG_LOG_INFO, "after");
	ck_assert_ptr_nonnull(reader = fdopen(ends[0], "r"));
	while (fgets(text, sizeof(text), reader) != NULL) {
		if ((at = strstr(text, " warning ")) != NULL)
			lost = strtoul(at + strlen(" warning "), NULL, 10);
		whole += strstr(text, " info after\n") != NULL;
	}
	ck_assert_uint_gt(lost, 100);
	ck_assert_uint_lt(lost, 2000);
	ck_assert_uint_eq(whole, 1);
	fclose(reader);
}
END_TEST

/* What a disk that is full does: the first bytes of a line are written, and the rest is not. */
START_TEST(what_follows_a_line_that_was_cut_off_is_a_line_of_its_own)
{
	struct rlimit before, small;
	char text[4096] = "";
	struct bg_test_dir dir;
	int fd;

	bg_test_dir_make(&dir);
	ck_assert_int_ne(fd = bg_log_file(bg_test_file(&dir, "log"), NULL), -1);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 100, before.rlim_max };
	bg_log_open(fd, BG_LOG_INFO);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	bg_log(BG_LOG_INFO, "%0150d", 7);
	bg_log(BG_LOG_INFO, "nothing of this one");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	bg_log(BG_LOG_INFO, "after");
	bg_log(BG_LOG_INFO, "and after");
	ck_assert_int_ne(fd = open(bg_test_file(&dir, "log"), O_RDONLY | O_CLOEXEC), -1);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 100);
	close(fd);
	ck_assert_int_eq(text[100], '\n');
	/* behind the time */
	ck_assert_int_eq(strncmp(text + 101 + strlen("2026-11-27T05:33:10Z"), " warning 2 lines of the log were lost", 37), 0);
	ck_assert_ptr_nonnull(strstr(text, " info after\n"));
	ck_assert_ptr_nonnull(strstr(text, " info and after\n"));
	ck_assert_ptr_null(strstr(text, "\n\n"));
	ck_assert_ptr_null(strstr(text, "nothing"));
	bg_test_dir_remove(&dir);
}
END_TEST

static void *
write_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500; i++)
		bg_log(BG_LOG_INFO, "%04000d", 7);
	return NULL;
}

START_TEST(nor_do_many_threads_wait_at_a_full_pipe)
{
	pthread_t threads[8];
	int ends[2];

	make_pipe(ends);
	bg_log_open(ends[1], BG_LOG_INFO);
	for (int i = 0; i < N(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, NULL), 0);
	for (int i = 0; i < N(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	bg_log_open(-1, BG_LOG_INFO);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* In place of that of libc: what it says may be out of date when it is heard. */
static bool out_of_date;

int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec until = { .tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L };

	if (!out_of_date)
		return ppoll(fds, n, timeout < 0 ? NULL : &until, NULL);
	for (nfds_t i = 0; i < n; i++)
		fds[i].revents = POLLOUT;
	return (int)n;
}

/* As when somebody else, to whom the pipe belongs as well, takes the room between the look and the write. */
START_TEST(nor_does_who_shares_the_pipe)
{
	struct iovec byte = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	char page[4096] = { 0 }, text[8192];
	ssize_t n;
	int ends[2];

	make_pipe(ends);
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while (write(ends[1], page, sizeof(page)) > 0)
		continue;
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
	n = pwritev2(ends[1], &byte, 1, -1, RWF_NOWAIT);
	ck_assert_int_eq(n, -1);
	if (errno == EAGAIN) {			/* else it is an older kernel, which cannot do it */
		bg_log_open(ends[1], BG_LOG_INFO);
		out_of_date = true;
		for (int i = 0; i < 3; i++)
			bg_log(BG_LOG_INFO, "lost");
		out_of_date = false;
		ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
		while (read(ends[0], text, sizeof(text)) > 0)
			continue;
		bg_log(BG_LOG_INFO, "after");
		ck_assert_int_gt(n = read(ends[0], text, sizeof(text) - 1), 0);
		text[n] = '\0';
		ck_assert_ptr_nonnull(strstr(text, " warning 3 lines of the log were lost"));
		ck_assert_ptr_nonnull(strstr(text, " info after\n"));
	}
	bg_log_open(-1, BG_LOG_INFO);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_limit_counts_in_seconds_and_tells_what_was_left_out)
{
	struct bg_log_limit limit = { 0 };
	unsigned left_out;

	for (int i = 0; i < 10; i++)
		ck_assert(bg_log_may(&limit, 3, i, &left_out) == (i < 3));
	ck_assert_uint_eq(bg_log_left_out(&limit, 999), 0);	/* its second is not over */
	ck_assert(bg_log_may(&limit, 3, 1000, &left_out));
	ck_assert_uint_eq(left_out, 7);
	ck_assert(bg_log_may(&limit, 3, 1999, &left_out));
	ck_assert_uint_eq(left_out, 0);				/* told once */
	ck_assert(bg_log_may(&limit, 3, 1999, &left_out) && !bg_log_may(&limit, 3, 1999, &left_out));
	ck_assert_uint_eq(bg_log_left_out(&limit, 2000), 1);
	ck_assert_uint_eq(bg_log_left_out(&limit, 2000), 0);
	ck_assert(bg_log_may(&limit, 3, 9000, &left_out));
	ck_assert_uint_eq(left_out, 0);
	for (int i = 0; i < 1000; i++)
		ck_assert(bg_log_may(&limit, 0, 9000, &left_out));	/* no limit */
	ck_assert(!bg_log_may(&(struct bg_log_limit){ 1ull << 32 | 1, 0 }, 1, 0, &left_out));
	ck_assert(bg_log_may(&(struct bg_log_limit){ 0, 0 }, 1, 0, &left_out));	/* the first second of a machine */
}
END_TEST

static const struct { struct bg_slice in; const char *out; } texts[] = {
	{ BG_SLICE_INIT("plain"), "\"plain\"" },
	{ BG_SLICE_INIT(""), "\"\"" },
	{ BG_SLICE_INIT("a\"b\\"), "\"a\\\"b\\\\\"" },
	{ BG_SLICE_INIT("x\ndecision=allow"), "\"x\\x0adecision=allow\"" },
	{ BG_SLICE_INIT("\x1b[31m\0\xff"), "\"\\x1b[31m\\x00\\xff\"" },
};

START_TEST(text_from_outside_stays_between_its_quotes)	/* SR-13, SR-85 */
{
	struct bg_buf buf;
	struct bg_slice out;

	bg_buf_init(&buf, 256);
	bg_log_text(&buf, texts[_i].in);
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	ck_assert_str_eq(out.ptr, texts[_i].out);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_decision_is_one_line_without_the_token)	/* SR-85 */
{
	struct bg_decision decision = { .compact = BG_SLICE("canary.canary.canary") };
	struct bg_request request = { .method = BG_SLICE("GET"), .uri = BG_SLICE("/reports/7?access_token=canary"),
		.authorization = BG_SLICE("Bearer canary.canary.canary"), .remote_addr = BG_SLICE("192.0.2.1\nx") };
	struct bg_error err = { 0 };
	char *line;

	(void)bg_fail(&err, BG_R_EXPIRED, "exp 1700000000, now 1700000431");
	bg_decision_deny(&decision, &err);
	open_log(BG_LOG_DEBUG);
	bg_decision_log(&decision, &request, 401);
	line = logged();
	ck_assert_str_eq(line + 20, " info decision=deny reason=expired status=401 token=sha256:b3717da2 method=\"GET\" "
	    "path=\"/reports/7\" client=\"192.0.2.1\\x0ax\" detail=\"exp 1700000000, now 1700000431\"\n");
	ck_assert_ptr_null(strstr(line, "canary"));
}
END_TEST

START_TEST(no_decision_goes_unsaid_however_much_text_a_stranger_sends)
{
	struct bg_decision decision = { 0 };
	struct bg_request request = { 0 };
	struct bg_error err = { 0 };
	char text[600];

	memset(text, 1, sizeof(text));	/* four characters each in the log */
	request.method = request.uri = request.remote_addr = request.request_id = (struct bg_slice){ text, sizeof(text) };
	(void)bg_fail(&err, BG_R_EXPIRED, "exp");
	bg_decision_deny(&decision, &err);
	open_log(BG_LOG_INFO);
	bg_decision_log(&decision, &request, 401);
	ck_assert_str_eq(logged() + 20, " info decision=deny reason=expired status=401 detail=\"the rest could not be written\"\n");
}
END_TEST

START_TEST(our_own_trouble_shows_at_every_level)
{
	struct bg_decision decision = { 0 };
	struct bg_request request = { 0 };

	open_log(BG_LOG_ERROR);
	bg_decision_log(&decision, &request, 500);
	ck_assert_str_eq(logged() + 20, " error decision=deny reason=internal status=500 detail=\"\"\n");
}
END_TEST

START_TEST(a_decision_in_json_has_the_same_members)	/* SR-85 */
{
	struct bg_decision decision = { .compact = BG_SLICE("canary.canary.canary"), .scheme = BG_SCHEME_DPOP };
	struct bg_request request = { .method = BG_SLICE("GET"), .uri = BG_SLICE("/a\"b?access_token=canary"),
		.remote_addr = BG_SLICE("192.0.2.1\nx\xff"), .request_id = BG_SLICE("7") };
	struct bg_error err = { 0 };
	json_t *object;

	(void)bg_fail(&err, BG_R_EXPIRED, "exp 1");
	bg_decision_deny(&decision, &err);
	open_log(BG_LOG_INFO);
	bg_log_set_format(BG_LOG_JSON);
	bg_decision_log(&decision, &request, 401);
	object = logged_object();
	ck_assert_str_eq(member(object, "level"), "info");
	ck_assert_str_eq(member(object, "decision"), "deny");
	ck_assert_str_eq(member(object, "reason"), "expired");
	ck_assert_int_eq(json_integer_value(json_object_get(object, "status")), 401);
	ck_assert_str_eq(member(object, "scheme"), "DPoP");
	ck_assert_str_eq(member(object, "token"), "sha256:b3717da2");
	ck_assert_str_eq(member(object, "path"), "/a\"b");
	ck_assert_str_eq(member(object, "client"), "192.0.2.1\nx\xef\xbf\xbd");
	ck_assert_str_eq(member(object, "id"), "7");
	ck_assert_str_eq(member(object, "detail"), "exp 1");
	ck_assert_uint_eq(json_object_size(object), 12);
	json_decref(object);
}
END_TEST

START_TEST(no_decision_goes_unsaid_in_json_either)
{
	struct bg_decision decision = { 0 };
	struct bg_request request = { 0 };
	struct bg_error err = { 0 };
	char text[600];
	json_t *object;

	memset(text, 1, sizeof(text));	/* six characters each */
	request.method = request.uri = request.remote_addr = request.request_id = (struct bg_slice){ text, sizeof(text) };
	(void)bg_fail(&err, BG_R_EXPIRED, "exp");
	bg_decision_deny(&decision, &err);
	open_log(BG_LOG_INFO);
	bg_log_set_format(BG_LOG_JSON);
	bg_decision_log(&decision, &request, 401);
	object = logged_object();
	ck_assert_str_eq(member(object, "reason"), "expired");
	ck_assert_str_eq(member(object, "detail"), "the rest could not be written");
	json_decref(object);
}
END_TEST

/* What is logged of one allow and one denial. */
static const struct { const char *name; bool denials; const char *allow, *deny; } choices[] = {
	{ "all", false, "decision=allow", "decision=deny" },
	{ "denials alone", true, NULL, "decision=deny" },
};
START_TEST(decisions_are_logged_as_the_operator_chose)
{
	struct bg_decision allow = { 0 }, deny = { 0 };
	struct bg_request request = { 0 };
	const char *text;

	bg_decision_allow_anonymous(&allow);
	open_log(BG_LOG_INFO);
	bg_decision_log_set(choices[_i].denials, 0);
	bg_decision_log(&allow, &request, 200);
	bg_decision_log(&deny, &request, 500);
	text = logged();
	ck_assert_msg((strstr(text, "decision=allow") != NULL) == (choices[_i].allow != NULL), "%s: %s", choices[_i].name, text);
	ck_assert_msg(strstr(text, choices[_i].deny) != NULL, "%s: %s", choices[_i].name, text);
}
END_TEST

START_TEST(denials_of_one_reason_have_a_limit_and_allows_have_none)
{
	struct bg_decision allow = { 0 }, expired = { 0 }, other = { 0 };
	struct bg_error err = { 0 };
	struct bg_request request = { 0 };
	size_t allows = 0, denials = 0, others = 0, left_out = 0;
	char line[4096];
	FILE *reader;

	bg_decision_allow_anonymous(&allow);
	(void)bg_fail(&err, BG_R_EXPIRED, "exp");
	bg_decision_deny(&expired, &err);
	err = (struct bg_error){ .reason = BG_R_NO_TOKEN };
	bg_decision_deny(&other, &err);
	open_log(BG_LOG_INFO);
	bg_decision_log_set(false, 5);
	for (int i = 0; i < 100; i++) {
		bg_decision_log(&expired, &request, 401);
		bg_decision_log(&allow, &request, 200);
	}
	bg_decision_log(&other, &request, 401);
	bg_decision_log_flush(INT64_MAX);
	bg_decision_log_flush(INT64_MAX);
	close(log_pipe[1]);
	ck_assert_ptr_nonnull(reader = fdopen(log_pipe[0], "r"));
	while (fgets(line, sizeof(line), reader) != NULL) {
		const char *more = strstr(line, " reason=expired left_out=");

		allows += strstr(line, "decision=allow") != NULL;
		others += strstr(line, "reason=no_token") != NULL;
		if (more != NULL)
			left_out += strtoul(more + strlen(" reason=expired left_out="), NULL, 10);
		else
			denials += strstr(line, "reason=expired") != NULL;
	}
	fclose(reader);
	ck_assert_uint_eq(allows, 100);
	ck_assert_uint_eq(others, 1);
	ck_assert_uint_eq(denials + left_out, 100);
	ck_assert_uint_le(denials, 15);		/* a slow machine may need more than one second */
}
END_TEST

START_TEST(secrets_compare_by_content_and_length)	/* SR-9 */
{
	ck_assert(bg_secret_equal(BG_SLICE("abc"), BG_SLICE("abc")));
	ck_assert(!bg_secret_equal(BG_SLICE("abc"), BG_SLICE("abd")));
	ck_assert(!bg_secret_equal(BG_SLICE("abc"), BG_SLICE("ab")));
	ck_assert(bg_secret_equal(BG_SLICE(""), (struct bg_slice){ NULL, 0 }));
}
END_TEST

START_TEST(a_fingerprint_is_the_start_of_the_sha_256)
{
	char out[BG_FINGERPRINT_LEN + 1];

	bg_secret_fingerprint(BG_SLICE("abc"), out);	/* FIPS 180-4's example */
	ck_assert_str_eq(out, "ba7816bf");
	bg_secret_fingerprint(BG_SLICE(""), out);
	ck_assert_str_eq(out, "-");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_line_has_time_and_level_in_front);
	tcase_add_test(tc, a_level_shows_itself_and_those_before_it);
	tcase_add_test(tc, a_level_changes_at_once);
	tcase_add_loop_test(tc, syslog_has_a_facility_and_a_path, 0, N(syslogs));
	tcase_add_test(tc, a_path_that_no_socket_can_have_is_refused);
	tcase_add_test(tc, syslogd_gets_a_datagram_for_each_line);
	tcase_add_test(tc, a_syslogd_that_is_started_anew_is_found_again);
	tcase_add_test(tc, a_syslogd_that_does_not_read_makes_nobody_wait);
	tcase_add_test(tc, a_log_that_is_switched_to_syslogd_and_back_loses_no_line);
	tcase_add_test(tc, a_file_that_is_switched_while_others_write_loses_no_line);
	tcase_add_test(tc, the_descriptor_of_the_log_keeps_its_number);
	tcase_add_test(tc, a_log_is_a_file_or_a_device_and_never_waits);
	tcase_add_test(tc, a_line_too_long_is_cut_and_still_a_line);
	tcase_add_test(tc, json_has_an_object_in_each_line);
	tcase_add_loop_test(tc, json_that_is_too_long_is_cut_and_still_json, 0, 3);
	tcase_add_loop_test(tc, a_line_to_the_journal_begins_with_its_priority, 0, N(priorities));
	tcase_add_loop_test(tc, another_stream_is_no_journal, 0, N(other_streams));
	tcase_add_test(tc, a_log_that_is_switched_away_from_the_journal_loses_its_priorities);
	tcase_add_loop_test(tc, a_reader_that_does_not_read_makes_nobody_wait, 0, N(make_ends));
	tcase_add_test(tc, nor_do_many_threads_wait_at_a_full_pipe);
	tcase_add_test(tc, what_follows_a_line_that_was_cut_off_is_a_line_of_its_own);
	tcase_add_test(tc, nor_does_who_shares_the_pipe);
	tcase_add_test(tc, a_limit_counts_in_seconds_and_tells_what_was_left_out);
	tcase_add_loop_test(tc, text_from_outside_stays_between_its_quotes, 0, N(texts));
	tcase_add_test(tc, a_decision_is_one_line_without_the_token);
	tcase_add_test(tc, no_decision_goes_unsaid_however_much_text_a_stranger_sends);
	tcase_add_test(tc, a_decision_in_json_has_the_same_members);
	tcase_add_test(tc, no_decision_goes_unsaid_in_json_either);
	tcase_add_loop_test(tc, decisions_are_logged_as_the_operator_chose, 0, N(choices));
	tcase_add_test(tc, denials_of_one_reason_have_a_limit_and_allows_have_none);
	tcase_add_test(tc, our_own_trouble_shows_at_every_level);
	tcase_add_test(tc, secrets_compare_by_content_and_length);
	tcase_add_test(tc, a_fingerprint_is_the_start_of_the_sha_256);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
