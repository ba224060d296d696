//! `wave run`: plan, load, seal, enter, report.

use crate::args::{Format, Run, Sandbox};
use crate::compiler::{self, CompileLimits, Compiler};
use crate::failure::Failure;
use crate::grants::DirGrant;
use crate::learn::{Ending, Observer};
use crate::network::{self, Listener};
use crate::origin::Origin;
use crate::plan::{self, Plan};
use crate::program::{self, Program};
use crate::report;
use crate::shortage::{way_out, way_out_of};
use crate::text::{chain, clean, for_program, limit_for_program, note, out, short};
use crate::unused;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use wave_contract::module::{ExportKind, ModuleInfo};
use wave_contract::types::{FuncType, ValType};
use wave_policy::{Access, FilesystemGrant, Level, Policy, Resolver, Surface};
use wave_runtime::{CallError, Frame, Function, Item, Stop, Stopped, StoreOptions, Value};
use wave_sandbox::{Grant, GrowableRange, LayerName, Namespaces, SealPlan, Sealed};
use wave_wasi::{Config, Preopen, Wasi};

/// Descriptors beyond the guest's own that the process may have open: those of path resolution.
pub const SPARE_FILES: u64 = 64;

/// Runs a program; the result is its exit code.
///
/// # Errors
/// When it did not get as far as the guest.
pub fn run(sandbox: Option<Sandbox>, arguments: Run) -> Result<u8, Failure> {
    let (report, dry_run) = (arguments.report, arguments.dry_run);
    end_with_parent(&arguments)?;
    let plan = Plan::new(sandbox, arguments)?;
    if dry_run {
        out(&plan.to_string());
        return Ok(0);
    }
    execute(plan, report, None, None)
}

/// Does so if it was asked for.
///
/// # Errors
/// When the kernel does not promise it.
pub fn end_with_parent(arguments: &Run) -> Result<(), Failure> {
    let outcome = if arguments.die_with_parent { wave_sandbox::end_with_parent() } else { Ok(()) };
    outcome.map_err(|error| Failure::refused(chain(&error)).at("--die-with-parent").fix("drop the flag"))
}

/// Runs a program as planned; the result is its exit code. `bytes`: the module, if it was read already. An observer is told of
/// every hostcall.
///
/// # Errors
/// When it did not get as far as the guest.
pub fn execute(
    mut plan: Plan,
    report: Option<Format>,
    bytes: Option<Vec<u8>>,
    observer: Option<(Observer<'static>, Ending<'static>)>,
) -> Result<u8, Failure> {
    perform(&mut plan, report, bytes, observer).map_err(|failure| failure.limited_by(|id| plan.line_of_policy(id)))
}

fn perform(
    plan: &mut Plan,
    report: Option<Format>,
    bytes: Option<Vec<u8>>,
    observer: Option<(Observer<'static>, Ending<'static>)>,
) -> Result<u8, Failure> {
    let (observer, mut ending) = observer.unzip();
    if observer.is_some() {
        plan.trace = std::mem::take(&mut plan.trace).observed();
    }
    // First of all that is said: without it, what the program says next makes no sense.
    plan::notes(plan).iter().for_each(|text| note(text));
    let relaxations = plan.relaxations();
    if report.is_none() {
        report::announce(&relaxations);
    }
    wave_sandbox::prepare_allocator();
    let limits = CompileLimits::of(plan);
    let start = |bytes: Vec<u8>| {
        let threads = compiler::threads(bytes.len());
        Compiler::start(limits.clone(), bytes, threads)
    };
    // A compiler works while this process prepares the rest, and inherits nothing of that.
    let Origin { source, keep, seed, threads } = Origin::find(plan, bytes, &start)?;
    let listeners = network::listeners(plan)?;
    let mut addresses: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
    let chosen = listeners.iter().filter(|listener| listener.chosen_port);
    let mut chosen: Vec<_> = chosen.map(|listener| listener.address).collect();
    let wasi = wasi(plan, listeners, observer)?;
    let options = program::Options {
        store: StoreOptions {
            stack_bytes: plan.stack_bytes,
            memory_limit_bytes: plan.memory_bytes,
            seed,
            ..StoreOptions::default()
        },
        canonical_nans: plan.deterministic,
        verify: plan.verify,
        threads,
        trace: plan.trace.clone(),
    };
    // Listeners are bound by now and stay in the network they are of; so do the connections they accept.
    let namespaces = (plan.level != Level::Off).then(wave_sandbox::leave_namespaces);
    // Never dropped: a sealed process cannot unmap memory, and ends soon after.
    let allowed = |info: &ModuleInfo| match &plan.policy {
        Some(policy) => policy.check_module(&plan.module, info, plan.checked_resolver),
        None => Ok(()),
    };
    let mut program = ManuallyDrop::new(program::load(&plan.module, source, keep, options, wasi, allowed)?);
    let entry = Entry::find(&program, plan)?;
    let unused = unused::withhold(plan, &mut addresses, &mut program)?;
    chosen.retain(|address| addresses.contains(address));

    if let Some(limit) = plan.timeout {
        // Before the seal, because the filter refuses timers afterwards.
        wave_runtime::arm_deadline(limit).map_err(|error| Failure::refused(format!("cannot set a timer: {error}")))?;
    }
    let sealed = seal(plan, addresses, namespaces, ending.is_some(), &mut program)?;
    chosen.iter().for_each(|address| note(&format!("wave: listening on {address}\n")));
    let said = sealed.report().clone().with(LayerName::Compiler, program.compiler.clone());
    let said = said.with(LayerName::Verifier, program.verifier.clone());
    report::tell(report, &said, &relaxations, &unused)?;
    ending.iter_mut().for_each(Ending::begins);
    limit_for_program(plan.limits.output_bytes);
    let outcome = entry.enter(&mut program, &sealed);
    if let Some(ending) = &mut ending {
        ending.ends(outcome.as_ref().err().map(|stopped| &stopped.stop), program.store.memory_len_bytes());
    }
    Ok(outcome.unwrap_or_else(|stopped| finish(plan, &stopped)))
}

/// Opens the granted directories, once: the kernel's rules and the monitor both work on these descriptors (T28).
fn wasi(plan: &mut Plan, listeners: Vec<Listener>, observer: Option<Observer<'static>>) -> Result<Wasi, Failure> {
    let open = |grant: &DirGrant| {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY);
        let dir = options.open(&grant.host);
        let dir = dir.map_err(|error| {
            let fix = way_out(&error).unwrap_or_else(|| "check its permissions".to_owned());
            grant.unusable(&error.to_string()).fix(fix)
        })?;
        Ok(Preopen { dir: dir.into(), guest_path: grant.guest.clone(), access: monitored(grant.access) })
    };
    let config = Config {
        args: std::mem::take(&mut plan.args),
        env: std::mem::take(&mut plan.env),
        preopens: plan.grants.iter().map(open).collect::<Result<_, _>>()?,
        interrupted: wave_runtime::deadline_passed,
        // Without a limit nothing interrupts, and every transfer is one call.
        step_bytes: plan.timeout.map_or(usize::MAX, |_| wave_wasi::STEP_BYTES),
        limits: plan.limits,
        peers: plan.accept_from.take(),
        devices: plan.devices.iter().map(|(_, number)| *number).collect(),
        resolver: plan.resolver,
        clock_resolution_ns: plan.clock_resolution_ns,
        deterministic: plan.deterministic,
        random_seed: plan.random_seed,
    };
    let mut wasi = Wasi::new(config).map_err(|error| Failure::refused(chain(&error)))?;
    for Listener { socket, address, .. } in listeners {
        let few = |_| Failure::refused(format!("no descriptor is left for {address}")).raise("max-open-files");
        wasi.add_listener(socket.into()).map_err(few)?;
    }
    if plan.terminal_controls {
        wasi.allow_terminal_controls();
    }
    let mut print = plan.trace.printer(plan);
    match observer {
        Some(mut observer) => {
            let trace = plan.trace.clone();
            wasi.trace(move |record| {
                observer.observe(record);
                if trace.prints(record.function) {
                    print(record);
                }
            });
        }
        None if plan.trace.is_on() => wasi.trace(print),
        None => {}
    }
    Ok(wasi)
}

/// The monitor's word for an access.
const fn monitored(access: Access) -> wave_wasi::Access {
    match access {
        Access::ReadOnly => wave_wasi::Access::ReadOnly,
        Access::ReadWrite => wave_wasi::Access::ReadWrite,
        Access::Append => wave_wasi::Access::Append,
    }
}

/// Puts the policy in force. Nothing but the guest runs afterwards.
fn seal(
    plan: &Plan,
    listeners: Vec<SocketAddr>,
    namespaces: Option<Namespaces>,
    supervised: bool,
    program: &mut Program,
) -> Result<Sealed, Failure> {
    let imports = program.info()?.imports.iter();
    let policy = Policy {
        level: plan.level,
        surface: Surface::from_imports(imports.map(|import| (&import.module, &import.name))),
        grants: plan.grants.iter().map(|dir| FilesystemGrant { host: dir.host.clone(), access: dir.access }).collect(),
        resolver: match plan.resolver {
            wave_wasi::Resolver::Kernel => Resolver::Kernel,
            wave_wasi::Resolver::Manual => Resolver::Manual,
        },
        listeners,
        limits: wave_policy::Limits {
            open_files: u64::from(plan.limits.open_files) + SPARE_FILES,
            file_size_bytes: plan.file_size_bytes,
            ..wave_policy::Limits::default()
        },
        identity: plan.identity,
        prints_results: plan.invoke.is_some(),
        ..Policy::default()
    };
    let growable = program.store.growable().into_iter();
    let growable: Vec<_> = growable.map(|(base, len_bytes)| GrowableRange { base, len_bytes }).collect();
    let code = program.store.code_range().into();
    let fds: Vec<_> = program.store.data_mut().granted().collect();
    let grants: Vec<_> =
        fds.iter().zip(&plan.grants).map(|(fd, grant)| Grant { fd: *fd, access: grant.access }).collect();
    // The sockets come after the directories.
    let sockets: Vec<_> = fds.iter().skip(grants.len()).map(AsRawFd::as_raw_fd).collect();
    let title = format!("wave run {}", clean(&plan.module.display().to_string()));
    let seal = SealPlan {
        grants: &grants,
        growable: &growable,
        guest_code: Some(code),
        final_pages: &[code],
        namespaces,
        title: Some(&title),
        keep_fds: &sockets,
        supervised,
        ..SealPlan::new(&policy)
    };
    wave_sandbox::seal(&seal).map_err(|error| {
        let fix = way_out_of(&error).unwrap_or_else(|| error.fix().to_owned());
        Failure::refused(chain(&error)).at("--sandbox").fix(fix)
    })
}

/// What the run calls, looked up before the seal so that a missing export is no surprise after it.
enum Entry {
    Start { start: Function },
    Invoke { initialize: Option<Function>, function: Function, args: Vec<Value> },
}

impl Entry {
    fn find(program: &Program, plan: &Plan) -> Result<Self, Failure> {
        let info = program.info()?;
        let function = |name: &str| match program.store.export(program.instance, name) {
            Some(Item::Function(function)) => Some(function),
            _ => None,
        };
        let Some((name, words)) = &plan.invoke else {
            let start = function("_start").ok_or_else(|| no_entry("_start", plan, info))?;
            takes_nothing(program, "_start", start, plan)?;
            return Ok(Self::Start { start });
        };
        let initialize = function("_initialize");
        if let Some(initialize) = initialize {
            takes_nothing(program, "_initialize", initialize, plan)?;
        }
        let called = function(name).ok_or_else(|| no_entry(name, plan, info))?;
        let ty = program.store.function_type(called);
        let params = ty.map_or(&[][..], |ty| &ty.params);
        if params.len() != words.len() {
            return Err(Failure::usage(format!(
                "`{name}` takes {} arguments, {} are given",
                params.len(),
                words.len()
            ))
            .at(format!("--invoke {name}")));
        }
        let args = params.iter().zip(words).map(|(ty, word)| parse_value(*ty, word)).collect::<Result<_, _>>()?;
        Ok(Self::Invoke { initialize, function: called, args })
    }

    /// Runs the start function and the entry; `Ok` is the exit code of a guest that returned.
    fn enter(self, program: &mut Program, sealed: &Sealed) -> Result<u8, Stopped> {
        program.store.initialise(sealed, program.instance)?;
        let (initialize, function, args) = match self {
            Self::Start { start } => (None, start, Vec::new()),
            Self::Invoke { initialize, function, args } => (initialize, function, args),
        };
        if let Some(initialize) = initialize {
            call(program, sealed, initialize, &[])?;
        }
        for result in call(program, sealed, function, &args)? {
            for_program(out, &(show_value(result) + "\n"));
        }
        Ok(0)
    }
}

fn call(program: &mut Program, sealed: &Sealed, function: Function, args: &[Value]) -> Result<Vec<Value>, Stopped> {
    program.store.call(sealed, function, args).map_err(|error| match error {
        CallError::Stopped(stopped) => stopped,
        // `Entry::find` has found and checked every function that is called.
        CallError::Arguments { .. } | CallError::Foreign => {
            Stopped { stop: Stop::Trap(wave_runtime::Trap::IndirectCallTypeMismatch), backtrace: Vec::new() }
        }
    })
}

/// An entry that the host calls by itself must not expect or return anything.
fn takes_nothing(program: &Program, name: &str, function: Function, plan: &Plan) -> Result<(), Failure> {
    match program.store.function_type(function) {
        Some(ty) if *ty == FuncType::default() => Ok(()),
        ty => {
            let found = ty.map_or_else(String::new, ToString::to_string);
            let what = format!("`{name}` has type {found}, and must be () -> ()");
            Err(Failure::not_runnable(what).at(plan.module.display().to_string()).fix("call it by --invoke"))
        }
    }
}

fn no_entry(name: &str, plan: &Plan, info: &ModuleInfo) -> Failure {
    let functions = info.exports.iter().filter(|export| export.kind == ExportKind::Function);
    let names: Vec<_> = functions.map(|export| format!("`{}`", short(&export.name))).take(20).collect();
    let failure =
        Failure::not_runnable(format!("the module exports no function `{name}`")).at(plan.module.display().to_string());
    match names.as_slice() {
        [] => failure.fix("it exports no function at all; build a command, not a library"),
        names => failure.fix(format!("choose one by --invoke: {}", names.join(", "))),
    }
}

fn parse_value(ty: ValType, word: &OsString) -> Result<Value, Failure> {
    let text = word.to_string_lossy();
    let integer = |bits: u32| -> Option<u64> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, &*text), |digits| (true, digits));
        let value = match digits.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        let max = u64::MAX >> (64 - bits);
        match negative {
            true => (value <= max / 2 + 1).then(|| value.wrapping_neg() & max),
            false => (value <= max).then_some(value),
        }
    };
    let value = match ty {
        ValType::I32 => {
            integer(32).and_then(|bits| u32::try_from(bits).ok()).map(|bits| Value::I32(bits.cast_signed()))
        }
        ValType::I64 => integer(64).map(|bits| Value::I64(bits.cast_signed())),
        ValType::F32 => text.parse().ok().map(|value: f32| Value::F32(value.to_bits())),
        ValType::F64 => text.parse().ok().map(|value: f64| Value::F64(value.to_bits())),
        ValType::V128 | ValType::FuncRef | ValType::ExternRef => None,
    };
    value.ok_or_else(|| Failure::usage(format!("`{text}` is no {ty}")).at("arguments of --invoke"))
}

fn show_value(value: Value) -> String {
    match value {
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::F32(bits) => f32::from_bits(bits).to_string(),
        Value::F64(bits) => f64::from_bits(bits).to_string(),
        Value::V128(bits) => format!("{bits:#034x}"),
        Value::FuncRef(function) => if function.is_some() { "funcref" } else { "null" }.to_owned(),
        Value::ExternRef(number) => number.map_or_else(|| "null".to_owned(), |number| format!("externref {number}")),
    }
}

/// Says how a guest ended that did not return, and gives the exit code.
fn finish(plan: &Plan, stopped: &Stopped) -> u8 {
    match stopped.stop {
        Stop::Exit(code) => u8::try_from(code).unwrap_or_else(|_| {
            note(&format!("wave: the guest exited with {code}, which no exit status can hold (0 to 255)\n"));
            125
        }),
        Stop::Signal(number) => {
            note(&format!("wave: the guest raised signal {number} on itself\n"));
            128 | (number & 0x7f)
        }
        Stop::Deadline => {
            let limit = plan.timeout.map_or_else(String::new, |limit| format!(" of {limit:?}"));
            note(&format!("wave: time limit{limit} reached\n"));
            if let Some(line) = plan.line_of_policy("limits.timeout") {
                note(&format!("  where: limits.timeout ({})\n", clean(line)));
            }
            print_backtrace(&stopped.backtrace);
            124
        }
        Stop::Trap(trap) => {
            note(&format!("wave: trap: {trap}\n"));
            print_backtrace(&stopped.backtrace);
            134
        }
    }
}

fn print_backtrace(frames: &[Frame]) {
    for frame in frames {
        let number = frame.function.map_or_else(|| "?".to_owned(), |function| function.to_string());
        let name = frame.name.as_deref().map_or_else(|| format!("<function {number}>"), short);
        let position = frame.position.map_or_else(String::new, |position| format!(" ({position:#x})"));
        for_program(note, &format!("  at {name}{position}\n"));
    }
}
