//! `--trace-file`, `--report-file` and `--coredump`: files of the operator's that are written after the seal.
//!
//! The sealed process writes them itself. A second process could, as for `--outcome`, but the lines would reach it through a pipe: a
//! descriptor that stays open, and a rule of the filter that permits writing to it, are needed either way. So this is the same with one
//! process less, and a caller who wants that process has it by `fd:N` and a pipe. No hostcall reaches the descriptor: the program's own
//! numbers lead to its own descriptors only. What native code could do with it is in `docs/syscalls.md` (`write_records`, `write_dump`).

use crate::args::Run;
use crate::place::Place;
use crate::report::Reporting;
use crate::text::clean_lines;
use rustix::io::fcntl_dupfd_cloexec;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsRawFd, RawFd};
use wave_engine::{Engine, Failure, Plan};
use wave_policy::{DUMP_FD, RECORD_FDS};

/// The records of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Records {
    /// Where the trace goes, if not to standard error.
    pub trace: Option<RecordFile>,
    /// Where the report goes, if not to standard error.
    pub report: Option<RecordFile>,
    /// Where a core dump goes.
    pub dump: Option<RecordFile>,
}

impl Records {
    /// Opens the files of a run. Call it before anything else of the run is opened.
    ///
    /// # Errors
    /// As [`Place::open_record`], and 125 if the descriptor that the filter permits is taken.
    pub fn open(run: &Run, plan: &Plan) -> Result<Self, Failure> {
        let [trace_fd, report_fd] = RECORD_FDS;
        let open = |flag, typed: &Option<String>, fd| {
            typed
                .as_deref()
                .map(|typed| RecordFile::new(Place::open_record(flag, typed, &plan.grants)?, fd))
                .transpose()
        };
        Ok(Self {
            trace: open("--trace-file", &run.trace_file, trace_fd)?,
            report: open("--report-file", &run.report_file, report_fd)?,
            dump: open("--coredump", &run.coredump, DUMP_FD)?,
        })
    }

    /// How the report of a run is printed.
    pub fn reporting(self, run: &Run) -> Reporting {
        Reporting { format: run.report(), file: self.report, dump: self.dump }
    }

    /// The engine, which keeps them open.
    pub fn kept_by(self, engine: Engine) -> Engine {
        let records = self.trace.into_iter().chain(self.report);
        let engine = records.fold(engine, |engine, record| engine.recording_to(record.fd()));
        self.dump.into_iter().fold(engine, |engine, dump| engine.dumping_to(dump.fd()))
    }
}

/// A file that is written after the seal. It is never closed: the sealed process has no call for that.
#[derive(Clone, Copy, Debug)]
pub struct RecordFile(&'static File);

impl RecordFile {
    /// Moves a file to the descriptor where the filter permits writing.
    fn new(place: Place, fd: RawFd) -> Result<Self, Failure> {
        let refuse = |what: String, fix: &str| Failure::refused(what).at(place.flag()).fix(fix);
        let moved = fcntl_dupfd_cloexec(place.file(), fd).map_err(|error| {
            refuse(format!("cannot make it descriptor {fd}: {error}"), "raise the limit on open files: ulimit -n 256")
        })?;
        if moved.as_raw_fd() != fd {
            return Err(refuse(format!("descriptor {fd} is taken"), "close it in the process that starts wave"));
        }
        Ok(Self(Box::leak(Box::new(File::from(moved)))))
    }

    fn fd(self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Writes a text at the end, with harmful characters escaped as on standard error. A deadline that has passed ends the wait for a
    /// reader that does not read (T108).
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(mut self, text: &str) -> io::Result<()> {
        self.write_all(clean_lines(text).as_bytes())
    }
}

impl Write for RecordFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match { self.0 }.write(bytes) {
            // Only this kind is tried again.
            Err(error) if error.kind() == ErrorKind::Interrupted && wave_runtime::deadline_passed() => {
                Err(ErrorKind::TimedOut.into())
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
