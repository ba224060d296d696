//! `wave lower`: a component as one core module.

use crate::args::{Lower, Sandbox};
use crate::image;
use crate::worker;
use std::fs::File;
use std::io::Write;
use wave_engine::Failure;
use wave_engine::compile::{self, CompileLimits};
use wave_policy::limits::{COMPILE_MEMORY_BYTES, COMPILE_TIMEOUT};

/// Lowers a component to a file. A sealed process reads it.
///
/// # Errors
/// When there is no component, it cannot be lowered, or the file cannot be written.
pub fn lower(sandbox: Option<Sandbox>, arguments: &Lower) -> Result<u8, Failure> {
    let limits = CompileLimits {
        module: arguments.component.clone(),
        level: worker::level(sandbox),
        timeout: arguments.compile_timeout.unwrap_or(COMPILE_TIMEOUT),
        memory_bytes: arguments.compile_memory.unwrap_or(COMPILE_MEMORY_BYTES),
        has_flags: true,
    };
    let bytes = image::read(&limits)?;
    let adapter = if arguments.keep_interfaces { None } else { Some(compile::ADAPTER) };
    let module: Vec<u8> = worker::value(&limits, 1, |_| compile::lower(&limits.module, &bytes, adapter))?;
    let output = &arguments.output;
    File::create(output).and_then(|mut file| file.write_all(&module)).map_err(|error| {
        Failure::refused(format!("cannot write the module: {error}")).at(output.display().to_string())
    })?;
    Ok(0)
}
