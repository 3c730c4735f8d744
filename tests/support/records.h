#ifndef BG_TESTS_SUPPORT_RECORDS_H
#define BG_TESTS_SUPPORT_RECORDS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/buf.h"

/*
 * FastCGI from the server's side, record by record, so that a test can send what no server would.  It shares no code
 * with fcgi/.  What fails inside is a fault of the test and ends it.  FastCGI 1.0 sections 3 and 8.
 */
#define BG_REC_BEGIN_REQUEST	1
#define BG_REC_ABORT_REQUEST	2
#define BG_REC_END_REQUEST	3
#define BG_REC_PARAMS		4
#define BG_REC_STDIN		5
#define BG_REC_STDOUT		6
#define BG_REC_STDERR		7
#define BG_REC_GET_VALUES	9

#define BG_REC_RESPONDER	1
#define BG_REC_AUTHORIZER	2
#define BG_REC_FILTER		3

#define BG_REC_MAX		(1024 * 1024)	/* ceiling for the buffers of tests: more than the daemon ever takes */

void bg_rec_put(struct bg_buf *out, unsigned type, unsigned id, struct bg_slice content, unsigned padding);
void bg_rec_begin(struct bg_buf *out, unsigned id, unsigned role, unsigned flags);

/* A name-value pair, lengths in the shortest form; and one with any two lengths, in four bytes each, and no content. */
void bg_rec_pair(struct bg_buf *pairs, struct bg_slice name, struct bg_slice value);
void bg_rec_lengths(struct bg_buf *pairs, uint32_t name, uint32_t value);

/* The pairs in PARAMS records of at most piece bytes, each padded, then the empty one. */
void bg_rec_params(struct bg_buf *out, unsigned id, struct bg_slice pairs, size_t piece, unsigned padding);

/* One whole good request for the Authorizer role with this REQUEST_URI and a few more variables. */
void bg_rec_request(struct bg_buf *out, const char *uri);
/* The same for another role; a Responder gets the empty STDIN too. */
void bg_rec_request_as(struct bg_buf *out, unsigned role, const char *uri);

/* Requests that must not be answered, each wrong in one way: interop 5.2 and 5.3, SR-21. */
struct bg_rec_bad {
	const char *name;
	const char *why;			/* part of what bg_records_vet says */
	void      (*make)(struct bg_buf *out);	/* NULL: the bytes below */
	const char *bytes;
	size_t      len;
};
extern const struct bg_rec_bad bg_rec_bad[];
extern const int bg_rec_n_bad;
void bg_rec_make_bad(int i, struct bg_buf *out);

/* Where an authorizer listens: "unix:PATH", "127.0.0.1:PORT" or "localhost:PORT"; loopback alone, to trouble nobody else. */
struct bg_rec_address {
	union {
		struct sockaddr    any;
		struct sockaddr_un un;
		struct sockaddr_in in;
	} to;
	socklen_t len;
};
bool bg_rec_parse_address(const char *text, struct bg_rec_address *out);

/* A client.  address is "unix:PATH" or "127.0.0.1:PORT".  Reading gives up after 20 seconds, which ends the test. */
int bg_rec_connect(const char *address);
bool bg_rec_send(int fd, struct bg_slice bytes);	/* false: the peer has gone */

/* All that came until the peer closed. */
struct bg_rec_answer {
	struct bg_buf out;		/* the content of STDOUT */
	size_t        bytes;		/* of everything */
	size_t        stdout_records;	/* with content */
	bool          whole;		/* it ended with END_REQUEST, and its protocolStatus was FCGI_REQUEST_COMPLETE */
	bool          reset;		/* it ended with an error instead of an end */
};
void bg_rec_read(int fd, struct bg_rec_answer *out);	/* out is the caller's to clear */
/* The same from bytes that the caller has read. */
void bg_rec_parse_answer(struct bg_slice bytes, struct bg_rec_answer *out);
void bg_rec_answer_clear(struct bg_rec_answer *answer);

/* The Status of an answer, 0 without one; its body, terminated, borrowed from out, to which a NUL is added. */
int bg_rec_status(struct bg_buf *out, struct bg_slice *body);

#endif
