#include <stdlib.h>

#include "conf/internal.h"
#include "core/account.h"
#include "core/url.h"

/* What an option of a condition asks for; in the order in which they are asked. */
static const struct { enum bg_opt opt; enum bg_rule_kind kind; } conditions[] = {
	{ BG_OPT_POLICY_policy,     BG_RULE_REF },
	{ BG_OPT_POLICY_scope,      BG_RULE_SCOPE },
	{ BG_OPT_POLICY_any_scope,  BG_RULE_ANY_SCOPE },
	{ BG_OPT_POLICY_permission, BG_RULE_PERMISSION },
	{ BG_OPT_CLAIM_equals,      BG_RULE_EQUALS },
	{ BG_OPT_CLAIM_contains,    BG_RULE_CONTAINS },
	{ BG_OPT_CLAIM_any_of,      BG_RULE_ANY_OF },
	{ BG_OPT_CLAIM_matches,     BG_RULE_MATCHES },
	{ BG_OPT_CLAIM_present,     BG_RULE_PRESENT },
	{ BG_OPT_CLAIM_present,     BG_RULE_ABSENT },	/* present = false */
};
#define N_CONDITIONS	(sizeof(conditions) / sizeof(conditions[0]))

enum bg_opt
bg_rule_option(enum bg_rule_kind kind)
{
	for (size_t i = 0; i < N_CONDITIONS; i++)
		if (conditions[i].kind == kind)
			return conditions[i].opt;
	return BG_OPT_COUNT;
}

void
bg_conf_rule_clear(struct bg_conf_rule *rule)
{
	for (size_t i = 0; i < rule->n_rules; i++)
		bg_conf_rule_clear(&rule->rules[i]);
	free(rule->rules);
	bg_list_free(rule->values, rule->n_values);
	free(rule->claim);
}

static const struct bg_said nothing;

/* Room for one more row behind the n there are, cleared; NULL and a line in the report when there is no memory. */
static void *
grow(void *rows, size_t *n, size_t size, struct bg_buf *report)
{
	char *grown = realloc(*(void **)rows, (*n + 1) * size);

	if (grown == NULL) {
		(void)bg_report_memory(report);
		return NULL;
	}
	*(void **)rows = grown;
	return memset(grown + (*n)++ * size, 0, size);
}

/* Two texts of a row that every block has. */
static int
name_row(char **name, const char *title, char **said_at, const char *at, struct bg_buf *report)
{
	*name = strdup(title);
	*said_at = strdup(at);
	return *name != NULL && *said_at != NULL ? 0 : bg_report_memory(report);
}

static int
given_twice(const char *what, const char *name, const char *at, const char *before, struct bg_buf *report)
{
	bg_report_value(report, at, "", what, name, "is given twice");
	bg_buf_put_format(report, ", %s has it already\n", before);
	return EX_CONFIG;
}

/*
 * What was said about an option of an issuer: in its own block or site, or at the top.  Where its keys are is said for
 * one issuer alone, so a block takes nothing of that from the top.  block is NULL for an issuer that is named by its
 * domain at the top.
 */
static const struct bg_said *
said_of(const struct bg_said_block *top, const struct bg_said_block *block, const struct bg_option *option)
{
	const struct bg_said *own = NULL;

	if (block != NULL && block->kind == BG_BLOCK_ISSUER)
		own = &block->opt[option - bg_options];
	else if (block != NULL && option == &bg_options[BG_OPT_ISSUER_audience])
		own = &block->opt[BG_OPT_SITE_audience];
	if (block != NULL && (option->type == BG_URL || option->type == BG_PATH))
		return own != NULL ? own : &nothing;
	if (own != NULL && own->n > 0)
		return own;
	return &top->opt[bg_option_find(BG_SHORT, option->name) - bg_options];
}

static struct bg_conf_issuer *
issuer_named(const struct bg_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_issuers; i++)
		if (strcmp(conf->issuers[i].name, name) == 0)
			return &conf->issuers[i];
	return NULL;
}

static int
add_issuer(struct bg_conf *conf, const char *name, const char *at, const struct bg_said_block *top,
    const struct bg_said_block *block, struct bg_buf *report)
{
	struct bg_conf_issuer *issuer = issuer_named(conf, name);
	int rc;

	if (issuer != NULL)
		return given_twice("issuer", name, at, issuer->said_at, report);
	if ((issuer = grow(&conf->issuers, &conf->n_issuers, sizeof(*issuer), report)) == NULL)
		return EX_OSERR;
	if ((rc = name_row(&issuer->name, name, &issuer->said_at, at, report)) != 0)
		return rc;
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_ISSUER &&
		    (rc = bg_option_store(&bg_options[i], said_of(top, block, &bg_options[i]), issuer, report)) != 0)
			return rc;

	if (issuer->n_audience == 0) {	/* SR-40 */
		bg_report_value(report, at, "", "issuer", name, "has no audience");
		bg_buf_put_str(report, "; set AUTH0_AUDIENCE, or audience = \"...\" in a configuration file, where "
		    "audience = \"none\" must be written out to accept tokens for anyone\n");
		return EX_CONFIG;
	}
	if (issuer->n_audience == 1 && strcmp(issuer->audience[0], "none") == 0) {
		bg_list_free(issuer->audience, issuer->n_audience);
		issuer->audience = NULL;
		issuer->n_audience = 0;
		issuer->any_audience = true;
	}
	if (issuer->jwks_uri != NULL && issuer->jwks_file != NULL) {
		const struct bg_option *file = bg_option_find(BG_ISSUER, "jwks_file");

		bg_report(report, said_of(top, block, file)->at,
		    "jwks_file and jwks_uri are both given; one place for the keys was expected");
		return EX_CONFIG;
	}
	return 0;
}

/* The issuer of a domain, the caller's own; NULL without memory. */
static char *
issuer_of(const char *domain)
{
	const char *remark;
	struct bg_buf name;
	struct bg_slice text;
	char *issuer = NULL;

	bg_buf_init(&name, BG_URL_MAX + sizeof("https:///"));
	(void)bg_url_issuer_of_domain(bg_slice_str(domain), &name, &remark);
	if (bg_buf_finish(&name, &text, NULL) == 0)
		issuer = strdup(text.ptr);
	bg_buf_clear(&name);
	return issuer;
}

/* An issuer for each domain said. */
static int
add_domains(struct bg_conf *conf, const struct bg_said_block *top, const struct bg_said *domains, struct bg_buf *report)
{
	int rc = 0;

	for (size_t i = 0; i < domains->n && rc == 0; i++) {
		char *name = issuer_of(domains->text[i]);

		rc = name == NULL ? bg_report_memory(report) : add_issuer(conf, name, domains->at, top, NULL, report);
		free(name);
	}
	return rc;
}

/* Of the names offered, the one that may have been meant. */
struct nearest {
	const char *name, *best;
	size_t      least;
};

static void
offer(struct nearest *to, const char *name)
{
	size_t n = bg_name_distance(to->name, name);

	if (n < to->least) {
		to->least = n;
		to->best = name;
	}
}

static void
put_nearest(const struct nearest *to, const char *expected_words, struct bg_buf *report)
{
	if (to->best != NULL) {
		bg_buf_put_str(report, "; did you mean ");
		bg_log_text(report, bg_slice_str(to->best));
		bg_buf_put_str(report, "?\n");
	} else
		bg_buf_put_format(report, "; %s was expected\n", expected_words);
}

static const struct bg_said_block *
site_block_of(const struct bg_said_block *top, const char *host)
{
	for (size_t i = 0; i < top->n_blocks; i++)
		if (top->blocks[i].kind == BG_BLOCK_SITE && strcasecmp(top->blocks[i].title, host) == 0)
			return &top->blocks[i];
	return NULL;
}

static const struct bg_conf_site *
site_with(const struct bg_conf *conf, const char *issuer)
{
	for (size_t i = 0; i < conf->n_sites; i++)
		for (size_t j = 0; j < conf->sites[i].n_issuers; j++)
			if (strcmp(conf->sites[i].issuers[j], issuer) == 0)
				return &conf->sites[i];
	return NULL;
}

static bool
same_texts(const struct bg_said *a, const struct bg_said *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->text[i], b->text[i]) == 0;
	return same;
}

static bool
is_block(const struct bg_said_block *top, const char *issuer)
{
	for (size_t i = 0; i < top->n_blocks; i++)
		if (top->blocks[i].kind == BG_BLOCK_ISSUER && strcmp(top->blocks[i].title, issuer) == 0)
			return true;
	return false;
}

/*
 * A domain of a site: an issuer of its own, or one that a site before has made, which must then agree.  It must be no
 * issuer block and no domain at the top, since those are made by others.
 */
static int
add_site_domain(struct bg_conf *conf, const char *issuer, const struct bg_said_block *top, const struct bg_said_block *block,
    struct bg_buf *report)
{
	const char *at = block->opt[BG_OPT_SITE_domains].at;
	const struct bg_conf_site *other = site_with(conf, issuer);
	const struct bg_option *audience = &bg_options[BG_OPT_ISSUER_audience];
	const struct bg_said_block *before = other != NULL ? site_block_of(top, other->host) : NULL;

	if (before == NULL || is_block(top, issuer))
		return add_issuer(conf, issuer, at, top, block, report);
	if (same_texts(said_of(top, block, audience), said_of(top, before, audience)))
		return 0;
	bg_report_value(report, at, "", "issuer", issuer, "has another audience here");
	bg_buf_put_format(report, " than in the site at %s; an issuer block named by both sites was expected\n", before->at);
	return EX_CONFIG;
}

static int
site_issuer(struct bg_conf_site *site, const char *name, const char *at, struct bg_buf *report)
{
	char **row;

	for (size_t i = 0; i < site->n_issuers; i++)
		if (strcmp(site->issuers[i], name) == 0)
			return given_twice("issuer", name, at, at, report);
	row = grow(&site->issuers, &site->n_issuers, sizeof(*row), report);
	if (row == NULL)
		return EX_OSERR;
	return (*row = strdup(name)) != NULL ? 0 : bg_report_memory(report);
}

static int
add_site(struct bg_conf *conf, const struct bg_said_block *top, const struct bg_said_block *block, struct bg_buf *report)
{
	const struct bg_said *domains = &block->opt[BG_OPT_SITE_domains], *issuers = &block->opt[BG_OPT_SITE_issuers],
	    *audience = &block->opt[BG_OPT_SITE_audience];
	struct bg_conf_site *site;
	int rc;

	for (size_t i = 0; i < conf->n_sites; i++)
		if (strcasecmp(conf->sites[i].host, block->title) == 0)
			return given_twice("site", block->title, block->at, conf->sites[i].said_at, report);
	if (domains->n == 0 && issuers->n == 0) {
		bg_report_value(report, block->at, "", "site", block->title, "has no issuer");
		bg_buf_put_str(report, "; domains or issuers were expected\n");
		return EX_CONFIG;
	}
	if (domains->n == 0 && audience->n > 0) {
		bg_report(report, audience->at, "audience in a site is for its domains, and it has none; "
		    "it was expected in the issuer block");
		return EX_CONFIG;
	}
	if ((site = grow(&conf->sites, &conf->n_sites, sizeof(*site), report)) == NULL)
		return EX_OSERR;
	if ((rc = name_row(&site->host, block->title, &site->said_at, block->at, report)) != 0)
		return rc;
	for (char *p = site->host; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	for (size_t i = 0; i < domains->n && rc == 0; i++) {
		char *name = issuer_of(domains->text[i]);

		if (name == NULL)
			rc = bg_report_memory(report);
		else if ((rc = add_site_domain(conf, name, top, block, report)) == 0)
			rc = site_issuer(site, name, domains->at, report);
		free(name);
	}
	for (size_t i = 0; i < issuers->n && rc == 0; i++) {
		struct nearest near = { issuers->text[i], NULL, BG_NEAR_MAX + 1 };

		for (size_t j = 0; j < top->n_blocks; j++)
			if (top->blocks[j].kind == BG_BLOCK_ISSUER)
				offer(&near, top->blocks[j].title);
		if (is_block(top, near.name)) {
			rc = site_issuer(site, near.name, issuers->at, report);
			continue;
		}
		bg_report_value(report, issuers->at, "", "issuers", near.name, "is no issuer block");
		put_nearest(&near, "the name of one", report);
		rc = EX_CONFIG;
	}
	return rc;
}

static struct bg_conf_rule *
add_rule(struct bg_conf_rule *to, enum bg_rule_kind kind, struct bg_buf *report)
{
	struct bg_conf_rule *rule = grow(&to->rules, &to->n_rules, sizeof(*rule), report);

	if (rule != NULL)
		rule->kind = kind;
	return rule;
}

/* Policies named in a block are among the first n: a policy names none but those before it, so there is no circle. */
static int
check_policies(const struct bg_conf *conf, const struct bg_said *names, const struct bg_said_block *top,
    struct bg_buf *report)
{
	for (size_t i = 0; conf != NULL && i < names->n; i++) {
		struct nearest near = { names->text[i], NULL, BG_NEAR_MAX + 1 };
		bool known = false, below = false;

		for (size_t j = 0; j < conf->n_policies; j++) {
			known = known || strcmp(conf->policies[j].name, near.name) == 0;
			offer(&near, conf->policies[j].name);
		}
		if (known)
			continue;
		for (size_t j = 0; j < top->n_blocks; j++)
			below = below || (top->blocks[j].kind == BG_BLOCK_POLICY && strcmp(top->blocks[j].title, near.name) == 0);
		bg_report_value(report, names->at, "", "policy", near.name, "is not known");
		if (below)
			bg_buf_put_str(report, " here; a policy defined above it was expected\n");
		else
			put_nearest(&near, "the name of a policy block", report);
		return EX_CONFIG;
	}
	return 0;
}

/* The conditions that stand in a block, each as one rule of to. */
static int
add_conditions(struct bg_conf_rule *to, const struct bg_conf *conf, const struct bg_said_block *top,
    const struct bg_said_block *block, struct bg_buf *report)
{
	int rc;

	if ((rc = check_policies(conf, &block->opt[BG_OPT_POLICY_policy], top, report)) != 0)
		return rc;
	for (size_t i = 0; i < N_CONDITIONS; i++) {
		const struct bg_said *said = &block->opt[conditions[i].opt];
		struct bg_conf_rule *rule;

		if (said->n == 0)
			continue;
		if (conditions[i].opt == BG_OPT_CLAIM_present &&
		    (strcmp(said->text[0], "true") == 0) != (conditions[i].kind == BG_RULE_PRESENT))
			continue;
		if ((rule = add_rule(to, conditions[i].kind, report)) == NULL)
			return EX_OSERR;
		if (to->claim != NULL && (rule->claim = strdup(to->claim)) == NULL)
			return bg_report_memory(report);
		if (conditions[i].opt != BG_OPT_CLAIM_present && bg_list_copy(said, "", &rule->values, &rule->n_values) != 0)
			return bg_report_memory(report);
	}
	for (size_t i = 0; i < block->n_blocks; i++) {
		const struct bg_said_block *inner = &block->blocks[i];
		struct bg_conf_rule *rule = add_rule(to, inner->kind == BG_BLOCK_ANY ? BG_RULE_ANY : BG_RULE_ALL, report);

		if (rule == NULL)
			return EX_OSERR;
		if (inner->title != NULL && (rule->claim = strdup(inner->title)) == NULL)
			return bg_report_memory(report);
		if ((rc = add_conditions(rule, conf, top, inner, report)) != 0)
			return rc;
		if (rule->n_rules == 0) {
			if (inner->title != NULL)
				bg_report_value(report, inner->at, "", "claim", inner->title, "has no condition");
			else
				bg_buf_put_format(report, "%s: any has no condition", inner->at);
			bg_buf_put_str(report, "; at least one was expected\n");
			return EX_CONFIG;
		}
		/* nothing meets both, and what nobody can meet is a mistake */
		if (rule->n_rules > 1 && rule->rules[rule->n_rules - 1].kind == BG_RULE_ABSENT) {
			bg_report_value(report, inner->opt[BG_OPT_CLAIM_present].at, "", "claim", inner->title,
			    "is to be absent and to have a value");
			bg_buf_put_str(report, "; present = false alone was expected\n");
			return EX_CONFIG;
		}
	}
	return 0;
}

static int
add_policy(struct bg_conf *conf, const struct bg_said_block *top, const struct bg_said_block *block, struct bg_buf *report)
{
	struct bg_conf_policy *policy;
	struct bg_conf_rule rule = { .kind = BG_RULE_ALL };
	int rc;

	for (size_t i = 0; i < conf->n_policies; i++)
		if (strcmp(conf->policies[i].name, block->title) == 0)
			return given_twice("policy", block->title, block->at, conf->policies[i].said_at, report);
	/* before it has its name, so that it cannot name itself */
	rc = add_conditions(&rule, conf, top, block, report);
	if ((policy = grow(&conf->policies, &conf->n_policies, sizeof(*policy), report)) == NULL) {
		bg_conf_rule_clear(&rule);
		return EX_OSERR;
	}
	policy->rule = rule;	/* moved */
	if (rc != 0 || (rc = name_row(&policy->name, block->title, &policy->said_at, block->at, report)) != 0)
		return rc;
	if (rule.n_rules > 0)
		return 0;
	bg_report_value(report, block->at, "", "policy", block->title, "has no condition");
	bg_buf_put_str(report, ", so any token would meet it; at least one was expected\n");
	return EX_CONFIG;
}

int
bg_conf_read_demands(const struct bg_conf *conf, int fd, const char *file, struct bg_conf_rule *out, struct bg_buf *report)
{
	struct bg_said_block said = { .kind = BG_BLOCK_POLICY };
	int rc;

	if ((rc = bg_conf_parse_open(fd, file, &said, report)) == 0 &&
	    (rc = add_conditions(out, conf, &said, &said, report)) == 0 && out->n_rules == 0) {
		/* it was meant to say something, and may have been cut off */
		bg_report(report, file, "has no condition; at least one was expected, or no such file");
		rc = EX_CONFIG;
	}
	bg_said_block_clear(&said);
	return rc;
}

/* Two locations of one path: may one request be for both?  One for all methods gives way to one that names them. */
static bool
overlap(const struct bg_conf_location *a, const struct bg_conf_location *b)
{
	if (strcmp(a->path, b->path) != 0)
		return false;
	for (size_t i = 0; i < a->n_methods; i++)
		for (size_t j = 0; j < b->n_methods; j++)
			if (strcmp(a->methods[i], b->methods[j]) == 0)
				return true;
	return a->n_methods == 0 && b->n_methods == 0;
}

static int
add_location(struct bg_conf *conf, const struct bg_said_block *top, const struct bg_said_block *block,
    struct bg_buf *report)
{
	struct bg_conf_location *location = grow(&conf->locations, &conf->n_locations, sizeof(*location), report);
	const struct bg_said *auth = &block->opt[BG_OPT_LOCATION_auth];
	int rc;

	if (location == NULL)
		return EX_OSERR;
	location->rule.kind = BG_RULE_ALL;
	location->says_auth = auth->n > 0;
	if ((rc = name_row(&location->path, block->title, &location->said_at, block->at, report)) != 0)
		return rc;
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_LOCATION &&
		    (rc = bg_option_store(&bg_options[i], &block->opt[i], location, report)) != 0)
			return rc;
	if ((rc = add_conditions(&location->rule, conf, top, block, report)) != 0)
		return rc;
	for (size_t i = 0; i + 1 < conf->n_locations; i++)
		if (overlap(&conf->locations[i], location)) {
			bg_report_value(report, block->at, "", "location", location->path, "is given twice for a method");
			bg_buf_put_format(report, ", %s has it already\n", conf->locations[i].said_at);
			return EX_CONFIG;
		}
	if (location->rule.n_rules > 0 && location->auth != BG_AUTH_REQUIRED) {
		bg_report(report, auth->at, "auth \"%s\" stands beside a condition, which only a token can meet; "
		    "one of the two was expected", bg_word_name(BG_AUTH, (int)location->auth));
		return EX_CONFIG;
	}
	if (location->rule.n_rules == 0 && !location->says_auth) {
		bg_report_value(report, block->at, "", "location", location->path, "says nothing");
		bg_buf_put_str(report, "; auth or a condition was expected, and auth = \"required\" where any token will do\n");
		return EX_CONFIG;
	}
	return 0;
}

/* The variable of a claim that was given no name, the caller's own; NULL without memory. */
static char *
variable_of(const char *claim)
{
	struct bg_buf name;
	struct bg_slice text;
	char *variable = NULL;

	bg_buf_init(&name, BG_CONF_VALUE_MAX + sizeof("CLAIM_"));
	bg_export_name(claim, &name);
	if (bg_buf_finish(&name, &text, NULL) == 0)
		variable = strdup(text.ptr);
	bg_buf_clear(&name);
	return variable;
}

static int
add_default_exports(struct bg_conf *conf, struct bg_buf *report)
{
	for (size_t i = 0; bg_export_defaults[i] != NULL; i++) {
		struct bg_conf_export *row = grow(&conf->exports, &conf->n_exports, sizeof(*row), report);

		if (row == NULL)
			return EX_OSERR;
		if ((row->claim = strdup(bg_export_defaults[i])) == NULL || (row->as = variable_of(bg_export_defaults[i])) == NULL)
			return bg_report_memory(report);
	}
	return 0;
}

/* An export takes the place of the default one of its claim. */
static int
add_export(struct bg_conf *conf, const struct bg_said_block *block, struct bg_buf *report)
{
	struct bg_conf_export *row = NULL;
	const char *wrong;
	int rc;

	for (size_t i = 0; i < conf->n_exports && row == NULL; i++)
		if (strcmp(conf->exports[i].claim, block->title) == 0)
			row = &conf->exports[i];
	if (row != NULL && row->said_at != NULL)
		return given_twice("export", block->title, block->at, row->said_at, report);
	if (row != NULL) {
		free(row->claim);
		free(row->as);
		*row = (struct bg_conf_export){ 0 };
	} else if (conf->n_exports == BG_EXPORT_MAX) {
		bg_report_value(report, block->at, "", "export", block->title, "is one too many");
		bg_buf_put_format(report, "; at most %d are allowed, those by default among them\n", BG_EXPORT_MAX);
		return EX_CONFIG;
	} else if ((row = grow(&conf->exports, &conf->n_exports, sizeof(*row), report)) == NULL)
		return EX_OSERR;
	if ((rc = name_row(&row->claim, block->title, &row->said_at, block->at, report)) != 0)
		return rc;
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_EXPORT && (rc = bg_option_store(&bg_options[i], &block->opt[i], row, report)) != 0)
			return rc;
	if (row->as == NULL && (row->as = variable_of(row->claim)) == NULL)
		return bg_report_memory(report);
	if ((wrong = bg_export_name_wrong(row->as)) != NULL) {	/* one of ours can only be too long */
		bg_report_value(report, block->at, "", "export", row->claim, "makes the variable ");
		bg_buf_put_format(report, "%s, which %s; as = \"NAME\" was expected\n", row->as, wrong);
		return EX_CONFIG;
	}
	return 0;
}

/* One variable cannot have two values.  design.md section 3. */
static int
check_exports(const struct bg_conf *conf, struct bg_buf *report)
{
	for (size_t i = 0; i < conf->n_exports; i++)
		for (size_t j = 0; j < i; j++) {
			const struct bg_conf_export *a = &conf->exports[j], *b = &conf->exports[i];

			if (strcmp(a->as, b->as) != 0)
				continue;
			if (b->said_at == NULL) {	/* an export took the place of a default one above it */
				a = b;
				b = &conf->exports[j];
			}
			bg_report_value(report, b->said_at, "", "export", b->claim, "makes the variable ");
			bg_buf_put_format(report, "%s, as export ", b->as);
			bg_log_text(report, bg_slice_str(a->claim));
			bg_buf_put_format(report, " does %s%s; as = \"NAME\" was expected in one of them\n",
			    a->said_at != NULL ? "at " : "by default", a->said_at != NULL ? a->said_at : "");
			return EX_CONFIG;
		}
	return 0;
}

/* "none" means any audience only where it stands alone; beside others one of the two is a mistake. */
static int
check_audience(const struct bg_said *audience, struct bg_buf *report)
{
	for (size_t i = 0; i < audience->n && audience->n > 1; i++)
		if (strcmp(audience->text[i], "none") == 0) {
			bg_report(report, audience->at,
			    "audience \"none\" stands beside others; it accepts tokens for anyone, so it must stand alone");
			return EX_CONFIG;
		}
	return 0;
}

/* What options must agree on, before they are put together. */
static int
check_together(const struct bg_said_block *said, struct bg_buf *report)
{
	static const enum bg_opt places[] = { BG_OPT_SHORT_jwks_uri, BG_OPT_SHORT_jwks_file };
	const struct bg_said *top = said->opt;
	size_t n_domains = top[BG_OPT_SHORT_domain].n + top[BG_OPT_SHORT_domains].n;

	if (top[BG_OPT_SHORT_domain].n > 0 && top[BG_OPT_SHORT_domains].n > 0) {
		bg_report(report, top[BG_OPT_SHORT_domains].at,
		    "domains beside domain, which stands at %s; one of the two was expected", top[BG_OPT_SHORT_domain].at);
		return EX_CONFIG;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (top[places[i]].n > 0 && n_domains != 1) {
			bg_report(report, top[places[i]].at, "%s at the top is for one domain, and there %s; "
			    "it was expected inside an issuer block", bg_options[places[i]].name,
			    n_domains == 0 ? "is none" : "are several");
			return EX_CONFIG;
		}
	if (check_audience(&top[BG_OPT_SHORT_audience], report) != 0)
		return EX_CONFIG;
	for (size_t i = 0; i < said->n_blocks; i++)
		if (check_audience(&said->blocks[i].opt[BG_OPT_ISSUER_audience], report) != 0 ||
		    check_audience(&said->blocks[i].opt[BG_OPT_SITE_audience], report) != 0)
			return EX_CONFIG;
	return 0;
}

/* The blocks, kind after kind, since one refers to another: sites to issuers, locations to policies. */
static int
add_blocks(struct bg_conf *conf, const struct bg_said_block *top, struct bg_buf *report)
{
	static const enum bg_block order[] = { BG_BLOCK_ISSUER, BG_BLOCK_SITE, BG_BLOCK_POLICY, BG_BLOCK_LOCATION, BG_BLOCK_EXPORT };
	int rc = 0;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (size_t j = 0; j < top->n_blocks && rc == 0; j++) {
			const struct bg_said_block *block = &top->blocks[j];

			if (block->kind != order[i])
				continue;
			switch (block->kind) {
			case BG_BLOCK_ISSUER:
				rc = add_issuer(conf, block->title, block->at, top, block, report);
				break;
			case BG_BLOCK_SITE:
				rc = add_site(conf, top, block, report);
				break;
			case BG_BLOCK_POLICY:
				rc = add_policy(conf, top, block, report);
				break;
			case BG_BLOCK_LOCATION:
				rc = add_location(conf, top, block, report);
				break;
			default:
				rc = add_export(conf, block, report);
			}
		}
	return rc;
}

/* The directory of the installation is used where somebody has made it; "none" is a word for the file alone. */
static int
settle_cache_dir(struct bg_conf *conf, struct bg_buf *report)
{
	if (conf->cache_dir != NULL && strcmp(conf->cache_dir, "none") == 0) {
		free(conf->cache_dir);
		conf->cache_dir = NULL;
	} else if (conf->cache_dir == NULL && bg_directory_wrong(CACHEDIR) == NULL &&
	    (conf->cache_dir = strdup(CACHEDIR)) == NULL)
		return bg_report_memory(report);
	return 0;
}

/* Does a path have ".." as one of its parts? */
static bool
goes_up(const char *path)
{
	for (const char *at = strstr(path, ".."); at != NULL; at = strstr(at + 1, ".."))
		if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
			return true;
	return false;
}

static int
check_script(const struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	size_t len = conf->script_root != NULL ? strlen(conf->script_root) : 0;

	/* Servers take it out of what they say, and then no script would be below. */
	if (conf->script_root != NULL && goes_up(conf->script_root)) {
		bg_report(report, top[BG_OPT_TOP_script_root].at, "script_root has \"..\" in it; the same directory without was expected");
		return EX_CONFIG;
	}
	if (conf->script == NULL || conf->script_root == NULL)
		return 0;
	while (len > 0 && conf->script_root[len - 1] == '/')
		len--;
	if (strncmp(conf->script, conf->script_root, len) == 0 && conf->script[len] == '/')
		return 0;
	bg_report(report, top[BG_OPT_TOP_script].at, "script is not below script_root, at %s; a program in that directory was expected",
	    top[BG_OPT_TOP_script_root].at);
	return EX_CONFIG;
}

bool
bg_option_beside_daemon(enum bg_opt opt)
{
	static const enum bg_opt opts[] = { BG_OPT_TOP_daemon, BG_OPT_TOP_daemon_timeout, BG_OPT_TOP_daemon_user, BG_OPT_TOP_script,
		BG_OPT_TOP_script_root, BG_OPT_TOP_script_owner, BG_OPT_TOP_pass_credentials, BG_OPT_TOP_log, BG_OPT_TOP_log_level,
		BG_OPT_TOP_log_format };

	for (size_t i = 0; i < sizeof(opts) / sizeof(opts[0]); i++)
		if (opts[i] == opt)
			return true;
	return false;
}

/*
 * Where a daemon decides, nothing is said here that it would have to know: a policy or an issuer in this file would look as if
 * somebody kept to it.
 */
static int
check_daemon(const struct bg_said_block *top, struct bg_buf *report)
{
	const char *at = top->opt[BG_OPT_TOP_daemon].at;

	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (top->opt[i].n > 0 && !bg_option_beside_daemon((enum bg_opt)i)) {
			bg_report(report, top->opt[i].at, "%s beside daemon, which stands at %s and decides; it was expected in the daemon's "
			    "own configuration", bg_options[i].name, at);
			return EX_CONFIG;
		}
	for (size_t i = 0; i < top->n_blocks; i++)
		if (top->blocks[i].kind != BG_BLOCK_EXPORT) {
			bg_report(report, top->blocks[i].at, "%s beside daemon, which stands at %s and decides; it was expected in the "
			    "daemon's own configuration", bg_block_name(top->blocks[i].kind), at);
			return EX_CONFIG;
		}
	return 0;
}

/*
 * A socket file that everybody can write to is open to everybody (SR-89), unless whoever connects is asked who he is:
 * then the mode is nothing that anything depends on.
 */
static int
check_listen(const struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	bool accounts = conf->n_listen_allowed_clients > 0;

	for (size_t i = 0; i < conf->n_listen_allowed_clients; i++)
		accounts = accounts && strcmp(conf->listen_allowed_clients[i], "unix") != 0;
	if ((conf->listen_mode & 0002) == 0 || accounts)
		return 0;
	bg_report(report, top[BG_OPT_TOP_listen_mode].at, "listen_mode %04o lets every user of this machine ask for decisions; "
	    "a mode such as 0660 was expected, or listen_allowed_clients with those who may, and without \"unix\"",
	    (unsigned)conf->listen_mode);
	return EX_CONFIG;
}

/* Whom the daemon becomes: whether it can is seen by the daemon. */
static int
check_user(const struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	const char *at = top[BG_OPT_TOP_user].at, *wrong;
	struct bg_user user;

	if (conf->user == NULL && conf->group == NULL)
		return 0;
	if (conf->user == NULL) {
		bg_report(report, top[BG_OPT_TOP_group].at, "group without user; user was expected beside it");
		return EX_CONFIG;
	}
	if ((wrong = bg_account_user(conf->user, &user)) != NULL) {	/* gone since a moment ago */
		bg_report_value(report, at, "", "user", conf->user, wrong);
		bg_buf_put_char(report, '\n');
		return EX_CONFIG;
	}
	if (user.uid == 0) {
		bg_report_value(report, at, "", "user", conf->user, "is root, whose rights it is there to give up");
		bg_buf_put_str(report, "; another user was expected\n");
		return EX_CONFIG;
	}
	if (!user.known && conf->group == NULL) {
		bg_report_value(report, at, "", "user", conf->user, "is a number that no user of this system has, so it has no group");
		bg_buf_put_str(report, "; group was expected beside it\n");
		return EX_CONFIG;
	}
	return 0;
}

/* The number of a user whose name was checked before. */
static int
find_user(const struct bg_said *said, const char *option, const char *name, uid_t otherwise, uid_t *uid, struct bg_buf *report)
{
	struct bg_user user = { .uid = otherwise };
	const char *wrong;

	if (name != NULL && (wrong = bg_account_user(name, &user)) != NULL) {
		bg_report(report, said->at, "%s %s", option, wrong);	/* not any more */
		return EX_CONFIG;
	}
	*uid = user.uid;
	return 0;
}

/* All that was said, checked value by value before, as one configuration. */
static int
complete(struct bg_conf *conf, const struct bg_said_block *top_block, const char *source, struct bg_buf *report)
{
	const struct bg_said *top = top_block->opt, *min = &top[BG_OPT_TOP_cache_ttl_min], *max = &top[BG_OPT_TOP_cache_ttl_max];
	int rc;

	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_TOP && (rc = bg_option_store(&bg_options[i], &top[i], conf, report)) != 0)
			return rc;
	if ((rc = find_user(&top[BG_OPT_TOP_script_owner], "script_owner", conf->script_owner, 0, &conf->script_uid, report)) != 0 ||
	    (rc = find_user(&top[BG_OPT_TOP_daemon_user], "daemon_user", conf->daemon_user, (uid_t)-1, &conf->daemon_uid, report)) != 0)
		return rc;
	if (conf->daemon != NULL) {
		if ((rc = check_daemon(top_block, report)) != 0 || (rc = add_default_exports(conf, report)) != 0 ||
		    (rc = add_blocks(conf, top_block, report)) != 0 || (rc = check_exports(conf, report)) != 0)
			return rc;
		return check_script(conf, top, report);
	}
	if ((rc = settle_cache_dir(conf, report)) != 0)
		return rc;
	if (conf->compat == BG_COMPAT_AUTH0) {	/* requirements/sdk-parity.md section 7.2 */
		if (top[BG_OPT_TOP_missing_status].n == 0)
			conf->missing_status = 400;
		if (top[BG_OPT_TOP_leeway].n == 0)
			conf->leeway = 0;
	}
	if ((rc = check_together(top_block, report)) != 0 ||
	    (rc = add_domains(conf, top_block, &top[BG_OPT_SHORT_domain], report)) != 0 ||
	    (rc = add_domains(conf, top_block, &top[BG_OPT_SHORT_domains], report)) != 0 ||
	    (conf->export_defaults && (rc = add_default_exports(conf, report)) != 0) ||
	    (rc = add_blocks(conf, top_block, report)) != 0 || (rc = check_exports(conf, report)) != 0)
		return rc;
	if ((rc = check_script(conf, top, report)) != 0 || (rc = check_listen(conf, top, report)) != 0 ||
	    (rc = check_user(conf, top, report)) != 0)
		return rc;
	if (conf->n_issuers == 0) {
		bg_report(report, source, "no issuer; AUTH0_DOMAIN and AUTH0_AUDIENCE in the environment, "
		    "or domain or an issuer block in a configuration file, were expected");
		return EX_CONFIG;
	}
	if (conf->cache_ttl_min > conf->cache_ttl_max) {
		struct bg_buf text;
		struct bg_slice words;

		bg_buf_init(&text, BG_DETAIL_MAX);
		bg_buf_put_str(&text, "cache_ttl_min is ");
		bg_put_duration(&text, conf->cache_ttl_min);
		bg_buf_put_str(&text, " and cache_ttl_max is ");
		bg_put_duration(&text, conf->cache_ttl_max);
		if (bg_buf_finish(&text, &words, NULL) == 0)
			bg_report(report, max->at != NULL ? max->at : min->at, "%s; the first must not exceed the second",
			    words.ptr);
		bg_buf_clear(&text);
		return EX_CONFIG;
	}
	return bg_bound_settle(conf, top, source, report);	/* last, since it makes remarks about what was not said */
}

/* The environment speaks where the file is silent. */
static int
merge(struct bg_said_block *said, struct bg_said env[BG_ENV_COUNT], struct bg_buf *report)
{
	static const struct { enum bg_env var; enum bg_opt opt; } rows[] = {
		{ BG_ENV_DOMAIN,   BG_OPT_SHORT_domain },
		{ BG_ENV_AUDIENCE, BG_OPT_SHORT_audience },
		{ BG_ENV_CA_FILE,  BG_OPT_TOP_ca_file },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bg_said *mine = &env[rows[i].var], *theirs = &said->opt[rows[i].opt];
		const char *name = bg_env_name(rows[i].var), *at = theirs->at;

		if (mine->n == 0)
			continue;
		if (said->opt[BG_OPT_TOP_daemon].n > 0) {
			bg_report(report, mine->at, "remark: %s is not used, the daemon at %s decides", name,
			    said->opt[BG_OPT_TOP_daemon].at);
			continue;
		}
		/* a file that names any issuer names them all: a variable must not add one to it */
		if (rows[i].opt == BG_OPT_SHORT_domain && at == NULL) {
			at = said->opt[BG_OPT_SHORT_domains].at;
			for (size_t j = 0; j < said->n_blocks && at == NULL; j++)
				if (said->blocks[j].kind == BG_BLOCK_ISSUER || said->blocks[j].kind == BG_BLOCK_SITE)
					at = said->blocks[j].at;
		}
		if (at != NULL) {
			if (theirs->n != 1 || strcmp(theirs->text[0], mine->text[0]) != 0)
				bg_report(report, mine->at, "remark: %s is not used, %s says something else", name, at);
			continue;
		}
		/* SR-40 wants it written out, not inherited from whatever a service manager hands down */
		if (rows[i].var == BG_ENV_AUDIENCE && strcmp(mine->text[0], "none") == 0) {
			bg_report(report, mine->at, "%s is \"none\"; to accept tokens for anyone, "
			    "audience = \"none\" must be written out in a configuration file", name);
			return EX_CONFIG;
		}
		if (bg_option_check(&bg_options[rows[i].opt], name, mine->text[0], mine->at, report) != 0)
			return EX_CONFIG;
		*theirs = *mine;
		*mine = (struct bg_said){ 0 };	/* moved */
	}
	return 0;
}

int
bg_conf_load(struct bg_conf **out, const struct bg_conf_sources *from, struct bg_buf *report)
{
	struct bg_said env[BG_ENV_COUNT] = { 0 };
	struct bg_said_block said = { 0 };
	struct bg_conf *conf = NULL;
	const char *file = from->file;
	int rc;

	*out = NULL;
	if ((rc = bg_env_read(from, env, report)) != 0)
		goto out;
	if (file == NULL && env[BG_ENV_CONFIG].n > 0)
		file = env[BG_ENV_CONFIG].text[0];
	else if (env[BG_ENV_CONFIG].n > 0 && strcmp(env[BG_ENV_CONFIG].text[0], file) != 0)
		bg_report(report, env[BG_ENV_CONFIG].at, "remark: BEARERGATE_CONFIG is not used, %s was named instead", file);
	if ((file != NULL && (rc = bg_conf_parse(file, from->guarded, from->environ, &said, report)) != 0) ||
	    (rc = merge(&said, env, report)) != 0)
		goto out;
	if ((conf = calloc(1, sizeof(*conf))) == NULL) {
		rc = bg_report_memory(report);
		goto out;
	}
	if ((rc = complete(conf, &said, file != NULL ? file : "environment", report)) != 0)
		goto out;
	*out = conf;
	conf = NULL;		/* moved to the caller */
out:
	bg_conf_free(conf);
	for (size_t i = 0; i < BG_ENV_COUNT; i++)
		bg_said_clear(&env[i]);
	bg_said_block_clear(&said);
	return rc;
}

void
bg_conf_free(struct bg_conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->n_issuers; i++) {
		struct bg_conf_issuer *issuer = &conf->issuers[i];

		free(issuer->name);
		free(issuer->said_at);
		bg_list_free(issuer->audience, issuer->n_audience);
		bg_list_free(issuer->algorithms, issuer->n_algorithms);
		free(issuer->require_typ);
		free(issuer->jwks_uri);
		free(issuer->jwks_file);
	}
	for (size_t i = 0; i < conf->n_policies; i++) {
		free(conf->policies[i].name);
		free(conf->policies[i].said_at);
		bg_conf_rule_clear(&conf->policies[i].rule);
	}
	for (size_t i = 0; i < conf->n_locations; i++) {
		free(conf->locations[i].path);
		free(conf->locations[i].said_at);
		bg_list_free(conf->locations[i].methods, conf->locations[i].n_methods);
		bg_conf_rule_clear(&conf->locations[i].rule);
	}
	for (size_t i = 0; i < conf->n_sites; i++) {
		free(conf->sites[i].host);
		free(conf->sites[i].said_at);
		bg_list_free(conf->sites[i].issuers, conf->sites[i].n_issuers);
	}
	for (size_t i = 0; i < conf->n_exports; i++) {
		free(conf->exports[i].claim);
		free(conf->exports[i].said_at);
		free(conf->exports[i].as);
		free(conf->exports[i].join);
	}
	free(conf->issuers);
	free(conf->policies);
	free(conf->locations);
	free(conf->sites);
	free(conf->exports);
	free(conf->user_claim);
	free(conf->realm);
	free(conf->ca_file);
	free(conf->ca_dir);
	free(conf->proxy);
	free(conf->cache_dir);
	free(conf->log);
	free(conf->daemon);
	free(conf->script);
	free(conf->script_root);
	free(conf->script_owner);
	free(conf->daemon_user);
	bg_list_free(conf->listen, conf->n_listen);
	free(conf->listen_owner);
	free(conf->listen_group);
	bg_list_free(conf->listen_allowed_clients, conf->n_listen_allowed_clients);
	free(conf->user);
	free(conf->group);
	bg_list_free(conf->dpop_algorithms, conf->n_dpop_algorithms);
	bg_list_free(conf->trusted_proxies, conf->n_trusted_proxies);
	free(conf->dpop_nonce_key_file);
	bg_secret_free(conf->nonce_key, conf->nonce_key_len);
	free(conf->public_url);
	free(conf->replay);
	bg_secret_free(conf->replay_password, conf->replay_password != NULL ? strlen(conf->replay_password) : 0);
	free(conf->replay_password_file);
	free(conf->replay_ca_file);
	free(conf->replay_ca_dir);
	free(conf);
}
