//! How a guest ended.

use wave_runtime::{Stop, Stopped, Value};

/// How a guest ended.
#[derive(Debug)]
pub enum Outcome {
    /// It returned these results. `_start` has none.
    Returned(Vec<Value>),
    /// It stopped before it returned: it exited, trapped, or reached a limit on time or fuel.
    Stopped(Stopped),
}

impl Outcome {
    /// The exit code: that of the guest, 124 for the limits on time and fuel, 134 for a trap, 128 + n for a signal. A guest's code
    /// above 255, which no exit status can represent, becomes 125.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Returned(_) => 0,
            Self::Stopped(stopped) => match stopped.stop {
                Stop::Exit(code) => u8::try_from(code).unwrap_or(125),
                Stop::Signal(number) => 128 | (number & 0x7f),
                Stop::Deadline | Stop::OutOfFuel => 124,
                Stop::Trap(_) => 134,
            },
        }
    }
}
