#include "config.h"

#include "fcgi/figures.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/secret.h"

#define DESCRIPTORS_MAX	65536	/* that are counted: a few milliseconds */

int
bg_figures_init(struct bg_figures *figures, struct bg_error *err)
{
	void *shared = mmap(NULL, sizeof(*figures->events), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*figures = (struct bg_figures){ .started = bg_clock_wall(), .started_mono = bg_clock_mono_ms(), .pid = (long)getpid() };
	if (shared == MAP_FAILED)
		return bg_fail(err, BG_R_NO_MEMORY, "no memory for figures");
	figures->events = shared;
	return bg_counters_new(&figures->counters, err);
}

void
bg_figures_clear(struct bg_figures *figures)
{
	bg_counters_free(figures->counters);
	if (figures->events != NULL)
		munmap(figures->events, sizeof(*figures->events));
	*figures = (struct bg_figures){ .counters = NULL };
}

static const char *
name_of_dpop(enum bg_dpop_mode mode)
{
	switch (mode) {
	case BG_DPOP_REQUIRED:
		return "required";
	case BG_DPOP_ALLOWED:
		return "allowed";
	case BG_DPOP_DISABLED:
		break;
	}
	return "disabled";
}

/* Its kind alone: what stands behind may name hosts and users. */
static const char *
kind_of_store(const struct bg_conf *conf, const struct bg_dpop *dpop)
{
	static const char *const kinds[] = { "lmdb", "rediss", "redis" };

	if (dpop->replay == NULL)	/* no need of it, or nobody to share it with, see bg_dpop_forgo */
		return "none";
	if (conf->replay == NULL)
		return "private";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (bg_slice_starts(bg_slice_str(conf->replay), bg_slice_str(kinds[i])))
			return kinds[i];
	return "other";
}

/* One by one: /proc/self/fd belongs to root in a process whose memory is private. */
static int64_t
count_descriptors(rlim_t limit)
{
	int64_t n = 0;

	for (int fd = 0; (rlim_t)fd < limit && fd < DESCRIPTORS_MAX; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static int64_t
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long size, resident = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%lld %lld", &size, &resident) != 2)
		resident = -1;
	fclose(file);
	return resident < 0 ? -1 : resident * sysconf(_SC_PAGESIZE);
}

static int64_t
milliseconds(struct timeval time)
{
	return (int64_t)time.tv_sec * 1000 + time.tv_usec / 1000;
}

static void
read_process(struct bg_status *out)
{
	struct rlimit limit;
	struct rusage usage;

	out->worker = (long)getpid();
	out->descriptors = out->max_descriptors = -1;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		out->descriptors = count_descriptors(limit.rlim_cur);
		out->max_descriptors = limit.rlim_cur < INT64_MAX ? (int64_t)limit.rlim_cur : -1;
	}
	out->resident = resident_bytes();
	out->cpu_ms = getrusage(RUSAGE_SELF, &usage) == 0 ? milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime) : -1;
}

static void
read_worker(struct bg_worker *worker, struct bg_status *out)
{
	struct bg_worker_figures figures;

	if (worker == NULL)
		return;
	bg_worker_read(worker, &figures);
	out->threads = figures.threads;
	out->parked = figures.parked;
	out->max_parked = figures.max_parked;
	out->waiting = figures.waiting;
	out->max_waiting = figures.max_waiting;
	out->troubles = figures.troubles;
	out->strangers = figures.strangers;
}

static void
read_tokens(const struct bg_snapshot *snapshot, struct bg_status *out)
{
	struct bg_verified_status status;

	if (snapshot->gate->verified == NULL)
		return;
	bg_verified_status(snapshot->gate->verified, &status);
	out->tokens = status.tokens;
	out->max_tokens = (size_t)snapshot->conf->token_cache;
	out->token_bytes = status.bytes;
	out->token_hits = status.hits;
	out->token_misses = status.misses;
	out->token_evictions = status.evictions;
}

int
bg_figures_read(const struct bg_figures *figures, const struct bg_snapshot *snapshot, struct bg_worker *worker,
    struct bg_status *out, struct bg_error *err)
{
	const struct bg_gate *gate = snapshot->gate;
	struct bg_keystore_status *issuers = calloc(gate->n_issuers > 0 ? gate->n_issuers : 1, sizeof(*issuers));
	struct bg_now now = bg_clock_now();

	*out = (struct bg_status){ 0 };
	if (issuers == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "no memory for a page");
	for (size_t i = 0; i < gate->n_issuers; i++)
		bg_keystore_status(gate->issuers[i].keys, now, &issuers[i]);
	out->issuers = issuers;
	out->n_issuers = gate->n_issuers;
	out->now = now.wall;
	out->started = figures->started;
	out->uptime = (now.mono_ms - figures->started_mono) / 1000;
	out->version = PACKAGE_VERSION;
	out->sandbox = figures->sandbox;
	out->sandboxed = figures->sandboxed;
	out->build = bg_secret_openssl_version();
	out->dpop = name_of_dpop(snapshot->conf->dpop);
	out->replay = kind_of_store(snapshot->conf, &gate->dpop);
	out->nonces = snapshot->conf->dpop_nonce;
	out->pid = figures->pid;
	out->restarts = atomic_load(&figures->events->restarts);
	out->restarted = atomic_load(&figures->events->restarted);
	out->reloads = atomic_load(&figures->events->reloads);
	out->failed_reloads = atomic_load(&figures->events->failed_reloads);
	out->reloaded = atomic_load(&figures->events->reloaded);
	out->reload_failed = atomic_load(&figures->events->reload_failed);
	read_tokens(snapshot, out);
	bg_counters_read(figures->counters, now.mono_ms, &out->counts);
	read_worker(worker, out);
	read_process(out);
	return 0;
}

void
bg_figures_release(struct bg_status *status)
{
	for (size_t i = 0; i < status->n_issuers; i++)
		bg_keystore_status_clear(&status->issuers[i]);
	free(status->issuers);
	*status = (struct bg_status){ 0 };
}
