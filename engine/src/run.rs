//! One run: [`Engine::prepare`], [`Ready::seal`], [`SealedRun::enter`].

use crate::cache::Cache;
use crate::compile::{self, Compiler};
use crate::connections;
use crate::convert::{hostcall_resolver, monitor_access, monitor_limits, policy_access, runtime_stub, surface_of};
use crate::coredump;
use crate::cwd;
use crate::entry::EntryPoint;
use crate::failure::Failure;
use crate::grants::{DirectoryGrant, GrantKind, open_file, rooted};
use crate::input::Module;
use crate::lines;
use crate::network::{self, Listener};
use crate::observer::{Observer, SharedObserver, Used};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::program::{self, Program};
use crate::progress::Step;
use crate::ranges::ProgramRanges;
use crate::shortage::{limit_fix, limit_fix_of};
use crate::source::Source;
use crate::unused::{self, Unused};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wave_contract::module::ModuleInfo;
use wave_policy::limits::Fuel;
use wave_policy::{FilesystemGrant, Level, Policy, chain, clean};
use wave_runtime::{Frame, StoreOptions};
use wave_sandbox::{
    Broker, FileCapability, Grant, LayerName, Namespaces, OuterFilter, Report, SealPlan, Sealed, State,
};
use wave_wasi::{Config, Granted, Preopen, Wasi};

/// Descriptors that the process may have open beyond the guest's own. Path resolution uses them.
pub const SPARE_FILES: u64 = 64;

/// Seconds of processor time that a program has to stop and to be reported, one of them for rounding.
const KILL_AFTER_S: u64 = 3;

/// Runs one program in this process.
#[derive(Default)]
pub struct Engine {
    observer: Option<SharedObserver>,
    supervised: bool,
    watch: Option<Box<dyn Fn(Step) + Sync>>,
    container: Option<Container>,
    rss_bytes: Option<u64>,
    records: Vec<RawFd>,
    dump: Option<RawFd>,
    outer_filter: Option<OuterFilter>,
}

/// What the process of a container has that no other run has.
#[derive(Default)]
pub struct Container {
    /// The cache, opened before the process left the file system of the host. `None`: nothing is cached.
    pub cache: Option<Cache>,
    /// Supplementary groups of the process.
    pub groups: Vec<u32>,
    /// Capabilities that its root keeps.
    pub capabilities: Vec<FileCapability>,
    /// Whether network, ipc and uts namespace are its own and empty already, so that leaving them again protects nothing.
    pub has_namespaces: bool,
    /// What `ps` shows.
    pub title: String,
}

/// A loaded program in a process that is not sealed yet. No instruction of it has run.
pub struct Ready {
    plan: Plan,
    module: PathBuf,
    // Never dropped, because a sealed process cannot unmap memory.
    program: ManuallyDrop<Program>,
    entry: EntryPoint,
    namespaces: Option<Namespaces>,
    broker: Option<Broker>,
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
    /// The layers of the broker, if there is one.
    broker: Option<String>,
    chosen: Vec<SocketAddr>,
    observer: Option<SharedObserver>,
    module: PathBuf,
}

/// Where the code of a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its addresses.
    pub range: Range<usize>,
    /// Its index in the module.
    pub function: u32,
    /// Its name in the name section.
    pub name: Option<String>,
}

/// What is left of a program that has ended.
pub struct Remains {
    program: ManuallyDrop<Program>,
    module: PathBuf,
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

    /// Runs in a container, whose user may be root.
    #[must_use]
    pub fn in_container(mut self, container: Container) -> Self {
        self.container = Some(container);
        self
    }

    /// Calls `watch` with each step of [`prepare`](Self::prepare), and drops it at its end.
    #[must_use]
    pub fn watched_by(mut self, watch: Option<Box<dyn Fn(Step) + Sync>>) -> Self {
        self.watch = watch;
        self
    }

    /// Says that this process and its children have this much memory at most: `max-rss` is the caller's part. `None`: as much as the
    /// host has, so that a plan with the limit is refused.
    #[must_use]
    pub fn bounded_to(mut self, rss_bytes: Option<u64>) -> Self {
        self.rss_bytes = rss_bytes;
        self
    }

    /// Keeps a descriptor open, and permits writing to it after the seal: for an observer, or a report. It is one of
    /// [`RECORD_FDS`](wave_policy::RECORD_FDS), and nothing closes it.
    #[must_use]
    pub fn recording_to(mut self, fd: RawFd) -> Self {
        self.records.push(fd);
        self
    }

    /// Keeps a descriptor open, and permits writing to it after the seal: for [`Remains::dump`]. It is
    /// [`DUMP_FD`](wave_policy::DUMP_FD), and nothing closes it.
    #[must_use]
    pub fn dumping_to(mut self, fd: RawFd) -> Self {
        self.dump = Some(fd);
        self
    }

    /// Seals the process under the filter of a container as well, which can only deny more. Every program needs `brk`, `exit_group` and
    /// `rt_sigreturn`; others need the calls behind the functions that they import.
    #[must_use]
    pub fn filtered_by(mut self, filter: OuterFilter) -> Self {
        self.outer_filter = Some(filter);
        self
    }

    /// Reads, compiles, verifies and loads a module, and opens its grants. This process must have a single thread.
    ///
    /// # Errors
    /// If the module cannot run as planned. [`Failure::code`] is the exit code.
    pub fn prepare(mut self, mut plan: Plan, module: Module) -> Result<Ready, Failure> {
        let name = module.name.clone();
        let loaded = self.load(&mut plan, module);
        self.watch = None;
        match loaded {
            Ok(Loaded { program, entry, namespaces, broker, addresses, chosen, unused }) => Ok(Ready {
                plan,
                module: name,
                program,
                entry,
                namespaces,
                broker,
                addresses,
                chosen,
                unused,
                engine: self,
            }),
            Err(failure) => Err(failure.limited_by(|id| plan.line_of_policy(id))),
        }
    }

    fn load(&mut self, plan: &mut Plan, module: Module) -> Result<Loaded, Failure> {
        wave_sandbox::prepare_allocator();
        self.confirm_rss(plan)?;
        let path = module.name.clone();
        let limits = plan.compile_limits(&path);
        let start = |bytes: Vec<u8>| {
            let threads = compile::threads(bytes.len());
            Compiler::start(limits.clone(), bytes, threads)
        };
        // The compiler starts before anything is opened, so that it inherits nothing. It works while this process
        // prepares the rest.
        let cache = match &mut self.container {
            Some(container) => container.cache.take(),
            None => plan.cache.then(Cache::open).and_then(Result::ok),
        };
        let cache = cache.map(|cache| cache.for_dump(self.dump.is_some()));
        let Source { code, slot, seed, threads } = Source::find(plan, module, cache, &start)?;
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
            unknown_imports: plan.settings.unknown_imports.map(runtime_stub),
            verify: plan.verify,
            threads,
            observes: &|function| self.observer.as_ref().is_some_and(|observer| observer.lock().observes(function)),
            watch: self.watch.as_deref(),
        };
        let mut broker =
            connections::start(plan.level, &plan.connections(), plan.limits.max_connections.unwrap_or(u32::MAX))?;
        // Listeners are bound by now. They and the connections that they accept stay in the network namespace of the host.
        let has_own = self.container.as_ref().is_some_and(|container| container.has_namespaces);
        let namespaces = match plan.level {
            Level::Off => None,
            _ if has_own => Some(Namespaces::Left),
            _ => Some(wave_sandbox::leave_namespaces()),
        };
        let allowed = |info: &ModuleInfo| match &plan.policy {
            Some(policy) => policy.check_module(&path, info, plan.checked_resolver),
            None => Ok(()),
        };
        let mut program = ManuallyDrop::new(program::load(&path, code, slot, &options, wasi, allowed)?);
        let entry = EntryPoint::find(&program, &path, plan)?;
        let unused = unused::remove_unused(plan, &mut addresses, &mut program)?;
        chosen.retain(|address| addresses.contains(address));
        broker = broker.filter(|_| !plan.connect.is_empty());
        Ok(Loaded { program, entry, namespaces, broker, addresses, chosen, unused })
    }
}

impl Engine {
    /// Refuses a limit that nobody has applied.
    fn confirm_rss(&self, plan: &Plan) -> Result<(), Failure> {
        match plan.limits.max_rss {
            Some(limit) if self.rss_bytes.is_none_or(|bytes| bytes > limit) => {
                Err(Failure::refused("nothing bounds the memory of this process as `max-rss` asks")
                    .fix("drop `max-rss`, or bound the process and say so by `Engine::bounded_to`"))
            }
            _ => Ok(()),
        }
    }
}

struct Loaded {
    program: ManuallyDrop<Program>,
    entry: EntryPoint,
    namespaces: Option<Namespaces>,
    broker: Option<Broker>,
    addresses: Vec<SocketAddr>,
    chosen: Vec<SocketAddr>,
    unused: Vec<Unused>,
}

impl Ready {
    /// The grants that the module cannot use and therefore did not get (T123).
    pub fn unused(&self) -> &[Unused] {
        &self.unused
    }

    /// The imported functions that nobody has, and that a stub stands for.
    pub fn unknown_imports(&self) -> Vec<String> {
        self.program.unknown_imports()
    }

    /// Where the code of each function is.
    pub fn code(&self) -> Vec<Code> {
        let Program { store, instance, .. } = &*self.program;
        let names = store.info(*instance).map(|info| &info.names);
        let name = |function| names.and_then(|names| names.get(function)).map(str::to_owned);
        let code = (0..).zip(store.function_code(*instance));
        code.map(|(function, range)| Code { range, function, name: name(function) }).collect()
    }

    /// Whether the module imports the function that starts threads. It is answered with an error: no guest gets one (T7).
    pub fn asks_for_threads(&self) -> bool {
        self.program.info().is_ok_and(|info| surface_of(info).asks_for_threads())
    }

    /// Seals the process. Only the guest runs afterwards, and the seal cannot be undone.
    ///
    /// # Errors
    /// 125 if a layer that the level requires cannot be applied. The guest has not run.
    pub fn seal(mut self) -> Result<SealedRun, Failure> {
        // Before the seal, because the filter refuses timers afterwards.
        let limits = &self.plan.limits;
        let armed = limits.timeout.map_or(Ok(()), wave_runtime::arm_deadline);
        armed
            .and_then(|()| limits.cpu_time.map_or(Ok(()), wave_runtime::arm_processor_deadline))
            .map_err(|error| Failure::refused(format!("cannot set a timer: {error}")))?;
        let broker = self.broker.map(|broker| {
            let wasi = self.program.store.data_mut();
            connections::allow(broker, &self.plan, wasi)
        });
        let way = broker.transpose()?;
        let kept = Kept { namespaces: self.namespaces, broker: way.as_ref().map(|way| way.descriptor) };
        let sealed = seal(&self.plan, &self.module, self.addresses, kept, &self.engine, &mut self.program)
            .map_err(|failure| failure.limited_by(|id| self.plan.line_of_policy(id)))?;
        let Self { program, entry, chosen, engine, module, .. } = self;
        let broker = way.map(|way| way.layers);
        Ok(SealedRun { program, entry, sealed, broker, chosen, observer: engine.observer, module })
    }
}

impl SealedRun {
    /// The report of the layers that were applied.
    pub fn report(&self) -> Report {
        let report = self.sealed.report().clone().with(LayerName::Compiler, self.program.compiler.clone());
        let report = report.with(LayerName::Verifier, self.program.verifier.clone());
        match &self.broker {
            Some(layers) => report.with(LayerName::Broker, State::Applied { detail: layers.clone() }),
            None => report,
        }
    }

    /// The addresses of listeners whose port the kernel chose.
    pub fn chosen_addresses(&self) -> &[SocketAddr] {
        &self.chosen
    }

    /// Runs the guest to its end.
    ///
    /// The process stays sealed. It can print the outcome, and must then end with [`exit`](crate::exit).
    pub fn enter(self) -> Outcome {
        self.enter_keeping().0
    }

    /// As [`enter`](Self::enter), with what is left of the program.
    pub fn enter_keeping(self) -> (Outcome, Remains) {
        let Self { mut program, entry, sealed, observer, module, .. } = self;
        if let Some(observer) = &observer {
            observer.lock().begins();
        }
        let mut outcome = entry.enter(&mut program, &sealed);
        if let Err(stopped) = &mut outcome {
            find_lines(&program, &mut stopped.backtrace);
        }
        if let Some(observer) = &observer {
            let stop = outcome.as_ref().err().map(|stopped| &stopped.stop);
            let used = Used { memory_bytes: program.store.memory_len_bytes(), fuel: program.store.fuel_used() };
            observer.lock().ends(stop, used);
        }
        let outcome = match outcome {
            Ok(results) => Outcome::Returned(results),
            Err(stopped) => Outcome::Stopped(stopped),
        };
        (outcome, Remains { program, module })
    }
}

impl Remains {
    /// Writes a core dump: linear memories, globals and the backtrace, in the format of WebAssembly's tool conventions.
    ///
    /// # Errors
    /// Those of `to`. [`FileTooLarge`](std::io::ErrorKind::FileTooLarge) also if more than 3.75 GiB of memory are not zero: the rest of
    /// it is missing.
    pub fn dump(&mut self, backtrace: &[Frame], to: &mut dyn Write) -> std::io::Result<()> {
        coredump::write(&mut self.program, &self.module, backtrace, to)
    }
}

/// Looks up the source lines of a backtrace, if the module has them.
fn find_lines(program: &Program, backtrace: &mut [Frame]) {
    let positions: Vec<_> = backtrace.iter().filter_map(|frame| frame.position).collect();
    if positions.is_empty() {
        return;
    }
    let Some(info) = program.store.debug_info(program.instance) else { return };
    let mut found = lines::find(&info, &positions).into_iter();
    for frame in backtrace.iter_mut().filter(|frame| frame.position.is_some()) {
        frame.line = found.next().flatten();
    }
}

/// Creates the host side of WASI. Each granted directory and file is opened once, because Landlock rules and the monitor have to
/// use the same descriptor (T28).
fn create_wasi(plan: &mut Plan, listeners: Vec<Listener>, observer: Option<&SharedObserver>) -> Result<Wasi, Failure> {
    let open_directory = |index: usize, grant: &DirectoryGrant| {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY);
        let is_start = plan.cwd_grant == Some(index);
        if is_start { cwd::open(&grant.host) } else { options.open(&grant.host) }
    };
    // Files of one directory are in one list, however the flags wrote it.
    let mut lists: HashMap<PathBuf, String> = HashMap::new();
    let mut open = |(index, grant): (usize, &DirectoryGrant)| {
        let opened = match grant.kind {
            GrantKind::File => open_file(grant).map(|(parent, file)| (parent, Some(file))),
            GrantKind::Any | GrantKind::Directory => open_directory(index, grant).map(|dir| (dir.into(), None)),
        };
        let (dir, file) = opened.map_err(|error| {
            let fix = limit_fix(&error).unwrap_or_else(|| "check its permissions".to_owned());
            grant.unusable(&error.to_string()).fix(fix)
        })?;
        let guest_path = match grant.name_in_directory().filter(|_| file.is_some()) {
            Some((list, _)) => lists.entry(rooted(list)).or_insert_with(|| list.to_owned()).clone(),
            None => grant.guest.clone(),
        };
        let (host_path, access) = (grant.host.clone(), monitor_access(grant.access));
        Ok(Preopen { dir, host_path, guest_path, access, file })
    };
    let preopens = plan.grants.iter().enumerate().map(&mut open).collect::<Result<_, _>>()?;
    let config = Config {
        args: std::mem::take(&mut plan.args),
        env: std::mem::take(&mut plan.env).into_iter().map(|variable| variable.text).collect(),
        preopens,
        interrupted: wave_runtime::deadline_passed,
        // Without a limit nothing interrupts, and every transfer is one call.
        step_bytes: plan.limits.timeout.or(plan.limits.cpu_time).map_or(usize::MAX, |_| wave_wasi::STEP_BYTES),
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

/// When the kernel kills a process whose program has more than this processor time left, in seconds since the process began. The
/// program itself stops earlier; native code can block that signal, and not this one. A quarter more, because the kernel counts ticks
/// for this. Source: setrlimit(2), `RLIMIT_CPU`.
fn killed_at(limit: Duration) -> u64 {
    let used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    used.saturating_add(limit).saturating_add(limit / 4).as_secs().saturating_add(KILL_AFTER_S)
}

/// What was made before the seal, for it.
struct Kept {
    namespaces: Option<Namespaces>,
    broker: Option<RawFd>,
}

/// Derives the policy of the kernel layers and seals the process.
fn seal(
    plan: &Plan,
    module: &Path,
    listeners: Vec<SocketAddr>,
    Kept { namespaces, broker }: Kept,
    engine: &Engine,
    program: &mut Program,
) -> Result<Sealed, Failure> {
    let ranges = ProgramRanges::of(&program.store);
    let surface = surface_of(program.info()?);
    let wasi = &*program.store.data_mut();
    let grants: Vec<_> =
        wasi.grants().map(|granted| Grant { fd: granted.fd, access: policy_access(granted.access) }).collect();
    let described = |granted: Granted<'_>| FilesystemGrant {
        host: granted.host_path.to_owned(),
        access: policy_access(granted.access),
    };
    let sockets = wasi.sockets().map(|socket| socket.as_raw_fd());
    // Handles: what is in these directories has no rule, except the granted files.
    let parents = wasi.parents().map(|parent| parent.as_raw_fd());
    let files = wasi.parents().count() as u64;
    let kept = sockets.chain(parents).chain(engine.records.iter().copied()).chain(engine.dump);
    let kept: Vec<_> = kept.chain(broker).collect();
    let policy = Policy {
        level: plan.level,
        surface,
        grants: wasi.grants().map(described).collect(),
        resolver: plan.resolver,
        listeners,
        connections: connections::ports(&plan.connections()),
        limits: wave_policy::ProcessLimits {
            // Each granted file takes two that the guest's limit does not count.
            open_files: u64::from(monitor_limits(&plan.limits).open_files) + SPARE_FILES + 2 * files,
            file_size_bytes: plan.limits.max_file_size,
            processor_seconds: plan.limits.cpu_time.map(killed_at),
            ..wave_policy::ProcessLimits::default()
        },
        identity: plan.identity,
        prints_results: plan.invoke.is_some(),
        records: !engine.records.is_empty(),
        dumps: engine.dump.is_some(),
        ..Policy::default()
    };
    let container = engine.container.as_ref();
    let title = container.map_or_else(|| format!("wave run {}", module.display()), |container| container.title.clone());
    let title = clean(&title);
    let plan = ranges.seal_plan(&policy, &grants);
    let seal = SealPlan {
        namespaces,
        title: Some(&title),
        keep_fds: &kept,
        supervised: engine.supervised,
        may_be_root: container.is_some(),
        groups: container.map_or(&[], |container| &container.groups),
        capabilities: container.map_or(&[], |container| &container.capabilities),
        outer_filter: engine.outer_filter.as_ref(),
        ..plan
    };
    wave_sandbox::seal(&seal).map_err(|error| {
        let fix = limit_fix_of(&error).unwrap_or_else(|| error.fix().to_owned());
        Failure::refused(chain(&error)).at("--sandbox").fix(fix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::PlanBuilder;
    use wave_policy::file::Limits;

    #[test]
    fn a_limit_that_nobody_has_applied_is_refused() {
        let plan = |max_rss| {
            let limits = Limits { max_rss, ..Limits::default() };
            PlanBuilder { limits, ..PlanBuilder::default() }.build().unwrap()
        };
        let is_refused = |limit, bounded| Engine::default().bounded_to(bounded).confirm_rss(&plan(limit)).is_err();
        assert!(is_refused(Some(5), None) && is_refused(Some(5), Some(6)));
        assert!(!is_refused(Some(5), Some(5)) && !is_refused(Some(5), Some(4)));
        assert!(!is_refused(None, None) && !is_refused(None, Some(5)));
    }
}
