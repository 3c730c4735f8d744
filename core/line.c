#include "core/line.h"

#include "core/json.h"

#define LINE_MAX_LEN	4000
#define TEXT_MAX	512	/* of one value from outside, as in bg_log_text */

void
bg_line_init(struct bg_line *line)
{
	line->json = bg_log_format_now() == BG_LOG_JSON;
	bg_buf_init(&line->buf, LINE_MAX_LEN);
}

void
bg_line_clear(struct bg_line *line)
{
	bg_buf_clear(&line->buf);
}

static void
put_key(struct bg_line *line, const char *key)
{
	if (line->buf.len > 0)
		bg_buf_put_char(&line->buf, line->json ? ',' : ' ');
	bg_buf_put_format(&line->buf, line->json ? "\"%s\":" : "%s=", key);
}

void
bg_line_word(struct bg_line *line, const char *key, const char *word)
{
	put_key(line, key);
	bg_buf_put_format(&line->buf, line->json ? "\"%s\"" : "%s", word);
}

void
bg_line_number(struct bg_line *line, const char *key, unsigned number)
{
	put_key(line, key);
	bg_buf_put_format(&line->buf, "%u", number);
}

void
bg_line_text(struct bg_line *line, const char *key, struct bg_slice text)
{
	if (text.ptr == NULL)
		return;
	put_key(line, key);
	if (!line->json)
		bg_log_text(&line->buf, text);
	else if (text.len <= TEXT_MAX)
		bg_json_put_string(&line->buf, text);
	else	/* cut, and seen to be */
		bg_json_put_string(&line->buf, (struct bg_slice){ text.ptr, TEXT_MAX });
}

bool
bg_line_write(struct bg_line *line, enum bg_log_level level)
{
	struct bg_slice text;
	bool good = bg_buf_finish(&line->buf, &text, NULL) == 0;

	if (good && line->json)
		bg_log_members(level, text);
	else if (good)
		bg_log(level, "%s", text.ptr);
	bg_buf_reset(&line->buf);
	return good;
}
