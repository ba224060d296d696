//! Parents that end, children from before, and what the kernel notes of a process.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Start, guest, wave};
use wave_test_support::user::User;
use wave_test_support::{as_root, writable_dir};

/// A run of the guest that echoes, whose parent can be killed; it shares that one's streams.
struct Orphan {
    parent: Child,
    out: BufReader<ChildStdout>,
}

impl Orphan {
    fn start(user: User, args: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec 3<&0; "$@" <&3 & wait"#, "sh"]).arg(wave()).args(args).arg(guest("echo"));
        command.env("XDG_CACHE_HOME", "/dev/null").current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        user.runs(&mut command);
        let mut parent = command.spawn().expect("sh starts");
        let mut orphan = Self { out: BufReader::new(parent.stdout.take().expect("stdout is piped")), parent };
        assert_eq!(orphan.line(), "here\n", "{args:?}");
        orphan
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a pipe");
        line
    }

    fn kill_parent(&mut self) {
        kill(Pid::from_raw(self.parent.id().cast_signed()), Signal::SIGKILL).expect("own child");
        // Its streams stay open for the other.
        let stdin = self.parent.stdin.take();
        self.parent.wait().expect("own child");
        self.parent.stdin = stdin;
    }
}

/// With --die-with-parent a guest ends with whoever started it, also after the ids have changed, which makes the kernel forget.
/// Without, it goes on.
#[test]
fn t129_a_guest_ends_with_the_parent_if_it_was_asked_for() {
    for &user in User::available() {
        let place = writable_dir();
        let policy = place.path().join("learned.toml");
        let policy = policy.to_str().expect("UTF-8");
        for args in [
            &["--sandbox", "strict", "run"][..],
            &["--sandbox", "standard", "run"],
            &["--sandbox", "off", "run"],
            &["--sandbox", "strict", "learn", "-o", policy],
        ] {
            let mut with = Orphan::start(user, &[args, &["--die-with-parent"]].concat());
            with.kill_parent();
            // The end of the output is the end of the last process that has it.
            assert_eq!(with.line(), "", "{user:?} {args:?}");

            let mut without = Orphan::start(user, args);
            without.kill_parent();
            without.parent.stdin.as_mut().expect("stdin is piped").write_all(b"still\n").expect("it reads");
            assert_eq!(without.line(), "still\n", "{user:?} {args:?}");
            drop(without.parent.stdin.take());
            assert_eq!(without.line(), "", "{user:?} {args:?}");
        }
    }
}

/// A supervisor that asked for the same before it executed `wave` gets it, too.
#[test]
fn t129_a_death_signal_from_before_is_kept() {
    for &user in User::available() {
        // One that starts `wave`, tells its number and waits.
        let script = "
child = os.fork()
if child:
    print(child, flush=True)
    time.sleep(600)
prctl(1, signal.SIGTERM)";
        let start = Start::after(script).user(user).args(&["run"]).guest("echo");
        let mut parent = start.spawn();
        let mut out = BufReader::new(parent.stdout.take().expect("stdout is piped"));
        let mut line = || {
            let mut line = String::new();
            out.read_line(&mut line).expect("a pipe");
            line
        };
        assert!(line().trim().parse::<u32>().is_ok());
        assert_eq!(line(), "here\n");
        let stdin = parent.stdin.take();
        parent.kill().expect("own child");
        parent.wait().expect("own child");
        assert_eq!(line(), "", "{user:?}");
        drop(stdin);
    }
}

/// Children that the process had before it executed `wave` are not taken for its own.
#[test]
fn t129_children_from_before_are_nobodys_worker() {
    let script = "
for seconds in (0, 0.05, 0.5, 30):
    if os.fork() == 0:
        os.close(0); os.close(1); os.close(2)
        os.execv('/bin/sleep', ['sleep', str(seconds)])";
    for level in ["strict", "standard", "off"] {
        Start::after(script).args(&["--sandbox", level, "run"]).guest("hello").end().is_hello(level);
    }
    let place = writable_dir();
    let policy = place.path().join("learned.toml");
    let learn = Start::after(script).args(&["learn", "-o", policy.to_str().expect("UTF-8")]).guest("hello").end();
    learn.is_hello("learn");
    assert!(policy.exists());
}

/// What else the kernel hands on to a program that is executed: a run goes as ever, and the seal is whole.
#[test]
fn t129_attributes_of_the_parent_change_no_run() {
    let mut scripts = vec![
        ("no_new_privs", "prctl(38, 1)"),
        ("child subreaper", "prctl(36, 1)"),
        ("timer slack", "prctl(29, 10**10)"),
        ("no huge pages", "prctl(41, 1)"),
        ("not dumpable", "prctl(4, 0)"),
        ("speculation", "libc.prctl(53, 0, 4, 0, 0)"),
        ("kill early", "libc.prctl(33, 1, 1, 0, 0)"),
        ("nice", "os.nice(19)"),
        ("batch", "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"),
        ("idle", "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"),
        ("one processor", "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"),
        ("io priority", "assert libc.syscall(251, 1, 0, 3 << 13) == 0"),
        ("memory policy", "libc.syscall(238, 1, ctypes.byref(ctypes.c_ulong(1)), 64)"),
        ("out-of-memory score", "open('/proc/self/oom_score_adj', 'w').write('1000')"),
        ("core dumps of everything", "open('/proc/self/coredump_filter', 'w').write('0x1ff')"),
        ("new session", "os.fork() and (os.wait(), os._exit(0)); os.setsid()"),
        ("new process group", "os.setpgid(0, 0)"),
        ("session keyring", "libc.syscall(250, 1, b'inherited')"),
        ("core limit", "resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)"),
        (
            "stack limit",
            "resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))",
        ),
        ("no input", "os.close(0)"),
        ("input not waited for", "os.set_blocking(0, False)"),
        (
            "descriptors of the parent",
            "[os.dup2(0, n) for n in range(10, 200)]; [os.set_inheritable(n, True) for n in range(10, 200)]",
        ),
    ];
    if as_root() {
        scripts.extend([
            ("capabilities that no change of ids takes", "prctl(28, 0x4)"),
            ("the same, for good", "prctl(28, 0xc)"),
            ("capabilities that are kept", "prctl(28, 0x30)"),
            ("no ambient capabilities", "prctl(28, 0xc0)"),
            ("bounding set", "[prctl(24, n) for n in (0, 1, 2, 12, 19, 21)]"),
            ("real time", "os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"),
            ("supplementary groups", "os.setgroups([0, 1, 2, 3])"),
            ("other real user", "os.setresuid(65534, 0, 0)"),
        ]);
    }
    for (what, script) in scripts {
        let run = Start::after(script).args(&["--sandbox", "strict", "run"]).guest("hello").end();
        let refused = match what {
            // The kernel itself marks such a start; whose rights these are is not clear, so nothing runs.
            "other real user" => "wave: this program gives any user who starts it the rights of another user",
            // Nobody can lock the bits as the seal does.
            "the same, for good" => "the layer `bounding`: the kernel refused prctl(PR_SET_SECUREBITS)",
            _ => {
                run.is_hello(what);
                continue;
            }
        };
        assert_eq!((run.status.code(), &*run.stdout), (Some(125), ""), "{what}: {run:?}");
        assert!(run.stderr.contains(refused), "{what}: {run:?}");
    }
}

/// Memory that may not become executable by the parent's word: said, not run with less.
#[test]
fn t129_a_parent_that_refuses_executable_memory_is_heeded() {
    let run = Start::after("libc.prctl(65, 1, 0, 0, 0) == 0 or os._exit(99)").args(&["run"]).guest("hello").end();
    // Kernels before 6.3 do not have it.
    if run.status.code() != Some(99) {
        assert_eq!((run.status.code(), &*run.stdout), (Some(125), ""), "{run:?}");
        assert!(run.stderr.starts_with("wave: cannot map code: "), "{run:?}");
    }
}

/// A sleep of the guest, and the limit on time, are as exact as ever.
#[test]
fn t129_timer_slack_delays_nothing() {
    // 100 s.
    let script = "prctl(29, 10**11)";
    let begin = Instant::now();
    let slept = Start::after(script).args(&["run"]).guest("sleep").end();
    assert_eq!(slept.status.code(), Some(0), "{slept:?}");
    assert!(begin.elapsed() < Duration::from_secs(60));
}

/// The values that the seal leaves do not depend on the parent's.
#[test]
fn t129_what_a_guest_runs_with_is_the_same_for_every_parent() {
    let script = "
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
prctl(36, 1)
prctl(1, 15)
os.set_blocking(0, True)";
    let seen = |script: &str| {
        let talk = Start::after(script).args(&["run"]).talk();
        let status = ["NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapAmb", "Umask", "Threads"];
        let status = status.map(|key| talk.status(key));
        let limits = fs::read_to_string(format!("/proc/{}/limits", talk.child.id())).expect("it is there");
        let lines = ["Max core file size", "Max processes", "Max locked memory", "Max msgqueue size"];
        let of = |name: &&str| limits.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        let limits: Vec<_> = lines.iter().map(of).collect();
        talk.ends();
        (status, limits)
    };
    let usual = seen("os.umask(0o022)");
    assert_eq!(usual.0[0], "1");
    assert_eq!(usual.0[6], "0022");
    assert_eq!(seen(&format!("os.umask(0)\n{script}")), usual);
}
