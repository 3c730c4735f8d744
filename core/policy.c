#include "core/policy.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/path.h"

static const struct bg_policy *
policy_named(const struct bg_policies *policies, struct bg_slice name)
{
	for (size_t i = 0; i < policies->n_policies; i++)
		if (bg_slice_equal(name, bg_slice_str(policies->policies[i].name)))
			return &policies->policies[i];
	return NULL;
}

static bool
names_method(const struct bg_location *location, struct bg_slice method)
{
	for (size_t i = 0; i < location->n_methods; i++)
		if (bg_slice_equal(method, bg_slice_str(location->methods[i])))
			return true;
	return false;
}

/*
 * How well a location fits a method: 3 names it, 2 names GET where it is HEAD, 1 is for all, 0 is for others.  Whoever
 * may GET may HEAD, and must meet the same demands, where nothing else was said.  RFC 9110 section 9.3.2.
 */
static int
fits_method(const struct bg_location *location, struct bg_slice method)
{
	if (location->n_methods == 0)
		return 1;
	if (names_method(location, method))
		return 3;
	return bg_slice_equal(method, BG_SLICE("HEAD")) && names_method(location, BG_SLICE("GET")) ? 2 : 0;
}

/* The longest path wins; of two that are equal, the one that fits the method better. */
static bool
is_nearer(const struct bg_location *a, const struct bg_location *b, struct bg_slice method)
{
	size_t x = strlen(a->path), y = strlen(b->path);

	return x != y ? x > y : fits_method(a, method) > fits_method(b, method);
}

/*
 * Methods are told apart by case, but many a program takes "post" for POST: written so, or not there at all, a method would
 * lead past the location that names it.  RFC 9110 section 9.1.
 */
static bool
is_method(struct bg_slice method)
{
	for (size_t i = 0; i < method.len; i++)
		if (!((method.ptr[i] >= 'A' && method.ptr[i] <= 'Z') || (method.ptr[i] >= '0' && method.ptr[i] <= '9') ||
		    method.ptr[i] == '-' || method.ptr[i] == '_'))
			return false;
	return method.len > 0;
}

/* *passed_over: there is a nearer one, for other methods. */
static int
find_location(const struct bg_policies *policies, const struct bg_request *request, const struct bg_location **out,
    bool *passed_over, struct bg_error *err)
{
	size_t nearest = 0;
	struct bg_slice path;
	struct bg_buf buf;
	const char *wrong;
	int rc = -1;

	*out = NULL;
	*passed_over = false;
	if (policies->n_locations == 0)
		return 0;
	if (!is_method(request->method))
		return bg_fail(err, BG_R_BAD_REQUEST, "\"%.*s\" is no method in capital letters", BG_SLICE_ARG(request->method));
	bg_buf_init(&buf, BG_URI_MAX);
	if ((wrong = bg_path_normalise(request->uri, &buf)) != NULL && buf.no_memory)
		bg_fail(err, BG_R_NO_MEMORY, "path");
	else if (wrong != NULL)
		bg_fail(err, BG_R_BAD_REQUEST, "the path has %s, which servers read differently", wrong);
	else if (bg_buf_finish(&buf, &path, err) == 0) {
		for (size_t i = 0; i < policies->n_locations; i++) {
			const struct bg_location *location = &policies->locations[i];

			if (!bg_path_is_below(path, bg_slice_str(location->path)))
				continue;
			if (strlen(location->path) > nearest)
				nearest = strlen(location->path);
			if (fits_method(location, request->method) > 0 &&
			    (*out == NULL || is_nearer(location, *out, request->method)))
				*out = location;
		}
		*passed_over = nearest > (*out != NULL ? strlen((*out)->path) : 0);
		rc = 0;
	}
	bg_buf_clear(&buf);
	return rc;
}

static bool
is_empty(struct bg_slice list)
{
	struct bg_slice word;

	return !bg_slice_word(&list, &word);
}

int
bg_policy_find(const struct bg_policies *policies, const struct bg_request *request, struct bg_demand *out,
    struct bg_error *err)
{
	struct bg_slice names = request->want_policy, name;
	const struct bg_location *location;
	bool demands, passed_over;

	*out = (struct bg_demand){ .auth = BG_AUTH_REQUIRED, .request = request };
	while (bg_slice_word(&names, &name))
		if (policy_named(policies, name) == NULL)
			return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_POLICY names \"%.*s\", which is not configured",
			    BG_SLICE_ARG(name));
	if (find_location(policies, request, &location, &passed_over, err) != 0)
		return -1;
	out->location = location;
	demands = !is_empty(request->want_scope) || !is_empty(request->want_any_scope) || !is_empty(request->want_permission) ||
	    !is_empty(request->want_policy) || request->want_rule != NULL ||
	    (location != NULL && (location->n_policies > 0 || bg_rule_demands(&location->rule)));
	/* Methods are the client's to make up: none of them leads past a nearer location to what a farther one lets through. */
	if (demands || passed_over)
		return 0;
	if (request->says_auth)
		out->auth = request->auth;
	if (location != NULL && location->says_auth && (!request->says_auth || location->auth < out->auth))
		out->auth = location->auth;
	return 0;
}

/* RFC 9110 section 5.6.2. */
static bool
is_token(struct bg_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL)))
			return false;
	}
	return text.len > 0;
}

/* "null", or scheme and host: one value, which a browser writes.  RFC 6454 section 7.1. */
static bool
is_origin(struct bg_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= 0x20 || text.ptr[i] > 0x7e || text.ptr[i] == ',')
			return false;
	return bg_slice_equal(text, BG_SLICE("null")) ||
	    (text.len > 0 && memmem(text.ptr, text.len, "://", 3) != NULL);
}

bool
bg_policy_is_preflight(const struct bg_policies *policies, const struct bg_request *request)
{
	return policies->preflight && bg_slice_equal(request->method, BG_SLICE("OPTIONS")) && is_origin(request->origin) &&
	    is_token(request->preflight_method) && request->authorization.len == 0;
}

/* The words of a variable as the values of a rule. */
static int
check_words(enum bg_rule_kind kind, struct bg_slice words, const struct bg_claims *claims, struct bg_error *err)
{
	struct bg_rule rule = { .kind = kind };
	struct bg_slice rest = words, word;
	char *text = NULL, *at;
	int rc = -1;

	if (is_empty(words))
		return 0;
	/* one string of the words, each with its terminator, behind the table that points to them */
	rule.values = malloc((words.len / 2 + 1) * sizeof(*rule.values));
	text = at = malloc(words.len + 1);
	if (rule.values == NULL || text == NULL)
		bg_fail(err, BG_R_NO_MEMORY, "demand");
	else {
		while (bg_slice_word(&rest, &word)) {
			rule.values[rule.n_values++] = at;
			memcpy(at, word.ptr, word.len);
			at[word.len] = '\0';
			at += word.len + 1;
		}
		rc = bg_rule_check(&rule, claims, err);
	}
	free(text);
	free(rule.values);
	return rc;
}

int
bg_policy_check(const struct bg_policies *policies, const struct bg_demand *demand, const struct bg_claims *claims,
    struct bg_error *err)
{
	const struct bg_location *location = demand->location;
	struct bg_slice names = demand->request->want_policy, name;

	if (check_words(BG_RULE_SCOPE, demand->request->want_scope, claims, err) != 0 ||
	    check_words(BG_RULE_ANY_SCOPE, demand->request->want_any_scope, claims, err) != 0 ||
	    check_words(BG_RULE_PERMISSION, demand->request->want_permission, claims, err) != 0)
		return -1;
	while (bg_slice_word(&names, &name)) {
		const struct bg_policy *policy = policy_named(policies, name);

		if (policy == NULL)
			return bg_fail(err, BG_R_BAD_VARIABLE, "policy \"%.*s\" is not configured", BG_SLICE_ARG(name));
		if (bg_rule_check(&policy->rule, claims, err) != 0)
			return -1;
	}
	if (demand->request->want_rule != NULL && bg_rule_check(demand->request->want_rule, claims, err) != 0)
		return -1;
	if (location == NULL)
		return 0;
	for (size_t i = 0; i < location->n_policies; i++)
		if (bg_rule_check(&location->policies[i]->rule, claims, err) != 0)
			return -1;
	return bg_rule_check(&location->rule, claims, err);
}

static void
put_words(struct bg_slice words, struct bg_buf *out)
{
	struct bg_slice word;

	while (bg_slice_word(&words, &word))
		bg_scopes_put(out, word);
}

void
bg_policy_put_scopes(const struct bg_policies *policies, const struct bg_demand *demand, struct bg_buf *out)
{
	const struct bg_location *location = demand->location;
	struct bg_slice names, name;

	if (demand->request == NULL)
		return;
	put_words(demand->request->want_scope, out);
	put_words(demand->request->want_any_scope, out);
	for (names = demand->request->want_policy; bg_slice_word(&names, &name);) {
		const struct bg_policy *policy = policy_named(policies, name);

		if (policy != NULL)
			bg_rule_put_scopes(&policy->rule, out);
	}
	if (demand->request->want_rule != NULL)
		bg_rule_put_scopes(demand->request->want_rule, out);
	for (size_t i = 0; location != NULL && i < location->n_policies; i++)
		bg_rule_put_scopes(&location->policies[i]->rule, out);
	if (location != NULL)
		bg_rule_put_scopes(&location->rule, out);
}

void
bg_policies_clear(struct bg_policies *policies)
{
	for (size_t i = 0; i < policies->n_locations; i++) {
		struct bg_location *location = &policies->locations[i];

		for (size_t j = 0; j < location->n_methods; j++)
			free(location->methods[j]);
		free(location->methods);
		free(location->policies);
		free(location->path);
		bg_rule_clear(&location->rule);
	}
	for (size_t i = 0; i < policies->n_policies; i++) {
		bg_rule_clear(&policies->policies[i].rule);
		free(policies->policies[i].name);
	}
	free(policies->locations);
	free(policies->policies);
	*policies = (struct bg_policies){ 0 };
}
