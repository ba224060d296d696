//! T34: when descriptors run out the guest is told, and `wave` still works.

use nix::sys::resource::{Resource, getrlimit};

use crate::host::Host;
use crate::script::script;
use wave_test_support::{Mode, cannot_run};

/// T34: the table's own limit, and the host's.
#[test]
fn is_an_errno_and_the_run_goes_on() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("own limit");
    if most < 1100 {
        return cannot_run(&format!("the host permits {most} descriptors, which is the lower limit"));
    }
    // What is opened at the limit is not created; deep paths need a descriptor for a moment.
    let guest = script(
        r#"
        repeat 2000
        open 3 0 "file" 0 READ = ANY
        end
        tally
        open 3 0 "new" CREAT WRITE = MFILE
        open 3 0 "dir/file" 0 READ = MFILE
        open 3 0 "." DIRECTORY READDIR = MFILE
        path_filestat_get 3 0 "file" OUT
        fd_write 4 {"x"} OUT = NOTCAPABLE
        fd_close 500
        open 3 0 "dir/file" 0 READ
        show [FD] = 500
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let before = host.inside();
        let seen = guest.run(host.granted(*mode, "rw"));
        assert_eq!(seen[0].1.trim(), "0:1020 33:980", "1024 with the streams and the grant");
        assert_eq!(host.inside(), before, "{mode:?}");
    }
}

/// T34: a lower limit of the host is reported as well, and a trap can still be told.
#[test]
fn a_lower_limit_of_the_host_is_reported() {
    let guest = script(
        r#"
        repeat 200
        open 3 0 "file" 0 READ = ANY
        end
        tally
        path_filestat_get 3 0 "file" OUT
        path_filestat_get 3 0 "dir/file" OUT = ANY
        flush
        (unreachable)
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let run = guest.outcome(host.granted(*mode, "rw").by_shell("ulimit -n 64; exec \"$@\""));
        assert_eq!(run.status.code(), Some(134), "{run:?}");
        assert!(run.stderr.starts_with("wave: trap: unreachable\n"), "{run:?}");
        let lines: Vec<_> = run.stdout.lines().collect();
        let opened: u32 = lines[0].split([':', ' ']).nth(1).unwrap().parse().unwrap();
        assert!((40..=64).contains(&opened), "{run:?}");
        assert_eq!(lines[0].trim(), format!("0:{opened} 33:{}", 200 - opened));
        assert_eq!(lines[1..], ["0", "33"], "one component needs no descriptor, two do");
    }
}
