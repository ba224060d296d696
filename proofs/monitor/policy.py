"""Which rights a descriptor can have: tables of what the documentation promises (docs, T20 to T25), not taken from the
code.

A descriptor has only rights that were asked for, that apply to what it refers to, and that its grant gives.
"""

from z3 import BitVecVal, If

from proofs.monitor.wasi import ALL_RIGHTS, rights
from proofs.prove.types import Value

# The rights to change content, names or times.
CHANGES = rights(
    "fd_write", "fd_allocate", "path_create_directory", "path_create_file", "path_link_source", "path_link_target",
    "path_rename_source", "path_rename_target", "path_filestat_set_size", "path_filestat_set_times",
    "fd_filestat_set_size", "fd_filestat_set_times", "path_symlink", "path_remove_directory", "path_unlink_file",
)  # fmt: skip

# What each access gives. Under `Append`, files are written in append mode, and files and directories can be made.
GRANTED = {
    "ReadOnly": ALL_RIGHTS & ~CHANGES,
    "Append": ALL_RIGHTS & ~CHANGES | rights("fd_write", "path_create_file", "path_create_directory"),
    "ReadWrite": ALL_RIGHTS,
}

STREAM = rights("fd_read", "fd_write", "fd_fdstat_set_flags", "fd_filestat_get", "poll_fd_readwrite")

# What applies to each kind of object.
APPLIES = {
    "RegularFile": STREAM | rights(
        "fd_datasync", "fd_seek", "fd_sync", "fd_tell", "fd_advise", "fd_allocate", "fd_filestat_set_size",
        "fd_filestat_set_times",
    ),
    "Directory": rights(
        "fd_datasync", "fd_fdstat_set_flags", "fd_sync", "path_create_directory", "path_create_file",
        "path_link_source", "path_link_target", "path_open", "fd_readdir", "path_readlink", "path_rename_source",
        "path_rename_target", "path_filestat_get", "path_filestat_set_size", "path_filestat_set_times",
        "fd_filestat_get", "fd_filestat_set_times", "path_symlink", "path_remove_directory", "path_unlink_file",
    ),
    "Pipe": STREAM,
    "Terminal": STREAM,
    "Device": STREAM | rights("fd_seek", "fd_tell"),
    "Listener": STREAM & ~rights("fd_write") | rights("sock_accept"),
    "Stream": STREAM | rights("sock_shutdown"),
    "Other": STREAM,
    # Granted files: what is there can be found, opened, created without being made, and truncated.
    "List": rights(
        "fd_fdstat_set_flags", "fd_readdir", "fd_filestat_get", "path_open", "path_filestat_get", "path_create_file",
        "path_filestat_set_size",
    ),
}  # fmt: skip

# Objects with a position.
SEEKABLE = ("RegularFile", "Directory", "Device", "List")
# Objects that never let a call wait.
ALWAYS_READY = ("RegularFile", "Directory", "List")
# Objects that pass rights on to what is opened through them.
PASS_ON = ("Directory", "List")


def of_table(value: Value, table: dict[str, int], bits: int = 64):
    """The number that a table has for a variant."""
    result = BitVecVal(0, bits)
    for name, number in table.items():
        result = If(value.is_variant(name), BitVecVal(number, bits), result)
    return result
