//! T11: every byte of a returned structure is defined.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T11: over memory full of 0xAA padding is zero, and nothing is written behind the structure.
#[test]
fn padding_is_zero() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ|STAT
        fill BUF 200 0xaa
        fd_fdstat_get [FD] BUF
        bytes BUF 26 = 040000000000000002002000000000000000000000000000aaaa
        fill BUF 200 0xaa
        fd_fdstat_get 3 BUF
        bytes BUF 8 = 0300000000000000
        fill BUF 200 0xaa
        fd_filestat_get [FD] BUF
        bytes BUF+16 24 = 040000000000000001000000000000000c00000000000000
        bytes BUF+64 2 = aaaa
        fill BUF 200 0xaa
        path_filestat_get 3 0 "file" BUF
        bytes BUF+16 24 = 040000000000000001000000000000000c00000000000000
        bytes BUF+64 2 = aaaa
        fill BUF 200 0xaa
        fd_prestat_get 3 BUF
        bytes BUF 10 = 0000000001000000aaaa
        fill BUF 200 0xaa
        store CLOCK 7
        store CLOCK+16 MONOTONIC
        poll_oneoff CLOCK BUF 1 OUT
        bytes BUF 34 = 0700000000000000000000000000000000000000000000000000000000000000aaaa
        fill BUF 200 0xaa
        store CLOCK+8 2                          # may descriptor 99 be written?
        store CLOCK+16 99
        poll_oneoff CLOCK BUF 1 OUT
        bytes BUF 34 = 0700000000000000080002000000000000000000000000000000000000000000aaaa
        fill BUF 200 0xaa
        fd_readdir 3 BUF 24 0 OUT
        bytes BUF+21 4 = 000000aa
        fill BUF 200 0xaa
        clock_time_get MONOTONIC 1 BUF
        bytes BUF+8 2 = aaaa
        args_sizes_get BUF+32 BUF+36
        bytes BUF+32 10 = 010000000a000000aaaa
        args_get BUF+64 BUF+80
        bytes BUF+68 2 = aaaa
        bytes BUF+89 2 = 00aa
        "#,
    );
    for mode in Mode::ALL {
        guest.run(Host::new().granted(*mode, "ro"));
    }
}
