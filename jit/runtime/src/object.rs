//! The heap: descriptors of types, the objects that constants are, and what the collector asks for.
//!
//! The heap is the guest's. Nothing that is read from it is relied upon: an offset is looked up as any index of a linear memory, and the
//! collector is code of the guest's instance. See [`wave_contract::object`].

use crate::libcalls::{STEP_ENTRIES, in_steps, range};
use crate::link::LinkError;
use crate::memory::{Base, LinearMemory};
use crate::store::{Inner, Store};
use crate::trap::Trap;
use crate::value::Value;
use std::collections::HashMap;
use std::ops::Range;
use wave_contract::collector::{
    Descriptor, ELEMENTS, FIRST_PAGES, HEADER, IMMORTAL_CHAIN, LENGTH, NODE_NEXT, NODE_OBJECT, PAGE_BYTES, Word,
};
use wave_contract::context::MEMORY_LEN;
use wave_contract::module::{ConstOp, ModuleInfo};
use wave_contract::object::{ArrayLayout, HEAP, StructLayout, describe, size};
use wave_contract::types::{CompositeType, FieldType, Hierarchy, SignatureId, StorageType, TypeIds, ValType};

/// The heap of a store.
#[derive(Debug)]
pub struct Heap {
    /// Number of its memory in the store.
    memory: usize,
    /// Offset of the descriptor of each type.
    descriptors: HashMap<SignatureId, u32>,
    /// What is left of the pages that the runtime has taken for itself.
    free: Range<u32>,
    /// What the collector has not fetched yet.
    roots: Vec<u32>,
}

/// What a reference to an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// `i31`: a number.
    I31,
    /// Something of the host.
    Host,
    /// A structure.
    Struct,
    /// An array.
    Array,
}

impl Heap {
    /// All that is in the heap: its words, of which some may be handles of exceptions.
    pub fn words<'a>(&self, memories: &'a [(LinearMemory, u32)]) -> impl Iterator<Item = u32> + use<'a> {
        let memory = &memories[self.memory].0;
        (HEAP_BYTES..=u32::MAX - 3).step_by(4).map_while(|at| memory.word_at(at))
    }
}

impl<T> Store<T> {
    /// What an `anyref` or `externref` is. `None` for null and for other values. What faulty code has made up is anything.
    #[must_use]
    pub fn object_kind(&self, value: Value) -> Option<ObjectKind> {
        self.inner().object_kind(value)
    }
}

/// The types of a module.
#[derive(Clone, Copy)]
pub struct Types<'a> {
    pub info: &'a ModuleInfo,
    pub ids: &'a [TypeIds],
}

impl Inner {
    /// Number in the store of the memory that is the heap. It exists from the first module on that has one.
    pub fn heap_memory(&mut self, base: Base) -> Result<usize, LinkError> {
        if let Some(heap) = &self.heap {
            return Ok(heap.memory);
        }
        let memory = self.new_memory(HEAP, base)?;
        self.heap = Some(Heap { memory, descriptors: HashMap::new(), free: 0..0, roots: Vec::new() });
        Ok(memory)
    }

    fn heap_bytes(&mut self) -> &mut [u8] {
        match &self.heap {
            Some(heap) => self.memories[heap.memory].0.bytes_mut(),
            None => &mut [],
        }
    }

    fn heap_word(&self, at: u32) -> Option<u32> {
        self.memories[self.heap.as_ref()?.memory].0.word_at(at)
    }

    fn write_heap(&mut self, at: u32, bytes: &[u8]) {
        let at = at as usize;
        if let Some(to) = self.heap_bytes().get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }

    /// Takes so many zeroed bytes of the heap for good: a multiple of 8.
    fn take_heap(&mut self, bytes: u32) -> Result<u32, LinkError> {
        let full = LinkError::HeapFull;
        let Some(Heap { memory, free, .. }) = &self.heap else { return Err(full) };
        let (memory, mut free) = (*memory, free.clone());
        if (free.len() as u32) < bytes {
            let pages = bytes.div_ceil(PAGE_BYTES);
            let room = self.memory_room_bytes();
            let (of, descriptor) = &mut self.memories[memory];
            let start = u64::from(of.grow(pages, room).ok_or(full)?) * u64::from(PAGE_BYTES);
            self.arena.write_u64(*descriptor + MEMORY_LEN, of.len_bytes());
            let end = of.len_bytes();
            let start = if start == u64::from(free.end) && !free.is_empty() { u64::from(free.start) } else { start };
            // The last page is left alone, so that no offset is 2^32.
            let offset = |at: u64| u32::try_from(at).map_err(|_| LinkError::HeapFull);
            free = offset(start)?..offset(end)?;
        }
        let at = free.start;
        free.start += bytes;
        if let Some(heap) = &mut self.heap {
            heap.free = free;
        }
        Ok(at)
    }

    /// Offset of the descriptor of a module's type. It is made when it is first asked for.
    pub fn descriptor(&mut self, types: Types<'_>, ty: u32) -> Result<u32, LinkError> {
        // Types are subtypes of earlier ones: this ends.
        let above = std::iter::successors(Some(ty), |ty| types.info.types.get(*ty as usize)?.supertype);
        let mut chain: Vec<u32> = above.collect();
        chain.reverse();
        let mut offsets = Vec::with_capacity(chain.len());
        for ty in chain {
            let index = ty as usize;
            let (Some(ty), Some(ids)) = (types.info.types.get(index), types.ids.get(index)) else { continue };
            let known = self.heap.as_ref().and_then(|heap| heap.descriptors.get(&ids.exact).copied());
            let offset = match (known, describe(types.info, ty, offsets.clone())) {
                (Some(offset), _) => offset,
                (None, None) => continue,
                (None, Some(descriptor)) => {
                    let bytes = u32::try_from(descriptor.len_bytes()).map_err(|_| LinkError::HeapFull)?;
                    let offset = self.take_heap(bytes)?;
                    self.write_heap(offset, &descriptor.encode(offset));
                    if let Some(heap) = &mut self.heap {
                        heap.descriptors.insert(ids.exact, offset);
                    }
                    offset
                }
            };
            offsets.push(offset);
        }
        offsets.pop().ok_or(LinkError::HeapFull)
    }

    /// Executes an instruction of a constant expression that is about objects.
    pub fn constant_object(&mut self, op: ConstOp, stack: &mut Vec<u128>, types: Types<'_>) -> Result<(), LinkError> {
        let (ty, count) = match op {
            ConstOp::RefI31 => {
                let number = low_u32(stack.pop().unwrap_or(0));
                stack.push(u128::from(Word::small(number.cast_signed()).to_bits()));
                return Ok(());
            }
            ConstOp::Descriptor(ty) => {
                let offset = self.descriptor(types, ty)?;
                stack.push(u128::from(offset));
                return Ok(());
            }
            ConstOp::StructNew(ty) | ConstOp::StructNewDefault(ty) => (ty, 0),
            ConstOp::ArrayNew(ty) | ConstOp::ArrayNewDefault(ty) => (ty, low_u32(stack.pop().unwrap_or(0))),
            ConstOp::ArrayNewFixed(ty, count) => (ty, count),
            _ => return Ok(()),
        };
        let object = match types.info.types.get(ty as usize).map(|ty| &ty.composite) {
            Some(CompositeType::Struct(fields)) => {
                let layout = StructLayout::new(fields);
                let object = self.constant(types, ty, layout.size)?;
                if matches!(op, ConstOp::StructNew(_)) {
                    for (field, offset) in fields.iter().zip(&layout.fields).rev() {
                        self.constant_field(types, *field, object + offset, stack.pop().unwrap_or(0));
                    }
                }
                object
            }
            Some(CompositeType::Array(element)) => {
                let layout = ArrayLayout::new(*element);
                let bytes = layout.size(count).ok_or(LinkError::HeapFull)?;
                let array = self.constant(types, ty, bytes)?;
                self.write_heap(array + LENGTH, &count.to_le_bytes());
                let value = if matches!(op, ConstOp::ArrayNew(_)) { stack.pop() } else { None };
                if value.is_some() || matches!(op, ConstOp::ArrayNewFixed(..)) {
                    for index in (0..count).rev() {
                        let value = value.or_else(|| stack.pop()).unwrap_or(0);
                        self.constant_field(types, *element, array + ELEMENTS + (index << layout.log2), value);
                    }
                }
                array
            }
            _ => return Err(LinkError::HeapFull),
        };
        stack.push(u128::from(object));
        Ok(())
    }

    /// A zeroed object that stays, of so many bytes.
    fn constant(&mut self, types: Types<'_>, ty: u32, bytes: u32) -> Result<u32, LinkError> {
        let descriptor = self.descriptor(types, ty)?;
        let node = self.take_heap(bytes.checked_add(NODE_OBJECT).ok_or(LinkError::HeapFull)?)?;
        let next = self.heap_word(IMMORTAL_CHAIN).unwrap_or(0);
        self.write_heap(node + NODE_NEXT, &next.to_le_bytes());
        self.write_heap(IMMORTAL_CHAIN, &node.to_le_bytes());
        let object = node + NODE_OBJECT;
        self.write_heap(object + HEADER, &descriptor.to_le_bytes());
        Ok(object)
    }

    fn constant_field(&mut self, types: Types<'_>, field: FieldType, at: u32, value: u128) {
        if let StorageType::Value(ty) = field.storage
            && types.info.hierarchy(ty) == Some(Hierarchy::Func)
        {
            // Code can read it from now on.
            self.share(low_u32(value));
        }
        self.write_heap(at, &value.to_le_bytes()[..size(field.storage) as usize]);
    }

    /// Copies references of an element segment to an array.
    pub fn array_init(&mut self, instance: usize, segment: u32, to: u32, from: u32, len: u32) -> Result<(), Trap> {
        let of = &self.instances[instance];
        let all = of.elements.get(segment as usize).map_or(0, Vec::len);
        let source = range(from, len, all).ok_or(Trap::TableOutOfBounds)?;
        let ty = of.info.elements.get(segment as usize).map(|segment| segment.element);
        let are_functions = ty.and_then(|ty| of.info.hierarchy(ty)) == Some(Hierarchy::Func);
        let bytes = self.heap_bytes().len();
        let size = len.checked_mul(4).ok_or(Trap::MemoryOutOfBounds)?;
        let to = range(to, size, bytes).ok_or(Trap::MemoryOutOfBounds)?.start;
        let mut part = Vec::new();
        let mut steps = Vec::new();
        in_steps(source.len(), STEP_ENTRIES, false, |step| steps.push(step));
        for step in steps {
            part.clear();
            let of = &self.instances[instance].elements[segment as usize];
            part.extend_from_slice(&of[source.start + step.start..source.start + step.end]);
            if are_functions {
                part.iter().for_each(|reference| self.share(*reference));
            }
            let to = to + 4 * step.start;
            for (to, reference) in self.heap_bytes()[to..].chunks_exact_mut(4).zip(&part) {
                to.copy_from_slice(&reference.to_le_bytes());
            }
        }
        Ok(())
    }

    /// Writes what may refer to objects from outside of the heap to the heap itself, at most `count` words, and says how many there
    /// were. With `restart`, from the first on. `sp` is the address of the innermost frame of the guest's code.
    pub fn roots(&mut self, restart: bool, to: u32, count: u32, sp: usize) -> Result<u32, Trap> {
        if restart {
            let found = self.find_roots(sp);
            if let Some(heap) = &mut self.heap {
                heap.roots = found;
            }
        }
        let Some(heap) = &mut self.heap else { return Ok(0) };
        let rest = heap.roots.len().saturating_sub(count as usize);
        let part = heap.roots.split_off(rest);
        let bytes = self.memories[heap.memory].0.bytes_mut();
        let size = u32::try_from(4 * part.len()).map_err(|_| Trap::MemoryOutOfBounds)?;
        let to = range(to, size, bytes.len()).ok_or(Trap::MemoryOutOfBounds)?;
        for (to, word) in bytes[to].chunks_exact_mut(4).zip(&part) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        Ok(part.len() as u32)
    }

    fn find_roots(&self, sp: usize) -> Vec<u32> {
        let Some(memory) = self.heap.as_ref().map(|heap| &self.memories[heap.memory].0) else { return Vec::new() };
        let (base, len) = (memory.base(), memory.len_bytes());
        let mut found = Vec::new();
        // Nothing is an object before that: so the upper halves of addresses are never passed on. An object may end where the heap does.
        let mut look = |word: u64| {
            if (u64::from(HEAP_BYTES)..=len).contains(&word) {
                found.extend(u32::try_from(word));
            }
        };
        for address in (sp..self.stack.top()).step_by(8) {
            let word = self.stack.word_at(address).unwrap_or(0) as u64;
            look(word & u64::from(u32::MAX));
            look(word >> 32);
            // Code may keep the address in place of the offset.
            look(word.wrapping_sub(base));
        }
        let is_object = |ty: ValType| {
            let hierarchy = ty.as_reference().and_then(|ty| self.signatures.hierarchy(ty.heap));
            matches!(hierarchy, Some(Hierarchy::Any | Hierarchy::Extern))
        };
        for global in self.globals.iter().filter(|global| is_object(global.ty.content)) {
            look(u64::from(low_u32(self.arena.read_slot(global.cell))));
        }
        for table in self.tables.iter().filter(|table| is_object(table.current_type().element)) {
            table.references(0..table.len() as usize).iter().for_each(|word| look(u64::from(*word)));
        }
        for instance in &self.instances {
            for (segment, references) in instance.info.elements.iter().zip(&instance.elements) {
                if instance.info.hierarchy(segment.element) != Some(Hierarchy::Func) {
                    references.iter().for_each(|word| look(u64::from(*word)));
                }
            }
        }
        self.exceptions.words().for_each(|word| look(u64::from(word)));
        found
    }

    pub fn object_kind(&self, value: Value) -> Option<ObjectKind> {
        let word = match value {
            Value::AnyRef(word) => word,
            Value::ExternRef(Some(_)) => return Some(ObjectKind::Host),
            _ => return None,
        };
        match Word::from_bits(word)? {
            Word::Null => None,
            Word::Small(_) => Some(ObjectKind::I31),
            Word::Host(_) => Some(ObjectKind::Host),
            Word::Object(object) => {
                let kind = self.heap_word(self.heap_word(object)?.wrapping_add(Descriptor::KIND))?;
                Some(if kind == 0 { ObjectKind::Struct } else { ObjectKind::Array })
            }
        }
    }

    /// The type that an object says that it has.
    pub fn object_type(&self, word: u32) -> Option<SignatureId> {
        let descriptor = self.heap_word(word)?;
        let known = self.heap.as_ref()?.descriptors.iter().find(|(_, offset)| **offset == descriptor);
        known.map(|(id, _)| *id)
    }

    /// Address ranges of the list of roots.
    pub fn heap_fields(&self) -> [Range<usize>; 2] {
        use crate::inspect::{of, of_slice};
        self.heap.as_ref().map_or([0..0, 0..0], |heap| [of(&heap.roots), of_slice(&heap.roots)])
    }
}

const fn low_u32(bits: u128) -> u32 {
    bits as u32
}

/// Size of the heap before anything is in it: no object lies there.
const HEAP_BYTES: u32 = FIRST_PAGES * PAGE_BYTES;
