//! One run: the calls on the real host, the model beside them, and what must hold.

use super::alarm::{Alarm, interrupted};
use super::answer::{Answer, Outcome};
use super::calls::{Call, Op, Sequence};
use super::ops::sequence;
use super::predict::Model;
use super::world::{ARGS, ENVIRON, Peers, World};
use super::{FILE_MAX_BYTES, MAX_OPEN_FILES};
use rustix::fs::OFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;
use wave_wasi::{Config, Errno, Failure, Resolver, Wasi, preview1, unstable};

/// How long a call that has to wait is left waiting.
const PATIENCE: Duration = Duration::from_micros(500);

/// How long a call that does not have to wait may take. A busy disk may need long.
const HANG: Duration = Duration::from_secs(60);

/// How much processor time any call may take.
const CALL_MAX: Duration = Duration::from_secs(1);

/// What went wrong.
#[derive(Debug)]
pub struct Violation {
    /// After this call; `None` when it was found at the end.
    pub at: Option<usize>,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "call {at}: {}", self.what),
            None => write!(f, "at the end: {}", self.what),
        }
    }
}

/// How often each call ended how.
pub type Tally = BTreeMap<&'static str, BTreeMap<String, u64>>;

/// Runs sequences, one after the other, in this process.
#[derive(Debug)]
pub struct Machine {
    world: World,
    alarm: Alarm,
    pub tally: Tally,
}

/// Where the last panic was.
static PANIC: Mutex<String> = Mutex::new(String::new());

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Sets what the process needs: ignored signals and a panic hook.
    pub fn new() -> Self {
        std::panic::set_hook(Box::new(|info| {
            if let Ok(mut last) = PANIC.lock() {
                *last = info.to_string();
            }
        }));
        Self { world: World::new(), alarm: Alarm::new(), tally: Tally::default() }
    }

    /// The sequence that some bytes stand for.
    pub fn sequence(&self, bytes: &[u8]) -> Sequence {
        sequence(bytes, |limits| self.world.model(limits))
    }

    /// Performs a sequence with each resolver.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn run(&mut self, sequence: &Sequence) -> Result<(), Violation> {
        let kernel = self.run_with(sequence, Resolver::Kernel)?;
        let manual = self.run_with(sequence, Resolver::Manual)?;
        for (at, (op, (kernel, manual))) in sequence.ops.iter().zip(kernel.iter().zip(&manual)).enumerate() {
            if op.call.name().starts_with("Path") && kernel != manual {
                let what = format!("{op:?} ended {kernel:?} with openat2 and {manual:?} without");
                return Err(Violation { at: Some(at), what });
            }
        }
        Ok(())
    }

    /// Returns how each call ended.
    fn run_with(&mut self, sequence: &Sequence, resolver: Resolver) -> Result<Vec<Outcome>, Violation> {
        let before = open_descriptors();
        // For the run only: the fuzzer has large files of its own.
        let sizes = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: Some(FILE_MAX_BYTES), ..sizes }).expect("a lower limit");
        let run = catch_unwind(AssertUnwindSafe(|| self.perform(sequence, resolver)));
        setrlimit(Resource::Fsize, sizes).expect("the limit as it was");
        self.alarm.clear();
        self.world.leave();
        let run = run.unwrap_or_else(|_| {
            let what = PANIC.lock().map(|last| last.clone()).unwrap_or_default();
            Err(Violation { at: None, what: format!("panic: {what}") })
        });
        if run.is_err() {
            self.world.spoil();
        }
        let after = open_descriptors();
        if before != after && run.is_ok() {
            return Err(Violation { at: None, what: format!("{before} open descriptors became {after}") });
        }
        run.map_err(|Violation { at, what }| Violation { at, what: format!("{what} ({resolver:?} resolver)") })
    }

    fn perform(&mut self, sequence: &Sequence, resolver: Resolver) -> Result<Vec<Outcome>, Violation> {
        let start = self.world.enter();
        let mut model = self.world.model(sequence.limits);
        let bytes = |list: &[&str]| list.iter().map(|text| text.as_bytes().to_vec()).collect();
        let config = Config {
            args: bytes(ARGS),
            env: bytes(ENVIRON),
            preopens: start.preopens,
            interrupted,
            limits: sequence.limits,
            resolver,
            ..Config::default()
        };
        let mut wasi = Wasi::new(config).expect("the grants are directories");
        wasi.add_listener(start.listener).expect("there is room");
        wasi.add_stream_socket(start.stream).expect("there is room");
        let flags = stream_flags();
        let others = open_descriptors() - model.table.owned();

        let outcomes = self.steps(&sequence.ops, &mut wasi, &mut model, &start.peers, others)?;
        let fail = |what| Err(Violation { at: None, what });
        let (open, expected) = (open_descriptors(), others + model.table.owned());
        if open != expected {
            return fail(format!("{open} open descriptors, not {expected}"));
        }
        if stream_flags() != flags {
            return fail("flags of the standard streams changed (T35)".to_owned());
        }
        drop(wasi);
        match self.world.compare(model.tree) {
            Ok(()) => Ok(outcomes),
            Err(what) => fail(what),
        }
    }

    fn steps(
        &mut self,
        ops: &[Op],
        wasi: &mut Wasi,
        model: &mut Model,
        peers: &Peers,
        others: usize,
    ) -> Result<Vec<Outcome>, Violation> {
        let mut outcomes = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            let mut memory = op.memory();
            let before = memory.clone();
            let answer = model.predict(&op.call, &before);
            self.alarm.set(if answer.may_wait() { PATIENCE } else { HANG });
            let start = processor_time();
            let outcome = call_patiently(&op.call, wasi, &mut memory);
            let time = processor_time().saturating_sub(start);
            if op.call.sends() {
                peers.drain();
            }
            outcomes.push(outcome);
            *self.tally.entry(op.call.name()).or_default().entry(word(outcome)).or_default() += 1;

            judge(model, &answer, outcome, &before, &memory)
                .and_then(|()| if time < CALL_MAX { Ok(()) } else { Err(format!("it took {time:?}")) })
                .and_then(|()| if op.call.opens() { descriptors_left(others) } else { Ok(()) })
                .map_err(|what| Violation { at: Some(at), what: format!("{op:?} ended {outcome:?}: {what}") })?;
        }
        Ok(outcomes)
    }
}

/// Compares how a call ended with how it had to.
fn judge(model: &mut Model, answer: &Answer, outcome: Outcome, before: &[u8], after: &[u8]) -> Result<(), String> {
    if !answer.outcomes.contains(&outcome) {
        return Err(format!("expected {:?}", answer.outcomes));
    }
    if outcome.is_err() {
        return match difference(before, after) {
            Some(at) => Err(format!("a call that failed wrote to memory at {at}")),
            None => Ok(()),
        };
    }
    let mut expected = before.to_vec();
    for (at, bytes) in &answer.after.writes {
        expected[*at..][..bytes.len()].copy_from_slice(bytes);
    }
    for range in &answer.after.loose {
        expected[range.clone()].copy_from_slice(&after[range.clone()]);
    }
    if let Some(at) = difference(&expected, after) {
        let end = (at + 16).min(expected.len());
        return Err(format!("memory at {at} is {:?}, not {:?}", &after[at..end], &expected[at..end]));
    }
    answer.after.checks.iter().try_for_each(|check| model.verify(check, after))
}

fn difference(one: &[u8], other: &[u8]) -> Option<usize> {
    if one == other { None } else { one.iter().zip(other).position(|(one, other)| one != other) }
}

/// The processor time of this thread, in the kernel too.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// How a call ended, for the tally.
fn word(outcome: Outcome) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(Failure::Errno(errno)) => errno.name().to_owned(),
        Err(Failure::Stop(_)) => "stop".to_owned(),
    }
}

/// How many descriptors this process has.
fn open_descriptors() -> usize {
    // One of them is the listing's own.
    std::fs::read_dir("/proc/self/fd").expect("procfs is there").count() - 1
}

/// Cheap: the lowest free number is not far up.
fn descriptors_left(others: usize) -> Result<(), String> {
    use std::os::fd::AsRawFd;
    let free = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 0).map_err(|error| error.to_string())?;
    let most = others + MAX_OPEN_FILES as usize + 8;
    if free.as_raw_fd() as usize <= most { Ok(()) } else { Err(format!("descriptor {free:?} above {most}")) }
}

/// The host's flags of the standard streams.
fn stream_flags() -> [OFlags; 3] {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    streams.map(|stream| rustix::fs::fcntl_getfl(stream).expect("open"))
}

/// The shortest part of a sequence that still goes wrong, and how.
pub fn smallest(machine: &mut Machine, sequence: &Sequence, mut violation: Violation) -> (Sequence, Violation) {
    let mut sequence = sequence.clone();
    loop {
        let len = sequence.ops.len();
        for at in (0..len).rev() {
            let mut fewer = sequence.clone();
            fewer.ops.remove(at);
            if let Err(still) = machine.run(&fewer) {
                (sequence, violation) = (fewer, still);
            }
        }
        if sequence.ops.len() == len {
            return (sequence, violation);
        }
    }
}

/// As a guest does: `openat2` says `EAGAIN` while others rename anything on the host, and `wave` gives up at last.
fn call_patiently(one: &Call, wasi: &mut Wasi, memory: &mut [u8]) -> Outcome {
    let mut outcome = call(one, wasi, memory);
    for _ in 0..1000 {
        if !one.name().starts_with("Path") || outcome != Err(Errno::AGAIN.into()) {
            break;
        }
        outcome = call(one, wasi, memory);
    }
    outcome
}

/// One arm per hostcall.
#[rustfmt::skip]
fn call(call: &Call, w: &mut Wasi, m: &mut [u8]) -> Outcome {
    use preview1 as p;
    match *call {
        Call::ArgsGet { array, buf } => p::args_get(w, m, array, buf),
        Call::ArgsSizesGet { count, size } => p::args_sizes_get(w, m, count, size),
        Call::EnvironGet { array, buf } => p::environ_get(w, m, array, buf),
        Call::EnvironSizesGet { count, size } => p::environ_sizes_get(w, m, count, size),
        Call::ClockResGet { id, out } => p::clock_res_get(w, m, id, out),
        Call::ClockTimeGet { id, precision, out } => p::clock_time_get(w, m, id, precision, out),
        Call::FdAdvise { fd, offset, len, advice } => p::fd_advise(w, m, fd, offset, len, advice),
        Call::FdAllocate { fd, offset, len } => p::fd_allocate(w, m, fd, offset, len),
        Call::FdClose { fd } => p::fd_close(w, m, fd),
        Call::FdDatasync { fd } => p::fd_datasync(w, m, fd),
        Call::FdFdstatGet { fd, out } => p::fd_fdstat_get(w, m, fd, out),
        Call::FdFdstatSetFlags { fd, flags } => p::fd_fdstat_set_flags(w, m, fd, flags),
        Call::FdFdstatSetRights { fd, base, inheriting } => p::fd_fdstat_set_rights(w, m, fd, base, inheriting),
        Call::FdFilestatGet { fd, out, old: false } => p::fd_filestat_get(w, m, fd, out),
        Call::FdFilestatGet { fd, out, old: true } => unstable::fd_filestat_get(w, m, fd, out),
        Call::FdFilestatSetSize { fd, size } => p::fd_filestat_set_size(w, m, fd, size),
        Call::FdFilestatSetTimes { fd, atim, mtim, flags } => p::fd_filestat_set_times(w, m, fd, atim, mtim, flags),
        Call::FdPread { fd, iovs, count, offset, out } => p::fd_pread(w, m, fd, iovs, count, offset, out),
        Call::FdPrestatDirName { fd, buf, len } => p::fd_prestat_dir_name(w, m, fd, buf, len),
        Call::FdPrestatGet { fd, out } => p::fd_prestat_get(w, m, fd, out),
        Call::FdPwrite { fd, iovs, count, offset, out } => p::fd_pwrite(w, m, fd, iovs, count, offset, out),
        Call::FdRead { fd, iovs, count, out } => p::fd_read(w, m, fd, iovs, count, out),
        Call::FdReaddir { fd, buf, len, cookie, out } => p::fd_readdir(w, m, fd, buf, len, cookie, out),
        Call::FdRenumber { from, to } => p::fd_renumber(w, m, from, to),
        Call::FdSeek { fd, offset, whence, out, old: false } => p::fd_seek(w, m, fd, offset, whence, out),
        Call::FdSeek { fd, offset, whence, out, old: true } => unstable::fd_seek(w, m, fd, offset, whence, out),
        Call::FdSync { fd } => p::fd_sync(w, m, fd),
        Call::FdTell { fd, out } => p::fd_tell(w, m, fd, out),
        Call::FdWrite { fd, iovs, count, out } => p::fd_write(w, m, fd, iovs, count, out),
        Call::PathCreateDirectory { fd, path } => p::path_create_directory(w, m, fd, path.ptr, path.len),
        Call::PathFilestatGet { fd, lookup, path, out, old: false } => {
            p::path_filestat_get(w, m, fd, lookup, path.ptr, path.len, out)
        }
        Call::PathFilestatGet { fd, lookup, path, out, old: true } => {
            unstable::path_filestat_get(w, m, fd, lookup, path.ptr, path.len, out)
        }
        Call::PathFilestatSetTimes { fd, lookup, path, atim, mtim, flags } => {
            p::path_filestat_set_times(w, m, fd, lookup, path.ptr, path.len, atim, mtim, flags)
        }
        Call::PathLink { old_fd, lookup, old, new_fd, new } => {
            p::path_link(w, m, old_fd, lookup, old.ptr, old.len, new_fd, new.ptr, new.len)
        }
        Call::PathOpen { fd, lookup, path, oflags, base, inheriting, fdflags, out } => {
            p::path_open(w, m, fd, lookup, path.ptr, path.len, oflags, base, inheriting, fdflags, out)
        }
        Call::PathReadlink { fd, path, buf, len, out } => p::path_readlink(w, m, fd, path.ptr, path.len, buf, len, out),
        Call::PathRemoveDirectory { fd, path } => p::path_remove_directory(w, m, fd, path.ptr, path.len),
        Call::PathRename { old_fd, old, new_fd, new } => {
            p::path_rename(w, m, old_fd, old.ptr, old.len, new_fd, new.ptr, new.len)
        }
        Call::PathSymlink { target, fd, path } => p::path_symlink(w, m, target.ptr, target.len, fd, path.ptr, path.len),
        Call::PathUnlinkFile { fd, path } => p::path_unlink_file(w, m, fd, path.ptr, path.len),
        Call::PollOneoff { input, output, count, out, old: false } => p::poll_oneoff(w, m, input, output, count, out),
        Call::PollOneoff { input, output, count, out, old: true } => {
            unstable::poll_oneoff(w, m, input, output, count, out)
        }
        Call::ProcExit { code } => p::proc_exit(w, m, code),
        Call::ProcRaise { signal } => p::proc_raise(w, m, signal),
        Call::RandomGet { buf, len } => p::random_get(w, m, buf, len),
        Call::SchedYield {} => p::sched_yield(w, m),
        Call::SockAccept { fd, flags, out } => p::sock_accept(w, m, fd, flags, out),
        Call::SockRecv { fd, list, count, flags, out, out_flags } => {
            p::sock_recv(w, m, fd, list, count, flags, out, out_flags)
        }
        Call::SockSend { fd, list, count, flags, out } => p::sock_send(w, m, fd, list, count, flags, out),
        Call::SockShutdown { fd, how } => p::sock_shutdown(w, m, fd, how),
    }
}
