//! Each program of `examples/` under the strict sandbox: output, exit code and the host's files, all exactly; and beside each
//! refusal its permitted neighbor.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wave_test_support::{Wave, assert_tree, c_example, fill, source, writable_dir};

/// No arguments for the guest.
const NONE: [&str; 0] = [];

/// wasi-libc's text for the errno of everything that no grant allows.
const REFUSED: &str = "Capabilities insufficient";

#[test]
fn hello_prints_one_line() {
    Wave::strict().run(source("examples/hello.wat"), NONE).is(0, "Hello from inside the sandbox!\n", "");
}

#[test]
fn args_are_passed_byte_for_byte() {
    let args = ["a", "b c", "", "--dir", "größer"];
    Wave::strict().run(source("examples/args.wat"), args).is(0, "a\nb c\n\n--dir\ngrößer\n", "");
    Wave::strict().run(source("examples/args.wat"), NONE).is(0, "", "");
}

#[test]
fn exit_codes_pass_through() {
    Wave::strict().run(source("examples/exit.wat"), NONE).is(3, "", "");
    for code in [0, 1, 42, 125, 126, 127, 134, 255] {
        Wave::strict().run(source("examples/exit.wat"), [code.to_string()]).is(code, "", "");
    }
}

#[test]
fn trap_names_the_chain_of_functions() {
    let trap = Wave::strict().run(source("examples/trap.wat"), NONE);
    trap.is_trap("unreachable", &["parse_line", "load_config", "_start"]);
}

/// An interpreter, and its copy that weval has specialized to the interpreted program.
#[test]
fn a_specialized_interpreter_prints_the_same() {
    for name in ["interpreted", "specialized"] {
        Wave::strict().run(source(&format!("examples/weval/{name}.wat")), NONE).is(0, "35669673\n", "");
    }
}

#[test]
fn show_prints_a_file_of_its_directory() {
    let dir = writable_dir();
    let long = "0123456789".repeat(20_000);
    fill(dir.path(), &[("data/note", "granted\n"), ("data/long", &long), ("secret", "not granted\n")]);
    let show = |path: &str| {
        Wave::strict().dir(&dir.path().join("data"), "/data", "ro").run(source("examples/show.wat"), [path])
    };
    show("note").is(0, "granted\n", "");
    show("long").is(0, &long, "");
    // NOTCAPABLE and NOENT.
    show("../secret").is(76, "", "");
    show("absent").is(44, "", "");
}

#[test]
fn cat_reads_what_is_granted_and_nothing_else() {
    let Some(cat) = c_example("cat") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("data/note", "granted\n"), ("secret", "not granted\n")]);
    let data = dir.path().join("data");
    symlink("note", data.join("inside")).unwrap();
    symlink("../secret", data.join("outside")).unwrap();
    symlink(dir.path().join("secret"), data.join("absolute")).unwrap();
    let granted = || Wave::strict().dir(&data, "/data", "ro");

    granted().run(&cat, ["/data/note", "/data/inside"]).is(0, "granted\ngranted\n", "");
    let through_the_grant = ["/data/outside", "/data/absolute", "/data/../secret"];
    let past_it = ["/secret", "/etc/passwd", "secret", "../secret"];
    for path in through_the_grant.iter().chain(&past_it) {
        granted().run(&cat, [path]).is(1, "", &format!("cat: {path}: {REFUSED}\n"));
    }
    granted().run(&cat, ["/data/none"]).is(1, "", "cat: /data/none: No such file or directory\n");
}

#[test]
fn cat_copies_standard_input() {
    let Some(cat) = c_example("cat") else { return };
    let text = "0123456789abcdef".repeat(20_000);
    Wave::strict().stdin(text.as_bytes()).run(&cat, NONE).is(0, &text, "");
}

#[test]
fn cp_writes_only_where_writing_is_granted() {
    let Some(cp) = c_example("cp") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("in/a", "bytes\n"), ("in/b", "old"), ("out/b", "a longer text\n")]);
    let granted = || Wave::strict().dir(&dir.path().join("in"), "/in", "ro").dir(&dir.path().join("out"), "/out", "rw");

    for to in ["/in/new", "/in/b"] {
        granted().run(&cp, ["/in/a", to]).is(1, "", &format!("cp: {to}: {REFUSED}\n"));
    }
    granted().run(&cp, ["/in/a", "/out/../in/b"]).is(1, "", &format!("cp: /out/../in/b: {REFUSED}\n"));
    let before = ["in/", "in/a: bytes\\n", "in/b: old", "out/", "out/b: a longer text\\n"];
    assert_tree(dir.path(), &before);

    granted().run(&cp, ["/in/a", "/out/new"]).is(0, "", "");
    granted().run(&cp, ["/in/a", "/out/b"]).is(0, "", "");
    let after = ["in/", "in/a: bytes\\n", "in/b: old", "out/", "out/b: bytes\\n", "out/new: bytes\\n"];
    assert_tree(dir.path(), &after);

    granted().run(&cp, ["/in/a"]).is(2, "", "usage: cp FROM TO\n");
}

#[test]
fn ls_lists_a_directory() {
    let Some(ls) = c_example("ls") else { return };
    let dir = writable_dir();
    let many: Vec<_> = (0..300).map(|i| format!("d/file-{i:03}")).collect();
    let files: Vec<_> = many.iter().map(|name| (&**name, "")).collect();
    fill(dir.path(), &files);
    symlink("d", dir.path().join("link")).unwrap();
    fill(dir.path(), &[("plain", "")]);
    let granted = || Wave::strict().dir(dir.path(), "/", "ro");

    granted().run(&ls, ["/"]).is(0, "d/\nlink@\nplain\n", "");
    let listing: String = (0..300).map(|i| format!("file-{i:03}\n")).collect();
    granted().run(&ls, ["/d"]).is(0, &listing, "");
    granted().run(&ls, ["/plain"]).is(1, "", "ls: /plain: Not a directory\n");
    Wave::strict().run(&ls, ["/"]).is(1, "", &format!("ls: /: {REFUSED}\n"));
    granted().run(&ls, NONE).is(2, "", "usage: ls DIRECTORY...\n");
}

#[test]
fn mkdir_makes_directories_where_granted() {
    let Some(mkdir) = c_example("mkdir") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("file", "")]);
    let granted = |access| Wave::strict().dir(dir.path(), "/d", access);

    granted("ro").run(&mkdir, ["/d/new"]).is(1, "", &format!("mkdir: /d/new: {REFUSED}\n"));
    granted("rw").run(&mkdir, ["/d/../new"]).is(1, "", &format!("mkdir: /d/../new: {REFUSED}\n"));
    assert_tree(dir.path(), &["file: "]);

    granted("rw").run(&mkdir, ["/d/new", "/d/new/below"]).is(0, "", "");
    assert_tree(dir.path(), &["file: ", "new/", "new/below/"]);
    granted("rw").run(&mkdir, ["/d/new"]).is(1, "", "mkdir: /d/new: File exists\n");
    granted("rw").run(&mkdir, ["/d/file/x"]).is(1, "", "mkdir: /d/file/x: Not a directory\n");
    granted("rw").run(&mkdir, NONE).is(2, "", "usage: mkdir DIRECTORY...\n");
}

#[test]
fn rename_moves_between_writable_grants_only() {
    let Some(rename) = c_example("rename") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("a/one", "1"), ("b/two", "2"), ("ro/three", "3")]);
    let granted = || {
        let at = |name| dir.path().join(name);
        Wave::strict().dir(&at("a"), "/a", "rw").dir(&at("b"), "/b", "rw").dir(&at("ro"), "/ro", "ro")
    };

    for (old, new) in [("/ro/three", "/a/three"), ("/a/one", "/ro/one"), ("/ro/three", "/ro/four")] {
        let message = format!("rename: {old} to {new}: {REFUSED}\n");
        granted().run(&rename, [old, new]).is(1, "", &message);
    }
    granted().run(&rename, ["/a/one", "/a/../b/one"]).is(1, "", &format!("rename: /a/one to /a/../b/one: {REFUSED}\n"));
    assert_tree(dir.path(), &["a/", "a/one: 1", "b/", "b/two: 2", "ro/", "ro/three: 3"]);

    granted().run(&rename, ["/a/one", "/a/uno"]).is(0, "", "");
    granted().run(&rename, ["/a/uno", "/b/two"]).is(0, "", "");
    assert_tree(dir.path(), &["a/", "b/", "b/two: 1", "ro/", "ro/three: 3"]);
    granted().run(&rename, ["/a/no", "/a/x"]).is(1, "", "rename: /a/no to /a/x: No such file or directory\n");
    granted().run(&rename, ["/a/no"]).is(2, "", "usage: rename OLD NEW\n");
}

#[test]
fn stat_shows_what_is_there() {
    let Some(stat) = c_example("stat") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("file", "12345"), ("d/below", "")]);
    symlink("/nowhere", dir.path().join("link")).unwrap();
    let moment = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    for name in ["file", "d"] {
        File::open(dir.path().join(name)).unwrap().set_modified(moment).unwrap();
    }
    let granted = || Wave::strict().dir(dir.path(), "/", "ro");

    let stdout = "/file: file, 5 bytes, changed 1700000000.123456789\n/d: directory, changed 1700000000.123456789\n";
    granted().run(&stat, ["/file", "/d"]).is(0, stdout, "");
    let link = granted().run(&stat, ["/link"]);
    assert!(link.stdout.starts_with("/link: link, changed "), "{link:?}");
    granted().run(&stat, ["/none"]).is(1, "", "stat: /none: No such file or directory\n");
    Wave::strict().run(&stat, ["/"]).is(1, "", &format!("stat: /: {REFUSED}\n"));
}

#[test]
fn symlink_cannot_be_made_to_point_at_an_absolute_path() {
    let Some(link) = c_example("symlink") else { return };
    let dir = writable_dir();
    fill(dir.path(), &[("file", "")]);
    let granted = |access| Wave::strict().dir(dir.path(), "/d", access);

    granted("rw").run(&link, ["/etc/passwd", "/d/link"]).is(1, "", &format!("symlink: /d/link: {REFUSED}\n"));
    granted("ro").run(&link, ["file", "/d/link"]).is(1, "", &format!("symlink: /d/link: {REFUSED}\n"));
    assert_tree(dir.path(), &["file: "]);

    granted("rw").run(&link, ["file", "/d/link"]).is(0, "/d/link -> file\n", "");
    assert_tree(dir.path(), &["file: ", "link -> file"]);
    granted("rw").run(&link, ["file", "/d/link"]).is(1, "", "symlink: /d/link: File exists\n");
}

#[test]
fn clock_shows_the_time_of_day() {
    let Some(clock) = c_example("clock") else { return };
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    let run = Wave::strict().run(&clock, NONE);
    let after = now();
    let seconds = run.stdout.strip_prefix("realtime ").and_then(|rest| rest.split('.').next()?.parse().ok());
    let seconds: u64 = seconds.unwrap_or_else(|| panic!("{run:?}"));
    assert!((before..=after).contains(&seconds), "{before} <= {seconds} <= {after}");
    assert_eq!((run.status.code(), &*run.stderr), (Some(0), ""));
}

#[test]
fn random_differs_from_run_to_run() {
    let Some(random) = c_example("random") else { return };
    let one = Wave::strict().run(&random, ["32"]);
    let two = Wave::strict().run(&random, ["32"]);
    for run in [&one, &two] {
        assert_eq!((run.status.code(), &*run.stderr), (Some(0), ""));
        let digits = run.stdout.strip_suffix('\n').unwrap_or_default();
        assert!(digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{run:?}");
    }
    assert_ne!(one.stdout, two.stdout);
    Wave::strict().run(&random, ["0"]).is(2, "", "usage: random [COUNT, 1 to 256]\n");
}

#[test]
fn sleep_takes_as_long_as_it_says() {
    let Some(sleep) = c_example("sleep") else { return };
    let start = std::time::Instant::now();
    Wave::strict().run(&sleep, ["300"]).is(0, "slept 300 ms\n", "");
    assert!(start.elapsed() >= Duration::from_millis(300));
    Wave::strict().run(&sleep, ["soon"]).is(2, "", "usage: sleep MILLISECONDS\n");
}

#[test]
fn raise_calls_the_handler_or_traps() {
    let Some(raise) = c_example("raise") else { return };
    Wave::strict().run(&raise, ["--handle"]).is(0, "caught: Terminated\nstill here\n", "");
    let run = Wave::strict().run(&raise, NONE);
    assert_eq!((run.status.code(), &*run.stdout), (Some(134), ""), "{run:?}");
    assert!(run.stderr.contains("wave: trap: unreachable\n  at abort ("), "{run:?}");
}

#[test]
fn args_and_environment_are_the_granted_ones() {
    let Some(program) = c_example("args_env") else { return };
    Wave::strict().run(&program, ["x"]).is(0, "argv[0] = args_env.wasm\nargv[1] = x\n", "");
    let run = Wave::strict().flag("--argv0", "other").env("ONE=1").env("TWO=a b=c").run(&program, ["", "y z"]);
    run.is(0, "argv[0] = other\nargv[1] = \nargv[2] = y z\nONE=1\nTWO=a b=c\n", "");
}

#[test]
fn loop_ends_at_the_time_limit() {
    let Some(endless) = c_example("loop") else { return };
    let run = Wave::strict().flag("--timeout", "300ms").run(&endless, NONE);
    assert_eq!((run.status.code(), &*run.stdout), (Some(124), "counting\n"), "{run:?}");
}

#[test]
fn every_example_is_in_the_table() {
    let table = fs::read_to_string(source("examples/README.md")).unwrap();
    for entry in fs::read_dir(source("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || table.contains(&format!("`{name}`")), "{name}");
    }
}
