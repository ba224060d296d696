//! Modules that are named `oci:DIR[:TAG]`: a module of an OCI image layout. [`wave_image`] knows the format.
//!
//! Documents and blobs are read and checked in this process; layers are unpacked in a sealed one.

use crate::args::{Run, Sandbox};
use crate::plan::module_name;
use crate::text::{clean, remark};
use crate::worker;
use std::ffi::OsString;
use std::path::Path;
use wave_engine::compile::CompileLimits;
use wave_engine::{Failure, Module, Variable, input};
use wave_image::{Found, Image, Kind, Problem, Reference};

/// The program of a run.
#[derive(Debug)]
pub struct Program {
    /// Its module.
    pub module: Module,
    /// Its own name, unless a flag gives another.
    pub name: OsString,
    /// Its further arguments.
    pub args: Vec<OsString>,
    /// The variables that it brings along.
    pub env: Vec<Variable>,
    /// Where it starts, if a granted directory has that place.
    pub cwd: Option<String>,
}

impl Program {
    /// The program that was named: a file, which is not read yet, or an image.
    ///
    /// # Errors
    /// If there is no such image, or it has no module.
    pub fn of(sandbox: Option<Sandbox>, run: &Run) -> Result<Self, Failure> {
        let path = module_name(run);
        match Reference::parse(path.as_os_str()) {
            None => Ok(Self::file(run)),
            Some(reference) => Self::image(&worker::limits(sandbox, path), &reference, run),
        }
    }

    /// The program in a file.
    pub fn file(run: &Run) -> Self {
        let path = module_name(run);
        Self {
            module: Module::file(path),
            name: path.file_name().map_or_else(|| "-".into(), OsString::from),
            args: run.command.iter().skip(1).cloned().collect(),
            env: Vec::new(),
            cwd: None,
        }
    }

    fn image(limits: &CompileLimits, reference: &Reference, run: &Run) -> Result<Self, Failure> {
        let typed = run.command.get(1..).unwrap_or_default();
        // The arguments of an export are not those of the program.
        let given = if run.invoke.is_some() { &[] } else { typed };
        let (image, found) = find(limits, reference, given)?;
        if found.other_files > 0 {
            note_others(&limits.module, found.other_files);
        }
        let mut command = image.command(given);
        let own = if image.names_program() {
            command.remove(0)
        } else {
            found.name.unwrap_or_else(|| "module.wasm".to_owned()).into()
        };
        Ok(Self {
            module: Module::bytes(&limits.module, found.module),
            name: own,
            args: if run.invoke.is_some() { typed.to_vec() } else { command },
            env: variables(image.settings.env.unwrap_or_default(), &limits.module),
            cwd: image.settings.working_dir,
        })
    }
}

/// The bytes that a module argument names: those of a file, of standard input, or of the module in an image.
///
/// # Errors
/// 127 if there is nothing, 126 if it cannot be read.
pub fn read(limits: &CompileLimits) -> Result<Vec<u8>, Failure> {
    match Reference::parse(limits.module.as_os_str()) {
        None => input::read_file_within(&limits.module, limits.timeout),
        Some(reference) => find(limits, &reference, &[]).map(|(_, found)| found.module),
    }
}

/// Reads an image and finds its module, which a sealed process does.
fn find(limits: &CompileLimits, reference: &Reference, given: &[OsString]) -> Result<(Image, Found), Failure> {
    let refuse = |problem| failure(&limits.module, problem);
    let image = Image::read(reference).map_err(refuse)?;
    let command = image.command(given);
    let found = worker::value(limits, 1, |_| image.find(command.first().map(OsString::as_os_str)).map_err(refuse))?;
    Ok((image, found))
}

/// The variables of an image. Container tools leave out what is not a name and a value.
fn variables(env: Vec<String>, image: &Path) -> Vec<Variable> {
    let place = clean(&image.display().to_string()).into_owned();
    let is_variable = |text: &String| text.find('=').is_some_and(|at| at > 0);
    let texts = env.into_iter().filter(is_variable).map(String::into_bytes);
    texts.map(|text| Variable { text, is_passed: false, place: place.clone() }).collect()
}

/// The failure for a problem in a layout.
pub fn failure(name: &Path, problem: Problem) -> Failure {
    let Problem { kind, what, place, fix } = problem;
    let failure = match kind {
        Kind::Usage => Failure::usage(what),
        Kind::Missing => Failure::not_found(what),
        Kind::Invalid => Failure::not_runnable(what),
        Kind::Unwritten => Failure::refused(what),
    };
    let name = name.display();
    let failure = failure.at(if place.is_empty() { name.to_string() } else { format!("{name}, {place}") });
    if fix.is_empty() { failure } else { failure.fix(fix) }
}

fn note_others(name: &Path, count: usize) {
    let files = if count == 1 { "another file".to_owned() } else { format!("{count} other files") };
    remark(&format!(
        "wave: note: the image has {files} beside the module, which a run does not show to the program\n  where: {}\n  \
         fix:   unpack the image and grant what the program needs by --dir, or run it with a container tool\n",
        clean(&name.display().to_string())
    ));
}
