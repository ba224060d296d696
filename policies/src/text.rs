//! Text as people write it and terminals bear it: sizes, durations, escapes.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Characters of one name, path or text that is not ours in a message (T75).
const SHOWN_CHARS: usize = 200;

/// Replaces the characters that are [`harmful`] by their escapes: a name, in one line.
pub fn clean(text: &str) -> Cow<'_, str> {
    escape(text, harmful)
}

/// The same for a whole text of ours that quotes others: ends of line and tabulators stay.
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| harmful(c) && !matches!(c, '\n' | '\t'))
}

fn escape(text: &str, must: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text.find(&must) else { return Cow::Borrowed(text) };
    let (head, tail) = text.split_at(first);
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(head);
    for c in tail.chars() {
        if must(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Whether a character may not be shown as it is: it steers a terminal, changes the order of what is around it, cannot be seen,
/// or means something else to everybody.
///
/// These are the general categories Cc, Cf, Zl, Zp, Co, Cn and Cs, and what is blank in others. Source: Unicode, UAX #44.
pub fn harmful(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned};
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = c.general_category();
    let unseen = [Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned];
    unseen.contains(&category) || is_blank(c)
}

/// Letters, marks and symbols that show nothing: those of `Default_Ignorable_Code_Point`, and an empty Braille cell.
///
/// Source: Unicode, `DerivedCoreProperties.txt`.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

/// A name or path that is not ours for a message: clean, and without what no person reads.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => clean(text.get(..end).unwrap_or_default()).into_owned() + "…",
        None => clean(text).into_owned(),
    }
}

/// An error with its sources, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

/// A word quoted for a shell if needed. `None` if it has characters that cannot be typed.
pub fn shell_word(word: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.:_-+,@%=".contains(c);
    match word {
        _ if word.contains(harmful) || word.contains('\u{fffd}') => None,
        _ if !word.is_empty() && word.chars().all(is_plain) => Some(word.to_owned()),
        _ => Some(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

/// Reads a size: a number of bytes, or one with `K`, `M` or `G` (powers of 1024), with or without `iB` or `B`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(format!("unknown unit `{unit}`: use K, M or G")),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number such as 64M".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}

/// Reads a duration: a number with `ns`, `us`, `ms`, `s`, `m` or `h`; without a unit it means seconds. Zero is refused.
///
/// # Errors
/// What is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("unknown unit `{unit}`: use ns, us, ms, s, m or h")),
    };
    let number: f64 = digits.parse().map_err(|_| "expected a duration such as 5s or 300ms".to_owned())?;
    let duration = Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("a limit of zero would stop every run".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t75_a_name_is_cut_by_characters_and_stays_clean() {
        assert_eq!(short("name\u{1b}"), "name\\u{1b}");
        assert_eq!(short(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(short(&"é".repeat(201)), "é".repeat(200) + "…");
        assert_eq!(short(&"x".repeat(10_000_000)).chars().count(), 201);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, quoted) in
            [("a/b::ro", "a/b::ro"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''"), ("~", "'~'")]
        {
            assert_eq!(shell_word(word).as_deref(), Some(quoted));
        }
        assert_eq!(shell_word("a\n"), None);
    }

    #[test]
    fn control_characters_cannot_reach_the_terminal() {
        assert_eq!(clean("plain name"), "plain name");
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(clean("a\tb\r\n"), "a\\u{9}b\\u{d}\\u{a}");
        assert_eq!(clean_lines("a\tb\r\u{8}\n"), "a\tb\\u{d}\\u{8}\n");
    }

    /// T75: every scalar value by itself and between others. What is named here is no part of what decides.
    #[test]
    fn t75_every_character_is_shown_or_escaped() {
        let named = [
            0x00..=0x1f,
            0x7f..=0x9f,
            0xad..=0xad,
            0x34f..=0x34f,
            0x600..=0x605,
            0x61c..=0x61c,
            0x6dd..=0x6dd,
            0x70f..=0x70f,
            0x115f..=0x1160,
            0x180b..=0x180f,
            0x200b..=0x200f,
            0x2028..=0x202e,
            0x2060..=0x206f,
            0x3164..=0x3164,
            0xe000..=0xf8ff,
            0xfdd0..=0xfdef,
            0xfe00..=0xfe0f,
            0xfeff..=0xfeff,
            0xffa0..=0xffa0,
            0xfff0..=0xfffb,
            0xfffe..=0xffff,
            0x1_bca0..=0x1_bca3,
            0x1_d173..=0x1_d17a,
            0xe_0000..=0xe_0fff,
            0xf_0000..=0x10_ffff,
        ];
        let mut shown = 0;
        for c in '\0'..=char::MAX {
            let text = format!("a{c}b");
            let escaped = format!("a\\u{{{:x}}}b", u32::from(c));
            let is_named = named.iter().any(|range| range.contains(&u32::from(c)));
            assert!(!is_named || harmful(c), "{escaped}");
            assert!(!c.is_control() || harmful(c), "{escaped}");
            assert_eq!(clean(&text), *if harmful(c) { &escaped } else { &text }, "{c:?}");
            shown += u32::from(!harmful(c));
        }
        // The neighbors: what people write. Unicode 16 has 154,998 characters that are neither.
        assert!(shown > 150_000, "{shown}");
        let written = "naïve — 日本語 한국어 🙂 Ωλ العربية हिन्दी ไทย עברית € ✓ \u{a0}\u{3000}\u{301}\u{fffd}";
        assert_eq!(clean(written), written);
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64K"), Ok(65_536));
        assert_eq!(parse_size("256MiB"), Ok(256 << 20));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        assert!(parse_size("1T").is_err() && parse_size("").is_err() && parse_size("-1").is_err());
        assert!(parse_size("99999999999G").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert!(parse_duration("0").is_err() && parse_duration("-1s").is_err() && parse_duration("5 days").is_err());
        assert!(parse_duration("nan").is_err());
    }
}
