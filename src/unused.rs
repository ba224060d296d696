//! Grants that a module cannot use: it gets neither a descriptor nor a rule for them (T123).

use crate::failure::Failure;
use crate::plan::Plan;
use crate::program::Program;
use crate::text::note;
use std::net::SocketAddr;
use wave_policy::{Need, Surface};

/// Takes back what nothing that the module imports could use. The guest's numbers of other grants stay, because programs look
/// for sockets behind the directories. Returns what it is, in words.
///
/// # Errors
/// Never for the program of this plan.
pub fn withhold(
    plan: &mut Plan,
    listeners: &mut Vec<SocketAddr>,
    program: &mut Program,
) -> Result<Vec<String>, Failure> {
    let imports = program.info()?.imports.iter();
    let surface = Surface::from_imports(imports.map(|import| (&import.module, &import.name)));
    let wasi = program.store.data_mut();
    let mut unused = Vec::new();
    // The sockets first: they come after the directories.
    if !surface.contains("sock_accept") {
        let first = plan.grants.len();
        wasi.withhold(first..first + listeners.len());
        // Whoever connects notices; so should the operator.
        for address in listeners.drain(..) {
            note(&format!("wave: note: the module does not import `sock_accept`: nothing listens on {address}\n"));
            unused.push(format!("the listener on {address}"));
        }
    }
    if !uses_directories(&surface) {
        wasi.withhold(0..plan.grants.len());
        unused.extend(plan.grants.drain(..).map(|grant| grant.place));
        plan.forget_owner();
    }
    Ok(unused)
}

/// Whether some function does anything with a directory but tell that it is there.
fn uses_directories(surface: &Surface) -> bool {
    surface.functions().any(|function| matches!(function.need, Need::Grant | Need::WritableGrant))
}
