//! How much of the stack a call's arguments take, by the contract's conventions.

use wave_contract::abi::REGISTER_INTEGERS;
use wave_contract::types::{FuncType, ValType};

/// Vector arguments that are passed in registers.
const REGISTER_VECTORS: usize = 8;

/// Bytes of arguments on the stack. `leading`: integer arguments before those of the type.
pub fn stack_bytes(ty: &FuncType, leading: usize) -> u32 {
    let (mut integers, mut vectors, mut end) = (leading, 0, 0_u32);
    for param in &ty.params {
        let (used, registers) = match param.is_vector_class() {
            true => (&mut vectors, REGISTER_VECTORS),
            false => (&mut integers, REGISTER_INTEGERS),
        };
        *used += 1;
        if *used > registers {
            let size = if *param == ValType::V128 { 16 } else { 8 };
            end = end.next_multiple_of(size) + size;
        }
    }
    end.next_multiple_of(16)
}
