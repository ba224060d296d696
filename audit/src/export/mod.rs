//! Exports the kernel layers of a policy in the formats of other tools.

mod landlock;
mod oci;
mod seatbelt;
pub(crate) mod self_test;
mod systemd;

use std::path::Path;
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;
use wave_policy::file::Derived;
use wave_policy::{ConnectTarget, FilesystemGrant, Level, Need, Policy, Surface};

/// A format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The filter after the seal, as `linux.seccomp` of the OCI runtime specification.
    OciSeccomp,
    /// A listing of the filter as it is loaded into the kernel, with the rule behind each comparison.
    SeccompBpf,
    /// The Landlock ruleset.
    Landlock,
    /// A systemd drop-in for a unit that runs `wave`.
    Systemd,
    /// The Seatbelt profile of macOS.
    Seatbelt,
}

impl Format {
    /// A note for the user of the export.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::OciSeccomp => Some(oci::NOTE),
            Self::Seatbelt => Some(seatbelt::NOTE),
            Self::SeccompBpf | Self::Landlock | Self::Systemd => None,
        }
    }
}

/// Exports the kernel layers of a policy.
///
/// # Errors
/// 125 if the policy cannot be read, does not determine the filter, or turns the sandbox off.
pub fn export(path: &Path, format: Format) -> Result<String, Failure> {
    let loaded = PolicyDocument::read(path)?;
    let KernelPolicy { policy, growable } = KernelPolicy::derive(&loaded, path)?;
    match format {
        Format::OciSeccomp => oci::profile(&policy, growable),
        Format::SeccompBpf => crate::platform::listing(&policy, growable),
        Format::Landlock => Ok(landlock::ruleset(&policy)),
        Format::Systemd => systemd::drop_in(&policy, growable, &loaded),
        Format::Seatbelt => seatbelt::text(&policy, path),
    }
}

/// The kernel policy of a run under a policy file.
struct KernelPolicy {
    policy: Policy,
    growable: bool,
}

impl KernelPolicy {
    fn derive(loaded: &PolicyDocument, path: &Path) -> Result<Self, Failure> {
        let place = path.display().to_string();
        let fix = "take `[wasi]` and `[os]` from `wave policy gen MODULE`";
        let values = &loaded.values;
        let level = values.sandbox.unwrap_or_default();
        if level == Level::Off {
            let line = loaded.line("sandbox").unwrap_or(place);
            let what = "no layer of the kernel is applied under this policy: sandbox = \"off\"";
            return Err(Failure::refused(what)
                .at(line)
                .fix("write sandbox = \"strict\" to export what it would apply"));
        }
        let (Some(os), Some(functions)) = (&values.os, &values.functions) else {
            let what = "the system calls of a module are known from `[os]` and `wasi.functions`, and one is missing";
            return Err(Failure::refused(what).at(place).fix(fix));
        };
        let surface = Surface::of_functions(functions).with_connections(os.asks_for_connections());
        let growable = os.rows.contains_key("os.always.mprotect_grow");
        if let Some((_, what)) = os.difference(&Derived::of(&surface, growable, os.resolver)) {
            let what = format!("`[os]` does not match `wasi.functions`: {what}");
            return Err(Failure::refused(what).at(place).fix(fix));
        }
        // A run does not grant what the module cannot use.
        let uses = |needs: &[Need]| surface.functions().any(|function| needs.contains(&function.need));
        let directories = if uses(&[Need::Grant, Need::WritableGrant]) { &values.fs[..] } else { &[] };
        let listeners = values.listen.clone().filter(|_| surface.contains("sock_accept")).unwrap_or_default();
        let connect = values.connect.iter().flatten().filter(|_| surface.asks_for_connections());
        let connections = connect.map(ConnectTarget::ports).collect();
        let grant =
            |dir: &wave_policy::file::Directory| FilesystemGrant { host: (&dir.host).into(), access: dir.access };
        let policy = Policy {
            level,
            grants: directories.iter().map(grant).collect(),
            resolver: os.resolver,
            listeners,
            connections,
            surface,
            ..Policy::default()
        };
        Ok(Self { policy, growable })
    }
}
