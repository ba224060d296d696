//! Grant x action x outcome, with a look at the file system afterwards. There is no monitor: Landlock denies (EACCES), or the filter
//! (159).

use std::fs;
use std::path::Path;

use crate::Case;
use crate::run::{User, expect, open_to_all, set_mode};

pub const CASES: &[Case] = &[
    ("files::grant_by_action", grant_by_action),
    ("files::outside_of_the_grant", outside_of_the_grant),
    ("files::a_file_is_a_grant_of_itself_alone", file_grant),
    ("files::a_grant_that_the_policy_does_not_name_is_refused", other_grant),
];

const FUNCTIONS: &str = "functions=fd_read,fd_write,fd_filestat_set_size,path_open,path_create_directory,path_link,\
                         path_remove_directory,path_rename,path_symlink,path_unlink_file";
const DENIED: i32 = wave_sandbox::DENIED;
const EACCES: i32 = libc::EACCES;

/// The action, the call, and its result with a grant of ro, append and rw.
const ACTIONS: &[(&str, &str, [i32; 3])] = &[
    ("read", "call=257,g0,s:file,0", [0, 0, 0]),
    ("read below", "call=257,g0,s:dir/inner,0", [0, 0, 0]),
    ("list", "call=257,g0,s:dir,65536", [0, 0, 0]),
    ("write", "call=257,g0,s:file,1", [EACCES, 0, 0]),
    ("append", "call=257,g0,s:file,1025", [EACCES, 0, 0]),
    ("truncate", "call=257,g0,s:file,513", [EACCES, EACCES, 0]),
    ("create", "call=257,g0,s:new,65,438", [EACCES, 0, 0]),
    ("unnamed file", "call=257,g0,s:dir,4259841,438", [EACCES, 0, 0]),
    ("mkdir", "call=258,g0,s:made,511", [DENIED, 0, 0]),
    ("unlink", "call=263,g0,s:file,0", [DENIED, EACCES, 0]),
    ("rmdir", "call=263,g0,s:empty,512", [DENIED, EACCES, 0]),
    ("rename", "call=264,g0,s:file,g0,s:moved", [DENIED, EACCES, 0]),
    ("rename below", "call=264,g0,s:file,g0,s:dir/moved", [DENIED, EACCES, 0]),
    ("symlink", "call=266,s:file,g0,s:link", [DENIED, EACCES, 0]),
    ("exchange", "call=316,g0,s:file,g0,s:dir,2", [DENIED, DENIED, DENIED]),
    ("mknod of a pipe", "call=259,g0,s:pipe,4480,0", [DENIED, DENIED, DENIED]),
    ("chmod", "call=268,g0,s:file,511", [DENIED, DENIED, DENIED]),
    ("chown", "call=260,g0,s:file,-1,-1,0", [DENIED, DENIED, DENIED]),
];

/// Creates files that everyone may change: `file`, `dir/inner`, `empty/`.
fn create_files(root: &Path) {
    for dir in ["dir", "empty"] {
        fs::create_dir(root.join(dir)).expect("a directory");
        set_mode(&root.join(dir), 0o777);
    }
    for file in ["file", "dir/inner"] {
        fs::write(root.join(file), "content").expect("a file");
        set_mode(&root.join(file), 0o666);
    }
}

/// Names and contents under a directory, in order.
fn snapshot(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).expect("a directory").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        found.push((path.display().to_string(), fs::read_to_string(&path).unwrap_or_default()));
        if path.is_dir() {
            found.extend(snapshot(&path));
        }
    }
    found.sort();
    found
}

fn grant_by_action(user: User) {
    for (what, call, outcomes) in ACTIONS {
        // chown and chmod change nothing here, and may be refused to a user who is not the owner.
        if !matches!(*what, "chmod" | "chown") {
            let dir = open_to_all();
            create_files(dir.path());
            expect(user, &["level=off", &format!("grant={}:ro", dir.path().display()), call], 0);
        }
        for (access, expected) in ["ro", "append", "rw"].into_iter().zip(outcomes) {
            let dir = open_to_all();
            create_files(dir.path());
            let before = snapshot(dir.path());
            let grant = format!("grant={}:{access}", dir.path().display());
            expect(user, &[FUNCTIONS, &grant, call], *expected);
            if *expected != 0 || access == "ro" {
                assert_eq!(snapshot(dir.path()), before, "{what} with {access}");
            }
        }
    }
}

fn outside_of_the_grant(user: User) {
    let (dir, other) = (open_to_all(), open_to_all());
    create_files(other.path());
    std::os::unix::fs::symlink(other.path().join("file"), dir.path().join("out")).expect("a link");
    let grant = format!("grant={}:rw", dir.path().display());
    let name = other.path().file_name().expect("a name").to_string_lossy().into_owned();
    let before = snapshot(other.path());
    for call in [
        "call=257,-100,s:/etc/passwd,0".to_owned(),
        "call=257,-100,s:/proc/self/mem,2".to_owned(),
        "call=257,-100,s:/,65536".to_owned(),
        format!("call=257,-100,s:{}/file,0", other.path().display()),
        format!("call=257,-100,s:{}/new,65,438", other.path().display()),
        format!("call=257,g0,s:../{name}/file,0"),
        "call=257,g0,s:out,0".to_owned(),
        "call=257,g0,s:out,513".to_owned(),
    ] {
        if !call.contains("/proc/self/mem") && !call.contains("513") {
            expect(user, &["level=off", &grant, &call], 0);
            let new = other.path().join("new");
            if new.exists() {
                fs::remove_file(new).expect("made by the control");
            }
        }
        expect(user, &[FUNCTIONS, &grant, &call], EACCES);
        assert_eq!(snapshot(other.path()), before, "{call}");
    }
    // The link would be a hard link inside the grant to a file outside.
    let link = format!("call=265,-100,s:{}/file,g0,s:stolen,0", other.path().display());
    // EXDEV: the directory it comes from has no `Refer` (landlock(7)).
    expect(user, &[FUNCTIONS, &grant, &link], libc::EXDEV);
    assert!(!dir.path().join("stolen").exists());
}

fn file_grant(user: User) {
    let dir = open_to_all();
    create_files(dir.path());
    let file = dir.path().join("file");
    let grant = format!("grant={}:ro", file.display());
    let read = |name: &str| format!("call=257,-100,s:{}/{name},0", dir.path().display());
    expect(user, &[FUNCTIONS, &grant, &read("file")], 0);
    expect(user, &["level=off", &grant, &read("dir/inner")], 0);
    expect(user, &[FUNCTIONS, &grant, &read("dir/inner")], EACCES);
    expect(user, &[FUNCTIONS, &grant, &format!("call=257,-100,s:{},1", file.display())], EACCES);
}

fn other_grant(user: User) {
    let dir = open_to_all();
    let grant = format!("grant={}:ro", dir.path().display());
    expect(user, &[&grant], 0);
    for level in ["level=strict", "level=standard"] {
        let outcome = expect(user, &[level, &grant, "before=forget_grants"], crate::child::REFUSED);
        assert!(outcome.stderr.starts_with("landlock | "), "{outcome:?}");
    }
}
