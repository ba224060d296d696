//! Directory listings with cookies of our own.
//!
//! A cookie is the ordinal of an entry. A guest may pass any 64 bits, so the kernel's positions stay in the platform's
//! [`Listing`].

use crate::fd::count;
use crate::objects::Object;
use crate::platform::Listing;
use crate::wait::Interrupted;
use crate::{Failure, Wasi};
use std::os::fd::AsFd;
use wave_monitor::{Admitted, ReadDir};

/// Fills a guest buffer with entries and returns the number of bytes used.
pub(crate) fn read(wasi: &mut Wasi, read: Admitted<ReadDir>, buffer: &mut [u8]) -> Result<usize, Failure> {
    let interrupted = wasi.interrupted;
    let object = wasi.objects.get_mut(&read.on)?;
    let mut listing = object.listing.take().unwrap_or_else(|| Box::new(Listing::new()));
    let used = list(object, &mut listing, interrupted, read.cookie, buffer);
    object.listing = Some(listing);
    used
}

fn list(
    object: &Object,
    listing: &mut Listing,
    interrupted: Interrupted,
    cookie: u64,
    buffer: &mut [u8],
) -> Result<usize, Failure> {
    let fd = object.as_fd();
    listing.seek(fd, interrupted, cookie)?;
    let mut free = &mut *buffer;
    let mut used = 0;
    while !free.is_empty() {
        let next = listing.cookie_after();
        let Some(entry) = listing.peek(fd, interrupted)? else { break };
        // The guest must not learn the inode number of a directory above its grant.
        let inode = if entry.name == b".." { object.inode } else { entry.inode };
        let head = dirent_bytes(next, inode, entry.name.len(), entry.file_type.raw());
        let taken = copy(free, &head) + copy(free.get_mut(head.len()..).unwrap_or_default(), entry.name);
        let complete = taken == head.len() + entry.name.len();
        let end = entry.end;
        used += taken;
        free = free.get_mut(taken..).unwrap_or_default();
        if complete {
            listing.skip(end);
        }
    }
    Ok(used)
}

/// `$dirent`: next cookie, inode, length of the name, type, padding.
pub(crate) fn dirent_bytes(next: u64, inode: u64, name_len: usize, file_type: u8) -> [u8; 24] {
    // Stored in whole words: loading eight bytes that were just stored in parts is slow.
    let length_and_type = u64::from(count(name_len)) | u64::from(file_type) << 32;
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&next.to_le_bytes());
    bytes[8..16].copy_from_slice(&inode.to_le_bytes());
    bytes[16..].copy_from_slice(&length_and_type.to_le_bytes());
    bytes
}

/// Copies as many bytes as fit and returns their number.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let len = to.len().min(from.len());
    for (place, byte) in to.iter_mut().zip(from) {
        *place = *byte;
    }
    len
}
