//! Control characters on their way to a terminal (T115).
//!
//! A terminal obeys what it is sent: it moves the cursor over earlier output, changes the title,
//! answers queries by typing for the user. So when a guest writes to one, every control character
//! that is not plain text layout becomes `?`. Bytes are replaced one for one, so counts stay true.

/// How far a writer is in the middle of a UTF-8 character.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cleaner {
    /// Continuation bytes still to come.
    expected: u8,
    /// The lead byte was `0xC2`, so the next byte could complete a C1 control.
    after_c2: bool,
}

impl Cleaner {
    /// Replaces controls in `text` and remembers where it ended.
    pub(crate) fn clean(&mut self, text: &mut [u8]) {
        for byte in text {
            if !self.is_text(*byte) {
                *byte = b'?';
            }
        }
    }

    fn is_text(&mut self, byte: u8) -> bool {
        let after_c2 = std::mem::take(&mut self.after_c2);
        match byte {
            // C1 controls: in UTF-8 after 0xC2, alone for terminals in an 8-bit encoding.
            0x80..=0x9f if after_c2 || self.expected == 0 => {
                self.expected = 0;
                false
            }
            0x80..=0xbf => {
                let continues = self.expected > 0;
                self.expected = self.expected.saturating_sub(1);
                continues
            }
            0xc2..=0xf4 => {
                self.after_c2 = byte == 0xc2;
                self.expected = match byte {
                    0xc2..=0xdf => 1,
                    0xe0..=0xef => 2,
                    _ => 3,
                };
                true
            }
            _ => {
                self.expected = 0;
                matches!(byte, b'\t' | b'\n' | b'\r' | 0x08 | 0x20..=0x7e)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(parts: &[&[u8]]) -> Vec<u8> {
        let mut cleaner = Cleaner::default();
        let mut all = Vec::new();
        for part in parts {
            let mut part = part.to_vec();
            cleaner.clean(&mut part);
            all.extend(part);
        }
        all
    }

    #[test]
    fn t115_escapes_become_question_marks() {
        assert_eq!(clean(&[b"\x1b]0;owned\x07"]), b"?]0;owned?");
        assert_eq!(clean(&[b"a\tb\r\n\x7f\x00"]), b"a\tb\r\n??");
    }

    #[test]
    fn t115_c1_controls_are_found_in_utf8_in_8_bit_and_across_writes() {
        assert_eq!(clean(&[b"\xc2\x9b31m"]), b"\xc2?31m");
        assert_eq!(clean(&[b"\xc2", b"\x9b31m"]), b"\xc2?31m");
        assert_eq!(clean(&[b"\x9b31m"]), b"?31m");
    }

    #[test]
    fn text_of_any_language_passes() {
        let text = "naïve — 日本語 🙂 Ωλ".as_bytes();
        assert_eq!(clean(&[text]), text);
        let (head, tail) = text.split_at(text.len() - 9);
        assert_eq!(clean(&[head, tail]), text);
    }
}
