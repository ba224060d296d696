//! Writes a layout: the same bytes for the same modules, without times.

use crate::digest::Digest;
use crate::folder::{BELOW, Folder};
use crate::image::{MAX_DOCUMENT_BYTES, MAX_MANIFESTS};
use crate::problem::{Kind, Problem};
use crate::schema::{IMAGE_CONFIG, INDEX, Index, LAYER, LAYOUT_VERSION, MANIFEST, REF_NAME, TITLE, WASM, WASM_CONFIG};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A file before it has its name.
const UNNAMED: &str = ".wave-pack";
/// Most bytes of the name of a module in an image: what the header of an archive has room for, without `.wasm`.
pub const MAX_NAME_BYTES: usize = 95;

/// What a module becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An image with one file, for this operating system and architecture.
    Image(&'static str, &'static str),
    /// An artifact of the CNCF's WebAssembly group.
    Artifact,
}

/// A layout that is written to. Nothing names a new image until [`Layout::finish`].
pub struct Layout {
    folder: Folder,
    index: Value,
}

impl Layout {
    /// Opens a layout, or makes one in a directory that is new or empty. Waits until no other process writes to it.
    ///
    /// # Errors
    /// If there is something else, or it cannot be written.
    pub fn open(dir: &Path) -> Result<Self, Problem> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Problem::new(Kind::Unwritten, format!("cannot make the directory: {error}")));
            }
            _ => {}
        }
        let folder = Folder::open(dir)?;
        while let Err(errno) = flock(&folder.fd, FlockOperation::LockExclusive) {
            if errno != Errno::INTR {
                return Err(unwritten(errno.into()));
            }
        }
        if is_empty(&folder)? {
            let mark = json!({ "imageLayoutVersion": LAYOUT_VERSION });
            write(&folder.fd, "oci-layout", mark.to_string().as_bytes())?;
        }
        folder.check_version().map_err(|problem| match problem.kind {
            Kind::Missing => Problem::new(Kind::Unwritten, "the directory is neither empty nor an OCI layout")
                .fix("name another directory"),
            _ => problem,
        })?;
        let index = match folder.read(&["index.json"], MAX_DOCUMENT_BYTES) {
            // Another run ended before its end.
            Err(problem) if problem.kind == Kind::Missing => {
                json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] })
            }
            index => read_index(&index?)?,
        };
        Ok(Self { folder, index })
    }

    /// Adds a module under a tag, in place of what has that tag. `name` is its name without `.wasm`. The result is the digest of its
    /// manifest.
    ///
    /// # Errors
    /// If its blobs cannot be written, or the layout has too many images.
    pub fn add(&mut self, tag: &str, name: &str, module: &[u8], form: Form) -> Result<Digest, Problem> {
        let file = format!("{name}.wasm");
        let (manifest, platform) = match form {
            Form::Image(os, architecture) => (self.image(&file, module, os, architecture)?, Some((os, architecture))),
            Form::Artifact => (self.artifact(&file, module)?, None),
        };
        let digest = Digest::of(&manifest);
        let mut descriptor = self.blob(MANIFEST, &manifest)?;
        descriptor["annotations"] = json!({ REF_NAME: tag });
        if let Some((os, architecture)) = platform {
            descriptor["platform"] = json!({ "os": os, "architecture": architecture });
        }
        let Value::Array(manifests) = &mut self.index["manifests"] else {
            return Err(Problem::invalid("it lists no images").at("index.json"));
        };
        manifests.retain(|other| other["annotations"][REF_NAME] != tag);
        manifests.push(descriptor);
        if manifests.len() > MAX_MANIFESTS {
            return Err(
                Problem::invalid(format!("the layout would have more than {MAX_MANIFESTS} images")).at("index.json")
            );
        }
        Ok(digest)
    }

    /// Writes the index, at once: until then, the layout has the images that it had.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<(), Problem> {
        write(&self.folder.fd, "index.json", self.index.to_string().as_bytes())
    }

    /// The manifest of an image whose one layer has one file.
    fn image(&self, file: &str, module: &[u8], os: &str, architecture: &str) -> Result<Vec<u8>, Problem> {
        let layer = archive(file, module);
        let config = json!({
            "architecture": architecture,
            "os": os,
            "config": { "Entrypoint": [format!("/{file}")] },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer).to_string()] },
        });
        Ok(manifest(&self.blob(IMAGE_CONFIG, config.to_string().as_bytes())?, &self.blob(LAYER, &layer)?))
    }

    /// The manifest of an artifact.
    fn artifact(&self, file: &str, module: &[u8]) -> Result<Vec<u8>, Problem> {
        let config = json!({
            // Other programs demand a time.
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip1",
            "layerDigests": [Digest::of(module).to_string()],
        });
        let mut layer = self.blob(WASM, module)?;
        layer["annotations"] = json!({ TITLE: file });
        Ok(manifest(&self.blob(WASM_CONFIG, config.to_string().as_bytes())?, &layer))
    }

    /// Writes a blob, and gives its descriptor.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Value, Problem> {
        let digest = Digest::of(bytes);
        let [blobs, algorithm, name] = digest.path();
        let dir = directory(&directory(&self.folder.fd, blobs)?, algorithm)?;
        write(&dir, name, bytes)?;
        Ok(json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() }))
    }
}

/// Whether a text can be a tag.
///
/// Source: OCI image specification, `annotations.md`.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    // Two hyphens count as one separator.
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_component =
        |component: &str| component.replace("--", "-").split(['-', '.', '_', ':', '@', '+']).all(is_part);
    text.split('/').all(is_component)
}

fn manifest(config: &Value, layer: &Value) -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] }).to_string().into_bytes()
}

/// The index of a layout, to be written again with all that it has.
fn read_index(bytes: &[u8]) -> Result<Value, Problem> {
    const FILE: &str = "index.json";
    Index::read(bytes, FILE)?;
    let mut index: Value = crate::schema::read(bytes, FILE)?;
    if index["manifests"].is_null() {
        index["manifests"] = json!([]);
    }
    Ok(index)
}

fn is_empty(folder: &Folder) -> Result<bool, Problem> {
    for entry in Dir::read_from(&folder.fd).map_err(|errno| unwritten(errno.into()))? {
        let entry = entry.map_err(|errno| unwritten(errno.into()))?;
        if ![&b"."[..], b"..", UNNAMED.as_bytes()].contains(&entry.file_name().to_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens a directory, and makes it if there is none.
fn directory(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Problem> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(unwritten(errno.into()).at(name)),
    }
    openat(parent, name, BELOW, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => {
            Problem::new(Kind::Unwritten, "it is not a directory, and links are not followed").at(name)
        }
        errno => unwritten(errno.into()).at(name),
    })
}

/// Writes a file, at once: it is complete when it gets its name, and it replaces what had that name, also a link.
fn write(dir: &OwnedFd, name: &str, bytes: &[u8]) -> Result<(), Problem> {
    let written = || -> io::Result<()> {
        // What is left of a run that was ended.
        match unlinkat(dir, UNNAMED, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(openat(dir.as_fd(), UNNAMED, flags, Mode::from_raw_mode(0o666))?);
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(renameat(dir, UNNAMED, dir, name)?)
    };
    written().map_err(|error| unwritten(error).at(name))
}

fn unwritten(error: io::Error) -> Problem {
    Problem::new(Kind::Unwritten, format!("cannot write the layout: {error}"))
}

/// An archive with one file that everybody may read and run.
fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, field: &[u8]| header.iter_mut().skip(at).zip(field).for_each(|(to, from)| *to = *from);
    put(0, name.as_bytes());
    for (at, number) in [(100, 0o755), (108, 0), (116, 0)] {
        put(at, format!("{number:07o}\0").as_bytes());
    }
    put(124, format!("{:011o}\0", bytes.len()).as_bytes());
    put(136, format!("{:011o}\0", 0).as_bytes());
    // Of the checksum, spaces are summed up. A regular file. The format, and its version.
    for (at, field) in [(148, &b"        "[..]), (156, b"0"), (257, b"ustar\x0000")] {
        put(at, field);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let padding = bytes.len().next_multiple_of(512) - bytes.len();
    [&header[..], bytes, &vec![0; padding + 1024]].concat()
}
