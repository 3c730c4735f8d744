#include "core/jwks.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/log.h"

struct bg_jwks {
	atomic_uint     owners;
	size_t          n;
	struct bg_jwk **keys;
};

static void
log_skipped(const char *source, size_t i, const struct bg_error *why)
{
	struct bg_slice text;
	struct bg_buf line;

	bg_buf_init(&line, 1024);
	bg_buf_put_str(&line, "keys=");
	bg_log_text(&line, bg_slice_str(source));
	bg_buf_put_format(&line, " key %zu skipped, detail=", i + 1);
	bg_log_text(&line, bg_slice_str(why->detail));
	if (bg_buf_finish(&line, &text, NULL) == 0)
		bg_log(BG_LOG_WARNING, "%s", text.ptr);
	bg_buf_clear(&line);
}

/* An empty set with room for so many keys and one owner; NULL and BG_R_NO_MEMORY without memory. */
static struct bg_jwks *
new_set(size_t room, struct bg_error *err)
{
	struct bg_jwks *set = calloc(1, sizeof(*set));

	if (set == NULL || (set->keys = calloc(room, sizeof(*set->keys))) == NULL) {
		free(set);
		bg_fail(err, BG_R_NO_MEMORY, "key set");
		return NULL;
	}
	atomic_init(&set->owners, 1);
	return set;
}

/* What a key has in a set beside what it is. */
static int
settle(struct bg_jwk *key, struct bg_error *err)
{
	return bg_jwk_thumbprint(key, key->thumbprint, err) == 0 ? bg_jwk_keep(key, err) : -1;
}

int
bg_jwks_parse(struct bg_slice text, const char *source, struct bg_jwks **out, struct bg_error *err)
{
	struct bg_jwks *set = NULL;
	struct bg_jwk *key;
	json_t *root = NULL;
	const json_t *keys, *object;
	int rc = -1;
	size_t i;

	*out = NULL;
	if (bg_json_object(text, BG_R_BAD_JWKS, &root, err) != 0)
		return -1;
	keys = json_object_get(root, "keys");
	if (!json_is_array(keys)) {
		bg_fail(err, BG_R_BAD_JWKS, "keys is %s, not an array", bg_json_type_name(keys));
		goto out;
	}
	if (json_array_size(keys) > BG_JWKS_KEYS_MAX) {
		bg_fail(err, BG_R_BAD_JWKS, "%zu keys, at most %d", json_array_size(keys), BG_JWKS_KEYS_MAX);
		goto out;
	}
	if ((set = new_set(json_array_size(keys) + 1, err)) == NULL)
		goto out;
	json_array_foreach(keys, i, object) {
		struct bg_error why = { 0 };

		if (bg_jwk_parse(object, &key, &why) == 0) {
			set->keys[set->n++] = key;
			if (settle(key, err) != 0)
				goto out;
		} else if (why.reason == BG_R_NO_MEMORY) {
			bg_fail(err, BG_R_NO_MEMORY, "key set");	/* a set with holes would pass for whole */
			goto out;
		} else
			log_skipped(source, i, &why);
	}
	if (set->n == 0) {
		bg_fail(err, BG_R_BAD_JWKS, "not one usable key among %zu", json_array_size(keys));
		goto out;
	}
	*out = set;
	set = NULL;		/* moved to the caller */
	rc = 0;
out:
	bg_jwks_unref(set);
	json_decref(root);
	return rc;
}

static int
parse_pem(struct bg_slice text, struct bg_jwks **out, struct bg_error *err)
{
	struct bg_jwks *set = new_set(BG_PEM_KEYS_MAX, err);
	struct bg_jwk *key = NULL;
	int rc = -1;

	if (set == NULL)
		return -1;
	for (;;) {
		if (bg_jwk_read_pem(&text, &key, err) != 0)
			goto out;
		if (key == NULL)
			break;
		if (set->n == BG_PEM_KEYS_MAX) {
			bg_fail(err, BG_R_BAD_JWKS, "more than %d keys in PEM; a JWK Set names them, so that not each has to be tried",
			    BG_PEM_KEYS_MAX);
			goto out;
		}
		set->keys[set->n++] = key;
		if (settle(key, err) != 0) {
			key = NULL;	/* the set's by now */
			goto out;
		}
		key = NULL;		/* moved */
	}
	if (set->n == 0) {
		bg_fail(err, BG_R_BAD_JWKS, "neither a JWK Set nor a key in PEM");
		goto out;
	}
	*out = set;
	set = NULL;		/* moved to the caller */
	rc = 0;
out:
	bg_jwk_free(key);
	bg_jwks_unref(set);
	return rc;
}

int
bg_jwks_parse_file(struct bg_slice text, const char *source, struct bg_jwks **out, struct bg_error *err)
{
	struct bg_slice begin = text;

	*out = NULL;
	while (begin.len > 0 && strchr(" \t\r\n", begin.ptr[0]) != NULL && begin.ptr[0] != '\0')
		begin = bg_slice_skip(begin, 1);
	if (memmem(text.ptr != NULL ? text.ptr : "", text.len, "-----BEGIN ", 11) == NULL ||
	    (begin.len > 0 && (begin.ptr[0] == '{' || begin.ptr[0] == '[')))
		return bg_jwks_parse(text, source, out, err);
	return parse_pem(text, out, err);
}

struct bg_jwks *
bg_jwks_ref(struct bg_jwks *set)
{
	atomic_fetch_add(&set->owners, 1);
	return set;
}

void
bg_jwks_unref(struct bg_jwks *set)
{
	if (set == NULL || atomic_fetch_sub(&set->owners, 1) > 1)
		return;
	for (size_t i = 0; i < set->n; i++)
		bg_jwk_free(set->keys[i]);
	free(set->keys);
	free(set);
}

size_t
bg_jwks_count(const struct bg_jwks *set)
{
	return set->n;
}

const struct bg_jwk *
bg_jwks_get(const struct bg_jwks *set, size_t i)
{
	return set->keys[i];
}

static bool
has_kid(const struct bg_jwk *key, struct bg_slice kid)
{
	return key->any_kid || (key->kid != NULL && bg_slice_equal(bg_slice_str(key->kid), kid));
}

bool
bg_jwks_has_kid(const struct bg_jwks *set, struct bg_slice kid)
{
	for (size_t i = 0; i < set->n; i++)
		if (has_kid(set->keys[i], kid))
			return true;
	return false;
}

const struct bg_jwk *
bg_jwks_next(const struct bg_jwks *set, const struct bg_jwk *after, struct bg_slice kid, const struct bg_alg *alg)
{
	const struct bg_jwk *found = NULL;
	size_t i = 0;

	if (after != NULL)
		while (i < set->n && set->keys[i++] != after)
			continue;
	for (; i < set->n; i++) {
		if (!bg_jwk_fits(set->keys[i], alg))
			continue;
		if (kid.ptr != NULL && has_kid(set->keys[i], kid))
			return set->keys[i];
		if (kid.ptr == NULL) {
			if (found != NULL || after != NULL)
				return NULL;	/* more than one could be meant */
			found = set->keys[i];
		}
	}
	return found;
}
