//! Sockets for the guest, bound before the seal.

use crate::failure::Failure;
use crate::plan::Plan;
use crate::platform;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use std::env::VarError;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use wave_policy::chain;

/// The first descriptor after the standard streams.
const FIRST_DESCRIPTOR: i32 = 3;

/// A listening socket and its address.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// Its address, with the port the kernel chose if none was given.
    pub address: SocketAddr,
    /// Whether the kernel chose the port. The operator is then told.
    pub chosen_port: bool,
}

/// Binds the addresses of the plan and takes the sockets that a service manager passed.
///
/// # Errors
/// 125 if an address cannot be bound, or if a passed descriptor is not a listening TCP socket.
pub fn listeners(plan: &Plan) -> Result<Vec<Listener>, Failure> {
    // Passed sockets come first, so that their numbers in the guest do not depend on other flags.
    let mut listeners = if plan.listenfd { inherited()? } else { Vec::new() };
    for (index, address) in plan.listen.iter().enumerate() {
        listeners.push(bind(*address).map_err(|error| {
            let id = format!("net.listen[{index}]");
            let line = plan.line_of_policy(&id).map(|line| format!("{id} ({line})"));
            Failure::refused(format!("cannot listen on {address}: {error}"))
                .at(line.unwrap_or_else(|| format!("--tcplisten {address}")))
                .fix("choose an address of this host and a free port; ports below 1024 require privileges")
        })?);
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> std::io::Result<Listener> {
    let socket = TcpListener::bind(address)?;
    // A blocking accept would ignore the deadline. The host waits with `ppoll` instead.
    socket.set_nonblocking(true)?;
    Ok(Listener { address: socket.local_addr()?, socket, chosen_port: address.port() == 0 })
}

/// The sockets of `sd_listen_fds(3)`. Their flags are shared with the service manager, so they are not changed (T35).
fn inherited() -> Result<Vec<Listener>, Failure> {
    let refuse = |what: String| {
        Failure::refused(what).at("--listenfd").fix("pass listening TCP sockets by LISTEN_FDS and LISTEN_PID")
    };
    let passed = passed_descriptors();
    if passed.is_empty() {
        return Err(refuse("no sockets were passed on".to_owned()));
    }
    let mut listeners = Vec::new();
    for (index, number) in passed.enumerate() {
        let unusable = |why: String| refuse(format!("socket {index} cannot be used: {why}"));
        let socket = wave_sandbox::inherited_descriptor(number).map_err(|error| unusable(chain(&error)))?;
        match socket_type(&socket) {
            Ok(SocketType::STREAM) => {}
            Ok(_) => return Err(unusable("it is no stream".to_owned())),
            Err(error) => return Err(unusable(error.to_string())),
        }
        let socket = TcpListener::from(socket);
        let address = socket.local_addr().map_err(|error| refuse(format!("socket {index} has no address: {error}")))?;
        if !platform::is_listening(&socket) {
            return Err(refuse(format!("socket {index} is not listening")));
        }
        listeners.push(Listener { socket, address, chosen_port: false });
    }
    Ok(listeners)
}

/// The numbers of the descriptors that a service manager passed to this process. The seal closes them: their duplicates are used.
///
/// Source: `sd_listen_fds(3)`; `LISTEN_FDS_FIRST_FD` is an extension of socket activation tools.
fn passed_descriptors() -> Range<i32> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<i32>().ok());
    let none = 0..0;
    let is_for_us = match std::env::var("LISTEN_PID") {
        Err(VarError::NotPresent) => true,
        Ok(text) => text.is_empty() || text.parse() == Ok(std::process::id()),
        Err(VarError::NotUnicode(_)) => false,
    };
    let Some(count) = number("LISTEN_FDS").filter(|_| is_for_us) else { return none };
    let first = number("LISTEN_FDS_FIRST_FD").unwrap_or(FIRST_DESCRIPTOR);
    first.checked_add(count).filter(|_| first >= FIRST_DESCRIPTOR).map_or(none, |end| first..end)
}
