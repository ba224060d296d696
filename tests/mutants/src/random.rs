//! Changes at random: of most the code does something else in its own place.

use super::dangerous::Operator;
use super::subject::Subject;
use super::{Patch, Random, encode, nops};
use iced_x86::{Code, Decoder, FlowControl, Instruction, OpKind, Register};

pub const OPERATORS: &[Operator] = &[
    Operator { name: "bit", make: bit },
    Operator { name: "byte", make: byte },
    Operator { name: "another opcode", make: opcode },
    Operator { name: "width", make: width },
    Operator { name: "register", make: register },
    Operator { name: "base or index", make: address },
    Operator { name: "operands exchanged", make: exchanged_operands },
    Operator { name: "immediate", make: immediate },
    Operator { name: "displacement", make: displacement },
    Operator { name: "condition", make: condition },
    Operator { name: "branch target", make: target },
    Operator { name: "dropped", make: dropped },
    Operator { name: "doubled", make: doubled },
    Operator { name: "exchanged with the next", make: exchanged },
];

fn patch(subject: &Subject<'_>, at: usize, bytes: Vec<u8>) -> Option<Patch> {
    Some(Patch::Code { at: subject.offset(at), bytes })
}

/// The same length, with nothing behind what is shorter.
fn encoded(subject: &Subject<'_>, at: usize, instruction: &Instruction) -> Option<Patch> {
    let mut bytes = encode(instruction)?;
    bytes.extend(nops(subject.instructions[at].len().checked_sub(bytes.len())?));
    patch(subject, at, bytes)
}

fn bit(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut bytes = subject.bytes(at).to_vec();
    let byte = random.index(bytes.len())?;
    bytes[byte] ^= 1 << random.below(8);
    patch(subject, at, bytes)
}

fn byte(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut bytes = subject.bytes(at).to_vec();
    let byte = random.index(bytes.len())?;
    bytes[byte] = bytes[byte].wrapping_add(u8::try_from(1 + random.below(255)).ok()?);
    patch(subject, at, bytes)
}

fn opcode(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    let by = usize::try_from(1 + random.below(6)).ok()?;
    let number = instruction.code() as usize;
    let number = if random.below(2) == 0 { number.checked_sub(by)? } else { number + by };
    instruction.set_code(Code::try_from(number).ok()?);
    encoded(subject, at, &instruction)
}

fn width(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let mut bytes = subject.bytes(at).to_vec();
    let rex = bytes.iter().take(2).position(|byte| byte & 0xf0 == 0x40)?;
    bytes[rex] ^= 8;
    patch(subject, at, bytes)
}

/// Another register of the same kind and size.
fn other_register(random: &mut Random, register: Register) -> Option<Register> {
    let base = register as u32 - u32::try_from(register.number()).ok()?;
    let is_plain = register.is_gpr32() || register.is_gpr64() || register.is_xmm();
    let other = base + u32::try_from(random.below(16)).ok()?;
    Register::try_from(usize::try_from(other).ok()?).ok().filter(|other| is_plain && *other != register)
}

fn register(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    let operand = u32::try_from(random.index(instruction.op_count() as usize)?).ok()?;
    if instruction.op_kind(operand) != OpKind::Register {
        return None;
    }
    let other = other_register(random, instruction.op_register(operand))?;
    instruction.set_op_register(operand, other);
    encoded(subject, at, &instruction)
}

fn address(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    let is_base = random.below(2) == 0;
    let old = if is_base { instruction.memory_base() } else { instruction.memory_index() };
    if !old.is_gpr64() {
        return None;
    }
    let other = other_register(random, old)?;
    match is_base {
        true => instruction.set_memory_base(other),
        false => instruction.set_memory_index(other),
    }
    encoded(subject, at, &instruction)
}

fn exchanged_operands(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    if instruction.op_count() < 2 || [0, 1].iter().any(|at| instruction.op_kind(*at) != OpKind::Register) {
        return None;
    }
    let (one, other) = (instruction.op0_register(), instruction.op1_register());
    instruction.set_op0_register(other);
    instruction.set_op1_register(one);
    if one == other { None } else { encoded(subject, at, &instruction) }
}

fn constant(subject: &Subject<'_>, at: usize, is_displacement: bool) -> Option<(usize, usize)> {
    let mut decoder = Decoder::with_ip(64, subject.bytes(at), subject.instructions[at].ip(), 0);
    let decoded = decoder.decode();
    let offsets = decoder.get_constant_offsets(&decoded);
    match is_displacement {
        true => offsets.has_displacement().then(|| (offsets.displacement_offset(), offsets.displacement_size())),
        false => offsets.has_immediate().then(|| (offsets.immediate_offset(), offsets.immediate_size())),
    }
}

/// A constant that is one more or less, a power of two away, or anything.
fn other_constant(subject: &Subject<'_>, at: usize, is_displacement: bool, random: &mut Random) -> Option<Patch> {
    let (from, len) = constant(subject, at, is_displacement)?;
    let mut bytes = subject.bytes(at).to_vec();
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(&bytes[from..from + len]);
    let old = u64::from_le_bytes(wide);
    let new = match random.below(4) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old ^ 1 << random.below(8 * len as u64),
        _ => random.next(),
    };
    bytes[from..from + len].copy_from_slice(&new.to_le_bytes()[..len]);
    patch(subject, at, bytes)
}

fn immediate(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    if subject.instructions[at].op0_kind() == OpKind::NearBranch64 {
        return None;
    }
    other_constant(subject, at, false, random)
}

fn displacement(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    other_constant(subject, at, true, random)
}

fn condition(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut bytes = subject.bytes(at).to_vec();
    let conditional = subject.instructions[at].condition_code() != iced_x86::ConditionCode::None;
    let opcode = bytes.iter().position(|byte| *byte == 0x0f).map_or(0, |escape| escape + 1);
    *bytes.get_mut(opcode).filter(|_| conditional)? ^= u8::try_from(1 + random.below(15)).ok()?;
    patch(subject, at, bytes)
}

fn target(subject: &Subject<'_>, at: usize, random: &mut Random) -> Option<Patch> {
    let mut instruction = subject.instructions[at];
    subject.target(at)?;
    instruction.set_near_branch64(random.pick(&subject.instructions)?.ip());
    encoded(subject, at, &instruction)
}

fn dropped(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    patch(subject, at, nops(subject.instructions[at].len()))
}

/// An instruction once more in the place of the next.
fn doubled(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let next = subject.next(at)?;
    let mut bytes = subject.bytes(at).to_vec();
    bytes.extend(nops(subject.bytes(next).len().checked_sub(bytes.len())?));
    patch(subject, next, bytes)
}

fn exchanged(subject: &Subject<'_>, at: usize, _: &mut Random) -> Option<Patch> {
    let next = subject.next(at)?;
    patch(subject, at, [subject.bytes(next), subject.bytes(at)].concat())
}

/// What an accepted change is about.
pub fn class(subject: &Subject<'_>, at: usize, code: &[u8], operator: &str) -> &'static str {
    let old = &subject.instructions[at];
    let mut decoder = Decoder::with_ip(64, &code[subject.offset(at)..], old.ip(), 0);
    let new = decoder.decode();
    let is_branch = matches!(old.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch);
    match operator {
        "dropped" | "doubled" | "exchanged with the next" => {
            return if is_branch {
                "a branch of the program dropped"
            } else if has_memory(old) {
                "a load or store dropped, doubled or exchanged"
            } else {
                "a computation dropped, doubled or exchanged"
            };
        }
        _ => {}
    }
    let is_vector = |instruction: &Instruction| {
        (0..instruction.op_count())
            .any(|at| instruction.op_kind(at) == OpKind::Register && instruction.op_register(at).is_xmm())
    };
    if old == &new && old.len() == new.len() {
        return "the same instruction in other bytes";
    }
    if new.code() != old.code() {
        return match () {
            () if is_branch => "condition or length of a branch",
            () if is_vector(old) || is_vector(&new) => "another vector instruction",
            () if has_memory(old) || has_memory(&new) => "another load, store or operation with memory",
            () => "another computation",
        };
    }
    if is_branch {
        return "target of a branch";
    }
    let same_address = (old.memory_base(), old.memory_index(), old.memory_index_scale())
        == (new.memory_base(), new.memory_index(), new.memory_index_scale());
    let same_place = same_address && old.memory_displacement64() == new.memory_displacement64();
    if has_memory(old) && !same_place {
        return match old.memory_base() {
            Register::RSP | Register::RBP => "another place in the frame",
            Register::RIP => "another constant of the function",
            _ if same_address => "another displacement",
            _ => "another base or index",
        };
    }
    let immediates = |instruction: &Instruction| {
        (0..instruction.op_count()).map(|at| instruction.try_immediate(at).ok()).collect::<Vec<_>>()
    };
    match () {
        () if immediates(old) != immediates(&new) => "another immediate",
        () if is_vector(old) => "another vector register",
        () => "another register of data",
    }
}

fn has_memory(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory)
}
