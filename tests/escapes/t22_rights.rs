//! T22: rights never grow, and what a descriptor says of itself is true.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T22: through descriptors with fewer rights nothing is done or opened that needs more.
#[test]
fn only_shrink() {
    let guest = script(
        r#"
        path_open 3 0 "file" 0 READ|STAT ALL 0 FD
        fd_fdstat_get 4 OUT
        show64 OUT+8 = 2097154                        # READ and STAT, and nothing to hand on
        show64 OUT+16 = 0
        fd_write 4 {"x"} OUT = NOTCAPABLE
        fd_seek 4 1 SET OUT = NOTCAPABLE
        fd_tell 4 OUT = NOTCAPABLE
        fd_pread 4 {BUF 1} 0 OUT = NOTCAPABLE
        fd_filestat_set_size 4 0 = NOTCAPABLE
        fd_allocate 4 0 1 = NOTCAPABLE
        fd_advise 4 0 0 0 = NOTCAPABLE
        fd_sync 4 = NOTCAPABLE
        fd_datasync 4 = NOTCAPABLE
        fd_fdstat_set_flags 4 APPEND = NOTCAPABLE
        fd_filestat_set_times 4 1 1 MTIM = NOTCAPABLE
        fd_fdstat_set_rights 4 READ|STAT|WRITE 0 = NOTCAPABLE
        fd_fdstat_set_rights 4 READ|STAT ALL = NOTCAPABLE
        fd_fdstat_set_rights 4 ALL ALL = NOTCAPABLE
        fd_fdstat_set_rights 4 READ 0
        fd_filestat_get 4 OUT = NOTCAPABLE
        fd_fdstat_set_rights 4 READ|STAT 0 = NOTCAPABLE
        fd_read 4 {BUF 1} OUT
        fd_fdstat_set_rights 4 0 0
        fd_read 4 {BUF 1} OUT = NOTCAPABLE

        path_open 3 0 "dir" DIRECTORY 0x2000 READ 0 FD # may open, and hand on reading
        fd_fdstat_get 5 OUT
        show64 OUT+8 = 8192
        show64 OUT+16 = 2
        open 5 0 "file" 0 WRITE = NOTCAPABLE
        open 5 0 "new" CREAT READ = NOTCAPABLE
        open 5 0 "file" TRUNC READ = NOTCAPABLE
        path_unlink_file 5 "file" = NOTCAPABLE
        path_filestat_get 5 0 "file" OUT = NOTCAPABLE
        fd_readdir 5 BUF 100 0 OUT = NOTCAPABLE
        open 5 0 "file" 0 READ
        fd_fdstat_get 6 OUT
        show64 OUT+8 = 2
        path_open 5 0 "." DIRECTORY ALL_DIR ALL 0 FD
        fd_fdstat_get 7 OUT
        show64 OUT+8 = 0
        show64 OUT+16 = 2
        open 7 0 "file" 0 READ = NOTCAPABLE

        fd_fdstat_get 3 OUT                           # the grant itself
        fd_fdstat_set_rights 3 0x2000 READ|WRITE
        open 3 0 "file" CREAT READ = NOTCAPABLE
        path_create_directory 3 "new" = NOTCAPABLE
        fd_fdstat_set_rights 3 ALL ALL = NOTCAPABLE
        open 3 0 "file" 0 READ|WRITE                  # the neighbor
        fd_renumber 8 4                               # renumbering carries rights, and gives none
        fd_fdstat_get 4 OUT
        show64 OUT+8 = 66
        fd_sync 4 = NOTCAPABLE
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let before = host.inside();
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(host.inside(), before, "{mode:?}");
    }
}
