#ifndef BG_FCGI_PEERS_H
#define BG_FCGI_PEERS_H

#include <sys/socket.h>
#include <sys/types.h>

#include "core/error.h"
#include "core/forwarded.h"

/*
 * Who may connect, as listen_allowed_clients says (php-fpm's listen.allowed_clients, and more).  Cleared memory: nobody is
 * listed, which leaves a socket file to its mode, and admits a peer by TCP from a loopback address alone.
 */
struct bg_peers {
	bool               listed;	/* nobody may but those in here */
	bool               unix_socket;	/* whoever the file's mode lets */
	uid_t             *uids;
	size_t             n_uids;
	gid_t             *gids;
	size_t             n_gids;
	struct bg_network *networks;
	size_t             n_networks;
};

/*
 * The entries of listen_allowed_clients, all good by themselves.  *out was not initialised and is the caller's to clear in
 * any case.  Returns -1 with BG_R_NO_MEMORY, or BG_R_INTERNAL for an entry that is good no more, such as a user who is gone.
 */
int bg_peers_init(struct bg_peers *out, char *const *list, size_t n, struct bg_error *err) BG_MUST_CHECK;
void bg_peers_clear(struct bg_peers *peers);

/* Could anybody connect to a socket file, by TCP?  Where nobody is listed: yes, and from loopback addresses. */
bool bg_peers_want_unix(const struct bg_peers *peers);
bool bg_peers_want_tcp(const struct bg_peers *peers);

/* Are there addresses in the list, so that a port beyond loopback is not open to everybody (SR-89)? */
bool bg_peers_have_networks(const struct bg_peers *peers);

/* Is whoever connects to a socket file asked who he is, whatever its mode? */
bool bg_peers_ask_who(const struct bg_peers *peers);

#define BG_PEERS_WHO_MAX	96

/*
 * May this peer of an accepted connection ask?  address is what accept(2) said of it.  A peer on a socket file is who
 * SO_PEERCRED says, unix(7): the effective user and the effective, that is the first, group of whoever called connect(2), at
 * that time.  Whoever was given the connection later counts for that one, and further groups do not count.
 * For false, who says who it was, for the log.  From any thread; never waits.
 *
 * SR-89.
 */
bool bg_peers_admit(const struct bg_peers *peers, int fd, const struct sockaddr *address, char *who, size_t size);

#endif
