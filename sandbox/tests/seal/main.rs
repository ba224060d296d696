//! What a seal denies, seen from outside. A seal cannot be undone, so each test seals a child process: this binary again, with
//! `--child`. There is no test harness, because it would run threads.
//!
//! Run as root, each case runs twice, as root and as user 65534; otherwise once, as the user who runs it.
#![allow(unsafe_code, reason = "children make raw system calls")]

mod broker;
mod child;
mod denials;
mod failing;
mod faults;
mod files;
mod gaps;
mod kernel;
mod levels;
mod memory;
mod profiles;
mod run;
mod status;
mod sweep;
mod worker;

use std::panic::catch_unwind;
use std::process::ExitCode;

use run::User;

/// It gives a worker that runs out of memory an exit status of its own.
#[global_allocator]
static ALLOCATOR: wave_sandbox::Allocator = wave_sandbox::Allocator;

type Case = (&'static str, fn(User));

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--child") {
        child::main(&args[1..]);
    }
    let filter = args.into_iter().find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let cases = [
        broker::CASES,
        denials::CASES,
        failing::CASES,
        faults::CASES,
        files::CASES,
        gaps::CASES,
        levels::CASES,
        memory::CASES,
        profiles::CASES,
        status::CASES,
        sweep::CASES,
        worker::CASES,
    ]
    .concat();
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases.into_iter().filter(|(name, _)| name.contains(&filter)) {
        for &user in User::available() {
            let ok = catch_unwind(|| case(user)).is_ok();
            println!("test {name} ({user:?}) ... {}", if ok { "ok" } else { "FAILED" });
            *if ok { &mut passed } else { &mut failed } += 1;
        }
    }
    println!("\n{passed} passed; {failed} failed; users {:?}", User::available());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
