//! File-system policy on paths: a list of components that does not start with `..` (T14, T19, T26, T27).

use super::config;
use super::inputs::path;
use crate::{Errno, GuestPath, Last, LinkTarget};
use proptest::prelude::*;

/// The parts between slashes.
fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect()
}

/// The errors that paths and link targets have in common.
fn fault(text: &[u8]) -> Option<Errno> {
    let long = text.len() > 4095;
    let empty = text.is_empty();
    let nul = text.contains(&0);
    let absolute = !empty && text[0] == b'/';
    let faults =
        [(long, Errno::NAMETOOLONG), (empty, Errno::NOENT), (nul, Errno::INVAL), (absolute, Errno::NOTCAPABLE)];
    faults.into_iter().find(|(is, _)| *is).map(|(_, errno)| errno)
}

/// The components without `.` before another component, which has no meaning.
fn significant(path: &[u8]) -> Vec<&[u8]> {
    let all = components(path);
    let dots = all.iter().take_while(|part| **part == b".").count();
    all[dots.min(all.len() - 1)..].to_vec()
}

fn is_within(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// Compares the decision on a path with its components.
fn compare(text: &[u8]) {
    let parsed = GuestPath::parse(text);
    if let Some(errno) = fault(text) {
        assert_eq!(parsed, Err(errno), "{text:?}");
        return;
    }
    let expected = significant(text);
    if expected[0] == b".." {
        assert_eq!(parsed, Err(Errno::NOTCAPABLE), "{text:?}");
        return;
    }
    let path = parsed.unwrap();
    let (last, parent) = expected.split_last().unwrap();
    assert_eq!(components(path.whole()), &expected[..], "{text:?}");
    assert_eq!(components(path.parent()), parent, "{text:?}");
    let kind = match *last {
        b"." => Last::Dot,
        b".." => Last::DotDot,
        name => Last::Name(name),
    };
    assert_eq!(path.last(), kind, "{text:?}");
    assert_eq!(path.demands_directory(), text.ends_with(b"/"), "{text:?}");
    let single = expected.len() == 1 && *last != b"." && *last != b"..";
    assert_eq!(path.single(), single.then_some(*last), "{text:?}");

    // The kernel gets a part of what the guest passed. It is never absolute and never ends with a slash.
    for piece in [path.whole(), path.parent()] {
        assert!(is_within(piece, text), "{text:?}");
        assert!(!piece.starts_with(b"/") && !piece.ends_with(b"/"), "{text:?}");
    }
    assert!(!path.whole().is_empty(), "{text:?}");
}

fn compare_link(text: &[u8]) {
    let expected = match fault(text) {
        Some(errno) => Err(errno),
        None => Ok(text),
    };
    assert_eq!(LinkTarget::parse(text).map(|target| target.bytes()), expected, "{text:?}");
}

/// All texts of up to 8 bytes over the bytes that mean something, and one that does not.
#[test]
fn every_short_text_is_decided_by_its_components() {
    // Miri interprets the program, which takes a thousand times as long.
    let longest = if cfg!(miri) { 2 } else { 8 };
    let mut texts = vec![Vec::new()];
    for len in 0..=longest {
        assert_eq!(texts.len(), 4_usize.pow(len));
        for text in &texts {
            compare(text);
            compare_link(text);
        }
        let longer = |text: &Vec<u8>| b"a./\0".map(|byte| [&text[..], &[byte]].concat());
        texts = texts.iter().flat_map(longer).collect();
    }
}

proptest! {
    #![proptest_config(config(8192))]

    #[test]
    fn t14_a_path_is_admitted_if_it_is_text_and_starts_beneath(text in path()) {
        compare(&text);
    }

    #[test]
    fn t19_a_link_says_a_relative_text(text in path()) {
        compare_link(&text);
    }
}
