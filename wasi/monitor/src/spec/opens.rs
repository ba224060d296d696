//! File-system policy on opening: the access mode, what may be created, flags of what is open.

use super::config;
use super::inputs::{access, fd_flags, kind, rights, word};
use super::rights::set;
use crate::entries::EntryOrigin;
use crate::fdstat::{admit_append_change, flag_change};
use crate::opens::{admit_creation, admit_mode, needed_on_directory};
use crate::sockets::{accept_flags, check_send_flags, shutdown_how};
use crate::{Access, Errno, FdFlags, Kind, OFlags};
use proptest::prelude::*;
use proptest::sample::select;

const READ: u32 = 1;
const WRITE: u32 = 6;

proptest! {
    #![proptest_config(config(2048))]

    #[test]
    fn t21_an_open_reads_and_writes_only_what_may_be(
        access in access(), may in rights(), wanted in rights(), flags in fd_flags(),
    ) {
        let (may_bits, wanted_bits) = (set(may), set(wanted));
        let had = |bit| !wanted_bits.contains(&bit) || may_bits.contains(&bit);
        let write = wanted_bits.contains(&WRITE);
        let at_the_end = flags.bits() & 1 == 1;
        let admitted = had(READ) && had(WRITE) && !(write && access == Access::Append && !at_the_end);

        match admit_mode(access, may, wanted, flags) {
            Ok(mode) => {
                prop_assert!(admitted);
                prop_assert_eq!(mode.write, write);
                // The kernel needs an access mode, and reading is the lesser one.
                prop_assert_eq!(mode.read, wanted_bits.contains(&READ) || !write);
            }
            Err(errno) => {
                prop_assert!(!admitted);
                prop_assert_eq!(errno, Errno::NOTCAPABLE);
            }
        }
    }

    #[test]
    fn t35_append_mode_is_changed_where_it_is_ours(
        on: bool, kind in kind(), access in access(),
        origin in select(vec![EntryOrigin::Stdio, EntryOrigin::Preopen(0), EntryOrigin::Beneath(0), EntryOrigin::Socket]),
    ) {
        let ours = origin != EntryOrigin::Stdio && kind == Kind::RegularFile;
        let leaves_the_end = access == Access::Append && !on;
        let expected = match (ours, leaves_the_end) {
            (false, _) => Err(Errno::NOTSUP),
            (true, true) => Err(Errno::NOTCAPABLE),
            (true, false) => Ok(()),
        };
        prop_assert_eq!(admit_append_change(on, origin, kind, access), expected);
    }

    #[test]
    fn flags_of_sockets_are_the_defined_ones(bits in word()) {
        prop_assert_eq!(accept_flags(bits).map(FdFlags::bits), match bits { 0 => Ok(0), 4 => Ok(4), _ => Err(Errno::INVAL) });
        prop_assert_eq!(check_send_flags(bits).is_ok(), bits == 0);
        let how = shutdown_how(bits).map(|how| u32::from(how.bits()));
        prop_assert_eq!(how, if (1..=3).contains(&bits) { Ok(bits) } else { Err(Errno::INVAL) });
    }
}

#[test]
fn only_append_and_nonblock_change() {
    let flags = |bits| FdFlags::from_guest(bits).unwrap();
    for (before, after) in (0..32).flat_map(|before| (0..32).map(move |after| (before, after))) {
        let bit = |flags: u32, bit: u32| flags >> bit & 1 == 1;
        let fixed = [1, 3, 4].into_iter().all(|at| bit(before, at) == bit(after, at));
        let append = (bit(before, 0) != bit(after, 0)).then_some(bit(after, 0));
        let expected = if fixed { Ok(append) } else { Err(Errno::INVAL) };
        assert_eq!(flag_change(flags(before), flags(after)), expected, "{before} {after}");
    }
}

#[test]
fn t5_creating_and_truncating_need_their_rights_and_no_directory() {
    for bits in 0..16 {
        let (creates, directory, truncates) = (bits & 1 != 0, bits & 2 != 0, bits & 8 != 0);
        let oflags = OFlags::from_guest(bits).unwrap();
        // path_open; path_create_file; path_filestat_set_size.
        let needed = [(13, true), (10, creates), (19, truncates)];
        let needed = needed.into_iter().filter(|(_, is)| *is).map(|(bit, _)| bit).collect();
        assert_eq!(set(needed_on_directory(oflags)), needed);
        let expected = if creates && directory { Err(Errno::INVAL) } else { Ok(()) };
        assert_eq!(admit_creation(oflags), expected);
    }
}
