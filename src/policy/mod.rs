//! `wave policy`: writes, checks and shows policy files.

mod diff;

use crate::args::{ExportFormat, Policy, Sandbox};
use crate::image;
use crate::text::{clean, note, out, remark};
use crate::worker;
use std::path::Path;
use wave_audit::export;
use wave_engine::compile::{self, CompileLimits, Declared};
use wave_engine::policy::{self as document, Findings, PolicyDocument, pin};
use wave_engine::{Failure, input, surface_of};
use wave_policy::file::{self, Derived, Values};
use wave_policy::{Level, Resolver, Surface};

/// `wave policy`; the result is the exit code.
///
/// # Errors
/// When a file cannot be read or written.
pub fn policy(sandbox: Option<Sandbox>, arguments: &Policy) -> Result<u8, Failure> {
    match arguments {
        Policy::Gen { resolver, module } => generate(*resolver, worker::limits(sandbox, module)),
        Policy::Check { file, module } => check(file, module.as_deref().map(|module| worker::limits(sandbox, module))),
        Policy::Show { resolved, file } => show(*resolved, file),
        Policy::Fmt { check, file } => format(*check, file),
        Policy::Diff { old, new, fail_on, format } => diff::compare(old, new, *fail_on, *format),
        Policy::Export { format, file } => export(file, *format),
        Policy::Schema => {
            out(&file::json_schema());
            Ok(0)
        }
    }
}

fn generate(resolver: Resolver, limits: CompileLimits) -> Result<u8, Failure> {
    let path = limits.module.clone();
    let file = image::read(&limits)?;
    worker::announce(&path, &file);
    let blake3 = pin::of(&file);
    let Declared { info, unsealed, .. } = compile::declarations(limits, input::module_of(&path, file)?)?;
    worker::note_unsealed(unsealed.as_deref());
    let surface = surface_of(&info);
    if let Some(unknown) = surface.unknown().first() {
        remark(&format!(
            "wave: note: the import `{}` `{}` is unknown: the module can run with --unknown-imports only, \
             or with `unknown_imports` in the policy\n",
            clean(&unknown.module),
            clean(&unknown.name)
        ));
    }
    let values = Values {
        sandbox: Some(Level::Strict),
        blake3: Some(blake3),
        functions: Some(surface.functions().map(|function| function.name.to_owned()).collect()),
        ..Values::default()
    };
    let os = Derived::of(&surface, document::can_grow(&info, None), resolver);
    let name = path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned());
    let mut text = format!("# What {} may do. Made from its imports by `wave policy gen`.\n", clean(&name));
    text.push_str(&write(&values)?);
    text.push_str(&suggestions(&surface, &os));
    text.push_str("\n# What follows from the above: `wave policy check` compares it with the module.");
    // The version stands at the top already.
    let derived = write(&Values { os: Some(os), ..Values::default() })?;
    text.push_str(derived.trim_start_matches("version = 1\n"));
    out(&text);
    Ok(0)
}

fn write(values: &Values) -> Result<String, Failure> {
    values.write(None, |_| None).map_err(|error| Failure::refused(format!("cannot write the policy: {error}")))
}

/// Grants that the imports can use, as comments.
fn suggestions(surface: &Surface, os: &Derived) -> String {
    let mut text = String::new();
    if os.rows.contains_key("os.landlock.ro") {
        text.push_str(
            "\n# It can use directories. A relative path starts where this file is; access is \"ro\", \"rw\" or \"append\".\n\
             # [[fs]]\n# host = \"data\"\n# guest = \"/data\"\n# access = \"ro\"\n",
        );
    }
    if surface.contains("environ_get") {
        text.push_str("\n# It can read the environment, which is empty.\n# [env]\n# pass = [\"TZ\"]\n");
    }
    if surface.contains("sock_accept") {
        text.push_str("\n# It can accept connections.\n# [net]\n# listen = [\"127.0.0.1:8080\"]\n");
    }
    text
}

/// Prints everything that is wrong with a policy. The exit code is 1 if something is.
fn check(path: &Path, module: Option<CompileLimits>) -> Result<u8, Failure> {
    let print = |failures: &[Failure]| failures.iter().for_each(|failure| note(&failure.to_string()));
    let source = match document::read_text(path) {
        Ok(source) => source,
        Err(failure) => {
            print(&[failure]);
            return Ok(1);
        }
    };
    let policy = match PolicyDocument::parse_all(path, &source) {
        Ok(policy) => policy,
        Err((failures, more)) => {
            print(&failures);
            print_more(more);
            return Ok(1);
        }
    };
    let mut findings = Findings::default();
    policy.check_directories(&mut findings);
    // A module that cannot be looked at keeps nothing of the rest from being told.
    let looked = module.map_or(Ok(()), |module| check_module(&policy, module, &mut findings));
    print(&findings.wrong);
    for (what, place) in &findings.notes {
        remark(&format!("wave: note: {}\n  where: {}\n", clean(what), clean(place)));
    }
    print_more(findings.more);
    looked.map(|()| u8::from(!findings.wrong.is_empty()))
}

fn check_module(policy: &PolicyDocument, limits: CompileLimits, findings: &mut Findings) -> Result<(), Failure> {
    let path = limits.module.clone();
    let file = image::read(&limits)?;
    let pin = policy.check_pin(&path, &file);
    let declared = input::module_of(&path, file).and_then(|bytes| compile::declarations(limits, bytes));
    let declared = declared.map(|Declared { info, unsealed, .. }| {
        worker::note_unsealed(unsealed.as_deref());
        info
    });
    policy.check(&path, pin, declared, findings)
}

fn print_more(more: usize) {
    if more > 0 {
        note(&format!("wave: {more} more of these\n"));
    }
}

fn show(resolved: bool, path: &Path) -> Result<u8, Failure> {
    let policy = PolicyDocument::read(path)?;
    let text = match resolved {
        true => policy.values.write(None, |id| policy.origin(id)),
        false => policy.file.write(),
    };
    out(&text.map_err(|error| Failure::refused(format!("cannot write the policy: {error}")))?);
    Ok(0)
}

fn export(path: &Path, format: ExportFormat) -> Result<u8, Failure> {
    let format = match format {
        ExportFormat::OciSeccomp => export::Format::OciSeccomp,
        ExportFormat::SeccompBpf => export::Format::SeccompBpf,
        ExportFormat::Landlock => export::Format::Landlock,
        ExportFormat::Systemd => export::Format::Systemd,
        ExportFormat::Seatbelt => export::Format::Seatbelt,
    };
    let exported = export::export(path, format)?;
    format.note().into_iter().for_each(note);
    out(&exported);
    Ok(0)
}

fn format(check: bool, path: &Path) -> Result<u8, Failure> {
    let source = document::read_text(path)?;
    let formatted = file::format(&source).map_err(|problem| document::refuse(path, problem))?;
    if formatted == source {
        return Ok(0);
    }
    if check {
        note(&format!("wave: {} is not formatted: run `wave policy fmt`\n", clean(&path.display().to_string())));
        return Ok(1);
    }
    // A pipe was read, and is no place to write to.
    if input::regular_len(path).is_none() {
        return Err(Failure::refused("only a file can be rewritten")
            .at(path.display().to_string())
            .fix("copy it to a file"));
    }
    std::fs::write(path, formatted).map_err(|error| {
        Failure::refused(format!("cannot write the policy: {error}")).at(path.display().to_string())
    })?;
    Ok(0)
}
