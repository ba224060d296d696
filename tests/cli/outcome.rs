//! `--outcome`: every way in which a run ends is told apart, whatever the program does to look like another.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wave_test_support::{Outcome, Wave, example, give_to_guest, source, tree, wat, writable_dir};

/// Each exit code that means something, and a message that a program can print to look so.
const FAKES: [(u32, &str); 9] = [
    (2, "error: unexpected argument"),
    (124, "wave: time limit of 1s reached"),
    (124, "wave: fuel of 1 used up"),
    (125, "wave: cannot apply landlock"),
    (126, "wave: not a module"),
    (127, "wave: no such file"),
    (134, "wave: trap: unreachable"),
    (137, "wave: out of memory"),
    (159, "wave: denied system call execve (59)"),
];

/// A run whose outcome is read afterwards.
struct Observed {
    dir: tempfile::TempDir,
}

impl Observed {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("outcome.json")
    }

    fn flag(&self, wave: Wave) -> Wave {
        wave.flag("--outcome", self.path().to_str().expect("UTF-8"))
    }

    /// The object, after it was compared with the schema.
    #[track_caller]
    fn read(&self) -> Value {
        let text = fs::read_to_string(self.path()).expect("an outcome");
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(text.lines().count(), 1, "{text}");
        let schema = fs::read_to_string(source("docs/outcome.schema.json")).expect("the schema");
        let schema: Value = serde_json::from_str(&schema).expect("the schema is JSON");
        assert_eq!(differences(&schema, &value, "outcome"), [""; 0], "{value:#}");
        value
    }
}

/// Runs a module text and returns what was printed, and the outcome.
#[track_caller]
fn run(wave: Wave, text: &str) -> (Outcome, Value) {
    let observed = Observed::new();
    let (_dir, module) = wat(text);
    let printed = observed.flag(wave).run(module, [""; 0]);
    let value = observed.read();
    assert_eq!(Some(value["exit_code"].clone()), printed.status.code().map(Value::from));
    (printed, value)
}

/// A program that prints a text to standard error and exits.
fn prints_and_exits(text: &str, code: u32) -> String {
    format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "\10\00\00\00{:02}\00\00\00")
             (data (i32.const 16) "{text}\n")
             (func (export "_start")
               (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
               (call $exit (i32.const {code}))))"#,
        format!("\\{:02x}", text.len() + 1)
    )
}

#[test]
fn a_program_that_looks_like_another_end_has_exited() {
    for (code, text) in FAKES {
        let (printed, value) = run(Wave::strict(), &prints_and_exits(text, code));
        printed.is(code as i32, "", &format!("{text}\n"));
        assert_eq!(value["ending"], json!({"kind": "exited", "code": code}));
        assert_eq!(value["streams"]["written_bytes"], text.len() + 1);
    }
    let (_, value) = run(Wave::strict(), &prints_and_exits("", 256));
    assert_eq!((&value["exit_code"], &value["ending"]["code"]), (&json!(125), &json!(256)));
    let (_, value) = run(Wave::strict(), r#"(module (func (export "_start")))"#);
    assert_eq!(value["ending"], json!({"kind": "exited", "code": 0}));
}

#[test]
fn a_trap_has_its_frames() {
    let (_, value) = run(Wave::strict(), r#"(module (func $f unreachable) (func $g (export "_start") (call $f)))"#);
    assert_eq!((&value["exit_code"], &value["ending"]["kind"]), (&json!(134), &json!("trapped")));
    assert_eq!(value["ending"]["trap"], "unreachable");
    let names = value["ending"]["frames"].as_array().expect("frames").iter().map(|frame| frame["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["f", "g"]);
}

#[test]
fn a_frame_has_the_name_of_the_module_and_of_the_source() {
    let text = r#"(module (func $"_ZN3app4failEi" unreachable) (func $g (export "_start") (call $"_ZN3app4failEi")))"#;
    let (_, value) = run(Wave::strict(), text);
    let [fail, start] = value["ending"]["frames"].as_array().expect("frames").as_slice() else { panic!("{value}") };
    assert_eq!((&fail["name"], &fail["demangled"]), (&json!("_ZN3app4failEi"), &json!("app::fail(int)")));
    assert_eq!((&start["name"], &start["demangled"]), (&json!("g"), &Value::Null));
}

/// The names of a program take as much room as it likes, and its end is reported all the same.
#[test]
fn frames_with_long_names_make_room_for_the_innermost() {
    let name = "\u{1}".repeat(1000);
    let text = format!(
        r#"(module
             (func $"{name}" (param i32)
               (if (i32.eqz (local.get 0)) (then unreachable))
               (call $"{name}" (i32.sub (local.get 0) (i32.const 1))))
             (func $g (export "_start") (call $"{name}" (i32.const 100))))"#
    )
    .replace('\u{1}', "\\01");
    let (_, value) = run(Wave::strict(), &text);
    assert_eq!((&value["exit_code"], &value["ending"]["kind"]), (&json!(134), &json!("trapped")), "{value}");
    let frames = value["ending"]["frames"].as_array().expect("frames");
    assert!((20..64).contains(&frames.len()), "{}", frames.len());
    assert!(frames.iter().all(|frame| frame["name"] == name));
}

#[test]
fn limits_and_raised_signals_have_kinds_of_their_own() {
    let spin = r#"(module (func (export "_start") (loop (br 0))))"#;
    let (_, value) = run(Wave::strict().flag("--timeout", "100ms"), spin);
    assert_eq!((&value["exit_code"], &value["ending"]["kind"]), (&json!(124), &json!("time_limit")));
    assert!(value["time"]["wall_us"].as_u64() >= Some(100_000), "{value}");
    assert!(value["time"]["user_us"].as_u64() > Some(0), "{value}");
    assert_eq!(value["fuel_used"], Value::Null);
    let (_, value) = run(Wave::strict().flag("--fuel", "100"), spin);
    assert_eq!((&value["exit_code"], &value["ending"]["kind"]), (&json!(124), &json!("out_of_fuel")));
    assert_eq!(value["fuel_used"], 100);
    let raise = r#"(module (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
        (memory (export "memory") 1) (func (export "_start") (drop (call $raise (i32.const 15)))))"#;
    let (_, value) = run(Wave::strict(), raise);
    assert_eq!(value["exit_code"], 143);
    assert_eq!(value["ending"], json!({"kind": "raised", "signal": 15, "name": "SIGTERM"}));
}

#[test]
fn what_did_not_run_is_refused_with_the_reason() {
    let observed = Observed::new();
    let refusal = |wave: Wave, module: &Path| {
        let printed = observed.flag(wave).run(module, [""; 0]);
        let value = observed.read();
        assert_eq!((value["ending"]["kind"].as_str(), &value["sandbox"]), (Some("refused"), &Value::Null));
        let what = value["ending"]["what"].as_str().expect("a text").to_owned();
        assert!(printed.stderr.contains(&what), "{what}: {}", printed.stderr);
        (printed.status.code().expect("an exit code"), value)
    };
    let hello = source("examples/hello.wat");
    assert_eq!(refusal(Wave::strict(), Path::new("missing.wasm")).0, 127);
    assert_eq!(refusal(Wave::strict(), &source("README.md")).0, 126);
    let (code, value) = refusal(Wave::strict().flag("--dir", "missing::/d"), &hello);
    assert_eq!((code, value["module"]["blake3"].clone()), (125, Value::Null));
    let (code, value) = refusal(Wave::strict().flag("--max-memory", "1K"), &hello);
    assert_eq!((code, value["ending"]["limit"].as_str()), (137, Some("max-memory")));
}

#[test]
fn a_denied_system_call_is_named() {
    let observed = Observed::new();
    let mut command = Command::new(example("narrowed"));
    command.args(["guest", "write", "run"]);
    let printed = observed.flag(Wave::program(command)).run(source("examples/hello.wat"), [""; 0]);
    assert_eq!(printed.status.code(), Some(159), "{}", printed.stderr);
    assert_eq!(observed.read()["ending"], json!({"kind": "denied_system_call", "number": 1, "name": "write"}));
}

/// A program that says that it runs, and waits for its standard input.
const WAITS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00") (data (i32.const 16) "\n")
    (func (export "_start")
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

/// The only child of a process.
fn child_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its children");
    children.trim().parse().unwrap_or_else(|_| panic!("one child: {children}"))
}

/// Sends a signal to a run that waits, or to the process that waits for it, and returns the outcome.
#[track_caller]
fn killed(signal: &str, victim: fn(u32) -> u32) -> Value {
    let observed = Observed::new();
    let (_dir, module) = wat(WAITS);
    let mut child = observed.flag(Wave::strict()).spawn(&module, [""; 0]);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("stdout is piped")).read_line(&mut line).expect("it runs");
    let inside = child_of(child.id());
    // The process of the run does not have the place that is written to.
    for fd in fs::read_dir(format!("/proc/{inside}/fd")).into_iter().flatten().flatten() {
        assert_ne!(fs::read_link(fd.path()).ok(), Some(observed.path()), "{fd:?}");
    }
    // Waiting for a child closes its standard input, and this one would end.
    let _open = child.stdin.take();
    let sent = Command::new("kill").args([signal, &victim(child.id()).to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let code = child.wait().expect("own child").code();
    let value = observed.read();
    assert_eq!(code.map(Value::from), Some(value["exit_code"].clone()));
    value
}

#[test]
fn a_signal_from_outside_is_told_from_one_that_was_raised() {
    let value = killed("-KILL", child_of);
    assert_eq!(
        (&value["exit_code"], &value["ending"]),
        (&json!(137), &json!({"kind": "killed", "signal": 9, "name": "SIGKILL", "program_was_running": true}))
    );
    let value = killed("-TERM", |waiting| waiting);
    assert_eq!(
        (&value["exit_code"], &value["ending"]),
        (&json!(143), &json!({"kind": "killed", "signal": 15, "name": "SIGTERM", "program_was_running": true}))
    );
    assert_eq!(value["sandbox"]["level"], "strict");
}

#[test]
fn calls_bytes_and_denials_are_counted() {
    let granted = writable_dir();
    let file = granted.path().join("in");
    fs::write(&file, "12345").expect("written");
    give_to_guest(&file);
    let text = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
        (memory (export "memory") 2)
        (data (i32.const 0) "\40\00\00\00\20\00\00\00") (data (i32.const 16) "in") (data (i32.const 20) "../in")
        (func (export "_start")
          (drop (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 2) (i32.const 0)
            (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 32)))
          (drop (call $open (i32.const 3) (i32.const 0) (i32.const 20) (i32.const 5) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 36)))
          (drop (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 36)))
          (drop (call $write (i32.const 99) (i32.const 0) (i32.const 1) (i32.const 36)))
          ;; From now on, descriptor 1 is the file.
          (drop (call $renumber (i32.load (i32.const 32)) (i32.const 1)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 36)))))"#;
    let (printed, value) = run(Wave::strict().dir(granted.path(), "/d", "rw"), text);
    printed.is(0, "", "");
    let calls = |function, calls, failed, denied| json!({"function": function, "calls": calls, "failed": failed, "denied": denied});
    let expected = [
        calls("fd_read", 1, 0, 0),
        calls("fd_renumber", 1, 0, 0),
        calls("fd_write", 2, 1, 0),
        calls("path_open", 2, 1, 1),
    ];
    assert_eq!(value["hostcalls"], json!(expected));
    let denial = json!({"reason": "the path leads out of the granted directory", "calls": 1});
    assert_eq!(value["denials"], json!([denial]));
    assert_eq!(
        value["files"],
        json!({"opened": 1, "opened_to_write": 1, "read_bytes": 5, "written_bytes": 32}),
        "{value}"
    );
    assert_eq!(value["streams"], json!({"read_bytes": 0, "written_bytes": 0}));
    assert_eq!(value["memory"]["linear_bytes"], 131_072);
    assert_eq!(fs::read(file).expect("the file").len(), 37);
}

#[test]
fn the_outcome_goes_to_a_descriptor_or_a_file_of_the_callers() {
    let observed = Observed::new();
    let script = format!("exec 7>'{}'; exec \"$@\"", observed.path().display());
    let hello = source("examples/hello.wat");
    let wave = || Wave::strict().flag("--outcome", "fd:7");
    wave().by_shell(&script).run(&hello, [""; 0]).is(0, "Hello from inside the sandbox!\n", "");
    assert_eq!(observed.read()["exit_code"], 0);
    // A pipe that is also the program's.
    let printed = wave().by_shell("exec \"$@\" 7>&1").run(&hello, [""; 0]);
    assert_eq!((printed.status.code(), &*printed.stdout), (Some(125), ""));
    assert!(printed.stderr.contains("it is a standard stream"), "{}", printed.stderr);
    for (place, code) in [("fd:1", 2), ("fd:x", 2), ("fd:-1", 2), ("fd:999", 125), ("/missing/outcome", 125)] {
        let printed = Wave::strict().flag("--outcome", place).run(&hello, [""; 0]);
        assert_eq!((printed.status.code(), &*printed.stdout), (Some(code), ""), "{place}");
        assert!(printed.stderr.contains(&format!("  where: --outcome {place}\n")), "{place}: {}", printed.stderr);
    }
}

#[test]
fn no_program_writes_its_own_outcome() {
    let granted = writable_dir();
    let place = granted.path().join("outcome.json");
    let wave = |access| {
        let wave = Wave::strict().dir(granted.path(), "/d", access);
        wave.flag("--outcome", place.to_str().expect("UTF-8"))
    };
    let hello = source("examples/hello.wat");
    let printed = wave("rw").run(&hello, [""; 0]);
    assert_eq!((printed.status.code(), &*printed.stdout), (Some(125), ""));
    assert!(printed.stderr.contains("the program could write its own outcome"), "{}", printed.stderr);
    wave("ro").run(&hello, [""; 0]).is(0, "Hello from inside the sandbox!\n", "");
    assert_eq!(tree(granted.path()).len(), 1, "{:?}", tree(granted.path()));
}

/// The program of an earlier run may have left a link where the outcome is to be.
#[test]
fn an_outcome_empties_no_file_behind_a_link_of_a_program() {
    let (granted, own) = (writable_dir(), tempfile::tempdir().expect("a temporary directory"));
    let precious = own.path().join("precious");
    fs::write(&precious, "precious").expect("own directory");
    symlink(&precious, granted.path().join("link")).expect("linked");
    symlink(own.path(), granted.path().join("way")).expect("linked");
    symlink(granted.path().join("link"), own.path().join("through")).expect("linked");
    let policy = own.path().join("p.toml");
    let host = granted.path().display();
    let text = format!("version = 1\n[[fs]]\nhost = \"{host}\"\nguest = \"/d\"\naccess = \"rw\"\n");
    fs::write(&policy, text).expect("own directory");
    let hello = source("examples/hello.wat");
    let wave = |access, place: &Path| {
        let wave = Wave::strict().dir(granted.path(), "/d", access);
        wave.flag("--outcome", place.to_str().expect("UTF-8")).run(&hello, [""; 0])
    };
    let before = tree(granted.path());
    let places = ["new", "link", "way/new", "way/../new"].map(|place| granted.path().join(place));
    for place in places.iter().chain([&own.path().join("through")]) {
        let by_policy = Wave::strict().flag("--policy", policy.to_str().expect("UTF-8"));
        let by_policy = by_policy.flag("--outcome", place.to_str().expect("UTF-8")).run(&hello, [""; 0]);
        // Another grant that makes no sense hides none.
        let beside = Wave::strict().dir(granted.path(), "/d", "rw").flag("--dir", "missing::/m");
        let beside = beside.flag("--outcome", place.to_str().expect("UTF-8")).run(&hello, [""; 0]);
        for printed in [wave("rw", place), by_policy, beside] {
            assert_eq!((printed.status.code(), &*printed.stdout), (Some(125), ""), "{}", place.display());
            assert!(
                printed.stderr.starts_with("wave: the program could write its own outcome: "),
                "{}",
                printed.stderr
            );
        }
        assert_eq!(fs::read_to_string(&precious).expect("it is there"), "precious");
        assert_eq!(tree(granted.path()), before);
    }
    // The neighbours: the same links where the program cannot make any, and a file beside the grant.
    for place in [&places[1], &precious] {
        wave("ro", place).is(0, "Hello from inside the sandbox!\n", "");
        assert!(fs::read_to_string(&precious).expect("it is there").contains(r#""kind":"exited""#));
    }
    let printed = wave("rw", &precious);
    printed.is(0, "Hello from inside the sandbox!\n", "");
}

/// What differs between a value and its schema, as far as this schema goes: types, fields, fixed words, alternatives.
fn differences(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let fitting = alternatives.iter().filter(|schema| differences(schema, value, at).is_empty()).count();
        return if fitting == 1 { Vec::new() } else { vec![format!("{at} fits {fitting} alternatives")] };
    }
    if let Some(word) = schema.get("const") {
        return if word == value { Vec::new() } else { vec![format!("{at} is not {word}")] };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allows =
        |schema: &Value| *schema == kind || schema.as_array().is_some_and(|all| all.iter().any(|one| one == kind));
    if !allows(&schema["type"]) {
        return vec![format!("{at} is {kind}, not {}", schema["type"])];
    }
    let mut found = Vec::new();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(differences(&schema["items"], item, &format!("{at}[{index}]")));
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, field) in fields {
            match known.get(name) {
                Some(schema) => found.extend(differences(schema, field, &format!("{at}.{name}"))),
                None => found.push(format!("{at}.{name} is not in the schema")),
            }
        }
        let missing = known.keys().filter(|name| !fields.contains_key(*name));
        found.extend(missing.map(|name| format!("{at}.{name} is missing")));
    }
    found
}
