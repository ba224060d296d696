//! The files of an image: its layers, one applied to the other, in memory alone.
//!
//! A link leads to where it would in a container: never out of the image.
//!
//! Source: OCI image specification, `layer.md`.

use crate::tar::{Content, Entries, Entry, MAX_PATH_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Most entries of all layers.
const MAX_ENTRIES: usize = 200_000;
/// Most names in a path.
const MAX_NAMES: usize = 128;
/// Most symbolic links on the way to a file, as the kernel has it.
const MAX_LINKS: usize = 40;

/// What a name before a deleted file is, and the file that deletes all of a directory.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    /// A regular file: a layer and a place in it.
    File(usize, Range<usize>),
    Link(Vec<u8>),
    Special,
}

/// The files of an image.
#[derive(Debug, Default)]
pub struct Tree {
    /// By path, without a slash at its start: what it leads to, and the layer it is from.
    nodes: BTreeMap<Vec<u8>, (usize, Node)>,
    entries: usize,
    /// The whiteouts of this layer. A second one would find nothing more, and take as long to see that.
    whiteouts: BTreeSet<Vec<u8>>,
}

/// Why a path leads to no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// There is nothing.
    Missing,
    /// It is something else than a regular file.
    NotFile,
    /// There are too many links, or too many names in a path.
    TooFar,
}

impl Lost {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "it is not there",
            Self::NotFile => "it is not a regular file, or something on the way is not a directory",
            Self::TooFar => "its path is too long or has too many links",
        }
    }
}

impl Tree {
    /// Applies a layer, an archive.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte.
    pub fn apply(&mut self, layer: usize, archive: &[u8]) -> Result<(), String> {
        self.whiteouts.clear();
        let mut entries = Entries::new(archive);
        while let Some(entry) = entries.next().map_err(|(at, what)| format!("{what}, at byte {at}"))? {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(format!("the image has more than {MAX_ENTRIES} entries"));
            }
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            self.add(layer, entry).map_err(|why| format!("its entry `{name}` is refused: {why}"))?;
        }
        Ok(())
    }

    fn add(&mut self, layer: usize, entry: Entry) -> Result<(), &'static str> {
        let Some((parent, name)) = split(&entry.name)? else { return Ok(()) };
        let parent = self.directory(&parent).map_err(Lost::as_str)?;
        let path = join(&parent, name);
        if path.len() > MAX_PATH_BYTES {
            return Err(Lost::TooFar.as_str());
        }
        if let Some(deleted) = name.strip_prefix(WHITEOUT) {
            let is_new = self.whiteouts.insert(path);
            return if is_new { self.delete(layer, &parent, name, deleted) } else { Ok(()) };
        }
        let node = match entry.content {
            Content::Directory => Node::Directory,
            Content::File(range) => Node::File(layer, range),
            Content::SymbolicLink(target) => Node::Link(target),
            Content::Special => Node::Special,
            Content::HardLink(target) => self.linked(&target)?,
        };
        let is_directory = |node: &Node| *node == Node::Directory;
        if !(is_directory(&node) && self.nodes.get(&path).is_none_or(|(_, old)| is_directory(old))) {
            self.remove(&path, usize::MAX);
        }
        self.nodes.insert(path, (layer, node));
        Ok(())
    }

    /// What a hard link is another name for.
    fn linked(&self, target: &[u8]) -> Result<Node, &'static str> {
        const NOTHING: &str = "it is a hard link to no file of the image";
        let (parent, name) = split(target)?.ok_or(NOTHING)?;
        let parent = self.directory(&parent).map_err(Lost::as_str)?;
        match self.nodes.get(&join(&parent, name)) {
            Some((_, node)) if *node != Node::Directory => Ok(node.clone()),
            _ => Err(NOTHING),
        }
    }

    /// Applies a file that deletes others, of layers below this one.
    fn delete(&mut self, layer: usize, parent: &[u8], name: &[u8], deleted: &[u8]) -> Result<(), &'static str> {
        match deleted {
            _ if name == OPAQUE => self.remove_below(parent, layer),
            // What aufs kept for itself.
            deleted if deleted.starts_with(WHITEOUT) => {}
            b"" | b"." | b".." => return Err("it deletes no file"),
            deleted => self.remove(&join(parent, deleted), layer),
        }
        Ok(())
    }

    /// Removes a path with all beneath it, as far as it is from a layer below `layer`.
    fn remove(&mut self, path: &[u8], layer: usize) {
        if self.nodes.get(path).is_some_and(|(from, _)| *from < layer) {
            self.nodes.remove(path);
        }
        self.remove_below(path, layer);
    }

    fn remove_below(&mut self, path: &[u8], layer: usize) {
        let old = self.below(path).filter(|(_, (from, _))| *from < layer);
        let old: Vec<_> = old.map(|(name, _)| name.clone()).collect();
        for name in old {
            self.nodes.remove(&name);
        }
    }

    /// Everything beneath a path.
    fn below(&self, path: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &(usize, Node))> {
        let start = join(path, b"");
        self.nodes.range(start.clone()..).take_while(move |(name, _)| name.starts_with(&start))
    }

    /// The place of the file that a path leads to: a layer and a range of bytes.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn file(&self, path: &[u8]) -> Result<(usize, Range<usize>), Lost> {
        let path = self.resolve(path)?;
        match self.nodes.get(&path) {
            Some((_, Node::File(layer, range))) => Ok((*layer, range.clone())),
            Some(_) => Err(Lost::NotFile),
            None if self.below(&path).next().is_some() => Err(Lost::NotFile),
            None => Err(Lost::Missing),
        }
    }

    /// The number of regular files.
    pub fn files(&self) -> usize {
        self.nodes.values().filter(|(_, node)| matches!(node, Node::File(..))).count()
    }

    /// Where something beneath this path is: the path without links, if nothing says that it is no directory.
    fn directory(&self, path: &[u8]) -> Result<Vec<u8>, Lost> {
        let path = self.resolve(path)?;
        match self.nodes.get(&path) {
            Some((_, Node::File(..) | Node::Special)) => Err(Lost::NotFile),
            _ => Ok(path),
        }
    }

    /// Follows every link in a path, from the root of the image on.
    fn resolve<'a>(&'a self, path: &'a [u8]) -> Result<Vec<u8>, Lost> {
        let names = |path: &'a [u8]| path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).rev();
        // What is left of the path, its next name last.
        let mut rest: Vec<&[u8]> = names(path).collect();
        let mut path = Vec::new();
        let (mut links, mut steps) = (0, 0);
        while let Some(name) = rest.pop() {
            steps += 1;
            if steps > MAX_NAMES * 2 {
                return Err(Lost::TooFar);
            }
            match name {
                b"." => {}
                b".." => path.truncate(path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
                name => {
                    let next = join(&path, name);
                    match self.nodes.get(&next) {
                        Some((_, Node::Link(target))) => {
                            links += 1;
                            if links > MAX_LINKS {
                                return Err(Lost::TooFar);
                            }
                            if target.starts_with(b"/") {
                                path.clear();
                            }
                            rest.extend(names(target));
                        }
                        Some((_, Node::File(..) | Node::Special)) if !rest.is_empty() => return Err(Lost::NotFile),
                        _ => path = next,
                    }
                }
            }
        }
        Ok(path)
    }
}

/// A path with a name at its end.
fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

/// A path in an archive, but for its last name, and that name.
type ParentAndName<'a> = (Vec<u8>, &'a [u8]);

/// The parent and the last name of a path in an archive. `None` for the root.
fn split(path: &[u8]) -> Result<Option<ParentAndName<'_>>, &'static str> {
    let names: Vec<_> = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
    if names.contains(&&b".."[..]) {
        return Err("its path has `..` in it");
    }
    if names.len() > MAX_NAMES {
        return Err("its path has more than 128 names");
    }
    Ok(names.split_last().map(|(name, parent)| (parent.join(&b'/'), *name)))
}
