//! Decisions on `proc_raise`. No signal is sent: the run ends as if one had been.

use crate::{Errno, Rule};

/// The effect of a raised signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raise {
    /// Its default action is to be ignored.
    Ignored,
    /// It ends the run. This is its number on Linux.
    Terminates(u8),
}

/// Decides on a WASI signal number.
///
/// # Errors
/// [`Errno::NOTSUP`] for the signals that stop a process: nobody could resume a sandboxed run. [`Errno::INVAL`] for an
/// undefined number.
#[inline(never)]
pub const fn admit_raise(signal: u32) -> Result<Raise, Errno> {
    Ok(match signal {
        // NONE, PIPE (ignored, says the witx file), CHLD, CONT, URG, WINCH.
        0 | 13 | 16 | 17 | 22 | 27 => Raise::Ignored,
        // HUP to TERM have the numbers of Linux.
        1..=12 | 14 | 15 => Raise::Terminates(narrow(signal)),
        18..=21 => return Err(Errno::NOTSUP.because(Rule::Signal)),
        // XCPU to SYS: WASI has no STKFLT, so its numbers after TERM are one lower.
        23..=26 | 28..=30 => Raise::Terminates(narrow(signal + 1)),
        _ => return Err(Errno::INVAL),
    })
}

/// No signal has a number above 31.
const fn narrow(signal: u32) -> u8 {
    (signal & 31) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_those_of_linux() {
        for (wasi, linux) in [(1, 1), (6, 6), (9, 9), (11, 11), (15, 15), (23, 24), (28, 29), (30, 31)] {
            assert_eq!(admit_raise(wasi), Ok(Raise::Terminates(linux)));
        }
        for ignored in [0, 13, 16, 17, 22, 27] {
            assert_eq!(admit_raise(ignored), Ok(Raise::Ignored));
        }
        assert_eq!(admit_raise(18), Err(Errno::NOTSUP));
        assert_eq!(admit_raise(31), Err(Errno::INVAL));
        assert_eq!(admit_raise(u32::MAX), Err(Errno::INVAL));
    }
}
