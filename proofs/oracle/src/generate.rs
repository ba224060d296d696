//! Single instructions of every encoding that code may consist of, with operands that meet often.

use crate::module::UNIT_BYTES;
use crate::operands::{self, Target, constant, general, small, usual, whole};
use crate::plans::JUMP_TABLE;
use crate::random::Random;
use crate::world::World;
use iced_x86::{Code, Instruction, OpCodeOperandKind as Wanted, OpKind, Register};
use wave_verifier::rules::{Kind, State, Value, kind};

/// Encodings by how often they should occur.
pub struct Encodings {
    /// All that do not transfer control.
    straight: Vec<Code>,
    /// Those whose results the verifier follows.
    followed: Vec<Code>,
    /// All that do.
    branches: Vec<Code>,
}

/// What moves values between places and compares them: most of what can go wrong.
const MOVES: [Code; 22] = [
    Code::Mov_r64_rm64,
    Code::Mov_rm64_r64,
    Code::Mov_r32_rm32,
    Code::Mov_rm32_r32,
    Code::Mov_r64_rm64,
    Code::Lea_r64_m,
    Code::Cmp_r32_rm32,
    Code::Cmp_rm32_r32,
    Code::Cmp_rm64_r64,
    Code::Cmp_r64_rm64,
    Code::Shl_rm64_imm8,
    Code::Add_r64_rm64,
    Code::Add_rm64_imm32,
    Code::Xor_rm64_r64,
    Code::Xor_r32_rm32,
    Code::Sub_rm64_r64,
    Code::Cmp_rm32_imm8,
    Code::Test_rm64_r64,
    Code::Mov_r32_imm32,
    Code::Cmovae_r64_rm64,
    Code::Cmovb_r32_rm32,
    Code::Movsxd_r64_rm32,
];

/// Whether an instruction of this kind may go elsewhere than to what follows.
#[must_use]
pub const fn is_branch(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Call
            | Kind::CallIndirect
            | Kind::Jump
            | Kind::JumpIndirect
            | Kind::JumpIf
            | Kind::Return
            | Kind::Undefined
    )
}

impl Default for Encodings {
    /// From the verifier's list.
    fn default() -> Self {
        let is_followed = |kind| {
            matches!(
                kind,
                Kind::Move
                    | Kind::MoveZero
                    | Kind::MoveSign
                    | Kind::Address
                    | Kind::Add
                    | Kind::Subtract
                    | Kind::And
                    | Kind::ShiftLeft
                    | Kind::ShiftRight
                    | Kind::Search
                    | Kind::Compare
                    | Kind::Test
                    | Kind::MoveIf
                    | Kind::Push
                    | Kind::Pop
                    | Kind::SetIf
            )
        };
        let (mut straight, mut followed, mut branches) = (Vec::new(), Vec::new(), Vec::new());
        for (code, kind) in allowed() {
            if is_branch(kind) {
                branches.push(code);
                continue;
            }
            straight.push(code);
            if is_followed(kind) {
                followed.push(code);
            }
        }
        Self { straight, followed, branches }
    }
}

impl Encodings {
    /// One of them.
    pub fn pick(&self, random: &mut Random) -> Code {
        match random.below(32) {
            0..=7 => random.pick(&self.straight),
            8..=14 => random.pick(&self.followed),
            15 => random.pick(&self.branches),
            _ => random.pick(&MOVES),
        }
    }
}

/// The allowed encodings.
pub fn allowed() -> impl Iterator<Item = (Code, Kind)> {
    Code::values().filter_map(|code| Some((code, kind(code)?)))
}

/// An instruction of an encoding, for this state. `at` is where it will lie, `targets` where a branch may lead. `None` for an
/// encoding whose operands are of a kind that is not known here: [`crate::report`] would show it as never tried.
pub fn instruction(
    code: Code,
    world: &World,
    state: &State,
    at: u32,
    targets: &[u32],
    random: &mut Random,
) -> Option<Instruction> {
    let mut made = Instruction::default();
    made.set_code(code);
    let wants = code.op_code();
    let may_have_memory = random.one_in(2);
    for operand in 0..wants.op_count() {
        match wants.op_kind(operand) {
            Wanted::mem => set_memory(&mut made, operand, operands::memory(world, state, random), at),
            Wanted::r8_or_mem | Wanted::r16_or_mem | Wanted::r32_or_mem | Wanted::r64_or_mem | Wanted::xmm_or_mem
                if may_have_memory =>
            {
                set_memory(&mut made, operand, operands::memory(world, state, random), at);
            }
            Wanted::br64_1 | Wanted::br64_4 => {
                let short = wants.op_kind(operand) == Wanted::br64_1;
                let target = branch_target(code, at, targets, short, random);
                made.set_op_kind(operand, OpKind::NearBranch64);
                made.set_near_branch64(target);
            }
            wanted => {
                if let Some(register) = wanted_register(wanted, code, state, random) {
                    made.set_op_kind(operand, OpKind::Register);
                    made.set_op_register(operand, register);
                } else {
                    set_immediate(&mut made, operand, wanted, world, random)?;
                }
            }
        }
    }
    Some(made)
}

/// Sets an operand to a place in memory.
fn set_memory(made: &mut Instruction, operand: u32, target: Target, at: u32) {
    let Target { base, index, scale, displacement } = target;
    made.set_op_kind(operand, OpKind::Memory);
    made.set_memory_base(base);
    made.set_memory_index(index);
    made.set_memory_index_scale(scale);
    let is_relative = base == Register::RIP;
    // Constants lie where no instruction is placed: the text stays as it is there.
    let constants = at / UNIT_BYTES * UNIT_BYTES + JUMP_TABLE;
    let from = if is_relative { i64::from(constants) } else { 0 };
    made.set_memory_displacement64((from + displacement).cast_unsigned());
    let is_short = displacement == 0 && !is_relative && base != Register::None;
    made.set_memory_displ_size(if is_short { 0 } else { 8 });
}

fn branch_target(code: Code, at: u32, targets: &[u32], short: bool, random: &mut Random) -> u64 {
    let is_call = kind(code) == Some(Kind::Call);
    if is_call || (kind(code) == Some(Kind::Jump) && !short && random.one_in(2)) {
        let start = random.pick(&crate::module::starts());
        return if random.one_in(20) { u64::from(start) + 1 } else { start.into() };
    }
    let near: Vec<u32> = targets.iter().copied().filter(|target| !short || target.abs_diff(at) < 100).collect();
    if near.is_empty() { u64::from(at) + 32 } else { random.pick(&near).into() }
}

/// A register that an operand can be. Calls and jumps through a register use one that holds code, a test one with a status.
fn wanted_register(wanted: Wanted, code: Code, state: &State, random: &mut Random) -> Option<Register> {
    let bytes = match wanted {
        Wanted::r8_or_mem | Wanted::r8_reg | Wanted::r8_opcode => 1,
        Wanted::r16_or_mem | Wanted::r16_reg | Wanted::r16_opcode | Wanted::r16_rm => 2,
        Wanted::r32_or_mem | Wanted::r32_reg | Wanted::r32_opcode | Wanted::r32_rm | Wanted::r32_vvvv => 4,
        Wanted::r64_or_mem | Wanted::r64_reg | Wanted::r64_opcode | Wanted::r64_rm | Wanted::r64_vvvv => 8,
        Wanted::xmm_or_mem | Wanted::xmm_reg | Wanted::xmm_rm | Wanted::xmm_vvvv | Wanted::xmm_is4 => {
            return Some(vector(random.below(16) as u32));
        }
        Wanted::al => return Some(Register::AL),
        Wanted::ax => return Some(Register::AX),
        Wanted::eax => return Some(Register::EAX),
        Wanted::rax => return Some(Register::RAX),
        Wanted::cl => return Some(Register::CL),
        _ => return None,
    };
    let known = match kind(code) {
        Some(Kind::CallIndirect | Kind::JumpIndirect) => operands::register_with(state, random, is_code),
        Some(Kind::Test) => operands::register_with(state, random, |value| value == Value::Status),
        _ => None,
    };
    Some(general(known.unwrap_or_else(|| usual(random)), bytes))
}

const fn is_code(value: Value) -> bool {
    matches!(
        value,
        Value::Code { .. } | Value::Import(_) | Value::Libcall(_) | Value::EnteredCode | Value::JumpTarget { .. }
    )
}

fn vector(number: u32) -> Register {
    Register::XMM0 + number
}

fn set_immediate(
    made: &mut Instruction,
    operand: u32,
    wanted: Wanted,
    world: &World,
    random: &mut Random,
) -> Option<()> {
    let kind = match wanted {
        Wanted::imm8 | Wanted::imm8_const_1 => OpKind::Immediate8,
        Wanted::imm16 => OpKind::Immediate16,
        Wanted::imm32 => OpKind::Immediate32,
        Wanted::imm64 => OpKind::Immediate64,
        Wanted::imm8sex16 => OpKind::Immediate8to16,
        Wanted::imm8sex32 => OpKind::Immediate8to32,
        Wanted::imm8sex64 => OpKind::Immediate8to64,
        Wanted::imm32sex64 => OpKind::Immediate32to64,
        _ => return None,
    };
    made.set_op_kind(operand, kind);
    match wanted {
        Wanted::imm8_const_1 => made.set_immediate8(1),
        Wanted::imm8 if random.one_in(3) => made.set_immediate8(4),
        Wanted::imm8 => made.set_immediate8(random.bits() as u8 & random.pick(&[0xff, 0x3f, 7])),
        // Of `ret`: what it takes from the stack.
        Wanted::imm16 if random.one_in(2) => made.set_immediate16(world.arguments as u16),
        Wanted::imm16 => made.set_immediate16(random.bits() as u16),
        Wanted::imm32 => made.set_immediate32(constant(world, random) as u32),
        Wanted::imm64 => made.set_immediate64(constant(world, random)),
        Wanted::imm8sex16 => made.set_immediate8to16(small(random).into()),
        Wanted::imm8sex32 => made.set_immediate8to32(small(random).into()),
        Wanted::imm8sex64 => made.set_immediate8to64(small(random).into()),
        _ => made.set_immediate32to64((constant(world, random) as i32).into()),
    }
    Some(())
}

/// As [`Instruction::with2`], with a register and a place in memory.
pub fn load(code: Code, register: Register, from: Target) -> Instruction {
    pair(code, register, from, 1)
}

/// As [`load`], the place first.
pub fn store(code: Code, to: Target, register: Register) -> Instruction {
    pair(code, register, to, 0)
}

fn pair(code: Code, register: Register, place: Target, memory: u32) -> Instruction {
    let mut made = Instruction::default();
    made.set_code(code);
    set_memory(&mut made, memory, place, 0);
    made.set_op_kind(1 - memory, OpKind::Register);
    made.set_op_register(1 - memory, register);
    made
}

/// An instruction with a register of 64 bits and a constant.
pub fn with_constant(code: Code, number: u8, constant: i32) -> Instruction {
    Instruction::with2(code, whole(number), constant).expect("a register of 64 bits and a constant")
}
