//! The garbage collector for WebAssembly's structs and arrays, and the layout of the heap that it collects.
//!
//! The collector is a WebAssembly module ([`MODULE`], from `collector.wat`). It is compiled and verified like the guest's own code, so it
//! is not trusted: whatever it does wrong stays in the heap, which is a linear memory. Nothing else of this crate runs with the guest. It
//! tells compiler and runtime where things lie.
//!
//! The heap is one 32-bit linear memory per store. It holds no address. A reference of the `any` or `extern` hierarchy is a [`Word`] of
//! 32 bits. References of the `func` and `exn` hierarchies are handles in tables of the runtime; the collector takes them for numbers.
//!
//! # Objects
//!
//! | offset | what |
//! |---|---|
//! | +0 | header: the offset of the [`Descriptor`]. Bit 0 is the mark, set only while a collection runs. 0 = free cell |
//! | +4 | struct: the first field. Array: the length in elements |
//! | +8 | array: the first element |
//!
//! Fields have natural alignment, but for `v128`, which is aligned to 8, and follow in the order of their declaration. Elements have
//! 1, 2, 4, 8 or 16 bytes.
//!
//! # Pages
//!
//! The collector has its own pages of 64 KiB ([`PageKind`]). In a page of small cells all cells are of one [`Class`]. An object of more
//! than 32 KiB has pages of its own. Objects in between share pages, too, in classes that only the collector knows. Pages that the runtime
//! adds to the heap, for descriptors and immortal objects, are foreign: they may lie between the collector's, and are never freed.
//!
//! # The module
//!
//! It defines the memory `heap` and imports one function:
//!
//! - `"wave" "roots" (restart: i32, buffer: i32, words: i32) -> i32` writes at most `words` words to the heap at `buffer`, and returns how
//!   many; 0 if there are no more. `restart` is 1 if it shall begin with the first again. The words are those found on the stack, in
//!   globals and in tables. Each may be anything: a reference, an address inside of an object, the end of an array, or a number.
//!
//! It exports
//!
//! - `allocate(descriptor: i32, bytes: i32) -> i32`: an object of `bytes` bytes, unsigned, header included. The header is written. The
//!   other bytes are undefined, and must be written before anything else is allocated. 0 if there is no memory, even after a collection.
//! - `collect()`: frees all objects that no root reaches.
//!
//! Compiled code may take the first cell of a free list itself ([`Class::free_list`]) and call `allocate` only if there is none.
//!
//! # When it collects
//!
//! When `allocate` needs pages, and since the last collection as many were taken as were in use after it, and at least 64; or when the heap
//! cannot grow. A collection marks from the roots and from immortal objects, with a mark stack of 30,720 entries, and then sweeps all
//! pages. Pages without a live object can be used for anything again. The heap never shrinks.
//!
//! # A corrupt heap
//!
//! Verified code that is wrong can write nonsense to the heap, the page table included. A collection then does something wrong, too, in the
//! heap. It ends or traps all the same: a reference counts only where a cell begins, an object ends with its cell whatever its length says,
//! the chain of immortal objects has at most as many nodes as fit into the heap, and no loop follows pointers but the one along that chain.
//! Its time is linear in the heap, with two exceptions. The end of an immortal object is known to its type alone, so with wrong types each can
//! cost as much as the whole heap. And a graph that overflows the mark stack again and again, which any guest can build, costs at most one
//! pass over the pages concerned for every 30,720 objects.
//!
//! A collection that traps, or is interrupted, leaves marks in headers. A store whose collection did not end must not be used again.

#![forbid(unsafe_code)]

mod descriptor;
mod word;

pub use descriptor::{Descriptor, Kind};
pub use word::Word;

/// The collector, in the binary format.
pub const MODULE: &[u8] = include_bytes!("collector.wasm");

/// The bytes of a page of linear memory.
pub const PAGE_BYTES: u32 = 1 << 16;
/// The pages that the heap has at the beginning: null and fixed places, page table, the collector's own.
pub const FIRST_PAGES: u32 = 9;
/// The bytes at the beginning that are never used, so that no object has a small offset.
pub const NULL_BYTES: u32 = 64;
/// Where the chain of immortal objects begins: the offset of the first node, 0 = none. The runtime writes it.
pub const IMMORTAL_CHAIN: u32 = 64;
/// In a node of the chain, where the offset of the next node is. Nodes are aligned to 8.
pub const NODE_NEXT: u32 = 0;
/// In a node of the chain, where the object begins.
pub const NODE_OBJECT: u32 = 8;
/// How many pages are in use, as of the last collection.
pub const PAGES_IN_USE: u32 = 72;
/// How many collections there were, modulo 2^32.
pub const COLLECTIONS: u32 = 104;
/// Where the free lists begin. See [`Class::free_list`].
pub const FREE_LISTS: u32 = 128;
/// The page table: a word for each page, whose lowest 3 bits are a [`PageKind`].
pub const PAGE_TABLE: u32 = PAGE_BYTES;

/// In an object, where its header is: the offset of its descriptor.
pub const HEADER: u32 = 0;
/// In a struct, where the first field is, unless it needs more alignment.
pub const FIELDS: u32 = 4;
/// In an array, where its length in elements is.
pub const LENGTH: u32 = 4;
/// In an array, where the elements begin.
pub const ELEMENTS: u32 = 8;
/// In a free cell, where the offset of the next free cell is; 0 = none. Its header is 0.
pub const NEXT_FREE: u32 = 4;

/// What a page is, in bits 2:0 of its word in the page table. The other bits are the collector's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum PageKind {
    /// The runtime's, or not there.
    Foreign = 0,
    /// Cells of one class, which is in bits 15:8.
    Cells = 1,
    /// The first page of a large object.
    First = 2,
    /// A later page of a large object. Bits 31:8 are the distance to the first.
    Later = 3,
    /// A free page of the collector's.
    Free = 4,
}

/// A size of cells. Each has a free list, from which compiled code takes cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its number, less than [`CLASSES`].
    pub index: u32,
    /// The bytes of a cell.
    pub bytes: u32,
}

/// How many classes there are for compiled code.
pub const CLASSES: u32 = 28;

const SIZES: [u32; CLASSES as usize] = [
    8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280,
    1536, 1792, 2048,
];

impl Class {
    /// Where its free list begins: the offset of the first free cell, 0 = none.
    #[must_use]
    pub const fn free_list(self) -> u32 {
        FREE_LISTS + 4 * self.index
    }
}

/// The class of an object of `bytes` bytes, header included. `None` if it is larger than a cell of any class: then only `allocate` can
/// allocate it.
///
/// ```
/// assert_eq!(wave_collector::class_of(20).map(|class| class.bytes), Some(24));
/// assert_eq!(wave_collector::class_of(2048).map(|class| class.free_list()), Some(128 + 4 * 27));
/// assert_eq!(wave_collector::class_of(2049), None);
/// ```
#[must_use]
pub const fn class_of(bytes: u32) -> Option<Class> {
    let mut index = 0;
    while index < CLASSES {
        let size = SIZES[index as usize];
        if bytes <= size {
            return Some(Class { index, bytes: size });
        }
        index += 1;
    }
    None
}

/// How many parameters and results each of the module's functions has, in order, without the one that it imports. All are `i32`.
pub const FUNCTIONS: &[(usize, usize)] = &[
    (1, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (3, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (2, 1),
    (1, 0),
    (1, 1),
    (0, 0),
    (1, 1),
    (1, 0),
    (2, 1),
    (1, 0),
    (0, 0),
    (0, 0),
    (2, 0),
    (0, 0),
    (0, 0),
    (2, 0),
    (0, 0),
    (0, 0),
];
/// Which of them is `allocate`.
pub const ALLOCATE: u32 = 10;
