//! The files of the model: inodes, names, and how a path leads from one to the other.
//!
//! Rules of Linux with one of ours: nothing leads above the directory a path starts from. The callers take the slash at
//! the end of a guest's own path off.

use std::collections::BTreeMap;
use wave_monitor::Errno;

/// How many links one resolution follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
const NAME_MAX: usize = 255;

/// The number of an object; never used again.
pub type Ino = usize;

#[derive(Debug, Clone)]
pub enum Body {
    File(Vec<u8>),
    Dir(Dir),
    Link(Vec<u8>),
    /// What is in the pipe while it is open, and whether that is no longer known.
    Fifo {
        queue: Vec<u8>,
        vague: bool,
    },
}

#[derive(Debug, Clone, Default)]
pub struct Dir {
    pub names: BTreeMap<Vec<u8>, Ino>,
    pub parent: Ino,
    /// Removed while somebody holds it.
    pub dead: bool,
    /// Counts the changes of its names.
    pub version: u64,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub body: Body,
    pub links: u64,
    /// The time of modification in nanoseconds, where the guest has set it.
    pub modified: Option<u64>,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// To an object. `slash`: the text of a link ended in a slash there, so it has to be a directory.
    There { ino: Ino, slash: bool },
    /// To a name that is free.
    Free { dir: Ino, name: Vec<u8> },
}

/// All files.
#[derive(Debug, Clone)]
pub struct Tree {
    pub nodes: Vec<Node>,
    /// Whether anything is different from how it was made.
    pub changed: bool,
}

pub const TOP: Ino = 0;

impl Tree {
    pub fn new() -> Self {
        let top = Node { body: Body::Dir(Dir::default()), links: 1, modified: None };
        Self { nodes: vec![top], changed: false }
    }

    pub fn node(&self, ino: Ino) -> &Node {
        &self.nodes[ino]
    }

    pub fn node_mut(&mut self, ino: Ino) -> &mut Node {
        self.changed = true;
        &mut self.nodes[ino]
    }

    pub fn dir(&self, ino: Ino) -> Option<&Dir> {
        match &self.node(ino).body {
            Body::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    pub fn is_dir(&self, ino: Ino) -> bool {
        self.dir(ino).is_some()
    }

    fn dir_mut(&mut self, ino: Ino) -> &mut Dir {
        let node = self.node_mut(ino);
        node.modified = None;
        match &mut node.body {
            Body::Dir(dir) => {
                dir.version += 1;
                dir
            }
            _ => panic!("{ino} is no directory"),
        }
    }

    pub fn file_mut(&mut self, ino: Ino) -> &mut Vec<u8> {
        let node = self.node_mut(ino);
        node.modified = None;
        match &mut node.body {
            Body::File(content) => content,
            _ => panic!("{ino} is no file"),
        }
    }

    /// Makes an object under a free name.
    pub fn make(&mut self, dir: Ino, name: &[u8], mut body: Body) -> Ino {
        if let Body::Dir(new) = &mut body {
            new.parent = dir;
        }
        let ino = self.nodes.len();
        self.nodes.push(Node { body, links: 0, modified: None });
        self.enter(dir, name, ino);
        ino
    }

    /// Gives an object a name that is free.
    pub fn enter(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        self.node_mut(ino).links += 1;
        if let Body::Dir(moved) = &mut self.node_mut(ino).body {
            moved.parent = dir;
        }
        assert_eq!(self.dir_mut(dir).names.insert(name.to_vec(), ino), None);
    }

    /// Takes a name away.
    pub fn leave(&mut self, dir: Ino, name: &[u8]) -> Ino {
        let ino = self.dir_mut(dir).names.remove(name).expect("the name is there");
        self.node_mut(ino).links -= 1;
        ino
    }

    /// Takes the name of an empty directory away; it is dead then.
    pub fn leave_for_good(&mut self, dir: Ino, name: &[u8]) {
        let ino = self.leave(dir, name);
        if self.is_dir(ino) {
            self.dir_mut(ino).dead = true;
        }
    }

    /// Whether `inner` is `outer` or lies beneath it.
    pub fn is_beneath(&self, mut inner: Ino, outer: Ino) -> bool {
        loop {
            if inner == outer {
                return true;
            }
            match self.dir(inner) {
                Some(dir) if inner != TOP => inner = dir.parent,
                _ => return false,
            }
        }
    }

    /// Follows a path from `base`, which it must not leave.
    ///
    /// A final link is followed if asked. Nothing of `path` may follow a final slash.
    pub fn walk(&self, base: Ino, path: &[u8], follow: bool) -> Result<Place, Errno> {
        self.walk_to(base, path, follow, false)
    }

    /// As [`walk`](Self::walk); `create` refuses a final name with a slash before it is looked at.
    pub fn walk_to(&self, base: Ino, path: &[u8], follow: bool, create: bool) -> Result<Place, Errno> {
        let mut at = base;
        let mut links = 0;
        let mut slash = false;
        // The next step is last. Each with whether its text goes on with a slash.
        let mut steps = steps(path);
        while let Some((step, before_slash)) = steps.pop() {
            let last = steps.is_empty();
            let dir = self.dir(at).ok_or(Errno::NOTDIR)?;
            match step {
                b"." => slash = false,
                b".." if at == base => return Err(Errno::NOTCAPABLE),
                b".." => {
                    at = dir.parent;
                    slash = false;
                }
                _ if last && before_slash && create => return Err(Errno::ISDIR),
                _ if dir.dead => return Err(Errno::NOENT),
                _ if step.len() > NAME_MAX => return Err(Errno::NAMETOOLONG),
                _ => match dir.names.get(step) {
                    None if last => return Ok(Place::Free { dir: at, name: step.to_vec() }),
                    None => return Err(Errno::NOENT),
                    Some(ino) => match &self.node(*ino).body {
                        Body::Link(text) if !last || follow || before_slash => {
                            links += 1;
                            if links > MAX_LINKS {
                                return Err(Errno::LOOP);
                            }
                            if text.starts_with(b"/") {
                                return Err(Errno::NOTCAPABLE);
                            }
                            let mut inner = self::steps(text);
                            if last
                                && before_slash
                                && let Some(end) = inner.first_mut()
                            {
                                end.1 = true;
                            }
                            steps.extend(inner);
                        }
                        _ => {
                            at = *ino;
                            slash = before_slash;
                        }
                    },
                },
            }
        }
        Ok(Place::There { ino: at, slash })
    }
}

/// The components of a text, the first one last.
fn steps(text: &[u8]) -> Vec<(&[u8], bool)> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        if end > 0 {
            steps.push((&rest[..end], end < rest.len()));
        }
        rest = &rest[rest.len().min(end + 1)..];
    }
    steps.reverse();
    steps
}
