//! `fd_readdir`: any buffer, any cookie, nothing above the grant.

mod guest;

use guest::{Guest, ROOT, errno, processor_time};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use wave_wasi::{Errno, preview1};

struct Entry {
    next: u64,
    inode: u64,
    kind: u8,
    name: String,
}

/// One call: the complete entries, and whether the end was reached.
fn list(guest: &mut Guest, len: u32, cookie: u64) -> Result<(Vec<Entry>, bool), Errno> {
    let out = 512;
    let buffer = 65_536;
    let done = preview1::fd_readdir(&mut guest.wasi, &mut guest.memory, ROOT, buffer, len, cookie, out);
    errno(done)?;
    let used = guest.u32(out);
    assert!(used <= len);
    let mut bytes = guest.bytes(buffer, used as usize);
    let mut entries = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(24) {
        let word = |at| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        let name_len = u32::from_le_bytes(head[16..20].try_into().unwrap());
        assert_eq!(head[21..24], [0, 0, 0], "T11");
        let Some((name, rest)) = rest.split_at_checked(name_len as usize) else { break };
        entries.push(Entry {
            next: word(0),
            inode: word(8),
            kind: head[20],
            name: String::from_utf8(name.to_vec()).unwrap(),
        });
        bytes = rest;
    }
    Ok((entries, used < len))
}

fn list_all(guest: &mut Guest, len: u32) -> Vec<String> {
    let (mut names, mut cookie) = (Vec::new(), 0);
    loop {
        let (entries, end) = list(guest, len, cookie).unwrap();
        if let Some(last) = entries.last() {
            cookie = last.next;
        }
        names.extend(entries.into_iter().map(|entry| entry.name));
        if end {
            return names;
        }
    }
}

#[test]
fn entries_are_complete_and_the_parent_is_not_named() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), "").unwrap();
    fs::create_dir(guest.host("dir")).unwrap();
    std::os::unix::fs::symlink("file", guest.host("link")).unwrap();
    let (entries, end) = list(&mut guest, 4096, 0).unwrap();
    assert!(end);
    let found: BTreeSet<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    assert_eq!(found, [(".", 3), ("..", 3), ("dir", 3), ("file", 4), ("link", 7)].into());
    let inode = |name: &str| entries.iter().find(|entry| entry.name == name).unwrap().inode;
    let own = fs::metadata(guest.host("")).unwrap().ino();
    assert_eq!((inode("."), inode("..")), (own, own));
    assert_eq!(inode("file"), fs::metadata(guest.host("file")).unwrap().ino());
}

#[test]
fn t9_every_buffer_size_finds_the_same_names() {
    let mut guest = Guest::new();
    let mut expected: BTreeSet<_> = [".".to_owned(), "..".to_owned()].into();
    for at in 0..2000 {
        let name = format!("{at:0>60}");
        fs::write(guest.host(&name), "").unwrap();
        expected.insert(name);
    }
    for len in [84, 100, 256, 4096, 60_000, 131_072] {
        let names = list_all(&mut guest, len);
        assert_eq!(names.len(), expected.len(), "buffer of {len}");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn t9_cookies_go_back_and_forth() {
    let mut guest = Guest::new();
    for at in 0..2000 {
        fs::write(guest.host(&format!("{at:0>60}")), "").unwrap();
    }
    let names = list_all(&mut guest, 131_072);
    for cookie in [1999, 3, 0, 1500, 1499, 1, 2001, 700, 2000] {
        let (entries, _) = list(&mut guest, 500, cookie).unwrap();
        assert_eq!(entries[0].name, names[usize::try_from(cookie).unwrap()], "cookie {cookie}");
        assert_eq!(entries[0].next, cookie + 1);
    }
}

#[test]
fn t9_cookies_a_guest_made_up_are_harmless() {
    let mut guest = Guest::new();
    fs::write(guest.host("file"), "").unwrap();
    let start = processor_time();
    for cookie in [4, 1000, 1 << 31, 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX] {
        let (entries, end) = list(&mut guest, 4096, cookie).unwrap();
        assert!(entries.is_empty() && end, "cookie {cookie}");
    }
    assert!(processor_time() - start < Duration::from_secs(1));
    assert_eq!(list_all(&mut guest, 4096).len(), 3);
}

#[test]
fn a_small_buffer_is_filled_and_an_empty_one_left_alone() {
    let mut guest = Guest::new();
    for len in 0..30 {
        guest.memory[65_536..65_600].fill(0xaa);
        list(&mut guest, len, 0).unwrap();
        assert_eq!(guest.u32(512), len.min(25 + 26));
        let after = 65_536 + len as usize;
        assert_eq!(guest.memory[after..after + 8], [0xaa; 8], "T8");
    }
}

#[test]
fn rewinding_shows_what_is_new() {
    let mut guest = Guest::new();
    assert_eq!(list_all(&mut guest, 4096).len(), 2);
    fs::write(guest.host("new"), "").unwrap();
    assert_eq!(list_all(&mut guest, 4096).len(), 3);
    fs::remove_file(guest.host("new")).unwrap();
    assert_eq!(list_all(&mut guest, 4096).len(), 2);
}
