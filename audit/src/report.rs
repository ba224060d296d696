//! The report: plain data, complete, and the same for every format.

use super::capabilities::{Verdict, verdicts};
use super::facts::{Fact, facts, surface};
use super::granted::Granted;
use super::grants::{Gain, gains};
use super::module::{Declarations, Kind, Memory};
use super::score::{Score, package, score};
use serde::Serialize;
use wave_policy::{Area, Need, Surface};

/// What is known of a module and what follows.
#[derive(Debug, Serialize)]
pub struct Audit {
    /// The name it was given by.
    pub file: String,
    /// Its length.
    pub size_bytes: usize,
    /// BLAKE3 of its binary form, or of the compiled file, in hexadecimal.
    pub blake3: String,
    /// Whether it is a compiled file. Then only its declarations are those of the module in it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compiled_file: bool,
    /// What it declares.
    pub module: Declarations,
    /// What it can ask for.
    pub areas: Vec<AreaSurface>,
    /// System calls and rights by grant. Empty for components.
    pub grants: Vec<Gain>,
    /// What it can and cannot do. Empty for components.
    pub powers: Vec<Verdict>,
    /// What is worth knowing.
    pub facts: Vec<Fact>,
    /// What a policy grants of it, if one was named; the score is that under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    /// How much it asks for.
    pub score: Score,
}

/// Imports of one area.
#[derive(Debug, Serialize)]
pub struct AreaSurface {
    /// Its name.
    pub area: &'static str,
    /// WASI functions or interfaces.
    pub functions: Vec<Asked>,
}

/// A function a module can call.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// What must be granted, or it is refused before any system call.
    pub needs: &'static str,
}

impl Audit {
    /// Derives everything from the declarations.
    pub fn new(file: &str, bytes: &[u8], module: Declarations, granted: Option<Granted>) -> Self {
        let surface = surface(&module);
        let growable = module.memories.iter().any(Memory::can_grow);
        let (grants, powers) = match module.kind {
            Kind::Module => (gains(&surface, growable), verdicts(&surface, growable)),
            Kind::Component => (Vec::new(), Vec::new()),
        };
        Self {
            file: file.to_owned(),
            size_bytes: bytes.len(),
            blake3: blake3::hash(bytes).to_hex().to_string(),
            compiled_file: false,
            areas: areas(&module, &surface),
            grants,
            powers,
            facts: facts(&module, &surface),
            score: score(&module, &surface, granted.as_ref()),
            granted,
            module,
        }
    }

    /// Says that the module was in a compiled file of this length and hash.
    pub fn in_compiled_file(self, size_bytes: usize, blake3: String) -> Self {
        Self { size_bytes, blake3, compiled_file: true, ..self }
    }
}

const AREAS: [(Area, &str); 7] = [
    (Area::Fs, "files and streams"),
    (Area::Net, "network"),
    (Area::Clock, "clocks"),
    (Area::Random, "random numbers"),
    (Area::Env, "arguments and environment"),
    (Area::Poll, "waiting"),
    (Area::Proc, "process"),
];

/// Packages of interfaces, and their area.
const PACKAGES: [(&str, Area); 7] = [
    ("wasi:filesystem", Area::Fs),
    ("wasi:sockets", Area::Net),
    ("wasi:http", Area::Net),
    ("wasi:clocks", Area::Clock),
    ("wasi:random", Area::Random),
    ("wasi:cli", Area::Env),
    ("wasi:io", Area::Poll),
];

fn areas(module: &Declarations, surface: &Surface) -> Vec<AreaSurface> {
    let mut asked: Vec<(Option<Area>, Asked)> = match module.kind {
        Kind::Module => surface
            .functions()
            .map(|function| {
                let needs = match function.need {
                    Need::Nothing => "nothing",
                    Need::Grant => "a directory",
                    Need::WritableGrant => "a writable directory",
                    Need::Listener => "a listening socket",
                };
                (Area::of(function.name), Asked { name: function.name.to_owned(), needs })
            })
            .collect(),
        Kind::Component => module
            .imports
            .iter()
            .map(|import| {
                let area = PACKAGES.iter().find(|(name, _)| *name == package(&import.name)).map(|(_, area)| *area);
                (area, Asked { name: import.name.clone(), needs: "" })
            })
            .collect(),
    };
    let mut take = |wanted: Option<Area>, area| {
        let functions: Vec<_> = asked.extract_if(.., |(area, _)| *area == wanted).map(|(_, asked)| asked).collect();
        AreaSurface { area, functions }
    };
    let mut areas: Vec<_> = AREAS.iter().map(|(area, name)| take(Some(*area), *name)).collect();
    areas.push(take(None, "other"));
    areas.retain(|area| !area.functions.is_empty());
    areas
}
