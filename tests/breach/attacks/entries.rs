//! Ways into the kernel besides the `syscall` instruction of the host's own code.

use crate::probe::Kind::{Other, Permitted};
use crate::probe::{End, Probe, attack};
use crate::raw::{call, call_from, happened, int80};

pub fn attacks() -> Vec<Probe> {
    vec![
        attack(Permitted, "T77", "a permitted call by the host's code", "brk", |_| call!(libc::SYS_brk, 0).map(drop))
            .always(End::Done),
        attack(Other, "T77", "the same call by the guest's code", "brk", |s| {
            happened(call_from(s.code, libc::SYS_brk, 0) > 0)
        })
        .at_standard(End::Done),
        attack(Other, "T77", "a call by `int 0x80`", "of another architecture", |_| {
            const GETPID: i64 = 20;
            happened(int80(GETPID) > 0)
        })
        .where_available(),
        attack(Other, "T77", "a call with a number of x32", "unknown", |_| {
            const X32: i64 = 0x4000_0000;
            call!(X32 | libc::SYS_getpid).map(drop)
        })
        .reached(libc::ENOSYS),
        attack(Other, "T77", "a call by the vsyscall page", "time", |_| {
            const TIME: usize = 0xffff_ffff_ff60_0400;
            // SAFETY: the kernel answers a call to this address where it has the page; elsewhere the fault ends the process.
            let time: extern "C" fn(usize) -> i64 = unsafe { std::mem::transmute(TIME) };
            happened(time(0) > 0)
        })
        .where_available(),
    ]
}
