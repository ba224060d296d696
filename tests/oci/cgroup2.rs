//! A host with cgroup v2 alone: a mount namespace in which nothing else is mounted. The controllers are those that no v1 hierarchy of the
//! kernel has taken.

use std::fs;

use serde_json::json;
use wave_test_support::cannot_run;

use crate::bundle::{Bundle, EXIT, LOOP};

/// Starts a command there.
const ALONE: [&str; 6] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"",
    "sh",
];

fn bundle(text: &str) -> Option<Bundle> {
    if !fs::read_to_string("/proc/filesystems").expect("procfs is there").contains("\tcgroup2\n") {
        cannot_run("this kernel has no cgroup v2");
        return None;
    }
    let mut bundle = Bundle::new(text)?;
    bundle.before = &ALONE;
    Some(bundle)
}

/// What a file of a cgroup there says.
#[track_caller]
fn read(bundle: &Bundle, cgroup: &str, file: &str) -> String {
    let output = bundle.started("cat").arg(format!("/sys/fs/cgroup{cgroup}/{file}")).output().expect("started");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn cgroup(bundle: &Bundle) -> String {
    bundle.config["linux"]["cgroupsPath"].as_str().expect("set").to_owned()
}

#[test]
fn a_container_is_frozen_and_ends() {
    let Some(bundle) = bundle(LOOP) else { return };
    let cgroup = cgroup(&bundle);
    bundle.must(&["create", "--pid-file", "pid", "c"]);
    let pid = fs::read_to_string(bundle.path("pid")).unwrap();
    assert_eq!(read(&bundle, &cgroup, "cgroup.procs"), pid);
    assert_eq!(bundle.cgroups().len(), 1);
    bundle.must(&["start", "c"]);
    for (command, status, frozen) in [("pause", "paused", "1"), ("resume", "running", "0")] {
        bundle.must(&[command, "c"]);
        assert_eq!((bundle.status().as_str(), read(&bundle, &cgroup, "cgroup.freeze").as_str()), (status, frozen));
    }
    bundle.must(&["kill", "c", "TERM"]);
    bundle.wait_for("stopped");
    bundle.must(&["delete", "c"]);
    bundle.is_clean();
    bundle.must(&["create", "c"]);
    bundle.must(&["start", "c"]);
    bundle.must(&["pause", "c"]);
    bundle.must(&["delete", "--force", "c"]);
    bundle.is_clean();
}

/// Each limit is applied if its controller is there, and refused if it is not.
#[test]
fn limits_need_their_controller() {
    let Some(mut bundle) = bundle(EXIT) else { return };
    let cgroup = cgroup(&bundle);
    let offered = read(&bundle, "", "cgroup.controllers");
    let mut applied = 0;
    for (controller, limits, file, value) in [
        (
            "hugetlb",
            json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 4 << 20 }] }),
            "hugetlb.2MB.max",
            "4194304",
        ),
        ("memory", json!({ "memory": { "limit": 1 << 30 } }), "memory.max", "1073741824"),
        ("pids", json!({ "pids": { "limit": 100 } }), "pids.max", "100"),
        ("cpu", json!({ "cpu": { "quota": 50_000, "period": 100_000 } }), "cpu.max", "50000 100000"),
    ] {
        bundle.set("/linux/resources", limits);
        if !offered.split(' ').any(|name| name == controller) {
            bundle.is_refused(&["create", "c"], &format!("the cgroup controller `{controller}` is not available"));
            bundle.is_clean();
            continue;
        }
        applied += 1;
        bundle.must(&["create", "c"]);
        assert_eq!(read(&bundle, &cgroup, file), value);
        bundle.must(&["delete", "--force", "c"]);
        assert_eq!(bundle.run(), (42, String::new(), String::new()));
    }
    if applied == 0 {
        cannot_run(&format!("the controllers of cgroup v2 are `{offered}`"));
    }
}
