//! Address space: reservations, access, and bounds-checked reads and writes inside them.

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;

/// Bytes in a page of the host.
pub const HOST_PAGE_BYTES: usize = 4096;

/// A large page; less than this would not fill one.
pub const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Access to a range of pages. Nothing here is ever writable and executable at once (T58): the states exclude it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing.
    ReadWrite,
    /// Reading.
    Read,
    /// Reading and executing.
    ReadExecute,
}

/// A private anonymous mapping, unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is plain memory owned by this value; all access goes through `&self` and `&mut self`.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Reserves `len` bytes without access, anywhere.
    ///
    /// # Errors
    /// The kernel's error, `ENOMEM` when address space is short.
    pub fn reserve(len: usize) -> io::Result<Self> {
        Self::map(0, len, libc::PROT_NONE, 0)
    }

    /// Reserves `len` bytes without access at exactly `address`, replacing nothing.
    ///
    /// # Errors
    /// The kernel's error, `EEXIST` when any of the range is taken.
    pub fn reserve_at(address: usize, len: usize) -> io::Result<Self> {
        let mapping = Self::map(address, len, libc::PROT_NONE, libc::MAP_FIXED_NOREPLACE)?;
        // Kernels before 4.17 do not know the flag and take the address as a hint.
        if mapping.address() != address {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        Ok(mapping)
    }

    fn map(address: usize, len: usize, protection: i32, flags: i32) -> io::Result<Self> {
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice, or one where nothing is mapped
        // (`MAP_FIXED_NOREPLACE`), touches no memory that anyone owns.
        let base = unsafe { libc::mmap(std::ptr::without_provenance_mut(address), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Self { base, len })
    }

    /// Address of the first byte.
    #[must_use]
    pub fn address(&self) -> usize {
        self.base.as_ptr() as usize
    }

    /// Length in bytes, accessible or not.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The addresses it covers.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.address()..self.address() + self.len
    }

    /// Changes access to `range`, which is widened to whole host pages.
    ///
    /// # Errors
    /// The kernel's error; access is unchanged then. `EINVAL` for a range outside the mapping.
    pub fn protect(&mut self, range: Range<usize>, access: Access) -> io::Result<()> {
        if range.start > range.end || range.end > self.len {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let start = range.start / HOST_PAGE_BYTES * HOST_PAGE_BYTES;
        let protection = match access {
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Access::Read => libc::PROT_READ,
            Access::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        };
        // SAFETY: `start <= end <= len` of a mapping we own; `&mut self` means that no slice of it is alive.
        let rc = unsafe { libc::mprotect(self.base.as_ptr().add(start).cast(), range.end - start, protection) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The bytes of `range`, or `None` outside the mapping. The caller has made the range readable and writable before; a range
    /// that is not faults, which ends the process and harms nothing else.
    #[must_use]
    pub fn bytes_mut(&mut self, range: Range<usize>) -> Option<&mut [u8]> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        // SAFETY: inside our mapping (checked above); `&mut self` makes it the only reference; anonymous memory is initialised.
        Some(unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(range.start), range.end - range.start) })
    }

    /// Asks for large pages where they fit into a range, most of which is about to be written. A kernel may not have them.
    pub fn prefer_large_pages(&mut self, range: Range<usize>) {
        if range.start <= range.end && range.end <= self.len {
            let start = range.start / HOST_PAGE_BYTES * HOST_PAGE_BYTES;
            // SAFETY: inside our mapping (checked above); the advice changes no contents. A refusal costs time and nothing else.
            unsafe { libc::madvise(self.base.as_ptr().add(start).cast(), range.end - start, libc::MADV_HUGEPAGE) };
        }
    }

    /// Has whole pages filled from `offset` on and takes away the right to write them.
    ///
    /// # Errors
    /// The kernel's error; `EINVAL` for pages outside the mapping.
    pub fn place_final(&mut self, offset: usize, len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<FinalBytes> {
        let range = offset..offset + len;
        self.protect(range.clone(), Access::ReadWrite)?;
        let place = self.bytes_mut(range.clone()).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        fill(place);
        let place = NonNull::from(place);
        self.protect(range, Access::Read)?;
        Ok(FinalBytes(place))
    }

    /// Writes a little-endian integer of `N` bytes.
    ///
    /// # Panics
    /// If the offset lies outside the mapping: offsets come from layouts computed for it.
    pub fn write<const N: usize>(&mut self, offset: usize, value: [u8; N]) {
        self.bytes_mut(offset..offset + N).expect("the layout lies inside its mapping").copy_from_slice(&value);
    }

    /// Reads an integer's `N` bytes.
    ///
    /// # Panics
    /// As [`Mapping::write`].
    #[must_use]
    pub fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(offset <= self.len && N <= self.len - offset, "the layout lies inside its mapping");
        // SAFETY: inside our mapping (checked above), any bytes make a valid array, and guest code does not run while host
        // code holds `&self`.
        unsafe { self.base.as_ptr().add(offset).cast::<[u8; N]>().read() }
    }
}

/// Asks for large pages where they fit into a large buffer, all of which is about to be written. A kernel may not have them.
pub fn prefer_large_pages(buffer: &mut [MaybeUninit<u8>]) {
    let address = buffer.as_ptr().addr();
    let start = address.next_multiple_of(HOST_PAGE_BYTES);
    let end = (address + buffer.len()) / HOST_PAGE_BYTES * HOST_PAGE_BYTES;
    if end.saturating_sub(start) >= LARGE_PAGE_BYTES {
        // SAFETY: whole pages of the buffer, to which we have the only reference; the advice changes no contents.
        unsafe {
            libc::madvise(buffer.as_mut_ptr().byte_add(start - address).cast(), end - start, libc::MADV_HUGEPAGE)
        };
    }
}

/// Bytes of a mapping that nobody can write any more. Its owner keeps the mapping at least as long.
#[derive(Debug)]
pub struct FinalBytes(NonNull<[u8]>);

// SAFETY: nobody writes these bytes, so any thread may read them.
unsafe impl Send for FinalBytes {}

impl FinalBytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: made from a slice of a mapping that is still there (see above) and whose pages are readable and no longer
        // writable: no way back is taken for pages that were made final.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: we own the mapping and nothing borrowed from it outlives this value.
        let rc = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert_eq!(rc, 0, "unmapping our own mapping");
    }
}

/// Random bits from the kernel, for address choice.
///
/// # Errors
/// The kernel's error.
pub fn random_u64() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is eight writable bytes.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 8 { Ok(u64::from_ne_bytes(bytes)) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_range_is_not_replaced() {
        let first = Mapping::reserve(HOST_PAGE_BYTES).unwrap();
        let error = Mapping::reserve_at(first.address(), HOST_PAGE_BYTES).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
    }

    #[test]
    fn accessors_refuse_what_lies_outside() {
        let mut mapping = Mapping::reserve(HOST_PAGE_BYTES).unwrap();
        mapping.protect(0..HOST_PAGE_BYTES, Access::ReadWrite).unwrap();
        mapping.write(8, 7u64.to_le_bytes());
        assert_eq!(u64::from_le_bytes(mapping.read(8)), 7);
        assert!(mapping.bytes_mut(HOST_PAGE_BYTES - 1..HOST_PAGE_BYTES + 1).is_none());
        assert!(mapping.protect(0..HOST_PAGE_BYTES + 1, Access::ReadWrite).is_err());
    }
}
