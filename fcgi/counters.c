#include "fcgi/counters.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define PLACES		16	/* where threads count; more threads share them */
#define CACHE_LINE	64

const int bg_counted_statuses[BG_COUNTED_STATUSES] = { 200, 400, 401, 403, 500, 503, 0 };

/*
 * A slot of the last hour is one number, so that it can be begun anew without a lock: the half-minute it is about in the
 * upper half, how many there were in the lower.
 */
struct place {
	_Alignas(CACHE_LINE) atomic_ullong passed[BG_PASSED_KINDS];
	atomic_ullong refused[BG_R_COUNT];
	atomic_ullong status[BG_COUNTED_STATUSES];
	atomic_ullong recent[BG_OUTCOMES][BG_RECENT_SLOTS];
};

struct bg_counters {
	struct place  places[PLACES];
};

static atomic_uint next_place;			/* for the next thread that counts */
static _Thread_local unsigned own_place;	/* its place and one more; 0: it has none yet */

int
bg_counters_new(struct bg_counters **out, struct bg_error *err)
{
	/* Cleared, and a page begins a cache line.  Where 64 bits are not lock-free, processes that count at once lose a few. */
	void *shared = mmap(NULL, sizeof(**out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*out = shared != MAP_FAILED ? shared : NULL;
	return *out != NULL ? 0 : bg_fail(err, BG_R_NO_MEMORY, "no memory for the counters");
}

void
bg_counters_free(struct bg_counters *counters)
{
	if (counters != NULL)
		munmap(counters, sizeof(*counters));
}

/* Counted from one, so that memory that was cleared is no slot of any time. */
static uint32_t
half_minute(int64_t mono_ms)
{
	return (uint32_t)(mono_ms / (BG_RECENT_SECONDS * 1000)) + 1;
}

static void
add(atomic_ullong *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void
add_recent(atomic_ullong *slots, uint32_t when)
{
	atomic_ullong *slot = &slots[when % BG_RECENT_SLOTS];
	unsigned long long old = atomic_load_explicit(slot, memory_order_relaxed), new;

	do
		new = old >> 32 == when ? old + 1 : (unsigned long long)when << 32 | 1;
	while (!atomic_compare_exchange_weak_explicit(slot, &old, new, memory_order_relaxed, memory_order_relaxed));
}

static size_t
index_of_status(int status)
{
	size_t i = 0;

	while (i < BG_COUNTED_STATUSES - 1 && bg_counted_statuses[i] != status)
		i++;
	return i;
}

static enum bg_passed
passed_by(const struct bg_answered *answered)
{
	if (answered->anonymous)
		return BG_PASSED_ANONYMOUS;
	return answered->scheme == BG_SCHEME_DPOP ? BG_PASSED_DPOP : BG_PASSED_BEARER;
}

void
bg_counters_add(struct bg_counters *counters, const struct bg_answered *answered, int64_t mono_ms)
{
	enum bg_reason reason = answered->reason > BG_R_OK && answered->reason < BG_R_COUNT ? answered->reason : BG_R_INTERNAL;
	enum bg_outcome outcome = BG_OUTCOME_REFUSED;
	struct place *place;

	if (own_place == 0)
		own_place = atomic_fetch_add(&next_place, 1) % PLACES + 1;
	place = &counters->places[own_place - 1];
	if (answered->allowed) {
		add(&place->passed[passed_by(answered)]);
		outcome = BG_OUTCOME_ALLOWED;
	} else {
		add(&place->refused[reason]);
		if (answered->status == 0 || answered->status >= 500)
			outcome = BG_OUTCOME_FAILED;
	}
	add(&place->status[index_of_status(answered->status)]);
	add_recent(place->recent[outcome], half_minute(mono_ms));
}

static void
sum(uint64_t *out, const atomic_ullong *counters, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] += atomic_load_explicit(&counters[i], memory_order_relaxed);
}

/* Slot i of out is about the half-minute that was so many before the one that runs. */
static void
sum_recent(uint64_t *out, const atomic_ullong *slots, uint32_t now)
{
	for (uint32_t i = 0; i < BG_RECENT_SLOTS; i++) {
		uint32_t when = now - (BG_RECENT_SLOTS - 1 - i);
		unsigned long long slot = atomic_load_explicit(&slots[when % BG_RECENT_SLOTS], memory_order_relaxed);

		if (now >= BG_RECENT_SLOTS - i && slot >> 32 == when)
			out[i] += slot & UINT32_MAX;
	}
}

void
bg_counters_read(const struct bg_counters *counters, int64_t mono_ms, struct bg_counts *out)
{
	*out = (struct bg_counts){ 0 };
	for (size_t i = 0; i < PLACES; i++) {
		const struct place *place = &counters->places[i];

		sum(out->passed, place->passed, BG_PASSED_KINDS);
		sum(out->refused, place->refused, BG_R_COUNT);
		sum(out->status, place->status, BG_COUNTED_STATUSES);
		for (size_t outcome = 0; outcome < BG_OUTCOMES; outcome++)
			sum_recent(out->recent[outcome], place->recent[outcome], half_minute(mono_ms));
	}
}
