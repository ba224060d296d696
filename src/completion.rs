//! `wave completion`: completion scripts for shells.

use crate::args::{Cli, Completion};
use crate::text::out;
use clap::CommandFactory;
use wave_engine::Failure;

/// Prints the script.
///
/// # Errors
/// None; the signature is that of every subcommand.
pub fn completion(arguments: &Completion) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "wave", &mut script);
    out(&String::from_utf8_lossy(&script));
    Ok(0)
}
