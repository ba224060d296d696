//! How far long work is, for those who wait for it.
//!
//! A sealed process reports its steps in front of its answer. They are not trusted: they are only shown, and their number is
//! limited.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use wave_contract::encoding::{read_value, write_value};
use wave_sandbox::{Channel, Worker};

/// How often one part of the work is reported.
const REPORTS: usize = 128;

/// Maximum steps before an answer: the reports of compiling and of verifying, and as many again.
const MAX_STEPS: usize = 4 * REPORTS;

/// After this time, a step is shown again.
const PATIENCE: Duration = Duration::from_millis(100);

/// What work is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Reading the module.
    Reading,
    /// So many functions of so many are compiled.
    Compiling(u32, u32),
    /// So many functions of so many are verified.
    Verifying(u32, u32),
}

/// Is called with each step, on any thread, and again while there is no other. `None` if nobody waits.
pub type Watch<'a> = Option<&'a (dyn Fn(Step) + Sync)>;

/// Calls `work` with a function to call for each finished function, which reports some of them to `watch` as `step`.
pub fn counted<R>(watch: Watch<'_>, step: fn(u32, u32) -> Step, work: impl FnOnce(&(dyn Fn(usize) + Sync)) -> R) -> R {
    let Some(watch) = watch else { return work(&|_| {}) };
    let done = AtomicUsize::new(0);
    work(&|all| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(all.div_ceil(REPORTS).max(1)) {
            let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
            watch(step(number(done), number(all)));
        }
    })
}

/// What a sealed process sends: steps, then the answer.
#[derive(Serialize, Deserialize)]
enum Message<T> {
    Step(Step),
    Answer(T),
}

/// The side of the sealed process.
pub struct Answering(Mutex<Channel>);

impl Answering {
    /// Answers on a channel.
    pub const fn new(channel: Channel) -> Self {
        Self(Mutex::new(channel))
    }

    /// Sends a step. An error is ignored: sending the answer meets it again.
    pub fn step(&self, step: Step) {
        drop(send(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), &Message::<()>::Step(step)));
    }

    /// Sends the answer, and returns the channel.
    ///
    /// # Errors
    /// Those of writing.
    pub fn answer(self, answer: &impl Serialize) -> io::Result<Channel> {
        let mut channel = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        send(&mut channel, &Message::Answer(answer))?;
        Ok(channel)
    }
}

/// Sends a value in one write.
fn send(channel: &mut Channel, value: &impl Serialize) -> io::Result<()> {
    let mut to = BufWriter::new(channel);
    write_value(&mut to, value)?;
    to.flush()
}

/// Reads the answer of a sealed process, of `max_bytes` at most. Passes on its steps; the first is `step`.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for what is no answer, and errors of reading.
pub fn read_answer<T: DeserializeOwned>(
    from: &mut BufReader<Worker>,
    max_bytes: u64,
    watch: Watch<'_>,
    step: Step,
) -> io::Result<T> {
    read_messages(from, max_bytes, step, |from, step| wait(from, watch, step))
}

/// Reads messages up to the answer. Calls `wait` before each, with the last step.
fn read_messages<R: Read, T: DeserializeOwned>(
    from: &mut R,
    max_bytes: u64,
    mut step: Step,
    wait: impl Fn(&R, Step),
) -> io::Result<T> {
    for _ in 0..MAX_STEPS {
        wait(from, step);
        match read_value(from, max_bytes)? {
            Message::Answer(answer) => return Ok(answer),
            Message::Step(next) => step = next,
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "too many steps"))
}

/// Shows `step` until there is something to read.
pub fn wait(from: &BufReader<Worker>, watch: Watch<'_>, step: Step) {
    let Some(watch) = watch else { return };
    watch(step);
    while from.buffer().is_empty() && !from.get_ref().is_readable_within(PATIENCE) {
        watch(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(functions: usize) -> Vec<Step> {
        let reports = Mutex::new(Vec::new());
        let watch = |step| reports.lock().expect("no thread panicked").push(step);
        counted(Some(&watch), Step::Compiling, |each| (0..functions).for_each(|_| each(functions)));
        reports.into_inner().expect("no thread panicked")
    }

    #[test]
    fn large_work_is_reported_about_a_hundred_times() {
        assert_eq!(reports(2), [Step::Compiling(1, 2), Step::Compiling(2, 2)]);
        for functions in [REPORTS, REPORTS + 1, 13_060] {
            let reports = reports(functions);
            assert!((REPORTS / 2..=REPORTS).contains(&reports.len()), "{functions}: {}", reports.len());
        }
    }

    fn messages(steps: usize, answer: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for step in 0..steps {
            let step = Step::Compiling(u32::try_from(step).expect("few"), 0);
            write_value(&mut bytes, &Message::<u32>::Step(step)).expect("memory");
        }
        write_value(&mut bytes, &Message::Answer(answer)).expect("memory");
        bytes
    }

    /// T62: a worker that was taken over keeps nobody waiting by steps, and each of its messages has a maximum size.
    #[test]
    fn t62_steps_before_an_answer_are_limited() {
        let read = |bytes: &[u8], max_bytes| {
            let seen = Mutex::new(Vec::new());
            let answer = read_messages::<_, u32>(&mut &*bytes, max_bytes, Step::Reading, |_, step| {
                seen.lock().expect("no thread panicked").push(step);
            });
            (answer.map_err(|error| error.kind()), seen.into_inner().expect("no thread panicked").len())
        };
        assert_eq!(read(&messages(2, 7), 16), (Ok(7), 3));
        assert_eq!(read(&messages(MAX_STEPS - 1, 7), 16), (Ok(7), MAX_STEPS));
        assert_eq!(read(&messages(MAX_STEPS, 7), 16), (Err(io::ErrorKind::InvalidData), MAX_STEPS));
        assert_eq!(read(&messages(1, 7), 2).0, Err(io::ErrorKind::InvalidData));
    }
}
