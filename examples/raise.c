// Raises a signal in itself, with a handler or without.
//
// WASI has no signals between processes; wasi-libc emulates raise(3) inside the
// program (-lwasi-emulated-signal). Without a handler it ends in a trap.
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void handler(int number) {
    printf("caught: %s\n", strsignal(number));
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--handle") == 0) {
        signal(SIGTERM, handler);
    } else if (argc != 1) {
        fputs("usage: raise [--handle]\n", stderr);
        return 2;
    }
    raise(SIGTERM);
    puts("still here");
    return 0;
}
