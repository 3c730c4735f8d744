/*
 * A FastCGI program behind bearergate, as small as the programs of servers.sh that check tokens themselves: it answers who
 * asks, as JSON.  What is in CLAIM_SUB needs no escaping here: tokens.c makes it.
 *
 *	responder SOCKET THREADS
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "core/buf.h"

static int sock;

static void *
serve(void *arg)
{
	FCGX_Request request;

	FCGX_InitRequest(&request, sock, 0);
	while (FCGX_Accept_r(&request) == 0) {
		const char *sub = FCGX_GetParam("CLAIM_SUB", request.envp);
		char body[200];

		bg_format(body, sizeof(body), "{\"sub\":\"%s\"}", sub != NULL ? sub : "");
		FCGX_FPrintF(request.out, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", (int)strlen(body), body);
		FCGX_Finish_r(&request);
	}
	return arg;
}

int
main(int argc, char **argv)
{
	long threads = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	pthread_t thread;

	if (threads < 1) {
		(void)fputs("usage: responder SOCKET THREADS\n", stderr);
		return EX_USAGE;
	}
	(void)umask(0);
	if (FCGX_Init() != 0 || (sock = FCGX_OpenSocket(argv[1], 511)) == -1) {
		(void)fputs("responder: no socket\n", stderr);
		return EX_OSERR;
	}
	for (long i = 1; i < threads; i++)
		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			return EX_OSERR;
	(void)serve(NULL);
	return EX_OSERR;
}
