#include "core/verified.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * Each token belongs to one shard by its digest, and each shard has a lock, which is held to copy a slot, a pointer or a
 * number; tokens are freed outside.
 *
 * Who goes first is found as a clock does it: a hand goes round the slots, and one that was used since it last came by
 * stays for another round.  There are two hands, one for whole slots and one for parsed tokens alone, each with its mark.
 * A slot begins without marks, so tokens that come once push out each other and not those that come again.
 */
#define SHARDS		16
#define SHARD_MIN	64	/* slots; fewer, and chance would fill some shards long before the others */
#define DROPS_MAX	16	/* parsed tokens that make room for one; where more would have to go, it is not kept parsed */
#define NONE		UINT32_MAX

struct slot {
	unsigned char    digest[BG_SHA256_LEN];
	char             key[BG_THUMBPRINT_LEN + 1];
	bool             used;		/* since the hand last came by */
	bool             used_parsed;	/* since the hand of parsed tokens last came by */
	uint32_t         next;		/* of the same bucket; NONE at its end */
	struct bg_token *token;		/* one reference is ours; NULL: dropped */
};

struct shard {
	/* Set when the cache is made, read only after. */
	uint32_t        max;
	size_t          max_bytes;
	uint32_t        mask;		/* of the buckets, whose number is a power of two */

	pthread_mutex_t lock;		/* guards the members below */
	struct slot    *slots;
	uint32_t       *buckets;	/* the first slot of each */
	uint32_t        n;		/* slots in use; none is given back */
	uint32_t        hand;
	uint32_t        parsed_hand;
	size_t          parsed;
	size_t          bytes;		/* of parsed tokens */
	uint64_t        hits, misses, evictions;
};

struct bg_verified {
	size_t       n;
	struct shard shards[SHARDS];
};

/* SHA-256 spreads well, and whoever could choose digests would have to have them signed. */
static uint32_t
number(const unsigned char digest[BG_SHA256_LEN])
{
	uint32_t n;

	memcpy(&n, digest, sizeof(n));
	return n;
}

static struct shard *
shard_of(struct bg_verified *cache, const unsigned char digest[BG_SHA256_LEN])
{
	return &cache->shards[digest[BG_SHA256_LEN - 1] % cache->n];
}

int
bg_verified_new(struct bg_verified **out, size_t max_tokens, size_t max_bytes, struct bg_error *err)
{
	struct bg_verified *cache = calloc(1, sizeof(*cache));
	size_t n = max_tokens >= (size_t)SHARDS * SHARD_MIN ? SHARDS : 1, buckets = 1;

	*out = NULL;
	if (cache == NULL || max_tokens == 0 || max_tokens / n >= NONE) {
		free(cache);
		return bg_fail(err, cache == NULL ? BG_R_NO_MEMORY : BG_R_INTERNAL, "cache of %zu tokens", max_tokens);
	}
	while (buckets < max_tokens / n)
		buckets *= 2;
	for (; cache->n < n; cache->n++) {
		struct shard *shard = &cache->shards[cache->n];

		shard->max = (uint32_t)(max_tokens / n + (cache->n < max_tokens % n));
		shard->max_bytes = max_bytes / n;
		shard->mask = (uint32_t)(buckets - 1);
		shard->slots = calloc(shard->max, sizeof(*shard->slots));
		shard->buckets = malloc(buckets * sizeof(*shard->buckets));
		if (shard->slots == NULL || shard->buckets == NULL) {
			free(shard->slots);
			free(shard->buckets);
			bg_verified_free(cache);
			return bg_fail(err, BG_R_NO_MEMORY, "cache of %zu tokens", max_tokens);
		}
		memset(shard->buckets, 0xff, buckets * sizeof(*shard->buckets));	/* NONE */
		pthread_mutex_init(&shard->lock, NULL);
	}
	*out = cache;
	return 0;
}

void
bg_verified_free(struct bg_verified *cache)
{
	if (cache == NULL)
		return;
	for (size_t i = 0; i < cache->n; i++) {
		struct shard *shard = &cache->shards[i];

		for (uint32_t j = 0; j < shard->n; j++)
			bg_token_unref(shard->slots[j].token);
		free(shard->slots);
		free(shard->buckets);
		pthread_mutex_destroy(&shard->lock);
	}
	free(cache);
}

/* The slot of a token; NULL: it has none.  The lock is held. */
static struct slot *
find(const struct shard *shard, const unsigned char digest[BG_SHA256_LEN])
{
	uint32_t i = shard->buckets[number(digest) & shard->mask];

	while (i != NONE && memcmp(shard->slots[i].digest, digest, BG_SHA256_LEN) != 0)
		i = shard->slots[i].next;
	return i != NONE ? &shard->slots[i] : NULL;
}

bool
bg_verified_find(struct bg_verified *cache, const unsigned char digest[BG_SHA256_LEN], struct bg_verified_hit *out)
{
	struct shard *shard;
	struct slot *slot;

	*out = (struct bg_verified_hit){ .token = NULL };
	if (cache == NULL)
		return false;
	shard = shard_of(cache, digest);
	pthread_mutex_lock(&shard->lock);
	if ((slot = find(shard, digest)) == NULL)
		shard->misses++;
	else {
		shard->hits++;
		slot->used = slot->used_parsed = true;
		memcpy(out->key, slot->key, sizeof(out->key));
		if (slot->token != NULL)
			out->token = bg_token_ref(slot->token);
	}
	pthread_mutex_unlock(&shard->lock);
	return slot != NULL;
}

/* Take the parsed token out of a slot; it is the caller's.  The lock is held. */
static struct bg_token *
take_token(struct shard *shard, struct slot *slot)
{
	struct bg_token *token = slot->token;

	if (token != NULL) {
		shard->parsed--;
		shard->bytes -= token->bytes;
		slot->token = NULL;
	}
	return token;
}

/* A slot that is in no bucket, perhaps still with its token: a new one, or that of the token to go.  The lock is held. */
static struct slot *
vacate(struct shard *shard)
{
	struct slot *slot;
	uint32_t *at;

	if (shard->n < shard->max)
		return &shard->slots[shard->n++];
	for (;; slot->used = false) {
		slot = &shard->slots[shard->hand];
		shard->hand = (shard->hand + 1) % shard->max;
		if (!slot->used)
			break;
	}
	shard->evictions++;
	at = &shard->buckets[number(slot->digest) & shard->mask];
	while (&shard->slots[*at] != slot)
		at = &shard->slots[*at].next;
	*at = slot->next;
	return slot;
}

/* The parsed token to go, which is the caller's; there is one at least.  The lock is held. */
static struct bg_token *
drop(struct shard *shard)
{
	struct slot *slot;

	for (;; slot->used_parsed = false) {
		slot = &shard->slots[shard->parsed_hand];
		shard->parsed_hand = (shard->parsed_hand + 1) % shard->n;
		if (slot->token != NULL && !slot->used_parsed)
			return take_token(shard, slot);
	}
}

void
bg_verified_put(struct bg_verified *cache, const unsigned char digest[BG_SHA256_LEN], struct bg_token *token,
    const char key[BG_THUMBPRINT_LEN + 1])
{
	struct shard *shard = shard_of(cache, digest);
	struct bg_token *gone[DROPS_MAX + 1];
	size_t n = 0;
	struct slot *slot;
	uint32_t *bucket = &shard->buckets[number(digest) & shard->mask];

	pthread_mutex_lock(&shard->lock);
	if ((slot = find(shard, digest)) == NULL) {
		slot = vacate(shard);
		gone[n++] = take_token(shard, slot);
		memcpy(slot->digest, digest, BG_SHA256_LEN);
		slot->used = slot->used_parsed = false;
		slot->next = *bucket;
		*bucket = (uint32_t)(slot - shard->slots);
	} else
		gone[n++] = take_token(shard, slot);
	memcpy(slot->key, key, sizeof(slot->key));
	while (token->bytes <= shard->max_bytes && shard->bytes > shard->max_bytes - token->bytes && n < DROPS_MAX + 1)
		gone[n++] = drop(shard);
	if (token->bytes <= shard->max_bytes && shard->bytes <= shard->max_bytes - token->bytes) {
		slot->token = bg_token_ref(token);
		shard->parsed++;
		shard->bytes += token->bytes;
	}
	pthread_mutex_unlock(&shard->lock);
	while (n > 0)
		bg_token_unref(gone[--n]);
}

void
bg_verified_status(struct bg_verified *cache, struct bg_verified_status *out)
{
	*out = (struct bg_verified_status){ .tokens = 0 };
	for (size_t i = 0; i < cache->n; i++) {
		struct shard *shard = &cache->shards[i];

		pthread_mutex_lock(&shard->lock);
		out->tokens += shard->n;
		out->parsed += shard->parsed;
		out->bytes += shard->bytes;
		out->hits += shard->hits;
		out->misses += shard->misses;
		out->evictions += shard->evictions;
		pthread_mutex_unlock(&shard->lock);
	}
}

void
bg_verified_count_on(struct bg_verified *cache, struct bg_verified *old)
{
	struct bg_verified_status before;
	struct shard *shard;

	if (cache == NULL || old == NULL)
		return;
	bg_verified_status(old, &before);
	shard = &cache->shards[0];
	pthread_mutex_lock(&shard->lock);
	shard->hits += before.hits;
	shard->misses += before.misses;
	shard->evictions += before.evictions;
	pthread_mutex_unlock(&shard->lock);
}
