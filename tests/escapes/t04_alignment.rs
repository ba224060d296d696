//! T4: alignment means nothing; every structure may lie anywhere.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T4: what is asked for at odd addresses is found there.
#[test]
fn odd_addresses_are_as_good_as_others() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ|WRITE|ALL
        store LIST+1 BUF+3                       # an iovec list at an odd address
        store LIST+5 2
        fd_read 4 LIST+1 1 OUT+3
        show [OUT+3] = 2
        text BUF+3 2 = "of"
        fd_seek 4 3 SET OUT+5
        show64 OUT+5 = 3
        fd_tell 4 OUT+7
        show64 OUT+7 = 3
        fd_prestat_get 3 OUT+1
        bytes OUT+1 8 = 0000000001000000
        fd_filestat_get 4 BUF+1
        show64 BUF+33 = 12                       # the size
        path_filestat_get 3 0 "file" BUF+2
        show64 BUF+34 = 12
        fd_fdstat_get 4 BUF+3
        bytes BUF+3 2 = 0400
        args_sizes_get OUT+1 OUT2+3
        show [OUT+1] = 1
        show [OUT2+3] = 10
        args_get BUF+1 BUF+11
        text BUF+11 9 = "guest.wat"
        store CLOCK+17 MONOTONIC
        poll_oneoff CLOCK+1 BUF+7 1 OUT+1
        show [OUT+1] = 1
        bytes BUF+7 16 = 00000000000000000000000000000000
        clock_res_get MONOTONIC OUT+1
        open 3 0 "dir/file" 0 READ
        path_open 3 0 "file" 0 READ 0 0 FD+1
        show [FD+1] = 6
        "#,
    );
    guest.run(Host::new().granted(Mode::Normal, "rw"));
}
