//! References as words.

/// What a reference of the `any` or `extern` hierarchy is, as the word that the heap and compiled code have for it.
///
/// ```
/// use wave_collector::Word;
///
/// for (word, bits) in [(Word::Null, 0), (Word::Small(5), 11), (Word::Host(5), 22), (Word::Object(0x90008), 0x90008)] {
///     assert_eq!((word.to_bits(), Word::from_bits(bits)), (bits, Some(word)));
/// }
/// assert_eq!(Word::from_bits(0x90004), None);
/// assert_eq!(Word::from_bits(Word::small(-1).to_bits()), Some(Word::Small(0x7fff_ffff)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Null.
    Null,
    /// An `i31`: the value, of 31 bits. Bit 0 of the word is set.
    Small(u32),
    /// A reference of the host: its handle, of 30 bits. Bits 1:0 of the word are 10.
    Host(u32),
    /// The offset of an object in the heap, a multiple of 8.
    Object(u32),
}

impl Word {
    /// The highest handle of the host.
    pub const MOST_HANDLE: u32 = (1 << 30) - 1;

    /// An `i31` of the lower 31 bits of a number, as `ref.i31` makes it.
    #[must_use]
    pub const fn small(value: i32) -> Self {
        Self::Small(value.cast_unsigned() & 0x7fff_ffff)
    }

    /// The word. A value that has too many bits loses the upper ones.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Small(value) => value << 1 | 1,
            Self::Host(handle) => handle << 2 | 2,
            Self::Object(offset) => offset & !7,
        }
    }

    /// What a word is. `None` if no reference has these bits, which only a corrupt heap can have.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            0 => Some(Self::Null),
            _ if bits & 1 == 1 => Some(Self::Small(bits >> 1)),
            _ if bits & 3 == 2 => Some(Self::Host(bits >> 2)),
            _ if bits & 7 == 0 => Some(Self::Object(bits)),
            _ => None,
        }
    }
}
