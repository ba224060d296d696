//! Memory policy: a range is admitted if every byte of it is in memory (T1 to T6).

use super::config;
use super::inputs::{long, near, word};
use crate::{Buffers, Errno, GuestRange, IOV_MAX};
use proptest::collection::vec;
use proptest::prelude::*;

/// Every `i` in `[ptr, ptr + len)` is below `memory_len`; without such an `i`, `ptr` is no further
/// than the end. Only the last `i` has to be looked at.
fn inside(memory_len: u128, ptr: u128, len: u128) -> bool {
    match len.checked_sub(1) {
        Some(before_last) => ptr + before_last < memory_len,
        None => ptr <= memory_len,
    }
}

fn numbers(range: GuestRange) -> (u128, u128) {
    (range.start() as u128, range.len() as u128)
}

/// Lengths of memories, and a range whose end is near theirs.
fn memory_and_range() -> impl Strategy<Value = (u64, u32, u32)> {
    (prop_oneof![long(), Just(0), Just(0x1_0000), Just(1 << 32)], word()).prop_flat_map(|(memory, ptr)| {
        let rest = near(memory.wrapping_sub(ptr.into())).prop_map(|len| u32::try_from(len).unwrap_or(u32::MAX));
        (Just(memory), Just(ptr), prop_oneof![rest, word()])
    })
}

#[test]
fn t1_in_a_small_memory_every_range_is_judged_by_each_of_its_bytes() {
    for memory in 0..12u32 {
        for ptr in 0..14 {
            for len in 0..14 {
                let each = (ptr..ptr + len).all(|byte| byte < memory) && ptr <= memory;
                let found = GuestRange::check(memory as usize, ptr, len);
                assert_eq!(found.is_ok(), each, "{memory} {ptr} {len}");
                assert_eq!(each, inside(memory.into(), ptr.into(), len.into()));
            }
        }
    }
}

proptest! {
    #![proptest_config(config(4096))]

    #[test]
    fn t1_a_range_is_admitted_if_all_of_it_is_inside((memory, ptr, len) in memory_and_range()) {
        let found = GuestRange::check(usize::try_from(memory).unwrap(), ptr, len);
        if inside(memory.into(), ptr.into(), len.into()) {
            prop_assert_eq!(found.map(numbers), Ok((ptr.into(), len.into())));
        } else {
            prop_assert_eq!(found, Err(Errno::FAULT));
        }
    }

    #[test]
    fn t2_an_array_is_admitted_if_every_element_is_inside(
        memory in prop_oneof![long(), Just(1 << 32)], ptr in word(), count in word(), size in word(),
    ) {
        let found = GuestRange::check_array(usize::try_from(memory).unwrap(), ptr, count, size);
        let len = u128::from(count) * u128::from(size);
        // A length needs 32 bits; the whole of a 4 GiB memory is no array.
        if inside(memory.into(), ptr.into(), len) && len <= u32::MAX.into() {
            prop_assert_eq!(found.map(numbers), Ok((ptr.into(), len)));
        } else {
            prop_assert_eq!(found, Err(Errno::FAULT));
        }
    }

    #[test]
    fn t8_a_store_changes_its_range_and_nothing_else(start in 0..40u32, len in 0..40u32, value in vec(1..=255u8, 0..40)) {
        let Ok(range) = GuestRange::check(64, start, len) else { return Ok(()) };
        let mut memory = [0u8; 64];
        let stored = range.store(&mut memory, &value).is_ok();
        prop_assert_eq!(stored, value.len() == len as usize);
        for (at, byte) in memory.iter().enumerate() {
            let inside = stored && (start..start + len).contains(&u32::try_from(at).unwrap());
            let expected = if inside { value[at - start as usize] } else { 0 };
            prop_assert_eq!(*byte, expected);
        }
    }
}

/// The addresses of all bytes, in the order they are moved.
fn addresses(ranges: impl IntoIterator<Item = (u32, u32)>) -> Vec<u32> {
    ranges.into_iter().flat_map(|(start, len)| start..start + len).collect()
}

fn ranges_of(buffers: &Buffers) -> Vec<(u32, u32)> {
    let number = |n: usize| u32::try_from(n).unwrap();
    buffers.ranges().iter().map(|range| (number(range.start()), number(range.len()))).collect()
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn t6_a_list_of_buffers_is_what_the_guest_wrote(
        list in vec((0..520u32, 0..8u32), 0..40), at_most in 0..40u32, max in 0..200usize,
    ) {
        let mut memory = vec![0; 512];
        for (place, (ptr, len)) in memory.chunks_exact_mut(8).zip(&list) {
            place.copy_from_slice(&(u64::from(*ptr) | u64::from(*len) << 32).to_le_bytes());
        }
        let used: Vec<_> = list.iter().copied().take(at_most.max(1) as usize).collect();
        let all_inside = used.iter().all(|(ptr, len)| inside(512, u128::from(*ptr), u128::from(*len)));

        let mut buffers = Buffers::new();
        let copied = buffers.copy_in(&memory, 0, u32::try_from(list.len()).unwrap(), at_most);
        prop_assert_eq!(copied, if all_inside { Ok(()) } else { Err(Errno::FAULT) });
        if copied.is_ok() {
            prop_assert_eq!(ranges_of(&buffers), &used[..]);
            buffers.shorten(max);
            let all = addresses(used);
            prop_assert_eq!(addresses(ranges_of(&buffers)), &all[..all.len().min(max)]);
        }
    }

    #[test]
    fn t6_no_count_makes_a_list_longer_than_iov_max(count in word(), at_most in word()) {
        let memory = vec![0; 0x1_0000];
        let mut buffers = Buffers::new();
        let copied = buffers.copy_in(&memory, 0, count, at_most);
        prop_assert_eq!(copied.is_ok(), u64::from(count) * 8 <= 0x1_0000);
        prop_assert!(buffers.ranges().len() <= IOV_MAX);
    }
}
