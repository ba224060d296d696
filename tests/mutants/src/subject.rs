//! A function as the operators see it. What is said here of registers holds within a block, and comes from reading its
//! instructions alone: nothing asks the verifier.

#![allow(clippy::cast_possible_truncation, reason = "offsets in a text have 32 bits")]

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind, Register,
};
use std::collections::{BTreeMap, HashMap};
use wave_contract::MEMORY_RESERVATION_BYTES;
use wave_contract::context::{Addressing, ContextLayout, GlobalSlot, MEMORY_BASE};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_contract::types::{SignatureId, TypeIds};
use wave_verifier::{Scratch, Terms, Unit, UnitName, Units};

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Unknown,
    Constant(u64),
    /// 64 bits that can be anything.
    Data,
    /// 32 bits that can be anything, the rest zero.
    Word,
    /// The instance's context, in mode arg.
    Context,
    /// Byte 0 of a memory, in mode arg.
    Memory,
    /// Another address.
    Address,
}

/// `mov a, entries; mov b, index; cmp b, a; cmovb a, b; lea; movsxd`: where the parts are.
pub struct Clamp {
    pub entries: usize,
    pub choice: usize,
    pub count: u32,
    pub table: u64,
}

/// What all functions of a module have in common.
pub struct Surroundings<'a> {
    pub units: &'a Units<'a>,
    pub addressing: &'a Addressing,
    pub layout: ContextLayout,
    pub text_len: u32,
    memories: u32,
    imported_globals: u32,
    signatures: &'a [TypeIds],
    image: &'a CodeImage,
}

impl<'a> Surroundings<'a> {
    pub fn new(units: &'a Units<'a>, image: &'a CodeImage, info: &ModuleInfo, terms: &'a Terms) -> Self {
        Self {
            units,
            addressing: &terms.addressing,
            layout: ContextLayout::new(info).expect("a small context"),
            text_len: u32::try_from(image.text.len()).expect("a small text"),
            memories: u32::try_from(info.memories.len()).expect("few memories"),
            imported_globals: info.imported_globals,
            signatures: &terms.signatures,
            image,
        }
    }

    /// Whether a function begins there.
    pub fn begins_a_function(&self, offset: u32) -> bool {
        self.image.functions.iter().any(|function| function.start == offset)
    }

    /// Whether a type of the module has this identity.
    pub fn has_signature(&self, signature: SignatureId) -> bool {
        self.signatures.iter().any(|ids| ids.exact == signature || ids.shape == signature)
    }

    /// Offset in the context of the first cell of a global.
    pub fn first_cell(&self) -> u32 {
        match self.layout.global(self.imported_globals) {
            GlobalSlot::Cell(at) => at,
            GlobalSlot::Pointer(_) => self.layout.size(),
        }
    }

    /// Whether an address lies in the reservation of a memory, in mode fixed.
    fn is_in_memory(&self, address: u64) -> bool {
        let mut memories = self.addressing.fixed().into_iter().flat_map(|fixed| &fixed.memories);
        memories.any(|memory| (memory.base..memory.base + MEMORY_RESERVATION_BYTES).contains(&address))
    }

    /// Whether the address of a memory is at this offset in the context, in mode arg.
    fn is_base_of_memory(&self, field: u32) -> bool {
        (0..self.memories).any(|memory| field == self.layout.memory(memory) + MEMORY_BASE)
    }
}

/// An accepted function.
pub struct Subject<'a> {
    pub all: &'a Surroundings<'a>,
    pub unit: &'a Unit<'a>,
    pub instructions: Vec<Instruction>,
    /// Whether jumps lead to an instruction.
    pub leaders: Vec<bool>,
    /// By offset in the text.
    pub numbers: HashMap<u32, usize>,
    /// What the registers hold before each instruction.
    origins: Vec<[Origin; 16]>,
    /// The general-purpose registers that each instruction writes, a bit each.
    pub written: Vec<u16>,
    successors: Vec<Vec<usize>>,
    /// Whether all tables of jumps were understood.
    pub is_followed: bool,
    /// Whether a return or a tail call can follow.
    pub returns: Vec<bool>,
    /// RBP is 8 below the return address, from the second instruction to the last but one.
    pub has_frame_pointer: bool,
}

pub fn number(register: Register) -> Option<usize> {
    register.is_gpr().then(|| register.full_register().number())
}

impl<'a> Subject<'a> {
    /// `None` if the verifier refuses it.
    pub fn new(all: &'a Surroundings<'a>, scratch: &mut Scratch, unit: &'a Unit<'a>) -> Option<Self> {
        all.units.verify(unit, scratch).ok()?;
        let (instructions, leaders): (Vec<_>, Vec<_>) = reached(unit).into_values().unzip();
        let offset = |instruction: &Instruction| instruction.ip() as u32;
        let numbers = instructions.iter().map(offset).zip(0..).collect();
        let mut info = InstructionInfoFactory::new();
        let written = instructions.iter().map(|instruction| written(&mut info, instruction)).collect::<Vec<_>>();
        let rbp = 1 << 5;
        let sets_up = instructions.get(..2).is_some_and(|two| {
            two[0].code() == Code::Push_r64
                && two[0].op0_register() == Register::RBP
                && matches!(two[1].code(), Code::Mov_r64_rm64 | Code::Mov_rm64_r64)
                && (two[1].op0_register(), two[1].op1_register()) == (Register::RBP, Register::RSP)
        });
        let has_frame_pointer = sets_up
            && instructions
                .iter()
                .zip(&written)
                .skip(2)
                .all(|(instruction, written)| written & rbp == 0 || instruction.code() == Code::Pop_r64);
        let mut subject = Self {
            all,
            unit,
            instructions,
            leaders,
            numbers,
            origins: Vec::new(),
            written,
            successors: Vec::new(),
            is_followed: true,
            returns: Vec::new(),
            has_frame_pointer,
        };
        subject.successors = (0..subject.instructions.len()).map(|at| subject.following(at)).collect();
        subject.follow_tables();
        subject.follow_origins();
        let leaves = (0..subject.instructions.len()).filter(|at| subject.leaves(*at)).collect();
        subject.returns = subject.leads_to(leaves);
        Some(subject)
    }

    pub fn offset(&self, at: usize) -> usize {
        self.instructions[at].ip() as usize - self.unit.range.start as usize
    }

    /// The bytes of an instruction.
    pub fn bytes(&self, at: usize) -> &'a [u8] {
        &self.unit.code[self.offset(at)..][..self.instructions[at].len()]
    }

    pub fn is_entry(&self) -> bool {
        matches!(self.unit.name, UnitName::Entry(_))
    }

    pub fn origin(&self, at: usize, register: Register) -> Origin {
        number(register).map_or(Origin::Unknown, |number| self.origins[at][number])
    }

    /// The instruction behind, if control comes there from this one alone.
    pub fn next(&self, at: usize) -> Option<usize> {
        let next = at + 1;
        (next < self.instructions.len()
            && !self.leaders[next]
            && self.instructions[next].ip() == self.instructions[at].next_ip()
            && self.successors[at].contains(&next))
        .then_some(next)
    }

    /// The instruction in the function to which a direct branch leads.
    pub fn target(&self, at: usize) -> Option<usize> {
        let instruction = &self.instructions[at];
        let branches = matches!(instruction.op0_kind(), OpKind::NearBranch64) && instruction.op_count() == 1;
        let target = u32::try_from(instruction.near_branch64()).ok().filter(|_| branches)?;
        self.numbers.get(&target).copied().filter(|_| instruction.flow_control() != FlowControl::Call)
    }

    /// Whether it leaves the function for good, and not by a fault.
    pub fn leaves(&self, at: usize) -> bool {
        let instruction = &self.instructions[at];
        match instruction.flow_control() {
            FlowControl::Return => true,
            FlowControl::UnconditionalBranch => self.target(at).is_none_or(|target| target == 0),
            FlowControl::IndirectBranch => !self.is_table_jump(at),
            _ => false,
        }
    }

    /// Whether it jumps where a table says: behind an addition to a register.
    fn is_table_jump(&self, at: usize) -> bool {
        self.instructions[at].flow_control() == FlowControl::IndirectBranch
            && at > 0
            && matches!(self.instructions[at - 1].code(), Code::Add_r64_rm64 | Code::Add_rm64_r64)
    }

    fn following(&self, at: usize) -> Vec<usize> {
        let instruction = &self.instructions[at];
        let falls = match instruction.flow_control() {
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall | FlowControl::ConditionalBranch => true,
            FlowControl::Return
            | FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Exception
            | FlowControl::Interrupt
            | FlowControl::XbeginXabortXend => false,
        };
        let target = self.target(at).filter(|target| *target != 0);
        falls.then_some(at + 1).filter(|next| *next < self.instructions.len()).into_iter().chain(target).collect()
    }

    /// Where jumps through tables lead.
    fn follow_tables(&mut self) {
        for at in 0..self.instructions.len() {
            if self.is_table_jump(at) {
                let Some(clamp) = at.checked_sub(2).and_then(|load| self.clamp(load)) else {
                    self.is_followed = false;
                    continue;
                };
                self.successors[at] = clamp.targets(self.unit).map(|to| self.numbers[&(to as u32)]).collect();
            }
        }
    }

    /// Whether control can come from each instruction to one of these.
    pub fn leads_to(&self, goals: Vec<usize>) -> Vec<bool> {
        let mut before = vec![Vec::new(); self.instructions.len()];
        for (at, following) in self.successors.iter().enumerate() {
            following.iter().for_each(|next| before[*next].push(at));
        }
        let (mut found, mut work) = (vec![false; self.instructions.len()], goals);
        while let Some(at) = work.pop() {
            if !std::mem::replace(&mut found[at], true) {
                work.extend(&before[at]);
            }
        }
        found
    }

    /// The parts of a jump through a table, by the instruction that reads the table.
    pub fn clamp(&self, at: usize) -> Option<Clamp> {
        clamp(&self.instructions, at).filter(|clamp| (clamp.entries + 1..=at).all(|part| !self.leaders[part]))
    }

    fn follow_origins(&mut self) {
        let mut current = [Origin::Unknown; 16];
        for at in 0..self.instructions.len() {
            let is_behind = at > 0 && self.instructions[at - 1].next_ip() == self.instructions[at].ip();
            if self.leaders[at] || !is_behind {
                current = [Origin::Unknown; 16];
            }
            if at == 0 && !self.leaders_again() && !self.is_entry() {
                // Of registers that are not arguments nothing is known either.
                current = [Origin::Data; 16];
                current[4] = Origin::Address;
                if self.all.addressing.fixed().is_none() {
                    current[7] = Origin::Context;
                }
            }
            self.origins.push(current);
            let made = self.made(at);
            let instruction = &self.instructions[at];
            for (register, origin) in current.iter_mut().enumerate() {
                if self.written[at] & 1 << register != 0 {
                    *origin = Origin::Unknown;
                }
            }
            match instruction.flow_control() {
                FlowControl::Call | FlowControl::IndirectCall => {
                    let saved = 1 << 3 | 1 << 4 | 1 << 5 | 0xf000_u16;
                    (0..16)
                        .filter(|number| saved & 1 << number == 0)
                        .for_each(|number| current[number] = Origin::Unknown);
                }
                _ => {}
            }
            if let Some((number, origin)) = made {
                current[number] = origin;
            }
        }
    }

    /// Whether something jumps back to the first instruction.
    fn leaders_again(&self) -> bool {
        self.successors.iter().flatten().any(|next| *next == 0)
    }

    /// What an instruction leaves in its first operand.
    fn made(&self, at: usize) -> Option<(usize, Origin)> {
        let instruction = &self.instructions[at];
        if instruction.op_count() < 2 || instruction.op0_kind() != OpKind::Register {
            return None;
        }
        let to = number(instruction.op0_register())?;
        let from = || self.origin(at, instruction.op1_register());
        let is_register = instruction.op1_kind() == OpKind::Register;
        let origin = match instruction.code() {
            Code::Mov_r32_imm32 | Code::Mov_r64_imm64 | Code::Mov_rm64_imm32 => {
                Origin::Constant(instruction.immediate(1))
            }
            Code::Mov_r64_rm64 | Code::Mov_rm64_r64 if is_register => from(),
            Code::Mov_r32_rm32 | Code::Mov_rm32_r32 if is_register => match from() {
                Origin::Data | Origin::Word => Origin::Word,
                Origin::Constant(bits) => Origin::Constant(bits & u64::from(u32::MAX)),
                _ => Origin::Unknown,
            },
            Code::Mov_r32_rm32 if self.index(at).is_some() => Origin::Word,
            Code::Mov_r64_rm64 if self.index(at).is_some() => Origin::Data,
            Code::Mov_r64_rm64 => match self.context_field(at)? {
                field if self.all.is_base_of_memory(field) => Origin::Memory,
                _ => Origin::Address,
            },
            _ => return None,
        };
        Some((to, origin))
    }

    /// The register that is added to the base of a memory, in an instruction that reads or writes there.
    pub fn index(&self, at: usize) -> Option<Register> {
        let instruction = &self.instructions[at];
        let is_used = (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
        if !is_used || matches!(instruction.code(), Code::Lea_r64_m | Code::Lea_r32_m | Code::Nop_rm32 | Code::Nop_rm16)
        {
            return None;
        }
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if !base.is_gpr() || matches!(base, Register::RSP | Register::RBP) {
            return None;
        }
        let displacement = instruction.memory_displacement64();
        let is_fixed = self.all.addressing.fixed().is_some();
        if index == Register::None {
            return (is_fixed && self.all.is_in_memory(displacement)).then_some(base);
        }
        let is_base = |register| match self.origin(at, register) {
            Origin::Constant(bits) => is_fixed && self.all.is_in_memory(bits.wrapping_add(displacement)),
            origin => !is_fixed && origin == Origin::Memory,
        };
        let pairs = [(base, index), (index, base)];
        let pair = pairs.into_iter().filter(|_| instruction.memory_index_scale() == 1).find(|(one, _)| is_base(*one));
        pair.map(|(_, other)| other)
    }

    /// The offset in the context of what an instruction reads there, if that is no global's cell.
    pub fn context_field(&self, at: usize) -> Option<u32> {
        let instruction = &self.instructions[at];
        let is_used = (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
        if !is_used || instruction.memory_index() != Register::None {
            return None;
        }
        let displacement = instruction.memory_displacement64();
        let offset = match (self.all.addressing.fixed(), self.origin(at, instruction.memory_base())) {
            (Some(fixed), Origin::Constant(bits)) => bits.wrapping_add(displacement).checked_sub(fixed.context)?,
            (None, Origin::Context) => displacement,
            _ => return None,
        };
        u32::try_from(offset).ok().filter(|offset| *offset < self.all.first_cell())
    }

    /// Whether a register that this instruction writes is the index of an access further on, and nothing changes it before.
    pub fn becomes_index(&self, at: usize, register: Register) -> bool {
        let wanted = number(register);
        let mut at = at;
        while let Some(next) = self.next(at) {
            if self.index(next).is_some_and(|index| number(index) == wanted) {
                return true;
            }
            let instruction = &self.instructions[next];
            let calls = matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall);
            if calls || wanted.is_some_and(|wanted| self.written[next] & 1 << wanted != 0) {
                return false;
            }
            at = next;
        }
        false
    }

    /// Stack that is taken once, at the beginning, if that is all: and so the distance to the saved RBP.
    pub fn frame_bytes(&self) -> Option<u64> {
        let rsp = 1 << 4;
        let subtracts = |instruction: &Instruction| {
            matches!(instruction.code(), Code::Sub_rm64_imm8 | Code::Sub_rm64_imm32)
                && instruction.op0_register() == Register::RSP
        };
        let mut moves = self.instructions.iter().zip(&self.written).skip(2).filter(|(instruction, written)| {
            *written & rsp != 0 && !matches!(instruction.code(), Code::Pop_r64 | Code::Retnq | Code::Retnq_imm16)
        });
        let (first, _) = moves.next()?;
        let bytes = first.immediate(1);
        let is_first = subtracts(first) && first.ip() == self.instructions.get(2)?.ip();
        let adds = |instruction: &Instruction| {
            matches!(instruction.code(), Code::Add_rm64_imm8 | Code::Add_rm64_imm32)
                && instruction.immediate(1) == bytes
        };
        let rest = moves.all(|(instruction, _)| {
            adds(instruction) || instruction.is_call_near() || instruction.is_call_near_indirect()
        });
        // A direct call may take arguments with it.
        let calls = self.instructions.iter().any(Instruction::is_call_near);
        (self.has_frame_pointer && is_first && rest && !calls).then_some(bytes)
    }
}

impl Clamp {
    /// Where the table leads.
    fn targets(&self, unit: &Unit<'_>) -> impl Iterator<Item = u64> {
        let from = self.table as usize - unit.range.start as usize;
        let entries = unit.code[from..from + 4 * self.count as usize].as_chunks::<4>().0;
        entries.iter().map(|entry| self.table.wrapping_add_signed(i32::from_le_bytes(*entry).into()))
    }
}

/// The parts of a jump through a table, by the number of the instruction that reads the table.
fn clamp(instructions: &[Instruction], at: usize) -> Option<Clamp> {
    let load = &instructions[at];
    let loads = load.code() == Code::Movsxd_r64_rm32
        && load.op1_kind() == OpKind::Memory
        && load.memory_index_scale() == 4
        && load.memory_base() != Register::None;
    if !loads || at < 5 {
        return None;
    }
    let lea = &instructions[at - 1];
    let (choice, entries) = (at - 2, at - 5);
    let is_clamp = lea.code() == Code::Lea_r64_m
        && lea.is_ip_rel_memory_operand()
        && instructions[choice].code() == Code::Cmovb_r32_rm32
        && instructions[at - 3].mnemonic() == iced_x86::Mnemonic::Cmp
        && instructions[entries].code() == Code::Mov_r32_imm32
        && instructions[entries].op0_register() == instructions[choice].op0_register();
    let count = instructions[entries].immediate32().checked_add(1)?;
    is_clamp.then(|| Clamp { entries, choice, count, table: lea.ip_rel_memory_address() })
}

/// The instructions that control can reach, by their offsets, and whether jumps lead to each. The loop that touches each step of a
/// large frame counts as its first instruction. What a table of jumps leads to is missing where the table is not understood.
fn reached(unit: &Unit<'_>) -> BTreeMap<u64, (Instruction, bool)> {
    let (start, end) = (u64::from(unit.range.start), u64::from(unit.range.start + unit.range.len));
    let mut decoder = Decoder::with_ip(64, unit.code, start, DecoderOptions::NONE);
    let mut found = BTreeMap::new();
    let mut work = vec![start];
    while let Some(leader) = work.pop() {
        if let Some((_, is_leader)) = found.get_mut(&leader) {
            *is_leader = true;
            continue;
        }
        let mut at = leader;
        let mut block: Vec<Instruction> = Vec::new();
        while at < end && !found.contains_key(&at) {
            let instruction = decode(&mut decoder, start, at);
            found.insert(at, (instruction, at == leader));
            block.push(instruction);
            at = end_of_probe(&mut decoder, &instruction).unwrap_or(instruction.next_ip());
            let target = Some(instruction.near_branch64()).filter(|to| (start + 1..end).contains(to));
            match instruction.flow_control() {
                FlowControl::ConditionalBranch => work.extend(target),
                FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {}
                FlowControl::UnconditionalBranch => {
                    work.extend(target);
                    break;
                }
                FlowControl::IndirectBranch => {
                    let table = block.len().checked_sub(3).and_then(|load| clamp(&block, load));
                    work.extend(table.iter().flat_map(|table| table.targets(unit)));
                    break;
                }
                _ => break,
            }
        }
    }
    found
}

fn decode(decoder: &mut Decoder<'_>, start: u64, at: u64) -> Instruction {
    decoder.set_ip(at);
    decoder.set_position((at - start) as usize).expect("it begins inside");
    decoder.decode()
}

/// Behind `mov r11, rsp`, decoded just now: the end of `sub r11, all; step: sub rsp, step; mov [rsp], 0; cmp rsp, r11; jne step`.
fn end_of_probe(decoder: &mut Decoder<'_>, first: &Instruction) -> Option<u64> {
    let is_probe = matches!(first.code(), Code::Mov_r64_rm64 | Code::Mov_rm64_r64)
        && (first.op0_register(), first.op1_register()) == (Register::R11, Register::RSP);
    is_probe.then_some(())?;
    let [_, step, _, _, back] = [(); 5].map(|()| decoder.decode());
    let is_loop = back.flow_control() == FlowControl::ConditionalBranch && back.near_branch64() == step.ip();
    is_loop.then(|| back.next_ip())
}

/// The general-purpose registers that an instruction writes.
fn written(info: &mut InstructionInfoFactory, instruction: &Instruction) -> u16 {
    let used = info.info(instruction).used_registers();
    let writes = used.iter().filter(|used| {
        matches!(used.access(), OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
    });
    writes.filter_map(|used| number(used.register())).fold(0, |all, number| all | 1 << number)
}
