//! What does sealing a process cost? `cargo bench --bench seal [-- ROW]`, or `-- --rounds N`.
//!
//! Each seal happens in a process of its own, this program again with `--child`, which says on standard error how long it took.
//! All rows run in turn, round by round; the minimum of each counts. The second table leaves out one layer at a time.

mod support;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use support::{Args, Times};
use wave_policy::{Access, FilesystemGrant, Level, Policy, Surface, all_functions};
use wave_sandbox::{AddressRange, Grant, GrowableRange, LayerName, SealPlan};

/// What sealing a small run may take.
const BUDGET_MICROSECONDS: f64 = 500.0;

const NOBODY: u32 = 65534;

/// A row, and the arguments of its child.
const ROWS: [(&str, &[&str]); 5] = [
    ("strict, nothing granted", &["strict"]),
    ("strict, all functions, two directories", &["strict", "all"]),
    ("standard, nothing granted", &["standard"]),
    ("strict, and namespaces", &["strict", "namespaces"]),
    ("off", &["off"]),
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
    let asked = |word: &str| args.iter().any(|arg| arg == word);
    let left_out: Vec<_> = LayerName::ALL.into_iter().filter(|layer| asked(layer.as_str())).collect();
    let all = asked("all");
    let access = [Access::ReadWrite, Access::ReadOnly];
    let opened: Vec<_> = access.into_iter().filter(|_| all).map(|access| (File::open("/tmp"), access)).collect();
    let grants: Vec<_> = opened
        .iter()
        .map(|(file, access)| Grant { fd: file.as_ref().expect("a directory").as_fd(), access: *access })
        .collect();
    let names = all_functions().iter().filter(|_| all).map(|function| ("wasi_snapshot_preview1", function.name));
    let policy = Policy {
        level: args.first().expect("a level").parse::<Level>().expect("a level"),
        surface: Surface::from_imports(names),
        grants: grants.iter().map(|grant| FilesystemGrant { host: "/tmp".into(), access: grant.access }).collect(),
        ..Policy::default()
    };
    // Where nothing is: no call comes from there. The pages that are sealed are real.
    let range = AddressRange { start: 0x1000_0000, len_bytes: 1 << 30 };
    let page = Box::leak(vec![0_u8; 3 * 4096].into_boxed_slice()).as_ptr() as u64;
    let pages = [AddressRange { start: page.next_multiple_of(4096), len_bytes: 4096 }];
    let growable = [GrowableRange { base: 0x2000_0000, len_bytes: 1 << 32 }];
    let start = Instant::now();
    let plan = SealPlan {
        grants: &grants,
        growable: &growable,
        guest_code: Some(range),
        final_pages: &pages,
        title: Some("sealed"),
        left_out: &left_out,
        namespaces: asked("namespaces").then(wave_sandbox::leave_namespaces),
        ..SealPlan::new(&policy)
    };
    let sealed = wave_sandbox::seal(&plan);
    let elapsed = start.elapsed();
    if let Err(error) = sealed {
        eprintln!("{error}");
        wave_sandbox::exit(1);
    }
    eprintln!("{:.1}", elapsed.as_secs_f64() * 1e6);
    wave_sandbox::exit(0)
}
