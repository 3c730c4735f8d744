#include "fetch/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "config.h"
#include "tests/support/run.h"

/*
 * SR-90: a probe for each thing that a download does not need.  Each is tried twice in a child: as it is, where it must
 * not fail with EPERM, or the probe would prove nothing, and behind the filter.  Whether what is allowed is enough is
 * shown by tests/test_https.c, with the program itself.
 */

static char path[4096];			/* a file that is there */
static int  sock = -1, listening = -1;	/* a socket to do something with, one that listens */
static void *page;			/* anonymous, may be read and written */

static int
say(int rc)
{
	return rc == -1 ? errno : 0;
}

static int
flags(int how)
{
	return say(open(path, how, 0600));
}

static int open_w(void) { return flags(O_WRONLY); }
static int open_rw(void) { return flags(O_RDWR | O_CLOEXEC); }
static int open_creat(void) { return flags(O_RDONLY | O_CREAT); }
static int open_trunc(void) { return flags(O_RDONLY | O_TRUNC); }
static int open_tmp(void) { return say(openat(AT_FDCWD, "/tmp", O_TMPFILE | O_WRONLY, 0600)); }
static int do_creat(void) { return say(creat(path, 0600)); }
static int do_unlink(void) { return say(unlink(path)); }
static int do_unlinkat(void) { return say(unlinkat(AT_FDCWD, path, 0)); }
static int do_rename(void) { return say(rename(path, path)); }
static int do_mkdir(void) { return say(mkdir(path, 0700)); }
static int do_link(void) { return say(link(path, path)); }
static int do_symlink(void) { return say(symlink("x", path)); }
static int do_chmod(void) { return say(chmod(path, 0600)); }
static int do_chown(void) { return say(chown(path, getuid(), getgid())); }
static int do_truncate(void) { return say(truncate(path, 0)); }
static int do_memfd(void) { return say((int)syscall(SYS_memfd_create, "x", 0)); }

static int
do_execve(void)
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };

	return say(execve("/bin/true", argv, argv + 1));
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
do_vfork(void)	/* what posix_spawn(3) asks for */
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };
	pid_t pid;

	return posix_spawn(&pid, "/bin/true", NULL, NULL, argv, argv + 1);
}

static int do_bind(void) { return say(bind(sock, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET }, sizeof(struct sockaddr_in))); }
static int do_listen(void) { return say(listen(sock, 1)); }
static int do_accept(void) { return say(accept(listening, NULL, NULL)); }
static int do_accept4(void) { return say(accept4(listening, NULL, NULL, SOCK_CLOEXEC)); }
static int sock_unix(void) { return say(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int sock_netlink(void) { return say(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }
static int sock_seqpacket(void) { return say(socket(AF_INET, SOCK_SEQPACKET, 0)); }

static int do_ptrace(void) { return say((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL)); }
static int do_kill(void) { return say(kill(getppid(), 0)); }
static int do_tgkill(void) { return say((int)syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int do_setuid(void) { return say((int)syscall(SYS_setuid, getuid())); }
static int do_setgid(void) { return say((int)syscall(SYS_setgid, getgid())); }
static int do_unshare(void) { return say(unshare(CLONE_FILES)); }
static int do_chdir(void) { return say(chdir("/")); }
static int do_umask(void) { return say((int)syscall(SYS_umask, 077)); }
static int do_nice(void) { return say(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0))); }
static int do_setrlimit(void) { return say(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 })); }
static int do_fcntl(void) { return say(fcntl(sock, F_SETOWN, getpid())); }
static int do_ioctl(void) { return say(ioctl(sock, TIOCSTI, "x")); }
static int map_wx(void) { return say(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0); }
static int protect_x(void) { return say(mprotect(page, 4096, PROT_READ | PROT_EXEC)); }

static int
do_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return say((int)syscall(SYS_io_uring_setup, 1, &params));
}

static int
do_process_vm(void)
{
	struct iovec iov = { page, 1 };

	return say((int)process_vm_readv(getpid(), &iov, 1, &iov, 1, 0));
}

static const struct { const char *name; int (*probe)(void); bool always; } probes[] = {
	/* always: it may fail with EPERM in some places even without us */
	{ "execve", do_execve, false },
	{ "fork", do_fork, false },
	{ "posix_spawn", do_vfork, false },
	{ "open for writing", open_w, false },
	{ "open for both", open_rw, false },
	{ "open, creating", open_creat, false },
	{ "open, truncating", open_trunc, false },
	{ "a file without a name", open_tmp, false },
	{ "creat", do_creat, false },
	{ "unlink", do_unlink, false },
	{ "unlinkat", do_unlinkat, false },
	{ "rename", do_rename, false },
	{ "mkdir", do_mkdir, false },
	{ "link", do_link, false },
	{ "symlink", do_symlink, false },
	{ "chmod", do_chmod, false },
	{ "chown", do_chown, false },
	{ "truncate", do_truncate, false },
	{ "memfd_create", do_memfd, false },
	{ "bind", do_bind, false },
	{ "listen", do_listen, false },
	{ "accept", do_accept, false },
	{ "accept4", do_accept4, false },
	{ "a socket of the system's", sock_unix, false },
	{ "a socket of the kernel's", sock_netlink, false },
	{ "a socket of another type", sock_seqpacket, false },
	{ "ptrace", do_ptrace, true },
	{ "kill", do_kill, false },
	{ "tgkill", do_tgkill, false },
	{ "setuid", do_setuid, false },
	{ "setgid", do_setgid, false },
	{ "unshare", do_unshare, false },
	{ "chdir", do_chdir, false },
	{ "umask", do_umask, false },
	{ "setpriority", do_nice, false },
	{ "setrlimit", do_setrlimit, false },
	{ "fcntl F_SETOWN", do_fcntl, false },
	{ "ioctl TIOCSTI", do_ioctl, true },
	{ "memory to write and run", map_wx, false },
	{ "memory to run that was written", protect_x, false },
	{ "io_uring_setup", do_io_uring, true },
	{ "process_vm_readv", do_process_vm, true },
};

/* What a probe comes to in a child of its own: an errno, or 0. */
static int
try(int (*probe)(void), bool sandboxed)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		alarm(20);
		if (sandboxed && bg_sandbox_enter() != 0)
			_exit(255);
		_exit(probe());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void
make_things(void)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(path, sizeof(path), "%s/test-sandbox-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	ck_assert_int_ne(fd = mkstemp(path), -1);
	close(fd);
	ck_assert_int_ne(sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1);
	ck_assert_int_ne(listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), -1);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, sizeof(struct sockaddr_in)), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(page != MAP_FAILED);
}

static void
remove_things(void)
{
	(void)unlink(path);
	close(sock);
	close(listening);
	munmap(page, 4096);
}

#ifdef BG_SECCOMP

START_TEST(what_a_download_does_not_need_is_refused)
{
	int before, behind = try(probes[_i].probe, true);

	ck_assert_msg(behind == EPERM, "%s: %s", probes[_i].name, strerror(behind));
	before = try(probes[_i].probe, false);
	ck_assert_msg(probes[_i].always || before != EPERM, "%s is refused without us", probes[_i].name);
}
END_TEST

static int
do_clone3(void)
{
	return say((int)syscall(SYS_clone3, NULL, 0));
}

/* The C library falls back to clone only for this. */
START_TEST(clone3_is_not_there)
{
	ck_assert_int_eq(try(do_clone3, true), ENOSYS);
}
END_TEST

static int
clone_bare_thread(void)
{
	/* What is no thread of ours is refused before its other arguments are looked at. */
	return say((int)syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER, NULL, NULL, NULL, 0));
}

START_TEST(a_thread_is_made_in_no_other_namespace)
{
	ck_assert_int_eq(try(clone_bare_thread, true), EPERM);
	ck_assert_int_eq(try(clone_bare_thread, false), EINVAL);
}
END_TEST

static void *
thread(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static int
do_thread(void)
{
	pthread_t t;
	int ran = 0;

	if (pthread_create(&t, NULL, thread, &ran) != 0 || pthread_join(t, NULL) != 0)
		return 200;
	return ran == 1 ? 0 : 201;
}

/* Another thread of the sandboxed process is in the sandbox as well. */
static void *
thread_that_forks(void *arg)
{
	*(int *)arg = do_fork();
	return NULL;
}

static int
fork_in_thread(void)
{
	pthread_t t;
	int got = 202;

	if (pthread_create(&t, NULL, thread_that_forks, &got) != 0 || pthread_join(t, NULL) != 0)
		return 200;
	return got;
}

static int
do_read(void)
{
	char byte;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	return say(fd == -1 ? -1 : (int)read(fd, &byte, 1));
}

static int
do_abort(void)
{
	signal(SIGABRT, _exit);
	abort();
}

START_TEST(what_it_needs_is_there)
{
	ck_assert_int_eq(try(do_thread, true), 0);
	ck_assert_int_eq(try(do_read, true), 0);
	ck_assert_int_eq(try(fork_in_thread, true), EPERM);
	ck_assert_int_eq(try(do_abort, true), SIGABRT);
}
END_TEST

#else

START_TEST(without_a_filter_all_is_as_before)
{
	ck_assert_str_eq(bg_sandbox_kind, "none");
	ck_assert_int_ne(try(probes[_i].probe, true), 255);
}
END_TEST

#endif

int
main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, make_things, remove_things);
#ifdef BG_SECCOMP
	tcase_add_loop_test(tc, what_a_download_does_not_need_is_refused, 0, N(probes));
	tcase_add_test(tc, clone3_is_not_there);
	tcase_add_test(tc, a_thread_is_made_in_no_other_namespace);
	tcase_add_test(tc, what_it_needs_is_there);
#else
	tcase_add_loop_test(tc, without_a_filter_all_is_as_before, 0, N(probes));
#endif
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
