//! Layouts, put together by hand.

use flate2::Compression;
use flate2::read::GzEncoder;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use tempfile::TempDir;
use wave_image::{Digest, Found, Image, Kind, Problem, Reference};

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub const WASM: &str = "application/wasm";

/// What the tests take for a module: whether it is one is a question for the runtime.
pub const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A layout in a directory of its own.
pub struct Layout {
    dir: TempDir,
}

impl Layout {
    /// A layout without images.
    pub fn new() -> Self {
        let layout = Self { dir: tempfile::tempdir().expect("a directory") };
        fs::create_dir_all(layout.path("blobs/sha256")).expect("own directory");
        fs::create_dir_all(layout.path("blobs/sha512")).expect("own directory");
        layout.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        layout.index(&[]);
        layout
    }

    /// A layout with one image of these layers, whose entry point is `/app.wasm`.
    pub fn of(layers: &[Vec<u8>]) -> Self {
        let layout = Self::new();
        let layers: Vec<_> = layers.iter().map(|layer| layout.blob(TAR, layer)).collect();
        layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &layers);
        layout
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("own directory");
    }

    /// Writes a blob, and gives its descriptor.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.write(&digest.path().join("/"), bytes);
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
    }

    pub fn document(&self, media_type: &str, document: &Value) -> Value {
        self.blob(media_type, document.to_string().as_bytes())
    }

    pub fn index(&self, manifests: &[Value]) {
        self.write("index.json", json!({ "schemaVersion": 2, "manifests": manifests }).to_string().as_bytes());
    }

    /// Makes an image the only one, and gives the descriptor of its manifest.
    pub fn image(&self, config: Value, layers: &[Value]) -> Value {
        let config = json!({ "architecture": "amd64", "os": "linux", "config": config });
        let manifest = self.manifest(&self.document(CONFIG, &config), layers);
        self.index(std::slice::from_ref(&manifest));
        manifest
    }

    pub fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.document(MANIFEST, &manifest)
    }

    pub fn read_tag(&self, tag: Option<&str>) -> Result<Image, Problem> {
        Image::read(&Reference { dir: self.dir.path().to_owned(), tag: tag.map(str::to_owned) })
    }

    /// The module of the only image.
    pub fn find(&self) -> Result<Found, Problem> {
        let image = self.read_tag(None)?;
        image.find(image.command(&[]).first().map(OsStr::new))
    }

    #[track_caller]
    pub fn is_found(&self) {
        assert_eq!(self.find().expect("a module").module, MODULE);
    }

    /// Asserts a refusal: its kind, the start of what it says, and a part of the place.
    #[track_caller]
    pub fn is_refused(&self, kind: Kind, what: &str, place: &str) {
        let problem = self.find().expect_err("a refusal");
        assert_eq!((problem.kind, &*problem.what), (kind, what), "{problem:?}");
        assert!(problem.place.contains(place), "{problem:?}");
    }
}

/// A descriptor with a tag.
pub fn tagged(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    descriptor
}

/// A descriptor for a platform.
pub fn platform(mut descriptor: Value, os: &str, architecture: &str) -> Value {
    descriptor["platform"] = json!({ "os": os, "architecture": architecture });
    descriptor
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(bytes, Compression::best()).read_to_end(&mut packed).expect("memory");
    packed
}

/// An entry of an archive, without the end of the archive.
pub fn entry(name: &str, kind: u8, target: &str, data: &[u8]) -> Vec<u8> {
    entry_of(name, kind, target, format!("{:011o}\0", data.len()).as_bytes(), data)
}

/// An entry whose header says another length.
pub fn entry_of(name: &str, kind: u8, target: &str, len: &[u8], data: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let fields: [(usize, &[u8]); 5] =
        [(0, name.as_bytes()), (124, len), (156, &[kind]), (157, target.as_bytes()), (257, b"ustar\x0000")];
    for (at, field) in fields {
        header[at..at + field.len()].copy_from_slice(field);
    }
    with_sum(&mut header);
    [&header[..], data, &vec![0; data.len().next_multiple_of(512) - data.len()]].concat()
}

fn with_sum(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub fn file(name: &str) -> Vec<u8> {
    entry(name, b'0', "", MODULE)
}

/// A file with other bytes than the module.
pub fn other(name: &str) -> Vec<u8> {
    entry(name, b'0', "", b"other")
}

pub fn link(name: &str, target: &str) -> Vec<u8> {
    entry(name, b'2', target, b"")
}

pub fn hard_link(name: &str, target: &str) -> Vec<u8> {
    entry(name, b'1', target, b"")
}

pub fn directory(name: &str) -> Vec<u8> {
    entry(name, b'5', "", b"")
}

/// An extended header of POSIX with these records.
pub fn extended(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let digits = (1..).find(|digits| (rest.len() + digits).to_string().len() == *digits).expect("a length");
        format!("{}{rest}", rest.len() + digits)
    };
    entry("pax", b'x', "", records.iter().map(record).collect::<String>().as_bytes())
}

/// An archive of these entries.
pub fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}
