#include "core/keycache.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io.h"
#include "core/secret.h"

#define SUFFIX		".keys"
#define LOCK		"lock"
#define NAME_SIZE	(2 * BG_SHA256_LEN + sizeof(SUFFIX))
#define TEMPORARY_SIZE	(NAME_SIZE + sizeof(".new"))
#define HEAD_MAX	(8 * 1024)			/* bytes of a record in front of its set */
#define FILE_MAX	(BG_FETCH_MAX + HEAD_MAX)
#define LOCK_TRIES	100				/* a second in all; a lock is held for a millisecond or two */
#define LOCK_REST_MS	10

static int
file_name(const struct bg_keyrecord_owner *owner, char name[NAME_SIZE], struct bg_error *err)
{
	unsigned char hash[BG_SHA256_LEN];
	struct bg_slice text;
	struct bg_buf buf;
	int rc = -1;

	bg_buf_init(&buf, (size_t)4 * BG_URL_MAX);
	bg_buf_put_format(&buf, "%s\n%s", owner->issuer, owner->source);
	if (bg_buf_finish(&buf, &text, err) == 0 && bg_sha256(text, hash, err) == 0) {
		for (size_t i = 0; i < sizeof(hash); i++)
			bg_format(name + 2 * i, 3, "%02x", hash[i]);
		bg_format(name + 2 * sizeof(hash), sizeof(SUFFIX), SUFFIX);
		rc = 0;
	}
	bg_buf_clear(&buf);
	return rc;
}

int
bg_keycache_path(const char *dir, const struct bg_keyrecord_owner *owner, struct bg_buf *path, struct bg_error *err)
{
	char name[NAME_SIZE];

	if (file_name(owner, name, err) != 0)
		return -1;
	bg_buf_put_format(path, "%s/%s", dir, name);
	return path->failed ? bg_fail(err, BG_R_NO_MEMORY, "path") : 0;
}

/* Who could have written here could have written keys.  Words on what is wrong, NULL when nothing is. */
static const char *
trust_wrong(const struct stat *st)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "belongs to somebody else";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "may be written to by its group or by others";
	return NULL;
}

int
bg_keycache_open(const char *dir, struct bg_error *err)
{
	const char *wrong;
	struct stat st;
	int fd;

	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 || fstat(fd, &st) != 0)
		bg_fail(err, BG_R_BAD_CACHE, "%s: %m", dir);
	else if ((wrong = trust_wrong(&st)) != NULL)
		bg_fail(err, BG_R_BAD_CACHE, "%s: %s", dir, wrong);
	else
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

/* The bytes of an open file, after a look at what it is. */
static int
read_file(int fd, const char *name, struct bg_buf *bytes, struct bg_error *err)
{
	const char *wrong;
	struct stat st;
	ssize_t n = 0;
	char *room;

	if (fstat(fd, &st) != 0)
		return bg_fail(err, BG_R_BAD_CACHE, "%s: %m", name);
	if (!S_ISREG(st.st_mode))
		return bg_fail(err, BG_R_BAD_CACHE, "%s: not a regular file", name);
	if ((wrong = trust_wrong(&st)) != NULL)
		return bg_fail(err, BG_R_BAD_CACHE, "%s: %s", name, wrong);
	if (st.st_size > FILE_MAX)
		return bg_fail(err, BG_R_BAD_CACHE, "%s: larger than any record", name);
	if ((room = bg_buf_extend(bytes, (size_t)st.st_size)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "%s", name);
	/* Records are replaced, never written to: what is shorter now was not ours. */
	for (size_t done = 0; done < (size_t)st.st_size; done += (size_t)n)
		if ((n = read(fd, room + done, (size_t)st.st_size - done)) <= 0)
			return n < 0 ? bg_fail(err, BG_R_BAD_CACHE, "%s: %m", name) :
			    bg_fail(err, BG_R_BAD_CACHE, "%s: shorter than it was", name);
	return 0;
}

static int
read_at(int dir, const struct bg_keyrecord_owner *owner, struct bg_keyrecord *record, struct bg_error *err)
{
	struct bg_error why = { 0 };
	char name[NAME_SIZE];
	struct bg_buf bytes;
	int fd, rc = -1;

	bg_keyrecord_clear(record);
	if (file_name(owner, name, err) != 0)
		return -1;
	if ((fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) == -1)
		return errno == ENOENT ? 0 : bg_fail(err, BG_R_BAD_CACHE, "%s: %m", name);
	bg_buf_init(&bytes, FILE_MAX);
	if (read_file(fd, name, &bytes, err) == 0) {
		rc = bg_keyrecord_read((struct bg_slice){ bytes.data, bytes.len }, owner, record, &why);
		if (rc != 0)
			bg_fail(err, why.reason, "%s: %s", name, why.detail);
	}
	bg_buf_clear(&bytes);
	close(fd);
	return rc;
}

int
bg_keycache_read(const char *dir, const struct bg_keyrecord_owner *owner, struct bg_keyrecord *record, struct bg_error *err)
{
	int fd = bg_keycache_open(dir, err), rc;

	bg_keyrecord_clear(record);
	if (fd == -1)
		return -1;
	rc = read_at(fd, owner, record, err);
	close(fd);
	return rc;
}

void
bg_keycache_keep_open(int fd)
{
	const mode_t both = S_IRUSR | S_IWUSR;
	struct stat st;

	if (fstat(fd, &st) == 0 && (st.st_mode & both) != both)
		(void)fchmod(fd, both);
}

/*
 * The lock is a file that nobody else can open, and so nobody else can hold.  A process that was stopped while it held it
 * must not stop the others for long.  Closing the descriptor gives it back.
 */
static int
lock(int dir, int *fd, struct bg_error *err)
{
	if ((*fd = openat(dir, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600)) == -1)
		return bg_fail(err, BG_R_BAD_CACHE, "%s: %m", LOCK);
	bg_keycache_keep_open(*fd);
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return bg_fail(err, BG_R_BAD_CACHE, "%s: %m", LOCK);
		(void)poll(NULL, 0, LOCK_REST_MS);
	}
	return bg_fail(err, BG_R_BAD_CACHE, "%s: another process keeps it", LOCK);
}

/*
 * A file beside the record, whole and on the disk, then renamed.  Its name is always the same, so that a process that was
 * killed leaves one at most; the lock says that nobody writes to it.
 */
static int
replace(int dir, const char *name, struct bg_slice bytes, struct bg_error *err)
{
	char temporary[TEMPORARY_SIZE];
	int fd, rc = -1;

	bg_format(temporary, sizeof(temporary), "%s.new", name);
	if (unlinkat(dir, temporary, 0) != 0 && errno != ENOENT)
		return bg_fail(err, BG_R_BAD_CACHE, "%s: %m", temporary);
	if ((fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)) == -1)
		return bg_fail(err, BG_R_BAD_CACHE, "%s: %m", temporary);
	/* whatever the umask is: public keys are for everybody to read */
	if (bg_write_all(fd, bytes) != 0 || fchmod(fd, 0644) != 0 || fsync(fd) != 0)
		bg_fail(err, BG_R_BAD_CACHE, "%s: %m", temporary);
	else if (renameat(dir, temporary, dir, name) != 0)
		bg_fail(err, BG_R_BAD_CACHE, "%s: %m", name);
	else
		rc = 0;
	close(fd);
	if (rc != 0)
		(void)unlinkat(dir, temporary, 0);
	return rc;
}

/* Zeros where there is none. */
static struct bg_keycache_stamp
stamp_at(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return (struct bg_keycache_stamp){ 0 };
	return (struct bg_keycache_stamp){ st.st_ino, st.st_ctim.tv_sec, st.st_ctim.tv_nsec };
}

struct bg_keycache_stamp
bg_keycache_stamp(const char *dir, const struct bg_keyrecord_owner *owner)
{
	struct bg_keycache_stamp stamp = { 0 };
	char name[NAME_SIZE];
	int fd;

	if (file_name(owner, name, NULL) != 0 || (fd = bg_keycache_open(dir, NULL)) == -1)
		return stamp;
	stamp = stamp_at(fd, name);
	close(fd);
	return stamp;
}

/* Is the set that is there worth more than the one of record?  Any is worth more than none. */
static bool
stays(const struct bg_keyrecord *there, const struct bg_keyrecord *record, bool untouched, int64_t now)
{
	if (there->fetched == 0 || record->fetched == 0 || record->fetched > now)
		return there->fetched != 0;
	/* Clocks may be set back: where nobody has written since we began, ours is the newer one anyway. */
	return !untouched && there->fetched >= record->fetched && there->fetched <= now;
}

int
bg_keycache_write(const char *dir, const struct bg_keyrecord_owner *owner, const struct bg_keyrecord *record,
    struct bg_keycache_stamp before, int64_t now, struct bg_error *err)
{
	struct bg_keycache_stamp stamp;
	struct bg_keyrecord there;
	struct bg_slice bytes;
	char name[NAME_SIZE];
	struct bg_buf out;
	int fd, locked = -1, rc = -1;

	if ((fd = bg_keycache_open(dir, err)) == -1)
		return -1;
	bg_keyrecord_init(&there);
	bg_buf_init(&out, FILE_MAX);
	bg_keyrecord_write(record, owner, &out);
	if (bg_buf_finish(&out, &bytes, err) != 0 || file_name(owner, name, err) != 0 || lock(fd, &locked, err) != 0)
		goto out;
	/* what cannot be read is in nobody's way */
	stamp = stamp_at(fd, name);
	if (read_at(fd, owner, &there, NULL) == 0 &&
	    stays(&there, record, stamp.inode == before.inode && stamp.sec == before.sec && stamp.nsec == before.nsec, now))
		rc = 0;
	else
		rc = replace(fd, name, bytes, err);
out:
	bg_buf_clear(&out);
	bg_keyrecord_clear(&there);
	if (locked != -1)
		close(locked);
	close(fd);
	return rc;
}
