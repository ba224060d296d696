//! Writes the lowered module.

use crate::adapter::{Adapted, Copy};
use crate::emit::{self, FetchCode, RESULTS};
use crate::error::{LowerError, Result};
use crate::fuse::{self, Lending, Party};
use crate::graph::{
    self, Action, ComponentId, Export, Fetch, Function, FunctionId, Graph, HandleCode, HostFunction, Lift, MemoryId,
    Options, Resource,
};
use crate::handles::{self, Lent, Table};
use crate::rewrite::{CoreTypes, Numbers, Rewriter, number, plain_error};
use crate::text::{self, Text};
use crate::types::{ResourceId, Side, TypeId};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, FuncType, FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType,
    NameMap, NameSection, StartSection, TableSection, TagSection, ValType,
};
use wasmparser::{DataKind, ElementItems, ElementKind};

/// How much of a module's name is put before those of its functions.
const PREFIX_BYTES: usize = 40;

/// How many values are copied by code of their own in calls between components, all together.
const MAX_COPIES: usize = 100_000;

/// Functions that the host has for results.
#[derive(Clone, Copy)]
struct Results {
    next: FunctionId,
    place: FunctionId,
}

struct Writer<'g, 'p, 'a> {
    graph: &'g Graph<'p, 'a>,
    numbers: Numbers,
    types: CoreTypes,
    functions: FunctionSection,
    code: CodeSection,
    exports: ExportSection,
    /// Of each component, the global that says whether it may call out, if it ever may not.
    flags: Vec<Option<u32>>,
    /// Of each component, the global that says whether one of its functions runs, if that matters.
    running: Vec<Option<u32>>,
    /// Of each component, the global that counts what is lent to the function that runs, if it has handles.
    borrows: Vec<Option<u32>>,
    /// The global that says how many handles are lent, if any are.
    height: Vec<Option<u32>>,
    /// How many more values may be copied by code of their own.
    budget: usize,
    /// How many functions there are.
    count: u32,
    names: BTreeMap<u32, String>,
    referenced: BTreeSet<u32>,
}

/// Writes the module of a graph.
///
/// # Errors
/// If exports have one name, or by a mistake.
pub fn write(mut graph: Graph<'_, '_>) -> Result<Vec<u8>> {
    let results = add_results(&mut graph);
    let main = main_memory(&graph);
    let mut writer = Writer::new(&graph, main);
    let imports = writer.imports();
    let mut module = wasm_encoder::Module::new();
    let instances = writer.instances(results)?;
    writer.export_functions()?;
    if main.is_some() {
        writer.exports.export("memory", ExportKind::Memory, 0);
    }
    let start = writer.start(&instances)?;
    module.section(&writer.types.section).section(&imports).section(&writer.functions);
    let Instances { tables, memories, tags, mut globals, mut elements, data, .. } = instances;
    for (list, value) in [(&writer.flags, 1), (&writer.running, 0), (&writer.borrows, 0), (&writer.height, 0)] {
        for _ in list.iter().flatten() {
            let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
            globals.global(ty, &ConstExpr::i32_const(value));
        }
    }
    if !writer.referenced.is_empty() {
        let referenced: Vec<u32> = writer.referenced.iter().copied().collect();
        elements.declared(Elements::Functions(Cow::Owned(referenced)));
    }
    if !tables.is_empty() {
        module.section(&tables);
    }
    if !memories.is_empty() {
        module.section(&memories);
    }
    if !tags.is_empty() {
        module.section(&tags);
    }
    if !globals.is_empty() {
        module.section(&globals);
    }
    module.section(&writer.exports);
    if let Some(function_index) = start {
        module.section(&StartSection { function_index });
    }
    if !elements.is_empty() {
        module.section(&elements);
    }
    if !data.is_empty() {
        module.section(&DataCountSection { count: data.len() });
    }
    module.section(&writer.code);
    if !data.is_empty() {
        module.section(&data);
    }
    let mut names = NameMap::new();
    for (function, name) in &writer.names {
        names.append(*function, name);
    }
    let mut section = NameSection::new();
    section.functions(&names);
    module.section(&section);
    Ok(module.finish())
}

/// The host's functions for results, if a result needs them.
fn add_results(graph: &mut Graph<'_, '_>) -> Option<Results> {
    let fetches = |function: &Function| matches!(function, Function::HostCall { fetch: Some(_), .. });
    if !graph.functions.iter().any(fetches) {
        return None;
    }
    let mut add = |name: &str, params: &[ValType], results: &[ValType]| {
        let ty = FuncType::new(params.iter().copied(), results.iter().copied());
        graph.add(Function::Host(HostFunction { module: RESULTS.to_owned(), name: name.to_owned(), ty, memory: None }))
    };
    Some(Results { next: add("next", &[], &[ValType::I64]), place: add("place", &[ValType::I32], &[]) })
}

/// The memory that the host uses if nothing else is said: that of the adapter, or the first that it uses at all.
fn main_memory(graph: &Graph<'_, '_>) -> Option<MemoryId> {
    let by_host = graph.functions.iter().find_map(|function| match function {
        Function::Host(host) => host.memory,
        _ => None,
    });
    let by_caller = || graph.exports.iter().find_map(|export| graph.lifts[export.lift].options.memory);
    graph
        .own
        .or(by_host)
        .or_else(by_caller)
        .or_else(|| graph.memories.iter().position(|memory| !memory.is_hidden).map(MemoryId))
}

/// Of each component: whether generated code calls its `realloc` or `post-return`, which may not call out.
fn restricted(graph: &Graph<'_, '_>) -> Vec<bool> {
    let mut restricted = vec![false; graph.components.len()];
    let mut restrict = |component: ComponentId| restricted[component.0] |= Some(component) != graph.host;
    let has_list = |id: &TypeId| graph.types.get(*id).has_list;
    for function in &graph.functions {
        match function {
            Function::Realloc { component, .. } => restrict(*component),
            Function::Fused { lift, component, .. } => {
                let lift = &graph.lifts[*lift];
                let signature = &lift.signature;
                let in_memory = graph.types.flat(signature, Side::Lift).params_in_memory;
                if lift.options.post_return.is_some() || in_memory || signature.params.iter().any(has_list) {
                    restrict(lift.component);
                }
                if signature.result.iter().any(has_list) {
                    restrict(*component);
                }
            }
            _ => {}
        }
    }
    for export in &graph.exports {
        let lift = &graph.lifts[export.lift];
        if cleans(graph, lift).is_some() {
            restrict(lift.component);
        }
    }
    restricted
}

/// Of each component: whether a call from another component enters it, which must not happen while one of its functions runs.
fn entered(graph: &Graph<'_, '_>) -> Vec<bool> {
    let mut entered = vec![false; graph.components.len()];
    for function in &graph.functions {
        let (caller, callee) = match function {
            Function::Fused { lift, component, .. } => match graph.lifts[*lift].component {
                // Components run while it does.
                callee if Some(callee) == graph.host => continue,
                callee => (*component, callee),
            },
            Function::Resource { action: Action::Drop, resource, component } => {
                match graph.resources[resource.number] {
                    Resource { owner: Some(owner), destructor: Some(_), .. } => (*component, owner),
                    _ => continue,
                }
            }
            _ => continue,
        };
        for callee in graph.entered(caller, callee) {
            entered[callee.0] = true;
        }
    }
    entered
}

/// The name of an export, with its interface.
fn full_name(interface: Option<&str>, name: &str) -> String {
    interface.map_or_else(|| name.to_owned(), |interface| format!("{interface}#{name}"))
}

/// Gives those that are marked the next numbers.
fn numbered(marked: &[bool], next: &mut u32) -> Vec<Option<u32>> {
    let mut number = |marked: &bool| {
        let number = *next;
        *next += u32::from(*marked);
        marked.then_some(number)
    };
    marked.iter().map(&mut number).collect()
}

/// The function that generated code calls after a lifted one, if its result is flat.
fn cleans(graph: &Graph<'_, '_>, lift: &Lift) -> Option<FunctionId> {
    let flat = graph.types.flat(&lift.signature, Side::Lift);
    lift.options.post_return.filter(|_| !flat.result_in_memory)
}

/// Sections with parts of all instances.
#[derive(Default)]
struct Instances {
    tables: TableSection,
    memories: MemorySection,
    tags: TagSection,
    globals: GlobalSection,
    elements: ElementSection,
    data: DataSection,
    /// Per instance, code that writes its segments when it starts, and its start function.
    starts: Vec<(Vec<u8>, Option<u32>)>,
}

impl<'g, 'p, 'a> Writer<'g, 'p, 'a> {
    fn new(graph: &'g Graph<'p, 'a>, main: Option<MemoryId>) -> Self {
        let mut global = number(graph.globals.len());
        let flags = numbered(&restricted(graph), &mut global);
        let running = numbered(&entered(graph), &mut global);
        let has_table: Vec<bool> =
            (0..graph.components.len()).map(|component| graph.handles.contains_key(&component)).collect();
        let borrows = numbered(&has_table, &mut global);
        let height = numbered(&[graph.lent.is_some()], &mut global);
        let first = main.map_or(0, |main| main.0);
        let memory = |index: usize| match index {
            _ if index == first => 0,
            _ if index < first => number(index + 1),
            _ => number(index),
        };
        let mut numbers = Numbers {
            functions: vec![0; graph.functions.len()],
            memories: (0..graph.memories.len()).map(memory).collect(),
        };
        let is_host = |function: &Function| matches!(function, Function::Host(_));
        let is_direct = |function: &Function| match function {
            Function::HostCall { component, fetch: None, import, .. } if flags[component.0].is_none() => Some(*import),
            _ => None,
        };
        let mut count = 0;
        for host in [true, false] {
            for (index, function) in graph.functions.iter().enumerate() {
                if is_host(function) == host && is_direct(function).is_none() {
                    numbers.functions[index] = count;
                    count += 1;
                }
            }
        }
        for (index, function) in graph.functions.iter().enumerate() {
            if let Some(import) = is_direct(function) {
                numbers.functions[index] = numbers.function(import);
            }
        }
        Self {
            graph,
            numbers,
            types: CoreTypes::default(),
            functions: FunctionSection::new(),
            code: CodeSection::new(),
            exports: ExportSection::new(),
            flags,
            running,
            borrows,
            height,
            budget: MAX_COPIES,
            count,
            names: BTreeMap::new(),
            referenced: BTreeSet::new(),
        }
    }

    /// Whether the function with this id is written, and not an import under another id.
    fn is_written(&self, function: &Function) -> bool {
        match function {
            Function::Host(_) => false,
            Function::HostCall { component, fetch: None, .. } => self.flags[component.0].is_some(),
            _ => true,
        }
    }

    fn suffix(&self, memory: Option<MemoryId>) -> String {
        match memory.map(|memory| self.numbers.memory(memory)) {
            None | Some(0) => String::new(),
            Some(memory) => format!("|memory={memory}"),
        }
    }

    fn imports(&mut self) -> ImportSection {
        let mut imports = ImportSection::new();
        for function in &self.graph.functions {
            if let Function::Host(host) = function {
                let ty = self.types.function(&host.ty);
                let name = format!("{}{}", host.name, self.suffix(host.memory));
                self.names.insert(imports.len(), format!("{} {name}", host.module));
                imports.import(&host.module, &name, EntityType::Function(ty));
            }
        }
        imports
    }

    /// Adds a generated function after those of the graph.
    fn generate(&mut self, ty: &FuncType, body: &wasm_encoder::Function, name: String) -> u32 {
        let ty = self.types.function(ty);
        self.functions.function(ty);
        self.code.function(body);
        self.names.insert(self.count, name);
        self.count += 1;
        self.count - 1
    }

    fn instances(&mut self, results: Option<Results>) -> Result<Instances> {
        let graph = self.graph;
        let mut out = Instances::default();
        // Segments are written before any start function, so those of later instances must wait for the earlier ones' start.
        let mut deferred = false;
        let mut rewritten = Vec::new();
        let mut memories = vec![None; graph.memories.len()];
        for (index, instance) in graph.instances.iter().enumerate() {
            let mut rewriter = Rewriter {
                graph,
                numbers: &self.numbers,
                instance,
                types: Vec::new(),
                elements: out.elements.len(),
                data: out.data.len(),
                referenced: &mut self.referenced,
            };
            for group in &instance.module.types {
                rewriter.add_types(group, &mut self.types)?;
            }
            let own = instance.memories.len() - instance.module.memories.len();
            for (memory, ty) in instance.memories[own..].iter().zip(&instance.module.memories) {
                memories[self.numbers.memory(*memory) as usize] = Some(rewriter.memory_type(*ty).map_err(plain_error)?);
            }
            out.add(&mut rewriter, deferred)?;
            deferred |= instance.module.start.is_some();
            for (function, name) in &instance.module.function_names {
                if let Some(id) = instance.functions.get(*function as usize)
                    && matches!(graph.functions[id.0], Function::Defined { instance, .. } if instance == index)
                {
                    let module = instance.module.name.unwrap_or_default();
                    let prefix = match module.char_indices().nth(PREFIX_BYTES) {
                        _ if module.is_empty() => index.to_string(),
                        Some((end, _)) => module[..end].to_owned(),
                        None => module.to_owned(),
                    };
                    self.names.insert(self.numbers.function(*id), format!("{prefix}.{name}"));
                }
            }
            rewritten.push((rewriter.types, rewriter.elements, rewriter.data));
        }
        // Those that no module has are the adapter's and for handles.
        let hidden = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
        if let Some((own, adapter)) = graph.own.zip(graph.adapter.as_ref()) {
            memories[self.numbers.memory(own) as usize] = Some(adapter.memory);
        }
        for memory in memories {
            out.memories.memory(memory.unwrap_or(hidden));
        }
        self.bodies(&rewritten, results)?;
        Ok(out)
    }

    fn bodies(&mut self, rewritten: &[(Vec<u32>, u32, u32)], results: Option<Results>) -> Result<()> {
        let graph = self.graph;
        for (id, function) in
            graph.functions.iter().enumerate().filter(|(_, function)| self.is_written(function)).collect::<Vec<_>>()
        {
            match function {
                Function::Defined { instance: at, index } => {
                    let instance = &graph.instances[*at];
                    let (types, elements, data) = rewritten[*at].clone();
                    let mut rewriter = Rewriter {
                        graph,
                        numbers: &self.numbers,
                        instance,
                        types,
                        elements,
                        data,
                        referenced: &mut self.referenced,
                    };
                    let missing = || LowerError::Mistake("a function has no body".to_owned());
                    let ty = *instance.module.functions.get(*index).ok_or_else(missing)?;
                    self.functions.function(rewriter.type_index(ty).map_err(plain_error)?);
                    let body = instance.module.code.get(*index).ok_or_else(missing)?.clone();
                    rewriter.parse_function_body(&mut self.code, body).map_err(plain_error)?;
                }
                Function::Adapted(copy) => self.adapted(id, copy)?,
                Function::Realloc { realloc, component } => {
                    let ty = FuncType::new([ValType::I32; 4], [ValType::I32]);
                    let body = emit::realloc(self.numbers.function(*realloc), self.flags[component.0], graph.tags > 0);
                    let ty = self.types.function(&ty);
                    self.functions.function(ty);
                    self.code.function(&body);
                    self.names.insert(self.numbers.functions[id], "realloc".to_owned());
                }
                Function::HostCall { import, component, ty, fetch } => {
                    let fetch = fetch.zip(results).map(|(Fetch { realloc, memory }, results)| FetchCode {
                        next: self.numbers.function(results.next),
                        place: self.numbers.function(results.place),
                        realloc: self.numbers.function(realloc),
                        memory: self.numbers.memory(memory),
                        page_log2: graph.memories[memory.0].page_log2,
                    });
                    let import = self.numbers.function(*import);
                    let body = emit::host_call(ty, import, self.flags[component.0], fetch);
                    let ty = self.types.function(ty);
                    self.functions.function(ty);
                    self.code.function(&body);
                    let name = self.names.get(&import).map_or_else(String::new, |name| format!("lower {name}"));
                    self.names.insert(self.numbers.functions[id], name);
                }
                Function::Fused { lift, component, options } => {
                    let lift = &graph.lifts[*lift];
                    let (ty, body) = self.fused(lift, *component, options)?;
                    let ty = self.types.function(&ty);
                    self.functions.function(ty);
                    self.code.function(&body);
                    let callee = self.names.get(&self.numbers.function(lift.function)).map_or("", String::as_str);
                    self.names.insert(self.numbers.functions[id], format!("call {callee}"));
                }
                Function::Utf8(memory) => {
                    let ty = self.types.function(&FuncType::new([ValType::I32, ValType::I32], []));
                    self.functions.function(ty);
                    self.code.function(&fuse::utf8(self.numbers.memory(*memory)));
                    self.names.insert(self.numbers.functions[id], "utf8".to_owned());
                }
                Function::Text(copy) => {
                    let ty = self.types.function(&FuncType::new([ValType::I32; 2], [ValType::I32; 2]));
                    self.functions.function(ty);
                    self.code.function(&text::copy(&self.text(copy)));
                    self.names.insert(self.numbers.functions[id], "copy string".to_owned());
                }
                Function::Resource { action, resource, component } => {
                    let (ty, body) = self.resource(*action, *resource, *component)?;
                    let ty = self.types.function(&ty);
                    self.functions.function(ty);
                    self.code.function(&body);
                    self.names.insert(self.numbers.functions[id], format!("{action:?} resource {}", resource.number));
                }
                Function::Handles(code, component) => {
                    let (ty, body) = self.handles(*code, *component)?;
                    let ty = self.types.function(&ty);
                    self.functions.function(ty);
                    self.code.function(&body);
                    self.names.insert(self.numbers.functions[id], format!("{code:?} handle of {}", component.0));
                }
                Function::Lend => {
                    let ty = self.types.function(&FuncType::new([ValType::I32], []));
                    self.functions.function(ty);
                    self.code.function(&handles::lend(self.lent()?));
                    self.names.insert(self.numbers.functions[id], "lend".to_owned());
                }
                Function::Bump(memory) => {
                    let ty = self.types.function(&FuncType::new([ValType::I32; 4], [ValType::I32]));
                    self.functions.function(ty);
                    self.code.function(&handles::bump(self.numbers.memory(*memory)));
                    self.names.insert(self.numbers.functions[id], "allocate".to_owned());
                }
                Function::Host(_) => {}
            }
        }
        Ok(())
    }

    fn text(&self, text: &graph::Text) -> Text {
        let memory = |(id, encoding): (MemoryId, text::Encoding)| text::Memory {
            number: self.numbers.memory(id),
            page_log2: self.graph.memories[id.0].page_log2,
            encoding,
        };
        Text {
            from: memory(text.from),
            utf8: self.graph.utf8.get(&text.from.0).map(|utf8| self.numbers.function(*utf8)),
            to: memory(text.to),
            realloc: self.numbers.function(text.realloc),
            flag: self.flags[text.component.0],
            throws: self.graph.tags > 0,
        }
    }

    /// The function that copies strings from one side to the other, unless they are UTF-8 on both.
    fn text_number(&self, from: &Options, to: (&Options, ComponentId)) -> Option<u32> {
        let text = graph::text(from, to).ok().flatten()?;
        self.graph.texts.get(&text).map(|function| self.numbers.function(*function))
    }

    /// A copy of a function of the adapter.
    fn adapted(&mut self, id: usize, copy: &Adapted) -> Result<()> {
        let mistake = || LowerError::Mistake("no adapter".to_owned());
        let graph = self.graph;
        let (adapter, own) = graph.adapter.as_ref().zip(graph.own).ok_or_else(mistake)?;
        let types: Vec<u32> = adapter.types().iter().map(|ty| self.types.function(ty)).collect();
        let functions = copy.calls.iter().map(|(call, id)| (*call, self.numbers.function(*id))).collect();
        let memories = [Some(own), copy.memory].map(|memory| memory.map(|memory| self.numbers.memory(memory)));
        let ty = self.types.function(adapter.ty(copy.function)?);
        self.functions.function(ty);
        adapter.write(copy.function, &mut self.code, &mut Copy { functions: &functions, memories, types: &types })?;
        if let Some(name) = adapter.name(copy.function) {
            self.names.insert(self.numbers.functions[id], format!("wasi.{name}"));
        }
        Ok(())
    }

    /// The table of handles of a component, if it has one.
    fn table(&self, component: ComponentId) -> Option<Table> {
        let table = self.graph.handles.get(&component.0)?;
        Some(Table {
            memory: self.numbers.memory(table.memory),
            add: self.numbers.function(table.add),
            get: self.numbers.function(table.get),
            free: self.numbers.function(table.free),
            borrows: self.borrows[component.0]?,
        })
    }

    fn lent(&self) -> Result<Lent> {
        let lent = self.graph.lent.zip(self.height[0]);
        let lent = lent.map(|((memory, _), height)| Lent { memory: self.numbers.memory(memory), height });
        lent.ok_or_else(|| LowerError::Mistake("nothing can be lent".to_owned()))
    }

    fn resource(
        &self,
        action: Action,
        resource: ResourceId,
        component: ComponentId,
    ) -> Result<(FuncType, wasm_encoder::Function)> {
        let graph = self.graph;
        let table = self.table(component).ok_or_else(|| LowerError::Mistake("no handles".to_owned()))?;
        let (ty, flag) = (fuse::handle_type(resource), self.flags[component.0]);
        Ok(match action {
            Action::New => (FuncType::new([ValType::I32], [ValType::I32]), handles::new(table, ty, flag)),
            Action::Rep => (FuncType::new([ValType::I32], [ValType::I32]), handles::rep(table, ty)),
            Action::Drop => {
                let Resource { owner, destructor, .. } = graph.resources[resource.number];
                let entered = owner.map_or_else(Vec::new, |owner| graph.entered(component, owner));
                let enters: Vec<u32> = match destructor {
                    Some(_) => entered.iter().filter_map(|component| self.running[component.0]).collect(),
                    None => Vec::new(),
                };
                let destructor = destructor.map(|function| self.numbers.function(function));
                (FuncType::new([ValType::I32], []), handles::drop(table, ty, flag, destructor, &enters, graph.tags > 0))
            }
        })
    }

    fn handles(&self, code: HandleCode, component: ComponentId) -> Result<(FuncType, wasm_encoder::Function)> {
        let memory = self.graph.handles.get(&component.0).map(|table| self.numbers.memory(table.memory));
        let memory = memory.ok_or_else(|| LowerError::Mistake("no handles".to_owned()))?;
        let i32s =
            |params: usize, results: usize| FuncType::new(vec![ValType::I32; params], vec![ValType::I32; results]);
        Ok(match code {
            HandleCode::Add => (i32s(3, 1), handles::add(memory)),
            HandleCode::Get => (i32s(2, 1), handles::get(memory)),
            HandleCode::Free => (i32s(1, 0), handles::free(memory)),
            // Without lent handles it is called by nobody.
            HandleCode::GiveBack => match self.lent() {
                Ok(lent) => (i32s(1, 0), handles::give_back(lent, memory)),
                Err(_) => {
                    let mut body = wasm_encoder::Function::new([]);
                    body.instructions().unreachable().end();
                    (i32s(1, 0), body)
                }
            },
        })
    }

    /// The type and the code of a call between components.
    fn fused(
        &mut self,
        lift: &Lift,
        caller: ComponentId,
        options: &Options,
    ) -> Result<(FuncType, wasm_encoder::Function)> {
        let graph = self.graph;
        let calls_host = Some(lift.component) == graph.host;
        let below = graph.types.flat(&lift.signature, if calls_host { Side::Lower } else { Side::Lift });
        let above = graph.types.flat(&lift.signature, Side::Lower);
        let party = |options: &Options, component: ComponentId| Party {
            memory: options.memory.map(|memory| (self.numbers.memory(memory), graph.memories[memory.0].page_log2)),
            realloc: options.realloc.map(|realloc| self.numbers.function(realloc)),
            flag: self.flags[component.0],
            utf8: options.memory.and_then(|memory| graph.utf8.get(&memory)).map(|utf8| self.numbers.function(*utf8)),
            component,
            table: self.table(component),
            is_host: Some(component) == graph.host,
        };
        let lends = graph.types.any(&lift.signature, |ty| ty.has_borrow);
        let lending = graph.lent.filter(|_| lends).zip(self.height[0]).zip(graph.handles.get(&caller.0));
        let lending = lending.map(|(((_, lend), height), table)| Lending {
            lend: self.numbers.function(lend),
            give_back: self.numbers.function(table.give_back),
            height,
        });
        let call = fuse::Call {
            params: &lift.signature.params,
            result: lift.signature.result,
            caller: party(options, caller),
            callee: party(&lift.options, lift.component),
            texts: (
                self.text_number(options, (&lift.options, lift.component)),
                self.text_number(&lift.options, (options, caller)),
            ),
            function: self.numbers.function(lift.function),
            post_return: lift.options.post_return.map(|function| self.numbers.function(function)),
            caller_type: above.ty.clone(),
            callee_type: below.ty,
            params_in_memory: below.params_in_memory,
            result_in_memory: below.result_in_memory,
            enters: graph
                .entered(caller, lift.component)
                .iter()
                .filter_map(|component| self.running[component.0])
                .collect(),
            throws: graph.tags > 0,
            resources: &graph.resources,
            lends,
            lending,
            takes_area: calls_host && below.result_in_memory,
        };
        let body = fuse::call(&graph.types, &call, &mut self.budget)?;
        Ok((above.ty, body))
    }

    fn export_functions(&mut self) -> Result<()> {
        let graph = self.graph;
        let mut used = BTreeSet::from(["memory".to_owned()]);
        for export in &graph.exports {
            if let Some(translated) = export.translated {
                self.export_translated(&mut used, export, translated)?;
                continue;
            }
            let lift = &graph.lifts[export.lift];
            let flat = graph.types.flat(&lift.signature, Side::Lift);
            let mut function = self.numbers.function(lift.function);
            let clean = cleans(graph, lift)
                .map(|post_return| (self.numbers.function(post_return), self.flags[lift.component.0]));
            let enters: Vec<u32> =
                graph.ancestors(lift.component).filter_map(|component| self.running[component.0]).collect();
            if clean.is_some() || !enters.is_empty() {
                let body = emit::host_calls(&flat.ty, function, clean, &enters);
                function = self.generate(&flat.ty, &body, format!("lift {}", export.name));
            }
            if let Some(exit) = graph.exit.filter(|_| graph.is_command(export)) {
                let body = emit::command(function, self.numbers.function(exit));
                let entry = self.generate(&FuncType::new([], []), &body, "_start".to_owned());
                self.add_export(&mut used, "_start", ExportKind::Func, entry)?;
                continue;
            }
            let lists = |id: &TypeId| graph.types.get(*id).has_list;
            let allocates = flat.params_in_memory || lift.signature.params.iter().any(lists);
            let memory = if allocates || flat.result_in_memory { Some(lift.options.memory()?) } else { None };
            let plain = full_name(export.interface, export.name);
            let encoding = match graph.types.any(&lift.signature, |ty| ty.has_string) {
                true => lift.options.encoding.suffix(),
                false => "",
            };
            let name = format!("{plain}{}{encoding}", self.suffix(memory));
            self.add_export(&mut used, &name, ExportKind::Func, function)?;
            if allocates {
                let realloc = self.numbers.function(lift.options.realloc()?);
                self.add_export(&mut used, &format!("{plain}|realloc"), ExportKind::Func, realloc)?;
            }
            if let Some(post_return) = lift.options.post_return.filter(|_| flat.result_in_memory) {
                let post_return = self.numbers.function(post_return);
                self.add_export(&mut used, &format!("{plain}|post-return"), ExportKind::Func, post_return)?;
            }
            self.export_memory(&mut used, memory);
        }
        for (interface, name, function) in &graph.drops {
            let name = full_name(*interface, &format!("[resource-drop]{name}"));
            self.add_export(&mut used, &name, ExportKind::Func, self.numbers.function(*function))?;
        }
        Ok(())
    }

    fn export_memory(&mut self, used: &mut BTreeSet<String>, memory: Option<MemoryId>) {
        if let Some(memory) = memory.map(|memory| self.numbers.memory(memory)).filter(|memory| *memory != 0)
            && used.insert(format!("memory|{memory}"))
        {
            self.exports.export(&format!("memory|{memory}"), ExportKind::Memory, memory);
        }
    }

    /// Exports a function with handles, which are those of the host's table there.
    fn export_translated(
        &mut self,
        used: &mut BTreeSet<String>,
        export: &Export<'_>,
        translated: FunctionId,
    ) -> Result<()> {
        let graph = self.graph;
        let Function::Fused { options, .. } = &graph.functions[translated.0] else {
            return Err(LowerError::Mistake("an export is no call".to_owned()));
        };
        let signature = &graph.lifts[export.lift].signature;
        let flat = graph.types.flat(signature, Side::Lift);
        let area = match signature.result.filter(|_| flat.result_in_memory) {
            Some(result) => {
                let ty = graph.types.get(result);
                Some((self.numbers.function(options.realloc()?), ty.size, ty.align))
            }
            None => None,
        };
        let memory = options.memory.map(|memory| self.numbers.memory(memory));
        let body = emit::translated(&flat.ty, self.numbers.function(translated), area, memory);
        let function = self.generate(&flat.ty, &body, format!("lift {}", export.name));
        let plain = full_name(export.interface, export.name);
        self.add_export(used, &format!("{plain}{}", self.suffix(options.memory)), ExportKind::Func, function)?;
        if flat.params_in_memory || signature.params.iter().any(|id| graph.types.get(*id).has_list) {
            let realloc = self.numbers.function(options.realloc()?);
            self.add_export(used, &format!("{plain}|realloc"), ExportKind::Func, realloc)?;
        }
        if let Some(memory) = memory.filter(|_| area.is_some()) {
            let mut body = wasm_encoder::Function::new([]);
            handles::reset(&mut body.instructions(), memory);
            body.instructions().end();
            let reset = self.generate(&FuncType::new([ValType::I32], []), &body, "reset".to_owned());
            self.add_export(used, &format!("{plain}|post-return"), ExportKind::Func, reset)?;
        }
        self.export_memory(used, options.memory);
        Ok(())
    }

    fn add_export(&mut self, used: &mut BTreeSet<String>, name: &str, kind: ExportKind, index: u32) -> Result<()> {
        if !used.insert(name.to_owned()) {
            return Err(LowerError::Unsupported(format!("two exports with the name `{name}`")));
        }
        self.exports.export(name, kind, index);
        Ok(())
    }

    /// The start function, if an instance has one.
    fn start(&mut self, instances: &Instances) -> Result<Option<u32>> {
        let mut functions = instances.starts.iter().filter_map(|(_, start)| *start);
        let (first, second) = (functions.next(), functions.next());
        if second.is_none() && instances.starts.iter().all(|(code, _)| code.is_empty()) {
            return Ok(first);
        }
        let mut body = wasm_encoder::Function::new([]);
        for (code, start) in &instances.starts {
            body.raw(code.iter().copied());
            if let Some(start) = start {
                body.instructions().call(*start);
            }
        }
        body.instructions().end();
        Ok(Some(self.generate(&FuncType::new([], []), &body, "start".to_owned())))
    }
}

impl Instances {
    /// Adds all parts of an instance but its functions.
    fn add(&mut self, rewriter: &mut Rewriter<'_, '_, '_>, deferred: bool) -> Result<()> {
        let module = rewriter.instance.module;
        if let Some(tables) = &module.tables {
            rewriter.parse_table_section(&mut self.tables, tables.clone()).map_err(plain_error)?;
        }
        if let Some(globals) = &module.globals {
            rewriter.parse_global_section(&mut self.globals, globals.clone()).map_err(plain_error)?;
        }
        for tag in &module.tags {
            self.tags.tag(rewriter.tag_type(*tag).map_err(plain_error)?);
        }
        let mut code = wasm_encoder::Function::new([]);
        let locals = code.byte_len();
        for element in module.elements.clone().into_iter().flatten() {
            let element = element?;
            match element.kind {
                ElementKind::Active { table_index, offset_expr } if deferred => {
                    let (count, items) = match &element.items {
                        ElementItems::Functions(items) => {
                            (items.count(), rewriter.element_items(element.items.clone()))
                        }
                        ElementItems::Expressions(_, items) => {
                            (items.count(), rewriter.element_items(element.items.clone()))
                        }
                    };
                    let segment = self.elements.len();
                    self.elements.passive(items.map_err(plain_error)?);
                    let table = rewriter.table_index(table_index.unwrap_or(0)).map_err(plain_error)?;
                    code.raw(rewriter.expression(&offset_expr)?);
                    code.instructions()
                        .i32_const(0)
                        .i32_const(count.cast_signed())
                        .table_init(table, segment)
                        .elem_drop(segment);
                }
                _ => rewriter.parse_element(&mut self.elements, element).map_err(plain_error)?,
            }
        }
        for data in module.data.clone().into_iter().flatten() {
            let data = data?;
            match data.kind {
                DataKind::Active { memory_index, offset_expr } if deferred => {
                    let segment = self.data.len();
                    self.data.passive(data.data.iter().copied());
                    let memory = rewriter.memory_index(memory_index).map_err(plain_error)?;
                    code.raw(rewriter.expression(&offset_expr)?);
                    let len = number(data.data.len()).cast_signed();
                    code.instructions().i32_const(0).i32_const(len).memory_init(memory, segment).data_drop(segment);
                }
                _ => rewriter.parse_data(&mut self.data, data).map_err(plain_error)?,
            }
        }
        let start = module.start.map(|start| rewriter.function_index(start).map_err(plain_error)).transpose()?;
        self.starts.push((code.into_raw_body().split_off(locals), start));
        Ok(())
    }
}
