//! Inputs near the points where decisions change.

use crate::{Access, FdFlags, Kind, Rights};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// 64-bit numbers: small ones, powers of two and their neighbors, the smallest and the largest, and any.
pub(super) fn long() -> impl Strategy<Value = u64> {
    let near_a_power = (0..64u32, 0..=2u64).prop_map(|(power, off)| (1u64 << power).wrapping_add(off).wrapping_sub(1));
    prop_oneof![
        2 => 0..20u64,
        4 => near_a_power,
        1 => (0..3u64).prop_map(|off| u64::MAX - off),
        1 => (0..3u64).prop_map(|off| u64::from(u32::MAX) - off),
        2 => any::<u64>(),
    ]
}

/// 32-bit numbers of the same kinds.
pub(super) fn word() -> impl Strategy<Value = u32> {
    let near_a_power = (0..32u32, 0..=2u32).prop_map(|(power, off)| (1u32 << power).wrapping_add(off).wrapping_sub(1));
    prop_oneof![
        2 => 0..20u32,
        4 => near_a_power,
        1 => (0..3u32).prop_map(|off| u32::MAX - off),
        2 => any::<u32>(),
    ]
}

/// A number at most two away from another.
pub(super) fn near(middle: u64) -> impl Strategy<Value = u64> {
    (0..5u64).prop_map(move |off| middle.wrapping_add(off).wrapping_sub(2))
}

/// The bytes of a path: mostly special characters and components, and some paths near the maximum length.
pub(super) fn path() -> impl Strategy<Value = Vec<u8>> {
    let part = select(vec![&b"/"[..], b"//", b".", b"..", b"a", b"b", b"...", b"./", b"../", b"/.", b"\0", b"\xff"]);
    let short = vec(part, 0..8).prop_map(|parts| parts.concat());
    let long = (4090..4100usize, select(vec![&b""[..], b"/", b"..", b"\0"]))
        .prop_map(|(len, start)| [start, &vec![b'a'; len - start.len()]].concat());
    prop_oneof![9 => short, 1 => long]
}

pub(super) fn rights() -> impl Strategy<Value = Rights> {
    let bits = prop_oneof![any::<u64>(), (0..30u32).prop_map(|bit| 1 << bit), Just(0), Just(u64::MAX)];
    bits.prop_map(|bits| Rights::from_guest(bits & Rights::ALL.bits()).unwrap())
}

pub(super) fn access() -> impl Strategy<Value = Access> {
    select(vec![Access::ReadOnly, Access::ReadWrite, Access::Append])
}

pub(super) const KINDS: [Kind; 9] = [
    Kind::RegularFile,
    Kind::Directory,
    Kind::Pipe,
    Kind::Terminal,
    Kind::Device,
    Kind::Listener,
    Kind::Stream,
    Kind::Other,
    Kind::List,
];

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    select(KINDS.to_vec())
}

pub(super) fn fd_flags() -> impl Strategy<Value = FdFlags> {
    (0..32u32).prop_map(|bits| FdFlags::from_guest(bits).unwrap())
}
