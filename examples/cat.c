// Copies files, or standard input, to standard output.
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int copy(FILE *from, const char *name) {
    char buffer[65536];
    size_t len;
    while ((len = fread(buffer, 1, sizeof buffer, from)) > 0) {
        if (fwrite(buffer, 1, len, stdout) != len) {
            fprintf(stderr, "cat: standard output: %s\n", strerror(errno));
            return 1;
        }
    }
    if (ferror(from)) {
        fprintf(stderr, "cat: %s: %s\n", name, strerror(errno));
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return copy(stdin, "standard input");
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "r");
        if (!file) {
            fprintf(stderr, "cat: %s: %s\n", argv[i], strerror(errno));
            failed = 1;
            continue;
        }
        failed |= copy(file, argv[i]);
        fclose(file);
    }
    return failed;
}
