//! Native code that attacks from inside the seal, with each layer removed in turn.
//!
//! Nothing of `wave` but its seal is here: no monitor, no guest. A child seals itself by the real [`wave_sandbox::seal`], with a
//! policy as `wave run` makes it, and then makes system calls of its own, as an attacker would who has broken out of compiled
//! code. Each attack has its positive control without a seal, and is looked at from outside afterwards. What stops what is the
//! table of `docs/layers.md`, which this test writes with `WAVE_BLESS=1` and compares otherwise.
//!
//! A seal cannot be undone, so each attempt is a process; all of them live in namespaces of their own, where an attack that
//! succeeds harms nobody. Started by root, everything runs as root and as user 65534.
#![allow(unsafe_code, reason = "attackers make raw system calls and run code of their own")]

mod attacks;
mod cage;
mod checks;
mod faults;
mod maps;
mod probe;
mod raw;
mod results;
mod run;
mod scene;
mod sweep;
mod table;

use std::process::ExitCode;

use cage::{Cage, User};
use nix::sys::signal::{SigHandler, SigSet, Signal};
use results::Results;

/// Lets signals do what they do by default, even if whoever runs these tests ignores or blocks them, as nohup(1) does.
fn forget_signals() {
    for signal in
        Signal::iterator().filter(|signal| ![Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGPIPE].contains(signal))
    {
        // SAFETY: the default action runs no code.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }.expect("a signal that can be handled");
    }
    SigSet::empty().thread_set_mask().expect("own mask");
}

fn main() -> ExitCode {
    wave_sandbox::prepare_allocator();
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    if std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    forget_signals();
    if !Cage::is_possible() {
        println!(
            "NOT RUN: breach: it needs root, or user namespaces for everybody, with mounts and a network of their own"
        );
        return if std::env::var_os("WAVE_CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let probes = attacks::all();
    let results = Results::collect(&probes, User::available(), &filter);
    let mut failed = 0;
    for (&user, results) in User::available().iter().zip(&results) {
        failed += checks::all(&probes, user, results);
    }
    if filter.is_empty() {
        failed += table::check(&probes, &results) + faults::check();
    }
    println!("\n{} attacks, users {:?}; {failed} failed", probes.len(), User::available());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
