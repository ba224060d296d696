//! The same attacks with the monitor's decisions taken out (`tests/unmonitored`), so that Landlock alone must hold. What it does
//! not hold is in `unmonitored_gaps`.
//!
//! Each attack is also made with `off`, where it has to succeed: a list of attacks that never work proves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::host::{Host, state};
use crate::script::script;
use crate::{t14_climbs, t16_directory_link, t29_names_outside};
use wave_test_support::{self, Wave, as_root};

/// What is done to a directory outside: `D` is a descriptor, `P` a way from there, and then what the kernel must answer. 3 is
/// the writable grant.
const ATTACKS: [(&str, &str); 24] = [
    ("open D 0 \"P/secret\" 0 READ", "ACCES"),
    ("open D 0 \"P/secret\" 0 WRITE", "ACCES"),
    ("open D 0 \"P/secret\" 0 READ|WRITE", "ACCES"),
    ("open D 0 \"P/secret\" TRUNC READ", "ACCES"),
    ("open D 0 \"P/secret\" CREAT|TRUNC WRITE", "ACCES"),
    ("open D 0 \"P/new\" CREAT WRITE", "ACCES"),
    ("open D 0 \"P/new\" CREAT|EXCL READ", "ACCES"),
    ("open D 0 \"P/dir/secret\" 0 READ", "ACCES"),
    ("open D 0 \"P/.\" DIRECTORY READDIR", "ACCES"),
    ("open D 0 \"P/.\" DIRECTORY WRITE", "ACCES"), // a file without a name
    ("path_create_directory D \"P/new\"", "ACCES"),
    ("path_remove_directory D \"P/empty\"", "ACCES"),
    ("path_unlink_file D \"P/secret\"", "ACCES"),
    ("path_symlink \"x\" D \"P/new\"", "ACCES"),
    ("path_rename D \"P/secret\" 3 \"stolen\"", "ACCES"),
    ("path_rename D \"P/dir\" 3 \"stolen\"", "ACCES"),
    ("path_rename 3 \"file\" D \"P/new\"", "ACCES"),
    ("path_rename 3 \"file\" D \"P/secret\"", "ACCES"),
    ("path_rename 3 \"dir\" D \"P/empty\"", "ACCES"),
    ("path_rename D \"P/secret\" D \"P/new\"", "ACCES"),
    ("path_rename D \"P/secret\" D \"P/dir/new\"", "ACCES"),
    ("path_link D 0 \"P/secret\" 3 \"stolen\"", "XDEV"), // Landlock's word for a move that would gain rights
    ("path_link 3 0 \"file\" D \"P/new\"", "ACCES"),
    ("path_link D 0 \"P/secret\" D \"P/new\"", "ACCES"),
];

/// Links at the end of a path, which all are followed here.
const FINAL_LINKS: [&str; 8] = [
    "open 3 FOLLOW \"out_file\" 0 READ",
    "open 3 FOLLOW \"out_file\" TRUNC WRITE",
    "open 3 FOLLOW \"out_absolute\" 0 READ|WRITE",
    "open 3 FOLLOW \"chain\" CREAT|TRUNC WRITE",
    "open 3 FOLLOW \"out_dangling\" CREAT WRITE",
    "open 3 FOLLOW \"out_dir\" DIRECTORY READDIR",
    "open 3 FOLLOW \"out_slash/\" DIRECTORY READDIR",
    "open 3 FOLLOW \"up\" DIRECTORY READDIR",
];

/// From a read-only grant, 3, to a writable one, 4, and back.
const BETWEEN_GRANTS: [(&str, &str); 12] = [
    ("path_rename 3 \"file\" 4 \"new\"", "ACCES"),
    ("path_rename 3 \"file\" 4 \"file\"", "ACCES"),
    ("path_rename 3 \"dir\" 4 \"new\"", "ACCES"),
    ("path_rename 3 \"dir/file\" 4 \"dir/file\"", "ACCES"),
    ("path_rename 4 \"file\" 3 \"new\"", "ACCES"),
    ("path_rename 4 \"file\" 3 \"file\"", "ACCES"),
    ("path_rename 4 \"dir\" 3 \"new\"", "ACCES"),
    ("path_rename 3 \"file\" 3 \"new\"", "ACCES"),
    ("path_link 3 0 \"file\" 4 \"new\"", "XDEV"),
    ("path_link 3 0 \"dir/file\" 4 \"dir/new\"", "XDEV"),
    ("path_link 4 0 \"file\" 3 \"new\"", "ACCES"),
    ("path_link 3 0 \"file\" 3 \"new\"", "ACCES"),
];

/// On names in a read-only grant `D`.
const ON_READ_ONLY: [&str; 13] = [
    "open D 0 \"file\" 0 WRITE",
    "open D 0 \"file\" 0 READ|WRITE",
    "open D 0 \"file\" TRUNC READ",
    "open D FOLLOW \"in_file\" TRUNC READ",
    "open D 0 \"new\" CREAT READ",
    "open D 0 \".\" DIRECTORY WRITE",
    "path_create_directory D \"new\"",
    "path_remove_directory D \"empty\"",
    "path_unlink_file D \"file\"",
    "path_symlink \"file\" D \"new\"",
    "path_link D 0 \"file\" D \"new\"",
    "path_rename D \"file\" D \"new\"",
    "path_rename D \"empty\" D \"dir/new\"",
];

/// A run without the monitor at a level, as the user who owns all of a [`Host`]: nothing but the kernel's layers is in the way.
pub fn unmonitored(level: &str) -> Wave {
    let wave = Wave::program(command(level));
    if as_root() { wave.flag("--user", "1000") } else { wave }
}

/// The program at a level, as whoever the seal makes of root.
pub fn command(level: &str) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(PROGRAM.get_or_init(|| wave_test_support::example("unmonitored")));
    command.arg(level);
    command
}

/// [`Host::with_links`] with an empty directory on either side, and one in the grant that looks like the one outside.
fn host() -> Host {
    let host = Host::with_links();
    for dir in ["grant/empty", "grant/like", "grant/like/dir", "grant/like/empty", "outside/empty"] {
        host.make_dir(dir);
    }
    host.write("grant/like/secret", "own");
    host.write("grant/like/dir/secret", "own");
    host
}

/// Everything but the grant: its neighbors, and the directory they are in.
pub fn around(host: &Host) -> Vec<String> {
    let grant = host.path("grant").display().to_string();
    state(&host.path("")).into_iter().filter(|line| !line.starts_with(&grant)).collect()
}

/// An attack from a descriptor along a way. Without a way the descriptor is the directory itself.
fn along(attack: &str, fd: &str, way: &str) -> String {
    let attack = attack.replace(" D ", &format!(" {fd} "));
    if way.is_empty() { attack.replace("P/", "") } else { attack.replace('P', way) }
}

/// Asserts that a call succeeds in a fresh [`host`] with two grants.
#[track_caller]
fn succeeds(level: &str, calls: &str) {
    let (host, second) = (host(), writable());
    let wave = unmonitored(level).dir(&host.path("grant"), "/", "rw").dir(&second.path("grant"), "/second", "rw");
    script(calls).run(wave.current_dir(&host.path("outside")));
}

/// A second host, whose grant is the writable one beside one that is not.
fn writable() -> Host {
    let host = Host::new();
    host.write("grant/file", "written");
    host.write("grant/dir/file", "written");
    host
}

/// T14, T15, T16, T17, T27, T30: no way leads outside: climbing, absolute, by a link, by a handle on the directory itself, from the
/// working directory or through procfs. The errno is Landlock's, and what it protects stays as it is.
#[test]
fn nothing_outside_is_reached() {
    let host = host();
    let outside = host.path("outside").display().to_string();
    let mut lines = String::from("open 3 0 \"../outside\" 0 0\n"); // a handle, which Landlock does not refuse: 4
    let ways = [
        ("3", "../outside"),
        ("3", "dir/../../outside"),
        ("3", ".//..//outside"),
        ("3", &*outside),
        ("3", "out_dir"),
        ("3", "out_slash"),
        ("3", "chain_dir"),
        ("3", "up/outside"),
        ("3", "/proc/self/cwd"),
        ("3", "/proc/self/fd/4"),
        ("4", ""),
        ("0xffffff9c", ""),
        ("0xffffff9c", "../outside"),
    ];
    for (fd, way) in ways {
        for (attack, errno) in ATTACKS {
            lines += &format!("{} = {errno}\n", along(attack, fd, way));
        }
    }
    for attack in FINAL_LINKS {
        lines += &format!("{attack} = ACCES\n");
    }
    lines += "open 3 0 \"out_dangling\" CREAT|EXCL WRITE = EXIST\n open 0xffffff9c 0 \"\" 0 READ = NOENT\n";
    let before = (host.inside(), around(&host));
    let wave = unmonitored("strict").dir(&host.path("grant"), "/", "rw").current_dir(&host.path("outside"));
    script(lines).run(wave);
    assert_eq!((host.inside(), around(&host)), before);
}

/// T14 to T17, T27: the controls. Each attack succeeds without Landlock, and in a directory of the grant that looks the same.
#[test]
fn every_attack_works_where_nothing_holds() {
    for (attack, _) in ATTACKS {
        succeeds("off", &along(attack, "3", "../outside"));
        succeeds("strict", &along(attack, "3", "like"));
    }
    for attack in FINAL_LINKS {
        succeeds("off", attack);
    }
    let ways = ["dir/../../outside", "out_dir", "out_slash", "chain_dir", "up/outside", "/proc/self/cwd"];
    for way in ways {
        succeeds("off", &along("open D 0 \"P/new\" CREAT WRITE", "3", way));
    }
    succeeds(
        "off",
        "open 0xffffff9c 0 \"secret\" 0 READ\n open 3 0 \"../outside\" 0 0\n open [FD] 0 \"secret\" 0 WRITE",
    );
}

/// T14, T16, T29: the lists of calls that the monitor must refuse. No call of them succeeds but `path_filestat_get`, and nothing
/// outside changes. Times are left out: see the gaps.
#[test]
fn the_monitors_own_lists_change_nothing_outside() {
    let host = host();
    let absolute = host.path("outside/secret").display().to_string();
    let names = ["../outside/secret", "../outside/new", "dir/../../outside/new", "../outside/dir", &*absolute];
    let mut lines = t29_names_outside::attempts();
    let mut add = |call: &str, place: &str, path: &str| lines += &(call.replace(place, path) + " = ANY\n");
    for name in names {
        let quoted = format!(" \"{name}\"");
        t14_climbs::ON_NAMES.iter().chain(&t14_climbs::ON_ALL).for_each(|call| add(call, " P", &quoted));
    }
    for way in ["out_dir", "out_slash", "chain_dir", "up/outside", "in_dir/../out_dir", "out_dir/../outside"] {
        t16_directory_link::CALLS.iter().for_each(|call| add(call, "P", way));
    }
    let lines: Vec<_> = lines.lines().filter(|line| !line.contains("set_times")).collect();
    let guest = script(lines.join("\n").replace("= NOTCAPABLE", "= ANY"));
    let before = around(&host);
    let seen = guest.run(unmonitored("strict").dir(&host.path("grant"), "/", "rw"));
    assert_eq!(around(&host), before);
    let worked = seen.iter().filter(|(line, answer)| answer == "0" && !line.starts_with("path_filestat_get"));
    assert_eq!(worked.collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

/// T13: without a grant there is no call to reach a file with, whatever the import says.
#[test]
fn without_a_grant_no_call_is_left() {
    let host = Host::new();
    let dir = host.path("outside");
    for (call, name) in [
        ("open 0xffffff9c 0 \"secret\" 0 READ", "openat"),
        ("path_filestat_get 0xffffff9c 0 \"secret\" OUT", "newfstatat"),
        ("path_unlink_file 0xffffff9c \"secret\"", "unlinkat"),
    ] {
        script(call).run(unmonitored("off").current_dir(&dir));
        host.write("outside/secret", "secret");
        let before = around(&host);
        denied(call, name, unmonitored("strict").current_dir(&dir));
        assert_eq!(around(&host), before);
    }
}

/// Asserts that the filter ends the process at this call.
#[track_caller]
fn denied(call: &str, name: &str, wave: Wave) {
    let run = script(call).outcome(wave);
    assert_eq!((run.status.code(), &*run.stdout), (Some(159), ""), "{call}: {run:?}");
    assert!(run.stderr.contains(&format!("denied system call {name} ")), "{call}: {run:?}");
}

/// T20: no file and no directory of a read-only grant gets a name in a writable one, or the other way round.
#[test]
fn nothing_passes_between_grants() {
    let (read_only, writable) = (host(), writable());
    let lines: String = BETWEEN_GRANTS.iter().map(|(attack, errno)| format!("{attack} = {errno}\n")).collect();
    let state = || (read_only.inside(), writable.inside());
    let before = state();
    let wave =
        unmonitored("strict").dir(&read_only.path("grant"), "/ro", "ro").dir(&writable.path("grant"), "/rw", "rw");
    script(lines + "path_symlink \"across\" 4 \"across\"\n path_unlink_file 4 \"across\"").run(wave);
    assert_eq!(state().0, before.0);
    let names = |host: &Host| wave_test_support::tree(&host.path("grant"));
    assert_eq!(names(&writable), names(&self::writable()));

    for (attack, _) in BETWEEN_GRANTS {
        succeeds("off", attack);
        // The neighbor: between two writable grants there is nothing to gain.
        succeeds("strict", attack);
    }
}

/// T21: a read-only grant stays as it is though the filter, for the sake of a writable one, lets every call through; also through a
/// link in the writable one.
#[test]
fn a_read_only_grant_is_not_changed() {
    let (read_only, writable) = (host(), writable());
    let path = read_only.path("grant").display().to_string();
    writable.link("grant/link", &format!("{path}/file"));
    let mut lines: String = ON_READ_ONLY.iter().map(|call| call.replace(" D ", " 3 ") + " = ACCES\n").collect();
    lines += r#"
        open 4 FOLLOW "link" 0 WRITE = ACCES
        open 4 FOLLOW "link" TRUNC READ = ACCES
        open 3 0 "file" 0 READ                           # 5
        fd_write 5 {"over"} OUT = BADF
        fd_pwrite 5 {"over"} 0 OUT = BADF
        fd_filestat_set_size 5 0 = INVAL
        fd_allocate 5 0 100 = BADF
        open 3 0 "file" 0 0                              # a handle: 6
        fd_write 6 {"over"} OUT = BADF
        fd_filestat_set_size 6 0 = BADF
        fd_filestat_set_times 6 1 1 MTIM = BADF
        open 3 0 "/proc/self/fd/5" 0 WRITE = ACCES       # opened once more
        open 3 0 "/proc/self/fd/6" 0 WRITE = ACCES
        fd_read 5 {BUF 100} OUT                          # the neighbors
        text BUF [OUT] = "of the grant"
        fd_readdir 3 BUF 100 0 OUT
        "#;
    let before = around(&read_only);
    let inside = read_only.inside();
    let grants = |wave: Wave| wave.dir(&read_only.path("grant"), "/ro", "ro").dir(&writable.path("grant"), "/rw", "rw");
    script(lines).run(grants(unmonitored("strict")));
    assert_eq!((around(&read_only), read_only.inside()), (before, inside));

    for call in ON_READ_ONLY {
        succeeds("off", &call.replace(" D ", " 3 "));
        succeeds("strict", &call.replace(" D ", " 3 "));
    }
}

/// T21: with nothing but a read-only grant the filter does not even know the calls that change something.
#[test]
fn a_read_only_run_cannot_ask_for_changes() {
    let host = host();
    let inside = host.inside();
    for (call, name) in [
        ("path_create_directory 3 \"new\"", "mkdirat"),
        ("path_remove_directory 3 \"empty\"", "unlinkat"),
        ("path_unlink_file 3 \"file\"", "unlinkat"),
        ("path_symlink \"file\" 3 \"new\"", "symlinkat"),
        ("path_link 3 0 \"file\" 3 \"new\"", "linkat"),
        ("path_rename 3 \"file\" 3 \"new\"", "renameat"),
        ("path_filestat_set_times 3 0 \"file\" 1 1 MTIM", "utimensat"),
        ("fd_filestat_set_times 3 1 1 MTIM", "utimensat"),
        ("fd_filestat_set_size 3 0", "ftruncate"),
        ("fd_allocate 3 0 1", "fallocate"),
        ("fd_pwrite 3 {\"x\"} 0 OUT", "pwrite64"),
    ] {
        denied(call, name, unmonitored("strict").dir(&host.path("grant"), "/", "ro"));
    }
    assert_eq!(host.inside(), inside);
}

/// T23: a directory that is moved out while open gives nothing above it, and from then on nothing in it.
#[test]
fn a_moved_directory_gives_nothing() {
    let lines = r#"
        open 3 0 "dir" DIRECTORY READDIR
        pause
        open 4 0 "../secret" 0 READ = ACCES
        open 4 0 "../new" CREAT WRITE = ACCES
        open 4 0 ".." DIRECTORY READDIR = ACCES
        path_unlink_file 4 "../secret" = ACCES
        path_rename 4 "../secret" 3 "stolen" = ACCES
        path_create_directory 4 "../new" = ACCES
        open 4 0 "file" 0 READ = ACCES                   # Landlock asks where it lies now
        open 3 0 "file" 0 READ                           # the neighbor
        "#;
    for (level, lines) in [("strict", lines.to_owned()), ("off", control(lines, "../secret", 4))] {
        let host = host();
        let guest = script(lines);
        let paused = guest.start(unmonitored(level).dir(&host.path("grant"), "/", "rw"));
        fs::rename(host.path("grant/dir"), host.path("outside/moved")).unwrap();
        let before = around(&host);
        paused.finish();
        if level == "strict" {
            assert_eq!(around(&host), before);
        } else {
            assert!(!host.path("outside/secret").exists());
        }
    }
}

/// The lines up to the pause, and one attack that must work where nothing holds.
fn control(lines: &str, path: &str, fd: u32) -> String {
    let (start, _) = lines.split_once("pause").expect("it pauses");
    format!("{start}\n pause\n path_unlink_file {fd} \"{path}\"")
}

/// T23: what takes a grant's place is not granted, and what was granted stays so.
#[test]
fn a_grant_is_the_directory_that_was_there_at_the_start() {
    let guest = script(
        r#"
        pause
        open 3 0 "../grant/secret" 0 READ = ACCES        # what was outside, under the name of the grant
        open 3 0 "../grant/new" CREAT WRITE = ACCES
        open 3 0 "secret" 0 READ = NOENT
        open 3 0 "dir/file" 0 READ
        open 3 0 "new" CREAT WRITE
        "#,
    );
    let host = host();
    let paused = guest.start(unmonitored("strict").dir(&host.path("grant"), "/", "rw"));
    exchange(&host, "grant", "outside");
    let now_in_its_place = host.inside();
    paused.finish();
    assert_eq!(host.inside(), now_in_its_place);
    assert!(host.path("outside/new").exists(), "the guest still has what it was given");
}

fn exchange(host: &Host, one: &str, other: &str) {
    let (one, other) = (host.path(one), host.path(other));
    renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE).expect("own files can change places");
}

/// T23: 10^5 attempts through a directory that becomes a link outside and back. The kernel judges what it has found, so there is
/// no moment in between: ACCES is the link, NOENT or success the directory.
#[test]
fn a_race_for_a_link_is_never_won() {
    const ROUNDS: usize = 20_000;
    let calls = format!(
        r#"
        store FD 99
        pause
        repeat {ROUNDS}
        open 3 0 "a/secret" TRUNC READ = ANY
        open 3 0 "a/new" CREAT|EXCL WRITE = ANY
        (drop (call $fd_close (i32.load (i32.const 64))))
        (i32.store (i32.const 64) (i32.const 99))
        path_unlink_file 3 "a/secret" = ANY
        path_rename 3 "a/secret" 3 "stolen" = ANY
        path_create_directory 3 "a/made" = ANY
        end
        tally"#
    );
    let host = host();
    host.make_dir("grant/a");
    host.link("grant/b", "../outside");
    let guest = script(calls);
    let paused = guest.start(unmonitored("strict").dir(&host.path("grant"), "/", "rw"));
    let outside = host.outside();
    let stop = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange(&host, "grant/a", "grant/b");
            }
        });
        // A failed assertion must not leave the swaps running, so it waits until they have ended.
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| paused.finish()));
        stop.store(true, Ordering::Relaxed);
        seen
    });
    let seen = seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert_eq!(host.outside(), outside);
    let tally: BTreeMap<_, usize> = seen.last().expect("a tally").1.split_whitespace().map(pair).collect();
    assert_eq!(tally.values().sum::<usize>(), 5 * ROUNDS, "{tally:?}");
    assert!(tally.contains_key("2") && tally.contains_key("44"), "no race took place: {tally:?}");
    assert!(tally.keys().all(|errno| ["0", "2", "20", "44"].contains(errno)), "{tally:?}");
}

fn pair(text: &str) -> (&str, usize) {
    let (errno, count) = text.split_once(':').expect("an errno and a count");
    (errno, count.parse().expect("a number"))
}

/// T24, T30: nothing of the kernel's interfaces, of the devices or of the runtime itself opens unless it is beneath a grant.
#[test]
fn kernel_interfaces_do_not_open() {
    let host = host();
    let mut lines = String::new();
    for path in [
        "/proc/self/mem",
        "/proc/self/maps",
        "/proc/self/environ",
        "/proc/self/status",
        "/proc/self/root/etc/passwd",
        "/proc/thread-self/mem",
        "/proc/1/environ",
        "/proc/sys/kernel/core_pattern",
        "/proc/version",
        "/dev/null",
        "/dev/zero",
        "/dev/ptmx",
        "/etc/passwd",
    ] {
        lines += &format!("open 3 0 \"{path}\" 0 READ = ACCES\n");
        lines += &format!("open 3 0 \"{path}\" 0 WRITE = ACCES\n");
    }
    // Not for writing: whoever owns the program is told TXTBSY before Landlock is asked.
    lines += "open 3 0 \"/proc/self/exe\" 0 READ = ACCES\n";
    for dir in ["/", "/proc", "/proc/self", "/proc/self/fd", "/sys", "/dev", "/etc"] {
        lines += &format!("open 3 0 \"{dir}\" DIRECTORY READDIR = ACCES\n");
    }
    script(lines).run(unmonitored("strict").dir(&host.path("grant"), "/", "rw"));
    for path in ["/proc/self/mem", "/proc/self/environ", "/dev/null"] {
        succeeds("off", &format!("open 3 0 \"{path}\" 0 READ\n open 3 0 \"{path}\" 0 READ"));
    }
    succeeds("off", "open 3 0 \"/proc/self/mem\" 0 READ|WRITE");
}

/// T28: a writable grant in a read-only one makes nothing else of it writable.
#[test]
fn a_wide_grant_in_a_narrow_one_widens_nothing() {
    let host = host();
    let lines: String = ON_READ_ONLY.iter().map(|call| call.replace(" D ", " 3 ") + " = ACCES\n").collect();
    let lines = lines
        + r#"
        open 4 0 "../file" 0 WRITE = ACCES
        path_rename 3 "file" 4 "stolen" = ACCES
        path_link 3 0 "file" 4 "stolen" = XDEV
        pause
        open 4 0 "new" CREAT WRITE                       # the neighbor
        "#;
    // `in_file` leads into the writable one.
    let lines: Vec<_> = lines.lines().filter(|line| !line.contains("in_file") && !line.contains("dir/new")).collect();
    let before = host.inside();
    let guest = script(lines.join("\n"));
    let wave = unmonitored("strict").dir(&host.path("grant"), "/a", "ro").dir(&host.path("grant/dir"), "/b", "rw");
    let paused = guest.start(wave);
    assert_eq!(host.inside(), before);
    paused.finish();
    assert!(host.path("grant/dir/new").exists());
}

/// Connects to an address and reads; the exit code is the errno of the connection.
const CLIENT: &str = r#"(module
  (import "wave_net" "tcp_connect" (func $tcp_connect (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "REMOTE")
  (func (export "_start") (local $errno i32)
    (local.set $errno (call $tcp_connect (i32.const 0) (i32.const 32)))
    (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
    (i64.store (i32.const 40) (i64.const 0x9_0000_0100))
    (drop (call $fd_read (i32.load (i32.const 32)) (i32.const 40) (i32.const 1) (i32.const 48)))
    (drop (call $fd_write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 48)))))"#;

/// T38, T39, T40, T43: the guest asks the broker, with no monitor before it, and the broker's own decision holds.
#[test]
fn t38_a_broker_decides_where_the_monitor_does_not() {
    let [granted, other] = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("loopback"));
    let ask = |level: &str, family: u8, address: &[u8], port: u16| {
        let [low, high] = port.to_le_bytes();
        let bytes = [&[family, 0, low, high, 0, 0, 0, 0], address, &[0; 16][address.len()..]].concat();
        let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let (_place, module) = wave_test_support::wat(&CLIENT.replace("REMOTE", &bytes));
        let connect = format!("127.0.0.1:{}", port_of(&granted));
        unmonitored(level).flag("--connect", &connect).flag("--connect", "0.0.0.0/0:1-65535").run(module, [""; 0])
    };
    for level in ["strict", "off"] {
        let peer = granted.try_clone().expect("own socket");
        // Nobody waits for it, so that this fails if nobody comes.
        thread::spawn(move || peer.accept().expect("a connection").0.write_all(b"good day\n").expect("it reads"));
        let outcome = ask(level, 4, &[127, 0, 0, 1], port_of(&granted));
        outcome.is(0, "good day\n", "");
        for (family, address, port) in [
            (4, &[127, 0, 0, 1][..], port_of(&other)),
            (4, &[127, 0, 0, 2], port_of(&granted)),
            (4, &[0, 0, 0, 0], port_of(&granted)),
            (4, &[169, 254, 169, 254], 80),
            (6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], port_of(&other)),
            (6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port_of(&granted)),
        ] {
            ask(level, family, address, port).is(ACCES, "", "");
        }
    }
    for listener in [&granted, &other] {
        listener.set_nonblocking(true).expect("own socket");
        assert_eq!(listener.accept().expect_err("nobody").kind(), ErrorKind::WouldBlock);
    }
}

const ACCES: i32 = 2;

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("it is bound").port()
}
