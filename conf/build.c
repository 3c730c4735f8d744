#include <stdlib.h>
#include <unistd.h>

#include "conf/conf.h"
#include "core/alg.h"

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
	long processors;

	if (conf->threads > 0)
		return conf->threads;
	processors = sysconf(_SC_NPROCESSORS_ONLN);
	return processors < THREADS_LEAST ? THREADS_LEAST : processors > THREADS_MOST ? THREADS_MOST : (int)processors;
}

/* Fill in one issuer, which was cleared.  What was made so far is in it, also after a failure. */
static int
build_issuer(const struct bg_conf *conf, const struct bg_conf_issuer *said, const struct bg_fetcher *fetcher,
    struct bg_issuer *out, struct bg_error *err)
{
	/* One thread stays free for requests that need not wait, whichever issuers hang (SR-51), if there are so many. */
	unsigned waiters = (unsigned)(bg_conf_threads(conf) - 1) / (unsigned)conf->n_issuers;
	struct bg_keystore_options options = {
		.issuer = said->name,
		.jwks_uri = said->jwks_uri,
		.jwks_file = said->jwks_file,
		.fetcher = fetcher,
		.fetch_timeout = conf->fetch_timeout,
		.cache_ttl_min = conf->cache_ttl_min,
		.cache_ttl_max = conf->cache_ttl_max,
		.refresh_cooldown = conf->refresh_cooldown,
		.max_waiters = waiters > 1 ? waiters : 1,
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
	if (said->n_audience > 0 && (out->audiences = calloc(said->n_audience, sizeof(*out->audiences))) == NULL)
		return no_memory(err);
	for (; out->n_audiences < said->n_audience; out->n_audiences++)
		if ((out->audiences[out->n_audiences] = strdup(said->audience[out->n_audiences])) == NULL)
			return no_memory(err);
	if ((out->algs = calloc(said->n_algorithms, sizeof(*out->algs))) == NULL)
		return no_memory(err);
	for (; out->n_algs < said->n_algorithms; out->n_algs++)
		if ((out->algs[out->n_algs] = bg_alg_find(bg_slice_str(said->algorithms[out->n_algs]))) == NULL)
			return bg_fail(err, BG_R_INTERNAL, "%s: algorithm %s is not known", said->said_at,
			    said->algorithms[out->n_algs]);
	return bg_keystore_new(&out->keys, &options, err);
}

int
bg_conf_build(const struct bg_conf *conf, const struct bg_fetcher *fetcher, struct bg_gate **out, struct bg_error *err)
{
	struct bg_gate *gate = calloc(1, sizeof(*gate));
	int rc = -1;

	*out = NULL;
	if (gate == NULL || (gate->realm = strdup(conf->realm)) == NULL ||
	    (gate->issuers = calloc(conf->n_issuers, sizeof(*gate->issuers))) == NULL) {
		(void)no_memory(err);
		goto out;
	}
	gate->leeway = conf->leeway;
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
