#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod child;
mod command;
mod error;
mod outcome;
mod place;

pub use child::{Child, Output};
pub use command::{Access, Command, DEFAULT_MAX_OUTPUT, Input, Level};
pub use error::Error;
pub use outcome::{Denial, Ending, FileId, Files, Frame, Hostcall, Layer, Memory, Outcome, Sandbox, Streams, Time};
