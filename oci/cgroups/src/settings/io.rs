//! Reads and writes of block devices.

use super::{Settings, invalid, unsupported};
use crate::error::Error;
use crate::layout::Version;
use crate::resources::{BlockIo, ThrottleDevice, WeightDevice};

pub(super) fn add(io: &BlockIo, to: &mut Settings<'_>) -> Result<(), Error> {
    if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
        add_weight("blockIO.weight", "", weight, to)?;
    }
    if let Some(weight) = io.leaf_weight.filter(|weight| *weight != 0) {
        add_leaf_weight("blockIO.leafWeight", "blkio.leaf_weight", weight.to_string(), to)?;
    }
    for device in &io.weight_device {
        add_device(device, to)?;
    }
    for (property, v1, v2, devices) in [
        ("blockIO.throttleReadBpsDevice", "read_bps", "rbps", &io.throttle_read_bps_device),
        ("blockIO.throttleWriteBpsDevice", "write_bps", "wbps", &io.throttle_write_bps_device),
        ("blockIO.throttleReadIOPSDevice", "read_iops", "riops", &io.throttle_read_iops_device),
        ("blockIO.throttleWriteIOPSDevice", "write_iops", "wiops", &io.throttle_write_iops_device),
    ] {
        devices.iter().for_each(|device| add_throttle(property, v1, v2, device, to));
    }
    Ok(())
}

/// `device` is empty for all, or `MAJOR:MINOR ` with the space.
fn add_weight(property: &str, device: &str, weight: u16, to: &mut Settings<'_>) -> Result<(), Error> {
    if !(10..=1000).contains(&weight) {
        return Err(invalid(property, weight, "it is not from 10 to 1000"));
    }
    let same = format!("{device}{weight}");
    // What limits by weight is the I/O scheduler, and each has files of its own. Those of BFQ take the same numbers.
    match (to.version, device.is_empty()) {
        (Version::V1, true) => {
            to.add_first_of(property, &[("blkio.weight", same.clone()), ("blkio.bfq.weight", same)], false)
        }
        (Version::V1, false) => {
            to.add_first_of(
                property,
                &[("blkio.weight_device", same.clone()), ("blkio.bfq.weight_device", same)],
                false,
            );
        }
        (Version::V2, _) => {
            // 10 to 1000 becomes 1 to 10,000, as in runc and crun.
            let converted = 1 + (u32::from(weight) - 10) * 9999 / 990;
            to.add_first_of(property, &[("io.bfq.weight", same), ("io.weight", format!("{device}{converted}"))], false);
        }
    }
    Ok(())
}

fn add_leaf_weight(property: &str, file: &str, value: String, to: &mut Settings<'_>) -> Result<(), Error> {
    match to.version {
        Version::V1 => to.add(property, file, value, false),
        Version::V2 => return Err(unsupported(property)),
    }
    Ok(())
}

fn add_device(device: &WeightDevice, to: &mut Settings<'_>) -> Result<(), Error> {
    let number = format!("{}:{} ", device.major, device.minor);
    if device.weight.is_none() && device.leaf_weight.is_none() {
        return Err(invalid("blockIO.weightDevice", number.trim(), "it has neither weight nor leafWeight"));
    }
    if let Some(weight) = device.weight {
        add_weight("blockIO.weightDevice", &number, weight, to)?;
    }
    if let Some(weight) = device.leaf_weight {
        add_leaf_weight("blockIO.weightDevice", "blkio.leaf_weight_device", format!("{number}{weight}"), to)?;
    }
    Ok(())
}

fn add_throttle(property: &str, v1: &str, v2: &str, device: &ThrottleDevice, to: &mut Settings<'_>) {
    let ThrottleDevice { major, minor, rate } = device;
    match to.version {
        Version::V1 => {
            to.add(property, &format!("blkio.throttle.{v1}_device"), format!("{major}:{minor} {rate}"), false)
        }
        Version::V2 => to.add(property, "io.max", format!("{major}:{minor} {v2}={rate}"), false),
    }
}
