"""Numbers of `wasi_snapshot_preview1.witx`: errnos, rights, flags. Written from that document, not from the code."""

SUCCESS, TOOBIG, BADF, EXIST, FAULT, FBIG, INVAL, ISDIR = 0, 1, 8, 20, 21, 22, 28, 31
MFILE, NAMETOOLONG, NOENT, NOSPC, NOTCONN, NOTDIR, NOTEMPTY, NOTSOCK = 33, 37, 44, 51, 53, 54, 55, 57
NOTSUP, PERM, BUSY, SPIPE, NOTCAPABLE = 58, 63, 10, 70, 76

# `$rights`: the bit number of each.
RIGHTS = (
    "fd_datasync", "fd_read", "fd_seek", "fd_fdstat_set_flags", "fd_sync", "fd_tell", "fd_write", "fd_advise",
    "fd_allocate", "path_create_directory", "path_create_file", "path_link_source", "path_link_target", "path_open",
    "fd_readdir", "path_readlink", "path_rename_source", "path_rename_target", "path_filestat_get",
    "path_filestat_set_size", "path_filestat_set_times", "fd_filestat_get", "fd_filestat_set_size",
    "fd_filestat_set_times", "path_symlink", "path_remove_directory", "path_unlink_file", "poll_fd_readwrite",
    "sock_shutdown", "sock_accept",
)  # fmt: skip
ALL_RIGHTS = (1 << len(RIGHTS)) - 1

# `$fdflags`, `$oflags`, `$lookupflags`, `$fstflags`, `$riflags`, `$sdflags`, `$subclockflags`: the bits of each.
APPEND, DSYNC, NONBLOCK, RSYNC, SYNC = 1, 2, 4, 8, 16
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
SYMLINK_FOLLOW = 1
ATIM, ATIM_NOW, MTIM, MTIM_NOW = 1, 2, 4, 8


def rights(*names: str) -> int:
    """The bits of some rights."""
    return sum(1 << RIGHTS.index(name) for name in names)
