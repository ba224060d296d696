//! Identifies this build of `wave`. Code that another build compiled may follow other rules, so it must not be used.
//! The path and the times of the program do not identify a build.

use std::fs::File;
use std::os::unix::fs::FileExt;
use wave_contract::digest::{Digest, digest, digest_read};

/// Bytes at the start of the file, where linkers put the headers and the note.
const START_BYTES: usize = 4096;

/// Maximum bytes of notes that are read.
const MAX_NOTE_BYTES: u64 = 1 << 16;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const PT_NOTE: u32 = 4;
const NT_GNU_BUILD_ID: u32 = 3;

/// A digest of the build ID, which linkers derive from all that they write. Without a build ID, a digest of the whole program.
pub fn identity(threads: usize) -> Option<Digest> {
    // This is the running file even if its name was replaced. The kernel denies writing to it while it runs.
    let file = File::open("/proc/self/exe").ok()?;
    build_id(&file).map(|id| digest(&id, 1)).or_else(|| {
        let len = file.metadata().ok()?.len();
        digest_read(len, threads, |from, buffer| file.read_exact_at(buffer, from)).ok()
    })
}

fn build_id(file: &File) -> Option<Vec<u8>> {
    let mut start = vec![0; START_BYTES];
    file.read_exact_at(&mut start, 0).ok()?;
    notes(&start)?.into_iter().find_map(|(from, len)| {
        let mut notes = vec![0; usize::try_from(len.min(MAX_NOTE_BYTES)).ok()?];
        match usize::try_from(from).ok().and_then(|from| start.get(from..from.checked_add(notes.len())?)) {
            Some(bytes) => notes.copy_from_slice(bytes),
            None => file.read_exact_at(&mut notes, from).ok()?,
        }
        find_build_id(&notes)
    })
}

/// Offsets and lengths of the notes in a 64-bit ELF file.
fn notes(start: &[u8]) -> Option<Vec<(u64, u64)>> {
    let header = start.first_chunk::<HEADER_BYTES>().filter(|header| header.starts_with(b"\x7fELF\x02\x01"))?;
    let from = usize::try_from(long(header, 32)?).ok()?;
    let headers = start.get(from..)?.as_chunks::<PROGRAM_HEADER_BYTES>().0.iter();
    let headers = headers.take(usize::from(u16::from_le_bytes(header.get(56..58)?.try_into().ok()?)));
    let notes = headers.filter(|header| word(*header, 0) == Some(PT_NOTE));
    Some(notes.filter_map(|header| Some((long(header, 8)?, long(header, 32)?))).collect())
}

/// Finds the build ID among notes.
fn find_build_id(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let (name_len, len, kind) = (word(notes, 0)?, word(notes, 4)?, word(notes, 8)?);
        let (name, rest) = notes.get(12..)?.split_at_checked(usize::try_from(name_len).ok()?.next_multiple_of(4))?;
        let (bytes, rest) = rest.split_at_checked(usize::try_from(len).ok()?.next_multiple_of(4))?;
        if (kind, name) == (NT_GNU_BUILD_ID, b"GNU\0") && !bytes.is_empty() {
            return Some(bytes.to_vec());
        }
        notes = rest;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, name: &[u8], bytes: &[u8]) -> Vec<u8> {
        let numbers = [u32::try_from(name.len()).unwrap(), u32::try_from(bytes.len()).unwrap(), kind];
        let mut note: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        for part in [name, bytes] {
            note.extend_from_slice(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn the_build_id_is_found_among_notes() {
        let (other, id) = (note(1, b"GNU\0", &[9; 16]), note(3, b"GNU\0", &[7; 20]));
        assert_eq!(find_build_id(&[&other[..], &note(3, b"XYZ\0", &[1; 3]), &id].concat()), Some(vec![7; 20]));
        assert_eq!(find_build_id(&other), None);
        assert_eq!(find_build_id(&note(3, b"GNU\0", &[])), None);
        for len in 0..id.len() {
            assert_eq!(find_build_id(&id[..len]), None, "{len} bytes");
        }
        let mut endless = id.clone();
        endless[0..8].fill(0xff);
        assert_eq!(find_build_id(&endless), None);
    }

    #[test]
    fn notes_are_where_the_headers_say() {
        let mut start = vec![0; START_BYTES];
        start[..6].copy_from_slice(b"\x7fELF\x02\x01");
        start[32] = 64;
        start[56] = 2;
        start[64] = 1;
        let second = 64 + PROGRAM_HEADER_BYTES;
        (start[second], start[second + 8], start[second + 32]) = (4, 200, 36);
        assert_eq!(notes(&start), Some(vec![(200, 36)]));
        start[56] = 1;
        assert_eq!(notes(&start), Some(vec![]));
        start[39] = 0xff;
        assert_eq!(notes(&start), None);
        assert_eq!(notes(&start[..63]), None);
        assert_eq!(notes(b"#!/bin/sh"), None);
    }

    #[test]
    fn a_program_has_an_identity() {
        assert!(identity(1).is_some_and(|one| identity(2) == Some(one)));
    }
}
