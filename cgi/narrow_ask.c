#include "cgi/narrow.h"

#include <stdlib.h>
#include <sysexits.h>

#include "core/limits.h"

#define REPORT_MAX	4096

/* What a condition is called as a variable.  joins: it may stand beside another of its kind, and both are demanded. */
static const struct {
	enum bg_rule_kind kind;
	const char       *name;
	bool              joins;
} variables[] = {
	{ BG_RULE_SCOPE, "BEARERGATE_SCOPE", true },
	{ BG_RULE_ANY_SCOPE, "BEARERGATE_ANY_SCOPE", false },
	{ BG_RULE_PERMISSION, "BEARERGATE_PERMISSION", true },
	{ BG_RULE_REF, "BEARERGATE_POLICY", true },
};

#define N_VARIABLES	(sizeof(variables) / sizeof(variables[0]))

int
bg_narrow_fail(struct bg_buf *report, int rc, const char *path, struct bg_error *err)
{
	struct bg_slice text;

	if (bg_buf_finish(report, &text, NULL) != 0 || text.len == 0)
		text = bg_slice_str(path);
	else
		text.len--;	/* the end of its line */
	return bg_fail(err, rc == EX_OSERR ? BG_R_NO_MEMORY : BG_R_INTERNAL, "%.*s", (int)text.len, text.ptr);
}

/* One condition as NAME=WORDS, with the words of env in front; false where no variable can say it. */
static bool
put_condition(const struct bg_conf_rule *rule, char *const *env, struct bg_buf *text, bool made[N_VARIABLES])
{
	for (size_t i = 0; i < N_VARIABLES; i++) {
		const char *before = bg_environment_get(env, variables[i].name);

		if (variables[i].kind != rule->kind)
			continue;
		if (before != NULL && !variables[i].joins)
			return false;
		bg_buf_put_format(text, "%s=%s", variables[i].name, before != NULL ? before : "");
		for (size_t j = 0; j < rule->n_values; j++)
			bg_buf_put_format(text, " %s", rule->values[j]);
		bg_buf_put_char(text, '\0');
		made[i] = true;
		return true;
	}
	return false;
}

static bool
is_made(const char *var, const bool made[N_VARIABLES])
{
	for (size_t i = 0; i < N_VARIABLES; i++)
		if (made[i] && strncmp(var, variables[i].name, strlen(variables[i].name)) == 0 && var[strlen(variables[i].name)] == '=')
			return true;
	return false;
}

int
bg_narrow_variables(int fd, const char *path, char *const *env, struct bg_buf *text, char ***out, struct bg_error *err)
{
	struct bg_conf_rule said = { .kind = BG_RULE_ALL };
	bool made[N_VARIABLES] = { false };
	struct bg_buf report;
	struct bg_slice all;
	size_t n = 0;
	int rc = -1;

	*out = NULL;
	bg_buf_init(text, BG_PARAMS_MAX);
	bg_buf_init(&report, REPORT_MAX);
	if ((rc = bg_conf_read_demands(NULL, fd, path, &said, &report)) != 0) {
		rc = bg_narrow_fail(&report, rc, path, err);
		goto out;
	}
	rc = -1;
	for (size_t i = 0; i < said.n_rules; i++)
		if (!put_condition(&said.rules[i], env, text, made)) {
			bg_fail(err, BG_R_INTERNAL, "%s: the daemon that is asked can be told scope, permission, policy, and any_scope where the "
			    "server says none; policy, with the name of a policy of the daemon, was expected for all else", path);
			goto out;
		}
	if (bg_buf_finish(text, &all, err) != 0)
		goto out;
	while (env[n] != NULL)
		n++;
	if ((*out = calloc(n + N_VARIABLES + 1, sizeof(**out))) == NULL) {
		bg_fail(err, BG_R_NO_MEMORY, "environment");
		goto out;
	}
	for (n = 0; *env != NULL; env++)
		if (!is_made(*env, made))
			(*out)[n++] = *env;
	for (char *at = text->data; at < text->data + all.len; at += strlen(at) + 1)
		(*out)[n++] = at;
	rc = 0;
out:
	bg_conf_rule_clear(&said);
	bg_buf_clear(&report);
	return rc;
}
