#ifndef BG_TESTS_BENCH_CPU_H
#define BG_TESTS_BENCH_CPU_H

#include <stddef.h>

#define BG_BENCH_PROCESSES_MAX	64

/* A process and all that it has started, and they in turn: how many are in out, the first of them it itself. */
size_t bg_bench_tree(long pid, long out[BG_BENCH_PROCESSES_MAX]);

/*
 * Nanoseconds of CPU that these have had, as the kernel counts them: exactly, while stat has ticks.  What threads and processes
 * had that have ended is not in it.
 */
double bg_bench_cpu(long pid);

#endif
