// Rows of LMbench that `hostcalls.c` does not have. Prints nanoseconds per turn to standard error: lmbench ROW
//
// The same source is built natively and for WASI, both with -O2. The harness has prepared the current directory: `file` of 8 MiB. For
// the rows `pipe` and `unix` it sends back each byte that comes out of the standard output; for `pipe64k` it reads them away.
#include "timing.h"
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES (8 << 20)

static int file;
// On a page boundary on both sides, so that neither copies to the better place.
static _Alignas(4096) char buffer[64 << 10], from[FILE_BYTES], to[FILE_BYTES];

static void row_write1(long n)
{
    while (n--)
        must(write(1, buffer, 1) == 1);
}

static void select_on(int count, long n)
{
    static struct pollfd polled[100];
    static int opened;
    for (; opened < count; opened++)
        must((polled[opened].fd = open("file", O_RDONLY)) >= 0);
    for (int at = 0; at < count; at++)
        polled[at].events = POLLIN;
    while (n--)
        must(poll(polled, (nfds_t)count, -1) > 0);
}

static void row_select10(long n)
{
    select_on(10, n);
}

static void row_select100(long n)
{
    select_on(100, n);
}

static void there_and_back(long n)
{
    while (n--) {
        must(write(1, buffer, 1) == 1);
        must(read(0, buffer, 1) == 1);
    }
}

static void row_write64k(long n)
{
    while (n--)
        for (size_t at = 0; at < sizeof buffer;) {
            ssize_t written = write(1, buffer + at, sizeof buffer - at);
            must(written > 0);
            at += (size_t)written;
        }
}

static void create_and_delete(size_t bytes, long n)
{
    while (n--) {
        int fd = open("new", O_WRONLY | O_CREAT | O_EXCL, 0666);
        must(fd >= 0);
        must(bytes == 0 || write(fd, buffer, bytes) == (ssize_t)bytes);
        must(close(fd) == 0);
        must(unlink("new") == 0);
    }
}

static void row_create0k(long n)
{
    create_and_delete(0, n);
}

static void row_create1k(long n)
{
    create_and_delete(1 << 10, n);
}

static void row_create4k(long n)
{
    create_and_delete(4 << 10, n);
}

static void row_create10k(long n)
{
    create_and_delete(10 << 10, n);
}

static void row_reread(long n)
{
    while (n--) {
        must(lseek(file, 0, SEEK_SET) == 0);
        for (size_t at = 0; at < FILE_BYTES; at += sizeof buffer)
            must(read(file, buffer, sizeof buffer) == sizeof buffer);
    }
}

static void row_copy(long n)
{
    while (n--) {
        memcpy(to, from, sizeof to);
        // What was copied is looked at, so that the copying stays.
        __asm__ volatile("" ::"r"(to) : "memory");
    }
}

static void row_sum(long n)
{
    while (n--) {
        const volatile unsigned *words = (const volatile unsigned *)from;
        unsigned sum = 0;
        for (size_t at = 0; at < sizeof from / sizeof *words; at++)
            sum += words[at];
        must(sum == 0);
    }
}

static const struct {
    const char *name;
    void (*run)(long n);
} rows[] = {
    {"write1", row_write1},     {"select10", row_select10},   {"select100", row_select100}, {"pipe", there_and_back},
    {"unix", there_and_back},   {"pipe64k", row_write64k},    {"create0k", row_create0k},   {"create1k", row_create1k},
    {"create4k", row_create4k}, {"create10k", row_create10k}, {"reread", row_reread},       {"copy", row_copy},
    {"sum", row_sum},
};

int main(int argc, char **argv)
{
    must(argc == 2);
    must((file = open("file", O_RDONLY)) >= 0);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        if (strcmp(argv[1], rows[row].name) == 0) {
            fprintf(stderr, "%.2f\n", fastest(rows[row].run));
            return 0;
        }
    }
    fprintf(stderr, "lmbench: no row `%s`\n", argv[1]);
    return 2;
}
