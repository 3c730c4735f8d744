#include "fcgi/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "core/account.h"
#include "core/buf.h"

static int
add(struct bg_peers *peers, const char *text, struct bg_error *err)
{
	const char *wrong = NULL;
	struct bg_user user;

	if (strcmp(text, "unix") == 0)
		peers->unix_socket = true;
	else if (strncmp(text, "user:", 5) == 0) {
		if ((wrong = bg_account_user(text + 5, &user)) == NULL)
			peers->uids[peers->n_uids++] = user.uid;
	} else if (strncmp(text, "group:", 6) == 0) {
		if ((wrong = bg_account_group(text + 6, &peers->gids[peers->n_gids])) == NULL)
			peers->n_gids++;
	} else if ((wrong = bg_network_parse(bg_slice_str(text), &peers->networks[peers->n_networks])) == NULL)
		peers->n_networks++;
	return wrong == NULL ? 0 : bg_fail(err, BG_R_INTERNAL, "listen_allowed_clients: \"%s\" %s", text, wrong);
}

int
bg_peers_init(struct bg_peers *out, char *const *list, size_t n, struct bg_error *err)
{
	*out = (struct bg_peers){ .listed = n > 0 };
	if (n == 0)
		return 0;
	out->uids = calloc(n, sizeof(*out->uids));
	out->gids = calloc(n, sizeof(*out->gids));
	out->networks = calloc(n, sizeof(*out->networks));
	if (out->uids == NULL || out->gids == NULL || out->networks == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "no memory for listen_allowed_clients");
	for (size_t i = 0; i < n; i++)
		if (add(out, list[i], err) != 0)
			return -1;
	return 0;
}

void
bg_peers_clear(struct bg_peers *peers)
{
	free(peers->uids);
	free(peers->gids);
	free(peers->networks);
	*peers = (struct bg_peers){ .listed = true };	/* nobody any more */
}

bool
bg_peers_want_unix(const struct bg_peers *peers)
{
	return !peers->listed || peers->unix_socket || peers->n_uids > 0 || peers->n_gids > 0;
}

bool
bg_peers_want_tcp(const struct bg_peers *peers)
{
	return !peers->listed || peers->n_networks > 0;
}

bool
bg_peers_have_networks(const struct bg_peers *peers)
{
	return peers->n_networks > 0;
}

bool
bg_peers_ask_who(const struct bg_peers *peers)
{
	return peers->listed && !peers->unix_socket;
}

static bool
admit_account(const struct bg_peers *peers, int fd, char *who, size_t size)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!bg_peers_ask_who(peers))
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof(peer)) {
		bg_format(who, size, "a process that the system does not tell");
		return false;
	}
	for (size_t i = 0; i < peers->n_uids; i++)
		if (peers->uids[i] == peer.uid)
			return true;
	for (size_t i = 0; i < peers->n_gids; i++)
		if (peers->gids[i] == peer.gid)
			return true;
	bg_format(who, size, "process %ld of user %lu, group %lu", (long)peer.pid, (unsigned long)peer.uid, (unsigned long)peer.gid);
	return false;
}

/* An address of IPv4 as ::ffff:0:0/96 has it, RFC 4291 section 2.5.5.2. */
static void
map_v4(const struct in_addr *v4, unsigned char out[16])
{
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, v4, 4);
}

static bool
is_loopback(const unsigned char address[16])
{
	static const unsigned char mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };

	return memcmp(address, &in6addr_loopback, 16) == 0 || memcmp(address, mapped, sizeof(mapped)) == 0;
}

static bool
admit_address(const struct bg_peers *peers, const unsigned char address[16], char *who, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (!peers->listed && is_loopback(address))
		return true;
	for (size_t i = 0; i < peers->n_networks; i++)
		if (bg_network_has(&peers->networks[i], address))
			return true;
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address))
		inet_ntop(AF_INET, address + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, address, text, sizeof(text));
	bg_format(who, size, "%s", text);
	return false;
}

bool
bg_peers_admit(const struct bg_peers *peers, int fd, const struct sockaddr *address, char *who, size_t size)
{
	unsigned char bytes[16];
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	switch (address->sa_family) {
	case AF_UNIX:
		return admit_account(peers, fd, who, size);
	case AF_INET:
		memcpy(&v4, address, sizeof(v4));
		map_v4(&v4.sin_addr, bytes);
		return admit_address(peers, bytes, who, size);
	case AF_INET6:
		memcpy(&v6, address, sizeof(v6));
		memcpy(bytes, &v6.sin6_addr, sizeof(bytes));
		return admit_address(peers, bytes, who, size);
	default:
		bg_format(who, size, "address family %d", address->sa_family);
		return false;
	}
}
