//! The report: complete, plain data. Every format prints the same value.

use super::capabilities::{Verdict, verdicts};
use super::facts::{Fact, Level, Subject, facts, surface};
use super::granted::Granted;
use super::grants::{Gain, gains};
use super::module::{Declarations, Kind, Memory};
use super::score::{Score, package, score};
use serde::Serialize;
use wave_engine::features;
use wave_policy::{Area, Need, Surface};

/// What a module declares, and what follows from it.
#[derive(Debug, Serialize)]
pub struct Audit {
    /// The path of the file, as it was given.
    pub file: String,
    /// The size of the file.
    pub size_bytes: usize,
    /// BLAKE3 of its binary form, or of the compiled file, in hexadecimal.
    pub blake3: String,
    /// Whether it is a compiled file. Its declarations are then those of the module in it, but its code may differ.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compiled_file: bool,
    /// What the component declares, if it is one that can run. All else is about the module that it becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
    /// What it declares.
    pub module: Declarations,
    /// The features beyond WebAssembly 1.0 that its declarations and its code use, if they could be read.
    pub uses: Option<Vec<&'static str>>,
    /// What it can ask for.
    pub areas: Vec<AreaSurface>,
    /// System calls and Landlock rights by grant. Empty for components that cannot run.
    pub grants: Vec<Gain>,
    /// Powers that it has or lacks. Empty for components that cannot run.
    pub powers: Vec<Verdict>,
    /// Notable facts.
    pub facts: Vec<Fact>,
    /// What a policy grants to it. The score is then the score under that policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    /// The exposure score.
    pub score: Score,
}

/// What a component declares.
#[derive(Debug, Serialize)]
pub struct Component {
    /// Number of modules in it.
    pub modules: u32,
    /// Number of components in it.
    pub components: u32,
    /// Interfaces and functions that it imports.
    pub imports: Vec<String>,
    /// Interfaces and functions that it exports.
    pub exports: Vec<String>,
}

/// Imports of one area.
#[derive(Debug, Serialize)]
pub struct AreaSurface {
    /// Its name.
    pub area: &'static str,
    /// WASI functions or interfaces.
    pub functions: Vec<ImportedFunction>,
}

/// A function a module can call.
#[derive(Debug, Serialize)]
pub struct ImportedFunction {
    /// Its name.
    pub name: String,
    /// The grant that it needs. Without it, a call is refused before any system call.
    pub needs: &'static str,
}

impl Audit {
    /// Derives the report from the declarations, and validates a module.
    pub fn new(file: &str, bytes: &[u8], module: Declarations, granted: Option<Granted>) -> Self {
        let verdict = match module.kind {
            Kind::Module => features::judge(bytes),
            Kind::Component => features::Verdict::Runs,
        };
        let surface = surface(&module);
        let objects = module.kind == Kind::Module && features::has_objects(bytes);
        let uses = match module.kind {
            Kind::Module => features::used(bytes),
            Kind::Component => None,
        };
        // The heap of objects grows as a memory does.
        let growable = objects || module.memories.iter().any(Memory::can_grow);
        let (grants, powers) = match module.kind {
            Kind::Module => (gains(&surface, growable), verdicts(&surface, growable)),
            Kind::Component => (Vec::new(), Vec::new()),
        };
        Self {
            file: file.to_owned(),
            size_bytes: bytes.len(),
            blake3: blake3::hash(bytes).to_hex().to_string(),
            compiled_file: false,
            component: None,
            uses: uses.map(|features| features.iter().map(|feature| feature.name).collect()),
            areas: areas(&module, &surface),
            grants,
            powers,
            facts: facts(&Subject { module: &module, surface: &surface, verdict: &verdict }),
            score: score(&module, &surface, granted.as_ref()),
            granted,
            module,
        }
    }

    /// Whether `wave` can run it.
    pub fn can_run(&self) -> bool {
        self.facts.iter().all(|fact| fact.level != Level::Error)
    }

    /// Records that the module was made of the component in these bytes, with these declarations.
    pub fn of_component(self, bytes: &[u8], declared: Declarations) -> Self {
        let component = Component {
            modules: declared.nested_modules,
            components: declared.nested_components,
            imports: declared.imports.into_iter().map(|import| import.name).collect(),
            exports: declared.exports.into_iter().map(|export| export.name).collect(),
        };
        let module = Declarations { name: declared.name, producers: declared.producers, ..self.module };
        Self {
            size_bytes: bytes.len(),
            blake3: blake3::hash(bytes).to_hex().to_string(),
            component: Some(component),
            module,
            ..self
        }
    }

    /// Records that the module was in a compiled file of this size and hash.
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
    let mut asked: Vec<(Option<Area>, ImportedFunction)> = match module.kind {
        Kind::Module => surface
            .functions()
            .map(|function| {
                let needs = match function.need {
                    Need::Nothing => "nothing",
                    Need::Grant => "a directory",
                    Need::WritableGrant => "a writable directory",
                    Need::Listener => "a listening socket",
                    Need::Socket => "a listening socket or a connection",
                };
                (Area::of(function.name), ImportedFunction { name: function.name.to_owned(), needs })
            })
            .collect(),
        Kind::Component => module
            .imports
            .iter()
            .map(|import| {
                let area = PACKAGES.iter().find(|(name, _)| *name == package(&import.name)).map(|(_, area)| *area);
                (area, ImportedFunction { name: import.name.clone(), needs: "" })
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
