//! Components that scripts link while they run: each becomes a part of one component, which has the exports of the last.

use std::collections::{BTreeMap, HashMap};
use wasm_encoder_262::{ComponentBuilder, ComponentExportKind};
use wasmparser::{ComponentExternalKind, Parser, Payload};

/// Components of a script by the names of their instances.
pub type Named = BTreeMap<String, Vec<u8>>;

/// The name of the host among them. It also has the functions that are imported without an instance.
pub const HOST: &str = "host";

/// One component for `component` and everything of `named` that it imports. `None` if it imports nothing, or something else, too.
pub fn compose(named: &Named, component: &[u8]) -> Option<Vec<u8>> {
    let imports = imported(component);
    if imports.is_empty() || !imports.iter().all(|name| provider(named, name).is_some()) {
        return None;
    }
    let mut whole = Whole { named, builder: ComponentBuilder::default(), instances: HashMap::new() };
    let instance = whole.instance(component);
    for (name, kind) in exported(component) {
        let index = whole.builder.alias_export(instance, &name, kind);
        whole.builder.export(name.as_str(), kind, index, None);
    }
    Some(whole.builder.finish())
}

struct Whole<'a> {
    named: &'a Named,
    builder: ComponentBuilder,
    instances: HashMap<String, u32>,
}

impl Whole<'_> {
    fn instance(&mut self, component: &[u8]) -> u32 {
        let mut arguments = Vec::new();
        for name in imported(component) {
            let Some((provider, is_whole)) = provider(self.named, &name) else { continue };
            let instance = match self.instances.get(provider) {
                Some(instance) => *instance,
                None => self.instance(&self.named[provider]),
            };
            self.instances.insert(provider.to_owned(), instance);
            arguments.push(if is_whole {
                (name, ComponentExportKind::Instance, instance)
            } else {
                let function = self.builder.alias_export(instance, &name, ComponentExportKind::Func);
                (name, ComponentExportKind::Func, function)
            });
        }
        let index = self.builder.component_raw(None, component);
        self.builder.instantiate(None, index, arguments)
    }
}

/// The component that provides an import, and whether its whole instance does, or a function of it.
fn provider<'n>(named: &'n Named, import: &str) -> Option<(&'n str, bool)> {
    let whole = named.get_key_value(import).map(|(name, _)| (name.as_str(), true));
    whole.or_else(|| {
        let (name, host) = named.get_key_value(HOST)?;
        let has = |(export, kind): (String, _)| export == import && kind == ComponentExportKind::Func;
        exported(host).into_iter().any(has).then_some((name.as_str(), false))
    })
}

fn imported(component: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    top(component, |payload| {
        if let Payload::ComponentImportSection(section) = payload {
            names.extend(section.into_iter().map_while(Result::ok).map(|import| import.name.name.to_owned()));
        }
    });
    names
}

fn exported(component: &[u8]) -> Vec<(String, ComponentExportKind)> {
    let mut names = Vec::new();
    top(component, |payload| {
        if let Payload::ComponentExportSection(section) = payload {
            let exports = section.into_iter().map_while(Result::ok);
            names.extend(exports.map(|export| (export.name.name.to_owned(), kind(export.kind))));
        }
    });
    names
}

const fn kind(kind: ComponentExternalKind) -> ComponentExportKind {
    match kind {
        ComponentExternalKind::Module => ComponentExportKind::Module,
        ComponentExternalKind::Func => ComponentExportKind::Func,
        ComponentExternalKind::Value => ComponentExportKind::Value,
        ComponentExternalKind::Type => ComponentExportKind::Type,
        ComponentExternalKind::Instance => ComponentExportKind::Instance,
        ComponentExternalKind::Component => ComponentExportKind::Component,
    }
}

/// Each part of a component that is not within another.
pub fn top<'a>(component: &'a [u8], mut each: impl FnMut(Payload<'a>)) {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            payload if depth == 1 => each(payload),
            _ => {}
        }
    }
}
