//! Functions of the host. How components call them is decided once everything is instantiated.
//!
//! A handle of the host is the number that the host gave out, and is passed on as it is as long as one component alone can have it. A
//! resource of the host that several components use is shared: each of them has handles of its own for it, as for a resource that a
//! component defines, and what they stand for are the host's numbers. Calls of the host then translate. What has such handles in memory is
//! copied to a memory that no component sees, where the host finds it. So are strings that are not UTF-8, which the host does not know.

use super::{Callable, Elaborator, Imported};
use crate::adapter::{self, Adapted};
use crate::error::{LowerError, Result, unsupported};
use crate::graph::{
    Action, ComponentId, Export, Fetch, Function, FunctionId, HostFunction, Lift, MemoryId, Options, Resource, Transfer,
};
use crate::text::Encoding;
use crate::types::{ResourceId, Side, Signature};
use std::collections::{BTreeSet, HashMap, HashSet};
use wasm_encoder::{FuncType, ValType};

/// What a component does with the host.
#[derive(Debug)]
pub(super) enum Use {
    /// It calls this function.
    Call(usize, Options),
    /// It drops handles of this resource.
    Drop(ResourceId),
}

/// A function that is decided later.
#[derive(Debug)]
pub(super) struct Plan {
    function: FunctionId,
    component: ComponentId,
    what: Use,
}

impl<'a> Elaborator<'_, 'a> {
    /// The function by which a component does this.
    pub(super) fn plan(&mut self, component: ComponentId, what: Use) -> FunctionId {
        // It is replaced by what is decided.
        let later = Function::HostCall { import: FunctionId(0), component, ty: FuncType::new([], []), fetch: None };
        let function = self.graph.add(later);
        self.plans.push(Plan { function, component, what });
        function
    }

    /// The resources of the host in the type of a function.
    pub(super) fn host_resources(&mut self, signature: &Signature) -> Result<BTreeSet<ResourceId>> {
        let (found, seen) = self.graph.types.host_resources(signature);
        self.step(seen)?;
        Ok(found)
    }

    /// Decides what was planned.
    pub(super) fn decide(&mut self) -> Result<()> {
        let plans = std::mem::take(&mut self.plans);
        // By name: two versions of an interface have one resource.
        let mut users: HashMap<(String, String), ComponentId> = HashMap::new();
        let mut shared: HashSet<(String, String)> = HashSet::new();
        for plan in &plans {
            let resources = match plan.what {
                Use::Call(number, _) => {
                    let signature = self.signatures[self.imported[number].signature].clone();
                    self.host_resources(&signature)?
                }
                Use::Drop(resource) => BTreeSet::from([resource]),
            };
            for name in resources.iter().filter_map(|resource| self.resources.get(resource)) {
                if *users.entry(name.clone()).or_insert(plan.component) != plan.component {
                    shared.insert(name.clone());
                }
            }
        }
        shared.extend(self.crossing.iter().filter_map(|resource| self.resources.get(resource)).cloned());
        for (resource, name) in &self.resources {
            self.graph.resources[resource.number].is_shared = shared.contains(name);
        }
        for Plan { function, component, what } in plans {
            self.graph.functions[function.0] = match what {
                Use::Call(number, options) => self.call_host(component, number, options)?,
                Use::Drop(resource) => self.drop_of_host(component, resource)?,
            };
        }
        Ok(())
    }

    fn is_shared(&mut self, signature: &Signature) -> Result<bool> {
        let resources = self.host_resources(signature)?;
        Ok(resources.iter().any(|resource| self.graph.resources[resource.number].is_shared))
    }

    fn call_host(&mut self, component: ComponentId, number: usize, options: Options) -> Result<Function> {
        let signature = self.signatures[self.imported[number].signature].clone();
        let is_encoded = options.encoding != Encoding::Utf8 && self.graph.types.any(&signature, |ty| ty.has_string);
        if !is_encoded && !self.is_shared(&signature)? {
            return self.direct(component, number, options);
        }
        let host = self.graph.host();
        let theirs = match self.graph.types.uses_memory(&signature) {
            true => self.graph.transfer(Transfer::Out),
            false => Options::default(),
        };
        let direct = self.direct(host, number, theirs)?;
        let function = self.graph.add(direct);
        self.graph.lifts.push(Lift { function, signature, options: theirs, component: host });
        self.fused(self.graph.lifts.len() - 1, component, options)
    }

    /// A call of the host that passes values as they are.
    fn direct(&mut self, component: ComponentId, number: usize, options: Options) -> Result<Function> {
        let Imported { interface, name, signature } = self.imported[number].clone();
        let signature = &self.signatures[signature];
        let types = &self.graph.types;
        let flat = types.flat(signature, Side::Lower);
        let fetches = signature.result.iter().any(|id| types.get(*id).has_list);
        let memory = if types.uses_memory(signature) { Some(options.memory()?) } else { None };
        let fetch = match fetches {
            true => Some(Fetch { realloc: self.realloc(options.realloc()?, component), memory: options.memory()? }),
            false => None,
        };
        self.host_call(component, HostFunction { module: interface, name, ty: flat.ty, memory }, fetch, options)
    }

    /// A call of the host: by an import, or of the adapter if it has the interface.
    fn host_call(
        &mut self,
        component: ComponentId,
        host: HostFunction,
        fetch: Option<Fetch>,
        options: Options,
    ) -> Result<Function> {
        let ty = host.ty.clone();
        let (import, fetch) = match &self.graph.adapter {
            Some(adapter) if adapter.has(&host.module) => {
                let HostFunction { module, name, .. } = &host;
                let Some(function) = adapter.find(module, name) else {
                    return unsupported(format!("the function `{name}` of `{module}`"));
                };
                if *adapter.ty(function)? != ty {
                    return unsupported(format!("the function `{name}` of `{module}` with a type that is not its own"));
                }
                let realloc = options.realloc.map(|realloc| self.realloc(realloc, component));
                (self.adapted(function, options.memory, realloc)?, None)
            }
            _ => (self.host(host), fetch),
        };
        Ok(Function::HostCall { import, component, ty, fetch })
    }

    pub(super) fn host(&mut self, host: HostFunction) -> FunctionId {
        match self.hosts.get(&host) {
            Some(import) => *import,
            None => {
                let import = self.graph.add(Function::Host(host.clone()));
                self.hosts.insert(host, import);
                import
            }
        }
    }

    /// The `realloc` of a component, as the adapter calls it.
    fn realloc(&mut self, realloc: FunctionId, component: ComponentId) -> FunctionId {
        match self.reallocs.get(&(realloc, component)) {
            Some(known) => *known,
            None => {
                let function = self.graph.add(Function::Realloc { realloc, component });
                self.reallocs.insert((realloc, component), function);
                function
            }
        }
    }

    /// A copy of a function of the adapter, with all that it calls.
    pub(super) fn adapted(
        &mut self,
        function: u32,
        memory: Option<MemoryId>,
        realloc: Option<FunctionId>,
    ) -> Result<FunctionId> {
        let adapter = self.graph.adapter.as_ref().ok_or_else(|| LowerError::Mistake("no adapter".to_owned()))?;
        let missing = |what: &str| LowerError::Mistake(format!("a function of the adapter needs {what}"));
        let (calls, memory, realloc) = match adapter.kind(function)? {
            adapter::Kind::Realloc => return realloc.ok_or_else(|| missing("`realloc`")),
            adapter::Kind::Host(host) => {
                let host = host.clone();
                return Ok(self.host(host));
            }
            adapter::Kind::Defined { calls, memory: uses_memory, realloc: uses_realloc } => {
                let calls: Vec<u32> = calls.iter().copied().collect();
                let memory = if uses_memory { Some(memory.ok_or_else(|| missing("memory"))?) } else { None };
                let realloc = if uses_realloc { Some(realloc.ok_or_else(|| missing("`realloc`"))?) } else { None };
                (calls, memory, realloc)
            }
        };
        if let Some(known) = self.adapted.get(&(function, memory, realloc)) {
            return Ok(*known);
        }
        if self.graph.own.is_none() {
            self.graph.own = Some(self.graph.hidden_memory());
        }
        // It is known before what it calls, which may call it.
        let copy = Adapted { function, calls: HashMap::new(), memory };
        let id = self.graph.add(Function::Adapted(copy));
        self.adapted.insert((function, memory, realloc), id);
        let mut found = HashMap::new();
        for call in calls {
            found.insert(call, self.adapted(call, memory, realloc)?);
        }
        if let Some(Function::Adapted(copy)) = self.graph.functions.get_mut(id.0) {
            copy.calls = found;
        }
        Ok(id)
    }

    fn drop_of_host(&mut self, component: ComponentId, resource: ResourceId) -> Result<Function> {
        let missing = || LowerError::Mistake("the host has no such resource".to_owned());
        let (module, name) = self.resources.get(&resource).cloned().ok_or_else(missing)?;
        let ty = FuncType::new([ValType::I32], []);
        let host = HostFunction { module, name: format!("[resource-drop]{name}"), ty, memory: None };
        let Resource { is_shared, destructor, .. } = self.graph.resources[resource.number];
        if !is_shared {
            return self.host_call(component, host, None, Options::default());
        }
        if destructor.is_none() {
            let party = self.graph.host();
            let call = self.host_call(party, host, None, Options::default())?;
            self.graph.resources[resource.number].destructor = Some(self.graph.add(call));
        }
        self.graph.need_handles(component);
        Ok(Function::Resource { action: Action::Drop, resource, component })
    }

    // Calls by the host.

    /// Exports a function.
    pub(super) fn export_function(
        &mut self,
        interface: Option<&'a str>,
        name: &'a str,
        function: Callable,
    ) -> Result<()> {
        let Callable::Lifted(lift) = function else {
            return unsupported(format!("the export `{name}`, which is one of its imports"));
        };
        let signature = self.graph.lifts[lift].signature.clone();
        let translated = match self.graph.types.any(&signature, |ty| ty.has_own_handle) || self.is_shared(&signature)? {
            false => None,
            true => {
                let host = self.graph.host();
                let types = &self.graph.types;
                let in_memory =
                    types.uses_memory(&signature) || signature.result.iter().any(|id| types.get(*id).has_list);
                let options = if in_memory { self.graph.transfer(Transfer::In) } else { Options::default() };
                let fused = self.fused(lift, host, options)?;
                Some(self.graph.add(fused))
            }
        };
        self.graph.exports.push(Export { interface, name, lift, translated });
        Ok(())
    }

    /// Exports what drops the host's handles of these resources, if it has any.
    pub(super) fn export_drops(&mut self, resources: &[(Option<&'a str>, &'a str, ResourceId)]) {
        let host = self.graph.host;
        let Some(host) = host.filter(|host| self.graph.handles.contains_key(&host.0)) else { return };
        for (interface, name, resource) in resources.iter().filter(|(.., resource)| !resource.is_host) {
            let drop = Function::Resource { action: Action::Drop, resource: *resource, component: host };
            let drop = self.graph.add(drop);
            self.graph.drops.push((*interface, name, drop));
        }
    }
}
