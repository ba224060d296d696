//! Which calls may throw, so that code looks for an exception only behind those.

use crate::compile::{CompileOptions, ImportLinkage};
use crate::error::CompileError;
use crate::module::Module;
use crate::parallel;
use std::collections::{HashMap, HashSet};
use wasmparser::{Catch, FunctionBody, Operator};
use wave_contract::module::{ConstExpr, ConstOp, ElementItems, ExportKind, ImportType, ModuleInfo};
use wave_contract::types::SignatureId;

/// Which functions may throw. Host functions never do.
#[derive(Default)]
pub(crate) struct Throwing {
    /// By function index; empty if none does.
    functions: Vec<bool>,
    /// Shapes of functions that may throw and that references exist to.
    signatures: HashSet<SignatureId>,
    /// Whether references may be to functions of which nothing is known.
    foreign: bool,
}

impl Throwing {
    /// Whether a call of a function may throw.
    pub(crate) fn function(&self, function: u32) -> bool {
        self.functions.get(function as usize).is_some_and(|throws| *throws)
    }

    /// Whether a call through a table or reference may throw: of a type with this shape.
    pub(crate) fn indirect(&self, signature: SignatureId) -> bool {
        self.foreign || self.signatures.contains(&signature)
    }

    /// Reads all bodies, if there can be exceptions at all.
    pub(crate) fn of(module: &Module<'_>, options: &CompileOptions<'_>) -> Result<Self, CompileError> {
        let info = &module.info;
        let imported = options.imports.contains(&ImportLinkage::Guest);
        let foreign = imported || module.linked && exchanges_functions(info);
        if info.tags.is_empty() && !foreign {
            return Ok(Self::default());
        }
        let bodies = read(module, options.threads)?;
        let throws = options.imports.iter().map(|linkage| *linkage == ImportLinkage::Guest);
        let mut found: Vec<u32> =
            (0..).zip(throws).filter(|(_, throws)| *throws).map(|(function, _)| function).collect();
        let mut callers = vec![Vec::new(); info.functions.len()];
        let mut indirect_callers: HashMap<SignatureId, Vec<u32>> = HashMap::new();
        let signature = |ty: u32| options.signatures.get(ty as usize).map_or(SignatureId::NULL, |ids| ids.shape);
        for (function, body) in (info.imported_functions..).zip(&bodies) {
            if body.throws || foreign && !body.indirect.is_empty() {
                found.push(function);
            }
            for callee in &body.calls {
                if let Some(callers) = callers.get_mut(*callee as usize) {
                    callers.push(function);
                }
            }
            for ty in &body.indirect {
                indirect_callers.entry(signature(*ty)).or_default().push(function);
            }
        }

        let referenced = referenced(info, &bodies);
        let mut this = Self { functions: vec![false; info.functions.len()], signatures: HashSet::new(), foreign };
        while let Some(function) = found.pop() {
            if std::mem::replace(&mut this.functions[function as usize], true) {
                continue;
            }
            found.append(&mut callers[function as usize]);
            let id = signature(info.functions[function as usize]);
            if referenced.contains(&function) && this.signatures.insert(id) {
                found.extend(indirect_callers.remove(&id).into_iter().flatten());
            }
        }
        Ok(this)
    }
}

/// Refuses a module that uses two generations of exceptions: what they mean together was never said.
pub(crate) fn check(module: &Module<'_>, threads: usize) -> Result<(), CompileError> {
    if module.info.tags.is_empty() { Ok(()) } else { read(module, threads).map(drop) }
}

/// Reads all bodies.
fn read(module: &Module<'_>, threads: usize) -> Result<Vec<Body>, CompileError> {
    let weights: Vec<usize> = module.bodies.iter().map(|body| body.as_bytes().len()).collect();
    let read = parallel::run(&weights, threads, Vec::new, |read: &mut Vec<(u32, Body)>, number| {
        read.push((number, Body::read(&module.bodies[number as usize])));
        Ok(())
    })?;
    let mut bodies = vec![Body::default(); module.bodies.len()];
    for (number, body) in read.into_iter().flatten() {
        bodies[number as usize] = body;
    }
    let legacy = bodies.iter().find_map(|body| body.legacy);
    match legacy.filter(|_| bodies.iter().any(|body| body.modern)) {
        None => Ok(bodies),
        Some(offset) => Err(CompileError::Invalid {
            message: "`try` of the older exceptions proposal, in a module that also uses `try_table` or `throw_ref`"
                .to_owned(),
            offset,
        }),
    }
}

/// Whether a module can get hold of other instances' functions, but for those it imports.
fn exchanges_functions(info: &ModuleInfo) -> bool {
    let shared = |import: &ImportType| match import {
        ImportType::Table(_) => true,
        ImportType::Global(ty) => ty.content.is_reference(),
        ImportType::Function(_) | ImportType::Memory(_) | ImportType::Tag(_) => false,
    };
    info.imports.iter().any(|import| shared(&import.ty))
        || info.exports.iter().any(|export| matches!(export.kind, ExportKind::Table | ExportKind::Global))
        || info.types.iter().any(|ty| ty.values().any(|ty| ty.is_reference()))
}

/// The functions that references can be to.
fn referenced(info: &ModuleInfo, bodies: &[Body]) -> HashSet<u32> {
    let of_expression = |expression: &ConstExpr| {
        let function = |op: &ConstOp| if let ConstOp::RefFunc(function) = op { Some(*function) } else { None };
        expression.iter().filter_map(function).collect::<Vec<_>>()
    };
    let mut functions: HashSet<u32> = bodies.iter().flat_map(|body| body.references.iter().copied()).collect();
    functions.extend(info.global_inits.iter().flat_map(of_expression));
    for segment in &info.elements {
        match &segment.items {
            ElementItems::Functions(indexes) => functions.extend(indexes),
            ElementItems::Expressions(expressions) => functions.extend(expressions.iter().flat_map(of_expression)),
        }
    }
    functions
}

/// What a body does that matters here, each thing once.
#[derive(Clone, Default)]
struct Body {
    /// Where it uses the older proposal's instructions.
    legacy: Option<u64>,
    /// Whether it uses instructions that the older proposal does not have.
    modern: bool,
    /// It throws, and does not catch that itself.
    throws: bool,
    /// Functions that it calls where it does not catch everything.
    calls: Vec<u32>,
    /// Types of its calls through tables and references, likewise.
    indirect: Vec<u32>,
    /// Functions that it makes references to.
    references: Vec<u32>,
}

impl Body {
    /// Reads a body. What is invalid in it, its translation finds.
    fn read(body: &FunctionBody<'_>) -> Self {
        let mut found = Self::default();
        let Ok(operators) = body.get_operators_reader() else { return found };
        let (mut calls, mut indirect, mut references) = (HashSet::new(), HashSet::new(), HashSet::new());
        // For each open block, whether it or one around it catches everything.
        let mut catching = vec![false];
        for operator in operators.into_iter_with_offsets() {
            let Ok((operator, offset)) = operator else { break };
            match operator {
                Operator::Try { .. } => found.legacy = found.legacy.or(Some(offset)),
                Operator::TryTable { .. } | Operator::ThrowRef => found.modern = true,
                _ => {}
            }
            let caught = catching.last().copied().unwrap_or(false);
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::Try { .. } => {
                    catching.push(caught);
                }
                Operator::TryTable { try_table } => {
                    let all = |catch: &Catch| matches!(catch, Catch::All { .. } | Catch::AllRef { .. });
                    catching.push(caught || try_table.catches.iter().any(all));
                }
                Operator::End | Operator::Delegate { .. } => {
                    catching.pop();
                }
                Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => found.throws |= !caught,
                Operator::Call { function_index } if !caught => {
                    calls.insert(function_index);
                }
                // A tail call leaves the blocks that would catch.
                Operator::ReturnCall { function_index } => {
                    calls.insert(function_index);
                }
                Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } if !caught => {
                    indirect.insert(type_index);
                }
                Operator::ReturnCallIndirect { type_index, .. } | Operator::ReturnCallRef { type_index } => {
                    indirect.insert(type_index);
                }
                Operator::RefFunc { function_index } => {
                    references.insert(function_index);
                }
                _ => {}
            }
        }
        found.calls = calls.into_iter().collect();
        found.indirect = indirect.into_iter().collect();
        found.references = references.into_iter().collect();
        found
    }
}
