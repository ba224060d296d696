// Shows kind, size and time of last change; a final link is not followed.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *kind(mode_t mode) {
    if (S_ISREG(mode))
        return "file";
    if (S_ISDIR(mode))
        return "directory";
    if (S_ISLNK(mode))
        return "link";
    return "other";
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("usage: stat PATH...\n", stderr);
        return 2;
    }
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (lstat(argv[i], &info) < 0) {
            fprintf(stderr, "stat: %s: %s\n", argv[i], strerror(errno));
            failed = 1;
            continue;
        }
        printf("%s: %s", argv[i], kind(info.st_mode));
        // The size of a directory says more about the host than about it.
        if (S_ISREG(info.st_mode))
            printf(", %lld bytes", (long long)info.st_size);
        printf(", changed %lld.%09ld\n", (long long)info.st_mtim.tv_sec,
               info.st_mtim.tv_nsec);
    }
    return failed;
}
