//! `poll_oneoff`: waiting for clocks and descriptors at once.

use crate::wait;
use crate::{Failure, Wasi, clock, platform};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno as Host;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use wave_monitor::{Admitted, Clock, Direction, Errno, GuestRange, Layout, Subscription, Wanted, Watch};

/// The size of `$event`, the same in both snapshots.
const EVENT_SIZE: u32 = 32;

/// Waits until one of the `nsubscriptions` subscriptions at `input` occurs. Stores the events that occurred at `output`
/// and their number at `nevents`.
///
/// A subscription that cannot occur is an event with an error: `BADF`, `NOTCAPABLE`, or `NOTSUP` for a clock that no
/// guest gets (T114). Files are always ready.
///
/// # Errors
/// `INVAL` without subscriptions, for more than the limit, and for a malformed one; `FAULT`.
/// [`Stop::Deadline`](crate::Stop::Deadline) while waiting.
///
/// Host syscalls: `ppoll`; for files `fstat` and `lseek`; the clock as in
/// [`clock_time_get`](crate::preview1::clock_time_get).
pub fn poll_oneoff(
    wasi: &mut Wasi,
    memory: &mut [u8],
    input: u32,
    output: u32,
    nsubscriptions: u32,
    nevents: u32,
) -> Result<(), Failure> {
    poll(wasi, memory, input, output, nsubscriptions, nevents, Layout::Preview1)
}

/// `poll_oneoff` for both layouts of a subscription.
pub(crate) fn poll(
    wasi: &Wasi,
    memory: &mut [u8],
    input: u32,
    output: u32,
    nsubscriptions: u32,
    nevents: u32,
    layout: Layout,
) -> Result<(), Failure> {
    let out = GuestRange::check(memory.len(), nevents, 4)?;
    let input = GuestRange::check_array(memory.len(), input, nsubscriptions, layout.size_bytes())?;
    let output = GuestRange::check_array(memory.len(), output, nsubscriptions, EVENT_SIZE)?;
    wasi.monitor.admit_poll(nsubscriptions)?;
    let subscriptions = copy_in(wasi, input.bytes(memory)?, layout)?;

    let waits = subscriptions.iter().map(|subscription| admit(wasi, subscription)).collect::<Result<_, _>>()?;
    let events = wait_for_events(wasi, waits)?;

    let mut stored = 0;
    let mut places = output.bytes_mut(memory)?.chunks_exact_mut(EVENT_SIZE as usize);
    for (subscription, event) in subscriptions.iter().zip(events) {
        if let Some(event) = event
            && let Some(place) = places.next()
        {
            place.copy_from_slice(&event.to_bytes(subscription));
            stored += 1;
        }
    }
    out.store_u32(memory, stored)?;
    Ok(())
}

fn copy_in(wasi: &Wasi, bytes: &[u8], layout: Layout) -> Result<Vec<Subscription>, Failure> {
    let each = bytes.chunks_exact(layout.size_bytes() as usize);
    let one = |bytes| {
        // The limit on their number may be high, so the deadline is checked.
        wait::check(wasi.interrupted)?;
        Ok(Subscription::parse(bytes, layout)?)
    };
    each.map(one).collect()
}

/// The state of one subscription.
enum Wait {
    /// It waits until this monotonic time.
    Until(u64),
    /// It waits for a descriptor.
    Ready(Admitted<Watch>),
    /// It waits for these flags, at this index of the polled descriptors.
    Polled(PollFlags, usize),
    /// It occurred.
    Done(Event),
}

/// What occurred.
#[derive(Debug, Clone, Copy, Default)]
struct Event {
    error: Option<Errno>,
    bytes: u64,
    hangup: bool,
}

impl Event {
    fn error(errno: Errno) -> Self {
        Self { error: Some(errno), ..Self::default() }
    }

    /// `$event`: userdata, error (16 bits), type, padding, byte count, flags (16 bits), padding.
    fn to_bytes(self, subscription: &Subscription) -> [u8; EVENT_SIZE as usize] {
        let kind: u64 = match subscription.wanted {
            Wanted::Clock { .. } => 0,
            Wanted::Descriptor { direction: Direction::Read, .. } => 1,
            Wanted::Descriptor { direction: Direction::Write, .. } => 2,
        };
        let error = u64::from(self.error.map_or(0, Errno::raw));
        let words = [subscription.userdata, error | kind << 16, self.bytes, u64::from(self.hangup)];
        let mut bytes = [0; EVENT_SIZE as usize];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

fn admit(wasi: &Wasi, subscription: &Subscription) -> Result<Wait, Failure> {
    wait::check(wasi.interrupted)?;
    Ok(match subscription.wanted {
        Wanted::Clock { clock: Ok(clock), timeout, absolute } => Wait::Until(deadline(wasi, clock, timeout, absolute)),
        Wanted::Clock { clock: Err(errno), .. } => Wait::Done(Event::error(errno)),
        Wanted::Descriptor { fd, direction } => match wasi.monitor.admit_watch(fd, direction) {
            Ok(watch) => Wait::Ready(watch),
            Err(errno) => Wait::Done(Event::error(errno)),
        },
    })
}

/// A timeout as a point of the guest's monotonic time.
fn deadline(wasi: &Wasi, clock: Clock, timeout: u64, absolute: bool) -> u64 {
    let left = if absolute { timeout.saturating_sub(wasi.time.now(clock)) } else { timeout };
    wasi.time.elapsed().saturating_add(left)
}

// ---- effects ------------------------------------------------------------------------------------

/// Waits for `timeout` nanoseconds.
pub(crate) fn sleep(wasi: &Wasi, timeout: u64) -> Result<(), Failure> {
    wait_for_events(wasi, vec![Wait::Until(wasi.time.elapsed().saturating_add(timeout))]).map(drop)
}

/// Waits until at least one subscription occurs. Takes each admitted watch; polling it again and again is one effect.
fn wait_for_events(wasi: &Wasi, waits: Vec<Wait>) -> Result<Vec<Option<Event>>, Failure> {
    // Each descriptor once, for all subscriptions: the kernel polls at most as many as a process may have open.
    let mut polled: Vec<(BorrowedFd<'_>, PollFlags)> = Vec::new();
    let mut places = BTreeMap::new();
    let polled_or_done = |wait| {
        wait::check(wasi.interrupted)?;
        let Wait::Ready(watch) = wait else { return Ok(wait) };
        if watch.always_ready {
            return Ok(Wait::Done(file_event(wasi, watch)));
        }
        let flags = match watch.direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        let place = *places.entry(watch.on.host().index()).or_insert(polled.len());
        match polled.get_mut(place) {
            Some((_, all)) => *all |= flags,
            None => polled.push((wasi.objects.fd(&watch.on)?, flags)),
        }
        Ok(Wait::Polled(flags, place))
    };
    let waits: Vec<_> = waits.into_iter().map(polled_or_done).collect::<Result<_, Failure>>()?;
    let mut descriptors: Vec<_> = polled.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
    loop {
        wait_once(wasi, &waits, &mut descriptors)?;
        let events = collect(wasi, &waits, &descriptors);
        if events.iter().any(Option::is_some) {
            return Ok(events);
        }
    }
}

/// Waits until a descriptor is ready or the nearest timeout has passed. Does not wait if a subscription has occurred
/// already.
fn wait_once(wasi: &Wasi, waits: &[Wait], descriptors: &mut [PollFd<'_>]) -> Result<(), Failure> {
    let answered = waits.iter().any(|wait| matches!(wait, Wait::Done(_)));
    if answered && descriptors.is_empty() {
        return Ok(());
    }
    let nearest = waits.iter().filter_map(|wait| match wait {
        Wait::Until(deadline) => Some(*deadline),
        _ => None,
    });
    let nearest = if answered { Some(0) } else { nearest.min() };
    loop {
        // Virtual time does not pass while the guest waits: poll without waiting, then skip to the timeout.
        let jump = nearest.filter(|_| wasi.time.is_virtual());
        let left = nearest.map(|deadline| deadline.saturating_sub(wasi.time.elapsed()));
        let timeout = if jump.is_some() { Some(0) } else { left }.map(clock::timespec);
        match (platform::poll(descriptors, timeout.as_ref()), jump) {
            (Err(Host::INTR), _) => wait::check(wasi.interrupted)?,
            (Ok(0), Some(deadline)) => {
                wasi.time.skip_to(deadline);
                return Ok(());
            }
            (done, _) => return Ok(done.map(drop)?),
        }
    }
}

/// The event of each subscription, if it occurred.
fn collect(wasi: &Wasi, waits: &[Wait], descriptors: &[PollFd<'_>]) -> Vec<Option<Event>> {
    let now = wasi.time.elapsed();
    let one = |wait: &Wait| match wait {
        Wait::Done(event) => Some(*event),
        Wait::Until(deadline) => (*deadline <= now).then(Event::default),
        Wait::Polled(flags, place) => descriptors.get(*place).and_then(|found| stream_event(found.revents(), *flags)),
        Wait::Ready(_) => None,
    };
    waits.iter().map(one).collect()
}

/// The event of a subscription, given what was found on its descriptor. Others may wait for something else on the same one.
fn stream_event(found: PollFlags, flags: PollFlags) -> Option<Event> {
    let found = found.intersection(flags | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
    if found.is_empty() {
        return None;
    }
    if found.contains(PollFlags::NVAL) {
        return Some(Event::error(Errno::BADF));
    }
    // The number of bytes would need an `ioctl`. Libraries only ask whether there are any.
    let bytes = u64::from(found.intersects(PollFlags::IN | PollFlags::OUT));
    let hangup = found.intersects(PollFlags::HUP | PollFlags::ERR);
    Some(Event { error: None, bytes, hangup })
}

/// The event of a file, which is always ready. For reading, with the number of bytes after the position.
fn file_event(wasi: &Wasi, watch: Admitted<Watch>) -> Event {
    let left = || -> Result<u64, Failure> {
        let object = wasi.objects.get(&watch.on)?;
        let size = u64::try_from(rustix::fs::fstat(object)?.st_size).unwrap_or(0);
        Ok(size.saturating_sub(object.position.map_or_else(|| rustix::fs::tell(object), Ok)?))
    };
    match watch.direction {
        Direction::Read => match left() {
            Ok(bytes) => Event { bytes, ..Event::default() },
            Err(Failure::Errno(errno)) => Event::error(errno),
            Err(Failure::Stop(_)) => Event::error(Errno::INTR),
        },
        Direction::Write => Event { bytes: 1, ..Event::default() },
    }
}
