//! The operations that compiled code asks of the runtime, see [`Libcall`].

use crate::instance::Instance;
use crate::store::{Inner, InstanceLink};
use crate::trap::{Stop, Trap};
use wave_contract::abi::HostReturn;
use wave_contract::context::STORE;
use wave_contract::libcall::Libcall;

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
    };
    pointer as u64
}

/// Runs `body` with the store and the calling instance.
///
/// # Safety
/// `context` is the context of an instance whose guest code is calling.
unsafe fn with(context: *mut u8, body: impl FnOnce(&mut Inner, usize) -> Result<u32, Trap>) -> HostReturn {
    // SAFETY: the runtime filled the context's first slot at load.
    let link = unsafe { &**context.add(STORE as usize).cast::<*const InstanceLink>() };
    // SAFETY: the store outlives its contexts, and whoever entered the guest holds no reference to it meanwhile.
    let store = unsafe { &mut *link.store };
    match body(store, link.instance) {
        // The deadline's signal stops guest code only: one that spends its time in here would hardly ever be found (T108).
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
        bytes[destination].fill(byte.to_le_bytes()[0]);
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
        store.table(instance, table)?.get(index).map_err(|_| Trap::TableOutOfBounds)
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
        let references = store.table(instance, source_table)?.read(source, len).map_err(|_| Trap::TableOutOfBounds)?;
        let (table, functions) = store.table_mut(instance, destination_table)?;
        table.write(destination, &references, functions).map_err(|_| Trap::TableOutOfBounds)?;
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
    fn ref_func(store, instance, function) {
        Ok(store.instance_mut(instance).function(function).map_or(0, |function| function.handle()))
    }
}

/// `[start, start + len)` if it lies inside `size`, computed without wrapping.
pub fn range(start: u32, len: u32, size: usize) -> Option<std::ops::Range<usize>> {
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
