//! Decisions on `poll_oneoff`.

use crate::{Admitted, Clock, Errno, Kind, LimitName, Monitor, Rights, Rule, SubclockFlags, Target};

/// The two layouts of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `wasi_snapshot_preview1`: 48 bytes.
    Preview1,
    /// `wasi_unstable`: 56 bytes, with an unused identifier before the clock.
    Unstable,
}

impl Layout {
    /// The size of a subscription.
    #[must_use]
    pub const fn size_bytes(self) -> u32 {
        match self {
            Self::Preview1 => 48,
            Self::Unstable => 56,
        }
    }

    const fn clock(self) -> usize {
        match self {
            Self::Preview1 => 16,
            Self::Unstable => 24,
        }
    }
}

/// One subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Returned with the event.
    pub userdata: u64,
    /// What it waits for.
    pub wanted: Wanted,
}

/// What a subscription waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A point in time.
    Clock {
        /// The clock, or the errno of the event.
        clock: Result<Clock, Errno>,
        /// In nanoseconds.
        timeout: u64,
        /// Whether the timeout is a point in time instead of a duration.
        absolute: bool,
    },
    /// A descriptor.
    Descriptor {
        /// The descriptor.
        fd: u32,
        /// Reading or writing.
        direction: Direction,
    },
}

/// What a descriptor must be ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Reading.
    Read,
    /// Writing.
    Write,
}

/// Watch a descriptor.
#[derive(Debug)]
#[non_exhaustive]
pub struct Watch {
    /// The descriptor.
    pub on: Target,
    /// Reading or writing.
    pub direction: Direction,
    /// Whether it is always ready, as a file is.
    pub always_ready: bool,
}

impl Subscription {
    /// Parses one subscription of the given layout.
    ///
    /// # Errors
    /// [`Errno::INVAL`] for an unknown event type, clock or flag (T10). The whole call fails then. A clock that exists
    /// but that no guest gets is an error of its event only.
    #[inline(never)]
    pub fn parse(bytes: &[u8], layout: Layout) -> Result<Self, Errno> {
        let userdata = u64::from_le_bytes(take(bytes, 0)?);
        let [tag] = take(bytes, 8)?;
        let wanted = match tag {
            0 => parse_clock(bytes, layout.clock())?,
            1 | 2 => Wanted::Descriptor {
                fd: u32::from_le_bytes(take(bytes, 16)?),
                direction: if tag == 1 { Direction::Read } else { Direction::Write },
            },
            _ => return Err(Errno::INVAL),
        };
        Ok(Self { userdata, wanted })
    }
}

impl Monitor {
    /// Decides on the number of subscriptions of one call (T2).
    ///
    /// # Errors
    /// [`Errno::INVAL`] for no subscription, and for more than
    /// [`Limits::subscriptions`](crate::Limits::subscriptions).
    pub const fn admit_poll(&self, count: u32) -> Result<(), Errno> {
        admit_count(count, self.limits().subscriptions)
    }

    /// Decides on waiting for a descriptor: needs `POLL_FD_READWRITE` and the right to read or write.
    ///
    /// # Errors
    /// [`Errno::BADF`], [`Errno::NOTCAPABLE`], which are errors of the event.
    #[inline(never)]
    pub fn admit_watch(&self, fd: u32, direction: Direction) -> Result<Admitted<Watch>, Errno> {
        let entry = self.entry(fd)?;
        entry.require(Rights::POLL_FD_READWRITE)?;
        entry.require(match direction {
            Direction::Read => Rights::FD_READ,
            Direction::Write => Rights::FD_WRITE,
        })?;
        let always_ready = entry.kind() == Kind::RegularFile;
        Ok(Admitted::new(Watch { on: entry.target(), direction, always_ready }))
    }
}

pub(crate) const fn admit_count(count: u32, limit: u32) -> Result<(), Errno> {
    match count {
        0 => Err(Errno::INVAL),
        _ if count > limit => Err(Errno::INVAL.because(Rule::Limit(LimitName::Subscriptions))),
        _ => Ok(()),
    }
}

fn parse_clock(bytes: &[u8], at: usize) -> Result<Wanted, Errno> {
    let clock = match Clock::admit(u32::from_le_bytes(take(bytes, at)?)) {
        Err(errno) if errno == Errno::INVAL => return Err(errno),
        clock => clock,
    };
    let timeout = u64::from_le_bytes(take(bytes, at + 8)?);
    let flags = u16::from_le_bytes(take(bytes, at + 24)?);
    let flags = SubclockFlags::from_guest(flags.into())?;
    Ok(Wanted::Clock { clock, timeout, absolute: flags.contains(SubclockFlags::ABSTIME) })
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Errno> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Errno::FAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(layout: Layout, id: u32, timeout: u64, flags: u16) -> Vec<u8> {
        let mut bytes = vec![0xaa; layout.size_bytes() as usize];
        bytes[..8].copy_from_slice(&7u64.to_le_bytes());
        bytes[8] = 0;
        let at = layout.clock();
        bytes[at..at + 4].copy_from_slice(&id.to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(&timeout.to_le_bytes());
        bytes[at + 24..at + 26].copy_from_slice(&flags.to_le_bytes());
        bytes
    }

    #[test]
    fn both_layouts_read_the_same_clock() {
        for layout in [Layout::Preview1, Layout::Unstable] {
            let parsed = Subscription::parse(&clock(layout, 1, 500, 1), layout).unwrap();
            assert_eq!(parsed.userdata, 7);
            let clock = Ok(Clock::Monotonic);
            assert_eq!(parsed.wanted, Wanted::Clock { clock, timeout: 500, absolute: true });
        }
    }

    #[test]
    fn t10_malformed_subscriptions_are_refused() {
        let layout = Layout::Preview1;
        assert_eq!(Subscription::parse(&clock(layout, 9, 0, 0), layout), Err(Errno::INVAL));
        assert_eq!(Subscription::parse(&clock(layout, 0, 0, 2), layout), Err(Errno::INVAL));
        let mut bytes = clock(layout, 0, 0, 0);
        bytes[8] = 3;
        assert_eq!(Subscription::parse(&bytes, layout), Err(Errno::INVAL));
    }

    #[test]
    fn t114_a_processor_clock_is_an_error_of_its_event() {
        let layout = Layout::Preview1;
        let parsed = Subscription::parse(&clock(layout, 2, 0, 0), layout).unwrap();
        let clock = Err(Errno::NOTSUP);
        assert_eq!(parsed.wanted, Wanted::Clock { clock, timeout: 0, absolute: false });
    }
}
