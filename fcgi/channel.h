#ifndef BG_FCGI_CHANNEL_H
#define BG_FCGI_CHANNEL_H

#include "core/fetch.h"

/*
 * What supervisor and worker say to each other, over a pair of sockets that keep messages apart (SOCK_SEQPACKET).  The worker
 * reads what strangers send, so the supervisor takes nothing from it that is not exactly of this form.
 */
enum bg_message_kind {
	BG_MESSAGE_NONE = 0,

	/* to the worker */
	BG_MESSAGE_RELOAD,	/* read the configuration anew; with a descriptor where the log goes elsewhere from then on */
	BG_MESSAGE_LOG,		/* the log was opened anew: with its descriptor */
	BG_MESSAGE_STATE,	/* write to the log how things are */
	BG_MESSAGE_ASK,		/* say that you are well */
	BG_MESSAGE_STOP,	/* finish what is under way, and end */

	/* from the worker */
	BG_MESSAGE_SERVING,	/* it takes requests */
	BG_MESSAGE_RELOADED,	/* the configuration was read anew and is in force */
	BG_MESSAGE_KEPT,	/* the one from before stays in force, and the log says why */
	BG_MESSAGE_WELL,	/* as asked: nothing that decisions need is held up */
	BG_MESSAGE_FETCH,	/* bring this: with the end of a pipe that the answer goes to, see fcgi/broker.h */
	BG_MESSAGE_KINDS
};

/* What is to be fetched, as bytes: all strings are terminated, and nothing but zero stands behind their ends. */
struct bg_fetch_wanted {
	int32_t  timeout;	/* seconds, 1 to BG_FETCH_TIMEOUT_MAX */
	uint32_t max;		/* bytes of the document, 1 to BG_FETCH_MAX */
	uint8_t  public_only;	/* 0 or 1 */
	char     etag[BG_ETAG_MAX + 1];		/* "" when there is none */
	char     location[BG_URL_MAX + 1];	/* of https */
};
#define BG_FETCH_TIMEOUT_MAX	3600	/* what bearergate-fetch takes */

struct bg_message {
	enum bg_message_kind   kind;
	int                    fd;	/* that came with it, the receiver's to close; -1: none */
	struct bg_fetch_wanted wanted;	/* of FETCH */
};

#define BG_MESSAGE_MAX	(1 + sizeof(struct bg_fetch_wanted))	/* bytes */

/*
 * The form of a request that may be sent.  What bg_message_parse would refuse is none: returns -1 with BG_R_FETCH_FAILED.
 * A time limit out of range is put into it.
 */
int bg_fetch_wanted_set(struct bg_fetch_wanted *out, const struct bg_fetch_request *request, size_t max,
    struct bg_error *err) BG_MUST_CHECK;

/* Put a message into buf, of BG_MESSAGE_MAX bytes; returns its length. */
size_t bg_message_format(enum bg_message_kind kind, const struct bg_fetch_wanted *wanted, unsigned char *buf);

/*
 * Is this one whole message that this side may send, with as many descriptors as it has to have?  Fills in *out, all but fd.
 * A pure function.
 */
bool bg_message_parse(struct bg_slice bytes, size_t descriptors, bool from_worker, struct bg_message *out) BG_MUST_CHECK;

/* Two ends, neither handed down to programs we run: the supervisor's, which never waits, and the worker's.  Returns 0 or an errno. */
int bg_channel_open(int *supervisor, int *worker) BG_MUST_CHECK;

/* Send a message, with a descriptor unless fd is -1; it is copied.  From any thread.  Returns 0 or an errno. */
int bg_channel_send(int channel, enum bg_message_kind kind, const struct bg_fetch_wanted *wanted, int fd) BG_MUST_CHECK;

/* Take the next message without waiting. */
enum bg_received {
	BG_RECEIVED_NOTHING,	/* there is none now */
	BG_RECEIVED_MESSAGE,
	BG_RECEIVED_LOST,	/* a message, and no descriptor was free for the one that came with it: fd is -1 */
	BG_RECEIVED_END,	/* the other side is gone */
	BG_RECEIVED_BAD		/* it is none, and was thrown away */
};
enum bg_received bg_channel_receive(int channel, bool from_worker, struct bg_message *out) BG_MUST_CHECK;

#endif
