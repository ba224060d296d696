//! `wave pack`: modules become images of an OCI image layout.

use crate::args::{Pack, PackFormat, Platform, Sandbox};
use crate::image::{self, failure};
use crate::text::{chain, out};
use crate::worker;
use std::path::Path;
use wave_contract::artifact::Artifact;
use wave_engine::compile::{self, CompileLimits};
use wave_engine::{Failure, input};
use wave_image::{Form, Kind, Layout, MAX_NAME_BYTES, Problem, is_tag};

/// A module to be packed.
struct Item {
    tag: String,
    /// Its name, without `.wasm`.
    name: String,
    module: Vec<u8>,
}

/// Checks modules, each in a sealed process, and writes them to a layout.
///
/// # Errors
/// If one is not a module, or the layout cannot be written. Nothing is written unless all are modules.
pub fn pack(sandbox: Option<Sandbox>, arguments: &Pack) -> Result<u8, Failure> {
    let Pack { output, tag, format, platform, modules } = arguments;
    if tag.is_some() && modules.len() > 1 {
        return Err(Failure::usage("one tag cannot name several modules")
            .at("--tag")
            .fix("leave it out, or pack one module at a time"));
    }
    let mut items: Vec<Item> = Vec::new();
    for path in modules {
        let item = item(&worker::limits(sandbox, path), tag.as_deref())?;
        if items.iter().any(|other| other.tag == item.tag) {
            return Err(Failure::usage(format!("two modules would get the tag `{}`", item.tag))
                .at(path.display().to_string())
                .fix("pack them one by one, each with --tag"));
        }
        items.push(item);
    }
    let form = match (format, platform) {
        (PackFormat::Artifact, _) => Form::Artifact,
        (PackFormat::Image, Platform::Linux) => Form::Image("linux", "amd64"),
        (PackFormat::Image, Platform::Wasi) => Form::Image("wasi", "wasm"),
    };
    // Whatever is wrong with the layout, it is not written.
    let refuse = |problem| failure(output, Problem { kind: Kind::Unwritten, ..problem });
    let mut layout = Layout::open(output).map_err(refuse)?;
    let mut lines = String::new();
    for Item { tag, name, module } in &items {
        let digest = layout.add(tag, name, module, form).map_err(refuse)?;
        lines += &format!("oci:{}:{tag} {digest}\n", output.display());
    }
    layout.finish().map_err(refuse)?;
    out(&lines);
    Ok(0)
}

fn item(limits: &CompileLimits, tag: Option<&str>) -> Result<Item, Failure> {
    let path = &limits.module;
    let name = name(path)?;
    let tag = tag.unwrap_or(&name).to_owned();
    if !is_tag(&tag) {
        return Err(Failure::usage(format!("`{tag}` cannot be a tag"))
            .at(if tag == name { path.display().to_string() } else { "--tag".to_owned() })
            .fix("write --tag with letters and digits, and single -, ., _, :, @, + or / between them"));
    }
    let file = image::read(limits)?;
    if Artifact::is_one(&file) {
        return Err(Failure::not_runnable("it is a compiled file, which is for this version and such processors only")
            .at(path.display().to_string())
            .fix("pack the module"));
    }
    let threads = compile::threads(file.len());
    let module = worker::value(limits, threads, |_| checked(path, &file, threads))?;
    Ok(Item { tag, name, module })
}

/// The name of a module in its image: that of its file.
fn name(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        return Ok("module".to_owned());
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if stem.is_empty() || stem.starts_with('.') || stem.len() > MAX_NAME_BYTES || !stem.bytes().all(is_plain) {
        return Err(Failure::usage(format!("`{stem}` cannot be the name of a file in an image"))
            .at(path.display().to_string())
            .fix("rename the module: at most 95 letters, digits, dots, hyphens and underscores"));
    }
    Ok(stem)
}

/// The module in binary form, all of it valid.
fn checked(path: &Path, file: &[u8], threads: usize) -> Result<Vec<u8>, Failure> {
    let bytes = input::module(path, file)?;
    let module = compile::parse(path, &bytes)?;
    module.validate(threads).map_err(|error| Failure::not_runnable(chain(&error)).at(path.display().to_string()))?;
    Ok(bytes.into_owned())
}
