//! What a policy grants to a module, and which of its functions therefore have no effect.

use super::module::{Declarations, Kind, Memory};
use serde::Serialize;
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;
use wave_policy::{Access, Level, Need, Surface};

/// The grants of a policy.
#[derive(Debug, Serialize)]
pub struct Granted {
    /// The path of the policy.
    pub policy: String,
    /// Number of read-only directories.
    pub read_only: usize,
    /// Number of append-only directories.
    pub append: usize,
    /// Number of writable directories.
    pub read_write: usize,
    /// Number of listening sockets.
    pub listeners: usize,
    /// Number of networks that it may connect to.
    pub connections: usize,
    /// Maximum linear memory in bytes.
    pub max_memory: Option<u64>,
    /// Functions that the module imports and that have no effect without a further grant.
    pub without_effect: Vec<&'static str>,
}

impl Granted {
    /// Derives what a policy grants to a module.
    ///
    /// # Errors
    /// 125 if the policy does not allow the module's imports or applies no kernel layer, 2 for a component.
    pub fn of(loaded: &PolicyDocument, declared: &Declarations) -> Result<Self, Failure> {
        let place = || loaded.path().display().to_string();
        if declared.kind == Kind::Component {
            return Err(Failure::usage("a policy does not apply to a component")
                .at("--policy")
                .fix("leave out the flag"));
        }
        let values = &loaded.values;
        if values.sandbox == Some(Level::Off) {
            let what = "no layer of the kernel is applied under this policy: sandbox = \"off\"";
            return Err(Failure::refused(what).at(place()).fix("write sandbox = \"strict\""));
        }
        let surface = super::facts::surface(declared);
        let allowed = |name: &str| values.functions.as_ref().is_none_or(|allowed| allowed.iter().any(|a| a == name));
        if let Some(more) = surface.functions().find(|function| !allowed(function.name)) {
            let what = format!("the module imports `{}`, which the policy does not allow", more.name);
            return Err(Failure::refused(what).at(place()).fix("`wave policy check` lists all differences"));
        }
        let count = |access| values.fs.iter().filter(|directory| directory.access == access).count();
        let mut granted = Self {
            policy: place(),
            read_only: count(Access::ReadOnly),
            append: count(Access::Append),
            read_write: count(Access::ReadWrite),
            listeners: values.listen.as_ref().map_or(0, Vec::len),
            connections: values.connect.as_ref().map_or(0, Vec::len),
            max_memory: values.limits.max_memory,
            without_effect: Vec::new(),
        };
        granted.without_effect = surface
            .functions()
            .filter(|function| !granted.has_effect(function.name, function.need))
            .map(|f| f.name)
            .collect();
        Ok(granted)
    }

    fn has_effect(&self, name: &str, need: Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::Grant => self.read_only + self.append + self.read_write > 0,
            Need::WritableGrant => match wave_monitor::Access::least_for_call(name) {
                wave_monitor::Access::ReadWrite => self.read_write > 0,
                _ => self.append + self.read_write > 0,
            },
            Need::Listener => self.listeners > 0,
            Need::Socket => self.listeners + self.connections > 0,
        }
    }

    /// The functions of a surface that can have an effect.
    pub fn effective(&self, surface: &Surface) -> Surface {
        let effective = surface.functions().filter(|function| self.has_effect(function.name, function.need));
        let connects = surface.asks_for_connections() && self.connections > 0;
        Surface::of_functions(effective.map(|function| function.name)).with_connections(connects)
    }

    /// Whether a memory can grow within the limit of the policy.
    pub fn can_grow(&self, memory: &Memory) -> bool {
        memory.can_grow()
            && self.max_memory.is_none_or(|most| most.checked_shr(memory.page_log2).unwrap_or(0) > memory.min_pages)
    }
}
