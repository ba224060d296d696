//! Code that was changed and is accepted all the same: what it does to itself is its own, and nothing else changes.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Outcome, c_example, example, finish, source};

/// Mutants that run, unless `WAVE_MUTANT_RUNS` says it.
const FEW: usize = 504;
/// Most mutants of a program that is compiled once.
const SHARE: usize = 500;
const MODES: [&str; 2] = ["fixed", "arg"];

/// How each change at random is called.
const OPERATORS: [&str; 14] = [
    "another opcode",
    "base or index",
    "bit",
    "branch target",
    "byte",
    "condition",
    "displacement",
    "doubled",
    "dropped",
    "exchanged with the next",
    "immediate",
    "operands exchanged",
    "register",
    "width",
];

fn run(words: &[&str]) -> Outcome {
    let mut command = Command::new(example("mutant_runs"));
    // See there.
    command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0:glibc.malloc.mmap_threshold=65536").args(words);
    finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

fn small() -> String {
    source("tests/mutant_runs/guest.wat").into_os_string().into_string().expect("a path of this repository is text")
}

/// A small program, one that has something of everything, and one of C.
fn guests() -> Vec<String> {
    let text = |path: PathBuf| path.into_os_string().into_string().expect("a path of this repository is text");
    let of_c = c_example("args_env").map(text);
    [small(), text(source("tests/mutant_runs/wide.wat"))].into_iter().chain(of_c).collect()
}

/// T72: every run ends in a way that is documented, and what is not the guest's is as before, byte for byte. A fault of which no
/// table speaks ends the process: a mutant that divides has none.
#[test]
fn t72_accepted_mutants_stay_in_their_place() {
    let runs = std::env::var("WAVE_MUTANT_RUNS").map_or(FEW, |runs| runs.parse().expect("a number"));
    let guests = guests();
    let kinds: Vec<_> = MODES.iter().flat_map(|mode| guests.iter().map(move |guest| (*mode, guest))).collect();
    let share = runs.div_ceil(kinds.len()).min(SHARE);
    let shares = runs.div_ceil(share).next_multiple_of(kinds.len());
    let (next, sums) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<String, u64>::new()));
    let work = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= shares {
            return;
        }
        let (mode, guest) = kinds[number % kinds.len()];
        let outcome = run(&[mode, guest, &number.to_string(), &share.to_string()]);
        assert_eq!(outcome.status.code(), Some(0), "{mode} {guest} {number}: {outcome:#?}");
        let mut sums = sums.lock().expect("no thread failed");
        for line in outcome.stdout.lines() {
            let (name, count) = line.rsplit_once(": ").expect("a name and a number");
            let count: u64 = count.parse().expect("a number");
            let guest = guest.rsplit('/').next().unwrap_or_default();
            *sums.entry(name.to_owned()).or_default() += count;
            if name.starts_with("end: ") {
                *sums.entry(format!("{mode}, {guest}, {name}")).or_default() += count;
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let sums = sums.into_inner().expect("no thread failed");
    sums.iter().for_each(|(name, count)| println!("{name}: {count}"));
    let sum = |name: &str| sums.get(name).copied().unwrap_or(0);
    let ends = ["returned", "trapped", "deadline", "fault"].map(|end| sum(&format!("end: {end}")));
    assert_eq!(ends.iter().sum::<u64>(), (shares * share) as u64);
    assert!(ends[0] > ends.iter().sum::<u64>() / 2 && ends[1] > 0, "{ends:?}");
    for operator in OPERATORS {
        assert!(sum(&format!("operator: {operator}")) > 0, "{operator}");
    }
    assert_eq!(sum("tried: break the contract, accepted"), 0);
    assert!(sum("tried: break the contract") > 0);
}

/// What the oracle says of code that was not verified and changes one byte: how the process ended, and what changed.
fn of_target(mode: &str, target: &str) -> (Option<i32>, Vec<String>) {
    let outcome = run(&[mode, &small(), target]);
    let lines = outcome.stdout.lines().map(|line| line.split(" at ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(outcome.stderr, "", "{mode} {target}");
    (outcome.status.code(), lines)
}

/// T72: the oracle sees each place where a guest has nothing to write, whatever lies there.
#[test]
fn t72_the_oracle_sees_what_code_that_was_not_verified_changes() {
    const CHANGED: &[(&str, &str)] = &[
        ("BehindGuard", "canary: 1 bytes"),
        ("BeforeMemory", "canary: 1 bytes"),
        ("BeforeStackGuard", "canary: 1 bytes"),
        ("BesideLength", "descriptor of a memory: 1 bytes"),
        ("LengthOfTable", "table: a length that is not its list's"),
        ("Entry", "table: an entry that is no function"),
        ("PastEntries", "table: an entry past its end"),
        ("ConstantGlobal", "global: 1 bytes"),
        ("Context", "contexts and cells: 1 bytes"),
        ("Link", "contexts and cells: 1 bytes"),
        ("Libcall", "contexts and cells: 1 bytes"),
        ("OtherMemory", "linear memory of the other instance: 1 bytes"),
        ("OtherTable", "table of the other instance: 1 bytes"),
        ("OtherGlobal", "global of the other instance: 1 bytes"),
        ("OtherContext", "contexts and cells: 1 bytes"),
        ("DataSegments", "data segments: 1 bytes"),
        ("HostStack", "[stack]: 1 bytes"),
        ("HostHeap", "[heap]: 1 bytes"),
        ("HostBlocks", "anonymous memory: 1 bytes"),
    ];
    for mode in MODES {
        for (target, expected) in CHANGED {
            let seen = of_target(mode, target);
            assert_eq!(seen, (Some(1), vec!["Code(10)".to_owned(), (*expected).to_owned()]), "{mode} {target}");
        }
        let (code, lines) = of_target(mode, "LengthOfMemory");
        assert_eq!((code, &*lines[0]), (Some(1), "Code(10)"), "{mode}: {lines:?}");
        assert!(lines[1].starts_with("descriptor of a memory: says [5a, 0, 1, 0, 0, 0, 0, 0]"), "{mode}: {lines:?}");
        // In mode arg, the kernel has put another table there.
        let beside = if mode == "fixed" { "canary: 1 bytes" } else { "table of the other instance: 1 bytes" };
        assert_eq!(of_target(mode, "BeforeTable"), (Some(1), vec!["Code(10)".to_owned(), beside.to_owned()]));
        let (code, lines) = of_target(mode, "HostStatic");
        assert_eq!((code, &*lines[0], lines.len()), (Some(1), "Code(10)", 2), "{mode}: {lines:?}");
        assert!(lines[1].ends_with("examples/mutant_runs: 1 bytes"), "{mode}: {lines:?}");
    }
}

/// T72: what is the guest's may change, and what nobody can write ends the process.
#[test]
fn t72_the_oracle_permits_what_is_the_guests() {
    for mode in MODES {
        for target in ["Memory", "Stack", "Results", "Global"] {
            assert_eq!(of_target(mode, target), (Some(0), vec!["Code(10)".to_owned()]), "{mode} {target}");
        }
        for target in ["Code", "Traps", "Text", "BehindStack"] {
            assert_eq!(of_target(mode, target), (Some(0), vec!["Fault".to_owned()]), "{mode} {target}");
        }
    }
}
