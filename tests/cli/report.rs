//! What `wave run --report=json` says, against what another process sees of that run (T101, T124).

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::{Value, json};
use wave_test_support::outside::Outside;
use wave_test_support::{
    Wave, as_root, give_to_guest, has_capability, sees_other_processes, source, wat, writable_dir,
};

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
    let mut child = Wave::program(command).by_shell(r#"exec 200</; exec "$@""#).spawn(&guest, [""; 0]);
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
            let namespaces =
                if as_root() && has_capability(wave_test_support::SYS_ADMIN) { "applied" } else { "unavailable" };
            assert_eq!(state(&report, "namespaces"), namespaces);
        }
    }
    let report = compare("off", &grants);
    let layers = report["layers"].as_array().expect("layers");
    // What no kernel has a part in.
    let is_off = |layer: &Value| layer["state"] == "not_requested" || layer["name"] == "verifier";
    assert!(layers.iter().all(is_off), "{report}");
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

/// Waits until standard input ends, with a few more imports.
fn waits_with(imports: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    {imports}
    (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#
    )
}

/// What a run holds while it waits: the links behind its descriptors from 3 on, unless this process may not look; its report, and
/// whether somebody listens.
fn held(imports: &str, flags: &[&str], port: u16) -> (Option<Vec<String>>, Value, bool) {
    let (_dir, guest) = wat(&waits_with(imports));
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(["--sandbox", "strict", "run", "--report=json"]).args(flags);
    let mut child = Wave::program(command).spawn(&guest, [""; 0]);
    let mut lines = BufReader::new(child.stderr.as_mut().expect("stderr is piped")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.starts_with('{')).expect("a report");
    let report: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(Outside::of(child.id(), as_root()).disagreements(&report), [""; 0], "{report}");
    let links = sees_other_processes().then(|| {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", child.id())).expect("the process lives");
        let mut fds: Vec<_> = fds.map(|fd| fd.expect("the process lives").path()).collect();
        fds.sort();
        let others =
            fds.iter().filter(|fd| fd.file_name().is_some_and(|name| !["0", "1", "2"].iter().any(|std| name == *std)));
        others.map(|fd| std::fs::read_link(fd).expect("a descriptor").display().to_string()).collect()
    });
    let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("own child").code(), Some(0));
    (links, report, listens)
}

fn detail(report: &Value, layer: &str) -> String {
    let mut layers = report["layers"].as_array().expect("layers").iter();
    let found = layers.find(|entry| entry["name"] == layer).expect("every layer");
    found["detail"].as_str().expect("a layer in force").to_owned()
}

/// T123: a module without a function for directories or sockets is given neither, and no rule for them; one with such a function
/// is. What it did not get is in the report, and its process is that of a run without these flags.
#[test]
fn t123_what_a_module_cannot_use_it_does_not_get() {
    const PATHS: &str =
        r#"(import "wasi_snapshot_preview1" "path_unlink_file" (func (param i32 i32 i32) (result i32)))"#;
    const ACCEPT: &str = r#"(import "wasi_snapshot_preview1" "sock_accept" (func (param i32 i32 i32) (result i32)))"#;
    let dir = writable_dir();
    give_to_guest(dir.path());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (grant, address) = (format!("{}::/w::rw", dir.path().display()), format!("127.0.0.1:{port}"));
    let flags = ["--dir", &grant, "--tcplisten", &address];
    let (by_dir, by_listener) = (format!("--dir {grant}"), format!("the listener on {address}"));

    let (_, bare, _) = held("", &[], port);
    for (imports, kept_dir, kept_socket) in
        [("", false, false), (PATHS, true, false), (ACCEPT, false, true), (&*format!("{PATHS} {ACCEPT}"), true, true)]
    {
        let (links, report, listens) = held(imports, &flags, port);
        assert_eq!(listens, kept_socket, "{imports}");
        let unused: Vec<_> = [(kept_socket, &by_listener), (kept_dir, &by_dir)]
            .into_iter()
            .filter(|(kept, _)| !kept)
            .map(|(_, by)| by)
            .collect();
        assert_eq!(report["unused"], json!(unused), "{imports}");
        let grants = usize::from(kept_dir);
        assert!(detail(&report, "landlock").contains(&format!("; {grants} grants; ")), "{report}");
        let kept = 3 + grants + usize::from(kept_socket);
        assert!(detail(&report, "descriptors").starts_with(&format!("{kept} kept")), "{report}");
        if let Some(links) = links {
            assert_eq!(links.len(), kept - 3, "{links:?}");
            assert_eq!(links.iter().any(|link| *link == dir.path().display().to_string()), kept_dir, "{links:?}");
            assert_eq!(links.iter().any(|link| link.starts_with("socket:")), kept_socket, "{links:?}");
        }
        let owner = detail(&report, "identity").contains("uid 1000,");
        assert_eq!(owner, kept_dir && as_root(), "root becomes the owner of what the program may write: {report}");
        if imports.is_empty() {
            // How many instructions compare an address depends on the address.
            let calls = |report| detail(report, "seccomp").split(", ").next().map(str::to_owned);
            assert_eq!(calls(&report), calls(&bare));
            assert_eq!(detail(&report, "landlock"), detail(&bare, "landlock"));
        }
    }
}
