//! Address space: reservations, access, and bounds-checked reads and writes inside them.

use crate::platform::pages;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes in a page of the host.
pub const HOST_PAGE_BYTES: usize = 4096;

/// Bytes in a large page. A smaller range cannot fill one.
pub const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Access to pages that nobody writes any more. No page is ever writable and executable at once (T58): pages are writable
/// before they are final, and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalAccess {
    /// Reading.
    Read,
    /// Reading and executing.
    ReadExecute,
}

/// A range of pages that this process reserved. It is unmapped when its last owner is dropped.
#[derive(Debug)]
struct Reservation {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a reservation gives nobody access to its pages. It only knows where they are and unmaps them.
unsafe impl Send for Reservation {}
// SAFETY: as above; nothing changes through a shared reference.
unsafe impl Sync for Reservation {}

impl Reservation {
    fn map(address: usize, len: usize, flags: i32) -> io::Result<Self> {
        // The kernel maps whole pages.
        let len =
            len.checked_next_multiple_of(HOST_PAGE_BYTES).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice, or one where nothing is mapped
        // (`pages::EXACTLY`), touches no memory that anyone owns.
        let base = unsafe { libc::mmap(std::ptr::without_provenance_mut(address), len, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Self { base, len })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range is ours. No reference into it is alive: each borrows a `Mapping` or a `FinalBytes`, and both own
        // a share of this reservation, so the last of them is gone. Raw pointers into the range are not used afterwards:
        // cranelift-jit's module owns the region through its provider, and guest code runs only while its store lives.
        let rc = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert_eq!(rc, 0, "unmapping our own mapping");
    }
}

/// A private anonymous mapping.
///
/// Three kinds of pages: inaccessible ones, one range of writable ones, and final ones. Pages go from the first kind to the
/// second to the third, and never back. Only writable pages are lent as slices.
#[derive(Debug)]
pub struct Mapping {
    reservation: Arc<Reservation>,
    /// Whole pages that can be read and written. Possibly more can: a change that failed may have been made in part.
    writable: Range<usize>,
    /// All final pages lie in this range, and no writable page does.
    final_pages: Range<usize>,
}

impl Mapping {
    /// Reserves `len` bytes without access, anywhere. `len` is rounded up to whole pages.
    ///
    /// # Errors
    /// The kernel's error, `ENOMEM` when address space is short.
    pub fn reserve(len: usize) -> io::Result<Self> {
        Reservation::map(0, len, 0).map(Self::new)
    }

    /// Reserves `len` bytes without access at exactly `address`, replacing nothing.
    ///
    /// # Errors
    /// The kernel's error, `EEXIST` when any of the range is taken.
    pub fn reserve_at(address: usize, len: usize) -> io::Result<Self> {
        Self::reserve_at_by(address, len, pages::EXACTLY)
    }

    /// As [`Self::reserve_at`], with the platform's flag for it.
    pub(crate) fn reserve_at_by(address: usize, len: usize, exactly: i32) -> io::Result<Self> {
        let mapping = Reservation::map(address, len, exactly).map(Self::new)?;
        // Without such a flag, a kernel takes the address as a hint.
        if mapping.address() != address {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        Ok(mapping)
    }

    fn new(reservation: Reservation) -> Self {
        Self { reservation: Arc::new(reservation), writable: 0..0, final_pages: 0..0 }
    }

    fn base(&self) -> *mut u8 {
        self.reservation.base.as_ptr()
    }

    /// Address of the first byte. Its provenance is exposed: contexts and compiled code hold addresses as integers.
    #[must_use]
    pub fn address(&self) -> usize {
        self.base().expose_provenance()
    }

    /// Length in bytes, accessible or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reservation.len
    }

    /// The addresses it covers.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.address()..self.address() + self.len()
    }

    /// Address range of the field that says which pages are writable.
    pub fn writable_field(&self) -> Range<usize> {
        crate::inspect::of(&self.writable)
    }

    /// Makes the pages of `range` readable and writable. They are zero if they were inaccessible. Pages that are writable
    /// already may be in the range; the system call covers the whole range all the same.
    ///
    /// # Errors
    /// The kernel's error. `EINVAL` for a range outside the mapping, for one with final pages, and for one that does
    /// not touch the writable pages there are.
    pub fn make_writable(&mut self, range: Range<usize>) -> io::Result<()> {
        let pages = self.pages(&range).ok_or_else(invalid)?;
        let writable = join(&self.writable, &pages).ok_or_else(invalid)?;
        if overlap(&writable, &self.final_pages) {
            return Err(invalid());
        }
        // SAFETY: the pages are ours (`pages`) and not final. More access takes nothing from anyone who refers to them.
        unsafe { self.protect(&pages, libc::PROT_READ | libc::PROT_WRITE) }?;
        self.writable = writable;
        Ok(())
    }

    /// Takes away the right to write all pages that have it, for good.
    ///
    /// # Errors
    /// The kernel's error. The pages cannot be written through this mapping any more even then.
    pub fn make_final(&mut self, access: FinalAccess) -> io::Result<()> {
        let pages = std::mem::take(&mut self.writable);
        self.final_pages = hull(&self.final_pages, &pages);
        let protection = match access {
            FinalAccess::Read => libc::PROT_READ,
            FinalAccess::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        };
        // SAFETY: the pages are ours, and stay readable. They lose the right to be written, which nobody uses any more:
        // - slices of them borrow `self` mutably, so none is alive;
        // - a `FinalBytes` refers to pages that were final before, which are not among these, and never writes;
        // - who asked `writable_ptr` for a raw pointer promised to write only until now (cranelift-jit writes in
        //   `define_function_bytes`, and calls `Provider::finalize` afterwards).
        unsafe { self.protect(&pages, protection) }
    }

    /// Changes access to whole pages.
    ///
    /// # Safety
    /// The pages are inside the mapping. Nobody uses a pointer or reference to them in a way that the new access forbids.
    unsafe fn protect(&mut self, pages: &Range<usize>, protection: i32) -> io::Result<()> {
        if pages.is_empty() {
            return Ok(());
        }
        // SAFETY: the caller's promise; the address stays inside the mapping.
        let rc = unsafe { libc::mprotect(self.base().add(pages.start).cast(), pages.len(), protection) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The pages of a range, or `None` outside the mapping.
    fn pages(&self, range: &Range<usize>) -> Option<Range<usize>> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        // The mapping is whole pages, so this does not leave it.
        Some(range.start / HOST_PAGE_BYTES * HOST_PAGE_BYTES..range.end.next_multiple_of(HOST_PAGE_BYTES))
    }

    fn is_writable(&self, range: &Range<usize>) -> bool {
        self.writable.start <= range.start && range.start <= range.end && range.end <= self.writable.end
    }

    /// The bytes of `range`, or `None` unless all of them are writable.
    #[must_use]
    pub fn bytes_mut(&mut self, range: Range<usize>) -> Option<&mut [u8]> {
        if !self.is_writable(&range) {
            return None;
        }
        // SAFETY: these pages are ours, readable and writable, and stay so: only `&mut self` changes access. Anonymous
        // memory is initialized. `&mut self` makes this the only reference; guest code and cranelift-jit, which have
        // pointers of their own, do not run while the slice is alive.
        Some(unsafe { std::slice::from_raw_parts_mut(self.base().add(range.start), range.len()) })
    }

    /// A pointer to the bytes of `range` for code that takes no slice, or `None` unless all of them are writable. To write
    /// through it is allowed until [`make_final`](Self::make_final), and while nothing else refers to these bytes.
    #[must_use]
    pub fn writable_ptr(&mut self, range: Range<usize>) -> Option<*mut u8> {
        self.is_writable(&range).then(|| self.base().wrapping_add(range.start))
    }

    /// Asks for large pages where they fit into a range that is about to be written for the most part. The kernel may have
    /// none.
    pub fn prefer_large_pages(&mut self, range: Range<usize>) {
        if let Some(Range { start, end }) = self.pages(&range) {
            // SAFETY: the pages are ours.
            unsafe { pages::prefer_large(self.base().add(start), end - start) };
        }
    }

    /// Makes the pages of `len` bytes from `offset` on writable, has them filled, and makes all writable pages final.
    ///
    /// # Errors
    /// As [`make_writable`](Self::make_writable) and [`make_final`](Self::make_final).
    pub fn place_final(&mut self, offset: usize, len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<FinalBytes> {
        let range = offset..offset.checked_add(len).ok_or_else(invalid)?;
        self.make_writable(range.clone())?;
        fill(self.bytes_mut(range.clone()).ok_or_else(invalid)?);
        self.make_final(FinalAccess::Read)?;
        Ok(FinalBytes { reservation: Arc::clone(&self.reservation), range })
    }

    /// Writes a little-endian integer of `N` bytes.
    ///
    /// # Panics
    /// If the bytes are not all writable: offsets come from layouts computed for the mapping.
    pub fn write<const N: usize>(&mut self, offset: usize, value: [u8; N]) {
        self.bytes_mut(offset..offset + N).expect("the layout lies inside its mapping").copy_from_slice(&value);
    }

    /// Reads an integer's `N` bytes.
    ///
    /// # Panics
    /// As [`Mapping::write`].
    #[must_use]
    pub fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(self.is_writable(&(offset..offset + N)), "the layout lies inside its mapping");
        // SAFETY: our pages, which can be read (checked above). Any bytes make a valid array. `&self` means that no slice of
        // them is alive, and guest code does not run while host code holds `&self`.
        unsafe { self.base().add(offset).cast::<[u8; N]>().read() }
    }
}

/// Bytes of a mapping that nobody can write any more. Keeps the pages mapped.
#[derive(Debug)]
pub struct FinalBytes {
    reservation: Arc<Reservation>,
    range: Range<usize>,
}

impl FinalBytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `place_final` made these pages readable and final. No mapping makes final pages writable or inaccessible
        // again, and they stay mapped as long as `self` owns a share of the reservation.
        unsafe { std::slice::from_raw_parts(self.reservation.base.as_ptr().add(self.range.start), self.range.len()) }
    }
}

/// Bytes of a file, which the kernel reads when they are looked at. Keeps no descriptor.
#[derive(Debug)]
pub struct FileBytes {
    reservation: Reservation,
    range: Range<usize>,
}

impl FileBytes {
    /// Maps `len` bytes of a file from `offset` on.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn map(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        let start = usize::try_from(offset).map_err(io::Error::other)? % HOST_PAGE_BYTES;
        let end = start.checked_add(len).ok_or_else(invalid)?;
        let from = i64::try_from(offset).map_err(io::Error::other)? - i64::try_from(start).map_err(io::Error::other)?;
        let pages = end.max(1).checked_next_multiple_of(HOST_PAGE_BYTES).ok_or_else(invalid)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that anyone owns.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), pages, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), from)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(invalid)?;
        Ok(Self { reservation: Reservation { base, len: pages }, range: start..end })
    }

    /// A copy of them, as they are now. If the file has become shorter, this process ends with SIGBUS.
    #[must_use]
    pub fn copy(&self) -> Vec<u8> {
        let start = self.reservation.base.as_ptr().wrapping_add(self.range.start);
        // SAFETY: the pages are ours, readable, and mapped as long as `self` lives; the range lies inside of them (`map`). Nobody refers
        // to them by a reference. Another process may change the file meanwhile, so each byte is read once, as it is then.
        (0..self.range.len()).map(|at| unsafe { start.add(at).read_volatile() }).collect()
    }
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

/// The smallest range around both. Empty ranges are nowhere.
fn hull(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.clone(),
        (_, true) => a.clone(),
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}

/// The union, or `None` if there is a gap between the two.
fn join(a: &Range<usize>, b: &Range<usize>) -> Option<Range<usize>> {
    let gap = !a.is_empty() && !b.is_empty() && a.start.max(b.start) > a.end.min(b.end);
    (!gap).then(|| hull(a, b))
}

/// Asks for large pages where they fit into a large buffer that is about to be written. The kernel may have none.
pub fn prefer_large_pages(buffer: &mut [MaybeUninit<u8>]) {
    let address = buffer.as_ptr().addr();
    let start = address.next_multiple_of(HOST_PAGE_BYTES);
    let end = (address + buffer.len()) / HOST_PAGE_BYTES * HOST_PAGE_BYTES;
    if end.saturating_sub(start) >= LARGE_PAGE_BYTES {
        // SAFETY: whole pages of the buffer, to which we have the only reference.
        unsafe { pages::prefer_large(buffer.as_mut_ptr().byte_add(start - address).cast(), end - start) };
    }
}

/// Random bits from the kernel, for the choice of addresses.
///
/// # Errors
/// The kernel's error.
pub fn random_u64() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    pages::random(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const PAGE: usize = HOST_PAGE_BYTES;

    #[test]
    fn a_taken_range_is_not_replaced() {
        let first = Mapping::reserve(PAGE).unwrap();
        let error = Mapping::reserve_at(first.address(), PAGE).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
    }

    #[test]
    fn accessors_refuse_what_lies_outside() {
        let mut mapping = Mapping::reserve(PAGE).unwrap();
        mapping.make_writable(0..PAGE).unwrap();
        mapping.write(8, 7u64.to_le_bytes());
        assert_eq!(u64::from_le_bytes(mapping.read(8)), 7);
        assert!(mapping.bytes_mut(PAGE - 1..PAGE + 1).is_none());
        assert!(mapping.make_writable(0..PAGE + 1).is_err());
    }

    #[test]
    fn no_slice_of_inaccessible_pages() {
        let mut mapping = Mapping::reserve(4 * PAGE).unwrap();
        assert!(mapping.bytes_mut(0..1).is_none());
        mapping.make_writable(PAGE..2 * PAGE).unwrap();
        assert!(mapping.bytes_mut(PAGE - 1..PAGE + 1).is_none());
        assert!(mapping.bytes_mut(2 * PAGE - 1..2 * PAGE + 1).is_none());
        assert!(mapping.writable_ptr(2 * PAGE..3 * PAGE).is_none());
        assert_eq!(mapping.bytes_mut(PAGE..2 * PAGE).unwrap().len(), PAGE);
        assert!(mapping.make_writable(3 * PAGE..4 * PAGE).is_err(), "there would be a gap");
        mapping.make_writable(2 * PAGE..3 * PAGE).unwrap();
        assert_eq!(mapping.bytes_mut(PAGE..3 * PAGE).unwrap(), [0; 2 * PAGE]);
    }

    #[test]
    fn t58_final_pages_stay_final() {
        let mut mapping = Mapping::reserve(4 * PAGE).unwrap();
        let placed = mapping.place_final(0, 5, |bytes| bytes.copy_from_slice(b"hello")).unwrap();
        assert!(mapping.bytes_mut(0..5).is_none());
        for range in [0..1, 0..4 * PAGE, PAGE - 1..PAGE + 1] {
            assert_eq!(mapping.make_writable(range).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        }
        mapping.make_writable(PAGE..2 * PAGE).unwrap();
        mapping.make_final(FinalAccess::ReadExecute).unwrap();
        assert!(mapping.writable_ptr(PAGE..2 * PAGE).is_none());
        assert!(mapping.make_writable(PAGE..2 * PAGE).is_err());
        assert_eq!(placed.as_slice(), b"hello");
    }

    #[test]
    fn bytes_of_a_file_are_read_where_they_lie() {
        let mut file = tempfile::tempfile().unwrap();
        let contents: Vec<u8> = (0..3 * PAGE).map(|at| (at % 251) as u8).collect();
        file.write_all(&contents).unwrap();
        for (from, len) in [(0, 1), (1, PAGE), (PAGE - 1, 2), (PAGE, 2 * PAGE), (3 * PAGE - 1, 1), (5, 0)] {
            let bytes = FileBytes::map(&file, from as u64, len).unwrap();
            assert_eq!(bytes.copy(), contents[from..from + len]);
        }
        assert!(FileBytes::map(&file, 1, usize::MAX).is_err());
        assert!(FileBytes::map(&file, u64::MAX, 1).is_err());
    }

    #[test]
    fn final_bytes_outlive_their_mapping() {
        let mut mapping = Mapping::reserve(2 * PAGE).unwrap();
        let placed = mapping.place_final(0, 5, |bytes| bytes.copy_from_slice(b"hello")).unwrap();
        let empty = mapping.place_final(PAGE, 0, |bytes| assert!(bytes.is_empty())).unwrap();
        drop(mapping);
        assert_eq!(placed.as_slice(), b"hello");
        assert!(empty.as_slice().is_empty());
    }
}
