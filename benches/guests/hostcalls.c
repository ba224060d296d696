// How long does one call out of the program take? Prints nanoseconds per call of one row: hostcalls [sealed] ROW
//
// With `sealed`, the native program first does to itself the least that any sandbox of this kind does: Landlock with the
// current directory as its one rule, and a seccomp filter that permits everything. That is the floor of `strict`.
//
// The same source is built natively and for WASI, both with -O2. Where the C library only passes a call on, both use the
// library. wasi-libc adds work of its own to names (it searches the preopens by string comparison and asks for the rights of
// the directory with `fd_fdstat_get` before every open) and to listings (a buffer of 4 KiB where glibc takes 32); there the
// WASI side makes the calls itself, with the arguments the library would have chosen.
//
// The harness has prepared the current directory: `file` and `a/b/c/d/e` of 1 MiB, and `many` with 100 files.
#include "timing.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __wasi__
#include <wasi/api.h>
#else
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#define FILE_BYTES (1 << 20)
#define DEEP "a/b/c/d/e"

static int work;
static int file;
// On a page boundary on both sides, so that neither copies to the better place.
static _Alignas(4096) char buffer[64 << 10];

// ---- calls that differ -----------------------------------------------------------------------------

#ifdef __wasi__
#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW

static void nothing(void)
{
    __wasi_size_t count, bytes;
    must(__wasi_args_sizes_get(&count, &bytes) == 0);
}

static int open_at(const char *path, __wasi_oflags_t flags, __wasi_rights_t rights)
{
    __wasi_fd_t fd;
    must(__wasi_path_open(work, FOLLOW, path, flags, rights, 0, 0, &fd) == 0);
    return (int)fd;
}

static int open_to_read(const char *path)
{
    return open_at(path, 0, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_FILESTAT_GET);
}

static int create(const char *path)
{
    return open_at(path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK);
}

static void close_it(int fd)
{
    must(__wasi_fd_close(fd) == 0);
}

static void stat_at(const char *path)
{
    __wasi_filestat_t found;
    must(__wasi_path_filestat_get(work, FOLLOW, path, &found) == 0);
}

static void unlink_at(const char *path)
{
    must(__wasi_path_unlink_file(work, path) == 0);
}

static int list(const char *path)
{
    static char entries[32 << 10];
    int fd = open_at(path, __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR);
    __wasi_dircookie_t cookie = __WASI_DIRCOOKIE_START;
    __wasi_size_t used;
    int names = 0;
    do {
        must(__wasi_fd_readdir(fd, (uint8_t *)entries, sizeof entries, cookie, &used) == 0);
        __wasi_dirent_t entry;
        for (size_t at = 0; at + sizeof entry <= used; at += sizeof entry + entry.d_namlen) {
            memcpy(&entry, entries + at, sizeof entry);
            if (at + sizeof entry + entry.d_namlen > used)
                break;
            cookie = entry.d_next;
            names++;
        }
    } while (used == sizeof entries);
    close_it(fd);
    return names;
}

static void seal(void)
{
    must(0);
}

#else

static void seal(void)
{
    // Every right of ABI 3; the rule lets the directory be read and changed, as a `::rw` grant does.
    __u64 all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 3) - 1;
    struct landlock_ruleset_attr handled = {.handled_access_fs = all};
    struct landlock_path_beneath_attr rule = {.allowed_access = all & ~LANDLOCK_ACCESS_FS_EXECUTE, .parent_fd = work};
    long ruleset = syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    must(ruleset >= 0);
    must(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0);
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(syscall(SYS_landlock_restrict_self, ruleset, 0) == 0);
    struct sock_filter permit = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog filter = {.len = 1, .filter = &permit};
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0);
}

// WASI has nothing like `getppid`, which LMbench's null call is, and no call that does nothing in every kernel. So the row
// compares the cheapest way out of either program: into the runtime, and into the kernel.
static void nothing(void)
{
    must(syscall(SYS_getppid) >= 0);
}

static int open_to_read(const char *path)
{
    int fd = openat(work, path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    return fd;
}

static int create(const char *path)
{
    int fd = openat(work, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    must(fd >= 0);
    return fd;
}

static void close_it(int fd)
{
    must(close(fd) == 0);
}

static void stat_at(const char *path)
{
    struct stat found;
    must(fstatat(work, path, &found, 0) == 0);
}

static void unlink_at(const char *path)
{
    must(unlinkat(work, path, 0) == 0);
}

static int list(const char *path)
{
    int names = 0;
    DIR *dir = opendir(path);
    must(dir != NULL);
    while (readdir(dir))
        names++;
    must(closedir(dir) == 0);
    return names;
}
#endif

// ---- rows ------------------------------------------------------------------------------------------

static void row_null(long n)
{
    while (n--)
        nothing();
}

static void row_clock(long n)
{
    struct timespec now;
    while (n--)
        must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
}

static void row_random(long n)
{
    while (n--)
        must(getentropy(buffer, 16) == 0);
}

static void row_read1(long n)
{
    while (n--)
        if (read(file, buffer, 1) != 1)
            must(lseek(file, 0, SEEK_SET) == 0);
}

static void row_pread4k(long n)
{
    while (n--)
        must(pread(file, buffer, 4096, (n << 12) & (FILE_BYTES - 1)) == 4096);
}

static void row_pwrite4k(long n)
{
    while (n--)
        must(pwrite(file, buffer, 4096, (n << 12) & (FILE_BYTES - 1)) == 4096);
}

static void row_pread64k(long n)
{
    while (n--)
        must(pread(file, buffer, sizeof buffer, (n << 16) & (FILE_BYTES - 1)) == sizeof buffer);
}

static void row_seek(long n)
{
    while (n--)
        must(lseek(file, n & (FILE_BYTES - 1), SEEK_SET) >= 0);
}

static void row_fstat(long n)
{
    struct stat found;
    while (n--)
        must(fstat(file, &found) == 0);
}

static void row_stat1(long n)
{
    while (n--)
        stat_at("file");
}

static void row_stat5(long n)
{
    while (n--)
        stat_at(DEEP);
}

static void row_open1(long n)
{
    while (n--)
        close_it(open_to_read("file"));
}

static void row_open5(long n)
{
    while (n--)
        close_it(open_to_read(DEEP));
}

static void row_create(long n)
{
    while (n--) {
        close_it(create("new"));
        unlink_at("new");
    }
}

static void row_readdir(long n)
{
    while (n--)
        must(list("many") == 100 + 2);
}

static const struct {
    const char *name;
    void (*run)(long n);
} rows[] = {
    {"null", row_null},         {"clock", row_clock},       {"random", row_random},     {"read1", row_read1},
    {"pread4k", row_pread4k},   {"pwrite4k", row_pwrite4k}, {"pread64k", row_pread64k}, {"seek", row_seek},
    {"fstat", row_fstat},       {"stat1", row_stat1},       {"stat5", row_stat5},       {"open1", row_open1},
    {"open5", row_open5},       {"create", row_create},     {"readdir", row_readdir},
};

int main(int argc, char **argv)
{
    must(argc == 2 || argc == 3);
    must((work = open(".", O_RDONLY | O_DIRECTORY)) >= 0);
    if (argc == 3)
        seal();
    const char *wanted = argv[argc - 1];
    must((file = open("file", O_RDWR)) >= 0);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        if (strcmp(wanted, rows[row].name) == 0) {
            printf("%.2f\n", fastest(rows[row].run));
            return 0;
        }
    }
    fprintf(stderr, "hostcalls: no row `%s`\n", argv[1]);
    return 2;
}
