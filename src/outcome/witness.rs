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

    fn value(&mut self, text: Text, value: &impl Serialize) {
        // Strings and numbers: there is nothing that cannot be written.
        if let Ok(value) = serde_json::to_string(value) {
            self.text(text, &value);
        }
    }
}

impl Witness for Recorder {
    fn sealed(&mut self, report: &RunReport<'_>) {
        self.value(Text::Sandbox, report);
    }

    fn ended(&mut self, outcome: &Outcome) {
        self.value(Text::Ending, &Ending::of(outcome));
    }
}
