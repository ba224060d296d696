//! Numbers that a guest passes: offsets, flags, times, signals, clocks, magic numbers.

use super::config;
use super::inputs::{long, near, word};
use crate::offsets::{end_of, seek_target};
use crate::{
    Advice, Clock, Errno, FdFlags, FstFlags, LookupFlags, NewTime, NewTimes, OFlags, Raise, RiFlags, SdFlags, SeekFrom,
    SubclockFlags, Whence, admit_filesystem, admit_raise,
};
use proptest::prelude::*;

/// Whether the kernel accepts an offset, end or size: it must fit in a signed 64-bit number.
fn is_accepted(offset: u128) -> bool {
    offset < 1 << 63
}

proptest! {
    #![proptest_config(config(4096))]

    #[test]
    fn t12_the_end_of_a_part_is_accepted((offset, len) in long().prop_flat_map(|offset| {
        (Just(offset), prop_oneof![long(), near((1u64 << 63).wrapping_sub(offset)), near(offset.wrapping_neg())])
    })) {
        let end = u128::from(offset) + u128::from(len);
        let expected = if is_accepted(end) { Ok(end) } else { Err(Errno::INVAL) };
        prop_assert_eq!(end_of(offset, len).map(u128::from), expected);
    }

    #[test]
    fn t12_a_seek_from_the_start_is_not_negative(offset in long()) {
        let signed = i64::from_le_bytes(offset.to_le_bytes());
        let start = if is_accepted(offset.into()) { Ok(SeekFrom::Start(offset)) } else { Err(Errno::INVAL) };
        prop_assert_eq!(seek_target(offset, Whence::Set), start);
        prop_assert_eq!(seek_target(offset, Whence::Current), Ok(SeekFrom::Current(signed)));
        prop_assert_eq!(seek_target(offset, Whence::End), Ok(SeekFrom::End(signed)));
    }

    #[test]
    fn t10_flags_are_taken_if_every_bit_is_defined(bits in word()) {
        /// How many low bits are defined.
        fn taken(bits: u32, defined: u32) -> Result<u32, Errno> {
            let known = (0..32).filter(|bit| bits >> bit & 1 == 1).all(|bit| bit < defined);
            if known { Ok(bits) } else { Err(Errno::INVAL) }
        }
        prop_assert_eq!(FdFlags::from_guest(bits).map(|flags| flags.bits().into()), taken(bits, 5));
        prop_assert_eq!(OFlags::from_guest(bits).map(|flags| flags.bits().into()), taken(bits, 4));
        prop_assert_eq!(LookupFlags::from_guest(bits).map(|flags| flags.bits().into()), taken(bits, 1));
        prop_assert_eq!(FstFlags::from_guest(bits).map(|flags| flags.bits().into()), taken(bits, 4));
        prop_assert_eq!(RiFlags::from_guest(bits).map(|flags| flags.bits().into()), taken(bits, 2));
        prop_assert_eq!(SdFlags::from_guest(bits).map(|flags| flags.bits().into()), taken(bits, 2));
        prop_assert_eq!(SubclockFlags::from_guest(bits).map(|flags| flags.bits().into()), taken(bits, 1));
    }

    #[test]
    fn each_time_follows_its_two_flags(atim in long(), mtim in long(), bits in prop_oneof![0..16u32, word()]) {
        let one = |shift: u32, value| match bits >> shift & 3 {
            0 => Some(NewTime::Keep),
            1 => Some(NewTime::At(value)),
            2 => Some(NewTime::Now),
            _ => None,
        };
        let expected = match (one(0, atim), one(2, mtim)) {
            (Some(access), Some(modification)) if bits < 16 => Ok(NewTimes { access, modification }),
            _ => Err(Errno::INVAL),
        };
        prop_assert_eq!(NewTimes::from_guest(atim, mtim, bits), expected);
    }

    #[test]
    fn enumerations_end_where_they_are_defined_to(value in word()) {
        prop_assert_eq!(Whence::from_guest(value).is_ok(), value < 3);
        prop_assert_eq!(Whence::from_guest_unstable(value).is_ok(), value < 3);
        prop_assert_eq!(Advice::from_guest(value).is_ok(), value < 6);
        let clock = [Ok(Clock::Realtime), Ok(Clock::Monotonic), Err(Errno::NOTSUP), Err(Errno::NOTSUP)];
        let expected = clock.get(value as usize).copied().unwrap_or(Err(Errno::INVAL));
        prop_assert_eq!(Clock::admit(value), expected);
    }

    #[test]
    fn t24_a_file_system_is_refused_if_it_is_an_interface_of_the_kernel(magic in prop_oneof![long(), kernel_magic()]) {
        let expected = if is_kernel_interface(magic) { Err(Errno::NOTCAPABLE) } else { Ok(()) };
        prop_assert_eq!(admit_filesystem(magic), expected);
    }

    #[test]
    fn signals_do_what_they_do_on_linux(number in word()) {
        prop_assert_eq!(admit_raise(number), raise(number));
    }
}

/// The magic numbers, as their authors spelled them where they did.
const SPELLED: [&[u8; 4]; 14] = [
    b"beer",  // sysfs
    b"dbg ",  // debugfs
    b"trac",  // tracefs
    b"scfs",  // securityfs
    b"cgrp",  // cgroup2
    b"aegl",  // pstore
    b"beep",  // configfs
    b"BINM",  // binfmt_misc
    b"CA]S",  // smackfs
    b"nsfs",  // nsfs
    b"esUC",  // fusectl
    b"loop",  // binder
    b"nfsd",  // nfsd
    b"\0hyp", // hypfs
];
/// The other magic numbers.
const NUMBERED: [u64; 14] = [
    40_864,        // proc
    40_865,        // device tree
    2_613_483,     // cgroup
    3_405_662_737, // bpf
    3_730_735_588, // efivarfs
    7_377,         // devpts
    4_185_718_668, // selinuxfs
    427_819_522,   // mqueue
    124_082_209,   // resctrl
    2_881_100_148, // xenfs
    1_513_908_720, // apparmorfs
    1_733_912_937, // rpc_pipefs
    174_355_297,   // functionfs
    2_934_382_311, // gadgetfs
];

fn is_kernel_interface(magic: u64) -> bool {
    let spelled = u32::try_from(magic).is_ok_and(|magic| SPELLED.contains(&&magic.to_be_bytes()));
    spelled || NUMBERED.contains(&magic)
}

fn kernel_magic() -> impl Strategy<Value = u64> {
    let spelled = SPELLED.map(|name| u64::from(u32::from_be_bytes(*name)));
    proptest::sample::select([&spelled[..], &NUMBERED].concat())
}

/// `$signal` in its order, each with its number in `signal(7)` (x86, ARM) and its default action.
const SIGNALS: [(&str, u8, Action); 31] = [
    ("none", 0, Action::Ignore),
    ("hup", 1, Action::End),
    ("int", 2, Action::End),
    ("quit", 3, Action::End),
    ("ill", 4, Action::End),
    ("trap", 5, Action::End),
    ("abrt", 6, Action::End),
    ("bus", 7, Action::End),
    ("fpe", 8, Action::End),
    ("kill", 9, Action::End),
    ("usr1", 10, Action::End),
    ("segv", 11, Action::End),
    ("usr2", 12, Action::End),
    ("pipe", 13, Action::Ignore),
    ("alrm", 14, Action::End),
    ("term", 15, Action::End),
    ("chld", 17, Action::Ignore),
    ("cont", 18, Action::Ignore),
    ("stop", 19, Action::Stop),
    ("tstp", 20, Action::Stop),
    ("ttin", 21, Action::Stop),
    ("ttou", 22, Action::Stop),
    ("urg", 23, Action::Ignore),
    ("xcpu", 24, Action::End),
    ("xfsz", 25, Action::End),
    ("vtalrm", 26, Action::End),
    ("prof", 27, Action::End),
    ("winch", 28, Action::Ignore),
    ("poll", 29, Action::End),
    ("pwr", 30, Action::End),
    ("sys", 31, Action::End),
];

#[derive(Clone, Copy)]
enum Action {
    Ignore,
    Stop,
    End,
}

fn raise(number: u32) -> Result<Raise, Errno> {
    match SIGNALS.get(number as usize) {
        Some((_, _, Action::Ignore)) => Ok(Raise::Ignored),
        Some((_, _, Action::Stop)) => Err(Errno::NOTSUP),
        Some((_, linux, Action::End)) => Ok(Raise::Terminates(*linux)),
        None => Err(Errno::INVAL),
    }
}

#[test]
fn every_signal_is_as_listed() {
    for number in 0..40 {
        assert_eq!(admit_raise(number), raise(number), "{number}");
    }
}
