//! The outcome of a run, as programs read it. `docs/outcome.md` explains each field; `docs/outcome.schema.json` is its schema.

use super::area::{self, OfCall, REASONS, Stage, Text, Total};
use crate::platform::bound;
use crate::words::word;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use wave_engine::{Failure, Outcome, demangled};
use wave_policy::all_functions;
use wave_runtime::{Deadline, Stop, Stopped, passed_deadline};
use wave_sandbox::{DENIED, Ended, OUT_OF_MEMORY, Supervised, Usage};

/// The names of signals on Linux, from 1 on. Source: signal(7).
const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ending {
    /// The program returned, which is code 0, or asked to exit with this code.
    Exited { code: u32 },
    /// It trapped.
    Trapped {
        trap: String,
        /// Name of the tag of an uncaught exception.
        tag: Option<String>,
        frames: Vec<Frame>,
    },
    /// The time limit was reached.
    TimeLimit { frames: Vec<Frame> },
    /// The limit on processor time was reached.
    CpuLimit { frames: Vec<Frame> },
    /// The fuel was used up.
    OutOfFuel { frames: Vec<Frame> },
    /// It raised this signal on itself.
    Raised { signal: u8, name: String },
    /// `wave` did not enter the program.
    Refused { what: String, place: Option<String>, fix: Option<String>, limit: Option<String> },
    /// The process of the run made a system call that its filter denies: something broke out.
    DeniedSystemCall { number: Option<i32>, name: Option<String> },
    /// The process of the run needed more memory than there is.
    OutOfMemory,
    /// The kernel ended a process of the run because all of them together needed more than `--max-rss`.
    MemoryLimit { limit_bytes: u64 },
    /// A signal from outside killed the process of the run.
    Killed { signal: i32, name: String, program_was_running: bool },
    /// The process of the run ended in a way that no program can bring about without breaking something.
    Broken { what: String },
}

/// A frame of a backtrace, the innermost first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Function index in the module.
    function: Option<u32>,
    /// Its name in the name section.
    name: Option<String>,
    /// The name as its source has it, if it is mangled in a known way.
    demangled: Option<String>,
    /// Offset in the module's bytes.
    position: Option<u32>,
    /// Its source line, `FILE:LINE`, if the module has debug information.
    line: Option<String>,
}

impl Ending {
    /// What the process of a run says of the program that it ran.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Returned(_) => Self::Exited { code: 0 },
            Outcome::Stopped(Stopped { stop: Stop::Exit(code), .. }) => Self::Exited { code: *code },
            Outcome::Stopped(Stopped { stop: Stop::Signal(number), .. }) => {
                Self::Raised { signal: *number, name: signal_name((*number).into()) }
            }
            Outcome::Stopped(Stopped { stop: Stop::Trap(trap), backtrace, tag }) => {
                Self::Trapped { trap: trap.to_string(), tag: tag.clone(), frames: frames(backtrace) }
            }
            Outcome::Stopped(Stopped { stop: Stop::Deadline, backtrace, .. }) => match passed_deadline() {
                Some(Deadline::Processor) => Self::CpuLimit { frames: frames(backtrace) },
                _ => Self::TimeLimit { frames: frames(backtrace) },
            },
            Outcome::Stopped(Stopped { stop: Stop::OutOfFuel, backtrace, .. }) => {
                Self::OutOfFuel { frames: frames(backtrace) }
            }
        }
    }

    /// Drops the outermost frame. Whether there was one.
    pub fn drop_frame(&mut self) -> bool {
        match self {
            Self::Trapped { frames, .. }
            | Self::TimeLimit { frames }
            | Self::CpuLimit { frames }
            | Self::OutOfFuel { frames } => frames.pop().is_some(),
            _ => false,
        }
    }

    /// The exit code of a process whose program ended so; `None` if no program ends so.
    fn exit_code(&self) -> Option<i32> {
        Some(match self {
            Self::Exited { code } => i32::from(u8::try_from(*code).unwrap_or(125)),
            Self::Trapped { .. } => 134,
            Self::TimeLimit { .. } | Self::CpuLimit { .. } | Self::OutOfFuel { .. } => 124,
            Self::Raised { signal, .. } => 128 | i32::from(*signal & 0x7f),
            _ => return None,
        })
    }

    /// How a run ended: what the kernel says, and within that what its process has left.
    fn find(supervised: &Supervised, stage: Option<Stage>, texts: &[u8]) -> Self {
        let broken = |what: &str| Self::Broken { what: format!("the process of the run broke down: {what}") };
        match (supervised.ended, stage) {
            (_, None) => broken("what it left says so"),
            (Ended::Signal(signal), Some(stage)) => {
                Self::Killed { signal, name: signal_name(signal), program_was_running: stage == Stage::Running }
            }
            (Ended::Status(_), Some(Stage::Before)) => area::text(texts, Text::Failure)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_else(|| broken("it did not say why it did not run")),
            (Ended::Status(DENIED), Some(Stage::Running)) => {
                let call = supervised.denied_call;
                Self::DeniedSystemCall {
                    number: call.map(|call| call.number),
                    name: call.and_then(|call| call.name).map(str::to_owned),
                }
            }
            (Ended::Status(OUT_OF_MEMORY), Some(Stage::Running)) => Self::OutOfMemory,
            (Ended::Status(code), Some(Stage::Over)) => area::text(texts, Text::Ending)
                .and_then(|text| serde_json::from_str::<Self>(text).ok())
                .filter(|ending| ending.exit_code() == Some(code))
                .unwrap_or_else(|| broken(&format!("it did not end as it says, but with exit code {code}"))),
            (ended, _) => broken(&ended.to_string()),
        }
    }
}

impl From<&Failure> for Ending {
    fn from(failure: &Failure) -> Self {
        Self::Refused {
            what: failure.what().to_owned(),
            place: failure.place().map(str::to_owned),
            fix: failure.advice().map(str::to_owned),
            limit: failure.limit().map(str::to_owned),
        }
    }
}

/// Names that the waiting process knows itself.
pub struct Names {
    /// The module, as it was typed.
    pub module: PathBuf,
    /// The policy, as it was typed.
    pub policy: Option<PathBuf>,
    /// The version of `wave`.
    pub version: &'static str,
}

/// The object.
#[derive(Debug, Serialize)]
pub struct Document {
    version: &'static str,
    exit_code: u8,
    ending: Ending,
    module: File,
    policy: Option<File>,
    time: Time,
    memory: Memory,
    /// Units of fuel that were used. `null` if there was no limit on them.
    fuel_used: Option<u64>,
    files: Files,
    streams: Streams,
    hostcalls: Vec<Hostcall>,
    denials: Vec<Denial>,
    /// As `--report=json` has it. `null` if the process was not sealed.
    sandbox: Option<Value>,
}

#[derive(Debug, Serialize)]
struct File {
    name: String,
    /// `null` if it was not read.
    blake3: Option<String>,
}

#[derive(Debug, Serialize)]
struct Time {
    wall_us: u64,
    user_us: u64,
    system_us: u64,
}

#[derive(Debug, Serialize)]
struct Memory {
    /// Linear memory of the program.
    linear_bytes: u64,
    /// The largest of the processes of the run: that of the program, or that of the compiler.
    process_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Files {
    opened: u64,
    opened_to_write: u64,
    read_bytes: u64,
    written_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Streams {
    read_bytes: u64,
    written_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Hostcall {
    function: &'static str,
    calls: u64,
    failed: u64,
    denied: u64,
}

#[derive(Debug, Serialize)]
struct Denial {
    reason: String,
    calls: u64,
}

impl Document {
    /// The outcome of a run that was waited for. `exceeded` is the limit on the memory of the process, if that ended it.
    pub fn new(supervised: &Supervised, wall: Duration, names: &Names, exceeded: Option<u64>) -> Self {
        let (counts, texts) = area::split_left(supervised.left);
        let total = |total| word(counts, area::total(total));
        let ending = match exceeded {
            Some(limit_bytes) => Ending::MemoryLimit { limit_bytes },
            None => Ending::find(supervised, Stage::of(total(Total::Stage)), texts),
        };
        let file = |path: &PathBuf, hash| File {
            name: path.display().to_string(),
            blake3: area::text(texts, hash).filter(|hash| is_hash(hash)).map(str::to_owned),
        };
        let Usage { user, system, peak_bytes } = supervised.usage;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            version: names.version,
            exit_code: bound::exit_code(supervised.ended, exceeded),
            ending,
            module: file(&names.module, Text::Module),
            policy: names.policy.as_ref().map(|path| file(path, Text::Policy)),
            time: Time { wall_us: micros(wall), user_us: micros(user), system_us: micros(system) },
            memory: Memory { linear_bytes: total(Total::Memory), process_bytes: peak_bytes },
            fuel_used: total(Total::Fuel).checked_sub(1),
            files: Files {
                opened: total(Total::Opened),
                opened_to_write: total(Total::OpenedToWrite),
                read_bytes: total(Total::Read),
                written_bytes: total(Total::Written),
            },
            streams: Streams { read_bytes: total(Total::StreamsRead), written_bytes: total(Total::StreamsWritten) },
            hostcalls: hostcalls(counts),
            denials: denials(counts),
            sandbox: area::text(texts, Text::Sandbox).and_then(|text| serde_json::from_str(text).ok()),
        }
    }
}

/// The functions that were called, in the order of their names.
fn hostcalls(counts: &[u8]) -> Vec<Hostcall> {
    let count = |function, what| word(counts, area::call(function, what));
    let all = all_functions().iter().enumerate().map(|(index, function)| Hostcall {
        function: function.name,
        calls: count(index, OfCall::Calls),
        failed: count(index, OfCall::Failed),
        denied: count(index, OfCall::Denied),
    });
    all.filter(|hostcall| hostcall.calls > 0).collect()
}

/// The reasons of denials, in the order in which they came up.
fn denials(counts: &[u8]) -> Vec<Denial> {
    let told_apart = (0..REASONS).map(|index| {
        let text = counts.get(area::reason_text(index)).and_then(area::text_at);
        Denial { reason: text.unwrap_or_default().to_owned(), calls: word(counts, area::reason(index)) }
    });
    let others = Denial { reason: "others".to_owned(), calls: word(counts, area::total(Total::OtherDenials)) };
    told_apart.chain([others]).filter(|denial| denial.calls > 0).collect()
}

fn frames(backtrace: &[wave_runtime::Frame]) -> Vec<Frame> {
    let frame = |frame: &wave_runtime::Frame| Frame {
        function: frame.function,
        name: frame.name.clone(),
        demangled: frame.name.as_deref().and_then(demangled),
        position: frame.position,
        line: frame.line.clone(),
    };
    backtrace.iter().map(frame).collect()
}

fn signal_name(number: i32) -> String {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| SIGNALS.get(index)).map_or_else(|| format!("signal {number}"), |name| (*name).to_owned())
}

/// Whether a text is a BLAKE3 hash.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
