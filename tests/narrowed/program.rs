//! `wave run` with a filter that lacks one rule, or grants that lack one right, for tests that each is needed. It permits less
//! than `wave`, never more.
//!
//! An example target because `cargo install` never ships those: the command itself has no way to ask for this.
//!
//! ```text
//! narrowed guest|compiler|landlock RULE|RIGHT run [OPTIONS] MODULE [ARGS]...
//! ```
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the parts of the command that run a program, which serve other subcommands too"
)]

#[path = "../../src/args.rs"]
mod args;
#[path = "../../src/artefact.rs"]
mod artefact;
#[path = "../../src/cache/mod.rs"]
mod cache;
#[path = "../../src/compiler.rs"]
mod compiler;
#[path = "../../src/failure.rs"]
mod failure;
#[path = "../../src/flag.rs"]
mod flag;
#[path = "../../src/grants.rs"]
mod grants;
#[path = "../../src/input.rs"]
mod input;
#[path = "../../src/learn/mod.rs"]
mod learn;
#[path = "../../src/network.rs"]
mod network;
#[path = "../../src/origin.rs"]
mod origin;
#[path = "../../src/plan.rs"]
mod plan;
#[path = "../../src/policy/mod.rs"]
mod policy;
#[path = "../../src/program.rs"]
mod program;
#[path = "../../src/report.rs"]
mod report;
#[path = "../../src/run.rs"]
mod run;
#[path = "../../src/shortage.rs"]
mod shortage;
#[path = "../../src/text.rs"]
mod text;
#[path = "../../src/trace.rs"]
mod trace;
#[path = "../../src/unused.rs"]
mod unused;
#[path = "../../src/usage.rs"]
mod usage;
#[path = "../../src/worker.rs"]
mod worker;

use args::{Cli, Command};
use clap::Parser;
use wave_policy::Role;

#[global_allocator]
static ALLOCATOR: wave_sandbox::Allocator = wave_sandbox::Allocator;

fn main() -> ! {
    let mut words = std::env::args_os();
    let [name, part, what] = [(); 3].map(|()| words.next().unwrap_or_default());
    let what = what.to_string_lossy();
    match &*part.to_string_lossy() {
        "guest" => wave_sandbox::narrower::leave_out_rule(Role::Guest, &what),
        "compiler" => wave_sandbox::narrower::leave_out_rule(Role::Compiler, &what),
        "landlock" => wave_sandbox::narrower::leave_out_right(&what),
        _ => {
            text::note("narrowed: guest, compiler or landlock?\n");
            wave_sandbox::exit(2);
        }
    }
    let code = match Cli::try_parse_from([name].into_iter().chain(words)) {
        Ok(Cli { sandbox, command: Command::Run(arguments) }) => {
            run::run(sandbox, *arguments).unwrap_or_else(|failure| {
                text::note(&failure.to_string());
                failure.code()
            })
        }
        Ok(_) => 2,
        Err(error) => {
            text::note(&error.to_string());
            2
        }
    };
    wave_sandbox::exit(i32::from(code))
}
