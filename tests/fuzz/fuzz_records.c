/*
 * Whatever the bytes are: bg_records_vet neither reads too far nor takes back what it said, and what it calls whole is
 * so by another reading of FastCGI 1.0, made here from the specification and not from fcgi/records.c (SR-21, SR-92).
 * libfcgi then finds that request whole too, without waiting for more, and delivers these very parameters.
 */
#include "fcgi/records.h"

#include <fcgiapp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A length of a name or value at *at, as FastCGI 1.0 section 3.4 writes it; *at moves on. */
static size_t
take_length(const uint8_t *bytes, size_t size, size_t *at)
{
	size_t length;

	MUST(*at < size);
	if (bytes[*at] < 128)
		return bytes[(*at)++];
	MUST(size - *at >= 4);
	length = (size_t)(bytes[*at] - 128) << 24 | (size_t)bytes[*at + 1] << 16 | (size_t)bytes[*at + 2] << 8 |
	    bytes[*at + 3];
	*at += 4;
	return length;
}

/* The parameters of a whole request, in one piece: each pair there to its end, and nothing a C string cannot hold. */
static void
walk_pairs(const uint8_t *bytes, size_t size)
{
	size_t at = 0, count = 0;

	MUST(size <= BG_PARAMS_MAX);
	while (at < size) {
		size_t name = take_length(bytes, size, &at), value = take_length(bytes, size, &at);

		MUST(name > 0 && name <= size - at && value <= size - at - name);
		for (size_t i = at; i < at + name; i++)
			MUST(bytes[i] != '\0' && bytes[i] != '=');
		for (size_t i = at + name; i < at + name + value; i++)
			MUST(bytes[i] != '\0');
		at += name + value;
		count++;
	}
	MUST(count <= BG_PARAMS_COUNT_MAX);
}

/* Does libfcgi deliver the pairs, each as one text and in their order, and none beside its own first one? */
static void
compare_pairs(char *const *env, const uint8_t *pairs, size_t size, bool responder)
{
	size_t at = 0;

	MUST(*env != NULL && strcmp(*env++, responder ? "FCGI_ROLE=RESPONDER" : "FCGI_ROLE=AUTHORIZER") == 0);
	for (; at < size; env++) {
		size_t name = take_length(pairs, size, &at), value = take_length(pairs, size, &at);

		MUST(*env != NULL && strlen(*env) == name + 1 + value && (*env)[name] == '=');
		MUST(memcmp(*env, pairs + at, name) == 0 && memcmp(*env + name + 1, pairs + at + name, value) == 0);
		at += name + value;
	}
	MUST(*env == NULL);
}

/* Hand a whole request to libfcgi as fcgi/worker.c does, over a socket on which any wait is an error. */
static void
deliver(const uint8_t *data, const struct bg_records_request *request, const uint8_t *pairs, size_t size)
{
	static bool started;
	FCGX_Request fcgi;
	int fds[2];

	if (!started)
		MUST(FCGX_Init() == 0);
	started = true;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	MUST(send(fds[0], data, request->length, 0) == (ssize_t)request->length);
	MUST(FCGX_InitRequest(&fcgi, -1, 0) == 0);
	fcgi.ipcFd = fds[1];
	fcgi.keepConnection = 1;
	FCGX_Detach(&fcgi);
	MUST(FCGX_Accept_r(&fcgi) == 0 && FCGX_GetError(fcgi.in) == 0);
	MUST(fcgi.role == (int)request->role && fcgi.ipcFd == fds[1]);
	compare_pairs(fcgi.envp, pairs, size, request->role == BG_ROLE_RESPONDER);
	FCGX_Free(&fcgi, 0);
	close(fds[0]);
	close(fds[1]);
}

/* The records of a whole request, one by one. */
static void
walk_records(const uint8_t *data, size_t size, const struct bg_records_request *request)
{
	uint8_t *pairs = malloc(size);
	size_t at = 16, n = 0, content;
	bool first_end = false, responder = data[9] == 1;	/* FCGI_RESPONDER */

	MUST(pairs != NULL);
	MUST(request->length <= size && request->length >= 24 && request->length <= BG_RECORDS_MAX);
	MUST(data[0] == 1 && data[1] == 1);			/* FCGI_VERSION_1, FCGI_BEGIN_REQUEST */
	MUST(data[2] != 0 || data[3] != 0);
	MUST(data[4] == 0 && data[5] == 8 && data[6] == 0);	/* libfcgi does not skip padding here */
	MUST(data[8] == 0 && (responder || data[9] == 2) && request->role == data[9]);	/* FCGI_AUTHORIZER */
	MUST(request->keep_conn == (data[10] % 2 == 1));
	while (!first_end) {
		MUST(request->length - at >= 8);
		MUST(data[at] == 1 && data[at + 1] == 4);	/* FCGI_PARAMS */
		MUST(data[at + 2] == data[2] && data[at + 3] == data[3]);
		content = (size_t)data[at + 4] * 256 + data[at + 5];
		MUST(request->length - at - 8 >= content + data[at + 6]);
		memcpy(pairs + n, data + at + 8, content);
		n += content;
		first_end = content == 0;
		at += 8 + content + data[at + 6];
	}
	/* Behind the end of PARAMS nothing; but of a Responder the end of STDIN, which is all of it. */
	if (responder) {
		MUST(request->length - at >= 8);
		MUST(data[at] == 1 && data[at + 1] == 5);	/* FCGI_STDIN */
		MUST(data[at + 2] == data[2] && data[at + 3] == data[3]);
		MUST(data[at + 4] == 0 && data[at + 5] == 0);
		at += 8 + (size_t)data[at + 6];
	}
	MUST(at == request->length);
	walk_pairs(pairs, n);
	deliver(data, request, pairs, n);
	free(pairs);
}

/* In memory of its very size, for the sanitizer. */
static enum bg_records
vet(const uint8_t *data, size_t size, struct bg_records_request *request)
{
	char *exact = malloc(size > 0 ? size : 1);
	enum bg_records got;
	const char *why;

	MUST(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	got = bg_records_vet((struct bg_slice){ exact, size }, request, &why);
	free(exact);
	MUST((got == BG_RECORDS_BAD) == (why != NULL));
	if (got != BG_RECORDS_WHOLE)
		MUST(request->length == 0 && request->role == 0 && !request->keep_conn);
	return got;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Some shorter beginnings, the last of them one byte short of all, or of the request. */
	const size_t beginnings[] = { 1, 7, 8, 15, 16, 24, size / 2, size - size / 4, size > 0 ? size - 1 : 0 };
	struct bg_records_request request, part;
	enum bg_records got = vet(data, size, &request), before;

	if (got == BG_RECORDS_MORE)
		MUST(size < BG_RECORDS_MAX);	/* or the daemon, which looks at no more, would wait in vain */
	if (got == BG_RECORDS_WHOLE) {
		walk_records(data, size, &request);
		MUST(vet(data, request.length - 1, &part) == BG_RECORDS_MORE);
		MUST(vet(data, request.length, &part) == BG_RECORDS_WHOLE && part.length == request.length);
	}
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		if (beginnings[i] > size)
			continue;
		before = vet(data, beginnings[i], &part);
		if (before == BG_RECORDS_BAD)
			MUST(got == BG_RECORDS_BAD);
		else if (before == BG_RECORDS_WHOLE)
			MUST(got == BG_RECORDS_WHOLE && part.length == request.length);
	}
	return 0;
}
