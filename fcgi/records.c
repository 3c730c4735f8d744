#include "fcgi/records.h"

/* FastCGI 1.0 section 8. */
#define FCGI_VERSION_1		1
#define FCGI_BEGIN_REQUEST	1
#define FCGI_PARAMS		4
#define FCGI_STDIN		5
#define FCGI_FILTER		3
#define FCGI_KEEP_CONN		1
#define HEADER_LEN		8
#define BEGIN_LEN		8	/* content of a BEGIN_REQUEST record */

/* A record's header, as much of it as is there. */
struct header {
	unsigned type;
	unsigned id;
	size_t   content;	/* bytes */
	size_t   padding;	/* bytes */
};

/* Where in a pair the parameters stand: they run on over the borders of records.  FastCGI 1.0 section 3.4. */
enum place { NAME_LENGTH = 0, VALUE_LENGTH, NAME, VALUE };

struct pairs {
	enum place place;
	size_t     missing;	/* bytes of the present length, name or value that are still to come */
	size_t     name, value;	/* lengths of the present pair */
	size_t     sum;		/* bytes of parameters so far */
	size_t     count;
};

static size_t
byte_at(struct bg_slice s, size_t i)
{
	return (unsigned char)s.ptr[i];
}

/* Take one byte of a length: seven bits in one byte, or 31 in four.  Two such lengths can be added in any size_t. */
static bool
take_length(struct pairs *pairs, size_t *length, size_t byte)
{
	if (pairs->missing > 0) {
		*length = *length << 8 | byte;
		return --pairs->missing == 0;
	}
	*length = byte & 0x7f;
	pairs->missing = (byte & 0x80) != 0 ? 3 : 0;
	return pairs->missing == 0;
}

/* Go through a piece of the parameters; returns NULL, or what is wrong. */
static const char *
read_pairs(struct pairs *pairs, struct bg_slice piece)
{
	while (piece.len > 0) {
		size_t n = piece.len < pairs->missing ? piece.len : pairs->missing;
		size_t byte = byte_at(piece, 0);

		switch (pairs->place) {
		case NAME_LENGTH:
			n = 1;
			if (!take_length(pairs, &pairs->name, byte))
				break;
			if (pairs->name == 0)
				return "a parameter without a name";
			if (pairs->name > BG_PARAMS_MAX)
				return "a parameter that is too long";
			if (++pairs->count > BG_PARAMS_COUNT_MAX)
				return "too many parameters";
			pairs->place = VALUE_LENGTH;
			break;
		case VALUE_LENGTH:
			n = 1;
			if (!take_length(pairs, &pairs->value, byte))
				break;
			/* Said before libfcgi adds the two as int and aborts (SR-21). */
			if (pairs->name + pairs->value > BG_PARAMS_MAX)
				return "a parameter that is too long";
			pairs->place = NAME;
			pairs->missing = pairs->name;
			break;
		case NAME:
			/* libfcgi joins name and value with "=": another one before it would move the border. */
			if (memchr(piece.ptr, '\0', n) != NULL || memchr(piece.ptr, '=', n) != NULL)
				return "a parameter's name with NUL or \"=\" in it";
			pairs->missing -= n;
			if (pairs->missing > 0)
				break;
			pairs->place = pairs->value > 0 ? VALUE : NAME_LENGTH;
			pairs->missing = pairs->value;
			break;
		case VALUE:
			if (memchr(piece.ptr, '\0', n) != NULL)
				return "a parameter's value with NUL in it";
			pairs->missing -= n;
			if (pairs->missing == 0)
				pairs->place = NAME_LENGTH;
			break;
		}
		piece = bg_slice_skip(piece, n);
	}
	return NULL;
}

/* Judge what there is of a header, so that a wrong first byte is refused without waiting for the eighth. */
static const char *
read_header(struct bg_slice bytes, unsigned want_type, unsigned want_id, struct header *out)
{
	*out = (struct header){ 0 };
	if (bytes.len > 0 && byte_at(bytes, 0) != FCGI_VERSION_1)
		return "not FastCGI version 1";
	if (bytes.len > 1 && byte_at(bytes, 1) != want_type) {
		if (want_type == FCGI_BEGIN_REQUEST)
			return "the first record is not BEGIN_REQUEST";
		if (want_type == FCGI_STDIN)
			return "another record than STDIN behind the parameters";
		return "another record than PARAMS before their end";
	}
	if (bytes.len < HEADER_LEN)
		return NULL;
	out->type = want_type;
	out->id = (unsigned)(byte_at(bytes, 2) << 8 | byte_at(bytes, 3));
	out->content = byte_at(bytes, 4) << 8 | byte_at(bytes, 5);
	out->padding = byte_at(bytes, 6);
	if (out->id == 0)
		return "request id 0";	/* management records: FastCGI 1.0 section 3.3 */
	if (want_type != FCGI_BEGIN_REQUEST && out->id != want_id)
		return "a record of another request";
	return NULL;
}

/*
 * BEGIN_REQUEST, FastCGI 1.0 section 5.1.  Padding is allowed there but nobody sends any, eight bytes being aligned
 * already; libfcgi 2.4.2 forgets to skip it and takes it for the next header.
 */
static const char *
read_begin(struct bg_slice bytes, struct header *header, struct bg_records_request *request)
{
	const char *wrong = read_header(bytes, FCGI_BEGIN_REQUEST, 0, header);

	if (wrong != NULL || bytes.len < HEADER_LEN)
		return wrong;
	if (header->content != BEGIN_LEN || header->padding != 0)
		return "BEGIN_REQUEST of a wrong length";
	if (bytes.len < HEADER_LEN + BEGIN_LEN)
		return NULL;
	request->keep_conn = (byte_at(bytes, HEADER_LEN + 2) & FCGI_KEEP_CONN) != 0;
	switch (byte_at(bytes, HEADER_LEN) << 8 | byte_at(bytes, HEADER_LEN + 1)) {
	case BG_ROLE_AUTHORIZER:
		request->role = BG_ROLE_AUTHORIZER;
		return NULL;
	case BG_ROLE_RESPONDER:
		request->role = BG_ROLE_RESPONDER;
		return NULL;
	case FCGI_FILTER:
		return "the Filter role, which is not served";
	default:
		return "an unknown role";
	}
}

/*
 * What stands behind the parameters, at at: nothing in the Authorizer role, FastCGI 1.0 section 6.3; in the Responder
 * role the end of STDIN, sections 5.3 and 6.2, with nothing before it.
 */
static const char *
read_stdin(struct bg_slice bytes, size_t at, unsigned id, struct bg_records_request *request, bool *whole)
{
	struct header end;
	const char *wrong;

	if (request->role == BG_ROLE_RESPONDER) {
		struct bg_slice rest = bytes.len > at ? bg_slice_skip(bytes, at) : (struct bg_slice){ NULL, 0 };

		if ((wrong = read_header(rest, FCGI_STDIN, id, &end)) != NULL)
			return wrong;
		if (end.content > 0)
			return "a request with a body";
		at += HEADER_LEN + end.padding;
		if (at > BG_RECORDS_MAX)
			return "too many bytes of parameters";
	}
	request->length = at;
	*whole = bytes.len >= at;
	return NULL;
}

/* Returns what is wrong, or NULL; *whole says whether the end was reached. */
static const char *
read_request(struct bg_slice bytes, struct bg_records_request *request, bool *whole)
{
	struct pairs pairs = { .place = NAME_LENGTH };
	struct header begin, params;
	const char *wrong;
	size_t at = HEADER_LEN + BEGIN_LEN;

	*whole = false;
	if ((wrong = read_begin(bytes, &begin, request)) != NULL || bytes.len < at)
		return wrong;
	for (;;) {
		struct bg_slice rest = bg_slice_skip(bytes, at);

		if ((wrong = read_header(rest, FCGI_PARAMS, begin.id, &params)) != NULL || rest.len < HEADER_LEN)
			return wrong;
		/* What a record announces counts, not what has come: there is no use in waiting for too much. */
		pairs.sum += params.content;
		at += HEADER_LEN + params.content + params.padding;
		if (pairs.sum > BG_PARAMS_MAX || at > BG_RECORDS_MAX)
			return "too many bytes of parameters";
		rest = bg_slice_skip(rest, HEADER_LEN);
		if (params.content == 0) {
			if (pairs.place != NAME_LENGTH || pairs.missing > 0)
				return "the parameters end inside a pair";
			return read_stdin(bytes, at, begin.id, request, whole);
		}
		if (rest.len > params.content)
			rest.len = params.content;
		if ((wrong = read_pairs(&pairs, rest)) != NULL || bytes.len < at)
			return wrong;
	}
}

enum bg_records
bg_records_vet(struct bg_slice bytes, struct bg_records_request *out, const char **why)
{
	struct bg_records_request request = { 0 };
	bool whole;

	*out = (struct bg_records_request){ 0 };
	*why = read_request(bytes, &request, &whole);
	if (*why != NULL)
		return BG_RECORDS_BAD;
	if (!whole)
		return BG_RECORDS_MORE;
	*out = request;
	return BG_RECORDS_WHOLE;
}
