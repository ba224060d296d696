//! Where the outcome of a run is written to. It is opened before the run, by the process that waits for it.

use crate::text::{chain, clean};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use wave_engine::Failure;

/// The first descriptor that is no standard stream: the program has those.
const FIRST: i32 = 3;

/// A file, or a descriptor that the parent process passed on.
#[derive(Debug)]
pub struct Place {
    file: File,
    /// As it was typed.
    typed: String,
    /// The file, without links.
    path: Option<PathBuf>,
}

impl Place {
    /// Opens `FILE`, which is emptied, or `fd:N`.
    ///
    /// # Errors
    /// 2 for a descriptor that the program shares, 125 if it cannot be written to.
    pub fn open(typed: &str) -> Result<Self, Failure> {
        let at = || format!("--outcome {}", clean(typed));
        let refuse = |what: String, fix: &str| Failure::refused(what).at(at()).fix(fix);
        if let Some(number) = typed.strip_prefix("fd:") {
            let number = number.parse::<i32>().ok().filter(|number| *number >= FIRST).ok_or_else(|| {
                Failure::usage("a descriptor is a number from 3 on: the program has 0, 1 and 2")
                    .at(at())
                    .fix("write --outcome fd:3, and pass a pipe as descriptor 3")
            })?;
            let fd = wave_sandbox::inherited_descriptor(number)
                .map_err(|error| refuse(chain(&error), "pass an open descriptor of this number"))?;
            return Ok(Self { file: fd.into(), typed: typed.to_owned(), path: None });
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(typed);
        let file = file.map_err(|error| {
            refuse(format!("cannot write the outcome: {error}"), "name a file in a directory that may be written to")
        })?;
        Ok(Self { file, typed: typed.to_owned(), path: std::fs::canonicalize(typed).ok() })
    }

    /// The file, without links; `None` for a descriptor.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes the outcome.
    ///
    /// # Errors
    /// 125 if the host does not take it.
    pub fn write(mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| {
            Failure::refused(format!("the program has run, but its outcome cannot be written: {error}"))
                .at(format!("--outcome {}", clean(&self.typed)))
                .fix("check the space on the disk, or who reads the pipe")
        })
    }
}
