#include "fcgi/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/account.h"

/* Whom user and group mean. */
struct whom {
	struct bg_user user;
	gid_t          gid;
};

static int
fail_errno(struct bg_error *err, const struct bg_conf *conf, const char *what)
{
	bg_fail(err, BG_R_INTERNAL, "user \"%s\": %s: %s", conf->user, what, strerror(errno));
	return errno == EPERM ? EX_NOPERM : EX_OSERR;
}

static int
find(const struct bg_conf *conf, struct whom *out, struct bg_error *err)
{
	const char *wrong = bg_account_user(conf->user, &out->user);

	out->gid = out->user.gid;
	if (wrong == NULL && !out->user.known && conf->group == NULL)
		wrong = "is no user of this system, and group is not said";
	if (wrong != NULL) {
		bg_fail(err, BG_R_INTERNAL, "user \"%s\" %s", conf->user, wrong);
		return EX_CONFIG;
	}
	if (conf->group != NULL && (wrong = bg_account_group(conf->group, &out->gid)) != NULL) {
		bg_fail(err, BG_R_INTERNAL, "group \"%s\" %s", conf->group, wrong);
		return EX_CONFIG;
	}
	return 0;
}

bool
bg_privileges_are_surplus(const struct bg_conf *conf)
{
	return geteuid() == 0 && conf->user != NULL;
}

int
bg_privileges_check(const struct bg_conf *conf, struct bg_error *err)
{
	struct whom whom;
	int code;

	if (conf->user == NULL)
		return 0;
	if ((code = find(conf, &whom, err)) != 0)
		return code;
	if (geteuid() == 0 && whom.user.uid != 0)
		return 0;
	if (geteuid() == 0) {
		bg_fail(err, BG_R_INTERNAL, "user \"%s\" is root", conf->user);
		return EX_CONFIG;
	}
	if (whom.user.uid != geteuid()) {
		bg_fail(err, BG_R_INTERNAL, "user \"%s\": only root can become another user, and this is user %u", conf->user,
		    (unsigned)geteuid());
		return EX_NOPERM;
	}
	if (conf->group != NULL && whom.gid != getegid()) {
		bg_fail(err, BG_R_INTERNAL, "group \"%s\": only root can become another group, and this is group %u", conf->group,
		    (unsigned)getegid());
		return EX_NOPERM;
	}
	return 0;
}

void
bg_privileges_make_log(const struct bg_conf *conf)
{
	struct whom whom;
	int fd;

	if (!bg_privileges_are_surplus(conf) || conf->log[0] != '/' || find(conf, &whom, NULL) != 0)
		return;
	/* O_EXCL takes no link for a file. */
	fd = open(conf->log, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd == -1)
		return;
	(void)!fchown(fd, whom.user.uid, whom.gid);	/* bg_privileges_look tells */
	close(fd);
}

/* None of the calling thread; without those of root that is so already, unless somebody has set securebits. */
static bool
drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return syscall(SYS_capset, &header, none) == 0;
}

/* Is this what we are, and is there no way back to what we were? */
static bool
is_settled(const struct whom *whom, gid_t was)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != whom->user.uid || gid[i] != whom->gid)
			return false;
	return setuid(0) == -1 && seteuid(0) == -1 && setresuid((uid_t)-1, 0, (uid_t)-1) == -1 &&
	    (was == whom->gid || (setgid(was) == -1 && setegid(was) == -1)) && setgroups(0, NULL) == -1;
}

int
bg_privileges_drop(const struct bg_conf *conf, struct bg_error *err)
{
	gid_t was = getegid();
	struct whom whom;
	int code;

	if ((code = bg_privileges_check(conf, err)) != 0)
		return code;
	if (!bg_privileges_are_surplus(conf))
		return 0;
	if ((code = find(conf, &whom, err)) != 0)
		return code;
	if (whom.user.known ? initgroups(whom.user.name, whom.gid) != 0 : setgroups(1, &whom.gid) != 0)
		return fail_errno(err, conf, "cannot take its groups");
	if (setresgid(whom.gid, whom.gid, whom.gid) != 0)
		return fail_errno(err, conf, "cannot become its group");
	if (setresuid(whom.user.uid, whom.user.uid, whom.user.uid) != 0)
		return fail_errno(err, conf, "cannot become it");
	if (!drop_capabilities())
		return fail_errno(err, conf, "cannot give up capabilities");
	if (!is_settled(&whom, was)) {
		bg_fail(err, BG_R_INTERNAL, "user \"%s\": the system lets us be root again", conf->user);
		return EX_OSERR;
	}
	prctl(PR_SET_DUMPABLE, 0);	/* SR-85: the kernel gives it another value with the user */
	return 0;
}

static int
cannot(const struct bg_conf *conf, const char *option, const char *path, const char *file, struct bg_error *err)
{
	bg_fail(err, BG_R_INTERNAL, "%s %s%s%s: user \"%s\" cannot use it: %s", option, path, file != NULL ? "/" : "",
	    file != NULL ? file : "", conf->user, strerror(errno));
	return EX_NOPERM;
}

/* The directory, and what another user has left there. */
static int
look_into(const struct bg_conf *conf, const char *option, const char *path, struct bg_error *err)
{
	struct dirent *entry;
	int code = 0;
	DIR *dir;

	if (access(path, R_OK | W_OK | X_OK) != 0 || (dir = opendir(path)) == NULL)
		return cannot(conf, option, path, NULL, err);
	while (code == 0 && (entry = readdir(dir)) != NULL)
		if (faccessat(dirfd(dir), entry->d_name, R_OK, AT_SYMLINK_NOFOLLOW) != 0 && strcmp(entry->d_name, "..") != 0 &&
		    errno != ENOENT)
			code = cannot(conf, option, path, entry->d_name, err);
	closedir(dir);
	return code;
}

int
bg_privileges_look(const struct bg_conf *conf, struct bg_error *err)
{
	int fd;

	if (conf->user == NULL)
		return 0;
	if (conf->log[0] == '/') {
		fd = open(conf->log, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd == -1)
			return cannot(conf, "log", conf->log, NULL, err);
		close(fd);
	}
	return conf->cache_dir != NULL ? look_into(conf, "cache_dir", conf->cache_dir, err) : 0;
}
