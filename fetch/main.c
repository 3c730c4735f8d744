#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "core/etag.h"
#include "core/filter.h"
#include "core/io.h"
#include "core/limits.h"
#include "core/url.h"
#include "fetch/https.h"
#include "fetch/sandbox.h"

#define TIMEOUT_DEFAULT	5	/* seconds (SR-52) */
#define TIMEOUT_MAX	3600
#define CPU_MAX		10	/* seconds of computing; a handshake and half a megabyte take a hundredth of one */
#define HEAD_MAX	(BG_ETAG_MAX + 128)	/* bytes of "name: value" lines in front of the document */
#define URL_SHOWN	200	/* bytes of a URL in a message, so that the reason behind it is not cut off */

static const char short_options[] = "C:D:E:hiPt:Vx:";
static const struct option long_options[] = {
	{ "ca-dir",  required_argument, NULL, 'D' },
	{ "ca-file", required_argument, NULL, 'C' },
	{ "etag",    required_argument, NULL, 'E' },
	{ "help",    no_argument,       NULL, 'h' },
	{ "include", no_argument,       NULL, 'i' },
	{ "proxy",   required_argument, NULL, 'x' },
	{ "public",  no_argument,       NULL, 'P' },
	{ "timeout", required_argument, NULL, 't' },
	{ "version", no_argument,       NULL, 'V' },
	{ NULL,      0,                 NULL, 0 },
};

static const char usage[] =
    "usage: bearergate-fetch [-iP] [-C ca_file] [-D ca_dir] [-E etag] [-t seconds] [-x proxy] URL\n";

/* Text that a stranger may have chosen, fit for a terminal and for one line of a log. */
static void
put_escaped(struct bg_buf *line, const char *text, size_t max)
{
	size_t i;

	for (i = 0; text[i] != '\0' && i < max; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			bg_buf_put_char(line, (char)c);
		else
			bg_buf_put_format(line, "\\x%02x", c);
	}
	if (text[i] != '\0')
		bg_buf_put_str(line, "...");
}

/* Say in one line why there is no document, and return the exit code. */
static int
complain(int exit_code, const char *about, const char *why)
{
	struct bg_slice text;
	struct bg_buf line;

	bg_buf_init(&line, 4096);
	bg_buf_put_str(&line, "bearergate-fetch: ");
	put_escaped(&line, about, URL_SHOWN);
	bg_buf_put_str(&line, ": ");
	put_escaped(&line, why, BG_DETAIL_MAX);
	bg_buf_put_char(&line, '\n');
	if (bg_buf_finish(&line, &text, NULL) == 0)
		(void)bg_write_all(STDERR_FILENO, text);
	bg_buf_clear(&line);
	return exit_code;
}

/*
 * Leave behind what whoever started us had: descriptors, and the environment, by which libcurl, OpenSSL and the
 * resolver would take orders: proxies, SSL_CERT_FILE, SSLKEYLOGFILE, OPENSSL_CONF, RES_OPTIONS (SR-87).
 */
static int
forget_caller(void)
{
	closefrom(STDERR_FILENO + 1);
	/* A missing descriptor would be the next socket's number.  Open for reading, output to it fails. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDONLY) != fd)
			return -1;
	/* A peer that closes early is an error code, not a death. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -1;
	return clearenv() == 0 ? 0 : -1;
}

static int
lower_limit(int resource, rlim_t max)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0)
		return -1;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > max)
		limit.rlim_max = max;
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit);
}

static bool
is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Give up what one download does not need, before the first byte of a stranger arrives (SR-90). */
static int
give_up_powers(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0 || prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) != 0 ||
	    lower_limit(RLIMIT_CORE, 0) != 0 || lower_limit(RLIMIT_CPU, CPU_MAX) != 0)
		return -1;
	/* Pipes and sockets have no size; somebody's "> keys.json" has, and stays allowed. */
	if (!is_regular(STDOUT_FILENO) && !is_regular(STDERR_FILENO) && lower_limit(RLIMIT_FSIZE, 0) != 0)
		return -1;
	return bg_sandbox_enter();
}

/* A whole number of seconds from 1 to TIMEOUT_MAX, digits alone (SR-53). */
static bool
read_timeout(const char *text, int64_t *seconds)
{
	int64_t n = 0;

	if (text[0] == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (*text - '0');
		if (n > TIMEOUT_MAX)
			return false;
	}
	*seconds = n;
	return n > 0;
}

/*
 * May this file or directory be read, and is it of that type, S_IFREG or S_IFDIR?  libcurl would look only when it is
 * connected, and call a missing one a matter of TLS.
 */
static int
check_authorities(const char *path, mode_t type)
{
	struct stat st;
	int fd, rc = -1;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) == -1)
		return -1;
	if (fstat(fd, &st) == 0) {
		if ((st.st_mode & S_IFMT) == type)
			rc = 0;
		else
			errno = type == S_IFDIR ? ENOTDIR : S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	}
	close(fd);
	return rc;
}

/* What is known about the document, and the empty line. */
static void
put_head(struct bg_buf *head, const struct bg_https_answer *answer)
{
	if (answer->max_age >= 0)
		bg_buf_put_format(head, "max-age: %" PRId64 "\n", answer->max_age);
	if (answer->etag[0] != '\0')
		bg_buf_put_format(head, "etag: %s\n", answer->etag);
	if (answer->not_modified)
		bg_buf_put_str(head, "not-modified: yes\n");
	if (answer->private_peer)
		bg_buf_put_str(head, "address: private\n");
	bg_buf_put_char(head, '\n');
}

/* Fetch first, print then: of an answer that is not good to its end, nothing is printed. */
static int
run(const struct bg_https_request *request, bool include)
{
	struct bg_error err = { .reason = BG_R_OK };
	struct bg_buf head, body;
	struct bg_https_answer answer;
	struct bg_slice head_text, body_text;
	int rc;

	bg_buf_init(&head, HEAD_MAX);
	bg_buf_init(&body, BG_FETCH_MAX);
	if ((rc = bg_https_get(request, &body, &answer, &err)) != 0) {
		complain(rc, request->url, err.detail);
		goto out;
	}
	if (include)
		put_head(&head, &answer);
	if (bg_buf_finish(&head, &head_text, &err) != 0 || bg_buf_finish(&body, &body_text, &err) != 0)
		rc = complain(EX_OSERR, request->url, err.detail);
	else if (bg_write_all(STDOUT_FILENO, head_text) != 0 || bg_write_all(STDOUT_FILENO, body_text) != 0)
		rc = complain(EX_IOERR, "standard output", strerror(errno));
out:
	bg_buf_clear(&body);
	bg_buf_clear(&head);
	return rc;
}

static int
show_version(void)
{
	char text[1024];
	size_t len = bg_format(text, sizeof(text), "bearergate-fetch " PACKAGE_VERSION "\nsystem call filter: %s\n%s\n",
	    bg_filter_kind, bg_https_version());

	return bg_write_all(STDOUT_FILENO, (struct bg_slice){ text, len }) == 0 ? 0 : EX_IOERR;
}

int
main(int argc, char *argv[])
{
	struct bg_https_request request = { .timeout = TIMEOUT_DEFAULT };
	const char *wrong;
	bool include = false;
	int option;

	if (forget_caller() != 0)
		return complain(EX_OSERR, "start", strerror(errno));
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
		switch (option) {
		case 'C':
			request.ca_file = optarg;
			break;
		case 'D':
			request.ca_dir = optarg;
			break;
		case 'E':
			if (!bg_etag_good(bg_slice_str(optarg)))
				return complain(EX_USAGE, optarg, "an entity tag stands in double quotes, perhaps behind W/");
			request.etag = optarg;
			break;
		case 'h':
			return bg_write_all(STDOUT_FILENO, bg_slice_str(usage)) == 0 ? 0 : EX_IOERR;
		case 'i':
			include = true;
			break;
		case 'P':
			request.public_only = true;
			break;
		case 't':
			if (!read_timeout(optarg, &request.timeout))
				return complain(EX_USAGE, optarg, "the time limit is a whole number of seconds, 1 to 3600");
			break;
		case 'V':
			return show_version();
		case 'x':
			if ((wrong = bg_url_proxy_wrong(bg_slice_str(optarg))) != NULL)
				return complain(EX_USAGE, "proxy", wrong);	/* not shown: it may have a password in it */
			request.proxy = optarg;
			break;
		default:
			(void)bg_write_all(STDERR_FILENO, bg_slice_str(usage));
			return EX_USAGE;
		}
	if (argc - optind != 1) {
		(void)bg_write_all(STDERR_FILENO, bg_slice_str(usage));
		return EX_USAGE;
	}
	request.url = argv[optind];
	if ((wrong = bg_url_wrong(bg_slice_str(request.url), true)) != NULL)
		return complain(EX_USAGE, request.url, wrong);
	if (request.ca_file != NULL && check_authorities(request.ca_file, S_IFREG) != 0)
		return complain(EX_NOINPUT, request.ca_file, strerror(errno));
	if (request.ca_dir != NULL && check_authorities(request.ca_dir, S_IFDIR) != 0)
		return complain(EX_NOINPUT, request.ca_dir, strerror(errno));
	if (give_up_powers() != 0)
		return complain(EX_OSERR, "start", strerror(errno));
	return run(&request, include);
}
