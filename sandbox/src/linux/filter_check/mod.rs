//! Checks a filter program against the rules that it is made from, for every call there can be. What made the program is not
//! trusted.
//!
//! A filter branches on one word of the call at a time. So each of its paths is taken by the calls of a [`Region`]: a set of
//! values for each word, independent of the others. The check walks every path and compares its answer with what the rules say
//! of all calls in its region. Nothing is sampled: the answer is "equal", or a call that differs.

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

/// A condition on one word.
#[derive(Clone, Copy)]
enum Test {
    Equal { mask: u32, value: u32 },
    Different { mask: u32, value: u32 },
    AtLeast(u32),
    Below(u32),
}

impl Test {
    const fn is(value: u32) -> Self {
        Self::Equal { mask: u32::MAX, value }
    }

    const fn is_not(value: u32) -> Self {
        Self::Different { mask: u32::MAX, value }
    }

    const fn not(self) -> Self {
        match self {
            Self::Equal { mask, value } => Self::Different { mask, value },
            Self::Different { mask, value } => Self::Equal { mask, value },
            Self::AtLeast(bound) => Self::Below(bound),
            Self::Below(bound) => Self::AtLeast(bound),
        }
    }
}

/// Values between two bounds whose bits under a mask are known.
#[derive(Clone, Copy)]
struct Word {
    low: u32,
    high: u32,
    mask: u32,
    bits: u32,
}

impl Word {
    const ALL: Self = Self { low: 0, high: u32::MAX, mask: 0, bits: 0 };

    /// The smallest value from `from` on.
    fn next(&self, from: u32) -> Option<u32> {
        if from & self.mask == self.bits {
            return Some(from).filter(|value| *value <= self.high);
        }
        // Equal above some bit that is raised, and the least possible below it.
        let raised = |bit: u32| {
            let (own, above) = (1_u32 << bit, (u32::MAX << bit) << 1);
            let can_rise = from & own == 0 && (self.mask & own == 0 || self.bits & own != 0);
            let fits = from & above & self.mask == self.bits & above;
            (can_rise && fits).then_some(from & above | own | self.bits & (own - 1))
        };
        (0..32).find_map(raised).filter(|value| *value <= self.high)
    }
}

/// Values of a word that are not in a region.
#[derive(Clone, Copy)]
struct Excluded {
    word: usize,
    mask: u32,
    value: u32,
}

/// The smallest value of a word that is not excluded.
fn least<'a>(own: &Word, excluded: impl Iterator<Item = &'a Excluded> + Clone) -> Option<u32> {
    let mut from = own.low;
    loop {
        let value = own.next(from)?;
        let Some(hit) = excluded.clone().find(|excluded| value & excluded.mask == excluded.value) else {
            return Some(value);
        };
        // The next value that differs under that mask: its lowest bit that is not known counts up. If all are known, each value
        // is excluded.
        let free = hit.mask & !own.mask;
        if free == 0 {
            return None;
        }
        let step = free.trailing_zeros();
        from = u32::try_from(((u64::from(value) >> step) + 1) << step).ok()?;
    }
}

/// A set of calls, never empty.
#[derive(Clone)]
struct Region {
    words: [Word; WORDS],
    excluded: Vec<Excluded>,
}

impl Region {
    /// All calls.
    fn all() -> Self {
        Self { words: [Word::ALL; WORDS], excluded: Vec::new() }
    }

    /// The smallest value of a word.
    fn least(&self, word: usize) -> Option<u32> {
        least(&self.words[word], self.excluded.iter().filter(|excluded| excluded.word == word))
    }

    /// Whether a word can have a value.
    fn has(&self, word: usize, value: u32) -> bool {
        let Word { low, high, mask, bits } = self.words[word];
        let is_excluded = |excluded: &Excluded| excluded.word == word && value & excluded.mask == excluded.value;
        (low..=high).contains(&value) && value & mask == bits && !self.excluded.iter().any(is_excluded)
    }

    /// What is left of a word of which something more holds, and a value that is no longer there. `None` if nothing is left.
    fn restrict(&self, word: usize, test: Test) -> Option<(Word, Option<Excluded>)> {
        let mut own = self.words[word];
        let mut excluded = None;
        match test {
            Test::Equal { mask, value } => {
                if value & !mask != 0 || own.mask & mask & (own.bits ^ value) != 0 {
                    return None;
                }
                own.mask |= mask;
                own.bits |= value;
            }
            // Bits outside of the mask are never equal.
            Test::Different { mask, value } => match value & !mask {
                0 if mask == 0 => return None,
                0 => excluded = Some(Excluded { word, mask, value }),
                _ => {}
            },
            Test::AtLeast(bound) => own.low = own.low.max(bound),
            Test::Below(bound) => own.high = own.high.min(bound.checked_sub(1)?),
        }
        least(&own, self.excluded.iter().chain(&excluded).filter(|excluded| excluded.word == word))?;
        // Of a word that is known, nothing else needs to be said.
        Some((own, excluded.filter(|_| own.mask != u32::MAX)))
    }

    /// The calls of which something more holds, if there are any.
    fn with(&self, word: usize, test: Test) -> Option<Self> {
        let (own, excluded) = self.restrict(word, test)?;
        let mut region = Self { words: self.words, excluded: Vec::with_capacity(self.excluded.len() + 1) };
        region.words[word] = own;
        let others = self.excluded.iter().filter(|excluded| excluded.word != word || own.mask != u32::MAX);
        region.excluded.extend(others.copied().chain(excluded));
        Some(region)
    }

    /// The same, in the place of what it is taken from.
    fn narrowed(mut self, word: usize, test: Test) -> Option<Self> {
        let (own, excluded) = self.restrict(word, test)?;
        self.words[word] = own;
        self.excluded.extend(excluded);
        Some(self)
    }

    /// The calls of which something holds, and those of which it does not.
    fn by(self, word: usize, test: Test) -> [Option<Self>; 2] {
        match self.with(word, test) {
            Some(holds) => [Some(holds), self.narrowed(word, test.not())],
            None => [None, Some(self)],
        }
    }

    /// The calls in which 64 bits from a word on have this value under a mask, and the others.
    fn by_value(self, low: usize, mask: u64, value: u64) -> [Vec<Self>; 2] {
        let ([mask_low, mask_high], [value_low, value_high]) = (halves(mask), halves(value));
        let [same, other] = self.by(low + 1, Test::Equal { mask: mask_high, value: value_high });
        let test = Test::Equal { mask: mask_low, value: value_low };
        let [holds, fails] = same.map_or([None, None], |same| same.by(low, test));
        [holds.into_iter().collect(), fails.into_iter().chain(other).collect()]
    }

    /// The calls in which 64 bits from a word on are this or less, and the others.
    fn by_bound(self, low: usize, most: u64) -> [Vec<Self>; 2] {
        let [most_low, most_high] = halves(most);
        let [same, other] = self.by(low + 1, Test::is(most_high));
        let [above, below] = other.map_or([None, None], |other| other.by(low + 1, Test::AtLeast(most_high)));
        let [past, within] = match (same, most_low.checked_add(1)) {
            (Some(same), Some(past)) => same.by(low, Test::AtLeast(past)),
            (same, _) => [None, same],
        };
        [within.into_iter().chain(below).collect(), past.into_iter().chain(above).collect()]
    }

    fn by_requirement(self, requirement: Requirement) -> [Vec<Self>; 2] {
        let word = |argument: u8| FIRST_ARGUMENT + 2 * usize::from(argument);
        match requirement {
            Requirement::Equal { argument, mask, value } => self.by_value(word(argument), mask, value),
            Requirement::AtMost { argument, value } => self.by_bound(word(argument), value),
        }
    }

    /// One of the calls.
    fn call(&self) -> SystemCall {
        let word = |index: usize| self.least(index).unwrap_or_default();
        let pair = |low: usize| u64::from(word(low)) | u64::from(word(low + 1)) << 32;
        SystemCall {
            number: word(NUMBER),
            arch: word(ARCHITECTURE),
            instruction_pointer: pair(POINTER),
            arguments: std::array::from_fn(|argument| pair(FIRST_ARGUMENT + 2 * argument)),
        }
    }
}

/// The lower and the upper half.
fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
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
