//! Cgroups on trees of plain files: exactly which file gets which text, on kinds of hosts that this one is not.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use wave_cgroups::{Cgroup, CgroupPath, Error, Kind, Layout, Resources};

/// A tree that looks like a host.
struct Host(TempDir);

impl Host {
    fn new(mountinfo: &str, cgroup: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.file("proc/self/mountinfo", mountinfo);
        host.file("proc/self/cgroup", cgroup);
        host
    }

    fn v2(controllers: &str) -> Self {
        let host = Self::new("30 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/own/cgroup\n");
        host.file("sys/fs/cgroup/cgroup.controllers", controllers);
        host.file("sys/fs/cgroup/cgroup.subtree_control", "");
        host
    }

    /// `memory` in v1, `pids` in v2.
    fn hybrid() -> Self {
        let mounts = "31 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             33 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        Self::new(mounts, "4:memory:/\n0::/\n")
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn files(&self, directory: &str, names: &[&str]) {
        names.iter().for_each(|name| self.file(&format!("{directory}/{name}"), ""));
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    fn layout(&self) -> Layout {
        Layout::detect_in(self.0.path()).unwrap()
    }

    fn create(&self, path: &str, resources: &str) -> Result<Cgroup, Error> {
        Cgroup::create(&self.layout(), &parsed(path, false), &json(resources))
    }
}

fn parsed(path: &str, systemd: bool) -> CgroupPath {
    CgroupPath::parse(Some(path), "id", systemd).unwrap()
}

fn json(resources: &str) -> Resources {
    serde_json::from_str(resources).unwrap()
}

const BOX: &str = "sys/fs/cgroup/pod/box";
const V2_FILES: [&str; 10] = [
    "cgroup.procs",
    "cpu.weight",
    "cpu.max",
    "memory.max",
    "memory.swap.max",
    "memory.low",
    "memory.high",
    "pids.max",
    "io.weight",
    "io.max",
];

fn v2_with_box() -> Host {
    let host = Host::v2("cpu io memory pids\n");
    host.file("sys/fs/cgroup/cgroup.subtree_control", "cpu io memory pids\n");
    host.file("sys/fs/cgroup/pod/cgroup.controllers", "cpu io memory pids\n");
    // Not `pids`: a file takes what was written last.
    host.file("sys/fs/cgroup/pod/cgroup.subtree_control", "cpu io memory\n");
    host.files(BOX, &V2_FILES);
    host.file(&format!("{BOX}/cgroup.controllers"), "cpu io memory pids\n");
    host
}

#[test]
fn v2_writes_every_property() {
    let host = v2_with_box();
    assert_eq!(host.layout().kind(), Kind::V2);
    let resources = r#"{"memory":{"limit":1000,"swap":1500,"reservation":500},"cpu":{"shares":1024,"quota":50000},
        "pids":{"limit":7},"blockIO":{"weight":500,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":600}]},
        "unified":{"memory.high":"900"},"devices":[{"allow":false,"access":"rwm"}]}"#;
    let cgroup = host.create("/pod/box", resources).unwrap();
    let texts = V2_FILES.map(|name| host.read(&format!("{BOX}/{name}")));
    assert_eq!(texts, ["", "100", "50000 100000", "1000", "500", "500", "900", "7", "4950", "8:0 rbps=600"]);
    // Only what was missing was enabled for children.
    assert_eq!(host.read("sys/fs/cgroup/cgroup.subtree_control"), "cpu io memory pids\n");
    assert_eq!(host.read("sys/fs/cgroup/pod/cgroup.subtree_control"), "+pids");

    cgroup.join(42).unwrap();
    assert_eq!(host.read(&format!("{BOX}/cgroup.procs")), "42");
    assert_eq!(cgroup.pids().unwrap(), [42]);
    let again: Cgroup = serde_json::from_str(&serde_json::to_string(&cgroup).unwrap()).unwrap();
    assert_eq!(again, cgroup);
}

#[test]
fn v2_update_keeps_the_other_half() {
    let host = v2_with_box();
    let cgroup = host.create("/pod/box", r#"{"memory":{"limit":1000},"cpu":{"quota":50000,"period":200000}}"#).unwrap();
    cgroup.update(&json(r#"{"memory":{"swap":1700},"cpu":{"period":400000}}"#)).unwrap();
    assert_eq!(host.read(&format!("{BOX}/memory.swap.max")), "700");
    assert_eq!(host.read(&format!("{BOX}/memory.max")), "1000");
    assert_eq!(host.read(&format!("{BOX}/cpu.max")), "50000 400000");
    cgroup.update(&json(r#"{"cpu":{"quota":60000}}"#)).unwrap();
    assert_eq!(host.read(&format!("{BOX}/cpu.max")), "60000 400000");

    host.file(&format!("{BOX}/memory.current"), "900\n");
    let checked =
        |limit: u32| cgroup.update(&json(&format!(r#"{{"memory":{{"limit":{limit},"checkBeforeUpdate":true}}}}"#)));
    assert!(matches!(checked(899), Err(Error::BelowUsage { limit_bytes: 899, usage_bytes: 900 })));
    checked(900).unwrap();
}

#[test]
fn devices_do_not_change_in_an_update() {
    let host = v2_with_box();
    let devices = r#"{"devices":[{"allow":false,"access":"rwm"}]}"#;
    let cgroup = host.create("/pod/box", devices).unwrap();
    cgroup.update(&json(devices)).unwrap();
    cgroup.update(&json("{}")).unwrap();
    let error = cgroup.update(&json(r#"{"devices":[{"allow":true,"access":"rwm"}]}"#)).unwrap_err();
    assert!(error.to_string().contains("`devices`"), "{error}");
}

#[test]
fn v2_without_a_controller() {
    let host = Host::v2("pids\n");
    host.files(BOX, &["cgroup.procs", "pids.max"]);
    host.file(&format!("{BOX}/cgroup.controllers"), "pids\n");
    for (resources, property, controller) in [
        (r#"{"memory":{"limit":1000}}"#, "memory.limit", "memory"),
        (r#"{"cpu":{"shares":2}}"#, "cpu.shares", "cpu"),
        (r#"{"blockIO":{"weight":100}}"#, "blockIO.weight", "io"),
        (r#"{"unified":{"memory.high":"1"}}"#, "unified.memory.high", "memory"),
    ] {
        let error = host.create("/pod/box", resources).unwrap_err().to_string();
        assert!(error.contains(&format!("`{property}`")) && error.contains(&format!("`{controller}`")), "{error}");
    }
    // What callers send without meaning a limit.
    host.create(
        "/pod/box",
        r#"{"memory":{"limit":-1},"cpu":{"shares":1024,"quota":-1,"period":100000},"pids":{"limit":5}}"#,
    )
    .unwrap();
    assert_eq!(host.read(&format!("{BOX}/pids.max")), "5");
}

#[test]
fn a_missing_file_is_named_unless_it_would_change_nothing() {
    let host = v2_with_box();
    fs::remove_file(host.at(BOX).join("memory.swap.max")).unwrap();
    let error = host.create("/pod/box", r#"{"memory":{"limit":1000,"swap":1500}}"#).unwrap_err().to_string();
    assert_eq!(error, "cannot apply `memory.swap`: the kernel has no `memory.swap.max`");
    host.create("/pod/box", r#"{"memory":{"limit":1000,"swap":1000}}"#).unwrap();
    host.create("/pod/box", r#"{"memory":{"limit":1000,"swap":-1}}"#).unwrap();
}

#[test]
fn hybrid_uses_each_controller_where_it_is() {
    let host = Host::hybrid();
    let (v1, v2) = ("sys/fs/cgroup/memory/box", "sys/fs/cgroup/unified/box");
    host.files(v1, &["cgroup.procs", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]);
    host.files(v2, &["cgroup.procs", "pids.max", "cgroup.max.depth"]);
    host.file(&format!("{v2}/cgroup.controllers"), "pids");
    assert_eq!(host.layout().kind(), Kind::Hybrid);
    let resources = r#"{"memory":{"limit":1000,"swap":1500},"pids":{"limit":7},"unified":{"cgroup.max.depth":"1"}}"#;
    let cgroup = host.create("/box", resources).unwrap();
    assert_eq!(host.read(&format!("{v1}/memory.limit_in_bytes")), "1000");
    assert_eq!(host.read(&format!("{v1}/memory.memsw.limit_in_bytes")), "1500");
    assert_eq!(host.read(&format!("{v2}/pids.max")), "7");
    cgroup.join(9).unwrap();
    assert_eq!(
        (host.read(&format!("{v1}/cgroup.procs")), host.read(&format!("{v2}/cgroup.procs"))),
        ("9".into(), "9".into())
    );

    // The file of v2 for a controller that is in v1.
    let error = host.create("/other", r#"{"unified":{"memory.high":"1"}}"#).unwrap_err();
    assert!(matches!(error, Error::Controller { .. }), "{error}");
    assert!(!host.at("sys/fs/cgroup/memory/other").exists());
}

#[test]
fn hybrid_leaves_out_v2_where_it_can_limit_nothing_of_the_container() {
    let host = Host::hybrid();
    let of = |offered: &str, resources: &str| {
        host.file("sys/fs/cgroup/unified/cgroup.controllers", offered);
        host.layout().without_unused(&json(resources)).kind()
    };
    for offered in ["", "hugetlb", "rdma misc hugetlb\n"] {
        assert_eq!(of(offered, r#"{"memory":{"limit":1}}"#), Kind::V1, "{offered}");
        for limit in [
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":1}]}"#,
            r#"{"rdma":{"mlx5_1":{"hcaHandles":3}}}"#,
            r#"{"unified":{"cgroup.max.depth":"1"}}"#,
        ] {
            assert_eq!(of(offered, limit), Kind::Hybrid, "{offered} {limit}");
        }
    }
    assert_eq!(of("hugetlb pids", "{}"), Kind::Hybrid);
    let host = Host::v2("hugetlb");
    assert_eq!(host.layout().without_unused(&json("{}")).kind(), Kind::V2);
}

#[test]
fn v1_leaves_out_devices_without_rules_and_systemd_where_it_does_not_run() {
    let at = "/sys/fs/cgroup";
    let one = |name: &str, options: &str| format!("31 30 0:29 / {at}/{name} rw - cgroup cgroup rw,{options}\n");
    let mounts = ["pids", "devices"].map(|name| one(name, name)).concat() + &one("systemd", "name=systemd");
    let host = Host::new(&mounts, "3:pids:/\n2:devices:/\n1:name=systemd:/\n");
    let of = |resources: &str| {
        let layout = host.layout().without_unused(&json(resources));
        let cgroup = Cgroup::planned(&layout, &parsed("/c", false)).unwrap();
        cgroup.hierarchies().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(of(r#"{"pids":{"limit":1}}"#), ["pids"]);
    assert_eq!(of(r#"{"devices":[{"allow":false}]}"#), ["pids", "devices"]);
    fs::create_dir_all(host.at("run/systemd/system")).unwrap();
    assert_eq!(of("{}"), ["pids", "name=systemd"]);
    // There is always one to find the processes by.
    let host = Host::new(&one("devices", "devices"), "2:devices:/\n");
    assert_eq!(host.layout().without_unused(&json("{}")).kind(), Kind::V1);
}

#[test]
fn v1_cpusets_inherit_at_every_level() {
    let host = Host::new("31 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n", "4:cpuset:/own\n");
    let at = "sys/fs/cgroup/cpuset";
    let files = |directory: &str, text: &str| {
        ["cpuset.cpus", "cpuset.mems"].iter().for_each(|name| host.file(&format!("{directory}/{name}"), text));
    };
    files(&format!("{at}/own"), "0-3\n");
    files(&format!("{at}/own/pod"), "\n");
    files(&format!("{at}/own/pod/box"), "\n");
    host.create("pod/box", r#"{"cpu":{"cpus":"2"}}"#).unwrap();
    assert_eq!(host.read(&format!("{at}/own/pod/cpuset.cpus")), "0-3");
    assert_eq!(host.read(&format!("{at}/own/pod/box/cpuset.cpus")), "2");
    assert_eq!(host.read(&format!("{at}/own/pod/box/cpuset.mems")), "0-3");
}

#[test]
fn units_are_directories_unless_systemd_runs() {
    let host = Host::v2("");
    let path = parsed("a-b.slice:wave:web", true);
    let cgroup = Cgroup::create(&host.layout(), &path, &json("{}")).unwrap();
    assert_eq!(cgroup.paths().collect::<Vec<_>>(), [host.at("sys/fs/cgroup/a.slice/a-b.slice/wave-web.scope")]);
    fs::create_dir_all(host.at("run/systemd/system")).unwrap();
    let error = Cgroup::create(&host.layout(), &path, &json("{}")).unwrap_err();
    assert!(
        error.to_string().contains("wave-web.scope") && error.fix().contains("--cgroup-manager cgroupfs"),
        "{error}"
    );
    // Directories do not need it.
    host.create("/x", "{}").unwrap();
}

#[test]
fn what_exists_has_to_be_empty_and_not_frozen() {
    let host = v2_with_box();
    host.file(&format!("{BOX}/cgroup.procs"), "12\n13\n");
    let error = host.create("/pod/box", "{}").unwrap_err();
    assert!(matches!(error, Error::Occupied { processes: 2, .. }), "{error}");
    host.file(&format!("{BOX}/cgroup.procs"), "");
    host.file(&format!("{BOX}/cgroup.freeze"), "1\n");
    assert!(matches!(host.create("/pod/box", "{}"), Err(Error::Frozen(_))));
    host.file(&format!("{BOX}/cgroup.freeze"), "0\n");
    host.create("/pod/box", "{}").unwrap();
}

#[test]
fn failure_removes_what_is_new_and_nothing_else() {
    let host = Host::v2("");
    fs::create_dir(host.at("sys/fs/cgroup/pod")).unwrap();
    host.create("/pod/a/b", r#"{"pids":{"limit":5}}"#).unwrap_err();
    assert!(host.at("sys/fs/cgroup/pod").is_dir());
    assert!(!host.at("sys/fs/cgroup/pod/a").exists());
}

#[test]
fn no_cgroup_has_nothing_to_control() {
    let none = Cgroup::none();
    assert!(none.is_none());
    none.join(1).unwrap();
    none.delete().unwrap();
    assert!(none.pids().unwrap().is_empty());
    assert!(matches!(none.freeze(), Err(Error::None(_))));
    assert!(matches!(none.kill_all(), Err(Error::None(_))));
    none.update(&json(r#"{"pids":{"limit":-1}}"#)).unwrap();
    assert!(matches!(none.update(&json(r#"{"pids":{"limit":5}}"#)), Err(Error::Controller { .. })));
}
