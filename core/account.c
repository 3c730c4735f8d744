#include "core/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "core/buf.h"

#define ROOM_FIRST	1024
#define ROOM_MAX	(1024 * 1024)	/* of a row: a group with all members of a large site has some 100 KiB */

/* UINT32_MAX is what chown(2) and setresuid(2) take for "as it is". */
static const char *
read_number(const char *text, id_t *out)
{
	unsigned long long n = 0;

	for (const char *p = text; *p != '\0'; p++)
		if ((n = n * 10 + (unsigned long long)(*p - '0')) >= UINT32_MAX)
			return "is too large for a number";
	*out = (id_t)n;
	return NULL;
}

static bool
is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* Look something up in a room that grows until the row has its place.  Returns 0 and whether it was found, or an errno. */
static int
look_up(int (*ask)(const void *key, char *room, size_t size, void *out, bool *found), const void *key, void *out, bool *found)
{
	size_t size = ROOM_FIRST;
	char *room = NULL, *grown;
	int error;

	*found = false;
	do {
		if ((grown = realloc(room, size)) == NULL) {
			free(room);
			return ENOMEM;
		}
		room = grown;
		error = ask(key, room, size, out, found);
		size *= 2;
	} while (error == EINTR || (error == ERANGE && size <= ROOM_MAX));
	free(room);
	/* getpwnam(3) names these as ways to say that there is none */
	return error == ENOENT || error == ESRCH || error == EBADF || error == EPERM ? 0 : error;
}

static int
took_user(int error, const struct passwd *row, void *out, bool *found)
{
	struct bg_user *user = out;

	if (error != 0 || row == NULL)
		return error;
	if (strlen(row->pw_name) >= sizeof(user->name))
		return ENAMETOOLONG;
	user->uid = row->pw_uid;
	user->gid = row->pw_gid;
	bg_format(user->name, sizeof(user->name), "%s", row->pw_name);
	*found = true;
	return 0;
}

static int
ask_user_name(const void *key, char *room, size_t size, void *out, bool *found)
{
	struct passwd row, *result = NULL;
	int error = getpwnam_r(key, &row, room, size, &result);

	return took_user(error, result, out, found);
}

static int
ask_user_number(const void *key, char *room, size_t size, void *out, bool *found)
{
	struct passwd row, *result = NULL;
	int error = getpwuid_r(*(const uid_t *)key, &row, room, size, &result);

	return took_user(error, result, out, found);
}

static int
ask_group_name(const void *key, char *room, size_t size, void *out, bool *found)
{
	struct group row, *result = NULL;
	int error = getgrnam_r(key, &row, room, size, &result);

	if (error == 0 && result != NULL) {
		*(gid_t *)out = row.gr_gid;
		*found = true;
	}
	return error;
}

const char *
bg_account_user(const char *text, struct bg_user *out)
{
	const char *wrong;
	id_t number;
	int error;

	*out = (struct bg_user){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	if (!is_number(text)) {
		error = look_up(ask_user_name, text, out, &out->known);
		return error != 0 ? "cannot be looked up just now" : !out->known ? "is no user of this system" : NULL;
	}
	if ((wrong = read_number(text, &number)) != NULL)
		return wrong;
	out->uid = (uid_t)number;
	error = look_up(ask_user_number, &out->uid, out, &out->known);
	return error != 0 ? "cannot be looked up just now" : NULL;
}

const char *
bg_account_group(const char *text, gid_t *out)
{
	const char *wrong;
	id_t number;
	bool found;

	*out = (gid_t)-1;
	if (is_number(text)) {
		if ((wrong = read_number(text, &number)) == NULL)
			*out = (gid_t)number;
		return wrong;
	}
	if (look_up(ask_group_name, text, out, &found) != 0)
		return "cannot be looked up just now";
	return found ? NULL : "is no group of this system";
}
