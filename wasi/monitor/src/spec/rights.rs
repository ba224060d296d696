//! Rights: sets of bit numbers. A descriptor has only rights that were requested, apply to its kind and are granted.

use super::config;
use super::inputs::{KINDS, access, kind, long, rights};
use crate::entries::{base_rights, inheriting_rights};
use crate::{Access, Errno, Kind, Rights, Rule};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The bit numbers of a set of rights, as `$rights` of the specification counts them.
pub(super) fn set(rights: Rights) -> BTreeSet<u32> {
    (0..64).filter(|bit| rights.bits() >> bit & 1 == 1).collect()
}

/// The rights that change content, names or times.
pub(super) fn changes(bit: u32) -> bool {
    const WRITE_ALLOCATE: [u32; 2] = [6, 8];
    const CREATE_AND_LINK: [u32; 4] = [9, 10, 11, 12];
    const RENAME: [u32; 2] = [16, 17];
    const SET_SIZE_AND_TIMES: [u32; 4] = [19, 20, 22, 23];
    const SYMLINK_AND_REMOVE: [u32; 3] = [24, 25, 26];
    [&WRITE_ALLOCATE[..], &CREATE_AND_LINK, &RENAME, &SET_SIZE_AND_TIMES, &SYMLINK_AND_REMOVE].concat().contains(&bit)
}

/// Whether a grant gives a right.
pub(super) fn granted(access: Access, bit: u32) -> bool {
    match access {
        Access::ReadWrite => true,
        Access::ReadOnly => !changes(bit),
        // Of the rights to change something: writing (in append mode), new files, new directories.
        Access::Append => !changes(bit) || [6, 9, 10].contains(&bit),
    }
}

/// Whether a right applies to a kind.
pub(super) fn applies(kind: Kind, bit: u32) -> bool {
    // Read, set flags, write, attributes, poll.
    let stream = [1, 3, 6, 21, 27].contains(&bit);
    match kind {
        Kind::RegularFile => stream || [0, 2, 4, 5, 7, 8, 22, 23].contains(&bit),
        Kind::Directory => [0, 3, 4].contains(&bit) || (9..=21).contains(&bit) || (23..=26).contains(&bit),
        Kind::Device => stream || [2, 5].contains(&bit),
        Kind::Pipe | Kind::Terminal | Kind::Other => stream,
        Kind::Stream => stream || bit == 28,
        Kind::Listener => (stream && bit != 6) || bit == 29,
        // Set flags; create, open; list; attributes; truncate; attributes.
        Kind::List => [3, 10, 13, 14, 18, 19, 21].contains(&bit),
    }
}

#[test]
fn ceilings_are_those_of_the_specification() {
    for bit in 0..30 {
        let right = Rights::from_guest(1 << bit).unwrap();
        assert_eq!(Rights::MUTATING.contains(right), changes(bit), "{right:?}");
        for access in [Access::ReadOnly, Access::ReadWrite, Access::Append] {
            assert_eq!(access.ceiling().contains(right), granted(access, bit), "{access:?} {right:?}");
        }
        for kind in KINDS {
            assert_eq!(kind.ceiling().contains(right), applies(kind, bit), "{kind:?} {right:?}");
        }
    }
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn t10_only_defined_bits_are_rights(bits in long()) {
        let defined = (0..64).filter(|bit| bits >> bit & 1 == 1).all(|bit| bit < 30);
        let expected = if defined { Ok(bits) } else { Err(Errno::INVAL) };
        prop_assert_eq!(Rights::from_guest(bits).map(Rights::bits), expected);
    }

    #[test]
    fn sets_behave_as_sets(a in rights(), b in rights()) {
        let (left, right) = (set(a), set(b));
        prop_assert_eq!(a.contains(b), left.is_superset(&right));
        prop_assert_eq!(set(a.union(b)), &left | &right);
        prop_assert_eq!(set(a.intersection(b)), &left & &right);
        prop_assert_eq!(set(a.without(b)), &left - &right);
    }

    #[test]
    fn t22_a_new_descriptor_has_what_is_wanted_applies_and_is_granted(
        wanted in rights(), kind in kind(), access in access(),
    ) {
        let base = set(wanted).into_iter().filter(|bit| applies(kind, *bit) && granted(access, *bit)).collect();
        prop_assert_eq!(set(base_rights(wanted, kind, access)), base);
        let hands_on = |bit: &u32| matches!(kind, Kind::Directory | Kind::List) && granted(access, *bit);
        let inheriting = set(wanted).into_iter().filter(hands_on).collect();
        prop_assert_eq!(set(inheriting_rights(wanted, kind, access)), inheriting);
    }

    #[test]
    fn the_grant_is_blamed_if_another_grant_would_help(missing in rights(), kind in kind(), access in access()) {
        let missing_bits = set(missing);
        let another_would_help = missing_bits.iter().all(|bit| applies(kind, *bit))
            && missing_bits.iter().any(|bit| !granted(access, *bit));
        let expected = match access {
            Access::ReadOnly if another_would_help => Rule::ReadOnly,
            Access::Append if another_would_help => Rule::AppendOnly,
            _ => Rule::Right,
        };
        prop_assert_eq!(access.refusal(kind.ceiling(), missing), expected);
    }
}
