//! The monitor as a whole, against a map and two sums (T22, T32 to T34, T110).
//!
//! A sequence of calls is made on both. After each, every number that a guest could pass must have the same meaning in
//! both, and no rights may have grown.

use super::config;
use super::inputs::{access, rights};
use super::rights::{applies, granted, set};
use crate::{Access, Errno, FdFlags, FileType, HostFd, Kind, Limits, Monitor, OpenRequest, Rights};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

type Bits = BTreeSet<u32>;

const LIMITS: Limits = Limits {
    open_files: 7,
    file_size_bytes: 100,
    written_bytes: 50,
    entries: 3,
    output_bytes: 20,
    iovecs: 8,
    subscriptions: 8,
    call_bytes: 15,
};

/// One call, by the guest or by the embedder.
#[derive(Debug, Clone)]
enum Step {
    Grant { access: Access },
    Listen,
    Open { fd: u32, base: Rights, inheriting: Rights, creat: bool, append: bool, kind: Kind },
    Accept { fd: u32 },
    Close { fd: u32 },
    Renumber { from: u32, to: u32 },
    SetRights { fd: u32, base: Rights, inheriting: Rights, narrow: bool },
    SetFlags { fd: u32, flags: u16 },
    Write { fd: u32, len: u64 },
    WriteAt { fd: u32, offset: u64, len: u64 },
    Allocate { fd: u32, offset: u64, len: u64 },
}

/// One descriptor of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    host: HostFd,
    kind: Kind,
    access: Access,
    grant: Option<usize>,
    base: Bits,
    inheriting: Bits,
    flags: u16,
    /// The maximum of its rights: what the descriptor that it was opened through could pass on then.
    bound: Bits,
}

#[derive(Debug, Clone, Default)]
struct Model {
    held: BTreeMap<u32, Held>,
    hosts: u32,
    grants: usize,
    written: u64,
    output: u64,
}

fn all() -> Bits {
    (0..30).collect()
}

/// The rights of `wanted` and `handed_on` that a kind has under an access.
fn rights_of(kind: Kind, access: Access, wanted: &Bits, handed_on: &Bits) -> (Bits, Bits) {
    let base = wanted.iter().copied().filter(|bit| applies(kind, *bit) && granted(access, *bit)).collect();
    let inheriting = handed_on.iter().copied().filter(|bit| kind == Kind::Directory && granted(access, *bit)).collect();
    (base, inheriting)
}

impl Model {
    fn has_room(&self) -> bool {
        self.held.len() < LIMITS.open_files as usize
    }

    fn next_host(&mut self) -> HostFd {
        self.hosts += 1;
        HostFd::new(self.hosts)
    }

    /// Enters a descriptor under the lowest free number from 3 on.
    fn insert(&mut self, held: Held) -> u32 {
        let fd = (3..).find(|fd| !self.held.contains_key(fd)).unwrap();
        self.held.insert(fd, held);
        fd
    }

    fn has(&self, fd: u32, bit: u32) -> bool {
        self.held.get(&fd).is_some_and(|held| held.base.contains(&bit))
    }

    /// How much may still be written to what a descriptor refers to: only a standard stream is a
    /// pipe without a grant.
    fn left(&self, fd: u32) -> u64 {
        match self.held.get(&fd) {
            Some(Held { grant: Some(_), .. }) => LIMITS.written_bytes - self.written,
            Some(Held { kind: Kind::Pipe, .. }) => LIMITS.output_bytes - self.output,
            _ => u64::MAX,
        }
    }

    fn charge(&mut self, fd: u32, len: u64) {
        match &self.held[&fd] {
            Held { grant: Some(_), .. } => self.written += len,
            Held { kind: Kind::Pipe, .. } => self.output += len,
            _ => {}
        }
    }
}

/// Makes one call on both.
fn apply(monitor: &mut Monitor, model: &mut Model, step: Step) {
    match step {
        Step::Grant { access } => {
            let host = model.next_host();
            let granted = monitor.grant_directory(host, b"/".to_vec(), access);
            assert_eq!(granted.is_ok(), model.has_room());
            let Ok(fd) = granted else { return };
            let handed_on = (0..64).filter(|bit| applies(Kind::RegularFile, *bit) || applies(Kind::Directory, *bit));
            let (base, inheriting) = rights_of(Kind::Directory, access, &all(), &handed_on.collect());
            let grant = Some(model.grants);
            model.grants += 1;
            let held = Held { host, kind: Kind::Directory, access, grant, base, inheriting, flags: 0, bound: all() };
            assert_eq!(model.insert(held), fd);
        }
        Step::Listen => {
            let host = model.next_host();
            let listening = monitor.grant_socket(host, Kind::Listener);
            assert_eq!(listening.is_ok(), model.has_room());
            let Ok(fd) = listening else { return };
            assert_eq!(model.insert(socket(host, Kind::Listener)), fd);
        }
        Step::Accept { fd } => {
            let may = model.has(fd, 29) && model.has_room();
            let accept = monitor.admit_accept(fd, 0);
            assert_eq!(accept.is_ok(), may);
            let Ok(accept) = accept else { return };
            let host = model.next_host();
            let opened = monitor.install_accepted(accept.performed(), host);
            assert_eq!(model.insert(socket(host, Kind::Stream)), opened);
        }
        Step::Open { fd, base, inheriting, creat, append, kind } => {
            open(monitor, model, fd, (base, inheriting), creat, append, kind);
        }
        Step::Close { fd } => {
            let closed = monitor.admit_close(fd).map(|close| close.on.host());
            assert_eq!(closed, model.held.remove(&fd).map(|held| held.host).ok_or(Errno::BADF));
        }
        Step::Renumber { from, to } => {
            let closed = monitor.admit_renumber(from, to).map(|close| close.map(|close| close.on.host()));
            let expected = match (model.held.get(&from).cloned(), model.held.get(&to)) {
                (Some(_), Some(_)) if from == to => Ok(None),
                (Some(moved), Some(_)) => {
                    model.held.remove(&from);
                    Ok(model.held.insert(to, moved).map(|held| held.host))
                }
                _ => Err(Errno::BADF),
            };
            assert_eq!(closed, expected);
        }
        Step::SetRights { fd, base, inheriting, narrow } => {
            let Some(held) = model.held.get_mut(&fd) else {
                assert_eq!(monitor.set_rights(fd, base.bits(), inheriting.bits()), Err(Errno::BADF));
                return;
            };
            let stat = monitor.fdstat(fd).unwrap();
            let fewer = (base.intersection(stat.base), inheriting.intersection(stat.inheriting));
            let (base, inheriting) = if narrow { fewer } else { (base, inheriting) };
            let no_more = set(base).is_subset(&held.base) && set(inheriting).is_subset(&held.inheriting);
            let dropped = monitor.set_rights(fd, base.bits(), inheriting.bits());
            assert_eq!(dropped, if no_more { Ok(()) } else { Err(Errno::NOTCAPABLE) });
            if no_more {
                (held.base, held.inheriting) = (set(base), set(inheriting));
            }
        }
        Step::SetFlags { fd, flags } => {
            let Ok(change) = monitor.admit_set_flags(fd, FdFlags::from_guest(flags.into()).unwrap()) else { return };
            assert!(model.has(fd, 3));
            monitor.commit_flags(change.performed()).unwrap();
            model.held.get_mut(&fd).unwrap().flags = flags;
        }
        Step::Write { fd, len } => {
            let write = monitor.admit_write(fd);
            assert_eq!(write.is_ok(), model.has(fd, 6) && model.left(fd) > 0);
            let Ok(write) = write else { return };
            assert_eq!(write.at_most as u64, model.left(fd).min(LIMITS.call_bytes.into()));
            let done = usize::try_from(len).unwrap().min(write.at_most);
            monitor.wrote(write.performed(), done);
            model.charge(fd, done as u64);
        }
        Step::WriteAt { fd, offset, len } => {
            let write = monitor.admit_write_at(fd, offset);
            let may = model.has(fd, 6) && model.has(fd, 2) && model.held[&fd].access == Access::ReadWrite;
            assert_eq!(write.is_ok(), may && model.left(fd) > 0 && offset < LIMITS.file_size_bytes);
            let Ok(write) = write else { return };
            let done = usize::try_from(len).unwrap().min(write.at_most);
            assert!(offset + done as u64 <= LIMITS.file_size_bytes);
            monitor.wrote_at(write.performed(), done);
            model.charge(fd, done as u64);
        }
        Step::Allocate { fd, offset, len } => {
            let allocate = monitor.admit_allocate(fd, offset, len);
            let fits = (1..=model.left(fd)).contains(&len) && offset + len <= LIMITS.file_size_bytes;
            assert_eq!(allocate.is_ok(), model.has(fd, 8) && fits);
            let Ok(allocate) = allocate else { return };
            monitor.allocated(allocate.performed());
            model.charge(fd, len);
        }
    }
}

fn socket(host: HostFd, kind: Kind) -> Held {
    let (base, inheriting) = rights_of(kind, Access::ReadWrite, &all(), &all());
    Held { host, kind, access: Access::ReadWrite, grant: None, base, inheriting, flags: 0, bound: all() }
}

fn open(
    monitor: &mut Monitor,
    model: &mut Model,
    fd: u32,
    (base, inheriting): (Rights, Rights),
    creat: bool,
    append: bool,
    kind: Kind,
) {
    let (oflags, fdflags) = (u32::from(creat), u32::from(append));
    let (base_bits, inheriting_bits) = (base.bits(), inheriting.bits());
    let request =
        OpenRequest { fd, lookup: 0, path: b"f", oflags, base: base_bits, inheriting: inheriting_bits, fdflags };
    let admitted = monitor.admit_open(request);
    let may = model.held.get(&fd).is_some_and(|dir| {
        let wants_and_lacks = |bit| set(base).contains(&bit) && !dir.inheriting.contains(&bit);
        let overwrites = set(base).contains(&6) && dir.access == Access::Append && !append;
        let reached = dir.kind == Kind::Directory && dir.base.contains(&13) && (!creat || dir.base.contains(&10));
        reached && !wants_and_lacks(1) && !wants_and_lacks(6) && !overwrites
    });
    assert_eq!(admitted.is_ok(), may && model.has_room());
    let Ok(admitted) = admitted else { return };

    let dir = model.held[&fd].clone();
    let host = model.next_host();
    let opened = monitor.install(admitted.performed(), host, kind);
    let handed = |wanted: Rights| &set(wanted) & &dir.inheriting;
    let (base, inheriting) = rights_of(kind, dir.access, &handed(base), &handed(inheriting));
    let flags = u16::from(append);
    let bound = dir.inheriting;
    let held = Held { host, kind, access: dir.access, grant: dir.grant, base, inheriting, flags, bound };
    assert_eq!(model.insert(held), opened);
}

/// The invariant between any two calls.
fn check(monitor: &Monitor, model: &Model) {
    for fd in (0..16).chain([255, 65_535, 1 << 31, u32::MAX]) {
        let Some(held) = model.held.get(&fd) else {
            assert_eq!(monitor.fdstat(fd), Err(Errno::BADF), "t33: {fd}");
            continue;
        };
        let stat = monitor.fdstat(fd).unwrap();
        assert_eq!((set(stat.base), set(stat.inheriting)), (held.base.clone(), held.inheriting.clone()), "t22: {fd}");
        assert!(held.base.is_subset(&held.bound) && held.inheriting.is_subset(&held.bound), "t22: {fd}");
        assert!(held.base.iter().chain(&held.inheriting).all(|bit| granted(held.access, *bit)), "t21: {fd}");
        assert_eq!(monitor.grant_of(fd), held.grant);
        assert_eq!(stat.flags.bits(), held.flags);
        let writable_file = stat.file_type == FileType::RegularFile && held.base.contains(&6);
        assert!(held.access != Access::Append || !writable_file || held.flags & 1 == 1, "only the end: {fd}");
    }
    let hosts: BTreeSet<_> = model.held.values().map(|held| held.host.index()).collect();
    assert_eq!(hosts.len(), model.held.len(), "t32: no object under two numbers");
    assert!(model.held.len() <= LIMITS.open_files as usize, "t34");
    assert!(model.written <= LIMITS.written_bytes && model.output <= LIMITS.output_bytes, "t110");
}

fn step() -> impl Strategy<Value = Step> {
    let fd = || prop_oneof![20 => 0..8u32, 1 => select(vec![u32::MAX, 1 << 31, 16])];
    let wish = || prop_oneof![2 => Just(Rights::ALL), 1 => Just(Rights::ALL.without(Rights::MUTATING)), 1 => rights()];
    let opened = select(vec![Kind::RegularFile, Kind::RegularFile, Kind::Directory, Kind::Pipe]);
    prop_oneof![
        1 => access().prop_map(|access| Step::Grant { access }),
        1 => Just(Step::Listen),
        6 => (fd(), wish(), wish(), any::<bool>(), any::<bool>(), opened).prop_map(
            |(fd, base, inheriting, creat, append, kind)| Step::Open { fd, base, inheriting, creat, append, kind }
        ),
        1 => fd().prop_map(|fd| Step::Accept { fd }),
        2 => fd().prop_map(|fd| Step::Close { fd }),
        2 => (fd(), fd()).prop_map(|(from, to)| Step::Renumber { from, to }),
        2 => (fd(), wish(), wish(), any::<bool>()).prop_map(
            |(fd, base, inheriting, narrow)| Step::SetRights { fd, base, inheriting, narrow }
        ),
        2 => (fd(), 0..32u16).prop_map(|(fd, flags)| Step::SetFlags { fd, flags }),
        3 => (fd(), 0..40u64).prop_map(|(fd, len)| Step::Write { fd, len }),
        3 => (fd(), 0..120u64, 0..40u64).prop_map(|(fd, offset, len)| Step::WriteAt { fd, offset, len }),
        1 => (fd(), 0..120u64, 0..60u64).prop_map(|(fd, offset, len)| Step::Allocate { fd, offset, len }),
    ]
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn t22_t32_t33_t34_t110_any_sequence_of_calls_keeps_to_the_model(steps in vec(step(), 0..40)) {
        let (mut monitor, mut model) = (Monitor::new(LIMITS), Model::default());
        let host = model.next_host();
        monitor.grant_stdio(1, host, Kind::Pipe, FdFlags::empty()).unwrap();
        let output = [3, 6, 21, 27].into_iter().collect();
        let held = Held { base: output, ..socket(host, Kind::Pipe) };
        model.held.insert(1, held);
        for access in [Access::ReadWrite, Access::Append] {
            apply(&mut monitor, &mut model, Step::Grant { access });
        }
        check(&monitor, &model);
        for step in steps {
            apply(&mut monitor, &mut model, step);
            check(&monitor, &model);
        }
    }
}
