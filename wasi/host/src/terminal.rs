//! A filter for control characters that a guest writes to a terminal (T115).
//!
//! A terminal executes control sequences: they move the cursor over earlier output, change the title, reorder text, and
//! answer queries as if the user had typed. So when a guest writes to a terminal, every character that is not plain
//! text or layout becomes `?`. These are the characters that `wave` escapes in its own messages, except those that join
//! letters and signs. Bytes are replaced one by one, so that counts stay correct. Of a character of several bytes, the
//! last one is replaced.

use wave_policy::harmful;

/// The filter's state: its position in a UTF-8 character.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TerminalFilter {
    /// Continuation bytes that are missing.
    expected: u8,
    /// All bytes of the character.
    len: u8,
    /// The bits of the bytes so far.
    bits: u32,
}

impl TerminalFilter {
    /// Replaces control characters in `text`, which continues the text before.
    pub(crate) fn replace_controls(&mut self, text: &mut [u8]) {
        let mut rest = text;
        while let Some((byte, after)) = rest.split_first_mut() {
            if !self.is_text(*byte, after.first().copied()) {
                *byte = b'?';
            }
            rest = after;
        }
    }

    fn is_text(&mut self, byte: u8, next: Option<u8>) -> bool {
        match byte {
            0x80..=0xbf if self.expected > 0 => {
                self.expected -= 1;
                self.bits = (self.bits << 6) | u32::from(byte & 0x3f);
                self.expected > 0 || is_shown(self.bits, self.len)
            }
            0xc2..=0xf4 => {
                let (len, mask) = match byte {
                    0xc2..=0xdf => (2, 0x1f),
                    0xe0..=0xef => (3, 0x0f),
                    _ => (4, 0x07),
                };
                *self = Self { expected: len - 1, len, bits: u32::from(byte & mask) };
                true
            }
            _ => {
                self.expected = 0;
                match byte {
                    // Alone, it lets the following text overwrite the line.
                    b'\r' => next == Some(b'\n'),
                    b'\t' | b'\n' | 0x20..=0x7e => true,
                    // Includes single C1 controls, for terminals with an 8-bit encoding.
                    _ => false,
                }
            }
        }
    }
}

/// Whether a terminal may get the character with these bits, encoded in `len` bytes.
fn is_shown(bits: u32, len: u8) -> bool {
    char::from_u32(bits).is_some_and(|c| c.len_utf8() == usize::from(len) && (!harmful(c) || joins(c)))
}

/// Joiners and variation selectors. Several scripts and signs need them, and they reorder nothing.
const fn joins(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(parts: &[&[u8]]) -> Vec<u8> {
        let mut filter = TerminalFilter::default();
        let mut all = Vec::new();
        for part in parts {
            let mut part = part.to_vec();
            filter.replace_controls(&mut part);
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
    fn t115_the_cursor_goes_forward_only() {
        assert_eq!(clean(&[b"100%\r0%", b"ab\x08\x08cd\r\n"]), b"100%?0%ab??cd\r\n");
        assert_eq!(clean(&[b"a\r", b"b"]), b"a?b");
    }

    #[test]
    fn t115_what_reorders_or_hides_text_loses_its_last_byte() {
        for harmful in ["\u{202e}", "\u{2066}", "\u{61c}", "\u{200b}", "\u{feff}", "\u{ad}", "\u{2028}", "\u{e0041}"] {
            let bytes = harmful.as_bytes();
            let (last, head) = bytes.split_last().unwrap();
            let expected = [head, b"?"].concat();
            assert_eq!(clean(&[bytes]), expected, "{harmful:?}");
            assert_eq!(clean(&[head, &[*last]]), expected, "{harmful:?}");
        }
        // Invalid: an overlong encoding, a surrogate, a number above the last character.
        for wrong in [&b"\xe0\x80\x9b"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x9b"] {
            assert!(clean(&[wrong]).ends_with(b"?"), "{}", wrong.escape_ascii());
        }
    }

    /// Every scalar value: text passes unchanged, and of any other character only the last byte is changed.
    #[test]
    fn t115_each_character_passes_or_is_replaced() {
        for c in '\u{80}'..=char::MAX {
            let mut seen = [0; 4];
            let seen = c.encode_utf8(&mut seen).as_bytes();
            let passes = clean(&[seen]) == seen;
            assert_eq!(passes, !harmful(c) || joins(c), "{c:?}");
        }
    }

    #[test]
    fn text_of_any_language_passes() {
        let text = "naïve — 日本語 🙂 Ωλ می\u{200c}خواهم 👩\u{200d}💻 ❤\u{fe0f}".as_bytes();
        assert_eq!(clean(&[text]), text);
        let (head, tail) = text.split_at(text.len() - 9);
        assert_eq!(clean(&[head, tail]), text);
    }
}
