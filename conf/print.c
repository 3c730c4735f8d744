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
	case BG_MODE:
		bg_buf_put_format(out, "%s%s = \"%04o\"", indent, option->name, (unsigned)*(const int *)member);
		break;
	case BG_LEVEL:
		bg_buf_put_format(out, "%s%s = ", indent, option->name);
		put_level(out, *(const enum bg_log_level *)member);
		break;
	case BG_FORMAT:
		bg_buf_put_format(out, "%s%s = \"%s\"", indent, option->name,
		    bg_word_name(option->type, (int)*(const enum bg_log_format *)member));
		break;
	case BG_NONCE:
	case BG_ON_ERROR:
	case BG_DECISIONS:
		bg_buf_put_format(out, "%s%s = \"%s\"", indent, option->name, bg_word_name(option->type, *(const bool *)member));
		break;
	case BG_DPOP:
		bg_buf_put_format(out, "%s%s = \"%s\"", indent, option->name,
		    bg_word_name(option->type, (int)*(const enum bg_dpop_mode *)member));
		break;
	case BG_BOOL:
		bg_buf_put_format(out, "%s%s = %s", indent, option->name, bg_word_name(option->type, *(const bool *)member));
		break;
	case BG_COMPAT:
		bg_buf_put_format(out, "%s%s = \"%s\"", indent, option->name,
		    bg_word_name(option->type, (int)*(const enum bg_compat *)member));
		break;
	case BG_AUTH:
		bg_buf_put_format(out, "%s%s = \"%s\"", indent, option->name,
		    bg_word_name(option->type, (int)*(const enum bg_auth *)member));
		break;
	case BG_ENCODING:
		bg_buf_put_format(out, "%s%s = \"%s\"", indent, option->name,
		    bg_word_name(option->type, (int)*(const enum bg_encoding *)member));
		break;
	case BG_CACHE_DIR:
		bg_buf_put_format(out, "%s%s = ", indent, option->name);
		put_string(out, *(const char *const *)member != NULL ? *(const char *const *)member : "none");
		break;
	default:
		if (*(const char *const *)member == NULL) {
			bg_buf_put_format(out, "%s# %s is not set", indent, option->name);
			break;
		}
		bg_buf_put_format(out, "%s%s = ", indent, option->name);
		put_string(out, option->type == BG_SECRET ? BG_CONF_MASK : *(const char *const *)member);
	}
	bg_buf_put_char(out, '\n');
}

/* The beginning of a block at the top of the file. */
static void
open_block(struct bg_buf *out, enum bg_block kind, const char *title, const char *said_at)
{
	bg_buf_put_str(out, "\n# from ");
	bg_log_text(out, bg_slice_str(said_at));
	bg_buf_put_format(out, "\n%s ", bg_block_name(kind));
	put_string(out, title);
	bg_buf_put_str(out, " {\n");
}

/* What stands in a block that has conditions. */
static void
put_conditions(struct bg_buf *out, const char *indent, const struct bg_conf_rule *rules)
{
	static const char *const deeper[] = { "\t", "\t\t", "\t\t\t" };

	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct bg_conf_rule *rule = &rules->rules[i];
		enum bg_opt opt = bg_rule_option(rule->kind);

		if (opt == BG_OPT_COUNT) {	/* a block: any, or claim */
			bg_buf_put_format(out, "%s%s ", indent, bg_block_name(rule->claim != NULL ? BG_BLOCK_CLAIM : BG_BLOCK_ANY));
			if (rule->claim != NULL) {
				put_string(out, rule->claim);
				bg_buf_put_char(out, ' ');
			}
			bg_buf_put_str(out, "{\n");
			put_conditions(out, deeper[strlen(indent) < 2 ? strlen(indent) : 2], rule);
			bg_buf_put_format(out, "%s}\n", indent);
			continue;
		}
		bg_buf_put_format(out, "%s%s = ", indent, bg_options[opt].name);
		if (opt == BG_OPT_CLAIM_present)
			bg_buf_put_str(out, bg_word_name(BG_BOOL, rule->kind == BG_RULE_PRESENT));
		else if (bg_options[opt].shape == BG_ONE)
			put_string(out, rule->values[0]);
		else
			put_list(out, rule->values, rule->n_values);
		bg_buf_put_char(out, '\n');
	}
}

static void
put_issuer(struct bg_buf *out, const struct bg_conf_issuer *issuer)
{
	open_block(out, BG_BLOCK_ISSUER, issuer->name, issuer->said_at);
	for (size_t i = 0; i < BG_OPT_COUNT; i++) {
		if (bg_options[i].section != BG_ISSUER)
			continue;
		if (i == BG_OPT_ISSUER_audience && issuer->any_audience)
			bg_buf_put_str(out, "\t# tokens for anyone are accepted\n\taudience = \"none\"\n");
		else
			put_option(out, "\t", &bg_options[i], issuer);
	}
	bg_buf_put_str(out, "}\n");
}

static void
put_location(struct bg_buf *out, const struct bg_conf_location *location)
{
	open_block(out, BG_BLOCK_LOCATION, location->path, location->said_at);
	if (location->says_auth)
		put_option(out, "\t", &bg_options[BG_OPT_LOCATION_auth], location);
	put_option(out, "\t", &bg_options[BG_OPT_LOCATION_methods], location);
	put_conditions(out, "\t", &location->rule);
	bg_buf_put_str(out, "}\n");
}

/* Those exported by default are but named: written out they would be the same. */
static void
put_exports(struct bg_buf *out, const struct bg_conf *conf)
{
	for (size_t i = 0; i < conf->n_exports; i++)
		if (conf->exports[i].said_at == NULL)
			bg_buf_put_format(out, "# exported by default: %s as %s\n", conf->exports[i].claim, conf->exports[i].as);
	for (size_t i = 0; i < conf->n_exports; i++) {
		if (conf->exports[i].said_at == NULL)
			continue;
		open_block(out, BG_BLOCK_EXPORT, conf->exports[i].claim, conf->exports[i].said_at);
		for (size_t j = 0; j < BG_OPT_COUNT; j++)
			if (bg_options[j].section == BG_EXPORT)
				put_option(out, "\t", &bg_options[j], &conf->exports[i]);
		bg_buf_put_str(out, "}\n");
	}
}

void
bg_conf_print(const struct bg_conf *conf, struct bg_buf *out)
{
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_TOP && (conf->daemon == NULL || bg_option_beside_daemon((enum bg_opt)i)) &&
		    (i != BG_OPT_TOP_replay_password || conf->replay_password_file == NULL))	/* one says where it is from */
			put_option(out, "", &bg_options[i], conf);
	put_exports(out, conf);
	for (size_t i = 0; i < conf->n_issuers; i++)
		put_issuer(out, &conf->issuers[i]);
	for (size_t i = 0; i < conf->n_sites; i++) {
		open_block(out, BG_BLOCK_SITE, conf->sites[i].host, conf->sites[i].said_at);
		put_option(out, "\t", &bg_options[BG_OPT_SITE_issuers], &conf->sites[i]);
		bg_buf_put_str(out, "}\n");
	}
	for (size_t i = 0; i < conf->n_policies; i++) {
		open_block(out, BG_BLOCK_POLICY, conf->policies[i].name, conf->policies[i].said_at);
		put_conditions(out, "\t", &conf->policies[i].rule);
		bg_buf_put_str(out, "}\n");
	}
	for (size_t i = 0; i < conf->n_locations; i++)
		put_location(out, &conf->locations[i]);
}
