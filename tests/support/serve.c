#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/support/web.h"

/*
 * An issuer for shell tests: the files of a directory over https on 127.0.0.1, with a certificate for localhost made at
 * the start.  One line for each request on standard output; ends on SIGTERM or SIGINT.
 */

#define FILE_MAX	(4 * 1024 * 1024)	/* above what bearergate-fetch takes, so that a test can send too much */

static const struct option long_options[] = {
	{ "dir",       required_argument, NULL, 'd' },
	{ "cert-out",  required_argument, NULL, 'c' },
	{ "port-file", required_argument, NULL, 'f' },
	{ "port",      required_argument, NULL, 'p' },
	{ "max-age",   required_argument, NULL, 'm' },
	{ NULL,        0,                 NULL, 0 },
};

struct site {
	const char *dir;
	char        headers[64];
};

static int
usage(void)
{
	fputs("usage: serve --dir DIR --cert-out FILE --port-file FILE [--port N] [--max-age SECONDS]\n", stderr);
	return EX_USAGE;
}

/* The whole of a regular file on the heap, or NULL. */
static char *
read_file(const char *path, size_t *len)
{
	struct stat st;
	char *body = NULL;
	size_t done = 0;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX &&
	    (body = malloc((size_t)st.st_size + 1)) != NULL) {
		ssize_t n;

		while (done < (size_t)st.st_size && (n = read(fd, body + done, (size_t)st.st_size - done)) > 0)
			done += (size_t)n;
		body[done] = '\0';
		*len = done;
	}
	close(fd);
	return body;
}

/* A file of the directory, under its own name: no query, nothing encoded, no way up. */
static bool
find(void *arg, const char *path, char **body, size_t *len, const char **headers)
{
	const struct site *site = arg;
	char file[4096];

	if (path[0] != '/' || strstr(path, "/..") != NULL || strpbrk(path, "%?#") != NULL ||
	    snprintf(file, sizeof(file), "%s%s", site->dir, path) >= (int)sizeof(file))
		return false;
	*headers = site->headers;
	return (*body = read_file(file, len)) != NULL;
}

static void
asked(void *arg, const char *method, const char *path, int status)
{
	(void)arg;
	printf("%s %s %d\n", method, path, status);
	fflush(stdout);
}

/* By rename, so that who waits for the file never reads half a number. */
static int
write_port(const char *path, int port)
{
	char tmp[4096];
	FILE *file;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((file = fopen(tmp, "we")) == NULL)
		return -1;
	if (fprintf(file, "%d\n", port) < 0) {
		fclose(file);
		return -1;
	}
	return fclose(file) == 0 ? rename(tmp, path) : -1;
}

static bool
read_number(const char *text, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= 0 && *out <= max;
}

int
main(int argc, char *argv[])
{
	struct site site = { .dir = NULL };
	struct bg_web_options options = { .find = find, .asked = asked, .arg = &site };
	const char *port_file = NULL;
	struct bg_web *web;
	struct stat st;
	long number;
	sigset_t ends;
	int option, received, rc = 0;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (option) {
		case 'd':
			site.dir = optarg;
			break;
		case 'c':
			options.ca_file = optarg;
			break;
		case 'f':
			port_file = optarg;
			break;
		case 'p':
			if (!read_number(optarg, 65535, &number))
				return usage();
			options.port = (int)number;
			break;
		case 'm':
			if (!read_number(optarg, 2147483647, &number))
				return usage();
			snprintf(site.headers, sizeof(site.headers), "Cache-Control: max-age=%ld\r\n", number);
			break;
		default:
			return usage();
		}
	if (optind != argc || site.dir == NULL || options.ca_file == NULL || port_file == NULL)
		return usage();

	if (stat(site.dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
		fprintf(stderr, "serve: %s: not a directory\n", site.dir);
		return EX_NOINPUT;
	}
	/* Blocked before the first thread, so that the signal waits for us even when it comes at once. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	web = bg_web_start(&options);
	if (write_port(port_file, bg_web_port(web)) != 0) {
		fprintf(stderr, "serve: %s: %s\n", port_file, strerror(errno));
		rc = EX_CANTCREAT;
	} else
		sigwait(&ends, &received);
	bg_web_stop(web);
	return rc;
}
