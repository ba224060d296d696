//! A run that was started.

use crate::place::Place;
use crate::{Error, Outcome};
use std::io::{self, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::mpsc;
use std::thread;

/// What `wave` itself may print on standard error, beside what it prints about the program.
const MESSAGES_BYTES: u64 = 64 << 10;

/// How a run ended, and what it printed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub outcome: Outcome,
    /// What the program printed on standard output, if that was collected.
    pub stdout: Vec<u8>,
    /// What program and `wave` printed on standard error, if that was collected.
    pub stderr: Vec<u8>,
}

/// A run that was started. As with `std::process::Child`, dropping it does not end the run.
#[derive(Debug)]
pub struct Child {
    /// The program's standard input, if it is a pipe.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    process: std::process::Child,
    place: Place,
    /// The most bytes that are read of a stream.
    limit: u64,
}

impl Child {
    /// A run whose standard input begins with `bytes`, and ends with them.
    pub(crate) fn new(mut process: std::process::Child, place: Place, bytes: Option<Vec<u8>>, max_output: u64) -> Self {
        let mut stdin = process.stdin.take();
        if let Some(bytes) = bytes {
            let pipe = stdin.take();
            // A program need not read all of it. It ends then, and so does the thread, with a broken pipe.
            thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&bytes)));
        }
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        // As many bytes again as the program's own may be printed about it.
        let limit = max_output.saturating_mul(2).saturating_add(MESSAGES_BYTES);
        Self { stdin, stdout, stderr, process, place, limit }
    }

    /// The process id of `wave`. A signal that asks for an end, such as SIGTERM, ends the run with an outcome.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the run at once, with SIGKILL. There is no outcome then: waiting is an [`Error::NoOutcome`].
    ///
    /// # Errors
    /// If no signal can be sent.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Waits for the end, after closing the program's standard input.
    ///
    /// # Errors
    /// If there is no outcome; see [`Error`].
    pub fn wait(&mut self) -> Result<Outcome, Error> {
        drop(self.stdin.take());
        let status = self.process.wait().map_err(Error::Wait)?;
        self.outcome(status, &[])
    }

    /// The outcome if the run has ended.
    ///
    /// # Errors
    /// If it has ended without an outcome; see [`Error`].
    pub fn try_wait(&mut self) -> Result<Option<Outcome>, Error> {
        match self.process.try_wait().map_err(Error::Wait)? {
            Some(status) => self.outcome(status, &[]).map(Some),
            None => Ok(None),
        }
    }

    /// Waits for the end, and collects what comes from the streams that are pipes.
    ///
    /// # Errors
    /// If there is no outcome, or too much comes; see [`Error`]. The run has ended then, too.
    pub fn wait_with_output(mut self) -> Result<Output, Error> {
        drop(self.stdin.take());
        let collected = self.collect();
        if collected.is_err() {
            // It may have ended meanwhile.
            drop(self.kill());
        }
        let status = self.process.wait().map_err(Error::Wait)?;
        let (stdout, stderr) = collected?;
        let outcome = self.outcome(status, &stderr)?;
        Ok(Output { outcome, stdout, stderr })
    }

    /// Reads both streams to their ends. Both at once: a full pipe stops the program.
    fn collect(&mut self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let limit = self.limit;
        let (send, receive) = mpsc::channel();
        let streams = [
            self.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            self.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ];
        for (number, pipe) in streams.into_iter().enumerate() {
            let send = send.clone();
            // If the other stream had too much, nobody receives this one.
            thread::spawn(move || drop(send.send((number, pipe.map_or(Ok(Vec::new()), |pipe| read(pipe, limit))))));
        }
        let mut collected = [Vec::new(), Vec::new()];
        for (number, bytes) in receive.iter().take(collected.len()) {
            collected[number] = bytes?;
        }
        let [stdout, stderr] = collected;
        Ok((stdout, stderr))
    }

    fn outcome(&self, status: ExitStatus, stderr: &[u8]) -> Result<Outcome, Error> {
        let text = self.place.read().map_err(Error::Wait)?;
        if text.is_empty() {
            return Err(Error::NoOutcome { status, stderr: stderr.to_vec() });
        }
        let outcome: Outcome = text.parse()?;
        if status.code() != Some(outcome.exit_code) {
            return Err(Error::Outcome(format!(
                "it has exit code {}, and `wave` ended with {status}",
                outcome.exit_code
            )));
        }
        Ok(outcome)
    }
}

/// Reads to the end, and at most `limit` bytes.
fn read(pipe: impl Read, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    pipe.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::Wait)?;
    if bytes.len() as u64 > limit { Err(Error::TooMuchOutput { limit }) } else { Ok(bytes) }
}
