//! Code that was changed and is accepted all the same: what it does to itself is its own, and nothing else changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use wave_test_support::{Outcome, c_example, finish, source};

/// Mutants that run, unless `WAVE_MUTANT_RUNS` says it.
const FEW: usize = 510;
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
    // Without a limit of the stack, the kernel would place one object above the other, and canaries are put below.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -S -s 8192 2>/dev/null; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_mutant_runs"))
        .args(words);
    // See there.
    command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0:glibc.malloc.mmap_threshold=65536");
    finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

/// A small program, one that has something of everything, two of what came with WebAssembly 3.0, and one of C.
fn guests() -> Vec<String> {
    let text = |path: PathBuf| path.into_os_string().into_string().expect("a path of this repository is text");
    let of_c = c_example("args_env").map(text);
    ["guest.wat", "wide.wat", "proposals.wat", "objects.wat"]
        .map(|name| text(source("tests/mutants/guests").join(name)))
        .into_iter()
        .chain(of_c)
        .collect()
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

/// What the oracle says of code that was not verified: whether something changed, how the process ended, and what changed.
fn unproved(mode: &str, guest: &str, words: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let guest = source("tests/mutants/guests").join(guest).into_os_string().into_string();
    let guest = guest.expect("a path of this repository is text");
    let outcome = run(&[&[mode, &guest], words].concat());
    assert_eq!(outcome.stderr, "", "{mode} {words:?}");
    let mut lines = outcome.stdout.lines().map(|line| line.split(" at ").next().unwrap_or_default().to_owned());
    (outcome.status.code(), lines.next().unwrap_or_default(), lines.collect())
}

/// Of code that changes one byte there.
fn of_target(mode: &str, target: &str) -> (Option<i32>, String, Vec<String>) {
    unproved(mode, "guest.wat", &[target])
}

/// T72: the oracle sees each place where a guest has nothing to write, whatever lies there.
#[test]
fn t72_the_oracle_sees_what_code_that_was_not_verified_changes() {
    const CHANGED: &[(&str, &str)] = &[
        ("BehindGuard", "canary: 1 bytes"),
        ("BeforeMemory", "canary: 1 bytes"),
        ("BeforeStackGuard", "canary: 1 bytes"),
        ("BeforeTable", "canary: 1 bytes"),
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
            assert_eq!(seen, (Some(1), "Code(10)".to_owned(), vec![(*expected).to_owned()]), "{mode} {target}");
        }
        for (target, expected) in [("LengthOfMemory", "descriptor of a memory: says 1005a of "), ("HostStatic", "")] {
            let (code, end, changes) = of_target(mode, target);
            assert_eq!((code, &*end, changes.len()), (Some(1), "Code(10)", 1), "{mode} {target}: {changes:?}");
            assert!(changes[0].starts_with(expected), "{mode} {target}: {changes:?}");
        }
    }
}

/// T72: the oracle sees what comes of a compiler's mistakes that write where nothing is to be written.
#[test]
fn t72_the_oracle_sees_mistakes_of_the_compiler() {
    for mode in MODES {
        for (mistake, argument, expected_end, expected) in [
            // The address of a library call is overwritten, and then called.
            ("WrongBase", "32", "139))", "contexts and cells: "),
            ("FarDisplacement", "0", "Code(10)", "canary: 4 bytes"),
            ("WrittenContext", "0", "Code(10)", "contexts and cells: "),
        ] {
            let (code, end, changes) = unproved(mode, "stores.wat", &[mistake, argument]);
            assert_eq!((code, changes.is_empty()), (Some(1), false), "{mode} {mistake}: {end}");
            // A byte of an address may happen to be as before: then it is two changes.
            let is_expected = changes.iter().all(|change| change.starts_with(expected));
            assert!(end.ends_with(expected_end) && is_expected, "{mode} {mistake}: {end} {changes:?}");
        }
    }
}

/// T72: what is the guest's may change, and what nobody can write ends the process.
#[test]
fn t72_the_oracle_permits_what_is_the_guests() {
    for mode in MODES {
        for target in ["Memory", "Stack", "Results", "Global"] {
            assert_eq!(of_target(mode, target), (Some(0), "Code(10)".to_owned(), Vec::new()), "{mode} {target}");
        }
        for target in ["Code", "Traps", "Text", "BehindStack"] {
            assert_eq!(of_target(mode, target), (Some(0), "Fault".to_owned(), Vec::new()), "{mode} {target}");
        }
    }
}
