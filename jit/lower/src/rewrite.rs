//! Rewrites the parts of one instance of a module to the index spaces of the whole.

use crate::error::{LowerError, Result, item};
use crate::graph::{Constant, CoreInstance, FunctionId, Graph, MemoryId};
use std::collections::{BTreeSet, HashMap};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{ConstExpr, Encode, FuncType, Instruction, TypeSection};
use wasmparser::{CompositeInnerType, Operator, RecGroup, ValType};

/// The numbers of items in the lowered module.
#[derive(Debug)]
pub struct Numbers {
    /// Of functions.
    pub functions: Vec<u32>,
    /// Of memories.
    pub memories: Vec<u32>,
}

/// The number of an index, which is below a bound of the validator.
pub fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Numbers {
    /// Of a function.
    pub fn function(&self, function: FunctionId) -> u32 {
        self.functions[function.0]
    }

    /// Of a memory.
    pub fn memory(&self, memory: MemoryId) -> u32 {
        self.memories[memory.0]
    }
}

/// The types of the lowered module.
#[derive(Debug, Default)]
pub struct CoreTypes {
    /// As a section.
    pub section: TypeSection,
    count: u32,
    known: HashMap<FuncType, u32>,
}

impl CoreTypes {
    /// The number of a type of functions.
    pub fn function(&mut self, ty: &FuncType) -> u32 {
        if let Some(known) = self.known.get(ty) {
            return *known;
        }
        self.section.ty().func_type(ty);
        self.known.insert(ty.clone(), self.count);
        self.count += 1;
        self.count - 1
    }
}

/// Rewrites one instance.
pub struct Rewriter<'x, 'p, 'a> {
    /// Where items come from.
    pub graph: &'x Graph<'p, 'a>,
    /// Where they are.
    pub numbers: &'x Numbers,
    /// The instance.
    pub instance: &'x CoreInstance<'p, 'a>,
    /// The numbers of its types.
    pub types: Vec<u32>,
    /// The number of its first element segment.
    pub elements: u32,
    /// The number of its first data segment.
    pub data: u32,
    /// Functions that code refers to, which must be declared.
    pub referenced: &'x mut BTreeSet<u32>,
}

impl Rewriter<'_, '_, '_> {
    /// Adds a group of types.
    pub fn add_types(&mut self, group: &RecGroup, types: &mut CoreTypes) -> Result<()> {
        if let Some(ty) = plain(group) {
            let ty = self.func_type(ty.clone()).map_err(plain_error)?;
            self.types.push(types.function(&ty));
            return Ok(());
        }
        for _ in group.types() {
            self.types.push(types.count);
            types.count += 1;
        }
        self.parse_recursive_type_group(types.section.ty(), group.clone()).map_err(plain_error)
    }

    /// The code of a constant expression, without its end. What is known is computed.
    pub fn expression(&mut self, expression: &wasmparser::ConstExpr<'_>) -> Result<Vec<u8>> {
        let known = self.graph.evaluate(expression, &self.instance.globals, &self.instance.functions)?;
        let mut code = Vec::new();
        if let Some(known) = known {
            let instruction = match known {
                Constant::I32(value) => Instruction::I32Const(value),
                Constant::I64(value) => Instruction::I64Const(value),
                Constant::F32(bits) => Instruction::F32Const(wasm_encoder::Ieee32::new(bits)),
                Constant::F64(bits) => Instruction::F64Const(wasm_encoder::Ieee64::new(bits)),
                Constant::V128(value) => Instruction::V128Const(value),
                Constant::Function(function) => Instruction::RefFunc(self.numbers.function(function)),
            };
            instruction.encode(&mut code);
            return Ok(code);
        }
        let mut reader = expression.get_operators_reader();
        while !reader.is_end_then_eof() {
            self.parse_instruction(&mut reader).map_err(plain_error)?.encode(&mut code);
        }
        Ok(code)
    }
}

impl Reencode for Rewriter<'_, '_, '_> {
    type Error = LowerError;

    fn function_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        let function = item(&self.instance.functions, index).map_err(Error::UserError)?;
        Ok(self.numbers.function(function))
    }

    fn table_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        item(&self.instance.tables, index).map(number).map_err(Error::UserError)
    }

    fn memory_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        let memory = item(&self.instance.memories, index).map_err(Error::UserError)?;
        Ok(self.numbers.memory(memory))
    }

    fn global_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        item(&self.instance.globals, index).map(number).map_err(Error::UserError)
    }

    fn tag_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        item(&self.instance.tags, index).map(number).map_err(Error::UserError)
    }

    fn type_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        item(&self.types, index).map_err(Error::UserError)
    }

    fn element_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        Ok(self.elements.saturating_add(index))
    }

    fn data_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        Ok(self.data.saturating_add(index))
    }

    fn const_expr(
        &mut self,
        expression: wasmparser::ConstExpr<'_>,
    ) -> std::result::Result<ConstExpr, Error<LowerError>> {
        self.expression(&expression).map(ConstExpr::raw).map_err(Error::UserError)
    }

    fn instruction<'b>(&mut self, operator: Operator<'b>) -> std::result::Result<Instruction<'b>, Error<LowerError>> {
        let instruction = utils::instruction(self, operator)?;
        if let Instruction::RefFunc(function) = instruction {
            self.referenced.insert(function);
        }
        Ok(instruction)
    }
}

/// The mistake behind an error of the encoder.
pub fn plain_error(error: Error<LowerError>) -> LowerError {
    match error {
        Error::UserError(error) => error,
        Error::ParseError(error) => LowerError::Invalid(error),
        other => LowerError::Mistake(other.to_string()),
    }
}

/// The type of functions that a group consists of, if it refers to no other type.
fn plain(group: &RecGroup) -> Option<&wasmparser::FuncType> {
    let mut types = group.types();
    let (Some(ty), None) = (types.next(), types.next()) else { return None };
    let is_plain =
        !group.is_explicit_rec_group() && ty.is_final && ty.supertype_idxs.is_empty() && !ty.composite_type.shared;
    let CompositeInnerType::Func(ty) = &ty.composite_type.inner else { return None };
    let refers = |ty: &ValType| matches!(ty, ValType::Ref(ty) if ty.is_concrete_type_ref());
    (is_plain && !ty.params().iter().chain(ty.results()).any(refers)).then_some(ty)
}
