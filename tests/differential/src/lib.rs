//! Random modules, run here and on an engine that others wrote: results, traps, globals and memories must be the same.
//!
//! | file | what |
//! |---|---|
//! | `generate` | a module from a seed, or from bytes that a fuzzer chose |
//! | `here` | compiled by `wave`, verified, and run |
//! | `there` | interpreted by `wasmi` |
//! | `wasmtime`, `peer.py` | compiled by Wasmtime, in another process |
//! | `faults` | deliberate mistakes, to see that they are found |
//! | `objects` | programs over objects whose answers are known while they are made, and mistakes of their own |
//!
//! Both sides get the same calls with the same arguments. Floats are compared by their bits: the generator makes every NaN
//! canonical. Endless loops end by a counter that the generator adds to the module itself, so both sides end at the same place.

mod faults;
mod generate;
mod here;
mod objects;
mod there;
mod wasmtime;

pub use faults::Fault;
pub use generate::{Case, Features};
pub use objects::{ObjectFault, Program};
pub use wasmtime::Wasmtime;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wave_contract::module::{ExportKind, ModuleInfo};
use wave_contract::types::{Hierarchy, RefType, ValType};

/// Maximum functions of a module that are called, and how often each.
const CALLED: usize = 12;
const CALLS_EACH: usize = 2;

/// A value as all engines know it. Of references, only whether they are null, and what they refer to then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    V128(u128),
    Null(Hierarchy),
    NotNull,
}

/// Why a guest stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trap {
    Unreachable,
    Memory,
    Table,
    NullCall,
    Signature,
    DivisionByZero,
    Overflow,
    Conversion,
    NullReference,
    Cast,
    Array,
    Exception,
    /// The stack or the heap is full, of which engines have different sizes.
    Limit,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    Returned(Vec<Bits>),
    Trapped(Trap),
}

/// An instance of a module in some engine, or the trap of its start function or segments.
type Instantiated<'a> = Result<Box<dyn Instance + 'a>, Trap>;

/// An instance of a module in some engine.
trait Instance {
    fn call(&mut self, name: &str, arguments: &[Bits]) -> Result<Ending, String>;
    fn global(&mut self, name: &str) -> Result<Bits, String>;
    fn memory(&mut self, name: &str) -> Result<Vec<u8>, String>;
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Modules that ran on both sides.
    pub modules: u64,
    /// Calls that returned.
    pub returned: u64,
    /// Calls and start functions that trapped.
    pub trapped: u64,
    /// Globals that were the same in the end.
    pub globals: u64,
    /// Bytes of memories that were the same in the end.
    pub memory_bytes: u64,
    /// Modules that were left before their end, because one side had no stack or heap left.
    pub stopped: u64,
}

impl Compared {
    /// Adds what was compared elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.modules += other.modules;
        self.returned += other.returned;
        self.trapped += other.trapped;
        self.globals += other.globals;
        self.memory_bytes += other.memory_bytes;
        self.stopped += other.stopped;
    }

    /// The numbers of a line that `Display` has written.
    pub fn parse(line: &str) -> Option<Self> {
        let numbers = line.split(", ").map(|part| part.split(' ').next()?.parse().ok());
        let [modules, returned, trapped, globals, memory_bytes, stopped] =
            numbers.collect::<Option<Vec<u64>>>()?.try_into().ok()?;
        Some(Self { modules, returned, trapped, globals, memory_bytes, stopped })
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { modules, returned, trapped, globals, memory_bytes, stopped } = self;
        write!(
            f,
            "{modules} modules, {returned} calls returned, {trapped} trapped, {globals} globals, \
             {memory_bytes} bytes of memory, {stopped} modules met a limit"
        )
    }
}

/// What modules are compared with.
pub enum Engine {
    /// An interpreter without objects, exceptions and typed function references.
    Wasmi,
    /// A compiler that has them.
    Wasmtime(Wasmtime),
}

impl Engine {
    /// The features that modules for it have.
    #[must_use]
    pub fn features(&self) -> Features {
        match self {
            Self::Wasmi => Features::Common,
            Self::Wasmtime(_) => Features::WithObjects,
        }
    }

    fn instantiate(&mut self, bytes: &[u8]) -> Result<Instantiated<'_>, String> {
        match self {
            Self::Wasmi => Ok(there::instantiate(bytes)?.map(|there| Box::new(there) as _)),
            Self::Wasmtime(process) => Ok(process.instantiate(bytes)?.map(|there| Box::new(there) as _)),
        }
    }
}

/// Runs a module on both sides. With a fault, it is in what is compiled here.
///
/// # Errors
/// What differs, or why a side did not run it.
pub fn compare(engine: &mut Engine, case: &Case, fault: Option<Fault>) -> Result<Compared, String> {
    let bytes = match fault {
        None => case.bytes.clone(),
        Some(fault) => match fault.inject(&case.bytes) {
            Some(bytes) => bytes,
            // Nothing in it that could be mistaken.
            None => return Ok(Compared::default()),
        },
    };
    catch_unwind(AssertUnwindSafe(|| both(engine, case, bytes))).unwrap_or_else(|_| Err("a panic".to_owned()))
}

fn both(engine: &mut Engine, case: &Case, bytes: Vec<u8>) -> Result<Compared, String> {
    let mut compared = Compared { modules: 1, ..Compared::default() };
    let (info, here) = here::instantiate(bytes, case.setup).map_err(|error| format!("here: {error}"))?;
    let there = engine.instantiate(&case.bytes).map_err(|error| format!("there: {error}"))?;
    let (mut here, mut there) = match (here, there) {
        (Ok(here), Ok(there)) => (here, there),
        (Err(Trap::Limit), _) | (_, Err(Trap::Limit)) => {
            compared.stopped += 1;
            return Ok(compared);
        }
        (Err(here), Err(there)) if here == there => {
            compared.trapped += 1;
            return Ok(compared);
        }
        (here, there) => return Err(format!("instantiation: {:?} here, {:?} there", here.err(), there.err())),
    };
    let mut values = Values(case.seed);
    let functions = exports(&info, ExportKind::Function);
    for (name, ty) in functions.filter_map(|(name, index)| Some((name, info.function_type(index)?))).take(CALLED) {
        for _ in 0..CALLS_EACH {
            // A function that takes what only the module can make is called by others of the module at most.
            let arguments: Option<Vec<_>> = ty.params.iter().map(|ty| values.next(&info, *ty)).collect();
            let Some(arguments) = arguments else { break };
            let (here, there) = (here.call(name, &arguments)?, there.call(name, &arguments)?);
            match (&here, &there) {
                (Ending::Trapped(Trap::Limit), _) | (_, Ending::Trapped(Trap::Limit)) => {
                    compared.stopped += 1;
                    return Ok(compared);
                }
                (Ending::Returned(_), _) => compared.returned += 1,
                (Ending::Trapped(_), _) => compared.trapped += 1,
            }
            if std::env::var_os("WAVE_TRACE").is_some() {
                println!("{name:?} with {arguments:x?}: {here:x?}");
            }
            if here != there {
                return Err(format!("{name:?} with {arguments:x?}: {here:x?} here, {there:x?} there"));
            }
        }
    }
    for (name, _) in exports(&info, ExportKind::Global) {
        let (here, there) = (here.global(name)?, there.global(name)?);
        compared.globals += 1;
        if here != there {
            return Err(format!("global {name:?}: {here:x?} here, {there:x?} there"));
        }
    }
    for (name, _) in exports(&info, ExportKind::Memory) {
        let (here, there) = (here.memory(name)?, there.memory(name)?);
        compared.memory_bytes += here.len() as u64;
        if here != there {
            let at =
                here.iter().zip(&there).position(|(here, there)| here != there).unwrap_or(here.len().min(there.len()));
            let around =
                |bytes: &[u8]| format!("{:02x?} of {}", bytes[at..].iter().take(16).collect::<Vec<_>>(), bytes.len());
            let (here, there) = (around(&here), around(&there));
            return Err(format!("memory {name:?}, from {at} on: {here} here, {there} there"));
        }
    }
    Ok(compared)
}

fn exports(info: &ModuleInfo, kind: ExportKind) -> impl Iterator<Item = (&str, u32)> {
    info.exports.iter().filter(move |export| export.kind == kind).map(|export| (&*export.name, export.index))
}

/// Arguments, from a seed. Half of them are such as operators treat in a way of their own.
struct Values(u64);

impl Values {
    /// A value of a type, if there is one that comes from outside.
    fn next(&mut self, info: &ModuleInfo, ty: ValType) -> Option<Bits> {
        const EDGES: [u64; 12] = [
            0,
            1,
            2,
            u64::MAX,
            1 << 31,
            1 << 63,
            i64::MAX as u64,
            i32::MAX as u64,
            0x7f80_0000,
            0x7ff0_0000_0000_0000,
            0xff_fff8,
            0xcf00_0000,
        ];
        let random = generate::mix(&mut self.0);
        let bits = match random & 1 {
            0 => EDGES[(random >> 8) as usize % EDGES.len()],
            _ => generate::mix(&mut self.0),
        };
        let low = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Some(match ty {
            ValType::I32 => Bits::I32(low),
            ValType::I64 => Bits::I64(bits),
            ValType::F32 => Bits::F32(low),
            ValType::F64 => Bits::F64(bits),
            ValType::V128 => Bits::V128(u128::from(bits) << 64 | u128::from(generate::mix(&mut self.0))),
            ValType::Ref(RefType { nullable: false, .. }) => return None,
            _ => Bits::Null(info.hierarchy(ty)?),
        })
    }
}
