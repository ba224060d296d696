//! `wave` with its monitor taken out, for tests of what the kernel's layers hold alone.
//!
//! A hole in the monitor would let a guest make any system call the filter permits, on any string. This program is that guest's
//! dream: the real compiler, runtime and seal under the policy `wave run` derives, and hostcalls that ask nobody. It is an
//! example target because `cargo install` never ships those; it is no test because a seal needs a process of its own.
//!
//! ```text
//! unmonitored strict|off [--user ID] [--dir HOST::GUEST::ACCESS]... MODULE
//! ```
#![forbid(unsafe_code)]

mod hostcalls;

use std::error::Error;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::path::PathBuf;

use hostcalls::Unmonitored;
use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::module::ModuleInfo;
use wave_policy::{FilesystemGrant, Identity, Level, Policy, Surface};
use wave_runtime::{Binding, CallError, InstanceId, Item, Stop, Store, StoreOptions};
use wave_sandbox::{Grant, GrowableRange, SealPlan, Sealed};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ! {
    let code = run().unwrap_or_else(|error| {
        eprintln!("unmonitored: {error}");
        125
    });
    // As `wave` does: what std cleans up at an ordinary exit needs calls that the filter refuses.
    wave_sandbox::exit(code)
}

fn run() -> Result<i32> {
    wave_sandbox::prepare_allocator();
    let Arguments { module, mut policy } = Arguments::parse()?;
    let open = |grant: &FilesystemGrant| File::open(&grant.host).map(|dir| Some(dir.into()));
    let files = policy.grants.iter().map(open).collect::<std::io::Result<_>>()?;
    // Never dropped: a sealed process cannot unmap memory.
    let mut store = ManuallyDrop::new(Store::new(StoreOptions::default(), Unmonitored { files })?);
    let instance = load(&mut store, wat::parse_file(module)?)?;
    let imports = store.info(instance).ok_or("the instance is gone")?.imports.iter();
    policy.surface = Surface::from_imports(imports.map(|import| (&import.module, &import.name)));

    let sealed = seal(&policy, &mut store)?;
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

struct Arguments {
    module: PathBuf,
    policy: Policy,
}

impl Arguments {
    /// The checks of `wave run` are left out, such as the one on overlapping grants: they are decisions too.
    fn parse() -> Result<Self> {
        let mut words = std::env::args().skip(1);
        let mut next = || words.next().ok_or("an argument is missing");
        let mut policy = Policy { level: next()?.parse::<Level>()?, ..Policy::default() };
        loop {
            match &*next()? {
                "--user" => {
                    let id = next()?.parse()?;
                    policy.identity = Some(Identity { uid: id, gid: id });
                }
                "--dir" => {
                    let grant = next()?;
                    let (host, rest) = grant.split_once("::").ok_or("a grant is HOST::GUEST::ACCESS")?;
                    let (_, access) = rest.split_once("::").ok_or("a grant is HOST::GUEST::ACCESS")?;
                    policy.grants.push(FilesystemGrant { host: host.into(), access: access.parse()? });
                }
                module => return Ok(Self { module: module.into(), policy }),
            }
        }
    }
}

/// The steps of `src/program.rs`, with other hostcalls.
fn load(store: &mut Store<Unmonitored>, bytes: Vec<u8>) -> Result<InstanceId> {
    let module = Module::parse(&bytes)?;
    let bindings = bind(module.info())?;
    let placement = store.place(module.info(), &bindings)?;
    let imports = vec![ImportLinkage::Host; bindings.len()];
    let image = module.compile(&CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &imports,
        threads: 1,
        verify_ir: false,
        canonical_nans: false,
    })?;
    let info = module.into_info();
    let (image, _) = wave_verifier::verify(image, &bytes, placement.terms(), 1)?;
    Ok(store.load(placement, info, image, bytes)?)
}

fn bind(info: &ModuleInfo) -> Result<Vec<Binding<Unmonitored>>> {
    let bind = |name: &str| hostcalls::function(name).map(Binding::Host).ok_or_else(|| format!("no function `{name}`"));
    Ok(info.imports.iter().map(|import| bind(&import.name)).collect::<std::result::Result<_, _>>()?)
}

/// The seal of `src/run.rs`, of the same parts.
fn seal(policy: &Policy, store: &mut Store<Unmonitored>) -> Result<Sealed> {
    let growable = store.growable().into_iter();
    let growable: Vec<_> = growable.map(|(base, len_bytes)| GrowableRange { base, len_bytes }).collect();
    let files = store.data_mut().files.iter().flatten();
    let grants: Vec<_> =
        files.zip(&policy.grants).map(|(file, grant)| Grant { fd: file.as_fd(), access: grant.access }).collect();
    Ok(wave_sandbox::seal(&SealPlan { grants: &grants, growable: &growable, ..SealPlan::new(policy) })?)
}
