//! What is worth knowing of a module, as findings.

use super::module::{Declarations, Import, Item, Kind, Memory};
use serde::Serialize;
use wave_policy::Surface;
use wave_policy::harmful;

/// Names that a finding quotes.
const QUOTED: usize = 10;

/// How much a fact matters. The words are those of SARIF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `wave` cannot run this.
    Error,
    /// Somebody should look at it.
    Warning,
    /// Good to know.
    Note,
}

/// A fact that holds.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// Its kind.
    pub id: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What it means.
    pub text: &'static str,
    /// Names from the module that it is about: some of them, when there are many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// How many there are in all.
    pub count: usize,
}

/// A kind of fact.
pub struct Kinds {
    pub id: &'static str,
    pub level: Level,
    pub text: &'static str,
    /// What it is about; `None` if it does not hold.
    find: fn(&Declarations, &Surface) -> Option<Found>,
}

/// What a fact is about.
#[derive(Default)]
struct Found {
    names: Vec<String>,
    count: usize,
}

/// All kinds, the worst first.
pub const KINDS: &[Kinds] = &[
    Kinds {
        id: "component",
        level: Level::Error,
        text: "a component: wave runs core modules of WASI preview 1 and cannot run it; system calls are not derived from its interfaces",
        find: |module, _| holds(module.kind == Kind::Component),
    },
    Kinds {
        id: "unknown-imports",
        level: Level::Error,
        text: "imports that wave does not provide, so it cannot run",
        find: |module, _| {
            let unknown = module.imports.iter().filter(|import| module.kind == Kind::Module && !is_wasi(import));
            quoted(unknown.map(Import::full_name))
        },
    },
    Kinds {
        id: "unsupported-memory",
        level: Level::Error,
        text: "shared memory, 64-bit memory, pages of another size or several memories: wave has none of them, so it cannot run",
        find: |module, _| {
            let odd = |memory: &Memory| memory.shared || memory.wide || memory.custom_pages;
            holds(module.memories.len() > 1 || module.memories.iter().any(odd))
        },
    },
    Kinds {
        id: "exceptions",
        level: Level::Error,
        text: "tags of exceptions, which wave does not have, so it cannot run",
        find: |module, _| holds(module.tags > 0),
    },
    Kinds {
        id: "harmful-names",
        level: Level::Warning,
        text: "names with control characters, or characters that reorder text: honest tools make none, and they mislead who reads them",
        find: |module, _| {
            let imports = module.imports.iter().map(Import::full_name);
            let exports = module.exports.iter().map(|export| export.name.clone());
            let name = module.name.clone().into_iter();
            quoted(imports.chain(exports).chain(name).filter(|name| name.contains(harmful)))
        },
    },
    Kinds {
        id: "unbounded-memory",
        level: Level::Warning,
        text: "`memory` has no maximum: it can grow to all of its address space, unless --max-memory says otherwise",
        find: |module, _| holds(module.memories.iter().any(|memory| memory.max_pages.is_none())),
    },
    Kinds {
        id: "path-open-without-preopens",
        level: Level::Warning,
        text: "imports `path_open` but not `fd_prestat_get`: it cannot learn which directories it has, so it counts on certain numbers",
        find: |_, surface| holds(surface.contains("path_open") && !surface.contains("fd_prestat_get")),
    },
    Kinds {
        id: "path-open-without-reading",
        level: Level::Note,
        text: "imports `path_open` but neither `fd_read` nor `fd_pread`: it can create, cut and write files, and read none",
        find: |_, surface| {
            let reads = surface.contains("fd_read") || surface.contains("fd_pread");
            holds(surface.contains("path_open") && !reads)
        },
    },
    Kinds {
        id: "path-open-without-writing",
        level: Level::Note,
        text: "imports `path_open` but neither `fd_write` nor `fd_pwrite`: it can write to no file; a read-only grant may do",
        find: |_, surface| {
            let writes = surface.contains("fd_write") || surface.contains("fd_pwrite");
            holds(surface.contains("path_open") && !writes)
        },
    },
    Kinds {
        id: "sockets-without-accept",
        level: Level::Note,
        text: "imports `sock_recv` or `sock_send` but not `sock_accept`: no connection can come about",
        find: |_, surface| {
            let talks = surface.contains("sock_recv") || surface.contains("sock_send");
            holds(talks && !surface.contains("sock_accept"))
        },
    },
    Kinds {
        id: "symbolic-links",
        level: Level::Note,
        text: "imports `path_symlink`: treat a directory it could write to like an archive from a stranger",
        find: |_, surface| holds(surface.contains("path_symlink")),
    },
    Kinds {
        id: "clock",
        level: Level::Note,
        text: "imports `clock_time_get`: --clock-resolution or --deterministic keep it from measuring finely",
        find: |_, surface| holds(surface.contains("clock_time_get")),
    },
    Kinds {
        id: "no-entry",
        level: Level::Note,
        text: "exports no `_start`: it is a library, and runs with --invoke only",
        find: |module, _| {
            holds(module.kind == Kind::Module && !module.exports.iter().any(|export| export.name == "_start"))
        },
    },
    Kinds {
        id: "start-function",
        level: Level::Note,
        text: "has a start function: it runs before any export is called",
        find: |module, _| holds(module.start),
    },
    Kinds {
        id: "old-wasi",
        level: Level::Note,
        text: "imports `wasi_unstable`, the WASI of 2019: its toolchain is old",
        find: |module, _| holds(module.imports.iter().any(|import| import.module.as_deref() == Some("wasi_unstable"))),
    },
    Kinds {
        id: "debug-information",
        level: Level::Note,
        text: "has debug information: names and paths of the machine it was built on may be in it",
        find: |module, _| holds(module.debug_info),
    },
    Kinds {
        id: "unknown-toolchain",
        level: Level::Note,
        text: "no producers section: what made it is not said",
        find: |module, _| holds(module.producers.is_empty()),
    },
];

/// The facts that hold, the worst first.
pub fn facts(declarations: &Declarations, surface: &Surface) -> Vec<Fact> {
    let fact = |kind: &Kinds| {
        let Found { names, count } = (kind.find)(declarations, surface)?;
        Some(Fact { id: kind.id, level: kind.level, text: kind.text, names, count })
    };
    KINDS.iter().filter_map(fact).collect()
}

/// The functions of WASI that a module imports.
pub fn surface(module: &Declarations) -> Surface {
    let known = module.imports.iter().filter(|import| is_wasi(import));
    Surface::from_imports(known.map(|import| (import.module.as_deref().unwrap_or_default(), &*import.name)))
}

/// Whether an import is a function of the reviewed table.
fn is_wasi(import: &Import) -> bool {
    let Some(module) = import.module.as_deref().filter(|_| import.item == Item::Function) else { return false };
    Surface::from_imports([(module, &*import.name)]).unknown().is_empty()
}

impl Import {
    /// Both names, or the one of a component.
    pub fn full_name(&self) -> String {
        self.module.as_ref().map_or_else(|| self.name.clone(), |module| format!("{module} {}", self.name))
    }
}

fn holds(holds: bool) -> Option<Found> {
    holds.then(Found::default)
}

fn quoted(all: impl Iterator<Item = String>) -> Option<Found> {
    let mut found = Found::default();
    for name in all {
        found.count += 1;
        if found.names.len() < QUOTED {
            found.names.push(name);
        }
    }
    (found.count > 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_ids_are_unique() {
        assert!(KINDS.is_sorted_by_key(|kind| kind.level));
        let mut ids: Vec<_> = KINDS.iter().map(|kind| kind.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), KINDS.len());
    }
}
