//! Instantiates a component without running it: which module gets what from where.
//!
//! A component is evaluated as the specification instantiates it, definition by definition. Values are items of arenas, so that nothing
//! here recurses deeper than components are nested.

mod host;

use crate::adapter::Adapter;
use crate::error::{LowerError, Result, item, unsupported};
use crate::graph::{
    Action, ComponentId, CoreInstance, Function, FunctionId, Graph, HostFunction, Lift, Memory, MemoryId, Options,
    Resource,
};
use crate::names::compatible;
use crate::read::{Definition, Module, Parts};
use crate::text::Encoding;
use crate::types::{Kind, ResourceId, Signature, Type, TypeId};
use host::{Plan, Use};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wasm_encoder::{FuncType, ValType};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentDefinedType, ComponentExternalKind, ComponentFuncType,
    ComponentInstance, ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentValType, ExternalKind,
    Instance, InstanceTypeDeclaration, PrimitiveValType, TypeBounds, TypeRef,
};

/// How many definitions are evaluated. Components can be instantiated many times, so their number is not bounded by their size.
const MAX_STEPS: usize = 2_000_000;
/// How deep components are nested.
const MAX_DEPTH: usize = 100;
/// How many bytes of modules instances may have more than the component has. Each instance is a copy of its module.
const MAX_COPIES_BYTES: usize = 16 << 20;
/// The interface whose function ends a command with a failure.
const EXIT: &str = "wasi:cli/exit@0.2";
/// The interface of functions that a component imports by themselves.
const ROOT: &str = "$root";

/// A function of a component.
#[derive(Clone, Copy, Debug)]
enum Callable {
    /// Of the host: its number.
    Host(usize),
    /// Of a component: the number of the lift.
    Lifted(usize),
}

/// A function of the host.
#[derive(Clone, Debug)]
struct Imported {
    interface: String,
    name: String,
    signature: usize,
}

/// A type.
#[derive(Clone, Copy, Debug)]
enum TypeValue<'p, 'a> {
    Value(TypeId),
    Function(usize),
    Resource(ResourceId),
    Instance(&'p [InstanceTypeDeclaration<'a>], Scope),
    Component,
}

/// What is in a component.
#[derive(Clone, Copy, Debug)]
enum Item<'p, 'a> {
    Function(Callable),
    Type(TypeValue<'p, 'a>),
    Instance(usize),
    Component(usize, Scope),
    Module(usize),
}

/// What is in an instance of a core module.
#[derive(Clone, Copy, Debug)]
enum Core {
    Function(FunctionId),
    Table(usize),
    Memory(MemoryId),
    Global(usize),
    Tag(usize),
}

/// The number of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scope(usize);

/// What inner definitions refer to.
#[derive(Debug, Default)]
struct Names<'p, 'a> {
    outer: Option<Scope>,
    types: Vec<TypeValue<'p, 'a>>,
    modules: Vec<usize>,
    components: Vec<(usize, Scope)>,
}

/// Index spaces of a component that no inner definition refers to.
#[derive(Debug)]
struct Frame {
    scope: Scope,
    component: ComponentId,
    functions: Vec<Callable>,
    instances: Vec<usize>,
    core_functions: Vec<FunctionId>,
    core_tables: Vec<usize>,
    core_memories: Vec<MemoryId>,
    core_globals: Vec<usize>,
    core_tags: Vec<usize>,
    core_instances: Vec<usize>,
}

type Exports<'p, 'a> = BTreeMap<&'a str, Item<'p, 'a>>;

struct Elaborator<'p, 'a> {
    parts: &'p Parts<'a>,
    graph: Graph<'p, 'a>,
    scopes: Vec<Names<'p, 'a>>,
    instances: Vec<Exports<'p, 'a>>,
    core_instances: Vec<HashMap<&'a str, Core>>,
    imported: Vec<Imported>,
    signatures: Vec<Signature>,
    /// Names of the resource types of the host, with their interfaces.
    resources: HashMap<ResourceId, (String, String)>,
    hosts: HashMap<HostFunction, FunctionId>,
    /// What components do with the host.
    plans: Vec<Plan>,
    /// Resources of the host of which handles are passed between components.
    crossing: BTreeSet<ResourceId>,
    /// Copies of functions of the adapter, for the memory and `realloc` that they reach.
    adapted: HashMap<(u32, Option<MemoryId>, Option<FunctionId>), FunctionId>,
    /// Of each `realloc`, the function that the adapter calls.
    reallocs: HashMap<(FunctionId, ComponentId), FunctionId>,
    steps: usize,
    copied_bytes: usize,
}

/// Instantiates a component.
///
/// # Errors
/// If it uses what is not supported, or is too large.
pub fn elaborate<'p, 'a>(parts: &'p Parts<'a>, bytes: usize, adapter: Option<Adapter<'p>>) -> Result<Graph<'p, 'a>> {
    let mut all = Elaborator {
        parts,
        graph: Graph { adapter, ..Graph::default() },
        scopes: Vec::new(),
        instances: Vec::new(),
        core_instances: Vec::new(),
        imported: Vec::new(),
        signatures: Vec::new(),
        resources: HashMap::new(),
        hosts: HashMap::new(),
        plans: Vec::new(),
        crossing: BTreeSet::new(),
        adapted: HashMap::new(),
        reallocs: HashMap::new(),
        steps: 0,
        copied_bytes: bytes.saturating_add(MAX_COPIES_BYTES),
    };
    let exports = all.component(0, None, None, None, 0)?;
    all.decide()?;
    all.export(exports)?;
    Ok(all.graph)
}

impl<'p, 'a> Elaborator<'p, 'a> {
    fn step(&mut self, count: usize) -> Result<()> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > MAX_STEPS {
            Err(LowerError::TooLarge("its components are instantiated too often"))
        } else {
            Ok(())
        }
    }

    fn scope(&mut self, outer: Option<Scope>) -> Scope {
        self.scopes.push(Names { outer, ..Names::default() });
        Scope(self.scopes.len() - 1)
    }

    fn names(&mut self, scope: Scope) -> &mut Names<'p, 'a> {
        &mut self.scopes[scope.0]
    }

    fn outer(&self, mut scope: Scope, count: u32) -> Result<&Names<'p, 'a>> {
        for _ in 0..count {
            scope = self.scopes[scope.0].outer.ok_or_else(|| LowerError::Mistake("no outer component".to_owned()))?;
        }
        Ok(&self.scopes[scope.0])
    }

    fn instance(&mut self, exports: Exports<'p, 'a>) -> usize {
        self.instances.push(exports);
        self.instances.len() - 1
    }

    /// Evaluates a component and returns the instance. Without arguments, the host imports.
    fn component(
        &mut self,
        number: usize,
        outer: Option<Scope>,
        arguments: Option<&HashMap<&'a str, Item<'p, 'a>>>,
        parent: Option<ComponentId>,
        depth: usize,
    ) -> Result<usize> {
        if depth > MAX_DEPTH {
            return Err(LowerError::TooLarge("its components are nested too deep"));
        }
        let parts = self.parts;
        let definitions =
            parts.components.get(number).ok_or_else(|| LowerError::Mistake("no such component".to_owned()))?;
        let scope = self.scope(outer);
        let component = ComponentId(self.graph.components.len());
        self.graph.components.push(parent);
        let mut frame = Frame {
            scope,
            component,
            functions: Vec::new(),
            instances: Vec::new(),
            core_functions: Vec::new(),
            core_tables: Vec::new(),
            core_memories: Vec::new(),
            core_globals: Vec::new(),
            core_tags: Vec::new(),
            core_instances: Vec::new(),
        };
        let mut exports = Exports::new();
        for definition in definitions {
            self.step(1)?;
            match definition {
                Definition::Module(module) => self.names(scope).modules.push(*module),
                Definition::Component(inner) => self.names(scope).components.push((*inner, scope)),
                Definition::Type(ComponentType::Resource { dtor, .. }) => {
                    let destructor = dtor.map(|index| item(&frame.core_functions, index)).transpose()?;
                    let resource = Resource { owner: Some(component), destructor, is_shared: false };
                    let resource = self.graph.new_resource(resource);
                    self.names(scope).types.push(TypeValue::Resource(resource));
                }
                Definition::Type(ty) => {
                    let ty = self.ty(scope, ty)?;
                    self.names(scope).types.push(ty);
                }
                Definition::Import(import) => {
                    let name = import.name.name;
                    let item = match arguments {
                        Some(arguments) => {
                            *arguments.get(name).ok_or_else(|| LowerError::Mistake(format!("no `{name}`")))?
                        }
                        None => self.import(scope, name, &import.ty)?,
                    };
                    self.define(&mut frame, item);
                }
                Definition::Alias(alias) => self.alias(&mut frame, alias)?,
                Definition::CoreInstance(instance) => self.core_instance(&mut frame, instance)?,
                Definition::Canon(canon) => self.canon(&mut frame, canon)?,
                Definition::Instance(instance) => {
                    let instance = self.inner_instance(&frame, instance, depth)?;
                    frame.instances.push(instance);
                }
                Definition::Export(export) => {
                    let item = self.item(&frame, export.kind, export.index)?;
                    exports.insert(export.name.name, item);
                    self.define(&mut frame, item);
                }
            }
        }
        Ok(self.instance(exports))
    }

    /// Gives an item the next index of its space.
    fn define(&mut self, frame: &mut Frame, item: Item<'p, 'a>) {
        match item {
            Item::Function(function) => frame.functions.push(function),
            Item::Type(ty) => self.names(frame.scope).types.push(ty),
            Item::Instance(instance) => frame.instances.push(instance),
            Item::Component(component, scope) => self.names(frame.scope).components.push((component, scope)),
            Item::Module(module) => self.names(frame.scope).modules.push(module),
        }
    }

    fn item(&self, frame: &Frame, kind: ComponentExternalKind, index: u32) -> Result<Item<'p, 'a>> {
        let names = &self.scopes[frame.scope.0];
        Ok(match kind {
            ComponentExternalKind::Module => Item::Module(item(&names.modules, index)?),
            ComponentExternalKind::Func => Item::Function(item(&frame.functions, index)?),
            ComponentExternalKind::Type => Item::Type(item(&names.types, index)?),
            ComponentExternalKind::Instance => Item::Instance(item(&frame.instances, index)?),
            ComponentExternalKind::Component => {
                let (component, scope) = item(&names.components, index)?;
                Item::Component(component, scope)
            }
            ComponentExternalKind::Value => return unsupported("values as imports or exports"),
        })
    }

    fn member(&self, instance: usize, name: &str) -> Result<Item<'p, 'a>> {
        self.instances[instance].get(name).copied().ok_or_else(|| LowerError::Mistake(format!("no export `{name}`")))
    }

    fn alias(&mut self, frame: &mut Frame, alias: &ComponentAlias<'a>) -> Result<()> {
        match alias {
            ComponentAlias::InstanceExport { instance_index, name, .. } => {
                let item = self.member(item(&frame.instances, *instance_index)?, name)?;
                self.define(frame, item);
            }
            ComponentAlias::CoreInstanceExport { instance_index, name, .. } => {
                let instance = item(&frame.core_instances, *instance_index)?;
                match self.core_member(instance, name)? {
                    Core::Function(function) => frame.core_functions.push(function),
                    Core::Table(table) => frame.core_tables.push(table),
                    Core::Memory(memory) => frame.core_memories.push(memory),
                    Core::Global(global) => frame.core_globals.push(global),
                    Core::Tag(tag) => frame.core_tags.push(tag),
                }
            }
            ComponentAlias::Outer { kind, count, index } => {
                if let Some(item) = self.outer_item(frame.scope, *kind, *count, *index)? {
                    self.define(frame, item);
                }
            }
        }
        Ok(())
    }

    fn outer_item(
        &self,
        scope: Scope,
        kind: ComponentOuterAliasKind,
        count: u32,
        index: u32,
    ) -> Result<Option<Item<'p, 'a>>> {
        let names = self.outer(scope, count)?;
        Ok(Some(match kind {
            ComponentOuterAliasKind::CoreModule => Item::Module(item(&names.modules, index)?),
            ComponentOuterAliasKind::Type => Item::Type(item(&names.types, index)?),
            ComponentOuterAliasKind::Component => {
                let (component, scope) = item(&names.components, index)?;
                Item::Component(component, scope)
            }
            // They are not followed.
            ComponentOuterAliasKind::CoreType => return Ok(None),
        }))
    }

    fn inner_instance(&mut self, frame: &Frame, instance: &ComponentInstance<'a>, depth: usize) -> Result<usize> {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                self.step(args.len())?;
                let mut arguments = HashMap::new();
                for argument in args {
                    arguments.insert(argument.name, self.item(frame, argument.kind, argument.index)?);
                }
                let (component, scope) = item(&self.scopes[frame.scope.0].components, *component_index)?;
                self.component(component, Some(scope), Some(&arguments), Some(frame.component), depth + 1)
            }
            ComponentInstance::FromExports(list) => {
                self.step(list.len())?;
                let mut exports = Exports::new();
                for export in list {
                    exports.insert(export.name.name, self.item(frame, export.kind, export.index)?);
                }
                Ok(self.instance(exports))
            }
        }
    }

    // Imports from the host.

    fn import(&mut self, scope: Scope, name: &'a str, ty: &ComponentTypeRef) -> Result<Item<'p, 'a>> {
        match ty {
            ComponentTypeRef::Instance(index) => {
                let ty = item(&self.names(scope).types, *index)?;
                self.host_instance(&compatible(name), ty).map(Item::Instance)
            }
            ty => self.host_item(scope, ROOT, name, ty),
        }
    }

    fn host_item(&mut self, scope: Scope, interface: &str, name: &str, ty: &ComponentTypeRef) -> Result<Item<'p, 'a>> {
        Ok(match ty {
            ComponentTypeRef::Func(index) => {
                let TypeValue::Function(signature) = item(&self.names(scope).types, *index)? else {
                    return Err(LowerError::Mistake(format!("`{name}` is no function")));
                };
                self.imported.push(Imported { interface: interface.to_owned(), name: name.to_owned(), signature });
                Item::Function(Callable::Host(self.imported.len() - 1))
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => Item::Type(item(&self.names(scope).types, *index)?),
            ComponentTypeRef::Type(TypeBounds::SubResource) => {
                let resource = self.graph.new_resource(Resource::default());
                self.resources.insert(resource, (interface.to_owned(), name.to_owned()));
                Item::Type(TypeValue::Resource(resource))
            }
            ComponentTypeRef::Instance(index) => {
                let ty = item(&self.names(scope).types, *index)?;
                Item::Instance(self.host_instance(&format!("{interface}#{name}"), ty)?)
            }
            ComponentTypeRef::Module(_) => return unsupported(format!("the core module `{name}` as an import")),
            ComponentTypeRef::Component(_) => return unsupported(format!("the component `{name}` as an import")),
            ComponentTypeRef::Value(_) => return unsupported(format!("the value `{name}` as an import")),
        })
    }

    fn host_instance(&mut self, interface: &str, ty: TypeValue<'p, 'a>) -> Result<usize> {
        let TypeValue::Instance(declarations, outer) = ty else {
            return Err(LowerError::Mistake(format!("`{interface}` is no instance")));
        };
        let scope = self.scope(Some(outer));
        let mut exports = Exports::new();
        let mut instances = Vec::new();
        for declaration in declarations {
            self.step(1)?;
            match declaration {
                InstanceTypeDeclaration::CoreType(_) => {}
                InstanceTypeDeclaration::Type(ty) => {
                    let ty = self.ty(scope, ty)?;
                    self.names(scope).types.push(ty);
                }
                InstanceTypeDeclaration::Alias(ComponentAlias::Outer { kind, count, index }) => {
                    if let Some(Item::Type(ty)) = self.outer_item(scope, *kind, *count, *index)? {
                        self.names(scope).types.push(ty);
                    }
                }
                InstanceTypeDeclaration::Alias(ComponentAlias::InstanceExport { instance_index, name, .. }) => {
                    match self.member(item(&instances, *instance_index)?, name)? {
                        Item::Type(ty) => self.names(scope).types.push(ty),
                        Item::Instance(instance) => instances.push(instance),
                        _ => {}
                    }
                }
                InstanceTypeDeclaration::Alias(ComponentAlias::CoreInstanceExport { .. }) => {}
                InstanceTypeDeclaration::Export { name, ty } => {
                    let item = self.host_item(scope, interface, name.name, ty)?;
                    match item {
                        Item::Type(ty) => self.names(scope).types.push(ty),
                        Item::Instance(instance) => instances.push(instance),
                        _ => {}
                    }
                    exports.insert(name.name, item);
                }
            }
        }
        Ok(self.instance(exports))
    }

    // Types.

    fn ty(&mut self, scope: Scope, ty: &'p ComponentType<'a>) -> Result<TypeValue<'p, 'a>> {
        Ok(match ty {
            ComponentType::Defined(ty) => TypeValue::Value(self.defined(scope, ty)?),
            ComponentType::Func(ty) => TypeValue::Function(self.signature(scope, ty)?),
            ComponentType::Instance(declarations) => TypeValue::Instance(declarations, scope),
            // It is instantiated with what is known, so its type is not needed.
            ComponentType::Component(_) => TypeValue::Component,
            ComponentType::Resource { .. } => {
                return Err(LowerError::Mistake("a resource is declared in a type".to_owned()));
            }
        })
    }

    fn signature(&mut self, scope: Scope, ty: &ComponentFuncType<'a>) -> Result<usize> {
        self.step(ty.params.len())?;
        let params = ty.params.iter().map(|(_, ty)| self.value(scope, ty)).collect::<Result<_>>()?;
        let result = ty.result.as_ref().map(|ty| self.value(scope, ty)).transpose()?;
        self.signatures.push(Signature { params, result, is_async: ty.async_ });
        Ok(self.signatures.len() - 1)
    }

    fn value(&mut self, scope: Scope, ty: &ComponentValType) -> Result<TypeId> {
        match ty {
            ComponentValType::Primitive(ty) => self.primitive(*ty),
            ComponentValType::Type(index) => match item(&self.names(scope).types, *index)? {
                TypeValue::Value(ty) => Ok(ty),
                other => Err(LowerError::Mistake(format!("no type of values: {other:?}"))),
            },
        }
    }

    fn primitive(&mut self, ty: PrimitiveValType) -> Result<TypeId> {
        let integer = |bytes, signed| Kind::Integer { bytes, signed };
        let kind = match ty {
            PrimitiveValType::Bool => Kind::Bool,
            PrimitiveValType::S8 => integer(1, true),
            PrimitiveValType::U8 => integer(1, false),
            PrimitiveValType::S16 => integer(2, true),
            PrimitiveValType::U16 => integer(2, false),
            PrimitiveValType::S32 => integer(4, true),
            PrimitiveValType::U32 => integer(4, false),
            PrimitiveValType::S64 => integer(8, true),
            PrimitiveValType::U64 => integer(8, false),
            PrimitiveValType::F32 => Kind::Float { bytes: 4 },
            PrimitiveValType::F64 => Kind::Float { bytes: 8 },
            PrimitiveValType::Char => Kind::Char,
            PrimitiveValType::String => Kind::String,
            PrimitiveValType::ErrorContext => return unsupported("the type `error-context` (async)"),
        };
        self.graph.types.add(kind)
    }

    fn defined(&mut self, scope: Scope, ty: &ComponentDefinedType<'a>) -> Result<TypeId> {
        let resource = |this: &mut Self, index| match item(&this.names(scope).types, index)? {
            TypeValue::Resource(resource) => Ok(resource),
            other => Err(LowerError::Mistake(format!("no resource: {other:?}"))),
        };
        let kind = match ty {
            ComponentDefinedType::Primitive(ty) => return self.primitive(*ty),
            ComponentDefinedType::Record(fields) => {
                self.step(fields.len())?;
                Kind::Record(fields.iter().map(|(_, ty)| self.value(scope, ty)).collect::<Result<_>>()?)
            }
            ComponentDefinedType::Tuple(types) => {
                self.step(types.len())?;
                Kind::Record(types.iter().map(|ty| self.value(scope, ty)).collect::<Result<_>>()?)
            }
            ComponentDefinedType::Variant(cases) => {
                self.step(cases.len())?;
                let value = |case: &wasmparser::VariantCase<'a>| case.ty.map(|ty| self.value(scope, &ty)).transpose();
                Kind::Variant(cases.iter().map(value).collect::<Result<_>>()?)
            }
            ComponentDefinedType::Enum(cases) => {
                self.step(cases.len())?;
                Kind::Variant(vec![None; cases.len()])
            }
            ComponentDefinedType::Option(ty) => Kind::Variant(vec![None, Some(self.value(scope, ty)?)]),
            ComponentDefinedType::Result { ok, err } => {
                let mut value = |ty: &Option<ComponentValType>| ty.map(|ty| self.value(scope, &ty)).transpose();
                Kind::Variant(vec![value(ok)?, value(err)?])
            }
            ComponentDefinedType::List(ty) => Kind::List(self.value(scope, ty)?),
            ComponentDefinedType::Flags(names) => Kind::Flags(u32::try_from(names.len()).unwrap_or(u32::MAX)),
            ComponentDefinedType::Own(index) => Kind::Own(resource(self, *index)?),
            ComponentDefinedType::Borrow(index) => Kind::Borrow(resource(self, *index)?),
            ComponentDefinedType::Stream(_) => return unsupported("the type `stream` (async)"),
            ComponentDefinedType::Future(_) => return unsupported("the type `future` (async)"),
            ComponentDefinedType::Map(..) => return unsupported("the type `map`"),
            ComponentDefinedType::FixedLengthList(..) => return unsupported("lists of fixed length"),
        };
        self.graph.types.add(kind)
    }

    // The canonical ABI.

    fn options(&self, frame: &Frame, options: &[CanonicalOption]) -> Result<Options> {
        let mut out = Options::default();
        for option in options {
            match option {
                CanonicalOption::UTF8 => {}
                CanonicalOption::UTF16 => out.encoding = Encoding::Utf16,
                CanonicalOption::CompactUTF16 => out.encoding = Encoding::Latin1OrUtf16,
                CanonicalOption::Memory(index) => out.memory = Some(item(&frame.core_memories, *index)?),
                CanonicalOption::Realloc(index) => out.realloc = Some(item(&frame.core_functions, *index)?),
                CanonicalOption::PostReturn(index) => out.post_return = Some(item(&frame.core_functions, *index)?),
                CanonicalOption::Async | CanonicalOption::Callback(_) => return unsupported("`async` functions"),
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    return unsupported("values on the garbage-collected heap");
                }
            }
        }
        Ok(out)
    }

    fn canon(&mut self, frame: &mut Frame, canon: &CanonicalFunction) -> Result<()> {
        match canon {
            CanonicalFunction::Lift { core_func_index, type_index, options } => {
                let options = self.options(frame, options)?;
                let TypeValue::Function(signature) = item(&self.names(frame.scope).types, *type_index)? else {
                    return Err(LowerError::Mistake("a function is lifted to no function".to_owned()));
                };
                let signature = self.signatures[signature].clone();
                if signature.is_async {
                    return unsupported("`async` functions");
                }
                let function = item(&frame.core_functions, *core_func_index)?;
                self.graph.lifts.push(Lift { function, signature, options, component: frame.component });
                frame.functions.push(Callable::Lifted(self.graph.lifts.len() - 1));
            }
            CanonicalFunction::Lower { func_index, options } => {
                let options = self.options(frame, options)?;
                let function = match item(&frame.functions, *func_index)? {
                    Callable::Host(number) => {
                        let Imported { interface, name, signature } = &self.imported[number];
                        if self.signatures[*signature].is_async {
                            return unsupported(format!("the `async` function `{name}` of `{interface}`"));
                        }
                        self.plan(frame.component, Use::Call(number, options))
                    }
                    Callable::Lifted(lift) => self.lower_lifted(frame, lift, options)?,
                };
                frame.core_functions.push(function);
            }
            CanonicalFunction::ResourceNew { resource } => self.resource(frame, *resource, Action::New)?,
            CanonicalFunction::ResourceRep { resource } => self.resource(frame, *resource, Action::Rep)?,
            CanonicalFunction::ResourceDrop { resource } => self.resource(frame, *resource, Action::Drop)?,
            other => return unsupported(format!("the built-in function `{}`", built_in(other))),
        }
        Ok(())
    }

    fn resource(&mut self, frame: &mut Frame, index: u32, action: Action) -> Result<()> {
        let TypeValue::Resource(resource) = item(&self.names(frame.scope).types, index)? else {
            return Err(LowerError::Mistake("this is no resource".to_owned()));
        };
        let component = frame.component;
        let function = match resource.is_host {
            true => self.plan(component, Use::Drop(resource)),
            false => {
                self.graph.need_handles(component);
                self.graph.add(Function::Resource { action, resource, component })
            }
        };
        frame.core_functions.push(function);
        Ok(())
    }

    fn lower_lifted(&mut self, frame: &Frame, lift: usize, options: Options) -> Result<FunctionId> {
        let signature = self.graph.lifts[lift].signature.clone();
        let crossing = self.host_resources(&signature)?;
        self.crossing.extend(crossing);
        let fused = self.fused(lift, frame.component, options)?;
        Ok(self.graph.add(fused))
    }

    /// A call of a lifted function by another component, or between the host and a component.
    fn fused(&mut self, lift: usize, component: ComponentId, options: Options) -> Result<Function> {
        let Lift { signature, options: theirs, component: callee, .. } = self.graph.lifts[lift].clone();
        let any = |is: fn(&Type) -> bool| self.graph.types.any(&signature, is);
        let (has_string, has_own, has_host, has_borrow) = (
            any(|ty| ty.has_string),
            any(|ty| ty.has_own_handle),
            any(|ty| ty.has_host_handle),
            any(|ty| ty.has_borrow),
        );
        if has_string {
            self.strings(&signature, (&options, component), (&theirs, callee))?;
        }
        for party in [component, callee] {
            // The host has its own resources without a table.
            if has_own || has_host && Some(party) != self.graph.host {
                self.graph.need_handles(party);
            }
        }
        if has_borrow {
            self.graph.need_lent();
        }
        Ok(Function::Fused { lift, component, options })
    }

    /// What checks and copies the strings of a call.
    fn strings(
        &mut self,
        signature: &Signature,
        caller: (&Options, ComponentId),
        callee: (&Options, ComponentId),
    ) -> Result<()> {
        let graph = &mut self.graph;
        if [caller, callee].iter().all(|(options, _)| options.encoding == Encoding::Utf8) {
            [callee, caller].iter().filter_map(|(options, _)| options.memory).for_each(|memory| graph.utf8(memory));
            return Ok(());
        }
        if signature.params.iter().any(|id| graph.types.get(*id).has_string) {
            graph.text(caller, callee)?;
        }
        if signature.result.iter().any(|id| graph.types.get(*id).has_string) {
            graph.text(callee, caller)?;
        }
        Ok(())
    }

    // Core modules.

    fn core_member(&self, instance: usize, name: &str) -> Result<Core> {
        self.core_instances[instance]
            .get(name)
            .copied()
            .ok_or_else(|| LowerError::Mistake(format!("no core export `{name}`")))
    }

    fn core_instance(&mut self, frame: &mut Frame, instance: &Instance<'a>) -> Result<()> {
        let exports = match instance {
            Instance::FromExports(list) => {
                self.step(list.len())?;
                let mut exports = HashMap::new();
                for export in list {
                    exports.insert(export.name, core_item(frame, export.kind, export.index)?);
                }
                exports
            }
            Instance::Instantiate { module_index, args } => {
                let module = item(&self.names(frame.scope).modules, *module_index)?;
                let mut arguments = HashMap::new();
                for argument in args {
                    arguments.insert(argument.name, item(&frame.core_instances, argument.index)?);
                }
                self.instantiate(module, &arguments)?
            }
        };
        self.core_instances.push(exports);
        frame.core_instances.push(self.core_instances.len() - 1);
        Ok(())
    }

    fn instantiate(&mut self, module: usize, arguments: &HashMap<&str, usize>) -> Result<HashMap<&'a str, Core>> {
        let parts = self.parts;
        let module: &'p Module<'a> =
            parts.modules.get(module).ok_or_else(|| LowerError::Mistake("no such module".to_owned()))?;
        self.copied_bytes = self
            .copied_bytes
            .checked_sub(module.bytes)
            .ok_or(LowerError::TooLarge("its modules are instantiated too often"))?;
        self.step(module.imports.len() + module.exports.len())?;
        let number = self.graph.instances.len();
        let mut instance = CoreInstance {
            module,
            functions: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
        };
        for import in &module.imports {
            let from =
                *arguments.get(import.module).ok_or_else(|| LowerError::Mistake(format!("no `{}`", import.module)))?;
            match (import.ty, self.core_member(from, import.name)?) {
                (TypeRef::Func(_) | TypeRef::FuncExact(_), Core::Function(function)) => {
                    instance.functions.push(function)
                }
                (TypeRef::Table(_), Core::Table(table)) => instance.tables.push(table),
                (TypeRef::Memory(_), Core::Memory(memory)) => instance.memories.push(memory),
                (TypeRef::Global(_), Core::Global(global)) => instance.globals.push(global),
                (TypeRef::Tag(_), Core::Tag(tag)) => instance.tags.push(tag),
                _ => return Err(LowerError::Mistake(format!("`{}` is of another kind", import.name))),
            }
        }
        for index in 0..module.functions.len() {
            instance.functions.push(self.graph.add(Function::Defined { instance: number, index }));
        }
        for _ in 0..module.tables.as_ref().map_or(0, wasmparser::SectionLimited::count) {
            instance.tables.push(self.graph.tables);
            self.graph.tables += 1;
        }
        for memory in &module.memories {
            self.graph.memories.push(Memory { page_log2: memory.page_size_log2.unwrap_or(16), is_hidden: false });
            instance.memories.push(MemoryId(self.graph.memories.len() - 1));
        }
        for global in module.globals.clone().into_iter().flatten() {
            let global = global?;
            let value = match global.ty.mutable {
                true => None,
                false => self.graph.evaluate(&global.init_expr, &instance.globals, &instance.functions)?,
            };
            self.graph.globals.push(value);
            instance.globals.push(self.graph.globals.len() - 1);
        }
        for _ in &module.tags {
            instance.tags.push(self.graph.tags);
            self.graph.tags += 1;
        }
        let mut exports = HashMap::new();
        for export in &module.exports {
            let item = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => {
                    Core::Function(item(&instance.functions, export.index)?)
                }
                ExternalKind::Table => Core::Table(item(&instance.tables, export.index)?),
                ExternalKind::Memory => Core::Memory(item(&instance.memories, export.index)?),
                ExternalKind::Global => Core::Global(item(&instance.globals, export.index)?),
                ExternalKind::Tag => Core::Tag(item(&instance.tags, export.index)?),
            };
            exports.insert(export.name, item);
        }
        self.graph.instances.push(instance);
        Ok(exports)
    }

    // Exports of the whole.

    fn export(&mut self, instance: usize) -> Result<()> {
        let exports = std::mem::take(&mut self.instances[instance]);
        let mut resources = Vec::new();
        for (name, item) in exports {
            match item {
                Item::Function(function) => self.export_function(None, name, function)?,
                Item::Instance(inner) => {
                    for (function, item) in self.instances[inner].clone() {
                        match item {
                            Item::Function(callable) => self.export_function(Some(name), function, callable)?,
                            Item::Type(TypeValue::Resource(resource)) => {
                                resources.push((Some(name), function, resource))
                            }
                            // Nothing calls these: they are for who composes components.
                            Item::Type(_) | Item::Instance(_) | Item::Component(..) | Item::Module(_) => {}
                        }
                    }
                }
                Item::Type(TypeValue::Resource(resource)) => resources.push((None, name, resource)),
                Item::Type(_) | Item::Module(_) => {}
                Item::Component(..) => return unsupported(format!("the component `{name}` as an export")),
            }
        }
        self.export_drops(&resources);
        if self.graph.exports.iter().any(|export| self.graph.is_command(export)) {
            let ty = FuncType::new([ValType::I32], []);
            let exit = HostFunction { module: EXIT.to_owned(), name: "exit".to_owned(), ty, memory: None };
            self.graph.exit = Some(match &self.graph.adapter {
                Some(adapter) if adapter.has(EXIT) => match adapter.find(EXIT, "exit") {
                    Some(function) => self.adapted(function, None, None)?,
                    None => return Err(LowerError::Mistake("the adapter has no `exit`".to_owned())),
                },
                _ => self.host(exit),
            });
        }
        Ok(())
    }
}

fn core_item(frame: &Frame, kind: ExternalKind, index: u32) -> Result<Core> {
    Ok(match kind {
        ExternalKind::Func | ExternalKind::FuncExact => Core::Function(item(&frame.core_functions, index)?),
        ExternalKind::Table => Core::Table(item(&frame.core_tables, index)?),
        ExternalKind::Memory => Core::Memory(item(&frame.core_memories, index)?),
        ExternalKind::Global => Core::Global(item(&frame.core_globals, index)?),
        ExternalKind::Tag => Core::Tag(item(&frame.core_tags, index)?),
    })
}

/// The name of a built-in function, as the text format writes it.
fn built_in(function: &CanonicalFunction) -> String {
    let debug = format!("{function:?}");
    let name = debug.split([' ', '{', '(']).next().unwrap_or_default();
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.push(letter.to_ascii_lowercase());
    }
    for subject in ["waitable-set", "error-context"] {
        if let Some(verb) = words.strip_prefix(subject).and_then(|rest| rest.strip_prefix('-')) {
            return format!("{subject}.{verb}");
        }
    }
    words.replacen('-', ".", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_functions_have_their_names() {
        for (function, name) in [
            (CanonicalFunction::TaskCancel, "task.cancel"),
            (CanonicalFunction::WaitableSetNew, "waitable-set.new"),
            (CanonicalFunction::WaitableJoin, "waitable.join"),
            (CanonicalFunction::ErrorContextDrop, "error-context.drop"),
            (CanonicalFunction::StreamCancelRead { ty: 0, async_: false }, "stream.cancel-read"),
            (CanonicalFunction::ResourceRep { resource: 0 }, "resource.rep"),
        ] {
            assert_eq!(built_in(&function), name);
        }
    }
}
