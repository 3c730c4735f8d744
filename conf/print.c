#include "conf/internal.h"

/* In double quotes, with what vet() in conf/parse.c takes back: \" \\ and \$, so that no "${" is replaced. */
static void
put_string(struct bg_buf *out, const char *text)
{
	bg_buf_put_char(out, '"');
	for (; *text != '\0'; text++) {
		if (strchr("\"\\$", *text) != NULL)
			bg_buf_put_char(out, '\\');
		bg_buf_put_char(out, *text);
	}
	bg_buf_put_char(out, '"');
}

static void
put_list(struct bg_buf *out, char *const *list, size_t n)
{
	bg_buf_put_str(out, "{ ");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			bg_buf_put_str(out, ", ");
		put_string(out, list[i]);
	}
	bg_buf_put_str(out, " }");
}

static void
put_level(struct bg_buf *out, enum bg_log_level level)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	enum bg_log_level read;

	/* whatever the order of the levels is: the name is the one that reads back as this level */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bg_log_level_parse(bg_slice_str(names[i]), &read) && read == level)
			put_string(out, names[i]);
}

/* One option of base with its help before it; one without a value as a comment alone. */
static void
put_option(struct bg_buf *out, const char *indent, const struct bg_option *option, const void *base)
{
	const void *member = (const char *)base + option->offset;

	bg_buf_put_format(out, "%s# %s%s%s%s\n", indent, option->help, option->def[0] != '\0' ? " (default " : "",
	    option->def, option->def[0] != '\0' ? ")" : "");
	if (option->shape == BG_LIST) {
		size_t n = *(const size_t *)(const void *)((const char *)base + option->offset_n);

		if (n == 0) {
			bg_buf_put_format(out, "%s# %s is not set\n", indent, option->name);
			return;
		}
		bg_buf_put_format(out, "%s%s = ", indent, option->name);
		put_list(out, *(char *const *const *)member, n);
		bg_buf_put_char(out, '\n');
		return;
	}
	switch (option->type) {
	case BG_DURATION:
		bg_buf_put_format(out, "%s%s = \"", indent, option->name);
		bg_put_duration(out, *(const int64_t *)member);
		bg_buf_put_char(out, '"');
		break;
	case BG_COUNT:
		bg_buf_put_format(out, "%s%s = %d", indent, option->name, *(const int *)member);
		break;
	case BG_LEVEL:
		bg_buf_put_format(out, "%s%s = ", indent, option->name);
		put_level(out, *(const enum bg_log_level *)member);
		break;
	default:
		if (*(const char *const *)member == NULL) {
			bg_buf_put_format(out, "%s# %s is not set", indent, option->name);
			break;
		}
		bg_buf_put_format(out, "%s%s = ", indent, option->name);
		put_string(out, *(const char *const *)member);
	}
	bg_buf_put_char(out, '\n');
}

void
bg_conf_print(const struct bg_conf *conf, struct bg_buf *out)
{
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_TOP)
			put_option(out, "", &bg_options[i], conf);

	for (size_t i = 0; i < conf->n_issuers; i++) {
		const struct bg_conf_issuer *issuer = &conf->issuers[i];

		bg_buf_put_str(out, "\n# from ");
		bg_log_text(out, bg_slice_str(issuer->said_at));
		bg_buf_put_str(out, "\nissuer ");
		put_string(out, issuer->name);
		bg_buf_put_str(out, " {\n");
		for (size_t j = 0; j < BG_OPT_COUNT; j++) {
			if (bg_options[j].section != BG_ISSUER)
				continue;
			if (j == BG_OPT_ISSUER_audience && issuer->any_audience)
				bg_buf_put_str(out, "\t# tokens for anyone are accepted\n\taudience = \"none\"\n");
			else
				put_option(out, "\t", &bg_options[j], issuer);
		}
		bg_buf_put_str(out, "}\n");
	}
}
