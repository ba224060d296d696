//! Accepted code, changed in one place (T72), and mistakes of a compiler.
//!
//! The changes of `dangerous.rs` break the contract for certain: each must be refused. Those of `random.rs` are any: most leave
//! code that is wrong and stays in its place. `docs/verifier.md` has the outcome for three large programs.
//!
//! | file | what |
//! |---|---|
//! | `subject.rs` | a function as the changes see it |
//! | `dangerous.rs`, `random.rs` | the changes |
//! | `rate.rs` | how many of them the verifier refuses |
//! | `accepted.rs` | those it accepts, for programs that run them |
//! | `mistakes.rs` | mistakes of a compiler, made in the code that it has emitted |
//! | `bin/` | the programs that run such code |
#![forbid(unsafe_code)]

mod accepted;
mod dangerous;
mod mistakes;
mod random;
#[cfg(test)]
mod rate;
mod subject;

pub use accepted::{Mutant, Tried, visit};
pub use mistakes::{Mistake, ROOM};

use iced_x86::{Encoder, Formatter, Instruction, IntelFormatter};
use subject::Subject;
use wave_verifier::Scratch;

const SEED: u64 = 0x7261_6e64_6f6d;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed ^ SEED).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 8) % bound.max(1)
    }

    pub fn index(&mut self, len: usize) -> Option<usize> {
        usize::try_from(self.below(len as u64)).ok().filter(|at| *at < len)
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.index(all.len())?)
    }
}

/// A change of a function.
enum Patch {
    /// Of its bytes, from this offset in it on.
    Code { at: usize, bytes: Vec<u8> },
    /// Of what the table of traps says of it.
    Traps(Vec<(u32, u8)>),
    /// Of what the table of positions says of it.
    Sources(Vec<(u32, u32)>),
}

impl Patch {
    /// Whether the verifier accepts a function after this change; `None` if it changes nothing. In `code`, which are the function's
    /// bytes, the change stays until it is undone.
    fn is_accepted(&self, subject: &Subject<'_>, scratch: &mut Scratch, code: &mut [u8]) -> Option<bool> {
        let mut unit = *subject.unit;
        match self {
            Self::Traps(entries) => unit.traps = entries,
            Self::Sources(entries) => unit.sources = entries,
            Self::Code { at, bytes } => {
                let place = code.get_mut(*at..*at + bytes.len()).filter(|place| *place != bytes)?;
                place.copy_from_slice(bytes);
                unit.code = code;
            }
        }
        Some(subject.all.units.verify(&unit, scratch).is_ok())
    }

    fn undo(&self, subject: &Subject<'_>, code: &mut [u8]) {
        if let Self::Code { at, bytes } = self {
            let place = *at..*at + bytes.len();
            code[place.clone()].copy_from_slice(&subject.unit.code[place]);
        }
    }
}

/// `None` for what has no encoding.
fn encode(instruction: &Instruction) -> Option<Vec<u8>> {
    let mut encoder = Encoder::new(64);
    encoder.encode(instruction, instruction.ip()).ok()?;
    Some(encoder.take_buffer())
}

/// Bytes that do nothing, in as few instructions as can be.
fn nops(len: usize) -> Vec<u8> {
    const NOPS: [&[u8]; 9] = [
        &[],
        &[0x90],
        &[0x66, 0x90],
        &[0x0f, 0x1f, 0x00],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
        &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    ];
    match len {
        0..=8 => NOPS[len].to_vec(),
        _ => [NOPS[8].to_vec(), nops(len - 8)].concat(),
    }
}

/// A survivor, with some instructions before it.
fn describe(subject: &Subject<'_>, at: usize, code: &[u8], operator: &str) -> String {
    let mut text = format!("{operator}: {}\n", subject.unit.name);
    let mut formatter = IntelFormatter::new();
    let mut line = |mark: &str, instruction: &Instruction| {
        text.push_str(&format!("  {mark} {:6x} ", instruction.ip()));
        formatter.format(instruction, &mut text);
        text.push('\n');
    };
    subject.instructions[at.saturating_sub(8)..=at].iter().for_each(|instruction| line(" ", instruction));
    let mut decoder = iced_x86::Decoder::with_ip(64, &code[subject.offset(at)..], subject.instructions[at].ip(), 0);
    for _ in 0..6 {
        if decoder.can_decode() {
            line(">", &decoder.decode());
        }
    }
    text
}
