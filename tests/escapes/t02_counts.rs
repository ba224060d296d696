//! T2: huge counts are refused or bounded, at once and without memory.

use crate::host::{Host, peak_kib};
use crate::script::script;
use wave_test_support::Mode;

/// T2: products of counts and sizes do not wrap, and nothing is allocated for them.
#[test]
fn huge_counts_cost_nothing() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ|WRITE|ALL
        pause
        start
        poll_oneoff BUF BUF 0x10000000 OUT = FAULT
        poll_oneoff BUF BUF MAX OUT = FAULT
        poll_oneoff 0x40000 0x100000 4097 OUT = INVAL
        poll_oneoff BUF BUF 0 OUT = INVAL
        fd_read 4 BUF 0x20000001 OUT = FAULT          # times 8 is 8 in 32 bits
        fd_write 4 BUF 0x20000001 OUT = FAULT
        fd_pread 4 BUF 0x20000001 0 OUT = FAULT
        fd_pwrite 4 BUF 0x20000001 0 OUT = FAULT
        sock_recv 4 BUF 0x20000001 0 OUT OUT2 = FAULT
        sock_send 4 BUF 0x20000001 0 OUT = FAULT
        fd_read 4 BUF MAX OUT = FAULT
        fd_write 4 0x80000000 0x10000001 OUT = FAULT
        random_get BUF MAX = FAULT
        fd_readdir 3 BUF MAX 0 OUT = FAULT
        path_open 3 0 BUF MAX 0 READ 0 0 FD = FAULT
        path_readlink 3 BUF 4 BUF MAX OUT = FAULT
        within 50
        pause
        fd_read 4 BUF 1 OUT                           # the neighbors: one element, and as many as memory holds
        poll_oneoff BUF 0x100000 1 OUT
        poll_oneoff 0x40000 0x100000 4096 OUT
        show [OUT] = 4096
        fd_write 4 0x40000 0x20000 OUT
        show [OUT] = 0
        "#,
    );
    let host = Host::new();
    let before = host.inside();
    let mut paused = guest.start(host.granted(Mode::Normal, "rw"));
    let peak = peak_kib(paused.id());
    paused.go_on();
    let growth = peak_kib(paused.id()) - peak;
    assert!(growth < 1024, "{growth} KiB");
    assert_eq!(host.inside(), before);
    paused.finish();
}
