#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/secret.h"
#include "tests/support/web.h"

/*
 * An issuer for shell tests: the files of a directory over https on 127.0.0.1, with a certificate for localhost made at
 * the start.  It prints "ask METHOD PATH" for a request when it was read, and "METHOD PATH STATUS" when all was done
 * for it: 000 when there was no answer.  Ends on SIGTERM or SIGINT.
 *
 * DIR/PATH is served with status 200, "Cache-Control: max-age" where --max-age says one, and an ETag; a request that
 * has this ETag in If-None-Match is answered 304.  A file DIR/PATH.how beside it, read anew at each request and best
 * put in place by rename, says what is to be different: see the table of words.  With it a missing DIR/PATH is an empty
 * one.  What is wrong in it is said on standard error and answered 500.  It is itself never served.
 */

#define FILE_MAX	(4 * 1024 * 1024)	/* above what bearergate-fetch takes, so that a test can send too much */
#define FILL_MAX	(64 * 1024 * 1024)
#define DELAY_MAX	(10 * 60 * 1000)	/* milliseconds */
#define HEADERS_MAX	(64 * 1024)
#define ETAG_MAX	128
#define NO_MAX_AGE	(-1)

static const struct option long_options[] = {
	{ "dir",       required_argument, NULL, 'd' },
	{ "ca",        required_argument, NULL, 'a' },
	{ "cert",      required_argument, NULL, 'C' },
	{ "cert-out",  required_argument, NULL, 'c' },
	{ "port-file", required_argument, NULL, 'f' },
	{ "port",      required_argument, NULL, 'p' },
	{ "max-age",   required_argument, NULL, 'm' },
	{ "tls-max",   required_argument, NULL, 't' },
	{ NULL,        0,                 NULL, 0 },
};

struct named {
	const char *name;
	int         value;
};

static const struct named certs[] = {
	{ "good",       BG_WEB_CERT_GOOD },
	{ "other-host", BG_WEB_CERT_OTHER_HOST },
	{ "expired",    BG_WEB_CERT_EXPIRED },
	{ "not-yet",    BG_WEB_CERT_NOT_YET },
	{ NULL,         0 },
};

static const struct named versions[] = {
	{ "1.0", TLS1_VERSION },
	{ "1.1", TLS1_1_VERSION },
	{ "1.2", TLS1_2_VERSION },
	{ "1.3", TLS1_3_VERSION },
	{ NULL,  0 },
};

static const struct named hows[] = {
	{ "whole",        BG_WEB_WHOLE },
	{ "chunked",      BG_WEB_CHUNKED },
	{ "until-close",  BG_WEB_UNTIL_CLOSE },
	{ "cut",          BG_WEB_CUT },
	{ "cut-chunked",  BG_WEB_CUT_CHUNKED },
	{ "drip",         BG_WEB_DRIP },
	{ "hang",         BG_WEB_HANG },
	{ "hang-in-body", BG_WEB_HANG_IN_BODY },
	{ "slam",         BG_WEB_SLAM },
	{ "raw",          BG_WEB_RAW },
	{ "raw-hang",     BG_WEB_RAW_HANG },
	{ NULL,           0 },
};

struct site {
	const char *dir;
	long        max_age;	/* seconds, or NO_MAX_AGE */
};

/* What a .how file makes of an answer. */
struct script {
	int             status;		/* 0: 200, or 304 */
	enum bg_web_how how;
	long            delay;		/* milliseconds */
	long            fill;		/* bytes */
	long            max_age;	/* seconds, or NO_MAX_AGE: that of the site, where the status is 200 */
	bool            no_etag;
	bool            cache_control;	/* one stands among the headers */
	char            etag[ETAG_MAX];	/* instead of the content's; empty: none said */
	struct bg_buf   headers;	/* each with its CR LF */
};

static int
usage(void)
{
	fputs("usage: serve --dir DIR --port-file FILE --cert-out FILE|--ca DIR [--port N]\n"
	    "    [--max-age SECONDS] [--cert good|other-host|expired|not-yet] [--tls-max 1.0|1.1|1.2|1.3]\n", stderr);
	return EX_USAGE;
}

/* The whole of a regular file on the heap; or NULL and errno, ENOENT when there is none. */
static char *
read_file(const char *path, size_t *len)
{
	struct stat st;
	char *body = NULL;
	size_t done = 0;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1) {
		errno = errno == ENOTDIR ? ENOENT : errno;
		return NULL;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX &&
	    (body = malloc((size_t)st.st_size + 1)) != NULL) {
		ssize_t n;

		while (done < (size_t)st.st_size && (n = read(fd, body + done, (size_t)st.st_size - done)) > 0)
			done += (size_t)n;
		body[done] = '\0';
		*len = done;
	}
	close(fd);
	if (body == NULL)
		errno = EFBIG;	/* or a directory, or no memory */
	return body;
}

static bool
read_number(const char *text, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= 0 && *out <= max;
}

static bool
read_name(const char *text, const struct named *table, int *out)
{
	for (; table->name != NULL; table++)
		if (strcmp(table->name, text) == 0) {
			*out = table->value;
			return true;
		}
	return false;
}

/*
 * The words of a .how file, one a line, each with the rest of its line.
 */

static bool
take_status(struct script *script, const char *rest)
{
	long status;

	if (!read_number(rest, 599, &status) || status < 200)
		return false;
	script->status = (int)status;
	return true;
}

static bool
take_redirect(struct script *script, const char *rest)
{
	script->status = 302;
	bg_buf_put_format(&script->headers, "Location: %s\r\n", rest);
	return rest[0] != '\0' && strchr(rest, ' ') == NULL;
}

static bool
take_how(struct script *script, const char *rest)
{
	int how;

	if (!read_name(rest, hows, &how))
		return false;
	script->how = (enum bg_web_how)how;
	return true;
}

static bool
take_delay(struct script *script, const char *rest)
{
	return read_number(rest, DELAY_MAX, &script->delay);
}

static bool
take_fill(struct script *script, const char *rest)
{
	return read_number(rest, FILL_MAX, &script->fill);
}

static bool
take_header(struct script *script, const char *rest)
{
	const char *colon = strchr(rest, ':');
	struct bg_slice name = { rest, colon != NULL ? (size_t)(colon - rest) : 0 };

	if (name.len == 0 || memchr(name.ptr, ' ', name.len) != NULL)
		return false;
	if (bg_slice_equal_nocase(name, BG_SLICE("ETag"))) {
		rest = colon + 1 + strspn(colon + 1, " ");
		return bg_format(script->etag, sizeof(script->etag), "%s", rest) == strlen(rest) && rest[0] != '\0';
	}
	if (bg_slice_equal_nocase(name, BG_SLICE("Cache-Control")))
		script->cache_control = true;
	bg_buf_put_format(&script->headers, "%s\r\n", rest);
	return true;
}

static bool
take_max_age(struct script *script, const char *rest)
{
	return read_number(rest, 2147483647, &script->max_age);
}

static bool
take_no_etag(struct script *script, const char *rest)
{
	script->no_etag = true;
	return rest[0] == '\0';
}

static const struct { const char *name; bool (*take)(struct script *script, const char *rest); } words[] = {
	{ "status",   take_status },	/* status 500; with "status 200" nothing is answered 304 */
	{ "redirect", take_redirect },	/* redirect https://...: Location, and status 302 unless another line says one */
	{ "how",      take_how },	/* how hang, or another name of the table above */
	{ "delay",    take_delay },	/* delay 1500: milliseconds from request to answer */
	{ "fill",     take_fill },	/* fill 2097152: so many bytes "x" behind the body */
	{ "header",   take_header },	/* header Name: value; Cache-Control, ETag and Content-Type instead of ours */
	{ "max-age",  take_max_age },	/* max-age 5: instead of --max-age */
	{ "no-etag",  take_no_etag },
};

static bool
take_line(struct script *script, char *line)
{
	char *rest = line + strcspn(line, " ");

	if (*rest != '\0')
		*rest++ = '\0';
	rest += strspn(rest, " ");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].name, line) == 0)
			return words[i].take(script, rest);
	return false;
}

/* What the .how file says, if there is one, which *scripted tells.  Returns false when it is wrong, and says so. */
static bool
read_script(const char *path, struct script *script, bool *scripted)
{
	size_t len = 0, number = 0;
	char *text = read_file(path, &len), *at = text, *line;
	bool good = true;

	*scripted = text != NULL;
	if (text == NULL) {
		if (errno != ENOENT)
			fprintf(stderr, "serve: %s: %s\n", path, strerror(errno));
		return errno == ENOENT;
	}
	if (strlen(text) != len) {
		fprintf(stderr, "serve: %s: a zero byte\n", path);
		good = false;
	}
	while (good && (line = strsep(&at, "\n")) != NULL) {
		char word[64];

		number++;
		bg_format(word, sizeof(word), "%s", line);
		if (line[0] != '\0' && !take_line(script, line)) {
			fprintf(stderr, "serve: %s: line %zu: not understood: %s\n", path, number, word);
			good = false;
		}
	}
	free(text);
	return good;
}

/* Does the request know this ETag?  Weakly compared: RFC 9110 sections 8.8.3.2 and 13.1.2. */
static bool
knows(const char *request, const char *etag)
{
	const char *line = strcasestr(request, "\r\nIf-None-Match:");
	struct bg_slice rest, wanted = bg_slice_str(etag);

	if (line == NULL)
		return false;
	line = strchr(line, ':') + 1;
	rest = (struct bg_slice){ line, strcspn(line, "\r") };
	if (bg_slice_starts(wanted, BG_SLICE("W/")))
		wanted = bg_slice_skip(wanted, 2);
	while (rest.len > 0) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		struct bg_slice one = { rest.ptr, comma != NULL ? (size_t)(comma - rest.ptr) : rest.len };

		rest = bg_slice_skip(rest, comma != NULL ? one.len + 1 : one.len);
		while (one.len > 0 && one.ptr[0] == ' ')
			one = bg_slice_skip(one, 1);
		while (one.len > 0 && one.ptr[one.len - 1] == ' ')
			one.len--;
		if (bg_slice_starts(one, BG_SLICE("W/")))
			one = bg_slice_skip(one, 2);
		if (bg_slice_equal(one, BG_SLICE("*")) || bg_slice_equal(one, wanted))
			return true;
	}
	return false;
}

static void
make_etag(char etag[ETAG_MAX], struct bg_slice body, long fill)
{
	unsigned char digest[BG_SHA256_LEN] = { 0 };
	struct bg_error err = { 0 };
	size_t at = 1;

	if (bg_sha256(body, digest, &err) != 0)
		fprintf(stderr, "serve: %s\n", err.detail);
	etag[0] = '"';
	for (size_t i = 0; i < 16; i++)
		at += bg_format(etag + at, ETAG_MAX - at, "%02x", (unsigned)digest[i]);
	if (fill > 0)
		at += bg_format(etag + at, ETAG_MAX - at, "-%ld", fill);
	bg_format(etag + at, ETAG_MAX - at, "\"");
}

/* The answer with this body, the max-age of the site, and what the script makes of them; body becomes the answer's. */
static void
make_answer(struct script *script, long max_age, const char *request, char *body, size_t len,
    struct bg_web_answer *answer)
{
	bool good = script->status == 0 || script->status == 200;
	struct bg_error err = { 0 };
	struct bg_slice headers;

	*answer = (struct bg_web_answer){
		.status = script->status, .body = body, .body_len = len, .how = script->how, .delay = (int)script->delay,
		.fill = (size_t)script->fill,
	};
	if (script->max_age != NO_MAX_AGE)
		max_age = script->max_age;
	else if (!good || script->cache_control)
		max_age = NO_MAX_AGE;
	if (max_age != NO_MAX_AGE)
		bg_buf_put_format(&script->headers, "Cache-Control: max-age=%ld\r\n", max_age);
	if (good && !script->no_etag) {
		if (script->etag[0] == '\0')
			make_etag(script->etag, (struct bg_slice){ body != NULL ? body : "", len }, script->fill);
		bg_buf_put_format(&script->headers, "ETag: %s\r\n", script->etag);
		if (script->status == 0 && knows(request, script->etag)) {
			free(body);
			answer->status = 304;
			answer->body = NULL;
			answer->body_len = answer->fill = 0;
		}
	}
	if (bg_buf_finish(&script->headers, &headers, &err) != 0) {
		fprintf(stderr, "serve: headers: %s\n", err.detail);
		answer->status = 500;
		bg_buf_clear(&script->headers);
		return;
	}
	answer->headers = headers.ptr;	/* moved to the answer */
}

/* A file of the directory, under its own name: no query, nothing encoded, no way up. */
static bool
find(void *arg, const char *path, const char *request, struct bg_web_answer *answer)
{
	const struct site *site = arg;
	struct script script = { .max_age = NO_MAX_AGE };
	size_t path_len = strlen(path), len = 0;
	char file[4096], how[sizeof(file) + 8];
	bool scripted;
	char *body;

	if (path[0] != '/' || strstr(path, "/..") != NULL || strpbrk(path, "%?#") != NULL ||
	    (path_len >= 4 && strcmp(path + path_len - 4, ".how") == 0) ||
	    snprintf(file, sizeof(file), "%s%s", site->dir, path) >= (int)sizeof(file))
		return false;
	bg_format(how, sizeof(how), "%s.how", file);
	bg_buf_init(&script.headers, HEADERS_MAX);
	if (!read_script(how, &script, &scripted)) {
		answer->status = 500;
		bg_buf_clear(&script.headers);
		return true;
	}
	body = read_file(file, &len);
	if (body == NULL && !scripted)
		return false;
	make_answer(&script, site->max_age, request, body, len, answer);
	return true;
}

static void
arrived(void *arg, const char *method, const char *path)
{
	(void)arg;
	printf("ask %s %s\n", method, path);
	fflush(stdout);
}

static void
asked(void *arg, const char *method, const char *path, int status)
{
	(void)arg;
	printf("%s %s %03d\n", method, path, status);
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

int
main(int argc, char *argv[])
{
	struct site site = { .max_age = NO_MAX_AGE };
	struct bg_web_options options = { .find = find, .arrived = arrived, .asked = asked, .arg = &site };
	const char *port_file = NULL;
	struct bg_web *web;
	struct stat st;
	long number;
	sigset_t ends;
	int option, named, received, rc = 0;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		switch (option) {
		case 'd':
			site.dir = optarg;
			break;
		case 'c':
			options.ca_file = optarg;
			break;
		case 'a':
			options.ca_dir = optarg;
			break;
		case 'C':
			if (!read_name(optarg, certs, &named))
				return usage();
			options.cert = (enum bg_web_cert)named;
			break;
		case 't':
			if (!read_name(optarg, versions, &options.max_tls))
				return usage();
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
			if (!read_number(optarg, 2147483647, &site.max_age))
				return usage();
			break;
		default:
			return usage();
		}
	if (optind != argc || site.dir == NULL || (options.ca_file == NULL && options.ca_dir == NULL) ||
	    port_file == NULL)
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
