//! What is known about the operands of a comparison if a condition holds, or if it does not.

use crate::state::{Checked, Flags, Operand, State};
use crate::value::Value;
use iced_x86::ConditionCode;

/// How two operands can be ordered, as unsigned numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Orders(u8);

impl Orders {
    const LESS: u8 = 1;
    const EQUAL: u8 = 2;
    const GREATER: u8 = 4;

    /// Those of a condition; `None` if it is not about unsigned order.
    const fn of(condition: ConditionCode) -> Option<Self> {
        Some(Self(match condition {
            ConditionCode::b => Self::LESS,
            ConditionCode::ae => Self::EQUAL | Self::GREATER,
            ConditionCode::e => Self::EQUAL,
            ConditionCode::ne => Self::LESS | Self::GREATER,
            ConditionCode::be => Self::LESS | Self::EQUAL,
            ConditionCode::a => Self::GREATER,
            _ => return None,
        }))
    }

    const fn not(self) -> Self {
        Self(7 & !self.0)
    }

    /// Those of the operands the other way round.
    const fn swapped(self) -> Self {
        Self(self.0 & Self::EQUAL | (self.0 & Self::LESS) << 2 | (self.0 & Self::GREATER) >> 2)
    }

    const fn only(self, orders: u8) -> bool {
        self.0 & !orders == 0
    }
}

/// Refines a state by the condition that holds, or does not, from here on.
pub fn refine(state: &mut State, condition: ConditionCode, held: bool) {
    let Some(orders) = Orders::of(condition) else { return };
    let orders = if held { orders } else { orders.not() };
    match state.flags {
        Flags::Unknown => {}
        Flags::Tested => {
            if orders == Orders(Orders::EQUAL) {
                state.pending = false;
            }
        }
        Flags::Compared { left, right, bytes } => {
            side(state, left, right, bytes, orders);
            side(state, right, left, bytes, orders.swapped());
        }
    }
}

/// What follows for the left side.
fn side(state: &mut State, left: Operand, right: Operand, bytes: u8, orders: Orders) {
    match (left.value, right.value) {
        // Both sides may be lengths.
        (value, Value::Length(table)) if bytes == 4 && orders.only(Orders::LESS) => match value.constant() {
            Some(index) => {
                if let Ok(index) = u32::try_from(index) {
                    state.longer = Some((table, index));
                }
            }
            None => {
                if let Some(register) = left.register {
                    let whole = state.get(register).is_32_bit();
                    let index = if whole { Value::Index(table) } else { Value::LowIndex(table) };
                    state.learn(register, index);
                }
            }
        },
        (Value::Signature { table, entry }, value) if bytes == 4 && orders == Orders(Orders::EQUAL) => {
            if let Some(signature) = value.constant().and_then(|id| u32::try_from(id).ok()) {
                state.checked = Some(Checked { table, entry, signature: wave_contract::types::SignatureId(signature) });
            }
        }
        (Value::Frame(at), Value::StackLimit) if bytes == 8 && orders.only(Orders::EQUAL | Orders::GREATER) => {
            state.room = state.room.min(at);
        }
        _ => {}
    }
}

/// The result of a conditional move of `bytes`: the second operand if its condition holds, else the first.
pub fn choose(state: &State, condition: ConditionCode, first: Operand, second: Operand, bytes: u8) -> Value {
    let Flags::Compared { left, right, bytes: compared } = state.flags else { return first.value.hull(second.value) };
    let Some(orders) = Orders::of(condition) else { return first.value.hull(second.value) };
    if compared == bytes {
        // A choice between an index that was checked and entry 0.
        for side in [left.value, right.value] {
            if let Value::Length(table) = side
                && [first.value, second.value].into_iter().all(|value| can_index(state, value, table))
            {
                return Value::Index(table);
            }
        }
        let chosen = bounded(state, second, left, right, orders);
        // The last index of a jump table is kept, if the index is not below it. If the index is a constant, that may never be
        // so. The table's other entries are followed nevertheless: they lead to code of the module, with its traps.
        let kept = bounded(state, first, left, right, orders.not()).unwrap_or(first.value);
        return chosen.map_or(kept, |chosen| kept.hull(chosen));
    }
    first.value.hull(second.value)
}

/// Whether a value is an index of a table, or 0.
fn can_index(state: &State, value: Value, table: u8) -> bool {
    match value {
        Value::Index(own) => own == table,
        Value::Number { low: 0, span: 0 } => true,
        Value::Number { low, span: 0 } => {
            matches!(state.longer, Some((own, index)) if own == table && low <= u64::from(index))
        }
        _ => false,
    }
}

/// A value that may be one side of a comparison with a constant, given how that came out; `None` if it cannot have.
fn bounded(state: &State, operand: Operand, left: Operand, right: Operand, orders: Orders) -> Option<Value> {
    let is =
        |side: Operand| matches!((operand.register, side.register), (Some(own), Some(side)) if state.same(own, side));
    let (bound, orders) = if is(left) {
        (right.value.constant(), orders)
    } else if is(right) {
        (left.value.constant(), orders.swapped())
    } else {
        return Some(operand.value);
    };
    let (low, span) = match operand.value {
        Value::Number { low, span } => (low, span),
        // The length of a table and an index below it are numbers, too.
        value if value.is_32_bit() => (0, u32::MAX),
        value => return Some(value),
    };
    let Some(bound) = bound else { return Some(operand.value) };
    let most = if orders.only(Orders::LESS) {
        bound.checked_sub(1)?
    } else if orders.only(Orders::LESS | Orders::EQUAL) {
        bound
    } else {
        return Some(operand.value);
    };
    let span = span.min(u32::try_from(most.checked_sub(low)?).unwrap_or(u32::MAX));
    Some(Value::Number { low, span })
}
