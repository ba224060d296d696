//! Small components, as text. Each misuse ends the program, and its neighbour, which does the same in the way that is right, returns.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wave_test_support::components::write_component;
use wave_test_support::user::User;
use wave_test_support::{
    Outcome, Wave, assert_tree, fill, finish, place_for_programs, source, tree, wave, writable_dir,
};

/// A program of this directory, in the frame unless it is a whole component, in a place where every user may run it.
struct Program {
    place: TempDir,
    path: PathBuf,
}

impl Program {
    fn new(name: &str) -> Self {
        let read = |name: &str| fs::read_to_string(source("tests/components").join(name)).expect("kept in the tree");
        let mut text = read(&format!("{name}.wat"));
        if !text.contains("(component") {
            text = read("frame.wat").replace("    ;; PROGRAM\n", &text);
        }
        Self::of(&text)
    }

    fn of(text: &str) -> Self {
        let place = place_for_programs();
        let path = write_component(text, place.path(), "program.wasm");
        Self { place, path }
    }

    /// A run by this user.
    fn by(&self, user: User) -> Wave {
        let mut command = Command::new(self.place.path().join(wave().file_name().expect("it has a name")));
        user.runs(&mut command);
        command.args(["--sandbox", "strict", "run"]).current_dir(self.place.path());
        Wave::program(command)
    }

    fn run(&self, run: Wave, args: &[&str]) -> Outcome {
        run.run(&self.path, args)
    }
}

#[test]
fn arguments_and_environment_arrive() {
    let program = Program::new("words");
    for user in User::available() {
        let run = program.by(*user).env("A=1").env("B=zwei ü").env("EMPTY=");
        let stdout = "program.wasm\none\n\ntwo words\n\u{1f6a9}\nA=1\nB=zwei ü\nEMPTY=\n";
        program.run(run, &["one", "", "two words", "\u{1f6a9}"]).is(0, stdout, "");
        program.run(program.by(*user), &[]).is(0, "program.wasm\n", "");
    }
    // More than any buffer for them holds at once.
    let many: Vec<String> = (0..5000).map(|number| format!("argument {number}")).collect();
    let words: Vec<&str> = many.iter().map(String::as_str).collect();
    let stdout = format!("program.wasm\n{}\n", many.join("\n"));
    program.run(Wave::strict(), &words).is(0, &stdout, "");
}

#[test]
fn each_end_has_its_code() {
    let program = Program::new("ends");
    for user in User::available() {
        for (argument, code) in [("0", 0), ("1", 1), ("2", 0), ("3", 1)] {
            program.run(program.by(*user), &[argument]).is(code, "", "");
        }
        // A result that is neither `ok` nor `err`.
        let trap = program.run(program.by(*user), &["4"]);
        assert_eq!(trap.status.code(), Some(134), "{trap:?}");
    }
}

#[test]
fn standard_input_is_copied_to_its_end() {
    let program = Program::new("cat");
    let long = "a line that is copied, and copied again\n".repeat(10_000);
    for user in User::available() {
        for way in ["0", "1", "2"] {
            for text in ["", "x", "two\nlines", &long] {
                program.run(program.by(*user).stdin(text.as_bytes()), &[way]).is(0, text, "");
            }
        }
    }
    // From a file, and from nowhere.
    let dir = writable_dir();
    fill(dir.path(), &[("in", &long)]);
    for way in ["0", "1", "2"] {
        for (file, text) in [(dir.path().join("in"), &*long), ("/dev/null".into(), "")] {
            let mut command = Wave::strict().command(&program.path);
            command.arg(way).stdin(fs::File::open(file).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
            finish(command.spawn().unwrap()).is(0, text, "");
        }
    }
}

/// A directory with something of each kind, and a secret beside it.
fn granted() -> (TempDir, PathBuf) {
    let dir = writable_dir();
    fill(dir.path(), &[("data/inside", "inside\n"), ("data/sub/deep", "deep\n"), ("secret", "not granted\n")]);
    symlink("../secret", dir.path().join("data/out")).unwrap();
    symlink("/etc/passwd", dir.path().join("data/absolute")).unwrap();
    symlink("inside", dir.path().join("data/in")).unwrap();
    symlink("turn", dir.path().join("data/turn")).unwrap();
    let data = dir.path().join("data");
    (dir, data)
}

#[test]
fn a_directory_is_listed() {
    let program = Program::new("list");
    let (dir, data) = granted();
    let before = tree(dir.path());
    for user in User::available() {
        let seen = program.run(program.by(*user).dir(&data, "/", "ro"), &[]);
        let mut lines: Vec<_> = seen.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["3 sub", "5 absolute", "5 in", "5 out", "5 turn", "6 inside"], "{seen:?}");
        assert_eq!((seen.status.code(), &*seen.stderr), (Some(0), ""), "{seen:?}");
    }
    assert_eq!(tree(dir.path()), before);
    // More entries than a buffer for them holds.
    let many = writable_dir();
    let names: Vec<String> = (0..1500).map(|number| format!("6 a name that takes some room {number:04}")).collect();
    names.iter().for_each(|name| fs::write(many.path().join(&name[2..]), "").unwrap());
    let seen = program.run(Wave::strict().dir(many.path(), "/", "ro"), &[]);
    let mut lines: Vec<_> = seen.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, names);
}

/// T14, T15, T16 and T19 by functions of WASI 0.2. The numbers are those of the enumeration: 15 `loop`, 20 `no-entry`,
/// 24 `not-directory`, 31 `not-permitted`.
#[test]
fn no_path_leaves_the_directory() {
    let program = Program::new("open");
    let (dir, data) = granted();
    let before = tree(dir.path());
    let paths = [
        ("inside", "inside\n"),
        ("sub/../inside", "inside\n"),
        ("./sub//deep", "deep\n"),
        ("in", "inside\n"),
        (".", "unreadable\n"),
        ("../secret", "31\n"),
        ("..", "31\n"),
        ("sub/../../secret", "31\n"),
        ("sub/../../data/inside", "31\n"),
        ("/etc/passwd", "31\n"),
        ("out", "31\n"),
        ("absolute", "31\n"),
        ("turn", "15\n"),
        ("none", "20\n"),
        ("inside/x", "24\n"),
        ("", "20\n"),
    ];
    for user in User::available() {
        for resolver in ["auto", "manual"] {
            for (path, seen) in paths {
                let run = program.by(*user).flag("--resolver", resolver).dir(&data, "/", "ro");
                let outcome = program.run(run, &[path]);
                assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(0), seen), "{path}: {outcome:?}");
            }
        }
    }
    assert_eq!(tree(dir.path()), before);
    // Without a directory, there is none to open anything in.
    let trap = program.run(Wave::strict(), &["inside"]);
    assert_eq!(trap.status.code(), Some(134), "{trap:?}");
}

#[test]
fn what_is_ready_first_ends_the_wait() {
    let program = Program::new("wait");
    for user in User::available() {
        // Input that is there, and input that has ended.
        program.run(program.by(*user).stdin(b"x"), &["99"]).is(0, "0\n", "");
        program.run(program.by(*user), &["99"]).is(0, "0\n", "");
        // Nothing comes: the clock.
        let begun = Instant::now();
        let mut child = program.by(*user).spawn(&program.path, ["20"]);
        let silent = child.stdin.take();
        finish(child).is(0, "1\n", "");
        assert!(begun.elapsed() >= Duration::from_millis(200));
        drop(silent);
        // Something comes, but late.
        let mut child = program.by(*user).spawn(&program.path, ["99"]);
        let mut late = child.stdin.take().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        late.write_all(b"x").unwrap();
        finish(child).is(0, "0\n", "");
    }
}

/// What each number does is in `misuse.wat`.
#[test]
fn a_misuse_is_a_trap_and_its_neighbour_is_none() {
    let program = Program::new("misuse");
    let dir = writable_dir();
    fill(dir.path(), &[("text", "text\n")]);
    let traps = [
        (1, "trap:a_handle_that_is_not_open"),
        (2, "trap:a_handle_of_another_type"),
        (3, "trap:a_handle_of_another_type"),
        (4, "trap:a_handle_that_is_not_open"),
        (5, "trap:a_handle_that_is_not_open"),
        (6, "trap:a_handle_that_is_not_open"),
        // Wasmtime writes what was not permitted if it can. The text of `write` says that it traps.
        (7, "trap:a_write_beyond_the_permit_of_check_write"),
        (8, "trap:a_write_beyond_the_permit_of_check_write"),
        (9, "trap:a_handle_that_is_dropped_before_its_children"),
        (10, "trap:a_poll_of_nothing"),
        (11, "trap:a_handle_of_another_type"),
        (12, "trap:a_pointer_that_is_not_aligned"),
        (13, "trap:a_pointer_that_is_not_aligned"),
        (14, "write_count"),
        (15, "copy_in"),
        (16, "trap:a_string_that_is_not_utf_8"),
        (17, "trap:a_handle_that_is_not_open"),
        (18, "trap:an_enum_or_variant_without_such_a_case"),
    ];
    for user in User::available() {
        for (case, name) in traps {
            let run = || program.by(*user).dir(dir.path(), "/", "ro");
            let trap = program.run(run(), &[&case.to_string()]);
            assert_eq!((trap.status.code(), &*trap.stdout), (Some(134), ""), "{case}: {trap:?}");
            assert!(trap.stderr.contains(&format!("\n  at wasi.{name} (0x")), "{case}: {trap:?}");
            let right = program.run(run(), &[&(case + 20).to_string()]);
            assert_eq!((right.status.code(), &*right.stderr), (Some(0), ""), "{case}: {right:?}");
        }
    }
    assert_tree(dir.path(), &["text: text\\n"]);
}

#[test]
fn three_components_work_as_one() {
    let program = Program::new("composed");
    for user in User::available() {
        program.run(program.by(*user), &[]).is(0, "grüße\nsaid grüße\n", "");
    }
}

#[test]
fn the_example_says_hello() {
    let program = Program::of(&fs::read_to_string(source("examples/components/hello.wat")).unwrap());
    for user in User::available() {
        program.run(program.by(*user), &[]).is(0, "Hello from a component!\n", "");
    }
}
