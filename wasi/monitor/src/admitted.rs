//! The proof that the monitor admitted an effect, and that the effect has been performed.

use std::ops::Deref;

/// An effect that the monitor has admitted and nobody has performed yet.
///
/// Only the [`Monitor`](crate::Monitor) makes one: the field and the constructor are private to this crate. It is not
/// `Clone`, and whoever performs the effect takes it by value. So one decision is performed at most once:
///
/// ```
/// # use wave_monitor::{Admitted, Close, Errno, FdFlags, HostFd, Kind, Limits, Monitor};
/// fn close(effect: Admitted<Close>) { /* the system call */ }
///
/// # let mut monitor = Monitor::new(Limits::default());
/// # monitor.grant_stdio(0, HostFd::new(0), Kind::Pipe, FdFlags::empty())?;
/// let admitted = monitor.admit_close(0)?;
/// close(admitted);
/// # Ok::<(), Errno>(())
/// ```
///
/// A second time does not compile:
///
/// ```compile_fail,E0382
/// # use wave_monitor::{Admitted, Close, Errno, FdFlags, HostFd, Kind, Limits, Monitor};
/// fn close(effect: Admitted<Close>) { /* the system call */ }
///
/// # let mut monitor = Monitor::new(Limits::default());
/// # monitor.grant_stdio(0, HostFd::new(0), Kind::Pipe, FdFlags::empty())?;
/// let admitted = monitor.admit_close(0)?;
/// close(admitted);
/// close(admitted);
/// # Ok::<(), Errno>(())
/// ```
///
/// Nor can a result be recorded for an effect that was not performed ([`Performed`]):
///
/// ```compile_fail,E0308
/// # use wave_monitor::{Errno, FdFlags, HostFd, Kind, Limits, Monitor};
/// # let mut monitor = Monitor::new(Limits::default());
/// # monitor.grant_stdio(1, HostFd::new(1), Kind::Pipe, FdFlags::empty())?;
/// let admitted = monitor.admit_write(1)?;
/// monitor.wrote(admitted, 5);
/// # Ok::<(), Errno>(())
/// ```
///
/// # One effect can be several system calls
///
/// The call that performs an effect holds the value until it is done. It may make a system call again that was interrupted,
/// and move many bytes in steps with a look at the deadline in between. All of that stays inside what was decided: the same
/// object, the same range, and the same maximum, which the steps share. A guest observes one result.
#[derive(Debug)]
pub struct Admitted<E>(E);

impl<E> Admitted<E> {
    #[inline]
    pub(crate) const fn new(effect: E) -> Self {
        Self(effect)
    }

    /// Says that the effect has been performed. Its result can be recorded then.
    #[inline]
    pub fn performed(self) -> Performed<E> {
        Performed(self.0)
    }
}

impl<E> Deref for Admitted<E> {
    type Target = E;

    #[inline]
    fn deref(&self) -> &E {
        &self.0
    }
}

/// An effect that was performed and whose result the monitor has not recorded yet.
///
/// What was opened becomes an entry of the table, what was written is charged. Recording takes the value, so one effect is
/// recorded at most once.
#[derive(Debug)]
pub struct Performed<E>(E);

impl<E> Performed<E> {
    #[inline]
    pub(crate) fn into_effect(self) -> E {
        self.0
    }
}
