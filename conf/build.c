#include <stdlib.h>
#include <unistd.h>

#include "conf/internal.h"
#include "core/alg.h"
#include "core/limits.h"
#include "core/regex.h"

#define THREADS_LEAST	4
#define THREADS_MOST	1024

static int
no_memory(struct bg_error *err)
{
	return bg_fail(err, BG_R_NO_MEMORY, "gate");
}

int
bg_conf_threads(const struct bg_conf *conf)
{
	long n;

	if (conf->threads > 0)
		return conf->threads;
	n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < THREADS_LEAST)
		n = THREADS_LEAST;
	return n > THREADS_MOST ? THREADS_MOST : (int)n;
}

/* A list of texts, copied; *n grows with it, so that whoever frees the list can do so at any time. */
static int
copy_texts(char ***out, size_t *n, char *const *from, size_t count, struct bg_error *err)
{
	if (count > 0 && (*out = calloc(count, sizeof(**out))) == NULL)
		return no_memory(err);
	for (; *n < count; ++*n)
		if (((*out)[*n] = strdup(from[*n])) == NULL)
			return no_memory(err);
	return 0;
}

/* The sites an issuer speaks for: all that name it. */
static int
build_sites(const struct bg_conf *conf, struct bg_issuer *out, struct bg_error *err)
{
	if (conf->n_sites > 0 && (out->sites = calloc(conf->n_sites, sizeof(*out->sites))) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < conf->n_sites; i++)
		for (size_t j = 0; j < conf->sites[i].n_issuers; j++) {
			if (strcmp(conf->sites[i].issuers[j], out->name) != 0)
				continue;
			if ((out->sites[out->n_sites] = strdup(conf->sites[i].host)) == NULL)
				return no_memory(err);
			out->n_sites++;
			break;
		}
	return 0;
}

/* Fill in one issuer, which was cleared.  What was made so far is in it, also after a failure. */
static int
build_issuer(const struct bg_conf *conf, const struct bg_conf_issuer *said, const struct bg_fetcher *fetcher,
    struct bg_issuer *out, struct bg_error *err)
{
	struct bg_keystore_options options = {
		.source = {
			.issuer = said->name,
			.jwks_uri = said->jwks_uri,
			.jwks_file = said->jwks_file,
			.fetcher = fetcher,
			.fetch_timeout = conf->fetch_timeout,
			.cache_ttl_min = conf->cache_ttl_min,
			.cache_ttl_max = conf->cache_ttl_max,
		},
		.cache_dir = conf->cache_dir,
		.stale_if_error = conf->stale_if_error,
		.refresh_cooldown = conf->refresh_cooldown,
	};

	/* SR-40: neither a list nor the word is no permission */
	if (said->n_audience == 0 && !said->any_audience)
		return bg_fail(err, BG_R_INTERNAL, "%s: issuer %s has no audience", said->said_at, said->name);
	if (said->n_algorithms == 0)
		return bg_fail(err, BG_R_INTERNAL, "%s: issuer %s has no algorithm", said->said_at, said->name);
	if (fetcher == NULL && said->jwks_file == NULL)
		return bg_fail(err, BG_R_INTERNAL, "%s: issuer %s has no jwks_file, and nothing fetches keys here",
		    said->said_at, said->name);

	if ((out->name = strdup(said->name)) == NULL)
		return no_memory(err);
	out->any_audience = said->any_audience;
	if (copy_texts(&out->audiences, &out->n_audiences, said->audience, said->n_audience, err) != 0 ||
	    build_sites(conf, out, err) != 0)
		return -1;
	if (said->require_typ != NULL && (out->require_typ = strdup(said->require_typ)) == NULL)
		return no_memory(err);
	if ((out->algs = calloc(said->n_algorithms, sizeof(*out->algs))) == NULL)
		return no_memory(err);
	for (; out->n_algs < said->n_algorithms; out->n_algs++)
		if ((out->algs[out->n_algs] = bg_alg_find(bg_slice_str(said->algorithms[out->n_algs]))) == NULL)
			return bg_fail(err, BG_R_INTERNAL, "%s: algorithm %s is not known", said->said_at,
			    said->algorithms[out->n_algs]);
	return bg_keystore_new(&out->keys, &options, err);
}

static const struct bg_policy *
policy_named(const struct bg_policies *policies, const char *name)
{
	for (size_t i = 0; i < policies->n_policies; i++)
		if (strcmp(policies->policies[i].name, name) == 0)
			return &policies->policies[i];
	return NULL;
}

/* The policies that a list names, each as a REF of out; conf/check.c saw that they are there. */
static int
build_refs(const struct bg_policies *policies, const struct bg_conf_rule *said, struct bg_rule *out, struct bg_error *err)
{
	out->kind = BG_RULE_ALL;
	if ((out->rules = calloc(said->n_values, sizeof(*out->rules))) == NULL)
		return no_memory(err);
	for (; out->n_rules < said->n_values; out->n_rules++) {
		const struct bg_policy *policy = policy_named(policies, said->values[out->n_rules]);

		if (policy == NULL)
			return bg_fail(err, BG_R_INTERNAL, "policy %s is not known", said->values[out->n_rules]);
		out->rules[out->n_rules] = (struct bg_rule){ .kind = BG_RULE_REF, .ref = &policy->rule };
	}
	return 0;
}

/* Fill in a rule, which was cleared.  What was made so far is in it, also after a failure. */
static int
build_rule(const struct bg_policies *policies, const struct bg_conf_rule *said, struct bg_rule *out, struct bg_error *err)
{
	if (said->kind == BG_RULE_REF)
		return build_refs(policies, said, out, err);
	out->kind = said->kind;
	/* the claim of a block is that of each condition in it already */
	if (said->claim != NULL && said->n_rules == 0 && (out->claim = strdup(said->claim)) == NULL)
		return no_memory(err);
	if (said->kind == BG_RULE_MATCHES && bg_regex_new(&out->regex, bg_slice_str(said->values[0]), err) != 0)
		return -1;
	if (copy_texts(&out->values, &out->n_values, said->values, said->n_values, err) != 0)
		return -1;
	if (said->n_rules > 0 && (out->rules = calloc(said->n_rules, sizeof(*out->rules))) == NULL)
		return no_memory(err);
	/* counted first: a half-made rule is the gate's to free */
	for (size_t i = 0; i < said->n_rules; i++) {
		out->n_rules++;
		if (build_rule(policies, &said->rules[i], &out->rules[i], err) != 0)
			return -1;
	}
	return 0;
}

/* A location's policies are on a list of their own, beside its other conditions. */
static int
build_location(const struct bg_policies *policies, const struct bg_conf_location *said, struct bg_location *out,
    struct bg_error *err)
{
	out->says_auth = said->says_auth;
	out->auth = said->auth;
	out->rule.kind = BG_RULE_ALL;
	if ((out->path = strdup(said->path)) == NULL)
		return no_memory(err);
	if (copy_texts(&out->methods, &out->n_methods, said->methods, said->n_methods, err) != 0)
		return -1;
	if (said->rule.n_rules > 0 && (out->rule.rules = calloc(said->rule.n_rules, sizeof(*out->rule.rules))) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < said->rule.n_rules; i++) {
		const struct bg_conf_rule *rule = &said->rule.rules[i];

		if (rule->kind != BG_RULE_REF) {
			if (build_rule(policies, rule, &out->rule.rules[out->rule.n_rules++], err) != 0)
				return -1;
			continue;
		}
		if (out->policies != NULL)
			return bg_fail(err, BG_R_INTERNAL, "%s: two lists of policies", said->said_at);
		if ((out->policies = calloc(rule->n_values, sizeof(*out->policies))) == NULL)
			return no_memory(err);
		for (; out->n_policies < rule->n_values; out->n_policies++)
			if ((out->policies[out->n_policies] = policy_named(policies, rule->values[out->n_policies])) == NULL)
				return bg_fail(err, BG_R_INTERNAL, "%s: policy %s is not known", said->said_at,
				    rule->values[out->n_policies]);
	}
	return 0;
}

/* The policies are allocated once and for all: locations and rules point to them. */
static int
build_policies(const struct bg_conf *conf, struct bg_policies *out, struct bg_error *err)
{
	out->preflight = conf->preflight;
	if ((conf->n_policies > 0 && (out->policies = calloc(conf->n_policies, sizeof(*out->policies))) == NULL) ||
	    (conf->n_locations > 0 && (out->locations = calloc(conf->n_locations, sizeof(*out->locations))) == NULL))
		return no_memory(err);
	for (size_t i = 0; i < conf->n_policies; i++) {
		struct bg_policy *policy = &out->policies[i];

		/* named when it is whole, so that no rule finds the one it is part of */
		if (build_rule(out, &conf->policies[i].rule, &policy->rule, err) != 0 ||
		    ((policy->name = strdup(conf->policies[i].name)) == NULL && no_memory(err) != 0)) {
			bg_rule_clear(&policy->rule);
			return -1;
		}
		out->n_policies++;
	}
	for (size_t i = 0; i < conf->n_locations; i++) {
		out->n_locations++;
		if (build_location(out, &conf->locations[i], &out->locations[i], err) != 0)
			return -1;
	}
	return 0;
}

static int
build_exports(const struct bg_conf *conf, struct bg_exports *out, struct bg_error *err)
{
	out->json = conf->export_json;
	if ((conf->n_exports > 0 && (out->exports = calloc(conf->n_exports, sizeof(*out->exports))) == NULL) ||
	    (out->user_claim = strdup(conf->user_claim)) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < conf->n_exports; i++) {
		const struct bg_conf_export *said = &conf->exports[i];
		struct bg_export *row = &out->exports[out->n_exports++];

		row->encoding = said->encoding;
		if ((row->claim = strdup(said->claim)) == NULL || (row->name = strdup(said->as)) == NULL ||
		    (said->join != NULL && (row->join = strdup(said->join)) == NULL))
			return no_memory(err);
	}
	return 0;
}

static int
build_public(const struct bg_conf *conf, struct bg_public *out, struct bg_error *err)
{
	struct bg_proxies *proxies = &out->proxies;

	if (conf->public_url != NULL && (out->url = strdup(conf->public_url)) == NULL)
		return no_memory(err);
	proxies->all = conf->trust_proxy;
	if (conf->n_trusted_proxies > 0 &&
	    (proxies->networks = calloc(conf->n_trusted_proxies, sizeof(*proxies->networks))) == NULL)
		return no_memory(err);
	for (size_t i = 0; i < conf->n_trusted_proxies; i++) {
		const char *text = conf->trusted_proxies[i];

		if (strcmp(text, "unix") == 0)
			proxies->unix_socket = true;
		else if (bg_network_parse(bg_slice_str(text), &proxies->networks[proxies->n_networks]) == NULL)
			proxies->n_networks++;
		else
			return bg_fail(err, BG_R_INTERNAL, "trusted_proxies: %s is no network", text);
	}
	return 0;
}

static int
build_nonces(const struct bg_conf *conf, struct bg_nonces *out, struct bg_error *err)
{
	if (!conf->dpop_nonce)
		return 0;
	if (conf->nonce_key == NULL || conf->nonce_key_len < BG_NONCE_KEY_MIN)
		return bg_fail(err, BG_R_INTERNAL, "dpop_nonce has no key");
	if ((out->key = malloc(conf->nonce_key_len)) == NULL)
		return no_memory(err);
	memcpy(out->key, conf->nonce_key, conf->nonce_key_len);
	out->key_len = conf->nonce_key_len;
	out->window = conf->dpop_nonce_window;
	return 0;
}

static int
build_replay(const struct bg_conf *conf, struct bg_replay **out, struct bg_error *err)
{
	struct bg_store store = { 0 };
	const char *wrong;
	int rc;

	if (conf->replay != NULL && (wrong = bg_store_parse(conf->replay, &store)) != NULL) {
		rc = bg_fail(err, store.text == NULL ? BG_R_NO_MEMORY : BG_R_INTERNAL, "replay %s", wrong);
		goto out;
	}
	if (!store.redis)
		rc = bg_replay_lmdb_new(store.path, (size_t)conf->replay_max_proofs, conf->dpop_iat_leeway, out, err);
	else {
		struct bg_redis redis = {
			.host = store.host,
			.path = store.path,
			.port = store.port,
			.database = store.database,
			.tls = store.tls,
			.user = store.user,
			.password = conf->replay_password,
			.ca_file = conf->replay_ca_file,
			.ca_dir = conf->replay_ca_dir,
			.timeout_ms = conf->replay_timeout * 1000,
		};

		rc = bg_replay_redis_new(&redis, conf->dpop_iat_leeway, out, err);
	}
out:
	bg_store_clear(&store);
	return rc;
}

/* A gate that takes no DPoP proofs has no store: bg_proof_spend has nothing to spend then. */
static int
build_dpop(const struct bg_conf *conf, struct bg_dpop *out, struct bg_error *err)
{
	out->mode = conf->dpop;
	out->iat_offset = conf->dpop_iat_offset;
	out->iat_leeway = conf->dpop_iat_leeway;
	out->replay_fail_open = conf->replay_on_error;
	if (out->mode == BG_DPOP_DISABLED)
		return 0;
	if (conf->n_dpop_algorithms == 0)
		return bg_fail(err, BG_R_INTERNAL, "dpop has no algorithm");
	if ((out->algs = calloc(conf->n_dpop_algorithms, sizeof(*out->algs))) == NULL)
		return no_memory(err);
	for (; out->n_algs < conf->n_dpop_algorithms; out->n_algs++)
		if ((out->algs[out->n_algs] = bg_alg_find(bg_slice_str(conf->dpop_algorithms[out->n_algs]))) == NULL)
			return bg_fail(err, BG_R_INTERNAL, "dpop_algorithms: %s is not known",
			    conf->dpop_algorithms[out->n_algs]);
	if (build_public(conf, &out->public, err) != 0 || build_nonces(conf, &out->nonces, err) != 0)
		return -1;
	return build_replay(conf, &out->replay, err);
}

int
bg_conf_build(const struct bg_conf *conf, const struct bg_fetcher *fetcher, struct bg_gate **out, struct bg_error *err)
{
	struct bg_gate *gate = calloc(1, sizeof(*gate));
	int rc = -1;

	*out = NULL;
	if (conf->daemon != NULL) {
		bg_fail(err, BG_R_INTERNAL, "daemon = \"%s\": that is for bearergate-cgi, which asks there; what decides has a "
		    "configuration of its own, with issuers", conf->daemon);
		goto out;
	}
	if (gate == NULL || (gate->answers.realm = strdup(conf->realm)) == NULL ||
	    (gate->issuers = calloc(conf->n_issuers, sizeof(*gate->issuers))) == NULL) {
		(void)no_memory(err);
		goto out;
	}
	gate->leeway = conf->leeway;
	gate->answers.missing_status = conf->missing_status;
	gate->answers.dpop_error_status = conf->dpop_error_status;
	gate->answers.auth0 = conf->compat == BG_COMPAT_AUTH0;
	if (conf->token_cache > 0 &&
	    bg_verified_new(&gate->verified, (size_t)conf->token_cache, BG_VERIFIED_BYTES_MAX, err) != 0)
		goto out;
	if (build_policies(conf, &gate->policies, err) != 0 || build_exports(conf, &gate->exports, err) != 0 ||
	    build_dpop(conf, &gate->dpop, err) != 0)
		goto out;
	/* counted first: a half-made issuer is the gate's to free */
	for (size_t i = 0; i < conf->n_issuers; i++) {
		gate->n_issuers++;
		if (build_issuer(conf, &conf->issuers[i], fetcher, &gate->issuers[i], err) != 0)
			goto out;
	}
	*out = gate;
	gate = NULL;		/* moved to the caller */
	rc = 0;
out:
	bg_gate_free(gate);
	return rc;
}

int
bg_conf_load_demands(const struct bg_conf *conf, const struct bg_policies *policies, int fd, const char *file,
    struct bg_rule *out, struct bg_buf *report)
{
	struct bg_conf_rule said = { .kind = BG_RULE_ALL };
	struct bg_error err = { 0 };
	int rc;

	*out = (struct bg_rule){ .kind = BG_RULE_NEVER };
	if ((rc = bg_conf_read_demands(conf, fd, file, &said, report)) == 0 &&
	    build_rule(policies, &said, out, &err) != 0) {
		bg_report(report, file, "%s", err.detail);
		rc = err.reason == BG_R_NO_MEMORY ? EX_OSERR : EX_CONFIG;
	}
	if (rc != 0)
		out->kind = BG_RULE_NEVER;
	bg_conf_rule_clear(&said);
	return rc;
}
