//! `wave compile`: a program as a file, or how long that takes.

use crate::args::{Compile, Sandbox};
use crate::compiler::{self, CompileLimits, Compiler};
use crate::failure::Failure;
use crate::input::{self, read_module};
use crate::plan;
use crate::policy;
use crate::program;
use crate::text::{clean, note, out};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use wave_contract::artefact::Artefact;
use wave_policy::Level;

/// Compiles a module: to a file, or to print the figures.
///
/// # Errors
/// When there is no module, it is invalid, or the file cannot be written.
pub fn compile(sandbox: Option<Sandbox>, arguments: &Compile) -> Result<u8, Failure> {
    let threads = arguments.threads.map_or_else(compiler::default_threads, std::num::NonZero::get);
    match &arguments.output {
        Some(output) => write(sandbox, arguments, output, threads),
        None => measure(&arguments.module, threads),
    }
}

fn write(sandbox: Option<Sandbox>, arguments: &Compile, output: &Path, threads: usize) -> Result<u8, Failure> {
    wave_sandbox::prepare_allocator();
    let path = &arguments.module;
    let file = input::read_file(path)?;
    if Artefact::is_one(&file) {
        note(&format!(
            "wave: note: `{}` is a compiled file: the module in it is compiled again, its code is not used\n",
            clean(&path.display().to_string())
        ));
    }
    let bytes = input::module_of(path, file)?;
    let limits = CompileLimits {
        module: path.clone(),
        level: sandbox.map_or_else(Level::default, policy::level),
        timeout: arguments.compile_timeout.unwrap_or(plan::COMPILE_TIMEOUT),
        memory_bytes: arguments.compile_memory.unwrap_or(plan::COMPILE_MEMORY_BYTES),
    };
    let compiler = Compiler::start(limits, bytes, threads)?;
    let artefact = program::make(path, compiler, arguments.deterministic, threads)?;
    let failed = |error: std::io::Error| {
        Failure::refused(format!("cannot write the program: {error}")).at(output.display().to_string())
    };
    let bytes = artefact.to_bytes().map_err(failed)?;
    File::create(output).and_then(|mut file| file.write_all(&bytes)).map_err(failed)?;
    Ok(0)
}

fn measure(path: &Path, threads: usize) -> Result<u8, Failure> {
    let bytes = read_module(path)?;
    let start = Instant::now();
    let module = program::parse(path, &bytes)?;
    let image = program::compile_only(path, &module, threads)?;
    out(&format!(
        "{} functions, {} bytes of wasm, {} bytes of code, {} traps, {} threads, {:.1} ms\n",
        image.functions.len(),
        bytes.len(),
        image.text.len(),
        image.traps.iter().count(),
        threads,
        start.elapsed().as_secs_f64() * 1e3,
    ));
    Ok(0)
}
