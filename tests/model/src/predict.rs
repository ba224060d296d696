//! What each call has to do.
//!
//! A call that breaks several rules at once may name any of them: which one comes first is nobody's
//! promise. So the rules a call breaks before the file system is asked are collected, and the
//! answer has to be one of them. After that the answer of Linux is exact, except where it is an
//! accident of its code; there the set is written out.

mod data;
mod fds;
mod names;
mod verify;
mod waiting;

use super::answer::{After, Answer, Broken, Outcome, Predicted};
use super::calls::Call;
use super::table::Table;
use super::tree::{Ino, Tree};
use std::collections::{BTreeMap, HashMap};
use wave_monitor::{Errno, Limits, Rights};
use wave_wasi::Stop;

/// The guest's whole state as it should be.
#[derive(Debug)]
pub struct Model {
    pub tree: Tree,
    pub table: Table,
    /// The furthest a position can be on this file system.
    pub position_max: u64,
    /// Its written and output bytes are what is left of them.
    limits: Limits,
    /// The order of the entries of a directory in one version, as far as the guest has seen it.
    orders: HashMap<(Ino, u64), BTreeMap<u64, Vec<u8>>>,
    /// Inode numbers of the host, as far as the guest has seen them.
    seen: HashMap<Ino, u64>,
}

impl Model {
    pub fn new(tree: Tree, mut table: Table, position_max: u64, limits: Limits) -> Self {
        table.limit = limits.open_files;
        Self { tree, table, position_max, limits, orders: HashMap::new(), seen: HashMap::new() }
    }

    /// Says what a call has to do, and does it to the model.
    pub fn predict(&mut self, call: &Call, memory: &[u8]) -> Answer {
        if let Call::ProcExit { code } = *call {
            return Answer { outcomes: vec![Err(Stop::Exit(code).into())], after: After::default() };
        }
        if let Call::ProcRaise { signal } = *call {
            return Answer { outcomes: vec![raise(signal)], after: After::default() };
        }
        match self.call(call, memory) {
            Ok(mut after) => {
                let mut outcomes = std::mem::take(&mut after.others);
                if !after.fails {
                    outcomes.push(Ok(()));
                }
                Answer { outcomes, after }
            }
            Err(Broken(errnos)) => {
                let outcomes = errnos.into_iter().map(|errno| Err(errno.into())).collect();
                Answer { outcomes, after: After::default() }
            }
        }
    }

    #[rustfmt::skip]
    fn call(&mut self, call: &Call, m: &[u8]) -> Predicted {
        match *call {
            Call::ArgsGet { array, buf } => strings(array, buf, super::world::ARGS),
            Call::ArgsSizesGet { count, size } => strings_sizes(count, size, super::world::ARGS),
            Call::EnvironGet { array, buf } => strings(array, buf, super::world::ENVIRON),
            Call::EnvironSizesGet { count, size } => strings_sizes(count, size, super::world::ENVIRON),
            Call::ClockResGet { id, out } | Call::ClockTimeGet { id, out, .. } => clock(id, out),
            Call::FdAdvise { fd, offset, len, advice } => self.advise(fd, offset, len, advice),
            Call::FdAllocate { fd, offset, len } => self.allocate(fd, offset, len),
            Call::FdClose { fd } => self.close(fd),
            Call::FdDatasync { fd } => self.sync(fd, Rights::FD_DATASYNC),
            Call::FdSync { fd } => self.sync(fd, Rights::FD_SYNC),
            Call::FdFdstatGet { fd, out } => self.fdstat(fd, out),
            Call::FdFdstatSetFlags { fd, flags } => self.set_flags(fd, flags),
            Call::FdFdstatSetRights { fd, base, inheriting } => self.set_rights(fd, base, inheriting),
            Call::FdFilestatGet { fd, out, old } => self.stat(fd, out, old),
            Call::FdFilestatSetSize { fd, size } => self.set_size(fd, size),
            Call::FdFilestatSetTimes { fd, mtim, flags, .. } => self.set_times(fd, mtim, flags),
            Call::FdPread { fd, iovs, count, offset, out } => self.read_at(m, fd, iovs, count, offset, out),
            Call::FdPwrite { fd, iovs, count, offset, out } => self.write_at(m, fd, iovs, count, offset, out),
            Call::FdRead { fd, iovs, count, out } => self.read(m, fd, iovs, count, out),
            Call::FdWrite { fd, iovs, count, out } => self.write(m, fd, iovs, count, out),
            Call::FdPrestatGet { fd, out } => self.prestat(fd, out),
            Call::FdPrestatDirName { fd, buf, len } => self.prestat_name(fd, buf, len),
            Call::FdReaddir { fd, buf, len, cookie, out } => self.readdir(fd, buf, len, cookie, out),
            Call::FdRenumber { from, to } => self.renumber(from, to),
            Call::FdSeek { fd, offset, whence, out, old } => self.seek(fd, offset, whence, out, old),
            Call::FdTell { fd, out } => self.tell(fd, out),
            Call::PathCreateDirectory { fd, path } => self.mkdir(m, fd, path),
            Call::PathFilestatGet { fd, lookup, path, out, old } => self.stat_at(m, fd, lookup, path, out, old),
            Call::PathFilestatSetTimes { fd, lookup, path, mtim, flags, .. } => {
                self.set_times_at(m, fd, lookup, path, mtim, flags)
            }
            Call::PathLink { old_fd, lookup, old, new_fd, new } => self.link(m, old_fd, lookup, old, new_fd, new),
            Call::PathOpen { .. } => self.open(m, call),
            Call::PathReadlink { fd, path, buf, len, out } => self.readlink(m, fd, path, buf, len, out),
            Call::PathRemoveDirectory { fd, path } => self.rmdir(m, fd, path),
            Call::PathRename { old_fd, old, new_fd, new } => self.rename(m, old_fd, old, new_fd, new),
            Call::PathSymlink { target, fd, path } => self.symlink(m, target, fd, path),
            Call::PathUnlinkFile { fd, path } => self.unlink(m, fd, path),
            Call::PollOneoff { input, output, count, out, old } => self.poll(m, input, output, count, out, old),
            Call::RandomGet { buf, len } => self.random(buf, len),
            Call::SockAccept { fd, flags, out } => self.accept(fd, flags, out),
            Call::SockRecv { fd, list, count, flags, out, out_flags } => {
                self.receive(m, fd, list, count, flags, out, out_flags)
            }
            Call::SockSend { fd, list, count, flags, out } => self.send(m, fd, list, count, flags, out),
            Call::SockShutdown { fd, how } => self.shutdown(fd, how),
            Call::SchedYield {} => Ok(After::default()),
            Call::ProcExit { .. } | Call::ProcRaise { .. } => unreachable!("handled before"),
        }
    }
}

fn raise(signal: u32) -> Outcome {
    match signal {
        0 | 13 | 16 | 17 | 22 | 27 => Ok(()),
        18..=21 => Err(Errno::NOTSUP.into()),
        1..=15 => Err(Stop::Signal(signal as u8).into()),
        23..=30 => Err(Stop::Signal(signal as u8 + 1).into()),
        _ => Err(Errno::INVAL.into()),
    }
}

fn clock(id: u32, out: u32) -> Predicted {
    let mut broken = Broken::default();
    broken.range(out, 8);
    broken.unless(id <= 3, Errno::INVAL);
    broken.unless(!(2..=3).contains(&id), Errno::NOTSUP);
    broken.end()?;
    Ok(After::default().unknown(out, 8))
}

fn strings(array: u32, buf: u32, list: &[&str]) -> Predicted {
    let mut broken = Broken::default();
    let bytes = list.iter().flat_map(|text| text.bytes().chain([0])).collect::<Vec<_>>();
    broken.range(array, 4 * list.len() as u32);
    broken.range(buf, bytes.len() as u32);
    broken.end()?;
    let mut after = After::default().store(buf, &bytes);
    let mut start = buf;
    for (at, text) in (0..).zip(list) {
        after = after.u32(array + 4 * at, start);
        start += text.len() as u32 + 1;
    }
    Ok(after)
}

fn strings_sizes(count: u32, size: u32, list: &[&str]) -> Predicted {
    let mut broken = Broken::default();
    broken.range(count, 4);
    broken.range(size, 4);
    broken.end()?;
    let bytes: usize = list.iter().map(|text| text.len() + 1).sum();
    Ok(After::default().u32(count, list.len() as u32).u32(size, bytes as u32))
}
