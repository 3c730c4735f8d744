#include "core/keysource.h"

#include "core/limits.h"

#define SECOND	INT64_C(1000)

/* The bounds that the operator set on what the issuer says. */
static int64_t
bounded(const struct bg_keysource_options *options, int64_t max_age)
{
	if (max_age < 0 || max_age > options->cache_ttl_max)
		return options->cache_ttl_max;
	return max_age < options->cache_ttl_min ? options->cache_ttl_min : max_age;
}

static int
get(const struct bg_keysource_options *options, const struct bg_fetcher *fetcher, const struct bg_fetch_request *wanted,
    struct bg_buf *body, struct bg_fetch_meta *meta, int64_t *took, struct bg_error *err)
{
	struct bg_fetch_request request = *wanted;
	int rc;

	*meta = (struct bg_fetch_meta){ .max_age = -1 };
	request.timeout = options->fetch_timeout;
	request.cancel = options->cancel;
	rc = fetcher->get(fetcher, &request, body, meta, err);
	*took += meta->took_ms;
	return rc;
}

/* https://host:port of a URL, which is all of it before the path. */
static struct bg_slice
origin(struct bg_slice url)
{
	size_t n = strlen("https://");

	while (n < url.len && url.ptr[n] != '/' && url.ptr[n] != '?')
		n++;
	return (struct bg_slice){ url.ptr, n < url.len ? n : url.len };
}

/* Ask one place for the discovery document. */
static int
discover_at(const struct bg_keysource_options *options, enum bg_discovery_place place, struct bg_keyrecord *next,
    struct bg_fetch_meta *meta, int64_t *took, struct bg_error *err)
{
	struct bg_slice issuer = bg_slice_str(options->issuer), text, location;
	struct bg_buf url, body;
	int rc = -1;

	bg_buf_init(&url, BG_URL_MAX);
	bg_buf_init(&body, BG_FETCH_MAX);
	*meta = (struct bg_fetch_meta){ .max_age = -1 };
	bg_discovery_url(issuer, place, &url);
	if (bg_buf_finish(&url, &location, err) != 0 ||
	    get(options, options->fetcher, &(struct bg_fetch_request){ .location = location.ptr }, &body, meta, took, err) != 0 ||
	    bg_buf_finish(&body, &text, err) != 0 || bg_discovery_read(text, issuer, &url, err) != 0 ||
	    bg_buf_finish(&url, &location, err) != 0)
		goto out;
	bg_format(next->jwks_uri, sizeof(next->jwks_uri), "%s", location.ptr);
	next->private_peer = meta->private_peer;
	rc = 0;
out:
	bg_buf_clear(&body);
	bg_buf_clear(&url);
	return rc;
}

/*
 * Find out where the key set is: first where the document was the last time, then, if the server has no such document, in
 * the other place.  When it has neither, the failure told is that of the place that OpenID Connect names.
 */
static int
discover(const struct bg_keysource_options *options, struct bg_keysource_memory *memory, struct bg_now now,
    struct bg_keyrecord *next, int64_t *took, struct bg_error *err)
{
	struct bg_error why[BG_DISCOVERY_PLACES] = { { 0 } };
	struct bg_fetch_meta meta;

	for (int i = 0; i < BG_DISCOVERY_PLACES; i++) {
		enum bg_discovery_place place = (enum bg_discovery_place)((memory->place + i) % BG_DISCOVERY_PLACES);

		if (discover_at(options, place, next, &meta, took, &why[place]) == 0) {
			memory->place = place;
			memory->discovered_until = now.mono_ms + bounded(options, meta.max_age) * SECOND;
			return 0;
		}
		if (!meta.missing)
			return bg_fail(err, why[place].reason, "%s", why[place].detail);
	}
	return bg_fail(err, why[BG_DISCOVERY_OPENID].reason, "%s", why[BG_DISCOVERY_OPENID].detail);
}

/* The set that next->jwks_uri names. */
static int
bring_from_uri(const struct bg_keysource_options *options, bool public_only, const struct bg_keyrecord *last,
    struct bg_keyrecord *next, struct bg_jwks **keys, int64_t *took, struct bg_error *err)
{
	bool conditional = last->text.len > 0 && last->etag[0] != '\0' && strcmp(last->jwks_uri, next->jwks_uri) == 0;
	struct bg_fetch_request request = { .location = next->jwks_uri, .etag = conditional ? last->etag : NULL,
		.public_only = public_only };
	struct bg_fetch_meta meta;
	struct bg_slice text;

	if (get(options, options->fetcher, &request, &next->text, &meta, took, err) != 0)
		return -1;
	/* a confirmation that says nothing of time leaves what was said with the set */
	next->lifetime = bounded(options, meta.not_modified && meta.max_age < 0 ? last->lifetime : meta.max_age);
	if (meta.not_modified) {
		if (!conditional)
			return bg_fail(err, BG_R_FETCH_FAILED, "%s: confirmed what was not there", next->jwks_uri);
		bg_buf_reset(&next->text);
		bg_buf_put(&next->text, (struct bg_slice){ last->text.data, last->text.len });
		bg_format(next->etag, sizeof(next->etag), "%s", meta.etag[0] != '\0' ? meta.etag : last->etag);
	} else
		bg_format(next->etag, sizeof(next->etag), "%s", meta.etag);
	if (bg_buf_finish(&next->text, &text, err) != 0)
		return -1;
	return bg_jwks_parse(text, next->jwks_uri, keys, err);
}

static int
bring_from_file(const struct bg_keysource_options *options, struct bg_keyrecord *next, struct bg_jwks **keys,
    int64_t *took, struct bg_error *err)
{
	struct bg_fetch_meta meta;
	struct bg_slice text;

	if (get(options, &bg_fetch_file, &(struct bg_fetch_request){ .location = options->jwks_file }, &next->text, &meta, took,
	    err) != 0 || bg_buf_finish(&next->text, &text, err) != 0)
		return -1;
	next->lifetime = options->cache_ttl_max;
	return bg_jwks_parse_file(text, options->jwks_file, keys, err);
}

int
bg_keysource_bring(const struct bg_keysource_options *options, struct bg_keysource_memory *memory, struct bg_now now,
    const struct bg_keyrecord *last, struct bg_keyrecord *next, struct bg_jwks **keys, int64_t *took, struct bg_error *err)
{
	bool public_only = false;
	int rc;

	*keys = NULL;
	*took = 0;
	bg_keyrecord_clear(next);
	next->fetched = now.wall_ms;
	if (options->jwks_file != NULL)
		return bring_from_file(options, next, keys, took, err);
	if (options->jwks_uri != NULL)
		bg_format(next->jwks_uri, sizeof(next->jwks_uri), "%s", options->jwks_uri);
	else if (last->jwks_uri[0] != '\0' && now.mono_ms < memory->discovered_until) {
		bg_format(next->jwks_uri, sizeof(next->jwks_uri), "%s", last->jwks_uri);
		next->private_peer = last->private_peer;
	} else if (discover(options, memory, now, next, took, err) != 0)
		return -1;
	if (options->jwks_uri == NULL)
		public_only = !next->private_peer &&
		    !bg_slice_equal(origin(bg_slice_str(options->issuer)), origin(bg_slice_str(next->jwks_uri)));
	rc = bring_from_uri(options, public_only, last, next, keys, took, err);
	/* Where the set cannot be had, it may have moved. */
	if (rc != 0)
		memory->discovered_until = 0;
	return rc;
}
