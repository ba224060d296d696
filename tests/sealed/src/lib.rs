//! What the test programs share that run code as `wave` does but not all of it: how a module is placed and compiled, how the process
//! is sealed, how a program is started.
#![forbid(unsafe_code)]

use std::error::Error;
use std::os::fd::RawFd;

use wave_compiler::Module;
use wave_contract::artifact::CodeSettings;
use wave_contract::image::CodeImage;
use wave_contract::module::{Import, ModuleInfo};
use wave_engine::ProgramRanges;
use wave_engine::compile::Job;
use wave_policy::Policy;
use wave_runtime::{Binding, CallError, InstanceId, Item, Placement, Stop, Store};
use wave_sandbox::{Grant, SealPlan, Sealed};
use wave_verifier::{Terms, Verified};

/// Any failure is the end of a test program, with its message.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs a program to its exit code; 125 if it could not run.
pub fn main(name: &str, run: fn() -> Result<i32>) -> ! {
    let code = run().unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        125
    });
    // As `wave` does: what std cleans up at an ordinary exit needs calls that the filter refuses.
    wave_sandbox::exit(code)
}

/// A module whose objects are in place.
pub struct Placed {
    /// Its declarations.
    pub info: ModuleInfo,
    /// Where its objects lie.
    pub placement: Placement,
    /// The module itself.
    pub bytes: Vec<u8>,
}

/// Places a module's objects and compiles it for them. Nobody has looked at the code yet.
pub fn compile<T>(
    store: &mut Store<T>,
    bytes: Vec<u8>,
    bind: impl Fn(&ModuleInfo, &Import) -> Result<Binding<T>>,
) -> Result<(Placed, CodeImage)> {
    let module = Module::parse(&bytes)?;
    let info = module.info();
    let bindings: Vec<_> = info.imports.iter().map(|import| bind(info, import)).collect::<Result<_>>()?;
    let placement = store.place(info, &bindings)?;
    let image = Job::at(&placement, CodeSettings::default(), 1).compile(&module, None)?;
    Ok((Placed { info: module.into_info(), placement, bytes }, image))
}

impl Placed {
    /// What its code is verified against.
    pub fn terms(&self) -> Terms {
        self.placement.terms()
    }

    /// Loads its code, verified or not.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load<T>(self, store: &mut Store<T>, image: Verified<CodeImage>) -> Result<InstanceId> {
        Ok(store.load(self.placement, self.info, image, self.bytes)?)
    }
}

/// Seals the process as the engine does. `keep` are descriptors that stay open.
///
/// # Errors
/// As [`wave_sandbox::seal`].
pub fn seal<T>(
    store: &mut Store<T>,
    policy: &Policy,
    keep: &[RawFd],
    grants: impl for<'a> FnOnce(&'a mut T) -> Vec<Grant<'a>>,
) -> Result<Sealed> {
    let ranges = ProgramRanges::of(store);
    let grants = grants(store.data_mut());
    Ok(wave_sandbox::seal(&SealPlan { keep_fds: keep, ..ranges.seal_plan(policy, &grants) })?)
}

/// Copies the segments and runs `_start`; the exit code.
pub fn start<T>(store: &mut Store<T>, sealed: &Sealed, instance: InstanceId) -> Result<i32> {
    store.initialize(sealed, instance).map_err(|stopped| format!("{:?}", stopped.stop))?;
    let Some(Item::Function(start)) = store.export(instance, "_start") else { return Err("no `_start`".into()) };
    match store.call(sealed, start, &[]) {
        Ok(_) => Ok(0),
        Err(CallError::Stopped(stopped)) => match stopped.stop {
            Stop::Exit(code) => Ok(i32::try_from(code)?),
            stop => Err(format!("{stop:?}").into()),
        },
        Err(error) => Err(error.into()),
    }
}
