//! Tasks, huge pages, network marks, RDMA, and files of cgroup v2 by name.

use std::collections::BTreeMap;

use super::{Setting, Settings, invalid, unsupported};
use crate::error::Error;
use crate::layout::Version;
use crate::resources::{HugepageLimit, Network, Pids, Rdma};

/// Files of cgroup v2 that act instead of limiting, or that this crate writes itself.
const NOT_UNIFIED: [&str; 6] =
    ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "cgroup.kill", "cgroup.freeze", "cgroup.type"];

pub(super) fn add_pids(pids: &Pids, to: &mut Settings<'_>) -> Result<(), Error> {
    match pids.limit {
        None => {}
        Some(-1) => to.add("pids.limit", "pids.max", "max", true),
        Some(limit @ 0..) => to.add("pids.limit", "pids.max", limit, false),
        Some(limit) => return Err(invalid("pids.limit", limit, "it is negative, and only -1 means no limit")),
    }
    Ok(())
}

pub(super) fn add_hugepages(limits: &[HugepageLimit], to: &mut Settings<'_>) -> Result<(), Error> {
    let suffix = if to.version == Version::V1 { "limit_in_bytes" } else { "max" };
    for HugepageLimit { page_size, limit } in limits {
        let digits = page_size.strip_suffix("B").and_then(|size| size.strip_suffix(['K', 'M', 'G']));
        if !digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(invalid("hugepageLimits", page_size.escape_debug(), "it is no size such as 2MB"));
        }
        let property = format!("hugepageLimits.{page_size}");
        to.add(&property, &format!("hugetlb.{page_size}.{suffix}"), limit, false);
        // Kernels since 5.7 can refuse the reservation too. The other file limits in any case.
        to.add(&property, &format!("hugetlb.{page_size}.rsvd.{suffix}"), limit, true);
    }
    Ok(())
}

pub(super) fn add_class(network: &Network, to: &mut Settings<'_>) -> Result<(), Error> {
    match (network.class_id, to.version) {
        (None | Some(0), _) => Ok(()),
        (Some(class), Version::V1) => {
            to.add("network.classID", "net_cls.classid", class, false);
            Ok(())
        }
        (Some(_), Version::V2) => Err(unsupported("network.classID")),
    }
}

pub(super) fn add_priorities(network: &Network, to: &mut Settings<'_>) -> Result<(), Error> {
    for priority in &network.priorities {
        let name = &priority.name;
        if to.version == Version::V2 {
            return Err(unsupported("network.priorities"));
        }
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(invalid("network.priorities", name.escape_debug(), "it is no name of an interface"));
        }
        to.add("network.priorities", "net_prio.ifpriomap", format!("{name} {}", priority.priority), false);
    }
    Ok(())
}

pub(super) fn add_rdma(devices: &BTreeMap<String, Rdma>, to: &mut Settings<'_>) -> Result<(), Error> {
    for (device, limits) in devices {
        let named = [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)];
        let text: String = named.iter().filter_map(|(name, limit)| Some(format!(" {name}={}", (*limit)?))).collect();
        if text.is_empty() || device.is_empty() || device.contains(char::is_whitespace) {
            return Err(invalid("rdma", device.escape_debug(), "it is no device with hcaHandles or hcaObjects"));
        }
        to.add(&format!("rdma.{device}"), "rdma.max", format!("{device}{text}"), false);
    }
    Ok(())
}

/// Each line is written for itself: the kernel reads one at a time.
pub(super) fn add_unified(files: &BTreeMap<String, String>, list: &mut Vec<Setting>) -> Result<(), Error> {
    for (file, text) in files {
        let parts = file.split_once('.').filter(|(controller, rest)| !controller.is_empty() && !rest.is_empty());
        let Some((controller, _)) = parts.filter(|_| !file.contains('/') && !NOT_UNIFIED.contains(&file.as_str()))
        else {
            return Err(invalid("unified", file.escape_debug(), "it is no file that limits something"));
        };
        let controller = if controller == "cgroup" { "" } else { controller };
        for line in text.lines() {
            list.push(Setting {
                property: format!("unified.{file}"),
                controller: controller.to_owned(),
                version: Version::V2,
                writes: vec![(file.clone(), line.to_owned())],
                is_default: false,
            });
        }
    }
    Ok(())
}
