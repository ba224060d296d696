//! One run: [`Engine::prepare`], [`Ready::seal`], [`SealedRun::enter`].

use crate::compile::{self, Compiler};
use crate::convert::{hostcall_resolver, monitor_access, monitor_limits, policy_access, surface_of};
use crate::entry::EntryPoint;
use crate::failure::Failure;
use crate::grants::DirectoryGrant;
use crate::input::Module;
use crate::network::{self, Listener};
use crate::observer::{Observer, SharedObserver, Used};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::program::{self, Program};
use crate::ranges::ProgramRanges;
use crate::shortage::{limit_fix, limit_fix_of};
use crate::source::Source;
use crate::unused::{self, Unused};
use std::fs::OpenOptions;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wave_contract::module::ModuleInfo;
use wave_policy::limits::Fuel;
use wave_policy::{FilesystemGrant, Level, Policy, chain, clean};
use wave_runtime::StoreOptions;
use wave_sandbox::{Grant, LayerName, Namespaces, Report, SealPlan, Sealed};
use wave_wasi::{Config, GrantedDirectory, Preopen, Wasi};

/// Descriptors that the process may have open beyond the guest's own. Path resolution uses them.
pub const SPARE_FILES: u64 = 64;

/// Runs one program in this process.
#[derive(Default)]
pub struct Engine {
    observer: Option<SharedObserver>,
    supervised: bool,
}

/// A loaded program in a process that is not sealed yet. No instruction of it has run.
pub struct Ready {
    plan: Plan,
    module: PathBuf,
    // Never dropped, because a sealed process cannot unmap memory.
    program: ManuallyDrop<Program>,
    entry: EntryPoint,
    namespaces: Option<Namespaces>,
    /// The addresses that it listens on.
    addresses: Vec<SocketAddr>,
    /// The subset of `addresses` whose port the kernel chose.
    chosen: Vec<SocketAddr>,
    unused: Vec<Unused>,
    engine: Engine,
}

/// A program in a sealed process.
pub struct SealedRun {
    program: ManuallyDrop<Program>,
    entry: EntryPoint,
    sealed: Sealed,
    chosen: Vec<SocketAddr>,
    observer: Option<SharedObserver>,
}

impl Engine {
    /// Reports hostcalls to an observer.
    #[must_use]
    pub fn observed_by(mut self, observer: Box<dyn Observer>) -> Self {
        self.observer = Some(SharedObserver::new(observer));
        self
    }

    /// Says that a supervisor waits for this process ([`wave_sandbox::supervise`]).
    #[must_use]
    pub fn supervised(mut self) -> Self {
        self.supervised = true;
        self
    }

    /// Reads, compiles, verifies and loads a module, and opens its grants. This process must have a single thread.
    ///
    /// # Errors
    /// If the module cannot run as planned. [`Failure::code`] is the exit code.
    pub fn prepare(self, mut plan: Plan, module: Module) -> Result<Ready, Failure> {
        let name = module.name.clone();
        match self.load(&mut plan, module) {
            Ok(Loaded { program, entry, namespaces, addresses, chosen, unused }) => {
                Ok(Ready { plan, module: name, program, entry, namespaces, addresses, chosen, unused, engine: self })
            }
            Err(failure) => Err(failure.limited_by(|id| plan.line_of_policy(id))),
        }
    }

    fn load(&self, plan: &mut Plan, module: Module) -> Result<Loaded, Failure> {
        wave_sandbox::prepare_allocator();
        let path = module.name.clone();
        let limits = plan.compile_limits(&path);
        let start = |bytes: Vec<u8>| {
            let threads = compile::threads(bytes.len());
            Compiler::start(limits.clone(), bytes, threads)
        };
        // The compiler starts before anything is opened, so that it inherits nothing. It works while this process
        // prepares the rest.
        let Source { code, slot, seed, threads } = Source::find(plan, module, &start)?;
        let listeners = network::listeners(plan)?;
        let mut addresses: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
        let chosen = listeners.iter().filter(|listener| listener.chosen_port);
        let mut chosen: Vec<_> = chosen.map(|listener| listener.address).collect();
        let wasi = create_wasi(plan, listeners, self.observer.as_ref())?;
        let options = program::Options {
            store: StoreOptions {
                stack_bytes: plan.limits.stack_bytes(),
                memory_limit_bytes: plan.limits.memory_bytes(),
                fuel: plan.limits.fuel.map(|Fuel(units)| units),
                seed,
                ..StoreOptions::default()
            },
            settings: plan.code_settings(),
            verify: plan.verify,
            threads,
            observes: &|function| self.observer.as_ref().is_some_and(|observer| observer.lock().observes(function)),
        };
        // Listeners are bound by now. They and the connections that they accept stay in the network namespace of the host.
        let namespaces = (plan.level != Level::Off).then(wave_sandbox::leave_namespaces);
        let allowed = |info: &ModuleInfo| match &plan.policy {
            Some(policy) => policy.check_module(&path, info, plan.checked_resolver),
            None => Ok(()),
        };
        let mut program = ManuallyDrop::new(program::load(&path, code, slot, &options, wasi, allowed)?);
        let entry = EntryPoint::find(&program, &path, plan)?;
        let unused = unused::remove_unused(plan, &mut addresses, &mut program)?;
        chosen.retain(|address| addresses.contains(address));
        Ok(Loaded { program, entry, namespaces, addresses, chosen, unused })
    }
}

struct Loaded {
    program: ManuallyDrop<Program>,
    entry: EntryPoint,
    namespaces: Option<Namespaces>,
    addresses: Vec<SocketAddr>,
    chosen: Vec<SocketAddr>,
    unused: Vec<Unused>,
}

impl Ready {
    /// The grants that the module cannot use and therefore did not get (T123).
    pub fn unused(&self) -> &[Unused] {
        &self.unused
    }

    /// Seals the process. Only the guest runs afterwards, and the seal cannot be undone.
    ///
    /// # Errors
    /// 125 if a layer that the level requires cannot be applied. The guest has not run.
    pub fn seal(mut self) -> Result<SealedRun, Failure> {
        if let Some(limit) = self.plan.limits.timeout {
            // Before the seal, because the filter refuses timers afterwards.
            wave_runtime::arm_deadline(limit)
                .map_err(|error| Failure::refused(format!("cannot set a timer: {error}")))?;
        }
        let sealed =
            seal(&self.plan, &self.module, self.addresses, self.namespaces, self.engine.supervised, &mut self.program)
                .map_err(|failure| failure.limited_by(|id| self.plan.line_of_policy(id)))?;
        let Self { program, entry, chosen, engine, .. } = self;
        Ok(SealedRun { program, entry, sealed, chosen, observer: engine.observer })
    }
}

impl SealedRun {
    /// The report of the layers that were applied.
    pub fn report(&self) -> Report {
        let report = self.sealed.report().clone().with(LayerName::Compiler, self.program.compiler.clone());
        report.with(LayerName::Verifier, self.program.verifier.clone())
    }

    /// The addresses of listeners whose port the kernel chose.
    pub fn chosen_addresses(&self) -> &[SocketAddr] {
        &self.chosen
    }

    /// Runs the guest to its end.
    ///
    /// The process stays sealed. It can print the outcome, and must then end with [`exit`](crate::exit).
    pub fn enter(self) -> Outcome {
        let Self { mut program, entry, sealed, observer, .. } = self;
        if let Some(observer) = &observer {
            observer.lock().begins();
        }
        let outcome = entry.enter(&mut program, &sealed);
        if let Some(observer) = &observer {
            let stop = outcome.as_ref().err().map(|stopped| &stopped.stop);
            let used = Used { memory_bytes: program.store.memory_len_bytes(), fuel: program.store.fuel_used() };
            observer.lock().ends(stop, used);
        }
        match outcome {
            Ok(results) => Outcome::Returned(results),
            Err(stopped) => Outcome::Stopped(stopped),
        }
    }
}

/// Creates the host side of WASI. Each granted directory is opened once, because Landlock rules and the monitor have to
/// use the same descriptor (T28).
fn create_wasi(plan: &mut Plan, listeners: Vec<Listener>, observer: Option<&SharedObserver>) -> Result<Wasi, Failure> {
    let open = |grant: &DirectoryGrant| {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY);
        let dir = options.open(&grant.host);
        let dir = dir.map_err(|error| {
            let fix = limit_fix(&error).unwrap_or_else(|| "check its permissions".to_owned());
            grant.unusable(&error.to_string()).fix(fix)
        })?;
        Ok(Preopen {
            dir: dir.into(),
            host_path: grant.host.clone(),
            guest_path: grant.guest.clone(),
            access: monitor_access(grant.access),
        })
    };
    let config = Config {
        args: std::mem::take(&mut plan.args),
        env: std::mem::take(&mut plan.env),
        preopens: plan.grants.iter().map(open).collect::<Result<_, _>>()?,
        interrupted: wave_runtime::deadline_passed,
        // Without a limit nothing interrupts, and every transfer is one call.
        step_bytes: plan.limits.timeout.map_or(usize::MAX, |_| wave_wasi::STEP_BYTES),
        limits: monitor_limits(&plan.limits),
        peers: plan.accept_from.take(),
        devices: plan.devices.iter().map(|(_, number)| *number).collect(),
        resolver: hostcall_resolver(plan.resolver),
        clock_resolution_ns: plan.clock_resolution_ns(),
        deterministic: plan.deterministic(),
        random_seed: plan.settings.random_seed,
    };
    let mut wasi = Wasi::new(config).map_err(|error| Failure::refused(chain(&error)))?;
    for Listener { socket, address, .. } in listeners {
        let few = |_| Failure::refused(format!("no descriptor is left for {address}")).raise("max-open-files");
        wasi.add_listener(socket.into()).map_err(few)?;
    }
    if plan.terminal_controls {
        wasi.allow_terminal_controls();
    }
    if let Some(observer) = observer.cloned() {
        wasi.trace(move |record| observer.lock().hostcall(record));
    }
    Ok(wasi)
}

/// Derives the policy of the kernel layers and seals the process.
fn seal(
    plan: &Plan,
    module: &Path,
    listeners: Vec<SocketAddr>,
    namespaces: Option<Namespaces>,
    supervised: bool,
    program: &mut Program,
) -> Result<Sealed, Failure> {
    let ranges = ProgramRanges::of(&program.store);
    let surface = surface_of(program.info()?);
    let wasi = &*program.store.data_mut();
    let grants: Vec<_> =
        wasi.directories().map(|granted| Grant { fd: granted.dir, access: policy_access(granted.access) }).collect();
    let directory = |granted: GrantedDirectory<'_>| FilesystemGrant {
        host: granted.host_path.to_owned(),
        access: policy_access(granted.access),
    };
    let sockets: Vec<_> = wasi.sockets().map(|socket| socket.as_raw_fd()).collect();
    let policy = Policy {
        level: plan.level,
        surface,
        grants: wasi.directories().map(directory).collect(),
        resolver: plan.resolver,
        listeners,
        limits: wave_policy::ProcessLimits {
            open_files: u64::from(monitor_limits(&plan.limits).open_files) + SPARE_FILES,
            file_size_bytes: plan.limits.max_file_size,
            ..wave_policy::ProcessLimits::default()
        },
        identity: plan.identity,
        prints_results: plan.invoke.is_some(),
        ..Policy::default()
    };
    let title = format!("wave run {}", clean(&module.display().to_string()));
    let plan = ranges.seal_plan(&policy, &grants);
    let seal = SealPlan { namespaces, title: Some(&title), keep_fds: &sockets, supervised, ..plan };
    wave_sandbox::seal(&seal).map_err(|error| {
        let fix = limit_fix_of(&error).unwrap_or_else(|| error.fix().to_owned());
        Failure::refused(chain(&error)).at("--sandbox").fix(fix)
    })
}
