#ifndef BG_CGI_TRUST_H
#define BG_CGI_TRUST_H

#include <sys/types.h>

#include "core/error.h"

#define BG_TRUST_NOBODY	((uid_t)-1)

/*
 * Could somebody else than the daemon have put the socket at path, an absolute one, there?  peer is the user who listens on
 * it, as the kernel tells, self the one who asks, and named the one who shall listen, or BG_TRUST_NOBODY.
 *
 * With named, the peer has to be that user, or root.  If it is that user, and not root, the way to the socket does not matter;
 * else nobody but root, self, and named, or peer where nobody is named, may be able to change it: each directory on it belongs
 * to one of them and is writable for no group and not for others.  Others may write to one that has its sticky bit, but then
 * the peer has to be root or self, since a directory in it that is gone could be made anew by anybody.
 *
 * Returns -1 with BG_R_NO_DAEMON and what was found.
 */
int bg_trust_socket(const char *path, uid_t peer, uid_t self, uid_t named, struct bg_error *err) BG_MUST_CHECK;

/*
 * Could somebody else than root, self and other exchange what stands at path, an absolute one?  Each directory on the way to it,
 * and on those to what links on it say, has to belong to one of them and to be writable for no group and not for others, its
 * sticky bit notwithstanding.  What stands at the end is not looked at.
 *
 * A link of /proc is none that says where it leads, for this and for the above.
 *
 * Returns -1 with BG_R_INTERNAL and what was found.
 */
int bg_trust_name(const char *path, uid_t self, uid_t other, struct bg_error *err) BG_MUST_CHECK;

#endif
