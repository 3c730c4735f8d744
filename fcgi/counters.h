#ifndef BG_FCGI_COUNTERS_H
#define BG_FCGI_COUNTERS_H

#include <stdint.h>

#include "core/credentials.h"
#include "core/error.h"

/* The last hour, in slots of half a minute: what a chart on a phone can still show. */
#define BG_RECENT_SLOTS		120
#define BG_RECENT_SECONDS	30

/* By what right a request passed. */
enum bg_passed { BG_PASSED_BEARER = 0, BG_PASSED_DPOP, BG_PASSED_ANONYMOUS, BG_PASSED_KINDS };

/* What a decision was in the charts: let in, refused for what the client sent, or refused through a fault on our side. */
enum bg_outcome { BG_OUTCOME_ALLOWED = 0, BG_OUTCOME_REFUSED, BG_OUTCOME_FAILED, BG_OUTCOMES };

/* The statuses of core/reasons.def that are counted; any other, and an answer that could not be written, is the last. */
#define BG_COUNTED_STATUSES	7
extern const int bg_counted_statuses[BG_COUNTED_STATUSES];	/* the last one is 0 */

/* One decision that was answered.  Starts as { 0 }, which is an internal error that was not answered. */
struct bg_answered {
	bool           allowed;
	bool           anonymous;	/* without a token */
	enum bg_scheme scheme;
	enum bg_reason reason;		/* of a refusal */
	int            status;		/* 0: the connection was closed */
};

/* Decisions since the start, over all reloads, and over all processes that were forked since: the memory is shared. */
struct bg_counters;

/* What has been counted up to one moment. */
struct bg_counts {
	uint64_t passed[BG_PASSED_KINDS];
	uint64_t refused[BG_R_COUNT];
	uint64_t status[BG_COUNTED_STATUSES];
	uint64_t recent[BG_OUTCOMES][BG_RECENT_SLOTS];	/* the oldest first; the last one is the half-minute that runs */
};

int  bg_counters_new(struct bg_counters **out, struct bg_error *err) BG_MUST_CHECK;
void bg_counters_free(struct bg_counters *counters);	/* NULL is fine */

/*
 * Count one decision.  mono_ms is bg_clock_mono_ms().  From all threads at once; takes no lock and never waits: threads count
 * in places of their own, as far as there are enough of them, by atomic additions.
 */
void bg_counters_add(struct bg_counters *counters, const struct bg_answered *answered, int64_t mono_ms);

/* From any thread, while others count: each figure is one that it had at some time during the call. */
void bg_counters_read(const struct bg_counters *counters, int64_t mono_ms, struct bg_counts *out);

#endif
