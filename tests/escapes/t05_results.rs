//! T5: a result that cannot be stored stops the call before it has any effect.

use std::net::{TcpListener, TcpStream};

use crate::host::{Host, descriptors};
use crate::script::script;
use wave_test_support::Mode;

/// T5: no file is made or cut, no descriptor opened, and nothing is read, written or moved.
#[test]
fn nothing_happens_for_a_result_outside_of_memory() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ|WRITE|ALL
        pause
        path_open 3 0 "new" CREAT READ|WRITE 0 0 END = FAULT
        path_open 3 0 "new" CREAT READ|WRITE 0 0 END-3 = FAULT
        path_open 3 0 "new" CREAT READ|WRITE 0 0 MAX = FAULT
        path_open 3 0 "dir/new" CREAT|EXCL WRITE 0 0 END = FAULT
        path_open 3 0 "file" TRUNC WRITE 0 0 END = FAULT
        path_open 3 0 "file" CREAT|TRUNC READ|WRITE 0 0 END-3 = FAULT
        fd_write 4 {"gone"} END = FAULT
        fd_pwrite 4 {"gone"} 0 END-3 = FAULT
        fd_read 4 {BUF 4} END = FAULT
        fd_seek 4 5 SET END-7 = FAULT
        fd_readdir 3 BUF 100 0 END-3 = FAULT
        path_readlink 3 "file" BUF 10 END = FAULT
        bytes BUF 4 = 00000000
        pause
        fd_tell 4 OUT
        show64 OUT = 0
        open 3 0 "new" CREAT READ|WRITE          # the neighbor
        show [FD] = 5
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let before = host.inside();
        let mut paused = guest.start(host.granted(*mode, "rw"));
        let open = descriptors(paused.id());
        paused.go_on();
        assert_eq!(descriptors(paused.id()), open);
        assert_eq!(host.inside(), before, "{mode:?}");
        paused.finish();
        assert!(host.path("grant/new").exists());
    }
}

/// T5: no connection is taken from the queue for a number that cannot be stored.
#[test]
fn a_connection_is_not_accepted_for_a_result_outside_of_memory() {
    let guest = script(
        r#"
        pause
        sock_accept 3 0 END = FAULT
        sock_accept 3 0 END-3 = FAULT
        sock_accept 3 0 MAX = FAULT
        pause
        sock_accept 3 0 FD
        show [FD] = 4
        sock_recv 4 {BUF 10} 0 END OUT = FAULT
        sock_recv 4 {BUF 10} 0 OUT END-1 = FAULT
        sock_send 4 {"never"} 0 END = FAULT
        sock_send 4 {"once"} 0 OUT
        "#,
    );
    // A free port; whoever takes it before `wave` does makes the run fail, not pass.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut paused = guest.start(Mode::Normal.strict().flag("--tcplisten", &address.to_string()));
    let mut stream = TcpStream::connect(address).unwrap();
    let open = descriptors(paused.id());
    paused.go_on();
    assert_eq!(descriptors(paused.id()), open);
    paused.finish();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert_eq!(text, "once");
}
