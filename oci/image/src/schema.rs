//! The documents of a layout, as far as they are read. Unknown fields are ignored, as the specification demands.
//!
//! A document counts as what its reader takes it for only if it does not say that it is something else: the same bytes must not be
//! an index to one program and a manifest to another (CVE-2021-41190).

use crate::problem::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The annotation that names an image in a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that names a file.
pub const TITLE: &str = "org.opencontainers.image.title";

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub const WASM: &str = "application/wasm";

/// The version of a layout.
pub const LAYOUT_VERSION: &str = "1.0.0";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutFile {
    pub image_layout_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: u64,
    media_type: Option<String>,
    pub manifests: Option<Vec<Descriptor>>,
    config: Option<serde_json::Value>,
    layers: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u64,
    media_type: Option<String>,
    pub config: Descriptor,
    pub layers: Option<Vec<Descriptor>>,
    manifests: Option<serde_json::Value>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    pub platform: Option<Platform>,
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

#[derive(Clone, Deserialize)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
}

/// The configuration of an image.
#[derive(Deserialize)]
pub struct Config {
    pub config: Option<Settings>,
}

/// What an image says about its run. A field that is null is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Settings {
    /// The program and its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments, if none are given to the run; without an entry point the program, too.
    pub cmd: Option<Vec<String>>,
    /// Variables, as `NAME=VALUE`.
    pub env: Option<Vec<String>>,
    /// Where a relative path of the program starts.
    pub working_dir: Option<String>,
}

impl Settings {
    /// Where a relative path of the program starts.
    pub(crate) fn place(&self) -> &str {
        self.working_dir.as_deref().unwrap_or_default()
    }

    /// Whether a word or a variable has a zero in it, which no program can be given.
    pub(crate) fn has_zero(&self) -> bool {
        let lists = [&self.entrypoint, &self.cmd, &self.env];
        lists.into_iter().flatten().flatten().any(|text| text.contains('\0'))
    }
}

/// The configuration of a WebAssembly artifact.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WasmConfig {
    pub layer_digests: Option<Vec<String>>,
}

/// Reads a document.
pub fn read<T: DeserializeOwned>(bytes: &[u8], place: &str) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid(format!("it is not what it should be: {error}")).at(place))
}

impl Index {
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, Problem> {
        let index: Self = read(bytes, place)?;
        let is_more = index.config.is_some() || index.layers.is_some();
        is_kind(index.schema_version, index.media_type.as_deref(), INDEX, is_more, place)?;
        Ok(index)
    }
}

impl Manifest {
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, Problem> {
        let manifest: Self = read(bytes, place)?;
        is_kind(
            manifest.schema_version,
            manifest.media_type.as_deref(),
            MANIFEST,
            manifest.manifests.is_some(),
            place,
        )?;
        Ok(manifest)
    }
}

fn is_kind(version: u64, media_type: Option<&str>, expected: &str, is_more: bool, place: &str) -> Result<(), Problem> {
    if version != 2 {
        return Err(Problem::invalid(format!("its schemaVersion is {version}, and 2 is supported")).at(place));
    }
    if let Some(found) = media_type.filter(|found| *found != expected) {
        return Err(Problem::invalid(format!("it is a `{found}`, and `{expected}` was expected")).at(place));
    }
    if is_more {
        return Err(Problem::invalid("it is an index and a manifest at the same time").at(place));
    }
    Ok(())
}
