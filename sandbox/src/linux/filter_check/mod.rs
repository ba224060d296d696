//! Checks a filter program against the rules of its plan, for every possible call. What compiles programs is not trusted.
//!
//! A filter branches on one word of the call at a time. So the calls that take one of its paths are a [`Region`]: a set of values
//! for each word, independent of the others. The check walks every path and compares its answer with the rules' answer to all
//! calls of its region. Nothing is sampled: the result is "equal", or a call that differs.

mod region;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::region::{ARCHITECTURE, Division, NUMBER, POINTER, POINTER_HIGH, Region, Test, Then, WORDS};
use super::bpf::{Instruction, SystemCall, X86_64};
use crate::plan::{AddressRange, SealPlan};

/// Numbers with this bit are calls of the x32 ABI. Source: seccomp(2).
const X32_BIT: u32 = 0x4000_0000;

const TRAP: u32 = libc::SECCOMP_RET_TRAP;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// `BPF_LD | BPF_W | BPF_ABS`. Source: `linux/bpf_common.h`, here and below.
const LOAD: u16 = 0x20;

/// Maximum number of steps. The filters here take a few thousand.
const MAX_STEPS: usize = 1_000_000;

/// A program that answers every call as the rules of a plan do.
pub(crate) struct Checked {
    program: Vec<Instruction>,
}

impl Checked {
    /// Checks a program. `restricts_truncation`: `openat` with `O_TRUNC` needs write access.
    ///
    /// # Errors
    /// [`Difference`].
    pub(crate) fn new(
        program: Vec<Instruction>,
        plan: &SealPlan<'_>,
        restricts_truncation: bool,
    ) -> Result<Self, Difference> {
        check_plan(&program, plan, restricts_truncation)?;
        Ok(Self { program })
    }

    pub(crate) fn program(&self) -> &[Instruction] {
        &self.program
    }

    pub(crate) fn into_program(self) -> Vec<Instruction> {
        self.program
    }
}

/// As [`Checked::new`]. Returns the number of paths of the program.
///
/// # Errors
/// [`Difference`].
pub(crate) fn check_plan(
    program: &[Instruction],
    plan: &SealPlan<'_>,
    restricts_truncation: bool,
) -> Result<usize, Difference> {
    check(program, &rules::of_plan(plan, restricts_truncation))
}

/// The answers to calls. The answer to any other call is `SECCOMP_RET_TRAP`.
struct Rules {
    /// Every call from this range is denied. The address after the range belongs to it.
    denied_origin: Option<AddressRange>,
    by_number: BTreeMap<u32, Rule>,
}

/// The answer to the calls with one number.
enum Rule {
    /// The same to all of them.
    Answer(u32),
    /// `SECCOMP_RET_ALLOW` if all requirements of at least one alternative hold, otherwise `SECCOMP_RET_TRAP`.
    Permit(Vec<Vec<Requirement>>),
}

/// A test of one argument, all 64 bits of it.
#[derive(Clone, Copy, Debug)]
enum Requirement {
    /// The bits under the mask have this value.
    Equal { argument: u8, mask: u64, value: u64 },
    /// The argument is at most this, unsigned.
    AtMost { argument: u8, value: u64 },
}

/// Why a program is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The program and the rules answer a call differently.
    #[error("{call} is answered by {found:#x}, the rules say {expected:#x}")]
    Answer {
        /// One such call.
        call: SystemCall,
        /// The rules' answer, `SECCOMP_RET_*`.
        expected: u32,
        /// The program's answer, `SECCOMP_RET_*`.
        found: u32,
    },
    /// The instruction at this index is one that no filter of this crate has, or lies past the end.
    #[error("instruction {0} is one that no filter of wave has")]
    Unknown(usize),
    /// The check takes too many steps.
    #[error("it has too many paths")]
    TooLarge,
}

/// Confirms that a program answers every call as the rules do. Returns the number of its paths.
fn check(program: &[Instruction], rules: &Rules) -> Result<usize, Difference> {
    let mut steps = Steps(MAX_STEPS);
    let mut joint = Joint::of(program, rules);
    let mut paths = vec![Path { at: 0, region: Region::all(), loaded: None, mask: u32::MAX }];
    let mut count = 0;
    while let Some(path) = paths.pop() {
        let Some((region, answer)) = path.walk(program, &mut paths, &mut joint, &mut steps)? else { continue };
        rules.compare(region, answer, &mut steps)?;
        count += 1;
    }
    Ok(count)
}

/// What is left of [`MAX_STEPS`].
struct Steps(usize);

impl Steps {
    fn count(&mut self) -> Result<(), Difference> {
        self.0 = self.0.checked_sub(1).ok_or(Difference::TooLarge)?;
        Ok(())
    }
}

/// The place from which on a program does not look at the instruction pointer.
///
/// Its answer to a call then depends on the other words alone, and so does the rules' answer if the origin is not denied. So of all
/// calls there that differ in the origin alone, one is enough.
struct Joint<'r> {
    rules: &'r Rules,
    /// A load, so that nothing of the words before is left. Jumps only lead forward.
    at: Option<usize>,
    /// What was left of the paths that came here.
    regions: Vec<Region>,
}

impl<'r> Joint<'r> {
    fn of(program: &[Instruction], rules: &'r Rules) -> Self {
        let loads = |instruction: &Instruction| (instruction.code == LOAD).then_some((instruction.k / 4) as usize);
        let is_last = |instruction| matches!(loads(instruction), Some(POINTER | POINTER_HIGH));
        let after = program.iter().rposition(is_last).map_or(0, |last| last + 1);
        let at = program.iter().skip(after).position(|instruction| loads(instruction).is_some());
        Self { rules, at: at.map(|position| after + position), regions: Vec::new() }
    }

    /// Leaves one origin in the region of a path that came here, and none in that of another path with the same other words.
    fn with_one_origin(&mut self, region: Region) -> Option<Region> {
        if !self.rules.permit_origin(&region) {
            return Some(region);
        }
        let region = region.with_one_value(POINTER).with_one_value(POINTER_HIGH);
        if self.regions.iter().any(|known| known.is_equal_except_in(&region, &[POINTER, POINTER_HIGH])) {
            return None;
        }
        self.regions.push(region.clone());
        Some(region)
    }
}

/// A path that is not walked to its end yet.
struct Path {
    at: usize,
    region: Region,
    /// The word in the accumulator.
    loaded: Option<usize>,
    /// The mask that was applied to it.
    mask: u32,
}

impl Path {
    /// Walks to the end. Returns the calls that take the path, and the program's answer to them. `None` if another path makes this one
    /// needless. Paths that branch off go to `others`.
    fn walk(
        self,
        program: &[Instruction],
        others: &mut Vec<Self>,
        joint: &mut Joint<'_>,
        steps: &mut Steps,
    ) -> Result<Option<(Region, u32)>, Difference> {
        let Self { mut at, mut region, mut loaded, mut mask } = self;
        loop {
            steps.count()?;
            if joint.at == Some(at) {
                let Some(of_one_origin) = joint.with_one_origin(region) else { return Ok(None) };
                region = of_one_origin;
            }
            let unknown = Difference::Unknown(at);
            let Instruction { code, jt, jf, k } = *program.get(at).ok_or(unknown)?;
            at += 1;
            match code {
                LOAD => {
                    let word = (k / 4) as usize;
                    if k % 4 != 0 || word >= WORDS {
                        return Err(unknown);
                    }
                    (loaded, mask) = (Some(word), u32::MAX);
                }
                // BPF_ALU | BPF_AND | BPF_K
                0x54 => mask &= k,
                // BPF_JMP | BPF_JA
                0x05 => at = at.checked_add(k as usize).ok_or(unknown)?,
                // BPF_JMP with BPF_JEQ, BPF_JGT or BPF_JGE, and BPF_K
                0x15 | 0x25 | 0x35 => {
                    let word = loaded.ok_or(unknown)?;
                    let test = match code {
                        0x15 => Test::Equal { mask, value: k },
                        // A region cannot express a bound on masked bits.
                        _ if mask != u32::MAX => return Err(unknown),
                        0x25 => Test::Above(k),
                        _ => Test::AtLeast(k),
                    };
                    let (yes, no) = (at + usize::from(jt), at + usize::from(jf));
                    at = match region.divide(word, test) {
                        Division::All => yes,
                        Division::None => no,
                        Division::Some(holds) => {
                            let fails = std::mem::replace(&mut region, holds);
                            others.push(Self { at: no, region: fails, loaded, mask });
                            yes
                        }
                    };
                }
                // BPF_RET | BPF_K
                0x06 => return Ok(Some((region, k))),
                _ => return Err(unknown),
            }
        }
    }
}

/// Confirms that the program's answer to a region is the rules' answer.
fn expect(region: &Region, expected: u32, found: u32) -> Result<(), Difference> {
    if expected == found { Ok(()) } else { Err(Difference::Answer { call: region.example(), expected, found }) }
}

impl Rules {
    /// Confirms that the rules' answer to all calls of a region is `found`.
    fn compare(&self, region: Region, found: u32, steps: &mut Steps) -> Result<(), Difference> {
        region.by_test(ARCHITECTURE, Test::is(X86_64), |region, is_native| match is_native {
            true => region.by_test(NUMBER, Test::AtLeast(X32_BIT), |region, is_x32| match is_x32 {
                true => expect(&region, TRAP, found),
                false => self.by_origin(region, &mut |region, is_denied| match is_denied {
                    true => expect(&region, TRAP, found),
                    false => self.compare_numbers(region, found, steps),
                }),
            }),
            false => expect(&region, TRAP, found),
        })
    }

    /// As [`compare`](Self::compare), for calls whose architecture and origin are permitted.
    fn compare_numbers(&self, mut region: Region, found: u32, steps: &mut Steps) -> Result<(), Difference> {
        // Most paths are of one number.
        if let Some(number) = region.only_value(NUMBER) {
            return match self.by_number.get(&number) {
                Some(rule) => rule.compare(region, found, steps),
                None => expect(&region, TRAP, found),
            };
        }
        for (number, rule) in self.by_number.range(region.bounds(NUMBER)) {
            match region.divide(NUMBER, Test::is(*number)) {
                Division::None => {}
                Division::Some(of_number) => rule.compare(of_number, found, steps)?,
                Division::All => return rule.compare(region, found, steps),
            }
        }
        expect(&region, TRAP, found)
    }

    /// Hands over the calls of the origin that is denied, and the others.
    fn by_origin(&self, region: Region, then: Then<'_>) -> Result<(), Difference> {
        let Some(AddressRange { start, len_bytes }) = self.denied_origin else { return then(region, false) };
        region.by_bound(POINTER, start.saturating_add(len_bytes), &mut |region, is_up_to_last| match start
            .checked_sub(1)
            .filter(|_| is_up_to_last)
        {
            Some(before) => region.by_bound(POINTER, before, &mut |region, is_before| then(region, !is_before)),
            None => then(region, is_up_to_last),
        })
    }

    /// Whether no call of a region is of the origin that is denied.
    fn permit_origin(&self, region: &Region) -> bool {
        let mut is_permitted = true;
        let looked = self.by_origin(region.clone(), &mut |_, is_denied| {
            is_permitted &= !is_denied;
            Ok(())
        });
        looked.is_ok() && is_permitted
    }
}

impl Rule {
    /// As [`Rules::compare`], for calls with the number of the rule, from an origin that is not denied.
    fn compare(&self, region: Region, found: u32, steps: &mut Steps) -> Result<(), Difference> {
        match self {
            Self::Answer(answer) => expect(&region, *answer, found),
            Self::Permit(alternatives) => compare_alternatives(region, alternatives, found, steps),
        }
    }
}

/// As [`Rules::compare`], where the rules permit a call if one of the alternatives holds.
fn compare_alternatives(
    region: Region,
    alternatives: &[Vec<Requirement>],
    found: u32,
    steps: &mut Steps,
) -> Result<(), Difference> {
    match alternatives.split_first() {
        Some((first, others)) => compare_requirements(region, first, others, found, steps),
        None => expect(&region, TRAP, found),
    }
}

/// As [`compare_alternatives`], where these requirements are what is left of the first alternative.
fn compare_requirements(
    region: Region,
    requirements: &[Requirement],
    others: &[Vec<Requirement>],
    found: u32,
    steps: &mut Steps,
) -> Result<(), Difference> {
    steps.count()?;
    let Some((first, rest)) = requirements.split_first() else { return expect(&region, ALLOW, found) };
    first.divide(region, &mut |region, holds| match holds {
        true => compare_requirements(region, rest, others, found, steps),
        false => compare_alternatives(region, others, found, steps),
    })
}

impl Requirement {
    /// Hands over the calls of a region for which it holds, and the others, as regions.
    fn divide(self, region: Region, then: Then<'_>) -> Result<(), Difference> {
        match self {
            Self::Equal { argument, mask, value } => region.by_value(region::argument(argument), mask, value, then),
            Self::AtMost { argument, value } => region.by_bound(region::argument(argument), value, then),
        }
    }
}
