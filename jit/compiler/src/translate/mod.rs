//! Translates one function body, operator by operator, to Cranelift's intermediate representation.
//!
//! Values of the operand stack are Cranelift values. Two kinds are kept as they come until a place needs the canonical
//! form (see [`Translator::settle`]): results of comparisons (`I8` where WebAssembly says i32), and vectors (any lane
//! type where the canonical one is `I8X16`).

mod atomic;
mod call;
mod control;
mod dispatch;
mod exception;
mod fuel;
mod local;
mod memory;
mod numeric;
mod object;
mod relaxed;
mod simd;
mod simd_memory;
mod table;
mod wide;

use crate::emit::{EmitScratch, Emitter, Environment, FUNCTIONS, clif_type};
use crate::error::CompileError;
use crate::hints::FunctionHints;
use crate::module::val_type;
use control::Frame;
use cranelift_codegen::ir::types::{I8, I8X16, I32};
use cranelift_codegen::ir::{
    Block, BlockArg, Endianness, Function, InstBuilder, MemFlagsData, SourceLoc, StackSlot, Type, UserFuncName, Value,
};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder, FunctionBuilderContext, Variable};
use fuel::Charge;
use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, OperatorsReader, OperatorsReaderAllocations,
    ValidatorResources, WasmFeatures,
};
use wave_contract::libcall::Libcall;
use wave_contract::types::FuncType;

/// Maximum number of values that one function may pass to branches, calls and blocks, and most values Cranelift may hold for it.
///
/// A body of 7 MB can name thousand-value blocks with a few bytes each; honest functions use a small part of this (T62).
const MAX_VALUES: usize = 1 << 24;

/// Maximum number of entries of a jump table, as in the JavaScript API's limits (T62).
const MAX_TABLE_ENTRIES: usize = 65_520;

/// What an entry of a jump table counts in values: every entry is an edge that the register allocator may split (T62).
const TABLE_ENTRY_VALUES: usize = 16;

/// Bound on variables times blocks, whose product Cranelift's construction of SSA form may need in memory. Locals past it
/// live in the frame instead (T62).
const MAX_VARIABLE_BLOCKS: usize = 1 << 26;

/// Deepest nesting of loops that is optimized: what the optimizer does per instruction grows with the depth's square. Deeper
/// functions are translated without variables and not optimized at all (T62).
const MAX_OPTIMISED_LOOPS: u32 = 64;

/// Deepest nesting of blocks: the register allocator's time grows with its square (T62).
const MAX_NESTING: usize = 50_000;

/// Memory that one worker uses for one function after another.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) emit: EmitScratch,
    stack: Vec<Value>,
    values: Vec<Value>,
    branch: Vec<BlockArg>,
    locals: Vec<Type>,
    validator: FuncValidatorAllocations,
    operators: OperatorsReaderAllocations,
}

/// The body to translate.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, 'm> {
    pub(crate) function: u32,
    pub(crate) ty: u32,
    pub(crate) body: &'a FunctionBody<'m>,
    pub(crate) hints: FunctionHints<'a>,
    pub(crate) resources: &'a ValidatorResources,
    pub(crate) features: WasmFeatures,
    /// If it is one of the collector's: the index of its type there. Its operators are in the collector's numbers, too.
    pub(crate) collector: Option<u32>,
}

impl Source<'_, '_> {
    fn to_validate(self) -> FuncToValidate<ValidatorResources> {
        let Self { function: index, resources, features, .. } = self;
        FuncToValidate { resources: resources.clone(), index, ty: self.collector.unwrap_or(self.ty), features }
    }
}

/// Validates a body without translating it.
pub(crate) fn validate(source: Source<'_, '_>, scratch: &mut Scratch) -> Result<(), CompileError> {
    let validator = std::mem::take(&mut scratch.validator);
    let mut validator = source.to_validate().into_validator(validator);
    validator.validate(source.body)?;
    scratch.validator = validator.into_allocations();
    Ok(())
}

/// How a body is translated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Locals are variables.
    Usual,
    /// Locals lie in the frame, so that no loop carries them.
    Deep,
}

/// The result of a translation.
pub(crate) enum Outcome {
    /// It is translated.
    Done,
    /// Its loops are nested so deeply that it must be translated again, in [`Shape::Deep`] and with new builders.
    TooDeep,
}

/// Validates a body and translates it to `func`.
pub(crate) fn translate<'a>(
    env: &'a Environment<'a>,
    source: Source<'a, '_>,
    shape: Shape,
    func: &'a mut Function,
    builders: &'a mut FunctionBuilderContext,
    scratch: &'a mut Scratch,
    config: TargetFrontendConfig,
) -> Result<Outcome, CompileError> {
    let Scratch { emit, stack, values, branch, locals, validator: validator_allocations, operators } = scratch;
    stack.clear();
    locals.clear();
    let ty = env.ty(source.ty);
    func.name = UserFuncName::user(FUNCTIONS, source.function);
    func.signature = env.guest_signature(ty);

    let mut validator = source.to_validate().into_validator(std::mem::take(validator_allocations));
    let mut reader = source.body.get_binary_reader();
    reader.set_features(source.features);
    locals.extend(ty.params.iter().map(|&ty| clif_type(ty)));
    for _ in 0..reader.read_var_u32()? {
        let offset = reader.original_position();
        let count: u32 = reader.read()?;
        let ty: wasmparser::ValType = reader.read()?;
        // Refuses too many before they are stored.
        validator.define_locals(offset, count, ty)?;
        locals.extend(std::iter::repeat_n(clif_type(val_type(ty)?), count as usize));
    }

    let mut b = FunctionBuilder::new(func, builders);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let position = |offset| if source.collector.is_some() { SourceLoc::default() } else { source_position(offset) };
    b.set_srcloc(position(reader.original_position()));
    let context = env.passes_context().then(|| b.block_params(entry)[0]);
    let mut translator = Translator {
        e: Emitter::new(env, b, context, emit),
        stack,
        values,
        branch,
        frames: vec![Frame::function(ty)],
        ty,
        dead: None,
        shape,
        loops: 0,
        locals,
        variables: 0,
        spilled: None,
        charged: 0,
        landing: None,
        fuel: None,
        counter: None,
        hints: source.hints,
        collector: source.collector.is_some(),
        offset: 0,
        offset_in_body: 0,
    };
    translator.define_locals(entry, ty.params.len(), source.body.as_bytes().len());
    translator.define_counter();

    let mut reader = OperatorsReader::new_with_allocs(reader, std::mem::take(operators));
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset()?;
        validator.op(offset, &operator)?;
        translator.offset = offset;
        translator.offset_in_body = u32::try_from(offset - source.body.range().start).unwrap_or(u32::MAX);
        translator.e.b.set_srcloc(position(offset));
        match env.objects.filter(|_| source.collector.is_some()) {
            None => translator.operator(&operator)?,
            Some(objects) => match objects.relocate(&operator) {
                Some(operator) => translator.operator(&operator)?,
                None => translator.libcall(Libcall::Roots, &[], 3),
            },
        }
        if translator.loops > MAX_OPTIMISED_LOOPS && shape == Shape::Usual {
            return Ok(Outcome::TooDeep);
        }
    }
    reader.finish()?;
    translator.end_landing();
    *operators = reader.into_allocations();
    *validator_allocations = validator.into_allocations();
    translator.e.b.finalize(config);
    Ok(Outcome::Done)
}

/// A module offset as Cranelift keeps it; modules are below 4 GiB.
fn source_position(offset: u64) -> SourceLoc {
    SourceLoc::new(u32::try_from(offset).unwrap_or(u32::MAX))
}

/// State while one body is translated. The validator has accepted every operator that arrives here.
struct Translator<'e, 'b> {
    e: Emitter<'e, 'b>,
    stack: &'b mut Vec<Value>,
    /// Arguments and results of the current operator.
    values: &'b mut Vec<Value>,
    /// Arguments of the current branch.
    branch: &'b mut Vec<BlockArg>,
    frames: Vec<Frame<'e>>,
    /// Type of the function.
    ty: &'e FuncType,
    /// In unreachable code: how many blocks were opened since it began.
    dead: Option<u32>,
    shape: Shape,
    /// How many loops are open.
    loops: u32,
    locals: &'b mut Vec<Type>,
    /// Locals from this one on live in `spilled`.
    variables: usize,
    spilled: Option<StackSlot>,
    charged: usize,
    /// Where code goes on when something has been thrown that no block of this function catches, once something can be.
    landing: Option<Block>,
    /// What the current block of operators takes of the fuel, once it takes any.
    fuel: Option<Charge>,
    /// The fuel counter, where code counts fuel and has variables.
    counter: Option<Variable>,
    hints: FunctionHints<'b>,
    /// Whether the function is one of the collector's.
    collector: bool,
    /// Position of the current operator in the module.
    offset: u64,
    /// The same, in the function's body: hints are counted so.
    offset_in_body: u32,
}

impl<'b> Translator<'_, 'b> {
    fn ins(&mut self) -> FuncInstBuilder<'_, 'b> {
        self.e.b.ins()
    }

    fn type_of(&self, value: Value) -> Type {
        self.e.b.func.dfg.value_type(value)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Takes the top value as it is.
    fn pop_raw(&mut self) -> Value {
        self.stack.pop().expect("validated: the operand exists")
    }

    /// Takes the top value in its canonical form.
    fn pop(&mut self) -> Value {
        let value = self.pop_raw();
        self.settle(value)
    }

    /// Takes two values, the lower one first.
    fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    /// Takes the top vector with lanes of `ty`.
    fn pop_vector(&mut self, ty: Type) -> Value {
        let value = self.pop_raw();
        self.cast_vector(ty, value)
    }

    fn cast_vector(&mut self, ty: Type, value: Value) -> Value {
        if self.type_of(value) == ty {
            return value;
        }
        // WebAssembly numbers lanes as bytes in memory do.
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.ins().bitcast(ty, flags, value)
    }

    /// The canonical form of a value: what locals, blocks, calls and memory hold.
    fn settle(&mut self, value: Value) -> Value {
        let ty = self.type_of(value);
        if ty == I8 {
            self.ins().uextend(I32, value)
        } else if ty.is_vector() {
            self.cast_vector(I8X16, value)
        } else {
            value
        }
    }

    /// Settles the top `count` values where they are and gives the stack's height below them.
    fn settle_top(&mut self, count: usize) -> usize {
        let height = self.stack.len().checked_sub(count).expect("validated: the operands exist");
        for at in height..self.stack.len() {
            self.stack[at] = self.settle(self.stack[at]);
        }
        height
    }

    /// Accounts for `count` values and refuses functions that pass a bound no honest one comes near (T62).
    fn charge(&mut self, count: usize) -> Result<(), CompileError> {
        self.charged = self.charged.saturating_add(count);
        if self.charged > MAX_VALUES || self.e.b.func.dfg.num_values() > MAX_VALUES {
            return Err(self.unsupported(format!("function with more than {MAX_VALUES} values")));
        }
        Ok(())
    }

    fn unsupported(&self, what: impl Into<String>) -> CompileError {
        CompileError::Unsupported { what: what.into(), offset: self.offset }
    }
}
