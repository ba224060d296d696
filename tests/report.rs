//! What `wave run --report=json` says, against what another process sees of that run (T101, T124).

#[path = "../sandbox/tests/seal/outside.rs"]
mod outside;
mod support;

use std::io::{BufRead, BufReader};
use std::process::Command;

use outside::Outside;
use serde_json::{Value, json};
use support::{Wave, as_root, source, wat, writable_dir};

/// Waits until standard input ends.
const WAITS: &str = r#"(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

/// Starts a run that waits, reads its report, and compares it with what is seen from here.
#[track_caller]
fn compare(level: &str, flags: &[&str]) -> Value {
    let (_dir, guest) = wat(WAITS);
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(["--sandbox", level, "run", "--report=json"]).args(flags);
    // Something that the parent forgot to close.
    let mut child = Wave::program(command).by_shell(r#"exec 900</; exec "$@""#).spawn(&guest, [""; 0]);
    let mut lines = BufReader::new(child.stderr.as_mut().expect("stderr is piped")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.starts_with('{')).expect("a report");
    let report: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(Outside::of(child.id(), as_root()).disagreements(&report), [""; 0], "{level} {flags:?}: {report}");
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("own child").code(), Some(0));
    assert_eq!(report["level"], level);
    report
}

fn state<'a>(report: &'a Value, layer: &str) -> &'a str {
    let mut layers = report["layers"].as_array().expect("layers").iter();
    layers.find(|entry| entry["name"] == layer).and_then(|entry| entry["state"].as_str()).expect("every layer")
}

#[test]
fn t124_the_report_is_what_another_process_sees() {
    let (read, write) = (writable_dir(), writable_dir());
    let grants = [format!("{}::/r::ro", read.path().display()), format!("{}::/w::rw", write.path().display())];
    let grants = ["--dir", &grants[0], "--dir", &grants[1]];
    for level in ["strict", "standard"] {
        for flags in [&[][..], &grants, &["--tcplisten", "127.0.0.1:0"]] {
            let report = compare(level, flags);
            for layer in ["descriptors", "wiped", "limits", "identity", "not_dumpable", "landlock", "seccomp"] {
                assert_eq!(state(&report, layer), "applied", "{layer} in {report}");
            }
            // With a listener, too: it was bound before, and stays in the network of the host.
            let namespaces = if as_root() { "applied" } else { "unavailable" };
            assert_eq!(state(&report, "namespaces"), namespaces);
        }
    }
    let report = compare("off", &grants);
    let layers = report["layers"].as_array().expect("layers");
    assert!(layers.iter().all(|layer| layer["state"] == "not_requested"), "{report}");
}

#[test]
fn t101_every_relaxation_is_announced_and_reported() {
    assert_eq!(compare("strict", &[])["relaxations"], json!([]));
    assert_eq!(compare("standard", &[])["relaxations"], json!(["--sandbox standard"]));
    let relaxed = ["--terminal-controls", "--device", "/dev/null"];
    let flags = json!(["--sandbox off", "--device /dev/null", "--terminal-controls"]);
    assert_eq!(compare("off", &relaxed)["relaxations"], flags);
    let quiet = Wave::strict().run(source("examples/hello.wat"), [""; 0]);
    quiet.is(0, "Hello from inside the sandbox!\n", "");
    let loud = Wave::strict().switch("--terminal-controls").run(source("examples/hello.wat"), [""; 0]);
    loud.is(0, "Hello from inside the sandbox!\n", "wave: relaxed by --terminal-controls\n");
}
