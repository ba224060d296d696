//! `wave` runs WebAssembly programs that nobody trusts, behind layers that are each checked.
//!
//! | file | does |
//! |---|---|
//! | `args` | what was typed |
//! | `policy` | policy files: for a run, and `wave policy` |
//! | `flag` | the form of `--dir`, and what is meant by others |
//! | `grants` | directories and devices, checked |
//! | `plan` | what is meant: resolved grants, limits, level |
//! | `input` | module bytes from a file, standard input or text |
//! | `network` | the sockets a run is given |
//! | `compiler` | a sealed process that reads and compiles the module |
//! | `artefact` | compiled programs as files |
//! | `origin` | where code comes from: cache, artefact or compiler |
//! | `cache` | verified code that was kept from an earlier run |
//! | `program` | from bytes to an instance, ready to be sealed and entered |
//! | `unused` | grants that the module cannot use |
//! | `run` | `wave run`: plan, load, seal, enter, report |
//! | `trace` | what `--trace` prints |
//! | `why` | which rule of a policy decides, and what would allow it |
//! | `learn` | `wave learn`: a run that is observed, and the policy that comes of it |
//! | `compile`, `verify`, `wast`, `inspect`, `audit`, `doctor`, `completion` | the other subcommands |
//! | `manual` | tests of `docs/man` |
//! | `usage` | what is said of a command line that makes no sense |
//! | `failure`, `text` | messages and exit codes |
#![forbid(unsafe_code)]

mod args;
mod artefact;
mod audit;
mod cache;
mod compile;
mod compiler;
mod completion;
mod doctor;
mod failure;
mod flag;
mod grants;
mod input;
mod inspect;
mod learn;
#[cfg(test)]
mod manual;
mod network;
mod origin;
mod plan;
mod policy;
mod program;
mod report;
mod run;
mod text;
mod trace;
mod unused;
mod usage;
mod verify;
mod wast;
mod why;

use args::{Cli, Command};
use clap::Parser;
use failure::Failure;

/// So that a worker that runs out of memory can say so.
#[global_allocator]
static ALLOCATOR: wave_sandbox::Allocator = wave_sandbox::Allocator;

fn main() -> ! {
    // First, before anything else runs: what the parent left behind decides nothing.
    if let Err(error) = wave_sandbox::start() {
        let failure = Failure::refused(text::chain(&error)).fix(error.fix());
        text::note(&failure.to_string());
        wave_sandbox::exit(i32::from(failure.code()));
    }
    let typed: Vec<_> = std::env::args_os().collect();
    let args = args::with_implied_run(typed.iter().cloned());
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        // Help and version are errors to clap.
        Err(error) => wave_sandbox::exit(usage::explain(error, &args)),
    };
    let code = match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            let failure = failure.or_command(args::implied_module(&typed, &args).as_deref());
            text::note(&failure.to_string());
            failure.code()
        }
    };
    // Not `std::process::exit`: what std cleans up there needs system calls that a sealed process does not have.
    wave_sandbox::exit(i32::from(code))
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        Command::Run(arguments) => run::run(cli.sandbox, *arguments),
        Command::Learn(arguments) => learn::learn(cli.sandbox, *arguments),
        Command::Compile(arguments) => compile::compile(cli.sandbox, &arguments),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Cache(arguments) => cache::cache(&arguments),
        Command::Wast(arguments) => wast::wast(&arguments),
        Command::Inspect(arguments) => inspect::inspect(&arguments),
        Command::Policy(arguments) => policy::policy(&arguments),
        Command::Audit(arguments) => audit::audit(&arguments),
        Command::Why(arguments) => why::why(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Completion(arguments) => completion::completion(&arguments),
    }
}
