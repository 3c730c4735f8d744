#include "core/filter.h"

#include "config.h"

#ifdef BG_SECCOMP
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

const char bg_filter_kind[] = "seccomp";

/* Flags with which open(2) is more than reading. */
#define OPEN_MORE	(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

/* What clone(2) may be asked for: a thread of ours and nothing beside it. */
#define THREAD		(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | \
			CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED)
#define CLONE_MORE	(0xffffffffU & ~(unsigned)THREAD)

#define ALL(name)		BG_FILTER_ALL(name)
#define IS(i, value)		BG_FILTER_IS(i, value)
#define BITS(i, mask, value)	BG_FILTER_BITS(i, mask, value)

static const struct bg_filter_call common[] = {
	/* memory that can be written or run, but not both, nor one after the other */
	ALL("brk"), ALL("madvise"), ALL("mremap"), ALL("munmap"),
	{ "mmap",      1, { BITS(2, PROT_WRITE | PROT_EXEC, 0) } },
	{ "mmap",      1, { BITS(2, PROT_WRITE | PROT_EXEC, PROT_WRITE) } },
	{ "mmap",      1, { BITS(2, PROT_WRITE | PROT_EXEC, PROT_EXEC) } },
	{ "mprotect",  1, { BITS(2, PROT_EXEC, 0) } },
	/* threads, and their end and that of the program */
	ALL("exit"), ALL("exit_group"), ALL("futex"), ALL("get_robust_list"), ALL("gettid"), ALL("restart_syscall"), ALL("rseq"),
	ALL("sched_yield"), ALL("set_robust_list"),
	ALL("rt_sigaction"), ALL("rt_sigprocmask"), ALL("rt_sigreturn"),
	{ "clone",     1, { BITS(0, CLONE_MORE | CLONE_THREAD, CLONE_THREAD) } },
	/* time, chance, and what system this is */
	ALL("clock_getres"), ALL("clock_gettime"), ALL("clock_nanosleep"), ALL("getrandom"), ALL("gettimeofday"),
	ALL("nanosleep"), ALL("sysinfo"), ALL("time"), ALL("uname"), ALL("getegid"), ALL("geteuid"), ALL("getgid"),
	ALL("getpid"), ALL("getuid"), ALL("getrlimit"),
	{ "prlimit64", 2, { IS(0, 0), IS(2, 0) } },	/* ours, and only to read it */
	/* files that were opened for reading, and what is open for writing */
	ALL("access"), ALL("close"), ALL("faccessat"), ALL("faccessat2"), ALL("fstat"), ALL("fstatfs"), ALL("getcwd"),
	ALL("lseek"), ALL("lstat"), ALL("newfstatat"), ALL("pread64"), ALL("pwritev2"), ALL("read"), ALL("readlink"),
	ALL("readlinkat"), ALL("readv"), ALL("stat"), ALL("statx"), ALL("write"), ALL("writev"),
	{ "open",      1, { BITS(1, OPEN_MORE, 0) } },
	{ "openat",    1, { BITS(2, OPEN_MORE, 0) } },
	{ "fcntl",     1, { IS(1, F_GETFD) } },
	{ "fcntl",     1, { IS(1, F_SETFD) } },
	{ "fcntl",     1, { IS(1, F_GETFL) } },
	{ "fcntl",     1, { IS(1, F_SETFL) } },
	{ "ioctl",     1, { IS(1, FIONREAD) } },
	{ "ioctl",     1, { IS(1, FIONBIO) } },
	/* waiting, and what is open and no file */
	ALL("eventfd2"), ALL("getpeername"), ALL("getsockname"), ALL("getsockopt"), ALL("pipe"), ALL("pipe2"), ALL("poll"),
	ALL("ppoll"), ALL("pselect6"), ALL("recvfrom"), ALL("recvmsg"), ALL("select"), ALL("sendmsg"), ALL("sendto"),
	ALL("shutdown"),
};

/* The C library's clone3 hides its flags in memory; told that there is none, it takes clone. */
static int
refuse_clone3(scmp_filter_ctx filter)
{
	int number = seccomp_syscall_resolve_name("clone3");

	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
}

static int
allow(scmp_filter_ctx filter, const struct bg_filter_call *call)
{
	struct scmp_arg_cmp args[sizeof(call->args) / sizeof(call->args[0])];
	int number = seccomp_syscall_resolve_name(call->name);

	if (number == __NR_SCMP_ERROR)
		return 0;
	for (unsigned i = 0; i < call->n; i++)
		if (call->args[i].mask == UINT64_MAX)
			args[i] = (struct scmp_arg_cmp){ .arg = call->args[i].index, .op = SCMP_CMP_EQ,
			    .datum_a = call->args[i].value };
		else
			args[i] = (struct scmp_arg_cmp){ .arg = call->args[i].index, .op = SCMP_CMP_MASKED_EQ,
			    .datum_a = call->args[i].mask, .datum_b = call->args[i].value };
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, call->n, args);
}

static int
allow_list(scmp_filter_ctx filter, const struct bg_filter_call *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = allow(filter, &calls[i]);
	return rc;
}

int
bg_filter_load(const struct bg_filter_calls *lists, size_t n)
{
	const struct bg_filter_call abort_ourselves = { "tgkill", 1, { IS(0, (uint64_t)getpid()) } };	/* abort(3) */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	/* A tree to look calls up in, since each call of a busy program goes through it. */
	if ((rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)) == 0 && (rc = refuse_clone3(filter)) == 0 &&
	    (rc = allow(filter, &abort_ourselves)) == 0)
		rc = allow_list(filter, common, sizeof(common) / sizeof(common[0]));
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = allow_list(filter, lists[i].calls, lists[i].n);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc != 0)
		errno = -rc;
	return rc == 0 ? 0 : -1;
}

#else

const char bg_filter_kind[] = "none";

int
bg_filter_load(const struct bg_filter_calls *lists, size_t n)
{
	(void)lists, (void)n;
	return 0;
}

#endif
