//! Arguments and environment: NUL-terminated strings with an array of pointers.

use crate::{ConfigError, Failure};
use wave_monitor::{Errno, GuestRange};

/// A list of strings in the layout that the guest gets.
#[derive(Debug)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Strings {
    pub(crate) fn new(what: &'static str, list: &[Vec<u8>]) -> Result<Self, ConfigError> {
        if let Some(index) = list.iter().position(|string| string.contains(&0)) {
            return Err(ConfigError::Nul { what, index });
        }
        let size: u64 = list.iter().map(|string| string.len() as u64 + 1).sum();
        if u32::try_from(size).is_err() {
            return Err(ConfigError::TooLarge { what, bytes: size });
        }
        let mut strings = Self { bytes: Vec::new(), starts: Vec::new() };
        for string in list {
            strings.starts.push(strings.size());
            strings.bytes.extend_from_slice(string);
            strings.bytes.push(0);
        }
        Ok(strings)
    }

    /// Stores the number of strings and the size of their bytes.
    pub(crate) fn sizes_get(&self, memory: &mut [u8], count: u32, size: u32) -> Result<(), Failure> {
        let count = GuestRange::check(memory.len(), count, 4)?;
        let size = GuestRange::check(memory.len(), size, 4)?;

        count.store_u32(memory, self.count())?;
        size.store_u32(memory, self.size())?;
        Ok(())
    }

    /// Stores the bytes at `buffer`, and a pointer to each string in the array at `pointers`.
    pub(crate) fn get(&self, memory: &mut [u8], pointers: u32, buffer: u32) -> Result<(), Failure> {
        let array = GuestRange::check_array(memory.len(), pointers, self.count(), 4)?;
        let place = GuestRange::check(memory.len(), buffer, self.size())?;

        place.store(memory, &self.bytes)?;
        for (slot, start) in array.bytes_mut(memory)?.chunks_exact_mut(4).zip(&self.starts) {
            let pointer = buffer.checked_add(*start).ok_or(Errno::FAULT)?;
            slot.copy_from_slice(&pointer.to_le_bytes());
        }
        Ok(())
    }

    fn count(&self) -> u32 {
        // There are at most as many strings as bytes, whose number fits.
        u32::try_from(self.starts.len()).unwrap_or(u32::MAX)
    }

    fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lie_one_after_the_other() {
        let strings = Strings::new("argument", &[b"a".to_vec(), b"bc".to_vec()]).unwrap();
        let mut memory = vec![0xaa; 32];
        strings.sizes_get(&mut memory, 0, 4).unwrap();
        assert_eq!(memory[..8], [2, 0, 0, 0, 5, 0, 0, 0]);
        strings.get(&mut memory, 8, 20).unwrap();
        assert_eq!(memory[8..16], [20, 0, 0, 0, 22, 0, 0, 0]);
        assert_eq!(memory[20..26], *b"a\0bc\0\xaa");
    }

    #[test]
    fn t5_nothing_is_stored_when_any_range_is_outside() {
        let strings = Strings::new("argument", &[b"abc".to_vec()]).unwrap();
        let mut memory = vec![0xaa; 16];
        assert_eq!(strings.get(&mut memory, 0, 13), Err(Errno::FAULT.into()));
        assert_eq!(strings.get(&mut memory, 14, 0), Err(Errno::FAULT.into()));
        assert_eq!(strings.sizes_get(&mut memory, 0, 13), Err(Errno::FAULT.into()));
        assert_eq!(memory, vec![0xaa; 16]);
    }

    #[test]
    fn a_nul_inside_is_refused() {
        let list = [b"fine".to_vec(), b"a\0b".to_vec()];
        let refused = Strings::new("argument", &list);
        assert!(matches!(refused, Err(ConfigError::Nul { what: "argument", index: 1 })));
    }
}
