// Shows the time of day and checks that the monotonic clock never steps back.
#include <stdio.h>
#include <time.h>

static int earlier(struct timespec a, struct timespec b) {
    if (a.tv_sec != b.tv_sec)
        return a.tv_sec < b.tv_sec;
    return a.tv_nsec < b.tv_nsec;
}

int main(void) {
    struct timespec now, resolution;
    if (clock_gettime(CLOCK_REALTIME, &now) < 0) {
        perror("clock: realtime");
        return 1;
    }
    if (clock_getres(CLOCK_MONOTONIC, &resolution) < 0) {
        perror("clock: resolution");
        return 1;
    }

    struct timespec last = {0, 0};
    for (int i = 0; i < 1000; i++) {
        struct timespec tick;
        if (clock_gettime(CLOCK_MONOTONIC, &tick) < 0) {
            perror("clock: monotonic");
            return 1;
        }
        if (earlier(tick, last)) {
            fputs("clock: the monotonic clock stepped back\n", stderr);
            return 1;
        }
        last = tick;
    }
    printf("realtime %lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
    printf("resolution %lld.%09ld\n", (long long)resolution.tv_sec,
           resolution.tv_nsec);
    return 0;
}
