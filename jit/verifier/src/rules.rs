//! The rules one by one, for what checks them: `proofs/`. Nobody needs them to verify code.
//!
//! [`Interpreter::step`] is all that the verifier knows about an instruction. It needs no image: a [`Shared`] comes from the
//! declarations of a module, terms, and the offsets at which functions begin; a [`Unit`](crate::Unit) is any bytes at any
//! offset.
//!
//! ```
//! use iced_x86::Instruction;
//! use wave_contract::context::{Addressing, FixedAddresses};
//! use wave_contract::image::CodeRange;
//! use wave_contract::module::ModuleInfo;
//! use wave_contract::types::{FuncType, SignatureId, TypeIds};
//! use wave_verifier::rules::{Gpr, Interpreter, Shared, Step, Value};
//! use wave_verifier::{Terms, Unit, UnitName};
//!
//! let mut info = ModuleInfo::default();
//! info.types = vec![FuncType::new([], []).into()];
//! info.functions = vec![0];
//! let addresses = FixedAddresses::imagined(&info).unwrap();
//! let terms = Terms {
//!     addressing: Addressing::Fixed(addresses),
//!     signatures: vec![TypeIds { exact: SignatureId(1), shape: SignatureId(1) }],
//!     host_imports: vec![],
//! };
//! let shared = Shared::of_functions(&info, &terms, [0]).unwrap();
//! let unit = Unit {
//!     name: UnitName::Function(0),
//!     range: CodeRange { start: 0, len: 6 },
//!     code: &[0x55, 0xb8, 0x2a, 0, 0, 0], // push rbp; mov eax, 42
//!     ty: info.signature(0).unwrap(),
//!     traps: &[],
//!     sources: &[],
//! };
//!
//! let mut interpreter = Interpreter::new(&shared, &unit);
//! let mut state = interpreter.at_entry();
//! let mut instruction = Instruction::default();
//! assert_eq!(interpreter.step(&mut state, 0, &mut instruction).unwrap(), Step::Next);
//! assert_eq!(state.get(Gpr::RSP), Value::Frame(-8));
//! assert_eq!(state.slot(-8), Value::Saved(Gpr::RBP));
//! assert_eq!(interpreter.step(&mut state, interpreter.next(), &mut instruction).unwrap(), Step::Next);
//! assert_eq!(state.get(Gpr::RAX), Value::exactly(42));
//! ```

pub use crate::certificate::Certificate;
pub use crate::condition::{choose, refine};
pub use crate::image::Shared;
pub use crate::instruction::{Kind, kind};
pub use crate::places::Place;
pub use crate::state::{Checked, Flags, Home, NO_ROOM, Operand, State};
pub use crate::step::{Fault, Interpreter, LARGEST_FRAME, Notes, Problem, Step};
pub use crate::value::{Entry, Gpr, Object, Value};
