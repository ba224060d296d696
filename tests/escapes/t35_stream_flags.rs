//! T35: the guest's flags on a stream are its own; the parent's open file stays as it was.

use std::fs::File;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T35: neither `NONBLOCK` nor `APPEND` reaches the description that the parent shares, for files and pipes.
#[test]
fn do_not_reach_the_parent() {
    let guest = script(
        r#"
        fd_fdstat_set_flags 0 NONBLOCK
        fd_fdstat_set_flags 1 NONBLOCK
        fd_fdstat_set_flags 2 NONBLOCK
        fd_fdstat_get 1 OUT
        bytes OUT+2 2 = 0400
        fd_fdstat_set_flags 1 APPEND = NOTSUP
        fd_fdstat_set_flags 2 APPEND|NONBLOCK = NOTSUP
        fd_fdstat_set_flags 1 8 = INVAL
        fd_read 0 {BUF 1} OUT = ANY                    # does not wait
        "#,
    );
    let host = Host::new();
    host.write("outside/log", "");
    let open = |name: &str| File::options().read(true).write(true).open(host.path(name)).unwrap();
    let (stdin_reader, _stdin) = std::io::pipe().unwrap();
    let (_stderr, stderr_writer) = std::io::pipe().unwrap();
    let stdout = open("outside/log");
    let flags = || {
        [
            fcntl(&stdin_reader, FcntlArg::F_GETFL).unwrap(),
            fcntl(&stdout, FcntlArg::F_GETFL).unwrap(),
            fcntl(&stderr_writer, FcntlArg::F_GETFL).unwrap(),
        ]
    };
    let before = flags();
    assert_eq!(before[0] & OFlag::O_NONBLOCK.bits(), 0);
    let (_dir, module) = guest.file();
    let status = host
        .granted(Mode::Normal, "ro")
        .command(module)
        .stdin(Stdio::from(stdin_reader.try_clone().unwrap()))
        .stdout(Stdio::from(stdout.try_clone().unwrap()))
        .stderr(Stdio::from(stderr_writer.try_clone().unwrap()))
        .status()
        .unwrap();
    assert_eq!(flags(), before);
    let text = std::fs::read_to_string(host.path("outside/log")).unwrap();
    assert_eq!((status.code(), &*text), (Some(0), "0\n0\n0\n0\n0400\n58\n58\n28\n6\n"));
}
