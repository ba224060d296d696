//! Prints what the verifier's rules say of single instructions, one JSON object a line, for `proofs/verifier`.
//!
//! Nothing is transcribed: each line is what the verifier's own code answers. The program only chooses what to ask.
//!
//! | command | what |
//! |---|---|
//! | `wave-rules rules` | states before and after instructions, conditions and joins |
//! | `wave-rules instructions` | how long instructions are and what they write, as the verifier's decoder reads them |
#![forbid(unsafe_code)]

mod bench;
mod encodings;
mod instructions;
mod json;
mod questions;
mod values;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let printed = match std::env::args().nth(1).as_deref() {
        Some("rules") => questions::print(&mut out),
        Some("instructions") => instructions::print(&mut out),
        _ => {
            eprintln!("wave-rules: say `rules` or `instructions`");
            return ExitCode::FAILURE;
        }
    };
    match printed.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wave-rules: {error}");
            ExitCode::FAILURE
        }
    }
}
