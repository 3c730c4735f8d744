#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

#include "core/io.h"
#include "core/json.h"
#include "core/secret.h"
#include "tool/issuer.h"
#include "tool/tool.h"

static const struct {
	const char *name;
	int       (*run)(int argc, char **argv);
	const char *what;
} verbs[] = {
	{ "check",  bg_verb_check,    "read the configuration as the daemon does and show what comes of it" },
	{ "doctor", bg_verb_doctor,   "ask a running server what it should refuse, and name the directive that is missing" },
	{ "init",   bg_verb_init,     "write the configuration of a web server, or of systemd, for this installation" },
	{ "keys",   bg_verb_keys,     "show each issuer's keys, their age and next refresh, or fetch them now" },
	{ "mint",   bg_verb_mint,     "make keys, key sets, tokens and proofs, for trying things without an issuer" },
};

#define REPORT_MAX	(1024 * 1024)	/* bytes of what is said about a configuration */

#define N_VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static void __attribute__((format(printf, 1, 0)))
say(const char *fmt, va_list ap, const char *more)
{
	(void)fputs("bearergate: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fprintf(stderr, "%s\n", more);
}

void
bg_verb_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, "");
	va_end(ap);
}

int
bg_verb_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, " (--help says more)");
	va_end(ap);
	return EX_USAGE;
}

int
bg_verb_bad_option(int c, char *const *argv, const struct option *longopts)
{
	const char *last = argv[optind - 1];
	const struct option *o;

	if (c == ':')
		return bg_verb_usage("%s needs a value", last);
	if (optopt == 0)
		return bg_verb_usage("unknown or ambiguous option %.*s", (int)strcspn(last, "="), last);
	for (o = longopts; o->name != NULL; o++)
		if (o->val == optopt)
			return bg_verb_usage("--%s takes no value", o->name);
	return bg_verb_usage("unknown option -%c", optopt);
}

static void
say_lines(struct bg_slice text)
{
	while (text.len > 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;

		if (len > 0)
			bg_verb_say("%.*s", (int)len, text.ptr);
		text = bg_slice_skip(text, end != NULL ? len + 1 : len);
	}
}

int
bg_verb_load(struct bg_conf **out, const struct bg_conf_sources *from)
{
	struct bg_error err = { 0 };
	struct bg_buf report;
	struct bg_slice text;
	int rc;

	bg_buf_init(&report, REPORT_MAX);
	rc = bg_conf_load(out, from, &report);
	if (bg_buf_finish(&report, &text, &err) != 0)
		bg_verb_say("the report is incomplete: %s", err.detail);
	else
		say_lines(text);
	bg_buf_clear(&report);
	return rc;
}

/* What is on its way to stdout must arrive: half a token looks like a whole one. */
static int
finish(void)
{
	if (ferror(stdout) == 0 && fflush(stdout) == 0)
		return EX_OK;
	bg_verb_say("standard output: %s", strerror(errno));
	return EX_IOERR;
}

int
bg_verb_print(struct bg_slice text)
{
	(void)fwrite(text.ptr, 1, text.len, stdout);
	return finish();
}

int
bg_verb_write(const char *path, struct bg_slice text, mode_t mode, bool replace)
{
	char tmp[PATH_MAX];
	bool made = false;
	struct stat st;
	int fd = -1, rc = EX_CANTCREAT;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		bg_verb_say("%s: it is there and no regular file", path);
		return rc;
	}
	if (strlen(path) + sizeof(".XXXXXX") > sizeof(tmp)) {
		bg_verb_say("%s: %s", path, strerror(ENAMETOOLONG));
		return rc;
	}
	bg_format(tmp, sizeof(tmp), "%s.XXXXXX", path);
	if ((fd = mkstemp(tmp)) < 0)	/* mode 0600 from the start */
		goto out;
	made = true;
	if (bg_write_all(fd, text) != 0 || fchmod(fd, mode) != 0 || fsync(fd) != 0)
		goto out;
	if (replace ? rename(tmp, path) != 0 : link(tmp, path) != 0)
		goto out;
	made = !replace;	/* a link leaves the first name to be taken away */
	rc = EX_OK;
out:
	if (rc != EX_OK && errno == EEXIST)
		bg_verb_say("%s: it is there already; -f replaces it", path);
	else if (rc != EX_OK)
		bg_verb_say("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (made)
		(void)unlink(tmp);
	return rc;
}

static int
help(void)
{
	(void)printf("usage: bearergate VERB [options]\n"
	    "       bearergate --help | --version\n\n");
	for (size_t i = 0; i < N_VERBS; i++)
		(void)printf("  %-8s %s\n", verbs[i].name, verbs[i].what);
	(void)printf("\n\"bearergate VERB --help\" says more about one of them, bearergate(1) about all.\n");
	return finish();
}

static int
version(void)
{
	(void)printf("bearergate %s\n%s\njansson %s\n", PACKAGE_VERSION, bg_secret_openssl_version(),
	    jansson_version_str());
	return finish();
}

int
main(int argc, char **argv)
{
	if (bg_json_start() != 0 || bg_secret_start() != 0) {
		bg_verb_say("the system has no random numbers, or OpenSSL does not take our allocator");
		return EX_OSERR;
	}
	if (argc < 2)
		return bg_verb_usage("a verb is needed");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return version();
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	if (argv[1][0] == '-')
		return bg_verb_usage("unknown option %.*s", (int)strcspn(argv[1], "="), argv[1]);
	return bg_verb_usage("unknown verb \"%s\"", argv[1]);
}
