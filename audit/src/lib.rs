//! Reports on modules and policies without a run: what a module can ask for, and what a policy means.
//!
//! | file | does |
//! |---|---|
//! | `module`, `component` | read the declarations of a module, and nothing else |
//! | `report` | derives the report: one value that every format prints |
//! | `granted` | what a policy grants to the module |
//! | `grants`, `capabilities`, `facts`, `score` | parts of the report, derived from reviewed tables |
//! | `page` | the report as headings, paragraphs and tables |
//! | `text`, `markdown`, `html` | render a page |
//! | `sarif` | the report for code scanning |
//! | `why` | which rule of a policy allows or denies an operation |
//! | `linux`, `macos` | what one platform has |
//! | `export` | the kernel layers of a policy in the formats of other tools |
#![forbid(unsafe_code)]

mod capabilities;
mod component;
pub mod export;
mod facts;
mod granted;
mod grants;
mod html;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod markdown;
mod module;
mod page;
mod report;
mod sarif;
mod score;
mod text;
pub mod why;

// The platform is chosen here and nowhere else.
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;

pub use report::Audit;
pub use score::{Score, decimal};

use granted::Granted;
use module::Declarations;
use std::path::Path;
use wave_contract::artifact::Artifact;
use wave_engine::json::{json, json_of};
use wave_engine::policy::{PolicyDocument, pin};
use wave_engine::{Failure, compile, input};

impl Audit {
    /// Reads and validates the module in the bytes of a file, and derives the report from its declarations. The module is
    /// neither compiled nor run.
    ///
    /// # Errors
    /// 126 if the file is not a module or is broken, 125 if the policy does not match it, 2 for a policy with a component.
    pub fn of(path: &Path, file: &[u8], policy: Option<&PolicyDocument>) -> Result<Self, Failure> {
        let compiled = Artifact::is_one(file).then(|| (file.len(), pin::of(file)));
        let bytes = input::as_written(path, file)?;
        let place = path.display().to_string();
        let invalid = |error: module::ParseError| Failure::not_runnable(error.to_string()).at(place.clone());
        let (declarations, lowered, component) = match *bytes {
            // Magic, version, layer 1.
            [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => {
                let whole = component::read(&bytes).map_err(invalid)?;
                match compile::lower(path, &bytes, Some(compile::ADAPTER)) {
                    Ok(lowered) => (module::read(&lowered).map_err(invalid)?, Some(lowered), Some(whole)),
                    Err(refused) => (Declarations { refused: Some(refused.what().to_owned()), ..whole }, None, None),
                }
            }
            _ => (module::read(&bytes).map_err(invalid)?, None, None),
        };
        let granted = policy.map(|policy| Granted::of(policy, &declarations)).transpose()?;
        let report = Self::new(&place, lowered.as_deref().unwrap_or(&bytes), declarations, granted);
        let report = match component {
            Some(component) => report.of_component(&bytes, component),
            None => report,
        };
        Ok(match compiled {
            Some((size_bytes, blake3)) => report.in_compiled_file(size_bytes, blake3),
            None => report,
        })
    }

    /// The report as text for a terminal.
    pub fn text(&self) -> String {
        text::render(&page::page(self))
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        markdown::render(&page::page(self))
    }

    /// The report as one HTML page, for a browser or print.
    pub fn html(&self) -> String {
        html::render(&page::page(self))
    }

    /// The complete report as JSON.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn json(&self) -> Result<String, Failure> {
        json(self)
    }

    /// The report as SARIF 2.1.0 for code scanning. `above` is a threshold in tenths that the score exceeds; it becomes
    /// an error.
    ///
    /// # Errors
    /// If it cannot be serialized.
    pub fn sarif(&self, above: Option<u32>) -> Result<String, Failure> {
        json_of(&sarif::log(self, above))
    }
}
