//! The cgroup of a container.

use crate::config::{Config, Device};
use crate::create::Create;
use std::path::PathBuf;
use wave_cgroups::{Cgroup, CgroupPath, DeviceRule, Layout, Resources};
use wave_engine::Failure;

/// The cgroup of a container, not made.
///
/// # Errors
/// 125 if the path is invalid or this host has no cgroups.
pub fn planned(config: &Config, request: &Create) -> Result<Cgroup, Failure> {
    match place(config, request)? {
        Some((layout, path)) => Cgroup::planned(&layout, &path).map_err(|error| failure(&error)),
        None => Ok(Cgroup::none()),
    }
}

/// Makes the cgroup of a container.
///
/// # Errors
/// 125 if it cannot be made or a limit cannot be applied.
pub fn make(config: &Config, request: &Create) -> Result<Cgroup, Failure> {
    match place(config, request)? {
        Some((layout, path)) => {
            Cgroup::create(&layout, &path, &limits(config)).map_err(|error| failure(&error).at("linux.resources"))
        }
        None => Ok(Cgroup::none()),
    }
}

/// Moves this process into the cgroup.
///
/// # Errors
/// 125 if the kernel refuses.
pub fn enter(config: &Config, cgroup: &Cgroup) -> Result<(), Failure> {
    cgroup.enter(&limits(config)).map_err(|error| failure(&error).at("linux.cgroupsPath"))
}

fn place(config: &Config, request: &Create) -> Result<Option<(Layout, CgroupPath)>, Failure> {
    let linux = &config.linux;
    if request.no_cgroup {
        return Ok(None);
    }
    // An ordinary user may have no cgroup to make one in, and asks for none.
    let ordinary = !nix::unistd::geteuid().is_root();
    if ordinary && linux.cgroups_path.is_none() && linux.resources.is_none() {
        return Ok(None);
    }
    let layout = Layout::detect().map_err(|error| failure(&error))?;
    let path = CgroupPath::parse(linux.cgroups_path.as_deref(), &request.id, request.systemd_cgroup);
    Ok(Some((layout, path.map_err(|error| failure(&error).at("linux.cgroupsPath"))?)))
}

fn limits(config: &Config) -> Resources {
    let mut resources = config.linux.resources.clone().unwrap_or_default();
    // A list of rules denies what it does not allow, and the runtime has to create the nodes of the configuration.
    if !resources.devices.is_empty() {
        resources.devices.extend(config.linux.devices.iter().filter_map(rule));
    }
    resources
}

fn rule(device: &Device) -> Option<DeviceRule> {
    let kind = match device.kind.as_str() {
        "c" | "u" => "c",
        "b" => "b",
        _ => return None,
    };
    Some(DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major: Some(device.major.into()),
        minor: Some(device.minor.into()),
        access: Some("rwm".to_owned()),
    })
}

/// The cgroup's directory in each hierarchy of version 1, by the name that the hierarchy has below `/sys/fs/cgroup`.
pub fn hierarchies(cgroup: &Cgroup) -> Vec<(String, PathBuf)> {
    cgroup.hierarchies().map(|(name, path)| (name, path.to_owned())).collect()
}

/// The failure for an error of cgroups.
pub fn failure(error: &wave_cgroups::Error) -> Failure {
    Failure::refused(wave_policy::chain(error)).fix(error.fix())
}
