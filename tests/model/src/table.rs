//! The descriptors of the model.

use super::tree::Ino;
use std::collections::BTreeMap;
use wave_monitor::{Access, Errno, Kind, Rights};

pub const APPEND: u16 = 1;
pub const NONBLOCK: u16 = 4;

/// What is behind a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A file, directory or FIFO.
    Node(Ino),
    /// The pipe that standard error is. It is emptied after every call.
    Stderr,
    Listener {
        /// Connections nobody took yet.
        waiting: usize,
    },
    Stream {
        /// Bytes that arrived.
        queue: Vec<u8>,
        no_more_in: bool,
        no_more_out: bool,
    },
}

#[derive(Debug, Clone)]
pub struct Desc {
    pub object: Object,
    pub kind: Kind,
    pub access: Access,
    pub base: Rights,
    pub inheriting: Rights,
    pub flags: u16,
    pub position: u64,
    /// The host's access mode.
    pub readable: bool,
    pub writable: bool,
    pub preopen: Option<&'static str>,
    pub stdio: bool,
    /// The version of the directory that it lists.
    pub listing: Option<u64>,
    /// Whether it is a FIFO that nobody has had open for writing since before it was opened.
    pub before_writer: bool,
}

impl Desc {
    /// Below the ceilings of its kind and its access.
    pub fn new(object: Object, kind: Kind, access: Access, base: Rights) -> Self {
        Self {
            object,
            kind,
            access,
            base: base.intersection(ceiling(kind)).intersection(access.ceiling()),
            inheriting: Rights::NONE,
            flags: 0,
            position: 0,
            readable: true,
            writable: true,
            preopen: None,
            stdio: false,
            listing: None,
            before_writer: false,
        }
    }

    pub fn node(&self) -> Option<Ino> {
        match self.object {
            Object::Node(ino) => Some(ino),
            _ => None,
        }
    }

    pub fn waits(&self) -> bool {
        self.flags & NONBLOCK == 0
    }

    pub fn appends(&self) -> bool {
        self.flags & APPEND != 0
    }
}

fn ceiling(kind: Kind) -> Rights {
    match kind {
        Kind::RegularFile => Rights::REGULAR_FILE,
        Kind::Directory => Rights::DIRECTORY,
        Kind::Listener => Rights::LISTENER,
        Kind::Stream => Rights::SOCKET,
        _ => Rights::STREAM,
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    pub open: BTreeMap<u32, Desc>,
    pub limit: u32,
}

impl Table {
    pub fn get(&self, fd: u32) -> Result<&Desc, Errno> {
        self.open.get(&fd).ok_or(Errno::BADF)
    }

    pub fn is_full(&self) -> bool {
        self.open.len() >= self.limit as usize
    }

    pub fn insert(&mut self, desc: Desc) -> u32 {
        let fd = (3..).find(|fd| !self.open.contains_key(fd)).expect("few are open");
        self.open.insert(fd, desc);
        fd
    }

    /// How many of them are host descriptors of their own.
    pub fn owned(&self) -> usize {
        self.open.values().filter(|desc| !desc.stdio).count()
    }

    /// Whoever has the FIFO open has seen a writer now.
    pub fn writer_came(&mut self, ino: Ino) {
        let held = self.open.values_mut().filter(|desc| desc.object == Object::Node(ino));
        held.for_each(|desc| desc.before_writer = false);
    }

    /// How many have the object open for reading, and for writing.
    pub fn ends(&self, ino: Ino) -> (usize, usize) {
        let of = |desc: &&Desc| desc.object == Object::Node(ino);
        let all = || self.open.values().filter(of);
        (all().filter(|desc| desc.readable).count(), all().filter(|desc| desc.writable).count())
    }
}
