//! Grants that a module cannot use: it gets neither a descriptor nor a rule for them (T123).

use crate::failure::Failure;
use crate::plan::Plan;
use crate::program::Program;
use crate::terms::surface_of;
use std::fmt;
use std::net::SocketAddr;
use wave_policy::{Need, Surface};

/// A grant that the module cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unused {
    /// A listening socket.
    Listener(SocketAddr),
    /// A directory, by what granted it.
    Directory(String),
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(address) => write!(f, "the listener on {address}"),
            Self::Directory(place) => f.write_str(place),
        }
    }
}

/// Takes back what nothing that the module imports could use. The guest's numbers of other grants stay, because programs look
/// for sockets behind the directories. Returns what it is.
///
/// # Errors
/// Never for the program of this plan.
pub fn withhold(
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
    if !uses_directories(&surface) {
        wasi.withhold_directories();
        unused.extend(plan.grants.drain(..).map(|grant| Unused::Directory(grant.place)));
        plan.forget_owner();
    }
    Ok(unused)
}

/// Whether some function does anything with a directory but tell that it is there.
fn uses_directories(surface: &Surface) -> bool {
    surface.functions().any(|function| matches!(function.need, Need::Grant | Need::WritableGrant))
}
