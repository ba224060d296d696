//! What a container may use and what it may do.

use std::fs;
use std::path::Path;

use wave_test_support::containers::podman::Podman;
use wave_test_support::containers::scene::until;
#[test]
fn memory_is_limited() {
    let Some(podman) = Podman::new() else { return };
    podman.start("greedy", &["--memory", "64m"], &["/greedy.wasm"]);
    assert_eq!(podman.exit_code("greedy"), 137);
    podman.run(&["--memory", "64m"], &["/hello.wasm"]).is(0, "hello\n", "");
    podman.ends();
}

#[test]
fn processors_are_limited() {
    let Some(podman) = Podman::new() else { return };
    podman.start("busy", &["--cpus", "0.5"], &["/spin.wasm"]);
    podman.start("free", &[], &["/spin.wasm"]);
    let group = podman.scene.group(podman.process("busy"), "cpu");
    assert_eq!(bandwidth(&group), ["50000", "100000"]);
    // It wants more than it gets, so the kernel stops it once in a while.
    until("a pause", || (throttled(&group) > 0).then_some(()));
    assert_eq!(throttled(&podman.scene.group(podman.process("free"), "cpu")), 0);
    podman.ends();
}

/// Microseconds of one period, and its length, by either version's files.
fn bandwidth(group: &Path) -> [String; 2] {
    let read = |name: &str| fs::read_to_string(group.join(name)).map(|text| text.trim().to_owned());
    match read("cpu.max") {
        Ok(both) => {
            both.split_once(' ').map(|(quota, period)| [quota, period].map(str::to_owned)).expect("two numbers")
        }
        Err(_) => ["cpu.cfs_quota_us", "cpu.cfs_period_us"].map(|name| read(name).expect("a group of cpu")),
    }
}

fn throttled(group: &Path) -> u64 {
    let text = fs::read_to_string(group.join("cpu.stat")).expect("a group of cpu");
    let count = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    count.unwrap_or("0").parse().expect("a number")
}

#[test]
fn limits_can_change_while_it_runs() {
    let Some(podman) = Podman::new() else { return };
    podman.start("one", &["--cpus", "0.5"], &["/wait.wasm"]);
    podman.has_printed("one", "ready");
    let group = podman.scene.group(podman.process("one"), "cpu");
    podman.does(&["update", "--cpus", "0.25", "one"]);
    assert_eq!(bandwidth(&group), ["25000", "100000"]);
    podman.ends();
}

#[test]
fn without_a_control_group_it_runs_as_well() {
    let Some(podman) = Podman::new() else { return };
    let hello = ["run", "--rm", "--cgroups=disabled", "guests", "/hello.wasm"];
    podman.tries(&hello).is(0, "hello\n", "");
    podman.ends();
}

#[test]
fn without_capabilities_it_runs_as_well() {
    let Some(podman) = Podman::new() else { return };
    podman.start("none", &["--cap-drop", "all"], &["/wait.wasm"]);
    podman.has_printed("none", "ready");
    let process = podman.process("none");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(process, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(process, "NoNewPrivs"), "1");
    podman.ends();
}

/// What the caller's filter refuses is refused, although ours allows it.
#[test]
fn a_callers_filter_is_added() {
    let Some(podman) = Podman::new() else { return };
    let filter = podman.scene.path("filter.json");
    let flag = format!("--security-opt=seccomp={}", filter.display());
    let rules = |rules: &str| {
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{rules}]}}"#
        );
        fs::write(&filter, text).expect("own directory");
    };
    rules(r#"{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}"#);
    podman.run(&[&flag], &["/both.wasm"]).is(0, "out\n", "err\n");

    rules(r#"{"names": ["write", "writev"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}"#);
    let refused = podman.run(&[&flag], &["/both.wasm"]);
    // ENOSPC, by WASI's number.
    assert_eq!((refused.status.code(), &*refused.stdout), (Some(51), ""), "{refused:?}");
    podman.ends();
}

#[test]
fn pause_stops_it_and_unpause_goes_on() {
    let Some(podman) = Podman::new() else { return };
    podman.start("one", &[], &["/spin.wasm"]);
    let process = podman.process("one");
    let ticks = || {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("it lives");
        let after = text.rsplit_once(") ").expect("its name is in brackets").1;
        after.split(' ').nth(11).expect("user time").parse::<u64>().expect("a number")
    };
    let goes_on = |what: &str| {
        let before = ticks();
        until(what, || (ticks() > before).then_some(()));
    };
    goes_on("before");
    podman.does(&["pause", "one"]);
    assert_eq!(podman.inspect("one", "State.Status"), "paused");
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(ticks(), before);
    podman.does(&["unpause", "one"]);
    assert_eq!(podman.inspect("one", "State.Status"), "running");
    goes_on("after");
    podman.ends();
}

/// A line of what the kernel says of a process.
fn status(process: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().to_owned()
}
