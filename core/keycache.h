#ifndef BG_CORE_KEYCACHE_H
#define BG_CORE_KEYCACHE_H

#include "core/keyrecord.h"

/*
 * The key sets of all issuers on disk, one file each in a directory that whoever decides by them, or root, owns, and nobody
 * else can write to.  It is shared by all processes of the machine that have the same configuration; whoever fetched last
 * has written last.
 */

/*
 * The file of an owner, below dir: a digest, so that nothing that was configured or sent names a file (SR-13, SR-55).
 * Returns -1 with BG_R_NO_MEMORY or BG_R_INTERNAL.
 */
int bg_keycache_path(const char *dir, const struct bg_keyrecord_owner *owner, struct bg_buf *path,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Open the directory, close-on-exec, as the caller's to close.  Returns -1 with BG_R_BAD_CACHE where it is not there, or others
 * than root and this user could have written to it.
 */
int bg_keycache_open(const char *dir, struct bg_error *err) BG_MUST_CHECK;

/* A file there that was opened, and perhaps made under a umask that takes from its owner, too: it can be opened again. */
void bg_keycache_keep_open(int fd);

/*
 * Read the record of an owner.  One that is not there is no failure: record, which was initialised, is then cleared, with
 * neither a set nor an error.  Returns -1 with BG_R_BAD_CACHE for a directory or file that cannot be read or believed, by
 * its kind, owner, mode, size or content; record is then cleared too.
 */
int bg_keycache_read(const char *dir, const struct bg_keyrecord_owner *owner, struct bg_keyrecord *record,
    struct bg_error *err) BG_MUST_CHECK;

/* Which record of an owner there is now, to be told from another one; zeros for none.  Taken before a fetch begins. */
struct bg_keycache_stamp {
	uint64_t inode;
	int64_t  sec, nsec;
};
struct bg_keycache_stamp bg_keycache_stamp(const char *dir, const struct bg_keyrecord_owner *owner);

/*
 * Put a record in place of the one there is, as a whole or not at all, whenever this process ends or the power fails.
 * One that was written since before, when the fetch began, and was not fetched earlier stays, unless that is later than now,
 * the wall clock in milliseconds: a clock was wrong, and what it has left must not outlive a set of today.  Nor does a
 * record without a set take the place of one that has one.  Returns -1 with BG_R_BAD_CACHE.
 */
int bg_keycache_write(const char *dir, const struct bg_keyrecord_owner *owner, const struct bg_keyrecord *record,
    struct bg_keycache_stamp before, int64_t now, struct bg_error *err) BG_MUST_CHECK;

#endif
