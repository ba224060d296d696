// Sleeps for a number of milliseconds.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    char *end = NULL;
    long ms = argc == 2 ? strtol(argv[1], &end, 10) : -1;
    if (ms < 0 || *end) {
        fputs("usage: sleep MILLISECONDS\n", stderr);
        return 2;
    }
    struct timespec span = {ms / 1000, ms % 1000 * 1000000};
    if (nanosleep(&span, NULL) < 0) {
        perror("sleep");
        return 1;
    }
    printf("slept %ld ms\n", ms);
    return 0;
}
