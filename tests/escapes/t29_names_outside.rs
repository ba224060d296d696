//! T29: errors tell nothing about names outside, and the host is not even asked for them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::host::Host;
use crate::script::script;
use wave_test_support::{Mode, cannot_run, has_program, sees_other_processes};

/// Calls with `P`, which stands for a name that is outside and for one that is not there.
const CALLS: [&str; 12] = [
    "open 3 FOLLOW \"P\" 0 READ",
    "open 3 0 \"P\" CREAT|EXCL WRITE",
    "open 3 0 \"P\" DIRECTORY READDIR",
    "open 3 0 \"P/x\" 0 READ",
    "path_filestat_get 3 FOLLOW \"P\" OUT",
    "path_create_directory 3 \"P\"",
    "path_remove_directory 3 \"P\"",
    "path_unlink_file 3 \"P\"",
    "path_readlink 3 \"P\" BUF 10 OUT",
    "path_rename 3 \"P\" 3 \"new\"",
    "path_rename 3 \"file\" 3 \"P\"",
    "path_symlink \"x\" 3 \"P\"",
];

/// Ways to a place outside.
const WAYS: [&str; 6] = ["../outside/", "out_dir/", "dir/../../outside/", "up/outside/", "chain_dir/", "out_slash/"];

/// Every call on every way out.
pub fn attempts() -> String {
    let mut lines = String::new();
    for way in WAYS {
        for call in CALLS {
            for name in ["secret", "missing", "dir", "dir/secret", "dir/missing", "missing/missing"] {
                lines += &format!("{} = NOTCAPABLE\n", call.replace('P', &format!("{way}{name}")));
            }
        }
    }
    for link in ["out_file", "out_dangling", "out_absolute", "no_absolute"] {
        lines += &format!(
            "open 3 FOLLOW \"{link}\" 0 READ = NOTCAPABLE\n path_filestat_get 3 FOLLOW \"{link}\" OUT = NOTCAPABLE\n"
        );
    }
    lines
}

fn host() -> Host {
    let host = Host::with_links();
    let absolute = host.path("outside/missing");
    host.link("grant/no_absolute", absolute.to_str().unwrap());
    host
}

/// T29: the errno is the same whether the name exists or not.
#[test]
fn give_the_same_answer_as_missing_ones() {
    let guest = script(attempts());
    for mode in Mode::ALL {
        let host = host();
        let accessed = || {
            let times = |name| fs::metadata(host.path(name)).unwrap().atime_nsec();
            ["outside/secret", "outside", "outside/dir/secret"].map(times)
        };
        let before = accessed();
        guest.run(host.granted(*mode, "rw"));
        assert_eq!(accessed(), before, "{mode:?}");
    }
}

/// T29: no system call names anything outside, or climbs with a path that the kernel does not confine.
#[test]
fn are_not_asked_for() {
    if !has_program(&mut Command::new("strace"), "strace") {
        return;
    }
    if !sees_other_processes() {
        // An ordinary user's strace may not read the names: the process is not dumpable. CI runs this as root as well.
        return cannot_run("only root sees the names in system calls");
    }
    for mode in Mode::ALL {
        let host = host();
        let guest = script(format!("{}\n open 3 0 \"dir/../file\" 0 READ\n", attempts()));
        let (dir, path) = guest.file();
        let trace = dir.path().join("trace");
        let strace =
            format!(r#"exec strace -f -qq -s 4096 -e trace=%file -e signal=none -o '{}' "$@""#, trace.display());
        guest.check(&host.granted(*mode, "rw").by_shell(&strace).run(path, [""; 0]));

        let trace = fs::read_to_string(trace).unwrap();
        let mut named: BTreeMap<&str, u32> = BTreeMap::new();
        for line in trace.lines() {
            let call = line.split_whitespace().nth(1).unwrap_or_default().split('(').next().unwrap_or_default();
            // What is in quotes; outside of them `...` stands for what strace leaves out.
            let texts: String = line.split('"').skip(1).step_by(2).collect();
            if texts.contains("outside") || texts.contains("..") {
                *named.entry(call).or_default() += 1;
                let confined =
                    call == "openat2" && line.contains("RESOLVE_BENEATH") && line.contains("RESOLVE_NO_MAGICLINKS");
                // The manual resolver looks at the text of a link beneath the grant, which is in the trace.
                let a_links_text = *mode == Mode::ManualResolver && call == "readlinkat" && !line.contains("AT_FDCWD");
                assert!(confined || a_links_text, "{mode:?}: {line}");
            }
        }
        assert!(!named.is_empty(), "the attempts are seen: {trace}");
    }
}
