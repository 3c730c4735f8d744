#include "core/kidmemory.h"

#include "core/secret.h"

/* The set a kid belongs to, and its tag; false when there is no digest, and so no memory. */
static bool
find_set(struct bg_slice kid, size_t *set, unsigned char hash[BG_SHA256_LEN])
{
	if (bg_sha256(kid, hash, NULL) != 0)
		return false;
	*set = hash[BG_SHA256_LEN - 1] % BG_KIDMEMORY_SETS;
	return true;
}

bool
bg_kidmemory_has(const struct bg_kidmemory *memory, struct bg_slice kid, int64_t now)
{
	unsigned char hash[BG_SHA256_LEN];
	size_t set;

	if (!find_set(kid, &set, hash))
		return true;	/* a throttle that cannot tell holds back (SR-50) */
	for (size_t i = 0; i < BG_KIDMEMORY_WAYS; i++) {
		const struct bg_kidmemory_entry *entry = &memory->entries[set][i];

		if (now < entry->until && memcmp(entry->tag, hash, sizeof(entry->tag)) == 0)
			return true;
	}
	return false;
}

void
bg_kidmemory_put(struct bg_kidmemory *memory, struct bg_slice kid, int64_t now, int64_t until)
{
	struct bg_kidmemory_entry *victim;
	unsigned char hash[BG_SHA256_LEN];
	size_t set;

	if (!find_set(kid, &set, hash))
		return;
	/* its own entry, else one that says nothing any more, else the one that will be the first to */
	victim = &memory->entries[set][0];
	for (size_t i = 0; i < BG_KIDMEMORY_WAYS; i++) {
		struct bg_kidmemory_entry *entry = &memory->entries[set][i];

		if (now < entry->until && memcmp(entry->tag, hash, sizeof(entry->tag)) == 0) {
			victim = entry;
			break;
		}
		if (entry->until < victim->until)
			victim = entry;
	}
	memcpy(victim->tag, hash, sizeof(victim->tag));
	victim->until = until;
}
