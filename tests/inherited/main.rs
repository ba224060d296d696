//! What a parent leaves behind decides nothing (T129). `docs/inherited.md` names a test for each thing that a process inherits.
//!
//! Each parent is a process of its own: a Python that does what the test says and then executes `wave` in its place. Run as root,
//! most runs are made as root and as user 65534.

mod cache;
mod environment;
mod memory;
mod processes;
mod rights;
mod signals;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;
use wave_test_support::user::User;
use wave_test_support::{Outcome, finish, open_to_all};

/// Each guest is called by its name in here.
const GUESTS: [(&str, &str); 9] = [
    ("hello", include_str!("hello.wat")),
    // Prints a line, then each line that it reads, until there is none.
    ("echo", include_str!("echo.wat")),
    ("loop", r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#),
    ("unreachable", r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#),
    (
        "bounds",
        r#"(module (memory (export "memory") 1) (func (export "_start") (drop (i32.load (i32.const 0x7fffffff)))))"#,
    ),
    (
        "divide",
        r#"(module (memory (export "memory") 1)
             (func $f (param i32) (drop (i32.div_u (i32.const 1) (local.get 0))))
             (func (export "_start") (call $f (i32.const 0))))"#,
    ),
    (
        "deep",
        r#"(module (memory (export "memory") 1)
             (func $f (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
             (func (export "_start") (drop (call $f (i32.const 0)))))"#,
    ),
    // Waits for 300 ms of the clock.
    ("sleep", include_str!("sleep.wat")),
    // Makes the file `made` in the first granted directory; exits with the error number.
    (
        "make",
        r#"(module
             (import "wasi_snapshot_preview1" "path_open"
               (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "made")
             (data (i32.const 8) "made.d")
             (func (export "_start") (local $errno i32)
               (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
                 (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))
               (if (local.get $errno) (then (call $exit (local.get $errno))))
               (call $exit (call $mkdir (i32.const 3) (i32.const 8) (i32.const 6)))))"#,
    ),
];

/// `wave` and the guests, where every user can reach them.
static PLACE: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    open_to_all(dir.path());
    // Copied by another process: a child that another test starts meanwhile would keep the copy open for writing.
    let copy = Command::new("cp").args([env!("CARGO_BIN_EXE_wave").as_ref(), dir.path()]).status();
    assert!(copy.expect("cp starts").success());
    for (name, text) in GUESTS {
        fs::write(dir.path().join(name).with_extension("wat"), text).expect("own directory");
    }
    dir
});

fn wave() -> PathBuf {
    PLACE.path().join("wave")
}

fn guest(name: &str) -> PathBuf {
    PLACE.path().join(name).with_extension("wat")
}

/// A process that does `script` and then executes what follows in its place. It starts from the usual signals: who runs the tests may
/// ignore some, as `nohup` and shells without job control do, and `wave` leaves those ignored.
fn parent(script: &str) -> Command {
    const BEFORE: &str = "
import ctypes, fcntl, os, resource, signal, sys, tempfile, time
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
    signal.signal(number, signal.SIG_DFL)
libc = ctypes.CDLL(None, use_errno=True)
def prctl(*numbers):
    assert libc.prctl(*[ctypes.c_ulong(number) for number in numbers + (0,) * (5 - len(numbers))]) == 0, ctypes.get_errno()
";
    let mut command = Command::new("python3");
    command.args(["-c", &format!("{BEFORE}\n{script}\nos.execv(sys.argv[1], sys.argv[1:])")]);
    command
}

/// A run of `wave` that a command leads to.
struct Start {
    command: Command,
}

impl Start {
    /// By a parent that does `script` first.
    fn after(script: &str) -> Self {
        Self::by(parent(script))
    }

    /// By a command that ends where `wave` begins.
    fn by(mut command: Command) -> Self {
        command.arg(wave()).current_dir("/").env("XDG_CACHE_HOME", "/dev/null");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// Directly.
    fn directly() -> Self {
        let mut command = Command::new("env");
        command.arg("--");
        Self::by(command)
    }

    fn user(mut self, user: User) -> Self {
        user.runs(&mut self.command);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    fn guest(mut self, name: &str) -> Self {
        self.command.arg(guest(name));
        self
    }

    fn spawn(mut self) -> Child {
        self.command.spawn().expect("it starts")
    }

    fn end(mut self) -> Outcome {
        self.command.stdin(Stdio::null());
        finish(self.spawn())
    }

    /// Starts the guest that echoes.
    fn talk(self) -> Talk {
        let mut child = self.guest("echo").spawn();
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut talk = Talk { child, out };
        assert_eq!(talk.line(), "here\n", "{:?}", talk.child);
        talk
    }
}

/// A guest that echoes lines, in the middle of it.
struct Talk {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Talk {
    /// The next line; nothing at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a pipe");
        line
    }

    /// Whether it answers.
    #[track_caller]
    fn answers(&mut self) {
        self.child.stdin.as_mut().expect("stdin is piped").write_all(b"again\n").expect("it reads");
        assert_eq!(self.line(), "again\n");
    }

    /// Ends its input; it must end well.
    #[track_caller]
    fn ends(mut self) {
        drop(self.child.stdin.take());
        assert_eq!(self.line(), "");
        assert_eq!(self.child.wait().expect("own child").code(), Some(0));
    }

    /// A line of what the kernel says of the process.
    fn status(&self, key: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is there");
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().to_owned()
    }
}
