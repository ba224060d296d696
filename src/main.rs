//! The command `wave`.
#![forbid(unsafe_code)]

/// Reports when memory runs out, and works after the seal.
#[global_allocator]
static ALLOCATOR: wave_sandbox::Allocator = wave_sandbox::Allocator;

fn main() -> ! {
    wave::main(std::env::args_os().collect())
}
