//! The process that reads and compiles a module, seen from outside: what holds it (T99), and what bombs get from it (T62).
//!
//! Run as root, each test runs `wave` twice, as root and as user 65534.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use wave_test_support::binary::{leb, section, sized};
use wave_test_support::outside::unused_ids;
use wave_test_support::user::{NOBODY, User};
use wave_test_support::{
    Outcome, WALL_LIMIT, as_root, finish, place_for_programs, readable_by_all, sees_other_processes, source,
    wait_until_gone,
};

/// A place where every user may run `wave` and read modules.
static PLACE: LazyLock<TempDir> = LazyLock::new(place_for_programs);

fn module(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PLACE.path().join(name);
    fs::write(&path, bytes).expect("own directory");
    readable_by_all(&path);
    path
}

fn start(user: User, level: &str, flags: &[&str], module: &Path) -> Child {
    let mut command = Command::new(PLACE.path().join("wave"));
    command.args(["--sandbox", level, "run"]).args(flags).arg(module);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    user.runs(&mut command);
    command.spawn().expect("wave starts")
}

fn run(user: User, level: &str, flags: &[&str], module: &Path) -> Outcome {
    finish(start(user, level, flags, module))
}

// ---------------------------------------------------------------------------------------------------------
// Modules, byte by byte

/// A module of functions without parameters and results, the first of which is its `_start`.
fn functions(count: usize, body: &[u8]) -> Vec<u8> {
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[leb(count), vec![0; count]].concat()),
        section(7, b"\x01\x06_start\0\0"),
        section(10, &[leb(count), sized(body).repeat(count)].concat()),
    ]
    .concat()
}

fn body(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const BLOCK: &[u8] = &[0x02, 0x40];
const END: &[u8] = &[0x0b];
const NO_LOCALS: &[u8] = &[0];
const ONE_LOCAL: &[u8] = &[1, 1, 0x7f];

fn blocks(depth: usize) -> Vec<u8> {
    functions(1, &body(&[NO_LOCALS, &BLOCK.repeat(depth), &END.repeat(depth + 1)]))
}

/// Many loops over many live locals: what registers are given to takes minutes.
fn slow() -> Vec<u8> {
    let locals = 3000;
    let step = |i: usize| {
        let (to, from) = (leb(i * 13 % locals), leb(i * 7 % locals));
        body(&[&[0x20], &leb(i), &[0x20], &from, &[0x6a, 0x21], &to, &[0x03, 0x40, 0x20, 0, 0x0d, 0, 0x0b]])
    };
    let steps: Vec<u8> = (0..locals).flat_map(step).collect();
    functions(1, &body(&[&[1], &leb(locals), &[0x7f], &steps.repeat(20), END]))
}

// ---------------------------------------------------------------------------------------------------------
// Bombs

/// Each ends within the limits that every run has, in success or in an error that says what it is.
#[test]
fn t62_bombs_end_inside_the_limits() {
    let entries = 1_000_000;
    let table = body(&[NO_LOCALS, BLOCK, &[0x41, 0, 0x0e], &leb(entries), &vec![0; entries + 1], END, END]);
    let chain = |step: &[u8], count: usize| body(&[ONE_LOCAL, &[0x20, 0], &step.repeat(count), &[0x21, 0], END]);
    let locals = |count: usize| body(&[&[1], &leb(count), &[0x7f], END]);
    let deep = "wave: unsupported at offset 0x186c7: blocks nested more than 50000 deep\n";
    let bombs: [(&str, Vec<u8>, i32, &str); 9] = [
        ("100000 nested blocks", blocks(100_000), 126, deep),
        ("10000 nested blocks", blocks(10_000), 0, ""),
        ("a br_table with a million entries", functions(1, &table), 0, ""),
        ("100000 comparisons in a chain", functions(1, &chain(&[0x20, 0, 0x48], 100_000)), 0, ""),
        ("100000 additions in a chain", functions(1, &chain(&[0x20, 0, 0x6a], 100_000)), 0, ""),
        ("50000 locals in 100 functions", functions(100, &locals(50_000)), 0, ""),
        (
            "50001 locals",
            functions(1, &locals(50_001)),
            126,
            "wave: invalid module at offset 0x23: too many locals: locals exceed maximum\n",
        ),
        ("30000 functions", functions(30_000, &[0, 0x0b]), 0, ""),
        (
            "1000001 functions",
            functions(1_000_001, &[0, 0x0b]),
            126,
            "wave: invalid module at offset 0x12: functions count exceeds limit of 1000000\n",
        ),
    ];
    for (name, bytes, code, message) in bombs {
        let path = module("bomb.wasm", &bytes);
        let place = format!("  where: {}\n", path.display());
        for &user in User::available() {
            let start = Instant::now();
            let outcome = run(user, "strict", &["--compile-timeout", "100s"], &path);
            println!("{name}: {:?}", start.elapsed());
            outcome.is(code, "", &if message.is_empty() { String::new() } else { format!("{message}{place}") });
        }
    }
}

/// What a run at this level says first.
fn relaxed(level: &str) -> String {
    if level == "strict" { String::new() } else { format!("wave: relaxed by --sandbox {level}\n") }
}

#[test]
fn t62_time_is_bounded() {
    let path = module("slow.wasm", &slow());
    let many = module("many.wasm", &functions(1_000_000, &[0, 0x0b]));
    for &user in User::available() {
        for path in [&path, &many] {
            for level in ["strict", "standard"] {
                let start = Instant::now();
                let outcome = run(user, level, &["--compile-timeout", "300ms"], path);
                let elapsed = start.elapsed();
                let place = path.display();
                let relaxed = relaxed(level);
                let message = format!(
                    "{relaxed}wave: compiling takes more than 300ms of processor time\n  where: {place}\n  fix:   raise --compile-timeout\n"
                );
                outcome.is(125, "", &message);
                // Processor time of several threads, so that less of it may have passed; and the machine may do other things.
                assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
            }
        }
        run(user, "strict", &["--compile-timeout", "100s"], &source("examples/hello.wat")).is(
            0,
            "Hello from inside the sandbox!\n",
            "",
        );
    }
}

#[test]
fn t62_memory_is_bounded() {
    let path = module("large.wasm", &functions(1_000_000, &[0, 0x0b]));
    let small = module("small.wasm", &functions(1, &[0, 0x0b]));
    let deep = module("deep.wasm", &blocks(10_000));
    let message = |level: &str, bytes: u64, path: &Path| {
        let (relaxed, place) = (relaxed(level), path.display());
        format!(
            "{relaxed}wave: compiling takes more than {bytes} bytes of memory\n  where: {place}\n  fix:   raise --compile-memory\n"
        )
    };
    for &user in User::available() {
        for level in ["strict", "standard"] {
            run(user, level, &["--compile-memory", "64M"], &path).is(125, "", &message(level, 64 << 20, &path));
            run(user, level, &["--compile-memory", "64M"], &small).is(0, "", &relaxed(level));
            run(user, level, &["--compile-memory", "1K"], &deep).is(125, "", &message(level, 1 << 10, &deep));
            run(user, level, &[], &deep).is(0, "", &relaxed(level));
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// What holds the worker

/// The process that compiles for this one, once its filter is there.
fn sealed_child(parent: u32) -> u32 {
    let deadline = Instant::now() + WALL_LIMIT;
    let children = format!("/proc/{parent}/task/{parent}/children");
    loop {
        let list = fs::read_to_string(&children).expect("the kernel lists children");
        if let Some(child) = list.split_whitespace().next() {
            let child = child.parse().expect("a process id");
            if status(child).get("Seccomp_filters").is_some_and(|filters| *filters == one_more_filter()) {
                return child;
            }
        }
        assert!(Instant::now() < deadline, "no sealed child: {list}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The number of filters of a process that has one more than this one, which may have a container's.
fn one_more_filter() -> String {
    let own: u32 = status(std::process::id())["Seccomp_filters"].parse().expect("a number");
    (own + 1).to_string()
}

fn status(process: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(key, value)| (key.to_owned(), value.trim().replace('\t', " "))).collect()
}

fn limit(process: u32, name: &str) -> (String, String) {
    let text = fs::read_to_string(format!("/proc/{process}/limits")).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().expect("soft"), words.next().expect("hard"))
}

#[test]
fn t99_untrusted_bytes_are_compiled_under_every_layer() {
    let path = module("watched.wasm", &slow());
    for &user in User::available() {
        for level in ["strict", "standard"] {
            let wave = start(user, level, &["--compile-timeout", "999s", "--compile-memory", "1G"], &path);
            let worker = sealed_child(wave.id());
            let status = status(worker);
            let is =
                |key: &str, value: &str| assert_eq!(status.get(key).map(String::as_str), Some(value), "{status:#?}");
            is("NoNewPrivs", "1");
            is("Seccomp", "2");
            is("Seccomp_filters", &one_more_filter());
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                is(set, "0000000000000000");
            }
            let ids: Vec<u32> = status["Uid"].split(' ').map(|id| id.parse().expect("an id")).collect();
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            match user {
                User::Root => {
                    assert!(unused_ids().contains(&ids[0]), "{ids:?}");
                    is("Groups", "");
                    is("CapBnd", "0000000000000000");
                }
                User::Nobody => assert_eq!(ids[0], NOBODY),
                User::Own => assert_eq!(ids[0], nix::unistd::getuid().as_raw()),
            }
            let pair = |n: &str| (n.to_owned(), n.to_owned());
            assert_eq!(limit(worker, "Max core file size"), pair("0"));
            assert_eq!(limit(worker, "Max file size"), pair("0"));
            assert_eq!(limit(worker, "Max open files"), pair("8"));
            assert_eq!(limit(worker, "Max data size"), pair("1073741824"));
            // All threads together, a second after this process ends it.
            assert_eq!(limit(worker, "Max cpu time"), pair("1000"));
            if sees_other_processes() {
                let links: BTreeMap<_, _> = fs::read_dir(format!("/proc/{worker}/fd"))
                    .expect("root may look")
                    .flatten()
                    .map(|entry| (entry.file_name(), fs::read_link(entry.path()).expect("root may look")))
                    .collect();
                let numbers: BTreeSet<_> = links.keys().map(|name| name.to_string_lossy().into_owned()).collect();
                assert_eq!(numbers, ["0", "1", "2"].map(str::to_owned).into());
                let socket = &links[std::ffi::OsStr::new("0")];
                assert!(socket.to_string_lossy().starts_with("socket:"), "{links:?}");
                assert_eq!(socket, &links[std::ffi::OsStr::new("1")]);
            }
            kill(Pid::from_raw(worker.cast_signed()), Signal::SIGKILL).expect("root, or own process");
            let outcome = finish(wave);
            assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
            wait_until_gone(worker);
        }
    }
}

#[test]
fn the_worker_ends_with_the_process_it_works_for() {
    let path = module("orphan.wasm", &slow());
    for &user in User::available() {
        let mut wave = start(user, "strict", &["--compile-timeout", "60s"], &path);
        let worker = sealed_child(wave.id());
        wave.kill().expect("own child");
        wave.wait().expect("own child");
        wait_until_gone(worker);
    }
}

#[test]
fn a_worker_that_dies_is_said_to_have_died() {
    let path = module("killed.wasm", &slow());
    for &user in User::available() {
        let wave = start(user, "strict", &["--compile-timeout", "60s"], &path);
        let worker = sealed_child(wave.id());
        kill(Pid::from_raw(worker.cast_signed()), Signal::SIGBUS).expect("root, or own process");
        let place = path.display();
        let message = format!(
            "wave: the compiler stopped: signal 7\n  where: {place}\n  fix:   report it as a bug, with the module\n"
        );
        finish(wave).is(125, "", &message);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Levels

fn compiler_layer(outcome: &Outcome) -> (String, String) {
    let line = outcome.stderr.lines().find(|line| line.starts_with('{')).expect("a report");
    let report: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let layer = &report["layers"][0];
    assert_eq!(layer["name"], "compiler");
    let text = layer["detail"].as_str().or(layer["reason"].as_str()).unwrap_or_default();
    (layer["state"].as_str().expect("a state").to_owned(), text.to_owned())
}

#[test]
fn the_report_says_where_the_module_was_compiled() {
    let path = module("reported.wasm", &functions(1, &[0, 0x0b]));
    for &user in User::available() {
        for level in ["strict", "standard"] {
            let outcome = run(user, level, &["--report=json"], &path);
            assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
            let (state, detail) = compiler_layer(&outcome);
            assert_eq!(state, "applied");
            assert!(detail.contains("any other call ends the process; uid ") && detail.contains("; ABI "), "{detail}");
        }
        let outcome = run(user, "off", &["--report=json"], &path);
        assert_eq!(compiler_layer(&outcome), ("not_requested".to_owned(), String::new()));
    }
}

/// Where no process can be started, strict refuses and standard compiles here and says so.
#[test]
fn a_missing_worker_is_a_refusal_at_strict_only() {
    let path = module("alone.wasm", &functions(1, &[0, 0x0b]));
    // The limit on processes does not hold for root.
    let user = if as_root() { User::Nobody } else { User::Own };
    let limited = |level: &str| {
        let wave = PLACE.path().join("wave");
        let line = "ulimit -u 0; exec \"$@\"";
        let mut command = Command::new("bash");
        command.args(["-c", line, "bash"]).arg(wave).args(["--sandbox", level, "run", "--report=json"]).arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        user.runs(&mut command);
        finish(command.spawn().expect("bash starts"))
    };
    let why = "cannot start a process: the kernel refused fork: Resource temporarily unavailable (os error 11)";
    limited("strict").is(
        125,
        "",
        &format!(
            "wave: cannot compile the module in a sealed process: {why}\n  where: --sandbox\n  fix:   raise the limit on processes and threads: ulimit -u is 0\n"
        ),
    );
    let outcome = limited("standard");
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert_eq!(compiler_layer(&outcome), ("waived".to_owned(), why.to_owned()));
}

/// Whoever compiles, a module that is wrong gives the same message.
#[test]
fn a_wrong_module_is_the_same_error_everywhere() {
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    let wrong: [(&str, Vec<u8>); 7] = [
        ("empty.wasm", Vec::new()),
        ("noise.wasm", b"\x7fELF and so on".to_vec()),
        ("cut.wasm", functions(1, &[0, 0x0b])[..20].to_vec()),
        ("type.wasm", functions(1, &[0, 0x41, 0, 0x0b])),
        ("component.wasm", component),
        ("text.wat", b"(module\n  (func (export \"_start\") (i32.const)))".to_vec()),
        ("import.wat", b"(module (import \"env\" \"f\" (func)) (func (export \"_start\")))".to_vec()),
    ];
    for (name, bytes) in wrong {
        let path = module(name, &bytes);
        for &user in User::available() {
            let off = run(user, "off", &[], &path);
            let message = off.stderr.strip_prefix(&relaxed("off")).expect("it says so");
            assert!(message.starts_with("wave: "), "{off:?}");
            for level in ["strict", "standard", "off"] {
                run(user, level, &[], &path).is(126, "", &(relaxed(level) + message));
            }
        }
    }
}

/// A parent that ignores the end of its children hands that down.
#[test]
fn ignored_children_are_waited_for_all_the_same() {
    let path = module("ignored.wasm", &functions(1, &[0, 0x0b]));
    let wrong = module("wrong.wasm", b"\0asm\x01\0\0\0\x01");
    for module in [&path, &wrong] {
        let mut command = Command::new("env");
        command.arg("--ignore-signal=CHLD").arg(PLACE.path().join("wave")).arg("run").arg(module);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let outcome = finish(command.spawn().expect("env starts"));
        assert_eq!(outcome.status.code(), Some(if *module == path { 0 } else { 126 }), "{outcome:?}");
    }
}
