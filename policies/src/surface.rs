//! The surface: which WASI functions a module imports, and whether it has shared memory.

use crate::table::{FUNCTIONS, Function};
use std::collections::BTreeSet;

/// The import module names that hold WASI preview1 functions.
const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// The import of WASI threads that starts one. It is provided, and always fails: see [`Surface::asks_for_threads`].
pub const THREAD_SPAWN: (&str, &str) = ("wasi", "thread-spawn");

/// The import module name of the functions for connections and listeners. They are an interface of `wave`.
pub const NET_MODULE: &str = "wave_net";

/// Its functions. All are provided to every module; without a granted connection they answer that there is none.
pub const NET_FUNCTIONS: [&str; 5] = ["address", "resolve", "tcp_connect", "tcp_listener", "tcp_status"];

/// Besides the bits of functions: whether a memory is shared.
const SHARED_MEMORY: u64 = 1 << 63;

/// And whether connections or listeners are asked for.
const CONNECTIONS: u64 = 1 << 62;

/// An import by its two names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Import {
    /// The import's module name.
    pub module: String,
    /// The import's own name.
    pub name: String,
}

/// The set of WASI functions a module imports, and whether one of its memories is shared: then `memory.atomic.wait` may sleep. And
/// whether it asks for connections.
/// The default is the empty surface: a module that only computes.
///
/// The same function under `wasi_snapshot_preview1` and `wasi_unstable` is one member, so a module gains nothing
/// by choosing the other name (T74).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    functions: u64,
    threads: bool,
    unknown: Vec<Import>,
}

impl Surface {
    /// Reads the surface from a module's function imports, as (module, name) pairs.
    ///
    /// Imports that are no WASI function are kept in [`Surface::unknown`]: they add no system call, and it is the
    /// caller's decision to link them elsewhere or to refuse the module.
    pub fn from_imports<M, N>(imports: impl IntoIterator<Item = (M, N)>) -> Self
    where
        M: AsRef<str>,
        N: AsRef<str>,
    {
        let mut surface = Self::default();
        // A module can have a million of them.
        let mut seen = BTreeSet::new();
        for (module, name) in imports {
            let (module, name) = (module.as_ref(), name.as_ref());
            match position(module, name) {
                Some(index) => surface.functions |= 1 << index,
                None if (module, name) == THREAD_SPAWN => surface.threads = true,
                None if module == NET_MODULE && NET_FUNCTIONS.contains(&name) => surface.functions |= CONNECTIONS,
                None => {
                    let import = Import { module: module.to_owned(), name: name.to_owned() };
                    if seen.insert(import.clone()) {
                        surface.unknown.push(import);
                    }
                }
            }
        }
        surface
    }

    /// The surface of these functions of preview1, by their names.
    pub fn of_functions<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::from_imports(names.into_iter().map(|name| (WASI_MODULES[0], name)))
    }

    /// This surface, of a module in which some memory is shared or none is.
    #[must_use]
    pub fn with_shared_memory(mut self, shared: bool) -> Self {
        self.functions = if shared { self.functions | SHARED_MEMORY } else { self.functions & !SHARED_MEMORY };
        self
    }

    /// Whether a memory is shared.
    pub const fn has_shared_memory(&self) -> bool {
        self.functions & SHARED_MEMORY != 0
    }

    /// This surface, of a module that imports a function for connections or does not.
    #[must_use]
    pub fn with_connections(mut self, asked_for: bool) -> Self {
        self.functions = if asked_for { self.functions | CONNECTIONS } else { self.functions & !CONNECTIONS };
        self
    }

    /// Whether the module asks for connections.
    pub const fn asks_for_connections(&self) -> bool {
        self.functions & CONNECTIONS != 0
    }

    /// Whether the module imports the function that starts threads. Its answer is an error: `wave` offers none.
    pub const fn asks_for_threads(&self) -> bool {
        self.threads
    }

    /// What is known of it as a number, for [`Surface::from_bits`] in the same process.
    pub const fn bits(&self) -> u64 {
        self.functions
    }

    /// The surface with these functions. Allocates nothing, so a signal handler may ask.
    pub const fn from_bits(functions: u64) -> Self {
        Self { functions, threads: false, unknown: Vec::new() }
    }

    /// The same functions, without the imports that are none.
    #[must_use]
    pub const fn known(&self) -> Self {
        Self::from_bits(self.functions)
    }

    /// Whether the module imports this WASI function.
    pub fn contains(&self, name: &str) -> bool {
        self.functions().any(|function| function.name == name)
    }

    /// The imported functions, in the order of their names.
    pub fn functions(&self) -> impl Iterator<Item = &'static Function> {
        let functions = self.functions;
        FUNCTIONS.iter().enumerate().filter(move |(index, _)| functions & (1 << index) != 0).map(|(_, f)| f)
    }

    /// The imports that are no WASI function, in the order of the module, each once.
    pub fn unknown(&self) -> &[Import] {
        &self.unknown
    }
}

fn position(module: &str, name: &str) -> Option<usize> {
    // `sock_accept` came after `wasi_unstable` was frozen.
    let frozen_out = module == "wasi_unstable" && name == "sock_accept";
    if !WASI_MODULES.contains(&module) || frozen_out {
        return None;
    }
    FUNCTIONS.binary_search_by_key(&name, |function| function.name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREVIEW1: &str = "wasi_snapshot_preview1";

    fn names(surface: &Surface) -> Vec<&str> {
        surface.functions().map(|function| function.name).collect()
    }

    #[test]
    fn no_import_is_the_empty_surface() {
        let none: [(&str, &str); 0] = [];
        assert_eq!(Surface::from_imports(none), Surface::default());
    }

    #[test]
    fn both_wasi_modules_lead_to_the_same_function() {
        let twice = Surface::from_imports([(PREVIEW1, "fd_write"), ("wasi_unstable", "fd_write")]);
        assert_eq!(names(&twice), ["fd_write"]);
        assert_eq!(twice, Surface::from_imports([("wasi_unstable", "fd_write")]));
    }

    #[test]
    fn shared_memory_is_no_function() {
        let surface = Surface::from_imports([(PREVIEW1, "fd_write")]);
        let shared = surface.clone().with_shared_memory(true);
        assert!(shared.has_shared_memory() && !surface.has_shared_memory());
        assert_eq!((names(&shared), names(&surface)), (vec!["fd_write"], vec!["fd_write"]));
        assert_eq!(Surface::from_bits(shared.bits()), shared);
        assert_eq!(shared.known().with_shared_memory(false), surface);
    }

    #[test]
    fn asking_for_connections_is_no_function() {
        let surface = Surface::from_imports([(PREVIEW1, "fd_write")]);
        let asking = surface.clone().with_connections(true);
        assert!(asking.asks_for_connections() && !surface.asks_for_connections() && !asking.has_shared_memory());
        assert_eq!(names(&asking), ["fd_write"]);
        assert_eq!(Surface::from_bits(asking.bits()), asking);
        assert_eq!(asking.with_connections(false), surface);
    }

    #[test]
    fn connections_are_asked_for_by_their_own_module_only() {
        for name in NET_FUNCTIONS {
            let surface = Surface::from_imports([(NET_MODULE, name)]);
            assert_eq!(surface, Surface::default().with_connections(true), "{name}");
            for module in ["env", PREVIEW1, "wasi_unstable"] {
                let other = Surface::from_imports([(module, name)]);
                assert!(!other.asks_for_connections() && other.unknown().len() == 1, "{module} {name}");
            }
        }
        let other = Surface::from_imports([(NET_MODULE, "tcp_listen")]);
        assert!(!other.asks_for_connections() && other.unknown().len() == 1);
    }

    #[test]
    fn a_thread_is_asked_for_by_one_name_and_adds_nothing() {
        let surface = Surface::from_imports([("wasi", "thread-spawn")]);
        assert!(surface.asks_for_threads() && surface.unknown().is_empty() && surface.bits() == 0);
        for (module, name) in [("wasi", "thread_spawn"), (PREVIEW1, "thread-spawn"), ("env", "thread-spawn")] {
            let other = Surface::from_imports([(module, name)]);
            assert!(!other.asks_for_threads() && other.unknown().len() == 1, "{module} {name}");
        }
    }

    #[test]
    fn other_names_are_reported_and_add_nothing() {
        let imports = [("env", "fd_write"), (PREVIEW1, "path_openx"), ("env", "fd_write"), (PREVIEW1, "fd_read")];
        let surface = Surface::from_imports(imports);
        assert_eq!(names(&surface), ["fd_read"]);
        let unknown: Vec<_> = surface.unknown().iter().map(|i| (i.module.as_str(), i.name.as_str())).collect();
        assert_eq!(unknown, [("env", "fd_write"), (PREVIEW1, "path_openx")]);
    }

    #[test]
    fn sock_accept_is_not_in_wasi_unstable() {
        assert!(!Surface::from_imports([("wasi_unstable", "sock_accept")]).contains("sock_accept"));
        assert!(Surface::from_imports([(PREVIEW1, "sock_accept")]).contains("sock_accept"));
    }
}
