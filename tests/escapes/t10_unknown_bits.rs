//! T10: flags, rights and enumerations have only the values that are defined.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T10: each undefined value is INVAL, in calls that would succeed otherwise and leave a trace.
#[test]
fn unknown_values_are_refused() {
    let mut lines = String::from("open 3 0 \"file\" 0 READ|WRITE|ALL\n");
    for (bits, call) in [
        (1..32, "path_open 3 BIT \"new\" CREAT WRITE 0 0 FD"),
        (4..32, "path_open 3 0 \"new\" CREAT|BIT WRITE 0 0 FD"),
        (30..64, "path_open 3 0 \"new\" CREAT WRITE|BIT 0 0 FD"),
        (30..64, "path_open 3 0 \"new\" CREAT WRITE BIT 0 FD"),
        (5..32, "path_open 3 0 \"new\" CREAT WRITE 0 BIT FD"),
        (1..32, "path_filestat_get 3 BIT \"file\" OUT"),
        (1..32, "path_filestat_set_times 3 BIT \"file\" 1 1 ATIM|MTIM"),
        (4..32, "path_filestat_set_times 3 0 \"file\" 1 1 ATIM|MTIM|BIT"),
        (4..32, "fd_filestat_set_times 4 1 1 ATIM|MTIM|BIT"),
        (1..32, "path_link 3 BIT \"file\" 3 \"new\""),
        (5..32, "fd_fdstat_set_flags 4 BIT"),
        (30..64, "fd_fdstat_set_rights 4 BIT 0"),
        (30..64, "fd_fdstat_set_rights 4 0 BIT"),
        (2..32, "fd_seek 4 1 CUR|BIT OUT"),
        (3..32, "fd_advise 4 0 0 BIT"),
        (2..32, "clock_time_get BIT 1 OUT"),
        (2..32, "clock_res_get BIT OUT"),
        (2..32, "sock_recv 4 {BUF 1} BIT OUT OUT2"),
        (0..32, "sock_send 4 {BUF 1} BIT OUT"),
        (2..32, "sock_shutdown 4 BIT"),
        (5..32, "sock_accept 4 BIT OUT"),
        (5..32, "proc_raise BIT"),
    ] {
        for bit in bits {
            lines += &format!("{} = INVAL\n", call.replace("BIT", &(1u64 << bit).cast_signed().to_string()));
        }
    }
    lines += r#"
        path_filestat_set_times 3 0 "file" 1 1 ATIM|ATIM_NOW = INVAL
        fd_filestat_set_times 4 1 1 MTIM|MTIM_NOW = INVAL
        fd_seek 4 1 3 OUT = INVAL
        fd_advise 4 0 0 6 = INVAL
        fd_advise 4 0 0 5
        proc_raise 31 = INVAL
        clock_time_get 4 1 OUT = INVAL
        open 3 0 "file" DIRECTORY|CREAT READ = INVAL
        fd_tell 4 OUT
        show64 OUT = 0
        "#;
    let guest = script(&lines);
    for mode in Mode::ALL {
        let host = Host::new();
        let before = host.inside();
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(host.inside(), before, "{mode:?}");
    }
}

/// T10: a subscription with an undefined type, clock or flag refuses the whole call, and the others do not wait.
#[test]
fn malformed_subscriptions_are_refused() {
    let guest = script(
        r#"
        start
        store CLOCK+24 0xffffffff               # in 4 seconds
        store CLOCK+16 MONOTONIC
        store CLOCK+8 3
        poll_oneoff CLOCK BUF 1 OUT = INVAL
        store CLOCK+8 255
        poll_oneoff CLOCK BUF 1 OUT = INVAL
        store CLOCK+8 0
        store CLOCK+16 4
        poll_oneoff CLOCK BUF 1 OUT = INVAL
        store CLOCK+16 MONOTONIC
        store CLOCK+40 2
        poll_oneoff CLOCK BUF 1 OUT = INVAL
        store CLOCK+40 0x8001
        poll_oneoff CLOCK BUF 1 OUT = INVAL
        store CLOCK+40 1
        store CLOCK+24 1
        poll_oneoff CLOCK BUF 1 OUT              # the neighbor: long past
        store CLOCK+56 3
        poll_oneoff CLOCK BUF 2 OUT = INVAL      # the second one is malformed
        within 1000
        "#,
    );
    guest.run(Mode::Normal.strict());
}
