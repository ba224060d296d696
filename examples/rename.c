// Renames a file or directory; an existing file at the new name is replaced.
#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: rename OLD NEW\n", stderr);
        return 2;
    }
    if (rename(argv[1], argv[2]) < 0) {
        fprintf(stderr, "rename: %s to %s: %s\n", argv[1], argv[2],
                strerror(errno));
        return 1;
    }
    return 0;
}
