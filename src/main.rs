//! The command `wave`.
#![forbid(unsafe_code)]

/// So that a process that runs out of memory can say so.
#[global_allocator]
static ALLOCATOR: wave_sandbox::Allocator = wave_sandbox::Allocator;

fn main() -> ! {
    wave::main(std::env::args_os().collect())
}
