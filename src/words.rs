//! Numbers in memory that a process shares with the one that waits for it. The sealed process writes them and the other one reads
//! them as hostile data.

/// Bytes of a number.
pub const WORD: usize = 8;

/// A number; 0 where there is none.
pub fn word(area: &[u8], at: usize) -> u64 {
    area.get(at..at.saturating_add(WORD)).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Stores a number, where there is a place for it.
pub fn store(area: &mut [u8], at: usize, value: u64) {
    if let Some(place) = area.get_mut(at..at.saturating_add(WORD)) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

/// Adds to a number.
pub fn add(area: &mut [u8], at: usize, more: u64) {
    let sum = word(area, at).saturating_add(more);
    store(area, at, sum);
}

/// Raises a number to a value, if it is lower.
pub fn raise(area: &mut [u8], at: usize, value: u64) {
    let most = word(area, at).max(value);
    store(area, at, most);
}
