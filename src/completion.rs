//! `wave completion`: completion scripts for shells.

use crate::args::{Cli, Completion};
use crate::failure::Failure;
use clap::CommandFactory;
use std::io::Write;

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written to.
pub fn completion(arguments: &Completion) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "wave", &mut script);
    std::io::stdout()
        .write_all(&script)
        .map_err(|error| Failure::refused(format!("cannot write to standard output: {error}")))?;
    Ok(0)
}
