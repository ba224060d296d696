//! Hooks: their order, their namespaces, and what their failure does. Source: config.md, "POSIX-platform Hooks".

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, EXIT, show};

/// A hook that appends its moment, the status that it was told and its mount namespace to a file.
fn record(bundle: &Bundle, moment: &str) -> Value {
    let script = format!(
        "state=$(cat); echo {moment} $(echo \"$state\" | sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/') $(readlink /proc/self/ns/mnt) >> {}",
        bundle.path("hooks").display()
    );
    json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] }])
}

const HOST: [&str; 5] = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

#[test]
fn hooks_run_in_order_with_the_state_and_in_their_namespaces() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    for moment in HOST {
        let hook = record(&bundle, moment);
        bundle.set(&format!("/hooks/{moment}"), hook);
    }
    assert_eq!(bundle.run().0, 42);
    let text = fs::read_to_string(bundle.path("hooks")).unwrap();
    let lines: Vec<Vec<_>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let told: Vec<_> = lines.iter().map(|line| (line[0], line[1])).collect();
    let expected = [
        ("prestart", "creating"),
        ("createRuntime", "creating"),
        ("createContainer", "creating"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ];
    assert_eq!(told, expected);
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    for line in &lines {
        let in_container = line[0] == "createContainer";
        assert_eq!(line[2] != own.to_str().unwrap(), in_container, "{line:?}");
    }
}

#[test]
fn start_container_hooks_are_programs_of_the_container() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    // A static program would be needed to show that one runs; its absence shows where it is looked for.
    bundle.set("/hooks/startContainer", json!([{ "path": "/bin/sh", "args": ["sh", "-c", "true"] }]));
    bundle.must(&["create", "c"]);
    let (code, _, error) = show(&bundle.call(&["start", "c"]));
    assert_eq!(code, 125);
    assert!(error.contains("the hook `/bin/sh` failed"), "{error}");
    bundle.is_clean();
    bundle.mount("bind", "/", "/host", &["rbind", "ro"]);
    bundle.set("/hooks/startContainer", json!([{ "path": "/host/bin/true" }]));
    let linker = "/lib64/ld-linux-x86-64.so.2";
    if fs::metadata(linker).is_ok() {
        bundle.mount("bind", "/lib64", "/lib64", &["rbind", "ro"]);
        bundle.mount("bind", "/lib", "/lib", &["rbind", "ro"]);
        assert_eq!(bundle.run(), (42, String::new(), String::new()));
    }
}

#[test]
fn a_hook_that_fails_ends_the_container() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    let fails = json!([{ "path": "/bin/sh", "args": ["sh", "-c", "exit 3"] }]);
    for moment in ["prestart", "createRuntime", "createContainer", "poststart"] {
        let poststop = record(&bundle, "poststop");
        bundle.config["hooks"] = json!({ "poststop": poststop });
        bundle.set(&format!("/hooks/{moment}"), fails.clone());
        let (code, _, error) = show(&bundle.call(&["run", "c"]));
        assert_eq!(code, 125, "{moment}: {error}");
        assert!(error.contains("the hook `/bin/sh` failed: exit status: 3"), "{error}");
        assert!(error.contains(&format!("hooks.{moment}")), "{error}");
        bundle.is_clean();
        let told = fs::read_to_string(bundle.path("hooks")).unwrap();
        assert!(told.starts_with("poststop stopped"), "{moment}: {told}");
        fs::remove_file(bundle.path("hooks")).unwrap();
    }
}

#[test]
fn a_last_hook_that_fails_is_a_warning_and_the_others_run() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    let mut hooks = record(&bundle, "second");
    let fails = json!({ "path": "/bin/sh", "args": ["sh", "-c", "exit 3"] });
    hooks.as_array_mut().unwrap().insert(0, fails);
    bundle.set("/hooks/poststop", hooks);
    let (code, _, error) = bundle.run();
    assert_eq!(code, 42);
    assert!(error.contains("the hook `/bin/sh` failed: exit status: 3"), "{error}");
    assert!(fs::read_to_string(bundle.path("hooks")).unwrap().starts_with("second stopped"));
    let log = fs::read_to_string(bundle.path("log.json")).unwrap();
    assert!(log.contains("\"level\":\"warning\""), "{log}");
}

#[test]
fn hooks_need_an_absolute_path_and_some_time() {
    let Some(mut bundle) = Bundle::new(EXIT) else { return };
    bundle.set("/hooks/prestart", json!([{ "path": "sh" }])).is_refused(&["create", "c"], "has a relative path");
    let none = json!([{ "path": "/bin/true", "timeout": 0 }]);
    bundle.set("/hooks/prestart", none).is_refused(&["create", "c"], "has no time");
    let hangs = json!([{ "path": "/bin/sh", "args": ["sh", "-c", "exec sleep 600"], "timeout": 1 }]);
    bundle.set("/hooks/prestart", hangs).is_refused(&["create", "c"], "it did not end within 1 seconds");
    bundle.is_clean();
    bundle.set("/hooks/prestart", json!([{ "path": "/bin/true", "timeout": 60 }]));
    assert_eq!(bundle.run().0, 42);
}
