#include "fcgi/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "config.h"
#include "core/buf.h"
#include "core/filter.h"
#include "core/log.h"
#include "core/replay.h"
#include "tests/support/probes.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

/*
 * SR-90: a probe for each thing that the worker does not need and must not be able to do, and for what it does need.  Whether
 * that is all it needs the end-to-end tests show, with the daemon itself.
 */

#define things	bg_probe_things
#define say	bg_probe_said

static struct bg_test_dir writable;	/* where the rules say that it may write; things.dir is not */
static char in_writable[sizeof(writable.file)];
static struct sockaddr_un local_at;	/* of a socket that listens, and is a file of writable */
static int  local_listening = -1;

static bool filter;	/* what this system has */
static int  abi;

static void
set_up(void)
{
	char words[BG_SANDBOX_WORDS];
	const char *number;

	bg_log_set_level(BG_LOG_ERROR);
	bg_probes_set_up();
	bg_test_dir_make(&writable);
	bg_test_file_write(&writable, "there", "x", 1);
	snprintf(in_writable, sizeof(in_writable), "%s", bg_test_file(&writable, "there"));
	local_at.sun_family = AF_UNIX;
	ck_assert_uint_lt(strlen(writable.path) + sizeof("/socket"), sizeof(local_at.sun_path));
	bg_format(local_at.sun_path, sizeof(local_at.sun_path), "%s/socket", writable.path);
	ck_assert_int_ne(local_listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), -1);
	ck_assert_int_eq(bind(local_listening, (struct sockaddr *)&local_at, sizeof(local_at)), 0);
	ck_assert_int_eq(listen(local_listening, 16), 0);
	bg_sandbox_describe(words);
	filter = strstr(words, "seccomp") != NULL;
	abi = (number = strstr(words, "ABI ")) != NULL ? atoi(number + 4) : 0;
}

static void
tear_down(void)
{
	close(local_listening);
	bg_test_dir_remove(&writable);
	bg_probes_tear_down();
}

/* Sandboxes: that of a worker which needs nothing, and those of workers which need one thing each. */

static int
enter(const struct bg_sandbox_rules *rules)
{
	struct bg_error err = { 0 };

	if (bg_sandbox_worker(rules, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.detail);
	return -1;
}

static int
bare(void)
{
	return enter(&(struct bg_sandbox_rules){ 0 });
}

static int
writes(void)
{
	return enter(&(struct bg_sandbox_rules){ .cache = { writable.path, "cache_dir", false } });
}

static int
connects(void)
{
	return enter(&(struct bg_sandbox_rules){ .network = true });
}

static int
connects_locally(void)
{
	return enter(&(struct bg_sandbox_rules){ .local = true });
}

static int
all(void)
{
	return enter(&(struct bg_sandbox_rules){ .cache = { writable.path, "cache_dir", false },
	    .store = { writable.path, "replay", true }, .network = true, .local = true });
}

static bool
is_refusal(int error)
{
	return error == EPERM || error == EACCES || error == EXDEV;	/* the last: a file from one directory to another */
}

/* Refused by the filter where there is one, else by landlock from this ABI on; and not without us. */
static void
refused(const struct bg_probe *probe, int (*sandbox)(void), const char *name)
{
	int behind = bg_probe_try(probe->probe, sandbox), before;

	if (filter)
		ck_assert_msg(behind == EPERM, "%s: %s: %s", name, probe->name, strerror(behind));
	else if (probe->landlock != 0 && abi >= probe->landlock)
		ck_assert_msg(is_refusal(behind), "%s: %s: %s", name, probe->name, strerror(behind));
	ck_assert_int_ne(behind, BG_PROBE_LOST);
	before = bg_probe_try(probe->probe, NULL);
	ck_assert_msg(probe->always || !is_refusal(before), "%s is refused without us", probe->name);
}

START_TEST(what_no_program_of_ours_does_is_refused)
{
	refused(&bg_probes[_i], bare, "bare");
	refused(&bg_probes[_i], all, "all");
}
END_TEST

/* Files elsewhere. */

static int open_w(void) { return say(open(things.path, O_WRONLY)); }
static int open_rw(void) { return say(open(things.path, O_RDWR | O_CLOEXEC)); }
static int open_creat(void) { return say(open(things.absent, O_RDONLY | O_CREAT, 0600)); }
static int open_append(void) { return say(open(things.absent, O_WRONLY | O_APPEND | O_CREAT, 0600)); }
static int do_unlink(void) { return say(unlink(things.path)); }
static int do_unlinkat(void) { return say(unlinkat(AT_FDCWD, things.path, 0)); }
static int do_rename(void) { return say(rename(things.path, things.absent)); }
static int rename_there(void) { return say(rename(in_writable, things.absent)); }
static int rename_here(void) { return say(rename(things.path, bg_test_file(&writable, "new"))); }
static int do_mkdir(void) { return say(mkdir(things.absent, 0700)); }
static int through_link(void) { return say(open(bg_test_file(&writable, "link"), O_WRONLY)); }
static int our_memory(void) { return say(open("/proc/self/mem", O_RDWR)); }
static int oom_score(void) { return say(open("/proc/self/oom_score_adj", O_WRONLY)); }
static int device(void) { return say(open("/dev/null", O_WRONLY)); }

static int
do_rmdir(void)
{
	(void)unlink(things.path);	/* as far as it may */
	return say(rmdir(things.dir));
}

static int
parents_memory(void)
{
	char path[64];

	bg_format(path, sizeof(path), "/proc/%ld/mem", (long)getppid());
	return say(open(path, O_RDWR));
}

static const struct bg_probe elsewhere[] = {
	{ "open for writing", open_w, false, 1 },
	{ "open for both", open_rw, false, 1 },
	{ "open, creating", open_creat, false, 1 },
	{ "open, appending", open_append, false, 1 },
	{ "open through a link", through_link, false, 1 },
	{ "unlink", do_unlink, false, 1 },
	{ "unlinkat", do_unlinkat, false, 1 },
	{ "rename", do_rename, false, 1 },
	{ "rename to elsewhere", rename_there, true, 1 },	/* TMPDIR may be two file systems */
	{ "rename from elsewhere", rename_here, true, 1 },
	{ "mkdir", do_mkdir, false, 1 },
	{ "rmdir", do_rmdir, false, 1 },
	{ "our own memory", our_memory, false, 1 },
	{ "the parent's memory", parents_memory, true, 1 },
	{ "what the kernel kills first", oom_score, true, 1 },
	{ "a device", device, false, 1 },
};

START_TEST(nothing_is_written_elsewhere)
{
	const struct bg_probe *probe = &elsewhere[_i];
	int behind;

	ck_assert_int_eq(symlink(things.path, bg_test_file(&writable, "link")), 0);
	behind = bg_probe_try(probe->probe, writes);
	if (abi >= probe->landlock)
		ck_assert_msg(is_refusal(behind), "%s: %s", probe->name, strerror(behind));
	refused(probe, bare, "bare");
}
END_TEST

/* Connections. */

static int sock_inet(void) { return say(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }
static int sock_unix(void) { return say(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }
static int sock_unix_datagram(void) { return say(socket(AF_UNIX, SOCK_DGRAM, 0)); }

static int
sock_inet6(void)
{
	int rc = say(socket(AF_INET6, SOCK_DGRAM, 0));

	return rc == EAFNOSUPPORT ? 0 : rc;	/* a system without IPv6 */
}

static int
connect_unix(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return say(fd == -1 ? -1 : connect(fd, (struct sockaddr *)&local_at, sizeof(local_at)));
}

static int
set_alive(void)
{
	return say(setsockopt(things.sock, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int)));
}

static int
attach_filter(void)
{
	return say(setsockopt(things.sock, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0));
}

static const struct {
	struct bg_probe probe;
	bool by_network, by_local;	/* who may */
} connections[] = {
	{ { "a socket for TCP", sock_inet, false, 0 }, true, false },
	{ { "a socket for UDP", sock_inet6, false, 0 }, true, false },
	{ { "a connection over TCP", bg_probe_connect, false, 4 }, true, false },
	{ { "an option of a connection", set_alive, false, 0 }, true, false },
	{ { "a local socket", sock_unix, false, 0 }, false, true },
	{ { "a local connection", connect_unix, false, 0 }, false, true },
	{ { "a local socket for datagrams", sock_unix_datagram, false, 0 }, false, false },
	{ { "a filter for a socket", attach_filter, false, 0 }, false, false },
};

START_TEST(only_redis_is_connected_to)
{
	const struct bg_probe *probe = &connections[_i].probe;

	refused(probe, bare, "bare");
	refused(probe, writes, "writes");
	if (connections[_i].by_network)
		ck_assert_msg(bg_probe_try(probe->probe, connects) == 0, "%s, with network", probe->name);
	else
		refused(probe, connects, "with network");
	/* by a socket that there is already, the filter would let it connect over TCP, but there is none */
	if (connections[_i].by_local)
		ck_assert_msg(bg_probe_try(probe->probe, connects_locally) == 0, "%s, locally", probe->name);
	else if (probe->probe != bg_probe_connect)
		refused(probe, connects_locally, "locally");
	if (connections[_i].by_network || connections[_i].by_local)
		ck_assert_msg(bg_probe_try(probe->probe, all) == 0, "%s, with all", probe->name);
}
END_TEST

/* What looks up names tries more than it needs, and goes on by itself. */

static int
look_up(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *list = NULL;

	return getaddrinfo("localhost", NULL, &hints, &list) == 0 && list != NULL ? 0 : 1;
}

START_TEST(names_are_looked_up)
{
	if (bg_probe_try(look_up, NULL) == 0)
		ck_assert_int_eq(bg_probe_try(look_up, connects), 0);
}
END_TEST

/* What it needs: 0, or the line that failed. */

#define NEED(what)	do { if (!(what)) return __LINE__ % 200 + 1; } while (0)

static int
do_read(void)
{
	char byte, link[64];
	struct statfs fs;
	struct stat st;
	DIR *dir;
	int fd;

	NEED((fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC)) != -1 && read(fd, &byte, 1) == 1 && fstat(fd, &st) == 0);
	NEED((fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) != -1 && read(fd, &byte, 1) == 1);
	NEED(stat("/etc", &st) == 0 && statfs("/etc", &fs) == 0);
	NEED((dir = opendir("/etc")) != NULL && readdir(dir) != NULL && closedir(dir) == 0);
	NEED(readlink("/proc/self/exe", link, sizeof(link)) > 0 || errno == EACCES);
	NEED((fd = inotify_init1(IN_CLOEXEC)) != -1 && inotify_add_watch(fd, "/etc", IN_CREATE) != -1);
	return 0;
}

static int
do_wait(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct timespec none = { 0 };
	sigset_t hup;
	int ep, fd;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	NEED((ep = epoll_create1(EPOLL_CLOEXEC)) != -1 && (fd = eventfd(1, EFD_CLOEXEC)) != -1);
	NEED(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, &event, 1, 0) == 1);
	NEED((fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) != -1);
	NEED(timerfd_settime(fd, 0, &(struct itimerspec){ .it_value.tv_sec = 9 }, NULL) == 0);
	NEED(signalfd(-1, &hup, SFD_CLOEXEC) != -1 && sigtimedwait(&hup, NULL, &none) == -1 && errno == EAGAIN);
	return 0;
}

static int pair[2];	/* two ends of a connection, for the next */

static int
do_serve(void)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } room = { .bytes = { 0 } };
	struct iovec part = { (char[]){ 'x' }, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes,
	    .msg_controllen = sizeof(room.bytes) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int ends[2], fd;
	char byte;

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &local_listening, sizeof(int));
	NEED(accept4(things.listening, NULL, NULL, SOCK_CLOEXEC) == -1 && errno == EAGAIN);
	NEED(sendmsg(pair[0], &message, MSG_NOSIGNAL) == 1);
	NEED(recv(pair[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && byte == 'x');
	NEED(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && shutdown(pair[0], SHUT_WR) == 0);
	NEED(pipe2(ends, O_CLOEXEC) == 0 && (fd = fcntl(ends[1], F_DUPFD_CLOEXEC, 10)) != -1 && dup3(fd, ends[0], O_CLOEXEC) != -1);
	return 0;
}

static int
do_figures(void)
{
	struct rusage usage;
	struct rlimit limit;

	NEED(getrusage(RUSAGE_SELF, &usage) == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
	NEED(getppid() > 1 && sysconf(_SC_NPROCESSORS_ONLN) > 0);
	NEED(!isatty(things.listening) && errno == ENOTTY);
	return 0;
}

static const struct { const char *name; int (*probe)(void); int want; } needs[] = {
	{ "threads", bg_probe_thread, 0 },
	{ "reading", do_read, 0 },
	{ "waiting", do_wait, 0 },
	{ "serving", do_serve, 0 },
	{ "figures", do_figures, 0 },
	{ "an end by abort(3)", bg_probe_abort, SIGABRT },
};

START_TEST(what_every_worker_needs_is_there)
{
	static int (*const sandboxes[])(void) = { bare, writes, connects, connects_locally, all };

	for (size_t i = 0; i < sizeof(sandboxes) / sizeof(sandboxes[0]); i++) {
		int got;

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		got = bg_probe_try(needs[_i].probe, sandboxes[i]);
		ck_assert_msg(got == needs[_i].want, "%s, sandbox %zu: %d", needs[_i].name, i, got);
		close(pair[0]);
		close(pair[1]);
	}
}
END_TEST

/* All threads are in it. */
START_TEST(a_thread_has_no_more_powers)
{
	int got = bg_probe_try(bg_probe_fork_in_thread, bare);

	if (filter)
		ck_assert_int_eq(got, EPERM);
}
END_TEST

static int
do_write(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int dir, fd;
	void *map;

	NEED((dir = open(writable.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) != -1);
	NEED((fd = openat(dir, "new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) != -1);
	NEED(write(fd, "x", 1) == 1 && fchmod(fd, 0644) == 0 && fsync(fd) == 0);
	NEED(renameat(dir, "new", dir, "there") == 0);
	NEED((fd = openat(dir, "there", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) != -1);
	NEED(flock(fd, LOCK_EX | LOCK_NB) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
	NEED(ftruncate(fd, 4096) == 0 && pwrite(fd, "y", 1, 0) == 1);
	NEED((map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED);
	*(char *)map = 'z';
	NEED(mkdirat(dir, "sub", 0700) == 0 && unlinkat(dir, "sub", AT_REMOVEDIR) == 0 && unlinkat(dir, "there", 0) == 0);
	return 0;
}

START_TEST(files_are_written_where_the_rules_say)
{
	ck_assert_int_eq(bg_probe_try(do_write, all), 0);
	bg_test_file_write(&writable, "there", "x", 1);
	ck_assert_int_eq(bg_probe_try(do_write, writes), 0);
	bg_test_file_write(&writable, "there", "x", 1);
	if (filter || abi > 0)
		ck_assert_int_ne(bg_probe_try(do_write, bare), 0);
}
END_TEST

/* A private store, as it is made and emptied; and one that is made where it is missing. */

static int
store_private(void)
{
	struct bg_now now = bg_clock_now();
	struct bg_replay *store = NULL;
	struct bg_error err = { 0 };

	NEED(bg_replay_lmdb_new(NULL, 100, 5, &store, &err) == 0 && store->open(store, now, &err) == 0);
	return 0;
}

static int
temporary(void)
{
	struct bg_conf conf = { .dpop = BG_DPOP_ALLOWED };
	struct bg_sandbox_rules rules;
	struct bg_error err = { 0 };

	return setenv("TMPDIR", writable.path, 1) == 0 && bg_sandbox_rules_set(&rules, &conf, &err) == 0 ? enter(&rules) : -1;
}

static int
store_shared(void)
{
	struct bg_now now = bg_clock_now();
	struct bg_replay *store = NULL;
	struct bg_error err = { 0 };

	NEED(bg_replay_lmdb_new(things.absent, 100, 5, &store, &err) == 0 && store->open(store, now, &err) == 0);
	return 0;
}

static int
shared(void)
{
	return enter(&(struct bg_sandbox_rules){ .store = { things.absent, "replay", true } });
}

START_TEST(stores_are_opened_in_it)
{
	struct bg_test_dir made;

	if (!bg_replay_has_lmdb())
		return;
	ck_assert_int_eq(bg_probe_try(store_private, temporary), 0);
	ck_assert_int_eq(bg_probe_try(store_shared, shared), 0);
	snprintf(made.path, sizeof(made.path), "%.*s", (int)sizeof(made.path) - 1, things.absent);
	bg_test_dir_remove(&made);
}
END_TEST

static int
missing(void)
{
	return enter(&(struct bg_sandbox_rules){ .cache = { things.absent, "cache_dir", false } });
}

static int
make_missing(void)
{
	return say(mkdir(things.absent, 0700));
}

START_TEST(a_directory_that_is_missing_is_left_out)
{
	int got = bg_probe_try(make_missing, missing);

	ck_assert_int_ne(got, BG_PROBE_LOST);
	if (abi > 0)
		ck_assert_int_eq(got, EACCES);
}
END_TEST

/* SR-85: what is of a process that is not dumpable belongs to root, and there is no core. */

static int
privacy(void)
{
	struct rlimit limit;
	struct stat st;

	NEED(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0);
	NEED(stat("/proc/self/maps", &st) == 0 && st.st_uid == 0);
	return 0;
}

static int
nobody(void)
{
	struct stat st;

	/* a change of user makes it not dumpable as well, where /proc/sys/fs/suid_dumpable says so */
	if ((getuid() == 0 && setuid(65534) != 0) || prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L) != 0 ||
	    stat("/proc/self/maps", &st) != 0 || st.st_uid != getuid())
		return -1;
	return bare();
}

START_TEST(its_memory_is_private)
{
	ck_assert_int_eq(bg_probe_try(privacy, nobody), 0);
}
END_TEST

/* Rules. */

static const struct {
	const char *name;
	struct bg_conf conf;	/* its text is not written to */
	const char *cache, *store;	/* "TMPDIR": that */
	bool make, network, local;
} configured[] = {
	{ "nothing", { .dpop = BG_DPOP_DISABLED }, NULL, NULL, false, false, false },
	{ "keys on disk", { .dpop = BG_DPOP_DISABLED, .cache_dir = (char[]){ "/cache" } }, "/cache", NULL, false, false, false },
	{ "a private store", { .dpop = BG_DPOP_ALLOWED }, NULL, "TMPDIR", false, false, false },
	{ "LMDB", { .dpop = BG_DPOP_ALLOWED, .replay = (char[]){ "lmdb:/store" }, .cache_dir = (char[]){ "/cache" } }, "/cache",
	    "/store", true, false, false },
	{ "Redis", { .dpop = BG_DPOP_REQUIRED, .replay = (char[]){ "redis://host/1" } }, NULL, NULL, false, true, false },
	{ "Redis in TLS", { .dpop = BG_DPOP_ALLOWED, .replay = (char[]){ "rediss://host" } }, NULL, NULL, false, true, false },
	{ "Redis by a socket", { .dpop = BG_DPOP_ALLOWED, .replay = (char[]){ "redis+unix:/s" } }, NULL, NULL, false, false, true },
	{ "a store for nothing", { .dpop = BG_DPOP_DISABLED, .replay = (char[]){ "redis://host" } }, NULL, NULL, false, false,
	    false },
};

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

START_TEST(rules_follow_the_configuration)
{
	struct bg_sandbox_rules rules;
	struct bg_error err = { 0 };
	const char *store = configured[_i].store;

	if (store != NULL && strcmp(store, "TMPDIR") == 0)
		store = bg_replay_private_dir();
	ck_assert_int_eq(bg_sandbox_rules_set(&rules, &configured[_i].conf, &err), 0);
	ck_assert_msg(same(rules.cache.path, configured[_i].cache) && same(rules.store.path, store) &&
	    rules.store.make == configured[_i].make && rules.network == configured[_i].network &&
	    rules.local == configured[_i].local, "%s", configured[_i].name);
	bg_sandbox_rules_clear(&rules);
}
END_TEST

#define NOTHING		{ .network = false }
#define CACHE(p)	.cache = { (char[]){ p }, "cache_dir", false }
#define STORE(p)	.store = { (char[]){ p }, "replay", true }

static const struct {
	const char *name;
	struct bg_sandbox_rules rules, wanted;
	const char *said;	/* NULL: it has */
} reloads[] = {
	{ "nothing of nothing", NOTHING, NOTHING, NULL },
	{ "less", { CACHE("/c"), STORE("/s"), .network = true, .local = true }, NOTHING, NULL },
	{ "the same", { CACHE("/c"), STORE("/s"), .network = true, .local = true },
	    { CACHE("/c"), STORE("/s"), .network = true, .local = true }, NULL },
	{ "one for the other", { CACHE("/c"), STORE("/s") }, { CACHE("/s"), STORE("/c") }, NULL },
	{ "another cache", { CACHE("/c"), STORE("/s") }, { CACHE("/d") }, "cache_dir: " },
	{ "a directory beneath", { CACHE("/c") }, { CACHE("/c/d") }, "/c/d" },	/* it may be a link to elsewhere */
	{ "a first cache", NOTHING, { CACHE("/c") }, "cache_dir: " },
	{ "another store", { STORE("/s") }, { STORE("/t") }, "replay: " },
	{ "TCP", { CACHE("/c"), .local = true }, { .network = true }, "over TCP" },
	{ "a socket", { CACHE("/c"), .network = true }, { .local = true }, "to a socket" },
};

START_TEST(a_reload_that_wants_more_takes_a_restart)
{
	struct bg_error err = { 0 };
	int rc = bg_sandbox_has(&reloads[_i].rules, &reloads[_i].wanted, &err);

	ck_assert_msg((rc == 0) == (reloads[_i].said == NULL), "%s: %s", reloads[_i].name, err.detail);
	if (rc != 0)
		ck_assert_msg(strstr(err.detail, reloads[_i].said) != NULL && strstr(err.detail, "takes a restart") != NULL,
		    "%s: %s", reloads[_i].name, err.detail);
}
END_TEST

START_TEST(it_is_told_what_is_in_force)
{
	char words[BG_SANDBOX_WORDS];

	bg_sandbox_describe(words);
	ck_assert_int_eq(strcmp(words, "none") == 0, bg_sandbox_is_none());
	ck_assert_int_eq(filter, strcmp(bg_filter_kind, "seccomp") == 0);
	if (filter)
		ck_assert_int_eq(strncmp(words, "seccomp", 7), 0);
#ifdef BG_LANDLOCK
	ck_assert_int_eq(abi, syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0 ?
	    (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1) : 0);
#else
	ck_assert_int_eq(abi, 0);
#endif
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("worker_sandbox");
	TCase *tc = tcase_create("worker_sandbox");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, what_no_program_of_ours_does_is_refused, 0, (int)bg_n_probes);
	tcase_add_loop_test(tc, nothing_is_written_elsewhere, 0, N(elsewhere));
	tcase_add_loop_test(tc, only_redis_is_connected_to, 0, N(connections));
	tcase_add_test(tc, names_are_looked_up);
	tcase_add_loop_test(tc, what_every_worker_needs_is_there, 0, N(needs));
	tcase_add_test(tc, a_thread_has_no_more_powers);
	tcase_add_test(tc, files_are_written_where_the_rules_say);
	tcase_add_test(tc, stores_are_opened_in_it);
	tcase_add_test(tc, a_directory_that_is_missing_is_left_out);
	tcase_add_test(tc, its_memory_is_private);
	tcase_add_loop_test(tc, rules_follow_the_configuration, 0, N(configured));
	tcase_add_loop_test(tc, a_reload_that_wants_more_takes_a_restart, 0, N(reloads));
	tcase_add_test(tc, it_is_told_what_is_in_force);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
