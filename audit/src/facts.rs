//! Notable facts about a module.

use super::module::{Declarations, Import, Item, Kind};
use serde::Serialize;
use std::borrow::Cow;
use wave_engine::features::{self, Verdict};
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
    pub text: Cow<'static, str>,
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
    find: fn(&Subject<'_>) -> Option<Found>,
}

/// What facts are about.
pub struct Subject<'m> {
    /// The declarations.
    pub module: &'m Declarations,
    /// The WASI functions among the imports.
    pub surface: &'m Surface,
    /// Whether the module is valid, and what it uses.
    pub verdict: &'m Verdict,
}

/// What a fact is about.
#[derive(Default)]
struct Found {
    /// Its text, if that of the kind is too general.
    text: Option<String>,
    names: Vec<String>,
    count: usize,
}

/// All kinds, the worst first.
pub const KINDS: &[FactKind] = &[
    FactKind {
        id: "component",
        level: Level::Error,
        text: "a component that wave cannot run; system calls are not derived from its interfaces",
        find: |Subject { module, .. }| {
            let text = |why| format!("it cannot run: {why}; system calls are not derived from its interfaces");
            module.refused.as_ref().map(|why| Found { text: Some(text(why)), ..Found::default() })
        },
    },
    FactKind {
        id: "unknown-imports",
        level: Level::Error,
        text: "imports that wave does not provide, so it cannot run: or only with --unknown-imports, if all of them are functions",
        find: |Subject { module, .. }| {
            let unknown = module.imports.iter().filter(|import| module.kind == Kind::Module && !is_provided(import));
            with_names(unknown.map(Import::full_name))
        },
    },
    FactKind {
        id: "unsupported-features",
        level: Level::Error,
        text: "features of WebAssembly that wave does not support, so it cannot run",
        find: |subject| match subject.verdict {
            Verdict::Needs(names) => {
                let (what, fix) = features::explain(names);
                Some(Found { text: Some(format!("{what}; it cannot run: {fix}")), ..Found::default() })
            }
            _ => None,
        },
    },
    FactKind {
        id: "invalid",
        level: Level::Error,
        text: "not valid, so it cannot run",
        find: |subject| match subject.verdict {
            // In the validator's words, which can quote names of the module.
            Verdict::Invalid { message, offset } => {
                with_names(std::iter::once(format!("{message} (at offset {offset:#x})")))
            }
            _ => None,
        },
    },
    FactKind {
        id: "harmful-names",
        level: Level::Warning,
        text: "names with control characters, or characters that reorder text: ordinary toolchains write none, and they mislead the reader",
        find: |Subject { module, .. }| {
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
        find: |Subject { module, .. }| {
            let is_asking = |import: &Import| is_wasi(import) && surface_of_one(import).asks_for_threads();
            without_names(module.imports.iter().any(is_asking))
        },
    },
    FactKind {
        id: "unbounded-memory",
        level: Level::Warning,
        text: "`memory` has no maximum: it can grow to its whole address space, unless --max-memory limits it",
        find: |Subject { module, .. }| without_names(module.memories.iter().any(|memory| memory.max_pages.is_none())),
    },
    FactKind {
        id: "path-open-without-preopens",
        level: Level::Warning,
        text: "imports `path_open` but not `fd_prestat_get`: it cannot ask which directories it has, so it relies on fixed descriptor numbers",
        find: |Subject { surface, .. }| {
            without_names(surface.contains("path_open") && !surface.contains("fd_prestat_get"))
        },
    },
    FactKind {
        id: "path-open-without-reading",
        level: Level::Note,
        text: "imports `path_open` but neither `fd_read` nor `fd_pread`: it can create, truncate and write files, but read none",
        find: |Subject { surface, .. }| {
            let reads = surface.contains("fd_read") || surface.contains("fd_pread");
            without_names(surface.contains("path_open") && !reads)
        },
    },
    FactKind {
        id: "path-open-without-writing",
        level: Level::Note,
        text: "imports `path_open` but neither `fd_write` nor `fd_pwrite`: it cannot write to files; a read-only grant may be enough",
        find: |Subject { surface, .. }| {
            let writes = surface.contains("fd_write") || surface.contains("fd_pwrite");
            without_names(surface.contains("path_open") && !writes)
        },
    },
    FactKind {
        id: "sockets-without-accept",
        level: Level::Note,
        text: "imports `sock_recv` or `sock_send`, but neither `sock_accept` nor `wave_net` `tcp_connect`: it can never get a connection",
        find: |Subject { surface, .. }| {
            let talks = surface.contains("sock_recv") || surface.contains("sock_send");
            without_names(talks && !surface.contains("sock_accept") && !surface.asks_for_connections())
        },
    },
    FactKind {
        id: "connections",
        level: Level::Note,
        text: "asks for connections to others: --connect allows them one by one, and it gets none otherwise",
        find: |Subject { surface, .. }| without_names(surface.asks_for_connections()),
    },
    FactKind {
        id: "symbolic-links",
        level: Level::Note,
        text: "imports `path_symlink`: treat a directory it could write to like an archive from a stranger",
        find: |Subject { surface, .. }| without_names(surface.contains("path_symlink")),
    },
    FactKind {
        id: "clock",
        level: Level::Note,
        text: "imports `clock_time_get`: --clock-resolution and --deterministic limit how precisely it can measure time",
        find: |Subject { surface, .. }| without_names(surface.contains("clock_time_get")),
    },
    FactKind {
        id: "no-entry",
        level: Level::Note,
        text: "exports no `_start`: it is a library, and runs with --invoke only",
        find: |Subject { module, .. }| {
            without_names(module.kind == Kind::Module && !module.exports.iter().any(|export| export.name == "_start"))
        },
    },
    FactKind {
        id: "start-function",
        level: Level::Note,
        text: "has a start function: it runs before any export is called",
        find: |Subject { module, .. }| without_names(module.start),
    },
    FactKind {
        id: "old-wasi",
        level: Level::Note,
        text: "imports `wasi_unstable`, the WASI of 2019: its toolchain is old",
        find: |Subject { module, .. }| {
            without_names(module.imports.iter().any(|import| import.module.as_deref() == Some("wasi_unstable")))
        },
    },
    FactKind {
        id: "debug-information",
        level: Level::Note,
        text: "has debug information: names and paths of the machine it was built on may be in it",
        find: |Subject { module, .. }| without_names(module.debug_info),
    },
    FactKind {
        id: "unknown-toolchain",
        level: Level::Note,
        text: "no producers section: the toolchain that built it is unknown",
        find: |Subject { module, .. }| without_names(module.producers.is_empty()),
    },
];

/// The facts that hold, the worst first.
pub fn facts(subject: &Subject<'_>) -> Vec<Fact> {
    let fact = |kind: &FactKind| {
        let Found { text, names, count } = (kind.find)(subject)?;
        let text = text.map_or(Cow::Borrowed(kind.text), Cow::Owned);
        Some(Fact { id: kind.id, level: kind.level, text, names, count })
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

fn without_names(holds: bool) -> Option<Found> {
    holds.then(Found::default)
}

fn with_names(all: impl Iterator<Item = String>) -> Option<Found> {
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
