#include <stdlib.h>

#include "conf/internal.h"
#include "core/secret.h"

void
bg_report(struct bg_buf *report, const char *at, const char *fmt, ...)
{
	char text[BG_DETAIL_MAX * 4];
	va_list ap;

	va_start(ap, fmt);
	bg_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	bg_buf_put_format(report, "%s: %s\n", at, text);
}

void
bg_report_line(struct bg_buf *report, const char *file, int line, const char *fmt, ...)
{
	char text[BG_DETAIL_MAX * 4];
	va_list ap;

	va_start(ap, fmt);
	bg_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	bg_buf_put_format(report, "%s:%d: %s\n", file, line, text);
}

int
bg_report_memory(struct bg_buf *report)
{
	bg_buf_put_str(report, "configuration: no memory\n");
	return EX_OSERR;
}

void
bg_report_value(struct bg_buf *report, const char *at, const char *prefix, const char *name, const char *text, const char *words)
{
	bg_buf_put_format(report, "%s: %s%s ", at, prefix, name);
	bg_log_text(report, bg_slice_str(text));
	bg_buf_put_format(report, " %s", words);
}

char *
bg_at(const char *file, int line)
{
	size_t size = strlen(file) + sizeof(":2147483647");
	char *at = malloc(size);

	if (at != NULL)
		bg_format(at, size, "%s:%d", file, line);
	return at;
}

void
bg_secret_free(void *secret, size_t len)
{
	if (secret != NULL)
		bg_secret_wipe(secret, len);
	free(secret);
}

int
bg_said_add(struct bg_said *said, const char *text, const char *at)
{
	char **grown = realloc(said->text, (said->n + 1) * sizeof(*grown));

	if (grown == NULL)
		return EX_OSERR;
	said->text = grown;
	if ((said->text[said->n] = strdup(text)) == NULL)
		return EX_OSERR;
	said->n++;
	if (said->at == NULL && (said->at = strdup(at)) == NULL)
		return EX_OSERR;
	return 0;
}

void
bg_said_clear(struct bg_said *said)
{
	for (size_t i = 0; i < said->n; i++)
		bg_secret_free(said->text[i], strlen(said->text[i]));	/* one of them may be a password */
	free(said->text);
	free(said->at);
	*said = (struct bg_said){ 0 };
}

void
bg_said_block_clear(struct bg_said_block *block)
{
	free(block->title);
	free(block->at);
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		bg_said_clear(&block->opt[i]);
	for (size_t i = 0; i < block->n_blocks; i++)
		bg_said_block_clear(&block->blocks[i]);
	free(block->blocks);
	*block = (struct bg_said_block){ 0 };
}
