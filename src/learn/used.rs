//! What a run used, as its process recorded it. The process was sealed, but the program may have taken it over: the record is read
//! as hostile data, and can only choose among what was granted.

use super::area::{
    AREA_BYTES, ENDING_BYTES, ENTRY_HEAD, Layout, MAX_PATH_BYTES, MAX_PATHS, OfGrant, OfPath, Stage, Total,
};
use crate::words::{WORD, word};
use std::collections::BTreeMap;
use wave_policy::{Access, all_functions};

/// What a run used.
#[derive(Clone, Debug)]
pub struct Use {
    /// How far it got. `None`: it left nothing that makes sense.
    pub stage: Option<Stage>,
    /// Calls of each function that was called.
    pub calls: BTreeMap<&'static str, u64>,
    /// The directories that were granted, in their order.
    pub grants: Vec<UsedGrant>,
    /// Calls on each listening socket.
    pub listeners: Vec<u64>,
    /// Connections under each grant of some.
    pub connections: Vec<u64>,
    /// Uses of paths that are not told apart.
    pub more: u64,
    /// The largest linear memory, in bytes.
    pub memory_bytes: u64,
    /// Most descriptors open at once.
    pub open_files: u64,
    /// Bytes written to files.
    pub written_bytes: u64,
    /// New names of files, directories and links.
    pub entries: u64,
    /// Bytes written to standard output and error.
    pub output_bytes: u64,
    /// Calls that were denied.
    pub denied: u64,
}

/// What was used of a directory.
#[derive(Clone, Debug, Default)]
pub struct UsedGrant {
    /// Calls.
    pub calls: u64,
    /// Those that `append` allows and `ro` does not.
    pub appends: u64,
    /// Those that only `rw` allows.
    pub changes: u64,
    /// By path.
    pub paths: BTreeMap<String, Counts>,
}

/// Uses of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub lookups: u64,
    pub reads: u64,
    pub changes: u64,
}

impl Counts {
    /// Both together.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            lookups: self.lookups.saturating_add(other.lookups),
            reads: self.reads.saturating_add(other.reads),
            changes: self.changes.saturating_add(other.changes),
        }
    }
}

impl UsedGrant {
    /// The least access that allows all of it.
    pub const fn access(&self) -> Access {
        match (self.appends, self.changes) {
            (_, 1..) => Access::ReadWrite,
            (1.., 0) => Access::Append,
            (0, 0) => Access::ReadOnly,
        }
    }
}

impl Use {
    /// Reads an area.
    pub fn read(area: &[u8], layout: Layout) -> Self {
        let (ending, area) = area.split_at_checked(ENDING_BYTES).unwrap_or_default();
        let total = |total| word(area, Layout::total(total));
        let functions = all_functions().iter().enumerate();
        let calls = functions.map(|(index, function)| (function.name, word(area, Layout::calls(index))));
        let grant = |grant| UsedGrant {
            calls: word(area, Layout::grant(grant, OfGrant::Calls)),
            appends: word(area, Layout::grant(grant, OfGrant::Appends)),
            changes: word(area, Layout::grant(grant, OfGrant::Changes)),
            paths: BTreeMap::new(),
        };
        let mut used = Self {
            stage: Stage::of(word(ending, 0)),
            calls: calls.filter(|(_, calls)| *calls > 0).collect(),
            grants: (0..layout.grants).map(grant).collect(),
            listeners: (0..layout.listeners).map(|listener| word(area, layout.listener(listener))).collect(),
            connections: (0..layout.connections).map(|grant| word(area, layout.connection(grant))).collect(),
            more: total(Total::More),
            memory_bytes: total(Total::Memory).max(word(ending, WORD)),
            open_files: total(Total::Open),
            written_bytes: total(Total::Written),
            entries: total(Total::Entries),
            output_bytes: total(Total::Output),
            denied: total(Total::Denied),
        };
        used.read_paths(area, layout);
        used
    }

    /// The entries, up to the first that makes no sense.
    fn read_paths(&mut self, area: &[u8], layout: Layout) {
        let used = usize::try_from(word(area, layout.used())).unwrap_or(usize::MAX).min(AREA_BYTES);
        let mut rest = area.get(layout.entries()..).unwrap_or_default();
        rest = rest.get(..used.min(rest.len())).unwrap_or_default();
        for _ in 0..MAX_PATHS {
            let Some((head, behind)) = rest.split_at_checked(ENTRY_HEAD) else { return };
            let [a, b, c, d, ..] = head else { return };
            let (grant, len) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
            let Some((path, next)) = behind.split_at_checked(len).filter(|_| len <= MAX_PATH_BYTES) else { return };
            let Some(grant) = self.grants.get_mut(usize::from(grant)) else { return };
            let of = |what: OfPath| word(head, 4 + what as usize * WORD);
            let counts =
                Counts { lookups: of(OfPath::Lookups), reads: of(OfPath::Reads), changes: of(OfPath::Changes) };
            let path = if path.is_empty() { ".".into() } else { String::from_utf8_lossy(path).into_owned() };
            let sum = grant.paths.entry(path).or_default();
            *sum = sum.plus(counts);
            rest = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::observe::UseObserver;
    use crate::words::store;
    use wave_engine::connect_rule;
    use wave_engine::{Observer as _, Used};
    use wave_policy::{ConnectGrant, Protocol};
    use wave_wasi::{Argument, Decision, Errno, Failure, Record};

    const LAYOUT: Layout = Layout { grants: 2, listeners: 1, connections: 1 };

    fn area() -> Vec<u8> {
        vec![0; AREA_BYTES]
    }

    fn call(function: &'static str, arguments: &[(&'static str, u64)], path: &str, grant: usize) -> Record {
        let numbers = arguments.iter().map(|(name, number)| (*name, Argument::Number(*number)));
        let path = (!path.is_empty()).then(|| ("path", Argument::Path(path.into())));
        Record {
            function,
            arguments: numbers.chain(path).collect(),
            decision: Decision::Admitted,
            grant: Some(grant),
            new_grant: None,
            result: Ok(()),
            results: Vec::new(),
            memory_bytes: 65_536,
        }
    }

    /// What an observer left.
    fn observed(run: impl FnOnce(&mut UseObserver<'_>)) -> Use {
        let mut area = area();
        let rules = [vec![connect_rule(&ConnectGrant::parse("10.0.0.0/8:80", Protocol::Tcp).unwrap()).unwrap()]];
        run(&mut UseObserver::new(&mut area, LAYOUT, &[Some(0), Some(1)], &rules).expect("it is large enough"));
        Use::read(&area, LAYOUT)
    }

    #[test]
    fn a_connection_counts_for_the_grant_that_allows_it() {
        let connect = |decision| {
            let remote = Argument::Address(([10, 0, 0, 1], 80).into());
            let record = call("tcp_connect", &[], "", usize::MAX);
            Record { arguments: vec![("remote", remote)], decision, grant: None, ..record }
        };
        let denied = connect(Decision::Denied(wave_wasi::Rule::Connect));
        assert_eq!(observed(|observer| observer.hostcall(&denied)).connections, [0]);
        assert_eq!(observed(|observer| observer.hostcall(&connect(Decision::Admitted))).connections, [1]);
    }

    #[test]
    fn paths_go_through_directories_that_are_open() {
        let used = observed(|observer| {
            observer.begins();
            let opened = Record {
                results: vec![("opened_fd", 7)],
                ..call("path_open", &[("fd", 4), ("rights_base", 2)], "./sub//dir/", 1)
            };
            observer.hostcall(&opened);
            observer.hostcall(&call("path_unlink_file", &[("fd", 7)], "x", 1));
            observer.hostcall(&call("fd_renumber", &[("fd", 7), ("to", 9)], "", 1));
            observer.hostcall(&call("path_filestat_get", &[("fd", 9)], "../y", 1));
            observer.hostcall(&call("fd_close", &[("fd", 9)], "", 1));
            observer.hostcall(&call("path_filestat_get", &[("fd", 9)], "gone", 1));
            observer.ends(None, Used { memory_bytes: 1 << 20, fuel: None });
        });
        assert_eq!((used.stage, used.memory_bytes, used.open_files), (Some(Stage::Done), 1 << 20, 7));
        let paths: Vec<_> = used.grants[1].paths.iter().map(|(path, counts)| (&**path, *counts)).collect();
        let counts = |lookups, reads, changes| Counts { lookups, reads, changes };
        let expected =
            [("sub/dir", counts(0, 1, 0)), ("sub/dir/../y", counts(1, 0, 0)), ("sub/dir/x", counts(0, 0, 1))];
        assert_eq!(paths, expected);
        assert_eq!((used.grants[1].access(), used.grants[0].calls), (Access::ReadWrite, 0));
        assert_eq!(used.calls["path_filestat_get"], 2);
    }

    #[test]
    fn what_a_narrower_access_would_answer_in_the_same_way_needs_no_more() {
        let access = |record: Record| observed(|observer| observer.hostcall(&record)).grants[0].access();
        let failed = |errno: Errno, record: Record| Record { result: Err(Failure::Errno(errno)), ..record };
        let unlink = call("path_unlink_file", &[("fd", 3)], "x", 0);
        assert_eq!(access(unlink.clone()), Access::ReadWrite);
        assert_eq!(access(failed(Errno::NOENT, unlink.clone())), Access::ReadWrite);
        assert_eq!(access(failed(Errno::NOTCAPABLE, unlink)), Access::ReadOnly);
        let open = |oflags, rights, fdflags| {
            let numbers = [("fd", 3), ("oflags", oflags), ("rights_base", rights), ("fdflags", fdflags)];
            access(call("path_open", &numbers, "x", 0))
        };
        assert_eq!([open(0, 2, 0), open(2, 2, 0)], [Access::ReadOnly; 2]);
        assert_eq!([open(1, 2, 0), open(0, 64, 1), open(1, 66, 1)], [Access::Append; 3]);
        assert_eq!([open(0, 64, 0), open(8, 2, 0), open(8, 64, 1)], [Access::ReadWrite; 3]);
        assert_eq!(access(call("path_create_directory", &[("fd", 3)], "x", 0)), Access::Append);
        for function in ["fd_pwrite", "fd_allocate", "fd_filestat_set_size", "fd_filestat_set_times", "path_symlink"] {
            assert_eq!(access(call(function, &[("fd", 3)], "", 0)), Access::ReadWrite, "{function}");
        }
        for function in ["fd_read", "fd_write", "fd_seek", "fd_readdir", "fd_sync", "path_readlink"] {
            assert_eq!(access(call(function, &[("fd", 3)], "", 0)), Access::ReadOnly, "{function}");
        }
    }

    /// T75: the record is written by the process of a program that may have taken it over.
    #[test]
    fn t75_a_forged_record_is_read_without_harm() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            bits
        };
        for round in 0..200 {
            let mut area = area();
            for at in (0..4096 + round * 64).step_by(WORD) {
                store(&mut area, at, random() >> (round % 64));
            }
            let used = Use::read(&area, LAYOUT);
            assert_eq!((used.grants.len(), used.listeners.len()), (2, 1));
        }
        let mut area = area();
        area.fill(0xff);
        let used = Use::read(&area, LAYOUT);
        assert_eq!(used.stage, None);
        assert!(used.grants.iter().all(|grant| grant.paths.is_empty()), "a grant that is none");
        // One entry after the other that says nothing.
        area[ENDING_BYTES + LAYOUT.entries()..].fill(0);
        assert_eq!(Use::read(&area, LAYOUT).grants[0].paths.len(), 1);
        assert_eq!(Use::read(&[], LAYOUT).stage, Some(Stage::Refused));
    }
}
