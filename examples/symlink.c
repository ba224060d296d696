// Makes a symbolic link and reads it back.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: symlink TARGET LINK\n", stderr);
        return 2;
    }
    if (symlink(argv[1], argv[2]) < 0) {
        fprintf(stderr, "symlink: %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    char target[4096];
    ssize_t len = readlink(argv[2], target, sizeof target);
    if (len < 0) {
        fprintf(stderr, "symlink: reading %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    printf("%s -> %.*s\n", argv[2], (int)len, target);
    return 0;
}
