//! The verifier's abstract interpretation beside concrete execution on this processor, compared after every instruction.
//!
//! A state of the verifier stands for a set of concrete states. After each instruction, the concrete state must be one of them,
//! memory must have been reached only where code may reach it, and nothing else may have changed. Code is made at random from
//! the encodings that the verifier allows, with a bias to what is difficult: moves of the stack pointer, partial writes, words
//! that overlap, copies, calls that change all that they may.
//!
//! | file | what |
//! |---|---|
//! | `random.rs`, `operands.rs`, `generate.rs`, `plans.rs` | code |
//! | `module.rs`, `world.rs` | what surrounds it |
//! | `gamma.rs` | what a state of the verifier means |
//! | `native.rs`, `execute.rs` | one instruction on the processor |
//! | `path.rs`, `path/whole.rs` | both side by side: single paths, and whole functions with loops |
//! | `report.rs`, `sample.rs` | what was done |

#![cfg(target_os = "linux")]
#![allow(missing_docs, reason = "test machinery of one program")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers of a small imagined module, and bits that are cut on purpose"
)]

pub mod execute;
pub mod gamma;
pub mod generate;
pub mod module;
pub mod native;
pub mod operands;
pub mod path;
pub mod plans;
pub mod random;
pub mod report;
pub mod sample;
pub mod world;

use native::Processor;
use path::Paths;
use random::Random;
use report::Report;
use sample::Sample;

/// Steps in one mode before it is the other's turn.
const TURN: u64 = 20_000;

/// Runs so many steps in both modes, or until a difference is found.
///
/// # Panics
/// If it runs already: the processor is used by one at a time.
#[must_use]
pub fn run(steps: u64, seed: u64, sample: &mut Option<Sample>) -> Report {
    let mut processor = Processor::new().expect("nobody else uses the processor");
    let mut report = Report::default();
    let mut random = Random::new(seed);
    let mut is_fixed = true;
    while report.steps < steps && report.problems.is_empty() {
        // Both modes use the same addresses, so one is mapped at a time.
        let mut paths = Paths::new(is_fixed);
        let turn = TURN.min(steps - report.steps);
        paths.run(&mut processor, &mut random, turn - turn / 4, &mut report, sample);
        if report.problems.is_empty() {
            paths.run_whole(&mut processor, &mut random, turn / 4, &mut report);
        }
        is_fixed = !is_fixed;
    }
    report
}
