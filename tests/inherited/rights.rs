//! The mask for modes of files, and rights that come from the program's file.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::{Start, guest, wave};
use wave_test_support::user::{NOBODY, User};
use wave_test_support::{as_root, give_to_guest, not_run, writable_dir};

/// A guest's files cannot be written by everybody, unless the mask is a choice that says who may.
#[test]
fn t129_the_mask_for_modes_is_never_empty() {
    for (mask, file, dir) in [
        (0, 0o644, 0o755),
        (0o022, 0o644, 0o755),
        (0o002, 0o664, 0o775),
        (0o077, 0o600, 0o700),
        (0o027, 0o640, 0o750),
        // Each of these lets everybody write.
        (0o020, 0o644, 0o755),
        (0o055, 0o622 & !0o022, 0o722 & !0o022),
    ] {
        for level in ["strict", "standard", "off"] {
            let place = writable_dir();
            give_to_guest(place.path());
            let grant = format!("{}::/", place.path().display());
            let script = format!("os.umask({mask:#o})");
            let run = Start::after(&script).args(&["--sandbox", level, "run", "--dir", &grant]).guest("make").end();
            assert_eq!(run.status.code(), Some(0), "{mask:o} {level}: {run:?}");
            let mode =
                |name: &str| place.path().join(name).metadata().expect("it was made").permissions().mode() & 0o7777;
            assert_eq!([mode("made"), mode("made.d")], [file, dir], "{mask:o} {level}");
        }
    }
    // What `wave` itself writes.
    let place = writable_dir();
    let output = place.path().join("hello.wave");
    let compile = Start::after("os.umask(0)").args(&["compile", "-o", output.to_str().expect("UTF-8")]);
    assert_eq!(compile.guest("hello").end().status.code(), Some(0));
    assert_eq!(output.metadata().expect("it was made").permissions().mode() & 0o022, 0);
}

/// Whether a copy with these rights gives them to the user 65534; a file system may be mounted so that it does not.
fn gives(dir: &Path, mode: u32) -> bool {
    let probe = dir.join("id");
    assert!(Command::new("cp").arg("/usr/bin/id").arg(&probe).status().expect("cp starts").success());
    fs::set_permissions(&probe, Permissions::from_mode(mode)).expect("own file");
    let flag = if mode & 0o4000 != 0 { "-u" } else { "-g" };
    let mut command = Command::new(&probe);
    User::Nobody.runs(command.arg(flag));
    let output = command.output().expect("it starts");
    String::from_utf8_lossy(&output.stdout).trim() == "0"
}

/// A copy with the rights of its owner or with capabilities refuses to do anything at all.
#[test]
fn t129_a_copy_that_gives_rights_away_refuses() {
    let place = writable_dir();
    let copy = place.path().join("wave");
    assert!(Command::new("cp").arg(wave()).arg(&copy).status().expect("cp starts").success());
    let set = |mode| fs::set_permissions(&copy, Permissions::from_mode(mode)).expect("own file");
    let output = place.path().join("written");
    let written = output.to_str().expect("UTF-8");
    let hello = guest("hello");
    let hello = hello.to_str().expect("UTF-8");
    let commands: [&[&str]; 14] = [
        &["run", hello],
        &[hello],
        &["learn", "-o", written, hello],
        &["compile", "-o", written, hello],
        &["verify", hello],
        &["cache", "info"],
        &["wast", hello],
        &["inspect", hello],
        &["audit", hello],
        &["policy", "gen", hello],
        &["why", "--policy", hello, "--env", "X"],
        &["doctor"],
        &["completion", "bash"],
        &["--version"],
    ];
    let start = |args: &[&str], user: User| {
        let mut command = Command::new(&copy);
        command.args(args).current_dir("/").env("XDG_CACHE_HOME", "/dev/null");
        user.runs(&mut command);
        command.output().expect("it starts")
    };
    // The same user's bits give nothing.
    let own = if as_root() { User::Root } else { User::Own };
    set(0o6755);
    assert_eq!(start(&["run", hello], own).stdout, b"hello\n");
    if !as_root() {
        return;
    }
    let refuses = |what: &str| {
        for args in commands {
            let seen = start(args, User::Nobody);
            let stderr = String::from_utf8_lossy(&seen.stderr);
            assert_eq!((seen.status.code(), &*seen.stdout), (Some(125), &b""[..]), "{what} {args:?}: {stderr}");
            let message = format!("wave: this program gives any user who starts it {what}, ");
            assert!(stderr.starts_with(&message), "{what} {args:?}: {stderr}");
            assert!(!output.exists(), "{what} {args:?}");
        }
    };
    if !gives(place.path(), 0o4755) {
        return not_run("the temporary directory is mounted without set-user-ID bits");
    }
    set(0o4755);
    refuses("the rights of another user");
    set(0o2755);
    refuses("the rights of another group");
    set(0o755);
    assert_eq!(start(&["run", hello], User::Nobody).stdout, b"hello\n");
    // CAP_DAC_OVERRIDE, permitted and effective. Source: capabilities(7), `struct vfs_cap_data` in linux/capability.h.
    let mut set_capability = Command::new("python3");
    let script = "import os, struct, sys
os.setxattr(sys.argv[1], 'security.capability', struct.pack('<5I', 0x02000000 | int(sys.argv[2]), 2, 0, 0, 0))";
    set_capability.args(["-c", script]).arg(&copy);
    for effective in ["0", "1"] {
        let mut command = Command::new(set_capability.get_program());
        command.args(set_capability.get_args()).arg(effective);
        if !command.status().expect("python starts").success() {
            return not_run("the temporary directory keeps no capabilities of files");
        }
        refuses("capabilities");
    }
    set(0o755);
    chown(&copy, Some(NOBODY), None).expect("root may, and that takes the capabilities away");
    assert_eq!(start(&["run", hello], User::Nobody).stdout, b"hello\n");
}

/// Capabilities that a service manager passes on are its choice, and gone before the guest runs.
#[test]
fn t129_ambient_capabilities_are_no_reason_to_refuse() {
    if !as_root() {
        return;
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+net_bind_service"]);
    setpriv.arg("--ambient-caps=+net_bind_service");
    let talk = Start::by(setpriv).args(&["run"]).talk();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(talk.status(set), format!("{:016x}", 0), "{set}");
    }
    talk.ends();
}
