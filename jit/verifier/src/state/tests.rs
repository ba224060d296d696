//! What a state says of copies, beside a machine with registers and a stack: whatever happens, copies hold equal bits.

#![allow(clippy::cast_possible_truncation, reason = "all numbers are small")]

use super::*;

/// Bytes of the stack, of which the last eight hold the return address.
const STACK: i32 = 96;

/// A small generator of numbers, always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }

    fn bits(&mut self) -> u64 {
        self.below(1 << 31) << 32 | self.below(1 << 31)
    }
}

/// The machine that the state describes.
struct Machine {
    registers: [u64; 16],
    /// From offset `8 - STACK` to offset 8.
    stack: [u8; STACK as usize],
    pointer: i32,
}

impl Machine {
    fn at(offset: i32) -> usize {
        usize::try_from(offset + STACK - 8).expect("an offset in the stack")
    }

    fn word(&self, offset: i32) -> u64 {
        u64::from_le_bytes(*self.stack[Self::at(offset)..].first_chunk().expect("a whole word"))
    }

    fn write(&mut self, offset: i32, bytes: usize, value: u64) {
        self.stack[Self::at(offset)..][..bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    }

    /// Whoever may write below the stack pointer does.
    fn disturb(&mut self, random: &mut Random) {
        let end = Self::at(self.pointer);
        self.stack[..end].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
    }

    fn value(&self, home: Home) -> u64 {
        match home.as_register() {
            Some(register) => self.registers[usize::from(register.0)],
            None => self.word(home.0),
        }
    }
}

/// A place that 64 bits can be read from and written to now.
fn home(random: &mut Random, machine: &Machine) -> Home {
    let words = (8 - machine.pointer) / 4;
    match random.below(2) {
        0 => Home::word(machine.pointer + 4 * random.below(words.max(1) as u64) as i32),
        _ => Home::register(Gpr(random.below(16) as u8)),
    }
}

fn is_inside(home: Home) -> bool {
    home.as_register().is_some() || home.0 <= 0
}

#[test]
fn copies_hold_equal_bits() {
    for seed in 0..4_000 {
        let mut random = Random(seed);
        let mut state = State::at_entry();
        let mut machine = Machine { registers: [0; 16], stack: [0; STACK as usize], pointer: 0 };
        let mut earlier: Option<State> = None;
        let mut history = Vec::new();
        for _ in 0..60 {
            let what = match random.below(9) {
                // `push`, `pop`, `add`, `sub` and moves of the stack pointer.
                0 | 1 => {
                    let to = 8 * random.below(11) as i32 - 80;
                    (machine.pointer, machine.registers[4]) = (to, to as u64);
                    state.set(Gpr::RSP, Value::Frame(to));
                    format!("the stack pointer is {to}")
                }
                // A move of 64 bits.
                2..=5 => {
                    let (from, to) = (home(&mut random, &machine), home(&mut random, &machine));
                    let is_stack = to.as_register() == Some(Gpr::RSP);
                    if is_stack || !is_inside(from) || !is_inside(to) {
                        continue;
                    }
                    let bits = machine.value(from);
                    match to.as_register() {
                        Some(register) => {
                            machine.registers[usize::from(register.0)] = bits;
                            state.set(register, Value::Any);
                        }
                        None => {
                            machine.write(to.0, 8, bits);
                            state.write(to.0, 8, Value::U32);
                        }
                    }
                    state.copied(from, to);
                    format!("{from:?} is copied to {to:?}")
                }
                // A register is written, or a part of the frame.
                6 => match home(&mut random, &machine) {
                    to if to.as_register() == Some(Gpr::RSP) || !is_inside(to) => continue,
                    to => {
                        let bits = random.bits();
                        match to.as_register() {
                            Some(register) => {
                                machine.registers[usize::from(register.0)] = bits;
                                state.set(register, Value::Any);
                            }
                            None => {
                                machine.write(to.0, 4, bits);
                                state.write(to.0, 4, Value::Any);
                            }
                        }
                        format!("{to:?} is written")
                    }
                },
                // A call.
                7 => {
                    for number in Gpr::CLOBBERED {
                        machine.registers[usize::from(number)] = random.bits();
                    }
                    state.clobber();
                    "a call".to_owned()
                }
                // A join with what was known earlier, which keeps what both say.
                _ => match earlier.take() {
                    Some(other) => {
                        state.join(&other, &mut 0);
                        if state.stack().is_none() {
                            break;
                        }
                        "a join".to_owned()
                    }
                    None => {
                        let mut copy = State::default();
                        copy.copy_from(&state);
                        earlier = Some(copy);
                        continue;
                    }
                },
            };
            history.push(what);
            machine.disturb(&mut random);
            let context = || format!("seed {seed}: {}", history.join("; "));
            state.check().unwrap_or_else(|what| panic!("{what}: {}", context()));
            for (number, home) in (0..).zip(state.copies).filter(|(_, home)| *home != Home::ALONE) {
                assert_eq!(machine.value(Home::register(Gpr(number))), machine.value(home), "{number}: {}", context());
            }
        }
    }
}

/// Values of each kind, and some that contain others.
fn values() -> Vec<Value> {
    use crate::value::Object;
    let entry = Entry::Made(7);
    let number = |low, span| Value::Number { low, span };
    vec![
        Value::Any,
        Value::U32,
        number(0, 0),
        number(0, 1),
        number(0, 9),
        number(3, 2),
        number(1 << 32, 0),
        number(u64::from(u32::MAX), 1),
        Value::Frame(0),
        Value::Frame(-8),
        Value::Saved(Gpr::RBX),
        Value::Saved(Gpr::RBP),
        Value::Return,
        Value::Into { object: Object::Results, low: 0, span: 0 },
        Value::Into { object: Object::Results, low: 0, span: 8 },
        Value::Arena,
        Value::StackLimit,
        Value::Length(0),
        Value::Length(1),
        Value::Index(0),
        Value::Index(1),
        Value::LowIndex(0),
        Value::EntryOffset { table: 0, entry },
        Value::EntryField { table: 0, entry, field: 8 },
        Value::Signature { table: 0, entry },
        Value::Code { signature: SignatureId(1), entry },
        Value::CalleeOffset(entry),
        Value::CalleeContext(entry),
        Value::Import(0),
        Value::ImportContext(0),
        Value::Libcall(0),
        Value::Status,
        Value::EnteredCode,
        Value::EnteredContext { field: 0 },
        Value::Text { low: 0, span: 0 },
        Value::JumpOffset { at: 0, count: 1 },
        Value::JumpTarget { at: 0, count: 1 },
    ]
}

#[test]
fn a_value_implies_what_a_join_with_it_leaves_as_it_is() {
    let mut implied = 0;
    for one in values() {
        for other in values() {
            assert_eq!(one.implies(other), other.join(one) == other, "{one:?} and {other:?}");
            assert!(one.implies(one.join(other)) && other.implies(one.join(other)), "{one:?} and {other:?}");
            implied += usize::from(one != other && one.implies(other));
        }
    }
    // All imply `Any`, and numbers of 32 bits `U32`.
    assert_eq!(implied, 36 + 10 + 2);
}

type Change = Box<dyn Fn(&mut State)>;

/// States that differ from one another in each of their parts.
fn states() -> Vec<State> {
    let checked = |index| {
        let entry = Entry::Constant { table: 0, index };
        Some(Checked { table: 0, entry, signature: SignatureId(1) })
    };
    let compared = |register| {
        let left = Operand { register, value: Value::U32 };
        Flags::Compared { left, right: Operand { register: None, value: Value::Length(0) }, bytes: 4 }
    };
    let changes: Vec<Change> = vec![
        Box::new(|_| {}),
        Box::new(|state| state.set(Gpr::RAX, Value::U32)),
        Box::new(|state| state.set(Gpr::RAX, Value::exactly(0))),
        Box::new(|state| state.set(Gpr::RBX, Value::Any)),
        Box::new(|state| state.write(0, 8, Value::Any)),
        Box::new(|state| state.write(-8, 8, Value::U32)),
        Box::new(|state| state.write(-16, 8, Value::exactly(1))),
        Box::new(|state| state.copied(Home::register(Gpr::RBX), Home::register(Gpr::RDX))),
        Box::new(|state| state.copied(Home::word(-8), Home::register(Gpr::RDX))),
        Box::new(|state| state.touched = -64),
        Box::new(|state| state.room = -64),
        Box::new(|state| state.room = -128),
        Box::new(move |state| state.flags = compared(None)),
        Box::new(move |state| state.flags = compared(Some(Gpr::RAX))),
        Box::new(|state| state.flags = Flags::Tested),
        Box::new(move |state| state.checked = checked(0)),
        Box::new(move |state| state.checked = checked(1)),
        Box::new(|state| state.longer = Some((0, 1))),
        Box::new(|state| state.longer = Some((0, 2))),
        Box::new(|state| state.longer = Some((1, 2))),
        Box::new(|state| state.pending = true),
    ];
    let mut states = Vec::new();
    for one in &changes {
        for other in &changes {
            let mut state = State::at_entry();
            state.set(Gpr::RSP, Value::Frame(-32));
            one(&mut state);
            other(&mut state);
            states.push(state);
        }
    }
    states
}

#[test]
fn a_state_implies_what_a_join_with_it_leaves_as_it_is() {
    let states = states();
    let mut implied = 0;
    for one in &states {
        for other in &states {
            let mut joined = other.clone();
            let changed = joined.join(one, &mut 0);
            assert_eq!(one.implies(other, &mut 0), !changed, "{one:?}\nand {other:?}");
            assert!(one.implies(&joined, &mut 0) && other.implies(&joined, &mut 0), "{one:?}\nand {other:?}");
            implied += usize::from(one.implies(other, &mut 0));
        }
    }
    assert!(implied > states.len() && implied < states.len() * states.len() / 2, "{implied}");
}
