//! What a policy grants, as far as it decides which functions of a module have an effect.

use super::module::{Declarations, Kind, Memory};
use serde::Serialize;
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;
use wave_policy::{Access, Level, Need, Surface};

/// Functions that an append grant refuses, though it can be written to.
const NOT_IN_APPEND: [&str; 4] = ["fd_filestat_set_size", "path_remove_directory", "path_rename", "path_unlink_file"];

/// The grants of a policy.
#[derive(Debug, Serialize)]
pub struct Granted {
    /// The policy's name.
    pub policy: String,
    /// Directories by access.
    pub read_only: usize,
    /// To which something can be added.
    pub append: usize,
    /// That can be changed.
    pub read_write: usize,
    /// Sockets that listen.
    pub listeners: usize,
    /// Most linear memory.
    pub max_memory: Option<u64>,
    /// Functions the module imports, and no grant gives an effect.
    pub without_effect: Vec<&'static str>,
}

impl Granted {
    /// What a policy of the module grants.
    ///
    /// # Errors
    /// 125 for a policy that is not this module's, or under which no layer of the kernel holds a run; 2 for a component.
    pub fn of(loaded: &PolicyDocument, declared: &Declarations) -> Result<Self, Failure> {
        let place = || loaded.path().display().to_string();
        if declared.kind == Kind::Component {
            return Err(Failure::usage("a component runs under no policy").at("--policy").fix("leave out the flag"));
        }
        let values = &loaded.values;
        if values.sandbox == Some(Level::Off) {
            let what = "a run under this policy is held by no layer of the kernel: sandbox = \"off\"";
            return Err(Failure::refused(what).at(place()).fix("write sandbox = \"strict\""));
        }
        let surface = super::facts::surface(declared);
        let allowed = |name: &str| values.functions.as_ref().is_none_or(|allowed| allowed.iter().any(|a| a == name));
        if let Some(more) = surface.functions().find(|function| !allowed(function.name)) {
            let what = format!("the module imports `{}`, which the policy does not allow", more.name);
            return Err(Failure::refused(what).at(place()).fix("`wave policy check` tells all that differs"));
        }
        let count = |access| values.fs.iter().filter(|directory| directory.access == access).count();
        let mut granted = Self {
            policy: place(),
            read_only: count(Access::ReadOnly),
            append: count(Access::Append),
            read_write: count(Access::ReadWrite),
            listeners: values.listen.as_ref().map_or(0, Vec::len),
            max_memory: values.limits.max_memory,
            without_effect: Vec::new(),
        };
        granted.without_effect = surface
            .functions()
            .filter(|function| !granted.gives(function.name, function.need))
            .map(|f| f.name)
            .collect();
        Ok(granted)
    }

    fn gives(&self, name: &str, need: Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::Grant => self.read_only + self.append + self.read_write > 0,
            Need::WritableGrant if NOT_IN_APPEND.contains(&name) => self.read_write > 0,
            Need::WritableGrant => self.append + self.read_write > 0,
            Need::Listener => self.listeners > 0,
        }
    }

    /// The functions of a surface that can have an effect.
    pub fn effective(&self, surface: &Surface) -> Surface {
        let effective = surface.functions().filter(|function| self.gives(function.name, function.need));
        Surface::of_functions(effective.map(|function| function.name))
    }

    /// Whether a memory can grow under the limit.
    pub fn can_grow(&self, memory: &Memory) -> bool {
        memory.can_grow() && self.max_memory.is_none_or(|most| most >> 16 > memory.min_pages)
    }
}
