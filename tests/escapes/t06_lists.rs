//! T6: lists of buffers are fetched once, and long ones bounded.

use std::fs;

use crate::host::{Host, peak_kib};
use crate::script::script;
use wave_test_support::Mode;

/// T6: a read whose first buffer is the list itself does not redirect the second.
#[test]
fn a_read_over_its_own_list_redirects_nothing() {
    // The file forges a list: 16 bytes to 0x3000. Then come the bytes meant for the second buffer.
    let guest = script(
        r#"
        open 3 0 "forged" 0 READ|SEEK
        store LIST LIST
        store LIST+4 16
        store LIST+8 BUF
        store LIST+12 4
        fill 0x3000 16 0xaa
        fd_read [FD] LIST 2 OUT
        show [OUT] = 20
        text BUF 4 = "mine"
        bytes 0x3000 16 = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        bytes LIST 8 = 0030000010000000
        store LIST LIST
        store LIST+4 16
        store LIST+8 BUF
        fill BUF 4 0
        fd_pread [FD] LIST 2 0 OUT
        text BUF 4 = "mine"
        bytes 0x3000 16 = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        "#,
    );
    let host = Host::new();
    host.write("grant/forged", "");
    fs::write(host.path("grant/forged"), b"\x00\x30\0\0\x10\0\0\0\x00\x30\0\0\x10\0\0\0mine").unwrap();
    guest.run(host.granted(Mode::Normal, "ro"));
}

/// T6: of a list with 100,000 buffers the first 1024 are used, without memory for the rest.
#[test]
fn a_long_list_is_used_in_part() {
    let fill = r#"
        (global.set $scratch (i32.const 0))
        (loop $next
          (i32.store (i32.add (i32.const 0x20000) (i32.mul (global.get $scratch) (i32.const 8))) (i32.const 0x1000))
          (i32.store (i32.add (i32.const 0x20004) (i32.mul (global.get $scratch) (i32.const 8))) (i32.const 1))
          (global.set $scratch (i32.add (global.get $scratch) (i32.const 1)))
          (br_if $next (i32.lt_u (global.get $scratch) (i32.const 100000))))"#;
    let guest = script(format!(
        r#"
        open 3 0 "file" 0 READ|WRITE|ALL
        {}
        pause
        fd_write [FD] 0x20000 100000 OUT
        show [OUT] = 1024
        fd_pwrite [FD] 0x20000 100000 0 OUT
        show [OUT] = 1024
        fd_seek [FD] 0 SET OUT
        fd_read [FD] 0x20000 100000 OUT
        show [OUT] = 1024
        pause
        fd_write [FD] 0x20000 3 OUT
        show [OUT] = 3
        "#,
        fill.replace('\n', " ")
    ));
    let host = Host::new();
    let mut paused = guest.start(host.granted(Mode::Normal, "rw"));
    let peak = peak_kib(paused.id());
    paused.go_on();
    let growth = peak_kib(paused.id()) - peak;
    assert!(growth < 512, "{growth} KiB");
    paused.finish();
    assert_eq!(fs::metadata(host.path("grant/file")).unwrap().len(), 1027);
}
