//! The kernel policy of a run under a policy file.

use wave_engine::policy::PolicyDocument;
use wave_policy::file::Derived;
use wave_policy::{ConnectTarget, FilesystemGrant, Level, Policy, Surface, all_functions};

/// The kernel policy of a run, derived from the file alone: a module that imports all that is allowed.
pub fn kernel_policy(policy: &PolicyDocument) -> Policy {
    let values = &policy.values;
    let every = || all_functions().iter().map(|function| function.name.to_owned()).collect();
    let functions: Vec<String> = values.functions.clone().unwrap_or_else(every);
    // Without `[os]`, it is a module that asks for all there is.
    let asks = values.os.as_ref().is_none_or(Derived::asks_for_connections);
    Policy {
        level: values.sandbox.unwrap_or_default(),
        surface: Surface::of_functions(&functions).with_connections(asks),
        connections: values.connect.iter().flatten().map(ConnectTarget::ports).collect(),
        grants: policy.directories().map(|dir| FilesystemGrant { host: dir.host, access: dir.access }).collect(),
        resolver: values.os.as_ref().map(|os| os.resolver).unwrap_or_default(),
        listeners: values.listen.clone().unwrap_or_default(),
        ..Policy::default()
    }
}

/// The finding for kernel layers, if the policy turns them off.
pub fn kernel_layers_off(policy: &PolicyDocument) -> Option<String> {
    let off = policy.values.sandbox == Some(Level::Off);
    off.then(|| "not enforced: sandbox = \"off\"".to_owned())
}
