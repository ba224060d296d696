//! The adapter: a module that has functions of the host's interfaces. What a component uses of it becomes part of the lowered module.
//!
//! Its functions are copied one by one, with those that they call. A function that reaches the memory or the `realloc` of its caller is
//! there once for each of them; the others are there once. All state of the adapter is in a memory of its own, which is the first of the
//! lowered module, because that is the one that the host's functions see.

use crate::error::{LowerError, Result, item};
use crate::graph::{FunctionId, HostFunction};
use crate::read::Module;
use std::collections::{BTreeSet, HashMap};
use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder};
use wasm_encoder::{CodeSection, FuncType, MemoryType};
use wasmparser::{CompositeInnerType, ExternalKind, Payload, TypeRef};

/// Number of the memory of who calls, among the imports. The one before is that of the adapter itself.
const GUEST: u32 = 1;

/// What a function of the adapter needs.
#[derive(Debug, Default, Clone)]
struct Needs {
    /// Functions that it calls, by their number.
    calls: BTreeSet<u32>,
    /// Whether it, or one that it calls, uses the memory of who calls.
    memory: bool,
    /// Whether it, or one that it calls, allocates there.
    realloc: bool,
}

/// An adapter, read.
#[derive(Debug)]
pub struct Adapter<'a> {
    module: Module<'a>,
    types: Vec<FuncType>,
    /// Of each function, by its number: its type.
    functions: Vec<u32>,
    /// Imported functions. `None` is the `realloc` of who calls.
    imports: Vec<Option<HostFunction>>,
    /// What the defined functions need.
    needs: Vec<Needs>,
    exports: HashMap<&'a str, u32>,
    interfaces: BTreeSet<&'a str>,
    /// The type of its own memory.
    pub memory: MemoryType,
}

/// What a function of the adapter is, for those who call it.
#[derive(Debug)]
pub enum Kind<'x> {
    /// It allocates memory of who calls.
    Realloc,
    /// It is the host's.
    Host(&'x HostFunction),
    /// The adapter has it.
    Defined {
        /// What it calls.
        calls: &'x BTreeSet<u32>,
        /// Whether there is one for each memory of those who call.
        memory: bool,
        /// Whether there is one for each `realloc`.
        realloc: bool,
    },
}

impl<'a> Adapter<'a> {
    /// Reads an adapter.
    ///
    /// # Errors
    /// If it is no module, or has what its functions cannot take with them.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Module::default();
        for payload in wasmparser::Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { .. } | Payload::End(_) => {}
                payload => module.section(payload)?,
            }
        }
        let mistake = |what: &str| LowerError::Mistake(format!("the adapter has {what}"));
        let state = module.tables.is_some() || module.globals.is_some() || !module.memories.is_empty();
        if state || module.elements.is_some() || module.data.is_some() || module.start.is_some() {
            return Err(mistake("more than functions"));
        }
        let mut round = RoundtripReencoder;
        let mut types = Vec::new();
        for ty in module.types.iter().flat_map(wasmparser::RecGroup::types) {
            let CompositeInnerType::Func(ty) = &ty.composite_type.inner else { return Err(mistake("other types")) };
            types.push(round.func_type(ty.clone()).map_err(|error| LowerError::Mistake(error.to_string()))?);
        }
        let (mut functions, mut imports, mut memories) = (Vec::new(), Vec::new(), Vec::new());
        for import in &module.imports {
            match import.ty {
                TypeRef::Memory(ty) => {
                    memories.push(round.memory_type(ty).map_err(|error| LowerError::Mistake(error.to_string()))?);
                }
                TypeRef::Func(ty) => {
                    functions.push(ty);
                    imports.push(match (import.module, import.name) {
                        ("guest", "realloc") => None,
                        (from, name) => Some(HostFunction {
                            module: from.to_owned(),
                            name: name.to_owned(),
                            ty: item(&types, ty)?,
                            memory: None,
                        }),
                    });
                }
                _ => return Err(mistake("other imports")),
            }
        }
        let [memory, _] = memories[..] else { return Err(mistake("other memories than two")) };
        functions.extend(&module.functions);
        let exports: HashMap<&str, u32> = module
            .exports
            .iter()
            .filter(|export| export.kind == ExternalKind::Func)
            .map(|export| (export.name, export.index))
            .collect();
        let interfaces = exports.keys().filter_map(|name| Some(name.split_once('#')?.0)).collect();
        let needs = needs(&module, &imports)?;
        Ok(Self { module, types, functions, imports, needs, exports, interfaces, memory })
    }

    /// The number of a function of an interface, if the adapter has it.
    pub fn find(&self, interface: &str, name: &str) -> Option<u32> {
        self.exports.get(format!("{interface}#{name}").as_str()).copied()
    }

    /// Whether it has functions of an interface.
    pub fn has(&self, interface: &str) -> bool {
        self.interfaces.contains(interface)
    }

    /// The type of a function.
    pub fn ty(&self, function: u32) -> Result<&FuncType> {
        let ty = item(&self.functions, function)?;
        self.types.get(ty as usize).ok_or_else(|| LowerError::Mistake("a function has no type".to_owned()))
    }

    /// What a function is.
    pub fn kind(&self, function: u32) -> Result<Kind<'_>> {
        let function = function as usize;
        Ok(match (self.imports.get(function), function.checked_sub(self.imports.len())) {
            (Some(None), _) => Kind::Realloc,
            (Some(Some(host)), _) => Kind::Host(host),
            (None, index) => {
                let needs = index.and_then(|index| self.needs.get(index));
                let needs = needs.ok_or_else(|| LowerError::Mistake("no such function".to_owned()))?;
                Kind::Defined { calls: &needs.calls, memory: needs.memory, realloc: needs.realloc }
            }
        })
    }

    /// The name of a function, if it has one.
    pub fn name(&self, function: u32) -> Option<&'a str> {
        let names = &self.module.function_names;
        names.iter().find(|(number, _)| *number == function).map(|(_, name)| *name)
    }

    /// Writes a copy of a function.
    pub fn write(&self, function: u32, code: &mut CodeSection, copy: &mut Copy<'_>) -> Result<()> {
        let index = (function as usize).checked_sub(self.imports.len());
        let body = index.and_then(|index| self.module.code.get(index));
        let body = body.ok_or_else(|| LowerError::Mistake("a function has no body".to_owned()))?;
        copy.parse_function_body(code, body.clone()).map_err(crate::rewrite::plain_error)
    }

    /// Its types.
    pub fn types(&self) -> &[FuncType] {
        &self.types
    }
}

/// Where a copy of a function finds what it refers to.
#[derive(Debug)]
pub struct Copy<'x> {
    /// Functions, by their number in the adapter.
    pub functions: &'x HashMap<u32, u32>,
    /// The memory of the adapter, and that of who calls.
    pub memories: [Option<u32>; 2],
    /// Types, by their number in the adapter.
    pub types: &'x [u32],
}

impl Reencode for Copy<'_> {
    type Error = LowerError;

    fn function_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        let function = self.functions.get(&index).copied();
        function.ok_or_else(|| Error::UserError(LowerError::Mistake("a call leads nowhere".to_owned())))
    }

    fn memory_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        let memory = self.memories.get(index as usize).copied().flatten();
        memory.ok_or_else(|| Error::UserError(LowerError::Mistake("a copy has no memory".to_owned())))
    }

    fn type_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        item(self.types, index).map_err(Error::UserError)
    }
}

/// Notes what a function refers to.
#[derive(Default)]
struct Uses {
    calls: BTreeSet<u32>,
    guest: bool,
}

impl Reencode for Uses {
    type Error = LowerError;

    fn function_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        self.calls.insert(index);
        Ok(index)
    }

    fn memory_index(&mut self, index: u32) -> std::result::Result<u32, Error<LowerError>> {
        self.guest |= index == GUEST;
        Ok(index)
    }
}

/// What the functions of an adapter need, those that they call included.
fn needs(module: &Module<'_>, imports: &[Option<HostFunction>]) -> Result<Vec<Needs>> {
    let mut all = Vec::new();
    for body in &module.code {
        let mut uses = Uses::default();
        uses.parse_function_body(&mut CodeSection::new(), body.clone()).map_err(crate::rewrite::plain_error)?;
        let realloc = uses.calls.iter().any(|call| matches!(imports.get(*call as usize), Some(None)));
        all.push(Needs { memory: uses.guest, realloc, calls: uses.calls });
    }
    loop {
        let mut changed = false;
        for index in 0..all.len() {
            let callee = |call: &u32| all.get((*call as usize).checked_sub(imports.len())?);
            let (memory, realloc) = all[index]
                .calls
                .iter()
                .filter_map(callee)
                .fold((all[index].memory, all[index].realloc), |(memory, realloc), needs| {
                    (memory || needs.memory, realloc || needs.realloc)
                });
            changed |= (memory, realloc) != (all[index].memory, all[index].realloc);
            (all[index].memory, all[index].realloc) = (memory, realloc);
        }
        if !changed {
            return Ok(all);
        }
    }
}

/// A copy of a function of the adapter.
#[derive(Debug, Clone)]
pub struct Adapted {
    /// The function, by its number in the adapter.
    pub function: u32,
    /// What it calls, by numbers in the adapter.
    pub calls: HashMap<u32, FunctionId>,
    /// The memory of who calls, if it uses one.
    pub memory: Option<crate::graph::MemoryId>,
}
