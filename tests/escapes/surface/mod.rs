//! The filter is as wide as honest runs need it and no wider: every system call that `wave` makes after the seal follows from
//! what the module imports and was granted, and every rule of the table is used by some run (T84, T85).
//!
//! The real `wave` is traced. A call is compared, with its arguments, with the rules that this test derives by itself.
#![allow(unsafe_code, reason = "a tracer prepares its child between fork and exec, and reads a union of the kernel")]

mod run;
mod tracer;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::host::Host;
use crate::script::script;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use run::{Run, Traced, Used};
use tracer::{Call, Live, Tracer, text};
use wave_policy::{Access, ConnectPorts, Policy, Protocol, Role, Surface, SyscallRule, all_rules};
use wave_test_support::testsuite::programs;
use wave_test_support::{Mode, Outcome, source, wat};

/// What a kernel answers for a call that it will make again after a signal; no program ever sees it.
const ERESTARTNOHAND: i64 = -514;

/// Everything on files beneath a read-write grant.
const FILES: &str = r#"
    open 3 0 "file" 0 READ|WRITE|ALL
    fd_read [FD] {BUF 4} OUT
    fd_read [FD] {BUF 2, BUF+8 2} OUT
    fd_write [FD] {"one"} OUT
    fd_write [FD] {"one", "two"} OUT
    fd_pread [FD] {BUF 4} 0 OUT
    fd_pread [FD] {BUF 2, BUF+8 2} 0 OUT
    fd_pwrite [FD] {"one"} 0 OUT
    fd_pwrite [FD] {"one", "two"} 0 OUT
    fd_seek [FD] 0 SET OUT
    fd_tell [FD] OUT
    fd_advise [FD] 0 20 0
    fd_allocate [FD] 0 64
    fd_sync [FD]
    fd_datasync [FD]
    fd_filestat_get [FD] OUT
    fd_filestat_set_size [FD] 10
    fd_filestat_set_times [FD] 5 5 ATIM|MTIM
    fd_fdstat_get [FD] OUT
    fd_fdstat_set_flags [FD] APPEND
    fd_close [FD]
    fd_readdir 3 BUF 1000 0 OUT
    fd_readdir 3 BUF 1000 0 OUT
    path_filestat_get 3 0 "file" OUT
    path_filestat_get 3 FOLLOW "in_file" OUT
    path_filestat_get 3 0 "in_dir/file" OUT
    path_filestat_set_times 3 0 "file" 5 5 ATIM|MTIM
    path_filestat_set_times 3 FOLLOW "in_file" 5 5 ATIM|MTIM
    path_create_directory 3 "made"
    path_link 3 0 "file" 3 "made/link"
    path_symlink "link" 3 "made/symlink"
    path_readlink 3 "made/symlink" BUF 100 OUT
    path_rename 3 "made/link" 3 "moved"
    path_unlink_file 3 "moved"
    path_unlink_file 3 "made/symlink"
    path_remove_directory 3 "made"
    open 3 FOLLOW "in_file" 0 READ
    fd_prestat_get 3 OUT
    fd_prestat_dir_name 3 BUF 1
    clock_time_get MONOTONIC 0 CLOCK
    clock_res_get REALTIME CLOCK
    random_get BUF 16
    sched_yield
    args_sizes_get OUT OUT2
    args_get OUT BUF
    environ_sizes_get OUT OUT2
    environ_get OUT BUF
    fd_fdstat_set_rights 3 0 0
"#;

/// Says that it is there, and waits for standard input and for a moment that nobody waits for.
const POLL: &str = r#"(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (data (i32.const 0) "\10\00\00\00\01\00\00\00")
  (data (i32.const 16) "!")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store8 (i32.const 72) (i32.const 1))
    (i32.store (i32.const 128) (i32.const 1))
    (i64.store (i32.const 136) (i64.const 1000000000000))
    (if (call $poll (i32.const 64) (i32.const 256) (i32.const 2) (i32.const 8)) (then unreachable))))"#;

/// Asks for 40,000 moments at once, for which the runtime needs some megabytes.
const MANY: &str = r#"(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 64 64)
  (func (export "_start")
    (if (call $poll (i32.const 0) (i32.const 0x200000) (i32.const 40000) (i32.const 0x3ffff0)) (then unreachable))
    (if (i32.ne (i32.load (i32.const 0x3ffff0)) (i32.const 40000)) (then unreachable))))"#;

fn module(text: &str) -> Run {
    let (dir, path) = wat(text);
    Run::new(&path).keeping(dir)
}

/// An honest run, and what must come of it.
struct Honest {
    run: Run,
    check: Box<dyn Fn(&Traced)>,
}

impl Honest {
    fn new(run: Run, check: impl Fn(&Traced) + 'static) -> Self {
        Self { run, check: Box::new(check) }
    }

    /// The rules it needs.
    fn used(self) -> Used {
        let traced = self.run.trace();
        (self.check)(&traced);
        traced.used
    }
}

/// A guest in the language of scripts; it checks its results itself.
fn scripted(text: &str, prepare: impl FnOnce(Run) -> Run) -> Honest {
    let guest = script(text);
    let (dir, path) = guest.file();
    Honest::new(prepare(Run::new(&path).keeping(dir)), move |traced| {
        guest.check(&traced.outcome);
    })
}

fn files(mode: Mode) -> Honest {
    let host = Host::with_links();
    scripted(FILES, |run| run.mode(mode).grant(&host.path("grant"), Access::ReadWrite).keeping(host))
}

/// Beneath a broad read-only grant another file system begins, on which nothing is shown.
fn another_file_system() -> Honest {
    let text = "path_filestat_get 3 0 \"proc\" OUT = NOTCAPABLE\n path_filestat_get 3 0 \"etc\" OUT";
    scripted(text, |run| run.grant(Path::new("/"), Access::ReadOnly))
}

fn streams() -> Honest {
    scripted("fd_read 0 {BUF 10} OUT\n fd_read 0 {BUF 1, BUF+8 1} OUT\n fd_write 1 {\"\", \"\"} OUT", |run| run)
}

/// A trap is a signal, whose handler returns, and a message.
fn trap() -> Honest {
    let run = module(r#"(module (func $f (export "_start") unreachable))"#);
    Honest::new(run, |traced| traced.outcome.is_trap("unreachable", &["f"]))
}

fn results() -> Honest {
    let run = module(r#"(module (func (export "f") (result i32) (i32.const 7)))"#).invoke("f");
    Honest::new(run, |traced| traced.outcome.is(0, "7\n", ""))
}

fn records() -> Honest {
    let yields = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "_start") (drop (call $yield))))"#;
    Honest::new(module(yields).trace_file(), |traced| traced.outcome.is(0, "", ""))
}

fn dump() -> Honest {
    let run = module(r#"(module (memory 1) (func $f (export "_start") unreachable))"#).coredump();
    Honest::new(run, |traced| traced.outcome.is_trap("unreachable", &["f"]))
}

fn growth() -> Honest {
    let grows = r#"(module (memory 0 100) (func (export "_start")
        (if (i32.ne (memory.grow (i32.const 3)) (i32.const 0)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 97)) (i32.const 3)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (i32.store (i32.const 6553596) (i32.const 1))))"#;
    Honest::new(module(grows), |traced| traced.outcome.is(0, "", ""))
}

/// The runtime's own heap: by `brk`, or by `mmap` where that is not to be had.
fn heap(brk: bool) -> Honest {
    let run = module(MANY).flag("--max-subscriptions", "65536");
    let run = if brk { run } else { run.traced_with(Tracer::without_heap) };
    Honest::new(run, move |traced| {
        traced.outcome.is(0, "", "");
        let grown: Vec<_> = traced.calls("brk").map(|call| call.result).collect();
        assert_eq!(grown.is_empty(), !brk && traced.calls("mmap").next().is_none(), "{grown:x?}");
    })
}

/// Without a vDSO the two clocks are system calls.
fn clocks() -> Honest {
    let text = "clock_time_get REALTIME 0 CLOCK\n clock_time_get MONOTONIC 0 CLOCK\n clock_res_get MONOTONIC CLOCK";
    scripted(text, |run| run.traced_with(Tracer::without_vdso))
}

/// A module without imports that sleeps on its shared memory.
fn wait() -> Honest {
    let run = module(
        r#"(module
            (memory (export "memory") 1 1 shared)
            (func (export "_start")
                (if (i32.ne (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 1000000)) (i32.const 2))
                    (then unreachable))))"#,
    );
    Honest::new(run.shared().traced_with(Tracer::without_vdso), |traced| {
        traced.outcome.is(0, "", "");
        for call in ["ppoll", "clock_gettime"] {
            assert!(traced.calls(call).count() > 0, "no {call}");
        }
    })
}

/// A sleep that is stopped and continued again and again goes on by the same call.
fn stopped_sleep() -> Honest {
    let run = module(POLL).traced_with(|tracer| tracer.attended(stop_and_continue));
    Honest::new(run, |traced| {
        traced.outcome.is(0, "!", "");
        assert!(traced.calls("ppoll").any(|call| call.result == Some(ERESTARTNOHAND)), "no sleep was interrupted");
    })
}

/// Once it has said something, whenever it is asleep; then its input ends.
fn stop_and_continue(live: Live) -> (String, String) {
    let Live { id, stdin, mut stdout, stderr } = live;
    let id = Pid::from_raw(i32::try_from(id).expect("a process id"));
    let mut ready = [0];
    stdout.read_exact(&mut ready).expect("it says that it is ready");
    let (rest, stderr) = thread::scope(|scope| {
        let rest = scope.spawn(|| text(stdout));
        let status = format!("/proc/{id}/status");
        let is_asleep = || std::fs::read_to_string(&status).is_ok_and(|status| status.contains("\nState:\tS"));
        for _ in 0..5 {
            while !rest.is_finished() && !is_asleep() {
                thread::sleep(Duration::from_millis(1));
            }
            for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
                // It may have ended just now.
                kill(id, signal).ok();
                thread::sleep(Duration::from_millis(10));
            }
        }
        drop(stdin);
        (rest.join().expect("the reader does not panic"), text(stderr))
    });
    (String::from_utf8_lossy(&ready).into_owned() + &rest, stderr)
}

fn server() -> Honest {
    let run = Run::new(&source("examples/echo.wat")).listener();
    Honest::new(run.traced_with(|tracer| tracer.attended(be_served)), |traced| {
        let Outcome { status, stdout, stderr } = &traced.outcome;
        assert_eq!((status.code(), &**stdout), (Some(0), ""), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "where it listens, and nothing else: {stderr}");
    })
}

/// Connects twice; the second connection tells the server to end.
fn be_served(live: Live) -> (String, String) {
    let Live { stdin, stdout, stderr, .. } = live;
    drop(stdin);
    let mut stderr = BufReader::new(stderr);
    let mut said = String::new();
    stderr.read_line(&mut said).expect("it says where it listens");
    let address = said.trim().strip_prefix("wave: listening on ").expect("it says where it listens").to_owned();
    for request in ["hello", "q"] {
        if let Err(error) = is_echoed(&address, request) {
            said += &format!("{request}: {error}\n");
            break;
        }
    }
    (text(stdout), said + &text(stderr))
}

fn is_echoed(address: &str, request: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0; request.len()];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, request.as_bytes());
    Ok(())
}

/// Whether this machine lets a module be compiled by several threads.
fn has_threads() -> bool {
    let one = thread::available_parallelism().map_or(1, usize::from) == 1;
    if one {
        wave_test_support::not_run("with one processor nothing is compiled by several threads");
    }
    !one
}

/// A module that is compiled by two threads: two functions of one size.
fn large_module() -> Run {
    let body = "(local.set 0 (i32.add (local.get 0) (i32.mul (local.get 0) (i32.const 77777))))".repeat(6000);
    let functions = format!("(func (param i32) (result i32) {body} (local.get 0))").repeat(2);
    module(&format!("(module {functions} (func (export \"_start\")))"))
}

/// The process that reads and compiles, with threads of its own for a module of this size.
fn compiler() -> Used {
    // The one that made the other waits for it, unless it has the longer way itself: as luck has it.
    let mut used = compiled();
    for _ in 0..20 {
        if used.contains("futex_wait_bitset") {
            break;
        }
        used.append(&mut compiled());
    }
    used
}

fn compiled() -> Used {
    let trace = large_module().traced_with(Tracer::with_children).trace();
    trace.outcome.is(0, "", "");
    let policy = Policy { role: Role::Compiler, ..Policy::default() };
    // A thread has the filter of the process that makes it. Those without one verify the code, before the seal.
    let sealed: Vec<_> = trace.children.iter().filter(|child| child.filters > 0).collect();
    assert!(sealed.iter().all(|child| child.filters == 1));
    let [worker, threads @ ..] = &*sealed else { panic!("no child") };
    let of_worker = run::after_self_test(worker.calls.clone());
    // The two calls that this filter answers itself, so that the C library goes another way.
    let is_answered = |call: &&Call| {
        let answers = [("clone3", libc::ENOSYS), ("openat", libc::EACCES)];
        let name = wave_sandbox::call_name(call.number);
        answers.iter().any(|(call_name, errno)| name == Some(call_name) && call.result == Some(-i64::from(*errno)))
    };
    [&of_worker].into_iter().chain(threads.iter().map(|thread| &thread.calls)).fold(Used::new(), |mut used, calls| {
        let wrong = run::not_derived(&policy, &[], calls).filter(|call| !is_answered(call));
        assert_eq!(wrong.map(run::describe).collect::<Vec<_>>(), [""; 0]);
        used.append(&mut run::used(&policy, &[], calls));
        used
    })
}

/// Makes a run anew, by its name.
type Guest = (&'static str, fn() -> Honest);

/// Guests that between them need every rule of a guest's filter.
const GUESTS: &[Guest] = &[
    ("files", || files(Mode::Normal)),
    ("files, resolved by wave", || files(Mode::ManualResolver)),
    ("another file system", another_file_system),
    ("streams", streams),
    ("trap", trap),
    ("results", results),
    ("records", records),
    ("dump", dump),
    ("growth", growth),
    ("heap", || heap(true)),
    ("heap by mmap", || heap(false)),
    ("clocks", clocks),
    ("stopped sleep", stopped_sleep),
    ("wait", wait),
    ("server", server),
];

/// The ids of the rules that are needed on this kernel and with this glibc: the others say where. Those that only a broker has, and
/// those for asking one, are tried in `sandbox/tests/seal/broker.rs`.
fn needed_here() -> impl Iterator<Item = &'static str> {
    let broker = Policy { role: Role::Broker, ..Policy::default() };
    let ports = ConnectPorts { protocol: Protocol::Tcp, first: 443, last: 443 };
    let surface = Surface::default().with_connections(true);
    let connecting = Policy { surface, connections: vec![ports], ..Policy::default() };
    let tried_there: BTreeSet<_> = broker.rules(false).chain(connecting.rules(false)).map(|rule| rule.id).collect();
    // Of these, a guest without connections needs some, too.
    let others = Policy { surface: Surface::of_functions(["fd_close", "poll_oneoff"]), ..Policy::default() };
    let needed_here: BTreeSet<_> = others.rules(false).map(|rule| rule.id).collect();
    let is_left = move |id: &&str| needed_here.contains(id) || !tried_there.contains(id);
    all_rules().iter().filter(|rule| rule.elsewhere.is_none()).map(|rule| rule.id).filter(is_left)
}

/// T84, T85: each of these runs makes no call but those that follow from its imports and grants, and together they use every
/// rule but those that only another kernel or glibc needs, which say so. A rule that is named here is needed by nothing: take
/// it out of `policies/syscalls.toml`, or add the run that needs it.
///
/// Then each rule is taken out of the filter, and the run that needed it ends at the call: 159, with its name.
#[test]
fn every_rule_is_needed_by_an_honest_run() {
    let mut used = BTreeSet::new();
    for (name, guest) in GUESTS {
        for id in guest().used() {
            if used.insert(id) {
                ends_without(id, name, &guest().run.without("guest", id));
            }
        }
    }
    if !has_threads() {
        return;
    }
    used.append(&mut compiler());
    let unused: Vec<_> = needed_here().filter(|id| !used.contains(id)).collect();
    assert!(unused.is_empty(), "rules that no run uses: {unused:?}");
}

fn rule(id: &str) -> &'static SyscallRule {
    all_rules().iter().find(|rule| rule.id == id).expect("a rule")
}

/// A guest's process whose filter lacks a rule is ended at the call.
#[track_caller]
fn ends_without(id: &str, program: &str, outcome: &Outcome) {
    let said = outcome.stderr.contains(&format!("wave: denied system call {} (", rule(id).call));
    // Without the calls of its last words, it is the kernel that ends it.
    let (message, status) = match id {
        "write_message" => (false, (None, Some(libc::SIGSYS))),
        "exit_group" => (true, (None, Some(libc::SIGSYS))),
        _ => (true, (Some(159), None)),
    };
    let ended = (outcome.status.code(), outcome.status.signal());
    assert_eq!((said, ended), (message, status), "`{program}` without the rule `{id}`: {outcome:?}");
}

/// The same for the process that compiles: without any of its rules it ends at the call, and no guest starts.
#[test]
fn every_rule_of_the_compiler_is_needed() {
    if !has_threads() {
        return;
    }
    for id in compiler() {
        // Who waits for whom is a matter of luck, and so is whether the process is at its own end before it is ended.
        let is_needed = (0..50).any(|_| ends_compiling_without(id));
        // One that says so may have been needed only in the run before.
        assert!(is_needed || rule(id).elsewhere.is_some(), "nothing needed the rule `{id}`");
    }
}

/// Whether the process that compiles came to the call that this rule permits, and ended there.
fn ends_compiling_without(id: &str) -> bool {
    let outcome = large_module().without("compiler", id);
    let Outcome { status, stdout, stderr } = &outcome;
    let named = stderr.starts_with(&format!("wave: denied system call {} (", rule(id).call));
    if status.code() == Some(0) {
        // Its end comes when everything is said.
        let by_luck = id.starts_with("futex") || id == "exit_group";
        assert!(by_luck && (named || stderr.is_empty()), "without `{id}`: {outcome:?}");
        return named;
    }
    // Where it has blocked signals, the kernel ends it without a message.
    let why = if named { "it made a system call that is refused to it" } else { "signal 31" };
    let said = stderr.contains(&format!("wave: the compiler stopped: {why}\n"));
    assert_eq!((status.code(), &**stdout, said), (Some(125), "", true), "without `{id}`: {outcome:?}");
    true
}

/// For each right of Landlock a call that needs it, after a call that prepares it, and the answer without.
///
/// A file that is moved to where it would gain rights is on another file system, says Landlock (landlock(7)).
const RIGHTS: &[(&str, &str, &str, &str)] = &[
    ("read_file", "", r#"open 3 0 "file" 0 READ"#, "ACCES"),
    ("read_dir", "", r#"open 3 0 "dir" DIRECTORY READDIR"#, "ACCES"),
    ("write_file", "", r#"path_open 3 0 "file" 0 WRITE 0 APPEND FD"#, "ACCES"),
    ("make_reg", "", r#"path_open 3 0 "new" CREAT WRITE 0 APPEND FD"#, "ACCES"),
    ("make_dir", "", r#"path_create_directory 3 "made""#, "ACCES"),
    ("truncate", "", r#"open 3 0 "file" TRUNC WRITE"#, "ACCES"),
    ("remove_file", "", r#"path_unlink_file 3 "file""#, "ACCES"),
    ("remove_dir", r#"path_create_directory 3 "made""#, r#"path_remove_directory 3 "made""#, "ACCES"),
    ("make_sym", "", r#"path_symlink "file" 3 "link""#, "ACCES"),
    ("refer", "", r#"path_rename 3 "file" 3 "dir/moved""#, "XDEV"),
];

/// T84: each right that an access gives in Landlock is needed by a call which the monitor admits: without it the same call fails.
#[test]
fn every_right_is_needed_by_an_honest_call() {
    for access in [Access::ReadOnly, Access::Append, Access::ReadWrite] {
        for name in access.landlock_rights() {
            let (_, before, call, refused) = RIGHTS.iter().find(|(right, ..)| right == name).expect("a call for each");
            for (right, errno) in [(None, "SUCCESS"), (Some(name), *refused)] {
                let host = Host::new();
                let guest = script(format!("{before}\n{call} = {errno}"));
                let (dir, path) = guest.file();
                let run = Run::new(&path).keeping(dir).grant(&host.path("grant"), access);
                let outcome = match right {
                    None => run.trace().outcome,
                    Some(right) => run.without("landlock", right),
                };
                guest.check(&outcome);
            }
        }
    }
}

/// T85: the programs of the official suite, with the imports that real compilers give them.
#[test]
fn programs_of_the_wasi_testsuite_make_no_other_call() {
    for language in ["assemblyscript", "c", "rust"] {
        let Some(programs) = programs(language) else { return };
        for (mode, program) in Mode::ALL.iter().flat_map(|mode| programs.iter().map(move |program| (*mode, program))) {
            let root = wave_test_support::writable_dir();
            let mut run = Run::new(&program.path).mode(mode);
            if let Some(from) = &program.root {
                wave_test_support::copy_for_guest(from, root.path());
                run = run.grant(root.path(), Access::ReadWrite);
            }
            let trace = run.env_and_args(&program.env, &program.args).trace();
            assert_eq!(program.differs(&trace.outcome), None, "{} ({mode:?})", program.path.display());
        }
    }
}

/// The tracer sees what it should: a run with a call that is not derived fails, and children are seen if they are followed.
#[test]
fn the_tracer_sees_calls_and_children() {
    let (_dir, path) = wat(r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "_start") (drop (call $yield))))"#);
    let trace = Run::new(&path).trace();
    assert_eq!(trace.calls("sched_yield").map(|call| call.result).collect::<Vec<_>>(), [Some(0)]);
    assert!(trace.used.contains("sched_yield"));

    // As if the module did not import the function.
    let narrower = wave_policy::Policy::default();
    let wrong: Vec<_> = run::not_derived(&narrower, &[], &trace.all).map(|call| call.number).collect();
    assert_eq!(wrong, [usize::try_from(libc::SYS_sched_yield).unwrap()]);

    // A shell that starts `wave` is not sealed, its child is.
    let wave = wave_test_support::Wave::strict().by_shell(r#""$@"; exit "$?""#).command(&path);
    let trace = tracer::Tracer::new(wave).with_children().trace();
    trace.outcome.is(0, "", "");
    assert_eq!(trace.main.filters, 0);
    let sealed: Vec<_> = trace.children.iter().filter(|child| child.filters > 0).collect();
    let [child, _compiler] = *sealed else { panic!("{} sealed children", sealed.len()) };
    assert!(child.before.len() > 20);
    assert!(child.calls.iter().any(|call| call.number == usize::try_from(libc::SYS_sched_yield).unwrap()));
}

/// T98: segments are copied and start functions run after the last step of the seal.
#[test]
fn t98_the_start_function_runs_after_the_seal() {
    let run = module(
        r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "\20\00\00\00\03\00\00\00")
      (data (i32.const 32) "ran")
      (func $start (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 40))))
      (start $start)
      (func (export "_start")))"#,
    );
    let trace = run.trace();
    trace.outcome.is(0, "ran", "");
    let calls: Vec<_> = trace.all.iter().filter_map(|call| wave_sandbox::call_name(call.number)).collect();
    assert_eq!(calls, ["write", "exit_group"], "what is left to do after the seal");
}

/// T116: where the vDSO has a generator (Linux 6.11), a thousand calls of the guest take a key from the kernel, and another one if the
/// kernel changes its own meanwhile. Elsewhere each of them is a system call.
#[test]
fn t116_random_bytes_take_a_key_from_the_kernel() {
    let calls = |prepare: fn(Tracer) -> Tracer| {
        let run = module(
            r#"(module
              (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
              (memory (export "memory") 1)
              (func (export "_start") (local $at i32)
                (loop $again
                  (if (call $random (local.get $at) (i32.const 16)) (then unreachable))
                  (local.set $at (i32.add (local.get $at) (i32.const 16)))
                  (br_if $again (i32.lt_u (local.get $at) (i32.const 16000))))))"#,
        );
        let trace = run.traced_with(prepare).trace();
        trace.outcome.is(0, "", "");
        trace.calls("getrandom").map(|call| (call.arguments[1..3].to_vec(), call.result)).collect::<Vec<_>>()
    };
    assert_eq!(calls(Tracer::without_vdso), vec![(vec![16, 0], Some(16)); 1000]);

    let kernel = nix::sys::utsname::uname().expect("a kernel has a name");
    let release = kernel.release().to_string_lossy();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|number| number.parse().ok());
    if (numbers.next(), numbers.next()) < (Some(6), Some(11)) {
        wave_test_support::cannot_run(&format!("the vDSO of Linux {release} has no getrandom"));
        return;
    }
    let keys = calls(|tracer| tracer);
    assert!([1, 2].contains(&keys.len()), "{keys:?}");
    assert!(keys.iter().all(|key| *key == (vec![32, 0], Some(32))), "{keys:?}");
}
