use super::*;

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
    fn least(&self, word: usize) -> Option<u32> {
        least(&self.words[word], self.excluded.iter().filter(|excluded| excluded.word == word))
    }

    /// Whether a word can have a value.
    pub(super) fn has(&self, word: usize, value: u32) -> bool {
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
    pub(super) fn with(&self, word: usize, test: Test) -> Option<Self> {
        let (own, excluded) = self.restrict(word, test)?;
        let mut region = Self { words: self.words, excluded: Vec::with_capacity(self.excluded.len() + 1) };
        region.words[word] = own;
        let others = self.excluded.iter().filter(|excluded| excluded.word != word || own.mask != u32::MAX);
        region.excluded.extend(others.copied().chain(excluded));
        Some(region)
    }

    /// The same, in the place of what it is taken from.
    pub(super) fn narrowed(mut self, word: usize, test: Test) -> Option<Self> {
        let (own, excluded) = self.restrict(word, test)?;
        self.words[word] = own;
        self.excluded.extend(excluded);
        Some(self)
    }

    /// The calls of which something holds, and those of which it does not.
    pub(super) fn by(self, word: usize, test: Test) -> [Option<Self>; 2] {
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
    pub(super) fn by_bound(self, low: usize, most: u64) -> [Vec<Self>; 2] {
        let [most_low, most_high] = halves(most);
        let [same, other] = self.by(low + 1, Test::is(most_high));
        let [above, below] = other.map_or([None, None], |other| other.by(low + 1, Test::AtLeast(most_high)));
        let [past, within] = match (same, most_low.checked_add(1)) {
            (Some(same), Some(past)) => same.by(low, Test::AtLeast(past)),
            (same, _) => [None, same],
        };
        [within.into_iter().chain(below).collect(), past.into_iter().chain(above).collect()]
    }

    pub(super) fn by_requirement(self, requirement: Requirement) -> [Vec<Self>; 2] {
        let word = |argument: u8| FIRST_ARGUMENT + 2 * usize::from(argument);
        match requirement {
            Requirement::Equal { argument, mask, value } => self.by_value(word(argument), mask, value),
            Requirement::AtMost { argument, value } => self.by_bound(word(argument), value),
        }
    }

    /// One of the calls.
    pub(super) fn call(&self) -> SystemCall {
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
pub(super) fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}
