//! Runs an untrusted program in a sealed child process and continues afterwards. It uses `wave-engine` alone.
//!
//! ```text
//! cargo run -p wave-engine --example embed -- examples/hello.wat
//! cargo run -p wave-engine --example embed -- examples/show.wat /srv/data
//! ```
//!
//! A seal cannot be undone, so the program runs in a child process. The child is this example again.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};
use wave_engine::{Access, Allocator, DirectoryGrant, Engine, Failure, Module, Plan, PlanBuilder};

// After the seal, the system's allocator may need system calls that the filter denies. This one does not.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The first argument of the child.
const CHILD: &str = "--child";

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    match words.as_slice() {
        [first, module] if first == CHILD => child(module, None),
        [first, module, directory] if first == CHILD => child(module, Some(directory)),
        [_] | [_, _] => parent(&words),
        _ => {
            eprintln!("usage: embed MODULE [DIRECTORY]");
            ExitCode::from(2)
        }
    }
}

/// Starts the child and prints how it ended.
fn parent(words: &[OsString]) -> ExitCode {
    let status = env::current_exe().and_then(|own| Command::new(own).arg(CHILD).args(words).status());
    match status {
        Ok(status) => {
            println!("the program ended: {status}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("embed: cannot start a process: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the program to its end. A sealed process cannot return from `main`.
fn child(module: &OsString, directory: Option<&OsString>) -> ! {
    let code = run(module, directory).unwrap_or_else(|failure| {
        eprint!("{failure}");
        failure.code()
    });
    wave_engine::exit(i32::from(code))
}

fn run(module: &OsString, directory: Option<&OsString>) -> Result<u8, Failure> {
    // This call comes first, so that nothing inherited from the parent has an effect.
    wave_engine::start().map_err(|error| Failure::refused(error.to_string()).fix(error.fix()))?;
    let sealed = Engine::default().prepare(plan(directory)?, Module::file(module))?.seal()?;
    Ok(sealed.enter().exit_code())
}

/// Limits the run to five seconds and 64 MiB, and grants one directory read-only.
fn plan(directory: Option<&OsString>) -> Result<Plan, Failure> {
    let mut builder = PlanBuilder { name: b"embedded".to_vec(), ..PlanBuilder::default() };
    builder.limits.timeout = Some(std::time::Duration::from_secs(5));
    builder.limits.max_memory = Some(64 << 20);
    builder.grants.extend(directory.map(|host| DirectoryGrant::new(host, "/data", Access::ReadOnly)));
    builder.build()
}
