//! Descriptors: what the heap knows of a type.

/// What values of a type look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A struct.
    Struct {
        /// The bytes of a value, header included.
        bytes: u32,
        /// Where the fields with references of the `any` and `extern` hierarchies are: offsets from the header, multiples of 4.
        references: Vec<u32>,
    },
    /// An array of elements that are no such references.
    Array {
        /// The base-2 logarithm of the bytes of an element, 0 to 4.
        log2: u32,
    },
    /// An array of references of the `any` or `extern` hierarchy.
    References,
}

/// The descriptor of a type, which every object's header names. It lies in the heap, aligned to 8, and stays there.
///
/// | offset | what |
/// |---|---|
/// | +0 | 0 = struct, 1 = array, 2 = array of references |
/// | +4 | struct: the bytes of a value. Array: log2 of the bytes of an element |
/// | +8 | depth: how many supertypes the type has |
/// | +12 | words of the bitmap; 0 for an array |
/// | +16 | depth + 1 words: the descriptors from the root type to this one |
/// | then | bitmap: bit i of word j is set if the 4-byte word 32 j + i of a value is a reference |
///
/// ```
/// use wave_collector::{Descriptor, Kind};
///
/// // (type $list (struct (field (ref null $list)) (field i64))), without supertypes, at 0x90000.
/// let list = Descriptor { kind: Kind::Struct { bytes: 16, references: vec![4] }, supertypes: vec![] };
/// let words = [0, 16, 0, 1, 0x90000, 0b10];
/// assert_eq!(list.encode(0x90000), words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect::<Vec<_>>());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What its values look like.
    pub kind: Kind,
    /// The offsets of the descriptors of its supertypes, from the root type on, without itself.
    pub supertypes: Vec<u32>,
}

impl Descriptor {
    /// In a descriptor, where its kind is.
    pub const KIND: u32 = 0;
    /// In a descriptor, where the size is.
    pub const SIZE: u32 = 4;
    /// In a descriptor, where the depth is.
    pub const DEPTH: u32 = 8;
    /// In a descriptor, where the number of words of the bitmap is.
    pub const BITMAP_WORDS: u32 = 12;
    /// In a descriptor, where the supertypes begin.
    pub const SUPERTYPES: u32 = 16;

    /// How many bytes it takes, a multiple of 8.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        (16 + 4 * (self.supertypes.len() + 1 + self.bitmap().len())).next_multiple_of(8)
    }

    /// Its bytes, if it lies at the offset `at`.
    #[must_use]
    pub fn encode(&self, at: u32) -> Vec<u8> {
        let bitmap = self.bitmap();
        let (kind, size) = match self.kind {
            Kind::Struct { bytes, .. } => (0, bytes),
            Kind::Array { log2 } => (1, log2),
            Kind::References => (2, 2),
        };
        // Neither a type's depth nor its number of fields comes near 2^32: the validator bounds both.
        let words = [kind, size, narrow(self.supertypes.len()), narrow(bitmap.len())];
        let mut bytes: Vec<u8> = words
            .iter()
            .chain(&self.supertypes)
            .chain(&[at])
            .chain(&bitmap)
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes.resize(self.len_bytes(), 0);
        bytes
    }

    fn bitmap(&self) -> Vec<u32> {
        let mut bitmap = Vec::new();
        if let Kind::Struct { references, .. } = &self.kind {
            for offset in references {
                let word = *offset as usize / 4;
                bitmap.resize(bitmap.len().max(word / 32 + 1), 0);
                bitmap[word / 32] |= 1 << (word % 32);
            }
        }
        bitmap
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
