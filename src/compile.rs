//! `wave compile`: a program as a file, or how long that takes.

use crate::args::{Compile, Sandbox};
use crate::image;
use crate::plan;
use crate::progress;
use crate::text::{clean, remark};
use crate::worker::{self, Output};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use wave_contract::artifact::{Artifact, CodeSettings};
use wave_engine::Failure;
use wave_engine::compile::{self, CompileLimits, Compiler};
use wave_engine::input;
use wave_engine::program;
use wave_engine::progress::Watch;
use wave_policy::Level;
use wave_policy::limits::{COMPILE_MEMORY_BYTES, COMPILE_TIMEOUT};

/// Compiles a module: to a file, or to print the figures.
///
/// # Errors
/// When there is no module, it is invalid, or the file cannot be written.
pub fn compile(sandbox: Option<Sandbox>, arguments: &Compile) -> Result<u8, Failure> {
    let threads = arguments.threads.map_or_else(compile::default_threads, std::num::NonZero::get);
    let path = &arguments.module;
    let timeout = arguments.compile_timeout.unwrap_or(COMPILE_TIMEOUT);
    let memory_bytes = arguments.compile_memory.unwrap_or(COMPILE_MEMORY_BYTES);
    let limits = |level| CompileLimits { module: path.clone(), level, timeout, memory_bytes, has_flags: true };
    match &arguments.output {
        Some(output) => {
            let limits = limits(sandbox.map_or_else(Level::default, plan::level));
            write(arguments, output, threads, limits)
        }
        None => {
            let limits = limits(worker::level(sandbox));
            let bytes = image::read(&limits)?;
            worker::announce(path, &bytes);
            worker::run(&limits, threads, |watch| measure(path, &bytes, threads, watch))
        }
    }
}

fn write(arguments: &Compile, output: &Path, threads: usize, limits: CompileLimits) -> Result<u8, Failure> {
    wave_sandbox::prepare_allocator();
    let path = &arguments.module;
    let file = image::read(&limits)?;
    if Artifact::is_one(&file) {
        remark(&format!(
            "wave: note: `{}` is a compiled file: the module in it is compiled again, its code is not used\n",
            clean(&path.display().to_string())
        ));
    }
    let bytes = input::module_of(path, file)?;
    let compiler = Compiler::start(limits, bytes, threads)?;
    let settings = CodeSettings { canonical_nans: arguments.deterministic, fuel: arguments.fuel };
    let artifact = program::compile_artifact(path, compiler, settings, threads, progress::line().as_deref())?;
    let failed = |error: std::io::Error| {
        Failure::refused(format!("cannot write the program: {error}")).at(output.display().to_string())
    };
    let bytes = artifact.to_bytes().map_err(failed)?;
    File::create(output).and_then(|mut file| file.write_all(&bytes)).map_err(failed)?;
    Ok(0)
}

fn measure(path: &Path, bytes: &[u8], threads: usize, watch: Watch<'_>) -> Result<Output, Failure> {
    let bytes = input::module(path, bytes)?;
    let start = Instant::now();
    let module = compile::parse(path, &bytes)?;
    let image = compile::compile_only(path, &module, threads, watch)?;
    Ok(Output::new(format!(
        "{} functions, {} bytes of wasm, {} bytes of code, {} traps, {} threads, {:.1} ms\n",
        image.functions.len(),
        bytes.len(),
        image.text.len(),
        image.traps.iter().count(),
        threads,
        start.elapsed().as_secs_f64() * 1e3,
    )))
}
