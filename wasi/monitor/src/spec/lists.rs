//! Granted files: a map from names to accesses, and paths as components (T14, T21, T22).

use super::config;
use super::inputs::{access, path, rights};
use super::rights::{granted, set};
use crate::{Access, Errno, FdFlags, GrantedFile, HostFd, Kind, Limits, ListItem, Monitor, OpenRequest, Rights};
use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

const LIST: u32 = 100;

/// A list with these files. The host's number of a file is its place among the names.
fn monitor(files: &BTreeMap<Vec<u8>, Access>) -> Monitor {
    let mut monitor = Monitor::new(Limits::default());
    let granted = files.iter().zip(0..).map(|((name, access), number)| GrantedFile {
        name: name.clone(),
        host: HostFd::new(number),
        access: *access,
    });
    assert_eq!(monitor.grant_list(HostFd::new(LIST), b"/list".to_vec(), granted.collect()), Ok(3));
    monitor
}

/// What a path leads to: the name of a file, `None` for the list.
fn meaning(files: &BTreeMap<Vec<u8>, Access>, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    if path.len() > 4095 {
        return Err(Errno::NAMETOOLONG);
    }
    if path.contains(&0) {
        return Err(Errno::INVAL);
    }
    let parts: Vec<_> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let first = parts.iter().position(|part| *part != b".");
    if path[0] == b'/' || first.is_some_and(|first| parts[first] == b"..") {
        return Err(Errno::NOTCAPABLE);
    }
    let Some(first) = first else { return Ok(None) };
    if !files.contains_key(parts[first]) {
        return Err(Errno::NOENT);
    }
    // Nothing is behind a file, not even what stays in place.
    if first + 1 < parts.len() || path.ends_with(b"/") { Err(Errno::NOTDIR) } else { Ok(Some(parts[first].to_vec())) }
}

fn files() -> impl Strategy<Value = BTreeMap<Vec<u8>, Access>> {
    let name = select(vec![&b"a"[..], b"b", b"...", b"aa", b"\xff"]).prop_map(<[u8]>::to_vec);
    btree_map(name, access(), 0..5)
}

fn number(item: &ListItem) -> u32 {
    match item {
        ListItem::List(on) | ListItem::File(on) => on.host().index(),
    }
}

proptest! {
    #![proptest_config(config(4096))]

    #[test]
    fn t14_a_path_leads_to_a_granted_file_or_nowhere(files in files(), path in path()) {
        let monitor = monitor(&files);
        let place = |name: &Vec<u8>| u32::try_from(files.keys().position(|other| other == name).unwrap()).unwrap();
        let expected = meaning(&files, &path).map(|name| name.as_ref().map_or(LIST, place));
        let stat = monitor.admit_stat_listed(3, 0, &path).map(|stat| number(&stat.item));
        prop_assert_eq!(stat, expected);
        let request =
            OpenRequest { fd: 3, lookup: 0, path: &path, oflags: 0, base: 2, inheriting: 0, fdflags: 0 };
        let open = monitor.admit_open_listed(request).map(|open| number(&open.item));
        prop_assert_eq!(open, expected);
        // The file itself has the grant, anything else the list.
        let grant = match expected { Ok(LIST) | Err(_) => 0, Ok(file) => file as usize + 1 };
        prop_assert_eq!(monitor.grant_at(3, &path), Some(grant));
    }

    #[test]
    fn t21_t22_a_file_is_opened_as_its_grant_and_the_rights_of_the_list_allow(
        access in access(), other in access(), has in rights(), may in rights(), wanted in rights(), handed_on in rights(),
        oflags in 0..16_u32, fdflags in 0..32_u32,
    ) {
        let files = [(b"a".to_vec(), access), (b"b".to_vec(), other)].into();
        let mut monitor = monitor(&files);
        let full = monitor.fdstat(3).unwrap();
        let (has, may) = (has.intersection(full.base), may.intersection(full.inheriting));
        monitor.set_rights(3, has.bits(), may.bits()).unwrap();
        let request = OpenRequest {
            fd: 3, lookup: 0, path: b"a", oflags, base: wanted.bits(), inheriting: handed_on.bits(), fdflags,
        };
        let (creates, directory, new, truncates) = (oflags & 1 != 0, oflags & 2 != 0, oflags & 4 != 0, oflags & 8 != 0);
        let is_had = |bit: u32| set(has).contains(&bit) && granted(access, bit);
        let is_passed = |bit: u32| set(may).contains(&bit) && granted(access, bit);
        let asks = |bit| set(wanted).contains(&bit);
        let refused = !is_had(13)
            || (creates && !is_had(10))
            || (truncates && !is_had(19))
            || (asks(1) && !is_passed(1))
            || (asks(6) && !is_passed(6))
            || (asks(6) && access == Access::Append && fdflags & 1 == 0);
        let open = monitor.admit_open_listed(request);
        if !set(has).contains(&13) {
            prop_assert_eq!(open.err(), Some(Errno::NOTCAPABLE));
            return Ok(());
        }
        if creates && directory {
            prop_assert_eq!(open.err(), Some(Errno::INVAL));
            return Ok(());
        }
        if refused || directory || (creates && new) {
            let expected = if refused { Errno::NOTCAPABLE } else if directory { Errno::NOTDIR } else { Errno::EXIST };
            prop_assert_eq!(open.err(), Some(expected));
            return Ok(());
        }
        let open = open.unwrap();
        prop_assert_eq!((open.write, open.read), (asks(6), asks(1) || !asks(6)));
        prop_assert_eq!((open.truncate, u32::from(open.fdflags.bits())), (truncates, fdflags));
        let fd = monitor.install_listed(open.performed(), HostFd::new(7), Kind::RegularFile);
        let stat = monitor.fdstat(fd).unwrap();
        let expected = set(wanted).into_iter().filter(|bit| {
            is_passed(*bit) && super::rights::applies(Kind::RegularFile, *bit)
        });
        prop_assert_eq!(set(stat.base), expected.collect());
        prop_assert_eq!((stat.inheriting, stat.flags), (Rights::NONE, FdFlags::from_guest(fdflags).unwrap()));
        prop_assert_eq!(monitor.grant_of(fd), Some(1));
    }
}
