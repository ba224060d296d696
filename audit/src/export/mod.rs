//! What a policy means for the kernel, in the words of other tools.

mod bpf;
mod landlock;
mod oci;
mod self_test;
mod systemd;

use std::path::Path;
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;
use wave_policy::file::Derived;
use wave_policy::{FilesystemGrant, Level, Need, Policy, Surface};

/// What a policy is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `linux.seccomp` of the OCI runtime specification: the filter after the seal.
    OciSeccomp,
    /// The filter as the kernel gets it, with the rule of each comparison.
    SeccompBpf,
    /// The Landlock ruleset.
    Landlock,
    /// A drop-in for a unit that runs `wave`.
    Systemd,
}

impl Format {
    /// What whoever takes the export must know.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::OciSeccomp => Some(oci::NOTE),
            Self::SeccompBpf | Self::Landlock | Self::Systemd => None,
        }
    }
}

/// Exports what a policy means for the kernel.
///
/// # Errors
/// 125 for a policy that cannot be read, from which the filter does not follow, or that is not to be enforced.
pub fn export(path: &Path, format: Format) -> Result<String, Failure> {
    let loaded = PolicyDocument::read(path)?;
    let Meant { policy, growable } = Meant::of(&loaded, path)?;
    match format {
        Format::OciSeccomp => oci::profile(&policy, growable),
        Format::SeccompBpf => bpf::listing(&policy, growable),
        Format::Landlock => Ok(landlock::ruleset(&policy)),
        Format::Systemd => systemd::drop_in(&policy, growable, &loaded),
    }
}

/// The policy of a run under a file, as far as the kernel layers go.
struct Meant {
    policy: Policy,
    growable: bool,
}

impl Meant {
    fn of(loaded: &PolicyDocument, path: &Path) -> Result<Self, Failure> {
        let place = path.display().to_string();
        let fix = "take `[wasi]` and `[os]` from `wave policy gen MODULE`";
        let values = &loaded.values;
        let level = values.sandbox.unwrap_or_default();
        if level == Level::Off {
            let line = loaded.line("sandbox").unwrap_or(place);
            let what = "a run under this policy is held by no layer of the kernel: sandbox = \"off\"";
            return Err(Failure::refused(what)
                .at(line)
                .fix("write sandbox = \"strict\" for what that would be held by"));
        }
        let (Some(os), Some(functions)) = (&values.os, &values.functions) else {
            let what = "the system calls of a module are known from `[os]` and `wasi.functions`, and one is missing";
            return Err(Failure::refused(what).at(place).fix(fix));
        };
        let surface = Surface::of_functions(functions);
        let growable = os.rows.contains_key("os.always.mprotect_grow");
        if let Some((_, what)) = os.difference(&Derived::of(&surface, growable, os.resolver)) {
            let what = format!("`[os]` is not what follows from `wasi.functions`: {what}");
            return Err(Failure::refused(what).at(place).fix(fix));
        }
        // What the module cannot use, a run does not give it.
        let uses = |needs: &[Need]| surface.functions().any(|function| needs.contains(&function.need));
        let directories = if uses(&[Need::Grant, Need::WritableGrant]) { &values.fs[..] } else { &[] };
        let listeners = values.listen.clone().filter(|_| surface.contains("sock_accept")).unwrap_or_default();
        let grant =
            |dir: &wave_policy::file::Directory| FilesystemGrant { host: (&dir.host).into(), access: dir.access };
        let policy = Policy {
            level,
            grants: directories.iter().map(grant).collect(),
            resolver: os.resolver,
            listeners,
            surface,
            ..Policy::default()
        };
        Ok(Self { policy, growable })
    }
}
