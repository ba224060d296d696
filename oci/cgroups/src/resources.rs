//! `linux.resources` of an OCI `config.json`, as plain data.
//!
//! A name that is not listed here is an error of the parser that tells the name, so that no property is dropped in silence.
//! As in runc, 0 means that a limit of memory, CPU time or block I/O is not set: callers that were made for runc rely on it.
//!
//! Source: OCI runtime-spec, `config-linux.md`, "Control groups".

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// What a container may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Resources {
    /// Access to device nodes, in the order in which it is applied.
    #[serde(deserialize_with = "null_is_empty")]
    pub devices: Vec<DeviceRule>,
    /// Memory and swap.
    pub memory: Option<Memory>,
    /// CPU time, and the CPUs and memory nodes.
    pub cpu: Option<Cpu>,
    /// The number of tasks.
    pub pids: Option<Pids>,
    /// Reads and writes of block devices.
    #[serde(rename = "blockIO")]
    pub block_io: Option<BlockIo>,
    /// Huge pages.
    #[serde(deserialize_with = "null_is_empty")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Marks on network packets.
    pub network: Option<Network>,
    /// RDMA handles and objects, by device.
    #[serde(deserialize_with = "null_is_empty")]
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of the cgroup v2 directory, and what to write to them.
    #[serde(deserialize_with = "null_is_empty")]
    pub unified: BTreeMap<String, String>,
}

/// One rule about device nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRule {
    /// Whether the access is allowed or denied.
    pub allow: bool,
    /// `a` (all), `c` (character) or `b` (block); all if it is not set.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// All if it is not set or -1.
    #[serde(default)]
    pub major: Option<i64>,
    /// All if it is not set or -1.
    #[serde(default)]
    pub minor: Option<i64>,
    /// Some of `r` (read), `w` (write) and `m` (mknod).
    #[serde(default)]
    pub access: Option<String>,
}

/// Limits in bytes; -1 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Memory {
    /// Memory.
    pub limit: Option<i64>,
    /// Memory that is kept for the container when the host is short of it.
    pub reservation: Option<i64>,
    /// Memory and swap together.
    pub swap: Option<i64>,
    /// Kernel memory. The kernel has no such limit any more: it counts in `limit`.
    pub kernel: Option<i64>,
    /// TCP buffers. As `kernel`.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// 0 to 100; higher swaps earlier.
    pub swappiness: Option<u64>,
    /// Whether a process that meets the limit waits instead of being killed.
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// Whether children count too. Kernels since 5.11 know nothing else.
    pub use_hierarchy: Option<bool>,
    /// Whether a limit below the current use is refused. cgroup v1 always does.
    pub check_before_update: Option<bool>,
}

/// CPU time, and where to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Cpu {
    /// A share relative to that of others; 1024 is the default.
    pub shares: Option<u64>,
    /// Microseconds of CPU time in each `period`; -1 is no limit.
    pub quota: Option<i64>,
    /// Microseconds of unused quota that may be saved up.
    pub burst: Option<u64>,
    /// Microseconds; the kernel's default is 100,000.
    pub period: Option<u64>,
    /// Microseconds of real-time scheduling in each `realtime_period`.
    pub realtime_runtime: Option<i64>,
    /// Microseconds.
    pub realtime_period: Option<u64>,
    /// CPUs, as in `0-3,7`.
    pub cpus: Option<String>,
    /// Memory nodes, as in `0-3,7`.
    pub mems: Option<String>,
    /// 1 runs only if nobody else wants to.
    pub idle: Option<i64>,
}

/// The number of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pids {
    /// -1 is no limit; 0 is one, and lets nobody fork.
    pub limit: Option<i64>,
}

/// Reads and writes of block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BlockIo {
    /// 10 to 1000, relative to others.
    pub weight: Option<u16>,
    /// As `weight`, against child cgroups. cgroup v1 has it.
    pub leaf_weight: Option<u16>,
    /// Weights of single devices.
    #[serde(deserialize_with = "null_is_empty")]
    pub weight_device: Vec<WeightDevice>,
    /// Bytes per second.
    #[serde(deserialize_with = "null_is_empty")]
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Bytes per second.
    #[serde(deserialize_with = "null_is_empty")]
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Operations per second.
    #[serde(rename = "throttleReadIOPSDevice", deserialize_with = "null_is_empty")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Operations per second.
    #[serde(rename = "throttleWriteIOPSDevice", deserialize_with = "null_is_empty")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// The weight of one device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WeightDevice {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// 10 to 1000.
    #[serde(default)]
    pub weight: Option<u16>,
    /// As `weight`, against child cgroups. cgroup v1 has it.
    #[serde(default)]
    pub leaf_weight: Option<u16>,
}

/// The highest rate of one device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleDevice {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes or operations per second.
    pub rate: u64,
}

/// Huge pages of one size.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HugepageLimit {
    /// As in `2MB`.
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// Marks on network packets. cgroup v1 has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The class of packets.
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    /// Priorities by interface.
    #[serde(deserialize_with = "null_is_empty")]
    pub priorities: Vec<InterfacePriority>,
}

/// The priority on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfacePriority {
    /// The interface.
    pub name: String,
    /// Its priority.
    pub priority: u32,
}

/// Limits of one RDMA device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rdma {
    /// Handles.
    pub hca_handles: Option<u32>,
    /// Objects.
    pub hca_objects: Option<u32>,
}

/// Programs in Go write `null` for an empty list.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_of_the_specification() {
        let text = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}],
            "memory":{"limit":1,"kernelTCP":-1,"disableOOMKiller":false,"checkBeforeUpdate":true},"cpu":{"realtimeRuntime":5},
            "pids":{"limit":0},"blockIO":{"leafWeight":10,"throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":600}]},
            "hugepageLimits":[{"pageSize":"2MB","limit":9}],"network":{"classID":1,"priorities":null},
            "rdma":{"mlx5_1":{"hcaHandles":3}},"unified":{"memory.high":"max"}}"#;
        let read: Resources = serde_json::from_str(text).unwrap();
        assert_eq!(read.memory.unwrap().kernel_tcp, Some(-1));
        assert_eq!(read.devices[1].major, Some(1));
        assert_eq!(read.block_io.unwrap().throttle_read_iops_device[0].rate, 600);
        assert_eq!(read.rdma["mlx5_1"].hca_handles, Some(3));
    }

    #[test]
    fn names_what_it_does_not_know() {
        for (text, name) in [(r#"{"gpu":1}"#, "gpu"), (r#"{"memory":{"limits":1}}"#, "limits")] {
            let error = serde_json::from_str::<Resources>(text).unwrap_err().to_string();
            assert!(error.contains(&format!("unknown field `{name}`")), "{error}");
        }
        let empty: Resources = serde_json::from_str(r#"{"memory":null,"devices":null}"#).unwrap();
        assert_eq!(empty, Resources::default());
    }
}
