#ifndef BG_TESTS_BENCH_BENCH_H
#define BG_TESTS_BENCH_BENCH_H

#include <stdlib.h>
#include <time.h>

/* Microseconds that only go forward. */
static inline double
bg_bench_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static inline int
bg_bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The middle one of n values, which are put in order. */
static inline double
bg_bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), bg_bench_compare);
	return values[n / 2];
}

#endif
