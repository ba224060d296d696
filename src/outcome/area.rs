//! The memory that the process of a run shares with the one that waits for it: counts in front, texts behind.
//!
//! The sealed process writes, [`Document`](super::document::Document) reads, and trusts nothing: every number and length may be
//! forged.

use crate::words::{WORD, store, word};
use std::ops::Range;

/// Length of the area.
pub const AREA_BYTES: usize = COUNTS_BYTES + Text::ALL.len() * TEXT_BYTES;

/// Length of the counts.
const COUNTS_BYTES: usize = 64 << 10;

/// The most that a text takes, with its length in front.
const TEXT_BYTES: usize = 256 << 10;

/// Functions there can be.
const FUNCTIONS: usize = 64;

/// Reasons of denials that are told apart.
pub const REASONS: usize = 64;

/// The most bytes of a reason.
const REASON_BYTES: usize = 256;

/// How far a run got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The program was not entered.
    Before,
    /// The program was running.
    Running,
    /// The program has ended.
    Over,
}

impl Stage {
    /// The stage of a number; every other number is one that no run leaves.
    pub fn of(number: u64) -> Option<Self> {
        [Self::Before, Self::Running, Self::Over].into_iter().find(|stage| *stage as u64 == number)
    }
}

/// Numbers there is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// A [`Stage`].
    Stage,
    /// The largest linear memory, in bytes.
    Memory,
    /// One more than the units of fuel that were used; 0 if there was no limit on them.
    Fuel,
    /// Files that were opened.
    Opened,
    /// Those that were opened for writing.
    OpenedToWrite,
    /// Bytes read from files and sockets.
    Read,
    /// Bytes written to files and sockets.
    Written,
    /// Bytes read from the standard streams.
    StreamsRead,
    /// Bytes written to the standard streams.
    StreamsWritten,
    /// Denials for reasons beyond the last that is told apart.
    OtherDenials,
}

/// What is counted of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfCall {
    /// Calls.
    Calls,
    /// Those that failed, denied ones among them.
    Failed,
    /// Those that the monitor denied.
    Denied,
}

/// Place of a number.
pub const fn total(total: Total) -> usize {
    total as usize * WORD
}

/// Place of a number of a function.
pub const fn call(function: usize, what: OfCall) -> usize {
    (Total::OtherDenials as usize + 1 + function * 3 + what as usize) * WORD
}

/// Place of the number of denials for a reason. Its text follows, with its length in front.
pub const fn reason(index: usize) -> usize {
    call(FUNCTIONS, OfCall::Calls) + index * REASON_BYTES
}

/// A text of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The BLAKE3 hash of the policy file.
    Policy,
    /// The BLAKE3 hash of the module's file.
    Module,
    /// The layers, as JSON.
    Sandbox,
    /// How the program ended, as JSON.
    Ending,
    /// Why it did not run, as JSON.
    Failure,
}

impl Text {
    const ALL: [Self; 5] = [Self::Policy, Self::Module, Self::Sandbox, Self::Ending, Self::Failure];

    const fn place(self) -> Range<usize> {
        self as usize * TEXT_BYTES..(self as usize + 1) * TEXT_BYTES
    }
}

/// The counts and the texts of an area.
pub fn split(area: &'static mut [u8]) -> (&'static mut [u8], &'static mut [u8]) {
    area.split_at_mut_checked(COUNTS_BYTES).unwrap_or_default()
}

/// The counts and the texts of an area that another process has left.
pub fn split_left(area: &[u8]) -> (&[u8], &[u8]) {
    area.split_at_checked(COUNTS_BYTES).unwrap_or_default()
}

/// Stores a text, with its length in front. One that is too long is left out: a part of it would be no JSON.
pub fn store_text(place: &mut [u8], text: &str) -> bool {
    let bytes = place.get_mut(WORD..).and_then(|place| place.get_mut(..text.len()));
    let is_stored = bytes.map(|bytes| bytes.copy_from_slice(text.as_bytes())).is_some();
    if is_stored {
        store(place, 0, text.len() as u64);
    }
    is_stored
}

/// A text that [`store_text`] has stored.
pub fn text_at(place: &[u8]) -> Option<&str> {
    let len = usize::try_from(word(place, 0)).ok().filter(|len| *len > 0)?;
    str::from_utf8(place.get(WORD..)?.get(..len)?).ok()
}

/// Stores one of the texts, if there is room for it.
pub fn store_in(texts: &mut [u8], text: Text, value: &str) -> bool {
    texts.get_mut(text.place()).is_some_and(|place| store_text(place, value))
}

/// One of the texts.
pub fn text(texts: &[u8], text: Text) -> Option<&str> {
    text_at(texts.get(text.place())?)
}

/// The place of the text of a reason.
pub const fn reason_text(index: usize) -> Range<usize> {
    reason(index) + WORD..reason(index + 1)
}

const _: () = assert!(reason(REASONS) <= COUNTS_BYTES, "the counts have room");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_room() {
        assert!(wave_policy::all_functions().len() <= FUNCTIONS);
    }

    #[test]
    fn texts_are_read_as_they_were_stored_and_forged_lengths_are_none() {
        let mut texts = vec![0; AREA_BYTES - COUNTS_BYTES];
        store_in(&mut texts, Text::Module, "hash");
        assert_eq!((text(&texts, Text::Module), text(&texts, Text::Ending)), (Some("hash"), None));
        store_in(&mut texts, Text::Ending, &"x".repeat(TEXT_BYTES));
        assert_eq!(text(&texts, Text::Ending), None, "it is too long");
        for len in [u64::MAX, TEXT_BYTES as u64, (TEXT_BYTES - WORD + 1) as u64] {
            store(&mut texts, Text::Module.place().start, len);
            assert_eq!(text(&texts, Text::Module), None, "{len}");
        }
    }
}
