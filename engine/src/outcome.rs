//! How a guest ended.

use wave_runtime::{Stop, Stopped, Value};

/// How a guest ended.
#[derive(Debug)]
pub enum Outcome {
    /// It returned: the results of the called function, none of `_start`.
    Returned(Vec<Value>),
    /// It stopped in the middle: by exiting, by a trap, at the time limit.
    Stopped(Stopped),
}

impl Outcome {
    /// The exit code that stands for it: the guest's own, 124 for the time limit, 134 for a trap, 128 + n for a signal. A code of
    /// the guest that no exit status can hold (above 255) is 125.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Returned(_) => 0,
            Self::Stopped(stopped) => match stopped.stop {
                Stop::Exit(code) => u8::try_from(code).unwrap_or(125),
                Stop::Signal(number) => 128 | (number & 0x7f),
                Stop::Deadline => 124,
                Stop::Trap(_) => 134,
            },
        }
    }
}
