//! Every family and kind of socket (T38, T43): none can be made.

use std::fmt::Write as _;

use libc::{SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM};

use crate::cage::User;
use crate::probe::{Kind, Probe, attack};
use crate::raw::call;
use crate::run::{Setup, Shape, attempt};
use crate::scene::Host;

/// One more than the kernel's last family.
const FAMILIES: u32 = 47;
const KINDS: [i32; 4] = [SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET];

/// What the attack tries, for a function that cannot take arguments.
static TRIED: std::sync::Mutex<(u32, i32)> = std::sync::Mutex::new((0, 0));

/// The smallest filter and the largest.
pub const SHAPES: [Shape; 2] = [Shape::Compute, Shape::Listener];

/// Number of attempts in [`run`] per shape.
pub const COUNT: usize = FAMILIES as usize * KINDS.len();

/// Adds a line for each family, kind and shape: how it ended, and whether the kernel makes such a socket without the seal.
pub fn run(host: &mut Host, user: User, text: &mut String) {
    let probe: Probe = attack(Kind::Other, "T38, T43", "a socket", "socket", |_| {
        let (family, kind) = *TRIED.lock().map_err(|_| libc::EINVAL)?;
        call!(libc::SYS_socket, family, kind, 0).map(drop)
    });
    for family in 0..FAMILIES {
        for kind in KINDS {
            *TRIED.lock().expect("one thread") = (family, kind);
            let exists = attempt(host, &probe, Shape::Files, Setup::Bare, user).end == "done";
            for shape in SHAPES {
                let end = attempt(host, &probe, shape, Setup::Strict, user).end;
                writeln!(text, "{shape:?} {family} {kind} {exists}: {end}").expect("text");
            }
        }
    }
}
