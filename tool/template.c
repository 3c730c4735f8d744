#include "tool/template.h"

static const struct {
	const char *name;
	const char *text;
} examples[] = {
#include "tool/examples.inc"	/* made from conf/examples by Makefile.am */
};

struct bg_slice
bg_template_find(const char *name)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		if (strcmp(examples[i].name, name) == 0)
			return bg_slice_str(examples[i].text);
	return (struct bg_slice){ 0 };
}

/* The length of an @WORD@ at the beginning of text; 0 when there is none. */
static size_t
placeholder(struct bg_slice text)
{
	size_t n = 1;

	if (text.len == 0 || text.ptr[0] != '@')
		return 0;
	while (n < text.len && text.ptr[n] >= 'A' && text.ptr[n] <= 'Z')
		n++;
	return n > 1 && n < text.len && text.ptr[n] == '@' ? n + 1 : 0;
}

int
bg_template_fill(struct bg_slice text, const struct bg_template_word *words, size_t n, struct bg_buf *out,
    struct bg_error *err)
{
	while (text.len > 0) {
		size_t i = 0, len;

		while (i < n && !bg_slice_starts(text, words[i].from))
			i++;
		if (i < n) {
			bg_buf_put(out, words[i].to);
			text = bg_slice_skip(text, words[i].from.len);
			continue;
		}
		if ((len = placeholder(text)) > 0)
			return bg_fail(err, BG_R_INTERNAL, "nothing stands for %.*s", (int)len, text.ptr);
		bg_buf_put_char(out, text.ptr[0]);
		text = bg_slice_skip(text, 1);
	}
	return 0;
}

struct bg_slice
bg_template_body(struct bg_slice text)
{
	const char *end = text.len > 0 ? memmem(text.ptr, text.len, "\n\n", 2) : NULL;

	return end != NULL ? bg_slice_skip(text, (size_t)(end - text.ptr) + 2) : text;
}
