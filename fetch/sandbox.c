#include "fetch/sandbox.h"

#include "config.h"

#ifdef BG_SECCOMP
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

const char bg_sandbox_kind[] = "seccomp";

/* What may be done whatever the arguments.  Names, since no system has all of these: what has no number needs no rule. */
static const char *const calls[] = {
	/* memory */
	"brk", "madvise", "mremap", "munmap",
	/* threads, and their end and that of the program */
	"exit", "exit_group", "futex", "get_robust_list", "gettid", "restart_syscall", "rseq", "sched_yield",
	"set_robust_list",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	/* time, chance, and what system this is */
	"clock_getres", "clock_gettime", "clock_nanosleep", "getrandom", "gettimeofday", "nanosleep", "sysinfo", "time",
	"uname", "getegid", "geteuid", "getgid", "getpid", "getuid", "getrlimit",
	/* files that were opened for reading, and standard output */
	"access", "close", "faccessat", "faccessat2", "fstat", "fstatfs", "getcwd", "lseek", "lstat", "newfstatat", "pread64",
	"read", "readlink", "readlinkat", "readv", "stat", "statx", "write", "writev",
	/* connections */
	"connect", "eventfd2", "getpeername", "getsockname", "getsockopt", "pipe", "pipe2", "poll", "ppoll", "pselect6",
	"recvfrom", "recvmmsg", "recvmsg", "select", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
};

/* Flags with which open(2) is more than reading. */
#define OPEN_MORE	(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

/* What clone(2) may be asked for: a thread of ours and nothing beside it. */
#define THREAD		(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | \
			CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED)
#define CLONE_MORE	(0xffffffffU & ~(unsigned)THREAD)

#define TYPE_MASK	0xfU	/* of the second argument of socket(2): without SOCK_CLOEXEC and SOCK_NONBLOCK */

#define IS(i, value)		{ .arg = (i), .op = SCMP_CMP_EQ, .datum_a = (value) }
#define BITS(i, mask, value)	{ .arg = (i), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (value) }

/* What may be done with such arguments alone; of several rows for one call, one must fit. */
static const struct {
	const char         *name;
	unsigned            n;
	struct scmp_arg_cmp args[2];
} narrow[] = {
	{ "open",       1, { BITS(1, OPEN_MORE, 0) } },
	{ "openat",     1, { BITS(2, OPEN_MORE, 0) } },
	/* memory that can be written or run, but not both, nor one after the other */
	{ "mmap",       1, { BITS(2, PROT_WRITE | PROT_EXEC, 0) } },
	{ "mmap",       1, { BITS(2, PROT_WRITE | PROT_EXEC, PROT_WRITE) } },
	{ "mmap",       1, { BITS(2, PROT_WRITE | PROT_EXEC, PROT_EXEC) } },
	{ "mprotect",   1, { BITS(2, PROT_EXEC, 0) } },
	{ "clone",      1, { BITS(0, CLONE_MORE | CLONE_THREAD, CLONE_THREAD) } },
	{ "socket",     2, { IS(0, AF_INET),  BITS(1, TYPE_MASK, SOCK_STREAM) } },
	{ "socket",     2, { IS(0, AF_INET),  BITS(1, TYPE_MASK, SOCK_DGRAM) } },
	{ "socket",     2, { IS(0, AF_INET6), BITS(1, TYPE_MASK, SOCK_STREAM) } },
	{ "socket",     2, { IS(0, AF_INET6), BITS(1, TYPE_MASK, SOCK_DGRAM) } },
	{ "fcntl",      1, { IS(1, F_GETFD) } },
	{ "fcntl",      1, { IS(1, F_SETFD) } },
	{ "fcntl",      1, { IS(1, F_GETFL) } },
	{ "fcntl",      1, { IS(1, F_SETFL) } },
	{ "ioctl",      1, { IS(1, FIONREAD) } },
	{ "ioctl",      1, { IS(1, FIONBIO) } },
	{ "prlimit64",  2, { IS(0, 0), IS(2, 0) } },	/* ours, and only to read it */
};

/* The C library's clone3 hides its flags in memory; told that there is none, it takes clone. */
static int
refuse_clone3(scmp_filter_ctx filter)
{
	int number = seccomp_syscall_resolve_name("clone3");

	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
}

static int
allow(scmp_filter_ctx filter, const char *name, unsigned n, const struct scmp_arg_cmp *args)
{
	int number = seccomp_syscall_resolve_name(name);

	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, n, args);
}

int
bg_sandbox_enter(void)
{
	const struct scmp_arg_cmp ourselves = IS(0, (scmp_datum_t)getpid());
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	rc = refuse_clone3(filter);
	for (size_t i = 0; rc == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
		rc = allow(filter, calls[i], 0, NULL);
	for (size_t i = 0; rc == 0 && i < sizeof(narrow) / sizeof(narrow[0]); i++)
		rc = allow(filter, narrow[i].name, narrow[i].n, narrow[i].args);
	if (rc == 0)
		rc = allow(filter, "tgkill", 1, &ourselves);	/* abort(3) */
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc != 0)
		errno = -rc;
	return rc == 0 ? 0 : -1;
}

#else

const char bg_sandbox_kind[] = "none";

int
bg_sandbox_enter(void)
{
	return 0;
}

#endif
