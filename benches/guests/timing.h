// How long one call takes: what the programs that time calls share.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// Short stretches: some of them fall between whatever else the machine does, and the fastest counts.
#define STRETCHES 10
#define STRETCH_NS 4e6

static void must(int good)
{
    if (!good) {
        fprintf(stderr, "a call failed (errno %d)\n", errno);
        exit(1);
    }
}

static double timed(void (*run)(long n), long n)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    run(n);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

static double fastest(void (*run)(long n))
{
    long n = 1;
    double took;
    while ((took = timed(run, n)) < STRETCH_NS / 4)
        n *= 2;
    n = (long)((double)n * STRETCH_NS / took) + 1;

    double best = took = timed(run, n);
    for (int stretch = 1; stretch < STRETCHES; stretch++)
        if ((took = timed(run, n)) < best)
            best = took;
    return best / (double)n;
}
