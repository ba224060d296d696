//! What does sealing a process cost? `cargo bench --bench seal [-- ROW]`, or `-- --rounds N`.
//!
//! Each seal happens in a process of its own, this program again with `--child`, which says on standard error how long it took.
//! All rows run in turn, round by round; the minimum of each counts. The second table leaves out one layer at a time. The third is
//! the check of the filter alone, which each seal does before it installs the filter.

mod support;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use support::{Args, Times};
use wave_policy::{Access, FilesystemGrant, Level, Policy, Surface, all_functions};
use wave_sandbox::{AddressRange, Grant, GrowableRange, Instruction, LayerName, SealPlan};

/// What sealing a small run may take.
const BUDGET_MICROSECONDS: f64 = 500.0;

/// What checking the filter of a large program may take.
const CHECK_BUDGET_MICROSECONDS: f64 = 50.0;

/// A Landlock ABI that restricts truncation.
const ABI: i32 = 3;

const NOBODY: u32 = 65534;

/// A row, and the arguments of its child.
const ROWS: [(&str, &[&str]); 5] = [
    ("strict, nothing granted", &["strict"]),
    ("strict, all functions, two directories", &["strict", "all"]),
    ("standard, nothing granted", &["standard"]),
    ("strict, and namespaces", &["strict", "namespaces"]),
    ("off", &["off"]),
];

/// What the filter of a row is for, and the arguments of its child.
const CHECKS: [(&str, &[&str]); 3] = [
    ("check, nothing granted", &["strict"]),
    ("check, all functions, nothing granted", &["strict", "functions"]),
    ("check, all functions, two directories, a listener", &["strict", "all", "listener"]),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "--child") {
        child(&args[2..]);
    }
    let Some(args) = Args::read("seal") else { return };
    let rounds = args.rounds(200);
    let rows: Vec<_> = ROWS.into_iter().filter(|(row, _)| args.chosen(row)).collect();
    println!("{}, {rounds} rounds\n\n| seal | root | ordinary user | budget |\n|---|---|---|---|", support::machine());
    let times = measure(rounds, rows.iter().map(|(_, arguments)| arguments.to_vec()).collect());
    for ((row, arguments), [root, user]) in rows.iter().zip(times) {
        let budget =
            if **arguments == ["strict"] { verdict(root.minimum().max(user.minimum())) } else { String::new() };
        println!("| {row} | {} | {} | {budget} |", cell(&root), cell(&user));
    }
    if rows.iter().any(|(_, arguments)| **arguments == ["strict"]) {
        // Landlock refuses a user who could gain privileges.
        let layers = LayerName::ALL.into_iter().filter(|layer| *layer != LayerName::NoNewPrivs);
        let layers: Vec<_> = layers.map(LayerName::as_str).collect();
        let plans = layers.iter().map(|layer| vec!["strict", layer]).chain([vec!["strict"]]).collect();
        let mut times = measure(rounds, plans);
        let [root_all, user_all] = times.pop().unwrap_or_default();
        println!("\n| without the layer | root | ordinary user |\n|---|---|---|");
        for (layer, [root, user]) in layers.iter().zip(times) {
            let less = |one: &Times, all: &Times| format!("{:+.0} µs", one.minimum() - all.minimum());
            println!("| {layer} | {} | {} |", less(&root, &root_all), less(&user, &user_all));
        }
    }
    let checks: Vec<_> = CHECKS.into_iter().filter(|(row, _)| args.chosen(row)).collect();
    if !checks.is_empty() {
        print_checks(rounds, &checks);
    }
}

fn print_checks(rounds: usize, checks: &[(&str, &[&str])]) {
    println!("\n| check of the filter | instructions | first in a process | again | budget |\n|---|---|---|---|---|");
    for (row, arguments) in checks {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (program, again) = Prepared::new(&arguments).with_plan(|plan| {
            let program = wave_sandbox::filter(plan).expect("a filter");
            let mut times = Times::default();
            (0..rounds).for_each(|_| times.add(check(plan, &program)));
            (program, times)
        });
        let mut first = Times::default();
        for _ in 0..rounds {
            let mut command = Command::new(std::env::current_exe().expect("own path"));
            command.arg("--child").args(&arguments).arg(format!("check={}", in_words(&program)));
            first.add(microseconds(&mut command));
        }
        let met = if first.minimum() <= CHECK_BUDGET_MICROSECONDS { "" } else { ", missed" };
        let budget = format!("{CHECK_BUDGET_MICROSECONDS:.0} µs{met}");
        println!("| {row} | {} | {} | {} | {budget} |", program.len(), cell(&first), cell(&again));
    }
}

/// How many microseconds the check of a plan's filter takes.
fn check(plan: &SealPlan<'_>, program: &[Instruction]) -> f64 {
    let start = Instant::now();
    let checked = wave_sandbox::check_filter(plan, ABI, program);
    let elapsed = start.elapsed();
    checked.unwrap_or_else(|difference| panic!("{difference}"));
    elapsed.as_secs_f64() * 1e6
}

/// A program as an argument: instructions of four numbers.
fn in_words(program: &[Instruction]) -> String {
    let words = |&Instruction { code, jt, jf, k }: &Instruction| format!("{code}:{jt}:{jf}:{k}");
    program.iter().map(words).collect::<Vec<_>>().join(",")
}

fn from_words(text: &str) -> Vec<Instruction> {
    let instruction = |text: &str| {
        let mut words = text.split(':').map(|word| word.parse::<u32>().expect("a number"));
        let mut next = || words.next().expect("four numbers");
        let mut small = || u16::try_from(next()).expect("16 bits");
        let (code, jt, jf) = (small(), small(), small());
        let byte = |word| u8::try_from(word).expect("8 bits");
        Instruction { code, jt: byte(jt), jf: byte(jf), k: next() }
    };
    text.split(',').map(instruction).collect()
}

fn verdict(microseconds: f64) -> String {
    format!("{BUDGET_MICROSECONDS:.0} µs{}", if microseconds <= BUDGET_MICROSECONDS { "" } else { ", missed" })
}

fn cell(times: &Times) -> String {
    if times.is_empty() {
        "needs root".to_owned()
    } else {
        format!("{:.0} µs (+{:.0} %)", times.minimum(), times.spread())
    }
}

/// As root, if this is root, and as an ordinary user.
fn measure(rounds: usize, plans: Vec<Vec<&str>>) -> Vec<[Times; 2]> {
    let is_root = nix::unistd::geteuid().is_root();
    let mut times: Vec<[Times; 2]> = plans.iter().map(|_| Default::default()).collect();
    let program = support::directory("seal").join("seal");
    std::fs::copy(std::env::current_exe().expect("own path"), &program).expect("the target directory is ours");
    for _ in 0..rounds {
        for (plan, [root, user]) in plans.iter().zip(&mut times) {
            let mut command = Command::new(&program);
            command.arg("--child").args(plan);
            if is_root {
                root.add(microseconds(&mut command));
                command.uid(NOBODY).gid(NOBODY);
            }
            user.add(microseconds(&mut command));
        }
    }
    times
}

fn microseconds(command: &mut Command) -> f64 {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    text.trim().parse().unwrap_or_else(|_| panic!("{command:?}: {text}"))
}

fn child(args: &[String]) -> ! {
    wave_sandbox::prepare_allocator();
    let elapsed = Prepared::new(args).with_plan(|plan| {
        if let Some(program) = args.iter().find_map(|arg| arg.strip_prefix("check=")) {
            let program = from_words(program);
            return check(plan, &program);
        }
        let start = Instant::now();
        let namespaces = args.iter().any(|arg| arg == "namespaces").then(wave_sandbox::leave_namespaces);
        let sealed = wave_sandbox::seal(&SealPlan { namespaces, ..plan.clone() });
        let elapsed = start.elapsed();
        if let Err(error) = sealed {
            eprintln!("{error}");
            wave_sandbox::exit(1);
        }
        elapsed.as_secs_f64() * 1e6
    });
    eprintln!("{elapsed:.1}");
    wave_sandbox::exit(0)
}

/// What a plan borrows.
struct Prepared {
    policy: Policy,
    opened: Vec<(File, Access)>,
    left_out: Vec<LayerName>,
}

impl Prepared {
    fn new(args: &[String]) -> Self {
        let asked = |word: &str| args.iter().any(|arg| arg == word);
        let all = asked("all");
        let opened = [Access::ReadWrite, Access::ReadOnly].into_iter().filter(|_| all);
        let opened: Vec<_> = opened.map(|access| (File::open("/tmp").expect("a directory"), access)).collect();
        let named = all || asked("functions");
        let names = all_functions().iter().filter(|_| named).map(|function| ("wasi_snapshot_preview1", function.name));
        let grant = |(_, access): &(File, Access)| FilesystemGrant { host: "/tmp".into(), access: *access };
        let policy = Policy {
            level: args.first().expect("a level").parse::<Level>().expect("a level"),
            surface: Surface::from_imports(names),
            grants: opened.iter().map(grant).collect(),
            listeners: asked("listener").then(|| ([127, 0, 0, 1], 8080).into()).into_iter().collect(),
            ..Policy::default()
        };
        let left_out = LayerName::ALL.into_iter().filter(|layer| asked(layer.as_str())).collect();
        Self { policy, opened, left_out }
    }

    fn with_plan<T>(&self, then: impl FnOnce(&SealPlan<'_>) -> T) -> T {
        let grants: Vec<_> =
            self.opened.iter().map(|(file, access)| Grant { fd: file.as_fd(), access: *access }).collect();
        // Where nothing is: no call comes from there. The pages that are sealed are real.
        let range = AddressRange { start: 0x1000_0000, len_bytes: 1 << 30 };
        let page = Box::leak(vec![0_u8; 3 * 4096].into_boxed_slice()).as_ptr() as u64;
        let pages = [AddressRange { start: page.next_multiple_of(4096), len_bytes: 4096 }];
        let growable = [GrowableRange { base: 0x2000_0000, len_bytes: 1 << 32 }];
        then(&SealPlan {
            grants: &grants,
            growable: &growable,
            guest_code: Some(range),
            final_pages: &pages,
            title: Some("sealed"),
            left_out: &self.left_out,
            ..SealPlan::new(&self.policy)
        })
    }
}
