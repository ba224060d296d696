//! Checks a filter program against the rules that it is made from, for every call there can be. What made the program is not
//! trusted.
//!
//! A filter branches on one word of the call at a time. So each of its paths is taken by the calls of a [`Region`]: a set of
//! values for each word, independent of the others. The check walks every path and compares its answer with what the rules say
//! of all calls in its region. Nothing is sampled: the answer is "equal", or a call that differs.

mod region;

#[cfg(test)]
use self::region::halves;
use self::region::{Region, Test};
use super::bpf::{Instruction, SystemCall};
use crate::AddressRange;

/// Words of `struct seccomp_data`: number, architecture, instruction pointer, six arguments of two words each.
const WORDS: usize = 16;
const NUMBER: usize = 0;
const ARCHITECTURE: usize = 1;
const POINTER: usize = 2;
const FIRST_ARGUMENT: usize = 4;

/// Numbers from here on are calls of the x32 ABI. Source: seccomp(2).
const X32_BIT: u32 = 0x4000_0000;

/// `AUDIT_ARCH_X86_64`. Source: `linux/audit.h`.
const X86_64: u32 = 0xc000_003e;

const TRAP: u32 = libc::SECCOMP_RET_TRAP;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// Most regions that are looked at. The filters here have fewer than a thousand.
const MAX_REGIONS: usize = 100_000;

/// What the rules say of calls. Whatever they do not name is answered by `SECCOMP_RET_TRAP`.
pub(crate) struct Expected {
    /// Every call from there is refused. The address behind the range belongs to it.
    pub refused: Option<AddressRange>,
    /// Calls that are answered in a way of their own, whatever their arguments.
    pub answers: Vec<(u32, u32)>,
    /// Calls that are permitted, each number once.
    pub calls: Vec<Permitted>,
}

/// A call that is permitted if all requirements of one alternative hold.
pub(crate) struct Permitted {
    pub number: u32,
    pub alternatives: Vec<Vec<Requirement>>,
}

/// A test of one argument, all 64 bits of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Requirement {
    /// The bits of the mask have this value.
    Equal { argument: u8, mask: u64, value: u64 },
    /// It is this or less, unsigned.
    AtMost { argument: u8, value: u64 },
}

/// Why a program is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The program answers a call in another way than the rules.
    #[error("{call} is answered by {found:#x}, the rules say {expected:#x}")]
    Answer {
        /// One such call.
        call: SystemCall,
        /// `SECCOMP_RET_*` of the rules.
        expected: u32,
        /// `SECCOMP_RET_*` of the program.
        found: u32,
    },
    /// The program has an instruction at this place that no filter of ours has, or leads past its end.
    #[error("instruction {0} is none that a filter of ours has")]
    Unknown(usize),
    /// The program has too many paths.
    #[error("it has too many paths")]
    TooLarge,
}

/// A path that is still to be followed.
struct Path {
    at: usize,
    region: Region,
    /// The word in the accumulator.
    loaded: Option<usize>,
    /// What it was masked with.
    mask: u32,
}

/// Whether a program answers every call as the rules do. The number of its paths.
///
/// # Errors
/// [`Difference`].
pub(crate) fn check(program: &[Instruction], expected: &Expected) -> Result<usize, Difference> {
    let mut paths = vec![Path { at: 0, region: Region::all(), loaded: None, mask: u32::MAX }];
    let (mut count, mut left) = (0, MAX_REGIONS);
    while let Some(Path { at, region, loaded, mask }) = paths.pop() {
        spend(&mut left)?;
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
                // A bound on masked bits is no set of this kind.
                let test = match (code, k.checked_add(1)) {
                    (0x15, _) => Some(Test::Equal { mask, value: k }),
                    _ if mask != u32::MAX => return Err(unknown),
                    (0x25, None) => None,
                    (0x25, Some(bound)) => Some(Test::AtLeast(bound)),
                    _ => Some(Test::AtLeast(k)),
                };
                let branches = match test {
                    Some(test) => region.by(word, test),
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
                expected.judge(region, k, &mut left)?;
            }
            _ => return Err(unknown),
        }
    }
    Ok(count)
}

fn spend(left: &mut usize) -> Result<(), Difference> {
    *left = left.checked_sub(1).ok_or(Difference::TooLarge)?;
    Ok(())
}

/// Whether the rules' answer to a region, if there is one, is the program's.
fn expect(region: Option<&Region>, expected: u32, found: u32, left: &mut usize) -> Result<(), Difference> {
    match region {
        Some(region) if expected != found => Err(Difference::Answer { call: region.call(), expected, found }),
        Some(_) => spend(left),
        None => Ok(()),
    }
}

impl Expected {
    /// Whether the rules answer all calls of a region in this way.
    fn judge(&self, region: Region, found: u32, left: &mut usize) -> Result<(), Difference> {
        let mut expect = |region: Option<&Region>, expected| expect(region, expected, found, left);
        expect(region.with(ARCHITECTURE, Test::is_not(X86_64)).as_ref(), TRAP)?;
        let Some(region) = region.narrowed(ARCHITECTURE, Test::is(X86_64)) else { return Ok(()) };
        expect(region.with(NUMBER, Test::AtLeast(X32_BIT)).as_ref(), TRAP)?;
        let Some(region) = region.narrowed(NUMBER, Test::Below(X32_BIT)) else { return Ok(()) };
        if found == TRAP && self.judge_numbers(region.clone(), found, left).is_ok() {
            // Wherever they come from.
            return Ok(());
        }
        let (inside, outside) = self.by_origin(region);
        inside.iter().try_for_each(|region| self::expect(Some(region), TRAP, found, left))?;
        outside.into_iter().try_for_each(|region| self.judge_numbers(region, found, left))
    }

    /// The same of calls from where they are permitted.
    fn judge_numbers(&self, region: Region, found: u32, left: &mut usize) -> Result<(), Difference> {
        let mut expect = |region: Option<&Region>, expected| expect(region, expected, found, left);
        let own = self.answers.iter().map(|(number, answer)| (*number, Err(*answer)));
        let all = own.chain(self.calls.iter().map(|call| (call.number, Ok(call))));
        let mut others = Some(region);
        for (number, says) in all {
            // Most paths are those of one number.
            let Some(region) = others.take_if(|region| region.has(NUMBER, number)) else { continue };
            let [of_number, rest] = region.by(NUMBER, Test::is(number));
            others = rest;
            match (of_number, says) {
                (None, _) => {}
                (Some(region), Err(answer)) => expect(Some(&region), answer)?,
                (Some(region), Ok(call)) => {
                    let (permitted, refused) = call.divide(region);
                    permitted.iter().try_for_each(|region| expect(Some(region), ALLOW))?;
                    refused.iter().try_for_each(|region| expect(Some(region), TRAP))?;
                }
            }
        }
        expect(others.as_ref(), TRAP)
    }

    /// Calls from where every call is refused, and those from elsewhere.
    fn by_origin(&self, region: Region) -> (Vec<Region>, Vec<Region>) {
        let Some(AddressRange { start, len_bytes }) = self.refused else { return (Vec::new(), vec![region]) };
        let [mut outside, from_start] = match start.checked_sub(1) {
            Some(last_before) => region.by_bound(POINTER, last_before),
            None => [Vec::new(), vec![region]],
        };
        let mut inside = Vec::new();
        for region in from_start {
            let [within, behind] = region.by_bound(POINTER, start.saturating_add(len_bytes));
            inside.extend(within);
            outside.extend(behind);
        }
        (inside, outside)
    }
}

impl Permitted {
    /// The calls of a region that are permitted, and those that are not.
    fn divide(&self, region: Region) -> (Vec<Region>, Vec<Region>) {
        let (mut permitted, mut left) = (Vec::new(), vec![region]);
        for alternative in &self.alternatives {
            let mut others = Vec::new();
            for requirement in alternative {
                let mut holds = Vec::new();
                for region in left {
                    let [yes, no] = region.by_requirement(*requirement);
                    holds.extend(yes);
                    others.extend(no);
                }
                left = holds;
            }
            permitted.append(&mut left);
            left = others;
        }
        (permitted, left)
    }
}

#[cfg(test)]
mod tests;
