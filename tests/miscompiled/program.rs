//! `wave` with a compiler that makes a mistake, for tests of what stops it: the verifier, and without it the seal.
//!
//! ```text
//! miscompiled MISTAKE verified|unproved strict|off MODULE
//! ```
//!
//! Exit code 3 if the verifier refuses the code, and why on standard error.
#![forbid(unsafe_code)]

use std::error::Error;
use std::mem::ManuallyDrop;

use wave_compiler::{CompileOptions, ImportLinkage, Mistake, Module};
use wave_policy::{Level, Policy, Surface};
use wave_runtime::{Binding, CallError, Caller, HostFunction, Item, Stop, Store, StoreOptions};
use wave_sandbox::{GrowableRange, SealPlan};
use wave_verifier::{Verified, VerifyError};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const REFUSED: i32 = 3;

fn main() -> ! {
    let code = run().unwrap_or_else(|error| {
        eprintln!("miscompiled: {error}");
        125
    });
    // As `wave` does: what std cleans up at an ordinary exit needs calls that the filter refuses.
    wave_sandbox::exit(code)
}

fn run() -> Result<i32> {
    wave_sandbox::prepare_allocator();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mistake, proof, level, file] = &words[..] else { return Err("four arguments are needed".into()) };
    let mistake = Mistake::ALL.into_iter().find(|known| format!("{known:?}") == *mistake);
    wave_compiler::hooks::make(mistake.ok_or("there is no such mistake")?);

    let bytes = wat::parse_file(file)?;
    let module = Module::parse(&bytes)?;
    // Never dropped: a sealed process cannot unmap memory.
    let mut store = ManuallyDrop::new(Store::new(StoreOptions::default(), ())?);
    let exit = HostFunction::new(|_: &mut Caller<'_, ()>, code: u32| Err::<(), _>(Stop::Exit(code)));
    let placement = store.place(module.info(), &[Binding::Host(exit)])?;
    let image = module.compile(&CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &[ImportLinkage::Host],
        threads: 1,
        verify_ir: false,
        canonical_nans: false,
    })?;
    let image = match &**proof {
        "unproved" => Verified::unproved(image, &bytes, placement.terms())?,
        _ => match wave_verifier::verify(image, &bytes, placement.terms(), 1) {
            Ok((image, _)) => image,
            Err(VerifyError::Refused(refusals)) => {
                refusals.iter().for_each(|refusal| eprintln!("{refusal}"));
                return Ok(REFUSED);
            }
            Err(error) => return Err(error.into()),
        },
    };
    let instance = store.load(placement, module.into_info(), image, bytes.clone())?;

    let surface = Surface::from_imports([("wasi_snapshot_preview1", "proc_exit")]);
    let policy = Policy { level: level.parse::<Level>()?, surface, ..Policy::default() };
    let growable = store.growable().into_iter();
    let growable: Vec<_> = growable.map(|(base, len_bytes)| GrowableRange { base, len_bytes }).collect();
    let code = store.code_range().into();
    let plan = SealPlan { growable: &growable, guest_code: Some(code), final_pages: &[code], ..SealPlan::new(&policy) };
    let sealed = wave_sandbox::seal(&plan)?;
    store.initialise(&sealed, instance).map_err(|stopped| format!("{:?}", stopped.stop))?;
    let Some(Item::Function(start)) = store.export(instance, "_start") else { return Err("no `_start`".into()) };
    match store.call(&sealed, start, &[]) {
        Ok(_) => Ok(0),
        Err(CallError::Stopped(stopped)) => match stopped.stop {
            Stop::Exit(code) => Ok(i32::try_from(code)?),
            stop => Err(format!("{stop:?}").into()),
        },
        Err(error) => Err(error.into()),
    }
}
