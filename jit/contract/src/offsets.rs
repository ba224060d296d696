//! Tables that map text offsets to small numbers: trap codes and source positions.

use std::marker::PhantomData;

/// Entries of a block. The first is in the index; each other is written as its distance from the one before.
const BLOCK: usize = 64;

/// Bytes of a block in the index: offset and value of its first entry, and the position of the others.
const INDEX_BYTES: usize = 12;

/// Text offsets in ascending order, with a value each. Large modules have hundreds of thousands, so most entries take
/// two bytes.
///
/// Parts that come from another process are a table only if [`is_whole`](Self::is_whole) returns true. Otherwise a
/// lookup returns anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetTable<V> {
    index: Vec<u8>,
    entries: Vec<u8>,
    last: Option<Last>,
    values: PhantomData<V>,
}

/// The last entry, and its number in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    offset: u32,
    value: u32,
    number: usize,
}

/// What can be the value of an entry.
pub trait OffsetValue: Copy + Into<u32> + TryFrom<u32> {}

impl<T: Copy + Into<u32> + TryFrom<u32>> OffsetValue for T {}

impl<V> Default for OffsetTable<V> {
    fn default() -> Self {
        Self { index: Vec::new(), entries: Vec::new(), last: None, values: PhantomData }
    }
}

impl<V: OffsetValue> OffsetTable<V> {
    /// Adds an entry after all others. An offset out of order is ignored. A fault there ends the process.
    pub fn push(&mut self, offset: u32, value: V) {
        let value = value.into();
        let number = match self.last {
            Some(last) if offset <= last.offset => return,
            Some(last) if last.number + 1 < BLOCK => {
                write_number(&mut self.entries, offset - last.offset);
                write_number(&mut self.entries, zigzag(value.wrapping_sub(last.value)));
                last.number + 1
            }
            _ => {
                let Ok(at) = u32::try_from(self.entries.len()) else { return };
                self.index.extend([offset, value, at].into_iter().flat_map(u32::to_le_bytes));
                0
            }
        };
        self.last = Some(Last { offset, value, number });
    }

    /// The table with these [`parts`](Self::parts).
    #[must_use]
    pub fn from_parts(index: Vec<u8>, entries: Vec<u8>) -> Self {
        let last_block = index.as_chunks().0.last().map(|block| {
            let [_, _, at] = fields(block);
            let rest = entries.get(at as usize..).unwrap_or_default();
            Entries { index: std::slice::from_ref(block), rest, len: entries.len(), left: 0, offset: 0, value: 0 }
        });
        let last = last_block.and_then(|block| (0..).zip(block).last());
        let last = last.map(|(number, (offset, value))| Last { offset, value, number });
        Self { index, entries, last, values: PhantomData }
    }

    /// Index and entries, as they are written to files and to final pages.
    #[must_use]
    pub fn parts(&self) -> (&[u8], &[u8]) {
        (&self.index, &self.entries)
    }

    /// All entries, in order. Ends where the parts are inconsistent.
    pub fn iter(&self) -> impl Iterator<Item = (u32, V)> {
        self.raw().map_while(|(offset, value)| Some((offset, value.try_into().ok()?)))
    }

    fn raw(&self) -> Entries<'_> {
        let (index, len) = (self.index.as_chunks().0, self.entries.len());
        Entries { index, rest: &self.entries, len, left: 0, offset: 0, value: 0 }
    }

    /// The value at exactly this offset.
    #[must_use]
    pub fn get(&self, offset: u32) -> Option<V> {
        find(self.parts(), offset)?.try_into().ok()
    }

    /// Whether this is a table: its offsets ascend, its parts are consistent, and all values satisfy `is_value`.
    #[must_use]
    pub fn is_whole(&self, is_value: impl Fn(V) -> bool) -> bool {
        let mut entries = self.raw();
        let mut before = None;
        let in_order = entries.by_ref().all(|(offset, value)| {
            before.replace(offset).is_none_or(|before| before < offset) && value.try_into().is_ok_and(&is_value)
        });
        in_order
            && entries.index.is_empty()
            && entries.rest.is_empty()
            && self.index.len().is_multiple_of(INDEX_BYTES)
            && before == self.last.map(|last| last.offset)
    }

    /// The last offset.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.last.map(|last| last.offset)
    }
}

/// The value at exactly this offset in a table of these parts. Safe in a signal handler.
#[must_use]
pub fn find((index, entries): (&[u8], &[u8]), offset: u32) -> Option<u32> {
    let (index, _) = index.as_chunks();
    let block = index.partition_point(|block| fields(block)[0] <= offset).checked_sub(1)?;
    let index = index.get(block..=block)?;
    let [_, _, at] = fields(index.first()?);
    let rest = entries.get(at as usize..)?;
    let mut entries = Entries { index, rest, len: entries.len(), left: 0, offset: 0, value: 0 };
    entries.find(|(found, _)| *found >= offset).and_then(|(found, value)| (found == offset).then_some(value))
}

/// Entries of a table, as offset and value. Ends where its parts are inconsistent.
#[derive(Debug)]
struct Entries<'a> {
    index: &'a [[u8; INDEX_BYTES]],
    rest: &'a [u8],
    /// Bytes of all entries, including those before `rest`.
    len: usize,
    /// Maximum number of entries left in this block.
    left: usize,
    offset: u32,
    value: u32,
}

impl Iterator for Entries<'_> {
    type Item = (u32, u32);

    #[inline]
    fn next(&mut self) -> Option<(u32, u32)> {
        if self.left == 0 {
            let (block, index) = self.index.split_first()?;
            let [offset, value, at] = fields(block);
            if at as usize != self.len - self.rest.len() {
                return None;
            }
            (self.index, self.left, self.offset, self.value) = (index, BLOCK - 1, offset, value);
        } else {
            let mut rest = self.rest;
            let (distance, change) = (read_number(&mut rest)?, read_number(&mut rest)?);
            self.offset = self.offset.checked_add(distance)?;
            self.value = self.value.wrapping_add(unzigzag(change));
            (self.rest, self.left) = (rest, self.left - 1);
        }
        Some((self.offset, self.value))
    }
}

#[inline]
fn fields(block: &[u8; INDEX_BYTES]) -> [u32; 3] {
    let (words, _) = block.as_chunks();
    std::array::from_fn(|number| words.get(number).copied().map_or(0, u32::from_le_bytes))
}

/// Maps numbers near zero, of both signs, to small numbers.
const fn zigzag(number: u32) -> u32 {
    (number << 1) ^ (number.cast_signed() >> 31).cast_unsigned()
}

#[inline]
const fn unzigzag(number: u32) -> u32 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

/// Writes seven bits per byte, the lowest first. All bytes but the last have the highest bit set.
fn write_number(to: &mut Vec<u8>, mut number: u32) {
    while number > 0x7f {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

#[inline]
fn read_number(from: &mut &[u8]) -> Option<u32> {
    // Most numbers take one byte.
    if let [byte @ ..0x80, rest @ ..] = *from {
        *from = rest;
        return Some(u32::from(*byte));
    }
    let mut number = 0;
    for shift in (0..u32::BITS).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        let low = u32::from(byte & 0x7f);
        number |= low << shift;
        if byte & 0x80 == 0 {
            return ((low << shift) >> shift == low).then_some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries near each other and far apart, more than one block.
    fn entries() -> Vec<(u32, u32)> {
        let near = (0..192).map(|n| (n * 3, n % 7));
        let far = (1..200).map(|n: u32| (0x1_0000 + n * n * 90_000, n.wrapping_mul(0x9e37_79b9)));
        near.chain(far).chain([(u32::MAX, u32::MAX)]).collect()
    }

    fn table(entries: &[(u32, u32)]) -> OffsetTable<u32> {
        let mut table = OffsetTable::default();
        entries.iter().for_each(|&(offset, value)| table.push(offset, value));
        table
    }

    #[test]
    fn entries_are_found_and_others_not() {
        let entries = entries();
        for len in [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, entries.len()] {
            let (entries, table) = (&entries[..len], table(&entries[..len]));
            assert!(table.iter().eq(entries.iter().copied()), "{len}");
            assert!(table.is_whole(|_| true), "{len}");
            assert_eq!(table.last(), entries.last().map(|(offset, _)| *offset));
            for &(offset, value) in entries {
                assert_eq!(table.get(offset), Some(value), "{len}, {offset}");
                for beside in [offset.wrapping_sub(1), offset.wrapping_add(1)] {
                    let value = entries.iter().find(|(offset, _)| *offset == beside).map(|(_, value)| *value);
                    assert_eq!(table.get(beside), value, "{len}, {beside}");
                }
            }
        }
    }

    #[test]
    fn what_is_out_of_order_is_not_known() {
        let mut table = table(&[(10, 1)]);
        table.push(10, 2);
        table.push(9, 3);
        assert!(table.iter().eq([(10, 1)]));
    }

    #[test]
    fn a_table_goes_on_after_it_was_read() {
        let entries = entries();
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1] {
            let written = table(&entries[..len]);
            let (index, rest) = written.parts();
            let mut read = OffsetTable::from_parts(index.to_vec(), rest.to_vec());
            assert_eq!(read, written);
            entries[len..].iter().for_each(|&(offset, value)| read.push(offset, value));
            assert_eq!(read, table(&entries), "{len}");
        }
    }

    #[test]
    fn an_entry_takes_two_bytes_mostly() {
        let table = table(&(0..6400).map(|n| (n * 20, n * 60)).collect::<Vec<_>>());
        let (index, entries) = table.parts();
        assert!(index.len() + entries.len() < 6400 * 9 / 4, "{} {}", index.len(), entries.len());
    }

    /// T62: no bytes make a lookup panic, and parts that are whole have ascending offsets that are found.
    #[test]
    #[cfg_attr(miri, ignore = "reads thousands of tables, which Miri takes many minutes for")]
    fn t62_forged_parts_are_no_table() {
        let whole = table(&entries());
        let (index, entries) = whole.parts();
        let mut still_whole = 0;
        for at in 0..index.len() + entries.len() {
            for change in [1, 0x40, 0x80, 0xff] {
                let (mut index, mut entries) = (index.to_vec(), entries.to_vec());
                match at.checked_sub(index.len()) {
                    Some(at) => entries[at] ^= change,
                    None => index[at] ^= change,
                }
                let forged = OffsetTable::<u32>::from_parts(index, entries);
                for offset in [0, 3, 5, 0x1_0000, u32::MAX] {
                    // Any value is fine; it must not panic.
                    std::hint::black_box(forged.get(offset));
                }
                if forged.is_whole(|_| true) {
                    still_whole += 1;
                    let offsets: Vec<_> = forged.iter().collect();
                    assert!(offsets.is_sorted_by(|a, b| a.0 < b.0));
                    assert!(offsets.iter().all(|&(offset, value)| forged.get(offset) == Some(value)));
                }
            }
        }
        assert!(still_whole > 0, "a value can change");
        for len in 0..entries.len() {
            let truncated = OffsetTable::<u32>::from_parts(index.to_vec(), entries[..len].to_vec());
            let in_last_block = truncated.iter().count() > (index.len() / INDEX_BYTES - 1) * BLOCK;
            assert!(in_last_block || !truncated.is_whole(|_| true), "truncated at {len}");
        }
        let longer = [entries, &[5]].concat();
        assert!(!OffsetTable::<u32>::from_parts(index.to_vec(), longer).is_whole(|_| true));
        let longer = [index, &[0; 5]].concat();
        assert!(!OffsetTable::<u32>::from_parts(longer, entries.to_vec()).is_whole(|_| true));
        assert!(!whole.is_whole(|value| value != 3), "values are looked at");
    }
}
