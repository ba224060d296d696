//! Memory and swap.

use super::{Settings, invalid, unsupported};
use crate::error::Error;
use crate::layout::Version;
use crate::resources::Memory;

pub(super) fn add(memory: &Memory, to: &mut Settings<'_>) -> Result<(), Error> {
    let limit = limit_set("memory.limit", memory.limit)?;
    let swap = limit_of_both(limit, limit_set("memory.swap", memory.swap)?)?;
    check_kernel_memory(memory, limit)?;
    match to.version {
        Version::V1 => add_v1(limit, swap, to),
        Version::V2 => add_v2(limit, swap, to)?,
    }
    if let Some(reservation) = limit_set("memory.reservation", memory.reservation)? {
        let file = if to.version == Version::V1 { "memory.soft_limit_in_bytes" } else { "memory.low" };
        let value = if to.version == Version::V1 { reservation.to_string() } else { v2_value(reservation) };
        to.add("memory.reservation", file, value, reservation == -1);
    }
    add_behaviour(memory, to)
}

/// A limit that is set: -1 or more than 0.
fn limit_set(property: &str, value: Option<i64>) -> Result<Option<i64>, Error> {
    match value {
        None | Some(0) => Ok(None),
        Some(value) if value >= -1 => Ok(Some(value)),
        Some(value) => Err(invalid(property, value, "it is negative, and only -1 means no limit")),
    }
}

/// The limit of memory and swap together. Without limit for memory, there is none for both unless it is set.
fn limit_of_both(limit: Option<i64>, swap: Option<i64>) -> Result<Option<i64>, Error> {
    match (limit, swap) {
        (Some(-1), None) => Ok(Some(-1)),
        (Some(limit), Some(swap)) if swap != -1 && swap < limit => {
            Err(invalid("memory.swap", swap, "it counts memory and swap together, and is less than memory.limit"))
        }
        _ => Ok(swap),
    }
}

/// The kernel counts its own memory in the limit of all, so a limit that is no lower changes nothing.
fn check_kernel_memory(memory: &Memory, limit: Option<i64>) -> Result<(), Error> {
    for (property, value) in [("memory.kernel", memory.kernel), ("memory.kernelTCP", memory.kernel_tcp)] {
        if let Some(value) = limit_set(property, value)?
            && value != -1
            && !limit.is_some_and(|limit| limit != -1 && limit <= value)
        {
            let why = "the kernel has no such limit any more, and counts this in memory.limit";
            return Err(Error::Unsupported { property: property.to_owned(), why });
        }
    }
    Ok(())
}

fn add_v1(limit: Option<i64>, swap: Option<i64>, to: &mut Settings<'_>) {
    if let Some(limit) = limit {
        to.add("memory.limit", "memory.limit_in_bytes", limit, limit == -1);
    }
    if let Some(swap) = swap {
        to.add("memory.swap", "memory.memsw.limit_in_bytes", swap, swap == -1);
    }
}

/// cgroup v2 limits swap alone, and the configuration both together.
fn add_v2(limit: Option<i64>, swap: Option<i64>, to: &mut Settings<'_>) -> Result<(), Error> {
    if let Some(limit) = limit {
        to.add("memory.limit", "memory.max", v2_value(limit), limit == -1);
    }
    let alone = match (limit, swap) {
        (_, None) => return Ok(()),
        (_, Some(-1)) => -1,
        (None, Some(both)) => {
            return Err(invalid("memory.swap", both, "it counts memory too, and memory.limit is not set"));
        }
        (Some(-1), Some(both)) => both,
        (Some(limit), Some(both)) => both - limit,
    };
    to.add("memory.swap", "memory.swap.max", v2_value(alone), alone == -1);
    Ok(())
}

fn v2_value(limit: i64) -> String {
    if limit == -1 { "max".to_owned() } else { limit.to_string() }
}

fn add_behaviour(memory: &Memory, to: &mut Settings<'_>) -> Result<(), Error> {
    if memory.use_hierarchy == Some(false) {
        let why = "the kernel always counts child cgroups";
        return Err(Error::Unsupported { property: "memory.useHierarchy".to_owned(), why });
    }
    if let Some(swappiness) = memory.swappiness {
        match to.version {
            _ if swappiness > 100 => return Err(invalid("memory.swappiness", swappiness, "it is more than 100")),
            Version::V1 => to.add("memory.swappiness", "memory.swappiness", swappiness, false),
            Version::V2 => return Err(unsupported("memory.swappiness")),
        }
    }
    match (memory.disable_oom_killer, to.version) {
        (None, _) | (Some(false), Version::V2) => {}
        (Some(disable), Version::V1) => {
            to.add("memory.disableOOMKiller", "memory.oom_control", u8::from(disable), !disable);
        }
        (Some(true), Version::V2) => return Err(unsupported("memory.disableOOMKiller")),
    }
    Ok(())
}
