//! The exposure score: how much of the host a module asks to touch, as one number from 0 to 10.
//!
//! The score is a sum of lines with fixed weights. Nothing is subtracted, so more imports never lower the score. All
//! lines together are 10. The weights are a judgment of what an attacker gets from the system calls behind the
//! functions if a grant is given.

use super::granted::Granted;
use super::module::{Declarations, Kind, Memory};
use serde::{Serialize, Serializer};
use wave_policy::Surface;

/// What every reader of a score should know.
pub const WARNING: &str = "A score is no proof: it says what a module asks for, not what it does with it, and a low one does \
not make a module trustworthy. Grants and limits decide what it gets.";

/// A score and its lines.
#[derive(Debug, Serialize)]
pub struct Score {
    /// In tenths: 0 to 100.
    #[serde(rename = "value", serialize_with = "in_ones")]
    pub tenths: u32,
    /// The lines that add something, in the order of the table.
    pub lines: Vec<Line>,
    /// What a score does not mean.
    pub warning: &'static str,
}

/// One contribution.
#[derive(Debug, Serialize)]
pub struct Line {
    /// What the line counts.
    pub id: &'static str,
    /// Its weight in tenths.
    #[serde(rename = "points", serialize_with = "in_ones")]
    pub tenths: u32,
    /// The imports for which it counts. Empty for lines that count no imports.
    pub because: Vec<String>,
    /// The reason for its weight.
    pub reason: &'static str,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn in_ones<S: Serializer>(tenths: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*tenths) / 10.0)
}

/// Tenths as a decimal number.
pub fn decimal(tenths: u32) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A weight that counts once if any of its functions is imported.
struct Weight {
    id: &'static str,
    tenths: u32,
    /// WASI preview 1 functions, or packages of a component's interfaces.
    names: &'static [&'static str],
    reason: &'static str,
}

const BASE: Weight = Weight {
    id: "any program",
    tenths: 2,
    names: &[],
    reason: "compiled code runs natively: flaws in the compiler, the processor and the system calls of every run are within reach",
};
const GROWS: Weight = Weight {
    id: "memory that can grow",
    tenths: 2,
    names: &[],
    reason: "`mprotect` stays in the filter, limited to that memory",
};
const UNBOUNDED: Weight = Weight {
    id: "memory without a maximum",
    tenths: 2,
    names: &[],
    reason: "it can take its whole address space unless --max-memory limits it",
};

/// The weights of functions. Every function of WASI preview 1 is in exactly one.
const FUNCTIONS: [Weight; 18] = [
    Weight {
        id: "open files",
        tenths: 15,
        names: &["path_open"],
        reason: "opens and creates files; the filter cannot see paths, so only Landlock backs the monitor",
    },
    Weight {
        id: "accept connections",
        tenths: 12,
        names: &["sock_accept"],
        reason: "remote peers can talk to the program; the monitor decides which ones",
    },
    Weight {
        id: "remove and rename",
        tenths: 10,
        names: &["path_remove_directory", "path_rename", "path_unlink_file"],
        reason: "what is removed or replaced in a writable directory is gone",
    },
    Weight {
        id: "talk on connections",
        tenths: 8,
        names: &["sock_recv", "sock_send"],
        reason: "carries data in and out",
    },
    Weight {
        id: "make links",
        tenths: 7,
        names: &["path_link", "path_symlink"],
        reason: "links mislead other programs that follow them",
    },
    Weight {
        id: "look up names",
        tenths: 6,
        names: &["path_filestat_get", "path_readlink"],
        reason: "Landlock does not cover attributes and link targets: a broken monitor reveals those of the whole host",
    },
    Weight {
        id: "cut and fill files",
        tenths: 5,
        names: &["fd_allocate", "fd_filestat_set_size", "fd_pwrite"],
        reason: "destroys contents, and uses up space",
    },
    Weight { id: "list directories", tenths: 4, names: &["fd_readdir"], reason: "finds what to read" },
    Weight {
        id: "make directories",
        tenths: 4,
        names: &["path_create_directory"],
        reason: "uses up inodes; names are seen by others",
    },
    Weight {
        id: "set times",
        tenths: 4,
        names: &["fd_filestat_set_times", "path_filestat_set_times"],
        reason: "Landlock has no right for it: only file permissions back the monitor",
    },
    Weight {
        id: "read clocks",
        tenths: 4,
        names: &["clock_res_get", "clock_time_get"],
        reason: "side channels are measured with a clock",
    },
    Weight {
        id: "use streams",
        tenths: 3,
        names: &["fd_filestat_get", "fd_pread", "fd_read", "fd_seek", "fd_tell", "fd_write"],
        reason: "reads and writes what is open, including the operator's terminal",
    },
    Weight {
        id: "set flags of descriptors",
        tenths: 3,
        names: &["fd_fdstat_set_flags"],
        reason: "flags of an inherited stream are shared with the parent",
    },
    Weight { id: "wait", tenths: 3, names: &["poll_oneoff"], reason: "holds resources without using the processor" },
    Weight {
        id: "flush and advise",
        tenths: 2,
        names: &["fd_advise", "fd_datasync", "fd_sync"],
        reason: "slows down others on the same disk",
    },
    Weight {
        id: "shut connections down",
        tenths: 1,
        names: &["sock_shutdown"],
        reason: "closes a connection that others may share",
    },
    Weight {
        id: "arguments, environment and random bytes",
        tenths: 1,
        names: &["args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "random_get"],
        reason: "nothing but what was given on the command line, and random bytes",
    },
    Weight {
        id: "its own process and descriptors",
        tenths: 2,
        names: &[
            "fd_close",
            "fd_fdstat_get",
            "fd_fdstat_set_rights",
            "fd_prestat_dir_name",
            "fd_prestat_get",
            "fd_renumber",
            "proc_exit",
            "proc_raise",
            "sched_yield",
        ],
        reason: "changes its own table, ends itself, gives up the processor",
    },
];

/// The weights of interface packages. The last one is for packages that are not listed.
const PACKAGES: [Weight; 8] = [
    Weight {
        id: "file systems",
        tenths: 35,
        names: &["wasi:filesystem"],
        reason: "one interface covers both reading and changing files",
    },
    Weight {
        id: "sockets",
        tenths: 25,
        names: &["wasi:sockets"],
        reason: "opens connections and listens, if the host gives it a network",
    },
    Weight { id: "HTTP", tenths: 10, names: &["wasi:http"], reason: "carries data in and out" },
    Weight {
        id: "command line and environment",
        tenths: 5,
        names: &["wasi:cli"],
        reason: "arguments, variables, the operator's terminal",
    },
    Weight { id: "clocks", tenths: 4, names: &["wasi:clocks"], reason: "side channels are measured with a clock" },
    Weight { id: "streams and waiting", tenths: 3, names: &["wasi:io"], reason: "uses what other interfaces open" },
    Weight { id: "random numbers", tenths: 1, names: &["wasi:random"], reason: "random bytes" },
    Weight {
        id: "other interfaces",
        tenths: 15,
        names: &[],
        reason: "the host that provides them decides what they do",
    },
];

/// Maximum imports that one line lists.
const LISTED: usize = 20;

/// Scores a module by its surface and memories, and a component by its imports.
///
/// Under a policy, functions without effect do not count, so the score is never higher than without the policy.
pub fn score(declarations: &Declarations, surface: &Surface, granted: Option<&Granted>) -> Score {
    let mut lines = match (declarations.kind, granted) {
        (Kind::Module, Some(granted)) => by_functions(&granted.effective(surface)),
        (Kind::Module, None) => by_functions(surface),
        (Kind::Component, _) => by_packages(declarations),
    };
    lines.push(line(&BASE, Vec::new()));
    let grows = |memory: &Memory| granted.map_or(memory.can_grow(), |granted| granted.can_grow(memory));
    if declarations.memories.iter().any(grows) {
        lines.push(line(&GROWS, Vec::new()));
    }
    let limited = granted.is_some_and(|granted| granted.max_memory.is_some());
    if !limited && declarations.memories.iter().any(|memory| memory.max_pages.is_none()) {
        lines.push(line(&UNBOUNDED, Vec::new()));
    }
    Score { tenths: lines.iter().map(|line| line.tenths).sum(), lines, warning: WARNING }
}

fn by_functions(surface: &Surface) -> Vec<Line> {
    let imported = |weight: &Weight| {
        let names = surface.functions().map(|function| function.name).filter(|name| weight.names.contains(name));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = FUNCTIONS.iter().map(|weight| (weight, imported(weight)));
    lines.filter(|(_, because)| !because.is_empty()).map(|(weight, because)| line(weight, because)).collect()
}

fn by_packages(declarations: &Declarations) -> Vec<Line> {
    let mut because: [Vec<String>; PACKAGES.len()] = Default::default();
    for import in &declarations.imports {
        let package = package(&import.name);
        let place = PACKAGES.iter().position(|weight| weight.names.contains(&package)).unwrap_or(PACKAGES.len() - 1);
        if let Some(names) = because.get_mut(place).filter(|names| names.len() < LISTED) {
            names.push(import.name.clone());
        }
    }
    let lines = PACKAGES.iter().zip(because).filter(|(_, because)| !because.is_empty());
    lines.map(|(weight, because)| line(weight, because)).collect()
}

/// The `namespace:package` part of an interface name.
pub fn package(interface: &str) -> &str {
    interface.split(['/', '@']).next().unwrap_or_default()
}

fn line(weight: &Weight, because: Vec<String>) -> Line {
    Line { id: weight.id, tenths: weight.tenths, because, reason: weight.reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{Import, Item};
    use wave_policy::all_functions;

    const PREVIEW1: &str = "wasi_snapshot_preview1";

    fn of(names: &[&str]) -> u32 {
        score(&Declarations::default(), &Surface::from_imports(names.iter().map(|name| (PREVIEW1, *name))), None).tenths
    }

    #[test]
    fn all_lines_together_are_ten() {
        let rest = BASE.tenths + GROWS.tenths + UNBOUNDED.tenths;
        assert_eq!(FUNCTIONS.iter().map(|weight| weight.tenths).sum::<u32>() + rest, 100);
        // A component has no memory of its own that is seen here.
        assert_eq!(PACKAGES.iter().map(|weight| weight.tenths).sum::<u32>() + BASE.tenths, 100);
    }

    #[test]
    fn every_function_is_in_one_line() {
        for function in all_functions() {
            let lines = FUNCTIONS.iter().filter(|weight| weight.names.contains(&function.name)).count();
            assert_eq!(lines, 1, "{}", function.name);
        }
        let named: usize = FUNCTIONS.iter().map(|weight| weight.names.len()).sum();
        assert_eq!(named, all_functions().len());
    }

    /// From many starting points, every function is added.
    #[test]
    fn an_import_never_lowers_the_score() {
        let names: Vec<_> = all_functions().iter().map(|function| function.name).collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..500 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bits = state >> 18;
            let chosen: Vec<_> =
                names.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, n)| *n).collect();
            let before = of(&chosen);
            for added in &names {
                let more = of(&[&chosen[..], &[added]].concat());
                assert!(more >= before && more <= 100, "{chosen:?} and {added}: {before}, then {more}");
            }
        }
        assert_eq!((of(&[]), of(&["fd_write"]), of(&names)), (2, 5, 96));
    }

    #[test]
    fn memory_counts_by_what_it_may_become() {
        let with = |max_pages| {
            let (imported, shared, wide, custom_pages) = (false, false, false, false);
            let memory = Memory { min_pages: 1, max_pages, imported, shared, wide, custom_pages, page_log2: 16 };
            let declarations = Declarations { memories: vec![memory], ..Declarations::default() };
            score(&declarations, &Surface::default(), None).tenths
        };
        assert_eq!([Some(1), Some(2), None].map(with), [2, 4, 6]);
    }

    #[test]
    fn components_count_by_package() {
        let of = |names: &[&str]| {
            let import =
                |name: &&str| Import { module: None, name: (*name).to_owned(), item: Item::Interface, ty: "".into() };
            let imports = names.iter().map(import).collect();
            let declarations = Declarations { kind: Kind::Component, imports, ..Declarations::default() };
            score(&declarations, &Surface::default(), None).tenths
        };
        assert_eq!(of(&[]), 2);
        assert_eq!(of(&["wasi:filesystem/types@0.2.0", "wasi:filesystem/preopens@0.2.0"]), 37);
        assert_eq!(of(&["wasi:filesystems/types"]), 17, "another package");
    }
}
