//! Sequences with a purpose, which random instructions hardly ever form: calls through tables, calls of the host, returns.
//!
//! A plan is a proposal: the verifier may refuse an instruction of it, and then the rest is dropped. Random instructions come
//! between its steps now and then, so each plan also occurs with something wrong in the middle.

use crate::generate::{load, store, with_constant};
use crate::module;
use crate::operands::{Target, general, register_with, usual, whole};
use crate::random::Random;
use crate::world::World;
use iced_x86::{Code, Instruction, MemoryOperand, Register};
use std::collections::VecDeque;
use wave_collector::{ELEMENTS, FIELDS, HEADER, LENGTH};
use wave_contract::context::{
    ARENA, GlobalSlot, MEMORY_BASE, RESULTS, STACK_LIMIT, TABLE_ENTRIES, TABLE_ENTRY_CODE, TABLE_ENTRY_CONTEXT,
    TABLE_ENTRY_SIGNATURE,
};
use wave_contract::libcall::Libcall;
use wave_verifier::rules::{Gpr, Object, State, Value};

/// Where a jump table lies in each unit, how many entries it has, and which register a plan uses for what.
pub const JUMP_TABLE: u32 = 0xc00;
pub const JUMP_TABLE_ENTRIES: u32 = 32;

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;
const RDI: u8 = 7;

/// Instructions to come. Offsets of code count from where each will lie, so they are set later.
pub type Plan = VecDeque<Instruction>;

/// What a plan is made for.
pub struct Scene<'a> {
    pub world: &'a World,
    pub state: &'a State,
    /// Offset of the unit.
    pub unit: u32,
    pub is_thunk: bool,
}

/// A plan of some kind. Empty if this state gives no reason for it.
pub fn plan(scene: &Scene<'_>, random: &mut Random) -> Plan {
    let mut plan = Plan::new();
    match random.below(30) {
        0..=3 => scene.about_stack(&mut plan, random),
        4..=7 => scene.table_call(&mut plan, random).unwrap_or_default(),
        8 | 9 => scene.constant_entry_call(&mut plan, random).unwrap_or_default(),
        10..=13 => scene.host_call(&mut plan, random),
        14 | 15 => scene.direct_call(&mut plan, random),
        16 => scene.import_call(&mut plan, random),
        17 | 18 => scene.leave(&mut plan, random),
        19 => scene.tail_call(&mut plan, random),
        20 => scene.jump_table(&mut plan, random),
        21 | 22 => scene.chosen_index(&mut plan, random),
        23 => scene.entered(&mut plan, random),
        24 => scene.stack_limit(&mut plan, random),
        25..=28 => scene.object(&mut plan, random).unwrap_or_default(),
        _ => drop(scene.own_context(&mut plan, RDI)),
    }
    plan
}

/// A branch of a plan: where it leads is chosen when it is placed.
fn branch(code: Code) -> Instruction {
    Instruction::with_branch(code, 0).expect("a branch")
}

fn registers(code: Code, to: Register, from: Register) -> Instruction {
    Instruction::with2(code, to, from).expect("two registers")
}

impl Scene<'_> {
    /// Moves and copies of the stack pointer, and of words near it.
    fn about_stack(&self, plan: &mut Plan, random: &mut Random) {
        let register = random.pick(&[0, 1, 3, 5, 6]);
        let distance = 8 * random.below(9) as i64;
        let word = Target::at(Register::RSP, distance);
        let further = distance + 8 * random.below(3) as i64;
        // The stack pointer comes from a word that holds an address of the frame, if one does.
        let stack = self.state.stack().unwrap_or(0);
        let frame = self.state.words().into_iter().find(|(_, value)| matches!(value, Value::Frame(_)));
        let source = frame.map_or(distance, |(at, _)| i64::from(at - stack));
        plan.push_back(match random.below(12) {
            0 => load(Code::Lea_r64_m, whole(register), Target::at(Register::RSP, further)),
            1 => store(Code::Mov_rm64_r64, word, whole(register)),
            2 => store(Code::Mov_rm64_r64, word, Register::RSP),
            3 | 4 => load(Code::Mov_r64_rm64, Register::RSP, Target::at(Register::RSP, source)),
            5 => registers(Code::Mov_r64_rm64, Register::RSP, whole(register)),
            6 => registers(Code::Mov_r64_rm64, whole(register), Register::RSP),
            7 => with_constant(Code::Add_rm64_imm8, 4, distance as i32),
            8 => with_constant(Code::Sub_rm64_imm8, 4, distance as i32),
            9 => with_constant(Code::Sub_rm64_imm32, 4, 16 * random.below(0x800) as i32),
            10 => load(Code::Lea_r64_m, Register::RSP, Target::at(whole(register), distance - 32)),
            _ => load(Code::Mov_r64_rm64, whole(register), word),
        });
    }

    /// Aligns the stack pointer for a call with so many bytes of arguments in the frame. False if it is not known.
    fn align(&self, plan: &mut Plan, arguments: u64) -> bool {
        let Some(stack) = self.state.stack() else { return false };
        let lowest = stack.min(-(arguments as i32));
        let aligned = lowest - (lowest - 8).rem_euclid(16);
        let below = stack - aligned;
        if below > 0 {
            plan.push_back(with_constant(Code::Sub_rm64_imm32, 4, below));
        }
        true
    }

    /// Brings a value into a register, if it is known to be somewhere.
    fn bring(&self, plan: &mut Plan, value: Value, to: u8) -> bool {
        if self.state.get(Gpr(to)) == value {
            return true;
        }
        if let Some(from) = (0..16).find(|from| self.state.get(Gpr(*from)) == value) {
            plan.push_back(registers(Code::Mov_r64_rm64, whole(to), whole(from)));
            return true;
        }
        // The stack pointer may have moved since: one of `align` comes first.
        let Some(stack) = self.state.stack() else { return false };
        let Some((at, _)) = self.state.words().into_iter().find(|(_, own)| *own == value) else { return false };
        plan.push_front(load(Code::Mov_r64_rm64, whole(to), Target::at(Register::RSP, i64::from(at - stack))));
        true
    }

    /// The instance's context, in a register.
    fn own_context(&self, plan: &mut Plan, to: u8) -> bool {
        if self.world.is_fixed {
            let address = self.world.addresses.context;
            plan.push_back(
                Instruction::with2(Code::Mov_r64_imm64, whole(to), address).expect("a register and a number"),
            );
            return true;
        }
        self.bring(plan, Value::Into { object: Object::Context, low: 0, span: 0 }, to)
    }

    /// A place in the context: in mode arg by a register that holds it. `None` if none does.
    fn field(&self, offset: u32, random: &mut Random) -> Option<Target> {
        if self.world.is_fixed {
            return Some(Target::absolute(self.world.addresses.context + u64::from(offset)));
        }
        let is_context = |value| value == Value::Into { object: Object::Context, low: 0, span: 0 };
        Some(Target::at(whole(register_with(self.state, random, is_context)?), offset.into()))
    }

    /// A place in a table, plus the offset in a register if one is given. In mode arg, RAX is made its header's address first.
    fn in_table(&self, table: u8, field: u32, offset: Option<u8>) -> Target {
        let index = offset.map_or(Register::None, whole);
        if self.world.is_fixed {
            let header = self.world.header_at(table) as i64;
            return Target::at(index, header + i64::from(field));
        }
        let base = whole(RAX);
        Target { base, index, scale: 1, displacement: field.into() }
    }

    /// In mode arg, RAX becomes a table's header.
    fn header(&self, plan: &mut Plan, table: u8, random: &mut Random) -> Option<()> {
        if !self.world.is_fixed {
            let field = self.field(self.world.header_slot(table), random)?;
            plan.push_back(load(Code::Mov_r64_rm64, whole(RAX), field));
        }
        Some(())
    }

    /// A check of an index, its entry, its signature, and a call of its code, or a jump there.
    fn table_call(&self, plan: &mut Plan, random: &mut Random) -> Option<()> {
        let table = random.pick(&module::WITH_ENTRIES);
        let ty = random.below(module::INTEGERS.len() as u64) as usize;
        let index = random.pick(&[RCX, 3, 6, 8]);
        let (narrow, wide) = (general(index, 4), whole(index));
        if !self.align(plan, 32) {
            return None;
        }
        // The context survives, so that there is one for the next call.
        if !self.world.is_fixed && !random.one_in(4) {
            self.bring(plan, Value::Into { object: Object::Context, low: 0, span: 0 }, 12);
        }
        self.header(plan, table, random)?;
        plan.push_back(Instruction::with2(Code::Mov_r32_imm32, narrow, random.below(5) as u32).ok()?);
        if random.one_in(2) {
            plan.push_back(Instruction::with2(Code::And_rm32_imm8, narrow, 7).ok()?);
        }
        if random.one_in(3) {
            plan.push_back(registers(Code::Mov_r64_rm64, whole(9), wide));
        }
        plan.push_back(load(Code::Cmp_r32_rm32, narrow, self.in_table(table, 0, None)));
        plan.push_back(branch(Code::Jae_rel32_64));
        if random.one_in(3) {
            plan.push_back(registers(Code::Mov_r32_rm32, narrow, general(random.pick(&[index, 9]), 4)));
        }
        plan.push_back(with_constant(Code::Shl_rm64_imm8, index, 4));
        let entry = |field| self.in_table(table, TABLE_ENTRIES + field, Some(index));
        let compare = store(Code::Cmp_rm32_imm8, entry(TABLE_ENTRY_SIGNATURE), Register::None);
        plan.push_back(compared_with(compare, module::id_in(table, ty).0));
        plan.push_back(branch(Code::Jne_rel32_64));
        plan.push_back(load(Code::Mov_r64_rm64, whole(10), entry(TABLE_ENTRY_CODE)));
        if !self.world.is_fixed {
            plan.push_back(load(Code::Mov_r32_rm32, general(11, 4), entry(TABLE_ENTRY_CONTEXT)));
            // The context is in RDI or in R12, by what came before.
            let context = if self.state.get(Gpr(RDI)) == self.context() { RDI } else { 12 };
            plan.push_back(load(Code::Add_r64_rm64, whole(11), Target::at(whole(context), ARENA.into())));
            plan.push_back(registers(Code::Mov_r64_rm64, whole(RDI), whole(11)));
        }
        self.end_with_call(plan, 10, random);
        Some(())
    }

    const fn context(&self) -> Value {
        Value::Into { object: Object::Context, low: 0, span: 0 }
    }

    fn end_with_call(&self, plan: &mut Plan, callee: u8, random: &mut Random) {
        let code = if random.one_in(12) { Code::Jmp_rm64 } else { Code::Call_rm64 };
        plan.push_back(Instruction::with1(code, whole(callee)).expect("a register"));
    }

    /// The same with a constant index, now and then with the context of another table's entry.
    fn constant_entry_call(&self, plan: &mut Plan, random: &mut Random) -> Option<()> {
        let table = random.pick(&module::WITH_ENTRIES);
        let index = random.below(4) as u32;
        let ty = random.below(module::INTEGERS.len() as u64) as usize;
        if !self.align(plan, 32) {
            return None;
        }
        self.header(plan, table, random)?;
        if random.one_in(2) {
            let length = store(Code::Cmp_rm32_imm8, self.in_table(table, 0, None), Register::None);
            plan.push_back(compared_with(length, index));
            plan.push_back(branch(Code::Jbe_rel32_64));
        }
        let field = |table, field| self.in_table(table, TABLE_ENTRIES + 16 * index + field, None);
        let check = |table| {
            let compare = store(Code::Cmp_rm32_imm8, field(table, TABLE_ENTRY_SIGNATURE), Register::None);
            compared_with(compare, module::id_in(table, ty).0)
        };
        plan.push_back(check(table));
        plan.push_back(branch(Code::Jne_rel32_64));
        plan.push_back(load(Code::Mov_r64_rm64, whole(10), field(table, TABLE_ENTRY_CODE)));
        if !self.world.is_fixed {
            let mut other = table;
            if random.one_in(3) {
                // That of another entry: refused, or a mistake.
                other = *module::WITH_ENTRIES.iter().find(|other| **other != table)?;
                self.header(plan, other, random)?;
                plan.push_back(check(other));
                plan.push_back(branch(Code::Jne_rel32_64));
            }
            plan.push_back(load(Code::Mov_r32_rm32, general(11, 4), field(other, TABLE_ENTRY_CONTEXT)));
            let arena = self.field(ARENA, random)?;
            plan.push_back(load(Code::Add_r64_rm64, whole(11), arena));
            plan.push_back(registers(Code::Mov_r64_rm64, whole(RDI), whole(11)));
        }
        self.end_with_call(plan, 10, random);
        Some(())
    }

    /// Whether the host has room: a comparison of the stack pointer with the limit.
    fn stack_limit(&self, plan: &mut Plan, random: &mut Random) {
        if let Some(limit) = self.field(STACK_LIMIT, random) {
            let code = if random.one_in(2) { Code::Cmp_r64_rm64 } else { Code::Cmp_rm64_r64 };
            if code == Code::Cmp_r64_rm64 {
                plan.push_back(load(code, Register::RSP, limit));
            } else {
                plan.push_back(load(Code::Mov_r64_rm64, whole(RCX), limit));
                plan.push_back(registers(code, Register::RSP, whole(RCX)));
            }
            plan.push_back(branch(random.pick(&[Code::Jb_rel32_64, Code::Jb_rel32_64, Code::Jbe_rel8_64])));
        }
    }

    /// A library call or a call of the host, with what comes before and after.
    fn host_call(&self, plan: &mut Plan, random: &mut Random) {
        if !self.align(plan, 32) {
            return;
        }
        if !random.one_in(8) {
            self.stack_limit(plan, random);
        }
        let import = random.pick(&[0, 2]);
        let offset = if random.one_in(4) {
            self.world.layout.function(import)
        } else {
            self.world.layout.libcall(random.pick(&Libcall::ALL))
        };
        let Some(field) = self.field(offset, random) else { return };
        plan.push_back(load(Code::Mov_r64_rm64, whole(RAX), field));
        if !self.world.is_fixed && !random.one_in(4) {
            plan.push_back(registers(Code::Mov_r64_rm64, whole(12), field.base));
        }
        if !self.own_context(plan, RDI) {
            return;
        }
        plan.push_back(Instruction::with1(Code::Call_rm64, whole(RAX)).expect("a register"));
        if random.one_in(3) {
            // The status stays around.
            plan.push_back(registers(Code::Mov_r64_rm64, whole(random.pick(&[3, 5, 13])), whole(RDX)));
        }
        if !random.one_in(6) {
            plan.push_back(registers(Code::Test_rm64_r64, whole(RDX), whole(RDX)));
            plan.push_back(branch(Code::Jne_rel32_64));
        }
        if !self.world.is_fixed && random.one_in(2) {
            plan.push_back(registers(Code::Mov_r64_rm64, whole(RDI), whole(12)));
        }
    }

    /// A call of a function of the module.
    fn direct_call(&self, plan: &mut Plan, random: &mut Random) {
        if self.align(plan, random.pick(&[0, 16, 32])) && self.own_context(plan, RDI) {
            if !self.world.is_fixed && random.one_in(2) {
                plan.push_back(registers(Code::Mov_r64_rm64, whole(12), whole(RDI)));
            }
            plan.push_back(branch(Code::Call_rel32_64));
        }
    }

    /// A call of a function of another instance.
    fn import_call(&self, plan: &mut Plan, random: &mut Random) {
        let slot = self.world.layout.function(1);
        let fields = self.field(slot, random).zip(self.field(slot + 8, random));
        let Some((code, context)) = fields.filter(|_| self.align(plan, 0)) else { return };
        plan.push_back(load(Code::Mov_r64_rm64, whole(RAX), code));
        plan.push_back(load(Code::Mov_r64_rm64, whole(RDI), context));
        self.end_with_call(plan, RAX, random);
    }

    /// Restores what the caller had, as far as it is known where that is; the stack pointer last.
    fn restore(&self, plan: &mut Plan, to: i32) -> bool {
        let Some(stack) = self.state.stack() else { return false };
        let mut loads = Plan::new();
        for register in Gpr::SAVED {
            self.bring(&mut loads, Value::Saved(register), register.0);
        }
        plan.append(&mut loads);
        if to != stack {
            plan.push_back(with_constant(Code::Add_rm64_imm32, 4, to - stack));
        }
        true
    }

    /// A return.
    fn leave(&self, plan: &mut Plan, random: &mut Random) {
        if self.restore(plan, 0) {
            let popped = self.world.arguments as u32;
            plan.push_back(match popped {
                0 if !random.one_in(4) => Instruction::with(Code::Retnq),
                popped => Instruction::with1(Code::Retnq_imm16, popped).expect("a constant"),
            });
        }
    }

    /// A tail call: the return address moves if the callee has other arguments on the stack.
    fn tail_call(&self, plan: &mut Plan, random: &mut Random) {
        let Some(stack) = self.state.stack() else { return };
        let bytes = random.pick(&[0, 16, 32, self.world.arguments as i32]);
        let to = self.world.arguments as i32 - bytes;
        if to != 0 && to >= stack {
            plan.push_back(load(Code::Mov_r64_rm64, whole(RAX), Target::at(Register::RSP, i64::from(-stack))));
            plan.push_back(store(Code::Mov_rm64_r64, Target::at(Register::RSP, i64::from(to - stack)), whole(RAX)));
        }
        self.own_context(plan, RDI);
        if self.restore(plan, to) {
            plan.push_back(branch(Code::Jmp_rel32_64));
        }
    }

    /// A jump through a table.
    fn jump_table(&self, plan: &mut Plan, random: &mut Random) {
        let index = random.pick(&[RCX, RDX]);
        let table = i64::from(self.unit + JUMP_TABLE);
        let mut address =
            Instruction::with2(Code::Lea_r64_m, whole(3), MemoryOperand::with_base_displ_size(Register::RIP, table, 8))
                .expect("a register and a place");
        address.set_memory_displacement64(table.cast_unsigned());
        plan.push_back(address);
        let mask = random.pick(&[JUMP_TABLE_ENTRIES - 1, 7, 0]) as i32;
        plan.push_back(Instruction::with2(Code::And_rm32_imm8, general(index, 4), mask).expect("a register"));
        let entry = Target { base: whole(3), index: whole(index), scale: 4, displacement: 0 };
        plan.push_back(load(Code::Movsxd_r64_rm32, whole(6), entry));
        plan.push_back(registers(Code::Add_r64_rm64, whole(6), whole(3)));
        plan.push_back(Instruction::with1(Code::Jmp_rm64, whole(6)).expect("a register"));
    }

    /// An index that is 0 if it is not below the length, by a conditional move; no branch.
    fn chosen_index(&self, plan: &mut Plan, random: &mut Random) {
        let table = random.pick(&module::WITH_ENTRIES);
        let (index, zero) = (RCX, 8);
        if self.header(plan, table, random).is_none() {
            return;
        }
        plan.push_back(registers(Code::Xor_r32_rm32, general(zero, 4), general(zero, 4)));
        let length = self.in_table(table, 0, None);
        if random.one_in(2) {
            plan.push_back(load(Code::Cmp_r32_rm32, general(index, 4), length));
        } else {
            plan.push_back(load(Code::Mov_r32_rm32, general(9, 4), length));
            plan.push_back(registers(Code::Cmp_r32_rm32, general(index, 4), general(9, 4)));
        }
        if random.one_in(2) {
            plan.push_back(branch(Code::Jae_rel32_64));
        }
        let code = random.pick(&[Code::Cmovae_r64_rm64, Code::Cmovae_r32_rm32, Code::Cmova_r32_rm32]);
        let bytes = if code == Code::Cmovae_r64_rm64 { 8 } else { 4 };
        plan.push_back(registers(code, general(index, bytes), general(zero, bytes)));
        plan.push_back(with_constant(Code::Shl_rm64_imm8, index, 4));
        let signature = self.in_table(table, TABLE_ENTRIES + TABLE_ENTRY_SIGNATURE, Some(index));
        plan.push_back(load(Code::Mov_r32_rm32, general(10, 4), signature));
        plan.push_back(
            Instruction::with2(
                Code::Cmp_rm32_imm8,
                general(10, 4),
                module::id_in(table, random.below(module::INTEGERS.len() as u64) as usize).0.cast_signed(),
            )
            .expect("two"),
        );
        plan.push_back(branch(Code::Jne_rel8_64));
        let code = self.in_table(table, TABLE_ENTRIES + TABLE_ENTRY_CODE, Some(index));
        plan.push_back(load(Code::Mov_r64_rm64, whole(11), code));
        if self.align(plan, 32) {
            self.end_with_call(plan, 11, random);
        }
    }

    /// An access of an object, as the compiler makes it: the heap's first byte in RAX, a reference in RCX; what comes before is a test
    /// of an `i31`, or of the type by its descriptor, or a comparison with the length of an array.
    fn object(&self, plan: &mut Plan, random: &mut Random) -> Option<()> {
        let heap = self.world.heap();
        let (base, reference, index) = (whole(RAX), general(RCX, 4), general(RDX, 4));
        let place = |index, displacement: u32| Target { base, index, scale: 1, displacement: displacement.into() };
        let of_reference = |displacement| place(whole(RCX), displacement);
        if self.world.is_fixed {
            let address = self.world.addresses.memories[heap as usize].base;
            plan.push_back(Instruction::with2(Code::Mov_r64_imm64, base, address).ok()?);
        } else {
            let slot = self.world.layout.memory(heap) + MEMORY_BASE;
            plan.push_back(load(Code::Mov_r64_rm64, base, self.field(slot, random)?));
        }
        plan.push_back(match random.below(3) {
            0 => Instruction::with2(Code::Mov_r32_imm32, reference, random.bits() as u32 & !7).ok()?,
            // The upper half may be anything.
            1 => registers(Code::Mov_r64_rm64, whole(RCX), whole(usual(random))),
            _ => registers(Code::Mov_r32_rm32, reference, general(usual(random), 4)),
        });
        match random.below(5) {
            // An array: RCX becomes the place of an element, from which its first one is at a distance.
            0 | 1 => {
                plan.push_back(load(Code::Cmp_r32_rm32, index, of_reference(LENGTH)));
                plan.push_back(branch(Code::Jae_rel32_64));
                let code = random.pick(&[Code::Lea_r32_m, Code::Lea_r32_m, Code::Lea_r64_m]);
                let bytes = if code == Code::Lea_r32_m { 4 } else { 8 };
                let scale = random.pick(&[1, 2, 4, 8]);
                let element = Target { base: whole(RCX), index: whole(RDX), scale, displacement: 0 };
                plan.push_back(load(code, general(RCX, bytes), element));
            }
            2 => {
                plan.push_back(Instruction::with2(Code::Test_rm8_imm8, Register::CL, 3).ok()?);
                plan.push_back(branch(Code::Jne_rel32_64));
            }
            3 => {
                plan.push_back(load(Code::Mov_r32_rm32, index, of_reference(HEADER)));
                let GlobalSlot::Cell(cells) = self.world.layout.global(self.world.info.imported_globals) else {
                    return None;
                };
                plan.push_back(load(Code::Cmp_r32_rm32, index, self.field(cells + 48, random)?));
                plan.push_back(branch(random.pick(&[Code::Je_rel32_64, Code::Jne_rel32_64])));
                // A supertype's descriptor, by the one of the object.
                plan.push_back(load(Code::Mov_r32_rm32, general(6, 4), place(whole(RDX), 8 * random.below(9) as u32)));
            }
            _ => {}
        }
        let at = of_reference(random.pick(&[FIELDS, ELEMENTS, 16, 24, 0x1_0000]));
        plan.push_back(match random.below(10) {
            0 => store(Code::Mov_rm8_r8, at, Register::BL),
            1 => store(Code::Mov_rm16_r16, at, Register::BX),
            2 => store(Code::Mov_rm32_r32, at, Register::EBX),
            3 => store(Code::Mov_rm64_r64, at, Register::RBX),
            4 => load(Code::Movsx_r32_rm8, Register::EBX, at),
            5 => load(Code::Movsx_r32_rm16, Register::EBX, at),
            6 => load(Code::Movzx_r32_rm8, Register::EBX, at),
            7 => load(Code::Movzx_r32_rm16, Register::EBX, at),
            // A reference, which is used as one.
            8 => load(Code::Mov_r32_rm32, reference, at),
            _ => load(Code::Mov_r64_rm64, Register::RBX, at),
        });
        plan.push_back(load(Code::Mov_r32_rm32, general(6, 4), of_reference(FIELDS)));
        Some(())
    }

    /// What only an entry thunk does: it calls the code that it is given, and reads where results are.
    fn entered(&self, plan: &mut Plan, random: &mut Random) {
        if !self.is_thunk {
            return self.table_call(plan, random).unwrap_or_default();
        }
        let context = Value::EnteredContext { field: 0 };
        if random.one_in(2)
            && let Some(register) = register_with(self.state, random, |value| value == context)
        {
            let to = usual(random);
            plan.push_back(load(Code::Mov_r64_rm64, whole(to), Target::at(whole(register), RESULTS.into())));
            plan.push_back(load(Code::Mov_r64_rm64, whole(RAX), Target::at(whole(to), 8 * random.below(4) as i64)));
            return;
        }
        if self.align(plan, 32) && self.bring(plan, Value::EnteredCode, RAX) && self.bring(plan, context, RDI) {
            plan.push_back(registers(Code::Mov_r64_rm64, whole(3), whole(RDI)));
            self.end_with_call(plan, RAX, random);
        }
    }
}

/// A comparison with this constant, instead of with a register.
fn compared_with(mut compare: Instruction, constant: u32) -> Instruction {
    compare.set_op1_kind(iced_x86::OpKind::Immediate8to32);
    compare.set_immediate8to32(constant as i32);
    compare
}
