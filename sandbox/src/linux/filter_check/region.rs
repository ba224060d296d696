//! Sets of system calls that a path of a filter, or a rule, can describe.

use crate::linux::bpf::SystemCall;

/// Words of `struct seccomp_data`: number, architecture, instruction pointer, six arguments of two words each.
pub(super) const WORDS: usize = 16;
pub(super) const NUMBER: usize = 0;
pub(super) const ARCHITECTURE: usize = 1;
/// The lower word of the instruction pointer.
pub(super) const POINTER: usize = 2;
const FIRST_ARGUMENT: usize = 4;

/// The lower word of an argument.
pub(super) fn argument(number: u8) -> usize {
    FIRST_ARGUMENT + 2 * usize::from(number)
}

/// A condition on one word.
#[derive(Clone, Copy)]
pub(super) enum Test {
    Equal { mask: u32, value: u32 },
    Different { mask: u32, value: u32 },
    AtLeast(u32),
    Below(u32),
}

impl Test {
    pub(super) const fn is(value: u32) -> Self {
        Self::Equal { mask: u32::MAX, value }
    }

    pub(super) const fn is_not(value: u32) -> Self {
        Self::Different { mask: u32::MAX, value }
    }

    const fn negated(self) -> Self {
        match self {
            Self::Equal { mask, value } => Self::Different { mask, value },
            Self::Different { mask, value } => Self::Equal { mask, value },
            Self::AtLeast(bound) => Self::Below(bound),
            Self::Below(bound) => Self::AtLeast(bound),
        }
    }
}

/// The values between two bounds that have certain bits under a mask.
#[derive(Clone, Copy)]
struct Word {
    low: u32,
    high: u32,
    mask: u32,
    bits: u32,
}

impl Word {
    const ALL: Self = Self { low: 0, high: u32::MAX, mask: 0, bits: 0 };

    /// The smallest value that is `from` or larger.
    fn at_least(&self, from: u32) -> Option<u32> {
        if from & self.mask == self.bits {
            return Some(from).filter(|value| *value <= self.high);
        }
        // The result equals `from` above some bit, has that bit set, and is as small as possible below it.
        let raised = |bit: u32| {
            let (own, above) = (1_u32 << bit, (u32::MAX << bit) << 1);
            let can_rise = from & own == 0 && (self.mask & own == 0 || self.bits & own != 0);
            let matches_above = from & above & self.mask == self.bits & above;
            (can_rise && matches_above).then_some(from & above | own | self.bits & (own - 1))
        };
        (0..32).find_map(raised).filter(|value| *value <= self.high)
    }
}

/// The values of a word that have certain bits under a mask. They are not in a region.
#[derive(Clone, Copy)]
struct Excluded {
    word: usize,
    mask: u32,
    value: u32,
}

/// The smallest value of a word that is not excluded.
fn smallest<'a>(own: &Word, excluded: impl Iterator<Item = &'a Excluded> + Clone) -> Option<u32> {
    let mut from = own.low;
    loop {
        let value = own.at_least(from)?;
        let Some(hit) = excluded.clone().find(|excluded| value & excluded.mask == excluded.value) else {
            return Some(value);
        };
        // The next value that differs under that mask: count up its lowest bit that is not fixed. If all are fixed, every value is
        // excluded.
        let free = hit.mask & !own.mask;
        if free == 0 {
            return None;
        }
        let step = free.trailing_zeros();
        from = u32::try_from(((u64::from(value) >> step) + 1) << step).ok()?;
    }
}

/// A set of calls: a set of values for each word, independent of the others. It is never empty.
#[derive(Clone)]
pub(super) struct Region {
    words: [Word; WORDS],
    excluded: Vec<Excluded>,
}

impl Region {
    /// All calls.
    pub(super) fn all() -> Self {
        Self { words: [Word::ALL; WORDS], excluded: Vec::new() }
    }

    /// The smallest value of a word.
    fn smallest(&self, word: usize) -> Option<u32> {
        smallest(&self.words[word], self.excluded.iter().filter(|excluded| excluded.word == word))
    }

    /// Whether a word can have a value.
    pub(super) fn contains(&self, word: usize, value: u32) -> bool {
        let Word { low, high, mask, bits } = self.words[word];
        let is_excluded = |excluded: &Excluded| excluded.word == word && value & excluded.mask == excluded.value;
        (low..=high).contains(&value) && value & mask == bits && !self.excluded.iter().any(is_excluded)
    }

    /// A word after one more condition, and the values that the condition excludes. `None` if no value is left.
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
            // A value with bits outside of the mask differs from every masked word.
            Test::Different { mask, value } => match value & !mask {
                0 if mask == 0 => return None,
                0 => excluded = Some(Excluded { word, mask, value }),
                _ => {}
            },
            Test::AtLeast(bound) => own.low = own.low.max(bound),
            Test::Below(bound) => own.high = own.high.min(bound.checked_sub(1)?),
        }
        smallest(&own, self.excluded.iter().chain(&excluded).filter(|excluded| excluded.word == word))?;
        // A word with one value needs no exclusions.
        Some((own, excluded.filter(|_| own.mask != u32::MAX)))
    }

    /// The calls for which one more condition holds, if there are any.
    pub(super) fn intersection(&self, word: usize, test: Test) -> Option<Self> {
        let (own, excluded) = self.restrict(word, test)?;
        let mut region = Self { words: self.words, excluded: Vec::with_capacity(self.excluded.len() + 1) };
        region.words[word] = own;
        let others = self.excluded.iter().filter(|excluded| excluded.word != word || own.mask != u32::MAX);
        region.excluded.extend(others.copied().chain(excluded));
        Some(region)
    }

    /// As [`intersection`](Self::intersection), without a copy.
    pub(super) fn narrowed(mut self, word: usize, test: Test) -> Option<Self> {
        let (own, excluded) = self.restrict(word, test)?;
        self.words[word] = own;
        self.excluded.extend(excluded);
        Some(self)
    }

    /// The calls for which a condition holds, and the others.
    pub(super) fn split(self, word: usize, test: Test) -> [Option<Self>; 2] {
        match self.intersection(word, test) {
            Some(holds) => [Some(holds), self.narrowed(word, test.negated())],
            None => [None, Some(self)],
        }
    }

    /// The calls in which the 64 bits from a word on have this value under a mask, and the others.
    pub(super) fn split_by_value(self, low: usize, mask: u64, value: u64) -> [Vec<Self>; 2] {
        let ([mask_low, mask_high], [value_low, value_high]) = (halves(mask), halves(value));
        let [same, other] = self.split(low + 1, Test::Equal { mask: mask_high, value: value_high });
        let test = Test::Equal { mask: mask_low, value: value_low };
        let [holds, fails] = same.map_or([None, None], |same| same.split(low, test));
        [holds.into_iter().collect(), fails.into_iter().chain(other).collect()]
    }

    /// The calls in which the 64 bits from a word on are at most `most`, and the others.
    pub(super) fn split_by_bound(self, low: usize, most: u64) -> [Vec<Self>; 2] {
        let [most_low, most_high] = halves(most);
        let [same, other] = self.split(low + 1, Test::is(most_high));
        let [above, below] = other.map_or([None, None], |other| other.split(low + 1, Test::AtLeast(most_high)));
        let [past, within] = match (same, most_low.checked_add(1)) {
            (Some(same), Some(past)) => same.split(low, Test::AtLeast(past)),
            (same, _) => [None, same],
        };
        [within.into_iter().chain(below).collect(), past.into_iter().chain(above).collect()]
    }

    /// One of the calls.
    pub(super) fn example(&self) -> SystemCall {
        let word = |index: usize| self.smallest(index).unwrap_or_default();
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
pub(super) fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}
