//! `wave` with a filter that lacks one rule, or grants that lack one right, for tests that each is needed. It permits less than
//! `wave`, never more.
//!
//! An example target because `cargo install` never ships those: the command itself has no way to ask for this.
//!
//! ```text
//! narrowed guest|compiler|landlock RULE|RIGHT run [OPTIONS] MODULE [ARGS]...
//! ```
#![forbid(unsafe_code)]

use wave_policy::Role;

#[global_allocator]
static ALLOCATOR: wave_sandbox::Allocator = wave_sandbox::Allocator;

fn main() -> ! {
    let mut words = std::env::args_os();
    let [name, part, what] = [(); 3].map(|()| words.next().unwrap_or_default());
    let what = what.to_string_lossy();
    match &*part.to_string_lossy() {
        "guest" => wave_sandbox::narrower::leave_out_rule(Role::Guest, &what),
        "compiler" => wave_sandbox::narrower::leave_out_rule(Role::Compiler, &what),
        "landlock" => wave_sandbox::narrower::leave_out_right(&what),
        _ => {
            eprintln!("narrowed: guest, compiler or landlock?");
            wave_sandbox::exit(2);
        }
    }
    wave::main([name].into_iter().chain(words).collect())
}
