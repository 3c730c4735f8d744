#include "core/watch.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/buf.h"

/* What linux/magic.h of Debian 12 does not name. */
#define CIFS_MAGIC	0xff534d42u
#define SMB2_MAGIC	0xfe534d42u
#define FUSE_MAGIC	0x65735546u

/*
 * No IN_MODIFY: a file written in place is complete when it is closed.  IN_ATTRIB: it may have become readable.
 * IN_MOVE_SELF: another directory may take the place of this one.
 */
#define EVENTS		(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_MOVE_SELF | \
			IN_ONLYDIR)

struct bg_watch {
	const char *path;
	int         fd;			/* inotify's, or -1 */
	char        target[NAME_MAX + 1];	/* the name of the file that path leads to, where it is a link */
	bool        asked;
	bool        there;
	struct stat seen;
};

static const char *
last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Changes made by another machine cause no event here. */
static bool
is_remote(const char *dir)
{
	static const unsigned long remote[] = {
		NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_MAGIC, SMB2_MAGIC, FUSE_MAGIC, V9FS_MAGIC, AFS_SUPER_MAGIC, CODA_SUPER_MAGIC,
	};
	struct statfs fs;

	if (statfs(dir, &fs) != 0)
		return true;
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (((unsigned long)fs.f_type & 0xffffffffu) == remote[i])
			return true;
	return false;
}

/* Watch the directory that holds path.  One that is watched already stays so; one that has gone, inotify forgets itself. */
static bool
watch_parent(const struct bg_watch *watch, const char *path)
{
	char copy[PATH_MAX];
	const char *dir;

	if (strlen(path) >= sizeof(copy))
		return false;
	memcpy(copy, path, strlen(path) + 1);
	dir = dirname(copy);
	return !is_remote(dir) && inotify_add_watch(watch->fd, dir, EVENTS) != -1;
}

/* Watch the places there are now: a link may lead elsewhere than the last time. */
static void
watch_places(struct bg_watch *watch)
{
	char real[PATH_MAX];

	if (watch->fd == -1)
		return;
	watch->target[0] = '\0';
	if (watch_parent(watch, watch->path)) {
		if (realpath(watch->path, real) == NULL)
			return;		/* the file is not there */
		bg_format(watch->target, sizeof(watch->target), "%s", last_name(real));
		if (watch_parent(watch, real))
			return;
	}
	close(watch->fd);
	watch->fd = -1;
}

int
bg_watch_new(struct bg_watch **out, const char *path, struct bg_error *err)
{
	struct bg_watch *watch = calloc(1, sizeof(*watch));

	*out = watch;
	if (watch == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "watch");
	watch->path = path;
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watch_places(watch);
	return 0;
}

void
bg_watch_free(struct bg_watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->fd != -1)
		close(watch->fd);
	free(watch);
}

int
bg_watch_fd(const struct bg_watch *watch)
{
	return watch->fd;
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/*
 * Take all events.  True when one names the file: two changes of one size may be in one tick of the file system's clock, so
 * that nothing but the event tells of the second.  Events of its neighbours, and of what its links lead through, are only
 * an occasion to look.
 */
static bool
read_events(const struct bg_watch *watch)
{
	union {
		struct inotify_event event;
		char                 bytes[4096];
	} room;
	bool named = false;
	ssize_t n;

	while (watch->fd != -1 && (n = read(watch->fd, room.bytes, sizeof(room.bytes))) > 0)
		for (size_t at = 0; at < (size_t)n;) {
			struct inotify_event event;

			memcpy(&event, room.bytes + at, sizeof(event));
			if ((event.mask & IN_Q_OVERFLOW) != 0)
				named = true;	/* some were lost */
			else if (event.len > 0) {
				const char *name = room.bytes + at + sizeof(event);

				named = named || strcmp(name, last_name(watch->path)) == 0 || strcmp(name, watch->target) == 0;
			}
			at += sizeof(event) + event.len;
		}
	return named;
}

bool
bg_watch_changed(struct bg_watch *watch)
{
	const struct stat before = watch->seen;
	bool was_there = watch->there, first = !watch->asked, named;

	named = read_events(watch);	/* first: a change after the look makes a new event */
	watch_places(watch);
	watch->asked = true;
	watch->there = stat(watch->path, &watch->seen) == 0;
	if (first || named || watch->there != was_there)
		return true;
	return watch->there && (watch->seen.st_dev != before.st_dev || watch->seen.st_ino != before.st_ino ||
	    watch->seen.st_size != before.st_size || watch->seen.st_mode != before.st_mode ||
	    !same_time(watch->seen.st_mtim, before.st_mtim) || !same_time(watch->seen.st_ctim, before.st_ctim));
}
