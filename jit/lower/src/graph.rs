//! What a component is made of once it is instantiated: all of it is known before it runs.

use crate::adapter::{Adapted, Adapter};
use crate::error::{LowerError, Result, item};
use crate::names::compatible;
use crate::read::Module;
use crate::text::Encoding;
use crate::types::{Kind, ResourceId, Signature, Types};
use std::collections::{BTreeMap, HashMap};
use wasm_encoder::FuncType;

/// The interface whose function is the entry of a command.
const RUN: &str = "wasi:cli/run@0.2";

/// A core function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId(pub usize);

/// A core memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryId(pub usize);

/// An instance of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ComponentId(pub usize);

/// A core function: where it comes from.
#[derive(Clone, Debug)]
pub enum Function {
    /// A module has it.
    Defined {
        /// The instance of the module.
        instance: usize,
        /// Its number among the functions that the module defines.
        index: usize,
    },
    /// The host has it.
    Host(HostFunction),
    /// The adapter has it: a copy of one of its functions.
    Adapted(Adapted),
    /// `realloc` of a component, for the adapter: meanwhile the component may not call out.
    Realloc {
        /// What is called.
        realloc: FunctionId,
        /// Who has it.
        component: ComponentId,
    },
    /// A call of the host by a component.
    HostCall {
        /// What is called.
        import: FunctionId,
        /// Who calls.
        component: ComponentId,
        /// Its type.
        ty: FuncType,
        /// How the result is fetched, if it has contents that must be allocated.
        fetch: Option<Fetch>,
    },
    /// A call from one component to another.
    Fused {
        /// What is called.
        lift: usize,
        /// Who calls.
        component: ComponentId,
        /// How values are passed there.
        options: Options,
    },
    /// Traps unless bytes of a memory are UTF-8.
    Utf8(MemoryId),
    /// Copies a string that is not UTF-8 on both sides.
    Text(Text),
    /// What a component does with handles of a resource.
    Resource {
        /// What.
        action: Action,
        /// Of what.
        resource: ResourceId,
        /// Who.
        component: ComponentId,
    },
    /// A part of the table of handles of a component.
    Handles(HandleCode, ComponentId),
    /// Remembers that a handle is lent.
    Lend,
    /// Allocates a memory for values between the host and components.
    Bump(MemoryId),
}

/// How strings are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text {
    /// From this memory, where they are encoded so.
    pub from: (MemoryId, Encoding),
    /// To this one.
    pub to: (MemoryId, Encoding),
    /// Allocates there.
    pub realloc: FunctionId,
    /// The component whose function that is.
    pub component: ComponentId,
}

/// What is done with a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `resource.new`.
    New,
    /// `resource.rep`.
    Rep,
    /// `resource.drop`.
    Drop,
}

/// Functions on a table of handles.
#[derive(Clone, Copy, Debug)]
pub enum HandleCode {
    /// Adds a handle.
    Add,
    /// Finds one.
    Get,
    /// Removes one.
    Free,
    /// Gives back what was lent.
    GiveBack,
}

/// A table of handles: its memory and the functions on it.
#[derive(Clone, Copy, Debug)]
pub struct HandleTable {
    /// Where it is.
    pub memory: MemoryId,
    /// [`HandleCode::Add`].
    pub add: FunctionId,
    /// [`HandleCode::Get`].
    pub get: FunctionId,
    /// [`HandleCode::Free`].
    pub free: FunctionId,
    /// [`HandleCode::GiveBack`].
    pub give_back: FunctionId,
}

/// A resource type.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource {
    /// The component that defines it, unless the host does.
    pub owner: Option<ComponentId>,
    /// Its destructor.
    pub destructor: Option<FunctionId>,
    /// Whether components have handles of their own for it, although it is the host's.
    pub is_shared: bool,
}

/// A memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The size of a page, as a power of two.
    pub page_log2: u32,
    /// Whether generated code alone uses it.
    pub is_hidden: bool,
}

/// A function of the host, as the lowered module imports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostFunction {
    /// The interface, with its version cut.
    pub module: String,
    /// The function.
    pub name: String,
    /// Its type.
    pub ty: FuncType,
    /// The memory that it uses.
    pub memory: Option<MemoryId>,
}

/// What is needed to fetch a result.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// Allocates memory of the caller.
    pub realloc: FunctionId,
    /// The memory of the caller.
    pub memory: MemoryId,
}

/// A function of a component that a core function implements.
#[derive(Clone, Debug)]
pub struct Lift {
    /// The core function.
    pub function: FunctionId,
    /// Its type.
    pub signature: Signature,
    /// How values are passed.
    pub options: Options,
    /// The component.
    pub component: ComponentId,
}

/// Options of the canonical ABI.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Where values lie that are not passed flat.
    pub memory: Option<MemoryId>,
    /// Allocates that memory.
    pub realloc: Option<FunctionId>,
    /// Called when a result has been read.
    pub post_return: Option<FunctionId>,
    /// How strings are encoded.
    pub encoding: Encoding,
}

impl Options {
    /// The memory, which the validator has demanded for this type.
    pub fn memory(&self) -> Result<MemoryId> {
        self.memory.ok_or_else(|| LowerError::Mistake("there is no memory".to_owned()))
    }

    /// The function that allocates, which the validator has demanded for this type.
    pub fn realloc(&self) -> Result<FunctionId> {
        self.realloc.ok_or_else(|| LowerError::Mistake("there is no `realloc`".to_owned()))
    }
}

/// An instance of a core module, with its index spaces.
#[derive(Debug)]
pub struct CoreInstance<'p, 'a> {
    /// Its module.
    pub module: &'p Module<'a>,
    /// Its functions.
    pub functions: Vec<FunctionId>,
    /// Its tables.
    pub tables: Vec<usize>,
    /// Its memories.
    pub memories: Vec<MemoryId>,
    /// Its globals.
    pub globals: Vec<usize>,
    /// Its tags.
    pub tags: Vec<usize>,
}

/// A function that the component exports.
#[derive(Debug)]
pub struct Export<'a> {
    /// The interface that has it.
    pub interface: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// The function.
    pub lift: usize,
    /// The call of it by the host, if handles are translated.
    pub translated: Option<FunctionId>,
}

/// A memory for values between the host and components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// When components call the host.
    Out,
    /// When the host calls components.
    In,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Graph<'p, 'a> {
    /// Types of values.
    pub types: Types,
    /// Instances of modules, in the order in which they start.
    pub instances: Vec<CoreInstance<'p, 'a>>,
    /// Core functions.
    pub functions: Vec<Function>,
    /// How many tables there are.
    pub tables: usize,
    /// The memories.
    pub memories: Vec<Memory>,
    /// For each global: its value, if that is known.
    pub globals: Vec<Option<Constant>>,
    /// How many tags there are.
    pub tags: usize,
    /// Functions of components that core functions implement.
    pub lifts: Vec<Lift>,
    /// Of each instance of a component, the one that it is in.
    pub components: Vec<Option<ComponentId>>,
    /// Functions that check strings in a memory.
    pub utf8: HashMap<MemoryId, FunctionId>,
    /// Functions that copy strings.
    pub texts: HashMap<Text, FunctionId>,
    /// Resource types.
    pub resources: Vec<Resource>,
    /// Tables of handles, in the order in which they were needed.
    pub handles: BTreeMap<usize, HandleTable>,
    /// The memory for what is lent, and the function that remembers.
    pub lent: Option<(MemoryId, FunctionId)>,
    /// What is exported.
    pub exports: Vec<Export<'a>>,
    /// Functions that drop handles of the host, by the interface and the name of the resource.
    pub drops: Vec<(Option<&'a str>, &'a str, FunctionId)>,
    /// The host, as far as it is like a component: it has handles, and calls or is called.
    pub host: Option<ComponentId>,
    /// How values are passed to and by it where it cannot see those of a component.
    pub transfers: [Option<Options>; 2],
    /// The function that ends a command with a failure, if there is a command.
    pub exit: Option<FunctionId>,
    /// What has functions of the host's interfaces, if anything has.
    pub adapter: Option<Adapter<'p>>,
    /// Its memory, if one of its functions is used.
    pub own: Option<MemoryId>,
}

/// A value that is known before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, by its bits.
    F32(u32),
    /// `f64`, by its bits.
    F64(u64),
    /// `v128`.
    V128(i128),
    /// A reference to a function.
    Function(FunctionId),
}

impl Graph<'_, '_> {
    /// Adds a function.
    pub fn add(&mut self, function: Function) -> FunctionId {
        self.functions.push(function);
        FunctionId(self.functions.len() - 1)
    }

    /// The function that checks strings in a memory.
    pub fn utf8(&mut self, memory: MemoryId) {
        if !self.utf8.contains_key(&memory) {
            let function = self.add(Function::Utf8(memory));
            self.utf8.insert(memory, function);
        }
    }

    /// The function that copies strings from one side to the other, unless they are UTF-8 on both.
    pub fn text(&mut self, from: (&Options, ComponentId), to: (&Options, ComponentId)) -> Result<()> {
        if let Some(text) = text(from.0, to)? {
            if text.from.1 == Encoding::Utf8 {
                self.utf8(text.from.0);
            }
            if !self.texts.contains_key(&text) {
                let function = self.add(Function::Text(text));
                self.texts.insert(text, function);
            }
        }
        Ok(())
    }

    /// A component, the one that it is in, and so on.
    pub fn ancestors(&self, component: ComponentId) -> impl Iterator<Item = ComponentId> {
        std::iter::successors(Some(component), |inner| self.components[inner.0])
    }

    /// The components that a call enters: those of the callee that are not of the caller.
    pub fn entered(&self, caller: ComponentId, callee: ComponentId) -> Vec<ComponentId> {
        let from: Vec<_> = self.ancestors(caller).collect();
        self.ancestors(callee).filter(|component| !from.contains(component)).collect()
    }

    /// A new resource type.
    pub fn new_resource(&mut self, resource: Resource) -> ResourceId {
        self.resources.push(resource);
        ResourceId { number: self.resources.len() - 1, is_host: resource.owner.is_none() }
    }

    /// A memory that no module has.
    pub fn hidden_memory(&mut self) -> MemoryId {
        self.memories.push(Memory { page_log2: 16, is_hidden: true });
        MemoryId(self.memories.len() - 1)
    }

    /// The host, as a component that is in no other.
    pub fn host(&mut self) -> ComponentId {
        *self.host.get_or_insert_with(|| {
            self.components.push(None);
            ComponentId(self.components.len() - 1)
        })
    }

    /// How the host passes values where it cannot see those of a component.
    pub fn transfer(&mut self, transfer: Transfer) -> Options {
        if let Some(known) = self.transfers[transfer as usize] {
            return known;
        }
        let memory = self.hidden_memory();
        let realloc = self.add(Function::Bump(memory));
        let options = Options { memory: Some(memory), realloc: Some(realloc), ..Options::default() };
        self.transfers[transfer as usize] = Some(options);
        options
    }

    /// Gives a component a table of handles, unless it has one.
    pub fn need_handles(&mut self, component: ComponentId) {
        if !self.handles.contains_key(&component.0) {
            let memory = self.hidden_memory();
            let [add, get, free, give_back] =
                [HandleCode::Add, HandleCode::Get, HandleCode::Free, HandleCode::GiveBack]
                    .map(|code| self.add(Function::Handles(code, component)));
            self.handles.insert(component.0, HandleTable { memory, add, get, free, give_back });
        }
    }

    /// Makes what remembers lent handles, unless it is there.
    pub fn need_lent(&mut self) {
        if self.lent.is_none() {
            let memory = self.hidden_memory();
            self.lent = Some((memory, self.add(Function::Lend)));
        }
    }

    /// The value of a constant expression of an instance, if it is known. `globals` are those of the instance so far.
    pub fn evaluate(
        &self,
        expression: &wasmparser::ConstExpr<'_>,
        globals: &[usize],
        functions: &[FunctionId],
    ) -> Result<Option<Constant>> {
        use Constant::{I32, I64};
        use wasmparser::Operator;
        let mut stack = Vec::new();
        let mut reader = expression.get_operators_reader();
        while !reader.is_end_then_eof() {
            let operator = reader.read()?;
            let value = match operator {
                Operator::I32Const { value } => I32(value),
                Operator::I64Const { value } => I64(value),
                Operator::F32Const { value } => Constant::F32(value.bits()),
                Operator::F64Const { value } => Constant::F64(value.bits()),
                Operator::V128Const { value } => Constant::V128(value.i128()),
                Operator::RefFunc { function_index } => Constant::Function(item(functions, function_index)?),
                Operator::GlobalGet { global_index } => match self.globals.get(item(globals, global_index)?) {
                    Some(Some(value)) => *value,
                    _ => return Ok(None),
                },
                operator => {
                    let (right, left) = (stack.pop(), stack.pop());
                    match (operator, left, right) {
                        (Operator::I32Add, Some(I32(a)), Some(I32(b))) => I32(a.wrapping_add(b)),
                        (Operator::I32Sub, Some(I32(a)), Some(I32(b))) => I32(a.wrapping_sub(b)),
                        (Operator::I32Mul, Some(I32(a)), Some(I32(b))) => I32(a.wrapping_mul(b)),
                        (Operator::I64Add, Some(I64(a)), Some(I64(b))) => I64(a.wrapping_add(b)),
                        (Operator::I64Sub, Some(I64(a)), Some(I64(b))) => I64(a.wrapping_sub(b)),
                        (Operator::I64Mul, Some(I64(a)), Some(I64(b))) => I64(a.wrapping_mul(b)),
                        // References to objects and to nothing stay as they are written.
                        _ => return Ok(None),
                    }
                }
            };
            stack.push(value);
        }
        Ok(stack.pop())
    }

    /// Whether an export is the entry of a command.
    pub fn is_command(&self, export: &Export<'_>) -> bool {
        let Some(interface) = export.interface else { return false };
        let signature = &self.lifts[export.lift].signature;
        let is_plain_result =
            |id| matches!(&self.types.get(id).kind, Kind::Variant(cases) if cases[..] == [None, None]);
        export.name == "run"
            && compatible(interface) == RUN
            && signature.params.is_empty()
            && signature.result.is_some_and(is_plain_result)
    }
}

/// How strings are copied from one side to the other, unless they are UTF-8 on both.
pub fn text(from: &Options, (to, component): (&Options, ComponentId)) -> Result<Option<Text>> {
    if from.encoding == Encoding::Utf8 && to.encoding == Encoding::Utf8 {
        return Ok(None);
    }
    let (from, realloc) = ((from.memory()?, from.encoding), to.realloc()?);
    Ok(Some(Text { from, to: (to.memory()?, to.encoding), realloc, component }))
}
