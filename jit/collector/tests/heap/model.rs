//! What the heap must look like: the objects that the program has, and which of them the candidates reach.

use std::collections::{BTreeMap, BTreeSet};

use wave_collector::{
    ELEMENTS, HEADER, IMMORTAL_CHAIN, Kind, LENGTH, NODE_NEXT, NODE_OBJECT, PAGE_BYTES, PAGE_TABLE, PAGES_IN_USE,
    PageKind, Word, class_of,
};

use crate::machine::{Fault, Machine};

/// The sizes of cells that only the collector knows, from 2 to 32 KiB.
const MEDIUM: [u32; 16] =
    [2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336, 16384, 20480, 24576, 28672, 32768];
/// Where the free list of the first of them begins.
const MEDIUM_LISTS: u32 = 0x50000 + 4 * 28;

/// The size of the cells of each class, and where its free list begins.
fn classes() -> Vec<(u32, u32)> {
    let small = (1..=2048).filter_map(class_of).map(|class| (class.bytes, class.free_list()));
    let mut classes: Vec<_> = small.chain(MEDIUM.into_iter().zip((MEDIUM_LISTS..).step_by(4))).collect();
    classes.dedup();
    classes
}

/// A type, and where its descriptor is.
#[derive(Clone, Debug)]
pub struct Type {
    pub kind: Kind,
    pub at: u32,
}

impl Type {
    /// The bytes of a value; `len` elements if it is an array.
    pub fn bytes(&self, len: u32) -> u32 {
        match self.kind {
            Kind::Struct { bytes, .. } => bytes,
            Kind::Array { log2 } => ELEMENTS + (len << log2),
            Kind::References => ELEMENTS + (len << 2),
        }
    }

    fn is_array(&self) -> bool {
        !matches!(self.kind, Kind::Struct { .. })
    }
}

/// An object as it should be: its type, and its bytes but for the header.
pub struct Object {
    pub shape: usize,
    pub body: Vec<u8>,
}

impl Object {
    pub fn bytes(&self) -> u32 {
        4 + u32::try_from(self.body.len()).expect("an object has at most 4 GiB")
    }

    pub fn word(&self, offset: u32) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.body[offset as usize - 4..][..4]);
        u32::from_le_bytes(bytes)
    }
}

/// The bytes that an object of `bytes` bytes takes.
pub fn room(bytes: u32) -> u32 {
    if let Some(class) = class_of(bytes) {
        return class.bytes;
    }
    MEDIUM.into_iter().find(|size| bytes <= *size).unwrap_or(bytes.next_multiple_of(PAGE_BYTES))
}

/// The program's objects beside the heap that has them.
pub struct Model {
    pub machine: Machine,
    pub types: Vec<Type>,
    /// By offset. Those that the collector may have, as of the last collection.
    pub objects: BTreeMap<u32, Object>,
    pub immortal: BTreeMap<u32, Object>,
    classes: Vec<(u32, u32)>,
    /// Where the runtime puts its next descriptor or immortal object, and the end of its pages.
    free: (u32, u32),
    pub allocated_bytes: u64,
    pub kept_bytes: u64,
    pub freed_objects: u64,
}

impl Model {
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            types: Vec::new(),
            objects: BTreeMap::new(),
            immortal: BTreeMap::new(),
            classes: classes(),
            free: (0, 0),
            allocated_bytes: 0,
            kept_bytes: 0,
            freed_objects: 0,
        }
    }

    /// Room in the runtime's own pages, which grow the heap.
    fn foreign(&mut self, bytes: u32) -> Result<u32, Fault> {
        let bytes = bytes.next_multiple_of(8);
        if self.free.1 - self.free.0 < bytes {
            let pages = bytes.div_ceil(PAGE_BYTES);
            let page = self.machine.grow(pages).ok_or("no room for the runtime")?;
            self.free = (page * PAGE_BYTES, (page + pages) * PAGE_BYTES);
        }
        self.free.0 += bytes;
        Ok(self.free.0 - bytes)
    }

    /// Makes the next foreign object begin in a new page.
    pub fn leave_page(&mut self) {
        self.free = (0, 0);
    }

    pub fn add_type(&mut self, kind: Kind, supertypes: Vec<u32>) -> Result<usize, Fault> {
        let descriptor = wave_collector::Descriptor { kind, supertypes };
        let at = self.foreign(u32::try_from(descriptor.len_bytes()).map_err(|error| error.to_string())?)?;
        self.machine.set_bytes(at, &descriptor.encode(at));
        self.types.push(Type { kind: descriptor.kind, at });
        Ok(self.types.len() - 1)
    }

    /// Adds an immortal object and returns its offset.
    pub fn add_immortal(&mut self, shape: usize, body: Vec<u8>) -> Result<u32, Fault> {
        let object = Object { shape, body };
        let node = self.foreign(NODE_OBJECT + object.bytes())?;
        let at = node + NODE_OBJECT;
        self.machine.set_word(at, self.types[shape].at);
        self.machine.set_bytes(at + 4, &object.body);
        let chain = self.machine.word(IMMORTAL_CHAIN);
        self.machine.set_word(node + NODE_NEXT, chain);
        self.machine.set_word(IMMORTAL_CHAIN, node);
        self.immortal.insert(at, object);
        Ok(at)
    }

    /// Allocates as compiled code does, or by `allocate` only if `slow`. `None` if there is no memory.
    pub fn allocate(&mut self, shape: usize, body: Vec<u8>, slow: bool) -> Result<Option<u32>, Fault> {
        let object = Object { shape, body };
        let (bytes, descriptor) = (object.bytes(), self.types[shape].at);
        let quick = match class_of(bytes).filter(|_| !slow) {
            Some(class) => self.machine.take(class, descriptor)?,
            None => None,
        };
        let before = self.machine.collections();
        let at = match quick {
            Some(at) => at,
            None => self.machine.allocate(descriptor, bytes)?,
        };
        let collected = self.machine.collections() != before;
        if collected {
            self.forget_unreachable();
        }
        if at == 0 {
            self.verify(collected)?;
            return Ok(None);
        }
        self.check_room(at, bytes)?;
        self.machine.set_bytes(at + 4, &object.body);
        self.allocated_bytes += u64::from(bytes);
        if collected {
            self.check_pages_in_use()?;
        }
        self.objects.insert(at, object);
        if collected {
            self.verify(false)?;
        }
        Ok(Some(at))
    }

    pub fn collect(&mut self) -> Result<(), Fault> {
        self.machine.collect()?;
        self.forget_unreachable();
        self.verify(true)
    }

    /// Writes a word of an object, to both.
    pub fn set(&mut self, at: u32, offset: u32, word: u32) {
        self.machine.set_word(at + offset, word);
        let object =
            self.objects.get_mut(&at).or_else(|| self.immortal.get_mut(&at)).expect("only objects are written to");
        object.body[offset as usize - 4..][..4].copy_from_slice(&word.to_le_bytes());
    }

    /// The offsets of an object's references.
    pub fn references(&self, object: &Object) -> Vec<u32> {
        match &self.types[object.shape].kind {
            Kind::Struct { references, .. } => references.clone(),
            Kind::Array { .. } => Vec::new(),
            Kind::References => (0..object.word(LENGTH)).map(|index| ELEMENTS + 4 * index).collect(),
        }
    }

    /// The end of an array.
    pub fn end(&self, at: u32) -> Option<u32> {
        let object = self.objects.get(&at)?;
        let shape = &self.types[object.shape];
        shape.is_array().then(|| at + shape.bytes(object.word(LENGTH)))
    }

    /// The object whose cell has the byte at `word`.
    fn containing(&self, word: u32) -> Option<u32> {
        let (at, object) = self.objects.range(..=word).next_back()?;
        (word - at < room(object.bytes())).then_some(*at)
    }

    /// The objects that a collection must keep, and may: what the candidates and the immortal objects reach.
    fn reachable(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut pending = Vec::new();
        for word in self.machine.candidates() {
            pending.extend(self.containing(*word));
            if let Some(before) = word.checked_sub(1).and_then(|before| self.containing(before)) {
                pending.extend((self.end(before) == Some(*word)).then_some(before));
            }
        }
        let targets = |object: &Object, pending: &mut Vec<u32>| {
            for offset in self.references(object) {
                if let Some(Word::Object(target)) = Word::from_bits(object.word(offset)) {
                    pending.push(target);
                }
            }
        };
        for object in self.immortal.values() {
            targets(object, &mut pending);
        }
        while let Some(at) = pending.pop() {
            if let Some(object) = self.objects.get(&at)
                && found.insert(at)
            {
                targets(object, &mut pending);
            }
        }
        found
    }

    fn forget_unreachable(&mut self) {
        let keep = self.reachable();
        let before = self.objects.len();
        self.objects.retain(|at, _| keep.contains(at));
        self.freed_objects += (before - self.objects.len()) as u64;
        self.kept_bytes = self.objects.values().map(|object| u64::from(object.bytes())).sum();
    }

    /// Whether a new object of `bytes` bytes at `at` takes nothing from another.
    fn check_room(&self, at: u32, bytes: u32) -> Result<(), Fault> {
        let room = room(bytes);
        if !at.is_multiple_of(8)
            || at < 9 * PAGE_BYTES
            || u64::from(at) + u64::from(room) > u64::from(self.machine.pages()) << 16
        {
            return Err(format!("{bytes} bytes were allocated at {at:#x}"));
        }
        let before =
            self.objects.range(..=at).next_back().filter(|(other, object)| at - **other < self::room(object.bytes()));
        let after = self.objects.range(at..).next().filter(|(other, _)| **other - at < room);
        match before.or(after) {
            Some((other, object)) => {
                Err(format!("{bytes} bytes at {at:#x} overlap the {} bytes at {other:#x}", object.bytes()))
            }
            None => Ok(()),
        }
    }

    fn kind(&self, page: u32) -> Result<PageKind, Fault> {
        let entry = self.machine.word(PAGE_TABLE + 4 * page);
        [PageKind::Foreign, PageKind::Cells, PageKind::First, PageKind::Later, PageKind::Free]
            .into_iter()
            .find(|kind| *kind as u32 == entry & 0xff)
            .ok_or_else(|| format!("page {page} has the entry {entry:#x}"))
    }

    fn check_pages_in_use(&self) -> Result<(), Fault> {
        let mut pages = BTreeSet::new();
        for (at, object) in &self.objects {
            pages.extend(at / PAGE_BYTES..=(at + object.bytes() - 1) / PAGE_BYTES);
        }
        let says = self.machine.word(PAGES_IN_USE);
        (says as usize == pages.len()).then_some(()).ok_or_else(|| format!("{says} pages in use, not {}", pages.len()))
    }

    /// Whether the heap has these objects and no others, each as it should be, and all other cells are free. `just`: a collection was the
    /// last that happened.
    pub fn verify(&self, just: bool) -> Result<(), Fault> {
        if just {
            self.check_pages_in_use()?;
        }
        for (at, object) in &self.immortal {
            self.check_object(*at, object)?;
        }
        let mut expected = self.objects.iter().peekable();
        let mut free = vec![false; self.machine.pages() as usize * PAGE_BYTES as usize / 8];
        let mut page = 9;
        while page < self.machine.pages() {
            let start = page * PAGE_BYTES;
            match self.kind(page)? {
                PageKind::Foreign | PageKind::Free => {}
                PageKind::Later => return Err(format!("page {page} continues no object")),
                PageKind::Cells => {
                    let bytes = self.cell_bytes(page)?;
                    for cell in (start..=start + PAGE_BYTES - bytes).step_by(bytes as usize) {
                        if self.machine.word(cell + HEADER) == 0 {
                            free[cell as usize / 8] = true;
                        } else {
                            self.check_next(&mut expected, cell, bytes)?;
                        }
                    }
                }
                PageKind::First => {
                    let first = page;
                    while page + 1 < self.machine.pages() && self.kind(page + 1)? == PageKind::Later {
                        page += 1;
                        let distance = self.machine.word(PAGE_TABLE + 4 * page) >> 8;
                        if distance != page - first {
                            return Err(format!("page {page} is {distance} after {first}"));
                        }
                    }
                    self.check_next(&mut expected, start, (page + 1 - first) * PAGE_BYTES)?;
                }
            }
            page += 1;
        }
        if let Some((at, _)) = expected.next() {
            return Err(format!("the object at {at:#x} is gone"));
        }
        self.check_lists(free)
    }

    fn cell_bytes(&self, page: u32) -> Result<u32, Fault> {
        let class = self.machine.word(PAGE_TABLE + 4 * page) >> 8 & 0xff;
        let class = self.classes.get(class as usize).ok_or_else(|| format!("page {page} has the class {class}"))?;
        Ok(class.0)
    }

    fn check_next<'a>(
        &self,
        expected: &mut impl Iterator<Item = (&'a u32, &'a Object)>,
        at: u32,
        bytes: u32,
    ) -> Result<(), Fault> {
        match expected.next() {
            Some((expected, object)) if *expected == at && room(object.bytes()) == bytes => {
                self.check_object(at, object)
            }
            Some((expected, object)) => Err(format!(
                "{bytes} bytes in use at {at:#x}; the next object has {} and is at {expected:#x}",
                object.bytes()
            )),
            None => Err(format!("{bytes} bytes in use at {at:#x}, where no object is")),
        }
    }

    fn check_object(&self, at: u32, object: &Object) -> Result<(), Fault> {
        let header = self.machine.word(at + HEADER);
        if header != self.types[object.shape].at {
            return Err(format!("the object at {at:#x} has the header {header:#x}"));
        }
        if self.machine.bytes(at + 4, object.body.len()) != object.body {
            return Err(format!("the object at {at:#x} has changed"));
        }
        Ok(())
    }

    /// Whether each free cell is in the list of its class, once.
    fn check_lists(&self, mut free: Vec<bool>) -> Result<(), Fault> {
        for (bytes, list) in &self.classes {
            let mut cell = self.machine.word(*list);
            while cell != 0 {
                // Cells are aligned to 8.
                if !free.get_mut(cell as usize / 8).is_some_and(std::mem::take) {
                    return Err(format!("the list of {bytes} bytes has {cell:#x}, which is not free, or twice"));
                }
                if self.cell_bytes(cell / PAGE_BYTES)? != *bytes {
                    return Err(format!("the list of {bytes} bytes has {cell:#x} of another class"));
                }
                cell = self.machine.word(cell + 4);
            }
        }
        match free.iter().position(|free| *free) {
            Some(cell) => Err(format!("the free cell {:#x} is in no list", 8 * cell)),
            None => Ok(()),
        }
    }
}
