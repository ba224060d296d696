//! From an image to its module.

use crate::gzip::{self, GzipError};
use crate::image::{Content, Image, Layer};
use crate::problem::{Kind, Problem};
use crate::tree::{Lost, Tree};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

/// Most bytes of all layers, unpacked.
const MAX_UNPACKED_BYTES: usize = 1 << 30;

/// Where a program without a slash is searched for, unless the image says so. That is what container tools set.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The module of an image.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its bytes.
    pub module: Vec<u8>,
    /// The name of its file, if it is an artifact and has one.
    pub name: Option<String>,
    /// How many other files the image has.
    pub other_files: usize,
}

impl Image {
    /// The program and its arguments. Arguments that are given replace the default ones of the image; if the image has no entry point,
    /// the first of them names the program. An artifact has arguments alone.
    ///
    /// Source: OCI image specification, `config.md`.
    #[must_use]
    pub fn command(&self, given: &[OsString]) -> Vec<OsString> {
        let words = |list: &Option<Vec<String>>| list.iter().flatten().map(OsString::from).collect::<Vec<_>>();
        let mut command = words(&self.settings.entrypoint);
        command.extend(if given.is_empty() { words(&self.settings.cmd) } else { given.to_vec() });
        command
    }

    /// Whether the first word of [`Image::command`] is the program, and not an argument.
    #[must_use]
    pub fn names_program(&self) -> bool {
        let has_words = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        matches!(self.content, Content::Layers(_))
            || has_words(&self.settings.entrypoint)
            || has_words(&self.settings.cmd)
    }

    /// Unpacks the layers and finds the module: the file that `program` names, or the layer of an artifact. Takes no system call but
    /// for memory.
    ///
    /// # Errors
    /// What is wrong with a layer, or that there is no such file.
    pub fn find(&self, program: Option<&OsStr>) -> Result<Found, Problem> {
        let layers = match &self.content {
            Content::Module(module, name) => {
                return Ok(Found { module: module.clone(), name: name.clone(), other_files: 0 });
            }
            Content::Layers(layers) => layers,
        };
        let Some(program) = program else {
            return Err(Problem::invalid("the image names no program: it has neither an entry point nor a command")
                .fix("name the module in the image as the first argument"));
        };
        let mut tree = Tree::default();
        let mut left = MAX_UNPACKED_BYTES;
        let mut unpacked = Vec::new();
        for (number, layer) in layers.iter().enumerate() {
            let archive = layer.unpack(left)?;
            left = left.checked_sub(archive.len()).ok_or_else(|| layer.too_large())?;
            tree.apply(number, &archive).map_err(|what| Problem::invalid(what).at(&layer.place))?;
            unpacked.push(archive);
        }
        let (layer, range) = self.search(&tree, program)?;
        let module = unpacked.get(layer).and_then(|archive| archive.get(range)).unwrap_or_default().to_vec();
        Ok(Found { module, name: None, other_files: tree.files() - 1 })
    }

    /// Finds a program as a container tool does: a path, from the working directory on, or a name in `PATH`. A name that is in no
    /// directory of `PATH` is a path, too, because images of modules are built for that.
    fn search(&self, tree: &Tree, program: &OsStr) -> Result<(usize, Range<usize>), Problem> {
        let name = program.as_bytes();
        let path =
            self.settings.env.iter().flatten().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(PATH);
        let directories: Vec<&str> = match name {
            [b'/', ..] => vec![""],
            name if name.contains(&b'/') => vec![self.settings.place()],
            _ => path.split(':').chain([self.settings.place()]).collect(),
        };
        let mut lost = Lost::Missing;
        for directory in directories {
            match tree.file(&[directory.as_bytes(), b"/", name].concat()) {
                Ok(found) => return Ok(found),
                Err(Lost::Missing) => {}
                Err(other) => lost = other,
            }
        }
        let kind = if lost == Lost::Missing { Kind::Missing } else { Kind::Invalid };
        let problem = Problem::new(
            kind,
            format!("cannot find the program `{}` in the image: {}", program.display(), lost.as_str()),
        );
        Err(match &self.settings.entrypoint {
            Some(entry) if !entry.is_empty() => problem.fix("build the image with an entry point that is a file of it"),
            _ => problem
                .fix("the image has no entry point, so the first argument names the program, as with `podman run`"),
        })
    }
}

impl Layer {
    /// The archive: at most `most` bytes.
    fn unpack(&self, most: usize) -> Result<Cow<'_, [u8]>, Problem> {
        if !self.is_packed {
            return Ok(Cow::Borrowed(&self.bytes));
        }
        gzip::unpack(&self.bytes, most).map(Cow::Owned).map_err(|error| match error {
            GzipError::Limit => self.too_large(),
            error => Problem::invalid(format!("it is not valid gzip: {error}")).at(&self.place),
        })
    }

    fn too_large(&self) -> Problem {
        Problem::invalid("the layers of the image are more than 1 GiB, unpacked").at(&self.place)
    }
}
