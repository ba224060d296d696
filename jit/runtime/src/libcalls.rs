//! Library calls: the operations that compiled code calls the runtime for, see [`Libcall`].

use crate::instance::Instance;
use crate::store::{Inner, InstanceLink};
use crate::trap::{Stop, Trap};
use std::ops::Range;
use wave_contract::abi::HostReturn;
use wave_contract::libcall::Libcall;

/// How many bytes are moved between two checks of the deadline (T108). The kernel needs one or two milliseconds to provide a
/// MiB of fresh pages.
pub const STEP_BYTES: usize = 1 << 20;
/// How many table entries are moved between two checks of the deadline.
pub const STEP_ENTRIES: usize = 1 << 14;

/// What `memory.atomic.wait` gives after its timeout. Nothing could wake it before.
pub const TIMED_OUT: u32 = 2;

/// Address of a library call.
pub fn address(libcall: Libcall) -> u64 {
    let pointer = match libcall {
        Libcall::MemoryGrow => memory_grow as *const (),
        Libcall::MemoryCopy => memory_copy as *const (),
        Libcall::MemoryFill => memory_fill as *const (),
        Libcall::MemoryInit => memory_init as *const (),
        Libcall::DataDrop => data_drop as *const (),
        Libcall::TableGet => table_get as *const (),
        Libcall::TableSet => table_set as *const (),
        Libcall::TableGrow => table_grow as *const (),
        Libcall::TableFill => table_fill as *const (),
        Libcall::TableCopy => table_copy as *const (),
        Libcall::TableInit => table_init as *const (),
        Libcall::ElemDrop => elem_drop as *const (),
        Libcall::RefFunc => ref_func as *const (),
        Libcall::Throw => throw as *const (),
        Libcall::Catch => catch as *const (),
        Libcall::FunctionIs => function_is as *const (),
        Libcall::ArrayInit => array_init as *const (),
        Libcall::Roots => roots as *const (),
        Libcall::AtomicWait => atomic_wait as *const (),
    };
    pointer as u64
}

/// Runs `body` with the store and the calling instance.
///
/// # Safety
/// `context` is the context of an instance whose guest code is calling.
unsafe fn with(context: *mut u8, body: impl FnOnce(&mut Inner, usize) -> Result<u32, Trap>) -> HostReturn {
    // SAFETY: the caller's promise; the store outlives its contexts.
    let link = unsafe { InstanceLink::of_context(context) };
    // SAFETY: the store outlives its contexts. `Store::enter`, which waits for the guest, uses no reference to it
    // meanwhile; a signal handler that interrupts us reads only the activation, which is not part of `Inner`. The
    // reference is used no more once `body` has returned.
    let store = unsafe { &mut *link.store };
    match body(store, link.instance) {
        // The deadline's signal stops guest code only. It would hardly ever interrupt a guest that spends its time in
        // here (T108).
        _ if crate::signal::deadline_passed() => link.stop(Stop::Deadline),
        Ok(value) => HostReturn { value: u64::from(value), status: 0 },
        Err(trap) => link.stop(Stop::Trap(trap)),
    }
}

macro_rules! libcalls {
    ($($(#[$doc:meta])* fn $name:ident($store:ident, $instance:ident $(, $arg:ident)*) $body:block)*) => {$(
        $(#[$doc])*
        unsafe extern "C" fn $name(context: *mut u8 $(, $arg: u32)*) -> HostReturn {
            // SAFETY: guest code passes its own context.
            unsafe { with(context, |$store, $instance| $body) }
        }
    )*};
}

libcalls! {
    fn memory_grow(store, instance, memory, delta) {
        Ok(store.grow_memory(instance, memory, delta).unwrap_or(u32::MAX))
    }
    fn memory_copy(store, instance, destination_memory, source_memory, destination, source, len) {
        store.memory_copy(instance, destination_memory, source_memory, destination, source, len)?;
        Ok(0)
    }
    fn memory_fill(store, instance, memory, destination, byte, len) {
        let bytes = store.memory_bytes(instance, memory)?;
        let destination = range(destination, len, bytes.len()).ok_or(Trap::MemoryOutOfBounds)?;
        let byte = byte.to_le_bytes()[0];
        in_steps(destination.len(), STEP_BYTES, false, |part| bytes[subrange(&destination, part)].fill(byte));
        Ok(0)
    }
    fn memory_init(store, instance, segment, memory, destination, source, len) {
        store.memory_init(instance, segment, memory, destination, source, len)?;
        Ok(0)
    }
    fn data_drop(store, instance, segment) {
        store.instance_mut(instance).drop_data(segment);
        Ok(0)
    }
    fn table_get(store, instance, table, index) {
        let reference = store.table(instance, table)?.get(index).map_err(|_| Trap::TableOutOfBounds)?;
        if store.table(instance, table)?.has_functions() {
            store.share(reference);
        }
        Ok(reference)
    }
    fn table_set(store, instance, table, index, reference) {
        let (table, functions) = store.table_mut(instance, table)?;
        table.set(index, reference, functions).map_err(|_| Trap::TableOutOfBounds)?;
        Ok(0)
    }
    fn table_grow(store, instance, table, reference, delta) {
        let (table, functions) = store.table_mut(instance, table)?;
        Ok(table.grow(delta, reference, functions).unwrap_or(u32::MAX))
    }
    fn table_fill(store, instance, table, destination, reference, len) {
        let (table, functions) = store.table_mut(instance, table)?;
        table.fill(destination, reference, len, functions).map_err(|_| Trap::TableOutOfBounds)?;
        Ok(0)
    }
    fn table_copy(store, instance, destination_table, source_table, destination, source, len) {
        store.table_copy(instance, destination_table, source_table, destination, source, len)?;
        Ok(0)
    }
    fn table_init(store, instance, segment, table, destination, source, len) {
        store.table_init(instance, segment, table, destination, source, len)?;
        Ok(0)
    }
    fn elem_drop(store, instance, segment) {
        store.instance_mut(instance).drop_elements(segment);
        Ok(0)
    }
    fn catch(store, instance, exception, tag) {
        store.catch(instance, exception, tag)
    }
    /// Where no embedder has a notion of time, it passes at once: see `Store::set_wait`.
    fn atomic_wait(_store, _instance, _timeout_low, timeout_high) {
        if timeout_high.cast_signed() < 0 { Err(Trap::Deadlock) } else { Ok(TIMED_OUT) }
    }
    fn ref_func(store, instance, function) {
        let reference = store.instance_mut(instance).function(function).map_or(0, |function| function.handle());
        store.share(reference);
        Ok(reference)
    }
    fn array_init(store, instance, segment, destination, source, len) {
        store.array_init(instance, segment, destination, source, len)?;
        Ok(0)
    }
    fn function_is(store, instance, reference, ty) {
        Ok(u32::from(store.function_is(instance, reference, ty)))
    }
}

/// Saves the registers that guest code may hold references in, and calls [`throw_from`] with where they are. The frame is
/// that of a function with a frame pointer.
///
/// # Safety
/// As [`throw_from`], but for the stack.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn throw(context: *mut u8, tag: u32) -> HostReturn {
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov rdx, rsp",
        "sub rsp, 8",
        "call {throw_from}",
        "leave",
        "ret",
        throw_from = sym throw_from,
    )
}

/// Calls [`roots_from`] with the address of the caller's frame. What guest code keeps across its calls lies above.
///
/// # Safety
/// As [`roots_from`], but for the stack.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn roots(context: *mut u8, restart: u32, destination: u32, words: u32) -> HostReturn {
    core::arch::naked_asm!("lea r8, [rsp + 8]", "jmp {roots_from}", roots_from = sym roots_from)
}

/// Finds what may refer to objects.
///
/// # Safety
/// As [`with`].
unsafe extern "C" fn roots_from(context: *mut u8, restart: u32, to: u32, words: u32, sp: usize) -> HostReturn {
    // SAFETY: guest code passes its own context.
    unsafe { with(context, |store, _| store.roots(restart != 0, to, words, sp)) }
}

/// Creates an exception.
///
/// # Safety
/// As [`with`].
unsafe extern "C" fn throw_from(context: *mut u8, tag: u32, sp: usize) -> HostReturn {
    // SAFETY: guest code passes its own context.
    unsafe { with(context, |store, instance| store.throw(instance, tag, sp)) }
}

/// Does work of `len` units in parts of at most `step`. Each part is a range inside `0..len`; `backwards` starts with
/// the last. Stops when the deadline has passed. Nobody observes what is left undone: the caller does not return to the
/// guest then.
pub fn in_steps(len: usize, step: usize, backwards: bool, mut part: impl FnMut(Range<usize>)) {
    let mut done = 0;
    while done < len {
        let next = step.min(len - done);
        part(if backwards { len - done - next..len - done } else { done..done + next });
        done += next;
        if done < len && crate::signal::deadline_passed() {
            return;
        }
    }
}

/// The part of a range that starts and ends at these offsets from its start.
pub fn subrange(whole: &Range<usize>, part: Range<usize>) -> Range<usize> {
    whole.start + part.start..whole.start + part.end
}

/// `[start, start + len)` if it lies inside `0..size`. The sums do not wrap.
pub fn range(start: u32, len: u32, size: usize) -> Option<Range<usize>> {
    let start = start as usize;
    let end = start.checked_add(len as usize)?;
    (end <= size).then_some(start..end)
}

impl Instance {
    fn drop_data(&mut self, segment: u32) {
        if let Some(bytes) = self.data.get_mut(segment as usize) {
            *bytes = 0..0;
        }
    }

    fn drop_elements(&mut self, segment: u32) {
        if let Some(references) = self.elements.get_mut(segment as usize) {
            *references = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(len: usize, step: usize, backwards: bool) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        in_steps(len, step, backwards, |part| parts.push(part));
        parts
    }

    #[test]
    fn t108_steps_cover_the_work_once_and_in_the_order_asked_for() {
        assert_eq!(parts(0, 4, false), []);
        assert_eq!(parts(8, 4, false), [0..4, 4..8]);
        assert_eq!(parts(9, 4, false), [0..4, 4..8, 8..9]);
        assert_eq!(parts(9, 4, true), [5..9, 1..5, 0..1]);
        assert_eq!(subrange(&(10..30), 5..9), 15..19);
    }

    #[test]
    fn t108_a_copy_in_steps_is_the_copy_that_one_step_makes() {
        for (to, source) in [(0, 3), (3, 0), (5, 5), (0, 12), (12, 0), (1, 0), (0, 1)] {
            for step in [1, 2, 3, 5, 64] {
                let mut bytes: Vec<u8> = (0..32).collect();
                let mut expected = bytes.clone();
                expected.copy_within(source..source + 17, to);
                in_steps(17, step, to > source, |part| {
                    bytes.copy_within(subrange(&(source..source + 17), part.clone()), to + part.start);
                });
                assert_eq!(bytes, expected, "{to} {source} {step}");
            }
        }
    }
}
