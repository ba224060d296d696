//! Runs code that was changed at random and is accepted all the same, under the seal, and looks at what lies around it.
//!
//! ```text
//! mutant_runs SEED
//! ```
//!
//! A sealed process may not print, so its exit code says how the run ended: 10 some calls returned, 11 all trapped, 12 it took too long, 1
//! something changed that is not the guest's.
#![forbid(unsafe_code)]

use std::error::Error;
use std::mem::ManuallyDrop;
use std::time::Duration;

use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_policy::{Level, Policy, Surface};
use wave_runtime::{Binding, CallError, Caller, HostFunction, Item, Stop, Store, StoreOptions, Value, arm_deadline};
use wave_sandbox::{GrowableRange, SealPlan};
use wave_verifier::{VerifyError, verify};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const GUEST: &[u8] = include_bytes!("guest.wat");
/// The first function that is changed.
const FIRST: usize = 4;
/// What `check` gives: 1000, what the host makes of 5, 7, and twice 40.
const CHECKED: i32 = 1000 + 6 + 7 + 80;
/// A mutant may run for ever.
const LIMIT: Duration = Duration::from_millis(200);
/// Pages of the host around what the guest has.
const CANARY: usize = 1 << 20;

fn main() -> ! {
    let code = run().unwrap_or_else(|error| {
        eprintln!("mutant_runs: {error}");
        125
    });
    wave_sandbox::exit(code)
}

fn canary(seed: u64) -> Vec<u8> {
    (0..CANARY).map(|at| (at as u64).wrapping_mul(seed | 1).to_le_bytes()[2]).collect()
}

fn run() -> Result<i32> {
    wave_sandbox::prepare_allocator();
    let seed: u64 = std::env::args().nth(1).ok_or("a seed is needed")?.parse()?;
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // Marsaglia's xorshift64.
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from((state >> 8) % bound as u64)
    };

    let bytes = wat::parse_bytes(GUEST)?.into_owned();
    let module = Module::parse(&bytes)?;
    let before = canary(seed);
    // Never dropped: a sealed process cannot unmap memory.
    let mut store = ManuallyDrop::new(Store::new(StoreOptions::default(), ())?);
    let host = HostFunction::new(|_: &mut Caller<'_, ()>, number: u32| Ok::<_, Stop>(number.wrapping_add(1)));
    let placement = store.place(module.info(), &[Binding::Host(host)])?;
    let image = module.compile(&CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &[ImportLinkage::Host],
        threads: 1,
        verify_ir: false,
        canonical_nans: false,
    })?;
    let verified = loop {
        let mut mutant = image.clone();
        let code = mutant.functions[FIRST + below(mutant.functions.len() - FIRST)?];
        let at = code.start as usize + below(code.len as usize)?;
        match below(2)? {
            0 => mutant.text[at] ^= 1 << below(8)?,
            _ => mutant.text[at] = u8::try_from(below(256)?)?,
        }
        if mutant.text[at] == image.text[at] {
            continue;
        }
        match verify(mutant, &bytes, placement.terms(), 1) {
            Ok((verified, _)) => break verified,
            Err(VerifyError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let instance = store.load(placement, module.into_info(), verified, bytes.clone())?;
    let after = canary(!seed);
    arm_deadline(LIMIT)?;

    let surface = Surface::from_imports([("wasi_snapshot_preview1", "proc_exit")]);
    let policy = Policy { level: Level::Strict, surface, ..Policy::default() };
    let growable = store.growable().into_iter();
    let growable: Vec<_> = growable.map(|(base, len_bytes)| GrowableRange { base, len_bytes }).collect();
    let code = store.code_range().into();
    let plan = SealPlan { growable: &growable, guest_code: Some(code), final_pages: &[code], ..SealPlan::new(&policy) };
    let sealed = wave_sandbox::seal(&plan)?;
    store.initialise(&sealed, instance).map_err(|stopped| format!("{:?}", stopped.stop))?;
    let function = |store: &Store<()>, name| match store.export(instance, name) {
        Some(Item::Function(function)) => Ok(function),
        _ => Err(format!("no `{name}`")),
    };
    let (subject, check) = (function(&store, "subject")?, function(&store, "check")?);

    let mut end = 11;
    for argument in [0, 1, 2, 3, 60_000, -1] {
        match store.call(&sealed, subject, &[Value::I32(argument), Value::I64(i64::from(argument) << 33 | 5)]) {
            Ok(_) => end = 10,
            Err(CallError::Stopped(stopped)) if stopped.stop == Stop::Deadline => {
                end = 12;
                break;
            }
            Err(CallError::Stopped(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What only the runtime writes is as it was: context, table and code say the same as before.
    let checked = store.call(&sealed, check, &[]);
    let is_whole = match &checked {
        Ok(values) => matches!(values[..], [Value::I32(CHECKED)]),
        Err(CallError::Stopped(stopped)) => stopped.stop == Stop::Deadline,
        Err(_) => false,
    };
    let is_whole = is_whole && before == canary(seed) && after == canary(!seed);
    Ok(if is_whole { end } else { 1 })
}
