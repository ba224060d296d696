//! The command `wave`: turns arguments into a plan for [`wave_engine`], and prints the outcome.
//!
//! | file | does |
//! |---|---|
//! | `args` | the definition of the command line |
//! | `flag` | the syntax of `--dir`, and advice for other syntaxes |
//! | `env` | the variables of `--env` and `--env-file` |
//! | `plan` | from arguments to a plan |
//! | `run` | `wave run`: plan, prepare, seal, enter, report |
//! | `trace` | what `--trace` prints |
//! | `report` | the layers of a run, printed |
//! | `image` | `oci:DIR[:TAG]`: from an image to the module of a run |
//! | `outcome` | how a run ended, for programs |
//! | `place` | where outcome, trace and report are written to |
//! | `record` | files that are written after the seal |
//! | `learn` | `wave learn`: an observed run, and the policy it needs |
//! | `linux` | what Linux has: `wave oci`, the OCI runtime; `--max-rss`, memory of the whole process |
//! | `macos`, `seatbelt` | the start of a run under a profile of macOS |
//! | `policy` | `wave policy` |
//! | `audit`, `why` | `wave audit` and `wave why`, whose answers are those of `wave_audit` |
//! | `cache`, `compile`, `lower`, `pack`, `verify`, `wast`, `inspect`, `doctor`, `completion` | the other subcommands |
//! | `manual` | tests of `docs/man` |
//! | `worker` | a sealed process for subcommands that read a module |
//! | `version` | `wave --version --verbose` |
//! | `usage` | messages for invalid command lines |
//! | `text`, `style`, `terminal` | printing, with colour on a terminal |
//! | `progress` | how far long work is |
#![forbid(unsafe_code)]

mod args;
mod audit;
mod cache;
mod compile;
mod completion;
mod doctor;
mod env;
mod flag;
mod image;
mod inspect;
mod learn;
#[cfg(target_os = "linux")]
mod linux;
mod lower;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(test)]
mod manual;
mod outcome;
mod pack;
mod place;
mod plan;
mod policy;
mod profile;
mod progress;
mod record;
mod report;
mod run;
mod seatbelt;
mod style;
mod terminal;
mod text;
mod trace;
mod usage;
mod verify;
mod version;
mod wast;
mod why;
mod words;
mod worker;

// The platform is chosen here and nowhere else.
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;

use args::{Cli, Command};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::OsString;
use wave_engine::Failure;

/// Least and usual stack of the main thread; the compiler recurses a little.
const STACK_BYTES: [u64; 2] = [1 << 20, 8 << 20];

/// Runs the command that was typed, the name of the program first, and ends the process. Called before anything else.
pub fn main(typed: Vec<OsString>) -> ! {
    wave_sandbox::report_failures();
    // Before anything else runs: what the parent left behind decides nothing.
    if let Err(error) = wave_sandbox::start() {
        let failure = Failure::refused(text::chain(&error)).fix(error.fix());
        text::fail(&failure);
        wave_sandbox::exit(i32::from(failure.code()));
    }
    if let Err(failure) = ensure_stack() {
        text::fail(&failure);
        wave_sandbox::exit(i32::from(failure.code()));
    }
    command(&platform::typed(typed))
}

/// Runs the command. A function of its own, because it needs more stack than there may be before [`ensure_stack`].
#[inline(never)]
fn command(typed: &[OsString]) -> ! {
    terminal::set_color(typed);
    if typed.len() < 2 {
        text::note(usage::FIRST_STEPS);
        wave_sandbox::exit(2);
    }
    let args = args::with_implied_run(typed.iter().cloned());
    let cli = match Cli::parse_from_words(&args) {
        Ok(cli) => cli,
        // Help and version are errors to clap.
        Err(error) => wave_sandbox::exit(usage::explain(error, &args)),
    };
    let code = match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            let failure = usage::or_command(failure, args::implied_module(typed, &args).as_deref());
            text::fail(&failure);
            failure.code()
        }
    };
    // Not `std::process::exit`: what std cleans up there needs system calls that a sealed process does not have.
    wave_sandbox::exit(i32::from(code))
}

/// Raises a low soft limit on the stack. The kernel checks the limit when a stack grows.
fn ensure_stack() -> Result<(), Failure> {
    let [least, usual] = STACK_BYTES;
    let Rlimit { current, maximum } = getrlimit(Resource::Stack);
    if current.is_none_or(|current| current >= usual) {
        return Ok(());
    }
    let most = maximum.map_or(usual, |maximum| maximum.min(usual));
    let raised = setrlimit(Resource::Stack, Rlimit { current: Some(most), maximum });
    if raised.is_ok() && most >= least {
        return Ok(());
    }
    Err(Failure::refused(format!("the stack is limited to {} KiB, and wave needs {}", most >> 10, least >> 10))
        .fix(format!("raise the limit on the stack: ulimit -s {}", usual >> 10)))
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    terminal::set_quiet(cli.every.quiet);
    match cli.command {
        Command::Run(arguments) => run::run(cli.every.sandbox, &arguments),
        Command::Learn(arguments) => learn::learn(cli.every.sandbox, *arguments),
        Command::Compile(arguments) => compile::compile(cli.every.sandbox, &arguments),
        Command::Lower(arguments) => lower::lower(cli.every.sandbox, &arguments),
        Command::Verify(arguments) => verify::verify(cli.every.sandbox, &arguments),
        Command::Cache(arguments) => cache::cache(&arguments),
        Command::Wast(arguments) => wast::wast(&arguments),
        Command::Pack(arguments) => pack::pack(cli.every.sandbox, &arguments),
        Command::Inspect(arguments) => inspect::inspect(cli.every.sandbox, &arguments),
        Command::Oci(arguments) => platform::oci::oci(cli.every.sandbox, *arguments),
        Command::Policy(arguments) => policy::policy(cli.every.sandbox, &arguments),
        Command::Audit(arguments) => audit::audit(cli.every.sandbox, &arguments),
        Command::Why(arguments) => why::why(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Completion(arguments) => completion::completion(&arguments),
    }
}
