//! How functions, hostcalls and entry thunks pass arguments and results.
//!
//! | what | convention |
//! |---|---|
//! | guest function | Cranelift `Tail`. Mode arg: the context comes first. References are 32-bit integers. Integers past the first [`REGISTER_INTEGERS`] are zero-extended to 64 bits. Results in registers if [`results_in_registers`], else in the result area |
//! | host import, library call | System V: `(context, parameters…) -> (value, status)` in RAX and RDX |
//! | entry thunk | System V: `(slots, code, context)`, no result; one per signature |
//!
//! The **result area** is [`RESULT_AREA_BYTES`] of memory shared by all instances, one [`SLOT_BYTES`] slot per result,
//! little endian from the slot's first byte. The callee fills it right before it returns, and the caller reads it right
//! afterwards, so there is no call in between.
//!
//! A host import returns a single result as raw bits in `value`; bits above the type's width are ignored. Two or more
//! results, or a vector, are returned in the result area. A `status` other than 0 stops the guest: code jumps to a trap
//! with [`TrapCode::Host`](crate::trap::TrapCode::Host), and the runtime knows the reason.
//!
//! The last slot of the area is the **fuel counter**, an integer of 64 bits. Code that counts fuel subtracts what it is
//! about to do, and stops by a trap with [`TrapCode::OutOfFuel`](crate::trap::TrapCode::OutOfFuel) instead of doing what
//! the counter does not cover. Other code never reads it. The counter is kept as [`counter_of`] says, so that one
//! addition subtracts and compares.
//!
//! The slot before holds the **exception** that is being thrown, an integer of 32 bits: its handle, or 0 if there is none.
//! Code that throws stores the handle and returns; what the results are then is nobody's business. Code that calls a
//! function which may throw looks at the slot afterwards, and handles the exception, or returns as well. Code that catches
//! it stores 0. Where nothing can be thrown, code never touches the slot. The values that an exception carries are passed
//! to and from [`Libcall::Throw`](crate::libcall::Libcall::Throw) and [`Libcall::Catch`](crate::libcall::Libcall::Catch)
//! in the result area, one slot each.
//!
//! An entry thunk loads arguments from `slots`, calls `code`, and stores the results to `slots`, both from the first
//! slot on.

use crate::types::{FuncType, ValType};

/// Size of one argument or result slot.
pub const SLOT_BYTES: u32 = 16;

/// Integer parameters, the context included, that may be passed in registers.
pub const REGISTER_INTEGERS: usize = 6;

/// Results of one class (integer, vector) that fit in registers.
pub const REGISTER_RESULTS: usize = 8;

/// Size of the result area: a slot for each of the 1000 results that a function type may have, the exception, and
/// the fuel counter.
pub const RESULT_AREA_BYTES: u32 = 1024 * SLOT_BYTES;

/// Offset in the result area of the fuel counter (u64).
pub const FUEL: u32 = RESULT_AREA_BYTES - SLOT_BYTES;

/// Offset in the result area of the handle of the exception that is being thrown (u32), or 0.
pub const EXCEPTION: u32 = FUEL - SLOT_BYTES;

/// Bytes of linear memory that a bulk operation moves for one unit of fuel: a power of two.
pub const BYTES_PER_FUEL: u32 = 64;

/// The fuel counter when this much fuel is left: the number of units that can still be added without a carry is what is
/// left. A counter of 0 has the most fuel there can be.
#[must_use]
pub const fn counter_of(fuel: u64) -> u64 {
    !fuel
}

/// The fuel that a counter stands for: the inverse of [`counter_of`].
#[must_use]
pub const fn fuel_of(counter: u64) -> u64 {
    !counter
}

/// Whether a guest function returns in registers.
#[must_use]
pub fn results_in_registers(ty: &FuncType) -> bool {
    let vectors = ty.results.iter().filter(|ty| ty.is_vector_class()).count();
    vectors <= REGISTER_RESULTS && ty.results.len() - vectors <= REGISTER_RESULTS
}

/// Whether a host import returns in `value`.
#[must_use]
pub fn host_result_in_register(ty: &FuncType) -> bool {
    matches!(
        *ty.results,
        [] | [ValType::I32
            | ValType::I64
            | ValType::F32
            | ValType::F64
            | ValType::FuncRef
            | ValType::ExternRef
            | ValType::Ref(_)]
    )
}

/// What a host import or library call returns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HostReturn {
    /// The result's bits, if there is one.
    pub value: u64,
    /// 0 to continue. Anything else stops the guest.
    pub status: u64,
}
