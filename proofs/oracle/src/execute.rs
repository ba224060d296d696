//! One instruction on the processor, in this world: what it reaches, what it leaves, and what whoever it calls does.

use crate::module::TEXT_BYTES;
use crate::native::{Processor, Registers};
use crate::random::Random;
use crate::world::{Callee, World};
use iced_x86::{Instruction, OpKind, Register};
use wave_verifier::rules::{Gpr, Kind};

/// An access to memory by an instruction's operand or by the stack pointer.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub at: u64,
    pub len: u64,
    pub is_write: bool,
}

/// What an instruction accesses, with these registers.
#[must_use]
pub fn access(instruction: &Instruction, kind: Kind, registers: &Registers, text: u64) -> Option<Access> {
    let stack = registers.general[4];
    let stack_access = |at, is_write| Some(Access { at, len: 8, is_write });
    match kind {
        Kind::Address | Kind::Nothing => return None,
        Kind::Push => return stack_access(stack.wrapping_sub(8), true),
        Kind::Pop | Kind::Return => return stack_access(stack, false),
        Kind::Call => return stack_access(stack.wrapping_sub(8), true),
        _ => {}
    }
    let operand = (0..instruction.op_count()).find(|operand| instruction.op_kind(*operand) == OpKind::Memory)?;
    let at = if instruction.is_ip_rel_memory_operand() {
        text.wrapping_add(instruction.ip_rel_memory_address())
    } else {
        instruction.virtual_address(operand, 0, |register, _, _| {
            Some(match register {
                Register::None => 0,
                register if register.is_segment_register() => 0,
                register => registers.general[register.full_register().number()],
            })
        })?
    };
    let only_reads = matches!(
        kind,
        Kind::Compare
            | Kind::Test
            | Kind::BitTest
            | Kind::VectorCompare
            | Kind::Multiply
            | Kind::Divide
            | Kind::CallIndirect
            | Kind::JumpIndirect
    );
    Some(Access { at, len: instruction.memory_size().size() as u64, is_write: operand == 0 && !only_reads })
}

/// What is compared by a comparison, each side zero-extended.
#[must_use]
pub fn sides(instruction: &Instruction, registers: &Registers, world: &World) -> (u64, u64, u8) {
    let bytes = match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size(),
        _ => instruction.memory_size().size(),
    };
    let mask = u64::MAX >> (64 - 8 * bytes);
    let side = |operand| match instruction.op_kind(operand) {
        OpKind::Register => registers.general[instruction.op_register(operand).full_register().number()],
        OpKind::Memory => {
            let place = access(instruction, Kind::Compare, registers, world.text).map_or(0, |access| access.at);
            let mut number = [0; 8];
            world.memory.read(place, &mut number[..bytes]);
            u64::from_le_bytes(number)
        }
        _ => instruction.immediate(operand),
    };
    (side(0) & mask, side(1) & mask, bytes as u8)
}

/// Bytes of a jump that leads back.
const WAY_BACK: u64 = 7;

/// An instruction in the text: its address, and what was there before.
pub struct Placed {
    pub at: u64,
    before: Vec<(u64, Vec<u8>)>,
}

impl World {
    /// Writes an instruction to the text, with the ways back behind it and where a branch leads.
    #[must_use]
    pub fn place(&mut self, instruction: &Instruction, kind: Kind, bytes: &[u8]) -> Placed {
        let at = self.text + instruction.ip();
        let end = at + bytes.len() as u64;
        let mut parts = vec![(at, bytes.to_vec()), (end, Processor::way_back(false).to_vec())];
        if matches!(kind, Kind::Jump | Kind::JumpIf) && instruction.near_branch64() < u64::from(TEXT_BYTES) - 16 {
            let target = self.text + instruction.near_branch64();
            // Others come back by a fault.
            if target + WAY_BACK <= at || target >= end + WAY_BACK {
                parts.push((target, Processor::way_back(true).to_vec()));
            }
        }
        for (at, part) in &mut parts {
            let mut before = vec![0; part.len()];
            self.memory.read(*at, &mut before);
            self.memory.write(*at, part);
            *part = before;
        }
        Placed { at, before: parts }
    }

    /// Makes the text what it was before an instruction was placed there.
    pub fn remove(&mut self, placed: &Placed) {
        placed.before.iter().for_each(|(at, bytes)| self.memory.write(*at, bytes));
    }

    /// Whether a call or a jump may go to an address in this moment: what the callee relies on is there.
    ///
    /// # Errors
    /// What is not.
    pub fn may_enter(&self, callee: &Callee, registers: &Registers, is_tail: bool) -> Result<(), String> {
        let stack = registers.general[4];
        let context = registers.general[7];
        if self.status != 0 {
            return Err(format!("something is entered, and the last status was {:#x}", self.status));
        }
        if callee.needs_context && context != callee.context {
            return Err(format!("the context {context:#x} is passed, not {:#x}", callee.context));
        }
        if stack % 16 != 8 {
            return Err(format!("the stack pointer is {stack:#x} at entry"));
        }
        let arguments_end = stack + 8 + callee.arguments;
        if is_tail {
            return self.is_restored(registers, self.frame + self.arguments - callee.arguments);
        }
        if arguments_end > self.frame {
            return Err(format!("arguments end at {arguments_end:#x}, above the frame"));
        }
        if callee.is_host && stack + 8 < self.limit {
            return Err(format!("the host is called with stack pointer {stack:#x}, below {:#x}", self.limit));
        }
        Ok(())
    }

    /// Whether the caller finds what it relies on, the return address at this place.
    ///
    /// # Errors
    /// What is not.
    pub fn is_restored(&self, registers: &Registers, place: u64) -> Result<(), String> {
        if self.status != 0 {
            return Err(format!("the function is left, and the last status was {:#x}", self.status));
        }
        if registers.general[4] != place || self.memory.u64(place) != self.return_address {
            let stack = registers.general[4];
            return Err(format!("the return address is not at {place:#x}, or the stack pointer is {stack:#x}"));
        }
        match Gpr::SAVED
            .iter()
            .find(|Gpr(at)| registers.general[usize::from(*at)] != self.entry.general[usize::from(*at)])
        {
            Some(register) => Err(format!("{register:?} is not as the caller had it")),
            None => Ok(()),
        }
    }

    /// A callee runs and returns: it changes all that it may.
    pub fn call(&mut self, callee: &Callee, registers: &mut Registers, random: &mut Random) {
        let entry = registers.general[4];
        let arguments_end = entry + 8 + callee.arguments;
        self.touched = self.touched.min(entry);
        self.disturb_below(arguments_end, random);
        for number in Gpr::CLOBBERED {
            registers.general[usize::from(number)] = random.bits();
        }
        registers.flags = random.next() & crate::native::FLAGS;
        // Of guests the callee takes the arguments away, of the host the caller.
        registers.general[4] = if callee.is_host { entry + 8 } else { arguments_end };
        self.change_tables(random);
        if callee.is_host {
            self.status = if random.one_in(4) { random.bits() | 1 << random.below(64) } else { 0 };
            registers.general[2] = self.status;
        }
    }
}

/// Whether an instruction of this kind can fault in code that is right.
#[must_use]
pub const fn may_fault(kind: Kind, signal: i32) -> bool {
    match signal {
        libc::SIGFPE => matches!(kind, Kind::Divide),
        libc::SIGILL => matches!(kind, Kind::Undefined),
        // Vectors in memory that is not aligned.
        libc::SIGSEGV => matches!(kind, Kind::Vector | Kind::VectorCompare),
        _ => false,
    }
}
