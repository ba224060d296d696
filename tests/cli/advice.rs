//! What `wave` advises never grants more than was typed (T130), and what it prints has nothing in it that steers who reads it (T75).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wave_test_support::{assert_tree, fill, open_to_all, source, tree, wat, writable_dir};

/// Makes a file in the first granted directory; exits with the error number.
const MAKES: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "made")
  (func (export "_start")
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))))"#;

/// `ENOTCAPABLE`: the grant does not permit it.
const NOT_CAPABLE: i32 = 76;

fn wave(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(args).current_dir(dir).stdin(Stdio::null()).output().expect("wave starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A directory `d` that may be granted, with a program beside it.
fn place() -> TempDir {
    let dir = writable_dir();
    fs::write(dir.path().join("makes.wat"), MAKES).unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    open_to_all(&dir.path().join("d"));
    fill(&dir.path().join("d"), &[("there", "x")]);
    dir
}

/// T130: a grant of any other form is refused before anything runs; typing its fix works and grants no more than was typed.
#[test]
fn t130_the_fix_for_a_grant_grants_no_more_than_was_typed() {
    for (typed, fix, makes) in [
        ("d:/data:ro", "--dir d::/data::ro", false),
        ("d:/data:rw", "--dir d::/data::rw", true),
        ("d:/data:append", "--dir d::/data::append", false),
        ("d:/data:z", "--dir d::/data::ro", false),
        ("d:/data:Z", "--dir d::/data::ro", false),
        ("d:/data:O", "--dir d::/data::ro", false),
        ("d:/data:ro,z", "--dir d::/data::ro", false),
        ("d::/data:ro", "--dir d::/data::ro", false),
        ("d::/data,ro", "--dir d::/data::ro", false),
        ("d:/data::ro", "--dir d::/data::ro", false),
        ("d:ro", "--dir d::d::ro", false),
        ("d::ro", "--dir d::d::ro", false),
        ("d,ro", "--dir d::d::ro", false),
        ("d:/data", "--dir d::/data::rw", true),
    ] {
        let place = place();
        let refused = wave(place.path(), &["run", "--dir", typed, "makes.wat"]);
        let said = text(&refused.stderr);
        assert_eq!((refused.status.code(), refused.stdout), (Some(2), Vec::new()), "{typed}: {said}");
        assert!(said.ends_with(&format!("\n  where: --dir {typed}\n  fix:   write {fix}\n")), "{typed}: {said}");
        assert_tree(&place.path().join("d"), &["there: x"]);

        let line = format!("exec \"$0\" run {fix} makes.wat");
        let run = Command::new("sh").args(["-c", &line, env!("CARGO_BIN_EXE_wave")]).current_dir(place.path()).output();
        let run = run.expect("a shell");
        let code = if makes { 0 } else { NOT_CAPABLE };
        assert_eq!((run.status.code(), text(&run.stderr)), (Some(code), String::new()), "{fix}");
        let left = tree(&place.path().join("d"));
        assert_eq!(left, if makes { &["made: ", "there: x"][..] } else { &["there: x"] }, "{fix}");
    }
}

/// A directory whose name has a colon is granted by a policy, where nothing has to be separated.
#[test]
fn a_path_with_a_colon_is_granted_by_a_policy() {
    let place = place();
    fs::rename(place.path().join("d"), place.path().join("d:x")).unwrap();
    let refused = wave(place.path(), &["run", "--dir", "d:x::/data::ro", "makes.wat"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.ends_with("fix:   a path with a colon is granted in a policy file: host = \"…\" of an [[fs]]\n"),
        "{said}"
    );
    for (access, code) in [("ro", NOT_CAPABLE), ("rw", 0)] {
        let policy = format!("version = 1\n[[fs]]\nhost = \"d:x\"\nguest = \"/data\"\naccess = \"{access}\"\n");
        fs::write(place.path().join("p.toml"), policy).unwrap();
        let run = wave(place.path(), &["run", "--policy", "p.toml", "makes.wat"]);
        assert_eq!(run.status.code(), Some(code), "{}", text(&run.stderr));
    }
    assert_tree(&place.path().join("d:x"), &["made: ", "there: x"]);
}

/// A file is granted as it is, and a directory is not granted where a file was meant; no advice is the directory around it.
#[test]
fn t130_no_advice_names_the_directory_around() {
    let place = place();
    let refused = wave(place.path(), &["run", "--file", "d", "makes.wat"]);
    let expected = "wave: cannot preopen `d`: a directory, not a file\n  where: --file d\n  fix:   grant it by --dir\n";
    assert_eq!((refused.status.code(), &*text(&refused.stderr)), (Some(125), expected));
    let shown = wave(place.path(), &["run", "--dry-run", "--dir", "d/there", "makes.wat"]);
    assert!(text(&shown.stdout).contains("fs[0]:    rw file d/there as d/there\n"), "{}", text(&shown.stdout));
}

/// What users of other runtimes type is answered by what there is instead, without "use `-- --x`".
#[test]
fn flags_of_other_tools_are_answered() {
    for (typed, advice) in [
        (&["--mapdir", "/data::d"][..], "--dir HOST::GUEST::ro"),
        (&["-d", "d"], "--dir HOST::GUEST::ro"),
        (&["-v", "d:/data"], "--dir HOST::GUEST::ro"),
        (&["-vd:/data"], "--dir HOST::GUEST::ro"),
        (&["--volume=d:/data"], "--dir HOST::GUEST::ro"),
        (&["--mount", "type=bind,src=d,dst=/data"], "--dir HOST::GUEST::ro"),
        (&["--allow-fs-read=d"], "--dir HOST::GUEST::ro"),
        (&["--allow-write"], "--dir HOST::GUEST::append"),
        (&["-e", "A=b"], "--env NAME=VALUE"),
        (&["--environment", "f"], "--env NAME=VALUE"),
        (&["--inherit-env"], "--env NAME=VALUE"),
        (&["--net"], "--tcplisten ADDRESS:PORT"),
        (&["--network=host"], "--tcplisten ADDRESS:PORT"),
        (&["--addr-pool=1.2.3.4"], "--tcplisten ADDRESS:PORT"),
        (&["-p", "80:80"], "--tcplisten ADDRESS:PORT"),
        (&["--epoch-deadline", "10"], "--timeout TIME"),
        (&["--gas-limit", "10"], "--fuel N"),
        (&["--memory", "64m"], "--max-memory SIZE"),
        (&["--stack-size=65536"], "--max-stack SIZE"),
        (&["--workdir", "d"], "--cwd GUEST"),
        (&["-S", "http"], "WASI preview 1 is always there"),
        (&["-Scli"], "WASI preview 1 is always there"),
        (&["-W", "fuel=10"], "the features are fixed"),
        (&["--enable-threads"], "the features are fixed"),
        (&["-O"], "all code is compiled in one way"),
        (&["--llvm"], "all code is compiled in one way"),
        (&["--allow-child-process"], "starts no processes"),
        (&["--permission"], "starts no processes"),
        (&["-it"], "a run is a process and no container"),
        (&["--cap-drop", "all"], "a run has no capabilities"),
        (&["--entrypoint", "f"], "--invoke FUNCTION"),
        (&["--tiemout", "1s"], "--timeout is probably meant"),
        (&["--nothing-like-it"], "flags of the program follow the module: wave run MODULE --nothing-like-it"),
    ] {
        for command in [&["run"][..], &[]] {
            let output =
                wave(Path::new(env!("CARGO_MANIFEST_DIR")), &[command, typed, &["examples/hello.wat"]].concat());
            let said = text(&output.stderr);
            assert_eq!((output.status.code(), output.stdout), (Some(2), Vec::new()), "{typed:?}: {said}");
            assert!(said.starts_with("wave: `wave run` has no flag -"), "{typed:?}: {said}");
            assert!(said.contains("\n  fix:   ") && said.contains(advice), "{typed:?}: {said}");
            assert!(!said.contains("-- -") && !said.contains("--sandbox"), "{typed:?}: {said}");
        }
    }
    // The neighbor: behind the module it is the program's.
    let run = wave(Path::new(env!("CARGO_MANIFEST_DIR")), &["run", "examples/hello.wat", "--mapdir", "-v"]);
    assert_eq!(run.status.code(), Some(0));
}

#[test]
fn a_word_that_is_nearly_a_command_gets_the_nearest_one() {
    for (word, command) in [
        ("isnpect", "wave inspect"),
        ("aduit", "wave audit"),
        ("verifiy", "wave verify"),
        ("exec", "wave run MODULE"),
        ("serve", "wave run --tcplisten ADDRESS:PORT MODULE, for a program that accepts connections"),
    ] {
        let output = wave(Path::new(env!("CARGO_MANIFEST_DIR")), &[word, "examples/hello.wat"]);
        let expected = format!("wave: no module `{word}`\n  fix:   `{word}` is no command, either; use {command}\n");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(127), expected));
    }
    let file = wave(Path::new(env!("CARGO_MANIFEST_DIR")), &["isnpect.wasm"]);
    assert!(text(&file.stderr).contains("check the path"), "{file:?}");
    let below = wave(Path::new(env!("CARGO_MANIFEST_DIR")), &["policy", "chekc", "x"]);
    assert!(below.status.code() == Some(2) && text(&below.stderr).contains("'check'"), "{below:?}");
}

/// Everything that steers a terminal, reorders text or cannot be seen, and a line that pretends to be ours.
const HOSTILE: &str = "h\u{1b}]0;x\u{7}\u{8}\r\u{9b}2J\u{202e}\u{2066}\u{200b}\u{200f}\u{61c}\u{feff}\u{ad}\u{2028}\u{fff9}\u{e0041}\u{e000}\
                       \nwave: all is well";

/// Asserts that what was printed is clean; whatever is in it was said by `wave`.
#[track_caller]
fn assert_clean(what: &[&str], output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let printed = String::from_utf8_lossy(stream);
        let bad: Vec<_> = printed.chars().filter(|c| wave_policy::harmful(*c) && !matches!(c, '\n' | '\t')).collect();
        assert!(bad.is_empty(), "{what:?}: {bad:?} in {printed:?}");
        assert!(!printed.lines().any(|line| line.starts_with("wave: all is well")), "{what:?}: {printed:?}");
    }
}

#[test]
fn t75_hostile_words_on_the_command_line_are_shown_clean() {
    let (hello, h) = (source("examples/hello.wat"), HOSTILE);
    let hello = hello.to_str().unwrap();
    let dir = writable_dir();
    let (long, short, assigned) = (format!("--{h}"), format!("-{h}"), format!("--timeout={h}"));
    let (below, traced, sized) = (format!("/proc/nowhere/{h}"), format!("--trace={h}"), format!("1{h}"));
    let grants = [format!("{h}::/x"), format!("d:/{h}:ro"), format!("/usr::/x::{h}"), format!("/usr::/{h}:ro")];
    let mut lines: Vec<Vec<&str>> = [h, &long, &short, &assigned, &traced].iter().map(|word| vec![*word]).collect();
    for word in [&long, &short, &assigned, &traced] {
        lines.push(vec!["run", word, hello]);
    }
    for grant in &grants {
        lines.push(vec!["run", "--dir", grant, hello]);
    }
    for flag in [
        "--dir",
        "--env",
        "--user",
        "--invoke",
        "--device",
        "--timeout",
        "--max-memory",
        "--max-stack",
        "--max-open-files",
        "--tcplisten",
        "--accept-from",
        "--policy",
        "--random-seed",
        "--resolver",
        "--trace-format",
        "--clock-resolution",
        "--compile-timeout",
    ] {
        lines.push(vec!["run", flag, h, hello]);
        lines.push(vec!["learn", "-o", &below, flag, h, hello]);
    }
    lines.push(vec!["run", "--max-memory", &sized, hello]);
    lines.push(vec!["--sandbox", h, hello]);
    for (command, flag) in [
        ("audit", "--threshold"),
        ("audit", "--format"),
        ("audit", "--policy"),
        ("verify", "--threads"),
        ("verify", "--format"),
        ("inspect", "--format"),
        ("compile", "--threads"),
        ("wast", "--mode"),
        ("doctor", "--format"),
    ] {
        lines.push(vec![command, flag, h, hello]);
        lines.push(vec![command, flag, h, h]);
        lines.push(vec![command, h]);
        lines.push(vec![command, &long, h]);
    }
    lines.push(vec!["compile", "-o", &below, hello]);
    for words in [
        &["gen", h][..],
        &["check", h],
        &["check", h, h],
        &["show", h],
        &["fmt", h],
        &["diff", h, h],
        &["diff", "--fail-on", h, h, h],
        &["export", "--format", h, h],
        &["export", "--format", "landlock", h],
        &[h],
        &["schema", h],
    ] {
        lines.push([&["policy"], words].concat());
    }
    for words in [
        &["--env", h][..],
        &["--path", h, "--op", "read"],
        &["--path", "/x", "--op", h],
        &["--host-path", h, "--op", "read"],
        &["--syscall", h],
        &["--function", h],
        &["--connect", h],
        &["--listen", h],
        &["--accept-from", h],
    ] {
        lines.push([&["why", "--policy", h], words].concat());
        let policy = dir.path().join("p.toml");
        fs::write(&policy, "version = 1\n").unwrap();
        lines.push([&["why", "--policy", "p.toml"], words].concat());
    }
    lines.extend([
        vec!["cache", h],
        vec!["completion", h],
        vec!["help", h],
        vec!["run", "--dry-run", "--argv0", h, hello, h],
    ]);
    for line in &lines {
        let output = wave(dir.path(), line);
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{line:?} says something");
        assert_clean(line, &output);
    }
    assert_tree(dir.path(), &["p.toml: version = 1\\n"]);
}

/// A module whose every name is hostile, in a directory and under a policy that are, too.
#[test]
fn t75_hostile_names_of_modules_directories_and_policies_are_shown_clean() {
    let name = HOSTILE.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let text_of = |import: &str| {
        format!(
            r#"(module (@name "{name}")
              (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
              {import}
              (memory (export "memory") 1) (data (i32.const 0) "{name}")
              (func $f (@name "{name}") (export "{name}")
                (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const {len}) (i32.const 0)
                  (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 512)))
                unreachable)
              (func (export "_start") (call $f))
              (@custom "{name}" "x"))"#,
            len = HOSTILE.len(),
        )
    };
    let dir = writable_dir();
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    file("traps.wat", &text_of(""));
    file("unknown.wat", &text_of(&format!(r#"(import "{name}" "{name}" (func))"#)));
    // A colon is no part of a path on the command line.
    let granted = HOSTILE.replace(':', "");
    let host = dir.path().join(&granted);
    fs::create_dir(&host).unwrap();
    open_to_all(&host);
    let escaped = |c: char| if wave_policy::harmful(c) { format!("\\U{:08x}", u32::from(c)) } else { c.to_string() };
    let quote = |text: &str| format!("\"{}\"", text.chars().map(escaped).collect::<String>());
    let (quoted, host) = (quote(HOSTILE), quote(&granted));
    let policy = format!(
        "version = 1\nargs = [{quoted}]\n[[fs]]\nhost = {host}\nguest = {quoted}\naccess = \"ro\"\n[env.set]\nA = {quoted}\n"
    );
    file("p.toml", &policy);
    file("other.toml", "version = 1\n");
    file("broken.toml", &format!("version = 1\n{HOSTILE} = 3\n"));
    file(
        "s.wast",
        &format!(
            "(module (func (export \"{name}\")))\n(assert_return (invoke \"{name}\") (i32.const 1))\n(assert_return (invoke \"none{name}\"))"
        ),
    );
    let grant = format!("{granted}::/data::ro");
    let mut seen = 0;
    for line in [
        &["inspect", "traps.wat"][..],
        &["inspect", "--format", "json", "traps.wat"],
        &["inspect", "unknown.wat"],
        &["audit", "unknown.wat"],
        &["audit", "--format", "json", "unknown.wat"],
        &["audit", "--format", "markdown", "unknown.wat"],
        &["audit", "--format", "html", "unknown.wat"],
        &["audit", "--format", "sarif", "unknown.wat"],
        &["verify", "traps.wat"],
        &["policy", "gen", "unknown.wat"],
        &["run", "unknown.wat"],
        &["run", "traps.wat"],
        &["run", "--invoke", "none", "traps.wat"],
        &["run", "--trace", "--dir", &grant, "traps.wat"],
        &["run", "--trace", "--trace-format", "json", "--dir", &grant, "traps.wat"],
        &["run", "--report", "--dir", &grant, source("examples/hello.wat").to_str().unwrap()],
        &["run", "--report=json", "--dir", &grant, source("examples/hello.wat").to_str().unwrap()],
        &["run", "--trace", "--policy", "p.toml", "traps.wat"],
        &["run", "--dry-run", "--policy", "p.toml", "traps.wat"],
        &["run", "--policy", "broken.toml", "traps.wat"],
        &["policy", "check", "broken.toml"],
        &["policy", "check", "p.toml", "unknown.wat"],
        &["policy", "show", "p.toml"],
        &["policy", "show", "--resolved", "p.toml"],
        &["policy", "diff", "p.toml", "other.toml"],
        &["policy", "diff", "--format", "json", "p.toml", "other.toml"],
        &["why", "--policy", "p.toml", "--path", HOSTILE, "--op", "write"],
        &["why", "--policy", "p.toml", "--path", HOSTILE, "--op", "write", "--format", "json"],
        &["why", "--policy", "p.toml", "--env", HOSTILE],
        &["wast", "s.wast"],
        &["learn", "-o", "learnt.toml", "--dir", &grant, "traps.wat"],
    ] {
        let output = wave(dir.path(), line);
        assert_clean(line, &output);
        seen += usize::from([&output.stdout, &output.stderr].iter().any(|stream| {
            let text = String::from_utf8_lossy(stream);
            text.contains("\\u{1b}]0;x") || text.contains("\\u001b]0;x") || text.contains("\\U0000001b]0;x")
        }));
    }
    // The control: names are shown, with their escapes.
    assert!(seen > 20, "{seen} of them show the name");
    let report = wave(dir.path(), &["inspect", "--format", "json", "traps.wat"]);
    let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!(report["exports"][1]["name"], HOSTILE, "JSON means what the module says");
    let learnt = fs::read_to_string(dir.path().join("learnt.toml")).expect("a policy");
    assert!(!learnt.contains(|c| wave_policy::harmful(c) && c != '\n'), "{learnt:?}");
}

/// A path that is no UTF-8 is shown as far as it is text.
#[test]
fn t75_paths_of_any_bytes_are_shown_clean() {
    let dir = writable_dir();
    let odd = std::ffi::OsStr::from_bytes(b"x\xff\x1b[2J\x9b.wasm");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    let output = command.arg(odd).current_dir(dir.path()).output().expect("wave starts");
    assert_eq!(output.status.code(), Some(127));
    assert_clean(&["a path"], &output);
    assert!(text(&output.stderr).starts_with("wave: no module `x\u{fffd}\\u{1b}[2J\u{fffd}.wasm`"), "{output:?}");
}

/// Each document in a format of ours says which version of it that is.
#[test]
fn documents_of_json_carry_the_version_of_their_schema() {
    let place = place();
    let (_dir, traces) = wat(
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32))) (memory (export "memory") 1)
        (func (export "_start") (drop (call $y))))"#,
    );
    let module = traces.to_str().unwrap();
    fs::write(place.path().join("p.toml"), "version = 1\n").unwrap();
    for line in [
        &["run", "--report=json", module][..],
        &["run", "--trace", "--trace-format", "json", module],
        &["inspect", "--format", "json", module],
        &["audit", "--format", "json", module],
        &["verify", "--format", "json", module],
        &["doctor", "--format", "json"],
        &["policy", "diff", "--format", "json", "p.toml", "p.toml"],
        &["why", "--policy", "p.toml", "--env", "A", "--format", "json"],
    ] {
        let output = wave(place.path(), line);
        let printed = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        let document: Value = serde_json::from_slice(printed).unwrap_or_else(|e| panic!("{line:?}: {e}: {output:?}"));
        assert_eq!(document["schema_version"], 1, "{line:?}");
    }
    let sarif = wave(place.path(), &["audit", "--format", "sarif", module]);
    let sarif: Value = serde_json::from_slice(&sarif.stdout).expect("JSON");
    assert_eq!((&sarif["version"], sarif.get("schema_version")), (&Value::from("2.1.0"), None), "its schema is closed");
}
