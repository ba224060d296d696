//! Notable facts about a module.

use super::module::{Declarations, Import, Item, Kind, Memory};
use serde::Serialize;
use wave_policy::Surface;
use wave_policy::harmful;

/// Maximum names that a fact quotes.
const QUOTED: usize = 10;

/// The severity of a fact, in the words of SARIF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `wave` cannot run this.
    Error,
    /// An operator should review it.
    Warning,
    /// For information.
    Note,
}

/// A fact that holds for a module.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// Its kind.
    pub id: &'static str,
    /// Its severity.
    pub level: Level,
    /// Its description.
    pub text: &'static str,
    /// Names from the module that it is about, up to a maximum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The number of all such names.
    pub count: usize,
}

/// A kind of fact.
pub struct FactKind {
    pub id: &'static str,
    pub level: Level,
    pub text: &'static str,
    /// Returns the names that it is about, or `None` if it does not hold.
    find: fn(&Declarations, &Surface) -> Option<FoundNames>,
}

/// The names that a fact is about.
#[derive(Default)]
struct FoundNames {
    names: Vec<String>,
    count: usize,
}

/// All kinds, the worst first.
pub const KINDS: &[FactKind] = &[
    FactKind {
        id: "component",
        level: Level::Error,
        text: "a component: wave runs core modules of WASI preview 1 and cannot run it; system calls are not derived from its interfaces",
        find: |module, _| without_names(module.kind == Kind::Component),
    },
    FactKind {
        id: "unknown-imports",
        level: Level::Error,
        text: "imports that wave does not provide, so it cannot run",
        find: |module, _| {
            let unknown = module.imports.iter().filter(|import| module.kind == Kind::Module && !is_provided(import));
            with_names(unknown.map(Import::full_name))
        },
    },
    FactKind {
        id: "unsupported-memory",
        level: Level::Error,
        text: "64-bit memory, pages of another size or several memories: wave supports none of these, so it cannot run",
        find: |module, _| {
            let odd = |memory: &Memory| memory.wide || memory.custom_pages;
            without_names(module.memories.len() > 1 || module.memories.iter().any(odd))
        },
    },
    FactKind {
        id: "exceptions",
        level: Level::Error,
        text: "exception tags, which wave does not support, so it cannot run",
        find: |module, _| without_names(module.tags > 0),
    },
    FactKind {
        id: "harmful-names",
        level: Level::Warning,
        text: "names with control characters, or characters that reorder text: ordinary toolchains write none, and they mislead the reader",
        find: |module, _| {
            let imports = module.imports.iter().map(Import::full_name);
            let exports = module.exports.iter().map(|export| export.name.clone());
            let name = module.name.clone().into_iter();
            with_names(imports.chain(exports).chain(name).filter(|name| name.contains(harmful)))
        },
    },
    FactKind {
        id: "threads",
        level: Level::Warning,
        text: "imports `wasi` `thread-spawn`, which always fails here: wave offers no threads, so it may work more slowly or give up",
        find: |module, _| {
            let is_asking = |import: &Import| is_wasi(import) && surface_of_one(import).asks_for_threads();
            without_names(module.imports.iter().any(is_asking))
        },
    },
    FactKind {
        id: "unbounded-memory",
        level: Level::Warning,
        text: "`memory` has no maximum: it can grow to its whole address space, unless --max-memory limits it",
        find: |module, _| without_names(module.memories.iter().any(|memory| memory.max_pages.is_none())),
    },
    FactKind {
        id: "path-open-without-preopens",
        level: Level::Warning,
        text: "imports `path_open` but not `fd_prestat_get`: it cannot ask which directories it has, so it relies on fixed descriptor numbers",
        find: |_, surface| without_names(surface.contains("path_open") && !surface.contains("fd_prestat_get")),
    },
    FactKind {
        id: "path-open-without-reading",
        level: Level::Note,
        text: "imports `path_open` but neither `fd_read` nor `fd_pread`: it can create, truncate and write files, but read none",
        find: |_, surface| {
            let reads = surface.contains("fd_read") || surface.contains("fd_pread");
            without_names(surface.contains("path_open") && !reads)
        },
    },
    FactKind {
        id: "path-open-without-writing",
        level: Level::Note,
        text: "imports `path_open` but neither `fd_write` nor `fd_pwrite`: it cannot write to files; a read-only grant may be enough",
        find: |_, surface| {
            let writes = surface.contains("fd_write") || surface.contains("fd_pwrite");
            without_names(surface.contains("path_open") && !writes)
        },
    },
    FactKind {
        id: "sockets-without-accept",
        level: Level::Note,
        text: "imports `sock_recv` or `sock_send` but not `sock_accept`: it can never get a connection",
        find: |_, surface| {
            let talks = surface.contains("sock_recv") || surface.contains("sock_send");
            without_names(talks && !surface.contains("sock_accept"))
        },
    },
    FactKind {
        id: "symbolic-links",
        level: Level::Note,
        text: "imports `path_symlink`: treat a directory it could write to like an archive from a stranger",
        find: |_, surface| without_names(surface.contains("path_symlink")),
    },
    FactKind {
        id: "clock",
        level: Level::Note,
        text: "imports `clock_time_get`: --clock-resolution and --deterministic limit how precisely it can measure time",
        find: |_, surface| without_names(surface.contains("clock_time_get")),
    },
    FactKind {
        id: "no-entry",
        level: Level::Note,
        text: "exports no `_start`: it is a library, and runs with --invoke only",
        find: |module, _| {
            without_names(module.kind == Kind::Module && !module.exports.iter().any(|export| export.name == "_start"))
        },
    },
    FactKind {
        id: "start-function",
        level: Level::Note,
        text: "has a start function: it runs before any export is called",
        find: |module, _| without_names(module.start),
    },
    FactKind {
        id: "old-wasi",
        level: Level::Note,
        text: "imports `wasi_unstable`, the WASI of 2019: its toolchain is old",
        find: |module, _| {
            without_names(module.imports.iter().any(|import| import.module.as_deref() == Some("wasi_unstable")))
        },
    },
    FactKind {
        id: "debug-information",
        level: Level::Note,
        text: "has debug information: names and paths of the machine it was built on may be in it",
        find: |module, _| without_names(module.debug_info),
    },
    FactKind {
        id: "unknown-toolchain",
        level: Level::Note,
        text: "no producers section: the toolchain that built it is unknown",
        find: |module, _| without_names(module.producers.is_empty()),
    },
];

/// The facts that hold, the worst first.
pub fn facts(declarations: &Declarations, surface: &Surface) -> Vec<Fact> {
    let fact = |kind: &FactKind| {
        let FoundNames { names, count } = (kind.find)(declarations, surface)?;
        Some(Fact { id: kind.id, level: kind.level, text: kind.text, names, count })
    };
    KINDS.iter().filter_map(fact).collect()
}

/// The WASI functions that a module imports.
pub fn surface(module: &Declarations) -> Surface {
    let known = module.imports.iter().filter(|import| is_wasi(import));
    Surface::from_imports(known.map(|import| (import.module.as_deref().unwrap_or_default(), &*import.name)))
        .with_shared_memory(module.memories.iter().any(|memory| memory.shared))
}

/// Whether `wave` has something for an import.
fn is_provided(import: &Import) -> bool {
    is_wasi(import) || import.is_shared_memory()
}

/// Whether an import is a function that `wave` provides.
fn is_wasi(import: &Import) -> bool {
    import.module.is_some() && import.item == Item::Function && surface_of_one(import).unknown().is_empty()
}

fn surface_of_one(import: &Import) -> Surface {
    Surface::from_imports([(import.module.as_deref().unwrap_or_default(), &*import.name)])
}

impl Import {
    /// Both names, or the single name of a component's import.
    pub fn full_name(&self) -> String {
        self.module.as_ref().map_or_else(|| self.name.clone(), |module| format!("{module} {}", self.name))
    }
}

fn without_names(holds: bool) -> Option<FoundNames> {
    holds.then(FoundNames::default)
}

fn with_names(all: impl Iterator<Item = String>) -> Option<FoundNames> {
    let mut found = FoundNames::default();
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
