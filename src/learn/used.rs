//! What a run used, as its process says. The process was sealed, but the program may have taken it over: what it left is read
//! as hostile data, and can only say how much of what was granted was used.

use super::area::{
    AREA_BYTES, ENDING_BYTES, ENTRY_HEAD, Layout, MAX_PATH_BYTES, MAX_PATHS, OfGrant, OfPath, Stage, Total, WORD, word,
};
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
    /// Uses of paths that are not told apart.
    pub more: u64,
    /// The largest linear memory, in bytes.
    pub memory_bytes: u64,
    /// Most descriptors open at once.
    pub open_files: u64,
    /// Bytes written to files.
    pub written_bytes: u64,
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
            more: total(Total::More),
            memory_bytes: total(Total::Memory).max(word(ending, WORD)),
            open_files: total(Total::Open),
            written_bytes: total(Total::Written),
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
