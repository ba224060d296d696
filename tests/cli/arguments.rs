//! What the command line says and returns when it cannot, or need not, run a guest.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// What `wave` printed and returned.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn wave(args: &[&str]) -> Said {
    wave_in(Path::new(env!("CARGO_MANIFEST_DIR")), args, b"")
}

fn wave_in(dir: &Path, args: &[&str], stdin: &[u8]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("wave starts");
    // A run that does not read its input closes the pipe, which is no failure.
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), stdin).ok();
    let output = child.wait_with_output().expect("wave ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Asserts exit code and message, and that the guest's stream stayed empty.
#[track_caller]
fn refuses(args: &[&str], code: i32, message: &str) {
    let said = wave(args);
    assert_eq!((said.code, &*said.stdout), (Some(code), ""), "{}", said.stderr);
    assert_eq!(said.stderr, message);
}

const GREETING: &str = "Hello from inside the sandbox!\n";

#[test]
fn the_short_form_and_every_input_form_run() {
    let text = fs::read("examples/hello.wat").unwrap();
    let binary = wat::parse_bytes(&text).unwrap().into_owned();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hello.wasm"), &binary).unwrap();
    for (args, relaxed) in [
        (&["hello.wasm"][..], ""),
        (&["run", "hello.wasm"], ""),
        (&["--sandbox", "standard", "hello.wasm"], "wave: relaxed by --sandbox standard\n"),
        (&["--sandbox=off", "run", "./hello.wasm"], "wave: relaxed by --sandbox off\n"),
    ] {
        let said = wave_in(dir.path(), args, b"");
        assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(0), GREETING, relaxed), "{args:?}");
    }
    for stdin in [&text[..], &binary] {
        let said = wave_in(dir.path(), &["-"], stdin);
        assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(0), GREETING, ""));
    }
}

#[test]
fn a_missing_module_is_127() {
    refuses(
        &["run", "no/such.wasm"],
        127,
        "wave: no module `no/such.wasm`\n  fix:   check the path; it is not searched for in PATH\n",
    );
}

#[test]
fn what_is_not_a_module_is_126() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let name = path.to_str().unwrap();
    let not_wasm = |found: &str| {
        format!(
            "wave: not a WebAssembly module: {found}\n  where: {name}\n  \
             fix:   give a .wasm file, which starts with `\\0asm`, or WebAssembly text\n"
        )
    };
    fs::write(&path, b"\x7fELF\x02").unwrap();
    refuses(&[name], 126, &not_wasm("it starts with `\\x7fELF`"));
    fs::write(&path, b"").unwrap();
    refuses(&[name], 126, &not_wasm("it has only 0 bytes"));
    fs::write(&path, b"(module (func $f (result i32)))").unwrap();
    let said = wave(&[name]);
    assert_eq!(said.code, Some(126));
    assert!(said.stderr.contains("type mismatch: expected i32"), "{}", said.stderr);
    fs::write(&path, b"(module (func oops))").unwrap();
    let said = wave(&[name]);
    assert_eq!(said.code, Some(126));
    assert!(said.stderr.starts_with("wave: cannot read WebAssembly text: "), "{}", said.stderr);
    assert!(said.stderr.contains(&format!("  where: {name}:1:15")), "{}", said.stderr);
    let said = wave(&[dir.path().to_str().unwrap()]);
    assert_eq!(said.code, Some(126));
    assert!(said.stderr.starts_with("wave: cannot read the module: "), "{}", said.stderr);
}

#[test]
fn a_component_that_cannot_be_lowered_is_126_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("component.wasm");
    // A component with the type `stream<u8>`.
    fs::write(&path, b"\0asm\x0d\0\x01\0\x07\x04\x01\x66\x01\x7d").unwrap();
    let said = wave(&[path.to_str().unwrap()]);
    assert_eq!(said.code, Some(126));
    let message = "wave: the component uses the type `stream` (async), which wave does not lower\n";
    assert!(said.stderr.starts_with(message), "{}", said.stderr);
    assert!(said.stderr.contains("docs/lowering.md"), "{}", said.stderr);
    let path = dir.path().join("component.wat");
    fs::write(&path, ";; one\n( component (type u8))").unwrap();
    let said = wave(&[path.to_str().unwrap()]);
    assert_eq!(said.code, Some(126));
    assert!(said.stderr.starts_with("wave: this is the text of a component"), "{}", said.stderr);
    assert!(said.stderr.contains("wasm-tools parse"), "{}", said.stderr);
}

#[test]
fn an_unknown_import_is_126_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("import.wat");
    let unknown = |import: &str| {
        fs::write(&path, format!("(module {import} (func (export \"_start\")))")).unwrap();
        let said = wave(&[path.to_str().unwrap()]);
        assert_eq!(said.code, Some(126), "{}", said.stderr);
        said.stderr
    };
    let message = unknown(r#"(import "env" "launch" (func))"#);
    assert!(message.starts_with("wave: unknown import `env` `launch`\n"), "{message}");
    // A name must not steer the terminal (T75).
    let message = unknown(r#"(import "env" "\1b[2J" (func))"#);
    assert!(message.starts_with("wave: unknown import `env` `\\u{1b}[2J`\n"), "{message}");
    let message = unknown(r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#);
    assert!(message.contains("incompatible import type: `wasi_snapshot_preview1` `fd_write`"), "{message}");
    let message = unknown(r#"(import "wasi_snapshot_preview1" "fd_write" (memory 1))"#);
    assert!(message.starts_with("wave: unknown import `wasi_snapshot_preview1` `fd_write`\n"), "{message}");
    // The neighbor that is right.
    fs::write(&path, r#"(module (import "wasi_unstable" "sched_yield" (func (result i32))) (func (export "_start")))"#)
        .unwrap();
    assert_eq!(wave(&[path.to_str().unwrap()]).code, Some(0));
}

#[test]
fn an_unusable_directory_is_125_with_flag_path_and_parent() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().canonicalize().unwrap();
    let missing = here.join("a/b");
    let (flag, parent) = (format!("{}::/srv", missing.display()), here.display());
    refuses(
        &["--dir", &flag, "examples/hello.wat"],
        125,
        &format!(
            "wave: cannot preopen `{}`: no such directory\n  where: --dir {flag}\n  fix:   create it, or drop the flag if \
             the guest can do without it; the nearest existing parent is `{parent}`\n",
            missing.display()
        ),
    );
    let file = here.join("file");
    fs::write(&file, "").unwrap();
    let said = wave(&["--file", here.to_str().unwrap(), "examples/hello.wat"]);
    assert_eq!(said.code, Some(125));
    assert!(said.stderr.contains(": a directory, not a file\n"), "{}", said.stderr);
    for flag in ["--dir", "--file"] {
        let said = wave(&[flag, file.to_str().unwrap(), "examples/hello.wat"]);
        assert_eq!(said.code, Some(0), "{flag}: {}", said.stderr);
    }
}

#[test]
fn a_single_colon_is_caught() {
    refuses(
        &["--dir", "data:/srv", "examples/hello.wat"],
        2,
        "wave: a grant has the form HOST[::GUEST[::ro|rw|append]], and `data:/srv` has a single colon\n  where: --dir data:/srv\n  \
         fix:   create the directory `data`, and write --dir data::/srv::rw\n",
    );
    // Even where there is a directory of that name: which of the two is meant, nobody can tell.
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("a:b");
    fs::create_dir(&odd).unwrap();
    assert_eq!(wave(&["--dir", odd.to_str().unwrap(), "examples/hello.wat"]).code, Some(2));
    assert_eq!(wave(&["--dir", dir.path().to_str().unwrap(), "examples/hello.wat"]).code, Some(0));
}

#[test]
fn limits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("memory.wat");
    fs::write(
        &path,
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 16)
             (func (export "_start") (call $exit (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))))"#,
    )
    .unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(wave(&["--max-memory", "2M", path]).code, Some(0), "it can grow to the limit");
    assert_eq!(wave(&["--max-memory", "1M", path]).code, Some(1), "and not past it");
    let said = wave(&["--max-memory", "1023K", path]);
    assert_eq!(said.code, Some(137));
    assert!(said.stderr.contains("module needs 1048576 bytes of memory, the limit is 1047552"), "{}", said.stderr);
    for flag in
        [["--max-stack", "1K"], ["--timeout", "0"], ["--timeout", "soon"], ["--max-memory", "1T"], ["--user", "0"]]
    {
        assert_eq!(wave(&[flag[0], flag[1], path]).code, Some(2), "{flag:?}");
    }
}

#[test]
fn invoke_calls_an_export_and_prints_its_results() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("add.wat");
    fs::write(
        &path,
        r#"(module
             (func (export "add") (param i32 i64) (result i64) (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)))
             (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2))))"#,
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let said = wave(&["--invoke", "add", path, "-2", "0x10"]);
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(0), "14\n", ""));
    let said = wave(&["--invoke", "half", path, "5"]);
    assert_eq!((said.code, &*said.stdout), (Some(0), "2.5\n"));
    assert_eq!(wave(&["--invoke", "add", path, "1"]).code, Some(2), "an argument is missing");
    assert_eq!(wave(&["--invoke", "add", path, "4294967296", "1"]).code, Some(2), "too large for i32");
    let said = wave(&["--invoke", "sub", path]);
    assert_eq!(said.code, Some(126));
    assert!(said.stderr.contains("choose one with --invoke: `add`, `half`"), "{}", said.stderr);
    assert_eq!(wave(&[path]).code, Some(126), "there is no _start");
    fs::write(path, r#"(module (func (export "_start") (param i32)))"#).unwrap();
    let said = wave(&[path]);
    assert_eq!(said.code, Some(126));
    assert!(said.stderr.starts_with("wave: `_start` has type (i32) -> (), and must be () -> ()\n"), "{}", said.stderr);
}

#[test]
fn what_follows_the_module_belongs_to_the_program() {
    let said = wave(&["examples/args.wat", "--timeout", "-V", "--", "run"]);
    assert_eq!((said.code, &*said.stdout), (Some(0), "--timeout\n-V\n--\nrun\n"), "{}", said.stderr);
}

#[test]
fn root_is_told_of_a_grant_that_its_program_cannot_use() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let dir = tempfile::tempdir().unwrap();
    let root = fs::metadata(dir.path()).unwrap().uid() == 0;
    let path = dir.path().to_str().unwrap();
    let said = |extra: &[&str], grant: &str, mode: u32| {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let said = wave(&[&["run", "--dir", grant], extra, &["examples/hello.wat"]].concat());
        assert_eq!((said.code, &*said.stdout), (Some(0), GREETING), "{}", said.stderr);
        said.stderr
    };
    let note = |user: &str| {
        format!(
            "wave: note: started as root, the program runs as {user}, who may not write to `{path}`\n  fix:   give it \
             to a user and name that one by --user UID:GID, or grant it ::ro\n"
        )
    };
    assert_eq!(said(&[], path, 0o755), if root { note("a user that owns nothing") } else { String::new() });
    assert_eq!(said(&[], &format!("{path}::/d::ro"), 0o755), "");
    assert_eq!(said(&[], path, 0o777), "");
    if root {
        assert_eq!(said(&["--user", "1234"], path, 0o755), note("user 1234"));
        // It is the first line, whatever else there is to say.
        let relaxed = note("a user that owns nothing") + "wave: relaxed by --terminal-controls\n";
        assert_eq!(said(&["--terminal-controls"], path, 0o755), relaxed);
        chown(dir.path(), Some(1234), Some(1234)).unwrap();
        assert_eq!(said(&["--user", "1234"], path, 0o755), "");
        assert_eq!(said(&[], path, 0o755), "", "the owner is who it becomes");
    }
}

#[test]
fn a_dry_run_prints_the_plan_and_runs_nothing() {
    let said = wave(&["--dry-run", "--dir", "/::/host::ro", "--env", "A=b", "--timeout", "5s", "no-such.wasm", "x"]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""));
    for line in [
        "sandbox:  strict",
        "args:     \"no-such.wasm\" \"x\"",
        "env:      \"A=b\"",
        "fs[0]:    ro / as /host",
        "timeout:  5s",
    ] {
        assert!(said.stdout.lines().any(|found| found == line), "{line} in\n{}", said.stdout);
    }
}

#[test]
fn the_report_says_what_was_applied() {
    let said = wave(&["--report=json", "examples/hello.wat"]);
    assert_eq!((said.code, &*said.stdout), (Some(0), GREETING));
    let report: serde_json::Value = serde_json::from_str(&said.stderr).expect("one JSON document");
    assert_eq!((&report["level"], &report["relaxations"]), (&"strict".into(), &serde_json::json!([])));
    let state = |name: &str| {
        let layers = report["layers"].as_array().expect("layers");
        let layer = layers.iter().find(|layer| layer["name"] == name).unwrap_or_else(|| panic!("{name} in {report}"));
        layer["state"].as_str().expect("a state").to_owned()
    };
    for layer in ["landlock", "seccomp", "no_new_privs"] {
        assert_eq!(state(layer), "applied", "{layer}");
    }
    let said = wave(&["--sandbox", "off", "--report=json", "examples/hello.wat"]);
    let applied = |stderr: &str| {
        let report: serde_json::Value = serde_json::from_str(stderr).expect("one JSON document");
        let layers = report["layers"].as_array().expect("layers");
        assert!(
            layers.iter().all(|layer| layer["state"] == "applied" || layer["state"] == "not_requested"),
            "{report}"
        );
        let applied = layers.iter().filter(|layer| layer["state"] == "applied").map(|layer| layer["name"].clone());
        (applied.collect::<Vec<_>>(), report["relaxations"].clone())
    };
    assert_eq!(applied(&said.stderr), (vec!["verifier".into()], serde_json::json!(["--sandbox off"])));
    let said = wave(&["--sandbox", "off", "run", "--no-verify", "--report=json", "examples/hello.wat"]);
    assert_eq!((said.code, &*said.stdout), (Some(0), GREETING));
    assert_eq!(applied(&said.stderr), (vec![], serde_json::json!(["--sandbox off", "--no-verify"])));
    let said = wave(&["--report", "examples/hello.wat"]);
    for line in ["  seccomp        required  applied        8 calls", "  verifier       required  applied        "] {
        assert!(said.stderr.contains(line), "{}", said.stderr);
    }
    let required = |level: &str| {
        let said = wave(&["--sandbox", level, "run", "--report=json", "examples/hello.wat"]);
        let report: serde_json::Value = serde_json::from_str(&said.stderr).expect("one JSON document");
        let layers = report["layers"].as_array().expect("layers").iter();
        let required = layers.filter(|layer| layer["required"] == true && layer["name"] != "bounding");
        required.map(|layer| layer["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        required("strict"),
        "compiler verifier single_thread descriptors identity capabilities no_new_privs not_dumpable landlock seccomp"
    );
    assert_eq!(required("standard"), "verifier single_thread descriptors seccomp");
    assert_eq!(required("off"), "");
}

/// No level but `off` runs code that was not verified.
#[test]
fn only_off_goes_without_the_verifier() {
    for level in ["strict", "standard"] {
        let said = wave(&["--sandbox", level, "run", "--no-verify", "examples/hello.wat"]);
        let message = format!(
            "wave: `{level}` runs no code that was not verified\n  where: --no-verify\n  fix:   leave it out\n"
        );
        assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(2), "", &*message));
    }
}

#[test]
fn verify_says_what_code_uses() {
    let said = wave(&["verify", "--format", "json", "examples/hello.wat"]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).expect("one JSON document");
    assert_eq!((said.code, &*said.stderr, &report["verified"]), (Some(0), "", &true.into()), "{report}");
    // `_start` and the thunk of an import; two entry thunks.
    assert_eq!(report["functions"], 4, "{report}");
    let uses = |what: &str| report["uses"][what].as_u64().expect("a number");
    assert!(uses("host_calls") >= 1 && uses("indirect_calls") >= 2 && uses("frame") > 0, "{report}");
    assert_eq!((uses("jump_tables"), uses("entries")), (0, 0), "{report}");
    let said = wave(&["verify", "examples/hello.wat"]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""));
    assert!(said.stdout.starts_with("verified:       yes\nfunctions:      4\n"), "{}", said.stdout);
    // Code that counts fuel is other code, and so is code that makes every NaN the same.
    let bytes = |flags: &[&str], module: &str| {
        let said = wave(&[&["verify", "--format", "json"], flags, &[module]].concat());
        let report: serde_json::Value = serde_json::from_str(&said.stdout).expect("one JSON document");
        assert_eq!((said.code, &report["verified"]), (Some(0), &true.into()), "{report}");
        report["bytes"].as_u64().expect("a number")
    };
    let plain = bytes(&[], "examples/hello.wat");
    assert!(bytes(&["--fuel"], "examples/hello.wat") > plain);
    let adds = "(module (func (export \"_start\") (drop (f32.add (f32.load (i32.const 0)) (f32.load (i32.const 4))))) (memory 1))";
    let (_dir, adds) = wave_test_support::wat(adds);
    let adds = adds.to_str().expect("UTF-8");
    assert!(bytes(&["--deterministic"], adds) >= bytes(&[], adds));
    let (dir, compiled) = (tempfile::tempdir().expect("a temporary directory"), "fuel.wave");
    let compiled = dir.path().join(compiled).display().to_string();
    assert_eq!(wave(&["compile", "--fuel", "-o", &compiled, "examples/hello.wat"]).code, Some(0));
    assert!(bytes(&[], &compiled) > plain);
    let said = wave(&["verify", "--fuel", &compiled]);
    let message = "wave: the code of a compiled file is verified as it is\n  where: --fuel\n  fix:   leave it out\n";
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(2), "", message));
    let said = wave(&["verify", "README.md"]);
    assert_eq!((said.code, &*said.stdout), (Some(126), ""));
    let said = wave(&["verify", "examples/nothing.wat"]);
    assert_eq!((said.code, &*said.stdout), (Some(127), ""));
}

#[test]
fn the_doctor_names_every_layer() {
    let said = wave(&["doctor"]);
    assert_eq!(said.code, Some(0), "{}", said.stdout);
    let last = said.stdout.lines().last().expect("text");
    assert!(last.starts_with("wave runs here under strict, standard and off; "), "{}", said.stdout);
    for layer in [
        "kernel",
        "cpu",
        "landlock",
        "seccomp",
        "no_new_privs",
        "openat2",
        "mseal",
        "/proc",
        "identity",
        "CAP_SETGID",
        "CAP_KILL",
    ] {
        assert!(said.stdout.lines().any(|line| line.starts_with(layer)), "{layer} in\n{}", said.stdout);
    }
    let said = wave(&["doctor", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert!(answer["facilities"].is_array());
    // Each thing that is missing costs something, and that is said.
    for facility in answer["facilities"].as_array().expect("facilities") {
        assert!(facility["without"].is_string() && facility["required"].is_boolean(), "{facility}");
    }
}

/// T91: the table of Landlock's levels is printed on request, with what this kernel has; the document has the same.
#[test]
fn t91_the_doctor_prints_the_levels_of_landlock() {
    let said = wave(&["doctor"]);
    let answer: serde_json::Value = serde_json::from_str(&wave(&["doctor", "--format", "json"]).stdout).expect("JSON");
    let entries = answer["facilities"].as_array().expect("entries");
    let with_levels: Vec<_> = entries.iter().filter(|entry| entry.get("levels").is_some()).collect();
    assert_eq!(with_levels.iter().map(|entry| &entry["name"]).collect::<Vec<_>>(), ["landlock"]);
    let levels = with_levels[0]["levels"].as_array().expect("levels");
    let document = std::fs::read_to_string("docs/landlock.md").expect("a document of the repository");
    let abi = wave_sandbox::landlock_abi();
    assert_eq!(levels.len(), wave_sandbox::LANDLOCK_LEVELS.len());
    for (number, level) in (1..).zip(levels) {
        let has = |key: &str| level[key].as_str().expect("a text").to_owned();
        assert_eq!((level["abi"].as_i64(), level["present"].as_bool()), (Some(number), Some(number <= abi.into())));
        let mark = if number <= abi.into() { "yes" } else { "no" };
        let line = format!("  ABI {number} (Linux {}): {mark}, {}", has("linux"), has("adds"));
        assert!(said.stdout.lines().any(|l| l == line), "{line} in\n{}", said.stdout);
        assert!(said.stdout.contains(&format!("    without: {}\n", has("detail"))), "{}", said.stdout);
        let row = format!("| {number} | {} | {} | {} |", has("linux"), has("adds"), has("detail"));
        assert!(document.lines().any(|line| line == row), "docs/landlock.md needs the row\n{row}");
    }
}

#[test]
fn inspect_lists_imports_and_exports_without_running() {
    let said = wave(&["inspect", "examples/trap.wat"]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""));
    assert!(said.stdout.contains("_start () -> ()"), "{}", said.stdout);
    let said = wave(&["inspect", "--format", "json", "examples/hello.wat"]);
    let summary: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(summary["imports"][0]["name"], "fd_write");
    assert_eq!(summary["uses"], serde_json::json!([]));
    let said = wave(&["inspect", "benches/guests/objects.wat"]);
    assert!(said.stdout.contains("\nuses:      reference-types, gc\n"), "{}", said.stdout);
}

#[test]
fn usage_errors_are_2_and_help_is_not_an_error() {
    assert_eq!(wave(&[]).code, Some(2));
    assert_eq!(wave(&["run"]).code, Some(2));
    assert_eq!(wave(&["--sandbox", "lax", "examples/hello.wat"]).code, Some(2));
    assert_eq!(wave(&["--no-such-flag", "examples/hello.wat"]).code, Some(2));
    assert_eq!(wave(&["--help"]).code, Some(0));
    assert_eq!(wave(&["--version"]).stdout, concat!("wave ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// Runs a tool on a file; `None` where it is not installed.
fn checked_by(tool: &str, flags: &[&str], file: &Path) -> Option<String> {
    match Command::new(tool).args(flags).arg(file).output() {
        Ok(said) if said.status.success() => Some(String::from_utf8_lossy(&said.stderr).into_owned()),
        Ok(said) => panic!("{tool} {}: {said:?}", file.display()),
        // In a directory of PATH that is another user's there may be one, too.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => None,
        Err(error) => panic!("{tool}: {error}"),
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let dir = tempfile::tempdir().unwrap();
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = wave(&["completion", shell]).stdout;
        assert!(script.contains("wave") && script.contains("max-memory"), "{shell}");
        let file = dir.path().join(shell);
        fs::write(&file, script).unwrap();
        let Some(said) = checked_by(shell, &[flag], &file) else {
            assert_ne!(shell, "bash", "it is everywhere");
            wave_test_support::cannot_run(&format!("{shell} is not installed"));
            continue;
        };
        assert_eq!(said, "", "{shell}");
    }
    let broken = dir.path().join("broken");
    fs::write(&broken, "if true").unwrap();
    assert_eq!(Command::new("bash").arg("-n").arg(&broken).output().unwrap().status.code(), Some(2));
}

#[test]
fn man_pages_are_well_formed() {
    let pages: Vec<_> = fs::read_dir("docs/man").unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages {
        let Some(said) = checked_by("groff", &["-man", "-ww", "-z"], &page) else {
            return wave_test_support::not_run("install groff");
        };
        assert_eq!(said, "", "{}", page.display());
    }
}

#[test]
fn t115_control_sequences_reach_a_terminal_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("color.wat");
    fs::write(
        &path,
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\06\00\00\00\1b[31m!")
             (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#,
    )
    .unwrap();
    // script(1) gives the run a terminal; a pipe gets the bytes as they are.
    if !wave_test_support::has_program(&mut Command::new("script"), "bsdutils") {
        return;
    }
    let on_terminal = |flag: &str| {
        let run = format!("{} {flag} {}", env!("CARGO_BIN_EXE_wave"), path.display());
        let output =
            Command::new("script").args(["-qec", &run, "/dev/null"]).env("NO_COLOR", "1").stdin(Stdio::null()).output();
        String::from_utf8(output.expect("script(1)").stdout).unwrap()
    };
    assert_eq!(on_terminal("run"), "?[31m!");
    let relaxed = "wave: relaxed by --terminal-controls\r\n";
    assert_eq!(on_terminal("run --terminal-controls"), format!("{relaxed}\u{1b}[31m!"));
    assert_eq!(wave(&[path.to_str().unwrap()]).stdout, "\u{1b}[31m!");
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        let output = command.args(["-c", script, env!("CARGO_BIN_EXE_wave")]).output().expect("a shell");
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    // `:` reads nothing; the message of a trap has no reader either, and the exit code stays.
    let inspect = r#""$0" inspect examples/trap.wat | :; echo "${PIPESTATUS[0]}""#;
    let (code, stdout, stderr) = shell(inspect);
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert!(stdout == "141\n" || stdout == "0\n", "it was killed or had finished: {stdout}");
    let trap = r#"("$0" examples/trap.wat; echo "$?" >&3) 3>&1 2>&1 >/dev/null | :; wait"#;
    assert_eq!(shell(trap).2, "");
    let closed = r#""$0" examples/trap.wat 2>&-; echo "$?""#;
    assert_eq!(shell(closed).1, "134\n");
    let full =
        r#""$0" --invoke f <(echo '(module (func (export "f") (result i32) i32.const 1))') >/dev/full; echo "$?""#;
    assert_eq!(shell(full).1, "125\n");
}

#[test]
fn an_exit_code_that_does_not_fit_is_no_success() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exit.wat");
    for (code, expected) in [("255", 255), ("256", 125), ("-1", 125)] {
        fs::write(
            &path,
            format!(
                r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                     (func (export "_start") (call $exit (i32.const {code}))))"#
            ),
        )
        .unwrap();
        assert_eq!(wave(&[path.to_str().unwrap()]).code, Some(expected), "{code}");
    }
}

#[test]
fn nothing_of_the_guest_runs_when_a_layer_is_missing() {
    // The memory limit makes reservations fail, which stands for any step that cannot be taken.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_wave"), "examples/hello.wat"]);
    let output = command.output().expect("a shell");
    assert_eq!((output.status.code(), &*output.stdout), (Some(125), &b""[..]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ulimit -v"));
}

/// What a module needs beyond what is supported is said in the same words by every command that reads one, and `audit` answers no. The
/// need may lie in a section or in a function body alone. Each feature that is refused has its neighbor: the module without it.
#[test]
fn every_command_says_alike_what_is_not_supported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("module.wat");
    let file = path.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["run"],
        &["--sandbox", "off", "run"],
        &["inspect"],
        &["--sandbox", "off", "inspect"],
        &["verify"],
        &["compile", "--discard"],
        &["compile", "-o", "/dev/null"],
        &["policy", "gen"],
        &["--sandbox", "off", "policy", "gen"],
    ];
    let needs: &[(&[&str], &str)] = &[
        (&["stack-switching"], "(type $f (func)) (type $c (cont $f))"),
        (&["shared-everything-threads"], "(global (shared i32) (i32.const 0))"),
        (&["memory-control"], "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"),
        (
            &["shared-everything-threads", "memory-control"],
            "(global (shared i32) (i32.const 0)) (memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))",
        ),
    ];
    for (names, text) in needs {
        fs::write(&path, format!("(module {text} (func (export \"_start\")))")).unwrap();
        let (what, fix) = wave_engine::features::explain(names);
        let expected = format!("wave: {what}\n  where: {file}\n  fix:   {fix}\n");
        for command in commands {
            let said = wave(&[command, &[file][..]].concat());
            assert_eq!(said.code, Some(126), "{command:?}: {}", said.stderr);
            assert!(said.stderr.ends_with(&expected), "{command:?}: {}", said.stderr);
        }
        let said = wave(&["audit", "--format", "json", file]);
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        assert_eq!(said.stderr, "wave: the module cannot run: the report says why\n");
        let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        let facts = report["facts"].as_array().unwrap().iter();
        let facts: Vec<_> = facts.filter(|fact| fact["level"] == "error").map(|fact| &fact["text"]).collect();
        assert_eq!(facts, [&format!("{what}; it cannot run: {fix}")]);
    }
    fs::write(&path, "(module (memory 1) (func (export \"_start\")))").unwrap();
    for command in commands {
        let said = wave(&[command, &[file][..]].concat());
        assert_eq!(said.code, Some(0), "{command:?}: {}", said.stderr);
    }
    assert_eq!(wave(&["audit", file]).code, Some(0));
}

/// What is invalid is invalid for `audit`, too.
#[test]
fn an_audit_of_an_invalid_module_answers_no() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("module.wat");
    fs::write(&path, "(module (func (result i32) i64.const 0) (func (export \"_start\")))").unwrap();
    let said = wave(&["audit", path.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(
        said.stdout.contains("error  not valid, so it cannot run: type mismatch: expected i32, found i64"),
        "{}",
        said.stdout
    );
}

#[test]
fn the_long_version_lists_the_features() {
    use wave_engine::features::{FEATURES, Support};
    let said = wave(&["--version", "--verbose"]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""));
    let short = wave(&["--version"]).stdout;
    let lines: Vec<_> = said.stdout.strip_prefix(&*short).expect("the version first").lines().skip(2).collect();
    assert_eq!(lines.len(), FEATURES.len(), "{}", said.stdout);
    for (line, feature) in lines.iter().zip(FEATURES) {
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        let supported = if feature.support == Support::Yes { "yes" } else { "no" };
        assert_eq!(words, [supported, feature.name], "{line}");
    }
}

/// A module that imports what nobody provides, with this body of `_start`.
fn importing(dir: &Path, body: &str) -> String {
    let path = dir.join("stubs.wat");
    let text = format!(
        r#"(module
             (import "env" "number" (func $number (param i32 f64) (result i64)))
             (import "env" "\1b[2J" (func $many (param i32) (result i32 i64 f32 v128 funcref)))
             (import "env" "nothing" (func $nothing))
             (type $void (func))
             (table 1 funcref)
             (elem (i32.const 0) $nothing)
             (func $_start (export "_start") {body}))"#
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const STUBS: &str =
    "wave: nobody provides what the module imports, so stubs do: `env number`, `env \\u{1b}[2J`, `env nothing`\n";

#[test]
fn stubs_stand_for_unknown_imports_if_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let with = |stub: &str, body: &str| wave(&["run", "--unknown-imports", stub, &importing(dir.path(), body)]);
    let relaxed = |stub: &str| format!("wave: relaxed by --unknown-imports {stub}\n{STUBS}");

    // Without the flag, the module is refused.
    let said = wave(&["run", &importing(dir.path(), "")]);
    assert_eq!(said.code, Some(126), "{}", said.stderr);
    assert!(said.stderr.contains("--unknown-imports trap"), "{}", said.stderr);
    for stub in ["trap", "zero"] {
        let said = with(stub, "");
        assert_eq!((said.code, &*said.stderr), (Some(0), &*relaxed(stub)));
    }

    // The stub that is called is the innermost frame, whether it is called directly, through a table or by a tail call.
    for (body, name) in [
        ("(drop (call $number (i32.const 1) (f64.const 2)))", "env.number"),
        ("(call $many (i32.const 1)) drop drop drop drop drop", "env.\\u{1b}[2J"),
        ("(call_indirect (type $void) (i32.const 0))", "env.nothing"),
        ("(return_call $nothing)", "env.nothing"),
    ] {
        let said = with("trap", body);
        assert_eq!(said.code, Some(134), "{body}: {}", said.stderr);
        let expected = format!("{}wave: trap: call of an import that nobody provides\n  at {name}\n", relaxed("trap"));
        assert!(said.stderr.starts_with(&expected), "{body}: {}", said.stderr);
    }

    // All results are zero or null, also those that are not returned in a register.
    let zero = "
        (local $v v128)
        (if (i64.ne (call $number (i32.const 1) (f64.const 2)) (i64.const 0)) (then unreachable))
        (call $many (i32.const 7))
        (if (i32.eqz (ref.is_null)) (then unreachable))
        (if (v128.any_true) (then unreachable))
        (if (f32.ne (f32.const 0)) (then unreachable))
        (if (i64.ne (i64.const 0)) (then unreachable))
        (if (then unreachable))
        (call_indirect (type $void) (i32.const 0))";
    let said = with("zero", zero);
    assert_eq!((said.code, &*said.stderr), (Some(0), &*relaxed("zero")));
}

/// T101: a policy can ask for stubs. A flag wins, and what lets the program go further than the file says is announced as such.
#[test]
fn t101_a_policy_asks_for_stubs_and_a_flag_wins() {
    let dir = tempfile::tempdir().unwrap();
    let module = importing(dir.path(), "(drop (call $number (i32.const 1) (f64.const 2)))");
    let policy = dir.path().join("p.toml");
    let path = policy.to_str().unwrap();
    let run = |text: &str, flags: &[&str]| {
        fs::write(&policy, format!("version = 1\n{text}\n")).unwrap();
        wave(&[&["run", "--policy", path][..], flags, &[&*module]].concat())
    };
    assert_eq!(run("", &[]).code, Some(126));
    for (text, flags, code, by) in [
        ("unknown_imports = \"trap\"", &[][..], 134, format!("unknown_imports = \"trap\" ({path}:2)")),
        ("unknown_imports = \"zero\"", &[], 0, format!("unknown_imports = \"zero\" ({path}:2)")),
        ("unknown_imports = \"zero\"", &["--unknown-imports", "trap"], 134, "--unknown-imports trap".to_owned()),
        ("unknown_imports = \"zero\"", &["--unknown-imports", "zero"], 0, "--unknown-imports zero".to_owned()),
        (
            "unknown_imports = \"trap\"",
            &["--unknown-imports", "zero"],
            0,
            "--unknown-imports zero beyond the policy".to_owned(),
        ),
        ("", &["--unknown-imports", "trap"], 134, "--unknown-imports trap beyond the policy".to_owned()),
    ] {
        let said = run(text, flags);
        assert_eq!(said.code, Some(code), "{text} {flags:?}: {}", said.stderr);
        let announced = format!("wave: relaxed by {by}\n{STUBS}");
        assert!(said.stderr.starts_with(&announced), "{text} {flags:?}: {}", said.stderr);
    }
    let wrong = run("unknown_imports = \"ignore\"", &[]);
    assert_eq!(wrong.code, Some(125), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("unknown word `ignore`"), "{}", wrong.stderr);
}

/// An import that is no function has no stub, and neither has a function of WASI with another type.
#[test]
fn other_unknown_imports_are_refused_with_stubs_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("import.wat");
    for import in [
        r#"(import "env" "memory" (memory 1))"#,
        r#"(import "env" "table" (table 1 funcref))"#,
        r#"(import "env" "global" (global i32))"#,
        r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#,
    ] {
        fs::write(&path, format!("(module {import} (func (export \"_start\")))")).unwrap();
        for stub in ["trap", "zero"] {
            let said = wave(&["run", "--unknown-imports", stub, path.to_str().unwrap()]);
            assert_eq!(said.code, Some(126), "{import}: {}", said.stderr);
        }
    }
}

/// Stubs are in the plan, the report and the outcome. They change nothing that the process may do.
#[test]
fn stubs_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let module = importing(dir.path(), "(drop (call $number (i32.const 1) (f64.const 2)))");
    let plan = wave(&["run", "--unknown-imports", "zero", "--dry-run", &module]);
    assert!(plan.stdout.contains("relaxed:  by --unknown-imports zero\n"), "{}", plan.stdout);
    let said = wave(&["run", "--unknown-imports", "trap", "--report", &module]);
    assert!(said.stderr.contains("  a stub stands for the import env number\n"), "{}", said.stderr);
    let outcome = dir.path().join("outcome.json");
    let said = wave(&["run", "--unknown-imports", "trap", "--outcome", outcome.to_str().unwrap(), &module]);
    assert_eq!(said.code, Some(134), "{}", said.stderr);
    let outcome: serde_json::Value = serde_json::from_slice(&fs::read(&outcome).unwrap()).unwrap();
    assert_eq!(outcome["ending"]["trap"], "call of an import that nobody provides");
    assert_eq!(
        outcome["ending"]["frames"][0],
        serde_json::json!({ "function": 0, "name": "env.number", "demangled": null, "position": null, "line": null })
    );
    assert_eq!(outcome["sandbox"]["stubs"], serde_json::json!(["env number", "env \\u{1b}[2J", "env nothing"]));
    assert_eq!(outcome["sandbox"]["relaxations"], serde_json::json!(["--unknown-imports trap"]));
}
