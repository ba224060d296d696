//! Whole functions with loops: verified as the product verifies them, then executed from the entry.
//!
//! Each instruction lies in a slot of its own, with a jump to the next behind it. So a block begins with each, and what the check
//! knew there must describe what is there whenever control comes by.

use super::{Event, Next, Path, Paths, SLOT_BYTES};
use crate::module::{self, INTEGERS, Tested};
use crate::native::{FILLER, Processor};
use crate::plans::Plan;
use crate::random::Random;
use crate::report::Report;
use crate::world::stack_arguments;
use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Instruction};
use std::collections::BTreeMap;
use wave_verifier::rules::{Interpreter, Shared, State, Step};
use wave_verifier::{Scratch, Units, with_units};

/// How many slots a function has at most, the last with the instruction that ends it.
const MOST_SLOTS: u64 = 40;

/// How often each function runs, and for how many steps.
const RUNS: u64 = 6;
const LONGEST: u64 = 300;

impl Paths {
    /// Runs functions until so many steps were compared, or a difference was found.
    pub fn run_whole(&mut self, processor: &mut Processor, random: &mut Random, steps: u64, report: &mut Report) {
        let info = module::declarations();
        let terms = self.terms.clone();
        let shared = Shared::of_functions(&info, &terms, module::starts()).expect("addresses of this module");
        let image = module::image(&terms);
        let bytes = wat::parse_str(module::TEXT_OF_MODULE).expect("a module");
        let end = report.steps + steps;
        let visited = with_units(&image, &bytes, &terms, |units| {
            let mut scratch = Scratch::default();
            while report.steps < end && report.problems.is_empty() {
                let tested = Tested { ty: random.below(INTEGERS.len() as u64) as usize, is_thunk: random.one_in(6) };
                self.code.fill(FILLER);
                self.place_table(tested, random);
                let slots = 4 + random.below(MOST_SLOTS - 4) as u32;
                self.enter(tested, random);
                self.write_function(&shared, tested, slots, random);
                let Some(known) = self.accept(units, tested, slots, &mut scratch) else {
                    report.event("a function that is not accepted");
                    continue;
                };
                report.event("a function");
                if self.has_loops(tested) {
                    report.event("a function with loops");
                }
                for _ in 0..RUNS {
                    let registers = self.enter(tested, random);
                    let state = Interpreter::new(&shared, &tested.unit(&info, &self.code)).at_entry();
                    let mut path = Path::new(self, &info, &shared, tested, registers, state);
                    if let Err(what) = path.follow_function(processor, &known, random, report) {
                        let history = path.story();
                        report.problems.push(format!("{what}\n{history}"));
                        return;
                    }
                }
            }
        });
        visited.expect("an image of this module");
        self.code.fill(FILLER);
    }

    fn enter(&mut self, tested: Tested, random: &mut Random) -> crate::native::Registers {
        let leading = usize::from(!self.world.is_fixed);
        let arguments = if tested.is_thunk { 0 } else { stack_arguments(leading + INTEGERS[tested.ty]) };
        self.world.enter(random, arguments, tested.entered())
    }

    /// Writes instructions that the verifier accepts if they are executed in order, with branches anywhere.
    fn write_function(&mut self, shared: &Shared<'_>, tested: Tested, slots: u32, random: &mut Random) {
        let info = module::declarations();
        let start = tested.start();
        let mut state = Interpreter::new(shared, &tested.unit(&info, &self.code)).at_entry();
        let mut plan: Plan = [crate::generate::with_constant(Code::Sub_rm64_imm8, 4, 0x58)].into();
        let mut slot = 0;
        let mut tries = 0;
        while slot + 1 < slots && tries < 40 * slots {
            tries += 1;
            let at = start + SLOT_BYTES * slot;
            let mut path = Path::new(self, &info, shared, tested, Default::default(), state.clone());
            path.plan = std::mem::take(&mut plan);
            let made = path.propose(at, random);
            plan = std::mem::take(&mut path.plan);
            let Some(mut made) = made else { continue };
            if made.is_jcc_short_or_near() || made.is_jmp_short_or_near() {
                // To any other slot; not to the entry.
                let target = 1 + random.below(u64::from(slots) - 1) as u32;
                if target == slot {
                    continue;
                }
                made.as_near_branch();
                made.set_near_branch64(u64::from(start + SLOT_BYTES * target));
            }
            let mut encoder = Encoder::new(64);
            if encoder.encode(&made, at.into()).is_err() {
                plan.clear();
                continue;
            }
            self.write_slot(slot, &encoder.take_buffer());
            let mut next = state.clone();
            let unit = tested.unit(&info, &self.code);
            let step = Interpreter::new(shared, &unit).step(&mut next, at, &mut Instruction::default());
            match step {
                Ok(step @ (Step::Next | Step::Branch { .. })) => {
                    let (mut taken, visit) = (State::default(), |_: u32, _: &State| Ok(()));
                    drop(step.exits(&mut next, &mut taken, visit));
                    state = next;
                    slot += 1;
                }
                _ => plan.clear(),
            }
        }
        // ud2
        for last in slot..slots {
            self.write_slot(last, &[0x0f, 0x0b]);
        }
    }

    /// Writes an instruction and a jump to the next slot.
    fn write_slot(&mut self, slot: u32, bytes: &[u8]) {
        let place = (SLOT_BYTES * slot) as usize;
        let to_slot = &mut self.code[place..][..SLOT_BYTES as usize];
        to_slot.fill(FILLER);
        to_slot[..bytes.len()].copy_from_slice(bytes);
        let rest = SLOT_BYTES as usize - bytes.len() - 2;
        to_slot[bytes.len()..][..2].copy_from_slice(&[0xeb, rest as u8]);
    }

    /// Leaves out what is refused, until the rest is accepted. Returns what the check knew where blocks begin.
    fn accept(
        &mut self,
        units: &Units<'_>,
        tested: Tested,
        slots: u32,
        scratch: &mut Scratch,
    ) -> Option<BTreeMap<u32, State>> {
        let info = module::declarations();
        for _ in 0..2 * slots {
            match units.verify(&tested.unit(&info, &self.code), scratch) {
                Ok(()) => return Some(scratch.known().map(|(at, state)| (at, state.clone())).collect()),
                Err(refusal) => {
                    let slot = (refusal.offset - tested.start()) / SLOT_BYTES;
                    if slot + 1 >= slots {
                        return None;
                    }
                    self.write_slot(slot, &[]);
                }
            }
        }
        None
    }

    /// Whether a branch leads back.
    fn has_loops(&self, tested: Tested) -> bool {
        let mut decoder = Decoder::with_ip(64, &self.code, tested.start().into(), DecoderOptions::NONE);
        decoder.iter().any(|made| made.is_jcc_short_or_near() && made.near_branch64() <= made.ip())
    }
}

impl Path<'_> {
    /// Runs a function whose code is in place, from its entry.
    fn follow_function(
        &mut self,
        processor: &mut Processor,
        known: &BTreeMap<u32, State>,
        random: &mut Random,
        report: &mut Report,
    ) -> Result<(), String> {
        self.compare("at entry")?;
        for _ in 0..LONGEST {
            if !self.paths.world.has_room(self.registers.general[4]) {
                break;
            }
            if let Some(known) = known.get(&self.at) {
                self.state = known.clone();
                report.event("what the check knew where a block begins");
                self.compare("a block begins")?;
            }
            if random.one_in(6) {
                self.paths.world.disturb_below(self.registers.general[4], random);
                self.history.push(Event::Other("everything below the stack pointer changes"));
                self.compare("writes below the stack pointer")?;
            }
            let place = (self.at - self.tested.start()) as usize;
            let code = self.paths.code.get(place..place + 15).ok_or("control left the function")?.to_vec();
            let len = Decoder::with_ip(64, &code, self.at.into(), DecoderOptions::NONE).decode().len();
            let (at, count) = (self.at, self.history.len());
            if let Next::End = self.apply(processor, at, &code[..len], random, report, &mut None)? {
                break;
            }
            if self.history.len() == count {
                return Err(format!("[refused] {at:#x} was accepted with the whole function, and now is not"));
            }
        }
        Ok(())
    }
}
