//! CPU time, and where to run.

use super::{Settings, invalid, unsupported};
use crate::error::Error;
use crate::layout::Version;
use crate::resources::Cpu;

/// Microseconds; the kernel's default.
const PERIOD: u64 = 100_000;

pub(super) fn add_time(cpu: &Cpu, to: &mut Settings<'_>) -> Result<(), Error> {
    check_time(cpu)?;
    match to.version {
        Version::V1 => add_v1(cpu, to),
        Version::V2 => add_v2(cpu, to)?,
    }
    if let Some(idle) = cpu.idle {
        to.add("cpu.idle", "cpu.idle", idle, idle == 0);
    }
    Ok(())
}

fn check_time(cpu: &Cpu) -> Result<(), Error> {
    match (cpu.quota, cpu.burst, cpu.idle) {
        (Some(quota), ..) if quota < -1 => {
            Err(invalid("cpu.quota", quota, "it is negative, and only -1 means no limit"))
        }
        (Some(quota @ 1..), Some(burst), _) if burst > quota.cast_unsigned() => {
            Err(invalid("cpu.burst", burst, "it is more than cpu.quota"))
        }
        (.., Some(idle)) if !(0..=1).contains(&idle) => Err(invalid("cpu.idle", idle, "it is neither 0 nor 1")),
        _ => Ok(()),
    }
}

/// A time that is set: 0 is not.
fn set<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

/// Whether the quota limits something.
fn is_limited(cpu: &Cpu) -> bool {
    cpu.quota.is_some_and(|quota| quota > 0)
}

// The kernel compares period, burst and quota with each other, so one can be refused until another is written: who writes tries again.
fn add_v1(cpu: &Cpu, to: &mut Settings<'_>) {
    if let Some(shares) = set(cpu.shares) {
        to.add("cpu.shares", "cpu.shares", shares, shares == 1024);
    }
    if let Some(period) = set(cpu.period) {
        to.add("cpu.period", "cpu.cfs_period_us", period, !is_limited(cpu));
    }
    if let Some(burst) = cpu.burst {
        to.add("cpu.burst", "cpu.cfs_burst_us", burst, burst == 0);
    }
    if let Some(quota) = set(cpu.quota) {
        to.add("cpu.quota", "cpu.cfs_quota_us", quota, quota == -1);
    }
    if let Some(period) = set(cpu.realtime_period) {
        to.add("cpu.realtimePeriod", "cpu.rt_period_us", period, false);
    }
    if let Some(runtime) = set(cpu.realtime_runtime) {
        to.add("cpu.realtimeRuntime", "cpu.rt_runtime_us", runtime, false);
    }
}

fn add_v2(cpu: &Cpu, to: &mut Settings<'_>) -> Result<(), Error> {
    if set(cpu.realtime_runtime).is_some() {
        return Err(unsupported("cpu.realtimeRuntime"));
    }
    if set(cpu.realtime_period).is_some() {
        return Err(unsupported("cpu.realtimePeriod"));
    }
    if let Some(shares) = set(cpu.shares) {
        to.add("cpu.shares", "cpu.weight", weight(shares), shares == 1024);
    }
    if let Some(burst) = cpu.burst {
        to.add("cpu.burst", "cpu.max.burst", burst, burst == 0);
    }
    if set(cpu.quota).is_some() || set(cpu.period).is_some() {
        let quota = cpu.quota.filter(|quota| *quota > 0).map_or_else(|| "max".to_owned(), |quota| quota.to_string());
        let period = set(cpu.period).unwrap_or(PERIOD);
        to.add("cpu.quota", "cpu.max", format!("{quota} {period}"), !is_limited(cpu));
    }
    Ok(())
}

/// The weight of cgroup v2, 1 to 10,000 with the default 100, for shares, 2 to 262,144 with the default 1024.
///
/// Fits the least, the greatest and the default. Source: runc 1.3.2 and crun 1.23, which agree.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 10,000")]
fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        shares => {
            let log = (shares as f64).log2();
            10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

pub(super) fn add_places(cpu: &Cpu, to: &mut Settings<'_>) -> Result<(), Error> {
    for (property, file, list) in [("cpu.cpus", "cpuset.cpus", &cpu.cpus), ("cpu.mems", "cpuset.mems", &cpu.mems)] {
        let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else { continue };
        if list.contains(|c: char| !c.is_ascii_digit() && !",-".contains(c)) {
            return Err(invalid(property, list.escape_debug(), "it is no list such as 0-3,7"));
        }
        to.add(property, file, list, false);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn weights_fit_the_ends_and_the_default() {
        let weights = [0, 2, 3, 1024, 262_143, 262_144, u64::MAX].map(weight);
        assert_eq!(weights, [1, 1, 2, 100, 10_000, 10_000, 10_000]);
    }
}
