//! A line on the terminal that says how far long work is. It is there after half a second and gone before anything else is printed.

use crate::terminal;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wave_engine::progress::Step;

/// Work that is done sooner has no line.
const PATIENCE: Duration = Duration::from_millis(500);

/// Time between two changes of the line.
const PAUSE: Duration = Duration::from_millis(100);

/// Columns that the longest line takes. A line that wraps could not be replaced.
const COLUMNS: u16 = 60;

/// Shows each step of a piece of work on a line, until it is dropped. `None` if there is nobody to see it.
pub fn line() -> Option<Box<dyn Fn(Step) + Sync>> {
    if terminal::is_quiet() || !terminal::replaces_lines() || !is_wide() {
        return None;
    }
    let line = Line { started: Instant::now(), shown: Mutex::new(None) };
    Some(Box::new(move |step| line.show(step)))
}

/// Whether a line fits. A terminal without a size is as wide as it needs to be.
fn is_wide() -> bool {
    rustix::termios::tcgetwinsize(io::stderr()).is_ok_and(|size| size.ws_col == 0 || size.ws_col >= COLUMNS)
}

struct Line {
    started: Instant,
    /// When it was shown last.
    shown: Mutex<Option<Instant>>,
}

impl Line {
    fn show(&self, step: Step) {
        // Another thread that is showing a step has news enough.
        let Ok(mut shown) = self.shown.try_lock() else { return };
        let now = Instant::now();
        if now - self.started >= PATIENCE && shown.is_none_or(|before| now - before >= PAUSE) {
            *shown = Some(now);
            replace(&text(step));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.shown.lock().is_ok_and(|shown| shown.is_some()) {
            replace("");
        }
    }
}

/// Puts a text on the line. Errors are ignored: the work goes on without it.
fn replace(text: &str) {
    drop(io::stderr().write_all(format!("\r\x1b[K{text}").as_bytes()));
}

fn text(step: Step) -> String {
    match step {
        Step::Reading => "wave: reading the module".to_owned(),
        Step::Compiling(0, _) => "wave: compiling".to_owned(),
        // A sealed process may count what it likes.
        Step::Compiling(done, all) => format!("wave: compiled {} of {all} functions", done.min(all)),
        Step::Verifying(done, all) => format!("wave: verified {} of {all} functions", done.min(all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_fits_on_a_line() {
        let most = u32::MAX;
        assert_eq!(text(Step::Compiling(7, 5)), "wave: compiled 5 of 5 functions");
        for step in [Step::Reading, Step::Compiling(0, most), Step::Compiling(most, most), Step::Verifying(most, most)]
        {
            assert!(text(step).len() < usize::from(COLUMNS), "{step:?}");
        }
    }
}
