//! What a person sees on a terminal, and what a program gets that reads `wave`'s output instead.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};
use tempfile::TempDir;

const ERASE: &str = "\r\x1b[K";

fn wave(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(args).stdin(Stdio::null()).current_dir(env!("CARGO_MANIFEST_DIR"));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "HOME", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm");
    command
}

/// What a terminal gets, as it was written, and the exit code.
fn on_terminal(mut command: Command) -> (String, Option<i32>) {
    let pty = openpty(None, None).expect("a pseudo terminal");
    let mut settings = tcgetattr(&pty.slave).expect("a terminal");
    settings.output_flags.remove(OutputFlags::OPOST);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &settings).expect("a terminal");
    let slave = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
    let mut child = command.stdout(slave()).stderr(slave()).spawn().expect("it starts");
    // It closes its copies of the terminal.
    drop((command, pty.slave));
    let master = pty.master;
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        // EIO says that the last process with the other end is gone.
        File::from(master).read_to_end(&mut seen).ok();
        seen
    });
    let code = child.wait().expect("a child").code();
    (String::from_utf8(reader.join().expect("no panic")).expect("text"), code)
}

/// Standard output, standard error and the exit code without a terminal.
fn piped(mut command: Command) -> (String, String, Option<i32>) {
    let output = command.output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// How long it takes to compile a module.
fn compiling(path: &str) -> Duration {
    let started = Instant::now();
    assert_eq!(piped(wave(&["compile", "--discard", path])).2, Some(0));
    started.elapsed()
}

/// A program that prints `hello`, and takes a while to compile and verify.
fn slow_program() -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("slow.wat").to_str().expect("text").to_owned();
    let body = "i32.const 3 i32.mul i32.const 5 i32.add i32.load ".repeat(30);
    let mut functions = 1000;
    loop {
        let function = format!("(func (param i32) (result i32) local.get 0 {body})\n");
        let module = format!(
            r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
            (func (export "_start")
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))) {})"#,
            function.repeat(functions)
        );
        fs::write(&path, module).expect("own directory");
        // Twice, so that nothing else that this machine does makes it slow.
        if (0..2).all(|_| compiling(&path) > Duration::from_millis(1200)) {
            return (dir, path);
        }
        functions *= 2;
    }
}

/// On a terminal, long work has a line that is gone before anything else is printed. Elsewhere, or if nobody wants it, there is none.
#[test]
fn long_work_says_how_far_it_is() {
    let (dir, path) = slow_program();
    let output = dir.path().join("slow.wave");
    let output = output.to_str().expect("text");
    let run = ["run", "--no-cache", &path];
    let (seen, code) = on_terminal(wave(&run));
    assert_eq!(code, Some(0), "{seen:?}");
    let (progress, rest) = seen.rsplit_once(ERASE).unwrap_or_else(|| panic!("a line is erased: {seen:?}"));
    assert_eq!(rest, "hello\n");
    let lines: Vec<_> = progress.split(ERASE).skip(1).collect();
    assert!(lines.iter().any(|line| line.starts_with("wave: compiled ") && line.ends_with(" functions")), "{lines:?}");
    for line in &lines {
        let known = ["wave: reading the module", "wave: compil", "wave: verified "];
        assert!(known.iter().any(|start| line.starts_with(start)) && !line.contains('\n'), "{lines:?}");
    }
    for (args, end) in [(&["verify", &path][..], "verified:       yes\n"), (&["compile", "-o", output, &path], "")] {
        let (seen, code) = on_terminal(wave(args));
        let (progress, rest) = seen.rsplit_once(ERASE).unwrap_or_else(|| panic!("a line is erased: {seen:?}"));
        assert!(progress.contains("wave: compiled ") && rest.starts_with(end), "{args:?}: {seen:?}");
        assert_eq!((code, rest.is_empty()), (Some(0), end.is_empty()), "{args:?}: {seen:?}");
    }
    // Nobody sees it, or wants it.
    assert_eq!(piped(wave(&run)), ("hello\n".to_owned(), String::new(), Some(0)));
    assert_eq!(on_terminal(wave(&["--quiet", "run", "--no-cache", &path])).0, "hello\n");
    let mut dumb = wave(&run);
    dumb.env("TERM", "dumb");
    assert_eq!(on_terminal(dumb).0, "hello\n");
}

#[test]
fn short_work_has_no_line() {
    let (seen, code) = on_terminal(wave(&["run", "--no-cache", "examples/hello.wat"]));
    assert_eq!((&*seen, code), ("Hello from inside the sandbox!\n", Some(0)));
}

/// Colour is for terminals, unless the user says otherwise.
#[test]
fn errors_reports_and_help_have_colour_on_a_terminal() {
    let plain = "wave: no module `no.wat`\n  fix:   check the path; it is not searched for in PATH\n";
    let colored = "\x1b[1;31mwave:\x1b[0m no module `no.wat`\n\x1b[32m  fix:\x1b[0m   check the path; it is not searched for in PATH\n";
    assert_eq!(on_terminal(wave(&["run", "no.wat"])), (colored.to_owned(), Some(127)));
    assert_eq!(piped(wave(&["run", "no.wat"])).1, plain);
    assert_eq!(on_terminal(wave(&["--color", "never", "run", "no.wat"])).0, plain);
    assert_eq!(piped(wave(&["run", "--color=always", "no.wat"])).1, colored);
    let with = |name, args: &[&str]| {
        let mut command = wave(args);
        command.env(name, "1");
        command
    };
    assert_eq!(on_terminal(with("NO_COLOR", &["run", "no.wat"])).0, plain);
    assert_eq!(piped(with("CLICOLOR_FORCE", &["run", "no.wat"])).1, colored);
    assert_eq!(on_terminal(with("NO_COLOR", &["--color", "always", "run", "no.wat"])).0, colored);

    let (seen, _) = on_terminal(wave(&["run", "--report", "examples/hello.wat"]));
    assert!(seen.contains("  seccomp        required  \x1b[32mapplied\x1b[0m "), "{seen:?}");
    let (seen, _) = on_terminal(wave(&["doctor"]));
    assert!(seen.contains("seccomp               \x1b[32myes \x1b[0m"), "{seen:?}");
    for args in [&["--help"][..], &["run", "--help"], &["run", "--no-such-flag"]] {
        let (seen, _) = on_terminal(wave(args));
        assert!(seen.contains("\x1b["), "{args:?}: {seen:?}");
        let (out, error, _) = piped(wave(args));
        assert!(!out.contains('\x1b') && !error.contains('\x1b'), "{args:?}: {out}{error}");
    }
    // The program's own output is its own.
    let (out, error, code) = piped(wave(&["--color", "always", "run", "examples/hello.wat"]));
    assert_eq!((&*out, &*error, code), ("Hello from inside the sandbox!\n", "", Some(0)));
}

/// T75: in colour, too, no text of a module steers the terminal.
#[test]
fn t75_colour_passes_on_no_control_characters() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("evil.wat");
    fs::write(
        &path,
        r#"(module (func $"\1b[31mwave: fine\0a\1b]0;title\07" unreachable) (func (export "_start") (call 0)))"#,
    )
    .expect("own directory");
    let path = path.to_str().expect("text");
    let (seen, code) = on_terminal(wave(&["--color", "always", "run", path]));
    assert_eq!(code, Some(134));
    let rest = seen.replace("\x1b[1mwave:\x1b[0m trap", "").replace("\x1b[1m  where:\x1b[0m", "");
    assert!(!rest.contains('\x1b') && !rest.contains('\x07') && rest.contains("31mwave: fine"), "{seen:?}");
    let (seen, code) = on_terminal(wave(&["run", "\u{1b}[31mx\nwave: fine"]));
    assert_eq!(code, Some(127));
    assert_eq!(seen.matches('\x1b').count(), 4, "{seen:?}");
    assert_eq!(seen.matches('\n').count(), 2, "{seen:?}");
}

#[test]
fn without_arguments_the_first_steps_are_shown() {
    let (out, error, code) = piped(wave(&[]));
    assert_eq!((&*out, code), ("", Some(2)));
    let commands: Vec<_> = error.lines().filter(|line| line.starts_with("  wave ")).collect();
    assert_eq!(commands.len(), 5, "{error}");
    for command in commands {
        let line = command.trim().split_once("  ").expect("command and description").0;
        // Each is a command line that `wave` takes, up to the files in it.
        let words: Vec<_> = line.split(' ').skip(1).collect();
        let (_, error, code) = piped(wave(&words));
        assert!(matches!(code, Some(125 | 127)), "{line}: {error}");
    }
}

/// `--quiet` leaves out what a user can do without, and nothing else.
#[test]
fn quiet_silences_notes_and_no_errors_or_relaxations() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = dir.path().join("hello.wave");
    let output = output.to_str().expect("text");
    assert_eq!(piped(wave(&["-q", "compile", "-o", output, "examples/hello.wat"])).2, Some(0));
    let note = "wave: note: ";
    let (_, error, _) = piped(wave(&["compile", "--discard", output]));
    assert!(error.starts_with(note), "{error}");
    for quiet in ["-q", "--quiet"] {
        assert_eq!(piped(wave(&["compile", "--discard", quiet, output])).1, "");
        let (_, error, code) = piped(wave(&[quiet, "--sandbox", "standard", "examples/hello.wat"]));
        assert!(error.starts_with("wave: relaxed by --sandbox standard\n") && code == Some(0), "{error}");
        let (_, error, code) = piped(wave(&[quiet, "no.wat"]));
        assert!(error.starts_with("wave: no module `no.wat`\n") && code == Some(127), "{error}");
    }
}
