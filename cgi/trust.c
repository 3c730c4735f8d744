#include "cgi/trust.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/buf.h"

#define WAY_MAX		1023	/* bytes of a path whose links are followed */
#define LINKS_MAX	16

/* Those who are trusted, beside root; self and other may be the same. */
struct trusted {
	const char    *kind, *path;	/* for messages: what stands before it, and the path as it was said */
	enum bg_reason reason;		/* that there are others */
	uid_t          peer, self, other;

	/* May nobody but these change what is in the directory way[..len], or the root?  st is what it is. */
	int (*check)(const struct trusted *who, const char *way, size_t len, const struct stat *st, struct bg_error *err);
};

static bool
is_trusted(const struct trusted *who, uid_t uid)
{
	return uid == 0 || uid == who->self || uid == who->other;
}

static struct bg_slice
name_of(const char *way, size_t len)
{
	return len > 0 ? (struct bg_slice){ way, len } : BG_SLICE("/");
}

/* Nobody else may answer there; what would help.  To name root does not: it needs a clean way like anybody whom nobody names. */
static int
not_for_socket(const struct trusted *who, const char *what, struct bg_error *err)
{
	if (who->peer == 0)
		return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %s; root listens there, so that only the way can tell for whom", who->path,
		    what);
	return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %s; user %lu listens, whom daemon_user could name", who->path, what,
	    (unsigned long)who->peer);
}

static int
check_for_socket(const struct trusted *who, const char *way, size_t len, const struct stat *st, struct bg_error *err)
{
	struct bg_slice dir = name_of(way, len);
	const char *by = NULL;
	char what[320];

	if (!is_trusted(who, st->st_uid)) {
		bg_format(what, sizeof(what), "%.*s belongs to user %lu, who could answer in the daemon's place%s", BG_SLICE_ARG(dir),
		    (unsigned long)st->st_uid, who->peer == 0 ? ", unless it is the daemon's, which daemon_user could say" : "");
		return not_for_socket(who, what, err);
	}
	if ((st->st_mode & S_IWOTH) != 0 && (st->st_mode & S_ISVTX) == 0)
		by = "everybody may write to";
	else if ((st->st_mode & S_IWOTH) != 0 && who->peer != 0 && who->peer != who->self)
		by = "everybody may make directories in";
	else if ((st->st_mode & S_IWGRP) != 0 && (st->st_mode & S_IWOTH) == 0)
		by = "its group may write to";
	if (by == NULL)
		return 0;
	bg_format(what, sizeof(what), "%s %.*s, and could answer in the daemon's place", by, BG_SLICE_ARG(dir));
	return not_for_socket(who, what, err);
}

/* Where anybody can make a directory it is of one who is trusted today and of another tomorrow: /tmp is not good enough. */
static int
check_for_program(const struct trusted *who, const char *way, size_t len, const struct stat *st, struct bg_error *err)
{
	struct bg_slice dir = name_of(way, len);

	if (!is_trusted(who, st->st_uid))
		return bg_fail(err, BG_R_INTERNAL, "%s: %.*s belongs to user %lu", who->path, BG_SLICE_ARG(dir), (unsigned long)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: %.*s may be written to by its group or by others", who->path, BG_SLICE_ARG(dir));
	return 0;
}

/*
 * Is the link at way[begin..] one of /proc, which lead to somewhere else than they say (root, cwd, fd), and whose directories
 * become another process's without anybody writing to them?
 */
static bool
is_magic(char *way, size_t begin)
{
	struct statfs fs;
	char c = way[begin];
	int rc;

	way[begin] = '\0';
	rc = statfs(way, &fs);
	way[begin] = c;
	return rc != 0 || fs.f_type == PROC_SUPER_MAGIC;
}

/* Put what the link at way[..len] says in its place; what stands behind it stays.  False: it is too long, or gone. */
static bool
follow(char *way, size_t len)
{
	char target[WAY_MAX + 1], rest[WAY_MAX + 1];
	ssize_t n;
	size_t at = len;

	bg_format(rest, sizeof(rest), "%s", way + len);
	way[len] = '\0';
	n = readlink(way, target, sizeof(target));
	if (n <= 0 || n >= WAY_MAX)
		return false;
	target[n] = '\0';
	while (at > 0 && way[at - 1] != '/')
		at--;
	if (target[0] == '/')
		at = 0;
	if (at + (size_t)n + strlen(rest) > WAY_MAX)
		return false;
	bg_format(way + at, WAY_MAX + 1 - at, "%s%s", target, rest);
	return true;
}

/*
 * Look at each directory of way, from the root on.  Returns 1 where all is well, 0 where there was a link, which was replaced
 * by what it says, so that what is behind it is looked at by its own names; -1 with an error.
 */
static int
walk(const struct trusted *who, char *way, struct bg_error *err)
{
	struct stat dir, st;
	size_t end = 0;

	if (lstat("/", &dir) != 0)
		return bg_fail(err, who->reason, "%s%s: /: %m", who->kind, who->path);
	for (;;) {
		size_t begin = end + strspn(way + end, "/");
		char after;
		int rc;

		if (who->check(who, way, end, &dir, err) != 0)
			return -1;
		end = begin + strcspn(way + begin, "/");
		after = way[end];
		way[end] = '\0';
		if ((rc = lstat(way, &st)) != 0)
			bg_fail(err, who->reason, "%s%s: %s: %m", who->kind, who->path, way);
		way[end] = after;
		if (rc != 0)
			return -1;
		if (S_ISLNK(st.st_mode)) {
			if (is_magic(way, begin))
				return bg_fail(err, who->reason, "%s%s: a link on the way to it is one of /proc", who->kind, who->path);
			if (follow(way, end))
				return 0;
			return bg_fail(err, who->reason, "%s%s: a link on the way to it is too long, or gone", who->kind, who->path);
		}
		if (after == '\0')
			return 1;	/* who may write to a socket may ask, and no more; a program has been looked at */
		dir = st;
	}
}

/* The way to the path, and those to what its links say. */
static int
check_way(const struct trusted *who, struct bg_error *err)
{
	char way[WAY_MAX + 1];
	int rc;

	if (who->path[0] != '/' || strlen(who->path) > WAY_MAX)
		return bg_fail(err, who->reason, "%s%.120s: no path that can be looked at", who->kind, who->path);
	bg_format(way, sizeof(way), "%s", who->path);
	for (int i = 0; i < LINKS_MAX; i++)
		if ((rc = walk(who, way, err)) != 0)
			return rc > 0 ? 0 : -1;
	return bg_fail(err, who->reason, "%s%s: too many links on the way to it", who->kind, who->path);
}

int
bg_trust_socket(const char *path, uid_t peer, uid_t self, uid_t named, struct bg_error *err)
{
	struct trusted who = { .kind = "unix:", .path = path, .reason = BG_R_NO_DAEMON, .peer = peer, .self = self,
		.other = named != BG_TRUST_NOBODY ? named : peer, .check = check_for_socket };

	if (named != BG_TRUST_NOBODY) {
		if (peer == named && peer != 0)
			return 0;	/* none but that user's processes can listen as that user */
		if (peer != named && peer != 0)
			return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: user %lu listens, and daemon_user is %lu", path, (unsigned long)peer,
			    (unsigned long)named);
	}
	return check_way(&who, err);
}

int
bg_trust_name(const char *path, uid_t self, uid_t other, struct bg_error *err)
{
	struct trusted who = { .kind = "", .path = path, .reason = BG_R_INTERNAL, .self = self, .other = other,
		.check = check_for_program };

	return check_way(&who, err);
}
