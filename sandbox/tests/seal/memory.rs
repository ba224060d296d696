//! Memory after the seal: the allocator works without munmap, memory grows, nothing becomes executable.

use crate::Case;
use crate::child::GROWABLE_BYTES;
use crate::run::{User, expect, kernel_has};

pub const CASES: &[Case] = &[
    ("memory::the_allocator_needs_nothing_else", the_allocator_needs_nothing_else),
    ("memory::final_pages_stay_as_they_are", final_pages),
    ("memory::growable_memory_grows_and_does_not_execute", growable),
];

const DENIED: i32 = wave_sandbox::DENIED;

fn the_allocator_needs_nothing_else(user: User) {
    expect(user, &["allocate=1"], 0);
}

/// T80, T89: without the filter, the kernel's seal on the pages still holds.
fn final_pages(user: User) {
    if !kernel_has("mseal") {
        return println!("NOT RUN: memory::final_pages_stay_as_they_are: this kernel has no mseal");
    }
    for (what, call) in [
        ("write", "call=10,c,4096,3"),
        ("unmap", "call=11,c,4096"),
        ("replace", "call=9,c,4096,3,50,-1,0"),
        ("move", "call=25,c,4096,4096,3,m"),
        ("discard", "call=28,c,4096,4"),
    ] {
        if what != "write" {
            // The code page runs the child's exit path no more than the libc does, so losing it harms nobody.
            expect(user, &["without=seccomp", "without=no_new_code", call], 0);
        }
        expect(user, &["without=seccomp", "without=no_new_code", "code=1", call], libc::EPERM);
        let outcome = expect(user, &["code=1", call], DENIED);
        assert!(outcome.stderr.starts_with("wave: denied system call "), "{what}: {outcome:?}");
    }
}

fn growable(user: User) {
    let mprotect = |base: &str, length: u64, prot: u64| format!("call=10,{base},{length},{prot}");
    for (what, call, sealed) in [
        ("a part", mprotect("m", 0x1_0000, 3), 0),
        ("all of it", mprotect("m", GROWABLE_BYTES, 3), 0),
        ("past its end", mprotect("m", GROWABLE_BYTES + 4096, 3), DENIED),
        ("from its middle", mprotect("m+4096", 4096, 3), DENIED),
        ("shrinking", mprotect("m", 4096, 0), DENIED),
        ("read-only", mprotect("m", 4096, 1), DENIED),
        ("executable", mprotect("m", 4096, 5), DENIED),
        ("all three", mprotect("m", 4096, 7), DENIED),
    ] {
        expect(user, &["level=off", "growable=1", &call], 0);
        let outcome = expect(user, &["growable=1", &call], sealed);
        assert_eq!(outcome.status, sealed, "{what}");
    }
}
