//! The operations, and the states between them. Source: runtime.md.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use serde_json::{Value, json};

use crate::bundle::{Bundle, EXIT, LOOP, show};

#[test]
fn a_container_is_created_started_stopped_and_deleted() {
    let Some(bundle) = Bundle::new(LOOP) else { return };
    bundle.must(&["create", "--pid-file", "pid", "c"]);
    let pid = fs::read_to_string(bundle.path("pid")).unwrap();
    let state: Value = serde_json::from_str(&bundle.must(&["state", "c"])).unwrap();
    let expected = json!({
        "ociVersion": "1.2.0", "id": "c", "status": "created", "pid": pid.parse::<i32>().unwrap(),
        "bundle": fs::canonicalize(bundle.path(".")).unwrap(), "annotations": {},
    });
    assert_eq!(state, expected);
    // The program has not run: no time was used for it, and its process still waits.
    assert_eq!(bundle.status(), "created");
    bundle.is_refused(&["delete", "c"], "container `c` is created");
    bundle.is_refused(&["create", "c"], "a container `c` exists");
    bundle.must(&["start", "c"]);
    assert_eq!(bundle.status(), "running");
    bundle.is_refused(&["start", "c"], "container `c` is running and cannot be started");
    bundle.is_refused(&["delete", "c"], "container `c` is running");
    assert!(bundle.must(&["ps", "--format", "json", "c"]).contains(&pid));
    assert!(bundle.must(&["list", "--quiet"]).contains('c'));
    bundle.must(&["kill", "c", "TERM"]);
    bundle.wait_for("stopped");
    bundle.is_refused(&["kill", "c", "TERM"], "container `c` is not running");
    bundle.is_refused(&["start", "c"], "container `c` is stopped and cannot be started");
    bundle.must(&["delete", "c"]);
    bundle.is_clean();
    bundle.is_refused(&["state", "c"], "there is no container `c`");
    bundle.is_refused(&["delete", "c"], "there is no container `c`");
    bundle.must(&["delete", "--force", "c"]);
}

#[test]
fn run_returns_the_exit_code_of_the_program() {
    let Some(bundle) = Bundle::new(EXIT) else { return };
    assert_eq!(bundle.run(), (42, String::new(), String::new()));
}

#[test]
fn a_trap_is_134_and_explained_on_standard_error() {
    let text = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;
    let Some(bundle) = Bundle::new(text) else { return };
    let (code, out, error) = bundle.run();
    assert_eq!((code, out.as_str()), (134, ""));
    assert!(error.starts_with("wave: trap: unreachable\n"), "{error}");
}

#[test]
fn each_signal_that_asks_for_an_end_ends_the_first_process() {
    let Some(bundle) = Bundle::new(LOOP) else { return };
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("QUIT", 131), ("KILL", 137)] {
        let mut run = bundle.command(&["run", "c"]);
        bundle.write();
        let mut run = run.spawn().unwrap();
        while !bundle.call(&["state", "c"]).status.success() || bundle.status() != "running" {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        bundle.must(&["kill", "c", signal]);
        assert_eq!(run.wait().unwrap().code(), Some(code), "{signal}");
        bundle.is_clean();
    }
}

#[test]
fn run_passes_signals_on() {
    let Some(bundle) = Bundle::new(LOOP) else { return };
    bundle.write();
    let mut run = bundle.command(&["run", "c"]).spawn().unwrap();
    while !bundle.call(&["state", "c"]).status.success() || bundle.status() != "running" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = nix::unistd::Pid::from_raw(run.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = run.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(143), None));
    bundle.is_clean();
}

#[test]
fn a_container_that_waits_can_be_killed_and_deleted() {
    let Some(bundle) = Bundle::new(EXIT) else { return };
    bundle.must(&["create", "c"]);
    bundle.must(&["kill", "c", "KILL"]);
    bundle.wait_for("stopped");
    bundle.must(&["delete", "c"]);
    bundle.is_clean();
    bundle.must(&["create", "c"]);
    bundle.must(&["delete", "--force", "c"]);
    bundle.is_clean();
}

#[test]
fn a_frozen_program_is_paused_and_can_be_killed() {
    let Some(bundle) = Bundle::new(LOOP) else { return };
    bundle.must(&["create", "c"]);
    bundle.must(&["start", "c"]);
    bundle.must(&["pause", "c"]);
    assert_eq!(bundle.status(), "paused");
    bundle.is_refused(&["pause", "c"], "container `c` is paused and cannot be paused");
    bundle.must(&["resume", "c"]);
    assert_eq!(bundle.status(), "running");
    bundle.is_refused(&["resume", "c"], "container `c` is running and cannot be resumed");
    bundle.must(&["pause", "c"]);
    bundle.must(&["delete", "--force", "c"]);
    bundle.is_clean();
}

#[test]
fn limits_can_be_changed() {
    let Some(bundle) = Bundle::new(LOOP) else { return };
    bundle.must(&["create", "c"]);
    bundle.must(&["update", "--memory", "134217728", "--pids-limit", "7", "c"]);
    let read = |file: &str| {
        let paths = bundle.cgroups();
        paths
            .iter()
            .find_map(|path| fs::read_to_string(format!("{path}/{file}")).ok())
            .map(|text| text.trim().to_owned())
    };
    assert_eq!(read("pids.max").as_deref(), Some("7"));
    let memory = read("memory.limit_in_bytes").or_else(|| read("memory.max"));
    assert_eq!(memory.as_deref(), Some("134217728"));
    fs::write(bundle.path("limits.json"), r#"{"pids":{"limit":9}}"#).unwrap();
    bundle.must(&["update", "--resources", "limits.json", "c"]);
    assert_eq!(read("pids.max").as_deref(), Some("9"));
    bundle.must(&["delete", "--force", "c"]);
    bundle.is_clean();
}

#[test]
fn the_configuration_is_that_of_create() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    bundle.must(&["create", "c"]);
    bundle.set("/process/args", json!(["/none.wasm"]));
    bundle.set("/hooks/poststop", json!([{ "path": "/none" }]));
    bundle.must(&["start", "c"]);
    bundle.wait_for("stopped");
    bundle.must(&["delete", "c"]);
    bundle.is_clean();
}

#[test]
fn what_cannot_be_created_leaves_nothing() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    for (args, code, text) in [
        (json!(["/none.wasm"]), 127, "no module `/none.wasm` in the container: no such file or directory"),
        (json!(["/dev"]), 126, "cannot read the module `/dev`"),
        (json!(["/proc/self/exe"]), 126, "cannot read the module `/proc/self/exe`"),
        (json!(["/broken.wasm"]), 126, "not a WebAssembly module"),
    ] {
        fs::write(bundle.rootfs().join("broken.wasm"), "\u{7f}ELF").unwrap();
        bundle.set("/process/args", args);
        let (found, out, error) = show(&bundle.call(&["create", "c"]));
        assert_eq!((found, out.as_str()), (code, ""), "{error}");
        assert!(error.contains(text), "{error}");
        bundle.is_clean();
    }
    bundle.args(&["app.wasm"]);
    assert_eq!(bundle.run().0, 42, "a name without a path is found in the working directory");
}

#[test]
fn exec_says_why_not() {
    let Some(bundle) = Bundle::new(EXIT) else { return };
    let text = "a WebAssembly container runs one program";
    bundle.is_refused(&["exec", "--pid-file", "p", "--process", "f", "--detach", "c"], text);
    bundle.is_refused(&["exec", "c", "sh", "-c", "true"], text);
}

#[test]
fn names_and_signals_are_checked() {
    let Some(bundle) = Bundle::new(EXIT) else { return };
    for args in [&["create", "../c"][..], &["kill", "c", "NOPE"], &["state", ""], &["delete", "--force", "a/b"]] {
        assert_eq!(bundle.call(args).status.code(), Some(2), "{args:?}");
    }
    for args in [&["create"][..], &["start"], &["state"], &["kill"], &["delete"]] {
        assert_eq!(bundle.call(args).status.code(), Some(2), "{args:?}");
    }
    bundle.is_clean();
}
