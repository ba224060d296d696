//! Distributes the work on all functions to several threads.

use crate::error::CompileError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

/// Weights below this are not worth a thread: starting one costs as much as compiling a few KiB of code.
const BYTES_PER_THREAD: usize = 32 << 10;

/// Functions above this size are begun first, largest first, so that none is left over at the end.
const LARGE_BYTES: usize = 8 << 10;

/// Consecutive small functions up to this size together are taken at once.
const BATCH_BYTES: usize = 32 << 10;

/// Cranelift recurses a little; deep input must not reach the end of the stack.
const STACK_BYTES: usize = 8 << 20;

/// Runs `work` for every index of `weights` (sizes in bytes) and gives the workers' states, in no particular order.
///
/// If it fails for several, the error is the one with the smallest index, however threads interleave.
pub(crate) fn run<W: Send>(
    weights: &[usize],
    threads: usize,
    new: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, u32) -> Result<(), CompileError> + Sync,
) -> Result<Vec<W>, CompileError> {
    let batches = batches(weights);
    let next = AtomicUsize::new(0);
    // The smallest index that failed so far: larger ones no longer matter.
    let failed = AtomicU32::new(u32::MAX);
    let worker = || {
        let mut state = new();
        let mut error = None;
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            for index in batch.clone() {
                if index > failed.load(Ordering::Relaxed) {
                    break;
                }
                // A panic is a bug in the code generator, not a reason to take the process down with it.
                let result = catch_unwind(AssertUnwindSafe(|| work(&mut state, index))).unwrap_or_else(|_| {
                    Err(CompileError::Codegen { function: index, message: "the code generator panicked".to_owned() })
                });
                if let Err(reason) = result {
                    failed.fetch_min(index, Ordering::Relaxed);
                    if error.as_ref().is_none_or(|&(earlier, _)| index < earlier) {
                        error = Some((index, reason));
                    }
                    state = new();
                }
            }
        }
        (state, error)
    };

    let total: usize = weights.iter().sum();
    let helpers = threads.min(total / BYTES_PER_THREAD).min(batches.len()).saturating_sub(1);
    let mut states = Vec::with_capacity(helpers + 1);
    let mut errors = Vec::new();
    let mut keep = |(state, error): (W, Option<(u32, CompileError)>)| {
        states.push(state);
        errors.extend(error);
    };
    thread::scope(|scope| {
        // If no more threads can be started, the running ones do the work.
        let handles: Vec<_> = (0..helpers)
            .map_while(|_| {
                // Without a name: giving one takes a system call that the sealed compiler does not have.
                thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker).ok()
            })
            .collect();
        keep(worker());
        for handle in handles {
            match handle.join() {
                Ok(outcome) => keep(outcome),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    match errors.into_iter().min_by_key(|&(index, _)| index) {
        Some((_, error)) => Err(error),
        None => Ok(states),
    }
}

/// Ranges of indexes in the order in which they are begun.
fn batches(weights: &[usize]) -> Vec<std::ops::Range<u32>> {
    let mut large = Vec::new();
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    let mut index = 0;
    for &weight in weights {
        if weight >= LARGE_BYTES {
            batches.extend((start < index).then_some(start..index));
            large.push((weight, index));
            (start, bytes) = (index + 1, 0);
        } else {
            bytes += weight;
            if bytes >= BATCH_BYTES {
                batches.push(start..index + 1);
                (start, bytes) = (index + 1, 0);
            }
        }
        index += 1;
    }
    batches.extend((start < index).then_some(start..index));
    large.sort_by_key(|&(weight, index)| (std::cmp::Reverse(weight), index));
    large.into_iter().map(|(_, index)| index..index + 1).chain(batches).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_worked_on_once() {
        let weights: Vec<usize> = (0..1000).map(|n| n * n % 20_011).collect();
        for threads in [0, 1, 2, 7] {
            let states = run(&weights, threads, Vec::new, |seen: &mut Vec<u32>, index| {
                seen.push(index);
                Ok(())
            });
            let mut all = states.expect("no error").concat();
            all.sort_unstable();
            assert_eq!(all, (0..1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_wins() {
        let weights = vec![5000; 400];
        for threads in [1, 4] {
            let outcome = run(
                &weights,
                threads,
                || (),
                |(), index| match index {
                    77 | 78 | 300 => Err(CompileError::Codegen { function: index, message: String::new() }),
                    _ => Ok(()),
                },
            );
            assert_eq!(outcome, Err(CompileError::Codegen { function: 77, message: String::new() }));
        }
    }
}
