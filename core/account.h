#ifndef BG_CORE_ACCOUNT_H
#define BG_CORE_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#define BG_ACCOUNT_NAME_MAX	256	/* bytes of a name that we keep, with the terminator; useradd(8) allows 32 */

struct bg_user {
	uid_t uid;
	gid_t gid;				/* of its primary group; counts with known alone */
	bool  known;				/* the system has a user with this number */
	char  name[BG_ACCOUNT_NAME_MAX];	/* "" where it is not known */
};

/*
 * A user or a group of this system by name, or, digits alone, by number.  A number need not belong to anybody.  Both
 * return NULL, or static words on what is wrong, as in "is no user of this system".  They may ask a directory server, and
 * so may wait: not for threads that decide.
 */
const char *bg_account_user(const char *text, struct bg_user *out);
const char *bg_account_group(const char *text, gid_t *out);

#endif
