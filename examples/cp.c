// Copies one file.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *name) {
    fprintf(stderr, "cp: %s: %s\n", name, strerror(errno));
    return 1;
}

static int write_all(int fd, const char *data, ssize_t len) {
    while (len > 0) {
        ssize_t done = write(fd, data, len);
        if (done < 0)
            return -1;
        data += done;
        len -= done;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: cp FROM TO\n", stderr);
        return 2;
    }
    int from = open(argv[1], O_RDONLY);
    if (from < 0)
        return fail(argv[1]);
    int to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (to < 0)
        return fail(argv[2]);

    char buffer[65536];
    ssize_t len;
    while ((len = read(from, buffer, sizeof buffer)) > 0) {
        if (write_all(to, buffer, len) < 0)
            return fail(argv[2]);
    }
    if (len < 0)
        return fail(argv[1]);
    // A full disk may be reported as late as here.
    if (close(to) < 0)
        return fail(argv[2]);
    return 0;
}
