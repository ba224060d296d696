//! The observer in the process of a run: what each hostcall means for a policy.

use super::area::{
    AREA_BYTES, ENDING_BYTES, ENTRY_HEAD, Layout, MAX_PATH_BYTES, MAX_PATHS, OfGrant, OfPath, Stage, Total,
};
use crate::words::{self, WORD, store};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wave_engine::Used;
use wave_policy::all_functions;
use wave_runtime::Stop;
use wave_wasi::{
    Access, ConnectRule, Decision, ENTRY_BYTES, Errno, Failure, FdFlags, OFlags, Protocol, Record, Rights,
    connect_allowed,
};

/// Notes the use that a program makes of what it was granted, and how it ends.
pub struct UseObserver<'a> {
    /// How the run ends.
    ending: &'a mut [u8],
    area: &'a mut [u8],
    layout: Layout,
    /// The connections that are granted.
    rules: Vec<Vec<ConnectRule>>,
    /// Where the entry of a path stands.
    entries: BTreeMap<(usize, Vec<u8>), usize>,
    /// Bytes of entries.
    used: usize,
    /// What the program has open.
    open: BTreeMap<u64, Thing>,
}

/// What is behind a descriptor.
#[derive(Clone, Debug)]
enum Thing {
    Stream,
    /// Inside this directory. No path if it is too long.
    Named {
        grant: usize,
        path: Option<Vec<u8>>,
        at_the_end: bool,
    },
    /// A directory of granted files. Which one is meant, the path says.
    List,
    Listener(usize),
    Connection,
}

impl wave_engine::Observer for UseObserver<'_> {
    fn observes(&self, _function: &str) -> bool {
        true
    }

    fn hostcall(&mut self, record: &Record) {
        self.note(record);
    }

    fn begins(&mut self) {
        store(self.ending, 0, Stage::Running as u64);
    }

    fn ends(&mut self, stop: Option<&Stop>, used: Used) {
        let stage = match stop {
            None | Some(Stop::Exit(_)) => Stage::Done,
            Some(Stop::Signal(_)) => Stage::Raised,
            Some(Stop::Trap(_)) => Stage::Trap,
            Some(Stop::Deadline) => Stage::Deadline,
            Some(Stop::OutOfFuel) => Stage::OutOfFuel,
        };
        store(self.ending, WORD, used.memory_bytes);
        store(self.ending, 0, stage as u64);
    }
}

impl<'a> UseObserver<'a> {
    /// Notes in this memory. `None` if it is too small. `first` are the descriptors of the grants
    /// ([`first_descriptors`](wave_engine::first_descriptors)).
    pub fn new(
        area: &'a mut [u8],
        layout: Layout,
        first: &[Option<usize>],
        rules: &[Vec<ConnectRule>],
    ) -> Option<Self> {
        let (ending, area) = area.split_at_mut_checked(ENDING_BYTES)?;
        let streams = (0..3).map(|_| Thing::Stream);
        let granted = |grant: &Option<usize>| {
            grant.map_or(Thing::List, |grant| Thing::Named { grant, path: Some(Vec::new()), at_the_end: false })
        };
        let things = streams.chain(first.iter().map(granted)).chain((0..layout.listeners).map(Thing::Listener));
        let open = (0..).zip(things).collect();
        Some(Self { ending, area, layout, rules: rules.to_vec(), entries: BTreeMap::new(), used: 0, open })
    }
}

impl UseObserver<'_> {
    /// Notes a hostcall that has ended.
    fn note(&mut self, record: &Record) {
        if let Ok(function) = all_functions().binary_search_by_key(&record.function, |function| function.name) {
            self.add(Layout::calls(function), 1);
        }
        self.add(Layout::total(Total::Denied), u64::from(matches!(record.decision, Decision::Denied(_))));
        self.most(Total::Memory, record.memory_bytes as u64);
        let call = Call(record);
        let need = self.need(call);
        self.note_grants(call, need);
        self.note_paths(call, need);
        self.note_bytes(call);
        if let Some(Thing::Listener(listener)) = call.fd().and_then(|fd| self.open.get(&fd)) {
            self.add(self.layout.listener(*listener), 1);
        }
        if record.function == "tcp_connect" && matches!(record.decision, Decision::Admitted) {
            self.note_connection(record);
        }
        if record.result.is_ok() {
            self.note_descriptors(call);
        }
        self.most(Total::Open, self.open.len() as u64);
    }

    /// Counts a connection for each grant that allows it alone; if none does, because an address has two meanings, for all of them.
    fn note_connection(&mut self, record: &Record) {
        let Some(remote) = record.address() else { return };
        let address = match remote.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let allows = |rules: &Vec<ConnectRule>| connect_allowed(rules, address.octets(), remote.port(), Protocol::Tcp);
        let alone: Vec<_> = self.rules.iter().map(allows).collect();
        let is_allowed_alone = alone.contains(&true);
        for (index, _) in alone.iter().enumerate().filter(|(_, allows)| **allows || !is_allowed_alone) {
            self.add(self.layout.connection(index), 1);
        }
    }

    /// The least access under which the call ends as it did. What is refused for lack of a right is refused under less, too.
    fn need(&self, call: Call<'_>) -> Access {
        if call.0.result.is_err_and(|error| [Errno::NOTCAPABLE, Errno::BADF].map(Failure::Errno).contains(&error)) {
            return Access::ReadOnly;
        }
        let mutating = |rights: u64| rights & Rights::MUTATING.bits() != 0;
        match call.0.function {
            "path_open" => {
                let least =
                    Access::least_to_open(call.flags("oflags"), call.number("rights_base"), call.flags("fdflags"));
                // What has unknown bits is refused under every access.
                least.unwrap_or(Access::ReadOnly)
            }
            // Opening for writing was counted.
            "fd_write" => Access::ReadOnly,
            "fd_fdstat_set_flags" => {
                let thing = call.fd().and_then(|fd| self.open.get(&fd));
                let leaves = matches!(thing, Some(Thing::Named { at_the_end: true, .. })) && !call.appends();
                if leaves { Access::ReadWrite } else { Access::ReadOnly }
            }
            // To keep a right, a descriptor must have it.
            "fd_fdstat_set_rights" if mutating(call.number("rights_base") | call.number("rights_inheriting")) => {
                Access::ReadWrite
            }
            function => Access::least_for_call(function),
        }
    }

    fn note_grants(&mut self, call: Call<'_>, need: Access) {
        // Every program of a C library asks for the names of all directories.
        if matches!(call.0.function, "fd_prestat_get" | "fd_prestat_dir_name") {
            return;
        }
        let second = call.0.new_grant.filter(|second| Some(*second) != call.0.grant);
        let grants = self.layout.grants;
        for grant in call.0.grant.into_iter().chain(second).filter(|grant| *grant < grants) {
            self.add(Layout::grant(grant, OfGrant::Calls), 1);
            match need {
                Access::ReadOnly => {}
                Access::Append => self.add(Layout::grant(grant, OfGrant::Appends), 1),
                Access::ReadWrite => self.add(Layout::grant(grant, OfGrant::Changes), 1),
            }
        }
    }

    fn note_paths(&mut self, call: Call<'_>, need: Access) {
        // What was denied leads elsewhere.
        if !matches!(call.0.decision, Decision::Admitted) {
            return;
        }
        let what = match call.0.function {
            _ if need > Access::ReadOnly => OfPath::Changes,
            "path_open" => OfPath::Reads,
            _ => OfPath::Lookups,
        };
        let (fd, second) = (call.fd(), call.argument("new_fd"));
        for (name, at) in [("path", fd), ("old_path", fd), ("new_path", second.or(fd))] {
            // The text of a link is no path yet.
            if call.0.function == "path_symlink" && name == "old_path" {
                continue;
            }
            let Some(path) = call.path(name) else { continue };
            let (grant, path) = match at.and_then(|fd| self.open.get(&fd)) {
                Some(Thing::Named { grant, path: dir, .. }) => (*grant, dir.as_deref().and_then(|dir| join(dir, path))),
                // The file is all there is under its grant.
                Some(Thing::List) => match if name == "new_path" { call.0.new_grant } else { call.0.grant } {
                    Some(grant) => (grant, Some(Vec::new())),
                    None => continue,
                },
                _ => continue,
            };
            match path {
                Some(path) => self.count(grant, path, what),
                None => self.add(Layout::total(Total::More), 1),
            }
        }
    }

    fn note_bytes(&mut self, call: Call<'_>) {
        if call.0.result.is_err() {
            return;
        }
        let thing = call.fd().and_then(|fd| self.open.get(&fd));
        let account = match thing {
            Some(Thing::Stream) => Total::Output,
            Some(Thing::Named { .. }) => Total::Written,
            _ => return,
        };
        let bytes = match call.0.function {
            "fd_write" | "fd_pwrite" => call.stored("nwritten"),
            "fd_allocate" => call.argument("len"),
            // What it was before is not known: at most so many are new.
            "fd_filestat_set_size" => call.argument("size"),
            _ => None,
        };
        self.add(Layout::total(account), bytes.unwrap_or(0));
        let text = |name| call.path(name).map_or(0, |path| path.len() as u64);
        let made = match call.0.function {
            "path_create_directory" => Some(text("path")),
            // Whether the file was there is not known.
            "path_open" if call.creates() => Some(text("path")),
            "path_link" => Some(text("new_path")),
            "path_symlink" => Some(text("old_path").saturating_add(text("new_path"))),
            _ => None,
        };
        if let Some(text) = made {
            self.add(Layout::total(Total::Entries), 1);
            self.add(Layout::total(Total::Written), ENTRY_BYTES.saturating_add(text));
        }
    }

    /// Keeps up with the program's descriptors, after a call that succeeded.
    fn note_descriptors(&mut self, call: Call<'_>) {
        let Some(fd) = call.fd() else { return };
        match call.0.function {
            "path_open" => {
                let at_the_end = call.appends();
                let thing = match self.open.get(&fd) {
                    Some(Thing::Named { grant, path: dir, .. }) => {
                        let path = dir.as_deref().zip(call.path("path")).and_then(|(dir, path)| join(dir, path));
                        Thing::Named { grant: *grant, path, at_the_end }
                    }
                    Some(Thing::List) => match (call.0.grant, call.path("path").and_then(|path| join(b"", path))) {
                        (Some(grant), Some(name)) if !name.is_empty() => {
                            Thing::Named { grant, path: Some(Vec::new()), at_the_end }
                        }
                        _ => Thing::List,
                    },
                    _ => return,
                };
                if let Some(opened) = call.stored("opened_fd") {
                    self.open.insert(opened, thing);
                }
            }
            "sock_accept" => {
                if let Some(opened) = call.stored("opened_fd") {
                    self.open.insert(opened, Thing::Connection);
                }
            }
            "fd_fdstat_set_flags" => {
                if let Some(Thing::Named { at_the_end, .. }) = self.open.get_mut(&fd) {
                    *at_the_end = call.appends();
                }
            }
            "fd_close" => drop(self.open.remove(&fd)),
            "fd_renumber" => {
                if let Some(thing) = self.open.remove(&fd) {
                    self.open.insert(call.number("to"), thing);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, grant: usize, path: Vec<u8>, what: OfPath) {
        let key = (grant, path);
        let at = match self.entries.get(&key) {
            Some(at) => *at,
            None => match self.enter(grant, &key.1) {
                Some(at) => {
                    self.entries.insert(key, at);
                    at
                }
                None => return self.add(Layout::total(Total::More), 1),
            },
        };
        self.add(at + 4 + what as usize * WORD, 1);
    }

    /// Makes an entry. It counts once its length does, which is stored last.
    fn enter(&mut self, grant: usize, path: &[u8]) -> Option<usize> {
        let head = [u16::try_from(grant).ok()?.to_le_bytes(), u16::try_from(path.len()).ok()?.to_le_bytes()];
        let at = self.layout.entries() + self.used;
        let end = at + ENTRY_HEAD + path.len();
        if self.entries.len() >= MAX_PATHS || end > AREA_BYTES - ENDING_BYTES {
            return None;
        }
        self.area.get_mut(at..at + 4)?.copy_from_slice(head.as_flattened());
        self.area.get_mut(at + ENTRY_HEAD..end)?.copy_from_slice(path);
        self.used = end - self.layout.entries();
        store(self.area, self.layout.used(), self.used as u64);
        Some(at)
    }

    fn add(&mut self, at: usize, more: u64) {
        words::add(self.area, at, more);
    }

    fn most(&mut self, total: Total, value: u64) {
        words::raise(self.area, Layout::total(total), value);
    }
}

/// A record, by the names of its arguments.
#[derive(Clone, Copy)]
struct Call<'r>(&'r Record);

impl<'r> Call<'r> {
    fn argument(self, name: &str) -> Option<u64> {
        self.0.number(name)
    }

    fn number(self, name: &str) -> u64 {
        self.argument(name).unwrap_or(0)
    }

    /// Flags, of which a guest passes 32 bits.
    fn flags(self, name: &str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or(u32::MAX)
    }

    /// Whether writes go to the end.
    fn appends(self) -> bool {
        FdFlags::from_guest(self.flags("fdflags")).is_ok_and(|flags| flags.contains(FdFlags::APPEND))
    }

    /// Whether the file is created if it is not there.
    fn creates(self) -> bool {
        OFlags::from_guest(self.flags("oflags")).is_ok_and(|flags| flags.contains(OFlags::CREAT))
    }

    /// The (first) descriptor.
    fn fd(self) -> Option<u64> {
        self.argument("fd").or_else(|| self.argument("old_fd"))
    }

    fn path(self, name: &str) -> Option<&'r [u8]> {
        self.0.path(name)
    }

    fn stored(self, name: &str) -> Option<u64> {
        self.0.stored(name)
    }
}

/// A path from the granted directory on. `..` stays: what it means depends on links.
fn join(dir: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut joined = dir.to_vec();
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        if !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(name);
    }
    (joined.len() <= MAX_PATH_BYTES).then_some(joined)
}
