//! Paths: code that is made instruction by instruction, interpreted and executed side by side, and compared after each.

mod whole;

use crate::execute::{Access, access, may_fault, sides};
use crate::generate::{Encodings, instruction};
use crate::module::{self, INTEGERS, Tested, UNIT_BYTES};
use crate::native::{FILLER, Outcome, Processor, Registers};
use crate::plans::{JUMP_TABLE, JUMP_TABLE_ENTRIES, Plan, Scene, plan};
use crate::random::Random;
use crate::report::Report;
use crate::sample::Sample;
use crate::world::{Callee, World, stack_arguments};
use iced_x86::{Code, Encoder, Instruction, OpKind};
use wave_contract::module::ModuleInfo;
use wave_verifier::Terms;
use wave_verifier::rules::{Entry, Gpr, Interpreter, Kind, Shared, State, Step, Value, kind};

/// Instructions lie in the first part of a unit, at multiples of this.
const SLOT_BYTES: u32 = 32;
const SLOTS: u32 = JUMP_TABLE / SLOT_BYTES;

/// Branches lead between two slots, where no instruction lies: none leads to itself.
const TARGET: u32 = 16;

/// How many steps a path has at most.
const LONGEST: u64 = 160;

/// Linear memory is given back every so many steps.
const STEPS_PER_CLEARING: u64 = 60_000;

/// Runs paths in one mode.
pub struct Paths {
    pub world: World,
    terms: Terms,
    encodings: Encodings,
    /// The code of each unit, as the verifier sees it.
    code: Vec<u8>,
    since_cleared: u64,
}

/// Something that happened on a path, for a message.
enum Event {
    Instruction(Instruction),
    Other(&'static str),
}

/// Where a path goes on, or why it ends.
enum Next {
    On,
    End,
}

impl Paths {
    /// For one mode.
    #[must_use]
    pub fn new(is_fixed: bool) -> Self {
        let world = World::new(is_fixed);
        let terms = module::terms(&world.info, is_fixed);
        Self {
            world,
            terms,
            encodings: Encodings::default(),
            code: vec![FILLER; UNIT_BYTES as usize],
            since_cleared: 0,
        }
    }

    /// Runs paths until so many steps were compared, or a difference was found.
    pub fn run(
        &mut self,
        processor: &mut Processor,
        random: &mut Random,
        steps: u64,
        report: &mut Report,
        sample: &mut Option<Sample>,
    ) {
        let info = module::declarations();
        let terms = self.terms.clone();
        let shared = Shared::of_functions(&info, &terms, module::starts()).expect("addresses of this module");
        let end = report.steps + steps;
        while report.steps < end && report.problems.is_empty() {
            let tested = Tested { ty: random.below(INTEGERS.len() as u64) as usize, is_thunk: random.one_in(6) };
            let leading = usize::from(!self.world.is_fixed);
            let arguments = if tested.is_thunk { 0 } else { stack_arguments(leading + INTEGERS[tested.ty]) };
            self.place_table(tested, random);
            let registers = self.world.enter(random, arguments, tested.entered());
            let state = Interpreter::new(&shared, &tested.unit(&info, &self.code)).at_entry();
            let mut path = Path::new(self, &info, &shared, tested, registers, state);
            if let Err(what) = path.follow(processor, random, report, sample) {
                let history = path.story();
                report.problems.push(format!("{what}\n{history}"));
            }
            report.paths += 1;
            if self.since_cleared > STEPS_PER_CLEARING {
                self.since_cleared = 0;
                for place in self.world.addresses.memories.clone() {
                    self.world.memory.clear(place.base, wave_contract::MEMORY_RESERVATION_BYTES);
                }
            }
        }
    }

    /// Writes the jump table of a unit, whose entries lead to places of instructions.
    fn place_table(&mut self, tested: Tested, random: &mut Random) {
        for index in 0..JUMP_TABLE_ENTRIES {
            let target = 1 + random.below(u64::from(SLOTS) - 1) as u32;
            let entry = (SLOT_BYTES * target + TARGET).wrapping_sub(JUMP_TABLE).to_le_bytes();
            let place = (JUMP_TABLE + 4 * index) as usize;
            self.code[place..place + 4].copy_from_slice(&entry);
        }
        let table = &self.code[JUMP_TABLE as usize..][..4 * JUMP_TABLE_ENTRIES as usize];
        self.world.memory.write(self.world.text + u64::from(tested.start() + JUMP_TABLE), table);
    }
}

/// One path: what is known, and what is.
struct Path<'a> {
    paths: &'a mut Paths,
    info: &'a ModuleInfo,
    shared: &'a Shared<'a>,
    tested: Tested,
    registers: Registers,
    state: State,
    /// What was known earlier, to be joined with what is known later.
    earlier: Vec<State>,
    plan: Plan,
    /// Who may be called, if nothing has changed since it was found.
    callees: Option<Vec<Callee>>,
    history: Vec<Event>,
    /// Where control is.
    at: u32,
}

impl<'a> Path<'a> {
    /// Where a unit is entered.
    fn new(
        paths: &'a mut Paths,
        info: &'a ModuleInfo,
        shared: &'a Shared<'a>,
        tested: Tested,
        registers: Registers,
        state: State,
    ) -> Self {
        Self {
            paths,
            info,
            shared,
            tested,
            registers,
            state,
            earlier: Vec::new(),
            plan: Plan::new(),
            callees: None,
            history: Vec::new(),
            at: tested.start(),
        }
    }

    fn follow(
        &mut self,
        processor: &mut Processor,
        random: &mut Random,
        report: &mut Report,
        sample: &mut Option<Sample>,
    ) -> Result<(), String> {
        self.compare("at entry")?;
        if !random.one_in(6) {
            self.plan.push_back(crate::generate::with_constant(
                Code::Sub_rm64_imm8,
                4,
                8 * (1 + random.below(10) as i32),
            ));
        }
        for _ in 0..random.below(LONGEST) {
            if !self.paths.world.has_room(self.registers.general[4]) {
                break;
            }
            self.between(random, report)?;
            // Not at the first byte, where calls of this function lead.
            let at = self.tested.start() + SLOT_BYTES * (1 + random.below(u64::from(SLOTS) - 1) as u32);
            let Some(made) = self.propose(at, random) else { continue };
            if let Next::End = self.step(processor, at, made, random, report, sample)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether what is known describes what is.
    fn compare(&self, after: &str) -> Result<(), String> {
        self.paths.world.is_described(&self.state, &self.registers).map_err(|what| {
            let name = if self.paths.world.is_fixed { "fixed" } else { "arg" };
            format!("[state] mode {name}, {after}: {what}\n  known: {:?}", self.state)
        })
    }

    /// What happens between instructions: others write below the stack pointer, paths meet.
    fn between(&mut self, random: &mut Random, report: &mut Report) -> Result<(), String> {
        if random.one_in(6) {
            self.paths.world.disturb_below(self.registers.general[4], random);
            self.history.push(Event::Other("everything below the stack pointer changes"));
            self.compare("writes below the stack pointer")?;
        }
        if random.one_in(8) {
            if self.earlier.len() == 6 {
                self.earlier.remove(0);
            }
            self.earlier.push(self.state.clone());
        }
        if random.one_in(24) && !self.earlier.is_empty() {
            let other = &self.earlier[random.below(self.earlier.len() as u64) as usize];
            let mut joined = self.state.clone();
            // From both sides: a join keeps one state and looks at the other.
            if random.one_in(2) {
                joined.join(other, &mut 0);
            } else {
                joined.copy_from(other);
                joined.join(&self.state, &mut 0);
            }
            report.event("join");
            let before = std::mem::replace(&mut self.state, joined);
            self.history.push(Event::Other("what was known earlier is joined"));
            self.compare("a join")?;
            if !random.one_in(3) {
                self.state = before;
                self.history.pop();
            }
        }
        Ok(())
    }

    /// The next instruction to try, for a place.
    fn propose(&mut self, at: u32, random: &mut Random) -> Option<Instruction> {
        let world = &self.paths.world;
        let scene = Scene { world, state: &self.state, unit: self.tested.start(), is_thunk: self.tested.is_thunk };
        if self.plan.is_empty() && random.one_in(5) {
            self.plan = plan(&scene, random);
        }
        let targets = [0, 1, 2, SLOTS / 2].map(|slot| self.tested.start() + SLOT_BYTES * slot + TARGET);
        let near = [at.saturating_sub(48).max(self.tested.start() + TARGET), at + 64 + TARGET];
        let targets = [targets.as_slice(), &near].concat();
        if !random.one_in(10)
            && let Some(mut planned) = self.plan.pop_front()
        {
            if planned.is_call_near() {
                planned.set_near_branch64(random.pick(&module::starts()).into());
            } else if planned.is_jmp_near() && random.one_in(2) {
                planned.set_near_branch64(random.pick(&module::starts()[3..]).into());
            } else if planned.op0_kind() == OpKind::NearBranch64 {
                planned.set_near_branch64(near[1].into());
            }
            return Some(planned);
        }
        let is_about_flags = self.state.flags.can_refine() && random.one_in(4);
        let code = if is_about_flags { random.pick(&UNSIGNED) } else { self.paths.encodings.pick(random) };
        instruction(code, world, &self.state, at, &targets, random)
    }

    /// Tries an instruction: if the verifier accepts it, it is executed and compared.
    fn step(
        &mut self,
        processor: &mut Processor,
        at: u32,
        made: Instruction,
        random: &mut Random,
        report: &mut Report,
        sample: &mut Option<Sample>,
    ) -> Result<Next, String> {
        report.tried(made.code());
        let mut encoder = Encoder::new(64);
        if encoder.encode(&made, at.into()).is_err() {
            self.plan.clear();
            return Ok(Next::On);
        }
        let bytes = encoder.take_buffer();
        let place = (at - self.tested.start()) as usize;
        self.paths.code[place..][..bytes.len()].copy_from_slice(&bytes);
        let ended = self.apply(processor, at, &bytes, random, report, sample);
        self.paths.code[place..][..bytes.len()].fill(FILLER);
        ended
    }

    /// Follows an instruction that lies in the unit's code.
    fn apply(
        &mut self,
        processor: &mut Processor,
        at: u32,
        bytes: &[u8],
        random: &mut Random,
        report: &mut Report,
        sample: &mut Option<Sample>,
    ) -> Result<Next, String> {
        let mut next = self.state.clone();
        let mut decoded = Instruction::default();
        let (step, behind) = {
            let unit = self.tested.unit(self.info, &self.paths.code);
            let mut interpreter = Interpreter::new(self.shared, &unit);
            (interpreter.step(&mut next, at, &mut decoded), interpreter.next())
        };
        let step = match step {
            Ok(step) => step,
            Err(problem) => {
                report.refused(problem.rule().name());
                self.plan.clear();
                return Ok(Next::On);
            }
        };
        let kind = kind(decoded.code()).ok_or("an instruction that is not allowed was accepted")?;
        self.history.push(Event::Instruction(decoded));
        if behind as usize != at as usize + bytes.len() {
            return Err(format!("[length] the verifier goes on at {behind:#x}, {} bytes were encoded", bytes.len()));
        }
        let reached = access(&decoded, kind, &self.registers, self.paths.world.text);
        self.may_reach(&decoded, kind)?;
        let placed = self.paths.world.place(&decoded, kind, bytes);
        if kind == Kind::Compare {
            self.paths.world.compared = sides(&decoded, &self.registers, &self.paths.world);
        }
        let taken = sample
            .as_mut()
            .and_then(|sample| sample.before(&decoded, kind, bytes, reached, &self.paths.world, &self.registers));
        let outcome = processor.run(placed.at, &mut self.registers);
        report.executed(decoded.code(), reached.is_some());
        if let Some(Access { at, is_write, .. }) = reached
            && self.paths.world.is_in_heap(at)
        {
            report.event(if is_write { "write of the heap" } else { "read of the heap" });
        }
        self.paths.since_cleared += 1;
        if let (Some(sample), Some(taken)) = (sample.as_mut(), taken) {
            sample.after(taken, outcome, &self.registers, &self.paths.world);
        }
        self.paths.world.remove(&placed);
        if let Outcome::Fault { signal, address } = outcome {
            report.fault(decoded.code());
            return if may_fault(kind, signal) {
                Ok(Next::End)
            } else {
                Err(format!("[fault] signal {signal} at {address:#x}"))
            };
        }
        self.paths.world.is_intact().map_err(|what| format!("[memory] {what}"))?;
        self.name_entries(&decoded, kind, &next);
        let ended = self.go_on(step, next, outcome, &decoded, kind, behind, random, report)?;
        if let Next::End = ended {
            return Ok(Next::End);
        }
        self.compare("this instruction")?;
        report.look_at(&self.state);
        if decoded.op0_kind() == OpKind::Register && decoded.op0_register().is_gpr() {
            report.result(kind, self.state.get(Gpr(decoded.op0_register().full_register().number() as u8)));
        }
        Ok(ended)
    }

    /// Whether the instruction reaches memory only where code may, and changes nothing that it must not change now.
    fn may_reach(&mut self, instruction: &Instruction, kind: Kind) -> Result<(), String> {
        let world = &mut self.paths.world;
        let stack = self.registers.general[4];
        let Some(reached) = access(instruction, kind, &self.registers, world.text) else { return Ok(()) };
        let own = if matches!(kind, Kind::Push | Kind::Call) { stack - 8 } else { stack };
        if !world.may_access(reached.at, reached.len, reached.is_write, own, self.tested.is_thunk) {
            return Err(format!("[access] {reached:x?}"));
        }
        let is_own = reached.at >= own && reached.at <= world.frame + 8 + world.arguments;
        if is_own {
            world.touched = world.touched.min(reached.at);
        } else if reached.is_write && world.status != 0 {
            return Err(format!(
                "[status] {reached:x?} changes something, and the last status was {:#x}",
                world.status
            ));
        }
        Ok(())
    }

    /// An instruction that makes an offset of a table's entry gives it a name.
    fn name_entries(&mut self, instruction: &Instruction, kind: Kind, next: &State) {
        if kind != Kind::ShiftLeft {
            return;
        }
        let at = instruction.ip() as u32;
        let world = &mut self.paths.world;
        let mut name = |value: Value, bits: u64| {
            if let Value::EntryOffset { table, entry } = value
                && entry == Entry::Made(at)
            {
                world.named.insert(at, (table, u32::try_from(bits / 16).unwrap_or(u32::MAX)));
            }
        };
        if instruction.op0_register().is_gpr64() {
            let number = instruction.op0_register().number() as u8;
            name(next.get(Gpr(number)), self.registers.general[usize::from(number)]);
        }
        for (word, value) in next.words() {
            if let Value::EntryOffset { entry: Entry::Made(made), .. } = value
                && made == at
            {
                let bits = self.paths.world.memory.u64(self.paths.world.in_frame(word));
                self.paths.world.named.insert(at, (table_of(value), u32::try_from(bits / 16).unwrap_or(u32::MAX)));
            }
        }
    }

    /// Compares where control went with where the verifier says that it may go, and goes there.
    #[allow(clippy::too_many_arguments, reason = "all that one step is about")]
    fn go_on(
        &mut self,
        step: Step,
        mut next: State,
        outcome: Outcome,
        instruction: &Instruction,
        kind: Kind,
        behind: u32,
        random: &mut Random,
        report: &mut Report,
    ) -> Result<Next, String> {
        let text = self.paths.world.text;
        if let Kind::Call | Kind::CallIndirect = kind {
            let Outcome::Elsewhere(code) = outcome else { return Err(format!("[target] a call went to {outcome:?}")) };
            if self.paths.world.memory.u64(self.registers.general[4]) != text + u64::from(behind) {
                return Err("[call] the return address is not what follows".to_owned());
            }
            let callee = self.enter(code, false)?;
            report.event(if callee.is_host { "call of the host" } else { "call of a guest" });
            self.paths.world.call(&callee, &mut self.registers, random);
            self.callees = None;
            self.state = next;
            self.at = behind;
            return Ok(Next::On);
        }
        let to = match outcome {
            Outcome::Follows => text + u64::from(behind),
            Outcome::Target => text + instruction.near_branch64(),
            Outcome::Elsewhere(to) => to,
            Outcome::Fault { .. } => return Ok(Next::End),
        };
        if step == Step::Nowhere {
            report.event(if kind == Kind::Return { "return" } else { "tail call" });
            return self.left(to, kind).map(|()| Next::End);
        }
        let Some(target) = to.checked_sub(text).and_then(|to| u32::try_from(to).ok()) else {
            return Err(format!("[target] control went to {to:#x}, which is not among {step:?}"));
        };
        let (mut taken, mut found) = (State::default(), None);
        let follows = step.exits(&mut next, &mut taken, |to, known| {
            if to == target && found.is_none() {
                found = Some(known.clone());
            }
            Ok(())
        });
        let follows = follows.map_err(|problem| problem.to_string())?;
        if outcome == Outcome::Follows {
            found = follows.then_some(next);
        } else {
            report.event("jump");
        }
        let Some(found) = found else {
            return Err(format!("[target] control went to {target:#x}, which is not among {step:?}"));
        };
        self.state = found;
        self.at = target;
        Ok(Next::On)
    }

    /// Whoever is called at an address, who finds what it relies on.
    fn enter(&mut self, code: u64, is_tail: bool) -> Result<Callee, String> {
        let world = &self.paths.world;
        let entered = self.tested.entered();
        let callees = self.callees.get_or_insert_with(|| world.callees(entered));
        let Some(callee) = callees.iter().find(|callee| callee.code == code).copied() else {
            return Err(format!("[target] control went to {code:#x}, where nothing begins that may be called"));
        };
        world.may_enter(&callee, &self.registers, is_tail).map_err(|what| format!("[call] {what}"))?;
        Ok(callee)
    }

    /// The function was left, by a return or a tail call.
    fn left(&mut self, to: u64, kind: Kind) -> Result<(), String> {
        if kind != Kind::Return {
            return self.enter(to, true).map(drop);
        }
        let world = &self.paths.world;
        let mut at_return = self.registers;
        at_return.general[4] = at_return.general[4].wrapping_sub(8 + world.arguments);
        if to != world.return_address {
            return Err(format!("[target] a return to {to:#x}"));
        }
        world.is_restored(&at_return, world.frame).map_err(|what| format!("[return] {what}"))
    }

    /// The path so far.
    fn story(&self) -> String {
        let line = |event: &Event| match event {
            Event::Instruction(instruction) => format!("    {:#x}: {instruction}\n", instruction.ip()),
            Event::Other(what) => format!("    ({what})\n"),
        };
        self.history.iter().map(line).collect()
    }
}

fn table_of(value: Value) -> u8 {
    if let Value::EntryOffset { table, .. } = value { table } else { 0 }
}

/// What looks at an unsigned order.
const UNSIGNED: [Code; 18] = [
    Code::Ja_rel32_64,
    Code::Jae_rel32_64,
    Code::Jb_rel32_64,
    Code::Jbe_rel32_64,
    Code::Je_rel32_64,
    Code::Jne_rel32_64,
    Code::Cmova_r32_rm32,
    Code::Cmova_r64_rm64,
    Code::Cmovae_r32_rm32,
    Code::Cmovae_r64_rm64,
    Code::Cmovb_r32_rm32,
    Code::Cmovb_r64_rm64,
    Code::Cmovbe_r32_rm32,
    Code::Cmovbe_r64_rm64,
    Code::Cmove_r32_rm32,
    Code::Cmove_r64_rm64,
    Code::Cmovne_r32_rm32,
    Code::Cmovne_r64_rm64,
];
