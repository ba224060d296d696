//! How a run ended, as `docs/outcome.schema.json` of `wave` defines it.

use crate::Error;
use serde::Deserialize;
use std::str::FromStr;

/// The version of the schema that this crate reads. Fields that are added do not change it.
const SCHEMA_VERSION: u64 = 1;

/// How a run ended, and what it used.
///
/// ```
/// use wave_client::{Ending, Outcome};
///
/// let outcome: Outcome = r#"{"schema_version": 1, "version": "0.1.0", "exit_code": 42,
///     "ending": {"kind": "exited", "code": 42}, "module": {"name": "app.wasm", "blake3": null}, "policy": null,
///     "time": {"wall_us": 3100, "user_us": 900, "system_us": 1400},
///     "memory": {"linear_bytes": 65536, "process_bytes": 9000000},
///     "files": {"opened": 0, "opened_to_write": 0, "read_bytes": 0, "written_bytes": 0},
///     "streams": {"read_bytes": 0, "written_bytes": 31},
///     "hostcalls": [], "denials": [], "sandbox": null}"#.parse()?;
/// assert_eq!(outcome.ending, Ending::Exited { code: 42 });
/// assert!(!outcome.success());
/// # Ok::<(), wave_client::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The version of `wave`.
    pub version: String,
    /// The exit status of `wave`. It alone does not say who chose it.
    pub exit_code: i32,
    /// How the run ended.
    pub ending: Ending,
    /// The module, as it was named.
    pub module: FileId,
    /// The policy file, if there was one.
    pub policy: Option<FileId>,
    /// How long it took.
    pub time: Time,
    /// The most memory at a time.
    pub memory: Memory,
    /// Files and connections.
    pub files: Files,
    /// Standard streams.
    pub streams: Streams,
    /// The functions that were called, in the order of their names.
    pub hostcalls: Vec<Hostcall>,
    /// Why calls were denied.
    pub denials: Vec<Denial>,
    /// The layers that were applied; `None` if the process was not sealed.
    pub sandbox: Option<Sandbox>,
}

impl Outcome {
    /// Whether the program exited with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.ending == Ending::Exited { code: 0 }
    }
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u64,
        }
        let wrong = |error: serde_json::Error| Error::Outcome(error.to_string());
        let Version { schema_version } = serde_json::from_str(text).map_err(wrong)?;
        if schema_version != SCHEMA_VERSION {
            return Err(Error::Outcome(format!("it has schema version {schema_version}, not {SCHEMA_VERSION}")));
        }
        serde_json::from_str(text).map_err(wrong)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// The program returned, which is code 0, or exited with this code.
    Exited {
        /// The code, which may be above 255.
        code: u32,
    },
    /// The program trapped.
    Trapped {
        /// What happened, such as `unreachable`.
        trap: String,
        /// Name of the tag of an uncaught exception.
        #[serde(default)]
        tag: Option<String>,
        /// The backtrace, the innermost frame first.
        frames: Vec<Frame>,
    },
    /// The time limit was reached.
    TimeLimit {
        /// Where the program was, the innermost frame first.
        frames: Vec<Frame>,
    },
    /// The limit on processor time was reached.
    CpuLimit {
        /// Where the program was, the innermost frame first.
        frames: Vec<Frame>,
    },
    /// The fuel was used up.
    OutOfFuel {
        /// Where the program was, the innermost frame first.
        frames: Vec<Frame>,
    },
    /// The program raised a signal on itself.
    Raised {
        /// The signal.
        signal: i32,
        /// Its name, such as `SIGTERM`.
        name: String,
    },
    /// The program was not entered.
    Refused {
        /// Why.
        what: String,
        /// The flag, file or value that is wrong.
        place: Option<String>,
        /// What helps.
        fix: Option<String>,
        /// The limit that was too low.
        limit: Option<String>,
    },
    /// The filter ended the process: something broke out.
    DeniedSystemCall {
        /// The number of the call.
        number: Option<i32>,
        /// Its name.
        name: Option<String>,
    },
    /// The process needed more memory than the host gives it.
    OutOfMemory,
    /// The memory of the whole process reached its limit.
    MemoryLimit {
        /// That limit.
        limit_bytes: u64,
    },
    /// A signal from outside ended the process.
    Killed {
        /// The signal.
        signal: i32,
        /// Its name, such as `SIGKILL`.
        name: String,
        /// Whether the program had begun.
        program_was_running: bool,
    },
    /// The process ended as no program can bring about without breaking something.
    Broken {
        /// What is wrong.
        what: String,
    },
    /// An ending that a later version of `wave` has added. Treat it as a failure.
    #[serde(other)]
    Other,
}

/// A frame of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Frame {
    /// Function index in the module.
    pub function: Option<u32>,
    /// Its name in the name section.
    pub name: Option<String>,
    /// The name as its source has it, if it is mangled in a known way.
    #[serde(default)]
    pub demangled: Option<String>,
    /// Offset in the module's bytes.
    pub position: Option<u32>,
    /// Its source line, `FILE:LINE`, if the module has debug information.
    #[serde(default)]
    pub line: Option<String>,
}

/// A file by name and content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FileId {
    /// As it was named.
    pub name: String,
    /// The BLAKE3 hash of the file; `None` if it was not read.
    pub blake3: Option<String>,
}

/// How long a run took, in microseconds, with the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Time {
    /// On the clock.
    pub wall_us: u64,
    /// Processor, in user space.
    pub user_us: u64,
    /// Processor, in the kernel.
    pub system_us: u64,
}

/// The most memory at a time, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Memory {
    /// Linear memory of the program.
    pub linear_bytes: u64,
    /// The largest process of the run.
    pub process_bytes: u64,
}

/// Files and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Files {
    /// Files that were opened.
    pub opened: u64,
    /// Those that were opened for writing.
    pub opened_to_write: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
}

/// Standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Streams {
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
}

/// A function that was called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hostcall {
    /// Its name, such as `path_open`.
    pub function: String,
    /// How often it was called.
    pub calls: u64,
    /// How often it failed, denied calls among them.
    pub failed: u64,
    /// How often it was denied.
    pub denied: u64,
}

/// A reason for which calls were denied.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Denial {
    /// The reason.
    pub reason: String,
    /// How many calls were denied for it.
    pub calls: u64,
}

/// The sandbox that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Sandbox {
    /// `strict`, `standard` or `off`.
    pub level: String,
    /// Its layers.
    pub layers: Vec<Layer>,
}

/// A layer of the sandbox, as it was read back from the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Layer {
    /// Its name, such as `landlock`.
    pub name: String,
    /// `applied`, or another word.
    pub state: String,
    /// Whether the level requires it.
    pub required: bool,
    /// What exactly was applied.
    pub detail: Option<String>,
    /// Why it was not.
    pub reason: Option<String>,
}
