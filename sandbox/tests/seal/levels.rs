//! Landlock on kernels of every ABI level; a supervisor fakes older and newer ones. What is refused, what the report says, and what is
//! really denied (T88, T90, T91, T92).

use std::fs;
use std::path::Path;

use caps::Capability;
use landlock::{ABI, Access as _, AccessFs, AccessNet, Scope};
use serde_json::Value;

use crate::Case;
use crate::child::REFUSED;
use crate::run::{Outcome, User, expect, has, open_to_all, set_mode};

pub const CASES: &[Case] = &[
    ("levels::t91_every_level_is_refused_or_reported", every_level),
    ("levels::t92_every_right_is_handled_without_any_rule", handled),
    ("levels::t92_grants_are_exactly_their_rights", rights),
    ("levels::t91_moves_between_directories", moves),
    ("levels::t91_truncation", truncation),
    ("levels::t91_the_filter_stands_in", the_filter_stands_in),
    ("levels::t90_a_kernel_that_only_pretends_is_found_out", hollow),
    ("levels::t88_hidden_calls", hidden),
];

const DENIED: i32 = wave_sandbox::DENIED;
const EACCES: i32 = libc::EACCES;
const PATHS: &str = "functions=path_open,path_rename,fd_filestat_set_size";

/// What the report says of an ABI level, from 1 on. The last is newer than this build.
const SAID: [&str; 10] = [
    "ABI 1: 13 file rights, no moves between directories, not truncation, not TCP, not signals, not abstract sockets",
    "ABI 2: 14 file rights, not truncation, not TCP, not signals, not abstract sockets",
    "ABI 3: 15 file rights, not TCP, not signals, not abstract sockets",
    "ABI 4: 15 file rights, TCP, not signals, not abstract sockets",
    "ABI 5: 16 file rights, TCP, not signals, not abstract sockets",
    "ABI 6: 16 file rights, TCP, signals, abstract sockets",
    "ABI 7: 16 file rights, TCP, signals, abstract sockets",
    "ABI 8: 16 file rights, TCP, signals, abstract sockets",
    "ABI 9: 17 file rights, TCP, signals, abstract sockets",
    "ABI 10 (newer than this build): 17 file rights, TCP, signals, abstract sockets",
];

/// State of the layer Landlock, and the text with it.
fn landlock_layer(outcome: &Outcome) -> (String, String) {
    let report: Value = serde_json::from_str(&outcome.stderr).unwrap_or_else(|e| panic!("{e}: {outcome:?}"));
    let layers = report["layers"].as_array().expect("layers");
    let layer = layers.iter().find(|layer| layer["name"] == "landlock").expect("the layer");
    let text = layer["detail"].as_str().or(layer["reason"].as_str()).unwrap_or_default();
    (layer["state"].as_str().expect("a state").to_owned(), text.to_owned())
}

fn is_refused(outcome: &Outcome, cause: &str) {
    let fix = "use Linux 6.2 or newer with `landlock` in lsm=; --sandbox standard runs without";
    let said = format!("landlock | cannot apply the layer `landlock` | {cause} | {fix}\n");
    assert_eq!(outcome.stderr, said, "{outcome:?}");
}

fn is(outcome: &Outcome, state: &str, text: &str) {
    assert_eq!(landlock_layer(outcome), (state.to_owned(), text.to_owned()), "{outcome:?}");
}

/// The kernel of one level, as an argument of the child.
fn kernel(abi: i32) -> String {
    format!("kernel=abi:{abi}")
}

fn levels() -> std::ops::RangeInclusive<i32> {
    assert_eq!(SAID.len(), wave_sandbox::LANDLOCK_LEVELS.len() + 1, "each level is tested, and one that is newer");
    1..=i32::try_from(SAID.len()).expect("a small number")
}

fn said(abi: i32) -> &'static str {
    SAID[usize::try_from(abi).expect("a level") - 1]
}

fn every_level(user: User) {
    for abi in [0, 1, 2] {
        let outcome = expect(user, &[&kernel(abi), "print=1"], REFUSED);
        is_refused(&outcome, &format!("LandlockTooOld {{ found: {abi}, needed: 3 }}"));
        assert_eq!(outcome.stdout, "", "no ruleset is created");
    }
    let outcome = expect(user, &[&kernel(0), "level=standard", "print=1"], 0);
    is(&outcome, "waived", "the kernel has Landlock ABI 0, this level needs 1");
    for abi in levels() {
        let detail = format!("{}; 0 grants; self-test refused", said(abi));
        for level in ["level=strict", "level=standard"] {
            if level == "level=strict" && abi < 3 {
                continue;
            }
            let outcome = expect(user, &[&kernel(abi), level, "print=1"], 0);
            is(&outcome, "applied", &detail);
        }
    }
}

/// What a kernel of this level must be asked to handle, as the supervisor prints it.
fn all_of(abi: i32) -> String {
    let abi = ABI::from(abi);
    let words = [AccessFs::from_all(abi).bits(), AccessNet::from_all(abi).bits(), Scope::from_all(abi).bits()];
    format!("create {words:x?}")
}

/// Whether the supervisor of a process that this user starts may read its memory, where the arguments are.
fn is_seen(user: User) -> bool {
    user == User::Root && has(Capability::CAP_SYS_PTRACE)
}

fn handled(user: User) {
    for abi in levels() {
        let outcome = expect(user, &[&kernel(abi), "level=standard"], 0);
        let asked: Vec<_> = outcome.stdout.lines().collect();
        let create = if is_seen(user) { all_of(abi) } else { "create ?".to_owned() };
        assert_eq!(asked, [&create, "restrict"], "ABI {abi}");
    }
    // The crate's list is not the only witness: landlock(7) numbers the rights without a gap.
    assert_eq!(all_of(1), "create [1fff, 0, 0]");
    assert_eq!(all_of(7), "create [ffff, 3, 3]");
    assert_eq!(all_of(9), "create [1ffff, 3, 3]");
}

// Source: `linux/landlock.h`.
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;

/// What is granted, and its rights where the level knows them. `docs/landlock.md` has the same table for readers.
const RIGHTS: [(&str, &str, u64); 6] = [
    ("dir", "ro", READ_FILE | READ_DIR),
    ("dir", "append", READ_FILE | READ_DIR | WRITE_FILE | MAKE_REG | MAKE_DIR),
    (
        "dir",
        "rw",
        READ_FILE
            | READ_DIR
            | WRITE_FILE
            | MAKE_REG
            | MAKE_DIR
            | REMOVE_FILE
            | REMOVE_DIR
            | MAKE_SYM
            | REFER
            | TRUNCATE,
    ),
    ("file", "ro", READ_FILE),
    ("file", "append", READ_FILE | WRITE_FILE),
    ("file", "rw", READ_FILE | WRITE_FILE | TRUNCATE),
];

fn rights(user: User) {
    let dir = open_to_all();
    create_files(dir.path());
    let grants = RIGHTS.map(|(what, access, _)| format!("grant={}:{access}", dir.path().join(what).display()));
    for abi in levels() {
        let known = match abi {
            1 => REFER - 1,
            2 => TRUNCATE - 1,
            _ => u64::MAX,
        };
        let mut args: Vec<&str> = grants.iter().map(String::as_str).collect();
        let kernel = kernel(abi);
        args.extend([&kernel, "level=standard", PATHS, "print=1"]);
        let outcome = expect(user, &args, 0);
        is(&outcome, "applied", &format!("{}; 6 grants; self-test refused", said(abi)));
        let rules = RIGHTS.iter().map(|(_, _, rights)| match is_seen(user) {
            true => format!("rule {:x}", rights & known),
            false => "rule ?".to_owned(),
        });
        let create = if is_seen(user) { all_of(abi) } else { "create ?".to_owned() };
        let expected: Vec<_> = [create].into_iter().chain(rules).chain(["restrict".to_owned()]).collect();
        assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), expected, "ABI {abi}");
    }
}

/// Creates `file` and `dir/inner`, with content, which everyone may change.
fn create_files(root: &Path) {
    fs::create_dir(root.join("dir")).expect("a directory");
    set_mode(&root.join("dir"), 0o777);
    for file in ["file", "dir/inner"] {
        fs::write(root.join(file), "content").expect("a file");
        set_mode(&root.join(file), 0o666);
    }
}

fn moves(user: User) {
    for abi in levels() {
        let dir = open_to_all();
        create_files(dir.path());
        let grant = format!("grant={}:rw", dir.path().display());
        let rename = |call: &str, status| {
            expect(user, &[&kernel(abi), "level=standard", PATHS, &grant, call], status);
        };
        rename("call=264,g0,s:dir/inner,g0,s:dir/other", 0);
        rename("call=264,g0,s:file,g0,s:dir/moved", if abi == 1 { libc::EXDEV } else { 0 });
        assert_eq!(dir.path().join("file").exists(), abi == 1);
        assert_eq!(dir.path().join("dir/moved").exists(), abi > 1);
        assert!(dir.path().join("dir/other").exists());
    }
}

/// What cuts a file, the grant of its directory, and the answer where Landlock holds truncation. Opening with access
/// mode 3 asks for neither reading nor writing, so that no other right of Landlock is needed.
const CUTS: [(&str, &str, i32); 8] = [
    ("ro", "call=257,g0,s:file,512", EACCES),
    ("ro", "call=257,g0,s:file,515", EACCES),
    ("ro", "call=257,g0,s:file,513", EACCES),
    ("append", "call=257,g0,s:file,513", EACCES),
    ("rw", "call=257,g0,s:file,513", 0),
    ("outside", "call=257,g0,s:../OUTSIDE/file,512", EACCES),
    ("outside", "call=257,g0,s:../OUTSIDE/file,513", EACCES),
    ("outside", "call=257,g0,s:../OUTSIDE/file,515", EACCES),
];

/// From ABI 3 on no file is cut but under `rw`. Before, the filter holds that if it can see the flags of each open, which
/// it cannot with `openat2`; an `append` grant can then be cut all the same, since its files may be opened for writing.
fn truncation(user: User) {
    for abi in levels() {
        for manual in [false, true] {
            for (access, call, held) in CUTS {
                // Nothing that must be written to is needed for these.
                let without_write = !call.ends_with(",513");
                let expected = match (abi < 3, access) {
                    (false, _) => held,
                    (true, "append") => 0,
                    (true, _) if without_write && manual => DENIED,
                    // Opening needs the right to read, unless with access mode 3.
                    (true, "ro") if without_write => 0,
                    (true, _) if call.ends_with(",515") => 0,
                    (true, _) => held,
                };
                truncate(user, &["level=standard", &kernel(abi)], manual, access, call, expected);
            }
        }
        let args = ["level=standard", PATHS, "grant=/tmp:ro", "print=1", "manual=1", &kernel(abi)];
        let report = expect(user, &args, 0).stderr;
        assert_eq!(report.contains(", O_TRUNC needs write access, any other call"), abi < 3, "ABI {abi}: {report}");
    }
    // Other flags are not restricted, and nothing is without Landlock.
    for flags in ["0", "1", "2", "65", "1025"] {
        truncate(user, &["level=standard", &kernel(2)], true, "rw", &format!("call=257,g0,s:file,{flags},438"), 0);
    }
    truncate(user, &["level=standard", &kernel(0)], true, "outside", "call=257,g0,s:../OUTSIDE/file,515", 0);
}

/// Makes a call that truncates the file if it is permitted and its flags say so.
fn truncate(user: User, kernel: &[&str], manual: bool, access: &str, call: &str, expected: i32) {
    let (dir, other) = (open_to_all(), open_to_all());
    create_files(dir.path());
    create_files(other.path());
    let name = other.path().file_name().expect("a name").to_string_lossy();
    let call = call.replace("OUTSIDE", &name);
    let grant = format!("grant={}:{}", dir.path().display(), access.replace("outside", "rw"));
    let resolver = if manual { "manual=1" } else { "resolver=kernel" };
    let what = [kernel, &[resolver, PATHS, &grant, &call]].concat();
    expect(user, &what, expected);
    let target = if access == "outside" { other.path() } else { dir.path() }.join("file");
    let content = fs::read_to_string(target).expect("the file");
    let is_truncated = expected == 0 && call.contains(",51");
    assert_eq!(content, if is_truncated { "" } else { "content" }, "{what:?}");
}

/// The table's statements about the filter, on a kernel without those levels.
fn the_filter_stands_in(user: User) {
    let kernel = kernel(3);
    for (what, call, bare) in [
        ("TCP socket", "call=41,2,1,0", 0),
        ("Unix socket", "call=41,1,1,0", 0),
        ("bind", "call=49,0,0,0", libc::ENOTSOCK),
        ("connect", "call=42,0,0,0", libc::ENOTSOCK),
        ("listen", "call=50,0,0", libc::ENOTSOCK),
        ("sendto", "call=44,0,0,0,0,0,0", libc::ENOTSOCK),
        ("ioctl", "call=16,0,21522,s:x", libc::ENOTTY),
        ("kill, signal 0", "call=62,pid,0", 0),
        ("tgkill, signal 0", "call=234,pid,pid,0", 0),
        ("pidfd_open", "call=434,pid,0", 0),
        ("fork", "call=57", 0),
    ] {
        expect(user, &["level=off", call], bare);
        let outcome = expect(user, &[&kernel, call], DENIED);
        assert!(outcome.stderr.starts_with("wave: denied system call "), "{what}: {outcome:?}");
    }
}

fn hollow(user: User) {
    let grant = |access: &str| format!("grant=/:{access}");
    let none = "growable=1".to_owned();
    let root = "the directory `/`";
    let (write, control) = ("the device /dev/null for writing", "a control of the device /dev/null");
    for (grant, what) in [(none, root), (grant("ro"), write), (grant("append"), control), (grant("rw"), control)] {
        let outcome = expect(user, &[&grant, "print=1"], 0);
        let grants = u32::from(grant.starts_with("grant"));
        assert!(landlock_layer(&outcome).1.ends_with(&format!("; {grants} grants; self-test refused")), "{outcome:?}");
        is_refused(&expect(user, &["kernel=hollow", &grant], REFUSED), &format!("SelfTest({what:?})"));
        let outcome = expect(user, &["kernel=hollow", "level=standard", &grant, "print=1"], 0);
        let reason = format!("the self-test reached {what}, which is not granted");
        is(&outcome, "waived", &reason);
    }
    // Below ABI 5 a grant of all files allows everything that Landlock could deny.
    let outcome = expect(user, &[&kernel(4), &grant("rw"), "print=1"], 0);
    let detail = format!("{}; 1 grants; no self-test: the grants allow all that this ABI can deny", said(4));
    is(&outcome, "applied", &detail);
}

fn hidden(user: User) {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let kernel = format!("kernel=hide:{errno}");
        is_refused(&expect(user, &[&kernel], REFUSED), "LandlockTooOld { found: 0, needed: 3 }");
        let outcome = expect(user, &[&kernel, "level=standard", "print=1"], 0);
        is(&outcome, "waived", "the kernel has Landlock ABI 0, this level needs 1");
    }
}
