//! What the user wants on a terminal: colour, notes and progress. Decided once, before a process is sealed.

use clap::ValueEnum;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set; elsewhere if CLICOLOR_FORCE is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

static OUT: AtomicBool = AtomicBool::new(false);
static ERROR: AtomicBool = AtomicBool::new(false);
static QUIET: AtomicBool = AtomicBool::new(false);

/// Decides on colour, for a command line that may be invalid.
pub fn set_color(args: &[OsString]) {
    let color = requested(args);
    OUT.store(is_colored(color, io::stdout().is_terminal(), variable), Ordering::Relaxed);
    ERROR.store(is_colored(color, io::stderr().is_terminal(), variable), Ordering::Relaxed);
}

/// Applies `--quiet`.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether standard output has colour.
pub fn out_is_colored() -> bool {
    OUT.load(Ordering::Relaxed)
}

/// Whether standard error has colour.
pub fn error_is_colored() -> bool {
    ERROR.load(Ordering::Relaxed)
}

/// Whether `--quiet` was given.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Whether standard error is a terminal that can replace a line.
pub fn replaces_lines() -> bool {
    io::stderr().is_terminal() && variable("TERM").is_none_or(|term| term != "dumb")
}

/// The value of the first `--color`. Of an argument of the program that is called so, only the look of an error would follow.
fn requested(args: &[OsString]) -> Color {
    let mut words = args.iter().map(|word| word.to_string_lossy());
    let value = words.find_map(|word| match word.strip_prefix("--color=") {
        Some(value) => Some(Some(value.to_owned())),
        None => (word == "--color").then_some(None),
    });
    let value = value.and_then(|value| value.or_else(|| words.next().map(std::borrow::Cow::into_owned)));
    value.and_then(|value| Color::from_str(&value, false).ok()).unwrap_or_default()
}

fn variable(name: &str) -> Option<OsString> {
    wave_sandbox::variable(name).filter(|value| !value.is_empty())
}

/// Whether a stream has colour: <https://no-color.org>, <https://bixense.com/clicolors>.
fn is_colored(color: Color, is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is = |name, value: &str| variable(name).is_some_and(|found| found == value);
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if variable("NO_COLOR").is_some() => false,
        Color::Auto if variable("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0") => true,
        Color::Auto => is_terminal && !is("TERM", "dumb") && !is("CLICOLOR", "0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_decide_before_variables_and_these_before_the_stream() {
        let colored = |color, is_terminal, set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into());
            is_colored(color, is_terminal, value)
        };
        assert!(colored(Color::Auto, true, &[("TERM", "xterm")]));
        assert!(!colored(Color::Auto, false, &[("TERM", "xterm")]));
        assert!(colored(Color::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!colored(Color::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        for set in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
            assert!(!colored(Color::Auto, true, &[set]), "{set:?}");
            assert!(colored(Color::Always, false, &[set]), "{set:?}");
        }
        assert!(!colored(Color::Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(!colored(Color::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn the_flag_is_found_in_invalid_command_lines() {
        let of = |line: &str| requested(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("wave --color always --help"), Color::Always);
        assert_eq!(of("wave run --color=never --no-such-flag"), Color::Never);
        for line in ["wave run app.wasm", "wave --color", "wave --color pink run"] {
            assert_eq!(of(line), Color::Auto, "{line}");
        }
    }
}
