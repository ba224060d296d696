//! What `wave` reads before anything is sealed: modules, policies and scripts, whatever they are and whatever is in them. Each
//! command ends in time that is in proportion to its input, within its limits, and with a message.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use wave_test_support::around::{EPERM, hiding};
use wave_test_support::binary::{leb, section, sized};
use wave_test_support::user::User;
use wave_test_support::{Outcome, as_root, copy_program, finish, open_to_all, source, writable_dir};

const GREETING: &str = "Hello from inside the sandbox!\n";

/// A directory that every user may read, with `wave`, the example `hello.wat` and a policy for it.
fn place() -> TempDir {
    let dir = writable_dir();
    copy_program(env!("CARGO_BIN_EXE_wave").as_ref(), dir.path());
    fs::copy(source("examples/hello.wat"), dir.path().join("hello.wat")).expect("own directory");
    fs::write(dir.path().join("p.toml"), "version = 1\nextends = \"cli\"\n").expect("own directory");
    for name in ["hello.wat", "p.toml"] {
        open_to_all(&dir.path().join(name));
    }
    dir
}

fn start(mut command: Command, dir: &Path) -> Child {
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // No cache: what is measured or refused is the work itself.
    command.env_remove("HOME").env_remove("XDG_CACHE_HOME").spawn().expect("it starts")
}

fn wave<A: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = A>) -> Outcome {
    let mut command = Command::new(dir.join("wave"));
    command.args(args);
    finish(start(command, dir))
}

fn by_bash(dir: &Path, script: &str) -> Outcome {
    let mut command = Command::new("bash");
    command.args(["-c", script]);
    finish(start(command, dir))
}

// ---------------------------------------------------------------------------------------------------------
// Modules, byte by byte

/// A section of `count` items.
fn items(id: u8, count: usize, item: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let items: Vec<u8> = (0..count).flat_map(item).collect();
    section(id, &[leb(count), items].concat())
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

fn name(text: &str) -> Vec<u8> {
    sized(text.as_bytes())
}

/// The type of a function without arguments and results.
fn nothing() -> Vec<u8> {
    section(1, &[1, 0x60, 0, 0])
}

/// `count` functions that do nothing.
fn functions(count: usize) -> Vec<u8> {
    [items(3, count, |_| vec![0]), items(10, count, |_| vec![2, 0, 0x0b])].concat()
}

/// Modules of many things of one kind.
fn hostile(kind: &str, count: usize) -> Vec<u8> {
    let import = |of: &str, own: String| [name(of), name(&own), vec![0, 0]].concat();
    let one = [items(3, 1, |_| vec![0]), section(5, &[1, 0, 1])].concat();
    let body = items(10, 1, |_| vec![2, 0, 0x0b]);
    match kind {
        "unknown imports" => module(&[nothing(), items(2, count, |i| import("env", format!("f{i}")))]),
        "unknown names of one length and start" => {
            module(&[nothing(), items(2, count, |i| import("wasi_snapshot_preview1", format!("fd_{i:060}")))])
        }
        "the same import" => module(&[
            section(1, &[1, 0x60, 1, 0x7f, 0]),
            items(2, count, |_| import("wasi_snapshot_preview1", "proc_exit".to_owned())),
        ]),
        "types" => module(&[items(1, count, |i| {
            let parameters = (0..16).map(|bit| if i >> bit & 1 == 1 { 0x7f } else { 0x7e }).collect::<Vec<_>>();
            [vec![0x60], sized(&parameters), vec![0]].concat()
        })]),
        "functions" => module(&[nothing(), functions(count)]),
        "exports" => {
            module(&[nothing(), one, items(7, count, |i| [name(&format!("e{i}")), vec![0, 0]].concat()), body])
        }
        "globals" => module(&[items(6, count, |_| vec![0x7f, 0, 0x41, 0, 0x0b])]),
        "data" => module(&[section(5, &[1, 0, 1]), items(11, count, |_| vec![0, 0x41, 0, 0x0b, 1, 0])]),
        "elements" => module(&[
            nothing(),
            items(3, 1, |_| vec![0]),
            section(4, &[1, 0x70, 0, 1]),
            items(9, count, |_| vec![0, 0x41, 0, 0x0b, 1, 0]),
            body,
        ]),
        "custom sections" => module(&[section(0, &name("name")).repeat(count)]),
        "names of functions" => {
            let names =
                section(1, &[leb(count), (0..count).flat_map(|i| [leb(i), name("n")].concat()).collect()].concat());
            module(&[nothing(), functions(count), section(0, &[name("name"), names].concat())])
        }
        "a long constant" => {
            let sum = [vec![0x7f, 0, 0x41, 0], [0x41, 0, 0x6a].repeat(count), vec![0x0b]].concat();
            module(&[section(6, &[vec![1], sum].concat())])
        }
        other => panic!("{other}"),
    }
}

const HOSTILE: [&str; 12] = [
    "unknown imports",
    "unknown names of one length and start",
    "the same import",
    "types",
    "functions",
    "exports",
    "globals",
    "data",
    "elements",
    "custom sections",
    "names of functions",
    "a long constant",
];

/// Processor time of a command and of all that it waited for, in milliseconds, and how it ended. Load does not change it much.
fn processor_ms(dir: &Path, words: &[&str]) -> (f64, Outcome) {
    let mut command = Command::new("bash");
    command.args(["-c", "TIMEFORMAT='%U %S'; time \"$@\"", "bash"]).arg(dir.join("wave")).args(words);
    let outcome = finish(start(command, dir));
    let times = outcome.stderr.lines().last().expect("bash prints the times");
    let seconds: f64 = times.split(' ').map(|time| time.parse::<f64>().expect("seconds")).sum();
    (seconds * 1e3, outcome)
}

/// Ten times as much takes ten times as long, and not a hundred times. Below the first figure, it is the start of the process.
#[track_caller]
pub fn is_in_proportion(what: &str, dir: &Path, few: &[&str], many: &[&str]) {
    let ((less, first), (more, second)) = (processor_ms(dir, few), processor_ms(dir, many));
    assert!(more < 40.0 * less.max(20.0), "{what}: {less} ms, ten times as much {more} ms");
    for outcome in [first, second] {
        let code = outcome.status.code().unwrap_or(-1);
        assert!([0, 1, 125, 126].contains(&code), "{what}: {outcome:?}");
    }
}

#[test]
fn t62_hostile_modules_take_time_in_proportion_in_every_command() {
    let dir = place();
    let commands: [&[&str]; 9] = [
        &["run"],
        &["run", "--policy", "p.toml"],
        &["policy", "check", "p.toml"],
        &["policy", "gen"],
        &["inspect"],
        &["audit"],
        &["audit", "--format", "json"],
        &["verify"],
        &["compile", "--discard"],
    ];
    for kind in HOSTILE {
        fs::write(dir.path().join("few.wasm"), hostile(kind, 1_000)).expect("own directory");
        fs::write(dir.path().join("many.wasm"), hostile(kind, 10_000)).expect("own directory");
        for command in commands {
            let with = |module: &'static str| [command, &[module]].concat();
            is_in_proportion(&format!("{kind}, {command:?}"), dir.path(), &with("few.wasm"), &with("many.wasm"));
        }
    }
}

/// 100,000 unknown imports took 48 seconds with a policy, 93 to check one and 63 to write one.
#[test]
fn t62_a_hundred_thousand_unknown_imports_end_soon() {
    let dir = place();
    fs::write(dir.path().join("m.wasm"), hostile("unknown imports", 100_000)).expect("own directory");
    for (words, code) in
        [(&["run", "--policy", "p.toml"][..], 126), (&["policy", "check", "p.toml"], 0), (&["policy", "gen"], 0)]
    {
        let (spent, outcome) = processor_ms(dir.path(), &[words, &["m.wasm"]].concat());
        assert_eq!(outcome.status.code(), Some(code), "{outcome:?}");
        assert!(spent < 10_000.0, "{words:?}: {spent} ms");
    }
}

// ---------------------------------------------------------------------------------------------------------
// Policies

/// Policies of many things of one kind.
fn policy(kind: &str, count: usize) -> String {
    let many = |line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let rest = match kind {
        "comments" => many(&|_| "#\n".to_owned()),
        "blank lines" => many(&|_| "\n".to_owned()),
        "unknown keys" => many(&|i| format!("key{i} = 1\n")),
        "unknown functions" => format!("[wasi]\nfunctions = [{}]\n", many(&|i| format!("\"fd_writ{i}\","))),
        "the same function" => format!("[wasi]\nfunctions = [{}]\n", many(&|_| "\"sock_send\",".to_owned())),
        "the same key" => many(&|_| "a = 1\n".to_owned()),
        "lines that are no TOML" => many(&|_| "=\n".to_owned()),
        "directories" => many(&|i| format!("[[fs]]\nhost = \"/no/{i}\"\naccess = \"ro\"\n")),
        "directories one in the other" => (0..count.div_ceil(40))
            .map(|i| format!("[[fs]]\nhost = \"/{}{i}\"\naccess = \"ro\"\n", "a/".repeat(i % 900)))
            .collect(),
        "climbing directories" => (0..count.div_ceil(100))
            .map(|i| format!("[[fs]]\nhost = \"/usr{}/{i}\"\naccess = \"ro\"\n", "/..".repeat(1300)))
            .collect(),
        "empty directories" => many(&|_| "[[fs]]\n".to_owned()),
        "variables" => format!("[env]\npass = [{}]\n", many(&|i| format!("\"N{i}\","))),
        "values" => format!("[env.set]\n{}", many(&|i| format!("N{i} = \"\"\n"))),
        "rules" => format!("[os]\nresolver = \"kernel\"\n[os.always]\n{}", many(&|i| format!("r{i} = \"\"\n"))),
        "networks" => {
            format!("[net]\naccept_from = [{}]\n", many(&|i| format!("\"10.{}.{}.0/24\",", i / 200 % 200, i % 200)))
        }
        "dots" => format!("{}a = 1\n", "a.".repeat(count)),
        "brackets" => format!("args = {}\n", "[".repeat(count)),
        "a long key" => format!("{} = 1\n", "k".repeat(count * 10)),
        "a long text" => format!("args = [\"{}\"]\n", "\\u00e9".repeat(count)),
        other => panic!("{other}"),
    };
    format!("version = 1\n{rest}")
}

const POLICIES: [&str; 19] = [
    "comments",
    "blank lines",
    "unknown keys",
    "unknown functions",
    "the same function",
    "the same key",
    "lines that are no TOML",
    "directories",
    "directories one in the other",
    "climbing directories",
    "empty directories",
    "variables",
    "values",
    "rules",
    "networks",
    "dots",
    "brackets",
    "a long key",
    "a long text",
];

#[test]
fn t122_hostile_policies_take_time_in_proportion_in_every_command() {
    let dir = place();
    let commands: [&[&str]; 8] = [
        &["policy", "check", "POLICY", "hello.wat"],
        &["policy", "show", "--resolved", "POLICY"],
        &["policy", "fmt", "--check", "POLICY"],
        &["policy", "diff", "p.toml", "POLICY"],
        &["policy", "export", "--format", "systemd", "POLICY"],
        &["why", "--policy", "POLICY", "--env", "A"],
        &["run", "--dry-run", "--policy", "POLICY", "hello.wat"],
        &["run", "--policy", "POLICY", "hello.wat"],
    ];
    for kind in POLICIES {
        fs::write(dir.path().join("few.toml"), policy(kind, 4_000)).expect("own directory");
        fs::write(dir.path().join("many.toml"), policy(kind, 40_000)).expect("own directory");
        for command in commands {
            // Whether a long argument comes through a run is another question.
            if kind == "a long text" && command[0] == "run" {
                continue;
            }
            let with =
                |file| command.iter().map(|word| if *word == "POLICY" { file } else { *word }).collect::<Vec<_>>();
            is_in_proportion(&format!("{kind}, {command:?}"), dir.path(), &with("few.toml"), &with("many.toml"));
        }
    }
}

/// What would take much memory is refused before it is taken, with the place where it becomes too much.
#[test]
fn t122_a_policy_is_bounded_in_size_and_in_parts() {
    let dir = place();
    let sparse = File::create(dir.path().join("large.toml")).expect("own directory");
    sparse.set_len((16 << 20) + 1).expect("own file");
    let refused = |words: &[&str], what: &str, place: &str| {
        let outcome = wave(dir.path(), words);
        assert_eq!(outcome.stdout, "");
        let start = format!("wave: {what}\n  where: {place}");
        assert!(outcome.stderr.starts_with(&start), "{words:?}: {}", outcome.stderr);
        outcome.status.code()
    };
    let large = "cannot read the policy: it is larger than 16 MiB";
    assert_eq!(refused(&["policy", "check", "large.toml"], large, "large.toml\n"), Some(1));
    assert_eq!(refused(&["run", "--policy", "large.toml", "hello.wat"], large, "large.toml\n"), Some(125));
    let parts = "more than 524288 keys, commas and opening brackets";
    fs::write(dir.path().join("parts.toml"), format!("version = 1\nfs = [\n{}]\n", "{a=1},\n".repeat(300_000)))
        .expect("own directory");
    assert_eq!(refused(&["policy", "check", "parts.toml"], parts, "parts.toml:174764:"), Some(1));
    let tokens = "more than 4194304 words, signs and spaces";
    fs::write(dir.path().join("tokens.toml"), format!("version = 1\n{}", "\n".repeat(5_000_000)))
        .expect("own directory");
    assert_eq!(refused(&["policy", "check", "tokens.toml"], tokens, "tokens.toml:4194300:"), Some(1));
    assert_eq!(refused(&["policy", "fmt", "tokens.toml"], tokens, "tokens.toml:4194300:"), Some(125));
    // What is below it is read.
    let below = format!("version = 1\n{}", "\n".repeat(4_000_000));
    fs::write(dir.path().join("below.toml"), below).expect("own directory");
    wave(dir.path(), ["policy", "check", "below.toml"]).is(0, "", "");
}

/// Names in messages are shown as far as a person reads them.
#[test]
fn t75_a_long_name_does_not_fill_the_terminal() {
    let dir = place();
    let long = "k".repeat(1_000_000);
    let policies = [
        format!("{long} = 1\n"),
        format!("sandbox = \"{long}\"\n"),
        format!("[wasi]\nfunctions = [\"{long}\"]\n"),
        format!("[env.set]\n\"{long}=\" = \"\"\n"),
        format!("[env]\npass = [\"{long}\", \"{long}\"]\n"),
        format!("[[fs]]\nhost = \"{long}\"\naccess = \"ro\"\n"),
        format!("[limits]\ntimeout = \"{long}\"\n"),
    ];
    for policy in policies {
        fs::write(dir.path().join("long.toml"), format!("version = 1\n{policy}")).expect("own directory");
        let outcome = wave(dir.path(), ["policy", "check", "long.toml"]);
        assert_eq!((outcome.status.code(), &*outcome.stdout), (Some(1), ""));
        assert!(outcome.stderr.len() < 2_000, "{} bytes: {}", outcome.stderr.len(), &outcome.stderr[..300]);
    }
}

// ---------------------------------------------------------------------------------------------------------
// What is no file

fn fifo(dir: &Path, file: &str) -> PathBuf {
    let path = dir.join(file);
    let made = Command::new("mkfifo").arg(&path).status().expect("coreutils");
    assert!(made.success());
    path
}

/// Every command that reads a file, with the file.
fn readers(file: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["run", file],
        vec!["run", "--policy", file, "hello.wat"],
        vec!["learn", "-o", "learned.toml", file],
        vec!["compile", "-o", "out.wave", file],
        vec!["compile", "--discard", file],
        vec!["verify", file],
        vec!["inspect", file],
        vec!["audit", file],
        vec!["policy", "gen", file],
        vec!["policy", "check", file],
        vec!["policy", "check", "p.toml", file],
        vec!["policy", "show", file],
        vec!["policy", "fmt", file],
        vec!["policy", "diff", "p.toml", file],
        vec!["policy", "diff", file, "p.toml"],
        vec!["policy", "export", "--format", "oci-seccomp", file],
        vec!["why", "--policy", file, "--env", "A"],
        vec!["wast", file],
    ]
}

#[test]
fn what_is_no_file_is_refused_at_once_in_every_command() {
    let dir = place();
    let socket = UnixListener::bind(dir.path().join("socket")).expect("own directory");
    fs::create_dir(dir.path().join("directory")).expect("own directory");
    let kinds = [
        ("directory", "it is a directory"),
        ("/dev/zero", "it is a device"),
        ("/dev/urandom", "it is a device"),
        ("socket", "it is a socket"),
        ("/proc/self/mem", "Input/output error (os error 5)"),
    ];
    for (file, why) in kinds {
        for words in readers(file) {
            let outcome = wave(dir.path(), &words);
            let code = outcome.status.code().unwrap_or(-1);
            assert!([1, 125, 126, 127].contains(&code), "{words:?}: {outcome:?}");
            assert_eq!(outcome.stdout, "", "{words:?}");
            assert!(outcome.stderr.contains(why), "{words:?}: {outcome:?}");
        }
    }
    drop(socket);
    assert!(!dir.path().join("learned.toml").exists() && !dir.path().join("out.wave").exists());
}

/// Also where the shell has opened it: `wave run - < /dev/zero`.
#[test]
fn an_endless_device_is_no_standard_input() {
    let dir = place();
    for words in ["run -", "inspect -", "policy check -"] {
        let outcome = by_bash(dir.path(), &format!("./wave {words} < /dev/zero"));
        assert!(outcome.stderr.contains(": it is a device\n  where: "), "{words}: {outcome:?}");
    }
    by_bash(dir.path(), "./wave run - < hello.wat").is(0, GREETING, "");
    by_bash(dir.path(), "cat hello.wat | ./wave run -").is(0, GREETING, "");
    by_bash(dir.path(), "cat p.toml | ./wave policy check -").is(0, "", "");
    let empty = by_bash(dir.path(), "./wave run - < /dev/null");
    assert!(empty.stderr.starts_with("wave: not a WebAssembly module: it has only 0 bytes\n"), "{empty:?}");
}

/// A FIFO that nobody writes to ends each command in five seconds.
#[test]
fn a_fifo_without_a_writer_does_not_block() {
    let dir = place();
    fifo(dir.path(), "fifo");
    let waiting: Vec<_> = readers("fifo")
        .into_iter()
        .map(|words| {
            let mut command = Command::new(dir.path().join("wave"));
            command.args(&words);
            (words.join(" "), start(command, dir.path()))
        })
        .collect();
    for (words, child) in waiting {
        let outcome = finish(child);
        assert!(
            outcome.stderr.contains("it is a FIFO that no process writes to\n  where: fifo\n  fix:   start"),
            "{words}: {outcome:?}"
        );
        assert_eq!(outcome.stdout, "", "{words}");
    }
}

#[test]
fn a_pipe_that_stays_open_ends_with_the_time_for_compiling() {
    let dir = place();
    let path = fifo(dir.path(), "fifo");
    // It is its own reader, so it opens at once; it writes nothing and does not close.
    let held = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("own FIFO");
    for words in [&["run"][..], &["compile", "-o", "out.wave"], &["compile", "--discard"], &["learn", "-o", "l.toml"]] {
        let outcome = wave(dir.path(), [words, &["--compile-timeout", "300ms", "fifo"]].concat());
        outcome.is(
            126,
            "",
            "wave: cannot read the module: it did not end within 300ms\n  where: fifo\n  \
             fix:   close it in the program that writes to it, or copy it to a file first\n",
        );
    }
    drop(held);
}

/// Process substitution, a writer that comes later, and one that must not notice that it was looked at.
#[test]
fn a_pipe_with_a_writer_is_read_to_its_end() {
    let dir = place();
    by_bash(dir.path(), "./wave run <(cat hello.wat)").is(0, GREETING, "");
    by_bash(dir.path(), "./wave run --policy <(cat p.toml) <(sleep 0.3; cat hello.wat)").is(0, GREETING, "");
    by_bash(dir.path(), "./wave run --outcome out.json --policy <(cat p.toml) hello.wat").is(0, GREETING, "");
    by_bash(dir.path(), "./wave policy check <(cat p.toml) <(cat hello.wat)").is(0, "", "");
    let inspected = by_bash(dir.path(), "./wave inspect <(cat hello.wat)");
    assert!(inspected.status.success() && inspected.stdout.contains("exports:\n"), "{inspected:?}");
    fifo(dir.path(), "fifo");
    // With a cache, which looks at large files first.
    for _ in 0..3 {
        by_bash(dir.path(), "(sleep 0.2; cat hello.wat > fifo) & ./wave run fifo; wait $!").is(0, GREETING, "");
    }
    let endless = by_bash(dir.path(), "./wave policy check <(yes)");
    assert_eq!(endless.status.code(), Some(1));
    assert!(endless.stderr.starts_with("wave: cannot read the policy: it is larger than 16 MiB\n"), "{endless:?}");
    // `fmt` would write to what it has read.
    let formatted = by_bash(dir.path(), "./wave policy fmt <(echo 'version=1')");
    assert!(formatted.stderr.starts_with("wave: only a file can be rewritten\n"), "{formatted:?}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let dir = place();
    File::create(dir.path().join("large.wasm")).and_then(|file| file.set_len((1 << 30) + 1)).expect("own directory");
    for words in [&["run"][..], &["inspect"], &["audit"], &["verify"], &["policy", "gen"]] {
        let (spent, outcome) = processor_ms(dir.path(), &[words, &["large.wasm"]].concat());
        assert_eq!(outcome.status.code(), Some(126));
        assert!(outcome.stderr.starts_with("wave: cannot read the module: it is larger than 1 GiB\n"), "{outcome:?}");
        assert!(spent < 5_000.0, "{words:?}: {spent} ms");
    }
}

// ---------------------------------------------------------------------------------------------------------
// The process that works on it

/// Compiling it takes minutes.
fn slow() -> Vec<u8> {
    let locals = 3000;
    let step = |i: usize| {
        let (to, from) = (leb(i * 13 % locals), leb(i * 7 % locals));
        [&[0x20][..], &leb(i), &[0x20], &from, &[0x6a, 0x21], &to, &[0x03, 0x40, 0x20, 0, 0x0d, 0, 0x0b]].concat()
    };
    let steps: Vec<u8> = (0..locals).flat_map(step).collect();
    let body = [&[1][..], &leb(locals), &[0x7f], &steps.repeat(20), &[0x0b]].concat();
    module(&[nothing(), items(3, 1, |_| vec![0]), items(10, 1, |_| sized(&body))])
}

/// What a process says of itself in procfs.
fn status(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

/// The sealed child of a process, once it is there and has its name.
fn compiler_of(child: &Child) -> String {
    let pid = child.id();
    for _ in 0..60_000 {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for found in children.split_whitespace().filter_map(|number| number.parse().ok()) {
            let title = fs::read(format!("/proc/{found}/cmdline")).unwrap_or_default();
            if let Some(status) = status(found).filter(|status| status.contains("Seccomp:\t2"))
                && title.starts_with(b"wave: compiler")
            {
                return status;
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("no sealed child");
}

/// T62, T99: the commands that look at a module do so in a process that is sealed and has no privilege.
#[test]
fn t99_a_module_is_looked_at_in_a_sealed_process() {
    let dir = place();
    fs::write(dir.path().join("slow.wasm"), slow()).expect("own directory");
    for words in [&["verify"][..], &["compile", "--discard"]] {
        let mut command = Command::new(dir.path().join("wave"));
        command.args(words).arg("slow.wasm");
        let mut child = start(command, dir.path());
        let status = compiler_of(&child);
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().to_owned()
        };
        assert_eq!([line("Seccomp:"), line("NoNewPrivs:")], ["2", "1"], "{status}");
        assert_eq!([line("CapEff:"), line("CapPrm:")], ["0000000000000000"; 2], "{status}");
        assert!(!as_root() || !line("Uid:").starts_with("0\t"), "{status}");
        child.kill().expect("own child");
        child.wait().expect("own child");
    }
}

#[test]
fn t62_measuring_is_under_the_limits_of_compiling() {
    let dir = place();
    fs::write(dir.path().join("slow.wasm"), slow()).expect("own directory");
    wave(dir.path(), ["compile", "--discard", "--compile-timeout", "300ms", "slow.wasm"]).is(
        125,
        "",
        "wave: compiling takes more than 300ms of processor time\n  where: slow.wasm\n  fix:   raise --compile-timeout\n",
    );
    wave(dir.path(), ["compile", "--discard", "--compile-memory", "16M", "slow.wasm"]).is(
        125,
        "",
        "wave: compiling takes more than 16777216 bytes of memory\n  where: slow.wasm\n  fix:   raise --compile-memory\n",
    );
    // A time that no clock can say.
    let outcome = wave(dir.path(), ["run", "--compile-timeout", "5000000000000h", "hello.wat"]);
    outcome.is(0, GREETING, "");
}

/// A compiler that was killed is no bug of its own: what the kernel kills for is said.
#[test]
fn a_compiler_that_the_kernel_kills_is_told_from_a_bug() {
    let dir = place();
    fs::write(dir.path().join("slow.wasm"), slow()).expect("own directory");
    let mut command = Command::new(dir.path().join("wave"));
    command.args(["run", "slow.wasm"]);
    let child = start(command, dir.path());
    let status = compiler_of(&child);
    let pid = status.lines().find_map(|line| line.strip_prefix("Pid:")).and_then(|pid| pid.trim().parse().ok());
    kill(Pid::from_raw(pid.expect("a number")), Signal::SIGKILL).expect("own descendant");
    finish(child).is(
        125,
        "",
        "wave: the compiler was killed (signal 9), as the kernel does when a control group or the machine runs out of memory\n  \
         where: slow.wasm\n  fix:   give the control group more memory (`memory.max`), or compile on a machine with more\n",
    );
    by_bash(dir.path(), "ulimit -t 1; exec ./wave run slow.wasm").is(
        125,
        "",
        "wave: the compiler was killed (signal 9): its processor time is limited\n  \
         where: slow.wasm\n  fix:   raise the limit on processor time: ulimit -t is 1 seconds\n",
    );
}

/// What is too large for an arena of a thread is moved by the worker itself: glibc would call mremap, which is refused there.
#[test]
fn a_large_function_is_compiled_by_any_thread() {
    let dir = place();
    fs::write(dir.path().join("slow.wasm"), slow()).expect("own directory");
    for _ in 0..8 {
        let outcome = by_bash(dir.path(), "ulimit -t 2; exec ./wave run slow.wasm");
        assert!(outcome.stderr.starts_with("wave: the compiler was killed (signal 9)"), "{outcome:?}");
    }
}

/// Without another process, what is asked for decides: `strict` refuses, and the rest says what it does without.
#[test]
fn without_another_process_strict_refuses() {
    let dir = place();
    // The limit on processes does not hold for root.
    let user = if as_root() { User::Nobody } else { User::Own };
    let limited = |words: &[&str]| {
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -u 0; exec \"$@\"", "bash"]).arg(dir.path().join("wave")).args(words);
        user.runs(&mut command);
        finish(start(command, dir.path()))
    };
    let why = "cannot start a process: the kernel refused fork: Resource temporarily unavailable (os error 11)";
    for words in [
        &["inspect"][..],
        &["audit"],
        &["verify"],
        &["compile", "--discard"],
        &["policy", "gen"],
        &["policy", "check", "p.toml"],
    ] {
        let outcome = limited(&[words, &["hello.wat"]].concat());
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
        assert_eq!(
            outcome.stderr,
            format!("wave: note: the module is read without a sealed process: {why}\n"),
            "{words:?}"
        );
        let outcome = limited(&[&["--sandbox", "strict"][..], words, &["hello.wat"]].concat());
        outcome.is(
            125,
            "",
            &format!("wave: cannot compile the module in a sealed process: {why}\n  where: --sandbox\n  fix:   raise the limit on processes and threads: ulimit -u is 0\n"),
        );
        let outcome = limited(&[&["--sandbox", "off"][..], words, &["hello.wat"]].concat());
        assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""), "{words:?}");
    }
}

/// Without threads, one does the work: a huge stack for each by the environment, and an outer filter that refuses them.
#[test]
fn without_threads_one_does_the_work() {
    let dir = place();
    // Large enough for several threads in every part.
    let start_function = section(7, &[&[1][..], &name("_start"), &[0, 0]].concat());
    let bodies = items(10, 30_000, |_| vec![5, 0, 0x41, 1, 0x1a, 0x0b]);
    let large = module(&[nothing(), items(3, 30_000, |_| vec![0]), start_function, bodies]);
    fs::write(dir.path().join("large.wasm"), large).expect("own directory");
    let cache = writable_dir();
    for words in [
        &["run"][..],
        &["run"],
        &["run", "--no-cache"],
        &["verify"],
        &["inspect"],
        &["compile", "--discard"],
        &["doctor"],
    ] {
        let words = if words == ["doctor"] { words.to_vec() } else { [words, &["large.wasm"]].concat() };
        for stack in ["18446744073709551615", "1000000000000", "0"] {
            let mut command = Command::new(dir.path().join("wave"));
            command.args(&words).env("RUST_MIN_STACK", stack).env("XDG_CACHE_HOME", cache.path());
            command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let outcome = finish(command.spawn().expect("it starts"));
            assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""), "{words:?}, {stack}: {outcome:?}");
        }
        // clone3
        let mut command = hiding("435", EPERM, &dir.path().join("wave"));
        command.args(&words).env("XDG_CACHE_HOME", cache.path()).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let outcome = finish(command.spawn().expect("it starts"));
        assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""), "{words:?}: {outcome:?}");
    }
}

/// The limit on files is an error of the write, and ends no command by a signal.
#[test]
fn a_limit_on_files_is_an_error_and_no_signal() {
    let dir = place();
    let outcome = by_bash(dir.path(), "ulimit -f 0; ./wave inspect hello.wat > out");
    assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
    assert!(outcome.stderr.contains("File too large"), "{outcome:?}");
}
