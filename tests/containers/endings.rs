//! How a container ends, and what podman learns of it.

use std::fs;
use std::time::{Duration, Instant};

use wave_test_support::containers::podman::Podman;

#[test]
fn hello() {
    let Some(podman) = Podman::new() else { return };
    podman.run(&[], &["/hello.wasm"]).is(0, "hello\n", "");
    podman.ends();
}

#[test]
fn exit_codes_are_the_programs() {
    let Some(podman) = Podman::new() else { return };
    for code in [0, 1, 42, 137, 255] {
        podman.run(&[], &["/exit.wasm", &code.to_string()]).is(code, "", "");
    }
    let trapped = podman.run(&[], &["/trap.wasm"]);
    trapped.is_trap("unreachable", &["parse_line", "load_config", "_start"]);
    podman.ends();
}

#[test]
fn kill_and_stop() {
    let Some(podman) = Podman::new() else { return };
    for name in ["killed", "stopped"] {
        podman.start(name, &[], &["/wait.wasm"]);
        podman.has_printed(name, "ready");
    }
    podman.does(&["kill", "killed"]);
    assert_eq!(podman.exit_code("killed"), 137);

    // Where SIGTERM does nothing, podman waits for ten minutes here and the exit code is 137.
    let begin = Instant::now();
    let stopped = podman.tries(&["stop", "--time", "600", "stopped"]);
    assert_eq!((stopped.status.code(), &*stopped.stderr), (Some(0), ""), "{stopped:?}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!(podman.exit_code("stopped"), 143);
    podman.ends();
}

#[test]
fn logs_keep_both_streams() {
    let Some(podman) = Podman::new() else { return };
    podman.start("both", &[], &["/both.wasm"]);
    assert_eq!(podman.exit_code("both"), 0);
    podman.tries(&["logs", "both"]).is(0, "out\n", "err\n");
    podman.ends();
}

#[test]
fn inspect_tells_what_runs() {
    let Some(podman) = Podman::new() else { return };
    podman.start("one", &[], &["/wait.wasm"]);
    podman.has_printed("one", "ready");
    assert_eq!(podman.inspect("one", "State.Status"), "running");
    assert_eq!(podman.inspect("one", "OCIRuntime"), "wave-oci");
    let process = podman.process("one");
    assert_eq!(fs::read_to_string(format!("/proc/{process}/comm")).expect("it lives").trim(), "wave-oci");
    podman.does(&["kill", "--signal", "TERM", "one"]);
    assert_eq!(podman.exit_code("one"), 143);
    assert_eq!(podman.inspect("one", "State.Pid"), "0");
    podman.ends();
}

#[test]
fn an_operators_time_limit_is_124() {
    let Some(podman) = Podman::new() else { return };
    let policy = podman.scene.path("operator.toml");
    fs::write(&policy, "version = 1\n[limits]\ntimeout = \"200ms\"\n").expect("own directory");
    let flag = format!("--annotation=dev.wave.policy={}", policy.display());
    let run = podman.run(&[&flag], &["/spin.wasm"]);
    assert_eq!((run.status.code(), &*run.stdout), (Some(124), ""), "{run:?}");
    podman.run(&[&flag], &["/hello.wasm"]).is(0, "hello\n", "");
    podman.ends();
}

#[test]
fn on_failure_starts_three_times_more() {
    let Some(podman) = Podman::new() else { return };
    podman.start("fails", &["--restart", "on-failure:3"], &["/fail.wasm"]);
    wave_test_support::containers::scene::until("three restarts", || {
        (podman.inspect("fails", "RestartCount") == "3").then_some(())
    });
    assert_eq!(podman.exit_code("fails"), 42);
    assert_eq!(podman.does(&["logs", "fails"]), "again\n".repeat(4));
    podman.start("works", &["--restart", "on-failure:3"], &["/hello.wasm"]);
    assert_eq!(podman.exit_code("works"), 0);
    assert_eq!(podman.does(&["logs", "works"]), "hello\n");
    podman.ends();
}

/// Each message is printed by podman, names what is wrong, and leaves nothing.
#[test]
fn what_is_no_program_is_an_error() {
    let Some(podman) = Podman::new() else { return };
    for (guest, code) in [("/broken.wasm", 126), ("/script.wasm", 126), ("/nowhere.wasm", 127)] {
        let run = podman.run(&[], &[guest]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(code), ""), "{guest}: {run:?}");
        assert!(run.stderr.starts_with("Error: ") && run.stderr.contains(&guest[1..]), "{guest}: {run:?}");
    }
    podman.ends();
}

/// A container runs one program.
#[test]
fn exec_says_why_not() {
    let Some(podman) = Podman::new() else { return };
    podman.start("one", &[], &["/wait.wasm"]);
    podman.has_printed("one", "ready");
    let run = podman.tries(&["exec", "one", "/hello.wasm"]);
    assert!(!run.status.success() && run.stdout.is_empty(), "{run:?}");
    assert!(run.stderr.contains("one program"), "{run:?}");
    assert_eq!(podman.inspect("one", "State.Status"), "running");
    podman.ends();
}
