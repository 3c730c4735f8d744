#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "tests/bench/cpu.h"

/* The parent of a process; 0: it has gone. */
static long
parent_of(const char *pid)
{
	char path[300], line[400];
	const char *behind;
	long parent = 0;
	FILE *stat;

	bg_format(path, sizeof(path), "/proc/%s/stat", pid);
	if ((stat = fopen(path, "r")) == NULL)
		return 0;
	/* its name, in parentheses, may hold anything */
	if (fgets(line, sizeof(line), stat) != NULL && (behind = strrchr(line, ')')) != NULL)
		(void)sscanf(behind, ") %*c %ld", &parent);
	(void)fclose(stat);
	return parent;
}

size_t
bg_bench_tree(long pid, long out[BG_BENCH_PROCESSES_MAX])
{
	const struct dirent *entry;
	size_t n = 1, before;
	DIR *all;

	out[0] = pid;
	do {
		before = n;
		if ((all = opendir("/proc")) == NULL) {
			perror("/proc");
			exit(EXIT_FAILURE);
		}
		while ((entry = readdir(all)) != NULL && n < BG_BENCH_PROCESSES_MAX) {
			long found = strtol(entry->d_name, NULL, 10), parent = found > 0 ? parent_of(entry->d_name) : 0;
			bool is_ours = false, is_new = true;

			for (size_t i = 0; i < n; i++) {
				is_ours |= out[i] == parent;
				is_new &= out[i] != found;
			}
			if (found > 0 && is_ours && is_new)
				out[n++] = found;
		}
		closedir(all);
	} while (n > before);
	return n;
}

static double
cpu_of_process(long pid)
{
	char path[64], file[400];
	unsigned long long ns, sum = 0;
	const struct dirent *entry;
	FILE *stats;
	DIR *tasks;

	bg_format(path, sizeof(path), "/proc/%ld/task", pid);
	if ((tasks = opendir(path)) == NULL)
		return 0;	/* one that was started for a moment */
	while ((entry = readdir(tasks)) != NULL) {
		bg_format(file, sizeof(file), "%s/%s/schedstat", path, entry->d_name);
		if (entry->d_name[0] == '.' || (stats = fopen(file, "r")) == NULL)
			continue;
		if (fscanf(stats, "%llu", &ns) == 1)
			sum += ns;
		(void)fclose(stats);
	}
	closedir(tasks);
	return (double)sum;
}

double
bg_bench_cpu(long pid)
{
	long pids[BG_BENCH_PROCESSES_MAX];
	size_t n = bg_bench_tree(pid, pids);
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += cpu_of_process(pids[i]);
	return sum;
}
