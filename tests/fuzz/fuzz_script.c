/* The first line of a script: cgi/script.c.  Words of the text, in their order, with nothing lost but blanks. */
#include <stdint.h>
#include <stdlib.h>

#include "cgi/script.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A word of the line, or the rest of it: it lies where it did in the text, and is followed by a blank or the end of the line. */
static size_t
check_word(const struct bg_script_line *line, const char *word, const uint8_t *data, size_t size, size_t from, bool last)
{
	size_t at = (size_t)(word - line->text), len = strlen(word);

	MUST(word >= line->text && at >= from && at + len <= BG_SCRIPT_LINE_MAX && at + len <= size);
	MUST(memcmp(data + at, word, len) == 0);
	for (size_t i = from; i < at; i++)
		MUST(data[i] == ' ' || data[i] == '\t');
	for (size_t i = 0; i < len; i++)
		MUST(word[i] != '\n' && (last || (word[i] != ' ' && word[i] != '\t')));
	MUST(len == 0 || !last || (strchr(" \t", word[0]) == NULL && strchr(" \t", word[len - 1]) == NULL));
	return at + len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bg_script_line line;
	size_t end;

	if (!bg_script_line_read((struct bg_slice){ (const char *)data, size }, &line)) {
		MUST(size < 2 || data[0] != '#' || data[1] != '!');
		return 0;
	}
	end = check_word(&line, line.program, data, size, 2, false);
	end = check_word(&line, line.interpreter, data, size, end, false);
	end = check_word(&line, line.argument, data, size, end, true);
	/* behind all of it nothing is left but blanks */
	for (; end < size && end < BG_SCRIPT_LINE_MAX && data[end] != '\n' && data[end] != '\0'; end++)
		MUST(data[end] == ' ' || data[end] == '\t');
	return 0;
}
