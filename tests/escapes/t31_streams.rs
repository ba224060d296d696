//! T31: the guest's 0, 1 and 2 are numbers in its table; the host's streams stay open and say how the run ended.

use std::fs;

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T31: after closing or renumbering them, diagnostics appear on the host's stderr, and not in the guest's file.
#[test]
fn closing_and_renumbering_change_only_the_guests_table() {
    for change in [
        "fd_close 0\n fd_close 1\n fd_close 2\n fd_close 2 = BADF",
        "fd_renumber 4 2\n fd_write 2 {\"mine\"} OUT",
        "fd_renumber 4 1\n fd_renumber 1 2\n fd_write 2 {\"mine\"} OUT\n fd_write 1 {\"x\"} OUT = BADF",
        "fd_renumber 1 2\n fd_close 2\n fd_renumber 4 0",
    ] {
        // Answers cannot be printed any more, so a wrong one ends the run otherwise than by the last trap.
        let must = |line: &str| {
            let (call, expected) = line.split_once('=').unwrap_or((line, "SUCCESS"));
            format!("repeat 1\n {call} = {expected}\n end\n")
        };
        let lines: String = change.lines().map(must).collect();
        let guest = script(format!(
            "open 3 0 \"file\" TRUNC READ|WRITE\n flush\n {lines}
            (if (i32.ne (global.get $printed) (i32.const 0x180000)) (then (call $proc_exit (i32.const 9))))
            (drop (i32.div_u (i32.const 1) (i32.const 0)))"
        ));
        let host = Host::new();
        let run = guest.outcome(host.granted(Mode::Normal, "rw"));
        assert_eq!((run.status.code(), &*run.stdout), (Some(134), "0\n"), "{change}: {run:?}");
        assert!(run.stderr.starts_with("wave: trap: integer divide by zero\n"), "{change}: {run:?}");
        let expected = if change.contains("mine") { "mine" } else { "" };
        assert_eq!(fs::read_to_string(host.path("grant/file")).unwrap(), expected, "{change}");
    }
}

/// T31: streams that were closed at the start are not replaced by what the guest opens: what `wave` says goes nowhere.
#[test]
fn a_closed_stream_is_not_the_guests_file() {
    let guest = script(
        r#"
        open 3 0 "file" TRUNC READ|WRITE
        open 3 0 "new" CREAT READ|WRITE
        (unreachable)
        "#,
    );
    for closed in ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"] {
        let host = Host::new();
        let run = guest.outcome(host.granted(Mode::Normal, "rw").by_shell(&format!("exec \"$@\" {closed}")));
        assert_eq!(run.status.code(), Some(134), "{closed}: {run:?}");
        for name in ["file", "new"] {
            assert_eq!(fs::read_to_string(host.path("grant").join(name)).unwrap(), "", "{closed}: {name}");
        }
    }
    // A stream that is not there has nothing to read.
    let guest = script("fd_read 0 {BUF 1} OUT\n show [OUT] = 0\n open 3 0 \"file\" 0 READ\n show [FD] = 4");
    guest.run(Host::new().granted(Mode::Normal, "ro").by_shell("exec \"$@\" 0<&-"));
}

/// T31: a stream that is a file can be read or written, told, looked at and synchronised; what the parent wrote stays.
#[test]
fn a_stream_that_is_a_file_is_used_in_its_direction() {
    let guest = script(
        r#"
        fd_read 0 {BUF 3} OUT
        text BUF [OUT] = "one"
        fd_tell 0 OUT
        show [OUT] = 3
        fd_pread 0 {BUF 100} 1 OUT
        text BUF [OUT] = "ne two"
        fd_seek 0 4 SET OUT
        fd_read 0 {BUF 100} OUT
        text BUF [OUT] = "two"
        fd_filestat_get 0 OUT
        fd_sync 0
        fd_datasync 0
        fd_write 0 {"x"} OUT = NOTCAPABLE
        fd_pwrite 0 {"x"} 0 OUT = NOTCAPABLE
        fd_filestat_set_size 0 0 = NOTCAPABLE
        fd_allocate 0 0 100 = NOTCAPABLE
        fd_filestat_set_times 0 1 1 ATIM|MTIM = NOTCAPABLE
        fd_advise 0 0 0 0 = NOTCAPABLE
        fd_fdstat_set_flags 0 APPEND = NOTSUP

        fd_write 2 {"; guest"} OUT
        fd_tell 2 OUT
        show [OUT] = 13
        fd_filestat_get 2 OUT
        show [OUT+32] = 13
        fd_sync 2
        fd_datasync 2
        fd_read 2 {BUF 1} OUT = NOTCAPABLE
        fd_pread 2 {BUF 1} 0 OUT = NOTCAPABLE
        fd_pwrite 2 {"x"} 0 OUT = NOTCAPABLE
        fd_seek 2 0 SET OUT = NOTCAPABLE
        fd_filestat_set_size 2 0 = NOTCAPABLE
        fd_allocate 2 0 100 = NOTCAPABLE
        fd_filestat_set_times 2 1 1 ATIM|MTIM = NOTCAPABLE
        fd_advise 2 0 0 0 = NOTCAPABLE
        fd_fdstat_set_flags 2 0 = NOTSUP               # the parent opened it in append mode

        fd_sync 1 = INVAL                              # a pipe
        fd_datasync 1 = INVAL
        fd_tell 1 OUT = SPIPE
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        host.write("outside/in", "one two");
        let [from, to] = ["outside/in", "outside/out"].map(|name| host.path(name).display().to_string());
        let shell = format!("printf 'parent' > {to}; exec \"$@\" < {from} 2>> {to}");
        guest.run(mode.strict().by_shell(&shell));
        let [from, to] = [from, to].map(|path| fs::read_to_string(path).unwrap());
        assert_eq!((&*from, &*to), ("one two", "parent; guest"), "{mode:?}");
    }
}

/// T31: the position of a stream is the parent's, too: what the guest has read, the next reader does not get.
#[test]
fn the_position_of_standard_input_is_shared_with_the_parent() {
    let guest = script("fd_read 0 {BUF 4} OUT\n text BUF [OUT] = \"one \"");
    let host = Host::new();
    host.write("outside/in", "one two");
    let [from, rest] = ["outside/in", "outside/rest"].map(|name| host.path(name).display().to_string());
    guest.run(Mode::Normal.strict().by_shell(&format!("{{ \"$@\" && cat > {rest}; }} < {from}")));
    assert_eq!(fs::read_to_string(rest).unwrap(), "two");
}
