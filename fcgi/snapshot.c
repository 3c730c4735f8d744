#include "fcgi/snapshot.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

struct bg_snapshots {
	pthread_t           thread;
	pthread_mutex_t     lock;	/* guards the members below, and users and next of all snapshots */
	pthread_cond_t      lost;	/* there is one more in unused, or stop is set */
	pthread_cond_t      none;	/* all that were in unused have been taken down */
	struct bg_snapshot *current;	/* of which we are a user */
	struct bg_snapshot *unused;	/* that nobody can see any more */
	bool                busy;	/* one of them is being taken down */
	bool                stop;
};

int
bg_snapshot_new(struct bg_snapshot **out, const struct bg_conf_sources *from, const struct bg_fetcher *fetcher,
    struct bg_buf *report)
{
	struct bg_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct bg_error err = { 0 };
	int code;

	*out = NULL;
	if (snapshot == NULL) {
		bg_buf_put_str(report, "no memory for the configuration\n");
		return EX_OSERR;
	}
	snapshot->users = 1;
	if ((code = bg_conf_load(&snapshot->conf, from, report)) != 0)
		goto fail;
	if (bg_conf_build(snapshot->conf, fetcher, &snapshot->gate, &err) != 0 ||
	    bg_peers_init(&snapshot->peers, snapshot->conf->listen_allowed_clients, snapshot->conf->n_listen_allowed_clients,
	    &err) != 0) {
		bg_buf_put_format(report, "%s\n", err.detail);
		code = err.reason == BG_R_NO_MEMORY ? EX_OSERR : EX_CONFIG;
		goto fail;
	}
	*out = snapshot;
	return 0;
fail:
	bg_snapshot_free(snapshot);
	return code;
}

void
bg_snapshot_free(struct bg_snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	bg_gate_free(snapshot->gate);
	bg_peers_clear(&snapshot->peers);
	bg_conf_free(snapshot->conf);	/* after the gate, which borrows from it */
	free(snapshot);
}

static void *
take_down(void *arg)
{
	struct bg_snapshots *all = arg;
	struct bg_snapshot *snapshot;

	pthread_mutex_lock(&all->lock);
	for (;;) {
		while ((snapshot = all->unused) == NULL && !all->stop)
			pthread_cond_wait(&all->lost, &all->lock);
		if (snapshot == NULL)
			break;
		all->unused = snapshot->next;
		all->busy = true;
		pthread_mutex_unlock(&all->lock);
		bg_snapshot_free(snapshot);
		pthread_mutex_lock(&all->lock);
		all->busy = false;
		if (all->unused == NULL)
			pthread_cond_broadcast(&all->none);
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

int
bg_snapshots_new(struct bg_snapshots **out, struct bg_error *err)
{
	struct bg_snapshots *all = calloc(1, sizeof(*all));
	pthread_condattr_t monotonic;
	sigset_t every, before;
	int rc;

	*out = NULL;
	if (all == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "no memory for the configuration");
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->lost, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&all->none, &monotonic);
	pthread_condattr_destroy(&monotonic);
	/* Signals are for the main thread. */
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	rc = pthread_create(&all->thread, NULL, take_down, all);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		pthread_cond_destroy(&all->none);
		pthread_cond_destroy(&all->lost);
		pthread_mutex_destroy(&all->lock);
		free(all);
		return bg_fail(err, BG_R_INTERNAL, "cannot start a thread: %s", strerror(rc));
	}
	*out = all;
	return 0;
}

struct bg_snapshot *
bg_snapshots_take(struct bg_snapshots *all)
{
	struct bg_snapshot *snapshot;

	pthread_mutex_lock(&all->lock);
	if ((snapshot = all->current) != NULL)
		snapshot->users++;
	pthread_mutex_unlock(&all->lock);
	return snapshot;
}

void
bg_snapshots_give_back(struct bg_snapshots *all, struct bg_snapshot *snapshot)
{
	bool last;

	if (snapshot == NULL)
		return;
	pthread_mutex_lock(&all->lock);
	last = --snapshot->users == 0;
	pthread_mutex_unlock(&all->lock);
	if (!last)
		return;
	/* All at once, so that snapshots whose fetches hang are not waited for one after the other. */
	bg_gate_stop(snapshot->gate);
	pthread_mutex_lock(&all->lock);
	snapshot->next = all->unused;
	all->unused = snapshot;
	pthread_cond_signal(&all->lost);
	pthread_mutex_unlock(&all->lock);
}

void
bg_snapshots_replace(struct bg_snapshots *all, struct bg_snapshot *next)
{
	struct bg_snapshot *before;

	pthread_mutex_lock(&all->lock);
	before = all->current;
	all->current = next;
	pthread_mutex_unlock(&all->lock);
	bg_snapshots_give_back(all, before);
}

bool
bg_snapshots_wait(struct bg_snapshots *all, int64_t ms)
{
	struct timespec until;
	bool none;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&all->lock);
	while (!(none = all->unused == NULL && !all->busy) && error == 0)
		error = pthread_cond_timedwait(&all->none, &all->lock, &until);
	pthread_mutex_unlock(&all->lock);
	return none;
}

void
bg_snapshots_free(struct bg_snapshots *all)
{
	if (all == NULL)
		return;
	pthread_mutex_lock(&all->lock);
	all->stop = true;
	pthread_cond_signal(&all->lost);
	pthread_mutex_unlock(&all->lock);
	pthread_join(all->thread, NULL);
	pthread_cond_destroy(&all->none);
	pthread_cond_destroy(&all->lost);
	pthread_mutex_destroy(&all->lock);
	free(all);
}
