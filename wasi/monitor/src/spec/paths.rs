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

proptest! {
    #![proptest_config(config(8192))]

    #[test]
    fn t14_a_path_is_admitted_if_it_is_text_and_starts_beneath(text in path()) {
        let parsed = GuestPath::parse(&text);
        let path = match (fault(&text), parsed) {
            (Some(errno), parsed) => { prop_assert_eq!(parsed, Err(errno)); return Ok(()) }
            (None, parsed) if significant(&text)[0] == b".." => {
                prop_assert_eq!(parsed, Err(Errno::NOTCAPABLE));
                return Ok(());
            }
            (None, parsed) => parsed.unwrap(),
        };
        let expected = significant(&text);
        let (last, parent) = expected.split_last().unwrap();
        prop_assert_eq!(components(path.whole()), &expected[..]);
        prop_assert_eq!(components(path.parent()), parent);
        prop_assert_eq!(path.last(), match *last {
            b"." => Last::Dot,
            b".." => Last::DotDot,
            name => Last::Name(name),
        });
        prop_assert_eq!(path.demands_directory(), text.ends_with(b"/"));
        let single = expected.len() == 1 && *last != b"." && *last != b"..";
        prop_assert_eq!(path.single(), single.then_some(*last));

        // The kernel gets a part of what the guest passed. It is never absolute and never ends with a slash.
        for piece in [path.whole(), path.parent()] {
            prop_assert!(is_within(piece, &text));
            prop_assert!(!piece.starts_with(b"/") && !piece.ends_with(b"/"));
        }
        prop_assert!(!path.whole().is_empty());
    }

    #[test]
    fn t19_a_link_says_a_relative_text(text in path()) {
        let expected = match fault(&text) {
            Some(errno) => Err(errno),
            None => Ok(&text[..]),
        };
        prop_assert_eq!(LinkTarget::parse(&text).map(|target| target.bytes().to_vec()), expected.map(<[u8]>::to_vec));
    }
}
