//! `wave compile`: how long a module takes to compile, and how much code it makes.

use crate::args::Compile;
use crate::compiler;
use crate::failure::Failure;
use crate::input::read_module;
use crate::program;
use crate::text::out;
use std::time::Instant;

/// Compiles a module, throws the code away, and prints the figures.
///
/// # Errors
/// When there is no module, or it is invalid.
pub fn compile(arguments: &Compile) -> Result<u8, Failure> {
    let bytes = read_module(&arguments.module)?;
    let threads = arguments.threads.map_or_else(compiler::default_threads, std::num::NonZero::get);
    let start = Instant::now();
    let module = program::parse(&arguments.module, &bytes)?;
    let image = program::compile_only(&arguments.module, &module, threads)?;
    out(&format!(
        "{} functions, {} bytes of wasm, {} bytes of code, {} traps, {} threads, {:.1} ms\n",
        image.functions.len(),
        bytes.len(),
        image.text.len(),
        image.traps.len(),
        threads,
        start.elapsed().as_secs_f64() * 1e3,
    ));
    Ok(0)
}
