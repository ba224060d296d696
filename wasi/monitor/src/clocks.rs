//! Which clocks a guest may read.

use crate::{Errno, Rule};

/// A clock that a guest may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Wall-clock time since 1970.
    Realtime,
    /// Time since the guest started.
    Monotonic,
}

impl Clock {
    /// Decides on a clock id.
    ///
    /// # Errors
    /// [`Errno::NOTSUP`] for the two clocks of processor time, which would reveal facts about the host (T114);
    /// [`Errno::INVAL`] for an undefined id.
    #[inline]
    pub const fn admit(id: u32) -> Result<Self, Errno> {
        match id {
            0 => Ok(Self::Realtime),
            1 => Ok(Self::Monotonic),
            2 | 3 => Err(Errno::NOTSUP.because(Rule::Clock)),
            _ => Err(Errno::INVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t114_processor_time_is_not_exposed() {
        assert_eq!(Clock::admit(0), Ok(Clock::Realtime));
        assert_eq!(Clock::admit(1), Ok(Clock::Monotonic));
        assert_eq!(Clock::admit(2), Err(Errno::NOTSUP));
        assert_eq!(Clock::admit(3), Err(Errno::NOTSUP));
        assert_eq!(Clock::admit(4), Err(Errno::INVAL));
    }
}
