//! The arguments of `*_filestat_set_times`.

use crate::{Errno, FstFlags};

/// The new value of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewTime {
    /// It does not change.
    Keep,
    /// The time of the call.
    Now,
    /// This many nanoseconds since 1970.
    At(u64),
}

/// The new values of both timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTimes {
    /// Time of last access.
    pub access: NewTime,
    /// Time of last modification.
    pub modification: NewTime,
}

impl NewTimes {
    /// Parses the three arguments of a hostcall.
    ///
    /// # Errors
    /// [`Errno::INVAL`] if a time is set to both now and the argument.
    #[inline(never)]
    pub fn from_guest(atim: u64, mtim: u64, flags: u32) -> Result<Self, Errno> {
        let flags = FstFlags::from_guest(flags)?;
        Ok(Self {
            access: one(flags, FstFlags::ATIM, FstFlags::ATIM_NOW, atim)?,
            modification: one(flags, FstFlags::MTIM, FstFlags::MTIM_NOW, mtim)?,
        })
    }
}

fn one(flags: FstFlags, set: FstFlags, now: FstFlags, value: u64) -> Result<NewTime, Errno> {
    match (flags.contains(set), flags.contains(now)) {
        (true, true) => Err(Errno::INVAL),
        (true, false) => Ok(NewTime::At(value)),
        (false, true) => Ok(NewTime::Now),
        (false, false) => Ok(NewTime::Keep),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_kept_set_or_now() {
        let times = NewTimes::from_guest(7, 9, 0b1001).unwrap();
        assert_eq!(times.access, NewTime::At(7));
        assert_eq!(times.modification, NewTime::Now);
        assert_eq!(NewTimes::from_guest(0, 0, 0b0011), Err(Errno::INVAL));
        assert_eq!(NewTimes::from_guest(0, 0, 0b1100), Err(Errno::INVAL));
        assert_eq!(NewTimes::from_guest(0, 0, 0b1_0000), Err(Errno::INVAL));
    }
}
