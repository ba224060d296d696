//! Removes the grants that a module cannot use, so that it gets neither a descriptor nor a rule for them (T123).

use crate::convert::surface_of;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::program::Program;
use std::fmt;
use std::net::SocketAddr;
use wave_policy::{ConnectTarget, Need, Surface};

/// A grant that the module cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unused {
    /// A listening socket.
    Listener(SocketAddr),
    /// A connection.
    Connection(ConnectTarget),
    /// A directory. The value is the flag or the rule that granted it.
    Directory(String),
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(address) => write!(f, "the listener on {address}"),
            Self::Connection(grant) => write!(f, "the connection to {grant}"),
            Self::Directory(place) => f.write_str(place),
        }
    }
}

/// Removes the grants that no import of the module can use, and returns them. The other grants keep their descriptor
/// numbers, because programs look for sockets after the directories.
///
/// # Errors
/// Never for the program of this plan.
pub fn remove_unused(
    plan: &mut Plan,
    listeners: &mut Vec<SocketAddr>,
    program: &mut Program,
) -> Result<Vec<Unused>, Failure> {
    let surface = surface_of(program.info()?);
    let wasi = program.store.data_mut();
    let mut unused = Vec::new();
    if !surface.contains("sock_accept") {
        wasi.withhold_sockets();
        unused.extend(listeners.drain(..).map(Unused::Listener));
    }
    if !surface.asks_for_connections() {
        plan.pinned.clear();
        unused.extend(plan.connect.drain(..).map(Unused::Connection));
    }
    if !uses_directories(&surface) {
        wasi.withhold_directories();
        unused.extend(plan.grants.drain(..).map(|grant| Unused::Directory(grant.place)));
        plan.forget_owner();
    }
    Ok(unused)
}

/// Whether an imported function does more with a directory than report that it exists.
fn uses_directories(surface: &Surface) -> bool {
    surface.functions().any(|function| matches!(function.need, Need::Grant | Need::WritableGrant))
}
