//! Cgroups of this kernel. Each test has one of its own and removes it.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio, id};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wave_cgroups::{Cgroup, CgroupPath, Error, Kind, Layout, Resources};
use wave_test_support::{as_root, cannot_run};

/// A cgroup that is removed at the end of its test, with its processes.
struct Live(Cgroup);

impl Live {
    /// Nothing if this user may not create cgroups.
    fn create(name: &str, resources: &str) -> Option<Self> {
        Self::of(attempt(name, resources))
    }

    /// As [`Self::create`], in cgroup v2 alone, also where controllers are in v1.
    fn create_v2(name: &str, resources: &str) -> Option<Self> {
        let layout = Layout::detect().unwrap();
        if layout.kind() == Kind::V1 {
            cannot_run("cgroup v2 is not mounted");
            return None;
        }
        Self::of(attempt_in(&layout.only("of no v1 hierarchy"), name, resources))
    }

    fn of(created: Result<Cgroup, Error>) -> Option<Self> {
        match created {
            Ok(cgroup) => Some(Self(cgroup)),
            Err(error) if error.is_permission() && !as_root() => {
                cannot_run(&format!("only root may create cgroups here: {error}"));
                None
            }
            Err(Error::Io { path, source, .. }) if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                cannot_run(&format!("{} cannot be written", path.display()));
                None
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Runs a script in the cgroup. It begins after it has joined.
    fn run(&self, script: &str) -> Child {
        let mut child =
            Command::new("sh").args(["-c", &format!("read go; {script}")]).stdin(Stdio::piped()).spawn().unwrap();
        self.0.join(child.id()).unwrap();
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        child
    }

    fn status(&self, script: &str) -> ExitStatus {
        self.run(script).wait().unwrap()
    }

    /// The text of the file with this name in whichever directory has it.
    fn read(&self, names: [&str; 2]) -> String {
        let files = self.0.paths().flat_map(|path| names.map(|name| path.join(name)));
        fs::read_to_string(files.into_iter().find(|file| file.exists()).unwrap()).unwrap().trim().to_owned()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.kill_all().and_then(|()| self.0.delete()).unwrap();
        let left: Vec<PathBuf> = self.0.paths().filter(|path| path.exists()).map(Into::into).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn attempt(name: &str, resources: &str) -> Result<Cgroup, Error> {
    attempt_in(&Layout::detect().unwrap(), name, resources)
}

fn attempt_in(layout: &Layout, name: &str, resources: &str) -> Result<Cgroup, Error> {
    let path = CgroupPath::parse(Some(&format!("/wave-test-{}-{name}", id())), "id", false).unwrap();
    Cgroup::create(layout, &path, &json(resources))
}

fn json(resources: &str) -> Resources {
    serde_json::from_str(resources).unwrap()
}

/// Waits until it holds; fails after a time that only a hang takes.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn memory() {
    let Some(live) = Live::create("memory", r#"{"memory":{"limit":33554432,"swap":33554432}}"#) else { return };
    assert_eq!(live.read(["memory.limit_in_bytes", "memory.max"]), "33554432");
    assert!(live.status("head -c 1000000 /dev/zero | tail -c 900000 >/dev/null").success());
    assert_eq!(live.0.oom_kills().unwrap(), 0);
    // Without a line end, `tail` stores all that it reads.
    let status = live.status("exec tail /dev/zero");
    assert_eq!(status.signal(), Some(9), "{status}");
    let stats = live.0.stats().unwrap();
    assert_eq!(stats.oom_kills, Some(1));
    assert!(stats.memory_peak_bytes.is_none_or(|peak| (30 << 20..=32 << 20).contains(&peak)), "{stats:?}");
    assert!(stats.cpu_ns.unwrap() > 0, "{stats:?}");
}

#[test]
fn memory_limits_move_in_both_directions() {
    let Some(live) = Live::create("moving", r#"{"memory":{"limit":33554432,"swap":67108864}}"#) else { return };
    for (limit, swap) in [(16 << 20, 16 << 20), (64 << 20, 128 << 20), (1 << 30, 1 << 30), (8 << 20, 9 << 20)] {
        live.0.update(&json(&format!(r#"{{"memory":{{"limit":{limit},"swap":{swap}}}}}"#))).unwrap();
        assert_eq!(live.read(["memory.limit_in_bytes", "memory.max"]), limit.to_string());
    }
    live.0.update(&json(r#"{"memory":{"limit":-1}}"#)).unwrap();
    let limit = live.read(["memory.limit_in_bytes", "memory.max"]);
    assert!(limit == "max" || limit.parse::<u64>().unwrap() > 1 << 60, "{limit}");
}

#[test]
fn tasks() {
    let Some(live) = Live::create("tasks", r#"{"pids":{"limit":1}}"#) else { return };
    let mut alone = live.run("true & wait; sleep 60");
    let mut peak = 0;
    until("the shell fails to fork", || {
        peak = peak.max(live.0.stats().unwrap().tasks.unwrap());
        alone.try_wait().unwrap().is_some()
    });
    assert!(!alone.wait().unwrap().success());
    assert_eq!(peak, 1);
    live.0.update(&json(r#"{"pids":{"limit":4}}"#)).unwrap();
    assert!(live.status("true & wait").success());
}

#[test]
fn cpu() {
    let resources = r#"{"cpu":{"shares":512,"quota":20000,"period":50000,"burst":5000,"cpus":"0"}}"#;
    let Some(live) = Live::create("cpu", resources) else { return };
    assert_eq!(live.read(["cpu.cfs_quota_us", "cpu.max"]).split(' ').next().unwrap(), "20000");
    assert_eq!(live.read(["cpuset.cpus", "cpuset.cpus"]), "0");
    live.0.update(&json(r#"{"cpu":{"quota":4000,"period":10000,"burst":0}}"#)).unwrap();
    assert_eq!(live.read(["cpu.cfs_quota_us", "cpu.max"]).split(' ').next().unwrap(), "4000");
    assert!(live.status("true").success());
}

#[test]
fn frozen_processes_stand_still_and_can_be_killed() {
    freezes(Live::create("frozen", "{}"));
    freezes(Live::create_v2("frozen-v2", "{}"));
}

fn freezes(live: Option<Live>) {
    let Some(live) = live else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ticks");
    File::create(&file).unwrap();
    let mut child = live.run(&format!("while :; do echo x >>{}; done", file.display()));
    let ticks = || fs::metadata(&file).unwrap().len();
    until("it begins", || ticks() > 0);

    live.0.freeze().unwrap();
    assert!(live.0.is_frozen().unwrap());
    let frozen = ticks();
    sleep(Duration::from_millis(50));
    assert_eq!(ticks(), frozen);
    live.0.thaw().unwrap();
    assert!(!live.0.is_frozen().unwrap());
    until("it goes on", || ticks() > frozen);

    live.0.freeze().unwrap();
    // A zombie is in its cgroup no more, so nobody has to wait for the child meanwhile.
    live.0.kill_all().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(live.0.pids().unwrap().is_empty());
}

#[test]
fn kill_all_meets_children_and_those_that_fork() {
    kills(Live::create("forks", r#"{"pids":{"limit":40}}"#));
    // Nothing bounds it here but the pauses in between.
    kills(Live::create_v2("forks-v2", "{}"));
}

fn kills(live: Option<Live>) {
    let Some(live) = live else { return };
    let mut child = live.run("sleep 600 & while :; do (sleep 600 & sleep 0.01) & sleep 0.01; done 2>/dev/null");
    until("it forks", || live.0.pids().unwrap().len() > 5);
    live.0.kill_all().unwrap();
    assert!(live.0.pids().unwrap().is_empty());
    assert!(!child.wait().unwrap().success());
}

#[test]
fn occupied_is_refused_and_removal_takes_children() {
    let Some(live) = Live::create("occupied", "{}") else { return };
    let mut child = live.run("exec sleep 600");
    assert_eq!(live.0.pids().unwrap(), [child.id()]);
    let error = attempt("occupied", "{}").unwrap_err();
    assert!(matches!(error, Error::Occupied { processes: 1, .. }), "{error}");
    let error = live.0.delete().unwrap_err();
    assert!(matches!(error, Error::Late { .. }), "{error}");

    live.0.kill_all().unwrap();
    child.wait().unwrap();
    for path in live.0.paths() {
        fs::create_dir_all(path.join("inner/most")).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    live.0.delete().unwrap();
    live.0.delete().unwrap();
    assert_eq!(live.0.stats().unwrap().tasks, None);
}

#[test]
fn devices() {
    let rules = r#"{"devices":[{"allow":false,"access":"rwm"}]}"#;
    let Some(open) = Live::create("any-device", "{}") else { return };
    let Some(live) = Live::create("devices", rules) else { return };
    let reads_kmsg = "head -c 0 </dev/kmsg";
    assert!(open.status(reads_kmsg).success());
    assert!(live.status("head -c 4 </dev/urandom >/dev/null").success());
    // Without the controller, wave itself is what keeps to the rules.
    let controlled = fs::read_to_string("/proc/self/cgroup").unwrap().contains(":devices:");
    assert_eq!(live.status(&format!("{reads_kmsg} 2>/dev/null")).success(), !controlled);
}

#[test]
fn failure_leaves_nothing() {
    let Some(control) = Live::create("control", "{}") else { return };
    let refused = [
        (r#"{"unified":{"nosuch.max":"1"}}"#, "`nosuch`"),
        (r#"{"hugepageLimits":[{"pageSize":"3MB","limit":0}]}"#, "hugetlb"),
        (r#"{"cpu":{"cpus":"100000"}}"#, "`cpu.cpus`"),
        (r#"{"devices":[{"allow":true,"access":"x"}]}"#, "`devices`"),
    ];
    for (resources, named) in refused {
        let error = attempt("failing", resources).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    for path in control.0.paths() {
        let other = path.with_file_name(format!("wave-test-{}-failing", id()));
        assert!(path.exists() && !other.exists(), "{}", other.display());
    }
}

#[test]
fn a_controller_of_v2_is_enabled_where_it_is_needed() {
    let Some(plain) = Live::create_v2("plain", "{}") else { return };
    let controllers = |live: &Live| live.read(["cgroup.controllers"; 2]);
    let root = plain.0.paths().next().unwrap().parent().unwrap().join("cgroup.controllers");
    if !fs::read_to_string(root).unwrap().contains("hugetlb") {
        return cannot_run("this kernel has no controller `hugetlb` in cgroup v2");
    }
    let limits = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#;
    let live = Live::create_v2("huge", limits).unwrap();
    assert!(controllers(&live).contains("hugetlb"));
    assert_eq!(live.read(["hugetlb.2MB.max"; 2]), "4194304");
    live.0.update(&json(&limits.replace("4194304", "0"))).unwrap();
    assert_eq!(live.read(["hugetlb.2MB.max"; 2]), "0");
    let error = attempt_in(&Layout::detect().unwrap().only("nothing"), "none", r#"{"rdma":{"x":{"hcaHandles":1}}}"#)
        .unwrap_err();
    assert!(matches!(error, Error::Controller { .. }), "{error}");
}
