/*
 * Many clients of a web server at once, who keep their connections and ask again as soon as they are answered: for servers.sh.
 *
 *	clients [-c CONNECTIONS] [-s SECONDS] [-w WARM-UP] [-t TOKENS] [-e WORDS] [-p PID]... PORT PATH
 *
 * The tokens of a file, one in a line, go round; every answer has to be 200 with these words in its body, and one that is not
 * ends the program with status 1.  It prints in one line: answers per second; microseconds of CPU for each that the processes
 * PID and all their descendants had; the median of what a client waited, and what 99 of 100 waited at most, in microseconds;
 * and how much of a processor these clients had themselves, in per cent: at 100 it is they who are measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/limits.h"
#include "tests/bench/bench.h"
#include "tests/bench/cpu.h"

#define CONNECTIONS_MAX	1000
#define PIDS_MAX	8
#define ANSWER_MAX	(16 * 1024)
#define PATIENCE	10		/* seconds without any answer */
#define BATCH		64

struct client {
	int    fd;
	double asked;			/* microseconds */
	size_t len;			/* of what has come of the answer */
	char   answer[ANSWER_MAX + 1];
};

static struct client *clients;
static struct sockaddr_in server;
static struct bg_buf *requests;
static size_t n_requests, next_request;
static const char *path, *words = "";
static long pids[PIDS_MAX];
static size_t n_pids;
static double *took;			/* microseconds */
static size_t n_took, took_max;

static _Noreturn void BG_PRINTF(1, 2)
end(const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "clients: %s: ", path);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static _Noreturn void
usage(void)
{
	(void)fputs("usage: clients [-c CONNECTIONS] [-s SECONDS] [-w WARM-UP] [-t TOKENS] [-e WORDS] [-p PID]... PORT PATH\n",
	    stderr);
	exit(EX_USAGE);
}

static double
own_us(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static double
servers_us(void)
{
	double sum = 0;

	for (size_t i = 0; i < n_pids; i++)
		sum += bg_bench_cpu(pids[i]);
	return sum / 1e3;
}

/* As a client that is a program sends it; token NULL: without one. */
static void
add_request(const char *token)
{
	struct bg_buf *request;

	if ((requests = realloc(requests, (n_requests + 1) * sizeof(*requests))) == NULL)
		end("no memory");
	request = &requests[n_requests++];
	bg_buf_init(request, BG_TOKEN_MAX + 4096);
	bg_buf_put_format(request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: clients\r\nAccept: */*\r\n", path,
	    ntohs(server.sin_port));
	if (token != NULL)
		bg_buf_put_format(request, "Authorization: Bearer %s\r\n", token);
	bg_buf_put_format(request, "\r\n");
	if (request->failed)
		end("a token that is too long, or no memory");
}

static void
read_tokens(const char *name)
{
	FILE *file = fopen(name, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (file == NULL)
		end("%s: %s", name, strerror(errno));
	while ((len = getline(&line, &size, file)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		add_request(line);
	}
	if (n_requests == 0)
		end("%s: no token", name);
	free(line);
	(void)fclose(file);
}

static void
ask(struct client *client)
{
	const struct bg_buf *request = &requests[next_request++ % n_requests];

	/* A request fits into the buffer of a socket that holds nothing else, so this waits for nobody. */
	client->len = 0;
	client->asked = bg_bench_now_us();
	if (send(client->fd, request->data, request->len, MSG_NOSIGNAL) != (ssize_t)request->len)
		end("send: %s", strerror(errno));
}

static void
begin(struct client *client, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
	int one = 1;

	if ((client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
	    connect(client->fd, (const struct sockaddr *)&server, sizeof(server)) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		end("port %d: %s", ntohs(server.sin_port), strerror(errno));
	ask(client);
}

/* Is the answer whole?  A wrong one ends all.  closes: the server will close the connection. */
static bool
answered(const struct client *client, bool *closes)
{
	const char *body = strstr(client->answer, "\r\n\r\n"), *length, *connection;
	size_t have, want;

	if (body == NULL)
		return false;
	body += strlen("\r\n\r\n");
	if (strncmp(client->answer, "HTTP/1.1 200 ", strlen("HTTP/1.1 200 ")) != 0)
		end("a wrong answer:\n%s", client->answer);
	if ((length = strcasestr(client->answer, "\r\nContent-Length:")) == NULL || length >= body)
		end("an answer without a length:\n%s", client->answer);
	want = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
	have = client->len - (size_t)(body - client->answer);
	if (have > want)
		end("more than one answer:\n%s", client->answer);
	if (have < want)
		return false;
	if (strstr(body, words) == NULL)
		end("no \"%s\" in an answer:\n%s", words, client->answer);
	connection = strcasestr(client->answer, "\r\nConnection: close\r\n");
	*closes = connection != NULL && connection < body;
	return true;
}

static void
remember(double us)
{
	if (n_took == took_max && (took = realloc(took, (took_max = took_max * 2 + 1024) * sizeof(*took))) == NULL)
		end("no memory");
	took[n_took++] = us;
}

static void
take(struct client *client, int epoll)
{
	ssize_t n = recv(client->fd, client->answer + client->len, ANSWER_MAX - client->len, MSG_DONTWAIT);
	bool closes = false;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		end("no answer: %s", n == 0 ? "the connection was closed" : strerror(errno));
	client->len += (size_t)n;
	client->answer[client->len] = '\0';
	if (!answered(client, &closes)) {
		if (client->len == ANSWER_MAX)
			end("an answer of more than %d bytes", ANSWER_MAX);
		return;
	}
	remember(bg_bench_now_us() - client->asked);
	if (closes) {
		close(client->fd);
		begin(client, epoll);
	} else
		ask(client);
}

static void
run_until(double until, int epoll)
{
	struct epoll_event events[BATCH];
	int n;

	while (bg_bench_now_us() < until) {
		n = epoll_wait(epoll, events, BATCH, PATIENCE * 1000);
		if (n == 0)
			end("no answer for %d seconds", PATIENCE);
		for (int i = 0; i < n; i++)
			take(events[i].data.ptr, epoll);
	}
}

static double
number(const char *text, double least, double most)
{
	char *rest;
	double value = strtod(text, &rest);

	if (*rest != '\0' || !(value >= least && value <= most))
		usage();
	return value;
}

int
main(int argc, char **argv)
{
	double seconds = 2, warm_up = 0.3, from, own, cpu;
	const char *tokens = NULL;
	long n_clients = 32;
	int c, epoll;

	while ((c = getopt(argc, argv, "c:s:w:t:e:p:")) != -1)
		switch (c) {
		case 'c': n_clients = (long)number(optarg, 1, CONNECTIONS_MAX); break;
		case 's': seconds = number(optarg, 0.1, 600); break;
		case 'w': warm_up = number(optarg, 0, 600); break;
		case 't': tokens = optarg; break;
		case 'e': words = optarg; break;
		case 'p':
			if (n_pids == PIDS_MAX)
				usage();
			pids[n_pids++] = (long)number(optarg, 1, 1e9);
			break;
		default:
			usage();
		}
	if (argc - optind != 2)
		usage();
	server.sin_family = AF_INET;
	server.sin_port = htons((in_port_t)number(argv[optind], 1, 65535));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path = argv[optind + 1];
	if (tokens != NULL)
		read_tokens(tokens);
	else
		add_request(NULL);
	if ((clients = calloc((size_t)n_clients, sizeof(*clients))) == NULL || (epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		end("no memory");

	for (long i = 0; i < n_clients; i++)
		begin(&clients[i], epoll);
	run_until(bg_bench_now_us() + warm_up * 1e6, epoll);
	n_took = 0;
	cpu = servers_us();
	own = own_us();
	from = bg_bench_now_us();
	run_until(from + seconds * 1e6, epoll);
	seconds = (bg_bench_now_us() - from) / 1e6;
	own = own_us() - own;
	cpu = servers_us() - cpu;
	if (n_took == 0)
		end("no answer");
	(void)printf("%.1f %.2f", (double)n_took / seconds, cpu / (double)n_took);
	(void)printf(" %.0f", bg_bench_median(took, n_took));	/* puts them in order */
	(void)printf(" %.0f %.0f\n", took[n_took * 99 / 100], own / seconds / 1e4);
	return EXIT_SUCCESS;
}
