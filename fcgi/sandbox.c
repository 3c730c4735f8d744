#include "config.h"

#include "fcgi/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/filter.h"
#include "core/log.h"
#include "core/replay.h"

/* Rules. */

static int
set_dir(struct bg_sandbox_dir *out, const char *path, const char *option, bool make, struct bg_error *err)
{
	if (path == NULL)
		return 0;
	*out = (struct bg_sandbox_dir){ .path = strdup(path), .option = option, .make = make };
	return out->path != NULL ? 0 : bg_fail(err, BG_R_NO_MEMORY, "the sandbox's rules");
}

int
bg_sandbox_rules_set(struct bg_sandbox_rules *out, const struct bg_conf *conf, struct bg_error *err)
{
	const char *path;
	int rc = 0;

	*out = (struct bg_sandbox_rules){ 0 };
	switch (bg_conf_store(conf, &path)) {
	case BG_STORE_NONE:
		break;
	case BG_STORE_PRIVATE:
		rc = set_dir(&out->store, bg_replay_private_dir(), "replay", false, err);
		break;
	case BG_STORE_LMDB:
		rc = set_dir(&out->store, path, "replay", true, err);
		break;
	case BG_STORE_REDIS:
		out->network = true;
		break;
	case BG_STORE_REDIS_SOCKET:
		out->local = true;
		break;
	}
	if (rc == 0 && (rc = set_dir(&out->cache, conf->cache_dir, "cache_dir", false, err)) == 0)
		return 0;
	bg_sandbox_rules_clear(out);
	return -1;
}

void
bg_sandbox_rules_clear(struct bg_sandbox_rules *rules)
{
	free(rules->cache.path);
	free(rules->store.path);
	*rules = (struct bg_sandbox_rules){ 0 };
}

static bool
is_path(const struct bg_sandbox_dir *dir, const char *path)
{
	return dir->path != NULL && strcmp(dir->path, path) == 0;
}

static int
has_dir(const struct bg_sandbox_rules *rules, const struct bg_sandbox_dir *wanted, struct bg_error *err)
{
	if (wanted->path == NULL || is_path(&rules->cache, wanted->path) || is_path(&rules->store, wanted->path))
		return 0;
	return bg_fail(err, BG_R_INTERNAL, "%s: the worker's sandbox lets it write to the directories of the start alone, and %s is "
	    "not among them; that takes a restart", wanted->option, wanted->path);
}

int
bg_sandbox_has(const struct bg_sandbox_rules *rules, const struct bg_sandbox_rules *wanted, struct bg_error *err)
{
	if (has_dir(rules, &wanted->cache, err) != 0 || has_dir(rules, &wanted->store, err) != 0)
		return -1;
	if ((wanted->network && !rules->network) || (wanted->local && !rules->local))
		return bg_fail(err, BG_R_INTERNAL, "replay: the worker's sandbox lets it open no connection %s, since none was needed "
		    "at the start; that takes a restart", wanted->network ? "over TCP" : "to a socket");
	return 0;
}

/* Landlock, by its system calls: linux/landlock.h of the machine that builds may be older than the kernel. */

#if defined(BG_LANDLOCK) && defined(SYS_landlock_create_ruleset)

#define FS_EXECUTE	(1ULL << 0)
#define FS_WRITE_FILE	(1ULL << 1)
#define FS_REMOVE_DIR	(1ULL << 4)
#define FS_REMOVE_FILE	(1ULL << 5)
#define FS_MAKE_CHAR	(1ULL << 6)
#define FS_MAKE_DIR	(1ULL << 7)
#define FS_MAKE_REG	(1ULL << 8)
#define FS_MAKE_SOCK	(1ULL << 9)
#define FS_MAKE_FIFO	(1ULL << 10)
#define FS_MAKE_BLOCK	(1ULL << 11)
#define FS_MAKE_SYM	(1ULL << 12)
#define FS_REFER	(1ULL << 13)
#define FS_TRUNCATE	(1ULL << 14)
#define FS_IOCTL_DEV	(1ULL << 15)
#define NET_BIND_TCP	(1ULL << 0)
#define NET_CONNECT_TCP	(1ULL << 1)
#define SCOPE_ABSTRACT	(1ULL << 0)
#define SCOPE_SIGNAL	(1ULL << 1)

#define CREATE_VERSION	1U	/* of landlock_create_ruleset(2): say which ABI there is */
#define PATH_BENEATH	1	/* of landlock_add_rule(2) */

struct ruleset { uint64_t fs, net, scoped; };	/* zeros at the end are no news to a kernel that does not know them */
struct beneath { uint64_t allowed; int32_t dir; } __attribute__((packed));

/* What can be forbidden, by the ABI that knows it.  Reading is not among it. */
static const struct { int abi; struct ruleset rights; } known[] = {
	{ 1, { .fs = FS_EXECUTE | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_CHAR | FS_MAKE_DIR | FS_MAKE_REG |
	    FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_BLOCK | FS_MAKE_SYM } },
	{ 2, { .fs = FS_REFER } },	/* one file in two directories */
	{ 3, { .fs = FS_TRUNCATE } },
	{ 4, { .net = NET_BIND_TCP | NET_CONNECT_TCP } },
	{ 5, { .fs = FS_IOCTL_DEV } },	/* of devices that are opened from now on */
	{ 6, { .scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL } },
};

/* Beneath the directories of the rules.  A private store has a directory of its own for a moment. */
#define WRITABLE	(FS_WRITE_FILE | FS_REMOVE_FILE | FS_REMOVE_DIR | FS_MAKE_REG | FS_MAKE_DIR | FS_TRUNCATE)

/* 0: there is none. */
static int
landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static int
allow_writing(int ruleset, uint64_t known_rights, const struct bg_sandbox_dir *dir, struct bg_error *err)
{
	struct beneath rule = { .allowed = WRITABLE & known_rights, .dir = -1 };
	int rc = 0;

	if (dir->path == NULL)
		return 0;
	if (dir->make)
		(void)mkdir(dir->path, 0700);	/* afterwards it could not be; whether it is good is for its user to say */
	if ((rule.dir = open(dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1) {
		bg_log(BG_LOG_WARNING, "%s: %s: %m; what is there later, the worker may write to after the next start alone",
		    dir->option, dir->path);
		return 0;
	}
	if (syscall(SYS_landlock_add_rule, ruleset, PATH_BENEATH, &rule, 0) != 0)
		rc = bg_fail(err, BG_R_INTERNAL, "landlock: %s: %m", dir->path);
	close(rule.dir);
	return rc;
}

static int
restrict_files(const struct bg_sandbox_rules *rules, struct bg_error *err)
{
	struct ruleset rights = { 0 };
	int abi = landlock_abi(), ruleset, rc = -1;

	if (abi == 0)
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].abi <= abi) {
			rights.fs |= known[i].rights.fs;
			rights.net |= known[i].rights.net;
			rights.scoped |= known[i].rights.scoped;
		}
	if (rules->network)
		rights.net &= ~NET_CONNECT_TCP;
	if ((ruleset = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof(rights), 0)) == -1)
		return bg_fail(err, BG_R_INTERNAL, "landlock: %m");
	if (allow_writing(ruleset, rights.fs, &rules->cache, err) == 0 &&
	    allow_writing(ruleset, rights.fs, &rules->store, err) == 0) {
		if ((rc = (int)syscall(SYS_landlock_restrict_self, ruleset, 0)) != 0)
			bg_fail(err, BG_R_INTERNAL, "landlock: %m");
	}
	close(ruleset);
	return rc;
}

#else

static int
landlock_abi(void)
{
	return 0;
}

static int
restrict_files(const struct bg_sandbox_rules *rules, struct bg_error *err)
{
	(void)rules, (void)err;
	return 0;
}

#endif

/* The filter of system calls. */

#define ALL(name)		BG_FILTER_ALL(name)
#define IS(i, value)		BG_FILTER_IS(i, value)
#define BITS(i, mask, value)	BG_FILTER_BITS(i, mask, value)

#define TYPE_MASK	0xfU	/* of the second argument of socket(2): without SOCK_CLOEXEC and SOCK_NONBLOCK */
#define OPEN_NEVER	(O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

/* Whatever the configuration is. */
static const struct bg_filter_call serving[] = {
	ALL("accept4"), ALL("dup3"), ALL("epoll_create1"), ALL("epoll_ctl"), ALL("epoll_pwait"), ALL("epoll_wait"),
	ALL("getdents64"), ALL("getppid"), ALL("getrusage"), ALL("inotify_add_watch"), ALL("inotify_init1"),
	ALL("rt_sigtimedwait"), ALL("sched_getaffinity"), ALL("signalfd4"), ALL("statfs"), ALL("timerfd_create"),
	ALL("timerfd_settime"),
	{ "fcntl", 1, { IS(1, F_DUPFD_CLOEXEC) } },
	{ "ioctl", 1, { IS(1, TCGETS) } },		/* isatty(3), of the log */
};

/* Where there is anything to write to.  Which files those are landlock says. */
static const struct bg_filter_call writing[] = {
	ALL("fallocate"), ALL("fdatasync"), ALL("flock"), ALL("fsync"), ALL("ftruncate"), ALL("mkdir"), ALL("mkdirat"), ALL("pwrite64"),
	ALL("pwritev"), ALL("rename"), ALL("renameat"), ALL("renameat2"), ALL("rmdir"), ALL("unlink"), ALL("unlinkat"),
	{ "open",   1, { BITS(1, OPEN_NEVER, 0) } },
	{ "openat", 1, { BITS(2, OPEN_NEVER, 0) } },
	{ "fchmod", 1, { IS(1, 0644) } },		/* of key records, for everybody to read */
	{ "fcntl",  1, { IS(1, F_GETLK) } },
	{ "fcntl",  1, { IS(1, F_SETLK) } },
	{ "fcntl",  1, { IS(1, F_SETLKW) } },
};

static const struct bg_filter_call network[] = {
	ALL("connect"), ALL("sendmmsg"),
	{ "socket",     2, { IS(0, AF_INET),  BITS(1, TYPE_MASK, SOCK_STREAM) } },
	{ "socket",     2, { IS(0, AF_INET),  BITS(1, TYPE_MASK, SOCK_DGRAM) } },
	{ "socket",     2, { IS(0, AF_INET6), BITS(1, TYPE_MASK, SOCK_STREAM) } },
	{ "socket",     2, { IS(0, AF_INET6), BITS(1, TYPE_MASK, SOCK_DGRAM) } },
	{ "setsockopt", 2, { IS(1, IPPROTO_TCP),  IS(2, TCP_NODELAY) } },
	{ "setsockopt", 2, { IS(1, SOL_SOCKET),   IS(2, SO_KEEPALIVE) } },
	{ "setsockopt", 2, { IS(1, IPPROTO_IP),   IS(2, IP_RECVERR) } },	/* the C library's look-up of names */
	{ "setsockopt", 2, { IS(1, IPPROTO_IPV6), IS(2, IPV6_RECVERR) } },
};

static const struct bg_filter_call local[] = {
	ALL("connect"),
	{ "socket", 2, { IS(0, AF_UNIX), BITS(1, TYPE_MASK, SOCK_STREAM) } },
};

#define LIST(calls)	{ (calls), sizeof(calls) / sizeof((calls)[0]) }

static int
restrict_calls(const struct bg_sandbox_rules *rules, struct bg_error *err)
{
	struct bg_filter_calls lists[4] = { LIST(serving) };
	size_t n = 1;

	if (rules->cache.path != NULL || rules->store.path != NULL)
		lists[n++] = (struct bg_filter_calls)LIST(writing);
	if (rules->network)
		lists[n++] = (struct bg_filter_calls)LIST(network);
	if (rules->local)
		lists[n++] = (struct bg_filter_calls)LIST(local);
	return bg_filter_load(lists, n) == 0 ? 0 : bg_fail(err, BG_R_INTERNAL, "seccomp: %m");
}

/* All of it. */

void
bg_sandbox_describe(char words[BG_SANDBOX_WORDS])
{
	bool filter = strcmp(bg_filter_kind, "none") != 0;
	int abi = landlock_abi();

	if (abi == 0)
		bg_format(words, BG_SANDBOX_WORDS, "%s", bg_filter_kind);
	else
		bg_format(words, BG_SANDBOX_WORDS, "%s%slandlock ABI %d", filter ? bg_filter_kind : "", filter ? ", " : "", abi);
}

bool
bg_sandbox_is_none(void)
{
	return strcmp(bg_filter_kind, "none") == 0 && landlock_abi() == 0;
}

int
bg_sandbox_worker(const struct bg_sandbox_rules *rules, struct bg_error *err)
{
	const struct rlimit none = { 0, 0 };

	/* The last two were so before, but a change of user in between makes the kernel forget the second. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0 || prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) != 0 ||
	    setrlimit(RLIMIT_CORE, &none) != 0)
		return bg_fail(err, BG_R_INTERNAL, "the sandbox: %m");
	if (restrict_files(rules, err) != 0)
		return -1;
	return restrict_calls(rules, err);
}
