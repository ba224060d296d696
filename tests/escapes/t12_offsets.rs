//! T12: offsets and sizes of 2^63 and more, and sums that wrap.

use std::fs;
use std::process::Command;

use crate::host::Host;
use crate::script::script;
use wave_test_support::{Mode, has_program};

const CALLS: &str = r#"
    fd_pread 4 {BUF 4} 0x8000000000000000 OUT = INVAL
    fd_pread 4 {BUF 4} -1 OUT = INVAL
    fd_pwrite 4 {"over"} 0x8000000000000000 OUT = INVAL
    fd_pwrite 4 {"over"} -1 OUT = INVAL
    fd_seek 4 0x8000000000000000 SET OUT = INVAL
    fd_seek 4 -1 SET OUT = INVAL
    fd_allocate 4 0x8000000000000000 1 = INVAL
    fd_allocate 4 0 0x8000000000000000 = INVAL
    fd_allocate 4 0x7fffffffffffffff 1 = INVAL
    fd_allocate 4 -1 2 = INVAL
    fd_allocate 4 0 0 = INVAL
    fd_advise 4 0x8000000000000000 1 0 = INVAL
    fd_advise 4 0x7fffffffffffffff 1 0 = INVAL
    fd_advise 4 -1 2 0 = INVAL
    fd_filestat_set_size 4 0x8000000000000000 = INVAL
    fd_filestat_set_size 4 -1 = INVAL
"#;

/// T12: they are refused, and the file stays as it is; the same calls with small numbers succeed.
#[test]
fn are_refused() {
    let guest = script(format!(
        r#"
        open 3 0 "file" 0 READ|WRITE|ALL
        {CALLS}
        fd_seek 4 -1 CUR OUT = INVAL
        fd_seek 4 -13 FROM_END OUT = INVAL
        fd_tell 4 OUT
        show64 OUT = 0
        pause
        fd_seek 4 -1 FROM_END OUT
        show64 OUT = 11
        fd_pread 4 {{BUF 4}} 0x7ffffffffffff000 OUT
        show [OUT] = 0
        fd_pwrite 4 {{"OF"}} 0 OUT
        fd_allocate 4 0 20
        fd_advise 4 0 20 0
        fd_filestat_set_size 4 5
        "#
    ));
    let host = Host::new();
    let before = host.inside();
    let paused = guest.start(host.granted(Mode::Normal, "rw"));
    assert_eq!(host.inside(), before);
    paused.finish();
    assert_eq!(fs::read_to_string(host.path("grant/file")).unwrap(), "OF th");
}

/// T12: the kernel never sees them.
#[test]
fn are_refused_before_the_kernel_is_asked() {
    if !has_program(&mut Command::new("strace"), "strace") {
        return;
    }
    let guest = script(format!("open 3 0 \"file\" 0 READ|WRITE|ALL\n fd_advise 4 0 20 0\n {CALLS}"));
    let (dir, path) = guest.file();
    let trace = dir.path().join("trace");
    let calls = "trace=pread64,preadv,pwrite64,pwritev,lseek,fallocate,fadvise64,ftruncate";
    let host = Host::new();
    let wave = host
        .granted(Mode::Normal, "rw")
        .by_shell(&format!(r#"exec strace -f -qq -e {calls} -e signal=none -o '{}' "$@""#, trace.display()));
    guest.check(&wave.run(path, [""; 0]));
    let trace = fs::read_to_string(trace).unwrap();
    let seen: Vec<_> = trace.lines().filter(|line| line.contains("fadvise64(")).collect();
    assert_eq!(seen.len(), 1, "the permitted call alone: {trace}");
    for call in ["pwrite64(", "fallocate(", "ftruncate("] {
        assert!(!trace.contains(call), "{trace}");
    }
}
