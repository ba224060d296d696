//! What was typed. Names follow `wasmtime` where it has one.

use crate::terminal::Color;
use crate::text::{parse_duration, parse_size};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::cell::Cell;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;
use wave_audit::why::Operation;
use wave_compiler::Edition;
use wave_engine::parse_network;
use wave_policy::file::{MOST_NUMBER, Values};
use wave_policy::limits::{Kind, LIMITS, Limit, Limits};
use wave_policy::{Area, ConnectTarget, HostGrant, Protocol, Resolver, Stub};
use wave_wasi::PeerRule;

/// Run WebAssembly programs that nobody trusts.
#[derive(Debug, Parser)]
#[command(name = "wave", version, about, max_term_width = 100)]
#[command(after_help = "Short form: `wave [OPTIONS] MODULE [ARGS]…` means `wave run`.\n\
`wave --version --verbose` lists the features of WebAssembly.\n\
Exit codes: the guest's own 0-255; 2 usage, 124 limit on time or fuel, 125 refused before the guest ran, 126 not a runnable module,\n\
127 not found, 134 trap, 137 memory limit, 159 denied system call, 128+n signal n.")]
pub struct Cli {
    #[command(flatten)]
    pub every: Every,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The flags that every subcommand takes.
#[derive(Args, Debug)]
pub struct Every {
    /// Which kernel layers must hold before the guest runs [default: strict, or what the policy says]
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub sandbox: Option<Sandbox>,
    /// Print no notes and no progress. Errors, and what weakens the sandbox, are still printed
    #[arg(short, long, global = true)]
    pub quiet: bool,
    // `terminal::set_color` reads it, for invalid command lines too.
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
}

impl Cli {
    /// Parses a command line with its subcommand.
    ///
    /// # Errors
    /// For help and version as well.
    pub fn parse_from_words(words: &[OsString]) -> Result<Self, clap::Error> {
        Self::quickly(words).map_or_else(|| Self::try_parse_from(words), Ok)
    }

    /// Parses a command line that starts a program: to define the flags of all the other subcommands takes longer than the rest.
    /// `None` for a line that only the whole definition can explain.
    fn quickly(words: &[OsString]) -> Option<Self> {
        HELPS.set(false);
        let parsed = Self::run_or_oci(words);
        HELPS.set(true);
        parsed
    }

    fn run_or_oci(words: &[OsString]) -> Option<Self> {
        if let Some(oci) = crate::platform::oci::plain_run(words) {
            let every = Every { sandbox: None, quiet: false, color: Color::Auto };
            return Some(Self { every, command: Command::Oci(Box::new(oci)) });
        }
        let command = Every::augment_args(clap::Command::new("wave"));
        let mut command = match words.iter().find_map(|word| ["run", "oci"].into_iter().find(|name| *name == word))? {
            "run" => command.subcommand(Run::augment_args(clap::Command::new("run"))),
            _ => command.subcommand(crate::platform::oci::definition(words)?),
        };
        let matches = command.try_get_matches_from_mut(words);
        // Not freed: it is hundreds of pieces of memory, and it is made once.
        std::mem::forget(command);
        Self::from_arg_matches(&matches.ok()?).ok()
    }
}

thread_local! {
    /// Whether a definition of flags can be asked for help. To write the texts of the limits takes a tenth of the time of a parse.
    static HELPS: Cell<bool> = const { Cell::new(true) };
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program (default)
    Run(Box<Run>),
    /// Run a program and write what it used to a policy file
    Learn(Box<Learn>),
    /// Compile a module to a file that `wave run` takes
    Compile(Compile),
    /// Write modules to an OCI image layout, which container tools take
    Pack(Pack),
    /// Write a component as one core module
    Lower(Lower),
    /// Verify the code of a module or of a compiled program, and print what it uses
    Verify(Verify),
    /// Show or clear the cache of verified code
    Cache(Cache),
    /// Run WebAssembly specification scripts
    Wast(Wast),
    /// Show what a module is and asks for, without running it
    Inspect(Inspect),
    /// Report what a module can ask for, which system calls that takes, and what it cannot do
    Audit(Audit),
    /// Run programs as containers, for podman, containerd and others: an OCI runtime
    Oci(Box<crate::platform::oci::Oci>),
    /// Write, check and show policy files
    #[command(subcommand)]
    Policy(Policy),
    /// Show which rule of a policy decides on an operation, at which layers, and what would allow it
    Why(Why),
    /// Show which layers this kernel and processor can provide
    Doctor(Doctor),
    /// Print a completion script for a shell
    Completion(Completion),
}

/// Sandbox levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sandbox {
    /// A run requires compiler, verifier, single_thread, descriptors, identity, capabilities, no_new_privs, not_dumpable, landlock and
    /// seccomp; allocator, wiped, limits, namespaces, bounding, no_new_code and final_pages are applied if this host has them
    Strict,
    /// A run requires verifier, single_thread, descriptors and seccomp; the other layers are applied if this host has them
    Standard,
    /// No kernel layer: only what the verifier and the monitor guarantee
    Off,
}

/// `wave run`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("listeners").args(["tcplisten", "listenfd", "policy"]).multiple(true)))]
pub struct Run {
    /// Policy file. Flags add to it; where both set a value, the flag wins
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Grant a directory: HOST[::GUEST[::ro|rw|append]]; GUEST is HOST if not given, access is rw
    #[arg(long = "dir", value_name = "GRANT")]
    pub dirs: Vec<String>,
    /// Grant a single file, in the same form. Its directory in the program has granted files and nothing else
    #[arg(long = "file", value_name = "GRANT")]
    pub files: Vec<String>,
    /// Set an environment variable, or pass on the one of that name. Nothing else is inherited
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Set the variables of a file: lines NAME=VALUE, or NAME to pass one on; # starts a comment. --env wins
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Start the program in this directory of its own, inside a granted one. Sets PWD; programs with wasi-libc find relative paths there
    #[arg(long, value_name = "GUEST")]
    pub cwd: Option<String>,
    /// The program's own name, its first argument [default: the file name of the module]
    #[arg(long, value_name = "NAME")]
    pub argv0: Option<String>,
    /// Call this export instead of `_start`. ARGS are its arguments; its results are printed
    #[arg(long, value_name = "FUNCTION")]
    pub invoke: Option<String>,
    /// Allow the program to open this device node inside a granted directory
    #[arg(long = "device", value_name = "PATH")]
    pub devices: Vec<PathBuf>,
    /// Run as this user and group if started as root [default: an unused id]
    #[arg(long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Run a module that imports functions which nobody provides: calling one is a trap, or returns zeros. A stub grants nothing
    #[arg(long, value_name = "WHAT", value_parser = parse_stub())]
    pub unknown_imports: Option<Stub>,
    /// Pass every character of the program to a terminal. By default, control and bidirectional characters become `?`
    #[arg(long)]
    pub terminal_controls: bool,
    /// Give the program a listening TCP socket. Its descriptor follows those of the directories, and a component binds to its address
    #[arg(long, visible_alias = "listen", value_name = "ADDRESS:PORT", help_heading = NETWORK)]
    pub tcplisten: Vec<SocketAddr>,
    /// Give the program the listening TCP sockets that a service manager passed (LISTEN_FDS)
    #[arg(long, help_heading = NETWORK)]
    pub listenfd: bool,
    /// Accept connections from these addresses only [default: from everywhere]
    #[arg(long, value_name = "ADDRESS[/BITS]", value_parser = parse_network, requires = "listeners", help_heading = NETWORK)]
    pub accept_from: Vec<PeerRule>,
    /// Let the program connect by TCP to a host and these ports. HOST is ADDRESS[/BITS], one of IPv6 in brackets, or a name, which is
    /// looked up once, at the start
    #[arg(long, value_name = "HOST:PORT[-PORT]", value_parser = parse_connect, help_heading = NETWORK)]
    pub connect: Vec<ConnectTarget>,
    /// Ask this name server for the addresses of hosts [default: those of /etc/resolv.conf]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_server, help_heading = NETWORK)]
    pub dns: Vec<SocketAddr>,
    /// Use the same clocks, random numbers and NaNs in every run. Time advances only when the program reads a clock or waits
    #[arg(long)]
    pub deterministic: bool,
    /// Seed of the program's random numbers, which are then the same in every run and not secret
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=MOST_NUMBER))]
    pub random_seed: Option<u64>,
    /// Run code without verifying it. Only with `--sandbox off`, and not for a .wave file
    #[arg(long)]
    pub no_verify: bool,
    /// End without a message when the process that started wave ends
    #[arg(long)]
    pub die_with_parent: bool,
    /// Neither read nor write the cache of compiled code
    #[arg(long)]
    pub no_cache: bool,
    /// Resolution of the clocks, such as 1ms
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "deterministic")]
    pub clock_resolution: Option<Duration>,
    /// Who resolves paths
    #[arg(long = "resolver", value_name = "WHO", value_parser = parse_manual(), default_value = "auto", action = ArgAction::Set)]
    pub manual_resolver: bool,
    /// Print each hostcall to standard error: arguments, decision, result, and what would allow a denied one
    #[arg(long, value_name = "AREAS", value_parser = traced(), num_args = 0.., require_equals = true, value_delimiter = ',', default_missing_value = "all")]
    pub trace: Vec<Traced>,
    /// Format of the trace; `json` is one object per line
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub trace_format: Format,
    /// Write the trace to a file or an inherited descriptor (fd:3) instead of standard error. Without --trace, everything is traced
    #[arg(long, value_name = "FILE|fd:N", conflicts_with = "dry_run")]
    pub trace_file: Option<String>,
    /// Print to standard error which layers are applied
    #[arg(long, value_name = "FORMAT", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub report: Option<Format>,
    /// Write the report to a file or an inherited descriptor (fd:3) instead of standard error. Without --report, it is text
    #[arg(long, value_name = "FILE|fd:N", conflicts_with = "dry_run")]
    pub report_file: Option<String>,
    /// Write how the run ended to a file or an inherited descriptor (fd:3), as one JSON object
    #[arg(long, value_name = "FILE|fd:N", conflicts_with = "dry_run")]
    pub outcome: Option<String>,
    /// Write a core dump of a program that traps to a file or an inherited descriptor (fd:3): its memory, globals and backtrace
    #[arg(long, value_name = "FILE|fd:N", conflicts_with = "dry_run")]
    pub coredump: Option<String>,
    /// Tell a profiler where the code of each function is: `perfmap` writes /tmp/perf-PID.map. Not with `--sandbox strict`
    #[arg(long, value_name = "WHAT", value_enum)]
    pub profile: Option<Profile>,
    /// Control group under which --max-rss makes one for this run, such as /ci/jobs [default: that of wave]
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<String>,
    /// Print the plan of the run, and do not run it
    #[arg(long)]
    pub dry_run: bool,
    // Last of the options: its heading holds for all that follow.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// `.wasm`, `.wat` or `.wave` file, or `oci:DIR[:TAG]` (`-` is standard input), then the arguments of the program
    // One list: whatever follows the module is the program's, options included.
    #[arg(value_name = "MODULE [ARGS]", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

impl Run {
    /// The keys of a policy that flags set, too.
    pub fn settings(&self) -> Values {
        Values {
            cwd: self.cwd.clone(),
            deterministic: self.deterministic.then_some(true),
            clock_resolution: self.clock_resolution,
            random_seed: self.random_seed,
            unknown_imports: self.unknown_imports,
            ..Values::default()
        }
    }

    /// The hostcalls that are traced.
    pub fn traced(&self) -> Vec<Traced> {
        let all = self.trace.is_empty() && self.trace_file.is_some();
        if all { vec![Traced::All] } else { self.trace.clone() }
    }

    /// The format of the report. `None`: there is none.
    pub fn report(&self) -> Option<Format> {
        self.report.or_else(|| self.report_file.as_ref().map(|_| Format::Text))
    }
}

/// `wave learn`.
#[derive(Args, Debug)]
#[command(
    after_help = "The program runs in the same sandbox as with `wave run`, with what the flags grant. Grant generously: the policy has only\n\
what was used. Access narrows to ro or append, unused grants are left out, counts are written as comments.\n\
The exit code is that of the program; 125 also if the policy could not be written."
)]
pub struct Learn {
    /// Policy file. If it exists, the use of this run is added, and everything that widens it is printed
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Accept a policy that is pinned to another module, and replace the pin
    #[arg(long)]
    pub new_module: bool,
    #[command(flatten)]
    pub run: Run,
}

const NETWORK: &str = "Network";
const DNS_PORT: u16 = 53;
const LIMITS_HEADING: &str = "Limits (SIZE is a number of bytes, or 64K, 10M, 2G)";

/// How much a program may use: a flag for each row of the table of limits.
#[derive(Debug, Default)]
pub struct LimitFlags(pub Limits);

impl Args for LimitFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        LIMITS.iter().fold(command.next_help_heading(LIMITS_HEADING), |command, limit| command.arg(limit_flag(limit)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LimitFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for limit in LIMITS {
            if let Some(value) = matches.get_one::<u128>(limit.name) {
                limit.set(&mut self.0, Some(*value));
            }
        }
        Ok(())
    }
}

fn limit_flag(limit: &'static Limit) -> Arg {
    let kind = limit.kind;
    let parse = move |text: &str| kind.parse(text);
    let (value, parser) = match kind {
        Kind::Time => ("TIME", ValueParser::new(parse)),
        Kind::Size => ("SIZE", ValueParser::new(parse)),
        Kind::Count => ("N", ValueParser::new(clap::value_parser!(u32).map(u128::from))),
        Kind::Units => ("N", ValueParser::new(clap::value_parser!(u64).range(..=MOST_NUMBER).map(u128::from))),
    };
    Arg::new(limit.name).long(limit.name).value_name(value).value_parser(parser).help(help_of(limit))
}

/// The help of the limit of this name.
fn limit_help(name: &str) -> String {
    LIMITS.iter().find(|limit| limit.name == name).map_or_else(String::new, help_of)
}

fn help_of(limit: &Limit) -> String {
    if HELPS.get() { limit.help() } else { String::new() }
}

/// Who resolves paths in a run: `auto`, or `manual`, which is `true`.
fn parse_manual() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new([
        PossibleValue::new("auto").help("The kernel, if it can (openat2)"),
        PossibleValue::new("manual").help("wave, component by component"),
    ])
    .map(|word| word == "manual")
}

/// What stands for imports that nobody provides.
fn parse_stub() -> impl TypedValueParser<Value = Stub> {
    PossibleValuesParser::new([
        PossibleValue::new("trap").help("Calling one ends the program, exit code 134"),
        PossibleValue::new("zero").help("Each returns zeros, which the program can take for success"),
    ])
    .map(|word| if word == "zero" { Stub::Zero } else { Stub::Trap })
}

/// Who resolves paths in a policy.
fn parse_resolver() -> impl TypedValueParser<Value = Resolver> {
    let words = Resolver::ALL.map(|resolver| {
        PossibleValue::new(resolver.as_str()).help(match resolver {
            Resolver::Kernel => "The kernel",
            Resolver::Manual => "wave, component by component",
        })
    });
    PossibleValuesParser::new(words)
        .map(|word| Resolver::ALL.into_iter().find(|resolver| resolver.as_str() == word).unwrap_or_default())
}

/// Hostcalls that are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// Every hostcall.
    All,
    /// Those of an area.
    Only(Area),
}

impl Traced {
    /// Whether calls of a WASI function are traced.
    pub fn covers(self, function: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(area) => Area::of(function) == Some(area),
        }
    }
}

fn traced() -> impl TypedValueParser<Value = Traced> {
    let areas = Area::ALL.map(|(_, name, help)| PossibleValue::new(name).help(help));
    let all = PossibleValue::new("all").help("Everything");
    PossibleValuesParser::new([all].into_iter().chain(areas))
        .map(|name| Area::named(&name).map_or(Traced::All, Traced::Only))
}

/// Profilers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// `perf` of Linux
    Perfmap,
}

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Arguments of `wave lower`.
#[derive(Debug, Args)]
#[command(
    after_help = "The component is read and validated in a sealed process, and not run. What cannot be lowered is named."
)]
pub struct Lower {
    /// Output file. An existing file is replaced
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Leave interfaces of WASI 0.2 as imports. Otherwise code is added that has them, and the module imports preview 1
    #[arg(long)]
    pub keep_interfaces: bool,
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help = limit_help("compile-timeout"))]
    pub compile_timeout: Option<Duration>,
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help = limit_help("compile-memory"))]
    pub compile_memory: Option<u64>,
    /// A component as `.wasm` file. `-` is standard input
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,
}

/// `wave compile`.
#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("purpose").args(["output", "discard"]).required(true)),
    after_help = "The file has the module and code for processors like this one; `wave run` verifies it as it verifies the compiler's.\n\
Exit codes: 0 written, 2 usage, 125 refused or not written, 126 not a module that can be compiled, 127 not found."
)]
pub struct Compile {
    /// Output file. An existing file is replaced
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write no file: measure only
    #[arg(long)]
    pub discard: bool,
    /// Compile for `wave run --deterministic`
    #[arg(long, conflicts_with = "discard")]
    pub deterministic: bool,
    /// Compile for `wave run --fuel`: the code counts fuel, and is slower
    #[arg(long, conflicts_with = "discard")]
    pub fuel: bool,
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help = limit_help("compile-timeout"))]
    pub compile_timeout: Option<Duration>,
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help = limit_help("compile-memory"))]
    pub compile_memory: Option<u64>,
    /// Threads to compile with [default: one per processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// `.wasm` or `.wat` file, `oci:DIR[:TAG]`, or a `.wave` file, whose module is compiled again. `-` is standard input
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
}

/// `wave pack`.
#[derive(Args, Debug)]
#[command(
    after_help = "The same modules give the same bytes. An image that has the tag is replaced, in one step with all others.\n\
`skopeo copy oci:DIR:TAG docker://…` or `podman pull oci:DIR:TAG` take it from there; `wave run oci:DIR:TAG` runs it.\n\
Exit codes: 0 written, 2 usage, 125 not written, 126 not a module, 127 not found."
)]
pub struct Pack {
    /// Directory: a layout, which keeps its other images, or a new or empty one
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Tag of the image [default: the name of the module without its extension]
    #[arg(long)]
    pub tag: Option<String>,
    /// What to write
    #[arg(long, value_enum, default_value_t = PackFormat::Image)]
    pub format: PackFormat,
    /// The platform that an image names
    #[arg(long, value_enum, default_value_t = Platform::Linux)]
    pub platform: Platform,
    /// `.wasm` or `.wat` files; `-` is standard input. Each becomes an image
    #[arg(value_name = "MODULE", required = true)]
    pub modules: Vec<PathBuf>,
}

/// What a module is packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PackFormat {
    /// An image whose one file is the module: for podman, containerd and others, with a runtime for modules
    Image,
    /// The WebAssembly artifact of the CNCF: for wkg, Spin and wasmCloud; podman and containerd do not run it
    Artifact,
}

/// A platform that an image names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Platform {
    /// What container tools on such a host take without a question
    #[value(name = "linux/amd64")]
    Linux,
    /// What some of them use to choose a runtime
    #[value(name = "wasi/wasm")]
    Wasi,
}

/// `wave verify`.
#[derive(Args, Debug)]
#[command(after_help = "The code of a .wave file is verified as it is; a module is compiled first.\n\
Verified code stays inside its memory and its own functions. Whether it does what the module says is not checked.\n\
Exit codes: 0 verified, 1 refused, 2 usage, 126 not a module that can be compiled, 127 not found.")]
pub struct Verify {
    /// Compile a module as for `wave run --deterministic`
    #[arg(long)]
    pub deterministic: bool,
    /// Compile a module as for `wave run --fuel`: the code counts fuel
    #[arg(long)]
    pub fuel: bool,
    /// Threads to compile and verify with [default: one per processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// `.wasm`, `.wat` or `.wave` file, or `oci:DIR[:TAG]`; `-` is standard input
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
}

/// `wave cache`.
#[derive(Args, Debug)]
pub struct Cache {
    #[command(subcommand)]
    pub action: CacheAction,
}

/// What to do with the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum CacheAction {
    /// Print location and size
    Info,
    /// Remove everything that is cached
    Clear,
}

/// `wave wast`.
#[derive(Args, Debug)]
pub struct Wast {
    /// How code addresses memory and context
    #[arg(long, value_enum, default_value_t = Mode::Fixed)]
    pub mode: Mode,
    /// Compile code that counts fuel, without a limit on it
    #[arg(long)]
    pub fuel: bool,
    /// Read scripts as Wasmtime writes its own: names of modules are registered, a module whose segment does not fit is unlinkable, why is not compared, and a trap may be named by its last words
    #[arg(long)]
    pub lenient: bool,
    /// Refuse what this version of the specification refuses, such as 2.0, or 2.0+memory64 with a proposal
    #[arg(long, value_name = "VERSION", value_parser = edition)]
    pub edition: Option<Edition>,
    /// Scripts
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// How code reaches memory and context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Constant addresses
    Fixed,
    /// A context argument
    Arg,
}

/// `wave inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// `.wasm` or `.wat` file, or `oci:DIR[:TAG]`; `-` is standard input
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `wave audit`.
#[derive(Args, Debug)]
#[command(
    after_help = "The module is read and validated, and not run. A component is audited by its imports, though it cannot run.\n\
Exit codes: 0 audited, 1 it cannot run or its score is above --threshold, 2 usage, 125 the policy is not for it, 126 not a module, 127 not found."
)]
pub struct Audit {
    /// `.wasm` or `.wat` file, or `oci:DIR[:TAG]`; `-` is standard input
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t = AuditFormat::Text)]
    pub format: AuditFormat,
    /// Score what has an effect under this policy, instead of everything that could be granted
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Exit code 1 if the exposure score is above this: 0 to 10, with one decimal
    #[arg(long, value_name = "N", value_parser = parse_score)]
    pub threshold: Option<u32>,
}

/// Output formats of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// For people, in a terminal
    Text,
    /// For programs, complete
    Json,
    /// For a review or a repository
    Markdown,
    /// One page for a browser or paper
    Html,
    /// For code scanning in CI (SARIF 2.1.0)
    Sarif,
}

/// Reads a score, in tenths.
fn edition(text: &str) -> Result<Edition, String> {
    Edition::parse(text).ok_or_else(|| "write 1.0, 2.0 or 3.0, and `+` before each proposal".to_owned())
}

fn parse_score(text: &str) -> Result<u32, String> {
    let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, most| {
        let written = (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| written)
    };
    let tenths = digits(whole, 2).zip(digits(tenth, 1)).map_or(u32::MAX, |(whole, tenth)| whole * 10 + tenth);
    if tenths <= 100 { Ok(tenths) } else { Err("expected 0 to 10 with at most one decimal, such as 4.5".to_owned()) }
}

/// `wave policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Write a policy for a module from its imports. It grants nothing
    Gen {
        /// Derive `[os]` for who resolves paths: `manual` for kernels before 6.2
        #[arg(long, value_name = "WHO", value_parser = parse_resolver(), default_value = "kernel")]
        resolver: Resolver,
        /// `.wasm` or `.wat` file, or `oci:DIR[:TAG]`; `-` is standard input
        #[arg(value_name = "MODULE")]
        module: PathBuf,
    },
    /// Check a policy, and whether it is for a module. Exit code 1 if not
    Check {
        /// Policy file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// `.wasm` or `.wat` file, or `oci:DIR[:TAG]`; `-` is standard input
        #[arg(value_name = "MODULE")]
        module: Option<PathBuf>,
    },
    /// Print what a policy says
    Show {
        /// Include the values of the profile it extends, and the origin of each
        #[arg(long)]
        resolved: bool,
        /// Policy file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Format a policy file. Comments are kept
    Fmt {
        /// Do not write. Exit code 1 if the file is not formatted
        #[arg(long)]
        check: bool,
        /// Policy file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Compare two policies: what the new one permits, and what it no longer permits
    #[command(after_help = "`-` is standard input: git show HEAD:app.toml | wave policy diff - app.toml\n\
Relative directories are compared as they are written, wherever the two files are; links are not followed.\n\
Exit codes: 0 compared, 1 something became possible under --fail-on widen, 2 usage, 125 a policy cannot be read.")]
    Diff {
        /// The old policy
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The new policy
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// Exit code 1 if something became possible
        #[arg(long, value_enum, value_name = "WHAT")]
        fail_on: Option<Widening>,
        /// Output format
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print the kernel rules of a policy with `[os]` for other tools
    #[command(
        after_help = "The policy lists its functions and `[os]` as `wave policy gen` writes them; no module is needed.\n\
Exit codes: 0 printed, 2 usage, 125 the policy cannot be read, or `[os]` is missing or does not follow from its functions."
    )]
    Export {
        /// Output format
        #[arg(long, value_enum, value_name = "FORMAT")]
        format: ExportFormat,
        /// Policy file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON Schema of policy files
    Schema,
}

/// What a policy is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// `linux.seccomp` of the OCI runtime specification: the filter after the seal
    OciSeccomp,
    /// The filter as the kernel gets it, with the rule of each comparison
    SeccompBpf,
    /// The Landlock ruleset
    Landlock,
    /// A drop-in for a unit that runs `wave`: an outer sandbox around its start
    Systemd,
    /// The profile of `sandbox-exec` on macOS, where `wave` has never been run
    Seatbelt,
}

/// What makes a comparison of policies fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Widening {
    /// Something became possible
    Widen,
}

/// `wave why`.
#[derive(Args, Clone, Debug)]
#[command(
    group(ArgGroup::new("files").args(["path", "host_path"])),
    group(ArgGroup::new("question").required(true).args([
        "path", "host_path", "connect", "listen", "accept_from", "syscall", "function", "env",
    ])),
    after_help = "Nothing is run. Symbolic links and kinds of files on the host are looked at; its permissions are not.\n\
                  Exit codes: 0 allowed, 1 denied, 2 usage, 125 not a policy that a run would accept."
)]
pub struct Why {
    /// Policy file
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// Guest path. The directory with the longest matching prefix decides, as in wasi-libc
    #[arg(long, value_name = "PATH", requires = "op")]
    pub path: Option<String>,
    /// Host path, reached through the directory that allows most
    #[arg(long, value_name = "PATH", requires = "op")]
    pub host_path: Option<PathBuf>,
    /// Operation on the path
    #[arg(long, value_parser = operations(), value_name = "OPERATION", requires = "files")]
    pub op: Option<Operation>,
    /// Open a TCP connection
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_remote)]
    pub connect: Option<Remote>,
    /// Listen for connections
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Accept a connection from there
    #[arg(long, value_name = "ADDRESS")]
    pub accept_from: Option<IpAddr>,
    /// Make a system call
    #[arg(long, value_name = "NAME")]
    pub syscall: Option<String>,
    /// Import and call a WASI function
    #[arg(long, value_name = "NAME", value_parser = function_names(), hide_possible_values = true)]
    pub function: Option<String>,
    /// Read an environment variable
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `ADDRESS` or `ADDRESS:PORT`; an address of IPv6 is in brackets if a port follows.
fn parse_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    let server = address.or_else(|_| text.parse()).map_err(|_| "it is not ADDRESS or ADDRESS:PORT".to_owned())?;
    if server.port() == 0 || server.ip().is_unspecified() { Err("nobody answers there".to_owned()) } else { Ok(server) }
}

/// One port of one host.
#[derive(Clone, Debug)]
pub enum Remote {
    Address(SocketAddr),
    Host(HostGrant),
}

fn parse_remote(text: &str) -> Result<Remote, String> {
    if let Ok(address) = text.parse() {
        return Ok(Remote::Address(address));
    }
    match ConnectTarget::parse(text, Protocol::Tcp)? {
        ConnectTarget::Host(host) if host.ports.first == host.ports.last => Ok(Remote::Host(host)),
        _ => Err("it is not one port of one host".to_owned()),
    }
}

fn parse_connect(text: &str) -> Result<ConnectTarget, String> {
    ConnectTarget::parse(text, Protocol::Tcp)
}

fn operations() -> impl TypedValueParser<Value = Operation> {
    let values = Operation::ALL.map(|(_, name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(values).try_map(|name| Operation::named(&name).ok_or("no such operation"))
}

fn function_names() -> PossibleValuesParser {
    wave_policy::all_functions().iter().map(|function| function.name).collect::<Vec<_>>().into()
}

/// `wave doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `wave completion`.
#[derive(Args, Debug)]
pub struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// The subcommands, by name.
pub fn commands() -> impl Iterator<Item = &'static str> {
    names().iter().map(String::as_str)
}

/// Whether a word is a subcommand.
pub fn is_command(word: &str) -> bool {
    commands().any(|command| command == word)
}

fn names() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let command = Command::augment_subcommands(clap::Command::new(""));
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect()
    });
    &NAMES
}

/// The flags of `wave run`, with those of `wave` itself.
pub fn flags_of_run() -> impl Iterator<Item = &'static str> {
    static FLAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let own = ["sandbox", "quiet", "color"].map(|name| clap::Arg::new(name).long(name));
        let run = Run::augment_args(clap::Command::new("").args(own));
        let long = run.get_arguments().filter_map(clap::Arg::get_long).chain(["help"]).map(|long| format!("--{long}"));
        let short =
            run.get_arguments().filter_map(clap::Arg::get_short).chain(['h', 'q']).map(|short| format!("-{short}"));
        long.chain(short).collect()
    });
    FLAGS.iter().map(String::as_str)
}

/// Inserts `oci` if the command was called by the name `wave-oci`. Otherwise `run`, if the first word that is not an option of `wave`
/// itself is no subcommand.
pub fn with_implied_run(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const OWN: [&str; 5] = ["-h", "--help", "-V", "--version", "help"];
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().is_some_and(|name| std::path::Path::new(name).file_name() == Some("wave-oci".as_ref())) {
        args.insert(1, "oci".into());
        return args;
    }
    let mut at = 1;
    while let Some(word) = args.get(at).map(|word| word.to_string_lossy()) {
        if word == "--sandbox" || word == "--color" {
            at += 2;
        } else if ["--sandbox=", "--color="].iter().any(|start| word.starts_with(start))
            || word == "-q"
            || word == "--quiet"
        {
            at += 1;
        } else {
            let known = OWN.contains(&&*word) || Command::has_subcommand(&word);
            if !known {
                args.insert(at, "run".into());
            }
            break;
        }
    }
    args
}

/// The word for which `run` was inserted, if it can be a command.
pub fn implied_module(typed: &[OsString], args: &[OsString]) -> Option<String> {
    let at = typed.iter().zip(args).position(|(typed, arg)| typed != arg).filter(|_| typed.len() < args.len())?;
    args.get(at).filter(|word| *word == "run")?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    typed.get(at)?.to_str().filter(|word| word.chars().all(is_word)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_sandbox::LayerName;

    /// A line that is parsed by a part of the definition means what it means to the whole.
    #[test]
    fn what_is_parsed_quickly_is_the_same() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (line, is_quick) in [
            ("wave run m.wasm", true),
            ("wave --sandbox off -q run --fuel 5 --dir a::b::ro m.wasm run oci --help", true),
            ("wave run -q --color never --sandbox standard m.wasm", true),
            ("wave oci --root r run --bundle b c", true),
            ("wave oci --root state run c", true),
            ("wave oci run c", true),
            ("wave oci run run", true),
            ("wave oci --root  run c", false),
            ("wave oci --root --log run c", false),
            ("wave oci run --bundle  c", false),
            ("wave oci run --bundle -b c", false),
            ("wave oci run --bundle b ", true),
            ("wave oci run -c", false),
            ("wave oci kill --all c TERM -q", true),
            ("wave oci --log l create --pid-file p --bundle b --console-socket s c", true),
            ("wave oci --root state state c", true),
            ("wave oci --root run state c", false),
            ("wave oci state --root r c", true),
            ("wave oci start c", true),
            ("wave oci delete --force c", true),
            ("wave oci pause c", true),
            ("wave oci resume c", true),
            ("wave oci update --memory -1 --cpu-shares 2 c", true),
            ("wave oci ps --format json c -ef", true),
            ("wave oci --systemd-cgroup list --quiet", true),
            ("wave oci exec c sh -c true", true),
            ("wave oci features", true),
            ("wave oci", false),
            ("wave oci nothing", false),
            ("wave oci --help", false),
            ("wave oci start", false),
            ("wave oci start c d", false),
            ("wave oci run start", true),
            ("wave run", false),
            ("wave run --help", false),
            ("wave run --version", false),
            ("wave run --bad m.wasm", false),
            ("wave help run", false),
            ("wave cache run", false),
            ("wave learn -o p.toml run", false),
            ("wave audit m.wasm", false),
            ("wave oci features --help", false),
        ] {
            let line = words(line);
            let (quick, whole) = (Cli::quickly(&line), Cli::try_parse_from(&line));
            assert_eq!(quick.is_some(), is_quick, "{line:?}");
            if let Some(quick) = quick {
                assert_eq!(format!("{quick:?}"), format!("{:?}", whole.expect("it is valid")), "{line:?}");
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_plain_run_of_a_container_needs_no_definition() {
        for (line, is_plain) in [
            ("wave oci run c", true),
            ("wave oci --root r run --bundle b c", true),
            ("wave oci run --detach c", false),
            ("wave oci --log l run c", false),
            ("wave oci --root r state c", false),
            ("wave run oci", false),
        ] {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            assert_eq!(crate::platform::oci::plain_run(&words).is_some(), is_plain, "{line}");
        }
    }

    fn implied(line: &str) -> String {
        let words = line.split(' ').map(OsString::from);
        with_implied_run(words).iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn run_is_implied_for_modules_and_its_options_only() {
        assert_eq!(implied("wave app.wasm run"), "wave run app.wasm run");
        assert_eq!(implied("wave --sandbox off app.wasm"), "wave --sandbox off run app.wasm");
        assert_eq!(implied("wave --sandbox=off --dir . app.wasm"), "wave --sandbox=off run --dir . app.wasm");
        assert_eq!(implied("wave -"), "wave run -");
        assert_eq!(implied("/usr/bin/wave-oci state x"), "/usr/bin/wave-oci oci state x");
        assert_eq!(implied("wave -q --color never a.wasm -q"), "wave -q --color never run a.wasm -q");
        for line in ["wave", "wave run app.wasm", "wave --sandbox strict doctor", "wave --help", "wave -V"] {
            assert_eq!(implied(line), line);
        }
    }

    /// What `--help` says of a level is what the seal does.
    #[test]
    fn each_level_names_the_layers_that_it_requires() {
        use wave_policy::Level;
        for (sandbox, level) in [(Sandbox::Strict, Level::Strict), (Sandbox::Standard, Level::Standard)] {
            let help = sandbox.to_possible_value().and_then(|value| value.get_help().cloned()).unwrap().to_string();
            let (required, others) = help.split_once("; ").unwrap();
            let names = |text: &str| -> Vec<String> {
                let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                words
                    .filter(|word| LayerName::ALL.iter().any(|layer| layer.as_str() == *word))
                    .map(str::to_owned)
                    .collect()
            };
            let by = |demanded: bool| -> Vec<String> {
                let layers = LayerName::ALL.into_iter();
                // Required where the process has the capability that it takes.
                let is_demanded = |layer: LayerName| layer != LayerName::Bounding && layer.demand().at(level);
                layers.filter(|layer| is_demanded(*layer) == demanded).map(|layer| layer.as_str().to_owned()).collect()
            };
            assert_eq!(names(required), by(true), "{help}");
            assert!(names(others).is_empty() || names(others) == by(false), "{help}");
        }
    }

    #[test]
    fn scores_are_read_in_tenths() {
        assert_eq!(["0", "4.5", "10", "10.0"].map(parse_score), [Ok(0), Ok(45), Ok(100), Ok(100)]);
        for wrong in ["", "-1", "+1", "10.1", "11", "4.55", "4.", ".5", "x", "1.+", "4294967296"] {
            assert!(parse_score(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn words_after_the_module_belong_to_the_guest() {
        let cli = Cli::try_parse_from(["wave", "run", "app.wasm", "--timeout", "-x", "--"]).unwrap();
        let Command::Run(run) = cli.command else { panic!("not a run") };
        assert_eq!(run.command, ["app.wasm", "--timeout", "-x", "--"]);
        assert_eq!(run.limits.0.timeout, None);
    }
}
