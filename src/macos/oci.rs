//! `wave oci` on macOS: refused.

use crate::args::Sandbox;
use clap::{Args, Command};
use std::ffi::OsString;
use wave_engine::Failure;

/// `wave oci`.
#[derive(Args, Debug)]
pub struct Oci {
    /// Whatever Linux takes
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<OsString>,
}

/// No line is read without a definition.
pub const fn plain_run(_: &[OsString]) -> Option<Oci> {
    None
}

/// No subcommand has a definition of its own.
pub const fn definition(_: &[OsString]) -> Option<Command> {
    None
}

/// Refuses.
///
/// # Errors
/// 125, always.
pub fn oci(_: Option<Sandbox>, oci: Oci) -> Result<u8, Failure> {
    let Oci { words } = oci;
    let typed = words.first().map_or_else(String::new, |word| format!(" {}", word.to_string_lossy()));
    Err(Failure::refused("a container is made of control groups, namespaces and mounts, which only Linux has")
        .at(format!("wave oci{typed}"))
        .fix("run the module by wave run, or the container in a virtual machine with Linux"))
}
