//! The rules one by one, for what checks them: `proofs/`. Nobody needs them to verify code.

pub use crate::condition::{choose, refine};
pub use crate::instruction::{Kind, kind};
pub use crate::state::{Checked, Flags, Home, NO_ROOM, Operand, State};
pub use crate::value::{Entry, Gpr, Object, Value};
