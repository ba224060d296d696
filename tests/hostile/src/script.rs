//! A script: bytes that say what is changed, and with what.

/// What is left of a script.
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.array()?))
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many of the next `len` bytes as there are.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number below `bound`, which is below 2^16; `None` if there is none.
    pub fn below(&mut self, bound: usize) -> Option<usize> {
        if bound <= 256 { usize::from(self.byte()?) } else { usize::from(self.word()?) }.checked_rem(bound)
    }

    /// One of these.
    pub fn pick<'b, T>(&mut self, all: &'b [T]) -> Option<&'b T> {
        let at = self.below(all.len())?;
        all.get(at)
    }
}

/// Changes bytes in one place: others instead, one bit, more, fewer, or a number that lengths like.
pub fn change(bytes: &mut Vec<u8>, script: &mut Script<'_>) -> Option<()> {
    let kind = script.byte()?;
    let at = script.below(bytes.len() + 1)?;
    let len = usize::from(kind >> 3);
    match kind % 8 {
        0 | 1 => {
            let new = script.take(len % 16 + 1);
            let end = bytes.len().min(at + new.len());
            bytes.get_mut(at..end)?.copy_from_slice(&new[..end - at]);
        }
        2 => *bytes.get_mut(at)? ^= 1 << (len % 8),
        3 => drop(bytes.splice(at..at, script.take(len + 1).iter().copied())),
        4 => drop(bytes.drain(at..bytes.len().min(at + len + 1))),
        5 => {
            let from = script.below(bytes.len())?;
            let copied = bytes[from..bytes.len().min(from + len + 1)].to_vec();
            bytes.get_mut(at..at + copied.len())?.copy_from_slice(&copied);
        }
        6 => {
            let number = [0, 1, u64::MAX, u64::MAX / 2 + 1, u32::MAX.into(), 1 << 31, 1 << 16, 1 << 40][len % 8];
            bytes.get_mut(at..at + 8)?.copy_from_slice(&number.to_le_bytes());
        }
        _ => {
            let byte = bytes.get_mut(at)?;
            *byte = byte.wrapping_add(kind >> 3).wrapping_sub(16);
        }
    }
    Some(())
}
