//! `wave` with a compiler that makes a mistake, for tests of what stops it: the verifier, and without it the seal.
//!
//! ```text
//! miscompiled MISTAKE verified|unproved strict|off MODULE
//! ```
//!
//! Exit code 3 if the verifier refuses the code, and why on standard error.
#![forbid(unsafe_code)]

use std::mem::ManuallyDrop;

use wave_policy::{Level, Policy, Surface};
use wave_runtime::{Binding, Caller, HostFunction, Stop, Store, StoreOptions};
use wave_test_mutants::Mistake;
use wave_test_sealed::{self as sealed, Result};
use wave_verifier::{Verified, VerifyError};

const REFUSED: i32 = 3;
/// The function with the mistake: the first behind the only import.
const SUBJECT: usize = 1;

fn main() -> ! {
    sealed::main("miscompiled", run)
}

fn run() -> Result<i32> {
    wave_sandbox::prepare_allocator();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mistake, proof, level, file] = &words[..] else { return Err("four arguments are needed".into()) };
    let mistake = Mistake::ALL.into_iter().find(|known| format!("{known:?}") == *mistake);
    let mistake = mistake.ok_or("there is no such mistake")?;

    // Never dropped: a sealed process cannot unmap memory.
    let mut store = ManuallyDrop::new(Store::new(StoreOptions::default(), ())?);
    let exit = HostFunction::new(|_: &mut Caller<'_, ()>, code: u32| Err::<(), _>(Stop::Exit(code)));
    let bind = |_: &_, _: &_| Ok(Binding::Host(exit.clone()));
    let (placed, mut image) = sealed::compile(&mut store, wat::parse_file(file)?, bind)?;
    mistake.make(&mut image, SUBJECT).ok_or("there is no place for the mistake")?;
    let image = match &**proof {
        "unproved" => Verified::unproved(image, &placed.bytes, placed.terms())?,
        _ => match wave_verifier::verify(image, &placed.bytes, placed.terms(), 1) {
            Ok((image, _)) => image,
            Err(VerifyError::Refused(refusals)) => {
                refusals.iter().for_each(|refusal| eprintln!("{refusal}"));
                return Ok(REFUSED);
            }
            Err(error) => return Err(error.into()),
        },
    };
    let instance = placed.load(&mut store, image)?;

    let surface = Surface::from_imports([("wasi_snapshot_preview1", "proc_exit")]);
    let policy = Policy { level: level.parse::<Level>()?, surface, ..Policy::default() };
    let sealed = sealed::seal(&mut store, &policy, &[], |()| Vec::new())?;
    sealed::start(&mut store, &sealed, instance)
}
