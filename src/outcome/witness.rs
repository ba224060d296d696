//! Records what a run says of itself, in the process of the run: its layers, how the program ended, or why it did not run.

use super::area::{self, Text};
use super::document::Ending;
use crate::report::RunReport;
use crate::run::Witness;
use serde::Serialize;
use wave_engine::{Failure, Outcome};

/// Records texts in shared memory.
pub struct Recorder {
    texts: &'static mut [u8],
}

impl Recorder {
    /// Records in this memory.
    pub const fn new(texts: &'static mut [u8]) -> Self {
        Self { texts }
    }

    /// Records a text.
    pub fn text(&mut self, text: Text, value: &str) {
        area::store_in(self.texts, text, value);
    }

    /// Records why the program did not run.
    pub fn failed(&mut self, failure: &Failure) {
        self.value(Text::Failure, &Ending::from(failure));
    }

    /// Records a value, if there is room for its text.
    fn value(&mut self, text: Text, value: &impl Serialize) -> bool {
        // Strings and numbers: there is nothing that cannot be written.
        serde_json::to_string(value).is_ok_and(|value| area::store_in(self.texts, text, &value))
    }
}

impl Witness for Recorder {
    fn sealed(&mut self, report: &RunReport<'_>) {
        self.value(Text::Sandbox, report);
    }

    fn ended(&mut self, outcome: &Outcome) {
        let mut ending = Ending::of(outcome);
        // The names are the program's, and of any length. Its outermost frames make room.
        while !self.value(Text::Ending, &ending) && ending.drop_frame() {}
    }
}
