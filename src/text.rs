//! Printing. Output is safe for a terminal, and a closed pipe is no crash.

use crate::style::{self, Paint};
use crate::terminal;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use wave_engine::Failure;
pub use wave_engine::json::{escape_json, json, json_line};
pub use wave_policy::{chain, clean, clean_lines, parse_duration, parse_size, shell_word, short};

/// Exit code of a command whose reader went away, as a shell shows `SIGPIPE`.
const CLOSED_PIPE: i32 = 141;

/// Exit code of the time limit.
const TIME_LIMIT: i32 = 124;

/// Prints to standard output. Harmful characters are escaped; line breaks and tabs stay. If the reader has closed the pipe, the
/// command ends without a message; any other error is printed to standard error. The time limit of a run also ends the wait for a
/// slow reader (T108).
pub fn out(text: &str) {
    write_out(&clean_lines(text));
}

/// As [`out`], in colour if standard output has colour.
pub fn out_painted(text: &str, paint: Paint) {
    let text = clean_lines(text);
    match terminal::out_is_colored() {
        true => write_out(&style::lines(&text, paint)),
        false => write_out(&text),
    }
}

fn write_out(text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // Not by `Stdout`, which tries again after each signal.
        match rustix::io::write(io::stdout(), rest).map_err(io::Error::from) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted && !wave_runtime::deadline_passed() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                note("wave: time limit reached before everything was printed\n");
                wave_sandbox::exit(TIME_LIMIT)
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => wave_sandbox::exit(CLOSED_PIPE),
            Err(error) => {
                note(&format!("wave: cannot write to standard output: {error}\n"));
                wave_sandbox::exit(125)
            }
        }
    }
}

/// How many bytes may still be printed on behalf of the program.
static LEFT_FOR_PROGRAM: AtomicU64 = AtomicU64::new(u64::MAX);

/// Limits what is printed on behalf of the program from now on: traced calls, backtraces, results. It is the size of
/// `--max-output`, beside what the program prints itself, so that a trace changes nothing for the program (T110).
pub fn limit_for_program(bytes: u64) {
    LEFT_FOR_PROGRAM.store(bytes, Ordering::Relaxed);
}

/// Prints a text about the program by `print`. The first text that exceeds the limit is dropped, and all that follow. A note
/// reports that once.
pub fn for_program(print: impl FnOnce(&str), text: &str) {
    let left = LEFT_FOR_PROGRAM.load(Ordering::Relaxed);
    match left.checked_sub(text.len() as u64) {
        Some(rest) => {
            // What is not limited stays so.
            LEFT_FOR_PROGRAM.store(if left == u64::MAX { left } else { rest }, Ordering::Relaxed);
            print(text);
        }
        None => {
            LEFT_FOR_PROGRAM.store(0, Ordering::Relaxed);
            if left > 0 {
                note("wave: more than --max-output would be printed about the program: the rest is left out\n");
            }
        }
    }
}

/// Prints to standard error. Errors are ignored: a run ends the same way without its messages (T111). Harmful characters are
/// escaped as in [`out`].
///
/// A deadline that has passed is signaled again and again, which also ends the wait for a reader that does not read (T108).
pub fn note(text: &str) {
    note_painted(text, style::message);
}

/// Prints what a user can do without, as [`note`] does. Nothing with `--quiet`.
pub fn remark(text: &str) {
    if !terminal::is_quiet() {
        note(text);
    }
}

/// Prints an error, as [`note`] does.
pub fn fail(failure: &Failure) {
    note_painted(&failure.to_string(), style::failure);
}

/// As [`note`], painted in another way.
pub fn note_painted(text: &str, paint: Paint) {
    let text = clean_lines(text);
    match terminal::error_is_colored() {
        true => write_note(&style::lines(&text, paint)),
        false => write_note(&text),
    }
}

fn write_note(text: &str) {
    let mut rest = text.as_bytes();
    loop {
        match io::stderr().write(rest) {
            Ok(written @ 1..) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !wave_runtime::deadline_passed() => {}
            // There is no better place to report that this place is gone.
            Ok(0) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t110_what_is_printed_for_a_program_has_a_limit() {
        let mut printed = String::new();
        for_program(|text| printed += text, "without a limit ");
        limit_for_program(10);
        for text in ["12345", "67890", "a", "b"] {
            for_program(|text| printed += text, text);
        }
        limit_for_program(u64::MAX);
        for_program(|text| printed += text, " again");
        assert_eq!(printed, "without a limit 1234567890 again");
    }
}
