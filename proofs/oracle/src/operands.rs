//! Registers, constants and places in memory such as an instruction may name.

use crate::module;
use crate::random::Random;
use crate::world::World;
use iced_x86::Register;
use wave_contract::abi::RESULT_AREA_BYTES;
use wave_contract::context::{ARENA, GlobalSlot, RESULTS, STACK_LIMIT, TABLE_ENTRIES};
use wave_contract::libcall::Libcall;
use wave_verifier::rules::{Gpr, State, Value};

/// Registers by width and number.
const GENERAL: [[Register; 16]; 4] = {
    use Register::*;
    [
        [AL, CL, DL, BL, SPL, BPL, SIL, DIL, R8L, R9L, R10L, R11L, R12L, R13L, R14L, R15L],
        [AX, CX, DX, BX, SP, BP, SI, DI, R8W, R9W, R10W, R11W, R12W, R13W, R14W, R15W],
        [EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, R8D, R9D, R10D, R11D, R12D, R13D, R14D, R15D],
        [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15],
    ]
};

/// Those that most instructions use: few, so that instructions meet.
const USUAL: [u8; 8] = [0, 1, 2, 3, 6, 7, 8, 12];

/// A register of so many bytes.
#[must_use]
pub const fn general(number: u8, bytes: usize) -> Register {
    GENERAL[bytes.trailing_zeros() as usize][number as usize]
}

/// A register of 64 bits.
#[must_use]
pub const fn whole(number: u8) -> Register {
    general(number, 8)
}

/// A place in memory: base, index, scale and displacement.
#[derive(Clone, Copy)]
pub struct Target {
    pub base: Register,
    pub index: Register,
    pub scale: u32,
    pub displacement: i64,
}

impl Target {
    /// At a register plus a constant. From RIP, the constant counts from where the constants of the unit begin.
    #[must_use]
    pub const fn at(base: Register, displacement: i64) -> Self {
        Self { base, index: Register::None, scale: 1, displacement }
    }

    /// At an address, which has 31 bits.
    #[must_use]
    pub const fn absolute(address: u64) -> Self {
        Self::at(Register::None, address.cast_signed())
    }
}

/// A register whose value is of some kind; not the stack pointer.
#[inline(never)]
pub fn register_with(state: &State, random: &mut Random, is: impl Fn(Value) -> bool) -> Option<u8> {
    let (mut found, mut count) = (None, 0);
    for number in (0..16).filter(|number| *number != 4) {
        if is(state.get(Gpr(number))) {
            count += 1;
            if random.one_in(count) {
                found = Some(number);
            }
        }
    }
    found
}

/// A register such as instructions use: one of four usual ones, of eight, or any.
pub fn usual(random: &mut Random) -> u8 {
    match random.below(24) {
        0 => random.below(16) as u8,
        1..=6 => random.pick(&USUAL),
        _ => random.pick(&USUAL[..4]),
    }
}

/// A displacement from the stack pointer: words that overlap seldom, and others that do.
fn near_stack(random: &mut Random) -> i64 {
    let words = random.below(9) as i64;
    match random.below(6) {
        0 => random.below(64) as i64 - 8,
        1 if random.one_in(3) => -8,
        _ => 8 * words,
    }
}

/// An operand in memory that the verifier may accept.
pub fn memory(world: &World, state: &State, random: &mut Random) -> Target {
    for _ in 0..4 {
        if let Some(target) = memory_of_kind(world, state, random) {
            return target;
        }
    }
    let index = if random.one_in(2) { whole(usual(random)) } else { Register::None };
    Target {
        base: whole(usual(random)),
        index: if index == Register::RSP { Register::None } else { index },
        scale: random.pick(&[1, 2, 4, 8]),
        displacement: random.pick(&[0, 1, -1, 8, 16, -16, 0x1234, i32::MAX.into(), i32::MIN.into()]),
    }
}

fn memory_of_kind(world: &World, state: &State, random: &mut Random) -> Option<Target> {
    let narrow = |value: Value| value.is_32_bit();
    let base = random.pick(&world.addresses.memories).base as i64;
    Some(match random.below(12) {
        0..=3 => Target::at(Register::RSP, near_stack(random)),
        4 => {
            let frame = register_with(state, random, |value| matches!(value, Value::Frame(_)))?;
            Target::at(whole(frame), near_stack(random) - 24)
        }
        5 | 6 => {
            let number = whole(register_with(state, random, narrow)?);
            let further = random.pick(&[0, 0, 8, 64, 0x1000, 0x3000_0000, -1, -8]);
            // Only the first memory has an address that a displacement can hold.
            let displacement = i32::try_from(base + further).unwrap_or(0x4000_0000).into();
            let index = if random.one_in(3) { register_with(state, random, narrow) } else { None };
            let index = index.map_or(Register::None, whole);
            Target { base: number, index, scale: random.pick(&[1, 1, 2, 4, 8]), displacement }
        }
        7 => {
            let is_offset = |value| matches!(value, Value::EntryOffset { .. } | Value::Index(_));
            let offset = whole(register_with(state, random, is_offset)?);
            let header = world.header_at(random.pick(&module::WITH_ENTRIES)) as i64;
            Target::at(offset, header + i64::from(TABLE_ENTRIES) + random.pick(&[0, 8, 8, 12]))
        }
        8 | 9 => {
            let address = named_address(world, random);
            let is_object = |value| matches!(value, Value::Into { .. });
            match register_with(state, random, is_object) {
                // In mode arg by a register, if one leads there: another object's offset now and then.
                Some(object) if random.one_in(2) => {
                    let fields = [address as i64 & 0xfff, 64 + 8, random.below(0x200) as i64];
                    Target::at(whole(object), random.pick(&fields))
                }
                _ => Target::absolute(address),
            }
        }
        10 => Target::at(Register::RIP, random.below(0x300) as i64),
        _ => {
            let is_base = |value| {
                matches!(
                    value,
                    Value::Into { .. } | Value::EntryField { .. } | Value::Text { .. } | Value::EnteredContext { .. }
                )
            };
            let object = whole(register_with(state, random, is_base)?);
            let is_index = |value: Value| value.is_32_bit() || matches!(value, Value::EntryOffset { .. });
            let index = if random.one_in(2) { register_with(state, random, is_index) } else { None };
            let displacement = random.pick(&[0, 0, 8, 16, 64, 72, 76, 0x1000]);
            Target {
                base: object,
                index: index.map_or(Register::None, whole),
                scale: random.pick(&[1, 1, 4, 8]),
                displacement,
            }
        }
    })
}

/// The address of something that mode fixed names by a constant.
fn named_address(world: &World, random: &mut Random) -> u64 {
    let context = world.addresses.context;
    let field = |offset: u32| context + u64::from(offset);
    let GlobalSlot::Cell(cells) = world.layout.global(world.info.imported_globals) else { unreachable!("it is own") };
    let table = random.below(4) as u8;
    let addresses = &world.addresses;
    match random.below(16) {
        0 => field(STACK_LIMIT),
        1 => field(RESULTS),
        2 => field(
            world.layout.memory(random.below(addresses.memories.len() as u64) as u32) + 8 * random.below(2) as u32,
        ),
        3 => field(ARENA),
        4 => field(world.layout.libcall(random.pick(&Libcall::ALL))),
        5 => field(world.header_slot(table)),
        6 => field(world.layout.function(random.below(3) as u32) + 8 * random.below(2) as u32),
        7 => field(cells + 16 * random.below(4) as u32 + random.pick(&[0, 0, 4, 8, 12])),
        8 => addresses.globals[random.below(2) as usize] + random.pick(&[0, 0, 8]),
        9 => addresses.results + random.below(RESULT_AREA_BYTES.into()),
        10 => addresses.memories[0].descriptor + random.pick(&[0, 0, 16]),
        11 | 12 => world.header_at(table),
        13 => world.entry_at(table, random.below(12) as u32) + random.pick(&[0, 8, 8, 12]),
        14 => match world.layout.global(random.below(2) as u32) {
            GlobalSlot::Pointer(at) | GlobalSlot::Cell(at) => field(at),
        },
        _ => addresses.memories[0].base + random.below(1 << 29),
    }
}

/// A constant of 64 bits: addresses that mean something, small numbers, and any.
pub fn constant(world: &World, random: &mut Random) -> u64 {
    let addresses = &world.addresses;
    match random.below(10) {
        0 => addresses.context,
        1 => world.header_at(random.pick(&module::WITH_ENTRIES)),
        2 => addresses.tables[0] + u64::from(TABLE_ENTRIES),
        3 => random.pick(&addresses.memories).base,
        4 => addresses.results,
        5 | 6 => random.below(12),
        7 => random.bits() & 0xffff,
        _ => random.bits(),
    }
}

/// A constant of 8 bits.
pub fn small(random: &mut Random) -> i8 {
    match random.below(4) {
        0 => random.bits() as i8,
        1 => -8 * random.below(6) as i8,
        2 => random.below(8) as i8,
        _ => 8 * random.below(8) as i8,
    }
}
