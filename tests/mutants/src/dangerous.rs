//! Changes that break the contract for certain. Where one would be harmless, the operator sees that from the code before, and
//! leaves the place alone.

use super::subject::{Clamp, Origin, Subject, number};
use super::{Patch, Random, encode, nops};
use iced_x86::{Code, FlowControl, Instruction, OpKind, Register};
use wave_contract::STACK_PROBE_BYTES;
use wave_contract::abi::{FUEL, SLOT_BYTES};
use wave_contract::context::{RESULTS, STACK_LIMIT, STORE, TABLE_ENTRY_SIGNATURE};
use wave_contract::trap::TrapCode;

/// One way to change an instruction. `None` where it does not apply.
pub struct Operator {
    pub name: &'static str,
    pub make: fn(&Subject<'_>, usize, &mut Random) -> Option<Patch>,
}

pub const OPERATORS: &[Operator] = &[
    Operator { name: "an instruction that has no place in code", make: forbidden },
    Operator { name: "displacement below linear memory", make: below_memory },
    Operator { name: "index scaled beyond the guard", make: scaled },
    Operator { name: "stack address as index", make: address_as_index },
    Operator { name: "index of 64 bits", make: dirty_index },
    Operator { name: "zero-extension widened", make: widened },
    Operator { name: "zero-extension dropped", make: dropped_extension },
    Operator { name: "field of the context written", make: written_field },
    Operator { name: "entry of a table written", make: written_entry },
    Operator { name: "constants of the function written", make: written_constant },
    Operator { name: "fuel counter beyond the result area", make: fuel_counter },
    Operator { name: "stack address stored in memory", make: leaked },
    Operator { name: "access below the stack pointer", make: below_stack },
    Operator { name: "access above the frame", make: above_frame },
    Operator { name: "return address or saved RBP overwritten", make: overwritten_return },
    Operator { name: "restored register dropped", make: dropped_restore },
    Operator { name: "restored register swapped", make: swapped_restore },
    Operator { name: "stack pointer moved by 8 or 16 more or less", make: moved_stack },
    Operator { name: "frame grown without a touch", make: grown_frame },
    Operator { name: "touch of a large frame", make: touch },
    Operator { name: "arguments popped at return", make: popped },
    Operator { name: "call of no function's first byte", make: called },
    Operator { name: "jump into an instruction", make: into_instruction },
    Operator { name: "jump out of the function", make: out_of_function },
    Operator { name: "comparison with a table's length", make: bound },
    Operator { name: "comparison of a signature", make: signature },
    Operator { name: "status of a hostcall", make: status },
    Operator { name: "stack limit", make: stack_limit },
    Operator { name: "clamp of a jump table", make: clamp },
    Operator { name: "entry of a jump table", make: table_entry },
    Operator { name: "call of data", make: called_data },
    Operator { name: "context of a callee", make: context },
    Operator { name: "end of the function dropped", make: fallen_off },
    Operator { name: "table of traps", make: traps },
    Operator { name: "table of positions", make: sources },
];

fn replaced(subject: &Subject<'_>, at: usize, bytes: &[u8]) -> Option<Patch> {
    let len = subject.instructions[at].len();
    let mut new = bytes.to_vec();
    new.extend(nops(len.checked_sub(bytes.len())?));
    Some(Patch::Code { at: subject.offset(at), bytes: new })
}

fn encoded(subject: &Subject<'_>, at: usize, instruction: &Instruction) -> Option<Patch> {
    replaced(subject, at, &encode(instruction)?)
}

/// One byte of an instruction.
fn changed(subject: &Subject<'_>, at: usize, byte: usize, change: impl FnOnce(u8) -> u8) -> Option<Patch> {
    let mut bytes = subject.bytes(at).to_vec();
    bytes[byte] = change(bytes[byte]);
    Some(Patch::Code { at: subject.offset(at), bytes })
}

fn is_register(instruction: &Instruction, operand: u32) -> bool {
    instruction.op_kind(operand) == OpKind::Register
}

fn has_memory(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory)
        && !matches!(instruction.code(), Code::Lea_r64_m | Code::Lea_r32_m | Code::Nop_rm32 | Code::Nop_rm16)
}

/// Where the displacement lies in the instruction, and its size.
fn displacement(subject: &Subject<'_>, at: usize) -> Option<(usize, usize)> {
    let instruction = &subject.instructions[at];
    let mut decoder = iced_x86::Decoder::with_ip(64, subject.bytes(at), instruction.ip(), 0);
    let decoded = decoder.decode();
    let offsets = decoder.get_constant_offsets(&decoded);
    offsets.has_displacement().then(|| (offsets.displacement_offset(), offsets.displacement_size()))
}

fn with_displacement(subject: &Subject<'_>, at: usize, wide: i32, narrow: i8) -> Option<Patch> {
    let mut bytes = subject.bytes(at).to_vec();
    match displacement(subject, at)? {
        (from, 4) => bytes[from..from + 4].copy_from_slice(&wide.to_le_bytes()),
        (from, 1) => bytes[from] = narrow.cast_unsigned(),
        _ => return None,
    }
    Some(Patch::Code { at: subject.offset(at), bytes })
}

fn forbidden(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    const FORBIDDEN: &[&[u8]] = &[
        &[0x0f, 0x05],
        &[0x0f, 0x34],
        &[0xcd, 0x80],
        &[0xcc],
        &[0xf1],
        &[0xf4],
        &[0xec],
        &[0xee],
        &[0xfa],
        &[0xfd],
        &[0x0f, 0x31],
        &[0x0f, 0xa2],
        &[0x0f, 0x30],
        &[0x0f, 0x01, 0xd0],
        &[0x0f, 0x01, 0xef],
        &[0xf3, 0x48, 0x0f, 0xae, 0xd7],
        &[0xf3, 0x48, 0x0f, 0xae, 0xc7],
        &[0x0f, 0xae, 0x17],
        &[0x9d],
        &[0xc9],
        &[0xa4],
        &[0x48, 0xab],
        &[0x48, 0x87, 0x07],
        &[0xf0, 0x01, 0x07],
        &[0x65, 0x8b, 0x07],
        &[0x8e, 0xe7],
    ];
    replaced(subject, at, random.pick(FORBIDDEN)?)
}

fn below_memory(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let index = subject.index(at)?;
    let below = 0x1000 + i32::try_from(random.below(0x0fff_0000)).ok()?;
    if subject.all.addressing.fixed().is_some() {
        let alone = subject.instructions[at].memory_index() == Register::None;
        let known = matches!(subject.origin(at, index), Origin::Constant(_));
        // Nothing is mapped there.
        return if alone && !known { with_displacement(subject, at, below, 0) } else { None };
    }
    let narrow = i8::try_from(random.below(128)).ok()?;
    let is_any = subject.origin(at, index) == Origin::Word;
    if is_any { with_displacement(subject, at, -below, -1 - narrow) } else { None }
}

fn scaled(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let index = subject.index(at)?;
    let mut instruction = subject.instructions[at];
    let is_any = subject.origin(at, index) == Origin::Word;
    if !is_any || instruction.memory_index() == Register::None {
        return None;
    }
    if instruction.memory_base() == index {
        instruction.set_memory_base(instruction.memory_index());
        instruction.set_memory_index(index);
    }
    instruction.set_memory_index_scale(8);
    encoded(subject, at, &instruction)
}

fn with_index(subject: &Subject<'_>, at: usize, register: Register) -> Option<Patch> {
    let index = subject.index(at)?;
    let mut instruction = subject.instructions[at];
    match instruction.memory_base() == index {
        true => instruction.set_memory_base(register),
        false => instruction.set_memory_index(register),
    }
    encoded(subject, at, &instruction)
}

fn address_as_index(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let in_body = at >= 2 && subject.has_frame_pointer;
    if in_body { with_index(subject, at, Register::RBP) } else { None }
}

const REGISTERS: [Register; 16] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RBX,
    Register::RSP,
    Register::RBP,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

fn dirty_index(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    subject.index(at)?;
    let dirty: Vec<Register> =
        REGISTERS.into_iter().filter(|register| subject.origin(at, *register) == Origin::Data).collect();
    with_index(subject, at, *random.pick(&dirty)?)
}

/// A copy or a load of 32 bits that becomes one of 64, of which all can be anything.
fn widened(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let loads = instruction.code() == Code::Mov_r32_rm32 && subject.index(at).is_some();
    let copies = matches!(instruction.code(), Code::Mov_r32_rm32 | Code::Mov_rm32_r32)
        && is_register(instruction, 0)
        && is_register(instruction, 1)
        && subject.origin(at, instruction.op1_register()) == Origin::Data;
    let has_rex = subject.bytes(at)[0] & 0xf8 == 0x40;
    if !has_rex || !(loads || copies) || !subject.becomes_index(at, instruction.op0_register()) {
        return None;
    }
    changed(subject, at, 0, |rex| rex | 8)
}

fn dropped_extension(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let copies = matches!(instruction.code(), Code::Mov_r32_rm32 | Code::Mov_rm32_r32)
        && is_register(instruction, 0)
        && is_register(instruction, 1);
    let is_dirty = copies && subject.origin(at, instruction.op0_register()) == Origin::Data;
    if !is_dirty || !subject.becomes_index(at, instruction.op0_register()) {
        return None;
    }
    replaced(subject, at, &[])
}

/// A load as the store of its destination.
fn stored(subject: &Subject<'_>, at: usize) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let mut other = *instruction;
    let code = match instruction.code() {
        Code::Mov_r64_rm64 => Code::Mov_rm64_r64,
        Code::Mov_r32_rm32 => Code::Mov_rm32_r32,
        Code::VEX_Vmovups_xmm_xmmm128 => Code::VEX_Vmovups_xmmm128_xmm,
        Code::VEX_Vmovdqu_xmm_xmmm128 => Code::VEX_Vmovdqu_xmmm128_xmm,
        Code::VEX_Vmovsd_xmm_m64 => Code::VEX_Vmovsd_m64_xmm,
        Code::VEX_Vmovss_xmm_m32 => Code::VEX_Vmovss_m32_xmm,
        _ => return None,
    };
    other.set_code(code);
    other.set_op0_kind(OpKind::Memory);
    other.set_op1_kind(OpKind::Register);
    other.set_op1_register(instruction.op0_register());
    encoded(subject, at, &other)
}

fn written_field(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    subject.context_field(at)?;
    stored(subject, at)
}

/// The fuel counter is the last slot of its area, and nothing is behind it.
fn fuel_counter(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    if !has_memory(instruction) || instruction.memory_index() != Register::None {
        return None;
    }
    let place = instruction.memory_displacement64();
    let is_counter = match (subject.all.addressing.fixed(), subject.origin(at, instruction.memory_base())) {
        (Some(fixed), Origin::Constant(bits)) => bits.wrapping_add(place) == fixed.results + u64::from(FUEL),
        (None, Origin::Address) => place == u64::from(FUEL),
        _ => false,
    };
    let beyond = place + u64::from(SLOT_BYTES) * (1 + random.below(500));
    let wide = i32::try_from(beyond).ok().filter(|_| is_counter)?;
    with_displacement(subject, at, wide, i8::MAX)
}

/// Whether an index of a table is multiplied by the size of an entry.
fn scales(subject: &Subject<'_>, at: usize) -> bool {
    let instruction = &subject.instructions[at];
    instruction.code() == Code::Shl_rm64_imm8 && instruction.immediate8() == 4
}

/// The comparison and the jump behind a load of an entry's signature, which is followed by a load of its code.
fn entry_load(subject: &Subject<'_>, at: usize) -> Option<(usize, usize)> {
    scales(subject, at.checked_sub(1)?).then_some(())?;
    let compare = subject.next(at)?;
    let jump = subject.next(compare)?;
    let [first, second, third] = [at, compare, jump].map(|at| &subject.instructions[at]);
    let compares = matches!(second.code(), Code::Cmp_rm32_imm8 | Code::Cmp_rm32_imm32 | Code::Cmp_EAX_imm32)
        && is_register(second, 0)
        && second.op0_register() == first.op0_register();
    let code = subject.instructions.get(jump + 1)?;
    let same = (code.memory_base(), code.memory_index()) == (first.memory_base(), first.memory_index());
    let fields = first.memory_displacement64().wrapping_sub(code.memory_displacement64());
    let is_entry = first.code() == Code::Mov_r32_rm32
        && code.code() == Code::Mov_r64_rm64
        && third.code() == Code::Jne_rel32_64
        && compares
        && same
        && fields == u64::from(TABLE_ENTRY_SIGNATURE);
    is_entry.then_some((compare, jump))
}

fn written_entry(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let is_code = at >= 3 && entry_load(subject, at - 3).is_some();
    if is_code || entry_load(subject, at).is_some() { stored(subject, at) } else { None }
}

fn written_constant(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    if subject.instructions[at].is_ip_rel_memory_operand() { stored(subject, at) } else { None }
}

fn leaked(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    subject.index(at)?;
    let mut instruction = subject.instructions[at];
    if instruction.code() != Code::Mov_rm64_r64 {
        return None;
    }
    instruction.set_op1_register(Register::RSP);
    encoded(subject, at, &instruction)
}

fn below_stack(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let is_frame = has_memory(instruction) && instruction.memory_base() == Register::RSP;
    if !is_frame || instruction.memory_index() != Register::None {
        return None;
    }
    let wide = i32::try_from(random.below(1 << 30)).ok()?;
    with_displacement(subject, at, -1 - wide, i8::try_from(-1 - i64::try_from(random.below(128)).ok()?).ok()?)
}

fn above_frame(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let base = instruction.memory_base();
    let based = base == Register::RBP && subject.has_frame_pointer && at >= 2 || base == Register::RSP;
    if !has_memory(instruction) || !based || instruction.memory_index() != Register::None {
        return None;
    }
    let wide = (1 << 30) + i32::try_from(random.below(1 << 30)).ok()?;
    let (_, size) = displacement(subject, at)?;
    // Of so many arguments on the stack there are fewer.
    let few = subject.unit.ty.params.len() <= 8;
    match size {
        1 if base == Register::RBP && few => with_displacement(subject, at, wide, 127),
        4 => with_displacement(subject, at, wide, 0),
        _ => None,
    }
}

fn overwritten_return(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let frame = i64::try_from(subject.frame_bytes()?).ok()?;
    let stores = instruction.code() == Code::Mov_rm64_r64
        && has_memory(instruction)
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None;
    // Two instructions set up the frame, a third makes room.
    if !stores || at < 3 || !subject.returns[at] {
        return None;
    }
    let to = frame + 8 * i64::from(random.below(2) == 1);
    let narrow = i8::try_from(to);
    let (_, size) = displacement(subject, at)?;
    if size == 1 && narrow.is_err() {
        return None;
    }
    with_displacement(subject, at, i32::try_from(to).ok()?, narrow.unwrap_or(0))
}

const SAVED: [Register; 5] = [Register::RBX, Register::R12, Register::R13, Register::R14, Register::R15];

/// Whether a saved register is restored here and has another value on some path that leads here.
fn restores(subject: &Subject<'_>, at: usize) -> Option<Register> {
    let is_restore = |at: usize| {
        let instruction = &subject.instructions[at];
        instruction.code() == Code::Mov_r64_rm64
            && instruction.op1_kind() == OpKind::Memory
            && matches!(instruction.memory_base(), Register::RSP | Register::RBP)
            && SAVED.contains(&instruction.op0_register())
    };
    if !is_restore(at) || !subject.is_followed {
        return None;
    }
    let register = subject.instructions[at].op0_register();
    let bit = 1 << number(register)?;
    // Nothing writes it until the function is left.
    let mut last = at;
    while !subject.leaves(last) {
        last = subject.next(last)?;
        if subject.written[last] & bit != 0 {
            return None;
        }
    }
    let before = subject.leads_to(vec![at]);
    let is_changed = (0..at).any(|other| before[other] && subject.written[other] & bit != 0 && !is_restore(other));
    is_changed.then_some(register)
}

fn dropped_restore(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    restores(subject, at)?;
    replaced(subject, at, &[])
}

fn swapped_restore(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let register = restores(subject, at)?;
    let mut instruction = subject.instructions[at];
    let other = random.pick(&SAVED).copied().filter(|other| *other != register)?;
    instruction.set_op0_register(other);
    encoded(subject, at, &instruction)
}

/// Whether RSP is moved by sums alone.
fn sums_alone(subject: &Subject<'_>) -> bool {
    subject.instructions.iter().all(|instruction| {
        !matches!(instruction.code(), Code::Mov_r64_rm64 | Code::Mov_rm64_r64 | Code::Lea_r64_m)
            || instruction.op0_kind() != OpKind::Register
            || instruction.op0_register() != Register::RSP
    })
}

/// What an instruction adds to RSP or takes from it, at the beginning or right before the end.
fn moves_stack(subject: &Subject<'_>, at: usize) -> Option<i32> {
    let instruction = &subject.instructions[at];
    if instruction.op_count() != 2 || !is_register(instruction, 0) || instruction.op0_register() != Register::RSP {
        return None;
    }
    let counts = match instruction.code() {
        Code::Sub_rm64_imm8 | Code::Sub_rm64_imm32 => at == 2 && subject.returns[at],
        Code::Add_rm64_imm8 | Code::Add_rm64_imm32 => {
            let mut last = at;
            while !subject.leaves(last) {
                last = subject.next(last)?;
            }
            true
        }
        _ => false,
    };
    counts.then(|| i32::try_from(instruction.immediate(1).cast_signed()).ok()).flatten()
}

fn with_immediate(subject: &Subject<'_>, at: usize, to: i32) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    match instruction.op1_kind() {
        OpKind::Immediate8to64 => {
            i8::try_from(to).ok()?;
            instruction.set_immediate8to64(to.into());
        }
        OpKind::Immediate32to64 => instruction.set_immediate32to64(to.into()),
        OpKind::Immediate8to32 => {
            i8::try_from(to).ok()?;
            instruction.set_immediate8to32(to);
        }
        OpKind::Immediate32 => instruction.set_immediate32(to.cast_unsigned()),
        _ => return None,
    }
    encoded(subject, at, &instruction)
}

fn moved_stack(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let bytes = moves_stack(subject, at).filter(|_| sums_alone(subject))?;
    with_immediate(subject, at, bytes + random.pick(&[-16, -8, 8, 16])?)
}

fn grown_frame(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let bytes = moves_stack(subject, at)?;
    let is_first = at == 2 && subject.instructions[at].code() == Code::Sub_rm64_imm32;
    let more = i32::try_from(STACK_PROBE_BYTES + 16 + 16 * random.below(1 << 20)).ok()?;
    if is_first { with_immediate(subject, at, bytes + more) } else { None }
}

/// One of the touches of a frame that takes several: `sub rsp, step; mov [rsp], 0; …; add rsp, all; sub rsp, frame`. Nothing else
/// comes within a step of what lies below.
fn touch(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let moves = |at: usize, code: Code| {
        let instruction = subject.instructions.get(at)?;
        let is = instruction.code() == code && instruction.op0_register() == Register::RSP;
        is.then(|| instruction.immediate(1))
    };
    let touches = |at: usize| {
        let instruction = &subject.instructions[at];
        instruction.code() == Code::Mov_rm32_imm32 && instruction.memory_base() == Register::RSP
    };
    if at < 3 || !touches(at) {
        return None;
    }
    let depth: u64 = (2..at).filter_map(|before| moves(before, Code::Sub_rm64_imm32)).sum();
    let mut last = at;
    while moves(last, Code::Add_rm64_imm32).is_none() {
        last = subject.next(last)?;
    }
    let frame = moves(last + 1, Code::Sub_rm64_imm32)?;
    if frame > depth { replaced(subject, at, &[]) } else { None }
}

fn popped(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    if instruction.code() != Code::Retnq_imm16 {
        return None;
    }
    let bytes = i32::from(instruction.immediate16()) + random.pick(&[-16, -8, 8, 16])?;
    instruction.set_immediate16(u16::try_from(bytes).ok()?);
    encoded(subject, at, &instruction)
}

/// A direct branch that leads elsewhere.
fn redirected(subject: &Subject<'_>, at: usize, to: u64) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    if instruction.op0_kind() != OpKind::NearBranch64 {
        return None;
    }
    instruction.set_near_branch64(to);
    encoded(subject, at, &instruction)
}

fn begins_a_function(subject: &Subject<'_>, to: u64) -> bool {
    u32::try_from(to).is_ok_and(|to| subject.all.begins_a_function(to))
}

fn called(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let to = instruction.near_branch64();
    let to = match random.below(4) {
        0 => to.wrapping_sub(1),
        1 => to.wrapping_add(1),
        2 => to.wrapping_add(4),
        _ => random.below(subject.all.text_len.into()),
    };
    let calls = instruction.is_call_near() && !begins_a_function(subject, to);
    if calls { redirected(subject, at, to) } else { None }
}

/// The middle of an instruction that is always executed before this one.
fn middle(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<u64> {
    let mut before = at;
    for _ in 0..random.below(16) {
        before = before.checked_sub(1).filter(|before| subject.next(*before) == Some(*before + 1)).unwrap_or(before);
    }
    let instruction = &subject.instructions[before];
    let into = 1 + random.below(instruction.len() as u64);
    (into < instruction.len() as u64).then(|| instruction.ip() + into)
}

fn into_instruction(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    subject.target(at)?;
    redirected(subject, at, middle(subject, at, random)?)
}

fn out_of_function(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    subject.target(at)?;
    let range = subject.unit.range;
    let by = 1 + random.below(256);
    let to = match random.below(2) {
        0 => u64::from(range.start).checked_sub(by)?,
        _ => u64::from(range.start) + u64::from(range.len) + by,
    };
    if begins_a_function(subject, to) { None } else { redirected(subject, at, to) }
}

/// A comparison and the conditional jump behind it: one of the two dropped, or the condition the other way round.
fn check(subject: &Subject<'_>, compare: usize, jump: usize, random: &mut Random) -> Option<Patch> {
    match random.below(3) {
        0 => replaced(subject, compare, &[]),
        1 => replaced(subject, jump, &[]),
        _ => {
            let mut instruction = subject.instructions[jump];
            instruction.negate_condition_code();
            encoded(subject, jump, &instruction)
        }
    }
}

fn compares(instruction: &Instruction) -> bool {
    instruction.mnemonic() == iced_x86::Mnemonic::Cmp
}

/// Behind the size of an entry there is that of the comparison: `cmp; jae; xor; cmp; cmovae; mov; shl`.
fn bound(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let is_entry = |at: usize| scales(subject, at) && entry_load(subject, at + 1).is_some();
    if !is_entry(at) {
        return None;
    }
    let jump = (at.saturating_sub(8)..at)
        .rev()
        .take_while(|before| subject.next(*before).is_some())
        .find(|before| subject.instructions[*before].flow_control() == FlowControl::ConditionalBranch)?;
    let compare = jump.checked_sub(1).filter(|at| compares(&subject.instructions[*at]))?;
    // The program may have used the same index before.
    let before = subject.leads_to(vec![compare]);
    let is_first = !(0..subject.instructions.len()).any(|other| other != at && before[other] && is_entry(other));
    if is_first && subject.is_followed { check(subject, compare, jump, random) } else { None }
}

fn signature(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let (compare, jump) = entry_load(subject, at)?;
    if random.below(4) > 0 {
        return check(subject, compare, jump, random);
    }
    // One that no type has, or that of null.
    with_immediate(subject, compare, *random.pick(&[0, i32::from(i8::MAX)])?)
        .filter(|_| !subject.all.has_signature(wave_contract::types::SignatureId(127)))
}

fn status(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let test = subject.next(at).filter(|_| subject.instructions[at].is_call_near_indirect())?;
    let jump = subject.next(test)?;
    let tests = subject.instructions[test].code() == Code::Test_rm64_r64
        && subject.instructions[test].op0_register() == Register::RDX
        && subject.instructions[test].op1_register() == Register::RDX
        && subject.instructions[jump].code() == Code::Jne_rel32_64;
    // Where the program ends in any case, the status does not matter.
    let goes_on = subject.returns.get(jump + 1) == Some(&true);
    if tests && goes_on { check(subject, test, jump, random) } else { None }
}

fn stack_limit(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let is_limit = |at: usize| {
        compares(&subject.instructions[at])
            && subject.context_field(at) == Some(STACK_LIMIT)
            && subject
                .next(at)
                .is_some_and(|jump| subject.instructions[jump].flow_control() == FlowControl::ConditionalBranch)
    };
    if !is_limit(at) || !subject.is_followed {
        return None;
    }
    // The function may have looked at it before, and its frame is the same.
    let before = subject.leads_to(vec![at]);
    let is_first = !(0..subject.instructions.len()).any(|other| other != at && before[other] && is_limit(other));
    if is_first { check(subject, at, at + 1, random) } else { None }
}

fn clamp(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let Clamp { entries, choice, count, .. } = subject.clamp(at)?;
    let mut instruction = subject.instructions[choice];
    match random.below(3) {
        0 => {
            let mut longer = subject.instructions[entries];
            longer.set_immediate32(u32::try_from(u64::from(count) + 0x1_0000 + random.below(1 << 16)).ok()?);
            encoded(subject, entries, &longer)
        }
        1 => {
            instruction.negate_condition_code();
            encoded(subject, choice, &instruction)
        }
        _ => {
            instruction.set_code(Code::Mov_r32_rm32);
            encoded(subject, choice, &instruction)
        }
    }
}

fn table_entry(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let Clamp { count, table, .. } = subject.clamp(at)?;
    let range = subject.unit.range;
    let entry = usize::try_from(table.checked_sub(u64::from(range.start))?).ok()?;
    let entry = entry + 4 * usize::try_from(random.below(count.into())).ok()?;
    let to = match random.below(3) {
        0 => u64::from(range.start).checked_sub(1 + random.below(1 << 16))?,
        1 => u64::from(range.start) + u64::from(range.len) + random.below(1 << 16),
        _ => middle(subject, at, random)?,
    };
    let new = i32::try_from(to.cast_signed() - table.cast_signed()).ok()?;
    Some(Patch::Code { at: entry, bytes: new.to_le_bytes().to_vec() })
}

/// The code that is called, taken from where the program writes.
fn called_data(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let field = subject.context_field(at)?;
    let loads = instruction.code() == Code::Mov_r64_rm64;
    let mut call = at;
    while loads && !subject.instructions[call].is_call_near_indirect() {
        call = subject.next(call)?;
        if subject.written[call] & 1 << number(instruction.op0_register())? != 0
            && !subject.instructions[call].is_call_near_indirect()
        {
            return None;
        }
    }
    let calls = loads && call != at && subject.instructions[call].op0_kind() == OpKind::Register;
    if !calls || subject.instructions[call].op0_register() != instruction.op0_register() {
        return None;
    }
    let to = *random.pick(&[STORE, STACK_LIMIT, RESULTS, subject.all.first_cell()])?;
    let displacement = instruction.memory_displacement64().wrapping_add(u64::from(to)).wrapping_sub(field.into());
    let displacement = i32::try_from(displacement.cast_signed()).ok()?;
    let narrow = i8::try_from(displacement);
    if self::displacement(subject, at)?.1 == 1 && narrow.is_err() {
        return None;
    }
    with_displacement(subject, at, displacement, narrow.unwrap_or(0))
}

fn context(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let instruction = &subject.instructions[at];
    let passes = matches!(instruction.code(), Code::Mov_r64_rm64 | Code::Mov_rm64_r64)
        && is_register(instruction, 0)
        && instruction.op0_register() == Register::RDI;
    if !passes || subject.all.addressing.fixed().is_some() {
        return None;
    }
    let mut call = at;
    while !subject.instructions[call].is_call_near() {
        call = subject.next(call)?;
        if subject.written[call] & 1 << 7 != 0 || subject.instructions[call].is_call_near_indirect() {
            return None;
        }
    }
    replaced(subject, at, &[0x31, 0xff])
}

fn fallen_off(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let ends = subject.offset(at) + subject.instructions[at].len() == subject.unit.code.len();
    if ends { replaced(subject, at, &[]) } else { None }
}

/// Whether an instruction can neither fault nor call.
fn is_quiet(instruction: &Instruction) -> bool {
    let divides = matches!(instruction.mnemonic(), iced_x86::Mnemonic::Div | iced_x86::Mnemonic::Idiv);
    !has_memory(instruction) && instruction.flow_control() == FlowControl::Next && !divides
}

/// Another place for an entry of a table that is in order.
fn moved_entry<V: Copy>(
    subject: &Subject<'_>,
    entries: &[(u32, V)],
    at: usize,
    random: &mut Random,
) -> Option<Vec<(u32, V)>> {
    let found = entry_of(subject, entries, at)?;
    let to = entries[found].0 + 1 + u32::try_from(random.below(16)).ok()?;
    let is_free = entries.get(found + 1).is_none_or(|(next, _)| *next > to);
    let inside = subject.unit.range.contains(to);
    // Not the last byte of a call, of which the table of positions speaks.
    let holder = subject.instructions.partition_point(|other| other.ip() <= u64::from(to)).checked_sub(1)?;
    let holder = &subject.instructions[holder];
    let lies = match subject.numbers.get(&to) {
        Some(_) => is_quiet(holder),
        None => u64::from(to) + 1 != holder.next_ip() || is_quiet(holder),
    };
    (is_free && inside && lies).then(|| with_entry(entries, found, (to, entries[found].1)))
}

/// The entry of an instruction.
fn entry_of<V>(subject: &Subject<'_>, entries: &[(u32, V)], at: usize) -> Option<usize> {
    let offset = u32::try_from(subject.instructions[at].ip()).ok()?;
    entries.binary_search_by_key(&offset, |(offset, _)| *offset).ok()
}

/// A table with another entry in the place of one.
fn with_entry<V: Copy>(entries: &[(u32, V)], number: usize, entry: (u32, V)) -> Vec<(u32, V)> {
    let mut entries = entries.to_vec();
    entries[number] = entry;
    entries
}

fn traps(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let entries = subject.unit.traps;
    if random.below(2) == 0 {
        return moved_entry(subject, entries, at, random).map(Patch::Traps);
    }
    // A fault of another kind than the instruction has.
    let found = entry_of(subject, entries, at)?;
    let (offset, code) = entries[found];
    let heap = TrapCode::HeapOutOfBounds as u8;
    let divides = matches!(subject.instructions[at].mnemonic(), iced_x86::Mnemonic::Div | iced_x86::Mnemonic::Idiv);
    let code = match code == heap {
        true if !divides => TrapCode::IntegerDivisionByZero as u8,
        false if subject.index(at).is_none() => heap,
        _ => return None,
    };
    Some(Patch::Traps(with_entry(entries, found, (offset, code))))
}

fn sources(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    moved_entry(subject, subject.unit.sources, at, random).map(Patch::Sources)
}
