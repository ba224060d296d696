//! The functions of the collector, which is WebAssembly, as they are compiled with a module that has objects.

use crate::error::CompileError;
use wasmparser::{
    FunctionBody, MemArg, MemArgTarget, Operator, Parser, Payload, ValidPayload, Validator, ValidatorResources,
    WasmFeatures,
};
use wave_contract::module::ModuleInfo;
use wave_contract::object::{Added, StructLayout};
use wave_contract::types::{CompositeType, SubType};

/// What a module with objects has beyond its own.
pub(crate) struct Objects {
    pub(crate) added: Added,
    /// Of each type of structures, where its fields are.
    structs: Vec<Option<StructLayout>>,
    pub(crate) bodies: Vec<FunctionBody<'static>>,
    /// Of each body, the index of its type in the collector's module.
    pub(crate) types: Vec<u32>,
    pub(crate) resources: ValidatorResources,
}

/// How many functions the collector imports: `roots`.
const IMPORTED: u32 = 1;

impl Objects {
    pub(crate) fn new(added: Added, info: &ModuleInfo) -> Result<Self, CompileError> {
        let (mut bodies, mut types, mut resources) = (Vec::new(), Vec::new(), None);
        let mut validator = Validator::new_with_features(WasmFeatures::WASM2);
        for payload in Parser::new(0).parse_all(wave_contract::collector::MODULE) {
            let payload = payload?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                bodies.push(body);
                resources.get_or_insert(function.resources);
            }
            if let Payload::FunctionSection(section) = payload {
                types = section.into_iter().collect::<Result<_, _>>()?;
            }
        }
        let without = || CompileError::Unsupported { what: "a collector without functions".to_owned(), offset: 0 };
        let layout = |ty: &SubType| match &ty.composite {
            CompositeType::Struct(fields) => Some(StructLayout::new(fields)),
            CompositeType::Func(_) | CompositeType::Array(_) => None,
        };
        let structs = info.types.iter().map(layout).collect();
        Ok(Self { added, structs, bodies, types, resources: resources.ok_or_else(without)? })
    }

    /// How the structures of a type lie in memory.
    pub(crate) fn structure(&self, ty: u32) -> Option<&StructLayout> {
        self.structs.get(ty as usize)?.as_ref()
    }

    /// Index of the function that makes objects.
    pub(crate) fn allocate(&self) -> u32 {
        self.added.functions + wave_contract::collector::ALLOCATE
    }

    /// The global with the offset of a type's descriptor.
    pub(crate) fn descriptor(&self, ty: u32) -> Option<u32> {
        self.added.descriptors.get(ty as usize).copied().flatten()
    }

    /// One of the collector's operators as the module must have it: with the heap for its memory, and its functions behind the
    /// module's. `None` for the call of `roots`.
    pub(crate) fn relocate<'a>(&self, operator: &Operator<'a>) -> Option<Operator<'a>> {
        use Operator::{
            Call, I32Load, I32Load8U, I32Store, I32Store8, I64Load, I64Store, MemoryCopy, MemoryFill, MemoryGrow,
            MemorySize,
        };
        let heap = self.added.heap;
        let there = |memarg: &MemArg| MemArg { target: MemArgTarget::Memory(heap), ..*memarg };
        Some(match operator {
            Call { function_index } => {
                Call { function_index: self.added.functions + function_index.checked_sub(IMPORTED)? }
            }
            I32Load { memarg } => I32Load { memarg: there(memarg) },
            I32Load8U { memarg } => I32Load8U { memarg: there(memarg) },
            I32Store { memarg } => I32Store { memarg: there(memarg) },
            I32Store8 { memarg } => I32Store8 { memarg: there(memarg) },
            I64Load { memarg } => I64Load { memarg: there(memarg) },
            I64Store { memarg } => I64Store { memarg: there(memarg) },
            MemorySize { .. } => MemorySize { mem: heap },
            MemoryGrow { .. } => MemoryGrow { mem: heap },
            MemoryFill { .. } => MemoryFill { mem: heap },
            MemoryCopy { .. } => MemoryCopy { dst_mem: heap, src_mem: heap },
            other => other.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{CompositeInnerType, ValType};

    /// Both that compile and that verify a module take the declarations of the collector's functions from this list.
    #[test]
    fn the_list_of_functions_is_that_of_the_collector() {
        let (mut types, mut functions, mut allocate) = (Vec::new(), Vec::new(), None);
        for payload in Parser::new(0).parse_all(wave_contract::collector::MODULE) {
            match payload.expect("the collector is a module") {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group.expect("a group").types() {
                            let CompositeInnerType::Func(ty) = &ty.composite_type.inner else { panic!("{ty:?}") };
                            assert!(ty.params().iter().chain(ty.results()).all(|ty| *ty == ValType::I32), "{ty}");
                            types.push((ty.params().len(), ty.results().len()));
                        }
                    }
                }
                Payload::ImportSection(section) => assert_eq!(section.into_imports().count(), IMPORTED as usize),
                Payload::FunctionSection(section) => {
                    functions = section.into_iter().map(|ty| types[ty.expect("an index") as usize]).collect();
                }
                Payload::ExportSection(section) => {
                    let mut exports = section.into_iter().map(|export| export.expect("an export"));
                    allocate = exports.find(|export| export.name == "allocate").map(|export| export.index);
                }
                _ => {}
            }
        }
        assert_eq!(functions, wave_contract::collector::FUNCTIONS);
        assert_eq!(allocate, Some(IMPORTED + wave_contract::collector::ALLOCATE));
    }
}
