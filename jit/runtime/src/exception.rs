//! Exceptions: what was thrown and may still be caught.
//!
//! Guests hold exceptions by handle. Nobody counts references: when there are many exceptions, those are dropped whose
//! handle is in no global, no table, no other exception, and nowhere on the guest's stack. A number on the stack that
//! happens to equal a handle keeps an exception alive, which costs only memory. A handle that is found wrong, or made up by
//! faulty code, stands for another exception or none: what a tag's exceptions carry is of the tag's types in any case.

use crate::stack::GuestStack;
use crate::store::Inner;
use crate::trap::Trap;
use std::iter;
use wave_contract::abi::{EXCEPTION, SLOT_BYTES};
use wave_contract::types::{SignatureId, ValType};

/// Maximum number of exceptions that exist at once.
const MAX_EXCEPTIONS: usize = 1 << 16;

/// Maximum number of values that all exceptions carry together.
const MAX_VALUES: usize = 1 << 20;

/// The number of exceptions from which on unreachable ones are looked for.
const FIRST_COLLECTION: usize = 4096;

/// Handles count from here: few numbers that are no handles look like them.
const FIRST_HANDLE: u32 = 0xe7c0_0000;

/// Calls that are remembered of where an exception was thrown.
const MAX_CALLS: usize = 32;

/// Values for which an unused exception keeps its memory.
const KEPT_VALUES: usize = 4;

/// A tag: what tells exceptions apart.
#[derive(Debug)]
pub struct Tag {
    /// Its type, for import matching.
    pub signature: SignatureId,
    /// What its exceptions carry.
    pub values: Box<[ValType]>,
    /// What messages call it.
    pub name: String,
}

/// All exceptions of a store.
#[derive(Debug)]
pub struct Exceptions {
    list: Vec<Exception>,
    unused: Vec<u32>,
    /// How many values they carry together.
    values: usize,
    /// Unreachable ones are looked for when there are so many.
    next_collection: usize,
}

#[derive(Debug)]
struct Exception {
    /// Number of the tag. `None`: unused.
    tag: Option<usize>,
    values: Vec<u128>,
    /// Where it was thrown: offsets of calls in all code, innermost first, the first 0 behind the last.
    calls: [u32; MAX_CALLS],
    reached: bool,
}

impl Default for Exceptions {
    fn default() -> Self {
        Self { list: Vec::new(), unused: Vec::new(), values: 0, next_collection: FIRST_COLLECTION }
    }
}

impl Exceptions {
    fn len(&self) -> usize {
        self.list.len() - self.unused.len()
    }

    fn has_room(&self, values: usize, exceptions: usize) -> bool {
        self.len() < exceptions && self.values + values <= MAX_VALUES
    }

    fn get(&self, handle: u32) -> Option<&Exception> {
        self.list.get(handle.checked_sub(FIRST_HANDLE)? as usize)
    }

    /// The lower halves of what exceptions carry.
    pub fn words(&self) -> impl Iterator<Item = u32> {
        self.list.iter().flat_map(|exception| &exception.values).map(|bits| *bits as u32)
    }

    /// Adds an exception. There is room.
    fn add(&mut self, tag: usize, values: impl Iterator<Item = u128>, calls: [u32; MAX_CALLS]) -> u32 {
        let index = self.unused.pop().unwrap_or_else(|| {
            self.list.push(Exception { tag: None, values: Vec::new(), calls, reached: false });
            (self.list.len() - 1) as u32
        });
        let exception = &mut self.list[index as usize];
        exception.tag = Some(tag);
        exception.values.extend(values);
        exception.calls = calls;
        self.values += exception.values.len();
        FIRST_HANDLE + index
    }

    /// Notes that a handle was found, if the number is one and it is the first time.
    fn reach(&mut self, number: u32, found: &mut Vec<usize>) {
        let Some(index) = number.checked_sub(FIRST_HANDLE).map(|index| index as usize) else { return };
        if let Some(exception) = self.list.get_mut(index)
            && !std::mem::replace(&mut exception.reached, true)
        {
            found.push(index);
        }
    }

    /// Notes what the exceptions that were found carry.
    fn reach_carried(&mut self, found: &mut Vec<usize>, tags: &[Tag]) {
        while let Some(index) = found.pop() {
            let Some(tag) = self.list[index].tag.and_then(|tag| tags.get(tag)) else { continue };
            for (at, _) in tag.values.iter().enumerate().filter(|(_, ty)| ty.is_exception()) {
                let number = self.list[index].values.get(at).map_or(0, |bits| *bits as u32);
                self.reach(number, found);
            }
        }
    }

    /// Drops what was not found.
    fn sweep(&mut self) {
        for (index, exception) in (0..).zip(&mut self.list) {
            if !std::mem::take(&mut exception.reached) && exception.tag.take().is_some() {
                self.values -= exception.values.len();
                exception.values.clear();
                if exception.values.capacity() > KEPT_VALUES {
                    exception.values = Vec::new();
                }
                self.unused.push(index);
            }
        }
        self.next_collection = (2 * self.len()).clamp(FIRST_COLLECTION, MAX_EXCEPTIONS);
    }
}

/// Code addresses of the calls that led somewhere, innermost first: the chain of frame pointers. A hostile guest can change
/// it, but only words of its own stack are read.
pub fn calls(stack: &GuestStack, pc: usize, fp: usize) -> impl Iterator<Item = usize> {
    iter::successors(Some((pc, fp)), |(_, fp)| {
        // The outermost guest frame's caller is the entry thunk, which is no function.
        let next = stack.word_at(*fp).filter(|next| next > fp)?;
        // The call instruction ends at the return address.
        Some((stack.word_at(fp.wrapping_add(8))?.wrapping_sub(1), next))
    })
    .map(|(pc, _)| pc)
}

impl Inner {
    /// Creates an exception that carries what is in the result area. From `sp` on, the stack has the registers that guest
    /// code was using, its frame pointer, the address behind its call, and its own words.
    pub fn throw(&mut self, instance: usize, tag: u32, sp: usize) -> Result<u32, Trap> {
        /// Words for the registers before the frame pointer, as `libcalls` saves them.
        const SAVED: usize = 5;
        // Faulty code can name a tag that the instance does not have.
        let number = self.instances[instance].tags.get(tag as usize).copied().ok_or(Trap::Unreachable)?;
        let count = self.tags[number].values.len();
        if !self.exceptions.has_room(count, self.exceptions.next_collection) {
            self.collect_exceptions(sp, number);
            if !self.exceptions.has_room(count, MAX_EXCEPTIONS) {
                return Err(Trap::TooManyExceptions);
            }
        }
        let word = |index| self.stack.word_at(sp.wrapping_add(8 * index)).unwrap_or(0);
        let start = self.code.range().start;
        let mut calls = [0; MAX_CALLS];
        let addresses = self::calls(&self.stack, word(SAVED + 1).wrapping_sub(1), word(SAVED));
        for (to, address) in calls.iter_mut().zip(addresses) {
            *to = u32::try_from(address.wrapping_sub(start)).unwrap_or(0);
        }
        let (arena, results) = (&self.arena, self.results);
        let values = (0..count as u32).map(|at| arena.read_slot(results + at * SLOT_BYTES));
        Ok(self.exceptions.add(number, values, calls))
    }

    /// Puts what an exception carries into the result area if it has this tag.
    pub fn catch(&mut self, instance: usize, handle: u32, tag: u32) -> Result<u32, Trap> {
        let number = self.instances[instance].tags.get(tag as usize).copied().ok_or(Trap::Unreachable)?;
        let Some(exception) = self.exceptions.get(handle).filter(|exception| exception.tag == Some(number)) else {
            return Ok(0);
        };
        for (at, bits) in (0..).zip(&exception.values) {
            self.arena.write_slot(self.results + at * SLOT_BYTES, *bits);
        }
        Ok(1)
    }

    /// Drops the exceptions that nothing refers to. The result area has what one of the tag `thrown` is about to carry.
    fn collect_exceptions(&mut self, sp: usize, thrown: usize) {
        let mut found = Vec::new();
        let exceptions = &mut self.exceptions;
        let low_u32 = |bits: u128| bits as u32;
        for (at, _) in (0..).zip(&self.tags[thrown].values).filter(|(_, ty)| ty.is_exception()) {
            exceptions.reach(low_u32(self.arena.read_slot(self.results + at * SLOT_BYTES)), &mut found);
        }
        for global in self.globals.iter().filter(|global| global.ty.content.is_exception()) {
            exceptions.reach(low_u32(self.arena.read_slot(global.cell)), &mut found);
        }
        for table in self.tables.iter().filter(|table| table.current_type().element.is_exception()) {
            table.references(0..table.len() as usize).iter().for_each(|handle| exceptions.reach(*handle, &mut found));
        }
        // What keeps an object alive is not looked at: an object that nothing refers to keeps its exceptions.
        for word in self.heap.iter().flat_map(|heap| heap.words(&self.memories)) {
            exceptions.reach(word, &mut found);
        }
        for address in (sp..self.stack.top()).step_by(8) {
            let word = self.stack.word_at(address).unwrap_or(0);
            exceptions.reach(word as u32, &mut found);
            exceptions.reach((word >> 32) as u32, &mut found);
        }
        exceptions.reach_carried(&mut found, &self.tags);
        exceptions.sweep();
    }

    /// Takes the exception that left the guest, if one did: its tag's name, and where it was thrown.
    pub fn take_uncaught(&mut self) -> Option<(Option<String>, Vec<usize>)> {
        // A store without tags has no exceptions. Looking would touch a page that nothing else uses.
        if self.tags.is_empty() {
            return None;
        }
        let slot = self.results + EXCEPTION;
        let handle = self.arena.read_u64(slot) as u32;
        if handle == 0 {
            return None;
        }
        self.arena.write_u64(slot, 0);
        let exception = self.exceptions.get(handle);
        let tag = exception.and_then(|exception| self.tags.get(exception.tag?)).map(|tag| tag.name.clone());
        let start = self.code.range().start;
        let calls = exception.map_or(&[][..], |exception| &exception.calls);
        Some((tag, calls.iter().take_while(|call| **call != 0).map(|call| start + *call as usize).collect()))
    }

    /// Address ranges of the list of exceptions.
    pub fn exception_fields(&self) -> [std::ops::Range<usize>; 3] {
        use crate::inspect::{of, of_slice};
        [of(&self.exceptions), of_slice(&self.exceptions.list), of_slice(&self.exceptions.unused)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_contract::types::{HeapType, RefType};

    const EXNREF: ValType = ValType::reference(RefType { nullable: true, heap: HeapType::Exn });

    fn tag(values: &[ValType]) -> Tag {
        Tag { signature: SignatureId(1), values: values.into(), name: String::new() }
    }

    fn collect(exceptions: &mut Exceptions, roots: &[u32], tags: &[Tag]) {
        let mut found = Vec::new();
        roots.iter().for_each(|root| exceptions.reach(*root, &mut found));
        exceptions.reach_carried(&mut found, tags);
        exceptions.sweep();
    }

    #[test]
    fn what_is_referred_to_stays_and_the_rest_goes() {
        let tags = [tag(&[ValType::I64]), tag(&[ValType::I32, EXNREF])];
        let mut all = Exceptions::default();
        let number = all.add(0, [7].into_iter(), [0; MAX_CALLS]);
        let inner = all.add(0, [8].into_iter(), [0; MAX_CALLS]);
        // What is an i32 is no reference, whatever its value is.
        let outer = all.add(1, [u128::from(number), u128::from(inner)].into_iter(), [0; MAX_CALLS]);
        assert_eq!((all.len(), all.values), (3, 4));
        collect(&mut all, &[0, 3, outer, u32::MAX], &tags);
        assert_eq!((all.len(), all.values), (2, 3));
        assert_eq!(all.get(inner).and_then(|inner| inner.tag), Some(0));
        assert_eq!(all.get(number).and_then(|number| number.tag), None);
        assert_eq!(all.add(0, [9].into_iter(), [0; MAX_CALLS]), number, "its place is used again");
        collect(&mut all, &[], &tags);
        assert_eq!((all.len(), all.values), (0, 0));
    }

    #[test]
    fn exceptions_that_hold_each_other_go_too() {
        let tags = [tag(&[EXNREF])];
        let mut all = Exceptions::default();
        let first = all.add(0, [u128::from(FIRST_HANDLE + 1)].into_iter(), [0; MAX_CALLS]);
        let second = all.add(0, [u128::from(first)].into_iter(), [0; MAX_CALLS]);
        collect(&mut all, &[second], &tags);
        assert_eq!(all.len(), 2);
        collect(&mut all, &[], &tags);
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn t62_numbers_that_are_no_handles_mean_nothing() {
        let all = Exceptions::default();
        for number in [0, 1, FIRST_HANDLE - 1, FIRST_HANDLE, u32::MAX] {
            assert!(all.get(number).is_none(), "{number:#x}");
        }
    }

    #[test]
    fn there_is_room_up_to_both_bounds() {
        let mut all = Exceptions::default();
        assert!(all.has_room(MAX_VALUES, 1) && !all.has_room(MAX_VALUES + 1, 1) && !all.has_room(0, 0));
        all.add(0, [1; 3].into_iter(), [0; MAX_CALLS]);
        assert!(all.has_room(MAX_VALUES - 3, 2) && !all.has_room(MAX_VALUES - 2, 2) && !all.has_room(0, 1));
    }
}
