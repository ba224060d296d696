//! What a sealed process has changed, seen from its parent, which traces it: every byte that can be read is compared with what
//! stood there before the first call of the guest, those that somebody may write left out.
//!
//! The process says by an `int3` when the time has come, since it may make no system call; it is asked for nothing afterwards.

#![allow(unsafe_code, reason = "a function that stops for its tracer")]

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use iced_x86::{Decoder, DecoderOptions, FlowControl};
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use wave_contract::context::{TABLE_ENTRIES, TABLE_ENTRY_BYTES};
use wave_runtime::inspect::{Place, Writer};
use wave_test_sealed::Result;

use crate::late;

const PAGE: usize = 4096;
/// In RAX where the process stops for the oracle, before and after.
const BEFORE: u64 = 0x6f72_6163_6c65;
const AFTER: u64 = BEFORE + 1;

/// What the process says of itself before the guest runs, when nothing can have gone wrong.
#[derive(Debug, Default)]
pub struct Scene {
    pub places: Vec<Place>,
    /// What may stand in tables, besides null.
    pub entries: Vec<[u8; TABLE_ENTRY_BYTES as usize]>,
    /// Where code lies, faults of which need not be recorded.
    pub code: Range<usize>,
    /// Where blocks of memory come from that are made later.
    pub late: usize,
}

impl Scene {
    /// One line each; the parent reads it from the memory of the process.
    pub fn write(&self) -> String {
        let mut text = format!("late {:x}\ncode {:x} {:x}\n", self.late, self.code.start, self.code.end);
        for Place { what, range, writer } in &self.places {
            writeln!(text, "{writer:?} {:x} {:x} {what}", range.start, range.end).expect("a string takes it");
        }
        for entry in &self.entries {
            writeln!(text, "entry {:032x}", u128::from_le_bytes(*entry)).expect("a string takes it");
        }
        text
    }

    fn read(text: &str) -> Result<Self> {
        const WRITERS: [Writer; 7] = [
            Writer::Guest,
            Writer::Memory,
            Writer::Length,
            Writer::LengthInBytes,
            Writer::Table,
            Writer::Runtime,
            Writer::Nobody,
        ];
        let mut scene = Self::default();
        for line in text.lines() {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            let number = |at: usize| usize::from_str_radix(words.get(at).unwrap_or(&""), 16);
            match words[0] {
                "late" => scene.late = number(1)?,
                "code" => scene.code = number(1)?..number(2)?,
                "entry" => scene.entries.push(u128::from_str_radix(words[1], 16)?.to_le_bytes()),
                writer => {
                    let writer = WRITERS.into_iter().find(|known| format!("{known:?}") == writer);
                    scene.places.push(Place {
                        what: words.get(3).ok_or("a place has no name")?.to_string().leak(),
                        range: number(1)?..number(2)?,
                        writer: writer.ok_or("nobody writes there")?,
                    });
                }
            }
        }
        Ok(scene)
    }
}

/// Stops, so that the oracle remembers everything, and goes on with `body(argument)`. Nothing above the stack pointer of this
/// moment changes any more: `body` does not return.
#[unsafe(naked)]
pub extern "C" fn watched(
    scene: *const u8,
    scene_len: usize,
    argument: *mut (),
    body: extern "C" fn(*mut ()) -> !,
) -> ! {
    core::arch::naked_asm!("mov rax, {mark}", "int3", "mov rdi, rdx", "jmp rcx", mark = const BEFORE)
}

/// Stops, so that the oracle compares.
pub fn compared() {
    // SAFETY: changes nothing. Without a tracer it ends the process.
    unsafe { core::arch::asm!("int3", in("rax") AFTER) };
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit code, after it had been compared.
    Code(i32),
    /// By a fault of the guest's code of which no table speaks.
    Fault,
    /// In another way.
    Other(WaitStatus),
}

/// What came of a process.
#[derive(Debug)]
pub struct Outcome {
    pub end: End,
    /// What changed and should not have, in order of the addresses.
    pub changes: Vec<String>,
    /// Bytes that were compared.
    pub compared: usize,
}

/// Watches a process that wants to be traced and stops itself first of all. `trace`: stops before each
/// instruction of the guest that is executed, and says which ones they are.
pub fn watch(process: Pid, mut trace: Option<&mut Trace>) -> Result<Outcome> {
    let mut subject = None;
    let mut before: Option<(Memory, Scene)> = None;
    let mut outcome = None;
    let mut fault = 0;
    loop {
        let mut signal = None;
        match waitpid(process, None)? {
            WaitStatus::Stopped(_, Signal::SIGSTOP) if subject.is_none() => {
                ptrace::setoptions(process, Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACEEXIT)?;
                // It cannot be opened any more when the process is sealed: it is not dumpable then.
                subject = Some(Subject::open(process)?);
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                let subject = subject.as_mut().ok_or("it did not stop at the beginning")?;
                let registers = ptrace::getregs(process)?;
                match (&before, registers.rax) {
                    (None, BEFORE) => {
                        let text = subject.bytes(usize::try_from(registers.rdi)?, usize::try_from(registers.rsi)?)?;
                        let mut scene = Scene::read(&String::from_utf8(text)?)?;
                        scene.places.push(Place {
                            what: "stack of the host that is not in use",
                            range: subject.stack()?.start..usize::try_from(registers.rsp)?,
                            writer: Writer::Runtime,
                        });
                        let (_, scene) = before.insert((subject.memory(&scene)?, scene));
                        if let Some(trace) = &mut trace {
                            trace.follow(process, subject, scene)?;
                        }
                    }
                    (Some((before, scene)), AFTER) if outcome.is_none() => {
                        outcome = Some(subject.compare(before, scene)?);
                    }
                    _ => signal = Some(Signal::SIGTRAP),
                }
            }
            WaitStatus::PtraceEvent(_, _, event) if event == Event::PTRACE_EVENT_EXIT as i32 => {
                if let (Some((before, scene)), None, Some(subject)) = (&before, &outcome, &mut subject) {
                    outcome = Some(subject.compare(before, scene)?);
                }
            }
            WaitStatus::Stopped(_, other) => {
                if matches!(other, Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL | Signal::SIGFPE) {
                    fault = usize::try_from(ptrace::getregs(process)?.rip)?;
                }
                signal = Some(other);
            }
            end @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => {
                let (changes, compared) = outcome.ok_or_else(|| format!("not compared: {end:?}"))?;
                let faults = 128 + Signal::SIGILL as i32..=128 + Signal::SIGSEGV as i32;
                let end = match end {
                    WaitStatus::Exited(_, code) if code < 128 => End::Code(code),
                    WaitStatus::Exited(_, code)
                        if faults.contains(&code) && before.is_some_and(|(_, scene)| scene.code.contains(&fault)) =>
                    {
                        End::Fault
                    }
                    other => End::Other(other),
                };
                return Ok(Outcome { end, changes, compared });
            }
            other => return Err(format!("unexpected: {other:?}").into()),
        }
        ptrace::cont(process, signal)?;
    }
}

/// Which instructions of the guest were executed.
#[derive(Default)]
pub struct Trace {
    /// Their addresses.
    pub executed: BTreeSet<usize>,
    /// Where the code of each function of the store begins.
    pub functions: Vec<usize>,
    /// Where an `int3` stands, and the byte in whose place.
    breakpoints: BTreeMap<usize, u8>,
}

/// Stops a process that is traced.
const INT3: u8 = 0xcc;

impl Trace {
    /// Until the process is to be compared. It stops before each instruction once, and each time before one that goes where a
    /// register or memory says: a collector that runs for millions of instructions has some thousands of them.
    fn follow(&mut self, process: Pid, subject: &Subject, scene: &Scene) -> Result<()> {
        let code = scene.entries.iter().map(|[a, b, c, d, e, f, g, h, ..]| [*a, *b, *c, *d, *e, *f, *g, *h]);
        self.functions = code.map(usize::from_le_bytes).collect();
        // The guest is entered by the same code each time.
        let mut at = step(process)?;
        while !scene.code.contains(&at) {
            at = step(process)?;
        }
        self.reach(process, subject, scene, at)?;
        let mut signal = None;
        loop {
            ptrace::cont(process, signal)?;
            signal = match waitpid(process, None)? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => None,
                // A trap of the guest.
                WaitStatus::Stopped(_, other) => Some(other),
                end => return Err(format!("code that was not changed: {end:?}").into()),
            };
            if signal.is_some() {
                continue;
            }
            let mut registers = ptrace::getregs(process)?;
            registers.rip -= 1;
            let at = usize::try_from(registers.rip)?;
            ptrace::setregs(process, registers)?;
            if let Some(byte) = self.breakpoints.remove(&at) {
                subject.write(at, byte)?;
                self.reach(process, subject, scene, at)?;
            } else if registers.rax == AFTER {
                // It stops there once more, with its code as it was.
                return std::mem::take(&mut self.breakpoints)
                    .into_iter()
                    .try_for_each(|(at, byte)| subject.write(at, byte));
            } else {
                return Err(format!("it stopped at {at:#x}").into());
            }
        }
    }

    /// The process stands before this instruction of the guest, where no breakpoint is: notes it, and stops at what follows.
    fn reach(&mut self, process: Pid, subject: &Subject, scene: &Scene, mut at: usize) -> Result<()> {
        const LONGEST: usize = 15;
        loop {
            self.executed.insert(at);
            let bytes = subject.bytes(at, LONGEST.min(scene.code.end - at))?;
            let instruction = Decoder::with_ip(64, &bytes, at as u64, DecoderOptions::NONE).decode();
            let next = usize::try_from(instruction.next_ip())?;
            let target = || usize::try_from(instruction.near_branch_target());
            let flow = instruction.flow_control();
            let follows = match flow {
                FlowControl::Next | FlowControl::IndirectCall => vec![next],
                FlowControl::Call | FlowControl::ConditionalBranch => vec![next, target()?],
                FlowControl::UnconditionalBranch => vec![target()?],
                _ => Vec::new(),
            };
            for follows in follows.into_iter().filter(|follows| scene.code.contains(follows)) {
                if !self.executed.contains(&follows) {
                    self.stop_at(subject, follows)?;
                }
            }
            if !matches!(flow, FlowControl::IndirectCall | FlowControl::IndirectBranch) {
                return Ok(());
            }
            // To see where it goes, this time and the next.
            let to = step(process)?;
            self.stop_at(subject, at)?;
            if !scene.code.contains(&to) || self.executed.contains(&to) || self.breakpoints.contains_key(&to) {
                return Ok(());
            }
            at = to;
        }
    }

    fn stop_at(&mut self, subject: &Subject, at: usize) -> Result<()> {
        if let Entry::Vacant(place) = self.breakpoints.entry(at) {
            place.insert(subject.bytes(at, 1)?[0]);
            subject.write(at, INT3)?;
        }
        Ok(())
    }
}

/// Executes one instruction of a process, and says where it went.
fn step(process: Pid) -> Result<usize> {
    ptrace::step(process, None)?;
    match waitpid(process, None)? {
        WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(usize::try_from(ptrace::getregs(process)?.rip)?),
        end => Err(format!("code that was not changed: {end:?}").into()),
    }
}

/// A line of /proc/PID/maps.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    range: Range<usize>,
    access: String,
    /// Of the file, its device, number and offset; and a name.
    what: String,
}

impl Mapping {
    fn is_anonymous(&self) -> bool {
        self.what.starts_with("00:00 0")
    }

    fn name(&self) -> &str {
        self.what.splitn(3, ' ').nth(2).filter(|name| !name.is_empty()).unwrap_or("anonymous memory")
    }
}

/// The pages of a process that differ from what a mapping begins with: zeroes, or a file.
struct Memory {
    mappings: Vec<Mapping>,
    pages: BTreeMap<usize, usize>,
    bytes: Vec<u8>,
}

const ZEROES: [u8; PAGE] = [0; PAGE];

impl Memory {
    fn page(&self, address: usize) -> Option<&[u8]> {
        self.pages.get(&address).map(|at| &self.bytes[*at..*at + PAGE])
    }

    fn mapping(&self, address: usize) -> Option<&Mapping> {
        self.mappings.iter().find(|mapping| mapping.range.contains(&address))
    }

    /// Bytes of accessible memory; zeroes where there is none.
    fn read(&self, range: Range<usize>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(range.len());
        let mut at = range.start;
        while at < range.end {
            let (page, from) = (at / PAGE * PAGE, at % PAGE);
            let len = (PAGE - from).min(range.end - at);
            bytes.extend(&self.page(page).unwrap_or(&ZEROES)[from..from + len]);
            at += len;
        }
        bytes
    }

    /// Bytes that are accessible from the beginning of a reservation on; `None` if others in it are too.
    fn accessible(&self, reservation: &Range<usize>) -> Option<usize> {
        let mut end = reservation.start;
        for mapping in clipped(&self.mappings, reservation) {
            match &*mapping.access {
                "rw-p" if mapping.range.start == end => end = mapping.range.end,
                "---p" => {}
                _ => return None,
            }
        }
        Some(end - reservation.start)
    }
}

/// What of the mappings lies in a range.
fn clipped<'a>(mappings: &'a [Mapping], within: &'a Range<usize>) -> impl Iterator<Item = Mapping> + 'a {
    let clip = |mapping: &Mapping| {
        let range = mapping.range.start.max(within.start)..mapping.range.end.min(within.end);
        (!range.is_empty()).then(|| Mapping { range, ..mapping.clone() })
    };
    mappings.iter().filter_map(clip)
}

/// What of the mappings does not lie in these ranges, neighbors that are alike as one.
fn outside(mappings: &[Mapping], ranges: &[Range<usize>]) -> Vec<Mapping> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable_by_key(|range| range.start);
    let starts = std::iter::once(0).chain(ranges.iter().map(|range| range.end));
    let gaps: Vec<_> = starts.zip(ranges.iter().map(|range| range.start).chain([usize::MAX])).collect();
    let mut all: Vec<Mapping> = Vec::new();
    for (start, end) in gaps {
        for mapping in clipped(mappings, &(start..end)) {
            match all.last_mut() {
                Some(last)
                    if last.range.end == mapping.range.start
                        && mapping.is_anonymous()
                        && (&last.access, &last.what) == (&mapping.access, &mapping.what) =>
                {
                    last.range.end = mapping.range.end;
                }
                _ => all.push(mapping),
            }
        }
    }
    all
}

/// What is open of a process.
struct Subject {
    maps: File,
    pagemap: File,
    memory: File,
}

impl Subject {
    fn open(process: Pid) -> Result<Self> {
        let open = |name: &str| File::open(format!("/proc/{process}/{name}"));
        // Opened early: after its seal, an ordinary user may no longer look into the process.
        let memory = File::options().read(true).write(true).open(format!("/proc/{process}/mem"))?;
        Ok(Self { maps: open("maps")?, pagemap: open("pagemap")?, memory })
    }

    /// Writes a byte, also of code.
    fn write(&self, at: usize, byte: u8) -> Result<()> {
        Ok(self.memory.write_all_at(&[byte], at as u64)?)
    }

    fn bytes(&self, at: usize, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.memory.read_exact_at(&mut bytes, at as u64)?;
        Ok(bytes)
    }

    fn mappings(&mut self) -> Result<Vec<Mapping>> {
        let mut text = String::new();
        self.maps.rewind()?;
        self.maps.read_to_string(&mut text)?;
        let mapping = |line: &str| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let words: Vec<_> = rest.splitn(5, ' ').collect();
            let [access, offset, device, inode, name] = words[..] else { return None };
            let hex = |number| usize::from_str_radix(number, 16).ok();
            // The offset of memory without a file is none.
            let offset = if inode == "0" { "" } else { offset };
            let what = format!("{device} {inode}{offset} {}", name.trim());
            Some(Mapping { range: hex(start)?..hex(end)?, access: access.to_owned(), what })
        };
        let all = text.lines().map(|line| mapping(line).ok_or_else(|| format!("cannot read `{line}`")));
        Ok(all.collect::<std::result::Result<_, _>>()?)
    }

    fn stack(&mut self) -> Result<Range<usize>> {
        let stack = self.mappings()?.into_iter().find(|mapping| mapping.name() == "[stack]");
        Ok(stack.ok_or("there is no stack")?.range)
    }

    /// Remembers everything but what the guest may write as it likes, in whole pages.
    fn memory(&mut self, scene: &Scene) -> Result<Memory> {
        const PRESENT: u64 = 1 << 63;
        const SWAPPED: u64 = 1 << 62;
        const OF_FILE: u64 = 1 << 61;

        let mut memory = Memory { mappings: self.mappings()?, pages: BTreeMap::new(), bytes: Vec::new() };
        let free = scene.places.iter().filter(|place| matches!(place.writer, Writer::Guest | Writer::Memory));
        let free: Vec<_> = free.map(|place| place.range.clone()).filter(|range| range.len() >= PAGE).collect();
        for mapping in outside(&memory.mappings, &free) {
            // What nobody can reach has not been changed. The kernel's own data page changes and cannot be written.
            let is_kernels = mapping.what.contains("[v");
            if mapping.access.starts_with("---") || is_kernels {
                continue;
            }
            let is_writable = mapping.access.as_bytes()[1] == b'w';
            let first = mapping.range.start / PAGE;
            let mut states = vec![0; (mapping.range.len() / PAGE) * 8];
            self.pagemap.read_exact_at(&mut states, 8 * first as u64)?;
            let mut run: Option<Range<usize>> = None;
            let states = states.as_chunks::<8>().0.iter().map(|state| u64::from_le_bytes(*state));
            // One more ends the last run.
            for (page, state) in (first..).zip(states.map(Some).chain([None])) {
                let differs = state.is_some_and(|state| match mapping.is_anonymous() {
                    true => state & (PRESENT | SWAPPED) != 0,
                    // What can be written has to be there, to be compared when it is.
                    false => is_writable || (state & (PRESENT | SWAPPED) != 0 && state & OF_FILE == 0),
                });
                match (differs, &mut run) {
                    (true, Some(run)) => run.end += PAGE,
                    (true, None) => run = Some(page * PAGE..(page + 1) * PAGE),
                    (false, _) => {
                        if let Some(run) = run.take() {
                            let at = memory.bytes.len();
                            memory.bytes.resize(at + run.len(), 0);
                            self.memory.read_exact_at(&mut memory.bytes[at..], run.start as u64)?;
                            memory.pages.extend(run.step_by(PAGE).zip((at..).step_by(PAGE)));
                        }
                    }
                }
            }
        }
        Ok(memory)
    }

    /// What has changed that should not have, and how much was looked at.
    fn compare(&mut self, before: &Memory, scene: &Scene) -> Result<(Vec<String>, usize)> {
        let after = self.memory(scene)?;
        let mut changes = Vec::new();
        let writable = self.writable(before, &after, scene, &mut changes)?;
        let kept = |memory: &Memory| {
            let memories = scene.places.iter().filter(|place| place.writer == Writer::Memory);
            let memories: Vec<_> = memories.map(|place| place.range.clone()).collect();
            let mut all = outside(&memory.mappings, &memories);
            // It grows as the host's own code needs it.
            all.iter_mut().filter(|mapping| mapping.name() == "[stack]").for_each(|stack| stack.range.start = 0);
            all
        };
        let (old, new) = (kept(before), kept(&after));
        changes.extend(old.iter().filter(|mapping| !new.contains(mapping)).map(|gone| format!("gone: {gone:?}")));
        changes.extend(new.iter().filter(|mapping| !old.contains(mapping)).map(|come| format!("come: {come:?}")));

        let mut addresses: Vec<_> = before.pages.keys().chain(after.pages.keys()).copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut different: Vec<Range<usize>> = Vec::new();
        for page in &addresses {
            let is_anonymous = after.mapping(*page).is_none_or(Mapping::is_anonymous);
            let of = |memory: &Memory| memory.page(*page).map(<[u8]>::to_vec).or(is_anonymous.then(|| ZEROES.to_vec()));
            if before.page(*page).is_some() && before.page(*page) == after.page(*page) {
                continue;
            }
            // A page of a file that nobody can write is another one.
            let (Some(old), Some(new)) = (of(before), of(&after)) else {
                different.push(*page..page + PAGE);
                continue;
            };
            for at in (0..PAGE).filter(|at| old[*at] != new[*at]).map(|at| page + at) {
                if writable.iter().any(|range| range.contains(&at)) {
                    continue;
                }
                match different.last_mut() {
                    Some(last) if last.end == at => last.end += 1,
                    _ => different.push(at..at + 1),
                }
            }
        }
        for Range { start, end } in different {
            let places = scene.places.iter().filter(|place| place.range.contains(&start));
            let place = places.min_by_key(|place| place.range.len());
            let what = match (place, after.mapping(start)) {
                (Some(place), _) => place.what,
                (None, Some(mapping)) => mapping.name(),
                (None, None) => "nothing",
            };
            let offset = place.map_or(0, |place| start - place.range.start);
            changes.push(format!("{what}: {} bytes at {start:x}, {offset:#x} in it", end - start));
        }
        Ok((changes, PAGE * addresses.len()))
    }

    /// Where bytes may differ. What the runtime alone writes for the guest says what it can.
    fn writable(
        &self,
        before: &Memory,
        after: &Memory,
        scene: &Scene,
        changes: &mut Vec<String>,
    ) -> Result<Vec<Range<usize>>> {
        let mut writable = Vec::new();
        let mut accessible = None;
        let mut list = Vec::new();
        for Place { what, range, writer } in &scene.places {
            match writer {
                Writer::Guest => writable.push(range.clone()),
                Writer::Runtime => {
                    // The last before a table is where the runtime keeps its list.
                    list = after.read(range.clone());
                    writable.push(range.clone());
                }
                Writer::Memory => {
                    let (old, new) = (before.accessible(range), after.accessible(range));
                    accessible = new;
                    if old.is_none_or(|old| new.is_none_or(|new| new < old)) {
                        changes.push(format!("{what}: {old:x?} bytes were accessible, now {new:x?}"));
                    }
                    writable.push(range.start..range.start + new.unwrap_or(0));
                }
                Writer::Length | Writer::LengthInBytes => {
                    let word = range.start..range.start + 8;
                    let says = after.read(word.clone());
                    let says = usize::from_le_bytes(says.try_into().expect("a word has eight bytes"));
                    let granule = if *writer == Writer::Length { 1 } else { PAGE };
                    if accessible.is_none_or(|len| says.checked_next_multiple_of(granule) != Some(len)) {
                        changes.push(format!("{what}: says {says:x} of {accessible:x?} bytes"));
                    }
                    writable.push(word);
                }
                Writer::Table => {
                    let (old, new) = (before.read(range.clone()), after.read(range.clone()));
                    let fault = table_fault(&old, &new, &list, &scene.entries);
                    changes.extend(fault.map(|fault| format!("{what}: {fault}")));
                    writable.push(range.clone());
                }
                Writer::Nobody => {}
            }
        }
        match late::writable(scene.late, &self.bytes(scene.late, size_of::<late::List>())?) {
            Some(blocks) => writable.extend(blocks),
            None => changes.push("blocks of the host: their list is damaged".to_owned()),
        }
        Ok(writable)
    }
}

/// What is wrong with the bytes of a table. `list`: of how many references the runtime knows, and other words.
fn table_fault(
    old: &[u8],
    new: &[u8],
    list: &[u8],
    entries: &[[u8; TABLE_ENTRY_BYTES as usize]],
) -> Option<&'static str> {
    let (head, rest) = new.split_at(TABLE_ENTRIES as usize);
    if head[4..] != old[4..TABLE_ENTRIES as usize] {
        return Some("a header that was written");
    }
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if !list.as_chunks::<8>().0.iter().any(|word| usize::from_le_bytes(*word) == len) {
        return Some("a length that is not its list's");
    }
    let all = rest.as_chunks::<{ TABLE_ENTRY_BYTES as usize }>().0;
    let is_null = |entry: &[u8; TABLE_ENTRY_BYTES as usize]| *entry == [0; TABLE_ENTRY_BYTES as usize];
    let (inside, beyond) = all.split_at(len.min(all.len()));
    if !inside.iter().all(|entry| is_null(entry) || entries.contains(entry)) {
        return Some("an entry that is no function");
    }
    (!beyond.iter().all(is_null)).then_some("an entry past its end")
}
