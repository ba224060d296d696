//! The file of a learned policy: read before the run, written as a whole after it.

use super::merge::{self, Before, Learned};
use super::narrow::Granted;
use super::notes::{self, Notes};
use crate::plan::refuse_within;
use crate::text::clean;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use wave_engine::DirectoryGrant;
use wave_engine::Failure;
use wave_engine::policy::pin::Mismatch;
use wave_engine::policy::{read_text, refuse};
use wave_policy::file::{Directory, KEYS, PolicyFile, Values, comments, format};

/// Where a policy is to be written.
pub struct Target {
    /// As it was typed.
    typed: PathBuf,
    /// The file, without links.
    path: PathBuf,
    /// Its directory, without links.
    dir: PathBuf,
    /// The file as it was.
    source: Option<String>,
    before: Option<Before>,
}

impl Target {
    /// Reads the file, if it is there.
    ///
    /// # Errors
    /// If it cannot be written later, or has anything that would be lost.
    pub fn open(typed: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure::refused(what).at(format!("-o {}", typed.display()));
        let path = match std::fs::canonicalize(typed) {
            Ok(path) if path.is_file() => path,
            Ok(_) => return Err(fail("the policy must be a file".to_owned()).fix("name a file that is not there yet")),
            Err(_) if std::fs::symlink_metadata(typed).is_ok() => {
                return Err(fail("the policy would be written through a dangling symbolic link".to_owned())
                    .fix("name the file itself"));
            }
            Err(_) => typed.to_owned(),
        };
        let parent = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
        let dir = std::fs::canonicalize(parent)
            .map_err(|error| fail(format!("cannot write the policy: {error}")).fix("create the directory"))?;
        let name = path.file_name().ok_or_else(|| fail("the policy must be a file".to_owned()))?;
        let path = dir.join(name);
        let source = if path.exists() { Some(read_text(&path)?) } else { None };
        let before = source.as_deref().map(|source| read(typed, source)).transpose()?;
        Ok(Self { typed: typed.to_owned(), path, dir, source, before })
    }

    /// The policy there was.
    pub const fn before(&self) -> Option<&Before> {
        self.before.as_ref()
    }

    /// The file, for messages.
    pub fn name(&self) -> String {
        clean(&self.typed.display().to_string()).into_owned()
    }

    /// Refuses a place that the program may write to: it would write its own policy.
    ///
    /// # Errors
    /// 125 for such a place.
    pub fn refuse_within(&self, grants: &[DirectoryGrant]) -> Result<(), Failure> {
        refuse_within(&self.path, grants, "policy", format!("-o {}", self.typed.display()))
    }

    /// The path of a host directory in the policy: relative to the file if it is inside that file's directory.
    ///
    /// # Errors
    /// 125 for a name that no policy can hold.
    pub fn host(&self, host: &Path) -> Result<String, Failure> {
        let absolute = std::path::absolute(host).unwrap_or_else(|_| host.to_owned());
        let path = match absolute.strip_prefix(&self.dir) {
            Ok(beneath) if beneath == Path::new("") => Path::new("."),
            Ok(beneath) => beneath,
            Err(_) => &absolute,
        };
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| {
            Failure::refused(format!("`{}` is not UTF-8, and a policy is", path.display())).fix("rename the directory")
        })
    }

    /// A directory or file of the policy as a grant.
    pub fn grant(&self, directory: &Directory) -> DirectoryGrant {
        DirectoryGrant::new(self.dir.join(&directory.host), &directory.guest, directory.access)
    }

    /// Whether a run can be added to the file without a contradiction.
    ///
    /// # Errors
    /// 125 if it contradicts it.
    pub fn check(&self, granted: &Granted, (path, bytes): (&Path, &[u8]), new_module: bool) -> Result<(), Failure> {
        let Some(Before { file, .. }) = &self.before else { return Ok(()) };
        let problem = |id: &str, what: &str, fix: &str| refuse(&self.typed, file.problem(id, what, fix));
        let values = file.resolved().map_err(|problem| refuse(&self.typed, problem))?;
        if let Some(other) = values.blake3.as_deref().and_then(|pin| Mismatch::find(pin, bytes))
            && !new_module
        {
            let (what, fix) = match other.compiled_file_message(path) {
                Some((what, way)) => {
                    (what, format!("{way}; or --new-module, if the file is to be trusted with the same"))
                }
                None => (
                    format!("the policy is for another module: its BLAKE3 is not {}", other.found),
                    "--new-module, if the new module is to be trusted with the same".to_owned(),
                ),
            };
            return Err(problem("module.blake3", &what, &fix));
        }
        let fix = "give the run what the policy says, or write to another file";
        let settings = values.settings();
        if let Some(key) = KEYS.iter().find(|key| !key.is_same(&settings, &granted.settings)) {
            let what = match key.id().as_str() {
                "deterministic" => "the run is deterministic where the policy is not, or the reverse".to_owned(),
                "clock.resolution" => "the clocks of the run have another resolution".to_owned(),
                "random.seed" => "the random numbers of the run have another seed, or only one has any".to_owned(),
                "unknown_imports" => {
                    "the run has stubs for unknown imports where the policy has none, or others".to_owned()
                }
                id => format!("the run has another {id}"),
            };
            return Err(problem(&key.id(), &what, fix));
        }
        if values.args.unwrap_or_default() != granted.args.clone().unwrap_or_default() {
            return Err(problem(
                "args",
                "the run has other first arguments",
                "--policy with this file, or another file",
            ));
        }
        for (index, known) in file.values.fs.iter().enumerate() {
            let Some((grant, _)) = granted.dirs.iter().find(|(grant, _)| grant.guest == known.guest) else { continue };
            let places = [&self.dir.join(&known.host), &grant.host].map(std::fs::canonicalize);
            if !matches!(&places, [Ok(known), Ok(grant)] if known == grant) {
                let what = format!("`{}` is another directory in this run", known.guest);
                return Err(problem(&format!("fs[{index}]"), &what, "give it another name, or write to another file"));
            }
        }
        Ok(())
    }

    /// Writes the file: all of it, or nothing. Whatever is there by now and was not before the run stays.
    ///
    /// # Errors
    /// 125, and the file is as it was.
    pub fn write(&self, text: &str) -> Result<(), Failure> {
        let fail = |error: io::Error| {
            Failure::refused(format!("cannot write the policy: {error}")).at(format!("-o {}", self.typed.display()))
        };
        let changed = || {
            Failure::refused("the policy was changed during the run, and is not overwritten")
                .at(format!("-o {}", self.typed.display()))
                .fix("run it again")
        };
        // Longer names than this are none.
        let temporary = self.dir.join(format!(".wave-learn-{}.tmp", std::process::id()));
        let written = self.write_to(&temporary, text).map_err(fail).and_then(|()| match &self.source {
            Some(source) if read_text(&self.path).ok().as_ref() != Some(source) => Err(changed()),
            Some(_) => std::fs::rename(&temporary, &self.path).map_err(fail),
            None => std::fs::hard_link(&temporary, &self.path).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => changed(),
                _ => fail(error),
            }),
        });
        // After a rename it is gone; if it could not be created, it may belong to another process.
        if (written.is_err() || self.source.is_none()) && temporary.exists() {
            std::fs::remove_file(&temporary).map_err(fail)?;
        }
        written
    }

    fn write_to(&self, temporary: &Path, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
        if let Ok(old) = std::fs::metadata(&self.path) {
            let new = file.metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        file.write_all(text.as_bytes())?;
        File::sync_all(&file)
    }
}

/// Understands a policy, or refuses to touch it.
fn read(path: &Path, source: &str) -> Result<Before, Failure> {
    let file = PolicyFile::parse(source).map_err(|problem| refuse(path, problem))?;
    let notes = Notes::read(&comments(source)).map_err(|comment| {
        let line = source.lines().position(|line| line.contains(comment)).map_or(0, |index| index + 1);
        Failure::refused(format!("`{comment}` is not a comment of `wave learn`, and would be lost"))
            .at(format!("{}:{line}", path.display()))
            .fix("write to another file and compare the two, or remove the comment")
    })?;
    Ok(Before { file, notes })
}

/// A learned policy as text.
///
/// # Errors
/// Never: strings grow.
pub fn text(learned: &Learned) -> Result<String, Failure> {
    let fail = |error| Failure::refused(format!("cannot write the policy: {error}"));
    let Learned { values, profile, notes, .. } = learned;
    let (limits, os) = (values.limits.clone(), values.os.clone());
    let rules = Values { limits: Default::default(), os: None, ..values.clone() };
    let functions = values.functions.clone().unwrap_or_default();
    let note = |id: &str| {
        let index = id.strip_prefix("wasi.functions[")?.strip_suffix(']')?.parse::<usize>().ok()?;
        notes.row(id, functions.get(index).map(String::as_str))
    };
    let rules = rules.write(*profile, note).map_err(fail)?;
    let mut text = notes.head();
    let mut dirs = values.fs.iter();
    let mut in_env = false;
    // A line break in a text is written as an escape, so these lines are the headings.
    for line in rules.lines() {
        if line == "[[fs]]" {
            text += &dirs.next().map_or_else(String::new, |dir| notes.dir(&dir.guest));
        }
        if line.starts_with("[env") && !in_env {
            in_env = true;
            text += &format!("{}\n", notes::ENV);
        }
        text += &format!("{line}\n");
    }
    let section = |values: &Values, note: &dyn Fn(&str) -> Option<String>| {
        let text = values.write(None, note).map_err(fail)?;
        // The version stands at the top already.
        Ok::<_, Failure>(text.trim_start_matches("version = 1\n").to_owned())
    };
    text += &section(&Values { limits: limits.clone(), ..Values::default() }, &|id| notes.row(id, None))?;
    let suggestions = notes.suggestions(|name, most| merge::suggestion(&limits, name, most));
    if !suggestions.is_empty() && limits == Default::default() {
        text.push('\n');
    }
    text += &suggestions;
    text += &format!("\n{}", notes::OS);
    text += &section(&Values { os, ..Values::default() }, &|_| None)?;
    // As `wave policy fmt` has it, and never anything but a policy.
    format(&text).map_err(|problem| Failure::refused(format!("the learned policy is invalid: {problem}")))
}
