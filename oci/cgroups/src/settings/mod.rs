//! What has to be written for each property. Nothing here touches a file.

mod cpu;
mod io;
mod memory;
mod others;

use crate::error::Error;
use crate::layout::Version;
use crate::resources::Resources;

/// A value for a property, and the files that can take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// As in `memory.limit`.
    pub(crate) property: String,
    /// As in `memory`; empty for the files that every cgroup v2 has.
    pub(crate) controller: String,
    /// Where the controller has to be.
    pub(crate) version: Version,
    /// A file and its value. The first file that exists is the one.
    pub(crate) writes: Vec<(String, String)>,
    /// Whether the kernel's default is the same, so that nothing is lost without the controller or the file.
    pub(crate) is_default: bool,
}

/// Collects settings of one controller.
struct Settings<'a> {
    controller: &'static str,
    version: Version,
    list: &'a mut Vec<Setting>,
}

impl Settings<'_> {
    fn add(&mut self, property: &str, file: &str, value: impl ToString, is_default: bool) {
        self.add_first_of(property, &[(file, value.to_string())], is_default);
    }

    fn add_first_of(&mut self, property: &str, writes: &[(&str, String)], is_default: bool) {
        self.list.push(Setting {
            property: property.to_owned(),
            controller: self.controller.to_owned(),
            version: self.version,
            writes: writes.iter().map(|(file, value)| ((*file).to_owned(), value.clone())).collect(),
            is_default,
        });
    }
}

/// What has to be written for `resources`, except for devices. `version` tells where a controller is.
pub(crate) fn of(resources: &Resources, version: impl Fn(&str) -> Version) -> Result<Vec<Setting>, Error> {
    let mut list = Vec::new();
    let mut under = |controller: &'static str, add: &dyn Fn(&mut Settings<'_>) -> Result<(), Error>| {
        add(&mut Settings { controller, version: version(controller), list: &mut list })
    };
    if let Some(memory) = &resources.memory {
        under("memory", &|to| memory::add(memory, to))?;
    }
    if let Some(cpu) = &resources.cpu {
        under("cpu", &|to| cpu::add_time(cpu, to))?;
        under("cpuset", &|to| cpu::add_places(cpu, to))?;
    }
    if let Some(pids) = &resources.pids {
        under("pids", &|to| others::add_pids(pids, to))?;
    }
    if let Some(block_io) = &resources.block_io {
        let controller = if version("blkio") == Version::V1 { "blkio" } else { "io" };
        under(controller, &|to| io::add(block_io, to))?;
    }
    under("hugetlb", &|to| others::add_hugepages(&resources.hugepage_limits, to))?;
    if let Some(network) = &resources.network {
        under("net_cls", &|to| others::add_class(network, to))?;
        under("net_prio", &|to| others::add_priorities(network, to))?;
    }
    under("rdma", &|to| others::add_rdma(&resources.rdma, to))?;
    others::add_unified(&resources.unified, &mut list)?;
    Ok(list)
}

fn unsupported(property: &str) -> Error {
    Error::Unsupported { property: property.to_owned(), why: "cgroup v2 has nothing like it" }
}

fn invalid(property: &str, value: impl ToString, why: &'static str) -> Error {
    Error::Invalid { property: property.to_owned(), value: value.to_string(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines `property file=value`, with `?` where the default is the same and `|` between files of which one is enough.
    fn lines(json: &str, version: Version) -> Result<Vec<String>, String> {
        let resources = serde_json::from_str(json).unwrap();
        let of_one = |(file, value): &(String, String)| format!("{file}={value}");
        let line = |setting: &Setting| {
            let writes: Vec<_> = setting.writes.iter().map(of_one).collect();
            format!("{}{} {}", setting.property, if setting.is_default { "?" } else { "" }, writes.join("|"))
        };
        match of(&resources, |_| version) {
            Ok(settings) => Ok(settings.iter().map(line).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn both(json: &str, v1: &[&str], v2: &[&str]) {
        assert_eq!(lines(json, Version::V1).unwrap(), v1, "v1 of {json}");
        assert_eq!(lines(json, Version::V2).unwrap(), v2, "v2 of {json}");
    }

    fn refused(json: &str, version: Version, why: &str) {
        let error = lines(json, version).unwrap_err();
        assert!(error.contains(why), "{json}: {error}");
    }

    #[test]
    fn memory_limits() {
        both(
            r#"{"memory":{"limit":1000,"swap":3000,"reservation":500}}"#,
            &[
                "memory.limit memory.limit_in_bytes=1000",
                "memory.swap memory.memsw.limit_in_bytes=3000",
                "memory.reservation memory.soft_limit_in_bytes=500",
            ],
            &["memory.limit memory.max=1000", "memory.swap memory.swap.max=2000", "memory.reservation memory.low=500"],
        );
        both(
            r#"{"memory":{"limit":-1}}"#,
            &["memory.limit? memory.limit_in_bytes=-1", "memory.swap? memory.memsw.limit_in_bytes=-1"],
            &["memory.limit? memory.max=max", "memory.swap? memory.swap.max=max"],
        );
        // No swap at all is the default where the kernel has no swap: the file is absent then.
        both(
            r#"{"memory":{"limit":1000,"swap":1000}}"#,
            &["memory.limit memory.limit_in_bytes=1000", "memory.swap memory.memsw.limit_in_bytes=1000"],
            &["memory.limit memory.max=1000", "memory.swap memory.swap.max=0"],
        );
        both(r#"{"memory":{"limit":0,"swap":0,"kernel":-1,"useHierarchy":true}}"#, &[], &[]);
    }

    #[test]
    fn memory_that_is_refused() {
        for version in [Version::V1, Version::V2] {
            refused(r#"{"memory":{"limit":-5}}"#, version, "`memory.limit` = `-5`");
            refused(r#"{"memory":{"limit":10,"swap":5}}"#, version, "`memory.swap` = `5`");
            refused(r#"{"memory":{"swappiness":101}}"#, version, "memory.swappiness");
            refused(r#"{"memory":{"kernel":5}}"#, version, "memory.kernel");
            refused(r#"{"memory":{"limit":7,"kernelTCP":5}}"#, version, "memory.kernelTCP");
            refused(r#"{"memory":{"useHierarchy":false}}"#, version, "memory.useHierarchy");
        }
        refused(r#"{"memory":{"swap":5}}"#, Version::V2, "memory.swap");
        refused(r#"{"memory":{"swappiness":10}}"#, Version::V2, "memory.swappiness");
        refused(r#"{"memory":{"disableOOMKiller":true}}"#, Version::V2, "memory.disableOOMKiller");
        let v1 = lines(r#"{"memory":{"swappiness":10,"disableOOMKiller":true}}"#, Version::V1).unwrap();
        assert_eq!(v1, ["memory.swappiness memory.swappiness=10", "memory.disableOOMKiller memory.oom_control=1"]);
    }

    #[test]
    fn cpu_time() {
        both(
            r#"{"cpu":{"shares":512,"quota":50000,"period":200000,"burst":7,"idle":1}}"#,
            &[
                "cpu.shares cpu.shares=512",
                "cpu.period cpu.cfs_period_us=200000",
                "cpu.burst cpu.cfs_burst_us=7",
                "cpu.quota cpu.cfs_quota_us=50000",
                "cpu.idle cpu.idle=1",
            ],
            &[
                "cpu.shares cpu.weight=59",
                "cpu.burst cpu.max.burst=7",
                "cpu.quota cpu.max=50000 200000",
                "cpu.idle cpu.idle=1",
            ],
        );
        both(
            r#"{"cpu":{"shares":1024,"quota":-1,"period":100000}}"#,
            &["cpu.shares? cpu.shares=1024", "cpu.period? cpu.cfs_period_us=100000", "cpu.quota? cpu.cfs_quota_us=-1"],
            &["cpu.shares? cpu.weight=100", "cpu.quota? cpu.max=max 100000"],
        );
        both(r#"{"cpu":{"cpus":"0-1","mems":""}}"#, &["cpu.cpus cpuset.cpus=0-1"], &["cpu.cpus cpuset.cpus=0-1"]);
        refused(r#"{"cpu":{"realtimeRuntime":5}}"#, Version::V2, "cpu.realtimeRuntime");
        refused(r#"{"cpu":{"cpus":"0\n1"}}"#, Version::V1, "cpu.cpus");
        refused(r#"{"cpu":{"quota":10,"burst":11}}"#, Version::V1, "cpu.burst");
    }

    #[test]
    fn block_io() {
        both(
            r#"{"blockIO":{"weight":500,"weightDevice":[{"major":8,"minor":1,"weight":10}],"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":600}]}}"#,
            &[
                "blockIO.weight blkio.weight=500|blkio.bfq.weight=500",
                "blockIO.weightDevice blkio.weight_device=8:1 10|blkio.bfq.weight_device=8:1 10",
                "blockIO.throttleReadBpsDevice blkio.throttle.read_bps_device=8:0 600",
            ],
            &[
                "blockIO.weight io.bfq.weight=500|io.weight=4950",
                "blockIO.weightDevice io.bfq.weight=8:1 10|io.weight=8:1 1",
                "blockIO.throttleReadBpsDevice io.max=8:0 rbps=600",
            ],
        );
        refused(r#"{"blockIO":{"weight":5}}"#, Version::V1, "blockIO.weight");
        refused(r#"{"blockIO":{"leafWeight":50}}"#, Version::V2, "blockIO.leafWeight");
        refused(r#"{"blockIO":{"weightDevice":[{"major":8,"minor":1}]}}"#, Version::V1, "blockIO.weightDevice");
    }

    #[test]
    fn the_rest() {
        both(r#"{"pids":{"limit":-1}}"#, &["pids.limit? pids.max=max"], &["pids.limit? pids.max=max"]);
        both(r#"{"pids":{"limit":0}}"#, &["pids.limit pids.max=0"], &["pids.limit pids.max=0"]);
        both(
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}"#,
            &[
                "hugepageLimits.2MB hugetlb.2MB.limit_in_bytes=0",
                "hugepageLimits.2MB? hugetlb.2MB.rsvd.limit_in_bytes=0",
            ],
            &["hugepageLimits.2MB hugetlb.2MB.max=0", "hugepageLimits.2MB? hugetlb.2MB.rsvd.max=0"],
        );
        both(
            r#"{"rdma":{"mlx":{"hcaHandles":3,"hcaObjects":4}}}"#,
            &["rdma.mlx rdma.max=mlx hca_handle=3 hca_object=4"],
            &["rdma.mlx rdma.max=mlx hca_handle=3 hca_object=4"],
        );
        let network = r#"{"network":{"classID":7,"priorities":[{"name":"eth0","priority":5}]}}"#;
        assert_eq!(
            lines(network, Version::V1).unwrap(),
            ["network.classID net_cls.classid=7", "network.priorities net_prio.ifpriomap=eth0 5"]
        );
        refused(network, Version::V2, "network.classID");
        refused(r#"{"hugepageLimits":[{"pageSize":"../x","limit":0}]}"#, Version::V1, "hugepageLimits");
        refused(r#"{"rdma":{"mlx":{}}}"#, Version::V1, "rdma");
        refused(r#"{"network":{"priorities":[{"name":"a b","priority":5}]}}"#, Version::V1, "network.priorities");
    }

    #[test]
    fn unified() {
        let written =
            lines(r#"{"unified":{"io.max":"8:0 rbps=1\n8:1 rbps=2\n","memory.high":"5"}}"#, Version::V2).unwrap();
        let one = |line: &str| line.to_owned();
        assert_eq!(
            written,
            [
                one("unified.io.max io.max=8:0 rbps=1"),
                one("unified.io.max io.max=8:1 rbps=2"),
                one("unified.memory.high memory.high=5")
            ]
        );
        for name in ["cgroup.procs", "cgroup.kill", "../x.y", "memory", "memory.", ".x", "a/b.c"] {
            refused(&format!(r#"{{"unified":{{"{name}":"1"}}}}"#), Version::V2, "unified");
        }
        assert!(lines(r#"{"unified":{"cgroup.max.depth":"1"}}"#, Version::V2).is_ok());
    }
}
