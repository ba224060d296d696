//! Instructions of each allowed encoding, with operands of one's choice.

use crate::bench::AT;
use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Instruction, OpCodeOperandKind, OpKind, Register};
use wave_verifier::rules::{Gpr, Kind, kind};

/// Every encoding that code may consist of, and what it does.
pub fn allowed() -> impl Iterator<Item = (Code, Kind)> {
    Code::values().filter_map(|code| Some((code, kind(code)?)))
}

/// A memory operand.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub base: Option<Gpr>,
    pub index: Option<(Gpr, u32)>,
    pub displacement: i32,
    /// Relative to the instruction: the displacement is an offset in the text.
    pub relative: bool,
}

/// A memory operand that is a register and a displacement.
pub const fn at(base: Gpr, displacement: i32) -> Memory {
    Memory { base: Some(base), index: None, displacement, relative: false }
}

/// What the operands are.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// Registers, by the number of the operand.
    pub registers: [u8; 4],
    /// The operand that may lie in memory does.
    pub memory: Option<Memory>,
    pub immediate: i64,
}

/// Operands in registers alone.
pub const fn registers(registers: [u8; 4], immediate: i64) -> Operands {
    Operands { registers, memory: None, immediate }
}

/// A general-purpose register by its number.
pub fn gpr(bytes: u32, number: u8) -> Register {
    let number = u32::from(number & 15);
    match (bytes, number) {
        (1, 0..4) => Register::AL + number,
        (1, _) => Register::SPL + (number - 4),
        (2, _) => Register::AX + number,
        (4, _) => Register::EAX + number,
        _ => Register::RAX + number,
    }
}

/// Whether an operand of an encoding may be, or must be, in memory.
pub fn has_memory(code: Code) -> bool {
    let info = code.op_code();
    (0..info.op_count()).any(|operand| in_memory(info.op_kind(operand)).is_some())
}

/// Whether all operands of an encoding may be registers or immediates.
pub fn has_registers(code: Code) -> bool {
    let info = code.op_code();
    (0..info.op_count()).all(|operand| info.op_kind(operand) != OpCodeOperandKind::mem)
}

/// Whether an encoding has an immediate operand.
pub fn has_immediate(code: Code) -> bool {
    let info = code.op_code();
    (0..info.op_count()).any(|operand| immediate(info.op_kind(operand), 0).is_some())
}

/// For an operand that may be in memory: the size of the register that it may be instead, 0 for none, 16 for vectors.
fn in_memory(kind: OpCodeOperandKind) -> Option<u32> {
    use OpCodeOperandKind::{mem, r8_or_mem, r16_or_mem, r32_or_mem, r64_or_mem, xmm_or_mem};
    match kind {
        mem => Some(0),
        r8_or_mem => Some(1),
        r16_or_mem => Some(2),
        r32_or_mem => Some(4),
        r64_or_mem => Some(8),
        xmm_or_mem => Some(16),
        _ => None,
    }
}

/// The size of a register operand that is chosen, 16 for vectors.
fn in_register(kind: OpCodeOperandKind) -> Option<u32> {
    use OpCodeOperandKind as K;
    match kind {
        K::r8_reg | K::r8_opcode => Some(1),
        K::r16_reg | K::r16_opcode | K::r16_rm => Some(2),
        K::r32_reg | K::r32_opcode | K::r32_rm | K::r32_vvvv => Some(4),
        K::r64_reg | K::r64_opcode | K::r64_rm | K::r64_vvvv => Some(8),
        K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4 => Some(16),
        _ => None,
    }
}

fn fixed_register(kind: OpCodeOperandKind) -> Option<Register> {
    match kind {
        OpCodeOperandKind::al => Some(Register::AL),
        OpCodeOperandKind::ax => Some(Register::AX),
        OpCodeOperandKind::eax => Some(Register::EAX),
        OpCodeOperandKind::rax => Some(Register::RAX),
        OpCodeOperandKind::cl => Some(Register::CL),
        _ => None,
    }
}

/// How an immediate is written, and its bits.
fn immediate(kind: OpCodeOperandKind, value: i64) -> Option<(OpKind, u64)> {
    use OpCodeOperandKind as K;
    let of = |bits: u32| value.cast_unsigned() & (u64::MAX >> (64 - bits));
    match kind {
        K::imm8_const_1 => Some((OpKind::Immediate8, 1)),
        K::imm8 => Some((OpKind::Immediate8, of(8))),
        K::imm16 => Some((OpKind::Immediate16, of(16))),
        K::imm32 => Some((OpKind::Immediate32, of(32))),
        K::imm64 => Some((OpKind::Immediate64, of(64))),
        K::imm8sex16 => Some((OpKind::Immediate8to16, of(8))),
        K::imm8sex32 => Some((OpKind::Immediate8to32, of(8))),
        K::imm8sex64 => Some((OpKind::Immediate8to64, of(8))),
        K::imm32sex64 => Some((OpKind::Immediate32to64, of(32))),
        _ => None,
    }
}

/// An instruction with its bytes, as the decoder reads it. `None` if there is none with such operands.
pub fn assemble(code: Code, operands: &Operands) -> Option<(Vec<u8>, Instruction)> {
    let info = code.op_code();
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    for operand in 0..info.op_count() {
        let kind = info.op_kind(operand);
        let number = operands.registers[operand as usize];
        let vector = || Register::XMM0 + u32::from(number & 15);
        let memory = in_memory(kind).map(|bytes| (bytes, operands.memory));
        match (memory, in_register(kind), fixed_register(kind)) {
            (Some((_, Some(memory))), ..) => set_memory(&mut instruction, operand, &memory),
            (Some((0, None)), ..) => return None,
            (Some((16, None)), ..) | (_, Some(16), _) => set_register(&mut instruction, operand, vector()),
            (Some((bytes, None)), ..) | (_, Some(bytes), _) => {
                set_register(&mut instruction, operand, gpr(bytes, number));
            }
            (.., Some(register)) => set_register(&mut instruction, operand, register),
            _ => {
                let (kind, bits) = immediate(kind, operands.immediate)?;
                instruction.set_op_kind(operand, kind);
                set_immediate(&mut instruction, kind, bits);
            }
        }
    }
    if operands.memory.is_some() && !(0..info.op_count()).any(|operand| in_memory(info.op_kind(operand)).is_some()) {
        return None;
    }
    encode(&instruction)
}

/// The instruction as it is decoded from its bytes.
pub fn encode(instruction: &Instruction) -> Option<(Vec<u8>, Instruction)> {
    let mut encoder = Encoder::new(64);
    encoder.encode(instruction, AT.into()).ok()?;
    let bytes = encoder.take_buffer();
    let decoded = decode(&bytes, AT);
    (decoded.code() == instruction.code()).then_some((bytes, decoded))
}

/// The first instruction of these bytes, at an offset in the text.
pub fn decode(bytes: &[u8], at: u32) -> Instruction {
    Decoder::with_ip(64, bytes, at.into(), DecoderOptions::NONE).decode()
}

fn set_register(instruction: &mut Instruction, operand: u32, register: Register) {
    instruction.set_op_kind(operand, OpKind::Register);
    instruction.set_op_register(operand, register);
}

fn set_memory(instruction: &mut Instruction, operand: u32, memory: &Memory) {
    instruction.set_op_kind(operand, OpKind::Memory);
    let displacement = i64::from(memory.displacement).cast_unsigned();
    if memory.relative {
        instruction.set_memory_base(Register::RIP);
        instruction.set_memory_displ_size(8);
        instruction.set_memory_displacement64(displacement);
        return;
    }
    if let Some(base) = memory.base {
        instruction.set_memory_base(gpr(8, base.0));
    }
    if let Some((index, scale)) = memory.index {
        instruction.set_memory_index(gpr(8, index.0));
        instruction.set_memory_index_scale(scale);
    }
    instruction.set_memory_displacement64(displacement);
    let is_small = i8::try_from(memory.displacement).is_ok() && memory.base.is_some();
    instruction.set_memory_displ_size(if is_small { 1 } else { 8 });
}

fn set_immediate(instruction: &mut Instruction, kind: OpKind, bits: u64) {
    let [low, ..] = bits.to_le_bytes();
    match kind {
        OpKind::Immediate64 => instruction.set_immediate64(bits),
        OpKind::Immediate8to16 => instruction.set_immediate8to16(i16::from(low.cast_signed())),
        OpKind::Immediate8to32 => instruction.set_immediate8to32(i32::from(low.cast_signed())),
        OpKind::Immediate8to64 => instruction.set_immediate8to64(i64::from(low.cast_signed())),
        OpKind::Immediate8 => instruction.set_immediate8(low),
        OpKind::Immediate16 => instruction.set_immediate16(u16::try_from(bits).unwrap_or(0)),
        OpKind::Immediate32to64 => {
            instruction.set_immediate32to64(i64::from(u32::try_from(bits).unwrap_or(0).cast_signed()));
        }
        _ => instruction.set_immediate32(u32::try_from(bits).unwrap_or(0)),
    }
}
