//! T13, T14, T20, T21, T23, T25: a granted file is reached by its name and nothing else is, whatever happens to the name.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::host::{Host, has_device_nodes, make_fifo, state};
use crate::script::script;
use crate::unmonitored::{around, unmonitored};
use wave_test_support::{Mode, Outcome, Wave, as_root};

/// [`Host::with_links`] with a file for each access: `file`, `log` and `state`.
fn host() -> Host {
    let host = Host::with_links();
    host.write("grant/log", "log");
    host.write("grant/state", "state");
    host
}

/// Grants a directory, which is 3, and the three files, whose list is 4.
fn granted(wave: Wave, host: &Host) -> Wave {
    ["file::/etc/file::ro", "log::/etc/log::append", "state::etc/state::rw"]
        .iter()
        .fold(wave.dir(&host.path("outside"), "/data", "rw"), |wave, grant| {
            wave.flag("--file", &format!("{}/{grant}", host.path("grant").display()))
        })
}

/// A run at a level, without what it says of that.
fn at_level(level: &str) -> Wave {
    let mut command = Command::new(wave_test_support::wave());
    command.args(["--sandbox", level, "run"]);
    Wave::program(command)
}

/// No way leads from a list to anything but its files, not even to what their directory has on the host.
#[test]
fn nothing_but_the_files_is_there() {
    let host = host();
    let absolute = host.path("grant/file").display().to_string();
    let mut lines = format!("open 4 0 \"{absolute}\" 0 READ = NOTCAPABLE\n");
    lines += r#"
        open 4 0 "dir/file" 0 READ = NOENT
        open 4 0 "dir" DIRECTORY ALL_DIR = NOENT
        open 4 FOLLOW "out_file" 0 READ = NOENT
        open 4 FOLLOW "in_file" 0 READ = NOENT
        open 4 0 "fil" 0 READ = NOENT
        open 4 0 "file2" 0 READ = NOENT
        open 4 0 "grant/file" 0 READ = NOENT
        open 4 0 "etc/file" 0 READ = NOENT
        open 4 0 "file/" 0 READ = NOTDIR
        open 4 0 "file/." 0 READ = NOTDIR
        open 4 0 "file/.." DIRECTORY ALL_DIR = NOTDIR
        open 4 0 "file/../log" 0 READ = NOTDIR
        open 4 0 "file/../dir/file" 0 READ = NOTDIR
        open 4 0 "dir/../file" 0 READ = NOENT
        open 4 0 "file" DIRECTORY READ = NOTDIR
        open 4 0 ".." DIRECTORY ALL_DIR = NOTCAPABLE
        open 4 0 "./.." DIRECTORY ALL_DIR = NOTCAPABLE
        open 4 0 "../etc/file" 0 READ = NOTCAPABLE
        open 4 0 "/etc/file" 0 READ = NOTCAPABLE
        open 4 0 "" 0 READ = NOENT
        open 4 0 "file\00" 0 READ = INVAL
        open 4 2 "file" 0 READ = INVAL
        path_filestat_get 4 0 "dir" OUT = NOENT
        path_filestat_get 4 FOLLOW "out_file" OUT = NOENT
        path_filestat_get 4 0 "file/" OUT = NOTDIR
        path_filestat_get 4 0 ".." OUT = NOTCAPABLE
        path_filestat_get 4 2 "file" OUT = INVAL
        path_readlink 4 "out_file" BUF 100 OUT = NOTCAPABLE
        open 4 0 "file" 0 READ|STAT                      # the neighbors: 5
        fd_read 5 {BUF 100} OUT
        text BUF [OUT] = "of the grant"
        open 4 FOLLOW ".//./state" 0 READ                # 6
        fd_read 6 {BUF 100} OUT
        text BUF [OUT] = "state"
        path_filestat_get 4 0 "log" OUT
        path_filestat_get 4 FOLLOW "./file" OUT
        fd_prestat_dir_name 4 BUF 4
        text BUF 4 = "/etc"
        fd_prestat_get 5 OUT = BADF
        open 3 0 "secret" 0 READ
        "#;
    let guest = script(lines);
    let before = state(&host.path(""));
    for mode in Mode::ALL {
        guest.run(granted(mode.strict(), &host));
    }
    assert_eq!(state(&host.path("")), before);
}

/// Each open has a position of its own, and a list can be listed, looked at and opened again.
#[test]
fn files_and_lists_are_what_a_program_expects() {
    let guest = script(
        r#"
        open 4 0 "file" 0 READ|SEEK                      # 5
        open 4 0 "file" 0 READ|SEEK                      # 6
        fd_read 5 {BUF 3} OUT
        text BUF [OUT] = "of "
        fd_read 6 {BUF 2} OUT
        text BUF [OUT] = "of"
        fd_read 5 {BUF 3} OUT
        text BUF [OUT] = "the"
        fd_seek 6 3 SET OUT
        fd_read 6 {BUF 3} OUT
        text BUF [OUT] = "the"
        open 4 0 "." DIRECTORY ALL_DIR                   # 7
        fd_readdir 7 BUF 200 0 OUT
        show [OUT] = 135
        text BUF+24 1 = "."
        text BUF+49 2 = ".."
        text BUF+75 4 = "file"
        text BUF+103 3 = "log"
        fd_readdir 4 BUF 30 3 OUT                        # from the fourth on, as far as it fits
        show [OUT] = 30
        text BUF+24 3 = "log"
        fd_readdir 4 BUF 100 5 OUT
        show [OUT] = 0
        fd_readdir 4 BUF 100 0xffffffff OUT
        show [OUT] = 0
        open 7 0 "file" 0 READ                           # 8
        path_filestat_get 7 0 "." OUT
        bytes OUT+16 8 = "0300000000000000"
        fd_filestat_get 4 OUT2
        bytes OUT2+16 8 = "0300000000000000"
        bytes OUT2 8 = "0000000000000000"
        fd_fdstat_get 4 OUT
        bytes OUT 1 = "03"
        fd_read 7 {BUF 10} OUT = NOTCAPABLE
        fd_seek 7 0 SET OUT = NOTCAPABLE
        fd_sync 7 = INVAL
        fd_fdstat_set_flags 7 NONBLOCK
        fd_renumber 8 7
        fd_read 7 {BUF 2} OUT
        text BUF [OUT] = "of"
        fd_close 7
        fd_close 4
        open 4 0 "file" 0 READ = BADF
        fd_read 5 {BUF 9} OUT
        "#,
    );
    for mode in Mode::ALL {
        guest.run(granted(mode.strict(), &host()));
    }
}

/// T21: each file is changed as its own grant allows, and no more.
#[test]
fn each_file_has_its_own_access() {
    let guest = script(
        r#"
        open 4 0 "file" 0 WRITE = NOTCAPABLE
        open 4 0 "file" 0 READ|WRITE = NOTCAPABLE
        path_open 4 0 "file" 0 WRITE 0 APPEND FD = NOTCAPABLE
        open 4 0 "file" TRUNC READ = NOTCAPABLE
        open 4 0 "file" CREAT READ = NOTCAPABLE
        open 4 0 "file" 0 READ|STAT                      # 5
        fd_write 5 {"over"} OUT = NOTCAPABLE
        fd_pwrite 5 {"over"} 0 OUT = NOTCAPABLE
        fd_filestat_set_size 5 0 = NOTCAPABLE
        fd_allocate 5 0 100 = NOTCAPABLE
        fd_filestat_set_times 5 1 1 ATIM|MTIM = NOTCAPABLE
        fd_fdstat_set_rights 5 READ|WRITE 0 = NOTCAPABLE
        open 4 0 "log" 0 WRITE = NOTCAPABLE
        open 4 0 "log" TRUNC READ = NOTCAPABLE
        path_open 4 0 "log" TRUNC WRITE 0 APPEND FD = NOTCAPABLE
        path_open 4 0 "log" CREAT READ|WRITE|SEEK|ALL 0 APPEND FD    # 6
        fd_seek 6 0 SET OUT
        fd_write 6 {"ged"} OUT
        fd_seek 6 0 SET OUT
        fd_write 6 {"!"} OUT
        fd_pwrite 6 {"over"} 0 OUT = NOTCAPABLE
        fd_filestat_set_size 6 0 = NOTCAPABLE
        fd_allocate 6 0 100 = NOTCAPABLE
        fd_filestat_set_times 6 1 1 ATIM|MTIM = NOTCAPABLE
        fd_fdstat_set_flags 6 0 = NOTCAPABLE
        open 4 0 "state" CREAT|EXCL WRITE = EXIST
        open 4 0 "state" TRUNC READ|SEEK                 # 7
        open 4 0 "state" CREAT READ|WRITE|ALL            # 8
        fd_pwrite 8 {"xnew"} 0 OUT
        fd_filestat_set_size 8 4
        fd_filestat_set_times 8 1000000000 1000000000 ATIM|MTIM
        fd_pread 7 {BUF 9} 1 OUT
        text BUF [OUT] = "new"
        open 4 0 "new" CREAT WRITE = NOTCAPABLE
        open 4 0 "new" CREAT|EXCL WRITE = NOTCAPABLE
        open 4 0 "new/" CREAT WRITE = NOTCAPABLE
        open 4 0 "." 0 WRITE = ISDIR
        open 4 0 "." TRUNC READ = ISDIR
        "#,
    );
    for mode in Mode::ALL {
        let host = host();
        let (outside, dir) = (host.outside(), state(&host.path("grant/dir")));
        guest.run(granted(mode.strict(), &host));
        let text = |name: &str| fs::read_to_string(host.path(name)).unwrap();
        let texts = ["grant/file", "grant/log", "grant/state"].map(text);
        assert_eq!(texts, ["of the grant", "logged!", "xnew"], "{mode:?}");
        assert!(!host.path("grant/new").exists());
        assert_eq!((host.outside(), state(&host.path("grant/dir"))), (outside, dir));
    }
}

/// T20, T22: names in a list stay as they are, and pass to no other grant.
#[test]
fn names_cannot_be_changed() {
    let guest = script(
        r#"
        path_unlink_file 4 "state" = NOTCAPABLE
        path_rename 4 "state" 4 "new" = NOTCAPABLE
        path_rename 4 "log" 4 "state" = NOTCAPABLE
        path_rename 4 "state" 3 "stolen" = NOTCAPABLE
        path_rename 3 "secret" 4 "state" = NOTCAPABLE
        path_rename 3 "secret" 4 "new" = NOTCAPABLE
        path_link 4 0 "state" 3 "stolen" = NOTCAPABLE
        path_link 4 0 "state" 4 "new" = NOTCAPABLE
        path_link 3 0 "secret" 4 "new" = NOTCAPABLE
        path_symlink "file" 4 "new" = NOTCAPABLE
        path_create_directory 4 "new" = NOTCAPABLE
        path_create_directory 4 "." = NOTCAPABLE
        path_remove_directory 4 "state" = NOTCAPABLE
        path_remove_directory 4 "." = NOTCAPABLE
        path_filestat_set_times 4 0 "state" 1 1 ATIM|MTIM = NOTCAPABLE
        path_filestat_set_times 4 0 "." 1 1 ATIM|MTIM = NOTCAPABLE
        fd_filestat_set_times 4 1 1 ATIM|MTIM = NOTCAPABLE
        fd_fdstat_set_rights 4 ALL 0 = NOTCAPABLE
        open 4 0 "." DIRECTORY ALL_DIR
        path_unlink_file [FD] "state" = NOTCAPABLE
        path_rename [FD] "state" 3 "stolen" = NOTCAPABLE
        "#,
    );
    let host = host();
    let before = state(&host.path(""));
    for mode in Mode::ALL {
        guest.run(granted(mode.strict(), &host));
    }
    assert_eq!(state(&host.path("")), before);
    script("path_rename 3 \"secret\" 3 \"moved\"").run(granted(Wave::strict(), &host));
    assert!(host.path("outside/moved").exists(), "the neighbor: in a directory, names change");
}

/// T23: what takes the place of a granted file is not granted. The file that was there is still what is open.
#[test]
fn a_file_that_takes_the_place_is_refused() {
    let lines = r#"
        open 4 0 "file" 0 READ                           # 5
        pause
        open 4 0 "file" 0 READ = REFUSED
        open 4 0 "log" 0 READ = REFUSED
        open 4 0 "log" CREAT READ = REFUSED
        open 4 0 "state" 0 READ = NOTCAPABLE
        open 4 FOLLOW "state" TRUNC WRITE = NOTCAPABLE
        path_filestat_get 4 0 "file" OUT = NOTCAPABLE
        path_filestat_get 4 0 "log" OUT = NOTCAPABLE
        path_filestat_get 4 FOLLOW "state" OUT = NOTCAPABLE
        fd_read 5 {BUF 100} OUT
        text BUF [OUT] = "of the grant"
        pause
        open 4 0 "file" 0 READ                           # 6
        fd_read 6 {BUF 100} OUT
        text BUF [OUT] = "of the grant"
        open 4 0 "log" 0 READ = NOENT
        open 4 0 "state" TRUNC WRITE = REFUSED
        path_filestat_get 4 0 "state" OUT = NOTCAPABLE
        "#;
    // Landlock refuses first: it has a rule for the file that was granted, and for no other.
    for (level, refused) in [("strict", "ACCES"), ("off", "NOTCAPABLE")] {
        let host = host();
        let guest = script(lines.replace("REFUSED", refused));
        let outside = host.path("outside");
        let mut paused = guest.start(granted(at_level(level), &host));
        fs::rename(host.path("grant/file"), host.path("grant/kept")).unwrap();
        host.write("grant/file", "another");
        fs::remove_file(host.path("grant/log")).unwrap();
        fs::hard_link(outside.join("dir/secret"), host.path("grant/log")).unwrap();
        fs::remove_file(host.path("grant/state")).unwrap();
        host.link("grant/state", "../outside/dir/secret");
        paused.go_on();
        fs::rename(host.path("grant/kept"), host.path("grant/file")).unwrap();
        fs::remove_file(host.path("grant/log")).unwrap();
        fs::remove_file(host.path("grant/state")).unwrap();
        host.write("grant/state", "not granted");
        paused.finish();
        let text = |name: &str| fs::read_to_string(host.path(name)).unwrap();
        assert_eq!([text("outside/dir/secret"), text("grant/state")], ["secret too", "not granted"], "{level}");
    }
}

/// A link that is granted is followed at the start, and never again.
#[test]
fn a_link_is_followed_once() {
    let guest = script(
        r#"
        open 3 0 "file" 0 READ
        fd_read 4 {BUF 100} OUT
        text BUF [OUT] = "secret"
        pause
        open 3 0 "file" 0 READ
        fd_read 5 {BUF 100} OUT
        text BUF [OUT] = "secret"
        "#,
    );
    let host = host();
    let link = format!("{}::/file::ro", host.path("grant/chain").display());
    let paused = guest.start(Wave::strict().flag("--file", &link));
    fs::remove_file(host.path("grant/chain")).unwrap();
    host.link("grant/chain", "dir/file");
    paused.finish();
}

/// T25, T24: what no directory would give is not given as a file either.
#[test]
fn other_objects_are_refused() {
    let host = host();
    let (fifo, socket) = (host.path("grant/fifo"), host.path("grant/socket"));
    make_fifo(&fifo);
    let _listener = UnixListener::bind(&socket).unwrap();
    let refused = |flag: &str, path: &Path, why: &str| {
        let run = script("sched_yield").outcome(Wave::strict().flag(flag, &format!("{}::/x/y::ro", path.display())));
        assert_eq!((run.status.code(), &*run.stdout), (Some(125), ""), "{flag} {}: {run:?}", path.display());
        assert!(run.stderr.contains(why), "{run:?}");
    };
    refused("--file", &host.path("grant/dir"), "a directory, not a file");
    refused("--file", &host.path("grant/in_dir"), "a directory, not a file");
    refused("--file", &host.path("grant/nothing"), "no such file");
    refused("--file", &host.path("grant/out_dangling"), "no such file");
    for flag in ["--file", "--dir"] {
        refused(flag, &socket, "neither a directory nor a file");
        refused(flag, "/dev/zero".as_ref(), "add --device /dev/zero");
        refused(flag, "/proc/version".as_ref(), "kernel interface");
    }
    let at = |path: &Path| format!("{}::/x/y::ro", path.display());
    let waits = script("path_open 3 0 \"y\" 0 READ 0 NONBLOCK FD\n fd_read [FD] {BUF 9} OUT = AGAIN");
    waits.run(Wave::strict().flag("--file", &at(&fifo)));
    if has_device_nodes() {
        let zero = script("open 3 0 \"y\" 0 READ\n fd_read 4 {BUF 9} OUT\n show [OUT] = 9");
        zero.run(Wave::strict().flag("--file", &at("/dev/zero".as_ref())).flag("--device", "/dev/zero"));
    }
}

/// T28: names and places that would mean two things are refused, with their neighbors permitted.
#[test]
fn names_that_mean_two_things_are_refused() {
    let host = host();
    let run = |flags: &[(&str, &str)]| -> Outcome {
        let grant = |wave: Wave, (flag, rest): &(&str, &str)| {
            wave.flag(flag, &format!("{}/{rest}", host.path("grant").display()))
        };
        script("sched_yield").outcome(flags.iter().fold(Wave::strict(), grant))
    };
    let one = ("--file", "file::/etc/file::ro");
    for (flags, why) in [
        (&[one, ("--dir", "dir::/etc::ro")][..], "would be in `/etc`, which is a granted directory"),
        (&[one, ("--dir", "dir::etc::ro")], "would be in `/etc`, which is a granted directory"),
        (&[one, ("--dir", "dir::/etc/file::ro")], "is a file and a directory"),
        (&[one, ("--dir", "dir::/etc/file/x::ro")], "`/etc/file` is a file"),
        (&[one, ("--file", "log::/etc/file/x::ro")], "`/etc/file` is a file"),
        (&[one, ("--file", "log::./etc//file::ro")], "two files are called `/etc/file`"),
        (&[("--file", "file::/etc/file/::ro")], "no name for a file"),
        (&[("--file", "file::/etc/..::ro")], "no name for a file"),
        (&[("--file", "file::/::ro")], "no name for a file"),
        (&[("--dir", "::/all::rw"), one], "lies in"),
        (&[("--file", "file:/etc/file:ro")], "single colon"),
    ] {
        let refused = run(flags);
        assert_eq!((refused.status.code(), &*refused.stdout), (Some(2), ""), "{flags:?}: {refused:?}");
        assert!(refused.stderr.contains(why), "{flags:?}: {refused:?}");
    }
    for flags in [
        &[one, ("--file", "log::/etc/log::rw"), ("--dir", "dir::/etc/dir::ro")][..],
        &[one, ("--dir", "dir::/::ro")],
        &[one, ("--dir", "::/all::ro"), ("--file", "log::/log::rw")],
        &[("--dir", "file::/etc/file::ro"), ("--file", "dir/file::/other::ro")],
    ] {
        let ran = run(flags);
        assert_eq!((ran.status.code(), &*ran.stdout), (Some(0), "0\n"), "{flags:?}: {ran:?}");
    }
}

/// T30: with the monitor taken out, the kernel gives native code the file and nothing else of its directory, which it is in.
#[test]
fn without_the_monitor_only_the_file_is_reached() {
    const DENIED: [&str; 15] = [
        "open CWD 0 \"file\" 0 WRITE",
        "open CWD 0 \"file\" TRUNC READ",
        "open CWD FOLLOW \"in_file\" 0 READ",
        "open CWD 0 \"dir/file\" 0 READ",
        "open CWD 0 \"log\" 0 READ",
        "open CWD 0 \"log\" 0 WRITE",
        "open CWD 0 \".\" DIRECTORY READDIR",
        "open CWD 0 \"../outside/secret\" 0 READ",
        "open CWD 0 \"new\" CREAT WRITE",
        "path_create_directory CWD \"new\"",
        "path_unlink_file CWD \"state\"",
        "path_rename CWD \"state\" CWD \"new\"",
        "path_rename CWD \"state\" CWD \"file\"",
        "path_link CWD 0 \"state\" CWD \"new\"",
        "path_symlink \"file\" CWD \"new\"",
    ];
    let at_work = |calls: &str| calls.replace("CWD", "0xffffff9c");
    let grants = |wave: Wave, host: &Host| {
        let wave = wave.dir(&host.path("grant/file"), "/file", "ro").dir(&host.path("grant/state"), "/state", "rw");
        wave.current_dir(&host.path("grant"))
    };
    let host = host();
    let before = (host.inside(), around(&host));
    let denied: String = DENIED.iter().map(|call| format!("{call} = ACCES\n")).collect();
    script(at_work(&denied)).run(grants(unmonitored("strict"), &host));
    assert_eq!((host.inside(), around(&host)), before);
    let calls = r#"
        open CWD 0 "file" 0 READ
        fd_read [FD] {BUF 100} OUT
        text BUF [OUT] = "of the grant"
        open CWD 0 "state" TRUNC READ|WRITE
        fd_write [FD] {"mine"} OUT
        "#;
    script(at_work(calls)).run(grants(unmonitored("strict"), &host));
    assert_eq!(fs::read_to_string(host.path("grant/state")).unwrap(), "mine");
    for call in DENIED {
        script(at_work(call)).run(grants(unmonitored("off"), &self::host()));
    }
}

/// T101: a file beyond a policy is announced, and one of a policy is granted.
#[test]
fn a_policy_grants_a_file() {
    let host = host();
    let policy = "version = 1\n[[fs]]\nhost = \"file\"\nguest = \"/etc/file\"\naccess = \"ro\"\n";
    host.write("grant/app.toml", policy);
    let policy = host.path("grant/app.toml").display().to_string();
    let guest =
        script("open 3 0 \"file\" 0 READ\n open 3 0 \"log\" 0 READ = NOENT\n open 3 0 \"file\" 0 WRITE = NOTCAPABLE");
    guest.run(Wave::strict().flag("--policy", &policy));
    let log = format!("{}::/etc/log::rw", host.path("grant/log").display());
    let more = script("open 3 0 \"log\" 0 READ").outcome(Wave::strict().flag("--policy", &policy).flag("--file", &log));
    assert_eq!((more.status.code(), &*more.stdout), (Some(0), "0\n"), "{more:?}");
    assert_eq!(more.stderr, format!("wave: relaxed by --file {log} beyond the policy\n"));
    if as_root() {
        // Its user is the owner of the file that may be written.
        let who = Wave::strict().flag("--policy", &policy).flag("--file", &log).switch("--dry-run");
        assert!(script("sched_yield").outcome(who).stdout.contains("user:     1000:1000"));
    }
}
