//! How long does a database on a file take inside the sandbox? `cargo bench --bench sqlite [-- --rounds N]`.
//!
//! SQLite with a small program around it (`guests/sqlite.c`), built natively and for WASI with the same compiler, flags and
//! options. The amalgamation comes from the package `libsqlite3-sys`, which `cargo vendor` puts into the target directory; it
//! is no dependency of ours. The phases time themselves, so compiling and starting are only in the last row.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;
use support::contestants::{Contestant, Guest, contestants, print_absent, print_who};
use support::{Args, Times, sqlite};

/// What the total may be of Wasmtime's.
const BUDGET: f64 = 0.25;

fn main() {
    let Some(args) = Args::read("sqlite") else { return };
    let dir = support::directory("sqlite");
    let amalgamation = support::package(sqlite::PACKAGE, sqlite::VERSION).join("sqlite3");
    let include = format!("-I{}", amalgamation.display());
    let flags: Vec<_> = sqlite::OPTIONS.into_iter().chain([&*include]).collect();
    let guest = Guest::build("sqlite", &[amalgamation.join("sqlite3.c")], &flags);
    print_absent();
    let contestants = contestants(&guest);
    let rounds = args.rounds(5);

    let mut results: Vec<Vec<Run>> = Vec::new();
    results.resize_with(contestants.len(), Vec::new);
    for _ in 0..rounds {
        for (contestant, runs) in contestants.iter().zip(&mut results) {
            runs.push(measure(contestant, &dir));
        }
    }
    let checksum = &results[0][0].checksum;
    assert!(results.iter().flatten().all(|run| run.checksum == *checksum), "every run finds the same data");

    println!("{} {}", sqlite::PACKAGE, sqlite::VERSION);
    print_who(&contestants, rounds);
    print(&contestants, &results);
}

/// What one run printed and took, in milliseconds.
struct Run {
    phases: Vec<(String, f64)>,
    checksum: String,
    wall: f64,
}

/// Runs the program on a new file in an empty directory.
fn measure(contestant: &Contestant, dir: &Path) -> Run {
    let work = dir.join("work");
    if work.exists() {
        fs::remove_dir_all(&work).expect("the target directory is ours");
    }
    fs::create_dir(&work).expect("the target directory is ours");
    // For whatever user the sandbox turns the program into.
    fs::set_permissions(&work, Permissions::from_mode(0o777)).expect("the target directory is ours");

    let start = Instant::now();
    let printed = support::run(contestant.command(&work).arg("items.db"));
    let wall = start.elapsed().as_secs_f64() * 1e3;
    let mut run = Run { phases: Vec::new(), checksum: String::new(), wall };
    for line in printed.lines() {
        match line.split_once(' ').expect("the program prints names and values") {
            ("checksum", checksum) => run.checksum = checksum.to_owned(),
            (phase, time) => {
                let nanoseconds: f64 = time.parse().expect("the time is a number");
                run.phases.push((phase.to_owned(), nanoseconds / 1e6));
            }
        }
    }
    run
}

fn print(contestants: &[Contestant], results: &[Vec<Run>]) {
    let names: Vec<_> = contestants.iter().map(|one| one.name).collect();
    let wasmtime = names.iter().position(|name| *name == "Wasmtime").expect("it is always there");
    println!("| phase | {} | off of Wasmtime |\n|---|{}---|", names.join(" | "), "---|".repeat(names.len()));
    for (at, (phase, _)) in results[0][0].phases.iter().enumerate() {
        print_row(&phase.replace('-', " "), results, wasmtime, |run| run.phases[at].1);
    }
    print_row("**total**", results, wasmtime, total);
    print_row("start to exit", results, wasmtime, |run| run.wall);
    println!("\nMilliseconds, minimum of all rounds; in brackets how far the median lies above it.\n");

    let totals: Vec<_> = results.iter().map(|runs| times(runs, total).minimum()).collect();
    println!("| total | of native | of Wasmtime | budget |\n|---|---|---|---|");
    for (name, taken) in names.iter().zip(&totals).skip(1) {
        let ratio = taken / totals[wasmtime];
        let budget = match (name.starts_with("wave"), ratio <= BUDGET) {
            (false, _) => String::new(),
            (true, true) => format!("{BUDGET:.2}"),
            (true, false) => format!("{BUDGET:.2}, missed"),
        };
        println!("| {name} | {:.2} | {ratio:.2} | {budget} |", taken / totals[0]);
    }
}

/// A row of times, and the first sandbox's share of Wasmtime's: what the total is depends on how much there is of each phase.
fn print_row(what: &str, results: &[Vec<Run>], wasmtime: usize, time: impl Fn(&Run) -> f64) {
    let row: Vec<_> = results.iter().map(|runs| times(runs, &time)).collect();
    let cells: Vec<_> = row.iter().map(cell).collect();
    println!("| {what} | {} | {:.2} |", cells.join(" | "), row[1].minimum() / row[wasmtime].minimum());
}

fn cell(times: &Times) -> String {
    format!("{:.1} (+{:.0} %)", times.minimum(), times.spread())
}

fn times(runs: &[Run], time: impl Fn(&Run) -> f64) -> Times {
    let mut times = Times::default();
    runs.iter().for_each(|run| times.add(time(run)));
    times
}

fn total(run: &Run) -> f64 {
    run.phases.iter().map(|(_, time)| time).sum()
}
