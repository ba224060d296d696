//! Linear memory: a reservation that no 32-bit access can leave. Its first bytes are accessible.

use crate::low_addresses::{HIGH_WINDOW, LowAddresses};
use crate::mapping::{HOST_PAGE_BYTES, LARGE_PAGE_BYTES, Mapping};
use std::io;
use std::ops::Range;
use wave_contract::MEMORY_RESERVATION_BYTES;
use wave_contract::types::MemoryType;

/// Addresses of the base in mode fixed: low enough to fit a displacement.
const LOW_WINDOW: Range<usize> = 0x4000_0000..0x7000_0000;

/// Where the base of a memory is to be in mode fixed. The reservations of two memories do not fit below 2 GiB, but one can begin there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Where it fits a displacement, if there is place.
    Low,
    /// Above.
    High,
}

/// One linear memory. Its base never moves.
#[derive(Debug)]
pub struct LinearMemory {
    mapping: Mapping,
    ty: MemoryType,
    pages: u64,
    max_pages: u64,
}

/// Why a memory could not be created.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The initial size exceeds the limit.
    #[error("module needs {needed} bytes of memory, the limit is {limit}")]
    Limit {
        /// Its initial size.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The address space could not be reserved.
    #[error("cannot reserve address space for linear memory")]
    Reserve(#[source] io::Error),
}

impl LinearMemory {
    /// Reserves a memory of type `ty`. It never grows past `limit_bytes`, of which other memories use `used_bytes` already.
    ///
    /// Reservation and guard are the same for a memory of zero pages (T51).
    pub fn new(
        ty: MemoryType,
        limit_bytes: u64,
        used_bytes: u64,
        base: Base,
        addresses: Option<&mut LowAddresses>,
    ) -> Result<Self, MemoryError> {
        let needed = ty.min_bytes().saturating_add(used_bytes);
        if needed > limit_bytes || ty.min_pages > ty.most_pages() {
            let most = used_bytes.saturating_add(ty.most_pages() << ty.page_log2);
            return Err(MemoryError::Limit { needed, limit: limit_bytes.min(most) });
        }
        let len = MEMORY_RESERVATION_BYTES as usize;
        // The start is inside the window; the reservation itself may end far above it.
        let mapping = match (addresses, base) {
            (Some(addresses), Base::Low) => addresses.reserve(&LOW_WINDOW, len),
            (Some(addresses), Base::High) => addresses.reserve(&HIGH_WINDOW, len),
            (None, _) => Mapping::reserve(len),
        };
        let mut memory = Self {
            mapping: mapping.map_err(MemoryError::Reserve)?,
            ty,
            pages: 0,
            max_pages: ty.most_pages().min((limit_bytes - used_bytes) >> ty.page_log2),
        };
        memory.resize(ty.min_pages).map_err(MemoryError::Reserve)?;
        Ok(memory)
    }

    fn resize(&mut self, pages: u64) -> io::Result<()> {
        let host_pages = |pages: u64| ((pages << self.ty.page_log2) as usize).next_multiple_of(HOST_PAGE_BYTES);
        let len = host_pages(pages);
        if len > host_pages(self.pages) {
            // Always from the base, although the first part is accessible already: so the syscall filter can allow a single
            // address.
            self.mapping.make_writable(0..len)?;
        }
        self.pages = pages;
        Ok(())
    }

    /// Grows by `delta` pages and returns the old size in pages, or `None` past the maximum, by more than `room_bytes`, or when
    /// the kernel refuses.
    ///
    /// Source: WebAssembly Core 2.0, `memory.grow`.
    pub fn grow(&mut self, delta: u32, room_bytes: u64) -> Option<u32> {
        let old = self.pages;
        let new = old.checked_add(u64::from(delta)).filter(|new| *new <= self.max_pages)?;
        // Code passes `u32::MAX` for all that 32 bits cannot hold.
        if delta == u32::MAX || u64::from(delta) << self.ty.page_log2 > room_bytes {
            return None;
        }
        if delta > 0 {
            self.resize(new).ok()?;
        }
        u32::try_from(old).ok()
    }

    /// Asks for large pages for a range that is about to be written, as far as memory is accessible around it.
    pub fn prefer_large_pages(&mut self, range: Range<usize>) {
        let base = self.mapping.address();
        let start = (base + range.start) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
        let end = (base + range.end).next_multiple_of(LARGE_PAGE_BYTES).min(base + self.len_bytes() as usize);
        self.mapping.prefer_large_pages(start.saturating_sub(base)..end - base);
    }

    /// Current size in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.pages << self.ty.page_log2
    }

    /// Address of byte 0.
    pub fn base(&self) -> u64 {
        self.mapping.address() as u64
    }

    /// Every address that an access can compute.
    pub fn reservation(&self) -> Range<usize> {
        self.mapping.range()
    }

    /// Bytes that it can grow to if it may grow by `room_bytes`: the part of the reservation whose access may still change. 0 if
    /// it cannot grow.
    pub fn growable_bytes(&self, room_bytes: u64) -> u64 {
        let most = self.max_pages.min(self.pages + (room_bytes >> self.ty.page_log2));
        let bytes = (most << self.ty.page_log2).next_multiple_of(HOST_PAGE_BYTES as u64);
        if most > self.pages { bytes } else { 0 }
    }

    /// Its type for import matching: the current size is the minimum.
    pub fn current_type(&self) -> MemoryType {
        MemoryType { min_pages: self.pages, ..self.ty }
    }

    /// Address ranges of the fields that change when it grows: its size, and the writable pages of its mapping.
    pub fn size_fields(&self) -> [Range<usize>; 2] {
        [crate::inspect::of(&self.pages), self.mapping.writable_field()]
    }

    /// The number of 32 bits at an offset, if all of it is accessible.
    pub fn word_at(&self, at: u32) -> Option<u32> {
        (u64::from(at) + 4 <= self.len_bytes()).then(|| u32::from_le_bytes(self.mapping.read(at as usize)))
    }

    /// The accessible bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.len_bytes() as usize;
        self.mapping.bytes_mut(0..len).expect("`resize` made this much writable")
    }
}
