//! The part of `wave doctor` on levels of Landlock.

use serde::Serialize;
use wave_sandbox::{LANDLOCK_LEVELS, LandlockLevel, landlock_abi};

/// A level, and whether this kernel has it.
#[derive(Serialize)]
pub struct Level {
    #[serde(flatten)]
    level: &'static LandlockLevel,
    present: bool,
}

/// The levels of a facility, for JSON.
pub fn levels(facility: &str) -> Vec<Level> {
    let abi = landlock_abi();
    let levels = LANDLOCK_LEVELS.iter().filter(|_| facility == "landlock");
    levels.map(|level| Level { level, present: level.abi <= abi }).collect()
}

/// What follows the facilities, line by line.
pub fn remarks() -> Vec<String> {
    let abi = landlock_abi();
    let title = "\nLandlock by ABI level, and what holds in its place on a kernel without it:\n".to_owned();
    std::iter::once(title).chain(LANDLOCK_LEVELS.iter().map(|level| level_line(level, abi))).collect()
}

fn level_line(level: &LandlockLevel, abi: i32) -> String {
    let mark = if level.abi <= abi { "yes" } else { "no" };
    let LandlockLevel { linux, adds, detail, .. } = level;
    format!("  ABI {} (Linux {linux}): {mark}, {adds}\n    without: {detail}\n", level.abi)
}
