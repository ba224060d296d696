//! Checks a filter program against the rules that it was compiled from, for every possible call. The compiler is not trusted.
//!
//! A filter branches on one word of the call at a time. So the calls that take one of its paths are a [`Region`]: a set of values
//! for each word, independent of the others. The check walks every path and compares its answer with the rules' answer to all
//! calls of its region. Nothing is sampled: the result is "equal", or a call that differs.

mod region;
#[cfg(test)]
mod tests;

use self::region::{ARCHITECTURE, NUMBER, POINTER, Region, Test, WORDS};
use super::bpf::{Instruction, SystemCall, X86_64};
use crate::plan::AddressRange;

/// Numbers with this bit are calls of the x32 ABI. Source: seccomp(2).
const X32_BIT: u32 = 0x4000_0000;

const TRAP: u32 = libc::SECCOMP_RET_TRAP;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// Maximum number of regions that are compared. The filters here have fewer than a thousand.
const MAX_REGIONS: usize = 100_000;

/// The rules' answers to calls. The answer to any other call is `SECCOMP_RET_TRAP`.
pub(crate) struct Expected {
    /// Every call from this range is denied. The address after the range belongs to it.
    pub denied_origin: Option<AddressRange>,
    /// Numbers of calls that have an answer of their own, whatever their arguments, and the answers.
    pub answers: Vec<(u32, u32)>,
    /// Calls that are permitted. Each number is in the list once.
    pub calls: Vec<Permitted>,
}

/// A call that is permitted if all requirements of at least one alternative hold.
pub(crate) struct Permitted {
    pub number: u32,
    pub alternatives: Vec<Vec<Requirement>>,
}

/// A test of one argument, all 64 bits of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Requirement {
    /// The bits under the mask have this value.
    Equal { argument: u8, mask: u64, value: u64 },
    /// The argument is at most this, unsigned.
    AtMost { argument: u8, value: u64 },
}

impl Requirement {
    /// The calls of a region for which it holds, and the others.
    fn split(self, region: Region) -> [Vec<Region>; 2] {
        match self {
            Self::Equal { argument, mask, value } => region.split_by_value(region::argument(argument), mask, value),
            Self::AtMost { argument, value } => region.split_by_bound(region::argument(argument), value),
        }
    }
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
    /// The program has too many paths.
    #[error("it has too many paths")]
    TooLarge,
}

/// A path that is not walked yet.
struct Path {
    at: usize,
    region: Region,
    /// The word in the accumulator.
    loaded: Option<usize>,
    /// The mask that was applied to it.
    mask: u32,
}

/// Confirms that a program answers every call as the rules do. Returns the number of its paths.
///
/// # Errors
/// [`Difference`].
pub(crate) fn check(program: &[Instruction], expected: &Expected) -> Result<usize, Difference> {
    let mut paths = vec![Path { at: 0, region: Region::all(), loaded: None, mask: u32::MAX }];
    let (mut count, mut budget) = (0, MAX_REGIONS);
    while let Some(Path { at, region, loaded, mask }) = paths.pop() {
        count_region(&mut budget)?;
        let unknown = Difference::Unknown(at);
        let Instruction { code, jt, jf, k } = *program.get(at).ok_or(unknown)?;
        let next = at + 1;
        // Source: `linux/bpf_common.h`.
        match code {
            // BPF_LD | BPF_W | BPF_ABS
            0x20 => {
                let word = (k / 4) as usize;
                if k % 4 != 0 || word >= WORDS {
                    return Err(unknown);
                }
                paths.push(Path { at: next, region, loaded: Some(word), mask: u32::MAX });
            }
            // BPF_ALU | BPF_AND | BPF_K
            0x54 => paths.push(Path { at: next, region, loaded, mask: mask & k }),
            // BPF_JMP | BPF_JA
            0x05 => {
                let at = next.checked_add(k as usize).ok_or(unknown)?;
                paths.push(Path { at, region, loaded, mask });
            }
            // BPF_JMP with BPF_JEQ, BPF_JGT or BPF_JGE, and BPF_K
            0x15 | 0x25 | 0x35 => {
                let word = loaded.ok_or(unknown)?;
                // A region cannot express a bound on masked bits.
                let test = match (code, k.checked_add(1)) {
                    (0x15, _) => Some(Test::Equal { mask, value: k }),
                    _ if mask != u32::MAX => return Err(unknown),
                    (0x25, None) => None,
                    (0x25, Some(bound)) => Some(Test::AtLeast(bound)),
                    _ => Some(Test::AtLeast(k)),
                };
                let branches = match test {
                    Some(test) => region.split(word, test),
                    None => [None, Some(region)],
                };
                for (region, skipped) in branches.into_iter().zip([jt, jf]) {
                    let at = next + usize::from(skipped);
                    paths.extend(region.map(|region| Path { at, region, loaded, mask }));
                }
            }
            // BPF_RET | BPF_K
            0x06 => {
                count += 1;
                expected.compare(region, k, &mut budget)?;
            }
            _ => return Err(unknown),
        }
    }
    Ok(count)
}

/// Counts one more region.
fn count_region(budget: &mut usize) -> Result<(), Difference> {
    *budget = budget.checked_sub(1).ok_or(Difference::TooLarge)?;
    Ok(())
}

/// Confirms that the program's answer to a region is the rules' answer. `None` is an empty region.
fn expect(region: Option<&Region>, expected: u32, found: u32, budget: &mut usize) -> Result<(), Difference> {
    match region {
        Some(region) if expected != found => Err(Difference::Answer { call: region.example(), expected, found }),
        Some(_) => count_region(budget),
        None => Ok(()),
    }
}

impl Expected {
    /// Confirms that the rules' answer to all calls of a region is `found`.
    fn compare(&self, region: Region, found: u32, budget: &mut usize) -> Result<(), Difference> {
        let mut expect = |region: Option<&Region>, expected| expect(region, expected, found, budget);
        expect(region.intersection(ARCHITECTURE, Test::is_not(X86_64)).as_ref(), TRAP)?;
        let Some(region) = region.narrowed(ARCHITECTURE, Test::is(X86_64)) else { return Ok(()) };
        expect(region.intersection(NUMBER, Test::AtLeast(X32_BIT)).as_ref(), TRAP)?;
        let Some(region) = region.narrowed(NUMBER, Test::Below(X32_BIT)) else { return Ok(()) };
        if found == TRAP && self.compare_numbers(region.clone(), found, budget).is_ok() {
            // The rules deny all of them, whatever their origin.
            return Ok(());
        }
        let (inside, outside) = self.split_by_origin(region);
        inside.iter().try_for_each(|region| self::expect(Some(region), TRAP, found, budget))?;
        outside.into_iter().try_for_each(|region| self.compare_numbers(region, found, budget))
    }

    /// As [`compare`](Self::compare), for calls of an origin that is not denied.
    fn compare_numbers(&self, region: Region, found: u32, budget: &mut usize) -> Result<(), Difference> {
        let mut expect = |region: Option<&Region>, expected| expect(region, expected, found, budget);
        let own = self.answers.iter().map(|(number, answer)| (*number, Err(*answer)));
        let all = own.chain(self.calls.iter().map(|call| (call.number, Ok(call))));
        let mut others = Some(region);
        for (number, rule) in all {
            // Most paths are of one number.
            let Some(region) = others.take_if(|region| region.contains(NUMBER, number)) else { continue };
            let [of_number, rest] = region.split(NUMBER, Test::is(number));
            others = rest;
            match (of_number, rule) {
                (None, _) => {}
                (Some(region), Err(answer)) => expect(Some(&region), answer)?,
                (Some(region), Ok(call)) => {
                    let (permitted, denied) = call.split(region);
                    permitted.iter().try_for_each(|region| expect(Some(region), ALLOW))?;
                    denied.iter().try_for_each(|region| expect(Some(region), TRAP))?;
                }
            }
        }
        expect(others.as_ref(), TRAP)
    }

    /// The calls of the origin that is denied, and the others.
    fn split_by_origin(&self, region: Region) -> (Vec<Region>, Vec<Region>) {
        let Some(AddressRange { start, len_bytes }) = self.denied_origin else { return (Vec::new(), vec![region]) };
        let [mut outside, from_start] = match start.checked_sub(1) {
            Some(last_before) => region.split_by_bound(POINTER, last_before),
            None => [Vec::new(), vec![region]],
        };
        let mut inside = Vec::new();
        for region in from_start {
            let [within, behind] = region.split_by_bound(POINTER, start.saturating_add(len_bytes));
            inside.extend(within);
            outside.extend(behind);
        }
        (inside, outside)
    }
}

impl Permitted {
    /// The calls of a region that are permitted, and the others.
    fn split(&self, region: Region) -> (Vec<Region>, Vec<Region>) {
        let (mut permitted, mut remaining) = (Vec::new(), vec![region]);
        for alternative in &self.alternatives {
            let mut others = Vec::new();
            for requirement in alternative {
                let mut holds = Vec::new();
                for region in remaining {
                    let [yes, no] = requirement.split(region);
                    holds.extend(yes);
                    others.extend(no);
                }
                remaining = holds;
            }
            permitted.append(&mut remaining);
            remaining = others;
        }
        (permitted, remaining)
    }
}
