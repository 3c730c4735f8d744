/*
 * Whatever bytes come in the place of the daemon's answer: bg_answer_read neither reads too far nor takes back what it said, and
 * what it calls an allow is one by another reading, made here from FastCGI 1.0 and not from cgi/answer.c.
 */
#include "cgi/answer.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/limits.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bg_export roles = { .name = (char[]){ "ROLES" } };
static const struct bg_exports exports = { .exports = &roles, .n_exports = 1 };

/* In memory of its very size, for the sanitizer. */
static enum bg_answer
read_bytes(const uint8_t *data, size_t size, struct bg_response *response)
{
	char *exact = malloc(size > 0 ? size : 1);
	enum bg_answer got;
	const char *why;

	MUST(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	got = bg_answer_read((struct bg_slice){ exact, size }, &exports, response, &why);
	free(exact);
	MUST((got == BG_ANSWER_BAD) == (why != NULL));
	if (got != BG_ANSWER_WHOLE)
		MUST(response->status == 500 && response->variables.len == 0 && response->challenge.len == 0 &&
		    response->body.len == 0 && response->nonce[0] == '\0');
	else
		MUST(response->status == 200 || (response->status >= 400 && response->status <= 503 && response->variables.len == 0));
	return got;
}

/* An allow, read once more: the text of its records is "Status: 200", and holds every variable as it was handed out. */
static void
check_allow(const uint8_t *data, size_t size, const struct bg_response *response)
{
	struct bg_slice variables = { response->variables.data, response->variables.len }, name, value;
	char *text = malloc(size + 1), *line;
	size_t at = 0, n = 0, content, count = 0, lines = 0;

	MUST(text != NULL);
	while (data[at + 1] == 6) {		/* FCGI_STDOUT */
		MUST(size - at >= 8 && data[at] == 1 && data[at + 2] == 0 && data[at + 3] == 1);
		content = (size_t)data[at + 4] * 256 + data[at + 5];
		MUST(size - at - 8 >= content + data[at + 6]);
		memcpy(text + n, data + at + 8, content);
		n += content;
		at += 8 + content + data[at + 6];
		MUST(size - at >= 16);
	}
	MUST(data[at + 1] == 3 && size - at == 16u + data[at + 6]);		/* FCGI_END_REQUEST */
	for (size_t i = at + 8; i < at + 13; i++)
		MUST(data[i] == 0);
	text[n] = '\0';
	MUST(strlen(text) == n && n >= 15 && memcmp(text, "Status: 200", 11) == 0 && strcmp(text + n - 4, "\r\n\r\n") == 0);
	for (line = text; (line = strstr(line, "\r\nVariable-")) != NULL; line += 2)
		lines++;
	while (bg_export_next(&variables, &name, &value)) {
		MUST(bg_slice_starts(name, BG_SLICE("CLAIM")) || bg_slice_equal(name, BG_SLICE("REMOTE_USER")) ||
		    bg_slice_equal(name, BG_SLICE("AUTH_TYPE")) || bg_slice_equal(name, BG_SLICE("ROLES")));
		MUST(memchr(name.ptr, '=', name.len) == NULL);
		for (size_t i = 0; i < value.len; i++)
			MUST(value.ptr[i] >= 0x20 && value.ptr[i] <= 0x7e);
		count++;
	}
	MUST(variables.len == 0 && count == lines && count > 0 && count <= BG_EXPORT_MAX + 3);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t beginnings[] = { 1, 7, 8, 9, size / 2, size - size / 4, size > 0 ? size - 1 : 0 };
	struct bg_response response;
	enum bg_answer got, before;

	bg_response_init(&response);
	got = read_bytes(data, size, &response);
	if (got == BG_ANSWER_WHOLE && response.status == 200)
		check_allow(data, size, &response);
	if (got == BG_ANSWER_MORE)
		MUST(size < BG_ANSWER_RECORDS_MAX + 1);	/* or whoever reads no more would wait in vain */
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		if (beginnings[i] >= size)
			continue;
		before = read_bytes(data, beginnings[i], &response);
		MUST(before == BG_ANSWER_MORE || got == BG_ANSWER_BAD);
	}
	bg_response_clear(&response);
	return 0;
}
