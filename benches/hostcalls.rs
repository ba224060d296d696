//! What does one system call cost from inside the sandbox? `cargo bench --bench hostcalls [-- ROW]`, or `-- --rounds N`.
//!
//! One C program (`guests/hostcalls.c`), built natively and for WASI with the same compiler at -O2, times each call in a loop of
//! its own. All contestants run in turn, round by round; the minimum of each counts.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::contestants::{Contestant, Guest, contestants, print_absent, print_who};
use support::{Args, Times};

/// The row as the program calls it, and what it does.
const ROWS: [(&str, &str); 15] = [
    ("null", "null call"),
    ("clock", "clock"),
    ("random", "16 random bytes"),
    ("read1", "read 1 byte"),
    ("pread4k", "pread 4 KiB"),
    ("pwrite4k", "pwrite 4 KiB"),
    ("pread64k", "pread 64 KiB"),
    ("seek", "seek"),
    ("fstat", "fstat"),
    ("stat1", "stat, 1 component"),
    ("stat5", "stat, 5 components"),
    ("open1", "open + close, 1 component"),
    ("open5", "open + close, 5 components"),
    ("create", "create + close + unlink"),
    ("readdir", "list 100 files"),
];

/// What the geometric mean of a contestant's ratios to native may be.
const BUDGETS: [(&str, f64); 2] = [("wave, off", 1.15), ("wave, strict", 1.25)];

/// Where a peer is quicker than the kernel because it does not ask it: Wasmtime makes random numbers in its own process and
/// only remembers a position, as `strace -f -c` shows.
const PEER_MAKES_NO_SYSTEM_CALL: [&str; 2] = ["random", "seek"];

/// What `strict` may cost next to `off`, by kind of call.
const SEALED: [(&str, &[&str], f64); 2] = [
    (
        "calls without paths",
        &["clock", "random", "read1", "pread4k", "pwrite4k", "pread64k", "seek", "fstat", "readdir"],
        1.05,
    ),
    ("open", &["open1", "open5"], 1.40),
];

fn main() {
    let Some(args) = Args::read("hostcalls") else { return };
    let guest = Guest::build("hostcalls", &[], &["-Wall", "-Wextra", "-D_GNU_SOURCE"]);
    let work = prepare(&support::directory("hostcalls"));
    print_absent();
    let mut contestants = contestants(&guest);
    // Under Landlock and a filter that permits everything: the floor of `strict`.
    contestants.insert(1, Contestant::native("native, sealed", &guest, &["sealed"]));
    let rows: Vec<_> = ROWS.iter().filter(|(row, what)| args.chosen(row) || args.chosen(what)).collect();
    let rounds = args.rounds(5);

    let mut times: Vec<Vec<Times>> = Vec::new();
    times.resize_with(rows.len(), || contestants.iter().map(|_| Times::default()).collect());
    for _ in 0..rounds {
        for ((row, _), times) in rows.iter().zip(&mut times) {
            for (contestant, times) in contestants.iter().zip(times) {
                times.add(nanoseconds(contestant, &work, row));
            }
        }
    }

    print_who(&contestants, rounds);
    let names: Vec<_> = contestants[1..].iter().map(|one| one.name).collect();
    println!("| call | native | {} | |\n|---|---|{}---|", names.join(" | "), "---|".repeat(names.len()));
    for ((row, what), times) in rows.iter().zip(&times) {
        print_row(row, what, times);
    }
    println!(
        "\nMinimum of all rounds, as a multiple of native; in brackets how far the median lies above the minimum.\n"
    );
    print_means(&rows, &contestants, &times);
    print_sealed(&rows, &times);
}

/// Makes what the program expects in its directory, for whatever user the sandbox turns it into.
fn prepare(dir: &Path) -> PathBuf {
    let work = dir.join("work");
    let content: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    fs::create_dir_all(work.join("a/b/c/d")).expect("the target directory is ours");
    fs::create_dir_all(work.join("many")).expect("the target directory is ours");
    fs::write(work.join("a/b/c/d/e"), &content).expect("the target directory is ours");
    fs::write(work.join("file"), &content).expect("the target directory is ours");
    for entry in 0..100 {
        fs::write(work.join(format!("many/entry-{entry:02}")), "").expect("the target directory is ours");
    }
    // Of a run that was interrupted.
    if work.join("new").exists() {
        fs::remove_file(work.join("new")).expect("the target directory is ours");
    }
    for (path, mode) in [("", 0o777), ("file", 0o666)] {
        fs::set_permissions(work.join(path), Permissions::from_mode(mode)).expect("the target directory is ours");
    }
    work
}

fn nanoseconds(contestant: &Contestant, work: &Path, row: &str) -> f64 {
    let printed = support::run(contestant.command(work).arg(row));
    printed.trim().parse().expect("the program prints a number")
}

/// Native time, each ratio, and whether a peer was faster than wave.
fn print_row(row: &str, what: &str, times: &[Times]) {
    let [native, _, off, _, peers @ ..] = times else { unreachable!("native and wave are always there") };
    let mut line = format!("| {what} | {:.0} ns (+{:.0} %) |", native.minimum(), native.spread());
    for one in &times[1..] {
        line += &format!(" {:.2} (+{:.0} %) |", one.minimum() / native.minimum(), one.spread());
    }
    let slower = peers.iter().any(|peer| peer.minimum() < off.minimum());
    let note = match slower {
        true if PEER_MAKES_NO_SYSTEM_CALL.contains(&row) => "a peer makes no system call",
        true => "missed: a peer is faster",
        false => "",
    };
    println!("{line} {note} |");
}

/// The geometric means: of all calls, and without the null call, which is no system call in a guest and would flatter it.
fn print_means(rows: &[&(&str, &str)], contestants: &[Contestant], times: &[Vec<Times>]) {
    println!("| geometric mean | without the null call | budget | all calls |\n|---|---|---|---|");
    for (at, contestant) in contestants.iter().enumerate().skip(1) {
        let ratio = |times: &Vec<Times>| times[at].minimum() / times[0].minimum();
        let all: Vec<_> = times.iter().map(ratio).collect();
        let calls: Vec<_> =
            rows.iter().zip(times).filter(|(row, _)| row.0 != "null").map(|(_, times)| ratio(times)).collect();
        let mean = if calls.is_empty() { f64::NAN } else { support::geometric_mean(&calls) };
        let budget = BUDGETS.iter().find(|(name, _)| *name == contestant.name).map_or(String::new(), |(_, budget)| {
            format!("{budget:.2}{}", if mean <= *budget { "" } else { ", missed" })
        });
        println!("| {} | {mean:.2} | {budget} | {:.2} |", contestant.name, support::geometric_mean(&all));
    }
}

/// `strict` next to `off`.
fn print_sealed(rows: &[&(&str, &str)], times: &[Vec<Times>]) {
    println!("\n| strict of off, geometric mean | | budget |\n|---|---|---|");
    for (kind, calls, budget) in SEALED {
        let chosen = rows.iter().zip(times).filter(|((row, _), _)| calls.contains(row));
        let ratios: Vec<_> = chosen.map(|(_, times)| times[3].minimum() / times[2].minimum()).collect();
        if !ratios.is_empty() {
            let mean = support::geometric_mean(&ratios);
            println!("| {kind} | {mean:.2} | {budget:.2}{} |", if mean <= budget { "" } else { ", missed" });
        }
    }
}
