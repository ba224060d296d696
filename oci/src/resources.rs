//! The cgroup of a container.

use crate::config::{Config, Device};
use crate::create::Create;
use crate::state::in_user_namespace;
use std::path::PathBuf;
use wave_cgroups::{Cgroup, CgroupPath, DeviceRule, Error, Layout, Resources};
use wave_engine::Failure;

/// Where the cgroup of a container will be.
pub struct Place(Option<(Layout, CgroupPath)>);

impl Place {
    /// Finds the place.
    ///
    /// # Errors
    /// 125 if the path is invalid or this host has no cgroups.
    pub fn find(config: &Config, request: &Create) -> Result<Self, Failure> {
        let linux = &config.linux;
        // An ordinary user, also as root of a user namespace, may have no cgroup to make one in, and asks for none.
        let is_ordinary = || !nix::unistd::geteuid().is_root() || in_user_namespace();
        let has_limits = linux.resources.as_ref().is_some_and(|resources| *resources != Resources::default());
        let asks_for_none = linux.cgroups_path.is_none() && !has_limits;
        if request.no_cgroup || asks_for_none && is_ordinary() {
            return Ok(Self(None));
        }
        let layout = Layout::detect().map_err(|error| failure(&error))?.without_unused(&limits(config));
        let path = CgroupPath::parse(linux.cgroups_path.as_deref(), &request.id, request.systemd_cgroup);
        Ok(Self(Some((layout, path.map_err(|error| failure(&error).at("linux.cgroupsPath"))?))))
    }

    /// The cgroup, not made.
    ///
    /// # Errors
    /// 125 if the path cannot be used.
    pub fn planned(&self) -> Result<Cgroup, Failure> {
        let planned = self.0.as_ref().map(|(layout, path)| Cgroup::planned(layout, path));
        planned.unwrap_or_else(|| Ok(Cgroup::none())).map_err(|error| failure(&error))
    }

    /// Makes the cgroup, with at most `max_rss` bytes of memory if the policy has a limit.
    ///
    /// # Errors
    /// 125 if it cannot be made or a limit cannot be applied.
    pub fn make(&self, config: &Config, max_rss: Option<u64>) -> Result<Cgroup, Failure> {
        let Some((layout, path)) = &self.0 else {
            let refused = || {
                Failure::refused("nothing bounds the memory of the container: it has no cgroup")
                    .at("limits.max-rss of the policy")
                    .fix("let it have one, or drop `max-rss`")
            };
            return max_rss.map_or_else(|| Ok(Cgroup::none()), |_| Err(refused()));
        };
        let create = |with_swap| Cgroup::create(layout, path, &narrowed(limits(config), max_rss, with_swap));
        let made = match create(true) {
            // Without accounting of swap, what is swapped is not bounded. It is not in memory either.
            Err(Error::NoFile { .. }) if max_rss.is_some() => create(false),
            made => made,
        };
        made.map_err(|error| failure(&error).at("linux.resources"))
    }
}

/// The resources, with at most these bytes of memory, swap included if the kernel counts it.
fn narrowed(mut resources: Resources, max_rss: Option<u64>, with_swap: bool) -> Resources {
    let Some(most) = max_rss.and_then(|bytes| i64::try_from(bytes).ok()) else { return resources };
    let narrow = |limit: Option<i64>| Some(limit.filter(|limit| *limit > 0).map_or(most, |limit| limit.min(most)));
    let memory = resources.memory.get_or_insert_default();
    memory.limit = narrow(memory.limit);
    if with_swap {
        memory.swap = narrow(memory.swap);
    }
    resources
}

/// Refuses an update that gives a container more memory than its policy.
///
/// # Errors
/// 125 if it does.
pub fn check_update(resources: &Resources, max_rss: Option<u64>) -> Result<(), Failure> {
    let (Some(most), Some(memory)) = (max_rss, &resources.memory) else { return Ok(()) };
    // 0 sets nothing, and -1 is no limit.
    let is_more = |limit: Option<i64>| {
        limit.is_some_and(|limit| u64::try_from(limit).is_ok_and(|limit| limit > most) || limit < 0)
    };
    match is_more(memory.limit) || is_more(memory.swap) {
        true => Err(Failure::refused(format!("the policy of the container gives it {most} bytes of memory"))
            .at("limits.max-rss of the policy")
            .fix("give it no more")),
        false => Ok(()),
    }
}

/// Moves this process into the cgroup.
///
/// # Errors
/// 125 if the kernel refuses.
pub fn enter(cgroup: &Cgroup) -> Result<(), Failure> {
    cgroup.enter().map_err(|error| failure(&error).at("linux.cgroupsPath"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use wave_cgroups::Memory;

    fn memory(limit: Option<i64>, swap: Option<i64>) -> Resources {
        Resources { memory: Some(Memory { limit, swap, ..Memory::default() }), ..Resources::default() }
    }

    #[test]
    fn a_policy_bounds_memory_and_swap_and_gives_none() {
        let bounded = |resources| narrowed(resources, Some(100), true);
        assert_eq!(bounded(Resources::default()), memory(Some(100), Some(100)));
        for none in [None, Some(0), Some(-1), Some(200)] {
            assert_eq!(bounded(memory(none, none)), memory(Some(100), Some(100)), "{none:?}");
        }
        assert_eq!(bounded(memory(Some(50), Some(70))), memory(Some(50), Some(70)));
        assert_eq!(narrowed(memory(Some(200), None), Some(100), false), memory(Some(100), None));
        assert_eq!(narrowed(memory(Some(200), None), None, true), memory(Some(200), None));
    }

    #[test]
    fn an_update_stays_within_the_policy() {
        for (limit, swap) in [(Some(100), None), (Some(50), Some(100)), (Some(0), Some(0)), (None, None)] {
            check_update(&memory(limit, swap), Some(100)).unwrap();
        }
        for (limit, swap) in [(Some(101), None), (Some(-1), None), (Some(50), Some(101)), (None, Some(-1))] {
            assert_eq!(check_update(&memory(limit, swap), Some(100)).unwrap_err().code(), 125, "{limit:?} {swap:?}");
            check_update(&memory(limit, swap), None).unwrap();
        }
        check_update(&Resources::default(), Some(100)).unwrap();
    }
}
