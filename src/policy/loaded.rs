//! A policy file that was read: what it says, and whether a module is the one it is for.

use crate::failure::Failure;
use crate::grants::DirGrant;
use crate::input;
use crate::network::parse_network;
use crate::plan::STACK_RANGE_BYTES;
use crate::program;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use wave_contract::module::ModuleInfo;
use wave_policy::file::{Derived, PolicyFile, Problem, Profile, Values};
use wave_policy::{Resolver, Surface};

/// Larger files are refused: nobody reviews that.
const MAX_POLICY_BYTES: u64 = 64 << 20;

/// Longer lines are not repeated in a message.
const SHOWN_BYTES: usize = 200;

const PAGE_BYTES: u64 = 64 << 10;
const MAX_PAGES: u64 = 65_536;

/// A policy file with what it says.
#[derive(Debug)]
pub struct Loaded {
    path: PathBuf,
    /// The file.
    pub file: PolicyFile,
    /// Its values, and those of the profile it extends.
    pub values: Values,
}

impl Loaded {
    /// Reads a policy file.
    ///
    /// # Errors
    /// 125 if there is none, or something is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        Self::of(path, &read_text(path)?)
    }

    /// Reads the text of a policy file.
    ///
    /// # Errors
    /// 125 if something is wrong with it.
    pub fn of(path: &Path, source: &str) -> Result<Self, Failure> {
        let file = PolicyFile::parse(source).map_err(|problem| refuse(path, problem))?;
        let values = file.resolved().map_err(|problem| refuse(path, problem))?;
        let policy = Self { path: path.to_owned(), file, values };
        policy.check_values()?;
        Ok(policy)
    }

    /// What the schema cannot say.
    fn check_values(&self) -> Result<(), Failure> {
        let values = &self.values;
        if values.deterministic == Some(true) && values.clock_resolution.is_some() {
            let what = "deterministic clocks have no resolution";
            return Err(self.refuse("clock.resolution", what, "leave out one of `deterministic` and `[clock]`"));
        }
        if values.limits.max_stack.is_some_and(|stack| !STACK_RANGE_BYTES.contains(&stack)) {
            return Err(self.refuse("limits.max-stack", "such a stack is not possible", "choose between 512K and 4G"));
        }
        for (index, network) in values.accept_from.iter().flatten().enumerate() {
            parse_network(network).map_err(|what| {
                self.refuse(&format!("net.accept_from[{index}]"), &what, "write ADDRESS or ADDRESS/BITS")
            })?;
        }
        Ok(())
    }

    fn refuse(&self, id: &str, what: &str, fix: &str) -> Failure {
        refuse(&self.path, self.file.problem(id, what, fix))
    }

    /// The line of the file that says a value, as `app.toml:7`.
    pub fn line(&self, id: &str) -> Option<String> {
        self.file.line(id).map(|line| format!("{}:{line}", self.path.display()))
    }

    /// What a value is from: the file, or its profile. `None` for what nobody says.
    pub fn origin(&self, id: &str) -> Option<String> {
        if let Some(place) = super::place(&self.path, id, &self.file) {
            return Some(place);
        }
        let profile = self.file.profile?;
        PolicyFile::parse(profile.source()).ok()?.line(id)?;
        Some(format!("{id} (profile {})", profile.name()))
    }

    /// The file and its profile.
    pub fn name(&self) -> String {
        let path = self.path.display();
        self.file.profile.map_or_else(|| path.to_string(), |profile| format!("{path}, extends {}", profile.name()))
    }

    /// The first arguments of the program.
    pub fn args(&self) -> impl Iterator<Item = Vec<u8>> {
        self.values.args.iter().flatten().map(|arg| arg.clone().into_bytes())
    }

    /// The directories; a relative path starts where the file is, so that it means the same wherever `wave` is started.
    ///
    /// # Errors
    /// 125 for one that is not there.
    pub fn grants(&self) -> Result<Vec<DirGrant>, Failure> {
        self.directories().map(DirGrant::checked).collect()
    }

    /// The directories, whether they are there or not.
    pub fn directories(&self) -> impl Iterator<Item = DirGrant> {
        let base = self.path.parent().unwrap_or(Path::new(""));
        self.values.fs.iter().enumerate().map(move |(index, directory)| {
            let id = format!("fs[{index}]");
            DirGrant {
                host: base.join(&directory.host),
                guest: directory.guest.clone(),
                access: directory.access,
                place: super::place(&self.path, &id, &self.file).unwrap_or(id),
            }
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks the policy, and a module against it.
    pub fn check(&self, module: Option<&Path>) -> Result<(), Failure> {
        let Some(path) = module else { return Ok(()) };
        let bytes = input::read(path)?;
        self.check_pin(path, &bytes)?;
        let binary = input::binary(path, bytes)?;
        let resolver = self.values.os.as_ref().map(|os| os.resolver);
        self.check_module(path, program::parse(path, &binary)?.info(), resolver)
    }

    /// Whether these are the bytes of the module the policy is for. Nothing of them was looked at yet.
    ///
    /// # Errors
    /// 125 if not.
    pub fn check_pin(&self, module: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let Some(pin) = &self.values.blake3 else { return Ok(()) };
        let found = blake3::hash(bytes).to_hex();
        if found.as_str() == pin {
            return Ok(());
        }
        let what = format!("`{}` is not the module of this policy: its BLAKE3 is {found}, not {pin}", module.display());
        let fix = format!("if the new module is to be trusted with the same: blake3 = \"{found}\", and review `[os]`");
        Err(self.refuse("module.blake3", &what, &fix))
    }

    /// Whether the module imports no more than the policy allows, and `[os]` is what follows from it. `resolver`: who resolves
    /// paths in the run; `None` if a flag chose it.
    ///
    /// # Errors
    /// 125 if not.
    pub fn check_module(&self, path: &Path, info: &ModuleInfo, resolver: Option<Resolver>) -> Result<(), Failure> {
        let surface = Surface::from_imports(info.imports.iter().map(|import| (&import.module, &import.name)));
        let generate = format!("wave policy gen {}", path.display());
        if let Some(allowed) = &self.values.functions {
            let imported = surface.functions().map(|function| function.name);
            let missing: Vec<_> = imported.filter(|name| !allowed.iter().any(|a| a == name)).collect();
            let more: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
            if !more.is_empty() {
                let what = format!("the module imports {}, which the policy does not allow", more.join(", "));
                let way = self.way_to_import(&missing);
                let fix = format!("if it may, {way}; `{generate}` lists all imports");
                return Err(self.refuse("wasi.functions", &what, &fix));
            }
        }
        let Some(os) = &self.values.os else { return Ok(()) };
        let growable = can_grow(info, self.values.limits.max_memory);
        let derived = Derived::of(&surface, growable, resolver.unwrap_or(os.resolver));
        match os.difference(&derived) {
            None => Ok(()),
            Some((id, what)) => {
                let manual = if derived.resolver == Resolver::Manual { " --resolver manual" } else { "" };
                let generate = format!("wave policy gen{manual} {}", path.display());
                let fix = format!("take `[os]` from `{generate}`, and review the difference");
                Err(self.refuse(&id, &format!("`[os]` is out of date: {what}"), &fix))
            }
        }
    }
}

impl Loaded {
    /// What to write so that these functions may be imported as well.
    fn way_to_import(&self, missing: &[&str]) -> String {
        let path = self.path.display();
        if self.file.line("wasi.functions").is_none() {
            let wider = Profile::ALL.into_iter().find(|profile| {
                let functions = PolicyFile::parse(profile.source()).ok().and_then(|file| file.values.functions);
                let has = |name: &str| functions.iter().flatten().any(|other| other == name);
                missing.iter().all(|name| has(name)) && self.values.functions.iter().flatten().all(|name| has(name))
            });
            if let Some((profile, line)) = wider.zip(self.line("extends")) {
                return format!("write extends = \"{}\" in {line}", profile.name());
            }
        }
        match self.file.add_items("wasi", "functions", missing) {
            // A short list is shown as it then is.
            Some(edit) if edit.replaces == 1 && edit.lines.iter().all(|line| line.len() <= SHOWN_BYTES) => {
                format!("write {} in {path}:{}", edit.lines.join(" "), edit.line)
            }
            Some(edit) if edit.replaces == 0 && self.file.line("wasi.functions").is_some() => {
                let lines: Vec<_> = edit.lines.iter().map(|line| line.trim()).collect();
                format!("add {} after {path}:{}", lines.join(" "), edit.line - 1)
            }
            _ => "add it to `wasi.functions`".to_owned(),
        }
    }
}

/// Whether some linear memory of a module can grow within a limit.
pub fn can_grow(info: &ModuleInfo, limit_bytes: Option<u64>) -> bool {
    let limit = limit_bytes.map_or(MAX_PAGES, |bytes| bytes / PAGE_BYTES);
    info.memories.iter().any(|memory| {
        let most = memory.max_pages.map_or(MAX_PAGES, u64::from).min(limit);
        most > u64::from(memory.min_pages)
    })
}

pub fn refuse(path: &Path, problem: Problem) -> Failure {
    let rule = if problem.id.is_empty() { String::new() } else { format!(" ({})", problem.id) };
    Failure::refused(problem.what)
        .at(format!("{}:{}:{}{rule}", path.display(), problem.line, problem.column))
        .showing(problem.excerpt)
        .fix(problem.fix)
}

pub fn read_text(path: &Path) -> Result<String, Failure> {
    let fail =
        |what: String| Failure::refused(format!("cannot read the policy: {what}")).at(path.display().to_string());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| fail(error.to_string()).fix("check the path"))?;
    let mut file = file.take(MAX_POLICY_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > MAX_POLICY_BYTES {
        return Err(fail("it is larger than 64 MiB".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        fail(format!("byte {} is no UTF-8", error.utf8_error().valid_up_to())).fix("a policy is text in UTF-8")
    })
}
