//! `wave oci`, also called `wave-oci`: the command line of the OCI runtime. Flags are those that callers of runc use.

use crate::args::Sandbox;
use crate::report::Reporting;
use crate::run::{self, Nobody};
use crate::text::{chain, clean, note, out};
use clap::{Args, Command, Subcommand, ValueEnum};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::path::PathBuf;
use wave_engine::{Engine, Failure, Module, Plan};
use wave_oci::{Create, Log, Program, Resources, Root};

/// `wave oci`.
#[derive(Args, Debug)]
#[command(
    version = concat!(env!("CARGO_PKG_VERSION"), "\nspec: 1.2.0"),
    after_help = "docs/containers.md says how podman and containerd call it.\n\
Exit codes: 0 done, 2 usage, 125 refused; of run and create, also 126 not a runnable module, 127 not found; of run, those of the program."
)]
pub struct Oci {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: OciCommand,
}

/// The flags of every subcommand.
#[derive(Args, Debug)]
struct Flags {
    /// Directory with the state of containers [default: /run/wave-oci, or wave-oci in XDG_RUNTIME_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Write errors to this file, too
    #[arg(long, global = true, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Format of that file
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Accepted for callers of runc: there is nothing more to write
    #[arg(long, global = true)]
    debug: bool,
    /// `linux.cgroupsPath` has the form SLICE:PREFIX:NAME
    #[arg(long, global = true)]
    systemd_cgroup: bool,
    /// Who manages cgroups
    #[arg(long, global = true, value_enum)]
    cgroup_manager: Option<CgroupManager>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CgroupManager {
    /// This runtime, in the cgroup file system
    Cgroupfs,
    /// As --systemd-cgroup
    Systemd,
    /// Nobody: the container gets no cgroup
    Disabled,
}

#[derive(Debug, Subcommand)]
enum OciCommand {
    /// Create a container: its program is compiled, verified and loaded, and waits for start
    Create(Bundle),
    /// Start the program of a container
    Start(Id),
    /// Create and start a container, wait for its end and delete it
    Run(RunBundle),
    /// Print the state of a container
    State(Id),
    /// Send a signal to the program of a container
    Kill(Kill),
    /// Delete a container that has stopped
    Delete(Delete),
    /// Freeze the program of a container
    Pause(Id),
    /// Let a frozen program go on
    Resume(Id),
    /// Change the limits of a container
    Update(Box<Update>),
    /// Print the processes of a container
    Ps(Ps),
    /// Print all containers
    List(List),
    /// Refused: a container of this runtime runs one program
    Exec(Exec),
    /// Print what this runtime supports
    Features,
}

#[derive(Args, Debug)]
struct Id {
    /// Name of the container
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Args, Debug)]
struct Bundle {
    /// Directory with config.json
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// Write the number of the process to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Send the other end of the container's terminal to this socket
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Accepted for callers of runc: a program has no keyring at all
    #[arg(long)]
    no_new_keyring: bool,
    /// Refused: the root of a container is always entered by pivot_root(2)
    #[arg(long)]
    no_pivot: bool,
    /// Refused unless 0: a program gets no descriptors of the caller but its standard streams
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// Name of the container
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Args, Debug)]
struct RunBundle {
    #[command(flatten)]
    bundle: Bundle,
    /// Do not wait for its end
    #[arg(short, long)]
    detach: bool,
}

#[derive(Args, Debug)]
struct Kill {
    /// Send it to every process of the container's cgroup
    #[arg(short, long)]
    all: bool,
    /// Name of the container
    #[arg(value_name = "ID")]
    id: String,
    /// Name or number of the signal
    #[arg(value_name = "SIGNAL", default_value = "TERM")]
    signal: String,
}

#[derive(Args, Debug)]
struct Delete {
    /// Kill the program if it runs. A container that does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// Name of the container
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Args, Debug)]
struct Update {
    /// JSON file as `linux.resources` in config.json; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    /// Bytes of memory; -1 is no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    memory: Option<i64>,
    /// Bytes of memory and swap
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    memory_swap: Option<i64>,
    /// Bytes of memory that are kept for the container
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    memory_reservation: Option<i64>,
    /// Processor time in each period, in microseconds; -1 is no limit
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// That period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Share of the processors, relative to others
    #[arg(long, alias = "cpu-shares", value_name = "N")]
    cpu_share: Option<u64>,
    /// Processors to run on
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Number of tasks; -1 is no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Name of the container
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Args, Debug)]
struct Ps {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
    /// Name of the container
    #[arg(value_name = "ID")]
    id: String,
    /// Accepted for callers of runc: options of ps(1)
    #[arg(hide = true, allow_hyphen_values = true, trailing_var_arg = true)]
    options: Vec<String>,
}

#[derive(Args, Debug)]
struct List {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
    /// Print names alone
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    Table,
    Json,
}

#[derive(Args, Debug)]
struct Exec {
    /// Whatever runc takes
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<String>,
}

/// The line `oci [--root DIR] run [--bundle DIR] ID`, which needs no definition: that takes a twentieth of the run. `None` for all others.
pub fn plain_run(words: &[OsString]) -> Option<Oci> {
    let texts = words.iter().skip(1).map(|word| word.to_str()).collect::<Option<Vec<_>>>()?;
    let (root, rest) = match &texts[..] {
        ["oci", "--root", root, rest @ ..] => (Some(*root), rest),
        ["oci", rest @ ..] => (None, rest),
        _ => return None,
    };
    let (bundle, id) = match *rest {
        ["run", "--bundle", bundle, id] => (bundle, id),
        ["run", id] => (".", id),
        _ => return None,
    };
    let is_value = |text: &str| !text.is_empty() && !text.starts_with('-');
    if !(root.is_none_or(is_value) && is_value(bundle) && is_value(id)) {
        return None;
    }
    let flags = Flags {
        root: root.map(PathBuf::from),
        log: None,
        log_format: LogFormat::Text,
        debug: false,
        systemd_cgroup: false,
        cgroup_manager: None,
    };
    let bundle = Bundle {
        bundle: bundle.into(),
        pid_file: None,
        console_socket: None,
        no_new_keyring: false,
        no_pivot: false,
        preserve_fds: 0,
        id: id.to_owned(),
    };
    Some(Oci { flags, command: OciCommand::Run(RunBundle { bundle, detach: false }) })
}

/// The definition with the one subcommand that a command line names first: that of the others takes longer than most of them run.
/// `None` if it names none.
pub fn definition(words: &[OsString]) -> Option<Command> {
    type Define = fn(Command) -> Command;
    const SUBCOMMANDS: [(&str, Define); 13] = [
        ("create", Bundle::augment_args),
        ("start", Id::augment_args),
        ("run", RunBundle::augment_args),
        ("state", Id::augment_args),
        ("kill", Kill::augment_args),
        ("delete", Delete::augment_args),
        ("pause", Id::augment_args),
        ("resume", Id::augment_args),
        ("update", Update::augment_args),
        ("ps", Ps::augment_args),
        ("list", List::augment_args),
        ("exec", Exec::augment_args),
        ("features", |command| command),
    ];
    let named = |word: &OsString| SUBCOMMANDS.into_iter().find(|(name, _)| word == name);
    let (name, augment) = words.iter().find_map(named)?;
    let command = Flags::augment_args(Command::new("oci")).subcommand_required(true);
    Some(command.subcommand(augment(Command::new(name))))
}

/// Does what an OCI runtime was asked for; the result is the exit code.
///
/// # Errors
/// If it cannot. The log has the error, too.
pub fn oci(sandbox: Option<Sandbox>, oci: Oci) -> Result<u8, Failure> {
    let format = match oci.flags.log_format {
        LogFormat::Text => wave_oci::LogFormat::Text,
        LogFormat::Json => wave_oci::LogFormat::Json,
    };
    let log = Log { path: oci.flags.log.clone(), format };
    let outcome = match sandbox {
        None | Some(Sandbox::Strict) => dispatch(oci, &log),
        Some(_) => Err(Failure::usage("a container is always sealed as `strict`").at("--sandbox").fix("drop the flag")),
    };
    outcome.inspect_err(|failure| log.error(failure.to_string().trim().trim_start_matches("wave: ")))
}

fn dispatch(oci: Oci, log: &Log) -> Result<u8, Failure> {
    let Oci { flags, command } = oci;
    let root = Root::new(flags.root)?;
    let systemd = flags.systemd_cgroup || flags.cgroup_manager == Some(CgroupManager::Systemd);
    let no_cgroup = flags.cgroup_manager == Some(CgroupManager::Disabled);
    let request = |bundle: Bundle, root: Root| request(bundle, root, systemd, no_cgroup);
    match command {
        OciCommand::Create(bundle) => wave_oci::create(&request(bundle, root)?, &load, log).map(drop)?,
        OciCommand::Run(RunBundle { bundle, detach }) => return run_container(&request(bundle, root)?, detach, log),
        OciCommand::Start(Id { id }) => wave_oci::start(&root, &id)?,
        OciCommand::State(Id { id }) => out(&(wave_oci::state(&root, &id)? + "\n")),
        OciCommand::Kill(Kill { all, id, signal }) => wave_oci::kill(&root, &id, &signal, all)?,
        OciCommand::Delete(Delete { force, id }) => warn(log, &wave_oci::delete(&root, &id, force)?),
        OciCommand::Pause(Id { id }) => wave_oci::pause(&root, &id)?,
        OciCommand::Resume(Id { id }) => wave_oci::resume(&root, &id)?,
        OciCommand::Update(update) => wave_oci::update(&root, &update.id, &limits(&update)?)?,
        OciCommand::Ps(ps) => print_processes(&wave_oci::ps(&root, &ps.id)?, ps.format),
        OciCommand::List(list) => print_list(&wave_oci::list(&root)?, &list),
        OciCommand::Features => out(&format!("{:#}\n", wave_oci::features(env!("CARGO_PKG_VERSION")))),
        OciCommand::Exec(_) => {
            return Err(Failure::refused("a WebAssembly container runs one program: nothing can be executed in it")
                .fix("run the program in a container of its own; for probes of Kubernetes, use httpGet or tcpSocket"));
        }
    }
    Ok(0)
}

fn request(bundle: Bundle, root: Root, systemd_cgroup: bool, no_cgroup: bool) -> Result<Create, Failure> {
    if bundle.no_pivot {
        return Err(Failure::usage("without pivot_root(2), the host's files would stay reachable")
            .at("--no-pivot")
            .fix("drop the flag"));
    }
    if bundle.preserve_fds > 0 {
        return Err(Failure::usage("a program gets no descriptors of the caller")
            .at("--preserve-fds")
            .fix("drop the flag"));
    }
    let Bundle { bundle, pid_file, console_socket, id, .. } = bundle;
    Ok(Create { root, id, bundle, pid_file, console_socket, systemd_cgroup, no_cgroup })
}

/// Loads a program as `wave run` does.
fn load(engine: Engine, plan: Plan, module: Module) -> Result<Program, Failure> {
    let loaded = run::load(engine, plan, module)?;
    let reporting = Reporting { format: None, file: None, dump: None };
    Ok(Box::new(move || match loaded.run(reporting, &mut Nobody) {
        Ok(code) => i32::from(code),
        Err(failure) => {
            note(&failure.to_string());
            i32::from(failure.code())
        }
    }))
}

/// Creates and starts a container, and waits for its end if it is not detached. Signals are passed on.
fn run_container(request: &Create, detach: bool, log: &Log) -> Result<u8, Failure> {
    let refuse =
        |errno: nix::errno::Errno| Failure::refused(format!("cannot wait for the container: {}", errno.desc()));
    let mut awaited: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    awaited.add(Signal::SIGCHLD);
    // Not earlier: the process of the container would begin with them blocked.
    let ready = || awaited.thread_block().map_err(refuse);
    let mut container = wave_oci::create_and_start(request, &ready, &load, log)?;
    let pid = Pid::from_raw(container.pid());
    if detach {
        return Ok(0);
    }
    container.prepare_end();
    let code = loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)).map_err(refuse)? {
            WaitStatus::Exited(_, code) => break code,
            WaitStatus::Signaled(_, signal, _) => break 128 + signal as i32,
            _ => match awaited.wait().map_err(refuse)? {
                Signal::SIGCHLD => {}
                // It may have ended meanwhile.
                signal => drop(kill(pid, signal)),
            },
        }
    };
    warn(log, &container.delete()?);
    Ok(u8::try_from(code).unwrap_or(125))
}

/// Reports failures that change nothing.
fn warn(log: &Log, failures: &[Failure]) {
    for failure in failures {
        note(&failure.to_string());
        log.warning(failure.to_string().trim());
    }
}

/// The limits of `update`: those of the file, and those of flags.
fn limits(update: &Update) -> Result<Resources, Failure> {
    let mut limits = match &update.resources {
        None => Resources::default(),
        Some(path) => {
            let bytes = wave_engine::input::read_file(path)?;
            serde_json::from_slice(&bytes).map_err(|error| {
                Failure::refused(format!("invalid limits: {}", chain(&error)))
                    .at(format!("--resources {}", path.display()))
            })?
        }
    };
    if update.memory.is_some() || update.memory_swap.is_some() || update.memory_reservation.is_some() {
        let memory = limits.memory.get_or_insert_default();
        memory.limit = update.memory.or(memory.limit);
        memory.swap = update.memory_swap.or(memory.swap);
        memory.reservation = update.memory_reservation.or(memory.reservation);
    }
    let has_numbers = update.cpu_quota.is_some() || update.cpu_period.is_some() || update.cpu_share.is_some();
    if has_numbers || update.cpuset_cpus.is_some() || update.cpuset_mems.is_some() {
        let cpu = limits.cpu.get_or_insert_default();
        cpu.quota = update.cpu_quota.or(cpu.quota);
        cpu.period = update.cpu_period.or(cpu.period);
        cpu.shares = update.cpu_share.or(cpu.shares);
        cpu.cpus = update.cpuset_cpus.clone().or_else(|| cpu.cpus.take());
        cpu.mems = update.cpuset_mems.clone().or_else(|| cpu.mems.take());
    }
    if update.pids_limit.is_some() {
        limits.pids.get_or_insert_default().limit = update.pids_limit;
    }
    Ok(limits)
}

fn print_processes(pids: &[i32], format: ListFormat) {
    match format {
        ListFormat::Json => out(&format!("{}\n", serde_json::json!(pids))),
        ListFormat::Table => out(&pids.iter().fold("PID\n".to_owned(), |text, pid| text + &format!("{pid}\n"))),
    }
}

fn print_list(containers: &[wave_oci::Listed], list: &List) {
    if list.quiet {
        return containers.iter().for_each(|container| out(&format!("{}\n", container.id)));
    }
    if list.format == ListFormat::Json {
        return out(&format!("{}\n", serde_json::json!(containers)));
    }
    let width = containers.iter().map(|container| container.id.len()).max().unwrap_or(0).max(2);
    out(&format!("{:width$}  {:>7}  {:8}  {:30}  BUNDLE\n", "ID", "PID", "STATUS", "CREATED"));
    for container in containers {
        let wave_oci::Listed { id, pid, status, created, bundle, .. } = container;
        let bundle = bundle.display().to_string();
        let bundle = clean(&bundle);
        out(&format!("{id:width$}  {pid:>7}  {:8}  {created:30}  {bundle}\n", status.to_string()));
    }
}
