#include "tests/support/probes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/support/run.h"

struct bg_probe_things bg_probe_things;
#define things bg_probe_things

int
bg_probe_said(long rc)
{
	return rc == -1 ? errno : 0;
}
#define say bg_probe_said

static int
do_execve(void)
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };

	return say(execve("/bin/true", argv, argv + 1));
}

static int
do_execveat(void)
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };

	return say(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv + 1, 0));
}

static int
do_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return say(pid);
}

static int
do_spawn(void)	/* vfork, in a way */
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };
	pid_t pid;

	return posix_spawn(&pid, "/bin/true", NULL, NULL, argv, argv + 1);
}

static int
do_bind(void)
{
	return say(bind(things.sock, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET }, sizeof(struct sockaddr_in)));
}

int
bg_probe_connect(void)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (getsockname(things.listening, (struct sockaddr *)&at, &len) != 0)
		return BG_PROBE_LOST;
	/* the socket is that of all who tried before, too */
	return connect(things.sock, (struct sockaddr *)&at, len) == 0 || errno == EISCONN ? 0 : errno;
}

static void *
thread(void *arg)
{
	*(int *)arg = 0;
	return NULL;
}

static void *
thread_that_forks(void *arg)
{
	*(int *)arg = do_fork();
	return NULL;
}

static int
in_thread(void *(*run)(void *))
{
	int got = BG_PROBE_LOST;
	pthread_t t;

	return pthread_create(&t, NULL, run, &got) == 0 && pthread_join(t, NULL) == 0 ? got : BG_PROBE_LOST;
}

int
bg_probe_thread(void)
{
	return in_thread(thread);
}

int
bg_probe_fork_in_thread(void)
{
	return in_thread(thread_that_forks);
}

int
bg_probe_abort(void)
{
	signal(SIGABRT, _exit);
	abort();
}

static int do_listen(void) { return say(listen(things.sock, 1)); }
static int sock_netlink(void) { return say(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }
static int sock_seqpacket(void) { return say(socket(AF_INET, SOCK_SEQPACKET, 0)); }
static int sock_raw(void) { return say(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static int sock_packet(void) { return say(socket(AF_PACKET, SOCK_DGRAM, 0)); }

static int open_tmp(void) { return say(openat(AT_FDCWD, things.dir, O_TMPFILE | O_WRONLY, 0600)); }
static int open_trunc(void) { return say(open(things.path, O_RDONLY | O_TRUNC)); }
#ifdef SYS_open
static int old_open_trunc(void) { return say(syscall(SYS_open, things.path, O_RDONLY | O_TRUNC)); }
#endif
static int do_creat(void) { return say(creat(things.path, 0600)); }
static int do_link(void) { return say(link(things.path, things.absent)); }
static int do_symlink(void) { return say(symlink("x", things.absent)); }
static int do_mknod(void) { return say(mknod(things.absent, S_IFIFO | 0600, 0)); }
static int do_chmod(void) { return say(chmod(things.path, 0600)); }
static int do_fchmodat(void) { return say(fchmodat(AT_FDCWD, things.path, 04755, 0)); }
static int do_fchmod(void) { return say(fchmod(things.sock, 04755)); }
static int do_chown(void) { return say(chown(things.path, getuid(), getgid())); }
static int do_truncate(void) { return say(truncate(things.path, 0)); }
static int do_setxattr(void) { return say(syscall(SYS_setxattr, things.path, "user.x", "x", 1, 0)); }
static int do_utimes(void) { return say(utimensat(AT_FDCWD, things.path, NULL, 0)); }
static int do_memfd(void) { return say(syscall(SYS_memfd_create, "x", 0)); }
static int
do_mount(void)
{
	int rc = mount("none", things.dir, "tmpfs", 0, NULL);

	if (rc == 0)
		(void)umount2(things.dir, MNT_DETACH);	/* outside of a sandbox it can be done, and is not to stay */
	return say(rc);
}
static int do_chroot(void) { return say(chroot("/")); }
static int do_chdir(void) { return say(chdir("/")); }
static int do_umask(void) { return say(syscall(SYS_umask, 077)); }

static int do_ptrace(void) { return say(ptrace(PTRACE_TRACEME, 0, NULL, NULL)); }
static int ptrace_parent(void) { return say(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL)); }
static int do_kill(void) { return say(kill(getppid(), 0)); }
static int kill_self(void) { return say(kill(getpid(), 0)); }
static int do_tgkill(void) { return say(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int do_tkill(void) { return say(syscall(SYS_tkill, getppid(), 0)); }
static int do_pidfd(void) { return say(syscall(SYS_pidfd_open, getppid(), 0)); }
static int do_setuid(void) { return say(syscall(SYS_setuid, getuid())); }
static int do_setgid(void) { return say(syscall(SYS_setgid, getgid())); }
static int do_setgroups(void) { return say(syscall(SYS_setgroups, 0, NULL)); }
static int do_capset(void) { return say(syscall(SYS_capset, NULL, NULL)); }
static int do_unshare(void) { return say(unshare(CLONE_FILES)); }
static int do_setns(void) { return say(setns(things.sock, 0)); }
static int do_nice(void) { return say(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0))); }
static int do_setrlimit(void) { return say(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 })); }
static int do_dumpable(void) { return say(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }
static int do_fcntl(void) { return say(fcntl(things.sock, F_SETOWN, getpid())); }
static int do_ioctl(void) { return say(ioctl(things.sock, TIOCSTI, "x")); }
static int do_personality(void) { return say(personality(ADDR_NO_RANDOMIZE)); }
static int do_keyctl(void) { return say(syscall(SYS_keyctl, 0, -3, 0)); }
static int do_userfaultfd(void) { return say(syscall(SYS_userfaultfd, 0)); }
static int protect_x(void) { return say(mprotect(things.page, 4096, PROT_READ | PROT_EXEC)); }
static int pkey_protect_x(void) { return say(syscall(SYS_pkey_mprotect, things.page, 4096, PROT_READ | PROT_EXEC, -1)); }

static int
map_wx(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return say(page == MAP_FAILED ? -1 : 0);
}

static int
do_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return say(syscall(SYS_io_uring_setup, 1, &params));
}

static int
do_bpf(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return say(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static int
do_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY };

	return say(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int
do_process_vm(void)
{
	struct iovec iov = { things.page, 1 };

	return say(process_vm_readv(getpid(), &iov, 1, &iov, 1, 0));
}

const struct bg_probe bg_probes[] = {
	{ "execve", do_execve, false, 1 },
	{ "execveat", do_execveat, false, 1 },
	{ "fork", do_fork, false, 0 },
	{ "posix_spawn", do_spawn, false, 1 },
	{ "bind", do_bind, false, 4 },
	{ "listen", do_listen, false, 0 },
	{ "a socket of the kernel's", sock_netlink, false, 0 },
	{ "a socket of another type", sock_seqpacket, false, 0 },
	{ "a socket without a protocol", sock_raw, true, 0 },
	{ "a socket for all that passes", sock_packet, true, 0 },
	{ "a file without a name", open_tmp, false, 1 },
	{ "open, truncating", open_trunc, false, 3 },
#ifdef SYS_open
	{ "open(2) itself, truncating", old_open_trunc, false, 3 },
#endif
	{ "creat", do_creat, false, 1 },
	{ "link", do_link, false, 1 },
	{ "symlink", do_symlink, false, 1 },
	{ "mknod", do_mknod, false, 1 },
	{ "chmod", do_chmod, false, 0 },
	{ "fchmodat", do_fchmodat, false, 0 },
	{ "fchmod", do_fchmod, false, 0 },
	{ "chown", do_chown, false, 0 },
	{ "truncate", do_truncate, false, 3 },
	{ "setxattr", do_setxattr, true, 0 },
	{ "utimensat", do_utimes, false, 0 },
	{ "memfd_create", do_memfd, false, 0 },
	{ "mount", do_mount, true, 0 },
	{ "chroot", do_chroot, true, 0 },
	{ "chdir", do_chdir, false, 0 },
	{ "umask", do_umask, false, 0 },
	{ "ptrace", do_ptrace, true, 0 },
	{ "ptrace of the parent", ptrace_parent, true, 1 },
	{ "kill", do_kill, false, 6 },
	{ "kill of ourselves", kill_self, false, 0 },
	{ "tgkill", do_tgkill, false, 6 },
	{ "tkill", do_tkill, false, 6 },
	{ "pidfd_open", do_pidfd, false, 0 },
	{ "setuid", do_setuid, false, 0 },
	{ "setgid", do_setgid, false, 0 },
	{ "setgroups", do_setgroups, true, 0 },
	{ "capset", do_capset, false, 0 },
	{ "unshare", do_unshare, false, 0 },
	{ "setns", do_setns, true, 0 },
	{ "setpriority", do_nice, false, 0 },
	{ "setrlimit", do_setrlimit, false, 0 },
	{ "memory for others to read", do_dumpable, false, 0 },
	{ "fcntl F_SETOWN", do_fcntl, false, 0 },
	{ "ioctl TIOCSTI", do_ioctl, true, 0 },
	{ "personality", do_personality, true, 0 },
	{ "keyctl", do_keyctl, true, 0 },
	{ "userfaultfd", do_userfaultfd, true, 0 },
	{ "memory to write and run", map_wx, false, 0 },
	{ "memory to run that was written", protect_x, false, 0 },
	{ "the same by a key", pkey_protect_x, true, 0 },
	{ "io_uring_setup", do_io_uring, true, 0 },
	{ "bpf", do_bpf, true, 0 },
	{ "perf_event_open", do_perf, true, 0 },
	{ "process_vm_readv", do_process_vm, true, 0 },
};
const size_t bg_n_probes = sizeof(bg_probes) / sizeof(bg_probes[0]);

int
bg_probe_try(int (*probe)(void), int (*enter)(void))
{
	int status;
	pid_t pid;

	(void)unlink(things.absent);	/* what another try may have made */
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		alarm(20);
		if (enter != NULL && enter() != 0)
			_exit(BG_PROBE_LOST);
		_exit(probe());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

void
bg_probes_set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(things.dir, sizeof(things.dir), "%s/bg-probes-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(things.dir));
	snprintf(things.path, sizeof(things.path), "%s/file", things.dir);
	snprintf(things.absent, sizeof(things.absent), "%s/none", things.dir);
	ck_assert_int_ne(fd = open(things.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), -1);
	close(fd);
	ck_assert_int_ne(things.sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1);
	ck_assert_int_ne(things.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), -1);
	ck_assert_int_eq(bind(things.listening, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, sizeof(struct sockaddr_in)), 0);
	ck_assert_int_eq(listen(things.listening, 1), 0);
	things.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(things.page != MAP_FAILED);
}

void
bg_probes_tear_down(void)
{
	(void)unlink(things.path);
	(void)unlink(things.absent);
	(void)rmdir(things.dir);
	close(things.sock);
	close(things.listening);
	munmap(things.page, 4096);
}
