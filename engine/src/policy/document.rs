//! A policy file: its values, and whether a module matches it.

use super::pin::Mismatch;
use crate::convert::surface_of;
use crate::failure::Failure;
use crate::grants::{DirectoryGrant, GrantKind, OTHER_NAME, overlaps_as_written, taken_names};
use crate::input::{self, Bounds};
use crate::peers::parse_network;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use wave_contract::module::ModuleInfo;
use wave_policy::Resolver;
use wave_policy::file::{Derived, PolicyFile, Problem, Problems, Profile, Values};
use wave_policy::limits::COMPILE_TIMEOUT;

/// Larger files are refused, because no one could review them.
const MAX_POLICY_BYTES: u64 = 16 << 20;

/// Maximum number of findings that are listed.
const MAX_FINDINGS: usize = 100;

/// Longer lines are not quoted in a message.
const SHOWN_BYTES: usize = 200;

/// Linear memory that a run may have if there is no lower limit.
const MAX_MEMORY_BYTES: u64 = 4 << 30;

/// A difference between a module and a policy: the rule, what differs, and the fix.
type Difference = (String, String, Rc<str>);

/// Problems of a policy that could be read, up to a maximum.
#[derive(Debug, Default)]
pub struct Findings {
    /// Problems for which a run is refused.
    pub wrong: Vec<Failure>,
    /// Notes, and their places.
    pub notes: Vec<(String, String)>,
    /// The number of findings that are not listed.
    pub more: usize,
}

impl Findings {
    fn add(&mut self, failure: impl FnOnce() -> Option<Failure>) {
        match self.wrong.len() < MAX_FINDINGS {
            true => self.wrong.extend(failure()),
            false => self.more += 1,
        }
    }

    fn note(&mut self, note: impl FnOnce() -> Option<(String, String)>) {
        if let Some(note) = note() {
            match self.notes.len() < MAX_FINDINGS {
                true => self.notes.push(note),
                false => self.more += 1,
            }
        }
    }
}

/// A policy file and its values.
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    path: PathBuf,
    /// The file.
    pub file: PolicyFile,
    /// Its values, with those of the profile that it extends.
    pub values: Values,
    /// The file of that profile.
    profile: Option<PolicyFile>,
}

impl PolicyDocument {
    /// Reads a policy file.
    ///
    /// # Errors
    /// 125 if it cannot be read or is invalid.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(path, &read_text(path)?)
    }

    /// Parses the text of a policy file.
    ///
    /// # Errors
    /// 125 if it is invalid.
    pub fn parse(path: &Path, source: &str) -> Result<Self, Failure> {
        let file = PolicyFile::parse(source).map_err(|problem| refuse(path, problem))?;
        let values = file.resolved().map_err(|problem| refuse(path, problem))?;
        let profile = file.profile.and_then(|profile| PolicyFile::parse(profile.source()).ok());
        let policy = Self { path: path.to_owned(), file, values, profile };
        match policy.wrong_values().into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(policy),
        }
    }

    /// Parses the text of a policy file, and reports all problems of an invalid one.
    ///
    /// # Errors
    /// The first problems, and the number of further ones.
    pub fn parse_all(path: &Path, source: &str) -> Result<Self, (Vec<Failure>, usize)> {
        let file = PolicyFile::parse_all(source).map_err(|Problems { first, more }| {
            (first.into_iter().map(|problem| refuse(path, problem)).collect(), more)
        })?;
        let values = file.resolved().map_err(|problem| (vec![refuse(path, problem)], 0))?;
        let profile = file.profile.and_then(|profile| PolicyFile::parse(profile.source()).ok());
        let policy = Self { path: path.to_owned(), file, values, profile };
        let wrong = policy.wrong_values();
        if wrong.is_empty() { Ok(policy) } else { Err((wrong, 0)) }
    }

    /// Checks values beyond the schema.
    fn wrong_values(&self) -> Vec<Failure> {
        let mut wrong = Vec::new();
        let values = &self.values;
        if values.deterministic == Some(true) && values.clock_resolution.is_some() {
            let what = "deterministic clocks have no resolution";
            wrong.push(self.refuse("clock.resolution", what, "leave out one of `deterministic` and `[clock]`"));
        }
        if let Some(impossible) = values.limits.impossible() {
            let id = format!("limits.{}", impossible.limit.name);
            wrong.push(self.refuse(&id, &impossible.to_string(), &impossible.fix()));
        }
        let networks = values.accept_from.iter().flatten().enumerate();
        let unclear = networks.filter_map(|(index, network)| Some((index, parse_network(network).err()?)));
        wrong.extend(unclear.take(MAX_FINDINGS).map(|(index, what)| {
            self.refuse(&format!("net.accept_from[{index}]"), &what, "write ADDRESS or ADDRESS/BITS")
        }));
        wrong
    }

    /// Checks the directories and files on this host. One inside another one with more access is a problem, and so is a file
    /// whose name another one has. A missing one is a note, because it may exist on another host.
    pub fn check_directories(&self, findings: &mut Findings) {
        let grants: Vec<_> = self.directories().collect();
        for overlap in overlaps_as_written(&grants) {
            let refuse = || {
                let (what, fix) = overlap.explain(&grants)?;
                Some(self.refuse(&format!("fs[{}]", overlap.inner), &what, fix))
            };
            findings.add(refuse);
        }
        for taken in taken_names(&grants) {
            findings.add(|| Some(self.refuse(&format!("fs[{}]", taken.file), &taken.what, OTHER_NAME)));
        }
        for grant in &grants {
            findings.note(|| {
                let reason = grant.problem_here()?;
                Some((
                    format!("`{}` cannot be granted on this host: {reason}", grant.host.display()),
                    grant.place.clone(),
                ))
            });
        }
    }

    fn refuse(&self, id: &str, what: &str, fix: &str) -> Failure {
        refuse(&self.path, self.file.problem(id, what, fix))
    }

    /// The line of the file that sets a value, as `app.toml:7`.
    pub fn line(&self, id: &str) -> Option<String> {
        self.file.line(id).map(|line| format!("{}:{line}", self.path.display()))
    }

    /// The source of a value: a line of the file, or the profile. `None` if neither sets it.
    pub fn origin(&self, id: &str) -> Option<String> {
        if let Some(place) = place(&self.path, id, &self.file) {
            return Some(place);
        }
        self.profile.as_ref()?.line(id)?;
        Some(format!("{id} (profile {})", self.file.profile?.name()))
    }

    /// The path of the file, and its profile.
    pub fn name(&self) -> String {
        let path = self.path.display();
        self.file.profile.map_or_else(|| path.to_string(), |profile| format!("{path}, extends {}", profile.name()))
    }

    /// The first arguments of the program.
    pub fn args(&self) -> impl Iterator<Item = Vec<u8>> {
        self.values.args.iter().flatten().map(|arg| arg.clone().into_bytes())
    }

    /// The granted directories and files. A relative path is relative to the policy file, so that it does not depend on the
    /// working directory.
    ///
    /// # Errors
    /// 125 if one does not exist.
    pub fn grants(&self) -> Result<Vec<DirectoryGrant>, Failure> {
        self.directories().map(DirectoryGrant::checked).collect()
    }

    /// The granted directories and files, whether they exist or not.
    pub fn directories(&self) -> impl Iterator<Item = DirectoryGrant> {
        let base = self.path.parent().unwrap_or(Path::new(""));
        self.values.fs.iter().enumerate().map(move |(index, directory)| {
            let id = format!("fs[{index}]");
            DirectoryGrant {
                host: base.join(&directory.host),
                guest: directory.guest.clone(),
                access: directory.access,
                kind: GrantKind::Any,
                place: place(&self.path, &id, &self.file).unwrap_or(id),
            }
        })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds all differences between a module and this policy. `pin` is the result of [`check_pin`](Self::check_pin),
    /// `declared` the module's declarations.
    ///
    /// # Errors
    /// The error in `declared`, if the file matches the pin.
    pub fn check(
        &self,
        path: &Path,
        pin: Result<(), Failure>,
        declared: Result<ModuleInfo, Failure>,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        let pin = pin.err();
        let is_mismatch = pin.is_some();
        findings.add(|| pin);
        let info = &match declared {
            Err(failure) if is_mismatch => {
                findings.add(|| Some(failure));
                return Ok(());
            }
            declared => declared?,
        };
        let resolver = self.values.os.as_ref().map(|os| os.resolver);
        for difference in self.differences(path, info, resolver) {
            findings.add(|| Some(self.difference_failure(&difference)));
        }
        let surface = surface_of(info);
        // A list can contain duplicates.
        let allowed: BTreeSet<_> = self.values.functions.iter().flatten().collect();
        let unused = allowed.into_iter().filter(|name| !surface.contains(name));
        let unused: Vec<_> = unused.map(|name| format!("`{name}`")).collect();
        // Unused names are only noted if the file itself lists them. A profile is for many modules.
        let line = self.line("wasi.functions").filter(|_| !unused.is_empty());
        let what = format!("`wasi.functions` allows {}, which the module does not import", unused.join(", "));
        findings.note(|| Some((what, line?)));
        Ok(())
    }

    /// Checks that the bytes of a file match the pin of the policy. Call this before parsing them.
    ///
    /// # Errors
    /// 125 if they do not match.
    pub fn check_pin(&self, path: &Path, file: &[u8]) -> Result<(), Failure> {
        let Some(pin) = &self.values.blake3 else { return Ok(()) };
        let Some(mismatch) = Mismatch::find(pin, file) else { return Ok(()) };
        let (what, fix) = mismatch.compiled_file_message(path).unwrap_or_else(|| {
            let found = &mismatch.found;
            (
                format!("`{}` is not the module of this policy: its BLAKE3 is {found}, not {pin}", path.display()),
                format!("to trust the new module with the same grants, write blake3 = \"{found}\", and review `[os]`"),
            )
        });
        Err(self.refuse("module.blake3", &what, &fix))
    }

    /// Checks that the module imports no more than the policy allows, and that `[os]` matches its imports. `resolver`
    /// is the resolver of the run, or `None` if a flag chose it.
    ///
    /// # Errors
    /// 125 for the first difference.
    pub fn check_module(&self, path: &Path, info: &ModuleInfo, resolver: Option<Resolver>) -> Result<(), Failure> {
        match self.differences(path, info, resolver).first() {
            Some(difference) => Err(self.difference_failure(difference)),
            None => Ok(()),
        }
    }

    fn difference_failure(&self, (id, what, fix): &Difference) -> Failure {
        self.refuse(id, what, fix)
    }

    /// All differences between a module and this policy.
    fn differences(&self, path: &Path, info: &ModuleInfo, resolver: Option<Resolver>) -> Vec<Difference> {
        let mut wrong = Vec::new();
        let surface = surface_of(info);
        let generate = format!("wave policy gen {}", path.display());
        if let Some(allowed) = &self.values.functions {
            let imported = surface.functions().map(|function| function.name);
            let missing: Vec<_> = imported.filter(|name| !allowed.iter().any(|a| a == name)).collect();
            let more: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
            if !more.is_empty() {
                let what = format!("the module imports {}, which the policy does not allow", more.join(", "));
                let way = self.import_fix(&missing);
                let fix = format!("to allow this, {way}; `{generate}` lists all imports");
                wrong.push(("wasi.functions".to_owned(), what, fix.into()));
            }
        }
        let Some(os) = &self.values.os else { return wrong };
        let growable = can_grow(info, self.values.limits.max_memory);
        let derived = Derived::of(&surface, growable, resolver.unwrap_or(os.resolver));
        let manual = if derived.resolver == Resolver::Manual { " --resolver manual" } else { "" };
        let fix = format!("take `[os]` from `wave policy gen{manual} {}`, and review the difference", path.display());
        let fix: Rc<str> = fix.into();
        let differences = os.differences(&derived).into_iter();
        wrong.extend(differences.map(|(id, what)| (id, format!("`[os]` is out of date: {what}"), Rc::clone(&fix))));
        wrong
    }
}

impl PolicyDocument {
    /// The fix that allows these imports.
    fn import_fix(&self, missing: &[&str]) -> String {
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
            // A short list is shown as it is after the change.
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

/// Whether any linear memory of a module can grow within a limit.
pub fn can_grow(info: &ModuleInfo, limit_bytes: Option<u64>) -> bool {
    let initial = info.memories.iter().fold(0_u64, |sum, memory| sum.saturating_add(memory.min_bytes()));
    let room = limit_bytes.unwrap_or(MAX_MEMORY_BYTES).saturating_sub(initial);
    info.memories.iter().any(|memory| memory.can_grow(room))
}

/// The failure for a problem in a policy file.
pub fn refuse(path: &Path, problem: Problem) -> Failure {
    let rule = if problem.id.is_empty() { String::new() } else { format!(" ({})", problem.id) };
    Failure::refused(problem.what)
        .at(format!("{}:{}:{}{rule}", path.display(), problem.line, problem.column))
        .showing(problem.excerpt)
        .fix(problem.fix)
}

/// Reads the text of a policy file.
///
/// # Errors
/// 125 if it cannot be read, is too large, or is not valid UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let place = path.display().to_string();
    let bounds = Bounds { bytes: MAX_POLICY_BYTES, size: "16 MiB", time: COMPILE_TIMEOUT };
    let bytes =
        input::read_bounded(path, &bounds).map_err(|unread| unread.failure(Failure::refused, "policy", &place))?;
    String::from_utf8(bytes).map_err(|error| {
        Failure::refused(format!(
            "cannot read the policy: byte {} is not valid UTF-8",
            error.utf8_error().valid_up_to()
        ))
        .at(place)
        .fix("a policy is text in UTF-8")
    })
}

/// The place of a rule for messages: `fs[0] (app.toml:7)`.
fn place(path: &Path, id: &str, file: &PolicyFile) -> Option<String> {
    let line = file.line(id)?;
    Some(format!("{id} ({}:{line})", path.display()))
}
