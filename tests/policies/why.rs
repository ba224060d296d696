//! `wave why`: each answer is compared with what a run does, and each change it offers is made and tried.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wave_policy::file::{Derived, Directory, Values};
use wave_policy::{Access, Resolver, Surface};
use wave_test_support::{Outcome, c_example, copy_for_guest, fill, give_to_guest, source, wat, writable_dir};

/// `NOTCAPABLE` and `BADF`, with which calls end that the monitor refuses.
const REFUSED: [i32; 2] = [76, 8];

fn wave(dir: &Path, args: &[&str]) -> Outcome {
    let out = Command::new(env!("CARGO_BIN_EXE_wave"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("KNOWN", "from outside")
        .output()
        .expect("wave starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("messages are UTF-8");
    Outcome { status: out.status, stdout: text(&out.stdout), stderr: text(&out.stderr) }
}

/// The answer to a question about `p.toml`; the exit code says the same.
#[track_caller]
fn why(dir: &Path, question: &[&str]) -> Value {
    let said = wave(dir, &[&["why", "--policy", "p.toml", "--format", "json"], question].concat());
    assert_eq!(said.stderr, "", "{question:?}");
    let answer: Value = serde_json::from_str(&said.stdout).expect("one JSON object");
    assert_eq!(said.status.code(), Some(i32::from(answer["allowed"] == false)), "{question:?}");
    answer
}

fn set_policy(dir: &Path, text: &str) {
    fs::write(dir.join("p.toml"), text).expect("own directory can be written");
}

/// Makes the changes of an answer as a reader would, from the last line to the first.
fn apply(dir: &Path, answer: &Value) {
    let number = |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("it is small");
    let text = fs::read_to_string(dir.join("p.toml")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut edits: Vec<&Value> = answer["to_allow"].as_array().expect("a list").iter().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(number(&edit["line"])));
    for edit in edits {
        assert_eq!(edit["file"], "p.toml");
        let new = edit["lines"].as_array().expect("a list").iter().map(|line| line.as_str().unwrap().to_owned());
        let start = number(&edit["line"]) - 1;
        lines.splice(start..start + number(&edit["replaces"]), new);
    }
    set_policy(dir, &(lines.join("\n") + "\n"));
}

/// An operation of preview1 on the first preopen, as the body of a function that ends the run with its errno.
struct Guest {
    op: &'static str,
    /// What it is done to, beneath the directory.
    name: &'static str,
    import: &'static str,
    call: &'static str,
}

const OPEN: &str = "(import \"wasi_snapshot_preview1\" \"path_open\" \
     (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))";

/// Opens `name` for these rights (2 read, 64 write, 16384 list), with flags, into address 64.
macro_rules! open {
    ($oflags:literal, $rights:literal, $fdflags:literal) => {
        concat!(
            "(call $check (call $open (i32.const 3) (i32.const 1) (i32.const 0) (local.get $len) (i32.const ",
            $oflags,
            ") (i64.const ",
            $rights,
            ") (i64.const 0) (i32.const ",
            $fdflags,
            ") (i32.const 64)))"
        )
    };
}

const fn guest(op: &'static str, name: &'static str, import: &'static str, call: &'static str) -> Guest {
    Guest { op, name, import, call }
}

const FD_READ: &str =
    "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))";
const FD_WRITE: &str =
    "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))";
const WRITES: &str =
    "(call $check (call $write (i32.load (i32.const 64)) (i32.const 72) (i32.const 1) (i32.const 96)))";

fn guests() -> Vec<Guest> {
    let path = |name: &str, params: &str| -> &'static str {
        format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func $f (param {params}) (result i32)))").leak()
    };
    let call = |args: &str| -> &'static str { format!("(call $check (call $f {args}))").leak() };
    let at = "(i32.const 3) (i32.const 0) (local.get $len)";
    let new = "(i32.const 3) (i32.const 50) (i32.const 5)";
    let one = "i32 i32 i32";
    vec![
        guest(
            "read",
            "note",
            FD_READ,
            concat!(
                open!(0, 2, 0),
                "(call $check (call $read (i32.load (i32.const 64)) (i32.const 72) (i32.const 1) (i32.const 96)))"
            ),
        ),
        guest("write", "note", FD_WRITE, [open!(0, 64, 0), WRITES].concat().leak()),
        guest("append", "note", FD_WRITE, [open!(0, 64, 1), WRITES].concat().leak()),
        guest("create", "new", FD_WRITE, [open!(1, 64, 1), WRITES].concat().leak()),
        guest("truncate", "note", "", open!(8, 64, 0)),
        guest(
            "list",
            ".",
            path("fd_readdir", "i32 i32 i32 i64 i32"),
            [
                open!(2, 16384, 0),
                call("(i32.load (i32.const 64)) (i32.const 128) (i32.const 256) (i64.const 0) (i32.const 96)"),
            ]
            .concat()
            .leak(),
        ),
        guest("delete", "note", path("path_unlink_file", one), call(at)),
        guest("rmdir", "empty", path("path_remove_directory", one), call(at)),
        guest("mkdir", "new", path("path_create_directory", one), call(at)),
        guest(
            "stat",
            "note",
            path("path_filestat_get", "i32 i32 i32 i32 i32"),
            call("(i32.const 3) (i32.const 1) (i32.const 0) (local.get $len) (i32.const 128)"),
        ),
        guest(
            "times",
            "note",
            path("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
            call(
                "(i32.const 3) (i32.const 1) (i32.const 0) (local.get $len) (i64.const 0) (i64.const 0) (i32.const 10)",
            ),
        ),
        guest("rename", "note", path("path_rename", "i32 i32 i32 i32 i32 i32"), call(&format!("{at} {new}"))),
        guest(
            "link",
            "note",
            path("path_link", "i32 i32 i32 i32 i32 i32 i32"),
            call(&format!("(i32.const 3) (i32.const 0) (i32.const 0) (local.get $len) {new}")),
        ),
        guest(
            "symlink",
            "new",
            path("path_symlink", "i32 i32 i32 i32 i32"),
            call(&format!("(i32.const 50) (i32.const 5) {at}")),
        ),
        guest(
            "readlink",
            "link",
            path("path_readlink", "i32 i32 i32 i32 i32 i32"),
            call(&format!("{at} (i32.const 128) (i32.const 64) (i32.const 96)")),
        ),
    ]
}

impl Guest {
    /// The module; its errno is the exit code.
    fn module(&self, name: &str) -> (TempDir, String) {
        let open = if self.call.contains("$open") { OPEN } else { "" };
        let (import, call, len) = (self.import, self.call, name.len());
        let (dir, path) = wat(&format!(
            "(module {open} {import}
               (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
               (memory (export \"memory\") 1)
               (data (i32.const 0) \"{name}\") (data (i32.const 50) \"moved\") (data (i32.const 72) \"\\80\\00\\00\\00\\03\\00\\00\\00\")
               (func $check (param $errno i32) (if (local.get $errno) (then (call $exit (local.get $errno)))))
               (func (export \"_start\") (local $len i32) (local.set $len (i32.const {len})) {call}))"
        ));
        let path = path.to_str().expect("UTF-8").to_owned();
        (dir, path)
    }
}

/// `data` with a file, an empty directory and a link; it belongs to the guest.
fn place() -> TempDir {
    let from = tempfile::tempdir().unwrap();
    fs::create_dir_all(from.path().join("data/empty")).unwrap();
    fs::write(from.path().join("data/note"), "text").unwrap();
    let dir = writable_dir();
    fs::create_dir(dir.path().join("data")).unwrap();
    copy_for_guest(&from.path().join("data"), &dir.path().join("data"));
    give_to_guest(&dir.path().join("data/empty"));
    symlink("note", dir.path().join("data/link")).unwrap();
    dir
}

fn rule(host: &str, guest: &str, access: &str) -> String {
    format!("[[fs]]\nhost = \"{host}\"\nguest = \"{guest}\"\naccess = \"{access}\"\n")
}

/// The exit code of a module under `p.toml`.
fn run(dir: &Path, module: &str) -> (i32, Outcome) {
    let said = wave(dir, &["run", "--policy", "p.toml", module]);
    (said.status.code().expect("it ends by itself"), said)
}

/// Every operation under every access: `why` says what a run does, and its lines make the difference.
#[test]
fn each_answer_about_a_path_is_what_a_run_does() {
    let allowed = |op: &str, access: &str| match access {
        "ro" => ["read", "list", "stat", "readlink"].contains(&op),
        "append" => ["read", "list", "stat", "readlink", "append", "create", "mkdir"].contains(&op),
        "rw" => true,
        _ => false,
    };
    for guest in guests() {
        let (_module_dir, module) = guest.module(guest.name);
        for access in ["none", "ro", "append", "rw"] {
            let dir = place();
            let data = dir.path().join("data");
            let data = data.to_str().expect("UTF-8");
            let grant = if access == "none" { String::new() } else { rule("data", data, access) };
            set_policy(dir.path(), &format!("version = 1\n{grant}"));
            let path = if guest.name == "." { data.to_owned() } else { format!("{data}/{}", guest.name) };
            let question = ["--path", &path, "--op", guest.op];
            let context = format!("{} with {access}", guest.op);

            let before = wave_test_support::tree(Path::new(data));
            let answer = why(dir.path(), &question);
            assert_eq!(answer["allowed"], allowed(guest.op, access), "{context}: {answer:#}");
            // The kernel layers never stand in the way of what the monitor lets through.
            let layers = answer["layers"].as_array().unwrap();
            let denies = |name: &str| layers.iter().any(|layer| layer["layer"] == name && layer["verdict"] == "denies");
            assert_eq!(denies("monitor"), !allowed(guest.op, access), "{context}: {answer:#}");
            if answer["allowed"] == true {
                let (code, said) = run(dir.path(), &module);
                assert_eq!((code, answer["to_allow"].as_array().map(Vec::len)), (0, Some(0)), "{context}: {said:?}");
                assert_eq!(answer["decides"]["rule"], "fs[0] (p.toml:2)", "{context}");
                continue;
            }
            let (code, said) = run(dir.path(), &module);
            assert!(REFUSED.contains(&code), "{context}: {said:?}");
            assert_eq!(wave_test_support::tree(Path::new(data)), before, "{context}");
            apply(dir.path(), &answer);
            let after = why(dir.path(), &question);
            assert_eq!(after["allowed"], true, "{context}: {after:#}");
            let (code, said) = run(dir.path(), &module);
            assert_eq!(code, 0, "{context}: {said:?}");
        }
    }
}

/// An import that is not listed and an access that is not enough take two lines.
#[test]
fn imports_and_access_are_changed_together() {
    let all = guests();
    let guest = all.iter().find(|guest| guest.op == "append").unwrap();
    let (_module_dir, module) = guest.module(guest.name);
    for functions in [
        "[wasi]\nfunctions = [\"proc_exit\", \"path_open\"] # imports\n",
        "[wasi]\nfunctions = [\n    \"path_open\", # one\n    \"proc_exit\", # two\n]\n",
    ] {
        let dir = place();
        set_policy(dir.path(), &format!("version = 1\n{functions}{}", rule("data", "/d", "ro")));
        let question = ["--path", "/d/note", "--op", "append"];
        assert_eq!(run(dir.path(), &module).0, 125);
        let answer = why(dir.path(), &question);
        assert_eq!(answer["decides"]["layer"], "policy");
        assert_eq!(answer["to_allow"].as_array().map(Vec::len), Some(2), "{answer:#}");
        apply(dir.path(), &answer);
        let text = fs::read_to_string(dir.path().join("p.toml")).unwrap();
        assert!(text.contains("fd_write") && text.contains("access = \"append\"") && text.contains('#'), "{text}");
        assert_eq!(why(dir.path(), &question)["allowed"], true);
        assert_eq!(run(dir.path(), &module).0, 0);
        assert_eq!(fs::read_to_string(dir.path().join("data/note")).unwrap().len(), "text".len() + 3);
    }
    // A profile's list is kept when the file gets one of its own.
    let dir = place();
    set_policy(dir.path(), &format!("version = 1\nextends = \"compute\"\n{}", rule("data", "/d", "append")));
    assert_eq!(run(dir.path(), &module).0, 125);
    let answer = why(dir.path(), &["--path", "/d/note", "--op", "append"]);
    assert_eq!(answer["decides"]["rule"], "wasi.functions (profile compute)");
    apply(dir.path(), &answer);
    assert!(fs::read_to_string(dir.path().join("p.toml")).unwrap().contains("\"random_get\""));
    assert_eq!(run(dir.path(), &module).0, 0);
}

/// A directory inside of one that is widened would be narrower than what is around it, which a run refuses (T28).
#[test]
fn t28_a_wider_directory_widens_those_inside() {
    let all = guests();
    let guest = all.iter().find(|guest| guest.op == "write").unwrap();
    let (_module_dir, module) = guest.module(guest.name);
    let dir = place();
    let nested = rule("data", "/d", "ro") + &rule("data/empty", "/e", "ro");
    set_policy(dir.path(), &format!("version = 1\n{nested}"));
    let answer = why(dir.path(), &["--path", "/d/note", "--op", "write"]);
    let lines: Vec<_> = answer["to_allow"].as_array().unwrap().iter().map(|edit| edit["line"].as_u64()).collect();
    assert_eq!(lines, [Some(5), Some(9)], "{answer:#}");
    apply(dir.path(), &answer);
    assert_eq!(run(dir.path(), &module).0, 0);
    // What a run refuses has no answers.
    set_policy(dir.path(), &format!("version = 1\n{}{}", rule("data", "/d", "rw"), rule("data/empty", "/e", "ro")));
    let said = wave(dir.path(), &["why", "--policy", "p.toml", "--connect", "[::1]:1"]);
    assert_eq!((said.status.code(), &*said.stdout), (Some(125), ""));
    assert!(said.stderr.contains("where: fs[1] (p.toml:6)\n"), "{}", said.stderr);
}

/// The line that is offered allows the connection, and its neighbours stay denied.
#[test]
fn a_connection_is_allowed_by_the_line_that_is_offered() {
    for (remote, neighbours) in [
        ("10.0.0.1:80", ["10.0.0.1:81", "10.0.0.2:80"]),
        ("[2001:db8::1]:443", ["[2001:db8::1]:442", "[2001:db8::2]:443"]),
        ("[::ffff:10.0.0.1]:80", ["10.0.0.1:81", "[::1]:80"]),
        ("DB.example.:5432", ["db.example:5433", "example:5432"]),
    ] {
        let dir = place();
        set_policy(dir.path(), "version = 1\n");
        let answer = why(dir.path(), &["--connect", remote]);
        assert_eq!(answer["allowed"], false, "{answer:#}");
        assert_eq!(answer["to_allow"].as_array().map(Vec::len), Some(1), "{answer:#}");
        apply(dir.path(), &answer);
        let answer = why(dir.path(), &["--connect", remote]);
        assert_eq!(answer["allowed"], true, "{answer:#}");
        for other in neighbours {
            assert_eq!(why(dir.path(), &["--connect", other])["allowed"], false, "{remote} {other}");
        }
    }
    // The internet is no private network, and nobody has an unspecified address.
    let dir = place();
    set_policy(dir.path(), "version = 1\n[net]\nconnect = [\"0.0.0.0/0:80\"]\n");
    assert_eq!(why(dir.path(), &["--connect", "11.0.0.1:80"])["allowed"], true);
    assert_eq!(why(dir.path(), &["--connect", "10.0.0.1:80"])["allowed"], false);
    let never = why(dir.path(), &["--connect", "0.0.0.0:80"]);
    assert_eq!((&never["allowed"], never["to_allow"].as_array().map(Vec::len)), (&false.into(), Some(0)));
    assert!(never["advice"].is_string(), "{never:#}");
}

/// Where the host decides, `why` has looked: links out of the directory, devices.
#[test]
fn links_and_devices_are_looked_at() {
    let all = guests();
    let read = all.iter().find(|guest| guest.op == "read").unwrap();
    let dir = place();
    fill(dir.path(), &[("secret", "not granted")]);
    symlink("../secret", dir.path().join("data/out")).unwrap();
    symlink("/etc/passwd", dir.path().join("data/absolute")).unwrap();
    set_policy(dir.path(), &format!("version = 1\n{}", rule("data", "/d", "rw")));
    for (name, code) in [("note", 0), ("link", 0), ("out", 76), ("absolute", 76), ("../secret", 76), ("missing", 44)] {
        let answer = why(dir.path(), &["--path", &format!("/d/{name}"), "--op", "read"]);
        // A file that is missing is allowed to be read.
        assert_eq!(answer["allowed"], code != 76, "{name}: {answer:#}");
        assert_eq!(answer["to_allow"].as_array().map(Vec::len), Some(0), "{name}");
        assert_eq!(answer["advice"].is_string(), code == 76, "{name}");
        let (_module_dir, module) = read.module(name);
        assert_eq!(run(dir.path(), &module).0, code, "{name}");
    }
    // What removes or renames a link does not follow it.
    assert_eq!(why(dir.path(), &["--path", "/d/out", "--op", "delete"])["allowed"], true);

    set_policy(dir.path(), &format!("version = 1\n{}", rule("/dev", "/d", "ro")));
    let answer = why(dir.path(), &["--path", "/d/null", "--op", "read"]);
    assert_eq!(answer["allowed"], false, "{answer:#}");
    let (_module_dir, module) = read.module("null");
    assert_eq!(run(dir.path(), &module).0, 76);
}

/// Which directory a name means is wasi-libc's choice: its programs and `why` agree.
#[test]
fn a_path_belongs_to_the_directory_with_the_longest_name() {
    let Some(cat) = c_example("cat") else { return };
    let dir = place();
    fill(dir.path(), &[("data/sub/note", "sub"), ("data/only", "only"), ("data2/note", "two")]);
    let rules = [rule("data", "/a", "ro"), rule("data/sub", "/a/b", "ro"), rule("data2", "here", "ro")].concat();
    set_policy(dir.path(), &format!("version = 1\n{rules}"));
    let cat = cat.to_str().expect("UTF-8");
    for (path, by, text) in [
        ("/a/note", Some(0), "text"),
        ("/a/b/note", Some(1), "sub"),
        ("a/b/note", Some(1), "sub"),
        ("/a//only", Some(0), "only"),
        ("here/note", Some(2), "two"),
        ("./here/note", None, ""),
        ("/here/note", Some(2), "two"),
        ("/ab/note", None, ""),
        ("note", None, ""),
    ] {
        let said = wave(dir.path(), &["run", "--policy", "p.toml", cat, path]);
        let answer = why(dir.path(), &["--path", path, "--op", "read"]);
        assert_eq!((said.status.code(), &*said.stdout), (Some(i32::from(by.is_none())), text), "{path}: {said:?}");
        let line = |index: usize| format!("fs[{index}] (p.toml:{})", 2 + 4 * index);
        assert_eq!(answer["decides"]["rule"].as_str(), by.map(line).as_deref(), "{path}: {answer:#}");
        // The same by its place on the host.
        if let Some(index) = by {
            let host = dir.path().join(["data", "data/sub", "data2"][index]).join(path.rsplit('/').next().unwrap());
            let answer = why(dir.path(), &["--host-path", host.to_str().unwrap(), "--op", "read"]);
            assert_eq!(answer["allowed"], true);
        }
    }
    let secret = dir.path().join("p.toml");
    let answer = why(dir.path(), &["--host-path", secret.to_str().unwrap(), "--op", "read"]);
    assert_eq!(answer["allowed"], false);
}

/// A single file is found in a directory that has nothing else.
#[test]
fn a_file_is_granted_without_its_directory() {
    let Some(cat) = c_example("cat") else { return };
    let dir = place();
    fill(dir.path(), &[("data/only", "only")]);
    let rules = [rule("data", "/a", "ro"), rule("data/only", "/etc/only", "ro")].concat();
    set_policy(dir.path(), &format!("version = 1\n{rules}"));
    let cat = cat.to_str().expect("UTF-8");
    for (path, allowed) in [
        ("/etc/only", true),
        ("etc/./only", true),
        ("/etc/note", false),
        ("/etc/only/x", false),
        ("/etc/only/../only", false),
        ("/etc/../a/note", false),
        ("/a/note", true),
    ] {
        let said = wave(dir.path(), &["run", "--policy", "p.toml", cat, path]);
        let answer = why(dir.path(), &["--path", path, "--op", "read"]);
        assert_eq!((said.status.success(), &answer["allowed"]), (allowed, &Value::from(allowed)), "{path}: {answer:#}");
    }
    let ask = |path: &str, op: &str| why(dir.path(), &["--path", path, "--op", op]);
    let write = ask("/etc/only", "write");
    assert_eq!(write["to_allow"][0]["lines"][0], "access = \"rw\"", "{write:#}");
    for (path, op, allowed) in [("/etc", "list", true), ("/etc/only", "stat", true), ("/etc/only", "delete", false)] {
        assert_eq!(ask(path, op)["allowed"], allowed, "{path} {op}");
    }
    let host = dir.path().join("data/only");
    assert_eq!(why(dir.path(), &["--host-path", host.to_str().unwrap(), "--op", "read"])["allowed"], true);
}

/// The filter of each published kind of module: `why` lists the calls that `shapes.toml` does (T84 compares those with what a
/// sealed process can really call).
#[test]
fn t85_each_answer_about_a_system_call_is_what_the_filter_has() {
    let mut calls: Vec<&str> = wave_policy::all_rules().iter().map(|rule| rule.call).collect();
    calls.extend(["execve", "socket", "connect", "bind", "kill", "ptrace", "io_uring_setup"]);
    calls.sort_unstable();
    calls.dedup();
    let dir = place();
    for shape in wave_policy::all_shapes() {
        let surface = Surface::from_imports(shape.functions.iter().map(|name| ("wasi_snapshot_preview1", name)));
        let granted = |access: Access| Directory { host: "data".into(), guest: "/d".into(), access };
        let values = Values {
            functions: Some(shape.functions.iter().map(|name| (*name).to_owned()).collect()),
            fs: shape.grant.map(granted).into_iter().collect(),
            listen: shape.listener.then(|| vec![([127, 0, 0, 1], 80).into()]),
            os: Some(Derived::of(&surface, shape.growable, Resolver::Kernel)),
            ..Values::default()
        };
        set_policy(dir.path(), &values.write(None, |_| None).unwrap());
        let in_filter = |call: &str| {
            let mut rules = wave_policy::all_rules().iter().filter(|rule| shape.rules.contains(&rule.id));
            rules.any(|rule| rule.call == call)
        };
        for call in &calls {
            let answer = why(dir.path(), &["--syscall", call]);
            assert_eq!(answer["allowed"], in_filter(call), "{} {call}: {answer:#}", shape.name);
        }
    }
    let said = wave(dir.path(), &["why", "--policy", "p.toml", "--syscall", "open_sesame"]);
    assert_eq!(said.status.code(), Some(2), "{said:?}");
}

/// A function that the policy does not list is denied, and allowed with the line that is offered. That a run does the same is
/// shown by the tests of `wasi.functions` in `policy_file.rs`.
#[test]
fn each_function_is_allowed_by_the_line_that_is_offered() {
    for function in wave_policy::all_functions() {
        let dir = place();
        set_policy(dir.path(), "version = 1\n[wasi]\nfunctions = []\n[net]\nlisten = [\"127.0.0.1:0\"]\n");
        let text = fs::read_to_string(dir.path().join("p.toml")).unwrap() + &rule("data", "/d", "rw");
        set_policy(dir.path(), &text);
        let answer = why(dir.path(), &["--function", function.name]);
        assert_eq!(answer["allowed"], false);
        apply(dir.path(), &answer);
        assert_eq!(why(dir.path(), &["--function", function.name])["allowed"], true, "{}", function.name);
        let text = fs::read_to_string(dir.path().join("p.toml")).unwrap();
        assert!(text.contains(&format!("functions = [\"{}\"]\n", function.name)), "{text}");
    }
    let dir = place();
    set_policy(dir.path(), "version = 1\n");
    let answer = why(dir.path(), &["--function", "path_open"]);
    assert_eq!((&answer["allowed"], &answer["decides"]["layer"]), (&false.into(), &"monitor".into()));
    assert_eq!(why(dir.path(), &["--function", "fd_write"])["allowed"], true);
    assert_eq!(wave(dir.path(), &["why", "--policy", "p.toml", "--function", "fd_wirte"]).status.code(), Some(2));
}

#[test]
fn each_answer_about_a_variable_is_what_a_run_does() {
    let (_module_dir, module) = wat(super::PRINT_ENV);
    let module = module.to_str().expect("UTF-8");
    let dir = place();
    for (text, before) in [
        ("version = 1\n", ""),
        ("version = 1\n[env.set]\nMODE = \"a\"\n", "MODE=a\0"),
        ("version = 1\n[env]\npass = [] # none\n", ""),
        ("version = 1\nextends = \"compute\"\n", ""),
    ] {
        set_policy(dir.path(), text);
        assert_eq!(run(dir.path(), module).1.stdout, before);
        let answer = why(dir.path(), &["--env", "KNOWN"]);
        assert_eq!(answer["allowed"], false);
        apply(dir.path(), &answer);
        assert_eq!(why(dir.path(), &["--env", "KNOWN"])["allowed"], true);
        let after = run(dir.path(), module).1.stdout;
        assert_eq!(after, format!("KNOWN=from outside\0{before}"), "{text}");
        assert_eq!(why(dir.path(), &["--env", "MODE"])["allowed"], !before.is_empty());
    }
    // One that is not there is a refusal, and `why` says so.
    let answer = why(dir.path(), &["--env", "UNKNOWN"]);
    assert!(answer["notes"].to_string().contains("is refused, with status 125"), "{answer:#}");
    apply(dir.path(), &answer);
    assert_eq!(run(dir.path(), module).0, 125);
}

/// Whether a server under `p.toml` answers a connection from this host.
fn answers(dir: &Path) -> bool {
    let echo = source("examples/echo.wat");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(["run", "--policy", "p.toml"]).arg(&echo).current_dir(dir);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("wave starts");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("wave: listening on ").unwrap_or_else(|| panic!("{line}"));
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut text = String::new();
    let sent = stream.write_all(b"hello").and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let read = stream.read_to_string(&mut text);
    child.kill().expect("own child");
    child.wait().expect("own child");
    sent.is_ok() && read.is_ok() && text == "hello"
}

#[test]
fn t41_each_answer_about_a_peer_is_what_a_run_does() {
    let dir = place();
    let listens = "version = 1\n[net]\nlisten = [\"127.0.0.1:0\"]\n";
    for (networks, allowed) in
        [("", true), ("accept_from = [\"127.0.0.0/8\"]\n", true), ("accept_from = [\"10.0.0.0/8\"] # far\n", false)]
    {
        set_policy(dir.path(), &format!("{listens}{networks}"));
        let answer = why(dir.path(), &["--accept-from", "127.0.0.1"]);
        assert_eq!(answer["allowed"], allowed, "{networks}: {answer:#}");
        assert_eq!(answers(dir.path()), allowed, "{networks}");
        if !allowed {
            apply(dir.path(), &answer);
            assert_eq!(why(dir.path(), &["--accept-from", "127.0.0.1"])["allowed"], true);
            assert!(answers(dir.path()));
        }
    }
    set_policy(dir.path(), "version = 1\n");
    assert_eq!(why(dir.path(), &["--accept-from", "127.0.0.1"])["allowed"], false);
    let answer = why(dir.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(answer["allowed"], false);
    apply(dir.path(), &answer);
    assert_eq!(why(dir.path(), &["--listen", "127.0.0.1:0"])["allowed"], true);
    assert!(answers(dir.path()));
}

/// The texts, exactly. `WAVE_BLESS=1` writes them anew.
#[test]
fn answers_read_well() {
    let dir = place();
    set_policy(
        dir.path(),
        "version = 1\n\n[wasi]\nfunctions = [\"path_open\", \"fd_read\", \"fd_write\", \"path_unlink_file\"]\n\n\
         [[fs]]\nhost = \"data\"\nguest = \"/data\"\naccess = \"ro\" # for now\n\n[env.set]\nMODE = \"test\"\n",
    );
    let mut text = String::new();
    for question in [
        "--path /data/note --op read",
        "--path /data/note --op write",
        "--path /data/../p.toml --op read",
        "--path /srv/other/file --op read",
        "--path /data/note --op delete",
        "--connect 10.0.0.1:80",
        "--listen 127.0.0.1:8080",
        "--accept-from 10.0.0.1",
        "--syscall openat2",
        "--syscall execve",
        "--syscall mkdirat",
        "--function path_unlink_file",
        "--env MODE",
        "--env KNOWN",
    ] {
        let args: Vec<_> = ["why", "--policy", "p.toml"].into_iter().chain(question.split(' ')).collect();
        let said = wave(dir.path(), &args);
        assert_eq!(said.stderr, "");
        text += &format!("$ wave why --policy p.toml {question}\n{}", said.stdout);
    }
    let file = source("tests/why/answers.txt");
    if std::env::var_os("WAVE_BLESS").is_some() {
        fs::write(&file, &text).expect("the source can be written");
    }
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), text);
}

/// Nothing of a question or a policy reaches the terminal as it is (T75).
#[test]
fn t75_hostile_names_are_escaped() {
    let dir = place();
    let escape = "\u{1b}[2J\u{202e}";
    set_policy(dir.path(), "version = 1\n[env.set]\n\"A\\u001B\" = \"\\u202E\"\n");
    for format in ["text", "json"] {
        for question in [["--path", escape, "--op", "read"].as_slice(), &["--env", escape]] {
            let said = wave(dir.path(), &[&["why", "--policy", "p.toml", "--format", format], question].concat());
            assert_eq!(said.status.code(), Some(1));
            let harmful = |c: char| c != '\n' && wave_policy::harmful(c);
            assert!(!said.stdout.contains(harmful), "{:?}", said.stdout);
            assert!(said.stdout.contains("1b"), "{:?}", said.stdout);
        }
    }
}

#[test]
fn questions_are_one_at_a_time() {
    let dir = place();
    set_policy(dir.path(), "version = 1\n");
    for args in [
        &[][..],
        &["--path", "x"],
        &["--op", "read"],
        &["--env", "A", "--syscall", "read"],
        &["--env", "A", "--op", "read"],
    ] {
        let said = wave(dir.path(), &[&["why", "--policy", "p.toml"], args].concat());
        assert_eq!((said.status.code(), &*said.stdout), (Some(2), ""), "{args:?}");
    }
    assert_eq!(wave(dir.path(), &["why", "--policy", "q.toml", "--env", "A"]).status.code(), Some(125));
}
