//! Sets of system calls that a path of a filter, or a rule, can describe.

use std::iter;
use std::ops::RangeInclusive;
use std::rc::Rc;

use super::Difference;
use crate::linux::bpf::SystemCall;

/// Words of `struct seccomp_data`: number, architecture, instruction pointer, six arguments of two words each.
pub(super) const WORDS: usize = 16;
pub(super) const NUMBER: usize = 0;
pub(super) const ARCHITECTURE: usize = 1;
/// The lower word of the instruction pointer, and the upper one.
pub(super) const POINTER: usize = 2;
pub(super) const POINTER_HIGH: usize = 3;
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
    Above(u32),
    Below(u32),
    AtMost(u32),
}

impl Test {
    pub(super) const fn is(value: u32) -> Self {
        Self::Equal { mask: u32::MAX, value }
    }

    const fn holds(self, word: u32) -> bool {
        match self {
            Self::Equal { mask, value } => word & mask == value,
            Self::Different { mask, value } => word & mask != value,
            Self::AtLeast(bound) => word >= bound,
            Self::Above(bound) => word > bound,
            Self::Below(bound) => word < bound,
            Self::AtMost(bound) => word <= bound,
        }
    }

    const fn negated(self) -> Self {
        match self {
            Self::Equal { mask, value } => Self::Different { mask, value },
            Self::Different { mask, value } => Self::Equal { mask, value },
            Self::AtLeast(bound) => Self::Below(bound),
            Self::Below(bound) => Self::AtLeast(bound),
            Self::Above(bound) => Self::AtMost(bound),
            Self::AtMost(bound) => Self::Above(bound),
        }
    }
}

/// Values of a word: those between two bounds that have certain bits under a mask, without those that are excluded.
#[derive(Clone, PartialEq, Eq)]
struct Word {
    /// The smallest of them, so there is one.
    smallest: u32,
    most: u32,
    mask: u32,
    bits: u32,
    excluded: Option<Rc<Excluded>>,
}

/// The values that have certain bits under a mask. A list: a word has those of the path so far, and one more.
#[derive(PartialEq, Eq)]
struct Excluded {
    mask: u32,
    bits: u32,
    others: Option<Rc<Excluded>>,
}

impl Word {
    const ALL: Self = Self { smallest: 0, most: u32::MAX, mask: 0, bits: 0, excluded: None };

    /// The values for which one more condition holds. `None` if there are none.
    fn restricted(&self, test: Test) -> Option<Self> {
        let mut word = self.clone();
        let mut from = self.smallest;
        match test {
            Test::Equal { mask, value } => {
                if value & !mask != 0 || self.mask & mask & (self.bits ^ value) != 0 {
                    return None;
                }
                word.mask |= mask;
                word.bits |= value;
                from = from.max(word.bits);
            }
            // A value with bits outside of the mask differs from every masked word.
            Test::Different { mask, value } if value & !mask != 0 => {}
            Test::Different { mask, value } => {
                word.excluded = Some(Rc::new(Excluded { mask, bits: value, others: word.excluded }));
            }
            Test::AtLeast(bound) => from = from.max(bound),
            Test::Above(bound) => from = from.max(bound.checked_add(1)?),
            Test::Below(bound) => word.most = word.most.min(bound.checked_sub(1)?),
            Test::AtMost(bound) => word.most = word.most.min(bound),
        }
        // The smallest value stays it if it is left.
        if !test.holds(self.smallest) {
            word.smallest = word.at_least(from)?;
        }
        if word.mask == u32::MAX {
            // One value is left, and it is not excluded.
            word.excluded = None;
        }
        Some(word)
    }

    /// The smallest value that is `from` or larger.
    fn at_least(&self, mut from: u32) -> Option<u32> {
        loop {
            let value = self.with_bits_at_least(from).filter(|value| *value <= self.most)?;
            let Some(hit) = self.excluded().find(|excluded| value & excluded.mask == excluded.bits) else {
                return Some(value);
            };
            // The next value that differs under that mask: count up its lowest bit that is not fixed. If all are fixed, every value
            // is excluded.
            let free = hit.mask & !self.mask;
            if free == 0 {
                return None;
            }
            let step = free.trailing_zeros();
            from = u32::try_from(((u64::from(value) >> step) + 1) << step).ok()?;
        }
    }

    /// The smallest value that is `from` or larger and has the bits under the mask.
    fn with_bits_at_least(&self, from: u32) -> Option<u32> {
        if from & self.mask == self.bits {
            return Some(from);
        }
        // The result equals `from` above some bit, has that bit set, and is as small as possible below it.
        let raised = |bit: u32| {
            let (own, above) = (1_u32 << bit, (u32::MAX << bit) << 1);
            let can_rise = from & own == 0 && (self.mask & own == 0 || self.bits & own != 0);
            let matches_above = from & above & self.mask == self.bits & above;
            (can_rise && matches_above).then_some(from & above | own | self.bits & (own - 1))
        };
        (0..32).find_map(raised)
    }

    fn excluded(&self) -> impl Iterator<Item = &Excluded> {
        iter::successors(self.excluded.as_deref(), |excluded| excluded.others.as_deref())
    }
}

/// A set of calls: a set of values for each word, independent of the others. It is never empty.
#[derive(Clone)]
pub(super) struct Region([Word; WORDS]);

/// What is done with a part of a region, and whether the condition holds for this part.
pub(super) type Then<'a> = &'a mut dyn FnMut(Region, bool) -> Result<(), Difference>;

/// For which calls of a region a condition holds.
#[allow(clippy::large_enum_variant, reason = "it is made at each step and never stored")]
pub(super) enum Division {
    All,
    None,
    /// For these. The region is left with the others.
    Some(Region),
}

impl Region {
    /// All calls.
    pub(super) fn all() -> Self {
        Self([Word::ALL; WORDS])
    }

    /// Divides it by a condition on one word.
    pub(super) fn divide(&mut self, word: usize, test: Test) -> Division {
        let Some(holds) = self.0[word].restricted(test) else { return Division::None };
        let Some(fails) = self.0[word].restricted(test.negated()) else { return Division::All };
        let mut region = self.clone();
        region.0[word] = holds;
        self.0[word] = fails;
        Division::Some(region)
    }

    /// Hands over the calls for which a condition on one word holds, and the others.
    pub(super) fn by_test(
        mut self,
        word: usize,
        test: Test,
        mut then: impl FnMut(Self, bool) -> Result<(), Difference>,
    ) -> Result<(), Difference> {
        match self.divide(word, test) {
            Division::All => then(self, true),
            Division::None => then(self, false),
            Division::Some(holds) => {
                then(holds, true)?;
                then(self, false)
            }
        }
    }

    /// Hands over the calls in which the 64 bits from a word on have this value under a mask, and the others.
    pub(super) fn by_value(self, low: usize, mask: u64, value: u64, then: Then<'_>) -> Result<(), Difference> {
        let ([mask_low, mask_high], [value_low, value_high]) = (halves(mask), halves(value));
        self.by_test(low + 1, Test::Equal { mask: mask_high, value: value_high }, |region, is_same| match is_same {
            true => region.by_test(low, Test::Equal { mask: mask_low, value: value_low }, &mut *then),
            false => then(region, false),
        })
    }

    /// Hands over the calls in which the 64 bits from a word on are at most `most`, and the others.
    pub(super) fn by_bound(self, low: usize, most: u64, then: Then<'_>) -> Result<(), Difference> {
        let [most_low, most_high] = halves(most);
        self.by_test(low + 1, Test::is(most_high), |region, is_same| match is_same {
            true => region.by_test(low, Test::AtMost(most_low), &mut *then),
            false => region.by_test(low + 1, Test::Below(most_high), &mut *then),
        })
    }

    /// The calls with the smallest value of a word.
    pub(super) fn with_one_value(mut self, word: usize) -> Self {
        let value = self.0[word].smallest;
        self.0[word] = Word { smallest: value, most: value, mask: u32::MAX, bits: value, excluded: None };
        self
    }

    /// Whether it is the same set as another one, but for these words.
    pub(super) fn is_equal_except_in(&self, other: &Self, words: &[usize]) -> bool {
        let mut pairs = self.0.iter().zip(&other.0).enumerate();
        pairs.all(|(word, (one, other))| words.contains(&word) || one == other)
    }

    /// The value of a word that has only one.
    pub(super) fn only_value(&self, word: usize) -> Option<u32> {
        let Word { smallest, most, mask, .. } = self.0[word];
        (smallest == most || mask == u32::MAX).then_some(smallest)
    }

    /// Bounds that no value of a word is outside of.
    pub(super) const fn bounds(&self, word: usize) -> RangeInclusive<u32> {
        self.0[word].smallest..=self.0[word].most
    }

    /// One of the calls.
    pub(super) fn example(&self) -> SystemCall {
        let word = |index: usize| self.0[index].smallest;
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
