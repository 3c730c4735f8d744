#include "core/replay.h"

#include "config.h"

#ifdef BG_LMDB
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/log.h"

/*
 * A directory holds
 *
 *  replay.BOOT.mdb       the environment of this boot of the machine: BOOT is what the kernel calls it
 *  replay.BOOT.mdb-lock  LMDB's own: a lock that the kernel takes from a writer who dies (SR-91)
 *  replay.BOOT.made      locked by whoever opens or makes an environment; not empty once there was one in this boot, so
 *                        that an environment that has gone since is known for a loss
 *
 * and what another boot left is removed without a look into it: after a crash of the machine a file that did not wait for
 * the disk may hold anything, and LMDB trusts what it reads.
 */
#define PREFIX		"replay."
#define BOOT_ID		"/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LEN	36
#define NAME_SIZE	(sizeof(PREFIX) + BOOT_ID_LEN + 16)

#define FORMAT		2U	/* of what stands in the databases */
#define CLEAR_FEW	3	/* expired proofs each spending takes along: more than it adds */
#define CLEAR_MANY	2000	/* when it is full: some ten milliseconds */
#define LOCK_TRIES	100	/* a second in all; whoever opens an environment needs a few milliseconds */
#define LOCK_REST_MS	10
#define LOCK_SIZE	8192	/* of LMDB's lock, with as many readers as it makes room for unless it is told otherwise */
#define RETRY_DOWN	5	/* seconds: somebody has to do something */

/* Bytes of map for one proof: both databases, half-filled pages, and pages that wait to be used again.  Address space only. */
#define MAP_PER_PROOF	1024
#define MAP_BASE	((size_t)4 << 20)

/*
 * One environment, shared by all stores of this process that are in its directory, since LMDB must not open one twice in
 * one process: the second close would give the first one's locks away.  A reload has two gates for a while.
 */
struct shared {
	struct shared  *next;		/* of the registry; this and users are guarded by its lock */
	unsigned        users;
	char           *path;		/* as configured; NULL: private.  Never changes, nor do the next three */
	char           *file;		/* the environment's */
	char           *lock_file;	/* LMDB's */
	char            boot[BOOT_ID_LEN + 1];

	/*
	 * Guards the members below, and is held through a whole spending: LMDB has one writer at a time anyway, and an
	 * environment can only be put in another's place while nobody is in it.  Taken before the registry's where both are.
	 */
	pthread_mutex_t lock;
	MDB_env        *env;		/* NULL: to be opened anew */
	bool            opened;		/* it was, once: dev and ino are of the last one */
	MDB_dbi         about;		/* "about" to struct about */
	MDB_dbi         proofs;		/* proof to struct entry and its calls */
	MDB_dbi         expiry;		/* struct due to nothing, the next to expire first */
	dev_t           dir_dev, dev, lock_dev;	/* of the directory, of the environment's file, and of LMDB's lock */
	ino_t           dir_ino, ino, lock_ino;
	size_t          map_size;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;	/* guards registry and what is said above */
static struct shared *registry;

struct store {
	struct bg_replay base;
	char            *path;		/* NULL: private */
	size_t           max_proofs;
	int64_t          leeway;
	struct shared   *shared;	/* set by take_over or open, then never again */
};

/* What stands in the databases.  Bytes of one machine for itself; all integers are its own. */
struct about {
	uint32_t format;
	uint32_t zero;
	int64_t  lost;		/* when an environment was lost in this boot, seconds since the epoch; 0: none was */
	int64_t  forgot;	/* the latest expiry of all that was taken out, milliseconds since the epoch; 0: nothing was */
};

struct entry {
	int64_t       spent;	/* milliseconds since the epoch, as expires */
	int64_t       expires;
	unsigned char request[BG_SHA256_LEN];
	unsigned char calls[BG_REPLAY_CALLS_MAX][BG_SHA256_LEN];	/* only those there are stand in the database */
};
#define ENTRY_LEN(n)	(offsetof(struct entry, calls) + (size_t)(n) * BG_SHA256_LEN)

struct due {
	unsigned char expires[8];	/* the highest byte first, so that LMDB's order is that of time */
	unsigned char proof[BG_SHA256_LEN];
};

static MDB_val
val(const void *bytes, size_t len)
{
	return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)bytes };
}

static struct due
due_of(int64_t expires, const unsigned char proof[BG_SHA256_LEN])
{
	struct due due;

	for (int i = 0; i < 8; i++)
		due.expires[i] = (unsigned char)((uint64_t)expires >> (56 - 8 * i));
	memcpy(due.proof, proof, sizeof(due.proof));
	return due;
}

static int64_t
due_time(const struct due *due)
{
	uint64_t expires = 0;

	for (int i = 0; i < 8; i++)
		expires = expires << 8 | due->expires[i];
	return (int64_t)expires;
}

static const char *
name_of(const struct shared *shared)
{
	return shared->path != NULL ? shared->path : "private";
}

/* What LMDB, or the system through it, says, and what is to be done. */
static int
fail(struct bg_error *err, const struct shared *shared, const char *what, int rc)
{
	const char *advice = "";

	switch (rc) {
	case ENOMEM:
		return bg_fail(err, BG_R_NO_MEMORY, "replay store %s: %s: no memory", name_of(shared), what);
	case ENOSPC:
	case EDQUOT:
		advice = "; make room on that file system";
		break;
	case EIO:
		advice = "; look after the disk, and after the kernel's messages";
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		advice = "; it and all in it must belong to the user that runs this program, and be writable for that user";
		break;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC:
	case MDB_BAD_TXN:
	case MDB_BAD_VALSIZE:
	case MDB_INCOMPATIBLE:
	case MDB_CURSOR_FULL:
	case MDB_PAGE_FULL:
		advice = "; remove " PREFIX "*.mdb there while this program runs, and a new store takes its place";
		break;
	}
	return bg_fail(err, BG_R_STORE_DOWN, "replay store %s: %s: %s%s", name_of(shared), what, mdb_strerror(rc), advice);
}

/* ---- the directory ---------------------------------------------------------------------------------------------- */

static int
boot_id(char id[BOOT_ID_LEN + 1], struct bg_error *err)
{
	int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, id, BOOT_ID_LEN) : -1;

	if (fd != -1)
		close(fd);
	if (n != BOOT_ID_LEN)
		return bg_fail(err, BG_R_STORE_DOWN, "replay store: " BOOT_ID " cannot be read, so there is no telling the "
		    "boots of this machine apart");
	for (int i = 0; i < BOOT_ID_LEN; i++)
		if ((id[i] < '0' || id[i] > '9') && (id[i] < 'a' || id[i] > 'f') && id[i] != '-')
			return bg_fail(err, BG_R_STORE_DOWN, "replay store: " BOOT_ID " holds no boot id");
	id[BOOT_ID_LEN] = '\0';
	return 0;
}

/* Made where it is missing, with its mode whatever the umask is: one that is meant for files, such as 0117, would lock us out. */
static bool
make_dir(const char *path)
{
	return mkdir(path, 0700) == 0 ? chmod(path, 0700) == 0 : errno == EEXIST;
}

/* Who could write here could make a spent proof unspent.  Open in *fd, its stat in *st. */
static int
open_dir(const char *path, int *fd, struct stat *st, struct bg_error *err)
{
	const char *wrong = NULL;

	*fd = -1;
	if (!make_dir(path) || (*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 || fstat(*fd, st) != 0)
		bg_fail(err, BG_R_STORE_DOWN, "replay store %s: %m", path);
	else if (st->st_uid != geteuid() && st->st_uid != 0)
		wrong = "belongs to somebody else";
	else if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		wrong = "may be written to by its group or by others";
	else
		return 0;
	if (wrong != NULL)
		bg_fail(err, BG_R_STORE_DOWN, "replay store %s: the directory %s", path, wrong);
	if (*fd != -1)
		close(*fd);
	return -1;
}

/* The file that says who opens, and whether there ever was one; see above.  Closing it gives the lock back. */
static int
lock_made(int dir, const char *path, const char *boot, int *fd, struct bg_error *err)
{
	char name[NAME_SIZE];

	bg_format(name, sizeof(name), PREFIX "%s.made", boot);
	if ((*fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600)) == -1)
		return bg_fail(err, BG_R_STORE_DOWN, "replay store %s: %s: %m", path, name);
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		(void)poll(NULL, 0, LOCK_REST_MS);
	}
	bg_fail(err, BG_R_STORE_DOWN, "replay store %s: %s: another process keeps it locked", path, name);
	close(*fd);
	return -1;
}

/* What other boots left behind.  What cannot be removed is only litter. */
static void
sweep(int dir, const char *path, const char *boot)
{
	struct dirent *entry;
	bool said = false;
	DIR *list;
	int fd;

	if ((fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return;
	if ((list = fdopendir(fd)) == NULL) {
		close(fd);
		return;
	}
	while ((entry = readdir(list)) != NULL) {
		const char *name = entry->d_name;

		if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strlen(name) <= strlen(PREFIX) + BOOT_ID_LEN ||
		    name[strlen(PREFIX) + BOOT_ID_LEN] != '.' || strncmp(name + strlen(PREFIX), boot, BOOT_ID_LEN) == 0)
			continue;
		if (unlinkat(dir, name, 0) == 0 && !said) {
			said = true;
			bg_log(BG_LOG_WARNING, "replay store %s: thrown away what another boot of the machine left", path);
		}
	}
	closedir(list);
}

/* ---- the environment -------------------------------------------------------------------------------------------- */

static void
close_env(struct shared *shared)
{
	if (shared->env != NULL)
		mdb_env_close(shared->env);
	shared->env = NULL;
}

static int
begin(struct shared *shared, MDB_txn **txn)
{
	int rc = mdb_txn_begin(shared->env, NULL, 0, txn);

	/* Another process has made it larger. */
	if (rc == MDB_MAP_RESIZED && (rc = mdb_env_set_mapsize(shared->env, 0)) == 0)
		rc = mdb_txn_begin(shared->env, NULL, 0, txn);
	return rc;
}

/*
 * The databases, in one transaction.  lost is when an environment that was here before was lost, should this one turn out
 * to be new; at_least is put there in any case.  0: no loss.  Returns 0 or what LMDB says, MDB_VERSION_MISMATCH where
 * somebody else's records stand there.
 */
static int
set_up(struct shared *shared, int64_t lost, int64_t at_least, bool *fresh)
{
	struct about about = { .format = FORMAT, .lost = lost };
	MDB_val key = val("about", 5), value;
	MDB_txn *txn;
	int rc;

	*fresh = false;
	if ((rc = begin(shared, &txn)) != 0)
		return rc;
	if ((rc = mdb_dbi_open(txn, "about", MDB_CREATE, &shared->about)) == 0 &&
	    (rc = mdb_dbi_open(txn, "proofs", MDB_CREATE, &shared->proofs)) == 0 &&
	    (rc = mdb_dbi_open(txn, "expiry", MDB_CREATE, &shared->expiry)) == 0 &&
	    (rc = mdb_get(txn, shared->about, &key, &value)) == 0) {
		if (value.mv_size != sizeof(about))
			rc = MDB_VERSION_MISMATCH;
		else {
			memcpy(&about, value.mv_data, sizeof(about));
			rc = about.format != FORMAT ? MDB_VERSION_MISMATCH : 0;
		}
	} else if (rc == MDB_NOTFOUND) {
		*fresh = true;
		rc = 0;
	}
	if (rc == 0 && (*fresh || about.lost < at_least)) {
		if (about.lost < at_least)
			about.lost = at_least;
		value = val(&about, sizeof(about));
		rc = mdb_put(txn, shared->about, &key, &value, 0);
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

/*
 * A file that ends before its last page would end us, by SIGBUS; LMDB may leave it a page or two short, of those it never
 * wrote.  Zeros in their place are no page, and LMDB says so when it meets one that it needs.
 */
static int
pad(struct shared *shared, int fd)
{
	MDB_envinfo info;
	struct stat st;
	MDB_stat sizes;
	off_t size;

	if (mdb_env_info(shared->env, &info) != 0 || mdb_env_stat(shared->env, &sizes) != 0 || fstat(fd, &st) != 0)
		return EIO;
	size = (off_t)(info.me_last_pgno + 1) * (off_t)sizes.ms_psize;
	if (st.st_size < size && ftruncate(fd, size) != 0)
		return errno;
	return 0;
}

/*
 * LMDB maps its lock and writes there, which would end us, by SIGBUS, where the disk has no room for it.  Its room is taken before.
 * Nobody of this process has a lock on it yet, which closing it here would give away.  Returns an errno.
 */
static int
reserve_lock(const char *file)
{
	char name[NAME_SIZE + 64];
	int fd, rc = 0;

	bg_format(name, sizeof(name), "%s-lock", file);
	if ((fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)) == -1)
		return errno;
	if (fallocate(fd, 0, 0, LOCK_SIZE) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		rc = errno;
	close(fd);
	return rc;
}

static int
try_env(struct shared *shared, const char *file, unsigned flags, int64_t lost, int64_t at_least, bool *fresh)
{
	mdb_filehandle_t fd;
	struct stat st;
	int rc;

	if ((flags & MDB_NOLOCK) == 0 && (rc = reserve_lock(file)) != 0)
		return rc;
	if ((rc = mdb_env_create(&shared->env)) != 0) {
		shared->env = NULL;
		return rc;
	}
	/*
	 * MDB_NOSYNC: a process that dies loses nothing, what it wrote is the kernel's by then; a machine that dies loses
	 * the store as a whole, and the boot id tells.  MDB_NOTLS: nobody here only reads.
	 */
	if ((rc = mdb_env_set_mapsize(shared->env, shared->map_size)) == 0 &&
	    (rc = mdb_env_set_maxdbs(shared->env, 3)) == 0 &&
	    (rc = mdb_env_open(shared->env, file, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS | flags, 0600)) == 0 &&
	    (rc = mdb_env_get_fd(shared->env, &fd)) == 0) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (fstat(fd, &st) != 0)
			rc = errno;
		else if ((rc = pad(shared, fd)) == 0 && (rc = set_up(shared, lost, at_least, fresh)) == 0) {
			shared->dev = st.st_dev;
			shared->ino = st.st_ino;
			shared->opened = true;
		}
	}
	if (rc != 0)
		close_env(shared);
	return rc;
}

/* Does that mean that the file is no store?  Otherwise it may be one, and something else stands in the way. */
static bool
is_no_store(int rc)
{
	return rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND ||
	    rc == MDB_INCOMPATIBLE;
}

/*
 * The environment in an open directory, under the lock of made.
 *
 * Who still is in one that is thrown away, or was removed, notices at the next spending (is_moved) and follows.  Until then
 * it lets in such proofs alone whose iat is not later than the loss and the leeway, and just those the new one refuses: so
 * the moment of the loss is read after the file has gone, and rounded up.
 */
static int
open_in(struct shared *shared, int dir, int made, struct bg_now now, struct bg_error *err)
{
	int64_t begun = bg_clock_mono_ms(), lost = 0, at_least = 0;
	char name[NAME_SIZE], lock[NAME_SIZE], file[NAME_SIZE + 32];
	struct stat st;
	bool fresh;
	int rc;

	bg_format(name, sizeof(name), PREFIX "%s.mdb", shared->boot);
	bg_format(lock, sizeof(lock), PREFIX "%s.mdb-lock", shared->boot);
	/* By way of the descriptor: so it is the directory that we have looked at. */
	bg_format(file, sizeof(file), "/proc/self/fd/%d/%s", dir, name);
	if (fstat(made, &st) != 0)
		return fail(err, shared, "its lock", errno);
	if (st.st_size > 0 || shared->opened)
		lost = now.wall + 1;
	if (st.st_size == 0 && pwrite(made, "\n", 1, 0) != 1)
		return fail(err, shared, "its lock", errno);
	/* We were in another one: this one knows of the loss unless more was removed than the file. */
	if (shared->opened && (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_ino != shared->ino ||
	    st.st_dev != shared->dev))
		at_least = lost;
	if ((rc = try_env(shared, file, 0, lost, at_least, &fresh)) != 0 && is_no_store(rc)) {
		bg_log(BG_LOG_WARNING, "replay store %s: thrown away, since it is no store any more: %s", shared->path,
		    mdb_strerror(rc));
		if ((unlinkat(dir, name, 0) != 0 && errno != ENOENT) || (unlinkat(dir, lock, 0) != 0 && errno != ENOENT))
			return fail(err, shared, "what is no store any more cannot be removed", errno);
		lost = now.wall + 1 + (bg_clock_mono_ms() - begun) / 1000;
		rc = try_env(shared, file, 0, lost, lost, &fresh);
	} else if (rc == 0 && fresh && lost != 0)
		bg_log(BG_LOG_WARNING, "replay store %s: it was removed, a new one takes its place", shared->path);
	if (rc != 0)
		return fail(err, shared, "opening it", rc);
	if (fstatat(dir, lock, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		rc = errno;
		close_env(shared);
		return fail(err, shared, "its lock", rc);
	}
	shared->lock_dev = st.st_dev;
	shared->lock_ino = st.st_ino;
	return 0;
}

/* The registry's lock is held.  Is another one of this process in that directory? */
static struct shared *
find(const struct stat *st)
{
	for (struct shared *shared = registry; shared != NULL; shared = shared->next)
		if (shared->path != NULL && shared->dir_dev == st->st_dev && shared->dir_ino == st->st_ino)
			return shared;
	return NULL;
}

static int
open_path(struct shared *shared, int dir, struct bg_now now, struct bg_error *err)
{
	int made, rc;

	if (lock_made(dir, shared->path, shared->boot, &made, err) != 0)
		return -1;
	sweep(dir, shared->path, shared->boot);
	rc = open_in(shared, dir, made, now, err);
	close(made);
	return rc;
}

const char *
bg_replay_private_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp != NULL && tmp[0] == '/' ? tmp : "/tmp";
}

/* Its files have no names by the time this returns.  lost: as for set_up. */
static int
open_private(struct shared *shared, int64_t lost, struct bg_error *err)
{
	char dir[1024], file[sizeof(dir) + sizeof("/mdb")];
	bool fresh;
	int rc;

	bg_format(dir, sizeof(dir), "%s/bearergate-replay-XXXXXX", bg_replay_private_dir());
	if (mkdtemp(dir) == NULL)
		return bg_fail(err, BG_R_STORE_DOWN, "replay store %s: %s: %m", name_of(shared), dir);
	(void)chmod(dir, 0700);		/* as in make_dir; where it fails, opening does */
	bg_format(file, sizeof(file), "%s/mdb", dir);
	/* MDB_NOLOCK: nobody else can be in it, and of our threads one at a time is. */
	rc = try_env(shared, file, MDB_NOLOCK, lost, 0, &fresh);
	(void)unlink(file);
	(void)rmdir(dir);
	return rc == 0 ? 0 : fail(err, shared, dir, rc);
}

static bool
is_file(const char *file, dev_t dev, ino_t ino)
{
	struct stat st;

	return stat(file, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/*
 * Was the environment's file removed or replaced since it was opened, or its lock?  Whoever opens it then makes another lock,
 * and two who write under two locks undo what the other one noted.  Two system calls for each spending.
 */
static bool
is_moved(const struct shared *shared)
{
	return shared->path != NULL && (!is_file(shared->file, shared->dev, shared->ino) ||
	    !is_file(shared->lock_file, shared->lock_dev, shared->lock_ino));
}

/* shared->lock is held.  Whatever is there now is opened in the place of what we had. */
static int
open_again(struct shared *shared, struct bg_now now, struct bg_error *err)
{
	struct shared *other;
	struct stat st;
	int dir, rc = -1;

	close_env(shared);
	if (shared->path == NULL)	/* nobody else can get at its file: it failed for good */
		return open_private(shared, now.wall + 1, err);
	pthread_mutex_lock(&registry_lock);
	if (open_dir(shared->path, &dir, &st, err) == 0) {
		if ((other = find(&st)) != NULL && other != shared)
			bg_fail(err, BG_R_STORE_DOWN, "replay store %s: the same directory as %s now", shared->path, other->path);
		else if ((rc = open_path(shared, dir, now, err)) == 0) {
			shared->dir_dev = st.st_dev;
			shared->dir_ino = st.st_ino;
		}
		close(dir);
	}
	pthread_mutex_unlock(&registry_lock);
	return rc;
}

static void
shared_free(struct shared *shared)
{
	if (shared == NULL)
		return;
	close_env(shared);
	pthread_mutex_destroy(&shared->lock);
	free(shared->path);
	free(shared->file);
	free(shared->lock_file);
	free(shared);
}

static int
shared_new(const char *path, size_t map_size, struct shared **out, struct bg_error *err)
{
	struct shared *shared = calloc(1, sizeof(*shared));

	*out = NULL;
	if (shared == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "replay store");
	pthread_mutex_init(&shared->lock, NULL);
	shared->users = 1;
	shared->map_size = map_size;
	if (path != NULL) {
		size_t size = strlen(path) + NAME_SIZE + 1;

		if (boot_id(shared->boot, err) != 0)
			goto fail;
		if ((shared->path = strdup(path)) == NULL || (shared->file = malloc(size)) == NULL ||
		    (shared->lock_file = malloc(size)) == NULL) {
			bg_fail(err, BG_R_NO_MEMORY, "replay store");
			goto fail;
		}
		bg_format(shared->file, size, "%s/" PREFIX "%s.mdb", path, shared->boot);
		bg_format(shared->lock_file, size, "%s/" PREFIX "%s.mdb-lock", path, shared->boot);
	}
	*out = shared;
	return 0;
fail:
	shared_free(shared);
	return -1;
}

/* The environment of a directory, counted: the one that this process is in already, or a new one; NULL when it fails. */
static struct shared *
shared_get(const char *path, size_t map_size, struct bg_now now, struct bg_error *err)
{
	struct shared *shared = NULL, *made = NULL;
	struct stat st;
	int dir;

	pthread_mutex_lock(&registry_lock);
	if (open_dir(path, &dir, &st, err) == 0) {
		if ((shared = find(&st)) != NULL)
			shared->users++;
		else if (shared_new(path, map_size, &made, err) == 0 && open_path(made, dir, now, err) == 0) {
			made->dir_dev = st.st_dev;
			made->dir_ino = st.st_ino;
			made->next = registry;
			registry = shared = made;
			made = NULL;		/* moved */
		}
		close(dir);
	}
	pthread_mutex_unlock(&registry_lock);
	shared_free(made);
	return shared;
}

/* lost: as for set_up. */
static struct shared *
shared_private(size_t map_size, int64_t lost, struct bg_error *err)
{
	struct shared *shared;

	if (shared_new(NULL, map_size, &shared, err) == 0 && open_private(shared, lost, err) == 0)
		return shared;
	shared_free(shared);
	return NULL;
}

static void
shared_put(struct shared *shared)
{
	struct shared **link;
	bool last;

	if (shared == NULL)
		return;
	pthread_mutex_lock(&registry_lock);
	if ((last = --shared->users == 0)) {
		for (link = &registry; *link != NULL && *link != shared; link = &(*link)->next)
			continue;
		if (*link != NULL)
			*link = shared->next;
		/* Under the lock: whoever opens it next must not do so before it is closed. */
		close_env(shared);
	}
	pthread_mutex_unlock(&registry_lock);
	if (last)
		shared_free(shared);
}

/* ---- spending --------------------------------------------------------------------------------------------------- */

/* What came of looking at the databases: a refusal of ours is no failure of LMDB's. */
enum verdict { SPENT = 0, YOUNG, SET_BACK, FULL, NOTED };

static int
get_about(MDB_txn *txn, const struct shared *shared, struct about *about)
{
	MDB_val key = val("about", 5), value;
	int rc;

	if ((rc = mdb_get(txn, shared->about, &key, &value)) != 0)
		return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
	if (value.mv_size != sizeof(*about))
		return MDB_CORRUPTED;
	memcpy(about, value.mv_data, sizeof(*about));
	return 0;
}

/* A proof that expired then was taken out: should the clock be set back, it is not to pass for one that never was there. */
static int
put_forgot(MDB_txn *txn, const struct shared *shared, int64_t forgot)
{
	MDB_val key = val("about", 5), value;
	struct about about;
	int rc;

	if ((rc = get_about(txn, shared, &about)) != 0 || about.forgot >= forgot)
		return rc;
	about.forgot = forgot;
	value = val(&about, sizeof(about));
	return mdb_put(txn, shared->about, &key, &value, 0);
}

/* Take up to n expired proofs out of both databases, and count them in *cleared. */
static int
clear_expired(MDB_txn *txn, const struct shared *shared, int64_t now, int n, int *cleared)
{
	MDB_val key, value;
	MDB_cursor *cursor;
	int64_t forgot = 0;
	struct due due;
	int rc;

	*cleared = 0;
	if ((rc = mdb_cursor_open(txn, shared->expiry, &cursor)) != 0)
		return rc;
	while (*cleared < n && (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0) {
		if (key.mv_size != sizeof(due)) {
			rc = MDB_CORRUPTED;
			break;
		}
		memcpy(&due, key.mv_data, sizeof(due));	/* the page goes under our hands */
		if (due_time(&due) > now)
			break;
		key = val(due.proof, sizeof(due.proof));
		if ((rc = mdb_cursor_del(cursor, 0)) != 0 ||
		    ((rc = mdb_del(txn, shared->proofs, &key, NULL)) != 0 && rc != MDB_NOTFOUND))
			break;
		(*cleared)++;
		forgot = due_time(&due);
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	return *cleared > 0 ? put_forgot(txn, shared, forgot) : 0;
}

/* Seconds until the first proof expires, at least 1; for those who find it full. */
static int
first_expiry(MDB_txn *txn, const struct shared *shared, int64_t now, int64_t *seconds)
{
	MDB_val key, value;
	MDB_cursor *cursor;
	struct due due;
	int rc;

	*seconds = 1;
	if ((rc = mdb_cursor_open(txn, shared->expiry, &cursor)) != 0)
		return rc;
	if ((rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0 && key.mv_size == sizeof(due)) {
		memcpy(&due, key.mv_data, sizeof(due));
		if (due_time(&due) > now)
			*seconds = (due_time(&due) - now) / 1000 + 1;
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* May this request pass with a proof that was spent?  Then its call is added to entry, of which there were *calls. */
static bool
may_pass(struct entry *entry, size_t *calls, const struct bg_spending *spending, int64_t now)
{
	int64_t age = now - entry->spent;

	/* Threads and processes read the clock at their own time, so it may be a little less than nothing. */
	if (age > BG_REPLAY_GRACE_MS || age < -BG_REPLAY_GRACE_MS ||
	    !bg_secret_equal((struct bg_slice){ (const char *)entry->request, BG_SHA256_LEN },
	    (struct bg_slice){ (const char *)spending->request, BG_SHA256_LEN }))
		return false;
	if (!spending->by_call)
		return true;
	for (size_t i = 0; i < *calls; i++)
		if (memcmp(entry->calls[i], spending->call, BG_SHA256_LEN) == 0)
			return false;
	if (*calls == BG_REPLAY_CALLS_MAX)
		return false;
	memcpy(entry->calls[(*calls)++], spending->call, BG_SHA256_LEN);
	return true;
}

/* An entry as it stands in the database; MDB_NOTFOUND where there is none. */
static int
get_entry(MDB_txn *txn, const struct shared *shared, MDB_val *key, struct entry *entry, size_t *calls)
{
	MDB_val value;
	int rc;

	if ((rc = mdb_get(txn, shared->proofs, key, &value)) != 0)
		return rc;
	if (value.mv_size < ENTRY_LEN(0) || value.mv_size > sizeof(*entry) ||
	    (value.mv_size - ENTRY_LEN(0)) % BG_SHA256_LEN != 0)
		return MDB_CORRUPTED;
	memcpy(entry, value.mv_data, value.mv_size);
	*calls = (value.mv_size - ENTRY_LEN(0)) / BG_SHA256_LEN;
	return 0;
}

/* Make room for one more where it is needed, out of what has expired: live ones are never given up (SR-65). */
static int
make_room(MDB_txn *txn, const struct store *store, int64_t now, bool *full)
{
	const struct shared *shared = store->shared;
	MDB_stat sizes;
	int cleared, rc;

	*full = false;
	if ((rc = clear_expired(txn, shared, now, CLEAR_FEW, &cleared)) != 0 || (rc = mdb_stat(txn, shared->proofs, &sizes)) != 0)
		return rc;
	if (sizes.ms_entries < store->max_proofs)
		return 0;
	if ((rc = clear_expired(txn, shared, now, CLEAR_MANY, &cleared)) != 0 ||
	    (rc = mdb_stat(txn, shared->proofs, &sizes)) != 0)
		return rc;
	*full = sizes.ms_entries >= store->max_proofs;
	return 0;
}

static int
note(MDB_txn *txn, const struct store *store, const struct bg_spending *spending, struct bg_now now, enum verdict *verdict,
    int64_t *retry_after)
{
	const struct shared *shared = store->shared;
	const int64_t expires = now.wall_ms + spending->life_ms;
	int64_t lost = (now.wall_ms - now.mono_ms) / 1000;	/* the boot: a store holds nothing from before */
	struct about about;
	struct entry entry;
	MDB_val key, value;
	size_t calls = 0;
	struct due due;
	bool full;
	int rc;

	if ((rc = get_about(txn, shared, &about)) != 0)
		return rc;
	if (about.lost > lost)
		lost = about.lost;
	if (spending->iat - store->leeway <= lost) {
		*verdict = YOUNG;
		*retry_after = lost + store->leeway + 1 - now.wall;
		return 0;
	}

	key = val(spending->proof, sizeof(spending->proof));
	if ((rc = get_entry(txn, shared, &key, &entry, &calls)) != 0 && rc != MDB_NOTFOUND)
		return rc;
	if (rc == 0 && entry.expires > now.wall_ms) {
		if (!may_pass(&entry, &calls, spending, now.wall_ms)) {
			*verdict = SPENT;
			return 0;
		}
		*verdict = NOTED;
		value = val(&entry, ENTRY_LEN(calls));
		return spending->by_call ? mdb_put(txn, shared->proofs, &key, &value, 0) : 0;
	}
	/*
	 * A proof always expires at one time, but for a part of a second, and one that has was taken out.  So this one may have
	 * been: the clock was ahead meanwhile.  What was taken out was good by its clients' clocks, which bounds the wait.
	 */
	if (expires <= about.forgot + 1000) {
		*verdict = SET_BACK;
		*retry_after = (about.forgot + 1000 - expires) / 1000 + 1;
		return 0;
	}
	if (rc == 0) {		/* expired, and as good as gone */
		MDB_val old;

		due = due_of(entry.expires, spending->proof);
		old = val(&due, sizeof(due));
		if (((rc = mdb_del(txn, shared->expiry, &old, NULL)) != 0 && rc != MDB_NOTFOUND) ||
		    (rc = mdb_del(txn, shared->proofs, &key, NULL)) != 0)
			return rc;
	}

	if ((rc = make_room(txn, store, now.wall_ms, &full)) != 0)
		return rc;
	if (full) {
		*verdict = FULL;
		return first_expiry(txn, shared, now.wall_ms, retry_after);
	}
	entry = (struct entry){ .spent = now.wall_ms, .expires = expires };
	memcpy(entry.request, spending->request, BG_SHA256_LEN);
	memcpy(entry.calls[0], spending->call, BG_SHA256_LEN);
	due = due_of(entry.expires, spending->proof);
	value = val(&entry, ENTRY_LEN(spending->by_call ? 1 : 0));
	if ((rc = mdb_put(txn, shared->proofs, &key, &value, MDB_NOOVERWRITE)) != 0)
		return rc;
	key = val(&due, sizeof(due));
	value = val("", 0);
	*verdict = NOTED;
	return mdb_put(txn, shared->expiry, &key, &value, 0);
}

/* One transaction, of which nothing stays unless the proof was noted.  Returns what LMDB says. */
static int
transact(struct store *store, const struct bg_spending *spending, struct bg_now now, enum verdict *verdict,
    int64_t *retry_after)
{
	MDB_txn *txn;
	int rc;

	if ((rc = begin(store->shared, &txn)) != 0)
		return rc;
	if ((rc = note(txn, store, spending, now, verdict, retry_after)) != 0 || *verdict != NOTED) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

/* The map ran out of pages before max_proofs was reached. */
static int
clear_map(struct store *store, struct bg_now now, int *cleared)
{
	MDB_txn *txn;
	int rc;

	*cleared = 0;
	if ((rc = begin(store->shared, &txn)) != 0)
		return rc;
	if ((rc = clear_expired(txn, store->shared, now.wall_ms, CLEAR_MANY, cleared)) != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

/* shared->lock is held. */
static int
spend_locked(struct store *store, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	struct shared *shared = store->shared;
	enum verdict verdict = FULL;
	int cleared, rc;

	*retry_after = RETRY_DOWN;
	if ((shared->env == NULL || is_moved(shared)) && open_again(shared, now, err) != 0)
		return -1;
	*retry_after = 0;
	if ((rc = transact(store, spending, now, &verdict, retry_after)) == MDB_MAP_FULL &&
	    (rc = clear_map(store, now, &cleared)) == 0)
		rc = cleared > 0 ? transact(store, spending, now, &verdict, retry_after) : MDB_MAP_FULL;
	if (rc == MDB_MAP_FULL) {
		verdict = FULL;
		rc = 0;
	}
	if (rc != 0) {
		if (rc == MDB_PANIC)	/* it will not do anything any more */
			close_env(shared);
		*retry_after = RETRY_DOWN;
		return fail(err, shared, "spending a proof", rc);
	}
	if (verdict == YOUNG || verdict == SET_BACK || verdict == FULL)
		*retry_after = *retry_after > 1 ? *retry_after : 1;
	switch (verdict) {
	case NOTED:
		return 0;
	case SPENT:
		return bg_fail(err, BG_R_PROOF_SPENT, "spent before");
	case YOUNG:
		return bg_fail(err, BG_R_STORE_YOUNG, "replay store %s: made too lately to know whether a proof with iat %" PRId64
		    " was spent", name_of(shared), spending->iat);
	case SET_BACK:
		return bg_fail(err, BG_R_STORE_YOUNG, "replay store %s: the clock was set back, and whether a proof with iat %" PRId64
		    " was spent before is forgotten", name_of(shared), spending->iat);
	case FULL:
		break;
	}
	return bg_fail(err, BG_R_STORE_FULL, "replay store %s: full, with %zu proofs that have not expired", name_of(shared),
	    store->max_proofs);
}

static int
store_spend(struct bg_replay *base, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	struct store *store = (struct store *)base;
	int rc;

	*retry_after = 0;
	if (store->shared == NULL || spending->life_ms <= 0 || spending->life_ms > BG_REPLAY_LIFE_MAX_MS)
		return bg_fail(err, BG_R_INTERNAL, "replay store: not open, or a proof with a life of %" PRId64 " ms",
		    spending->life_ms);
	pthread_mutex_lock(&store->shared->lock);
	rc = spend_locked(store, spending, now, retry_after, err);
	pthread_mutex_unlock(&store->shared->lock);
	return rc;
}

/* An environment that has a name is found by it; one that has none would be gone with the old gate. */
static bool
store_take_over(struct bg_replay *base, const struct bg_replay *old)
{
	struct store *store = (struct store *)base;
	const struct store *from = (const struct store *)old;

	if (old->spend != store_spend)
		return false;
	if (store->path != NULL || from->path != NULL)
		return store->path != NULL && from->path != NULL && strcmp(store->path, from->path) == 0;
	if (from->shared == NULL || store->shared != NULL)
		return false;
	pthread_mutex_lock(&registry_lock);
	store->shared = from->shared;
	store->shared->users++;
	pthread_mutex_unlock(&registry_lock);
	return true;
}

static int
store_open(struct bg_replay *base, struct bg_now now, struct bg_error *err)
{
	struct store *store = (struct store *)base;
	size_t room = (SIZE_MAX / 2 - MAP_BASE) / MAP_PER_PROOF;
	size_t map_size = MAP_BASE + (store->max_proofs < room ? store->max_proofs : room) * MAP_PER_PROOF;
	struct shared *shared = store->shared;
	int rc = 0;

	/*
	 * Whoever used a private one before is gone, and what was spent with it.  Without the leeway, which would cost every start
	 * as many seconds: only clocks that are ahead are not covered.
	 */
	if (shared == NULL)
		shared = store->path != NULL ? shared_get(store->path, map_size, now, err) :
		    shared_private(map_size, now.wall - store->leeway, err);
	if (shared == NULL)
		return -1;
	store->shared = NULL;
	pthread_mutex_lock(&shared->lock);
	if (map_size > shared->map_size) {	/* another store of ours made it, and wanted less */
		shared->map_size = map_size;
		if (shared->env != NULL)
			rc = mdb_env_set_mapsize(shared->env, map_size);
	}
	pthread_mutex_unlock(&shared->lock);
	if (rc != 0) {
		fail(err, shared, "making it larger", rc);
		shared_put(shared);
		return -1;
	}
	store->shared = shared;
	return 0;
}

static void
store_free(struct bg_replay *base)
{
	struct store *store = (struct store *)base;

	shared_put(store->shared);
	free(store->path);
	free(store);
}

int
bg_replay_lmdb_new(const char *path, size_t max_proofs, int64_t leeway, struct bg_replay **out, struct bg_error *err)
{
	struct store *store = calloc(1, sizeof(*store));

	*out = NULL;
	if (store == NULL || (path != NULL && (store->path = strdup(path)) == NULL)) {
		free(store);
		return bg_fail(err, BG_R_NO_MEMORY, "replay store");
	}
	store->base = (struct bg_replay){ .take_over = store_take_over, .open = store_open, .spend = store_spend, .free = store_free };
	store->max_proofs = max_proofs;
	store->leeway = leeway;
	*out = &store->base;
	return 0;
}

bool
bg_replay_has_lmdb(void)
{
	return true;
}
#else
int
bg_replay_lmdb_new(const char *path, size_t max_proofs, int64_t leeway, struct bg_replay **out, struct bg_error *err)
{
	(void)path, (void)max_proofs, (void)leeway;
	*out = NULL;
	return bg_fail(err, BG_R_INTERNAL, "this program was built without LMDB: the replay store lmdb: is not in it");
}

const char *
bg_replay_private_dir(void)
{
	return NULL;
}

bool
bg_replay_has_lmdb(void)
{
	return false;
}
#endif
