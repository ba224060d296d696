//! A run, put together like a `std::process::Command`.

use crate::place::Place;
use crate::{Child, Error, Output};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// The most bytes that [`Command::output`] lets a program print, if nothing else is said.
pub const DEFAULT_MAX_OUTPUT: u64 = 16 << 20;

/// What the program may do with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Read, and add to the ends of files.
    Append,
}

/// Which layers of the sandbox must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Every layer that `wave` requires, or no run.
    Strict,
    /// The layers that this host has.
    Standard,
    /// No layer of the kernel.
    Off,
}

/// What the program reads from its standard input: bytes, or a [`Stdio`], which is used for one run.
#[derive(Debug)]
pub struct Input(Source);

#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    Stdio(Option<Stdio>),
}

impl From<Stdio> for Input {
    fn from(stdio: Stdio) -> Self {
        Self(Source::Stdio(Some(stdio)))
    }
}

impl From<Vec<u8>> for Input {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Source::Bytes(bytes))
    }
}

impl From<&[u8]> for Input {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// A run of a program: its grants, limits and streams.
///
/// What is not set has the default of `wave run`, or the value of the policy file. What is set wins over the policy.
#[derive(Debug)]
pub struct Command {
    binary: PathBuf,
    module: PathBuf,
    args: Vec<OsString>,
    /// Flags that can be given once.
    settings: BTreeMap<&'static str, OsString>,
    /// Flags that can be repeated.
    flags: Vec<OsString>,
    /// The first value that no flag can express.
    problem: Option<String>,
    max_output: Option<u64>,
    scratch: Option<PathBuf>,
    current_dir: Option<PathBuf>,
    stdin: Option<Input>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

impl Command {
    /// A run of this module: a `.wasm`, `.wat` or `.wave` file. It has no grants.
    pub fn new(module: impl AsRef<Path>) -> Self {
        Self {
            binary: "wave".into(),
            module: module.as_ref().into(),
            args: Vec::new(),
            settings: BTreeMap::new(),
            flags: Vec::new(),
            problem: None,
            max_output: None,
            scratch: None,
            current_dir: None,
            stdin: None,
            stdout: None,
            stderr: None,
        }
    }

    /// Where `wave` is. By default, it is searched for in `PATH`.
    pub fn binary(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.binary = path.as_ref().into();
        self
    }

    /// Adds an argument of the program.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().into());
        self
    }

    /// Adds arguments of the program.
    pub fn args<A: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Grants a directory of the host under the name that the program sees.
    ///
    /// Neither name may have a colon in it, or be no UTF-8: the run is an [`Error::Argument`]. Such a directory can be granted in a
    /// policy file.
    pub fn dir(&mut self, host: impl AsRef<Path>, guest: impl AsRef<Path>, access: Access) -> &mut Self {
        self.grant("dir", host.as_ref(), guest.as_ref(), access)
    }

    /// Grants a single file of the host under the name that the program sees, as [`dir`](Self::dir) does a directory. In the program,
    /// its directory has granted files and nothing else.
    pub fn file(&mut self, host: impl AsRef<Path>, guest: impl AsRef<Path>, access: Access) -> &mut Self {
        self.grant("file", host.as_ref(), guest.as_ref(), access)
    }

    fn grant(&mut self, flag: &str, host: &Path, guest: &Path, access: Access) -> &mut Self {
        let access = match access {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
            Access::Append => "append",
        };
        let name =
            |path: &Path| path.to_str().filter(|path| !path.is_empty() && !path.contains(':')).map(str::to_owned);
        match (name(host), name(guest)) {
            (Some(host), Some(guest)) => self.flags.push(format!("--{flag}={host}::{guest}::{access}").into()),
            _ => self.refuse(format!(
                "cannot grant `{}` as `{}`: a name is UTF-8 without colons; grant it in a policy file",
                host.display(),
                guest.display()
            )),
        }
        self
    }

    /// Sets a variable of the program's environment, which is empty otherwise.
    pub fn env(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.is_empty() || name.contains('=') {
            self.refuse(format!("`{name}` is no name of an environment variable"));
        } else {
            self.flags.push(format!("--env={name}={value}").into());
        }
        self
    }

    /// Stops the program after this time.
    pub fn timeout(&mut self, time: Duration) -> &mut Self {
        self.set("--timeout", format!("{}us", time.as_micros()))
    }

    /// The most linear memory, in bytes.
    pub fn max_memory(&mut self, bytes: u64) -> &mut Self {
        self.set("--max-memory", bytes.to_string())
    }

    /// The most bytes that the program may print, on both streams together. Beyond it, it gets `ENOSPC`.
    ///
    /// [`Command::output`] without a policy has [`DEFAULT_MAX_OUTPUT`].
    pub fn max_output(&mut self, bytes: u64) -> &mut Self {
        self.max_output = Some(bytes);
        self.set("--max-output", bytes.to_string())
    }

    /// Reads a policy file. What is set here adds to it, and wins where both set a value.
    pub fn policy(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.set("--policy", path.as_ref())
    }

    /// Which layers of the sandbox must hold. The default is `strict`, or what the policy says.
    pub fn sandbox(&mut self, level: Level) -> &mut Self {
        let level = match level {
            Level::Strict => "strict",
            Level::Standard => "standard",
            Level::Off => "off",
        };
        self.set("--sandbox", level)
    }

    /// Any other flag of `wave run`, with its value behind `=`, such as `--max-stack=4M`.
    pub fn flag(&mut self, flag: impl AsRef<OsStr>) -> &mut Self {
        self.flags.push(flag.as_ref().into());
        self
    }

    /// The directory in which `wave` starts: relative paths of modules and grants begin there.
    pub fn current_dir(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.current_dir = Some(path.as_ref().into());
        self
    }

    /// Where a private directory for the outcome is created. By default, that is the directory for temporary files.
    pub fn scratch(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.scratch = Some(path.as_ref().into());
        self
    }

    /// What the program reads: bytes, or a [`Stdio`], which is used for the next run alone.
    ///
    /// The default is nothing for [`Command::output`], and what this process reads for [`Command::spawn`].
    pub fn stdin(&mut self, input: impl Into<Input>) -> &mut Self {
        self.stdin = Some(input.into());
        self
    }

    /// Where the program prints to, in the next run. [`Command::output`] collects it by default, [`Command::spawn`] lets it through.
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stdout = Some(stdio.into());
        self
    }

    /// Where program and `wave` print errors to, in the next run, with the defaults of [`Command::stdout`].
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stderr = Some(stdio.into());
        self
    }

    /// Runs the program to its end, and collects what it prints.
    ///
    /// # Errors
    /// If there is no outcome; see [`Error`]. A program that fails is no error.
    pub fn output(&mut self) -> Result<Output, Error> {
        let limit = self.max_output.is_none() && !self.settings.contains_key("--policy");
        let limit = limit.then(|| format!("--max-output={DEFAULT_MAX_OUTPUT}").into());
        self.start(limit, Stdio::null, Stdio::piped)?.wait_with_output()
    }

    /// Starts the program. The standard streams are those of this process unless they were set.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&mut self) -> Result<Child, Error> {
        self.start(None, Stdio::inherit, Stdio::inherit)
    }

    fn start(&mut self, limit: Option<OsString>, input: fn() -> Stdio, output: fn() -> Stdio) -> Result<Child, Error> {
        if let Some(problem) = &self.problem {
            return Err(Error::Argument(problem.clone()));
        }
        let parent = self.scratch.clone().unwrap_or_else(std::env::temp_dir);
        // `wave` may start in another directory than this process.
        let parent =
            std::path::absolute(&parent).map_err(|source| Error::Scratch { parent: parent.clone(), source })?;
        let place = Place::new(&parent).map_err(|source| Error::Scratch { parent, source })?;
        let mut command = std::process::Command::new(&self.binary);
        command.arg("run").arg(joined("--outcome", place.file().as_os_str()));
        command.args(self.settings.iter().map(|(name, value)| joined(name, value))).args(limit).args(&self.flags);
        // A module whose name begins with a hyphen is no flag.
        command.arg("--").arg(&self.module).args(&self.args);
        if let Some(dir) = &self.current_dir {
            command.current_dir(dir);
        }
        let (stdin, bytes) = match self.stdin.as_mut().map(|Input(source)| source) {
            Some(Source::Bytes(bytes)) => (Stdio::piped(), Some(bytes.clone())),
            Some(Source::Stdio(stdio)) => (stdio.take().unwrap_or_else(input), None),
            None => (input(), None),
        };
        command.stdin(stdin);
        command.stdout(self.stdout.take().unwrap_or_else(output)).stderr(self.stderr.take().unwrap_or_else(output));
        let child = command.spawn().map_err(|source| Error::Start { binary: self.binary.clone(), source })?;
        Ok(Child::new(child, place, bytes, self.max_output.unwrap_or(DEFAULT_MAX_OUTPUT)))
    }

    fn set(&mut self, name: &'static str, value: impl AsRef<OsStr>) -> &mut Self {
        self.settings.insert(name, value.as_ref().into());
        self
    }

    fn refuse(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }
}

/// A flag with its value.
fn joined(name: &str, value: &OsStr) -> OsString {
    let mut flag = OsString::from(name);
    flag.push("=");
    flag.push(value);
    flag
}
