//! T115: a guest's control sequences do not reach a terminal, and neither do those in its names.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use nix::pty::openpty;
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};

use crate::script::script;
use wave_test_support::{Wave, wat};

/// What a terminal receives on standard output and standard error of a run.
fn on_terminal(wave: Wave, module: &std::path::Path) -> Vec<u8> {
    let pty = openpty(None, None).unwrap();
    let mut settings = tcgetattr(&pty.slave).unwrap();
    settings.output_flags.remove(OutputFlags::OPOST);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &settings).unwrap();
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut command = wave.command(module);
    command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(slave()).stderr(slave());
    command.spawn().unwrap().wait().unwrap();
    // Each has its copies of the terminal.
    drop(command);
    drop(pty.slave);
    let mut seen = Vec::new();
    // EIO says that the last process with the other end is gone.
    File::from(pty.master).read_to_end(&mut seen).ok();
    seen
}

/// T115: of every control character, 7-bit and 8-bit, only tabulators and ends of line arrive; nothing moves back, or reorders text.
#[test]
fn control_characters_of_the_guest_are_replaced() {
    let guest = script(
        r#"
        fd_write 1 {"a\1b]0;title\07b\1b[2J\9b31m\c2\9b31m\7f\00\09c\0d\0a"} OUT
        fd_write 2 {"\1bPq\1b", "\5c!"} OUT
        fd_write 1 {"\c2"} OUT
        fd_write 1 {"\9bx\e2\82\ac"} OUT
        fd_write 1 {"5%\0d6%\08\e2\80\ae!"} OUT
        (call $proc_exit (i32.const 0))
        "#,
    );
    let (_dir, module) = guest.file();
    let seen = on_terminal(Wave::strict(), &module);
    let expected = b"a?]0;title?b?[2J?31m\xc2?31m??\tc\r\n?Pq?\\!\xc2?x\xe2\x82\xac5%?6%?\xe2\x80?!";
    assert_eq!(seen.escape_ascii().to_string(), expected.escape_ascii().to_string());
    // The control: on request they arrive.
    let seen = on_terminal(Wave::strict().switch("--terminal-controls"), &module);
    let arrived = b"wave: relaxed by --terminal-controls\na\x1b]0;title\x07b";
    assert!(seen.starts_with(arrived), "{}", seen.escape_ascii());
}

/// T115: what `wave` itself prints of a module, here the name of a function, has none either, on any stream.
#[test]
fn control_characters_in_names_are_replaced() {
    let (_dir, module) = wat(r#"(module (func $"\1b]0;title\07\c2\9b31m\0a\0dwave: all is well" unreachable)
             (func $main (export "_start") (call 0)))"#);
    let clean = |text: &str| text.chars().all(|char| !char.is_control() || char == '\n');
    let run = Wave::strict().run(&module, [""; 0]);
    assert_eq!(run.status.code(), Some(134), "{run:?}");
    assert!(clean(&run.stderr), "{run:?}");
    assert!(run.stderr.contains("]0;title"), "{run:?}");
    assert!(!run.stderr.lines().any(|line| line.starts_with("wave: all is well")), "{run:?}");
    let seen = on_terminal(Wave::strict(), &module);
    assert!(clean(std::str::from_utf8(&seen).unwrap()), "{}", seen.escape_ascii());
}
