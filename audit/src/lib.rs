//! What a module can ask for and what a policy means: questions that are answered without a run.
//!
//! | file | does |
//! |---|---|
//! | `module`, `component` | read declarations, and nothing else of a module |
//! | `report` | what follows from them: one value that every format prints |
//! | `granted` | what a policy grants of it |
//! | `grants`, `capabilities`, `facts`, `score` | parts of the report, each derived from the reviewed table of system calls or from data |
//! | `page` | the report in words, as headings, paragraphs and tables |
//! | `text`, `markdown`, `html` | pages as characters |
//! | `sarif` | the report for code scanning |
//! | `why` | which rule of a policy decides on an operation |
//! | `export` | what a policy means for the kernel, for other tools |
#![forbid(unsafe_code)]

mod capabilities;
mod component;
pub mod export;
mod facts;
mod granted;
mod grants;
mod html;
mod markdown;
mod module;
mod page;
mod report;
mod sarif;
mod score;
mod text;
pub mod why;

pub use report::Audit;
pub use score::{Score, decimal};

use granted::Granted;
use std::path::Path;
use wave_contract::artefact::Artefact;
use wave_engine::json::{json, json_of};
use wave_engine::policy::{PolicyDocument, pin};
use wave_engine::{Failure, input};

impl Audit {
    /// Reads the declarations of the module in the bytes of a file, and derives what follows from them. Nothing of the module is
    /// validated, compiled or run.
    ///
    /// # Errors
    /// 126 when it is no module or is broken, 125 for a policy that is not for it, 2 for a policy with a component.
    pub fn of(path: &Path, file: &[u8], policy: Option<&PolicyDocument>) -> Result<Self, Failure> {
        let compiled = Artefact::is_one(file).then(|| (file.len(), pin::of(file)));
        let bytes = input::module(path, file)?;
        let place = path.display().to_string();
        let declarations = match *bytes {
            // Magic, version, layer 1.
            [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => component::read(&bytes),
            _ => module::read(&bytes),
        };
        let declarations = declarations.map_err(|error| Failure::not_runnable(error.to_string()).at(place.clone()))?;
        let granted = policy.map(|policy| Granted::of(policy, &declarations)).transpose()?;
        let report = Self::new(&place, &bytes, declarations, granted);
        Ok(match compiled {
            Some((size_bytes, blake3)) => report.in_compiled_file(size_bytes, blake3),
            None => report,
        })
    }

    /// The report for people, in a terminal.
    pub fn text(&self) -> String {
        text::render(&page::page(self))
    }

    /// The report for a review or a repository.
    pub fn markdown(&self) -> String {
        markdown::render(&page::page(self))
    }

    /// The report as one page for a browser or paper.
    pub fn html(&self) -> String {
        html::render(&page::page(self))
    }

    /// The report for programs, complete.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self) -> Result<String, Failure> {
        json(self)
    }

    /// The report for code scanning (SARIF 2.1.0), with a finding if the score is above a threshold, in tenths.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sarif(&self, above: Option<u32>) -> Result<String, Failure> {
        json_of(&sarif::log(self, above))
    }
}
