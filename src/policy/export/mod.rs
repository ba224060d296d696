//! `wave policy export`: what a policy means for the kernel, in the words of other tools.

mod bpf;
mod landlock;
mod oci;
mod systemd;

use crate::args::ExportFormat;
use crate::text::{note, out};
use std::path::Path;
use wave_engine::Failure;
use wave_engine::policy::PolicyDocument;
use wave_policy::file::Derived;
use wave_policy::{FilesystemGrant, Level, Need, Policy, Surface};

/// The call that every filter answers by itself, and the error number it answers with (`EKEYREJECTED`).
const SELF_TEST: (&str, u32) = ("getppid", 129);

/// Prints an export.
///
/// # Errors
/// 125 for a policy that cannot be read, from which the filter does not follow, or that is not to be enforced.
pub fn export(path: &Path, format: ExportFormat) -> Result<u8, Failure> {
    let loaded = PolicyDocument::read(path)?;
    let Meant { policy, growable } = Meant::of(&loaded, path)?;
    out(&match format {
        ExportFormat::OciSeccomp => {
            note(oci::NOTE);
            oci::profile(&policy, growable)?
        }
        ExportFormat::SeccompBpf => bpf::listing(&policy, growable)?,
        ExportFormat::Landlock => landlock::ruleset(&policy),
        ExportFormat::Systemd => systemd::drop_in(&policy, growable, &loaded)?,
    });
    Ok(0)
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
        let surface = Surface::from_imports(functions.iter().map(|name| ("wasi_snapshot_preview1", name)));
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
