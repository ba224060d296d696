//! A sample of what was executed, for another semantics: instruction, registers, flags and memory before and after, a line of JSON
//! each. `python -m proofs.oracle` replays it.

use crate::execute::Access;
use crate::native::{Outcome, Registers};
use crate::world::World;
use iced_x86::{Instruction, OpKind, RflagsBits};
use serde_json::json;
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use wave_verifier::rules::Kind;

/// Writes a sample.
pub struct Sample {
    to: BufWriter<std::fs::File>,
    left: u64,
    seen: HashSet<(Vec<u8>, u64)>,
    error: Option<io::Error>,
}

/// One instruction that will be part of it.
pub struct Taken {
    reached: Option<Access>,
    bytes: Vec<u8>,
    at: u64,
    before: Registers,
    memory: Vec<u8>,
    undefined: u32,
    /// Where a branch leads that is taken.
    target: u64,
}

impl Sample {
    /// Of at most so many instructions.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn new(path: &str, count: u64) -> io::Result<Self> {
        let to = BufWriter::new(std::fs::File::create(path)?);
        Ok(Self { to, left: count, seen: HashSet::new(), error: None })
    }

    /// How many are still to come.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first that writing has met.
    pub fn finish(mut self) -> io::Result<()> {
        match self.error {
            Some(error) => Err(error),
            None => self.to.flush(),
        }
    }

    /// Notes what is before an instruction, if that is part of the sample: each instruction once for each state, none that
    /// reads or writes vectors, and no call of what memory holds, which reaches two places.
    pub fn before(
        &mut self,
        instruction: &Instruction,
        kind: Kind,
        bytes: &[u8],
        mut reached: Option<Access>,
        world: &World,
        before: &Registers,
    ) -> Option<Taken> {
        if kind == Kind::CallIndirect {
            let pushed = Access { at: before.general[4].wrapping_sub(8), len: 8, is_write: true };
            reached = if reached.is_none() { Some(pushed) } else { return None };
        }
        let is_vector = |operand| {
            instruction.op_kind(operand) == OpKind::Register && instruction.op_register(operand).is_vector_register()
        };
        if self.left == 0 || (0..instruction.op_count()).any(is_vector) || kind == Kind::Undefined {
            return None;
        }
        let state =
            before.general.iter().fold(before.flags, |sum, bits| sum.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bits);
        if !self.seen.insert((bytes.to_vec(), state)) {
            return None;
        }
        let mut memory = vec![0; reached.map_or(0, |reached| reached.len as usize)];
        if let Some(reached) = reached {
            world.memory.read(reached.at, &mut memory);
        }
        let undefined = flags(instruction.rflags_undefined());
        Some(Taken {
            reached,
            bytes: bytes.to_vec(),
            at: world.text + instruction.ip(),
            before: *before,
            memory,
            undefined,
            target: world.text.wrapping_add(instruction.near_branch64()),
        })
    }

    /// Writes what is after it. A fault is no part of the sample.
    pub fn after(&mut self, taken: Taken, outcome: Outcome, after: &Registers, world: &World) {
        let Taken { reached, bytes, at, before, memory, undefined, target } = taken;
        let next = match outcome {
            Outcome::Follows => at + bytes.len() as u64,
            Outcome::Target => target,
            Outcome::Elsewhere(to) => to,
            Outcome::Fault { .. } => return,
        };
        let mut memory_after = vec![0; memory.len()];
        if let Some(reached) = reached {
            world.memory.read(reached.at, &mut memory_after);
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = json!({
            "bytes": hex(&bytes), "at": at, "next": next,
            "before": before.general, "flags": before.flags,
            "after": after.general, "flags_after": after.flags, "undefined": undefined,
            "place": reached.map_or(0, |reached| reached.at), "memory": hex(&memory), "memory_after": hex(&memory_after),
        });
        self.left -= 1;
        if let Err(error) = writeln!(self.to, "{line}") {
            self.error.get_or_insert(error);
        }
    }
}

/// The decoder's names of flags as the processor's bits.
fn flags(named: u32) -> u32 {
    [
        (RflagsBits::CF, 1),
        (RflagsBits::PF, 4),
        (RflagsBits::AF, 0x10),
        (RflagsBits::ZF, 0x40),
        (RflagsBits::SF, 0x80),
        (RflagsBits::OF, 0x800),
    ]
    .iter()
    .filter(|(name, _)| named & name != 0)
    .fold(0, |sum, (_, bit)| sum | bit)
}
