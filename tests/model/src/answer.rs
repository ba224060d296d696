//! What a call may answer and leave in memory, and the rules it may break.

use super::MEMORY_BYTES;
use super::calls::Text;
use super::tree::Ino;
use std::ops::Range;
use wave_monitor::{Errno, PATH_MAX_BYTES, Rights};
use wave_wasi::{Failure, Stop};

/// How a call ends.
pub type Outcome = Result<(), Failure>;

pub const WAITS: Outcome = Err(Failure::Stop(Stop::Deadline));

/// What a call has to do.
#[derive(Debug)]
pub struct Answer {
    /// How it may end.
    pub outcomes: Vec<Outcome>,
    /// What it leaves in memory if it succeeds.
    pub after: After,
}

impl Answer {
    pub fn may_wait(&self) -> bool {
        self.outcomes.contains(&WAITS)
    }
}

/// What a call that succeeds leaves in memory.
#[derive(Debug, Default)]
pub struct After {
    pub writes: Vec<(usize, Vec<u8>)>,
    /// Parts whose content is not predicted.
    pub loose: Vec<Range<usize>>,
    pub checks: Vec<Check>,
    /// Other ways to end, which change nothing.
    pub others: Vec<Outcome>,
    /// Those are the only ones.
    pub fails: bool,
}

/// Something about the content of memory after a call.
#[derive(Debug)]
pub enum Check {
    /// The inode number of an object.
    Inode { at: usize, ino: Ino },
    /// Every byte of this was written, and it is no small number.
    Written(Range<usize>),
    /// At most this number.
    AtMost { at: usize, max: u64 },
    /// Entries of a directory from a cookie on; how much of the buffer they take is at `used`.
    Entries { buf: usize, len: usize, used: usize, dir: Ino, cookie: u64 },
    /// Events for subscriptions.
    Events { at: usize, count: usize, expected: Vec<Event> },
}

/// What one subscription may report.
#[derive(Debug)]
pub struct Event {
    pub userdata: u64,
    pub kind: u8,
    pub error: u16,
    pub bytes: Option<u64>,
    pub at_once: bool,
}

impl After {
    pub fn store(mut self, at: u32, bytes: &[u8]) -> Self {
        self.writes.push((at as usize, bytes.to_vec()));
        self
    }

    pub fn u32(self, at: u32, value: u32) -> Self {
        self.store(at, &value.to_le_bytes())
    }

    pub fn u64(self, at: u32, value: u64) -> Self {
        self.store(at, &value.to_le_bytes())
    }

    /// Something that is there but not known.
    pub fn unknown(mut self, at: u32, len: usize) -> Self {
        let range = at as usize..at as usize + len;
        self.loose.push(range.clone());
        if len >= 8 {
            self.checks.push(Check::Written(range));
        }
        self
    }

    pub fn loosely(mut self, at: usize, len: usize) -> Self {
        self.loose.push(at..at + len);
        self
    }

    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    pub fn or(mut self, outcome: Outcome) -> Self {
        self.others.push(outcome);
        self
    }

    /// Nothing else but this.
    pub fn only(outcome: Outcome) -> Self {
        Self { others: vec![outcome], fails: true, ..Self::default() }
    }
}

/// The rules a call breaks.
#[derive(Debug, Default)]
pub struct Broken(pub Vec<Errno>);

pub type Predicted = Result<After, Broken>;

impl Broken {
    /// Notes `errno` unless a rule holds.
    pub fn unless(&mut self, holds: bool, errno: Errno) {
        if !holds {
            self.0.push(errno);
        }
    }

    pub fn check<T>(&mut self, checked: Result<T, Errno>) -> Option<T> {
        checked.map_err(|errno| self.0.push(errno)).ok()
    }

    pub fn end(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    pub fn range(&mut self, at: u32, len: u32) -> bool {
        let inside = u64::from(at) + u64::from(len) <= MEMORY_BYTES as u64;
        self.unless(inside, Errno::FAULT);
        inside
    }

    pub fn array(&mut self, at: u32, count: u32, each: u32) {
        let end = u64::from(at) + u64::from(count) * u64::from(each);
        self.unless(end <= MEMORY_BYTES as u64, Errno::FAULT);
    }

    pub fn known(&mut self, bits: u32, known: u32) {
        self.unless(bits & !known == 0, Errno::INVAL);
    }

    pub fn rights(&mut self, bits: u64) -> Rights {
        self.unless(bits & !Rights::ALL.bits() == 0, Errno::INVAL);
        Rights::from_guest(bits & Rights::ALL.bits()).unwrap_or_default()
    }

    pub fn times(&mut self, flags: u32) {
        self.known(flags, 15);
        self.unless(flags & 3 != 3 && flags & 12 != 12, Errno::INVAL);
    }

    /// The bytes of a path, `None` if they cannot be one.
    pub fn path<'m>(&mut self, memory: &'m [u8], text: Text) -> Option<Path<'m>> {
        let bytes = self.text(memory, text)?;
        let whole = strip_end(bytes);
        let mut plain = whole;
        while let Some(rest) = plain.strip_prefix(b"./") {
            plain = strip_start(rest);
        }
        self.unless(plain != b".." && !plain.starts_with(b"../"), Errno::NOTCAPABLE);
        let cut = plain.iter().rposition(|byte| *byte == b'/');
        let (parent, last) = cut.map_or((&plain[..0], plain), |at| (&plain[..at], &plain[at + 1..]));
        Some(Path { whole: plain, parent, last, slash: whole.len() < bytes.len() })
    }

    pub fn text<'m>(&mut self, memory: &'m [u8], text: Text) -> Option<&'m [u8]> {
        if !self.range(text.ptr, text.len) {
            return None;
        }
        let bytes = &memory[text.ptr as usize..][..text.len as usize];
        self.unless(bytes.len() <= PATH_MAX_BYTES, Errno::NAMETOOLONG);
        self.unless(!bytes.is_empty(), Errno::NOENT);
        self.unless(!bytes.contains(&0), Errno::INVAL);
        self.unless(!bytes.starts_with(b"/"), Errno::NOTCAPABLE);
        Some(bytes)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Path<'m> {
    pub whole: &'m [u8],
    pub parent: &'m [u8],
    pub last: &'m [u8],
    pub slash: bool,
}

impl Path<'_> {
    /// Refuses a last component that is no name, with these errnos for `.` and for `..`.
    pub fn named(self, dot: Errno, dots: Errno) -> Result<(), Errno> {
        match self.last {
            b"." => Err(dot),
            b".." => Err(dots),
            _ => Ok(()),
        }
    }
}

pub fn strip_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b'/'] = bytes {
        bytes = rest;
    }
    bytes
}

pub fn strip_start(mut bytes: &[u8]) -> &[u8] {
    while let [b'/', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

impl From<Errno> for Broken {
    fn from(errno: Errno) -> Self {
        Self(vec![errno])
    }
}

pub fn any_of<const N: usize>(errnos: [Errno; N]) -> Broken {
    Broken(errnos.to_vec())
}

/// A count that is not known but for its range.
pub fn counted(out: u32, max: usize) -> After {
    After::default().loosely(out as usize, 4).check(Check::AtMost { at: out as usize, max: max as u64 })
}

pub fn total(buffers: &[(usize, usize)]) -> usize {
    buffers.iter().map(|(_, len)| len).sum()
}

pub fn gather(memory: &[u8], buffers: &[(usize, usize)]) -> Vec<u8> {
    buffers.iter().flat_map(|(at, len)| &memory[*at..*at + *len]).copied().collect()
}

pub fn scatter(buffers: &[(usize, usize)], mut data: &[u8]) -> After {
    let mut after = After::default();
    for (at, len) in buffers {
        let (part, rest) = data.split_at(data.len().min(*len));
        if !part.is_empty() {
            after.writes.push((*at, part.to_vec()));
        }
        data = rest;
    }
    after
}

pub fn overlap(at: u32, len: usize, out: u32) -> bool {
    let (at, out) = (at as usize, out as usize);
    at < out + 4 && out < at + len
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
